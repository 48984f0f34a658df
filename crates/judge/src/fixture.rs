//! A small experiment and a look at it that passes, for the tests of the rooms behind `analyse`.
//!
//! Two arms, proxy `p` and outcome `o` (matures in 14 days), `p >= +10% and o >= +3pts`, six weeks
//! from 1 June 2026, checkpoint at 13 July 00:00 UTC, `by` 1 October 00:00, two cycles. Tests bend
//! one thing at a time.

use std::collections::BTreeMap;

use crate::analyse::{
    Analysis, AtomView, Evidence, GuardrailState, GuardrailStatus, HarmCheck, MethodName,
    RuleValue, SignalState, SignalView, SplitCheck, Truth, UnknownWhy,
};
use crate::observe::{Observation, Observed, Sample};
use crate::points::Sums;
use crate::record::{Cycle, LookInput};
use crate::spec::{
    Aim, Amount, Atom, AtomKind, Checkpoint, Compare, EvidenceMode, Experiment, Form, Guardrail,
    GuardrailKind, LookPlan, Margin, Mechanism, NoWorseThan, OnMissing, OnTrip, Owner, Query,
    Review, Role, Rollback, Rule, Side, Signal, Threshold, Want, When,
};
use crate::stats::Interval;
use crate::time::{Span, Timestamp, Window};

pub(crate) fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn start() -> Timestamp {
    ts("2026-06-01T00:00:00Z")
}

pub(crate) fn checkpoint_at() -> Timestamp {
    ts("2026-07-13T00:00:00Z")
}

/// A look that a test bends.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) input: LookInput,
    pub(crate) analysis: Analysis,
}

fn signal(name: &str, role: Role, days: i64) -> Signal {
    Signal {
        name: name.into(),
        role,
        form: Form::Proportion,
        want: Want::Up,
        unit: None,
        from: None,
        min_effect: None,
        harm_margin: 0.0,
        min_n: None,
        matures_after: Span::days(days),
        grain: None,
        compare: None,
        method: None,
        source: "warehouse".into(),
        query: Query::default(),
        eligible: None,
    }
}

fn atom(text: &str, signal: &str, amount: Amount) -> Atom {
    Atom {
        text: text.into(),
        signal: signal.into(),
        kind: AtomKind::Movement,
        side: Side::AtLeast,
        amount,
    }
}

pub(crate) fn guardrail(name: &str, on_trip: OnTrip) -> Guardrail {
    let threshold = Threshold {
        source: "prom".into(),
        query: Query::default(),
        at_most: Some(1.0),
        at_least: None,
        drift: None,
        unit: None,
    };
    Guardrail {
        name: name.into(),
        kind: GuardrailKind::Threshold(threshold),
        on_trip,
        on_missing: OnMissing::Alert,
        missing_for: Span::hours(1),
        hold_for: Span::ZERO,
        keep_firing_for: Span::ZERO,
        every: None,
    }
}

pub(crate) fn no_worse_than(name: &str, require_proven: bool) -> Guardrail {
    let kind = GuardrailKind::NoWorseThan(NoWorseThan {
        signal: "p".into(),
        margin: Margin::Absolute(0.02),
        require_proven,
    });
    Guardrail { kind, ..guardrail(name, OnTrip::Alert) }
}

pub(crate) fn experiment() -> Experiment {
    let p = atom("p >= +10%", "p", Amount::Relative(0.1));
    let o = atom("o >= +3pts", "o", Amount::Absolute(0.03));
    let split = BTreeMap::from([("a".to_owned(), 0.5), ("b".to_owned(), 0.5)]);
    Experiment {
        id: "checkout-copy".into(),
        title: "Clearer copy".into(),
        labels: BTreeMap::new(),
        owner: Owner { name: "Lead".into(), contact: "#growth".into() },
        can_stop: vec!["lead".into()],
        aims: vec![Aim {
            signal: "o".into(),
            behaviour: "users finish".into(),
            from: Some(0.27),
            to: Some(0.35),
            by: Some(ts("2026-10-01T00:00:00Z")),
        }],
        mechanism: Mechanism {
            we_believe: "clear copy".into(),
            will_move: "o".into(),
            because: "they know what to do".into(),
        },
        deviation: None,
        reversible: true,
        spike_of: None,
        why_now: None,
        if_it_works: Some("growth keeps it".into()),
        timezone: "UTC".into(),
        compare: Compare::Arms {
            control: "a".into(),
            treatment: "b".into(),
            split,
            multiple_exposure: None,
        },
        start: start(),
        units_per_week: None,
        signals: vec![signal("p", Role::Proxy, 1), signal("o", Role::Outcome, 14)],
        checkpoint: Checkpoint {
            when: When::At(checkpoint_at()),
            cycles: 2,
            continue_when: Rule::And(vec![Rule::Atom(p), Rule::Atom(o)]),
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
        rollback: Rollback { plan: Some("wiki".into()), action: Some("turn-off".into()) },
        review: Some(Review { every: Span::days(7), minutes: None, sample: None }),
        notify: Vec::new(),
        revision: "r1".into(),
        unfinished: false,
    }
}

pub(crate) fn cycle() -> Cycle {
    Cycle {
        number: 1,
        started_at: start(),
        first_started_at: start(),
        checkpoint_at: checkpoint_at(),
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// 6,000 units per arm counted from the start to `until`.
pub(crate) fn observed(until: Timestamp) -> Observed {
    let sample = |num| Sample {
        sums: Sums::Proportion { num, den: 6_000.0 },
        cells: 28,
        phi: Some(1.0),
        blocks: None,
        extra: crate::points::Extra::default(),
    };
    Observed {
        arms: BTreeMap::from([("a".into(), sample(1_620.0)), ("b".into(), sample(1_860.0))]),
        baseline: None,
        paired: None,
        steps: None,
        difference: None,
        epochs: Vec::new(),
        window: Window { start: start(), end: until },
        data_as_of: until,
        waiting: 0.0,
        digest: "d".into(),
    }
}

pub(crate) fn evidence(estimate: f64, lo: f64, hi: f64) -> Evidence {
    Evidence {
        method: MethodName::InformationTime,
        estimate,
        interval: Interval { lo, hi },
        alpha: 0.05,
        sides: 2,
        tau: 0.08,
        p_seq: 0.01,
        relative: false,
        n: BTreeMap::from([("a".into(), 6_000.0), ("b".into(), 6_000.0)]),
        comparison: Some(0.27),
        level: Some(0.27 + estimate),
        phi: None,
        adjusted: None,
        uncontrolled: false,
        exact_baseline: false,
        assumptions: Vec::new(),
        planned: None,
    }
}

fn view(signal: &Signal) -> SignalView {
    SignalView {
        name: signal.name.clone(),
        role: signal.role,
        form: signal.form,
        want: signal.want,
        unit: None,
        state: SignalState::Met,
        why: None,
        evidence: Some(evidence(0.04, 0.02, 0.06)),
        target: None,
        threshold: Some(0.03),
        data_as_of: None,
        waiting: 0.0,
        imbalance: None,
    }
}

pub(crate) fn atom_view(text: &str, signal: &str) -> AtomView {
    AtomView {
        text: text.into(),
        signal: signal.into(),
        kind: AtomKind::Movement,
        wanted: 0.03,
        evidence: Some(evidence(0.04, 0.02, 0.06)),
        met: Truth::True,
        why: None,
        latched: false,
        drifted: false,
        needs_more: None,
        decidable: false,
        no_test: false,
    }
}

pub(crate) fn leaf(index: usize) -> RuleValue {
    RuleValue {
        text: String::new(),
        op: "atom".into(),
        atom: Some(index),
        value: Truth::Unknown,
        nodes: Vec::new(),
    }
}

pub(crate) fn status(name: &str, on_trip: OnTrip, state: GuardrailState) -> GuardrailStatus {
    GuardrailStatus {
        name: name.into(),
        kind: "threshold".into(),
        on_trip,
        state,
        frozen: None,
        since: Some(start()),
        evaluated_at: Some(start()),
        value: Some(1.2),
        limit: Some(1.0),
        interval: None,
        bad: None,
        total: None,
        budget_left: None,
        why: None,
        pending_since: None,
        clearing_since: None,
        control_also: false,
        latched: false,
        burn: None,
        drift: None,
    }
}

impl Look {
    /// At the checkpoint, with everything met.
    pub(crate) fn passing() -> Self {
        let experiment = experiment();
        let ok = || Observation::Ok(Box::new(observed(ts("2026-06-29T00:00:00Z"))));
        let observations = BTreeMap::from([("p".to_owned(), ok()), ("o".to_owned(), ok())]);
        let analysis = Analysis {
            signals: experiment.signals.iter().map(view).collect(),
            atoms: vec![atom_view("p >= +10%", "p"), atom_view("o >= +3pts", "o")],
            rule: RuleValue {
                text: "p >= +10% and o >= +3pts".into(),
                op: "and".into(),
                atom: None,
                value: Truth::True,
                nodes: vec![leaf(0), leaf(1)],
            },
            stop_atoms: Vec::new(),
            stop_rule: None,
            guardrails: Vec::new(),
            harm: Vec::new(),
            split: None,
            exposure: None,
            ledger: Vec::new(),
            findings: Vec::new(),
            carry: BTreeMap::new(),
            progress: None,
        };
        let input = LookInput {
            experiment,
            at: checkpoint_at(),
            cycle: cycle(),
            observations,
            guardrails: Vec::new(),
            carry: BTreeMap::new(),
            unacknowledged: Vec::new(),
            alarms_since: BTreeMap::new(),
            beside: BTreeMap::new(),
        };
        Self { input, analysis }
    }

    /// The same on 20 June, before the checkpoint.
    pub(crate) fn early() -> Self {
        Self::passing().at("2026-06-20T00:00:00Z")
    }

    pub(crate) fn at(mut self, at: &str) -> Self {
        self.input.at = ts(at);
        self
    }

    pub(crate) fn with(mut self, bend: impl FnOnce(&mut LookInput, &mut Analysis)) -> Self {
        bend(&mut self.input, &mut self.analysis);
        self
    }

    pub(crate) fn state(mut self, signal: &str, state: SignalState) -> Self {
        let mut views = self.analysis.signals.iter_mut();
        views.find(|view| view.name == signal).unwrap().state = state;
        self
    }

    pub(crate) fn atom(mut self, index: usize, met: Truth) -> Self {
        self.analysis.atoms[index].met = met;
        self
    }

    pub(crate) fn decidable(mut self, index: usize, more: f64) -> Self {
        let atom = &mut self.analysis.atoms[index];
        atom.met = Truth::Unknown;
        atom.why = Some(UnknownWhy::Inconclusive);
        atom.decidable = true;
        atom.needs_more = Some(more);
        self
    }

    /// No data for a signal: its atoms are unknown.
    pub(crate) fn missing(mut self, signal: &str) -> Self {
        let none = Observation::NoData { since: None, why: "no rows".into() };
        self.input.observations.insert(signal.into(), none);
        for atom in self.analysis.atoms.iter_mut().filter(|atom| atom.signal == signal) {
            atom.met = Truth::Unknown;
            atom.why = Some(UnknownWhy::NoData);
        }
        self.state(signal, SignalState::NoData)
    }

    pub(crate) fn immature(mut self, signal: &str, until: &str) -> Self {
        let until = ts(until);
        let immature = Observation::Immature { until, waiting: 10.0 };
        self.input.observations.insert(signal.into(), immature);
        for atom in self.analysis.atoms.iter_mut().filter(|atom| atom.signal == signal) {
            atom.met = Truth::Unknown;
            atom.why = Some(UnknownWhy::Immature);
        }
        self.state(signal, SignalState::TooEarly)
    }

    pub(crate) fn guardrail(mut self, guardrail: Guardrail, state: GuardrailState) -> Self {
        self.analysis.guardrails.push(status(&guardrail.name, guardrail.on_trip, state));
        self.input.experiment.guardrails.push(guardrail);
        self
    }

    pub(crate) fn harmed(mut self, signal: &str) -> Self {
        let evidence = evidence(-0.03, -0.05, -0.01);
        self.analysis.harm.push(HarmCheck { signal: signal.into(), evidence, harmful: true });
        self.state(signal, SignalState::Harm)
    }

    pub(crate) fn split(mut self, mismatch: bool) -> Self {
        let counts = BTreeMap::from([("a".into(), 6_000.0), ("b".into(), 5_000.0)]);
        self.analysis.split = Some(SplitCheck { signal: None, counts, p_seq: 0.000_1, mismatch });
        self
    }
}
