//! Freezing an input: every number at the twelve digits of the record, before anything is judged.
//!
//! An evaluation is a function of its *frozen* inputs. If it were computed from longer numbers
//! than it stores, evaluating the stored record again could differ in the last digit. Patterns
//! here name every field, so that a new one cannot be forgotten. Stored guardrail states are only
//! copied, and numbers of the file were written by people: both need no freezing.

use super::{Carry, LookInput, TestState, round12};
use crate::observe::{Allocation, Blocks, Observation, Observed, Sample, Steps};
use crate::points::{Covariate, Extra, Sums};
use crate::stats::bounded;
use crate::stats::overdispersion::Unevenness;

impl LookInput {
    /// The input as the record will hold it. Freezing twice changes nothing.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.observations.values_mut().chain(self.beside.values_mut()).for_each(observation);
        freeze_carry(&mut self.carry);
        self
    }
}

/// Sequential state at the digits of the record.
fn freeze_carry(carry: &mut Carry) {
    for state in carry.values_mut() {
        let TestState {
            tau,
            alpha,
            ln_p,
            planned,
            epoch: _,
            looks: _,
            opened_at: _,
            earlier_epochs: _,
        } = state;
        if let Some(looks) = planned {
            observed(&mut looks.observed);
            looks.fractions.iter_mut().for_each(freeze);
        }
        for number in [tau, alpha, ln_p] {
            freeze(number);
        }
    }
}

fn freeze(number: &mut f64) {
    *number = kept(*number);
}

/// A number as a record can hold it: text has no infinity, and sums of finite points can overflow.
fn kept(number: f64) -> f64 {
    round12(bounded(number))
}

fn observation(observation: &mut Observation) {
    match observation {
        Observation::Ok(found) => observed(found),
        Observation::Insufficient { more, observed: found } => {
            freeze(more);
            observed(found);
        }
        Observation::Immature { waiting, until: _ } => freeze(waiting),
        Observation::NoData { .. } | Observation::SourceError { .. } => {}
    }
}

fn observed(found: &mut Observed) {
    let Observed {
        arms,
        baseline,
        paired,
        waiting,
        difference,
        epochs,
        steps,
        window: _,
        data_as_of: _,
        digest: _,
    } = found;
    arms.values_mut().chain(baseline).for_each(sample);
    paired.iter_mut().for_each(blocks);
    freeze(waiting);
    if let Some(Steps { treatment, comparison }) = steps {
        treatment.iter_mut().chain(comparison).for_each(freeze);
    }
    if let Some(Unevenness { phi, df }) = difference {
        freeze(phi);
        freeze(df);
    }
    for Allocation { control, treatment } in epochs {
        for number in [&mut control.0, &mut control.1, &mut treatment.0, &mut treatment.1] {
            freeze(number);
        }
    }
}

fn sample(sample: &mut Sample) {
    let Sample { sums, phi, blocks: found, extra: beyond, cells: _ } = sample;
    *sums = Sums::from_array(sums.form_name(), sums.to_array().map(kept)).unwrap_or(*sums);
    phi.iter_mut().for_each(freeze);
    found.iter_mut().for_each(blocks);
    extra(beyond);
}

fn extra(beyond: &mut Extra) {
    let Extra { cubes, covariate } = beyond;
    cubes.iter_mut().for_each(freeze);
    if let Some(Covariate { sum, sum_sq, cross }) = covariate {
        for number in [sum, sum_sq, cross] {
            freeze(number);
        }
    }
}

fn blocks(found: &mut Blocks) {
    let Blocks { mean, sd, lag1, count: _, block_len: _, refused: _ } = found;
    for number in [mean, sd, lag1] {
        freeze(number);
    }
}
