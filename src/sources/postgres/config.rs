//! What the daemon's configuration says about a PostgreSQL warehouse.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::sources::{Limits, is_loopback};

/// `[sources.<name>.postgres]`: PostgreSQL and what speaks its simple query protocol.
///
/// Each question is one connection, one read-only transaction and exactly one statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// Host name, address, or folder of a Unix socket (starts with `/`).
    pub host: String,
    /// Default 5432.
    #[serde(default = "default_port")]
    pub port: u16,
    /// A role that can only read.
    pub user: String,
    /// Name of the database.
    pub dbname: String,
    /// Its password. Default: none is sent.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// Default `verify_full`; `disable` only for this machine.
    #[serde(default)]
    pub sslmode: SslMode,
    /// PEM file with further certificate authorities to trust.
    #[serde(default)]
    pub extra_ca: Option<PathBuf>,
    /// Seconds one statement may take. Default 60.
    #[serde(default = "default_statement_timeout_secs")]
    pub statement_timeout_secs: u32,
    /// Zone of `timestamp without time zone`. Default: the experiment's.
    #[serde(default)]
    pub naive_timezone: Option<String>,
    /// Most rows of one answer. Default 10,000.
    #[serde(default = "default_max_rows")]
    pub max_rows: usize,
    /// Questions in flight at once. Default 2.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How often the data can change, in seconds. Default one hour.
    #[serde(default = "default_rhythm_secs")]
    pub rhythm_secs: u32,
    /// How long after its end a period may still be incomplete, in seconds. Default 0.
    #[serde(default)]
    pub lateness_secs: u32,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SslMode {
    /// Not at all; only for loopback addresses and Unix sockets.
    Disable,
    /// Encrypted, certificate and host name checked.
    #[default]
    VerifyFull,
}

fn default_port() -> u16 {
    5432
}

fn default_statement_timeout_secs() -> u32 {
    60
}

fn default_max_rows() -> usize {
    10_000
}

fn default_concurrency() -> usize {
    2
}

fn default_rhythm_secs() -> u32 {
    3_600
}

impl PostgresConfig {
    /// The defaults for a database, encrypted.
    pub fn new(
        host: impl Into<String>,
        user: impl Into<String>,
        dbname: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port: default_port(),
            user: user.into(),
            dbname: dbname.into(),
            password: None,
            sslmode: SslMode::VerifyFull,
            extra_ca: None,
            statement_timeout_secs: default_statement_timeout_secs(),
            naive_timezone: None,
            max_rows: default_max_rows(),
            concurrency: default_concurrency(),
            rhythm_secs: default_rhythm_secs(),
            lateness_secs: 0,
        }
    }

    /// Longest time of one connection: the statement and what is around it.
    pub(super) fn connection_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.statement_timeout_secs) + 10)
    }

    /// Bounds of a question: two full attempts.
    pub(crate) fn limits(&self) -> Limits {
        Limits::new(self.concurrency, self.connection_limit() * 2 + Duration::from_secs(5))
    }

    /// Whether the host is a folder with a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// What cannot work, if anything does not.
    pub(super) fn fault(&self) -> Option<String> {
        if self.statement_timeout_secs == 0 || self.max_rows == 0 {
            return Some("statement_timeout_secs and max_rows must be above 0".to_owned());
        }
        let local = self.is_socket() || is_loopback(&self.host);
        if self.sslmode == SslMode::Disable && !local {
            return Some("sslmode disable is for this machine only: use verify_full".to_owned());
        }
        if self.sslmode == SslMode::VerifyFull && self.is_socket() {
            return Some("a Unix socket has no TLS: set sslmode = \"disable\"".to_owned());
        }
        let zone = self.naive_timezone.as_deref()?;
        let known = jiff::tz::TimeZone::get(zone).is_ok();
        (!known).then(|| format!("naive_timezone {zone:?} does not exist: write an IANA name"))
    }
}
