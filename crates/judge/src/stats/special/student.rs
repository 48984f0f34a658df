//! Student's t distribution.
//!
//! Formulas: tail through the incomplete beta function; quantile by Newton steps inside a
//! bracket, from 1e4 degrees of freedom by the Cornish-Fisher expansion (Abramowitz & Stegun
//! 26.7.5), where the error is below 1e-16.
//! Invariants: symmetric; tails keep relative accuracy; NaN only for `df <= 0` or `p` outside
//! (0, 1).

use super::HALF_LN_TWO_PI;
use super::beta::betainc;
use super::gamma::stirling_error;
use super::normal::{norm_isf, norm_sf};

/// From here the expansion in 1/df is exact to machine precision.
const EXPANSION_FROM: f64 = 1.0e4;

/// From here the tail is the normal tail at a transformed point; the incomplete beta function would
/// lose digits, since its argument differs from 1 by `t^2/df` only.
const NORMAL_FROM: f64 = 1.0e6;

/// From here, and up to so many sd, the expansion is a good first guess.
const GUESS_FROM: f64 = 10.0;
const GUESS_TO: f64 = 6.0;
/// A relative Newton step of this size was the last one.
const SETTLED: f64 = 1.0e-9;

/// Upper tail `P(T > t)` with `df > 0` degrees of freedom (fractions allowed).
#[must_use]
pub fn t_sf(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - t_sf(-t, df);
    }
    if t.is_infinite() {
        return 0.0;
    }
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    if df >= NORMAL_FROM {
        return norm_sf(normal_equivalent(t, df));
    }
    let total = df + square;
    0.5 * betainc(0.5 * df, 0.5, df / total, square / total)
}

/// Distribution function `P(T <= t)`.
#[must_use]
pub fn t_cdf(t: f64, df: f64) -> f64 {
    if t < 0.0 { t_sf(-t, df) } else { 1.0 - t_sf(t, df) }
}

/// The point exceeded with probability `p`, `0 < p < 1`.
#[must_use]
pub fn t_isf(p: f64, df: f64) -> f64 {
    if !(p > 0.0 && p < 1.0 && df > 0.0) {
        return f64::NAN;
    }
    if p > 0.5 {
        return -t_isf(1.0 - p, df);
    }
    if df >= EXPANSION_FROM {
        return cornish_fisher(norm_isf(p), df);
    }
    solve(p, df)
}

/// Quantile `P(T <= t_quantile(p)) = p`.
#[must_use]
pub fn t_quantile(p: f64, df: f64) -> f64 {
    -t_isf(p, df)
}

/// The normal point with the same tail, the expansion of Abramowitz & Stegun 26.7.5 inverted.
fn normal_equivalent(t: f64, df: f64) -> f64 {
    let s = t * t;
    let g1 = (s + 1.0) * t / 4.0;
    let g2 = ((13.0 * s + 8.0) * s + 3.0) * t / 96.0;
    let g3 = (((35.0 * s + 19.0) * s + 1.0) * s - 15.0) * t / 384.0;
    // Beyond 40 sd the tail is 0 in double precision and the series would no longer converge.
    if t > 40.0 { t } else { t - (g1 - (g2 - g3 / df) / df) / df }
}

fn cornish_fisher(z: f64, df: f64) -> f64 {
    let s = z * z;
    let g1 = (s + 1.0) * z / 4.0;
    let g2 = ((5.0 * s + 16.0) * s + 3.0) * z / 96.0;
    let g3 = (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) * z / 384.0;
    let g4 = ((((79.0 * s + 776.0) * s + 1482.0) * s - 1920.0) * s - 945.0) * z / 92_160.0;
    z + (g1 + (g2 + (g3 + g4 / df) / df) / df) / df
}

fn ln_density(t: f64, df: f64) -> f64 {
    let half = 0.5 * df;
    // ln Gamma(half + 1/2) - ln Gamma(half) - ln(df)/2, by Stirling differences.
    let gammas =
        half * libm::log1p(0.5 / half) - 0.5 + stirling_error(half + 0.5) - stirling_error(half);
    gammas - HALF_LN_TWO_PI - 0.5 * (df + 1.0) * libm::log1p(t * t / df)
}

/// Newton on the log tail inside a bracket that is halved whenever a step leaves it.
fn solve(p: f64, df: f64) -> f64 {
    let guess = cornish_fisher(norm_isf(p), df);
    let (mut lo, mut hi, mut t) = if df >= GUESS_FROM && (0.1..GUESS_TO).contains(&guess) {
        (0.0, 10.0 * GUESS_TO, guess)
    } else {
        let hi = bracket(p, df);
        (0.0, hi, 0.5 * hi)
    };
    let target = libm::log(p);
    for _ in 0..200 {
        let tail = t_sf(t, df);
        if tail > p {
            lo = t;
        } else {
            hi = t;
        }
        let ln_tail = libm::log(tail);
        let slope = -libm::exp(ln_density(t, df) - ln_tail);
        let newton = t - (ln_tail - target) / slope;
        let is_inside = newton > lo && newton < hi;
        let next = if is_inside { newton } else { 0.5 * (lo + hi) };
        let moved = (next - t).abs();
        t = next;
        // A Newton step leaves about the square of what it moved.
        if moved <= 2.0 * f64::EPSILON * t || (is_inside && moved <= SETTLED * t) {
            break;
        }
    }
    t
}

fn bracket(p: f64, df: f64) -> f64 {
    let mut hi = 1.0;
    while t_sf(hi, df) > p && hi < 1.0e300 {
        hi *= 4.0;
    }
    hi
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The point has the tail it was asked for, guessed or bracketed; two of them by
    /// mpmath at thirty digits.
    #[test]
    fn quantiles_invert_their_tails() {
        for df in [1.0, 2.5, 9.9, 10.0, 11.3, 40.0, 333.3, 5_000.0, 9_999.0] {
            for p in [0.4, 0.1, 0.025, 1e-3, 1e-6, 1e-9, 1e-15] {
                let t = t_isf(p, df);
                let tail = t_sf(t, df);
                assert!((tail / p - 1.0).abs() < 1e-12, "df {df}, p {p}: {t} has {tail}");
            }
        }
        assert!((t_isf(0.025, 10.0) - 2.228_138_851_986_275).abs() < 1e-14);
        assert!((t_isf(0.025, 40.0) - 2.021_075_390_306_273_4).abs() < 1e-14);
    }
}
