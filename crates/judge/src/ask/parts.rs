//! Pieces of questions: arms, summaries, sides, and the checks of what is given.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::number::Num;
use super::{Fault, Notes};
use crate::record::round12;
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

impl Share {
    /// The same for exact methods, which count whole units.
    pub(super) fn checked_whole(self, name: &str) -> Result<two_arm::Proportion, Fault> {
        let seen = self.checked(name)?;
        whole(name, seen.x)?;
        whole(name, seen.n)?;
        Ok(seen)
    }
}

impl Count {
    /// The same for exact methods, which count whole events.
    pub(super) fn checked_whole(self, name: &str) -> Result<two_arm::Count, Fault> {
        let seen = self.checked(name)?;
        whole(name, seen.events)?;
        Ok(seen)
    }

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
        let spreads = [("sd", self.sd), ("variance", self.variance), ("se", self.se)];
        for (field, spread) in spreads {
            if let Some(spread) = spread.filter(|spread| *spread < 0.0) {
                let cause = format!("`{name}.{field}` is {spread}");
                return Err(Fault::new(cause, format!("{field} is 0 or more: check the sign")));
            }
        }
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
                possible(name, self.n, [("sum", sum), ("sum_sq", sum_sq)])?;
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

    /// Whether no spread is given beside what says it already.
    fn has_no_spread(&self) -> bool {
        self.sd.is_none() && self.variance.is_none() && self.se.is_none()
    }
}

/// Share by which sums may miss what is possible: the digits a source rounds away.
const ROUNDED: f64 = 1.0e-9;

/// Refuses sums that no `n` values have: squares add up to `sum^2 / n` at least.
pub(super) fn possible(
    name: &str,
    n: f64,
    [(sum_name, sum), (squares_name, squares)]: [(&str, f64); 2],
) -> Result<(), Fault> {
    if !(n > 1.0 && n.is_finite()) {
        let cause = format!("`{name}.n` is {n}");
        return Err(Fault::new(cause, "sums of two units at least: n is above 1"));
    }
    let least = sum * (sum / n);
    if squares >= least - ROUNDED * least.abs() {
        return Ok(());
    }
    let cause = format!(
        "`{name}.{squares_name}` is {}: {} values with {sum_name} {} have {} at least",
        round12(squares),
        round12(n),
        round12(sum),
        round12(least)
    );
    let hint = format!("{squares_name} is the sum of the squared values, not the square of a sum");
    Err(Fault::new(cause, hint))
}

/// Refuses a sum of products beyond what its two sums of squares allow (Cauchy & Schwarz).
pub(super) fn possible_product(
    name: &str,
    n: f64,
    (field, product): (&str, f64),
    [(a, aa), (b, bb)]: [(f64, f64); 2],
) -> Result<(), Fault> {
    let spread = |sum: f64, squares: f64| (squares - sum * (sum / n)).max(0.0);
    let room = (spread(a, aa) * spread(b, bb)).sqrt() + ROUNDED * (aa * bb).sqrt();
    let gap = (product - a * (b / n)).abs();
    if gap <= room || !room.is_finite() {
        return Ok(());
    }
    let cause = format!("`{name}.{field}` is {}: the sums allow no such product", round12(product));
    Err(Fault::new(cause, format!("{field} is the sum of the products, unit by unit")))
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
    let cause = format!("`{name}` is {}", round12(value));
    Err(Fault::new(cause, format!("{name} is {what}: above 0, below 1")))
}

/// A change of a share, checked: a fraction, so 0.03 for 3 points.
pub(super) fn change_of_share(name: &str, change: f64) -> Result<f64, Fault> {
    if change.abs() <= 1.0 {
        return Ok(change);
    }
    let (fraction, points) = (round12(change / 100.0), round12(change));
    let cause = format!("`{name}` is {points}: no share changes by more than 1");
    Err(Fault::new(
        cause,
        format!("a fraction: {fraction} for {points} points; {points} % is a relative change"),
    ))
}

/// A count that an exact method can take.
pub(super) fn whole(name: &str, count: f64) -> Result<f64, Fault> {
    if (0.0..=MOST).contains(&count) && count == libm::floor(count) {
        return Ok(count);
    }
    let cause = format!("`{name}` has {count}");
    Err(Fault::new(cause, "an exact method counts: whole numbers, 0 or more, at most 2^53"))
}

/// A number above 0.
pub(super) fn positive(name: &str, value: f64) -> Result<f64, Fault> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Fault::new(format!("`{name}` is {}", round12(value)), format!("{name} is above 0")))
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
