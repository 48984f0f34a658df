//! Typing one cell by the declared format: numbers and times, strictly.
//!
//! What a format does not declare is refused with the line to write, because a misread thousands
//! separator or day-month order is a wrong verdict and not a parse error.

use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use judge::contract::{decimal, instant};
use judge::time::{Timestamp, start_of_day};

use super::config::CsvConfig;

/// Why a cell was refused and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: String,
    pub(super) fix: &'static str,
}

fn fault<T>(why: &str, fix: &'static str) -> Result<T, Fault> {
    Err(Fault { why: why.to_owned(), fix })
}

/// A number cell; `None` when it is empty, NaN or infinite and the column takes gaps.
pub(super) fn number(
    config: &CsvConfig,
    text: &str,
    is_count: bool,
    takes_gaps: bool,
) -> Result<Option<f64>, Fault> {
    let text = text.trim_matches(|letter: char| letter.is_whitespace());
    let bare = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if text.is_empty() {
        return Ok(None);
    }
    if matches!(bare.as_str(), "nan" | "inf" | "infinity") {
        if takes_gaps {
            return Ok(None);
        }
        return fault("not a finite number", "export counts and sums, not quotients");
    }
    let (text, scale) = match text.strip_suffix('%') {
        None => (text, 1.0),
        Some(_) if is_count => return fault("a percentage where a count belongs", "export counts"),
        Some(rest) if config.percent => (rest.trim_end(), 100.0),
        Some(_) => return fault("a percent sign", "set percent = true in the source"),
    };
    let plain = plain(config, text)?;
    let Some(value) = decimal(&plain) else {
        return fault("not a number", "export plain decimals, e.g. 1234.5");
    };
    if is_count && value < 0.0 {
        return fault("a negative count", "count events, not changes");
    }
    if is_count && value.fract() != 0.0 {
        return fault("a count with a fraction", "export whole events, not shares or rates");
    }
    Ok(Some(value / scale))
}

/// The text as a plain decimal: grouping dropped when well formed, decimal mark made a point.
fn plain(config: &CsvConfig, text: &str) -> Result<String, Fault> {
    let text = text.replace('\u{2212}', "-");
    let (whole, fraction) = match text.split_once(config.decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text.as_str(), None),
    };
    let mut plain = match config.grouping {
        Some(mark) if whole.contains(mark) => ungrouped(whole, mark)?,
        _ => whole.to_owned(),
    };
    if plain.contains(['.', ',', '\'', ' ', '\u{a0}', '\u{202f}']) {
        return fault(
            "a mark that can be read in two ways",
            "declare decimal and grouping in the source",
        );
    }
    if let Some(fraction) = fraction {
        plain.push('.');
        plain.push_str(fraction);
    }
    Ok(plain)
}

fn ungrouped(whole: &str, mark: char) -> Result<String, Fault> {
    let digits = whole.trim_start_matches(['+', '-']);
    let mut groups = digits.split(mark);
    let first = groups.next().unwrap_or_default();
    let well_formed = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    if !well_formed {
        return fault("thousands separators in the wrong place", "group digits by three");
    }
    Ok(whole.replace(mark, ""))
}

/// How the time column is read.
#[derive(Debug, Clone)]
pub(super) struct Times<'a> {
    pub(super) format: Option<&'a str>,
    /// Zone of clock times without offset.
    pub(super) clock_zone: TimeZone,
    /// Zone of the periods.
    pub(super) period_zone: TimeZone,
}

impl Times<'_> {
    /// Reads a time cell.
    pub(super) fn read(&self, text: &str) -> Result<Timestamp, Fault> {
        if let Some(format) = self.format {
            return self.formatted(format, text);
        }
        if let Ok(date) = text.parse::<Date>()
            && text.len() == 10
        {
            return self.day(date);
        }
        instant(text, &self.clock_zone).map_err(|why| Fault {
            why: format!("{why}{}", two_readings(text).unwrap_or_default()),
            fix: "set date_format in the source, e.g. %d.%m.%Y",
        })
    }

    /// `days since 2020-01-01` and the like: numbers of a unit after an instant.
    fn since(&self, unit: &str, origin: &str, text: &str) -> Result<Timestamp, Fault> {
        let unit_ms = match unit {
            "seconds" => judge::time::SECOND_MS,
            "hours" => judge::time::HOUR_MS,
            "days" => judge::time::DAY_MS,
            _ => {
                return fault("date_format counts an unknown unit", "seconds, hours or days since");
            }
        };
        let Ok(origin) = instant(origin, &self.period_zone) else {
            return fault("date_format counts from no instant", "write days since 2026-01-31");
        };
        let Some(number) = decimal(text).filter(|number| number.abs() < 1e9) else {
            return fault("not a number of the declared unit", "export plain decimals, e.g. 12.5");
        };
        Ok(judge::time::add_ms(origin, (number * unit_ms as f64).round() as i64))
    }

    fn formatted(&self, format: &str, text: &str) -> Result<Timestamp, Fault> {
        if let Some((unit, origin)) = format.split_once(" since ") {
            return self.since(unit.trim(), origin.trim(), text);
        }
        let wrong = "not a time of the declared format";
        let fix = "correct the cell, or date_format in the source";
        let Ok(parts) = BrokenDownTime::parse(format, text) else {
            return fault(wrong, fix);
        };
        if let Ok(at) = parts.to_timestamp() {
            return Ok(at);
        }
        if let Ok(civil) = parts.to_datetime()
            && parts.hour().is_some()
        {
            let zoned = self.clock_zone.to_ambiguous_timestamp(civil).unambiguous();
            return zoned.or_else(|_| {
                fault(
                    "a clock time that does not exist or exists twice in its zone",
                    "export times with their offset",
                )
            });
        }
        match parts.to_date() {
            Ok(date) => self.day(date),
            Err(_) => fault(wrong, fix),
        }
    }

    /// A date is a day of the periods' zone; a file whose days are others cannot be split.
    fn day(&self, date: Date) -> Result<Timestamp, Fault> {
        let at = start_of_day(date, &self.period_zone);
        if at != start_of_day(date, &self.clock_zone) {
            return fault(
                "a day of another zone than the experiment's",
                "export days of the experiment's timezone, or times with offset",
            );
        }
        Ok(at)
    }
}

/// `03/04/2026` is two dates: shows both.
fn two_readings(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(['/', '.', '-']).collect();
    let [first, second, year] = parts.as_slice() else {
        return None;
    };
    let (first, second): (i8, i8) = (first.parse().ok()?, second.parse().ok()?);
    let year: i16 = year.parse().ok()?;
    let day_first = Date::new(year, second, first).ok()?;
    let month_first = Date::new(year, first, second).ok()?;
    Some(format!(" (it can be {day_first} or {month_first})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::test_support::ts;

    fn read(config: &CsvConfig, text: &str) -> Result<Option<f64>, Fault> {
        number(config, text, false, false)
    }

    #[test]
    fn numbers_follow_the_declared_marks() {
        let plain = CsvConfig::new("x");
        assert_eq!(read(&plain, " 12.5 "), Ok(Some(12.5)));
        assert_eq!(read(&plain, "\u{2212}3"), Ok(Some(-3.0)));
        assert_eq!(read(&plain, ""), Ok(None));
        for bad in ["1,234", "1 234", "12%", "(3)", "=3", "'3", "nan", "Infinity", "1.2.3", "€3"]
        {
            assert!(read(&plain, bad).is_err(), "{bad}");
        }
        let german = CsvConfig { decimal: ',', grouping: Some('.'), ..plain.clone() };
        assert_eq!(read(&german, "1.234,5"), Ok(Some(1234.5)));
        assert_eq!(read(&german, "-12.345.678"), Ok(Some(-12_345_678.0)));
        for bad in ["1.23", "1234.567", "1,234.5", ".123", "1..234"] {
            assert!(read(&german, bad).is_err(), "{bad}");
        }
        let percent = CsvConfig { percent: true, ..plain };
        assert_eq!(read(&percent, "12.5 %"), Ok(Some(0.125)));
        assert!(number(&percent, "12%", true, false).is_err());
    }

    #[test]
    fn counts_are_whole_and_gaps_only_where_they_may_be() {
        let config = CsvConfig::new("x");
        assert_eq!(number(&config, "3.0", true, false), Ok(Some(3.0)));
        assert!(number(&config, "3.5", true, false).is_err());
        assert!(number(&config, "-3", true, false).is_err());
        assert_eq!(number(&config, "NaN", false, true), Ok(None));
    }

    fn times(format: Option<&'static str>, zone: &str) -> Times<'static> {
        let get = |name: &str| TimeZone::get(name).unwrap();
        Times { format, clock_zone: get(zone), period_zone: get("Europe/Berlin") }
    }

    #[test]
    fn times_follow_the_declared_format_and_zone() {
        let iso = times(None, "Europe/Berlin");
        assert_eq!(iso.read("2026-08-01"), Ok(ts("2026-07-31T22:00:00Z")));
        assert_eq!(iso.read("2026-08-01 06:00"), Ok(ts("2026-08-01T04:00:00Z")));
        assert_eq!(times(None, "UTC").read("2026-08-01 06:00"), Ok(ts("2026-08-01T06:00:00Z")));
        assert!(times(None, "UTC").read("2026-08-01").unwrap_err().why.contains("another zone"));
        let german = times(Some("%d.%m.%Y"), "Europe/Berlin");
        assert_eq!(german.read("01.08.2026"), Ok(ts("2026-07-31T22:00:00Z")));
        assert!(german.read("2026-08-01").is_err());
        let clock = times(Some("%d.%m.%Y %H:%M"), "Europe/Berlin");
        assert_eq!(clock.read("01.08.2026 06:00"), Ok(ts("2026-08-01T04:00:00Z")));
        assert!(clock.read("29.03.2026 02:30").unwrap_err().why.contains("exists twice"));
        let offset = times(Some("%Y%m%dT%H%M%z"), "Europe/Berlin");
        assert_eq!(offset.read("20260801T0600+0000"), Ok(ts("2026-08-01T06:00:00Z")));
    }

    #[test]
    fn an_ambiguous_date_is_refused_with_both_readings() {
        let fault = times(None, "UTC").read("03/04/2026").unwrap_err();
        assert!(fault.why.contains("2026-04-03 or 2026-03-04"), "{fault:?}");
        assert!(times(None, "UTC").read("2026-08-01T99:00").is_err());
        assert!(times(None, "UTC").read("yesterday").is_err());
    }
}
