//! `/alarms`: what is on with its numbers, what is over, which proxies predicted, the kill list.

use judge::decide::AlarmSeverity;
use judge::prose::alarm_said;
use judge::watch::{Kept, proxy_sentence};
use maud::{Markup, html};

use super::{layout, minute};
use crate::cycle::say::word;
use crate::http::{HttpState, Problem, alarms};

/// Alarms that are over, on the page.
const MOST_CLEARED: usize = 25;

/// Renders the page.
pub(in crate::http) async fn page(state: &HttpState) -> Result<Markup, Problem> {
    let on = state.store.alarms_on().await?;
    let cleared = state.store.cleared_alarms().await?;
    let (report, _) = alarms::report(state).await?;
    let body = html! {
        h1 { "Alarms" }
        @if on.is_empty() { p { "No alarm is on." } } @else { (table(&on)) }
        @if !report.kill_list.is_empty() {
            h2 { "Kill list" }
            p { (report.kill_sentence) }
        }
        @if !report.proxies.is_empty() {
            h2 { "Which proxies predicted" }
            ul { @for row in &report.proxies { li { (proxy_sentence(row)) } } }
        }
        @if !cleared.is_empty() {
            h2 { "All clear" }
            ul { @for kept in cleared.iter().take(MOST_CLEARED) { (over(kept)) } }
        }
    };
    Ok(layout("Alarms", ".", &body))
}

fn table(on: &[Kept]) -> Markup {
    html! {
        div.scroll {
            table.cards {
                caption.soft { "On now, the portfolio's own first" }
                thead {
                    tr {
                        th scope="col" { "Experiment" }
                        th scope="col" { "Alarm" }
                        th scope="col" { "Since" }
                        th scope="col" { "Clears with" }
                    }
                }
                tbody { @for kept in on { (row(kept)) } }
            }
        }
    }
}

fn row(kept: &Kept) -> Markup {
    let alarm = &kept.alarm;
    let numbers = alarm.numbers.iter();
    let numbers = numbers.map(|(name, x)| format!("{} {}", name.replace('_', " "), short(*x)));
    let numbers: Vec<String> = numbers.collect();
    html! {
        tr {
            th scope="row" {
                @if kept.experiment.is_empty() { "portfolio" } @else {
                    a href=(format!("./x/{}", kept.experiment)) { (kept.experiment) }
                }
            }
            td data-label="Alarm" {
                span.chip.stop {
                    span aria-hidden="true" { "▲" } " " (alarm.kind.as_str().replace('_', " "))
                    @if alarm.severity == AlarmSeverity::Suspected { " (suspected)" }
                }
                @if let Some(cause) = &alarm.cause { " " (word(cause).replace('_', " ")) }
                @if !alarm.subject.is_empty() { " " (alarm.subject) }
                p { (alarm_said(alarm)) }
                @if !alarm.numbers.is_empty() {
                    details { summary { "Numbers" } p.soft { (numbers.join(", ")) } }
                }
            }
            td data-label="Since" {
                @if let Some(since) = alarm.since { (minute(since)) } @else { "-" }
            }
            td data-label="Clears with" { (alarm.clears) }
        }
    }
}

/// Three decimals; of what these would hide, two digits.
fn short(x: f64) -> String {
    if x != 0.0 && x.abs() < 0.000_5 { format!("{x:.1e}") } else { format!("{x:.3}") }
}

fn over(kept: &Kept) -> Markup {
    let who = if kept.experiment.is_empty() { "portfolio" } else { &kept.experiment };
    html! {
        li {
            (who) ": " (kept.key.replace('_', " "))
            @if let Some(at) = kept.cleared_at { " cleared " (minute(at)) }
            @if let Some(since) = kept.alarm.since { span.soft { ", on since " (minute(since)) } }
        }
    }
}
