//! Raw samples, and series at one look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Direction, ONE_LOOK, OPEN, alpha_default, list, missing};
use super::tell::{number, p, plain, range};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::{Alternative, mann_whitney};
use crate::stats::its::{self, Model};
use crate::stats::{Interval, autocorrelation as auto, bootstrap};

const NO_VARIANCE: &str = "null where nothing varies or the series is too short";

/// Raw values of two arms.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MannWhitney {
    /// Values of the control.
    pub control: Vec<f64>,
    /// Values of the treatment.
    pub treatment: Vec<f64>,
    /// Which alternative the p-values speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
}

/// A rank comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ranks {
    /// U of the treatment.
    pub u: Num,
    /// Probability that a treatment value exceeds a control value, ties half.
    pub superiority: Num,
    /// Exact p; null with ties or many values.
    pub exact_p: Num,
    /// Normal p, tie-corrected and continuity-corrected.
    pub normal_p: Num,
    /// Normal p without continuity correction.
    pub normal_p_uncorrected: Num,
    /// Median of all differences treatment - control; null beyond 4,000,000 pairs.
    pub shift: Num,
}

impl Ask for MannWhitney {
    type Answer = Ranks;
    const LINE: &'static str = "raw values of two arms: which tends to be larger, at one look";
    const CITATION: &'static str = "Mann & Whitney 1947; Hodges & Lehmann 1963 (statistics 1.2)";
    const ASSUMES: &'static [&'static str] =
        &["values are independent", "it speaks of P(T > C), not of means", ONE_LOOK];
    const EXAMPLE: &'static str =
        r#"{"control":[3.1,2.9,4.2,3.3,2.7],"treatment":[4.4,3.9,5.1,4.0,3.2]}"#;
    const WORDS: &'static str = "control=3.1,2.9,4.2,3.3,2.7 treatment=4.4,3.9,5.1,4.0,3.2";

    fn answer(&self, notes: &mut Notes) -> Result<Ranks, Fault> {
        const MOST_PAIRS: usize = 4_000_000;
        let (c, t) = (list("control", &self.control, 1)?, list("treatment", &self.treatment, 1)?);
        let Some(test) = mann_whitney::mann_whitney(t, c) else {
            return Err(Fault::new("the values cannot be ranked", "numbers in both arms"));
        };
        let side = self.alternative.into();
        let exact = test.exact_p(side);
        let normal = (test.asymptotic_p(side, true), test.asymptotic_p(side, false));
        let is_small = c.len().saturating_mul(t.len()) <= MOST_PAIRS;
        let shift = if is_small { mann_whitney::hodges_lehmann(t, c) } else { None };
        if exact.is_none() {
            notes.push("no exact p: there are ties, or too many values for it to matter");
        }
        if normal.0.is_none() || normal.1.is_none() {
            notes.push("no normal p: all values are equal");
        }
        if shift.is_none() {
            notes.push("no shift: too many pairs");
        }
        Ok(Ranks {
            u: Num(test.u),
            superiority: Num(test.superiority()),
            exact_p: exact.into(),
            normal_p: normal.0.into(),
            normal_p_uncorrected: normal.1.into(),
            shift: shift.into(),
        })
    }

    fn sentence(&self, told: &Ranks) -> String {
        let best = if told.exact_p.get().is_some() { told.exact_p } else { told.normal_p };
        format!(
            "A treatment value exceeds a control value with probability {} ({}), at this one look.",
            number(told.superiority.0),
            p(best),
        )
    }
}

/// Terms of the regression beside intercept and step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// Step only.
    #[default]
    Level,
    /// Common trend and step.
    LevelTrend,
    /// Trend, step and change of slope.
    Full,
}

/// A series before and after a change.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterruptedSeries {
    /// Values before the change, in time order, regular steps.
    pub before: Vec<f64>,
    /// Values after it.
    pub after: Vec<f64>,
    /// `level` (default), `level_trend` or `full`.
    #[serde(default)]
    pub model: Terms,
    /// Newey-West lags; default ceil(1.3 sqrt n).
    pub lags: Option<usize>,
}

/// The step at the change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StepAnswer {
    /// Estimated step.
    pub step: Num,
    /// Newey-West standard error.
    pub se: Num,
    /// t statistic.
    pub t: Num,
    /// Degrees of freedom.
    pub df: Num,
    /// Two-sided p.
    pub p: Num,
    /// Lags used.
    pub lags: usize,
    /// Ordinary standard error, for comparison.
    pub ols_se: Num,
    /// Newey-West standard error without the n/(n-k) correction.
    pub se_uncorrected: Num,
    /// Durbin-Watson statistic of the residuals.
    pub durbin_watson: Num,
}

impl Ask for InterruptedSeries {
    type Answer = StepAnswer;
    const LINE: &'static str = "interrupted time series with Newey-West errors, at one look";
    const CITATION: &'static str =
        "Newey & West 1987; Lazarus, Lewis, Stock & Watson 2018 (statistics 1.5)";
    const ASSUMES: &'static [&'static str] = &[
        "regular steps and at least 8 points per side",
        "the model's mean is right",
        "one look: under repeated looks false alarms reach 58-86 %",
    ];
    const EXAMPLE: &'static str =
        r#"{"before":[10,11,10,12,11,10,11,12,10],"after":[13,12,14,13,13,12,14,13,14]}"#;
    const WORDS: &'static str =
        "before=10,11,10,12,11,10,11,12,10 after=13,12,14,13,13,12,14,13,14";

    fn answer(&self, _: &mut Notes) -> Result<StepAnswer, Fault> {
        let before = list("before", &self.before, its::MIN_POINTS)?;
        let after = list("after", &self.after, its::MIN_POINTS)?;
        let model = match self.model {
            Terms::Level => Model::Level,
            Terms::LevelTrend => Model::LevelTrend,
            Terms::Full => Model::Full,
        };
        let points = before.len() + after.len();
        let lags = self.lags.unwrap_or_else(|| its::default_lags(points));
        if lags >= points {
            return Err(Fault::new(format!("{lags} lags in {points} points"), "fewer lags"));
        }
        let fit = its::fit(before, after, model);
        let found = fit.and_then(|fit| fit.hac_test(lags).map(|test| (fit, test)));
        let Some((fit, test)) = found else {
            let hint = "a step needs residuals that vary";
            return Err(Fault::new("nothing varies around the model", hint));
        };
        Ok(StepAnswer {
            step: Num(fit.step),
            se: Num(test.se),
            t: Num(test.t),
            df: Num(test.df),
            p: Num(test.p),
            lags,
            ols_se: Num(fit.ols_se()),
            se_uncorrected: Num(fit.hac_se(lags, false)),
            durbin_watson: fit.durbin_watson().into(),
        })
    }

    fn sentence(&self, told: &StepAnswer) -> String {
        let (step, se) = (plain::change(told.step.0), number(told.se.0));
        format!("Step {step}, standard error {se}, {}, at this one look.", p(told.p))
    }
}

/// A series whose dependence on its past is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependence {
    /// Values in time order, regular steps.
    pub values: Vec<f64>,
    /// Lags of the Ljung-Box test (default 10, at most n - 2).
    pub lags: Option<usize>,
    /// Bandwidth of the long-run variance (default ceil(1.3 sqrt n)).
    pub bandwidth: Option<usize>,
}

/// How a series depends on its past.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Memory {
    /// Lag-1 autocorrelation.
    pub lag1: Num,
    /// Ljung-Box statistic.
    pub ljung_box: Num,
    /// Its p-value.
    pub ljung_box_p: Num,
    /// Long-run variance with Bartlett weights.
    pub long_run_variance: Num,
    /// Block length of the circular bootstrap (Politis-White).
    pub block_circular: Num,
    /// Block length of the stationary bootstrap.
    pub block_stationary: Num,
}

impl Ask for Dependence {
    type Answer = Memory;
    const LINE: &'static str =
        "dependence of a series on its past: lag 1, Ljung-Box, block lengths";
    const CITATION: &'static str = "Ljung & Box 1978; Politis & White 2004, Patton et al. 2009; \
        Newey & West 1987 (statistics 1.5)";
    const ASSUMES: &'static [&'static str] = &["regular steps, no gaps"];
    const EXAMPLE: &'static str = r#"{"values":[10,11,10,12,11,10,11,12,10,13,12,14],"lags":3}"#;
    const WORDS: &'static str = "values=10,11,10,12,11,10,11,12,10,13,12,14 lags=3";

    fn answer(&self, notes: &mut Notes) -> Result<Memory, Fault> {
        let values = list("values", &self.values, 3)?;
        let lags = self.lags.unwrap_or_else(|| 10.min(values.len() - 2));
        let bandwidth = self.bandwidth.unwrap_or_else(|| its::default_lags(values.len()));
        let (test, length) = (auto::ljung_box(values, lags), auto::politis_white(values));
        let told = Memory {
            lag1: auto::autocorrelation(values, 1).into(),
            ljung_box: test.map(|x| x.statistic).into(),
            ljung_box_p: test.map(|x| x.p).into(),
            long_run_variance: auto::bartlett_long_run_variance(values, bandwidth).into(),
            block_circular: length.map(|x| x.circular).into(),
            block_stationary: length.map(|x| x.stationary).into(),
        };
        let numbers = [told.lag1, told.ljung_box, told.long_run_variance, told.block_circular];
        if numbers.iter().any(|x| x.get().is_none()) {
            notes.push(NO_VARIANCE);
        }
        Ok(told)
    }

    fn sentence(&self, told: &Memory) -> String {
        let (lag1, p) = (number(told.lag1.0), p(told.ljung_box_p));
        format!("Lag-1 autocorrelation {lag1}; no autocorrelation at all: {p}.")
    }
}

/// A series whose mean is compared by resampled blocks.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockBootstrap {
    /// Values after the change or of the treatment, in time order, regular steps.
    pub treatment: Vec<f64>,
    /// Values of a control at the same steps; one of `control`, `before`, `level`.
    pub control: Option<Vec<f64>>,
    /// Values before the change.
    pub before: Option<Vec<f64>>,
    /// A stated level.
    pub level: Option<f64>,
    /// Difference tested (default 0).
    #[serde(default)]
    pub value: f64,
    /// Relative change tested instead, as a linear contrast (0.10 for +10 %).
    pub relative: Option<f64>,
    /// Which alternative p and interval speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
    /// Error probability of the interval (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// Seed of the resampling (default 1): the same seed gives the same answer.
    pub seed: Option<u64>,
}

/// A comparison by resampled blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Resampled {
    /// Mean of the treatment less that of the comparison.
    pub effect: Num,
    /// p of `value` (or `relative`); at least 0.0005 one-sided.
    pub p: Num,
    /// Differences not rejected.
    pub interval: Bounds,
    /// Steps in one block of the treatment.
    pub block: usize,
    /// Steps in one block of the comparison; 0 for a stated level.
    pub comparison_block: usize,
    /// Resampled series.
    pub replicates: usize,
}

impl BlockBootstrap {
    fn replicates(&self) -> Result<bootstrap::Replicates, Fault> {
        const MOST: usize = 20_000;
        let seed = self.seed.unwrap_or(1);
        let found = match (&self.control, &self.before, self.level) {
            (Some(control), None, None) if control.len() != self.treatment.len() => {
                let hint = "one value of the control per value of the treatment";
                return Err(Fault::new("the series differ in length", hint));
            }
            (Some(x), None, None) | (None, Some(x), None) if x.len() > MOST => None,
            _ if self.treatment.len() > MOST => None,
            (Some(control), None, None) => bootstrap::paired(&self.treatment, control, seed),
            (None, Some(before), None) => bootstrap::two_sample(&self.treatment, before, seed),
            (None, None, Some(level)) => bootstrap::one_sample(&self.treatment, level, seed),
            _ => {
                let hint = "give one of `control`, `before` and `level`";
                return Err(Fault::new("it is not said what to compare with", hint));
            }
        };
        let is_finite =
            |x: &bootstrap::Replicates| x.deviations.iter().all(|(t, c)| (t - c).is_finite());
        found.filter(is_finite).ok_or_else(|| {
            Fault::new("blocks cannot be drawn", "8 to 20000 steps a side that vary")
        })
    }
}

impl Ask for BlockBootstrap {
    type Answer = Resampled;
    const LINE: &'static str =
        "mean of a series against a control, a period before or a level, by resampled blocks";
    const CITATION: &'static str = "Politis & Romano 1992; block length by Politis & White 2004, \
        Patton et al. 2009; p by Davison & Hinkley 1997 (statistics 1.5)";
    const ASSUMES: &'static [&'static str] =
        &["regular steps, stationary apart from the change", ONE_LOOK];
    const EXAMPLE: &'static str = r#"{"treatment":[12,14,13,13,12,14,13,14,15,13],
        "before":[10,11,10,12,11,10,11,12,10,11]}"#;
    const WORDS: &'static str =
        "treatment=12,14,13,13,12,14,13,14,15,13 before=10,11,10,12,11,10,11,12,10,11";

    fn answer(&self, notes: &mut Notes) -> Result<Resampled, Fault> {
        let alpha = parts::alpha(self.alpha)?;
        let replicates = self.replicates()?;
        let (w, shift) = match self.relative {
            Some(relative) if self.value != 0.0 => {
                let cause = format!("both `value` and `relative` ({relative}) are given");
                return Err(Fault::new(cause, "give one of them"));
            }
            Some(relative) => (1.0 + relative, 0.0),
            None => (1.0, self.value),
        };
        let (above, below) = (replicates.p_above(w, shift), replicates.p_below(w, shift));
        let side = Alternative::from(self.alternative);
        let p = match side {
            Alternative::TwoSided => (2.0 * above.min(below)).min(1.0),
            Alternative::Greater => above,
            Alternative::Less => below,
        };
        let tail = if side == Alternative::TwoSided { 0.5 * alpha } else { alpha };
        let both = replicates.interval(1.0, tail);
        let interval = match side {
            Alternative::TwoSided => both,
            Alternative::Greater => Interval { hi: Interval::ALL.hi, ..both },
            Alternative::Less => Interval { lo: Interval::ALL.lo, ..both },
        };
        missing(side != Alternative::TwoSided, OPEN, notes);
        missing(both == Interval::ALL, "no interval: alpha is below 1 in 2000 a side", notes);
        Ok(Resampled {
            effect: Num(replicates.means.0 - replicates.means.1),
            p: Num(p),
            interval: interval.into(),
            block: replicates.lengths.0,
            comparison_block: replicates.lengths.1,
            replicates: replicates.deviations.len(),
        })
    }

    fn sentence(&self, told: &Resampled) -> String {
        let interval = range(told.interval, self.alpha, plain::change);
        let (effect, block) = (plain::change(told.effect.0), told.block);
        let p = p(told.p);
        format!("Change {effect} ({interval}), {p}, by blocks of {block}, at this one look.")
    }
}
