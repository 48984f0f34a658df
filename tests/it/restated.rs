//! Restated data under a verdict that was sent, through the whole daemon on a clock of its own:
//! a CSV export and a Prometheus answer that say something else later. One `verdict.revised`, one
//! record, one log entry, no change of life; a daemon that is killed and started again says it
//! once.

use std::fmt::Write as _;
use std::sync::Arc;

use judge::decide::{Cause, Verdict};
use judge::lifecycle::{Life, LifeState};
use judge::record::EvaluationRecord;
use judge::time::{DAY_MS, Timestamp, add_ms};
use verdictd::app::App;
use verdictd::clock::ManualClock;
use verdictd::store::{DeliveryFilter, EvaluationRow, LogFilter, LogRow, Store};

use super::fakes::home::{Home, Idea, day_text};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::receiver::Receiver;

const STOP_ON_LATENCY: &str = "  latency: {threshold: {source: prom, value: p95_ms, \
     at_most: 400}, every: 1h, on_trip: stop}\n";
const CALM: &str = "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, every: 1h, \
     on_trip: alert}\n";

/// Midnight so many days from today.
fn midnight(days: i64) -> Timestamp {
    format!("{}T00:00:00Z", day_text(days)).parse().unwrap()
}

async fn app(home: &Home, metrics: &Metrics, receiver: &Receiver, clock: &Arc<ManualClock>) -> App {
    let rest = format!(
        "[receivers.hook.webhook]\nurl = \"{}\"\nallow_private = true\n",
        receiver.url("/hook")
    );
    let path = home.settings(&metrics.url(), &rest);
    let loaded = verdictd::settings::load(Some(&path), &[], &[]).unwrap();
    App::start_manual(loaded.settings, clock.clone(), None).await.unwrap()
}

/// Lets the daemon do everything that is due until `to`, instant by instant.
async fn play(app: &App, clock: &ManualClock, to: Timestamp) {
    loop {
        app.settle().await.unwrap();
        let due = app.next_due().await.unwrap();
        match due.filter(|due| *due <= to) {
            Some(due) => clock.advance_to(due),
            None => break,
        }
    }
    clock.advance_to(to);
    app.settle().await.unwrap();
}

async fn newest(store: &Store) -> (EvaluationRow, EvaluationRecord) {
    let row = store.evaluations("copy", None, 1).await.unwrap().remove(0);
    let (row, json) = store.evaluation("copy", row.number).await.unwrap().unwrap();
    (row, EvaluationRecord::from_json(&json).unwrap())
}

async fn life(store: &Store) -> LifeState {
    let context = store.context("copy").await.unwrap().unwrap();
    serde_json::from_str(&context.life_json).unwrap()
}

async fn revisions(store: &Store) -> Vec<LogRow> {
    let filter = LogFilter { limit: 1_000, ..LogFilter::default() };
    let rows = store.decisions(filter).await.unwrap();
    rows.into_iter().filter(|row| row.entry.kind == "revised").collect()
}

async fn told(store: &Store) -> Vec<String> {
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let rows = store.deliveries(filter).await.unwrap().into_iter();
    let revised = rows.filter(|row| row.row.kind == "experiment.verdict.revised");
    revised.map(|row| row.row.body).collect()
}

/// The treatment's 360 of 1,000 a day were the control's 270.
fn restate(home: &Home, treatment: u32) {
    let mut text = "day,arm,num,den\n".to_owned();
    for day in -7..7 {
        let date = day_text(day);
        writeln!(text, "{date},control,270,1000\n{date},treatment,{treatment},1000").unwrap();
    }
    home.put("data/finished.csv", text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restated_export_revises_the_verdict_once_and_changes_no_life() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let receiver = Receiver::start().await;
    home.experiment(&Idea { guardrails: CALM, ..Idea::default() });
    let clock = Arc::new(ManualClock::new(midnight(-7)));
    let first = app(&home, &metrics, &receiver, &clock).await;
    play(&first, &clock, midnight(0)).await;
    let (sent, record) = newest_look(first.store()).await;
    assert_eq!(record.decision.verdict, Verdict::Continue, "{}", sent.headline);
    assert_eq!(revisions(first.store()).await.len(), 0);
    let before = life(first.store()).await;

    // The next day the export says that the treatment did nothing.
    restate(&home, 270);
    play(&first, &clock, add_ms(midnight(1), 1)).await;
    let (row, revised) = restated(first.store()).await;
    assert_eq!((row.scheduled_at, row.revises.as_ref()), (sent.scheduled_at, Some(&sent.id)));
    assert_ne!(revised.decision.verdict, Verdict::Continue);
    let numbers = revised.revised.as_ref().unwrap();
    assert_eq!((numbers.verdict, numbers.changes.len()), (Verdict::Continue, 1));
    let change = &numbers.changes[0];
    assert_eq!(change.subject, "finished");
    assert!((change.before.unwrap() - 0.09).abs() < 1e-9 && change.now.unwrap().abs() < 1e-9);
    assert_eq!(life(first.store()).await.verdict, before.verdict, "no life changes");

    // A killed daemon: its successor finds the track and the record, and says nothing twice.
    drop(first);
    let second = app(&home, &metrics, &receiver, &clock).await;
    play(&second, &clock, add_ms(midnight(6), 1)).await;
    let log = revisions(second.store()).await;
    assert_eq!(log.len(), 1, "{log:?}");
    let text = &log[0].entry.text;
    assert!(text.contains("finished +9.0 pts -> 0.0 pts"), "{text}");
    let told = told(second.store()).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("It was continue: "), "{}", told[0]);
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restated_trip_is_revised_and_stays() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let receiver = Receiver::start().await;
    home.experiment(&Idea { guardrails: STOP_ON_LATENCY, ..Idea::default() });
    let clock = Arc::new(ManualClock::new(midnight(-7)));
    let app = app(&home, &metrics, &receiver, &clock).await;
    metrics.set(Mood::Slow);
    play(&app, &clock, add_ms(midnight(-7), 2 * 3_600_000)).await;
    let (trip, record) = newest(app.store()).await;
    assert_eq!((record.decision.verdict, record.decision.cause), (Verdict::Stop, Cause::Tripped));
    assert_eq!(life(app.store()).await.life, Life::Stopped);

    // What the exporter said was a fault; within the lookback it says 100.
    metrics.set(Mood::Calm);
    play(&app, &clock, add_ms(midnight(-7), DAY_MS)).await;
    let (row, revised) = newest(app.store()).await;
    assert_eq!((row.revises.as_ref(), row.track.as_str()), (Some(&trip.id), "guardrail:latency"));
    assert_eq!(revised.decision.cause, Cause::OnTrack);
    let change = &revised.revised.as_ref().unwrap().changes[0];
    assert_eq!((change.before, change.now), (Some(900.0), Some(100.0)));
    let after = life(app.store()).await;
    assert_eq!((after.life, after.trips.len()), (Life::Stopped, 1), "the trip stays");
    assert_eq!(told(app.store()).await.len(), 1);
    // Where it stands is the stop, not what the restated slot would have said.
    let (standing, _) = app.store().standing("copy").await.unwrap().unwrap();
    assert_eq!(standing.id, trip.id);
    app.shutdown().await.unwrap();
}

const BURNS: &str = "  errors:\n    slo:\n      objective: 99%\n      source: prom\n      \
     bad: errors\n      total: requests\n      scope: service\n      budget: {rolling: 28d}\n      \
     burn: [{severity: page, factor: 10, long: 6h, short: 1h}]\n    every: 1h\n    on_trip: stop\n";

/// The history of a service is read once. A trip is looked at again over the windows of its alerts,
/// not over the whole budget, also by a daemon that was killed in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trip_does_not_sweep_its_budget_again() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let receiver = Receiver::start().await;
    home.experiment(&Idea { guardrails: BURNS, ..Idea::default() });
    let clock = Arc::new(ManualClock::new(midnight(-7)));
    let first = app(&home, &metrics, &receiver, &clock).await;
    play(&first, &clock, add_ms(midnight(-7), 3_600_000)).await;
    let (_, record) = newest(first.store()).await;
    // Every request is an error here.
    assert_eq!(record.decision.cause, Cause::Tripped);
    let days = |asked: &[f64]| asked.iter().sum::<f64>() / 86_400.0;
    let asked = metrics.take_asked();
    assert!((56.0..57.0).contains(&days(&asked)), "28 days of two columns, once: {asked:?}");
    first.shutdown().await.unwrap();
    let again = app(&home, &metrics, &receiver, &clock).await;
    play(&again, &clock, add_ms(midnight(-7), DAY_MS)).await;
    // Two slots of three periods, and one of six hours, of two columns.
    let asked = metrics.take_asked();
    assert!(!asked.is_empty() && days(&asked) <= 1.5, "{asked:?}");
    assert!(revisions(again.store()).await.is_empty());
    again.shutdown().await.unwrap();
}

async fn newest_look(store: &Store) -> (EvaluationRow, EvaluationRecord) {
    find(store, |row| row.track == "look" && row.revises.is_none()).await
}

async fn restated(store: &Store) -> (EvaluationRow, EvaluationRecord) {
    find(store, |row| row.revises.is_some()).await
}

async fn find(
    store: &Store,
    is_it: impl Fn(&EvaluationRow) -> bool,
) -> (EvaluationRow, EvaluationRecord) {
    let rows = store.evaluations("copy", None, 1_000).await.unwrap();
    let row = rows.into_iter().find(is_it).unwrap();
    let (row, json) = store.evaluation("copy", row.number).await.unwrap().unwrap();
    (row, EvaluationRecord::from_json(&json).unwrap())
}
