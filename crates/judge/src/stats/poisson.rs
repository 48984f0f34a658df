//! Exact test and interval of one Poisson rate against a stated rate, valid at every look.
//!
//! Place in the line: form `rate` (events per exposure) with a stated baseline.
//!
//! Derivation, the Poisson twin of [`super::one_proportion`]: with `S` events in exposure `E`
//! the likelihood is proportional to `L^S exp(-E L)`. Mixing the rate `L` over
//! Gamma(shape `a`, rate `b`) gives `b^a G(a+S) / (G(a) (b+E)^(a+S))`; divided by the likelihood
//! at the tested rate `m` it is a martingale with mean 1 under `m` at every exposure, so
//! `log e(m) = lnG(a+S) - (a+S) ln(b+E) - lnG(a) + a ln b - S ln m + E m`.
//! By Ville's inequality `{m : log e(m) < ln(1/alpha)}` covers the rate at all looks at once.
//! Prior: mean `r0` (the stated rate) and sd `tau0 = |target - r0|`, hence `a = (r0/tau0)^2`
//! clamped to [0.5, 1e6] and `b = a/r0`; it is the limit of the Beta rule for rare events.
//! Computed as `G(a+S, (b+E) m) - G(a, b m)`, `G(x, y) = dev(x, y) - ln(x)/2 + ln(2 pi)/2 +
//! err(x)`, which has no terms of size `S` that cancel. Source: Robbins & Siegmund (1974) mixture.
//!
//! Assumptions: events are independent given exposure (else widen by [`super::overdispersion`]
//! and use the engine). Invariants: `S = 0` has lower bound 0; no exposure: no evidence, interval
//! [0, unbounded]; results finite.

use serde::{Deserialize, Serialize};

use super::special::{HALF_LN_TWO_PI, deviance, stirling_error};
use super::two_arm::Count;
use super::{Interval, UNBOUNDED, bounded, is_alpha};

const SHAPE_MIN: f64 = 0.5;
const SHAPE_MAX: f64 = 1.0e6;
/// Keeps the prior proper when the stated rate is 0: the smallest rate distinguished from it.
const RATE_MIN: f64 = 1.0e-12;

/// The Gamma mixture over the rate: `shape / rate` is its mean, in events per exposure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Prior {
    /// Shape: the weight of the prior in events.
    pub shape: f64,
    /// Rate: the weight of the prior in exposure.
    pub rate: f64,
}

/// The prior for a stated rate `r0` and a target rate.
#[must_use]
pub fn prior(r0: f64, target: f64) -> Prior {
    prior_tau(r0, (target - r0).abs())
}

/// The prior for a stated rate and the absolute size `tau0` of the change aimed at.
#[must_use]
pub fn prior_tau(r0: f64, tau0: f64) -> Prior {
    let r = if r0.is_nan() { RATE_MIN } else { r0.clamp(RATE_MIN, 1.0e12) };
    let ratio = r / tau0;
    let raw = ratio * ratio;
    let shape = if raw.is_nan() { SHAPE_MAX } else { raw.clamp(SHAPE_MIN, SHAPE_MAX) };
    Prior { shape, rate: shape / r }
}

fn usable(prior: Prior, count: &Count) -> bool {
    let shapes = prior.shape > 0.0 && prior.rate > 0.0;
    let finite = (prior.shape + prior.rate + count.events + count.exposure).is_finite();
    shapes && finite && count.events >= 0.0 && count.exposure > 0.0
}

/// Log e-value of "the rate is `rate`" (events per exposure); 0 on unusable input.
#[must_use]
pub fn log_e(prior: Prior, count: &Count, rate: f64) -> f64 {
    if !usable(prior, count) || rate.is_nan() || rate < 0.0 {
        return 0.0;
    }
    bounded(raw_log_e(prior, count, rate))
}

fn raw_log_e(prior: Prior, count: &Count, rate: f64) -> f64 {
    let (shape, exposure) = (prior.shape + count.events, prior.rate + count.exposure);
    if rate <= 0.0 {
        if count.events > 0.0 {
            return UNBOUNDED;
        }
        // Likelihood 1 at rate 0; the mixture's is (b/(b+E))^a.
        return -prior.shape * libm::log1p(count.exposure / prior.rate);
    }
    reduced(shape, exposure * rate) - reduced(prior.shape, prior.rate * rate)
}

fn reduced(x: f64, y: f64) -> f64 {
    deviance(x, y) - 0.5 * libm::log(x) + HALF_LN_TWO_PI + stirling_error(x)
}

/// The rates not rejected at `alpha` (total over both sides), within [0, [`UNBOUNDED`]].
#[must_use]
pub fn interval(prior: Prior, count: &Count, alpha: f64) -> Interval {
    if !usable(prior, count) || !is_alpha(alpha) {
        return Interval { lo: 0.0, hi: UNBOUNDED };
    }
    let limit = -libm::log(alpha);
    let inside = |rate: f64| raw_log_e(prior, count, rate) < limit;
    let middle = count.events / count.exposure;
    let lo = if count.events == 0.0 { 0.0 } else { bisect(middle, 0.0, inside) };
    let mut out = 2.0 * middle + 1.0 / count.exposure;
    while inside(out) && out < UNBOUNDED {
        out *= 2.0;
    }
    Interval { lo, hi: bounded(bisect(middle, out, inside)) }
}

/// Lower one-sided bound at `ln(1/alpha)`.
#[must_use]
pub fn lower_bound(prior: Prior, count: &Count, alpha: f64) -> f64 {
    interval(prior, count, alpha).lo
}

/// Upper one-sided bound at `ln(1/alpha)`.
#[must_use]
pub fn upper_bound(prior: Prior, count: &Count, alpha: f64) -> f64 {
    interval(prior, count, alpha).hi
}

/// The edge between `inside` and `outside`, returned on the outer side.
fn bisect(mut inside: f64, mut outside: f64, is_inside: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..300 {
        let mid = 0.5 * (inside + outside);
        if mid == inside || mid == outside {
            break;
        }
        if is_inside(mid) {
            inside = mid;
        } else {
            outside = mid;
        }
    }
    outside
}
