//! Exact test and interval of one proportion against a stated value, valid at every look.
//!
//! Place in the line: forms `proportion` with a stated baseline, level atoms on proportions, `slo`
//! lifetime budgets and sampled `limit`s.
//!
//! Formula (statistics 1.4): `tau0 = |target - p0|`, `k = p0(1-p0)/tau0^2 - 1` clamped to
//! [2, 1e6], `a = k p0`, `b = k(1-p0)`;
//! `log e(q) = lnB(a+S, b+n-S) - lnB(a,b) - S ln q - (n-S) ln(1-q)`;
//! interval `{q : log e(q) < ln(1/alpha)}`. Since log e is convex in `q` with its minimum at `S/n`,
//! Newton's method on both sides finds the ends.
//! Source: Robbins (1970) mixture; Lindon & Malek 2022 (arXiv 2011.03567).
//!
//! Assumptions: independent units with one success probability (overdispersion > 1.5 leaves this
//! test, see [`super::overdispersion`]). Exact at any `n`, no minimum sample. Invariants: `S = 0`
//! has lower bound 0, `S = n` upper bound 1; `n = 0` gives [0, 1] and no evidence; stable to 2^53.

use serde::{Deserialize, Serialize};

use super::beta_mixture::log_e_beta;
use super::{Interval, bounded, is_alpha};

/// Keeps the prior proper when the stated baseline is 0 % or 100 %.
const EDGE: f64 = 1.0e-6;
const K_MIN: f64 = 2.0;
const K_MAX: f64 = 1.0e6;

/// The Beta mixture over the success probability; both shapes positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Prior {
    /// Weight of successes.
    pub a: f64,
    /// Weight of failures.
    pub b: f64,
}

/// The prior for a stated baseline `p0` and a target, both shares in [0, 1].
#[must_use]
pub fn prior(p0: f64, target: f64) -> Prior {
    prior_tau(p0, (target - p0).abs())
}

/// The prior for a stated baseline and the size `tau0` of the effect aimed at (absolute).
#[must_use]
pub fn prior_tau(p0: f64, tau0: f64) -> Prior {
    let p = if p0.is_nan() { 0.5 } else { p0.clamp(EDGE, 1.0 - EDGE) };
    let raw = p * (1.0 - p) / (tau0 * tau0) - 1.0;
    let k = if raw.is_nan() { K_MAX } else { raw.clamp(K_MIN, K_MAX) };
    Prior { a: k * p, b: k * (1.0 - p) }
}

fn usable(prior: Prior, s: f64, n: f64) -> bool {
    let shapes = prior.a > 0.0 && prior.b > 0.0 && prior.a.is_finite() && prior.b.is_finite();
    shapes && n.is_finite() && n > 0.0 && s >= 0.0 && s <= n
}

/// Log e-value of "the success probability is `q`" after `s` of `n`; 0 on unusable input.
#[must_use]
pub fn log_e(prior: Prior, s: f64, n: f64, q: f64) -> f64 {
    if !usable(prior, s, n) || q.is_nan() {
        return 0.0;
    }
    bounded(log_e_beta(prior.a, prior.b, s, n, q))
}

/// The values of `q` not rejected at `alpha` (total over both sides), within [0, 1].
///
/// Simultaneous over all looks; looks may be intersected.
#[must_use]
pub fn interval(prior: Prior, s: f64, n: f64, alpha: f64) -> Interval {
    if !usable(prior, s, n) || !is_alpha(alpha) {
        return Interval { lo: 0.0, hi: 1.0 };
    }
    let lo = lower_root(prior, s, n, alpha);
    let mirrored = Prior { a: prior.b, b: prior.a };
    Interval { lo, hi: 1.0 - lower_root(mirrored, n - s, n, alpha) }
}

/// The smallest `q` not rejected: a one-sided lower bound at `ln(1/alpha)`.
#[must_use]
pub fn lower_bound(prior: Prior, s: f64, n: f64, alpha: f64) -> f64 {
    interval(prior, s, n, alpha).lo
}

/// The largest `q` not rejected: a one-sided upper bound at `ln(1/alpha)`.
#[must_use]
pub fn upper_bound(prior: Prior, s: f64, n: f64, alpha: f64) -> f64 {
    interval(prior, s, n, alpha).hi
}

/// The root on [0, s/n] from outside, so that the interval never shrinks by rounding.
///
/// `log e` is convex and falls towards `s/n` with slope `(n q - s)/(q(1-q))`, so Newton's method
/// from any point comes to the outside and then ascends to the root; a step out of the bracket is
/// replaced by its middle.
fn lower_root(prior: Prior, s: f64, n: f64, alpha: f64) -> f64 {
    let limit = -libm::log(alpha);
    let (mut lo, mut hi) = (0.0, s / n);
    if s == 0.0 {
        return 0.0;
    }
    let spread = (2.0 * limit * (hi * (1.0 - hi) / n + 1.0 / (n * n))).sqrt();
    let mut q = (hi - spread).max(0.25 * hi);
    for _ in 0..300 {
        let excess = log_e_beta(prior.a, prior.b, s, n, q) - limit;
        if excess < 0.0 {
            hi = q;
        } else {
            lo = q;
        }
        let slope = (n * q - s) / (q * (1.0 - q));
        let newton = q - excess / slope;
        // From outside a step that no longer moves is the end.
        if excess >= 0.0 && newton <= q * (1.0 + f64::EPSILON) {
            return lo;
        }
        let inside = newton > lo && newton < hi;
        q = if inside { newton } else { 0.5 * (lo + hi) };
        if q <= lo || q >= hi {
            return lo;
        }
    }
    lo
}
