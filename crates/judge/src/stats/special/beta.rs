//! Regularised incomplete beta function and the binomial distribution.
//!
//! Formulas: continued fraction 26.5.8 of Abramowitz & Stegun evaluated by Lentz's method, its
//! prefactor in deviance form; above 1e9 (where the fraction needs too many terms) the leading
//! terms of Temme's uniform expansion, whose relative error there is below 1e-9.
//! Invariants: results lie in [0, 1]; tails are computed directly, never as `1 - other`.

use super::HALF_LN_TWO_PI;
use super::gamma::{MAX_TERMS, TINY, deviance, stirling_error};

/// Above this `a + b` the uniform expansion replaces the continued fraction.
const UNIFORM_FROM: f64 = 1.0e9;

/// `I_x(a, b)` with both `x` and `y = 1 - x` given, so that neither tail loses digits.
///
/// Shapes `a, b > 0`; `a` counts towards `x`.
#[must_use]
pub fn betainc(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    if a.min(b) > 100.0 && a + b > UNIFORM_FROM {
        return uniform(a, b, x, y);
    }
    if x < (a + 1.0) / (a + b + 2.0) { lower(a, b, x, y) } else { 1.0 - lower(b, a, y, x) }
}

/// `ln( x^a y^b / B(a,b) )`.
fn ln_prefactor(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    0.5 * (libm::log(a) + libm::log(b) - libm::log(n)) - HALF_LN_TWO_PI + stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
        - deviance(a, n * x)
        - deviance(b, n * y)
}

/// The tail on the fraction's fast side.
fn lower(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let factor = libm::exp(ln_prefactor(a, b, x, y)) / a;
    (factor * fraction(a, b, x)).clamp(0.0, 1.0)
}

/// Lentz evaluation of the continued fraction of `I_x(a,b)`.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let n = a + b;
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - n * x / (a + 1.0));
    let mut h = d;
    for i in 1..MAX_TERMS {
        let m = i as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (n + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let delta = d * c;
        h *= delta;
        if (delta - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    h
}

/// Temme (1992): `I_x = erfc(-eta sqrt(n/2))/2 + correction`, first two orders.
fn uniform(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let dev = deviance(a, n * x) + deviance(b, n * y);
    let gap = n * x - a;
    let root = if gap < 0.0 { -(2.0 * dev).sqrt() } else { (2.0 * dev).sqrt() };
    let main = 0.5 * libm::erfc(-root * core::f64::consts::FRAC_1_SQRT_2);
    let density = libm::exp(-dev - HALF_LN_TWO_PI);
    let spread = (a * b / n).sqrt();
    // (1/root - spread/gap) has a removable singularity at the mean; near it the limit is closer
    // to the truth than the difference, whose two terms cancel.
    let term =
        if root.abs() < 0.5 { (b - a) / (3.0 * n * spread) } else { 1.0 / root - spread / gap };
    (main + density * term).clamp(0.0, 1.0)
}

/// `ln P(X = k)` for `n` trials with probability `p` (`q = 1 - p`), `0 <= k <= n`.
#[must_use]
pub fn ln_binom_pmf(k: f64, n: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    if p <= 0.0 || q <= 0.0 {
        let sure = if p <= 0.0 { 0.0 } else { n };
        return if k == sure { 0.0 } else { f64::NEG_INFINITY };
    }
    if k == 0.0 {
        return n * libm::log1p(-p);
    }
    if k == n {
        return n * libm::log(p);
    }
    let rest = n - k;
    0.5 * (libm::log(n) - libm::log(k) - libm::log(rest)) - HALF_LN_TWO_PI + stirling_error(n)
        - stirling_error(k)
        - stirling_error(rest)
        - deviance(k, n * p)
        - deviance(rest, n * q)
}

/// `P(X = k)`.
#[must_use]
pub fn binom_pmf(k: f64, n: f64, p: f64) -> f64 {
    libm::exp(ln_binom_pmf(k, n, p))
}

/// `P(X <= k)`.
#[must_use]
pub fn binom_cdf(k: f64, n: f64, p: f64) -> f64 {
    if k < 0.0 {
        0.0
    } else if k >= n {
        1.0
    } else {
        betainc(n - k, k + 1.0, 1.0 - p, p)
    }
}

/// `P(X >= k)`, the tail that contains `k`.
#[must_use]
pub fn binom_sf(k: f64, n: f64, p: f64) -> f64 {
    if k <= 0.0 {
        1.0
    } else if k > n {
        0.0
    } else {
        betainc(k, n - k + 1.0, p, 1.0 - p)
    }
}
