//! One history in memory, looked at from start to verdict: the loop of `replay --aa`.
//!
//! The judge's own entry points in the daemon's order (observe, evaluate, apply the decision, next
//! look), for one cycle and without guardrails that read sources of their own. Beside each look
//! stands what a team without a sequential test would have said.

use std::collections::BTreeMap;

use crate::analyse::SignalState;
use crate::decide::{AlarmKind, Cause, Verdict, evaluate};
use crate::lifecycle::{self, needs_looks};
use crate::observe::{Observation, Observed, Sample, SeriesInput, observe};
use crate::points::{ALL, Point, Sums};
use crate::record::{EvaluationRecord, LookInput};
use crate::spec::{Baseline, Compare, Experiment, Signal, Want};
use crate::time::{Span, Timestamp};

/// What repeated naive tests use.
const NAIVE_Z: f64 = 1.96;

/// Everything that was ever said in one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Looks that were made.
    pub looks: u32,
    /// The rows of the verdict table, in order, each once.
    pub verdicts: Vec<(Verdict, Cause)>,
    /// Alarms that were on at any look.
    pub alarms: Vec<AlarmKind>,
    /// By signal.
    pub signals: BTreeMap<String, Called>,
}

/// What was ever said of one signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Called {
    /// Its always-valid interval excluded "no change".
    pub changed: bool,
    /// State `met`.
    pub met: bool,
    /// State `harm`.
    pub harm: bool,
    /// |z| > 1.96 at some look.
    pub naive: bool,
    /// z beyond 1.96 on the bad side at some look.
    pub naive_harm: bool,
    /// z beyond 1.96 on the good side at some look.
    pub naive_better: bool,
}

/// Looks at points in memory until the verdict that ends the cycle, at most until `until`.
/// `lateness` says how late each signal's source may be.
pub fn looks(
    experiment: &Experiment,
    points: &BTreeMap<String, Vec<Point>>,
    lateness: &BTreeMap<String, Span>,
    until: Timestamp,
) -> Said {
    let mut said = Said::default();
    let mut state = lifecycle::first_seen(experiment, true, experiment.start);
    let mut at = experiment.start;
    let mut carry = crate::record::Carry::new();
    let mut statuses = Vec::new();
    while needs_looks(state.life) {
        let Some(next) = lifecycle::next_look(experiment, &state, at).filter(|at| *at <= until)
        else {
            break;
        };
        at = next;
        let seen = |signal: &Signal| {
            let known = points.get(&signal.name).map_or(&[][..], Vec::as_slice);
            let known = &known[..known.partition_point(|point| point.end <= at)];
            let late = lateness.get(&signal.name).copied().unwrap_or(Span::ZERO);
            let input =
                SeriesInput { points: known, failure: None, last_good: None, lateness: late };
            (signal.name.clone(), observe(experiment, signal, &state.cycle, at, &input))
        };
        let beside = experiment.beside();
        let input = LookInput {
            observations: experiment.signals.iter().map(seen).collect(),
            // What a history does not hold is not looked at.
            beside: beside
                .iter()
                .map(|one| &one.signal)
                .filter(|one| points.contains_key(&one.name))
                .map(seen)
                .collect(),
            experiment: experiment.clone(),
            at,
            cycle: state.cycle.clone(),
            guardrails: std::mem::take(&mut statuses),
            carry: std::mem::take(&mut carry),
            unacknowledged: Vec::new(),
            // Which alarms were ever on is asked here, not since when.
            alarms_since: BTreeMap::new(),
        };
        let record = evaluate(input, 0, None);
        said.hear(&record);
        state = lifecycle::apply_decision(&state, &record.decision, at);
        carry = record.carry;
        statuses = record.guardrails;
    }
    said
}

impl Said {
    fn hear(&mut self, record: &EvaluationRecord) {
        self.looks += 1;
        let row = (record.decision.verdict, record.decision.cause);
        if !self.verdicts.contains(&row) {
            self.verdicts.push(row);
        }
        for alarm in &record.alarms {
            if !self.alarms.contains(&alarm.kind) {
                self.alarms.push(alarm.kind);
            }
        }
        for view in &record.signals {
            let called = self.signals.entry(view.name.clone()).or_default();
            let interval = view.evidence.as_ref().map(|evidence| evidence.interval);
            called.changed |= interval.is_some_and(|one| one.lo > 0.0 || one.hi < 0.0);
            called.met |= view.state == SignalState::Met;
            called.harm |= view.state == SignalState::Harm;
            let experiment = &record.input.experiment;
            let observed = record.input.observations.get(&view.name).and_then(Observation::counted);
            let signal = experiment.signal(&view.name);
            let z =
                signal.zip(observed).and_then(|(signal, seen)| naive_z(experiment, signal, seen));
            let better = z.map_or(0.0, |z| if view.want == Want::Up { z } else { -z });
            called.naive_better |= better > NAIVE_Z;
            called.naive_harm |= better < -NAIVE_Z;
            called.naive |= better.abs() > NAIVE_Z;
        }
    }
}

/// The ordinary z of one look: difference of levels over its standard error, cells and time
/// ignored; against a stated level the level is exact.
pub fn naive_z(experiment: &Experiment, signal: &Signal, seen: &Observed) -> Option<f64> {
    if let Some(paired) = &seen.paired {
        let se = paired.sd / f64::from(paired.count).sqrt();
        return (se > 0.0).then(|| paired.mean / se);
    }
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let (treated, held) = match compare {
        Compare::Arms { control, treatment, .. } => {
            (level(seen.arms.get(treatment)?)?, level(seen.arms.get(control)?)?)
        }
        Compare::Baseline | Compare::BeforeAfter { .. } => {
            let treated = level(seen.arms.get(ALL)?)?;
            let held = match (&seen.baseline, &signal.from) {
                (Some(before), _) => level(before)?,
                (None, Some(Baseline::Stated(stated))) => (*stated, 0.0),
                (None, Some(Baseline::Counted { x, n, .. })) => (x / n, x / n * ((n - x) / n) / n),
                _ => return None,
            };
            (treated, held)
        }
    };
    let se = (treated.1 + held.1).sqrt();
    (se > 0.0 && se.is_finite()).then(|| (treated.0 - held.0) / se)
}

/// Level and the squared standard error of it.
fn level(sample: &Sample) -> Option<(f64, f64)> {
    let level = match &sample.blocks {
        Some(blocks) => blocks.mean,
        None => sample.sums.level()?,
    };
    let variance = match sample.sums {
        Sums::Proportion { num, den } => level * ((den - num) / den) / den,
        Sums::Mean { n, sum_sq, .. } | Sums::Detailed { n, sum_sq, .. } => {
            (sum_sq / n - level * level) / n
        }
        Sums::Rate { exposure, .. } => level / exposure,
        Sums::Ratio { den, num_sq, den_sq, cross, .. } => {
            (num_sq - 2.0 * level * cross + level * level * den_sq) / (den * den)
        }
        Sums::Value { .. } => {
            let blocks = sample.blocks.as_ref()?;
            blocks.sd * blocks.sd / f64::from(blocks.count)
        }
    };
    Some((level, variance.max(0.0)))
}
