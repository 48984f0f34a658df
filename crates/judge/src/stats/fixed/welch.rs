//! Welch's t test of two means (or ratios) from summary statistics.
//!
//! Place in the line: `look: once` for means and ratios; the t also serves non-inferiority.
//!
//! Formula (statistics 1.2): `t = (d - value)/sqrt(a + b)`, `a`, `b` the variances of the means,
//! `df = (a+b)^2/(a^2/(n_t-1) + b^2/(n_c-1))` (Welch 1947, Satterthwaite 1946).
//! Assumptions: independent units, means nearly normal. Invariants: `None` when both variances
//! are 0 or an arm has fewer than two units; p from the survival function.

use super::super::special::{t_cdf, t_isf, t_sf};
use super::super::{Contrast, Interval, is_alpha};
use super::Alternative;

/// One arm of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// Estimated mean or ratio.
    pub mean: f64,
    /// Variance of that estimate.
    pub variance_of_mean: f64,
    /// Units.
    pub n: f64,
}

/// A t statistic with its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// Difference treatment - control and its standard error.
    pub contrast: Contrast,
    /// Welch-Satterthwaite degrees of freedom.
    pub df: f64,
}

/// The test's ingredients; `None` without variance or units.
#[must_use]
pub fn welch(treatment: Side, control: Side) -> Option<Welch> {
    let (a, b) = (treatment.variance_of_mean, control.variance_of_mean);
    let total = a + b;
    let usable = treatment.n > 1.0 && control.n > 1.0 && total > 0.0 && total.is_finite();
    if !usable {
        return None;
    }
    // Scaled by the total first, so that squares of tiny variances do not underflow.
    let (s, u) = (a / total, b / total);
    let df = 1.0 / (s * s / (treatment.n - 1.0) + u * u / (control.n - 1.0));
    let contrast = Contrast::from_variance(treatment.mean - control.mean, total);
    df.is_finite().then_some(Welch { contrast, df })
}

impl Welch {
    /// The t statistic of "difference = `value`".
    #[must_use]
    pub fn t(&self, value: f64) -> f64 {
        super::super::bounded((self.contrast.estimate - value) / self.contrast.se)
    }

    /// p of "difference = `value`" against an alternative.
    #[must_use]
    pub fn p(&self, value: f64, alternative: Alternative) -> f64 {
        let t = self.t(value);
        match alternative {
            Alternative::TwoSided => (2.0 * t_sf(t.abs(), self.df)).min(1.0),
            Alternative::Greater => t_sf(t, self.df),
            Alternative::Less => t_cdf(t, self.df),
        }
    }

    /// Interval of the difference; one-sided alternatives leave the other end unbounded.
    #[must_use]
    pub fn interval(&self, alpha: f64, alternative: Alternative) -> Interval {
        if !is_alpha(alpha) {
            return Interval::ALL;
        }
        let tail = if alternative == Alternative::TwoSided { 0.5 * alpha } else { alpha };
        let both =
            Interval::around(self.contrast.estimate, t_isf(tail, self.df) * self.contrast.se);
        match alternative {
            Alternative::TwoSided => both,
            Alternative::Greater => Interval { lo: both.lo, hi: Interval::ALL.hi },
            Alternative::Less => Interval { lo: Interval::ALL.lo, hi: both.hi },
        }
    }
}
