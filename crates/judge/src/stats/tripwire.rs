//! Control charts for sudden shifts of a series: CUSUM and EWMA.
//!
//! Place in the line: page-level tripwires of `value` guardrails; never a verdict, since an average
//! run length guarantees a false alarm some day.
//!
//! Formulas (statistics 1.5; Page 1954, Roberts 1959, Lucas & Saccucci 1990) on block means
//! standardised by the reference: one-sided CUSUM `C_i = max(0, C_{i-1} + z_i - k)`, alarm above
//! `h` (k 0.5, h 5: about 930 blocks between false alarms one-sided, 1 sd found in about 10);
//! EWMA `E_i = lam x_i + (1-lam) E_{i-1}`, limit
//! `L sqrt(lam/(2-lam) (1 - (1-lam)^{2i}))` (lam 0.2, L 2.96).
//! Assumptions: independent standardised blocks in control. Invariants: NaN leaves the state as it
//! was; states are finite.

use serde::{Deserialize, Serialize};

use super::bounded;

/// Running one-sided CUSUM upwards; feed mirrored values to watch for a fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cusum {
    /// The current sum, `>= 0`.
    pub sum: f64,
}

impl Cusum {
    /// Adds one standardised value; `k` is the allowance.
    #[must_use]
    pub fn step(self, z: f64, k: f64) -> Self {
        if z.is_nan() {
            return self;
        }
        Self { sum: bounded(self.sum + z - k).max(0.0) }
    }

    /// Whether the sum is above the alarm level `h`.
    #[must_use]
    pub fn alarms(&self, h: f64) -> bool {
        self.sum > h
    }
}

/// Running EWMA, starting at the target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ewma {
    /// Current average.
    pub mean: f64,
    /// Values taken in.
    pub count: u64,
}

impl Ewma {
    /// The state before any value.
    #[must_use]
    pub fn new(target: f64) -> Self {
        Self { mean: bounded(target), count: 0 }
    }

    /// Adds one value with weight `lambda` in (0, 1].
    #[must_use]
    pub fn step(self, x: f64, lambda: f64) -> Self {
        if x.is_nan() {
            return self;
        }
        Self { mean: bounded(lambda * x + (1.0 - lambda) * self.mean), count: self.count + 1 }
    }

    /// Half-width of the control limits around the target for values of standard deviation `sd`.
    #[must_use]
    pub fn limit(&self, sd: f64, lambda: f64, width: f64) -> f64 {
        let settled = 1.0 - libm::pow(1.0 - lambda, 2.0 * self.count as f64);
        bounded(width * sd * (lambda / (2.0 - lambda) * settled).sqrt())
    }
}

/// `(x - mean)/sd`; `None` when the reference does not vary.
#[must_use]
pub fn standardise(x: f64, mean: f64, sd: f64) -> Option<f64> {
    let z = (x - mean) / sd;
    (sd > 0.0 && z.is_finite()).then_some(z)
}
