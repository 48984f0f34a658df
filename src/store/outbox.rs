//! Out of the outbox: leases, attempts and what became of them.
//!
//! A lease is taken, never the row: a crash after sending and before recording costs one
//! duplicate with the same id and the same bytes. Within (endpoint, partition, lane) a row that
//! is not urgent waits for every earlier open one; urgent rows and manual re-sends never wait.
//! Each lease starts a numbered attempt, and only the newest attempt can finish.

use judge::time::Timestamp;

use super::queue::{self, ROW_COLUMNS, outbox_row};
use super::sql::{Row, Sql, args, bad};
use super::{
    Attempt, DeliveryState, Finished, OutboxItem, Outcome, Room, Rooms, Store, StoreError,
    StoreOptions, commit, conversations, endpoints,
};

/// Bytes of an answer that are kept with an attempt.
const DETAIL_BYTES: usize = 2048;

/// `manual`: a person asked for one attempt.
pub(super) const ONE_ATTEMPT: i64 = 1;
/// `manual`: a person asked for an attempt, and for the ladder after it.
pub(super) const WITH_LADDER: i64 = 2;

/// Condition on row `o`: nothing of its own queue stands before it. What waits for the end of
/// quiet hours longer than `o` does is not in its way.
const UNBLOCKED: &str = "(o.urgent = 1 OR o.manual > 0 OR NOT EXISTS (
    SELECT 1 FROM outbox b WHERE b.closed_at IS NULL AND b.manual = 0
        AND b.endpoint = o.endpoint AND b.partition_key = o.partition_key AND b.lane = o.lane
        AND (b.attempts > 0 OR b.not_before <= b.created_at OR b.not_before <= o.not_before)
        AND (b.sequence < o.sequence
            OR (b.sequence = o.sequence AND b.position < o.position))))";

impl Store {
    /// Leases rows that are due, urgent ones first, as many of each endpoint as there is room;
    /// messages that are past their time go dead (`expired`) instead. An expired lease is taken
    /// over with the same id.
    pub async fn lease_outbox(
        &self,
        wall_now: Timestamp,
        holder: &str,
        lease_until: Timestamp,
        rooms: impl Into<Rooms>,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        let lease = Lease { now: wall_now, holder: holder.to_owned(), until: lease_until };
        let rooms = rooms.into();
        self.write(move |sql| lease.take(sql, &rooms)).await
    }

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

    /// The earliest instant (wall time) at which a row can be leased, by endpoint: for sleeping.
    pub async fn earliest_by_endpoint(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                &format!(
                    "SELECT o.endpoint, MIN(COALESCE(o.lease_until, o.next_at)) AS at
                     FROM outbox o WHERE o.closed_at IS NULL AND {UNBLOCKED} GROUP BY o.endpoint"
                ),
                args![],
            )?;
            rows.iter().map(|row| Ok((row.text("endpoint")?, row.time("at")?))).collect()
        })
        .await
    }

    /// The earliest instant (wall time) at which any row can be leased.
    pub async fn earliest_outbox(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.earliest_by_endpoint().await?.into_iter().map(|(_, at)| at).min())
    }
}

/// Who leases from when until when.
struct Lease {
    now: Timestamp,
    holder: String,
    until: Timestamp,
}

impl Lease {
    fn take(&self, sql: &dyn Sql, rooms: &Rooms) -> Result<Vec<OutboxItem>, StoreError> {
        self.expire(sql)?;
        let mut leased = Vec::new();
        let mut endpoint = String::new();
        // From endpoint to endpoint, so that a long queue of one costs the others nothing.
        while let Some(next) = next_endpoint(sql, &endpoint)? {
            let room = rooms.of(&next);
            if room.rows > 0 {
                self.take_of(sql, &next, room, &mut leased)?;
            }
            endpoint = next;
        }
        leased.sort_by_key(|(calm, position, _)| (*calm, *position));
        Ok(leased.into_iter().map(|(_, _, item)| item).collect())
    }

    fn expire(&self, sql: &dyn Sql) -> Result<(), StoreError> {
        sql.exec(
            "UPDATE outbox SET state = 'dead', note = 'expired', closed_at = ?1,
                 holder = NULL, lease_until = NULL
             WHERE closed_at IS NULL AND lane = 'message' AND manual = 0 AND expires_at <= ?1
                 AND (lease_until IS NULL OR lease_until <= ?1)",
            args![self.now],
        )
        .map(drop)
    }

    fn take_of(
        &self,
        sql: &dyn Sql,
        endpoint: &str,
        room: Room,
        leased: &mut Vec<(bool, i64, OutboxItem)>,
    ) -> Result<(), StoreError> {
        let rows = sql.query(
            &format!(
                "UPDATE outbox SET holder = ?2, lease_until = ?3, attempts = attempts + 1,
                     first_attempt_at = COALESCE(first_attempt_at, ?1)
                 WHERE id IN (
                     SELECT o.id FROM outbox o
                     WHERE o.closed_at IS NULL AND o.endpoint = ?5 AND o.next_at <= ?1
                         AND (o.lease_until IS NULL OR o.lease_until <= ?1) AND o.urgent >= ?6
                         AND {UNBLOCKED}
                     ORDER BY o.urgent DESC, o.position LIMIT ?4)
                 RETURNING {ROW_COLUMNS}, position, attempts, state, collapsed, manual, rung,
                     first_attempt_at"
            ),
            args![self.now, &self.holder, self.until, room.rows, endpoint, room.only_urgent],
        )?;
        for row in &rows {
            let (item, manual) = item(row)?;
            sql.exec(
                "INSERT INTO attempts (outbox_id, attempt, holder, started_at, manual)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                args![&item.row.id, item.attempt, &self.holder, self.now, item.is_asked_for],
            )?;
            if manual == WITH_LADDER {
                // Only the first attempt is the person's; the ladder's are its own.
                sql.exec("UPDATE outbox SET manual = 0 WHERE id = ?1", args![&item.row.id])?;
            }
            leased.push((!item.row.urgent, row.int("position")?, item));
        }
        Ok(())
    }
}

/// The endpoint after that one, in order of name, which has open rows.
fn next_endpoint(sql: &dyn Sql, after: &str) -> Result<Option<String>, StoreError> {
    let row = sql.first(
        "SELECT MIN(endpoint) AS endpoint FROM outbox WHERE closed_at IS NULL AND endpoint > ?1",
        args![after],
    )?;
    row.map_or(Ok(None), |row| row.opt_text("endpoint"))
}

fn item(row: &Row) -> Result<(OutboxItem, i64), StoreError> {
    let manual = row.int("manual")?;
    let item = OutboxItem {
        row: outbox_row(row)?,
        attempt: row.small("attempts")?,
        state: delivery_state(row)?,
        collapsed: row.count("collapsed")?,
        manual: manual == ONE_ATTEMPT,
        is_asked_for: manual != 0,
        rung: row.small("rung")?,
        first_attempt_at: row.time("first_attempt_at")?,
    };
    Ok((item, manual))
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
    let held = sql.first(
        "SELECT state, partition_key, next_at, endpoint, conversation FROM outbox
         WHERE id = ?1 AND holder = ?2 AND attempts = ?3 AND closed_at IS NULL",
        args![&attempt.id, &attempt.holder, attempt.attempt],
    )?;
    let Some(held) = held else {
        return Ok(Finished::LeaseLost);
    };
    let (state, next_at) = after(attempt.outcome, delivery_state(&held)?, held.time("next_at")?);
    let closed_at = state.is_closed().then_some(attempt.finished_at);
    let confirmed_at = (state == DeliveryState::Confirmed).then_some(attempt.finished_at);
    sql.exec(
        "UPDATE outbox SET state = ?2, next_at = ?3, closed_at = ?4, confirmed_at = ?5,
             holder = NULL, lease_until = NULL, rung = rung + ?6 WHERE id = ?1",
        args![
            &attempt.id,
            state.as_str(),
            next_at,
            closed_at,
            confirmed_at,
            i64::from(attempt.uses_rung),
        ],
    )?;
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
        endpoints::put(sql, row)?;
    }
    queue::enqueue(sql, &attempt.extra_outbox, options)?;
    Ok(Finished::Recorded)
}

/// State and next instant after an outcome.
fn after(outcome: Outcome, state: DeliveryState, next_at: Timestamp) -> (DeliveryState, Timestamp) {
    match outcome {
        Outcome::Delivered => (DeliveryState::Delivered, next_at),
        Outcome::Dead => (DeliveryState::Dead, next_at),
        Outcome::Confirmed => (DeliveryState::Confirmed, next_at),
        // A failed look at an action does not undo how far it got.
        Outcome::Retry { next_at } => (state, next_at),
        Outcome::Requested { next_at } => (DeliveryState::Requested, next_at),
        Outcome::Accepted { next_at } => (DeliveryState::Accepted, next_at),
        Outcome::Unconfirmed { next_at } => (DeliveryState::Unconfirmed, next_at),
    }
}

/// At most [`DETAIL_BYTES`], cut between characters.
fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(DETAIL_BYTES)]
}
