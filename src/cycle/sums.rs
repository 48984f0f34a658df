//! Prefix sums of burn-rate series, kept between looks.
//!
//! The store holds every period; this holds their sums, so that a look reads what is new and no
//! window reads the store or the source again. Only what the longest window can reach is kept. A
//! restart, another writer or a failed commit shows in the newest stored period: then the series
//! is read anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use judge::guardrails::Slots;
use judge::points::Point;
use judge::time::{Timestamp, Window};

use crate::app::Inner;
use crate::store::StoreError;

/// Most periods kept over all series (40 bytes each); beyond it they are read when needed.
const MOST_SLOTS: usize = 2_000_000;

/// One series.
#[derive(Debug)]
struct Kept {
    /// Everything stored since then is in the sums.
    since: Timestamp,
    slots: Slots,
}

/// What looks left for the next ones, by series id.
#[derive(Debug, Default)]
pub struct Sums {
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl Sums {
    /// Takes a series out, if it still is what the store holds since `since`.
    fn take(&self, series: &str, since: Timestamp, stored_to: Option<Timestamp>) -> Option<Slots> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.remove(series)?;
        let is_current = found.since <= since && found.slots.newest_end() == stored_to;
        is_current.then_some(found.slots)
    }

    /// Old periods of a series were restated: the next look reads it anew.
    pub fn forget(&self, series: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(series);
    }

    /// Puts a series back for the next look.
    pub fn keep(&self, series: &str, since: Timestamp, slots: Slots) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = kept.values().map(|kept| kept.slots.len()).sum();
        if held + slots.len() <= MOST_SLOTS {
            kept.insert(series.to_owned(), Kept { since, slots });
        }
    }
}

/// The sums of a series over a window, with freshly fetched points laid over them. `stored_to` is
/// the end of the newest stored period before the fetch.
pub async fn of(
    app: &Inner,
    series: &str,
    window: Window,
    stored_to: Option<Timestamp>,
    fresh: &[Point],
) -> Result<Slots, StoreError> {
    let mut slots = match app.sums.take(series, window.start, stored_to) {
        Some(slots) => slots,
        None => Slots::of(&app.store.points(series, window).await?),
    };
    slots.lay(fresh);
    slots.forget_before(window.start);
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use judge::points::{ALL, Sums as PointSums};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millisecond(minute * 60_000).unwrap()
    }

    fn slots(to: i64) -> Slots {
        let point = |minute| Point {
            arm: ALL.to_owned(),
            start: at(minute),
            end: at(minute + 1),
            sums: PointSums::Proportion { num: 0.0, den: 1.0 },
        };
        Slots::of(&(0..to).map(point).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_the_store_holds_is_taken() {
        let sums = Sums::default();
        sums.keep("a", at(0), slots(5));
        assert_eq!(sums.take("a", at(2), Some(at(5))), Some(slots(5)));
        assert_eq!(sums.take("a", at(2), Some(at(5))), None, "it was taken");
        for (since, stored_to) in [(at(-1), Some(at(5))), (at(2), Some(at(6))), (at(2), None)] {
            sums.keep("a", at(0), slots(5));
            assert_eq!(sums.take("a", since, stored_to), None, "{since} {stored_to:?}");
        }
        sums.keep("a", at(0), slots(5));
        sums.forget("a");
        assert_eq!(sums.take("a", at(2), Some(at(5))), None, "it was restated");
    }

    #[test]
    fn there_is_a_limit() {
        let sums = Sums::default();
        for series in 0..5 {
            sums.keep(&series.to_string(), at(0), slots(500_000));
        }
        let is_kept = |series: &str| sums.take(series, at(0), Some(at(500_000))).is_some();
        let kept: Vec<bool> = ["0", "1", "2", "3", "4"].map(is_kept).to_vec();
        assert_eq!(kept, [true, true, true, true, false]);
    }
}
