//! Day numbers and hours of the demo: day 0 is Monday 2026-06-01, all in UTC.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use judge::time::{DAY_MS, HOUR_MS, Timestamp, add_ms, start_of_day};

const fn zero() -> Date {
    date(2026, 6, 1)
}

/// The date of a day number.
pub fn date_of(day: i64) -> Date {
    zero().checked_add(jiff::Span::new().days(day)).unwrap_or(Date::MAX)
}

/// 00:00 of a day.
pub fn midnight(day: i64) -> Timestamp {
    add_ms(start_of_day(zero(), &TimeZone::UTC), day * DAY_MS)
}

/// The start of an hour counted from day 0.
pub fn hour_start(hour: i64) -> Timestamp {
    add_ms(midnight(0), hour * HOUR_MS)
}

/// The day an instant lies in.
pub fn day_of(at: Timestamp) -> i64 {
    (at.as_millisecond() - midnight(0).as_millisecond()).div_euclid(DAY_MS)
}

/// Monday to Friday.
pub fn is_weekday(day: i64) -> bool {
    day.rem_euclid(7) < 5
}

/// How busy a day is for software that people use at work.
pub fn day_weight(day: i64) -> f64 {
    [1.1, 1.15, 1.1, 1.05, 1.0, 0.75, 0.85][day.rem_euclid(7) as usize]
}

/// How busy an hour of the day is.
pub fn hour_weight(hour: i64) -> f64 {
    let of_day = hour.rem_euclid(24);
    match of_day {
        0..=5 => 0.4,
        6..=8 => 0.9,
        9..=17 => 1.5,
        18..=21 => 1.1,
        _ => 0.7,
    }
}
