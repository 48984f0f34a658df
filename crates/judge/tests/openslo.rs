//! OpenSLO files and what they come to, held as goldens.
//!
//! `tests/cases/openslo/NAME.yaml` is read; `NAME.expected` holds every diagnostic and every
//! objective. The files were written for this test in the shapes that people have; what each must
//! come to was derived by hand from the OpenSLO specification (v1) and is asserted below where it
//! is arithmetic. `UPDATE_GOLDEN=1` rewrites the goldens; read the difference.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read files and fail by panic"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use judge::spec::openslo::{ImportedSlo, OpenSlo, SloMethod};
use judge::spec::{BudgetPeriod, CalendarUnit, Severity, read_openslo, render};
use judge::time::Span;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/openslo")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        paths.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    names
}

fn text_of(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap()
}

fn read(name: &str) -> OpenSlo {
    read_openslo(&text_of(name))
}

fn shown(slo: &ImportedSlo) -> String {
    let mut out = format!("{}: {:?}, {:?}\n", slo.label(), slo.objective, slo.method);
    writeln!(out, "  service {:?}, source {:?} {:?}", slo.service, slo.source_ref, slo.source_kind)
        .unwrap();
    writeln!(out, "  budget  {:?} {:?}", slo.budget, slo.timezone).unwrap();
    writeln!(out, "  bad     {}\n  total   {}", slo.bad, slo.total).unwrap();
    for alert in &slo.alerts {
        let rule = &alert.rule;
        let (factor, long, short, hold_for) = (rule.factor, rule.long, rule.short, rule.hold_for);
        let (severity, policy) = (rule.severity, &alert.policy);
        writeln!(out, "  alert   {factor} over {long} and {short} for {hold_for}").unwrap();
        writeln!(out, "          {severity:?} (written {:?}), {policy}", alert.written).unwrap();
    }
    for note in &slo.notes {
        writeln!(out, "  note    {note}").unwrap();
    }
    out
}

#[test]
fn every_file_comes_to_what_its_golden_says() {
    let names = names();
    assert!(names.len() >= 9, "{names:?}");
    let mut wrong = Vec::new();
    for name in &names {
        let (text, seen) = (text_of(name), read(name));
        let mut got = render(&format!("{name}.yaml"), &text, &seen.diagnostics);
        got.extend(seen.slos.iter().map(shown));
        let golden = folder().join(format!("{name}.expected"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &got).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push(format!("{name}.expected differs; now:\n{got}"));
        }
        let errors = seen.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
        assert_eq!(errors > 0, name.starts_with("broken"), "{name}: {errors} errors");
        assert!(seen.diagnostics.iter().all(|one| one.hint.is_some()), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_of_counters_is_bad_and_total_over_one_period() {
    let slo = &read("web-availability").slos[0];
    let total = r#"sum(increase(http_requests_total{job="storefront"}[{{grain}}]))"#;
    let good = r#"sum(increase(http_requests_total{job="storefront",code!~"5.."}[{{grain}}]))"#;
    assert_eq!(slo.total, total);
    assert_eq!(slo.bad, format!("clamp_min(({total}) - ({good}), 0)"));
    assert_eq!((slo.objective, slo.method), (0.999, SloMethod::Occurrences));
    assert_eq!(slo.budget, BudgetPeriod::Rolling(Span::days(30)));
    assert_eq!(slo.source_kind.as_deref(), Some("prometheus"));
    // The annotation names the first short window, two conditions the second.
    let rules = slo.alerts.iter().map(|alert| &alert.rule);
    let windows: Vec<_> = rules.map(|rule| (rule.factor, rule.long, rule.short)).collect();
    let first = (14.4, Span::hours(1), Span::seconds(300));
    assert_eq!(windows, [first, (1.0, Span::days(3), Span::hours(6))]);
}

#[test]
fn percent_and_share_are_the_same_target() {
    let slos = read("checkout-calendar").slos;
    let targets: Vec<_> = slos.iter().map(|slo| slo.objective).collect();
    assert_eq!(targets, [0.99, 0.9995]);
    assert_eq!(slos[0].budget, BudgetPeriod::Calendar(CalendarUnit::Month));
    assert_eq!(slos[0].timezone.as_deref(), Some("Europe/Berlin"));
    let rule = &slos[0].alerts[0].rule;
    assert_eq!((rule.short, rule.hold_for), (Span::seconds(300), Span::seconds(300)));
    assert!(slos[1].answers_to("wanted") && slos[1].answers_to("checkout-errors/wanted"));
    assert!(!slos[1].answers_to("promised"));
}

#[test]
fn slices_are_counted_not_events() {
    let slo = &read("latency-slices").slos[0];
    assert_eq!(slo.method, SloMethod::Timeslices { slice: Span::seconds(300) });
    assert!(slo.bad.ends_with("<= bool 0.25)[{{grain}}:])) < bool 0.9"), "{}", slo.bad);
    assert_eq!(slo.source_ref.as_deref(), Some("metrics-eu"));
}

#[test]
fn a_value_that_is_no_number_is_neither_good_nor_bad() {
    // `NaN >= bool 500` is 0 and so is `NaN == bool NaN`: bad never exceeds total.
    let slo = &read("threshold-looks").slos[0];
    assert!(slo.bad.ends_with(">= bool 500"), "{}", slo.bad);
    let value = "max(avg_over_time(mail_queue_depth[{{grain}}]))";
    assert_eq!(slo.total, format!("({value}) == bool ({value})"));
}

#[test]
fn hostile_text_is_a_diagnostic_never_a_panic() {
    let whole = text_of("web-availability");
    for cut in (0..whole.len()).step_by(7).filter(|cut| whole.is_char_boundary(*cut)) {
        read_openslo(&whole[..cut]);
        let twisted = format!("{}[{{'\u{e4}{}", &whole[..cut], &whole[cut..]);
        read_openslo(&twisted);
    }
    let empty = read_openslo("");
    assert_eq!(empty.diagnostics[0].code, "E0701");
}
