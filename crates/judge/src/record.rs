//! The frozen evaluation: what was asked, seen, judged and decided, as one versioned record.
//!
//! Every surface (page, terminal, message, report) renders this record and nothing else, so a
//! number is the same on all of them. Numbers are rounded to 12 significant digits here, keys
//! are sorted, instants are RFC 3339: the same inputs give the same bytes on any machine.

mod freeze;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analyse::{AlphaLine, AtomView, GuardrailStatus, RuleValue, SignalView};
use crate::decide::{Alarm, Cause, Decision, Finding, Verdict};
use crate::observe::{Observation, Observed};
use crate::spec::Experiment;
use crate::time::Timestamp;

/// Version of the record's shape.
pub const SCHEMA: &str = "verdictd/evaluation/1";

/// Version of the judge; another engine's records are shown, never recomputed silently.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// Everything an evaluation of one look is a function of (product.md 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookInput {
    /// The revision that was judged.
    pub experiment: Experiment,
    /// The slot.
    pub at: Timestamp,
    /// Which cycle, and where its checkpoint stands.
    pub cycle: Cycle,
    /// Frozen observations by signal name; every signal has one.
    pub observations: BTreeMap<String, Observation>,
    /// Frozen counts beside the signals, by their names ([`crate::spec::Beside`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, Observation>,
    /// Stored guardrail states in file order (`no_worse_than` is judged in the look itself).
    pub guardrails: Vec<GuardrailStatus>,
    /// Sequential state of earlier looks.
    pub carry: Carry,
    /// Definition changes of used signals that nobody has acknowledged.
    pub unacknowledged: Vec<String>,
    /// Since when alarms of earlier looks are on, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alarms_since: BTreeMap<String, Timestamp>,
}

/// Where a cycle stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// 1 for the first.
    pub number: u32,
    /// `start` of the revision that opened it.
    pub started_at: Timestamp,
    /// `start` of the very first cycle: measured baselines end here in every cycle.
    pub first_started_at: Timestamp,
    /// The instant of the next checkpoint, after any extension or wait for maturity.
    pub checkpoint_at: Timestamp,
    /// Whether `change: extend` was given in this cycle.
    pub extended: bool,
    /// Whether the checkpoint was moved once because an outcome was immature.
    pub waited: bool,
    /// Whether an earlier look at this checkpoint was answered `hold` or wait: it stays open.
    pub open: bool,
    /// The allocation that a human started by acknowledging a split mismatch, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<Allocation>,
    /// The first look of the hold that the look before this one was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
}

/// An allocation epoch: the split is checked on the units after it began (statistics.md 1.9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// 1 for the first that a human started.
    pub epoch: u32,
    /// When.
    pub since: Timestamp,
    /// Units by arm that were counted before it: they are not checked again.
    pub counts: BTreeMap<String, f64>,
    /// The same of further signals whose own split was off, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, BTreeMap<String, f64>>,
    /// `(mixed, units)` that were counted before it, where multiple exposure is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<(f64, f64)>,
}

/// Sequential state, by test id (engine.md 1: experiment, cycle and epoch are the store's keys).
pub type Carry = BTreeMap<String, TestState>;

/// What one sequential test remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestState {
    /// Hash of what changes the statistics; another epoch starts anew.
    pub epoch: String,
    /// Mixing parameter, frozen when the epoch opened.
    pub tau: f64,
    /// Error rate, frozen with it.
    pub alpha: f64,
    /// Natural log of the smallest always-valid p so far.
    pub ln_p: f64,
    /// Looks so far.
    pub looks: u64,
    /// When the epoch opened.
    pub opened_at: Timestamp,
    /// How many epochs came before (each is `retargeted` or `definition_changed`).
    pub earlier_epochs: u32,
    /// The planned looks of a signal so far (`look: once` and `weekly`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Box<PlannedLooks>>,
}

/// The planned looks of one signal: later looks repeat the result on these data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLooks {
    /// The data of the newest planned look.
    pub observed: Observed,
    /// When that look was.
    pub judged_at: Timestamp,
    /// The week of that look since the cycle's start.
    pub week: u32,
    /// The checkpoint it stood at, if it did.
    pub checkpoint: Option<Timestamp>,
    /// Share of the planned information at each planned look, not above 1.
    pub fractions: Vec<f64>,
    /// More came than was planned.
    pub overrun: bool,
}

/// What a revision replaces and which numbers made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revised {
    /// The verdict that was sent.
    pub verdict: Verdict,
    /// Its row of the table.
    pub cause: Cause,
    /// Everything whose data changed.
    pub changes: Vec<Restated>,
}

/// The numbers of one signal or guardrail before and after its data were restated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restated {
    /// Signal or guardrail.
    pub subject: String,
    /// The estimate (signal: in the unit of its evidence) or value (guardrail) before.
    pub before: Option<f64>,
    /// The same now; `None` where there is nothing to estimate from.
    pub now: Option<f64>,
    /// Whether both are relative changes.
    pub relative: bool,
    /// Units, blocks or events before.
    pub units_before: Option<f64>,
    /// The same now.
    pub units_now: Option<f64>,
}

/// One evaluation, frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// [`SCHEMA`] of the time it was written.
    pub schema: String,
    /// Version of the judge that wrote it.
    pub engine: String,
    /// `hash128(slot, restatement_no)`.
    pub id: String,
    /// `look` or `guardrail:<name>`.
    pub track: String,
    /// 0, or how often this slot was restated.
    pub restatement_no: u32,
    /// The evaluation this one revises.
    pub revises: Option<String>,
    /// What was restated, in numbers; only beside `revises`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised: Option<Revised>,
    /// What it is a function of.
    pub input: LookInput,
    /// Every signal with its state, in file order.
    pub signals: Vec<SignalView>,
    /// Every atom of `continue_when`, in order.
    pub atoms: Vec<AtomView>,
    /// `continue_when` as a whole.
    pub rule: RuleValue,
    /// Every atom of `stop_when`, in order.
    pub stop_atoms: Vec<AtomView>,
    /// `stop_when` as a whole, if there is one.
    pub stop_rule: Option<RuleValue>,
    /// Every guardrail with its state, in file order.
    pub guardrails: Vec<GuardrailStatus>,
    /// Which error rate was spent on what.
    pub ledger: Vec<AlphaLine>,
    /// What is worth knowing without being an alarm.
    pub findings: Vec<Finding>,
    /// Alarms on at this look.
    pub alarms: Vec<Alarm>,
    /// The verdict with its reasons.
    pub decision: Decision,
    /// Sequential state after this look.
    pub carry: Carry,
}

impl EvaluationRecord {
    /// Canonical bytes: sorted keys, numbers rounded to 12 significant digits.
    pub fn to_json(&self) -> String {
        canonical_json(&serde_json::to_value(self).unwrap_or_default())
    }

    /// Reads a record back; unknown fields of newer writers are ignored.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The oldest "data as of" over the observed signals.
    pub fn data_as_of(&self) -> Option<Timestamp> {
        self.signals.iter().filter_map(|signal| signal.data_as_of).min()
    }
}

/// Sorted keys, no white space, floats at 12 significant digits; integers stay integers.
pub fn canonical_json(value: &serde_json::Value) -> String {
    fn rounded(value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Number(number) if number.is_f64() => {
                let float = number.as_f64().map_or(0.0, round12);
                serde_json::Number::from_f64(float).map_or(Value::Null, Value::Number)
            }
            Value::Array(items) => Value::Array(items.iter().map(rounded).collect()),
            Value::Object(map) => {
                let sorted: BTreeMap<_, _> = map.iter().collect();
                let entries = sorted.into_iter().map(|(key, item)| (key.clone(), rounded(item)));
                Value::Object(entries.collect())
            }
            other => other.clone(),
        }
    }
    rounded(value).to_string()
}

/// A float at 12 significant digits: the one nearest to its decimal rounding, the same everywhere.
pub fn round12(value: f64) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return if value == 0.0 { 0.0 } else { value };
    }
    // Whole numbers of up to twelve digits, most of what there is, have nothing to round.
    if value.abs() < 1e12 && value.trunc() == value {
        return value;
    }
    // Decimal text is exact and slow; scaling gives the same float wherever it is safe.
    by_scaling(value).unwrap_or_else(|| format!("{value:.11e}").parse().unwrap_or(value))
}

/// The exact powers of ten.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// [`round12`] by one multiplication, one rounding and one division with an exact power of ten.
///
/// The scaled value errs by less than 2e-4, so that away from halves its rounding is the decimal
/// one; an integer below 2^53 over (or times) an exact power is the nearest float of that decimal.
fn by_scaling(value: f64) -> Option<f64> {
    let size = value.abs();
    if !(1.0e-10..1.0e15).contains(&size) {
        return None;
    }
    // The exponent tells the number of digits to within one: 1233/4096 is log10(2).
    let binary = ((size.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let at = |shift: i32| {
        let power = *POWERS.get(shift.unsigned_abs() as usize)?;
        Some((shift, power, if shift >= 0 { size * power } else { size / power }))
    };
    let mut found = at(11 - ((binary * 1233) >> 12))?;
    if found.2 >= 1.0e12 {
        found = at(found.0 - 1)?;
    }
    let (shift, power, scaled) = found;
    let whole = libm::floor(scaled);
    let is_near_half = (scaled - whole - 0.5).abs() < 1.0e-3;
    if is_near_half || !(1.0e11..1.0e12).contains(&scaled) {
        return None;
    }
    let rounded = if scaled - whole > 0.5 { whole + 1.0 } else { whole };
    let back = if shift >= 0 { rounded / power } else { rounded * power };
    Some(back.copysign(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_and_no_negative_zero() {
        assert_eq!(round12(1.0 / 3.0), 0.333_333_333_333);
        assert_eq!(round12(-0.0).to_string(), "0");
        assert_eq!(round12(123_456_789_012_345.0), 123_456_789_012_000.0);
    }

    #[test]
    fn scaling_rounds_as_decimal_text_does() {
        let text = |x: f64| format!("{x:.11e}").parse::<f64>().unwrap();
        let mut state = 1_u64;
        let mut scaled = 0;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mantissa = 1.0 + (state >> 12) as f64 / 4.503_599_627_370_496e15;
            let x = mantissa * libm::exp2(((state >> 5) % 100) as f64 - 45.0);
            assert_eq!(round12(x).to_bits(), text(x).to_bits(), "{x:e}");
            assert_eq!(round12(-x), -round12(x));
            scaled += usize::from(by_scaling(x).is_some());
        }
        assert!(scaled > 150_000, "{scaled} took the short way");
        for x in [0.999_999_999_999_5, 999_999_999_999.5, 1e15, 1e-10, 0.1 + 0.2, 1e22, 5e-324] {
            assert_eq!(round12(x).to_bits(), text(x).to_bits(), "{x:e}");
        }
        // Halves of the twelfth digit.
        for n in 0..2_000 {
            let x = (100_000_000_000.0 + f64::from(n) + 0.5) / 1e9;
            assert_eq!(round12(x).to_bits(), text(x).to_bits(), "{x:e}");
        }
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = serde_json::json!({"b": {"d": 1, "c": 0.1}, "a": [0.1 + 0.2]});
        assert_eq!(canonical_json(&value), r#"{"a":[0.3],"b":{"c":0.1,"d":1}}"#);
    }
}
