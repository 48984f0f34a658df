//! Deliveries and receivers through the API: pages, attempts, sending again, enabling.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use judge::time::add_ms;
use serde_json::{Value, json};

use super::{Answer, Site, at};
use crate::store::{Attempt, DeliveryFilter, EndpointRow, EndpointState, Lane, OutboxRow, Outcome};

pub(super) fn row(id: &str, endpoint: &str, experiment: &str) -> OutboxRow {
    OutboxRow {
        id: id.to_owned(),
        endpoint: endpoint.to_owned(),
        partition: experiment.to_owned(),
        kind: "guardrail.burning".to_owned(),
        urgent: false,
        lane: Lane::Message,
        notice_id: format!("notice-{id}"),
        body: "{}".to_owned(),
        content: "{}".to_owned(),
        created_at: at(),
        not_before: at(),
        expires_at: add_ms(at(), 3_600_000),
        final_state: true,
        sequence: 1,
        conversation: None,
        told: crate::store::Told::default(),
    }
}

/// Three dead messages to `chat`, the last one refused by the address guard; `chat` is disabled.
async fn site() -> Site {
    let mut site = Site::sample().await.with_tokens();
    let mut settings = (*site.state.settings).clone();
    for name in ["chat", "tickets"] {
        let config = json!({"webhook": {"url": "https://example.com/secret-path"}});
        settings.receivers.insert(name.to_owned(), serde_json::from_value(config).unwrap());
    }
    site.state.settings = Arc::new(settings);
    let store = &site.state.store;
    let rows = vec![row("m1", "chat", "a"), row("m2", "chat", "b"), row("m3", "chat", "c")];
    store.enqueue(rows).await.unwrap();
    for item in store.lease_outbox(at(), "one", add_ms(at(), 60_000), 10).await.unwrap() {
        let is_blocked = item.row.id == "m3";
        let class = if is_blocked { "blocked" } else { "client_error" };
        let ended = Attempt {
            id: item.row.id.clone(),
            holder: "one".to_owned(),
            attempt: item.attempt,
            started_at: at(),
            finished_at: add_ms(at(), 250),
            status: Some(404),
            class: class.to_owned(),
            detail: "no such channel".to_owned(),
            outcome: Outcome::Dead,
            uses_rung: true,
            extra_outbox: Vec::new(),
            log: Vec::new(),
            learnt: None,
            endpoint: None,
        };
        store.finish_attempt(ended).await.unwrap();
    }
    let gone = EndpointRow {
        state: EndpointState::Disabled,
        cause: Some("HTTP 410".to_owned()),
        version: 1,
        ..EndpointRow::fresh("chat", "hash", at())
    };
    store.put_endpoint(gone).await.unwrap();
    site
}

async fn post(site: &Site, path: &str, token: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::from(body.to_string()));
    site.send(request.unwrap()).await
}

async fn pending(site: &Site) -> usize {
    let all = site.state.store.deliveries(DeliveryFilter::default()).await.unwrap();
    all.iter().filter(|it| !it.state.is_closed()).count()
}

const ROOT: &str = "token-of-root";

#[tokio::test]
async fn deliveries_are_filtered_and_paged() {
    let site = site().await;
    let first = site.get("/api/v1/deliveries?endpoint=chat&limit=2").await.json();
    assert_eq!(first["deliveries"][0]["id"], "m3");
    let next = first["next_before"].as_i64().unwrap();
    let path = format!("/api/v1/deliveries?endpoint=chat&limit=2&before={next}");
    let second = site.get(&path).await.json();
    assert_eq!(second["deliveries"][0]["id"], "m1");
    assert_eq!(second["next_before"], Value::Null);
    for (query, count) in [
        ("state=dead", 3),
        ("state=delivered", 0),
        ("experiment=b", 1),
        ("kind=guardrail.burning", 3),
        ("kind=test", 0),
        ("since=2026-08-11T00:00:01Z", 0),
    ] {
        let found = site.get(&format!("/api/v1/deliveries?{query}")).await.json();
        assert_eq!(found["deliveries"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn one_delivery_shows_its_attempts_but_nothing_of_a_blocked_target() {
    let site = site().await;
    let one = site.get("/api/v1/deliveries/m1").await.json();
    let attempt = &one["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["class"]), (&404.into(), &"client_error".into()));
    assert_eq!((&attempt["seconds"], &attempt["trigger"]), (&0.25.into(), &"schedule".into()));
    assert_eq!(attempt["detail"], "no such channel");
    let blocked = site.get("/api/v1/deliveries/m3").await;
    assert!(!blocked.body.contains("no such channel"), "{}", blocked.body);
    assert_eq!(blocked.json()["attempts"][0]["status"], Value::Null);
    assert_eq!(site.get("/api/v1/deliveries/none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_administrators_send_again() {
    let site = site().await;
    let which = json!({"endpoint": "chat"});
    for path in [
        "/api/v1/deliveries/resend",
        "/api/v1/deliveries/m1/resend",
        "/api/v1/endpoints/chat/enable",
    ] {
        let guest = post(&site, path, "token-of-guest", &which).await;
        assert_eq!(guest.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(guest.problem()["code"], "not_admin");
        let nobody = post(&site, path, "wrong", &which).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(pending(&site).await, 0);
}

#[tokio::test]
async fn one_or_all_are_sent_again() {
    let site = site().await;
    let one = post(&site, "/api/v1/deliveries/m2/resend", ROOT, &json!({})).await;
    assert_eq!((one.status, pending(&site).await), (StatusCode::ACCEPTED, 1));
    let none = post(&site, "/api/v1/deliveries/m9/resend", ROOT, &json!({})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let all = "/api/v1/deliveries/resend";
    let vague = post(&site, all, ROOT, &json!({})).await;
    assert_eq!(vague.status, StatusCode::UNPROCESSABLE_ENTITY);
    let dry = post(&site, all, ROOT, &json!({"endpoint": "chat", "dry_run": true})).await.json();
    assert_eq!((&dry["would_queue"], &dry["ids"]), (&2.into(), &json!(["m1", "m3"])));
    assert_eq!(pending(&site).await, 1);
    let late = post(&site, all, ROOT, &json!({"since": "2026-08-12T00:00:00Z"})).await.json();
    assert_eq!(late["queued"], 0);
    let rest = post(&site, all, ROOT, &json!({"since": "2026-08-11T00:00:00Z"})).await.json();
    assert_eq!((&rest["queued"], pending(&site).await), (&2.into(), 3));
    let later = add_ms(site.state.clock.wall_now(), 1_000);
    site.state.store.lease_outbox(later, "one", add_ms(later, 60_000), 10).await.unwrap();
    let busy = post(&site, "/api/v1/deliveries/m1/resend", ROOT, &json!({})).await;
    assert_eq!(busy.status, StatusCode::CONFLICT, "somebody is sending it");
}

#[tokio::test]
async fn receivers_are_shown_and_enabled_without_their_addresses() {
    let site = site().await;
    let answer = site.get("/api/v1/endpoints").await;
    assert!(!answer.body.contains("secret-path"), "{}", answer.body);
    let shown = answer.json();
    let chat = &shown["endpoints"][0];
    assert_eq!((&chat["name"], &chat["state"]), (&"chat".into(), &"disabled".into()));
    assert_eq!((&chat["dead"], &chat["cause"]), (&3.into(), &"HTTP 410".into()));
    assert_eq!(shown["endpoints"][1]["state"], "ok");
    let enabled = post(&site, "/api/v1/endpoints/chat/enable", ROOT, &json!({})).await;
    assert_eq!((enabled.status, &enabled.json()["dead"]), (StatusCode::ACCEPTED, &3.into()));
    let well = post(&site, "/api/v1/endpoints/tickets/enable", ROOT, &json!({})).await;
    assert_eq!(well.status, StatusCode::CONFLICT);
    let none = post(&site, "/api/v1/endpoints/nobody/enable", ROOT, &json!({})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}
