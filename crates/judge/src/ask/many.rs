//! Several looks, several tests, and checks of the groups themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Share, Summary, alpha_default, list, two_sides};
use super::tell::{number, points};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::{Alternative, welch};
use crate::stats::{Sides, binomial, group_sequential, multiple, srm};

/// Looks at fractions of a planned sample.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSequential {
    /// Share of the planned sample at each look, not falling; 1 is the plan. Steps up to 1e-5
    /// reuse the bound before.
    pub fractions: Vec<f64>,
    /// Error probability of all looks together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// `two` (default) or `one`.
    #[serde(default = "two_sides")]
    pub sides: Sides,
    /// Spending power: 2 (default), 1 near Pocock, 3 near O'Brien-Fleming.
    pub spending_power: Option<f64>,
    /// z statistic at each look so far: adds the first look that rejects.
    pub z: Option<Vec<f64>>,
}

/// Bounds of a group-sequential test.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Spending {
    /// z bound at each look.
    pub bounds: Vec<Num>,
    /// Alpha spent until each look (of both sides).
    pub spent: Vec<Num>,
    /// Position (from 1) of the first look beyond its bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_at: Option<usize>,
}

/// What the bounds cost: the points of a grid go with the sd of its step.
fn fineness(times: &[f64]) -> f64 {
    let befores = std::iter::once(0.0).chain(times.iter().copied());
    let steps = befores.zip(times).map(|(before, now)| now.min(1.0) - before);
    steps.filter(|step| *step > group_sequential::MIN_INCREMENT).map(|step| 1.0 / step.sqrt()).sum()
}

impl Ask for GroupSequential {
    type Answer = Spending;
    const LINE: &'static str = "bounds for a few planned looks by alpha spending";
    const CITATION: &'static str =
        "Lan & DeMets 1983; Armitage, McPherson & Rowe 1969 (statistics 1.2)";
    const ASSUMES: &'static [&'static str] = &[
        "the planned sample is known and believable; beyond it no alpha is left",
        "looks were planned by time or sample, not by results",
    ];
    const EXAMPLE: &'static str = r#"{"fractions":[0.2,0.4,0.6,0.8,1.0],"z":[1.2,2.9]}"#;
    const WORDS: &'static str = "fractions=0.2,0.4,0.6,0.8,1 z=1.2,2.9";

    fn answer(&self, notes: &mut Notes) -> Result<Spending, Fault> {
        const MOST_LOOKS: usize = 60;
        /// Sixty even looks have 465, one step of the smallest size that counts 316.
        const MOST_FINE: f64 = 1_000.0;
        let times = self.fractions.as_slice();
        let phi = parts::positive("spending_power", self.spending_power.unwrap_or(2.0))?;
        let alpha = parts::alpha(self.alpha)?;
        if times.is_empty() || times.len() > MOST_LOOKS {
            let cause = format!("`fractions` has {} values", times.len());
            return Err(Fault::new(cause, format!("1 to {MOST_LOOKS} looks")));
        }
        if times[0] <= 0.0 || times.windows(2).any(|pair| pair[0] > pair[1]) {
            let hint = "shares of the planned sample at each look: above 0, none below the one \
                        before";
            return Err(Fault::new("`fractions` are no looks", hint));
        }
        if fineness(times) > MOST_FINE {
            let cause = "`fractions` has more looks a hair apart than can be computed";
            return Err(Fault::new(cause, "leave looks out that add hardly any units"));
        }
        if times.iter().any(|t| *t > 1.0) {
            notes.push("beyond the planned sample no alpha is left: the last bound is kept");
        }
        let bounds = group_sequential::bounds(times, alpha, self.sides, phi);
        let seen = self.z.as_deref().unwrap_or_default();
        if seen.len() > bounds.len() {
            let cause = format!("{} z statistics for {} looks", seen.len(), bounds.len());
            return Err(Fault::new(cause, "at most one z per look"));
        }
        // A look that adds no information repeats the one before it; another z would be a second
        // look for which no alpha is spent.
        let mut repeats = times.windows(2).zip(seen.windows(2));
        if repeats.any(|(times, z)| times[0] == times[1] && z[0] != z[1]) {
            let cause = "two z statistics at one fraction";
            return Err(Fault::new(cause, "the same data have one z: give each fraction once"));
        }
        let beyond = |(z, bound): (&f64, &f64)| match self.sides {
            Sides::Two => z.abs() >= *bound,
            Sides::One => z >= bound,
        };
        let rejected_at = seen.iter().zip(&bounds).position(beyond).map(|look| look + 1);
        let spent = times.iter().map(|t| Num(alpha * libm::pow(t.min(1.0), phi))).collect();
        Ok(Spending { bounds: bounds.into_iter().map(Num).collect(), spent, rejected_at })
    }

    fn sentence(&self, told: &Spending) -> String {
        let bounds: Vec<String> = told.bounds.iter().map(|bound| number(bound.0)).collect();
        let end = match (&self.z, told.rejected_at) {
            (None, _) => String::new(),
            (Some(_), Some(look)) => format!("; rejected at look {look}"),
            (Some(z), None) => format!("; not rejected in {} looks", z.len()),
        };
        format!("Reject when |z| reaches {}{end}.", bounds.join(", "))
    }
}

/// Several p-values.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrections {
    /// The p-values.
    pub p: Vec<f64>,
    /// Level at which the sentence counts rejections (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Adjusted p-values, in the order of the input.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Adjusted {
    /// Bonferroni: any dependence.
    pub bonferroni: Vec<Num>,
    /// Holm: any dependence, never weaker than Bonferroni.
    pub holm: Vec<Num>,
    /// Hochberg: independent or positively dependent.
    pub hochberg: Vec<Num>,
    /// Hommel: independent or positively dependent.
    pub hommel: Vec<Num>,
    /// Benjamini-Hochberg: false discovery rate.
    pub benjamini_hochberg: Vec<Num>,
    /// Benjamini-Yekutieli: false discovery rate under any dependence.
    pub benjamini_yekutieli: Vec<Num>,
}

impl Ask for Corrections {
    type Answer = Adjusted;
    const LINE: &'static str = "several p-values adjusted for each other";
    const CITATION: &'static str = "Holm 1979; Hochberg 1988; Hommel 1988; Benjamini & Hochberg \
        1995; Benjamini & Yekutieli 2001 (statistics 1.8)";
    const ASSUMES: &'static [&'static str] =
        &["any one of the tests would do: tests joined by AND need no correction"];
    const EXAMPLE: &'static str = r#"{"p":[0.003,0.02,0.04,0.3]}"#;
    const WORDS: &'static str = "p=0.003,0.02,0.04,0.3";

    fn answer(&self, _: &mut Notes) -> Result<Adjusted, Fault> {
        const MOST: usize = 10_000;
        let given = list("p", &self.p, 1)?;
        parts::alpha(self.alpha)?;
        if given.len() > MOST {
            let cause = format!("`p` has {} values", given.len());
            return Err(Fault::new(cause, format!("at most {MOST}")));
        }
        if let Some(bad) = given.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Fault::new(format!("{bad} is no p-value"), "0 to 1"));
        }
        let nums = |adjusted: Vec<f64>| adjusted.into_iter().map(Num).collect();
        Ok(Adjusted {
            bonferroni: nums(multiple::bonferroni(given)),
            holm: nums(multiple::holm(given)),
            hochberg: nums(multiple::hochberg(given)),
            hommel: nums(multiple::hommel(given)),
            benjamini_hochberg: nums(multiple::benjamini_hochberg(given)),
            benjamini_yekutieli: nums(multiple::benjamini_yekutieli(given)),
        })
    }

    fn sentence(&self, told: &Adjusted) -> String {
        let count = |adjusted: &[Num]| adjusted.iter().filter(|p| p.0 <= self.alpha).count();
        format!(
            "Of {} tests at {}: {} by Holm, {} by Benjamini-Hochberg.",
            self.p.len(),
            number(self.alpha),
            count(&told.holm),
            count(&told.benjamini_hochberg),
        )
    }
}

/// Several e-values.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EBenjaminiHochberg {
    /// Natural logs of the e-values.
    pub log_e: Vec<f64>,
    /// False discovery rate (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Which hypotheses are rejected.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Discoveries {
    /// Per e-value, in the order of the input.
    pub rejected: Vec<bool>,
    /// Natural log of the mean e-value: evidence against all of them being null.
    pub log_mean_e: Num,
}

impl Ask for EBenjaminiHochberg {
    type Answer = Discoveries;
    const LINE: &'static str = "several e-values: which to reject, under any dependence";
    const CITATION: &'static str = "e-BH, Wang & Ramdas 2022 (statistics 1.8)";
    const ASSUMES: &'static [&'static str] = &["each is an e-value at its own look"];
    const EXAMPLE: &'static str = r#"{"log_e":[8.1,2.0,-0.4,5.2]}"#;
    const WORDS: &'static str = "log_e=8.1,2,-0.4,5.2";

    fn answer(&self, _: &mut Notes) -> Result<Discoveries, Fault> {
        let given = list("log_e", &self.log_e, 1)?;
        let alpha = parts::alpha(self.alpha)?;
        Ok(Discoveries {
            rejected: multiple::e_benjamini_hochberg(given, alpha),
            log_mean_e: Num(multiple::log_mean_e(given)),
        })
    }

    fn sentence(&self, told: &Discoveries) -> String {
        let found = told.rejected.iter().filter(|rejected| **rejected).count();
        let (of, rate) = (told.rejected.len(), number(self.alpha));
        format!("{found} of {of} are rejected at a false discovery rate of {rate}.")
    }
}

/// One covariate in both arms.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Covariate {
    /// Its name.
    pub name: String,
    /// Control arm.
    pub control: Summary,
    /// Treatment arm.
    pub treatment: Summary,
}

/// Covariates from before the change.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovariateBalance {
    /// The covariates.
    pub covariates: Vec<Covariate>,
    /// Alarm level of all together (default 0.001).
    pub alpha: Option<f64>,
}

/// Balance of one covariate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Balance {
    /// Its name.
    pub name: String,
    /// Treatment minus control.
    pub difference: Num,
    /// The same in pooled standard deviations of a unit.
    pub standardised: Num,
    /// Welch's p; null when nothing varies.
    pub p: Num,
    /// p below alpha / covariates.
    pub unbalanced: bool,
}

/// Balance of all covariates.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Balances {
    /// Whether all are balanced.
    pub balanced: bool,
    /// Level each one is held to.
    pub level: Num,
    /// Per covariate, in the order of the input.
    pub covariates: Vec<Balance>,
}

impl Ask for CovariateBalance {
    type Answer = Balances;
    const LINE: &'static str = "were the arms alike before the change, covariate by covariate";
    const CITATION: &'static str = "Welch's t at alpha / covariates (statistics 1.9)";
    const ASSUMES: &'static [&'static str] =
        &["covariates were measured before exposure", "one look, or all looks at this level"];
    const EXAMPLE: &'static str = r#"{"covariates":[{"name":"visits","control":{"n":4000,
        "mean":3.1,"sd":2.2},"treatment":{"n":4050,"mean":3.12,"sd":2.3}}]}"#;
    const WORDS: &'static str = "covariates=...";

    fn answer(&self, notes: &mut Notes) -> Result<Balances, Fault> {
        if self.covariates.is_empty() {
            return Err(Fault::new("`covariates` is empty", "at least one covariate"));
        }
        let alpha = parts::alpha(self.alpha.unwrap_or(srm::ALPHA))?;
        let level = alpha / self.covariates.len() as f64;
        let mut covariates = Vec::with_capacity(self.covariates.len());
        for one in &self.covariates {
            let (c, t) = (one.control.checked("control")?, one.treatment.checked("treatment")?);
            let test = welch::welch(t, c);
            let p_value = test.map(|test| test.p(0.0, Alternative::TwoSided));
            let spread = 0.5 * (t.variance_of_mean * t.n + c.variance_of_mean * c.n);
            let difference = t.mean - c.mean;
            if p_value.is_none() {
                notes.push("no p: a covariate does not vary");
            }
            // Constants that differ between the arms were not assigned by chance.
            let unbalanced = p_value.map_or(difference != 0.0, |p| p < level);
            covariates.push(Balance {
                name: one.name.clone(),
                difference: Num(difference),
                standardised: Num(difference / spread.sqrt()),
                p: p_value.into(),
                unbalanced,
            });
        }
        let balanced = covariates.iter().all(|one| !one.unbalanced);
        Ok(Balances { balanced, level: Num(level), covariates })
    }

    fn sentence(&self, told: &Balances) -> String {
        let off: Vec<&str> = told
            .covariates
            .iter()
            .filter(|one| one.unbalanced)
            .map(|one| one.name.as_str())
            .collect();
        if off.is_empty() {
            return format!("All {} covariates are balanced.", told.covariates.len());
        }
        format!("Not balanced: {}.", off.join(", "))
    }
}

/// Units that saw more than one arm.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultipleExposure {
    /// Units in more than one arm, among all units.
    pub exposed: Share,
    /// Share from which the run is unhealthy (default 0.01).
    pub limit: Option<f64>,
    /// Error probability of the interval (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Whether too many units saw more than one arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Exposure {
    /// Their share.
    pub share: Num,
    /// Wilson interval of the share.
    pub interval: Bounds,
    /// The share is at the limit or above.
    pub unhealthy: bool,
}

impl Ask for MultipleExposure {
    type Answer = Exposure;
    const LINE: &'static str = "have too many units seen more than one arm";
    const CITATION: &'static str = "share against 1 %; Wilson 1927 (statistics 1.9)";
    const ASSUMES: &'static [&'static str] = &["units are counted once, whatever they saw"];
    const EXAMPLE: &'static str = r#"{"exposed":{"x":42,"n":12000}}"#;
    const WORDS: &'static str = "exposed=42/12000";

    fn answer(&self, _: &mut Notes) -> Result<Exposure, Fault> {
        let seen = self.exposed.checked("exposed")?;
        let limit = parts::inside("limit", self.limit.unwrap_or(0.01), "a share")?;
        let alpha = parts::alpha(self.alpha)?;
        Ok(Exposure {
            share: Num(seen.mean()),
            interval: binomial::wilson(seen.x, seen.n, alpha, Alternative::TwoSided).into(),
            unhealthy: crate::record::round12(seen.mean()) >= crate::record::round12(limit),
        })
    }

    fn sentence(&self, told: &Exposure) -> String {
        let share = points::level(told.share.0);
        let word = if told.unhealthy { "too many: the arms are mixed" } else { "healthy" };
        format!("{share} of the units saw more than one arm: {word}.")
    }
}
