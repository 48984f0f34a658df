//! Who may be sent to now: circuits, buckets and what is in flight, behind one lock.
//!
//! The rules are pure (`circuit`, `bucket`, `skew`); this file keeps their state for every
//! receiver and answers two questions: how many rows may be leased, and may this one still start.
//! What changed is handed back, to be written with the attempt that changed it. Actions have
//! neither circuit nor bucket: a rollback waits for nobody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use judge::notice::NoticeKind;
use judge::time::{Timestamp, ms_between};

use super::bucket::{Bucket, Rate};
use super::circuit::{self, Event, Seen};
use super::skew::{self, Skew};
use super::{ErrorClass, SendError, Then};
use crate::store::{EndpointRow, EndpointState, Room, Rooms};

/// Pauses that a receiver asks for and that last longer are told.
const LONG_PAUSE_MS: i64 = 300_000;
/// How the cause of such a pause begins.
const PAUSED: &str = "It asked to be left alone until ";
/// Rows leased ahead of what is being sent, so that a commit is never waited for.
pub(super) const AHEAD: usize = 4;
/// Characters of a receiver's answer that are told.
const TOLD_CHARS: usize = 300;

/// One receiver.
#[derive(Debug)]
struct Door {
    row: EndpointRow,
    bucket: String,
}

#[derive(Debug, Default)]
struct State {
    doors: BTreeMap<String, Door>,
    buckets: BTreeMap<String, Bucket>,
    in_flight: BTreeMap<String, usize>,
}

/// All receivers.
#[derive(Debug)]
pub(super) struct Traffic {
    state: Mutex<State>,
    concurrency: usize,
}

/// A receiver as configured.
#[derive(Debug)]
pub(super) struct Configured {
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) destination: String,
    pub(super) rates: Vec<Rate>,
}

/// What an attempt changed about its receiver.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) row: Option<EndpointRow>,
    /// What is to be told, in words.
    pub(super) told: Vec<(NoticeKind, String)>,
}

/// How an attempt ended, for the receiver's sake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) result: Result<(), &'a SendError>,
    pub(super) skew_ms: Option<i64>,
    pub(super) at: Timestamp,
    pub(super) jitter: f64,
}

impl Traffic {
    pub(super) fn new(receivers: Vec<Configured>, concurrency: usize, now: Timestamp) -> Self {
        let mut state = State::default();
        for one in receivers {
            let bucket = Bucket::new(one.rates);
            state.buckets.entry(one.destination.clone()).or_insert(bucket);
            let row = EndpointRow::fresh(&one.name, &one.digest, now);
            state.doors.insert(one.name, Door { row, bucket: one.destination });
        }
        Self { state: Mutex::new(state), concurrency }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the store knows better: from before a restart, or from a person who
    /// enabled a receiver in another process. Gives back the rows of receivers whose changed
    /// configuration enables them.
    pub(super) fn adopt(&self, known: Vec<EndpointRow>, now: Timestamp) -> Vec<EndpointRow> {
        let mut state = self.locked();
        let state = &mut *state;
        let mut changed = Vec::new();
        for row in known {
            let Some(door) = state.doors.get_mut(&row.endpoint) else { continue };
            if row.version < door.row.version || row == door.row {
                continue;
            }
            let digest = std::mem::take(&mut door.row.config_hash);
            let is_other = row.config_hash != digest;
            // Only a person takes a pause back before it is over.
            let is_lifted = door.row.paused_until.is_some() && row.paused_until.is_none();
            door.row = row;
            if is_other {
                if door.row.state != EndpointState::Ok {
                    door.row = circuit::enabled(&door.row, now);
                }
                door.row.config_hash = digest;
                door.row.version += 1;
                changed.push(door.row.clone());
            }
            if let Some(bucket) = state.buckets.get_mut(&door.bucket) {
                if is_lifted {
                    bucket.lift();
                }
                bucket.resume(door.row.paused_until);
            }
        }
        changed
    }

    /// How many rows of each endpoint may be leased now.
    pub(super) fn rooms(&self, now: Timestamp) -> Rooms {
        let state = self.locked();
        let most = self.concurrency * AHEAD;
        let free = |count: usize| {
            // What is urgent finds room where everything else has to wait.
            let only_urgent = count >= most;
            let most = if only_urgent { most + self.concurrency } else { most };
            Room { rows: most.saturating_sub(count), only_urgent }
        };
        let in_flight = state.in_flight.iter();
        let mut named: BTreeMap<_, _> =
            in_flight.map(|(name, count)| (name.clone(), free(*count))).collect();
        for (name, door) in &state.doors {
            let busy = state.in_flight.get(name).copied().unwrap_or(0);
            let mut room = match door.row.state {
                EndpointState::Disabled => Room { rows: 0, only_urgent: false },
                EndpointState::Degraded => probe_room(&door.row, busy, now),
                EndpointState::Ok => free(busy),
            };
            let limit = state.buckets.get(&door.bucket).and_then(|bucket| bucket.room(now));
            room.rows = room.rows.min(limit.unwrap_or(usize::MAX));
            named.insert(name.clone(), room);
        }
        Rooms { others: most, named }
    }

    /// When an endpoint that has due rows can be sent to, as far as time decides it.
    pub(super) fn ready_at(&self, endpoint: &str, now: Timestamp) -> Option<Timestamp> {
        let state = self.locked();
        let Some(door) = state.doors.get(endpoint) else { return Some(now) };
        let open_at = match door.row.state {
            EndpointState::Disabled => return None,
            EndpointState::Degraded if state.in_flight.contains_key(endpoint) => return None,
            EndpointState::Degraded => door.row.probe_at.unwrap_or(now),
            EndpointState::Ok => now,
        };
        let ready = state.buckets.get(&door.bucket).map_or(now, |bucket| bucket.ready_at(now));
        Some(open_at.max(ready))
    }

    /// A row was leased; whether it is a probe of a degraded receiver.
    pub(super) fn begun(&self, endpoint: &str, now: Timestamp) -> bool {
        let mut state = self.locked();
        let state = &mut *state;
        *state.in_flight.entry(endpoint.to_owned()).or_default() += 1;
        let Some(door) = state.doors.get(endpoint) else { return false };
        if let Some(bucket) = state.buckets.get_mut(&door.bucket) {
            bucket.take(now, 1);
        }
        door.row.state == EndpointState::Degraded
    }

    /// A leased row is done with, whatever became of it.
    pub(super) fn done(&self, endpoint: &str) {
        let mut state = self.locked();
        if let Some(count) = state.in_flight.get_mut(endpoint) {
            *count -= 1;
            if *count == 0 {
                state.in_flight.remove(endpoint);
            }
        }
    }

    /// Whether little enough is in flight there to lease more.
    pub(super) fn is_low(&self, endpoint: &str) -> bool {
        let busy = self.locked().in_flight.get(endpoint).copied().unwrap_or(0);
        busy <= self.concurrency * AHEAD / 2
    }

    /// Whether a leased row may still start: much can have happened while it waited for its turn.
    pub(super) fn may_start(&self, endpoint: &str, is_exempt: bool, now: Timestamp) -> bool {
        let state = self.locked();
        let Some(door) = state.doors.get(endpoint) else { return true };
        let paused = state.buckets.get(&door.bucket).and_then(Bucket::paused_until);
        let is_paused = paused.is_some_and(|until| now < until);
        let is_open = match door.row.state {
            EndpointState::Ok => true,
            EndpointState::Degraded => is_exempt,
            EndpointState::Disabled => false,
        };
        is_open && !is_paused
    }

    /// What an ended attempt changes about its receiver.
    pub(super) fn ended(&self, endpoint: &str, ended: Ended<'_>) -> Change {
        let mut state = self.locked();
        let state = &mut *state;
        let Some(door) = state.doors.get_mut(endpoint) else { return Change::default() };
        let (mut row, event) = circuit::step(&door.row, Seen::of(ended.result), ended.at);
        if let Some(bucket) = state.buckets.get_mut(&door.bucket) {
            match ended.result {
                Ok(()) => {
                    bucket.taken();
                    row.paused_until = bucket.paused_until().filter(|until| *until > ended.at);
                }
                Err(SendError { class: ErrorClass::RateLimited, then, .. }) => {
                    let asked = if let Then::Retry { after } = then { *after } else { None };
                    bucket.pause(ended.at, asked, ended.jitter);
                    row.paused_until = bucket.paused_until();
                }
                Err(_) => {}
            }
        }
        let mut told: Vec<_> = pause_words(&mut row, ended.at).into_iter().collect();
        told.extend(event.map(|event| circuit_words(event, &door.row, &row)));
        let skew = skew::step(row.skew_ms, ended.skew_ms);
        if let Some(skew) = skew {
            row.skew_ms = if let Skew::Began(ms) = skew { Some(ms) } else { None };
            told.push(skew_words(skew));
        }
        Change { row: replaced(door, row), told }
    }

    /// Messages of that receiver went unsent: whether it is time to tell, and the row that says
    /// that it was told.
    pub(super) fn dropped(
        &self,
        endpoint: &str,
        every_ms: i64,
        now: Timestamp,
    ) -> Option<EndpointRow> {
        let mut state = self.locked();
        let door = state.doors.get_mut(endpoint)?;
        let told_at = door.row.dropped_told_at;
        if told_at.is_some_and(|told_at| ms_between(told_at, now) < every_ms) {
            return None;
        }
        let row = EndpointRow { dropped_told_at: Some(now), ..door.row.clone() };
        replaced(door, row)
    }

    /// When a degraded receiver is probed next.
    pub(super) fn probe_at(&self, endpoint: &str) -> Option<Timestamp> {
        let state = self.locked();
        let row = &state.doors.get(endpoint)?.row;
        row.probe_at.filter(|_| row.state == EndpointState::Degraded)
    }

    /// Until when a receiver's destination is paused.
    pub(super) fn paused_until(&self, endpoint: &str) -> Option<Timestamp> {
        let state = self.locked();
        let door = state.doors.get(endpoint)?;
        state.buckets.get(&door.bucket)?.paused_until()
    }

    /// The state of every receiver.
    pub(super) fn states(&self) -> Vec<(String, EndpointState)> {
        let state = self.locked();
        state.doors.iter().map(|(name, door)| (name.clone(), door.row.state)).collect()
    }
}

/// One message at a time, and at its time; what is urgent does not wait for that.
fn probe_room(row: &EndpointRow, busy: usize, now: Timestamp) -> Room {
    let is_time = row.probe_at.is_none_or(|probe_at| probe_at <= now);
    Room { rows: usize::from(busy == 0), only_urgent: !is_time }
}

/// Puts a changed row in place of the known one, as its next version.
fn replaced(door: &mut Door, row: EndpointRow) -> Option<EndpointRow> {
    if row == door.row {
        return None;
    }
    door.row = EndpointRow { version: door.row.version + 1, ..row };
    Some(door.row.clone())
}

/// A long pause is told, since trips wait for it as well, and so is the first message after it.
fn pause_words(row: &mut EndpointRow, now: Timestamp) -> Option<(NoticeKind, String)> {
    let was_told = row.cause.as_deref().is_some_and(|cause| cause.starts_with(PAUSED));
    match row.paused_until {
        Some(until) if !was_told && ms_between(now, until) > LONG_PAUSE_MS => {
            row.cause = Some(format!("{PAUSED}{until}"));
            let words = format!(
                "{PAUSED}{until}. Messages wait for that, tripwires as well; `verdictd endpoints \
                 enable {}` lifts it.",
                row.endpoint
            );
            Some((NoticeKind::EndpointDegraded, words))
        }
        None if was_told => {
            row.cause = None;
            let words = "The pause that it had asked for is over.".to_owned();
            Some((NoticeKind::EndpointRecovered, words))
        }
        _ => None,
    }
}

fn circuit_words(event: Event, before: &EndpointRow, after: &EndpointRow) -> (NoticeKind, String) {
    let cause: String =
        after.cause.as_deref().unwrap_or("no word").chars().take(TOLD_CHARS).collect();
    match event {
        Event::Degraded => {
            let words = format!("{} attempts in a row failed. The last: {cause}", after.failures);
            (NoticeKind::EndpointDegraded, words)
        }
        Event::Disabled => {
            let since = after.failing_since.unwrap_or(after.since_at);
            (NoticeKind::EndpointDisabled, format!("It failed since {since}. The last: {cause}"))
        }
        Event::Recovered => {
            let since = before.failing_since.unwrap_or(before.since_at);
            (NoticeKind::EndpointRecovered, format!("It had not been well since {since}."))
        }
    }
}

fn skew_words(skew: Skew) -> (NoticeKind, String) {
    match skew {
        Skew::Began(ms) => {
            let side = if ms > 0 { "ahead of" } else { "behind" };
            let words = format!("Its clock is {} s {side} ours.", ms.abs() / 1_000);
            (NoticeKind::ClockSkewed, words)
        }
        Skew::Ended => {
            (NoticeKind::ClockAgreed, "The difference is below 2 minutes again.".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    fn traffic(rates: &[Rate]) -> Traffic {
        let one = |name: &str, destination: &str| Configured {
            name: name.to_owned(),
            digest: format!("digest of {name}"),
            destination: destination.to_owned(),
            rates: rates.to_vec(),
        };
        Traffic::new(vec![one("a", "shared"), one("b", "shared"), one("c", "c")], 2, at(0))
    }

    fn error(then: Then, class: ErrorClass) -> SendError {
        SendError { then, class, status: None, detail: "no".to_owned() }
    }

    fn ended(result: Result<(), &SendError>, ms: i64) -> Ended<'_> {
        Ended { result, skew_ms: None, at: at(ms), jitter: 0.0 }
    }

    fn rows(traffic: &Traffic, name: &str, ms: i64) -> (usize, bool) {
        let room = traffic.rooms(at(ms)).of(name);
        (room.rows, room.only_urgent)
    }

    #[test]
    fn a_degraded_receiver_is_probed_one_by_one_and_urgent_rows_do_not_wait_for_it() {
        let traffic = traffic(&[]);
        assert_eq!(rows(&traffic, "a", 0), (8, false));
        assert_eq!(rows(&traffic, "an action", 0), (8, false));
        let failure = error(Then::Retry { after: None }, ErrorClass::ServerError);
        let told: Vec<_> = (0..5)
            .flat_map(|ms| traffic.ended("a", ended(Err(&failure), ms)).told)
            .map(|(kind, _)| kind)
            .collect();
        assert_eq!(told, [NoticeKind::EndpointDegraded]);
        assert!(!traffic.may_start("a", false, at(5)), "what waited for its turn goes back");
        assert_eq!(rows(&traffic, "a", 5), (1, true));
        assert_eq!(traffic.ready_at("a", at(5)), Some(at(5_004)));
        assert_eq!(rows(&traffic, "a", 5_004), (1, false));
        assert!(traffic.begun("a", at(5_004)), "a probe");
        assert!(traffic.may_start("a", true, at(5_005)));
        assert_eq!(rows(&traffic, "a", 9_000), (0, false), "one at a time");
        assert_eq!(traffic.ready_at("a", at(9_000)), None);
        let change = traffic.ended("a", ended(Ok(()), 9_001));
        assert_eq!(change.told[0].0, NoticeKind::EndpointRecovered);
        assert_eq!(change.row.unwrap().version, 6);
        traffic.done("a");
        assert_eq!(rows(&traffic, "a", 9_002), (8, false));
        assert_eq!(rows(&traffic, "b", 9_002), (8, false), "its own circuit");
    }

    #[test]
    fn a_full_endpoint_has_room_for_what_is_urgent_and_is_filled_again_by_halves() {
        let traffic = traffic(&[]);
        assert!(traffic.is_low("c"));
        for _ in 0..8 {
            traffic.begun("c", at(0));
        }
        assert_eq!(rows(&traffic, "c", 0), (2, true));
        traffic.begun("c", at(0));
        assert_eq!(rows(&traffic, "c", 0), (1, true));
        for _ in 0..4 {
            traffic.done("c");
            assert!(!traffic.is_low("c"));
        }
        traffic.done("c");
        assert!(traffic.is_low("c"));
        assert_eq!(rows(&traffic, "c", 0), (4, false));
    }

    #[test]
    fn a_pause_holds_all_receivers_of_the_destination() {
        let traffic = traffic(&[]);
        let after = Some(std::time::Duration::from_mins(1));
        let many = error(Then::Retry { after }, ErrorClass::RateLimited);
        let change = traffic.ended("a", ended(Err(&many), 0));
        assert_eq!(change.row.unwrap().paused_until, Some(at(60_000)));
        assert!(change.told.is_empty());
        for name in ["a", "b"] {
            assert_eq!(rows(&traffic, name, 59_999), (0, false));
            assert!(!traffic.may_start(name, true, at(59_999)));
            assert_eq!(traffic.ready_at(name, at(1)), Some(at(60_000)));
            assert_eq!(rows(&traffic, name, 60_000), (8, false));
        }
        assert_eq!(rows(&traffic, "c", 1), (8, false));
    }

    #[test]
    fn receivers_of_one_destination_share_its_limit() {
        let traffic = traffic(&[Rate::new(1, 1_000, 3)]);
        assert_eq!(rows(&traffic, "a", 0), (3, false));
        for _ in 0..3 {
            traffic.begun("a", at(0));
        }
        assert_eq!(rows(&traffic, "b", 0), (0, false));
        assert_eq!(rows(&traffic, "b", 1_001), (1, false));
        assert_eq!(rows(&traffic, "c", 0), (3, false));
    }

    #[test]
    fn the_newer_version_wins_and_another_configuration_enables() {
        let traffic = traffic(&[]);
        let gone = error(Then::Disable, ErrorClass::Gone);
        let row = traffic.ended("a", ended(Err(&gone), 1)).row.unwrap();
        assert_eq!((row.state, rows(&traffic, "a", 2)), (EndpointState::Disabled, (0, false)));
        let older = EndpointRow { version: 0, ..EndpointRow::fresh("a", "digest of a", at(0)) };
        assert!(traffic.adopt(vec![older], at(2)).is_empty());
        assert_eq!(rows(&traffic, "a", 2), (0, false), "older: nothing changes");
        let enabled = EndpointRow { version: row.version + 1, ..circuit::enabled(&row, at(3)) };
        assert!(traffic.adopt(vec![enabled], at(3)).is_empty());
        assert_eq!(rows(&traffic, "a", 3), (1, false), "a probe at once");
        let other = EndpointRow { config_hash: "another".to_owned(), version: 9, ..row };
        let written = traffic.adopt(vec![other], at(4));
        assert_eq!((written[0].version, written[0].state), (10, EndpointState::Degraded));
        assert_eq!(written[0].config_hash, "digest of a");
    }

    #[test]
    fn unsent_messages_are_told_once_in_a_while() {
        let traffic = traffic(&[]);
        assert!(traffic.dropped("a", 1_000, at(0)).is_some());
        assert!(traffic.dropped("a", 1_000, at(999)).is_none());
        assert!(traffic.dropped("a", 1_000, at(1_000)).is_some());
        assert!(traffic.dropped("an action", 1_000, at(0)).is_none());
    }
}
