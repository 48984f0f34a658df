//! What is worth knowing without being an alarm, each thing once.

use crate::analyse::SignalState;
use crate::spec::Compare;

use super::Finding;
use super::facts::Facts;

/// The analysis' findings first, then the table's own.
pub(super) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = facts.analysis.findings.clone();
    let mut add = |finding: Finding| {
        if !found.contains(&finding) {
            found.push(finding);
        }
    };
    for atom in facts.analysis.atoms.iter().filter(|atom| atom.no_test) {
        add(Finding::NoTest { signal: atom.signal.clone() });
    }
    for signal in &facts.analysis.signals {
        let name = signal.name.clone();
        if signal.evidence.as_ref().is_some_and(|evidence| evidence.exact_baseline) {
            add(Finding::Uncontrolled { signal: name.clone() });
        }
        if signal.state == SignalState::Short {
            add(Finding::Short { signal: name });
        }
    }
    for (status, _) in facts.unproven() {
        add(Finding::NotShownSafe { guardrail: status.name.clone() });
    }
    if let Compare::Arms { split, .. } = &facts.input.experiment.compare
        && split.is_empty()
    {
        add(Finding::SplitNotChecked);
    }
    found
}
