//! How each receiver does: its circuit, its pause, what was told about it.
//!
//! The delivery worker decides and keeps these rows in its memory; here they outlive it. They are
//! written in the transaction of the attempt that changed them. `version` grows with every
//! change, so that a writer that comes late cannot undo a newer one; a person who enables a
//! receiver from another process is a newer one too.

use judge::time::Timestamp;

use super::sql::{Row, Sql, args, bad};
use super::{DeliveryState, Dropped, EndpointRow, EndpointState, Held, Store, StoreError, queue};

const COLUMNS: &str = "endpoint, state, since_at, failures, failing_since, probe_at, \
    paused_until, cause, config_hash, skew_ms, dropped_told_at, version";

impl Store {
    /// Every receiver that something is known of, by name.
    pub async fn endpoints(&self) -> Result<Vec<EndpointRow>, StoreError> {
        self.read(|sql| {
            let rows =
                sql.query(&format!("SELECT {COLUMNS} FROM endpoints ORDER BY endpoint"), args![])?;
            rows.iter().map(endpoint_row).collect()
        })
        .await
    }

    /// Keeps what is known of a receiver, unless something newer is known.
    pub async fn put_endpoint(&self, row: EndpointRow) -> Result<(), StoreError> {
        self.write(move |sql| put(sql, &row)).await
    }

    /// Gives a receiver that is degraded, disabled or paused another chance: what waits for its
    /// next attempt is due, and the first of it is a probe. `false` when it is none of these, or
    /// nothing is known of it.
    pub async fn enable_endpoint(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |sql| {
            let touched = sql.exec(
                "UPDATE endpoints SET since_at = CASE WHEN state = 'ok' THEN since_at ELSE ?2 END,
                     state = CASE WHEN state = 'ok' THEN 'ok' ELSE 'degraded' END,
                     failing_since = NULL, probe_at = NULL, paused_until = NULL,
                     version = version + 1
                 WHERE endpoint = ?1 AND (state <> 'ok' OR paused_until > ?2)",
                args![&name, now],
            )?;
            if touched > 0 {
                queue::try_again_now(sql, &name, now)?;
            }
            Ok(touched > 0)
        })
        .await
    }

    /// Messages behind a position that were made at or after `since` and held back by the policy,
    /// by receiver and reason. Positions grow in the order of commits, so that none is passed over.
    pub async fn held(&self, behind: i64, since: Timestamp) -> Result<Vec<Held>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT endpoint, COALESCE(withheld_as, '') AS held_as, COUNT(*) AS n,
                     MAX(position) AS newest
                 FROM outbox WHERE position > ?1 AND created_at >= ?2
                     AND (withheld_as IS NOT NULL OR not_before > created_at)
                 GROUP BY endpoint, held_as ORDER BY endpoint, held_as",
                args![behind, since],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(Held {
                        endpoint: row.text("endpoint")?,
                        policy: policy_word(&row.text("held_as")?),
                        count: row.count("n")?,
                        newest: row.int("newest")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Messages that died without an attempt saying so after `since`, up to and with `until`, by
    /// receiver: too old, or pushed out of a full queue.
    pub async fn dropped(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Dropped>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT endpoint, kind, note, COUNT(*) AS n FROM outbox
                 WHERE note IS NOT NULL AND closed_at > ?1 AND closed_at <= ?2
                     AND lane = 'message' AND state = 'dead' AND note IN ('expired', 'queue_full')
                 GROUP BY endpoint, kind, note ORDER BY endpoint, kind, note",
                args![since, until],
            )?;
            rows.iter()
                .map(|row| {
                    Ok(Dropped {
                        endpoint: row.text("endpoint")?,
                        kind: row.text("kind")?,
                        note: row.text("note")?,
                        count: row.count("n")?,
                    })
                })
                .collect()
        })
        .await
    }
}

/// Whether the stored state of a receiver is another than `ok`.
pub(super) fn is_unwell(sql: &dyn Sql, row: &EndpointRow) -> Result<bool, StoreError> {
    let text = "SELECT state FROM endpoints WHERE endpoint = ?1 AND state <> 'ok'";
    Ok(sql.first(text, args![&row.endpoint])?.is_some())
}

/// Keeps a row within the caller's transaction, unless something newer is known.
pub(super) fn put(sql: &dyn Sql, row: &EndpointRow) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO endpoints (endpoint, state, since_at, failures, failing_since, probe_at,
             paused_until, cause, config_hash, skew_ms, dropped_told_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (endpoint) DO UPDATE SET
             state = excluded.state, since_at = excluded.since_at, failures = excluded.failures,
             failing_since = excluded.failing_since, probe_at = excluded.probe_at,
             paused_until = excluded.paused_until, cause = excluded.cause,
             config_hash = excluded.config_hash, skew_ms = excluded.skew_ms,
             dropped_told_at = excluded.dropped_told_at, version = excluded.version
         WHERE excluded.version > endpoints.version",
        args![
            &row.endpoint,
            row.state.as_str(),
            row.since_at,
            row.failures,
            row.failing_since,
            row.probe_at,
            row.paused_until,
            row.cause.as_ref(),
            &row.config_hash,
            row.skew_ms,
            row.dropped_told_at,
            row.version,
        ],
    )
    .map(drop)
}

/// The label of what held a row back, from the state that it was made in.
fn policy_word(held_as: &str) -> &'static str {
    match DeliveryState::parse(held_as) {
        Some(DeliveryState::Silenced) => "silence",
        Some(DeliveryState::Digest) => "digest",
        Some(DeliveryState::NotRouted) => "not_routed",
        _ => "quiet_hours",
    }
}

fn endpoint_row(row: &Row) -> Result<EndpointRow, StoreError> {
    let state = EndpointState::parse(&row.text("state")?);
    Ok(EndpointRow {
        endpoint: row.text("endpoint")?,
        state: state.ok_or_else(|| bad("endpoints.state", "no such state"))?,
        since_at: row.time("since_at")?,
        failures: row.small("failures")?,
        failing_since: row.opt_time("failing_since")?,
        probe_at: row.opt_time("probe_at")?,
        paused_until: row.opt_time("paused_until")?,
        cause: row.opt_text("cause")?,
        config_hash: row.text("config_hash")?,
        skew_ms: row.unless_null("skew_ms", Row::int)?,
        dropped_told_at: row.opt_time("dropped_told_at")?,
        version: row.int("version")?,
    })
}
