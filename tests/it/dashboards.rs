//! The dashboard and the alert rules name only what the daemon exports.
//!
//! Names and labels are compared with the exposition of a registry that has seen everything once.
//! The queries themselves run against a real Prometheus elsewhere.

#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

use std::collections::{BTreeMap, BTreeSet};

use judge::time::Timestamp;
use serde_json::Value;
use verdictd::deliver::sample_notices;
use verdictd::telemetry::{Metrics, OutboxRowStat, SourceRow};

const DASHBOARD: &str = include_str!("../../dashboards/experiments.json");
const RULES: &str = include_str!("../../deploy/prometheus/verdictd.rules.yml");

/// Labels that Prometheus adds to every scraped series.
const SCRAPE_LABELS: &[&str] = &["job", "instance"];
/// Series of an experiment that this dashboard leaves out, and why.
const NOT_ON_THE_DASHBOARD: &[(&str, &str)] = &[
    ("info", "joined by hand where an owner is wanted"),
    ("verdict_timestamp_seconds", "the time axis shows it"),
    ("data_as_of_timestamp_seconds", "for alerts of owners; the daemon's page shows it"),
    ("checkpoint_timestamp_seconds", "for portfolio views; the daemon's page shows it"),
    ("signal_state", "lists the signals of the variable"),
    ("series_dropped", "for operators"),
];

/// A name in a query, with the labels its braces match.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Selector {
    name: String,
    labels: Vec<String>,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Every `verdictd_*` or `verdictd:*` name of a text with its matchers.
fn selectors(text: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("verdictd") {
        let is_start = !rest[..at].ends_with(is_name);
        rest = &rest[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        rest = &rest[end..];
        let is_metric = name.starts_with("verdictd_") || name.starts_with("verdictd:");
        if !is_start || !is_metric {
            continue;
        }
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            let close = inside.find('}').expect("a selector is closed");
            labels = matched_labels(&inside[..close]);
            rest = &inside[close..];
        }
        let name = name.trim_end_matches(':').to_owned();
        found.push(Selector { name, labels });
    }
    found
}

/// Label names of `a="x", b!="y"`; no value of ours holds a comma.
fn matched_labels(matchers: &str) -> Vec<String> {
    let names = matchers.split(',').map(|matcher| {
        let end = matcher.find(['=', '!']).unwrap_or(matcher.len());
        matcher[..end].trim().to_owned()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Labels by series name of an exposition.
fn exported(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let labels = all.entry(line[..end].to_owned()).or_default();
        if line[end..].starts_with('{') {
            let close = line.rfind('}').expect("labels are closed");
            labels.extend(matched_labels(&line[end + 1..close]));
        }
    }
    all
}

/// A registry that has seen one of everything.
fn registry() -> Metrics {
    let at: Timestamp = "2026-07-13T00:00:00Z".parse().unwrap();
    let metrics = Metrics::new(10);
    let sample = sample_notices(at).into_iter().find_map(|sample| sample.record);
    let mut record = sample.expect("a sample with a record");
    record.guardrails[0].budget_left = Some(0.4);
    record.decision.next_checkpoint_at = Some(at);
    metrics.observe_record(&record, &at);
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
    let source = SourceRow { name: "prometheus".to_owned(), is_up: true, last_ok_at: Some(at) };
    let outbox =
        OutboxRowStat { endpoint: "chat".to_owned(), pending: 1, oldest_age_seconds: 2.0, dead: 0 };
    metrics.refresh(&[source], &[outbox]);
    metrics
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(items) => items.values().for_each(|item| strings(item, found)),
        _ => {}
    }
}

/// Queries of panels, then queries of variables.
fn queries(dashboard: &Value) -> (Vec<String>, Vec<String>) {
    let text = |value: &Value| value.as_str().expect("a query is text").to_owned();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let of_variables = variables.iter().filter(|variable| variable["type"] == "query");
    (
        targets.map(|target| text(&target["expr"])).collect(),
        of_variables.map(|variable| text(&variable["query"]["query"])).collect(),
    )
}

/// Why a selector cannot give a series; `None` when it can.
fn fault(selector: &Selector, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let Some(labels) = known.get(&selector.name) else {
        return Some(format!("{} is not exported", selector.name));
    };
    let is_there =
        |label: &&String| labels.contains(*label) || SCRAPE_LABELS.contains(&label.as_str());
    let unknown = selector.labels.iter().find(|label| !is_there(label))?;
    Some(format!("{} has no label {unknown}", selector.name))
}

#[test]
fn the_scanner_finds_names_and_labels() {
    let found = selectors("sum(verdictd_a{job=\"x\", b!=\"y\"}[5m]) + myverdictd_c - verdictd:d:e");
    let selector = |name: &str, labels: &[&str]| Selector {
        name: name.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    assert_eq!(found, [selector("verdictd_a", &["job", "b"]), selector("verdictd:d:e", &[])]);
    let known = exported(&registry().render());
    let faulty = [
        selector("verdictd_experiment_verdictt", &["job"]),
        selector("verdictd_experiment_verdict", &["job", "experimnt"]),
    ];
    assert!(faulty.iter().all(|selector| fault(selector, &known).is_some()));
}

#[test]
fn every_query_of_the_dashboard_names_what_is_exported() {
    let known = exported(&registry().render());
    let dashboard = dashboard();
    let (panels, variables) = queries(&dashboard);
    assert!(panels.len() >= 10 && variables.len() >= 3);
    for query in panels.iter().chain(&variables) {
        let found = selectors(query);
        assert!(!found.is_empty(), "no selector in {query}");
        let faults: Vec<_> = found.iter().filter_map(|one| fault(one, &known)).collect();
        assert!(faults.is_empty(), "{query}: {faults:?}");
        // The job variable itself is the only question about all jobs.
        let has_job = found.iter().all(|one| one.labels.iter().any(|label| label == "job"));
        assert!(has_job || query == "label_values(verdictd_build_info, job)", "no job in {query}");
    }
    for query in &panels {
        assert!(!query.contains('['), "a fixed window in {query}");
        assert!(!query.contains("_total"), "a raw counter in {query}");
    }
}

#[test]
fn every_series_of_an_experiment_is_on_the_dashboard_or_left_out_on_purpose() {
    let (panels, _) = queries(&dashboard());
    let used: BTreeSet<String> =
        panels.iter().flat_map(|query| selectors(query)).map(|one| one.name).collect();
    let known = exported(&registry().render());
    let left_out = |name: &str| NOT_ON_THE_DASHBOARD.iter().any(|(one, _)| *one == name);
    for name in known.keys().filter_map(|name| name.strip_prefix("verdictd_experiment_")) {
        let is_used = used.contains(&format!("verdictd_experiment_{name}"));
        assert!(is_used != left_out(name), "{name}: used {is_used}");
    }
}

#[test]
fn every_alert_names_what_is_exported_or_recorded() {
    let mut known = exported(&registry().render());
    let recorded = RULES.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    let recorded: BTreeSet<&str> = recorded.collect();
    assert!(!recorded.is_empty());
    for name in &recorded {
        // verdictd:slots_missed:increase15m keeps the labels of verdictd_slots_missed_total.
        let base = name.split(':').nth(1).unwrap();
        let labels = known[&format!("verdictd_{base}_total")].clone();
        known.insert((*name).to_owned(), labels);
    }
    let found = selectors(RULES);
    assert!(found.len() >= 20);
    let faults: Vec<_> = found.iter().filter_map(|one| fault(one, &known)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn the_dashboard_is_in_provisioning_form() {
    let dashboard = dashboard();
    assert!(dashboard.get("__inputs").is_none() && dashboard.get("id").is_none());
    assert!(dashboard.get("version").is_none());
    assert_eq!(dashboard["editable"], false);
    let uid = dashboard["uid"].as_str().unwrap();
    assert!((1..=40).contains(&uid.len()));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let mut defined: BTreeSet<&str> = BTreeSet::new();
    for variable in variables {
        defined.insert(variable["name"].as_str().unwrap());
        assert_eq!(variable["multi"], false, "{variable}");
        assert_eq!(variable["includeAll"], false, "{variable}");
        if variable["type"] == "query" {
            assert_eq!(variable["refresh"], 2, "{variable}");
            assert_eq!(variable["datasource"]["uid"], "${datasource}");
        }
    }
    assert!(defined.is_superset(&["datasource", "job", "experiment"].into()));
    let mut texts = Vec::new();
    strings(&dashboard, &mut texts);
    for text in texts {
        for (at, _) in text.match_indices('$') {
            let name = text[at + 1..].trim_start_matches('{');
            let end = name.find(|c| !is_name(c) || c == ':').unwrap_or(name.len());
            assert!(defined.contains(&name[..end]), "unknown variable in {text}");
        }
    }
}

#[test]
fn every_panel_explains_itself_and_the_grid_has_no_gap() {
    const TYPES: &[&str] = &["state-timeline", "timeseries", "table", "stat"];
    const UNITS: &[&str] = &["none", "short", "percentunit", "s"];
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!((1..=6).contains(&panels.len()));
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    let mut bottom = 0;
    for panel in panels {
        let text = |key: &str| panel[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("title").is_empty() && text("description").len() > 20, "{panel}");
        assert!(TYPES.contains(&text("type").as_str()), "{}", text("type"));
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels with one id");
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        assert!(UNITS.contains(&unit), "{}: unit {unit}", text("title"));
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (right, end) = (side("x") + side("w"), side("y") + side("h"));
        assert!(right <= 24, "{} leaves the grid", text("title"));
        bottom = bottom.max(end);
        for (x, y) in (side("x")..right).flat_map(|x| (side("y")..end).map(move |y| (x, y))) {
            assert!(cells.insert((x, y)), "{} overlaps at {x},{y}", text("title"));
        }
    }
    assert_eq!(cells.len() as u64, 24 * bottom, "the grid has a gap");
}
