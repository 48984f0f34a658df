//! Into the outbox: idempotent enqueue, verdicts that take the place of older ones, and bounds.
//!
//! Nothing is dropped silently: what is pushed out stays, dead or superseded, with its reason.
//! Urgent rows and actions are never pushed out.

use std::collections::BTreeMap;

use judge::time::Timestamp;

use super::loads::Load;
use super::sql::{Row, Sql, args, bad, next_count};
use super::{DeliveryState, Lane, OutboxRow, Store, StoreError, StoreOptions, Told, Withheld};
use crate::failpoint::{self, Point};

/// Columns of a row as it was enqueued. No content: it is the body.
pub(super) const ROW_COLUMNS: &str = "id, endpoint, partition_key, sequence, kind, urgent, lane, \
    notice_id, created_at, not_before, expires_at, final_state, conversation, \
    reason, topic, severity, lasting, withheld_by, withheld_as, \
    (SELECT texts.text FROM texts WHERE texts.id = body_text) AS body, \
    CASE WHEN content_text <> body_text THEN \
        (SELECT texts.text FROM texts WHERE texts.id = content_text) END AS content";

impl Store {
    /// Enqueues what belongs to no evaluation (source and file notices, test sends). The same id
    /// a second time changes nothing.
    pub async fn enqueue(&self, rows: Vec<OutboxRow>) -> Result<(), StoreError> {
        let options = self.options;
        self.write(move |sql| enqueue(sql, &rows, &options)).await?;
        failpoint::reached(Point::Inserted);
        Ok(())
    }
}

/// Puts rows into the outbox, within the caller's transaction.
pub(super) fn enqueue(
    sql: &dyn Sql,
    rows: &[OutboxRow],
    options: &StoreOptions,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    failpoint::reached(Point::BeforeInsert);
    let mut grown: BTreeMap<_, Grown> = BTreeMap::new();
    let mut before = None;
    for row in rows {
        let Some(content_text) = insert(sql, row, before)? else { continue };
        before = Some((row, content_text));
        if row.told.withheld.is_none() {
            supersede(sql, row)?;
            let grown = grown.entry(row.endpoint.as_str()).or_default();
            grown.now = Some(row.created_at);
            grown.load.rows += 1;
            grown.load.bytes += bytes(row);
        }
    }
    for (endpoint, grown) in grown {
        let Some(now) = grown.now else { continue };
        bound(sql, endpoint, grown.load, now, options)?;
    }
    Ok(())
}

/// What one call added to an endpoint's queue.
#[derive(Default)]
struct Grown {
    load: Load,
    now: Option<Timestamp>,
}

/// What a row counts against the bound of bytes.
fn bytes(row: &OutboxRow) -> u64 {
    (row.body.len() + row.content.len()) as u64
}

/// Inserts a row with its texts unless its id is known; the id of its content's text.
///
/// `before` is the row inserted just before it: rows of one notice share their content.
fn insert(
    sql: &dyn Sql,
    row: &OutboxRow,
    before: Option<(&OutboxRow, i64)>,
) -> Result<Option<i64>, StoreError> {
    let position = next_count(sql, "outbox")?;
    let shared = before
        .filter(|(before, _)| before.notice_id == row.notice_id && before.content == row.content);
    let content_text = shared.map_or(position * 2, |(_, content_text)| content_text);
    let body_text = if row.body == row.content { content_text } else { position * 2 + 1 };
    let touched = sql.exec(
        "INSERT INTO outbox (id, endpoint, partition_key, sequence, position, kind, urgent, lane,
             notice_id, body_text, content_text, bytes, created_at, not_before, expires_at,
             final_state, state, next_at, attempts, manual, collapsed, conversation, reason, topic,
             severity, lasting, withheld_as, withheld_by, closed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
             COALESCE(?22, 'pending'), ?14, 0, 0, 0, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
             CASE WHEN ?22 IS NULL THEN NULL ELSE ?13 END)
         ON CONFLICT (id) DO NOTHING",
        args![
            &row.id,
            &row.endpoint,
            &row.partition,
            row.sequence,
            position,
            &row.kind,
            // Nothing that turns something off waits for a message.
            row.urgent || row.lane == Lane::Action,
            lane_name(row.lane),
            &row.notice_id,
            body_text,
            content_text,
            bytes(row),
            row.created_at,
            row.not_before,
            row.expires_at,
            row.final_state,
            row.conversation.as_deref(),
            &row.told.reason,
            &row.told.topic,
            &row.told.severity,
            row.told.lasting,
            row.told.withheld.as_ref().map(|withheld| withheld.state().as_str()),
            row.told.withheld.as_ref().and_then(Withheld::by),
        ],
    )?;
    if touched == 0 {
        return Ok(None);
    }
    if shared.is_none() {
        keep_text(sql, content_text, &row.content)?;
    }
    if body_text != content_text {
        keep_text(sql, body_text, &row.body)?;
    }
    if !row.endpoint.is_empty() {
        sql.exec(
            "INSERT INTO addressees (endpoint) VALUES (?1) ON CONFLICT (endpoint) DO NOTHING",
            args![&row.endpoint],
        )?;
    }
    Ok(Some(content_text))
}

fn keep_text(sql: &dyn Sql, id: i64, text: &str) -> Result<(), StoreError> {
    sql.exec("INSERT INTO texts (id, text) VALUES (?1, ?2)", args![id, text]).map(drop)
}

/// What a guardrail says when it trips, and when it is inside its limit again.
const TRIP: &str = "guardrail.tripped";
const ALL_CLEAR: &str = "guardrail.recovered";

/// Verdicts say where an experiment stands, so a newer one makes an unsent older one moot.
/// A revision names the verdict it corrects; the receiver needs both.
fn replaces_older(row: &OutboxRow) -> bool {
    row.lane == Lane::Message
        && row.kind.starts_with("experiment.verdict.")
        && row.kind != "experiment.verdict.revised"
}

/// Unsent, not final, not urgent verdicts of the partition give way to a newer one.
fn supersede(sql: &dyn Sql, row: &OutboxRow) -> Result<(), StoreError> {
    let collapsed = if replaces_older(row) {
        older_verdicts(sql, row)?
    } else if row.kind == TRIP {
        older_all_clears(sql, row)?
    } else {
        0
    };
    if collapsed > 0 {
        sql.exec("UPDATE outbox SET collapsed = ?2 WHERE id = ?1", args![&row.id, collapsed])?;
    }
    Ok(())
}

/// A trip jumps the queue: an all-clear of the same guardrail that was not taken yet would arrive
/// after it, and be the last word. One that is on its way ends with its attempt (`outdated`).
fn older_all_clears(sql: &dyn Sql, row: &OutboxRow) -> Result<u64, StoreError> {
    sql.exec(
        "UPDATE outbox SET state = 'superseded', superseded_by = ?1, closed_at = ?5
         WHERE endpoint = ?2 AND partition_key = ?3 AND lane = 'message' AND sequence < ?4
             AND closed_at IS NULL AND holder IS NULL AND manual = 0
             AND kind = ?6 AND topic = ?7",
        args![
            &row.id,
            &row.endpoint,
            &row.partition,
            row.sequence,
            row.created_at,
            ALL_CLEAR,
            &row.told.topic,
        ],
    )
}

/// An all-clear whose attempt failed, and whose guardrail tripped again meanwhile, is not tried
/// again: the id of the trip, if so.
pub(super) fn outdated(sql: &dyn Sql, id: &str) -> Result<Option<String>, StoreError> {
    let trip = sql.first(
        "SELECT t.id AS id FROM outbox o JOIN outbox t ON t.endpoint = o.endpoint
             AND t.partition_key = o.partition_key AND t.topic = o.topic AND t.kind = ?2
             AND t.sequence > o.sequence
         WHERE o.id = ?1 AND o.kind = ?3 AND o.manual = 0 ORDER BY t.position DESC LIMIT 1",
        args![id, TRIP, ALL_CLEAR],
    )?;
    trip.map(|row| row.text("id")).transpose()
}

fn older_verdicts(sql: &dyn Sql, row: &OutboxRow) -> Result<u64, StoreError> {
    let older = sql.query(
        "UPDATE outbox SET state = 'superseded', superseded_by = ?1, closed_at = ?5
         WHERE endpoint = ?2 AND partition_key = ?3 AND lane = 'message' AND sequence < ?4
             AND closed_at IS NULL AND attempts = 0 AND final_state = 0 AND urgent = 0
             AND kind LIKE 'experiment.verdict.%' AND kind <> 'experiment.verdict.revised'
         RETURNING collapsed",
        args![&row.id, &row.endpoint, &row.partition, row.sequence, row.created_at],
    )?;
    let mut collapsed = 0;
    for row in &older {
        collapsed += 1 + row.count("collapsed")?;
    }
    Ok(collapsed)
}

/// What waits for another attempt at an endpoint is due now: it is well again, or a person says so.
/// What waits for the end of quiet hours, or was never tried, keeps its time.
pub(super) fn try_again_now(
    sql: &dyn Sql,
    endpoint: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sql.exec(
        "UPDATE outbox SET next_at = ?2 WHERE endpoint = ?1 AND closed_at IS NULL
             AND lane = 'message' AND attempts > 0 AND next_at > ?2",
        args![endpoint, now],
    )
    .map(drop)
}

/// Keeps the open messages of an endpoint within rows and bytes; the oldest go first.
///
/// They are counted only when what is known of the last count and of what came since does not
/// rule a full queue out: what left since only makes room.
fn bound(
    sql: &dyn Sql,
    endpoint: &str,
    grown: Load,
    now: Timestamp,
    options: &StoreOptions,
) -> Result<(), StoreError> {
    let most = sql.loads().grown(sql, endpoint, grown)?;
    if most.is_some_and(|most| most.fits(options)) {
        return Ok(());
    }
    let open = sql.first(
        "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM outbox
         WHERE endpoint = ?1 AND closed_at IS NULL AND lane = 'message'",
        args![endpoint],
    )?;
    let open = open.ok_or_else(|| bad("outbox", "a count without a row"))?;
    let mut load = Load { rows: open.count("n")?, bytes: open.count("bytes")? };
    while !load.fits(options) {
        let gone = sql.first(
            "UPDATE outbox SET state = 'dead', note = 'queue_full', closed_at = ?2
             WHERE id = (SELECT id FROM outbox WHERE endpoint = ?1 AND closed_at IS NULL
                 AND lane = 'message' AND urgent = 0 AND lease_until IS NULL
                 ORDER BY position LIMIT 1)
             RETURNING bytes",
            args![endpoint, now],
        )?;
        let Some(gone) = gone else { break };
        load.rows -= 1;
        load.bytes = load.bytes.saturating_sub(gone.count("bytes")?);
    }
    sql.loads().counted(endpoint, load);
    Ok(())
}

/// Ends the open actions of an experiment. Whoever is at one of them is fenced off: its answer
/// finds the row closed.
pub(super) fn cancel_actions(
    sql: &dyn Sql,
    experiment: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sql.exec(
        "UPDATE outbox SET state = 'dead', note = ?2, closed_at = ?3, holder = NULL,
             lease_until = NULL
         WHERE partition_key = ?1 AND lane = 'action' AND closed_at IS NULL",
        args![experiment, why, at],
    )
    .map(drop)
}

/// The word for a lane in the store.
pub(super) fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Message => "message",
        Lane::Action => "action",
    }
}

/// A row as it was enqueued.
pub(super) fn outbox_row(row: &Row) -> Result<OutboxRow, StoreError> {
    let lane = match row.text("lane")?.as_str() {
        "message" => Lane::Message,
        "action" => Lane::Action,
        _ => return Err(bad("outbox.lane", "no such lane")),
    };
    Ok(OutboxRow {
        id: row.text("id")?,
        endpoint: row.text("endpoint")?,
        partition: row.text("partition_key")?,
        kind: row.text("kind")?,
        urgent: row.flag("urgent")?,
        lane,
        notice_id: row.text("notice_id")?,
        content: match row.opt_text("content")? {
            Some(content) => content,
            None => row.text("body")?,
        },
        body: row.text("body")?,
        created_at: row.time("created_at")?,
        not_before: row.time("not_before")?,
        expires_at: row.time("expires_at")?,
        final_state: row.flag("final_state")?,
        sequence: row.int("sequence")?,
        conversation: row.opt_text("conversation")?,
        told: told(row)?,
    })
}

/// What the policy said; rows of before it existed say nothing.
fn told(row: &Row) -> Result<Told, StoreError> {
    let by = row.opt_text("withheld_by")?;
    let state = row.opt_text("withheld_as")?;
    let withheld = match state.as_deref().and_then(DeliveryState::parse) {
        Some(DeliveryState::Silenced) => by.map(Withheld::Silence),
        Some(DeliveryState::Digest) => by.map(Withheld::Digest),
        Some(DeliveryState::NotRouted) => Some(Withheld::NoReceiver),
        _ => None,
    };
    Ok(Told {
        reason: row.text("reason")?,
        topic: row.text("topic")?,
        severity: row.text("severity")?,
        lasting: row.flag("lasting")?,
        withheld,
    })
}
