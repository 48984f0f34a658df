//! Are there enough units until the checkpoint, to see the hoped-for change with 80 %?
//!
//! The numbers are those of `verdictd power` ([`crate::planning`], beside the line): the lint only
//! says what is hoped for.

use super::done::known_level;
use super::{Finding, days_to_checkpoint, signal_place};
use crate::planning::{Hope, hope, size_words};
use crate::spec::at_threshold;
use crate::spec::model::{Experiment, Form, Role, Signal};
use crate::spec::rule::{Amount, Atom, AtomKind};

/// Wanted chance.
const POWER: f64 = 0.8;

/// Units over all arms that have matured at the checkpoint; `None` without a plan or without time.
pub(super) fn planned_units(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let days = days_to_checkpoint(experiment) - signal.matures_after.as_days();
    let units = experiment.units_per_week? * days / 7.0;
    (units > 0.0).then_some(units)
}

pub(super) fn power(experiment: &Experiment, found: &mut Vec<Finding>) {
    for signal in &experiment.signals {
        found.extend(too_few(experiment, signal));
    }
}

fn too_few(experiment: &Experiment, signal: &Signal) -> Option<Finding> {
    if signal.form != Form::Proportion {
        return None;
    }
    let before = known_level(experiment, signal)?;
    let effect = expected_change(experiment, signal, before)?;
    let asked = threshold_of(experiment, signal).filter(|_| is_aimed(experiment, signal));
    let asked = asked.map_or(0.0, |asked| asked * effect.signum());
    // Twelve digits would do; 0.35 - 0.27 is the eight points that were written.
    let beyond = asked - effect.abs();
    if beyond > 1e-9 {
        // No number of units helps; that is another finding.
        return None;
    }
    // At its own threshold a rule is a toss; what units can show is that something changed.
    let threshold = if beyond > -1e-9 { 0.0 } else { asked };
    let hope = hope(experiment, signal, effect, threshold)?;
    if hope.chance >= POWER {
        return None;
    }
    let planned = hope.planned;
    let message = format!("`{}`: {planned:.0} units until the checkpoint are too few", signal.name);
    let finding = Finding::new("W0105", signal_place(signal), message)
        .cause(cause(experiment, signal, effect, &hope))
        .hint(
            "move the checkpoint, take more units, or aim for a larger effect; `verdictd power` \
             shows the numbers",
        );
    Some(finding)
}

fn is_aimed(experiment: &Experiment, signal: &Signal) -> bool {
    experiment.aim_on(&signal.name).is_some_and(|aim| aim.to.is_some())
}

/// "+8 pts, your aim, needs about 1010 per arm for 80 %; at 200 a week that is 13 weeks and your
/// checkpoint is in 6; an effect of exactly +3 pts would pass about half the time at any size"
fn cause(experiment: &Experiment, signal: &Signal, effect: f64, hope: &Hope) -> String {
    let points = |change: f64| format!("{:+} pts", (change * 1e4).round() / 1e2);
    let aimed = is_aimed(experiment, signal);
    let subject = if aimed {
        format!("{}, your aim,", points(effect))
    } else {
        format!("telling {}, your threshold, from no change", points(effect))
    };
    let Some(needed) = hope.needed else {
        return format!("{subject} cannot be found with 80 % at any size");
    };
    let size = size_words(needed, &hope.split, |units| format!("{:.0}", units.ceil()));
    let mut text = format!("{subject} needs about {size} for 80 %");
    if let Some(per_week) = experiment.units_per_week {
        let weeks = (needed / per_week + signal.matures_after.as_days() / 7.0).ceil();
        let planned = (days_to_checkpoint(experiment) / 7.0).round();
        text = format!(
            "{text}; at {per_week} a week that is {weeks} weeks and your checkpoint is in {planned}"
        );
    }
    match threshold_of(experiment, signal) {
        Some(threshold) if aimed && threshold.abs() < effect.abs() => {
            let good = threshold * effect.signum();
            let chance = Some(hope.at_threshold);
            let words = at_threshold(experiment.evidence, good, chance, hope.alpha);
            format!("{text}; an effect of exactly {} {words}", points(threshold))
        }
        _ => text,
    }
}

/// The threshold of the rule on this signal, as a change in fractions.
fn threshold_of(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let rule = &experiment.checkpoint.continue_when;
    let moves = |atom: &&Atom| atom.signal == signal.name && atom.kind == AtomKind::Movement;
    match rule.atoms().into_iter().find(moves)?.amount {
        Amount::Absolute(change) => Some(change),
        Amount::Relative(change) => Some(known_level(experiment, signal)? * change),
        Amount::Level(_) => None,
    }
}

/// The change that is hoped for: the aim's, else the threshold of `continue_when`.
fn expected_change(experiment: &Experiment, signal: &Signal, before: f64) -> Option<f64> {
    if let Some(aim) = experiment.aim_on(&signal.name)
        && let (Some(from), Some(to)) = (aim.from, aim.to)
    {
        return Some(to - from);
    }
    let rule = &experiment.checkpoint.continue_when;
    let atom = rule.atoms().into_iter().find(|atom| {
        atom.signal == signal.name
            && atom.kind == AtomKind::Movement
            && signal.role != Role::Guardrail
    })?;
    let change = match atom.amount {
        Amount::Absolute(change) => change,
        Amount::Relative(change) => before * change,
        Amount::Level(_) => return None,
    };
    (change != 0.0).then_some(change)
}
