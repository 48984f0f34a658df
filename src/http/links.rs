//! `/n/{token}`: the links of messages that acknowledge or snooze.
//!
//! Following a link shows what it would do and changes nothing; the form on that page does it. The
//! name in the form is not proven and is marked so in the log; the link is.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use judge::time::Timestamp;
use maud::Markup;

use super::silences::{self, Form};
use super::{HttpState, Problem, pages};
use crate::cycle::policy::{self, Acknowledged, By, Seen, Silenced};
use crate::deliver::policy::links::{Act, LinkError, Token};
use crate::store::OutboxRow;

/// A link that was believed.
#[derive(Debug)]
pub(super) struct Believed {
    token: Token,
    row: OutboxRow,
}

/// What came of a link.
#[derive(Debug)]
pub(super) enum Done {
    /// It was done now: by whom, and what it means.
    Fresh(String),
    /// It was done before: by whom, and when.
    Already(String),
}

/// The verb of a link, as its button says it.
pub(super) fn title(link: &Believed) -> &'static str {
    match link.token.act {
        Act::Acknowledge => "Acknowledge",
        Act::Snooze => "Snooze",
    }
}

/// Believes the last part of a link, or says why not.
pub(super) async fn believe(state: &HttpState, text: &str) -> Result<Believed, Problem> {
    let gone = |error: LinkError| {
        let status = match error {
            LinkError::Forged => StatusCode::NOT_FOUND,
            LinkError::Expired => StatusCode::GONE,
        };
        Problem::new(status, "link", error.to_string())
    };
    let token = Token::parse(text).map_err(gone)?;
    let row = state.store.notice_row(&token.notice).await?;
    let row = row.ok_or_else(|| gone(LinkError::Forged))?;
    let key = silences::key(state).await?;
    key.check(&token, &row.partition, state.clock.wall_now()).map_err(gone)?;
    Ok(Believed { token, row })
}

/// What was done with the link before, in words.
async fn used(state: &HttpState, link: &Believed) -> Result<Option<String>, Problem> {
    let notice = &link.token.notice;
    if link.token.act == Act::Acknowledge {
        let ack = state.store.acknowledgement(notice).await?;
        return Ok(ack.map(|ack| already("acknowledged", &ack.who, ack.at)));
    }
    let silence = state.store.silence(&policy::snooze_id(notice)).await?;
    Ok(silence.map(|it| {
        format!("{}, until {}", already("snoozed", &it.author, it.created_at), it.over_at())
    }))
}

fn already(what: &str, who: &str, at: Timestamp) -> String {
    format!("already {what} by {who} at {}", at.strftime("%Y-%m-%d %H:%M UTC"))
}

pub(super) async fn show(State(state): State<HttpState>, Path(text): Path<String>) -> Response {
    match asked(&state, &text).await {
        Ok(page) => page.into_response(),
        Err(problem) => silences::refusal("..", &problem),
    }
}

async fn asked(state: &HttpState, text: &str) -> Result<Markup, Problem> {
    let link = believe(state, text).await?;
    let used = used(state, &link).await?;
    Ok(pages::ask_page(&pages::AskedOf {
        row: &link.row,
        act: link.token.act,
        token: text,
        used: used.as_deref(),
        snooze_hours: state.settings.notify.snooze_hours,
    }))
}

pub(super) async fn perform(
    State(state): State<HttpState>,
    Path(text): Path<String>,
    body: Bytes,
) -> Response {
    match performed(&state, &text, &Form::read(&body)).await {
        Ok((status, title, words)) => pages::answer_page(status, title, &words),
        Err(problem) => silences::refusal("..", &problem),
    }
}

async fn performed(
    state: &HttpState,
    text: &str,
    form: &Form,
) -> Result<(StatusCode, &'static str, String), Problem> {
    let link = believe(state, text).await?;
    if form.get("token") != text {
        let detail = "this form belongs to another link; open the link again";
        return Err(Problem::new(StatusCode::FORBIDDEN, "form", detail));
    }
    let done = act(state, &link, form.get("name"), form.get("because"), By::Link).await?;
    Ok(match done {
        Done::Fresh(words) => {
            let title = match link.token.act {
                Act::Acknowledge => "Acknowledged",
                Act::Snooze => "Snoozed",
            };
            (StatusCode::OK, title, words)
        }
        Done::Already(words) => (StatusCode::CONFLICT, "Already done", words),
    })
}

/// Does what a believed link says, once.
pub(super) async fn act(
    state: &HttpState,
    link: &Believed,
    who: &str,
    because: &str,
    by: By,
) -> Result<Done, Problem> {
    let before = |used: String| Done::Already(format!("This was {used}."));
    if let Some(used) = used(state, link).await? {
        return Ok(before(used));
    }
    let seen = Seen { notice: &link.token.notice, who, because, by };
    let (store, clock) = (&state.store, &*state.clock);
    Ok(match link.token.act {
        Act::Acknowledge => match policy::acknowledge(store, clock, seen).await? {
            Acknowledged::Fresh(ack) => {
                Done::Fresh(format!("{} has seen it. The decision log says so.", ack.who))
            }
            Acknowledged::Already(ack) => before(already("acknowledged", &ack.who, ack.at)),
        },
        Act::Snooze => {
            let hours = state.settings.notify.snooze_hours;
            match policy::snooze(store, clock, seen, hours).await? {
                Silenced::Fresh(row) => Done::Fresh(format!(
                    "{} snoozed it. It is not told again until {}.",
                    row.author, row.ends_at
                )),
                Silenced::Already(row) => before(already("snoozed", &row.author, row.created_at)),
            }
        }
    })
}
