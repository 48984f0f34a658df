//! What goes into the store and what comes out of it: plain values, no SQL.
//!
//! Work and records here, the delivery side in `outbox_types`. Instants are
//! [`Timestamp`]s kept at millisecond precision; JSON travels as the text its owner wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::points::{Point, Sums};
use judge::record::Carry;
use judge::time::Timestamp;

use super::OutboxRow;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("database: {0}")]
    Database(String),
    /// Another process holds the write lock for longer than the busy time-out.
    #[error("database is busy: {0}")]
    Busy(String),
    /// The file cannot be opened at all.
    #[error("cannot open {}: {cause}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file is damaged or is no database.
    #[error(
        "{} is damaged or not a verdictd database ({cause}); restore it from a backup",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A newer verdictd has migrated the file.
    #[error(
        "the database has schema {found}, this verdictd knows up to {known}; \
         use the newer verdictd or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// Schema version of the file.
        found: i64,
        /// Newest version this build knows.
        known: i64,
    },
    /// The file needs a migration, but it was opened for reading only.
    #[error("the database has schema {found}, {known} is needed; start the daemon once to migrate")]
    OlderSchema {
        /// Schema version of the file.
        found: i64,
        /// Version this build needs.
        known: i64,
    },
    /// A migration that was applied differs from the one this build carries.
    #[error("migration {version} of the database is not the one of this verdictd")]
    ChangedMigration {
        /// Which.
        version: i64,
    },
    /// The store was opened for reading only.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// No such experiment.
    #[error("no experiment {0:?} in the store")]
    UnknownExperiment(String),
    /// A stored value is not what its column promises; it concerns this record only.
    #[error("stored value of {column}: {problem}")]
    BadValue {
        /// Column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A number that was to be stored is not finite.
    #[error("{0} is not a finite number")]
    NotFinite(String),
    /// The work panicked; nothing of it was kept.
    #[error("a store operation panicked and was rolled back")]
    Panicked,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Reader connections.
    pub readers: usize,
    /// Open message rows one endpoint may have before its oldest non-urgent ones go dead.
    pub queue_rows: u64,
    /// Open message bytes one endpoint may have before its oldest non-urgent ones go dead.
    pub queue_bytes: u64,
    /// Whether a commit waits for the disk. A store that is thrown away need not.
    pub durable: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { readers: 4, queue_rows: 10_000, queue_bytes: 64 << 20, durable: true }
    }
}

/// One revision of one experiment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Experiment id.
    pub experiment: String,
    /// Content hash.
    pub revision: String,
    /// File name it came from.
    pub file: String,
    /// The text as written.
    pub text: String,
    /// The parsed model.
    pub model_json: String,
    /// When it was first seen (wall time).
    pub seen_at: Timestamp,
}

/// An experiment file that was refused; the last good revision stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenFile {
    /// File name.
    pub file: String,
    /// Content hash of the refused text.
    pub revision_hash: String,
    /// Rendered diagnostics.
    pub diagnostics_text: String,
    /// When it was first seen with this content.
    pub seen_at: Timestamp,
}

/// Prefix of the tracks that watch for restated data under a verdict: the verdict's own track
/// follows it. They belong to no file: a reload leaves them alone.
pub const RESTATED_PREFIX: &str = "restated:";

/// A cursor to create: one track of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorSpec {
    /// `look`, `guardrail:<name>` or `restated:<track>`.
    pub track: String,
    /// First slot (domain time).
    pub next_at: Timestamp,
}

/// An experiment as its newest good file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExperiment {
    /// Experiment id.
    pub id: String,
    /// When it was first seen (domain time); kept from the first call on.
    pub first_seen_at: Timestamp,
    /// Life at the first call; later changes go through a commit.
    pub life_json: String,
    /// Revision in force.
    pub revision: String,
    /// Title.
    pub title: String,
    /// Labels.
    pub labels_json: String,
    /// Every track that is to be looked at from now on.
    pub cursors: Vec<CursorSpec>,
}

/// One experiment in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRow {
    /// Experiment id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Revision in force.
    pub revision: String,
    /// Life.
    pub life_json: String,
    /// Number of its newest change; a look that changes nothing leaves it.
    pub changes: i64,
    /// Labels.
    pub labels_json: String,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// The newest evaluation.
    pub last: Option<EvaluationRow>,
    /// The worst state over its guardrails.
    pub worst_guardrail: Option<GuardrailState>,
}

impl ExperimentRow {
    /// The newest headline, with what its guardrails say since.
    pub fn headline(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        Some(judge::prose::headline_now(&last.headline, self.worst_guardrail))
    }
}

/// Everything one evaluation reads from the store, from one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// To be given back as `expected_version`.
    pub state_version: i64,
    /// When the experiment was first seen.
    pub first_seen_at: Timestamp,
    /// Revision in force.
    pub revision: String,
    /// Cycle the carry belongs to.
    pub cycle: u32,
    /// Life.
    pub life_json: String,
    /// What was last said.
    pub last_said_json: String,
    /// Sequential state of this cycle.
    pub carry: Carry,
    /// Every guardrail that was ever judged, by name; the caller picks those of the revision.
    pub guardrails: Vec<GuardrailStatus>,
    /// Series ids of acknowledged definitions.
    pub acknowledged: Vec<String>,
    /// Definition in force: signal or guardrail name to series id.
    pub series: BTreeMap<String, String>,
    /// How many evaluations there are.
    pub evaluation_count: u64,
    /// JSON of the newest evaluation.
    pub newest_record: Option<String>,
}

/// Work that was claimed: one track of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Experiment id.
    pub experiment: String,
    /// Track.
    pub track: String,
    /// Newest slot that was answered.
    pub last_slot: Option<Timestamp>,
    /// The instant that is due (domain time).
    pub next_at: Timestamp,
    /// Fencing token: a later claim of the same cursor has a higher one.
    pub epoch: i64,
}

/// Slots that were not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Track.
    pub track: String,
    /// First missed slot.
    pub from: Timestamp,
    /// Last missed slot.
    pub to: Timestamp,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// Points of one series as fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPoints {
    /// Hash of the definition.
    pub series_id: String,
    /// What the source said; equal sums write nothing.
    pub points: Vec<Point>,
    /// When (domain time).
    pub fetched_at: Timestamp,
}

/// A point whose sums differ from what was stored before.
#[derive(Debug, Clone, PartialEq)]
pub struct Restated {
    /// Series.
    pub series_id: String,
    /// The point as it is now.
    pub point: Point,
    /// Its sums before.
    pub before: Sums,
    /// Its version now (the first is 1).
    pub version: i64,
}

/// An evaluation to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvaluation {
    /// `judge::ids::evaluation_id`.
    pub id: String,
    /// Track.
    pub track: String,
    /// The slot.
    pub scheduled_at: Timestamp,
    /// Oldest watermark of its signals.
    pub data_as_of: Option<Timestamp>,
    /// When its data were fetched.
    pub fetched_at: Option<Timestamp>,
    /// When it is recorded (wall time; never an input).
    pub recorded_at: Timestamp,
    /// 0, or how often this slot was restated.
    pub restatement_no: u32,
    /// Id of the evaluation this one revises.
    pub revises: Option<String>,
    /// Verdict, as in records.
    pub verdict: String,
    /// Cause, as in records.
    pub cause: String,
    /// One line.
    pub headline: String,
    /// The canonical record.
    pub json: String,
}

/// One evaluation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationRow {
    /// 1, 2, 3... within the experiment.
    pub number: u64,
    /// Id.
    pub id: String,
    /// Experiment.
    pub experiment: String,
    /// Track.
    pub track: String,
    /// The slot.
    pub scheduled_at: Timestamp,
    /// When it was recorded (wall time).
    pub recorded_at: Timestamp,
    /// Oldest watermark of its signals.
    pub data_as_of: Option<Timestamp>,
    /// Verdict.
    pub verdict: String,
    /// Cause.
    pub cause: String,
    /// One line.
    pub headline: String,
    /// The evaluation it revises.
    pub revises: Option<String>,
}

/// One entry of the decision log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When (domain time).
    pub at: Timestamp,
    /// `verdict`, `confirmed`, `overruled`, `objects`, `rearmed`, `acknowledged`, ...
    pub kind: String,
    /// Who, for entries of people.
    pub who: Option<String>,
    /// Verdict it is about.
    pub verdict: Option<String>,
    /// The because.
    pub because: Option<String>,
    /// The three lines as shown.
    pub text: String,
    /// Evaluation it is about.
    pub evaluation_id: Option<String>,
}

/// A stored entry of the decision log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Grows with every entry.
    pub id: i64,
    /// Experiment.
    pub experiment: String,
    /// The entry.
    pub entry: LogEntry,
}

/// Which log entries; newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Only of this experiment.
    pub experiment: Option<String>,
    /// Only at or after.
    pub since: Option<Timestamp>,
    /// Only with a smaller id (the next page).
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

impl Default for LogFilter {
    /// The newest page.
    fn default() -> Self {
        Self { experiment: None, since: None, before: None, limit: 100 }
    }
}

/// One evaluation with all it changes: committed whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Experiment id.
    pub experiment: String,
    /// `state_version` of the context it was made from.
    pub expected_version: i64,
    /// The claim it answers; `None` for people's decisions and restatements.
    pub claim: Option<Claim>,
    /// When the track is due again; `None` ends it (read only with a claim).
    pub next_at: Option<Timestamp>,
    /// The slot it answers.
    pub slot: Option<Timestamp>,
    /// Slots that were jumped over.
    pub missed: Vec<Missed>,
    /// What was fetched.
    pub points: Vec<NewPoints>,
    /// The record; none for a guardrail look without a transition.
    pub evaluation: Option<NewEvaluation>,
    /// Cycle the carry belongs to; another than the stored one opens it with an empty carry.
    pub cycle: u32,
    /// Sequential state to merge in by test id; tests that are not named stay as they are.
    pub carry: Option<Carry>,
    /// Guardrail states to replace, by name; others stay as they are.
    pub guardrails: Vec<GuardrailStatus>,
    /// New life.
    pub life_json: Option<String>,
    /// What was said.
    pub last_said_json: Option<String>,
    /// Definitions in force to replace, by signal or guardrail name.
    pub series: BTreeMap<String, String>,
    /// Decision log entries.
    pub log: Vec<LogEntry>,
    /// Messages and actions.
    pub outbox: Vec<OutboxRow>,
    /// Ends this experiment's actions that are not confirmed yet, with why and when.
    pub cancel_actions: Option<(String, Timestamp)>,
    /// Tracks to start.
    pub more_cursors: Vec<CursorSpec>,
    /// Tracks to end.
    pub drop_tracks: Vec<String>,
}

impl Commit {
    /// A commit that changes nothing yet.
    pub fn new(experiment: &str, expected_version: i64, cycle: u32) -> Self {
        Self {
            experiment: experiment.to_owned(),
            expected_version,
            claim: None,
            next_at: None,
            slot: None,
            missed: Vec::new(),
            points: Vec::new(),
            evaluation: None,
            cycle,
            carry: None,
            guardrails: Vec::new(),
            life_json: None,
            last_said_json: None,
            series: BTreeMap::new(),
            log: Vec::new(),
            outbox: Vec::new(),
            cancel_actions: None,
            more_cursors: Vec::new(),
            drop_tracks: Vec::new(),
        }
    }

    /// Whether anybody could see a difference; a look that finds what it found before makes none.
    pub fn is_change(&self) -> bool {
        self.evaluation.is_some()
            || self.life_json.is_some()
            || self.last_said_json.is_some()
            || self.cancel_actions.is_some()
            || !(self.log.is_empty() && self.outbox.is_empty() && self.series.is_empty())
    }
}

/// What became of a commit. Only `Fresh` wrote anything of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Committed {
    /// Written.
    Fresh {
        /// Number of the evaluation, if there was one.
        number: Option<u64>,
        /// State version after it.
        state_version: i64,
        /// Points whose sums changed.
        restated: Vec<Restated>,
    },
    /// The slot was answered before; the cursor moved on if the claim still held.
    Already,
    /// The state moved on since the context was read: decide again on the same observations.
    StaleVersion,
    /// The claim was taken over by another holder, or its cursor is gone: drop the work.
    Fenced,
}

/// How a source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHealth {
    /// Name in the daemon's config.
    pub name: String,
    /// Kind keyword.
    pub kind: String,
    /// Newest good answer.
    pub last_ok_at: Option<Timestamp>,
    /// First failure since then.
    pub failing_since: Option<Timestamp>,
    /// Error class.
    pub class: Option<String>,
    /// What it said, without secrets.
    pub cause: Option<String>,
    /// Whether people were told that it is down.
    pub told: bool,
}
