//! Two Poisson rates, and one, at a fixed horizon.
//!
//! Place in the line: `look: once` for form `rate`; the displayed interval of a rate.
//!
//! Formulas (Gu, Ng, Tang & Schucany 2008), `k = E_t/E_c`, `H0: ratio = 1`:
//! score `(c_t - k c_c)/sqrt(k (c_t + c_c))`; Wald `(c_t - k c_c)/sqrt(c_t + k^2 c_c)`; square root
//! `2 (sqrt(c_t + 3/8) - sqrt(k (c_c + 3/8)))/sqrt(1 + k)`; exact conditional: `c_t` is binomial
//! with probability `k/(1+k)`, also as mid-p. Ratio intervals by inverting the score statistic
//! (a quadratic) and by the log method with halves added; one rate: Garwood (1936) exact, score.
//! Assumptions: Poisson counts (else widen by phi), one look. Invariants: `None` where 0/0 or
//! without exposure.

use super::super::binomial;
use super::super::special::{binom_pmf, gamma_p, norm_isf};
use super::super::two_arm::Count;
use super::super::{Interval, UNBOUNDED, is_alpha};
use super::Alternative;

fn usable(count: &Count) -> bool {
    count.events >= 0.0 && count.events.is_finite() && count.exposure > 0.0
}

/// Which normal statistic compares the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Variance under equality.
    Score,
    /// Variance at the observed counts.
    Wald,
    /// Variance-stabilised.
    SquareRoot,
}

/// The normal statistic of "equal rates"; `None` when 0/0.
#[must_use]
pub fn z(treatment: &Count, control: &Count, statistic: Statistic) -> Option<f64> {
    if !usable(treatment) || !usable(control) {
        return None;
    }
    let k = treatment.exposure / control.exposure;
    let (t, c) = (treatment.events, control.events);
    let z = match statistic {
        Statistic::Score => (t - k * c) / (k * (t + c)).sqrt(),
        Statistic::Wald => (t - k * c) / (t + k * k * c).sqrt(),
        Statistic::SquareRoot => {
            2.0 * ((t + 0.375).sqrt() - (k * (c + 0.375)).sqrt()) / (1.0 + k).sqrt()
        }
    };
    z.is_finite().then_some(z)
}

/// Exact conditional p of "equal rates"; `None` without events.
#[must_use]
pub fn exact_conditional_p(
    treatment: &Count,
    control: &Count,
    alternative: Alternative,
) -> Option<f64> {
    let (total, q) = conditional(treatment, control)?;
    binomial::exact_p(treatment.events, total, q, alternative)
}

/// Mid-p of the exact conditional test, two-sided: half the observed outcome's probability less.
#[must_use]
pub fn mid_p(treatment: &Count, control: &Count) -> Option<f64> {
    let (total, q) = conditional(treatment, control)?;
    let p = exact_conditional_p(treatment, control, Alternative::TwoSided)?;
    Some(p - 0.5 * binom_pmf(libm::round(treatment.events), libm::round(total), q))
}

fn conditional(treatment: &Count, control: &Count) -> Option<(f64, f64)> {
    let total = treatment.events + control.events;
    let possible = usable(treatment) && usable(control) && total > 0.0;
    let exposure = treatment.exposure + control.exposure;
    possible.then(|| (total, treatment.exposure / exposure))
}

/// Log-method interval of the rate ratio with one half added to both counts.
#[must_use]
pub fn ratio_log(treatment: &Count, control: &Count, alpha: f64) -> Option<Interval> {
    if !usable(treatment) || !usable(control) || !is_alpha(alpha) {
        return None;
    }
    let (t, c) = (treatment.events + 0.5, control.events + 0.5);
    let centre = libm::log(t / c) - libm::log(treatment.exposure / control.exposure);
    let half = norm_isf(0.5 * alpha) * (1.0 / t + 1.0 / c).sqrt();
    Some(Interval::of(libm::exp(centre - half), libm::exp(centre + half)))
}

/// Score interval of the rate ratio; without any event the log method, with no control event
/// unbounded above.
#[must_use]
pub fn ratio_score(treatment: &Count, control: &Count, alpha: f64) -> Option<Interval> {
    let log = ratio_log(treatment, control, alpha)?;
    let (t, c) = (treatment.events, control.events);
    if t + c == 0.0 {
        return Some(log);
    }
    let z = norm_isf(0.5 * alpha);
    let scale = control.exposure / treatment.exposure;
    // c^2 x^2 - (2 t c + z^2 (t + c)) x + t^2 = 0 in x = ratio * E_t/E_c
    let half = t * c + 0.5 * z * z * (t + c);
    let root = (half * half - t * t * c * c).max(0.0).sqrt();
    let hi = if c == 0.0 { UNBOUNDED } else { (half + root) / (c * c) * scale };
    // The maximum also turns an underflowed 0/0 into the bound 0.
    let lo = (t * t / (half + root) * scale).max(0.0);
    Some(Interval::of(lo, hi))
}

/// Exact (Garwood) interval of one rate.
#[must_use]
pub fn rate_exact(count: &Count, alpha: f64) -> Option<Interval> {
    if !usable(count) || !is_alpha(alpha) {
        return None;
    }
    let c = libm::round(count.events);
    let lo = if c == 0.0 { 0.0 } else { gamma_quantile(0.5 * alpha, c) };
    let hi = gamma_quantile(1.0 - 0.5 * alpha, c + 1.0);
    Some(Interval::of(lo / count.exposure, hi / count.exposure))
}

/// Score interval of one rate.
#[must_use]
pub fn rate_score(count: &Count, alpha: f64) -> Option<Interval> {
    if !usable(count) || !is_alpha(alpha) {
        return None;
    }
    let z = norm_isf(0.5 * alpha);
    let centre = count.events + 0.5 * z * z;
    let half = z * (count.events + 0.25 * z * z).sqrt();
    let lo = ((centre - half) / count.exposure).max(0.0);
    Some(Interval::of(lo, (centre + half) / count.exposure))
}

/// Quantile of the Gamma distribution with a given shape and rate 1, by bisection.
fn gamma_quantile(p: f64, shape: f64) -> f64 {
    let (mut lo, mut hi) = (0.0, 2.0 * shape + 10.0);
    while gamma_p(shape, hi) < p {
        hi *= 2.0;
    }
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if gamma_p(shape, mid) < p {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    0.5 * (lo + hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `gamma.ppf` of scipy 1.17, as distances from the count, in its square roots.
    #[test]
    fn an_exact_interval_of_a_huge_count_is_a_normal_one() {
        for (events, lo, hi) in [
            (1e10, -1.959_954_513, 1.959_983_456),
            (1e12, -1.959_963_037, 1.959_965_932),
            (1e15, -1.959_963_954, 1.959_964_045),
        ] {
            let found = rate_exact(&Count { events, exposure: 1.0 }, 0.05).unwrap();
            let of = |end: f64| (end - events) / libm::sqrt(events);
            assert!((of(found.lo) - lo).abs() < 1e-6, "{events}: {found:?}");
            assert!((of(found.hi) - hi).abs() < 1e-6, "{events}: {found:?}");
        }
    }
}
