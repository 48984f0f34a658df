//! Two independent proportions at a fixed horizon.
//!
//! Place in the line: `look: once` for proportions; [`newcombe`] is the displayed interval,
//! [`pooled_z`] the p; [`super::fisher`] replaces it when an expected cell is below five.
//!
//! Formulas (statistics 1.2): pooled z; Newcombe (1998) hybrid score from two Wilson intervals;
//! Wald and Agresti & Caffo (2000); ratio by Katz's log method, optionally with halves added.
//! Assumptions: independent units, one look. Invariants: `None` where a statistic is 0/0 or an arm
//! is empty; intervals finite.

use super::super::binomial::{wilson, wilson_z};
use super::super::special::norm_isf;
use super::super::two_arm::Proportion;
use super::super::{Interval, is_alpha};
use super::Alternative;

pub(super) fn usable(arm: &Proportion) -> bool {
    arm.n > 0.0 && arm.n.is_finite() && arm.x >= 0.0 && arm.x <= arm.n
}

fn both(treatment: &Proportion, control: &Proportion) -> Option<(f64, f64)> {
    (usable(treatment) && usable(control)).then(|| (treatment.mean(), control.mean()))
}

fn pooled(treatment: &Proportion, control: &Proportion) -> Proportion {
    Proportion { x: treatment.x + control.x, n: treatment.n + control.n }
}

/// Pooled two-sample z; `None` when both rates are 0 or both 1.
#[must_use]
pub fn pooled_z(treatment: &Proportion, control: &Proportion) -> Option<f64> {
    let (p_t, p_c) = both(treatment, control)?;
    let variance = pooled(treatment, control).variance_of_unit();
    let se = (variance * (1.0 / treatment.n + 1.0 / control.n)).sqrt();
    let z = (p_t - p_c) / se;
    z.is_finite().then_some(z)
}

/// Whether an expected cell is below five, so that the exact test is due.
#[must_use]
pub fn is_sparse(treatment: &Proportion, control: &Proportion) -> bool {
    let both = pooled(treatment, control);
    let least = treatment.n.min(control.n);
    least * both.mean().min(both.misses().mean()) < 5.0
}

/// How the variance of the difference is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// Each arm at its observed rate.
    Wald,
    /// One success and one failure added to each arm, in estimate and variance.
    AgrestiCaffo,
}

fn difference(arms: (&Proportion, &Proportion), how: Variance) -> Option<(f64, f64)> {
    both(arms.0, arms.1)?;
    let plus = if how == Variance::AgrestiCaffo { 1.0 } else { 0.0 };
    let part = |arm: &Proportion| {
        let smooth = Proportion { x: arm.x + plus, n: arm.n + 2.0 * plus };
        (smooth.mean(), smooth.variance_of_unit() / smooth.n)
    };
    let (t, c) = (part(arms.0), part(arms.1));
    Some((t.0 - c.0, (t.1 + c.1).sqrt()))
}

/// z of "difference = `value`"; `None` when the standard error is 0.
#[must_use]
pub fn z(treatment: &Proportion, control: &Proportion, value: f64, how: Variance) -> Option<f64> {
    let (d, se) = difference((treatment, control), how)?;
    let z = (d - value) / se;
    z.is_finite().then_some(z)
}

/// Symmetric interval of the difference, clipped to nothing (it may leave [-1, 1]).
#[must_use]
pub fn wald(
    treatment: &Proportion,
    control: &Proportion,
    alpha: f64,
    how: Variance,
) -> Option<Interval> {
    let (d, se) = difference((treatment, control), how).filter(|_| is_alpha(alpha))?;
    Some(Interval::around(d, norm_isf(0.5 * alpha) * se))
}

/// Newcombe's hybrid score interval of the difference.
#[must_use]
pub fn newcombe(treatment: &Proportion, control: &Proportion, alpha: f64) -> Option<Interval> {
    let (p_t, p_c) = both(treatment, control)?;
    let t = wilson(treatment.x, treatment.n, alpha, Alternative::TwoSided)?;
    let c = wilson(control.x, control.n, alpha, Alternative::TwoSided)?;
    let d = p_t - p_c;
    let lo = d - libm::hypot(p_t - t.lo, c.hi - p_c);
    let hi = d + libm::hypot(t.hi - p_t, p_c - c.lo);
    Some(Interval::of(lo, hi))
}

/// Where `z` stops growing: beyond it no error rate is told from 0.
const MOST_Z: f64 = 40.0;

/// The z at which Newcombe's interval of `p_t - w p_c` just reaches `shift` from above, for
/// weights `w >= 0` (the linear contrast by the same recovery of variances, Zou & Donner 2008).
///
/// 0 where the estimate does not exceed `shift`; [`newcombe`] is `w = 1` read backwards.
#[must_use]
pub fn newcombe_z(treatment: &Proportion, control: &Proportion, w: f64, shift: f64) -> f64 {
    let Some((p_t, p_c)) = both(treatment, control) else {
        return 0.0;
    };
    let gap = p_t - w * p_c - shift;
    if gap <= 0.0 {
        return 0.0;
    }
    let reaches = |z: f64| {
        let t = wilson_z(treatment.x, treatment.n, z);
        let c = wilson_z(control.x, control.n, z);
        gap <= libm::hypot(p_t - t.lo, w * (c.hi - p_c))
    };
    first_z(reaches)
}

/// The same from below: the interval of `p_t - w p_c` reaches a `shift` above the estimate.
#[must_use]
pub fn newcombe_z_below(t: &Proportion, c: &Proportion, w: f64, shift: f64) -> f64 {
    // The mirror image: misses instead of hits turn every sign.
    let mirrored = |arm: &Proportion| Proportion { x: arm.n - arm.x, n: arm.n };
    newcombe_z(&mirrored(t), &mirrored(c), w, 1.0 - w - shift)
}

fn first_z(reaches: impl Fn(f64) -> bool) -> f64 {
    let (mut lo, mut hi) = (0.0, MOST_Z);
    for _ in 0..60 {
        let mid = 0.5 * (lo + hi);
        if reaches(mid) {
            hi = mid;
        } else {
            lo = mid;
        }
    }
    0.5 * (lo + hi)
}

/// Log-method interval of the ratio treatment/control.
///
/// `halves` adds one half to every count, which makes it defined with empty cells; without it the
/// answer is `None` when an arm has no success.
#[must_use]
pub fn ratio_log(
    treatment: &Proportion,
    control: &Proportion,
    alpha: f64,
    halves: bool,
) -> Option<Interval> {
    both(treatment, control).filter(|_| is_alpha(alpha))?;
    let plus = if halves { 0.5 } else { 0.0 };
    let (x_t, n_t) = (treatment.x + plus, treatment.n + plus);
    let (x_c, n_c) = (control.x + plus, control.n + plus);
    if x_t <= 0.0 || x_c <= 0.0 {
        return None;
    }
    let centre = libm::log(x_t / n_t) - libm::log(x_c / n_c);
    let half = norm_isf(0.5 * alpha) * (1.0 / x_t - 1.0 / n_t + 1.0 / x_c - 1.0 / n_c).sqrt();
    Some(Interval::of(libm::exp(centre - half), libm::exp(centre + half)))
}
