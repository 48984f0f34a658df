//! Long queues: what is next is found without reading all of them, and what is said is kept once.

use std::collections::BTreeSet;

use super::delivery::{delivery, enqueue, finish, ids, lease, urgent};
use super::*;
use crate::store::sql::args;
use crate::store::{DeliveryState, OutboxItem, Outcome, Room, Rooms, StoreError};

/// As few as possible of the open rows are looked at one by one.
fn narrow(rows: usize) -> Rooms {
    Rooms { others: 0, named: [("chat".to_owned(), Room { rows, only_urgent: false })].into() }
}

async fn lease_narrow(store: &Store, now: i64, rows: usize) -> Vec<OutboxItem> {
    store.lease_outbox(at(now), HOLDER, at(now + 1_000), narrow(rows)).await.unwrap()
}

/// What the rule itself says of one row among those that are open: see `lease::UNBLOCKED`.
fn is_next(row: &OutboxRow, open: &[OutboxRow], leased: &BTreeSet<String>, now: i64) -> bool {
    let stands_before = |other: &OutboxRow| {
        let is_deferred = other.not_before > other.created_at && !leased.contains(&other.id);
        other.partition == row.partition
            && (!is_deferred || other.not_before <= row.not_before)
            && (other.sequence, position(other)) < (row.sequence, position(row))
    };
    let is_due = row.not_before <= at(now) && !leased.contains(&row.id);
    is_due && (row.urgent || !open.iter().any(stands_before))
}

/// Rows are named by the order in which they were enqueued.
fn position(row: &OutboxRow) -> usize {
    row.id.parse().unwrap()
}

pub(in crate::store) async fn however_few_rows_are_looked_at_the_same_ones_are_next(store: Store) {
    let mut seed: u64 = 20_261_201;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let rows: Vec<OutboxRow> = (0..300)
        .map(|number| {
            let waits = [10, 10, 10, 500, 700, 900][draw(6) as usize];
            OutboxRow {
                partition: format!("p{}", draw(7)),
                urgent: draw(40) == 0,
                not_before: at(waits),
                ..message(&number.to_string(), "x.y", draw(60) as i64)
            }
        })
        .collect();
    enqueue(&store, &rows).await;
    let mut open = rows;
    for now in [20, 500, 700, 900, 901, 902] {
        let mut found = BTreeSet::new();
        let some_is_next =
            |found: &BTreeSet<String>| open.iter().any(|row| is_next(row, &open, found, now));
        let earliest = store.earliest_outbox().await.unwrap();
        assert_eq!(earliest.is_some_and(|due_at| due_at <= at(now)), some_is_next(&found));
        let mut leased = Vec::new();
        while let Some(item) = lease_narrow(&store, now, 1).await.pop() {
            assert!(is_next(&item.row, &open, &found, now), "{} at {now}", item.row.id);
            found.insert(item.row.id.clone());
            leased.push(item);
        }
        assert!(!some_is_next(&found), "one was overlooked at {now}");
        for item in &leased {
            finish(&store, item, now, Outcome::Delivered).await;
        }
        open.retain(|row| !found.contains(&row.id));
    }
    assert!(!open.is_empty(), "some are still waiting: the test looked at a queue, not at a list");
}

pub(in crate::store) async fn a_long_queue_hides_no_other(store: Store) {
    let mut rows: Vec<_> =
        (0..50).map(|number| message(&format!("long-{number:02}"), "x.y", number)).collect();
    let other = |id: &str| OutboxRow { partition: "y".to_owned(), ..message(id, "x.y", 1) };
    let night =
        OutboxRow { partition: "z".to_owned(), not_before: at(15), ..message("z", "x.y", 1) };
    rows.extend([other("other"), night, urgent("urgent", 99)]);
    enqueue(&store, &rows).await;
    let leased = lease_narrow(&store, 20, 4).await;
    assert_eq!(ids(&leased), ["urgent", "long-00", "other", "z"]);
    assert!(lease_narrow(&store, 20, 4).await.is_empty(), "the rest waits for its turn");
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(1_020)), "when the leases end");
    finish(&store, &leased[1], 20, Outcome::Retry { next_at: at(60) }).await;
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(60)));
    // Asked for by a person, from the middle of a queue whose head is being retried.
    finish(&store, &leased[2], 20, Outcome::Dead).await;
    assert!(store.redeliver("other", at(30)).await.unwrap());
    assert_eq!(ids(&lease_narrow(&store, 30, 1).await), ["other"]);
}

pub(in crate::store) async fn what_is_said_twice_is_kept_once(store: Store) {
    let said = |id: &str, endpoint: &str, body: &str| OutboxRow {
        endpoint: endpoint.to_owned(),
        notice_id: "one notice".to_owned(),
        body: body.to_owned(),
        content: "the content".to_owned(),
        ..message(id, "x.y", 1)
    };
    let rows = [
        said("hook", "hook", "the content"),
        said("chat", "chat", "for people"),
        said("mirror", "mirror", "the content"),
    ];
    enqueue(&store, &rows).await;
    let texts = async || {
        let count = |sql: &dyn crate::store::Sql| {
            let row = sql.first("SELECT COUNT(*) AS n FROM texts", args![])?;
            row.map_or(Ok(0), |row| row.count("n"))
        };
        store.read(count).await.unwrap()
    };
    assert_eq!(texts().await, 2, "the content once, and what people read");
    let items = lease(&store, 20).await;
    for (item, row) in items.iter().zip(&rows) {
        assert_eq!(&item.row, row);
    }
    finish(&store, &items[0], 20, Outcome::Delivered).await;
    assert_eq!(store.prune_messages(at(30), 100).await.unwrap(), 1);
    assert_eq!(delivery(&store, "chat").await.row, rows[1], "its content is still there");
    finish(&store, &items[1], 40, Outcome::Delivered).await;
    finish(&store, &items[2], 40, Outcome::Delivered).await;
    assert_eq!(store.prune_messages(at(50), 100).await.unwrap(), 2);
    assert_eq!(texts().await, 0);
}

/// What is remembered of a queue's length is never too little.
pub(in crate::store) async fn a_full_queue_is_seen_after_work_that_was_undone(mut store: Store) {
    store.options.queue_rows = 3;
    enqueue(&store, &[message("m1", "x.y", 1), message("m2", "x.y", 2)]).await;
    let head = lease(&store, 10).await.remove(0);
    let options = store.options;
    // Ends everything and counts what is left, then all of it is undone.
    let undone = store
        .write(move |sql| {
            sql.exec("UPDATE outbox SET closed_at = 1", args![])?;
            sql.loads().forget();
            crate::store::queue::enqueue(sql, &[message("never", "x.y", 3)], &options)?;
            Err::<(), _>(StoreError::Closed)
        })
        .await;
    assert_eq!(undone, Err(StoreError::Closed));
    enqueue(&store, &[message("m3", "x.y", 3)]).await;
    enqueue(&store, &[message("m4", "x.y", 4)]).await;
    let gone = delivery(&store, "m2").await;
    assert_eq!(gone.note.as_deref(), Some("queue_full"), "m1 is leased, m2 is the oldest");
    // What comes back was not enqueued, and counts.
    finish(&store, &head, 10, Outcome::Dead).await;
    assert!(store.redeliver("m1", at(20)).await.unwrap());
    enqueue(&store, &[message("m5", "x.y", 5)]).await;
    let states: Vec<_> = [
        delivery(&store, "m1").await.state,
        delivery(&store, "m3").await.state,
        delivery(&store, "m5").await.state,
    ]
    .into();
    assert_eq!(states.iter().filter(|state| **state == DeliveryState::Dead).count(), 1);
}
