//! Raw samples, and series at one look or on a control chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::Num;
use super::parts::{self, Direction, list};
use super::tell::{number, p, plain};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::mann_whitney;
use crate::stats::its::{self, Model};
use crate::stats::tripwire::{self, CUSUM_H, CUSUM_K, EWMA_L, EWMA_LAMBDA};
use crate::stats::{autocorrelation as auto, overdispersion};

const ONE_LOOK: &str = "one planned look: looking again inflates the error";
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

/// A series watched for a sudden shift.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cusum {
    /// Values in time order.
    pub values: Vec<f64>,
    /// Mean in control.
    pub mean: f64,
    /// Standard deviation in control.
    pub sd: f64,
    /// Watch for a fall instead of a rise.
    #[serde(default)]
    pub downwards: bool,
    /// Allowance in sds (default 0.5).
    pub k: Option<f64>,
    /// Alarm level in sds (default 5).
    pub h: Option<f64>,
}

/// A control chart.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chart {
    /// The statistic after each value.
    pub path: Vec<Num>,
    /// Limit after each value (for a CUSUM the alarm level).
    pub limits: Vec<Num>,
    /// Position (from 1) of the first value beyond the limit.
    pub first_alarm: Option<usize>,
    /// Whether the last value is beyond it.
    pub alarm_now: bool,
}

impl Chart {
    fn told(&self) -> String {
        match self.first_alarm {
            Some(at) => {
                let now = if self.alarm_now { "still is" } else { "is not any more" };
                format!("Beyond the limit first at value {at}; the last value {now}.")
            }
            None => format!("Within the limits at all {} values.", self.path.len()),
        }
    }
}

const TRIPWIRE: &str = "a tripwire, not a verdict: a false alarm comes some day";

impl Ask for Cusum {
    type Answer = Chart;
    const LINE: &'static str = "CUSUM tripwire on a series with known mean and sd in control";
    const CITATION: &'static str = "Page 1954 (statistics 1.5)";
    const ASSUMES: &'static [&'static str] = &["independent values in control", TRIPWIRE];
    const EXAMPLE: &'static str = r#"{"values":[0.1,-0.4,0.3,2.2,1.9,2.4,2.1],"mean":0,"sd":1}"#;
    const WORDS: &'static str = "values=0.1,-0.4,0.3,2.2,1.9,2.4,2.1 mean=0 sd=1";

    fn answer(&self, notes: &mut Notes) -> Result<Chart, Fault> {
        let values = list("values", &self.values, 1)?;
        let sd = parts::positive("sd", self.sd)?;
        let h = parts::positive("h", self.h.unwrap_or(CUSUM_H))?;
        let k = self.k.unwrap_or(CUSUM_K);
        let sign = if self.downwards { -1.0 } else { 1.0 };
        let mut state = tripwire::Cusum::default();
        let (mut path, mut first_alarm) = (Vec::with_capacity(values.len()), None);
        for (index, x) in values.iter().enumerate() {
            let Some(z) = tripwire::standardise(*x, self.mean, sd) else {
                return Err(Fault::new(format!("value {} is out of range", index + 1), "numbers"));
            };
            state = state.step(sign * z, k);
            path.push(Num(state.sum));
            if first_alarm.is_none() && state.alarms(h) {
                first_alarm = Some(index + 1);
            }
        }
        no_alarm(first_alarm, notes);
        let limits = vec![Num(h); path.len()];
        Ok(Chart { path, limits, first_alarm, alarm_now: state.alarms(h) })
    }

    fn sentence(&self, told: &Chart) -> String {
        told.told()
    }
}

fn no_alarm(first: Option<usize>, notes: &mut Notes) {
    if first.is_none() {
        notes.push("first_alarm is null: no value was beyond the limit");
    }
}

/// A series watched for a slow drift.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ewma {
    /// Values in time order.
    pub values: Vec<f64>,
    /// Mean in control.
    pub target: f64,
    /// Standard deviation in control.
    pub sd: f64,
    /// Weight of the newest value (default 0.2).
    pub lambda: Option<f64>,
    /// Width of the limits in sds (default 2.96).
    pub width: Option<f64>,
}

impl Ask for Ewma {
    type Answer = Chart;
    const LINE: &'static str = "EWMA tripwire on a series with known mean and sd in control";
    const CITATION: &'static str = "Roberts 1959; Lucas & Saccucci 1990 (statistics 1.5)";
    const ASSUMES: &'static [&'static str] = &["independent values in control", TRIPWIRE];
    const EXAMPLE: &'static str = r#"{"values":[0.1,-0.4,0.3,1.2,0.9,1.4,1.1],"target":0,"sd":1}"#;
    const WORDS: &'static str = "values=0.1,-0.4,0.3,1.2,0.9,1.4,1.1 target=0 sd=1";

    fn answer(&self, notes: &mut Notes) -> Result<Chart, Fault> {
        let values = list("values", &self.values, 1)?;
        let sd = parts::positive("sd", self.sd)?;
        let width = parts::positive("width", self.width.unwrap_or(EWMA_L))?;
        let lambda = self.lambda.unwrap_or(EWMA_LAMBDA);
        if !(lambda > 0.0 && lambda <= 1.0) {
            return Err(Fault::new(format!("`lambda` is {lambda}"), "above 0, at most 1"));
        }
        let mut state = tripwire::Ewma::new(self.target);
        let (mut path, mut limits, mut first_alarm) = (Vec::new(), Vec::new(), None);
        let mut alarm_now = false;
        for (index, x) in values.iter().enumerate() {
            state = state.step(*x, lambda);
            let limit = state.limit(sd, lambda, width);
            alarm_now = (state.mean - self.target).abs() > limit;
            if first_alarm.is_none() && alarm_now {
                first_alarm = Some(index + 1);
            }
            path.push(Num(state.mean));
            limits.push(Num(limit));
        }
        no_alarm(first_alarm, notes);
        Ok(Chart { path, limits, first_alarm, alarm_now })
    }

    fn sentence(&self, told: &Chart) -> String {
        told.told()
    }
}

/// What the cells count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Successes among units.
    #[default]
    Binomial,
    /// Events in an exposure.
    Poisson,
}

/// Counts per day or scrape.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overdispersion {
    /// `[successes or events, units or exposure]` per cell, in time order.
    pub cells: Vec<(f64, f64)>,
    /// `binomial` (default) or `poisson`.
    #[serde(default)]
    pub kind: CellKind,
}

/// How much more the cells vary than independent units would.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Dispersion {
    /// Pearson's dispersion.
    pub phi: Num,
    /// Dispersion from cell to cell, blind to a shift of the level (binomial only).
    pub phi_of_steps: Num,
    /// Above 1.5: the exact tests do not hold.
    pub leaves_exact: bool,
}

impl Ask for Overdispersion {
    type Answer = Dispersion;
    const LINE: &'static str = "overdispersion of daily counts: may the exact tests be used";
    const CITATION: &'static str =
        "McCullagh & Nelder 1989, 4.5; von Neumann et al. 1941 (statistics 1.4)";
    const ASSUMES: &'static [&'static str] = &["one underlying rate over the cells", "7 cells"];
    const EXAMPLE: &'static str =
        r#"{"cells":[[30,100],[41,120],[28,110],[52,140],[25,90],[33,100],[39,105]]}"#;
    const WORDS: &'static str = "cells=30/100,41/120,28/110,52/140,25/90,33/100,39/105";

    fn answer(&self, notes: &mut Notes) -> Result<Dispersion, Fault> {
        let cells = &self.cells;
        if cells.len() < overdispersion::MIN_CELLS {
            let cause = format!("`cells` has {} cells", cells.len());
            return Err(Fault::new(cause, "at least 7 cells of [count, units]"));
        }
        let is_share = self.kind == CellKind::Binomial;
        if cells.iter().any(|&(x, n)| x < 0.0 || n < 0.0 || is_share && x > n) {
            return Err(Fault::new("a cell is no count", "0 <= count, for shares count <= units"));
        }
        let (phi, steps) = match self.kind {
            CellKind::Binomial => {
                (overdispersion::phi_binomial(cells), overdispersion::phi_of_steps(cells))
            }
            CellKind::Poisson => (overdispersion::phi_poisson(cells), None),
        };
        if phi.is_none() {
            notes.push("no phi: the rate is 0 or 1, or fewer than 7 cells have units");
        }
        if steps.is_none() {
            notes.push("no phi_of_steps: it is for shares with at least 6 usable steps");
        }
        let leaves_exact = phi.is_some_and(|phi| phi > overdispersion::EXACT_LIMIT);
        Ok(Dispersion { phi: phi.into(), phi_of_steps: steps.into(), leaves_exact })
    }

    fn sentence(&self, told: &Dispersion) -> String {
        let word = if told.leaves_exact {
            "above 1.5: widen the standard error by its square root"
        } else {
            "the exact tests may be used"
        };
        format!("Overdispersion {}; {word}.", number(told.phi.0))
    }
}
