//! `/`: all experiments in one table, worst first.

use judge::analyse::{Evidence, GuardrailState, SignalView};
use judge::lifecycle::LifeState;
use judge::prose;
use judge::record::EvaluationRecord;
use judge::spec::Role;
use judge::stats::{Interval, UNBOUNDED};
use judge::time::{DAY_MS, Timestamp, ms_between};
use maud::{Markup, html};

use super::{chip, layout, minute};
use crate::cycle::say::word;
use crate::http::{HttpState, Problem, experiments};
use crate::store::{BrokenFile, ExperimentRow};

/// Rows with a record of their own on the page.
const MAX_ROWS: usize = 200;

struct Row {
    stored: ExperimentRow,
    life: Option<LifeState>,
    record: Option<EvaluationRecord>,
}

/// Renders the portfolio.
pub(in crate::http) async fn page(state: &HttpState) -> Result<Markup, Problem> {
    let mut rows = Vec::new();
    let all = state.store.experiments().await?;
    let count = all.len();
    for row in all.into_iter().take(MAX_ROWS) {
        let record = experiments::standing_record(state, &row.id).await?;
        let record = record.filter(|_| row.last.is_some());
        let life = serde_json::from_str(&row.life_json).ok();
        rows.push(Row { stored: row, life, record });
    }
    rows.sort_by_key(|row| (urgency(row), row.stored.id.clone()));
    let broken = state.store.broken_files().await?;
    let now = state.clock.domain_now();
    let body = html! {
        h1 { "Portfolio" }
        @if rows.is_empty() && broken.is_empty() { (empty()) } @else {
            (counts(&rows, &broken))
            (table(&rows, &broken, now))
            @if count > MAX_ROWS { p.soft { "The first " (MAX_ROWS) " of " (count) " are shown." } }
        }
    };
    Ok(layout("Portfolio", ".", &body))
}

/// Tripped, cannot evaluate, stop, hold, change, then by life.
fn urgency(row: &Row) -> u8 {
    if row.stored.worst_guardrail == Some(GuardrailState::Tripped) {
        return 0;
    }
    match row.stored.last.as_ref().map(|last| last.verdict.as_str()) {
        Some("stop") => 1,
        Some("hold") => 2,
        Some("change") => 3,
        None => 4,
        Some("collecting") => 5,
        Some(_) => 6,
    }
}

fn counts(rows: &[Row], broken: &[BrokenFile]) -> Markup {
    let of = |verdict: &str| {
        rows.iter()
            .filter(|row| {
                row.stored.last.as_ref().map(|last| last.verdict.as_str()) == Some(verdict)
            })
            .count()
    };
    html! {
        ul.counts {
            @for verdict in ["stop", "hold", "change", "collecting", "continue"] {
                li { (chip(verdict, "")) " " (of(verdict)) }
            }
            @if !broken.is_empty() {
                li { span.chip.broken { "✗ broken file" } " " (broken.len()) }
            }
        }
    }
}

fn table(rows: &[Row], broken: &[BrokenFile], now: Timestamp) -> Markup {
    html! {
        div.scroll {
            table.cards {
                caption.soft { "Experiments, worst first" }
                thead {
                    tr {
                        th scope="col" { "Experiment" }
                        th scope="col" { "Verdict" }
                        th scope="col" { "Why" }
                        th scope="col" { "Proxy" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Guardrails" }
                        th scope="col" { "Checkpoint" }
                    }
                }
                tbody {
                    @for file in broken { (broken_row(file)) }
                    @for row in rows { (experiment_row(row, now)) }
                }
            }
        }
    }
}

fn broken_row(file: &BrokenFile) -> Markup {
    html! {
        tr {
            th scope="row" { (file.file) }
            td { span.chip.broken { "✗ broken file" } }
            td colspan="5" {
                details {
                    summary { (file.diagnostics_text.lines().next().unwrap_or_default()) }
                    pre { (file.diagnostics_text) }
                }
            }
        }
    }
}

fn experiment_row(row: &Row, now: Timestamp) -> Markup {
    let link = format!("./x/{}", row.stored.id);
    html! {
        tr {
            th scope="row" {
                a href=(link) { bdi { (row.stored.title) } }
                div.soft {
                    (row.stored.id)
                    @if let Some(life) = &row.life { " · " (life_words(life)) }
                }
                @if let Some(record) = &row.record {
                    div.soft { "owner " bdi { (record.input.experiment.owner.name) } }
                }
            }
            @match &row.stored.last {
                Some(last) => {
                    td data-label="Verdict" { (chip(&last.verdict, &last.cause)) }
                    td data-label="Why" {
                        (super::reason(&row.stored.headline().unwrap_or_default(), &row.stored.id))
                        div.soft {
                            "looked at " (minute(last.scheduled_at))
                            @if let Some(at) = last.data_as_of { ", data as of " (minute(at)) }
                        }
                    }
                }
                None => {
                    td data-label="Verdict" { span.chip.none { "○ not looked at yet" } }
                    td data-label="Why" {}
                }
            }
            td.num data-label="Proxy" { (changes(row, Role::Proxy)) }
            td.num data-label="Outcome" { (changes(row, Role::Outcome)) }
            td data-label="Guardrails" { (guardrail(row)) }
            td.num data-label="Checkpoint" { (checkpoint(row, now)) }
        }
    }
}

fn life_words(life: &LifeState) -> String {
    let words = word(&life.life).replace('_', " ");
    if life.cycle.number > 1 { format!("{words}, cycle {}", life.cycle.number) } else { words }
}

fn changes(row: &Row, role: Role) -> Markup {
    let signals = row.record.iter().flat_map(|record| &record.signals);
    let signals: Vec<&SignalView> = signals.filter(|signal| signal.role == role).collect();
    html! {
        @for signal in signals {
            div {
                div.soft { (signal.name) }
                strong { (change(signal)) }
                @let range = interval(signal);
                @if !range.is_empty() { div.soft { (range) } }
            }
        }
    }
}

/// The estimate, or why there is none.
pub(super) fn change(signal: &SignalView) -> String {
    match &signal.evidence {
        Some(evidence) => number(signal, evidence)(evidence.estimate),
        None => word(&signal.state).replace('_', " "),
    }
}

/// The always-valid interval of the change; empty without evidence.
pub(super) fn interval(signal: &SignalView) -> String {
    let evidence = signal.evidence.as_ref();
    evidence.map_or_else(String::new, |seen| range(&seen.interval, &number(signal, seen)))
}

/// Changes carry a sign; without a comparison the number is a level.
fn number<'a>(signal: &'a SignalView, evidence: &'a Evidence) -> impl Fn(f64) -> String + 'a {
    let unit = signal.unit.as_deref();
    move |value| match evidence.comparison {
        Some(_) => prose::format_change(value, evidence.relative, signal.form, unit),
        None => prose::format_level(value, signal.form, unit),
    }
}

/// Both ends of an interval; an end without a bound says so.
pub(super) fn range(interval: &Interval, number: &impl Fn(f64) -> String) -> String {
    let end = |value: f64, open: &str| {
        if value.abs() >= UNBOUNDED { open.to_owned() } else { number(value) }
    };
    format!("{} to {}", end(interval.lo, "no lower bound"), end(interval.hi, "no upper bound"))
}

fn guardrail(row: &Row) -> Markup {
    let Some(state) = row.stored.worst_guardrail else {
        return html! { span.soft { "none" } };
    };
    super::guardrail_chip(state)
}

fn checkpoint(row: &Row, now: Timestamp) -> Markup {
    use judge::lifecycle::Life;
    let running = row
        .life
        .as_ref()
        .filter(|life| matches!(life.life, Life::Running | Life::Scheduled | Life::Paused));
    let Some(life) = running else {
        let is_draft = row.life.as_ref().is_some_and(|life| life.life == Life::Draft);
        return html! { span.soft { @if is_draft { "not begun" } @else { "over" } } };
    };
    let days = ms_between(now, life.cycle.checkpoint_at) as f64 / DAY_MS as f64;
    html! {
        @if days >= 0.0 {
            "in " (prose::count(days.ceil())) @if days.ceil() == 1.0 { " day" } @else { " days" }
        } @else { "open" }
        div.soft { (minute(life.cycle.checkpoint_at)) }
    }
}

fn empty() -> Markup {
    html! {
        p { "No experiments yet. Three steps to the first one:" }
        ol {
            li { "Write a file: " code { "verdictd new --template product my-test" } }
            li { "Fill in its blanks until " code { "verdictd check my-test.yaml" } " is content." }
            li { "Put it into the experiments folder; the daemon takes it up by itself." }
        }
    }
}
