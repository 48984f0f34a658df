//! Hours in which messages wait, and the hour of a digest: civil time in a zone, so that a change
//! of the clocks neither loses nor repeats one.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use judge::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Quiet stretches that follow on each other are joined; more than this are a year of them.
const MOST_STRETCHES: usize = 400;
/// How far a digest's slot is looked for, in days: a week has every weekday.
const REACH_DAYS: i8 = 8;

/// A day of the week in settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn is(self, weekday: Weekday) -> bool {
        let own = match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        };
        own == weekday
    }
}

/// No day named means every day.
fn has(days: &[Day], date: Date) -> bool {
    days.is_empty() || days.iter().any(|day| day.is(date.weekday()))
}

/// When messages wait.
#[derive(Debug, Clone, PartialEq)]
pub struct QuietHours {
    /// Where the hours are.
    pub zone: TimeZone,
    /// Days on which a stretch begins; none = every day.
    pub days: Vec<Day>,
    /// When it begins.
    pub from: Time,
    /// When it ends: on the same day if later than `from`, else on the next one.
    pub to: Time,
    /// Days that are quiet from midnight to midnight.
    pub holidays: Vec<Date>,
}

impl QuietHours {
    /// The end of the quiet stretch that `now` is in, joined with what follows at once.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut end = self.end_of_stretch(now)?;
        for _ in 0..MOST_STRETCHES {
            match self.end_of_stretch(end) {
                Some(later) => end = later,
                None => break,
            }
        }
        Some(end)
    }

    fn end_of_stretch(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        let yesterday = today.yesterday().ok();
        let days = yesterday.into_iter().chain([today]);
        let stretches = days.flat_map(|date| [self.of_day(date), self.holiday(date)]).flatten();
        stretches.filter(|(from, to)| *from <= now && now < *to).map(|(_, to)| to).max()
    }

    fn of_day(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let last = if self.to > self.from { date } else { date.tomorrow().ok()? };
        let stretch = (self.instant(date, self.from)?, self.instant(last, self.to)?);
        has(&self.days, date).then_some(stretch)
    }

    fn holiday(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let stretch = (
            self.instant(date, Time::midnight())?,
            self.instant(date.tomorrow().ok()?, Time::midnight())?,
        );
        self.holidays.contains(&date).then_some(stretch)
    }

    fn instant(&self, date: Date, time: Time) -> Option<Timestamp> {
        instant(date, time, &self.zone)
    }
}

/// An hour that the clocks skip is the instant after the gap; one that they repeat is its first.
fn instant(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
}

/// When a digest is due.
#[derive(Debug, Clone, PartialEq)]
pub struct DigestHours {
    /// Where the hour is.
    pub zone: TimeZone,
    /// Days with a digest; none = every day.
    pub days: Vec<Day>,
    /// The hour.
    pub at: Time,
}

impl DigestHours {
    /// The newest slot at or before `now`.
    pub fn slot(&self, now: Timestamp) -> Option<Timestamp> {
        let mut date = now.to_zoned(self.zone.clone()).date();
        for _ in 0..REACH_DAYS {
            let slot = has(&self.days, date).then(|| instant(date, self.at, &self.zone)).flatten();
            if let Some(slot) = slot.filter(|slot| *slot <= now) {
                return Some(slot);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The first slot after `now`.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let mut date = now.to_zoned(self.zone.clone()).date();
        for _ in 0..REACH_DAYS {
            let slot = has(&self.days, date).then(|| instant(date, self.at, &self.zone)).flatten();
            if let Some(slot) = slot.filter(|slot| *slot > now) {
                return Some(slot);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}
