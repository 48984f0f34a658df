//! Numbers as people read them.

use crate::record::round12;
use crate::spec::{Experiment, Form, GuardrailKind, LimitOf, Margin};
use crate::stats::Interval;

/// Beyond this an interval's end is open: one-sided bounds have no number there.
const OPEN: f64 = 1e300;

/// A change with its sign: `+10.0 %` when relative, `+3.0 pts` for proportions, else the signal's
/// own unit. `value` is a fraction in the first two.
pub fn format_change(value: f64, relative: bool, form: Form, unit: Option<&str>) -> String {
    Written::Change { relative, form, unit }.text(value)
}

/// A level: `80.0 %` for proportions (a fraction), else the signal's own unit.
pub fn format_level(value: f64, form: Form, unit: Option<&str>) -> String {
    Written::Level { form, unit }.text(value)
}

/// Most decimals that are added to tell two numbers apart; records keep twelve digits.
const MOST_EXTRA: usize = 11;

/// From here on digits are no news: a number is written with an exponent.
const HUGE: f64 = 1e15;
/// Below this no decimal that is shown is left.
const TINY: f64 = 1e-12;

/// How the numbers of one quantity are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// With its sign; see [`format_change`].
    Change {
        /// Whether it is a share of the comparison.
        relative: bool,
        /// Form of the signal.
        form: Form,
        /// Unit of the signal.
        unit: Option<&'a str>,
    },
    /// Without a sign; see [`format_level`].
    Level {
        /// Form of the signal.
        form: Form,
        /// Unit of the signal.
        unit: Option<&'a str>,
    },
}

impl<'a> Written<'a> {
    /// How the value and the limit of a guardrail are written.
    pub fn of_guardrail(experiment: &'a Experiment, name: &str) -> Self {
        let level = |form, unit| Self::Level { form, unit };
        // A bound written in percent is kept as a fraction.
        let own = |unit: Option<&'a str>| match unit {
            Some("%") => level(Form::Proportion, None),
            unit => level(Form::Value, unit),
        };
        match experiment.guardrail(name).map(|guardrail| &guardrail.kind) {
            Some(GuardrailKind::Slo(_) | GuardrailKind::ErrorBudget(_)) => {
                level(Form::Proportion, None)
            }
            // Units over the limit are a share of all units.
            Some(GuardrailKind::Limit(limit))
                if limit.of == LimitOf::Sampled || limit.per.is_some() =>
            {
                level(Form::Proportion, None)
            }
            Some(GuardrailKind::Limit(limit)) => own(limit.unit.as_deref()),
            // The statistic of a control chart counts standard deviations.
            Some(GuardrailKind::Threshold(threshold)) if threshold.drift.is_some() => {
                level(Form::Value, Some("sd"))
            }
            Some(GuardrailKind::Threshold(threshold)) => own(threshold.unit.as_deref()),
            Some(GuardrailKind::NoWorseThan(kind)) => match experiment.signal(&kind.signal) {
                Some(signal) => {
                    // Without a baseline a margin in percent is one of the comparison.
                    let aim = experiment.aim_on(&kind.signal).and_then(|aim| aim.from);
                    let has_from = signal.from.is_some() || aim.is_some();
                    let relative = matches!(kind.margin, Margin::Relative(_)) && !has_from;
                    let unit = signal.unit.as_deref();
                    Self::Change { relative, form: signal.form, unit }
                }
                None => level(Form::Value, None),
            },
            None => level(Form::Value, None),
        }
    }

    /// One number.
    pub fn text(&self, value: f64) -> String {
        self.with_extra(value, 0)
    }

    /// Two numbers that are compared: as many more decimals as it takes to tell unequal ones
    /// apart, the same for both. Equal at the record's 12 digits is equal.
    pub fn pair(&self, one: f64, other: f64) -> (String, String) {
        let texts = |extra| (self.with_extra(one, extra), self.with_extra(other, extra));
        let short = texts(0);
        if short.0 != short.1 || round12(one) == round12(other) {
            return short;
        }
        (1..=MOST_EXTRA).map(texts).find(|(one, other)| one != other).unwrap_or(short)
    }

    fn with_extra(&self, value: f64, extra: usize) -> String {
        match *self {
            Self::Change { relative: true, .. } => format!("{} %", signed(value * 100.0, extra)),
            Self::Change { form: Form::Proportion, .. } => {
                format!("{} pts", signed(value * 100.0, extra))
            }
            Self::Change { unit, .. } => with_unit(signed(value, extra), unit),
            Self::Level { form: Form::Proportion, .. } => {
                format!("{} %", plain(value * 100.0, extra))
            }
            Self::Level { unit, .. } => with_unit(plain(value, extra), unit),
        }
    }
}

/// A count with thousands in groups: `12,000`.
pub fn count(value: f64) -> String {
    if value.abs() >= HUGE && value.is_finite() {
        return format!("{value:.1e}");
    }
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

fn signed(value: f64, extra: usize) -> String {
    let text = plain(value, extra);
    if text.starts_with('-') || text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        text
    } else {
        format!("+{text}")
    }
}

/// One decimal below 100, none above, two significant digits below 0.1, an exponent from 1e15 on;
/// no `-0`. `extra` decimals are added.
fn plain(value: f64, extra: usize) -> String {
    let size = value.abs();
    let text = if !value.is_finite() {
        return "not a number".to_owned();
    } else if size >= HUGE {
        format!("{value:.*e}", 1 + extra)
    } else if size >= 99.95 {
        grouped(&format!("{value:.extra$}"))
    } else if !(TINY..0.095).contains(&size) {
        format!("{value:.*}", 1 + extra)
    } else {
        // Two significant digits: the first non-zero decimal and one more.
        let leading = -libm::log10(size).floor();
        format!("{value:.*}", (leading as usize + 1).min(12) + extra)
    };
    if text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.')) {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (digits, fraction) = digits.find('.').map_or((digits, ""), |dot| digits.split_at(dot));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(fraction);
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
        assert_eq!(format_level(1e-13, Form::Proportion, None), "0.000000000010 %");
        assert_eq!(format_level(1e-15, Form::Proportion, None), "0.0 %");
        assert_eq!(format_level(1e308, Form::Value, Some("ms")), "1.0e308 ms");
        assert_eq!(format_level(9.99e14, Form::Value, None), "999,000,000,000,000");
        assert_eq!(format_change(-2.5e15, false, Form::Value, None), "-2.5e15");
    }

    #[test]
    fn unequal_numbers_are_told_apart_and_equal_ones_stay_short() {
        let share = Written::Level { form: Form::Proportion, unit: None };
        let told = |a, b| share.pair(a, b);
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(told(0.002, 0.001), text("0.2 %", "0.1 %"));
        assert_eq!(told(0.001_004, 0.001), text("0.1004 %", "0.1000 %"));
        assert_eq!(told(0.001, 1.0 - 0.999), text("0.1 %", "0.1 %"));
        let ms = Written::Level { form: Form::Value, unit: Some("ms") };
        assert_eq!(ms.pair(12_500.2, 12_500.0), ("12,500.2 ms".into(), "12,500.0 ms".into()));
        let points = Written::Change { relative: false, form: Form::Proportion, unit: None };
        assert_eq!(points.pair(0.029_99, 0.03), text("+2.999 pts", "+3.000 pts"));
        assert_eq!(share.pair(f64::NAN, 0.1).0, "not a number %");
        let both = share.pair(f64::NAN, f64::INFINITY);
        assert_eq!(both.0, both.1);
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(format_change(0.0, false, Form::Proportion, None), "0.0 pts");
        assert_eq!(format_change(-0.0, true, Form::Mean, None), "0.0 %");
        assert_eq!(format_change(-1e-14, false, Form::Mean, None), "0.0");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(12_000.0), "12,000");
        assert_eq!(count(999.6), "1,000");
        assert_eq!(count(100.0), "100");
        assert_eq!(count(-0.2), "0");
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(1e300), "1.0e300");
    }

    #[test]
    fn open_ends_are_words() {
        let end = |value: f64| plain(value, 0);
        let text = |lo, hi| interval_text(&Interval { lo, hi }, &end);
        assert_eq!(text(-1.0, 2.0), "-1.0 to 2.0");
        assert_eq!(text(-1.0, 1e308), "at least -1.0");
        assert_eq!(text(f64::NEG_INFINITY, 2.0), "at most 2.0");
        assert_eq!(text(-1e308, 1e308), "unbounded");
    }
}
