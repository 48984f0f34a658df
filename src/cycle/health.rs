//! The health of sources: when one counts as down, and the one grouped notice that says so.
//!
//! A failing query of one experiment (wrong SQL, refused rows) concerns its owner; a source that
//! does not answer concerns everybody who reads it, and is told once per source with an
//! all-clear later. Missing data never resolves anything.

use std::collections::BTreeMap;
use std::sync::Mutex;

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::observe::{SourceFailure, is_of_source};
use judge::time::{Timestamp, ms_between};

use crate::sources::FetchError;
use crate::store::SourceHealth;

/// What changed about a source and must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It counts as down now.
    Down(SourceHealth),
    /// It answers again after it was told as down.
    Recovered(SourceHealth),
}

#[derive(Debug, Default)]
struct State {
    sources: BTreeMap<String, SourceHealth>,
    /// First failing slot of queries that fail on their own.
    series: BTreeMap<String, Timestamp>,
    /// Sources whose health changed since it was last stored.
    changed: BTreeMap<String, Vec<Change>>,
    /// When an answer of a healthy source was last handed out to be stored.
    stored_ok: BTreeMap<String, Timestamp>,
}

/// How often a healthy source's last answer is stored: often enough for its age to be shown.
const STORE_OK_EVERY_MS: i64 = 60_000;

/// Shared by all fetches of the daemon.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    down_after_ms: i64,
}

impl Health {
    /// Starts from what the store knows.
    pub fn new(known: Vec<SourceHealth>, down_after_secs: u64) -> Self {
        let sources = known.into_iter().map(|health| (health.name.clone(), health)).collect();
        Self {
            state: Mutex::new(State { sources, ..State::default() }),
            down_after_ms: i64::try_from(down_after_secs).unwrap_or(i64::MAX / 1000) * 1000,
        }
    }

    /// Notes one answer or failure at a slot; gives back what the observation needs.
    pub fn note(
        &self,
        source: &str,
        series_id: &str,
        at: Timestamp,
        error: Option<&FetchError>,
    ) -> Option<SourceFailure> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(error) = error else {
            state.series.remove(series_id);
            note_ok(&mut state, source, at);
            return None;
        };
        let since = if is_of_source(error.class.as_str()) {
            note_failure(&mut state, source, at, error, self.down_after_ms)
        } else {
            *state.series.entry(series_id.to_owned()).or_insert(at)
        };
        // Slots are not answered in order: a look that was slept through is asked after newer
        // ones, and for it the first slot that failed is its own.
        let since = since.min(at);
        Some(SourceFailure {
            class: error.class.as_str().to_owned(),
            cause: error.message.clone(),
            since,
        })
    }

    /// Health rows to store, with what must be told about them.
    pub fn take_changes(&self) -> Vec<(SourceHealth, Vec<Change>)> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed = std::mem::take(&mut state.changed);
        let row = |name: String| state.sources.get(&name).cloned();
        changed.into_iter().filter_map(|(name, changes)| Some((row(name)?, changes))).collect()
    }

    /// Notes changes again that could not be stored; newer ones follow them.
    pub fn put_back(&self, source: &str, changes: Vec<Change>) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let noted = state.changed.entry(source.to_owned()).or_default();
        noted.splice(0..0, changes);
    }

    /// Every source as it stands.
    pub fn all(&self) -> Vec<SourceHealth> {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.sources.values().cloned().collect()
    }
}

/// Whether a guardrail's state is "the source does not answer": told once per source.
pub fn is_source_failure(status: &GuardrailStatus) -> bool {
    let why = status.why.as_deref().unwrap_or_default();
    let class = why.split(": ").next().unwrap_or_default();
    status.state == GuardrailState::SourceError && is_of_source(class)
}

fn note_ok(state: &mut State, source: &str, at: Timestamp) {
    let health = entry(state, source);
    health.last_ok_at = Some(at);
    // The notice still knows since when it was down.
    let recovered = health.told.then(|| Change::Recovered(health.clone()));
    let was_failing = health.failing_since.take().is_some();
    let was_told = std::mem::take(&mut health.told);
    health.class = None;
    health.cause = None;
    if was_failing || was_told {
        state.changed.entry(source.to_owned()).or_default().extend(recovered);
    }
    let stored = state.stored_ok.get(source);
    if stored.is_none_or(|stored| ms_between(*stored, at) >= STORE_OK_EVERY_MS) {
        state.stored_ok.insert(source.to_owned(), at);
        state.changed.entry(source.to_owned()).or_default();
    }
}

fn note_failure(
    state: &mut State,
    source: &str,
    at: Timestamp,
    error: &FetchError,
    down_after_ms: i64,
) -> Timestamp {
    let health = entry(state, source);
    let since = *health.failing_since.get_or_insert(at);
    health.class = Some(error.class.as_str().to_owned());
    health.cause = Some(error.message.clone());
    let is_down = ms_between(since, at) >= down_after_ms && !health.told;
    if is_down {
        health.told = true;
    }
    let change = is_down.then(|| Change::Down(health.clone()));
    if is_down || since == at {
        state.changed.entry(source.to_owned()).or_default().extend(change);
    }
    since
}

fn entry<'a>(state: &'a mut State, source: &str) -> &'a mut SourceHealth {
    state.sources.entry(source.to_owned()).or_insert_with(|| SourceHealth {
        name: source.to_owned(),
        kind: String::new(),
        last_ok_at: None,
        failing_since: None,
        class: None,
        cause: None,
        told: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::FetchClass;

    fn ts(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn down() -> FetchError {
        FetchError {
            class: FetchClass::Transient,
            message: "connection refused".into(),
            retry_after_ms: None,
        }
    }

    #[test]
    fn one_notice_after_the_patience_and_one_all_clear() {
        let health = Health::new(Vec::new(), 60);
        let failure = health.note("prom", "s1", ts(0), Some(&down())).unwrap();
        assert_eq!(failure.since, ts(0));
        assert!(health.take_changes().iter().all(|(_, changes)| changes.is_empty()));
        health.note("prom", "s2", ts(1), Some(&down()));
        health.note("prom", "s1", ts(1), Some(&down()));
        let told: Vec<_> = health.take_changes().into_iter().flat_map(|(_, c)| c).collect();
        assert!(matches!(told.as_slice(), [Change::Down(_)]), "{told:?}");
        health.note("prom", "s1", ts(9), Some(&down()));
        assert!(health.take_changes().is_empty(), "told once");
        health.note("prom", "s1", ts(10), None);
        let told: Vec<_> = health.take_changes().into_iter().flat_map(|(_, c)| c).collect();
        assert!(matches!(told.as_slice(), [Change::Recovered(_)]), "{told:?}");
    }

    #[test]
    fn a_wrong_query_is_not_a_dead_source() {
        let health = Health::new(Vec::new(), 0);
        let wrong = FetchError { class: FetchClass::UserError, ..down() };
        let failure = health.note("prom", "s1", ts(0), Some(&wrong)).unwrap();
        assert_eq!(failure.class, "user_error");
        assert!(health.take_changes().is_empty());
        assert_eq!(health.note("prom", "s1", ts(5), Some(&wrong)).unwrap().since, ts(0));
    }

    #[test]
    fn a_look_that_was_slept_through_fails_since_its_own_slot() {
        // The guardrail of 10:34 is asked before the look of midnight.
        let health = Health::new(Vec::new(), 60);
        for error in [down(), FetchError { class: FetchClass::Contract, ..down() }] {
            assert_eq!(health.note("csv", "s1", ts(634), Some(&error)).unwrap().since, ts(634));
            let late = health.note("csv", "s1", ts(0), Some(&error)).unwrap();
            assert_eq!(late.since, ts(0));
            assert_eq!(health.note("csv", "s1", ts(635), Some(&error)).unwrap().since, ts(634));
        }
    }

    #[test]
    fn only_failures_of_the_source_itself_concern_everybody() {
        let of_source = |class: FetchClass| is_of_source(class.as_str());
        for class in [FetchClass::UserError, FetchClass::Contract, FetchClass::CostGuard] {
            assert!(!of_source(class), "{class}");
        }
        for class in [
            FetchClass::Auth,
            FetchClass::Quota,
            FetchClass::Throttled,
            FetchClass::Transient,
            FetchClass::Timeout,
        ] {
            assert!(of_source(class), "{class}");
        }
    }
}
