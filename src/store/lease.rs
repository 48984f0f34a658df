//! Who is next: leases of outbox rows.
//!
//! A lease is taken, never the row: a crash after sending and before recording costs one
//! duplicate with the same id and the same bytes. A *queue* is (endpoint, partition, lane). In it a
//! row that is not urgent waits for every earlier open one. An urgent one waits for earlier urgent
//! ones that are being sent or were never tried, and for what is being sent about the same thing: a
//! trip is told before its verdict, and no all-clear that is on its way arrives after the next
//! trip. One that is retried is in nobody's way. Manual re-sends never wait.
//!
//! A lease must cost the same however long the queues are. The first open rows of an endpoint are
//! looked at one by one; beyond them only the heads of its queues can be free, and those are found
//! by jumping from queue to queue.

use judge::time::Timestamp;

use super::outbox::{ONE_ATTEMPT, WITH_LADDER, delivery_state};
use super::queue::{ROW_COLUMNS, outbox_row};
use super::sql::{Row, Sql, Val, args};
use super::{OutboxItem, Room, Rooms, Store, StoreError};

/// Condition on row `o`: nothing of its own queue stands before it. What waits for the end of
/// quiet hours longer than `o` does is not in its way.
const UNBLOCKED: &str = "(o.manual > 0 OR NOT EXISTS (
    SELECT 1 FROM outbox b WHERE b.closed_at IS NULL AND b.manual = 0
        AND b.endpoint = o.endpoint AND b.partition_key = o.partition_key AND b.lane = o.lane
        AND (b.attempts > 0 OR b.not_before <= b.created_at OR b.not_before <= o.not_before)
        AND (b.sequence < o.sequence
            OR (b.sequence = o.sequence AND b.position < o.position))
        AND (o.urgent = 0
            OR (b.urgent = 1 AND (b.attempts = 0 OR b.holder IS NOT NULL))
            OR (b.holder IS NOT NULL AND b.topic = o.topic))))";

/// Ids of the messages of endpoint ?1 that stand before everything else of their queue that does
/// not wait for the end of quiet hours. (Actions are urgent and wait for nothing.)
const HEADS: &str = "WITH RECURSIVE
    partitions (name) AS (
        SELECT MIN(p.partition_key) FROM outbox p WHERE p.closed_at IS NULL AND p.endpoint = ?1
        UNION ALL
        SELECT (SELECT MIN(p.partition_key) FROM outbox p WHERE p.closed_at IS NULL
                AND p.endpoint = ?1 AND p.partition_key > partitions.name)
        FROM partitions WHERE partitions.name IS NOT NULL),
    heads (id) AS (
        SELECT (SELECT h.id FROM outbox h WHERE h.closed_at IS NULL AND h.endpoint = ?1
                AND h.partition_key = partitions.name AND h.lane = 'message' AND h.manual = 0
                AND (h.attempts > 0 OR h.not_before <= h.created_at)
                ORDER BY h.sequence, h.position LIMIT 1)
        FROM partitions WHERE partitions.name IS NOT NULL)";

/// Rows of endpoint ?1 that need not be the first of their queue.
const URGENT: &str = "o.closed_at IS NULL AND o.endpoint = ?1 AND o.urgent = 1";
const MANUAL: &str = "o.closed_at IS NULL AND o.endpoint = ?1 AND o.manual > 0";
const DEFERRED: &str = "o.closed_at IS NULL AND o.endpoint = ?1 AND o.attempts = 0 \
    AND o.not_before > o.created_at";
/// The heads of its queues.
const FAR: &str = "o.id IN (SELECT heads.id FROM heads) AND o.closed_at IS NULL";
/// Everything that is not urgent, and the first of it.
const CALM: &str = "o.closed_at IS NULL AND o.endpoint = ?1 AND o.urgent = 0";
const NEAR: &str = "o.closed_at IS NULL AND o.endpoint = ?1 AND o.urgent = 0 AND o.position <= ?6";

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

    /// The earliest instant (wall time) at which a row can be leased, by endpoint: for sleeping.
    pub async fn earliest_by_endpoint(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(|sql| {
            let mut found = Vec::new();
            let mut endpoint = String::new();
            while let Some(next) = next_endpoint(sql, &endpoint)? {
                found.extend(earliest_of(sql, &next)?.map(|at| (next.clone(), at)));
                endpoint = next;
            }
            Ok(found)
        })
        .await
    }

    /// The earliest instant (wall time) at which any row can be leased.
    pub async fn earliest_outbox(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.earliest_by_endpoint().await?.into_iter().map(|(_, at)| at).min())
    }
}

fn earliest_of(sql: &dyn Sql, endpoint: &str) -> Result<Option<Timestamp>, StoreError> {
    const FREE_AT: &str = "SELECT COALESCE(o.lease_until, o.next_at) AS at FROM outbox o";
    let row = sql.first(
        &format!(
            "{HEADS} SELECT MIN(at) AS at FROM (
                 {FREE_AT} JOIN heads ON heads.id = o.id WHERE {UNBLOCKED}
                 UNION ALL {FREE_AT} WHERE {URGENT} AND {UNBLOCKED}
                 UNION ALL {FREE_AT} WHERE {MANUAL}
                 UNION ALL {FREE_AT} WHERE {DEFERRED} AND {UNBLOCKED}) free"
        ),
        args![endpoint],
    )?;
    row.map_or(Ok(None), |row| row.opt_time("at"))
}

/// Who leases from when until when.
struct Lease {
    now: Timestamp,
    holder: String,
    until: Timestamp,
}

/// What was leased, with what it is put in order by.
type Leased = Vec<(bool, i64, OutboxItem)>;

impl Lease {
    fn take(&self, sql: &dyn Sql, rooms: &Rooms) -> Result<Vec<OutboxItem>, StoreError> {
        self.expire(sql)?;
        let mut leased = Vec::new();
        let mut endpoint = String::new();
        // From endpoint to endpoint, so that a long queue of one costs the others nothing.
        while let Some(next) = next_endpoint(sql, &endpoint)? {
            let room = rooms.of(&next);
            if room.rows > 0 {
                self.take_of(sql, &next, room, rooms.others, &mut leased)?;
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

    /// `most` is what an endpoint has in flight at most: so many rows at the front of its queues
    /// are leased already, and stay open while they are.
    fn take_of(
        &self,
        sql: &dyn Sql,
        endpoint: &str,
        room: Room,
        most: usize,
        leased: &mut Leased,
    ) -> Result<(), StoreError> {
        let until = leased.len() + room.rows;
        let left = |leased: &Leased| until - leased.len();
        self.take_where(sql, endpoint, URGENT, left(leased), None, leased)?;
        if room.only_urgent || left(leased) == 0 {
            return Ok(());
        }
        self.take_where(sql, endpoint, MANUAL, left(leased), None, leased)?;
        let cut = sql.first(
            "SELECT o.position FROM outbox o WHERE o.closed_at IS NULL AND o.endpoint = ?1
                 AND o.urgent = 0 ORDER BY o.position LIMIT 1 OFFSET ?2",
            args![endpoint, most.saturating_add(room.rows)],
        )?;
        let Some(cut) = cut else {
            return self.take_where(sql, endpoint, CALM, left(leased), None, leased);
        };
        let cut = Some(cut.int("position")?);
        if left(leased) > 0 {
            self.take_where(sql, endpoint, NEAR, left(leased), cut, leased)?;
        }
        for beyond in [DEFERRED, FAR] {
            if left(leased) > 0 {
                self.take_where(sql, endpoint, beyond, left(leased), None, leased)?;
            }
        }
        Ok(())
    }

    /// Leases the first rows of an endpoint that meet the condition and are free and due.
    fn take_where(
        &self,
        sql: &dyn Sql,
        endpoint: &str,
        condition: &str,
        most: usize,
        cut: Option<i64>,
        leased: &mut Leased,
    ) -> Result<(), StoreError> {
        let heads = if condition == FAR { HEADS } else { "" };
        // The few that have an index of their own are sorted; otherwise an engine would rather walk
        // through all rows in the order of sending.
        let order = match condition {
            MANUAL | DEFERRED | FAR => "+o.urgent DESC, +o.position",
            _ => "o.urgent DESC, o.position",
        };
        let mut values = args![endpoint, &self.holder, self.until, self.now, most].to_vec();
        values.extend(cut.map(Val::from));
        let rows = sql.query(
            &format!(
                "{heads} UPDATE outbox SET holder = ?2, lease_until = ?3, attempts = attempts + 1,
                     first_attempt_at = COALESCE(first_attempt_at, ?4)
                 WHERE id IN (
                     SELECT o.id FROM outbox o WHERE {condition} AND o.next_at <= ?4
                         AND (o.lease_until IS NULL OR o.lease_until <= ?4) AND {UNBLOCKED}
                     ORDER BY {order} LIMIT ?5)
                 RETURNING {ROW_COLUMNS}, position, attempts, state, collapsed, manual, rung,
                     first_attempt_at"
            ),
            &values,
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
