//! How a decision leaves the house: rendering, signing, sending, retrying, acting.
//!
//! Last step of the line. `enqueue` turns notices into outbox rows (pure, each body rendered
//! once), the `worker` leases rows, sends them and records every attempt. Invariants: no send
//! without a row; the same row is always the same id and the same bytes; at-least-once with a
//! stable id; a rollback is confirmed only by reading the flag back; no URL path, query or
//! secret in any log or error. One file per receiver in `receivers/`, one per action in `actions/`,
//! one line in the list of each.

pub mod actions;
mod attempt;
mod attend;
mod blast;
mod bucket;
pub mod cidr;
mod circuit;
mod clip;
mod cloudevents;
pub mod egress;
mod endpoint;
pub mod enqueue;
mod exchange;
pub mod heart;
mod known;
mod leaves;
mod metrics;
mod numbers;
pub mod payload;
pub mod policy;
mod proof;
pub mod proxy;
pub mod receivers;
pub mod retry;
mod sample;
mod sample_send;
mod scrub;
pub(crate) mod sign;
mod skew;
mod smtp;
#[cfg(test)]
mod tests;
mod traffic;
mod upkeep;
pub mod view;
mod words;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use actions::ActionConfig;
pub use blast::{Blast, blast};
pub use endpoint::{Arming, Endpoint, Flow, FlowRate, Network};
pub use metrics::{DeliveryMetrics, NoMetrics};
pub use numbers::{budget_line, guardrail_line, signal_line};
pub use proof::unbuildable;
pub use receivers::{Conversation, Envelope, Receipt, Receiver, ReceiverConfig};
pub use sample::{Sample, sample_notices};
pub use sample_send::{SampleAnswer, SampleBody, render_samples, send_samples};
pub use worker::Worker;

/// A boxed future: keeps the trait object-safe without a macro.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The receiver did not take it, or could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {detail}")]
pub struct SendError {
    /// What to do next.
    pub then: Then,
    /// Why, as a bounded label.
    pub class: ErrorClass,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// What happened, without secrets, cut to 2 KiB.
    pub detail: String,
}

/// What a failed attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Try again by the ladder, not before `after`.
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
    },
    /// It will never be taken: dead letter.
    Permanent,
    /// Too large: try a smaller body once.
    Shrink,
    /// The endpoint is gone: nothing more is sent there until it is configured anew.
    Disable,
}

/// Why an attempt failed: a bounded metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The receiver refused the message (4xx).
    ClientError,
    /// The receiver failed (5xx).
    ServerError,
    /// 401 or 403.
    AuthError,
    /// 429, or the receiver's own word for it.
    RateLimited,
    /// 410, or the receiver's own word for it.
    Gone,
    /// 3xx: redirects are not followed.
    Redirect,
    /// 413, or the receiver's own word for it.
    TooLarge,
    /// A success status with an answer that says otherwise.
    NotAccepted,
    /// The deadline passed.
    Timeout,
    /// No connection, or it broke.
    Network,
    /// The guard refused the address.
    Blocked,
    /// Secret or URL could not be used.
    Config,
    /// The endpoint was disabled earlier.
    Disabled,
    /// Too old to be sent.
    Expired,
    /// The flag does not read as wanted yet.
    Unconfirmed,
    /// The action is not armed or in dry run.
    NotArmed,
    /// The other side took the request and waits for a person's approval.
    NeedsApproval,
    /// There is no way to read the flag back.
    NoReadBack,
    /// The action has been used too often today.
    OverLimit,
}

impl ErrorClass {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::AuthError => "auth_error",
            Self::RateLimited => "rate_limited",
            Self::Gone => "gone",
            Self::Redirect => "redirect",
            Self::TooLarge => "too_large",
            Self::NotAccepted => "not_accepted",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Blocked => "blocked",
            Self::Config => "config",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Unconfirmed => "unconfirmed",
            Self::NotArmed => "not_armed",
            Self::NeedsApproval => "needs_approval",
            Self::NoReadBack => "no_read_back",
            Self::OverLimit => "over_limit",
        }
    }
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a receiver or action cannot be built from its configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {cause}")]
pub struct BuildError {
    /// Receiver or action.
    pub name: String,
    /// What is wrong and what to write, without secrets.
    pub cause: String,
}

/// Everything that cannot be built, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildErrors(pub Vec<BuildError>);

impl std::error::Error for BuildErrors {}

impl std::fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}
