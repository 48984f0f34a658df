//! One sample of every kind of notice, for `notify test` and for the tests of every renderer.
//!
//! The experiment is read from a real file by the real parser; the numbers are the activation
//! story's, and every sample is a story of its own: its numbers fit its words. Nothing here is ever
//! written to the store.

use std::collections::BTreeMap;

use judge::analyse::{
    AtomView, BurnStatus, Evidence, GuardrailState, GuardrailStatus, MethodName, RuleValue,
    SignalState, SignalView, Truth, UnknownWhy,
};
use judge::decide::{Alarm, AlarmCause, AlarmKind, Cause, Decision, Reason, Verdict};
use judge::ids;
use judge::notice::{Notice, NoticeKind};
use judge::record::{Cycle, ENGINE, EvaluationRecord, LookInput, Restated, Revised, SCHEMA};
use judge::spec::{self, AtomKind, Experiment, Form, OnTrip, Role, Signal};
use judge::stats::Interval;
use judge::time::{DAY_MS, Timestamp, Window, add_ms};
use serde_json::Value;

use super::payload::{self, Ending, Links};
use super::policy::digest::{self, Contents, Standing};

const FILE: &str = include_str!("sample.yaml");

/// A notice and the evaluation it is about, where it is about one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What there is to say.
    pub notice: Notice,
    /// What it is about.
    pub record: Option<EvaluationRecord>,
}

/// One of every kind, dated `at`; the last is the test send.
pub fn sample_notices(at: Timestamp) -> Vec<Sample> {
    // Slots are whole seconds, and fractions read badly.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let mut all = verdicts(at);
    all.extend(guardrails(at));
    all.extend(alarms_and_data(at));
    all.extend(actions_and_faults(at));
    all.extend(delivery(at));
    all
}

/// The generic message of every sample, and of a digest: every type of message there is.
///
/// The results of actions are made from the trip's message, as they are when they happen.
pub(super) fn sample_messages(at: Timestamp, links: &Links, sequence: i64) -> Vec<Value> {
    let samples = sample_notices(at);
    let generic =
        |sample: &Sample| payload::generic(&sample.notice, sample.record.as_ref(), links, sequence);
    let trip = samples.iter().find(|sample| sample.notice.kind == NoticeKind::GuardrailTripped);
    let trip = trip.map(generic).unwrap_or_default();
    let message = |sample: &Sample| {
        let ending = match sample.notice.kind {
            NoticeKind::ActionConfirmed => {
                let at = Some(add_ms(sample.notice.at, 3_100));
                Ending { state: "confirmed", confirmed_at: at, next: None }
            }
            NoticeKind::ActionFailed => {
                Ending { state: "unconfirmed", confirmed_at: None, next: None }
            }
            _ => return generic(sample),
        };
        payload::action_result(&trip, &sample.notice, &ending)
    };
    let mut messages: Vec<Value> = samples.iter().map(message).collect();
    // Before the test send, which stays the last.
    messages.insert(messages.len().saturating_sub(1), sample_digest(at, links));
    messages
}

/// A digest of three experiments, one of them with news.
fn sample_digest(at: Timestamp, links: &Links) -> Value {
    let standing = |id: &str, verdict: &str, says: &str, news: &[&str]| Standing {
        id: id.to_owned(),
        verdict: verdict.to_owned(),
        says: says.to_owned(),
        tripped: verdict == "stop",
        news: news.iter().map(ToString::to_string).collect(),
    };
    let contents = Contents {
        name: "growth",
        slot: Timestamp::from_second(at.as_second()).unwrap_or(at),
        since: Some(add_ms(at, -7 * DAY_MS)),
        standings: vec![
            standing("copy-test", "collecting", "41 % of the needed sample is in", &[]),
            standing(
                "sample-checklist",
                "stop",
                "guardrail errors tripped at 0.2 %, limit 0.1 %",
                &[
                    "TRIPPED: errors 0.2 %, limit 0.1 %",
                    "ROLLED BACK: action turn-off-checklist is confirmed",
                ],
            ),
            standing("new-mail", "continue", "opened +6.0 pts, needed +3.0 pts", &[]),
        ],
        external_url: &links.external_url,
    };
    digest::message(&contents)
}

/// With free words.
fn with_detail(mut sample: Sample, detail: &str) -> Sample {
    sample.notice.detail = Some(detail.to_owned());
    sample
}

fn lone(at: Timestamp, kind: NoticeKind, subject: &str, detail: &str) -> Sample {
    with_detail(sample(kind, subject, at, None), detail)
}

fn verdicts(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    let verdict = |kind, record| sample(kind, "", at, record);
    let unchanged =
        || sample_record(at, Verdict::Change, Cause::Mechanism, vec![flat()]).map(without_effect);
    let revised = unchanged().map(|mut record| {
        record.restatement_no = 1;
        record.revises = Some(ids::evaluation_id("sample-checklist", "look", at, 0));
        record.revised = Some(Revised {
            verdict: Verdict::Continue,
            cause: Cause::Graduate,
            changes: vec![Restated {
                subject: "activation_14d".to_owned(),
                before: Some(0.06),
                now: Some(0.002),
                relative: false,
                units_before: Some(11_200.0),
                units_now: Some(12_000.0),
            }],
        });
        record
    });
    vec![
        verdict(
            Kind::VerdictContinue,
            sample_record(at, Verdict::Continue, Cause::Graduate, met()),
        ),
        verdict(Kind::VerdictChange, unchanged()),
        verdict(Kind::VerdictStop, stopped(at)),
        verdict(Kind::VerdictHold, held(at)),
        verdict(Kind::VerdictRevised, revised),
    ]
}

fn flat() -> Reason {
    Reason::SignalIs { signal: "activation_14d".to_owned(), state: SignalState::Flat }
}

/// The guardrail tripped.
fn stopped(at: Timestamp) -> Option<EvaluationRecord> {
    let tripped = Reason::GuardrailTripped {
        guardrail: "errors".to_owned(),
        value: Some(0.002_1),
        limit: Some(0.001),
    };
    sample_record(at, Verdict::Stop, Cause::Tripped, vec![tripped])
}

/// Nothing is decided yet.
fn running(at: Timestamp) -> Option<EvaluationRecord> {
    let progress = Reason::Progress { share: 0.72, days_left: 11.0 };
    sample_record(at, Verdict::Collecting, Cause::OnTrack, vec![progress])
}

/// The outcome's data went missing.
fn held(at: Timestamp) -> Option<EvaluationRecord> {
    let since = add_ms(at, -3 * DAY_MS);
    let missing = Reason::DataMissing { signal: "activation_14d".to_owned(), since: Some(since) };
    let record = sample_record(at, Verdict::Hold, Cause::DataMissing, vec![missing]);
    record.map(|mut record| {
        let why = format!("nothing came since {}", since.strftime("%Y-%m-%d"));
        change_outcome(&mut record, SignalState::NoData, Truth::Unknown, None, Some(&why));
        record
    })
}

/// The proxy moved, the outcome did not.
fn without_effect(mut record: EvaluationRecord) -> EvaluationRecord {
    let flat = evidence((-0.018, 0.002, 0.022), false, (0.27, 0.272));
    change_outcome(&mut record, SignalState::Flat, Truth::False, Some(&flat), None);
    record
}

/// Another end of the story, in the view of the outcome, its atom and the rule.
fn change_outcome(
    record: &mut EvaluationRecord,
    state: SignalState,
    met: Truth,
    evidence: Option<&Evidence>,
    why: Option<&str>,
) {
    for view in record.signals.iter_mut().filter(|view| view.role == Role::Outcome) {
        view.state = state;
        view.evidence = evidence.cloned();
        view.why = why.map(str::to_owned);
    }
    for atom in record.atoms.iter_mut().filter(|atom| atom.signal == "activation_14d") {
        atom.met = met;
        atom.evidence = evidence.cloned();
    }
    record.rule.value = met;
    if let Some(leaf) = record.rule.nodes.last_mut() {
        leaf.value = met;
    }
}

fn guardrails(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    let changed = |change: fn(&mut GuardrailStatus)| {
        let mut record = running(at)?;
        record.guardrails.iter_mut().for_each(change);
        record.input.guardrails.clone_from(&record.guardrails);
        Some(record)
    };
    let burning = changed(|status| {
        status.state = GuardrailState::Burning;
        "slo".clone_into(&mut status.kind);
        (status.value, status.bad) = (Some(0.000_8), Some(480.0));
        status.budget_left = Some(0.35);
        status.burn = status.evaluated_at.map(|now| BurnStatus {
            period: Window { start: add_ms(now, -28 * DAY_MS), end: now },
            measured: 1.0,
            burn: 6.0,
            exhausted_at: Some(add_ms(now, 2 * DAY_MS)),
            trips_at: None,
            alerts: Vec::new(),
            bad_within: None,
        });
    });
    let silent = changed(|status| {
        status.state = GuardrailState::NoData;
        (status.value, status.bad, status.total) = (None, None, None);
        status.why = Some("nothing came for 2 hours".to_owned());
    });
    vec![
        sample(Kind::GuardrailTripped, "errors", at, stopped(at)),
        sample(Kind::GuardrailBurning, "errors", at, burning),
        sample(Kind::GuardrailRecovered, "errors", at, running(at)),
        sample(Kind::GuardrailNoData, "errors", at, silent),
    ]
}

fn alarms_and_data(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    let with_alarm = |alarm: Alarm| {
        let mut record = running(at)?;
        record.alarms.push(alarm);
        Some(record)
    };
    let again = "an acknowledgement and a new allocation epoch";
    let split = Alarm::new(AlarmKind::Srm, "", again)
        .number("units.control", 6_000.0)
        .number("units.checklist", 5_400.0)
        .number("p", 2.1e-8);
    let theatre = "a ratio that rises by its numerator, or a denominator that is back";
    let theatre = Alarm::new(AlarmKind::Theatre, "activation_14d", theatre)
        .because(AlarmCause::DenominatorDriven)
        .since(at)
        .number("ratio_change", 0.11)
        .number("numerator_change", 0.01)
        .number("numerator_lower", -0.06)
        .number("numerator_upper", 0.085)
        .number("denominator_change", -0.09)
        .number("denominator_lower", -0.146)
        .number("denominator_upper", -0.03)
        .number("denominator_share", 0.905);
    let words = judge::prose::alarm_line(&theatre);
    let raised = sample(Kind::AlarmRaised, "activation_14d", at, with_alarm(theatre));
    vec![
        sample(Kind::ProxyWithoutOutcome, "action_x_24h", at, running(at).map(without_effect)),
        sample(Kind::SplitMismatch, "", at, with_alarm(split)),
        with_detail(raised, &words),
        sample(Kind::AlarmCleared, "theatre:activation_14d", at, running(at)),
        sample(Kind::DataStale, "activation_14d", at, held(at)),
        sample(Kind::DataRecovered, "activation_14d", at, running(at)),
        lone(at, Kind::SourceDown, "warehouse", "timeout: no answer within 30 s"),
        lone(at, Kind::SourceRecovered, "warehouse", "It was away for 4 minutes."),
    ]
}

fn actions_and_faults(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    let action =
        |kind, words: &str| with_detail(sample(kind, "turn-off-checklist", at, stopped(at)), words);
    let fault = sample(Kind::EngineFault, "", at, running(at));
    vec![
        action(Kind::ActionConfirmed, "Rollback confirmed in 3.1 s: the flag reads off."),
        action(Kind::ActionFailed, "Rollback unconfirmed after 60 s: the flag still reads on."),
        lone(at, Kind::FileBroken, "sample.yaml", "E0102 at 12:3: unknown key `sorce`"),
        with_detail(fault, "the interval of activation_14d has no width"),
    ]
}

/// About receivers, and the test send.
fn delivery(at: Timestamp) -> Vec<Sample> {
    use NoticeKind as Kind;
    let about = |kind, detail: &str| lone(at, kind, "team-chat", detail);
    vec![
        about(Kind::EndpointDegraded, "5 attempts in a row failed; the last: timeout"),
        about(Kind::EndpointDisabled, "It said that it is gone (HTTP 410)."),
        about(Kind::EndpointRecovered, "It had failed for 12 minutes."),
        about(Kind::DeliveryDropped, "3 expired, 1 pushed out of a full queue."),
        about(Kind::ClockSkewed, "Its clock is 183 s behind ours."),
        about(Kind::ClockAgreed, "The difference is below 2 minutes."),
        lone(at, Kind::Test, "", "Sent by `verdictd notify test`."),
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
        at_checkpoint: verdict != Verdict::Collecting,
        ends_cycle: !matches!(verdict, Verdict::Hold | Verdict::Collecting),
        next_look_at: Some(add_ms(at, DAY_MS)),
        next_checkpoint_at: (verdict == Verdict::Collecting).then(|| add_ms(at, 11 * DAY_MS)),
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
