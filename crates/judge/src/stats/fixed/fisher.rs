//! Fisher's exact test of two proportions.
//!
//! Place in the line: `look: once` when an expected cell is below five.
//!
//! Formula: given both margins the treatment's successes are hypergeometric; two-sided p by
//! minimum likelihood (outcomes within 1e-7 relative of the observed likelihood count as equal).
//! Assumptions: independent units, one look. Invariants: p in (0, 1]; exact sums over the smaller
//! margin, in logs; `None` for an empty arm.

use super::super::special::ln_binom_pmf;
use super::super::two_arm::Proportion;
use super::Alternative;
use super::two_proportion::usable;

/// Largest number of outcomes summed; beyond it the normal test is accurate anyway.
const MAX_OUTCOMES: f64 = 5.0e6;

/// Fisher's exact p; `None` for unusable arms or more than five million possible outcomes.
#[must_use]
pub fn exact_p(
    treatment: &Proportion,
    control: &Proportion,
    alternative: Alternative,
) -> Option<f64> {
    if !usable(treatment) || !usable(control) {
        return None;
    }
    let (x, n_t) = (libm::round(treatment.x), libm::round(treatment.n));
    let n_c = libm::round(control.n);
    let hits = x + libm::round(control.x);
    let (low, high) = ((hits - n_c).max(0.0), hits.min(n_t));
    if high - low > MAX_OUTCOMES {
        return None;
    }
    // Hypergeometric as a ratio of binomials at the pooled rate; any rate gives the same law.
    let p = ((hits + 0.5) / (n_t + n_c + 1.0)).clamp(1.0e-12, 1.0 - 1.0e-12);
    let ln_pmf = |k: f64| {
        ln_binom_pmf(k, n_t, p) + ln_binom_pmf(hits - k, n_c, p) - ln_binom_pmf(hits, n_t + n_c, p)
    };
    let limit = ln_pmf(x) + 1.0e-7;
    let counts = |k: f64| match alternative {
        Alternative::TwoSided => ln_pmf(k) <= limit,
        Alternative::Greater => k >= x,
        Alternative::Less => k <= x,
    };
    let steps = (high - low) as u64;
    let total: f64 = (0..=steps)
        .map(|i| low + i as f64)
        .filter(|&k| counts(k))
        .map(|k| libm::exp(ln_pmf(k)))
        .sum();
    Some(total.min(1.0))
}
