//! From notices to outbox rows: pure, so that the same commit always makes the same rows.
//!
//! Ids are derived from notice and endpoint, bodies are rendered once per receiver, and what is
//! urgent or final says so. The rows are written in the transaction of the evaluation.

use std::collections::BTreeMap;
use std::time::Duration;

use judge::ids;
use judge::notice::{Notice, NoticeKind};
use judge::record::{EvaluationRecord, canonical_json};
use judge::time::{DAY_MS, Timestamp, add_ms};
use serde_json::{Value, json};

use super::payload::{Links, Setting, Target, fitting, generic, name_target, set_in};
use super::policy::links::Linker;
use super::policy::{self, Facts, Fate, Ground, Policy, Ruling, Shared};
use super::{ActionConfig, ReceiverConfig};
use crate::settings::Settings;
use crate::store::{Lane, OutboxRow, Told, Withheld};

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
    /// Receiver of notices about delivery itself; empty = the operators.
    pub fallback: String,
    /// Messages older than this are not sent any more.
    pub expire_after: Duration,
    /// The same for chats, where an old message only confuses.
    pub chat_expire_after: Duration,
    /// Where links lead.
    pub links: Links,
    /// Who hears what when, as configured.
    pub policy: Policy,
    /// What is in force beside it.
    pub standing: Shared,
    /// Puts links to acknowledge and snooze into messages.
    pub linker: Option<Linker>,
    /// What each action turns off, and what keeps it from doing so.
    pub targets: BTreeMap<String, Target>,
}

impl Routes {
    /// As configured; `external_url` is where links lead.
    pub fn from_settings(settings: &Settings, external_url: String) -> Self {
        Self {
            receivers: settings.receivers.clone(),
            operators: settings.daemon.operators.clone(),
            fallback: settings.delivery.fallback.clone(),
            expire_after: Duration::from_hours(settings.delivery.expire_after_hours),
            chat_expire_after: Duration::from_hours(settings.delivery.chat_expire_after_hours),
            links: Links { external_url },
            // The settings were refused if it is not sound.
            policy: settings.policy().unwrap_or_default(),
            standing: Shared::default(),
            linker: None,
            targets: settings
                .actions
                .iter()
                .map(|(name, config)| (name.clone(), Target::of(config)))
                .collect(),
        }
    }

    /// How long a message to that receiver is worth sending.
    fn expire_after(&self, receiver: &ReceiverConfig) -> Duration {
        let of_kind = if receiver.is_chat() { self.chat_expire_after } else { self.expire_after };
        receiver.flow().expire_after_hours.map_or(of_kind, Duration::from_hours)
    }

    /// Who hears about that endpoint's own troubles: never the endpoint itself.
    pub(super) fn about_endpoint(&self, endpoint: &str) -> Vec<String> {
        let fallback = Some(&self.fallback).filter(|name| !name.is_empty() && *name != endpoint);
        match fallback {
            Some(name) => vec![name.clone()],
            None => self.operators.iter().filter(|name| *name != endpoint).cloned().collect(),
        }
    }

    /// Puts links to acknowledge and snooze into a message.
    pub fn link(
        &self,
        message: &mut Value,
        facts: &Facts,
        notice: &str,
        partition: &str,
        now: Timestamp,
    ) {
        if let Some(linker) = &self.linker {
            linker.add(message, facts, notice, partition, &self.links.external_url, now);
        }
    }

    /// How long a message to that receiver may wait.
    pub fn expire_ms(&self, receiver: &str) -> i64 {
        let known = self.receivers.get(receiver);
        let wait = known.map_or(self.expire_after, |receiver| self.expire_after(receiver));
        i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
    }

    /// What becomes of a notice at everybody who is named.
    pub fn rulings(&self, facts: &Facts, notify: &[String], now: Timestamp) -> Vec<Ruling> {
        let receivers = self.receivers.keys().cloned().collect();
        policy::decide(
            facts,
            Ground {
                policy: &self.policy,
                standing: &self.standing.get(),
                notify,
                operators: &self.operators,
                receivers: &receivers,
                now,
            },
        )
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

/// Rows of a notice that no evaluation stands behind, with the experiment and cycle that it is
/// about, where there is one: it belongs to the same conversation as the cycle's verdicts.
pub fn rows_in(
    notice: &Notice,
    setting: Option<Setting<'_>>,
    notify: &[String],
    routes: &Routes,
    wall_now: Timestamp,
    sequence: i64,
) -> Vec<OutboxRow> {
    let mut content = generic(notice, None, &routes.links, sequence);
    if let Some(setting) = setting {
        set_in(&mut content, notice, setting, &routes.links);
    }
    let addressed = Addressed {
        notice,
        content: &content,
        partition: &partition(notice),
        final_state: is_final(notice.kind, None),
        wall_now,
        sequence,
    };
    message_rows(addressed, notify, routes)
}

/// One row per receiver of one notice, sent now or later, or withheld with its reason.
pub(super) fn message_rows(
    addressed: Addressed<'_>,
    notify: &[String],
    routes: &Routes,
) -> Vec<OutboxRow> {
    let Addressed { notice, content, partition, final_state, wall_now, sequence } = addressed;
    let standing = routes.standing.get();
    let facts = Facts::of(notice, content, standing.people.get(&notice.experiment));
    let mut content = content.clone();
    routes.link(&mut content, &facts, &notice.id, partition, wall_now);
    let content = &fitting(content);
    let row = |ruling: Ruling| {
        let receiver = routes.receivers.get(&ruling.receiver);
        let not_before = match ruling.fate {
            Fate::Queue { until } => until.max(wall_now),
            _ => wall_now,
        };
        let expire_ms = routes.expire_ms(&ruling.receiver);
        OutboxRow {
            id: ids::message_id(&notice.id, &ruling.receiver),
            partition: partition.to_owned(),
            kind: notice.kind.as_str().to_owned(),
            urgent: facts.is_tripwire(),
            lane: Lane::Message,
            notice_id: notice.id.clone(),
            body: receiver.map_or_else(String::new, |receiver| receiver.render(content)),
            content: canonical_json(content),
            created_at: wall_now,
            not_before,
            expires_at: add_ms(not_before, expire_ms),
            final_state,
            sequence,
            conversation: receiver.and_then(|receiver| receiver.conversation(content)),
            told: told(&facts, &ruling),
            endpoint: ruling.receiver,
        }
    };
    routes.rulings(&facts, notify, wall_now).into_iter().map(row).collect()
}

/// What the row keeps of the policy's answer.
fn told(facts: &Facts, ruling: &Ruling) -> Told {
    Told {
        reason: ruling.reason.clone(),
        topic: facts.topic.clone(),
        severity: facts.severity.as_str().to_owned(),
        lasting: facts.is_lasting(),
        withheld: match &ruling.fate {
            Fate::Send | Fate::Queue { .. } => None,
            Fate::Digest(name) => Some(Withheld::Digest(name.clone())),
            Fate::Silenced(id) => Some(Withheld::Silence(id.clone())),
            Fate::NotRouted => Some(Withheld::NoReceiver),
        },
    }
}

/// Rows of a notice about delivery itself, for whoever runs it.
pub(super) fn message_rows_about(
    notice: &Notice,
    routes: &Routes,
    wall_now: Timestamp,
) -> Vec<OutboxRow> {
    let sequence = wall_now.as_millisecond();
    let notify = routes.about_endpoint(&notice.subject);
    let mut rows = rows(std::slice::from_ref(notice), None, &notify, routes, wall_now, sequence);
    // Whatever a route says: who is in trouble is not asked to carry the news of it.
    rows.retain(|row| row.endpoint != notice.subject);
    rows
}

/// Messages of one partition are sent in order.
fn partition(notice: &Notice) -> String {
    match notice.kind {
        _ if !notice.experiment.is_empty() => notice.experiment.clone(),
        NoticeKind::FileBroken => format!("file:{}", notice.subject),
        NoticeKind::AlarmRaised | NoticeKind::AlarmCleared => "portfolio".to_owned(),
        kind if kind.is_about_delivery() => format!("endpoint:{}", notice.subject),
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
    name_target(&mut told, &Target::of(config));
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
        told: Told::default(),
    }
}
