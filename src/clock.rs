//! Two times, both injected (engine.md 2): nothing else in the daemon asks what time it is.
//!
//! `domain_now` drives slots, windows, maturity and verdicts; `wall_now` drives leases, retries,
//! signatures and time-outs. They are the same in the daemon; the demo's domain clock jumps from
//! due instant to due instant while the wall goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use judge::time::Timestamp;

/// Shared handle to the clock in use.
pub type SharedClock = Arc<dyn Clock>;

/// Both times.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The instant experiments live at.
    fn domain_now(&self) -> Timestamp;
    /// The instant the machine lives at.
    fn wall_now(&self) -> Timestamp;
}

/// The real clock: both times are the system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn domain_now(&self) -> Timestamp {
        self.wall_now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn wall_now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A domain clock that stands still until it is set: for the demo, replays and tests.
#[derive(Debug)]
pub struct ManualClock {
    domain_ms: AtomicI64,
}

impl ManualClock {
    /// Stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { domain_ms: AtomicI64::new(start.as_millisecond()) }
    }

    /// Jumps forward to `at`; never back.
    pub fn advance_to(&self, at: Timestamp) {
        self.domain_ms.fetch_max(at.as_millisecond(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn domain_now(&self) -> Timestamp {
        let ms = self.domain_ms.load(Ordering::SeqCst);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
    }

    fn wall_now(&self) -> Timestamp {
        SystemClock.wall_now()
    }
}
