//! How far a receiver's clock is from ours: its `Date` header against our wall clock.
//!
//! Receivers refuse signatures that are older than five minutes, so a clock that runs away stops
//! delivery long before anybody looks at it. The header has whole seconds and the answer took its
//! time: only what lies outside of the attempt counts.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use judge::time::{Timestamp, add_ms, ms_between};
use reqwest::header::{DATE, HeaderMap};

/// Beyond this the clocks differ too much.
const MOST_MS: i64 = 120_000;

tokio::task_local! {
    /// What the newest answer within the running attempt said, in ms; ahead of us is positive.
    static HEARD: Cell<Option<i64>>;
}

/// Runs one attempt and gives back what its answers said about the time, if they said something.
pub(super) async fn listening<T>(attempt: impl Future<Output = T>) -> (T, Option<i64>) {
    let listened = async {
        let out = attempt.await;
        (out, HEARD.with(Cell::get))
    };
    HEARD.scope(Cell::new(None), listened).await
}

/// Notes what the headers of an answer say; outside of an attempt nobody listens.
pub(super) fn note(headers: &HeaderMap, asked_at: Timestamp, took: Duration) {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    let date = date.and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
    if let Some(date) = date {
        let skew_ms = skew_ms(date, asked_at, took);
        // Nobody listens to a test send.
        HEARD.try_with(|heard| heard.set(Some(skew_ms))).unwrap_or_default();
    }
}

/// How far the date lies outside of the attempt, in ms; ahead of us is positive.
fn skew_ms(date: Timestamp, asked_at: Timestamp, took: Duration) -> i64 {
    let ended_at = add_ms(asked_at, i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    // The header cuts fractions of a second off.
    let latest = add_ms(date, 999);
    if date > ended_at {
        ms_between(ended_at, date)
    } else if latest < asked_at {
        ms_between(asked_at, latest)
    } else {
        0
    }
}

/// What changes about the alarm: on with its size, or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skew {
    Began(i64),
    Ended,
}

/// One step: what is on, and what was heard.
pub(super) fn step(on_ms: Option<i64>, heard_ms: Option<i64>) -> Option<Skew> {
    let heard_ms = heard_ms?;
    match (on_ms, heard_ms.abs() > MOST_MS) {
        (None, true) => Some(Skew::Began(heard_ms)),
        (Some(_), false) => Some(Skew::Ended),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_outside_of_the_attempt_counts() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let asked = at("2026-08-11T10:00:00.400Z");
        for (date, took_ms, expected) in [
            ("2026-08-11T10:00:00Z", 10, 0),
            ("2026-08-11T10:00:14Z", 15_000, 0),
            ("2026-08-11T10:00:14Z", 0, 13_600),
            ("2026-08-11T09:57:00Z", 15_000, -179_401),
            ("2026-08-11T10:05:00Z", 600, 299_000),
        ] {
            let skew = skew_ms(at(date), asked, Duration::from_millis(took_ms));
            assert_eq!(skew, expected, "{date}");
        }
    }

    #[test]
    fn one_alarm_and_one_all_clear() {
        assert_eq!(step(None, Some(120_000)), None);
        assert_eq!(step(None, Some(-120_001)), Some(Skew::Began(-120_001)));
        assert_eq!(step(Some(-120_001), Some(-300_000)), None, "told once");
        assert_eq!(step(Some(-120_001), None), None, "no header, no all-clear");
        assert_eq!(step(Some(-120_001), Some(1_000)), Some(Skew::Ended));
    }

    #[tokio::test]
    async fn the_newest_answer_of_an_attempt_is_heard_and_none_outside() {
        let headers = |text: &str| HeaderMap::from_iter([(DATE, text.parse().unwrap())]);
        let asked: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        note(&headers("Wed, 21 Oct 2015 07:38:00 GMT"), asked, Duration::ZERO);
        let ((), heard) = listening(async {
            note(&headers("Wed, 21 Oct 2015 07:38:00 GMT"), asked, Duration::ZERO);
            note(&headers("Wed, 21 Oct 2015 07:29:00 GMT"), asked, Duration::ZERO);
            note(&headers("yesterday"), asked, Duration::ZERO);
        })
        .await;
        assert_eq!(heard, Some(60_000));
        assert_eq!(listening(async {}).await.1, None);
    }
}
