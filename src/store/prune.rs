//! Retention, a batch at a time: old periods, whole and with all their versions, and old messages.
//!
//! Which periods nobody needs is decided in `cycle::prune`. Evaluations, their frozen inputs, the
//! log and rollback actions are never touched: what was decided and done stays explainable.

use judge::time::Timestamp;

use super::sql::{Sql, args};
use super::{Store, StoreError};

impl Store {
    /// Series that hold periods ending at or before `end`, with the end of their oldest one.
    pub async fn series_before(
        &self,
        end: Timestamp,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT series_id, MIN(period_end) AS oldest FROM points
                 WHERE period_end <= ?1 GROUP BY series_id ORDER BY series_id",
                args![end],
            )?;
            rows.iter().map(|row| Ok((row.text("series_id")?, row.time("oldest")?))).collect()
        })
        .await
    }

    /// Deletes at most `most` of the oldest periods of a series that end at or before `end`; says
    /// how many rows went.
    pub async fn prune_points(
        &self,
        series_id: &str,
        end: Timestamp,
        most: usize,
    ) -> Result<u64, StoreError> {
        let series_id = series_id.to_owned();
        self.write(move |sql| {
            sql.exec(
                "DELETE FROM points WHERE series_id = ?1 AND (period_start, period_end, arm) IN (
                     SELECT DISTINCT period_start, period_end, arm FROM points
                     WHERE series_id = ?1 AND period_end <= ?2
                     ORDER BY period_end, period_start, arm LIMIT ?3)",
                args![&series_id, end, most],
            )
        })
        .await
    }

    /// Forgets at most `most` of the oldest messages that were closed before an instant (wall
    /// time), with their attempts; says how many went. The newest word on what still lasts stays:
    /// reminders and the all-clear go back to it.
    pub async fn prune_messages(&self, before: Timestamp, most: usize) -> Result<u64, StoreError> {
        // Looked for beside the writers: it may have to pass every row.
        let old: Vec<String> = self
            .read(move |sql| {
                let rows = sql.query(
                    "SELECT o.id FROM outbox o WHERE o.lane = 'message' AND o.closed_at < ?1
                         AND (o.lasting = 0 OR EXISTS (
                             SELECT 1 FROM outbox n WHERE n.partition_key = o.partition_key
                                 AND n.endpoint = o.endpoint AND n.topic = o.topic
                                 AND n.lane = o.lane AND n.position > o.position))
                     ORDER BY o.position LIMIT ?2",
                    args![before, most],
                )?;
                rows.iter().map(|row| row.text("id")).collect()
            })
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        self.write(move |sql| {
            let mut gone = 0;
            for id in &old {
                gone += forget(sql, id, before)?;
            }
            Ok(gone)
        })
        .await
    }
}

/// Deletes one message that is still closed, its attempts, and texts that no other row shares.
fn forget(sql: &dyn Sql, id: &str, before: Timestamp) -> Result<u64, StoreError> {
    sql.exec(
        "DELETE FROM attempts WHERE outbox_id IN
             (SELECT id FROM outbox WHERE id = ?1 AND closed_at < ?2)",
        args![id, before],
    )?;
    let gone = sql.query(
        "DELETE FROM outbox WHERE id = ?1 AND closed_at < ?2
         RETURNING notice_id, body_text, content_text",
        args![id, before],
    )?;
    for row in &gone {
        for text in ["body_text", "content_text"] {
            // Rows of one notice share their content.
            sql.exec(
                "DELETE FROM texts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM outbox o
                     WHERE o.notice_id = ?2 AND ?1 IN (o.body_text, o.content_text))",
                args![row.int(text)?, &row.text("notice_id")?],
            )?;
        }
    }
    Ok(gone.len() as u64)
}
