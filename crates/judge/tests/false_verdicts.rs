//! How often the judge speaks when nothing happens, looked at every day (statistics.md 6).
//!
//! A/A runs go look by look through `decide::evaluate` and `guardrails::judge`, the sequential
//! state fed back. Always: 200 runs of 60 looks per design; with `RUN_SLOW_TESTS=1`: 1,000 runs of
//! 200 looks, whose table stands in docs/statistics.md. Beside it the ordinary test on the same
//! data, which must err in more than a fifth of the runs: else the data would prove nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "one variable picks the size; a missing answer ends the test; rates are printed"
)]

#[path = "false_verdicts/designs.rs"]
mod designs;
#[path = "false_verdicts/dice.rs"]
mod dice;
#[path = "false_verdicts/naive.rs"]
mod naive;
#[path = "false_verdicts/play.rs"]
mod play;
#[path = "false_verdicts/sight.rs"]
mod sight;
#[path = "false_verdicts/trial/mod.rs"]
mod trial;

use std::collections::BTreeMap;

use judge::analyse::SignalState;
use judge::decide::{Cause, Verdict};
use judge::observe::Observation;

use designs::{Design, Run, midnight};
use play::{Player, Said, asked, cycle_of, until};
use sight::Sight;

/// Error rate of the outcome's state, two-sided (product.md 4.2).
const SIGNAL_ALPHA: f64 = 0.05;
/// Error rate of a stop as harmful, one-sided.
const HARM_ALPHA: f64 = 0.025;
/// What all automatic stops of these files may spend: harm, slo and `no_worse_than`.
const STOP_ALPHA: f64 = HARM_ALPHA + 0.01 + 0.05;
/// Least share of runs in which the ordinary test must err.
const NAIVE_LEAST: f64 = 0.2;

/// Counts over all runs of a design.
#[derive(Debug, Default)]
struct Tally {
    runs: f64,
    looks: i64,
    /// The outcome was ever `met` or `harm`.
    decided: f64,
    /// The outcome was ever called changed: `met`, `moving`, `short` or `harm`.
    changed: f64,
    /// `stop: harmful` at any look.
    harmful: f64,
    /// Any `stop` before the checkpoint, guardrails included.
    stopped: f64,
    /// `continue` at the checkpoint.
    passed: f64,
    naive: f64,
}

/// One run.
#[derive(Debug, Default, Clone, Copy)]
struct Course {
    decided: bool,
    changed: bool,
    harmful: bool,
    stopped: bool,
    passed: bool,
}

impl Course {
    fn note(&mut self, said: &Said) {
        use SignalState::{Harm, Met, Moving, Short};
        self.decided |= matches!(said.outcome, Met | Harm);
        self.changed |= matches!(said.outcome, Met | Moving | Short | Harm);
        self.harmful |= said.cause == Cause::Harmful;
        self.stopped |= matches!(said.cause, Cause::Harmful | Cause::Tripped);
        self.passed |= said.verdict == Verdict::Continue;
    }
}

/// Every look of a run, also those after a verdict that would have ended it.
fn course(run: &Run) -> Course {
    let mut player = Player::new(run);
    let mut sights: BTreeMap<String, Sight> = BTreeMap::new();
    let mut eye = |experiment: &_, name: &str, cycle: &_, at, points: &[_]| -> Observation {
        let experiment: &judge::spec::Experiment = experiment;
        let sight = sights.entry(name.to_owned()).or_default();
        let signal = experiment.signal(name).unwrap();
        sight.observation(experiment, signal, cycle, at, points)
    };
    let mut course = Course::default();
    for day in 1..=run.looks {
        for said in player.day(day, &mut eye) {
            course.note(&said);
        }
    }
    course
}

fn tally(design: Design, runs: u64, looks: i64) -> Tally {
    let mut tally = Tally { looks, ..Tally::default() };
    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
    for seed in 0..runs {
        let run = Run::new(design, seed, looks);
        let course = course(&run);
        tally.runs += 1.0;
        tally.decided += one(course.decided);
        tally.changed += one(course.changed);
        tally.harmful += one(course.harmful);
        tally.stopped += one(course.stopped);
        tally.passed += one(course.passed);
        tally.naive += one(naive::calls(&run));
    }
    tally
}

/// alpha and two Monte-Carlo standard errors.
fn at_most(name: &str, count: f64, runs: f64, alpha: f64) {
    let most = alpha + 2.0 * (alpha * (1.0 - alpha) / runs).sqrt();
    let share = count / runs;
    assert!(share <= most, "{name}: {share} of the runs, at most {most} expected");
}

fn hold(design: Design) {
    let slow = std::env::var("RUN_SLOW_TESTS").is_ok_and(|value| value == "1");
    let (runs, looks) = if slow { (1_000, 200) } else { (200, 60) };
    let tally = tally(design, runs, looks);
    let percent = |count: f64| format!("{:.1} %", 100.0 * count / tally.runs);
    println!(
        "| {} | {} x {} | {} | {} | {} | {} | {} | {} |",
        design.name(),
        tally.runs,
        tally.looks,
        percent(tally.decided),
        percent(tally.changed),
        percent(tally.harmful),
        percent(tally.stopped),
        percent(tally.passed),
        percent(tally.naive),
    );
    at_most("met or harm", tally.decided, tally.runs, SIGNAL_ALPHA);
    at_most("called changed", tally.changed, tally.runs, SIGNAL_ALPHA);
    at_most("stop: harmful", tally.harmful, tally.runs, HARM_ALPHA);
    at_most("automatic stop", tally.stopped, tally.runs, STOP_ALPHA);
    let naive = tally.naive / tally.runs;
    assert!(naive > NAIVE_LEAST, "the ordinary test erred in {naive} of the runs only");
}

#[test]
fn two_arms_of_a_share() {
    hold(Design::TwoArms);
}

#[test]
fn a_share_against_a_stated_baseline() {
    hold(Design::StatedBaseline);
}

#[test]
fn two_arms_of_a_mean() {
    hold(Design::Mean);
}

#[test]
fn paired_series_that_depend_on_their_past() {
    hold(Design::PairedSeries);
}

#[test]
fn two_arms_of_rare_events() {
    hold(Design::RareEvents);
}

/// The running sums above are what `observe` answers, at every look, bit for bit.
#[test]
fn running_sums_are_what_observe_sees() {
    for design in Design::ALL {
        let run = Run::new(design, 7, 60);
        let cycle = cycle_of(&run);
        for signal in &run.experiment.signals {
            let (mut sight, points) = (Sight::default(), run.points(&signal.name));
            for day in 1..=run.looks {
                let at = midnight(day);
                let known = until(points, at);
                let mut seen = asked(&run.experiment, signal, &cycle, at, known);
                let mut summed = sight.observation(&run.experiment, signal, &cycle, at, known);
                for observation in [&mut seen, &mut summed] {
                    if let Observation::Ok(observed) | Observation::Insufficient { observed, .. } =
                        observation
                    {
                        observed.digest.clear();
                        // The sight takes the widening from a quotient: equal to the digits of
                        // a record, not to the last bit.
                        let arms = observed.arms.values_mut().filter_map(|it| it.blocks.as_mut());
                        for blocks in arms.chain(observed.paired.as_mut()) {
                            blocks.sd = format!("{:.11e}", blocks.sd).parse().unwrap();
                        }
                    }
                }
                assert_eq!(summed, seen, "{} day {day} of\n{}", signal.name, run.text);
            }
        }
    }
}
