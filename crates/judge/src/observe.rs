//! From stored points to observations: the fourth step of the line.
//!
//! Only matured periods are added up, per arm, into [`Sample`]s; everything that keeps a signal
//! from being judged is a value of [`Observation`], never an error. The reduced samples are what
//! an evaluation freezes: `explain` and `replay` start from them.
//!
//! Invariants: the order of the points does not matter; only periods that had closed and matured
//! at the instant of the look count, in the cycle and in the baseline window alike.
//!
//! *Fresh enough*: the newest received period of every judged arm must reach the last period that
//! this look could count, less an allowance of `max(3 grains, lateness + 2 grains)`. "Could count"
//! ends at `at - matures_after` (a source may return closed units only) and, for counted forms, at
//! the planned end of accrual, `checkpoint - longest outcome maturity`: a cohort that was recruited
//! as planned and is only maturing is not stale.

mod allocation;
mod frame;
mod require;
mod series;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::points::{Extra, Point, Sums};
use crate::record::Cycle;
use crate::spec::{Experiment, Signal};
use crate::stats::overdispersion::Unevenness;
use crate::time::{Span, Timestamp, Window};

use frame::Frame;

/// What is known about one series when a look observes it.
#[derive(Debug, Clone)]
pub struct SeriesInput<'a> {
    /// All newest-version points of the series over the cycle and the baseline window, any order.
    pub points: &'a [Point],
    /// The source's failure, if the last fetch failed.
    pub failure: Option<SourceFailure>,
    /// When this signal was last observed well; told with `no_data`.
    pub last_good: Option<Timestamp>,
    /// How late the source may be by its own declaration.
    pub lateness: Span,
}

/// Why nothing could be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFailure {
    /// Error class (`auth`, `timeout`, `contract_error`, ...).
    pub class: String,
    /// What it said, without secrets.
    pub cause: String,
    /// Since when it fails.
    pub since: Timestamp,
}

/// Classes of failures that one query or its rows have, while their source answers.
const OF_THE_QUERY: &[&str] = &["user_error", "contract_error", "cost_guard"];

/// Whether an error class is a failure of the source itself (it does not answer, refuses, is too
/// slow), which concerns everybody who reads it, and not of one query or its rows.
pub fn is_of_source(class: &str) -> bool {
    !OF_THE_QUERY.contains(&class)
}

/// Observes one signal at one instant: the matured periods of `[cycle.started_at, at)`.
///
/// Total: whatever is wrong with the data is said in the answer.
pub fn observe(
    experiment: &Experiment,
    signal: &Signal,
    cycle: &Cycle,
    at: Timestamp,
    input: &SeriesInput<'_>,
) -> Observation {
    if let Some(failure) = &input.failure {
        return Observation::SourceError {
            class: failure.class.clone(),
            cause: failure.cause.clone(),
            since: failure.since,
        };
    }
    let frame = Frame::new(experiment, signal, cycle, at, input);
    if let Err(missing) = frame.check() {
        return missing;
    }
    match frame.reduce() {
        Ok((observed, missing)) => require::judge_fit(&frame, observed, missing),
        Err(observation) => observation,
    }
}

/// How old data may be: `max(3 grains, lateness + 2 grains)`.
pub(crate) fn allowance_ms(grain: Span, lateness: Span) -> i64 {
    (3 * grain.ms).max(lateness.ms + 2 * grain.ms)
}

/// Finite points in the order (arm, time). Of two rows for one period the larger sums stay, which
/// depends on neither's place.
pub(crate) fn canonical(points: &[Point]) -> Vec<&Point> {
    let mut found: BTreeMap<(&str, Timestamp, Timestamp), &Point> = BTreeMap::new();
    for point in points {
        let sums = point.sums.to_array();
        if !sums.iter().all(|sum| sum.is_finite()) || point.end <= point.start {
            continue;
        }
        let kept = found.entry((point.arm.as_str(), point.start, point.end)).or_insert(point);
        let pairs = sums.into_iter().zip(kept.sums.to_array());
        let order = pairs.map(|(new, old)| new.total_cmp(&old));
        if order.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).is_gt() {
            *kept = point;
        }
    }
    found.into_values().collect()
}

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

impl Observation {
    /// What was counted, whether or not it is enough to judge.
    pub fn counted(&self) -> Option<&Observed> {
        match self {
            Self::Ok(observed) | Self::Insufficient { observed, .. } => Some(observed),
            Self::NoData { .. } | Self::SourceError { .. } | Self::Immature { .. } => None,
        }
    }

    /// Since when its data are missing, if they are and that is known.
    pub fn missing_since(&self) -> Option<Timestamp> {
        match self {
            Self::NoData { since, .. } => *since,
            Self::SourceError { since, .. } => Some(*since),
            _ => None,
        }
    }
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
    /// The steps of a `value` signal, for the methods of one planned look that need them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Steps>,
    /// Overdispersion of the difference of two concurrent arms, for proportions and rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Unevenness>,
    /// Totals of both arms while their shares of the units stayed the same, oldest first; empty
    /// where they never changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<Allocation>,
    /// The counted periods.
    pub window: Window,
    /// End of the newest counted period.
    pub data_as_of: Timestamp,
    /// Units that have not matured yet, over all arms.
    pub waiting: f64,
    /// Hash of the point versions that were used.
    pub digest: String,
}

/// `(num, den)` of both arms over one stretch of constant allocation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Of the control.
    pub control: (f64, f64),
    /// Of the treatment.
    pub treatment: (f64, f64),
}

/// Totals of one arm, reduced for the methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Added-up sums (newest value for `value`).
    pub sums: Sums,
    /// Periods behind it.
    pub cells: u32,
    /// Overdispersion of the periods within weeks, averaged with its prior, for proportions and
    /// rates of which two periods vary.
    pub phi: Option<f64>,
    /// Block means, for `value`.
    pub blocks: Option<Blocks>,
    /// Cubes and covariate, where the query names them.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub extra: Extra,
}

fn is_nothing(extra: &Extra) -> bool {
    *extra == Extra::default()
}

impl Sample {
    /// Its dispersion with the degrees of freedom behind it; counts that cannot show one have the
    /// prior alone, means and series have none.
    pub fn unevenness(&self) -> Option<Unevenness> {
        match (self.phi, self.sums) {
            (Some(phi), _) => Some(Unevenness::over(phi, self.cells as usize)),
            (None, Sums::Proportion { .. } | Sums::Rate { .. }) => Some(Unevenness::UNKNOWN),
            (None, _) => None,
        }
    }
}

/// A plain series step by step: neighbours are averaged until at most 2,048 are left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// The treatment; after the start.
    pub treatment: Vec<f64>,
    /// The control on the same steps, or the time before the start; empty against a constant.
    pub comparison: Vec<f64>,
}

/// Block means of a plain series (statistics.md 1.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    /// Mean of the block means.
    pub mean: f64,
    /// Standard deviation of the block means, widened for the dependence that the block length
    /// leaves and for a profile that was taken off.
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

#[cfg(test)]
mod tests;
