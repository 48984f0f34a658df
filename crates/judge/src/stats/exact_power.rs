//! Chance and size of the exact test of one share, before its first unit.
//!
//! Place in the line: `power`, `plan` and the warning of too few units, for a share against a
//! stated one ([`super::one_proportion`]). The test is discrete, and far from normal at the sizes
//! at which small teams use it: the normal approximation of 160 calls says 17 % where 28 % is true.
//!
//! Formula (statistics 1.4): what is asked holds from some number of good outcomes on, because log
//! e rises with them; the fewest, `k(n)`, are found by halving, and the chance is the binomial tail
//! `P(X >= k(n))` at the share aimed at. The size is the least `n` from which on the chance is
//! never below the wanted one: it falls a little whenever `k(n)` rises.
//!
//! Assumptions: independent units, one look. Earlier looks of an always-valid test only add.
//! Invariants: chances lie in [0, 1]; whole units; `None` instead of a size that does not exist.

use super::one_proportion::{self, Prior};
use super::power::N_LIMIT;
use super::special::{binom_cdf, binom_sf};

/// What must hold of `s` of `n` successes. Shares are fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareTest {
    /// The mixture of the e-process.
    pub prior: Prior,
    /// Its error rate.
    pub alpha: f64,
    /// Whether more successes are better.
    pub up: bool,
    /// Share that the estimate must reach; equal counts.
    pub reach: Option<f64>,
    /// Share that must be excluded from its good side.
    pub excluded: Option<f64>,
    /// Share that must not be excluded from its bad side.
    pub standing: Option<f64>,
}

/// Sizes that are tried on either side of the first, at most.
const MOST_TEETH: f64 = 4_096.0;

impl ShareTest {
    /// Whether that many good outcomes of `n` suffice.
    fn holds(&self, good: f64, n: f64) -> bool {
        let s = if self.up { good } else { n - good };
        let beyond = |share: f64| if self.up { s / n - share } else { share - s / n };
        let excludes = |share: f64| {
            let log_e = one_proportion::log_e(self.prior, s, n, share);
            !(0.0..=1.0).contains(&share) || log_e >= -libm::log(self.alpha)
        };
        // Twelve digits, as estimates and thresholds are compared in an evaluation.
        let reached = self.reach.is_none_or(|share| beyond(share) > -1.0e-12);
        let shown = self.excluded.is_none_or(|share| beyond(share) > 0.0 && excludes(share));
        let stands = self.standing.is_none_or(|share| beyond(share) >= 0.0 || !excludes(share));
        reached && shown && stands
    }

    /// The fewest good outcomes of `n` units that suffice; `None` when not even all do.
    fn least(&self, n: f64) -> Option<f64> {
        if !self.holds(n, n) {
            return None;
        }
        let (mut short, mut enough) = (-1.0, n);
        while enough - short > 1.0 {
            let middle = libm::floor(0.5 * (short + enough));
            if middle <= short || middle >= enough {
                break;
            }
            if self.holds(middle, n) {
                enough = middle;
            } else {
                short = middle;
            }
        }
        Some(enough)
    }

    /// Chance that it holds at `units` (whole ones count) when the share is truly `share`.
    #[must_use]
    pub fn chance(&self, units: f64, share: f64) -> f64 {
        let n = libm::floor(units);
        if !(1.0..=N_LIMIT).contains(&n) || !(0.0..=1.0).contains(&share) {
            return 0.0;
        }
        match self.least(n) {
            None => 0.0,
            Some(least) if self.up => binom_sf(least, n, share),
            Some(least) => binom_cdf(n - least, n, share),
        }
    }

    /// The least size from which on the chance at `share` is never below `power`.
    #[must_use]
    pub fn units(&self, share: f64, power: f64) -> Option<f64> {
        let enough = |n: f64| self.chance(n, share) >= power;
        let mut high = 1.0;
        while !(enough(high) && enough(4.0 * high)) {
            high *= 2.0;
            if high > 0.25 * N_LIMIT {
                return None;
            }
        }
        let mut low = libm::floor(0.5 * high);
        while high - low > 1.0 {
            let middle = libm::floor(0.5 * (low + high));
            if enough(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        // A tooth is 0.4/sd of chance high and the chance rises by about 0.14 gap/sd a unit.
        let marks = [self.reach, self.excluded, self.standing];
        let gaps = marks.iter().flatten().map(|mark| (share - mark).abs());
        let gap = gaps.fold(f64::INFINITY, f64::min);
        let mut least = high + libm::ceil((4.0 / gap).clamp(1.0, MOST_TEETH));
        let end = (high - MOST_TEETH).max(1.0);
        while least > end && enough(least - 1.0) {
            least -= 1.0;
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A share of `from` aimed at `to` that must move by `least`.
    fn moves(from: f64, to: f64, least: f64) -> ShareTest {
        ShareTest {
            prior: one_proportion::prior(from, to),
            alpha: 0.05,
            up: to > from,
            reach: Some(from + least),
            excluded: Some(from),
            standing: None,
        }
    }

    /// Sums over all counts of the beta-binomial e-process with SciPy's `betaln` and `binom`.
    #[test]
    fn chances_are_those_of_an_independent_sum_over_all_counts() {
        let sales = moves(0.09, 0.15, 0.03);
        assert!((sales.chance(160.0, 0.15) - 0.283_907_865_855_42).abs() < 1e-9);
        let screens = moves(0.06, 0.12, 0.0);
        assert!((screens.chance(400.0, 0.12) - 0.877_301_818_122_519_5).abs() < 1e-9);
        assert!((moves(0.06, 0.12, 0.06).chance(400.0, 0.12) - 0.522_910_240_550).abs() < 1e-9);
        assert!((moves(0.2, 0.25, 0.05).chance(400.0, 0.25) - 0.260_838_691_642).abs() < 1e-9);
        // The first sizes with 80 % are 432 and 330; from these on it is never less.
        assert_eq!(sales.units(0.15, 0.8), Some(453.0));
        assert_eq!(screens.units(0.12, 0.8), Some(356.0));
    }

    #[test]
    fn misses_are_counted_as_hits_are() {
        let (hits, misses) = (moves(0.09, 0.15, 0.03), moves(0.91, 0.85, -0.03));
        for n in [1.0, 20.0, 159.0, 160.5, 453.0, 10_000.0] {
            let gap = hits.chance(n, 0.15) - misses.chance(n, 0.85);
            assert!(gap.abs() < 1e-9, "{n}: {gap}");
        }
        assert_eq!(misses.units(0.85, 0.8), Some(453.0));
    }

    #[test]
    fn what_cannot_be_reached_has_no_size() {
        let at_its_threshold = moves(0.09, 0.15, 0.06);
        assert_eq!(at_its_threshold.units(0.15, 0.8), None);
        assert!((at_its_threshold.chance(1.0e6, 0.15) - 0.5).abs() < 0.01);
        assert_eq!(moves(0.09, 0.15, 0.07).units(0.15, 0.8), None);
        assert_eq!(moves(0.09, 0.15, 0.03).chance(0.5, 0.15), 0.0);
        let not_refuted = ShareTest {
            reach: None,
            excluded: None,
            standing: Some(0.12),
            ..moves(0.09, 0.15, 0.03)
        };
        assert!(not_refuted.chance(100_000.0, 0.12) > 0.95);
        assert_eq!(not_refuted.units(0.15, 0.8), Some(1.0));
    }
}
