//! Exit codes by word, and summaries that no text can break.

use judge::decide::Verdict;
use judge::record::EvaluationRecord;

use super::{code, summary};
use crate::deliver::sample_notices;
use crate::gate::{Allowed, FlatVerdict, Word};

fn flat(verdict: Word, cause: &str) -> FlatVerdict {
    FlatVerdict {
        experiment: "copy".to_owned(),
        verdict,
        cause: cause.to_owned(),
        is_final: false,
        reason: "HOLD - copy: x".to_owned(),
        life: "running".to_owned(),
        evaluated_at: "2026-08-11T00:00:00Z".to_owned(),
        age_secs: 5,
        evaluation: 3,
        sequence: 9,
        url: "http://d/x/copy/e/3".to_owned(),
    }
}

#[test]
fn every_word_has_its_code_and_allowed_words_pass() {
    let none = Allowed::default();
    let some = Allowed::parse("collecting,hold,stale,change").unwrap();
    for (word, cause, strict, lenient) in [
        (Word::Continue, "graduate", 0, 0),
        (Word::Change, "mechanism", 10, 0),
        (Word::Stop, "futile", 20, 20),
        (Word::Stop, "tripped", 21, 21),
        (Word::Hold, "srm", 30, 0),
        (Word::Stale, "late", 69, 0),
        (Word::Collecting, "on_track", 75, 0),
        (Word::Unknown, "no_experiment", 2, 2),
    ] {
        assert_eq!(code(&flat(word, cause), &none), strict, "{word:?}");
        assert_eq!(code(&flat(word, cause), &some), lenient, "{word:?} allowed");
    }
}

fn record() -> EvaluationRecord {
    let at = "2026-08-11T00:00:00Z".parse().unwrap();
    let mut records = sample_notices(at).into_iter().filter_map(|sample| sample.record);
    records.find(|record| record.decision.verdict == Verdict::Change).unwrap()
}

#[test]
fn a_summary_has_a_row_for_each_clause_and_guardrail() {
    let record = record();
    let text = summary::markdown(&flat(Word::Change, "mechanism"), Some(&record), false);
    assert!(text.starts_with("### ⛔ verdictd: change (mechanism) - copy\n"), "{text}");
    let columns = |line: &&str| line.starts_with("| ") && line.matches(" | ").count() == 6;
    let rows = text.lines().filter(columns).count();
    assert_eq!(rows, record.atoms.len() + 2, "{text}");
    assert!(text.contains("[Read on](http://d/x/copy/e/3)"), "{text}");
    for status in &record.guardrails {
        assert!(text.contains(&format!("| {} |", status.name)), "{text}");
    }
}

#[test]
fn no_text_breaks_the_table_or_brings_markup() {
    let hostile = "a | b\n| c <script> [x](javascript:y) @all `code` *b* \\";
    let mut record = record();
    hostile.clone_into(&mut record.atoms[0].text);
    hostile.clone_into(&mut record.guardrails[0].name);
    let mut flat = flat(Word::Hold, hostile);
    hostile.clone_into(&mut flat.reason);
    let text = summary::markdown(&flat, Some(&record), true);
    for bad in ["<script>", "[x](", "@all", "\n| c ", "b | c", " `code`"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
}
