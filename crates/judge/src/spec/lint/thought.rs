//! Thought experiments with a rule: what it says of the start and of the aim, and whether the data
//! matter to it at all.
//!
//! Kleene's three values over the estimates alone: whatever the file does not say is unknown, and
//! only a certain answer makes a finding.

use super::done::known_level;
use super::rules::not_negated;
use super::{Finding, signal_place};
use crate::spec::model::{Experiment, Form, Guardrail, GuardrailKind, Margin, Role, Signal, Want};
use crate::spec::rule::{Amount, Atom, AtomKind, Rule, Side};

/// Numbers that are meant to be equal differ by less.
const HAIR: f64 = 1e-9;

pub(super) fn thought(experiment: &Experiment, found: &mut Vec<Finding>) {
    let checkpoint = &experiment.checkpoint;
    let continue_when = ("checkpoint.continue_when", &checkpoint.continue_when);
    if !without_data(continue_when, found) {
        beyond_the_aim(experiment, continue_when, found);
        held_from_the_start(experiment, continue_when, found);
    }
    if let Some(rule) = &checkpoint.stop_when {
        let stop_when = ("checkpoint.stop_when", rule);
        if !without_data(stop_when, found) {
            stops_what_is_wanted(experiment, stop_when, found);
        }
    }
    for signal in &experiment.signals {
        too_small_for_its_rule(experiment, signal, found);
        if signal.form == Form::Proportion && signal.harm_margin >= 1.0 - HAIR {
            let place = format!("{}.harm_margin", signal_place(signal));
            found.push(guards_nothing(place, signal.want, false));
        }
    }
    for guardrail in &experiment.guardrails {
        bound_that_never_binds(experiment, guardrail, found);
    }
}

/// Where a signal stands: its level, its change, its change as a share.
#[derive(Clone, Copy, Default)]
struct Stand {
    level: Option<f64>,
    change: Option<f64>,
    relative: Option<f64>,
}

impl Stand {
    /// Nothing has happened yet.
    fn at_start(experiment: &Experiment, signal: &Signal) -> Self {
        let level = known_level(experiment, signal);
        Self { level, change: Some(0.0), relative: Some(0.0) }
    }

    /// The aim has come true; nothing is known of a signal without one.
    fn at_aim(experiment: &Experiment, signal: &Signal) -> Self {
        let Some(to) = experiment.aim_on(&signal.name).and_then(|aim| aim.to) else {
            return Self::default();
        };
        let from = known_level(experiment, signal);
        let change = from.map(|from| to - from);
        let relative = change.zip(from).filter(|(_, from)| *from > 0.0).map(|(c, from)| c / from);
        Self { level: Some(to), change, relative }
    }

    /// Whether an atom holds; `edge` is what the estimate must have beyond it.
    fn meets(self, atom: &Atom, edge: f64) -> Option<bool> {
        let (seen, wanted) = match atom.amount {
            Amount::Level(level) => (self.level?, level),
            Amount::Absolute(change) => (self.change?, change),
            Amount::Relative(change) => (self.relative?, change),
        };
        Some((seen - wanted) * atom.side.sign() >= edge)
    }
}

/// The three-valued truth of a rule.
fn truth(rule: &Rule, of_atom: &impl Fn(&Atom) -> Option<bool>) -> Option<bool> {
    let joined = |rules: &[Rule], decisive: bool| {
        let all: Vec<Option<bool>> = rules.iter().map(|rule| truth(rule, of_atom)).collect();
        if all.contains(&Some(decisive)) {
            return Some(decisive);
        }
        (!all.contains(&None)).then_some(!decisive)
    };
    match rule {
        Rule::Atom(atom) => of_atom(atom),
        Rule::Not(inner) => truth(inner, of_atom).map(|truth| !truth),
        Rule::And(rules) => joined(rules, false),
        Rule::Or(rules) => joined(rules, true),
    }
}

/// A rule whose answer does not depend on one signal that it asks more than once, whatever the
/// others say. Atoms are compared in the unit in which they are written.
fn without_data((place, rule): (&str, &Rule), found: &mut Vec<Finding>) -> bool {
    let number = |atom: &Atom| match atom.amount {
        Amount::Level(x) | Amount::Absolute(x) | Amount::Relative(x) => x,
    };
    let alike = |one: &Atom, other: &Atom| {
        one.signal == other.signal
            && std::mem::discriminant(&one.amount) == std::mem::discriminant(&other.amount)
    };
    for first in rule.atoms() {
        let mut marks: Vec<f64> = rule
            .atoms()
            .iter()
            .filter(|atom| alike(atom, first))
            .map(|atom| number(atom))
            .collect();
        if marks.len() < 2 {
            continue;
        }
        marks.sort_by(f64::total_cmp);
        let between = marks.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
        let ends = [marks[0] - 1.0, marks[marks.len() - 1] + 1.0];
        let points: Vec<f64> = marks.iter().copied().chain(between).chain(ends).collect();
        let answers = points.iter().map(|at| {
            truth(rule, &|atom: &Atom| {
                alike(atom, first).then(|| (at - number(atom)) * atom.side.sign() >= 0.0)
            })
        });
        let answers: Vec<Option<bool>> = answers.collect();
        let words = match answers[0] {
            Some(answer) if answers.iter().all(|one| *one == Some(answer)) => {
                if answer {
                    "true"
                } else {
                    "false"
                }
            }
            _ => continue,
        };
        let message = format!("the rule is {words} whatever the data say");
        let cause = format!("its conditions on `{}` leave no other answer", first.signal);
        let hint = "look at the signs, and at `and` and `or`";
        found.push(Finding::new("W0124", place, message).cause(cause).hint(hint));
        return true;
    }
    false
}

fn beyond_the_aim(experiment: &Experiment, (place, rule): (&str, &Rule), found: &mut Vec<Finding>) {
    let at_aim = |atom: &Atom| {
        let signal = experiment.signal(&atom.signal)?;
        Stand::at_aim(experiment, signal).meets(atom, -HAIR)
    };
    if truth(rule, &at_aim) != Some(false) {
        return;
    }
    let mut missed = not_negated(rule);
    missed.retain(|atom| at_aim(atom) == Some(false));
    let nothing_asks_too_much = missed.is_empty();
    // What no data could reach and what points the other way has been told.
    let told =
        |text: &str| found.iter().any(|one| one.code == "W0104" && one.message.contains(text));
    let against = |atom: &Atom| {
        let signal = experiment.signal(&atom.signal);
        let change = signal.and_then(|signal| Stand::at_aim(experiment, signal).change);
        change.is_some_and(|change| change * atom.side.sign() < 0.0)
    };
    missed.retain(|atom| !told(&atom.text) && !against(atom));
    if nothing_asks_too_much {
        let message = "the aim itself does not pass this rule";
        let hint = "look at `not`, or aim elsewhere";
        found.push(Finding::new("W0122", place, message).hint(hint));
    }
    for atom in missed {
        let message = format!("`{}` is beyond the aim: the aim itself does not pass", atom.text);
        let hint =
            "ask for less than the aim: a threshold is the least that you would continue for";
        found.push(Finding::new("W0122", place, message).hint(hint));
    }
}

/// Levels of proxies, leading signals and outcomes that ask for nothing new.
fn held_from_the_start(
    experiment: &Experiment,
    (place, rule): (&str, &Rule),
    found: &mut Vec<Finding>,
) {
    for atom in not_negated(rule) {
        let Some(signal) = experiment.signal(&atom.signal) else {
            continue;
        };
        let holds = Stand::at_start(experiment, signal).meets(atom, -HAIR) == Some(true);
        if atom.kind != AtomKind::Level || signal.role == Role::Guardrail || !holds {
            continue;
        }
        let message = format!("`{}` holds already at `from`", atom.text);
        let finding = Finding::new("W0123", place, message)
            .cause("nothing has to change for it to be met")
            .hint("ask for a level that the mechanism should bring, or for a change");
        found.push(finding);
    }
}

fn stops_what_is_wanted(
    experiment: &Experiment,
    (place, rule): (&str, &Rule),
    found: &mut Vec<Finding>,
) {
    let holds = |stand: fn(&Experiment, &Signal) -> Stand| {
        let of_atom = |atom: &Atom| {
            let signal = experiment.signal(&atom.signal)?;
            // Beyond it: at the edge itself the interval is never wholly on the bad side.
            stand(experiment, signal).meets(atom, HAIR)
        };
        truth(rule, &of_atom) == Some(true)
    };
    let message = match (holds(Stand::at_start), holds(Stand::at_aim)) {
        (false, false) => return,
        (true, false) => "`stop_when` holds before anything has changed",
        (false, true) => "`stop_when` would stop the aim itself",
        (true, true) => "`stop_when` holds before anything has changed, and at the aim",
    };
    let hint = "say what would be harm: a change for the worse, `activation <= -1pts`";
    found.push(Finding::new("W0121", place, message).hint(hint));
}

/// A least effect above what the rule is content with.
fn too_small_for_its_rule(experiment: &Experiment, signal: &Signal, found: &mut Vec<Finding>) {
    let Some(least) = signal.min_effect else {
        return;
    };
    let from = known_level(experiment, signal);
    for atom in not_negated(&experiment.checkpoint.continue_when) {
        let good = atom.side == if signal.want == Want::Up { Side::AtLeast } else { Side::AtMost };
        if atom.signal != signal.name || atom.kind != AtomKind::Movement || !good {
            continue;
        }
        let asked = match (atom.amount, from) {
            (Amount::Absolute(change), _) => change.abs(),
            (Amount::Relative(change), Some(from)) => (change * from).abs(),
            _ => continue,
        };
        if least.abs() > asked + HAIR {
            let place = format!("{}.min_effect", signal_place(signal));
            let message = format!("`min_effect` is above what `{}` asks for", atom.text);
            let finding = Finding::new("W0125", place, message)
                .cause("a change that passes the rule could be called too small to matter")
                .hint("lower `min_effect`, or raise the threshold of the rule");
            found.push(finding);
            return;
        }
    }
}

fn guards_nothing(place: String, want: Want, relative: bool) -> Finding {
    let message = "a margin of 100 % or more guards nothing";
    let cause = match (relative, want) {
        (false, _) => "a share moves by 100 points at most",
        (true, Want::Up) => "nothing falls by more than 100 %",
        (true, Want::Down) => "it may double before anything is said",
    };
    let hint = "write the worsening that you would still accept, for example `2pts` or `5%`";
    Finding::new("W0126", place, message).cause(cause).hint(hint)
}

/// Margins as wide as the scale, and counts of bad events over more than their period.
fn bound_that_never_binds(
    experiment: &Experiment,
    guardrail: &Guardrail,
    found: &mut Vec<Finding>,
) {
    let place = format!("guardrails.{}.{}", guardrail.name, guardrail.kind.keyword());
    match &guardrail.kind {
        GuardrailKind::NoWorseThan(kind) => {
            let Some(signal) = experiment.signal(&kind.signal) else {
                return;
            };
            let (size, relative) = match kind.margin {
                Margin::Absolute(size) if signal.form == Form::Proportion => (size, false),
                Margin::Absolute(_) => return,
                Margin::Relative(size) => (size, true),
            };
            if size.abs() >= 1.0 - HAIR {
                found.push(guards_nothing(format!("{place}.margin"), signal.want, relative));
            }
        }
        GuardrailKind::Slo(slo) => {
            let within = slo.burn.as_ref().and_then(|burn| burn.or_bad).map(|rule| rule.within);
            let Some((within, period)) = within.zip(slo.budget.nominal()) else {
                return;
            };
            if within.ms > period.ms {
                let message = format!("`or_bad` counts over {within}, its budget over {period}");
                let finding = Finding::new("W0127", format!("{place}.or_bad"), message)
                    .cause("bad events of an earlier period would page in this one")
                    .hint("choose a `within` that is no longer than the period");
                found.push(finding);
            }
        }
        _ => {}
    }
}
