//! Numbers as people read them.

use crate::spec::Form;
use crate::stats::Interval;

/// Beyond this an interval's end is open: one-sided bounds have no number there.
const OPEN: f64 = 1e300;

/// A change with its sign: `+10.0 %` when relative, `+3.0 pts` for proportions, else the signal's
/// own unit. `value` is a fraction in the first two.
pub fn format_change(value: f64, relative: bool, form: Form, unit: Option<&str>) -> String {
    match (relative, form) {
        (true, _) => format!("{} %", signed(value * 100.0)),
        (false, Form::Proportion) => format!("{} pts", signed(value * 100.0)),
        (false, _) => with_unit(signed(value), unit),
    }
}

/// A level: `80.0 %` for proportions (a fraction), else the signal's own unit.
pub fn format_level(value: f64, form: Form, unit: Option<&str>) -> String {
    match form {
        Form::Proportion => format!("{} %", plain(value * 100.0)),
        _ => with_unit(plain(value), unit),
    }
}

/// A count with thousands in groups: `12,000`.
pub fn count(value: f64) -> String {
    grouped(&format!("{:.0}", value.round() + 0.0))
}

/// An interval whose ends are written by `end`; an open end says so.
pub(super) fn interval_text(interval: &Interval, end: &dyn Fn(f64) -> String) -> String {
    match (interval.lo > -OPEN, interval.hi < OPEN) {
        (true, true) => format!("{} to {}", end(interval.lo), end(interval.hi)),
        (true, false) => format!("at least {}", end(interval.lo)),
        (false, true) => format!("at most {}", end(interval.hi)),
        (false, false) => "unbounded".to_owned(),
    }
}

fn with_unit(number: String, unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("{number} {unit}"),
        None => number,
    }
}

fn signed(value: f64) -> String {
    let text = plain(value);
    if text.starts_with('-') || text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        text
    } else {
        format!("+{text}")
    }
}

/// One decimal below 100, none above, two significant digits below 0.1; no `-0`.
fn plain(value: f64) -> String {
    let size = value.abs();
    let text = if !value.is_finite() {
        return "not a number".to_owned();
    } else if size >= 99.95 {
        grouped(&format!("{value:.0}"))
    } else if size >= 0.095 || size == 0.0 {
        format!("{value:.1}")
    } else {
        // Two significant digits: the first non-zero decimal and one more.
        let leading = -libm::log10(size).floor();
        format!("{value:.*}", (leading as usize + 1).min(12))
    };
    if text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.')) {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_points_never_mix() {
        assert_eq!(format_change(0.1, true, Form::Proportion, None), "+10.0 %");
        assert_eq!(format_change(0.03, false, Form::Proportion, None), "+3.0 pts");
        assert_eq!(format_change(-40.0, false, Form::Value, Some("ms")), "-40.0 ms");
        assert_eq!(format_change(-0.25, true, Form::Value, Some("ms")), "-25.0 %");
        assert_eq!(format_change(2.5, false, Form::Mean, None), "+2.5");
    }

    #[test]
    fn levels_have_no_sign_and_keep_small_numbers() {
        assert_eq!(format_level(0.8, Form::Proportion, None), "80.0 %");
        assert_eq!(format_level(0.001, Form::Proportion, None), "0.1 %");
        assert_eq!(format_level(0.000_25, Form::Proportion, None), "0.025 %");
        assert_eq!(format_level(0.000_1, Form::Proportion, None), "0.010 %");
        assert_eq!(format_level(1_234.4, Form::Value, Some("ms")), "1,234 ms");
        assert_eq!(format_level(f64::NAN, Form::Value, None), "not a number");
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(format_change(0.0, false, Form::Proportion, None), "0.0 pts");
        assert_eq!(format_change(-0.0, true, Form::Mean, None), "0.0 %");
        assert_eq!(format_change(-1e-14, false, Form::Mean, None), "0.000000000000");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(12_000.0), "12,000");
        assert_eq!(count(999.6), "1,000");
        assert_eq!(count(100.0), "100");
        assert_eq!(count(-0.2), "0");
        assert_eq!(count(1_234_567.0), "1,234,567");
    }

    #[test]
    fn open_ends_are_words() {
        let end = |value: f64| plain(value);
        let text = |lo, hi| interval_text(&Interval { lo, hi }, &end);
        assert_eq!(text(-1.0, 2.0), "-1.0 to 2.0");
        assert_eq!(text(-1.0, 1e308), "at least -1.0");
        assert_eq!(text(f64::NEG_INFINITY, 2.0), "at most 2.0");
        assert_eq!(text(-1e308, 1e308), "unbounded");
    }
}
