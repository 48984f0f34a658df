//! The accumulators of a control chart, kept in the stored guardrail status.
//!
//! A restart finds them where the last look left them; a slot without a value changes nothing.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Everything a control chart remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftStatus {
    /// Hash of the chart's definition, its series and the cycle's start: another one starts anew.
    pub epoch: String,
    /// The newest value taken in ends here; values up to it are never taken again.
    pub taken_to: Timestamp,
    /// The block that is still open.
    pub open: Option<OpenBlock>,
    /// Blocks learnt from, with their mean and sum of squared deviations (Welford).
    pub learnt: Learnt,
    /// Blocks the chart has taken in.
    pub blocks: u64,
    /// The chart's statistic in standard deviations: CUSUM sum or EWMA.
    pub statistic: f64,
    /// Mean of the newest closed block, in the series' unit.
    pub newest: Option<f64>,
}

/// Values of a block that has not closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpenBlock {
    /// Number of the block since the epoch, in block lengths.
    pub index: i64,
    /// Sum of its values.
    pub sum: f64,
    /// How many.
    pub n: f64,
}

/// Mean and spread so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// Blocks.
    pub n: u32,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared deviations from it.
    pub m2: f64,
}
