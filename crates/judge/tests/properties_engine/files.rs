//! One experiment with every form and every kind of guardrail, in every design.

use std::collections::BTreeMap;

use judge::observe::Observation;
use judge::record::{Carry, Cycle, LookInput};
use judge::spec::{Context, Experiment, check};
use judge::time::{DAY_MS, Timestamp, add_ms};

/// Designs that a file can name.
pub(crate) const DESIGNS: [&str; 3] = [
    "{design: arms, control: control, treatment: treatment, \
     split: {control: 50%, treatment: 50%}}",
    "{design: baseline}",
    "{design: before_after, window: 28d}",
];
/// Look plans.
pub(crate) const LOOKS: [&str; 3] = ["", ", look: once", ", look: weekly x4"];
/// Evidence modes.
pub(crate) const EVIDENCE: [&str; 4] = ["significant", "proven", "not_refuted", "point"];

/// One guardrail of every kind, and what belongs to them.
const GUARDRAILS: &str = "\
guardrails:
  errors:
    slo: {objective: 99.9%, source: exports,
      query: {file: errors.csv, time: time, bad: bad, total: total}}
    on_trip: stop
    every: 1d
  reopened:
    limit: {at_most: 5%, of: sampled, source: exports,
      query: {file: reopened.csv, time: time, hits: hits, n: n}}
    on_trip: stop
    every: 1d
  latency:
    threshold:
      {source: exports, at_most: 400, query: {file: late.csv, time: time, value: value}}
    on_trip: alert
    for: 2h
    every: 1h
  budget:
    error_budget: {source: exports, at_least: 20%,
      query: {file: budget.csv, time: time, value: value}}
    on_trip: alert
    every: 1h
  care: {no_worse_than: {margin: 2pts, signal: share}, on_trip: stop}
rollback: {plan: https://wiki.example.com/undo}
review: {every: 7d, minutes: 15}
";

/// The file; amounts of `amount` and `level` are in units of `unit`.
pub(crate) fn experiment(design: usize, look: &str, evidence: &str, unit: i64) -> Experiment {
    let compare = DESIGNS[design];
    let arm = if design == 0 { ", arm: arm" } else { "" };
    let from = |level: &str| match design {
        2 => String::new(),
        _ => format!(", from: {level}"),
    };
    let (share, ratio, rate) = (from("27%"), from("0.3"), from("2"));
    let amount = from(&(10 * unit).to_string());
    let level = from(&(100 * unit).to_string());
    let (ten, eleven, hundred, less) = (10 * unit, 11 * unit, 100 * unit, 95 * unit);
    let counts = "matures_after: 0d, source: exports";
    let text = format!(
        "experiment: laws
title: Laws
owner: {{name: Nobody, contact: \"#laws\"}}
can_stop: [tester]
aim:
  - {{signal: share, behaviour: users finish their work, from: 27%, to: 30%, by: 2026-12-01}}
  - {{signal: amount, behaviour: users buy more per visit, from: {ten}, to: {eleven},
      by: 2026-12-01}}
  - {{signal: level, behaviour: users wait less for a page, from: {hundred}, to: {less},
      by: 2026-12-01}}
mechanism: {{we_believe: a better page, will_move: share, because: it is better}}
reversible: yes
if_it_works: everybody gets it
timezone: UTC
compare: {compare}
start: 2026-01-01
plan: {{units_per_week: 1400}}
signals:
  share:
    {{role: outcome, form: proportion, want: up{share}, {counts},
      query: {{file: share.csv, time: time, num: num, den: den{arm}}}}}
  amount:
    {{role: outcome, form: mean, want: up{amount}, unit: items, {counts},
      query: {{file: amount.csv, time: time, n: n, sum: sum, sum_sq: sum_sq{arm}}}}}
  ratio:
    {{role: proxy, form: ratio, want: up{ratio}, unit: per try, {counts},
      query: {{file: ratio.csv, time: time, n: n, num: num, den: den, num_sq: num_sq,
               den_sq: den_sq, cross: cross{arm}}}}}
  rate:
    {{role: proxy, form: rate, want: down{rate}, unit: per hour, {counts},
      query: {{file: rate.csv, time: time, events: events, exposure: exposure{arm}}}}}
  level:
    {{role: outcome, form: value, want: down{level}, grain: 1h, unit: ms, source: exports,
      query: {{file: level.csv, time: time, value: value{arm}}}}}
checkpoint:
  {{at: 2026-03-31, look_every: 1d{look},
   continue_when: share >= +10% and (amount >= +{unit}items or not rate >= +0.5 per hour)
     and ratio >= +0.01 per try and level <= -{unit}ms,
   stop_when: share <= -2pts or level >= +{unit}ms}}
evidence: {evidence}
{GUARDRAILS}"
    );
    let parsed = check("laws.yaml", &text, &Context::default(), None);
    assert!(!parsed.has_errors(), "{:#?}\n{text}", parsed.diagnostics);
    parsed.experiment.unwrap()
}

/// So many days after the start.
pub(crate) fn day(experiment: &Experiment, days: i64) -> Timestamp {
    add_ms(experiment.start, days * DAY_MS)
}

/// The one cycle of an experiment, with its checkpoint at day 90.
pub(crate) fn cycle(experiment: &Experiment) -> Cycle {
    Cycle {
        number: 1,
        started_at: experiment.start,
        first_started_at: experiment.start,
        checkpoint_at: day(experiment, 90),
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// A look with what it sees and remembers.
pub(crate) fn look(
    experiment: &Experiment,
    at: Timestamp,
    observations: BTreeMap<String, Observation>,
    carry: Carry,
) -> LookInput {
    LookInput {
        experiment: experiment.clone(),
        at,
        cycle: cycle(experiment),
        observations,
        guardrails: Vec::new(),
        carry,
        unacknowledged: Vec::new(),
        alarms_since: BTreeMap::new(),
        beside: BTreeMap::new(),
    }
}
