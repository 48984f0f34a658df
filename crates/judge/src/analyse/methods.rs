//! Which method judges what: the table of product.md 3, row by row.
//!
//! Part of `analyse`: from the samples of an observation to a [`Measure`]. Concurrent arms: 1.2,
//! below ten events 1.3, paired blocks for series. Stated constants: the exact tests, on fewer
//! counts where phi > 1.5 (2.5). Measured baselines: the engine with both errors and
//! overdispersion.
use std::collections::BTreeMap;

use super::basis::{Basis, Normal};
use super::covariate;
use super::measure::{Gap, Measure};
use super::rare::{Plan, Rare};
use super::{MethodName, SignalState, UnknownWhy};
use crate::observe::{Blocks, Observed, Sample};
use crate::points::{ALL, Extra, Sums};
use crate::stats::overdispersion::Unevenness;
use crate::stats::special::{norm_isf, t_isf};
use crate::stats::two_arm::{Count, Moments, Proportion, RatioSums};

/// An arm that the observation does not have.
pub(super) fn unobserved(arm: &str) -> Gap {
    Gap {
        why: UnknownWhy::NoData,
        state: SignalState::NoData,
        words: Some(format!("no rows of arm `{arm}`")),
    }
}

/// Units, or complete blocks of a series.
pub(super) fn size(sample: &Sample) -> f64 {
    sample.blocks.as_ref().map_or(sample.sums.units(), |blocks| f64::from(blocks.count))
}

/// `(mean, variance of the mean)` of counted forms, widened by `phi`; `None` for a value.
pub(super) fn moments(sample: &Sample, phi: f64) -> Option<(f64, f64)> {
    let (mean, variance) = match sample.sums {
        Sums::Proportion { num, den } => {
            let arm = Proportion { x: num, n: den };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Mean { n, sum, sum_sq } => {
            let arm = Moments { n, sum, sum_sq };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Ratio { n, num, den, num_sq, den_sq, cross } => {
            let arm = RatioSums { n, num, den, num_sq, den_sq, cross };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Rate { events, exposure } => {
            let arm = Count { events, exposure };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Value { .. } | Sums::Detailed { .. } => return None,
    };
    Some((mean, variance * phi.max(1.0)))
}

/// Level and its variance: sums widened by their own `phi`, a series by its blocks.
pub(super) fn spread(sample: &Sample) -> Option<(f64, f64)> {
    match (&sample.blocks, sample.sums) {
        (Some(blocks), Sums::Value { .. }) if blocks.refused.is_none() && blocks.count >= 2 => {
            Some((blocks.mean, blocks.sd * blocks.sd / f64::from(blocks.count)))
        }
        _ => moments(sample, widening(sample)),
    }
}

/// The factor on the variance of one population's counts.
fn widening(sample: &Sample) -> f64 {
    sample.unevenness().as_ref().map_or(1.0, Unevenness::factor)
}

fn of_sample(sample: &Sample, phi: f64) -> Result<(f64, f64), Gap> {
    moments(sample, phi).ok_or_else(|| Gap::invalid("a series without blocks".to_owned()))
}

/// Usable blocks of a sample.
pub(super) fn blocks_of(blocks: Option<&Blocks>) -> Result<&Blocks, Gap> {
    let blocks = blocks.ok_or_else(|| Gap::invalid("a series without blocks".to_owned()))?;
    match &blocks.refused {
        Some(why) => Err(Gap::invalid(why.clone())),
        None if blocks.count < 2 => Err(Gap::invalid("fewer than two blocks".to_owned())),
        None => Ok(blocks),
    }
}

/// `t / z`: the block sd is itself an estimate with `df` degrees of freedom.
fn inflation(df: f64) -> f64 {
    t_isf(0.025, df) / norm_isf(0.025)
}

/// The two judged arms by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) control: &'a str,
    pub(super) treatment: &'a str,
    /// The method that the file asks for, if it fits.
    pub(super) named: Option<MethodName>,
    /// For the mixtures of rare events.
    pub(super) plan: Plan,
    /// How many signals of the experiment have a covariate.
    pub(super) covariates: usize,
}

impl Arms<'_> {
    pub(super) fn measure(
        self,
        control: &Sample,
        treatment: &Sample,
        observed: &Observed,
    ) -> Result<Measure, Gap> {
        let (basis, method, phi) = match (treatment.sums, control.sums) {
            (Sums::Value { .. }, _) => {
                let normal = paired(control, treatment, observed, inflation)?;
                (Basis::Normal(normal), MethodName::PairedBlocks, None)
            }
            (Sums::Proportion { num, den }, Sums::Proportion { num: x, den: n }) => {
                let (treated, held) = (Proportion { x: num, n: den }, Proportion { x, n });
                let many = treated.has_ten_of_each() && held.has_ten_of_each();
                let exact = self.named == Some(MethodName::RareEvents);
                if many && !exact {
                    let uneven = observed.difference.filter(Unevenness::is_uneven);
                    let phi = uneven.as_ref().map(Unevenness::factor);
                    let normal = concurrent(control, treatment, phi.unwrap_or(1.0))?;
                    (Basis::Normal(normal), MethodName::InformationTime, phi)
                } else if self.named == Some(MethodName::InformationTime) {
                    return Err(too_rare());
                } else {
                    let normal = concurrent(control, treatment, 1.0)?;
                    let epochs = epochs_of(observed);
                    let rare = Rare::of(treated, held, &epochs, normal, self.plan);
                    (Basis::Rare(rare), MethodName::RareEvents, None)
                }
            }
            (Sums::Rate { .. }, _) => {
                let phi = observed.difference.as_ref().map_or(1.0, Unevenness::factor);
                let normal = concurrent(control, treatment, phi)?;
                (Basis::Normal(normal), MethodName::InformationTime, Some(phi))
            }
            _ => {
                let normal = concurrent(control, treatment, 1.0)?;
                (Basis::Normal(normal), MethodName::InformationTime, None)
            }
        };
        covariate::check(control, treatment, self.covariates)?;
        let (basis, adjusted) = match (basis, covariate::adjust(control, treatment)) {
            (Basis::Normal(_), Some((normal, adjusted))) => {
                (Basis::Normal(normal.widened(phi.unwrap_or(1.0))), Some(adjusted))
            }
            (basis, _) => (basis, None),
        };
        let n = [(self.control, size(control)), (self.treatment, size(treatment))];
        let blocks = method == MethodName::PairedBlocks;
        Ok(Measure {
            basis,
            method,
            units: if blocks { size(treatment) } else { n[0].1 + n[1].1 },
            n: n.into_iter().map(|(arm, size)| (arm.to_owned(), size)).collect(),
            phi,
            adjusted,
            uncontrolled: false,
            exact_baseline: false,
            is_level: false,
            planned: None,
        })
    }
}

/// A named normal method below its smallest sample (statistics.md 1.1).
fn too_rare() -> Gap {
    Gap {
        why: UnknownWhy::Insufficient,
        state: SignalState::TooEarly,
        words: Some("`information_time` needs ten events and ten non-events".to_owned()),
    }
}

/// Totals of both arms by epoch of allocation.
fn epochs_of(observed: &Observed) -> Vec<(Proportion, Proportion)> {
    let arm = |(num, den): (f64, f64)| Proportion { x: num, n: den };
    observed.epochs.iter().map(|epoch| (arm(epoch.treatment), arm(epoch.control))).collect()
}

fn concurrent(control: &Sample, treatment: &Sample, phi: f64) -> Result<Normal, Gap> {
    Ok(Normal {
        treatment: of_sample(treatment, phi)?,
        comparison: of_sample(control, phi)?,
        covariance: 0.0,
        both_grow: true,
    })
}

/// Block means of both arms on the same steps; their covariance follows from the differences.
///
/// `wide` is what the error is widened by, from the degrees of freedom.
pub(super) fn paired(
    control: &Sample,
    treatment: &Sample,
    observed: &Observed,
    wide: impl Fn(f64) -> f64,
) -> Result<Normal, Gap> {
    let differences = blocks_of(observed.paired.as_ref())?;
    let treated = blocks_of(treatment.blocks.as_ref())?;
    let held = blocks_of(control.blocks.as_ref())?;
    let size = f64::from(differences.count);
    let wide = wide(size - 1.0);
    let of_mean = |variance: f64| wide * wide * variance / size;
    let (t, c, d) = (treated.sd * treated.sd, held.sd * held.sd, differences.sd * differences.sd);
    Ok(Normal {
        treatment: (treated.mean, of_mean(t)),
        comparison: (held.mean, of_mean(c)),
        covariance: of_mean(0.5 * (t + c - d)),
        both_grow: true,
    })
}

/// Everything against a baseline that was measured before the first start.
pub(super) fn measured(sample: &Sample, baseline: &Sample) -> Result<Measure, Gap> {
    if let Sums::Value { .. } = sample.sums {
        let (later, before) =
            (blocks_of(sample.blocks.as_ref())?, blocks_of(baseline.blocks.as_ref())?);
        let (k, kk) = (f64::from(before.count), f64::from(later.count));
        let df = k + kk - 2.0;
        let squares = (k - 1.0) * before.sd * before.sd + (kk - 1.0) * later.sd * later.sd;
        let wide = inflation(df);
        let variance = wide * wide * squares / df;
        let normal = Normal {
            treatment: (later.mean, variance / kk),
            comparison: (before.mean, variance / k),
            covariance: 0.0,
            both_grow: false,
        };
        return Ok(uncontrolled(sample, Basis::Normal(normal), MethodName::BlockMeans, false));
    }
    let phis = (widening(sample), widening(baseline));
    let normal = Normal {
        treatment: of_sample(sample, phis.0)?,
        comparison: of_sample(baseline, phis.1)?,
        covariance: 0.0,
        both_grow: false,
    };
    let mut measure =
        uncontrolled(sample, Basis::Normal(normal), MethodName::InformationTime, false);
    measure.phi = Some(phis.0.max(phis.1).max(1.0)).filter(|phi| *phi > 1.0);
    Ok(measure)
}

/// Against `x` of `n` counted once: both errors for counts, else the level `x/n` as stated.
pub(super) fn counted(
    sample: &Sample,
    (x, n): (f64, f64),
    named: Option<MethodName>,
) -> Result<Measure, Gap> {
    match counted_once(sample, x, n) {
        Some(before) => measured(sample, &before),
        None => stated(sample, x / n, true, named),
    }
}

/// `{x, n}` of the file as a sample of its own, for the forms that have counts.
pub(super) fn counted_once(sample: &Sample, x: f64, n: f64) -> Option<Sample> {
    let sums = match sample.sums {
        Sums::Proportion { .. } => Sums::Proportion { num: x, den: n },
        Sums::Rate { .. } => Sums::Rate { events: x, exposure: n },
        _ => return None,
    };
    // The file says how many there were, not when: taken as even.
    Some(Sample { sums, cells: 1, phi: Some(1.0), blocks: None, extra: Extra::default() })
}

/// Against a constant: exact where the form has an exact test. Uneven periods count for fewer
/// units: `S/f` of `n/f`, which has the mean and the variance of that many independent ones.
pub(super) fn stated(
    sample: &Sample,
    level: f64,
    exact_baseline: bool,
    named: Option<MethodName>,
) -> Result<Measure, Gap> {
    let uneven = sample.unevenness().filter(Unevenness::is_uneven);
    let uneven = uneven.as_ref().map(Unevenness::factor);
    let wide = uneven.unwrap_or(1.0);
    let exact = named != Some(MethodName::InformationTime);
    if named == Some(MethodName::InformationTime) && few_events(sample) {
        return Err(too_rare());
    }
    let (basis, method) = match (sample.sums, exact) {
        (Sums::Proportion { num, den }, true) => {
            let (s, n) = (num / wide, den / wide);
            (Basis::OneProportion { s, n, p0: level }, MethodName::OneProportion)
        }
        (Sums::Rate { events, exposure }, true) => {
            let count = Count { events: events / wide, exposure: exposure / wide };
            (Basis::OneRate { count, r0: level }, MethodName::OneRate)
        }
        (Sums::Value { .. }, _) => {
            let blocks = blocks_of(sample.blocks.as_ref())?;
            let size = f64::from(blocks.count);
            let wide = inflation(size - 1.0);
            let variance = wide * wide * blocks.sd * blocks.sd / size;
            let normal = Normal::against(level, (blocks.mean, variance));
            (Basis::Normal(normal), MethodName::BlockMeans)
        }
        _ => {
            let normal = Normal::against(level, of_sample(sample, wide)?);
            (Basis::Normal(normal), MethodName::InformationTime)
        }
    };
    let mut measure = uncontrolled(sample, basis, method, exact_baseline);
    measure.phi = uneven;
    Ok(measure)
}

/// Fewer events, or for proportions non-events, than a normal approximation needs.
fn few_events(sample: &Sample) -> bool {
    match sample.sums {
        Sums::Proportion { num, den } => !Proportion { x: num, n: den }.has_ten_of_each(),
        Sums::Rate { events, .. } => events < 10.0,
        _ => false,
    }
}

/// A level: exact for proportions, the engine for the rest.
pub(super) fn level(
    sample: &Sample,
    wanted: f64,
    named: Option<MethodName>,
) -> Result<Measure, Gap> {
    match sample.sums {
        Sums::Rate { .. } => {
            let normal = Normal::against(wanted, of_sample(sample, widening(sample))?);
            let basis = Basis::Normal(normal);
            Ok(uncontrolled(sample, basis, MethodName::InformationTime, false))
        }
        _ => stated(sample, wanted, false, named),
    }
}

fn uncontrolled(sample: &Sample, basis: Basis, method: MethodName, exact: bool) -> Measure {
    Measure {
        basis,
        method,
        n: BTreeMap::from([(ALL.to_owned(), size(sample))]),
        units: size(sample),
        phi: None,
        adjusted: None,
        uncontrolled: true,
        exact_baseline: exact,
        is_level: false,
        planned: None,
    }
}
