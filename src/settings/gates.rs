//! `[gates]`: who may ask a gate, how old a verdict may be, and which canary is which experiment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// `[gates]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateSettings {
    /// Who may ask; none = everybody, as with all reading.
    pub tokens: Vec<GateToken>,
    /// Oldest verdict that lets a rollout begin or grow; 0 = no limit of its own.
    pub rollout_max_age_secs: u64,
    /// Oldest verdict that lets it become the default; 0 = no limit of its own.
    pub promote_max_age_secs: u64,
    /// For how long after a stop the rollback gate fires.
    pub rollback_max_age_secs: u64,
    /// How overdue a look may be before every verdict is stale.
    pub late_after_secs: u64,
    /// Long polls at the same time.
    pub max_waiting: usize,
    /// `name.namespace` of a canary to its experiment.
    pub experiments: BTreeMap<String, String>,
}

/// One `[[gates.tokens]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateToken {
    /// Who this is, in the log.
    pub name: String,
    /// The token.
    pub token: SecretRef,
}
