//! `theatre`: a ratio that got better for the wrong reason (product.md 4.6, statistics.md 1.11).
//!
//! Of every judged signal that got better (`met`, `moving`, `short`) numerator and denominator are
//! taken apart against the same comparison: six sums per unit for ratios, counts for proportions
//! of arms with planned shares, counts per eligible unit where the file says how many there were.
//! What has no such comparison (a stated baseline, a series, a rate whose exposure is no count) is
//! not taken apart, and no alarm is made of it. Eligible units also show a cohort that narrowed:
//! a smaller part of them is counted than before, or than in the control.

use crate::analyse::{SignalState, SignalView};
use crate::observe::{Observation, Observed, Sample};
use crate::points::{ALL, Sums};
use crate::spec::{Baseline, Compare, Form, Role, Signal, Want, eligible_of};
use crate::stats::theatre::{Decomposition, LogChange, MARGIN};

use super::facts::Facts;
use super::{Alarm, AlarmCause, AlarmKind};

/// What clears each of them.
const CLEARS: &str = "a ratio that rises by its numerator, or a denominator that is back";
/// What clears a cohort that narrowed.
const WIDENS: &str = "a cohort that is as wide as before: as many of the eligible units counted";

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
    let eligible = facts.input.beside.get(&eligible_of(&view.name));
    let eligible = eligible.and_then(Observation::counted);
    let sides = Sides::of(compare, signal, observed, eligible)?;
    let (coverage, parts) = (sides.coverage(), sides.parts(signal));
    let whole = parts.map(|(n, d)| Decomposition::new(n, d, signal.want == Want::Up));
    let least = least_share(signal, view);
    if let Some(coverage) = coverage.filter(|coverage| coverage.change.is_broken()) {
        let alarm = coverage.numbers(Alarm::new(AlarmKind::Theatre, &view.name, WIDENS));
        let alarm =
            whole.iter().fold(alarm, |alarm, whole| numbers(alarm, whole, least, signal.want));
        return Some(alarm.because(AlarmCause::CohortNarrowed));
    }
    let whole = whole?;
    let cause = cause_of(&whole, least)?;
    let alarm = Alarm::new(AlarmKind::Theatre, &view.name, CLEARS);
    let alarm = numbers(alarm, &whole, least, signal.want);
    Some(coverage.iter().fold(alarm, |alarm, one| one.numbers(alarm)).because(cause))
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

/// Treatment and comparison, with what could have been counted of both.
#[derive(Debug)]
struct Sides<'a> {
    treatment: &'a Sample,
    /// The control or the measured baseline.
    comparison: Option<&'a Sample>,
    /// Planned shares: treatment over control.
    planned: Option<f64>,
    eligible: Option<EligibleUnits>,
    /// Stated level of the comparison.
    stated: Option<f64>,
}

/// Units that could have been counted.
#[derive(Debug, Clone, Copy)]
struct EligibleUnits {
    treatment: f64,
    before: Before,
}

/// How many of them were counted before.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// Of so many eligible units of the comparison.
    Units(f64),
    /// A stated share.
    Share(f64),
}

/// The part of the eligible units that was counted, against the comparison's.
#[derive(Debug, Clone, Copy)]
struct Coverage {
    now: f64,
    before: f64,
    change: LogChange,
}

impl<'a> Sides<'a> {
    fn of(
        compare: &Compare,
        signal: &Signal,
        observed: &'a Observed,
        eligible: Option<&Observed>,
    ) -> Option<Self> {
        let (arm, comparison, planned) = match compare {
            Compare::Arms { control, treatment, split, .. } => {
                let planned = split.get(treatment).zip(split.get(control));
                let planned = planned.map(|(treatment, control)| treatment / control);
                (treatment.as_str(), observed.arms.get(control), planned)
            }
            _ => (ALL, observed.baseline.as_ref(), None),
        };
        let eligible = eligible.and_then(|eligible| {
            let known = match compare {
                Compare::Arms { control, .. } => eligible.arms.get(control),
                _ => eligible.baseline.as_ref(),
            };
            let now = eligible.arms.get(arm)?;
            // Another stretch of time has other units: nothing is compared with it.
            let same = |one: &Sample, other: &Sample| one.cells == other.cells;
            let whole = eligible.data_as_of == observed.data_as_of
                && same(now, observed.arms.get(arm)?)
                && known.is_none_or(|known| comparison.is_some_and(|one| same(known, one)));
            let stated = signal.eligible.as_ref()?.coverage.map(Before::Share);
            let before = known.map(|known| Before::Units(known.sums.units())).or(stated)?;
            whole.then_some(EligibleUnits { treatment: now.sums.units(), before })
        });
        let stated = signal.from.as_ref().and_then(Baseline::level);
        let treatment = observed.arms.get(arm)?;
        Some(Self { treatment, comparison, planned, eligible, stated })
    }

    /// The part of the eligible units that was counted, now and before.
    fn coverage(&self) -> Option<Coverage> {
        let eligible = self.eligible?;
        let counted = self.treatment.sums.units();
        let now = counted / eligible.treatment;
        let (before, change) = match eligible.before {
            Before::Share(share) => {
                (share, LogChange::of_count(counted, eligible.treatment * share, 1.0)?)
            }
            Before::Units(units) => {
                let then = self.comparison?.sums.units();
                let exposure = eligible.treatment / units;
                (then / units, LogChange::of_counts(counted, then, exposure, 1.0)?)
            }
        };
        (now.is_finite() && before.is_finite()).then_some(Coverage { now, before, change })
    }

    /// Numerator and denominator: per unit for ratios, else per planned or eligible unit.
    fn parts(&self, signal: &Signal) -> Option<(LogChange, LogChange)> {
        match (self.treatment.sums, self.comparison.map(|one| one.sums)) {
            (
                Sums::Ratio { n, num, den, num_sq, den_sq, .. },
                Some(Sums::Ratio {
                    n: n_c,
                    num: num_c,
                    den: den_c,
                    num_sq: num_sq_c,
                    den_sq: den_sq_c,
                    ..
                }),
            ) => Some((
                LogChange::of_sums([n, num, num_sq], [n_c, num_c, num_sq_c])?,
                LogChange::of_sums([n, den, den_sq], [n_c, den_c, den_sq_c])?,
            )),
            (Sums::Proportion { num, den }, comparison) if signal.form == Form::Proportion => {
                self.of_shares((num, den), comparison)
            }
            _ => None,
        }
    }

    fn of_shares(
        &self,
        (num, den): (f64, f64),
        comparison: Option<Sums>,
    ) -> Option<(LogChange, LogChange)> {
        let phis = [Some(self.treatment), self.comparison].into_iter().flatten();
        let phi = phis.filter_map(|sample| sample.phi).fold(1.0, f64::max);
        match (comparison, self.eligible.map(|eligible| (eligible.treatment, eligible.before))) {
            (Some(Sums::Proportion { num: num_c, den: den_c }), eligible) => {
                // Without either nobody knows what the denominators should be.
                let exposure = match eligible {
                    Some((now, Before::Units(before))) => Some(now / before),
                    _ => self.planned,
                }?;
                Some((
                    LogChange::of_counts(num, num_c, exposure, phi)?,
                    LogChange::of_counts(den, den_c, exposure, 1.0)?,
                ))
            }
            (None, Some((now, Before::Share(share)))) => {
                let expected = now * share;
                Some((
                    LogChange::of_count(num, expected * self.stated?, phi)?,
                    LogChange::of_count(den, expected, 1.0)?,
                ))
            }
            _ => None,
        }
    }
}

impl Coverage {
    fn numbers(&self, alarm: Alarm) -> Alarm {
        let interval = self.change.interval();
        alarm
            .number("coverage", self.now)
            .number("coverage_before", self.before)
            .number("coverage_change", share(self.change.estimate))
            .number("coverage_lower", share(interval.lo))
            .number("coverage_upper", share(interval.hi))
            .number("coverage_margin", -MARGIN)
    }
}

/// A change on the log scale as a share.
fn share(log: f64) -> f64 {
    libm::expm1(log.clamp(-700.0, 700.0))
}

/// Changes as shares (`exp(d) - 1`), in the direction that makes the ratio better; `mirrored` is
/// there when that is not the real one, whose change is `1/(1 + x) - 1`.
fn numbers(alarm: Alarm, whole: &Decomposition, least: Option<f64>, want: Want) -> Alarm {
    let alarm = if want == Want::Down { alarm.number("mirrored", 1.0) } else { alarm };
    let mut alarm = alarm
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
