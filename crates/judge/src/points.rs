//! Points: what a source said about one period and one arm, reduced to sufficient statistics.
//!
//! The contract step makes them, the store keeps every version of them, and `observe` adds them
//! up. A point never holds a user.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The arm name of populations without arms.
pub const ALL: &str = "all";

/// One (period, arm) of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Arm label as the source names it, [`ALL`] without arms.
    pub arm: String,
    /// First instant of the period.
    pub start: Timestamp,
    /// First instant after the period.
    pub end: Timestamp,
    /// The sums of the period.
    pub sums: Sums,
}

/// Sufficient statistics of one form. Counts stay exact up to 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sums {
    /// `num` of `den`.
    Proportion {
        /// Units that did.
        num: f64,
        /// Units in all.
        den: f64,
    },
    /// Moments of a per-unit number.
    Mean {
        /// Units.
        n: f64,
        /// Sum of the number.
        sum: f64,
        /// Sum of its square.
        sum_sq: f64,
    },
    /// Six sums of a ratio of two per-unit numbers.
    Ratio {
        /// Units.
        n: f64,
        /// Sum of the numerator.
        num: f64,
        /// Sum of the denominator.
        den: f64,
        /// Sum of squared numerators.
        num_sq: f64,
        /// Sum of squared denominators.
        den_sq: f64,
        /// Sum of products.
        cross: f64,
    },
    /// Events per exposure.
    Rate {
        /// Events.
        events: f64,
        /// Exposure in the signal's unit.
        exposure: f64,
    },
    /// A number without counts; adding two keeps the newest.
    Value {
        /// The number.
        value: f64,
    },
}

impl Sums {
    /// The six store columns `s1..s6` (unused ones are zero).
    pub fn to_array(self) -> [f64; 6] {
        match self {
            Self::Proportion { num, den } => [num, den, 0.0, 0.0, 0.0, 0.0],
            Self::Mean { n, sum, sum_sq } => [n, sum, sum_sq, 0.0, 0.0, 0.0],
            Self::Ratio { n, num, den, num_sq, den_sq, cross } => {
                [n, num, den, num_sq, den_sq, cross]
            }
            Self::Rate { events, exposure } => [events, exposure, 0.0, 0.0, 0.0, 0.0],
            Self::Value { value } => [value, 0.0, 0.0, 0.0, 0.0, 0.0],
        }
    }

    /// The inverse of [`Sums::to_array`]; `None` for a form name that does not exist.
    pub fn from_array(form: &str, sums: [f64; 6]) -> Option<Self> {
        let [a, b, c, d, e, f] = sums;
        Some(match form {
            "proportion" => Self::Proportion { num: a, den: b },
            "mean" => Self::Mean { n: a, sum: b, sum_sq: c },
            "ratio" => Self::Ratio { n: a, num: b, den: c, num_sq: d, den_sq: e, cross: f },
            "rate" => Self::Rate { events: a, exposure: b },
            "value" => Self::Value { value: a },
            _ => return None,
        })
    }

    /// The form's name in the store.
    pub fn form_name(self) -> &'static str {
        match self {
            Self::Proportion { .. } => "proportion",
            Self::Mean { .. } => "mean",
            Self::Ratio { .. } => "ratio",
            Self::Rate { .. } => "rate",
            Self::Value { .. } => "value",
        }
    }

    /// How many units (or events' exposure, or 1 for a value) stand behind it.
    pub fn units(self) -> f64 {
        match self {
            Self::Proportion { den, .. } => den,
            Self::Mean { n, .. } | Self::Ratio { n, .. } => n,
            Self::Rate { exposure, .. } => exposure,
            Self::Value { .. } => 1.0,
        }
    }

    /// The level: share, mean, ratio, rate or the value itself; `None` over nothing.
    pub fn level(self) -> Option<f64> {
        let (top, bottom) = match self {
            Self::Proportion { num, den } => (num, den),
            Self::Mean { n, sum, .. } => (sum, n),
            Self::Ratio { num, den, .. } => (num, den),
            Self::Rate { events, exposure } => (events, exposure),
            Self::Value { value } => (value, 1.0),
        };
        let level = top / bottom;
        (bottom > 0.0 && level.is_finite()).then_some(level)
    }
}

impl AddAssign for Sums {
    /// Adds period to period. Different forms never meet: a series has one form, which the
    /// contract step checks, so a mismatch leaves the left side as it is.
    fn add_assign(&mut self, other: Self) {
        if let (Self::Value { value }, Self::Value { value: newest }) = (&mut *self, other) {
            *value = newest;
            return;
        }
        if self.form_name() != other.form_name() {
            return;
        }
        let (mut sums, more) = (self.to_array(), other.to_array());
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
        if let Some(total) = Self::from_array(self.form_name(), sums) {
            *self = total;
        }
    }
}
