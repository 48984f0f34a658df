//! What a method needs before it may judge: declared and required sizes.
//!
//! Part of `observe`. Statistics.md 1.1 (minimum samples) and `min_n`. Exact methods need none;
//! below ten events two arms are judged by the exact method of 1.3, so proportions in two arms
//! need none either.

use super::frame::Frame;
use super::{Observation, Observed, Sample};
use crate::points::Sums;
use crate::spec::{Baseline, Compare};
use crate::stats::skew;

/// Fewest units of a mean or ratio in each judged population.
pub(super) const MIN_MEAN_UNITS: f64 = 100.0;
/// Fewest events (and for proportions non-events) where the normal approximation is used.
pub(super) const MIN_EVENTS: f64 = 10.0;

/// `ok`, or `insufficient` with the number of units that are missing.
pub(super) fn judge_fit(frame: &Frame<'_>, observed: Observed, missing_blocks: f64) -> Observation {
    let more = missing_units(frame, &observed).max(missing_blocks).ceil();
    let observed = Box::new(observed);
    if more > 0.0 {
        Observation::Insufficient { more, observed }
    } else {
        Observation::Ok(observed)
    }
}

fn missing_units(frame: &Frame<'_>, observed: &Observed) -> f64 {
    let treatment = frame.arms.last().and_then(|arm| observed.arms.get(*arm));
    let declared = match (frame.signal.min_n, treatment) {
        (Some(min_n), Some(sample)) => min_n as f64 - size(sample),
        _ => 0.0,
    };
    let judged = frame.arms.iter().filter_map(|arm| observed.arms.get(*arm));
    let normal = uses_normal(frame);
    let required = judged
        .chain(observed.baseline.as_ref())
        .map(|sample| shortfall(sample, normal))
        .fold(0.0, f64::max);
    required.max(declared).max(0.0)
}

/// Units, or complete blocks of a series.
fn size(sample: &Sample) -> f64 {
    sample.blocks.as_ref().map_or(sample.sums.units(), |blocks| f64::from(blocks.count))
}

/// Whether counts are judged by a normal approximation: rates in two arms, and both forms of
/// counts against a counted or measured baseline.
fn uses_normal(frame: &Frame<'_>) -> NormalFor {
    let counted = matches!(frame.signal.from, Some(Baseline::Counted { .. }));
    match frame.compare {
        Compare::Arms { .. } => NormalFor { proportions: false, rates: true },
        _ if frame.baseline.is_some() || counted => NormalFor { proportions: true, rates: true },
        _ => NormalFor { proportions: false, rates: false },
    }
}

#[derive(Debug, Clone, Copy)]
struct NormalFor {
    proportions: bool,
    rates: bool,
}

fn shortfall(sample: &Sample, normal: NormalFor) -> f64 {
    match sample.sums {
        Sums::Mean { n, sum, sum_sq } => {
            let least =
                sample.extra.cubes.and_then(|cubes| skew::least_units(n, sum, sum_sq, cubes));
            least.map_or(MIN_MEAN_UNITS, |least| least.max(MIN_MEAN_UNITS)) - n
        }
        Sums::Ratio { n, .. } => MIN_MEAN_UNITS - n,
        Sums::Proportion { num, den } if normal.proportions => {
            units_for_events(num, den).max(units_for_events(den - num, den))
        }
        Sums::Rate { events, exposure } if normal.rates => units_for_events(events, exposure),
        _ => 0.0,
    }
}

/// Units that bring the events to ten at the share seen so far (one unit per event before any).
fn units_for_events(events: f64, units: f64) -> f64 {
    let missing = MIN_EVENTS - events;
    if missing <= 0.0 {
        return 0.0;
    }
    if events > 0.0 { missing * units / events } else { missing }
}
