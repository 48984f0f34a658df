//! Stops, and the rows that decide at the checkpoint.

use super::*;
use crate::analyse::{GuardrailState, RuleValue, SignalState, Truth};
use crate::fixture::{checkpoint_at, guardrail, leaf, no_worse_than, ts};
use crate::spec::{OnTrip, When};
use crate::time::Span;

#[test]
fn everything_met_graduates_and_ends_the_cycle() {
    let decision = outcome(&Look::passing()).decision;
    assert_eq!((decision.verdict, decision.cause), GRADUATE);
    assert_eq!(decision.reasons, [Reason::AtomMet { atom: 0 }, Reason::AtomMet { atom: 1 }]);
    assert!(decision.at_checkpoint && decision.ends_cycle);
    assert_eq!((decision.next_look_at, decision.next_checkpoint_at), (None, None));
}

#[test]
fn the_checkpoint_is_its_instant_and_every_look_while_it_is_open() {
    assert_eq!(row(&Look::passing().at("2026-07-12T23:59:59Z")), ON_TRACK);
    assert_eq!(row(&Look::passing().at("2026-07-13T00:00:01Z")), GRADUATE);
    let open = Look::passing().at("2026-07-12T00:00:00Z").with(|input, _| input.cycle.open = true);
    assert_eq!(row(&open), GRADUATE);
}

#[test]
fn a_stop_guardrail_wins_over_everything() {
    let trip = |state, on_trip| Look::passing().guardrail(guardrail("errors", on_trip), state);
    assert_eq!(row(&trip(GuardrailState::Tripped, OnTrip::Stop)), TRIPPED);
    assert_eq!(row(&trip(GuardrailState::Ok, OnTrip::Stop)), GRADUATE);
    assert_eq!(row(&trip(GuardrailState::Burning, OnTrip::Stop)), GRADUATE);
    // An alert guardrail does not stop, it keeps `continue` from passing.
    let alert = trip(GuardrailState::Tripped, OnTrip::Alert);
    assert_eq!(row(&alert), MECHANISM);
    assert_eq!(reasons(&alert)[0], Reason::GuardrailOn { guardrail: "errors".into() });
    let all = trip(GuardrailState::Tripped, OnTrip::Stop).harmed("o").split(true);
    assert_eq!(row(&all), TRIPPED);
    let tripped =
        Reason::GuardrailTripped { guardrail: "errors".into(), value: Some(1.2), limit: Some(1.0) };
    assert_eq!(reasons(&all), [tripped]);
}

#[test]
fn a_frozen_or_latched_trip_is_still_a_trip() {
    let silent =
        Look::passing().guardrail(guardrail("errors", OnTrip::Stop), GuardrailState::NoData);
    assert_eq!(row(&silent), GRADUATE);
    let frozen = silent
        .clone()
        .with(|_, analysis| analysis.guardrails[0].frozen = Some(GuardrailState::Tripped));
    assert_eq!(row(&frozen), TRIPPED);
    let frozen_ok =
        silent.clone().with(|_, analysis| analysis.guardrails[0].frozen = Some(GuardrailState::Ok));
    assert_eq!(row(&frozen_ok), GRADUATE);
    let latched = silent.with(|_, analysis| analysis.guardrails[0].latched = true);
    assert_eq!(row(&latched), TRIPPED);
}

#[test]
fn harm_needs_trusted_signals_and_a_sound_split() {
    let harmed = Look::passing().harmed("o");
    assert_eq!(row(&harmed), HARMFUL);
    assert_eq!(
        reasons(&harmed),
        [Reason::SignalIs { signal: "o".into(), state: SignalState::Harm }]
    );
    assert_eq!(row(&harmed.clone().split(true)), SRM);
    let changed = harmed.clone().with(|input, _| input.unacknowledged.push("o".into()));
    assert_eq!(row(&changed), CHANGED);
    let other = harmed.clone().with(|input, _| input.unacknowledged.push("x".into()));
    assert_eq!(row(&other), HARMFUL);
    let within = harmed.clone().with(|_, analysis| analysis.harm[0].harmful = false);
    assert_eq!(row(&within), MECHANISM);
    // No fit data, no stop.
    assert_ne!(row(&harmed.clone().missing("o")), HARMFUL);
    assert_ne!(row(&harmed.state("o", SignalState::Invalid)), HARMFUL);
}

#[test]
fn the_stop_rule_stops_when_its_atoms_are_trusted() {
    let stop = |met| {
        Look::passing().with(|_, analysis| {
            let mut atom = analysis.atoms[1].clone();
            atom.met = met;
            analysis.stop_atoms = vec![atom];
            analysis.stop_rule = Some(leaf(0));
        })
    };
    assert_eq!(row(&stop(Truth::True)), HARMFUL);
    assert_eq!(reasons(&stop(Truth::True)), [Reason::StopRuleHolds]);
    assert_eq!(row(&stop(Truth::Unknown)), GRADUATE);
    assert_eq!(row(&stop(Truth::False)), GRADUATE);
    let changed = stop(Truth::True).with(|input, _| input.unacknowledged.push("o".into()));
    assert_eq!(row(&changed), CHANGED);
    // `not (untrusted)` is unknown too: distrust never turns into a stop.
    let negated = stop(Truth::False).with(|input, analysis| {
        input.unacknowledged.push("o".into());
        let not = RuleValue { op: "not".into(), atom: None, nodes: vec![leaf(0)], ..leaf(0) };
        analysis.stop_rule = Some(not);
    });
    assert_eq!(row(&negated), CHANGED);
}

#[test]
fn nothing_moves_is_futile() {
    use SignalState::{Below, Flat, Harm, Inconclusive, Met, Moving, Short};
    let look = |outcome, proxy| {
        let look = Look::passing().state("o", outcome).state("p", proxy);
        look.atom(0, Truth::False).atom(1, Truth::False)
    };
    for proxy in [Flat, Harm, Below] {
        assert_eq!(row(&look(Flat, proxy)), FUTILE, "{proxy:?}");
    }
    for proxy in [Met, Moving, Short, Inconclusive] {
        assert_eq!(row(&look(Flat, proxy)), MECHANISM, "{proxy:?}");
    }
    for outcome in [Met, Moving, Short, Inconclusive, Harm, Below] {
        assert_eq!(row(&look(outcome, Flat)), MECHANISM, "{outcome:?}");
    }
    assert_eq!(
        reasons(&look(Flat, Below)),
        [
            Reason::SignalIs { signal: "o".into(), state: Flat },
            Reason::SignalIs { signal: "p".into(), state: Below },
        ]
    );
}

#[test]
fn continue_needs_every_outcome_observed_and_neither_flat_nor_harmed() {
    let unnamed = |state| {
        Look::passing().state("o", state).with(|_, analysis| {
            analysis.atoms.truncate(1);
            analysis.rule = leaf(0);
        })
    };
    assert_eq!(row(&unnamed(SignalState::Met)), GRADUATE);
    assert_eq!(row(&unnamed(SignalState::Flat)), MECHANISM);
    assert_eq!(row(&unnamed(SignalState::Harm)), MECHANISM);
    assert_eq!(row(&unnamed(SignalState::Invalid)), MECHANISM);
    // Unproven with no checkpoint left: once more, then no longer.
    for state in [SignalState::Moving, SignalState::Short, SignalState::Inconclusive] {
        let look = unnamed(state);
        assert_eq!(row(&look), EXTEND, "{state:?}");
        let extended = look.with(|input, _| input.cycle.extended = true);
        assert_eq!(row(&extended), MECHANISM, "{state:?}");
    }
}

#[test]
fn a_rhythm_keeps_running_until_by() {
    let weekly = |at: &str, state| {
        Look::passing().at(at).state("o", state).with(|input, _| {
            input.experiment.checkpoint.when = When::Every(Span::days(7));
            input.cycle.checkpoint_at = input.at;
        })
    };
    let decision = outcome(&weekly("2026-07-13T00:00:00Z", SignalState::Moving)).decision;
    assert_eq!((decision.verdict, decision.cause), KEEP_RUNNING);
    assert_eq!(decision.next_checkpoint_at, Some(ts("2026-07-20T00:00:00Z")));
    assert_eq!(decision.next_look_at, Some(ts("2026-07-14T00:00:00Z")));
    assert!(!decision.ends_cycle);
    assert!(decision.reasons.contains(&Reason::OutcomeUnproven { signal: "o".into() }));
    let met = weekly("2026-07-13T00:00:00Z", SignalState::Met);
    assert_eq!(row(&met), KEEP_RUNNING);
    assert!(!reasons(&met).contains(&Reason::OutcomeUnproven { signal: "o".into() }));
    // 28 September is the last Monday before `by` (1 October 00:00): none is planned after it.
    assert_eq!(row(&weekly("2026-09-21T00:00:00Z", SignalState::Met)), KEEP_RUNNING);
    assert_eq!(row(&weekly("2026-09-28T00:00:00Z", SignalState::Met)), GRADUATE);
    assert_eq!(row(&weekly("2026-09-28T00:00:00Z", SignalState::Moving)), EXTEND);
    // A checkpoint at `by` itself is still planned; without a `by` none is.
    let by = |by: Option<&str>| {
        weekly("2026-07-13T00:00:00Z", SignalState::Met)
            .with(|input, _| input.experiment.aims[0].by = by.map(ts))
    };
    assert_eq!(row(&by(Some("2026-07-20T00:00:00Z"))), KEEP_RUNNING);
    assert_eq!(row(&by(Some("2026-07-19T23:59:59Z"))), GRADUATE);
    assert_eq!(row(&by(None)), GRADUATE);
}

#[test]
fn a_proof_that_is_required_and_not_there_keeps_continue_from_passing() {
    let csat = |state, required| Look::passing().guardrail(no_worse_than("csat", required), state);
    let tolerated = csat(GuardrailState::Unproven, false);
    assert_eq!(row(&tolerated), GRADUATE);
    let not_shown = Reason::NotShownSafe { guardrail: "csat".into() };
    assert!(reasons(&tolerated).contains(&not_shown));
    let finding = super::super::Finding::NotShownSafe { guardrail: "csat".into() };
    assert!(outcome(&tolerated).findings.contains(&finding));
    let required = csat(GuardrailState::Unproven, true);
    assert_eq!(row(&required), MECHANISM);
    assert_eq!(reasons(&required)[0], not_shown);
    assert_eq!(row(&csat(GuardrailState::Ok, true)), GRADUATE);
    assert!(outcome(&csat(GuardrailState::Ok, true)).findings.is_empty());
    assert_eq!(row(&csat(GuardrailState::NoData, true)), MECHANISM);
    assert_eq!(row(&csat(GuardrailState::Tripped, false)), MECHANISM);
}

#[test]
fn min_duration_extends_and_is_counted_to_the_instant() {
    let short = |at: &str| {
        Look::passing().at(at).with(|input, _| {
            input.cycle.checkpoint_at = input.at;
            input.experiment.checkpoint.when = When::At(input.at);
        })
    };
    let look = short("2026-06-07T23:59:59Z");
    assert_eq!(row(&look), EXTEND);
    assert!(matches!(
        reasons(&look)[0],
        Reason::TooShort { days, wanted_days } if days < 7.0 && days > 6.9 && wanted_days == 7.0
    ));
    assert_eq!(row(&short("2026-06-08T00:00:00Z")), GRADUATE);
    // It is the only thing that may be amiss.
    assert_eq!(row(&look.state("o", SignalState::Flat)), MECHANISM);
}

#[test]
fn an_unknown_root_extends_when_its_atoms_are_decidable() {
    let look = Look::passing().decidable(1, 101.0).state("o", SignalState::Inconclusive);
    let decision = outcome(&look).decision;
    assert_eq!((decision.verdict, decision.cause), EXTEND);
    assert_eq!(
        decision.reasons,
        [
            Reason::NeedsMore { signal: "o".into(), units: 101.0 },
            Reason::AtomUnknown { atom: 1 },
            Reason::OutcomeUnproven { signal: "o".into() },
            Reason::AtomMet { atom: 0 },
        ]
    );
    // Units enough for the aim: more of them are no reason, the estimate is.
    let enough = Look::passing().decidable(1, 0.0).state("o", SignalState::Moving);
    assert_eq!(row(&enough), EXTEND);
    assert_eq!(reasons(&enough)[0], Reason::AtomUnknown { atom: 1 });
    // Accrual: 42 days less 14 of maturity, from the checkpoint on.
    assert_eq!(decision.next_checkpoint_at, Some(ts("2026-08-10T00:00:00Z")));
    assert!(!decision.ends_cycle);
    let not = |bend: fn(&mut crate::record::LookInput, &mut crate::analyse::Analysis)| {
        row(&look.clone().with(bend))
    };
    assert_eq!(not(|_, analysis| analysis.atoms[1].decidable = false), MECHANISM);
    assert_eq!(not(|_, analysis| analysis.atoms[0].met = Truth::False), MECHANISM);
    assert_eq!(not(|_, analysis| analysis.atoms[0].met = Truth::Unknown), MECHANISM);
    assert_eq!(not(|input, _| input.cycle.extended = true), MECHANISM);
    assert_eq!(not(|input, _| input.cycle.number = 2), EXTEND);
    // `by` may be reached, not passed.
    assert_eq!(not(|input, _| input.experiment.aims[0].by = Some(checkpoint_at())), EXTEND);
    let day_before = |input: &mut crate::record::LookInput, _: &mut crate::analyse::Analysis| {
        input.experiment.aims[0].by = Some(ts("2026-07-12T00:00:00Z"));
    };
    assert_eq!(not(day_before), PAST_BY);
}

#[test]
fn an_or_is_decidable_through_one_branch() {
    let or = |look: Look| look.with(|_, analysis| analysis.rule.op = "or".into());
    let look = or(Look::passing().decidable(1, 50.0).atom(0, Truth::False));
    assert_eq!(row(&look.state("o", SignalState::Inconclusive)), EXTEND);
    let neither = or(Look::passing().atom(0, Truth::False).atom(1, Truth::Unknown));
    assert_eq!(row(&neither.state("o", SignalState::Inconclusive)), MECHANISM);
    // A decidable atom that is false stays false.
    let settled = or(Look::passing().decidable(1, 1.0).atom(1, Truth::False).atom(0, Truth::False));
    assert_eq!(row(&settled), MECHANISM);
}

#[test]
fn the_interval_of_a_rhythm_is_every() {
    let look = Look::passing().decidable(1, 5.0).with(|input, _| {
        input.experiment.checkpoint.when = When::Every(Span::days(7));
    });
    let next = outcome(&look).decision.next_checkpoint_at;
    assert_eq!(next, Some(ts("2026-07-20T00:00:00Z")));
}

#[test]
fn every_other_case_changes_while_cycles_are_left_and_by_has_not_passed() {
    let failing = Look::passing().atom(1, Truth::False).state("o", SignalState::Inconclusive);
    assert_eq!(row(&failing), MECHANISM);
    let cycle = |number| failing.clone().with(move |input, _| input.cycle.number = number);
    assert_eq!(row(&cycle(1)), MECHANISM);
    assert_eq!(row(&cycle(2)), NO_CYCLES);
    assert_eq!(row(&cycle(3)), NO_CYCLES);
    assert_eq!(reasons(&cycle(2))[0], Reason::CyclesUsed { cycles: 2 });
    let by = ts("2026-07-12T00:00:00Z");
    let late = failing.clone().with(|input, _| input.experiment.aims[0].by = Some(by));
    assert_eq!(row(&late), PAST_BY);
    assert_eq!(reasons(&late)[0], Reason::PastBy { by });
    assert!(outcome(&late).decision.ends_cycle);
    // Cycles are named before the date.
    assert_eq!(row(&late.with(|input, _| input.cycle.number = 2)), NO_CYCLES);
    // `by` has not passed at its own instant, and a file may have none.
    let at_by = |by| failing.clone().with(move |input, _| input.experiment.aims[0].by = by);
    assert_eq!(row(&at_by(Some(checkpoint_at()))), MECHANISM);
    assert_eq!(row(&at_by(None)), MECHANISM);
    // A passing rule continues however late it is.
    let passing = Look::passing().with(|input, _| input.experiment.aims[0].by = Some(by));
    assert_eq!(row(&passing), GRADUATE);
}

#[test]
fn reasons_of_a_change_name_outcomes_first_then_atoms() {
    let look = Look::passing()
        .state("o", SignalState::Flat)
        .atom(1, Truth::False)
        .guardrail(guardrail("mails", OnTrip::Alert), GuardrailState::Tripped);
    assert_eq!(
        reasons(&look),
        [
            Reason::SignalIs { signal: "o".into(), state: SignalState::Flat },
            Reason::AtomNotMet { atom: 1 },
            Reason::GuardrailOn { guardrail: "mails".into() },
            Reason::AtomMet { atom: 0 },
        ]
    );
}

/// product.md 4.3 lists what holds: signals. A guardrail without data is an alarm (4.5); but the
/// verdict does not keep quiet about a stop that never saw anything.
#[test]
fn a_stop_that_never_saw_any_data_is_named_beside_the_verdict() {
    use GuardrailState::{NoData, Ok, SourceError};
    let named = |on_trip, state, frozen| {
        let look = Look::passing()
            .guardrail(guardrail("errors", on_trip), state)
            .with(|_, analysis| analysis.guardrails[0].frozen = frozen);
        assert_eq!(row(&look), GRADUATE);
        reasons(&look).contains(&Reason::NotShownSafe { guardrail: "errors".into() })
    };
    assert!(named(OnTrip::Stop, NoData, None) && named(OnTrip::Stop, SourceError, None));
    assert!(!named(OnTrip::Stop, NoData, Some(Ok)), "it was seen, and is frozen");
    assert!(!named(OnTrip::Alert, NoData, None), "it would not stop anything");
    assert!(!named(OnTrip::Stop, Ok, None));
}
