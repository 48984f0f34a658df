//! Which slot a claimed cursor stands for: the newest due one, and what was missed before it.
//!
//! Catch-up is `latest` (product.md, monitoring 1): after downtime the newest due slot is judged
//! and every older one is recorded as missed with its reason, never bunched up or forgotten.

use judge::lifecycle::{self, LifeState};
use judge::spec::Experiment;
use judge::time::{Span, Timestamp, add_ms, aligned_slot};

use crate::store::Missed;

/// The slot to judge and the row about older ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The newest slot at or before now.
    pub slot: Timestamp,
    /// Slots passed over.
    pub missed: Option<Missed>,
    /// The slot after it, if the track goes on unchanged.
    pub next_at: Timestamp,
}

/// More slots than this are counted, not walked.
const MAX_WALK: u32 = 100_000;

/// The due slot of a guardrail: aligned to the clock plus a stable offset.
pub fn guardrail(
    track: &str,
    next_at: Timestamp,
    now: Timestamp,
    every: Span,
    offset_ms: i64,
    reason: &str,
) -> Due {
    let slot = aligned_slot(now, every, offset_ms).max(next_at);
    let skipped = (slot.as_millisecond() - next_at.as_millisecond()) / every.ms.max(1);
    let last = add_ms(slot, -every.ms);
    Due {
        slot,
        missed: missed(track, next_at, last, skipped, reason),
        next_at: add_ms(slot, every.ms),
    }
}

/// The due slot of an experiment's looks.
pub fn look(
    experiment: &Experiment,
    life: &LifeState,
    next_at: Timestamp,
    now: Timestamp,
    reason: &str,
) -> Due {
    let (mut slot, mut last_missed, mut skipped) = (next_at, next_at, 0_i64);
    let mut next = lifecycle::next_look(experiment, life, slot).unwrap_or(Timestamp::MAX);
    for _ in 0..MAX_WALK {
        if next > now {
            break;
        }
        last_missed = slot;
        slot = next;
        skipped += 1;
        next = lifecycle::next_look(experiment, life, slot).unwrap_or(Timestamp::MAX);
    }
    Due { slot, missed: missed("look", next_at, last_missed, skipped, reason), next_at: next }
}

fn missed(track: &str, from: Timestamp, to: Timestamp, count: i64, reason: &str) -> Option<Missed> {
    (count > 0).then(|| Missed {
        track: track.to_owned(),
        from,
        to,
        count: count.unsigned_abs(),
        reason: reason.to_owned(),
    })
}

/// A stable offset within the interval: guardrails of many experiments do not all ask at once.
pub fn jitter_ms(experiment: &str, track: &str, every: Span) -> i64 {
    let hash = judge::ids::hash128(&["jitter", experiment, track]);
    let number = u64::from_str_radix(hash.get(..12).unwrap_or("0"), 16).unwrap_or(0);
    // Whole seconds, so that slots stay readable.
    let seconds = (every.ms / 1000).max(1).unsigned_abs();
    i64::try_from(number % seconds).unwrap_or(0) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_newest_slot_is_judged_and_the_rest_is_recorded() {
        let every = Span::seconds(30);
        let due = guardrail("guardrail:e", ts(60), ts(155), every, 0, "the daemon was down");
        assert_eq!((due.slot, due.next_at), (ts(150), ts(180)));
        let missed = due.missed.unwrap();
        assert_eq!((missed.from, missed.to, missed.count), (ts(60), ts(120), 3));
        let due = guardrail("guardrail:e", ts(60), ts(61), every, 0, "");
        assert_eq!((due.slot, due.missed), (ts(60), None));
    }

    #[test]
    fn a_backward_clock_never_reopens_a_slot() {
        let due = guardrail("guardrail:e", ts(600), ts(60), Span::seconds(30), 0, "");
        assert_eq!((due.slot, due.missed), (ts(600), None));
    }

    #[test]
    fn the_offset_is_stable_and_inside_the_interval() {
        let every = Span::seconds(30);
        let offset = jitter_ms("a", "guardrail:errors", every);
        assert_eq!(offset, jitter_ms("a", "guardrail:errors", every));
        assert!((0..30_000).contains(&offset) && offset % 1000 == 0);
    }
}
