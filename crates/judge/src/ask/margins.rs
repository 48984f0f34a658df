//! Margins, deterioration and equivalence of one effect, and its relative change for display.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effects::contrast;
use super::number::{Bounds, Num};
use super::parts::{self, Summary, Want, alpha_default, probability};
use super::tell::{number, p, percent, plain, range};
use super::{Ask, Fault, Notes};
use crate::stats::fixed::{Alternative, z_p};
use crate::stats::info_time::{half_width_one_sided, log_e_one_sided};
use crate::stats::noninferiority::{Better, bad_side_bound, inside_margin, log_e, tost};
use crate::stats::{Contrast, Interval, display};

const FIXED: &str = "tau was fixed before data";

/// An effect against a margin: is the treatment not worse by the margin or more?
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NonInferiority {
    /// Treatment minus control.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Size of the worsening that is tolerated.
    pub margin: f64,
    /// Good direction (default `up`).
    #[serde(default)]
    pub want: Want,
    /// Error probability, one-sided (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Whether a margin is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Margin {
    /// Worst effect not excluded at any look, good direction positive.
    pub bad_side_bound: Num,
    /// Shown not to be worse by the margin, at any look.
    pub inside: bool,
    /// Natural log of the e-value against "worse by the margin or more".
    pub log_e: Num,
    /// Always-valid p of "worse by the margin or more".
    pub p: Num,
    /// The same at one planned look: z statistic.
    pub z_once: Num,
    /// The same at one planned look: p.
    pub p_once: Num,
}

fn better(want: Want) -> Better {
    match want {
        Want::Up => Better::Higher,
        Want::Down => Better::Lower,
    }
}

impl Ask for NonInferiority {
    type Answer = Margin;
    const LINE: &'static str = "not worse than a margin: at any look, and at one look";
    const CITATION: &'static str = "shifted contrast, one-sided mixture with tau = margin \
        (statistics 1.7)";
    const ASSUMES: &'static [&'static str] =
        &["the margin was fixed before data, absolute, in the unit of the estimate"];
    const EXAMPLE: &'static str = r#"{"estimate":-0.002,"se":0.004,"margin":0.02}"#;
    const WORDS: &'static str = "estimate=-0.002 se=0.004 margin=2pts";

    fn answer(&self, _: &mut Notes) -> Result<Margin, Fault> {
        let effect = contrast(self.estimate, self.se)?;
        let (margin, alpha) = (parts::positive("margin", self.margin)?, parts::alpha(self.alpha)?);
        let want = better(self.want);
        let log_e = log_e(effect, margin, want);
        let bound = bad_side_bound(effect, margin, want, alpha);
        let shifted = inside_margin(effect, margin, want);
        let z = shifted.estimate / shifted.se;
        Ok(Margin {
            bad_side_bound: Num(bound),
            inside: bound > -margin,
            log_e: Num(log_e),
            p: probability(log_e),
            z_once: Num(z),
            p_once: Num(z_p(z, Alternative::Greater)),
        })
    }

    fn sentence(&self, told: &Margin) -> String {
        let bound = plain::change(told.bad_side_bound.0);
        let (margin, p) = (number(self.margin.abs()), p(told.p));
        if told.inside {
            return format!("Not worse by {margin}: at worst {bound} ({p}, valid at every look).");
        }
        format!("Not shown to be within {margin}: it may be as bad as {bound} ({p}).")
    }
}

/// An effect that may have become worse.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deterioration {
    /// Treatment minus control.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Mixing sd: the size of the harm to be found.
    pub tau: f64,
    /// Good direction (default `up`).
    #[serde(default)]
    pub want: Want,
    /// Error probability, one-sided, of all guardrails together (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
    /// Guardrails that stop, which share alpha (default 1).
    pub guardrails: Option<u32>,
}

/// Whether it became worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Worsening {
    /// The share of alpha this guardrail has.
    pub alpha: Num,
    /// Most favourable effect not excluded, good direction positive; below 0: it is worse.
    pub good_side_bound: Num,
    /// Whether no change is excluded on the bad side.
    pub worse: bool,
    /// Natural log of the e-value against "not worse".
    pub log_e: Num,
    /// Always-valid p of "not worse".
    pub p: Num,
}

impl Ask for Deterioration {
    type Answer = Worsening;
    const LINE: &'static str = "has a guardrail become worse, at any look, alpha split";
    const CITATION: &'static str = "one-sided mixture; Bonferroni over guardrails (statistics 1.7, \
        1.8)";
    const ASSUMES: &'static [&'static str] = &[FIXED, "any one of the guardrails stops the run"];
    const EXAMPLE: &'static str = r#"{"estimate":-0.021,"se":0.004,"tau":0.01,"guardrails":3}"#;
    const WORDS: &'static str = "estimate=-0.021 se=0.004 tau=0.01 guardrails=3";

    fn answer(&self, _: &mut Notes) -> Result<Worsening, Fault> {
        let effect = contrast(self.estimate, self.se)?;
        let tau = parts::positive("tau", self.tau)?;
        let alpha = parts::alpha(self.alpha)? / f64::from(self.guardrails.unwrap_or(1).max(1));
        let good = if self.want == Want::Up { effect } else { effect.mirrored() };
        let bound = good.estimate + half_width_one_sided(good.se, tau, alpha);
        let log_e = log_e_one_sided(-good.estimate, good.se, tau);
        Ok(Worsening {
            alpha: Num(alpha),
            good_side_bound: Num(bound),
            worse: bound < 0.0,
            log_e: Num(log_e),
            p: probability(log_e),
        })
    }

    fn sentence(&self, told: &Worsening) -> String {
        let bound = plain::change(told.good_side_bound.0);
        let word = if told.worse { "Worse" } else { "Not shown to be worse" };
        format!("{word}: at best {bound}, good direction positive ({}).", p(told.p))
    }
}

/// An effect that should lie within a margin on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Equivalence {
    /// Treatment minus control.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Half-width of the equivalence region.
    pub margin: f64,
}

/// Two one-sided tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Tost {
    /// p of "below -margin".
    pub p_below: Num,
    /// p of "above +margin".
    pub p_above: Num,
    /// The larger of both: p of "not equivalent".
    pub p: Num,
}

impl Ask for Equivalence {
    type Answer = Tost;
    const LINE: &'static str = "equivalence within a margin by two one-sided z tests, at one look";
    const CITATION: &'static str = "TOST, Schuirmann 1987 (statistics 1.7)";
    const ASSUMES: &'static [&'static str] = &["one planned look", "normal estimate"];
    const EXAMPLE: &'static str = r#"{"estimate":0.001,"se":0.004,"margin":0.01}"#;
    const WORDS: &'static str = "estimate=0.001 se=0.004 margin=1pts";

    fn answer(&self, _: &mut Notes) -> Result<Tost, Fault> {
        let Contrast { estimate, se } = contrast(self.estimate, self.se)?;
        let margin = parts::positive("margin", self.margin)?;
        let below = z_p((estimate + margin) / se, Alternative::Greater);
        let above = z_p((estimate - margin) / se, Alternative::Less);
        let p = tost(below, above);
        Ok(Tost { p_below: Num(below), p_above: Num(above), p: Num(p) })
    }

    fn sentence(&self, told: &Tost) -> String {
        format!("Not equivalent within {}: {}.", number(self.margin), p(told.p))
    }
}

/// Two means whose relative change is shown.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// Control arm.
    pub control: Summary,
    /// Treatment arm.
    pub treatment: Summary,
    /// Mixing sd of the absolute effect: adds the set that is valid at every look.
    pub tau: Option<f64>,
    /// Error probability, two-sided (default 0.05).
    #[serde(default = "alpha_default")]
    pub alpha: f64,
}

/// Intervals of a relative change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Lifts {
    /// treatment / control - 1.
    pub lift: Num,
    /// Log scale, one look; null unless both means are above 0.
    pub log_ratio: Bounds,
    /// Fieller, one look; null when the control is too close to 0 for its error.
    pub fieller: Bounds,
    /// `g` of Fieller: unbounded from 1.
    pub fieller_g: Num,
    /// Linear delta method, one look: only to compare with tools that use it.
    pub linear: Bounds,
    /// Sequential Fieller set, valid at every look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Bounds>,
}

fn fieller(set: display::Fieller, notes: &mut Notes) -> Bounds {
    match set {
        display::Fieller::Bounded(lift) => lift.into(),
        display::Fieller::Unbounded => {
            notes.push("a Fieller set is unbounded: the control is too close to 0 for its error");
            Bounds::NONE
        }
    }
}

impl Ask for Lift {
    type Answer = Lifts;
    const LINE: &'static str = "intervals of the relative change for display: log, Fieller, linear";
    const CITATION: &'static str = "Fieller 1954; log ratio; linear delta (statistics 1.6)";
    const ASSUMES: &'static [&'static str] =
        &["means are near normal", "never decides: a relative threshold is a linear contrast"];
    const EXAMPLE: &'static str = r#"{"control":{"n":4000,"mean":10.2,"sd":8.1},
        "treatment":{"n":4000,"mean":10.9,"sd":8.4},"tau":1.0}"#;
    const WORDS: &'static str =
        "control=n:4000,mean:10.2,sd:8.1 treatment=n:4000,mean:10.9,sd:8.4 tau=1";

    fn answer(&self, notes: &mut Notes) -> Result<Lifts, Fault> {
        let (c, t) = (self.control.checked("control")?, self.treatment.checked("treatment")?);
        let (c, t) = ((c.mean, c.variance_of_mean), (t.mean, t.variance_of_mean));
        let z = crate::stats::special::norm_isf(0.5 * parts::alpha(self.alpha)?);
        let lift = display::lift(t.0, c.0).ok_or_else(|| {
            Fault::new("the control is 0", "a change of nothing has no percentage")
        })?;
        let log_ratio = display::log_lift(t, c, z);
        if log_ratio.is_none() {
            notes.push("no log interval: both means must be above 0");
        }
        let linear = display::linear_lift(t, c);
        if linear.is_none() {
            notes.push("no linear interval: the control is too close to 0");
        }
        let sequential = match self.tau {
            Some(tau) => {
                Some(display::sequential_lift(t, c, parts::positive("tau", tau)?, self.alpha))
            }
            None => None,
        };
        let g = display::fieller_g(c, z);
        if Num(g).get().is_none() {
            notes.push("g is beyond all numbers");
        }
        Ok(Lifts {
            lift: Num(lift),
            log_ratio: log_ratio.into(),
            fieller: fieller(display::fieller(t, c, z), notes),
            fieller_g: Num(g),
            linear: linear.map(|x| Interval::around(x.estimate, z * x.se)).into(),
            sequential: sequential.map(|set| fieller(set, notes)),
        })
    }

    fn sentence(&self, told: &Lifts) -> String {
        let interval = told.sequential.unwrap_or(told.fieller);
        let change = percent::change;
        format!(
            "Relative change {} ({}).",
            change(told.lift.0),
            range(interval, self.alpha, change)
        )
    }
}
