//! Cursors: what is due, who works on it, and the fencing token that keeps a late holder out.
//!
//! One row per (experiment, track). A claim is a lease with an epoch; taking over an expired
//! lease raises the epoch, and every commit checks it. A track that ends keeps its row.

use std::time::Duration;

use judge::time::{Timestamp, add_ms};

use super::sql::{Row, Sql, args};
use super::{Claim, CursorSpec, Store, StoreError};

impl Store {
    /// Claims up to `limit` tracks that are due and free (or whose lease has run out), the
    /// longest due first.
    pub async fn claim_due(
        &self,
        domain_now: Timestamp,
        wall_now: Timestamp,
        holder: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let holder = holder.to_owned();
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let lease_until = add_ms(wall_now, lease_ms);
        self.write(move |sql| {
            let rows = sql.query(
                "UPDATE cursors SET holder = ?3, lease_until = ?4, epoch = epoch + 1
                 WHERE (experiment, track) IN (
                     SELECT experiment, track FROM cursors
                     WHERE next_at <= ?1 AND (lease_until IS NULL OR lease_until <= ?2)
                     ORDER BY next_at, experiment, track LIMIT ?5)
                 RETURNING experiment, track, last_slot, next_at, epoch",
                args![domain_now, wall_now, &holder, lease_until, limit],
            )?;
            let mut claims = rows.iter().map(claim_row).collect::<Result<Vec<_>, _>>()?;
            claims.sort_by(|a, b| {
                (a.next_at, &a.experiment, &a.track).cmp(&(b.next_at, &b.experiment, &b.track))
            });
            Ok(claims)
        })
        .await
    }

    /// Gives a claim back with nothing done; `false` when it was taken over meanwhile.
    pub async fn release(&self, claim: &Claim, next_at: Timestamp) -> Result<bool, StoreError> {
        let claim = claim.clone();
        self.write(move |sql| move_on(sql, &claim, None, Some(next_at))).await
    }

    /// Frees everything a former process of the same name still holds: at start, before any
    /// work. What that process may still try to write is fenced off. Returns how many.
    pub async fn release_holder(&self, holder: &str) -> Result<u64, StoreError> {
        let holder = holder.to_owned();
        self.write(move |sql| {
            let claims = sql.exec(
                "UPDATE cursors SET holder = NULL, lease_until = NULL, epoch = epoch + 1
                 WHERE holder = ?1",
                args![&holder],
            )?;
            let leases = sql.exec(
                "UPDATE outbox SET holder = NULL, lease_until = NULL WHERE holder = ?1",
                args![&holder],
            )?;
            Ok(claims + leases)
        })
        .await
    }

    /// Tracks of an experiment that have not ended.
    pub async fn tracks(&self, experiment: &str) -> Result<Vec<String>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| running(sql, &experiment)).await
    }

    /// The earliest instant at which an unclaimed track is due (domain time).
    pub async fn earliest_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.earliest("SELECT MIN(next_at) AS at FROM cursors WHERE lease_until IS NULL").await
    }

    /// The earliest slot that is not answered yet, whoever is at it (domain time).
    pub async fn earliest_slot(&self) -> Result<Option<Timestamp>, StoreError> {
        self.earliest("SELECT MIN(next_at) AS at FROM cursors").await
    }

    /// The earliest end of a claim (wall time): when work of a lost holder becomes free.
    pub async fn earliest_lease_end(&self) -> Result<Option<Timestamp>, StoreError> {
        self.earliest("SELECT MIN(lease_until) AS at FROM cursors WHERE next_at IS NOT NULL").await
    }

    async fn earliest(&self, text: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |sql| match sql.first(text, args![])? {
            Some(row) => row.opt_time("at"),
            None => Ok(None),
        })
        .await
    }
}

fn claim_row(row: &Row) -> Result<Claim, StoreError> {
    Ok(Claim {
        experiment: row.text("experiment")?,
        track: row.text("track")?,
        last_slot: row.opt_time("last_slot")?,
        next_at: row.time("next_at")?,
        epoch: row.int("epoch")?,
    })
}

/// How a claim stands against its cursor.
pub(super) struct Standing {
    /// Nobody took it over, and it was not given back.
    pub(super) held: bool,
    /// Newest slot that was answered on this track.
    pub(super) last_slot: Option<Timestamp>,
}

/// Looks the cursor of a claim up.
pub(super) fn standing(sql: &dyn Sql, claim: &Claim) -> Result<Standing, StoreError> {
    let row = sql.first(
        "SELECT holder, epoch, last_slot, next_at FROM cursors
         WHERE experiment = ?1 AND track = ?2",
        args![&claim.experiment, &claim.track],
    )?;
    let Some(row) = row else {
        return Ok(Standing { held: false, last_slot: None });
    };
    Ok(Standing {
        held: row.int("epoch")? == claim.epoch
            && row.opt_text("holder")?.is_some()
            && row.opt_time("next_at")?.is_some(),
        last_slot: row.opt_time("last_slot")?,
    })
}

/// Ends a claim: the slot is answered (never backwards) and the track is due again at `next_at`,
/// or never. `false` when the claim was taken over.
pub(super) fn move_on(
    sql: &dyn Sql,
    claim: &Claim,
    slot: Option<Timestamp>,
    next_at: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let touched = sql.exec(
        "UPDATE cursors SET holder = NULL, lease_until = NULL, next_at = ?5,
             last_slot = CASE WHEN last_slot >= ?4 THEN last_slot
                 ELSE COALESCE(?4, last_slot) END
         WHERE experiment = ?1 AND track = ?2 AND epoch = ?3 AND holder IS NOT NULL",
        args![&claim.experiment, &claim.track, claim.epoch, slot, next_at],
    )?;
    Ok(touched > 0)
}

/// Starts a track that is missing or has ended; leaves a running one alone. Whether it did.
pub(super) fn start(
    sql: &dyn Sql,
    experiment: &str,
    cursor: &CursorSpec,
) -> Result<bool, StoreError> {
    let touched = sql.exec(
        "INSERT INTO cursors (experiment, track, next_at, epoch) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (experiment, track) DO UPDATE SET next_at = excluded.next_at
         WHERE cursors.next_at IS NULL",
        args![experiment, &cursor.track, cursor.next_at],
    )?;
    Ok(touched > 0)
}

/// Makes a running track due earlier, but never at a slot that was answered.
pub(super) fn bring_forward(
    sql: &dyn Sql,
    experiment: &str,
    cursor: &CursorSpec,
) -> Result<bool, StoreError> {
    let touched = sql.exec(
        "UPDATE cursors SET next_at = ?3 WHERE experiment = ?1 AND track = ?2
             AND next_at > ?3 AND (last_slot IS NULL OR last_slot < ?3)",
        args![experiment, &cursor.track, cursor.next_at],
    )?;
    Ok(touched > 0)
}

/// Ends a track; a holder that is still at it is fenced off.
pub(super) fn end(sql: &dyn Sql, experiment: &str, track: &str) -> Result<(), StoreError> {
    sql.exec(
        "UPDATE cursors SET next_at = NULL, holder = NULL, lease_until = NULL, epoch = epoch + 1
         WHERE experiment = ?1 AND track = ?2 AND next_at IS NOT NULL",
        args![experiment, track],
    )
    .map(drop)
}

/// Tracks of an experiment that have not ended.
pub(super) fn running(sql: &dyn Sql, experiment: &str) -> Result<Vec<String>, StoreError> {
    let rows = sql.query(
        "SELECT track FROM cursors WHERE experiment = ?1 AND next_at IS NOT NULL ORDER BY track",
        args![experiment],
    )?;
    rows.iter().map(|row| row.text("track")).collect()
}
