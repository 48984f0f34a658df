//! Why a ratio moved: its numerator and its denominator apart, on the log scale.
//!
//! Place in the line: the `theatre` alarm. Statistics 1.11, with `R = N/D` and
//! `dlnR = dlnN - dlnD`; both parts are contrasts treatment against comparison. Counts have
//! `SE^2 = phi (1/x_t + 1/x_c)` after the log of the exposure ratio is taken off; sums over units
//! have the delta method's `SE^2 = s_t^2/(n_t m_t^2) + s_c^2/(n_c m_c^2)`; series have the block
//! means of their logs.
//! Intervals are information-time intervals (1.1), valid at every look, with the implicit margin
//! of the denominator as tau. Both parts must hold for a finding, so no correction is needed.
//! Assumptions: independent units; normal on the log scale (>= 10 events a side, else `None`).
//!
//! Directions are those of the *good* change: for a signal that should fall the roles of the two
//! parts are mirrored (`ln R` changes its sign), so that a finding never depends on the spelling.

use super::{Interval, info_time};

/// The implicit non-inferiority of a denominator: a fall of more than 5 % is not nothing.
pub const MARGIN: f64 = 0.05;
/// Error rate of each part's interval, two-sided.
pub const ALPHA: f64 = 0.05;
/// Fewer events on a side are not normal on the log scale.
const LEAST: f64 = 10.0;
/// From this share of the ratio's change on, the denominator drives it.
const HALF: f64 = 0.5;

/// A contrast on the log scale: `ln(treatment / comparison)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogChange {
    /// Natural log of the ratio of the two.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
}

impl LogChange {
    fn of(estimate: f64, variance: f64) -> Option<Self> {
        let se = variance.sqrt();
        (estimate.is_finite() && se.is_finite() && se > 0.0).then_some(Self { estimate, se })
    }

    /// Two counts; `exposure` is the ratio that nothing but the plan would give (arm shares,
    /// eligible units), `phi` the overdispersion (below 1 counts as 1).
    #[must_use]
    pub fn of_counts(treatment: f64, comparison: f64, exposure: f64, phi: f64) -> Option<Self> {
        if !(treatment >= LEAST && comparison >= LEAST && exposure > 0.0) {
            return None;
        }
        let estimate = libm::log(treatment / comparison) - libm::log(exposure);
        Self::of(estimate, phi.max(1.0) * (1.0 / treatment + 1.0 / comparison))
    }

    /// One count against the number that a stated level lets expect; only the count has an error.
    #[must_use]
    pub fn of_count(count: f64, expected: f64, phi: f64) -> Option<Self> {
        if !(count >= LEAST && expected > 0.0) {
            return None;
        }
        Self::of(libm::log(count / expected), phi.max(1.0) / count)
    }

    /// Whether it fell for sure and by more than the margin: estimate at or beyond it, no change
    /// excluded.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.estimate <= libm::log1p(-MARGIN) && self.interval().hi < 0.0
    }

    /// Sums of a non-negative number over units, per unit: `[units, sum, sum of squares]`.
    #[must_use]
    pub fn of_sums(treatment: [f64; 3], comparison: [f64; 3]) -> Option<Self> {
        let (log_t, variance_t) = log_mean(treatment)?;
        let (log_c, variance_c) = log_mean(comparison)?;
        Self::of(log_t - log_c, variance_t + variance_c)
    }

    /// Block means of the logs of two series: `[mean, standard deviation, blocks]`.
    #[must_use]
    pub fn of_blocks(treatment: [f64; 3], comparison: [f64; 3]) -> Option<Self> {
        let ([mean_t, sd_t, n_t], [mean_c, sd_c, n_c]) = (treatment, comparison);
        if !(n_t >= 2.0 && n_c >= 2.0) {
            return None;
        }
        Self::of(mean_t - mean_c, sd_t * sd_t / n_t + sd_c * sd_c / n_c)
    }

    /// The always-valid interval with tau = `ln(1 + margin)`.
    #[must_use]
    pub fn interval(&self) -> Interval {
        info_time::interval_two_sided(self.estimate, self.se, libm::log1p(MARGIN), ALPHA)
    }

    fn mirrored(self) -> Self {
        Self { estimate: -self.estimate, ..self }
    }
}

/// Log of a mean with the variance of that log (delta method).
fn log_mean([n, sum, sum_sq]: [f64; 3]) -> Option<(f64, f64)> {
    if !(n >= LEAST && sum > 0.0) {
        return None;
    }
    let mean = sum / n;
    let variance = ((sum_sq - sum * mean) / (n - 1.0)).max(0.0);
    Some((libm::log(mean), variance / (n * mean * mean)))
}

/// What a ratio's good change is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decomposition {
    /// `dlnN`, positive when it makes the ratio better.
    pub numerator: LogChange,
    /// Its interval.
    pub numerator_interval: Interval,
    /// `dlnD`, negative when it makes the ratio better.
    pub denominator: LogChange,
    /// Its interval.
    pub denominator_interval: Interval,
    /// `dlnR = dlnN - dlnD`, positive is better.
    pub ratio: f64,
}

impl Decomposition {
    /// Of a ratio that should go up (`want_up`) or down.
    #[must_use]
    pub fn new(numerator: LogChange, denominator: LogChange, want_up: bool) -> Self {
        let (numerator, denominator) = if want_up {
            (numerator, denominator)
        } else {
            (numerator.mirrored(), denominator.mirrored())
        };
        Self {
            numerator,
            numerator_interval: numerator.interval(),
            denominator,
            denominator_interval: denominator.interval(),
            ratio: numerator.estimate - denominator.estimate,
        }
    }

    /// `-dlnD / dlnR`: how much of the change the denominator made; `None` without a change.
    #[must_use]
    pub fn denominator_share(&self) -> Option<f64> {
        (self.ratio > 0.0).then(|| -self.denominator.estimate / self.ratio)
    }

    /// The denominator moved (its interval excludes no change) and made half of it or more.
    #[must_use]
    pub fn is_denominator_driven(&self) -> bool {
        self.denominator_interval.hi < 0.0
            && self.denominator_share().is_some_and(|share| share >= HALF)
    }

    /// Implicit non-inferiority broken: estimate at or beyond the margin, no change excluded.
    #[must_use]
    pub fn is_denominator_broken(&self) -> bool {
        self.denominator.estimate <= libm::log1p(-MARGIN) && self.denominator_interval.hi < 0.0
    }

    /// The numerator moved one way and the denominator the other, beyond the margin.
    #[must_use]
    pub fn is_theatre(&self) -> bool {
        self.numerator_interval.lo > 0.0 && self.is_denominator_broken()
    }

    /// The numerator's interval excludes every meaningful change: `least` as a share, e.g. 0.05.
    #[must_use]
    pub fn is_empty_win(&self, least: f64) -> bool {
        least > 0.0 && self.numerator_interval.hi < libm::log1p(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{got} {wanted}");
    }

    /// Figures of tests/py/alarms.py (numpy, scipy), section `theatre`.
    #[test]
    fn agrees_with_the_reference_script() {
        let n = LogChange::of_counts(1_320.0, 1_200.0, 1.0, 1.0).unwrap();
        near(n.estimate, 0.095_310_179_804_324_93);
        near(n.se, 0.039_886_201_760_873_284);
        let d = LogChange::of_counts(2_700.0, 3_000.0, 1.0, 1.5).unwrap();
        near(d.estimate, -0.105_360_515_657_826_28);
        near(d.se, 0.032_489_314_482_696_55);
        let sums = LogChange::of_sums([400.0, 1_000.0, 3_400.0], [500.0, 1_100.0, 3_300.0]);
        let sums = sums.unwrap();
        near(sums.estimate, 0.127_833_371_509_884_86);
        near(sums.se, 0.040_385_465_538_306_81);
        let whole = Decomposition::new(n, d, true);
        near(whole.ratio, 0.200_670_695_462_151_22);
        near(whole.denominator_share().unwrap(), 0.525_041_862_316_655_4);
        near(whole.denominator_interval.lo, -0.209_892_364_923_527_34);
        near(whole.denominator_interval.hi, -0.000_828_666_392_125_24);
    }

    #[test]
    fn each_pattern_needs_all_its_parts() {
        let part = |estimate: f64, se: f64| LogChange { estimate, se };
        let found = |n: f64, d: f64, se: f64| {
            let all = Decomposition::new(part(n, se), part(d, se), true);
            (all.is_denominator_driven(), all.is_theatre(), all.is_empty_win(0.03))
        };
        // Half a per cent of noise: both parts are known.
        assert_eq!(found(0.0, -0.10, 0.005), (true, false, true));
        assert_eq!(found(0.12, -0.10, 0.005), (false, true, false));
        assert_eq!(found(0.06, -0.10, 0.005), (true, true, false));
        // 4 % less is within the margin; all of the win is the numerator's.
        assert_eq!(found(0.10, -0.04, 0.005), (false, false, false));
        assert_eq!(found(0.10, 0.0, 0.005), (false, false, false));
        // Noise as wide as the changes: nothing is known, nothing is said.
        assert_eq!(found(0.06, -0.10, 0.08), (false, false, false));
    }

    #[test]
    fn the_mirror_of_a_falling_ratio_is_the_same() {
        let (n, d) =
            (LogChange { estimate: 0.06, se: 0.005 }, LogChange { estimate: -0.10, se: 0.005 });
        let up = Decomposition::new(n, d, true);
        assert_eq!(up, Decomposition::new(n.mirrored(), d.mirrored(), false));
    }

    #[test]
    fn few_or_impossible_numbers_say_nothing() {
        assert_eq!(LogChange::of_counts(9.0, 100.0, 1.0, 1.0), None);
        assert_eq!(LogChange::of_counts(100.0, 100.0, 0.0, 1.0), None);
        assert_eq!(LogChange::of_counts(f64::NAN, 100.0, 1.0, 1.0), None);
        assert_eq!(LogChange::of_sums([20.0, 0.0, 0.0], [20.0, 5.0, 5.0]), None);
        // A constant has no noise to test against.
        assert_eq!(LogChange::of_sums([20.0, 20.0, 20.0], [20.0, 20.0, 20.0]), None);
        assert_eq!(LogChange::of_blocks([0.0, 1.0, 1.0], [0.0, 1.0, 9.0]), None);
        let blocks = LogChange::of_blocks([0.1, 0.2, 16.0], [0.0, 0.2, 16.0]).unwrap();
        near(blocks.se, 0.070_710_678_118_654_75);
    }
}
