//! kill -9 at any instant loses nothing and doubles nothing: fifty real daemons, one store file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use judge::analyse::GuardrailState;
use judge::record::EvaluationRecord;
use verdictd::store::{Delivery, DeliveryFilter, DeliveryState};

use super::fakes::daemon::Daemon;
use super::fakes::home::{Home, Idea};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::{wait_for, wait_until};
use super::fakes::receiver::{Received, Receiver};

const KILLS: u64 = 50;
const SEED: u64 = 20_260_811;

/// Short ladder, short leases, two endpoints.
fn delivery(receiver: &Receiver) -> String {
    let ladder = vec!["20"; 200].join(", ");
    format!(
        "[delivery]\nladder_ms = [0, {ladder}]\ntimeout_ms = 400\nlease_secs = 1\n\
         [receivers.hook.webhook]\nurl = \"{}\"\nallow_private = true\n\
         [receivers.tickets.webhook]\nurl = \"{}\"\nallow_private = true\n",
        receiver.url("/hook"),
        receiver.url("/tickets")
    )
}

/// A number in `0..bound`, the same for every run of the test (splitmix64).
fn draw(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

/// Fifty starts, each killed at its own instant: some while it still starts, most while it works,
/// every fifth while a receiver has a message and has not answered yet.
fn kill_many(home: &Home, settings: &Path, receiver: &Receiver) {
    let mut state = SEED;
    for round in 0..KILLS {
        home.experiment(&Idea {
            id: &format!("idea-{round:02}"),
            guardrails: "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, \
                         every: 1h, on_trip: alert}\n",
            notify: "hook, tickets",
            ..Idea::default()
        });
        let log = home.path().join(format!("daemon-{round}.log"));
        let mut daemon = Daemon::start(settings, &[], log);
        if round % 5 != 0 {
            daemon.address();
        }
        let before = receiver.received().len();
        if round % 5 == 4 {
            let is_sending = || (receiver.received().len() > before).then_some(());
            wait_until("a message on its way", is_sending);
        } else {
            std::thread::park_timeout(Duration::from_millis(draw(&mut state, 500)));
        }
        daemon.kill();
        let said = daemon.log();
        assert!(!said.contains("panicked"), "round {round}:\n{said}");
        if round == KILLS / 2 {
            stay_down();
        }
    }
}

/// Down for longer than the guardrails' rhythm of one second: those slots must be on record.
fn stay_down() {
    let killed = std::time::Instant::now();
    let is_long = || (killed.elapsed() > Duration::from_millis(2_500)).then_some(());
    wait_until("slots to be missed", is_long);
}

async fn outbox(home: &Home) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 100_000, ..DeliveryFilter::default() };
    home.store().deliveries(filter).await.unwrap()
}

/// The instants a daemon was given are over: now it may finish.
async fn drain(home: &Home, settings: &Path) -> Vec<Delivery> {
    let mut daemon = Daemon::start(settings, &[], home.path().join("drain.log"));
    tokio::task::block_in_place(|| daemon.address());
    let looked_at = format!("idea-{:02}", KILLS - 1);
    wait_for("the last idea's verdict", || async {
        let rows = home.store().evaluations(&looked_at, None, 10).await.unwrap();
        (!rows.is_empty()).then_some(())
    })
    .await;
    wait_for("an empty outbox", || async {
        let rows = outbox(home).await;
        rows.iter().all(|row| row.state.is_closed()).then_some(())
    })
    .await;
    daemon.stop();
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    outbox(home).await
}

/// Every message taken, and each repetition of it the same bytes under the same id.
fn compare(rows: &[Delivery], received: &[Received]) -> usize {
    let known: BTreeMap<&str, &Delivery> =
        rows.iter().map(|row| (row.row.id.as_str(), row)).collect();
    assert_eq!(known.len(), rows.len(), "one id, one row");
    let delivered = rows.iter().filter(|row| row.state == DeliveryState::Delivered);
    let delivered: BTreeSet<&str> = delivered.map(|row| row.row.id.as_str()).collect();
    let taken: BTreeSet<&str> =
        received.iter().filter(|request| request.taken).map(Received::id).collect();
    assert!(delivered.is_subset(&taken), "{:?}", delivered.difference(&taken));
    assert!(taken.iter().all(|id| known.contains_key(id)), "the receiver knows no other messages");
    let mut repeated = 0;
    let mut seen = BTreeSet::new();
    for request in received {
        let row = &known[request.id()].row;
        assert_eq!(request.body, row.body.as_bytes(), "{}", request.id());
        assert_eq!(request.path, format!("/{}", row.endpoint));
        repeated += usize::from(request.taken && !seen.insert(request.id()));
    }
    // Only an all-clear that was not recorded before its guardrail tripped again is let go.
    // (On a slow machine a receiver may count as unwell; nobody is named to hear of that.)
    let unheard = |row: &&Delivery| row.state == DeliveryState::NotRouted;
    let told = rows.iter().filter(|row| !unheard(row));
    for row in told.filter(|row| row.state != DeliveryState::Delivered) {
        assert_eq!(row.state, DeliveryState::Superseded, "{row:?}");
        assert_eq!(row.row.kind, "guardrail.recovered", "{row:?}");
        let trip = known[row.superseded_by.as_deref().unwrap()];
        assert_eq!(trip.row.kind, "guardrail.tripped");
        assert_eq!(trip.state, DeliveryState::Delivered);
        assert_eq!(trip.row.told.topic, row.row.told.topic);
        assert_eq!(trip.row.partition, row.row.partition);
        assert!(trip.row.sequence > row.row.sequence, "{row:?}");
    }
    repeated
}

/// No slot is in the store twice, numbers have no gaps, and the file is sound.
async fn slots(home: &Home) -> (usize, usize) {
    let store = home.store();
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    let mut slots = BTreeSet::new();
    let mut verdicts = 0;
    for experiment in store.experiments().await.unwrap() {
        let rows = store.evaluations(&experiment.id, None, 100_000).await.unwrap();
        for (row, number) in rows.iter().rev().zip(1..) {
            assert_eq!(row.number, number, "{}", experiment.id);
            verdicts += usize::from(row.track == "look");
            let slot = (experiment.id.clone(), row.track.clone(), row.scheduled_at);
            assert!(slots.insert((slot, row.revises.clone())), "twice: {row:?}");
        }
    }
    (slots.len(), verdicts)
}

/// Every transition and every verdict of the store was told to both receivers.
async fn nothing_untold(home: &Home, rows: &[Delivery]) {
    let store = home.store();
    let told: BTreeSet<(&str, &str)> =
        rows.iter().map(|row| (row.row.endpoint.as_str(), row.row.partition.as_str())).collect();
    for experiment in store.experiments().await.unwrap() {
        for endpoint in ["hook", "tickets"] {
            let key = (endpoint, experiment.id.as_str());
            assert!(told.contains(&key), "{key:?} was never told anything");
        }
    }
    let transitions = |id: &str| {
        let id = id.to_owned();
        let store = store.clone();
        async move {
            let rows = store.evaluations(&id, None, 100_000).await.unwrap();
            let of_rails: Vec<_> = rows.iter().filter(|row| row.track != "look").collect();
            // The first look opens a state; only one that opens broken has something to say.
            let first = of_rails.last().unwrap();
            let (_, json) = store.evaluation(&id, first.number).await.unwrap().unwrap();
            let record = EvaluationRecord::from_json(&json).unwrap();
            let is_silent = record.guardrails[0].state == GuardrailState::Ok;
            of_rails.len() - usize::from(is_silent)
        }
    };
    for id in ["flip-0", "flip-1", "flip-2", "flip-3"] {
        let of_rails = rows.iter().filter(|row| {
            row.row.partition == id
                && row.row.endpoint == "hook"
                && row.row.kind.starts_with("guardrail.")
        });
        assert_eq!(of_rails.count(), transitions(id).await, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_and_commit_nothing_twice() {
    let home = Home::new();
    let metrics = Metrics::start(Mood::Flip).await;
    let every_third_fails = Arc::new(|number: usize| match number % 3 {
        2 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    });
    let receiver = Receiver::slow(every_third_fails, Duration::from_millis(60)).await;
    let settings = home.settings(&metrics.url(), &delivery(&receiver));
    for number in 0..4 {
        home.experiment(&Idea {
            id: &format!("flip-{number}"),
            notify: "hook, tickets",
            ..Idea::default()
        });
    }
    tokio::task::block_in_place(|| kill_many(&home, &settings, &receiver));
    metrics.set(Mood::Calm);
    let rows = drain(&home, &settings).await;
    let received = receiver.received();
    let repeated = compare(&rows, &received);
    let (slots, verdicts) = slots(&home).await;
    nothing_untold(&home, &rows).await;
    assert!(repeated > 0, "a kill before the answer costs a duplicate");
    assert!(rows.len() > 150, "only {} messages flowed", rows.len());
    assert!(verdicts as u64 >= KILLS, "only {verdicts} verdicts");
    let missed: Vec<_> = home.store().missed("flip-0").await.unwrap();
    assert!(!missed.is_empty(), "downtime is on record");
    eprintln!(
        "{KILLS} kills: {slots} evaluations ({verdicts} looks), {} messages, {} requests, \
         {} refused, {repeated} repeated with the same bytes",
        rows.len(),
        received.len(),
        received.iter().filter(|request| !request.taken).count(),
    );
}
