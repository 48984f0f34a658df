//! `/api/v1/sources`: what an operator asks.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{HttpState, Problem};

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
