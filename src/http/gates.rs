//! `/gate/...`: what a rollout asks, and the one sentence it gets.
//!
//! Flagger posts to a door and goes by the status alone: 200 opens, anything above 202 does not.
//! So a door answers 200 or 403 and nothing else, and whatever is wrong (no such experiment, an
//! old verdict, a wrong token, a store that fails) keeps it shut. `rollback` is the other way
//! round for Flagger (2xx undoes the rollout), and the same here: it opens on a fresh `stop` only.
//! `GET /gate/{experiment}` is for callers that read JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::auth::bearer;
use super::problem::Plain;
use super::verdict::{self, Patience};
use super::{HttpState, Problem};
use crate::gate::{self, Allowed, Answer, Door, FlatVerdict};
use crate::secret::SecretRef;
use crate::settings::Settings;

/// What Flagger posts, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call {
    name: String,
    namespace: String,
    metadata: Metadata,
}

/// What the author of the canary wrote under `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    experiment: Option<String>,
    token: Option<String>,
    allow: Option<String>,
    max_age: Option<String>,
}

pub(super) async fn rollout(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    said(Door::Rollout, ask(&state, Door::Rollout, &headers, query, &body).await)
}

pub(super) async fn promote(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    said(Door::Promote, ask(&state, Door::Promote, &headers, query, &body).await)
}

pub(super) async fn rollback(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    said(Door::Rollback, ask(&state, Door::Rollback, &headers, query, &body).await)
}

/// A door that does not exist: never the status that an existing one answers with.
pub(super) async fn no_door(Path(name): Path<String>) -> Problem {
    let name: String = name.chars().take(100).collect();
    Problem::not_found(format!("no gate `{name}`; there are rollout, promote and rollback"))
}

/// 200 or 403, and one plain sentence.
fn said(door: Door, asked: Result<Answer, String>) -> Response {
    let (status, sentence) = match asked {
        Ok(answer) if answer.is_open => (StatusCode::OK, answer.sentence),
        Ok(answer) => (StatusCode::FORBIDDEN, answer.sentence),
        Err(why) => (StatusCode::FORBIDDEN, refusal(door, &why)),
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (status, kind, format!("{sentence}\n")).into_response();
    response.extensions_mut().insert(Plain);
    response
}

fn refusal(door: Door, why: &str) -> String {
    match door {
        Door::Rollback => format!("rollback does not fire: {why}"),
        Door::Rollout | Door::Promote => format!("{} is closed: {why}", door.as_str()),
    }
}

/// What the door says; `Err` is why there is nothing to go by.
async fn ask(
    state: &HttpState,
    door: Door,
    headers: &HeaderMap,
    query: RawQuery,
    body: &[u8],
) -> Result<Answer, String> {
    let call: Call = serde_json::from_slice(body)
        .map_err(|_| "the body is not the JSON object of a Flagger webhook".to_owned())?;
    let in_url = token_of(query.0.as_deref());
    let given = [call.metadata.token.as_deref(), in_url.as_deref(), bearer(headers)];
    let who = caller(&state.settings, &given).ok_or("a known token is needed")?;
    let allowed = Allowed::parse(call.metadata.allow.as_deref().unwrap_or_default())?;
    let max_age_secs = match call.metadata.max_age.as_deref() {
        Some(text) => Some(span(text).map_err(|problem| problem.detail)?),
        None => own_max_age(&state.settings, door),
    };
    let experiment = experiment_of(state, &call).await?;
    let standing = verdict::standing(state, &experiment)
        .await
        .map_err(|_| "the store failed; the log has the reason".to_owned())?;
    let answer = gate::answer(door, standing, &allowed, max_age_secs);
    tracing::info!(
        gate = door.as_str(), who, experiment, canary = %canary(&call),
        verdict = answer.standing.word.as_str(), open = answer.is_open, "a gate was asked"
    );
    state.metrics.daemon.gate_asked(door.as_str(), answer.is_open);
    Ok(answer)
}

/// The settings' limit of a door; 0 is none.
fn own_max_age(settings: &Settings, door: Door) -> Option<i64> {
    let gates = &settings.gates;
    let secs = match door {
        Door::Rollout => gates.rollout_max_age_secs,
        Door::Promote => gates.promote_max_age_secs,
        Door::Rollback => gates.rollback_max_age_secs,
    };
    (secs > 0).then(|| i64::try_from(secs).unwrap_or(i64::MAX))
}

/// `name.namespace`, the key Flagger's own load tester uses.
fn canary(call: &Call) -> String {
    let clip = |text: &str| text.chars().take(100).collect::<String>();
    format!("{}.{}", clip(&call.name), clip(&call.namespace))
}

/// `metadata.experiment`, else the settings' table, else the one experiment with the label.
async fn experiment_of(state: &HttpState, call: &Call) -> Result<String, String> {
    if let Some(id) = call.metadata.experiment.as_deref().filter(|id| !id.is_empty()) {
        return Ok(id.to_owned());
    }
    let canary = canary(call);
    if let Some(id) = state.settings.gates.experiments.get(&canary) {
        return Ok(id.clone());
    }
    let all = state.store.labels().await;
    let all = all.map_err(|_| "the store failed; the log has the reason".to_owned())?;
    let has_label = |(_, labels): &&(String, std::collections::BTreeMap<String, String>)| {
        labels.get("canary") == Some(&canary)
    };
    let found: Vec<&str> = all.iter().filter(has_label).map(|(id, _)| id.as_str()).collect();
    match found.as_slice() {
        [id] => Ok((*id).to_owned()),
        [] => Err(format!(
            "no experiment for `{canary}`: write metadata.experiment, a line in \
             [gates.experiments], or the label canary: {canary}"
        )),
        several => Err(format!("several experiments for `{canary}`: {}", several.join(", "))),
    }
}

/// The token of `?token=`, where a webhook cannot send a header.
fn token_of(query: Option<&str>) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.into_owned().find(|(name, _)| name == "token").map(|(_, token)| token)
}

/// Who asks, by any token given; everybody where none is configured. Every configured token is
/// compared each time, by its hash, in constant time.
fn caller(settings: &Settings, given: &[Option<&str>]) -> Option<String> {
    if settings.gates.tokens.is_empty() {
        return Some("anybody".to_owned());
    }
    let given: Vec<_> =
        given.iter().flatten().map(|token| Sha256::digest(token.as_bytes())).collect();
    let gates = settings.gates.tokens.iter().map(|one| (&one.name, &one.token));
    let writers = &settings.http.tokens;
    let writers = writers.iter().filter_map(|one| Some((&one.name, one.token.as_ref()?)));
    let mut found = None;
    for (name, reference) in gates.chain(writers) {
        let Some(known) = digest(name, reference) else { continue };
        for one in &given {
            if bool::from(known.as_slice().ct_eq(one.as_slice())) {
                found = Some(name.clone());
            }
        }
    }
    found
}

fn digest(name: &str, reference: &SecretRef) -> Option<sha2::digest::Output<Sha256>> {
    let Ok(secret) = reference.read() else {
        tracing::warn!(token = name, "a token cannot be read and is ignored");
        return None;
    };
    Some(Sha256::digest(secret.expose().as_bytes()))
}

/// What a caller that reads JSON may ask.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    door: Option<String>,
    allow: Option<String>,
    max_age: Option<String>,
    wait: Option<String>,
    since: Option<i64>,
    fail: Option<bool>,
    token: Option<String>,
}

/// The flat verdict and what the door makes of it.
#[derive(Debug, Serialize)]
struct Opened {
    gate: &'static str,
    open: bool,
    sentence: String,
    #[serde(flatten)]
    verdict: FlatVerdict,
}

/// One experiment's gate as JSON: 200 whatever it says, or 403 with `fail=true`.
pub(super) async fn one(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if caller(&state.settings, &[asked.token.as_deref(), bearer(&headers)]).is_none() {
        let detail = "send a gate's token as `Authorization: Bearer` or ?token=";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail));
    }
    let door = match asked.door.as_deref() {
        None | Some("promote") => Door::Promote,
        Some("rollout") => Door::Rollout,
        Some("rollback") => Door::Rollback,
        Some(_) => return Err(Problem::invalid("door must be rollout, promote or rollback")),
    };
    let allowed = Allowed::parse(asked.allow.as_deref().unwrap_or_default());
    let allowed = allowed.map_err(Problem::invalid)?;
    let max_age_secs = match asked.max_age.as_deref() {
        Some(text) => Some(span(text)?),
        None => own_max_age(&state.settings, door),
    };
    let patience = Patience::read(asked.wait.as_deref(), asked.since)?;
    let (standing, _) = verdict::awaited(&state, &id, patience).await?;
    let answer = gate::answer(door, standing, &allowed, max_age_secs);
    state.metrics.daemon.gate_asked(door.as_str(), answer.is_open);
    let opened = Opened {
        gate: door.as_str(),
        open: answer.is_open,
        verdict: gate::flat(&answer.standing, &state.external_url),
        sentence: answer.sentence,
    };
    let is_refused = asked.fail == Some(true) && !opened.open;
    let status = if is_refused { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let mut response = (status, Json(opened)).into_response();
    response.extensions_mut().insert(Plain);
    Ok(response)
}

/// `10m`, `55s` or plain seconds.
pub(super) fn span(text: &str) -> Result<i64, Problem> {
    let refused = || Problem::invalid("write a length of time as 55s, 10m or 2h");
    gate::span_secs(text).ok_or_else(refused)
}
