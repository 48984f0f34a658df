//! From what a look saw to the stored state: latch, freeze, `for`, `keep_firing_for`.
//!
//! Part of `guardrails`. The two clocks live in the status as instants (burn-rate alerts have their
//! own, in `burn`), so that a restart loses nothing. A slot that was missed or
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
    if seen.burn.is_some() {
        status.burn.clone_from(&seen.burn);
    }
    if seen.drift.is_some() {
        status.drift.clone_from(&seen.drift);
    }
    status
}

/// On or off, with the two clocks that lead from one to the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clocks {
    pub(super) firing: bool,
    pub(super) pending_since: Option<Timestamp>,
    pub(super) clearing_since: Option<Timestamp>,
}

impl Clocks {
    /// One look that could be judged: `for` on the way in, `keep_firing_for` on the way out.
    ///
    /// `unseen_ms` is how long nobody looked before it; that time does not count.
    pub(super) fn step(
        self,
        breaches: bool,
        (hold_for, keep_for): (Span, Span),
        at: Timestamp,
        unseen_ms: i64,
    ) -> Self {
        if breaches {
            let since = shifted(self.pending_since, unseen_ms).unwrap_or(at);
            let firing = self.firing || ms_between(since, at) >= hold_for.ms;
            return Self { firing, pending_since: Some(since), clearing_since: None };
        }
        let since = shifted(self.clearing_since, unseen_ms).unwrap_or(at);
        let firing = self.firing && ms_between(since, at) < keep_for.ms;
        Self { firing, pending_since: None, clearing_since: firing.then_some(since) }
    }
}

/// A clock moved forward by time that must not count.
pub(super) fn shifted(clock: Option<Timestamp>, ms: i64) -> Option<Timestamp> {
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
    for alert in status.burn.iter_mut().flat_map(|burn| &mut burn.alerts) {
        alert.pending_since = shifted(alert.pending_since, gap);
        alert.clearing_since = shifted(alert.clearing_since, gap);
    }
    status.why.clone_from(&seen.why);
    if seen.state == GuardrailState::Insufficient {
        status = with_numbers(status, &seen);
    }
    // The file may have made a stop of an alert that is on: what is known says tripped.
    let was_on = [Some(before.0), before.1].contains(&Some(GuardrailState::Tripped));
    if was_on && guardrail.on_trip == OnTrip::Stop {
        status.latched = true;
        status.state = GuardrailState::Tripped;
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
    let clocks = Clocks {
        firing: last_live(stored) == Some(GuardrailState::Tripped),
        pending_since: status.pending_since,
        clearing_since: status.clearing_since,
    };
    let spans = match &seen.burn {
        // Every alert of a budget has its own clocks, which were moved when it was judged.
        Some(burn) if !burn.alerts.is_empty() => (Span::ZERO, Span::ZERO),
        _ => (guardrail.hold_for, guardrail.keep_firing_for),
    };
    let breaches = seen.state == GuardrailState::Tripped;
    let clocks = clocks.step(breaches, spans, at, unseen_ms);
    status.pending_since = clocks.pending_since;
    status.clearing_since = clocks.clearing_since;
    let mut state = match (clocks.firing, breaches) {
        (true, _) => GuardrailState::Tripped,
        (false, true) => GuardrailState::Ok,
        (false, false) => seen.state,
    };
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
