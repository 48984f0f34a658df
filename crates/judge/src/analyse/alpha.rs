//! The alpha ledger: which error rate each purpose may spend (product.md 4.2).
//!
//! Part of `analyse`; also printed by `plan`, because it follows from the file alone. Invariants:
//! nothing here depends on data, and every test of a look has its line.

use std::collections::BTreeSet;

use super::AlphaLine;
use crate::spec::{Atom, AtomKind, Experiment, GuardrailKind, LimitOf, OnTrip, Role, Rule};
use crate::stats::srm;

/// Movement atoms, level atoms and signals without an atom; tolerance and non-inferiority.
pub(super) const SIGNAL: f64 = 0.05;
/// Shared by harm of outcomes and `stop_when`.
const HARM: f64 = 0.025;
/// `slo` with a lifetime budget, and sampled `limit`.
const COUNTS: f64 = 0.01;

/// The shares of alpha that follow from an experiment file.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    /// Per atom of `continue_when`, left to right.
    pub(super) atoms: Vec<f64>,
    /// Harm and `stop_when`, per distinct signal.
    pub(super) harm: f64,
    /// Each `no_worse_than` that stops; 0.05 for one that only alerts.
    stopping: f64,
}

impl Shares {
    pub(super) fn of(experiment: &Experiment) -> Self {
        let mut atoms = Vec::new();
        spread(&experiment.checkpoint.continue_when, 1.0, &mut atoms);
        let found = experiment.checkpoint.continue_when.atoms();
        // One hypothesis has one alpha: the same question in two places gets the smaller share.
        let shared = |index: usize| {
            let same = |other: &Atom| other.signal == found[index].signal;
            let shares = found.iter().zip(&atoms).filter(|(other, _)| same(other));
            shares.map(|(_, share)| *share).fold(SIGNAL, f64::min)
        };
        let of_atom = |(index, atom): (usize, &&Atom)| match atom.kind {
            AtomKind::Tolerance => SIGNAL,
            AtomKind::Movement | AtomKind::Level => shared(index),
        };
        let atoms: Vec<f64> = found.iter().enumerate().map(of_atom).collect();
        Self {
            atoms,
            harm: HARM / harmed(experiment).len().max(1) as f64,
            stopping: SIGNAL / stopping(experiment).max(1) as f64,
        }
    }

    /// The error rate of a trip of `no_worse_than`.
    pub(super) fn trip(&self, on_trip: OnTrip) -> f64 {
        match on_trip {
            OnTrip::Stop => self.stopping,
            OnTrip::Alert => SIGNAL,
        }
    }
}

/// The error rate of each atom of `continue_when`, left to right.
pub(crate) fn of_atoms(experiment: &Experiment) -> Vec<f64> {
    Shares::of(experiment).atoms
}

/// Shares of the atoms: an OR divides by its branches, an AND does not.
fn spread(rule: &Rule, share: f64, atoms: &mut Vec<f64>) {
    match rule {
        Rule::Atom(_) => atoms.push(SIGNAL * share),
        Rule::Not(inner) => spread(inner, share, atoms),
        Rule::And(rules) | Rule::Or(rules) => {
            let branches = if matches!(rule, Rule::Or(_)) { rules.len().max(1) } else { 1 };
            for inner in rules {
                spread(inner, share / branches as f64, atoms);
            }
        }
    }
}

/// Signals that may stop as harmful: outcomes and those of `stop_when`.
fn harmed(experiment: &Experiment) -> BTreeSet<&str> {
    let outcomes = experiment.outcomes().map(|signal| signal.name.as_str());
    let stops = experiment.checkpoint.stop_when.iter().flat_map(Rule::atoms);
    outcomes.chain(stops.map(|atom| atom.signal.as_str())).collect()
}

fn stopping(experiment: &Experiment) -> usize {
    let stops = |guardrail: &&crate::spec::Guardrail| {
        guardrail.on_trip == OnTrip::Stop && matches!(guardrail.kind, GuardrailKind::NoWorseThan(_))
    };
    experiment.guardrails.iter().filter(stops).count()
}

/// The ledger of an experiment, in the order atoms, signals, harm, guardrails, split, mixed units.
pub fn ledger(experiment: &Experiment) -> Vec<AlphaLine> {
    let shares = Shares::of(experiment);
    let rule = &experiment.checkpoint.continue_when;
    let line = |purpose: String, alpha: f64, sides: u8, rule: &str| AlphaLine {
        purpose,
        alpha,
        sides,
        rule: rule.to_owned(),
    };
    let mut lines = Vec::new();
    for (atom, alpha) in rule.atoms().into_iter().zip(&shares.atoms) {
        let (sides, words) = match atom.kind {
            AtomKind::Tolerance => (1, "tolerance: 0.05 one-sided, tau = margin"),
            _ if *alpha < SIGNAL => (2, "joined by OR: 0.05 / branches"),
            AtomKind::Level => (2, "level: 0.05 two-sided"),
            AtomKind::Movement => (2, "joined by AND: 0.05 two-sided each"),
        };
        lines.push(line(format!("atom {}", atom.text), *alpha, sides, words));
    }
    let without = experiment
        .signals
        .iter()
        .filter(|signal| signal.role != Role::Guardrail && !rule.names(&signal.name));
    for signal in without {
        let words = "signal without an atom: 0.05 two-sided";
        lines.push(line(format!("signal {}", signal.name), SIGNAL, 2, words));
    }
    for signal in harmed(experiment) {
        let words = "harm and stop_when: 0.025 one-sided over their signals";
        lines.push(line(format!("harm {signal}"), shares.harm, 1, words));
    }
    guardrail_lines(experiment, &shares, &mut lines);
    if super::split::shares_of(experiment).is_some() {
        lines.push(line("split".to_owned(), srm::ALPHA, 1, "split check: 0.001"));
        let alpha = super::split::alpha_of_others(experiment);
        for signal in super::split::others(experiment) {
            let words = "split check of further signals: 0.001 over them";
            lines.push(line(format!("split {}", signal.name), alpha, 1, words));
        }
    }
    if experiment.multiple_exposure().is_some() {
        let words = "units in more than one arm: 0.001 one-sided";
        lines.push(line("multiple exposure".to_owned(), srm::ALPHA, 1, words));
    }
    lines
}

fn guardrail_lines(experiment: &Experiment, shares: &Shares, lines: &mut Vec<AlphaLine>) {
    for guardrail in &experiment.guardrails {
        let mut push = |what: &str, alpha: f64, rule: &str| {
            lines.push(AlphaLine {
                purpose: format!("guardrail {}{what}", guardrail.name),
                alpha,
                sides: 1,
                rule: rule.to_owned(),
            });
        };
        match &guardrail.kind {
            GuardrailKind::NoWorseThan(_) => {
                push(" ok", SIGNAL, "inside the margin: 0.05 one-sided, tau = margin");
                let words = match guardrail.on_trip {
                    OnTrip::Stop => "stops: 0.05 one-sided over the no_worse_than that stop",
                    OnTrip::Alert => "alerts: 0.05 one-sided",
                };
                push(" trip", shares.trip(guardrail.on_trip), words);
            }
            // Burn rates are a tripwire and promise no error rate (product.md 4.5).
            GuardrailKind::Slo(slo) if slo.burn.is_none() => {
                push("", COUNTS, "slo of a lifetime: 0.01, tau = q");
            }
            GuardrailKind::Limit(limit) if limit.of == LimitOf::Sampled => {
                push("", COUNTS, "sampled limit: 0.01, tau = q");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, parse};

    const FILE: &str = include_str!("../../../../tests/cases/rolling-budget-pages/experiment.yaml");

    #[test]
    fn a_budget_of_a_lifetime_has_an_error_rate_and_burn_rates_have_none() {
        let alpha = |budget: &str| {
            let text = FILE.replace("{rolling: 28d}", budget);
            let experiment = parse("e.yaml", &text, &Context::default()).experiment.unwrap();
            let lines = ledger(&experiment);
            lines.into_iter().find(|line| line.purpose == "guardrail errors").map(|it| it.alpha)
        };
        assert_eq!(alpha("lifetime"), Some(0.01));
        assert_eq!(alpha("{rolling: 28d}"), None);
        assert_eq!(alpha("{calendar: month}"), None);
    }
}
