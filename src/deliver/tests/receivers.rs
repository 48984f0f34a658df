//! Every answer a receiver can give, and what it leads to.

use std::time::Duration;

use serde_json::json;

use super::fake::{After, Fake, Reply};
use super::{envelope, receiver, secret};
use crate::deliver::{ErrorClass, Receipt, ReceiverConfig, SendError, Then, send_samples};
use crate::secret::SecretRef;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn post(reply: Reply) -> Result<Receipt, SendError> {
    let fake = Fake::start(vec![reply]).await;
    let config =
        json!({"webhook": {"url": format!("{}/hook?k=v", fake.url), "allow_private": true}});
    let result = receiver(config).send(&envelope("{}")).await;
    assert_eq!(fake.seen().len(), 1);
    if let Err(error) = &result {
        assert!(!error.detail.contains("hook") && !error.detail.contains("k=v"), "{error}");
    }
    result
}

async fn slack(reply: Reply) -> Result<Receipt, SendError> {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![reply]).await;
    let url = secret(folder.path(), "url", &format!("{}/services/T/B/secret", fake.url));
    let config = json!({"slack": {"url": url, "allow_private": true}});
    let result = receiver(config).send(&envelope("{}")).await;
    if let Err(error) = &result {
        assert!(!error.detail.contains("services"), "{error}");
    }
    result
}

fn told(result: Result<Receipt, SendError>) -> (Then, ErrorClass) {
    let error = result.unwrap_err();
    (error.then, error.class)
}

const AGAIN: Then = Then::Retry { after: None };

#[tokio::test]
async fn every_status_has_its_class() {
    for status in [200, 201, 202, 204] {
        assert_eq!(post(Reply::status(status, "")).await.unwrap().status, status);
    }
    for (status, then, class) in [
        (301, Then::Permanent, ErrorClass::Redirect),
        (304, Then::Permanent, ErrorClass::Redirect),
        (400, Then::Permanent, ErrorClass::ClientError),
        (401, Then::Permanent, ErrorClass::AuthError),
        (403, Then::Permanent, ErrorClass::AuthError),
        (404, Then::Permanent, ErrorClass::ClientError),
        (408, AGAIN, ErrorClass::ClientError),
        (410, Then::Disable, ErrorClass::Gone),
        (413, Then::Shrink, ErrorClass::TooLarge),
        (422, Then::Permanent, ErrorClass::ClientError),
        (425, AGAIN, ErrorClass::ClientError),
        (429, AGAIN, ErrorClass::RateLimited),
        (500, AGAIN, ErrorClass::ServerError),
        (503, AGAIN, ErrorClass::ServerError),
        (599, AGAIN, ErrorClass::ServerError),
    ] {
        let result = post(Reply::status(status, "words")).await;
        assert_eq!(told(result), (then, class), "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_heard_in_every_form_and_never_believed_blindly() {
    let asked = |header: &str| {
        let reply = Reply::with_header(503, &format!("retry-after: {header}"), "");
        async { told(post(reply).await).0 }
    };
    let after = |seconds| Then::Retry { after: Some(Duration::from_secs(seconds)) };
    assert_eq!(asked("120").await, after(120));
    assert_eq!(
        asked("Sun, 22 Nov 2026 10:01:00 GMT").await,
        Then::Retry { after: Some(Duration::from_millis(59_750)) }
    );
    assert_eq!(asked("1e300").await, after(86_400));
    assert_eq!(asked("inf").await, AGAIN);
    assert_eq!(asked("-5").await, AGAIN);
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let other = Fake::start(vec![Reply::status(200, "")]).await;
    let location = format!("location: {}/stolen", other.url);
    let result = post(Reply::with_header(308, &location, "")).await;
    assert_eq!(told(result), (Then::Permanent, ErrorClass::Redirect));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn silence_and_broken_connections_are_tried_again() {
    let timeout = (AGAIN, ErrorClass::Timeout);
    let network = (AGAIN, ErrorClass::Network);
    assert_eq!(told(post(Reply::silent(After::Hang)).await), timeout);
    assert_eq!(told(post(Reply::silent(After::Close)).await), network);
    assert_eq!(told(post(Reply::silent(After::Reset)).await), network);
    assert_eq!(
        told(post(Reply::broken(500, After::Reset)).await),
        (AGAIN, ErrorClass::ServerError)
    );
}

/// A 2xx status is the receiver's word; a body that does not end costs one deadline, no more.
#[tokio::test]
async fn an_answer_is_bounded_in_time_and_size() {
    for after in [After::Hang, After::Drip, After::Endless, After::Reset] {
        let begun = tokio::time::Instant::now();
        let receipt = post(Reply::broken(200, after)).await.unwrap();
        assert_eq!(receipt.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "{after:?}");
        assert!(receipt.detail.len() <= 2_048);
        assert_eq!(receipt.detail.starts_with("yyy"), after == After::Endless, "{after:?}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_network_error() {
    let config = json!({"webhook": {"url": "http://127.0.0.1:1/", "allow_private": true}});
    let result = receiver(config).send(&envelope("{}")).await;
    assert_eq!(told(result), (AGAIN, ErrorClass::Network));
}

#[tokio::test]
async fn the_guard_stands_in_the_resolver_and_before_it() {
    let by_name = json!({"webhook": {"url": "http://localhost:1/"}});
    let result = receiver(by_name).send(&envelope("{}")).await;
    assert_eq!(told(result), (AGAIN, ErrorClass::Blocked));
    let literal = json!({"webhook": {"url": "http://127.0.0.1:1/secret"}});
    let literal: ReceiverConfig = serde_json::from_value(literal).unwrap();
    let refused = literal.build("tickets").unwrap_err().to_string();
    assert!(refused.starts_with("tickets: 127.0.0.1 is a private"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn the_body_is_signed_as_the_standard_says() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let config = json!({"webhook": {
        "url": format!("{}/hook", fake.url),
        "allow_private": true,
        "secret": secret(folder.path(), "new", KEY),
        "previous_secret": secret(folder.path(), "old", KEY),
    }});
    receiver(config).send(&envelope("{\"a\":\"é\"}")).await.unwrap();
    let seen = &fake.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/hook"));
    assert_eq!(seen.body, "{\"a\":\"é\"}");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["webhook-id"], "msg_1");
    assert_eq!(seen.headers["webhook-timestamp"], "1795341600");
    let signatures: Vec<_> = seen.headers["webhook-signature"].split(' ').collect();
    // Made with Python's hmac module over "msg_1.1795341600.{\"a\":\"é\"}".
    assert_eq!(
        signatures,
        [
            "v1,1QQpBHia2bt9AowDbv74kqt48OAb+VF1sY3CacugdHU=",
            "v1,1QQpBHia2bt9AowDbv74kqt48OAb+VF1sY3CacugdHU="
        ]
    );
}

#[tokio::test]
async fn both_kinds_of_keys_sign_and_the_previous_ones_only_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let pair = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let entries = async |until: Option<&str>| {
        let fake = Fake::start(vec![Reply::status(200, "")]).await;
        let mut config = json!({"webhook": {
            "url": fake.url,
            "allow_private": true,
            "secret": secret(folder.path(), "a", KEY),
            "private_key": secret(folder.path(), "b", pair),
            "previous_secret": secret(folder.path(), "c", KEY),
            "previous_private_key": secret(folder.path(), "d", pair),
        }});
        if let Some(until) = until {
            config["webhook"]["previous_until"] = until.into();
        }
        receiver(config).send(&envelope("{}")).await.unwrap();
        let value = fake.seen()[0].headers["webhook-signature"].clone();
        value.split(' ').map(|it| it.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(entries(None).await, ["v1", "v1a", "v1", "v1a"]);
    // The envelope is sent at 10:00:00.25.
    assert_eq!(entries(Some("2026-11-22T10:00:01Z")).await, ["v1", "v1a", "v1", "v1a"]);
    assert_eq!(entries(Some("2026-11-22T10:00:00.25Z")).await, ["v1", "v1a"]);
}

#[tokio::test]
async fn cloudevents_go_along_only_when_asked_for() {
    let body =
        r#"{"type":"source.down","timestamp":"2026-08-11T00:00:00Z","data":{"subject":"a b"}}"#;
    let headers = async |is_on: bool| {
        let fake = Fake::start(vec![Reply::status(200, "")]).await;
        let config =
            json!({"webhook": {"url": fake.url, "allow_private": true, "cloudevents": is_on}});
        receiver(config).send(&envelope(body)).await.unwrap();
        let mut found: Vec<_> = fake.seen()[0]
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("ce-"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        found.sort();
        found
    };
    assert!(headers(false).await.is_empty());
    assert_eq!(
        headers(true).await,
        [
            "ce-id=msg_1",
            "ce-source=/verdictd",
            "ce-specversion=1.0",
            "ce-subject=a%20b",
            "ce-time=2026-08-11T00:00:00Z",
            "ce-type=source.down"
        ]
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_keeps_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SecretRef::File(folder.path().join("none"));
    let short = secret(folder.path(), "short", "whsec_c2hvcnQ=");
    for key in [missing, short] {
        let url = "http://127.0.0.1:1/";
        let config = json!({"webhook": {"url": url, "allow_private": true, "secret": key}});
        let error = receiver(config).send(&envelope("{}")).await.unwrap_err();
        assert_eq!((error.then, error.class), (AGAIN, ErrorClass::Config));
        assert!(error.detail.contains("secret"), "{error}");
        assert!(!error.detail.contains("c2hvcnQ"), "{error}");
    }
}

#[tokio::test]
async fn slack_must_say_ok_in_words() {
    assert_eq!(slack(Reply::status(200, "ok")).await.unwrap().status, 200);
    let gone = (Then::Disable, ErrorClass::Gone);
    let refused = (Then::Permanent, ErrorClass::ClientError);
    let auth = (Then::Permanent, ErrorClass::AuthError);
    let shrink = (Then::Shrink, ErrorClass::TooLarge);
    for (status, word, expected) in [
        (200, "no_channel", (Then::Permanent, ErrorClass::NotAccepted)),
        (200, "", (AGAIN, ErrorClass::NotAccepted)),
        (200, "<html>Please log in</html>", (AGAIN, ErrorClass::NotAccepted)),
        (400, "invalid_payload", refused),
        (400, "user_not_found", refused),
        (400, "msg_blocks_too_long", shrink),
        (413, "", shrink),
        (403, "action_prohibited", auth),
        (403, "invalid_token", auth),
        (404, "channel_not_found", refused),
        (404, "no_service", refused),
        (410, "channel_is_archived", gone),
        (500, "rollup_error", (AGAIN, ErrorClass::ServerError)),
        (302, "ok", (Then::Permanent, ErrorClass::Redirect)),
    ] {
        assert_eq!(told(slack(Reply::status(status, word)).await), expected, "{status} {word}");
    }
}

#[tokio::test]
async fn slack_says_when_to_come_back_in_header_or_body() {
    let limited = |seconds| {
        (Then::Retry { after: Some(Duration::from_secs(seconds)) }, ErrorClass::RateLimited)
    };
    let body = Reply::status(429, r#"{"ok":false,"retry_after":30}"#);
    assert_eq!(told(slack(body).await), limited(30));
    let header = Reply::with_header(429, "retry-after: 7", r#"{"retry_after":30}"#);
    assert_eq!(told(slack(header).await), limited(7));
    let wild = Reply::status(429, r#"{"retry_after":1e300}"#);
    assert_eq!(told(slack(wild).await), limited(86_400));
}

/// Slack's word is in the body: without it nothing was said.
#[tokio::test]
async fn a_slack_answer_that_breaks_off_is_tried_again() {
    assert_eq!(told(slack(Reply::broken(200, After::Reset)).await), (AGAIN, ErrorClass::Network));
    assert_eq!(told(slack(Reply::broken(200, After::Drip)).await), (AGAIN, ErrorClass::Timeout));
}

#[test]
fn a_receiver_has_exactly_one_kind_and_known_keys() {
    for bad in [
        json!({"webhook": {"url": "https://x.example", "secrets": {"env": "X"}}}),
        json!({"webhook": {"url": "https://x.example"}, "slack": {"url": {"env": "X"}}}),
        json!({"slack": {"url": "https://hooks.slack.com/services/T/B/literal"}}),
        json!({"mail": {}}),
    ] {
        let text = bad.to_string();
        assert!(serde_json::from_value::<ReceiverConfig>(bad).is_err(), "{text}");
    }
}

#[test]
fn receivers_share_a_bucket_only_where_they_share_the_place() {
    let place = |config: serde_json::Value| {
        let config: ReceiverConfig = serde_json::from_value(config).unwrap();
        config.limits("x").unwrap()
    };
    let mail =
        |host: &str| json!({"email": {"host": host, "from": "a@x.example", "to": ["b@x.example"]}});
    assert_ne!(place(mail("one.example")).0, place(mail("two.example")).0);
    assert_eq!(place(mail("one.example")).0, place(mail("one.example")).0);
    let preset = |name: &str, secret: &str| {
        let vars = json!({"chat_id": "1"});
        json!({"template": {"preset": name, "url": {"env": secret}, "vars": vars}})
    };
    assert_ne!(place(preset("telegram", "A")).0, place(preset("telegram", "B")).0);
    assert_eq!(place(preset("telegram", "A")).1.len(), 2);
}

/// What is documented is kept to from the first message on; three kinds have no limit of their own
/// (a server of yours, or one that says so).
#[test]
fn every_kind_has_a_rate_of_its_own_or_is_known_to_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let without = super::answers::kinds().into_iter().filter(|kind| {
        let config = super::answers::config(kind, "https://x.example", folder.path());
        config.limits("x").unwrap().1.is_empty()
    });
    assert_eq!(without.collect::<Vec<_>>(), ["webhook", "grafana", "email"]);
}

#[tokio::test]
async fn every_sample_is_sent_marked_and_answered() {
    let fake = Fake::start(vec![Reply::status(500, "down"), Reply::status(200, "fine")]).await;
    let config = json!({"webhook": {"url": fake.url, "allow_private": true}});
    let config: ReceiverConfig = serde_json::from_value(config).unwrap();
    let answers = send_samples("test", &config, "https://v.example", super::at()).await.unwrap();
    let kinds = crate::deliver::policy::KINDS.len();
    assert_eq!(answers.len(), kinds + 1, "every kind and the digest");
    assert!(!answers[0].is_ok && answers[0].detail.contains("HTTP 500: down"), "{answers:?}");
    assert!(answers[1..].iter().all(|it| it.is_ok && it.detail == "200 fine"));
    assert!(fake.seen().iter().all(|it| it.body.contains("\"sample\":true")));
}
