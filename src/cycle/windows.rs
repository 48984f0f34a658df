//! Which periods a look or a guardrail asks for: as few as the definition allows.
//!
//! Points are stored, so a look asks only what can still have changed: the newest periods, those
//! whose units have not matured, and a little behind (`lookback_periods`). A checkpoint and every
//! seventh day ask the whole window again, so that restatements of any age are seen.

use judge::record::Cycle;
use judge::spec::{Baseline, Compare, Experiment, Signal};
use judge::time::{DAY_MS, Span, Timestamp, Window, add, add_ms, aligned_slot, ms_between};

/// What is already there and how far back to look again.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// End of the newest stored period.
    pub newest_end: Option<Timestamp>,
    /// Length of one period.
    pub grain: Span,
    /// Periods to read again.
    pub lookback: u32,
}

/// The periods of the cycle to ask for at a look; empty windows are not asked.
pub fn of_look(
    signal: &Signal,
    cycle: &Cycle,
    at: Timestamp,
    at_checkpoint: bool,
    known: Known,
) -> Option<Window> {
    let whole = Window { start: cycle.started_at, end: at };
    let weekly = is_weekly(cycle, at);
    let start = match known.newest_end {
        Some(newest_end) if !at_checkpoint && !weekly => {
            let behind = i64::from(known.lookback) * known.grain.ms;
            let changing = add_ms(at, -signal.matures_after.ms);
            add_ms(newest_end.min(changing), -behind).max(whole.start)
        }
        _ => whole.start,
    };
    (start < whole.end).then_some(Window { start, end: whole.end })
}

/// The baseline window of a signal that measures one; it ends at the first cycle's start.
pub fn of_baseline(experiment: &Experiment, signal: &Signal, cycle: &Cycle) -> Option<Window> {
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let length = match (&signal.from, compare) {
        (Some(Baseline::Window(length)), _) => *length,
        (_, Compare::BeforeAfter { window }) => *window,
        _ => return None,
    };
    let zone = judge::lifecycle::zone_of(experiment);
    let start = add(cycle.first_started_at, Span { ms: -length.ms }, &zone);
    Some(Window { start, end: cycle.first_started_at })
}

/// Whether the baseline window is asked again: while its last units mature, and whenever a look
/// asks everything.
pub fn asks_baseline(
    signal: &Signal,
    cycle: &Cycle,
    window: Window,
    at: Timestamp,
    at_checkpoint: bool,
) -> bool {
    let matured_at = add_ms(window.end, signal.matures_after.ms + DAY_MS);
    at <= matured_at || at_checkpoint || is_weekly(cycle, at)
}

/// Every seventh day from the cycle's start asks everything again.
fn is_weekly(cycle: &Cycle, at: Timestamp) -> bool {
    ms_between(cycle.started_at, at) % (7 * DAY_MS) == 0
}

/// The periods of a guardrail to ask for: one for a number of now, the new ones for counts.
pub fn of_guardrail(
    started_at: Timestamp,
    at: Timestamp,
    is_count: bool,
    known: Known,
) -> Option<Window> {
    let grain_ms = known.grain.ms;
    if !is_count {
        return Some(Window { start: add_ms(at, -grain_ms), end: at });
    }
    // Slots carry a stable offset, periods do not: only whole periods are asked.
    let end = aligned_slot(at, known.grain, 0);
    let behind = i64::from(known.lookback) * grain_ms;
    let start = known
        .newest_end
        .map_or(started_at, |newest_end| add_ms(newest_end, -behind).max(started_at));
    (ms_between(start, end) >= grain_ms).then_some(Window { start, end })
}
