//! Decisions of people: who may, and what is refused.

use axum::http::StatusCode;
use judge::decide::Verdict;

use super::{ID, Site, named, sample_record};

fn decision(experiment: &str, action: &str, because: &str) -> String {
    serde_json::json!({"experiment": experiment, "decision": action, "because": because})
        .to_string()
}

#[tokio::test]
async fn writing_is_off_without_tokens() {
    let answer = Site::sample().await.decide(Some("x"), &decision(ID, "confirm", "x")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.problem()["code"], "writing_off");
}

#[tokio::test]
async fn a_token_is_needed_and_must_be_known() {
    let site = Site::sample().await.with_tokens();
    let body = decision(ID, "confirm", "x");
    let none = site.decide(None, &body).await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    assert_eq!(none.problem()["code"], "no_token");
    assert_eq!(none.header("www-authenticate"), "Bearer");
    for wrong in ["token-of-guest2", "token-of-gues", ""] {
        let answer = site.decide(Some(wrong), &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert_eq!(answer.problem()["code"], "wrong_token", "{wrong}");
    }
    let log = site.get("/api/v1/decisions").await.json();
    assert_eq!(log["decisions"].as_array().unwrap().len(), 1, "nothing was written");
}

#[tokio::test]
async fn the_identity_is_the_name_of_the_token() {
    let site = Site::sample().await.with_tokens();
    let answer = site.decide(Some("token-of-guest"), &decision(ID, "confirm", "agreed")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.json()["who"], "guest");
    let log = site.get("/api/v1/decisions").await.json();
    assert_eq!(log["decisions"][0]["who"], "guest");
    assert_eq!(log["decisions"][0]["because"], "agreed");
}

#[tokio::test]
async fn only_some_may_stop() {
    let site = Site::sample().await.with_tokens();
    let body = decision(ID, "stop", "it hurts");
    let refused = site.decide(Some("token-of-guest"), &body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.problem()["detail"].as_str().unwrap().contains("objects"));
    let objects = site.decide(Some("token-of-guest"), &decision(ID, "objects", "it hurts")).await;
    assert_eq!(objects.status, StatusCode::CREATED);
    let stopped = site.decide(Some("token-of-product-lead"), &body).await;
    assert_eq!(stopped.status, StatusCode::CREATED, "{}", stopped.body);
    let flat = site.get("/api/v1/experiments/sample-checklist/verdict").await.json();
    assert_eq!((&flat["life"], &flat["final"]), (&"stopped".into(), &true.into()));
    site.add(named(sample_record(Verdict::Hold), "other", "Other")).await;
    let admin = site.decide(Some("token-of-root"), &decision("other", "stop", "enough")).await;
    assert_eq!(admin.status, StatusCode::CREATED, "{}", admin.body);
}

#[tokio::test]
async fn what_the_rules_refuse_says_why() {
    let site = Site::sample().await.with_tokens();
    let token = Some("token-of-root");
    let conflict = site.decide(token, &decision(ID, "rearm", "again")).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert!(conflict.problem()["detail"].as_str().unwrap().contains("nothing to rearm"));
    let blank = site.decide(token, &decision(ID, "confirm", "  ")).await;
    assert_eq!(blank.status, StatusCode::UNPROCESSABLE_ENTITY);
    blank.problem();
    let wordy = site.decide(token, &decision(ID, "confirm", &"x".repeat(1_990))).await;
    assert_eq!(wordy.status, StatusCode::PAYLOAD_TOO_LARGE);
    let unknown = site.decide(token, &decision("nothing", "confirm", "x")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    unknown.problem();
}
