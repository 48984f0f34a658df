//! Where numbers come from: one file per kind of source, one line here to add another.
//!
//! A source only moves bytes into a [`Batch`]; the pure contract step (`judge::contract`) decides
//! what the cells mean. Every source bounds body, rows, time and concurrency, never follows a
//! redirect to another origin, and never shows a secret in an error.

use std::future::Future;
use std::pin::Pin;

use judge::plan::{Batch, Request};
use judge::time::Span;

/// A boxed future: keeps the trait object-safe without a macro.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where numbers come from.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The kind's keyword (`prometheus`, `csv`, `postgres`).
    fn kind(&self) -> &'static str;

    /// Asks one question; the answer is whole or it is an error.
    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>>;

    /// Whether the source answers at all.
    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>>;

    /// How often its data can change: the rhythm of guardrails that read it.
    fn rhythm(&self) -> Span;

    /// Default length of one stored period of a signal.
    fn grain(&self) -> Span;

    /// How long after its end a period may still be incomplete at the source.
    fn lateness(&self) -> Span;
}

/// Why a fetch failed; the class is a bounded metric label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct FetchError {
    /// What kind of failure.
    pub class: FetchClass,
    /// What was attempted and what came back, without secrets.
    pub message: String,
    /// When the source asked to be left alone until, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

/// Error classes of sources.md 3.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchClass {
    /// The query is wrong.
    UserError,
    /// Credentials are missing or refused.
    Auth,
    /// A quota is used up.
    Quota,
    /// Our own cost limit.
    CostGuard,
    /// Asked to slow down.
    Throttled,
    /// May work the next time.
    Transient,
    /// Took too long.
    Timeout,
    /// The answer breaks the contract.
    Contract,
}

impl FetchClass {
    /// The label and the word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserError => "user_error",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::CostGuard => "cost_guard",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::Contract => "contract_error",
        }
    }

    /// Whether asking again soon can help.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient | Self::Timeout)
    }
}

impl std::fmt::Display for FetchClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
