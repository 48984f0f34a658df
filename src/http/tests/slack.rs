//! Buttons pressed in Slack: forged, stale, replayed, strange and too large ones do nothing; a
//! good one does what its link does, once, and never mutes a tripwire.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Uri, header};
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::ServiceExt as _;

use super::deliveries::row;
use super::{Answer, Site, Still, at};
use crate::deliver::policy::links::{self, Act};
use crate::deliver::sign::hmac;
use crate::http::router;
use crate::secret::SecretRef;
use crate::store::Told;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const FORM: &str = "application/x-www-form-urlencoded";

/// What the chat was told: the method and its body.
type Chat = UnboundedReceiver<(String, Value)>;

/// A Slack that takes everything and hands it on; `is_deaf`: it never answers.
async fn slack(is_deaf: bool) -> (String, Chat) {
    let (say, chat) = unbounded_channel();
    let router = Router::new().fallback(move |uri: Uri, body: Bytes| {
        let said: Value = serde_json::from_slice(&body).unwrap();
        say.send((uri.path().to_owned(), said)).unwrap();
        async move {
            if is_deaf {
                std::future::pending::<()>().await;
            }
            r#"{"ok": true}"#
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, chat)
}

/// A site with one hold and one trip to acknowledge, and a Slack app.
async fn site(url: &str) -> Site {
    let mut site = Site::sample().await.with_tokens();
    let file = |name: &str, value: &str| {
        let path = site.folder.path().join(name);
        std::fs::write(&path, value).unwrap();
        json!({"file": path})
    };
    let receiver = json!({"slack_api": {
        "token": file("bot", "xoxb-1"), "signing_secret": file("signing", SECRET),
        "channel": "C01", "url": url, "allow_private": true,
    }});
    let mut settings = (*site.state.settings).clone();
    settings.receivers.insert("growth".to_owned(), serde_json::from_value(receiver).unwrap());
    site.state.settings = Arc::new(settings);
    site.state.clock = Arc::new(Still(at()));
    let told = |topic: &str, lasting| Told { topic: topic.to_owned(), lasting, ..Told::default() };
    let mut hold = row("hold", "growth", super::ID);
    hold.told = told("verdict", true);
    let mut trip = row("trip", "growth", super::ID);
    (trip.told, trip.urgent) = (told("guardrail:errors", false), true);
    site.state.store.enqueue(vec![hold, trip]).await.unwrap();
    site
}

async fn token(site: &Site, act: Act, notice: &str, expires_at: Timestamp) -> String {
    let key = links::key(None, &site.state.store).await.unwrap();
    key.token(act, notice, super::ID, expires_at)
}

fn payload(action: &Value) -> String {
    let payload = json!({
        "type": "block_actions", "user": {"id": "U01", "username": "ana"},
        "channel": {"id": "C01"}, "message": {"ts": "1.2", "thread_ts": "1.1"},
        "actions": [action],
    });
    form(&payload.to_string())
}

fn form(payload: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish()
}

/// As Slack signs it, at that instant.
fn request(secret: &str, signed_at: Timestamp, kind: &str, body: &str) -> Request<Body> {
    let second = signed_at.as_second();
    let digest = hmac(secret.as_bytes(), format!("v0:{second}:{body}").as_bytes());
    let digits = digest.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    });
    Request::post("/inbound/slack")
        .header(header::CONTENT_TYPE, kind)
        .header("x-slack-request-timestamp", second.to_string())
        .header("x-slack-signature", format!("v0={digits}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn send(pages: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = pages.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn press(pages: &Router, action: &Value) -> Answer {
    send(pages, request(SECRET, at(), FORM, &payload(action))).await
}

/// What people did, by the log.
async fn done(site: &Site) -> Vec<String> {
    let log = site.get("/api/v1/decisions?limit=50").await.json();
    let kinds = log["decisions"].as_array().unwrap().iter();
    let kinds = kinds.map(|entry| entry["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind != "verdict").collect()
}

#[tokio::test]
async fn a_button_acknowledges_once_and_the_chat_is_told() {
    let (url, mut chat) = slack(false).await;
    let site = site(&url).await;
    let pages = router(site.state.clone());
    let token = token(&site, Act::Acknowledge, "notice-hold", add_ms(at(), 60_000)).await;
    let button = json!({"action_id": "verdictd_acknowledge", "value": token, "action_ts": "1"});
    let answer = press(&pages, &button).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    let (method, said) = chat.recv().await.unwrap();
    assert_eq!((method.as_str(), &said["thread_ts"]), ("/chat.postMessage", &json!("1.1")));
    assert_eq!(said["text"], "slack U01 (ana) has seen it. The decision log says so.");
    let acks = site.get("/api/v1/acknowledgements").await.json();
    let ack = &acks["acknowledgements"][0];
    assert_eq!((&ack["who"], &ack["authenticated"]), (&json!("slack U01 (ana)"), &json!(true)));
    // Pressed again by somebody, it says to them alone who was first.
    let again = json!({"action_id": "verdictd_acknowledge", "value": token, "action_ts": "2"});
    assert_eq!(press(&pages, &again).await.status, StatusCode::OK);
    let (method, said) = chat.recv().await.unwrap();
    assert_eq!((method.as_str(), &said["user"]), ("/chat.postEphemeral", &json!("U01")));
    assert!(said["text"].as_str().unwrap().contains("already acknowledged by slack U01"), "{said}");
    assert_eq!(done(&site).await, ["notice.acknowledged"]);
    // The same request once more is no press of a button.
    assert_eq!(press(&pages, &again).await.problem()["code"], "replayed");
}

#[tokio::test]
async fn nothing_of_ours_and_nothing_to_believe_does_nothing() {
    let (url, mut chat) = slack(false).await;
    let site = site(&url).await;
    let pages = router(site.state.clone());
    let good = token(&site, Act::Acknowledge, "notice-hold", add_ms(at(), 60_000)).await;
    let old = token(&site, Act::Acknowledge, "notice-hold", at()).await;
    // A link that was followed, another app's button, a modal: taken, and nothing is done.
    for action in [
        json!({"action_id": "open_experiment"}),
        json!({"action_id": "approve", "value": good}),
        json!({"action_id": "acknowledge", "value": good}),
    ] {
        assert_eq!(press(&pages, &action).await.status, StatusCode::OK, "{action}");
    }
    let modal = form(r#"{"type": "view_submission"}"#);
    let modal = send(&pages, request(SECRET, at(), FORM, &modal)).await;
    assert_eq!(modal.status, StatusCode::OK);
    // Ours, and not to be believed: whoever pressed it is told why.
    let snooze = good.replacen("ack.", "snooze.", 1);
    for (value, words) in [
        (old, "has expired"),
        (snooze, "not one of ours"),
        (good[..good.len() - 3].to_owned(), "not one of ours"),
        ("ack.form.99999999999.AAAA".to_owned(), "not one of ours"),
        (String::new(), "not one of ours"),
    ] {
        let button = json!({"action_id": "verdictd_acknowledge", "value": value});
        assert_eq!(press(&pages, &button).await.status, StatusCode::OK);
        let (method, said) = chat.recv().await.unwrap();
        assert_eq!(method, "/chat.postEphemeral");
        assert!(said["text"].as_str().unwrap().contains(words), "{value}: {said}");
    }
    assert_eq!(done(&site).await, Vec::<String>::new());
}

#[tokio::test]
async fn forged_stale_and_malformed_requests_are_refused() {
    let (url, _chat) = slack(false).await;
    let mut site = site(&url).await;
    // Late enough after the start that a stale request is not from before it.
    let pages = router(site.state.clone());
    let now = add_ms(at(), 600_000);
    let good = token(&site, Act::Acknowledge, "notice-hold", add_ms(now, 60_000)).await;
    let body = payload(&json!({"action_id": "verdictd_acknowledge", "value": good}));
    let mut changed = request(SECRET, at(), FORM, &body);
    *changed.body_mut() = Body::from(body.replace("U01", "U02"));
    let mut twice = request(SECRET, at(), FORM, &body);
    twice.headers_mut().append("x-slack-signature", "v0=00".parse().unwrap());
    let mut bare = request(SECRET, at(), FORM, &body);
    bare.headers_mut().remove("x-slack-signature");
    let huge = format!("payload={}", "x".repeat(1 << 20));
    for (request, status, code) in [
        (changed, 401, "wrong_signature"),
        (request("another", at(), FORM, &body), 401, "wrong_signature"),
        (request("", at(), FORM, &body), 401, "wrong_signature"),
        (twice, 401, "signature_headers"),
        (bare, 401, "signature_headers"),
        (request(SECRET, add_ms(at(), -301_000), FORM, &body), 401, "signature_time"),
        (request(SECRET, add_ms(at(), 301_000), FORM, &body), 401, "signature_time"),
        (request(SECRET, add_ms(at(), -1_000), FORM, &body), 401, "signature_time"),
        (request(SECRET, at(), FORM, &huge), 413, "body"),
        (request(SECRET, at(), "application/json", &body), 415, "body"),
        (request(SECRET, at(), "", &body), 415, "body"),
        (request(SECRET, at(), FORM, "payload=%7B"), 422, "invalid"),
        (request(SECRET, at(), FORM, "other=1"), 422, "invalid"),
        (request(SECRET, at(), FORM, ""), 422, "invalid"),
    ] {
        let answer = send(&pages, request).await;
        let problem = answer.problem();
        assert_eq!((answer.status.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
        assert!(!answer.body.contains(SECRET), "{problem}");
    }
    // Without a signing secret there is no such door.
    let mut settings = (*site.state.settings).clone();
    settings.receivers.clear();
    site.state.settings = Arc::new(settings);
    let closed = site.send(request(SECRET, at(), FORM, &body)).await;
    assert_eq!(closed.status, StatusCode::NOT_FOUND);
    assert_eq!(done(&site).await, Vec::<String>::new());
    // What was refused was not used up.
    let again = send(&pages, request(SECRET, at(), FORM, &body)).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.body);
}

#[tokio::test]
async fn a_tripwire_is_acknowledged_and_never_snoozed() {
    let (url, mut chat) = slack(false).await;
    let site = site(&url).await;
    let pages = router(site.state.clone());
    let until = add_ms(at(), 60_000);
    let snooze = token(&site, Act::Snooze, "notice-trip", until).await;
    let button = json!({"action_id": "verdictd_snooze", "value": snooze});
    assert_eq!(press(&pages, &button).await.status, StatusCode::OK);
    let (_, said) = chat.recv().await.unwrap();
    assert!(said["text"].as_str().unwrap().contains("nothing to snooze"), "{said}");
    let seen = token(&site, Act::Acknowledge, "notice-trip", until).await;
    let button = json!({"action_id": "verdictd_acknowledge", "value": seen});
    assert_eq!(press(&pages, &button).await.status, StatusCode::OK);
    chat.recv().await.unwrap();
    assert_eq!(done(&site).await, ["notice.acknowledged"]);
    let silences = site.get("/api/v1/silences").await.json();
    assert_eq!(silences["silences"], json!([]), "nothing is held back");
    // What lasts can be snoozed, once.
    let snooze = token(&site, Act::Snooze, "notice-hold", until).await;
    let button = json!({"action_id": "verdictd_snooze", "value": snooze});
    assert_eq!(press(&pages, &button).await.status, StatusCode::OK);
    let (_, said) = chat.recv().await.unwrap();
    assert!(said["text"].as_str().unwrap().contains("not told again until"), "{said}");
    let silences = site.get("/api/v1/silences").await.json();
    assert_eq!(silences["silences"][0]["match"]["topic"], "verdict");
}

/// Slack waits three seconds: what it is told comes after the answer.
#[tokio::test]
async fn a_slack_that_does_not_answer_holds_no_answer_back() {
    let (url, mut chat) = slack(true).await;
    let site = site(&url).await;
    let pages = router(site.state.clone());
    for number in 0..12 {
        let token = token(&site, Act::Acknowledge, "notice-hold", add_ms(at(), 60_000)).await;
        let button =
            json!({"action_id": "verdictd_acknowledge", "value": token, "action_ts": number});
        let pressed = press(&pages, &button);
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3), pressed).await;
        assert_eq!(answer.expect("an answer in time").status, StatusCode::OK);
    }
    assert!(chat.recv().await.is_some());
    assert_eq!(done(&site).await, ["notice.acknowledged"]);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_lets_nobody_in() {
    let (url, _chat) = slack(false).await;
    let mut site = site(&url).await;
    let mut settings = (*site.state.settings).clone();
    let missing = SecretRef::File(site.folder.path().join("nowhere"));
    let receiver = json!({"slack_api": {"token": missing, "signing_secret": missing,
        "channel": "C01", "url": url, "allow_private": true}});
    settings.receivers.insert("growth".to_owned(), serde_json::from_value(receiver).unwrap());
    site.state.settings = Arc::new(settings);
    let body = payload(&json!({"action_id": "verdictd_acknowledge", "value": "x"}));
    for secret in ["", SECRET] {
        let answer = site.send(request(secret, at(), FORM, &body)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
    }
}
