//! `/api/v1/deliveries` and `/api/v1/endpoints`: what was sent, and sending it again.
//!
//! Reading is open as everywhere; sending again and enabling need an administrator's token.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use judge::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Identity;
use super::signed::Caller;
use super::{HttpState, Problem};
use crate::deliver::view;
use crate::store::{DeliveryFilter, DeliveryState, MOST_REDELIVERED, Redeliver};

/// Most rows of one page.
pub(super) const MAX_PAGE: usize = 500;

/// Which deliveries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    endpoint: Option<String>,
    experiment: Option<String>,
    state: Option<String>,
    kind: Option<String>,
    since: Option<Timestamp>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// How one delivery is sent again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    #[serde(default)]
    ladder: bool,
}

/// Which deliveries are sent again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    since: Option<Timestamp>,
    experiment: Option<String>,
    endpoint: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    ladder: bool,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = filter.limit.unwrap_or(100);
    if limit == 0 || limit > MAX_PAGE {
        return Err(Problem::invalid(format!("limit must be 1 to {MAX_PAGE}")));
    }
    let wanted =
        match filter.state.as_deref() {
            None => None,
            Some(word) => Some(DeliveryState::parse(word).ok_or_else(|| {
                Problem::invalid(format!("`{word}` is not a state of a delivery"))
            })?),
        };
    let rows = state
        .store
        .deliveries(DeliveryFilter {
            id: None,
            endpoint: filter.endpoint,
            partition: filter.experiment,
            state: wanted,
            kind: filter.kind,
            since: filter.since,
            before: filter.before,
            limit,
        })
        .await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.position)).flatten();
    Ok(Json(json!({
        "schema": "verdictd/deliveries/1",
        "deliveries": rows.iter().map(view::delivery).collect::<Vec<_>>(),
        "next_before": next,
    })))
}

pub(super) async fn one(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let filter = DeliveryFilter { id: Some(id.clone()), ..DeliveryFilter::default() };
    let rows = state.store.deliveries(filter).await?;
    let row = rows.first().ok_or_else(|| Problem::not_found(format!("no delivery `{id}`")))?;
    let mut shown = view::delivery(row);
    shown["schema"] = "verdictd/delivery/1".into();
    Ok(Json(shown))
}

pub(super) async fn resend_one(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(again): Query<Again>,
    Caller(identity): Caller,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let who = administrator(identity)?;
    let now = state.clock.wall_now();
    if !state.store.redeliver_one(&id, again.ladder, now).await? {
        let filter = DeliveryFilter { id: Some(id.clone()), ..DeliveryFilter::default() };
        if state.store.deliveries(filter).await?.is_empty() {
            return Err(Problem::not_found(format!("no delivery `{id}`")));
        }
        let detail = "it is being sent at this moment";
        return Err(Problem::new(StatusCode::CONFLICT, "in_flight", detail));
    }
    tracing::info!(id, who, ladder = again.ladder, trigger = "manual", "sent again by hand");
    Ok((StatusCode::ACCEPTED, Json(json!({"queued": 1, "ids": [id]}))))
}

pub(super) async fn resend(
    State(state): State<HttpState>,
    Caller(identity): Caller,
    body: Result<Json<Which>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let who = administrator(identity)?;
    let Json(which) =
        body.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    if which.since.is_none() && which.experiment.is_none() && which.endpoint.is_none() {
        return Err(Problem::invalid("say which: `since`, `experiment` or `endpoint`"));
    }
    let wanted =
        Redeliver { since: which.since, partition: which.experiment, endpoint: which.endpoint };
    let ids = state.store.redeliverable(&wanted).await?;
    let is_cut = ids.len() == MOST_REDELIVERED;
    if which.dry_run {
        let answer = json!({"queued": 0, "would_queue": ids.len(), "ids": ids, "cut": is_cut});
        return Ok((StatusCode::OK, Json(answer)));
    }
    let now = state.clock.wall_now();
    let queued = state.store.redeliver_all(ids, which.ladder, now).await?;
    tracing::info!(queued, who, ladder = which.ladder, trigger = "manual", "sent again by hand");
    Ok((StatusCode::ACCEPTED, Json(json!({"queued": queued, "cut": is_cut}))))
}

pub(super) async fn endpoints(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let known = state.store.endpoints().await?;
    let stats = state.store.outbox_stats().await?;
    let names = state.settings.receivers.keys();
    let views = view::endpoints(names, &known, &stats, state.clock.wall_now());
    let shown: Vec<Value> = views.iter().map(view::EndpointView::as_json).collect();
    Ok(Json(json!({"schema": "verdictd/endpoints/1", "endpoints": shown})))
}

pub(super) async fn enable(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Caller(identity): Caller,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let who = administrator(identity)?;
    if !state.settings.receivers.contains_key(&name) {
        return Err(Problem::not_found(format!("no receiver `{name}` in the settings")));
    }
    if !state.store.enable_endpoint(&name, state.clock.wall_now()).await? {
        let detail = format!("`{name}` is neither degraded, disabled nor paused");
        return Err(Problem::new(StatusCode::CONFLICT, "not_disabled", detail));
    }
    tracing::info!(endpoint = name, who, "receiver enabled by hand");
    let which = Redeliver { endpoint: Some(name.clone()), ..Redeliver::default() };
    let dead = state.store.redeliverable(&which).await?.len();
    // What is queued goes on by itself; what was given up is the person's to decide.
    let known = state.store.endpoints().await?;
    let known = known.iter().find(|row| row.endpoint == name);
    let word = known.map_or("degraded", |row| row.state.as_str());
    let answer = json!({"name": name, "state": word, "dead": dead});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// The name of the administrator who asks.
fn administrator(identity: Identity) -> Result<String, Problem> {
    if !identity.is_admin {
        let detail = format!("`{}` is not an administrator's token", identity.name);
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_admin", detail));
    }
    Ok(identity.name)
}
