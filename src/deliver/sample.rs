//! One sample of every kind of notice, for `notify test` and for the tests of every renderer.
//!
//! The experiment is read from a real file by the real parser; the numbers are the activation
//! story's. Nothing here is ever written to the store.

use std::collections::BTreeMap;

use judge::analyse::{
    AtomView, Evidence, GuardrailState, GuardrailStatus, MethodName, RuleValue, SignalState,
    SignalView, Truth, UnknownWhy,
};
use judge::decide::{Alarm, AlarmKind, Cause, Decision, Reason, Verdict};
use judge::ids;
use judge::notice::{Notice, NoticeKind};
use judge::record::{Cycle, ENGINE, EvaluationRecord, LookInput, SCHEMA};
use judge::spec::{self, AtomKind, Experiment, Form, OnTrip, Role, Signal};
use judge::stats::Interval;
use judge::time::{DAY_MS, Timestamp, add_ms};

const FILE: &str = include_str!("sample.yaml");

/// A notice and the evaluation it is about, where it is about one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What there is to say.
    pub notice: Notice,
    /// What it is about.
    pub record: Option<EvaluationRecord>,
}

/// One of every kind, dated `at`.
pub fn sample_notices(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    // Slots are whole seconds, and fractions read badly.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let verdict = |kind, verdict, cause, reasons| {
        sample(kind, "", at, sample_record(at, verdict, cause, reasons))
    };
    let hold = Reason::DataMissing { signal: "activation_14d".to_owned(), since: Some(at) };
    let tripped = Reason::GuardrailTripped {
        guardrail: "errors".to_owned(),
        value: Some(0.002_1),
        limit: Some(0.001),
    };
    let flat = Reason::SignalIs { signal: "activation_14d".to_owned(), state: SignalState::Flat };
    let about = |kind, subject: &str| {
        let record = sample_record(at, Verdict::Stop, Cause::Tripped, vec![tripped.clone()]);
        sample(kind, subject, at, record)
    };
    let lone = |kind, subject: &str, detail: &str| {
        let mut said = sample(kind, subject, at, None);
        said.notice.detail = Some(detail.to_owned());
        said
    };
    vec![
        verdict(Kind::VerdictContinue, Verdict::Continue, Cause::Graduate, met()),
        verdict(Kind::VerdictChange, Verdict::Change, Cause::Mechanism, vec![flat.clone()]),
        verdict(Kind::VerdictStop, Verdict::Stop, Cause::Tripped, vec![tripped.clone()]),
        verdict(Kind::VerdictHold, Verdict::Hold, Cause::DataMissing, vec![hold]),
        verdict(Kind::VerdictRevised, Verdict::Change, Cause::Mechanism, vec![flat]),
        about(Kind::GuardrailTripped, "errors"),
        about(Kind::GuardrailBurning, "errors"),
        about(Kind::GuardrailRecovered, "errors"),
        about(Kind::GuardrailNoData, "errors"),
        about(Kind::ProxyWithoutOutcome, "action_x_24h"),
        about(Kind::SplitMismatch, ""),
        about(Kind::DataStale, "activation_14d"),
        about(Kind::DataRecovered, "activation_14d"),
        lone(Kind::SourceDown, "warehouse", "timeout: no answer within 30 s"),
        lone(Kind::SourceRecovered, "warehouse", "It was away for 4 minutes."),
        about(Kind::ActionConfirmed, "turn-off-checklist"),
        about(Kind::ActionFailed, "turn-off-checklist"),
        lone(Kind::FileBroken, "sample.yaml", "E0102 at 12:3: unknown key `sorce`"),
        about(Kind::EngineFault, ""),
        lone(Kind::EndpointDegraded, "team-chat", "5 attempts in a row failed; the last: timeout"),
        lone(Kind::EndpointDisabled, "team-chat", "It said that it is gone (HTTP 410)."),
        lone(Kind::EndpointRecovered, "team-chat", "It had failed for 12 minutes."),
        lone(Kind::DeliveryDropped, "team-chat", "3 expired, 1 pushed out of a full queue."),
        lone(Kind::ClockSkewed, "team-chat", "Its clock is 183 s behind ours."),
        lone(Kind::ClockAgreed, "team-chat", "The difference is below 2 minutes."),
        lone(Kind::Test, "", "Sent by `verdictd notify test`."),
    ]
}

fn met() -> Vec<Reason> {
    vec![Reason::AtomMet { atom: 0 }, Reason::AtomMet { atom: 1 }]
}

fn sample(
    kind: NoticeKind,
    subject: &str,
    at: Timestamp,
    record: Option<EvaluationRecord>,
) -> Sample {
    let evaluation = record.as_ref().map_or("sample", |record| record.id.as_str());
    let experiment = record.as_ref().map(|record| record.input.experiment.id.clone());
    let notice = Notice {
        id: ids::notice_id(evaluation, kind.as_str(), subject),
        kind,
        subject: subject.to_owned(),
        experiment: experiment.unwrap_or_default(),
        at,
        previous: (kind == NoticeKind::VerdictRevised).then(|| "continue: graduate".to_owned()),
        detail: None,
    };
    Sample { notice, record }
}

/// The sample experiment; `None` only if the sample file were broken, which a test excludes.
fn sample_experiment() -> Option<Experiment> {
    spec::parse("sample.yaml", FILE, &spec::Context::default()).experiment
}

/// A whole evaluation of the sample experiment with that decision.
fn sample_record(
    at: Timestamp,
    verdict: Verdict,
    cause: Cause,
    reasons: Vec<Reason>,
) -> Option<EvaluationRecord> {
    let experiment = sample_experiment()?;
    let started_at = add_ms(at, -41 * DAY_MS);
    let proxy = evidence((0.1, 0.2, 0.3), true, (0.4, 0.48));
    let outcome = evidence((0.021, 0.06, 0.099), false, (0.27, 0.33));
    let signals: Vec<_> = experiment
        .signals
        .iter()
        .zip([&proxy, &outcome])
        .map(|(signal, evidence)| view(signal, evidence, at))
        .collect();
    let atoms = vec![
        atom("action_x_24h >= +10%", "action_x_24h", 0.1, proxy),
        atom("activation_14d >= +3pts", "activation_14d", 0.03, outcome),
    ];
    let tripped = cause == Cause::Tripped;
    let cycle = Cycle {
        number: 1,
        started_at,
        first_started_at: started_at,
        checkpoint_at: at,
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    };
    let input = LookInput {
        experiment,
        at,
        cycle,
        observations: BTreeMap::new(),
        guardrails: vec![guardrail(tripped, at)],
        carry: BTreeMap::new(),
        unacknowledged: Vec::new(),
        alarms_since: BTreeMap::new(),
        beside: BTreeMap::new(),
    };
    Some(EvaluationRecord {
        schema: SCHEMA.to_owned(),
        engine: ENGINE.to_owned(),
        id: ids::evaluation_id("sample-checklist", "look", at, 0),
        track: "look".to_owned(),
        restatement_no: 0,
        revises: None,
        revised: None,
        guardrails: input.guardrails.clone(),
        input,
        signals,
        rule: rule(),
        atoms,
        stop_atoms: Vec::new(),
        stop_rule: None,
        ledger: Vec::new(),
        findings: Vec::new(),
        alarms: alarms(),
        decision: decision(at, verdict, cause, reasons),
        carry: BTreeMap::new(),
    })
}

fn decision(at: Timestamp, verdict: Verdict, cause: Cause, reasons: Vec<Reason>) -> Decision {
    Decision {
        verdict,
        cause,
        reasons,
        at_checkpoint: true,
        ends_cycle: verdict != Verdict::Hold,
        next_look_at: Some(add_ms(at, DAY_MS)),
        next_checkpoint_at: None,
    }
}

/// Low end, estimate and high end of a change, and the two levels.
fn evidence(
    (lo, estimate, hi): (f64, f64, f64),
    relative: bool,
    (from, to): (f64, f64),
) -> Evidence {
    Evidence {
        method: MethodName::InformationTime,
        estimate,
        interval: Interval { lo, hi },
        alpha: 0.05,
        sides: 2,
        tau: 0.03,
        p_seq: 0.001,
        relative,
        n: BTreeMap::from([("control".to_owned(), 6_000.0), ("checklist".to_owned(), 6_000.0)]),
        comparison: Some(from),
        level: Some(to),
        phi: None,
        adjusted: None,
        uncontrolled: false,
        exact_baseline: false,
        assumptions: Vec::new(),
        planned: None,
    }
}

fn view(signal: &Signal, evidence: &Evidence, at: Timestamp) -> SignalView {
    let outcome = signal.role == Role::Outcome;
    SignalView {
        name: signal.name.clone(),
        role: signal.role,
        form: Form::Proportion,
        want: signal.want,
        unit: None,
        state: SignalState::Met,
        why: None,
        evidence: Some(evidence.clone()),
        target: outcome.then_some(0.35),
        threshold: Some(if outcome { 0.03 } else { 0.1 }),
        data_as_of: Some(at),
        waiting: 0.0,
        imbalance: None,
    }
}

fn atom(text: &str, signal: &str, wanted: f64, evidence: Evidence) -> AtomView {
    AtomView {
        text: text.to_owned(),
        signal: signal.to_owned(),
        kind: AtomKind::Movement,
        wanted,
        evidence: Some(evidence),
        met: Truth::True,
        why: None::<UnknownWhy>,
        latched: false,
        drifted: false,
        needs_more: None,
        decidable: true,
        no_test: false,
    }
}

fn rule() -> RuleValue {
    let leaf = |index, text: &str| RuleValue {
        text: text.to_owned(),
        op: "atom".to_owned(),
        atom: Some(index),
        value: Truth::True,
        nodes: Vec::new(),
    };
    RuleValue {
        text: "action_x_24h >= +10% and activation_14d >= +3pts".to_owned(),
        op: "and".to_owned(),
        atom: None,
        value: Truth::True,
        nodes: vec![leaf(0, "action_x_24h >= +10%"), leaf(1, "activation_14d >= +3pts")],
    }
}

fn guardrail(tripped: bool, at: Timestamp) -> GuardrailStatus {
    let (state, bad, value) = if tripped {
        (GuardrailState::Tripped, 1_260.0, 0.002_1)
    } else {
        (GuardrailState::Ok, 240.0, 0.000_4)
    };
    GuardrailStatus {
        name: "errors".to_owned(),
        kind: "limit".to_owned(),
        on_trip: OnTrip::Stop,
        state,
        frozen: None,
        since: Some(at),
        evaluated_at: Some(at),
        value: Some(value),
        limit: Some(0.001),
        interval: None,
        bad: Some(bad),
        total: Some(600_000.0),
        budget_left: None,
        why: None,
        pending_since: None,
        clearing_since: None,
        control_also: false,
        latched: tripped,
        burn: None,
        drift: None,
    }
}

fn alarms() -> Vec<Alarm> {
    let numbers =
        BTreeMap::from([("proxy_change".to_owned(), 0.2), ("outcome_upper".to_owned(), 0.01)]);
    let clears = "the outcome moves, or the mechanism is revised";
    let alarm = Alarm::new(AlarmKind::ProxyWithoutOutcome, "action_x_24h", clears);
    vec![Alarm { numbers, ..alarm }]
}
