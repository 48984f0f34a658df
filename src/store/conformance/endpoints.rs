//! Room, pauses, circuits, and sending again.

use super::delivery::{attempt, delivery, enqueue, finish, ids, lease, urgent};
use super::*;
use crate::store::{
    Attempt, DeliveryFilter, DeliveryState, Dropped, EndpointRow, EndpointState, Finished, Outcome,
    Redeliver, Room, Rooms, Withheld,
};

fn elsewhere(id: &str, endpoint: &str, partition: &str) -> OutboxRow {
    OutboxRow {
        endpoint: endpoint.to_owned(),
        partition: partition.to_owned(),
        ..message(id, "x.y", 1)
    }
}

pub(in crate::store) async fn rooms_bound_what_is_leased_of_each_endpoint(store: Store) {
    for number in 0..4 {
        let partition = format!("p{number}");
        enqueue(&store, &[elsewhere(&format!("a{number}"), "a", &partition)]).await;
        enqueue(&store, &[elsewhere(&format!("b{number}"), "b", &partition)]).await;
        enqueue(&store, &[elsewhere(&format!("c{number}"), "c", &partition)]).await;
    }
    enqueue(&store, &[OutboxRow { endpoint: "c".to_owned(), ..urgent("u", 9) }]).await;
    let rooms = Rooms {
        others: 1,
        named: [
            ("a".to_owned(), Room { rows: 2, only_urgent: false }),
            ("c".to_owned(), Room { rows: 3, only_urgent: true }),
        ]
        .into(),
    };
    let leased = store.lease_outbox(at(10), HOLDER, at(90), rooms).await.unwrap();
    assert_eq!(ids(&leased), ["u", "a0", "b0", "a1"]);
    let none = Rooms::from(0);
    assert!(store.lease_outbox(at(10), HOLDER, at(90), none).await.unwrap().is_empty());
}

pub(in crate::store) async fn a_row_that_is_given_back_was_never_attempted(store: Store) {
    enqueue(&store, &[message("m1", "x.y", 1)]).await;
    let item = lease(&store, 10).await.remove(0);
    store.release_rows("two", vec![("m1".to_owned(), 1)]).await.unwrap();
    assert!(lease(&store, 10).await.is_empty(), "another's row stays where it is");
    store.release_rows(HOLDER, vec![("m1".to_owned(), item.attempt)]).await.unwrap();
    let seen = delivery(&store, "m1").await;
    assert!(seen.attempts.is_empty() && seen.holder.is_none());
    let again = lease(&store, 10).await.remove(0);
    assert_eq!((again.rung, again.state), (0, DeliveryState::Pending));
    // Whoever gave it back cannot finish it any more.
    let late = attempt(&item, 11, Outcome::Delivered);
    assert_eq!(store.finish_attempt(late).await.unwrap(), Finished::LeaseLost);
    finish(&store, &again, 11, Outcome::Delivered).await;
}

pub(in crate::store) async fn a_pause_uses_up_no_rung(store: Store) {
    enqueue(&store, &[message("m1", "x.y", 1)]).await;
    for (now, uses_rung, rung) in [(10, false, 0), (20, true, 0), (30, false, 1), (40, true, 1)] {
        let item = lease(&store, now).await.remove(0);
        assert_eq!(item.rung, rung, "at {now}");
        let next_at = at(now + 10);
        let ended = Attempt { uses_rung, ..attempt(&item, now, Outcome::Retry { next_at }) };
        assert_eq!(store.finish_attempt(ended).await.unwrap(), Finished::Recorded);
    }
    assert_eq!(lease(&store, 50).await[0].rung, 2);
}

pub(in crate::store) async fn the_newest_version_of_an_endpoint_stays(store: Store) {
    assert!(store.endpoints().await.unwrap().is_empty());
    let row = EndpointRow {
        state: EndpointState::Degraded,
        failures: 5,
        failing_since: Some(at(3)),
        probe_at: Some(at(9)),
        paused_until: Some(at(8)),
        cause: Some("timeout".to_owned()),
        skew_ms: Some(-130_000),
        dropped_told_at: Some(at(4)),
        version: 5,
        ..EndpointRow::fresh("chat", "hash", at(7))
    };
    store.put_endpoint(row.clone()).await.unwrap();
    for version in [4, 5] {
        let late = EndpointRow { version, ..EndpointRow::fresh("chat", "hash", at(9)) };
        store.put_endpoint(late).await.unwrap();
        assert_eq!(store.endpoints().await.unwrap(), vec![row.clone()]);
    }
    // An attempt brings what it changed within its own transaction, or not at all.
    enqueue(&store, &[message("m1", "x.y", 1)]).await;
    let item = lease(&store, 10).await.remove(0);
    let newer = EndpointRow { version: 6, ..EndpointRow::fresh("chat", "hash", at(10)) };
    let done = Attempt { endpoint: Some(newer.clone()), ..attempt(&item, 10, Outcome::Delivered) };
    let lost = Attempt { holder: "two".to_owned(), ..done.clone() };
    assert_eq!(store.finish_attempt(lost).await.unwrap(), Finished::LeaseLost);
    assert_eq!(store.endpoints().await.unwrap(), vec![row]);
    assert_eq!(store.finish_attempt(done).await.unwrap(), Finished::Recorded);
    assert_eq!(store.endpoints().await.unwrap(), vec![newer]);
}

pub(in crate::store) async fn an_endpoint_is_enabled_by_a_person(store: Store) {
    let gone = EndpointRow {
        state: EndpointState::Disabled,
        failing_since: Some(at(1)),
        version: 3,
        ..EndpointRow::fresh("chat", "hash", at(2))
    };
    store.put_endpoint(gone).await.unwrap();
    assert!(!store.enable_endpoint("nobody", at(5)).await.unwrap());
    assert!(store.enable_endpoint("chat", at(5)).await.unwrap());
    let row = store.endpoints().await.unwrap().remove(0);
    assert_eq!((row.state, row.failing_since), (EndpointState::Degraded, None));
    assert_eq!((row.version, row.since_at), (4, at(5)));
    store.put_endpoint(EndpointRow { state: EndpointState::Ok, version: 5, ..row }).await.unwrap();
    assert!(!store.enable_endpoint("chat", at(6)).await.unwrap(), "it is well");
}

pub(in crate::store) async fn what_died_unsent_is_counted(store: Store) {
    let soon = |id: &str| OutboxRow {
        expires_at: at(20),
        partition: id.to_owned(),
        ..message(id, "data.stale", 1)
    };
    enqueue(&store, &[soon("m1"), soon("m2"), message("m3", "x.y", 3)]).await;
    assert_eq!(ids(&lease(&store, 20).await), ["m3"]);
    let expired = Dropped {
        endpoint: "chat".to_owned(),
        kind: "data.stale".to_owned(),
        note: "expired".to_owned(),
        count: 2,
    };
    assert_eq!(store.dropped(at(19), at(20)).await.unwrap(), [expired]);
    assert!(store.dropped(at(20), at(90)).await.unwrap().is_empty());
}

pub(in crate::store) async fn what_is_held_back_is_counted_once(store: Store) {
    let withheld = |id: &str, endpoint: &str, withheld| OutboxRow {
        endpoint: endpoint.to_owned(),
        told: Told { withheld: Some(withheld), ..Told::default() },
        ..message(id, "x.y", 1)
    };
    let silence = || Withheld::Silence("sil_1".to_owned());
    let night = OutboxRow { not_before: at(800), ..message("night", "x.y", 2) };
    enqueue(&store, &[message("sent", "x.y", 1), night, withheld("s1", "chat", silence())]).await;
    enqueue(&store, &[withheld("s2", "chat", silence())]).await;
    enqueue(&store, &[withheld("n", "", Withheld::NoReceiver)]).await;
    let digest = Withheld::Digest("daily".to_owned());
    enqueue(&store, &[withheld("d", "tickets", digest)]).await;
    let counts = async |behind| {
        let held = store.held(behind, at(10)).await.unwrap();
        let newest = held.iter().map(|held| held.newest).max();
        let count = |held: crate::store::Held| (held.endpoint, held.policy, held.count);
        (held.into_iter().map(count).collect::<Vec<_>>(), newest)
    };
    let of = |endpoint: &str, policy, count| (endpoint.to_owned(), policy, count);
    let (all, newest) = counts(0).await;
    let expected = [
        of("", "not_routed", 1),
        of("chat", "quiet_hours", 1),
        of("chat", "silence", 2),
        of("tickets", "digest", 1),
    ];
    assert_eq!(all, expected);
    assert!(store.held(0, at(11)).await.unwrap().is_empty(), "made before the process began");
    // The end of quiet hours, and a person's word, change nothing about that it was held.
    assert!(store.redeliver("s1", at(20)).await.unwrap());
    let newest = newest.unwrap();
    assert!(counts(newest).await.0.is_empty());
    enqueue(&store, &[withheld("s3", "chat", silence())]).await;
    assert_eq!(counts(newest).await.0, [of("chat", "silence", 1)]);
}

/// Leases everything that is due and gives all of it up.
async fn kill(store: &Store, now: i64) {
    for item in lease(store, now).await {
        finish(store, &item, now, Outcome::Dead).await;
    }
}

pub(in crate::store) async fn an_outage_is_sent_again_under_the_same_ids(store: Store) {
    let old = OutboxRow { created_at: at(5), ..elsewhere("old", "chat", "p") };
    let action = OutboxRow { lane: Lane::Action, ..urgent("a1", 1) };
    enqueue(&store, &[old, elsewhere("m1", "chat", "q"), elsewhere("t1", "tickets", "q")]).await;
    enqueue(&store, &[action, elsewhere("sent", "chat", "s")]).await;
    let all = lease(&store, 10).await;
    for item in &all {
        let is_sent = item.row.id == "sent";
        let outcome = if is_sent { Outcome::Delivered } else { Outcome::Dead };
        finish(&store, item, 10, outcome).await;
    }
    let of = async |which: Redeliver| store.redeliverable(&which).await.unwrap();
    let none = Redeliver::default();
    assert_eq!(of(none.clone()).await, ["old", "m1", "t1"], "no action, nothing that arrived");
    assert_eq!(of(Redeliver { since: Some(at(6)), ..none.clone() }).await, ["m1", "t1"]);
    assert_eq!(of(Redeliver { partition: Some("q".into()), ..none.clone() }).await, ["m1", "t1"]);
    let chat = Redeliver { endpoint: Some("chat".into()), ..none };
    let ids_of_chat = of(chat).await;
    assert_eq!(ids_of_chat, ["old", "m1"]);
    assert_eq!(store.redeliver_all(ids_of_chat, false, at(50)).await.unwrap(), 2);
    let again = lease(&store, 50).await;
    assert_eq!(ids(&again), ["old", "m1"]);
    assert!(again.iter().all(|item| item.manual && item.is_asked_for && item.attempt == 2));
    assert!(delivery(&store, "m1").await.attempts[1].manual);
}

pub(in crate::store) async fn a_ladder_can_be_climbed_again(store: Store) {
    let row = OutboxRow { expires_at: at(40), ..message("m1", "x.y", 1) };
    enqueue(&store, &[row]).await;
    let item = lease(&store, 10).await.remove(0);
    finish(&store, &item, 10, Outcome::Retry { next_at: at(20) }).await;
    kill(&store, 20).await;
    assert!(store.redeliver_one("m1", true, at(100)).await.unwrap());
    let first = lease(&store, 100).await.remove(0);
    assert_eq!((first.manual, first.is_asked_for, first.rung), (false, true, 0));
    finish(&store, &first, 100, Outcome::Retry { next_at: at(110) }).await;
    let second = lease(&store, 110).await.remove(0);
    assert_eq!((second.manual, second.is_asked_for, second.rung), (false, false, 1));
    finish(&store, &second, 110, Outcome::Retry { next_at: at(120) }).await;
    assert!(lease(&store, 130).await.is_empty(), "as long to live as at first: 30 s");
    assert_eq!(delivery(&store, "m1").await.note.as_deref(), Some("expired"));
    let manual: Vec<_> = delivery(&store, "m1").await.attempts.iter().map(|it| it.manual).collect();
    assert_eq!(manual, [false, false, true, false]);
}

pub(in crate::store) async fn deliveries_are_paged(store: Store) {
    for number in 0..5 {
        enqueue(&store, &[elsewhere(&format!("m{number}"), "chat", "p")]).await;
    }
    enqueue(&store, &[message("other", "data.stale", 9)]).await;
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let kind = Some("x.y".to_owned());
        let filter = DeliveryFilter { kind, before, limit: 2, ..DeliveryFilter::default() };
        let page = store.deliveries(filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.position);
        seen.extend(page.iter().map(|it| it.row.id.clone()));
    }
    assert_eq!(seen, ["m4", "m3", "m2", "m1", "m0"]);
}
