//! `timeWindow` and the duration shorthand.
//!
//! A shorthand is a positive whole number and one of `m h d w M Q Y`, case-sensitive: `1m` is a
//! minute and `1M` a month. A rolling month is read as 30 days, a quarter as 90, a year as 365; a
//! calendar period begins at the calendar's own boundary in its zone.

use jiff::tz::TimeZone;

use super::super::walk::{Fields, Walk};
use super::{note, unsupported};
use crate::spec::diagnostic::SourcePos;
use crate::spec::parse::values::shorten;
use crate::spec::slo::{BudgetPeriod, CalendarUnit};
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

const TIME_WINDOW: &[&str] = &["duration", "isRolling", "calendar"];
const CALENDAR: &[&str] = &["startTime", "timeZone"];

/// A shorthand as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shorthand {
    number: i64,
    unit: char,
}

impl Shorthand {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit = text.chars().next_back().filter(|unit| "mhdwMQY".contains(*unit))?;
        let digits = &text[..text.len() - 1];
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = digits.parse().ok().filter(|_| plain)?;
        (1..=100_000).contains(&number).then_some(Self { number, unit })
    }

    /// As a span; months, quarters and years have nominal lengths.
    pub(super) fn span(self) -> Span {
        let minutes = match self.unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            'M' => 30 * 24 * 60,
            'Q' => 90 * 24 * 60,
            _ => 365 * 24 * 60,
        };
        Span::seconds(self.number * minutes * 60)
    }

    fn is_nominal(self) -> bool {
        matches!(self.unit, 'M' | 'Q' | 'Y')
    }

    /// The calendar period of that length, if there is one.
    fn calendar(self) -> Option<CalendarUnit> {
        Some(match (self.number, self.unit) {
            (1, 'w') | (7, 'd') => CalendarUnit::Week,
            (1, 'M') => CalendarUnit::Month,
            (1, 'Q') | (3, 'M') => CalendarUnit::Quarter,
            _ => return None,
        })
    }
}

/// Longest period of a budget.
const MAX_PERIOD: Span = Span::days(1_000);

/// Reads a shorthand.
pub(super) fn shorthand(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<Shorthand> {
    let text = walk.scalar(node, path, "a duration (`28d`)")?.text.clone();
    if let Some(found) = Shorthand::parse(&text) {
        return Some(found);
    }
    let message = format!("`{}` is not an OpenSLO duration", shorten(&text));
    let hint = "a whole number and one of `m h d w M Q Y`: `1m` is a minute, `1M` a month";
    walk.fail("E0303", node.pos, message, hint)
}

/// A budget period and, for a calendar, its zone.
pub(super) type Period = (BudgetPeriod, Option<String>);

/// `timeWindow` of an SLO; the experiment's lifetime when it has none.
pub(super) fn period(
    walk: &mut Walk<'_>,
    spec: &Fields<'_>,
    notes: &mut Vec<String>,
) -> Option<Period> {
    let Some(node) = spec.get("timeWindow") else {
        return Some((BudgetPeriod::Lifetime, None));
    };
    let Kind::List(items) = &node.kind else {
        return walk.wrong_kind(node, &spec.at("timeWindow"), "a list with one time window");
    };
    let [item] = items.as_slice() else {
        let message = format!("`timeWindow` has {} entries", items.len());
        return walk.fail("E0703", node.pos, message, "an SLO has exactly one time window");
    };
    let fields = walk.fields(item, &spec.at("timeWindow"), TIME_WINDOW)?;
    let duration = walk.required(&fields, "duration", "28d")?;
    let length = shorthand(walk, duration, &fields.at("duration"))?;
    if length.span() > MAX_PERIOD {
        let message = "the period is longer than 1000 days";
        return walk.fail("E0306", duration.pos, message, "write for example `28d`");
    }
    let calendar = fields.get("calendar");
    let rolling = match fields.get("isRolling") {
        Some(node) => walk.yes_no(node, &fields.at("isRolling"))?,
        None => calendar.is_none(),
    };
    match (rolling, calendar) {
        (true, Some(_)) => {
            let pos = fields.key_pos("calendar");
            let hint = "remove `calendar`, or write `isRolling: false`";
            walk.fail("E0206", pos, "a rolling window has no `calendar`", hint)
        }
        (true, None) => {
            if length.is_nominal() {
                let message =
                    format!("a rolling period of {} is read as {} days", shown(length), {
                        length.span().as_days()
                    });
                note(walk, notes, duration.pos, &message, "write the days: `30d`");
            }
            if length.span() < Span::hours(1) {
                let message = format!("a rolling period of {} is {}", shown(length), length.span());
                let hint = "at least `1h`; `m` is a minute, `1M` is a month";
                return walk.fail("E0306", duration.pos, message, hint);
            }
            Some((BudgetPeriod::Rolling(length.span()), None))
        }
        (false, None) => {
            let hint = "add `calendar: {startTime: ..., timeZone: UTC}`, or `isRolling: true`";
            walk.fail("E0205", fields.pos, "the window is neither rolling nor a calendar", hint)
        }
        (false, Some(node)) => {
            let Some(unit) = length.calendar() else {
                let message = format!("a calendar period of {} is not kept", shown(length));
                let hint = "one of `1w`, `1M`, `1Q`; or a rolling window";
                return unsupported(walk, duration.pos, message, hint);
            };
            calendar_zone(walk, node, &fields.at("calendar"), notes)
                .map(|timezone| (BudgetPeriod::Calendar(unit), Some(timezone)))
        }
    }
}

fn shown(length: Shorthand) -> String {
    format!("{}{}", length.number, length.unit)
}

fn calendar_zone(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    notes: &mut Vec<String>,
) -> Option<String> {
    let fields = walk.fields(node, path, CALENDAR)?;
    let zone = walk.required(&fields, "timeZone", "UTC")?;
    let timezone = walk.text(zone, &fields.at("timeZone"))?;
    if TimeZone::get(&timezone).is_err() {
        let message = format!("unknown time zone `{timezone}`");
        let hint = "write an IANA name, for example `UTC` or `Europe/Berlin`";
        return walk.fail("E0307", zone.pos, message, hint);
    }
    let start = walk.required(&fields, "startTime", "2026-01-01 00:00:00")?;
    start_time(walk, start, &fields.at("startTime"), notes)?;
    Some(timezone)
}

/// The start only says on which boundary periods begin; ours begin on the calendar's own.
fn start_time(walk: &mut Walk<'_>, node: &Node, path: &str, notes: &mut Vec<String>) -> Option<()> {
    let text = walk.text(node, path)?;
    let Ok(start) = text.replace(' ', "T").parse::<jiff::civil::DateTime>() else {
        let message = format!("`{}` is not a date and time", shorten(&text));
        let hint = "write for example `2026-01-01 00:00:00`, without a zone";
        return walk.fail("E0304", node.pos, message, hint);
    };
    let midnight = start.time() == jiff::civil::Time::midnight();
    if !midnight || start.day() != 1 {
        let pos: SourcePos = node.pos;
        let message = "periods begin at the calendar's own boundary, not at `startTime`";
        note(walk, notes, pos, message, "write midnight of the first day of a period");
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_months_are_told_apart_by_case() {
        let read = |text| Shorthand::parse(text).map(Shorthand::span);
        assert_eq!(read("1m"), Some(Span::seconds(60)));
        assert_eq!(read("1M"), Some(Span::days(30)));
        assert_eq!(read("4w"), Some(Span::days(28)));
        assert_eq!(read("1Q"), Some(Span::days(90)));
        assert_eq!(read("1Y"), Some(Span::days(365)));
        for bad in ["", "5", "m", "0d", "1D", "1 d", "1.5h", "-1d", "+1d", "1s", "30days", "1H"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_whole_calendar_periods_are_calendars() {
        let unit = |text| Shorthand::parse(text).and_then(Shorthand::calendar);
        assert_eq!(unit("3M"), Some(CalendarUnit::Quarter));
        assert_eq!(unit("7d"), Some(CalendarUnit::Week));
        for other in ["2M", "1h", "1d", "1Y"] {
            assert_eq!(unit(other), None, "{other}");
        }
    }
}
