//! `/api/v1/silences` and the forms of `/silences`: made, listed, ended.
//!
//! The author is the identity of the token, over the API and in a form alike: a page has no
//! session, so each form asks for the token. A form also carries a mark that this daemon signed,
//! so that no other site can make a browser send one.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use judge::time::{Timestamp, add_ms};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{self, Identity};
use super::signed::Caller;
use super::{HttpState, Problem, pages};
use crate::cycle::policy::{self, By, NewSilence, Silenced};
use crate::deliver::policy::links::{self, Act, LinkKey, Token};
use crate::deliver::policy::{Matcher, Severity};
use crate::store::SilenceRow;

const HOUR_MS: i64 = 3_600_000;
/// How long a form may lie open.
const FORM_MS: i64 = 12 * HOUR_MS;
/// What a form's mark is about.
const FORM: &str = "form";

/// A silence as it is sent; an end or a duration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    #[serde(rename = "match")]
    matcher: Matcher,
    reason: String,
    ends_at: Option<Timestamp>,
    hours: Option<u32>,
}

/// Why it is ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    because: Option<String>,
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<Value>, Problem> {
    let now = state.clock.wall_now();
    let rows = state.store.all_silences().await?;
    let rows: Vec<Value> = rows.iter().map(|row| silence_json(row, now)).collect();
    Ok(Json(json!({"schema": "verdictd/silences/1", "silences": rows})))
}

pub(super) async fn one(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = state.store.silence(&id).await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("no silence `{id}`")))?;
    Ok(Json(silence_json(&row, state.clock.wall_now())))
}

pub(super) async fn add(
    State(state): State<HttpState>,
    Caller(identity): Caller,
    body: Result<Json<New>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(new) =
        body.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    let now = state.clock.wall_now();
    let ends_at = match (new.ends_at, new.hours) {
        (Some(ends_at), None) => ends_at,
        (None, Some(hours)) => add_ms(now, i64::from(hours) * HOUR_MS),
        _ => return Err(Problem::invalid("send either `ends_at` or `hours`")),
    };
    let row = make(&state, &identity, new.matcher, ends_at, &new.reason).await?;
    Ok((StatusCode::CREATED, Json(silence_json(&row, now))))
}

async fn make(
    state: &HttpState,
    identity: &Identity,
    matcher: Matcher,
    ends_at: Timestamp,
    reason: &str,
) -> Result<SilenceRow, Problem> {
    let new = NewSilence { matcher, ends_at, who: &identity.name, reason, by: By::Token, id: None };
    let made = policy::add_silence(&state.store, &*state.clock, new).await?;
    let (Silenced::Fresh(row) | Silenced::Already(row)) = made;
    Ok(row)
}

pub(super) async fn end(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(end): Query<End>,
    Caller(identity): Caller,
) -> Result<Json<Value>, Problem> {
    let because = end.because.unwrap_or_else(|| "ended over the API".to_owned());
    let row = policy::end_silence(&state.store, &*state.clock, &id, &identity.name, &because);
    Ok(Json(silence_json(&row.await?, state.clock.wall_now())))
}

/// One silence.
pub fn silence_json(row: &SilenceRow, now: Timestamp) -> Value {
    let matcher: Matcher = serde_json::from_str(&row.matcher_json).unwrap_or_default();
    json!({
        "id": row.id,
        "match": matcher,
        "author": row.author,
        "authenticated": row.authenticated,
        "reason": row.reason,
        "created_at": row.created_at.to_string(),
        "ends_at": row.ends_at.to_string(),
        "ended_at": row.ended_at.map(|at| at.to_string()),
        "ended_by": row.ended_by,
        "in_force": now < row.over_at(),
        "withheld": row.withheld,
    })
}

/// The fields of a form, each once.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &Bytes) -> Self {
        let pairs = url::form_urlencoded::parse(body);
        Self(pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// A field without the space around it; empty where there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value.trim())
    }

    fn list(&self, key: &str) -> Vec<String> {
        let words = self.get(key).split([',', ' ']).map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn some(&self, key: &str) -> Option<String> {
        Some(self.get(key).to_owned()).filter(|text| !text.is_empty())
    }
}

/// A mark for a form of `page`.
pub(super) async fn mark(state: &HttpState, page: &str) -> Result<String, Problem> {
    let expires_at = add_ms(state.clock.wall_now(), FORM_MS);
    Ok(key(state).await?.token(Act::Acknowledge, FORM, page, expires_at))
}

/// The key of links and marks.
pub(super) async fn key(state: &HttpState) -> Result<LinkKey, Problem> {
    let secret = state.settings.notify.link_secret.as_ref();
    links::key(secret, &state.store).await.map_err(|error| Problem::internal(&error))
}

/// Whoever sends a form must have been given it, and says who they are by a token.
async fn identity(state: &HttpState, form: &Form, page: &str) -> Result<Identity, Problem> {
    let mark = Token::parse(form.get("mark"));
    let mark = mark.ok().filter(|mark| mark.notice == FORM);
    let key = key(state).await?;
    let is_ours = mark.is_some_and(|mark| key.check(&mark, page, state.clock.wall_now()).is_ok());
    if !is_ours {
        let detail = "this form is too old or not one of ours; load the page again";
        return Err(Problem::new(StatusCode::FORBIDDEN, "form", detail));
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", form.get("token"))) {
        headers.insert(header::AUTHORIZATION, value);
    }
    auth::identify(&state.settings, &headers)
}

/// What a form silences.
fn matcher(form: &Form) -> Result<Matcher, Problem> {
    let mut severity = Vec::new();
    for word in form.list("severity") {
        let read: Result<Severity, _> = serde_json::from_value(word.clone().into());
        let fault = |_| Problem::invalid(format!("`{word}` is no severity"));
        severity.push(read.map_err(fault)?);
    }
    let mut labels = std::collections::BTreeMap::new();
    for pair in form.list("label") {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Problem::invalid(format!("write a label as name=value, not `{pair}`")));
        };
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(Matcher {
        experiment: form.some("experiment"),
        owner: form.some("owner"),
        labels,
        kind: form.list("kind"),
        alarm: form.list("alarm"),
        severity,
        ..Matcher::default()
    })
}

pub(super) async fn add_by_form(State(state): State<HttpState>, body: Bytes) -> Response {
    let form = Form::read(&body);
    match added(&state, &form).await {
        Ok(row) => {
            let words = format!("{} is in force until {}.", row.id, row.ends_at);
            pages::said_page(StatusCode::CREATED, ".", "Silenced", &words)
        }
        Err(problem) => refusal(".", &problem),
    }
}

async fn added(state: &HttpState, form: &Form) -> Result<SilenceRow, Problem> {
    let identity = identity(state, form, "silences").await?;
    let hours: i64 = form
        .get("hours")
        .parse()
        .ok()
        .filter(|hours| (1..=policy::MOST_DAYS * 24).contains(hours))
        .ok_or_else(|| Problem::invalid("say for how many hours, 1 to 720"))?;
    let ends_at = add_ms(state.clock.wall_now(), hours * HOUR_MS);
    make(state, &identity, matcher(form)?, ends_at, form.get("reason")).await
}

pub(super) async fn end_by_form(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let form = Form::read(&body);
    let ended = async {
        let identity = identity(&state, &form, "silences").await?;
        let because = form.get("reason");
        let end = policy::end_silence(&state.store, &*state.clock, &id, &identity.name, because);
        Ok::<_, Problem>(end.await?)
    };
    match ended.await {
        Ok(row) => {
            let words = format!("{} is over; what is still wrong is told now.", row.id);
            pages::said_page(StatusCode::OK, "../..", "Silence ended", &words)
        }
        Err(problem) => refusal("../..", &problem),
    }
}

/// A refusal as a page for whoever sent a form.
pub(super) fn refusal(up: &str, problem: &Problem) -> Response {
    if problem.status.is_server_error() {
        return problem.clone().into_response();
    }
    pages::said_page(problem.status, up, "Not done", &problem.detail)
}
