//! Points at which a test may hold the process, to kill it exactly there.
//!
//! Off unless the environment names a point in `VERDICTD_TEST_STOP_AT` (`claimed`, or `claimed:3`
//! for the third time). A point that is reached says so in the log and then does nothing for ever:
//! it changes no data and skips no step, so all it can do to a daemon is what `kill -STOP` could
//! do as well. Whoever may set the variable of a process may end that process anyway. Unset, a
//! point costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable; the prefix keeps it from being taken for a setting.
pub const VARIABLE: &str = "VERDICTD_TEST_STOP_AT";

/// Where a process can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A transaction is about to insert outbox rows.
    BeforeInsert,
    /// A transaction with outbox rows was committed.
    Inserted,
    /// Rows were leased, nothing was sent.
    Claimed,
    /// The receiver took a message, nothing was recorded.
    BeforeRecord,
    /// The attempt was recorded.
    Recorded,
}

impl Point {
    /// Every point, in the order in which a message passes them.
    pub const ALL: [Self; 5] =
        [Self::BeforeInsert, Self::Inserted, Self::Claimed, Self::BeforeRecord, Self::Recorded];

    /// The word in the variable and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeInsert => "before_insert",
            Self::Inserted => "inserted",
            Self::Claimed => "claimed",
            Self::BeforeRecord => "before_record",
            Self::Recorded => "recorded",
        }
    }
}

/// Where to stop, and how many times to pass before that.
#[derive(Debug)]
struct Stop {
    point: Point,
    passes: AtomicU64,
}

/// Goes on, unless the environment asked to stop here.
pub fn reached(point: Point) {
    static STOP: OnceLock<Option<Stop>> = OnceLock::new();
    let stop = STOP.get_or_init(|| std::env::var(VARIABLE).ok().as_deref().and_then(parsed));
    let Some(stop) = stop else { return };
    if stop.point != point || stop.passes.fetch_sub(1, Ordering::SeqCst) != 1 {
        return;
    }
    tracing::warn!(point = point.as_str(), "held for a test: kill me");
    loop {
        std::thread::park();
    }
}

/// `claimed`, `claimed:3`; anything else is no stop.
fn parsed(text: &str) -> Option<Stop> {
    let (name, times) = text.split_once(':').unwrap_or((text, "1"));
    let point = Point::ALL.into_iter().find(|point| point.as_str() == name)?;
    let times: u64 = times.parse().ok().filter(|times| *times > 0)?;
    Some(Stop { point, passes: AtomicU64::new(times) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_points_stop_anything() {
        for point in Point::ALL {
            assert_eq!(parsed(point.as_str()).unwrap().point, point);
        }
        let third = parsed("claimed:3").unwrap();
        assert_eq!((third.point, third.passes.into_inner()), (Point::Claimed, 3));
        for other in ["", "1", "claimed:0", "claimed:x", "Claimed", "claimed:1:2"] {
            assert!(parsed(other).is_none(), "{other}");
        }
    }

    #[test]
    fn without_the_variable_every_point_is_passed() {
        for point in Point::ALL {
            reached(point);
        }
    }
}
