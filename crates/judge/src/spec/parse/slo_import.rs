//! `slo: {openslo: file.yaml, objective: name}` and `error_budget: {openslo: ..}`: an OpenSLO
//! objective as a guardrail.
//!
//! The file lies beside the experiment file, like a query file. Its faults are told at the key
//! that names it, each with its own line; `verdictd slo FILE` shows them in place. The source is
//! `source:` if it is written, else the configured one that `metricSourceRef` names, else the
//! only configured one of the indicator's type.

use super::walk::{Fields, Walk};
use super::{keys, query};
use crate::spec::diagnostic::{Diagnostic, Severity, SourcePos};
use crate::spec::model::{ErrorBudget, GuardrailKind, Query};
use crate::spec::nearest::suggestion;
use crate::spec::openslo::{ImportedSlo, SloMethod};
use crate::spec::slo::{BudgetPeriod, BurnRules, Slo, SloScope};
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

/// Keys that the file answers.
const ANSWERED: &[&str] = &["bad", "total", "query"];

/// Whether `slo` names a file.
pub(super) fn is_import(node: &Node) -> bool {
    let Kind::Map(entries) = &node.kind else {
        return false;
    };
    entries.iter().any(|entry| entry.key == "openslo")
}

/// The guardrail that the file and the keys beside it describe.
///
/// Its period and alerts are the file's, unless `budget:` or `burn:` beside it say otherwise.
pub(super) fn slo(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    guardrail: &Fields<'_>,
) -> Option<Slo> {
    let fields = walk.fields(node, path, keys::SLO)?;
    let scope = walk.word_or(&fields, "scope", keys::SCOPES, SloScope::Service);
    let (pos, file, imported) = imported(walk, &fields)?;
    let budget = match fields.get("budget") {
        Some(_) => super::slo::budget(walk, &fields)?,
        None => imported.budget,
    };
    tell_calendar(walk, pos, &file, budget, imported.timezone.as_deref());
    let hold_for = walk.span_or(guardrail, "for", Span::ZERO, Span::ZERO)?;
    let burn = if budget == BudgetPeriod::Lifetime {
        super::slo::refuse_with_lifetime(walk, &fields);
        None
    } else {
        let known = imported.alerts.iter().map(|alert| alert.rule.clone()).collect();
        Some(super::slo::burn_rules(walk, &fields, budget, hold_for, known)?)
    };
    let slo = slo_of(walk, &fields, imported, scope?, (budget, burn))?;
    super::slo::refuse_infeasible(walk, &fields, &slo)?;
    Some(slo)
}

/// `error_budget: {openslo: file.yaml, at_least: 0%}`: what is left of the file's budget, counted
/// from its own events over its own period; its alerts are not asked.
pub(super) fn error_budget(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<ErrorBudget> {
    let fields = walk.fields(node, path, keys::ERROR_BUDGET)?;
    let at_least = super::guardrails::floor(walk, &fields);
    let (pos, file, imported) = imported(walk, &fields)?;
    let budget = imported.budget;
    tell_calendar(walk, pos, &file, budget, imported.timezone.as_deref());
    let burn = BurnRules { alerts: Vec::new(), min_events: 0.0, min_coverage: 0.0, or_bad: None };
    let slo = slo_of(walk, &fields, imported, SloScope::Service, (budget, Some(burn)))?;
    let (source, query) = (slo.source.clone(), slo.query.clone());
    Some(ErrorBudget { source, query, at_least: at_least?, slo: Some(Box::new(slo)) })
}

/// The objective of the file, and where the file is named.
fn imported(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<(SourcePos, String, ImportedSlo)> {
    for key in ANSWERED {
        if fields.get(key).is_some() {
            let message = format!("`openslo` and `{key}` exclude each other");
            let hint = "the file says what is counted; remove one of the two";
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
    let pos = fields.get("openslo")?.pos;
    let file = walk.opt_text(fields, "openslo")?;
    let text = text_of(walk, &file, pos)?;
    let read = super::openslo::openslo(&text);
    tell(walk, &file, pos, &read.diagnostics);
    if read.diagnostics.iter().any(|one| one.severity == Severity::Error) {
        return None;
    }
    let name = walk.opt_text(fields, "objective");
    let imported = select(walk, fields, &file, name.as_deref(), read.slos)?;
    Some((pos, file, imported))
}

/// The zone of a calendar period is the experiment's.
fn tell_calendar(
    walk: &mut Walk<'_>,
    pos: SourcePos,
    file: &str,
    budget: BudgetPeriod,
    zone: Option<&str>,
) {
    if let (BudgetPeriod::Calendar(_), Some(zone)) = (budget, zone) {
        let message = format!("the calendar of `{file}` ({zone}) follows this file's `timezone`");
        let hint = "set `timezone:` of the experiment to the same zone";
        walk.report(Diagnostic::new("W0301", pos, message).hint(hint));
    }
}

fn slo_of(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    imported: ImportedSlo,
    scope: SloScope,
    (budget, burn): (BudgetPeriod, Option<BurnRules>),
) -> Option<Slo> {
    let source = source(walk, fields, &imported)?;
    let columns = [("bad", imported.bad), ("total", imported.total)];
    let columns = columns.map(|(name, text)| (name.to_owned(), text)).into();
    let slice = match imported.method {
        SloMethod::Occurrences => None,
        SloMethod::Timeslices { slice } => Some(slice),
    };
    Some(Slo {
        objective: imported.objective,
        source,
        query: Query { columns, ..Query::default() },
        control: None,
        scope,
        budget,
        burn,
        slice,
    })
}

/// Slices are counted one for each look: their length is the rhythm.
#[expect(clippy::option_option, reason = "a fault and an absence are two things")]
pub(super) fn rhythm(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    kind: Option<&GuardrailKind>,
    every: Option<Option<Span>>,
) -> Option<Option<Span>> {
    let Some(Slo { slice: Some(slice), .. }) = kind.and_then(GuardrailKind::slo) else {
        return every;
    };
    match every? {
        Some(other) if other != *slice => {
            let message = format!("the file counts slices of {slice}, not of {other}");
            let hint = format!("remove `every`, or write `every: {slice}`");
            walk.fail("E0206", fields.key_pos("every"), message, hint)
        }
        _ => Some(Some(*slice)),
    }
}

fn text_of(walk: &mut Walk<'_>, file: &str, pos: SourcePos) -> Option<String> {
    let before = walk.found.len();
    query::check_relative(walk, file, pos);
    if walk.found.len() > before {
        return None;
    }
    let Some(text) = walk.ctx.files.get(file).cloned() else {
        let message = format!("OpenSLO file `{file}` is not there");
        let is_yaml = |name: &&str| !query::is_sql(name);
        let names: Vec<&str> = walk.ctx.files.keys().map(String::as_str).filter(is_yaml).collect();
        let near = suggestion(file, names.iter().copied());
        let hint = format!("put it beside the experiment file; {near}");
        return walk.fail("E0503", pos, message, hint);
    };
    walk.files_read.insert(file.to_owned(), text.clone());
    Some(text)
}

/// The faults of the file, at the key that names it.
fn tell(walk: &mut Walk<'_>, file: &str, pos: SourcePos, found: &[Diagnostic]) {
    for one in found {
        let code = match one.severity {
            Severity::Error => "E0705",
            Severity::Warning => "W0301",
        };
        let message = format!("`{file}`: {} ({})", one.message, one.code);
        let cause = format!("{file}:{}:{}", one.pos.line, one.pos.column);
        let hint = one.hint.clone().unwrap_or_else(|| format!("run `verdictd slo {file}`"));
        walk.report(Diagnostic::new(code, pos, message).cause(cause).hint(hint));
    }
}

fn select(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    file: &str,
    name: Option<&str>,
    slos: Vec<ImportedSlo>,
) -> Option<ImportedSlo> {
    let labels: Vec<String> = slos.iter().map(ImportedSlo::label).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut fitting: Vec<ImportedSlo> =
        slos.into_iter().filter(|slo| name.is_none_or(|name| slo.answers_to(name))).collect();
    if fitting.len() == 1 {
        return fitting.pop();
    }
    let pos = match name {
        Some(_) => fields.get("objective").map_or(fields.pos, |node| node.pos),
        None => fields.key_pos("openslo"),
    };
    let (message, hint) = match name {
        Some(name) if fitting.is_empty() => {
            let message = format!("`{file}` has no objective `{name}`");
            (message, suggestion(name, labels.iter().copied()))
        }
        _ => {
            let shown: Vec<String> = labels.iter().map(|one| format!("`{one}`")).collect();
            let message = format!("`{file}` has {} objectives to choose from", labels.len());
            (message, format!("add `objective:` with one of {}", shown.join(", ")))
        }
    };
    walk.fail("E0703", pos, message, hint)
}

fn source(walk: &mut Walk<'_>, fields: &Fields<'_>, slo: &ImportedSlo) -> Option<String> {
    let known = walk.ctx.sources.as_ref();
    let (name, pos) = if let Some(node) = fields.get("source") {
        (walk.text(node, &fields.at("source"))?, node.pos)
    } else {
        let name = match known {
            None => slo.source_ref.clone().or_else(|| slo.source_kind.clone()),
            Some(known) => {
                let by_name = slo.source_ref.clone().filter(|name| known.contains_key(name));
                by_name.or_else(|| {
                    let mut of_kind =
                        known.iter().filter(|(_, kind)| Some(*kind) == slo.source_kind.as_ref());
                    let first = of_kind.next()?;
                    of_kind.next().is_none().then(|| first.0.clone())
                })
            }
        };
        let Some(name) = name else {
            let asked = slo.source_ref.as_deref().unwrap_or("its metric source");
            let message = format!("no configured source answers for `{asked}`");
            let prometheus = known.into_iter().flatten().filter(|(_, kind)| *kind == "prometheus");
            let names: Vec<&str> = prometheus.map(|(name, _)| name.as_str()).collect();
            let example = names.first().copied().unwrap_or("prom");
            let hint = format!("name one of the configuration: add `source: {example}`");
            return walk.fail("E0402", fields.key_pos("openslo"), message, hint);
        };
        (name, fields.key_pos("openslo"))
    };
    let kind = walk.ctx.sources.as_ref().and_then(|known| known.get(&name)).cloned();
    if let Some(kind) = kind.filter(|kind| kind != "prometheus") {
        let message = format!("the queries of the file are PromQL, source `{name}` is {kind}");
        let hint = "name a Prometheus source with `source:`";
        return walk.fail("E0507", pos, message, hint);
    }
    let names = walk.ctx.sources.as_ref().map(|known| known.keys().cloned().collect());
    walk.known_name("E0402", "source", &name, pos, names.as_ref());
    Some(name)
}
