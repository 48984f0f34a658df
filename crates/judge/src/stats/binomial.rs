//! One proportion at a fixed horizon: exact tests and classical intervals.
//!
//! Place in the line: `look: once` against a stated baseline, burn-rate windows (exact p), Wilson
//! intervals of displays and of the proxy hit score. The always-valid test is
//! [`super::one_proportion`].
//!
//! Formulas (statistics 1.4): two-sided p by minimum likelihood (sum of all outcomes no likelier
//! than the observed one); Clopper & Pearson (1934) by inverting the binomial tails; Wilson (1927)
//! `(x + z^2/2 -+ z sqrt(x(n-x)/n + z^2/4))/(n + z^2)`; Jeffreys from Beta(x+1/2, n-x+1/2); Agresti
//! & Coull (1998).
//!
//! Assumptions: independent units, one look. Counts are rounded to integers for exact tails.
//! Invariants: intervals lie in [0, 1]; `None` without units.

use super::fixed::Alternative;
use super::special::{betainc, binom_cdf, binom_sf, ln_binom_pmf, norm_isf};
use super::{Interval, is_alpha};

fn usable(x: f64, n: f64) -> Option<(f64, f64)> {
    let (x, n) = (libm::round(x), libm::round(n));
    (n > 0.0 && n.is_finite() && x >= 0.0 && x <= n).then_some((x, n))
}

/// Exact p of `x` successes in `n` against probability `p`.
#[must_use]
pub fn exact_p(x: f64, n: f64, p: f64, alternative: Alternative) -> Option<f64> {
    let (x, n) = usable(x, n)?;
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    match alternative {
        Alternative::TwoSided => two_sided_p(x, n, p),
        Alternative::Greater => Some(binom_sf(x, n, p)),
        Alternative::Less => Some(binom_cdf(x, n, p)),
    }
}

/// Two-sided exact p by minimum likelihood.
///
/// Outcomes within 1e-7 (relative) of the observed likelihood count as equally likely, which is
/// the convention of the reference libraries.
#[must_use]
pub fn two_sided_p(x: f64, n: f64, p: f64) -> Option<f64> {
    let (x, n) = usable(x, n)?;
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    let mean = n * p;
    if x == mean {
        return Some(1.0);
    }
    let limit = ln_binom_pmf(x, n, p) + 1.0e-7;
    let total = if x < mean {
        // First outcome on the far side that is no likelier than x.
        let far = first_unlikely(libm::ceil(mean), n, |k| ln_binom_pmf(k, n, p) <= limit);
        binom_cdf(x, n, p) + far.map_or(0.0, |k| binom_sf(k, n, p))
    } else {
        let mirror = |k: f64| ln_binom_pmf(libm::floor(mean) - k, n, p) <= limit;
        let far = first_unlikely(0.0, libm::floor(mean), mirror);
        binom_sf(x, n, p) + far.map_or(0.0, |k| binom_cdf(libm::floor(mean) - k, n, p))
    };
    Some(total.min(1.0))
}

/// Smallest integer in `[from, to]` where the monotone condition holds.
fn first_unlikely(from: f64, to: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    if from > to || !holds(to) {
        return None;
    }
    let (mut lo, mut hi) = (from, to);
    while lo < hi {
        let mid = lo + libm::floor(0.5 * (hi - lo));
        // Beyond 2^53 whole numbers are further apart than 1: stop where no step is left.
        if mid >= hi || mid + 1.0 == mid && mid == lo {
            break;
        }
        if holds(mid) {
            hi = mid;
        } else {
            lo = mid + 1.0;
        }
    }
    Some(hi)
}

/// Splits `alpha` over the sides an interval has: the tail below, the tail above.
fn tails(alpha: f64, alternative: Alternative) -> (Option<f64>, Option<f64>) {
    match alternative {
        Alternative::TwoSided => (Some(0.5 * alpha), Some(0.5 * alpha)),
        Alternative::Greater => (Some(alpha), None),
        Alternative::Less => (None, Some(alpha)),
    }
}

/// Clopper-Pearson interval; one-sided alternatives leave the other end at 0 or 1.
#[must_use]
pub fn clopper_pearson(x: f64, n: f64, alpha: f64, alternative: Alternative) -> Option<Interval> {
    let (x, n) = usable(x, n).filter(|_| is_alpha(alpha))?;
    let (below, above) = tails(alpha, alternative);
    let lo = below.filter(|_| x > 0.0).map_or(0.0, |tail| beta_quantile(tail, x, n - x + 1.0));
    let hi = above.filter(|_| x < n).map_or(1.0, |tail| 1.0 - beta_quantile(tail, n - x, x + 1.0));
    Some(Interval::of(lo, hi))
}

/// Jeffreys interval: equal tails of Beta(x + 1/2, n - x + 1/2).
#[must_use]
pub fn jeffreys(x: f64, n: f64, alpha: f64) -> Option<Interval> {
    let (x, n) = usable(x, n).filter(|_| is_alpha(alpha))?;
    let (a, b) = (x + 0.5, n - x + 0.5);
    let tail = 0.5 * alpha;
    Some(Interval::of(beta_quantile(tail, a, b), 1.0 - beta_quantile(tail, b, a)))
}

/// Quantile of Beta(a, b) at a lower-tail probability, by bisection.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut lo, mut hi) = (0.0, 1.0);
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if betainc(a, b, mid, 1.0 - mid) < p {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    0.5 * (lo + hi)
}

/// Wilson's score interval.
#[must_use]
pub fn wilson(x: f64, n: f64, alpha: f64, alternative: Alternative) -> Option<Interval> {
    if !(n > 0.0 && n.is_finite() && x >= 0.0 && x <= n && is_alpha(alpha)) {
        return None;
    }
    let (below, above) = tails(alpha, alternative);
    let end = |tail: Option<f64>, sign: f64| {
        let z = norm_isf(tail?);
        let root = (x * ((n - x) / n) + 0.25 * z * z).sqrt();
        Some(((x + 0.5 * z * z + sign * z * root) / (n + z * z)).clamp(0.0, 1.0))
    };
    let lo = if x == 0.0 { 0.0 } else { end(below, -1.0).unwrap_or(0.0) };
    let hi = if x == n { 1.0 } else { end(above, 1.0).unwrap_or(1.0) };
    Some(Interval::of(lo, hi))
}

/// Wilson's interval for a normal statistic `z >= 0` instead of an error rate.
#[must_use]
pub fn wilson_z(x: f64, n: f64, z: f64) -> Interval {
    let root = (x * ((n - x) / n) + 0.25 * z * z).sqrt();
    let end = |sign: f64| (x + 0.5 * z * z + sign * z * root) / (n + z * z);
    Interval::of(end(-1.0).clamp(0.0, 1.0), end(1.0).clamp(0.0, 1.0))
}

/// Agresti-Coull interval, clipped to [0, 1].
#[must_use]
pub fn agresti_coull(x: f64, n: f64, alpha: f64) -> Option<Interval> {
    if !(n > 0.0 && n.is_finite() && x >= 0.0 && x <= n && is_alpha(alpha)) {
        return None;
    }
    let z = norm_isf(0.5 * alpha);
    let size = n + z * z;
    let p = (x + 0.5 * z * z) / size;
    let rest = (n - x + 0.5 * z * z) / size;
    let half = z * (p * rest / size).sqrt();
    Some(Interval::of((p - half).max(0.0), (p + half).min(1.0)))
}

/// The normal statistic with the variance of the tested value, `(p - p0)/sqrt(p0 q0/n)`.
#[must_use]
pub fn z_null_variance(x: f64, n: f64, p0: f64) -> Option<f64> {
    let se = (p0 * (1.0 - p0) / n).sqrt();
    let z = (x / n - p0) / se;
    z.is_finite().then_some(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_where_whole_numbers_are_further_apart_than_one() {
        for (from, to) in [(0.0, 2.0e16), (1.0e16, 2.0e16), (0.0, 1.7e308), (1.0e300, 1.7e308)] {
            let bound = 0.25 * from + 0.75 * to;
            let found = first_unlikely(from, to, |k| k >= bound).unwrap();
            assert!(found >= bound && found / bound - 1.0 < 1e-15, "{from} {to}: {found}");
        }
        assert_eq!(first_unlikely(3.0, 900.0, |k| k >= 17.0), Some(17.0));
        assert_eq!(first_unlikely(3.0, 900.0, |_| true), Some(3.0));
        assert_eq!(first_unlikely(3.0, 900.0, |_| false), None);
        let huge = two_sided_p(1.0e300, 1.7e308, 0.3);
        assert!(huge.is_none_or(|p| (0.0..=1.0).contains(&p)), "{huge:?}");
    }
}
