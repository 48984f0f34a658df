//! `/api/v1/sources` and `/api/v1/deliveries`: what an operator asks.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HttpState, Problem};
use crate::store::{Delivery, DeliveryFilter, DeliveryState};

/// Most rows of one page.
const MAX_PAGE: usize = 500;

/// Which deliveries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    endpoint: Option<String>,
    experiment: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn sources(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let rows = state.store.sources().await?;
    let sources: Vec<Value> = rows
        .iter()
        .map(|health| {
            json!({
                "name": health.name,
                "up": health.failing_since.is_none(),
                "last_ok_at": health.last_ok_at.map(|at| at.to_string()),
                "failing_since": health.failing_since.map(|at| at.to_string()),
                "class": health.class,
                "cause": health.cause,
            })
        })
        .collect();
    Ok(Json(json!({"schema": "verdictd/sources/1", "sources": sources})))
}

pub(super) async fn deliveries(
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
            endpoint: filter.endpoint,
            partition: filter.experiment,
            state: wanted,
            limit,
            ..DeliveryFilter::default()
        })
        .await?;
    let deliveries: Vec<Value> = rows.iter().map(delivery).collect();
    Ok(Json(json!({"schema": "verdictd/deliveries/1", "deliveries": deliveries})))
}

fn delivery(row: &Delivery) -> Value {
    let attempts: Vec<Value> = row
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "attempt": attempt.attempt,
                "started_at": attempt.started_at.to_string(),
                "finished_at": attempt.finished_at.map(|at| at.to_string()),
                "status": attempt.status,
                "class": attempt.class,
                "detail": attempt.detail,
            })
        })
        .collect();
    json!({
        "id": row.row.id,
        "endpoint": row.row.endpoint,
        "experiment": row.row.partition,
        "kind": row.row.kind,
        "state": row.state.as_str(),
        "next_at": row.next_at.to_string(),
        "closed_at": row.closed_at.map(|at| at.to_string()),
        "note": row.note,
        "superseded_by": row.superseded_by,
        "attempts": attempts,
    })
}
