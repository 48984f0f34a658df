//! One cell: what is a number, an instant, missing or neither.
//!
//! Numbers are plain decimals; anything that could be read in two ways (thousands separators,
//! decimal commas, percent signs) is refused here, because only a source that was told its format
//! may decide it.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::Refusal;
use crate::plan::Cell;
use crate::time::{Timestamp, start_of_day};

/// 2^53: the largest count that a float holds exactly, with every smaller one.
pub(super) const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// What a value cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A finite number; `exact` when it was written as text.
    Num {
        /// The number.
        value: f64,
        /// Whether it stood there as a decimal.
        exact: bool,
    },
    /// Null or empty.
    Missing,
    /// NaN or infinity.
    NonFinite,
}

/// The cell as a person would see it.
pub(super) fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Num(number) => number.to_string(),
        Cell::Time(at) => at.to_string(),
        Cell::Missing => String::new(),
        Cell::NonFinite => "NaN".to_owned(),
    }
}

/// Reads a number cell.
pub(super) fn number(place: &str, column: &str, cell: &Cell) -> Result<Number, Refusal> {
    let refuse = |why: &str| {
        Err(Refusal::new(place, why, "write a plain decimal such as 1234.5")
            .at(column, shown(cell)))
    };
    match cell {
        Cell::Missing => Ok(Number::Missing),
        Cell::NonFinite => Ok(Number::NonFinite),
        Cell::Num(value) if value.is_finite() => Ok(Number::Num { value: *value, exact: false }),
        Cell::Num(_) => Ok(Number::NonFinite),
        Cell::Time(_) => refuse("a time where a number belongs"),
        Cell::Text(text) => {
            let text = text.trim();
            if text.is_empty() {
                return Ok(Number::Missing);
            }
            if is_non_finite(text) {
                return Ok(Number::NonFinite);
            }
            match decimal(text) {
                Some(value) => Ok(Number::Num { value, exact: true }),
                None => refuse("not a number"),
            }
        }
    }
}

/// Reads a count: a whole number from 0 to 2^53.
pub(super) fn count(place: &str, column: &str, cell: &Cell) -> Result<Number, Refusal> {
    let refuse = |why: &str, fix: &str| Err(Refusal::new(place, why, fix).at(column, shown(cell)));
    let (value, exact) = match number(place, column, cell)? {
        Number::Num { value, exact } => (value, exact),
        other => return Ok(other),
    };
    if value < 0.0 {
        return refuse("a negative count", "count events, not changes");
    }
    let whole = value.round();
    if exact && whole != value {
        return refuse("a count with a fraction", "return whole events, not shares or rates");
    }
    if whole > MAX_COUNT || (exact && whole == MAX_COUNT && too_long(cell)) {
        return refuse("a count beyond 2^53", "counts stay exact only up to 9007199254740992");
    }
    // `+ 0.0` turns a negative zero into zero.
    Ok(Number::Num { value: whole + 0.0, exact })
}

/// Whether a text that rounds to 2^53 is in fact another number.
fn too_long(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text.trim().split('.').next() != Some("9007199254740992"))
}

fn is_non_finite(text: &str) -> bool {
    let bare = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    matches!(bare.as_str(), "nan" | "inf" | "infinity")
}

/// A plain decimal: sign, digits with at most one point, exponent. Always finite.
pub fn decimal(text: &str) -> Option<f64> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match bare.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (bare, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_ok = exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    if !digits(whole) || !digits(fraction) || !exponent_ok {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads an instant: ISO with zone, ISO without zone (then in `zone`), or a date (then 00:00).
///
/// # Errors
/// Why the text is no instant: its form, or a civil time that does not exist or exists twice.
pub fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let shaped = text.len() >= 10
        && text.bytes().take(10).enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shaped {
        return Err("not an ISO date or time".to_owned());
    }
    if text.len() == 10 {
        let date: Date = text.parse().map_err(|_| "no such date".to_owned())?;
        return Ok(start_of_day(date, zone));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if text.get(11..).is_none_or(|rest| rest.contains(['Z', 'z', '+', '-', '['])) {
        return Err("not an ISO time with zone".to_owned());
    }
    let civil: DateTime = text.parse().map_err(|_| "no such date and time".to_owned())?;
    zone.to_ambiguous_timestamp(civil).unambiguous().map_err(|_| {
        "a clock time that does not exist or exists twice in its zone: write its offset".to_owned()
    })
}
