//! What the daemon's configuration says about a Prometheus source.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::sources::Limits;

/// `[sources.<name>.prometheus]`: Prometheus, VictoriaMetrics, Mimir, Thanos, Cortex and alike.
///
/// A query is one PromQL expression per column, asked at the end of each period. A period that
/// lacks one column is no data: an error counter that does not exist before its first error is
/// not zero. Write `sum(increase(errors_total[{{grain}}])) or vector(0)` if absence means none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Base address with any path prefix, e.g. `http://127.0.0.1:9090` or
    /// `https://metrics.example/prometheus`. Credentials do not belong into it.
    pub url: String,
    /// How to authenticate. Default: not at all.
    #[serde(default)]
    pub auth: PrometheusAuth,
    /// PEM file with further certificate authorities to trust.
    #[serde(default)]
    pub extra_ca: Option<PathBuf>,
    /// Seconds that samples may need to arrive: nothing younger is asked for. Default 30.
    #[serde(default = "default_query_delay_secs")]
    pub query_delay_secs: u64,
    /// Seconds one request may take. Default 30.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// Largest answer in bytes. Default 64 MiB.
    #[serde(default = "default_max_body_bytes")]
    pub max_body_bytes: u64,
    /// Questions in flight at once. Default 2.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
}

/// How to authenticate at a Prometheus API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PrometheusAuth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer <token>`.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// `Authorization: Basic ...`.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: SecretRef,
    },
    /// One header of any name, e.g. `X-Scope-OrgID`.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

fn default_query_delay_secs() -> u64 {
    30
}

fn default_timeout_secs() -> u64 {
    30
}

fn default_max_body_bytes() -> u64 {
    64 * 1024 * 1024
}

fn default_concurrency() -> usize {
    2
}

impl PrometheusConfig {
    /// The defaults for an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: PrometheusAuth::None,
            extra_ca: None,
            query_delay_secs: default_query_delay_secs(),
            timeout_secs: default_timeout_secs(),
            max_body_bytes: default_max_body_bytes(),
            concurrency: default_concurrency(),
        }
    }

    /// Bounds of a question: three attempts of up to three requests each.
    pub(crate) fn limits(&self) -> Limits {
        let deadline = Duration::from_secs(self.timeout_secs.saturating_mul(4));
        Limits::new(self.concurrency, deadline)
    }
}
