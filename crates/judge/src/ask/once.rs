//! Tests of one planned look on counts: shares and rates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, Count, Direction, ONE_LOOK, Share, alpha_default, missing};
use super::tell::{number, p, plain, points, range};
use super::{Ask, Fault, Notes};
use crate::stats::binomial;
use crate::stats::fixed::poisson_rates::{self as rates, Statistic};
use crate::stats::fixed::two_proportion::{self as two, Variance};
use crate::stats::fixed::{Alternative, fisher, score, z_p};

/// Two shares at one look.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoProportionsOnce {
    /// Control arm.
    pub control: Share,
    /// Treatment arm.
    pub treatment: Share,
    /// Which alternative the p-values speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
    /// Difference tested by the score, Wald and Agresti-Caffo statistics (default 0).
    #[serde(default)]
    pub value: f64,
    /// Compute Fisher's p also where it takes long; without it up to 2,000 possible outcomes.
    #[serde(default)]
    pub exact: bool,
    /// Error probability of the two-sided intervals (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// A statistic with its p-value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ZTest {
    /// Normal statistic.
    pub z: Num,
    /// Its p-value.
    pub p: Num,
}

impl ZTest {
    /// Of a statistic that may not exist.
    pub(super) fn of(z: Option<f64>, alternative: Alternative) -> Self {
        Self { z: z.into(), p: z.map(|z| z_p(z, alternative)).into() }
    }
}

/// The classical answers on two shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SharesOnce {
    /// Treatment minus control.
    pub effect: Num,
    /// Pooled two-proportion z test.
    pub pooled: ZTest,
    /// Whether an expected cell is below 5, so that Fisher's test is due.
    pub sparse: bool,
    /// Fisher's exact p; null with many possible outcomes, see `exact`.
    pub fisher_p: Num,
    /// Score test of `value` (Miettinen-Nurminen).
    pub score: ZTest,
    /// Wald test of `value`.
    pub wald: ZTest,
    /// Agresti-Caffo test of `value`.
    pub agresti_caffo: ZTest,
    /// Newcombe's hybrid score interval of the difference (the one to show).
    pub newcombe: Bounds,
    /// Score interval of the difference.
    pub score_interval: Bounds,
    /// Wald interval of the difference.
    pub wald_interval: Bounds,
    /// Agresti-Caffo interval of the difference.
    pub agresti_caffo_interval: Bounds,
    /// Log interval of the ratio treatment / control.
    pub ratio_log: Bounds,
    /// The same with halves added, for empty cells.
    pub ratio_log_adjusted: Bounds,
    /// Score interval of the ratio.
    pub ratio_score: Bounds,
}

impl Ask for TwoProportionsOnce {
    type Answer = SharesOnce;
    const LINE: &'static str = "two shares at one look: pooled z, Fisher, score, Newcombe, ratios";
    const CITATION: &'static str = "Newcombe 1998; Miettinen & Nurminen 1985; Agresti & Caffo \
        2000; Fisher (statistics 1.2)";
    const ASSUMES: &'static [&'static str] = &["units are independent", ONE_LOOK];
    const EXAMPLE: &'static str =
        r#"{"control":{"x":1620,"n":6000},"treatment":{"x":1980,"n":6000}}"#;
    const WORDS: &'static str = "control=1620/6000 treatment=1980/6000";

    fn answer(&self, notes: &mut Notes) -> Result<SharesOnce, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let (alpha, side) = (parts::alpha(self.alpha)?, Alternative::from(self.alternative));
        if !(self.value > -1.0 && self.value < 1.0) {
            return Err(Fault::new(format!("`value` is {}", self.value), "between -1 and 1"));
        }
        let pooled = ZTest::of(two::pooled_z(&t, &c), side);
        let tested = |z: Option<f64>| ZTest::of(z, side);
        let hits = c.x + t.x;
        let outcomes = hits.min(t.n) - (hits - c.n).max(0.0);
        let is_large = outcomes > if self.exact { 1.0e6 } else { 2.0e3 };
        let fisher_p = if is_large { None } else { fisher::exact_p(&t, &c, side) };
        let told = SharesOnce {
            effect: Num(t.mean() - c.mean()),
            pooled,
            sparse: two::is_sparse(&t, &c),
            fisher_p: fisher_p.into(),
            score: tested(score::z_difference(&t, &c, self.value)),
            wald: tested(two::z(&t, &c, self.value, Variance::Wald)),
            agresti_caffo: tested(two::z(&t, &c, self.value, Variance::AgrestiCaffo)),
            newcombe: two::newcombe(&t, &c, alpha).into(),
            score_interval: score::difference_interval(&t, &c, alpha).into(),
            wald_interval: two::wald(&t, &c, alpha, Variance::Wald).into(),
            agresti_caffo_interval: two::wald(&t, &c, alpha, Variance::AgrestiCaffo).into(),
            ratio_log: two::ratio_log(&t, &c, alpha, false).into(),
            ratio_log_adjusted: two::ratio_log(&t, &c, alpha, true).into(),
            ratio_score: score::ratio_interval(&t, &c, alpha).into(),
        };
        missing(
            is_large,
            "no Fisher p: with that many outcomes the z test is as good; `exact` computes it",
            notes,
        );
        let has_empty_cell = [c, t].iter().any(|arm| arm.x == 0.0 || arm.x == arm.n);
        let why = "tests and ratio intervals that divide by 0 successes or by no variance are null";
        missing(has_empty_cell || fisher_p.is_none() && !is_large, why, notes);
        Ok(told)
    }

    fn sentence(&self, told: &SharesOnce) -> String {
        let p_value = if told.sparse { told.fisher_p } else { told.pooled.p };
        let interval = range(told.newcombe, self.alpha, points::change);
        let effect = points::change(told.effect.0);
        format!("Difference {effect} ({interval}), {}, at this one look.", p(p_value))
    }
}

/// One share at one look.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneProportionOnce {
    /// What was observed.
    pub observed: Share,
    /// The stated share; adds the tests.
    pub baseline: Option<f64>,
    /// Which alternative tests and exact and Wilson intervals speak for (default `two_sided`).
    #[serde(default)]
    pub alternative: Direction,
    /// Error probability of the intervals (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// The classical answers on one share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ShareOnce {
    /// Observed share.
    pub share: Num,
    /// Exact binomial p against the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_p: Option<Num>,
    /// Normal test with the variance of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<ZTest>,
    /// Clopper-Pearson interval.
    pub clopper_pearson: Bounds,
    /// Wilson interval.
    pub wilson: Bounds,
    /// Jeffreys interval, two-sided.
    pub jeffreys: Bounds,
    /// Agresti-Coull interval, two-sided.
    pub agresti_coull: Bounds,
}

impl Ask for OneProportionOnce {
    type Answer = ShareOnce;
    const LINE: &'static str = "one share at one look: exact p, Clopper-Pearson, Wilson, Jeffreys";
    const CITATION: &'static str =
        "Clopper & Pearson 1934; Wilson 1927; Agresti & Coull 1998 (statistics 1.4)";
    const ASSUMES: &'static [&'static str] = &["units are independent", ONE_LOOK];
    const EXAMPLE: &'static str = r#"{"observed":{"x":50,"n":320},"baseline":0.09}"#;
    const WORDS: &'static str = "observed=50/320 baseline=9%";

    fn answer(&self, notes: &mut Notes) -> Result<ShareOnce, Fault> {
        let seen = self.observed.checked("observed")?;
        let (alpha, side) = (parts::alpha(self.alpha)?, Alternative::from(self.alternative));
        let baseline = match self.baseline {
            Some(baseline) => Some(parts::inside("baseline", baseline, "a share")?),
            None => None,
        };
        let exact = baseline.map(|p0| binomial::exact_p(seen.x, seen.n, p0, side));
        let normal = baseline.map(|p0| binomial::z_null_variance(seen.x, seen.n, p0));
        missing(exact == Some(None), "no exact p: counts must be whole", notes);
        let intervals = [
            binomial::clopper_pearson(seen.x, seen.n, alpha, side),
            binomial::wilson(seen.x, seen.n, alpha, side),
            binomial::jeffreys(seen.x, seen.n, alpha),
            binomial::agresti_coull(seen.x, seen.n, alpha),
        ];
        missing(intervals.iter().any(Option::is_none), "no exact interval: n rounds to 0", notes);
        Ok(ShareOnce {
            share: Num(seen.mean()),
            exact_p: exact.map(Num::from),
            normal: normal.map(|z| ZTest::of(z, side)),
            clopper_pearson: intervals[0].into(),
            wilson: intervals[1].into(),
            jeffreys: intervals[2].into(),
            agresti_coull: intervals[3].into(),
        })
    }

    fn sentence(&self, told: &ShareOnce) -> String {
        let interval = range(told.wilson, self.alpha, points::level);
        let share = points::level(told.share.0);
        match (self.baseline, told.exact_p) {
            (Some(p0), Some(exact)) => {
                let stated = points::level(p0);
                format!("{share} ({interval}) against the stated {stated}: exact {}.", p(exact))
            }
            _ => format!("{share} ({interval}), at this one look."),
        }
    }
}

/// Two event rates at one look.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesOnce {
    /// Control arm.
    pub control: Count,
    /// Treatment arm.
    pub treatment: Count,
    /// Which alternative the p-values speak for (default `two_sided`; mid-p is two-sided always).
    #[serde(default)]
    pub alternative: Direction,
    /// Error probability of the two-sided intervals (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// The classical answers on two rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TwoRatesOnce {
    /// treatment / control.
    pub ratio: Num,
    /// Score test.
    pub score: ZTest,
    /// Wald test.
    pub wald: ZTest,
    /// Square-root test.
    pub square_root: ZTest,
    /// Exact conditional p.
    pub exact_p: Num,
    /// Conditional mid-p, two-sided.
    pub mid_p: Num,
    /// Log interval of the ratio (halves added).
    pub ratio_log: Bounds,
    /// Score interval of the ratio.
    pub ratio_score: Bounds,
    /// Exact interval of the control's rate.
    pub control_interval: Bounds,
    /// Exact interval of the treatment's rate.
    pub treatment_interval: Bounds,
    /// Score interval of the treatment's rate.
    pub treatment_score_interval: Bounds,
}

impl Ask for RatesOnce {
    type Answer = TwoRatesOnce;
    const LINE: &'static str = "two event rates at one look: exact, mid-p, score, Wald";
    const CITATION: &'static str = "Przyborowski & Wilenski 1940; Gu et al. 2008; Garwood 1936 \
        (statistics 1.2)";
    const ASSUMES: &'static [&'static str] = &["events are Poisson, phi near 1", ONE_LOOK];
    const EXAMPLE: &'static str = r#"{"control":{"events":240,"exposure":12000},
        "treatment":{"events":180,"exposure":12100}}"#;
    const WORDS: &'static str = "control=240/12000 treatment=180/12100";

    fn answer(&self, notes: &mut Notes) -> Result<TwoRatesOnce, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let (alpha, side) = (parts::alpha(self.alpha)?, Alternative::from(self.alternative));
        let test = |how: Statistic| ZTest::of(rates::z(&t, &c, how), side);
        let ratio = t.mean() / c.mean();
        let is_sparse = c.events == 0.0 || t.events == 0.0;
        let why = "with an arm without events the ratio, its tests or bounds may not exist (null)";
        missing(is_sparse, why, notes);
        Ok(TwoRatesOnce {
            ratio: Num(ratio),
            score: test(Statistic::Score),
            wald: test(Statistic::Wald),
            square_root: test(Statistic::SquareRoot),
            exact_p: rates::exact_conditional_p(&t, &c, side).into(),
            mid_p: rates::mid_p(&t, &c).into(),
            ratio_log: rates::ratio_log(&t, &c, alpha).into(),
            ratio_score: rates::ratio_score(&t, &c, alpha).into(),
            control_interval: rates::rate_exact(&c, alpha).into(),
            treatment_interval: rates::rate_exact(&t, alpha).into(),
            treatment_score_interval: rates::rate_score(&t, alpha).into(),
        })
    }

    fn sentence(&self, told: &TwoRatesOnce) -> String {
        let interval = range(told.ratio_score, self.alpha, plain::level);
        let ratio = number(told.ratio.0);
        format!("Rate ratio {ratio} ({interval}), exact {}, at this one look.", p(told.exact_p))
    }
}
