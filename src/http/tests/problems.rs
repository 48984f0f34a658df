//! Every error is problem+json with a code and the request's id.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use super::Site;

#[tokio::test]
async fn unknown_things_are_404_and_near_names_are_offered() {
    let site = Site::sample().await;
    for path in [
        "/nothing",
        "/api/v1/nothing",
        "/x/nothing",
        "/x/sample-checklist/e/99",
        "/api/v1/experiments/nothing",
        "/api/v1/experiments/nothing/evaluations",
        "/api/v1/experiments/sample-checklist/evaluations/99",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.problem()["code"], "not_found", "{path}");
    }
    let near = site.get("/api/v1/experiments/checklist").await.problem();
    assert!(near["detail"].as_str().unwrap().contains("sample-checklist"), "{near}");
}

#[tokio::test]
async fn wrong_methods_are_405() {
    let site = Site::empty();
    for (method, path) in [(Method::POST, "/"), (Method::DELETE, "/api/v1/experiments")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = site.send(request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.problem()["code"], "method_not_allowed");
        assert!(answer.header("allow").contains("GET"));
    }
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_the_bound() {
    let site = Site::sample().await;
    for path in [
        "/api/v1/decisions?limit=0",
        "/api/v1/decisions?limit=501",
        "/api/v1/deliveries?limit=501",
        "/api/v1/deliveries?state=lost",
        "/api/v1/experiments/sample-checklist/evaluations?limit=201",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(answer.problem()["code"], "invalid", "{path}");
    }
    for path in [
        "/api/v1/decisions?nope=1",
        "/api/v1/decisions?since=yesterday",
        "/api/v1/experiments/sample-checklist/evaluations/one",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        answer.problem();
    }
}

#[tokio::test]
async fn bodies_are_bounded_typed_and_strict() {
    let site = Site::sample().await.with_tokens();
    let token = Some("token-of-guest");
    let long = format!(r#"{{"because":"{}"}}"#, "x".repeat(3_000));
    let answer = site.decide(token, &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    answer.problem();
    let answer = site.decide(token, "{not json").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    answer.problem();
    for body in [
        r#"{"experiment":"sample-checklist","decision":"explode","because":"x"}"#,
        r#"{"experiment":"sample-checklist","decision":"confirm"}"#,
        r#"{"experiment":"sample-checklist","decision":"confirm","because":"x","who":"me"}"#,
    ] {
        let answer = site.decide(token, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let code = answer.problem()["code"].clone();
        assert!(code == "body" || code == "invalid", "{body}: {code}");
    }
    // The name of the scheme has no case, and its token is the same.
    let untyped = Request::post("/api/v1/decisions")
        .header(header::AUTHORIZATION, "bearer token-of-guest")
        .body(Body::from("{}"))
        .unwrap();
    let answer = site.send(untyped).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    answer.problem();
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_a_closed_page() {
    let site = Site::sample().await;
    for path in ["/", "/x/sample-checklist", "/api/v1/experiments", "/nothing", "/healthz"] {
        let answer = site.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("x-request-id").len() >= 16, "{path}");
    }
    let mine = Request::get("/nothing").header("x-request-id", "mine-1").body(Body::empty());
    let answer = site.send(mine.unwrap()).await;
    assert_eq!(answer.problem()["request_id"], "mine-1");
}
