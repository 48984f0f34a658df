//! What an experiment file can hope for, before its first unit: size, time and chance.
//!
//! Beside the line: `verdictd power` and `verdictd plan` print it. Everything follows from the
//! file (and from a rate or a spread that somebody states); never from observed effects, so
//! there is no "observed power" here.
//!
//! The chance of an atom is the chance that it is *true* at the planned look when its signal
//! really moves as the aim says (product.md 4.2, *Power*): with `d ~ N(effect, SE)`,
//! `P = Phi((effect - bar)/SE)`, where `bar` is what the estimate must reach by the evidence
//! mode: the threshold and the half-width of the always-valid interval, whichever is more
//! (`significant`), their sum (`proven`), ... Formulas of the half-widths: statistics.md 1.1;
//! of the variances: 1.2 and 1.4. A share against a stated one is computed exactly, as it is
//! judged ([`crate::stats::exact_power`]); the rest is a normal approximation. Independent atoms,
//! one look: what earlier looks showed stays shown and can only add.

mod aimed;
mod design;
mod hope;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analyse::{aim_effect, atom_alphas, planned_tau, planned_units};
use crate::spec::{
    Amount, Atom, AtomKind, Baseline, Checkpoint, EvidenceMode, Experiment, Form, LookPlan, Rule,
    Signal, When,
};
use crate::stats::Sides;
use crate::stats::group_sequential::bounds;
use crate::stats::special::norm_isf;
use crate::time::ms_between;

use aimed::Aimed;
pub use design::Design;
pub(crate) use hope::{Hope, hope};
pub(crate) use words::size_words;
pub use words::{chance_words, change_words, sentence};

/// What is asked beside the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Wanted chance, 0 to 1 (0.8).
    pub power: f64,
    /// Units per week over all arms, in place of the file's.
    pub units_per_week: Option<f64>,
    /// Standard deviation of one unit, by signal: means and ratios have none in the file.
    pub spreads: BTreeMap<String, f64>,
}

impl Default for Question {
    fn default() -> Self {
        Self { power: 0.8, units_per_week: None, spreads: BTreeMap::new() }
    }
}

/// Where the effect of an atom comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectFrom {
    /// The aim on its signal.
    Aim,
    /// There is no aim on it: placed exactly at its threshold.
    Threshold,
    /// A tolerance without an aim: no change.
    NoChange,
}

/// Why an atom has no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Its signal has no known `from`.
    NoBaseline,
    /// A mean or ratio: the spread of one unit is not in the file.
    NoSpread,
    /// A series of values: its noise shows only in its history.
    Series,
    /// A rate: exposure is not planned in units.
    Exposure,
}

/// What one atom needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtomPlan {
    /// As in the file.
    pub text: String,
    /// Signal name.
    pub signal: String,
    /// Movement, tolerance or level.
    pub kind: AtomKind,
    /// The effect it is judged at, in contrast units, good direction positive.
    pub effect: Option<f64>,
    /// Where that effect comes from.
    pub effect_from: EffectFrom,
    /// Its threshold in contrast units, good direction positive.
    pub threshold: Option<f64>,
    /// 1 where more is wanted, -1 where less is: gives the numbers above their written sign.
    pub sign: f64,
    /// Error rate of its interval.
    pub alpha: f64,
    /// Units over all arms that will have matured at the checkpoint.
    pub planned: Option<f64>,
    /// Units over all arms at which the chance reaches the wanted power; `None` with a known
    /// effect: no number of units does.
    pub needed: Option<f64>,
    /// Arms that share the units.
    pub arms: f64,
    /// Share of the units of each judged arm, control first; empty without arms.
    pub split: Vec<(String, f64)>,
    /// Days from the start until the needed units have matured, at the planned rate.
    pub days_needed: Option<f64>,
    /// Days from the start to the checkpoint.
    pub days_planned: f64,
    /// Chance that the atom is true at the checkpoint.
    pub chance: Option<f64>,
    /// Smallest true effect that the planned units would find with the wanted power.
    pub detectable: Option<f64>,
    /// Why there are no numbers.
    pub unknown: Option<Unknown>,
    /// Form and unit of its signal, for words.
    #[serde(skip)]
    pub shown_as: (Form, Option<String>),
    /// How the file wants its evidence, for words.
    #[serde(skip)]
    pub evidence: EvidenceMode,
    /// Chance at the planned (else the needed) units when the effect lies at the threshold.
    #[serde(skip)]
    pub at_threshold: Option<f64>,
}

/// What a whole file needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerPlan {
    /// Wanted chance.
    pub power: f64,
    /// Units per week over all arms.
    pub units_per_week: Option<f64>,
    /// Every atom of `continue_when`, in order.
    pub atoms: Vec<AtomPlan>,
    /// Chance that the rule is true at the checkpoint if every aim comes true, `assumed` holds and
    /// nothing of `left_out` does.
    pub chance: Option<f64>,
    /// Atoms without an aim on their signal that the rule needs: taken to hold.
    pub assumed: Vec<String>,
    /// Atoms without an aim in branches that the rule does not need: they could only add.
    pub left_out: Vec<String>,
}

/// The plan of a file.
pub fn power_plan(experiment: &Experiment, question: &Question) -> PowerPlan {
    let mut experiment = experiment.clone();
    experiment.units_per_week = question.units_per_week.or(experiment.units_per_week);
    let rule = &experiment.checkpoint.continue_when;
    let alphas = atom_alphas(&experiment);
    let atoms: Vec<AtomPlan> = rule
        .atoms()
        .into_iter()
        .zip(alphas)
        .filter_map(|(atom, alpha)| atom_plan(&experiment, atom, alpha, question))
        .collect();
    let mut joined = Joined { atoms: &atoms, index: 0, held: Vec::new(), left_out: Vec::new() };
    let chance = joined.chance(rule);
    let Joined { held, left_out, .. } = joined;
    let is_about_an_aim = atoms.iter().any(|atom| atom.effect_from != EffectFrom::Threshold);
    PowerPlan {
        power: question.power,
        units_per_week: experiment.units_per_week,
        chance: chance.filter(|_| is_about_an_aim),
        assumed: held,
        left_out,
        atoms,
    }
}

/// The walk through a rule that joins independent atoms.
struct Joined<'a> {
    atoms: &'a [AtomPlan],
    index: usize,
    /// Atoms without an aim that are taken to hold, because all others need them.
    held: Vec<String>,
    /// Atoms without an aim that are left out, because others would do.
    left_out: Vec<String>,
}

impl Joined<'_> {
    /// The chance of a part; `None` when an atom with an aim has none.
    fn chance(&mut self, rule: &Rule) -> Option<f64> {
        match rule {
            Rule::Atom(_) => {
                let atom = self.atoms.get(self.index)?;
                self.index += 1;
                atom.chance
            }
            Rule::Not(inner) => self.chance(inner).map(|chance| 1.0 - chance),
            Rule::And(rules) => self.all(rules),
            Rule::Or(rules) => self.any(rules),
        }
    }

    fn all(&mut self, rules: &[Rule]) -> Option<f64> {
        let parts = self.parts(rules, 1.0, |joined| &mut joined.held);
        parts.map(|parts| parts.iter().product())
    }

    /// At least this: a branch without an aim could only add.
    fn any(&mut self, rules: &[Rule]) -> Option<f64> {
        let parts = self.parts(rules, 0.0, |joined| &mut joined.left_out);
        parts.map(|parts| 1.0 - parts.iter().map(|part| 1.0 - part).product::<f64>())
    }

    /// The chance of each part; one without an aim is `taken` and goes on its list.
    fn parts(
        &mut self,
        rules: &[Rule],
        taken: f64,
        list: fn(&mut Self) -> &mut Vec<String>,
    ) -> Option<Vec<f64>> {
        let mut chances = Vec::with_capacity(rules.len());
        for rule in rules {
            let texts = self.without_aim(rule);
            chances.push(if texts.is_empty() { self.chance(rule) } else { Some(taken) });
            self.index += texts.len();
            list(self).extend(texts);
        }
        chances.into_iter().collect()
    }

    /// The atoms of a part in which none has an aim; else nothing.
    fn without_aim(&self, rule: &Rule) -> Vec<String> {
        let part = self.atoms.iter().skip(self.index).take(rule.atoms().len());
        let texts =
            part.map(|atom| (atom.effect_from == EffectFrom::Threshold).then(|| atom.text.clone()));
        texts.collect::<Option<Vec<String>>>().unwrap_or_default()
    }
}

/// The largest change in good direction that a signal's scale has room for.
fn room_of(form: Form, from: Option<f64>, sign: f64) -> f64 {
    match (form, from) {
        (Form::Proportion, Some(from)) if sign > 0.0 => 1.0 - from,
        (Form::Proportion, Some(from)) => from,
        _ => f64::INFINITY,
    }
}

/// The bound of a planned look in standard errors: the normal quantile of `look: once`, the last
/// bound of `look: weekly xK` with even weeks (ADR 0011). The chance to end earlier is ignored.
fn critical(checkpoint: &Checkpoint, kind: AtomKind, alpha: f64) -> Option<f64> {
    let sides = if kind == AtomKind::Tolerance { Sides::One } else { Sides::Two };
    match checkpoint.look {
        LookPlan::Always => None,
        LookPlan::Once if sides == Sides::One => Some(norm_isf(alpha)),
        LookPlan::Once => Some(norm_isf(0.5 * alpha)),
        LookPlan::Weekly(looks) => {
            let weeks: Vec<f64> =
                (1..=looks).map(|week| f64::from(week) / f64::from(looks)).collect();
            bounds(&weeks, alpha, sides, f64::from(checkpoint.spending)).last().copied()
        }
    }
}

/// The effect that a plan reckons with: the aim's, else none for a tolerance, else the threshold.
fn assumed(
    aimed: Option<f64>,
    kind: AtomKind,
    threshold: Option<f64>,
) -> (Option<f64>, EffectFrom) {
    match (aimed, kind) {
        (Some(effect), _) => (Some(effect), EffectFrom::Aim),
        (None, AtomKind::Tolerance) => (Some(0.0), EffectFrom::NoChange),
        (None, _) => (threshold, EffectFrom::Threshold),
    }
}

/// The change an atom asks for, direction normalised; `None` without the level it starts from.
fn threshold_of(atom: &Atom, from: Option<f64>) -> Option<f64> {
    let sign = atom.side.sign();
    match (atom.amount, from) {
        (Amount::Absolute(change), _) => Some(change * sign),
        (Amount::Relative(change), Some(from)) => Some(change * from * sign),
        (Amount::Level(level), Some(from)) => Some((level - from) * sign),
        (Amount::Relative(_) | Amount::Level(_), None) => None,
    }
}

fn atom_plan(
    experiment: &Experiment,
    atom: &Atom,
    alpha: f64,
    question: &Question,
) -> Option<AtomPlan> {
    let signal = experiment.signal(&atom.signal)?;
    let sign = atom.side.sign();
    let from = stated_level(experiment, signal);
    let threshold = threshold_of(atom, from);
    let aimed = aim_effect(experiment, signal).map(|effect| effect * sign);
    let (effect, effect_from) = assumed(aimed, atom.kind, threshold);
    let planned = planned_units(experiment, signal);
    let mut plan = AtomPlan {
        text: atom.text.clone(),
        signal: signal.name.clone(),
        kind: atom.kind,
        effect,
        effect_from,
        threshold,
        sign,
        alpha,
        planned,
        needed: None,
        arms: 1.0,
        split: Vec::new(),
        days_needed: None,
        days_planned: days_planned(experiment),
        chance: None,
        detectable: None,
        unknown: None,
        shown_as: (signal.form, signal.unit.clone()),
        evidence: experiment.evidence,
        at_threshold: None,
    };
    let after = from.zip(effect).map(|(from, effect)| from + sign * effect);
    let design = match Design::of(experiment, signal, from, after, question) {
        Ok(design) => design,
        Err(unknown) => {
            plan.unknown = Some(unknown);
            return Some(plan);
        }
    };
    plan.arms = design.split.len().max(1) as f64;
    plan.split.clone_from(&design.split);
    let (Some(effect), Some(threshold)) = (effect, threshold) else {
        plan.unknown = Some(Unknown::NoBaseline);
        return Some(plan);
    };
    let aimed = Aimed {
        kind: atom.kind,
        evidence: experiment.evidence,
        sign,
        threshold,
        tau: planned_tau(experiment, signal, atom).unwrap_or(threshold.abs()),
        alpha,
        critical: critical(&experiment.checkpoint, atom.kind, alpha),
        design,
        min_n: signal.min_n.unwrap_or(30) as f64,
    };
    plan.chance = planned.map(|units| aimed.chance(units, effect));
    plan.needed = aimed.units(effect, question.power);
    plan.at_threshold = planned.or(plan.needed).map(|units| aimed.chance(units, aimed.threshold));
    let room = room_of(signal.form, from, sign);
    plan.detectable = planned
        .and_then(|units| aimed.detectable(units, question.power))
        .filter(|found| *found <= room);
    plan.days_needed = days_needed(experiment, signal, plan.needed);
    Some(plan)
}

/// Days until so many units have come and matured.
fn days_needed(experiment: &Experiment, signal: &Signal, needed: Option<f64>) -> Option<f64> {
    let (needed, per_week) = needed.zip(experiment.units_per_week)?;
    Some(libm::ceil(needed / per_week * 7.0) + signal.matures_after.as_days())
}

/// Where a signal stands by the file: its own `from`, else the aim's.
fn stated_level(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let own = signal.from.as_ref().and_then(Baseline::level);
    own.or_else(|| experiment.aim_on(&signal.name).and_then(|aim| aim.from))
}

fn days_planned(experiment: &Experiment) -> f64 {
    match experiment.checkpoint.when {
        When::At(at) => ms_between(experiment.start, at) as f64 / crate::time::DAY_MS as f64,
        When::Every(every) => every.as_days(),
    }
}

#[cfg(test)]
mod tests;
