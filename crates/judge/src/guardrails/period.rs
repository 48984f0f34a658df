//! The period an error budget runs over, around the newest data.
//!
//! Rolling periods end at the newest data; calendar periods are those that the newest data belong
//! to, with their real lengths in the experiment's zone (a day may have 23 hours).

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::spec::{BudgetPeriod, CalendarUnit};
use crate::time::{Timestamp, Window, add_ms, date_of, start_of_day};

/// The period that `as_of` (the end of the newest data) lies in; a lifetime begins at `started_at`.
pub(super) fn period(
    budget: BudgetPeriod,
    as_of: Timestamp,
    started_at: Timestamp,
    zone: &TimeZone,
) -> Window {
    match budget {
        BudgetPeriod::Lifetime => Window { start: started_at.min(as_of), end: as_of },
        BudgetPeriod::Rolling(length) => Window { start: add_ms(as_of, -length.ms), end: as_of },
        BudgetPeriod::Calendar(unit) => {
            let day = date_of(add_ms(as_of, -1), zone);
            let (first, next) = calendar(unit, day);
            Window { start: start_of_day(first, zone), end: start_of_day(next, zone) }
        }
    }
}

/// First day of the calendar period around `day`, and of the next.
fn calendar(unit: CalendarUnit, day: Date) -> (Date, Date) {
    let (first, length) = match unit {
        CalendarUnit::Week => {
            let since_monday = day.weekday().to_monday_zero_offset();
            (day.saturating_sub(i64::from(since_monday).days()), 7.days())
        }
        CalendarUnit::Month => (day.first_of_month(), 1.months()),
        CalendarUnit::Quarter => {
            let months_in = (day.month() - 1) % 3;
            (day.first_of_month().saturating_sub(i64::from(months_in).months()), 3.months())
        }
    };
    (first, first.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Span, ms_between};

    fn around(unit: CalendarUnit, as_of: &str, zone: &str) -> (String, String) {
        let zone = TimeZone::get(zone).unwrap();
        let as_of = as_of.parse().unwrap();
        let found = period(BudgetPeriod::Calendar(unit), as_of, as_of, &zone);
        (found.start.to_string(), found.end.to_string())
    }

    #[test]
    fn calendar_periods_follow_the_zone() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        // 00:30 on 1 February in Auckland is still January in UTC.
        let at = "2027-01-31T11:30:00Z";
        assert_eq!(
            around(CalendarUnit::Month, at, "UTC"),
            pair("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z")
        );
        assert_eq!(
            around(CalendarUnit::Month, at, "Pacific/Auckland"),
            pair("2027-01-31T11:00:00Z", "2027-02-28T11:00:00Z")
        );
        // 31 January 2027 is a Sunday; the quarter holds the clock change of 28 March.
        assert_eq!(
            around(CalendarUnit::Week, at, "UTC"),
            pair("2027-01-25T00:00:00Z", "2027-02-01T00:00:00Z")
        );
        assert_eq!(
            around(CalendarUnit::Quarter, at, "Europe/Berlin"),
            pair("2026-12-31T23:00:00Z", "2027-03-31T22:00:00Z")
        );
        // Data up to midnight belong to the period that ends there.
        assert_eq!(
            around(CalendarUnit::Month, "2027-02-01T00:00:00Z", "UTC").0,
            "2027-01-01T00:00:00Z"
        );
    }

    #[test]
    fn a_rolling_period_ends_with_the_data() {
        let as_of: Timestamp = "2027-01-31T11:30:00Z".parse().unwrap();
        let found = period(BudgetPeriod::Rolling(Span::days(28)), as_of, as_of, &TimeZone::UTC);
        assert_eq!((found.end, ms_between(found.start, found.end)), (as_of, Span::days(28).ms));
    }
}
