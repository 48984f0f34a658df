//! How the sources do.

use super::sql::{Row, args};
use super::{SourceHealth, Store, StoreError};

const COLUMNS: &str = "name, kind, last_ok_at, failing_since, class, cause, told";

impl Store {
    /// How one source does.
    pub async fn get_source(&self, name: &str) -> Result<Option<SourceHealth>, StoreError> {
        let name = name.to_owned();
        self.read(move |sql| {
            let row =
                sql.first(&format!("SELECT {COLUMNS} FROM sources WHERE name = ?1"), args![&name])?;
            row.as_ref().map(source_row).transpose()
        })
        .await
    }

    /// Every source, by name.
    pub async fn sources(&self) -> Result<Vec<SourceHealth>, StoreError> {
        self.read(|sql| {
            let rows =
                sql.query(&format!("SELECT {COLUMNS} FROM sources ORDER BY name"), args![])?;
            rows.iter().map(source_row).collect()
        })
        .await
    }

    /// Replaces how a source does. What is to be told about it is enqueued first: the same id
    /// twice is once, so a crash in between tells it once.
    pub async fn put_source(&self, health: SourceHealth) -> Result<(), StoreError> {
        self.write(move |sql| {
            sql.exec(
                "INSERT INTO sources (name, kind, last_ok_at, failing_since, class, cause, told)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (name) DO UPDATE SET kind = excluded.kind,
                     last_ok_at = excluded.last_ok_at, failing_since = excluded.failing_since,
                     class = excluded.class, cause = excluded.cause, told = excluded.told",
                args![
                    &health.name,
                    &health.kind,
                    health.last_ok_at,
                    health.failing_since,
                    health.class.as_ref(),
                    health.cause.as_ref(),
                    health.told,
                ],
            )
            .map(drop)
        })
        .await
    }
}

fn source_row(row: &Row) -> Result<SourceHealth, StoreError> {
    Ok(SourceHealth {
        name: row.text("name")?,
        kind: row.text("kind")?,
        last_ok_at: row.opt_time("last_ok_at")?,
        failing_since: row.opt_time("failing_since")?,
        class: row.opt_text("class")?,
        cause: row.opt_text("cause")?,
        told: row.flag("told")?,
    })
}
