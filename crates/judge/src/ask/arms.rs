//! Two arms, or a treatment and a measured baseline, valid at every look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Count, Share, alpha_default};
use super::tell::{percent, plain, points, range};
use super::{Ask, Fault, Notes};
use crate::record::round12;
use crate::stats::info_time::{half_width_two_sided, ln_p_from_log_e, log_e_two_sided};
use crate::stats::two_arm::{Moments, RatioSums, linear};
use crate::stats::{Contrast, Degenerate, Interval, cuped, display};

/// What a signal's interval says, in the words of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The interval lies wholly on the bad side of no change.
    Harm,
    /// The estimate reaches the target and no change is excluded.
    Met,
    /// Real, but every meaningful effect is excluded.
    Short,
    /// Real, and the target is neither reached nor excluded.
    Moving,
    /// Every meaningful effect is excluded, no change is not.
    Flat,
    /// Neither.
    Inconclusive,
    /// There is no variance to judge with.
    Invalid,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Harm => "harm: it moved the wrong way",
            Self::Met => "met",
            Self::Short => "short: real, but smaller than any meaningful effect",
            Self::Moving => "moving: real, not yet at the target",
            Self::Flat => "flat: every meaningful effect is excluded",
            Self::Inconclusive => "inconclusive: more data is needed",
            Self::Invalid => "invalid: nothing varies, so nothing can be tested",
        }
    }
}

/// Two arms compared at any look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// Level of the control.
    pub control: Num,
    /// Level of the treatment.
    pub treatment: Num,
    /// Treatment minus control.
    pub effect: Num,
    /// Its standard error.
    pub se: Num,
    /// Mixing sd: the size of the effect the test is tuned to, fixed before data.
    pub tau: Num,
    /// The effects not excluded at this look, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against no change.
    pub log_e: Num,
    /// Always-valid p of no change at this look; the p of a test is its minimum over looks.
    pub p: Num,
    /// Estimate beyond the target: treatment - control - target, or treatment - (1+r) control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_target: Option<Num>,
    /// Interval of `beyond_target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_target_interval: Option<Bounds>,
    /// Relative change, treatment / control - 1.
    pub lift: Num,
    /// Interval of the relative change, for display (log scale).
    pub lift_interval: Bounds,
    /// What it says about the target.
    pub state: State,
}

/// Target, tuning and levels of a comparison.
struct Plan {
    target: Option<f64>,
    target_relative: Option<f64>,
    tau: Option<f64>,
    baseline: Option<f64>,
    min_effect: Option<f64>,
    want: parts::Want,
    alpha: f64,
}

impl Plan {
    /// +1 when higher is better: the sign of the target decides, else `want`.
    fn sign(&self) -> f64 {
        let down = match self.target.or(self.target_relative) {
            Some(target) => target < 0.0,
            None => self.want == parts::Want::Down,
        };
        if down { -1.0 } else { 1.0 }
    }

    fn tau(&self, control: f64, notes: &mut Notes) -> Result<f64, Fault> {
        if let Some(tau) = self.tau {
            return parts::positive("tau", tau);
        }
        let size = match (self.target, self.target_relative) {
            (Some(target), None) => target.abs(),
            (None, Some(relative)) => {
                if self.baseline.is_none() {
                    notes.push(
                        "tau uses the control's own mean; give `baseline` (known before data) \
                         for a test that is valid at every look",
                    );
                }
                (relative * self.baseline.unwrap_or(control)).abs()
            }
            (Some(_), Some(_)) => {
                return Err(Fault::new(
                    "`target` and `target_relative` are both given",
                    "give one: a change in the unit of the signal, or a share of the control",
                ));
            }
            (None, None) => {
                return Err(Fault::new(
                    "neither `target` nor `target_relative` nor `tau` is given",
                    "say the effect aimed at, as it was fixed before data: target=+3pts, \
                     target=+10%, or tau=0.03",
                ));
            }
        };
        parts::positive("target", size)
    }
}

/// The whole comparison; arms are `(mean, variance of the mean)`.
fn compare(
    t: (f64, f64),
    c: (f64, f64),
    plan: &Plan,
    notes: &mut Notes,
) -> Result<Comparison, Fault> {
    let alpha = parts::alpha(plan.alpha)?;
    let tau = plan.tau(c.0, notes)?;
    let contrast = linear(t, c, 1.0);
    let target = match (plan.target, plan.target_relative) {
        (Some(target), _) => Some(contrast.minus(target)),
        (None, Some(r)) => Some(linear(t, c, 1.0 + r)),
        (None, None) => None,
    };
    let interval =
        |x: Contrast| Interval::around(x.estimate, half_width_two_sided(x.se, tau, alpha));
    let log_e = log_e_two_sided(contrast.estimate, contrast.se, tau);
    let beyond = target.map(|x| (x, interval(x)));
    let state = match contrast.degenerate() {
        Some(why) => degenerate(why, notes),
        None => state(interval(contrast), beyond, plan),
    };
    let lift_interval = lift_interval(t, c, tau, alpha);
    if lift_interval.is_none() {
        notes.push("no interval of the relative change: both means must be above 0 and vary");
    }
    let lift = display::lift(t.0, c.0);
    if lift.is_none() {
        notes.push("no relative change: the control is 0");
    }
    Ok(Comparison {
        control: Num(c.0),
        treatment: Num(t.0),
        effect: Num(contrast.estimate),
        se: Num(contrast.se),
        tau: Num(tau),
        interval: interval(contrast).into(),
        log_e: Num(log_e),
        p: Num(libm::exp(ln_p_from_log_e(log_e))),
        beyond_target: beyond.map(|x| Num(x.0.estimate)),
        beyond_target_interval: beyond.map(|x| x.1.into()),
        lift: lift.into(),
        lift_interval: lift_interval.into(),
        state,
    })
}

/// The log-scale interval of the lift, its critical value the engine's on the same scale.
fn lift_interval(t: (f64, f64), c: (f64, f64), tau: f64, alpha: f64) -> Option<Interval> {
    let se = display::log_se(t, c).filter(|se| *se > 0.0)?;
    let tau_log = libm::log1p(tau / c.0);
    display::log_lift(t, c, half_width_two_sided(se, tau_log, alpha) / se)
        .filter(|x| !x.hi_unbounded())
}

fn degenerate(why: Degenerate, notes: &mut Notes) -> State {
    notes.push("no interval: nothing varies");
    match why {
        Degenerate::Constant => State::Inconclusive,
        Degenerate::ZeroVariance => State::Invalid,
    }
}

/// Statistics 1.11, direction normalised.
fn state(interval: Interval, beyond: Option<(Contrast, Interval)>, plan: &Plan) -> State {
    let is_up = plan.sign() > 0.0;
    let good = |x: Interval| if is_up { x } else { x.mirrored() };
    let now = good(interval);
    let (reached, excluded) = match beyond {
        Some((x, bounds)) => {
            let beyond = if is_up { x.estimate } else { -x.estimate };
            (round12(beyond) >= 0.0, good(bounds).hi < 0.0)
        }
        None => (true, false),
    };
    let too_small = plan.min_effect.map_or(excluded, |least| now.hi < least.abs());
    if now.hi < 0.0 {
        State::Harm
    } else if now.lo > 0.0 && reached {
        State::Met
    } else if now.lo > 0.0 {
        if too_small { State::Short } else { State::Moving }
    } else if too_small {
        State::Flat
    } else {
        State::Inconclusive
    }
}

macro_rules! comparison {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)?
        }
        $line:literal, $citation:literal, $assumes:expr, $example:literal, $words:literal,
        |$asked:ident| $arms:expr, $unit:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
            /// Change aimed at, in the signal's unit (0.03 for +3 points); its sign says which
            /// direction is good.
            pub target: Option<f64>,
            /// Change aimed at as a share of the control (0.10 for +10 %), instead of `target`.
            pub target_relative: Option<f64>,
            /// Mixing sd; default the size of the target.
            pub tau: Option<f64>,
            /// Level of the control known before data: turns a relative target into tau.
            pub baseline: Option<f64>,
            /// Smallest effect that would matter; default the target.
            pub min_effect: Option<f64>,
            /// Good direction when no target says it.
            #[serde(default)]
            pub want: parts::Want,
            /// Error probability, two-sided (default 0.05).
            #[serde(default = "alpha_default")]
            pub alpha: f64,
        }

        impl Ask for $name {
            type Answer = Comparison;
            const LINE: &'static str = $line;
            const CITATION: &'static str = $citation;
            const ASSUMES: &'static [&'static str] = $assumes;
            const EXAMPLE: &'static str = $example;
            const WORDS: &'static str = $words;

            fn answer(&self, notes: &mut Notes) -> Result<Comparison, Fault> {
                let $asked = self;
                let (t, c) = $arms?;
                let plan = Plan {
                    target: self.target,
                    target_relative: self.target_relative,
                    tau: self.tau,
                    baseline: self.baseline,
                    min_effect: self.min_effect,
                    want: self.want,
                    alpha: self.alpha,
                };
                compare(t, c, &plan, notes)
            }

            fn sentence(&self, told: &Comparison) -> String {
                let target = match (self.target, self.target_relative) {
                    (Some(target), _) => format!(" against the {} aimed at", $unit::change(target)),
                    (None, Some(r)) => format!(" against the {} aimed at", percent::change(r)),
                    _ => String::new(),
                };
                format!(
                    "Treatment {} against control {}: {} ({}), {} relative{target}: {}.",
                    $unit::level(told.treatment.0),
                    $unit::level(told.control.0),
                    $unit::change(told.effect.0),
                    range(told.interval, self.alpha, $unit::change),
                    percent::change(told.lift.0),
                    told.state.word(),
                )
            }
        }
    };
}

type Arms = ((f64, f64), (f64, f64));

const INDEPENDENT: &str = "units are independent and only matured units are counted";
const TAU_FIXED: &str = "the target (tau) was fixed before data and never changed";

comparison! {
    /// Two shares.
    TwoProportions {
        /// Control arm.
        control: Share,
        /// Treatment arm.
        treatment: Share,
        /// Overdispersion factor of the counts, at least 1 (default 1).
        phi: Option<f64>,
    }
    "two shares at any look: interval, evidence, state",
    "Howard et al. 2021; Johari et al. 2022; arXiv 2103.06476; Agresti & Caffo 2000 (statistics \
     1.1, 1.2)",
    &[
        INDEPENDENT,
        TAU_FIXED,
        "at least ten successes and ten failures in each arm (else rare_events)",
    ],
    r#"{"control":{"x":1620,"n":6000},"treatment":{"x":1980,"n":6000},"target":0.03}"#,
    "control=1620/6000 treatment=1980/6000 target=+3pts",
    |asked| shares(asked), points
}

fn shares(asked: &TwoProportions) -> Result<Arms, Fault> {
    let phi = dispersion(asked.phi)?;
    let t = asked.treatment.checked("treatment")?;
    let c = asked.control.checked("control")?;
    Ok(((t.mean(), phi * t.variance_of_mean()), (c.mean(), phi * c.variance_of_mean())))
}

fn dispersion(phi: Option<f64>) -> Result<f64, Fault> {
    match phi {
        None => Ok(1.0),
        Some(phi) => Ok(parts::positive("phi", phi)?.max(1.0)),
    }
}

comparison! {
    /// Two means.
    TwoMeans {
        /// Control arm.
        control: parts::Summary,
        /// Treatment arm.
        treatment: parts::Summary,
    }
    "two means at any look: interval, evidence, state",
    "Howard et al. 2021; Johari et al. 2022; arXiv 2103.06476 (statistics 1.1, 1.2)",
    &[INDEPENDENT, TAU_FIXED, "at least 100 units per arm, 355 x skewness^2 if skewed"],
    r#"{"control":{"n":4000,"mean":10.2,"sd":8.1},"treatment":{"n":4000,"mean":10.9,"sd":8.4},
        "target":1.0}"#,
    "control=n:4000,mean:10.2,sd:8.1 treatment=n:4000,mean:10.9,sd:8.4 target=+1",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        Ok(((t.mean, t.variance_of_mean), (c.mean, c.variance_of_mean)))
    }, plain
}

/// The six sums of a ratio metric: per unit a numerator and a denominator.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Units (users, accounts).
    pub n: f64,
    /// Sum of numerators.
    pub num: f64,
    /// Sum of denominators.
    pub den: f64,
    /// Sum of squared numerators.
    pub num_sq: f64,
    /// Sum of squared denominators.
    pub den_sq: f64,
    /// Sum of products numerator x denominator.
    pub cross: f64,
}

impl Sums {
    /// Ratio, its delta-method variance and the units, checked.
    pub(super) fn checked(&self, name: &str) -> Result<crate::stats::fixed::welch::Side, Fault> {
        let Self { n, num, den, num_sq, den_sq, cross } = *self;
        let sums = RatioSums { n, num, den, num_sq, den_sq, cross };
        let variance_of_mean = sums.variance_of_mean();
        if n > 1.0 && den != 0.0 && variance_of_mean < crate::stats::UNBOUNDED {
            return Ok(crate::stats::fixed::welch::Side { mean: sums.mean(), variance_of_mean, n });
        }
        let cause = format!("`{name}`: no ratio can be had from these sums");
        Err(Fault::new(cause, "n is above 1, den is not 0, num_sq and den_sq are sums of squares"))
    }
}

comparison! {
    /// Two ratios of sums.
    TwoRatios {
        /// Control arm.
        control: Sums,
        /// Treatment arm.
        treatment: Sums,
    }
    "two ratio metrics (six sums per arm, delta method) at any look",
    "Deng, Knoblich & Lu 2018; Howard et al. 2021 (statistics 1.1, 1.2)",
    &[INDEPENDENT, TAU_FIXED, "the unit is the one that was assigned: user or account"],
    r#"{"control":{"n":5000,"num":1500,"den":20000,"num_sq":1700,"den_sq":100000,"cross":7000},
        "treatment":{"n":5000,"num":1650,"den":20100,"num_sq":1900,"den_sq":101000,
        "cross":7600},"target_relative":0.1,"baseline":0.075}"#,
    "control=n:5000,num:1500,den:20000,num_sq:1700,den_sq:100000,cross:7000 \
     treatment=n:5000,num:1650,den:20100,num_sq:1900,den_sq:101000,cross:7600 \
     target=+10% baseline=0.075",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        Ok(((t.mean, t.variance_of_mean), (c.mean, c.variance_of_mean)))
    }, plain
}

comparison! {
    /// Two event rates.
    TwoRates {
        /// Control arm.
        control: Count,
        /// Treatment arm.
        treatment: Count,
        /// Overdispersion factor of the counts, at least 1 (default 1).
        phi: Option<f64>,
    }
    "two event rates (Poisson with overdispersion) at any look",
    "Howard et al. 2021; McCullagh & Nelder 1989 (statistics 1.1, 1.2)",
    &["events are independent given exposure, up to phi", TAU_FIXED],
    r#"{"control":{"events":240,"exposure":12000},"treatment":{"events":180,"exposure":12100},
        "target_relative":-0.2,"baseline":0.02,"phi":1.3}"#,
    "control=240/12000 treatment=180/12100 target=-20% baseline=0.02 phi=1.3",
    |asked| {
        let phi = dispersion(asked.phi)?;
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        Ok(((t.mean(), phi * t.variance_of_mean()), (c.mean(), phi * c.variance_of_mean())))
    }, plain
}

/// Sums of outcome `y` and of a covariate `x` known before the change.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovariateSums {
    /// Units.
    pub n: f64,
    /// Sum of outcomes.
    pub y: f64,
    /// Sum of covariates.
    pub x: f64,
    /// Sum of squared outcomes.
    pub yy: f64,
    /// Sum of squared covariates.
    pub xx: f64,
    /// Sum of products.
    pub xy: f64,
}

impl CovariateSums {
    fn checked(&self, name: &str) -> Result<cuped::Sums, Fault> {
        let Self { n, y, x, yy, xx, xy } = *self;
        let possible =
            |sum: f64, sum_sq: f64| Moments { n, sum, sum_sq }.variance() >= 0.0 && sum_sq >= 0.0;
        if n > 1.0 && possible(y, yy) && possible(x, xx) {
            return Ok(cuped::Sums { n, y, x, yy, xx, xy });
        }
        let cause = format!("`{name}`: these are no sums of n units");
        Err(Fault::new(cause, "n is above 1, yy and xx are sums of squares"))
    }
}

comparison! {
    /// Two means, their variance reduced by a covariate.
    Cuped {
        /// Control arm.
        control: CovariateSums,
        /// Treatment arm.
        treatment: CovariateSums,
    }
    "two means with variance reduction by a covariate from before the change",
    "Deng, Xu, Kohavi & Walker 2013 (statistics 1.2)",
    &[INDEPENDENT, TAU_FIXED, "the covariate was measured before exposure"],
    r#"{"control":{"n":2000,"y":20000,"x":19800,"yy":260000,"xx":256000,"xy":240000},
        "treatment":{"n":2000,"y":20800,"x":19900,"yy":275000,"xx":257000,"xy":249000},
        "target":0.5}"#,
    "control=n:2000,y:20000,x:19800,yy:260000,xx:256000,xy:240000 \
     treatment=n:2000,y:20800,x:19900,yy:275000,xx:257000,xy:249000 target=+0.5",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        let slope = cuped::theta(&t, &c);
        let pooled = (t.x + c.x) / (t.n + c.n);
        Ok((cuped::adjusted(&t, slope, pooled), cuped::adjusted(&c, slope, pooled)))
    }, plain
}
