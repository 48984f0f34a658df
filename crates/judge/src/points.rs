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
    /// A proportion or mean with more about its units than its form needs.
    Detailed {
        /// Whether the number is 0 or 1 per unit (a proportion), else any (a mean).
        share: bool,
        /// Units.
        n: f64,
        /// Sum of the number.
        sum: f64,
        /// Sum of its square.
        sum_sq: f64,
        /// What there is beyond.
        extra: Extra,
    },
}

/// Sums beyond those of a form.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Extra {
    /// Sum of the number's cubes, for the skew rule of means.
    pub cubes: Option<f64>,
    /// Sums with a covariate from before exposure.
    pub covariate: Option<Covariate>,
}

/// Sums of a covariate `x` over the same units as the number `y`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Covariate {
    /// Sum of `x`.
    pub sum: f64,
    /// Sum of `x^2`.
    pub sum_sq: f64,
    /// Sum of `x y`.
    pub cross: f64,
}

impl AddAssign for Extra {
    /// What only one side has is no longer known of both.
    fn add_assign(&mut self, other: Self) {
        self.cubes = self.cubes.zip(other.cubes).map(|(left, right)| left + right);
        let covariates = self.covariate.zip(other.covariate);
        self.covariate = covariates.map(|(left, right)| Covariate {
            sum: left.sum + right.sum,
            sum_sq: left.sum_sq + right.sum_sq,
            cross: left.cross + right.cross,
        });
    }
}

impl Sums {
    /// The seven store columns `s1..s7` (unused ones are zero).
    pub fn to_array(self) -> [f64; 7] {
        match self {
            Self::Proportion { num, den } => [num, den, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::Mean { n, sum, sum_sq } => [n, sum, sum_sq, 0.0, 0.0, 0.0, 0.0],
            Self::Ratio { n, num, den, num_sq, den_sq, cross } => {
                [n, num, den, num_sq, den_sq, cross, 0.0]
            }
            Self::Rate { events, exposure } => [events, exposure, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::Value { value } => [value, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::Detailed { share, n, sum, sum_sq, extra } => {
                let x = extra.covariate.unwrap_or(Covariate { sum: 0.0, sum_sq: 0.0, cross: 0.0 });
                let (first, second) = if share { (sum, n) } else { (n, sum) };
                let cubes = extra.cubes.unwrap_or(0.0);
                [first, second, sum_sq, x.sum, x.sum_sq, x.cross, cubes]
            }
        }
    }

    /// The inverse of [`Sums::to_array`]; `None` for a form name that does not exist.
    pub fn from_array(form: &str, sums: [f64; 7]) -> Option<Self> {
        let [a, b, c, d, e, f, g] = sums;
        let covariate = Some(Covariate { sum: d, sum_sq: e, cross: f });
        let mean = |cubes, covariate| {
            let extra = Extra { cubes, covariate };
            Self::Detailed { share: false, n: a, sum: b, sum_sq: c, extra }
        };
        Some(match form {
            "proportion+covariate" => {
                let extra = Extra { cubes: None, covariate };
                Self::Detailed { share: true, n: b, sum: a, sum_sq: c, extra }
            }
            "mean+cubes" => mean(Some(g), None),
            "mean+covariate" => mean(None, covariate),
            "mean+cubes+covariate" => mean(Some(g), covariate),
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
            Self::Detailed { share: true, .. } => "proportion+covariate",
            Self::Detailed { extra, .. } => match (extra.cubes, extra.covariate) {
                (Some(_), Some(_)) => "mean+cubes+covariate",
                (None, Some(_)) => "mean+covariate",
                (_, None) => "mean+cubes",
            },
        }
    }

    /// The sums of the form alone.
    #[must_use]
    pub fn plain(self) -> Self {
        match self {
            Self::Detailed { share: true, n, sum, .. } => Self::Proportion { num: sum, den: n },
            Self::Detailed { share: false, n, sum, sum_sq, .. } => Self::Mean { n, sum, sum_sq },
            other => other,
        }
    }

    /// What there is beyond the form.
    pub fn extra(self) -> Extra {
        match self {
            Self::Detailed { extra, .. } => extra,
            _ => Extra::default(),
        }
    }

    /// How many units (or events' exposure, or 1 for a value) stand behind it.
    pub fn units(self) -> f64 {
        match self {
            Self::Proportion { den, .. } => den,
            Self::Mean { n, .. } | Self::Ratio { n, .. } | Self::Detailed { n, .. } => n,
            Self::Rate { exposure, .. } => exposure,
            Self::Value { .. } => 1.0,
        }
    }

    /// The level: share, mean, ratio, rate or the value itself; `None` over nothing.
    pub fn level(self) -> Option<f64> {
        let (top, bottom) = match self {
            Self::Proportion { num, den } => (num, den),
            Self::Mean { n, sum, .. } | Self::Detailed { n, sum, .. } => (sum, n),
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
        if let (
            Self::Detailed { n, sum, sum_sq, extra, .. },
            Self::Detailed { n: units, sum: more, sum_sq: squares, extra: beyond, .. },
        ) = (&mut *self, other)
        {
            *n += units;
            *sum += more;
            *sum_sq += squares;
            *extra += beyond;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn detailed(share: bool, cubes: Option<f64>, x: Option<f64>) -> Sums {
        let covariate = x.map(|x| Covariate { sum: x, sum_sq: x * x, cross: 2.0 * x });
        let extra = Extra { cubes, covariate };
        Sums::Detailed { share, n: 9.0, sum: 4.0, sum_sq: if share { 4.0 } else { 8.0 }, extra }
    }

    #[test]
    fn every_form_survives_its_columns() {
        let all = [
            Sums::Proportion { num: 1.0, den: 2.0 },
            Sums::Mean { n: 1.0, sum: 2.0, sum_sq: 4.0 },
            Sums::Ratio { n: 1.0, num: 2.0, den: 3.0, num_sq: 4.0, den_sq: 9.0, cross: 6.0 },
            Sums::Rate { events: 1.0, exposure: 2.0 },
            Sums::Value { value: 1.0 },
            detailed(true, None, Some(3.0)),
            detailed(false, Some(5.0), None),
            detailed(false, None, Some(3.0)),
            detailed(false, Some(5.0), Some(3.0)),
        ];
        for sums in all {
            assert_eq!(Sums::from_array(sums.form_name(), sums.to_array()), Some(sums));
        }
        assert_eq!(Sums::from_array("median", [0.0; 7]), None);
    }

    #[test]
    fn details_are_added_and_what_one_period_lacks_is_not_known() {
        let mut total = detailed(false, Some(5.0), Some(3.0));
        total += detailed(false, Some(-1.0), Some(1.0));
        let extra = total.extra();
        assert_eq!((total.units(), extra.cubes), (18.0, Some(4.0)));
        assert_eq!(extra.covariate, Some(Covariate { sum: 4.0, sum_sq: 10.0, cross: 8.0 }));
        assert_eq!(total.plain(), Sums::Mean { n: 18.0, sum: 8.0, sum_sq: 16.0 });
        total += detailed(false, None, Some(1.0));
        assert_eq!(total.extra().cubes, None);
        assert_eq!(detailed(true, None, None).plain(), Sums::Proportion { num: 4.0, den: 9.0 });
    }
}
