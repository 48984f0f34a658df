//! Faults of case files are told by name; none panics.

use std::collections::BTreeMap;

use super::*;

const EXPERIMENT: &str =
    include_str!("../../../../tests/cases/both-move-graduates/experiment.yaml");
const CASE: &str = include_str!("../../../../tests/cases/both-move-graduates/case.yaml");

fn played(case: &str, expected: Option<&str>) -> Result<CaseResult, String> {
    let mut texts = BTreeMap::from([
        (CASE_FILE.to_owned(), case.to_owned()),
        ("experiment.yaml".to_owned(), EXPERIMENT.to_owned()),
    ]);
    texts.extend(expected.map(|text| (EXPECTED_FILE.to_owned(), text.to_owned())));
    run(&texts)
}

#[test]
fn a_case_passes_only_with_its_whole_timeline() {
    let got = played(CASE, None).unwrap();
    assert!(!got.passed());
    assert!(got.story.starts_with("More users start"));
    assert!(played(CASE, Some(&got.got)).unwrap().passed());
    let wrong = got.got.replace("graduate", "keep_running");
    let result = played(CASE, Some(&wrong)).unwrap();
    assert!(!result.passed());
    let difference = result.difference();
    assert!(difference.contains("- 2026-07-13T00:00:00Z  continue: keep_running"), "{difference}");
    assert!(difference.contains("+ 2026-07-13T00:00:00Z  continue: graduate"), "{difference}");
}

#[test]
fn the_same_case_gives_the_same_bytes() {
    assert_eq!(played(CASE, None), played(CASE, None));
}

#[test]
fn rows_written_out_are_the_same_as_series() {
    let all = "latency: {arms: {all: {value: 300x120}}}";
    assert!(CASE.contains(all));
    let rows = "latency: {rows: [{start: 2026-06-08, value: 450}]}";
    let got = played(&CASE.replace(all, rows), None).unwrap().got;
    assert!(got.contains("2026-06-09T00:00:00Z  guardrail latency: tripped, 450"), "{got}");
}

#[test]
fn faults_are_told_by_name() {
    let without = |line: &str| {
        assert!(CASE.contains(line), "{line}");
        CASE.replace(line, "")
    };
    let swapped = |old: &str, new: &str| {
        assert!(CASE.contains(old), "{old}");
        CASE.replacen(old, new, 1)
    };
    let faults = [
        (String::new(), "case.yaml"),
        (without("until: 2026-07-20\n"), "until"),
        (swapped("until:", "until_when:"), "until_when"),
        (swapped("2026-07-20", "soon"), "`soon` is no date"),
        (swapped("2400/28", "2400/x"), "`2400/x` is no series"),
        (swapped("  started:", "  begun:"), "no experiment file has a signal `begun`"),
        (swapped("  latency:", "  speed:"), "no guardrail `speed`"),
        (swapped("{num: 2400/28, den: 6000/28}", "{num: 2400/28}"), "no `den`"),
        (
            format!(
                "{CASE}outages:\n  - {{series: x, from: 2026-06-02, to: 2026-06-03, as: on}}\n"
            ),
            "an outage is",
        ),
        (format!("{CASE}experiment: other.yaml\n"), "there is no other.yaml"),
        (format!("{CASE}guardrails_every: often\n"), "`often` is no length of time"),
        (swapped("story: >-", "story: ''\nx: >-"), "x"),
    ];
    for (case, words) in faults {
        let error = played(&case, None).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(run(&BTreeMap::new()).unwrap_err().contains("there is no case.yaml"));
}
