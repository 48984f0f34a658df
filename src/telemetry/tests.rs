//! The bounds of the exposition, and that a look replaces what the last one said.

use std::collections::BTreeSet;

use judge::analyse::SignalView;
use judge::record::EvaluationRecord;
use judge::spec::{self, Context, Role};
use judge::stats::UNBOUNDED;
use judge::time::Timestamp;

use super::{MAX_SERIES, Metrics, OutboxRowStat, SourceRow, verdict_code};
use crate::deliver::sample_notices;

const PLATFORM: &str = include_str!("../../config/experiments/platform-quote-cache.yaml");

fn at() -> Timestamp {
    "2026-07-13T00:00:00Z".parse().unwrap()
}

fn sample() -> EvaluationRecord {
    sample_notices(at())
        .into_iter()
        .find_map(|sample| sample.record)
        .unwrap()
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
    text.lines()
        .filter(|line| line.contains(&mark))
        .map(str::to_owned)
        .collect()
}

fn value(metrics: &Metrics, start: &str) -> Option<f64> {
    let text = metrics.render();
    let line = text
        .lines()
        .find(|line| line.starts_with(start))?
        .to_owned();
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
    for signal in record
        .signals
        .iter()
        .filter(|signal| signal.role == Role::Outcome)
    {
        let label = format!("signal=\"{}\"", signal.name);
        for name in ["signal_state", "signal_change", "signal_low", "signal_high"] {
            assert!(has(name, &label), "{name} of {}", signal.name);
        }
    }
    for status in &record.guardrails {
        assert!(has(
            "guardrail_state",
            &format!("guardrail=\"{}\"", status.name)
        ));
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
    assert!(
        series(&metrics, &id)
            .iter()
            .any(|line| line.contains(&mark))
    );
    record.signals.remove(0);
    metrics.observe_record(&record, &at());
    assert!(
        !series(&metrics, &id)
            .iter()
            .any(|line| line.contains(&mark))
    );
    let verdict = format!("verdictd_experiment_verdict{{experiment=\"{id}\"}}");
    assert_eq!(
        value(&metrics, &verdict),
        Some(verdict_code(record.decision.verdict))
    );
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
    let values = text
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
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
    let source = SourceRow {
        name: "prometheus".to_owned(),
        is_up: false,
        last_ok_at: None,
    };
    let outbox = OutboxRowStat {
        endpoint: "chat".to_owned(),
        pending: 3,
        oldest_age_seconds: 1.5,
        dead: 1,
    };
    metrics.refresh(&[source], &[outbox]);
    let text = metrics.render();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("owner=\"a \\\"b\\\"\\nc\""), "{text}");
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        names.len(),
        "a series twice"
    );
    assert!(names.iter().all(|name| name.starts_with("verdictd_")));
    let requests = "verdictd_source_requests_total{source=\"prometheus\",outcome=\"timeout\"}";
    assert_eq!(value(&metrics, requests), Some(1.0));
    assert_eq!(
        value(&metrics, "verdictd_outbox_depth{endpoint=\"chat\"}"),
        Some(3.0)
    );
    assert_eq!(
        value(&metrics, "verdictd_dead_letters{endpoint=\"chat\"}"),
        Some(1.0)
    );
}

#[test]
fn a_source_without_a_good_answer_has_no_time_of_one() {
    let metrics = Metrics::new(10);
    let source = SourceRow {
        name: "s".to_owned(),
        is_up: false,
        last_ok_at: None,
    };
    metrics.refresh(&[source], &[]);
    assert_eq!(
        value(&metrics, "verdictd_source_up{source=\"s\"}"),
        Some(0.0)
    );
    assert!(!metrics.render().contains("last_success_timestamp_seconds{"));
}
