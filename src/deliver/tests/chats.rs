//! Teams, Discord, Mattermost, PagerDuty: their bodies, their answers, and hostile text.

use serde_json::{Value, json};

use super::bodies::{hostile_samples, message, of_kind};
use super::fake::{Fake, Reply};
use super::{envelope, receiver, secret};
use crate::deliver::receivers::{discord, mattermost, pagerduty, teams};
use crate::deliver::{ErrorClass, Receipt, SendError, Then, sample_notices};
use judge::notice::NoticeKind;

const AGAIN: Then = Then::Retry { after: None };

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// Sends `{}` through a kind whose address is a secret and gives its judgement.
async fn answer(kind: &str, key: &str, reply: Reply) -> Result<Receipt, SendError> {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![reply]).await;
    let hidden = secret(folder.path(), "hidden", &format!("{}/hidden", fake.url));
    let mut own = json!({"allow_private": true});
    own[key] = serde_json::to_value(&hidden).unwrap();
    if kind == "pagerduty" {
        own["url"] = format!("{}/v2/enqueue", fake.url).into();
    }
    let result = receiver(json!({kind: own})).send(&envelope("{}")).await;
    if let Err(error) = &result {
        assert!(!error.detail.contains("hidden"), "{error}");
    }
    result
}

fn told(result: Result<Receipt, SendError>) -> (Then, ErrorClass) {
    let error = result.unwrap_err();
    (error.then, error.class)
}

#[tokio::test]
async fn each_receiver_is_judged_by_its_own_rules() {
    let text = |status, body: &str| Reply::status(status, body);
    for (kind, key, reply) in [
        ("discord", "url", text(204, "")),
        ("discord", "url", text(200, r#"{"id":"1"}"#)),
        ("mattermost", "url", text(200, "ok")),
        ("teams", "url", text(202, "")),
        ("teams", "url", text(200, "1")),
        ("pagerduty", "routing_key", text(202, r#"{"status":"success"}"#)),
    ] {
        assert!(answer(kind, key, reply).await.is_ok(), "{kind}");
    }
    let wait = |ms| Then::Retry { after: Some(std::time::Duration::from_millis(ms)) };
    let failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned \
                  HTTP error";
    for (kind, key, reply, then, class) in [
        (
            "discord",
            "url",
            text(429, r#"{"retry_after":0.75}"#),
            wait(750),
            ErrorClass::RateLimited,
        ),
        ("discord", "url", text(404, r#"{"code":10015}"#), Then::Disable, ErrorClass::Gone),
        (
            "discord",
            "url",
            text(400, r#"{"code":50035}"#),
            Then::Permanent,
            ErrorClass::ClientError,
        ),
        ("discord", "url", text(502, ""), AGAIN, ErrorClass::ServerError),
        ("mattermost", "url", text(400, "{}"), Then::Permanent, ErrorClass::ClientError),
        ("mattermost", "url", text(429, ""), AGAIN, ErrorClass::RateLimited),
        ("teams", "url", text(200, &format!("{failed} 429")), AGAIN, ErrorClass::RateLimited),
        ("teams", "url", text(200, &format!("{failed} 413")), Then::Shrink, ErrorClass::TooLarge),
        ("teams", "url", text(200, &format!("{failed} 500")), AGAIN, ErrorClass::NotAccepted),
        ("teams", "url", text(400, ""), Then::Permanent, ErrorClass::ClientError),
        ("pagerduty", "routing_key", text(400, "{}"), Then::Permanent, ErrorClass::ClientError),
        ("pagerduty", "routing_key", text(429, ""), AGAIN, ErrorClass::RateLimited),
        ("pagerduty", "routing_key", text(200, ""), AGAIN, ErrorClass::NotAccepted),
    ] {
        assert_eq!(told(answer(kind, key, reply).await), (then, class), "{kind}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_claimed() {
    let receipt = answer("teams", "url", Reply::status(202, "")).await.unwrap();
    assert!(receipt.detail.contains("cannot be known"), "{}", receipt.detail);
}

#[tokio::test]
async fn the_routing_key_is_put_in_when_it_is_sent_and_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![Reply::status(202, "")]).await;
    let key = secret(folder.path(), "key", "R0UTE");
    let config = json!({"pagerduty": {"routing_key": key, "url": fake.url, "allow_private": true}});
    let body = pagerduty::body(&message(&of_kind(NoticeKind::GuardrailTripped)));
    assert!(!body.contains("routing_key"));
    receiver(config).send(&envelope(&body)).await.unwrap();
    let sent = parsed(&fake.seen()[0].body);
    assert_eq!(sent["routing_key"], "R0UTE");
    assert_eq!(
        (&sent["event_action"], &sent["payload"]["severity"]),
        (&json!("trigger"), &json!("critical"))
    );
}

#[test]
fn a_trip_and_its_all_clear_are_one_incident() {
    let event = |kind| parsed(&pagerduty::body(&message(&of_kind(kind))));
    let (trip, clear) =
        (event(NoticeKind::GuardrailTripped), event(NoticeKind::GuardrailRecovered));
    assert_eq!(trip["dedup_key"], clear["dedup_key"]);
    assert_eq!(clear["event_action"], "resolve");
    let source = event(NoticeKind::SourceDown);
    assert_ne!(trip["dedup_key"], source["dedup_key"]);
    let rollback = (event(NoticeKind::ActionFailed), event(NoticeKind::ActionConfirmed));
    assert_eq!(rollback.0["dedup_key"], rollback.1["dedup_key"]);
}

/// A pager that gets a second incident for the verdict, or an all-clear for one that it never
/// opened, wakes somebody for nothing or never stops.
#[test]
fn a_trip_its_verdict_and_its_rollback_are_one_incident() {
    let trip = message(&of_kind(NoticeKind::GuardrailTripped));
    assert_eq!(trip["data"]["tripped"], trip["data"]["subject"], "the run was stopped by it");
    let key = |kind: &str, subject: &str| {
        let mut content = trip.clone();
        content["type"] = kind.into();
        content["data"]["subject"] = subject.into();
        parsed(&pagerduty::body(&content))["dedup_key"].clone()
    };
    let opened = key("guardrail.tripped", "errors");
    for (kind, subject) in [
        ("experiment.verdict.stop", ""),
        ("action.failed", "turn-off-checklist"),
        ("action.confirmed", "turn-off-checklist"),
        ("guardrail.recovered", "errors"),
    ] {
        assert_eq!(key(kind, subject), opened, "{kind}");
    }
    // Another guardrail of the same run, which only alerts, is another incident.
    assert_ne!(key("guardrail.tripped", "latency"), opened);
    assert_ne!(key("experiment.verdict.change", ""), opened);
}

#[test]
fn discord_never_lets_text_call_anybody() {
    for sample in sample_notices(super::at()) {
        let body = parsed(&discord::body(&message(&sample)));
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let embed = &body["embeds"][0];
        assert!(embed["title"].as_str().unwrap().chars().count() <= 256);
        assert!(embed["description"].as_str().unwrap().chars().count() <= 4_096);
    }
}

/// Every text of a document, wherever it stands.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => map.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// Name, renderer, largest body.
type Bounded = (&'static str, fn(&Value) -> String, usize);

#[test]
fn no_text_of_users_breaks_a_body_grows_it_or_calls_anybody() {
    let bodies: [Bounded; 4] = [
        ("discord", discord::body, 20_000),
        ("mattermost", mattermost::body, 32_000),
        ("teams", teams::body, 20_000),
        ("pagerduty", pagerduty::body, 512_000),
    ];
    for sample in hostile_samples(200) {
        let content = message(&sample);
        for (name, body, most) in bodies {
            let text = body(&content);
            assert!(text.len() <= most, "{name}: {} bytes", text.len());
            let body: Value = serde_json::from_str(&text).unwrap();
            let mut found = Vec::new();
            texts(&body, &mut found);
            for text in found.iter().filter(|_| name != "pagerduty") {
                let calls = ["@everyone", "@here", "@channel", "@all"];
                assert!(!calls.iter().any(|call| text.contains(call)), "{name}: {text}");
                assert!(!text.contains("](https://evil"), "{name}: {text}");
            }
        }
    }
}
