//! `guardrails:` — what must not degrade, each of exactly one kind.

use super::MIN_EVERY;
use super::about::signal_name;
use super::drift;
use super::keys;
use super::openslo::promql;
use super::query::{self, Wanted};
use super::signals::Scales;
use super::slo;
use super::slo_import;
use super::slo_sight;
use super::values::hundredth;
use super::walk::{Fields, Walk, join};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::model::{
    ErrorBudget, Guardrail, GuardrailKind, Limit, LimitOf, Margin, NoWorseThan, OnMissing, OnTrip,
    Query, Threshold,
};
use crate::spec::nearest::list;
use crate::spec::tree::{Entry, Node};
use crate::time::Span;

/// Most guardrails of one experiment.
const MAX_GUARDRAILS: usize = 40;

pub(super) fn guardrails(walk: &mut Walk<'_>, top: &Fields<'_>, scales: &Scales) -> Vec<Guardrail> {
    let Some(node) = top.get("guardrails") else {
        return Vec::new();
    };
    let Some(fields) = walk.entries(node, "guardrails") else {
        return Vec::new();
    };
    if fields.entries.len() > MAX_GUARDRAILS {
        let message = format!("{} guardrails", fields.entries.len());
        let hint = format!("at most {MAX_GUARDRAILS}");
        walk.report(Diagnostic::new("E0310", fields.pos, message).hint(hint));
    }
    let mut guardrails = Vec::new();
    for entry in fields.entries {
        walk.identifier(entry, "guardrail");
        guardrails.extend(guardrail(walk, entry, &fields.at(&entry.key), scales));
    }
    guardrails
}

fn guardrail(walk: &mut Walk<'_>, entry: &Entry, path: &str, scales: &Scales) -> Option<Guardrail> {
    let allowed: Vec<&str> = keys::KINDS.iter().chain(keys::GUARDRAIL).copied().collect();
    let fields = walk.fields(&entry.value, path, &allowed)?;
    let kind = kind(walk, &fields, path, scales);
    let on_trip = walk.required(&fields, "on_trip", "stop");
    let on_trip = on_trip.and_then(|node| walk.word(node, &join(path, "on_trip"), keys::ON_TRIPS));
    let on_missing = walk.word_or(&fields, "on_missing", keys::ON_MISSINGS, OnMissing::Alert);
    let missing_for = walk.span_or(&fields, "missing_for", Span::ZERO, Span::hours(1));
    refuse_clocks(walk, &fields, kind.as_ref());
    if on_trip == Some(OnTrip::Stop) && kind.as_ref().is_some_and(is_drift) {
        let message = "a control chart gives a false alarm some day: it does not stop";
        let hint = "write `on_trip: alert`, and a bound that stops beside it";
        walk.report(Diagnostic::new("E0206", fields.key_pos("on_trip"), message).hint(hint));
    }
    let hold_for = walk.span_or(&fields, "for", Span::ZERO, Span::ZERO);
    let keep_firing_for = walk.span_or(&fields, "keep_firing_for", Span::ZERO, Span::ZERO);
    let every = match fields.get("every") {
        Some(node) => walk.span(node, &join(path, "every"), MIN_EVERY).map(Some),
        None => Some(None),
    };
    let every = slo_import::rhythm(walk, &fields, kind.as_ref(), every);
    if let (Some(GuardrailKind::Slo(slo)), Some(every), Some(on_trip)) = (&kind, every, on_trip) {
        slo_sight::coarse(walk, &fields, slo, every, on_trip);
    }
    Some(Guardrail {
        name: entry.key.clone(),
        kind: kind?,
        on_trip: on_trip?,
        on_missing: on_missing?,
        missing_for: missing_for?,
        hold_for: hold_for?,
        keep_firing_for: keep_firing_for?,
        every: every?,
    })
}

/// `for` and `keep_firing_for` are for numbers of now: a bound, and burn rates over windows.
fn refuse_clocks(walk: &mut Walk<'_>, fields: &Fields<'_>, kind: Option<&GuardrailKind>) {
    let has_clocks = match kind {
        Some(GuardrailKind::Slo(slo)) => slo.burn.is_some(),
        Some(kind) => matches!(kind, GuardrailKind::Threshold(_)),
        None => ["threshold", "slo"].iter().any(|key| fields.get(key).is_some()),
    };
    for key in ["for", "keep_firing_for"] {
        if fields.get(key).is_some() && !has_clocks {
            let message =
                format!("`{key}` belongs to `threshold` and to an `slo` with burn rates only");
            let hint = "counts are judged at once, by a test that is valid at every look";
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
}

fn is_drift(kind: &GuardrailKind) -> bool {
    matches!(kind, GuardrailKind::Threshold(threshold) if threshold.drift.is_some())
}

fn kind(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    path: &str,
    scales: &Scales,
) -> Option<GuardrailKind> {
    let mut kinds = fields.entries.iter().filter(|entry| keys::KINDS.contains(&entry.key.as_str()));
    let name = path.rsplit('.').next().unwrap_or_default();
    let Some(first) = kinds.next() else {
        let message = format!("guardrail `{name}` has no kind");
        return walk.fail(
            "E0205",
            fields.pos,
            message,
            format!("add one of {}", list(keys::KINDS)),
        );
    };
    if let Some(second) = kinds.next() {
        let message = format!("guardrail `{name}` is `{}` and `{}`", first.key, second.key);
        let hint = "a guardrail has exactly one kind; write two guardrails";
        return walk.fail("E0205", second.key_pos, message, hint);
    }
    let (node, path) = (&first.value, join(path, &first.key));
    match first.key.as_str() {
        "slo" if slo_import::is_import(node) => {
            slo_import::slo(walk, node, &path, fields).map(GuardrailKind::Slo)
        }
        "slo" => slo::slo(walk, node, &path, fields).map(GuardrailKind::Slo),
        "threshold" => threshold(walk, node, &path).map(GuardrailKind::Threshold),
        "no_worse_than" => no_worse_than(walk, node, &path, scales).map(GuardrailKind::NoWorseThan),
        "limit" => limit(walk, node, &path).map(GuardrailKind::Limit),
        _ if slo_import::is_import(node) => {
            slo_import::error_budget(walk, node, &path).map(GuardrailKind::ErrorBudget)
        }
        _ => error_budget(walk, node, &path).map(GuardrailKind::ErrorBudget),
    }
}

/// Source and query of a guardrail; guardrails watch one population, so there are no arms.
pub(super) fn asked(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    columns: &'static [&'static str],
) -> (Option<String>, Option<Query>) {
    query::source_and_query(walk, fields, Wanted { columns, optional: &[], arms: false })
}

fn threshold(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<Threshold> {
    let fields = walk.fields(node, path, keys::THRESHOLD)?;
    let (source, query) = asked(walk, &fields, &["value"]);
    let mut bound = |key: &str| match fields.get(key) {
        Some(node) => walk.bound(node, &join(path, key), "250ms").map(Some),
        None => Some(None),
    };
    let (most, least) = (bound("at_most"), bound("at_least"));
    let (most, least) = (most?, least?);
    if let Some(node) = fields.get("drift") {
        refuse_bounds(walk, &fields);
        let (drift, unit) = drift::drift(walk, node, &join(path, "drift"))?;
        let (source, query) = (source?, query?);
        let (at_most, at_least, drift) = (None, None, Some(drift));
        return Some(Threshold { source, query, at_most, at_least, drift, unit });
    }
    let (at_most, at_least) = match (&most, &least) {
        (None, None) => {
            let hint = "add `at_most: 250ms` or `at_least: ...`";
            return walk.fail("E0205", fields.pos, "the threshold has no bound", hint);
        }
        (Some((most, _)), Some((least, _))) if least > most => {
            let message = "nothing lies between `at_least` and `at_most`";
            return walk.fail("E0306", fields.key_pos("at_least"), message, "swap the bounds");
        }
        (most, least) => {
            (most.as_ref().map(|(value, _)| *value), least.as_ref().map(|(value, _)| *value))
        }
    };
    let (most_unit, least_unit) =
        (most.and_then(|(_, unit)| unit), least.and_then(|(_, unit)| unit));
    if let (Some(most), Some(least)) = (&most_unit, &least_unit)
        && most != least
    {
        let message = format!("the bounds have different units, `{most}` and `{least}`");
        return walk.fail("E0302", fields.key_pos("at_least"), message, "use one unit");
    }
    Some(Threshold {
        source: source?,
        query: query?,
        at_most,
        at_least,
        drift: None,
        unit: most_unit.or(least_unit),
    })
}

/// A chart and a bound are two guardrails: they trip for different reasons.
fn refuse_bounds(walk: &mut Walk<'_>, fields: &Fields<'_>) {
    for key in ["at_most", "at_least"] {
        if fields.get(key).is_some() {
            let message = format!("`drift` and `{key}` exclude each other");
            let hint = "write two guardrails: one with the bound, one with the chart";
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
}

fn no_worse_than(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    scales: &Scales,
) -> Option<NoWorseThan> {
    let fields = walk.fields(node, path, keys::NO_WORSE_THAN)?;
    let example = scales.keys().next().map_or("a_signal", String::as_str);
    let signal = walk.required(&fields, "signal", example);
    let signal = signal.and_then(|node| signal_name(walk, node, &join(path, "signal"), scales));
    let margin_node = walk.required(&fields, "margin", "2pts");
    let require = walk.word_or(&fields, "require", keys::REQUIRES, false);
    let signal = signal?;
    let scale = scales.get(&signal).and_then(Option::as_ref)?;
    let (node, path) = (margin_node?, join(path, "margin"));
    let text = &walk.scalar(node, &path, "a margin (`2pts`)")?.text;
    let margin = if text.trim().ends_with('%') {
        let percent = walk.quantity(node, &path, "5%")?.value;
        Margin::Relative(hundredth(percent))
    } else {
        Margin::Absolute(walk.change(node, &path, scale)?)
    };
    let (Margin::Absolute(size) | Margin::Relative(size)) = margin;
    if size <= 0.0 {
        let hint = "a margin is how much worse is tolerated, for example `2pts`";
        return walk.fail("E0306", node.pos, "the margin must be above 0", hint);
    }
    Some(NoWorseThan { signal, margin, require_proven: require? })
}

fn limit(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<Limit> {
    let fields = walk.fields(node, path, keys::LIMIT)?;
    let per = walk.opt_text(&fields, "per");
    let of = walk.required(&fields, "of", "configured");
    let of = of.and_then(|node| walk.word(node, &join(path, "of"), keys::LIMIT_OFS));
    let columns: &'static [&'static str] = match (of, &per) {
        (Some(LimitOf::Sampled), _) => &["hits", "n"],
        (_, Some(_)) => &["units", "over"],
        (_, None) => &["value"],
    };
    refuse_mixed_limit(walk, &fields, of, per.is_some());
    let at_most = walk.required(&fields, "at_most", "10%");
    let at_most = at_most.and_then(|node| {
        let path = join(path, "at_most");
        if of == Some(LimitOf::Sampled) {
            return walk.share(node, &path).map(|share| (share, Some("%".to_owned())));
        }
        let (value, unit) = walk.bound(node, &path, "10%")?;
        if value < 0.0 {
            return walk.fail("E0306", node.pos, "`at_most` is below 0", "write 0 or more");
        }
        Some((value, unit))
    });
    let window = match fields.get("window") {
        Some(node) => walk.span(node, &join(path, "window"), MIN_EVERY).map(Some),
        None => Some(None),
    };
    let allow = match fields.get("allow") {
        Some(node) => walk.share(node, &join(path, "allow")),
        None => Some(0.0),
    };
    let (source, query) = asked(walk, &fields, columns);
    if let (Some(query), Some(of)) = (&query, of) {
        refuse_extrapolated(walk, &fields, query, of);
    }
    let (at_most, unit) = at_most?;
    if of == Some(LimitOf::Sampled) && (at_most <= 0.0 || at_most >= 1.0) {
        let message = "a sampled share is judged against a limit between 0% and 100%";
        return walk.fail("E0306", fields.key_pos("at_most"), message, "write for example `5%`");
    }
    Some(Limit {
        at_most,
        per,
        window: window?,
        of: of?,
        allow: allow?,
        source: source?,
        query: query?,
        unit,
    })
}

/// Functions that are no counts at all.
const RATES: &[&str] = &["rate", "irate", "deriv", "idelta", "delta"];

/// A limit stands on raw counts: `increase` reads one event of five minutes as 1.125. A sampled
/// share may use it, because both of its counts are stretched alike.
fn refuse_extrapolated(walk: &mut Walk<'_>, fields: &Fields<'_>, query: &Query, of: LimitOf) {
    if query.sql.is_some() || query.file.is_some() {
        return;
    }
    for (column, text) in &query.columns {
        let is_refused = |name: &&str| {
            RATES.contains(name) || (*name == "increase" && of == LimitOf::Configured)
        };
        let Some(name) = promql::calls(text).into_iter().find(is_refused) else {
            continue;
        };
        let direct = walk.places.get(&fields.at(column)).copied();
        let inner = walk.places.get(&join(&fields.at("query"), column)).copied();
        let pos = direct.or(inner).unwrap_or(fields.pos);
        let message = format!("`{column}`: `{name}` extrapolates, a limit needs raw counts");
        let hint = match of {
            LimitOf::Configured => {
                "read a stored number with `max_over_time(x[7d])`, or count in a warehouse"
            }
            LimitOf::Sampled => "count with `increase(x[{{grain}}])`, both columns alike",
        };
        walk.report(Diagnostic::new("E0508", pos, message).hint(hint));
    }
}

/// `per` and `allow` count units; a sampled share and a single number have none.
fn refuse_mixed_limit(walk: &mut Walk<'_>, fields: &Fields<'_>, of: Option<LimitOf>, per: bool) {
    if of == Some(LimitOf::Sampled) && per {
        let message = "`per` does not fit `of: sampled`";
        let hint = "a sampled share has `hits` and `n`; remove `per`";
        walk.report(Diagnostic::new("E0206", fields.key_pos("per"), message).hint(hint));
    }
    if fields.get("allow").is_some() && !(per && of != Some(LimitOf::Sampled)) {
        let message = "`allow` needs `per`: it is a share of units";
        let hint = "add `per: user` with `units` and `over`, or remove `allow`";
        walk.report(Diagnostic::new("E0206", fields.key_pos("allow"), message).hint(hint));
    }
}

fn error_budget(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<ErrorBudget> {
    let fields = walk.fields(node, path, keys::ERROR_BUDGET)?;
    let (source, query) = asked(walk, &fields, &["value"]);
    let at_least = floor(walk, &fields)?;
    Some(ErrorBudget { source: source?, query: query?, at_least, slo: None })
}

/// The floor of a remaining budget.
pub(super) fn floor(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<f64> {
    let floor = walk.required(fields, "at_least", "0%")?;
    let (at_least, unit) = walk.bound(floor, &fields.at("at_least"), "0%")?;
    if unit.as_deref() != Some("%") {
        let message = "a remaining budget is a percentage";
        return walk.fail("E0302", floor.pos, message, "write for example `0%`");
    }
    if !(-1.0..=1.0).contains(&at_least) {
        let message = "the floor is out of bounds";
        return walk.fail("E0306", floor.pos, message, "between -100% and 100%");
    }
    Some(at_least)
}
