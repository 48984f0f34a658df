//! What a revised evaluation changed, in numbers, and what it leaves to people.

use super::numbers::{Written, count, format_change};
use crate::decide::is_tripped;
use crate::notice::verdict_text;
use crate::record::{EvaluationRecord, Restated};

/// `It was continue: graduate. Restated: activation +8.0 pts -> +1.0 pts, 4,000 -> 4,100 units.`
///
/// `None` for an evaluation that revises nothing.
pub fn revision(record: &EvaluationRecord) -> Option<String> {
    let revised = record.revised.as_ref()?;
    let before = verdict_text(revised.verdict, revised.cause);
    let changes: Vec<_> = revised.changes.iter().map(|one| change(one, record)).collect();
    Some(format!("It was {before}. Restated: {}.", changes.join("; ")))
}

/// What happens after a revision: nothing by itself.
pub(super) fn revision_next(record: &EvaluationRecord) -> Option<&'static str> {
    record.revised.as_ref()?;
    Some(if !record.track.starts_with("guardrail:") {
        "The run itself was not changed: confirm the old verdict or overrule it by a decision."
    } else if record.guardrails.iter().any(is_tripped) {
        "The run stays over and the rollback is not sent again."
    } else {
        "The run stays over: only a human may rearm the guardrail."
    })
}

fn change(one: &Restated, record: &EvaluationRecord) -> String {
    let experiment = &record.input.experiment;
    let number = |value: f64| match experiment.signal(&one.subject) {
        Some(signal) => format_change(value, one.relative, signal.form, signal.unit.as_deref()),
        None => Written::of_guardrail(experiment, &one.subject).text(value),
    };
    let seen = |value: Option<f64>| value.map_or_else(|| "not seen".to_owned(), &number);
    let mut text = format!("{} {} -> {}", one.subject, seen(one.before), seen(one.now));
    let some = one.units_before.or(one.units_now).is_some();
    if some {
        let units = |value: Option<f64>| count(value.unwrap_or_default());
        let (before, now) = (units(one.units_before), units(one.units_now));
        text = format!("{text}, {before} -> {now} units");
    }
    text
}
