//! The grid of periods: where a series' periods start and end.
//!
//! Part of the contract step, also used by sources that choose their own instants. Periods of
//! whole days are calendar days of the need's zone (23 or 25 hours around a clock change; longer
//! ones count from the window's first day). Shorter ones are aligned to the epoch, so that every
//! experiment which shares a series shares its periods.

use jiff::tz::TimeZone;

use super::Refusal;
use crate::plan::{Need, Shape};
use crate::spec::Form;
use crate::time::{DAY_MS, Span, Timestamp, Window, add, add_ms, aligned_slot, daily_slot};

/// Where periods start and end.
#[derive(Debug, Clone)]
pub struct Grid {
    grain: Span,
    window: Window,
    zone: TimeZone,
}

impl Grid {
    /// The grid of a need.
    ///
    /// # Errors
    /// A zone that does not exist or a period without length.
    pub fn of(need: &Need) -> Result<Self, Refusal> {
        let zone = TimeZone::get(&need.timezone).map_err(|_| {
            let why = format!("time zone {:?} does not exist", need.timezone);
            Refusal::new("need", why, "write an IANA name such as Europe/Berlin")
        })?;
        if need.grain.ms < 1 {
            return Err(Refusal::new("need", "a period without length", "set a longer grain"));
        }
        let mut grid = Self { grain: need.grain, window: need.window, zone };
        let is_value = need.shape == Shape::Form(Form::Value);
        if is_value && grid.periods(need.window).next().is_none() {
            let newest = grid.newest_before(need.window.end);
            grid.window.start = newest.min(need.window.start);
        }
        Ok(grid)
    }

    /// The need's window. A value without counts may be asked for in a window that holds no whole
    /// period (the last 30 s, at any instant): it then reaches back to the newest one. Counts
    /// never do, because that would add what happened before the window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The zone of civil dates.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn whole_days(&self) -> Option<i64> {
        (self.grain.ms % DAY_MS == 0).then_some(self.grain.ms / DAY_MS)
    }

    /// Start of the period that holds `at`.
    pub fn start_of(&self, at: Timestamp) -> Timestamp {
        match self.whole_days() {
            Some(days) => daily_slot(at, self.window.start, days, &self.zone),
            None => aligned_slot(at, self.grain, 0),
        }
    }

    /// End of the period that starts at `start`.
    pub fn end_of(&self, start: Timestamp) -> Timestamp {
        match self.whole_days() {
            Some(_) => add(start, self.grain, &self.zone),
            None => add_ms(start, self.grain.ms),
        }
    }

    /// Start of the newest period that is over at `end`.
    pub fn newest_before(&self, end: Timestamp) -> Timestamp {
        let start = self.start_of(end);
        self.start_of(add_ms(start, -1))
    }

    /// Every period wholly inside the window, oldest first.
    pub fn periods(&self, window: Window) -> impl Iterator<Item = Window> + '_ {
        let first = self.start_of(window.start);
        let first = if first < window.start { self.end_of(first) } else { first };
        let mut next = first;
        std::iter::from_fn(move || {
            let start = next;
            let end = self.end_of(start);
            if end > window.end || end <= start {
                return None;
            }
            next = end;
            Some(Window { start, end })
        })
    }

    /// About how many periods a window has (an upper bound).
    pub fn count(&self, window: Window) -> usize {
        let ms = window.end.as_millisecond().saturating_sub(window.start.as_millisecond());
        // A calendar day can be an hour short; one more period covers every clock change.
        usize::try_from(ms.max(0) / self.grain.ms).unwrap_or(usize::MAX).saturating_add(2)
    }
}
