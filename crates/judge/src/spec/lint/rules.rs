//! What a rule can and cannot do: reach its thresholds, name the outcome, point the right way.

use super::Finding;
use super::done::known_level;
use crate::spec::model::{Experiment, Form, Role, Signal};
use crate::spec::rule::{Amount, Atom, AtomKind, Rule, Side};

pub(super) fn rules(experiment: &Experiment, found: &mut Vec<Finding>) {
    let checkpoint = &experiment.checkpoint;
    let continue_when = "checkpoint.continue_when";
    let mut outcomes = experiment.outcomes().peekable();
    if outcomes.peek().is_some() && !outcomes.any(|one| checkpoint.continue_when.names(&one.name)) {
        let finding = Finding::new("W0103", continue_when, "the rule does not name an outcome")
            .cause("the outcome still counts: without it there is no `continue`")
            .hint("add the change of the outcome that you want to see");
        found.push(finding);
    }
    judge(experiment, &checkpoint.continue_when, continue_when, false, found);
    if let Some(stop_when) = &checkpoint.stop_when {
        judge(experiment, stop_when, "checkpoint.stop_when", true, found);
    }
    for (index, aim) in experiment.aims.iter().enumerate() {
        let Some(signal) = experiment.signal(&aim.signal) else {
            continue;
        };
        if let (Some(from), Some(to)) = (aim.from, aim.to)
            && (to - from) * signal.want.sign() < 0.0
        {
            let message = format!("the aim moves `{}` against its `want`", signal.name);
            let hint = "swap `from` and `to`, or change `want`";
            found.push(Finding::new("W0109", format!("aim.{index}.to"), message).hint(hint));
        }
    }
}

fn judge(experiment: &Experiment, rule: &Rule, place: &str, stops: bool, found: &mut Vec<Finding>) {
    let straight = not_negated(rule);
    for atom in rule.atoms() {
        let Some(signal) = experiment.signal(&atom.signal) else {
            continue;
        };
        if let Some(reason) = unreachable(experiment, signal, atom) {
            let message = format!("`{}` cannot be reached", atom.text);
            let hint = "choose a threshold that the signal can take";
            found.push(Finding::new("W0104", place, message).cause(reason).hint(hint));
        }
        if straight.contains(&atom) {
            direction(signal, atom, place, stops, found);
        }
        if could_be_counts(signal) {
            let message = format!("`{}` is judged as a bare value", signal.name);
            let finding = Finding::new("W0108", place, message)
                .cause("a value has no counts: it needs many blocks and paired series")
                .hint("judge the share slower than a bucket bound, as a proportion");
            found.push(finding);
        }
    }
}

/// Atoms that stand under no `not`.
pub(super) fn not_negated(rule: &Rule) -> Vec<&Atom> {
    match rule {
        Rule::Atom(atom) => vec![atom],
        Rule::Not(_) => Vec::new(),
        Rule::And(rules) | Rule::Or(rules) => rules.iter().flat_map(not_negated).collect(),
    }
}

fn direction(signal: &Signal, atom: &Atom, place: &str, stops: bool, found: &mut Vec<Finding>) {
    let good = atom.side.sign() == signal.want.sign();
    let message = match (stops, good) {
        (false, false) => format!("`{}` asks for the direction nobody wants", atom.text),
        (true, true) => format!("`{}` would stop a success", atom.text),
        _ => return,
    };
    let hint = format!("look at the sign and at `want` of `{}`", signal.name);
    found.push(Finding::new("W0109", place, message).hint(hint));
}

/// Why no data could ever meet the atom.
fn unreachable(experiment: &Experiment, signal: &Signal, atom: &Atom) -> Option<String> {
    let from = known_level(experiment, signal);
    let target = match (atom.amount, from) {
        (Amount::Level(level), _) => level,
        (Amount::Relative(change), _) if change < -1.0 => {
            return Some("nothing can fall by more than 100 %".to_owned());
        }
        (Amount::Relative(change), Some(from)) => from * (1.0 + change),
        (Amount::Absolute(change), Some(from)) => from + change,
        (Amount::Absolute(change), None) if signal.form == Form::Proportion => {
            return (change.abs() > 1.0).then(|| "a share moves by 100 points at most".to_owned());
        }
        _ => return None,
    };
    if signal.form != Form::Proportion || atom.kind == AtomKind::Tolerance {
        return None;
    }
    // Rounding of 0.4 * 2.5 must not make a finding.
    let beyond = match atom.side {
        Side::AtLeast => target > 1.0 + 1e-9,
        Side::AtMost => target < -1e-9,
    };
    let percent = (target * 1e4).round() / 1e2;
    beyond.then(|| format!("a share of {percent} % does not exist"))
}

/// A value in time units is usually a quantile, and its histogram has counts.
fn could_be_counts(signal: &Signal) -> bool {
    let time = ["ns", "us", "ms", "s", "sec", "min", "m", "h"];
    signal.form == Form::Value
        && signal.role != Role::Guardrail
        && signal.unit.as_deref().is_some_and(|unit| time.contains(&unit))
}
