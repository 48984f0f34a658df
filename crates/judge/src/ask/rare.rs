//! Rare events in two arms, exact at any look: the rate ratio, and the difference of two shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Count, Share, alpha_default, probability};
use super::tell::{number, p, plain, points, range};
use super::{Ask, Fault, Notes};
use crate::stats::{one_proportion, rare, rare_difference};

/// Events and sizes of both arms during one allocation epoch.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Control arm: events per units or exposure.
    pub control: Count,
    /// Treatment arm.
    pub treatment: Count,
}

/// Rare events in two arms.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RareEvents {
    /// Control arm; with `treatment`, or `epochs` instead of both.
    pub control: Option<Count>,
    /// Treatment arm.
    pub treatment: Option<Count>,
    /// Allocation epochs: within each the ratio of the sizes is constant.
    pub epochs: Option<Vec<Epoch>>,
    /// Rate ratio tested (default 1: no difference); 1.5 tests "half as many more".
    pub ratio: Option<f64>,
    /// Rate ratio the test is tuned to (ratios within 1/2 and 2 count as these), with
    /// `planned_share`; default the fixed concentration 100.
    pub target_ratio: Option<f64>,
    /// Treatment's planned share of the units of both arms, never the observed one.
    pub planned_share: Option<f64>,
    /// Error probability, both sides together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Evidence on a rate ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RateRatio {
    /// Observed rate ratio treatment / control.
    pub ratio: Num,
    /// The rate ratios not excluded at any look.
    pub interval: Bounds,
    /// Natural log of the e-value against the tested ratio, over all epochs.
    pub log_e: Num,
    /// Always-valid p of the tested ratio.
    pub p: Num,
}

impl RareEvents {
    fn events(&self) -> Result<Vec<rare::Events>, Fault> {
        let one = |epoch: &Epoch| {
            let c = epoch.control.checked_whole("control")?;
            let t = epoch.treatment.checked_whole("treatment")?;
            Ok(rare::Events {
                treatment: t.events,
                treatment_size: t.exposure,
                control: c.events,
                control_size: c.exposure,
            })
        };
        match (&self.epochs, self.control, self.treatment) {
            (None, Some(control), Some(treatment)) => Ok(vec![one(&Epoch { control, treatment })?]),
            (Some(epochs), None, None) if !epochs.is_empty() => epochs.iter().map(one).collect(),
            _ => Err(Fault::new(
                "neither both arms nor epochs are given",
                "give `control` and `treatment`, or a list of `epochs` that have both",
            )),
        }
    }

    fn concentration(&self) -> Result<f64, Fault> {
        match (self.target_ratio, self.planned_share) {
            (None, None) => Ok(rare::CONCENTRATION),
            (Some(1.0), _) => {
                Err(Fault::new("`target_ratio` is 1", "a ratio other than no difference"))
            }
            (Some(target), Some(share)) => {
                let share = parts::inside("planned_share", share, "a share such as 0.5")?;
                Ok(rare::concentration(share, parts::positive("target_ratio", target)?))
            }
            _ => Err(Fault::new(
                "only one of `target_ratio` and `planned_share` is given",
                "both tune the test, as they were fixed before data; neither leaves it untuned",
            )),
        }
    }
}

impl Ask for RareEvents {
    type Answer = RateRatio;
    const LINE: &'static str = "rare events in two arms, exact at any look, also over epochs";
    const CITATION: &'static str = "Lindon & Malek, arXiv 2011.03567 (statistics 1.3)";
    const ASSUMES: &'static [&'static str] = &[
        "events are rare per unit, or Poisson per exposure",
        "the allocation is constant within an epoch",
    ];
    const EXAMPLE: &'static str =
        r#"{"control":{"events":9,"exposure":20000},"treatment":{"events":24,"exposure":20100}}"#;
    const WORDS: &'static str = "control=9/20000 treatment=24/20100";

    fn answer(&self, notes: &mut Notes) -> Result<RateRatio, Fault> {
        let epochs = self.events()?;
        let alpha = parts::alpha(self.alpha)?;
        let tested = parts::positive("ratio", self.ratio.unwrap_or(1.0))?;
        let k = self.concentration()?;
        let log_e = rare::log_e_epochs(&epochs, tested, k);
        let interval = Bounds::from(rare::interval_epochs(&epochs, alpha, k));
        if interval.upper.get().is_none() {
            notes.push("the ratio has no upper bound yet");
        }
        let sum = |pick: fn(&rare::Events) -> f64| epochs.iter().map(pick).sum::<f64>();
        let treatment = sum(|e| e.treatment) / sum(|e| e.treatment_size);
        let ratio = treatment / (sum(|e| e.control) / sum(|e| e.control_size));
        if !ratio.is_finite() {
            notes.push("no ratio: the control has no events");
        }
        Ok(RateRatio { ratio: Num(ratio), interval, log_e: Num(log_e), p: probability(log_e) })
    }

    fn sentence(&self, told: &RateRatio) -> String {
        format!(
            "Rate ratio {} ({}): {} of a ratio of {}, valid at every look.",
            number(told.ratio.0),
            range(told.interval, self.alpha, plain::level),
            p(told.p),
            number(self.ratio.unwrap_or(1.0)),
        )
    }
}

/// Two small shares whose difference is asked.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RareDifference {
    /// Control arm.
    pub control: Share,
    /// Treatment arm.
    pub treatment: Share,
    /// Difference tested, treatment minus control (default 0).
    #[serde(default)]
    pub value: f64,
    /// Share of the control known before data (with `target`); default a mixture that favours no
    /// share.
    pub baseline: Option<f64>,
    /// Change aimed at (0.001 for +0.1 points): tunes the test; fixed before data.
    pub target: Option<f64>,
    /// Error probability, both sides together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Evidence on a difference of two small shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SmallDifference {
    /// Share of the control.
    pub control: Num,
    /// Share of the treatment.
    pub treatment: Num,
    /// Treatment minus control.
    pub effect: Num,
    /// The differences not excluded, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against the tested difference.
    pub log_e: Num,
    /// Always-valid p of the tested difference at this look.
    pub p: Num,
}

impl RareDifference {
    fn prior(&self) -> Result<one_proportion::Prior, Fault> {
        match (self.baseline, self.target) {
            (None, None) => Ok(rare_difference::prior(None, 0.0)),
            (Some(baseline), Some(target)) => {
                let from = parts::inside("baseline", baseline, "a share")?;
                let tau = parts::inside("target", target.abs(), "a change of a share")?;
                Ok(rare_difference::prior(Some(from), tau))
            }
            _ => Err(Fault::new(
                "only one of `baseline` and `target` is given",
                "both tune the test, as they were fixed before data; neither leaves it untuned",
            )),
        }
    }
}

impl Ask for RareDifference {
    type Answer = SmallDifference;
    const LINE: &'static str = "difference of two shares with few events, exact at any look";
    const CITATION: &'static str = "Robbins 1970; universal inference, Wasserman, Ramdas & \
        Balakrishnan 2020; Farrington & Manning 1990 (statistics 1.3)";
    const ASSUMES: &'static [&'static str] = &[
        "units are independent with one share per arm",
        "for no difference at all rare_events is stronger",
    ];
    const EXAMPLE: &'static str = r#"{"control":{"x":4,"n":2000},"treatment":{"x":3,"n":2100},
        "value":0.01,"baseline":0.002,"target":0.01}"#;
    const WORDS: &'static str =
        "control=4/2000 treatment=3/2100 value=1pts baseline=0.2% target=1pts";

    fn answer(&self, _: &mut Notes) -> Result<SmallDifference, Fault> {
        let c = self.control.checked_whole("control")?;
        let t = self.treatment.checked_whole("treatment")?;
        let (alpha, prior) = (parts::alpha(self.alpha)?, self.prior()?);
        if !(self.value > -1.0 && self.value < 1.0) {
            return Err(Fault::new(format!("`value` is {}", self.value), "between -1 and 1"));
        }
        let log_e = rare_difference::log_e(&t, &c, self.value, prior);
        Ok(SmallDifference {
            control: Num(c.mean()),
            treatment: Num(t.mean()),
            effect: Num(t.mean() - c.mean()),
            interval: rare_difference::interval(&t, &c, alpha, prior).into(),
            log_e: Num(log_e),
            p: probability(log_e),
        })
    }

    fn sentence(&self, told: &SmallDifference) -> String {
        format!(
            "Difference {} ({}): {} of a difference of {}, valid at every look.",
            points::change(told.effect.0),
            range(told.interval, self.alpha, points::change),
            p(told.p),
            points::change(self.value),
        )
    }
}
