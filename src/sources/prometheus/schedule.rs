//! Which instants are asked, in how many requests.
//!
//! Consecutive periods of one length make one range query (step = that length, one point per
//! period end). A day of 23 or 25 hours breaks the run and is asked by itself, with its own
//! `{{grain}}`; so is everything beyond [`MAX_POINTS`], because servers refuse 11,001 points.

use judge::time::{SECOND_MS, Timestamp, Window, add_ms, ms_between};

/// Most points of one range query.
pub(super) const MAX_POINTS: usize = 10_000;

/// Consecutive periods of one length, asked with one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// End of the first period.
    pub(super) first_end: Timestamp,
    /// Length of each period.
    pub(super) step_ms: i64,
    /// How many periods.
    pub(super) count: usize,
}

impl Run {
    /// End of the last period.
    pub(super) fn last_end(&self) -> Timestamp {
        add_ms(self.first_end, self.step_ms * (self.count as i64 - 1))
    }

    /// Two runs of half the points; `None` for a single point.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let first = Self { count: self.count / 2, ..self };
        let first_end = add_ms(self.first_end, self.step_ms * first.count as i64);
        let second = Self { first_end, count: self.count - first.count, ..self };
        (first.count > 0).then_some((first, second))
    }
}

/// The runs of adjacent periods.
pub(super) fn runs(periods: &[Window]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for period in periods {
        let step_ms = ms_between(period.start, period.end);
        match runs.last_mut() {
            Some(run)
                if run.step_ms == step_ms
                    && run.count < MAX_POINTS
                    && run.last_end() == period.start =>
            {
                run.count += 1;
            }
            _ => runs.push(Run { first_end: period.end, step_ms, count: 1 }),
        }
    }
    runs
}

/// Unix seconds as the API reads them, milliseconds kept; nothing before 1970 is asked.
pub(super) fn seconds(ms: i64) -> String {
    let ms = ms.max(0);
    let (whole, rest) = (ms / SECOND_MS, ms % SECOND_MS);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::test_support::ts;

    fn days(lengths: &[i64]) -> Vec<Window> {
        let mut start = ts("2026-03-27T23:00:00Z");
        let mut days = Vec::new();
        for hours in lengths {
            let end = add_ms(start, hours * 3_600_000);
            days.push(Window { start, end });
            start = end;
        }
        days
    }

    #[test]
    fn a_short_day_is_asked_by_itself() {
        let runs = runs(&days(&[24, 24, 23, 24]));
        let shape: Vec<_> = runs.iter().map(|run| (run.step_ms / 3_600_000, run.count)).collect();
        assert_eq!(shape, [(24, 2), (23, 1), (24, 1)]);
        assert_eq!(runs[0].last_end(), ts("2026-03-29T23:00:00Z"));
    }

    #[test]
    fn no_request_has_more_points_than_a_server_takes() {
        let runs = runs(&days(&vec![1; 25_000]));
        assert_eq!(runs.iter().map(|run| run.count).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
        assert_eq!(runs.last().unwrap().last_end(), days(&vec![1; 25_000])[24_999].end);
    }

    #[test]
    fn halves_cover_the_same_points() {
        let run = runs(&days(&[1; 5]))[0];
        let (first, second) = run.halves().unwrap();
        assert_eq!((first.count, second.count), (2, 3));
        assert_eq!(add_ms(first.last_end(), run.step_ms), second.first_end);
        assert_eq!(second.last_end(), run.last_end());
        assert_eq!(Run { count: 1, ..run }.halves(), None);
    }

    #[test]
    fn instants_keep_their_milliseconds() {
        assert_eq!(seconds(1_500), "1.500");
        assert_eq!(seconds(2_000), "2");
    }
}
