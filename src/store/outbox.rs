//! Out of the outbox: how attempts end, and what follows from them.
//!
//! Each lease (`lease`) starts a numbered attempt, and only the newest attempt can finish. Whoever
//! gives a row back unattempted leaves no trace of the attempt.

use judge::time::Timestamp;

use super::sql::{Row, Sql, args, bad};
use super::{
    Attempt, DeliveryState, EndpointState, Finished, Outcome, Store, StoreError, StoreOptions,
    commit, conversations, endpoints, queue,
};

/// Bytes of an answer that are kept with an attempt.
const DETAIL_BYTES: usize = 2048;

/// `manual`: a person asked for one attempt.
pub(super) const ONE_ATTEMPT: i64 = 1;
/// `manual`: a person asked for an attempt, and for the ladder after it.
pub(super) const WITH_LADDER: i64 = 2;

impl Store {
    /// Records a finished attempt with everything that follows from it, if the lease still holds.
    pub async fn finish_attempt(&self, attempt: Attempt) -> Result<Finished, StoreError> {
        let options = self.options;
        self.write(move |sql| finish(sql, &attempt, &options)).await
    }

    /// Gives back leased rows unattempted: no attempt is counted, none is shown.
    pub async fn release_rows(
        &self,
        holder: &str,
        rows: Vec<(String, u32)>,
    ) -> Result<(), StoreError> {
        let holder = holder.to_owned();
        self.write(move |sql| {
            for (id, attempt) in &rows {
                let touched = sql.exec(
                    "UPDATE outbox SET holder = NULL, lease_until = NULL
                     WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND closed_at IS NULL",
                    args![id, &holder, *attempt],
                )?;
                if touched > 0 {
                    sql.exec(
                        "DELETE FROM attempts WHERE outbox_id = ?1 AND attempt = ?2",
                        args![id, *attempt],
                    )?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Reads the state column.
pub(super) fn delivery_state(row: &Row) -> Result<DeliveryState, StoreError> {
    DeliveryState::parse(&row.text("state")?).ok_or_else(|| bad("outbox.state", "no such state"))
}

fn finish(
    sql: &dyn Sql,
    attempt: &Attempt,
    options: &StoreOptions,
) -> Result<Finished, StoreError> {
    let (state, next_at) = after(attempt.outcome);
    let is_closed = state.is_some_and(DeliveryState::is_closed);
    let closed_at = is_closed.then_some(attempt.finished_at);
    let confirmed_at = (state == Some(DeliveryState::Confirmed)).then_some(attempt.finished_at);
    let held = sql.first(
        "UPDATE outbox SET state = COALESCE(CAST(?4 AS TEXT), state),
             next_at = COALESCE(CAST(?5 AS BIGINT), next_at), closed_at = ?6,
             confirmed_at = COALESCE(confirmed_at, ?7),
             holder = NULL, lease_until = NULL, rung = rung + ?8
         WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND closed_at IS NULL
         RETURNING partition_key, endpoint, conversation",
        args![
            &attempt.id,
            &attempt.holder,
            attempt.attempt,
            state.map(DeliveryState::as_str),
            next_at,
            closed_at,
            confirmed_at,
            i64::from(attempt.uses_rung),
        ],
    )?;
    let Some(held) = held else {
        return Ok(Finished::LeaseLost);
    };
    sql.exec(
        "UPDATE attempts SET started_at = ?3, finished_at = ?4, status = ?5, class = ?6,
             detail = ?7 WHERE outbox_id = ?1 AND attempt = ?2",
        args![
            &attempt.id,
            attempt.attempt,
            attempt.started_at,
            attempt.finished_at,
            attempt.status.map(u32::from),
            &attempt.class,
            cut(&attempt.detail),
        ],
    )?;
    let partition = held.text("partition_key")?;
    for entry in &attempt.log {
        commit::append_log(sql, &partition, entry)?;
    }
    if let (Some(json), Some(key)) = (&attempt.learnt, held.opt_text("conversation")?) {
        conversations::keep(sql, &held.text("endpoint")?, &key, json, attempt.finished_at)?;
    }
    if let Some(row) = &attempt.endpoint {
        let is_well_again = row.state == EndpointState::Ok && endpoints::is_unwell(sql, row)?;
        endpoints::put(sql, row)?;
        if is_well_again {
            queue::try_again_now(sql, &row.endpoint, attempt.finished_at)?;
        }
    }
    if matches!(attempt.outcome, Outcome::Retry { .. })
        && let Some(trip) = queue::outdated(sql, &attempt.id)?
    {
        sql.exec(
            "UPDATE outbox SET state = 'superseded', superseded_by = ?2, closed_at = ?3
             WHERE id = ?1",
            args![&attempt.id, &trip, attempt.finished_at],
        )?;
    }
    queue::enqueue(sql, &attempt.extra_outbox, options)?;
    Ok(Finished::Recorded)
}

/// State and next instant after an outcome; `None` where it stays as it is.
fn after(outcome: Outcome) -> (Option<DeliveryState>, Option<Timestamp>) {
    match outcome {
        Outcome::Delivered => (Some(DeliveryState::Delivered), None),
        Outcome::Dead => (Some(DeliveryState::Dead), None),
        Outcome::Confirmed => (Some(DeliveryState::Confirmed), None),
        // A failed look at an action does not undo how far it got.
        Outcome::Retry { next_at } => (None, Some(next_at)),
        Outcome::Requested { next_at } => (Some(DeliveryState::Requested), Some(next_at)),
        Outcome::Accepted { next_at } => (Some(DeliveryState::Accepted), Some(next_at)),
        Outcome::Unconfirmed { next_at } => (Some(DeliveryState::Unconfirmed), Some(next_at)),
    }
}

/// At most [`DETAIL_BYTES`], cut between characters.
fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(DETAIL_BYTES)]
}
