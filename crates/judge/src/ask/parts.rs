//! Pieces of questions: arms, summaries, sides, and the checks of what is given.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::number::Num;
use super::{Fault, Notes};
use crate::stats::fixed::{Alternative, welch::Side};
use crate::stats::info_time::ln_p_from_log_e;
use crate::stats::two_arm;

/// Largest count: beyond it floats skip whole numbers.
const MOST: f64 = 9_007_199_254_740_992.0;

macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, $top:ident: $top_doc:literal, $low:ident: $low_doc:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
        pub struct $name {
            #[doc = $top_doc]
            pub $top: f64,
            #[doc = $low_doc]
            pub $low: f64,
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Fields {
                    $top: f64,
                    $low: f64,
                }
                struct Pair;
                impl<'de> Visitor<'de> for Pair {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        let (top, low) = (stringify!($top), stringify!($low));
                        write!(f, "{{\"{top}\": .., \"{low}\": ..}} or \"{top}/{low}\"")
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        let numbers = text.split_once('/').and_then(|(a, b)| {
                            Some((a.trim().parse().ok()?, b.trim().parse().ok()?))
                        });
                        match numbers {
                            Some(($top, $low)) => Ok($name { $top, $low }),
                            None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                        }
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        let Fields { $top, $low } =
                            Fields::deserialize(MapAccessDeserializer::new(map))?;
                        Ok($name { $top, $low })
                    }
                }
                deserializer.deserialize_any(Pair)
            }
        }
    };
}

pair! {
    /// Successes among units; also written `"1620/6000"`.
    Share, x: "Successes.", n: "Units."
}
pair! {
    /// Events in an exposure; also written `"12/3400"`.
    Count, events: "Events.", exposure: "Exposure: sessions, hours, requests."
}

impl Share {
    /// The share, checked.
    pub(super) fn checked(self, name: &str) -> Result<two_arm::Proportion, Fault> {
        if self.n > 0.0 && self.x >= 0.0 && self.x <= self.n && self.n <= MOST {
            return Ok(two_arm::Proportion { x: self.x, n: self.n });
        }
        let cause = format!("`{name}`: {} of {} is no share", self.x, self.n);
        Err(Fault::new(cause, "x successes among n units: 0 <= x <= n, n above 0, at most 2^53"))
    }
}

impl Count {
    /// The count, checked.
    pub(super) fn checked(self, name: &str) -> Result<two_arm::Count, Fault> {
        let Self { events, exposure } = self;
        if exposure > 0.0 && (0.0..=MOST).contains(&events) && exposure.is_finite() {
            return Ok(two_arm::Count { events, exposure });
        }
        let cause = format!("`{name}`: {events} events in an exposure of {exposure}");
        Err(Fault::new(cause, "events are 0 or more, the exposure is above 0"))
    }
}

/// One arm of a mean, in whichever numbers are at hand: `n` with `mean` and `sd` (or `variance`, or
/// `se`), with `sum` and `sum_sq`, or with `x` successes (variance p(1-p), not smoothed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Units.
    pub n: f64,
    /// Mean of a unit.
    pub mean: Option<f64>,
    /// Sample standard deviation of a unit (n - 1).
    pub sd: Option<f64>,
    /// Sample variance of a unit (n - 1).
    pub variance: Option<f64>,
    /// Standard error of the mean.
    pub se: Option<f64>,
    /// Sum of the values.
    pub sum: Option<f64>,
    /// Sum of their squares.
    pub sum_sq: Option<f64>,
    /// Successes, for a share.
    pub x: Option<f64>,
}

impl Summary {
    /// Mean and variance of the mean, checked.
    pub(super) fn checked(&self, name: &str) -> Result<Side, Fault> {
        let found = match (self.mean, self.sum, self.sum_sq, self.x) {
            (Some(mean), None, None, None) => {
                let square = |x: f64| x * x;
                match (self.sd, self.variance, self.se) {
                    (Some(sd), None, None) => Some((mean, square(sd) / self.n)),
                    (None, Some(variance), None) => Some((mean, variance / self.n)),
                    (None, None, Some(se)) => Some((mean, square(se))),
                    _ => None,
                }
            }
            (None, Some(sum), Some(sum_sq), None) if self.has_no_spread() => {
                let moments = two_arm::Moments { n: self.n, sum, sum_sq };
                Some((moments.mean(), moments.variance_of_mean()))
            }
            (None, None, None, Some(x)) if self.has_no_spread() => {
                let share = Share { x, n: self.n }.checked(name)?;
                Some((share.mean(), share.variance_of_unit() / self.n))
            }
            _ => None,
        };
        let Some((mean, variance_of_mean)) = found else {
            return Err(Fault::new(
                format!("`{name}` does not say its mean and spread once"),
                "n with one of: mean and sd; mean and variance; mean and se; sum and sum_sq; x",
            ));
        };
        let usable = self.n > 1.0 && variance_of_mean >= 0.0 && variance_of_mean.is_finite();
        if usable && mean.is_finite() && self.n.is_finite() {
            return Ok(Side { mean, variance_of_mean, n: self.n });
        }
        let cause = format!("`{name}`: no variance can be had from these numbers");
        Err(Fault::new(cause, "n is above 1, sd, variance and se are 0 or more"))
    }

    fn has_no_spread(&self) -> bool {
        self.sd.is_none() && self.variance.is_none() && self.se.is_none()
    }
}

/// Which alternative a p-value speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Different in either direction.
    #[default]
    TwoSided,
    /// Treatment larger.
    Greater,
    /// Treatment smaller.
    Less,
}

impl From<Direction> for Alternative {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::TwoSided => Self::TwoSided,
            Direction::Greater => Self::Greater,
            Direction::Less => Self::Less,
        }
    }
}

/// Which direction of the signal is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Higher is better.
    #[default]
    Up,
    /// Lower is better.
    Down,
}

/// What a test of one planned look assumes.
pub(super) const ONE_LOOK: &str = "one planned look: looking again inflates the error";
/// Why one end of an interval is null.
pub(super) const OPEN: &str = "a one-sided interval is open on the other side (null)";

/// Notes that the named answers do not exist for these data.
pub(super) fn missing(is_missing: bool, why: &'static str, notes: &mut Notes) {
    if is_missing {
        notes.push(why);
    }
}

/// The always-valid p of an e-value given by its log.
pub(super) fn probability(log_e: f64) -> Num {
    Num(libm::exp(ln_p_from_log_e(log_e)))
}

/// The default error probability.
pub(super) fn alpha_default() -> f64 {
    0.05
}

/// Two-sided, the default of tests.
pub(super) fn two_sides() -> crate::stats::Sides {
    crate::stats::Sides::Two
}

/// An error probability, checked.
pub(super) fn alpha(alpha: f64) -> Result<f64, Fault> {
    inside("alpha", alpha, "an error probability such as 0.05")
}

/// A number strictly between 0 and 1.
pub(super) fn inside(name: &str, value: f64, what: &str) -> Result<f64, Fault> {
    if value > 0.0 && value < 1.0 {
        return Ok(value);
    }
    let cause = format!("`{name}` is {value}");
    Err(Fault::new(cause, format!("{name} is {what}: above 0, below 1")))
}

/// A number above 0.
pub(super) fn positive(name: &str, value: f64) -> Result<f64, Fault> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Fault::new(format!("`{name}` is {value}"), format!("{name} is above 0")))
}

/// A list that is long enough for its method, and not longer than anybody means.
pub(super) fn list<'a>(name: &str, values: &'a [f64], least: usize) -> Result<&'a [f64], Fault> {
    const MOST: usize = 1_000_000;
    if (least..=MOST).contains(&values.len()) {
        return Ok(values);
    }
    let cause = format!("`{name}` has {} values", values.len());
    Err(Fault::new(cause, format!("{name} has {least} to {MOST} values")))
}
