//! What one look costs: single tests, an observation, a whole evaluation and its record.
//!
//! `cargo bench -p judge`. The experiment has five signals and three guardrails; the figures and
//! what they are measured on stand in docs/performance.md.

#![allow(clippy::unwrap_used, reason = "a broken fixture must end the run")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;

use divan::Bencher;
use jiff::tz::TimeZone;
use judge::decide::evaluate;
use judge::observe::{Observation, SeriesInput, observe};
use judge::points::{Point, Sums};
use judge::record::{Carry, Cycle, EvaluationRecord, LookInput};
use judge::spec::{Context, Experiment, check};
use judge::stats::{info_time, one_proportion, rare};
use judge::time::{DAY_MS, Span, Timestamp, add_ms, start_of_day};

const FILE: &str = "experiment: bench
title: One look
owner: {name: Nobody, contact: \"#bench\"}
can_stop: [tester]
aim: {signal: activation, behaviour: new signups complete a first win, from: 27%, to: 35%,
  by: 2026-09-30}
mechanism: {we_believe: the step is unmissable, will_move: activation, because: users stall there}
reversible: yes
if_it_works: it becomes the default
timezone: UTC
compare: {design: arms, control: control, treatment: treatment,
  split: {control: 50%, treatment: 50%}}
start: 2026-06-01
plan: {units_per_week: 2000}
signals:
  step: {role: proxy, form: proportion, want: up, from: 40%, matures_after: 0d, source: w,
    query: {file: step.csv, time: t, arm: arm, num: num, den: den}}
  early: {role: leading, form: proportion, want: up, from: 50%, matures_after: 0d, source: w,
    query: {file: early.csv, time: t, arm: arm, num: num, den: den}}
  activation: {role: outcome, form: proportion, want: up, from: 27%, matures_after: 0d, source: w,
    query: {file: activation.csv, time: t, arm: arm, num: num, den: den}}
  spend: {role: outcome, form: mean, want: up, unit: eur, from: 10, min_effect: 1,
    matures_after: 0d, source: w,
    query: {file: spend.csv, time: t, arm: arm, n: n, sum: sum, sum_sq: sum_sq}}
  csat: {role: guardrail, form: proportion, want: up, from: 80%, matures_after: 0d, source: w,
    query: {file: csat.csv, time: t, arm: arm, num: num, den: den}}
checkpoint:
  at: 2026-07-12
  continue_when: step >= +10% and activation >= +3pts
  stop_when: activation <= -1pts
guardrails:
  errors: {on_trip: stop, slo: {objective: 99.9%, source: w,
    query: {file: e.csv, time: t, bad: bad, total: total}}}
  csat: {no_worse_than: {margin: 2pts, signal: csat}, on_trip: stop}
  early: {no_worse_than: {margin: 3%, signal: early}, on_trip: alert}
rollback: {plan: https://wiki.example.com/undo}
review: {every: 7d, minutes: 15}
";
/// Days behind the look.
const DAYS: i64 = 28;

fn main() {
    divan::main();
}

fn experiment() -> Experiment {
    let parsed = check("bench.yaml", FILE, &Context::default(), None);
    assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
    parsed.experiment.unwrap()
}

fn day(number: i64) -> Timestamp {
    let start = start_of_day("2026-06-01".parse().unwrap(), &TimeZone::UTC);
    add_ms(start, number * DAY_MS)
}

fn cycle(experiment: &Experiment) -> Cycle {
    Cycle {
        number: 1,
        started_at: experiment.start,
        first_started_at: experiment.start,
        checkpoint_at: day(42),
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// Daily points of both arms; the numbers differ a little from day to day.
fn points(signal: &str) -> Vec<Point> {
    let mut points = Vec::new();
    for number in 0..DAYS {
        for (arm, lift) in [("control", 0.0), ("treatment", 2.0)] {
            let wave = ((number * 7) % 5) as f64;
            let sums = match signal {
                "spend" => Sums::Mean { n: 143.0, sum: 1_430.0 + 50.0 * wave, sum_sq: 28_000.0 },
                "activation" => Sums::Proportion { num: 37.0 + wave + lift, den: 143.0 },
                "csat" => Sums::Proportion { num: 38.0 + wave, den: 50.0 },
                _ => Sums::Proportion { num: 60.0 + wave + lift, den: 143.0 },
            };
            points.push(Point {
                arm: arm.to_owned(),
                start: day(number),
                end: day(number + 1),
                sums,
            });
        }
    }
    points
}

fn seen(experiment: &Experiment, name: &str, points: &[Point]) -> Observation {
    let signal = experiment.signal(name).unwrap();
    let input = SeriesInput { points, failure: None, last_good: None, lateness: Span::ZERO };
    observe(experiment, signal, &cycle(experiment), day(DAYS), &input)
}

fn input() -> LookInput {
    let experiment = experiment();
    let signals = experiment.signals.iter();
    let observations: BTreeMap<_, _> = signals
        .map(|signal| {
            let seen = seen(&experiment, &signal.name, &points(&signal.name));
            assert!(matches!(seen, Observation::Ok(_)), "{}", signal.name);
            (signal.name.clone(), seen)
        })
        .collect();
    LookInput {
        at: day(DAYS),
        cycle: cycle(&experiment),
        observations,
        guardrails: Vec::new(),
        carry: Carry::new(),
        unacknowledged: Vec::new(),
        alarms_since: BTreeMap::new(),
        beside: BTreeMap::new(),
        experiment,
    }
}

/// A look that is not the first: every test has its state.
fn later_input() -> LookInput {
    let record = evaluate(input(), 0, None);
    LookInput { carry: record.carry, guardrails: record.guardrails, ..record.input }
}

#[divan::bench]
fn one_test_closed_form() -> (f64, f64) {
    let (d, se, tau) = black_box((0.021, 0.009, 0.08));
    (info_time::half_width_two_sided(se, tau, 0.05), info_time::log_e_two_sided(d, se, tau))
}

#[divan::bench]
fn one_test_one_sided_bisected() -> f64 {
    let (se, tau) = black_box((0.009, 0.08));
    info_time::half_width_one_sided(se, tau, 0.025)
}

#[divan::bench]
fn one_share_exact_interval() -> judge::stats::Interval {
    let (hits, units) = black_box((1_120.0, 4_004.0));
    one_proportion::interval(one_proportion::prior(0.27, 0.35), hits, units, 0.05)
}

#[divan::bench]
fn rare_events_exact_interval() -> judge::stats::Interval {
    let events = black_box(rare::Events {
        treatment: 3.0,
        treatment_size: 2_000.0,
        control: 9.0,
        control_size: 2_000.0,
    });
    rare::interval(&events, 0.05)
}

#[divan::bench]
fn observe_28_days_of_two_arms(bencher: Bencher<'_, '_>) {
    let (experiment, points) = (experiment(), points("activation"));
    bencher.bench_local(|| seen(&experiment, "activation", black_box(&points)));
}

#[divan::bench]
fn evaluate_5_signals_3_guardrails(bencher: Bencher<'_, '_>) {
    let input = later_input();
    bencher.with_inputs(|| input.clone()).bench_local_values(|input| evaluate(input, 0, None));
}

/// The same where nothing of the file is kept from an earlier look on this thread.
#[divan::bench]
fn evaluate_a_file_never_seen(bencher: Bencher<'_, '_>) {
    let input = later_input();
    let number = Cell::new(0);
    let unseen = || {
        number.set(number.get() + 1);
        let mut input = input.clone();
        input.experiment.title = number.get().to_string();
        input
    };
    bencher.with_inputs(unseen).bench_local_values(|input| evaluate(input, 0, None));
}

#[divan::bench]
fn write_the_record(bencher: Bencher<'_, '_>) {
    let record = evaluate(later_input(), 0, None);
    bencher.bench_local(|| black_box(&record).to_json());
}

#[divan::bench]
fn read_the_record(bencher: Bencher<'_, '_>) {
    let text = evaluate(later_input(), 0, None).to_json();
    bencher.bench_local(|| EvaluationRecord::from_json(black_box(&text)).unwrap());
}
