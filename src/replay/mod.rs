//! `verdictd replay`: an experiment file over history, as if the daemon had looked on schedule.
//!
//! Nothing is imitated: the daemon's own line runs by hand on a clock that jumps from due instant
//! to due instant, over a store in a temporary folder. Only the sources are other ones
//! ([`History`]): asked once per series, sliced per look. Nothing is ever sent, the daemon's store
//! is never opened, and the same call gives the same bytes.

mod aa;
mod files;
mod history;
mod play;
mod timeline;

use judge::time::{Span, Timestamp};

pub use aa::{Rehearsed, Row, rehearse};
pub use files::{Files, FilesError};
pub use history::{History, Told};
pub use play::{Replayed, replay};
pub use timeline::{Entry, Finding, Kind, Movement};

/// What to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// When the daemon first sees the files; default: the earliest `start`.
    pub from: Option<Timestamp>,
    /// Nothing after this is looked at.
    pub to: Timestamp,
    /// End as soon as every experiment is over or waits for a revision that does not come.
    pub stop_when_over: bool,
    /// How often guardrails without an `every` of their own are looked at, at the fastest.
    pub every: Span,
}
