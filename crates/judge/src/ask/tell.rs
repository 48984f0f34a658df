//! Numbers and intervals in words, for sentences and tables.

use super::number::{Bounds, Num};
use crate::record::round12;

/// At most four significant digits (whole numbers in full), thousands apart, no trailing zeros.
pub(super) fn number(x: f64) -> String {
    if !x.is_finite() || x.abs() >= crate::stats::UNBOUNDED {
        return "unknown".to_owned();
    }
    let size = x.abs();
    if x == 0.0 || ((1.0e-4..1.0e15).contains(&size) && size >= 1_000.0) {
        return thousands(&format!("{:.0}", libm::round(x)));
    }
    if !(1.0e-4..1.0e15).contains(&size) {
        return format!("{x:.2e}");
    }
    let digits = (3.0 - libm::floor(libm::log10(size))).max(0.0) as usize;
    let text = format!("{x:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.to_owned()
}

fn thousands(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn signed(x: f64) -> String {
    let text = number(x);
    if x > 0.0 && x < crate::stats::UNBOUNDED { format!("+{text}") } else { text }
}

/// One decimal of a percentage, more when it is small.
fn hundredfold(x: f64) -> String {
    let value = round12(100.0 * x);
    if value != 0.0 && value.abs() < 0.1 { number(value) } else { format!("{value:.1}") }
}

fn with_unit(x: f64, unit: &str, sign: bool) -> String {
    if x.is_nan() || x.abs() >= 1.0e300 {
        return "unknown".to_owned();
    }
    let plus = if sign && x > 0.0 { "+" } else { "" };
    format!("{plus}{}{unit}", hundredfold(x))
}

/// Shares: levels in percent, changes in points.
pub(super) mod points {
    /// `27.0 %`
    pub(in super::super) fn level(x: f64) -> String {
        super::with_unit(x, " %", false)
    }

    /// `+3.0 pts`
    pub(in super::super) fn change(x: f64) -> String {
        super::with_unit(x, " pts", true)
    }
}

/// Relative changes.
pub(super) mod percent {
    /// `+10.0 %`
    pub(in super::super) fn change(x: f64) -> String {
        super::with_unit(x, " %", true)
    }
}

/// Numbers in the signal's own unit.
pub(super) mod plain {
    /// `10.2`
    pub(in super::super) fn level(x: f64) -> String {
        super::number(x)
    }

    /// `+0.7`
    pub(in super::super) fn change(x: f64) -> String {
        super::signed(x)
    }
}

/// `95 %: +1.2 to +4.8`, open ends in words.
pub(super) fn range(bounds: Bounds, alpha: f64, unit: fn(f64) -> String) -> String {
    let level = number(round12(100.0 * (1.0 - alpha)));
    let ends = match (bounds.lower.get(), bounds.upper.get()) {
        (Some(lo), Some(hi)) => format!("{} to {}", unit(lo), unit(hi)),
        (Some(lo), None) => format!("{} or more", unit(lo)),
        (None, Some(hi)) => format!("{} or less", unit(hi)),
        (None, None) => "unbounded".to_owned(),
    };
    format!("{level} %: {ends}")
}

/// A p-value: three digits, small ones with their power.
pub(super) fn p(value: Num) -> String {
    match value.get() {
        Some(p) if p < 1.0e-300 => "p < 1e-300".to_owned(),
        Some(p) if p < 0.001 => format!("p = {p:.1e}"),
        Some(p) => format!("p = {p:.3}"),
        None => "no p".to_owned(),
    }
}
