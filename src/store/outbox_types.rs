//! Values of the delivery side of the store: rows to send, leases, attempts and what became of
//! them.
//!
//! A row is *open* until it is delivered, dead, superseded or confirmed. Whether somebody is
//! sending it right now is its lease, not its state.

use judge::time::Timestamp;

use super::{EndpointRow, LogEntry};

/// Messages inform; actions change something and are followed until that is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A message to people or systems.
    Message,
    /// A rollback or other action.
    Action,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// `judge::ids::message_id`; the same id is only ever enqueued once.
    pub id: String,
    /// Receiver or action name.
    pub endpoint: String,
    /// Experiment id, or `source:<name>`.
    pub partition: String,
    /// Event type (`experiment.verdict.stop`, ...).
    pub kind: String,
    /// Jumps the queue of its partition and is never dropped from a full one.
    pub urgent: bool,
    /// Message or action.
    pub lane: Lane,
    /// Notice it says.
    pub notice_id: String,
    /// Bytes as they are sent, rendered once.
    pub body: String,
    /// The generic canonical JSON behind the body.
    pub content: String,
    /// When it was made (wall time).
    pub created_at: Timestamp,
    /// Not to be sent before (wall time).
    pub not_before: Timestamp,
    /// A message goes dead then (wall time); an action never does.
    pub expires_at: Timestamp,
    /// It says a final state and is never superseded.
    pub final_state: bool,
    /// `state_version` it was made at: the order within (endpoint, partition).
    pub sequence: i64,
    /// The conversation it belongs to, for receivers that keep one.
    pub conversation: Option<String>,
    /// What the policy said.
    pub told: Told,
}

/// Why a receiver hears something, or does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// In words.
    pub reason: String,
    /// What it is about, within its partition.
    pub topic: String,
    /// `low`, `normal`, `high` or `page`.
    pub severity: String,
    /// Whether it says that something is wrong and stays so until it is over.
    pub lasting: bool,
    /// Not to be sent: the row is closed from the start.
    pub withheld: Option<Withheld>,
}

/// What holds a row back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// A silence, by id.
    Silence(String),
    /// A digest, by name, that will say it.
    Digest(String),
    /// No receiver is named.
    NoReceiver,
}

impl Withheld {
    /// The state of the row.
    pub fn state(&self) -> DeliveryState {
        match self {
            Self::Silence(_) => DeliveryState::Silenced,
            Self::Digest(_) => DeliveryState::Digest,
            Self::NoReceiver => DeliveryState::NotRouted,
        }
    }

    /// Id of the silence or name of the digest.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Silence(by) | Self::Digest(by) => Some(by),
            Self::NoReceiver => None,
        }
    }
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Not there yet (new or retrying).
    Pending,
    /// Arrived.
    Delivered,
    /// Given up, expired or pushed out of a full queue: see `note`.
    Dead,
    /// A newer verdict took its place before it was ever attempted.
    Superseded,
    /// Held back by a silence.
    Silenced,
    /// Waits for a digest, or was said by one: see `superseded_by`.
    Digest,
    /// Nobody was named as its receiver.
    NotRouted,
    /// Action: asked for.
    Requested,
    /// Action: the other side took it.
    Accepted,
    /// Action: not confirmed in time; still being followed.
    Unconfirmed,
    /// Action: read back and true.
    Confirmed,
}

impl DeliveryState {
    /// The word in the store, in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::Silenced => "silenced",
            Self::Digest => "digest",
            Self::NotRouted => "not_routed",
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Unconfirmed => "unconfirmed",
            Self::Confirmed => "confirmed",
        }
    }

    /// Every state, in the order in which it is documented.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Delivered,
        Self::Dead,
        Self::Superseded,
        Self::Silenced,
        Self::Digest,
        Self::NotRouted,
        Self::Requested,
        Self::Accepted,
        Self::Unconfirmed,
        Self::Confirmed,
    ];

    /// The inverse of [`DeliveryState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Nothing more will be done about it.
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::Dead
                | Self::Superseded
                | Self::Silenced
                | Self::Digest
                | Self::NotRouted
                | Self::Confirmed
        )
    }
}

/// A leased row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// The row as it was enqueued.
    pub row: OutboxRow,
    /// Number of this attempt, from 1: the fencing token of [`Attempt`].
    pub attempt: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many older verdicts it stands for.
    pub collapsed: u64,
    /// Sent again by hand: one attempt, no ladder.
    pub manual: bool,
    /// A person asked for this attempt, with or without the ladder after it.
    pub is_asked_for: bool,
    /// Rungs of the ladder that were used up before this attempt.
    pub rung: u32,
    /// When the first attempt started.
    pub first_attempt_at: Timestamp,
}

/// What an attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Arrived.
    Delivered,
    /// To be tried again.
    Retry {
        /// When (wall time).
        next_at: Timestamp,
    },
    /// Given up.
    Dead,
    /// Action asked for; look again.
    Requested {
        /// When (wall time).
        next_at: Timestamp,
    },
    /// Action taken by the other side; look again.
    Accepted {
        /// When (wall time).
        next_at: Timestamp,
    },
    /// Action read back and true.
    Confirmed,
    /// Action not confirmed in time; look again.
    Unconfirmed {
        /// When (wall time).
        next_at: Timestamp,
    },
}

/// One finished try, with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Row id.
    pub id: String,
    /// Who holds the lease.
    pub holder: String,
    /// [`OutboxItem::attempt`].
    pub attempt: u32,
    /// When it started (wall time).
    pub started_at: Timestamp,
    /// When it ended (wall time).
    pub finished_at: Timestamp,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// Bounded class (`ok`, `timeout`, `http_5xx`, ...).
    pub class: String,
    /// What came back; cut at 2 KiB.
    pub detail: String,
    /// What it led to.
    pub outcome: Outcome,
    /// It used up a rung of the ladder; meeting a pause does not.
    pub uses_rung: bool,
    /// Messages that follow from it (`action.confirmed`, ...).
    pub extra_outbox: Vec<OutboxRow>,
    /// Decision log entries that follow from it; written for the row's partition.
    pub log: Vec<LogEntry>,
    /// What was learnt of the row's conversation (JSON), whatever the outcome.
    pub learnt: Option<String>,
    /// What it changed about its receiver.
    pub endpoint: Option<EndpointRow>,
}

/// Whether an attempt was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Written.
    Recorded,
    /// The lease was lost to another holder, or the row is closed: nothing was written.
    LeaseLost,
}

/// One try as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Number, from 1.
    pub attempt: u32,
    /// Who tried.
    pub holder: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; `None` when the holder never came back.
    pub finished_at: Option<Timestamp>,
    /// HTTP status.
    pub status: Option<u16>,
    /// Class.
    pub class: Option<String>,
    /// What came back.
    pub detail: Option<String>,
    /// Asked for by hand.
    pub manual: bool,
}

/// One row with its tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row as it was enqueued.
    pub row: OutboxRow,
    /// Its place among all rows, from 1: pages are cut by it.
    pub position: i64,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is due next, while open.
    pub next_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Why it went dead without an attempt saying so (`expired`, `queue_full`).
    pub note: Option<String>,
    /// The row that took its place.
    pub superseded_by: Option<String>,
    /// How many older verdicts it stands for.
    pub collapsed: u64,
    /// Who is sending it now.
    pub holder: Option<String>,
    /// Every try, oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// Which deliveries; newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only this row.
    pub id: Option<String>,
    /// Only to this endpoint.
    pub endpoint: Option<String>,
    /// Only of this partition.
    pub partition: Option<String>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of this event type.
    pub kind: Option<String>,
    /// Only made at or after.
    pub since: Option<Timestamp>,
    /// Only older ones than the row at this position.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

impl Default for DeliveryFilter {
    /// The newest page.
    fn default() -> Self {
        Self {
            id: None,
            endpoint: None,
            partition: None,
            state: None,
            kind: None,
            since: None,
            before: None,
            limit: 100,
        }
    }
}

/// How one endpoint does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStat {
    /// Receiver or action name.
    pub endpoint: String,
    /// Open rows.
    pub pending: u64,
    /// Since when the oldest open row could have been sent: when it was made, or the end of the
    /// quiet hours that it waits for, which may lie ahead.
    pub oldest_at: Option<Timestamp>,
    /// Dead rows.
    pub dead: u64,
}

/// How far an action got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionState {
    /// Asked for, or about to be.
    Requested,
    /// The other side took it.
    Accepted,
    /// Read back and true.
    Confirmed,
    /// Not confirmed in time, or given up.
    Unconfirmed,
}

impl ActionState {
    /// The word in the API and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// One action of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionView {
    /// Row id.
    pub id: String,
    /// Action name.
    pub action: String,
    /// How far it got.
    pub state: ActionState,
    /// When the trip put it into the outbox (wall time).
    pub requested_at: Timestamp,
    /// When it was confirmed (wall time).
    pub confirmed_at: Option<Timestamp>,
    /// Seconds from trip to confirmation.
    pub seconds: Option<f64>,
    /// What the newest attempt found, in words.
    pub detail: Option<String>,
}
