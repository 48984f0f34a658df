//! Sending again what was given up: one row, or all of an outage, under the same ids and bytes.
//!
//! Rows go back into the queue in batches, so that ten thousand of them hold nobody up. A row
//! that somebody is sending is left alone. Actions are only repeated one by one: nobody turns a
//! hundred flags by a date.

use judge::time::Timestamp;

use super::outbox::{ONE_ATTEMPT, WITH_LADDER};
use super::sql::{Sql, args};
use super::{Store, StoreError};

/// Rows of one transaction.
const BATCH: usize = 500;
/// Rows of one call.
pub const MOST_REDELIVERED: usize = 10_000;

/// Which dead messages to send again; at least one of the three should be given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redeliver {
    /// Made at or after (wall time).
    pub since: Option<Timestamp>,
    /// Of this experiment.
    pub partition: Option<String>,
    /// To this receiver.
    pub endpoint: Option<String>,
}

impl Store {
    /// Sends a closed row again under the same id, or makes a waiting one due now. `false` when
    /// there is no such row or somebody is sending it.
    pub async fn redeliver(&self, id: &str, wall_now: Timestamp) -> Result<bool, StoreError> {
        self.redeliver_one(id, false, wall_now).await
    }

    /// As [`Store::redeliver`], with the ladder after the first attempt if it is wanted.
    pub async fn redeliver_one(
        &self,
        id: &str,
        ladder: bool,
        wall_now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |sql| again(sql, &id, ladder, wall_now)).await
    }

    /// The ids of the dead messages that match, oldest first, at most [`MOST_REDELIVERED`].
    pub async fn redeliverable(&self, which: &Redeliver) -> Result<Vec<String>, StoreError> {
        let which = which.clone();
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT id FROM outbox WHERE state = 'dead' AND lane = 'message'
                     AND (CAST(?1 AS BIGINT) IS NULL OR created_at >= ?1)
                     AND (CAST(?2 AS TEXT) IS NULL OR partition_key = ?2)
                     AND (CAST(?3 AS TEXT) IS NULL OR endpoint = ?3)
                 ORDER BY position LIMIT ?4",
                args![
                    which.since,
                    which.partition.as_ref(),
                    which.endpoint.as_ref(),
                    MOST_REDELIVERED,
                ],
            )?;
            rows.iter().map(|row| row.text("id")).collect()
        })
        .await
    }

    /// Sends all of them again; how many went back into the queue.
    pub async fn redeliver_all(
        &self,
        ids: Vec<String>,
        ladder: bool,
        wall_now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut queued = 0;
        for batch in ids.chunks(BATCH) {
            let batch = batch.to_vec();
            queued += self
                .write(move |sql| {
                    let mut queued = 0;
                    for id in &batch {
                        queued += usize::from(again(sql, id, ladder, wall_now)?);
                    }
                    Ok(queued)
                })
                .await?;
        }
        Ok(queued)
    }
}

/// Opens a closed row again; one that is open is only made due.
fn again(sql: &dyn Sql, id: &str, ladder: bool, now: Timestamp) -> Result<bool, StoreError> {
    let manual = if ladder { WITH_LADDER } else { ONE_ATTEMPT };
    // On the ladder a message has as long to live as it had at first.
    let touched = sql.exec(
        "UPDATE outbox SET next_at = ?2,
             state = CASE WHEN closed_at IS NULL THEN state ELSE 'pending' END,
             manual = CASE WHEN closed_at IS NULL THEN manual ELSE ?3 END,
             rung = CASE WHEN closed_at IS NULL THEN rung ELSE 0 END,
             expires_at = CASE WHEN closed_at IS NULL OR ?3 = 1 THEN expires_at
                 ELSE ?2 + expires_at - created_at END,
             closed_at = NULL, note = NULL, superseded_by = NULL
         WHERE id = ?1 AND holder IS NULL",
        args![id, now, manual],
    )?;
    sql.loads().forget();
    Ok(touched > 0)
}
