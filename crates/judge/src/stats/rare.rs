//! Exact comparison of two arms with rare events, valid at every look.
//!
//! Place in the line: proportions and rates in two arms when an arm has fewer than ten events.
//!
//! Formula (statistics 1.3; Lindon & Malek 2022, arXiv 2011.03567): given `S = c_t + c_c` events,
//! each is a treatment event with probability `q = psi n_t/(psi n_t + n_c)` when the rate ratio is
//! `psi`. `log e(psi) = lnB(k q + c_t, k(1-q) + c_c) - lnB(k q, k(1-q)) - c_t ln q - c_c ln(1-q)`,
//! `k = 100`. The interval on the rate ratio is `{psi : log e(psi) < ln(1/alpha)}`, by bisection
//! over `q` from the estimate outwards.
//!
//! Assumptions: events are rare per unit (or Poisson per exposure) and the allocation
//! `n_t : n_c` is constant; after a change of allocation sum the log e's of the epochs
//! ([`log_e_epochs`]). Invariants: no events or an empty arm: no evidence and ratio interval
//! [0, unbounded]; results finite.

use super::beta_mixture::log_e_beta;
use super::info_time::ln_p_from_log_e;
use super::{Interval, UNBOUNDED, bounded, is_alpha};

/// Concentration of the mixture (statistics 1.3): made for small deviations of many events.
///
/// Nine events against none do not reject at this value; [`concentration`] tunes the mixture to
/// the rate ratio the file speaks of.
pub const CONCENTRATION: f64 = 100.0;

/// The concentration tuned to a rate ratio `target` (not 1), by the rule of statistics 1.4:
/// `k = q(1-q)/tau^2 - 1`, `tau` the change of treatment's share of events; within [2, 1e6].
#[must_use]
pub fn concentration(events: &Events, target: f64) -> f64 {
    let q = events.share(1.0);
    let tau = events.share(target) - q;
    let k = q * (1.0 - q) / (tau * tau) - 1.0;
    if k.is_nan() { CONCENTRATION } else { k.clamp(2.0, 1.0e6) }
}

/// Events and units (or exposure) of both arms during one allocation epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events {
    /// Events of the treatment arm.
    pub treatment: f64,
    /// Units or exposure of the treatment arm.
    pub treatment_size: f64,
    /// Events of the control arm.
    pub control: f64,
    /// Units or exposure of the control arm.
    pub control_size: f64,
}

impl Events {
    fn usable(&self) -> bool {
        let counts = self.treatment >= 0.0 && self.control >= 0.0;
        let sizes = self.treatment_size > 0.0 && self.control_size > 0.0;
        let finite = (self.treatment + self.control).is_finite()
            && (self.treatment_size + self.control_size).is_finite();
        counts && sizes && finite
    }

    /// Treatment's expected share of the events at rate ratio `psi`.
    fn share(&self, psi: f64) -> f64 {
        let weight = psi * (self.treatment_size / self.control_size);
        if weight.is_infinite() { 1.0 } else { weight / (weight + 1.0) }
    }

    /// The rate ratio at which treatment's expected share is `q`.
    fn ratio(&self, q: f64) -> f64 {
        if q >= 1.0 {
            return UNBOUNDED;
        }
        bounded(q / (1.0 - q) * (self.control_size / self.treatment_size))
    }
}

/// Log e-value of "rate ratio treatment/control = `psi`", `psi > 0`; 0 on unusable input.
#[must_use]
pub fn log_e(events: &Events, psi: f64) -> f64 {
    log_e_with(events, psi, CONCENTRATION)
}

/// [`log_e`] with a concentration `k > 0` fixed before data.
#[must_use]
pub fn log_e_with(events: &Events, psi: f64, k: f64) -> f64 {
    let known = psi > 0.0 && k > 0.0 && k.is_finite();
    if !events.usable() || !known {
        return 0.0;
    }
    let share = events.share(psi);
    bounded(log_e_share(events.treatment, events.control, share, k))
}

/// Natural log of the always-valid p of "rate ratio = `psi`" at this look.
#[must_use]
pub fn ln_p(events: &Events, psi: f64) -> f64 {
    ln_p_from_log_e(log_e(events, psi))
}

/// Log e summed over allocation epochs: the product of independent e-values is an e-value.
#[must_use]
pub fn log_e_epochs(epochs: &[Events], psi: f64) -> f64 {
    bounded(epochs.iter().map(|epoch| log_e(epoch, psi)).sum())
}

/// The rate ratios treatment/control not rejected at `alpha`, within [0, [`UNBOUNDED`]].
#[must_use]
pub fn interval(events: &Events, alpha: f64) -> Interval {
    interval_with(events, alpha, CONCENTRATION)
}

/// [`interval`] with a concentration `k > 0` fixed before data.
#[must_use]
pub fn interval_with(events: &Events, alpha: f64, k: f64) -> Interval {
    let total = events.treatment + events.control;
    let known = is_alpha(alpha) && k > 0.0 && k.is_finite();
    if !events.usable() || !known || total == 0.0 {
        return Interval { lo: 0.0, hi: UNBOUNDED };
    }
    let limit = -libm::log(alpha);
    let low = edge((events.treatment, events.control), k, limit);
    // The upper end is the lower end of the mirrored question, which keeps shares near 1 exact.
    let high = edge((events.control, events.treatment), k, limit);
    let hi = if high <= 0.0 {
        UNBOUNDED
    } else {
        (1.0 - high) / high * (events.control_size / events.treatment_size)
    };
    Interval::of(events.ratio(low), hi)
}

/// Log e of share `q` with the mixture centred there.
fn log_e_share(own: f64, other: f64, q: f64, k: f64) -> f64 {
    if q <= 0.0 || q >= 1.0 {
        let excluded = if q <= 0.0 { own > 0.0 } else { other > 0.0 };
        return if excluded { UNBOUNDED } else { 0.0 };
    }
    log_e_beta(k * q, k * (1.0 - q), own, own + other, q)
}

/// Smallest share of the first count not rejected: bisection between 0 and the observed share.
///
/// With a single event no share is excluded on this side (the mixture's centre moves with `q`),
/// and the end is 0.
fn edge((own, other): (f64, f64), k: f64, limit: f64) -> f64 {
    let (mut lo, mut hi) = (0.0, own / (own + other));
    if own == 0.0 || log_e_share(own, other, f64::MIN_POSITIVE, k) < limit {
        return 0.0;
    }
    for _ in 0..1200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if log_e_share(own, other, mid, k) < limit {
            hi = mid;
        } else {
            lo = mid;
        }
    }
    lo
}
