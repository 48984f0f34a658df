//! No NaN and no infinity leaves the judge, and every record follows from its own bytes.

use judge::decide::{Reproduction, evaluate, evaluate_trip, reproduce};
use judge::guardrails::{BurnInput, GuardrailInput, judge};
use judge::record::{Carry, EvaluationRecord};
use judge::spec::{Form, GuardrailKind};
use judge::time::Span;

use super::files::{DESIGNS, EVIDENCE, LOOKS, cycle, day, experiment, look};
use super::hostile::Hostile;

/// Looks per design, look plan and evidence mode.
const LOOKS_EACH: u64 = 5;

/// The first float that is none in what `{:?}` prints (`NaN`, `inf` or `-inf` as a word of its
/// own), with what stands before it.
fn odd(printed: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = printed.match_indices("NaN").chain(printed.match_indices("inf"));
    let (place, word) = words.find(|(place, word)| {
        let before = printed[..*place].chars().next_back();
        let after = printed[place + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })?;
    let from = place.saturating_sub(200);
    let from = (from..place).find(|from| printed.is_char_boundary(*from)).unwrap_or(place);
    Some(&printed[from..place + word.len()])
}

/// What leaves: everything of a record but its input.
fn leaving(record: &EvaluationRecord) -> String {
    let EvaluationRecord {
        signals,
        atoms,
        rule,
        stop_atoms,
        stop_rule,
        guardrails,
        ledger,
        findings,
        alarms,
        ..
    } = record;
    let judged = format!("{signals:?} {atoms:?} {rule:?} {stop_atoms:?} {stop_rule:?}");
    let said = format!("{guardrails:?} {ledger:?} {findings:?} {alarms:?} {:?}", record.decision);
    let states = record.carry.values();
    let carry: Vec<_> = states.map(|state| (state.tau, state.alpha, state.ln_p)).collect();
    format!("{judged} {said} {carry:?}")
}

#[test]
fn the_word_test_finds_what_it_looks_for() {
    assert_eq!(odd("InformationTime inferior 1.0 -2e300"), None);
    assert_eq!(odd("Some(NaN)"), Some("Some(NaN"));
    assert_eq!(odd("lo: -inf, hi: 2.0"), Some("lo: -inf"));
}

/// Every design, look plan and evidence mode with a run of hostile looks whose state is handed on
/// and spoilt.
fn every_run(finite: bool, check: &mut dyn FnMut(&EvaluationRecord, &str)) {
    for (index, (design, rhythm, evidence)) in all_plans().enumerate() {
        let experiment = experiment(design, rhythm, evidence, 1);
        let mut hostile = Hostile::new(index as u64 + if finite { 1_000 } else { 0 }, finite);
        let mut carry = Carry::new();
        for turn in 0..LOOKS_EACH {
            let at = day(&experiment, 1 + 22 * turn as i64);
            let seen = hostile.observations(&experiment, at);
            let input = look(&experiment, at, seen, std::mem::take(&mut carry));
            let record = evaluate(input, 0, None);
            let place = format!("design {design}{rhythm}, {evidence}, run {index}, look {turn}");
            check(&record, &place);
            let trip = evaluate_trip(record.input.clone(), "errors");
            check(&trip, &place);
            carry = record.carry;
            hostile.spoil(&mut carry);
        }
    }
}

fn all_plans() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    (0..DESIGNS.len()).flat_map(|design| {
        LOOKS.into_iter().flat_map(move |rhythm| {
            EVIDENCE.into_iter().map(move |evidence| (design, rhythm, evidence))
        })
    })
}

#[test]
fn nothing_leaves_an_evaluation_that_is_not_a_number() {
    let mut looks = 0;
    every_run(false, &mut |record, place| {
        assert_eq!(odd(&leaving(record)), None, "{place}");
        looks += 1;
    });
    assert_eq!(looks, 2 * 36 * LOOKS_EACH);
}

#[test]
fn every_record_of_finite_numbers_follows_from_its_own_bytes() {
    let mut judged = 0;
    every_run(true, &mut |record, place| {
        assert_eq!(odd(&leaving(record)), None, "{place}");
        let text = record.to_json();
        let read = EvaluationRecord::from_json(&text).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(read.to_json(), text, "{place}");
        assert_eq!(reproduce(&read), Reproduction::Same, "{place}");
        judged += record.signals.iter().filter(|view| view.evidence.is_some()).count();
    });
    assert!(judged > 400, "only {judged} signals were judged at all");
}

#[test]
fn nothing_leaves_a_guardrail_that_is_not_a_number() {
    let experiment = experiment(0, "", "significant", 1);
    let cycle = cycle(&experiment);
    let mut judged = std::collections::BTreeSet::new();
    for seed in 0..120 {
        for guardrail in &experiment.guardrails {
            let form = match guardrail.kind {
                GuardrailKind::Slo(_) | GuardrailKind::Limit(_) => Form::Proportion,
                _ => Form::Value,
            };
            let mut hostile = Hostile::new(10_000 + seed, false);
            let (mut stored, mut carry) = (None, Carry::new());
            for turn in 0..4 {
                let points = hostile.points(experiment.start, form);
                let control = hostile.points(experiment.start, form);
                let outcome = judge(&GuardrailInput {
                    experiment: &experiment,
                    guardrail,
                    cycle: &cycle,
                    at: day(&experiment, 1 + 10 * turn),
                    every: Span::days(1),
                    grain: Span::days(1),
                    lateness: Span::ZERO,
                    points: &points,
                    control: &control,
                    failure: None,
                    stored: stored.take(),
                    burn: BurnInput::default(),
                    carry: &carry,
                });
                let left = format!("{:?} {:?}", outcome.status, outcome.carry);
                assert_eq!(odd(&left), None, "{} seed {seed} look {turn}", guardrail.name);
                judged.insert(format!("{:?}", outcome.status.state));
                (stored, carry) = (Some(outcome.status), outcome.carry);
                hostile.spoil(&mut carry);
            }
        }
    }
    assert!(judged.len() >= 4, "only {judged:?}");
}
