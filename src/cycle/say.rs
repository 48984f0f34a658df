//! From what there is to say to outbox rows: who is addressed, and what travels in which commit.
//!
//! Notices of an experiment are rows of its evaluation's transaction. Notices about sources and
//! files belong to no experiment and are enqueued by themselves; their derived ids make a second
//! try harmless.

use std::collections::BTreeMap;

use judge::decide::Cause;
use judge::ids;
use judge::notice::{LastSaid, Notice, NoticeKind};
use judge::record::EvaluationRecord;
use judge::spec::Experiment;
use judge::time::Timestamp;

use super::health::Change;
use crate::app::Inner;
use crate::deliver::enqueue;
use crate::portfolio::Broken;
use crate::store::{OutboxRow, SourceHealth, StoreError};

/// What was last said about an experiment; nothing before its first commit.
pub fn last_said(json: &str) -> anyhow::Result<Option<LastSaid>> {
    if json.is_empty() || json == "{}" {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(json)?))
}

/// Since when alarms are on; nothing where that cannot be read (the commit says so).
pub fn alarms_since(json: &str) -> BTreeMap<String, Timestamp> {
    let said = last_said(json).ok().flatten();
    said.map(|said| said.alarms_since()).unwrap_or_default()
}

/// The wire name of an enum value (`no_data`, `graduate`).
pub fn word<T: serde::Serialize>(value: &T) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("unknown").to_owned()
}

/// Message rows of one commit; `version` is the state version it was decided on.
pub fn outbox(
    app: &Inner,
    experiment: &Experiment,
    notices: &[Notice],
    record: Option<&EvaluationRecord>,
    version: i64,
) -> Vec<OutboxRow> {
    let now = app.clock.wall_now();
    enqueue::rows(notices, record, &experiment.notify, &app.routes, now, version + 1)
}

/// The rollback action of a trip, if the file names one.
pub fn action(
    app: &Inner,
    record: &EvaluationRecord,
    at: Timestamp,
    version: i64,
) -> Option<OutboxRow> {
    if record.decision.cause != Cause::Tripped {
        return None;
    }
    let experiment = &record.input.experiment;
    let name = experiment.rollback.action.as_deref()?;
    let config = app.settings.actions.get(name)?;
    let tripped = record.guardrails.iter().find(|status| status.latched)?;
    let trip = Notice {
        id: ids::notice_id(&record.id, NoticeKind::GuardrailTripped.as_str(), &tripped.name),
        kind: NoticeKind::GuardrailTripped,
        subject: tripped.name.clone(),
        experiment: experiment.id.clone(),
        at,
        previous: None,
        detail: None,
    };
    let order = enqueue::ActionOrder { action: name, config, trip: &trip, record };
    Some(enqueue::action_row(order, &app.routes.links, app.clock.wall_now(), version + 1))
}

/// Stores what changed about sources and tells what must be told, once per source. What could
/// not be stored stays noted and is tried again at the next turn.
pub async fn tell_sources(app: &Inner) -> anyhow::Result<()> {
    let mut pending = app.health.take_changes().into_iter();
    while let Some((health, changes)) = pending.next() {
        if let Err(error) = tell_source(app, &health, &changes).await {
            app.health.put_back(&health.name, changes);
            pending.for_each(|(health, changes)| app.health.put_back(&health.name, changes));
            return Err(error.into());
        }
    }
    Ok(())
}

async fn tell_source(
    app: &Inner,
    health: &SourceHealth,
    changes: &[Change],
) -> Result<(), StoreError> {
    for change in changes {
        let notice = source_notice(change);
        let notify = readers_of(app, &health.name);
        let now = app.clock.wall_now();
        let sequence = now.as_millisecond();
        let rows = enqueue::rows(&[notice], None, &notify, &app.routes, now, sequence);
        app.store.enqueue(rows).await?;
    }
    app.store.put_source(health.clone()).await
}

fn source_notice(change: &Change) -> Notice {
    let (kind, health, at) = match change {
        Change::Down(health) => (NoticeKind::SourceDown, health, health.failing_since),
        Change::Recovered(health) => (NoticeKind::SourceRecovered, health, health.last_ok_at),
    };
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
    let at_ms = at.as_millisecond().to_string();
    Notice {
        id: ids::hash128(&["source", kind.as_str(), &health.name, &at_ms]),
        kind,
        subject: health.name.clone(),
        experiment: String::new(),
        at,
        previous: None,
        detail: match change {
            Change::Down(_) => detail_of(health),
            Change::Recovered(_) => {
                health.failing_since.map(|since| format!("It had not answered since {since}."))
            }
        },
    }
}

fn detail_of(health: &SourceHealth) -> Option<String> {
    let class = health.class.as_deref()?;
    Some(format!("{class}: {}", health.cause.as_deref().unwrap_or("no further word")))
}

/// Receivers of every experiment that reads the source.
fn readers_of(app: &Inner, source: &str) -> Vec<String> {
    let mut notify: Vec<String> = app
        .portfolio
        .all()
        .iter()
        .filter(|loaded| reads_source(&loaded.experiment, source))
        .flat_map(|loaded| loaded.experiment.notify.clone())
        .collect();
    notify.sort();
    notify.dedup();
    notify
}

fn reads_source(experiment: &Experiment, source: &str) -> bool {
    let by_signal = experiment.signals.iter().any(|signal| signal.source == source);
    let beside = experiment.beside().iter().any(|count| count.signal.source == source);
    let mut rails = experiment.guardrails.iter();
    by_signal
        || beside
        || rails.any(|rail| rail.kind.source().is_some_and(|(name, _)| name == source))
}

/// Tells a refused file once per content, to its experiment's receivers if it has a last good
/// revision, else to the operators.
pub async fn tell_broken(app: &Inner, broken: &Broken) -> anyhow::Result<()> {
    let known = app.portfolio.all();
    let loaded = known.iter().find(|loaded| loaded.file == broken.file);
    let notify = loaded.map(|loaded| loaded.experiment.notify.clone()).unwrap_or_default();
    let notice = Notice {
        id: ids::hash128(&["file", &broken.file, &broken.hash]),
        kind: NoticeKind::FileBroken,
        subject: broken.file.clone(),
        experiment: String::new(),
        at: app.clock.domain_now(),
        previous: None,
        detail: Some(broken.message.chars().take(2_000).collect()),
    };
    let now = app.clock.wall_now();
    let sequence = now.as_millisecond();
    let rows = enqueue::rows(&[notice], None, &notify, &app.routes, now, sequence);
    app.store.enqueue(rows).await?;
    Ok(())
}
