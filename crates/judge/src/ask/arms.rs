//! Two arms, or a treatment and a measured baseline, valid at every look.

use schemars::JsonSchema;
use serde::Deserialize;

use super::compare::{Comparison, Plan, compare};
use super::parts::{self, Count, Share, alpha_default};
use super::tell::{percent, plain, points, range};
use super::{Ask, Fault, Notes};
use crate::stats::cuped;
use crate::stats::two_arm::RatioSums;

macro_rules! comparison {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)?
        }
        $line:literal, $citation:literal, $assumes:expr, $example:literal, $words:literal,
        |$asked:ident| $arms:expr, $unit:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
            /// Change aimed at, in the signal's unit (0.03 for +3 points); its sign says which
            /// direction is good.
            pub target: Option<f64>,
            /// Change aimed at as a share of the control (0.10 for +10 %), instead of `target`.
            pub target_relative: Option<f64>,
            /// Mixing sd; default the size of the target.
            pub tau: Option<f64>,
            /// Level of the control known before data: turns a relative target into tau.
            pub baseline: Option<f64>,
            /// Smallest effect that would matter; default the target.
            pub min_effect: Option<f64>,
            /// Good direction when no target says it.
            #[serde(default)]
            pub want: parts::Want,
            /// Error probability, two-sided (default 0.05).
            #[serde(default = "alpha_default")]
            pub alpha: f64,
        }

        impl Ask for $name {
            type Answer = Comparison;
            const LINE: &'static str = $line;
            const CITATION: &'static str = $citation;
            const ASSUMES: &'static [&'static str] = $assumes;
            const EXAMPLE: &'static str = $example;
            const WORDS: &'static str = $words;

            fn answer(&self, notes: &mut Notes) -> Result<Comparison, Fault> {
                let $asked = self;
                let ((t, c), few) = $arms?;
                let plan = Plan {
                    target: self.target,
                    target_relative: self.target_relative,
                    tau: self.tau,
                    baseline: self.baseline,
                    min_effect: self.min_effect,
                    want: self.want,
                    alpha: self.alpha,
                };
                compare((t, c), few, &plan, notes)
            }

            fn sentence(&self, told: &Comparison) -> String {
                let target = match (self.target, self.target_relative) {
                    (Some(target), _) => format!(" against the {} aimed at", $unit::change(target)),
                    (None, Some(r)) => format!(" against the {} aimed at", percent::change(r)),
                    _ => String::new(),
                };
                format!(
                    "Treatment {} against control {}: {} ({}), {} relative{target}: {}.",
                    $unit::level(told.treatment.0),
                    $unit::level(told.control.0),
                    $unit::change(told.effect.0),
                    range(told.interval, self.alpha, $unit::change),
                    percent::change(told.lift.0),
                    told.state.word(),
                )
            }
        }
    };
}

/// Treatment and control as `(mean, variance of the mean)`, and which least sample they miss.
type Arms = (((f64, f64), (f64, f64)), Option<&'static str>);

const INDEPENDENT: &str = "units are independent and only matured units are counted";
const TAU_FIXED: &str = "the target (tau) was fixed before data and never changed";

/// Units an arm of means or ratios needs (statistics 1.1).
const LEAST_UNITS: f64 = 100.0;
/// Events an arm of rates needs.
const LEAST_EVENTS: f64 = 10.0;

/// A least sample: the assumption, and the note where it is missed.
macro_rules! least {
    ($name:ident, $missed:ident, $text:literal) => {
        const $name: &str = $text;
        const $missed: &str = concat!("too early, not met: ", $text);
    };
}
least!(
    TEN_OF_EACH,
    FEW_OF_EACH,
    "at least ten successes and ten failures in each arm (else rare_events or rare_difference, \
     which are exact)"
);
least!(HUNDRED, FEW_UNITS, "at least 100 units per arm, 355 x skewness^2 if skewed");
least!(TEN_EVENTS, FEW_EVENTS, "at least ten events in each arm (else rare_events, exact)");

/// Two arms of which each has `n` units.
fn sized(t: (f64, f64), c: (f64, f64), n: [f64; 2]) -> Arms {
    ((t, c), n.iter().any(|n| *n < LEAST_UNITS).then_some(FEW_UNITS))
}

comparison! {
    /// Two shares.
    TwoProportions {
        /// Control arm.
        control: Share,
        /// Treatment arm.
        treatment: Share,
        /// Overdispersion factor of the counts, at least 1 (default 1).
        phi: Option<f64>,
    }
    "two shares at any look: interval, evidence, state",
    "Howard et al. 2021; Johari et al. 2022; arXiv 2103.06476; Agresti & Caffo 2000 (statistics \
     1.1, 1.2)",
    &[
        INDEPENDENT,
        TAU_FIXED,
        TEN_OF_EACH,
    ],
    r#"{"control":{"x":1620,"n":6000},"treatment":{"x":1980,"n":6000},"target":0.03}"#,
    "control=1620/6000 treatment=1980/6000 target=+3pts",
    |asked| shares(asked), points
}

fn shares(asked: &TwoProportions) -> Result<Arms, Fault> {
    let sizes = [("target", asked.target), ("min_effect", asked.min_effect), ("tau", asked.tau)];
    for (name, size) in sizes {
        parts::change_of_share(name, size.unwrap_or(0.0))?;
    }
    if let Some(baseline) = asked.baseline {
        parts::inside("baseline", baseline, "a share")?;
    }
    let phi = dispersion(asked.phi)?;
    let t = asked.treatment.checked("treatment")?;
    let c = asked.control.checked("control")?;
    let few = [t, c].iter().any(|arm| !arm.has_ten_of_each());
    let arms = ((t.mean(), phi * t.variance_of_mean()), (c.mean(), phi * c.variance_of_mean()));
    Ok((arms, few.then_some(FEW_OF_EACH)))
}

fn dispersion(phi: Option<f64>) -> Result<f64, Fault> {
    match phi {
        None => Ok(1.0),
        Some(phi) => Ok(parts::positive("phi", phi)?.max(1.0)),
    }
}

comparison! {
    /// Two means.
    TwoMeans {
        /// Control arm.
        control: parts::Summary,
        /// Treatment arm.
        treatment: parts::Summary,
    }
    "two means at any look: interval, evidence, state",
    "Howard et al. 2021; Johari et al. 2022; arXiv 2103.06476 (statistics 1.1, 1.2)",
    &[INDEPENDENT, TAU_FIXED, HUNDRED],
    r#"{"control":{"n":4000,"mean":10.2,"sd":8.1},"treatment":{"n":4000,"mean":10.9,"sd":8.4},
        "target":1.0}"#,
    "control=n:4000,mean:10.2,sd:8.1 treatment=n:4000,mean:10.9,sd:8.4 target=+1",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        Ok(sized((t.mean, t.variance_of_mean), (c.mean, c.variance_of_mean), [t.n, c.n]))
    }, plain
}

/// The six sums of a ratio metric: per unit a numerator and a denominator.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Units (users, accounts).
    pub n: f64,
    /// Sum of numerators.
    pub num: f64,
    /// Sum of denominators.
    pub den: f64,
    /// Sum of squared numerators.
    pub num_sq: f64,
    /// Sum of squared denominators.
    pub den_sq: f64,
    /// Sum of products numerator x denominator.
    pub cross: f64,
}

impl Sums {
    /// Ratio, its delta-method variance and the units, checked.
    pub(super) fn checked(&self, name: &str) -> Result<crate::stats::fixed::welch::Side, Fault> {
        let Self { n, num, den, num_sq, den_sq, cross } = *self;
        parts::possible(name, n, [("num", num), ("num_sq", num_sq)])?;
        parts::possible(name, n, [("den", den), ("den_sq", den_sq)])?;
        parts::possible_product(name, n, ("cross", cross), [(num, num_sq), (den, den_sq)])?;
        let sums = RatioSums { n, num, den, num_sq, den_sq, cross };
        let variance_of_mean = sums.variance_of_mean();
        if n > 1.0 && den != 0.0 && variance_of_mean < crate::stats::UNBOUNDED {
            return Ok(crate::stats::fixed::welch::Side { mean: sums.mean(), variance_of_mean, n });
        }
        let cause = format!("`{name}`: no ratio can be had from these sums");
        Err(Fault::new(cause, "n is above 1, den is not 0, num_sq and den_sq are sums of squares"))
    }
}

comparison! {
    /// Two ratios of sums.
    TwoRatios {
        /// Control arm.
        control: Sums,
        /// Treatment arm.
        treatment: Sums,
    }
    "two ratio metrics (six sums per arm, delta method) at any look",
    "Deng, Knoblich & Lu 2018; Howard et al. 2021 (statistics 1.1, 1.2)",
    &[INDEPENDENT, TAU_FIXED, HUNDRED, "the unit is the one that was assigned: user or account"],
    r#"{"control":{"n":5000,"num":1500,"den":20000,"num_sq":1700,"den_sq":100000,"cross":7000},
        "treatment":{"n":5000,"num":1650,"den":20100,"num_sq":1900,"den_sq":101000,
        "cross":7600},"target_relative":0.1,"baseline":0.075}"#,
    "control=n:5000,num:1500,den:20000,num_sq:1700,den_sq:100000,cross:7000 \
     treatment=n:5000,num:1650,den:20100,num_sq:1900,den_sq:101000,cross:7600 \
     target=+10% baseline=0.075",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        Ok(sized((t.mean, t.variance_of_mean), (c.mean, c.variance_of_mean), [t.n, c.n]))
    }, plain
}

comparison! {
    /// Two event rates.
    TwoRates {
        /// Control arm.
        control: Count,
        /// Treatment arm.
        treatment: Count,
        /// Overdispersion factor of the counts, at least 1 (default 1).
        phi: Option<f64>,
    }
    "two event rates (Poisson with overdispersion) at any look",
    "Howard et al. 2021; McCullagh & Nelder 1989 (statistics 1.1, 1.2)",
    &["events are independent given exposure, up to phi", TAU_FIXED, TEN_EVENTS],
    r#"{"control":{"events":240,"exposure":12000},"treatment":{"events":180,"exposure":12100},
        "target_relative":-0.2,"baseline":0.02,"phi":1.3}"#,
    "control=240/12000 treatment=180/12100 target=-20% baseline=0.02 phi=1.3",
    |asked| {
        let phi = dispersion(asked.phi)?;
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        let few = [t, c].iter().any(|arm| arm.events < LEAST_EVENTS);
        let arms = ((t.mean(), phi * t.variance_of_mean()), (c.mean(), phi * c.variance_of_mean()));
        Ok((arms, few.then_some(FEW_EVENTS)))
    }, plain
}

/// Sums of outcome `y` and of a covariate `x` known before the change.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovariateSums {
    /// Units.
    pub n: f64,
    /// Sum of outcomes.
    pub y: f64,
    /// Sum of covariates.
    pub x: f64,
    /// Sum of squared outcomes.
    pub yy: f64,
    /// Sum of squared covariates.
    pub xx: f64,
    /// Sum of products.
    pub xy: f64,
}

impl CovariateSums {
    fn checked(&self, name: &str) -> Result<cuped::Sums, Fault> {
        let Self { n, y, x, yy, xx, xy } = *self;
        parts::possible(name, n, [("y", y), ("yy", yy)])?;
        parts::possible(name, n, [("x", x), ("xx", xx)])?;
        parts::possible_product(name, n, ("xy", xy), [(y, yy), (x, xx)])?;
        Ok(cuped::Sums { n, y, x, yy, xx, xy })
    }
}

comparison! {
    /// Two means, their variance reduced by a covariate.
    Cuped {
        /// Control arm.
        control: CovariateSums,
        /// Treatment arm.
        treatment: CovariateSums,
    }
    "two means with variance reduction by a covariate from before the change",
    "Deng, Xu, Kohavi & Walker 2013 (statistics 1.2)",
    &[INDEPENDENT, TAU_FIXED, HUNDRED, "the covariate was measured before exposure"],
    r#"{"control":{"n":2000,"y":20000,"x":19800,"yy":260000,"xx":256000,"xy":240000},
        "treatment":{"n":2000,"y":20800,"x":19900,"yy":275000,"xx":257000,"xy":249000},
        "target":0.5}"#,
    "control=n:2000,y:20000,x:19800,yy:260000,xx:256000,xy:240000 \
     treatment=n:2000,y:20800,x:19900,yy:275000,xx:257000,xy:249000 target=+0.5",
    |asked| {
        let t = asked.treatment.checked("treatment")?;
        let c = asked.control.checked("control")?;
        let slope = cuped::theta(&t, &c);
        let pooled = (t.x + c.x) / (t.n + c.n);
        let adjusted = |arm: &cuped::Sums| cuped::adjusted(arm, slope, pooled);
        Ok(sized(adjusted(&t), adjusted(&c), [t.n, c.n]))
    }, plain
}
