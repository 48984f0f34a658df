//! Alarms and findings of a look.

use super::super::{AlarmKind, AlarmSeverity, Finding};
use super::*;
use crate::analyse::{GuardrailState, SignalState};
use crate::fixture::{checkpoint_at, guardrail, ts};
use crate::observe::Observation;
use crate::spec::{Compare, OnTrip};
use crate::time::add_ms;

fn kinds(look: &Look) -> Vec<(AlarmKind, AlarmSeverity)> {
    outcome(look).alarms.iter().map(|alarm| (alarm.kind, alarm.severity)).collect()
}

const CONFIRMED: (AlarmKind, AlarmSeverity) =
    (AlarmKind::ProxyWithoutOutcome, AlarmSeverity::Confirmed);
const SUSPECTED: (AlarmKind, AlarmSeverity) =
    (AlarmKind::ProxyWithoutOutcome, AlarmSeverity::Suspected);

fn progress(look: Look, share: f64) -> Look {
    look.with(|_, analysis| analysis.progress = Some(share))
}

#[test]
fn a_proxy_that_moved_over_a_flat_outcome_is_confirmed() {
    use SignalState::{Below, Flat, Harm, Inconclusive, Met, Moving, Short};
    let look = |proxy| Look::early().state("p", proxy).state("o", Flat);
    for proxy in [Met, Moving, Short] {
        assert_eq!(kinds(&look(proxy)), [CONFIRMED], "{proxy:?}");
    }
    for proxy in [Flat, Harm, Below, Inconclusive] {
        assert_eq!(kinds(&look(proxy)), [], "{proxy:?}");
    }
    let alarm = outcome(&look(Met)).alarms.remove(0);
    assert_eq!(alarm.subject, "p");
    assert_eq!(alarm.knowable_at, None);
    assert_eq!(alarm.numbers["proxy_change"], 0.04);
    assert_eq!(alarm.numbers["o.upper"], 0.06);
    assert_eq!(alarm.numbers["o.min_effect"], 0.03);
}

#[test]
fn half_of_the_information_without_a_moved_outcome_is_suspected() {
    use SignalState::{Harm, Inconclusive, Met, Moving, NoData, Short, TooEarly};
    let look = |outcome, share| progress(Look::early().state("o", outcome), share);
    assert_eq!(kinds(&look(Inconclusive, 0.5)), [SUSPECTED]);
    assert_eq!(kinds(&look(Inconclusive, 0.49)), []);
    // Worse is no suspicion: no meaningful effect is left in the interval.
    assert_eq!(kinds(&look(Harm, 0.1)), [CONFIRMED]);
    for outcome in [Met, Moving, Short, NoData, TooEarly] {
        assert_eq!(kinds(&look(outcome, 0.9)), [], "{outcome:?}");
    }
    let no_plan = look(Inconclusive, 0.9).with(|_, analysis| analysis.progress = None);
    assert_eq!(kinds(&no_plan), []);
}

#[test]
fn a_suspicion_says_when_it_will_be_known() {
    let knowable = |share| {
        let look = progress(Look::early().state("o", SignalState::Inconclusive), share);
        outcome(&look).alarms[0].knowable_at
    };
    // 28 days counted to 29 June are 0.8 of it: 7 more days, and 14 to mature.
    assert_eq!(knowable(0.8), Some(ts("2026-07-20T00:00:00Z")));
    assert_eq!(knowable(1.0), Some(checkpoint_at()));
}

#[test]
fn split_definition_and_missing_data_are_alarms() {
    let look = Look::early()
        .split(true)
        .missing("p")
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::SourceError)
        .with(|input, _| input.unacknowledged.push("o".into()));
    let found = outcome(&look).alarms;
    let named: Vec<_> = found.iter().map(|alarm| (alarm.kind, alarm.subject.as_str())).collect();
    assert_eq!(
        named,
        [
            (AlarmKind::Srm, ""),
            (AlarmKind::DefinitionChanged, "o"),
            (AlarmKind::Stale, "p"),
            (AlarmKind::SourceDown, "prom"),
        ]
    );
    assert_eq!(found[0].numbers["units.b"], 5_000.0);
    // 19 days since the fixture's start.
    assert_eq!(found[3].numbers["age_seconds"], 19.0 * 86_400.0);
    assert_eq!(kinds(&Look::early().split(false)), []);
}

#[test]
fn a_source_is_down_since_the_first_reader_that_knows() {
    let look = Look::early()
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::SourceError)
        .guardrail(guardrail("latency", OnTrip::Alert), GuardrailState::SourceError)
        .with(|_, analysis| analysis.guardrails[0].since = None);
    let found = outcome(&look).alarms;
    assert_eq!((found.len(), found[0].kind), (1, AlarmKind::SourceDown));
    assert_eq!(found[0].numbers["served"], 2.0);
    assert_eq!(found[0].numbers["age_seconds"], 19.0 * 86_400.0);
}

#[test]
fn a_refused_answer_is_stale_data_of_its_own_with_its_reason() {
    let refused = Observation::SourceError {
        class: "contract_error".into(),
        cause: "act.csv:6: 130 of 100".into(),
        since: ts("2026-06-10T00:00:00Z"),
    };
    let look = Look::early()
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::SourceError)
        .with(|input, analysis| {
            input.observations.insert("p".into(), refused);
            analysis.guardrails[0].why = Some("user_error: no such metric".into());
        });
    let found = outcome(&look).alarms;
    let told: Vec<_> =
        found.iter().map(|it| (it.kind, it.subject.as_str(), it.why.as_deref())).collect();
    let stale = AlarmKind::Stale;
    assert_eq!(
        told,
        [(stale, "p", Some("act.csv:6: 130 of 100")), (stale, "errors", Some("no such metric"))]
    );
}

#[test]
fn a_look_that_was_slept_through_is_no_younger_than_what_it_tells() {
    // The daemon comes up in mid-day: a guardrail fails first, then the look of midnight is made.
    let look = Look::early()
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::SourceError)
        .with(|input, analysis| {
            analysis.guardrails[0].since = Some(add_ms(input.at, 38_058_000));
        });
    let found = outcome(&look).alarms;
    assert_eq!((found[0].kind, found[0].since), (AlarmKind::SourceDown, Some(look.input.at)));
    assert_eq!(found[0].numbers["age_seconds"], 0.0);
}

#[test]
fn findings_are_told_once() {
    let look = Look::passing().state("p", SignalState::Short).with(|input, analysis| {
        analysis.findings = vec![Finding::Short { signal: "p".into(), wanted: Some(0.03) }];
        analysis.atoms[0].no_test = true;
        if let Some(evidence) = analysis.signals[1].evidence.as_mut() {
            evidence.exact_baseline = true;
        }
        if let Compare::Arms { split, .. } = &mut input.experiment.compare {
            split.clear();
        }
    });
    assert_eq!(
        outcome(&look).findings,
        [
            Finding::Short { signal: "p".into(), wanted: Some(0.03) },
            Finding::NoTest { signal: "p".into() },
            Finding::Uncontrolled { signal: "o".into() },
            Finding::SplitNotChecked,
        ]
    );
    assert_eq!(outcome(&Look::passing()).findings, []);
}
