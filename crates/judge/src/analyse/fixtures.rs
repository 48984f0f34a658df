//! Experiments and observations built by hand for the tests of `observe`, `analyse`, `guardrails`.

use std::collections::BTreeMap;

use crate::analyse::{Analysis, AtomView, SignalState, analyse};
use crate::observe::{Observation, Observed, Sample};
use crate::points::{ALL, Extra, Point, Sums};
use crate::record::{Carry, Cycle, LookInput};
use crate::spec::{
    Aim, Amount, Atom, AtomKind, Checkpoint, Compare, EvidenceMode, Experiment, Form, Guardrail,
    GuardrailKind, LookPlan, Mechanism, OnMissing, OnTrip, Owner, Query, Role, Rollback, Rule,
    Side, Signal, Want, When,
};
use crate::time::{Span, Timestamp, Window, add_ms};

pub(crate) const START: &str = "2026-06-01T00:00:00Z";

pub(crate) fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// `days` after the start.
pub(crate) fn day(days: i64) -> Timestamp {
    add_ms(ts(START), Span::days(days).ms)
}

pub(crate) fn signal(name: &str, role: Role, form: Form, want: Want) -> Signal {
    Signal {
        name: name.to_owned(),
        role,
        form,
        want,
        unit: None,
        from: None,
        min_effect: None,
        harm_margin: 0.0,
        min_n: None,
        matures_after: Span::ZERO,
        grain: None,
        compare: None,
        method: None,
        source: "export".to_owned(),
        query: Query { file: Some(format!("{name}.csv")), ..Query::default() },
        eligible: None,
    }
}

pub(crate) fn atom(signal: &str, kind: AtomKind, side: Side, amount: Amount) -> Rule {
    let sign = if side == Side::AtLeast { ">=" } else { "<=" };
    let text = format!("{signal} {sign} {amount:?}");
    Rule::Atom(Atom { text, signal: signal.to_owned(), kind, side, amount })
}

pub(crate) fn moves(signal: &str, side: Side, amount: Amount) -> Rule {
    atom(signal, AtomKind::Movement, side, amount)
}

pub(crate) fn at_level(signal: &str, level: f64) -> Rule {
    atom(signal, AtomKind::Level, Side::AtLeast, Amount::Level(level))
}

pub(crate) fn arms() -> Compare {
    let split = [("control", 0.5), ("treatment", 0.5)];
    Compare::Arms {
        control: "control".to_owned(),
        treatment: "treatment".to_owned(),
        split: split.into_iter().map(|(arm, share)| (arm.to_owned(), share)).collect(),
        multiple_exposure: None,
    }
}

/// An experiment of six weeks with one rule.
pub(crate) fn experiment(compare: Compare, signals: Vec<Signal>, rule: Rule) -> Experiment {
    Experiment {
        id: "x".to_owned(),
        title: "X".to_owned(),
        labels: BTreeMap::new(),
        owner: Owner::default(),
        can_stop: vec!["lead".to_owned()],
        aims: Vec::new(),
        mechanism: Mechanism::default(),
        deviation: None,
        reversible: true,
        spike_of: None,
        why_now: None,
        if_it_works: None,
        timezone: "UTC".to_owned(),
        compare,
        start: ts(START),
        units_per_week: None,
        signals,
        checkpoint: Checkpoint {
            when: When::At(day(42)),
            cycles: 2,
            continue_when: rule,
            stop_when: None,
            look_every: Span::days(1),
            look: LookPlan::Always,
            spending: crate::spec::SPENDING,
            early_stop_futility: false,
            min_duration: Span::days(7),
            hold_notify_after: Span::hours(24),
        },
        evidence: EvidenceMode::Significant,
        guardrails: Vec::new(),
        rollback: Rollback::default(),
        review: None,
        notify: Vec::new(),
        revision: "r1".to_owned(),
        unfinished: false,
    }
}

pub(crate) fn aim(signal: &str, from: f64, to: f64) -> Aim {
    Aim {
        signal: signal.to_owned(),
        behaviour: "users do".to_owned(),
        from: Some(from),
        to: Some(to),
        by: None,
    }
}

pub(crate) fn guardrail(name: &str, kind: GuardrailKind, on_trip: OnTrip) -> Guardrail {
    Guardrail {
        name: name.to_owned(),
        kind,
        on_trip,
        on_missing: OnMissing::Alert,
        missing_for: Span::hours(1),
        hold_for: Span::ZERO,
        keep_firing_for: Span::ZERO,
        every: None,
    }
}

pub(crate) fn cycle(experiment: &Experiment) -> Cycle {
    let checkpoint_at = match experiment.checkpoint.when {
        When::At(at) => at,
        When::Every(every) => add_ms(experiment.start, every.ms),
    };
    Cycle {
        number: 1,
        started_at: experiment.start,
        first_started_at: experiment.start,
        checkpoint_at,
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// A sample of 28 even periods.
pub(crate) fn sample(sums: Sums) -> Sample {
    Sample { sums, cells: 28, phi: Some(1.0), blocks: None, extra: Extra::default() }
}

pub(crate) fn share(num: f64, den: f64) -> Sample {
    sample(Sums::Proportion { num, den })
}

/// An `ok` observation counted to `to`.
pub(crate) fn seen(arms: Vec<(&str, Sample)>, to: Timestamp) -> Observation {
    Observation::Ok(Box::new(Observed {
        arms: arms.into_iter().map(|(arm, sample)| (arm.to_owned(), sample)).collect(),
        baseline: None,
        paired: None,
        steps: None,
        difference: None,
        epochs: Vec::new(),
        window: Window { start: ts(START), end: to },
        data_as_of: to,
        waiting: 0.0,
        digest: String::new(),
    }))
}

pub(crate) fn two_arms(control: (f64, f64), treatment: (f64, f64), to: Timestamp) -> Observation {
    let (held, treated) = (share(control.0, control.1), share(treatment.0, treatment.1));
    seen(vec![("control", held), ("treatment", treated)], to)
}

pub(crate) fn one(num: f64, den: f64, to: Timestamp) -> Observation {
    seen(vec![(ALL, share(num, den))], to)
}

pub(crate) fn input(
    experiment: Experiment,
    at: Timestamp,
    observations: Vec<(&str, Observation)>,
) -> LookInput {
    let observations = observations.into_iter().map(|(name, seen)| (name.to_owned(), seen));
    LookInput {
        cycle: cycle(&experiment),
        experiment,
        at,
        observations: observations.collect(),
        guardrails: Vec::new(),
        carry: Carry::new(),
        unacknowledged: Vec::new(),
        alarms_since: BTreeMap::new(),
        beside: BTreeMap::new(),
    }
}

/// The analysis at a checkpoint.
pub(crate) fn judged(input: &LookInput) -> Analysis {
    analyse(input, true)
}

pub(crate) fn state_of(analysis: &Analysis, signal: &str) -> SignalState {
    analysis.signals.iter().find(|view| view.name == signal).unwrap().state
}

pub(crate) fn atom_on<'a>(analysis: &'a Analysis, signal: &str) -> &'a AtomView {
    analysis.atoms.iter().find(|view| view.signal == signal).unwrap()
}

/// One point of `hours` length, `start_h` hours after the start.
pub(crate) fn point(arm: &str, start_h: i64, hours: i64, sums: Sums) -> Point {
    let start = add_ms(ts(START), Span::hours(start_h).ms);
    let end = add_ms(start, Span::hours(hours).ms);
    Point { arm: arm.to_owned(), start, end, sums }
}
