//! Forward-only migrations with checksums.
//!
//! A file of a newer verdictd, or one whose applied migrations differ from ours, is refused
//! before anything is read from it. All pending migrations run in one transaction.

use super::StoreError;
use super::sql::{Sql, args};

/// Every migration: version, name, text. Append only; applied text never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "start", include_str!("migrations/0001_start.sql")),
    (2, "conversations", include_str!("migrations/0002_conversations.sql")),
    (3, "alarms", include_str!("migrations/0003_alarms.sql")),
    (4, "planned_looks", include_str!("migrations/0004_planned_looks.sql")),
    (5, "seventh_sum", include_str!("migrations/0005_seventh_sum.sql")),
    (6, "endpoints", include_str!("migrations/0006_endpoints.sql")),
    (7, "policy", include_str!("migrations/0007_policy.sql")),
    (8, "rollback", include_str!("migrations/0008_rollback.sql")),
    (14, "changes", include_str!("migrations/0014_changes.sql")),
];

/// The newest schema version this build knows.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";

/// Brings the schema to [`NEWEST`], or says why not.
pub(super) fn migrate(sql: &dyn Sql) -> Result<(), StoreError> {
    sql.begin_write()?;
    let outcome = apply_pending(sql);
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sql.batch(end);
    outcome.and(ended)
}

fn apply_pending(sql: &dyn Sql) -> Result<(), StoreError> {
    sql.batch(CREATE)?;
    let found = verify(sql)?;
    for (version, name, text) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
        sql.batch(text)?;
        sql.exec(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
            args![*version, *name, &checksum(text)],
        )?;
    }
    Ok(())
}

/// Checks that a read-only database has exactly our schema.
pub(super) fn require_current(sql: &dyn Sql) -> Result<(), StoreError> {
    let found = verify(sql)?;
    if found < NEWEST {
        return Err(StoreError::OlderSchema { found, known: NEWEST });
    }
    Ok(())
}

/// The applied version, after comparing every applied migration with ours.
fn verify(sql: &dyn Sql) -> Result<i64, StoreError> {
    let rows =
        sql.query("SELECT version, checksum FROM schema_migrations ORDER BY version", args![])?;
    let mut newest = 0;
    for row in rows {
        newest = row.int("version")?;
        if newest > NEWEST {
            continue;
        }
        let ours = MIGRATIONS.iter().find(|(version, ..)| *version == newest);
        let same = ours.map(|(_, _, text)| checksum(text)) == Some(row.text("checksum")?);
        if !same {
            return Err(StoreError::ChangedMigration { version: newest });
        }
    }
    if newest > NEWEST {
        return Err(StoreError::NewerSchema { found: newest, known: NEWEST });
    }
    Ok(newest)
}

fn checksum(text: &str) -> String {
    judge::ids::hash128(&["migration", text])
}
