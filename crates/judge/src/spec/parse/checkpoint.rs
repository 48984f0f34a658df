//! `checkpoint:` — when it is decided, and by which rule.

use super::keys;
use super::signals::Scales;
use super::walk::{Fields, Walk};
use super::{MIN_EVERY, last_day};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::model::{Checkpoint, LookPlan, SPENDING, When};
use crate::spec::rule::Rule;
use crate::spec::rule_parse::{SignalInfo, parse_rule};
use crate::spec::tree::Node;
use crate::time::{Span, Timestamp};

pub(super) fn checkpoint(
    walk: &mut Walk<'_>,
    top: &Fields<'_>,
    scales: &Scales,
) -> Option<Checkpoint> {
    let Some(node) = top.get("checkpoint") else {
        let message = "there is no checkpoint";
        let hint = "add `checkpoint:` with `at:` and `continue_when:`";
        return walk.fail("D0109", top.key_pos("experiment"), message, hint);
    };
    let fields = walk.fields(node, "checkpoint", keys::CHECKPOINT)?;
    let when = when(walk, &fields);
    let continue_when = if let Some(node) = fields.get("continue_when") {
        rule(walk, node, "checkpoint.continue_when", scales)
    } else {
        let hint = "add `continue_when: proxy >= +10% and outcome >= +3pts`";
        walk.fail("D0109", fields.pos, "the checkpoint has no rule", hint)
    };
    let stop_when = match fields.get("stop_when") {
        Some(node) => rule(walk, node, "checkpoint.stop_when", scales).map(Some),
        None => Some(None),
    };
    let cycles = match fields.get("cycles") {
        Some(node) => walk.whole(node, "checkpoint.cycles", 1, 20),
        None => Some(2),
    };
    let look = look(walk, &fields);
    let spending = spending(walk, &fields, look);
    let look_every = walk.span_or(&fields, "look_every", MIN_EVERY, Span::days(1));
    let futility = walk.word_or(&fields, "early_stop", keys::EARLY_STOPS, false);
    let min_duration = walk.span_or(&fields, "min_duration", Span::ZERO, Span::days(7));
    let notify = walk.span_or(&fields, "hold_notify_after", Span::ZERO, Span::hours(24));
    Some(Checkpoint {
        when: when?,
        cycles: cycles?,
        continue_when: continue_when?,
        stop_when: stop_when?,
        look_every: look_every?,
        look: look?,
        spending: spending?,
        early_stop_futility: futility?,
        min_duration: min_duration?,
        hold_notify_after: notify?,
    })
}

/// Stands in for a checkpoint that was reported as unreadable.
pub(super) fn unreadable() -> Checkpoint {
    Checkpoint {
        when: When::Every(Span::days(7)),
        cycles: 1,
        continue_when: Rule::And(Vec::new()),
        stop_when: None,
        look_every: Span::days(1),
        look: LookPlan::Always,
        spending: SPENDING,
        early_stop_futility: false,
        min_duration: Span::days(7),
        hold_notify_after: Span::hours(24),
    }
}

fn when(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<When> {
    match (fields.get("at"), fields.get("every")) {
        (Some(_), Some(_)) => {
            let hint = "keep `at:` for one date or `every:` for a rhythm";
            let message = "`at` and `every` exclude each other";
            walk.fail("E0206", fields.key_pos("every"), message, hint)
        }
        (Some(node), None) => walk.day_end(node, "checkpoint.at").map(When::At),
        (None, Some(node)) => walk.span(node, "checkpoint.every", Span::hours(1)).map(When::Every),
        (None, None) => {
            let hint = "add `at: 2026-07-12`, or `every: 7d`";
            walk.fail("D0109", fields.pos, "the checkpoint has no date", hint)
        }
    }
}

/// `always`, `once` or `weekly xK`.
fn look(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<LookPlan> {
    let Some(node) = fields.get("look") else {
        return Some(LookPlan::Always);
    };
    let text = walk.scalar(node, "checkpoint.look", "a look plan (`always`)")?.text.clone();
    let looks = text.trim().strip_prefix("weekly x").and_then(|count| count.parse::<u32>().ok());
    match (text.trim(), looks) {
        ("always", _) => Some(LookPlan::Always),
        ("once", _) => Some(LookPlan::Once),
        (_, Some(looks)) if (2..=52).contains(&looks) => Some(LookPlan::Weekly(looks)),
        (other, _) => {
            let message = format!("`look` cannot be `{}`", super::values::shorten(other));
            let hint = "allowed: `always`, `once`, `weekly x4` (2 to 52 looks)";
            walk.fail("E0204", node.pos, message, hint)
        }
    }
}

/// The power of the spending function, which only weekly looks have.
fn spending(walk: &mut Walk<'_>, fields: &Fields<'_>, look: Option<LookPlan>) -> Option<u32> {
    let Some(node) = fields.get("spending") else {
        return Some(SPENDING);
    };
    let power = walk.whole(node, "checkpoint.spending", 1, 3)?;
    if matches!(look, None | Some(LookPlan::Weekly(_))) {
        return Some(power);
    }
    let message = "`spending` belongs to `look: weekly xK`";
    let hint = "remove it, or plan the looks: `look: weekly x6`";
    walk.fail("E0206", fields.key_pos("spending"), message, hint)
}

/// A rule, with each fault under the characters that cause it.
fn rule(walk: &mut Walk<'_>, node: &Node, path: &str, scales: &Scales) -> Option<Rule> {
    let scalar = walk.scalar(node, path, "a rule (`proxy >= +10%`)")?;
    let signals: Vec<SignalInfo> = scales
        .iter()
        .map(|(name, scale)| SignalInfo {
            name: name.clone(),
            form: scale.as_ref().map(|scale| scale.form),
            unit: scale.as_ref().and_then(|scale| scale.unit.clone()),
        })
        .collect();
    match parse_rule(&scalar.text, &signals) {
        Ok(rule) => Some(rule),
        Err(errors) => {
            for error in errors {
                let pos = scalar.locate(walk.file, error.offset, error.len);
                let mut diagnostic = Diagnostic::new(error.code, pos, error.message);
                diagnostic.hint = error.hint;
                walk.report(diagnostic);
            }
            None
        }
    }
}

/// The order start < at <= by.
pub(super) fn check_dates(
    walk: &mut Walk<'_>,
    top: &Fields<'_>,
    checkpoint: &Checkpoint,
    start: Timestamp,
    by: Option<Timestamp>,
) {
    let key = |walk: &Walk<'_>, path: &str| {
        walk.places.get(path).copied().unwrap_or_else(|| top.key_pos("checkpoint"))
    };
    let When::At(at) = checkpoint.when else {
        if let Some(by) = by
            && by <= start
        {
            by_before_start(walk, top, by);
        }
        return;
    };
    if at <= start {
        let pos = key(walk, "checkpoint.at");
        let message = "the checkpoint is not after the start";
        let first = last_day(crate::time::add_ms(start, 1), &walk.zone);
        let hint = format!("choose a day after {first}");
        walk.report(Diagnostic::new("E0408", pos, message).hint(hint));
    }
    let Some(by) = by else { return };
    if by <= start {
        by_before_start(walk, top, by);
    } else if at > by {
        let pos = key(walk, "checkpoint.at");
        let message = "the checkpoint is after the aim's `by`";
        let day = last_day(by, &walk.zone);
        let hint = format!("set `at` to {day} or earlier, or move `by`");
        walk.report(Diagnostic::new("E0408", pos, message).hint(hint));
    }
}

fn by_before_start(walk: &mut Walk<'_>, top: &Fields<'_>, by: Timestamp) {
    let pos = walk.places.get("aim.0.by").copied().unwrap_or_else(|| top.key_pos("aim"));
    let message = format!("the aim's `by` ({}) is before the start", last_day(by, &walk.zone));
    let hint = "move `by` behind the checkpoint";
    walk.report(Diagnostic::new("E0408", pos, message).hint(hint));
}
