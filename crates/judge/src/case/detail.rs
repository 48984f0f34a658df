//! The lines that `detail: true` adds under a look: reasons, guardrails, findings, alarms.
//!
//! By their wire names, so that a story can hold every one of them; empty lists leave no line.

use serde_json::Value;

use super::timeline::name_of;
use crate::analyse::GuardrailState;
use crate::decide::AlarmSeverity;
use crate::record::EvaluationRecord;

/// Fields that name what a reason or a finding is about, in the order in which they are written.
const SUBJECTS: [&str; 6] = ["atom", "signal", "guardrail", "arm", "state", "earlier"];

/// All of them.
pub(super) fn of(record: &EvaluationRecord) -> Vec<String> {
    let states = record.guardrails.iter().filter(|status| status.state != GuardrailState::Ok);
    let states = states.map(|status| format!("{} {}", status.name, name_of(&status.state)));
    let alarms = record.alarms.iter().map(|alarm| {
        let doubt = if alarm.severity == AlarmSeverity::Suspected { " (suspected)" } else { "" };
        format!("{}{doubt}", alarm.key())
    });
    let findings = record.findings.iter().map(|finding| named(finding, "finding"));
    let rest = [
        ("guardrails", states.collect::<Vec<_>>()),
        ("findings", findings.collect()),
        ("alarms", alarms.collect()),
    ];
    let rest = rest.into_iter().filter(|(_, words)| !words.is_empty());
    let rest = rest.map(|(title, words)| format!("{title}: {}", words.join(", ")));
    std::iter::once(reasons(record)).chain(rest).collect()
}

/// Why, in the order of the record.
pub(super) fn reasons(record: &EvaluationRecord) -> String {
    let reasons = record.decision.reasons.iter().map(|reason| named(reason, "reason"));
    format!("because: {}", reasons.collect::<Vec<_>>().join(", "))
}

/// The tag of an enum and what it is about: `outcome_unproven finished`.
fn named(value: &impl serde::Serialize, tag: &str) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    let word = |key: &str| match value.get(key) {
        Some(Value::String(word)) => Some(word.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let words = std::iter::once(tag).chain(SUBJECTS).filter_map(word);
    words.collect::<Vec<_>>().join(" ")
}
