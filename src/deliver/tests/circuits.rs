//! Failing, paused and gone receivers, over a real store and real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use judge::notice::NoticeKind;
use judge::time::{Timestamp, add_ms};

use super::fake::{Fake, Reply};
use super::worker::{Bench, STOP, now};
use crate::clock::Clock;
use crate::deliver::Worker;
use crate::store::{DeliveryState, EndpointRow, EndpointState, Redeliver};

/// A ladder that the tests do not reach the end of.
const LONG: &str = "[0, 1000, 1000, 1000, 1000, 1000]";

/// `sample` posts to `fake`, `ops` to `told`, which hears about delivery.
fn bench(fake: &Fake, told: &Fake) -> Bench {
    let ops = format!("[receivers.ops.webhook]\nurl = \"{}\"\nallow_private = true\n", told.url);
    let mut bench = Bench::new(&fake.url, LONG, &ops);
    bench.settings.delivery.fallback = "ops".to_owned();
    bench
}

async fn endpoint(bench: &Bench, name: &str) -> EndpointRow {
    let rows = bench.store.endpoints().await.unwrap();
    rows.into_iter().find(|row| row.endpoint == name).unwrap()
}

/// The event types that `ops` was told.
fn kinds(told: &Fake) -> Vec<String> {
    let kind = |body: &str| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    };
    told.seen().iter().map(|it| kind(&it.body)).collect()
}

/// The wall clock, some milliseconds later.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn domain_now(&self) -> Timestamp {
        self.wall_now()
    }

    fn wall_now(&self) -> Timestamp {
        add_ms(now(), self.0.load(Ordering::SeqCst))
    }
}

/// A worker and the clock it goes by.
struct Timed {
    worker: Arc<Worker>,
    clock: Arc<Shifted>,
}

fn timed(bench: &Bench, holder: &str) -> Timed {
    let clock = Arc::new(Shifted::default());
    let built = Worker::build(&bench.settings, bench.store.clone(), clock.clone(), holder);
    Timed { worker: Arc::new(built.unwrap()), clock }
}

/// Drains when it is that much later.
async fn later(timed: &Timed, ms: i64) {
    timed.clock.0.store(ms, Ordering::SeqCst);
    while timed.worker.drain_due(timed.clock.wall_now()).await.unwrap() > 0 {}
}

#[tokio::test]
async fn five_failures_degrade_and_one_success_lets_everything_through() {
    let fake = Fake::start(vec![Reply::status(503, "busy")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = bench(&fake, &told);
    for number in 0..5 {
        bench.tell(&format!("a{number}"), &[STOP]).await;
    }
    let worker = timed(&bench, "one");
    later(&worker, 0).await;
    assert_eq!(fake.seen().len(), 5, "then it waits for a probe");
    assert_eq!(kinds(&told), ["endpoint.degraded"]);
    assert_eq!(endpoint(&bench, "sample").await.state, EndpointState::Degraded);
    for name in ["b", "c", "d"] {
        bench.tell(name, &[STOP]).await;
    }
    later(&worker, 0).await;
    assert_eq!(fake.seen().len(), 5, "others wait");
    later(&worker, 6_000).await;
    assert_eq!(fake.seen().len(), 6, "one probe");
    // Another process knows it as well: the state outlives the worker.
    let worker = timed(&bench, "two");
    later(&worker, 0).await;
    assert_eq!(fake.seen().len(), 6);
    bench.tell("e", &[NoticeKind::GuardrailTripped]).await;
    later(&worker, 0).await;
    assert_eq!(fake.seen().len(), 7, "a tripwire does not wait for the probe");
    fake.script("POST", vec![Reply::status(200, "")]);
    later(&worker, 60_000).await;
    assert_eq!(fake.seen().len(), 7 + 9, "each of the nine once");
    let all = bench.deliveries("sample").await;
    assert!(all.iter().all(|it| it.state == DeliveryState::Delivered));
    let waited = all.iter().filter(|it| it.attempts.len() == 1).count();
    assert_eq!(waited, 3, "who waited lost no attempt");
    assert_eq!(kinds(&told), ["endpoint.degraded", "endpoint.recovered"]);
    assert_eq!(endpoint(&bench, "sample").await.state, EndpointState::Ok);
}

#[tokio::test]
async fn a_gone_receiver_is_disabled_until_a_person_enables_it() {
    let fake = Fake::start(vec![Reply::status(410, "")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = bench(&fake, &told);
    bench.tell("a", &[STOP]).await;
    later(&timed(&bench, "one"), 0).await;
    bench.tell("b", &[STOP, NoticeKind::GuardrailTripped]).await;
    let worker = timed(&bench, "two");
    later(&worker, 600_000).await;
    assert_eq!(fake.seen().len(), 1, "also after a restart, also what is urgent");
    assert_eq!(kinds(&told), ["endpoint.disabled"]);
    fake.script("POST", vec![Reply::status(200, "")]);
    assert!(bench.store.enable_endpoint("sample", now()).await.unwrap());
    later(&worker, 2_000).await;
    assert_eq!(fake.seen().len(), 3, "what was queued goes on");
    let dead = bench.store.redeliverable(&Redeliver::default()).await.unwrap();
    assert_eq!(bench.store.redeliver_all(dead, false, now()).await.unwrap(), 1);
    later(&worker, 3_000).await;
    let seen = fake.seen();
    assert_eq!(seen[3].headers["webhook-id"], seen[0].headers["webhook-id"]);
    assert_eq!(seen[3].body, seen[0].body);
    assert_eq!(seen[3].headers["verdictd-trigger"], "manual");
    assert!(!seen[0].headers.contains_key("verdictd-trigger"));
    assert_eq!(kinds(&told), ["endpoint.disabled", "endpoint.recovered"]);
}

#[tokio::test]
async fn another_configuration_enables() {
    let gone = Fake::start(vec![Reply::status(410, "")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let mut bench = bench(&gone, &told);
    bench.tell("a", &[STOP]).await;
    later(&timed(&bench, "one"), 0).await;
    bench.tell("b", &[STOP]).await;
    let moved = Fake::start(vec![Reply::status(200, "")]).await;
    let config = serde_json::json!({"webhook": {"url": moved.url, "allow_private": true}});
    bench.settings.receivers.insert("sample".into(), serde_json::from_value(config).unwrap());
    let worker = timed(&bench, "two");
    later(&worker, 0).await;
    assert_eq!((gone.seen().len(), moved.seen().len()), (1, 1));
    assert_eq!(endpoint(&bench, "sample").await.state, EndpointState::Ok);
}

#[tokio::test]
async fn too_many_pauses_the_destination_and_costs_no_rung() {
    let many = Reply::with_header(429, "retry-after: 30", "");
    let fake = Fake::start(vec![many, Reply::status(200, "")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let mut bench = bench(&fake, &told);
    // One at a time, so that the second message meets the pause.
    bench.settings.delivery.concurrency = 1;
    bench.settings.delivery.ladder_ms = vec![0];
    bench.tell("a", &[STOP]).await;
    bench.tell("b", &[STOP]).await;
    let worker = timed(&bench, "one");
    later(&worker, 0).await;
    assert_eq!(fake.seen().len(), 1, "the other one does not even try");
    later(&worker, 29_000).await;
    assert_eq!(fake.seen().len(), 1);
    let restarted = timed(&bench, "two");
    later(&restarted, 29_000).await;
    assert_eq!(fake.seen().len(), 1, "the pause outlives the worker");
    later(&restarted, 37_000).await;
    let all = bench.deliveries("sample").await;
    assert!(all.iter().all(|it| it.state == DeliveryState::Delivered), "one rung is enough");
    assert!(told.seen().is_empty(), "no failure of the receiver");
}

#[tokio::test]
async fn trouble_with_the_telling_is_not_told() {
    let fake = Fake::start(vec![Reply::status(410, "")]).await;
    let told = Fake::start(vec![Reply::status(410, "")]).await;
    let mut bench = bench(&fake, &told);
    bench.settings.daemon.operators = vec!["sample".to_owned(), "ops".to_owned()];
    bench.tell("a", &[STOP]).await;
    let worker = timed(&bench, "one");
    later(&worker, 60_000).await;
    assert_eq!((fake.seen().len(), told.seen().len()), (1, 1));
    assert_eq!(endpoint(&bench, "ops").await.state, EndpointState::Disabled);
    assert_eq!(bench.deliveries("sample").await.len(), 1, "no notice about the notice");
}

#[tokio::test]
async fn a_skewed_clock_is_one_alarm_and_one_all_clear() {
    let skewed = Reply::with_header(200, "date: Wed, 21 Oct 2015 07:28:00 GMT", "");
    let date = now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let fine = Reply::with_header(200, &format!("date: {date}"), "");
    let fake = Fake::start(vec![skewed.clone(), skewed, fine]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = bench(&fake, &told);
    let worker = timed(&bench, "one");
    for name in ["a", "b", "c"] {
        bench.tell(name, &[STOP]).await;
        later(&worker, 0).await;
    }
    assert_eq!(kinds(&told), ["clock.skewed", "clock.agreed"]);
    assert!(told.seen()[0].body.contains("s behind ours"), "{}", told.seen()[0].body);
}

#[tokio::test]
async fn a_burst_of_unsent_messages_is_one_notice() {
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = bench(&fake, &told);
    let made = bench.tell("a", &[NoticeKind::DataStale, NoticeKind::DataRecovered]).await;
    let worker = timed(&bench, "one");
    let past = made[0].expires_at.as_millisecond() - now().as_millisecond() + 1;
    later(&worker, past).await;
    assert!(fake.seen().is_empty());
    later(&worker, past + 20_000).await;
    later(&worker, past + 40_000).await;
    let rows = bench.deliveries("ops").await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].row.body.contains("2 expired, 0 pushed out"), "{}", rows[0].row.body);
}

#[tokio::test]
async fn a_limit_holds_back_and_loses_nothing() {
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let told = Fake::start(vec![Reply::status(200, "")]).await;
    let mut bench = bench(&fake, &told);
    let config = serde_json::json!({"webhook": {
        "url": fake.url, "allow_private": true, "rate": {"per_sec": 0.1, "burst": 2},
    }});
    bench.settings.receivers.insert("sample".into(), serde_json::from_value(config).unwrap());
    for number in 0..5 {
        bench.tell(&format!("x{number}"), &[STOP]).await;
    }
    let worker = timed(&bench, "one");
    for (ms, sent) in [(0, 2), (9_000, 2), (11_000, 3), (60_000, 5)] {
        later(&worker, ms).await;
        assert_eq!(fake.seen().len(), sent, "after {ms} ms");
    }
}
