//! Five experiments in which nothing happens, each with the data of its days.
//!
//! Every one has a proxy, an outcome, a signal that must not fall and an error budget that is used
//! exactly as planned: all four stand at the border between "nothing" and "something", where a
//! test that is looked at too often errs most. The text is the file a team would write, the points
//! are what its exports would say.

use jiff::tz::TimeZone;
use judge::points::{ALL, Point, Sums};
use judge::spec::{Context, Experiment, check};
use judge::time::{DAY_MS, HOUR_MS, Timestamp, add_ms, date_of, start_of_day};

use super::dice::Dice;

/// First instant of every run.
pub(crate) const START: &str = "2026-01-01";
/// Hours of one step of a plain series.
const STEP_HOURS: i64 = 6;
/// Units of an average day, over both arms (per arm for series and means below).
const UNITS: u32 = 200;
/// Units of a day whose satisfaction is asked.
const ASKED: u32 = 50;
/// Requests of a day; the objective 99.9 % lets one in a thousand fail, and one does.
const REQUESTS: f64 = 5_000.0;

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Design {
    /// Two concurrent arms of a share, 27 % in both.
    TwoArms,
    /// A share against the stated 27 %, and it is 27 %.
    StatedBaseline,
    /// Two arms of a skewed amount per unit (exponential, mean 10).
    Mean,
    /// Two plain series of six-hour steps that depend on their own past (AR(1), phi 0.5).
    PairedSeries,
    /// Two arms of something that one unit in four hundred does.
    RareEvents,
}

impl Design {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 5] =
        [Self::TwoArms, Self::StatedBaseline, Self::Mean, Self::PairedSeries, Self::RareEvents];

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TwoArms => "two arms, share",
            Self::StatedBaseline => "stated baseline, share",
            Self::Mean => "two arms, mean",
            Self::PairedSeries => "paired series, AR(1) 0.5",
            Self::RareEvents => "two arms, rare events",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Self::TwoArms => "two-arms",
            Self::StatedBaseline => "stated-baseline",
            Self::Mean => "mean",
            Self::PairedSeries => "paired-series",
            Self::RareEvents => "rare-events",
        }
    }

    /// Whether it has concurrent arms.
    pub(crate) fn has_arms(self) -> bool {
        self != Self::StatedBaseline
    }

    fn arms(self) -> &'static [&'static str] {
        if self.has_arms() { &["control", "treatment"] } else { &[ALL] }
    }

    /// `form`, `want`, `from`, `to`, the threshold, further keys and columns of the outcome.
    fn outcome(self) -> [&'static str; 7] {
        let counts = "num: num, den: den";
        match self {
            Self::TwoArms | Self::StatedBaseline => {
                ["proportion", "up", "27%", "30%", ">= +3pts", "matures_after: 0d", counts]
            }
            Self::Mean => {
                let moments = "n: n, sum: sum, sum_sq: sum_sq";
                let more = "matures_after: 0d, unit: items";
                ["mean", "up", "10", "11", ">= +1items", more, moments]
            }
            Self::PairedSeries => {
                let more = "grain: 6h, unit: ms";
                ["value", "down", "100", "95", "<= -5ms", more, "value: value"]
            }
            Self::RareEvents => {
                ["proportion", "down", "0.25%", "0.05%", "<= -0.1pts", "matures_after: 0d", counts]
            }
        }
    }
}

/// One A/A run: its file and everything its sources will ever say.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) design: Design,
    pub(crate) looks: i64,
    pub(crate) text: String,
    pub(crate) experiment: Experiment,
    /// Points by series: the signals' names and `errors`, each in time order.
    pub(crate) series: [(&'static str, Vec<Point>); 4],
}

/// Midnight `day` days after the start.
pub(crate) fn midnight(day: i64) -> Timestamp {
    let start = start_of_day(START.parse().unwrap(), &TimeZone::UTC);
    add_ms(start, day * DAY_MS)
}

impl Run {
    /// The run of one seed, looked at once a day for `looks` days.
    pub(crate) fn new(design: Design, seed: u64, looks: i64) -> Self {
        let id = format!("aa-{}-{seed}", design.slug());
        let text = file(design, &id, looks);
        let parsed = check(&format!("{id}.yaml"), &text, &Context::default(), None);
        assert!(!parsed.has_errors(), "{:#?}\n{text}", parsed.diagnostics);
        let experiment = parsed.experiment.unwrap();
        let mut dice = Dice::new(seed + 1_000_003 * design as u64);
        let series = days(design, looks, &mut dice);
        Self { design, looks, text, experiment, series }
    }

    /// Points of one series.
    pub(crate) fn points(&self, name: &str) -> &[Point] {
        let found = self.series.iter().find(|(series, _)| *series == name);
        found.map_or(&[], |(_, points)| points)
    }
}

/// The file of a run.
fn file(design: Design, id: &str, looks: i64) -> String {
    let [form, want, from, to, threshold, more, columns] = design.outcome();
    let compare = if design.has_arms() {
        "{design: arms, control: control, treatment: treatment, \
         split: {control: 50%, treatment: 50%}}"
    } else {
        "{design: baseline}"
    };
    let arm = if design.has_arms() { ", arm: arm" } else { "" };
    // A checkpoint is at the end of its date: the last of the looks.
    let date = |day: i64| date_of(midnight(day), &TimeZone::UTC);
    let (at, by) = (date(looks - 1), date(3 * looks));
    let query = |name: &str, columns: &str| format!("{{file: {id}_{name}.csv, {columns}{arm}}}");
    let counts = "time: time, num: num, den: den";
    let (step, care) = (query("step", counts), query("care", counts));
    let outcome = query("outcome", &format!("time: time, {columns}"));
    format!(
        "experiment: {id}
title: Nothing happens
owner: {{name: Nobody, contact: \"#aa\"}}
can_stop: [tester]
aim: {{signal: outcome, behaviour: users do what they did, from: {from}, to: {to}, by: {by}}}
mechanism: {{we_believe: the same page twice, will_move: outcome, because: it should not}}
reversible: yes
if_it_works: nobody believes it
timezone: UTC
compare: {compare}
start: {START}
plan: {{units_per_week: 1400}}
signals:
  step:
    {{role: proxy, form: proportion, want: up, from: 40%, matures_after: 0d, source: exports,
      query: {step}}}
  care:
    {{role: guardrail, form: proportion, want: up, from: 80%, matures_after: 0d, source: exports,
      query: {care}}}
  outcome:
    {{role: outcome, form: {form}, want: {want}, from: {from}, {more}, source: exports,
      query: {outcome}}}
checkpoint: {{at: {at}, continue_when: step >= +10% and outcome {threshold}}}
guardrails:
  errors:
    slo: {{objective: 99.9%, source: exports,
      query: {{file: {id}_errors.csv, time: time, bad: bad, total: total}}}}
    on_trip: stop
    every: 1d
  care: {{no_worse_than: {{margin: 2pts, signal: care}}, on_trip: stop}}
rollback: {{plan: https://wiki.example.com/undo}}
review: {{every: 7d, minutes: 15}}
"
    )
}

/// All points of all days.
fn days(design: Design, looks: i64, dice: &mut Dice) -> [(&'static str, Vec<Point>); 4] {
    let arms = design.arms();
    let (mut step, mut care, mut outcome, mut errors) = (vec![], vec![], vec![], vec![]);
    let mut waves = Waves::default();
    for day in 0..looks {
        let (from, to) = (midnight(day), midnight(day + 1));
        let mut left = UNITS;
        for (index, arm) in arms.iter().enumerate() {
            let last = index + 1 == arms.len();
            let units = if last { left } else { dice.hits(UNITS, 0.5) as u32 };
            left -= units;
            let point = |sums| Point { arm: (*arm).to_owned(), start: from, end: to, sums };
            step.push(point(share(dice, units, 0.4)));
            care.push(point(share(dice, ASKED, 0.8)));
            match design {
                Design::TwoArms | Design::StatedBaseline => {
                    outcome.push(point(share(dice, units, 0.27)));
                }
                Design::RareEvents => outcome.push(point(share(dice, units, 0.0025))),
                Design::Mean => outcome.push(point(amounts(dice, units))),
                Design::PairedSeries => {}
            }
        }
        if design == Design::PairedSeries {
            outcome.extend(waves.day(dice, day, arms));
        }
        let sums = Sums::Proportion { num: dice.poisson(REQUESTS / 1_000.0), den: REQUESTS };
        errors.push(Point { arm: ALL.to_owned(), start: from, end: to, sums });
    }
    [("step", step), ("care", care), ("outcome", outcome), ("errors", errors)]
}

fn share(dice: &mut Dice, units: u32, share: f64) -> Sums {
    Sums::Proportion { num: dice.hits(units, share), den: f64::from(units) }
}

fn amounts(dice: &mut Dice, units: u32) -> Sums {
    let (mut sum, mut sum_sq) = (0.0, 0.0);
    for _ in 0..units {
        let amount = dice.exponential(10.0);
        sum += amount;
        sum_sq += amount * amount;
    }
    Sums::Mean { n: f64::from(units), sum, sum_sq }
}

/// The load both arms share and each arm's own noise, all AR(1).
#[derive(Default)]
struct Waves {
    shared: f64,
    own: [f64; 2],
}

impl Waves {
    fn day(&mut self, dice: &mut Dice, day: i64, arms: &[&str]) -> Vec<Point> {
        const PHI: f64 = 0.5;
        let spread = (1.0 - PHI * PHI).sqrt();
        let mut points = Vec::new();
        for step in 0..24 / STEP_HOURS {
            let start = add_ms(midnight(day), step * STEP_HOURS * HOUR_MS);
            let end = add_ms(start, STEP_HOURS * HOUR_MS);
            self.shared = PHI * self.shared + 10.0 * spread * dice.normal();
            for (own, arm) in self.own.iter_mut().zip(arms) {
                *own = PHI * *own + 7.0 * spread * dice.normal();
                let sums = Sums::Value { value: 100.0 + self.shared + *own };
                points.push(Point { arm: (*arm).to_owned(), start, end, sums });
            }
        }
        points
    }
}
