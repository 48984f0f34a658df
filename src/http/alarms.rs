//! `/api/v1/alarms`, `/proxies` and `/kill-list`: what is on, what predicted, whom to stop first.

use axum::Json;
use axum::extract::State;
use judge::prose::alarm_sentence;
use judge::watch::{Kept, KillRow, ProxyRow, proxy_sentence};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HttpState, Problem};

/// What the watch wrote at its newest slot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) kill_list: Vec<KillRow>,
    pub(super) kill_sentence: String,
    pub(super) proxies: Vec<ProxyRow>,
}

/// The newest report and its slot; empty before the first.
pub(super) async fn report(state: &HttpState) -> Result<(Report, Option<String>), Problem> {
    let Some(watch) = state.store.watch().await? else {
        return Ok((Report::default(), None));
    };
    Ok((serde_json::from_str(&watch.report_json)?, Some(watch.last_slot.to_string())))
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let on = state.store.alarms_on().await?;
    let cleared = state.store.cleared_alarms().await?;
    let (_, watched_at) = report(&state).await?;
    Ok(Json(json!({
        "schema": "verdictd/alarms/1",
        "watched_at": watched_at,
        "alarms": on.iter().map(as_json).collect::<Vec<_>>(),
        "cleared": cleared.iter().map(as_json).collect::<Vec<_>>(),
    })))
}

/// One alarm; the portfolio's own have no experiment.
fn as_json(kept: &Kept) -> Value {
    let alarm = &kept.alarm;
    json!({
        "experiment": (!kept.experiment.is_empty()).then_some(&kept.experiment),
        "alarm": alarm.kind,
        "cause": alarm.cause,
        "subject": alarm.subject,
        "severity": alarm.severity,
        "since": alarm.since.map(|at| at.to_string()),
        "raised_at": kept.raised_at.to_string(),
        "cleared_at": kept.cleared_at.map(|at| at.to_string()),
        "numbers": alarm.numbers,
        "clears_when": alarm.clears,
        "knowable_at": alarm.knowable_at.map(|at| at.to_string()),
        "sentence": alarm_sentence(alarm),
    })
}

pub(super) async fn proxies(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let (report, watched_at) = report(&state).await?;
    let rows = report.proxies.iter().map(|row| {
        let mut value = serde_json::to_value(row)?;
        value["sentence"] = proxy_sentence(row).into();
        Ok(value)
    });
    let rows: Vec<Value> = rows.collect::<Result<_, serde_json::Error>>()?;
    Ok(Json(json!({
        "schema": "verdictd/proxies/1",
        "watched_at": watched_at,
        "proxies": rows,
    })))
}

pub(super) async fn kill_list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let (report, watched_at) = report(&state).await?;
    Ok(Json(json!({
        "schema": "verdictd/kill-list/1",
        "watched_at": watched_at,
        "sentence": report.kill_sentence,
        "experiments": report.kill_list,
    })))
}
