//! Prefix sums over the periods of one series: any window is two look-ups.
//!
//! Beside the line: filled from stored points, extended by every fetch, read by the burn-rate
//! windows. A window's (bad, total) is exact to the event, whatever its length, without asking the
//! source or the store again: O(log n) to find its ends, O(1) to add up (monitoring section 2).
//!
//! Invariants: periods are in time order and do not overlap; sums of whole counts are exact up to
//! 2^53; only whole periods inside a window count.

use std::collections::BTreeMap;

use crate::observe::canonical;
use crate::points::{Point, Sums};
use crate::time::{Timestamp, Window, ms_between};

/// One period.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slot {
    end: Timestamp,
    bad: f64,
    total: f64,
}

/// The periods of one series, summed up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slots {
    starts: Vec<Timestamp>,
    ends: Vec<Timestamp>,
    /// Sums of all periods before and with this one.
    sums: Vec<Sum>,
    /// What forgotten periods had summed up to.
    forgotten: Sum,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub total: f64,
    /// Measured time in milliseconds.
    pub measured_ms: i64,
}

impl Slots {
    /// The sums of points of form `proportion`, in any order; other forms are left out.
    pub fn of(points: &[Point]) -> Self {
        let mut slots = Self::default();
        slots.lay(points);
        slots
    }

    /// Lays newer points over what is there: a period that came again replaces its older version.
    pub fn lay(&mut self, points: &[Point]) {
        let mut fresh: BTreeMap<Timestamp, Slot> = BTreeMap::new();
        for point in canonical(points) {
            let Sums::Proportion { num: bad, den: total } = point.sums else { continue };
            let new = Slot { end: point.end, bad, total };
            fresh
                .entry(point.start)
                .and_modify(|slot| {
                    slot.bad += bad;
                    slot.total += total;
                })
                .or_insert(new);
        }
        let Some(first) = fresh.keys().next().copied() else { return };
        let kept = self.ends.partition_point(|end| *end <= first);
        for index in kept..self.starts.len() {
            let before = self.before(index);
            let (bad, total) =
                (self.sums[index].bad - before.bad, self.sums[index].total - before.total);
            fresh.entry(self.starts[index]).or_insert(Slot { end: self.ends[index], bad, total });
        }
        self.starts.truncate(kept);
        self.ends.truncate(kept);
        self.sums.truncate(kept);
        for (start, slot) in fresh {
            self.push(start, slot);
        }
    }

    fn push(&mut self, start: Timestamp, slot: Slot) {
        if self.newest_end().is_some_and(|newest| start < newest) || slot.end <= start {
            return;
        }
        let before = self.before(self.starts.len());
        self.starts.push(start);
        self.ends.push(slot.end);
        self.sums.push(Sum {
            bad: before.bad + slot.bad,
            total: before.total + slot.total,
            measured_ms: before.measured_ms + ms_between(start, slot.end),
        });
    }

    /// The sums of all periods before the one at `index`.
    fn before(&self, index: usize) -> Sum {
        index.checked_sub(1).and_then(|last| self.sums.get(last)).map_or(self.forgotten, |sum| *sum)
    }

    /// Drops periods that no window reaches any more. Cheap to call at every look: it waits until
    /// an eighth of them can go.
    pub fn forget_before(&mut self, at: Timestamp) {
        let old = self.ends.partition_point(|end| *end <= at);
        if old * 8 < self.ends.len() || old == 0 {
            return;
        }
        self.forgotten = self.before(old);
        self.starts.drain(..old);
        self.ends.drain(..old);
        self.sums.drain(..old);
    }

    /// How many periods there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The first instant that is measured.
    pub fn oldest_start(&self) -> Option<Timestamp> {
        self.starts.first().copied()
    }

    /// Where the data end.
    pub fn newest_end(&self) -> Option<Timestamp> {
        self.ends.last().copied()
    }

    /// Where the data ended at an instant.
    pub fn newest_end_by(&self, at: Timestamp) -> Option<Timestamp> {
        let closed = self.ends.partition_point(|end| *end <= at);
        closed.checked_sub(1).and_then(|last| self.ends.get(last)).copied()
    }

    /// The whole periods inside a window.
    pub fn within(&self, window: Window) -> Sum {
        let first = self.starts.partition_point(|start| *start < window.start);
        let after = self.ends.partition_point(|end| *end <= window.end);
        if after <= first {
            return Sum::default();
        }
        let (from, to) = (self.before(first), self.before(after));
        Sum {
            bad: to.bad - from.bad,
            total: to.total - from.total,
            measured_ms: to.measured_ms - from.measured_ms,
        }
    }

    /// The latest start of a window up to `end` that holds `events`, not before `earliest`.
    pub fn reaching(&self, end: Timestamp, events: f64, earliest: Timestamp) -> Timestamp {
        let after = self.ends.partition_point(|period| *period <= end);
        let all = self.before(after).total;
        // As many of the oldest periods can be left out and the rest still holds the events.
        let spare = self.sums[..after].partition_point(|sum| all - sum.total >= events);
        self.starts.get(spare).map_or(earliest, |start| (*start).max(earliest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::ALL;
    use crate::time::add_ms;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millisecond(minutes * 60_000).unwrap()
    }

    fn point(minute: i64, bad: f64, total: f64) -> Point {
        let sums = Sums::Proportion { num: bad, den: total };
        Point { arm: ALL.to_owned(), start: at(minute), end: at(minute + 1), sums }
    }

    fn window(from: i64, to: i64) -> Window {
        Window { start: at(from), end: at(to) }
    }

    fn sum(bad: f64, total: f64, minutes: i64) -> Sum {
        Sum { bad, total, measured_ms: minutes * 60_000 }
    }

    #[test]
    fn any_window_is_the_sum_of_its_whole_periods() {
        let points: Vec<_> =
            (0..50).map(|minute| point(minute, f64::from(minute as i32 % 3), 10.0)).collect();
        let slots = Slots::of(&points);
        for from in 0..50 {
            for to in from..=50 {
                let inside = &points[from as usize..to as usize];
                let bad: f64 = inside.iter().map(|p| p.sums.to_array()[0]).sum();
                let expected = sum(bad, 10.0 * inside.len() as f64, to - from);
                assert_eq!(slots.within(window(from, to)), expected, "{from}..{to}");
            }
        }
        // A period that is cut by the window's edge is not inside.
        let half = Window { start: add_ms(at(3), 1), end: add_ms(at(6), -1) };
        assert_eq!(slots.within(half), sum(1.0, 10.0, 1));
        assert_eq!(slots.newest_end_by(add_ms(at(7), 5)), Some(at(7)));
    }

    #[test]
    fn a_restated_period_replaces_its_older_version_and_gaps_stay_gaps() {
        let mut slots = Slots::of(&[point(0, 1.0, 10.0), point(1, 1.0, 10.0), point(5, 1.0, 10.0)]);
        slots.lay(&[point(1, 4.0, 20.0), point(6, 2.0, 10.0)]);
        assert_eq!(slots.within(window(0, 10)), sum(8.0, 50.0, 4));
        assert_eq!(slots.within(window(1, 6)), sum(5.0, 30.0, 2));
        // In any order, and again: the same.
        slots.lay(&[point(6, 2.0, 10.0), point(1, 4.0, 20.0)]);
        assert_eq!(slots.within(window(0, 10)), sum(8.0, 50.0, 4));
        // A period from before all others finds its place.
        slots.lay(&[point(-1, 7.0, 10.0)]);
        assert_eq!(slots.within(window(-1, 2)), sum(12.0, 40.0, 3));
    }

    #[test]
    fn forgetting_changes_no_window_that_is_left() {
        let points: Vec<_> = (0..100).map(|minute| point(minute, 1.0, 7.0)).collect();
        let mut slots = Slots::of(&points);
        slots.forget_before(at(5));
        assert_eq!(slots.len(), 100, "too few to be worth it");
        slots.forget_before(at(40));
        assert_eq!((slots.len(), slots.oldest_start()), (60, Some(at(40))));
        assert_eq!(slots.within(window(50, 70)), sum(20.0, 140.0, 20));
        slots.lay(&[point(99, 3.0, 7.0), point(100, 1.0, 7.0)]);
        assert_eq!(slots.within(window(90, 101)), sum(13.0, 77.0, 11));
    }

    #[test]
    fn a_window_reaches_back_until_it_holds_enough() {
        let points: Vec<_> = (0..10).map(|minute| point(minute, 0.0, 3.0)).collect();
        let slots = Slots::of(&points);
        assert_eq!(slots.reaching(at(10), 3.0, at(0)), at(9));
        assert_eq!(slots.reaching(at(10), 10.0, at(0)), at(6));
        assert_eq!(slots.reaching(at(10), 10.0, at(8)), at(8), "not before the earliest");
        assert_eq!(slots.reaching(at(10), 31.0, at(0)), at(0), "there is no more");
        assert_eq!(slots.reaching(at(5), 6.0, at(0)), at(3));
        assert_eq!(Slots::default().reaching(at(5), 6.0, at(2)), at(2));
    }
}
