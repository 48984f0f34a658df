//! Secrets by reference: the configuration names where a secret is, never what it is.
//!
//! A [`SecretRef`] is read each time it is used, so rotation needs no restart. A [`Secret`] never
//! prints itself. A literal in the configuration is an error by type.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// `{env = "NAME"}` or `{file = "PATH"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of an environment variable.
    Env(String),
    /// Path of a file; one trailing newline is dropped.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for SecretRef {
    /// By hand: a derived error would quote what was written, which may be the secret itself.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let refused = || {
            let hint = "a secret is a reference: {env = \"NAME\"} or {file = \"PATH\"}";
            D::Error::custom(hint)
        };
        let table = BTreeMap::<String, String>::deserialize(deserializer).map_err(|_| refused())?;
        let mut entries = table.into_iter();
        match (entries.next(), entries.next()) {
            (Some((key, name)), None) if key == "env" => Ok(Self::Env(name)),
            (Some((key, path)), None) if key == "file" => Ok(Self::File(path.into())),
            _ => Err(refused()),
        }
    }
}

/// A secret's value; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Why a secret could not be read; names the reference, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("secret: environment variable {0} is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("secret: cannot read file {path}: {cause}")]
    NoFile {
        /// Which file.
        path: PathBuf,
        /// The system's word.
        cause: String,
    },
    /// There is nothing in it.
    #[error("secret: {0} is empty")]
    Empty(String),
}

impl SecretRef {
    /// Reads the value now.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let value = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| SecretError::NoVariable(name.clone()))?
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| SecretError::NoFile {
                    path: path.clone(),
                    cause: error.to_string(),
                })?;
                text.strip_suffix('\n').unwrap_or(&text).to_owned()
            }
        };
        if value.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(Secret(value))
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}
