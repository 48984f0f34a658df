//! What `threshold: {drift: ...}` says: a control chart on a series instead of a bound.
//!
//! Part of the model; built by `parse` only. Numbers of the reference are in the series' own unit,
//! `k`, `h` and `width` in standard deviations of block means. Invariants: `sd > 0`, `k >= 0`,
//! `h > 0`, `0 < lambda <= 1`, `width > 0`, at least [`MIN_BLOCKS`] blocks are learnt from.

use serde::{Deserialize, Serialize};

use super::model::Want;
use crate::time::Span;

/// Fewer blocks say too little about their own spread.
pub const MIN_BLOCKS: u32 = 16;
/// Allowance of the CUSUM, in sds.
pub const CUSUM_K: f64 = 0.5;
/// Alarm level of the CUSUM, in sds.
pub const CUSUM_H: f64 = 5.0;
/// Weight of the newest value in the EWMA.
pub const EWMA_LAMBDA: f64 = 0.2;
/// Width of the EWMA limit, in sds.
pub const EWMA_L: f64 = 2.96;

/// A control chart that watches a series for a sudden shift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Which chart, with its constants.
    pub chart: DriftChart,
    /// The direction that is bad.
    pub watch: Want,
    /// What "in control" is.
    pub reference: DriftReference,
    /// Values of one block are averaged: neighbours of a series resemble each other.
    pub block: Span,
}

/// A control chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftChart {
    /// One-sided CUSUM: `C = max(0, C + z - k)`, alarm above `h` (Page 1954).
    Cusum {
        /// Allowance.
        k: f64,
        /// Alarm level.
        h: f64,
    },
    /// EWMA: `E = lambda z + (1 - lambda) E`, alarm above `width` of its own sd (Roberts 1959).
    Ewma {
        /// Weight of the newest block.
        lambda: f64,
        /// Width of the limit.
        width: f64,
    },
}

/// What "in control" is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftReference {
    /// Mean and standard deviation of block means, as known.
    Stated {
        /// Mean.
        mean: f64,
        /// Standard deviation of block means.
        sd: f64,
    },
    /// Learnt from the first blocks of the cycle.
    Blocks(u32),
}
