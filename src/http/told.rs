//! `/api/v1/told` and `/api/v1/acknowledgements`: who heard what, who did not and why, and who has
//! seen it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::signed::Caller;
use super::silences::silence_json;
use super::{HttpState, Problem};
use crate::cycle::policy::{self, Acknowledged, Seen, Silenced};
use crate::store::{AckRow, Delivery, DeliveryFilter};

/// Most rows of one page.
pub(super) const MAX_PAGE: usize = 500;

/// Which messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    experiment: Option<String>,
    limit: Option<usize>,
}

impl Filter {
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(100);
        if limit == 0 || limit > MAX_PAGE {
            return Err(Problem::invalid(format!("limit must be 1 to {MAX_PAGE}")));
        }
        Ok(limit)
    }
}

/// An acknowledgement as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAck {
    notice: String,
    because: String,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = filter.limit()?;
    let filter = DeliveryFilter { partition: filter.experiment, limit, ..Default::default() };
    let rows = state.store.deliveries(filter).await?;
    let messages: Vec<Value> = rows.iter().map(told_json).collect();
    Ok(Json(json!({"schema": "verdictd/told/1", "messages": messages})))
}

/// One receiver's share of one notice: what became of it, and why.
pub fn told_json(delivery: &Delivery) -> Value {
    let row = &delivery.row;
    let told = &row.told;
    json!({
        "id": row.id,
        "notice": row.notice_id,
        "kind": row.kind,
        "experiment": row.partition,
        "receiver": (!row.endpoint.is_empty()).then_some(&row.endpoint),
        "state": delivery.state.as_str(),
        "reason": told.reason,
        "severity": told.severity,
        "topic": told.topic,
        "withheld_by": told.withheld.as_ref().and_then(|withheld| withheld.by()),
        "said_by": delivery.superseded_by,
        "note": delivery.note,
        "at": row.created_at.to_string(),
        "not_before": row.not_before.to_string(),
        "closed_at": delivery.closed_at.map(|at| at.to_string()),
    })
}

pub(super) async fn acknowledgements(
    State(state): State<HttpState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = filter.limit()?;
    let rows = state.store.acknowledgements(filter.experiment.as_deref(), limit).await?;
    let rows: Vec<Value> = rows.iter().map(ack_json).collect();
    Ok(Json(json!({"schema": "verdictd/acknowledgements/1", "acknowledgements": rows})))
}

pub(super) async fn acknowledge(
    State(state): State<HttpState>,
    Caller(identity): Caller,
    body: Result<Json<NewAck>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(new) =
        body.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    let seen = Seen {
        notice: &new.notice,
        who: &identity.name,
        because: &new.because,
        by: policy::By::Token,
    };
    let said = policy::acknowledge(&state.store, &*state.clock, seen).await?;
    let status = match said {
        Acknowledged::Fresh(_) => StatusCode::CREATED,
        Acknowledged::Already(_) => StatusCode::CONFLICT,
    };
    let (Acknowledged::Fresh(ack) | Acknowledged::Already(ack)) = &said;
    if status == StatusCode::CONFLICT {
        let detail = format!("already acknowledged by {} at {}", ack.who, ack.at);
        return Err(Problem::new(status, "already_acknowledged", detail));
    }
    Ok((status, Json(ack_json(ack))))
}

/// A snooze as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSnooze {
    notice: String,
    because: String,
    hours: Option<u64>,
}

pub(super) async fn snooze(
    State(state): State<HttpState>,
    Caller(identity): Caller,
    body: Result<Json<NewSnooze>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(new) =
        body.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    let seen = Seen {
        notice: &new.notice,
        who: &identity.name,
        because: &new.because,
        by: policy::By::Token,
    };
    let hours = new.hours.unwrap_or(state.settings.notify.snooze_hours);
    match policy::snooze(&state.store, &*state.clock, seen, hours).await? {
        Silenced::Fresh(row) => {
            Ok((StatusCode::CREATED, Json(silence_json(&row, state.clock.wall_now()))))
        }
        Silenced::Already(row) => {
            let (who, until) = (&row.author, row.over_at());
            let detail = format!("already snoozed by {who} until {until} ({})", row.id);
            Err(Problem::new(StatusCode::CONFLICT, "already_snoozed", detail))
        }
    }
}

fn ack_json(ack: &AckRow) -> Value {
    json!({
        "notice": ack.notice_id,
        "experiment": ack.partition,
        "topic": ack.topic,
        "who": ack.who,
        "authenticated": ack.authenticated,
        "because": ack.because,
        "at": ack.at.to_string(),
    })
}
