//! One effect with its standard error, valid at every look: the engine itself and its tunings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Bounds, Num};
use super::parts::{self, OPEN, Summary, alpha_default, probability, two_sides};
use super::tell::{p, plain, range};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::welch::Side;
use crate::stats::info_time::{
    half_width_one_sided, half_width_two_sided, interval_two_sided, log_e_one_sided,
    log_e_two_sided,
};
use crate::stats::{Contrast, Interval, Sides, asymptotic, display};

const FIXED: &str = "tau was fixed before data";

/// An estimate and its standard error, checked.
pub(super) fn contrast(estimate: f64, se: f64) -> Result<Contrast, Fault> {
    parts::positive("se", se)?;
    Ok(Contrast { estimate, se })
}

/// Evidence about one effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Evidence {
    /// The estimate.
    pub estimate: Num,
    /// Its standard error.
    pub se: Num,
    /// Mixing sd used.
    pub tau: Num,
    /// The effects not excluded, whatever looks came before.
    pub interval: Bounds,
    /// Natural log of the e-value against no effect.
    pub log_e: Num,
    /// Always-valid p of no effect at this look.
    pub p: Num,
}

impl Evidence {
    fn told(&self, alpha: f64) -> String {
        let interval = range(self.interval, alpha, plain::change);
        format!("{} ({interval}), {}", plain::change(self.estimate.0), p(self.p))
    }
}

/// An effect with its standard error, from wherever it was estimated.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Mixing sd: the size of the effect aimed at, fixed before data.
    pub tau: f64,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// `two` (default), or `one`: positive estimates favour the effect.
    #[serde(default = "two_sides")]
    pub sides: Sides,
}

impl Ask for Effect {
    type Answer = Evidence;
    const LINE: &'static str = "any estimate with a standard error, at any look";
    const CITATION: &'static str = "information-time normal mixture: Howard, Ramdas, McAuliffe & \
        Sekhon 2021; Waudby-Smith et al., arXiv 2103.06476 (statistics 1.1)";
    const ASSUMES: &'static [&'static str] =
        &["estimate / se^2 is near Brownian motion in 1 / se^2", FIXED];
    const EXAMPLE: &'static str = r#"{"estimate":0.06,"se":0.0084,"tau":0.03}"#;
    const WORDS: &'static str = "estimate=0.06 se=0.0084 tau=0.03";

    fn answer(&self, notes: &mut Notes) -> Result<Evidence, Fault> {
        let Contrast { estimate, se } = contrast(self.estimate, self.se)?;
        let (tau, alpha) = (parts::positive("tau", self.tau)?, parts::alpha(self.alpha)?);
        let (interval, log_e) = match self.sides {
            Sides::Two => {
                let half = half_width_two_sided(se, tau, alpha);
                (Interval::around(estimate, half), log_e_two_sided(estimate, se, tau))
            }
            Sides::One => {
                notes.push(OPEN);
                let lo = estimate - half_width_one_sided(se, tau, alpha);
                (Interval { lo, ..Interval::ALL }, log_e_one_sided(estimate, se, tau))
            }
        };
        Ok(Evidence {
            estimate: Num(estimate),
            se: Num(se),
            tau: Num(tau),
            interval: interval.into(),
            log_e: Num(log_e),
            p: probability(log_e),
        })
    }

    fn sentence(&self, told: &Evidence) -> String {
        format!("The effect is {}, valid at this and every look.", told.told(self.alpha))
    }
}

/// Two summaries in the published two-sample mSPRT form.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Msprt {
    /// Control arm.
    pub control: Summary,
    /// Treatment arm.
    pub treatment: Summary,
    /// Mixing variance.
    pub tau_sq: f64,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

impl Ask for Msprt {
    type Answer = Evidence;
    const LINE: &'static str = "the two-sample mSPRT with a mixing variance (the same engine)";
    const CITATION: &'static str =
        "Johari, Koomen, Pekelis & Walsh 2022; Liu et al. 2021 (statistics 1.1)";
    const ASSUMES: &'static [&'static str] = &[
        "units are independent",
        "tau_sq was fixed before data",
        "variances are pooled at the harmonic mean of the sizes, as published",
    ];
    const EXAMPLE: &'static str = r#"{"control":{"n":5000,"mean":1.02,"sd":1.9},
        "treatment":{"n":5100,"mean":1.13,"sd":2.0},"tau_sq":0.01}"#;
    const WORDS: &'static str =
        "control=n:5000,mean:1.02,sd:1.9 treatment=n:5100,mean:1.13,sd:2.0 tau_sq=0.01";

    fn answer(&self, _: &mut Notes) -> Result<Evidence, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let alpha = parts::alpha(self.alpha)?;
        let tau = parts::positive("tau_sq", self.tau_sq)?.sqrt();
        let harmonic = 2.0 / (1.0 / c.n + 1.0 / t.n);
        let spread = c.variance_of_mean * c.n + t.variance_of_mean * t.n;
        let Contrast { estimate, se } = contrast(t.mean - c.mean, (spread / harmonic).sqrt())?;
        let log_e = log_e_two_sided(estimate, se, tau);
        Ok(Evidence {
            estimate: Num(estimate),
            se: Num(se),
            tau: Num(tau),
            interval: interval_two_sided(estimate, se, tau, alpha).into(),
            log_e: Num(log_e),
            p: probability(log_e),
        })
    }

    fn sentence(&self, told: &Evidence) -> String {
        format!("The difference is {}, valid at every look.", told.told(self.alpha))
    }
}

/// Two summaries under the asymptotic sequence tuned by a sample size (GrowthBook's form).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunedBySize {
    /// Control arm.
    pub control: Summary,
    /// Treatment arm.
    pub treatment: Summary,
    /// Total sample at which the interval is narrowest; fixed before data.
    pub tuning_n: f64,
    /// Error probability (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// `two` (default) or `one`.
    #[serde(default = "two_sides")]
    pub sides: Sides,
    /// Judge the relative change, treatment / control - 1, by the linear delta method.
    #[serde(default)]
    pub relative: bool,
}

impl TunedBySize {
    fn contrast(&self, t: Side, c: Side) -> Result<Contrast, Fault> {
        let arm = |s: Side| (s.mean, s.variance_of_mean);
        let found = if self.relative {
            display::linear_lift(arm(t), arm(c))
                .ok_or_else(|| Fault::new("the control is 0", "leave `relative` out"))?
        } else {
            Contrast::from_variance(t.mean - c.mean, t.variance_of_mean + c.variance_of_mean)
        };
        contrast(found.estimate, found.se)
    }
}

impl Ask for TunedBySize {
    type Answer = Evidence;
    const LINE: &'static str =
        "two arms under a sequence tuned by a sample size, as GrowthBook computes it";
    const CITATION: &'static str = "Waudby-Smith et al., arXiv 2103.06476v7, eqs 9, 134, 155, 161 \
        (statistics 1.1)";
    const ASSUMES: &'static [&'static str] = &[
        "units are independent",
        "tuning_n was fixed before data",
        "one-sided: the closed form, conservative",
    ];
    const EXAMPLE: &'static str =
        r#"{"control":{"x":1620,"n":6000},"treatment":{"x":1980,"n":6000},"tuning_n":5000}"#;
    const WORDS: &'static str = "control=x:1620,n:6000 treatment=x:1980,n:6000 tuning_n=5000";

    fn answer(&self, notes: &mut Notes) -> Result<Evidence, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let alpha = parts::alpha(self.alpha)?;
        let Contrast { estimate, se } = self.contrast(t, c)?;
        let size = parts::positive("tuning_n", self.tuning_n)?;
        let tau = asymptotic::tau(se, c.n + t.n, size, alpha, self.sides);
        let half = asymptotic::half_width(se, c.n + t.n, size, alpha, self.sides);
        let (interval, log_e) = match self.sides {
            Sides::Two => (Interval::around(estimate, half), log_e_two_sided(estimate, se, tau)),
            Sides::One => {
                notes.push(OPEN);
                let interval = Interval { lo: estimate - half, ..Interval::ALL };
                (interval, log_e_one_sided(estimate, se, tau))
            }
        };
        Ok(Evidence {
            estimate: Num(estimate),
            se: Num(se),
            tau: Num(tau),
            interval: interval.into(),
            log_e: Num(log_e),
            p: probability(log_e),
        })
    }

    fn sentence(&self, told: &Evidence) -> String {
        format!("The difference is {}, valid at every look.", told.told(self.alpha))
    }
}
