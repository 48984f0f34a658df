//! Leases, order, urgency, bounds and what becomes of rows.

use super::*;
use crate::store::{
    ActionState, Attempt, Delivery, DeliveryFilter, DeliveryState, EndpointRow, EndpointState,
    Finished, OutboxItem, Outcome, Withheld,
};

pub(super) async fn enqueue(store: &Store, rows: &[OutboxRow]) {
    store.enqueue(rows.to_vec()).await.unwrap();
}

pub(super) async fn lease(store: &Store, now: i64) -> Vec<OutboxItem> {
    store.lease_outbox(at(now), HOLDER, at(now + 20), 100).await.unwrap()
}

pub(super) fn ids(items: &[OutboxItem]) -> Vec<&str> {
    items.iter().map(|item| item.row.id.as_str()).collect()
}

pub(super) fn attempt(item: &OutboxItem, now: i64, outcome: Outcome) -> Attempt {
    Attempt {
        id: item.row.id.clone(),
        holder: HOLDER.to_owned(),
        attempt: item.attempt,
        started_at: at(now),
        finished_at: at(now + 1),
        status: Some(503),
        class: "http_5xx".to_owned(),
        detail: "try later".to_owned(),
        outcome,
        uses_rung: true,
        extra_outbox: Vec::new(),
        log: Vec::new(),
        learnt: None,
        endpoint: None,
    }
}

pub(super) async fn finish(store: &Store, item: &OutboxItem, now: i64, outcome: Outcome) {
    let finished = store.finish_attempt(attempt(item, now, outcome)).await.unwrap();
    assert_eq!(finished, Finished::Recorded);
}

pub(super) async fn delivery(store: &Store, id: &str) -> Delivery {
    let filter = DeliveryFilter { id: Some(id.to_owned()), ..DeliveryFilter::default() };
    store.deliveries(filter).await.unwrap().remove(0)
}

pub(super) fn urgent(id: &str, sequence: i64) -> OutboxRow {
    OutboxRow { urgent: true, ..message(id, "guardrail.tripped", sequence) }
}

pub(in crate::store) async fn enqueue_is_idempotent(store: Store) {
    let row = message("m1", "data.stale", 1);
    enqueue(&store, &[row.clone(), row.clone()]).await;
    let item = lease(&store, 10).await.remove(0);
    assert_eq!(item.row, row, "what comes out is what went in");
    assert_eq!((item.attempt, item.state), (1, DeliveryState::Pending));
    finish(&store, &item, 10, Outcome::Delivered).await;
    enqueue(&store, &[OutboxRow { body: "other".to_owned(), ..row }]).await;
    assert!(lease(&store, 11).await.is_empty(), "delivered is delivered");
    assert_eq!(delivery(&store, "m1").await.row.body, "0123456789");
}

pub(in crate::store) async fn a_retrying_head_blocks_its_partition_only(store: Store) {
    let elsewhere = OutboxRow { partition: "y".to_owned(), ..message("y1", "data.stale", 1) };
    let ticket = OutboxRow { endpoint: "tickets".to_owned(), ..message("t1", "data.stale", 1) };
    // Enqueued out of order: the sequence counts, not the arrival.
    enqueue(&store, &[message("m2", "data.recovered", 2), message("m1", "data.stale", 1)]).await;
    enqueue(&store, &[elsewhere, ticket]).await;
    let items = lease(&store, 10).await;
    assert_eq!(ids(&items), ["m1", "y1", "t1"]);
    finish(&store, &items[0], 10, Outcome::Retry { next_at: at(50) }).await;
    finish(&store, &items[1], 10, Outcome::Delivered).await;
    finish(&store, &items[2], 10, Outcome::Delivered).await;
    assert!(lease(&store, 49).await.is_empty(), "m2 waits behind the retrying m1");
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(50)));
    let again = lease(&store, 50).await;
    assert_eq!((ids(&again), again[0].attempt), (vec!["m1"], 2));
    finish(&store, &again[0], 50, Outcome::Delivered).await;
    assert_eq!(ids(&lease(&store, 51).await), ["m2"]);
}

pub(in crate::store) async fn urgent_rows_jump_the_queue(store: Store) {
    enqueue(&store, &[message("m1", "data.stale", 1)]).await;
    let head = lease(&store, 10).await.remove(0);
    finish(&store, &head, 10, Outcome::Retry { next_at: at(500) }).await;
    let calm = OutboxRow { partition: "a".to_owned(), ..message("a1", "data.stale", 1) };
    enqueue(&store, &[calm, message("m3", "data.recovered", 3), urgent("u2", 2)]).await;
    let items = lease(&store, 20).await;
    assert_eq!(ids(&items), ["u2", "a1"], "urgent first, and never behind the retrying head");
    // A retrying urgent row keeps later calm ones back, but no later urgent one.
    finish(&store, &items[0], 20, Outcome::Retry { next_at: at(600) }).await;
    finish(&store, &items[1], 20, Outcome::Delivered).await;
    enqueue(&store, &[urgent("u4", 4)]).await;
    assert_eq!(ids(&lease(&store, 21).await), ["u4"]);
}

pub(in crate::store) async fn what_waits_for_the_morning_is_in_nobodys_way(store: Store) {
    let night = OutboxRow { not_before: at(800), ..message("night", "data.stale", 1) };
    enqueue(&store, &[night, message("now", "data.recovered", 2)]).await;
    let items = lease(&store, 20).await;
    assert_eq!(ids(&items), ["now"]);
    finish(&store, &items[0], 20, Outcome::Delivered).await;
    let late = OutboxRow { not_before: at(800), ..message("late", "data.stale", 3) };
    enqueue(&store, &[late]).await;
    assert!(lease(&store, 30).await.is_empty());
    assert_eq!(ids(&lease(&store, 800).await), ["night"], "in order again, in the morning");
}

pub(in crate::store) async fn what_is_withheld_is_kept_with_its_reason(store: Store) {
    for (id, withheld, state) in [
        ("s", Withheld::Silence("sil_1".to_owned()), DeliveryState::Silenced),
        ("d", Withheld::Digest("daily".to_owned()), DeliveryState::Digest),
        ("n", Withheld::NoReceiver, DeliveryState::NotRouted),
    ] {
        let told = Told {
            reason: format!("because {id}"),
            withheld: Some(withheld),
            lasting: true,
            ..Told::default()
        };
        let row = OutboxRow { told, ..message(id, "data.stale", 1) };
        enqueue(&store, std::slice::from_ref(&row)).await;
        let kept = delivery(&store, id).await;
        assert_eq!((kept.state, &kept.row.told, kept.closed_at), (state, &row.told, Some(at(10))));
    }
    assert!(lease(&store, 20).await.is_empty());
    assert_eq!(store.outbox_stats().await.unwrap()[0].pending, 0);
    // A person may send it all the same.
    assert!(store.redeliver("s", at(30)).await.unwrap());
    assert_eq!(ids(&lease(&store, 30).await), ["s"]);
}

pub(in crate::store) async fn a_dead_head_unblocks(store: Store) {
    enqueue(&store, &[message("m1", "data.stale", 1), message("m2", "data.stale", 2)]).await;
    let head = lease(&store, 10).await.remove(0);
    finish(&store, &head, 10, Outcome::Dead).await;
    assert_eq!(ids(&lease(&store, 11).await), ["m2"]);
    let stats = store.outbox_stats().await.unwrap();
    assert_eq!((stats[0].pending, stats[0].dead), (1, 1));
    assert_eq!(stats[0].oldest_at, Some(at(10)));
}

pub(in crate::store) async fn a_newer_verdict_supersedes_unsent_ones(store: Store) {
    let verdict = |id: &str, sequence| message(id, "experiment.verdict.continue", sequence);
    enqueue(&store, &[verdict("v1", 1)]).await;
    let sent = lease(&store, 10).await.remove(0);
    finish(&store, &sent, 10, Outcome::Retry { next_at: at(60) }).await;
    let fixed = OutboxRow { final_state: true, ..verdict("final", 2) };
    enqueue(&store, &[fixed, message("alarm", "proxy.without_outcome", 3)]).await;
    let elsewhere = OutboxRow { endpoint: "tickets".to_owned(), ..verdict("t1", 3) };
    enqueue(&store, &[elsewhere, verdict("v4", 4), verdict("v5", 5), verdict("v6", 6)]).await;
    for (id, state) in [
        ("v1", DeliveryState::Pending),
        ("final", DeliveryState::Pending),
        ("alarm", DeliveryState::Pending),
        ("t1", DeliveryState::Pending),
        ("v4", DeliveryState::Superseded),
        ("v5", DeliveryState::Superseded),
    ] {
        assert_eq!(delivery(&store, id).await.state, state, "{id}");
    }
    assert_eq!(delivery(&store, "v5").await.superseded_by.as_deref(), Some("v6"));
    assert_eq!(delivery(&store, "v6").await.collapsed, 2);
}

pub(in crate::store) async fn a_lost_lease_is_taken_over_with_the_same_id(store: Store) {
    enqueue(&store, &[message("m1", "data.stale", 1)]).await;
    let first = lease(&store, 10).await.remove(0);
    assert!(store.lease_outbox(at(29), "two", at(90), 9).await.unwrap().is_empty());
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(30)));
    let second = store.lease_outbox(at(30), "two", at(90), 9).await.unwrap().remove(0);
    assert_eq!(second.row, first.row, "same id, same bytes");
    assert_eq!((second.attempt, second.first_attempt_at), (2, at(10)));
    let late = attempt(&first, 31, Outcome::Delivered);
    assert_eq!(store.finish_attempt(late).await.unwrap(), Finished::LeaseLost);
    let seen = delivery(&store, "m1").await;
    assert_eq!(seen.attempts.len(), 2, "the attempt that never came back stays visible");
    assert_eq!((seen.attempts[0].finished_at, seen.holder.as_deref()), (None, Some("two")));
}

pub(in crate::store) async fn only_the_newest_attempt_can_finish(store: Store) {
    enqueue(&store, &[message("m1", "data.stale", 1)]).await;
    let first = lease(&store, 10).await.remove(0);
    let second = lease(&store, 30).await.remove(0);
    // Same holder name, two workers: the attempt number tells them apart.
    let late = attempt(&first, 31, Outcome::Dead);
    assert_eq!(store.finish_attempt(late).await.unwrap(), Finished::LeaseLost);
    let mut done = attempt(&second, 31, Outcome::Delivered);
    done.detail = "ü".repeat(2000);
    assert_eq!(store.finish_attempt(done.clone()).await.unwrap(), Finished::Recorded);
    assert_eq!(store.finish_attempt(done).await.unwrap(), Finished::LeaseLost, "closed");
    let seen = delivery(&store, "m1").await;
    assert_eq!((seen.state, seen.closed_at), (DeliveryState::Delivered, Some(at(32))));
    assert_eq!(seen.attempts[1].status, Some(503));
    assert_eq!(seen.attempts[1].detail.as_ref().unwrap().len(), 2048);
}

pub(in crate::store) async fn messages_expire_and_actions_do_not(store: Store) {
    let soon = OutboxRow { expires_at: at(20), ..message("m1", "data.stale", 1) };
    let action = OutboxRow {
        expires_at: at(20),
        lane: Lane::Action,
        endpoint: "turn-off".to_owned(),
        ..urgent("a1", 1)
    };
    enqueue(&store, &[soon, action, message("m2", "data.stale", 2)]).await;
    assert_eq!(ids(&lease(&store, 20).await), ["a1", "m2"]);
    let seen = delivery(&store, "m1").await;
    assert_eq!((seen.state, seen.note.as_deref()), (DeliveryState::Dead, Some("expired")));
}

/// The fresh store of this check has room for three rows or 100 bytes.
pub(in crate::store) async fn a_full_queue_drops_the_oldest_visibly(mut store: Store) {
    store.options.queue_rows = 3;
    store.options.queue_bytes = 100;
    enqueue(&store, &[urgent("u1", 1), message("m2", "data.stale", 2)]).await;
    enqueue(&store, &[message("m3", "data.stale", 3), message("m4", "data.stale", 4)]).await;
    let seen = delivery(&store, "m2").await;
    assert_eq!((seen.state, seen.note.as_deref()), (DeliveryState::Dead, Some("queue_full")));
    assert_eq!(delivery(&store, "u1").await.state, DeliveryState::Pending, "never an urgent one");
    let large = OutboxRow { body: "b".repeat(70), ..message("m5", "data.stale", 5) };
    enqueue(&store, &[large]).await;
    assert_eq!(delivery(&store, "m4").await.state, DeliveryState::Pending, "96 bytes fit");
    enqueue(&store, &[OutboxRow { body: "b".repeat(40), ..message("m6", "data.stale", 6) }]).await;
    let stats = store.outbox_stats().await.unwrap();
    assert_eq!((stats[0].pending, stats[0].dead), (2, 4), "bytes push out as rows do");
    let elsewhere = OutboxRow { endpoint: "tickets".to_owned(), ..message("t1", "x.y", 1) };
    enqueue(&store, &[elsewhere]).await;
    assert_eq!(delivery(&store, "m6").await.state, DeliveryState::Pending, "per endpoint");
}

pub(in crate::store) async fn an_action_is_followed_until_confirmed(store: Store) {
    let action =
        OutboxRow { lane: Lane::Action, endpoint: "turn-off".to_owned(), ..urgent("a1", 1) };
    enqueue(&store, &[action, message("m1", "data.stale", 1)]).await;
    assert_eq!(store.action_state("x").await.unwrap()[0].state, ActionState::Requested);
    let item = lease(&store, 10).await.remove(0);
    for (now, outcome, state) in [
        (10, Outcome::Requested { next_at: at(12) }, ActionState::Requested),
        (12, Outcome::Accepted { next_at: at(14) }, ActionState::Accepted),
        (14, Outcome::Retry { next_at: at(16) }, ActionState::Accepted),
        (16, Outcome::Unconfirmed { next_at: at(18) }, ActionState::Unconfirmed),
        (18, Outcome::Confirmed, ActionState::Confirmed),
    ] {
        let leased = if now == 10 { item.clone() } else { lease(&store, now).await.remove(0) };
        assert_eq!(leased.row.id, "a1");
        finish(&store, &leased, now, outcome).await;
        assert_eq!(store.action_state("x").await.unwrap()[0].state, state);
    }
    let view = store.action_state("x").await.unwrap().remove(0);
    assert_eq!((view.action.as_str(), view.confirmed_at), ("turn-off", Some(at(19))));
    assert_eq!(view.seconds, Some(9.0), "from the trip, not from the first answer");
    assert_eq!(store.action_state("x").await.unwrap().len(), 1, "messages are no actions");
    // Done again by hand, it says nothing about how soon the trip was answered.
    assert!(store.redeliver("a1", at(1_500)).await.unwrap());
    let again = lease(&store, 1_500).await.remove(0);
    finish(&store, &again, 1_500, Outcome::Confirmed).await;
    let view = store.action_state("x").await.unwrap().remove(0);
    assert_eq!((view.confirmed_at, view.seconds), (Some(at(19)), Some(9.0)));
}

pub(in crate::store) async fn a_cancelled_action_is_not_asked_for_again(store: Store) {
    let action = |id: &str, partition: &str| OutboxRow {
        lane: Lane::Action,
        endpoint: "turn-off".to_owned(),
        partition: partition.to_owned(),
        ..urgent(id, 1)
    };
    store.ensure_experiment(experiment("x")).await.unwrap();
    enqueue(&store, &[action("a1", "x"), action("a2", "other"), message("m1", "x.y", 1)]).await;
    let at_it = lease(&store, 10).await;
    let context = store.context("x").await.unwrap().unwrap();
    let mut commit = Commit::new("x", context.state_version, 1);
    commit.cancel_actions = Some(("rearmed".to_owned(), at(11)));
    assert!(matches!(store.commit(commit).await.unwrap(), Committed::Fresh { .. }));
    let cancelled = delivery(&store, "a1").await;
    assert_eq!(
        (cancelled.state, cancelled.note.as_deref()),
        (DeliveryState::Dead, Some("rearmed"))
    );
    assert_eq!(store.action_state("x").await.unwrap()[0].state, ActionState::Unconfirmed);
    // Whoever was at it can neither confirm nor repeat it; nothing else was touched.
    let late = at_it.iter().find(|item| item.row.id == "a1").unwrap();
    let finished = store.finish_attempt(attempt(late, 12, Outcome::Confirmed)).await.unwrap();
    assert_ne!(finished, Finished::Recorded);
    assert_eq!(delivery(&store, "a1").await.state, DeliveryState::Dead);
    assert_eq!(ids(&lease(&store, 5_000).await).iter().filter(|id| **id == "a1").count(), 0);
    assert_ne!(delivery(&store, "a2").await.state, DeliveryState::Dead);
    assert_ne!(delivery(&store, "m1").await.state, DeliveryState::Dead);
}

pub(in crate::store) async fn a_row_can_be_sent_again_by_hand(store: Store) {
    let first = OutboxRow { expires_at: at(90), ..message("m1", "data.stale", 1) };
    enqueue(&store, &[first, message("m2", "data.stale", 2)]).await;
    let head = lease(&store, 10).await.remove(0);
    assert!(!store.redeliver("m1", at(11)).await.unwrap(), "somebody is sending it");
    finish(&store, &head, 10, Outcome::Dead).await;
    let next = lease(&store, 12).await.remove(0);
    finish(&store, &next, 12, Outcome::Retry { next_at: at(5000) }).await;
    // Past its expiry and behind nobody: a person asked for it.
    assert!(store.redeliver("m1", at(100)).await.unwrap());
    let manual = lease(&store, 100).await;
    assert_eq!((ids(&manual), manual[0].manual), (vec!["m1"], true));
    assert_eq!(manual[0].attempt, 2);
    finish(&store, &manual[0], 100, Outcome::Delivered).await;
    assert!(delivery(&store, "m1").await.attempts[1].manual);
    assert!(store.redeliver("m2", at(101)).await.unwrap(), "waiting: due now");
    let kicked = lease(&store, 101).await;
    assert_eq!((ids(&kicked), kicked[0].manual), (vec!["m2"], false));
    assert!(!store.redeliver("nothing", at(101)).await.unwrap());
}

pub(in crate::store) async fn what_follows_from_an_attempt_is_one_transaction(store: Store) {
    enqueue(&store, &[message("m1", "data.stale", 1)]).await;
    let item = lease(&store, 10).await.remove(0);
    let mut done = attempt(&item, 10, Outcome::Delivered);
    done.extra_outbox = vec![urgent("follow", 2)];
    done.log = vec![entry("action", 11)];
    let mut lost = done.clone();
    lost.holder = "two".to_owned();
    assert_eq!(store.finish_attempt(lost).await.unwrap(), Finished::LeaseLost);
    assert!(store.decisions(crate::store::LogFilter::default()).await.unwrap().is_empty());
    assert_eq!(store.finish_attempt(done).await.unwrap(), Finished::Recorded);
    let log = store.decisions(crate::store::LogFilter::default()).await.unwrap();
    assert_eq!((log.len(), log[0].experiment.as_str()), (1, "x"));
    assert_eq!(ids(&lease(&store, 11).await), ["follow"]);
}

pub(in crate::store) async fn pruning_keeps_what_is_open_and_actions(store: Store) {
    let action = OutboxRow { lane: Lane::Action, ..urgent("a1", 1) };
    enqueue(&store, &[action, message("m1", "data.stale", 1)]).await;
    for item in lease(&store, 10).await {
        let action = item.row.lane == Lane::Action;
        let outcome = if action { Outcome::Confirmed } else { Outcome::Delivered };
        finish(&store, &item, 10, outcome).await;
    }
    enqueue(&store, &[message("m2", "data.stale", 2)]).await;
    assert_eq!(store.prune_messages(at(11), 100).await.unwrap(), 0, "closed at 11");
    assert_eq!(store.prune_messages(at(12), 100).await.unwrap(), 1);
    let left = store.deliveries(DeliveryFilter::default()).await.unwrap();
    let left: Vec<_> = left.iter().map(|delivery| delivery.row.id.as_str()).collect();
    assert_eq!(left, ["m2", "a1"]);
}

pub(in crate::store) async fn pruning_keeps_the_newest_word_on_what_lasts(store: Store) {
    let word = |id: &str, topic: &str, sequence: i64, lasting: bool| OutboxRow {
        told: Told { topic: topic.to_owned(), lasting, ..Told::default() },
        ..message(id, "data.stale", sequence)
    };
    let rows = [
        word("on", "slow", 1, true),
        word("again", "slow", 2, true),
        word("down", "csv", 3, true),
        word("back", "csv", 4, false),
        word("news", "verdict", 5, false),
    ];
    enqueue(&store, &rows).await;
    for now in 10..15 {
        for item in lease(&store, now).await {
            finish(&store, &item, now, Outcome::Delivered).await;
        }
    }
    assert_eq!(store.prune_messages(at(100), 2).await.unwrap(), 2, "no more than asked for");
    assert_eq!(store.prune_messages(at(100), 100).await.unwrap(), 2);
    assert_eq!(store.prune_messages(at(100), 100).await.unwrap(), 0);
    let left = store.deliveries(DeliveryFilter::default()).await.unwrap();
    let left: Vec<_> = left.iter().map(|delivery| delivery.row.id.as_str()).collect();
    assert_eq!(left, ["again"], "it is still slow, and nobody has said otherwise");
}

pub(in crate::store) async fn a_conversation_is_remembered_whatever_became_of_it(store: Store) {
    let talk = |id: &str, sequence| OutboxRow {
        conversation: Some("x/1".to_owned()),
        ..message(id, "experiment.verdict.stop", sequence)
    };
    enqueue(&store, &[talk("m1", 1)]).await;
    let item = lease(&store, 10).await.remove(0);
    let known = async |id: &str, attempt| {
        let known = store.conversation("chat", "x/1", id, attempt).await.unwrap();
        (known.json, known.was_tried)
    };
    assert_eq!(known("m1", 1).await, (None, false), "the asking attempt does not count");
    let failed = Outcome::Retry { next_at: at(12) };
    let learnt = Some("{\"key\":\"V-1\"}".to_owned());
    let begun = Attempt { learnt: learnt.clone(), ..attempt(&item, 10, failed) };
    assert_eq!(store.finish_attempt(begun).await.unwrap(), Finished::Recorded);
    assert_eq!(known("m1", 2).await, (learnt.clone(), true));
    let again = lease(&store, 12).await.remove(0);
    finish(&store, &again, 12, Outcome::Delivered).await;
    enqueue(&store, &[talk("m2", 2)]).await;
    let next = lease(&store, 20).await.remove(0);
    assert_eq!(known("m2", next.attempt).await, (learnt, true), "nothing learnt forgets nothing");
    let elsewhere = store.conversation("tickets", "x/1", "m2", 1).await.unwrap();
    assert_eq!(elsewhere, crate::store::Known::default());
}

pub(in crate::store) async fn urgent_rows_keep_their_order(store: Store) {
    enqueue(&store, &[urgent("trip", 1), urgent("verdict", 1), urgent("later", 2)]).await;
    let first = lease(&store, 10).await;
    assert_eq!(ids(&first), ["trip"], "its verdict is not told before it");
    assert!(lease(&store, 10).await.is_empty(), "nor while it is being sent");
    finish(&store, &first[0], 10, Outcome::Retry { next_at: at(500) }).await;
    let second = lease(&store, 11).await;
    assert_eq!(ids(&second), ["verdict"], "one that is retried is in nobody's way");
    finish(&store, &second[0], 11, Outcome::Delivered).await;
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(10)), "the next one is free");
    assert_eq!(ids(&lease(&store, 12).await), ["later"]);
}

pub(in crate::store) async fn no_all_clear_comes_after_the_next_trip(store: Store) {
    let told = |topic: &str| Told { topic: topic.to_owned(), ..Told::default() };
    let trip =
        |id: &str, sequence: i64| OutboxRow { told: told("g:errors"), ..urgent(id, sequence) };
    let clear = |id: &str, sequence: i64, topic: &str| OutboxRow {
        told: told(topic),
        ..message(id, "guardrail.recovered", sequence)
    };
    let state = async |id: &str| delivery(&store, id).await.state;
    // One that waits for its next attempt when the guardrail trips again.
    enqueue(&store, &[clear("c1", 1, "g:errors")]).await;
    let failed = lease(&store, 10).await.remove(0);
    finish(&store, &failed, 10, Outcome::Retry { next_at: at(50) }).await;
    enqueue(&store, &[clear("other", 2, "g:latency"), trip("t1", 3)]).await;
    let outdated = delivery(&store, "c1").await;
    assert_eq!(outdated.state, DeliveryState::Superseded);
    assert_eq!(outdated.superseded_by.as_deref(), Some("t1"));
    assert_eq!(state("other").await, DeliveryState::Pending, "another guardrail's stays");
    for item in lease(&store, 11).await {
        finish(&store, &item, 11, Outcome::Delivered).await;
    }
    // One that is on its way: the trip waits for it, and it is not tried again.
    enqueue(&store, &[clear("c2", 4, "g:errors")]).await;
    let flying = lease(&store, 20).await.remove(0);
    enqueue(&store, &[trip("t2", 5)]).await;
    assert!(lease(&store, 21).await.is_empty(), "it cannot be overtaken in the air");
    finish(&store, &flying, 21, Outcome::Retry { next_at: at(60) }).await;
    assert_eq!(state("c2").await, DeliveryState::Superseded);
    let trips = lease(&store, 22).await;
    assert_eq!(ids(&trips), ["t2"]);
    finish(&store, &trips[0], 22, Outcome::Delivered).await;
    // One that was taken was in time, and the next one comes after the trip.
    enqueue(&store, &[clear("c3", 6, "g:errors")]).await;
    assert_eq!(ids(&lease(&store, 30).await), ["c3"]);
}

pub(in crate::store) async fn what_waits_is_due_when_its_receiver_is_well_again(store: Store) {
    let row = |state, version| EndpointRow {
        state,
        version,
        ..EndpointRow::fresh("chat", "digest", at(0))
    };
    let night = OutboxRow { not_before: at(9_000), ..message("night", "data.stale", 1) };
    let elsewhere = OutboxRow { endpoint: "other".to_owned(), ..message("o1", "data.stale", 1) };
    let apart = |id: &str| OutboxRow { partition: id.to_owned(), ..urgent(id, 1) };
    enqueue(&store, &[apart("t1"), apart("t2"), elsewhere, night]).await;
    for item in lease(&store, 10).await {
        finish(&store, &item, 10, Outcome::Retry { next_at: at(7_000) }).await;
    }
    store.put_endpoint(row(EndpointState::Degraded, 2)).await.unwrap();
    assert!(store.redeliver("t1", at(20)).await.unwrap());
    let probe = lease(&store, 20).await.remove(0);
    let mut taken = attempt(&probe, 20, Outcome::Delivered);
    taken.endpoint = Some(row(EndpointState::Ok, 3));
    store.finish_attempt(taken).await.unwrap();
    assert_eq!(ids(&lease(&store, 21).await), ["t2"], "not an hour later, and nothing else");
    // A person can say so as well, of a pause too.
    let paused = EndpointRow { paused_until: Some(at(8_000)), ..row(EndpointState::Ok, 4) };
    store.put_endpoint(paused).await.unwrap();
    assert!(store.enable_endpoint("chat", at(30)).await.unwrap());
    let known = store.endpoints().await.unwrap().remove(0);
    assert_eq!((known.state, known.paused_until), (EndpointState::Ok, None));
    assert!(!store.enable_endpoint("chat", at(31)).await.unwrap(), "there is nothing to lift");
}
