//! Did too many units see more than one arm? (statistics.md 1.9)
//!
//! Part of `analyse`, for arms whose file counts such units. The same exact test as a sampled
//! limit (1.4 with q = the tolerated share, tau = q), at the error rate of the split check, from
//! 100 units on. Invariants: only a share above the limit is evidence; the alarm is latched in the
//! carry like a split mismatch, and clears with it: by a new allocation, or another definition.

use std::collections::BTreeMap;

use super::carry::{Epoch, close, open};
use super::split::split_counts;
use crate::observe::Observation;
use crate::plan::{Need, need_of_beside};
use crate::points::{ALL, Sums};
use crate::record::{Carry, LookInput};
use crate::spec::{BesideKind, Experiment, MULTIPLE_EXPOSURE};
use crate::stats::info_time::ln_p_from_log_e;
use crate::stats::{one_proportion, srm};
use crate::time::Window;

const ID: &str = "multiple_exposure";

/// The check of units in more than one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ExposureCheck {
    /// Units seen in more than one arm since the allocation began.
    pub mixed: f64,
    /// All units since then.
    pub units: f64,
    /// Always-valid lower bound of their share, at the check's error rate.
    pub lower: f64,
    /// The tolerated share.
    pub limit: f64,
    /// Smallest always-valid p so far.
    pub p_seq: f64,
    /// Alarm at p < 0.001.
    pub unhealthy: bool,
}

/// The check of this look; `None` where the file does not ask.
pub(super) fn check(input: &LookInput, carry: &mut Carry) -> Option<ExposureCheck> {
    let experiment = &input.experiment;
    let asked = experiment.multiple_exposure()?;
    let (mixed, units) = since_allocation(input, exposure_counts(input).unwrap_or_default());
    let began = input.cycle.allocation.as_ref().map_or(0, |allocation| allocation.epoch);
    let series = need(experiment).map(|need| need.series_id).unwrap_or_default();
    let (limit, began) = (asked.at_most, began.to_string());
    let definition = [series, limit.to_string(), input.cycle.started_at.to_string(), began];
    let definition: Vec<&str> = definition.iter().map(String::as_str).collect();
    let epoch = Epoch::new(&definition, &["multiple_exposure"]);
    let opened = open(carry, ID, &epoch, (limit, srm::ALPHA), input.at);
    let prior = one_proportion::prior_tau(limit, limit);
    let above = units >= srm::MIN_UNITS && mixed > limit * units;
    let ln_p = if above {
        let log_e = one_proportion::log_e(prior, mixed, units, limit);
        close(carry, ID, ln_p_from_log_e(log_e))
    } else {
        opened.ln_p_before
    };
    Some(ExposureCheck {
        mixed,
        units,
        lower: one_proportion::lower_bound(prior, mixed, units, srm::ALPHA),
        limit,
        p_seq: libm::exp(ln_p),
        // A latched alarm stands even if restated data leave fewer units.
        unhealthy: ln_p < libm::log(srm::ALPHA),
    })
}

fn need(experiment: &Experiment) -> Option<Need> {
    let window = Window { start: experiment.start, end: experiment.start };
    let beside = experiment.beside();
    let mixed = beside.iter().find(|one| one.kind == BesideKind::MultipleExposure)?;
    Some(need_of_beside(experiment, mixed, window))
}

/// What the checks of the allocation have counted: an acknowledgement begins after it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocated {
    /// Units by arm.
    pub counts: BTreeMap<String, f64>,
    /// Of further signals whose own split is off, by name.
    pub others: BTreeMap<String, BTreeMap<String, f64>>,
    /// `(mixed, units)` of the multiple-exposure check.
    pub mixed: Option<(f64, f64)>,
}

impl Allocated {
    /// At a look, from the start of the cycle; `off` are signals whose own split is off.
    pub(crate) fn of(input: &LookInput, off: &[&str]) -> Self {
        let (counts, others) = split_counts(input, |name| off.contains(&name));
        Self { counts, others, mixed: exposure_counts(input) }
    }
}

/// `(mixed, units)` that the check of this look counts, from the start of the cycle; `None` where
/// nothing is counted.
fn exposure_counts(input: &LookInput) -> Option<(f64, f64)> {
    input.experiment.multiple_exposure()?;
    let observed = input.beside.get(MULTIPLE_EXPOSURE).and_then(Observation::counted)?;
    match observed.arms.get(ALL)?.sums {
        Sums::Proportion { num, den } => Some((num, den)),
        _ => None,
    }
}

/// Without the units of earlier allocations; restated data may leave fewer than those had.
fn since_allocation(input: &LookInput, (mixed, units): (f64, f64)) -> (f64, f64) {
    let before = input.cycle.allocation.as_ref().and_then(|allocation| allocation.mixed);
    let (mixed_before, units_before) = before.unwrap_or_default();
    let units = (units - units_before).max(0.0);
    ((mixed - mixed_before).clamp(0.0, units), units)
}
