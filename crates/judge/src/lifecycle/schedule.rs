//! When an experiment is looked at: pure calendar arithmetic over the file and its cycle.
//!
//! Looks run every `look_every`, whole days at 00:00 of the file's zone and aligned to the start
//! of the cycle, and at the checkpoint instant (product.md 4.1a).

use jiff::tz::TimeZone;

use super::{LifeState, needs_looks};
use crate::record::Cycle;
use crate::spec::{Experiment, When};
use crate::time::{DAY_MS, Span, Timestamp, add, add_ms, date_of, start_of_day};

/// The zone of the file's dates; UTC where the name is unknown (the parser refuses such files).
pub fn zone_of(experiment: &Experiment) -> TimeZone {
    TimeZone::get(&experiment.timezone).unwrap_or(TimeZone::UTC)
}

/// The first look strictly after `after`; `None` in lives that are not looked at.
pub fn next_look(
    experiment: &Experiment,
    state: &LifeState,
    after: Timestamp,
) -> Option<Timestamp> {
    needs_looks(state.life).then(|| look_after(experiment, &state.cycle, after))
}

/// The first look of a running cycle strictly after `after`: the next of the rhythm, or the
/// checkpoint if that comes first. The start itself is no look: nothing can have happened.
pub fn look_after(experiment: &Experiment, cycle: &Cycle, after: Timestamp) -> Timestamp {
    let zone = zone_of(experiment);
    let from = after.max(cycle.started_at);
    let regular = step_after(cycle.started_at, experiment.checkpoint.look_every, from, &zone);
    if cycle.checkpoint_at > from { regular.min(cycle.checkpoint_at) } else { regular }
}

/// The first checkpoint of a rhythm strictly after `after` in a cycle that began at `started_at`.
pub(super) fn checkpoint_after(
    experiment: &Experiment,
    every: Span,
    started_at: Timestamp,
    after: Timestamp,
) -> Timestamp {
    step_after(started_at, every, after.max(started_at), &zone_of(experiment))
}

/// The checkpoint after this one, if one is planned: `every` goes on until `by`. Without a `by`
/// nothing would end the rhythm, so none is planned (no pilot lives for ever).
pub fn further_checkpoint(
    experiment: &Experiment,
    cycle: &Cycle,
    at: Timestamp,
) -> Option<Timestamp> {
    let When::Every(every) = experiment.checkpoint.when else {
        return None;
    };
    let next = checkpoint_after(experiment, every, cycle.started_at, at);
    (next <= experiment.by()?).then_some(next)
}

/// One interval (product.md 4.3): `every`, else the accrual time `at - start - the longest
/// outcome maturity`, in calendar days of the file's zone; at least one day.
pub fn interval(experiment: &Experiment) -> Span {
    match experiment.checkpoint.when {
        When::Every(every) => every,
        When::At(at) => {
            let zone = zone_of(experiment);
            let days = date_of(at, &zone) - date_of(experiment.start, &zone);
            let ms = i64::from(days.get_days()) * DAY_MS;
            let accrual = ms - experiment.longest_outcome_maturity().ms;
            Span { ms: accrual.max(DAY_MS) }
        }
    }
}

/// The smallest `anchor + k * every` (k >= 1) strictly after `from`, which is not before the
/// anchor. Whole days are calendar days at 00:00 of the anchor's day.
fn step_after(anchor: Timestamp, every: Span, from: Timestamp, zone: &TimeZone) -> Timestamp {
    if every.ms % DAY_MS == 0 && every.ms > 0 {
        let every_days = every.ms / DAY_MS;
        let anchor_date = date_of(anchor, zone);
        let day = |steps: i64| {
            let shift = jiff::Span::new().try_days(steps * every_days);
            let date = shift.ok().and_then(|shift| anchor_date.checked_add(shift).ok());
            date.map_or(Timestamp::MAX, |date| start_of_day(date, zone))
        };
        let days_so_far = i64::from((date_of(from, zone) - anchor_date).get_days());
        let first = days_so_far / every_days;
        // The slot of today may still lie ahead when a day begins after 00:00 (clock changes).
        let first = first.max(1);
        return (first..first + 3).map(day).find(|slot| *slot > from).unwrap_or(Timestamp::MAX);
    }
    let every_ms = every.ms.max(1);
    let steps = (from.as_millisecond() - anchor.as_millisecond()).div_euclid(every_ms) + 1;
    add_ms(anchor, steps.max(1).saturating_mul(every_ms))
}

/// `at` plus one interval: where `change: extend` puts the checkpoint.
pub fn extended_checkpoint(experiment: &Experiment, at: Timestamp) -> Timestamp {
    add(at, interval(experiment), &zone_of(experiment))
}
