//! The engine: information-time normal-mixture confidence sequence.
//!
//! Place in the line: every signal that reduces to `(effect d, standard error SE)` is judged here,
//! at every look, with one mixing sd `tau` fixed before data.
//!
//! Formulas (statistics 1.1; Howard, Ramdas, McAuliffe & Sekhon 2021; Johari, Koomen, Pekelis &
//! Walsh 2022; Waudby-Smith et al., arXiv 2103.06476), with `r = (tau/SE)^2`, `z = d/SE`:
//! * two-sided half-width `SE sqrt((1 + 1/r) ln((1+r)/alpha^2))`
//! * two-sided log e `-ln(1+r)/2 + z^2 r/(1+r)/2`
//! * one-sided log e (half-normal mixture, `d > 0` favours the effect)
//!   `ln 2 - ln(1+r)/2 + z^2 r/(1+r)/2 + lnPhi(z sqrt(r/(1+r)))`
//! * one-sided half-width: the root of the former at `ln(1/alpha)`; its closed conservative form
//!   `SE sqrt(2 (1 + 1/r) ln(1 + sqrt(1+r)/(2 alpha)))`.
//!
//! Assumptions: `d/SE^2` is (asymptotically) Brownian in information `1/SE^2`; `tau` never depends
//! on observed data. Invariants: bad input (`SE <= 0`, `tau <= 0`, alpha outside (0,1), NaN) gives
//! no evidence (0) and [`UNBOUNDED`] widths; all results are finite.

use super::special::ln_phi;
use super::{Interval, UNBOUNDED, bounded, is_alpha};

/// `ln(1+r)` and `r/(1+r)` of a mixture, computed without squaring huge ratios.
#[derive(Clone, Copy, Debug)]
struct Mixture {
    ln_one_plus_r: f64,
    /// `r/(1+r)`; its inverse is `1 + 1/r`.
    weight: f64,
}

impl Mixture {
    fn new(se: f64, tau: f64) -> Option<Self> {
        let usable = se > 0.0 && tau > 0.0 && se.is_finite() && tau.is_finite();
        if !usable {
            return None;
        }
        let ratio = tau / se;
        let inverse = se / tau;
        let ln_one_plus_r = if ratio > 1.0 {
            2.0 * (libm::log(tau) - libm::log(se)) + libm::log1p(inverse * inverse)
        } else {
            libm::log1p(ratio * ratio)
        };
        let weight = 1.0 / (1.0 + inverse * inverse);
        (weight > 0.0).then_some(Self { ln_one_plus_r, weight })
    }
}

/// Two-sided half-width: `d ± half` covers the true effect at all looks with `1 - alpha`.
///
/// Unit of `se` and `tau`: the contrast's. [`UNBOUNDED`] on bad input.
#[must_use]
pub fn half_width_two_sided(se: f64, tau: f64, alpha: f64) -> f64 {
    let Some(mix) = Mixture::new(se, tau).filter(|_| is_alpha(alpha)) else {
        return UNBOUNDED;
    };
    let log = mix.ln_one_plus_r - 2.0 * libm::log(alpha);
    bounded(se * (log / mix.weight).sqrt())
}

/// One-sided half-width (exact): `d - half` is a lower bound at all looks.
///
/// The root in `u = z sqrt(r/(1+r))` of `g(u) = u^2/2 + lnPhi(u)`, increasing and convex, lies
/// below `sqrt(2 ln(1/alpha) + ln(1+r))`; Newton's method from there descends to it without ever
/// passing it.
#[must_use]
pub fn half_width_one_sided(se: f64, tau: f64, alpha: f64) -> f64 {
    let Some(mix) = Mixture::new(se, tau).filter(|_| is_alpha(alpha)) else {
        return UNBOUNDED;
    };
    let need = -libm::log(alpha) + 0.5 * mix.ln_one_plus_r - core::f64::consts::LN_2;
    let mut u = (2.0 * (need + core::f64::consts::LN_2)).max(0.0).sqrt();
    for _ in 0..100 {
        let tail = ln_phi(u);
        let excess = 0.5 * u * u + tail - need;
        // g'(u) = u + phi(u)/Phi(u)
        let slope = u + libm::exp(-0.5 * u * u - super::special::HALF_LN_TWO_PI - tail);
        let next = u - excess / slope;
        if next >= u || next.is_nan() {
            break;
        }
        u = next;
    }
    // The last step may have rounded to the inside.
    bounded(se * (u + u * f64::EPSILON) / mix.weight.sqrt())
}

/// One-sided half-width in closed form; never narrower than [`half_width_one_sided`].
#[must_use]
pub fn half_width_one_sided_closed(se: f64, tau: f64, alpha: f64) -> f64 {
    let Some(mix) = Mixture::new(se, tau).filter(|_| is_alpha(alpha)) else {
        return UNBOUNDED;
    };
    // ln(1 + sqrt(1+r)/(2 alpha)) with the square root kept in logs.
    let ln_x = 0.5 * mix.ln_one_plus_r - libm::log(2.0 * alpha);
    let log = if ln_x > 40.0 { ln_x } else { libm::log1p(libm::exp(ln_x)) };
    bounded(se * (2.0 * log / mix.weight).sqrt())
}

/// Two-sided log e-value of `effect = 0` given estimate `d`; 0 (no evidence) on bad input.
#[must_use]
pub fn log_e_two_sided(d: f64, se: f64, tau: f64) -> f64 {
    let Some(mix) = Mixture::new(se, tau).filter(|_| d.is_finite()) else {
        return 0.0;
    };
    let z = d / se;
    bounded(0.5 * (z * z * mix.weight - mix.ln_one_plus_r))
}

/// One-sided log e-value of `effect <= 0`; positive `d` favours the effect.
#[must_use]
pub fn log_e_one_sided(d: f64, se: f64, tau: f64) -> f64 {
    let Some(mix) = Mixture::new(se, tau).filter(|_| d.is_finite()) else {
        return 0.0;
    };
    let u = (d / se) * mix.weight.sqrt();
    let base = core::f64::consts::LN_2 - 0.5 * mix.ln_one_plus_r;
    if u < -30.0 {
        // u^2/2 and lnPhi(u) cancel to the Mills ratio: -ln(-u) - ln(2 pi)/2 + ln(1 - 1/u^2 + ...).
        let y = 1.0 / (u * u);
        let series = libm::log1p(-y * (1.0 - 3.0 * y * (1.0 - 5.0 * y)));
        let mills = series - libm::log(-u) - super::special::HALF_LN_TWO_PI;
        return bounded(base + mills);
    }
    bounded(base + 0.5 * u * u + ln_phi(u))
}

/// `ln p = min(0, -log e)`: the always-valid p of one look, as a natural log.
///
/// The latched p of a test is the minimum over looks.
#[must_use]
pub fn ln_p_from_log_e(log_e: f64) -> f64 {
    if log_e.is_nan() { 0.0 } else { (-log_e).clamp(-UNBOUNDED, 0.0) }
}

/// `d ± half_width_two_sided`.
#[must_use]
pub fn interval_two_sided(d: f64, se: f64, tau: f64, alpha: f64) -> Interval {
    Interval::around(d, half_width_two_sided(se, tau, alpha))
}

/// The lower one-sided bound `[d - half, unbounded]`.
#[must_use]
pub fn lower_one_sided(d: f64, se: f64, tau: f64, alpha: f64) -> f64 {
    Interval::around(d, half_width_one_sided(se, tau, alpha)).lo
}

/// The upper one-sided bound `d + half`.
#[must_use]
pub fn upper_one_sided(d: f64, se: f64, tau: f64, alpha: f64) -> f64 {
    Interval::around(d, half_width_one_sided(se, tau, alpha)).hi
}

/// `sqrt(-2 ln a + ln(1 - 2 ln a))`: the factor of the default `tau = factor * SE_at_review`.
///
/// 2.82 at two-sided 0.05; pass `2 alpha` for a one-sided test (2.52). Statistics 1.1.
#[must_use]
pub fn default_tau_factor(alpha: f64) -> f64 {
    if !is_alpha(alpha) {
        return 1.0;
    }
    let log = -2.0 * libm::log(alpha);
    (log + libm::log1p(log)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 30 standard errors the other form takes over; log e goes on without a step.
    #[test]
    fn evidence_far_on_the_other_side_has_no_step() {
        let of = |u: f64| log_e_one_sided(u, 1.0, 1.0e9);
        let slope = (of(-29.99) - of(-29.999)) / 0.009;
        let across = of(-30.0 + 1e-7) - of(-30.0 - 1e-7);
        assert!((across - 2e-7 * slope).abs() < 1e-9, "{across} {slope}");
    }
}
