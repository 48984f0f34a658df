//! Gates of a real daemon, called as Flagger, Argo Rollouts and pipelines call them, and the
//! examples of `deploy/` held against it.

mod examples;
mod pipeline;
mod world;

use std::time::Duration;

use serde_json::{Value, json};

use super::fakes::daemon::Daemon;
use super::fakes::process::{free_port, wait_for};
use super::fakes::rollouts::Flagger;
use world::{STANDINGS, World};

fn flagger() -> Flagger {
    Flagger::new(Duration::from_secs(10), 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_meets_every_gate() {
    let world = World::start().await;
    let flagger = flagger();
    for standing in STANDINGS {
        let metadata = json!({"experiment": standing.id});
        let mut seen = Vec::new();
        for door in ["rollout", "promote", "rollback"] {
            let url = world.url(&format!("/gate/{door}"));
            let called = flagger.call(&url, metadata.clone()).await;
            assert_eq!(called.body.lines().count(), 1, "{standing:?} {called:?}");
            assert!(matches!(called.status, Some(200 | 403)), "{standing:?} {called:?}");
            assert!(called.body.contains(standing.word.to_uppercase().as_str()), "{called:?}");
            seen.push(called.passes());
        }
        let expected = [standing.opens, standing.opens, standing.fires];
        assert_eq!(seen, expected, "{standing:?}");
        let path = format!("/api/v1/experiments/{}/verdict", standing.id);
        let flat = world.site.json(&path).await;
        assert_eq!(
            (flat["verdict"].as_str(), flat["cause"].as_str()),
            (Some(standing.word), Some(standing.cause)),
            "{standing:?} {flat}"
        );
        assert_eq!(flat["final"], standing.is_final, "{standing:?}");
        // What may be allowed opens on it; a stop and what is not known never open.
        let leave = json!({"experiment": standing.id, "allow": "collecting,hold,change,stale"});
        let called = flagger.call(&world.url("/gate/promote"), leave).await;
        let may = !matches!(standing.word, "stop" | "unknown");
        assert_eq!(called.passes(), may, "{standing:?} {called:?}");
    }
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn age_shuts_the_gates_and_ends_a_rollback() {
    let world = World::start().await;
    let flagger = flagger();
    let ask = |door: &str, id: &str, age: &str| {
        let (url, metadata) =
            (world.url(&format!("/gate/{door}")), json!({"experiment": id, "max_age": age}));
        let flagger = &flagger;
        async move { flagger.call(&url, metadata).await }
    };
    assert!(ask("promote", "going", "60d").await.passes());
    let old = ask("promote", "going", "1s").await;
    assert!(!old.passes() && old.body.contains("STALE - going"), "{old:?}");
    assert!(ask("promote", "graduated", "1s").await.passes(), "what is over does not age");
    assert!(ask("rollback", "tripped", "60d").await.passes());
    wait_for("the stop to be a second old", || async {
        let called = ask("rollback", "tripped", "0s").await;
        (!called.passes() && called.body.contains("does not fire")).then_some(())
    })
    .await;
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_opens_nothing_and_comes_back_with_the_same_answers() {
    let port = free_port();
    let mut world = World::start_on(port).await;
    let flagger = Flagger::new(Duration::from_secs(2), 2);
    let going = json!({"experiment": "going"});
    let tripped = json!({"experiment": "tripped"});
    let (promote, rollback) = (world.url("/gate/promote"), world.url("/gate/rollback"));
    assert!(flagger.call(&promote, going.clone()).await.passes());
    // Somebody waits while it is killed.
    let sequence = world.site.json("/api/v1/experiments/going/verdict").await["sequence"].clone();
    let poll = format!("/api/v1/experiments/going/verdict?wait=60s&since={sequence}");
    let site = world.site.clone();
    let waiter = tokio::spawn(async move {
        site.attempt(reqwest::Method::GET, &poll, &[], Vec::new()).await.is_err()
    });
    world.daemon.kill();
    assert!(waiter.await.unwrap(), "the connection is cut");
    for (url, metadata) in [(&promote, &going), (&rollback, &tripped)] {
        let called = flagger.call(url, metadata.clone()).await;
        assert_eq!((called.status, called.attempts), (None, 3), "{called:?}");
        assert!(!called.passes());
    }
    let log = world.home.path().join("again.log");
    world.daemon = Daemon::start(&world.home.settings_path(), &world::SECRETS, log);
    tokio::task::block_in_place(|| world.daemon.address());
    wait_for("the promotion to be open again", || async {
        flagger.call(&promote, going.clone()).await.passes().then_some(())
    })
    .await;
    assert!(flagger.call(&rollback, tripped).await.passes());
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_hears_news_outlives_the_deadline_and_ends_with_the_daemon() {
    let mut world = World::start().await;
    let path = "/api/v1/experiments/paused/verdict";
    let known = world.site.json(path).await["sequence"].clone();
    let poll = format!("{path}?wait=60s&since={known}");
    let site = world.site.clone();
    let waiter = tokio::spawn(async move { site.json(&poll).await });
    world.decide("paused", "archive").await;
    let heard = waiter.await.unwrap();
    assert_eq!(heard["cause"], "archived", "{heard}");

    // Longer than the 20 s that every other answer may take.
    let sequence = world.site.json("/api/v1/experiments/draft/verdict").await["sequence"].clone();
    let poll = format!("/api/v1/experiments/draft/verdict?wait=21s&since={sequence}");
    let asked = std::time::Instant::now();
    let answer = world.site.get(&poll).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(asked.elapsed() >= Duration::from_secs(21), "{:?}", asked.elapsed());

    let site = world.site.clone();
    let poll = format!("/api/v1/experiments/draft/verdict?wait=60s&since={sequence}");
    let waiter = tokio::spawn(async move { site.get(&poll).await });
    wait_for("the poll to be waiting", || async {
        world.site.get("/gate/draft?wait=1s").await;
        (!waiter.is_finished()).then_some(())
    })
    .await;
    let stopping = std::time::Instant::now();
    tokio::task::block_in_place(|| world.daemon.stop());
    assert!(stopping.elapsed() < Duration::from_secs(15), "nobody is waited for");
    assert_eq!(waiter.await.unwrap().status, 200, "the waiter has its answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_asked_for_and_never_logged() {
    let world =
        World::with("[[gates.tokens]]\nname = \"flagger\"\ntoken = {env = \"GATE\"}\n").await;
    let flagger = flagger();
    let promote = world.url("/gate/promote");
    let with = json!({"experiment": "going", "token": "gate-secret"});
    assert!(flagger.call(&promote, with).await.passes());
    let in_url = format!("{promote}?token=gate-secret");
    assert!(flagger.call(&in_url, json!({"experiment": "going"})).await.passes());
    for wrong in [json!({"experiment": "going"}), json!({"experiment": "tripped", "token": "x"})] {
        for door in ["rollout", "promote", "rollback"] {
            let called = flagger.call(&world.url(&format!("/gate/{door}")), wrong.clone()).await;
            assert_eq!(called.status, Some(403), "{door} {called:?}");
        }
    }
    let log = world.daemon.log();
    assert!(log.contains("a gate was asked"), "{log}");
    assert!(!log.contains("gate-secret"), "{log}");
    world.stop();
}

/// The document as it is served by the daemon that the tests run is the committed one.
#[tokio::test(flavor = "multi_thread")]
async fn the_served_document_is_the_committed_one() {
    let world = World::start().await;
    let served = world.site.json("/api/v1/openapi.json").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(served, committed);
    world.stop();
}
