//! The words of records, read as a person would.

use super::*;
use crate::analyse::{GuardrailState, SignalState, Truth, UnknownWhy};
use crate::decide::{Reason, evaluate_fault, evaluate_with};
use crate::fixture::{Look, evidence, guardrail, no_worse_than, ts};
use crate::record::EvaluationRecord;
use crate::spec::{Amount, AtomKind, OnTrip, Rule, Side};

fn record(look: Look) -> EvaluationRecord {
    evaluate_with(look.input, look.analysis, 0, None)
}

fn flat() -> Look {
    Look::passing()
        .state("o", SignalState::Inconclusive)
        .atom(1, Truth::False)
        .with(|_, analysis| analysis.atoms[1].evidence = Some(evidence(0.004, -0.012, 0.02)))
}

#[test]
fn a_headline_has_word_name_number_and_guardrails() {
    let ok = || guardrail("errors", OnTrip::Alert);
    let change = flat().guardrail(ok(), GuardrailState::Ok);
    assert_eq!(
        headline(&record(change)),
        "CHANGE - checkout-copy: o +0.4 pts, needed +3.0 pts; guardrails fine"
    );
    let unproven = Look::passing()
        .guardrail(no_worse_than("csat", false), GuardrailState::Unproven)
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::NoData);
    assert_eq!(
        headline(&record(unproven)),
        "CONTINUE - checkout-copy: o +4.0 pts, needed +3.0 pts: met; \
         csat not shown to be safe, errors has no data"
    );
    let stop = guardrail("errors", OnTrip::Stop);
    let tripped = Look::early().guardrail(stop, GuardrailState::Tripped);
    assert_eq!(
        headline(&record(tripped)),
        "STOP - checkout-copy: guardrail errors tripped at 1.2, limit 1.0"
    );
    assert_eq!(
        headline(&record(Look::passing().missing("o"))),
        "HOLD - checkout-copy: o has no data"
    );
    assert_eq!(
        headline(&record(Look::early())),
        "COLLECTING - checkout-copy: 45 % of the needed sample is in, 23.0 days left"
    );
}

/// A product lead who reads "change" builds something else: an extension says that it goes on.
#[test]
fn an_extension_says_until_when_it_goes_on_and_an_unjudged_signal_why() {
    let open = Look::passing().state("o", SignalState::Inconclusive).atom(1, Truth::Unknown).with(
        |_, analysis| {
            analysis.atoms[1].why = Some(UnknownWhy::Inconclusive);
            analysis.atoms[1].decidable = true;
            analysis.atoms[1].evidence = Some(evidence(0.03, -0.012, 0.072));
        },
    );
    let extended = record(open);
    assert_eq!(extended.decision.cause, Cause::Extend);
    let said = headline(&extended);
    assert!(said.contains("needed +3.0 pts: inconclusive; goes on unchanged until "), "{said}");
    let invalid = Look::passing().state("o", SignalState::Invalid).atom(1, Truth::Unknown).with(
        |_, analysis| {
            analysis.atoms[1].why = Some(UnknownWhy::Invalid);
            analysis.atoms[1].decidable = false;
            analysis.atoms[1].evidence = None;
            analysis.signals[1].why = Some("zero variance".to_owned());
        },
    );
    let record = record(invalid);
    assert_eq!(record.decision.cause, Cause::Mechanism);
    assert!(because(&record).contains("o cannot be judged"), "{}", because(&record));
    assert_eq!(
        what_next(&record),
        "Put right why o cannot be judged, and revise the file with a later start; or stop."
    );
}

#[test]
fn on_track_says_when_the_rule_does_not_hold_as_it_stands() {
    let said = |to| {
        let mut record = record(Look::early());
        record.rule.value = to;
        because(&record)
    };
    assert!(said(Truth::False).ends_with("As it stands, the rule does not hold."));
    assert!(!said(Truth::Unknown).contains("As it stands"));
}

/// The share of a level is no change: `35.0 %`, not `+35.0 pts`.
#[test]
fn a_stop_rule_on_a_level_shows_the_level() {
    let mut record = record(Look::passing());
    let mut atom = record.atoms[1].clone();
    atom.kind = AtomKind::Level;
    atom.evidence = Some(evidence(0.08, 0.05, 0.11));
    atom.evidence.as_mut().unwrap().level = Some(0.35);
    record.stop_atoms = vec![atom];
    record.stop_rule = Some(record.rule.clone());
    let said = reason_sentence(&Reason::StopRuleHolds, &record);
    assert!(said.ends_with("(o 35.0 %)."), "{said}");
}

#[test]
fn because_is_at_most_three_sentences() {
    let look = flat()
        .state("o", SignalState::Flat)
        .guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::Tripped)
        .with(|_, analysis| {
            analysis.signals[1].evidence = Some(evidence(0.0, -0.018, 0.018));
        });
    assert_eq!(
        because(&record(look)),
        "o is flat: 0.0 pts (-1.8 pts to +1.8 pts). o +0.4 pts, needed +3.0 pts. \
         Guardrail errors is tripped."
    );
    let fault = evaluate_fault(Look::early().input, "index out of bounds");
    assert_eq!(because(&fault), "The judge failed: index out of bounds.");
}

#[test]
fn names_of_signals_keep_their_letters() {
    let experiment = Look::passing().input.experiment;
    let sentence = |words: &str| reasons::sentence(words, &experiment);
    assert_eq!(sentence("activation_14d is flat"), "activation_14d is flat.");
    assert_eq!(sentence("guardrail x is tripped"), "Guardrail x is tripped.");
    // A name is a name: `O` is no signal of this file.
    assert_eq!(sentence("o is flat"), "o is flat.");
    assert_eq!(sentence("over all of them"), "Over all of them.");
    assert_eq!(sentence(""), ".");
}

#[test]
fn an_atom_shows_wanted_seen_interval_n_and_what_would_flip_it() {
    let record = record(flat());
    assert_eq!(
        atom_line(&record.atoms[1], &record),
        "o >= +3pts: wanted +3.0 pts, seen +0.4 pts (-1.2 pts to +2.0 pts), n = 12,000, \
         not met; flips when the interval reaches +3.0 pts again"
    );
    let mut atom = record.atoms[1].clone();
    atom.no_test = true;
    atom.drifted = true;
    atom.met = Truth::True;
    let line = atom_line(&atom, &record);
    assert!(line.contains("met (no test), drifted"), "{line}");
    assert!(line.ends_with("flips when the estimate no longer reaches +3.0 pts"), "{line}");
    let unknown = |why, needs_more| {
        let mut atom = record.atoms[1].clone();
        (atom.met, atom.why, atom.needs_more) = (Truth::Unknown, why, needs_more);
        what_would_flip(&atom, &record)
    };
    let inconclusive = Some(UnknownWhy::Inconclusive);
    assert_eq!(unknown(inconclusive, Some(1_234.0)), "needs about 1,234 more");
    assert_eq!(
        unknown(inconclusive, None),
        "flips when the interval settles on one side of +3.0 pts"
    );
    // The aim could be shown with what is there: it is the estimate that is short.
    assert_eq!(
        unknown(inconclusive, Some(0.0)),
        "flips when the estimate reaches +3.0 pts or the interval no longer does"
    );
    assert_eq!(unknown(Some(UnknownWhy::NoData), Some(1.0)), "flips when data come");
    assert_eq!(unknown(Some(UnknownWhy::NotNow), None), "judged only at the checkpoint");
}

#[test]
fn a_level_is_shown_as_a_level_with_its_side() {
    let look = Look::passing().with(|input, analysis| {
        let Rule::And(rules) = &mut input.experiment.checkpoint.continue_when else { panic!() };
        let Rule::Atom(atom) = &mut rules[0] else { panic!() };
        (atom.kind, atom.side, atom.amount) = (AtomKind::Level, Side::AtMost, Amount::Level(0.3));
        analysis.atoms[0].kind = AtomKind::Level;
        analysis.atoms[0].wanted = 0.3;
    });
    let record = record(look);
    let line = atom_numbers(&record.atoms[0], &record);
    assert_eq!(line, "p 31.0 %, needed at most 30.0 %: met");
}

#[test]
fn what_next_says_who_does_what_by_when() {
    let next = |look: Look| what_next(&record(look));
    assert_eq!(next(Look::passing()), "Make it the default: growth keeps it.");
    // An instant at 00:00 is the end of the day before.
    let extend = Look::passing().decidable(1, 9.0).state("o", SignalState::Inconclusive);
    assert_eq!(next(extend), "It goes on unchanged; decided again on 2026-08-09.");
    assert_eq!(next(Look::early()), "It is decided on 2026-07-12.");
    assert!(next(flat()).starts_with("Revise the file with another mechanism"));
    let stop = Look::early().guardrail(guardrail("errors", OnTrip::Stop), GuardrailState::Tripped);
    assert!(next(stop.clone()).starts_with("The rollback action turn-off is ordered"));
    let no_action = stop.with(|input, _| input.experiment.rollback.action = None);
    assert!(next(no_action).starts_with("There is no rollback action"));
}

#[test]
fn the_log_has_three_lines() {
    assert_eq!(
        log_entry(&record(flat())),
        [
            "Aim: users finish (o 27.0 % -> 35.0 % by 2026-09-30)",
            "Mechanism: we believe clear copy will move o because they know what to do",
            "Checkpoint: p +4.0 pts, needed +3.0 pts; o +0.4 pts, needed +3.0 pts \
             -> CHANGE, find another mechanism",
        ]
    );
}

#[test]
fn every_reason_is_a_sentence() {
    let record = record(flat());
    let at = ts("2026-07-01T00:00:00Z");
    let all = [
        (Reason::StopRuleHolds, "The stop rule holds."),
        (Reason::AtomUnknown { atom: 1 }, "o +0.4 pts, needed +3.0 pts: inconclusive."),
        (Reason::AtomMet { atom: 9 }, "An atom of the rule."),
        (
            Reason::DataMissing { signal: "o".into(), since: Some(at) },
            "o has no data since 2026-06-30.",
        ),
        (
            Reason::SplitMismatch { p: 0.000_12 },
            "Units are not split over the arms as planned (p = 1.2e-4).",
        ),
        (
            Reason::DefinitionChanged { signal: "x_1".into() },
            "The definition of x_1 changed and nobody acknowledged it.",
        ),
        (
            Reason::NeedsMore { signal: "x_1".into(), units: 101.2 },
            "x_1 needs about 101 more units at the effect asked for.",
        ),
        (
            Reason::NotShownSafe { guardrail: "csat".into() },
            "Guardrail csat is not shown to be safe.",
        ),
        (Reason::TooShort { days: 4.0, wanted_days: 7.0 }, "It ran 4.0 days of at least 7.0."),
        (Reason::OutcomeUnproven { signal: "o".into() }, "Outcome o is not proven yet."),
        (Reason::CyclesUsed { cycles: 2 }, "All 2 cycles are used."),
        (Reason::PastBy { by: at }, "The date of the aim, 2026-06-30, has passed."),
        (
            Reason::WaitsForMaturity { signal: "o".into(), until: at },
            "Nothing of o has matured before 2026-06-30.",
        ),
    ];
    for (reason, words) in all {
        assert_eq!(reason_sentence(&reason, &record), words);
    }
}

#[test]
fn a_headline_does_not_call_guardrails_fine_when_one_tripped_since() {
    let now = |headline: &str, worst| headline_now(headline, Some(worst));
    let fine = "CONTINUE - x: it goes on; guardrails fine";
    assert_eq!(now(fine, GuardrailState::Ok), fine);
    let since = "CONTINUE - x: it goes on; a guardrail is tripped";
    assert_eq!(now(fine, GuardrailState::Tripped), since);
    let known = "STOP - x: guardrail errors tripped at 2.0 %";
    assert_eq!(now(known, GuardrailState::Tripped), known);
    assert_eq!(headline_now(fine, None), fine);
}
