//! What a clock that ran ahead left in the store: slots, waits and leases that lie in the future.
//!
//! A newest slot after now is proof that the clock went back: nothing is answered before it is
//! due. Left alone such a track would sleep until the clock arrives there again, and a tripwire
//! with it. Nothing that was recorded is changed, only when work is due again.

use judge::time::{Timestamp, add_ms};

use super::sql::args;
use super::{CursorSpec, Store, StoreError};

/// No lease lasts longer (wall time, milliseconds).
const LONGEST_LEASE_MS: i64 = 600_000;

impl Store {
    /// Experiments with a running track whose newest answered slot lies after now (domain time).
    pub async fn ahead_of(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT DISTINCT experiment FROM cursors
                 WHERE next_at > ?1 AND last_slot > ?1 ORDER BY experiment",
                args![now],
            )?;
            rows.iter().map(|row| row.text("experiment")).collect()
        })
        .await
    }

    /// Makes such tracks of an experiment due as `cursors` say; how many. Whoever holds one is
    /// fenced off, and a slot that has a record stays answered.
    pub async fn pull_back(
        &self,
        experiment: &str,
        cursors: Vec<CursorSpec>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let experiment = experiment.to_owned();
        self.write(move |sql| {
            let mut pulled = 0;
            for cursor in &cursors {
                pulled += sql.exec(
                    "UPDATE cursors SET next_at = ?3, last_slot = NULL, holder = NULL,
                         lease_until = NULL, epoch = epoch + 1
                     WHERE experiment = ?1 AND track = ?2 AND next_at > ?3 AND last_slot > ?4",
                    args![&experiment, &cursor.track, cursor.next_at, now],
                )?;
            }
            Ok(pulled)
        })
        .await
    }

    /// The same for what waits to be sent, for leases and for the watch. A message that was made
    /// in the future waits as long from now as it should have from then.
    pub async fn pull_back_waits(
        &self,
        domain_now: Timestamp,
        wall_now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(move |sql| {
            let made = sql.exec(
                "UPDATE outbox SET next_at = ?1 + MAX(0, not_before - created_at),
                     not_before = ?1 + MAX(0, not_before - created_at)
                 WHERE closed_at IS NULL AND created_at > ?1",
                args![wall_now],
            )?;
            let tried = sql.exec(
                "UPDATE outbox SET next_at = ?1 WHERE closed_at IS NULL AND next_at > ?1
                     AND EXISTS (SELECT 1 FROM attempts a
                         WHERE a.outbox_id = outbox.id AND a.started_at > ?1)",
                args![wall_now],
            )?;
            let longest = add_ms(wall_now, LONGEST_LEASE_MS);
            for table in ["outbox", "cursors"] {
                sql.exec(
                    &format!(
                        "UPDATE {table} SET holder = NULL, lease_until = NULL
                         WHERE lease_until > ?1"
                    ),
                    args![longest],
                )?;
            }
            sql.exec("UPDATE watches SET last_slot = ?1 WHERE last_slot > ?1", args![domain_now])?;
            Ok(made + tried)
        })
        .await
    }
}
