//! The pages behind the links of a message: what will happen, and what happened.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::{layout, minute, silences};
use crate::deliver::policy::links::Act;
use crate::store::OutboxRow;

/// What a link asks.
pub(in crate::http) struct AskedOf<'a> {
    pub(in crate::http) row: &'a OutboxRow,
    pub(in crate::http) act: Act,
    pub(in crate::http) token: &'a str,
    /// What was done with it before.
    pub(in crate::http) used: Option<&'a str>,
    pub(in crate::http) snooze_hours: u64,
}

/// Says what the link will do, with the form that does it.
pub(in crate::http) fn ask_page(asked: &AskedOf<'_>) -> Markup {
    let content: Value = serde_json::from_str(&asked.row.content).unwrap_or_default();
    let data = &content["data"];
    let word = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let title = match asked.act {
        Act::Acknowledge => "Acknowledge",
        Act::Snooze => "Snooze",
    };
    let experiment = data["experiment"]["id"].as_str();
    let body = html! {
        h1 { (title) }
        div.verdict.(word("verdict")) {
            p.big { (word("headline")) }
            p { (word("reason")) }
            p.soft {
                "Told " (minute(asked.row.created_at)) " UTC"
                @if let Some(id) = experiment {
                    " · " a href=(format!("../x/{id}")) { (id) }
                }
            }
        }
        @if let Some(used) = asked.used {
            p { "This was " (used) ". Nothing more is to be done here." }
        } @else {
            p { (effect(asked)) }
            form.ask method="post" action=(format!("./{}", asked.token)) {
                input type="hidden" name="token" value=(asked.token);
                label for="name" { "Your name" }
                input id="name" name="name" required maxlength="200" autocomplete="name";
                label for="because" { "Because" }
                textarea id="because" name="because" required maxlength="2000" rows="3" {}
                p.soft {
                    "Both stay in the decision log. The name is not checked: the log says that it "
                    "came by this link."
                }
                button type="submit" { (title) }
            }
        }
    };
    layout(title, "..", &body)
}

fn effect(asked: &AskedOf<'_>) -> String {
    let lasting = asked.row.told.lasting;
    match asked.act {
        Act::Acknowledge if lasting => "This records that you have seen it. It is not told again \
             while it stays as it is; its end, anything new and every tripwire are told as ever."
            .to_owned(),
        Act::Acknowledge => "This records that you have seen it. It holds no message back: a \
             tripwire is never muted."
            .to_owned(),
        Act::Snooze => format!(
            "Nothing about this is told for {} hours. If it is still wrong then, it is told once. \
             Tripwires are told as ever.",
            asked.snooze_hours
        ),
    }
}

/// Says what was done.
pub(in crate::http) fn answer_page(status: StatusCode, title: &str, words: &str) -> Response {
    silences::said_page(status, "..", title, words)
}
