//! Server-rendered pages: readable without JavaScript, in the dark, on a phone and on paper.
//!
//! Every state is an icon, a word and a colour. Text of users is escaped by the template engine;
//! numbers come from the frozen record through the same prose as chat and terminal.

mod alarms;
mod evaluation;
mod notice;
mod portfolio;
mod silences;

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use judge::analyse::GuardrailState;
use judge::lifecycle::{Life, LifeState};
use judge::record::EvaluationRecord;
use judge::spec;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::{HttpState, Problem, experiments};
use crate::cycle::say::word;
use crate::deliver::ActionConfig;
use crate::plain;
use crate::store::{ExperimentRow, LogFilter};

/// Newest log entries on a page.
const LOG_ENTRIES: usize = 100;

pub(super) async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("assets/style.css")).into_response()
}

pub(super) async fn portfolio(State(state): State<HttpState>) -> Result<Markup, Problem> {
    portfolio::page(&state).await
}

pub(super) async fn experiment(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let row = experiments::find(&state, &id).await?;
    // After a rearm the old stop says nothing about where it stands.
    let standing = experiments::standing_record(&state, &id).await?;
    let mut record = standing.filter(|_| row.last.is_some());
    if let (Some(record), Some(context)) = (&mut record, state.store.context(&id).await?) {
        // Guardrails are looked at far more often than signals: this page shows them as they are.
        record.guardrails = context.guardrails;
        let open = state.store.open_alarms().await?.into_iter();
        record.alarms.extend(open.filter(|kept| kept.experiment == id).map(|kept| kept.alarm));
    }
    let evaluations = state.store.evaluations(&id, None, 25).await?;
    let actions = state.store.action_state(&id).await?.into_iter().map(|action| {
        let target = state.settings.actions.get(&action.action).map(ActionConfig::target);
        (action, target)
    });
    let actions: Vec<_> = actions.collect();
    let filter = LogFilter { experiment: Some(id), limit: 25, ..LogFilter::default() };
    let log = state.store.decisions(filter).await?;
    let lacks = lacks(&state, &row).await?;
    Ok(evaluation::experiment_page(&row, record.as_ref(), &lacks, &actions, &evaluations, &log))
}

/// What a draft still lacks, as `verdictd check` says it; nothing of any other life.
async fn lacks(state: &HttpState, row: &ExperimentRow) -> Result<Vec<String>, Problem> {
    let is_draft =
        serde_json::from_str::<LifeState>(&row.life_json).is_ok_and(|it| it.life == Life::Draft);
    if !is_draft {
        return Ok(Vec::new());
    }
    let revisions = state.store.revisions(&row.id).await?;
    let Some(file) = revisions.into_iter().find(|one| one.revision == row.revision) else {
        return Ok(Vec::new());
    };
    let first_seen = Some(row.first_seen_at);
    let found = spec::check(&file.file, &file.text, &spec::Context::default(), first_seen);
    let missing = found.diagnostics.into_iter().filter(|one| one.code.starts_with('D'));
    Ok(missing.map(|one| format!("{} ({})", one.message, one.code)).collect())
}

/// By number, as pages link, or by evaluation id, as messages link.
pub(super) async fn evaluation(
    State(state): State<HttpState>,
    Path((id, which)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    let found = if let Ok(number) = which.parse::<u64>() {
        state.store.evaluation(&id, number).await?
    } else {
        let found = state.store.evaluation_by_id(&which).await?;
        found.filter(|(row, _)| row.experiment == id)
    };
    let (row, text) =
        found.ok_or_else(|| Problem::not_found(format!("`{id}` has no evaluation {which}")))?;
    let record = EvaluationRecord::from_json(&text)?;
    Ok(evaluation::evaluation_page(&row, &record))
}

pub(super) async fn alarms(State(state): State<HttpState>) -> Result<Markup, Problem> {
    alarms::page(&state).await
}

pub(super) use notice::{AskedOf, answer_page, ask_page};
pub(super) use silences::said_page;

pub(super) async fn silences(State(state): State<HttpState>) -> Result<Markup, Problem> {
    silences::page(&state).await
}

/// Which entries of the log.
#[derive(Debug, Deserialize)]
pub(super) struct LogQuery {
    experiment: Option<String>,
}

pub(super) async fn log(
    State(state): State<HttpState>,
    Query(query): Query<LogQuery>,
) -> Result<Markup, Problem> {
    let filter = LogFilter {
        experiment: query.experiment.clone(),
        limit: LOG_ENTRIES,
        ..LogFilter::default()
    };
    let rows = state.store.decisions(filter).await?;
    let body = html! {
        h1 { "Decision log" }
        @if let Some(id) = &query.experiment {
            p { "Of " a href=(format!("./x/{id}")) { (id) } " only. " a href="./log" { "All" } }
        }
        @if rows.is_empty() { p { "Nothing was decided yet." } }
        (evaluation::log_list(&rows))
    };
    Ok(layout("Decision log", ".", &body))
}

/// The frame of every page; `up` is the relative way to the root, so that a path prefix works.
/// What came from outside is taken out of marks that turn a line around, here for every page.
fn layout(title: &str, up: &str, body: &Markup) -> Markup {
    let (title, body) = (plain::line(title), PreEscaped(plain::lines(&body.0)));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · verdictd" }
                link rel="stylesheet" href=(format!("{up}/assets/style.css"));
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    strong { a href=(format!("{up}/")) { "verdictd" } }
                    nav aria-label="Pages" {
                        a href=(format!("{up}/")) { "Portfolio" } " "
                        a href=(format!("{up}/alarms")) { "Alarms" } " "
                        a href=(format!("{up}/silences")) { "Silences" } " "
                        a href=(format!("{up}/log")) { "Decision log" }
                    }
                }
                main id="main" { (body) }
                footer { p.soft { "verdictd " (env!("CARGO_PKG_VERSION")) " · times are UTC" } }
            }
        }
    }
}

/// Icon, word and colour of a verdict.
fn chip(verdict: &str, cause: &str) -> Markup {
    let icon = match verdict {
        "continue" => "●",
        "change" => "◆",
        "stop" => "■",
        "hold" => "!",
        _ => "○",
    };
    let words = if cause.is_empty() || verdict == "collecting" {
        verdict.to_owned()
    } else {
        format!("{verdict}: {}", cause.replace('_', " "))
    };
    html! {
        span.chip.(verdict) { span aria-hidden="true" { (icon) } " " (words) }
    }
}

/// Icon, word and colour of a guardrail's state.
fn guardrail_chip(state: GuardrailState) -> Markup {
    let icon = match state {
        GuardrailState::Ok => "●",
        GuardrailState::Tripped => "▲",
        GuardrailState::NoData | GuardrailState::SourceError => "!",
        GuardrailState::Burning | GuardrailState::Unproven | GuardrailState::Insufficient => "○",
    };
    let name = word(&state);
    html! {
        span.chip.(name) { span aria-hidden="true" { (icon) } " " (name.replace('_', " ")) }
    }
}

/// The headline without the words that stand beside it anyway.
fn reason<'a>(headline: &'a str, experiment: &str) -> &'a str {
    let start = format!(" - {experiment}: ");
    headline.split_once(start.as_str()).map_or(headline, |(_, reason)| reason)
}

/// An instant to the minute.
fn minute(at: judge::time::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
