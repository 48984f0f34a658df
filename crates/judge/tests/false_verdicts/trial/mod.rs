//! Every design of statistics.md 1 in which nothing happens, and in which the planned effect
//! happens: how often is it called, how soon, and do the intervals hold the truth at every look?
//!
//! Always: 25 runs of 30 to 42 looks in which nothing happens. With `RUN_SLOW_TESTS=1`: 400 runs of
//! 120 looks and as many with the effect of the aim; their tables stand in docs/statistics.md.

mod designs;
mod eye;
mod naive;
mod tables;
mod world;

use std::collections::BTreeMap;

use judge::analyse::{SignalState, SignalView, Truth};
use judge::decide::{Cause, Verdict, evaluate};
use judge::observe::Observation;
use judge::planning::{Question, power_plan};
use judge::record::{Carry, Cycle, LookInput};
use judge::spec::{Experiment, MethodName};
use judge::time::{DAY_MS, Timestamp, ms_between};

use crate::designs::midnight;
use crate::dice::Dice;
use crate::play::until;
use designs::Design;
use eye::Eye;
use naive::Naive;

/// The levels of the comparison and the aim, and what the aim wants to change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    from: f64,
    to: f64,
}

/// One run.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Some look could be judged.
    judged: bool,
    decided: bool,
    changed: bool,
    harmful: bool,
    passed: bool,
    naive: bool,
    /// By method: whether the interval held the truth at every look.
    covered: BTreeMap<&'static str, bool>,
    /// Days until `met`.
    met: Option<f64>,
    /// The rule was true at the checkpoint.
    found: bool,
}

/// All runs of one design.
pub(crate) struct Trial {
    design: Design,
    looks: usize,
    nothing: Vec<Course>,
    effect: Vec<Course>,
    /// Chance that the rule is true at the checkpoint, by the plan.
    chance: Option<f64>,
}

fn trial(design: Design, slow: bool) -> Trial {
    let runs = if slow { 400 } else { 25 };
    let (experiment, instants) = design.plan(slow);
    let aimed = &experiment.aims[0];
    let aim = Aim { from: aimed.from.unwrap(), to: aimed.to.unwrap() };
    let still = Aim { to: aim.from, ..aim };
    let all = |aim: Aim, runs: u64| {
        let one = |seed| course(&design, &experiment, &instants, aim, seed);
        (0..runs).map(one).collect::<Vec<_>>()
    };
    let mut question = Question::default();
    question.spreads.extend(design.spread.map(|spread| ("outcome".to_owned(), spread)));
    Trial {
        design,
        looks: instants.len(),
        nothing: all(still, runs),
        effect: all(aim, if slow { runs } else { 0 }),
        chance: power_plan(&experiment, &question).chance,
    }
}

fn cycle(experiment: &Experiment, end: Timestamp) -> Cycle {
    Cycle {
        number: 1,
        started_at: experiment.start,
        first_started_at: experiment.start,
        checkpoint_at: end,
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// Every look of one run, also those after a verdict that would have ended it.
fn course(
    design: &Design,
    experiment: &Experiment,
    instants: &[Timestamp],
    aim: Aim,
    seed: u64,
) -> Course {
    let end = instants[instants.len() - 1];
    let days = ms_between(experiment.start, end) / DAY_MS;
    let name: u64 = design.name.bytes().fold(7, |all, byte| all * 31 % 1_000_003 + u64::from(byte));
    let mut dice = Dice::new(seed + 1_000_003 * name);
    let points = world::points(design, days, (aim.from, aim.to), &mut dice);
    let (mut eye, mut naive) = (Eye::new(design, &points), Naive::new(design, aim.from));
    let cycle = cycle(experiment, end);
    let (mut carry, mut statuses) = (Carry::new(), Vec::new());
    let mut course = Course::default();
    let mut kept = Some(experiment.clone());
    for &at in instants {
        let known = until(&points, at);
        let experiment = kept.take().unwrap();
        let seen = eye.see(&experiment, &cycle, at, known);
        naive.look(&experiment, known, seen.as_ref());
        let Some(seen) = seen else {
            kept = Some(experiment);
            continue;
        };
        let silent = Observation::NoData { since: None, why: "never delivered".to_owned() };
        let input = LookInput {
            observations: BTreeMap::from([
                ("outcome".to_owned(), seen),
                ("step".to_owned(), silent),
            ]),
            experiment,
            at,
            cycle: cycle.clone(),
            guardrails: std::mem::take(&mut statuses),
            carry: std::mem::take(&mut carry),
            unacknowledged: Vec::new(),
            alarms_since: BTreeMap::new(),
            beside: BTreeMap::new(),
        };
        let record = evaluate(input, 0, None);
        let view = record.signals.iter().find(|view| view.name == "outcome").unwrap();
        course.note(view, aim, at);
        course.harmful |= record.decision.cause == Cause::Harmful;
        course.passed |= record.decision.verdict == Verdict::Continue;
        course.found = at == end && record.rule.value == Truth::True;
        kept = Some(record.input.experiment);
        statuses = record.guardrails;
        carry = record.carry;
    }
    course.naive = naive.called;
    course
}

impl Course {
    fn note(&mut self, view: &SignalView, aim: Aim, at: Timestamp) {
        use SignalState::{Flat, Harm, Inconclusive, Met, Moving, Short};
        if !matches!(view.state, Harm | Met | Short | Moving | Flat | Inconclusive) {
            return;
        }
        self.judged = true;
        self.decided |= matches!(view.state, Met | Harm);
        self.changed |= matches!(view.state, Met | Moving | Short | Harm);
        if view.state == Met && self.met.is_none() {
            self.met = Some(ms_between(midnight(0), at) as f64 / DAY_MS as f64);
        }
        let Some(evidence) = &view.evidence else {
            return;
        };
        let change = aim.to - aim.from;
        let truth = if evidence.relative { change / aim.from } else { change };
        let interval = evidence.interval;
        let dust = 1e-9 * truth.abs();
        let holds = interval.lo <= truth + dust && truth - dust <= interval.hi;
        *self.covered.entry(name(evidence.method)).or_insert(true) &= holds;
    }
}

fn name(method: MethodName) -> &'static str {
    method.name()
}

fn hold(designs: &[Design]) {
    let slow = std::env::var("RUN_SLOW_TESTS").is_ok_and(|value| value == "1");
    let trials: Vec<Trial> = designs
        .iter()
        .map(|design| {
            let trial = trial(*design, slow);
            tables::print(&trial);
            trial
        })
        .collect();
    trials.iter().for_each(tables::assert_bounds);
    tables::assert_ordinary_test_errs(&trials);
}

#[test]
fn counts_are_rarely_called_changed() {
    hold(&designs::COUNTS);
}

#[test]
fn skewed_means_and_ratios_are_rarely_called_changed() {
    hold(&designs::MEANS);
}

#[test]
fn series_before_and_after_are_rarely_called_changed() {
    hold(&designs::BEFORE_AFTER);
}

#[test]
fn series_side_by_side_are_rarely_called_changed() {
    hold(&designs::PAIRED);
}

#[test]
fn planned_looks_are_rarely_wrong() {
    hold(&designs::PLANNED);
}

/// The running sums and blocks are what `observe` answers, at every look that it can judge.
#[test]
fn running_blocks_are_what_observe_sees() {
    let all = [&designs::COUNTS[..], &designs::MEANS, &designs::BEFORE_AFTER, &designs::PAIRED];
    let mut judged = 0;
    for design in all.concat() {
        let (experiment, instants) = design.plan(false);
        let (signal, end) = (experiment.signal("outcome").unwrap(), *instants.last().unwrap());
        let cycle = cycle(&experiment, end);
        let aim = experiment.aims[0].from.unwrap();
        let days = design.pace.length(false).0;
        let points = world::points(&design, days.max(30), (aim, aim), &mut Dice::new(11));
        let mut eye = Eye::new(&design, &points);
        for (look, &at) in instants.iter().enumerate() {
            let known = until(&points, at);
            let ours = eye.see(&experiment, &cycle, at, known);
            if look % 4 != 3 && ours.is_some() {
                continue;
            }
            let asked = crate::play::asked(&experiment, signal, &cycle, at, known);
            match ours {
                Some(ours) => {
                    assert_same(&ours, &asked, design.name);
                    judged += 1;
                }
                None => assert!(is_refused(&asked), "{} {at}: {asked:?}", design.name),
            }
        }
    }
    assert!(judged > 100, "{judged}");
}

fn is_refused(seen: &Observation) -> bool {
    let blocks = |observed: &judge::observe::Observed| {
        let arms = observed.arms.values().filter_map(|sample| sample.blocks.clone());
        arms.chain(observed.paired.clone()).any(|blocks| blocks.refused.is_some())
    };
    seen.counted().is_some_and(blocks)
}

/// Equal up to the digest and the last digits of a sum.
fn assert_same(ours: &Observation, asked: &Observation, design: &str) {
    let plain = |seen: &Observation| {
        let mut value = serde_json::to_value(seen).unwrap();
        for place in ["/observed/digest", "/digest"] {
            if let Some(digest) = value.pointer_mut(place) {
                *digest = serde_json::Value::Null;
            }
        }
        let text = judge::record::canonical_json(&value);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    tables::assert_near(&plain(ours), &plain(asked), design);
}
