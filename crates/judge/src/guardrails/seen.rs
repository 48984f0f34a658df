//! What one guardrail look saw, before stored state and hysteresis.
//!
//! Part of `guardrails`: the kinds make a [`Seen`], `hysteresis` turns it into the stored status.

use super::GuardrailInput;
use crate::analyse::{BurnStatus, DriftStatus, GuardrailState};
use crate::observe::{SourceFailure, allowance_ms, canonical};
use crate::points::{Point, Sums};
use crate::stats::Interval;
use crate::time::{Timestamp, Window, add_ms, ms_between};

/// The raw finding of one look.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// State by this look's data alone.
    pub state: GuardrailState,
    /// What was seen.
    pub value: Option<f64>,
    /// The bound, same unit.
    pub limit: Option<f64>,
    /// Bounds on the value, where a test was made.
    pub interval: Option<Interval>,
    /// Bad events or units over.
    pub bad: Option<f64>,
    /// All events or units.
    pub total: Option<f64>,
    /// Share of the budget left.
    pub budget_left: Option<f64>,
    /// Why, in words, where the numbers do not say it.
    pub why: Option<String>,
    /// The control breaches too.
    pub control_also: bool,
    /// The budget and its alerts, whose clocks were already moved.
    pub burn: Option<BurnStatus>,
    /// The accumulators of a control chart after this look.
    pub drift: Option<DriftStatus>,
}

impl Seen {
    /// A state without numbers.
    pub fn state(state: GuardrailState) -> Self {
        Self {
            state,
            value: None,
            limit: None,
            interval: None,
            bad: None,
            total: None,
            budget_left: None,
            why: None,
            control_also: false,
            burn: None,
            drift: None,
        }
    }

    /// A value held against a bound.
    pub(super) fn value(state: GuardrailState, value: f64, limit: f64) -> Self {
        Self { value: Some(value), limit: Some(limit), ..Self::state(state) }
    }

    /// Nothing usable came; `since` is the last good instant, if there was one.
    pub fn no_data(since: Option<Timestamp>, why: &str) -> Self {
        let why = since.map_or_else(|| why.to_owned(), |since| format!("{why} since {since}"));
        Self { why: Some(why), ..Self::state(GuardrailState::NoData) }
    }

    /// The source failed.
    pub fn source_error(failure: &SourceFailure) -> Self {
        let why = format!("{}: {}", failure.class, failure.cause);
        Self { why: Some(why), ..Self::state(GuardrailState::SourceError) }
    }

    /// Too little to say.
    pub fn insufficient(why: &str) -> Self {
        Self { why: Some(why.to_owned()), ..Self::state(GuardrailState::Insufficient) }
    }
}

/// The closed periods of the cycle in time order, or why there are none to judge.
///
/// `expected_to` is how far the data should reach, normally the slot itself.
pub(super) fn lifetime<'a>(
    input: &GuardrailInput<'a>,
    expected_to: Timestamp,
) -> Result<Vec<&'a Point>, Box<Seen>> {
    let points = closed(input, input.points);
    fresh_to(input, points.iter().map(|point| point.end).max(), expected_to)?;
    Ok(points)
}

/// The end of the newest data, or why they are too old to judge.
pub(super) fn fresh(
    input: &GuardrailInput<'_>,
    newest: Option<Timestamp>,
) -> Result<Timestamp, Box<Seen>> {
    fresh_to(input, newest, input.at)
}

fn fresh_to(
    input: &GuardrailInput<'_>,
    newest: Option<Timestamp>,
    expected_to: Timestamp,
) -> Result<Timestamp, Box<Seen>> {
    let allowance = allowance_ms(input.grain, input.lateness);
    let Some(newest) = newest else {
        let too_soon = ms_between(input.cycle.started_at, input.at) <= allowance;
        return Err(Box::new(if too_soon {
            Seen::insufficient("no period has closed yet")
        } else {
            Seen::no_data(None, "nothing came since the start")
        }));
    };
    if ms_between(newest, expected_to) > allowance {
        return Err(Box::new(Seen::no_data(Some(newest), "nothing new")));
    }
    Ok(newest)
}

/// Periods of the cycle that had closed at the slot.
pub(super) fn closed<'a>(input: &GuardrailInput<'_>, points: &'a [Point]) -> Vec<&'a Point> {
    let window = Window { start: input.cycle.started_at, end: input.at };
    let mut found = canonical(points);
    // A value belongs to its instant, the end of its period; counts must lie wholly inside.
    found.retain(|point| match point.sums {
        Sums::Value { .. } => window.start < point.end && point.end <= window.end,
        _ => window.holds(point.start, point.end),
    });
    found.sort_by_key(|point| (point.end, point.start));
    found
}

/// Until when new units are expected: counted exports end with the planned accrual.
pub(super) fn accrual_end(input: &GuardrailInput<'_>) -> Timestamp {
    let maturity = input.experiment.longest_outcome_maturity();
    add_ms(input.cycle.checkpoint_at, -maturity.ms).min(input.at)
}

/// `(hits, units)` of every period stored as a proportion.
pub(super) fn pairs(points: &[&Point]) -> Vec<(f64, f64)> {
    let pair = |point: &&Point| match point.sums {
        Sums::Proportion { num, den } => Some((num, den)),
        _ => None,
    };
    points.iter().filter_map(pair).collect()
}

/// The newest value of a plain series.
pub(super) fn newest_value(points: &[&Point]) -> Option<f64> {
    points.iter().rev().find_map(|point| match point.sums {
        Sums::Value { value } => Some(value),
        _ => None,
    })
}
