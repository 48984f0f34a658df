//! `theatre`: a ratio that got better for the wrong reason (product.md 4.6, statistics.md 1.11).
//!
//! Of every judged signal that got better (`met`, `moving`, `short`) numerator and denominator are
//! taken apart against the same comparison: six sums per unit for ratios, counts for proportions
//! of arms with planned shares. What has no such comparison (a stated baseline, a series, a rate
//! whose exposure is no count) is not taken apart, and no alarm is made of it.

use crate::analyse::{SignalState, SignalView};
use crate::observe::{Observation, Observed};
use crate::points::{ALL, Sums};
use crate::spec::{Compare, Role, Signal, Want};
use crate::stats::theatre::{Decomposition, LogChange, MARGIN};

use super::facts::Facts;
use super::{Alarm, AlarmCause, AlarmKind};

/// What clears each of them.
const CLEARS: &str = "a ratio that rises by its numerator, or a denominator that is back";

/// At most one alarm per signal, the loudest form first.
pub(super) fn theatre(facts: &Facts<'_>) -> Vec<Alarm> {
    let judged = facts.analysis.signals.iter().filter(|view| view.role != Role::Guardrail);
    judged.filter_map(|view| of_signal(facts, view)).collect()
}

fn of_signal(facts: &Facts<'_>, view: &SignalView) -> Option<Alarm> {
    let better = matches!(view.state, SignalState::Met | SignalState::Moving | SignalState::Short);
    let Some(Observation::Ok(observed)) = facts.input.observations.get(&view.name) else {
        return None;
    };
    let experiment = &facts.input.experiment;
    let signal = experiment.signal(&view.name).filter(|_| better)?;
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let (numerator, denominator) = parts(compare, signal, observed)?;
    let whole = Decomposition::new(numerator, denominator, signal.want == Want::Up);
    let least = least_share(signal, view);
    let cause = cause_of(&whole, least)?;
    Some(alarm(view, &whole, least).because(cause))
}

fn cause_of(whole: &Decomposition, least: Option<f64>) -> Option<AlarmCause> {
    if whole.is_theatre() {
        Some(AlarmCause::NumeratorUpDenominatorDown)
    } else if whole.is_denominator_driven() {
        Some(AlarmCause::DenominatorDriven)
    } else if whole.is_denominator_broken() {
        Some(AlarmCause::DenominatorFell)
    } else if least.is_some_and(|least| whole.is_empty_win(least)) {
        Some(AlarmCause::EmptyWin)
    } else {
        None
    }
}

/// The smallest meaningful change as a share of the comparison.
fn least_share(signal: &Signal, view: &SignalView) -> Option<f64> {
    let evidence = view.evidence.as_ref()?;
    let level = evidence.comparison.filter(|level| *level > 0.0)?;
    match (signal.min_effect, view.threshold) {
        (Some(least), _) => Some(least.abs() / level),
        (None, Some(threshold)) if evidence.relative => Some(threshold.abs()),
        (None, Some(threshold)) => Some(threshold.abs() / level),
        (None, None) => None,
    }
}

fn parts(
    compare: &Compare,
    signal: &Signal,
    observed: &Observed,
) -> Option<(LogChange, LogChange)> {
    let (treatment, comparison, exposure) = match compare {
        Compare::Arms { control, treatment, split } => {
            let planned = split.get(treatment).zip(split.get(control));
            let exposure = planned.map(|(treatment, control)| treatment / control);
            (observed.arms.get(treatment)?, observed.arms.get(control)?, exposure)
        }
        _ => (observed.arms.get(ALL)?, observed.baseline.as_ref()?, None),
    };
    match (treatment.sums, comparison.sums) {
        (
            Sums::Ratio { n, num, den, num_sq, den_sq, .. },
            Sums::Ratio {
                n: n_c, num: num_c, den: den_c, num_sq: num_sq_c, den_sq: den_sq_c, ..
            },
        ) => Some((
            LogChange::of_sums([n, num, num_sq], [n_c, num_c, num_sq_c])?,
            LogChange::of_sums([n, den, den_sq], [n_c, den_c, den_sq_c])?,
        )),
        (Sums::Proportion { num, den }, Sums::Proportion { num: num_c, den: den_c }) => {
            let phi = treatment.phi.into_iter().chain(comparison.phi).fold(1.0, f64::max);
            // Without planned shares nobody knows what the denominators should be.
            let exposure = exposure.filter(|_| signal.form == crate::spec::Form::Proportion)?;
            Some((
                LogChange::of_counts(num, num_c, exposure, phi)?,
                LogChange::of_counts(den, den_c, exposure, 1.0)?,
            ))
        }
        _ => None,
    }
}

/// Changes as shares (`exp(d) - 1`), in the direction that makes the ratio better.
fn alarm(view: &SignalView, whole: &Decomposition, least: Option<f64>) -> Alarm {
    let share = |log: f64| libm::expm1(log.clamp(-700.0, 700.0));
    let mut alarm = Alarm::new(AlarmKind::Theatre, &view.name, CLEARS)
        .number("ratio_change", share(whole.ratio))
        .number("numerator_change", share(whole.numerator.estimate))
        .number("numerator_lower", share(whole.numerator_interval.lo))
        .number("numerator_upper", share(whole.numerator_interval.hi))
        .number("denominator_change", share(whole.denominator.estimate))
        .number("denominator_lower", share(whole.denominator_interval.lo))
        .number("denominator_upper", share(whole.denominator_interval.hi))
        .number("denominator_margin", -MARGIN);
    if let Some(driven) = whole.denominator_share() {
        alarm = alarm.number("denominator_share", driven);
    }
    match least {
        Some(least) => alarm.number("min_effect", least),
        None => alarm,
    }
}
