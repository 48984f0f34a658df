//! Does the observed split fit the planned one? (statistics.md 1.9)
//!
//! Part of `analyse`. Units (never events) of the first counted proxy, else of the first counted
//! signal; at least 100 of them; alarm below 0.001, latched in the carry: it clears only by a new
//! epoch.

use std::collections::BTreeMap;

use super::SplitCheck;
use super::carry::{Epoch, close, open};
use crate::observe::Observation;
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
pub(super) fn check(input: &LookInput, carry: &mut Carry) -> Option<SplitCheck> {
    let experiment = &input.experiment;
    let shares = shares_of(experiment)?;
    let observed = signal_of(experiment)
        .and_then(|signal| input.observations.get(&signal.name).and_then(Observation::counted));
    let units = |arm: &String| {
        let sample = observed.and_then(|observed| observed.arms.get(arm));
        (arm.clone(), sample.map_or(0.0, |sample| sample.sums.units()))
    };
    let counts: BTreeMap<String, f64> = shares.keys().map(units).collect();
    let total: f64 = counts.values().sum();
    let seen: Vec<f64> = counts.values().copied().collect();
    let planned: Vec<f64> = shares.values().copied().collect();
    let start = experiment.start.to_string();
    let text = format!("{shares:?}");
    let epoch = Epoch::new(&[&text, &start], &["srm"]);
    let opened = open(carry, ID.to_owned(), &epoch, (0.0, srm::ALPHA), input.at);
    let enough = total >= srm::MIN_UNITS;
    let ln_p = if enough {
        let log_bf = srm::log_bf(&seen, &planned, srm::CONCENTRATION);
        close(carry, &opened, ln_p_from_log_e(log_bf))
    } else {
        opened.ln_p_before
    };
    // A latched alarm stands even if restated data leave fewer units.
    let mismatch = ln_p < libm::log(srm::ALPHA);
    Some(SplitCheck { counts, p_seq: libm::exp(ln_p), mismatch })
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
