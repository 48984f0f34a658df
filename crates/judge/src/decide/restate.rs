//! A sent verdict against restated data: the same slot, judged again on what its source says now.
//!
//! "Late or restated data never flips a sent verdict silently: it produces `verdict.revised`,
//! naming the old one" (product.md 4.3). Everything but the data is taken from the frozen record
//! (revision, cycle, guardrail states, sequential state), so that a difference has one cause.
//! Nothing here changes a life: what a revision means for the run is a person's decision.

use std::collections::BTreeMap;

use crate::analyse::{GuardrailState, GuardrailStatus};
use crate::observe::Observation;
use crate::record::{ENGINE, EvaluationRecord, LookInput, Restated, Revised, canonical_json};

use super::evaluate::{evaluate, evaluate_trip_again};
use super::facts::is_tripped;
use super::{Decision, Reason};

/// The look of `old` on restated observations; `None` when verdict and cause stay as they were.
///
/// A source that fails now keeps what it said then: a failure restates nothing.
pub fn restate_look(
    old: &EvaluationRecord,
    observations: BTreeMap<String, Observation>,
    beside: BTreeMap<String, Observation>,
) -> Option<EvaluationRecord> {
    let mut input = old.input.clone();
    let mut changed = renew(&mut input.observations, observations);
    changed.extend(renew(&mut input.beside, beside));
    if changed.is_empty() || !is_ours(old) {
        return None;
    }
    let mut new = evaluate(input, old.restatement_no + 1, Some(old.id.clone()));
    let numbers = changed.iter().map(|name| of_signal(name, old, &new)).collect();
    is_other(old, &new).then(|| {
        new.revised = Some(revised(old, numbers));
        new
    })
}

/// Lays what differs over what was known; the names of it.
fn renew(
    known: &mut BTreeMap<String, Observation>,
    now: BTreeMap<String, Observation>,
) -> Vec<String> {
    let mut changed = Vec::new();
    for (name, now) in now {
        let failed = matches!(now, Observation::SourceError { .. });
        if !failed && known.get(&name).is_some_and(|before| !is_same(before, &now)) {
            known.insert(name.clone(), now);
            changed.push(name);
        }
    }
    changed
}

/// The trip of `old` on a guardrail judged again at its slot, without its latch (see
/// [`before_trip`]); `None` when it comes to the same, or when the data are away.
pub fn restate_trip(old: &EvaluationRecord, status: &GuardrailStatus) -> Option<EvaluationRecord> {
    let missing = [GuardrailState::NoData, GuardrailState::SourceError];
    let before = old.guardrails.iter().find(|before| before.name == status.name)?;
    if missing.contains(&status.state) || is_tripped(status) == is_tripped(before) {
        return None;
    }
    let replaced = |stored: &GuardrailStatus| {
        if stored.name == status.name { status.clone() } else { stored.clone() }
    };
    let guardrails = old.input.guardrails.iter().map(replaced).collect();
    let input = LookInput { guardrails, ..old.input.clone() };
    let slot = (old.restatement_no + 1, Some(old.id.clone()));
    let mut new = evaluate_trip_again(input, &status.name, slot);
    if !is_tripped(status) {
        new.decision = calmed(status, new.decision);
    }
    let number = Restated {
        subject: status.name.clone(),
        before: before.value,
        now: status.value,
        relative: false,
        units_before: before.total,
        units_now: status.total,
    };
    is_other(old, &new).then(|| {
        new.revised = Some(revised(old, vec![number]));
        new
    })
}

/// The status that a tripped guardrail's slot started from, as far as the record holds it: no
/// latch and no trip, the clock of `for` as it ran.
pub fn before_trip(tripped: &GuardrailStatus) -> GuardrailStatus {
    let mut status = GuardrailStatus {
        state: GuardrailState::Ok,
        frozen: None,
        latched: false,
        clearing_since: None,
        ..tripped.clone()
    };
    for alert in status.burn.iter_mut().flat_map(|burn| &mut burn.alerts) {
        alert.firing = false;
        alert.clearing_since = None;
    }
    status
}

/// The run stays over ("changes no state"), so nothing is planned after it.
fn calmed(status: &GuardrailStatus, decision: Decision) -> Decision {
    let reason = Reason::GuardrailRestated {
        guardrail: status.name.clone(),
        value: status.value,
        limit: status.limit,
    };
    Decision { reasons: vec![reason], next_look_at: None, next_checkpoint_at: None, ..decision }
}

/// Equal as records hold them: a stored number has 12 digits.
fn is_same(before: &Observation, now: &Observation) -> bool {
    let text = |one: &Observation| canonical_json(&serde_json::to_value(one).unwrap_or_default());
    text(before) == text(now)
}

/// Whether this engine gives the stored verdict on the stored input. An older engine's record
/// that it judges otherwise is left alone: the difference would not be the data's.
fn is_ours(old: &EvaluationRecord) -> bool {
    old.engine == ENGINE || !is_other(old, &evaluate(old.input.clone(), 0, None))
}

fn is_other(old: &EvaluationRecord, new: &EvaluationRecord) -> bool {
    let row = |record: &EvaluationRecord| (record.decision.verdict, record.decision.cause);
    row(old) != row(new)
}

fn revised(old: &EvaluationRecord, changes: Vec<Restated>) -> Revised {
    Revised { verdict: old.decision.verdict, cause: old.decision.cause, changes }
}

fn of_signal(name: &str, old: &EvaluationRecord, new: &EvaluationRecord) -> Restated {
    let evidence = |record: &EvaluationRecord| {
        let view = record.signals.iter().find(|signal| signal.name == name);
        view.and_then(|view| view.evidence.clone())
    };
    let (before, now) = (evidence(old), evidence(new));
    let newest = now.as_ref().or(before.as_ref());
    Restated {
        subject: name.to_owned(),
        before: before.as_ref().map(|evidence| evidence.estimate),
        now: now.as_ref().map(|evidence| evidence.estimate),
        relative: newest.is_some_and(|evidence| evidence.relative),
        units_before: before.map(|evidence| evidence.n.values().sum()),
        units_now: now.map(|evidence| evidence.n.values().sum()),
    }
}
