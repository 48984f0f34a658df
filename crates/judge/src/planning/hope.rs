//! What the units until the checkpoint can show of one change of a share.
//!
//! The one question of the lint that takes statistics (`W0105`): asked here, so that the warning
//! and `verdictd power` reckon alike.

use crate::analyse::{atom_alphas, planned_units};
use crate::spec::{AtomKind, EvidenceMode, Experiment, Form, Signal};

use super::aimed::Aimed;
use super::{Design, Question, critical, stated_level};

/// Chance and size of a change at the checkpoint. Units are over all arms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hope {
    /// Units that will have matured.
    pub(crate) planned: f64,
    /// Chance that they show it.
    pub(crate) chance: f64,
    /// Units that show it with 80 %.
    pub(crate) needed: Option<f64>,
    /// Share of the units of each judged arm, control first; empty without arms.
    pub(crate) split: Vec<(String, f64)>,
    /// Error rate of the test.
    pub(crate) alpha: f64,
    /// Chance when the change lies exactly at the threshold.
    pub(crate) at_threshold: f64,
}

/// What is hoped of a share that changes by `effect` (signed), and must move by `threshold` (in
/// the direction of the effect); `None` where form, baseline or plan do not say.
pub(crate) fn hope(
    experiment: &Experiment,
    signal: &Signal,
    effect: f64,
    threshold: f64,
) -> Option<Hope> {
    if signal.form != Form::Proportion {
        return None;
    }
    let from = stated_level(experiment, signal)?;
    let planned = planned_units(experiment, signal)?;
    let question = Question::default();
    let after = (from + effect).clamp(0.0, 1.0);
    let design = Design::of(experiment, signal, Some(from), Some(after), &question).ok()?;
    let atoms = experiment.checkpoint.continue_when.atoms();
    let judged = atoms.iter().zip(atom_alphas(experiment));
    let alpha = judged
        .filter(|(atom, _)| atom.signal == signal.name && atom.kind == AtomKind::Movement)
        .map(|(_, alpha)| alpha)
        .fold(0.05, f64::min);
    let evidence = match experiment.evidence {
        EvidenceMode::Proven => EvidenceMode::Proven,
        // Whatever the rule asks for, a state and a graduation take an excluded "no change".
        _ => EvidenceMode::Significant,
    };
    let aimed = Aimed {
        kind: AtomKind::Movement,
        evidence,
        sign: effect.signum(),
        threshold,
        tau: effect.abs(),
        alpha,
        critical: critical(&experiment.checkpoint, AtomKind::Movement, alpha),
        design,
        min_n: 0.0,
    };
    Some(Hope {
        planned,
        chance: aimed.chance(planned, effect.abs()),
        needed: aimed.units(effect.abs(), question.power),
        at_threshold: aimed.chance(planned, threshold),
        split: aimed.design.split,
        alpha,
    })
}
