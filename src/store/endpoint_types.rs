//! Values about receivers as the delivery worker sees them: circuit, room, what went unsent.

use std::collections::BTreeMap;

use judge::time::Timestamp;

/// Whether a receiver is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointState {
    /// Everything is sent.
    Ok,
    /// It failed several times in a row: one message at a time, at growing distances.
    Degraded,
    /// Nothing is sent until somebody enables it.
    Disabled,
}

impl EndpointState {
    /// The word in the store, in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Disabled => "disabled",
        }
    }

    /// The inverse of [`EndpointState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Degraded, Self::Disabled].into_iter().find(|it| it.as_str() == text)
    }

    /// The number in metrics.
    pub fn code(self) -> i64 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Disabled => 2,
        }
    }
}

/// What is known of one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its name in the settings.
    pub endpoint: String,
    /// Whether it is sent to.
    pub state: EndpointState,
    /// Since when (wall time).
    pub since_at: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// The first of them (wall time).
    pub failing_since: Option<Timestamp>,
    /// While degraded: no probe before (wall time).
    pub probe_at: Option<Timestamp>,
    /// Its destination said "too many": nothing before (wall time).
    pub paused_until: Option<Timestamp>,
    /// The last failure in its own words, without secrets.
    pub cause: Option<String>,
    /// Digest of its configuration when this was written.
    pub config_hash: String,
    /// While its clock differs too much from ours: by how much, ahead of us positive.
    pub skew_ms: Option<i64>,
    /// Until when messages that went unsent were told (wall time).
    pub dropped_told_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}

impl EndpointRow {
    /// A receiver that nothing is known of yet.
    pub fn fresh(endpoint: &str, config_hash: &str, now: Timestamp) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            state: EndpointState::Ok,
            since_at: now,
            failures: 0,
            failing_since: None,
            probe_at: None,
            paused_until: None,
            cause: None,
            config_hash: config_hash.to_owned(),
            skew_ms: None,
            dropped_told_at: None,
            version: 0,
        }
    }
}

/// How many rows of an endpoint may be leased now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// At most so many.
    pub rows: usize,
    /// Only urgent ones.
    pub only_urgent: bool,
}

/// Room of every endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rooms {
    /// Rows of an endpoint that is not named.
    pub others: usize,
    /// By name.
    pub named: BTreeMap<String, Room>,
}

impl Rooms {
    /// The room of that endpoint.
    pub fn of(&self, endpoint: &str) -> Room {
        let others = Room { rows: self.others, only_urgent: false };
        self.named.get(endpoint).copied().unwrap_or(others)
    }
}

impl From<usize> for Rooms {
    /// The same for all.
    fn from(others: usize) -> Self {
        Self { others, named: BTreeMap::new() }
    }
}

/// Messages that the policy held back at one receiver, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Receiver; empty where none was named.
    pub endpoint: String,
    /// `silence`, `digest`, `not_routed` or `quiet_hours`.
    pub policy: &'static str,
    /// How many.
    pub count: u64,
    /// Position of the newest of them.
    pub newest: i64,
}

/// Messages of one receiver and kind that died unsent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Receiver.
    pub endpoint: String,
    /// Event type.
    pub kind: String,
    /// `expired` or `queue_full`.
    pub note: String,
    /// How many.
    pub count: u64,
}
