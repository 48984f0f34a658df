//! The designs of the table of docs/statistics.md, section 3: what is counted, against what, how
//! often it is looked at, and which effect its file is planned for.
//!
//! A file has one outcome; its proxy never delivers anything, so whatever is said is said of the
//! outcome. `from` and `to` of the aim are the levels of the two kinds of runs.

use jiff::tz::TimeZone;
use judge::spec::{Context, Experiment, check};
use judge::time::{HOUR_MS, Timestamp, add_ms, date_of};

use crate::designs::{START, midnight};

/// What the outcome is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// Two concurrent arms.
    Arms,
    /// The stated `from`, taken as exact.
    Stated,
    /// The four weeks before the start.
    Window,
}

/// Where the numbers come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum World {
    /// So many units a day (and arm), each does it or not.
    Share(u32),
    /// Amounts of so many units, lognormal with that sigma; 0 is exponential.
    Amount(u32, f64),
    /// Hits per try of so many units, each with its own rate: a ratio of two sums.
    Tries(u32),
    /// Poisson events over so much exposure a day.
    Events(f64),
    /// A plain series.
    Series(Series),
}

/// A plain series with a standard deviation of ten (of each arm: seven, and ten that both share).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Series {
    /// AR(1) coefficient from step to step.
    pub(crate) phi: f64,
    /// Steps of an hour.
    pub(crate) per_hour: i64,
    /// Whether a daily wave of twenty and a weekend fifteen lower are on top.
    pub(crate) cycles: bool,
}

/// How long and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A look a day for 120 days.
    Daily,
    /// A look every six hours for 30 days.
    SixHours,
    /// Six weeks with three looks a day: for planned looks.
    SixWeeks,
}

/// One design.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    /// As in the table.
    pub(crate) name: &'static str,
    pub(crate) against: Against,
    /// `form`, `want`, `from`, `to`, the threshold.
    pub(crate) outcome: [&'static str; 5],
    /// Standard deviation of one unit, where planning asks for it.
    pub(crate) spread: Option<f64>,
    pub(crate) world: World,
    pub(crate) pace: Pace,
    /// `look:` and what belongs to it, else empty.
    pub(crate) look: &'static str,
}

impl Pace {
    /// Days and looks.
    pub(crate) fn length(self, full: bool) -> (i64, i64) {
        match (self, full) {
            (Self::Daily, true) => (120, 120),
            // Fewer looks would spare the ordinary test, and the data would prove nothing.
            (Self::Daily, false) => (60, 60),
            (Self::SixHours, true) => (30, 120),
            (Self::SixHours, false) => (8, 32),
            (Self::SixWeeks, true) => (42, 126),
            (Self::SixWeeks, false) => (42, 42),
        }
    }
}

impl Design {
    /// The experiment of this design over so many days, and the instants of its looks.
    pub(crate) fn plan(&self, full: bool) -> (Experiment, Vec<Timestamp>) {
        let (days, looks) = self.pace.length(full);
        let text = self.file(days, 24 * days / looks);
        let parsed = check("trial.yaml", &text, &Context::default(), None);
        assert!(!parsed.has_errors(), "{:#?}\n{text}", parsed.diagnostics);
        let step = 24 * days / looks * HOUR_MS;
        let instants = (1..=looks).map(|look| add_ms(midnight(0), look * step));
        (parsed.experiment.unwrap(), instants.collect())
    }

    fn columns(&self) -> &'static str {
        match self.world {
            World::Share(_) => "num: num, den: den",
            World::Amount(..) => "n: n, sum: sum, sum_sq: sum_sq",
            World::Tries(_) => {
                "n: n, num: num, den: den, num_sq: num_sq, den_sq: den_sq, cross: cross"
            }
            World::Events(_) => "events: events, exposure: exposure",
            World::Series(_) => "value: value",
        }
    }

    fn file(&self, days: i64, every: i64) -> String {
        let [form, want, from, to, threshold] = self.outcome;
        let compare = match self.against {
            Against::Arms => {
                "{design: arms, control: control, treatment: treatment, \
                 split: {control: 50%, treatment: 50%}}"
            }
            Against::Stated => "{design: baseline}",
            Against::Window => "{design: before_after, window: 28d}",
        };
        let (arms, arm) = if self.against == Against::Arms { (2, ", arm: arm") } else { (1, "") };
        let (units, keys) = match self.world {
            World::Share(units) => (units, ""),
            World::Amount(units, _) => (units, ", unit: items"),
            World::Tries(units) => (units, ", unit: per try"),
            World::Events(_) => (1, ", unit: per hour"),
            World::Series(Series { per_hour: 4, .. }) => (1, ", grain: 15m, unit: ms"),
            World::Series(_) => (1, ", grain: 1h, unit: ms"),
        };
        // A measured baseline leaves no place for a stated one.
        let measured = self.against == Against::Window;
        let level = if measured { String::new() } else { format!(", from: {from}") };
        let date = |day: i64| date_of(midnight(day), &TimeZone::UTC);
        let (at, by, columns) = (date(days - 1), date(3 * days), self.columns());
        let (per_week, look) = (7 * units * arms, self.look);
        format!(
            "experiment: trial
title: Nothing happens, or just what was planned
owner: {{name: Nobody, contact: \"#aa\"}}
can_stop: [tester]
aim: {{signal: outcome, behaviour: users do it, from: {from}, to: {to}, by: {by}}}
mechanism: {{we_believe: the same page, will_move: outcome, because: somebody said so}}
reversible: yes
if_it_works: nobody believes it
timezone: UTC
compare: {compare}
start: {START}
plan: {{units_per_week: {per_week}}}
signals:
  step:
    {{role: proxy, form: proportion, want: up, from: 40%, matures_after: 0d, source: exports,
      query: {{file: step.csv, time: time, num: num, den: den{arm}}}}}
  outcome:
    {{role: outcome, form: {form}, want: {want}{level}, matures_after: 0d{keys}, source: exports,
      query: {{file: outcome.csv, time: time, {columns}{arm}}}}}
checkpoint: {{at: {at}, continue_when: outcome {threshold}, look_every: {every}h{look}}}
guardrails:
  errors:
    slo: {{objective: 99.9%, source: exports,
      query: {{file: errors.csv, time: time, bad: bad, total: total}}}}
    on_trip: alert
    every: 1d
rollback: {{plan: https://wiki.example.com/undo}}
review: {{every: 7d, minutes: 15}}
"
        )
    }
}

const ONCE: &str = ", look: once";
const WEEKLY: &str = ", look: weekly x6";

const fn counted(
    name: &'static str,
    against: Against,
    outcome: [&'static str; 5],
    world: World,
) -> Design {
    Design { name, against, outcome, spread: None, world, pace: Pace::Daily, look: "" }
}

/// Shares and rates, in arms and against a stated level.
pub(crate) const COUNTS: [Design; 6] = [
    counted(
        "two arms, share 27 %",
        Against::Arms,
        ["proportion", "up", "27%", "29.5%", ">= +1pts"],
        World::Share(100),
    ),
    counted(
        "two arms, rare share 0.25 %",
        Against::Arms,
        ["proportion", "down", "0.25%", "0.12%", "<= -20%"],
        World::Share(500),
    ),
    counted(
        "stated share 27 %",
        Against::Stated,
        ["proportion", "up", "27%", "29%", ">= +1pts"],
        World::Share(100),
    ),
    counted(
        "stated share 0.1 %",
        Against::Stated,
        ["proportion", "up", "0.1%", "0.14%", ">= +0.01pts"],
        World::Share(1_000),
    ),
    counted(
        "two arms, rate 2 an hour",
        Against::Arms,
        ["rate", "up", "2", "2.3", ">= +0.1 per hour"],
        World::Events(10.0),
    ),
    counted(
        "stated rate 2 an hour",
        Against::Stated,
        ["rate", "up", "2", "2.2", ">= +0.1 per hour"],
        World::Events(10.0),
    ),
];

const fn moments(
    name: &'static str,
    to: &'static str,
    spread: f64,
    world: World,
    outcome: [&'static str; 3],
) -> Design {
    let [form, from, threshold] = outcome;
    let outcome = [form, "up", from, to, threshold];
    Design { spread: Some(spread), ..counted(name, Against::Arms, outcome, world) }
}

/// Skewed means and ratios of two arms. The spreads are the standard deviations of the law:
/// `mean sqrt(e^(sigma^2) - 1)`; of the ratio `sqrt(var(hits - R tries))/mean tries`.
pub(crate) const MEANS: [Design; 4] = [
    moments(
        "two arms, mean (exponential, skew 2)",
        "10.6",
        10.0,
        World::Amount(100, 0.0),
        ["mean", "10", ">= +0.2items"],
    ),
    moments(
        "two arms, mean (lognormal, skew 6)",
        "10.8",
        13.1,
        World::Amount(100, 1.0),
        ["mean", "10", ">= +0.2items"],
    ),
    moments(
        "two arms, mean (lognormal, skew 33)",
        "12",
        29.1,
        World::Amount(100, 1.5),
        ["mean", "10", ">= +0.2items"],
    ),
    moments(
        "two arms, ratio of six sums",
        "0.317",
        0.286,
        World::Tries(100),
        ["ratio", "0.3", ">= +0.005 per try"],
    ),
];

const fn series(name: &'static str, against: Against, phi: f64, cycles: bool) -> Design {
    let before_after = matches!(against, Against::Window);
    let (per_hour, pace) = if before_after { (4, Pace::SixHours) } else { (1, Pace::Daily) };
    let world = World::Series(Series { phi, per_hour, cycles });
    let outcome = ["value", "down", "100", "95", "<= -2ms"];
    Design { pace, ..counted(name, against, outcome, world) }
}

/// Series before and after.
pub(crate) const BEFORE_AFTER: [Design; 5] = [
    series("before/after series, AR(1) 0", Against::Window, 0.0, false),
    series("before/after series, AR(1) 0.5", Against::Window, 0.5, false),
    series("before/after series, AR(1) 0.9", Against::Window, 0.9, false),
    series("before/after series, AR(1) 0.97", Against::Window, 0.97, false),
    series("before/after series, cycles, AR(1) 0.5", Against::Window, 0.5, true),
];

/// Series side by side, and against a stated level.
pub(crate) const PAIRED: [Design; 7] = [
    series("paired series, AR(1) 0", Against::Arms, 0.0, false),
    series("paired series, AR(1) 0.5", Against::Arms, 0.5, false),
    series("paired series, AR(1) 0.9", Against::Arms, 0.9, false),
    series("paired series, AR(1) 0.97", Against::Arms, 0.97, false),
    series("paired series, cycles, AR(1) 0.5", Against::Arms, 0.5, true),
    series("series against a stated level, AR(1) 0.5", Against::Stated, 0.5, false),
    series("series against a stated level, cycles, AR(1) 0.5", Against::Stated, 0.5, true),
];

const fn planned(of: Design, name: &'static str, to: &'static str, look: &'static str) -> Design {
    let [form, want, from, _, threshold] = of.outcome;
    let outcome = [form, want, from, to, threshold];
    Design { name, outcome, look, pace: Pace::SixWeeks, ..of }
}

/// Looks that the file plans; in between everybody looks three times a day.
pub(crate) const PLANNED: [Design; 7] = [
    planned(COUNTS[0], "`look: once`, two arms, share 27 %", "30%", ONCE),
    planned(MEANS[1], "`look: once`, two arms, mean (skew 6)", "10.9", ONCE),
    planned(BEFORE_AFTER[0], "`look: once`, before/after series, AR(1) 0", "95", ONCE),
    planned(BEFORE_AFTER[1], "`look: once`, before/after series, AR(1) 0.5", "95", ONCE),
    planned(COUNTS[0], "`look: weekly x6`, two arms, share 27 %", "30%", WEEKLY),
    planned(MEANS[1], "`look: weekly x6`, two arms, mean (skew 6)", "10.9", WEEKLY),
    planned(BEFORE_AFTER[1], "`look: weekly x6`, before/after series, AR(1) 0.5", "95", WEEKLY),
];
