//! Experiments, their revisions and the files that were refused.
//!
//! `ensure_experiment` is how a good file reaches the scheduler; `context` is everything one
//! evaluation reads, from one snapshot.

use std::collections::BTreeMap;

use judge::lifecycle::LifeState;

use super::cursors;
use super::reads::{EVALUATION_COLUMNS, NOT_OUTDATED, evaluation_row};
use super::sql::{Row, Sql, args};
use super::{
    BrokenFile, Context, CursorSpec, EvaluationRow, ExperimentRow, NewExperiment, RESTATED_PREFIX,
    Revision, Store, StoreError, state,
};

impl Store {
    /// Keeps a revision; the same one twice keeps the first.
    pub async fn save_revision(&self, revision: Revision) -> Result<(), StoreError> {
        self.write(move |sql| {
            sql.exec(
                "INSERT INTO revisions
                     (experiment, revision, file, source_text, model_json, seen_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (experiment, revision) DO NOTHING",
                args![
                    &revision.experiment,
                    &revision.revision,
                    &revision.file,
                    &revision.text,
                    &revision.model_json,
                    revision.seen_at,
                ],
            )
            .map(drop)
        })
        .await
    }

    /// Every revision of an experiment, oldest first.
    pub async fn revisions(&self, experiment: &str) -> Result<Vec<Revision>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT experiment, revision, file, source_text, model_json, seen_at
                 FROM revisions WHERE experiment = ?1 ORDER BY seen_at, revision",
                args![&experiment],
            )?;
            rows.iter().map(revision_row).collect()
        })
        .await
    }

    /// Notes that a file was refused; the same content again keeps its first date.
    pub async fn put_broken(&self, broken: BrokenFile) -> Result<(), StoreError> {
        self.write(move |sql| {
            sql.exec(
                "INSERT INTO broken_files (file, revision_hash, diagnostics_text, seen_at)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (file) DO UPDATE SET
                     seen_at = CASE WHEN broken_files.revision_hash = excluded.revision_hash
                         THEN broken_files.seen_at ELSE excluded.seen_at END,
                     revision_hash = excluded.revision_hash,
                     diagnostics_text = excluded.diagnostics_text",
                args![
                    &broken.file,
                    &broken.revision_hash,
                    &broken.diagnostics_text,
                    broken.seen_at,
                ],
            )
            .map(drop)
        })
        .await
    }

    /// The file is good again, or gone. Returns whether it was broken.
    pub async fn clear_broken(&self, file: &str) -> Result<bool, StoreError> {
        let file = file.to_owned();
        self.write(move |sql| {
            Ok(sql.exec("DELETE FROM broken_files WHERE file = ?1", args![&file])? > 0)
        })
        .await
    }

    /// Every refused file, by name.
    pub async fn broken_files(&self) -> Result<Vec<BrokenFile>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                "SELECT file, revision_hash, diagnostics_text, seen_at
                 FROM broken_files ORDER BY file",
                args![],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(BrokenFile {
                        file: row.text("file")?,
                        revision_hash: row.text("revision_hash")?,
                        diagnostics_text: row.text("diagnostics_text")?,
                        seen_at: row.time("seen_at")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Brings an experiment and its tracks in line with its file; returns whether anything
    /// changed (then the state version is another one).
    ///
    /// A missing or ended track starts at its `next_at`. A running one keeps its own, unless a
    /// new revision brings it forward (never to a slot that was answered). Tracks that are not
    /// named end.
    pub async fn ensure_experiment(&self, new: NewExperiment) -> Result<bool, StoreError> {
        let changed = self.write(move |sql| ensure(sql, &new)).await?;
        if changed {
            self.tell_news();
        }
        Ok(changed)
    }

    /// Every experiment, by id.
    pub async fn experiments(&self) -> Result<Vec<ExperimentRow>, StoreError> {
        self.read(|sql| {
            let mut worst = state::worst_guardrails(sql)?;
            let mut last = BTreeMap::new();
            let newest = sql.query(
                &format!(
                    "SELECT {EVALUATION_COLUMNS} FROM experiments x
                     JOIN evaluations e ON e.experiment = x.id AND e.number = (
                         SELECT e.number FROM evaluations e WHERE e.experiment = x.id
                         AND (e.track = 'look' OR e.verdict = 'stop') AND {NOT_OUTDATED}
                         ORDER BY e.number DESC LIMIT 1)"
                ),
                args![],
            )?;
            for row in &newest {
                let evaluation = evaluation_row(row)?;
                last.insert(evaluation.experiment.clone(), evaluation);
            }
            let rows = sql.query(
                "SELECT id, title, revision, life_json, changes, labels_json, first_seen_at
                 FROM experiments ORDER BY id",
                args![],
            )?;
            rows.iter()
                .map(|row| {
                    let id = row.text("id")?;
                    let life_json = row.text("life_json")?;
                    Ok(ExperimentRow {
                        title: row.text("title")?,
                        revision: row.text("revision")?,
                        changes: row.int("changes")?,
                        labels_json: row.text("labels_json")?,
                        first_seen_at: row.time("first_seen_at")?,
                        last: last.remove(&id).filter(|last| !is_over(last, &life_json)),
                        life_json,
                        worst_guardrail: worst.remove(&id),
                        id,
                    })
                })
                .collect()
        })
        .await
    }

    /// Everything one evaluation reads; `None` when the experiment is not known.
    pub async fn context(&self, experiment: &str) -> Result<Option<Context>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| context(sql, &experiment)).await
    }
}

/// A stop that a person has rearmed since: the run goes on, and where it stands is not known
/// until its next look.
pub(super) fn is_over(last: &EvaluationRow, life_json: &str) -> bool {
    let life: Option<LifeState> = serde_json::from_str(life_json).ok();
    let rearmed_at = life.and_then(|life| life.rearmed_at);
    last.verdict == "stop" && rearmed_at.is_some_and(|at| last.scheduled_at < at)
}

fn revision_row(row: &Row) -> Result<Revision, StoreError> {
    Ok(Revision {
        experiment: row.text("experiment")?,
        revision: row.text("revision")?,
        file: row.text("file")?,
        text: row.text("source_text")?,
        model_json: row.text("model_json")?,
        seen_at: row.time("seen_at")?,
    })
}

fn ensure(sql: &dyn Sql, new: &NewExperiment) -> Result<bool, StoreError> {
    let stored = sql.first(
        "SELECT title, revision, labels_json FROM experiments WHERE id = ?1",
        args![&new.id],
    )?;
    let Some(stored) = stored else {
        insert(sql, new)?;
        for cursor in &new.cursors {
            cursors::start(sql, &new.id, cursor)?;
        }
        return Ok(true);
    };
    let new_revision = stored.text("revision")? != new.revision;
    let mut changed = new_revision
        || stored.text("title")? != new.title
        || stored.text("labels_json")? != new.labels_json;
    changed |= align_cursors(sql, &new.id, &new.cursors, new_revision)?;
    if changed {
        sql.exec(
            "UPDATE experiments SET title = ?2, revision = ?3, labels_json = ?4,
                 state_version = state_version + 1, changes = state_version + 1
             WHERE id = ?1",
            args![&new.id, &new.title, &new.revision, &new.labels_json],
        )?;
    }
    Ok(changed)
}

fn insert(sql: &dyn Sql, new: &NewExperiment) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO experiments (id, title, revision, labels_json, life_json, last_said_json,
             first_seen_at, cycle, state_version, evaluations)
         VALUES (?1, ?2, ?3, ?4, ?5, '{}', ?6, 1, 1, 0)",
        args![
            &new.id,
            &new.title,
            &new.revision,
            &new.labels_json,
            &new.life_json,
            new.first_seen_at,
        ],
    )
    .map(drop)
}

/// Starts, brings forward and ends tracks; whether anything was touched.
fn align_cursors(
    sql: &dyn Sql,
    experiment: &str,
    wanted: &[CursorSpec],
    new_revision: bool,
) -> Result<bool, StoreError> {
    let mut changed = false;
    for cursor in wanted {
        changed |= cursors::start(sql, experiment, cursor)?;
        if new_revision {
            changed |= cursors::bring_forward(sql, experiment, cursor)?;
        }
    }
    for track in cursors::running(sql, experiment)? {
        if track.starts_with(RESTATED_PREFIX) || wanted.iter().any(|one| one.track == track) {
            continue;
        }
        changed = true;
        cursors::end(sql, experiment, &track)?;
        // With other tracks still on, the file dropped this guardrail: a state that is not a
        // trip is of no use to anybody. A trip stays until a human rearms it.
        if let (Some(name), false) = (track.strip_prefix("guardrail:"), wanted.is_empty()) {
            state::forget_guardrail(sql, experiment, name)?;
        }
    }
    Ok(changed)
}

fn context(sql: &dyn Sql, experiment: &str) -> Result<Option<Context>, StoreError> {
    let head = sql.first(
        "SELECT state_version, first_seen_at, revision, cycle, life_json, last_said_json,
             evaluations FROM experiments WHERE id = ?1",
        args![experiment],
    )?;
    let Some(head) = head else { return Ok(None) };
    let cycle = head.small("cycle")?;
    let evaluation_count = head.count("evaluations")?;
    let newest = sql.first(
        &format!(
            "SELECT e.json AS json FROM evaluations e
             WHERE e.experiment = ?1 AND {NOT_OUTDATED} ORDER BY e.number DESC LIMIT 1"
        ),
        args![experiment],
    )?;
    Ok(Some(Context {
        state_version: head.int("state_version")?,
        first_seen_at: head.time("first_seen_at")?,
        revision: head.text("revision")?,
        cycle,
        life_json: head.text("life_json")?,
        last_said_json: head.text("last_said_json")?,
        carry: state::carry(sql, experiment, cycle)?,
        guardrails: state::guardrails(sql, experiment)?,
        acknowledged: state::acknowledged(sql, experiment)?,
        series: state::definitions(sql, experiment)?,
        evaluation_count,
        newest_record: newest.map(|row| row.text("json")).transpose()?,
    }))
}
