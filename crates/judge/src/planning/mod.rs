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
//! of the variances: 1.2 and 1.4. Normal approximation, independent atoms.

mod design;
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
use crate::stats::info_time::{half_width_one_sided, half_width_two_sided};
use crate::stats::power::{N_LIMIT, smallest_n};
use crate::stats::special::{norm_cdf, norm_isf};
use crate::time::ms_between;

pub use design::Design;
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
    /// Chance that the rule is true at the checkpoint if every aim comes true; atoms without an
    /// aim are taken to hold and are listed in `assumed`.
    pub chance: Option<f64>,
    /// Atoms without an aim on their signal.
    pub assumed: Vec<String>,
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
    let assumed: Vec<String> = atoms
        .iter()
        .filter(|atom| atom.effect_from == EffectFrom::Threshold)
        .map(|atom| atom.text.clone())
        .collect();
    let mut index = 0;
    let chance = rule_chance(rule, &atoms, &mut index);
    PowerPlan {
        power: question.power,
        units_per_week: experiment.units_per_week,
        chance: chance.filter(|_| assumed.len() < atoms.len()),
        atoms,
        assumed,
    }
}

/// Independent atoms; one placed at its own threshold is taken to hold.
fn rule_chance(rule: &Rule, atoms: &[AtomPlan], index: &mut usize) -> Option<f64> {
    match rule {
        Rule::Atom(_) => {
            let atom = atoms.get(*index)?;
            *index += 1;
            if atom.effect_from == EffectFrom::Threshold { Some(1.0) } else { atom.chance }
        }
        Rule::Not(inner) => rule_chance(inner, atoms, index).map(|chance| 1.0 - chance),
        Rule::And(rules) => {
            let chances: Vec<_> =
                rules.iter().map(|rule| rule_chance(rule, atoms, index)).collect();
            chances.into_iter().try_fold(1.0, |all, one| Some(all * one?))
        }
        Rule::Or(rules) => {
            let chances: Vec<_> =
                rules.iter().map(|rule| rule_chance(rule, atoms, index)).collect();
            let none = chances.into_iter().try_fold(1.0, |none, one| Some(none * (1.0 - one?)));
            none.map(|none| 1.0 - none)
        }
    }
}

/// An atom with everything that its chance is a function of.
struct Aimed {
    kind: AtomKind,
    evidence: EvidenceMode,
    threshold: f64,
    tau: f64,
    alpha: f64,
    /// Standard errors to exceed at a planned look; `None`: the always-valid half-width.
    critical: Option<f64>,
    design: Design,
    min_n: f64,
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
        days_needed: None,
        days_planned: days_planned(experiment),
        chance: None,
        detectable: None,
        unknown: None,
        shown_as: (signal.form, signal.unit.clone()),
    };
    let after = from.zip(effect).map(|(from, effect)| from + sign * effect);
    let design = match Design::of(experiment, signal, from, after, question) {
        Ok(design) => design,
        Err(unknown) => {
            plan.unknown = Some(unknown);
            return Some(plan);
        }
    };
    plan.arms = design.arms;
    let (Some(effect), Some(threshold)) = (effect, threshold) else {
        plan.unknown = Some(Unknown::NoBaseline);
        return Some(plan);
    };
    let aimed = Aimed {
        kind: atom.kind,
        evidence: experiment.evidence,
        threshold,
        tau: planned_tau(experiment, signal, atom).unwrap_or(threshold.abs()),
        alpha,
        critical: critical(&experiment.checkpoint, atom.kind, alpha),
        design,
        min_n: signal.min_n.unwrap_or(30) as f64,
    };
    plan.chance = planned.map(|units| aimed.chance(units, effect));
    plan.needed = smallest_n(N_LIMIT, |units| aimed.chance(units, effect) >= question.power);
    let room = room_of(signal.form, from, sign);
    plan.detectable = planned
        .and_then(|units| aimed.detectable(units, question.power))
        .filter(|found| *found <= room);
    plan.days_needed = plan.needed.zip(experiment.units_per_week).map(|(needed, per_week)| {
        libm::ceil(needed / per_week * 7.0) + signal.matures_after.as_days()
    });
    Some(plan)
}

impl Aimed {
    /// Chance that the atom is true with that many units over all arms at a true effect.
    fn chance(&self, units: f64, effect: f64) -> f64 {
        let se = self.design.standard_error(units);
        if !(se > 0.0 && se.is_finite()) {
            return 0.0;
        }
        let reaches = |bar: f64| norm_cdf((effect - bar) / se);
        let planned = self.critical.map(|critical| critical * se);
        let half = || planned.unwrap_or_else(|| half_width_two_sided(se, self.tau, self.alpha));
        match (self.kind, self.evidence) {
            (AtomKind::Tolerance, _) => {
                let always = || half_width_one_sided(se, self.tau, self.alpha);
                reaches(self.threshold + planned.unwrap_or_else(always))
            }
            (AtomKind::Level, _) if units < self.min_n => 0.0,
            (_, EvidenceMode::Proven) => reaches(self.threshold + half()),
            (AtomKind::Level, _) | (_, EvidenceMode::Point) => reaches(self.threshold),
            (AtomKind::Movement, EvidenceMode::Significant) => reaches(self.threshold.max(half())),
            (AtomKind::Movement, EvidenceMode::NotRefuted) => reaches(self.threshold - half()),
        }
    }

    /// The smallest true effect that is found with the wanted power, by bisection.
    fn detectable(&self, units: f64, power: f64) -> Option<f64> {
        let (mut lo, mut hi) = (0.0_f64.min(self.threshold), self.threshold.abs().max(self.tau));
        while self.chance(units, hi) < power {
            hi *= 2.0;
            if hi > 1e12 {
                return None;
            }
        }
        for _ in 0..100 {
            let mid = 0.5 * (lo + hi);
            if self.chance(units, mid) < power {
                lo = mid;
            } else {
                hi = mid;
            }
        }
        Some(hi)
    }
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
