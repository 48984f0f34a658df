//! What the number of an atom means: change or level, and in which unit.
//!
//! A missing or foreign unit is never guessed; the hint shows every reading there is.

use super::{Quantity, RuleParser, SignalInfo, Written};
use crate::spec::parse::values::{PercentScale, hundredth, percent_of};
use crate::spec::rule::{Amount, AtomKind, Side};

impl RuleParser<'_> {
    /// Movement, tolerance or level; an atom with neither operator nor sign is none of them.
    pub(super) fn kind(
        &mut self,
        info: &SignalInfo,
        side: Option<Side>,
        quantity: &Quantity,
        start: usize,
    ) -> Option<(AtomKind, Side)> {
        let signed = quantity.sign.map(|s| if s > 0.0 { Side::AtLeast } else { Side::AtMost });
        match (side, signed) {
            (Some(side), None) => Some((AtomKind::Level, side)),
            (None, Some(side)) => Some((AtomKind::Movement, side)),
            (Some(side), Some(sign)) if side == sign => Some((AtomKind::Movement, side)),
            (Some(side), Some(_)) => Some((AtomKind::Tolerance, side)),
            (None, None) => {
                let number = number_text(info, quantity);
                let name = &info.name;
                let message = format!("`{name} {number}` has neither operator nor sign");
                let hint = format!(
                    "write `{name} >= {number}` for a level or `{name} >= +{number}` for a change"
                );
                let len = quantity.place.0 + quantity.place.1 - start;
                self.error("E0603", (start, len), message, hint);
                None
            }
        }
    }

    /// The number in the signal's own terms; never guesses a missing unit.
    pub(super) fn amount(
        &mut self,
        info: &SignalInfo,
        kind: AtomKind,
        written: &Quantity,
    ) -> Option<Amount> {
        let signed = written.sign.unwrap_or(1.0) * written.value;
        let is_level = kind == AtomKind::Level;
        let Some(form) = info.form else {
            // The form is broken and reported; the shape of the rule can still be checked.
            return Some(if is_level { Amount::Level(signed) } else { Amount::Absolute(signed) });
        };
        let percent = percent_of(form, info.unit.as_deref());
        match (&written.unit, is_level, percent) {
            (Written::Percent, true, Some(percent)) => Some(Amount::Level(percent.read(signed))),
            (Written::Percent, false, _) => Some(Amount::Relative(hundredth(signed))),
            (Written::Points, false, Some(percent)) => Some(Amount::Absolute(percent.read(signed))),
            (Written::Points, true, Some(_)) => {
                let number = written.value;
                let message = format!("`{number}pts` is a change, but there is no sign");
                let hint = format!("write `+{number}pts` for a change or `{number}%` for a level");
                self.error("E0605", written.unit_place, message, hint);
                None
            }
            (Written::Own, true, _) => Some(Amount::Level(signed)),
            (Written::Own, false, _) => Some(Amount::Absolute(signed)),
            (Written::Nothing, _, _) if percent.is_none() && info.unit.is_none() => {
                Some(if is_level { Amount::Level(signed) } else { Amount::Absolute(signed) })
            }
            (Written::Nothing, _, _) => self.missing_unit(info, is_level, percent, written),
            _ => self.foreign_unit(info, percent, written),
        }
    }

    /// `+3` on a share could be percent or points: both readings are shown.
    fn missing_unit<T>(
        &mut self,
        info: &SignalInfo,
        is_level: bool,
        percent: Option<PercentScale>,
        written: &Quantity,
    ) -> Option<T> {
        let sign = sign_text(written);
        let number = written.value;
        let own = own_unit(info);
        let message = format!("`{sign}{number}` on `{}` has no unit", info.name);
        let hint = match (is_level, percent) {
            (true, Some(_)) => format!("write `{number}%`"),
            (true, None) => format!("write `{number}{own}`"),
            (false, Some(_)) => format!(
                "write `{sign}{number}%` for a relative change or `{sign}{number}pts` for points"
            ),
            (false, None) => {
                format!("write `{sign}{number}%` for a relative change or `{sign}{number}{own}`")
            }
        };
        self.error("E0604", written.place, message, hint);
        None
    }

    fn foreign_unit<T>(
        &mut self,
        info: &SignalInfo,
        percent: Option<PercentScale>,
        written: &Quantity,
    ) -> Option<T> {
        let unit = match &written.unit {
            Written::Percent => "%",
            Written::Points => "pts",
            Written::Other(text) => text,
            Written::Nothing | Written::Own => "",
        };
        let message = format!("`{unit}` is not a unit of `{}`", info.name);
        let hint = match (percent, &info.unit) {
            (Some(_), _) => "it has `%` and `pts`".to_owned(),
            (None, Some(own)) => format!("its unit is `{own}`; `%` is a relative change"),
            (None, None) => "it has no `unit:`; `%` is a relative change".to_owned(),
        };
        self.error("E0605", written.unit_place, message, hint);
        None
    }
}

fn sign_text(written: &Quantity) -> &'static str {
    match written.sign {
        Some(sign) if sign > 0.0 => "+",
        Some(_) => "-",
        None => "",
    }
}

/// The signal's unit as it stands behind a number: words keep a space.
fn own_unit(info: &SignalInfo) -> String {
    match info.unit.as_deref() {
        Some(unit) if unit.contains(' ') => format!(" {unit}"),
        Some(unit) => unit.to_owned(),
        None => String::new(),
    }
}

/// Number and unit without the sign.
fn number_text(info: &SignalInfo, written: &Quantity) -> String {
    let unit = match &written.unit {
        Written::Nothing => String::new(),
        Written::Percent => "%".to_owned(),
        Written::Points => "pts".to_owned(),
        Written::Own => own_unit(info),
        Written::Other(text) => text.clone(),
    };
    format!("{}{unit}", written.value)
}

/// The atom in its one canonical spelling: `p95 <= -25%`.
pub(super) fn canonical(
    info: &SignalInfo,
    kind: AtomKind,
    side: Side,
    written: &Quantity,
) -> String {
    let operator = match side {
        Side::AtLeast => ">=",
        Side::AtMost => "<=",
    };
    let sign = if kind == AtomKind::Level { "" } else { sign_text(written) };
    format!("{} {operator} {sign}{}", info.name, number_text(info, written))
}
