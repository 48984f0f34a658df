//! What would flip a verdict: the same evaluation with one thing otherwise.
//!
//! Beside the line: `explain` prints it. The frozen input is analysed again, one truth or state
//! is set to another value, and the table is asked once more; nothing is estimated. One change at
//! a time, in the order atoms, outcomes and proxies, guardrails, split.

use serde::Serialize;

use crate::analyse::{Analysis, GuardrailState, SignalState, Truth, analyse, rule_value};
use crate::record::{EvaluationRecord, LookInput};
use crate::spec::{OnTrip, Role};

use super::{Cause, Verdict, decide, is_at_checkpoint};

/// One thing that could be otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// An atom of `continue_when`.
    Atom {
        /// As in the file.
        text: String,
        /// What it would have to be.
        to: Truth,
    },
    /// An atom of `stop_when`.
    StopAtom {
        /// As in the file.
        text: String,
        /// What it would have to be.
        to: Truth,
    },
    /// A signal's state.
    Signal {
        /// Signal name.
        name: String,
        /// What it would have to be.
        to: SignalState,
    },
    /// A guardrail's state.
    Guardrail {
        /// Guardrail name.
        name: String,
        /// What it would have to be.
        to: GuardrailState,
    },
    /// The split check.
    Split {
        /// Whether it would be off.
        mismatch: bool,
    },
}

/// A change and the verdict that it would lead to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// What would be otherwise.
    pub change: Change,
    /// What would be said then.
    pub verdict: Verdict,
    /// Which row of the table.
    pub cause: Cause,
}

/// Every single change that leads to another verdict or cause than the record's own.
pub fn flips(record: &EvaluationRecord) -> Vec<Flip> {
    let input = &record.input;
    let analysis = analyse(input, is_at_checkpoint(input));
    let now = (record.decision.verdict, record.decision.cause);
    let mut found = Vec::new();
    for (change, analysis) in changed(input, &analysis) {
        let decision = decide(input, &analysis).decision;
        if (decision.verdict, decision.cause) != now {
            found.push(Flip { change, verdict: decision.verdict, cause: decision.cause });
        }
    }
    found
}

fn changed(input: &LookInput, analysis: &Analysis) -> Vec<(Change, Analysis)> {
    let mut all = Vec::new();
    atoms(input, analysis, &mut all);
    signals(analysis, &mut all);
    guardrails(analysis, &mut all);
    if let Some(split) = &analysis.split {
        let mut other = analysis.clone();
        let mismatch = !split.mismatch;
        other.split = Some(crate::analyse::SplitCheck { mismatch, ..split.clone() });
        all.push((Change::Split { mismatch }, other));
    }
    all
}

const TRUTHS: [Truth; 2] = [Truth::True, Truth::False];

fn atoms(input: &LookInput, analysis: &Analysis, all: &mut Vec<(Change, Analysis)>) {
    let checkpoint = &input.experiment.checkpoint;
    for (index, atom) in analysis.atoms.iter().enumerate() {
        for to in TRUTHS.into_iter().filter(|to| *to != atom.met) {
            let mut other = analysis.clone();
            other.atoms[index].met = to;
            other.atoms[index].why = None;
            other.rule = rule_value(&checkpoint.continue_when, &other.atoms);
            all.push((Change::Atom { text: atom.text.clone(), to }, other));
        }
    }
    let Some(rule) = &checkpoint.stop_when else { return };
    for (index, atom) in analysis.stop_atoms.iter().enumerate() {
        for to in TRUTHS.into_iter().filter(|to| *to != atom.met) {
            let mut other = analysis.clone();
            other.stop_atoms[index].met = to;
            other.stop_atoms[index].why = None;
            other.stop_rule = Some(rule_value(rule, &other.stop_atoms));
            all.push((Change::StopAtom { text: atom.text.clone(), to }, other));
        }
    }
}

/// States that can decide something: those of outcomes and proxies.
fn signals(analysis: &Analysis, all: &mut Vec<(Change, Analysis)>) {
    const STATES: [SignalState; 3] = [SignalState::Met, SignalState::Flat, SignalState::Harm];
    for (index, view) in analysis.signals.iter().enumerate() {
        if !matches!(view.role, Role::Outcome | Role::Proxy) {
            continue;
        }
        for to in STATES.into_iter().filter(|to| *to != view.state) {
            let mut other = analysis.clone();
            other.signals[index].state = to;
            for check in other.harm.iter_mut().filter(|check| check.signal == view.name) {
                check.harmful = to == SignalState::Harm;
            }
            all.push((Change::Signal { name: view.name.clone(), to }, other));
        }
    }
}

fn guardrails(analysis: &Analysis, all: &mut Vec<(Change, Analysis)>) {
    for (index, status) in analysis.guardrails.iter().enumerate() {
        let is_on = status.state == GuardrailState::Tripped;
        let to = if is_on { GuardrailState::Ok } else { GuardrailState::Tripped };
        let mut other = analysis.clone();
        other.guardrails[index].state = to;
        other.guardrails[index].frozen = None;
        other.guardrails[index].latched =
            to == GuardrailState::Tripped && status.on_trip == OnTrip::Stop;
        all.push((Change::Guardrail { name: status.name.clone(), to }, other));
    }
}

/// Whether a record follows from its own frozen input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reproduction {
    /// The same bytes.
    Same,
    /// Other bytes: the dotted paths at which they differ, at most twenty.
    Differs(Vec<String>),
    /// Another engine wrote it: it is shown as it is stored.
    OtherEngine(String),
    /// The judge failed there; there is nothing to repeat.
    Fault,
}

/// Evaluates the frozen input again and compares the bytes.
pub fn reproduce(record: &EvaluationRecord) -> Reproduction {
    if record.engine != crate::record::ENGINE {
        return Reproduction::OtherEngine(record.engine.clone());
    }
    if record.decision.cause == Cause::EngineFault {
        return Reproduction::Fault;
    }
    let input = record.input.clone();
    let again = match record.track.strip_prefix("guardrail:") {
        Some(guardrail) => {
            let restatement = (record.restatement_no, record.revises.clone());
            super::evaluate::evaluate_trip_again(input, guardrail, restatement)
        }
        None => super::evaluate(input, record.restatement_no, record.revises.clone()),
    };
    let (before, after) = (record.to_json(), again.to_json());
    if before == after {
        return Reproduction::Same;
    }
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_default();
    let mut paths = Vec::new();
    differences("", &parsed(&before), &parsed(&after), &mut paths);
    Reproduction::Differs(paths)
}

const MOST_PATHS: usize = 20;

fn differences(
    path: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
    paths: &mut Vec<String>,
) {
    use serde_json::Value;
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        _ if before == after || paths.len() >= MOST_PATHS => {}
        (Value::Object(one), Value::Object(two)) => {
            let mut keys: Vec<_> = one.keys().chain(two.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let missing = Value::Null;
                let (one, two) = (one.get(key), two.get(key));
                let (one, two) = (one.unwrap_or(&missing), two.unwrap_or(&missing));
                differences(&below(key), one, two, paths);
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (one, two)) in one.iter().zip(two).enumerate() {
                differences(&below(&index.to_string()), one, two, paths);
            }
        }
        _ => paths.push(path.to_owned()),
    }
}
