//! The delivery task over a real store and real sockets.

use std::path::Path;
use std::sync::Arc;

use judge::notice::{Notice, NoticeKind};
use judge::time::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::actions::{config, flag};
use super::fake::{After, Fake, Reply};
use super::{at, secret};
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::deliver::enqueue::{ActionOrder, Routes, action_row, rows};
use crate::deliver::{Worker, sample_notices};
use crate::settings::{self, Settings};
use crate::store::{Delivery, DeliveryFilter, DeliveryState, OutboxRow, Store};

/// A ladder without waiting, so that one drain can climb it.
const LADDER: &str = "[0, 0, 0]";

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) settings: Settings,
}

impl Bench {
    /// Receiver `sample` posts to `url`; `more` is further TOML.
    pub(super) fn new(url: &str, ladder: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toml = format!(
            "[delivery]\nladder_ms = {ladder}\naction_ladder_ms = [0, 5]\ntimeout_ms = 300\n\
             [receivers.sample.webhook]\nurl = \"{url}\"\nallow_private = true\n{more}"
        );
        let path = folder.path().join("verdictd.toml");
        std::fs::write(&path, toml).unwrap();
        let settings = settings::load(Some(&path), &[], &[]).unwrap().settings;
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        Self { folder, store, settings }
    }

    pub(super) fn worker(&self, holder: &str) -> Arc<Worker> {
        let clock: SharedClock = Arc::new(SystemClock);
        let built = Worker::build(&self.settings, self.store.clone(), clock, holder);
        Arc::new(built.unwrap())
    }

    fn routes(&self) -> Routes {
        Routes::from_settings(&self.settings, "https://v.example".to_owned())
    }

    /// Notices of that experiment, told to `sample`.
    pub(super) async fn tell(&self, experiment: &str, kinds: &[NoticeKind]) -> Vec<OutboxRow> {
        let notice = |(index, kind): (usize, &NoticeKind)| Notice {
            id: format!("{experiment}-{index}-{}", kind.as_str()),
            kind: *kind,
            subject: "errors".to_owned(),
            experiment: experiment.to_owned(),
            at: at(),
            previous: None,
            detail: None,
        };
        let notices: Vec<_> = kinds.iter().enumerate().map(notice).collect();
        let notify = ["sample".to_owned(), "nobody".to_owned()];
        let made = rows(&notices, None, &notify, &self.routes(), now(), 1);
        self.store.enqueue(made.clone()).await.unwrap();
        made
    }

    pub(super) async fn deliveries(&self, endpoint: &str) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            endpoint: Some(endpoint.to_owned()),
            limit: 100,
            ..DeliveryFilter::default()
        };
        self.store.deliveries(filter).await.unwrap()
    }

    pub(super) async fn only(&self, endpoint: &str) -> Delivery {
        let mut found = self.deliveries(endpoint).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

pub(super) fn now() -> Timestamp {
    SystemClock.wall_now()
}

/// Drains until nothing is due any more, as the demo does.
async fn settle(worker: &Arc<Worker>) {
    while worker.drain_due(now()).await.unwrap() > 0 {}
}

/// Waits for what a running task brings about, but not for ever.
async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.unwrap();
}

pub(super) const STOP: NoticeKind = NoticeKind::VerdictStop;

#[tokio::test]
async fn a_message_is_sent_once_with_its_id_and_its_bytes() {
    let fake = Fake::start(vec![Reply::status(200, "thanks")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    let made = bench.tell("a", &[STOP]).await;
    assert_eq!(made.len(), 1, "unknown receivers are left out");
    let worker = bench.worker("one");
    settle(&worker).await;
    settle(&worker).await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].headers["webhook-id"], &seen[0].body), (&made[0].id, &made[0].body));
    let delivery = bench.only("sample").await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let attempt = &delivery.attempts[0];
    assert_eq!((attempt.status, attempt.detail.as_deref()), (Some(200), Some("thanks")));
}

#[tokio::test]
async fn retries_repeat_the_same_bytes_and_end() {
    let fake = Fake::start(vec![Reply::status(500, "")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    bench.tell("a", &[STOP]).await;
    settle(&bench.worker("one")).await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 3, "one for each rung");
    assert!(seen.iter().all(|it| it.body == seen[0].body));
    assert!(seen.iter().all(|it| it.headers["webhook-id"] == seen[0].headers["webhook-id"]));
    let delivery = bench.only("sample").await;
    assert_eq!(delivery.state, DeliveryState::Dead);
    assert_eq!(delivery.attempts.len(), 3);
    assert!(delivery.attempts.iter().all(|it| it.class.as_deref() == Some("server_error")));
}

#[tokio::test]
async fn a_later_rung_waits_and_what_is_urgent_does_not() {
    let fake = Fake::start(vec![Reply::status(503, ""), Reply::status(200, "")]).await;
    let bench = Bench::new(&fake.url, "[0, 60000]", "");
    let first = bench.tell("a", &[NoticeKind::VerdictContinue]).await;
    let worker = bench.worker("one");
    assert_eq!(worker.drain_due(now()).await.unwrap(), 1);
    bench.tell("a", &[STOP, NoticeKind::GuardrailTripped]).await;
    settle(&worker).await;
    let kinds: Vec<_> = fake
        .seen()
        .iter()
        .map(|it| serde_json::from_str::<serde_json::Value>(&it.body).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["experiment.verdict.continue", "guardrail.tripped"]);
    let waiting = bench.deliveries("sample").await;
    let head = waiting.iter().find(|it| it.row.id == first[0].id).unwrap();
    assert_eq!(head.state, DeliveryState::Pending);
    assert!(head.next_at > now());
}

#[tokio::test]
async fn too_large_is_tried_once_smaller() {
    let fake = Fake::start(vec![Reply::status(413, ""), Reply::status(200, "")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    bench.tell("a", &[STOP]).await;
    settle(&bench.worker("one")).await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].body.len() < seen[0].body.len());
    assert!(seen[1].body.contains("\"truncated\":true"));
    assert_eq!(bench.only("sample").await.state, DeliveryState::Delivered);
    fake.script("POST", vec![Reply::status(413, "")]);
    bench.tell("b", &[STOP]).await;
    settle(&bench.worker("one")).await;
    assert_eq!(fake.seen().len(), 4, "smaller once, then dead");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_left_alone() {
    let fake = Fake::start(vec![Reply::status(410, "")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    bench.tell("a", &[STOP]).await;
    let worker = bench.worker("one");
    settle(&worker).await;
    bench.tell("b", &[STOP]).await;
    settle(&worker).await;
    assert_eq!(fake.seen().len(), 1, "nothing more is sent there");
    let states: Vec<_> = bench.deliveries("sample").await.iter().map(|it| it.state).collect();
    assert!(states.contains(&DeliveryState::Dead) && states.contains(&DeliveryState::Pending));
}

#[tokio::test]
async fn a_slow_endpoint_does_not_hold_up_another() {
    let slow = Fake::start(vec![Reply::silent(After::Hang)]).await;
    let quick = Fake::start(vec![Reply::status(200, "")]).await;
    let more =
        format!("[receivers.quick.webhook]\nurl = \"{}\"\nallow_private = true\n", quick.url);
    let bench = Bench::new(&slow.url, "[0, 60000]", &more);
    // As many as are sent at once: what comes after them would go back to wait for a probe.
    for name in 0..16 {
        bench.tell(&format!("slow-{name}"), &[STOP]).await;
    }
    let sample = sample_notices(at()).pop().unwrap();
    let notify = ["quick".to_owned()];
    let made = rows(&[sample.notice], None, &notify, &bench.routes(), now(), 1);
    bench.store.enqueue(made).await.unwrap();
    let worker = bench.worker("one");
    assert_eq!(worker.drain_due(now()).await.unwrap(), 17);
    let quick = bench.only("quick").await;
    assert_eq!(quick.state, DeliveryState::Delivered);
    let slow = bench.deliveries("sample").await;
    assert!(slow.iter().all(|it| it.attempts[0].class.as_deref() == Some("timeout")));
    let first_timeout = slow.iter().filter_map(|it| it.attempts[0].finished_at).min();
    assert!(quick.attempts[0].finished_at < first_timeout);
}

#[tokio::test]
async fn the_running_task_sends_what_it_is_told_and_stops_when_told() {
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    let (worker, stop) = (bench.worker("one"), CancellationToken::new());
    let task = tokio::spawn({
        let (worker, stop) = (worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    bench.tell("a", &[STOP]).await;
    worker.notify();
    until(async || bench.only("sample").await.state == DeliveryState::Delivered).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn two_workers_share_without_sending_twice() {
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = Bench::new(&fake.url, LADDER, "");
    for name in 0..30 {
        bench.tell(&format!("x{name}"), &[STOP]).await;
    }
    let (one, two) = (bench.worker("one"), bench.worker("two"));
    tokio::join!(settle(&one), settle(&two));
    assert_eq!(fake.seen().len(), 30);
    let all = bench.deliveries("sample").await;
    assert!(all.iter().all(|it| it.state == DeliveryState::Delivered && it.attempts.len() == 1));
}

/// A trip whose action turns off the flag of `fake`, and the receiver `sample` at `chat`.
async fn tripped(fake: &Fake, chat: &Fake, more: serde_json::Value) -> Bench {
    let mut bench = Bench::new(&chat.url, LADDER, "");
    let action = config(&fake.url, &more);
    bench.settings.actions.insert("turn-off-checklist".to_owned(), action.clone());
    let samples = sample_notices(at());
    let trip = samples.iter().find(|it| it.notice.kind == NoticeKind::GuardrailTripped).unwrap();
    let order = ActionOrder {
        action: "turn-off-checklist",
        config: &action,
        trip: &trip.notice,
        record: trip.record.as_ref().unwrap(),
    };
    let row = action_row(order, &bench.routes().links, now(), 7);
    bench.store.enqueue(vec![row]).await.unwrap();
    bench
}

#[tokio::test]
async fn a_rollback_is_followed_until_the_flag_reads_off_and_told_once() {
    let fake = Fake::by_method(vec![
        ("POST", vec![Reply::status(500, ""), Reply::status(202, "")]),
        ("GET", vec![flag(true), flag(true), flag(false)]),
    ])
    .await;
    let chat = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = tripped(&fake, &chat, json!({})).await;
    let (worker, stop) = (bench.worker("one"), CancellationToken::new());
    let task = tokio::spawn({
        let (worker, stop) = (worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    until(async || !chat.seen().is_empty()).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let delivery = bench.only("turn-off-checklist").await;
    assert_eq!(delivery.state, DeliveryState::Confirmed);
    let methods: Vec<_> = fake.seen().into_iter().map(|it| it.method).collect();
    assert_eq!(methods, ["POST", "POST", "GET", "GET", "GET"]);
    let told: serde_json::Value = serde_json::from_str(&chat.seen()[0].body).unwrap();
    assert_eq!(told["type"], "action.confirmed");
    let reason = told["data"]["reason"].as_str().unwrap();
    assert!(reason.contains("Rollback confirmed in 0."), "{reason}");
    assert_eq!(chat.seen().len(), 1);
    let view = bench.store.action_state("sample-checklist").await.unwrap();
    assert!(view[0].seconds.is_some_and(|seconds| reason.contains(&format!("{seconds:.1} s"))));
}

/// A worker dies between the request and its record: another asks again, with the same id.
#[tokio::test]
async fn a_rollback_survives_the_death_of_its_worker() {
    let fake =
        Fake::by_method(vec![("POST", vec![Reply::status(200, "")]), ("GET", vec![flag(false)])])
            .await;
    let chat = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = tripped(&fake, &chat, json!({})).await;
    let (begun, past) = (now(), judge::time::add_ms(now(), -1));
    let lost = bench.store.lease_outbox(begun, "dead", past, 10).await.unwrap();
    assert_eq!(lost.len(), 1, "leased by somebody who never comes back");
    settle(&bench.worker("two")).await;
    let delivery = bench.only("turn-off-checklist").await;
    assert_eq!(delivery.state, DeliveryState::Confirmed);
    assert_eq!(delivery.attempts.len(), 2);
    assert_eq!(fake.seen()[0].headers["webhook-id"], delivery.row.id);
    assert_eq!(chat.seen().len(), 1);
}

#[tokio::test]
async fn a_rollback_that_is_not_armed_is_told_and_not_sent() {
    let fake = Fake::by_method(vec![("POST", vec![Reply::status(200, "")])]).await;
    let chat = Fake::start(vec![Reply::status(200, "")]).await;
    let bench = tripped(&fake, &chat, json!({"armed": false})).await;
    settle(&bench.worker("one")).await;
    assert!(fake.seen().is_empty());
    assert_eq!(bench.only("turn-off-checklist").await.state, DeliveryState::Dead);
    assert!(chat.seen()[0].body.contains("action.failed"));
}

#[tokio::test]
async fn every_wrong_receiver_is_named_at_once() {
    let bench =
        Bench::new("file:///x", LADDER, "[receivers.b.webhook]\nurl = \"http://10.0.0.1\"\n");
    let clock: SharedClock = Arc::new(SystemClock);
    let built = Worker::build(&bench.settings, bench.store.clone(), clock, "one");
    let errors = built.unwrap_err().to_string();
    assert!(errors.contains("sample: only http and https"), "{errors}");
    assert!(errors.contains("b: 10.0.0.1 is a private"), "{errors}");
}

#[tokio::test]
async fn a_slack_receiver_gets_its_own_body() {
    let fake = Fake::start(vec![Reply::status(200, "ok")]).await;
    let mut bench = Bench::new(&fake.url, LADDER, "");
    let url = secret(Path::new(bench.folder.path()), "slack", &fake.url);
    let slack = json!({"slack": {"url": url, "allow_private": true}});
    let slack = serde_json::from_value(slack).unwrap();
    bench.settings.receivers.insert("sample".to_owned(), slack);
    bench.tell("a", &[STOP]).await;
    settle(&bench.worker("one")).await;
    assert!(fake.seen()[0].body.contains("\"blocks\":"));
    assert_eq!(bench.only("sample").await.state, DeliveryState::Delivered);
}
