//! What the daemon's configuration says about a folder of CSV files.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sources::Limits;

/// `[sources.<name>.csv]`: exports dropped into a folder.
///
/// A query's `file:` names a file there, or a pattern with `*`. Columns are mapped by `columns:`
/// (contract name: header; by default the same name), rows are kept by `only:`. What is ambiguous
/// in an export is declared here, never guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// The folder. Nothing outside it is ever read.
    pub folder: PathBuf,
    /// Between cells. Default `,`.
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
    /// Form of the time column in `strftime` notation, e.g. `%d.%m.%Y`, or what its numbers
    /// count: `days since 2026-01-31` (seconds, hours, days). Default: ISO 8601.
    #[serde(default)]
    pub date_format: Option<String>,
    /// Decimal mark, `.` or `,`. Default `.`.
    #[serde(default = "default_decimal")]
    pub decimal: char,
    /// Thousands separator, if the export writes one. Default: none is accepted.
    #[serde(default)]
    pub grouping: Option<char>,
    /// Read `12.5 %` as 0.125 in columns that are not counts. Default: a percent sign is refused.
    #[serde(default)]
    pub percent: bool,
    /// Zone of clock times without offset. Default: the experiment's.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Answer a query `file: activation.sql` from `activation.csv` and `activation_*.csv`, so
    /// that exports stand in for a warehouse. Default: no.
    #[serde(default)]
    pub answers_sql: bool,
    /// How often a fresh file must be seen with the same size and time before it is read; 1
    /// reads it at first sight. Default 2.
    #[serde(default = "default_stable_for_polls")]
    pub stable_for_polls: u32,
    /// A file that has not changed for this many seconds is read at first sight. Default 5.
    #[serde(default = "default_settled_after_secs")]
    pub settled_after_secs: u64,
    /// Most bytes of all files of one query. Default 64 MiB.
    #[serde(default = "default_max_body_bytes")]
    pub max_body_bytes: u64,
    /// How often new files can be expected, in seconds. Default one hour.
    #[serde(default = "default_rhythm_secs")]
    pub rhythm_secs: u32,
    /// How long after its end a period may still be incomplete, in seconds. Default 0.
    #[serde(default)]
    pub lateness_secs: u32,
}

fn default_delimiter() -> char {
    ','
}

fn default_decimal() -> char {
    '.'
}

fn default_stable_for_polls() -> u32 {
    2
}

fn default_settled_after_secs() -> u64 {
    5
}

fn default_max_body_bytes() -> u64 {
    64 * 1024 * 1024
}

fn default_rhythm_secs() -> u32 {
    3_600
}

impl CsvConfig {
    /// The defaults for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            delimiter: default_delimiter(),
            date_format: None,
            decimal: default_decimal(),
            grouping: None,
            percent: false,
            timezone: None,
            answers_sql: false,
            stable_for_polls: default_stable_for_polls(),
            settled_after_secs: default_settled_after_secs(),
            max_body_bytes: default_max_body_bytes(),
            rhythm_secs: default_rhythm_secs(),
            lateness_secs: 0,
        }
    }

    /// Bounds of a question: parsing is CPU work, one file set at a time.
    pub(crate) fn limits() -> Limits {
        Limits::new(1, Duration::from_mins(2))
    }

    /// What contradicts itself, if anything does.
    pub(super) fn fault(&self) -> Option<String> {
        let marks = [Some(self.decimal), self.grouping];
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\r' | '\n') {
            return Some("delimiter must be one ASCII character such as , or ;".to_owned());
        }
        if !matches!(self.decimal, '.' | ',') {
            return Some("decimal must be . or ,".to_owned());
        }
        if self.grouping == Some(self.decimal) {
            return Some("grouping and decimal are the same character".to_owned());
        }
        if marks.iter().flatten().any(|mark| mark.is_alphanumeric() || "+-%".contains(*mark)) {
            return Some("grouping must be a separator such as , . ' or a space".to_owned());
        }
        let zone = self.timezone.as_deref()?;
        let known = jiff::tz::TimeZone::get(zone).is_ok();
        (!known).then(|| format!("timezone {zone:?} does not exist: write an IANA name"))
    }
}
