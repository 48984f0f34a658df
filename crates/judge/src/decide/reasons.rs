//! Why a checkpoint did not pass, most important first: outcomes, atoms, guardrails, time.

use crate::analyse::{SignalState, Truth};
use crate::spec::Role;
use crate::time::{DAY_MS, ms_between};

use super::Reason;
use super::facts::Facts;

/// Atoms that hold, in the order of the rule.
pub(super) fn met_atoms(facts: &Facts<'_>) -> Vec<Reason> {
    atoms_that_are(facts, Truth::True).map(|atom| Reason::AtomMet { atom }).collect()
}

/// Everything that kept `continue` from passing at this look.
pub(super) fn blockers(facts: &Facts<'_>) -> Vec<Reason> {
    let mut found = Vec::new();
    for signal in facts.with_role(Role::Outcome) {
        let (name, state) = (signal.name.clone(), signal.state);
        if matches!(state, SignalState::Flat | SignalState::Harm | SignalState::Short) {
            found.push(Reason::SignalIs { signal: name, state });
        } else if facts.is_missing(&name) {
            let since = facts.missing_since(&name);
            found.push(Reason::DataMissing { signal: name, since });
        } else if !facts.is_observed(signal) {
            found.push(Reason::SignalIs { signal: name, state });
        }
    }
    if facts.root() != Truth::True {
        let not_met = atoms_that_are(facts, Truth::False);
        found.extend(not_met.map(|atom| Reason::AtomNotMet { atom }));
        let unknown = atoms_that_are(facts, Truth::Unknown);
        found.extend(unknown.map(|atom| Reason::AtomUnknown { atom }));
    }
    found.extend(
        facts.tripped().map(|status| Reason::GuardrailOn { guardrail: status.name.clone() }),
    );
    let unproven = facts.unproven().filter(|(_, tolerated)| !tolerated);
    found.extend(
        unproven.map(|(status, _)| Reason::NotShownSafe { guardrail: status.name.clone() }),
    );
    if !facts.is_long_enough() {
        let started_at = facts.input.cycle.started_at;
        found.push(Reason::TooShort {
            days: ms_between(started_at, facts.input.at) as f64 / DAY_MS as f64,
            wanted_days: facts.input.experiment.checkpoint.min_duration.as_days(),
        });
    }
    for signal in facts.with_role(Role::Outcome) {
        if matches!(
            signal.state,
            SignalState::Inconclusive | SignalState::Moving | SignalState::TooEarly
        ) && facts.is_observed(signal)
        {
            found.push(Reason::OutcomeUnproven { signal: signal.name.clone() });
        }
    }
    found
}

fn atoms_that_are(facts: &Facts<'_>, met: Truth) -> impl Iterator<Item = usize> {
    let atoms = facts.analysis.atoms.iter().enumerate();
    atoms.filter(move |(_, atom)| atom.met == met).map(|(index, _)| index)
}
