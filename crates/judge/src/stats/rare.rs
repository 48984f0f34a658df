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
//! Allocation epochs: where the arms' shares of the units change, each epoch is its own factor with
//! the mixture learnt before ([`log_e_epochs`]).
//!
//! Assumptions: events are rare per unit (or Poisson per exposure) and the allocation
//! `n_t : n_c` is constant within an epoch. Invariants: no events or an empty arm: no evidence and
//! ratio interval [0, unbounded]; results finite.

use super::beta_mixture::log_e_beta;
use super::info_time::ln_p_from_log_e;
use super::{Interval, UNBOUNDED, bounded, is_alpha};

/// Concentration of the mixture of statistics 1.3: made for small deviations of many events. At
/// equal arms 29 events against none do not reject at 0.05; [`concentration`] is tuned instead.
pub const CONCENTRATION: f64 = 100.0;

/// The least rate ratio the mixture is tuned to (and its inverse): below ten events in an arm no
/// smaller one can be found, whatever the file aims at (ADR 0012).
pub const LEAST_RATIO: f64 = 2.0;

/// The concentration tuned to a rate ratio `target`, by the rule of statistics 1.4:
/// `k = q(1-q)/tau^2 - 1`, `tau` the change of treatment's share of events; within [2, 1e6].
///
/// `share`: treatment's planned share of the units of both arms, never the observed one. A target
/// within [1/[`LEAST_RATIO`], [`LEAST_RATIO`]] counts as that ratio.
#[must_use]
pub fn concentration(share: f64, target: f64) -> f64 {
    let target = if target >= 1.0 {
        target.max(LEAST_RATIO)
    } else if target >= 0.0 {
        target.min(1.0 / LEAST_RATIO)
    } else {
        LEAST_RATIO
    };
    let weight = target * share;
    let tau = weight / (weight + 1.0 - share) - share;
    let k = share * (1.0 - share) / (tau * tau) - 1.0;
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

/// Log e over allocation epochs, oldest first.
///
/// Each epoch's e-value is computed with the mixture as the earlier epochs left it: their
/// posterior, its odds carried to the epoch's own allocation. That is known before the epoch's
/// events, so the product stays an e-process; with one allocation throughout it is [`log_e_with`]
/// of the sum.
#[must_use]
pub fn log_e_epochs(epochs: &[Events], psi: f64, k: f64) -> f64 {
    let known = psi > 0.0 && k > 0.0 && k.is_finite();
    if !known {
        return 0.0;
    }
    // Odds of the mixture's centre relative to the null, and the weight behind it.
    let (mut odds, mut weight, mut sum) = (1.0, k, 0.0);
    for epoch in epochs.iter().filter(|epoch| epoch.usable()) {
        let null = epoch.share(psi);
        let events = epoch.treatment + epoch.control;
        if null <= 0.0 || null >= 1.0 || events == 0.0 {
            continue;
        }
        let null_odds = null / (1.0 - null);
        let centre = odds * null_odds / (1.0 + odds * null_odds);
        let (a, b) = (weight * centre, weight * (1.0 - centre));
        if !(a > 0.0 && b > 0.0) {
            continue;
        }
        sum += log_e_beta(a, b, epoch.treatment, events, null);
        odds = (a + epoch.treatment) / (b + epoch.control) / null_odds;
        weight += events;
    }
    bounded(sum)
}

/// The rate ratios not rejected over allocation epochs, by bisection outwards from the
/// Mantel-Haenszel ratio; [`interval_with`] for a single epoch.
#[must_use]
pub fn interval_epochs(epochs: &[Events], alpha: f64, k: f64) -> Interval {
    if let [epoch] = epochs {
        return interval_with(epoch, alpha, k);
    }
    let usable = epochs.iter().filter(|epoch| epoch.usable());
    let (top, bottom) = usable.fold((0.0, 0.0), |(top, bottom), epoch| {
        let size = epoch.treatment_size + epoch.control_size;
        let own = epoch.treatment * (epoch.control_size / size);
        (top + own, bottom + epoch.control * (epoch.treatment_size / size))
    });
    if !is_alpha(alpha) || top + bottom == 0.0 {
        return Interval { lo: 0.0, hi: UNBOUNDED };
    }
    let limit = -libm::log(alpha);
    let inside = |log_psi: f64| log_e_epochs(epochs, libm::exp(log_psi), k) < limit;
    let centre = libm::log(top.max(1.0e-300) / bottom.max(1.0e-300)).clamp(-LOG_REACH, LOG_REACH);
    let end = |far: f64| if inside(far) { None } else { Some(outer(centre, far, inside)) };
    let lo = if top == 0.0 { None } else { end(-LOG_REACH) };
    let hi = if bottom == 0.0 { None } else { end(LOG_REACH) };
    Interval::of(lo.map_or(0.0, libm::exp), hi.map_or(UNBOUNDED, libm::exp))
}

/// Log of the largest rate ratio that is searched.
const LOG_REACH: f64 = 40.0;

/// Bisection from inside to outside; returns the outer side.
fn outer(mut inside: f64, mut outside: f64, is_inside: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = 0.5 * (inside + outside);
        if middle == inside || middle == outside {
            break;
        }
        if is_inside(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
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
