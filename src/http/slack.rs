//! `POST /inbound/slack`: buttons that were pressed in a chat.
//!
//! Slack signs each request with the app's signing secret; it is verified over the raw bytes
//! before anything of it is read, and taken once. What the button does is said by the token of the
//! link it stands for, so a message that another app made does nothing. Slack waits three seconds
//! for an answer: the decision is written within them, and the chat is told afterwards.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::links::{self, Done};
use super::{HttpState, Problem, signed};
use crate::cycle::policy::By;
use crate::deliver::receivers::slack_api::buttons::{App, Press};
use crate::inbound::{self, Refused, ReplayCache, Verified};

/// Largest request: Slack sends our message along, each byte of it as three.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;
/// Slack gives up after three seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// Chats that are told at the same time what came of a button; further ones are not told.
const MOST_TOLD: usize = 8;

/// The apps whose buttons are taken, and what was taken of them.
#[derive(Debug)]
pub(super) struct Desk {
    apps: Vec<Arc<App>>,
    taken: ReplayCache,
    telling: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(state: &HttpState) -> Self {
        let apps = App::all(state.settings.receivers.iter());
        Self {
            apps: apps.into_iter().map(Arc::new).collect(),
            taken: ReplayCache::new(state.clock.wall_now()),
            telling: Arc::new(Semaphore::new(MOST_TOLD)),
        }
    }

    /// The app that signed this request, taken for the first time.
    fn admit(
        &self,
        state: &HttpState,
        headers: &axum::http::HeaderMap,
        body: &[u8],
    ) -> Result<(Arc<App>, Verified), Refused> {
        let now = state.clock.wall_now();
        let mut refused = Refused::Signature;
        for app in &self.apps {
            let Ok(secret) = app.signing_secret.read() else {
                tracing::warn!(receiver = app.receiver, "the signing secret cannot be read");
                continue;
            };
            match inbound::slack(&secret, headers, body, now) {
                Ok(verified) => {
                    self.taken.admit(&verified, now)?;
                    return Ok((app.clone(), verified));
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

pub(super) async fn pressed(
    State(state): State<HttpState>,
    Extension(desk): Extension<Arc<Desk>>,
    request: Request,
) -> Result<Response, Problem> {
    if desk.apps.is_empty() {
        return Err(Problem::not_found("no receiver of kind slack_api has a `signing_secret`"));
    }
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let detail = "Slack sends application/x-www-form-urlencoded";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body", detail));
    }
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        let detail = format!("the body may have at most {MAX_BODY_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail));
    };
    let (app, verified) = desk.admit(&state, &parts.headers, &body).map_err(signed::refusal)?;
    let mut fields = url::form_urlencoded::parse(&body);
    let payload = fields.find(|(name, _)| name == "payload").map(|(_, text)| text);
    let press = Press::read(payload.as_deref().unwrap_or_default()).map_err(Problem::invalid)?;
    let Some(press) = press else {
        return Ok(StatusCode::OK.into_response());
    };
    let acted = tokio::time::timeout(ANSWER_WITHIN, act(&state, &press)).await;
    let (words, is_for_all) = match acted {
        Ok(Ok(told)) => told,
        Ok(Err(problem)) if problem.status.is_server_error() => {
            desk.taken.forget(&verified);
            return Err(problem);
        }
        Ok(Err(problem)) => (format!("Not done: {}.", problem.detail), false),
        Err(_) => {
            let detail = "the store is busy; press the button again";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
        }
    };
    tell(&state, &desk, app, press, words, is_for_all);
    Ok(StatusCode::OK.into_response())
}

/// Does what the button says: the sentence about it, and whether everybody should read it.
async fn act(state: &HttpState, press: &Press) -> Result<(String, bool), Problem> {
    let link = links::believe(state, &press.token).await?;
    let because = format!("the button {} was pressed in Slack", links::title(&link));
    let done = links::act(state, &link, &press.who, &because, By::Slack).await?;
    Ok(match done {
        Done::Fresh(words) => (words, true),
        Done::Already(words) => (words, false),
    })
}

/// Tells the chat, after the answer and at most once: the decision log has it already.
fn tell(
    state: &HttpState,
    desk: &Desk,
    app: Arc<App>,
    press: Press,
    words: String,
    is_for_all: bool,
) {
    let Ok(permit) = desk.telling.clone().try_acquire_owned() else {
        tracing::warn!(receiver = app.receiver, "too many buttons at once: the chat is not told");
        return;
    };
    let now = state.clock.wall_now();
    tokio::spawn(async move {
        if let Err(error) = app.tell(&press, &words, is_for_all, now).await {
            tracing::warn!(receiver = app.receiver, %error, "the chat was not told");
        }
        drop(permit);
    });
}
