//! The memory of conversations: what a receiver needs to find its root message or ticket again.
//!
//! Written in the transaction that records the attempt which learnt it (`outbox`), read just
//! before the next message of the conversation is sent.

use judge::time::Timestamp;

use super::sql::{Sql, args};
use super::{Store, StoreError};

/// What is known of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The receiver's own JSON.
    pub json: Option<String>,
    /// An attempt other than the asking one was made in this conversation: without `json` it may
    /// have begun it and never told us.
    pub was_tried: bool,
}

impl Store {
    /// What is known of the conversation that this leased row belongs to; `attempt` is its
    /// running attempt.
    pub async fn conversation(
        &self,
        endpoint: &str,
        conversation: &str,
        row: &str,
        attempt: u32,
    ) -> Result<Known, StoreError> {
        let (endpoint, conversation) = (endpoint.to_owned(), conversation.to_owned());
        let row = row.to_owned();
        self.read(move |sql| {
            let json = sql.first(
                "SELECT known_json FROM conversations WHERE endpoint = ?1 AND conversation = ?2",
                args![&endpoint, &conversation],
            )?;
            let tried = sql.first(
                "SELECT 1 AS one FROM outbox o JOIN attempts a ON a.outbox_id = o.id
                 WHERE o.endpoint = ?1 AND o.conversation = ?2
                     AND NOT (a.outbox_id = ?3 AND a.attempt = ?4) LIMIT 1",
                args![&endpoint, &conversation, &row, attempt],
            )?;
            let json = json.map(|row| row.text("known_json")).transpose()?;
            Ok(Known { json, was_tried: tried.is_some() })
        })
        .await
    }
}

/// Keeps what an attempt learnt, within the caller's transaction.
pub(super) fn keep(
    sql: &dyn Sql,
    endpoint: &str,
    conversation: &str,
    json: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sql.exec(
        "INSERT INTO conversations (endpoint, conversation, known_json, updated_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (endpoint, conversation) DO UPDATE SET
             known_json = excluded.known_json, updated_at = excluded.updated_at",
        args![endpoint, conversation, json, now],
    )?;
    Ok(())
}
