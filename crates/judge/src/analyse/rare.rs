//! Two arms with fewer than ten events (or non-events) in one of them (statistics.md 1.3).
//!
//! Part of `analyse`: the basis behind [`super::MethodName::RareEvents`]. "No change" and rate
//! ratios are judged by the conditional test, epoch of allocation by epoch; absolute thresholds and
//! margins by the exact test of a difference. Both mixtures are tuned by the file alone: the aim's
//! `tau`, the stated share and the planned split (ADR 0012).
//!
//! Coherence: what shows "above 0" shows "above -x" too, and nothing shows "above x" that does not
//! show "above 0"; the interval is that of the difference, cut at 0 accordingly.

use super::basis::{Normal, Null};
use crate::spec::Side;
use crate::stats::info_time::ln_p_from_log_e;
use crate::stats::rare::{self, Events};
use crate::stats::rare_difference;
use crate::stats::two_arm::Proportion;
use crate::stats::{Interval, Sides, UNBOUNDED};

/// What the file says about a rare share, known before any data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// The treatment's planned share of the units of both arms.
    pub(super) share: f64,
    /// The stated share of units that do it.
    pub(super) from: Option<f64>,
    /// The good direction, +1 or -1.
    pub(super) sign: f64,
}

/// Both arms, with the rarer kind counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rare {
    treatment: Proportion,
    control: Proportion,
    epochs: Vec<Events>,
    /// Misses are counted instead of hits.
    mirrored: bool,
    /// Level and comparison for display.
    pub(super) normal: Normal,
    plan: Plan,
}

impl Rare {
    /// Of both arms' totals; `epochs` are `(treatment, control)` while the allocation was constant,
    /// oldest first, empty where it was constant throughout.
    pub(super) fn of(
        treatment: Proportion,
        control: Proportion,
        epochs: &[(Proportion, Proportion)],
        normal: Normal,
        plan: Plan,
    ) -> Self {
        let hits = treatment.x + control.x;
        let mirrored = treatment.n + control.n - hits < hits;
        let epochs = match epochs {
            [] => vec![events(&treatment, &control, mirrored)],
            some => some.iter().map(|(t, c)| events(t, c, mirrored)).collect(),
        };
        Self { treatment, control, epochs, mirrored, normal, plan }
    }

    /// Concentration of the ratio's mixture, frozen with `tau`.
    fn concentration(&self, tau: f64) -> f64 {
        let (base, sign) = match (self.plan.from, self.mirrored) {
            (Some(from), false) => (from, self.plan.sign),
            (Some(from), true) => (1.0 - from, -self.plan.sign),
            (None, _) => return rare::concentration(self.plan.share, rare::LEAST_RATIO),
        };
        rare::concentration(self.plan.share, (1.0 + sign * tau / base).max(0.0))
    }

    fn events(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.treatment).sum()
    }

    fn ratio_ln_p(&self, psi: f64, tau: f64) -> f64 {
        ln_p_from_log_e(rare::log_e_epochs(&self.epochs, psi, self.concentration(tau)))
    }

    fn difference_ln_p(&self, change: f64, tau: f64) -> f64 {
        if change.abs() >= 1.0 {
            return -UNBOUNDED;
        }
        let prior = rare_difference::prior(self.plan.from, tau);
        let log_e = rare_difference::log_e(&self.treatment, &self.control, change, prior);
        ln_p_from_log_e(log_e)
    }

    /// Log p for "the truth lies on `side` of `null`".
    pub(super) fn ln_p(&self, null: Null, side: Side, tau: f64, sides: Sides) -> f64 {
        let none = self.events() <= 0.0;
        let all_of_it = if none { -1.0 - f64::EPSILON } else { -1.0 };
        if matches!(null, Null::Relative(relative) if relative <= all_of_it && !self.mirrored) {
            // No share falls by more than all of it, nor by all while it has events.
            return if side == Side::AtLeast { -UNBOUNDED } else { 0.0 };
        }
        let leans = self.normal.contrast(null).estimate * side.sign() > 0.0;
        match null {
            _ if !leans => 0.0,
            Null::Change(change) if change != 0.0 => {
                let nothing = self.ln_p(Null::NONE, side, tau, sides);
                let own = self.difference_ln_p(change, tau);
                if change * side.sign() < 0.0 { own.min(nothing) } else { own.max(nothing) }
            }
            _ => match ratio_of(null, self.mirrored) {
                Some(psi) => self.ratio_ln_p(psi, tau),
                None => self.normal.ln_p(null, side, tau, sides),
            },
        }
    }

    /// The changes not excluded.
    pub(super) fn interval(&self, tau: f64, alpha: f64) -> Interval {
        let prior = rare_difference::prior(self.plan.from, tau);
        let found = rare_difference::interval(&self.treatment, &self.control, alpha, prior);
        let limit = libm::log(alpha);
        let shown = |side| self.ln_p(Null::NONE, side, tau, Sides::Two) <= limit;
        let cut = |end: f64, out: bool| if out { end.max(0.0) } else { end.min(0.0) };
        Interval {
            lo: cut(found.lo, shown(Side::AtLeast)),
            hi: -cut(-found.hi, shown(Side::AtMost)),
        }
    }

    /// The relative changes not excluded; `None` where they must be searched.
    pub(super) fn relative_interval(&self, tau: f64, alpha: f64) -> Option<Interval> {
        if self.mirrored || self.normal.comparison.0 <= 0.0 {
            return None;
        }
        let found = rare::interval_epochs(&self.epochs, alpha, self.concentration(tau));
        let share = |end: f64| if end >= UNBOUNDED { end } else { end - 1.0 };
        Some(Interval { lo: share(found.lo), hi: share(found.hi) })
    }

    /// The same design at another change and `factor` times the data, as one epoch.
    pub(super) fn placed(&self, change: f64, factor: f64) -> Self {
        let grown = |arm: &Proportion, share: f64| {
            let n = arm.n * factor;
            Proportion { x: share.clamp(0.0, 1.0) * n, n }
        };
        let held = self.control.mean();
        let (treatment, control) =
            (grown(&self.treatment, held + change), grown(&self.control, held));
        let epochs = vec![events(&treatment, &control, self.mirrored)];
        let normal = self.normal.placed(change, factor);
        Self { treatment, control, epochs, normal, ..self.clone() }
    }
}

/// The rarer kind of both arms.
fn events(treatment: &Proportion, control: &Proportion, mirrored: bool) -> Events {
    let count = |arm: &Proportion| if mirrored { arm.n - arm.x } else { arm.x };
    Events {
        treatment: count(treatment),
        treatment_size: treatment.n,
        control: count(control),
        control_size: control.n,
    }
}

/// The rate ratio a null is, if it is one.
fn ratio_of(null: Null, mirrored: bool) -> Option<f64> {
    match null {
        Null::Change(change) => (change == 0.0).then_some(1.0),
        Null::Relative(relative) => {
            (relative > -1.0 && (!mirrored || relative == 0.0)).then_some(1.0 + relative)
        }
    }
}
