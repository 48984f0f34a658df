//! `/api/v1/experiments/{id}/verdict`: the flat verdict that gates read, at once or by long poll.
//!
//! Argo Rollouts takes any status but 2xx as an error of the measurement, so this answers 200
//! with a word for everything that can be known about an id, `unknown` and `stale` included. The
//! document is flat and has no nulls.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use judge::ids;
use serde::Deserialize;
use tokio::time::Instant;

use super::gates::span;
use super::{HttpState, Problem};
use crate::gate::{self, FlatVerdict, Standing};
use crate::store::StoreError;

/// Longest wait of one request, in seconds.
pub(super) const MAX_WAIT_SECS: i64 = 60;
/// How often another process's writes are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Least pause between two looks, however much is committed.
const BREATH: Duration = Duration::from_millis(25);

/// How it is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    wait: Option<String>,
    since: Option<i64>,
    max_age: Option<String>,
}

pub(super) async fn verdict(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let max_age_secs = asked.max_age.as_deref().map(span).transpose()?;
    let patience = Patience::read(asked.wait.as_deref(), asked.since)?;
    let (standing, has_waited) = awaited(&state, &id, patience).await?;
    let flat = gate::flat(&gate::aged(standing, max_age_secs), &state.external_url);
    let tag = tag(&flat);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(flat).into_response()
    };
    let own = response.headers_mut();
    own.insert(header::ETAG, tag);
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if has_waited == Waited::Refused {
        own.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    Ok(response)
}

/// Weak: the age grows by itself and is left out.
fn tag(flat: &FlatVerdict) -> HeaderValue {
    let FlatVerdict { experiment, verdict, cause, reason, life, evaluated_at, .. } = flat;
    let (number, url) = (flat.evaluation.to_string(), &flat.url);
    let hash = ids::hash128(&[
        experiment,
        verdict.as_str(),
        cause,
        reason,
        life,
        evaluated_at,
        &number,
        url,
    ]);
    let text = format!("W/\"{}-{hash}\"", flat.sequence);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("W/\"none\""))
}

/// For how long an answer may be kept back, and what the caller knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    wait: Duration,
    since: Option<i64>,
}

impl Patience {
    /// Reads `wait=55s` and `since=12`.
    pub(super) fn read(wait: Option<&str>, since: Option<i64>) -> Result<Self, Problem> {
        let secs = wait.map(span).transpose()?.unwrap_or(0);
        if secs > MAX_WAIT_SECS {
            let detail = format!("wait may be at most {MAX_WAIT_SECS}s; ask again after it");
            return Err(Problem::invalid(detail));
        }
        Ok(Self { wait: Duration::from_secs(secs.unsigned_abs()), since })
    }
}

/// Whether an answer was kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// As long as it was asked to, or nothing was to be waited for.
    AsAsked,
    /// Too many wait already: answered at once.
    Refused,
}

/// The standing as soon as the experiment's state is another than the caller knows, or when its
/// patience ends, the daemon stops, or the run is over.
pub(super) async fn awaited(
    state: &HttpState,
    id: &str,
    patience: Patience,
) -> Result<(Standing, Waited), Problem> {
    let mut news = state.store.news();
    let now = standing(state, id).await?;
    let known = patience.since.unwrap_or(now.sequence);
    if patience.wait.is_zero() || now.sequence != known || now.is_final {
        return Ok((now, Waited::AsAsked));
    }
    let Ok(_permit) = state.waiting.try_acquire() else {
        return Ok((now, Waited::Refused));
    };
    let until = Instant::now() + patience.wait;
    while Instant::now() < until {
        tokio::select! {
            () = state.stop.cancelled() => break,
            () = tokio::time::sleep_until(until) => break,
            changed = news.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        if state.store.changes(id).await?.unwrap_or(0) != known {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok((standing(state, id).await?, Waited::AsAsked))
}

/// Where the experiment stands now.
pub(super) async fn standing(state: &HttpState, id: &str) -> Result<Standing, StoreError> {
    let read = read(state, id).await;
    if let Err(error) = &read {
        tracing::error!(%error, experiment = id, "a gate could not read the store");
    }
    read
}

async fn read(state: &HttpState, id: &str) -> Result<Standing, StoreError> {
    let Some(row) = state.store.gate_row(id).await? else {
        let all = state.store.labels().await?;
        let is_near =
            |known: &&String| !id.is_empty() && (known.contains(id) || id.contains(*known));
        let near: Vec<String> =
            all.iter().map(|(id, _)| id).filter(is_near).take(3).cloned().collect();
        return Ok(gate::no_such(id, &near));
    };
    let late_after = i64::try_from(state.settings.gates.late_after_secs).unwrap_or(i64::MAX);
    Ok(gate::standing(&row, state.clock.domain_now(), late_after.saturating_mul(1_000)))
}
