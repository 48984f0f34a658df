//! The mixing sd of every test, from the file alone (product.md 4.2).
//!
//! Part of `analyse`. `|to - from|` of the aim; else the threshold in contrast units (the rule's,
//! else the signal's `min_effect`); else, for proportions, 2.82 SE at the planned n; else none.
//! Never from observed data: a relative threshold needs a stated or counted `from`.

use super::basis::Null;
use crate::spec::{Amount, Atom, AtomKind, Baseline, Compare, Experiment, Form, Signal, When};
use crate::stats::info_time::default_tau_factor;
use crate::time::ms_between;

/// Milliseconds of a week.
const WEEK_MS: f64 = 7.0 * crate::time::DAY_MS as f64;

/// Where a signal stands by the file: its own `from`, else the aim's.
pub(super) fn stated_from(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let own = signal.from.as_ref().and_then(Baseline::level);
    own.or_else(|| experiment.aim_on(&signal.name).and_then(|aim| aim.from))
}

/// The aim's effect on a signal: `to - from`, signed.
pub(crate) fn aim_effect(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let aim = experiment.aim_on(&signal.name)?;
    let from = aim.from.or_else(|| signal.from.as_ref().and_then(Baseline::level))?;
    // Twelve digits: 0.35 - 0.27 is the eight points that were written.
    let effect = crate::record::round12(aim.to? - from);
    (effect != 0.0 && effect.is_finite()).then_some(effect)
}

/// tau of a test on a signal, given the threshold it is about.
pub(super) fn of_signal(
    experiment: &Experiment,
    signal: &Signal,
    threshold: Option<Null>,
) -> Option<f64> {
    let from = stated_from(experiment, signal);
    aim_effect(experiment, signal)
        .map(f64::abs)
        .or_else(|| threshold.and_then(|threshold| in_contrast_units(threshold, from)))
        .or_else(|| signal.min_effect.map(f64::abs).filter(|effect| *effect > 0.0))
        .or_else(|| planned(experiment, signal))
}

/// tau of a level test: the same, with the distance of the level from `from` as threshold.
pub(super) fn of_level(experiment: &Experiment, signal: &Signal, wanted: f64) -> Option<f64> {
    let from = stated_from(experiment, signal);
    of_signal(experiment, signal, from.map(|from| Null::Change(wanted - from)))
}

/// tau of the test behind an atom, as [`of_signal`] and [`of_level`] give it at a look.
pub(crate) fn of_atom(experiment: &Experiment, signal: &Signal, atom: &Atom) -> Option<f64> {
    let threshold = match atom.amount {
        Amount::Level(level) => return of_level(experiment, signal, level),
        Amount::Absolute(change) => Null::Change(change),
        Amount::Relative(change) => Null::Relative(change),
    };
    // A tolerance is tuned to its margin, whatever the aim.
    let margin = (atom.kind == AtomKind::Tolerance)
        .then(|| in_contrast_units(threshold, stated_from(experiment, signal)))
        .flatten();
    margin.or_else(|| of_signal(experiment, signal, Some(threshold)))
}

/// A threshold's size in contrast units; `None` for a relative one without a stated `from`.
pub(super) fn in_contrast_units(threshold: Null, from: Option<f64>) -> Option<f64> {
    let size = match threshold {
        Null::Change(change) => change.abs(),
        Null::Relative(relative) => (relative * from?).abs(),
    };
    // Twelve digits: 10 % of 0.4 is the four points that were written.
    let size = crate::record::round12(size);
    (size > 0.0 && size.is_finite()).then_some(size)
}

/// 2.82 SE of a proportion at the planned n.
fn planned(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    if signal.form != Form::Proportion {
        return None;
    }
    let p = stated_from(experiment, signal).filter(|p| *p > 0.0 && *p < 1.0).unwrap_or(0.5);
    let units = planned_units(experiment, signal)?;
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let parts = match compare {
        Compare::Arms { control, treatment, split, .. } => {
            let share = |arm: &str| split.get(arm).copied().unwrap_or(0.5);
            1.0 / (units * share(control)) + 1.0 / (units * share(treatment))
        }
        Compare::Baseline | Compare::BeforeAfter { .. } => 1.0 / units,
    };
    let tau = default_tau_factor(0.05) * (p * (1.0 - p) * parts).sqrt();
    (tau > 0.0 && tau.is_finite()).then_some(tau)
}

/// Units over all arms that have matured at the checkpoint: `units_per_week x accrual`.
pub(crate) fn planned_units(experiment: &Experiment, signal: &Signal) -> Option<f64> {
    let accrual_ms = match experiment.checkpoint.when {
        When::At(at) => ms_between(experiment.start, at) - signal.matures_after.ms,
        When::Every(every) => every.ms,
    };
    let units = experiment.units_per_week? * accrual_ms as f64 / WEEK_MS;
    (units > 0.0 && units.is_finite()).then_some(units)
}

/// One interval of product.md 4.3: `every`, else the accrual time of the slowest outcome.
pub(super) fn interval_ms(experiment: &Experiment) -> f64 {
    let ms = match experiment.checkpoint.when {
        When::At(at) => ms_between(experiment.start, at) - experiment.longest_outcome_maturity().ms,
        When::Every(every) => every.ms,
    };
    ms.max(0) as f64
}
