//! `verdictd demo`: five experiments play their weeks in minutes, through the real line.
//!
//! Nothing is mocked inside the daemon: it reads files, asks a Prometheus API, sends messages and
//! turns a flag off. Around it stand small servers (`prometheus`, `flags`, `receiver`) and a
//! script (`stage`) that writes the exports as the discrete-event clock passes (engine.md 2).

pub mod data;
pub mod flags;
mod play;
pub mod prometheus;
mod promql;
pub mod receiver;
pub mod settings;
pub mod stage;
pub mod tell;

use std::path::PathBuf;

use judge::time::Timestamp;

pub use data::write_data;
pub use play::run;

use flags::Call;
use receiver::Received;

/// How to play.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Moves times and mess, never a count or a verdict.
    pub seed: u64,
    /// Leave the page open until ctrl-c.
    pub keep_open: bool,
    /// Where the page listens; another port is taken when this one is in use.
    pub listen: String,
    /// Where store, files and configuration go and stay; without it a temporary folder that is
    /// removed at the end.
    pub dir: Option<PathBuf>,
    /// Say nothing.
    pub quiet: bool,
}

/// One verdict that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// As in records: `continue`, `change`, `stop`, `hold`.
    pub verdict: String,
    /// As in records: `graduate`, `mechanism`, ...
    pub cause: String,
    /// The look, in domain time.
    pub at: Timestamp,
}

impl Reached {
    /// `verdict: cause`.
    pub fn words(&self) -> String {
        format!("{}: {}", self.verdict, self.cause)
    }
}

/// What one story came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryOutcome {
    /// Experiment id.
    pub experiment: &'static str,
    /// What the contract says, as `verdict: cause`.
    pub expected: &'static [&'static str],
    /// What the store holds: verdicts in order, repeated looks at one hold once.
    pub reached: Vec<Reached>,
}

impl StoryOutcome {
    /// Whether the contract's verdicts were reached, no more and no fewer.
    pub fn is_as_expected(&self) -> bool {
        self.reached.iter().map(Reached::words).eq(self.expected.iter().copied())
    }
}

/// Everything a test may ask after the play.
#[derive(Debug)]
pub struct DemoOutcome {
    /// The five stories, in the order of [`STORIES`].
    pub stories: Vec<StoryOutcome>,
    /// Messages that arrived, oldest first.
    pub received: Vec<Received>,
    /// Requests that reached the flag server, oldest first.
    pub calls: Vec<Call>,
    /// How long it took.
    pub seconds: f64,
}

impl DemoOutcome {
    /// Whether every story reached what the contract says.
    pub fn all_as_told(&self) -> bool {
        self.stories.iter().all(StoryOutcome::is_as_expected)
    }
}

/// The stories and the verdicts of product.md section 2.
pub const STORIES: [(&str, &[&str]); 5] = [
    ("activation-action-x", &["change: mechanism", "continue: graduate"]),
    ("recruiting-touches", &["continue: graduate"]),
    ("sales-discovery", &["change: extend", "continue: graduate"]),
    ("platform-quote-cache", &["stop: tripped"]),
    ("support-root-cause", &["hold: data_missing", "change: mechanism", "stop: no_cycles_left"]),
];
