//! Deliveries and receivers as the API and the command line show them: one shape for both.
//!
//! Bodies are not shown, they are the receivers'. What a receiver answered is shown up to 2 KiB,
//! as it was stored without secrets; of an address that the guard refused there is no answer.

use std::collections::BTreeMap;

use judge::time::{Timestamp, ms_between};
use serde_json::{Value, json};

use super::ErrorClass;
use crate::store::{AttemptRow, Delivery, EndpointRow, OutboxStat};

/// One delivery with its attempts.
pub fn delivery(it: &Delivery) -> Value {
    json!({
        "id": it.row.id,
        "endpoint": it.row.endpoint,
        "experiment": it.row.partition,
        "kind": it.row.kind,
        "sequence": it.row.sequence,
        "urgent": it.row.urgent,
        "state": it.state.as_str(),
        "created_at": it.row.created_at.to_string(),
        "expires_at": it.row.expires_at.to_string(),
        "next_at": it.next_at.to_string(),
        "closed_at": it.closed_at.map(|at| at.to_string()),
        "note": it.note,
        "superseded_by": it.superseded_by,
        "collapsed": it.collapsed,
        "bytes": it.row.body.len(),
        "attempts": it.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(it: &AttemptRow) -> Value {
    json!({
        "attempt": it.attempt,
        "trigger": trigger(it),
        "started_at": it.started_at.to_string(),
        "finished_at": it.finished_at.map(|at| at.to_string()),
        "seconds": seconds(it),
        "status": it.status.filter(|_| !is_blocked(it)),
        "class": it.class,
        "detail": answer(it),
    })
}

/// Who asked for an attempt.
pub fn trigger(it: &AttemptRow) -> &'static str {
    if it.manual { "manual" } else { "schedule" }
}

/// How long an attempt took; `None` while it runs or when its sender never came back.
pub fn seconds(it: &AttemptRow) -> Option<f64> {
    it.finished_at.map(|at| ms_between(it.started_at, at) as f64 / 1_000.0)
}

/// What came back. Never anything of a target that may not be called.
pub fn answer(it: &AttemptRow) -> Option<&str> {
    if is_blocked(it) { Some("refused by the address guard") } else { it.detail.as_deref() }
}

fn is_blocked(it: &AttemptRow) -> bool {
    it.class.as_deref() == Some(ErrorClass::Blocked.as_str())
}

/// How one receiver does.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointView {
    /// Name in the settings.
    pub name: String,
    /// `ok`, `degraded`, `disabled`.
    pub state: &'static str,
    /// Since when, if it ever was anything but well.
    pub since_at: Option<Timestamp>,
    /// The last failure, while it is not well.
    pub cause: Option<String>,
    /// Until when its destination asked to be left alone.
    pub paused_until: Option<Timestamp>,
    /// Open rows.
    pub pending: u64,
    /// Age of the oldest of them, in seconds.
    pub oldest_seconds: Option<f64>,
    /// Rows that were given up.
    pub dead: u64,
}

/// Every configured receiver, by name, with what the store knows of it.
pub fn endpoints<'a>(
    names: impl Iterator<Item = &'a String>,
    known: &[EndpointRow],
    stats: &[OutboxStat],
    now: Timestamp,
) -> Vec<EndpointView> {
    let known: BTreeMap<&str, _> = known.iter().map(|row| (row.endpoint.as_str(), row)).collect();
    let stats: BTreeMap<&str, _> = stats.iter().map(|it| (it.endpoint.as_str(), it)).collect();
    names
        .map(|name| {
            let row = known.get(name.as_str());
            let stat = stats.get(name.as_str());
            let oldest_at = stat.and_then(|stat| stat.oldest_at);
            EndpointView {
                name: name.clone(),
                state: row.map_or("ok", |row| row.state.as_str()),
                since_at: row.map(|row| row.since_at),
                cause: row.and_then(|row| row.cause.clone()),
                paused_until: row.and_then(|row| row.paused_until).filter(|until| *until > now),
                pending: stat.map_or(0, |stat| stat.pending),
                oldest_seconds: oldest_at.map(|at| ms_between(at, now).max(0) as f64 / 1_000.0),
                dead: stat.map_or(0, |stat| stat.dead),
            }
        })
        .collect()
}

impl EndpointView {
    /// As the API shows it.
    pub fn as_json(&self) -> Value {
        json!({
            "name": self.name,
            "state": self.state,
            "since": self.since_at.map(|at| at.to_string()),
            "cause": self.cause,
            "paused_until": self.paused_until.map(|at| at.to_string()),
            "pending": self.pending,
            "oldest_seconds": self.oldest_seconds,
            "dead": self.dead,
        })
    }
}
