//! Readers for numbers with units, spans, dates and levels.
//!
//! Percent and points become fractions (`27%` = 0.27, `3pts` = 0.03) exactly once, here and in
//! the rule grammar. A number without its unit is never guessed.

use jiff::civil::Date;

use super::walk::{Fields, Walk, readable};
use crate::spec::diagnostic::SourcePos;
use crate::spec::model::Form;
use crate::spec::tree::Node;
use crate::time::{Span, Timestamp, end_of_day, start_of_day};

/// Largest number anybody may write.
pub(super) const MAX_NUMBER: f64 = 1e12;

/// A number and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) struct Quantity {
    pub(in crate::spec) value: f64,
    /// `%`, `pts`, a unit, or nothing.
    pub(in crate::spec) unit: Option<String>,
}

impl Quantity {
    /// Reads `27%`, `-3pts`, `450ms`, `12`, `2 per 1k sessions`.
    pub(in crate::spec) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, rest) = match text.chars().next()? {
            '-' | '\u{2212}' => (-1.0, &text[text.chars().next()?.len_utf8()..]),
            '+' => (1.0, &text[1..]),
            _ => (1.0, text),
        };
        let digits = number_len(rest)?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let value = sign * number.parse::<f64>().ok()?;
        let unit = unit.trim();
        let begins_well = unit.is_empty() || unit == "%" || unit.starts_with(char::is_alphabetic);
        if !value.is_finite() || !begins_well {
            return None;
        }
        Some(Self { value, unit: (!unit.is_empty()).then(|| unit.to_owned()) })
    }

    pub(in crate::spec) fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or("")
    }
}

/// Length of the unsigned decimal number that the text begins with.
pub(in crate::spec) fn number_len(text: &str) -> Option<usize> {
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text.as_bytes()[whole..];
    let fraction = match rest.split_first() {
        Some((b'.', after)) => after.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let len = if fraction > 0 { whole + 1 + fraction } else { whole };
    (len > 0).then_some(len)
}

/// What the walker must know of a signal to read a number about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    pub(super) form: Form,
    pub(super) unit: Option<String>,
}

impl Scale {
    /// What one percent (or point) is in the signal's own numbers, if it has percentages.
    pub(super) fn percent(&self) -> Option<PercentScale> {
        percent_of(self.form, self.unit.as_deref())
    }
}

/// How percent and points become a signal's own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spec) enum PercentScale {
    /// The signal counts in fractions: 27 % is 0.27.
    Fractions,
    /// The signal itself counts in percent: 27 % is 27.
    Percents,
}

impl PercentScale {
    /// Percent or points in the signal's own numbers.
    pub(in crate::spec) fn read(self, percent: f64) -> f64 {
        match self {
            Self::Fractions => hundredth(percent),
            Self::Percents => percent,
        }
    }
}

/// Which percentages a signal has, if any.
pub(in crate::spec) fn percent_of(form: Form, unit: Option<&str>) -> Option<PercentScale> {
    match (form, unit) {
        (Form::Proportion, _) | (_, Some("ratio")) => Some(PercentScale::Fractions),
        (_, Some("%")) => Some(PercentScale::Percents),
        _ => None,
    }
}

/// A hundredth, as the nearest number to the decimal: 1.8 % is 0.018, which 1.8 / 100 is not.
pub(in crate::spec) fn hundredth(percent: f64) -> f64 {
    format!("{percent}e-2").parse().unwrap_or(percent / 100.0)
}

impl Walk<'_> {
    /// A number with an optional unit, within bounds.
    pub(super) fn quantity(&mut self, node: &Node, path: &str, example: &str) -> Option<Quantity> {
        let text = self.scalar(node, path, &format!("a number (`{example}`)"))?.text.clone();
        let Some(quantity) = Quantity::parse(&text) else {
            let message = format!("`{}` is not a number: `{}`", readable(path), shorten(&text));
            return self.fail("E0301", node.pos, message, format!("write for example `{example}`"));
        };
        if quantity.value.abs() > MAX_NUMBER {
            let message = format!("`{}` is out of bounds", readable(path));
            return self.fail("E0306", node.pos, message, "at most 1000000000000");
        }
        Some(quantity)
    }

    /// A number without unit within `[low, high]`.
    pub(super) fn number(
        &mut self,
        node: &Node,
        path: &str,
        (low, high): (f64, f64),
    ) -> Option<f64> {
        let quantity = self.quantity(node, path, &format!("{low}"))?;
        if let Some(unit) = &quantity.unit {
            let message = format!("`{}` takes no unit, found `{unit}`", readable(path));
            return self.fail("E0302", node.pos, message, format!("write `{}`", quantity.value));
        }
        self.bounded(quantity.value, node.pos, path, (low, high))
    }

    /// A whole number within `[low, high]`.
    pub(super) fn whole(&mut self, node: &Node, path: &str, low: u32, high: u32) -> Option<u32> {
        let value = self.number(node, path, (f64::from(low), f64::from(high)))?;
        if value.fract() != 0.0 {
            let message = format!("`{}` must be a whole number", readable(path));
            return self.fail("E0301", node.pos, message, format!("write `{}`", value.trunc()));
        }
        Some(value as u32)
    }

    fn bounded(
        &mut self,
        value: f64,
        pos: SourcePos,
        path: &str,
        (low, high): (f64, f64),
    ) -> Option<f64> {
        if value < low || value > high {
            let message = format!("`{}` is out of bounds", readable(path));
            return self.fail("E0306", pos, message, format!("between {low} and {high}"));
        }
        Some(value)
    }

    /// A percentage in `[0%, 100%]` as a fraction.
    pub(super) fn share(&mut self, node: &Node, path: &str) -> Option<f64> {
        let quantity = self.quantity(node, path, "50%")?;
        let Quantity { value, .. } = quantity;
        if quantity.unit() != "%" {
            let name = readable(path);
            let message =
                format!("`{name}` needs a percentage, found `{value}{}`", quantity.unit());
            let hint = format!("write {}", percent_readings(value));
            return self.fail("E0302", node.pos, message, hint);
        }
        self.bounded(value, node.pos, path, (0.0, 100.0)).map(hundredth)
    }

    /// A level of a signal: percent for shares, else a number in the signal's unit.
    pub(super) fn level(&mut self, node: &Node, path: &str, scale: &Scale) -> Option<f64> {
        if scale.form == Form::Proportion {
            return self.share(node, path);
        }
        let own = scale.unit.as_deref().unwrap_or("");
        let quantity = self.quantity(node, path, &format!("450{own}"))?;
        match (quantity.unit(), scale.percent()) {
            ("", _) => Some(quantity.value),
            ("%", Some(percent)) => Some(percent.read(quantity.value)),
            (unit, _) if unit == own => Some(quantity.value),
            (unit, _) => self.foreign_unit(node, path, unit, own, quantity.value),
        }
    }

    /// A change in contrast units: points for shares, else the signal's unit; not negative.
    pub(super) fn change(&mut self, node: &Node, path: &str, scale: &Scale) -> Option<f64> {
        let own = scale.unit.as_deref().unwrap_or("");
        let example = if scale.percent().is_some() { "2pts".into() } else { format!("40{own}") };
        let quantity = self.quantity(node, path, &example)?;
        let value = match (quantity.unit(), scale.percent()) {
            ("pts", Some(percent)) => percent.read(quantity.value),
            ("", _) if scale.form != Form::Proportion => quantity.value,
            (unit, _) if !own.is_empty() && unit == own => quantity.value,
            (unit, Some(_)) => {
                let name = readable(path);
                let number = quantity.value;
                let message = format!("`{name}` needs points, found `{number}{unit}`");
                let hint = format!("write `{number}pts`: percent could also mean relative");
                return self.fail("E0302", node.pos, message, hint);
            }
            (unit, None) => {
                return self.foreign_unit(node, path, unit, own, quantity.value);
            }
        };
        self.bounded(value, node.pos, path, (0.0, MAX_NUMBER))
    }

    fn foreign_unit<T>(
        &mut self,
        node: &Node,
        path: &str,
        unit: &str,
        own: &str,
        value: f64,
    ) -> Option<T> {
        let message = format!("`{}` has the unit `{unit}`", readable(path));
        let hint = if own.is_empty() {
            format!("write `{value}`, or give the signal its `unit:`")
        } else {
            format!("the signal's unit is `{own}`: write `{value}{own}`")
        };
        self.fail("E0302", node.pos, message, hint)
    }

    /// A bound of a guardrail: its number (percent as a fraction) and its unit.
    pub(super) fn bound(
        &mut self,
        node: &Node,
        path: &str,
        example: &str,
    ) -> Option<(f64, Option<String>)> {
        let quantity = self.quantity(node, path, example)?;
        let value = if quantity.unit() == "%" { hundredth(quantity.value) } else { quantity.value };
        Some((value, quantity.unit))
    }

    /// `30s`, `4h`, `14d`, `2w`; at least `min`.
    pub(super) fn span(&mut self, node: &Node, path: &str, min: Span) -> Option<Span> {
        let text = self.scalar(node, path, "a duration (`7d`)")?.text.clone();
        let Some(span) = Span::parse(&text) else {
            let message = format!("`{}` is not a duration: `{}`", readable(path), shorten(&text));
            let hint = "a whole number and one of `s`, `m`, `h`, `d`, `w`, for example `7d`";
            return self.fail("E0303", node.pos, message, hint);
        };
        if span < min {
            let message = format!("`{}` is shorter than {min}", readable(path));
            return self.fail("E0306", node.pos, message, format!("at least `{min}`"));
        }
        Some(span)
    }

    /// A span under a key, else the default.
    pub(super) fn span_or(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        min: Span,
        default: Span,
    ) -> Option<Span> {
        match fields.get(key) {
            Some(node) => self.span(node, &fields.at(key), min),
            None => Some(default),
        }
    }

    /// An ISO date.
    fn date(&mut self, node: &Node, path: &str) -> Option<Date> {
        let text = self.scalar(node, path, "a date (`2026-06-01`)")?.text.trim().to_owned();
        let name = readable(path);
        let shape = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
        let Some(date) = text.parse::<Date>().ok().filter(|_| shape) else {
            let message = format!("`{name}` is not a date: `{}`", shorten(&text));
            let hint = "write year-month-day, for example `2026-06-01`";
            return self.fail("E0304", node.pos, message, hint);
        };
        if !(2000..=2200).contains(&date.year()) {
            let message = format!("`{name}` lies in the year {}", date.year());
            return self.fail("E0306", node.pos, message, "between 2000 and 2200");
        }
        Some(date)
    }

    /// 00:00 of a date in the file's zone.
    pub(super) fn day_start(&mut self, node: &Node, path: &str) -> Option<Timestamp> {
        self.date(node, path).map(|date| start_of_day(date, &self.zone))
    }

    /// The end of a date in the file's zone.
    pub(super) fn day_end(&mut self, node: &Node, path: &str) -> Option<Timestamp> {
        self.date(node, path).map(|date| end_of_day(date, &self.zone))
    }
}

/// `` `27%` ``, and for numbers up to 1 the other reading too.
fn percent_readings(value: f64) -> String {
    if value > 0.0 && value <= 1.0 {
        // Rounded, because 0.07 * 100 is not 7.
        format!("`{value}%` or `{}%`", (value * 1e10).round() / 1e8)
    } else {
        format!("`{value}%`")
    }
}

/// At most forty characters of what was written, on one line.
pub(super) fn shorten(text: &str) -> String {
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= 40 {
        return clean;
    }
    let start: String = clean.chars().take(40).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_read_as_a_decimal() {
        assert_eq!(hundredth(1.8), 0.018);
        assert_eq!(hundredth(99.9), 0.999);
        assert_eq!(hundredth(-0.5), -0.005);
        assert_eq!(hundredth(0.0), 0.0);
    }

    #[test]
    fn quantities_keep_number_and_unit_apart() {
        let read = |text: &str| Quantity::parse(text).map(|q| (q.value, q.unit().to_owned()));
        assert_eq!(read("27%"), Some((27.0, "%".into())));
        assert_eq!(read("\u{2212}3pts"), Some((-3.0, "pts".into())));
        assert_eq!(read("+0.5 ms"), Some((0.5, "ms".into())));
        assert_eq!(read("2 per 1k sessions"), Some((2.0, "per 1k sessions".into())));
        for bad in ["", "-", "abc", "1.2.3", "1,5", ".", "--1", "%", "1 2"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
