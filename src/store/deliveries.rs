//! What became of messages and actions: for pages, metrics and people who ask.

use super::outbox::delivery_state;
use super::queue::{ROW_COLUMNS, outbox_row};
use super::sql::{Row, Sql, args, bad};
use super::{
    ActionState, ActionView, AttemptRow, Delivery, DeliveryFilter, DeliveryState, OutboxStat,
    Store, StoreError,
};

impl Store {
    /// Open and dead rows of every endpoint that ever had one.
    pub async fn outbox_stats(&self) -> Result<Vec<OutboxStat>, StoreError> {
        self.read(|sql| {
            let rows = sql.query(
                // Each part is answered by an index of open or of dead rows alone: what was
                // delivered in a year is not read. The oldest rows are the first of each urgency;
                // those that wait for the end of quiet hours are on time until then.
                "SELECT a.endpoint,
                     (SELECT COUNT(*) FROM outbox o
                      WHERE o.endpoint = a.endpoint AND o.closed_at IS NULL) AS pending,
                     (SELECT o.created_at FROM outbox o WHERE o.endpoint = a.endpoint
                          AND o.closed_at IS NULL AND o.urgent = 0
                          AND o.not_before <= o.created_at
                      ORDER BY o.position LIMIT 1) AS calm_at,
                     (SELECT o.created_at FROM outbox o WHERE o.endpoint = a.endpoint
                          AND o.closed_at IS NULL AND o.urgent = 1
                          AND o.not_before <= o.created_at
                      ORDER BY o.position LIMIT 1) AS urgent_at,
                     (SELECT MIN(o.not_before) FROM outbox o WHERE o.endpoint = a.endpoint
                          AND o.closed_at IS NULL AND o.not_before > o.created_at) AS deferred_at,
                     (SELECT COUNT(*) FROM outbox o
                      WHERE o.endpoint = a.endpoint AND o.state = 'dead') AS dead
                 FROM addressees a ORDER BY a.endpoint",
                args![],
            )?;
            rows.iter()
                .map(|row| {
                    let at = |name| row.opt_time(name);
                    let oldest = [at("calm_at")?, at("urgent_at")?, at("deferred_at")?];
                    Ok(OutboxStat {
                        endpoint: row.text("endpoint")?,
                        pending: row.count("pending")?,
                        oldest_at: oldest.into_iter().flatten().min(),
                        dead: row.count("dead")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Deliveries with their attempts, newest first.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {ROW_COLUMNS}, position, state, next_at, closed_at, note, superseded_by,
                         collapsed, holder
                     FROM outbox
                     WHERE (CAST(?1 AS TEXT) IS NULL OR id = ?1)
                         AND (CAST(?2 AS TEXT) IS NULL OR endpoint = ?2)
                         AND (CAST(?3 AS TEXT) IS NULL OR partition_key = ?3)
                         AND (CAST(?4 AS TEXT) IS NULL OR state = ?4)
                         AND (CAST(?5 AS BIGINT) IS NULL OR created_at >= ?5)
                         AND (CAST(?7 AS TEXT) IS NULL OR kind = ?7)
                         AND (CAST(?8 AS BIGINT) IS NULL OR position < ?8)
                     ORDER BY position DESC LIMIT ?6"
                ),
                args![
                    filter.id.as_ref(),
                    filter.endpoint.as_ref(),
                    filter.partition.as_ref(),
                    filter.state.map(DeliveryState::as_str),
                    filter.since,
                    filter.limit,
                    filter.kind.as_ref(),
                    filter.before,
                ],
            )?;
            rows.iter().map(|row| delivery(sql, row)).collect()
        })
        .await
    }

    /// Every action of an experiment, newest first.
    pub async fn action_state(&self, experiment: &str) -> Result<Vec<ActionView>, StoreError> {
        let experiment = experiment.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT id, endpoint, state, created_at, confirmed_at, COALESCE(note,
                     (SELECT detail FROM attempts WHERE outbox_id = id AND detail IS NOT NULL
                      ORDER BY attempt DESC LIMIT 1)) AS detail
                 FROM outbox WHERE partition_key = ?1 AND lane = 'action' ORDER BY position DESC",
                args![&experiment],
            )?;
            rows.iter().map(action_view).collect()
        })
        .await
    }
}

fn delivery(sql: &dyn Sql, row: &Row) -> Result<Delivery, StoreError> {
    let enqueued = outbox_row(row)?;
    let attempts = sql.query(
        "SELECT attempt, holder, started_at, finished_at, status, class, detail, manual
         FROM attempts WHERE outbox_id = ?1 ORDER BY attempt",
        args![&enqueued.id],
    )?;
    Ok(Delivery {
        row: enqueued,
        position: row.int("position")?,
        state: delivery_state(row)?,
        next_at: row.time("next_at")?,
        closed_at: row.opt_time("closed_at")?,
        note: row.opt_text("note")?,
        superseded_by: row.opt_text("superseded_by")?,
        collapsed: row.count("collapsed")?,
        holder: row.opt_text("holder")?,
        attempts: attempts.iter().map(attempt_row).collect::<Result<_, _>>()?,
    })
}

fn attempt_row(row: &Row) -> Result<AttemptRow, StoreError> {
    let status = row.unless_null("status", Row::int)?;
    let status = status
        .map(|status| u16::try_from(status).map_err(|_| bad("attempts.status", "no HTTP status")));
    Ok(AttemptRow {
        attempt: row.small("attempt")?,
        holder: row.text("holder")?,
        started_at: row.time("started_at")?,
        finished_at: row.opt_time("finished_at")?,
        status: status.transpose()?,
        class: row.opt_text("class")?,
        detail: row.opt_text("detail")?,
        manual: row.flag("manual")?,
    })
}

fn action_view(row: &Row) -> Result<ActionView, StoreError> {
    let requested_at = row.time("created_at")?;
    let confirmed_at = row.opt_time("confirmed_at")?;
    let seconds = confirmed_at.map(|at| judge::time::ms_between(requested_at, at) as f64 / 1_000.0);
    let state = match delivery_state(row)? {
        DeliveryState::Pending | DeliveryState::Requested => ActionState::Requested,
        DeliveryState::Accepted => ActionState::Accepted,
        DeliveryState::Confirmed => ActionState::Confirmed,
        // `Delivered` says that it was sent, not that the flag was read back.
        DeliveryState::Delivered => ActionState::Accepted,
        // Actions are neither routed nor silenced: such a state is one that nobody confirmed.
        DeliveryState::Unconfirmed
        | DeliveryState::Dead
        | DeliveryState::Superseded
        | DeliveryState::Silenced
        | DeliveryState::Digest
        | DeliveryState::NotRouted => ActionState::Unconfirmed,
    };
    Ok(ActionView {
        id: row.text("id")?,
        action: row.text("endpoint")?,
        state,
        requested_at,
        confirmed_at,
        seconds,
        detail: row.opt_text("detail")?,
    })
}
