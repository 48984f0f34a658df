//! `/api/v1/experiments`: experiments, their evaluations, and the flat verdict for gates.

use axum::Json;
use axum::extract::{Path, Query, State};
use judge::lifecycle::LifeState;
use judge::record::EvaluationRecord;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HttpState, Problem};
use crate::cycle::say::word;
use crate::deliver::ActionConfig;
use crate::store::{EvaluationRow, ExperimentRow};

/// Most rows of one page.
const MAX_PAGE: usize = 200;

/// Paging of evaluations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let rows = state.store.experiments().await?;
    let broken = state.store.broken_files().await?;
    let experiments: Vec<Value> = rows.iter().map(summary).collect();
    let broken: Vec<Value> = broken
        .iter()
        .map(|file| json!({"file": file.file, "diagnostics": file.diagnostics_text}))
        .collect();
    Ok(Json(json!({
        "schema": "verdictd/experiments/1",
        "experiments": experiments,
        "broken_files": broken,
    })))
}

pub(super) async fn one(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = find(&state, &id).await?;
    let mut document = summary(&row);
    let context = state.store.context(&id).await?;
    if let Some(context) = context {
        document["guardrails"] = serde_json::to_value(&context.guardrails)?;
        document["evaluations"] = json!(context.evaluation_count);
    }
    // After a rearm the old stop says nothing about where it stands.
    document["record"] = match state.store.standing(&id).await?.filter(|_| row.last.is_some()) {
        Some((_, text)) => serde_json::from_str(&text)?,
        None => Value::Null,
    };
    let actions = state.store.action_state(&id).await?;
    let configured = |name: &str| state.settings.actions.get(name);
    document["actions"] = actions
        .iter()
        .map(|action| {
            json!({
                "action": action.action,
                "state": action.state.as_str(),
                "requested_at": action.requested_at.to_string(),
                "confirmed_at": action.confirmed_at.map(|at| at.to_string()),
                "seconds": action.seconds,
                "detail": action.detail,
                "target": configured(&action.action).map(ActionConfig::target),
                "armed_by": configured(&action.action).and_then(|it| it.arming().armed_by.clone()),
            })
        })
        .collect();
    Ok(Json(document))
}

pub(super) async fn evaluations(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    find(&state, &id).await?;
    let limit = page.limit.unwrap_or(50);
    if limit == 0 || limit > MAX_PAGE {
        return Err(Problem::invalid(format!("limit must be 1 to {MAX_PAGE}")));
    }
    let rows = state.store.evaluations(&id, page.before, limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.number)).flatten();
    Ok(Json(json!({
        "schema": "verdictd/evaluations/1",
        "evaluations": rows.iter().map(evaluation_row).collect::<Vec<_>>(),
        "next_before": next,
    })))
}

pub(super) async fn evaluation(
    State(state): State<HttpState>,
    Path((id, number)): Path<(String, u64)>,
) -> Result<Json<Value>, Problem> {
    let found = state.store.evaluation(&id, number).await?;
    let (row, text) =
        found.ok_or_else(|| Problem::not_found(format!("`{id}` has no evaluation {number}")))?;
    let mut document = evaluation_row(&row);
    document["record"] = serde_json::from_str(&text)?;
    Ok(Json(document))
}

/// The stored row of an experiment, or 404 with near names.
pub(super) async fn find(state: &HttpState, id: &str) -> Result<ExperimentRow, Problem> {
    let rows = state.store.experiments().await?;
    let near: Vec<String> = rows
        .iter()
        .filter(|row| row.id.contains(id) || id.contains(row.id.as_str()))
        .map(|row| row.id.clone())
        .take(3)
        .collect();
    rows.into_iter().find(|row| row.id == id).ok_or_else(|| {
        let hint = match near.as_slice() {
            [] => "/api/v1/experiments lists them".to_owned(),
            near => format!("did you mean {}?", near.join(", ")),
        };
        Problem::not_found(format!("no experiment `{id}`; {hint}"))
    })
}

/// The record an experiment stands on, if it has one that can be read.
pub(super) async fn standing_record(
    state: &HttpState,
    id: &str,
) -> Result<Option<EvaluationRecord>, Problem> {
    let standing = state.store.standing(id).await?;
    Ok(standing.and_then(|(_, text)| EvaluationRecord::from_json(&text).ok()))
}

fn summary(row: &ExperimentRow) -> Value {
    let life: Result<LifeState, _> = serde_json::from_str(&row.life_json);
    let labels: Value = serde_json::from_str(&row.labels_json).unwrap_or_default();
    json!({
        "id": row.id,
        "title": row.title,
        "labels": labels,
        "revision": row.revision,
        "life": life.as_ref().map_or_else(|_| "unreadable".to_owned(), |life| word(&life.life)),
        "cycle": life.as_ref().map(|life| life.cycle.number).ok(),
        "checkpoint_at": life.as_ref().map(|life| life.cycle.checkpoint_at.to_string()).ok(),
        "sequence": row.changes,
        "first_seen_at": row.first_seen_at.to_string(),
        "worst_guardrail": row.worst_guardrail.map(|state| word(&state)),
        "last": row.last.as_ref().map(evaluation_row),
    })
}

fn evaluation_row(row: &EvaluationRow) -> Value {
    json!({
        "number": row.number,
        "id": row.id,
        "experiment": row.experiment,
        "track": row.track,
        "scheduled_at": row.scheduled_at.to_string(),
        "recorded_at": row.recorded_at.to_string(),
        "data_as_of": row.data_as_of.map(|at| at.to_string()),
        "verdict": row.verdict,
        "cause": row.cause,
        "reason": row.headline,
        "revises": row.revises,
    })
}
