//! The Definition of Done (product.md 4.7): what an experiment must say before it may run.

use super::{Finding, change_is_judged, compare_of, is_guarded, power, signal_place};
use crate::spec::model::{Aim, Baseline, Compare, Experiment, Form, GuardrailKind, Margin, Signal};
use crate::spec::rule::{Amount, Atom};
use crate::time::Timestamp;

pub(super) fn definition_of_done(
    experiment: &Experiment,
    first_seen: Option<Timestamp>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    aims(experiment, &mut found);
    mechanism(experiment, &mut found);
    signals(experiment, &mut found);
    people_and_safety(experiment, &mut found);
    if let (Some(seen), Some(by)) = (first_seen, experiment.by())
        && seen > by
    {
        let finding = Finding::new("D0117", "aim.0.by", "the file was first seen after its `by`")
            .cause("an experiment that nobody could stop was not an experiment")
            .hint("set a new `start`, checkpoint and `by`");
        found.push(finding);
    }
    found
}

fn draft(
    found: &mut Vec<Finding>,
    code: &'static str,
    place: impl Into<String>,
    message: impl Into<String>,
    hint: impl Into<String>,
) {
    found.push(Finding::new(code, place, message).hint(hint));
}

fn aims(experiment: &Experiment, found: &mut Vec<Finding>) {
    if experiment.aims.is_empty() {
        let hint = "add `aim: {signal: ..., behaviour: ..., from: 27%, to: 35%, by: ...}`";
        draft(found, "D0101", "aim", "there is no aim", hint);
    }
    for (index, aim) in experiment.aims.iter().enumerate() {
        one_aim(aim, index, found);
    }
}

fn one_aim(aim: &Aim, index: usize, found: &mut Vec<Finding>) {
    let place = format!("aim.{index}");
    if aim.behaviour.split_whitespace().count() < 3 {
        let message = format!("the aim on `{}` has no behaviour sentence", aim.signal);
        let hint = "say who does what: `behaviour: new signups complete their first win`";
        draft(found, "D0102", format!("{place}.behaviour"), message, hint);
    }
    let missing: Vec<&str> =
        [(aim.from.is_none(), "`from`"), (aim.to.is_none(), "`to`"), (aim.by.is_none(), "`by`")]
            .into_iter()
            .filter_map(|(absent, name)| absent.then_some(name))
            .collect();
    if !missing.is_empty() {
        let message = format!("the aim on `{}` lacks {}", aim.signal, missing.join(" and "));
        let hint = "an aim goes from a number to a number by a date";
        draft(found, "D0103", place, message, hint);
    }
}

fn mechanism(experiment: &Experiment, found: &mut Vec<Finding>) {
    let mechanism = &experiment.mechanism;
    let parts = [
        ("we_believe", &mechanism.we_believe),
        ("will_move", &mechanism.will_move),
        ("because", &mechanism.because),
    ];
    let missing: Vec<String> = parts
        .into_iter()
        .filter(|(_, text)| text.is_empty())
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let hint = "add `mechanism: {we_believe: ..., will_move: ..., because: ...}`";
    match missing.len() {
        0 => {}
        3 => draft(found, "D0104", "mechanism", "there is no mechanism", hint),
        _ => {
            let message = format!("the mechanism lacks {}", missing.join(" and "));
            draft(found, "D0104", "mechanism", message, "we believe X will move Y because Z");
        }
    }
}

fn signals(experiment: &Experiment, found: &mut Vec<Finding>) {
    if experiment.proxies().next().is_none() {
        let hint = "add a signal with `role: proxy`: what should move first";
        draft(found, "D0105", "signals", "there is no proxy", hint);
    }
    if experiment.outcomes().next().is_none() {
        let hint = "add a signal with `role: outcome`: the behaviour of the aim";
        draft(found, "D0106", "signals", "there is no outcome", hint);
    }
    for signal in &experiment.signals {
        if !change_is_judged(experiment, signal) {
            continue;
        }
        let baseline = matches!(compare_of(experiment, signal), Compare::Baseline);
        if baseline && signal.from.is_none() {
            let message = format!("there is nothing to compare `{}` with", signal.name);
            let hint = "add `from: {window: 28d}`, counts, or a stated level";
            draft(found, "D0107", signal_place(signal), message, hint);
        } else if !has_effect_size(experiment, signal) {
            let message = format!("nothing says which change of `{}` would matter", signal.name);
            let hint = "add an aim with `from` and `to`, or `min_effect:`";
            draft(found, "D0118", signal_place(signal), message, hint);
        }
    }
}

/// Whether the test of a signal can be tuned before data (tau of product.md 4.2): by its aim, its
/// own `min_effect`, a threshold in contrast units, a margin, or the planned number of units.
fn has_effect_size(experiment: &Experiment, signal: &Signal) -> bool {
    let aim = experiment.aim_on(&signal.name);
    let aimed = aim.is_some_and(|aim| aim.from.is_some() && aim.to.is_some());
    let level_known = signal.from.is_some() || aim.is_some_and(|aim| aim.from.is_some());
    let checkpoint = &experiment.checkpoint;
    let rules = std::iter::once(&checkpoint.continue_when).chain(&checkpoint.stop_when);
    let by_rule = rules
        .flat_map(|rule| rule.atoms())
        .any(|atom| atom.signal == signal.name && sizes(atom, level_known));
    let by_margin = is_guarded(experiment, &signal.name)
        && experiment.guardrails.iter().any(|guardrail| match &guardrail.kind {
            GuardrailKind::NoWorseThan(kind) if kind.signal == signal.name => {
                level_known || matches!(kind.margin, Margin::Absolute(_))
            }
            _ => false,
        });
    let by_plan =
        signal.form == Form::Proportion && power::planned_units(experiment, signal).is_some();
    aimed || signal.min_effect.is_some() || by_rule || by_margin || by_plan
}

/// Whether an atom gives a size in contrast units.
fn sizes(atom: &Atom, level_known: bool) -> bool {
    match atom.amount {
        Amount::Absolute(size) => size != 0.0,
        Amount::Relative(_) | Amount::Level(_) => level_known,
    }
}

fn people_and_safety(experiment: &Experiment, found: &mut Vec<Finding>) {
    if experiment.guardrails.is_empty() {
        let hint = "add `guardrails:` with at least one `slo`, `limit`, `no_worse_than`, \
                    `threshold` or `error_budget`";
        draft(found, "D0110", "guardrails", "there is no guardrail", hint);
    }
    if experiment.rollback.plan.is_none() {
        let hint = "add `rollback: {plan: https://..., action: ...}`";
        draft(found, "D0111", "rollback", "there is no rollback plan", hint);
    }
    if experiment.owner.name.is_empty() {
        let hint = "add `owner: {name: ..., contact: ...}`";
        draft(found, "D0112", "owner", "nobody owns it", hint);
    }
    if experiment.can_stop.is_empty() {
        let hint = "add `can_stop: [product-lead, oncall]`";
        draft(found, "D0113", "can_stop", "nobody may say stop", hint);
    }
    if experiment.review.is_none() {
        let hint = "add `review: {every: 7d, minutes: 15}`";
        draft(found, "D0114", "review", "there is no review", hint);
    }
    if experiment.if_it_works.is_none() {
        let hint = "add `if_it_works: who makes it the default, and where`";
        draft(
            found,
            "D0115",
            "if_it_works",
            "nothing is said about what happens if it works",
            hint,
        );
    }
    if !experiment.reversible && experiment.spike_of.is_none() {
        let hint = "test something reversible first and name it in `spike_of:`";
        let message = "it cannot be undone, and no earlier test is named";
        draft(found, "D0116", "reversible", message, hint);
    }
}

/// The level that a signal has before the change, as far as it is known without data.
pub(super) fn known_level(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let own = signal.from.as_ref().and_then(Baseline::level);
    own.or_else(|| experiment.aim_on(&signal.name).and_then(|aim| aim.from))
}
