//! Plain series judged by block means, valid at every look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, alpha_default, list};
use super::tell::{number, p, plain, range};
use super::{Ask, Fault, Notes};
use crate::stats::blocks::{self, BlockContrast, Refusal};
use crate::stats::info_time::{interval_two_sided, ln_p_from_log_e, log_e_two_sided};

const STEPS: &str = "regular steps; null where a value is missing (at most 20 %)";
const TAU_FIXED: &str = "tau was fixed before data";

/// A difference of block means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BlockAnswer {
    /// Later mean less the reference (for pairs: the mean difference).
    pub effect: Num,
    /// Its standard error, inflated by t over z.
    pub se: Num,
    /// The effects not excluded, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against no change.
    pub log_e: Num,
    /// Always-valid p of no change at this look.
    pub p: Num,
    /// Block length in steps.
    pub length: usize,
    /// Usable blocks before.
    pub reference_blocks: usize,
    /// Usable blocks after.
    pub later_blocks: usize,
    /// Lag-1 autocorrelation of the block means on which the length was chosen.
    pub lag1: Num,
    /// Standard deviation of a block mean.
    pub block_sd: Num,
}

fn refused(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing { share, .. } => Fault::new(
            format!("{} % of the values of a period are missing", number(100.0 * share)),
            "at most 20 % may be missing",
        ),
        Refusal::TooShort { blocks, length, lag1 } => Fault::new(
            format!(
                "the reference is too short for its autocorrelation: {blocks} blocks of {length} \
                 steps, lag-1 {}",
                number(lag1)
            ),
            "16 nearly independent blocks are needed: a longer history, or pairs with a control",
        ),
        Refusal::TooFewLater { blocks, needed, length } => Fault::new(
            format!("{blocks} complete blocks of {length} steps after the change"),
            format!("{needed} are needed: wait, or use a shorter step"),
        ),
        Refusal::StepNotInDay => {
            Fault::new("a day is not a whole number of steps", "`step_seconds` divides 86400")
        }
        Refusal::Constant => {
            Fault::new("the blocks of one period are all alike", "a series that varies")
        }
    }
}

fn told(blocks: &BlockContrast, tau: f64, alpha: f64) -> Result<BlockAnswer, Fault> {
    let (tau, alpha) = (parts::positive("tau", tau)?, parts::alpha(alpha)?);
    let (d, se) = (blocks.contrast.estimate, blocks.contrast.se);
    let log_e = log_e_two_sided(d, se, tau);
    Ok(BlockAnswer {
        effect: Num(d),
        se: Num(se),
        interval: interval_two_sided(d, se, tau, alpha).into(),
        log_e: Num(log_e),
        p: Num(libm::exp(ln_p_from_log_e(log_e))),
        length: blocks.length,
        reference_blocks: blocks.reference_blocks,
        later_blocks: blocks.later_blocks,
        lag1: Num(blocks.lag1),
        block_sd: Num(blocks.block_sd),
    })
}

fn sentence(told: &BlockAnswer, alpha: f64) -> String {
    format!(
        "Change {} ({}), {}, from {} blocks of {} steps; valid at every look.",
        plain::change(told.effect.0),
        range(told.interval, alpha, plain::change),
        p(told.p),
        told.later_blocks,
        told.length,
    )
}

/// Nulls are gaps.
fn gaps(values: &[Option<f64>]) -> Vec<f64> {
    values.iter().map(|x| x.unwrap_or(f64::NAN)).collect()
}

/// A series before and after a change.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeforeAfter {
    /// Values before the change, in time order; null where missing.
    pub before: Vec<Option<f64>>,
    /// Values after it.
    pub after: Vec<Option<f64>>,
    /// Step in seconds, when the series may have a daily season: blocks are then whole days.
    pub step_seconds: Option<f64>,
    /// Size of the change aimed at, fixed before data.
    pub tau: f64,
    /// Error probability, two-sided (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

impl Ask for BeforeAfter {
    type Answer = BlockAnswer;
    const LINE: &'static str = "a series before and after a change by block means, at any look";
    const CITATION: &'static str = "block means chosen on the reference (statistics 1.5)";
    const ASSUMES: &'static [&'static str] =
        &[STEPS, TAU_FIXED, "uncontrolled: whatever else changed at that time is in the effect"];
    const EXAMPLE: &'static str = r#"{"before":[13,11,10,8,8,6,11,14,13,7,11,14,6,12,8,13,12,8,
        8,9,6,7,8,14,7,12,7,10,9,9,12,7,10,9,12,10,11,6,9,6,12,6,12,13,8,6,9,12,7,6,7,9,9,11,6,
        7,8,14,6,14,7,13,14,9,12,7,12,9,7,8,8,6,6,10,14,8,10,6,7,12,9,8,14,6,11,14,7,11,7,11,13,
        9,12,9,6,12,11,6,12,7],"after":[7,7,11,8,9,5,8,8,5,12,4,4,10,12,10,11,9,7,5,10,7,5,10,
        12,9,12,9,6,8,6,8,4,4,6,8,6,5,6,4,4,4,11,7,10,8],"tau":1}"#;
    const WORDS: &'static str = "before=13,11,10,8,8,... after=7,7,11,8,... tau=1";

    fn answer(&self, _: &mut Notes) -> Result<BlockAnswer, Fault> {
        let (before, after) = (gaps(&self.before), gaps(&self.after));
        list("before", &before, 1)?;
        list("after", &after, 1)?;
        let found = blocks::two_sample(&before, &after, self.step_seconds).map_err(refused)?;
        told(&found, self.tau, self.alpha)
    }

    fn sentence(&self, told: &BlockAnswer) -> String {
        sentence(told, self.alpha)
    }
}

/// Two series at the same times.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedSeries {
    /// Control values in time order; null where missing.
    pub control: Vec<Option<f64>>,
    /// Treatment values at the same times.
    pub treatment: Vec<Option<f64>>,
    /// Control before the change, to choose the block length on (with `treatment_before`).
    pub control_before: Option<Vec<Option<f64>>>,
    /// Treatment before the change.
    pub treatment_before: Option<Vec<Option<f64>>>,
    /// Step in seconds, when the differences may have a daily season.
    pub step_seconds: Option<f64>,
    /// Size of the difference aimed at, fixed before data.
    pub tau: f64,
    /// Error probability, two-sided (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

fn differences(t: &[Option<f64>], c: &[Option<f64>]) -> Result<Vec<f64>, Fault> {
    if t.len() != c.len() {
        let cause = format!("{} values of the treatment, {} of the control", t.len(), c.len());
        return Err(Fault::new(cause, "one pair per time; null where one is missing"));
    }
    let pair = |(t, c): (&Option<f64>, &Option<f64>)| match (t, c) {
        (Some(t), Some(c)) => t - c,
        _ => f64::NAN,
    };
    let deltas: Vec<f64> = t.iter().zip(c).map(pair).collect();
    list("treatment", &deltas, 1)?;
    Ok(deltas)
}

impl Ask for PairedSeries {
    type Answer = BlockAnswer;
    const LINE: &'static str = "treatment against control series, paired in time, at any look";
    const CITATION: &'static str = "block means of paired differences (statistics 1.5)";
    const ASSUMES: &'static [&'static str] =
        &[STEPS, TAU_FIXED, "shared load falls out of the differences"];
    const EXAMPLE: &'static str = r#"{"control":[13,11,10,8,8,6,11,14,13,7,11,14,6,12,8,13,12,8,
        8,9,6,7,8,14,7,12,7,10,9,9,12,7,10,9,12,10,11,6,9,6,12,6,12,13,8,6,9,12,7,6,7,9,9,11,6,
        7,8,14,6,14,7,13,14,9,12,7,12,9,7,8,8,6,6,10,14,8,10,6,7,12,9,8,14,6,11,14,7,11,7,11,13,
        9,12,9,6,12,11,6,12,7],"treatment":[10,9,8,6,6,3,9,11,12,5,8,11,5,10,6,10,9,5,6,8,4,5,6,
        11,5,10,4,8,6,6,11,4,9,8,10,9,9,3,8,4,11,4,10,10,7,5,7,11,5,3,5,6,7,9,4,4,6,12,4,13,5,
        11,11,7,9,5,10,7,5,6,5,3,5,9,13,6,9,4,4,10,7,5,13,4,10,12,5,10,5,9,11,6,10,7,3,11,10,5,
        10,4],"tau":1}"#;
    const WORDS: &'static str = "control=13,11,10,8,... treatment=10,9,8,6,... tau=1";

    fn answer(&self, _: &mut Notes) -> Result<BlockAnswer, Fault> {
        let deltas = differences(&self.treatment, &self.control)?;
        let reference = match (&self.treatment_before, &self.control_before) {
            (None, None) => None,
            (Some(t), Some(c)) => Some(differences(t, c)?),
            _ => {
                let cause = "only one of `control_before` and `treatment_before` is given";
                return Err(Fault::new(cause, "give both or neither"));
            }
        };
        let found = blocks::one_sample(&deltas, reference.as_deref(), self.step_seconds);
        told(&found.map_err(refused)?, self.tau, self.alpha)
    }

    fn sentence(&self, told: &BlockAnswer) -> String {
        sentence(told, self.alpha)
    }
}
