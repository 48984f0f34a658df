//! `/x/{id}` and `/x/{id}/e/{n}`: why this verdict, clause by clause, from the frozen record.

use judge::analyse::{AtomView, Evidence, GuardrailState, GuardrailStatus, SignalView, Truth};
use judge::decide::Cause;
use judge::prose;
use judge::record::EvaluationRecord;
use judge::spec::{AtomKind, Form};
use maud::{Markup, html};

use super::{chip, layout, minute};
use crate::cycle::say::word;
use crate::deliver::{self, blast};
use crate::store::{ActionView, EvaluationRow, ExperimentRow, LogRow};

/// The experiment with its newest evaluation.
pub(super) fn experiment_page(
    row: &ExperimentRow,
    record: Option<&EvaluationRecord>,
    lacks: &[String],
    actions: &[(ActionView, Option<String>)],
    evaluations: &[EvaluationRow],
    log: &[LogRow],
) -> Markup {
    let body = html! {
        h1 { (row.title) }
        @match record {
            Some(record) => { (verdict(record, actions)) (story(record)) (why(record)) }
            None if lacks.is_empty() => p { "Not looked at yet." }
            None => {
                p { "A draft: it is not looked at until its file has what is missing." }
                ul { @for one in lacks { li { (one) } } }
            }
        }
        h2 { "Evaluations" }
        (evaluation_list(evaluations))
        h2 { "Decision log" }
        @if log.is_empty() { p.soft { "Nothing was decided yet." } }
        (log_list(log))
    };
    layout(&row.title, "..", &body)
}

fn tripped(record: &EvaluationRecord) -> impl Iterator<Item = &GuardrailStatus> {
    record.guardrails.iter().filter(|status| status.state == GuardrailState::Tripped)
}

/// One evaluation for ever.
pub(super) fn evaluation_page(row: &EvaluationRow, record: &EvaluationRecord) -> Markup {
    let title = format!("{} · evaluation {}", record.input.experiment.title, row.number);
    let body = html! {
        h1 { (record.input.experiment.title) }
        p.soft {
            "Evaluation " (row.number) " of " (minute(row.scheduled_at)) ", id " code { (row.id) }
            ", revision " code { (record.input.experiment.revision) }
            @if let Some(revised) = &row.revises { ", revises " code { (revised) } }
        }
        (verdict(record, &[])) (story(record)) (why(record)) (ledger(record))
    };
    layout(&title, "../../..", &body)
}

fn verdict(record: &EvaluationRecord, actions: &[(ActionView, Option<String>)]) -> Markup {
    let decision = &record.decision;
    html! {
        section.verdict.(word(&decision.verdict)) {
            p.big { (chip(&word(&decision.verdict), &word(&decision.cause))) }
            p { strong { (prose::because(record)) } }
            @if decision.cause != Cause::Tripped {
                @for status in tripped(record) {
                    p { strong {
                        "Guardrail " (status.name) " is tripped: "
                        (deliver::guardrail_line(&record.input.experiment, status)) "."
                    } }
                }
            }
            @if let Some(words) = prose::revision(record) { p.revision { (words) } }
            @for (action, target) in actions { (rollback(action, target.as_deref())) }
            @if let Some(words) = blast(record).sentence().filter(|_| !actions.is_empty()) {
                p.soft { (words) }
            }
            p { "Next: " (prose::what_next(record)) }
            p.soft { "Looked at " (minute(record.input.at)) ", data as of " (data_as_of(record)) }
        }
        @for finding in &record.findings {
            p.soft { "Finding: " (prose::finding_sentence(finding, record)) }
        }
        @for alarm in &record.alarms {
            p {
                span.chip.stop {
                    span aria-hidden="true" { "▲" } " "
                    (word(&alarm.kind).replace('_', " ")) " (" (word(&alarm.severity)) ")"
                }
                " " (prose::alarm_said(alarm))
                span.soft {
                    @if let Some(since) = alarm.since { " · since " (minute(since)) }
                    " · clears with " (alarm.clears)
                }
            }
        }
    }
}

fn data_as_of(record: &EvaluationRecord) -> String {
    record.data_as_of().map_or_else(|| "no data".to_owned(), minute)
}

fn story(record: &EvaluationRecord) -> Markup {
    let experiment = &record.input.experiment;
    let [aims, ..] = prose::log_entry(record);
    html! {
        dl {
            dt { "Aim" } dd { (aims.strip_prefix("Aim: ").unwrap_or(&aims)) }
            dt { "Mechanism" }
            dd { (experiment.mechanism.we_believe) ", because " (experiment.mechanism.because) }
            dt { "Rule" } dd { code { (record.rule.text) } }
            dt { "Owner" } dd { (experiment.owner.name) ", " (experiment.owner.contact) }
        }
    }
}

fn why(record: &EvaluationRecord) -> Markup {
    html! {
        h2 { "Why this verdict" }
        (clauses("Clauses of the rule: continue when", &record.rule.text, &record.atoms, record))
        @if let Some(rule) = &record.stop_rule {
            (clauses("Clauses of: stop when", &rule.text, &record.stop_atoms, record))
        }
        h2 { "Signals" }
        div.scroll {
            table.cards {
                caption.soft {
                    "Change against the comparison (level where there is none), with the "
                    "always-valid interval"
                }
                thead {
                    tr {
                        th scope="col" { "Signal" } th scope="col" { "State" }
                        th scope="col" { "Change" } th scope="col" { "Interval" }
                        th scope="col" { "Level" } th scope="col" { "Data as of" }
                    }
                }
                tbody { @for signal in &record.signals { (signal_row(signal)) } }
            }
        }
        h2 { "Guardrails" }
        @if record.guardrails.is_empty() { p.soft { "none" } } @else { (guardrails(record)) }
    }
}

fn clauses(caption: &str, rule: &str, atoms: &[AtomView], record: &EvaluationRecord) -> Markup {
    html! {
        div.scroll {
            table.cards {
                caption.soft { (caption) " " code { (rule) } }
                thead {
                    tr {
                        th scope="col" { "Wanted" } th scope="col" { "Met" }
                        th scope="col" { "Seen" } th scope="col" { "Interval" }
                        th scope="col" { "Sample" } th scope="col" { "What would flip it" }
                    }
                }
                tbody { @for atom in atoms { (clause(atom, record)) } }
            }
        }
    }
}

fn clause(atom: &AtomView, record: &EvaluationRecord) -> Markup {
    let (class, met) = match atom.met {
        Truth::True => ("yes", "● yes"),
        Truth::False => ("no", "■ no"),
        Truth::Unknown => ("unknown", "○ not known"),
    };
    let numbers = atom.evidence.as_ref().map(|evidence| {
        let scale = scale(atom, evidence, record);
        let seen = match atom.kind {
            AtomKind::Level => evidence.level.unwrap_or(evidence.estimate),
            AtomKind::Movement | AtomKind::Tolerance => evidence.estimate,
        };
        let range = super::portfolio::range(&evidence.interval, &scale);
        (scale(seen), range, prose::count(evidence.n.values().sum()))
    });
    let none = || "–".to_owned();
    let (seen, range, sample) = numbers.unwrap_or_else(|| (none(), none(), none()));
    html! {
        tr {
            th scope="row" {
                code { (atom.text) } @if atom.no_test { " (no test)" }
                @if let Some(evidence) = &atom.evidence {
                    div.soft { "by " (prose::method_line(evidence)) }
                }
            }
            td data-label="Met" { span.chip.(class) { (met) } }
            td.num data-label="Seen" { (seen) }
            td.num data-label="Interval" { (range) }
            td.num data-label="Sample" { (sample) }
            td data-label="What would flip it" { (prose::what_would_flip(atom, record)) }
        }
    }
}

/// How numbers of this clause are written.
fn scale(
    atom: &AtomView,
    evidence: &Evidence,
    record: &EvaluationRecord,
) -> impl Fn(f64) -> String + use<> {
    let signal = record.input.experiment.signal(&atom.signal);
    let form = signal.map_or(Form::Value, |signal| signal.form);
    let unit = signal.and_then(|signal| signal.unit.clone());
    let (is_level, relative) = (atom.kind == AtomKind::Level, evidence.relative);
    move |value| {
        if is_level {
            prose::format_level(value, form, unit.as_deref())
        } else {
            prose::format_change(value, relative, form, unit.as_deref())
        }
    }
}

fn signal_row(signal: &SignalView) -> Markup {
    let level = |value| prose::format_level(value, signal.form, signal.unit.as_deref());
    let evidence = signal.evidence.as_ref();
    let levels = evidence.and_then(|seen| Some((level(seen.comparison?), level(seen.level?))));
    html! {
        tr {
            th scope="row" { (signal.name) div.soft { (word(&signal.role)) } }
            td data-label="State" {
                (word(&signal.state).replace('_', " "))
                @if let Some(why) = &signal.why { div.soft { (why) } }
            }
            td.num data-label="Change" { (super::portfolio::change(signal)) }
            td.num data-label="Interval" { (super::portfolio::interval(signal)) }
            td.num data-label="Level" {
                @if let Some((from, to)) = levels { (from) " → " (to) }
                @if let Some(target) = signal.target { div.soft { "aim " (level(target)) } }
            }
            td.num data-label="Data as of" {
                @if let Some(at) = signal.data_as_of { (minute(at)) }
            }
        }
    }
}

fn guardrails(record: &EvaluationRecord) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead {
                    tr {
                        th scope="col" { "Guardrail" } th scope="col" { "State" }
                        th scope="col" { "Seen" } th scope="col" { "If it trips" }
                        th scope="col" { "Looked at" }
                    }
                }
                tbody { @for status in &record.guardrails { (guardrail(status, record)) } }
            }
        }
    }
}

fn guardrail(status: &GuardrailStatus, record: &EvaluationRecord) -> Markup {
    html! {
        tr {
            th scope="row" { (status.name) div.soft { (status.kind.replace('_', " ")) } }
            td data-label="State" { (super::guardrail_chip(status.state)) }
            td data-label="Seen" {
                (deliver::guardrail_line(&record.input.experiment, status))
                @if let Some(left) = status.budget_left.filter(|_| status.burn.is_none()) {
                    div.soft { "budget left " (prose::format_level(left, Form::Proportion, None)) }
                }
            }
            td data-label="If it trips" { (word(&status.on_trip)) }
            td.num data-label="Looked at" {
                @if let Some(at) = status.evaluated_at { (minute(at)) }
            }
        }
    }
}

/// What became of a rollback; confirmed only when it was read back.
fn rollback(action: &ActionView, target: Option<&str>) -> Markup {
    let class = if action.confirmed_at.is_some() { "yes" } else { "no" };
    html! {
        p {
            "Rollback " code { (action.action) } ": "
            span.chip.(class) { (action.state.as_str()) }
            @if let Some(seconds) = action.seconds { " in " (format!("{seconds:.1}")) " s" }
            @if let Some(target) = target { div.soft { "Turns off " (target) } }
            @if let Some(detail) = &action.detail { div.soft { (detail) } }
        }
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
                    div { (super::reason(&row.headline, &row.experiment)) }
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
