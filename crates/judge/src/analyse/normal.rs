//! Two normal means and the information-time engine on their contrast.
//!
//! Part of `analyse`: the basis of every form without an exact test (statistics.md 1.1, 1.2, 1.5),
//! and the contrast behind t tests. A relative null is the linear contrast `m_t - (1+r) m_c`.

use super::basis::{Null, smooth_edge};
use super::measure::Bound;
use crate::spec::Side;
use crate::stats::{Contrast, Degenerate, Interval, Sides, UNBOUNDED, info_time};

/// Relative to the means, what sums and quotients of them may be off by.
const LAST_DIGITS: f64 = 1e-13;

/// Two normal means: `(mean, variance of the mean)` of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normal {
    pub(super) treatment: (f64, f64),
    pub(super) comparison: (f64, f64),
    /// Covariance of the two means (paired series).
    pub(super) covariance: f64,
    /// Whether the comparison grows with time too (a concurrent arm).
    pub(super) both_grow: bool,
}

impl Normal {
    /// Against a constant.
    pub(super) fn against(constant: f64, treatment: (f64, f64)) -> Self {
        Self { treatment, comparison: (constant, 0.0), covariance: 0.0, both_grow: false }
    }

    /// Both variances times a dispersion factor.
    pub(super) fn widened(self, phi: f64) -> Self {
        let wide = |(mean, variance): (f64, f64)| (mean, variance * phi);
        Self { treatment: wide(self.treatment), comparison: wide(self.comparison), ..self }
    }

    /// Whether there is variance to test with. Means of a constant differ in their last digits: an
    /// error of that size is none.
    pub(super) fn degenerate(&self) -> Option<Degenerate> {
        let Contrast { estimate, se } = self.contrast(Null::NONE);
        let noise = LAST_DIGITS * (self.treatment.0.abs() + self.comparison.0.abs());
        let kept = |x: f64| if x.abs() <= noise { 0.0 } else { x };
        Contrast { estimate: kept(estimate), se: kept(se) }.degenerate()
    }

    /// `m_t - w m_c - shift` with its standard error.
    pub(super) fn contrast(&self, null: Null) -> Contrast {
        let (w, shift) = match null {
            Null::Change(change) => (1.0, change),
            Null::Relative(relative) => (1.0 + relative, 0.0),
        };
        let estimate = self.treatment.0 - w * self.comparison.0 - shift;
        let spread = self.treatment.1 + w * w * self.comparison.1 - 2.0 * w * self.covariance;
        Contrast::from_variance(estimate, spread)
    }

    pub(super) fn ln_p(&self, null: Null, side: Side, tau: f64, sides: Sides) -> f64 {
        let contrast = self.contrast(null);
        let toward = contrast.estimate * side.sign();
        let log_e = match sides {
            Sides::Two if toward <= 0.0 => 0.0,
            Sides::Two => info_time::log_e_two_sided(toward, contrast.se, tau),
            Sides::One => info_time::log_e_one_sided(toward, contrast.se, tau),
        };
        info_time::ln_p_from_log_e(log_e)
    }

    pub(super) fn interval(&self, bound: Bound, tau: f64, alpha: f64) -> Interval {
        let Contrast { estimate, se } = self.contrast(Null::NONE);
        match bound {
            Bound::Both => info_time::interval_two_sided(estimate, se, tau, alpha),
            Bound::Lower => {
                Interval { lo: info_time::lower_one_sided(estimate, se, tau, alpha), hi: UNBOUNDED }
            }
            Bound::Upper => Interval {
                lo: -UNBOUNDED,
                hi: info_time::upper_one_sided(estimate, se, tau, alpha),
            },
        }
    }

    /// The relative changes not excluded: the sequential Fieller set, outwards from the estimate.
    pub(super) fn relative_interval(
        &self,
        centre: f64,
        bound: Bound,
        tau: f64,
        alpha: f64,
    ) -> Interval {
        let limit = libm::log(alpha);
        let sides = if bound == Bound::Both { Sides::Two } else { Sides::One };
        let depth = |at: f64, side: Side| self.ln_p(Null::Relative(at), side, tau, sides) - limit;
        let lo = match bound {
            Bound::Upper => -UNBOUNDED,
            _ => smooth_edge(centre, -1.0, |at| depth(at, Side::AtLeast)),
        };
        let hi = match bound {
            Bound::Lower => UNBOUNDED,
            _ => smooth_edge(centre, 1.0, |at| depth(at, Side::AtMost)),
        };
        Interval { lo, hi }
    }

    pub(super) fn placed(&self, change: f64, factor: f64) -> Self {
        let held = if self.both_grow { factor } else { 1.0 };
        Self {
            treatment: (self.comparison.0 + change, self.treatment.1 / factor),
            comparison: (self.comparison.0, self.comparison.1 / held),
            covariance: self.covariance / factor,
            both_grow: self.both_grow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means of constants are off in their last digits only; that is no variance to test with.
    #[test]
    fn a_last_digit_is_no_variance() {
        let of = |treatment, comparison| {
            let normal = Normal { treatment, comparison, covariance: 0.0, both_grow: true };
            normal.degenerate()
        };
        assert_eq!(of((300.0, 1e-28), (450.0, 1e-27)), Some(Degenerate::ZeroVariance));
        assert_eq!(of((450.0 + 1e-13, 1e-28), (450.0, 0.0)), Some(Degenerate::Constant));
        assert_eq!(of((300.0, 1e-6), (450.0, 0.0)), None);
    }
}
