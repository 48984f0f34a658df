//! Before and while data come in: sample sizes, power, detectable effects, days.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::Num;
use super::parts::{self, alpha_default, two_sides};
use super::tell::{number, percent};
use super::{Ask, Fault, Notes};
use crate::stats::{Sides, power};

const BOUND: &str = "an upper bound: stopping is earlier when the true effect is larger";

fn power_default() -> f64 {
    0.8
}

fn ratio_default() -> f64 {
    1.0
}

/// What a unit is like.
struct Units {
    /// Variance of a unit in control and treatment.
    variances: (f64, f64),
    delta: f64,
}

/// Shares or a mean, from what was given.
fn units(
    baseline: Option<f64>,
    sd: Option<f64>,
    sd_treatment: Option<f64>,
    effect: f64,
) -> Result<Units, Fault> {
    if effect == 0.0 {
        return Err(Fault::new("`effect` is 0", "the size of the change aimed at"));
    }
    match (baseline, sd) {
        (Some(baseline), None) => {
            let c = parts::inside("baseline", baseline, "a share")?;
            parts::change_of_share("effect", effect)?;
            let t = parts::inside("baseline + effect", baseline + effect, "a share")?;
            Ok(Units { variances: (c * (1.0 - c), t * (1.0 - t)), delta: effect })
        }
        (None, Some(sd)) => {
            let c = parts::positive("sd", sd)?;
            let t = parts::positive("sd_treatment", sd_treatment.unwrap_or(sd))?;
            Ok(Units { variances: (c * c, t * t), delta: effect })
        }
        (Some(_), Some(_)) => Err(Fault::new(
            "both `baseline` and `sd` are given",
            "a share has a `baseline` and needs no `sd`; a mean has an `sd` and no `baseline` here",
        )),
        (None, None) => Err(Fault::new(
            "neither a share nor a mean is described",
            "give `baseline` (a share of the control) or `sd` (of a unit of a mean)",
        )),
    }
}

/// How many units an effect needs.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleSize {
    /// Effect aimed at, absolute: 0.03 for +3 points.
    pub effect: f64,
    /// Share of the control, for a proportion.
    pub baseline: Option<f64>,
    /// Standard deviation of a unit, for a mean.
    pub sd: Option<f64>,
    /// Standard deviation in the treatment (default the same).
    pub sd_treatment: Option<f64>,
    /// The baseline is a stated constant: one sample, no control arm.
    #[serde(default)]
    pub one_sample: bool,
    /// Treatment units per control unit (default 1).
    #[serde(default = "ratio_default")]
    pub ratio: f64,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// Probability to find the effect (default 0.8).
    #[serde(default = "power_default")]
    pub power: f64,
    /// `two` (default) or `one`.
    #[serde(default = "two_sides")]
    pub sides: Sides,
}

/// Units needed, whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Size {
    /// Control units at one planned look; null for one sample.
    pub control_once: Num,
    /// Treatment units (the sample itself for one sample) at one planned look.
    pub treatment_once: Num,
    /// Control units when every look is valid.
    pub control_sequential: Num,
    /// Treatment units when every look is valid.
    pub treatment_sequential: Num,
    /// Sequential over fixed sample.
    pub inflation: Num,
}

impl Ask for SampleSize {
    type Answer = Size;
    const LINE: &'static str = "units per arm for an effect: at one look, and valid at every look";
    const CITATION: &'static str = "normal approximation; sequential: x - z_b = h(x) (statistics \
        1.10)";
    const ASSUMES: &'static [&'static str] =
        &["the standard error falls as 1/sqrt(n)", BOUND, "tau is the effect aimed at"];
    const EXAMPLE: &'static str = r#"{"effect":0.03,"baseline":0.27}"#;
    const WORDS: &'static str = "effect=+3pts baseline=27%";

    fn answer(&self, notes: &mut Notes) -> Result<Size, Fault> {
        let Units { variances, delta } =
            units(self.baseline, self.sd, self.sd_treatment, self.effect)?;
        let (alpha, sides) = (parts::alpha(self.alpha)?, self.sides);
        let chance = parts::inside("power", self.power, "a probability")?;
        let ratio = parts::positive("ratio", self.ratio)?;
        let inflation = power::sequential_factor(alpha, chance, sides);
        let whole = |n: Option<f64>| Num::from(n.map(libm::ceil));
        let sequential = |n: Option<f64>| whole(n.zip(inflation).map(|(n, times)| n * times));
        let (control, treatment) = if self.one_sample {
            notes.push("no control arm: the baseline is taken as exact");
            let n = match self.baseline {
                Some(p0) => power::one_proportion_n(p0, p0 + delta, alpha, chance, sides),
                None => {
                    power::two_arm_n_control(delta, (variances.1, 0.0), 1.0, alpha, chance, sides)
                }
            };
            (None, n)
        } else {
            let n = power::two_arm_n_control(delta, variances, ratio, alpha, chance, sides);
            (n, n.map(|n| n * ratio))
        };
        if inflation.is_none() || treatment.is_none() {
            notes.push("no finite sample finds this effect");
        }
        Ok(Size {
            control_once: whole(control),
            treatment_once: whole(treatment),
            control_sequential: sequential(control),
            treatment_sequential: sequential(treatment),
            inflation: inflation.into(),
        })
    }

    fn sentence(&self, told: &Size) -> String {
        let (once, every) = (number(told.treatment_once.0), number(told.treatment_sequential.0));
        let place = if self.one_sample { "units" } else { "units in the treatment arm" };
        format!("{every} {place} when every look counts, {once} at one planned look.")
    }
}

/// How likely an effect is found at a size.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// True effect, absolute.
    pub effect: f64,
    /// Units of the control arm at the look.
    pub n_control: f64,
    /// Units of the treatment arm (default the same).
    pub n_treatment: Option<f64>,
    /// Share of the control, for a proportion.
    pub baseline: Option<f64>,
    /// Standard deviation of a unit, for a mean.
    pub sd: Option<f64>,
    /// Threshold of the rule the estimate must also reach (default none).
    pub threshold: Option<f64>,
    /// Mixing sd (default the effect).
    pub tau: Option<f64>,
    /// Error probability, two-sided (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Probabilities to find an effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chances {
    /// Standard error at that size.
    pub se: Num,
    /// Probability that a fixed test rejects at this one look.
    pub once: Num,
    /// For shares: the same for the pooled z test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooled_once: Option<Num>,
    /// For means: the same for the t test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_once: Option<Num>,
    /// Probability that the always-valid interval excludes no change at this look, and the estimate
    /// reaches the threshold.
    pub sequential: Num,
}

impl Ask for Power {
    type Answer = Chances;
    const LINE: &'static str = "probability to find an effect at a size of sample";
    const CITATION: &'static str = "normal approximation, noncentral t (statistics 1.10)";
    const ASSUMES: &'static [&'static str] =
        &["a true effect stated before data: never the observed one"];
    const EXAMPLE: &'static str = r#"{"effect":0.03,"baseline":0.27,"n_control":3551}"#;
    const WORDS: &'static str = "effect=+3pts baseline=27% n_control=3551";

    fn answer(&self, notes: &mut Notes) -> Result<Chances, Fault> {
        let alpha = parts::alpha(self.alpha)?;
        let Units { variances, delta } = units(self.baseline, self.sd, None, self.effect)?;
        let n_c = parts::positive("n_control", self.n_control)?;
        let n_t = parts::positive("n_treatment", self.n_treatment.unwrap_or(n_c))?;
        let se = (variances.0 / n_c + variances.1 / n_t).sqrt();
        let tau = parts::positive("tau", self.tau.unwrap_or(delta.abs()))?;
        let threshold = self.threshold.unwrap_or(0.0) * if delta < 0.0 { -1.0 } else { 1.0 };
        let pooled = self
            .baseline
            .map(|p| power::pooled_z_power((p, p + delta), (n_c, n_t), alpha, Sides::Two));
        let student = self
            .sd
            .map(|sd| power::t_test_power(delta.abs() / sd, n_c, n_t / n_c, alpha, Sides::Two));
        if pooled == Some(None) || student == Some(None) {
            notes.push("no t power: it needs more than two units");
        }
        let once = power::fixed_power(delta, se, alpha, Sides::Two);
        if once.is_none() {
            notes.push("no power: the standard error is beyond all numbers");
        }
        Ok(Chances {
            se: Num(se),
            once: once.into(),
            pooled_once: pooled.map(Num::from),
            t_once: student.map(Num::from),
            sequential: Num(power::pass_probability(delta.abs(), threshold, se, tau, alpha)),
        })
    }

    fn sentence(&self, told: &Chances) -> String {
        let chance = |x: Num| percent::change(x.0).replacen('+', "", 1);
        let (every, once) = (chance(told.sequential), chance(told.once));
        format!(
            "The chance of finding it is {every} when every look counts, and {once} with one \
             planned look."
        )
    }
}

/// The effect that can be found.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mde {
    /// Standard error of the effect now.
    pub se: f64,
    /// Units now, on the scale of `n_then`.
    pub n: f64,
    /// Units at the date in question (default now).
    pub n_then: Option<f64>,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// Probability to find it (default 0.8).
    #[serde(default = "power_default")]
    pub power: f64,
    /// `two` (default) or `one`.
    #[serde(default = "two_sides")]
    pub sides: Sides,
}

/// Detectable effects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Detectable {
    /// Standard error at that size.
    pub se: Num,
    /// Smallest effect found with that power at one planned look.
    pub once: Num,
    /// Smallest effect found with that power when every look is valid.
    pub sequential: Num,
}

impl Ask for Mde {
    type Answer = Detectable;
    const LINE: &'static str = "smallest effect that a sample can find";
    const CITATION: &'static str = "statistics 1.10";
    const ASSUMES: &'static [&'static str] = &["the standard error falls as 1/sqrt(n)", BOUND];
    const EXAMPLE: &'static str = r#"{"se":0.0121,"n":2000,"n_then":6000}"#;
    const WORDS: &'static str = "se=0.0121 n=2000 n_then=6000";

    fn answer(&self, notes: &mut Notes) -> Result<Detectable, Fault> {
        let (se_now, n) = (parts::positive("se", self.se)?, parts::positive("n", self.n)?);
        let n_then = parts::positive("n_then", self.n_then.unwrap_or(n))?;
        let alpha = parts::alpha(self.alpha)?;
        let chance = parts::inside("power", self.power, "a probability")?;
        let se = se_now * (n / n_then).sqrt();
        let once = power::fixed_mde(se, alpha, chance, self.sides);
        let sequential = power::sequential_mde(se_now, n, n_then, alpha, chance, self.sides);
        if once.is_none() || sequential.is_none() {
            notes.push("no effect is found with that power");
        }
        Ok(Detectable { se: Num(se), once: once.into(), sequential: sequential.into() })
    }

    fn sentence(&self, told: &Detectable) -> String {
        let (every, once) = (number(told.sequential.0), number(told.once.0));
        let chance = percent::change(self.power).replacen('+', "", 1);
        format!("With {chance} an effect of {every} is found at any look, {once} at one look.")
    }
}

/// A running test and its recent days.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaysToDecision {
    /// Effect aimed at, absolute.
    pub effect: f64,
    /// Standard error of the effect now.
    pub se: f64,
    /// Units now.
    pub n: f64,
    /// New units of the last complete days (7 of them).
    pub last_days: Vec<f64>,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// Probability to find the effect (default 0.8).
    #[serde(default = "power_default")]
    pub power: f64,
    /// `two` (default) or `one`.
    #[serde(default = "two_sides")]
    pub sides: Sides,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Distance {
    /// Units at which the effect is found with that power, every look valid.
    pub needed_n: Num,
    /// Units that are missing.
    pub missing: Num,
    /// Whole days until then at the median of the last days; null without new units.
    pub days: Num,
}

impl Ask for DaysToDecision {
    type Answer = Distance;
    const LINE: &'static str = "days until a decision at the present rate";
    const CITATION: &'static str = "statistics 1.10";
    const ASSUMES: &'static [&'static str] = &["units keep coming at the median rate", BOUND];
    const EXAMPLE: &'static str =
        r#"{"effect":0.03,"se":0.0121,"n":2000,"last_days":[140,151,148,139,160,155,149]}"#;
    const WORDS: &'static str =
        "effect=+3pts se=0.0121 n=2000 last_days=140,151,148,139,160,155,149";

    fn answer(&self, notes: &mut Notes) -> Result<Distance, Fault> {
        let (se, n) = (parts::positive("se", self.se)?, parts::positive("n", self.n)?);
        let alpha = parts::alpha(self.alpha)?;
        let chance = parts::inside("power", self.power, "a probability")?;
        let effect = parts::positive("effect", self.effect.abs())?;
        if let Some(units) = self.last_days.iter().find(|units| **units < 0.0) {
            let cause = format!("`last_days` has {units}");
            return Err(Fault::new(cause, "new units of a day are 0 or more"));
        }
        let needed = power::sequential_needed_n(effect, se, n, alpha, chance, self.sides);
        let needed = needed.map(libm::ceil);
        let days = needed.and_then(|needed| power::days_left(n, needed, &self.last_days));
        if needed.is_none() {
            notes.push("no sample finds this effect");
        }
        if days.is_none() {
            notes.push("no days: no new units come in");
        }
        let missing = needed.map(|needed| (needed - n).max(0.0));
        Ok(Distance { needed_n: needed.into(), missing: missing.into(), days: days.into() })
    }

    fn sentence(&self, told: &Distance) -> String {
        let (needed, missing) = (number(told.needed_n.0), number(told.missing.0));
        match told.days.get() {
            Some(0.0) => format!("Enough: {needed} units were needed."),
            Some(days) => format!("{} days: {missing} more units, {needed} in all.", number(days)),
            None => format!("It cannot be said: {missing} more units are needed, none come in."),
        }
    }
}
