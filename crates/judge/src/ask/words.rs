//! The command line's notation for one question: `control=1620/6000 target=+3pts`.
//!
//! Words become the same JSON that a line would hold, so that they are read by the same types:
//! * `27%` is a level, 0.27; `3pts` and `+3pts` are changes, 0.03; `+10%` (signed) is a relative
//!   change and goes to the field's `_relative` twin (`target=+10%` is `target_relative: 0.1`)
//! * as in a rule, percent and points never mix silently: a change of a share without a unit, and a
//!   change in percent without a sign or without a twin, are refused with the readings there are
//! * `1620/6000` is a pair: successes among units, or events in an exposure
//! * `1,2,3` is a list, `n:400,mean:10.2` an object, `[..]` and `{..}` are JSON as they stand
//! * everything else is a number, a truth value or a word.

use serde_json::{Map, Value};

use super::{Fault, Method};
use crate::record::round12;

/// Names of fields that have a relative twin.
const RELATIVE: &str = "_relative";

/// Fields that are changes, with the methods in which they are.
pub(super) const CHANGES: &[(&str, &[&str])] = &[
    ("target", &["two_proportions", "two_means", "two_ratios", "two_rates", "cuped"]),
    ("target", &["rare_difference"]),
    ("min_effect", &["two_proportions", "two_means", "two_ratios", "two_rates", "cuped"]),
    ("value", &["rare_difference", "two_proportions_once", "welch", "ratios_once"]),
    ("value", &["block_bootstrap"]),
    ("effect", &["sample_size", "power", "days_to_decision"]),
    ("threshold", &["power"]),
    ("margin", &["non_inferiority", "equivalence"]),
    ("estimate", &["contrast", "non_inferiority", "deterioration", "equivalence"]),
];

/// Methods that are about shares, so that a bare number could be percent or points.
const OF_SHARES: &[&str] = &["two_proportions", "rare_difference", "two_proportions_once"];
/// Methods that are about shares once a `baseline` is given.
const OF_SHARES_BY_BASELINE: &[&str] = &["sample_size", "power"];

/// The object behind the words, with `method`.
pub fn object(method: &Method, words: &[String]) -> Result<Value, Fault> {
    let fields = method.fields();
    let by_baseline = words.iter().any(|word| word.starts_with("baseline="));
    let is_of_share = OF_SHARES.contains(&method.name)
        || by_baseline && OF_SHARES_BY_BASELINE.contains(&method.name);
    let mut object = Map::new();
    object.insert("method".to_owned(), Value::from(method.name));
    for word in words {
        let Some((key, text)) = word.split_once('=') else {
            let hint = format!("write {}", method.words);
            return Err(Fault::new(format!("`{word}` is not KEY=VALUE"), hint));
        };
        let is_relative = is_signed(text) && text.ends_with('%');
        let twin = format!("{key}{RELATIVE}");
        let has_twin = fields.contains(&twin);
        if !(is_relative && has_twin) && is_change(method, key) {
            one_reading(word, (key, text), is_of_share, has_twin)?;
        }
        let key = if is_relative && has_twin { twin } else { key.to_owned() };
        if !fields.contains(&key) {
            let known = fields.iter().map(String::as_str);
            let near = crate::spec::nearest(&key, known.clone());
            let hint = near.map_or_else(
                || format!("its fields are {}", known.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Fault::new(format!("{} has no field `{key}`", method.name), hint));
        }
        let value = value(text).ok_or_else(|| {
            Fault::new(format!("`{word}` cannot be read"), "write JSON after the =")
        })?;
        if object.insert(key.clone(), value).is_some() {
            return Err(Fault::new(format!("`{key}` is given twice"), "once is enough"));
        }
    }
    Ok(Value::Object(object))
}

fn is_change(method: &Method, key: &str) -> bool {
    CHANGES.iter().any(|(field, methods)| *field == key && methods.contains(&method.name))
}

/// Refuses a change that could be read in two ways, and shows both.
fn one_reading(
    word: &str,
    (key, text): (&str, &str),
    is_of_share: bool,
    has_twin: bool,
) -> Result<(), Fault> {
    let Some(read) = number(text).and_then(|value| value.as_f64()).filter(|x| *x != 0.0) else {
        return Ok(());
    };
    let percent = text.ends_with('%');
    let bare = !percent && !text.ends_with("pts");
    if !(percent || bare && is_of_share) {
        return Ok(());
    }
    let sign = if read < 0.0 { '-' } else { '+' };
    let digits = text.trim().trim_end_matches('%').trim_start_matches(['+', '-', '\u{2212}']);
    let relative = if has_twin {
        format!("`{key}={sign}{digits}%` for a change relative to the control")
    } else {
        format!("a relative change is no `{key}` here: turn it into points first")
    };
    let points = match bare && read.abs() < 1.0 {
        true => {
            let fraction = round12(100.0 * read.abs());
            format!("`{key}={sign}{fraction}pts` if it is a fraction, `{key}={sign}{digits}pts`")
        }
        false if is_of_share || percent && !has_twin => format!("`{key}={sign}{digits}pts`"),
        false => return Err(Fault::new(level(word), format!("write {relative}"))),
    };
    let cause = match (bare, is_signed(text)) {
        (true, _) => format!("`{word}` on a share has no unit"),
        (false, true) => format!("`{word}` is a relative change"),
        (false, false) => level(word),
    };
    Err(Fault::new(cause, format!("write {points} for points; {relative}")))
}

fn level(word: &str) -> String {
    format!("`{word}` has no sign: it is a level, not a change")
}

fn is_signed(text: &str) -> bool {
    text.starts_with(['+', '-', '\u{2212}'])
}

/// One value; `None` for broken JSON.
fn value(text: &str) -> Option<Value> {
    if text.starts_with(['[', '{', '"']) {
        return serde_json::from_str(text).ok();
    }
    if let Some(number) = number(text) {
        return Some(number);
    }
    if text.contains(',') || text.contains(':') {
        return several(text);
    }
    Some(match text {
        "true" | "yes" => Value::Bool(true),
        "false" | "no" => Value::Bool(false),
        "null" => Value::Null,
        _ => Value::from(text),
    })
}

fn several(text: &str) -> Option<Value> {
    let parts = text.split(',');
    if text.contains(':') {
        let entry = |part: &str| {
            let (key, text) = part.split_once(':')?;
            Some((key.trim().to_owned(), value(text.trim())?))
        };
        return parts.map(entry).collect::<Option<Map<_, _>>>().map(Value::Object);
    }
    let item = |part: &str| match part.split_once('/') {
        Some((top, low)) => Some(Value::from(vec![number(top)?, number(low)?])),
        None => value(part.trim()),
    };
    parts.map(item).collect::<Option<Vec<_>>>().map(Value::from)
}

/// A number with an optional sign and unit.
fn number(text: &str) -> Option<Value> {
    let plain = text.trim().replace('\u{2212}', "-");
    let (digits, scale) = match plain.strip_suffix("pts").or_else(|| plain.strip_suffix('%')) {
        Some(digits) => (digits, 100.0),
        None => (plain.as_str(), 1.0),
    };
    let starts_well =
        digits.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.trim().parse().ok().filter(|_| starts_well)?;
    serde_json::Number::from_f64(round12(number / scale)).map(|n| {
        // Whole numbers stay whole, for fields that count.
        let whole = number / scale;
        if whole == libm::round(whole) && whole.abs() < 9.0e15 && scale == 1.0 {
            Value::from(whole as i64)
        } else {
            Value::Number(n)
        }
    })
}
