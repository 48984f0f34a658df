//! Numbers as they leave: finite, 12 significant digits, or null.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::record::round12;
use crate::stats::{Interval, UNBOUNDED};

/// A number that may not exist: whatever is not finite, or stands for "no bound", leaves as null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Num(pub f64);

impl Num {
    /// No number.
    pub const NONE: Self = Self(f64::NAN);

    /// The number, if there is one.
    #[must_use]
    pub fn get(self) -> Option<f64> {
        (self.0.is_finite() && self.0.abs() < UNBOUNDED).then(|| round12(self.0))
    }
}

impl From<f64> for Num {
    fn from(x: f64) -> Self {
        Self(x)
    }
}

impl From<Option<f64>> for Num {
    fn from(x: Option<f64>) -> Self {
        x.map_or(Self::NONE, Self)
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(x) => serializer.serialize_f64(x),
            None => serializer.serialize_none(),
        }
    }
}

impl JsonSchema for Num {
    fn schema_name() -> Cow<'static, str> {
        "Num".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["number", "null"]})
    }
}

/// An interval; null on a side without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bounds {
    /// Lower end.
    pub lower: Num,
    /// Upper end.
    pub upper: Num,
}

impl Bounds {
    /// No interval.
    pub const NONE: Self = Self { lower: Num::NONE, upper: Num::NONE };
}

impl From<Interval> for Bounds {
    fn from(x: Interval) -> Self {
        Self { lower: Num(x.lo), upper: Num(x.hi) }
    }
}

impl From<Option<Interval>> for Bounds {
    fn from(x: Option<Interval>) -> Self {
        x.map_or(Self::NONE, Self::from)
    }
}
