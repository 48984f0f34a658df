//! Does the observed split fit the planned one? (statistics.md 1.9)
//!
//! Part of `analyse`. Units (never events), at least 100 of them, of every counted signal that the
//! rule or an outcome uses: an export that lost one arm's rows of an outcome is as bad as an
//! assignment that is off. The *leading* signal (the first counted proxy, else the first counted
//! signal) is checked at 0.001, the others share another 0.001. One result: the first check that is
//! off, else the leading one. Latched in the carry; clears only by a new epoch.
//!
//! Assumption: a denominator counts allocated units. What counts events is a ratio.

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
    let allocation = input.cycle.allocation.as_ref().map(|one| one.epoch);
    let asked = compiled.splits(allocation, || questions(experiment, shares, allocation));
    let mut told: Option<SplitCheck> = None;
    for one in asked.iter() {
        let (ln_p, counts) = one.ask(input, shares, carry);
        // A latched alarm stands even if restated data leave fewer units.
        let (signal, mismatch) = (one.named.clone(), ln_p < libm::log(one.alpha));
        // In the order of the file, so that an alarm that stays is the same from look to look.
        if told.as_ref().is_none_or(|told| mismatch && !told.mismatch) {
            told = Some(SplitCheck { signal, counts, p_seq: libm::exp(ln_p), mismatch });
        }
    }
    told
}

/// One signal's split check.
#[derive(Debug)]
pub(super) struct SplitQuestion {
    /// Key in the carry.
    id: String,
    /// The signal whose units are counted; `None` where there is no counted one.
    signal: Option<String>,
    /// Its name, unless it leads.
    named: Option<String>,
    alpha: f64,
    epoch: Epoch,
}

impl SplitQuestion {
    /// The smallest ln p so far, and the units that were counted.
    fn ask(
        &self,
        input: &LookInput,
        shares: &BTreeMap<String, f64>,
        carry: &mut Carry,
    ) -> (f64, BTreeMap<String, f64>) {
        let name = self.signal.as_deref();
        let observed = name.and_then(|name| input.observations.get(name));
        let counts = counted(shares, observed.and_then(Observation::counted));
        let counts = since_allocation(input, self.named.as_deref(), counts);
        // Units in an arm without a share are a fault of their own, never part of the test.
        let weighted = counts.iter().filter(|(arm, _)| shares.get(*arm).is_some_and(|w| *w > 0.0));
        let total: f64 = weighted.map(|(_, units)| units).sum();
        let opened = open(carry, &self.id, &self.epoch, (0.0, self.alpha), input.at);
        if total < srm::MIN_UNITS {
            return (opened.ln_p_before, counts);
        }
        let seen: Vec<f64> = counts.values().copied().collect();
        let planned: Vec<f64> = shares.values().copied().collect();
        let log_bf = srm::log_bf(&seen, &planned, srm::CONCENTRATION);
        (close(carry, &self.id, ln_p_from_log_e(log_bf)), counts)
    }
}

/// The leading signal's, then those of other signals that are used.
fn questions(
    experiment: &Experiment,
    shares: &BTreeMap<String, f64>,
    allocation: Option<u32>,
) -> Vec<SplitQuestion> {
    let leading = leading(experiment);
    let mut all = vec![SplitQuestion {
        id: ID.to_owned(),
        signal: leading.map(|signal| signal.name.clone()),
        named: None,
        alpha: srm::ALPHA,
        epoch: epoch_of(experiment, shares, allocation, None),
    }];
    let alpha = alpha_of_others(experiment);
    all.extend(others(experiment).map(|signal| SplitQuestion {
        id: format!("{ID}|{}", signal.name),
        signal: Some(signal.name.clone()),
        named: Some(signal.name.clone()),
        alpha,
        epoch: epoch_of(experiment, shares, allocation, Some(&signal.name)),
    }));
    all
}

fn epoch_of(
    experiment: &Experiment,
    shares: &BTreeMap<String, f64>,
    allocation: Option<u32>,
    signal: Option<&str>,
) -> Epoch {
    let (text, start) = (format!("{shares:?}"), experiment.start.to_string());
    let began = allocation.map(|epoch| format!("allocation {epoch}"));
    let parts = [Some(text.as_str()), Some(start.as_str()), began.as_deref(), signal];
    Epoch::new(&parts.into_iter().flatten().collect::<Vec<_>>(), &["srm"])
}

/// Units by arm that the split check of this look counts, from the start of the cycle: what an
/// acknowledgement freezes as the beginning of a new allocation. The leading signal's, and by name
/// those of the others whose own split is off (`are_off`).
pub(super) fn split_counts(
    input: &LookInput,
    are_off: impl Fn(&str) -> bool,
) -> (Units, BTreeMap<String, Units>) {
    let experiment = &input.experiment;
    let Some(shares) = shares_of(experiment) else {
        return Default::default();
    };
    let units = |signal: &Signal| {
        let observed = input.observations.get(&signal.name);
        counted(shares, observed.and_then(Observation::counted))
    };
    let first = leading(experiment).map_or_else(|| counted(shares, None), units);
    let rest = others(experiment).filter(|signal| are_off(&signal.name));
    let rest = rest.map(|signal| (signal.name.clone(), units(signal)));
    (first, rest.collect())
}

/// Units by arm.
type Units = BTreeMap<String, f64>;

fn counted(shares: &BTreeMap<String, f64>, observed: Option<&Observed>) -> BTreeMap<String, f64> {
    let units = |arm: &String| {
        let sample = observed.and_then(|observed| observed.arms.get(arm));
        (arm.clone(), sample.map_or(0.0, |sample| sample.sums.units()))
    };
    shares.keys().map(units).collect()
}

/// Without the units of earlier allocations; restated data may leave fewer than those had.
fn since_allocation(input: &LookInput, named: Option<&str>, mut counts: Units) -> Units {
    if let Some(allocation) = &input.cycle.allocation {
        // Without counts of its own a signal lags behind the leading one: units of before, that
        // mature after the acknowledgement, are those which that one had counted.
        let own = named.and_then(|name| allocation.others.get(name));
        let known = Some(own.unwrap_or(&allocation.counts));
        for (arm, units) in &mut counts {
            let before = known.and_then(|known| known.get(arm)).copied().unwrap_or(0.0);
            *units = (*units - before).max(0.0);
        }
    }
    counts
}

fn is_counted(signal: &Signal) -> bool {
    let by_unit = matches!(signal.form, Form::Proportion | Form::Mean | Form::Ratio);
    by_unit && signal.compare.is_none() && signal.role != Role::Guardrail
}

/// The first counted proxy, else the first counted signal.
fn leading(experiment: &Experiment) -> Option<&Signal> {
    let proxy = experiment.proxies().find(|signal| is_counted(signal));
    proxy.or_else(|| experiment.signals.iter().find(|signal| is_counted(signal)))
}

/// Other counted signals that the rule names or that are outcomes.
pub(super) fn others(experiment: &Experiment) -> impl Iterator<Item = &Signal> {
    let first = leading(experiment).map(|signal| signal.name.as_str());
    let rule = &experiment.checkpoint.continue_when;
    let is_used = |signal: &&Signal| signal.role == Role::Outcome || rule.names(&signal.name);
    let rest = experiment.signals.iter().filter(move |one| Some(one.name.as_str()) != first);
    rest.filter(|signal| is_counted(signal)).filter(is_used)
}

/// What each of them may spend.
pub(super) fn alpha_of_others(experiment: &Experiment) -> f64 {
    srm::ALPHA / others(experiment).count().max(1) as f64
}
