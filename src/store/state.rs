//! State between looks: sequential tests, guardrail hysteresis, definitions in force.
//!
//! Sequential state is keyed by (experiment, cycle, test, epoch); earlier epochs stay as history.
//! A stored status that cannot be read concerns its experiment only.

use std::collections::BTreeMap;

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::record::{Carry, PlannedLooks, TestState};
use judge::time::Timestamp;

use super::sql::{Sql, args, bad};
use super::{LogEntry, Store, StoreError, commit};

impl Store {
    /// A person accepts a changed definition: the experiment may be judged on it.
    pub async fn acknowledge(
        &self,
        experiment: &str,
        subject: &str,
        series_id: &str,
        who: &str,
        because: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (experiment, subject) = (experiment.to_owned(), subject.to_owned());
        let (series_id, who, because) = (series_id.to_owned(), who.to_owned(), because.to_owned());
        self.write(move |sql| {
            commit::lock(sql, &experiment)?;
            let fresh = sql.exec(
                "INSERT INTO acknowledgements (experiment, subject, series_id, who, because, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (experiment, subject, series_id) DO NOTHING",
                args![&experiment, &subject, &series_id, &who, &because, at],
            )?;
            if fresh == 0 {
                return Ok(());
            }
            let text = format!("{who} accepted the changed definition of {subject}: {because}");
            let entry = LogEntry {
                at,
                kind: "acknowledged".to_owned(),
                who: Some(who),
                verdict: None,
                because: Some(because),
                text,
                evaluation_id: None,
            };
            commit::append_log(sql, &experiment, &entry)?;
            sql.exec(
                "UPDATE experiments SET state_version = state_version + 1,
                     changes = state_version + 1 WHERE id = ?1",
                args![&experiment],
            )
            .map(drop)
        })
        .await
    }
}

/// The sequential state in force in a cycle.
pub(super) fn carry(sql: &dyn Sql, experiment: &str, cycle: u32) -> Result<Carry, StoreError> {
    let rows = sql.query(
        "SELECT test_id, epoch, tau, alpha, ln_p, looks, opened_at, earlier_epochs, planned_json
         FROM tests
         WHERE experiment = ?1 AND cycle = ?2 AND in_force = 1",
        args![experiment, cycle],
    )?;
    let mut carry = Carry::new();
    for row in rows {
        let test = TestState {
            epoch: row.text("epoch")?,
            tau: row.real("tau")?,
            alpha: row.real("alpha")?,
            ln_p: row.real("ln_p")?,
            looks: row.count("looks")?,
            opened_at: row.time("opened_at")?,
            earlier_epochs: row.small("earlier_epochs")?,
            planned: planned(row.opt_text("planned_json")?)?,
        };
        carry.insert(row.text("test_id")?, test);
    }
    Ok(carry)
}

fn planned(json: Option<String>) -> Result<Option<Box<PlannedLooks>>, StoreError> {
    let read = |json: String| {
        serde_json::from_str(&json).map_err(|error| bad("tests.planned_json", &error.to_string()))
    };
    json.map(read).transpose()
}

fn planned_json(test: &TestState) -> Result<Option<String>, StoreError> {
    let write = |planned: &PlannedLooks| {
        serde_json::to_string(planned)
            .map_err(|error| bad("tests.planned_json", &error.to_string()))
    };
    test.planned.as_deref().map(write).transpose()
}

/// Merges sequential state in; an earlier epoch of the same test stays, out of force.
pub(super) fn save_carry(
    sql: &dyn Sql,
    experiment: &str,
    cycle: u32,
    carry: &Carry,
) -> Result<(), StoreError> {
    for (test_id, test) in carry {
        let planned = planned_json(test)?;
        sql.exec(
            "UPDATE tests SET in_force = 0
             WHERE experiment = ?1 AND cycle = ?2 AND test_id = ?3 AND epoch <> ?4",
            args![experiment, cycle, test_id, &test.epoch],
        )?;
        sql.exec(
            "INSERT INTO tests (experiment, cycle, test_id, epoch, in_force, tau, alpha, ln_p,
                 looks, opened_at, earlier_epochs, planned_json)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (experiment, cycle, test_id, epoch) DO UPDATE SET
                 in_force = 1, tau = excluded.tau, alpha = excluded.alpha, ln_p = excluded.ln_p,
                 looks = excluded.looks, opened_at = excluded.opened_at,
                 earlier_epochs = excluded.earlier_epochs,
                 planned_json = excluded.planned_json",
            args![
                experiment,
                cycle,
                test_id,
                &test.epoch,
                test.tau,
                test.alpha,
                test.ln_p,
                test.looks,
                test.opened_at,
                test.earlier_epochs,
                planned.as_deref(),
            ],
        )?;
    }
    Ok(())
}

/// Every stored guardrail status, by name.
pub(super) fn guardrails(
    sql: &dyn Sql,
    experiment: &str,
) -> Result<Vec<GuardrailStatus>, StoreError> {
    let rows = sql.query(
        "SELECT status_json FROM guardrails WHERE experiment = ?1 ORDER BY name",
        args![experiment],
    )?;
    rows.iter()
        .map(|row| {
            serde_json::from_str(&row.text("status_json")?)
                .map_err(|error| bad("guardrails.status_json", &error.to_string()))
        })
        .collect()
}

/// Replaces the status of one guardrail.
pub(super) fn save_guardrail(
    sql: &dyn Sql,
    experiment: &str,
    status: &GuardrailStatus,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(status)
        .map_err(|error| bad("guardrails.status_json", &error.to_string()))?;
    sql.exec(
        "INSERT INTO guardrails (experiment, name, state, status_json) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (experiment, name) DO UPDATE SET
             state = excluded.state, status_json = excluded.status_json",
        args![experiment, &status.name, state_name(status.state), &json],
    )
    .map(drop)
}

/// Drops the status of a guardrail that left the file, unless it is a trip.
pub(super) fn forget_guardrail(
    sql: &dyn Sql,
    experiment: &str,
    name: &str,
) -> Result<(), StoreError> {
    sql.exec(
        "DELETE FROM guardrails WHERE experiment = ?1 AND name = ?2 AND state <> ?3",
        args![experiment, name, state_name(GuardrailState::Tripped)],
    )
    .map(drop)
}

/// The worst guardrail state of every experiment that has one.
pub(super) fn worst_guardrails(
    sql: &dyn Sql,
) -> Result<BTreeMap<String, GuardrailState>, StoreError> {
    let mut worst = BTreeMap::new();
    for row in sql.query("SELECT experiment, state FROM guardrails", args![])? {
        let text = row.text("state")?;
        let state = BY_SEVERITY.into_iter().find(|state| state_name(*state) == text);
        let state = state.ok_or_else(|| bad("guardrails.state", "no such state"))?;
        let so_far = worst.entry(row.text("experiment")?).or_insert(state);
        if severity(state) > severity(*so_far) {
            *so_far = state;
        }
    }
    Ok(worst)
}

/// From harmless to worst: what is known to be bad outranks what is not known.
const BY_SEVERITY: [GuardrailState; 7] = [
    GuardrailState::Ok,
    GuardrailState::Unproven,
    GuardrailState::Insufficient,
    GuardrailState::NoData,
    GuardrailState::SourceError,
    GuardrailState::Burning,
    GuardrailState::Tripped,
];

fn severity(state: GuardrailState) -> Option<usize> {
    BY_SEVERITY.iter().position(|other| *other == state)
}

fn state_name(state: GuardrailState) -> &'static str {
    match state {
        GuardrailState::Ok => "ok",
        GuardrailState::Burning => "burning",
        GuardrailState::Unproven => "unproven",
        GuardrailState::Tripped => "tripped",
        GuardrailState::Insufficient => "insufficient",
        GuardrailState::NoData => "no_data",
        GuardrailState::SourceError => "source_error",
    }
}

/// Definitions in force: signal or guardrail name to series id.
pub(super) fn definitions(
    sql: &dyn Sql,
    experiment: &str,
) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = sql.query(
        "SELECT subject, series_id FROM definitions WHERE experiment = ?1",
        args![experiment],
    )?;
    rows.iter().map(|row| Ok((row.text("subject")?, row.text("series_id")?))).collect()
}

/// Puts a definition in force.
pub(super) fn save_definition(
    sql: &dyn Sql,
    experiment: &str,
    subject: &str,
    series_id: &str,
) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO definitions (experiment, subject, series_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (experiment, subject) DO UPDATE SET series_id = excluded.series_id",
        args![experiment, subject, series_id],
    )
    .map(drop)
}

/// Series ids of definitions that somebody acknowledged.
pub(super) fn acknowledged(sql: &dyn Sql, experiment: &str) -> Result<Vec<String>, StoreError> {
    let rows = sql.query(
        "SELECT DISTINCT series_id FROM acknowledgements WHERE experiment = ?1 ORDER BY series_id",
        args![experiment],
    )?;
    rows.iter().map(|row| row.text("series_id")).collect()
}
