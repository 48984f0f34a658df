//! `signals:` — what is measured, where it stands, and how it is asked for.

use std::collections::BTreeMap;

use super::beside;
use super::compare;
use super::keys;
use super::query::{self, Wanted};
use super::values::{MAX_NUMBER, Scale};
use super::walk::{Fields, Walk, join};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::method::MethodName;
use crate::spec::model::{Aim, Baseline, Compare, Form, Signal};
use crate::spec::tree::{Entry, Kind, Node, Scalar};
use crate::time::Span;

/// Most signals of one experiment.
const MAX_SIGNALS: usize = 40;

/// How numbers about each signal are read; `None` for a signal whose form is broken.
pub(super) type Scales = BTreeMap<String, Option<Scale>>;

/// The scales of all signals, read without complaint before anything refers to them.
pub(super) fn scales(top: &Fields<'_>) -> Scales {
    let Some(Kind::Map(entries)) = top.get("signals").map(|node| &node.kind) else {
        return Scales::new();
    };
    let plain = |entry: &Entry, key: &str| match &entry.value.kind {
        Kind::Map(fields) => {
            fields.iter().find(|field| field.key == key).and_then(|field| match &field.value.kind {
                Kind::Scalar(Scalar { text, .. }) => Some(text.trim().to_owned()),
                _ => None,
            })
        }
        _ => None,
    };
    let scale = |entry: &Entry| {
        let written = plain(entry, "form")?;
        let (_, form) = keys::FORMS.iter().find(|(name, _)| *name == written)?;
        Some(Scale { form: *form, unit: plain(entry, "unit") })
    };
    entries.iter().map(|entry| (entry.key.clone(), scale(entry))).collect()
}

/// All signals that could be read, in file order.
pub(super) fn signals(
    walk: &mut Walk<'_>,
    top: &Fields<'_>,
    compare: Option<&Compare>,
) -> Vec<Signal> {
    let Some(node) = top.get("signals") else {
        return Vec::new();
    };
    let Some(fields) = walk.entries(node, "signals") else {
        return Vec::new();
    };
    if fields.entries.len() > MAX_SIGNALS {
        let message = format!("{} signals", fields.entries.len());
        let hint = format!("at most {MAX_SIGNALS}; an experiment moves a few");
        walk.report(Diagnostic::new("E0310", fields.pos, message).hint(hint));
    }
    let mut signals = Vec::new();
    for entry in fields.entries {
        walk.identifier(entry, "signal");
        signals.extend(signal(walk, entry, &fields.at(&entry.key), compare));
    }
    signals
}

fn signal(
    walk: &mut Walk<'_>,
    entry: &Entry,
    path: &str,
    inherited: Option<&Compare>,
) -> Option<Signal> {
    let fields = walk.fields(&entry.value, path, keys::SIGNAL)?;
    let word = |key: &str| join(path, key);
    let role = walk.required(&fields, "role", "outcome");
    let role = role.and_then(|node| walk.word(node, &word("role"), keys::ROLES));
    let form = walk.required(&fields, "form", "proportion");
    let form = form.and_then(|node| walk.word(node, &word("form"), keys::FORMS));
    let want = walk.required(&fields, "want", "up");
    let want = want.and_then(|node| walk.word(node, &word("want"), keys::WANTS));
    let unit = unit(walk, &fields, form);
    let own =
        fields.get("compare").map(|node| compare::compare(walk, Some(node), &word("compare")));
    let grain = match fields.get("grain") {
        Some(node) => Some(walk.span(node, &word("grain"), Span::seconds(1))?),
        None => None,
    };
    let min_n = fields.get("min_n").and_then(|n| walk.number(n, &word("min_n"), (1.0, MAX_NUMBER)));
    let method = match fields.get("method") {
        Some(node) => method(walk, node, &word("method")).map(Some),
        None => Some(None),
    };
    let matures_after = form.and_then(|form| matures_after(walk, &fields, form));
    let compared = own.as_ref().map_or(inherited, Option::as_ref);
    let arms = matches!(compared, Some(Compare::Arms { .. }));
    let (source, query) = match form {
        Some(form) => {
            let optional = keys::optional_columns(form, arms);
            let wanted = Wanted { columns: keys::form_columns(form), optional, arms };
            query::source_and_query(walk, &fields, wanted)
        }
        None => (None, None),
    };
    let scale = Scale { form: form?, unit: unit.clone() };
    let from = fields.get("from").and_then(|node| baseline(walk, node, &word("from"), &scale));
    let eligible = match fields.get("eligible") {
        Some(node) => beside::eligible(walk, &fields, node, form, compared, from).map(Some),
        None => Some(None),
    };
    let mut change = |key: &str| match fields.get(key) {
        Some(node) => walk.change(node, &word(key), &scale).map(Some),
        None => Some(None),
    };
    let (min_effect, harm_margin) = (change("min_effect"), change("harm_margin"));
    Some(Signal {
        name: entry.key.clone(),
        role: role?,
        form: scale.form,
        want: want?,
        unit,
        from,
        min_effect: min_effect?,
        harm_margin: harm_margin?.unwrap_or(0.0),
        min_n: min_n.map(|n| n as u64),
        matures_after: matures_after?,
        grain,
        compare: own.flatten(),
        method: method?,
        source: source?,
        query: query?,
        eligible: eligible?,
    })
}

/// The method of a signal, by name; whether it fits is said by the lint.
fn method(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<MethodName> {
    let words: Vec<(&str, MethodName)> =
        MethodName::SIGNAL.iter().map(|method| (method.name(), *method)).collect();
    walk.word(node, path, &words)
}

/// A unit, which shares do not have.
fn unit(walk: &mut Walk<'_>, fields: &Fields<'_>, form: Option<Form>) -> Option<String> {
    let unit = walk.opt_text(fields, "unit")?;
    let pos = fields.key_pos("unit");
    if form == Some(Form::Proportion) {
        let message = "a proportion has no `unit`: it is written in `%` and `pts`";
        return walk.fail("E0206", pos, message, "remove `unit`");
    }
    let begins_well = unit == "%" || unit.starts_with(char::is_alphabetic);
    let plain = unit.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '/' | '%' | '_'));
    if !begins_well || !plain || unit == "pts" || unit.len() > 32 {
        let message = format!("`{}` cannot be a unit", super::values::shorten(&unit));
        let hint = "letters, digits, spaces and `/`, for example `ms` or `per 1k sessions`";
        return walk.fail("E0302", pos, message, hint);
    }
    Some(unit)
}

/// Every counted signal says when a unit may be counted; a value has no units.
fn matures_after(walk: &mut Walk<'_>, fields: &Fields<'_>, form: Form) -> Option<Span> {
    if let Some(node) = fields.get("matures_after") {
        return walk.span(node, &fields.at("matures_after"), Span::ZERO);
    }
    if form == Form::Value {
        return Some(Span::ZERO);
    }
    let name = fields.path.rsplit('.').next().unwrap_or_default();
    let diagnostic =
        Diagnostic::new("D0108", fields.pos, format!("`{name}` has no `matures_after`"))
            .cause("only units whose time is over are counted, and every count must say when")
            .hint("add `matures_after: 14d`, or `0d` when a unit counts at once");
    walk.report(diagnostic);
    // A draft of it is shown; nothing is counted from one.
    Some(Span::ZERO)
}

/// `27%` | `450ms` | `{x: 540, n: 2000, as_of: D}` | `{window: 28d}`.
fn baseline(walk: &mut Walk<'_>, node: &Node, path: &str, scale: &Scale) -> Option<Baseline> {
    let Kind::Map(_) = node.kind else {
        return walk.level(node, path, scale).map(Baseline::Stated);
    };
    let fields = walk.fields(node, path, keys::BASELINE)?;
    if let Some(window) = fields.get("window") {
        if let Some(other) = fields.entries.iter().find(|entry| entry.key != "window") {
            let message = format!("`window` and `{}` exclude each other", other.key);
            let hint = "a baseline is measured (`window`) or counted (`x`, `n`)";
            return walk.fail("E0206", other.key_pos, message, hint);
        }
        let window = walk.span(window, &join(path, "window"), Span::hours(1))?;
        return Some(Baseline::Window(window));
    }
    let as_of = fields.get("as_of").and_then(|node| walk.day_end(node, &join(path, "as_of")));
    let x = walk.required(&fields, "x", "540");
    let x = x.and_then(|node| walk.number(node, &join(path, "x"), (0.0, MAX_NUMBER)));
    let n = walk.required(&fields, "n", "2000");
    let n = n.and_then(|node| walk.number(node, &join(path, "n"), (1.0, MAX_NUMBER)));
    let (x, n) = (x?, n?);
    if scale.form == Form::Proportion && x > n {
        let message = format!("{x} of {n} is more than all");
        return walk.fail("E0306", fields.key_pos("x"), message, "`x` units of `n` did it");
    }
    Some(Baseline::Counted { x, n, as_of })
}

/// A signal's `from` and its aim's must be the same number.
pub(super) fn check_aims(walk: &mut Walk<'_>, signals: &[Signal], aims: &[Aim]) {
    for (index, aim) in aims.iter().enumerate() {
        let signal = signals.iter().find(|signal| signal.name == aim.signal);
        let (Some(signal), Some(aimed)) = (signal, aim.from) else {
            continue;
        };
        let (level, tolerance) = match signal.from {
            Some(Baseline::Stated(level)) => (level, 1e-9 * level.abs().max(1.0)),
            // Counts rarely give a round share; the aim may round to the nearest percent.
            Some(Baseline::Counted { x, n, .. }) => (x / n, 0.005 * (x / n).abs().max(1.0)),
            Some(Baseline::Window(_)) | None => continue,
        };
        if (level - aimed).abs() <= tolerance {
            continue;
        }
        let place = walk.places.get(&format!("aim.{index}.from")).copied();
        let pos = place.unwrap_or(crate::spec::diagnostic::SourcePos::FIRST);
        let line = walk.places.get(&format!("signals.{}.from", signal.name)).map(|pos| pos.line);
        let name = &signal.name;
        let diagnostic = Diagnostic::new(
            "E0405",
            pos,
            format!("the aim and `signals.{name}` disagree on `from`"),
        )
        .cause(format!("the signal's own `from` is on line {}", line.unwrap_or(0)))
        .hint("write the same number in both places");
        walk.report(diagnostic);
    }
}
