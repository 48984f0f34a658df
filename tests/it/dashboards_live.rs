//! The dashboard's queries on a real Prometheus that scrapes a real daemon: each panel and each
//! variable finds its series, and the exposition passes the tool's own linter.

use std::collections::BTreeSet;
use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;
use verdictd::demo::data::Stories;
use verdictd::demo::data::calendar::midnight;
use verdictd::demo::prometheus::Prometheus as BuiltIn;
use verdictd::demo::stage::EXPERIMENT_FILES;

use crate::fakes::line::{Line, serve};
use crate::fakes::process::{tool, wait_until};
use crate::fakes::prometheus::{Prometheus, get};
use crate::fakes::receiver::Receiver;

const EXPERIMENT: &str = "platform-quote-cache";
/// Signals with an aim: they have all series.
const SIGNALS: [&str; 2] = ["quote_p95", "checkout_timeouts"];

/// A daemon that has watched the platform story for a week in which nothing went wrong.
async fn week(receiver: &Receiver) -> Line {
    let mut files = EXPERIMENT_FILES.iter();
    let file = files.find(|(name, _)| *name == "platform-quote-cache.yaml");
    let mut line = Line::new(midnight(0), &[*file.unwrap()]);
    let metrics = Stories::generate(1).metrics;
    let built_in = BuiltIn::new(metrics, line.clock.clone(), Vec::new());
    let url = serve(built_in.router()).await;
    let chat = line.secret("chat", &receiver.url("/slack/platform-chat"));
    let signing = line.secret("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let tickets = receiver.url("/hooks/tickets");
    line.configure(&format!(
        "[scheduler]\nguardrail_every_secs = 3600\njitter = false\n\
         [sources.prom.prometheus]\nurl = \"http://{url}\"\nquery_delay_secs = 0\n\
         [receivers.platform-chat.slack]\nurl = {chat}\nallow_private = true\n\
         [receivers.tickets.webhook]\nurl = \"{tickets}\"\nsecret = {signing}\n\
         allow_private = true\n\
         [actions.turn-off-quote-cache.webhook]\nurl = \"{tickets}\"\nallow_private = true\n\
         verify = {{ url = \"{tickets}\", pointer = \"/enabled\", equals = false }}\n"
    ));
    line.start().await;
    line.run_to(midnight(7)).await;
    line
}

/// Every dashboard of the repository.
fn dashboards() -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    files
        .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

/// Every text below a key.
fn texts(value: &Value, wanted: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, wanted, found)),
        Value::Object(items) => {
            for (key, item) in items {
                match item {
                    Value::String(text) if key == wanted => {
                        found.insert(text.clone());
                    }
                    _ => texts(item, wanted, found),
                }
            }
        }
        _ => {}
    }
}

/// As Grafana sends them: variables filled in.
fn filled(query: &str) -> Vec<String> {
    let fill = |signal: &str| {
        let query = query.replace("$job", "verdictd").replace("$experiment", EXPERIMENT);
        query.replace("$signal", signal).replace("$__rate_interval", "5s")
    };
    let filled: BTreeSet<String> = SIGNALS.iter().map(|signal| fill(signal)).collect();
    filled.into_iter().collect()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn asked(prometheus: &Prometheus, path: &str) -> Value {
    let (status, body) = prometheus.get(path);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["status"]), (200, &"success".into()), "{path}: {body}");
    answer["data"].clone()
}

/// The values of an instant query.
fn values(prometheus: &Prometheus, promql: &str) -> Vec<String> {
    let data = asked(prometheus, &format!("/api/v1/query?query={}", encoded(promql)));
    let series = data["result"].as_array().unwrap();
    let value = |one: &Value| one["value"][1].as_str().unwrap().to_owned();
    series.iter().map(value).collect()
}

/// What `label_values(selector, label)` gives.
fn label_values(prometheus: &Prometheus, query: &str) -> Vec<String> {
    let inside = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
    let (selector, label) = inside.rsplit_once(", ").unwrap();
    let path = format!("/api/v1/label/{label}/values?match[]={}", encoded(selector));
    let data = asked(prometheus, &path);
    let values = data.as_array().unwrap().iter();
    values.map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboards_finds_series_on_a_real_prometheus() {
    let receiver = Receiver::start().await;
    let mut line = week(&receiver).await;
    let target = line.app().address().unwrap().to_string();
    let prometheus = Prometheus::start(None, &[target]);
    wait_until("the first scrape", || {
        let up = values(&prometheus, "up{job=\"verdictd\"}");
        (up == ["1"]).then_some(())
    });
    let (mut panels, mut variables) = (BTreeSet::new(), BTreeSet::new());
    for dashboard in dashboards() {
        texts(&dashboard["panels"], "expr", &mut panels);
        texts(&dashboard["templating"], "query", &mut variables);
    }
    assert!(panels.len() >= 15, "{} queries", panels.len());
    for query in panels.iter().flat_map(|query| filled(query)) {
        let found = values(&prometheus, &query);
        assert!(!found.is_empty(), "no series: {query}");
        assert!(found.iter().all(|value| value != "NaN"), "{query}: {found:?}");
    }
    variables.retain(|query| query.starts_with("label_values("));
    assert!(variables.len() >= 3, "{variables:?}");
    let of_variables: BTreeSet<String> = variables
        .iter()
        .flat_map(|query| filled(query))
        .flat_map(|query| {
            let found = label_values(&prometheus, &query);
            assert!(!found.is_empty(), "no value: {query}");
            found
        })
        .collect();
    for value in ["verdictd", EXPERIMENT, SIGNALS[0], SIGNALS[1]] {
        assert!(of_variables.contains(value), "{value}: {of_variables:?}");
    }
    line.stop().await;
}

/// What the linter says about an exposition; nothing when all is well.
fn lint(exposition: &str) -> String {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(exposition.as_bytes()).unwrap();
    input.rewind().unwrap();
    let output = Command::new(tool("VERDICTD_TEST_PROMTOOL"))
        .args(["check", "metrics"])
        .stdin(Stdio::from(input))
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_has_nothing_to_say_about_the_metrics_of_a_daemon() {
    let receiver = Receiver::start().await;
    let mut line = week(&receiver).await;
    let address = line.app().address().unwrap().to_string();
    let (status, body) = get(&address, "/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("verdictd_experiment_guardrail_budget_left_ratio"), "{body}");
    assert_eq!(lint(&body), "");
    let spoilt = body.replace("verdictd_source_up", "verdictd_source_milliseconds");
    assert!(lint(&spoilt).contains("milliseconds"), "the linter is awake");
    line.stop().await;
}
