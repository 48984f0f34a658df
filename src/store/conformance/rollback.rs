//! What rollback actions need remembered: uses, flags that clients pull, arming.

use super::delivery::{attempt, enqueue, finish, lease};
use super::*;
use crate::store::{LogFilter, Outcome};

fn action(id: &str, sequence: i64) -> OutboxRow {
    OutboxRow {
        lane: Lane::Action,
        urgent: true,
        endpoint: "turn-off".to_owned(),
        partition: format!("of-{id}"),
        ..message(id, "guardrail.tripped", sequence)
    }
}

pub(in crate::store) async fn uses_are_what_was_really_sent(store: Store) {
    let message = message("m1", "guardrail.tripped", 9);
    let rows = [action("a1", 1), action("a2", 2), action("a3", 3), message];
    enqueue(&store, &rows).await;
    for item in lease(&store, 10).await {
        match item.row.id.as_str() {
            // What was held back by its arming or its limit uses nothing up.
            "a2" => {
                let mut held = attempt(&item, 10, Outcome::Dead);
                held.class = "not_armed".to_owned();
                store.finish_attempt(held).await.unwrap();
            }
            _ => finish(&store, &item, 10, Outcome::Dead).await,
        }
    }
    let used = async |before, limit| {
        let uses = store.action_uses("turn-off", before, limit).await.unwrap();
        uses.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(used(None, 10).await, ["a3", "a1"], "newest first");
    assert_eq!(used(None, 1).await, ["a3"]);
    assert_eq!(used(Some("a3"), 10).await, ["a1"], "ordered before it");
    assert_eq!(used(Some("a1"), 10).await, [""; 0]);
    assert!(store.action_uses("another", None, 10).await.unwrap().is_empty());
}

pub(in crate::store) async fn pulled_flags_stay_off_until_they_are_released(store: Store) {
    assert!(store.pulled().await.unwrap().is_empty());
    store.pull_off("turn-off", "a1", at(10)).await.unwrap();
    let served = store.pulled().await.unwrap();
    assert_eq!((served[0].off_at, served[0].seen_at), (at(10), None));
    store.pull_seen(served, "flagd", at(12)).await.unwrap();
    // The same row once more, after a crash: neither the instant nor the reading is lost.
    store.pull_off("turn-off", "a1", at(20)).await.unwrap();
    let kept = store.pulled().await.unwrap().remove(0);
    assert_eq!((kept.off_at, kept.seen_at), (at(10), Some(at(12))));
    assert_eq!(kept.seen_by.as_deref(), Some("flagd"));
    assert!(store.release_pulled("turn-off", entry("release", 30)).await.unwrap());
    assert!(store.pulled().await.unwrap().is_empty());
    assert!(!store.release_pulled("turn-off", entry("release", 31)).await.unwrap());
    let log = store.decisions(LogFilter::default()).await.unwrap();
    assert_eq!(log.len(), 1, "what released nothing is not in the log");
    assert_eq!(log[0].entry, entry("release", 30));
}

pub(in crate::store) async fn a_trip_in_between_is_not_taken_for_seen(store: Store) {
    store.pull_off("turn-off", "a1", at(10)).await.unwrap();
    let served = store.pulled().await.unwrap();
    store.pull_off("turn-off", "a2", at(11)).await.unwrap();
    store.pull_seen(served, "flagd", at(12)).await.unwrap();
    let newer = store.pulled().await.unwrap().remove(0);
    assert_eq!((newer.outbox_id.as_str(), newer.off_at), ("a2", at(11)));
    assert_eq!(newer.seen_at, None, "the client was served the trip before");
    store.pull_seen(vec![newer.clone()], "first", at(13)).await.unwrap();
    store.pull_seen(vec![newer], "second", at(14)).await.unwrap();
    let seen = store.pulled().await.unwrap().remove(0);
    assert_eq!((seen.seen_at, seen.seen_by.as_deref()), (Some(at(13)), Some("first")));
}

pub(in crate::store) async fn arming_is_kept_with_its_entry(store: Store) {
    assert!(store.arming().await.unwrap().is_empty());
    let change = |word: &str, when| ("turn-off".to_owned(), word.to_owned(), entry(word, when));
    store.set_arming(vec![change("armed by ana", 10)]).await.unwrap();
    store.set_arming(vec![change("disarmed", 20)]).await.unwrap();
    store.set_arming(Vec::new()).await.unwrap();
    let known = store.arming().await.unwrap();
    assert_eq!(known.get("turn-off").map(String::as_str), Some("disarmed"));
    assert_eq!(known.len(), 1);
    let log = store.decisions(LogFilter::default()).await.unwrap();
    let kinds: Vec<_> = log.iter().map(|it| it.entry.kind.as_str()).collect();
    assert_eq!(kinds, ["disarmed", "armed by ana"]);
}
