//! Where numbers come from: one file per kind of source, one line here to add another.
//!
//! A source only moves bytes into a [`Batch`]; the pure contract step (`judge::contract`) decides
//! what the cells mean. Every source bounds body, rows, time and concurrency, never follows a
//! redirect to another origin, and never shows a secret in an error.

pub mod csv;
mod limited;
mod placeholder;
pub mod postgres;
pub mod prometheus;
#[cfg(test)]
pub(crate) mod test_support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use judge::plan::{Batch, Request};
use judge::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::csv::{CsvConfig, CsvSource};
pub use self::limited::{Limited, Limits};
pub use self::postgres::{PostgresConfig, PostgresSource};
pub use self::prometheus::{PrometheusConfig, PrometheusSource};

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

impl FetchError {
    /// A failure of that class.
    pub fn new(class: FetchClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after_ms: None }
    }
}

/// One source of the daemon's configuration: `[sources.<name>.<kind>]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceConfig {
    /// Anything that speaks the Prometheus HTTP API.
    Prometheus(PrometheusConfig),
    /// CSV files in a folder.
    Csv(CsvConfig),
    /// PostgreSQL, or what speaks its wire protocol.
    Postgres(PostgresConfig),
}

impl SourceConfig {
    /// What its queries are written in, as the parser of experiment files names it. Exports that
    /// stand in for a warehouse are asked in SQL.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::Csv(csv) if csv.answers_sql => "warehouse",
            Self::Csv(_) => "csv",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Why a source of the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source {name}: {message}")]
pub struct BuildError {
    /// Name in the configuration.
    pub name: String,
    /// What is wrong and what to write.
    pub message: String,
}

/// Makes the source that a configuration describes, within its limits. Nothing is asked yet.
pub fn build(name: &str, config: &SourceConfig) -> Result<Arc<dyn Source>, BuildError> {
    let wrong = |message: String| BuildError { name: name.to_owned(), message };
    let (source, limits): (Arc<dyn Source>, Limits) = match config {
        SourceConfig::Prometheus(config) => {
            let source = PrometheusSource::new(config).map_err(wrong)?;
            (Arc::new(source), config.limits())
        }
        SourceConfig::Csv(config) => {
            let source = CsvSource::new(config).map_err(wrong)?;
            (Arc::new(source), CsvConfig::limits())
        }
        SourceConfig::Postgres(config) => {
            let source = PostgresSource::new(config).map_err(wrong)?;
            (Arc::new(source), config.limits())
        }
    };
    Ok(Arc::new(Limited::new(source, limits)))
}

/// Whether a host name or address is this machine.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SourceConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn every_kind_is_read_and_built() {
        let kinds = [
            (r#"{"prometheus": {"url": "http://127.0.0.1:9090", "auth": "none"}}"#, "prometheus"),
            (r#"{"csv": {"folder": "exports", "delimiter": ";", "decimal": ","}}"#, "csv"),
            (
                r#"{"postgres": {"host": "db.example", "user": "r", "dbname": "m",
                    "password": {"env": "PW"}, "sslmode": "verify_full"}}"#,
                "postgres",
            ),
        ];
        for (text, kind) in kinds {
            assert_eq!(build("s", &read(text).unwrap()).unwrap().kind(), kind);
        }
        let bearer = r#"{"prometheus": {"url": "https://p.example",
            "auth": {"bearer": {"token": {"file": "token"}}}}}"#;
        build("s", &read(bearer).unwrap()).unwrap();
    }

    #[test]
    fn unknown_keys_and_literal_secrets_are_errors() {
        for text in [
            r#"{"csv": {"folder": "x", "delimeter": ";"}}"#,
            r#"{"influx": {"url": "x"}}"#,
            r#"{"postgres": {"host": "h", "user": "u", "dbname": "d", "password": "s3cret"}}"#,
            r#"{"prometheus": {"url": "x", "auth": {"bearer": {"token": "s3cret"}}}}"#,
            r#"{"prometheus": {"url": "x", "auth": {"bearer": {"toke": {"env": "X"}}}}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_source_that_cannot_work_is_named() {
        let config = SourceConfig::Prometheus(PrometheusConfig::new("nonsense"));
        let error = build("prom", &config).unwrap_err().to_string();
        assert!(error.starts_with("source prom: url"), "{error}");
    }

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1", "example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
