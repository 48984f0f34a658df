//! What a gate asks about one experiment, from one snapshot.
//!
//! One row, its newest look or stop, its guardrails as they are now, the earliest slot that is
//! due, and the last word of a person about its life. Nothing is judged here.

use std::collections::BTreeMap;

use judge::analyse::GuardrailStatus;
use judge::time::Timestamp;

use super::reads::{EVALUATION_COLUMNS, NOT_OUTDATED, evaluation_row};
use super::sql::{Row, Sql, args};
use super::{EvaluationRow, RESTATED_PREFIX, Store, StoreError, experiments, state};

/// One experiment as a gate sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    /// Experiment id.
    pub id: String,
    /// Life.
    pub life_json: String,
    /// Number of its newest change; a look that changes nothing leaves it.
    pub changes: i64,
    /// When the experiment was first seen.
    pub first_seen_at: Timestamp,
    /// Its newest look or stop that still says where it stands.
    pub last: Option<EvaluationRow>,
    /// Its guardrails as they are now.
    pub guardrails: Vec<GuardrailStatus>,
    /// The earliest slot that is due and not answered (domain time).
    pub due_at: Option<Timestamp>,
    /// The newest decision of a person that moved its life.
    pub decree: Option<Decreed>,
}

/// What a person decided, from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decreed {
    /// `stop`, `pause`, `overrule_change`, ...
    pub kind: String,
    /// Who.
    pub who: String,
    /// Why.
    pub because: String,
    /// When (domain time).
    pub at: Timestamp,
}

impl Store {
    /// What a gate asks; `None` when the experiment is not known.
    pub async fn gate_row(&self, experiment: &str) -> Result<Option<GateRow>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| gate_row(sql, &experiment)).await
    }

    /// Every experiment's id with its labels, by id.
    pub async fn labels(&self) -> Result<Vec<(String, BTreeMap<String, String>)>, StoreError> {
        self.read(|sql| {
            let rows = sql.query("SELECT id, labels_json FROM experiments ORDER BY id", args![])?;
            rows.iter()
                .map(|row| {
                    let labels = serde_json::from_str(&row.text("labels_json")?);
                    Ok((row.text("id")?, labels.unwrap_or_default()))
                })
                .collect()
        })
        .await
    }

    /// The number of an experiment's newest change: what its messages carry as `sequence`.
    pub async fn changes(&self, experiment: &str) -> Result<Option<i64>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let text = "SELECT changes FROM experiments WHERE id = ?1";
            sql.first(text, args![&experiment])?.map(|row| row.int("changes")).transpose()
        })
        .await
    }
}

fn gate_row(sql: &dyn Sql, experiment: &str) -> Result<Option<GateRow>, StoreError> {
    let head = sql.first(
        "SELECT life_json, changes, first_seen_at FROM experiments WHERE id = ?1",
        args![experiment],
    )?;
    let Some(head) = head else { return Ok(None) };
    let last = sql.first(
        &format!(
            "SELECT {EVALUATION_COLUMNS} FROM evaluations e
             WHERE e.experiment = ?1 AND (e.track = 'look' OR e.verdict = 'stop')
                 AND {NOT_OUTDATED}
             ORDER BY e.number DESC LIMIT 1"
        ),
        args![experiment],
    )?;
    let restated = format!("{RESTATED_PREFIX}%");
    let due = sql.first(
        "SELECT MIN(next_at) AS at FROM cursors
         WHERE experiment = ?1 AND track NOT LIKE ?2",
        args![experiment, &restated],
    )?;
    let decree = sql.first(
        "SELECT kind, who, because, at FROM log
         WHERE experiment = ?1 AND who IS NOT NULL AND kind IN ('stop', 'pause', 'resume',
             'archive', 'rearm', 'overrule_change', 'overrule_continue')
         ORDER BY id DESC LIMIT 1",
        args![experiment],
    )?;
    let life_json = head.text("life_json")?;
    let last = last.map(|row| evaluation_row(&row)).transpose()?;
    Ok(Some(GateRow {
        id: experiment.to_owned(),
        changes: head.int("changes")?,
        first_seen_at: head.time("first_seen_at")?,
        last: last.filter(|last| !experiments::is_over(last, &life_json)),
        life_json,
        guardrails: state::guardrails(sql, experiment)?,
        due_at: due.map(|row| row.opt_time("at")).transpose()?.flatten(),
        decree: decree.map(|row| decreed(&row)).transpose()?,
    }))
}

fn decreed(row: &Row) -> Result<Decreed, StoreError> {
    Ok(Decreed {
        kind: row.text("kind")?,
        who: row.text("who")?,
        because: row.opt_text("because")?.unwrap_or_default(),
        at: row.time("at")?,
    })
}
