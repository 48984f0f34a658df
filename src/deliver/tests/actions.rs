//! The rollback action against a flag server, and what each end of it tells.

use std::time::Duration;

use judge::notice::NoticeKind;
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};

use super::fake::{After, Fake, Reply};
use super::{at, envelope, secret};
use crate::deliver::actions::{Asked, Progress, Reached, build_action};
use crate::deliver::attempt::{ActionPlan, Sent, after_action};
use crate::deliver::enqueue::{ActionOrder, Routes, action_row};
use crate::deliver::payload::Links;
use crate::deliver::retry::Ladder;
use crate::deliver::{ActionConfig, ReceiverConfig, sample_notices};
use crate::store::{Attempt, DeliveryState, Lane, OutboxItem, Outcome};

/// A flag that reads as `enabled` says.
pub(super) fn flag(enabled: bool) -> Reply {
    Reply::status(200, &json!({"flag": {"enabled": enabled}}).to_string())
}

pub(super) fn config(url: &str, more: &Value) -> ActionConfig {
    let mut inner = json!({
        "url": format!("{url}/off?token=hidden"),
        "verify": {"url": format!("{url}/flag"), "pointer": "/flag/enabled", "equals": false,
            "interval_ms": 10},
        "armed": true,
        "allow_private": true,
    });
    let more = more.as_object().unwrap().clone();
    inner.as_object_mut().unwrap().extend(more);
    serde_json::from_value(json!({"webhook": inner})).unwrap()
}

async fn run(fake: &Fake, more: Value, accepted: bool) -> Progress {
    let action = build_action("turn-off", &config(&fake.url, &more), None).unwrap();
    let asked = if accepted { Asked::Taken } else { Asked::No };
    let progress = action.attempt(&envelope("{\"off\":1}"), asked).await;
    assert!(!progress.detail.contains("hidden"), "{}", progress.detail);
    progress
}

#[tokio::test]
async fn only_the_flag_itself_confirms() {
    let fake = Fake::by_method(vec![
        ("POST", vec![Reply::status(202, "queued for approval")]),
        ("GET", vec![flag(true), flag(false)]),
    ])
    .await;
    let first = run(&fake, json!({}), false).await;
    assert_eq!((first.reached, first.class), (Reached::Accepted, "unconfirmed"));
    assert_eq!(first.detail, "/flag/enabled reads true, wanted false");
    let second = run(&fake, json!({}), true).await;
    assert_eq!((second.reached, second.class), (Reached::Confirmed, "ok"));
    let methods: Vec<_> = fake.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET"], "what was accepted is not asked for again");
}

#[tokio::test]
async fn a_request_that_fails_is_not_accepted() {
    for (reply, class, reached) in [
        (Reply::status(500, ""), "server_error", Reached::Requested),
        (Reply::status(403, ""), "auth_error", Reached::Refused),
        (Reply::silent(After::Hang), "timeout", Reached::Requested),
    ] {
        let fake = Fake::by_method(vec![("POST", vec![reply]), ("GET", vec![flag(false)])]).await;
        let progress = run(&fake, json!({}), false).await;
        assert_eq!((progress.reached, progress.class), (reached, class));
        assert_eq!(fake.seen().len(), 1, "a flag that was not asked for is not read");
    }
}

#[tokio::test]
async fn a_flag_that_cannot_be_read_is_not_off() {
    for (reply, words) in [
        (Reply::status(200, "off"), "does not read as JSON"),
        (Reply::status(200, "{}"), "has no /flag/enabled"),
        (Reply::status(200, r#"{"flag":{"enabled":"false"}}"#), "reads \"false\", wanted false"),
        (Reply::status(404, "false"), "HTTP 404"),
        (Reply::broken(200, After::Drip), "did not end"),
    ] {
        let posts = vec![Reply::status(200, "")];
        let fake = Fake::by_method(vec![("POST", posts), ("GET", vec![reply])]).await;
        let progress = run(&fake, json!({}), false).await;
        assert_eq!(progress.reached, Reached::Accepted, "{words}");
        assert!(progress.detail.contains(words), "{}", progress.detail);
    }
}

#[tokio::test]
async fn unarmed_and_dry_runs_send_nothing() {
    let fake = Fake::by_method(vec![("GET", vec![flag(false)])]).await;
    let unarmed = run(&fake, json!({"armed": false}), false).await;
    assert_eq!(unarmed.reached, Reached::NotSent);
    let dry = run(&fake, json!({"dry_run": true, "method": "DELETE"}), false).await;
    assert_eq!(dry.reached, Reached::NotSent);
    let host = &fake.url;
    assert_eq!(dry.detail, format!("dry run: would send DELETE to {host}/…; nothing was sent"));
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn the_request_is_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let fake =
        Fake::by_method(vec![("PATCH", vec![Reply::status(204, "")]), ("GET", vec![flag(false)])])
            .await;
    let more = json!({
        "method": "PATCH",
        "headers": {"Content-Type": "application/merge-patch+json"},
        "secret_headers": {"Authorization": secret(folder.path(), "token", "Bearer t0ken")},
    });
    assert_eq!(run(&fake, more, false).await.reached, Reached::Confirmed);
    let seen = fake.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("PATCH", "/off?token=hidden"));
    assert_eq!(seen[0].headers["content-type"], "application/merge-patch+json");
    assert_eq!(seen[0].body, "{\"off\":1}");
    assert!(seen.iter().all(|it| it.headers["authorization"] == "Bearer t0ken"));
}

#[test]
fn a_wrong_action_is_refused_by_name() {
    for (more, words) in [
        (json!({"url": "ftp://x"}), "only http and https"),
        (json!({"allow_private": false}), "private or special"),
        (json!({"headers": {"a b": "c"}}), "bad header name"),
        (json!({"headers": {"a": "c\nd"}}), "bad value of header"),
    ] {
        let config = config("http://127.0.0.1:1", &more);
        let refused = build_action("turn-off", &config, None).unwrap_err();
        assert!(refused.to_string().starts_with("turn-off: "), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

pub(super) fn routes() -> Routes {
    let webhook = json!({"webhook": {"url": "http://127.0.0.1:1/", "allow_private": true}});
    let receiver: ReceiverConfig = serde_json::from_value(webhook).unwrap();
    Routes {
        receivers: [("sample".to_owned(), receiver)].into(),
        expire_after: Duration::from_hours(1),
        ..Routes::default()
    }
}

/// A leased action row of the sample trip, made at [`at`].
fn item(state: DeliveryState, attempt: u32) -> OutboxItem {
    let samples = sample_notices(at());
    let trip = samples.iter().find(|it| it.notice.kind == NoticeKind::GuardrailTripped).unwrap();
    let config = config("http://127.0.0.1:1", &json!({}));
    let record = trip.record.as_ref().unwrap();
    let action = "turn-off-checklist";
    let order = ActionOrder { action, config: &config, trip: &trip.notice, record };
    let row = action_row(order, &Links::default(), at(), 7);
    assert_eq!(
        (row.lane, row.urgent, row.partition.as_str()),
        (Lane::Action, true, "sample-checklist")
    );
    OutboxItem {
        row,
        attempt,
        state,
        collapsed: 0,
        manual: false,
        is_asked_for: false,
        rung: attempt - 1,
        first_attempt_at: at(),
    }
}

fn after(seconds: f64) -> Timestamp {
    add_ms(at(), (seconds * 1_000.0) as i64)
}

fn ended(state: DeliveryState, attempt: u32, reached: Reached, seconds: f64) -> Attempt {
    ended_asking(state, attempt, reached, seconds, None)
}

fn ended_asking(
    state: DeliveryState,
    attempt: u32,
    reached: Reached,
    seconds: f64,
    retry_after: Option<u64>,
) -> Attempt {
    let item = item(state, attempt);
    let sent = Sent {
        holder: "h",
        item: &item,
        started_at: at(),
        finished_at: after(seconds),
        paused_until: None,
    };
    let ladder = Ladder::repeating(vec![0, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000]);
    let plan = ActionPlan {
        ladder: &ladder,
        escalate_after: Duration::from_mins(1),
        interval_ms: 500,
        jitter: 0.5,
        domain_now: at(),
    };
    let progress = Progress {
        reached,
        status: Some(200),
        class: "ok",
        detail: "the flag reads X".to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
    };
    after_action(sent, progress, &plan, &routes())
}

#[test]
fn a_confirmed_rollback_is_told_with_its_seconds() {
    let attempt = ended(DeliveryState::Accepted, 3, Reached::Confirmed, 3.1);
    assert_eq!(attempt.outcome, Outcome::Confirmed);
    let [row] = attempt.extra_outbox.as_slice() else { panic!("{:?}", attempt.extra_outbox) };
    assert_eq!((row.kind.as_str(), row.endpoint.as_str()), ("action.confirmed", "sample"));
    assert!(row.urgent && row.final_state && row.sequence == 7);
    let body: Value = serde_json::from_str(&row.body).unwrap();
    let data = &body["data"];
    let reason = data["reason"].as_str().unwrap();
    assert!(reason.contains("Rollback confirmed in 3.1 s: the flag reads X"), "{reason}");
    assert_eq!(
        data["action"],
        json!({"kind": "rollback", "name": "turn-off-checklist",
        "state": "confirmed", "confirmed_at": "2026-08-11T00:00:03.1Z",
        "target": "the flag behind http://127.0.0.1:1/…",
        "blast": {"days": 41.0, "events": 600_000.0, "share": null, "units": 6_000.0}})
    );
    assert_eq!(data["experiment"]["id"], "sample-checklist", "the trip's facts come along");
    assert_eq!(data["guardrails"][0]["state"], "tripped");
    assert_eq!(attempt.log[0].kind, "action.confirmed");
    assert_eq!(attempt.log[0].text.lines().count(), 3);
}

#[test]
fn an_unconfirmed_rollback_is_told_once_and_followed_for_ever() {
    let early = ended(DeliveryState::Pending, 1, Reached::Accepted, 0.2);
    assert_eq!(early.outcome, Outcome::Accepted { next_at: after(0.7) });
    assert!(early.extra_outbox.is_empty() && early.log.is_empty());
    let refused = ended(DeliveryState::Pending, 1, Reached::Requested, 0.2);
    assert_eq!(refused.outcome, Outcome::Requested { next_at: after(1.2) });
    let before = ended(DeliveryState::Requested, 6, Reached::Requested, 38.0);
    assert_eq!(before.outcome, Outcome::Requested { next_at: after(60.0) }, "not later than this");
    let due = ended(DeliveryState::Accepted, 7, Reached::Accepted, 60.0);
    assert_eq!(due.outcome, Outcome::Unconfirmed { next_at: after(90.0) });
    assert_eq!(due.extra_outbox[0].kind, "action.failed");
    assert!(due.extra_outbox[0].body.contains("Rollback unconfirmed after 60 s"));
    let later = ended(DeliveryState::Unconfirmed, 8, Reached::Requested, 90.0);
    assert_eq!(later.outcome, Outcome::Unconfirmed { next_at: after(120.0) });
    assert!(later.extra_outbox.is_empty() && later.log.is_empty(), "told once");
    let confirmed = ended(DeliveryState::Unconfirmed, 9, Reached::Confirmed, 120.0);
    assert_eq!(confirmed.extra_outbox[0].kind, "action.confirmed");
}

#[test]
fn a_service_gets_the_pause_it_asks_for_and_no_longer_than_a_person_may_wait() {
    use DeliveryState::{Accepted, Pending, Unconfirmed};
    let asked = |state, attempt, reached, seconds, pause| {
        ended_asking(state, attempt, reached, seconds, Some(pause)).outcome
    };
    let requested = asked(Pending, 1, Reached::Requested, 0.0, 5);
    // The pause is spread upward only: 5 s and a tenth of it.
    assert_eq!(requested, Outcome::Requested { next_at: after(5.5) });
    let day = asked(Pending, 1, Reached::Requested, 10.0, 86_400);
    assert_eq!(day, Outcome::Requested { next_at: after(60.0) }, "a person is told in time");
    let reading = asked(Accepted, 2, Reached::Accepted, 3.0, 4);
    assert_eq!(reading, Outcome::Accepted { next_at: after(7.0) }, "readings wait as well");
    let late = asked(Unconfirmed, 9, Reached::Requested, 100.0, 86_400);
    assert_eq!(late, Outcome::Unconfirmed { next_at: after(166.0) }, "60 s and a tenth, not a day");
}

#[test]
fn an_action_that_is_not_armed_is_told_at_once() {
    let attempt = ended(DeliveryState::Pending, 1, Reached::NotSent, 0.0);
    assert_eq!(attempt.outcome, Outcome::Dead);
    assert_eq!(attempt.extra_outbox[0].kind, "action.failed");
}

#[test]
fn what_waiting_cannot_mend_is_told_at_once_and_once() {
    let refused = ended(DeliveryState::Pending, 1, Reached::Refused, 0.3);
    assert_eq!(refused.outcome, Outcome::Unconfirmed { next_at: after(1.3) });
    assert_eq!(refused.extra_outbox[0].kind, "action.failed");
    assert!(refused.extra_outbox[0].body.contains("Rollback refused after 0.3 s"));
    let again = ended(DeliveryState::Unconfirmed, 2, Reached::Refused, 1.4);
    assert_eq!(again.outcome, Outcome::Unconfirmed { next_at: after(3.4) });
    assert!(again.extra_outbox.is_empty() && again.log.is_empty(), "told once");
    let blind = ended(DeliveryState::Pending, 1, Reached::Blind, 0.2);
    assert_eq!(blind.outcome, Outcome::Delivered, "accepted, and nothing is waited for");
    let body = &blind.extra_outbox[0].body;
    assert!(body.contains("Rollback accepted, not confirmed"), "{body}");
    assert!(body.contains("\"state\":\"accepted\""), "{body}");
}

#[test]
fn the_same_trip_orders_the_same_action() {
    assert_eq!(item(DeliveryState::Pending, 1).row, item(DeliveryState::Pending, 2).row);
    let first = ended(DeliveryState::Accepted, 1, Reached::Confirmed, 1.0);
    let again = ended(DeliveryState::Accepted, 2, Reached::Confirmed, 2.0);
    assert_eq!(first.extra_outbox[0].id, again.extra_outbox[0].id);
}
