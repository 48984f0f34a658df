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
            add(Finding::Short { signal: name, wanted: signal.threshold });
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
    let counts = facts.analysis.split.as_ref().map(|split| &split.counts);
    for (arm, units) in counts.into_iter().flatten().filter(|(_, units)| **units > 0.0) {
        if let Compare::Arms { split, .. } = &facts.input.experiment.compare
            && split.get(arm).is_some_and(|share| *share <= 0.0)
        {
            add(Finding::UnplannedUnits { arm: arm.clone(), units: *units });
        }
    }
    found
}
