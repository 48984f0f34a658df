//! Walks expected trees and compares them with what the engine computed.

use serde_json::Value;

/// What the engine says about one expected field.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    Num(f64),
    Bool(bool),
    Text(&'static str),
    List(Vec<Got>),
    Map(Vec<(String, Got)>),
    /// The engine refuses to answer (its `None`); right where the oracle has no finite number.
    Refused,
    /// Not computed by design, with the reason.
    Skip(&'static str),
    /// The engine must refuse whatever the oracle says (zero variance and the like); the runner has
    /// asserted that it does.
    MustRefuse,
    /// The oracle's number holds a known slip: our replica of the slip, with the reason. The
    /// engine's own number is checked against another reference.
    Explained(f64, Tolerance, &'static str),
    /// A number with a tolerance of its own, as the file's `tolerance` object states it.
    Within(f64, Tolerance),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub(crate) rel: f64,
    pub(crate) abs: f64,
}

/// A tolerance in one line.
pub(crate) const fn tol(rel: f64, abs: f64) -> Tolerance {
    Tolerance { rel, abs }
}

/// `(input, expected key, whole expected object) -> our answer`.
pub(crate) type Runner = fn(&Value, &str, &Value) -> Got;

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) refused: usize,
    pub(crate) skipped: Vec<(String, &'static str)>,
    pub(crate) explained: Vec<(String, &'static str)>,
    pub(crate) failed: Vec<String>,
}

impl Report {
    fn merge(&mut self, other: Report) {
        self.passed += other.passed;
        self.refused += other.refused;
        self.skipped.extend(other.skipped);
        self.explained.extend(other.explained);
        self.failed.extend(other.failed);
    }
}

impl From<Option<f64>> for Got {
    fn from(x: Option<f64>) -> Self {
        x.map_or(Got::Refused, Got::Num)
    }
}

impl From<judge::stats::Interval> for Got {
    fn from(x: judge::stats::Interval) -> Self {
        Got::List(vec![Got::Num(x.lo), Got::Num(x.hi)])
    }
}

impl From<Option<judge::stats::Interval>> for Got {
    fn from(x: Option<judge::stats::Interval>) -> Self {
        x.map_or(Got::Refused, Got::from)
    }
}

/// A map in one line.
pub(crate) fn map<const N: usize>(fields: [(&str, Got); N]) -> Got {
    Got::Map(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// A list of numbers.
pub(crate) fn list(numbers: impl IntoIterator<Item = f64>) -> Got {
    Got::List(numbers.into_iter().map(Got::Num).collect())
}

/// A number of the input, or of a nested object (`"control/n"`).
pub(crate) fn num(input: &Value, path: &str) -> f64 {
    let value = path.split('/').fold(input, |at, key| &at[key]);
    value.as_f64().unwrap_or_else(|| panic!("no number at {path} in {input}"))
}

/// A list of numbers of the input.
pub(crate) fn nums(input: &Value, key: &str) -> Vec<f64> {
    let items = input[key].as_array().unwrap_or_else(|| panic!("no list at {key}"));
    items.iter().map(|x| x.as_f64().unwrap()).collect()
}

#[allow(clippy::disallowed_methods, reason = "a test reads its reference files")]
pub(crate) fn run_file(file: &str, runner: Runner) -> Report {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/");
    let text = std::fs::read_to_string(format!("{folder}{file}.json")).unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    let stated = &data["tolerance"];
    let default = Tolerance {
        rel: stated["default_rel"].as_f64().unwrap_or(0.0),
        abs: stated["abs"].as_f64().or(stated["z_abs"].as_f64()).unwrap_or(0.0),
    };
    let cases = data["cases"].as_array().unwrap();
    assert_eq!(Some(cases.len() as u64), data["n_cases"].as_u64(), "{file} is truncated");
    let mut report = Report::default();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let expected = case["expected"].as_object().unwrap();
        for (key, want) in expected {
            let got = runner(&case["input"], key, &case["expected"]);
            report.merge(compare_tree(&format!("{id} {key}"), want, &got, default));
        }
    }
    report
}

pub(crate) fn compare_tree(path: &str, want: &Value, got: &Got, tolerance: Tolerance) -> Report {
    let mut report = Report::default();
    match (want, got) {
        (_, Got::Skip(reason)) => {
            report.skipped.extend((0..leaves(want)).map(|_| (path.to_owned(), *reason)));
        }
        (_, Got::MustRefuse) => report.refused += leaves(want),
        (Value::Array(items), Got::List(ours)) if items.len() == ours.len() => {
            for (i, (item, our)) in items.iter().zip(ours).enumerate() {
                report.merge(compare_tree(&format!("{path}[{i}]"), item, our, tolerance));
            }
        }
        (Value::Object(fields), Got::Map(ours)) => {
            for (key, value) in fields {
                let deeper = format!("{path}.{key}");
                match ours.iter().find(|(name, _)| name == key) {
                    Some((_, our)) => report.merge(compare_tree(&deeper, value, our, tolerance)),
                    None => report.failed.push(format!("{deeper}: nobody computes this field")),
                }
            }
        }
        (Value::Array(_) | Value::Object(_), Got::Refused) => {
            if has_finite(want) {
                report.failed.push(format!("{path}: refused, the oracle says {want}"));
            } else {
                report.refused += leaves(want);
            }
        }
        (Value::Null, _) => report.refused += 1,
        (_, Got::Explained(replica, own, reason)) => {
            leaf(&mut report, path, want, &Got::Num(*replica), *own);
            report.explained.extend((0..report.passed).map(|_| (path.to_owned(), *reason)));
            report.passed = 0;
        }
        (_, Got::Within(ours, own)) => leaf(&mut report, path, want, &Got::Num(*ours), *own),
        _ => leaf(&mut report, path, want, got, tolerance),
    }
    report
}

fn leaf(report: &mut Report, path: &str, want: &Value, got: &Got, tolerance: Tolerance) {
    let fits = match (want, got) {
        (Value::Bool(want), Got::Bool(ours)) => want == ours,
        (Value::Number(want), Got::Num(ours)) => close(want.as_f64().unwrap(), *ours, tolerance),
        (Value::String(want), Got::Text(ours)) => want == ours,
        (Value::String(want), Got::Num(ours)) if want == "Infinity" => *ours >= 1e307,
        (Value::String(want), Got::Num(ours)) if want == "-Infinity" => *ours <= -1e307,
        (Value::String(want), Got::Refused) if want != "unbounded" => {
            report.refused += 1;
            return;
        }
        _ => false,
    };
    if fits {
        report.passed += 1;
    } else {
        report.failed.push(format!("{path}: ours {got:?}, the oracle says {want}"));
    }
}

fn close(want: f64, ours: f64, tolerance: Tolerance) -> bool {
    (want - ours).abs() <= tolerance.abs + tolerance.rel * want.abs()
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(fields) => fields.values().map(leaves).sum(),
        _ => 1,
    }
}

fn has_finite(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_finite),
        // An oracle's error text beside zeros means: no answer.
        Value::Object(fields) if fields.get("error").is_some_and(Value::is_string) => false,
        Value::Object(fields) => fields.values().any(has_finite),
        Value::Number(_) => true,
        _ => false,
    }
}
