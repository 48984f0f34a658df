//! Alert policies as burn-rate alerts.
//!
//! An OpenSLO condition has one `lookbackWindow`. A pair of windows is written either as two
//! conditions of one policy with the same threshold, or with the annotation
//! `verdictd/short-window` on the condition or its policy; without either the short window is a
//! twelfth of the long one, the workbook's rule.

use super::super::walk::{Fields, Walk, join};
use super::{Document, Documents, head, note, period, spec_of, unsupported};
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::openslo::ImportedAlert;
use crate::spec::parse::values::MAX_NUMBER;
use crate::spec::slo::{BurnRule, BurnSeverity};
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

const POLICY: &[&str] = &[
    "description",
    "alertWhenNoData",
    "alertWhenResolved",
    "alertWhenBreaching",
    "conditions",
    "notificationTargets",
];
const CONDITION: &[&str] = &["description", "severity", "condition"];
const BURN_RATE: &[&str] = &["kind", "op", "threshold", "lookbackWindow", "alertAfter"];
/// Names the short window of a pair.
const SHORT_WINDOW: &str = "verdictd/short-window";
/// Severities that wake somebody; every other is a ticket.
const PAGES: &[&str] = &["page", "critical", "fatal", "high", "error", "p1", "sev1", "1"];
/// Short window by the workbook: a twelfth of the long one.
const SHORT_PART: i64 = 12;
const MINUTE_MS: i64 = 60_000;

/// One condition.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    factor: f64,
    lookback: Span,
    severity: Option<String>,
    short: Option<Span>,
    hold_for: Span,
    pos: SourcePos,
}

/// The alerts of an SLO's policies; `None` when one of them cannot be read.
pub(super) fn alerts(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    spec: &Fields<'_>,
    notes: &mut Vec<String>,
) -> Option<Vec<ImportedAlert>> {
    let Some(node) = spec.get("alertPolicies") else {
        return Some(Vec::new());
    };
    let path = spec.at("alertPolicies");
    let Kind::List(items) = &node.kind else {
        return walk.wrong_kind(node, &path, "a list of alert policies");
    };
    let mut alerts = Vec::new();
    let mut all_read = true;
    for item in items {
        let document = match reference(walk, item, &path, "alertPolicyRef") {
            Reference::To(name, pos) => documents.find(walk, "AlertPolicy", &name, pos),
            Reference::Inline => head(walk, item, Some("AlertPolicy")),
            Reference::Broken => None,
        };
        let read = document.and_then(|document| policy(walk, documents, &document, notes));
        all_read &= read.is_some();
        alerts.extend(read.flatten());
    }
    all_read.then_some(alerts)
}

enum Reference {
    To(String, SourcePos),
    Inline,
    Broken,
}

/// `{alertPolicyRef: name}`, a bare name, or the document in place.
fn reference(walk: &mut Walk<'_>, node: &Node, path: &str, key: &str) -> Reference {
    let named = match &node.kind {
        Kind::Scalar(_) => Some(node),
        Kind::Map(entries) => {
            entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
        }
        _ => None,
    };
    match named {
        None if matches!(node.kind, Kind::Map(_)) => Reference::Inline,
        None => {
            walk.wrong_kind::<()>(node, path, &format!("`{key}: name` or the document itself"));
            Reference::Broken
        }
        Some(named) => match walk.text(named, &join(path, key)) {
            Some(name) => Reference::To(name, named.pos),
            None => Reference::Broken,
        },
    }
}

/// One policy: `Some(None)` when it alerts on something else than breaches.
#[expect(clippy::option_option, reason = "a fault and an absence are two things")]
pub(super) fn policy(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    document: &Document<'_>,
    notes: &mut Vec<String>,
) -> Option<Option<ImportedAlert>> {
    let spec = spec_of(walk, document, POLICY)?;
    let mut flag = |key: &str, default: bool| match spec.get(key) {
        Some(node) => walk.yes_no(node, &spec.at(key)),
        None => Some(default),
    };
    let (no_data, breaching) = (flag("alertWhenNoData", false), flag("alertWhenBreaching", true));
    flag("alertWhenResolved", false);
    if no_data == Some(true) {
        let message = "missing data are told by the guardrail's `on_missing`, not by the policy";
        let pos = spec.key_pos("alertWhenNoData");
        note(walk, notes, pos, message, "`on_missing: alert` is the default");
    }
    let node = walk.required(&spec, "conditions", "[{conditionRef: fast-burn}]")?;
    let Kind::List(items) = &node.kind else {
        return walk.wrong_kind(node, &spec.at("conditions"), "a list of conditions");
    };
    let mut conditions = Vec::new();
    for item in items {
        let found = match reference(walk, item, &spec.at("conditions"), "conditionRef") {
            Reference::To(name, pos) => documents.find(walk, "AlertCondition", &name, pos),
            Reference::Inline => head(walk, item, Some("AlertCondition")),
            Reference::Broken => None,
        };
        conditions.push(condition(walk, &found?)?);
    }
    if breaching? {
        pair(walk, document, &conditions, node.pos, notes).map(Some)
    } else {
        let message =
            format!("policy `{}` does not alert on breaches and is left out", document.name);
        let pos = spec.key_pos("alertWhenBreaching");
        note(walk, notes, pos, &message, "write `alertWhenBreaching: true`");
        Some(None)
    }
}

/// One or two conditions as a pair of windows.
fn pair(
    walk: &mut Walk<'_>,
    document: &Document<'_>,
    conditions: &[Condition],
    pos: SourcePos,
    notes: &mut Vec<String>,
) -> Option<ImportedAlert> {
    let (long, short) = match conditions {
        [only] => {
            let annotated = only.short.or_else(|| short_window(walk, document));
            let short = annotated.unwrap_or_else(|| {
                let minutes = (only.lookback.ms / SHORT_PART / MINUTE_MS).max(1);
                let short = Span { ms: minutes * MINUTE_MS };
                let message = format!(
                    "a condition has one window: {} is paired with {short}, a twelfth",
                    only.lookback
                );
                let hint = format!("name another with the annotation `{SHORT_WINDOW}: {short}`");
                note(walk, notes, only.pos, &message, &hint);
                short
            });
            (only, short)
        }
        [one, other] if one.factor == other.factor && one.lookback != other.lookback => {
            let (long, short) =
                if one.lookback > other.lookback { (one, other) } else { (other, one) };
            (long, short.lookback)
        }
        [_, second] => {
            let message = "two conditions are one alert with two windows of the same threshold";
            let hint = "give both the same `threshold` and different `lookbackWindow`s";
            return walk.fail("E0703", second.pos, message, hint);
        }
        _ => {
            let message = format!("{} conditions in one policy", conditions.len());
            let hint = "one condition, or two with the same threshold: a long and a short window";
            return walk.fail("E0703", pos, message, hint);
        }
    };
    if short >= long.lookback {
        let message = format!("the short window {short} is not shorter than {}", long.lookback);
        return walk.fail("E0703", long.pos, message, "a twelfth of the long one is usual");
    }
    let severity = match &long.severity {
        Some(word) if PAGES.contains(&word.to_lowercase().as_str()) => BurnSeverity::Page,
        _ => BurnSeverity::Ticket,
    };
    let (factor, long_window, hold_for) = (long.factor, long.lookback, long.hold_for);
    Some(ImportedAlert {
        rule: BurnRule { severity, factor, long: long_window, short, hold_for },
        written: long.severity.clone(),
        policy: document.name.clone(),
    })
}

fn short_window(walk: &mut Walk<'_>, document: &Document<'_>) -> Option<Span> {
    let (text, pos) = document.annotations.get(SHORT_WINDOW)?;
    let length = period::Shorthand::parse(text);
    if length.is_none() {
        let message = format!("`{SHORT_WINDOW}` is not an OpenSLO duration: `{text}`");
        return walk.fail("E0303", *pos, message, "write for example `5m`");
    }
    length.map(period::Shorthand::span)
}

/// One condition document.
pub(super) fn condition(walk: &mut Walk<'_>, document: &Document<'_>) -> Option<Condition> {
    let spec = spec_of(walk, document, CONDITION)?;
    let severity = walk.opt_text(&spec, "severity");
    let node = walk.required(&spec, "condition", "{kind: burnrate, threshold: 14.4, ...}")?;
    let fields = walk.fields(node, &spec.at("condition"), BURN_RATE)?;
    let kind = walk.required(&fields, "kind", "burnrate")?;
    let written = walk.text(kind, &fields.at("kind"))?;
    if !written.eq_ignore_ascii_case("burnrate") {
        let message = format!("conditions of the kind `{written}` are not read");
        return unsupported(walk, kind.pos, message, "write `kind: burnrate`");
    }
    above(walk, &fields);
    let threshold = walk.required(&fields, "threshold", "14.4");
    let threshold = threshold.and_then(|node| {
        let value = walk.number(node, &fields.at("threshold"), (0.0, MAX_NUMBER))?;
        if value <= 0.0 {
            let message = "a burn rate of 0 is always exceeded";
            return walk.fail("E0306", node.pos, message, "write for example `14.4`");
        }
        Some(value)
    });
    let lookback = walk.required(&fields, "lookbackWindow", "1h");
    let lookback = lookback
        .and_then(|node| period::shorthand(walk, node, &fields.at("lookbackWindow")))
        .map(period::Shorthand::span);
    let hold_for = alert_after(walk, &fields)?;
    let short = short_window(walk, document);
    let (factor, lookback) = (threshold?, lookback?);
    Some(Condition { factor, lookback, severity, short, hold_for, pos: fields.pos })
}

/// `alertAfter`: nothing, `0m` or a duration.
fn alert_after(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Span> {
    let Some(node) = fields.get("alertAfter") else {
        return Some(Span::ZERO);
    };
    let path = fields.at("alertAfter");
    let text = walk.text(node, &path)?;
    if Span::parse(&text) == Some(Span::ZERO) {
        return Some(Span::ZERO);
    }
    period::shorthand(walk, node, &path).map(period::Shorthand::span)
}

/// A burn rate alerts above its threshold; strictly or not makes no difference to counts.
fn above(walk: &mut Walk<'_>, fields: &Fields<'_>) {
    let Some(node) = fields.get("op") else {
        return;
    };
    let words = [("gt", true), ("gte", true), ("lt", false), ("lte", false)];
    if walk.word(node, &fields.at("op"), &words) == Some(false) {
        let message = "an alert on a burn rate below its threshold is not read";
        walk.report(Diagnostic::new("E0704", node.pos, message).hint("write `op: gt`"));
    }
}
