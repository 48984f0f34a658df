//! Every verdict, reason, finding, alarm, state and notice is reached by a story, or is listed here
//! with the reason why a story cannot.
//!
//! The tables have no wildcard: a new variant does not compile until it is named, and then fails
//! until a story comes to it.

use std::collections::{BTreeMap, BTreeSet};

use judge::analyse::{GuardrailState, SignalState, UnknownWhy};
use judge::case::run;
use judge::decide::{Alarm, AlarmCause, AlarmKind, AlarmSeverity, Cause, Finding, Reason};
use judge::lifecycle::Life;
use judge::notice::NoticeKind;
use judge::record::EvaluationRecord;
use judge::spec::GuardrailKind;

use super::{case_folders, texts};

/// An enum's names, and the function that names a value.
macro_rules! names {
    ($name:ident, $all:ident, $kind:ty, $($pattern:pat => $word:literal,)+) => {
        const $all: &[&str] = &[$($word),+];
        fn $name(value: &$kind) -> &'static str {
            match value { $($pattern => $word,)+ }
        }
    };
}

names!(cause, CAUSES, Cause,
    Cause::Tripped => "stop: tripped",
    Cause::Harmful => "stop: harmful",
    Cause::Futile => "stop: futile",
    Cause::NoCyclesLeft => "stop: no_cycles_left",
    Cause::PastBy => "stop: past_by",
    Cause::Mechanism => "change: mechanism",
    Cause::Extend => "change: extend",
    Cause::Graduate => "continue: graduate",
    Cause::KeepRunning => "continue: keep_running",
    Cause::Srm => "hold: srm",
    Cause::MultipleExposure => "hold: multiple_exposure",
    Cause::Imbalance => "hold: imbalance",
    Cause::DefinitionChanged => "hold: definition_changed",
    Cause::DataMissing => "hold: data_missing",
    Cause::EngineFault => "hold: engine_fault",
    Cause::OnTrack => "collecting: on_track",
    Cause::CannotBeReached => "collecting: cannot_be_reached",
    Cause::WaitingForMaturity => "collecting: waiting_for_maturity",
);

names!(reason, REASONS, Reason,
    Reason::GuardrailTripped { .. } => "guardrail_tripped",
    Reason::GuardrailRestated { .. } => "guardrail_restated",
    Reason::AtomMet { .. } => "atom_met",
    Reason::AtomNotMet { .. } => "atom_not_met",
    Reason::AtomUnknown { .. } => "atom_unknown",
    Reason::StopRuleHolds => "stop_rule_holds",
    Reason::SignalIs { .. } => "signal_is",
    Reason::DataMissing { .. } => "data_missing",
    Reason::SplitMismatch { .. } => "split_mismatch",
    Reason::MultipleExposure { .. } => "multiple_exposure",
    Reason::Imbalance { .. } => "imbalance",
    Reason::DefinitionChanged { .. } => "definition_changed",
    Reason::NeedsMore { .. } => "needs_more",
    Reason::NotShownSafe { .. } => "not_shown_safe",
    Reason::GuardrailOn { .. } => "guardrail_on",
    Reason::TooShort { .. } => "too_short",
    Reason::OutcomeUnproven { .. } => "outcome_unproven",
    Reason::CyclesUsed { .. } => "cycles_used",
    Reason::PastBy { .. } => "past_by",
    Reason::Progress { .. } => "progress",
    Reason::WaitsForMaturity { .. } => "waits_for_maturity",
    Reason::Fault { .. } => "fault",
);

names!(finding, FINDINGS, Finding,
    Finding::Drifted { .. } => "drifted",
    Finding::Retargeted { .. } => "retargeted",
    Finding::DefinitionChanged { .. } => "definition_changed",
    Finding::NotShownSafe { .. } => "not_shown_safe",
    Finding::Uncontrolled { .. } => "uncontrolled",
    Finding::SplitNotChecked => "split_not_checked",
    Finding::UnplannedUnits { .. } => "unplanned_units",
    Finding::Short { .. } => "short",
    Finding::NoTest { .. } => "no_test",
);

names!(alarm, ALARMS, AlarmKind,
    AlarmKind::ProxyWithoutOutcome => "proxy_without_outcome",
    AlarmKind::ProxyDoesNotPredict => "proxy_does_not_predict",
    AlarmKind::Theatre => "theatre",
    AlarmKind::Srm => "srm",
    AlarmKind::MultipleExposure => "multiple_exposure",
    AlarmKind::DefinitionChanged => "definition_changed",
    AlarmKind::Stale => "stale",
    AlarmKind::SourceDown => "source_down",
    AlarmKind::Purgatory => "purgatory",
    AlarmKind::NoKills => "thrash.no_kills",
    AlarmKind::NoDeviation => "thrash.no_deviation",
    AlarmKind::StatusOnly => "thrash.status_only",
    AlarmKind::Toothless => "toothless",
    AlarmKind::GuardrailNeverEvaluated => "guardrail_never_evaluated",
    AlarmKind::OverdueReview => "overdue_review",
    AlarmKind::OverdueAudit => "overdue_audit",
);

names!(alarm_cause, ALARM_CAUSES, AlarmCause,
    AlarmCause::DenominatorDriven => "denominator_driven",
    AlarmCause::NumeratorUpDenominatorDown => "numerator_up_denominator_down",
    AlarmCause::EmptyWin => "empty_win",
    AlarmCause::DenominatorFell => "denominator_fell",
    AlarmCause::CohortNarrowed => "cohort_narrowed",
    AlarmCause::OwnerUnclear => "owner_unclear",
    AlarmCause::NoCriterion => "no_criterion",
    AlarmCause::NoBehaviour => "no_behaviour",
    AlarmCause::PastCycle => "past_cycle",
    AlarmCause::NoOpsPath => "no_ops_path",
    AlarmCause::AwaitingRevision => "awaiting_revision",
    AlarmCause::DefaultNotUpdated => "default_not_updated",
);

names!(signal_state, SIGNAL_STATES, SignalState,
    SignalState::Harm => "harm",
    SignalState::Met => "met",
    SignalState::Short => "short",
    SignalState::Moving => "moving",
    SignalState::Flat => "flat",
    SignalState::Inconclusive => "inconclusive",
    SignalState::Below => "below",
    SignalState::TooEarly => "too_early",
    SignalState::NoData => "no_data",
    SignalState::Invalid => "invalid",
    SignalState::Shown => "shown",
);

names!(guardrail_state, GUARDRAIL_STATES, GuardrailState,
    GuardrailState::Ok => "ok",
    GuardrailState::Burning => "burning",
    GuardrailState::Unproven => "unproven",
    GuardrailState::Tripped => "tripped",
    GuardrailState::Insufficient => "insufficient",
    GuardrailState::NoData => "no_data",
    GuardrailState::SourceError => "source_error",
);

names!(guardrail_kind, GUARDRAIL_KINDS, GuardrailKind,
    GuardrailKind::Slo(_) => "slo",
    GuardrailKind::Threshold(_) => "threshold",
    GuardrailKind::NoWorseThan(_) => "no_worse_than",
    GuardrailKind::Limit(_) => "limit",
    GuardrailKind::ErrorBudget(_) => "error_budget",
);

names!(unknown_why, UNKNOWN_WHYS, UnknownWhy,
    UnknownWhy::Inconclusive => "inconclusive",
    UnknownWhy::NotNow => "not_now",
    UnknownWhy::Insufficient => "insufficient",
    UnknownWhy::NoData => "no_data",
    UnknownWhy::SourceError => "source_error",
    UnknownWhy::Immature => "immature",
    UnknownWhy::Invalid => "invalid",
);

names!(life, LIVES, Life,
    Life::Draft => "draft",
    Life::Scheduled => "scheduled",
    Life::Running => "running",
    Life::AwaitingRevision => "awaiting_revision",
    Life::Graduated => "graduated",
    Life::Stopped => "stopped",
    Life::Archived => "archived",
    Life::Paused => "paused",
);

names!(notice, NOTICES, NoticeKind,
    NoticeKind::VerdictContinue => "experiment.verdict.continue",
    NoticeKind::VerdictChange => "experiment.verdict.change",
    NoticeKind::VerdictStop => "experiment.verdict.stop",
    NoticeKind::VerdictHold => "experiment.verdict.hold",
    NoticeKind::VerdictRevised => "experiment.verdict.revised",
    NoticeKind::GuardrailTripped => "guardrail.tripped",
    NoticeKind::GuardrailBurning => "guardrail.burning",
    NoticeKind::GuardrailRecovered => "guardrail.recovered",
    NoticeKind::GuardrailNoData => "guardrail.no_data",
    NoticeKind::ProxyWithoutOutcome => "proxy.without_outcome",
    NoticeKind::SplitMismatch => "split.mismatch",
    NoticeKind::AlarmRaised => "alarm.raised",
    NoticeKind::AlarmCleared => "alarm.cleared",
    NoticeKind::DataStale => "data.stale",
    NoticeKind::DataRecovered => "data.recovered",
    NoticeKind::SourceDown => "source.down",
    NoticeKind::SourceRecovered => "source.recovered",
    NoticeKind::ActionConfirmed => "action.confirmed",
    NoticeKind::ActionFailed => "action.failed",
    NoticeKind::FileBroken => "file.broken",
    NoticeKind::EngineFault => "engine.fault",
    NoticeKind::EndpointDegraded => "endpoint.degraded",
    NoticeKind::EndpointDisabled => "endpoint.disabled",
    NoticeKind::EndpointRecovered => "endpoint.recovered",
    NoticeKind::DeliveryDropped => "delivery.dropped",
    NoticeKind::ClockSkewed => "clock.skewed",
    NoticeKind::ClockAgreed => "clock.agreed",
    NoticeKind::Test => "test",
);

const DAEMON: &str = "the daemon says it, who asks sources and sends actions: tests/it";
const FAULT: &str = "the judge fails only in the tests of `decide` and of the daemon";
const KIND: &str = "this kind has no such state";

/// What no story can come to, and why.
const CANNOT: &[(&str, &str)] = &[
    ("cause hold: engine_fault", FAULT),
    ("reason fault", FAULT),
    ("reason guardrail_restated", "a revision is told in the timeline; its record is no look"),
    ("notice source.down", DAEMON),
    ("notice source.recovered", DAEMON),
    ("notice action.confirmed", DAEMON),
    ("notice action.failed", DAEMON),
    ("notice file.broken", DAEMON),
    ("notice engine.fault", FAULT),
    ("notice endpoint.degraded", DAEMON),
    ("notice endpoint.disabled", DAEMON),
    ("notice endpoint.recovered", DAEMON),
    ("notice delivery.dropped", DAEMON),
    ("notice clock.skewed", DAEMON),
    ("notice clock.agreed", DAEMON),
    ("notice test", DAEMON),
    ("guardrail slo unproven", KIND),
    ("guardrail threshold burning", KIND),
    ("guardrail threshold unproven", KIND),
    ("guardrail no_worse_than burning", KIND),
    ("guardrail limit burning", KIND),
    ("guardrail error_budget burning", KIND),
    ("guardrail error_budget unproven", KIND),
];

/// `what` and a name, by the first story that comes to it.
type Reached = BTreeMap<String, String>;

fn wanted() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut put = |what: &str, names: &[&str]| {
        found.extend(names.iter().map(|name| format!("{what} {name}")));
    };
    put("cause", CAUSES);
    put("reason", REASONS);
    put("finding", FINDINGS);
    put("alarm", ALARMS);
    put("alarm cause", ALARM_CAUSES);
    put("severity", &["suspected", "confirmed"]);
    put("signal", SIGNAL_STATES);
    put("unknown", UNKNOWN_WHYS);
    put("life", LIVES);
    put("notice", NOTICES);
    for kind in GUARDRAIL_KINDS {
        put(&format!("guardrail {kind}"), GUARDRAIL_STATES);
    }
    found
}

fn of_alarm(raised: &Alarm, put: &mut dyn FnMut(&str, &str)) {
    put("alarm", alarm(&raised.kind));
    if let Some(because) = &raised.cause {
        put("alarm cause", alarm_cause(because));
    }
    let suspected = raised.severity == AlarmSeverity::Suspected;
    put("severity", if suspected { "suspected" } else { "confirmed" });
}

fn of_record(record: &EvaluationRecord, put: &mut dyn FnMut(&str, &str)) {
    let row = cause(&record.decision.cause);
    let verdict = serde_json::to_value(record.decision.verdict).unwrap();
    assert_eq!(Some(verdict.as_str().unwrap()), row.split(':').next(), "{}", record.input.at);
    put("cause", row);
    record.decision.reasons.iter().for_each(|one| put("reason", reason(one)));
    record.findings.iter().for_each(|one| put("finding", finding(one)));
    record.alarms.iter().for_each(|one| of_alarm(one, put));
    record.signals.iter().for_each(|one| put("signal", signal_state(&one.state)));
    for atom in record.atoms.iter().chain(&record.stop_atoms) {
        if let Some(why) = &atom.why {
            put("unknown", unknown_why(why));
        }
    }
    for status in &record.guardrails {
        let Some(rail) = record.input.experiment.guardrail(&status.name) else { continue };
        let what = format!("guardrail {}", guardrail_kind(&rail.kind));
        put(&what, guardrail_state(&status.state));
    }
}

/// The value of a wire name.
fn read<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.into()).unwrap()
}

/// Lives and notices stand in the timeline only.
fn of_timeline(timeline: &str, put: &mut dyn FnMut(&str, &str)) {
    for line in timeline.lines().map(str::trim) {
        if let Some((_, word)) = line.split_once("life: ") {
            put("life", life(&read(word)));
        }
        if let Some(said) = line.strip_prefix("says ") {
            put("notice", notice(&read(said.split(' ').next().unwrap_or_default())));
        }
    }
}

fn reached() -> Reached {
    let mut found = Reached::new();
    for folder in case_folders() {
        let story = folder.file_name().unwrap().to_string_lossy().into_owned();
        let result = run(&texts(&folder)).unwrap();
        let mut put = |what: &str, name: &str| {
            found.entry(format!("{what} {name}")).or_insert_with(|| story.clone());
        };
        result.records.iter().for_each(|record| of_record(record, &mut put));
        result.watched.iter().for_each(|one| of_alarm(one, &mut put));
        of_timeline(&result.got, &mut put);
    }
    found
}

#[test]
fn a_story_comes_to_everything_that_can_be_said() {
    let reached = reached();
    let cannot: BTreeMap<&str, &str> = CANNOT.iter().copied().collect();
    let missing: Vec<_> = wanted()
        .into_iter()
        .filter(|one| !reached.contains_key(one) && !cannot.contains_key(one.as_str()))
        .collect();
    assert!(missing.is_empty(), "no story comes to: {missing:#?}");
    let wrong: Vec<_> = cannot.keys().filter(|one| reached.contains_key(**one)).collect();
    assert!(wrong.is_empty(), "listed as impossible, and reached: {wrong:?}");
    let unknown: Vec<_> = cannot.keys().filter(|one| !wanted().contains(**one)).collect();
    assert!(unknown.is_empty(), "listed as impossible, and no such thing: {unknown:?}");
    println!("{} reached, {} cannot", reached.len(), cannot.len());
}
