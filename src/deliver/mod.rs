//! How a decision leaves the house: rendering, signing, sending, retrying, acting.
//!
//! Last step of the line. `enqueue` turns notices into outbox rows (pure, each body rendered
//! once), the `worker` leases rows, sends them and records every attempt. Invariants: no send
//! without a row; the same row is always the same id and the same bytes; at-least-once with a
//! stable id; a rollback is confirmed only by reading the flag back; no URL path, query or
//! secret in any log or error. One file per receiver, one arm in [`build`].

mod action;
mod attempt;
mod clip;
pub mod egress;
pub mod enqueue;
mod exchange;
mod numbers;
pub mod payload;
pub mod retry;
mod sample;
mod sample_send;
mod sign;
mod slack;
#[cfg(test)]
mod tests;
mod webhook;
mod words;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use judge::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{ActionConfig, ActionMethod, VerifyConfig, WebhookActionConfig};
pub use numbers::guardrail_line;
pub use sample::{Sample, sample_notices};
pub use sample_send::{SampleAnswer, send_samples};
pub use slack::SlackConfig;
pub use webhook::WebhookConfig;
pub use worker::{DeliveryMetrics, NoMetrics, Worker};

/// A boxed future: keeps the trait object-safe without a macro.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where messages go.
pub trait Receiver: Send + Sync + std::fmt::Debug {
    /// Sends one message once; the caller holds the deadline over the whole of it.
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>>;

    /// A smaller body for a receiver that said "too large", made from the generic content.
    fn shrink(&self, content: &serde_json::Value) -> String;
}

/// One message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `webhook-id`: constant over retries.
    pub id: String,
    /// The bytes to send, the same at every attempt.
    pub body: String,
    /// Wall clock of this attempt: what is signed.
    pub sent_at: Timestamp,
    /// One deadline over connecting, sending, headers and body.
    pub timeout: Duration,
}

/// The receiver took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status.
    pub status: u16,
    /// What it answered, cut to 2 KiB.
    pub detail: String,
}

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
        }
    }
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A receiver as configured: `[receivers.<name>.<kind>]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReceiverConfig {
    /// Signed JSON to any URL (Standard Webhooks).
    Webhook(WebhookConfig),
    /// A Slack incoming webhook.
    Slack(SlackConfig),
}

impl ReceiverConfig {
    /// The body of a message for this kind of receiver, from its generic content.
    pub fn render(&self, content: &serde_json::Value) -> String {
        match self {
            Self::Webhook(_) => judge::record::canonical_json(content),
            Self::Slack(_) => slack::body(content),
        }
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

/// Makes a receiver; secrets are read when they are used, so rotation needs no restart.
pub fn build(name: &str, config: &ReceiverConfig) -> Result<Arc<dyn Receiver>, BuildError> {
    let built: Result<Arc<dyn Receiver>, String> = match config {
        ReceiverConfig::Webhook(config) => {
            webhook::Webhook::new(config).map(|it| Arc::new(it) as _)
        }
        ReceiverConfig::Slack(config) => slack::Slack::new(config).map(|it| Arc::new(it) as _),
    };
    built.map_err(|cause| BuildError { name: name.to_owned(), cause })
}
