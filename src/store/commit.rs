//! One transaction per evaluation: all of it or nothing of it.
//!
//! Checks first, then writes. A slot that was answered before is `Already`, a claim that was
//! taken over is `Fenced`, a state that moved on is `StaleVersion`; none of them writes anything
//! of the evaluation. The experiment's row is locked first, so two commits of one experiment
//! never interleave on any engine.

use super::sql::{Sql, args, bad, next_count};
use super::{
    Claim, Commit, Committed, LogEntry, Missed, NewEvaluation, Store, StoreError, StoreOptions,
    cursors, points, queue, state,
};
use crate::failpoint::{self, Point};

impl Store {
    /// Commits one evaluation with everything it changes. Safe to repeat.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        points::refuse_non_finite(&commit.points)?;
        let options = self.options;
        let tells = !commit.outbox.is_empty();
        let committed = self.write(move |sql| apply(sql, &commit, &options)).await?;
        if tells {
            failpoint::reached(Point::Inserted);
        }
        if matches!(committed, Committed::Fresh { .. }) {
            self.tell_news();
        }
        Ok(committed)
    }

    /// Records what a person said about an experiment, against the state they saw.
    pub async fn record_decision(
        &self,
        experiment: &str,
        entry: LogEntry,
        expected: i64,
    ) -> Result<Committed, StoreError> {
        let experiment = experiment.to_owned();
        let options = self.options;
        self.write(move |sql| {
            let head = lock(sql, &experiment)?;
            let mut commit = Commit::new(&experiment, expected, head.cycle);
            commit.log.push(entry);
            apply(sql, &commit, &options)
        })
        .await
    }
}

/// What a commit is checked against.
pub(super) struct Head {
    state_version: i64,
    cycle: u32,
    revision: String,
}

/// Reads and locks the row of an experiment (an update that changes nothing is a lock everywhere).
pub(super) fn lock(sql: &dyn Sql, experiment: &str) -> Result<Head, StoreError> {
    let row = sql.first(
        "UPDATE experiments SET state_version = state_version WHERE id = ?1
         RETURNING state_version, cycle, revision",
        args![experiment],
    )?;
    let row = row.ok_or_else(|| StoreError::UnknownExperiment(experiment.to_owned()))?;
    Ok(Head {
        state_version: row.int("state_version")?,
        cycle: row.small("cycle")?,
        revision: row.text("revision")?,
    })
}

fn apply(sql: &dyn Sql, commit: &Commit, options: &StoreOptions) -> Result<Committed, StoreError> {
    let head = lock(sql, &commit.experiment)?;
    let standing = match &commit.claim {
        Some(claim) => Some(cursors::standing(sql, claim)?),
        None => None,
    };
    if answered(sql, commit, standing.as_ref())? {
        if let Some(claim) = &commit.claim {
            cursors::move_on(sql, claim, commit.slot, commit.next_at)?;
        }
        return Ok(Committed::Already);
    }
    if standing.is_some_and(|standing| !standing.held) {
        return Ok(Committed::Fenced);
    }
    if head.state_version != commit.expected_version {
        return Ok(Committed::StaleVersion);
    }
    write(sql, commit, &head, options)
}

/// Whether the slot of this commit has its answer: a record, or a cursor that is past it (looks
/// without a record leave no other trace).
fn answered(
    sql: &dyn Sql,
    commit: &Commit,
    standing: Option<&cursors::Standing>,
) -> Result<bool, StoreError> {
    if let Some(evaluation) = &commit.evaluation {
        let stored = sql.first(
            "SELECT number FROM evaluations WHERE id = ?1 OR
                 (experiment = ?2 AND track = ?3 AND scheduled_at = ?4 AND restatement_no = ?5)",
            args![
                &evaluation.id,
                &commit.experiment,
                &evaluation.track,
                evaluation.scheduled_at,
                evaluation.restatement_no,
            ],
        )?;
        if stored.is_some() {
            return Ok(true);
        }
    }
    let last_slot = standing.and_then(|standing| standing.last_slot);
    // Stored instants have milliseconds; a finer slot within the same one is the same slot.
    let passed = |slot| last_slot.map(ms) >= Some(ms(slot));
    Ok(commit.slot.is_some_and(passed))
}

fn ms(at: judge::time::Timestamp) -> i64 {
    at.as_millisecond()
}

fn write(
    sql: &dyn Sql,
    commit: &Commit,
    head: &Head,
    options: &StoreOptions,
) -> Result<Committed, StoreError> {
    let experiment = &commit.experiment;
    let (number, state_version) = advance(sql, commit)?;
    let mut restated = Vec::new();
    for new in &commit.points {
        restated.extend(points::append(sql, new)?);
    }
    if let Some(evaluation) = &commit.evaluation {
        insert_evaluation(sql, experiment, &head.revision, number, evaluation)?;
    }
    for missed in &commit.missed {
        insert_missed(sql, experiment, missed)?;
    }
    if let Some(carry) = &commit.carry {
        state::save_carry(sql, experiment, commit.cycle, carry)?;
    }
    for status in &commit.guardrails {
        state::save_guardrail(sql, experiment, status)?;
    }
    for (subject, series_id) in &commit.series {
        state::save_definition(sql, experiment, subject, series_id)?;
    }
    for entry in &commit.log {
        append_log(sql, experiment, entry)?;
    }
    if let Some((why, at)) = &commit.cancel_actions {
        queue::cancel_actions(sql, experiment, why, *at)?;
    }
    queue::enqueue(sql, &commit.outbox, options)?;
    move_cursors(sql, commit)?;
    let number = commit.evaluation.is_some().then_some(number);
    Ok(Committed::Fresh { number, state_version, restated })
}

/// Raises version and evaluation count, and replaces what the experiment's row holds.
fn advance(sql: &dyn Sql, commit: &Commit) -> Result<(u64, i64), StoreError> {
    let row = sql.first(
        "UPDATE experiments SET state_version = state_version + 1,
             changes = CASE WHEN ?6 THEN state_version + 1 ELSE changes END,
             evaluations = evaluations + ?2, cycle = ?3,
             life_json = COALESCE(?4, life_json),
             last_said_json = COALESCE(?5, last_said_json)
         WHERE id = ?1 RETURNING evaluations, state_version",
        args![
            &commit.experiment,
            i64::from(commit.evaluation.is_some()),
            commit.cycle,
            commit.life_json.as_ref(),
            commit.last_said_json.as_ref(),
            i64::from(commit.is_change()),
        ],
    )?;
    let row = row.ok_or_else(|| StoreError::UnknownExperiment(commit.experiment.clone()))?;
    Ok((row.count("evaluations")?, row.int("state_version")?))
}

fn insert_evaluation(
    sql: &dyn Sql,
    experiment: &str,
    revision: &str,
    number: u64,
    evaluation: &NewEvaluation,
) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO evaluations (experiment, number, id, track, scheduled_at, restatement_no,
             revision, data_as_of, fetched_at, recorded_at, revises, verdict, cause, headline,
             json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        args![
            experiment,
            number,
            &evaluation.id,
            &evaluation.track,
            evaluation.scheduled_at,
            evaluation.restatement_no,
            revision,
            evaluation.data_as_of,
            evaluation.fetched_at,
            evaluation.recorded_at,
            evaluation.revises.as_ref(),
            &evaluation.verdict,
            &evaluation.cause,
            &evaluation.headline,
            &evaluation.json,
        ],
    )
    .map(drop)
}

fn insert_missed(sql: &dyn Sql, experiment: &str, missed: &Missed) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO missed (experiment, track, from_at, to_at, slots, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (experiment, track, from_at) DO NOTHING",
        args![experiment, &missed.track, missed.from, missed.to, missed.count, &missed.reason,],
    )
    .map(drop)
}

/// Appends one entry to the decision log.
pub(super) fn append_log(
    sql: &dyn Sql,
    experiment: &str,
    entry: &LogEntry,
) -> Result<(), StoreError> {
    let id = next_count(sql, "log")?;
    sql.exec(
        "INSERT INTO log (id, experiment, at, kind, who, verdict, because, said, evaluation_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        args![
            id,
            experiment,
            entry.at,
            &entry.kind,
            entry.who.as_ref(),
            entry.verdict.as_ref(),
            entry.because.as_ref(),
            &entry.text,
            entry.evaluation_id.as_ref(),
        ],
    )
    .map(drop)
}

/// Ends the claim, starts and ends tracks.
fn move_cursors(sql: &dyn Sql, commit: &Commit) -> Result<(), StoreError> {
    if let Some(claim) = &commit.claim {
        end_claim(sql, claim, commit)?;
    }
    for cursor in &commit.more_cursors {
        cursors::start(sql, &commit.experiment, cursor)?;
    }
    for track in &commit.drop_tracks {
        cursors::end(sql, &commit.experiment, track)?;
    }
    Ok(())
}

fn end_claim(sql: &dyn Sql, claim: &Claim, commit: &Commit) -> Result<(), StoreError> {
    // The standing was checked in this very transaction: losing the claim here is a broken
    // invariant, and failing keeps the evaluation out.
    if cursors::move_on(sql, claim, commit.slot, commit.next_at)? {
        return Ok(());
    }
    Err(bad("cursors.epoch", "the claim changed within its own transaction"))
}
