//! Gates over HTTP: status, sentence, tokens, and which canary is which experiment.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use judge::decide::Verdict;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Answer, ID, Site, named, sample_record};
use crate::secret::SecretRef;
use crate::settings::{GateToken, Settings};

const DOORS: [&str; 3] = ["rollout", "promote", "rollback"];

async fn post(site: &Site, path: &str, body: &Value) -> Answer {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    site.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// What Flagger sends for a canary with that metadata.
fn call(metadata: Value) -> Value {
    json!({"name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "85d557f",
        "metadata": metadata})
}

fn of(id: &str) -> Value {
    call(json!({"experiment": id}))
}

fn change(site: &mut Site, change: impl FnOnce(&mut Settings)) {
    let mut settings = (*site.state.settings).clone();
    change(&mut settings);
    site.state.settings = Arc::new(settings);
}

#[tokio::test]
async fn a_door_says_200_or_403_and_one_sentence() {
    let site = Site::sample().await;
    for (door, status) in DOORS.iter().zip([200, 200, 403]) {
        let answer = post(&site, &format!("/gate/{door}"), &of(ID)).await;
        assert_eq!(answer.status.as_u16(), status, "{door}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.body.trim_end().lines().count(), 1, "{}", answer.body);
        assert!(answer.body.contains("CONTINUE - sample-checklist: "), "{}", answer.body);
    }
}

#[tokio::test]
async fn whatever_is_wrong_keeps_every_door_shut() {
    let site = Site::sample().await;
    for door in DOORS {
        let path = format!("/gate/{door}");
        for body in [
            of("none"),
            call(json!({})),
            call(json!({"experiment": ID, "allow": "stop"})),
            call(json!({"experiment": ID, "max_age": "soon"})),
            call(json!({"experiment": 5})),
            json!([]),
            json!("x"),
        ] {
            let answer = post(&site, &path, &body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{door} {body} {}", answer.body);
            assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
        }
        let empty = site.send(Request::post(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(empty.status, StatusCode::FORBIDDEN, "{door}");
    }
    let wrong = post(&site, "/gate/rolback", &of(ID)).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    assert_eq!(wrong.problem()["code"], "not_found");
    assert_eq!(post(&site, "/gate", &of(ID)).await.status, StatusCode::NOT_FOUND);
    let huge = call(json!({"experiment": "x".repeat(3_000)}));
    assert_eq!(post(&site, "/gate/rollback", &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_stop_fires_the_rollback_while_it_is_fresh() {
    let mut site = Site::empty().with_tokens();
    site.add(named(sample_record(Verdict::Hold), ID, "Sample")).await;
    let body = json!({"experiment": ID, "decision": "stop", "because": "it hurts"}).to_string();
    let stopped = site.decide(Some("token-of-root"), &body).await;
    assert_eq!(stopped.status, StatusCode::CREATED, "{}", stopped.body);
    for (door, status) in DOORS.iter().zip([403, 403, 200]) {
        let answer = post(&site, &format!("/gate/{door}"), &of(ID)).await;
        assert_eq!(answer.status.as_u16(), status, "{door}: {}", answer.body);
        assert!(answer.body.contains("root decided so"), "{}", answer.body);
    }
    let clock = crate::clock::ManualClock::new("2026-08-13T00:00:00Z".parse().unwrap());
    site.state.clock = Arc::new(clock);
    let late = post(&site, "/gate/rollback", &of(ID)).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN, "a day is over: {}", late.body);
    let longer = call(json!({"experiment": ID, "max_age": "3d"}));
    assert_eq!(post(&site, "/gate/rollback", &longer).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_canary_finds_its_experiment_by_settings_or_label() {
    let mut site = Site::sample().await;
    let nobody = post(&site, "/gate/promote", &call(json!({}))).await;
    assert!(nobody.body.contains("podinfo.test"), "{}", nobody.body);
    change(&mut site, |settings| {
        settings.gates.experiments.insert("podinfo.test".to_owned(), ID.to_owned());
    });
    assert_eq!(post(&site, "/gate/promote", &call(json!({}))).await.status, StatusCode::OK);
    // What the webhook says comes first, even when it is wrong.
    assert_eq!(post(&site, "/gate/promote", &of("x")).await.status, StatusCode::FORBIDDEN);
    change(&mut site, |settings| settings.gates.experiments.clear());
    let mut labelled = named(sample_record(Verdict::Continue), "by-label", "By label");
    labelled.input.experiment.labels.insert("canary".to_owned(), "podinfo.test".to_owned());
    site.add(labelled.clone()).await;
    let one = post(&site, "/gate/promote", &call(json!({}))).await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.body);
    assert!(one.body.contains("CONTINUE - "), "{}", one.body);
    site.add(named(labelled, "by-label-too", "By label")).await;
    let two = post(&site, "/gate/promote", &call(json!({}))).await;
    assert_eq!(two.status, StatusCode::FORBIDDEN);
    assert!(two.body.contains("by-label, by-label-too"), "{}", two.body);
}

/// Settings that ask gates for the token `gate-secret`.
fn with_gate_token(site: &mut Site) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "gate-secret\n").unwrap();
    let token: SecretRef = serde_json::from_value(json!({"file": path})).unwrap();
    change(site, |settings| {
        settings.gates.tokens = vec![GateToken { name: "flagger".to_owned(), token }];
    });
    folder
}

#[tokio::test]
async fn a_token_is_taken_from_header_url_or_metadata() {
    let mut site = Site::sample().await.with_tokens();
    let _folder = with_gate_token(&mut site);
    let known = call(json!({"experiment": ID, "token": "gate-secret"}));
    assert_eq!(post(&site, "/gate/promote", &known).await.status, StatusCode::OK);
    let writer = call(json!({"experiment": ID, "token": "token-of-guest"}));
    assert_eq!(post(&site, "/gate/promote", &writer).await.status, StatusCode::OK);
    let in_url = post(&site, "/gate/promote?x=1&token=gate-secret", &of(ID)).await;
    assert_eq!(in_url.status, StatusCode::OK);
    let bearer = |token: &str| {
        Request::post("/gate/promote")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(of(ID).to_string()))
            .unwrap()
    };
    assert_eq!(site.send(bearer("gate-secret")).await.status, StatusCode::OK);
    assert_eq!(site.send(bearer("gate-secre")).await.status, StatusCode::FORBIDDEN);
    for path in ["/gate/promote", "/gate/rollback?token=wrong", "/gate/rollout?token="] {
        let answer = post(&site, path, &of(ID)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.body.contains("CONTINUE"), "nothing is told: {}", answer.body);
    }
    assert_eq!(site.get("/gate/sample-checklist").await.problem()["code"], "no_token");
    let one = site.get("/gate/sample-checklist?token=gate-secret").await;
    assert_eq!(one.status, StatusCode::OK);
    // Reading is open as everywhere.
    let flat = site.get("/api/v1/experiments/sample-checklist/verdict").await;
    assert_eq!(flat.status, StatusCode::OK);
}

#[tokio::test]
async fn the_json_gate_says_the_same_in_a_document() {
    let site = Site::sample().await;
    let open = site.get("/gate/sample-checklist").await;
    let document = open.json();
    assert_eq!((&document["gate"], &document["open"]), (&json!("promote"), &json!(true)));
    assert_eq!(document["verdict"], "continue");
    let shut = site.get("/gate/sample-checklist?door=rollback").await;
    assert_eq!((shut.status, shut.json()["open"].as_bool()), (StatusCode::OK, Some(false)));
    let failed = site.get("/gate/none?fail=true").await;
    assert_eq!(failed.status, StatusCode::FORBIDDEN);
    assert_eq!(failed.json()["verdict"], "unknown");
    for path in ["?door=back", "?allow=stop", "?max_age=x", "?wait=61s", "?wait=x"] {
        let answer = site.get(&format!("/gate/sample-checklist{path}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        answer.problem();
    }
}

#[tokio::test]
async fn the_flat_verdict_is_200_for_any_id() {
    let site = Site::sample().await;
    let base = "/api/v1/experiments";
    let flat = site.get(&format!("{base}/sample-checklist/verdict")).await;
    assert_eq!(flat.json()["url"], "http://daemon/x/sample-checklist/e/1");
    for (path, verdict) in [
        ("/none/verdict", "unknown"),
        ("/..%2F..%2Fetc/verdict", "unknown"),
        ("/sample-checklist/verdict?max_age=0s", "continue"),
        ("/sample-checklist/verdict?wait=0s&since=99", "continue"),
    ] {
        let answer = site.get(&format!("{base}{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.json()["verdict"], verdict, "{path}");
    }
    let near = site.get(&format!("{base}/checklist/verdict")).await.json();
    assert!(near["reason"].as_str().unwrap().contains("sample-checklist"), "{near}");
}

#[tokio::test]
async fn an_etag_is_kept_while_nothing_but_the_age_changes() {
    let mut site = Site::sample().await;
    let path = "/api/v1/experiments/sample-checklist/verdict";
    let first = site.get(path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let clock = crate::clock::ManualClock::new("2026-08-11T00:05:00Z".parse().unwrap());
    site.state.clock = Arc::new(clock);
    let ask = |tag: &str| {
        Request::get(path).header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap()
    };
    let same = site.send(ask(&tag)).await;
    assert_eq!((same.status, same.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(same.header("etag"), tag);
    let mut later = sample_record(Verdict::Change);
    later.input.at = "2026-08-11T00:01:00Z".parse().unwrap();
    site.add(named(later, ID, "Sample")).await;
    let other = site.send(ask(&tag)).await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(other.json()["verdict"], "change");
}

#[tokio::test]
async fn a_long_poll_ends_with_news_with_the_daemon_or_at_once_when_too_many_wait() {
    let site = Site::sample().await;
    let path = "/api/v1/experiments/sample-checklist/verdict?wait=60s";
    let news = async {
        // Until the poll holds its permit it is not waiting.
        while site.state.waiting.available_permits() == 2 {
            tokio::task::yield_now().await;
        }
        let mut later = sample_record(Verdict::Change);
        later.input.at = "2026-08-11T00:01:00Z".parse().unwrap();
        let title = later.input.experiment.title.clone();
        site.add(named(later, ID, &title)).await;
    };
    let (answer, ()) = tokio::join!(site.get(path), news);
    assert_eq!(answer.json()["verdict"], "change");
    let known = format!("{path}&since=1");
    assert_eq!(site.get(&known).await.json()["verdict"], "change", "news since: at once");
    let permits = site.state.waiting.acquire_many(2).await.unwrap();
    let busy = site.get(path).await;
    assert_eq!((busy.status, busy.header("retry-after")), (StatusCode::OK, "5"));
    drop(permits);
    let stop = async {
        while site.state.waiting.available_permits() == 2 {
            tokio::task::yield_now().await;
        }
        site.state.stop.cancel();
    };
    let (ended, ()) = tokio::join!(site.get(path), stop);
    assert_eq!(ended.status, StatusCode::OK);
    assert_eq!(site.state.waiting.available_permits(), 2, "permits come back");
}
