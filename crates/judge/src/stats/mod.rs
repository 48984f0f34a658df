//! The statistics of verdictd: pure functions on numbers.
//!
//! Place in the line: the room above (`analyse`) reduces observations to sufficient statistics and
//! maps experiments onto these functions; nothing here knows an experiment, a signal or a clock.
//!
//! Invariants of every function:
//! * **Total.** Bad input (NaN, negative counts, a zero standard error) never panics and never
//!   yields NaN or an infinity: evidence becomes "none" (`log_e = 0`), intervals become unbounded
//!   ([`UNBOUNDED`]), tests become `None`.
//! * **In logs.** Evidence is a natural log of an e-value; it overflows nowhere.
//! * **Deterministic.** Only `libm` and IEEE arithmetic in a fixed order, so the same numbers give
//!   the same bytes on every machine.
//!
//! Every file states its formula, its source and its assumptions.

use serde::{Deserialize, Serialize};

pub mod asymptotic;
pub mod autocorrelation;
mod beta_mixture;
pub mod binomial;
pub mod blocks;
pub mod bootstrap;
pub mod cuped;
pub mod display;
pub mod exact_power;
pub mod fixed;
pub mod group_sequential;
pub mod info_time;
pub mod its;
pub mod multiple;
pub mod noninferiority;
pub mod one_proportion;
pub mod overdispersion;
pub mod poisson;
pub mod power;
pub mod proxy_validity;
pub mod rare;
pub mod rare_difference;
pub mod skew;
pub mod special;
pub mod srm;
pub mod theatre;
pub mod tripwire;
pub mod two_arm;

/// The finite stand-in for "no bound": an interval end at `±UNBOUNDED` excludes nothing.
///
/// A true infinity cannot be written to JSON; this value can, and it survives rounding to twelve
/// significant digits.
pub const UNBOUNDED: f64 = 1.0e308;

/// A two-sided interval `lo <= hi` in the unit of whatever was estimated.
///
/// One-sided results use [`UNBOUNDED`] on the open side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// The interval that excludes nothing.
    pub const ALL: Self = Self { lo: -UNBOUNDED, hi: UNBOUNDED };

    /// From computed ends: what is not a number becomes unbounded.
    #[must_use]
    pub(crate) fn of(lo: f64, hi: f64) -> Self {
        let lo = if lo.is_nan() { -UNBOUNDED } else { bounded(lo) };
        Self { lo, hi: if hi.is_nan() { UNBOUNDED } else { bounded(hi) } }
    }

    /// `centre ± half`, clamped to finite numbers.
    #[must_use]
    pub fn around(centre: f64, half: f64) -> Self {
        if !centre.is_finite() || half.is_nan() {
            return Self::ALL;
        }
        Self { lo: bounded(centre - half), hi: bounded(centre + half) }
    }

    /// Whether `x` lies inside, ends included.
    #[must_use]
    pub fn contains(&self, x: f64) -> bool {
        self.lo <= x && x <= self.hi
    }

    /// The mirror image about zero (for "lower is better").
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self { lo: -self.hi, hi: -self.lo }
    }

    /// The interval moved by `by`; unbounded ends stay unbounded.
    #[must_use]
    pub fn shifted(&self, by: f64) -> Self {
        let moved = |end: f64| {
            if end.abs() >= UNBOUNDED { end } else { bounded(end + by) }
        };
        Self { lo: moved(self.lo), hi: moved(self.hi) }
    }

    /// Whether the lower end is [`UNBOUNDED`].
    #[must_use]
    pub fn lo_unbounded(&self) -> bool {
        self.lo <= -UNBOUNDED
    }

    /// Whether the upper end is [`UNBOUNDED`].
    #[must_use]
    pub fn hi_unbounded(&self) -> bool {
        self.hi >= UNBOUNDED
    }
}

/// An estimated effect and its standard error, both in the unit of the contrast.
///
/// Positive means "treatment above comparison (plus threshold)"; for "lower is better" mirror it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Contrast {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error, `>= 0`.
    pub se: f64,
}

/// Why a [`Contrast`] cannot be judged although it has numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Degenerate {
    /// No variance anywhere and no difference: inconclusive, the quantity is constant.
    Constant,
    /// No variance but a difference: invalid, an exact difference of constants is no test.
    ZeroVariance,
}

impl Contrast {
    /// Builds a contrast from an estimate and a variance; not-finite parts are made finite.
    #[must_use]
    pub fn from_variance(estimate: f64, variance: f64) -> Self {
        Self { estimate: bounded(estimate), se: libm::sqrt(bounded(variance).max(0.0)) }
    }

    /// The contrast with every sign turned (for "lower is better").
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { estimate: -self.estimate, se: self.se }
    }

    /// The contrast against a threshold: `estimate - by`, same standard error.
    #[must_use]
    pub fn minus(self, by: f64) -> Self {
        Self { estimate: bounded(self.estimate - by), se: self.se }
    }

    /// The standard error widened by the overdispersion factor: `SE * sqrt(max(1, phi))`.
    #[must_use]
    pub fn widened(self, phi: f64) -> Self {
        let factor = if phi.is_finite() { phi.max(1.0) } else { 1.0 };
        Self { estimate: self.estimate, se: bounded(self.se * libm::sqrt(factor)) }
    }

    /// Whether there is no variance to test with, and which of the two cases it is.
    #[must_use]
    pub fn degenerate(&self) -> Option<Degenerate> {
        if self.se > 0.0 {
            None
        } else if self.estimate == 0.0 {
            Some(Degenerate::Constant)
        } else {
            Some(Degenerate::ZeroVariance)
        }
    }
}

/// Which values are bounded or tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// One direction only, the whole alpha on it.
    One,
    /// Both directions.
    Two,
}

/// Makes any number finite: NaN becomes 0, infinities become [`UNBOUNDED`].
#[must_use]
pub(crate) fn bounded(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(-UNBOUNDED, UNBOUNDED) }
}

/// Whether `alpha` is an error probability one can work with.
#[must_use]
pub(crate) fn is_alpha(alpha: f64) -> bool {
    alpha > 0.0 && alpha < 1.0
}
