//! Control charts on a series, and the overdispersion of daily counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::Num;
use super::parts::{self, list};
use super::tell::number;
use super::{Ask, Fault, Notes};
use crate::spec::{CUSUM_H, CUSUM_K, EWMA_L, EWMA_LAMBDA};
use crate::stats::overdispersion;
use crate::stats::tripwire;

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
