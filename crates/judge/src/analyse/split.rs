//! Does the observed split fit the planned one? (statistics.md 1.9)
//!
//! Part of `analyse`. Units (never events) of the first counted proxy, else of the first counted
//! signal; at least 100 of them; alarm below 0.001, latched in the carry: it clears only by a new
//! epoch.

use std::collections::BTreeMap;

use super::SplitCheck;
use super::carry::{Epoch, close, open};
use super::compiled::Compiled;
use crate::observe::{Observation, Observed};
use crate::record::{Carry, LookInput};
use crate::spec::{Compare, Experiment, Form, Role, Signal};
use crate::stats::info_time::ln_p_from_log_e;
use crate::stats::srm;

const ID: &str = "split";

/// Declared shares of the arms, if there is anything to check.
pub(super) fn shares_of(experiment: &Experiment) -> Option<&BTreeMap<String, f64>> {
    match &experiment.compare {
        Compare::Arms { split, .. } if !split.is_empty() => Some(split),
        _ => None,
    }
}

/// The split check of this look; `None` when no split is declared.
pub(super) fn check(
    input: &LookInput,
    compiled: &Compiled,
    carry: &mut Carry,
) -> Option<SplitCheck> {
    let experiment = &input.experiment;
    let shares = shares_of(experiment)?;
    let observed = signal_of(experiment)
        .and_then(|signal| input.observations.get(&signal.name).and_then(Observation::counted));
    let counts = since_allocation(input, counted(shares, observed));
    // Units in an arm without a share are a fault of their own, never part of the test.
    let weighted = counts.iter().filter(|(arm, _)| shares.get(*arm).is_some_and(|w| *w > 0.0));
    let total: f64 = weighted.map(|(_, units)| units).sum();
    let seen: Vec<f64> = counts.values().copied().collect();
    let planned: Vec<f64> = shares.values().copied().collect();
    let allocation = input.cycle.allocation.as_ref().map(|one| one.epoch);
    let epoch = compiled.split(allocation, || epoch_of(experiment, shares, allocation));
    let opened = open(carry, ID, &epoch, (0.0, srm::ALPHA), input.at);
    let enough = total >= srm::MIN_UNITS;
    let ln_p = if enough {
        let log_bf = srm::log_bf(&seen, &planned, srm::CONCENTRATION);
        close(carry, ID, ln_p_from_log_e(log_bf))
    } else {
        opened.ln_p_before
    };
    // A latched alarm stands even if restated data leave fewer units.
    let mismatch = ln_p < libm::log(srm::ALPHA);
    Some(SplitCheck { counts, p_seq: libm::exp(ln_p), mismatch })
}

fn epoch_of(
    experiment: &Experiment,
    shares: &BTreeMap<String, f64>,
    allocation: Option<u32>,
) -> Epoch {
    let (text, start) = (format!("{shares:?}"), experiment.start.to_string());
    let began = allocation.map(|epoch| format!("allocation {epoch}"));
    let parts = [Some(text.as_str()), Some(start.as_str()), began.as_deref()];
    Epoch::new(&parts.into_iter().flatten().collect::<Vec<_>>(), &["srm"])
}

/// Units by arm that the split check of this look counts, from the start of the cycle: what an
/// acknowledgement freezes as the beginning of a new allocation.
pub(super) fn split_counts(input: &LookInput) -> BTreeMap<String, f64> {
    let experiment = &input.experiment;
    let observed = signal_of(experiment)
        .and_then(|signal| input.observations.get(&signal.name).and_then(Observation::counted));
    shares_of(experiment).map(|shares| counted(shares, observed)).unwrap_or_default()
}

fn counted(shares: &BTreeMap<String, f64>, observed: Option<&Observed>) -> BTreeMap<String, f64> {
    let units = |arm: &String| {
        let sample = observed.and_then(|observed| observed.arms.get(arm));
        (arm.clone(), sample.map_or(0.0, |sample| sample.sums.units()))
    };
    shares.keys().map(units).collect()
}

/// Without the units of earlier allocations; restated data may leave fewer than those had.
fn since_allocation(input: &LookInput, mut counts: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    if let Some(allocation) = &input.cycle.allocation {
        for (arm, units) in &mut counts {
            let before = allocation.counts.get(arm).copied().unwrap_or(0.0);
            *units = (*units - before).max(0.0);
        }
    }
    counts
}

/// The signal whose units are counted.
fn signal_of(experiment: &Experiment) -> Option<&Signal> {
    let counted = |signal: &&Signal| {
        let by_unit = matches!(signal.form, Form::Proportion | Form::Mean | Form::Ratio);
        by_unit && signal.compare.is_none()
    };
    let proxy = experiment.proxies().find(counted);
    proxy.or_else(|| {
        experiment.signals.iter().filter(|signal| signal.role != Role::Guardrail).find(counted)
    })
}
