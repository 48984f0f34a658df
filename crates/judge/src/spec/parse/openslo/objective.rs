//! SLO documents: objectives, and what makes an event bad.
//!
//! `Occurrences` counts events; for a `thresholdMetric` every look's value is one. `Timeslices`
//! calls a slice good when its ratio reaches `timeSliceTarget`, and counts slices; a slice without
//! traffic has no ratio and is not counted. `RatioTimeslices` averages ratios, which are no counts:
//! refused.

use super::super::walk::{Fields, Walk, join};
use super::indicator::{self, Indicator, IndicatorKind};
use super::{Document, Documents, alerts, note, period, spec_of, unsupported};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::openslo::{ImportedSlo, SloMethod};
use crate::spec::parse::template;
use crate::spec::parse::values::{MAX_NUMBER, hundredth};
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

const SPEC: &[&str] = &[
    "description",
    "service",
    "indicator",
    "indicatorRef",
    "timeWindow",
    "budgetingMethod",
    "objectives",
    "alertPolicies",
];
const OBJECTIVE: &[&str] = &[
    "displayName",
    "op",
    "value",
    "target",
    "targetPercent",
    "timeSliceTarget",
    "timeSliceWindow",
    "indicator",
    "indicatorRef",
    "compositeWeight",
];
/// What is good and what is bad, as PromQL operators.
const OPS: &[(&str, (&str, &str))] =
    &[("lte", ("<=", ">")), ("gte", (">=", "<")), ("lt", ("<", ">=")), ("gt", (">", "<="))];
/// Most objectives of one SLO.
const MAX_OBJECTIVES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budgeting {
    Occurrences,
    Timeslices,
    RatioTimeslices,
}

const METHODS: &[(&str, Budgeting)] = &[
    ("Occurrences", Budgeting::Occurrences),
    ("Timeslices", Budgeting::Timeslices),
    ("RatioTimeslices", Budgeting::RatioTimeslices),
];

/// The objectives of one SLO document that could be read.
pub(super) fn slo(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    document: &Document<'_>,
) -> Vec<ImportedSlo> {
    read(walk, documents, document).unwrap_or_default()
}

fn read(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    document: &Document<'_>,
) -> Option<Vec<ImportedSlo>> {
    let spec = spec_of(walk, document, SPEC)?;
    let mut notes = Vec::new();
    let service = walk.opt_text(&spec, "service");
    let indicator = indicator::of_slo(walk, documents, &spec, &mut notes);
    let period = period::period(walk, &spec, &mut notes);
    let method = walk.required(&spec, "budgetingMethod", "Occurrences");
    let method = method.and_then(|node| walk.word(node, &spec.at("budgetingMethod"), METHODS));
    if method == Some(Budgeting::RatioTimeslices) {
        let pos = spec.get("budgetingMethod").map_or(spec.pos, |node| node.pos);
        let message = "`RatioTimeslices` averages ratios, which are no counts";
        let hint = "write `Occurrences` (counts events) or `Timeslices` (counts good slices)";
        unsupported::<()>(walk, pos, message, hint);
    }
    let alerts = alerts::alerts(walk, documents, &spec, &mut notes);
    let objectives = walk.required(&spec, "objectives", "[{target: 0.999}]")?;
    let Kind::List(items) = &objectives.kind else {
        return walk.wrong_kind(objectives, &spec.at("objectives"), "a list of objectives");
    };
    if items.is_empty() || items.len() > MAX_OBJECTIVES {
        let message = format!("{} objectives", items.len());
        let hint = format!("between 1 and {MAX_OBJECTIVES}");
        return walk.fail("E0703", objectives.pos, message, hint);
    }
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (mut notes, before) = (notes.clone(), walk.found.len());
        let path = join(&spec.at("objectives"), &index.to_string());
        let objective = objective(walk, item, &path, indicator.as_ref(), method, &mut notes);
        let name = objective.as_ref().map(|objective| &objective.name);
        if found.iter().any(|other: &ImportedSlo| Some(&other.objective_name) == name) {
            let message = format!("two objectives of `{}` have one name", document.name);
            let hint = "give each objective a `displayName` of its own";
            walk.report(Diagnostic::new("E0703", item.pos, message).hint(hint));
            continue;
        }
        let (Some(objective), Some(indicator)) = (objective, &indicator) else {
            continue;
        };
        if walk.found[before..].iter().any(|one| !one.code.starts_with('W')) {
            continue;
        }
        found.push(ImportedSlo {
            name: document.name.clone(),
            objective_name: objective.name,
            service: service.clone(),
            objective: objective.target,
            method: objective.method,
            budget: period.as_ref()?.0,
            timezone: period.as_ref()?.1.clone(),
            bad: objective.bad,
            total: objective.total,
            source_ref: indicator.source_ref.clone(),
            source_kind: indicator.source_kind.clone(),
            alerts: alerts.clone()?,
            notes,
        });
    }
    Some(found)
}

struct Objective {
    name: Option<String>,
    target: f64,
    method: SloMethod,
    bad: String,
    total: String,
}

fn objective(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    indicator: Option<&Indicator>,
    method: Option<Budgeting>,
    notes: &mut Vec<String>,
) -> Option<Objective> {
    let fields = walk.fields(node, path, OBJECTIVE)?;
    for key in ["compositeWeight", "indicator", "indicatorRef"] {
        if fields.get(key).is_some() {
            let message = format!("`{key}` of an objective makes a composite SLO");
            let hint = "write one SLO for each indicator, and one guardrail for each SLO";
            return unsupported(walk, fields.key_pos(key), message, hint);
        }
    }
    let name = walk.opt_text(&fields, "displayName");
    let target = target(walk, &fields);
    let slices = match method? {
        Budgeting::Occurrences => {
            for key in ["timeSliceTarget", "timeSliceWindow"] {
                if fields.get(key).is_some() {
                    let message = format!("`{key}` has no meaning with `Occurrences`");
                    let hint = "remove it, or write `budgetingMethod: Timeslices`";
                    note(walk, notes, fields.key_pos(key), &message, hint);
                }
            }
            None
        }
        Budgeting::Timeslices => Some(slices(walk, &fields)?),
        Budgeting::RatioTimeslices => return None,
    };
    let indicator = indicator?;
    let (bad, total) = expressions(walk, &fields, indicator, slices, notes)?;
    for text in [&bad, &total] {
        for fault in template::check_promql(text) {
            walk.report(Diagnostic::new(fault.code, indicator.pos, fault.message).hint(fault.hint));
        }
    }
    let method = match slices {
        None => SloMethod::Occurrences,
        Some((slice, _)) => SloMethod::Timeslices { slice },
    };
    Some(Objective { name, target: target?, method, bad, total })
}

/// `target` (a share) or `targetPercent`, as a fraction in (0, 1).
fn target(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<f64> {
    let (node, key) = match (fields.get("target"), fields.get("targetPercent")) {
        (Some(_), Some(_)) => {
            let pos = fields.key_pos("targetPercent");
            let message = "`target` and `targetPercent` exclude each other";
            return walk.fail("E0206", pos, message, "keep one of the two");
        }
        (None, None) => {
            let hint = "add `target: 0.999` or `targetPercent: 99.9`";
            return walk.fail("E0202", fields.pos, "the objective has no target", hint);
        }
        (Some(node), None) => (node, "target"),
        (None, Some(node)) => (node, "targetPercent"),
    };
    let value = walk.number(node, &fields.at(key), (-MAX_NUMBER, MAX_NUMBER))?;
    let is_share = key == "target";
    if value < 0.0 {
        let message = format!("`{key}` is a share of good events and cannot be {value}");
        return walk.fail("E0703", node.pos, message, "write for example `target: 0.999`");
    }
    if is_share && value > 1.0 {
        let message = format!("`target` is a share below 1, found {value}");
        let hint = format!("write `target: {}` or `targetPercent: {value}`", hundredth(value));
        return walk.fail("E0703", node.pos, message, hint);
    }
    if !is_share && value > 0.0 && value < 1.0 {
        let message = format!("`targetPercent: {value}` asks for less than 1 % of good events");
        let hint = format!("`target: {value}` is the share");
        return walk.fail("E0703", node.pos, message, hint);
    }
    let share = if is_share { value } else { hundredth(value) };
    if share <= 0.0 || share >= 1.0 {
        let message = "a target of nothing or everything leaves no budget to keep";
        return walk.fail("E0703", node.pos, message, "write for example `target: 0.999`");
    }
    Some(share)
}

/// `timeSliceWindow` and `timeSliceTarget`.
fn slices(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<(Span, f64)> {
    let window = walk.required(fields, "timeSliceWindow", "5m");
    let share = walk.required(fields, "timeSliceTarget", "0.95");
    let share = share.and_then(|node| {
        let value = walk.number(node, &fields.at("timeSliceTarget"), (0.0, MAX_NUMBER))?;
        if value <= 0.0 || value > 1.0 {
            let message = format!("`timeSliceTarget` is a share up to 1, found {value}");
            return walk.fail("E0703", node.pos, message, "write for example `0.95`");
        }
        Some(value)
    });
    let window = window.and_then(|node| {
        let path = fields.at("timeSliceWindow");
        // A bare number is minutes.
        let text = walk.scalar(node, &path, "a duration (`5m`)")?.text.trim().to_owned();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let slice = if is_number {
            Span::seconds(60 * text.parse::<i64>().unwrap_or(i64::MAX).min(100_000))
        } else {
            period::shorthand(walk, node, &path)?.span()
        };
        if slice < Span::seconds(60) || slice > Span::days(1) {
            let message = "a slice is between one minute and one day";
            return walk.fail("E0306", node.pos, message, "write for example `5m`");
        }
        Some(slice)
    });
    Some((window?, share?))
}

/// Bad and total of one period.
fn expressions(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    indicator: &Indicator,
    slices: Option<(Span, f64)>,
    notes: &mut Vec<String>,
) -> Option<(String, String)> {
    if !matches!(indicator.kind, IndicatorKind::Value { .. }) {
        for key in ["op", "value"] {
            if fields.get(key).is_some() {
                let message = format!("`{key}` belongs to a `thresholdMetric`; it is not read");
                note(walk, notes, fields.key_pos(key), &message, "remove it");
            }
        }
    }
    match (&indicator.kind, slices) {
        (IndicatorKind::Counts { bad, total }, None) => Some((bad.clone(), total.clone())),
        (IndicatorKind::Counts { bad, total }, Some((_, share))) => {
            Some(slice_counts(&format!("1 - ({bad}) / ({total})"), share))
        }
        (IndicatorKind::Ratio { ratio, success }, Some((_, share))) => {
            let good = if *success { ratio.clone() } else { format!("1 - ({ratio})") };
            Some(slice_counts(&good, share))
        }
        (IndicatorKind::Ratio { .. }, None) => {
            let message = "a stored ratio has no counts to keep a budget with";
            let hint = "give `good` or `bad` and `total`, or `budgetingMethod: Timeslices`";
            unsupported(walk, indicator.pos, message, hint)
        }
        (IndicatorKind::Value { value }, slices) => {
            let ((good, bad), bound) = comparison(walk, fields)?;
            match slices {
                None => {
                    let message = "every look's value counts as one event";
                    let hint = "counts of slow requests are a sharper indicator";
                    note(walk, notes, indicator.pos, message, hint);
                    Some((format!("({value}) {bad} bool {bound}"), present(value)))
                }
                Some((_, share)) => {
                    // `x == x` leaves out what is no number: it is neither good nor bad.
                    let numbers = format!("({value}) == ({value})");
                    let good = format!("({numbers}) {good} bool {bound}");
                    let good = format!("avg_over_time(({good})[{{{{grain}}}}:])");
                    Some(slice_counts(&good, share))
                }
            }
        }
    }
}

/// 1 where there is a number, 0 where there is none.
fn present(value: &str) -> String {
    format!("({value}) == bool ({value})")
}

/// A slice is bad when its share of good lies below the target.
fn slice_counts(good: &str, share: f64) -> (String, String) {
    (format!("({good}) < bool {share}"), present(good))
}

fn comparison(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
) -> Option<((&'static str, &'static str), f64)> {
    let op = walk.required(fields, "op", "lte");
    let op = op.and_then(|node| walk.word(node, &fields.at("op"), OPS));
    let value = walk.required(fields, "value", "250");
    let value =
        value.and_then(|node| walk.number(node, &fields.at("value"), (-MAX_NUMBER, MAX_NUMBER)));
    Some((op?, value?))
}
