//! A covariate from before exposure: less variance, and a check that the arms were alike.
//!
//! Part of `analyse`, for shares and means of two concurrent arms whose query names the sums of a
//! covariate (statistics.md 1.2, 1.9). Invariants: only when both arms have it; a covariate that
//! differs between the arms makes the signal invalid instead of adjusting it, because it was
//! fixed before anybody was treated.

use super::Adjusted;
use super::basis::Normal;
use super::measure::Gap;
use crate::observe::{Observed, Sample};
use crate::plan::Shape;
use crate::points::Sums;
use crate::spec::{Compare, Experiment, Signal};
use crate::stats::cuped;

/// How many signals have a covariate: they share the alpha of the imbalance check.
pub(super) fn count(experiment: &Experiment) -> usize {
    let has = |shape| matches!(shape, Shape::Detailed { covariate: true, .. });
    let shapes = experiment.signals.iter().map(|signal| Shape::of(signal.form, &signal.query));
    shapes.filter(|shape| has(*shape)).count()
}

fn sums(sample: &Sample) -> Option<cuped::Sums> {
    let covariate = sample.extra.covariate?;
    let (n, y, yy) = match sample.sums {
        Sums::Proportion { num, den } => (den, num, num),
        Sums::Mean { n, sum, sum_sq } => (n, sum, sum_sq),
        _ => return None,
    };
    Some(cuped::Sums { n, y, x: covariate.sum, yy, xx: covariate.sum_sq, xy: covariate.cross })
}

/// The p of "the arms were alike before exposure" where it is too small to believe.
fn unlike(control: &Sample, treatment: &Sample, covariates: usize) -> Option<f64> {
    let ln_p = cuped::ln_p_imbalance(&sums(treatment)?, &sums(control)?);
    let limit = libm::log(cuped::IMBALANCE_ALPHA / covariates.max(1) as f64);
    (ln_p <= limit).then(|| libm::exp(ln_p))
}

/// The same question about a signal of two concurrent arms.
pub(super) fn imbalance(
    experiment: &Experiment,
    signal: &Signal,
    observed: &Observed,
) -> Option<f64> {
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let Compare::Arms { control, treatment, .. } = compare else {
        return None;
    };
    let (held, treated) = (observed.arms.get(control)?, observed.arms.get(treatment)?);
    unlike(held, treated, count(experiment))
}

/// Whether the arms were alike before exposure; without a covariate nothing speaks against it.
///
/// # Errors
/// They were not.
pub(super) fn check(control: &Sample, treatment: &Sample, covariates: usize) -> Result<(), Gap> {
    unlike(control, treatment, covariates).map_or(Ok(()), |p| {
        let words = format!("the arms differed in the covariate before exposure (p = {p:.1e})");
        Err(Gap::invalid(words))
    })
}

/// The adjusted means of both arms; `None` without a covariate or where it explains nothing.
pub(super) fn adjust(control: &Sample, treatment: &Sample) -> Option<(Normal, Adjusted)> {
    let (held, treated) = (sums(control)?, sums(treatment)?);
    let theta = cuped::theta(&treated, &held);
    let reduction = cuped::reduction(&treated, &held);
    if theta == 0.0 || reduction <= 0.0 {
        return None;
    }
    let pooled = (treated.x + held.x) / (treated.n + held.n);
    let normal = Normal {
        treatment: cuped::adjusted(&treated, theta, pooled),
        comparison: cuped::adjusted(&held, theta, pooled),
        covariance: 0.0,
        both_grow: true,
    };
    Some((normal, Adjusted { theta, reduction }))
}
