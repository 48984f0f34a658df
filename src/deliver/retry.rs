//! When to try again: pure arithmetic over a ladder of delays.
//!
//! Clock, randomness and the receiver's wish are arguments, so every answer can be tested
//! exactly. Invariants: never earlier than the receiver asked for (up to `RETRY_AFTER_CAP`),
//! never earlier than `at`, and no header value can overflow anything.

use std::time::Duration;

use judge::time::{Timestamp, add_ms, ms_between};

/// The longest wait a receiver can ask for.
pub(super) const RETRY_AFTER_CAP: Duration = Duration::from_hours(24);
/// Share of a delay that is spread at random so that receivers are not met by waves.
const JITTER: f64 = 0.2;

/// Delays before the first, second, ... attempt, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    delays_ms: Vec<u64>,
    then_every_ms: Option<u64>,
}

impl Ladder {
    /// Messages: after the last delay comes giving up.
    pub fn ending(delays_ms: Vec<u64>) -> Self {
        Self { delays_ms, then_every_ms: None }
    }

    /// Rollback actions: the last delay repeats for ever.
    pub fn repeating(delays_ms: Vec<u64>) -> Self {
        let then_every_ms = delays_ms.last().copied();
        Self { delays_ms, then_every_ms }
    }

    /// The delay after `attempts` finished attempts.
    fn delay_ms(&self, attempts: u32) -> Option<u64> {
        self.delays_ms.get(attempts as usize).copied().or(self.then_every_ms)
    }
}

/// When attempt number `attempt` (1 for the first) failed at `at`: the instant of the next one,
/// or `None` when the ladder is used up.
///
/// `jitter` is uniform in `[0, 1)`. Without a `retry_after` the delay is spread by ±20 %; with
/// one it is the longer of both and spread upward only.
pub fn next_attempt_at(
    ladder: &Ladder,
    attempt: u32,
    at: Timestamp,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Option<Timestamp> {
    let delay_ms = ladder.delay_ms(attempt)? as f64;
    let jitter = jitter.clamp(0.0, 1.0);
    let wait_ms = match retry_after {
        None => delay_ms * (1.0 + JITTER * (2.0 * jitter - 1.0)),
        Some(asked) => {
            let asked_ms = asked.min(RETRY_AFTER_CAP).as_secs_f64() * 1_000.0;
            delay_ms.max(asked_ms) * (1.0 + JITTER * jitter)
        }
    };
    Some(add_ms(at, wait_ms.ceil() as i64))
}

/// Reads a `Retry-After` header: seconds (whole or with a fraction) or an HTTP date.
///
/// Anything that is not a finite, non-negative wait is ignored; a date in the past means now.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let usable = seconds.is_finite() && seconds >= 0.0;
        return usable.then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_CAP.as_secs_f64())));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    let ms = u64::try_from(ms_between(now, date)).unwrap_or(0);
    Some(Duration::from_millis(ms).min(RETRY_AFTER_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Ladder {
        let seconds = [0, 5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Ladder::ending(seconds.iter().map(|s| s * 1_000).collect())
    }

    fn at() -> Timestamp {
        "2026-08-11T00:00:00Z".parse().unwrap()
    }

    fn wait(ladder: &Ladder, attempt: u32, after: Option<u64>, jitter: f64) -> Option<i64> {
        next_attempt_at(ladder, attempt, at(), after.map(Duration::from_secs), jitter)
            .map(|next| ms_between(at(), next))
    }

    #[test]
    fn messages_climb_the_ladder_and_then_die() {
        let ladder = messages();
        let waits: Vec<_> = (1..=11).map(|n| wait(&ladder, n, None, 0.5)).collect();
        let seconds = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        let expected: Vec<_> = seconds.iter().map(|s| Some(s * 1_000)).chain([None]).collect();
        assert_eq!(waits, expected);
    }

    #[test]
    fn actions_never_give_up() {
        let ladder = Ladder::repeating(vec![0, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000]);
        let waits: Vec<_> = (1..=7).filter_map(|n| wait(&ladder, n, None, 0.5)).collect();
        assert_eq!(waits, [1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 30_000]);
        assert_eq!(wait(&ladder, u32::MAX, None, 0.5), Some(30_000));
    }

    #[test]
    fn jitter_spreads_both_ways_but_never_below_what_was_asked() {
        let ladder = messages();
        assert_eq!(wait(&ladder, 1, None, 0.0), Some(4_000));
        assert_eq!(wait(&ladder, 1, None, 1.0), Some(6_000));
        assert_eq!(wait(&ladder, 1, Some(60), 0.0), Some(60_000));
        assert_eq!(wait(&ladder, 1, Some(60), 1.0), Some(72_000));
        assert_eq!(wait(&ladder, 3, Some(60), 0.0), Some(300_000), "the ladder is longer");
        assert_eq!(wait(&ladder, 1, Some(u64::MAX), 0.0), Some(86_400_000), "capped");
    }

    #[test]
    fn every_written_form_of_retry_after_is_read_safely() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        let read = |text: &str| parse_retry_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read(" 1.5 "), Some(Duration::from_millis(1_500)));
        assert_eq!(read("Wed, 21 Oct 2015 07:29:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("Tue, 31 Dec 2999 23:59:59 GMT"), Some(RETRY_AFTER_CAP));
        assert_eq!(read("1e300"), Some(RETRY_AFTER_CAP));
        for bad in ["", "inf", "-inf", "NaN", "-1", "soon", "1;2", "Wed, 99 Oct 2015"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
