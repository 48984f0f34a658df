//! Alarms of the watch: one transaction per slot, answered once, whatever crashes in between.
//!
//! The row of `watches` is the cursor: a slot that is not newer than it writes nothing, so two
//! daemons or a repeated slot never raise an alarm twice. Messages are rows of the same
//! transaction.

use std::collections::BTreeMap;

use judge::decide::{Alarm, AlarmKind};
use judge::lifecycle::{LifeState, guardrails_run};
use judge::record::EvaluationRecord;
use judge::time::Timestamp;
use judge::watch::{Kept, Step};

use super::sql::{Row, Sql, args, bad};
use super::{OutboxRow, Store, StoreError, queue};

/// The one watch there is.
const PORTFOLIO: &str = "portfolio";
/// Newest alarms that are over, per question.
const MOST_CLEARED: usize = 200;

/// One slot of the watch with all it changes.
#[derive(Debug, Clone)]
pub struct WatchCommit {
    /// The slot (domain time).
    pub slot: Timestamp,
    /// The slot before, as it was read with the open alarms.
    pub expected: Option<Timestamp>,
    /// What it raises, keeps and clears.
    pub step: Step,
    /// What pages show of the portfolio: proxies and the kill list.
    pub report_json: String,
    /// Messages.
    pub outbox: Vec<OutboxRow>,
    /// Versions of the experiments that the messages are about, as they were read. Each moves on
    /// by one, which is the `sequence` of its message.
    pub versions: BTreeMap<String, i64>,
}

/// What became of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// It was written.
    Fresh,
    /// It was answered already, or another daemon was faster.
    Answered,
    /// An experiment moved on since it was read; nothing was written.
    StaleVersion,
}

/// Until when the portfolio was watched, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The newest slot.
    pub last_slot: Timestamp,
    /// Proxies and the kill list of that slot.
    pub report_json: String,
}

impl Store {
    /// The newest slot of the watch.
    pub async fn watch(&self) -> Result<Option<Watch>, StoreError> {
        self.read(|sql| {
            let row = sql.first(
                "SELECT last_slot, report_json FROM watches WHERE name = ?1",
                args![PORTFOLIO],
            )?;
            let read = |row: Row| {
                let (last_slot, report_json) = (row.time("last_slot")?, row.text("report_json")?);
                Ok(Watch { last_slot, report_json })
            };
            row.map(read).transpose()
        })
        .await
    }

    /// Alarms that are on, by experiment and name; the portfolio's own come first.
    pub async fn open_alarms(&self) -> Result<Vec<Kept>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                "SELECT experiment, alarm, raised_at, cleared_at, alarm_json FROM alarms
                 WHERE cleared_at IS NULL ORDER BY experiment, alarm",
                args![],
            )?;
            rows.iter().map(kept).collect()
        })
        .await
    }

    /// Everything that is on: the watch's alarms, and those of the newest look of every experiment
    /// that runs; a source that is down is one alarm, however many experiments it serves.
    pub async fn alarms_on(&self) -> Result<Vec<Kept>, StoreError> {
        let mut on = self.open_alarms().await?;
        for row in self.experiments().await? {
            let life: Result<LifeState, _> = serde_json::from_str(&row.life_json);
            if !life.is_ok_and(|life| guardrails_run(life.life)) {
                continue;
            }
            let Some((evaluation, json)) = self.standing(&row.id).await? else { continue };
            let Ok(record) = EvaluationRecord::from_json(&json) else { continue };
            for alarm in record.alarms {
                let raised_at = alarm.since.unwrap_or(evaluation.scheduled_at);
                let (experiment, key) = (row.id.clone(), alarm.key());
                on.push(Kept { experiment, key, raised_at, cleared_at: None, alarm });
            }
        }
        group_sources(&mut on);
        Ok(on)
    }

    /// Alarms that are over, newest all-clear first.
    pub async fn cleared_alarms(&self) -> Result<Vec<Kept>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                "SELECT experiment, alarm, raised_at, cleared_at, alarm_json FROM alarms
                 WHERE cleared_at IS NOT NULL
                 ORDER BY cleared_at DESC, experiment, alarm LIMIT ?1",
                args![MOST_CLEARED],
            )?;
            rows.iter().map(kept).collect()
        })
        .await
    }

    /// Writes one slot, or nothing.
    pub async fn commit_watch(&self, commit: WatchCommit) -> Result<Watching, StoreError> {
        let options = self.options;
        self.write(move |sql| {
            let before =
                sql.first("SELECT last_slot FROM watches WHERE name = ?1", args![PORTFOLIO])?;
            let before = before.map(|row| row.time("last_slot")).transpose()?;
            if before != commit.expected || before.is_some_and(|before| before >= commit.slot) {
                return Ok(Watching::Answered);
            }
            if !move_on(sql, &commit.versions)? {
                return Ok(Watching::StaleVersion);
            }
            sql.exec(
                "INSERT INTO watches (name, last_slot, report_json) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET last_slot = excluded.last_slot,
                     report_json = excluded.report_json",
                args![PORTFOLIO, commit.slot, &commit.report_json],
            )?;
            let Step { raised, kept, cleared } = &commit.step;
            for alarm in raised.iter().chain(kept).chain(cleared) {
                sql.exec(
                    "INSERT INTO alarms (experiment, alarm, raised_at, cleared_at, alarm_json)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (experiment, alarm, raised_at) DO UPDATE SET
                         cleared_at = excluded.cleared_at, alarm_json = excluded.alarm_json",
                    args![
                        &alarm.experiment,
                        &alarm.key,
                        alarm.raised_at,
                        alarm.cleared_at,
                        &json(&alarm.alarm)?,
                    ],
                )?;
            }
            queue::enqueue(sql, &commit.outbox, &options)?;
            Ok(Watching::Fresh)
        })
        .await
    }
}

/// Moves every experiment on by one; `false`, and none moved, when one is not where it was.
fn move_on(sql: &dyn Sql, versions: &BTreeMap<String, i64>) -> Result<bool, StoreError> {
    for (experiment, version) in versions {
        let text = "SELECT state_version FROM experiments WHERE id = ?1";
        let now = sql.first(text, args![experiment])?;
        let now = now.map(|row| row.int("state_version")).transpose()?;
        if now != Some(*version) {
            return Ok(false);
        }
    }
    for experiment in versions.keys() {
        sql.exec(
            "UPDATE experiments SET state_version = state_version + 1,
                 changes = state_version + 1 WHERE id = ?1",
            args![experiment],
        )?;
    }
    Ok(true)
}

/// One `source_down` per source: the earliest since, everything it serves, no single experiment.
fn group_sources(on: &mut Vec<Kept>) {
    let mut down: BTreeMap<String, Kept> = BTreeMap::new();
    on.retain(|kept| {
        if kept.alarm.kind != AlarmKind::SourceDown {
            return true;
        }
        let one = down.entry(kept.key.clone()).or_insert_with(|| {
            let mut one = Kept { experiment: String::new(), ..kept.clone() };
            one.alarm.numbers.insert("served".to_owned(), 0.0);
            one.alarm.numbers.insert("experiments".to_owned(), 0.0);
            one
        });
        let served = kept.alarm.numbers.get("served").copied().unwrap_or(1.0);
        *one.alarm.numbers.entry("served".to_owned()).or_default() += served;
        *one.alarm.numbers.entry("experiments".to_owned()).or_default() += 1.0;
        one.alarm.since = [one.alarm.since, kept.alarm.since].into_iter().flatten().min();
        one.raised_at = one.raised_at.min(kept.raised_at);
        false
    });
    on.extend(down.into_values());
    on.sort_by(|a, b| (&a.experiment, &a.key).cmp(&(&b.experiment, &b.key)));
}

fn json(alarm: &Alarm) -> Result<String, StoreError> {
    let value = serde_json::to_value(alarm);
    let value = value.map_err(|error| bad("alarms.alarm_json", &error.to_string()))?;
    Ok(judge::record::canonical_json(&value))
}

fn kept(row: &Row) -> Result<Kept, StoreError> {
    let alarm = serde_json::from_str(&row.text("alarm_json")?);
    Ok(Kept {
        experiment: row.text("experiment")?,
        key: row.text("alarm")?,
        raised_at: row.time("raised_at")?,
        cleared_at: row.opt_time("cleared_at")?,
        alarm: alarm.map_err(|error| bad("alarms.alarm_json", &error.to_string()))?,
    })
}
