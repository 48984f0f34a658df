//! Tests of one planned look on means and ratio metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arms::Sums;
use super::number::{Bounds, Num};
use super::once::ZTest;
use super::parts::{self, Direction, ONE_LOOK, OPEN, Summary, alpha_default, missing};
use super::tell::{p, percent, plain, range};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::welch::{self, Side};
use crate::stats::fixed::{Alternative, z_p};
use crate::stats::{Interval, display};

/// Two means at one look.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Welch {
    /// Control arm.
    pub control: Summary,
    /// Treatment arm.
    pub treatment: Summary,
    /// Which alternative p and interval speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
    /// Difference tested (default 0).
    #[serde(default)]
    pub value: f64,
    /// Relative change tested instead, as a linear contrast (0.10 for +10 %): adds `relative`.
    pub relative: Option<f64>,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Welch's test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TTest {
    /// Treatment minus control.
    pub effect: Num,
    /// Its standard error.
    pub se: Num,
    /// t statistic of `value`.
    pub t: Num,
    /// Degrees of freedom.
    pub df: Num,
    /// p-value by the t law.
    pub p: Num,
    /// p-value by the normal law.
    pub p_normal: Num,
    /// Interval of the difference.
    pub interval: Bounds,
    /// Relative change, treatment / control - 1.
    pub lift: Num,
    /// Its log-scale interval by the t law.
    pub lift_interval: Bounds,
    /// z test of treatment - (1+r) control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<ZTest>,
}

/// What a Welch test is asked, wherever its sides come from.
struct Asked {
    alternative: Alternative,
    value: f64,
    relative: Option<f64>,
    alpha: f64,
}

fn t_test(t: Side, c: Side, asked: &Asked, notes: &mut Notes) -> Result<TTest, Fault> {
    let alpha = parts::alpha(asked.alpha)?;
    let Some(test) = welch::welch(t, c) else {
        let hint = "a test needs variance in at least one arm and two units in each";
        return Err(Fault::new("nothing varies in either arm", hint));
    };
    let side = asked.alternative;
    let cut = |both: Interval| match side {
        Alternative::TwoSided => both,
        Alternative::Greater => Interval { lo: both.lo, hi: Interval::ALL.hi },
        Alternative::Less => Interval { lo: Interval::ALL.lo, hi: both.hi },
    };
    missing(side != Alternative::TwoSided, OPEN, notes);
    let tail = if side == Alternative::TwoSided { 0.5 * alpha } else { alpha };
    let arm = |s: Side| (s.mean, s.variance_of_mean);
    let sized = |s: Side| (s.mean, s.variance_of_mean, s.n);
    let lift = display::lift(t.mean, c.mean);
    let lift_interval = display::log_df(sized(t), sized(c)).and_then(|df| {
        let critical = crate::stats::special::t_isf(tail, df);
        display::log_lift(arm(t), arm(c), critical).map(cut)
    });
    let has_none = lift_interval.is_none_or(|x| side == Alternative::TwoSided && x.hi_unbounded());
    missing(lift.is_none(), "no relative change: the control is 0", notes);
    missing(has_none, "no interval of the relative change: both means must be above 0", notes);
    let statistic = test.t(asked.value);
    let relative = asked.relative.map(|r| {
        let contrast = crate::stats::two_arm::linear(arm(t), arm(c), 1.0 + r);
        ZTest::of(Some(contrast.estimate / contrast.se), side)
    });
    Ok(TTest {
        effect: Num(test.contrast.estimate),
        se: Num(test.contrast.se),
        t: Num(statistic),
        df: Num(test.df),
        p: Num(test.p(asked.value, side)),
        p_normal: Num(z_p(statistic, side)),
        interval: test.interval(alpha, side).into(),
        lift: lift.into(),
        lift_interval: lift_interval.into(),
        relative,
    })
}

fn t_sentence(told: &TTest, alpha: f64) -> String {
    format!(
        "Difference {} ({}), {}, {} relative, at this one look.",
        plain::change(told.effect.0),
        range(told.interval, alpha, plain::change),
        p(told.p),
        percent::change(told.lift.0),
    )
}

impl Ask for Welch {
    type Answer = TTest;
    const LINE: &'static str = "two means at one look: Welch's t test, lift, relative contrast";
    const CITATION: &'static str = "Welch 1947 (statistics 1.2, 1.6)";
    const ASSUMES: &'static [&'static str] =
        &["units are independent, means near normal", ONE_LOOK];
    const EXAMPLE: &'static str =
        r#"{"control":{"n":400,"mean":10.2,"sd":3.1},"treatment":{"n":410,"mean":10.9,"sd":3.4}}"#;
    const WORDS: &'static str = "control=n:400,mean:10.2,sd:3.1 treatment=n:410,mean:10.9,sd:3.4";

    fn answer(&self, notes: &mut Notes) -> Result<TTest, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let Self { value, relative, alpha, .. } = *self;
        t_test(t, c, &Asked { alternative: self.alternative.into(), value, relative, alpha }, notes)
    }

    fn sentence(&self, told: &TTest) -> String {
        t_sentence(told, self.alpha)
    }
}

/// Two ratio metrics at one look.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatiosOnce {
    /// Control arm.
    pub control: Sums,
    /// Treatment arm.
    pub treatment: Sums,
    /// Which alternative p and interval speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
    /// Difference tested (default 0).
    #[serde(default)]
    pub value: f64,
    /// Relative change tested instead, as a linear contrast: adds `relative`.
    pub relative: Option<f64>,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

impl Ask for RatiosOnce {
    type Answer = TTest;
    const LINE: &'static str = "two ratio metrics at one look: delta method with Welch's t";
    const CITATION: &'static str = "Deng, Knoblich & Lu 2018; Welch 1947 (statistics 1.2)";
    const ASSUMES: &'static [&'static str] = &["units (users, accounts) are independent", ONE_LOOK];
    const EXAMPLE: &'static str = r#"{"control":{"n":5000,"num":1500,"den":20000,"num_sq":1700,
        "den_sq":100000,"cross":7000},"treatment":{"n":5000,"num":1650,"den":20100,
        "num_sq":1900,"den_sq":101000,"cross":7600}}"#;
    const WORDS: &'static str = "control=n:5000,num:1500,den:20000,num_sq:1700,den_sq:100000,\
        cross:7000 treatment=n:5000,num:1650,den:20100,num_sq:1900,den_sq:101000,cross:7600";

    fn answer(&self, notes: &mut Notes) -> Result<TTest, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let Self { value, relative, alpha, .. } = *self;
        t_test(t, c, &Asked { alternative: self.alternative.into(), value, relative, alpha }, notes)
    }

    fn sentence(&self, told: &TTest) -> String {
        t_sentence(told, self.alpha)
    }
}
