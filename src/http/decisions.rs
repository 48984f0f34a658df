//! `/api/v1/decisions`: the log, and the one thing a person writes here.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use judge::lifecycle::{HumanDecision, NotAllowed};
use judge::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::signed::Caller;
use super::{HttpState, Problem};
use crate::cycle::human::{self, Decree, DecreeError};
use crate::store::{LogFilter, LogRow};

/// Most entries of one page.
pub(super) const MAX_PAGE: usize = 500;
/// The words of decisions, for the refusal.
const ACTIONS: &str = "use confirm, continue, change, stop, objects, rearm, pause, resume, \
                       default_updated, archive, reviewed, audited or acknowledge";
/// Longest because.
const MAX_BECAUSE: usize = 2_000;

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    experiment: Option<String>,
    since: Option<Timestamp>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// A decision as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDecision {
    experiment: String,
    decision: String,
    because: String,
    evaluation: Option<String>,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = filter.limit.unwrap_or(100);
    if limit == 0 || limit > MAX_PAGE {
        return Err(Problem::invalid(format!("limit must be 1 to {MAX_PAGE}")));
    }
    let rows = state
        .store
        .decisions(LogFilter {
            experiment: filter.experiment,
            since: filter.since,
            before: filter.before,
            limit,
        })
        .await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.id)).flatten();
    Ok(Json(json!({
        "schema": "verdictd/decisions/1",
        "decisions": rows.iter().map(entry).collect::<Vec<_>>(),
        "next_before": next,
    })))
}

pub(super) async fn record(
    State(state): State<HttpState>,
    Caller(identity): Caller,
    body: Result<Json<NewDecision>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(new) =
        body.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    if new.because.chars().count() > MAX_BECAUSE {
        let detail = format!("`because` may have at most {MAX_BECAUSE} characters");
        return Err(Problem::invalid(detail));
    }
    let Some(action) = human::action_named(&new.decision) else {
        let detail = format!("`{}` is not a decision; {ACTIONS}", new.decision);
        return Err(Problem::invalid(detail));
    };
    let at = state.clock.domain_now();
    let Some(action) = action else {
        return acknowledge(&state, &new, &identity.name, at).await;
    };
    let decree = Decree {
        experiment: &new.experiment,
        decision: HumanDecision { who: identity.name, because: new.because, action },
        is_admin: identity.is_admin,
        evaluation_id: new.evaluation,
        at,
    };
    let entry = human::decide(&state.store, decree).await.map_err(refusal)?;
    Ok((
        StatusCode::CREATED,
        Json(json!({
            "experiment": new.experiment,
            "at": entry.at.to_string(),
            "kind": entry.kind,
            "who": entry.who,
            "text": entry.text,
        })),
    ))
}

async fn acknowledge(
    state: &HttpState,
    new: &NewDecision,
    who: &str,
    at: Timestamp,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let changed = human::acknowledge(&state.store, &new.experiment, who, &new.because, at)
        .await
        .map_err(refusal)?;
    let answer = json!({
        "experiment": new.experiment,
        "kind": "acknowledged",
        "signals": changed.signals,
        "split": changed.split,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

fn refusal(error: DecreeError) -> Problem {
    match error {
        DecreeError::Unknown(id) => Problem::not_found(format!("no experiment `{id}`")),
        DecreeError::Refused(reason) => {
            let status = match reason {
                NotAllowed::MayNotStop => StatusCode::FORBIDDEN,
                NotAllowed::NoName | NotAllowed::NoBecause => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::CONFLICT,
            };
            Problem::new(status, "not_allowed", reason.to_string())
        }
        DecreeError::Store(error) => error.into(),
        DecreeError::Unreadable(error) => error.into(),
    }
}

fn entry(row: &LogRow) -> Value {
    json!({
        "id": row.id,
        "experiment": row.experiment,
        "at": row.entry.at.to_string(),
        "kind": row.entry.kind,
        "who": row.entry.who,
        "verdict": row.entry.verdict,
        "because": row.entry.because,
        "lines": row.entry.text.lines().collect::<Vec<_>>(),
        "evaluation_id": row.entry.evaluation_id,
    })
}
