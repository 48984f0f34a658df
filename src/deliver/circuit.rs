//! When a receiver is left alone: pure, one step per finished attempt.
//!
//! Several failures in a row make it *degraded*: it is probed with one message at a time, at
//! growing distances, and any success clears that. Its own word that it is gone, or days of
//! nothing but failures, make it *disabled*, which only a person or another configuration ends.
//! What concerns a single message (too large) or only its rate says nothing about the receiver.

use judge::time::{Timestamp, add_ms, ms_between};

use super::{ErrorClass, SendError, Then};
use crate::store::{EndpointRow, EndpointState};

/// Failures in a row that make a receiver degraded.
pub(super) const DEGRADED_AFTER: u32 = 5;
/// Nothing but failures for this long makes it disabled.
pub(super) const DISABLED_AFTER_MS: i64 = 120 * 3_600_000;
/// Distance of the first two probes; doubled up to the longest.
const FIRST_PROBE_MS: i64 = 5_000;
const LONGEST_PROBE_MS: i64 = 300_000;

/// What one attempt says about the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// It took a message.
    Taken,
    /// It did not, for a reason of its own.
    Failed(&'a str),
    /// It said that it is gone.
    Gone(&'a str),
    /// Nothing.
    Nothing,
}

/// What is told when the state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Degraded,
    Disabled,
    Recovered,
}

impl<'a> Seen<'a> {
    /// How an attempt's result is read.
    pub(super) fn of(result: Result<(), &'a SendError>) -> Self {
        let Err(error) = result else { return Self::Taken };
        match (error.then, error.class) {
            (Then::Disable, _) => Self::Gone(&error.detail),
            (Then::Shrink, _) => Self::Nothing,
            (_, ErrorClass::RateLimited | ErrorClass::TooLarge) => Self::Nothing,
            (_, ErrorClass::Disabled | ErrorClass::Expired) => Self::Nothing,
            _ => Self::Failed(&error.detail),
        }
    }
}

/// The state after an attempt that ended at `now`, and what is to be told.
pub(super) fn step(
    row: &EndpointRow,
    seen: Seen<'_>,
    now: Timestamp,
) -> (EndpointRow, Option<Event>) {
    match (seen, row.state) {
        (Seen::Nothing, _) | (_, EndpointState::Disabled) => (row.clone(), None),
        (Seen::Taken, EndpointState::Ok) if row.failures == 0 => (row.clone(), None),
        (Seen::Taken, state) => {
            let was_degraded = state == EndpointState::Degraded;
            (cleared(row, now), was_degraded.then_some(Event::Recovered))
        }
        (Seen::Gone(why), _) => (disabled(row, why, now), Some(Event::Disabled)),
        (Seen::Failed(why), state) => failed(row, state, why, now),
    }
}

/// A person, or another configuration, gives it another chance: the next message is a probe.
pub(super) fn enabled(row: &EndpointRow, now: Timestamp) -> EndpointRow {
    EndpointRow {
        state: EndpointState::Degraded,
        since_at: now,
        failures: DEGRADED_AFTER,
        failing_since: None,
        probe_at: None,
        paused_until: None,
        ..row.clone()
    }
}

fn cleared(row: &EndpointRow, now: Timestamp) -> EndpointRow {
    let since_at = if row.state == EndpointState::Ok { row.since_at } else { now };
    EndpointRow {
        state: EndpointState::Ok,
        since_at,
        failures: 0,
        failing_since: None,
        probe_at: None,
        cause: None,
        ..row.clone()
    }
}

fn disabled(row: &EndpointRow, why: &str, now: Timestamp) -> EndpointRow {
    EndpointRow {
        state: EndpointState::Disabled,
        since_at: now,
        failures: row.failures.saturating_add(1),
        failing_since: row.failing_since.or(Some(now)),
        probe_at: None,
        cause: Some(why.to_owned()),
        ..row.clone()
    }
}

fn failed(
    row: &EndpointRow,
    state: EndpointState,
    why: &str,
    now: Timestamp,
) -> (EndpointRow, Option<Event>) {
    if row.probe_at.is_some_and(|probe_at| now < probe_at) {
        // Not the probe: it was on its way when the circuit opened, or it was urgent. Sixteen of
        // them must not count as sixteen probes.
        return (row.clone(), None);
    }
    let failures = row.failures.saturating_add(1);
    let since = row.failing_since.unwrap_or(now);
    if failures >= DEGRADED_AFTER && ms_between(since, now) >= DISABLED_AFTER_MS {
        return (disabled(row, why, now), Some(Event::Disabled));
    }
    let is_new = state == EndpointState::Ok && failures >= DEGRADED_AFTER;
    let degraded = is_new || state == EndpointState::Degraded;
    let next = EndpointRow {
        state: if degraded { EndpointState::Degraded } else { EndpointState::Ok },
        since_at: if is_new { now } else { row.since_at },
        failures,
        failing_since: Some(since),
        probe_at: degraded.then(|| add_ms(now, probe_after_ms(failures))),
        cause: Some(why.to_owned()),
        ..row.clone()
    };
    (next, is_new.then_some(Event::Degraded))
}

fn probe_after_ms(failures: u32) -> i64 {
    let doublings = failures.saturating_sub(DEGRADED_AFTER).min(10);
    (FIRST_PROBE_MS << doublings).min(LONGEST_PROBE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    fn fresh() -> EndpointRow {
        EndpointRow::fresh("chat", "hash", at(0))
    }

    /// Steps through what was seen at each instant; states and events.
    fn walk(start: &EndpointRow, seen: &[(i64, Seen<'_>)]) -> (EndpointRow, Vec<Event>) {
        let mut row = start.clone();
        let mut told = Vec::new();
        for (ms, seen) in seen {
            let (next, event) = step(&row, *seen, at(*ms));
            row = next;
            told.extend(event);
        }
        (row, told)
    }

    const FAILED: Seen<'static> = Seen::Failed("timeout");
    const GONE: Seen<'static> = Seen::Gone("HTTP 410");

    #[test]
    fn the_table_of_transitions() {
        use EndpointState::{Degraded, Disabled, Ok};
        let five = [(0, FAILED), (1, FAILED), (2, FAILED), (3, FAILED), (4, FAILED)];
        let long = [(0, FAILED), (1, FAILED), (2, FAILED), (3, FAILED), (120 * HOUR_MS, FAILED)];
        let nearly = [(0, FAILED), (1, FAILED), (2, FAILED), (3, FAILED), (119 * HOUR_MS, FAILED)];
        let few = [(0, FAILED), (120 * HOUR_MS, FAILED)];
        let mixed = [(0, FAILED), (1, FAILED), (2, Seen::Taken), (3, FAILED), (4, FAILED)];
        let back = [five.as_slice(), &[(9, Seen::Taken)]].concat();
        let neither = [&five[..4], &[(4, Seen::Nothing); 9]].concat();
        let gone_late = [five.as_slice(), &[(9, GONE), (10, Seen::Taken)]].concat();
        for (seen, state, told) in [
            (&five[..4], Ok, vec![]),
            (&five, Degraded, vec![Event::Degraded]),
            (&mixed, Ok, vec![]),
            (&neither, Ok, vec![]),
            (&back, Ok, vec![Event::Degraded, Event::Recovered]),
            (&nearly, Degraded, vec![Event::Degraded]),
            (&long, Disabled, vec![Event::Disabled]),
            (&few, Ok, vec![]),
            (&[(0, GONE)], Disabled, vec![Event::Disabled]),
            (&[(0, GONE), (1, GONE), (2, FAILED)], Disabled, vec![Event::Disabled]),
            (&gone_late, Disabled, vec![Event::Degraded, Event::Disabled]),
        ] {
            let (row, events) = walk(&fresh(), seen);
            assert_eq!((row.state, events), (state, told), "{seen:?}");
        }
    }

    #[test]
    fn probes_come_at_growing_distances_and_a_success_forgets_everything() {
        let mut row = walk(&fresh(), &[(0, FAILED); 5]).0;
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let probe_at = row.probe_at.unwrap();
            waits.push(ms_between(now, probe_at));
            let straggler = step(&row, FAILED, add_ms(probe_at, -1)).0;
            assert_eq!(straggler, row, "what was on its way is no probe");
            now = probe_at;
            row = step(&row, FAILED, now).0;
        }
        assert_eq!(waits, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
        let clear = step(&row, Seen::Taken, now).0;
        assert_eq!(clear, EndpointRow { since_at: now, ..fresh() });
    }

    #[test]
    fn enabled_is_a_probe_at_once_with_its_days_before_it() {
        let gone = walk(&fresh(), &[(0, GONE)]).0;
        let enabled = enabled(&gone, at(200 * HOUR_MS));
        assert_eq!((enabled.state, enabled.probe_at), (EndpointState::Degraded, None));
        let (again, told) = walk(&enabled, &[(201 * HOUR_MS, FAILED)]);
        assert_eq!((again.state, told), (EndpointState::Degraded, vec![]), "five days anew");
        let (well, told) = walk(&enabled, &[(201 * HOUR_MS, Seen::Taken)]);
        assert_eq!((well.state, told), (EndpointState::Ok, vec![Event::Recovered]));
    }

    #[test]
    fn what_concerns_one_message_says_nothing_about_the_receiver() {
        let error = |then, class| SendError { then, class, status: None, detail: String::new() };
        let retry = Then::Retry { after: None };
        for (then, class, is_failure) in [
            (retry, ErrorClass::ServerError, true),
            (retry, ErrorClass::Timeout, true),
            (retry, ErrorClass::Network, true),
            (Then::Permanent, ErrorClass::AuthError, true),
            (Then::Permanent, ErrorClass::ClientError, true),
            (retry, ErrorClass::Config, true),
            (retry, ErrorClass::RateLimited, false),
            (Then::Shrink, ErrorClass::TooLarge, false),
            (Then::Permanent, ErrorClass::TooLarge, false),
        ] {
            let error = error(then, class);
            let seen = Seen::of(Err(&error));
            assert_eq!(matches!(seen, Seen::Failed(_)), is_failure, "{error:?}");
        }
        let gone = error(Then::Disable, ErrorClass::Gone);
        assert!(matches!(Seen::of(Err(&gone)), Seen::Gone(_)));
        assert_eq!(Seen::of(Ok(())), Seen::Taken);
    }
}
