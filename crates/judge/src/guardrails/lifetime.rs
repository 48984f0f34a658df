//! The lifetime budget of an `slo` in time: what is left for the pilot, how fast, until when.
//!
//! Part of `slo`; the test of a lifetime is there, these numbers trip nothing. The period runs from
//! the cycle's start (or a rearm) to its checkpoint, or on for as long as it goes on: at even
//! traffic the pilot's budget is `(1 - objective)` of the events of the whole period (monitoring
//! section 2). Time that was not measured is time without errors, as for every other budget.

use super::GuardrailInput;
use super::burn::exhausted_at;
use super::slo::{ALPHA, ShareTest};
use crate::analyse::{BurnStatus, TripsAt};
use crate::points::Point;
use crate::spec::BudgetPeriod;
use crate::stats::bounded;
use crate::time::{DAY_MS, Span, Timestamp, Window, add_ms, ms_between};

/// The budget's numbers, and the share of it that is left.
pub(super) fn budget(
    input: &GuardrailInput<'_>,
    points: &[&Point],
    test: &ShareTest,
    budget: f64,
) -> (BurnStatus, f64) {
    let start = input.cycle.started_at;
    let as_of = points.iter().map(|point| point.end).max().unwrap_or(start);
    let period = Window { start, end: input.cycle.checkpoint_at.max(as_of) };
    let measured = measured_ms(points, start) as f64 / ms_between(start, period.end).max(1) as f64;
    let left = bounded(1.0 - test.share() / budget * measured);
    let within = Span { ms: ms_between(start, as_of) };
    let trips_at = test.fewest_breaching(ALPHA);
    let mut status = BurnStatus {
        period,
        measured,
        burn: burn_now(input, points, as_of, budget),
        exhausted_at: None,
        trips_at: trips_at.map(|needed| TripsAt { bad: test.bad, needed, within }),
        alerts: Vec::new(),
        bad_within: None,
    };
    status.exhausted_at = exhausted_at(&status, left, as_of, BudgetPeriod::Lifetime);
    (status, left)
}

/// The burn rate of now: over the newest day, or one period if that is longer.
fn burn_now(input: &GuardrailInput<'_>, points: &[&Point], as_of: Timestamp, budget: f64) -> f64 {
    let since = add_ms(as_of, -DAY_MS.max(input.grain.ms)).max(input.cycle.started_at);
    let newest: Vec<&Point> = points.iter().copied().filter(|point| point.start >= since).collect();
    let measured = measured_ms(&newest, since) as f64 / ms_between(since, as_of).max(1) as f64;
    match ShareTest::of(&super::seen::pairs(&newest), budget) {
        Some(test) => bounded(test.share() / budget * measured.min(1.0)),
        None => 0.0,
    }
}

/// How long the periods are together; they are sorted and do not overlap.
fn measured_ms(points: &[&Point], since: Timestamp) -> i64 {
    points.iter().map(|point| ms_between(point.start.max(since), point.end).max(0)).sum()
}
