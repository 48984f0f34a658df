//! What rollback actions need to remember: how often each was used, what is pulled from us as
//! off, and what was armed.
//!
//! Uses are the action rows of the outbox themselves, so nothing can be counted that was not
//! ordered. Flags that clients pull stay off in the store until a person releases them.

use std::collections::BTreeMap;

use judge::time::Timestamp;

use super::sql::{Row, args};
use super::{LogEntry, Store, StoreError, commit};

/// One set of flags that is served as off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The action whose flags they are.
    pub action: String,
    /// The outbox row that turned them off.
    pub outbox_id: String,
    /// Since when (wall time).
    pub off_at: Timestamp,
    /// When a client first had them as off (wall time).
    pub seen_at: Option<Timestamp>,
    /// Which client.
    pub seen_by: Option<String>,
}

/// One use of an action: its row and the message of its trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionUse {
    /// Row id.
    pub id: String,
    /// The row's content (JSON), with the trip in it.
    pub content: String,
    /// When it was ordered (wall time).
    pub created_at: Timestamp,
}

impl Store {
    /// The newest uses of an action that were really sent, newest first; with `before`, only those
    /// that were ordered before that row.
    pub async fn action_uses(
        &self,
        action: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ActionUse>, StoreError> {
        let (action, before) = (action.to_owned(), before.map(str::to_owned));
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT o.id, t.text AS content, o.created_at FROM outbox o
                 JOIN texts t ON t.id = o.content_text
                 WHERE o.endpoint = ?1 AND o.lane = 'action'
                     AND (CAST(?2 AS TEXT) IS NULL
                         OR o.position < (SELECT position FROM outbox WHERE id = ?2))
                     AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.outbox_id = o.id
                         AND a.class IN ('not_armed', 'over_limit'))
                 ORDER BY o.position DESC LIMIT ?3",
                args![&action, before.as_ref(), limit],
            )?;
            let read = |row: &Row| {
                Ok(ActionUse {
                    id: row.text("id")?,
                    content: row.text("content")?,
                    created_at: row.time("created_at")?,
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// Serves the flags of an action as off from now on. The same row a second time changes
    /// nothing; another one wants to be seen anew.
    pub async fn pull_off(
        &self,
        action: &str,
        outbox_id: &str,
        wall_now: Timestamp,
    ) -> Result<(), StoreError> {
        let (action, outbox_id) = (action.to_owned(), outbox_id.to_owned());
        self.write(move |sql| {
            sql.exec(
                "INSERT INTO pulled_flags (action, outbox_id, off_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (action) DO UPDATE SET outbox_id = excluded.outbox_id,
                     off_at = excluded.off_at, seen_at = NULL, seen_by = NULL
                 WHERE pulled_flags.outbox_id <> excluded.outbox_id",
                args![&action, &outbox_id, wall_now],
            )
            .map(drop)
        })
        .await
    }

    /// Everything that is served as off.
    pub async fn pulled(&self) -> Result<Vec<Pulled>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                "SELECT action, outbox_id, off_at, seen_at, seen_by FROM pulled_flags
                 ORDER BY action",
                args![],
            )?;
            let read = |row: &Row| {
                Ok(Pulled {
                    action: row.text("action")?,
                    outbox_id: row.text("outbox_id")?,
                    off_at: row.time("off_at")?,
                    seen_at: row.opt_time("seen_at")?,
                    seen_by: row.opt_text("seen_by")?,
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// A client has these sets as off: those that nobody had seen are seen now. The row of the
    /// outbox is named as it was served, so that a trip in between is not taken for seen.
    pub async fn pull_seen(
        &self,
        served: Vec<Pulled>,
        by: &str,
        wall_now: Timestamp,
    ) -> Result<(), StoreError> {
        let by = by.to_owned();
        self.write(move |sql| {
            for set in &served {
                sql.exec(
                    "UPDATE pulled_flags SET seen_at = ?3, seen_by = ?4
                     WHERE action = ?1 AND outbox_id = ?2 AND seen_at IS NULL",
                    args![&set.action, &set.outbox_id, wall_now, &by],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// A person lets the flags of an action be served as configured again; `false` when they were
    /// not off. The rollback that they were off for says so from then on.
    pub async fn release_pulled(&self, action: &str, entry: LogEntry) -> Result<bool, StoreError> {
        let action = action.to_owned();
        self.write(move |sql| {
            sql.exec(
                "UPDATE outbox SET note = ?2
                 WHERE id = (SELECT outbox_id FROM pulled_flags WHERE action = ?1)",
                args![&action, &released(&entry)],
            )?;
            let gone = sql.exec("DELETE FROM pulled_flags WHERE action = ?1", args![&action])?;
            if gone > 0 {
                commit::append_log(sql, "", &entry)?;
            }
            Ok(gone > 0)
        })
        .await
    }

    /// Writes an entry of no experiment into the decision log.
    pub async fn log_operation(&self, entry: LogEntry) -> Result<(), StoreError> {
        self.write(move |sql| commit::append_log(sql, "", &entry)).await
    }

    /// What each action's arming was when it was last noted.
    pub async fn arming(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.read(|sql| {
            let rows = sql.query("SELECT action, word FROM arming", args![])?;
            rows.iter().map(|row| Ok((row.text("action")?, row.text("word")?))).collect()
        })
        .await
    }

    /// Keeps changes of arming: action, the word for it now, and the entry that tells it.
    pub async fn set_arming(
        &self,
        changes: Vec<(String, String, LogEntry)>,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(move |sql| {
            for (action, word, entry) in &changes {
                sql.exec(
                    "INSERT INTO arming (action, word, changed_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (action) DO UPDATE SET word = excluded.word,
                         changed_at = excluded.changed_at",
                    args![action, word, entry.at],
                )?;
                commit::append_log(sql, "", entry)?;
            }
            Ok(())
        })
        .await
    }
}

/// What the row of a rollback says once its flags are served as configured again.
fn released(entry: &LogEntry) -> String {
    let who = entry.who.as_deref().unwrap_or("a person");
    format!("released by {who} at {}: the flags are served as configured again", entry.at)
}
