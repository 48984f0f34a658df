//! From sufficient statistics of arms to a contrast: estimate and standard error.
//!
//! Place in the line: the door to [`super::info_time`] for every counted form, for two concurrent
//! arms, for a measured baseline (the baseline is the "control") and for a stated constant.
//!
//! Formulas (statistics 1.2, 1.4, 1.6):
//! * proportion `x/n`: variance `p~(1-p~)/n` with `p~ = (x+1)/(n+2)` (Agresti & Caffo 2000), in the
//!   variance only, never in the estimate
//! * mean: `s^2/n`, `s^2 = (sum_sq - sum^2/n)/(n-1)`
//! * ratio of sums (Deng, Knoblich & Lu 2018): `R = num/den`,
//!   `(s_m^2 - 2 R s_md + R^2 s_d^2)/(dbar^2 n)`
//! * rate: `max(c, 1)/E^2`, times the overdispersion factor
//! * relative threshold: `m_t - (1+r) m_c`, `SE^2 = v_t + (1+r)^2 v_c`; exact, no delta method.
//!
//! Assumptions: independent units (the unit of a ratio is the user or account). Invariants: all
//! results finite; an empty arm has an [`UNBOUNDED`] variance, so it can prove nothing.

use serde::{Deserialize, Serialize};

use super::{Contrast, UNBOUNDED, bounded};

/// Sums of squares below this share of the raw sum are rounding noise, not variance.
const NOISE: f64 = 1.0e-13;

/// Anything with a mean and the variance of that mean.
pub trait Arm {
    /// The estimate of this arm, in the unit of the signal.
    fn mean(&self) -> f64;
    /// The variance of [`Arm::mean`] (not of one unit).
    fn variance_of_mean(&self) -> f64;
}

/// `x` successes among `n` units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Proportion {
    /// Successes.
    pub x: f64,
    /// Units.
    pub n: f64,
}

/// Count, sum and sum of squares of one value per unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Moments {
    /// Units.
    pub n: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_sq: f64,
}

/// The six sums of a ratio metric: per unit a numerator and a denominator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RatioSums {
    /// Units.
    pub n: f64,
    /// Sum of numerators.
    pub num: f64,
    /// Sum of denominators.
    pub den: f64,
    /// Sum of squared numerators.
    pub num_sq: f64,
    /// Sum of squared denominators.
    pub den_sq: f64,
    /// Sum of products numerator * denominator.
    pub cross: f64,
}

/// Events in an exposure (sessions, hours, requests).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Count {
    /// Events.
    pub events: f64,
    /// Exposure.
    pub exposure: f64,
}

impl Proportion {
    /// `x / n`; 0 when empty.
    #[must_use]
    pub fn mean(&self) -> f64 {
        quotient(self.x, self.n)
    }

    /// `p~(1-p~)/n` with one success and one failure added to the rate only.
    ///
    /// `1-p~` comes from the failures: near a share of 1 the difference from 1 has no digits left.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        let size = self.n + 2.0;
        let (hits, misses) = ((self.x + 1.0) / size, (self.n - self.x + 1.0) / size);
        variance(hits * misses / self.n, self.n > 0.0)
    }

    /// The same units with successes and failures swapped.
    #[must_use]
    pub fn misses(&self) -> Self {
        Self { x: self.n - self.x, n: self.n }
    }

    /// `p(1-p)` of one unit, from both counts; 0 when empty.
    #[must_use]
    pub fn variance_of_unit(&self) -> f64 {
        self.mean() * self.misses().mean()
    }

    /// Whether the normal approximation is allowed: ten successes and ten failures.
    #[must_use]
    pub fn has_ten_of_each(&self) -> bool {
        self.x >= 10.0 && self.n - self.x >= 10.0
    }
}

impl Moments {
    /// The moments behind a published mean, sample sd (n-1) and count.
    #[must_use]
    pub fn from_mean_sd(mean: f64, sd: f64, n: f64) -> Self {
        let sum_sq = sd * sd * (n - 1.0) + mean * mean * n;
        Self { n, sum: mean * n, sum_sq }
    }

    /// `sum / n`; 0 when empty.
    #[must_use]
    pub fn mean(&self) -> f64 {
        quotient(self.sum, self.n)
    }

    /// Variance of one unit, `n - 1` in the denominator; rounding noise counts as 0.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let squares = centred(self.sum_sq, self.sum, self.sum, self.n);
        variance(squares / (self.n - 1.0), self.n > 1.0)
    }

    /// `s^2 / n`.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        variance(self.variance() / self.n, self.n > 1.0)
    }
}

impl RatioSums {
    /// `num / den`; 0 when the denominator is.
    #[must_use]
    pub fn mean(&self) -> f64 {
        quotient(self.num, self.den)
    }

    /// Delta-method variance of the ratio, units independent.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        let ratio = self.mean();
        let num = centred(self.num_sq, self.num, self.num, self.n);
        let den = centred(self.den_sq, self.den, self.den, self.n);
        let cross = self.cross - self.num * (self.den / self.n);
        let terms = (num, 2.0 * ratio * cross, ratio * ratio * den);
        let mut spread = terms.0 - terms.1 + terms.2;
        // The three terms cancel when the numerator is a multiple of the denominator.
        if spread.abs() < 1.0e-12 * (terms.0 + terms.2) {
            spread = 0.0;
        }
        let per_unit = spread / (self.n - 1.0);
        let mean_den = self.den / self.n;
        variance(per_unit / (mean_den * mean_den * self.n), self.n > 1.0 && self.den != 0.0)
    }
}

impl Count {
    /// Events per exposure; 0 without exposure.
    #[must_use]
    pub fn mean(&self) -> f64 {
        quotient(self.events, self.exposure)
    }

    /// `max(c, 1)/E^2`: one event is the floor, so that "none seen" is not "none possible".
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        let per = self.events.max(1.0) / self.exposure;
        variance(per / self.exposure, self.exposure > 0.0)
    }
}

macro_rules! arm {
    ($($name:ty),+) => {$(
        impl Arm for $name {
            fn mean(&self) -> f64 {
                <$name>::mean(self)
            }
            fn variance_of_mean(&self) -> f64 {
                <$name>::variance_of_mean(self)
            }
        }
    )+};
}
arm!(Proportion, Moments, RatioSums, Count);

/// `m_t - m_c` with both errors: two arms, or a measured baseline as `control`.
#[must_use]
pub fn difference<A: Arm, B: Arm>(treatment: &A, control: &B) -> Contrast {
    relative(treatment, control, 0.0)
}

/// The contrast of a relative threshold: `m_t - (1+r) m_c`, positive when the change exceeds `r`.
///
/// `r` is a fraction (`0.10` for "+10 %"); `r = 0` is the plain difference.
#[must_use]
pub fn relative<A: Arm, B: Arm>(treatment: &A, control: &B, r: f64) -> Contrast {
    linear(
        (treatment.mean(), treatment.variance_of_mean()),
        (control.mean(), control.variance_of_mean()),
        1.0 + r,
    )
}

/// `m_t - c` for a stated constant `c`: only the treatment's error counts.
#[must_use]
pub fn against_constant<A: Arm>(treatment: &A, constant: f64) -> Contrast {
    Contrast::from_variance(treatment.mean() - constant, treatment.variance_of_mean())
}

/// `difference` of two event rates with the standard error widened by `sqrt(max(1, phi))`.
#[must_use]
pub fn rates(treatment: &Count, control: &Count, phi: f64) -> Contrast {
    difference(treatment, control).widened(phi)
}

/// `m_t - w m_c` from `(mean, variance of the mean)` of both sides, for means estimated elsewhere
/// (block means of a series).
#[must_use]
pub fn linear(treatment: (f64, f64), control: (f64, f64), w: f64) -> Contrast {
    Contrast::from_variance(treatment.0 - w * control.0, treatment.1 + w * w * control.1)
}

fn quotient(top: f64, bottom: f64) -> f64 {
    if bottom == 0.0 { 0.0 } else { bounded(top / bottom) }
}

fn variance(value: f64, known: bool) -> f64 {
    if known && !value.is_nan() { value.clamp(0.0, UNBOUNDED) } else { UNBOUNDED }
}

/// `sum xy - sum x sum y / n`, with rounding noise set to 0.
fn centred(products: f64, x: f64, y: f64, n: f64) -> f64 {
    let rest = products - x * (y / n);
    if rest <= NOISE * products.abs() { 0.0 } else { rest }
}
