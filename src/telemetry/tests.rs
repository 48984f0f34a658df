//! The bounds of the exposition, and that a look replaces what the last one said.

use std::collections::{BTreeMap, BTreeSet};

use judge::analyse::SignalView;
use judge::record::EvaluationRecord;
use judge::spec::{self, Context, Role};
use judge::stats::UNBOUNDED;
use judge::time::Timestamp;

use super::{MAX_SERIES, Metrics, OutboxRowStat, SourceRow, verdict_code};
use crate::deliver::sample_notices;
use crate::golden::{assert_page, row};

const PLATFORM: &str = include_str!("../../config/experiments/platform-quote-cache.yaml");

fn at() -> Timestamp {
    "2026-07-13T00:00:00Z".parse().unwrap()
}

fn sample() -> EvaluationRecord {
    sample_notices(at()).into_iter().find_map(|sample| sample.record).unwrap()
}

/// A look of the platform story in which every signal and guardrail has all numbers.
fn platform() -> EvaluationRecord {
    let mut record = sample();
    let parsed = spec::parse("platform.yaml", PLATFORM, &Context::default());
    let experiment = parsed.experiment.expect("the story's file is good");
    let (signal, guardrail) = (record.signals[0].clone(), record.guardrails[0].clone());
    let aimed = |name: &str| experiment.aims.iter().any(|aim| aim.signal == name);
    let view = |one: &spec::Signal| SignalView {
        name: one.name.clone(),
        role: one.role,
        target: aimed(&one.name).then_some(0.5),
        ..signal.clone()
    };
    record.signals = experiment.signals.iter().map(view).collect();
    let mut guardrails = Vec::new();
    for one in &experiment.guardrails {
        let mut status = guardrail.clone();
        status.name = one.name.clone();
        status.budget_left = Some(0.5);
        guardrails.push(status);
    }
    record.guardrails = guardrails;
    record.input.experiment = experiment;
    record
}

/// Series of one experiment.
fn series(metrics: &Metrics, experiment: &str) -> Vec<String> {
    let mark = format!("experiment=\"{experiment}\"");
    let text = metrics.render();
    text.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
}

fn value(metrics: &Metrics, start: &str) -> Option<f64> {
    let text = metrics.render();
    let line = text.lines().find(|line| line.starts_with(start))?.to_owned();
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn the_platform_story_stays_within_the_series_budget() {
    let metrics = Metrics::new(10);
    let record = platform();
    metrics.observe_record(&record, &at());
    let id = &record.input.experiment.id;
    let all = series(&metrics, id);
    assert!(all.len() <= MAX_SERIES, "{} series", all.len());
    let has = |name: &str, labels: &str| {
        let start = format!("verdictd_experiment_{name}{{experiment=\"{id}\",{labels}");
        all.iter().any(|line| line.starts_with(&start))
    };
    // What is left out is the least important, and it is counted.
    for signal in record.signals.iter().filter(|signal| signal.role == Role::Outcome) {
        let label = format!("signal=\"{}\"", signal.name);
        for name in ["signal_state", "signal_change", "signal_low", "signal_high"] {
            assert!(has(name, &label), "{name} of {}", signal.name);
        }
    }
    for status in &record.guardrails {
        assert!(has("guardrail_state", &format!("guardrail=\"{}\"", status.name)));
    }
    let dropped = format!("verdictd_experiment_series_dropped{{experiment=\"{id}\"}}");
    assert!(value(&metrics, &dropped).is_some());
}

#[test]
fn no_more_experiments_than_allowed_have_series() {
    let metrics = Metrics::new(2);
    for name in ["a", "b", "c"] {
        let mut record = sample();
        record.input.experiment.id = name.to_owned();
        metrics.observe_record(&record, &at());
        metrics.observe_guardrail(name, &record.guardrails[0]);
    }
    assert!(!series(&metrics, "a").is_empty() && !series(&metrics, "b").is_empty());
    assert!(series(&metrics, "c").is_empty());
    metrics.forget("a");
    assert!(series(&metrics, "a").is_empty());
}

#[test]
fn a_look_replaces_the_series_of_the_last_one() {
    let metrics = Metrics::new(10);
    let mut record = sample();
    let id = record.input.experiment.id.clone();
    metrics.observe_record(&record, &at());
    let proxy = record.signals[0].name.clone();
    let mark = format!("signal=\"{proxy}\"");
    assert!(series(&metrics, &id).iter().any(|line| line.contains(&mark)));
    record.signals.remove(0);
    metrics.observe_record(&record, &at());
    assert!(!series(&metrics, &id).iter().any(|line| line.contains(&mark)));
    let verdict = format!("verdictd_experiment_verdict{{experiment=\"{id}\"}}");
    assert_eq!(value(&metrics, &verdict), Some(verdict_code(record.decision.verdict)));
}

#[test]
fn an_open_end_of_an_interval_has_no_series() {
    let metrics = Metrics::new(10);
    let mut record = sample();
    for signal in &mut record.signals {
        let evidence = signal.evidence.as_mut().unwrap();
        evidence.interval.hi = UNBOUNDED;
    }
    metrics.observe_record(&record, &at());
    let text = metrics.render();
    assert!(!text.contains("verdictd_experiment_signal_high"));
    assert!(text.contains("verdictd_experiment_signal_low"));
    let values = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(values.into_iter().all(f64::is_finite));
}

#[test]
fn the_exposition_is_complete_unique_and_escaped() {
    let metrics = Metrics::new(10);
    let mut record = sample();
    record.input.experiment.owner.name = "a \"b\"\nc".to_owned();
    metrics.observe_record(&record, &at());
    metrics.source_request("prometheus", Some("timeout"));
    metrics.evaluation("ok");
    let source = SourceRow { name: "prometheus".to_owned(), is_up: false, last_ok_at: None };
    let outbox =
        OutboxRowStat { endpoint: "chat".to_owned(), pending: 3, oldest_age_seconds: 1.5, dead: 1 };
    metrics.refresh(&[source], &[outbox]);
    let text = metrics.render();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("owner=\"a \\\"b\\\"\\nc\""), "{text}");
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a series twice");
    assert!(names.iter().all(|name| name.starts_with("verdictd_")));
    let requests = "verdictd_source_requests_total{source=\"prometheus\",outcome=\"timeout\"}";
    assert_eq!(value(&metrics, requests), Some(1.0));
    assert_eq!(value(&metrics, "verdictd_outbox_depth{endpoint=\"chat\"}"), Some(3.0));
    assert_eq!(value(&metrics, "verdictd_dead_letters{endpoint=\"chat\"}"), Some(1.0));
}

#[test]
fn a_source_without_a_good_answer_has_no_time_of_one() {
    let metrics = Metrics::new(10);
    let source = SourceRow { name: "s".to_owned(), is_up: false, last_ok_at: None };
    metrics.refresh(&[source], &[]);
    assert_eq!(value(&metrics, "verdictd_source_up{source=\"s\"}"), Some(0.0));
    assert!(!metrics.render().contains("last_success_timestamp_seconds{"));
}

/// A registry that has seen one of everything.
fn seen_everything() -> Metrics {
    let metrics = Metrics::new(10);
    let mut record = sample();
    record.guardrails[0].budget_left = Some(0.4);
    record.decision.next_checkpoint_at = Some(at());
    metrics.observe_record(&record, &at());
    metrics.evaluation("ok");
    metrics.slots_missed("busy", 1);
    metrics.source_request("prometheus", None);
    metrics.tripwire("slo");
    metrics.daemon.delivery("chat", "test", "delivered", "ok", 1);
    metrics.daemon.endpoint_state("chat", 0);
    metrics.daemon.heartbeat("sent", "ok");
    metrics.daemon.withheld("chat", "silence", 1);
    metrics.daemon.render_errors("chat", 1);
    metrics.daemon.attempt("chat", "delivered");
    metrics.daemon.rolled_back("turn-off", 0.04);
    metrics.daemon.gate_asked("promote", true);
    let source = SourceRow { name: "s".to_owned(), is_up: true, last_ok_at: Some(at()) };
    let outbox =
        OutboxRowStat { endpoint: "chat".to_owned(), pending: 0, oldest_age_seconds: 0.0, dead: 0 };
    metrics.refresh(&[source], &[outbox]);
    metrics
}

/// Label names by series name.
fn labels(text: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let found = all.entry(name).or_default();
        let pairs = rest.rsplit_once('}').map_or("", |(pairs, _)| pairs);
        let names = pairs.split("\",").filter_map(|pair| pair.split_once("=\""));
        found.extend(names.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
    }
    all
}

#[test]
fn the_page_of_the_metrics_is_current() {
    let text = seen_everything().render();
    let labels = labels(&text);
    let mut page = "# Metrics\n\nMade from the registry behind `/metrics` (OpenMetrics where the \
                    client asks for it, else the text\nformat 0.0.4). Series of experiments are \
                    bounded: at most `metrics.max_experiments` experiments,\nat most 50 series \
                    each.\n\n"
        .to_owned();
    page.push_str(&row(&["metric", "type", "labels", "meaning"]));
    page.push_str(&row(&["---", "---", "---", "---"]));
    let mut help = "";
    let mut count = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let series = match kind {
                "counter" => format!("{name}_total"),
                "histogram" => format!("{name}_bucket"),
                _ => name.to_owned(),
            };
            let names: Vec<String> =
                labels[series.as_str()].iter().map(|label| format!("`{label}`")).collect();
            let shown = if kind == "counter" { series.as_str() } else { name };
            let help = help.trim_end_matches('.');
            page.push_str(&row(&[&format!("`{shown}`"), kind, &names.join(" "), help]));
            count += 1;
        }
    }
    assert!(count >= 35, "only {count} metrics");
    assert_page("metrics.md", &page);
}
