//! What must be kept over kill -9 of the real daemon: a restatement is told once wherever the kill
//! falls, the clocks of `for` and `keep_firing_for` neither grow nor start anew, and a calendar
//! budget whose period ended in its zone while nobody was there begins anew.
//!
//! Runs that reach back in time are begun in process on a clock of their own; from then on only the
//! real binary touches the store.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::ToSpan as _;
use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::time::{DAY_MS, Timestamp, add_ms, ms_between};
use verdictd::app::App;
use verdictd::clock::{Clock as _, ManualClock, SystemClock};
use verdictd::failpoint::{Point, VARIABLE};
use verdictd::store::{Delivery, DeliveryFilter, DeliveryState, LogFilter, Store};

use super::fakes::daemon::Daemon;
use super::fakes::home::{Home, Idea, day_text, experiment};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::{wait_for, wait_until};
use super::fakes::receiver::Receiver;

const CALM: &str = "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, every: 1h, \
     on_trip: alert}\n";

fn midnight(days: i64) -> Timestamp {
    format!("{}T00:00:00Z", day_text(days)).parse().unwrap()
}

fn hook(receiver: &Receiver) -> String {
    let url = receiver.url("/hook");
    format!("[receivers.hook.webhook]\nurl = \"{url}\"\nallow_private = true\n")
}

/// Plays in process from `from` to `to`, then lets go of the store.
async fn play(home: &Home, from: Timestamp, to: Timestamp) {
    let settings = verdictd::settings::load(Some(&home.settings_path()), &[], &[]).unwrap();
    let clock = Arc::new(ManualClock::new(from));
    let app = App::start_manual(settings.settings, clock.clone(), None).await.unwrap();
    loop {
        app.settle().await.unwrap();
        let due = app.next_due().await.unwrap().filter(|due| *due <= to);
        let Some(due) = due else { break };
        clock.advance_to(due);
    }
    app.shutdown().await.unwrap();
}

/// Both signals of the idea, 1,000 units a day and arm from nine days ago on.
fn exports(home: &Home, finished: u32) {
    for (name, control, treatment) in [("started", 400, 500), ("finished", 270, finished)] {
        let mut text = "day,arm,num,den\n".to_owned();
        for day in (-9..1).map(day_text) {
            writeln!(text, "{day},control,{control},1000\n{day},treatment,{treatment},1000")
                .unwrap();
        }
        home.put(&format!("data/{name}.csv"), text);
    }
}

async fn revised(home: &Home) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let rows = home.store().deliveries(filter).await.unwrap();
    rows.into_iter().filter(|row| row.row.kind == "experiment.verdict.revised").collect()
}

/// The verdict of two days ago is restated; the daemon that finds it out is killed at the point,
/// and another one finishes. How often the revision was taken.
async fn restated_and_killed(point: Point) -> usize {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let receiver = Receiver::start().await;
    let settings = home.settings(&metrics.url(), &hook(&receiver));
    let text = experiment(&Idea { guardrails: CALM, ..Idea::default() });
    let start = |day| format!("start: {}", day_text(day));
    assert!(text.contains(&start(-7)));
    home.put("experiments/copy.yaml", text.replace(&start(-7), &start(-9)));
    exports(&home, 360);
    play(&home, midnight(-9), add_ms(midnight(-2), 1)).await;
    assert!(revised(&home).await.is_empty());

    exports(&home, 270);
    let name = point.as_str();
    let log = home.path().join(format!("{name}.log"));
    let mut daemon = Daemon::start(&settings, &[(VARIABLE, name)], log);
    tokio::task::block_in_place(|| {
        wait_until("the daemon to be held", || {
            daemon.log().contains("held for a test").then_some(())
        });
        daemon.kill();
    });
    let log = home.path().join(format!("{name}-after.log"));
    let mut daemon = Daemon::start(&settings, &[], log);
    let rows = wait_for("the revision to be told", || async {
        let rows = revised(&home).await;
        let is_told = !rows.is_empty() && rows.iter().all(|row| row.state.is_closed());
        is_told.then_some(rows)
    })
    .await;
    tokio::task::block_in_place(|| daemon.stop());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());

    assert_eq!(rows.len(), 1, "{name}");
    assert_eq!(rows[0].state, DeliveryState::Delivered);
    let store = home.store();
    let evaluations = store.evaluations("copy", None, 1_000).await.unwrap();
    assert_eq!(evaluations.iter().filter(|row| row.revises.is_some()).count(), 1, "{name}");
    let filter = LogFilter { limit: 1_000, ..LogFilter::default() };
    let log = store.decisions(filter).await.unwrap();
    assert_eq!(log.iter().filter(|row| row.entry.kind == "revised").count(), 1, "{name}");
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    let received = receiver.received();
    let same = received.iter().filter(|request| request.id() == rows[0].row.id);
    let same: Vec<_> = same.collect();
    assert!(same.iter().all(|request| request.body == rows[0].row.body.as_bytes()));
    same.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restatement_is_told_once_wherever_the_kill_falls() {
    for point in Point::ALL {
        let taken = restated_and_killed(point).await;
        // The receiver has it and nobody knows: that one repetition cannot be avoided.
        let most = if point == Point::BeforeRecord { 2 } else { 1 };
        assert!((1..=most).contains(&taken), "{taken} times at {}", point.as_str());
    }
}

const HELD: &str = "  latency: {threshold: {source: prom, value: p95_ms, at_most: 400}, every: 1s, \
     for: 3s, keep_firing_for: 3s, on_trip: alert}\n";

async fn status(home: &Home) -> Option<GuardrailStatus> {
    // A daemon that has just begun has no store yet.
    let store = Store::open_read_only(&home.store_path()).ok()?;
    let context = store.context("copy").await.ok()??;
    context.guardrails.into_iter().find(|status| status.name == "latency")
}

/// Lets a daemon work until its guardrail is as wanted, and kills it.
async fn until(
    (home, metrics): (&Home, &Metrics),
    mood: Mood,
    log: &str,
    is_it: impl Fn(&GuardrailStatus) -> bool,
) -> GuardrailStatus {
    metrics.set(mood);
    let log = home.path().join(log);
    let mut daemon = Daemon::start(&home.settings_path(), &[], log);
    wait_for("the guardrail", || async { status(home).await.filter(&is_it).map(drop) }).await;
    tokio::task::block_in_place(|| daemon.kill());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    status(home).await.unwrap()
}

/// How long nobody looked in `(from, to]`, by the slots on record as missed.
async fn unseen_ms(home: &Home, from: Timestamp, to: Timestamp) -> i64 {
    let missed = home.store().missed("copy").await.unwrap();
    let within = missed.iter().filter(|one| one.track == "guardrail:latency" && one.to <= to);
    within.filter(|one| one.from > from).map(|one| one.count as i64 * 1_000).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clocks_of_a_guardrail_outlive_kills() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    home.settings(&metrics.url(), "");
    home.experiment(&Idea { guardrails: HELD, notify: "", ..Idea::default() });
    let at = (&home, &metrics);
    until(at, Mood::Calm, "calm.log", |seen| seen.state == GuardrailState::Ok).await;

    // `for`: killed while it waits; what ran before the kill counts, being dead does not.
    let waits = until(at, Mood::Slow, "pending.log", |seen| seen.pending_since.is_some()).await;
    assert_eq!(waits.state, GuardrailState::Ok);
    let began = waits.pending_since.unwrap();
    let is_on = |seen: &GuardrailStatus| seen.state == GuardrailState::Tripped;
    let on = until(at, Mood::Slow, "tripped.log", is_on).await;
    let (clock, since) = (on.pending_since.unwrap(), on.since.unwrap());
    assert_eq!(ms_between(began, clock), unseen_ms(&home, began, since).await, "{waits:?} {on:?}");
    assert_eq!(ms_between(clock, since), 3_000, "three seconds that were looked at");

    // `keep_firing_for`: the same on the way out.
    let clears = until(at, Mood::Calm, "clearing.log", |seen| seen.clearing_since.is_some()).await;
    assert!(is_on(&clears), "{clears:?}");
    let began = clears.clearing_since.unwrap();
    let off = until(at, Mood::Calm, "off.log", |seen| seen.state == GuardrailState::Ok).await;
    let since = off.since.unwrap();
    let unseen = unseen_ms(&home, began, since).await;
    assert_eq!(ms_between(began, since), 3_000 + unseen, "{clears:?} {off:?}");

    // One trip, one end, each on record once.
    let rows = home.store().evaluations("copy", None, 1_000).await.unwrap();
    let rails: Vec<_> = rows.iter().filter(|row| row.track == "guardrail:latency").collect();
    assert_eq!(rails.len(), 3, "first seen, tripped, well: {rails:#?}");
}

/// The newest Monday 00:00 of a zone, and the zone: one whose Monday is over. (While it is Monday
/// on the eastern island it is Sunday on the western one.)
fn week_began() -> (&'static str, Timestamp) {
    let now = SystemClock.wall_now();
    let began = |name: &'static str| {
        let local = now.to_zoned(jiff::tz::TimeZone::get(name).unwrap());
        let days = i64::from(local.date().weekday().to_monday_zero_offset());
        let monday = local.date().checked_sub(days.days()).unwrap();
        (name, monday.to_zoned(local.time_zone().clone()).unwrap().timestamp())
    };
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago"].map(began);
    let is_over = |(_, began): &(&str, Timestamp)| ms_between(*began, now) > DAY_MS + 60_000;
    zones.into_iter().find(is_over).unwrap()
}

const BUDGET: &str = "  errors:\n    slo:\n      objective: 99%\n      source: warehouse\n      \
     query: {file: errors.csv, time: time, bad: bad, total: total}\n      \
     budget: {calendar: week}\n      \
     burn: [{severity: ticket, factor: 90, long: 3d, short: 1d}]\n    every: 1h\n    \
     on_trip: alert\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_budget_begins_anew_though_nobody_was_there() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let receiver = Receiver::start().await;
    let (zone, began) = week_began();
    // 1,000,000 requests a day; 3 % are bad in the week before and none in this one.
    let mut text = "time,bad,total\n".to_owned();
    for day in -5..8 {
        let bad = if day < 0 { 30_000 } else { 0 };
        writeln!(text, "{},{bad},1000000", add_ms(began, day * DAY_MS)).unwrap();
    }
    home.put("data/errors.csv", text);
    let settings = home.settings(&metrics.url(), &hook(&receiver));
    let text = experiment(&Idea { guardrails: BUDGET, ..Idea::default() });
    let start = add_ms(began, -5 * DAY_MS).to_zoned(jiff::tz::TimeZone::get(zone).unwrap());
    let text = text.replace("timezone: UTC", &format!("timezone: {zone}"));
    let file_start = format!("start: {}", day_text(-7));
    home.put(
        "experiments/copy.yaml",
        text.replace(&file_start, &format!("start: {}", start.date())),
    );
    // The last look of the old week: three times its budget is gone. No alert pages here, so
    // that is what trips (ADR 0035).
    play(&home, start.timestamp(), began).await;
    let errors = async |home: &Home| {
        let context = home.store().context("copy").await.unwrap().unwrap();
        context.guardrails.into_iter().find(|status| status.name == "errors").unwrap()
    };
    let old = errors(&home).await;
    assert_eq!(old.state, GuardrailState::Tripped, "{old:?}");
    assert!(old.budget_left.unwrap() < 0.0, "{old:?}");

    // The boundary passed while nobody was there; two real daemons, the first of them killed.
    for log in ["first.log", "second.log"] {
        let mut daemon = Daemon::start(&settings, &[], home.path().join(log));
        wait_for("a look of this week", || async {
            let seen = errors(&home).await;
            (seen.evaluated_at > Some(began)).then_some(())
        })
        .await;
        let new = errors(&home).await;
        assert_eq!((new.state, new.budget_left), (GuardrailState::Ok, Some(1.0)), "{new:?}");
        tokio::task::block_in_place(
            || {
                if log == "first.log" { daemon.kill() } else { daemon.stop() }
            },
        );
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    }
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let rows = home.store().deliveries(filter).await.unwrap();
    let of = |kind: &str| rows.iter().filter(|row| row.row.kind == kind).count();
    assert_eq!((of("guardrail.tripped"), of("guardrail.recovered")), (1, 1));
}
