//! Every variant of a reason and of a finding is a sentence: a new one without words fails here.

use super::{finding_sentence, reason_sentence};
use crate::analyse::SignalState;
use crate::decide::{Finding, Reason, evaluate_with};
use crate::fixture::{Look, ts};
use crate::record::EvaluationRecord;

/// How many variants there are. The matches below have no wildcard: a new variant does not
/// compile until it is counted, and the count fails until it has an example.
const REASONS: usize = 22;
const FINDINGS: usize = 9;

fn number_of_reason(reason: &Reason) -> usize {
    match reason {
        Reason::GuardrailTripped { .. } => 0,
        Reason::GuardrailRestated { .. } => 1,
        Reason::AtomMet { .. } => 2,
        Reason::AtomNotMet { .. } => 3,
        Reason::AtomUnknown { .. } => 4,
        Reason::StopRuleHolds => 5,
        Reason::SignalIs { .. } => 6,
        Reason::DataMissing { .. } => 7,
        Reason::SplitMismatch { .. } => 8,
        Reason::DefinitionChanged { .. } => 9,
        Reason::NeedsMore { .. } => 10,
        Reason::NotShownSafe { .. } => 11,
        Reason::GuardrailOn { .. } => 12,
        Reason::TooShort { .. } => 13,
        Reason::OutcomeUnproven { .. } => 14,
        Reason::CyclesUsed { .. } => 15,
        Reason::PastBy { .. } => 16,
        Reason::Progress { .. } => 17,
        Reason::WaitsForMaturity { .. } => 18,
        Reason::Fault { .. } => 19,
        Reason::Imbalance { .. } => 20,
        Reason::MultipleExposure { .. } => 21,
    }
}

fn reasons() -> Vec<Reason> {
    let at = ts("2026-07-01T00:00:00Z");
    let (signal, guardrail) = (|| "o".to_owned(), || "errors".to_owned());
    let (value, limit) = (Some(0.002), Some(0.001));
    vec![
        Reason::GuardrailTripped { guardrail: guardrail(), value, limit },
        Reason::GuardrailRestated { guardrail: guardrail(), value: limit, limit: value },
        Reason::AtomMet { atom: 0 },
        Reason::AtomNotMet { atom: 0 },
        Reason::AtomUnknown { atom: 0 },
        Reason::StopRuleHolds,
        Reason::SignalIs { signal: signal(), state: SignalState::Flat },
        Reason::DataMissing { signal: signal(), since: Some(at) },
        Reason::SplitMismatch { p: 0.000_1 },
        Reason::DefinitionChanged { signal: signal() },
        Reason::NeedsMore { signal: signal(), units: 101.2 },
        Reason::NotShownSafe { guardrail: guardrail() },
        Reason::GuardrailOn { guardrail: guardrail() },
        Reason::TooShort { days: 4.0, wanted_days: 7.0 },
        Reason::OutcomeUnproven { signal: signal() },
        Reason::CyclesUsed { cycles: 2 },
        Reason::PastBy { by: at },
        Reason::Progress { share: 0.45, days_left: 23.0 },
        Reason::WaitsForMaturity { signal: signal(), until: at },
        Reason::Fault { message: "out of range".to_owned() },
        Reason::Imbalance { signal: signal(), p: 0.000_1 },
        Reason::MultipleExposure { mixed: 240.0, units: 12_000.0, limit: 0.01, p: 0.000_1 },
    ]
}

fn number_of_finding(finding: &Finding) -> usize {
    match finding {
        Finding::Drifted { .. } => 0,
        Finding::Retargeted { .. } => 1,
        Finding::DefinitionChanged { .. } => 2,
        Finding::NotShownSafe { .. } => 3,
        Finding::Uncontrolled { .. } => 4,
        Finding::SplitNotChecked => 5,
        Finding::UnplannedUnits { .. } => 6,
        Finding::Short { .. } => 7,
        Finding::NoTest { .. } => 8,
    }
}

fn record() -> EvaluationRecord {
    let look = Look::passing();
    evaluate_with(look.input, look.analysis, 0, None)
}

/// Starts with a capital or a name, ends with one full stop, holds no debug text.
fn assert_plain(sentence: &str) {
    assert!(sentence.len() > 10 && sentence.ends_with('.'), "{sentence}");
    assert!(!sentence.ends_with(".."), "{sentence}");
    let is_start = |first: char| first.is_uppercase() || first.is_ascii_digit();
    let is_name = ["o ", "p "].iter().any(|name| sentence.starts_with(name));
    assert!(is_name || sentence.starts_with(is_start), "{sentence}");
    assert!(!sentence.contains("Some(") && !sentence.contains("None"), "{sentence}");
}

#[test]
fn every_reason_has_a_sentence_of_its_own() {
    let record = record();
    let all = reasons();
    let numbers: Vec<_> = all.iter().map(number_of_reason).collect();
    assert_eq!(numbers, (0..REASONS).collect::<Vec<_>>());
    let sentences: Vec<_> = all.iter().map(|reason| reason_sentence(reason, &record)).collect();
    for sentence in &sentences {
        assert_plain(sentence);
    }
    let distinct: std::collections::BTreeSet<_> = sentences.iter().collect();
    assert_eq!(distinct.len(), REASONS, "{sentences:#?}");
}

#[test]
fn every_finding_has_a_sentence_with_its_numbers() {
    let record = record();
    let signal = || "o".to_owned();
    let (tau, alpha) = (Some(0.08), Some(0.05));
    let atom = Some("o >= +3pts".to_owned());
    let said = [
        (
            Finding::Drifted { signal: signal(), atom, p_seq: Some(0.012) },
            "Drifted: o >= +3pts was proven at an earlier look (p = 1.2e-2), and today's interval \
             does not exclude no change: ",
        ),
        (
            Finding::Retargeted { signal: signal(), earlier: 2, tau, alpha },
            "Retargeted: the test of o began anew at this look, 2 epochs before it, tau 0.080, \
             alpha 0.05.",
        ),
        (
            Finding::DefinitionChanged { signal: signal(), earlier: 1 },
            "Definition changed: the test of o began anew at this look, 1 epoch before it.",
        ),
        (
            Finding::NotShownSafe { guardrail: "csat".to_owned() },
            "Not shown to be safe: guardrail csat.",
        ),
        (Finding::Uncontrolled { signal: signal() }, "Uncontrolled; baseline treated as exact: o."),
        (Finding::SplitNotChecked, "No split is declared, so none is checked."),
        (
            Finding::UnplannedUnits { arm: "rest".to_owned(), units: 1_200.0 },
            "1,200 units came to arm rest, whose share is zero.",
        ),
        (Finding::Short { signal: signal(), wanted: Some(0.03) }, "Short: o moved, and too little"),
        (Finding::NoTest { signal: signal() }, "No test: the estimate of o alone decides."),
    ];
    for (number, (finding, words)) in said.iter().enumerate() {
        assert_eq!(number_of_finding(finding), number);
        let sentence = finding_sentence(finding, &record);
        assert!(sentence.starts_with(words), "{sentence}");
        assert!(sentence.ends_with('.'), "{sentence}");
    }
    assert_eq!(said.len(), FINDINGS);
}
