//! What a comparison of two arms says: the interval, the evidence, the state against its target.
//!
//! Place in the line: under the questions of [`super::arms`], which reduce their arms to a mean and
//! the variance of the mean.

use schemars::JsonSchema;
use serde::Serialize;

use super::number::{Bounds, Num};
use super::parts::{self, probability};
use super::{Fault, Notes};
use crate::record::round12;
use crate::stats::info_time::{half_width_two_sided, log_e_two_sided};
use crate::stats::two_arm::linear;
use crate::stats::{Contrast, Degenerate, Interval, display};

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
    /// Below the least sample of the method: the numbers decide nothing yet.
    TooEarly,
}

impl State {
    /// In a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Harm => "harm: it moved the wrong way",
            Self::Met => "met",
            Self::Short => "short: real, but smaller than any meaningful effect",
            Self::Moving => "moving: real, not yet at the target",
            Self::Flat => "flat: every meaningful effect is excluded",
            Self::Inconclusive => "inconclusive: more data is needed",
            Self::Invalid => "invalid: nothing varies, so nothing can be tested",
            Self::TooEarly => "too early: below the least sample of this method",
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
pub(super) struct Plan {
    pub(super) target: Option<f64>,
    pub(super) target_relative: Option<f64>,
    pub(super) tau: Option<f64>,
    pub(super) baseline: Option<f64>,
    pub(super) min_effect: Option<f64>,
    pub(super) want: parts::Want,
    pub(super) alpha: f64,
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
        if size > 0.0 && size.is_finite() {
            return Ok(size);
        }
        let cause = format!("`target` is {size}");
        Err(Fault::new(cause, "a change other than 0; its sign says which direction is good"))
    }
}

/// The whole comparison; arms are `(mean, variance of the mean)`, treatment first, and `few` says
/// which least sample they miss.
pub(super) fn compare(
    (t, c): ((f64, f64), (f64, f64)),
    few: Option<&'static str>,
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
    notes.extend(few);
    let state = if few.is_some() { State::TooEarly } else { state };
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
        p: probability(log_e),
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
