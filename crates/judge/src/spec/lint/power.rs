//! Are there enough units until the checkpoint? The 3.90 SE rule.
//!
//! The always-valid interval has 80 % power when the true effect is 3.90 standard errors: the
//! fixed-horizon 2.80 times sqrt(1.94), the price of looking at any time (statistics.md 0.2).

use std::collections::BTreeMap;

use super::done::known_level;
use super::{Finding, compare_of, days_to_checkpoint, signal_place};
use crate::spec::model::{Baseline, Compare, Experiment, Form, Role, Signal};
use crate::spec::rule::{Amount, Atom, AtomKind};

/// Standard errors an effect needs for 80 % power of the always-valid interval.
const SE_FOR_POWER: f64 = 3.90;

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
    let planned = planned_units(experiment, signal)?;
    let after = (before + effect).clamp(0.0, 1.0);
    let se = standard_error(experiment, signal, (before, after), planned);
    let wanted = SE_FOR_POWER * se;
    if wanted <= effect.abs() {
        return None;
    }
    let short_by = wanted / effect;
    let needed = (planned * short_by * short_by).ceil();
    let message = format!("`{}`: {planned:.0} units until the checkpoint are too few", signal.name);
    let finding = Finding::new("W0105", signal_place(signal), message)
        .cause(cause(experiment, signal, effect, needed))
        .hint(
            "move the checkpoint, take more units, or aim for a larger effect; `verdictd power` \
             shows the numbers",
        );
    Some(finding)
}

/// "+8 pts, your aim, needs about 1010 per arm for 80 %; at 200 a week that is 13 weeks and your
/// checkpoint is in 6; an effect of exactly +3 pts would pass about half the time at any size"
fn cause(experiment: &Experiment, signal: &Signal, effect: f64, needed: f64) -> String {
    let points = |change: f64| format!("{:+} pts", (change * 1e4).round() / 1e2);
    let aimed = experiment.aim_on(&signal.name).is_some_and(|aim| aim.to.is_some());
    let size = match compare_of(experiment, signal) {
        Compare::Arms { .. } => format!("{:.0} per arm", (needed / 2.0).ceil()),
        Compare::Baseline | Compare::BeforeAfter { .. } => format!("{needed:.0} units"),
    };
    if let Some(threshold) = threshold_of(experiment, signal)
        && aimed
        && threshold.abs() > effect.abs()
    {
        let (effect, threshold) = (points(effect), points(threshold));
        return format!(
            "{effect}, your aim, is below the rule's own threshold of {threshold}: no number of \
             units helps"
        );
    }
    let mut text = if aimed {
        format!("{}, your aim, needs about {size} for 80 %", points(effect))
    } else {
        let effect = points(effect);
        format!("telling {effect}, your threshold, from no change needs about {size} for 80 %")
    };
    if let Some(per_week) = experiment.units_per_week {
        let weeks = (needed / per_week + signal.matures_after.as_days() / 7.0).ceil();
        let planned = (days_to_checkpoint(experiment) / 7.0).round();
        text = format!(
            "{text}; at {per_week} a week that is {weeks} weeks and your checkpoint is in {planned}"
        );
    }
    match threshold_of(experiment, signal) {
        Some(threshold) if aimed && threshold.abs() < effect.abs() => format!(
            "{text}; an effect of exactly {} would pass about half the time at any size",
            points(threshold)
        ),
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

/// The standard error of the difference at the planned units (statistics.md 1.2 and 1.4).
fn standard_error(
    experiment: &Experiment,
    signal: &Signal,
    (before, after): (f64, f64),
    planned: f64,
) -> f64 {
    let variance = |share: f64| share * (1.0 - share);
    let measured = |window_days: f64| {
        let per_day = experiment.units_per_week.unwrap_or(0.0) / 7.0;
        variance(before) / (per_day * window_days).max(1.0)
    };
    let squared = match compare_of(experiment, signal) {
        Compare::Arms { control, treatment, split, .. } => {
            let units = |arm: &str| planned * share_of(split, arm);
            variance(before) / units(control) + variance(after) / units(treatment)
        }
        Compare::BeforeAfter { window } => variance(after) / planned + measured(window.as_days()),
        Compare::Baseline => {
            let of_baseline = match signal.from {
                Some(Baseline::Counted { n, .. }) => variance(before) / n,
                Some(Baseline::Window(window)) => measured(window.as_days()),
                Some(Baseline::Stated(_)) | None => 0.0,
            };
            variance(after) / planned + of_baseline
        }
    };
    squared.max(0.0).sqrt()
}

/// An arm's planned share; halves when nothing was planned.
fn share_of(split: &BTreeMap<String, f64>, arm: &str) -> f64 {
    split.get(arm).copied().unwrap_or(0.5)
}
