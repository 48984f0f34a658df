//! Plain time series without counts, judged by block means.
//!
//! Place in the line: form `value` (before/after, level against level, paired arms).
//!
//! Method (statistics 1.5, ADR 0013, 0027 and 0034): choose the block length on the reference
//! slice: start at five steps and double while the block means depend on their neighbour by more
//! than `k` of them can tell from nothing, `lag-1 + 1/k > max(0.1, 1/sqrt(k))`, or while their
//! [`BlockPlan::memory`] exceeds [`MAX_MEMORY`]; refuse when fewer than 16 blocks remain. Then
//! * two samples: pooled `s^2` of the block means, `SE = s sqrt(1/k + 1/kk) t_{.975,df}/1.959964`,
//!   `df = k + kk - 2`, at least 8 complete later blocks;
//! * one sample (differences paired by time): `SE = s / sqrt(kk) * t_{.975,kk-1}/1.959964`.
//!
//! A few block means say little about their own dependence, the many finer ones in them say much:
//! the lag of the steps is followed to the length as an AR(1). A length chosen on what is judged
//! itself ([`plan`], not [`plan_before`]) follows that of every shorter block too, where it is
//! seen. What of it remains widens the standard error.
//! With a daily season and no profile removed ([`Profile`]), blocks are whole multiples of a day.
//! Missing points are NaN (any non-finite value counts as missing); a block with fewer than half
//! of its points is left out; more than 20 % missing refuses.
//!
//! Assumptions: stationary apart from the step; the length comes from data before the change and
//! is kept for the test epoch. Invariants: a refusal is a value with its reason; numbers finite.

mod profile;

use serde::{Deserialize, Serialize};

pub use profile::Profile;

use super::special::{norm_isf, t_isf};
use super::{Contrast, bounded};

/// First block length tried, in steps.
pub const START: usize = 5;
/// Fewest reference blocks.
pub const MIN_REFERENCE_BLOCKS: usize = 16;
/// Fewest blocks after the change.
pub const MIN_LATER_BLOCKS: usize = 8;
/// Largest tolerated `|lag-1| + 1/k`.
pub const MAX_DEPENDENCE: f64 = 0.1;
/// Largest tolerated [`BlockPlan::memory`].
pub const MAX_MEMORY: f64 = 1.5;
/// Largest tolerated share of missing points.
pub const MAX_MISSING: f64 = 0.2;
const DAY_SECONDS: f64 = 86_400.0;

/// Which part of the data a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The slice the block length is chosen on (before the change).
    Reference,
    /// The slice after the change, or the paired differences.
    Later,
}

/// Why a series is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// More than 20 % of the points are missing: no data.
    Missing {
        /// Where.
        period: Period,
        /// Share missing, 0 to 1.
        share: f64,
    },
    /// Baseline too short for its autocorrelation.
    TooShort {
        /// Blocks that the last length tried leaves.
        blocks: usize,
        /// Length tried, in steps.
        length: usize,
        /// Lag-1 autocorrelation of the block means at the last length that could be measured.
        lag1: f64,
    },
    /// Not yet enough complete blocks after the change.
    TooFewLater {
        /// Complete blocks so far.
        blocks: usize,
        /// Blocks needed.
        needed: usize,
        /// Block length in steps.
        length: usize,
    },
    /// A day is not a whole number of steps, so whole-day blocks cannot be formed.
    StepNotInDay,
    /// All block means are equal: nothing varies, nothing can be tested.
    Constant,
}

/// A chosen block length and what it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BlockPlan {
    /// Block length in steps.
    pub length: usize,
    /// Blocks of the reference slice.
    pub blocks: usize,
    /// Lag-1 autocorrelation of their means.
    pub lag1: f64,
    /// Variance of the mean over that of independent block means, if the steps, or shorter blocks,
    /// are an AR(1) with their own lag-1 autocorrelation: the largest of these. At least 1.
    pub memory: f64,
}

/// A contrast of block means with everything needed to explain it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BlockContrast {
    /// Estimate and inflated standard error.
    pub contrast: Contrast,
    /// Mean of the later blocks (for paired data: of the differences).
    pub later_mean: f64,
    /// Mean of the reference blocks; 0 for one sample.
    pub reference_mean: f64,
    /// Sd of one block mean (pooled), widened by [`BlockPlan::widening`].
    pub block_sd: f64,
    /// Degrees of freedom of that sd.
    pub df: f64,
    /// The factor `t_{.975,df} / z_{.975}` already applied to the standard error.
    pub inflation: f64,
    /// Block length in steps.
    pub length: usize,
    /// Usable reference blocks; 0 for one sample.
    pub reference_blocks: usize,
    /// Usable later blocks.
    pub later_blocks: usize,
    /// Lag-1 autocorrelation of the block means the length was chosen on.
    pub lag1: f64,
}

impl BlockContrast {
    /// The contrast of a relative threshold, `later - (1+r) reference`, same pooled sd.
    #[must_use]
    pub fn relative(&self, r: f64) -> Contrast {
        let w = 1.0 + r;
        let scale = self.block_sd * self.inflation;
        let parts = 1.0 / self.later_blocks as f64
            + if self.reference_blocks == 0 { 0.0 } else { w * w / self.reference_blocks as f64 };
        let estimate = self.later_mean - w * self.reference_mean;
        Contrast::from_variance(estimate, scale * scale * parts)
    }
}

impl BlockPlan {
    /// The factor on the sd of the block means for the dependence that the plan leaves: the root of
    /// `memory`, or of `(1+rho)/(1-rho)` of means that depend on their neighbour by more than
    /// [`MAX_DEPENDENCE`], with `rho = lag1 + 1/k` (`1/k` undoes the small-sample bias).
    #[must_use]
    pub fn widening(&self) -> f64 {
        let rho = self.dependence();
        let seen = if rho > MAX_DEPENDENCE { (1.0 + rho) / (1.0 - rho) } else { 1.0 };
        seen.max(self.memory).sqrt()
    }

    fn dependence(&self) -> f64 {
        self.lag1 + 1.0 / self.blocks as f64
    }
}

/// Chooses the block length on a reference from before the change, which a longer wait does not
/// lengthen: only the memory of its steps is followed.
///
/// `day_step`: the step in seconds when the series may have a daily season that was not removed;
/// blocks are then whole days. `None`: no such rule.
pub fn plan_before(reference: &[f64], day_step: Option<f64>) -> Result<BlockPlan, Refusal> {
    choose(reference, day_step, false)
}

/// Chooses the block length on what is judged itself: the memory of every shorter block is followed
/// as well, since white noise over a slow wave hides it from neighbouring steps. `day_step` as in
/// [`plan_before`].
pub fn plan(reference: &[f64], day_step: Option<f64>) -> Result<BlockPlan, Refusal> {
    choose(reference, day_step, true)
}

fn choose(values: &[f64], day_step: Option<f64>, levels: bool) -> Result<BlockPlan, Refusal> {
    refuse_missing(values, Period::Reference)?;
    let mut length = first_length(day_step)?;
    // Steps inside a day may have a season of their own, which is no memory.
    let steps = (day_step.is_none() || length == 1).then(|| (1, lag_of_steps(values)));
    let mut lags: Vec<(usize, f64)> = steps.into_iter().collect();
    let mut lag1 = 0.0;
    loop {
        let means = block_means(values, length);
        let blocks = means.iter().flatten().count();
        if blocks < MIN_REFERENCE_BLOCKS {
            return Err(Refusal::TooShort { blocks, length, lag1 });
        }
        lag1 = lag_one(&means);
        let size = blocks as f64;
        let lag = unbiased(lag1, size);
        // Beyond its own standard error only: the largest of several is at stake.
        if levels && lag > 1.0 / size.sqrt() {
            lags.push((length, lag));
        }
        let memories = lags.iter().map(|&(of, lag)| memory(lag, length / of));
        let plan = BlockPlan { length, blocks, lag1, memory: memories.fold(1.0, f64::max) };
        let is_told = plan.dependence() > MAX_DEPENDENCE.max(1.0 / size.sqrt());
        if !is_told && plan.memory <= MAX_MEMORY {
            return Ok(plan);
        }
        length *= 2;
    }
}

/// Lag-1 autocorrelation of the steps.
fn lag_of_steps(values: &[f64]) -> f64 {
    let steps = block_means(values, 1);
    unbiased(lag_one(&steps), steps.iter().flatten().count().max(1) as f64)
}

/// A lag-1 autocorrelation whose bias of `-(1 + 3 phi)/n` is undone (Kendall 1954).
pub(super) fn unbiased(lag: f64, size: f64) -> f64 {
    (lag + (1.0 + 3.0 * lag) / size).min(0.999)
}

/// [`BlockPlan::memory`] of means over `length` steps of an AR(1): its long-run variance
/// `L (1+phi)/(1-phi)` over the variance of one sum,
/// `L (1+phi)/(1-phi) - 2 phi (1-phi^L)/(1-phi)^2`.
pub(super) fn memory(phi: f64, length: usize) -> f64 {
    if phi <= 0.0 {
        return 1.0;
    }
    let size = length as f64;
    let whole = size * (1.0 + phi) / (1.0 - phi);
    let edges = 2.0 * phi * (1.0 - libm::pow(phi, size)) / ((1.0 - phi) * (1.0 - phi));
    (whole / (whole - edges)).max(1.0)
}

fn first_length(day_step: Option<f64>) -> Result<usize, Refusal> {
    let Some(step) = day_step else {
        return Ok(START);
    };
    let steps = DAY_SECONDS / step;
    if !(1.0..=DAY_SECONDS).contains(&steps) || (steps - libm::round(steps)).abs() > 1.0e-9 {
        return Err(Refusal::StepNotInDay);
    }
    Ok(libm::round(steps) as usize)
}

/// Before/after: chooses the length on `reference`, then compares the means.
pub fn two_sample(
    reference: &[f64],
    later: &[f64],
    day_step: Option<f64>,
) -> Result<BlockContrast, Refusal> {
    two_sample_with(reference, later, plan(reference, day_step)?)
}

/// Before/after with the block length stored when the test epoch opened.
pub fn two_sample_with(
    reference: &[f64],
    later: &[f64],
    plan: BlockPlan,
) -> Result<BlockContrast, Refusal> {
    refuse_missing(reference, Period::Reference)?;
    let before = summary(reference, plan.length);
    if before.count < MIN_REFERENCE_BLOCKS {
        return Err(Refusal::TooShort {
            blocks: before.count,
            length: plan.length,
            lag1: plan.lag1,
        });
    }
    let after = later_summary(later, plan.length, MIN_LATER_BLOCKS)?;
    let df = (before.count + after.count - 2) as f64;
    let sd = ((before.squares + after.squares) / df).sqrt();
    let parts = 1.0 / before.count as f64 + 1.0 / after.count as f64;
    finish(&after, Some(&before), plan, (sd, df, parts))
}

/// Paired differences, or a level minus a constant, against zero.
///
/// `reference`: differences from before the change, on which the length is chosen; without it the
/// differences themselves serve and at least 16 blocks are needed (8 otherwise).
pub fn one_sample(
    deltas: &[f64],
    reference: Option<&[f64]>,
    day_step: Option<f64>,
) -> Result<BlockContrast, Refusal> {
    match reference {
        Some(slice) => one_sample_with(deltas, plan(slice, day_step)?, MIN_LATER_BLOCKS),
        None => one_sample_with(deltas, plan(deltas, day_step)?, MIN_REFERENCE_BLOCKS),
    }
}

/// Paired differences with a stored block length; `needed` is the fewest blocks accepted (>= 2).
pub fn one_sample_with(
    deltas: &[f64],
    plan: BlockPlan,
    needed: usize,
) -> Result<BlockContrast, Refusal> {
    let after = later_summary(deltas, plan.length, needed.max(2))?;
    let df = (after.count - 1) as f64;
    let sd = (after.squares / df).sqrt();
    finish(&after, None, plan, (sd, df, 1.0 / after.count as f64))
}

fn finish(
    after: &Summary,
    before: Option<&Summary>,
    plan: BlockPlan,
    (sd, df, parts): (f64, f64, f64),
) -> Result<BlockContrast, Refusal> {
    if sd <= 0.0 {
        return Err(Refusal::Constant);
    }
    let inflation = t_isf(0.025, df) / norm_isf(0.025);
    let sd = sd * plan.widening();
    let reference_mean = before.map_or(0.0, |part| part.mean);
    let se = bounded(sd * parts.sqrt() * inflation);
    Ok(BlockContrast {
        contrast: Contrast { estimate: bounded(after.mean - reference_mean), se },
        later_mean: bounded(after.mean),
        reference_mean: bounded(reference_mean),
        block_sd: bounded(sd),
        df,
        inflation,
        length: plan.length,
        reference_blocks: before.map_or(0, |part| part.count),
        later_blocks: after.count,
        lag1: plan.lag1,
    })
}

fn later_summary(values: &[f64], length: usize, needed: usize) -> Result<Summary, Refusal> {
    if values.len() / length.max(1) < needed {
        let blocks = values.len() / length.max(1);
        return Err(Refusal::TooFewLater { blocks, needed, length });
    }
    refuse_missing(values, Period::Later)?;
    let after = summary(values, length);
    if after.count < needed {
        return Err(Refusal::TooFewLater { blocks: after.count, needed, length });
    }
    Ok(after)
}

/// Share of missing points; an empty slice is wholly missing.
#[must_use]
pub fn missing_share(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 1.0;
    }
    let missing = values.iter().filter(|x| !x.is_finite()).count();
    missing as f64 / values.len() as f64
}

fn refuse_missing(values: &[f64], period: Period) -> Result<(), Refusal> {
    let share = missing_share(values);
    if share > MAX_MISSING { Err(Refusal::Missing { period, share }) } else { Ok(()) }
}

/// Means of the complete blocks, in time order; `None` where fewer than half the points are there.
#[must_use]
pub fn block_means(values: &[f64], length: usize) -> Vec<Option<f64>> {
    values.chunks_exact(length.max(1)).map(mean_of_block).collect()
}

fn mean_of_block(block: &[f64]) -> Option<f64> {
    let present = block.iter().filter(|x| x.is_finite()).count();
    if 2 * present < block.len() || present == 0 {
        return None;
    }
    let size = present as f64;
    // Divided before summing: a block of huge values must not overflow.
    Some(block.iter().filter(|x| x.is_finite()).map(|x| x / size).sum())
}

/// Lag-1 autocorrelation of the block means; only neighbours that are both there count.
fn lag_one(means: &[Option<f64>]) -> f64 {
    let part = collect(means);
    if part.squares <= 0.0 {
        return 0.0;
    }
    let products: f64 = means
        .windows(2)
        .filter_map(|pair| Some((pair[0]? - part.mean) * (pair[1]? - part.mean)))
        .sum();
    bounded(products / part.squares)
}

/// Count, mean and centred sum of squares of the block means.
#[derive(Clone, Copy, Debug)]
struct Summary {
    count: usize,
    mean: f64,
    squares: f64,
}

fn summary(values: &[f64], length: usize) -> Summary {
    collect(&block_means(values, length))
}

fn collect(means: &[Option<f64>]) -> Summary {
    let count = means.iter().flatten().count();
    let size = count.max(1) as f64;
    let mean: f64 = means.iter().flatten().map(|x| x / size).sum();
    let squares: f64 = means.iter().flatten().map(|x| (x - mean) * (x - mean)).sum();
    // Equal values leave rounding dust behind; dust is not variance.
    let dust = 1.0e-26 * mean * mean * size;
    Summary { count, mean, squares: if squares > dust { bounded(squares) } else { 0.0 } }
}
