//! From what a look saw to the stored state: latch, freeze, `for`, `keep_firing_for`.
//!
//! Part of `guardrails`. The two clocks live in the status as instants. A slot that was missed or
//! failed moves them forward by its own length, so the elapsed time neither grows nor restarts.

use super::Seen;
use crate::analyse::{GuardrailState, GuardrailStatus};
use crate::spec::{Guardrail, OnMissing, OnTrip};
use crate::time::{Span, Timestamp, add_ms, ms_between};

/// The new status, and whether missing data must now be told (`on_missing: alert`).
///
/// `every` is the distance of two slots: a longer gap than that is time nobody looked.
pub fn settle(
    guardrail: &Guardrail,
    stored: Option<&GuardrailStatus>,
    seen: Seen,
    at: Timestamp,
    every: Span,
) -> (GuardrailStatus, bool) {
    if is_missing(seen.state) {
        freeze(guardrail, stored, seen, at)
    } else {
        (live(guardrail, stored, seen, at, every), false)
    }
}

/// A status that nobody has looked at yet.
pub fn unseen(guardrail: &Guardrail) -> GuardrailStatus {
    GuardrailStatus {
        name: guardrail.name.clone(),
        kind: guardrail.kind.keyword().to_owned(),
        on_trip: guardrail.on_trip,
        state: GuardrailState::NoData,
        frozen: None,
        since: None,
        evaluated_at: None,
        value: None,
        limit: None,
        interval: None,
        bad: None,
        total: None,
        budget_left: None,
        why: Some("not evaluated yet".to_owned()),
        pending_since: None,
        clearing_since: None,
        control_also: false,
        latched: false,
        burn: None,
        drift: None,
    }
}

fn is_missing(state: GuardrailState) -> bool {
    matches!(
        state,
        GuardrailState::NoData | GuardrailState::SourceError | GuardrailState::Insufficient
    )
}

/// The last state that rested on data, if any.
fn last_live(stored: Option<&GuardrailStatus>) -> Option<GuardrailState> {
    let stored = stored?;
    stored.frozen.or((!is_missing(stored.state)).then_some(stored.state))
}

/// Puts a look's numbers into a status.
fn with_numbers(mut status: GuardrailStatus, seen: &Seen) -> GuardrailStatus {
    status.value = seen.value;
    status.limit = seen.limit;
    status.interval = seen.interval;
    status.bad = seen.bad;
    status.total = seen.total;
    status.budget_left = seen.budget_left;
    status.why.clone_from(&seen.why);
    status.control_also = seen.control_also;
    if seen.drift.is_some() {
        status.drift.clone_from(&seen.drift);
    }
    status
}

/// A clock moved forward by time that must not count.
fn shifted(clock: Option<Timestamp>, ms: i64) -> Option<Timestamp> {
    clock.map(|since| add_ms(since, ms.max(0)))
}

fn gap_ms(stored: Option<&GuardrailStatus>, at: Timestamp) -> i64 {
    stored.and_then(|stored| stored.evaluated_at).map_or(0, |last| ms_between(last, at))
}

fn freeze(
    guardrail: &Guardrail,
    stored: Option<&GuardrailStatus>,
    seen: Seen,
    at: Timestamp,
) -> (GuardrailStatus, bool) {
    let gap = gap_ms(stored, at);
    let first_ever = stored.is_none_or(|stored| stored.evaluated_at.is_none());
    let mut status = stored.cloned().unwrap_or_else(|| unseen(guardrail));
    let before = (status.state, status.frozen);
    status.on_trip = guardrail.on_trip;
    status.evaluated_at = Some(at);
    status.pending_since = shifted(status.pending_since, gap);
    status.clearing_since = shifted(status.clearing_since, gap);
    status.why.clone_from(&seen.why);
    if seen.state == GuardrailState::Insufficient {
        status = with_numbers(status, &seen);
    }
    if status.latched {
        return (status, false);
    }
    status.frozen = last_live(stored);
    let by_missing = before.0 == GuardrailState::Tripped && before.1.is_some();
    if by_missing && seen.state != GuardrailState::Insufficient {
        // `on_missing: trip` fired at an earlier look; the data are still away.
        status.frozen = before.1;
        return (status, false);
    }
    let absent = |state| matches!(state, GuardrailState::NoData | GuardrailState::SourceError);
    let goes_on = absent(before.0) == absent(seen.state) && is_missing(before.0);
    status.state = seen.state;
    if first_ever || !goes_on || status.since.is_none() {
        status.since = Some(at);
    }
    let missing_ms = status.since.map_or(0, |since| ms_between(since, at));
    let too_long = absent(seen.state) && missing_ms >= guardrail.missing_for.ms;
    if too_long && guardrail.on_missing == OnMissing::Trip {
        status.frozen = status.frozen.or(Some(seen.state));
        status.state = GuardrailState::Tripped;
        status.since = Some(at);
        status.latched = guardrail.on_trip == OnTrip::Stop;
    }
    (status, too_long && guardrail.on_missing == OnMissing::Alert)
}

fn live(
    guardrail: &Guardrail,
    stored: Option<&GuardrailStatus>,
    seen: Seen,
    at: Timestamp,
    every: Span,
) -> GuardrailStatus {
    let unseen_ms = gap_ms(stored, at) - every.ms;
    let mut status = with_numbers(stored.cloned().unwrap_or_else(|| unseen(guardrail)), &seen);
    let before = stored.filter(|stored| stored.evaluated_at.is_some()).map(|stored| stored.state);
    status.on_trip = guardrail.on_trip;
    status.frozen = None;
    status.evaluated_at = Some(at);
    let was_tripped = last_live(stored) == Some(GuardrailState::Tripped);
    let mut state = seen.state;
    if seen.state == GuardrailState::Tripped {
        let since = shifted(status.pending_since, unseen_ms).unwrap_or(at);
        status.pending_since = Some(since);
        status.clearing_since = None;
        if !was_tripped && ms_between(since, at) < guardrail.hold_for.ms {
            state = GuardrailState::Ok;
        }
    } else {
        status.pending_since = None;
        let since = shifted(status.clearing_since, unseen_ms).unwrap_or(at);
        let keeps = was_tripped && ms_between(since, at) < guardrail.keep_firing_for.ms;
        status.clearing_since = keeps.then_some(since);
        if keeps {
            state = GuardrailState::Tripped;
        }
    }
    status.latched |= state == GuardrailState::Tripped && guardrail.on_trip == OnTrip::Stop;
    if status.latched {
        state = GuardrailState::Tripped;
    }
    status.state = state;
    if before != Some(state) {
        status.since = Some(at);
    }
    status
}
