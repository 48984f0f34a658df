//! Receivers with a memory: one root, one issue, whatever ends an attempt half-way.

use judge::notice::NoticeKind;
use serde_json::{Value, json};

use super::bodies::{message, of_kind};
use super::fake::{Fake, Reply, Seen};
use super::{envelope, secret};
use crate::deliver::{
    Conversation, Envelope, ErrorClass, Receipt, ReceiverConfig, SendError, Then,
};

fn ok(body: &Value) -> Reply {
    Reply::status(200, &body.to_string())
}

fn parsed(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

fn config(kind: &str, fake: &Fake, folder: &std::path::Path) -> ReceiverConfig {
    let token = secret(folder, "token", "t0ken");
    let own = match kind {
        "github" => json!({"repository": "acme/shop", "labels": ["growth"]}),
        "grafana" => json!({"dashboard_uid": "shop", "panel_id": 4, "tags": ["growth"]}),
        "jira" => json!({"email": "ops@acme.example", "project": "EXP", "labels": ["growth"]}),
        _ => json!({"channel": "C01"}),
    };
    let mut own = own;
    own["token"] = serde_json::to_value(&token).unwrap();
    own["url"] = fake.url.clone().into();
    own["allow_private"] = true.into();
    serde_json::from_value(json!({kind: own})).unwrap()
}

/// Sends one message of a kind of notice; what was known comes in, what is known comes out.
async fn send(
    config: &ReceiverConfig,
    id: &str,
    kind: NoticeKind,
    known: Option<Value>,
    is_uncertain: bool,
) -> (Result<Receipt, SendError>, Option<Value>) {
    let body = config.render(&message(&of_kind(kind)));
    let envelope = Envelope {
        id: id.to_owned(),
        conversation: Conversation::new(known, is_uncertain),
        ..envelope(&body)
    };
    let result = config.build("test").unwrap().send(&envelope).await;
    if let Err(error) = &result {
        assert!(!error.detail.contains("t0ken"), "{error}");
    }
    (result, envelope.conversation.known())
}

const POSTED: fn(&str) -> Value = |ts| json!({"ok": true, "ts": ts, "channel": "C01"});

#[tokio::test]
async fn slack_has_one_root_and_its_transitions_in_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let replies = vec![ok(&POSTED("1.1")), ok(&POSTED("1.2")), ok(&POSTED("1.1"))];
    let fake = Fake::start(replies).await;
    let config = config("slack_api", &fake, folder.path());
    let (first, known) = send(&config, "msg_1", NoticeKind::VerdictContinue, None, false).await;
    assert!(first.is_ok(), "{first:?}");
    let (second, _) = send(&config, "msg_2", NoticeKind::VerdictStop, known, false).await;
    assert!(second.is_ok(), "{second:?}");
    let seen = fake.seen();
    let paths: Vec<_> = seen.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/chat.postMessage", "/chat.postMessage", "/chat.update"]);
    assert_eq!(seen[0].headers["authorization"], "Bearer t0ken");
    assert!(parsed(&seen[0]).get("thread_ts").is_none());
    let reply = parsed(&seen[1]);
    assert_eq!((&reply["thread_ts"], &reply["reply_broadcast"]), (&json!("1.1"), &json!(true)));
    assert_eq!(parsed(&seen[2])["ts"], "1.1", "the root shows the current state");
}

#[tokio::test]
async fn slack_has_buttons_that_work_where_what_is_pressed_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![ok(&POSTED("1.1"))]).await;
    let mut content = message(&of_kind(NoticeKind::VerdictHold));
    content["data"]["links"]["ack"] = "https://verdictd.example.com/n/ack.1.2.mac".into();
    for has_secret in [false, true] {
        let mut table = serde_json::to_value(config("slack_api", &fake, folder.path())).unwrap();
        if has_secret {
            table["slack_api"]["signing_secret"] = json!({"env": "X"});
        }
        let config: ReceiverConfig = serde_json::from_value(table).unwrap();
        for body in [config.render(&content), config.shrink(&content)] {
            let is_button = body.contains(r#""value":"ack.1.2.mac""#);
            let is_link = body.contains("/n/ack.1.2.mac");
            let has_ack = body.contains("Acknowledge");
            assert_eq!((is_button, is_link), (has_secret && has_ack, !has_secret && has_ack));
        }
        assert!(config.render(&content).contains("Acknowledge"));
    }
}

#[tokio::test]
async fn a_reply_that_was_made_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake =
        Fake::start(vec![ok(&POSTED("1.2")), Reply::status(503, ""), ok(&POSTED("1.1"))]).await;
    let config = config("slack_api", &fake, folder.path());
    let root = json!({"ts": "1.1", "channel": "C01", "replied": null});
    let (half, known) = send(&config, "msg_2", NoticeKind::VerdictStop, Some(root), false).await;
    assert_eq!(half.unwrap_err().class, ErrorClass::ServerError);
    let (whole, _) = send(&config, "msg_2", NoticeKind::VerdictStop, known, true).await;
    assert!(whole.is_ok(), "{whole:?}");
    let paths: Vec<_> = fake.seen().into_iter().map(|one| one.path).collect();
    assert_eq!(paths, ["/chat.postMessage", "/chat.update", "/chat.update"]);
}

/// The reply is in the thread: a root that is gone, or too old to be edited, is no failure.
#[tokio::test]
async fn a_root_that_cannot_be_edited_any_more_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = json!({"ts": "1.1", "channel": "C01", "replied": null});
    for (word, is_taken) in [
        ("message_not_found", true),
        ("cant_update_message", true),
        ("edit_window_closed", true),
        ("is_inactive", false),
        ("ratelimited", false),
    ] {
        let refused = ok(&json!({"ok": false, "error": word}));
        let fake = Fake::start(vec![ok(&POSTED("1.2")), refused]).await;
        let config = config("slack_api", &fake, folder.path());
        let root = Some(root.clone());
        let (result, known) = send(&config, "msg_2", NoticeKind::VerdictStop, root, false).await;
        assert_eq!(result.is_ok(), is_taken, "{word}: {result:?}");
        assert_eq!(known.unwrap()["replied"], "msg_2", "{word}: the reply is not made again");
    }
}

#[tokio::test]
async fn a_success_without_ok_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let again = Then::Retry { after: None };
    for (body, then, class) in [
        (
            json!({"ok": false, "error": "channel_not_found"}),
            Then::Permanent,
            ErrorClass::NotAccepted,
        ),
        (json!({"ok": false, "error": "invalid_auth"}), Then::Permanent, ErrorClass::AuthError),
        (json!({"ok": false, "error": "msg_blocks_too_long"}), Then::Shrink, ErrorClass::TooLarge),
        (json!({"ok": false, "error": "ratelimited"}), again, ErrorClass::RateLimited),
        (json!({"ok": false, "error": "fatal_error"}), again, ErrorClass::ServerError),
        (json!("ok"), again, ErrorClass::ServerError),
    ] {
        let fake = Fake::start(vec![ok(&body)]).await;
        let config = config("slack_api", &fake, folder.path());
        let (result, known) = send(&config, "msg_1", NoticeKind::VerdictStop, None, false).await;
        let error = result.unwrap_err();
        assert_eq!((error.then, error.class), (then, class), "{body}");
        assert_eq!(known, None, "nothing was begun");
    }
}

#[tokio::test]
async fn github_opens_one_issue_comments_and_closes_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = Reply::status(201, r#"{"number": 7}"#);
    let fake = Fake::by_method(vec![
        ("POST", vec![made, Reply::status(201, "{}")]),
        ("PATCH", vec![Reply::status(200, "{}")]),
    ])
    .await;
    let config = config("github", &fake, folder.path());
    let (first, known) = send(&config, "msg_1", NoticeKind::GuardrailTripped, None, false).await;
    assert_eq!(first.unwrap().detail, "issue #7");
    assert_eq!(known, Some(json!({"number": 7})));
    let (second, _) = send(&config, "msg_2", NoticeKind::VerdictStop, known, false).await;
    assert!(second.is_ok(), "{second:?}");
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    assert_eq!(calls[0], "POST /repos/acme/shop/issues");
    assert_eq!(calls[1], "POST /repos/acme/shop/issues/7/comments");
    let issue = parsed(&seen[0]);
    assert_eq!(issue["labels"], json!(["verdictd", "growth"]));
    assert!(issue["body"].as_str().unwrap().contains("<!-- verdictd:issue:"));
    assert_eq!(calls[2], "PATCH /repos/acme/shop/issues/7", "a final verdict closes it");
    assert_eq!(parsed(&seen[2])["state"], "closed");
}

#[tokio::test]
async fn after_an_unknown_outcome_the_issue_is_looked_for_first() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![Reply::status(201, r#"{"number": 7}"#)]).await;
    let opener = config("github", &fake, folder.path());
    let (opened, _) = send(&opener, "msg_1", NoticeKind::GuardrailTripped, None, false).await;
    assert!(opened.is_ok(), "{opened:?}");
    let body = parsed(&fake.seen()[0])["body"].clone();
    // The first attempt was made and its answer lost: the issue is there.
    let issue = json!({"number": 7, "body": body});
    let fake = Fake::by_method(vec![("GET", vec![ok(&json!([issue])), ok(&issue)])]).await;
    let again = config("github", &fake, folder.path());
    let (result, known) = send(&again, "msg_1", NoticeKind::GuardrailTripped, None, true).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(known, Some(json!({"number": 7})));
    assert!(fake.seen().iter().all(|one| one.method == "GET"), "nothing was written twice");
}

#[tokio::test]
async fn a_403_may_be_a_rate_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = Reply::with_header(403, "x-ratelimit-remaining: 0", "{}");
    let asked = Reply::with_header(403, "retry-after: 30", "{}");
    for (reply, class, is_again) in [
        (limited, ErrorClass::RateLimited, true),
        (asked, ErrorClass::RateLimited, true),
        (Reply::status(403, "{}"), ErrorClass::AuthError, false),
        (Reply::status(422, "{}"), ErrorClass::ClientError, false),
    ] {
        let fake = Fake::start(vec![reply]).await;
        let config = config("github", &fake, folder.path());
        let (result, _) = send(&config, "msg_1", NoticeKind::VerdictStop, None, false).await;
        let error = result.unwrap_err();
        assert_eq!((error.class, matches!(error.then, Then::Retry { .. })), (class, is_again));
    }
}

#[tokio::test]
async fn jira_opens_one_issue_comments_and_moves_it_to_done() {
    let folder = tempfile::tempdir().unwrap();
    let transitions = json!({"transitions": [
        {"id": "11", "name": "Los geht's", "to": {"statusCategory": {"key": "indeterminate"}}},
        {"id": "31", "name": "Erledigt", "to": {"statusCategory": {"key": "done"}}},
    ]});
    let fake = Fake::by_method(vec![
        (
            "POST",
            vec![
                Reply::status(201, r#"{"id":"1","key":"EXP-7"}"#),
                Reply::status(201, "{}"),
                Reply::status(204, ""),
            ],
        ),
        ("GET", vec![ok(&transitions)]),
    ])
    .await;
    let config = config("jira", &fake, folder.path());
    let (first, known) = send(&config, "msg_1", NoticeKind::GuardrailTripped, None, false).await;
    assert_eq!(first.unwrap().detail, "issue EXP-7");
    let (second, _) = send(&config, "msg_2", NoticeKind::VerdictStop, known, false).await;
    assert!(second.is_ok(), "{second:?}");
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    assert_eq!(
        calls,
        [
            "POST /rest/api/3/issue",
            "POST /rest/api/3/issue/EXP-7/comment",
            "GET /rest/api/3/issue/EXP-7/transitions",
            "POST /rest/api/3/issue/EXP-7/transitions",
        ]
    );
    // ops@acme.example:t0ken
    assert_eq!(seen[0].headers["authorization"], "Basic b3BzQGFjbWUuZXhhbXBsZTp0MGtlbg==");
    let fields = &parsed(&seen[0])["fields"];
    assert_eq!(
        (&fields["project"]["key"], &fields["issuetype"]["name"]),
        (&json!("EXP"), &json!("Task"))
    );
    assert_eq!(fields["description"]["type"], "doc");
    assert_eq!(parsed(&seen[3]), json!({"transition": {"id": "31"}}));
}

#[tokio::test]
async fn a_lost_answer_of_jira_never_makes_a_second_issue() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![Reply::silent(super::fake::After::Reset)]).await;
    let opener = config("jira", &fake, folder.path());
    let (lost, known) = send(&opener, "msg_1", NoticeKind::GuardrailTripped, None, false).await;
    let wait = std::time::Duration::from_mins(1);
    assert_eq!(lost.unwrap_err().then, Then::Retry { after: Some(wait) }, "the index lags");
    assert_eq!(known, None);
    let found = json!({"issues": [{"key": "EXP-7"}]});
    let issue = json!({"fields": {"description": {"text": "... msg_1"}}});
    let fake = Fake::by_method(vec![("POST", vec![ok(&found)]), ("GET", vec![ok(&issue)])]).await;
    let again = config("jira", &fake, folder.path());
    let (result, known) = send(&again, "msg_1", NoticeKind::GuardrailTripped, None, true).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(known, Some(json!({"key": "EXP-7"})));
    let paths: Vec<_> = fake.seen().into_iter().map(|one| one.path).collect();
    assert_eq!(paths[0], "/rest/api/3/search/jql");
    assert!(!paths.iter().any(|path| path.ends_with("/issue") || path.ends_with("/comment")));
}

#[tokio::test]
async fn grafana_has_one_region_per_cycle_and_its_end_moves_until_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::by_method(vec![
        ("POST", vec![ok(&json!({"message": "Annotation added", "id": 9}))]),
        ("PATCH", vec![ok(&json!({"message": "Annotation patched"}))]),
    ])
    .await;
    let config = config("grafana", &fake, folder.path());
    let mut known = None;
    for (id, kind) in [
        ("msg_1", NoticeKind::VerdictHold),
        ("msg_2", NoticeKind::VerdictStop),
        ("msg_3", NoticeKind::ActionConfirmed),
    ] {
        let (sent, now) = send(&config, id, kind, known, false).await;
        assert_eq!(sent.unwrap().detail, "annotation 9");
        known = now;
    }
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    let patch = "PATCH /api/annotations/9";
    assert_eq!(calls, ["POST /api/annotations", patch, patch]);
    let made = parsed(&seen[0]);
    // The sample's cycle began 41 days before 2026-08-11T00:00:00Z.
    assert_eq!((&made["time"], &made["timeEnd"]), (&1_782_864_000_000_u64.into(), &END.into()));
    assert_eq!((&made["dashboardUID"], &made["panelId"]), (&json!("shop"), &json!(4)));
    assert_eq!(made["tags"], json!(["verdictd", "sample-checklist", "hold", "growth"]));
    let over = parsed(&seen[1]);
    assert_eq!((&over["timeEnd"], &over["tags"][2]), (&END.into(), &json!("stop")));
    let after = parsed(&seen[2]);
    assert!(after.get("timeEnd").is_none(), "the region has ended: {after}");
    let text = after["text"].as_str().unwrap();
    assert!(text.contains("<b>STOP") && text.contains("<br><b>ROLLED BACK"), "{text}");
}

/// 2026-08-11T00:00:00Z
const END: u64 = 1_786_406_400_000;

#[tokio::test]
async fn grafana_looks_before_it_makes_a_second_annotation() {
    let folder = tempfile::tempdir().unwrap();
    let there = json!([{"id": 1, "time": 5}, {"id": 9, "time": 1_782_864_000_000_u64}]);
    let fake = Fake::by_method(vec![("GET", vec![ok(&there)]), ("PATCH", vec![ok(&json!({}))])]);
    let fake = fake.await;
    let config = config("grafana", &fake, folder.path());
    let (sent, _) = send(&config, "msg_1", NoticeKind::VerdictHold, None, true).await;
    assert_eq!(sent.unwrap().detail, "annotation 9");
    let asked = &fake.seen()[0].path;
    let wanted = "/api/annotations?from=1782864000000&to=1786406400000&limit=100&tags=verdictd\
                  &tags=sample-checklist";
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn a_deleted_annotation_is_made_anew_and_a_success_without_an_id_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::by_method(vec![
        ("POST", vec![ok(&json!({"id": 10})), ok(&json!({"message": "proxy"}))]),
        ("PATCH", vec![Reply::status(404, "{}")]),
    ])
    .await;
    let config = config("grafana", &fake, folder.path());
    let known = json!({"id": 9, "is_over": false, "text": ""});
    let (sent, known) = send(&config, "m", NoticeKind::VerdictStop, Some(known), false).await;
    assert_eq!(sent.unwrap().detail, "annotation 10");
    assert_eq!(known.unwrap()["is_over"], true);
    let (sent, known) = send(&config, "m", NoticeKind::VerdictStop, None, false).await;
    assert_eq!(sent.unwrap_err().class, ErrorClass::NotAccepted);
    assert_eq!(known, None);
}

#[tokio::test]
async fn in_grafana_a_source_is_a_region_from_its_fall_to_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::by_method(vec![
        ("POST", vec![ok(&json!({"id": 3})), ok(&json!({"id": 4}))]),
        ("PATCH", vec![ok(&json!({}))]),
    ])
    .await;
    let config = config("grafana", &fake, folder.path());
    let down = NoticeKind::SourceDown;
    let (_, known) = send(&config, "m1", down, None, false).await;
    let (_, known) = send(&config, "m2", NoticeKind::SourceRecovered, known, false).await;
    let (_, known) = send(&config, "m3", down, known, false).await;
    assert_eq!(known.unwrap()["id"], 4, "another fall is another region");
    let seen = fake.seen();
    assert!(parsed(&seen[0]).get("timeEnd").is_none());
    assert_eq!(parsed(&seen[1])["timeEnd"], END);
}

#[test]
fn what_cannot_work_is_refused_at_start() {
    let token = json!({"env": "X"});
    for (wrong, words) in [
        (json!({"github": {"repository": "shop", "token": token}}), "owner/name"),
        (json!({"slack_api": {"channel": "#general", "token": token}}), "channel's id"),
        (json!({"slack_api": {"channel": "C1", "token": token, "url": "ftp://x"}}), "only http"),
        (json!({"grafana": {"url": "https://g", "token": token, "panel_id": 1}}), "dashboard_uid"),
    ] {
        let config: ReceiverConfig = serde_json::from_value(wrong).unwrap();
        let refused = config.build("chat").unwrap_err().to_string();
        assert!(refused.starts_with("chat: ") && refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn in_discord_an_all_clear_edits_what_it_is_about_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::by_method(vec![
        ("POST", vec![ok(&json!({"id": "1"})), ok(&json!({"id": "2"}))]),
        ("PATCH", vec![Reply::status(500, ""), ok(&json!({"id": "1"}))]),
    ])
    .await;
    let url = secret(folder.path(), "url", &format!("{}/api/webhooks/7/t", fake.url));
    let config = json!({"discord": {"url": url, "allow_private": true}});
    let config: ReceiverConfig = serde_json::from_value(config).unwrap();
    let (_, known) = send(&config, "m1", NoticeKind::GuardrailTripped, None, false).await;
    let clear = NoticeKind::GuardrailRecovered;
    let (half, known) = send(&config, "m2", clear, known, false).await;
    assert_eq!(half.unwrap_err().class, ErrorClass::ServerError);
    let (whole, known) = send(&config, "m2", clear, known, true).await;
    assert_eq!(whole.unwrap().detail, "edited message 1");
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    let (post, patch) = ("POST /api/webhooks/7/t?wait=true", "PATCH /api/webhooks/7/t/messages/1");
    assert_eq!(calls, [post, post, patch, patch], "the line is said once");
    assert!(parsed(&seen[1])["content"].as_str().unwrap().starts_with("RECOVERED"));
    assert!(parsed(&seen[3])["embeds"][0]["title"].as_str().unwrap().starts_with("RECOVERED"));
    assert!(seen.iter().all(|one| !one.body.contains("loud")));
    let (_, known) = send(&config, "m3", NoticeKind::GuardrailTripped, known, false).await;
    assert_eq!(known.unwrap()["id"], "2", "what is loud is a message of its own");
}

#[tokio::test]
async fn what_flaps_changes_one_comment_of_jira() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::by_method(vec![
        ("POST", vec![Reply::status(201, r#"{"id":"1","key":"EXP-7"}"#), ok(&json!({"id": "31"}))]),
        ("PUT", vec![ok(&json!({"id": "31"})), Reply::status(404, "{}")]),
    ])
    .await;
    let config = config("jira", &fake, folder.path());
    let mut known = None;
    for (id, kind) in [
        ("m1", NoticeKind::VerdictHold),
        ("m2", NoticeKind::GuardrailBurning),
        ("m3", NoticeKind::GuardrailRecovered),
        // Somebody deleted our comment: it is written anew.
        ("m4", NoticeKind::GuardrailBurning),
        // A trip is loud: a comment of its own.
        ("m5", NoticeKind::GuardrailTripped),
    ] {
        let (sent, now) = send(&config, id, kind, known, false).await;
        sent.unwrap();
        known = now;
    }
    let seen = fake.seen();
    let calls: Vec<_> = seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    let comment = "POST /rest/api/3/issue/EXP-7/comment";
    let change = "PUT /rest/api/3/issue/EXP-7/comment/31";
    assert_eq!(calls, ["POST /rest/api/3/issue", comment, change, change, comment, comment]);
}

/// An all-clear belongs to what it clears, whatever each of the two is told by.
#[test]
fn every_all_clear_closes_what_was_opened() {
    use crate::deliver::receivers::pagerduty;
    let event = |kind: NoticeKind, subject: Option<&str>| -> Value {
        let mut sample = of_kind(kind);
        if let Some(subject) = subject {
            sample.notice.subject = subject.to_owned();
        }
        serde_json::from_str(&pagerduty::body(&message(&sample))).unwrap()
    };
    for (opens, clears, subject) in [
        (NoticeKind::GuardrailTripped, NoticeKind::GuardrailRecovered, None),
        (NoticeKind::DataStale, NoticeKind::DataRecovered, None),
        (NoticeKind::SourceDown, NoticeKind::SourceRecovered, None),
        (NoticeKind::ActionFailed, NoticeKind::ActionConfirmed, None),
        (NoticeKind::EndpointDegraded, NoticeKind::EndpointRecovered, None),
        (NoticeKind::EndpointDisabled, NoticeKind::EndpointRecovered, None),
        (NoticeKind::ClockSkewed, NoticeKind::ClockAgreed, None),
        (NoticeKind::VerdictChange, NoticeKind::VerdictContinue, None),
        (NoticeKind::AlarmRaised, NoticeKind::AlarmCleared, Some("theatre:activation_14d")),
        (NoticeKind::ProxyWithoutOutcome, NoticeKind::AlarmCleared, Some("proxy_without_outcome")),
        (NoticeKind::SplitMismatch, NoticeKind::AlarmCleared, Some("srm")),
    ] {
        let (open, clear) = (event(opens, None), event(clears, subject));
        assert_eq!(open["event_action"], "trigger", "{opens:?}");
        assert_eq!(clear["event_action"], "resolve", "{clears:?}");
        assert_eq!(open["dedup_key"], clear["dedup_key"], "{opens:?} and {clears:?}");
    }
}
