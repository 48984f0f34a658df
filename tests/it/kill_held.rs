//! kill -9 while the policy holds messages back: queued for the end of quiet hours, waiting for a
//! digest, silenced. Each is still held by the next process, and told exactly once or not at all.
//!
//! The real daemon is killed on the real clock; the hours after that pass on a clock of our own,
//! over the store that was left.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use judge::time::{Timestamp, add_ms};
use tokio::net::TcpListener;
use verdictd::app::App;
use verdictd::clock::{Clock, SystemClock};
use verdictd::cycle::policy::{By, NewSilence, add_silence};
use verdictd::failpoint::{Point, VARIABLE};
use verdictd::store::{Delivery, DeliveryFilter, DeliveryState, Store};

use super::fakes::daemon::Daemon;
use super::fakes::home::{Home, Idea};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::{wait_for, wait_until};
use super::fakes::receiver::{Received, Receiver};

const HOUR_MS: i64 = 3_600_000;
/// Experiment and receiver of each way to be held back.
const WAYS: [&str; 3] = ["quiet", "daily", "mute"];

/// The clock of the hours after the kills.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn domain_now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn wall_now(&self) -> Timestamp {
        self.domain_now()
    }
}

/// Quiet hours and a digest that begin an hour ago and end, or are sent, in three to four hours.
fn settings(home: &Home, prometheus: &str, receivers: &[Receiver; 3]) -> std::path::PathBuf {
    let hour = |hours: i64| add_ms(SystemClock.wall_now(), hours * HOUR_MS).strftime("%H:00");
    let (from, to) = (hour(-1).to_string(), hour(4).to_string());
    let mut text = format!(
        "[quiet_hours.nights]\nzone = \"UTC\"\nfrom = \"{from}\"\nto = \"{to}\"\n\
         receivers = [\"quiet\"]\n[digests.daily]\nto = \"daily\"\nat = \"{to}\"\nzone = \"UTC\"\n"
    );
    for (name, receiver) in WAYS.iter().zip(receivers) {
        let url = receiver.url("/hook");
        writeln!(text, "[receivers.{name}.webhook]\nurl = \"{url}\"\nallow_private = true")
            .unwrap();
    }
    home.settings(prometheus, &text)
}

async fn silence(home: &Home) {
    let store = Store::open(&home.store_path()).unwrap();
    let new = NewSilence {
        matcher: serde_json::from_value(serde_json::json!({"experiment": "mute"})).unwrap(),
        ends_at: add_ms(SystemClock.wall_now(), 20 * 24 * HOUR_MS),
        who: "ana",
        reason: "the warehouse moves",
        by: By::Terminal,
        id: None,
    };
    add_silence(&store, &SystemClock, new).await.unwrap();
}

/// The row of each way that says the verdict, once there is one of each.
async fn held(home: &Home) -> [Delivery; 3] {
    wait_for("a verdict of each experiment", || async {
        let rows = verdicts(home).await;
        let of = |way: &str| rows.iter().find(|row| row.row.partition == way).cloned();
        Some([of(WAYS[0])?, of(WAYS[1])?, of(WAYS[2])?])
    })
    .await
}

async fn verdicts(home: &Home) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() };
    let rows = home.store().deliveries(filter).await.unwrap();
    let is_verdict = |row: &Delivery| row.row.kind.starts_with("experiment.verdict.");
    rows.into_iter().filter(is_verdict).collect()
}

/// Lets the daemon be held at the point, or tell what there is, and kills it.
async fn killed(home: &Home, settings: &std::path::Path, point: Option<Point>) {
    let name = point.map_or("at rest", Point::as_str);
    let log = home.path().join(format!("{name}.log"));
    let variables: Vec<_> = point.iter().map(|point| (VARIABLE, point.as_str())).collect();
    let mut daemon = Daemon::start(settings, &variables, log);
    if point.is_none() {
        held(home).await;
    }
    tokio::task::block_in_place(|| {
        if point.is_some() {
            let is_held = || daemon.log().contains("held for a test").then_some(());
            wait_until("the daemon to be held", is_held);
        }
        daemon.kill();
    });
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

fn of_row<'a>(received: &'a [Received], row: &Delivery) -> Vec<&'a Received> {
    received.iter().filter(|one| one.id() == row.row.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_holds_back_survives_kills_and_is_told_once_or_not_at_all() {
    let home = Home::new();
    let metrics = Metrics::start(Mood::Calm).await;
    let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let settings = settings(&home, &metrics.url(), &receivers);
    silence(&home).await;
    for way in WAYS {
        let guardrails = "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, \
                          every: 1h, on_trip: alert}\n";
        home.experiment(&Idea { id: way, guardrails, notify: way, ..Idea::default() });
    }
    for point in [Some(Point::BeforeInsert), Some(Point::Inserted), None, None] {
        killed(&home, &settings, point).await;
    }
    let before = held(&home).await;
    let states = [DeliveryState::Pending, DeliveryState::Digest, DeliveryState::Silenced];
    for (row, state) in before.iter().zip(states) {
        assert_eq!((row.state, row.attempts.len()), (state, 0), "{}", row.row.partition);
    }
    let sent = || receivers.each_ref().map(Receiver::received);
    assert!(sent().iter().all(Vec::is_empty), "nobody was told anything");
    let ready_at = before[0].row.not_before;
    assert!(ready_at > add_ms(SystemClock.wall_now(), HOUR_MS), "quiet for hours yet");

    let clock = Arc::new(Hands(AtomicI64::new(SystemClock.wall_now().as_millisecond())));
    let app = start(&settings, &clock).await;
    pass(&app, &clock, add_ms(ready_at, -1)).await;
    assert!(sent().iter().all(Vec::is_empty), "a millisecond too early");
    pass(&app, &clock, ready_at).await;
    app.shutdown().await.unwrap();
    // A restart after it was told tells nothing again.
    let app = start(&settings, &clock).await;
    pass(&app, &clock, add_ms(ready_at, 30 * HOUR_MS)).await;
    app.shutdown().await.unwrap();
    let [quiet, daily, mute] = sent();
    let told = of_row(&quiet, &before[0]);
    assert_eq!(told.len(), 1, "queued: exactly once");
    assert_eq!(told[0].body, before[0].row.body.as_bytes(), "the bytes that were committed");
    assert!(of_row(&daily, &before[1]).is_empty(), "a digest says it, not the message");
    let digests = daily.iter().filter(|one| one.json()["type"] == "digest").count();
    assert_eq!((digests, daily.len()), (1, 1), "one digest, and no second one without news");
    assert!(mute.is_empty(), "silenced is silenced");
    let after = held(&home).await;
    let states = [DeliveryState::Delivered, DeliveryState::Digest, DeliveryState::Silenced];
    for (row, state) in after.iter().zip(states) {
        assert_eq!(row.state, state, "{}", row.row.partition);
    }
    assert!(after[1].superseded_by.is_some(), "the row says which digest said it");
    assert_eq!(verdicts(&home).await.len(), WAYS.len(), "no verdict was made twice");
    assert_eq!(home.store().integrity_check().await.unwrap(), Vec::<String>::new());
}

async fn start(settings: &std::path::Path, clock: &Arc<Hands>) -> App {
    let loaded = verdictd::settings::load(Some(settings), &[], &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    App::start_manual(loaded.settings, clock.clone(), Some(listener)).await.unwrap()
}

/// Hour by hour, as a daemon would live it.
async fn pass(app: &App, clock: &Hands, until: Timestamp) {
    while clock.wall_now() < until {
        let next = add_ms(clock.wall_now(), HOUR_MS).min(until);
        clock.0.store(next.as_millisecond(), Ordering::SeqCst);
        app.settle().await.unwrap();
    }
}
