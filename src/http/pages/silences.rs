//! `/silences`: what holds messages back, who has seen what, and the forms that change it.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use judge::time::Timestamp;
use maud::{Markup, html};

use super::{layout, minute};
use crate::deliver::policy::Matcher;
use crate::http::{HttpState, Problem, silences};
use crate::store::{AckRow, SilenceRow};

/// Silences that are over, and acknowledgements, on the page.
const MOST_OLD: usize = 25;

/// Renders the page.
pub(in crate::http) async fn page(state: &HttpState) -> Result<Markup, Problem> {
    let now = state.clock.wall_now();
    let rows = state.store.all_silences().await?;
    let (on, over): (Vec<_>, Vec<_>) = rows.iter().partition(|row| now < row.over_at());
    let acks = state.store.acknowledgements(None, MOST_OLD).await?;
    let mark = silences::mark(state, "silences").await?;
    let body = html! {
        h1 { "Silences" }
        p.soft { "A silence never holds back a tripwire or the result of a rollback." }
        @if on.is_empty() { p { "Nothing is silenced." } } @else { (table(&on, &mark)) }
        h2 { "Silence something" }
        (form(&mark))
        @if !acks.is_empty() {
            h2 { "Acknowledged" }
            ul { @for ack in &acks { (acknowledged(ack)) } }
        }
        @if !over.is_empty() {
            h2 { "Over" }
            ul { @for row in over.iter().take(MOST_OLD) { (ended(row)) } }
        }
    };
    Ok(layout("Silences", ".", &body))
}

fn words(row: &SilenceRow) -> String {
    let matcher: Result<Matcher, _> = serde_json::from_str(&row.matcher_json);
    matcher.map_or_else(|_| row.matcher_json.clone(), |matcher| matcher.words())
}

fn by(who: &str, authenticated: bool) -> String {
    if authenticated { who.to_owned() } else { format!("{who} (by a link, not checked)") }
}

fn table(on: &[&SilenceRow], mark: &str) -> Markup {
    html! {
        div.scroll {
            table.cards {
                caption.soft { "In force, newest first" }
                thead {
                    tr {
                        th scope="col" { "Silenced" }
                        th scope="col" { "Until" }
                        th scope="col" { "By" }
                        th scope="col" { "Because" }
                        th scope="col" { "Held back" }
                        th scope="col" { "End it" }
                    }
                }
                tbody { @for row in on { (in_force(row, mark)) } }
            }
        }
    }
}

fn in_force(row: &SilenceRow, mark: &str) -> Markup {
    html! {
        tr {
            th scope="row" { (words(row)) " " span.soft { (row.id) } }
            td data-label="Until" { (minute(row.ends_at)) }
            td data-label="By" { (by(&row.author, row.authenticated)) }
            td data-label="Because" { (row.reason) }
            td data-label="Held back" { (row.withheld) }
            td {
                details {
                    summary { "End" }
                    form.ask method="post" action=(format!("./silences/{}/end", row.id)) {
                        input type="hidden" name="mark" value=(mark);
                        label { "Because" input name="reason" required maxlength="2000"; }
                        (token())
                        button type="submit" { "End this silence" }
                    }
                }
            }
        }
    }
}

/// There is no session: whoever writes shows a token.
fn token() -> Markup {
    html! {
        label {
            "Your token"
            input name="token" type="password" required autocomplete="current-password";
        }
    }
}

fn form(mark: &str) -> Markup {
    let field = |label: &str, name: &str, hint: &str| {
        html! { label { (label) input name=(name) placeholder=(hint) maxlength="200"; } }
    };
    html! {
        form.ask method="post" action="./silences" {
            input type="hidden" name="mark" value=(mark);
            p.soft {
                "What is left empty means everything; something must be named. Several words are "
                "separated by commas, " code { "*" } " is any text."
            }
            (field("Experiment", "experiment", "checkout-*"))
            (field("Owner", "owner", "Growth*"))
            (field("Label", "label", "team=growth"))
            (field("Event types", "kind", "guardrail.no_data, data.*"))
            (field("Alarms", "alarm", "overdue_review"))
            (field("Severities", "severity", "low, normal"))
            label { "Hours" input name="hours" type="number" min="1" max="720" value="4" required; }
            label {
                "Because"
                input name="reason" required maxlength="2000" placeholder="the warehouse moves";
            }
            (token())
            button type="submit" { "Silence" }
        }
    }
}

fn acknowledged(ack: &AckRow) -> Markup {
    html! {
        li {
            (minute(ack.at)) " " (ack.partition) ": " (ack.topic) " seen by "
            (by(&ack.who, ack.authenticated)) span.soft { ", because " (ack.because) }
        }
    }
}

fn ended(row: &SilenceRow) -> Markup {
    let until: Timestamp = row.over_at();
    html! {
        li {
            (words(row)) " until " (minute(until))
            @if let Some(who) = &row.ended_by { ", ended by " (who) }
            span.soft { ", by " (by(&row.author, row.authenticated)) ": " (row.reason) ", "
                (row.withheld) " held back" }
        }
    }
}

/// One sentence as a page, with its status.
pub(in crate::http) fn said_page(
    status: StatusCode,
    up: &str,
    title: &str,
    words: &str,
) -> Response {
    let body = html! {
        h1 { (title) }
        p { (words) }
        p { a href=(format!("{up}/silences")) { "Silences and acknowledgements" } }
    };
    (status, layout(title, up, &body)).into_response()
}
