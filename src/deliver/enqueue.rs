//! From notices to outbox rows: pure, so that the same commit always makes the same rows.
//!
//! Ids are derived from notice and endpoint, bodies are rendered once per receiver, and what is
//! urgent or final says so. The rows are written in the transaction of the evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use judge::ids;
use judge::notice::{Notice, NoticeKind};
use judge::record::{EvaluationRecord, canonical_json};
use judge::time::{DAY_MS, Timestamp, add_ms};
use serde_json::{Value, json};

use super::payload::{Links, generic, name_target};
use super::{ActionConfig, ReceiverConfig};
use crate::settings::Settings;
use crate::store::{Lane, OutboxRow};

/// A hundred years: the store's instants have an end, so "never" is a date far beyond any use.
const NEVER_MS: i64 = 36_500 * DAY_MS;
/// The kind of an action row.
pub const ACTION_KIND: &str = "action.rollback";

/// Who hears what, as configured.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// Receivers by name.
    pub receivers: BTreeMap<String, ReceiverConfig>,
    /// Receivers of notices about sources, files and faults; empty = those of the experiments.
    pub operators: Vec<String>,
    /// Messages older than this are not sent any more.
    pub expire_after: Duration,
    /// Where links lead.
    pub links: Links,
    /// What each action turns off.
    pub targets: BTreeMap<String, String>,
}

impl Routes {
    /// As configured; `external_url` is where links lead.
    pub fn from_settings(settings: &Settings, external_url: String) -> Self {
        Self {
            receivers: settings.receivers.clone(),
            operators: settings.daemon.operators.clone(),
            expire_after: Duration::from_hours(settings.delivery.expire_after_hours),
            links: Links { external_url },
            targets: settings
                .actions
                .iter()
                .map(|(name, config)| (name.clone(), config.target()))
                .collect(),
        }
    }

    /// Whom a notice goes to: names that exist, each once, in order of name.
    fn endpoints<'a>(&'a self, kind: NoticeKind, notify: &'a [String]) -> BTreeSet<&'a String> {
        let operational = matches!(
            kind,
            NoticeKind::SourceDown
                | NoticeKind::SourceRecovered
                | NoticeKind::FileBroken
                | NoticeKind::EngineFault
        );
        let wanted: &[String] =
            if operational && !self.operators.is_empty() { &self.operators } else { notify };
        wanted.iter().filter(|name| self.receivers.contains_key(*name)).collect()
    }
}

/// A body of work for one set of receivers: what the rows of one notice share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addressed<'a> {
    pub(super) notice: &'a Notice,
    pub(super) content: &'a Value,
    /// Experiment id, or `source:<name>`, or `file:<name>`.
    pub(super) partition: &'a str,
    pub(super) final_state: bool,
    pub(super) wall_now: Timestamp,
    pub(super) sequence: i64,
}

/// Rows for the notices of one commit.
///
/// `notify` is the experiment's list of receivers (for a source, that of every experiment it
/// serves); `sequence` is the state version that the commit makes.
pub fn rows(
    notices: &[Notice],
    record: Option<&EvaluationRecord>,
    notify: &[String],
    routes: &Routes,
    wall_now: Timestamp,
    sequence: i64,
) -> Vec<OutboxRow> {
    let mut rows = Vec::new();
    for notice in notices {
        let mut content = generic(notice, record, &routes.links, sequence);
        let action = content["data"]["action"]["name"].as_str();
        if let Some(target) = action.and_then(|name| routes.targets.get(name)) {
            name_target(&mut content, target);
        }
        let addressed = Addressed {
            notice,
            content: &content,
            partition: &partition(notice),
            final_state: is_final(notice.kind, record),
            wall_now,
            sequence,
        };
        rows.extend(message_rows(addressed, notify, routes));
    }
    rows
}

/// One row per receiver of one notice.
pub(super) fn message_rows(
    addressed: Addressed<'_>,
    notify: &[String],
    routes: &Routes,
) -> Vec<OutboxRow> {
    let Addressed { notice, content, partition, final_state, wall_now, sequence } = addressed;
    let expire_ms = i64::try_from(routes.expire_after.as_millis()).unwrap_or(i64::MAX);
    let row = |endpoint: &String| {
        let receiver = routes.receivers.get(endpoint)?;
        Some(OutboxRow {
            id: ids::message_id(&notice.id, endpoint),
            endpoint: endpoint.clone(),
            partition: partition.to_owned(),
            kind: notice.kind.as_str().to_owned(),
            urgent: notice.kind.is_urgent(),
            lane: Lane::Message,
            notice_id: notice.id.clone(),
            body: receiver.render(content),
            content: canonical_json(content),
            created_at: wall_now,
            not_before: wall_now,
            expires_at: add_ms(wall_now, expire_ms),
            final_state,
            sequence,
            conversation: receiver.conversation(content),
        })
    };
    routes.endpoints(notice.kind, notify).into_iter().filter_map(row).collect()
}

/// Messages of one partition are sent in order.
fn partition(notice: &Notice) -> String {
    match notice.kind {
        _ if !notice.experiment.is_empty() => notice.experiment.clone(),
        NoticeKind::FileBroken => format!("file:{}", notice.subject),
        NoticeKind::AlarmRaised | NoticeKind::AlarmCleared => "portfolio".to_owned(),
        _ => format!("source:{}", notice.subject),
    }
}

/// Only what a newer message makes pointless may be collapsed; everything else is told.
fn is_final(kind: NoticeKind, record: Option<&EvaluationRecord>) -> bool {
    match kind {
        NoticeKind::VerdictContinue | NoticeKind::VerdictChange => {
            record.is_none_or(|record| record.decision.ends_cycle)
        }
        NoticeKind::VerdictHold => false,
        _ => true,
    }
}

/// What a trip orders.
#[derive(Debug, Clone, Copy)]
pub struct ActionOrder<'a> {
    /// Name of the action in the daemon's configuration.
    pub action: &'a str,
    /// Its configuration.
    pub config: &'a ActionConfig,
    /// The notice of the trip.
    pub trip: &'a Notice,
    /// The evaluation that tripped.
    pub record: &'a EvaluationRecord,
}

/// The row of a rollback action; its content keeps the trip's facts for the messages that tell
/// how it ended. It never expires silently: the worker escalates instead.
pub fn action_row(
    order: ActionOrder<'_>,
    links: &Links,
    wall_now: Timestamp,
    sequence: i64,
) -> OutboxRow {
    let ActionOrder { action, config, trip, record } = order;
    let experiment = &record.input.experiment;
    let notice_id = ids::notice_id(&record.id, ACTION_KIND, action);
    let description = json!({
        "action": action,
        "evaluation": record.id,
        "experiment": experiment.id,
        "guardrail": trip.subject,
        "requested": "off",
    });
    let mut told = generic(trip, Some(record), links, sequence);
    name_target(&mut told, &config.target());
    let content = json!({
        "evaluation": record.id,
        "notify": experiment.notify,
        "trip": told,
    });
    OutboxRow {
        id: ids::message_id(&notice_id, action),
        endpoint: action.to_owned(),
        partition: experiment.id.clone(),
        kind: ACTION_KIND.to_owned(),
        urgent: true,
        lane: Lane::Action,
        notice_id,
        body: config.render(&description),
        content: canonical_json(&content),
        created_at: wall_now,
        not_before: wall_now,
        expires_at: add_ms(wall_now, NEVER_MS),
        final_state: true,
        sequence,
        conversation: None,
    }
}
