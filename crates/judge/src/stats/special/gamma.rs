//! Gamma family: log gamma, log beta, incomplete gamma, Poisson and chi-square tails.
//!
//! Formulas: Abramowitz & Stegun 6.1.41 (Stirling), 6.5.29 and 6.5.31 (incomplete gamma by series
//! and continued fraction), Loader (2000) for the deviance.
//! Invariants: probabilities lie in [0, 1]; no cancellation at `x ~ m`.

use super::HALF_LN_TWO_PI;

/// Natural log of the gamma function for `x > 0`.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Error of Stirling's formula: `ln Gamma(x) - [(x-1/2) ln x - x + ln(2 pi)/2]`, `x > 0`.
///
/// From 10 upwards the asymptotic series (Abramowitz & Stegun 6.1.41), below the difference
/// itself, whose terms are small there.
#[must_use]
pub fn stirling_error(x: f64) -> f64 {
    if x < 10.0 {
        return libm::lgamma(x) - ((x - 0.5) * libm::log(x) - x + HALF_LN_TWO_PI);
    }
    let y = 1.0 / (x * x);
    let tail = 1.0 / 1188.0 + y * (-691.0 / 360_360.0 + y / 156.0);
    let series = -1.0 / 360.0 + y * (1.0 / 1260.0 + y * (-1.0 / 1680.0 + y * tail));
    (1.0 / 12.0 + y * series) / x
}

/// Loader's deviance `x ln(x/m) + m - x` for `x >= 0`, `m > 0`, without cancellation at `x ~ m`.
#[must_use]
pub fn deviance(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return m;
    }
    let gap = x - m;
    if gap.abs() >= 0.1 * (x + m) {
        return x * (libm::log(x) - libm::log(m)) - gap;
    }
    let v = gap / (x + m);
    let mut sum = gap * v;
    let mut term = 2.0 * x * v;
    let square = v * v;
    for j in 1..64 {
        term *= square;
        let next = sum + term / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// Natural log of the beta function, `a, b > 0`, stable for huge arguments.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let n = a + b;
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    // ln(large/n) through log1p: large/n may be 1 - 1e-17.
    let ln_large = -libm::log1p(small / large);
    let ln_small = libm::log(small) - libm::log(n);
    HALF_LN_TWO_PI - 0.5 * libm::log(n)
        + (small - 0.5) * ln_small
        + (large - 0.5) * ln_large
        + stirling_error(a)
        + stirling_error(b)
        - stirling_error(n)
}

/// `ln( x^a e^-x / Gamma(a) )`, the common factor of both expansions of the incomplete gamma.
fn ln_prefactor(a: f64, x: f64) -> f64 {
    0.5 * libm::log(a) - HALF_LN_TWO_PI - stirling_error(a) - deviance(a, x)
}

/// `P(a,x)` and `Q(a,x)`: the smaller one computed, the other its complement.
fn gamma_pq(a: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x.is_infinite() {
        return (1.0, 0.0);
    }
    let factor = libm::exp(ln_prefactor(a, x));
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        for _ in 0..MAX_TERMS {
            k += 1.0;
            term *= x / k;
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        let p = (factor * sum).clamp(0.0, 1.0);
        (p, 1.0 - p)
    } else {
        let q = (factor * upper_fraction(a, x)).clamp(0.0, 1.0);
        (1.0 - q, q)
    }
}

/// Most terms of a series or fraction; reached only far beyond 1e9 degrees of freedom.
pub(super) const MAX_TERMS: usize = 300_000;
/// Keeps denominators of Lentz's method away from zero.
pub(super) const TINY: f64 = 1.0e-300;

/// Continued fraction of `Q(a,x) * Gamma(a) / (x^a e^-x)` by Lentz's method.
fn upper_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..MAX_TERMS {
        let k = i as f64;
        let an = -k * (k - a);
        b += 2.0;
        d = an * d + b;
        if d.abs() < TINY {
            d = TINY;
        }
        c = b + an / c;
        if c.abs() < TINY {
            c = TINY;
        }
        d = 1.0 / d;
        let delta = d * c;
        h *= delta;
        if (delta - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    h
}

/// Regularised lower incomplete gamma `P(a,x)`, `a > 0`.
#[must_use]
pub fn gamma_p(a: f64, x: f64) -> f64 {
    gamma_pq(a, x).0
}

/// Regularised upper incomplete gamma `Q(a,x)`, `a > 0`.
#[must_use]
pub fn gamma_q(a: f64, x: f64) -> f64 {
    gamma_pq(a, x).1
}

/// Upper tail of the chi-square distribution with `df` degrees of freedom.
#[must_use]
pub fn chi_square_sf(x: f64, df: f64) -> f64 {
    gamma_q(0.5 * df, 0.5 * x)
}

/// `P(X = k)` for a Poisson count with mean `mean > 0`.
#[must_use]
pub fn poisson_pmf(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return libm::exp(-mean);
    }
    let ln = -HALF_LN_TWO_PI - 0.5 * libm::log(k) - stirling_error(k) - deviance(k, mean);
    libm::exp(ln)
}

/// `P(X <= k)` for a Poisson count.
#[must_use]
pub fn poisson_cdf(k: f64, mean: f64) -> f64 {
    if k < 0.0 { 0.0 } else { gamma_q(libm::floor(k) + 1.0, mean) }
}

/// `P(X >= k)` for a Poisson count (the tail that contains `k`).
#[must_use]
pub fn poisson_sf(k: f64, mean: f64) -> f64 {
    if k <= 0.0 { 1.0 } else { gamma_p(libm::ceil(k), mean) }
}
