//! How much a destination is sent: token buckets as pure arithmetic, with time as an argument.
//!
//! The generic cell rate algorithm: one instant per limit says when the bucket would be full
//! again, so there is nothing to refill and nothing that drifts. Integers only, in microseconds.
//! What was taken beyond the limit (two receivers of one destination at the same moment) is owed
//! and waited for. A destination that says "too many" pauses all of its messages, not one.

use std::time::Duration;

use judge::time::{Timestamp, add_ms};

use super::retry::RETRY_AFTER_CAP;

/// The first wait after a "too many" that names none; doubled each time up to the longest.
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 300_000;
/// Share of a pause that is added at random, upward only.
const JITTER: f64 = 0.2;

/// `burst` messages at once, `count` in `per_ms` in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    emission_us: i64,
    burst: u32,
}

impl Rate {
    /// A limit of a kind of receiver; `count` and `burst` are at least 1.
    pub const fn new(count: u32, per_ms: u32, burst: u32) -> Self {
        Self { emission_us: per_ms as i64 * 1_000 / count as i64, burst }
    }

    /// A limit from the settings, or what is wrong with it.
    pub(super) fn per_second(per_sec: f64, burst: u32) -> Result<Self, String> {
        if !(0.000_1..=100_000.0).contains(&per_sec) {
            return Err(format!("rate.per_sec is {per_sec}; it may be 0.0001 to 100000"));
        }
        if !(1..=100_000).contains(&burst) {
            return Err(format!("rate.burst is {burst}; it may be 1 to 100000"));
        }
        Ok(Self { emission_us: (1_000_000.0 / per_sec).round().max(1.0) as i64, burst })
    }

    fn window_us(self) -> i64 {
        self.emission_us.saturating_mul(i64::from(self.burst))
    }
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    levels: Vec<(Rate, i64)>,
    paused_until: Option<Timestamp>,
    strikes: u32,
}

impl Bucket {
    /// Full; without rates it is only ever paused.
    pub(super) fn new(rates: Vec<Rate>) -> Self {
        let levels = rates.into_iter().map(|rate| (rate, i64::MIN)).collect();
        Self { levels, paused_until: None, strikes: 0 }
    }

    /// How many messages may be sent now; `None` = as many as there are.
    pub(super) fn room(&self, now: Timestamp) -> Option<usize> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Some(0);
        }
        let now_us = micros(now);
        let room = |(rate, full_at): &(Rate, i64)| {
            let owed_us = full_at.saturating_sub(now_us).max(0);
            let free_us = rate.window_us().saturating_sub(owed_us).max(0);
            usize::try_from(free_us / rate.emission_us).unwrap_or(0)
        };
        self.levels.iter().map(room).min()
    }

    /// The earliest instant with room for one.
    pub(super) fn ready_at(&self, now: Timestamp) -> Timestamp {
        let ready = |(rate, full_at): &(Rate, i64)| {
            let at_us = full_at.saturating_add(rate.emission_us).saturating_sub(rate.window_us());
            Timestamp::from_millisecond(at_us.div_euclid(1_000).saturating_add(1)).unwrap_or(now)
        };
        let levels = self.levels.iter().filter(|(_, full_at)| *full_at != i64::MIN).map(ready);
        levels.chain(self.paused_until).fold(now, Timestamp::max)
    }

    /// Takes room for `count` messages.
    pub(super) fn take(&mut self, now: Timestamp, count: usize) {
        let now_us = micros(now);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        for (rate, full_at) in &mut self.levels {
            let taken_us = rate.emission_us.saturating_mul(count);
            *full_at = (*full_at).max(now_us).saturating_add(taken_us);
        }
    }

    /// The destination said "too many": nothing is sent before what it asked for has passed.
    /// `jitter` is uniform in `[0, 1)` and only ever lengthens the wait.
    pub(super) fn pause(&mut self, now: Timestamp, asked: Option<Duration>, jitter: f64) {
        let own_ms = FIRST_PAUSE_MS.saturating_mul(1 << self.strikes.min(10)).min(LONGEST_PAUSE_MS);
        self.strikes = self.strikes.saturating_add(1);
        let wait_ms = match asked {
            // "At once" beside "too many" is no answer: it would be asked again without end.
            Some(asked) if !asked.is_zero() => asked.min(RETRY_AFTER_CAP).as_secs_f64() * 1_000.0,
            _ => own_ms as f64,
        };
        let wait_ms = (wait_ms * (1.0 + JITTER * jitter.clamp(0.0, 1.0))).ceil() as i64;
        let until = add_ms(now, wait_ms);
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
    }

    /// What is known of a pause from before a restart.
    pub(super) fn resume(&mut self, paused_until: Option<Timestamp>) {
        self.paused_until = self.paused_until.max(paused_until);
    }

    /// A person lifts the pause.
    pub(super) fn lift(&mut self) {
        self.paused_until = None;
        self.strikes = 0;
    }

    /// It took a message: the next "too many" is the first again.
    pub(super) fn taken(&mut self) {
        self.strikes = 0;
    }

    /// Until when nothing is sent, if it was ever paused.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_millisecond().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    /// Sends as fast as the bucket lets, for that long; the instants of all messages.
    fn sent(rates: &[Rate], for_ms: i64) -> Vec<i64> {
        let mut bucket = Bucket::new(rates.to_vec());
        let mut all = Vec::new();
        for ms in 0..for_ms {
            let room = bucket.room(at(ms)).unwrap();
            bucket.take(at(ms), room);
            all.extend(std::iter::repeat_n(ms, room));
        }
        all
    }

    /// The most messages in any stretch of that length.
    fn most_in(sent: &[i64], window_ms: i64) -> usize {
        let within = |from: i64| move |ms: &&i64| (from..from + window_ms).contains(*ms);
        sent.iter().map(|from| sent.iter().filter(within(*from)).count()).max().unwrap()
    }

    #[test]
    fn the_documented_limits_hold_in_every_window() {
        let github = [Rate::new(60, 60_000, 20), Rate::new(400, 3_600_000, 100)];
        for (rates, window_ms, limit) in [
            (&[Rate::new(1, 1_000, 1)][..], 1_000, 1),
            (&[Rate::new(3, 2_000, 2)][..], 2_000, 5),
            (&github[..], 60_000, 80),
        ] {
            let most = most_in(&sent(rates, 3 * window_ms), window_ms);
            assert!(most <= limit, "{rates:?}: {most} in {window_ms} ms");
            assert!(most * 2 >= limit, "{rates:?}: only {most} of {limit}");
        }
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_says_when_there_is_more() {
        let mut bucket = Bucket::new(vec![Rate::per_second(2.0, 3).unwrap()]);
        assert_eq!((bucket.room(at(0)), bucket.ready_at(at(0))), (Some(3), at(0)));
        bucket.take(at(0), 3);
        assert_eq!(bucket.room(at(499)), Some(0));
        let ready = bucket.ready_at(at(0));
        assert!(ready >= at(500) && ready <= at(501), "{ready}");
        assert_eq!(bucket.room(ready), Some(1));
        assert_eq!(bucket.room(at(3_600_000)), Some(3), "never more than the burst");
        bucket.take(at(3_600_000), 5);
        assert_eq!(bucket.room(at(3_600_500)), Some(0), "what was taken beyond is owed");
        assert_eq!(bucket.room(at(3_601_500)), Some(1));
    }

    #[test]
    fn a_pause_holds_everything_as_long_as_was_asked_and_never_shorter() {
        let wait = |asked: Option<u64>, jitter: f64| {
            let mut bucket = Bucket::new(Vec::new());
            assert_eq!(bucket.room(at(0)), None, "unlimited until it is paused");
            bucket.pause(at(0), asked.map(Duration::from_secs), jitter);
            assert_eq!(bucket.room(at(0)), Some(0));
            let until = bucket.ready_at(at(0));
            assert_eq!(bucket.room(until), None);
            until.as_millisecond() - at(0).as_millisecond()
        };
        assert_eq!(wait(Some(60), 0.0), 60_000);
        assert_eq!(wait(Some(60), 1.0), 72_000);
        assert_eq!(wait(Some(u64::MAX), 0.0), 86_400_000, "capped at a day");
        assert_eq!(wait(None, 0.0), 1_000);
        assert_eq!(wait(Some(0), 0.0), 1_000, "never a loop without a pause");
    }

    #[test]
    fn pauses_without_a_wish_grow_and_a_success_ends_that() {
        let mut bucket = Bucket::new(Vec::new());
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            bucket.pause(now, None, 0.0);
            waits.push(bucket.ready_at(now).as_millisecond() - now.as_millisecond());
            now = bucket.ready_at(now);
        }
        assert_eq!(&waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[11], 300_000);
        bucket.taken();
        bucket.pause(now, None, 0.0);
        assert_eq!(bucket.ready_at(now).as_millisecond() - now.as_millisecond(), 1_000);
        bucket.pause(now, Some(Duration::from_secs(50)), 0.0);
        bucket.pause(now, Some(Duration::from_secs(5)), 0.0);
        assert_eq!(bucket.ready_at(now), add_ms(now, 50_000), "a shorter wish shortens nothing");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (per_sec, burst) in [(0.0, 1), (-1.0, 1), (f64::NAN, 1), (1e9, 1), (1.0, 0)] {
            assert!(Rate::per_second(per_sec, burst).is_err(), "{per_sec} {burst}");
        }
        let fast = Bucket::new(vec![Rate::per_second(100_000.0, 100_000).unwrap()]);
        assert_eq!(fast.room(Timestamp::MAX), Some(100_000));
    }
}
