//! Reading through the API.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use judge::decide::Verdict;

use super::{AT, ID, Site, at, failing_source, named, sample_record};
use crate::store::BrokenFile;

#[tokio::test]
async fn experiments_are_listed_with_broken_files() {
    let site = Site::sample().await;
    let broken = BrokenFile {
        file: "bad.yaml".to_owned(),
        revision_hash: "h".to_owned(),
        diagnostics_text: "error[E0102]".to_owned(),
        seen_at: at(),
    };
    site.state.store.put_broken(broken).await.unwrap();
    let answer = site.get("/api/v1/experiments").await;
    assert_eq!(answer.status, StatusCode::OK);
    let list = answer.json();
    assert_eq!(list["schema"], "verdictd/experiments/1");
    let experiment = &list["experiments"][0];
    assert_eq!(experiment["id"], ID);
    assert_eq!(experiment["labels"]["team"], "growth");
    assert_eq!(experiment["last"]["verdict"], "continue");
    assert_eq!(experiment["last"]["scheduled_at"], AT);
    assert_eq!(experiment["worst_guardrail"], "ok");
    assert_eq!(list["broken_files"][0]["file"], "bad.yaml");
}

#[tokio::test]
async fn one_experiment_shows_record_guardrails_and_counts() {
    let site = Site::sample().await;
    let one = site.get("/api/v1/experiments/sample-checklist").await.json();
    assert_eq!(one["evaluations"], 1);
    assert_eq!(one["guardrails"][0]["name"], "errors");
    assert_eq!(one["record"]["decision"]["verdict"], "continue");
    assert_eq!(one["actions"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn evaluations_are_paged_and_frozen() {
    let site = Site::sample().await;
    let mut later = sample_record(Verdict::Change);
    later.input.at = "2026-08-12T00:00:00Z".parse().unwrap();
    site.add(named(later, ID, "Sample")).await;
    let base = "/api/v1/experiments/sample-checklist/evaluations";
    let first = site.get(&format!("{base}?limit=1")).await.json();
    assert_eq!(first["evaluations"][0]["number"], 2);
    assert_eq!(first["next_before"], 2);
    let second = site.get(&format!("{base}?limit=1&before=2")).await.json();
    assert_eq!(second["evaluations"][0]["number"], 1);
    let whole = site.get(&format!("{base}/1")).await.json();
    let stored = sample_record(Verdict::Continue).to_json();
    assert_eq!(whole["record"], serde_json::from_str::<serde_json::Value>(&stored).unwrap());
    assert_eq!(whole["verdict"], "continue");
}

#[tokio::test]
async fn the_flat_verdict_answers_before_and_after_the_first_look() {
    let site = Site::sample().await;
    let flat = site.get("/api/v1/experiments/sample-checklist/verdict").await.json();
    assert_eq!(flat["verdict"], "continue");
    assert_eq!(flat["evaluation"], 1);
    assert_eq!(flat["final"], false);
    assert!(flat["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    assert!(flat.as_object().unwrap().values().all(|value| !value.is_null()));
}

#[tokio::test]
async fn the_log_is_filtered() {
    let site = Site::sample().await;
    site.add(named(sample_record(Verdict::Stop), "other", "Other")).await;
    let all = site.get("/api/v1/decisions").await.json();
    assert_eq!(all["decisions"].as_array().unwrap().len(), 2);
    let one = site.get("/api/v1/decisions?experiment=other&limit=5").await.json();
    assert_eq!(one["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(one["decisions"][0]["lines"].as_array().unwrap().len(), 3);
    assert!(one["next_before"].is_null());
    let later = site.get("/api/v1/decisions?since=2027-01-01T00:00:00Z").await.json();
    assert_eq!(later["decisions"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn sources_and_deliveries_answer() {
    let site = Site::empty();
    site.state.store.put_source(failing_source("warehouse")).await.unwrap();
    let sources = site.get("/api/v1/sources").await.json();
    assert_eq!(sources["sources"][0]["up"], false);
    assert_eq!(sources["sources"][0]["class"], "timeout");
    let deliveries = site.get("/api/v1/deliveries?state=pending").await.json();
    assert_eq!(deliveries["deliveries"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    use std::sync::atomic::Ordering;
    let site = Site::empty();
    assert_eq!(site.get("/healthz").await.body, "ok\n");
    assert_eq!(site.get("/readyz").await.body, "ready\n");
    // A store whose file is gone keeps nothing: not ready, however well it still answers.
    let other = Site::empty();
    std::fs::remove_file(other.folder.path().join("verdictd.db")).unwrap();
    let gone = other.get("/readyz").await;
    assert_eq!(gone.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(gone.body.contains("is gone"), "{}", gone.body);
    // Nothing is judged while the scheduler's turns fail, as on a full disk.
    site.state.metrics.turn_ended(Some("scheduler turn failed: disk is full".to_owned()));
    let failing = site.get("/readyz").await;
    assert_eq!(failing.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(failing.problem()["code"], "scheduler");
    site.state.metrics.turn_ended(None);
    assert_eq!(site.get("/readyz").await.status, StatusCode::OK);
    site.state.ready.store(false, Ordering::SeqCst);
    let starting = site.get("/readyz").await;
    assert_eq!(starting.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(starting.problem()["code"], "starting");
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    site.state.store.put_source(failing_source("warehouse")).await.unwrap();
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let asked = Request::get("/metrics").header("accept", accept).body(Body::empty()).unwrap();
    let metrics = site.send(asked).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert!(metrics.body.contains("verdictd_source_up{source=\"warehouse\"} 0"));
    assert!(metrics.body.contains("# TYPE verdictd_clock_jump_seconds counter"));
    assert!(metrics.body.ends_with("# EOF\n"));
    // Who asks for nothing may not know OpenMetrics.
    let older = site.get("/metrics").await;
    assert_eq!(older.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(older.body.contains("# TYPE verdictd_clock_jump_seconds_total counter"));
    assert!(older.body.contains("verdictd_source_up{source=\"warehouse\"} 0"));
    assert!(!older.body.contains("# EOF"));
}
