//! `[heartbeat]`: the dead-man's switch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// `[heartbeat]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// What is pinged; absent = nothing. The address is the credential, so it is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretRef>,
    /// How it is pinged.
    pub method: HeartbeatMethod,
    /// How often.
    pub every_secs: u64,
    /// How late a slot, or a look into the outbox, may be.
    pub late_after_secs: u64,
    /// Whether a private address is meant.
    pub allow_private: bool,
}

/// The method of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeartbeatMethod {
    Get,
    Post,
}
