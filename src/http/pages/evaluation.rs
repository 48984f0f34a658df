//! `/x/{id}` and `/x/{id}/e/{n}`: why this verdict, clause by clause, from the frozen record.

use judge::analyse::{AtomView, GuardrailStatus, Truth};
use judge::prose;
use judge::record::EvaluationRecord;
use maud::{Markup, html};

use super::{chip, layout, minute};
use crate::cycle::say::word;
use crate::deliver;
use crate::store::{EvaluationRow, ExperimentRow, LogRow};

/// The experiment with its newest evaluation.
pub(super) fn experiment_page(
    row: &ExperimentRow,
    record: Option<&EvaluationRecord>,
    evaluations: &[EvaluationRow],
    log: &[LogRow],
) -> Markup {
    let body = html! {
        h1 { (row.title) }
        @match record {
            Some(record) => { (verdict(record)) (story(record)) (why(record)) }
            None => p { "Not looked at yet." }
        }
        h2 { "Evaluations" }
        (evaluation_list(evaluations))
        h2 { "Decision log" }
        @if log.is_empty() { p.soft { "Nothing was decided yet." } }
        (log_list(log))
    };
    layout(&row.title, "..", &body)
}

/// One evaluation for ever.
pub(super) fn evaluation_page(row: &EvaluationRow, record: &EvaluationRecord) -> Markup {
    let title = format!(
        "{} · evaluation {}",
        record.input.experiment.title, row.number
    );
    let body = html! {
        h1 { (record.input.experiment.title) }
        p.soft {
            "Evaluation " (row.number) " of " (minute(row.scheduled_at)) ", id " code { (row.id) }
            ", revision " code { (record.input.experiment.revision) }
            @if let Some(revised) = &row.revises { ", revises " code { (revised) } }
        }
        (verdict(record)) (story(record)) (why(record)) (ledger(record))
    };
    layout(&title, "../../..", &body)
}

fn verdict(record: &EvaluationRecord) -> Markup {
    let decision = &record.decision;
    html! {
        p { (chip(&word(&decision.verdict), &word(&decision.cause))) }
        p { strong { (prose::headline(record)) } }
        p { (prose::what_next(record)) }
        @for alarm in &record.alarms {
            p.chip.stop { "▲ " (word(&alarm.kind).replace('_', " ")) " (" (word(&alarm.severity)) ")" }
            p.soft { "clears when " (alarm.clears) }
        }
    }
}

fn story(record: &EvaluationRecord) -> Markup {
    let experiment = &record.input.experiment;
    html! {
        dl {
            @for aim in &experiment.aims { dt { "Aim" } dd { (aim.behaviour) } }
            dt { "Mechanism" }
            dd { (experiment.mechanism.we_believe) ", because " (experiment.mechanism.because) }
            dt { "Rule" } dd { code { (record.rule.text) } }
            dt { "Owner" } dd { (experiment.owner.name) " " (experiment.owner.contact) }
            dt { "Data as of" }
            dd { (record.data_as_of().map_or_else(|| "no data".to_owned(), minute)) }
        }
    }
}

fn why(record: &EvaluationRecord) -> Markup {
    html! {
        h2 { "Why this verdict" }
        div.scroll {
            table.cards {
                caption.soft { "Every clause of the rule" }
                thead {
                    tr {
                        th scope="col" { "Clause" } th scope="col" { "Met" }
                        th scope="col" { "Seen" } th scope="col" { "What would flip it" }
                    }
                }
                tbody { @for atom in &record.atoms { (clause(atom, record)) } }
            }
        }
        h2 { "Signals" }
        div.scroll {
            table.cards {
                caption.soft { "Change against the comparison, with the always-valid interval" }
                thead {
                    tr {
                        th scope="col" { "Signal" } th scope="col" { "State" }
                        th scope="col" { "Change" } th scope="col" { "Data as of" }
                    }
                }
                tbody {
                    @for signal in &record.signals {
                        tr {
                            th scope="row" {
                                (signal.name) div.soft { (word(&signal.role)) }
                            }
                            td data-label="State" { (word(&signal.state).replace('_', " ")) }
                            td.num data-label="Change" {
                                (super::portfolio::change(signal))
                                @if let Some(why) = &signal.why { div.soft { (why) } }
                            }
                            td.num data-label="Data as of" {
                                @if let Some(at) = signal.data_as_of { (minute(at)) }
                            }
                        }
                    }
                }
            }
        }
        h2 { "Guardrails" }
        @if record.guardrails.is_empty() { p.soft { "none" } }
        ul { @for status in &record.guardrails { li { (guardrail(status, record)) } } }
    }
}

fn clause(atom: &AtomView, record: &EvaluationRecord) -> Markup {
    let met = match atom.met {
        Truth::True => ("yes", "● yes"),
        Truth::False => ("no", "■ no"),
        Truth::Unknown => ("unknown", "○ not known"),
    };
    html! {
        tr {
            th scope="row" { code { (atom.text) } }
            td data-label="Met" { span class=(format!("chip {}", met.0)) { (met.1) } }
            td data-label="Seen" { (prose::atom_line(atom, record)) }
            td data-label="What would flip it" { (prose::what_would_flip(atom, record)) }
        }
    }
}

fn guardrail(status: &GuardrailStatus, record: &EvaluationRecord) -> Markup {
    let state = word(&status.state);
    html! {
        span class=(format!("chip {state}")) { (state.replace('_', " ")) } " "
        (deliver::guardrail_line(&record.input.experiment, status))
    }
}

fn ledger(record: &EvaluationRecord) -> Markup {
    html! {
        h2 { "Alpha ledger" }
        ul {
            @for line in &record.ledger {
                li {
                    (line.purpose) ": " (line.alpha) " "
                    @if line.sides == 1 { "one-sided" } @else { "two-sided" }
                    ", " (line.rule)
                }
            }
        }
    }
}

fn evaluation_list(rows: &[EvaluationRow]) -> Markup {
    html! {
        ol.log {
            @for row in rows {
                li {
                    (chip(&row.verdict, &row.cause)) " "
                    a href=(format!("./{}/e/{}", row.experiment, row.number)) {
                        "evaluation " (row.number)
                    }
                    " " span.soft { (minute(row.scheduled_at)) " " (row.track) }
                    div { (row.headline) }
                }
            }
        }
    }
}

/// Entries of the decision log, three lines each.
pub(super) fn log_list(rows: &[LogRow]) -> Markup {
    html! {
        ol.log {
            @for row in rows {
                li {
                    span.soft { (minute(row.entry.at)) " " (row.experiment) " " (row.entry.kind) }
                    @for line in row.entry.text.lines() { div { (line) } }
                }
            }
        }
    }
}
