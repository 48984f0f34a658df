//! Instants, windows, durations and slots: pure calendar arithmetic.
//!
//! Nothing here knows what time it is. Instants are jiff timestamps (milliseconds in records),
//! windows are half-open, and calendar days follow the experiment's IANA time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use jiff::Timestamp;

/// One second in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 3_600 * SECOND_MS;
/// One nominal day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A half-open stretch of time `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// Whether `[start, end)` of a period lies wholly inside.
    pub fn holds(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start <= start && end <= self.end
    }
}

/// A duration as written in an experiment file (`30s`, `4h`, `7d`, `2w`), in milliseconds.
///
/// Whole days are calendar days of the experiment's zone when added to an instant (see [`add`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span {
    /// Length in milliseconds; a day counts 24 hours.
    pub ms: i64,
}

impl Span {
    /// No time at all: `0d`.
    pub const ZERO: Self = Self { ms: 0 };

    /// A span of whole days.
    pub const fn days(days: i64) -> Self {
        Self { ms: days * DAY_MS }
    }

    /// A span of whole hours.
    pub const fn hours(hours: i64) -> Self {
        Self { ms: hours * HOUR_MS }
    }

    /// A span of whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self { ms: seconds * SECOND_MS }
    }

    /// Length in days, with fraction.
    pub fn as_days(self) -> f64 {
        self.ms as f64 / DAY_MS as f64
    }

    /// Reads `30s`, `5m`, `4h`, `14d`, `6w` or `0d`; integers with exactly one unit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let number: i64 = number.parse().ok()?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => SECOND_MS,
            "m" => 60 * SECOND_MS,
            "h" => HOUR_MS,
            "d" => DAY_MS,
            "w" => 7 * DAY_MS,
            _ => return None,
        };
        // Ten thousand days is far beyond any experiment and far below overflow.
        let ms = number.checked_mul(unit_ms)?;
        (ms <= 10_000 * DAY_MS).then_some(Self { ms })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.ms;
        match ms {
            0 => f.write_str("0d"),
            _ if ms % DAY_MS == 0 => write!(f, "{}d", ms / DAY_MS),
            _ if ms % HOUR_MS == 0 => write!(f, "{}h", ms / HOUR_MS),
            _ if ms % (60 * SECOND_MS) == 0 => write!(f, "{}m", ms / (60 * SECOND_MS)),
            _ if ms % SECOND_MS == 0 => write!(f, "{}s", ms / SECOND_MS),
            _ => write!(f, "{ms}ms"),
        }
    }
}

/// `at + span`: whole days by the calendar of `zone` (a day may have 23 or 25 hours), the rest
/// by the clock. Saturates at the ends of time.
pub fn add(at: Timestamp, span: Span, zone: &TimeZone) -> Timestamp {
    let days = span.ms / DAY_MS;
    let rest_ms = span.ms % DAY_MS;
    let shifted = at
        .to_zoned(zone.clone())
        .checked_add(jiff::Span::new().days(days))
        .map_or(at, |zoned| zoned.timestamp());
    add_ms(shifted, rest_ms)
}

/// `at + ms`, saturating.
pub fn add_ms(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(ms)).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Milliseconds from `from` to `to` (negative when `to` is earlier).
pub fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

/// 00:00 of a civil date in a zone: what `start: D` means.
pub fn start_of_day(date: Date, zone: &TimeZone) -> Timestamp {
    date.to_zoned(zone.clone()).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// The end of a civil date in a zone, that is 00:00 of the next: what `at: D` and `by: D` mean.
pub fn end_of_day(date: Date, zone: &TimeZone) -> Timestamp {
    date.tomorrow().map_or(Timestamp::MAX, |next| start_of_day(next, zone))
}

/// The civil date of an instant in a zone.
pub fn date_of(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}

/// The newest slot at or before `at` of a series aligned to the epoch plus `offset_ms`.
///
/// Sub-daily intervals are aligned this way; calendar-day schedules use [`daily_slot`].
pub fn aligned_slot(at: Timestamp, every: Span, offset_ms: i64) -> Timestamp {
    let every_ms = every.ms.max(1);
    let since = at.as_millisecond() - offset_ms;
    let slot = since.div_euclid(every_ms) * every_ms + offset_ms;
    Timestamp::from_millisecond(slot).unwrap_or(at)
}

/// The newest 00:00 at or before `at` that lies a multiple of `every_days` calendar days after
/// the day of `anchor`.
pub fn daily_slot(at: Timestamp, anchor: Timestamp, every_days: i64, zone: &TimeZone) -> Timestamp {
    let anchor_date = date_of(anchor, zone);
    let date = date_of(at, zone);
    let days = (date - anchor_date).get_days();
    let back = i64::from(days).rem_euclid(every_days.max(1));
    let slot_date = date.checked_sub(jiff::Span::new().days(back)).unwrap_or(date);
    start_of_day(slot_date, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn spans_read_and_print_their_own_form() {
        for text in ["0d", "30s", "5m", "4h", "14d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("2w"), Some(Span::days(14)));
        for bad in ["", "d", "7", "-1d", "1.5h", "7 d", "99999999999999d", "7days"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_follows_the_calendar_across_a_clock_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // 29 March 2026 has 23 hours in Berlin.
        let start = ts("2026-03-28T23:00:00Z");
        assert_eq!(add(start, Span::days(1), &zone), ts("2026-03-29T22:00:00Z"));
        assert_eq!(end_of_day("2026-03-29".parse().unwrap(), &zone), ts("2026-03-29T22:00:00Z"));
    }

    #[test]
    fn slots_are_aligned_and_never_in_the_future() {
        let at = ts("2026-11-22T10:00:42Z");
        assert_eq!(aligned_slot(at, Span::seconds(30), 0), ts("2026-11-22T10:00:30Z"));
        assert_eq!(aligned_slot(at, Span::seconds(30), 15_000), ts("2026-11-22T10:00:15Z"));
        let anchor = ts("2026-11-01T00:00:00Z");
        assert_eq!(daily_slot(at, anchor, 7, &TimeZone::UTC), ts("2026-11-22T00:00:00Z"));
        assert_eq!(daily_slot(at, anchor, 4, &TimeZone::UTC), ts("2026-11-21T00:00:00Z"));
    }
}
