//! Broken experiment files and what `check` prints about each, held as goldens.
//!
//! `tests/cases/check/NAME.yaml` is checked and rendered; `NAME.expected` holds the text.
//! `UPDATE_GOLDEN=1` rewrites them. An `.expected` without its file fails, and so does a case
//! that names no line, no cause or no fix.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read files and fail by panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use judge::spec::{
    BudgetPeriod, Context, Diagnostic, GuardrailKind, Parsed, Severity, check, codes, parse,
    read_openslo, render,
};
use judge::time::Span;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files_in(folder: &Path, ending: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == ending) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// SQL beside the files, and the OpenSLO files of their own folder.
fn query_files(folder: &Path) -> BTreeMap<String, String> {
    let mut files = files_in(folder, "sql");
    files.extend(files_in(&root().join("tests/cases/openslo"), "yaml"));
    files
}

/// The daemon's configuration as far as these files need it.
fn context(folder: &Path) -> Context {
    let sources = [
        ("warehouse", "postgres"),
        ("prom", "prometheus"),
        ("ats-export", "csv"),
        ("crm-export", "csv"),
        ("helpdesk-export", "csv"),
    ];
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    Context {
        default_timezone: "UTC".to_owned(),
        sources: Some(sources.iter().map(|(n, k)| ((*n).to_owned(), (*k).to_owned())).collect()),
        receivers: names(&[
            "growth-chat",
            "recruiting-chat",
            "sales-chat",
            "platform-chat",
            "support-chat",
            "tickets",
        ]),
        actions: names(&[
            "turn-off-checklist",
            "pause-outreach",
            "pause-pitching",
            "turn-off-quote-cache",
        ]),
        files: query_files(folder),
    }
}

/// A file whose first line says `# check: no configuration` is read without one, and
/// `# first seen: INSTANT` says when it appeared.
fn check_case(name: &str, text: &str, folder: &Path) -> Parsed {
    let mut ctx = context(folder);
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("# check: no configuration") {
        (ctx.sources, ctx.receivers, ctx.actions) = (None, None, None);
    }
    let first_seen = first.strip_prefix("# first seen: ").map(|at| at.parse().unwrap());
    check(name, text, &ctx, first_seen)
}

#[test]
fn every_case_prints_what_its_golden_says() {
    let folder = root().join("tests/cases/check");
    let cases = files_in(&folder, "yaml");
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut goldens = files_in(&folder, "expected");
    let mut wrong = Vec::new();
    for (name, text) in &cases {
        let parsed = check_case(name, text, &folder);
        let seen = render(name, text, &parsed.diagnostics);
        let golden = name.replace(".yaml", ".expected");
        if update {
            fs::write(folder.join(&golden), &seen).unwrap();
        } else if goldens.get(&golden) != Some(&seen) {
            wrong.push(format!("{golden} differs; now:\n{seen}"));
        }
        goldens.remove(&golden);
    }
    let stray: Vec<&String> = goldens.keys().collect();
    assert!(stray.is_empty(), "goldens without a case: {stray:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_diagnostic_names_its_line_and_its_fix() {
    let folder = root().join("tests/cases/check");
    let known: BTreeSet<&str> = codes().iter().map(|(code, _)| *code).collect();
    for (name, text) in files_in(&folder, "yaml") {
        let parsed = check_case(&name, &text, &folder);
        assert!(!parsed.diagnostics.is_empty(), "{name} has no finding");
        let lines = text.lines().count().max(1);
        for Diagnostic { code, pos, hint, message, .. } in &parsed.diagnostics {
            assert!(known.contains(code), "{name}: {code} is not in the table");
            assert!(hint.is_some(), "{name}: {code} {message} has no hint");
            assert!((1..=lines).contains(&(pos.line as usize)), "{name}: {code} {pos:?}");
            assert!(pos.end_column > pos.column, "{name}: {code} {pos:?}");
        }
    }
}

#[test]
fn one_file_tells_at_least_six_faults_at_once() {
    let folder = root().join("tests/cases/check");
    let name = "many-faults.yaml";
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let parsed = check_case(name, &text, &folder);
    let errors: BTreeSet<(u32, &str)> = parsed
        .diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .map(|one| (one.pos.line, one.code))
        .collect();
    assert!(errors.len() >= 6, "{errors:?}");
    assert!(parsed.experiment.is_none());
}

#[test]
fn every_code_has_a_case() {
    let folder = root().join("tests/cases/check");
    let mut seen = BTreeSet::new();
    for (name, text) in files_in(&folder, "yaml") {
        let parsed = check_case(&name, &text, &folder);
        seen.extend(parsed.diagnostics.iter().map(|one| one.code));
    }
    for text in files_in(&root().join("tests/cases/openslo"), "yaml").values() {
        seen.extend(read_openslo(text).diagnostics.iter().map(|one| one.code));
    }
    // Takes two files; `verdictd check` reports it.
    seen.insert("E0410");
    // Takes the store of a daemon; `verdictd check --config` reports it.
    seen.insert("W0119");
    let missing: Vec<&str> =
        codes().iter().map(|(code, _)| *code).filter(|code| !seen.contains(code)).collect();
    assert_eq!(missing, [] as [&str; 0], "codes without a case");
}

#[test]
fn the_five_stories_pass_without_errors() {
    let folder = root().join("config/experiments");
    let stories = files_in(&folder, "yaml");
    assert_eq!(stories.len(), 5);
    for (name, text) in &stories {
        let parsed = check(name, text, &context(&folder), None);
        let shown = render(name, text, &parsed.diagnostics);
        assert!(!parsed.has_errors(), "{shown}");
        let experiment = parsed.experiment.unwrap();
        assert_eq!(format!("{}.yaml", experiment.id), *name);
        assert_eq!(experiment.revision.len(), 32);
    }
}

/// Running totals, means with variances and one row for all arms, as `csv-running-totals-wrong`
/// gets them wrong.
#[test]
fn the_shipped_mapping_of_running_totals_has_no_finding() {
    let folder = root().join("config/examples/asos");
    let sources = Some([("asos".to_owned(), "csv".to_owned())].into_iter().collect());
    let context = Context { sources, receivers: None, ..context(&folder) };
    let files = files_in(&folder, "yaml");
    assert_eq!(files.len(), 1, "one file as it comes out of asos.py");
    for (name, text) in &files {
        let parsed = check(name, text, &context, None);
        assert!(!parsed.has_errors(), "{}", render(name, text, &parsed.diagnostics));
        let query = &parsed.experiment.unwrap().signals[0].query;
        assert!(query.cumulative);
        assert_eq!(query.columns["mean"], "mean_{arm}");
    }
}

#[test]
fn an_imported_objective_brings_its_period_and_its_alerts() {
    let folder = root().join("tests/cases/check");
    let text = fs::read_to_string(folder.join("openslo.yaml")).unwrap();
    let parsed = check("openslo.yaml", &text, &context(&folder), None);
    let experiment = parsed.experiment.unwrap();
    let slos: Vec<_> = experiment
        .guardrails
        .iter()
        .filter_map(|guardrail| match &guardrail.kind {
            GuardrailKind::Slo(slo) => Some((guardrail.name.as_str(), slo)),
            _ => None,
        })
        .collect();
    // web-availability.yaml: 99.9 % over 30 rolling days, alerts of its own policies.
    let (_, web) = slos[0];
    assert_eq!(web.budget, BudgetPeriod::Rolling(Span::days(30)));
    let rules = web.burn.as_ref().unwrap();
    let read = read_openslo(&query_files(&folder)["web-availability.yaml"]);
    let written: Vec<_> = read.slos[0].alerts.iter().map(|alert| alert.rule.factor).collect();
    assert!(!written.is_empty());
    let ours: Vec<_> = rules.alerts.iter().map(|rule| rule.factor).collect();
    assert_eq!(ours, written);
    assert!(slos.iter().any(|(_, slo)| matches!(slo.budget, BudgetPeriod::Calendar(_))));
}

#[test]
fn a_revision_ignores_line_ends_and_sees_query_files() {
    let folder = root().join("config/experiments");
    let text = fs::read_to_string(folder.join("activation-action-x.yaml")).unwrap();
    let revision = |text: &str, ctx: &Context| {
        parse("activation-action-x.yaml", text, ctx).experiment.unwrap().revision
    };
    let ctx = context(&folder);
    let plain = revision(&text, &ctx);
    assert_eq!(plain, revision(&text.replace('\n', "  \r\n"), &ctx));
    assert_ne!(plain, revision(&text.replace("35%", "36%"), &ctx));
    let mut other = ctx.clone();
    other.files.get_mut("activation.sql").unwrap().push_str("-- changed\n");
    assert_ne!(plain, revision(&text, &other));
    let mut unrelated = ctx;
    unrelated.files.insert("unused.sql".to_owned(), "select 1".to_owned());
    assert_eq!(plain, revision(&text, &unrelated));
}

#[test]
fn a_fault_in_one_section_does_not_hide_what_is_missing_elsewhere() {
    let text = "experiment: a\ntitle: b\nstart: tomorrow\n";
    let codes: BTreeSet<&str> = check("a.yaml", text, &Context::default(), None)
        .diagnostics
        .iter()
        .map(|one| one.code)
        .collect();
    for code in ["D0101", "D0104", "D0105", "D0109", "D0110", "D0113", "D0116", "E0304"] {
        assert!(codes.contains(code), "{code} is missing from {codes:?}");
    }
}

#[test]
fn a_file_beyond_the_limits_is_refused() {
    let text = format!("experiment: a\ntitle: {}\n", "x".repeat(256 * 1024));
    let parsed = parse("a.yaml", &text, &Context::default());
    assert_eq!(parsed.diagnostics.iter().map(|one| one.code).collect::<Vec<_>>(), ["E0101"]);
    let many = format!("experiment: a\nnotify: [{}]\n", "a,".repeat(30_000));
    let parsed = parse("a.yaml", &many, &Context::default());
    assert!(parsed.diagnostics.iter().any(|one| one.code == "E0101"), "{:?}", parsed.diagnostics);
}

#[test]
fn json_is_yaml() {
    let folder = root().join("config/experiments");
    let text = fs::read_to_string(folder.join("recruiting-touches.yaml")).unwrap();
    let json = r#"{"experiment": "a", "title": "b", "reversible": true, "start": "2026-06-01",
 "compare": {"design": "baseline"}, "checkpoint": {"every": "7d", "continue_when": "x >= +1pts"},
 "signals": {"x": {"role": "outcome", "form": "proportion", "want": "up", "from": "27%",
  "matures_after": "0d", "source": "s", "query": {"file": "x_*.csv", "time": "t", "num": "n",
  "den": "d"}}}}"#;
    let parsed = parse("a.json", json, &Context::default());
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let broken = json.replace("27%", "27");
    let parsed = parse("a.json", &broken, &Context::default());
    assert_eq!(parsed.diagnostics.iter().filter(|one| one.code == "E0302").count(), 1);
    assert!(parse("r.yaml", &text, &Context::default()).experiment.is_some());
}
