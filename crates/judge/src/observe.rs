//! From stored points to observations: the fourth step of the line.
//!
//! Only matured periods are added up, per arm, into [`Sample`]s; everything that keeps a signal
//! from being judged is a value of [`Observation`], never an error. The reduced samples are what
//! an evaluation freezes: `explain` and `replay` start from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::points::Sums;
use crate::time::{Timestamp, Window};

/// An observation is one of five things (product.md 4.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Observation {
    /// Judged-fit data.
    Ok(Box<Observed>),
    /// Fewer units or events than declared or required.
    Insufficient {
        /// How many more units are needed.
        more: f64,
        /// What there is, for display.
        observed: Box<Observed>,
    },
    /// Empty, NaN, null or stale.
    NoData {
        /// Since when, if it ever had data.
        since: Option<Timestamp>,
        /// Why, in words.
        why: String,
    },
    /// The source failed.
    SourceError {
        /// Error class (`auth`, `timeout`, `contract_error`, ...).
        class: String,
        /// What it said, without secrets.
        cause: String,
        /// Since when it fails.
        since: Timestamp,
    },
    /// No unit or period has matured yet.
    Immature {
        /// When the first one will have.
        until: Timestamp,
        /// Units waiting.
        waiting: f64,
    },
}

/// What was observed of one signal at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Totals by arm; [`crate::points::ALL`] without arms.
    pub arms: BTreeMap<String, Sample>,
    /// The measured baseline (`from: {window}` or `before_after`), if any.
    pub baseline: Option<Sample>,
    /// Paired differences treatment minus control of a `value` signal with arms.
    pub paired: Option<Blocks>,
    /// The counted periods.
    pub window: Window,
    /// End of the newest counted period.
    pub data_as_of: Timestamp,
    /// Units that have not matured yet, over all arms.
    pub waiting: f64,
    /// Hash of the point versions that were used.
    pub digest: String,
}

/// Totals of one arm, reduced for the methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Added-up sums (newest value for `value`).
    pub sums: Sums,
    /// Periods behind it.
    pub cells: u32,
    /// Overdispersion of the periods (>= 7 of them), for proportions and rates.
    pub phi: Option<f64>,
    /// Block means, for `value`.
    pub blocks: Option<Blocks>,
}

/// Block means of a plain series (statistics.md 1.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    /// Mean of the block means.
    pub mean: f64,
    /// Standard deviation of the block means.
    pub sd: f64,
    /// Complete blocks.
    pub count: u32,
    /// Steps in one block.
    pub block_len: u32,
    /// Lag-1 autocorrelation of the block means.
    pub lag1: f64,
    /// Why it may not be judged, if so.
    pub refused: Option<String>,
}
