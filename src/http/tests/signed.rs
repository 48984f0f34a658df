//! Writing with a signature in place of a token.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use judge::decide::Verdict;
use judge::time::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{ID, Site, named, sample_record};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::sign::{SigningKey, signature};
use crate::http::router;
use crate::secret::{Secret, SecretRef};
use crate::settings::TokenSettings;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Signatures live by the wall clock.
fn now() -> Timestamp {
    SystemClock.wall_now()
}

/// A site whose `product-lead` and `bot` sign, one after the other with the same id space.
async fn site() -> Site {
    let mut site = Site::sample().await.with_tokens();
    let mut settings = (*site.state.settings).clone();
    settings.http.max_body_bytes = 1 << 20;
    for (name, key) in [("product-lead", KEY), ("bot", OTHER)] {
        let path = site.folder.path().join(format!("{name}.key"));
        std::fs::write(&path, key).unwrap();
        settings.http.tokens.push(TokenSettings {
            name: name.to_owned(),
            token: None,
            signing_secret: Some(SecretRef::File(path)),
            admin: false,
        });
    }
    site.state.settings = settings.into();
    site
}

fn request(key: &str, id: &str, signed_at: Timestamp, body: &str) -> Request<Body> {
    to("/api/v1/decisions", key, id, signed_at, body)
}

fn to(path: &str, key: &str, id: &str, signed_at: Timestamp, body: &str) -> Request<Body> {
    let key = SigningKey::parse(&Secret::new(key)).unwrap();
    let second = signed_at.as_second();
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", second.to_string())
        .header("webhook-signature", signature(&[key], id, second, body.as_bytes()))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

fn decision(action: &str) -> String {
    json!({"experiment": ID, "decision": action, "because": "said so"}).to_string()
}

async fn send(pages: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = pages.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_signature_speaks_for_its_name_once() {
    let site = site().await;
    let pages = router(site.state);
    let first = || request(KEY, "msg_1", now(), &decision("confirm"));
    let (status, answer) = send(&pages, first()).await;
    assert_eq!((status, &answer["who"]), (StatusCode::CREATED, &json!("product-lead")), "{answer}");
    let (status, answer) = send(&pages, first()).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("replayed")));
    let (status, answer) = send(&pages, request(OTHER, "msg_1", now(), &decision("confirm"))).await;
    assert_eq!((status, &answer["who"]), (StatusCode::CREATED, &json!("bot")), "{answer}");
}

#[tokio::test]
async fn a_bad_signature_is_refused_also_beside_a_good_token() {
    let site = site().await;
    let pages = router(site.state.clone());
    let body = decision("confirm");
    let mut changed = request(KEY, "msg_1", now(), &body);
    *changed.body_mut() = Body::from(decision("stop"));
    let mut beside = request(KEY, "msg_2", now(), &body);
    *beside.body_mut() = Body::from(decision("stop"));
    beside.headers_mut().insert(header::AUTHORIZATION, "Bearer token-of-root".parse().unwrap());
    let mut twice = request(KEY, "msg_3", now(), &body);
    twice.headers_mut().append("webhook-id", "msg_3".parse().unwrap());
    let stale = Timestamp::from_second(now().as_second() - 301).unwrap();
    let late = request(KEY, "msg_4", stale, &body);
    let unknown = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
    for (request, code) in [
        (changed, "wrong_signature"),
        (beside, "wrong_signature"),
        (twice, "signature_headers"),
        (late, "signature_time"),
        (request(unknown, "msg_5", now(), &body), "wrong_signature"),
    ] {
        let (status, answer) = send(&pages, request).await;
        assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!(code)), "{answer}");
    }
    let log = site.get("/api/v1/decisions").await.json();
    assert_eq!(log["decisions"].as_array().unwrap().len(), 1, "nothing was written");
}

#[tokio::test]
async fn what_a_signer_may_not_do_stays_forbidden() {
    let site = site().await;
    let (status, _) =
        send(&router(site.state), request(OTHER, "msg_1", now(), &decision("stop"))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_signed_body_has_its_own_limit() {
    let site = site().await;
    let large = "x".repeat(64 * 1024 + 1);
    let (status, answer) = send(&router(site.state), request(KEY, "msg_1", now(), &large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["detail"].as_str().unwrap().contains("65536"), "{answer}");
}

/// The store is gone for the first try: the sender tries again with the same id.
#[tokio::test]
async fn a_request_that_failed_on_our_side_may_come_again() {
    let site = site().await;
    site.add(named(sample_record(Verdict::Hold), "broken", "Broken")).await;
    let pages = router(site.state.clone());
    let path = site.folder.path().join("verdictd.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("ALTER TABLE experiments RENAME TO hidden").unwrap();
    let again = || request(KEY, "msg_1", now(), &decision("confirm"));
    let (status, answer) = send(&pages, again()).await;
    assert!(status.is_server_error(), "{status} {answer}");
    database.execute_batch("ALTER TABLE hidden RENAME TO experiments").unwrap();
    let (status, answer) = send(&pages, again()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

#[tokio::test]
async fn without_a_signing_secret_a_signature_is_nothing() {
    let site = Site::sample().await.with_tokens();
    let (status, answer) =
        send(&router(site.state), request(KEY, "msg_1", now(), &decision("confirm"))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!("signing_off")));
}

/// The identity is found by its signature wherever something is written: no route asks for a
/// token beside it.
#[tokio::test]
async fn every_route_that_writes_takes_a_signature() {
    let site = site().await;
    let pages = router(site.state.clone());
    for (index, (path, body)) in [
        ("/api/v1/silences", "{}"),
        ("/api/v1/acknowledgements", "{}"),
        ("/api/v1/snoozes", "{}"),
        ("/api/v1/deliveries/resend", "{}"),
        ("/api/v1/endpoints/chat/enable", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("msg_{index}");
        let (status, answer) = send(&pages, to(path, KEY, &id, now(), body)).await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{path}: {answer}");
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{path}: {answer}");
    }
}
