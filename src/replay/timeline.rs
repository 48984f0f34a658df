//! What a replay said, read back from its store: looks, guardrails, messages, in one order.
//!
//! Everything comes from frozen records and rendered messages; nothing is computed here.

use judge::analyse::{GuardrailStatus, SignalState};
use judge::prose;
use judge::record::EvaluationRecord;
use judge::stats::Interval;
use judge::time::Timestamp;
use serde_json::Value;

use crate::cycle::say::word;
use crate::store::{Delivery, DeliveryFilter, EvaluationRow, Lane, Store};

/// More rows than any replay has.
const ALL_ROWS: usize = 10_000_000;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The slot (domain time).
    pub at: Timestamp,
    /// Experiment id; empty for what is said about a source.
    pub experiment: String,
    /// What.
    pub kind: Kind,
}

/// What was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A guardrail changed its state.
    Guardrail(Box<GuardrailStatus>, Finding),
    /// A look at the signals.
    Look(Finding, Vec<Movement>),
    /// A message, or an action, that would have been sent.
    Message {
        /// Event type.
        event: String,
        /// Receiver or action.
        endpoint: String,
        /// Whether it would have changed something.
        is_action: bool,
        /// Its first line.
        headline: String,
    },
}

/// The verdict of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// As in records.
    pub verdict: String,
    /// As in records.
    pub cause: String,
    /// One line.
    pub headline: String,
    /// Why, in a sentence.
    pub because: String,
    /// 1 for the first.
    pub cycle: u32,
    /// Whether it differs from the look before.
    pub is_change: bool,
    /// Whether it was given at a checkpoint.
    pub at_checkpoint: bool,
    /// Alarms on.
    pub alarms: Vec<String>,
}

/// Where one signal stood at a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Movement {
    /// Signal.
    pub signal: String,
    /// State.
    pub state: SignalState,
    /// Estimate of the contrast and its always-valid interval, in the evidence's unit.
    pub estimate: Option<f64>,
    /// The interval.
    pub interval: Option<Interval>,
    /// Smallest always-valid p so far.
    pub p_seq: Option<f64>,
    /// Units, over all arms.
    pub n: Option<f64>,
}

/// Everything the store holds of these experiments, oldest first.
pub(super) async fn read(
    store: &Store,
    experiments: impl Iterator<Item = &String>,
) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for experiment in experiments {
        let mut rows = store.evaluations(experiment, None, ALL_ROWS).await?;
        rows.reverse();
        let mut before: Option<(String, String)> = None;
        for row in rows {
            let Some((_, json)) = store.evaluation(experiment, row.number).await? else {
                continue;
            };
            let record = EvaluationRecord::from_json(&json)?;
            let said = (row.verdict.clone(), plain_cause(&row.cause).to_owned());
            let is_change = before.as_ref() != Some(&said);
            let is_look = row.track == "look";
            entries.push(evaluation(row, &record, is_change));
            if is_look {
                before = Some(said);
            }
        }
    }
    let filter = DeliveryFilter { limit: ALL_ROWS, ..DeliveryFilter::default() };
    let sent = store.deliveries(filter).await?;
    entries.extend(sent.into_iter().rev().map(message));
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(entries)
}

/// How a look that waits is on its way changes from day to day and is no news.
fn plain_cause(cause: &str) -> &str {
    if cause == "cannot_be_reached" { "on_track" } else { cause }
}

fn order(entry: &Entry) -> (Timestamp, &str, u8, &str, &str) {
    let (rank, name, event) = match &entry.kind {
        Kind::Guardrail(status, _) => (0, status.name.as_str(), ""),
        Kind::Look(..) => (1, "", ""),
        Kind::Message { endpoint, event, .. } => (2, event.as_str(), endpoint.as_str()),
    };
    (entry.at, &entry.experiment, rank, name, event)
}

fn evaluation(row: EvaluationRow, record: &EvaluationRecord, is_change: bool) -> Entry {
    let finding = Finding {
        because: prose::because(record),
        verdict: row.verdict,
        cause: row.cause,
        headline: row.headline,
        cycle: record.input.cycle.number,
        is_change,
        at_checkpoint: record.decision.at_checkpoint,
        alarms: record.alarms.iter().map(|alarm| word(&alarm.kind)).collect(),
    };
    let guardrail = row.track.strip_prefix("guardrail:");
    let status = guardrail.and_then(|name| record.guardrails.iter().find(|one| one.name == name));
    let kind = match status {
        Some(status) => Kind::Guardrail(Box::new(status.clone()), finding),
        None => Kind::Look(finding, movements(record)),
    };
    Entry { at: row.scheduled_at, experiment: row.experiment, kind }
}

fn movements(record: &EvaluationRecord) -> Vec<Movement> {
    let views = record.signals.iter().map(|view| {
        let evidence = view.evidence.as_ref();
        Movement {
            signal: view.name.clone(),
            state: view.state,
            estimate: evidence.map(|evidence| evidence.estimate),
            interval: evidence.map(|evidence| evidence.interval),
            p_seq: evidence.map(|evidence| evidence.p_seq),
            n: evidence.map(|evidence| evidence.n.values().sum()),
        }
    });
    views.collect()
}

fn message(delivery: Delivery) -> Entry {
    let row = delivery.row;
    let content: Value = serde_json::from_str(&row.content).unwrap_or_default();
    // What an action is ordered for is the trip it carries.
    let content = content.get("trip").unwrap_or(&content);
    let text = |pointer: &str| content.pointer(pointer).and_then(Value::as_str);
    let at = text("/timestamp").and_then(|at| at.parse().ok());
    let is_source = row.partition.contains(':');
    Entry {
        at: at.unwrap_or(Timestamp::UNIX_EPOCH),
        experiment: if is_source { String::new() } else { row.partition },
        kind: Kind::Message {
            headline: text("/data/headline").unwrap_or(&row.kind).to_owned(),
            event: row.kind,
            endpoint: row.endpoint,
            is_action: row.lane == Lane::Action,
        },
    }
}
