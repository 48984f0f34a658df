//! Exact always-valid methods on counts: one share, one rate, the split.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Count, Share, alpha_default, probability};
use super::tell::{number, p, plain, points, range};
use super::{Ask, Fault, Notes};
use crate::stats::info_time::ln_p_from_log_e;
use crate::stats::{one_proportion, poisson, power, srm};

/// One share against a stated one.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneProportion {
    /// What was observed.
    pub observed: Share,
    /// The stated share it is tested against.
    pub baseline: f64,
    /// The share aimed at: tunes the test; fixed before data.
    pub target: Option<f64>,
    /// Weight of successes in the mixture, instead of `target` (with `prior_b`).
    pub prior_a: Option<f64>,
    /// Weight of failures in the mixture.
    pub prior_b: Option<f64>,
    /// Error probability, both sides together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// What is known of one share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OneShare {
    /// Observed share.
    pub share: Num,
    /// Observed minus stated.
    pub effect: Num,
    /// The shares not excluded, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against the stated share.
    pub log_e: Num,
    /// Always-valid p of the stated share at this look.
    pub p: Num,
    /// Units at which the stated share would be excluded if the observed share stayed.
    pub needed_n: Num,
}

impl OneProportion {
    fn prior(&self) -> Result<one_proportion::Prior, Fault> {
        match (self.target, self.prior_a, self.prior_b) {
            (Some(target), None, None) => {
                parts::inside("target", target, "a share")?;
                if target == self.baseline {
                    return Err(Fault::new("`target` is the baseline", "aim at another share"));
                }
                Ok(one_proportion::prior(self.baseline, target))
            }
            (None, Some(a), Some(b)) => Ok(one_proportion::Prior {
                a: parts::positive("prior_a", a)?,
                b: parts::positive("prior_b", b)?,
            }),
            _ => Err(Fault::new(
                "the test is not tuned",
                "give `target`, the share aimed at, or both `prior_a` and `prior_b`",
            )),
        }
    }
}

impl Ask for OneProportion {
    type Answer = OneShare;
    const LINE: &'static str = "one share against a stated one, exact at any look";
    const CITATION: &'static str =
        "beta-binomial mixture: Robbins 1970; Lindon & Malek, arXiv 2011.03567 (statistics 1.4)";
    const ASSUMES: &'static [&'static str] = &[
        "units are independent with one probability (overdispersion below 1.5)",
        "the stated share is exact: nothing controls for what else changed",
    ];
    const EXAMPLE: &'static str = r#"{"observed":{"x":50,"n":320},"baseline":0.09,"target":0.15}"#;
    const WORDS: &'static str = "observed=50/320 baseline=9% target=15%";

    fn answer(&self, notes: &mut Notes) -> Result<OneShare, Fault> {
        let seen = self.observed.checked_whole("observed")?;
        let baseline = parts::inside("baseline", self.baseline, "a share")?;
        let (alpha, prior) = (parts::alpha(self.alpha)?, self.prior()?);
        let log_e = one_proportion::log_e(prior, seen.x, seen.n, baseline);
        let needed = power::needed_n_one_proportion(prior, seen.mean(), baseline, alpha);
        if needed.is_none() {
            notes.push("no needed_n: at the observed share no sample would tell them apart");
        }
        if Num(log_e).get().is_none() {
            notes.push("the evidence is beyond all numbers");
        }
        Ok(OneShare {
            share: Num(seen.mean()),
            effect: Num(seen.mean() - baseline),
            interval: one_proportion::interval(prior, seen.x, seen.n, alpha).into(),
            log_e: Num(log_e),
            p: probability(log_e),
            needed_n: needed.into(),
        })
    }

    fn sentence(&self, told: &OneShare) -> String {
        format!(
            "{} ({}) against the stated {}: {}, {}, valid at every look; uncontrolled.",
            points::level(told.share.0),
            range(told.interval, self.alpha, points::level),
            points::level(self.baseline),
            points::change(told.effect.0),
            p(told.p),
        )
    }
}

/// One event rate against a stated one.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneRate {
    /// What was observed.
    pub observed: Count,
    /// The stated rate, events per exposure.
    pub baseline: f64,
    /// The rate aimed at: tunes the test; fixed before data.
    pub target: f64,
    /// Error probability, both sides together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// What is known of one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KnownRate {
    /// Observed events per exposure.
    pub rate: Num,
    /// The rates not excluded, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against the stated rate.
    pub log_e: Num,
    /// Always-valid p of the stated rate at this look.
    pub p: Num,
    /// Exposure at which the stated rate would be excluded if the observed rate stayed.
    pub needed_exposure: Num,
}

impl Ask for OneRate {
    type Answer = KnownRate;
    const LINE: &'static str = "one event rate against a stated one, exact at any look";
    const CITATION: &'static str =
        "gamma-Poisson mixture: Robbins & Siegmund 1974 (statistics 1.4, Poisson twin)";
    const ASSUMES: &'static [&'static str] =
        &["events are independent given exposure", "the stated rate is exact"];
    const EXAMPLE: &'static str =
        r#"{"observed":{"events":12,"exposure":3400},"baseline":0.006,"target":0.003}"#;
    const WORDS: &'static str = "observed=12/3400 baseline=0.006 target=0.003";

    fn answer(&self, notes: &mut Notes) -> Result<KnownRate, Fault> {
        let seen = self.observed.checked_whole("observed")?;
        let baseline = parts::positive("baseline", self.baseline)?;
        parts::positive("target", self.target)?;
        if self.target == baseline {
            return Err(Fault::new("`target` is the baseline", "aim at another rate"));
        }
        let alpha = parts::alpha(self.alpha)?;
        let prior = poisson::prior(baseline, self.target);
        let log_e = poisson::log_e(prior, &seen, baseline);
        let needed = power::needed_exposure(prior, seen.mean(), baseline, alpha);
        if needed.is_none() {
            notes
                .push("no needed_exposure: at the observed rate no exposure would tell them apart");
        }
        let interval: Bounds = poisson::interval(prior, &seen, alpha).into();
        if interval.upper.get().is_none() || Num(log_e).get().is_none() {
            notes.push("a bound or the evidence is beyond all numbers");
        }
        Ok(KnownRate {
            rate: Num(seen.mean()),
            interval,
            log_e: Num(log_e),
            p: probability(log_e),
            needed_exposure: needed.into(),
        })
    }

    fn sentence(&self, told: &KnownRate) -> String {
        format!(
            "Rate {} ({}) against the stated {}: {}, valid at every look; uncontrolled.",
            number(told.rate.0),
            range(told.interval, self.alpha, plain::level),
            number(self.baseline),
            p(told.p),
        )
    }
}

/// Units per arm during one epoch of constant shares.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitEpoch {
    /// Units per arm.
    pub observed: Vec<f64>,
    /// Planned shares, on any scale.
    pub planned: Vec<f64>,
}

/// Does the observed split fit the planned one?
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Units per arm (never events); with `planned`, or `epochs` instead of both.
    pub observed: Option<Vec<f64>>,
    /// Planned shares, on any scale: [50, 50].
    pub planned: Option<Vec<f64>>,
    /// Epochs of constant shares.
    pub epochs: Option<Vec<SplitEpoch>>,
    /// Concentration of the mixture (default 100).
    pub concentration: Option<f64>,
    /// Alarm level (default 0.001).
    pub alpha: Option<f64>,
}

/// Whether the split is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SplitCheck {
    /// Units of all arms and epochs.
    pub units: Num,
    /// Units in arms whose planned share is 0: any of them is a mismatch.
    pub unplanned_units: Num,
    /// Natural log of the Bayes factor against the plan, over all epochs; null with unplanned
    /// units.
    pub log_e: Num,
    /// Always-valid p of the plan at this look; the p of the check is its minimum over looks.
    pub p: Num,
    /// p below alpha with at least 100 units, or any unplanned unit.
    pub mismatch: bool,
    /// The same at one look: Pearson's statistic; null with several epochs.
    pub chi_square: Num,
    /// Its degrees of freedom: arms of positive weight less one.
    pub df: Num,
    /// Its p.
    pub p_once: Num,
}

/// Units in arms that the plan gives nobody.
fn unplanned_units(observed: &[f64], planned: &[f64]) -> f64 {
    observed.iter().zip(planned).filter(|(_, share)| **share == 0.0).map(|(units, _)| units).sum()
}

/// One whole count and one share per arm, two arms with units to come.
fn sensible_epoch(observed: &[f64], planned: &[f64]) -> Result<(), Fault> {
    if observed.len() != planned.len() {
        let cause = format!("{} counts for {} shares", observed.len(), planned.len());
        return Err(Fault::new(cause, "one count and one share per arm, in the same order"));
    }
    for units in observed {
        parts::whole("observed", *units)?;
    }
    if let Some(share) = planned.iter().find(|share| **share < 0.0) {
        return Err(Fault::new(format!("`planned` has {share}"), "shares are 0 or more"));
    }
    let weighted = planned.iter().filter(|share| **share > 0.0).count();
    if weighted < 2 {
        let cause = format!("`planned` gives units to {weighted} of {} arms", planned.len());
        return Err(Fault::new(cause, "a split has two arms or more with a share above 0"));
    }
    Ok(())
}

impl Ask for Split {
    type Answer = SplitCheck;
    const LINE: &'static str = "sample ratio mismatch: at any look, over epochs, and at one look";
    const CITATION: &'static str =
        "Dirichlet-multinomial, Lindon & Malek, arXiv 2011.03567; Pearson (statistics 1.9)";
    const ASSUMES: &'static [&'static str] =
        &["units, not events, assigned independently", "shares are constant within an epoch"];
    const EXAMPLE: &'static str = r#"{"observed":[50120,49880],"planned":[50,50]}"#;
    const WORDS: &'static str = "observed=50120,49880 planned=50,50";

    fn answer(&self, notes: &mut Notes) -> Result<SplitCheck, Fault> {
        let alpha = parts::alpha(self.alpha.unwrap_or(srm::ALPHA))?;
        let k = parts::positive("concentration", self.concentration.unwrap_or(srm::CONCENTRATION))?;
        let epochs: Vec<(&[f64], &[f64])> = match (&self.epochs, &self.observed, &self.planned) {
            (None, Some(observed), Some(planned)) => vec![(observed, planned)],
            (Some(epochs), None, None) if !epochs.is_empty() => {
                epochs.iter().map(|e| (e.observed.as_slice(), e.planned.as_slice())).collect()
            }
            _ => {
                return Err(Fault::new(
                    "neither one split nor epochs are given",
                    "give `observed` and `planned`, or a list of `epochs` that have both",
                ));
            }
        };
        for (observed, planned) in &epochs {
            sensible_epoch(observed, planned)?;
        }
        let units: f64 = epochs.iter().flat_map(|(observed, _)| observed.iter()).sum();
        let unplanned: f64 = epochs.iter().map(|(x, th)| unplanned_units(x, th)).sum();
        let log_e: f64 = epochs.iter().map(|(x, th)| srm::log_bf(x, th, k)).sum();
        if unplanned > 0.0 {
            notes.push(
                "units in an arm that gets nobody: the plan has probability 0, so there is no \
                 e-value and no chi-square; the daemon reports them as `unplanned_units`",
            );
            return Ok(SplitCheck {
                units: Num(units),
                unplanned_units: Num(unplanned),
                log_e: Num::NONE,
                p: Num(0.0),
                mismatch: true,
                chi_square: Num::NONE,
                df: Num::NONE,
                p_once: Num(0.0),
            });
        }
        let fixed = match epochs.as_slice() {
            [(observed, planned)] => srm::chi_square(observed, planned),
            _ => None,
        };
        if fixed.is_none() {
            notes.push("no chi-square: it needs units and one epoch");
        }
        Ok(SplitCheck {
            units: Num(units),
            unplanned_units: Num(0.0),
            log_e: Num(log_e),
            p: probability(log_e),
            mismatch: srm::is_mismatch(ln_p_from_log_e(log_e), units, alpha),
            chi_square: fixed.map(|x| x.statistic).into(),
            df: fixed.map(|x| x.df).into(),
            p_once: fixed.map(|x| x.p).into(),
        })
    }

    fn sentence(&self, told: &SplitCheck) -> String {
        if told.unplanned_units.0 > 0.0 {
            let (off, all) = (number(told.unplanned_units.0), number(told.units.0));
            return format!("{off} of {all} units are in an arm that should get nobody: p = 0.");
        }
        let word = if told.mismatch { "The split does not fit" } else { "The split fits" };
        let units = number(told.units.0);
        format!("{word} the plan: {} over {units} units, valid at every look.", p(told.p))
    }
}
