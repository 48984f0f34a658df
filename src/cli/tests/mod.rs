//! The command line as data, without a process.

mod analyze;
mod reference;

use std::collections::BTreeMap;

use clap::{CommandFactory as _, Parser as _};
use judge::decide::{Cause, Verdict};
use judge::spec::{self, Context};

use super::output::{Style, printable, table};
use super::{Cli, Command, eval, explain, new};
use crate::deliver::sample_notices;

const TEMPLATES: [&str; 5] = ["product", "recruiting", "sales", "platform", "support"];

fn record() -> judge::record::EvaluationRecord {
    let at = "2026-08-11T00:00:00Z".parse().unwrap();
    sample_notices(at).into_iter().find_map(|sample| sample.record).unwrap()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn columns_are_aligned_by_characters_and_the_last_is_not_padded() {
    let rows = [
        vec!["ä".to_owned(), "long cell".to_owned(), "end".to_owned()],
        vec!["abc".to_owned(), "x".to_owned(), "e".to_owned()],
    ];
    let text = table(&["A", "B", "C"], &rows);
    assert_eq!(text, "A    B          C\nä    long cell  end\nabc  x          e\n");
}

#[test]
fn what_came_from_outside_cannot_act_on_the_terminal() {
    let own = "\u{1b}[31mstop: tripped\u{1b}[0m  Ä\n\u{1b}[2mcollecting\u{1b}[0m\n";
    assert_eq!(printable(own), own);
    for (hostile, shown) in [
        ("eve\u{1b}[31mRED", "eve[31mRED"),
        ("eve\u{1b}[31mred", "eve[31mred"),
        ("\u{1b}[31mRED\u{1b}[0m", "[31mRED[0m"),
        ("\u{1b}[31m\u{1b}[2J\u{1b}[0m", "[31m[2J[0m"),
        ("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7}", "]8;;http://xlink]8;;"),
        ("x\u{9b}2Jy\rz", "x2Jy z"),
        ("(1)\u{202e}cod.exe\u{202c}", "(1)cod.exe"),
        ("a\tb\n", "a\tb\n"),
        ("\u{1b}", ""),
    ] {
        assert_eq!(printable(hostile), shown, "{hostile:?}");
    }
    let rows = [vec!["a\nb".to_owned(), "c".to_owned()], vec!["d".to_owned(), "e\r\nf".to_owned()]];
    assert_eq!(table(&["A", "B"], &rows).lines().count(), 3);
}

#[test]
fn exit_codes_follow_the_verdict() {
    let mut record = record();
    for (verdict, cause, code) in [
        (Verdict::Continue, Cause::Graduate, 0),
        (Verdict::Change, Cause::Mechanism, 10),
        (Verdict::Stop, Cause::Harmful, 20),
        (Verdict::Stop, Cause::Tripped, 21),
        (Verdict::Hold, Cause::DataMissing, 30),
        (Verdict::Collecting, Cause::OnTrack, 75),
    ] {
        (record.decision.verdict, record.decision.cause) = (verdict, cause);
        assert_eq!(eval::exit_code(&record), code, "{verdict:?}: {cause:?}");
    }
}

#[test]
fn an_explanation_has_everything_and_fits_80_columns() {
    let text = explain::text(&record(), Style::plain());
    for part in [
        "sample-checklist",
        "because",
        "next",
        "activation_14d >= +3pts",
        "+6.0 pts",
        "information-time confidence sequence",
        "(information_time)",
        "assumes",
        "guardrails",
        "errors",
        "proxy_without_outcome",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}') && text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[tokio::test]
async fn the_status_is_aligned_plain_and_not_cut() {
    use crate::store::{EvaluationRow, ExperimentRow};
    let at: judge::time::Timestamp = "2026-08-11T00:00:00Z".parse().unwrap();
    let last = EvaluationRow {
        number: 3,
        id: "e".to_owned(),
        experiment: "long-name-of-an-experiment".to_owned(),
        track: "look".to_owned(),
        scheduled_at: at,
        recorded_at: at,
        data_as_of: None,
        verdict: "stop".to_owned(),
        cause: "tripped".to_owned(),
        headline: format!("STOP - long-name-of-an-experiment: {}", "a long reason ".repeat(9)),
        revises: None,
    };
    let looked = ExperimentRow {
        id: "long-name-of-an-experiment".to_owned(),
        title: "T".to_owned(),
        revision: "r".to_owned(),
        life_json: "{}".to_owned(),
        changes: 1,
        labels_json: "{}".to_owned(),
        first_seen_at: at,
        last: Some(last),
        worst_guardrail: None,
    };
    let fresh = ExperimentRow { id: "new".to_owned(), last: None, ..looked.clone() };
    let text = super::status::text(&[looked, fresh], &BTreeMap::new(), &[], Style::plain());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "EXPERIMENT                  LIFE        VERDICT");
    assert_eq!(lines[1], "long-name-of-an-experiment  unreadable  stop: tripped");
    assert_eq!(lines[4], "new                         unreadable  -");
    assert_eq!(lines[5], "    not looked at yet");
    assert!(lines.iter().all(|line| line.len() <= 80), "{text}");
    assert_eq!(text.matches("a long reason").count() + text.matches("a long\n").count(), 9);
}

#[test]
fn a_fresh_template_is_good_yaml_and_check_points_at_its_blanks() {
    let folder = tempfile::tempdir().unwrap();
    for template in TEMPLATES {
        let id = format!("my-{template}");
        let dir = folder.path().to_str().unwrap();
        let words = ["verdictd", "new", "--template", template, "--dir", dir, &id];
        let Command::New(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not `new`")
        };
        assert_eq!(new::run(args).unwrap(), 0);
        let text = std::fs::read_to_string(folder.path().join(format!("{id}.yaml"))).unwrap();
        assert!(text.contains(&format!("experiment: {id}\n")));
        let parsed = spec::check(&id, &text, &Context::default(), None);
        assert!(parsed.experiment.is_none(), "{template} runs with its blanks");
        let is_yaml = parsed.diagnostics.iter().all(|one| one.code != "E0102");
        assert!(is_yaml, "{}", spec::render(&id, &text, &parsed.diagnostics));
        for key in ["  from: <", "  to: <", "  by: <", "start: <", "  at: <"] {
            let line = text.lines().position(|line| line.starts_with(key)).unwrap() as u32 + 1;
            let has = parsed.diagnostics.iter().any(|one| one.pos.line == line);
            assert!(has, "{template}: nothing points at line {line}, `{key}`");
        }
        let again = Cli::try_parse_from(words).unwrap();
        let Command::New(args) = again.command else { panic!("not `new`") };
        assert!(new::run(args).is_err(), "an existing file is never overwritten");
    }
}
