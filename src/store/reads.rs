//! Reads for pages, API and reports: evaluations, the decision log, missed slots.

use super::sql::{Row, Sql, Val, args};
use super::{EvaluationRow, LogEntry, LogFilter, LogRow, Missed, Store, StoreError};

/// Columns of an evaluation `e` in a list.
pub(super) const EVALUATION_COLUMNS: &str = "e.number AS number, e.id AS id, \
    e.experiment AS experiment, e.track AS track, e.scheduled_at AS scheduled_at, \
    e.recorded_at AS recorded_at, e.data_as_of AS data_as_of, e.verdict AS verdict, \
    e.cause AS cause, e.headline AS headline, e.revises AS revises";

/// Not a restatement of a slot that a later look has replaced: it has the newest number and says
/// nothing about where the experiment stands.
pub(super) const NOT_OUTDATED: &str = "(e.revises IS NULL OR e.scheduled_at >= COALESCE(
    (SELECT MAX(later.scheduled_at) FROM evaluations later
     WHERE later.experiment = e.experiment AND later.track = 'look'), e.scheduled_at))";

impl Store {
    /// Evaluations of an experiment, newest first; `before` is the smallest number of the
    /// previous page.
    pub async fn evaluations(
        &self,
        experiment: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EvaluationRow>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {EVALUATION_COLUMNS} FROM evaluations e
                     WHERE e.experiment = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR e.number < ?2)
                     ORDER BY e.number DESC LIMIT ?3"
                ),
                args![&experiment, before, limit],
            )?;
            rows.iter().map(evaluation_row).collect()
        })
        .await
    }

    /// One evaluation by number, with its record.
    pub async fn evaluation(
        &self,
        experiment: &str,
        number: u64,
    ) -> Result<Option<(EvaluationRow, String)>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            one(sql, "e.experiment = ?1 AND e.number = ?2", args![&experiment, number])
        })
        .await
    }

    /// Where the experiment stands: its newest look or stop, with its record. What a guardrail's
    /// transition wrote in between decides nothing.
    pub async fn standing(
        &self,
        experiment: &str,
    ) -> Result<Option<(EvaluationRow, String)>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let standing = format!(
                "e.experiment = ?1 AND (e.track = 'look' OR e.verdict = 'stop') AND {NOT_OUTDATED}"
            );
            one(sql, &standing, args![&experiment])
        })
        .await
    }

    /// One evaluation by its id, with its record.
    pub async fn evaluation_by_id(
        &self,
        id: &str,
    ) -> Result<Option<(EvaluationRow, String)>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| one(sql, "e.id = ?1", args![&id])).await
    }

    /// Entries of the decision log, newest first.
    pub async fn decisions(&self, filter: LogFilter) -> Result<Vec<LogRow>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT id, experiment, at, kind, who, verdict, because, said, evaluation_id
                 FROM log
                 WHERE (CAST(?1 AS TEXT) IS NULL OR experiment = ?1)
                     AND (CAST(?2 AS BIGINT) IS NULL OR at >= ?2)
                     AND (CAST(?3 AS BIGINT) IS NULL OR id < ?3)
                 ORDER BY id DESC LIMIT ?4",
                args![filter.experiment.as_ref(), filter.since, filter.before, filter.limit],
            )?;
            rows.iter().map(log_row).collect()
        })
        .await
    }

    /// Records of the looks whose verdict ended a cycle, by experiment, oldest first.
    pub async fn finished_records(&self) -> Result<Vec<String>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                "SELECT json FROM evaluations WHERE track = 'look' AND cause IN ('graduate',
                     'mechanism', 'harmful', 'futile', 'no_cycles_left', 'past_by')
                 ORDER BY experiment, number",
                args![],
            )?;
            rows.iter().map(|row| row.text("json")).collect()
        })
        .await
    }

    /// Slots of an experiment that nobody looked at, oldest first.
    pub async fn missed(&self, experiment: &str) -> Result<Vec<Missed>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT track, from_at, to_at, slots, reason FROM missed
                 WHERE experiment = ?1 ORDER BY from_at, track",
                args![&experiment],
            )?;
            rows.iter().map(missed_row).collect()
        })
        .await
    }

    /// What is wrong with the file: the engine's own check, and what our code relies on.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.read(integrity).await
    }
}

/// The newest evaluation that fits, with its record.
fn one(
    sql: &dyn Sql,
    fits: &str,
    args: &[Val],
) -> Result<Option<(EvaluationRow, String)>, StoreError> {
    let row = sql.first(
        &format!(
            "SELECT {EVALUATION_COLUMNS}, e.json AS json FROM evaluations e
             WHERE {fits} ORDER BY e.number DESC LIMIT 1"
        ),
        args,
    )?;
    row.map(|row| Ok((evaluation_row(&row)?, row.text("json")?))).transpose()
}

/// One evaluation in a list.
pub(super) fn evaluation_row(row: &Row) -> Result<EvaluationRow, StoreError> {
    Ok(EvaluationRow {
        number: row.count("number")?,
        id: row.text("id")?,
        experiment: row.text("experiment")?,
        track: row.text("track")?,
        scheduled_at: row.time("scheduled_at")?,
        recorded_at: row.time("recorded_at")?,
        data_as_of: row.opt_time("data_as_of")?,
        verdict: row.text("verdict")?,
        cause: row.text("cause")?,
        headline: row.text("headline")?,
        revises: row.opt_text("revises")?,
    })
}

fn log_row(row: &Row) -> Result<LogRow, StoreError> {
    Ok(LogRow {
        id: row.int("id")?,
        experiment: row.text("experiment")?,
        entry: LogEntry {
            at: row.time("at")?,
            kind: row.text("kind")?,
            who: row.opt_text("who")?,
            verdict: row.opt_text("verdict")?,
            because: row.opt_text("because")?,
            text: row.text("said")?,
            evaluation_id: row.opt_text("evaluation_id")?,
        },
    })
}

fn missed_row(row: &Row) -> Result<Missed, StoreError> {
    Ok(Missed {
        track: row.text("track")?,
        from: row.time("from_at")?,
        to: row.time("to_at")?,
        count: row.count("slots")?,
        reason: row.text("reason")?,
    })
}

fn integrity(sql: &dyn Sql) -> Result<Vec<String>, StoreError> {
    let mut problems = sql.self_check()?;
    let gaps = sql.query(
        "SELECT x.id AS id FROM experiments x WHERE x.evaluations <>
             (SELECT COUNT(*) FROM evaluations e WHERE e.experiment = x.id)",
        args![],
    )?;
    for row in gaps {
        problems.push(format!("evaluations of {} are missing", row.text("id")?));
    }
    let versions = sql.query(
        "SELECT DISTINCT series_id FROM points
         GROUP BY series_id, period_start, period_end, arm HAVING MAX(version) <> COUNT(*)",
        args![],
    )?;
    for row in versions {
        problems.push(format!("point versions of series {} are missing", row.text("series_id")?));
    }
    Ok(problems)
}
