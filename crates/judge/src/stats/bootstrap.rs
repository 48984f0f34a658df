//! Circular block bootstrap of the mean of a series, or of the difference of two.
//!
//! Place in the line: a named alternative for values at one planned look (`block_bootstrap`).
//!
//! Procedure (Politis & Romano 1992): blocks of `b` neighbouring steps, drawn with replacement
//! from the series closed to a circle, are joined to a series of the old length; its mean less the
//! observed mean is one replicate. `b` is Politis & White's (2004, corrected 2009) length for the
//! circular scheme, rounded up. p of a null is the share of replicates at least as far from their
//! centre as the estimate is from the null, one added to both counts (Davison & Hinkley 1997).
//!
//! Randomness is an argument: a seed, spread by SplitMix64 (Steele, Lea & Flood 2014), so the same
//! data and seed give the same bytes. Assumptions: stationary apart from the change. Invariants:
//! `None` below 8 steps a side, without variance, or with a value that is not finite.

use super::Interval;
use super::autocorrelation::politis_white;

/// Replicates: the smallest two-sided p is 0.001.
pub const REPLICATES: usize = 1_999;

/// A stream of random numbers from a seed.
#[derive(Clone, Copy, Debug)]
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Even over `0..n`, by the high half of a product (no modulo bias worth a name at 64 bits).
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// Replicates of `(treatment, comparison)` means, each less its observed mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicates {
    /// Observed means.
    pub means: (f64, f64),
    /// Deviations from them, in the order drawn.
    pub deviations: Vec<(f64, f64)>,
    /// Steps in one block: of the treatment, of the comparison.
    pub lengths: (usize, usize),
}

/// The block length of a series: Politis-White's circular length, rounded up, at least one step.
#[must_use]
pub fn block_length(x: &[f64]) -> Option<usize> {
    let top = x.iter().fold(0.0_f64, |top, v| top.max(v.abs()));
    let first = x.first()?;
    let spread = x.iter().fold(0.0_f64, |wide, v| wide.max((v - first).abs()));
    // What varies by rounding only is constant.
    if x.iter().any(|v| !v.is_finite()) || spread <= 1.0e-12 * top {
        return None;
    }
    let length = libm::ceil(politis_white(x)?.circular).max(1.0) as usize;
    Some(length.min(x.len()))
}

/// Replicates of a mean against a constant.
#[must_use]
pub fn one_sample(treatment: &[f64], constant: f64, seed: u64) -> Option<Replicates> {
    let length = block_length(treatment)?;
    let sums = prefix(treatment);
    let mut stream = Stream(seed);
    let deviations = (0..REPLICATES).map(|_| (draw(&sums, length, &mut stream), 0.0)).collect();
    let means = (mean(treatment), constant);
    Some(Replicates { means, deviations, lengths: (length, 0) })
}

/// Replicates of two periods, drawn apart: each has its own blocks.
#[must_use]
pub fn two_sample(treatment: &[f64], comparison: &[f64], seed: u64) -> Option<Replicates> {
    let lengths = (block_length(treatment)?, block_length(comparison)?);
    let (sums, others) = (prefix(treatment), prefix(comparison));
    let mut stream = Stream(seed);
    let deviations = (0..REPLICATES)
        .map(|_| (draw(&sums, lengths.0, &mut stream), draw(&others, lengths.1, &mut stream)))
        .collect();
    let means = (mean(treatment), mean(comparison));
    Some(Replicates { means, deviations, lengths })
}

/// Replicates of two series on the same steps, drawn together: what moves both cancels.
///
/// The block length is that of their differences.
#[must_use]
pub fn paired(treatment: &[f64], comparison: &[f64], seed: u64) -> Option<Replicates> {
    if treatment.len() != comparison.len() {
        return None;
    }
    let differences: Vec<f64> = treatment.iter().zip(comparison).map(|(t, c)| t - c).collect();
    let length = block_length(&differences)?;
    let (sums, others) = (prefix(treatment), prefix(comparison));
    let mut stream = Stream(seed);
    let deviations = (0..REPLICATES)
        .map(|_| {
            let mut same = stream;
            let first = draw(&sums, length, &mut stream);
            (first, draw(&others, length, &mut same))
        })
        .collect();
    let means = (mean(treatment), mean(comparison));
    Some(Replicates { means, deviations, lengths: (length, length) })
}

impl Replicates {
    /// One-sided p of "`m_t - w m_c` is at most `shift`": small when it is above.
    #[must_use]
    pub fn p_above(&self, w: f64, shift: f64) -> f64 {
        self.tail(w, self.means.0 - w * self.means.1 - shift, 1.0)
    }

    /// One-sided p of "`m_t - w m_c` is at least `shift`": small when it is below.
    #[must_use]
    pub fn p_below(&self, w: f64, shift: f64) -> f64 {
        self.tail(w, shift - (self.means.0 - w * self.means.1), -1.0)
    }

    /// The shifts of `m_t - w m_c` that neither p rejects at level `tail` a side; all of them
    /// where `tail` is below one replicate's weight.
    #[must_use]
    pub fn interval(&self, w: f64, tail: f64) -> Interval {
        let mut far: Vec<f64> = self.deviations.iter().map(|(t, c)| t - w * c).collect();
        far.sort_by(f64::total_cmp);
        // p rejects when fewer than `rank` replicates lie as far out; the weight of a replicate is
        // no exact float, so that a whole rank may come out a hair below.
        let rank = libm::floor(tail * (far.len() + 1) as f64 + 1.0e-9) as usize;
        if rank == 0 || rank > far.len() {
            return Interval::ALL;
        }
        let seen = self.means.0 - w * self.means.1;
        Interval { lo: seen - far[far.len() - rank], hi: seen - far[rank - 1] }
    }

    fn tail(&self, w: f64, gap: f64, sign: f64) -> f64 {
        let far = |&&(t, c): &&(f64, f64)| sign * (t - w * c) >= gap;
        let count = self.deviations.iter().filter(far).count();
        (count + 1) as f64 / (self.deviations.len() + 1) as f64
    }
}

fn mean(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    x.iter().map(|v| v / n).sum()
}

/// Sums of the first 0, 1, ... steps of the centred series, once around and once more.
fn prefix(x: &[f64]) -> Vec<f64> {
    let centre = mean(x);
    let mut sums = Vec::with_capacity(2 * x.len() + 1);
    let mut total = 0.0;
    sums.push(total);
    for value in x.iter().chain(x) {
        total += value - centre;
        sums.push(total);
    }
    sums
}

/// The mean of one resampled series, centred.
fn draw(sums: &[f64], length: usize, stream: &mut Stream) -> f64 {
    let n = (sums.len() - 1) / 2;
    let (mut left, mut total) = (n, 0.0);
    while left > 0 {
        let (start, take) = (stream.below(n), length.min(left));
        total += sums[start + take] - sums[start];
        left -= take;
    }
    total / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::autocorrelation::bartlett_long_run_variance;

    /// A first-order autoregression with coefficient 0.6, from a plain congruential generator.
    fn wandering(n: usize) -> Vec<f64> {
        let mut stream = Stream(7);
        let mut value = 0.0;
        let uniform = |stream: &mut Stream| stream.next() as f64 / u64::MAX as f64 - 0.5;
        (0..n)
            .map(|_| {
                value = 0.6 * value + uniform(&mut stream) + uniform(&mut stream);
                250.0 + value
            })
            .collect()
    }

    #[test]
    fn replicates_vary_as_the_long_run_variance_with_bartlett_weights() {
        // The circular scheme's variance of the mean is that sum with bandwidth b - 1, circular
        // covariances aside (Politis & Romano 1992).
        let x = wandering(400);
        let replicates = one_sample(&x, 250.0, 11).unwrap();
        let length = replicates.lengths.0;
        assert!(length > 2, "{length}");
        let long_run = bartlett_long_run_variance(&x, length - 1).unwrap();
        let squares = replicates.deviations.iter().map(|(t, _)| t * t).sum::<f64>();
        let variance = squares / REPLICATES as f64 * x.len() as f64;
        assert!((variance / long_run - 1.0).abs() < 0.15, "{variance} against {long_run}");
    }

    #[test]
    fn one_seed_gives_one_answer_and_pairs_cancel_what_they_share() {
        let x = wandering(200);
        let shifted: Vec<f64> = x.iter().map(|v| v + 1.0).collect();
        let other: Vec<f64> =
            shifted.iter().zip(wandering(400).split_off(200)).map(|(s, o)| s + 0.01 * o).collect();
        let pair = paired(&other, &x, 3).unwrap();
        assert_eq!(pair, paired(&other, &x, 3).unwrap());
        assert_ne!(pair, paired(&other, &x, 4).unwrap());
        let change = pair.means.0 - pair.means.1;
        assert!(pair.p_above(1.0, change - 0.1) < 0.001, "the shared wandering is gone");
        let apart = two_sample(&other, &x, 3).unwrap();
        assert!(apart.p_above(1.0, change - 0.1) > 0.1, "two periods keep it");
    }

    #[test]
    fn the_interval_holds_the_shifts_no_p_rejects() {
        let replicates = two_sample(&wandering(60), &wandering(90).split_off(30), 5).unwrap();
        for tail in [0.0005, 0.025, 0.05] {
            let found = replicates.interval(1.1, tail);
            let width = found.hi - found.lo;
            assert!(width > 0.0);
            assert!(replicates.p_above(1.1, found.lo + 1e-9 * width) > tail + 1e-12);
            assert!(replicates.p_above(1.1, found.lo - 1e-9 * width) <= tail + 1e-12);
            assert!(replicates.p_below(1.1, found.hi - 1e-9 * width) > tail + 1e-12);
            assert!(replicates.p_below(1.1, found.hi + 1e-9 * width) <= tail + 1e-12);
        }
        assert_eq!(replicates.interval(1.0, 0.0004), Interval::ALL);
    }

    #[test]
    fn nothing_comes_of_short_constant_or_broken_series() {
        assert!(one_sample(&wandering(7), 0.0, 1).is_none());
        assert!(one_sample(&[0.1; 30], 0.0, 1).is_none());
        assert!(one_sample(&[f64::NAN; 30], 0.0, 1).is_none());
        assert!(paired(&wandering(20), &wandering(21), 1).is_none());
    }
}
