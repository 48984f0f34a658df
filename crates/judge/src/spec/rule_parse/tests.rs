//! The grammar by example and by property.

use proptest::prelude::*;

use super::*;
use crate::spec::rule::{Amount, AtomKind};

fn signals() -> Vec<SignalInfo> {
    let info = |name: &str, form, unit: Option<&str>| SignalInfo {
        name: name.to_owned(),
        form: Some(form),
        unit: unit.map(str::to_owned),
    };
    vec![
        info("activation", Form::Proportion, None),
        info("csat", Form::Proportion, None),
        info("p95", Form::Value, Some("ms")),
        info("tickets", Form::Rate, Some("per 1k sessions")),
        info("hit_rate", Form::Value, Some("%")),
        info("score", Form::Mean, None),
    ]
}

fn atom(text: &str) -> Atom {
    match parse_rule(text, &signals()) {
        Ok(Rule::Atom(atom)) => atom,
        other => panic!("{text}: {other:?}"),
    }
}

fn errors(text: &str) -> Vec<(&'static str, usize, usize)> {
    let errors = parse_rule(text, &signals()).unwrap_err();
    assert!(errors.iter().all(|error| error.hint.is_some()), "{text}: {errors:?}");
    errors.into_iter().map(|error| (error.code, error.offset, error.len)).collect()
}

#[test]
fn every_row_of_the_table_reads_as_written() {
    use Amount::{Absolute, Level, Relative};
    use AtomKind::{Movement, Tolerance};
    use Side::{AtLeast, AtMost};
    let rows = [
        ("p95 <= -25%", "p95 <= -25%", Movement, AtMost, Relative(-0.25)),
        ("p95 -25%", "p95 <= -25%", Movement, AtMost, Relative(-0.25)),
        ("activation>=+3pts", "activation >= +3pts", Movement, AtLeast, Absolute(0.03)),
        ("p95 <= -40ms", "p95 <= -40ms", Movement, AtMost, Absolute(-40.0)),
        ("csat >= -2pts", "csat >= -2pts", Tolerance, AtLeast, Absolute(-0.02)),
        ("p95 <= +5%", "p95 <= +5%", Tolerance, AtMost, Relative(0.05)),
        ("csat >= 80%", "csat >= 80%", AtomKind::Level, AtLeast, Level(0.8)),
        ("p95 <= 250 ms", "p95 <= 250ms", AtomKind::Level, AtMost, Level(250.0)),
        ("p95 \u{2264} \u{2212}25 %", "p95 <= -25%", Movement, AtMost, Relative(-0.25)),
        ("csat \u{2265} 80%", "csat >= 80%", AtomKind::Level, AtLeast, Level(0.8)),
        (
            "tickets -2 per 1k sessions",
            "tickets <= -2 per 1k sessions",
            Movement,
            AtMost,
            Absolute(-2.0),
        ),
        ("hit_rate >= 60%", "hit_rate >= 60%", AtomKind::Level, AtLeast, Level(60.0)),
        ("hit_rate +5pts", "hit_rate >= +5pts", Movement, AtLeast, Absolute(5.0)),
        ("score >= +0.5", "score >= +0.5", Movement, AtLeast, Absolute(0.5)),
    ];
    for (written, text, kind, side, amount) in rows {
        let read = atom(written);
        assert_eq!(
            (read.text.as_str(), read.kind, read.side, read.amount),
            (text, kind, side, amount),
            "{written}"
        );
    }
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    let shown = |text: &str| parse_rule(text, &signals()).unwrap().to_string();
    let rule = parse_rule("csat +1% or csat +2% and not p95 -3%", &signals()).unwrap();
    let Rule::Or(parts) = &rule else { panic!("{rule:?}") };
    assert!(matches!(&parts[1], Rule::And(inner) if matches!(inner[1], Rule::Not(_))));
    assert_eq!(
        shown("(csat +1% AND (p95 -2% and csat +3%))"),
        "csat >= +1% and p95 <= -2% and csat >= +3%"
    );
    assert_eq!(
        shown("(csat +1% or p95 -2%) and csat +3%"),
        "(csat >= +1% or p95 <= -2%) and csat >= +3%"
    );
}

#[test]
fn faults_stand_where_they_are() {
    assert_eq!(errors("activation >= +3"), [("E0604", 14, 2)]);
    assert_eq!(errors("activation 3pts"), [("E0603", 0, 15)]);
    assert_eq!(errors("activation >= 3pts"), [("E0605", 15, 3)]);
    assert_eq!(errors("activaton >= +3pts"), [("E0602", 0, 9)]);
    assert_eq!(errors("p95 <= 250s"), [("E0605", 10, 1)]);
    assert_eq!(errors("p95 <= 80%"), [("E0605", 9, 1)]);
    assert_eq!(errors("p95 <= -25"), [("E0604", 7, 3)]);
    assert_eq!(errors("score >= +3pts"), [("E0605", 11, 3)]);
    assert_eq!(errors("csat > +3%"), [("E0607", 5, 1)]);
    assert_eq!(errors("csat => +3%"), [("E0607", 5, 2)]);
    assert_eq!(errors("(csat +3%"), [("E0601", 0, 1)]);
    assert_eq!(errors("csat +3%)"), [("E0601", 8, 1)]);
    assert_eq!(errors("csat +3% p95 -2%"), [("E0601", 9, 1)]);
    assert_eq!(errors(""), [("E0601", 0, 1)]);
    assert_eq!(errors("csat >="), [("E0601", 7, 1)]);
    assert_eq!(errors("csat +3% and"), [("E0601", 12, 1)]);
    assert_eq!(errors("\u{2265} \u{2265}"), [("E0601", 0, 1)]);
}

#[test]
fn several_faults_are_told_at_once() {
    let found = errors("activaton +3pts and csat +3 or (p95 250ms and score >= 2pts)");
    let codes: Vec<&str> = found.iter().map(|(code, _, _)| *code).collect();
    assert_eq!(codes, ["E0602", "E0604", "E0603", "E0605"]);
}

#[test]
fn a_number_without_unit_shows_both_readings() {
    let errors = parse_rule("activation >= +3", &signals()).unwrap_err();
    let hint = errors[0].hint.clone().unwrap();
    assert!(hint.contains("`+3%`") && hint.contains("`+3pts`"), "{hint}");
}

#[test]
fn limits_hold() {
    let deep = format!("{}csat +1%{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(errors(&deep)[0].0, "E0606");
    let nots = format!("{}csat +1%", "not ".repeat(40));
    assert_eq!(errors(&nots)[0].0, "E0606");
    let long = vec!["csat +1%"; 40].join(" and ");
    assert_eq!(errors(&long).last().unwrap().0, "E0606");
    assert_eq!(errors(&"x".repeat(3_000))[0].0, "E0606");
    assert_eq!(errors("csat >= 9999999999999%")[0].0, "E0306");
}

fn any_atom() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..500, prop::bool::ANY).prop_map(|(n, up)| {
            format!("activation {} {n}.5pts", if up { ">= +" } else { "<= -" })
        }),
        (0_u32..100).prop_map(|n| format!("csat >= {n}%")),
        (0_u32..100).prop_map(|n| format!("csat \u{2265} \u{2212}{n}pts")),
        (1_u32..900).prop_map(|n| format!("p95 -{n}ms")),
        (1_u32..9).prop_map(|n| format!("tickets <= {n} per 1k sessions")),
    ]
}

fn any_rule() -> impl Strategy<Value = String> {
    any_atom().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|rule| format!("not ({rule})")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_the_same(text in any_rule()) {
        if let Ok(rule) = parse_rule(&text, &signals()) {
            let again = parse_rule(&rule.to_string(), &signals());
            prop_assert_eq!(Ok(rule), again);
        } else {
            // Only the limits refuse a well-formed rule.
            let codes = errors(&text);
            prop_assert!(codes.iter().any(|(code, _, _)| *code == "E0606"), "{:?}", codes);
        }
    }

    #[test]
    fn no_text_panics_and_every_fault_lies_inside(
        text in "[a-z0-9 ()<>=+%.\u{2212}\u{2265}pts]{0,60}",
    ) {
        if let Err(errors) = parse_rule(&text, &signals()) {
            prop_assert!(!errors.is_empty());
            let len = text.chars().count();
            prop_assert!(errors.iter().all(|error| error.offset <= len));
        }
    }
}
