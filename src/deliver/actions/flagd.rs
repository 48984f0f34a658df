//! Pull: flagd fetches its flags from us, so a rollback needs no credential and cannot be lost.
//!
//! `GET /flagd/flags.json` serves every configured flag in flagd's format. A trip is written into
//! the store and changes what is served: `defaultVariant` becomes the off variant and the
//! targeting goes, so that no rule still serves the other one. The state stays `ENABLED`:
//! `DISABLED` would mean "whatever the application's own default is". The rollback is confirmed
//! when a client fetched the changed file, or said with `If-None-Match` that it has it. After a
//! restart the same is served; only a person releases it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::service::unread;
use super::{Act, ActionConfig, ActionKind, Place};
use crate::deliver::exchange::misconfigured;
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;
use crate::store::Store;

/// Where flagd's format is described; some editors and checkers read it.
const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";

/// `[actions.<name>.flagd]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagdConfig {
    /// Bearer token that clients must send to see these flags; without it everybody sees them.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// The flags that a trip turns off, by key.
    pub flags: BTreeMap<String, FlagConfig>,
}

/// `[actions.<name>.flagd.flags.<key>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagConfig {
    /// Values by variant, all of one type.
    #[serde(default = "on_and_off")]
    pub variants: BTreeMap<String, Value>,
    /// The default variant while nothing tripped.
    #[serde(default = "on")]
    pub on: String,
    /// The variant that everybody gets after a trip.
    #[serde(default = "off")]
    pub off: String,
    /// flagd's targeting rule (JSON logic), served as it is while nothing tripped.
    #[serde(default)]
    pub targeting: Option<Value>,
}

fn on_and_off() -> BTreeMap<String, Value> {
    [(on(), true.into()), (off(), false.into())].into()
}

fn on() -> String {
    "on".to_owned()
}

fn off() -> String {
    "off".to_owned()
}

impl ActionKind for FlagdConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        if self.flags.is_empty() {
            return Err("`flags` is empty; name at least one".to_owned());
        }
        for (key, flag) in &self.flags {
            flag.check().map_err(|cause| format!("flag `{key}`: {cause}"))?;
        }
        let flags = self.flags.keys().cloned().collect::<Vec<_>>().join(", ");
        Ok(Arc::new(Pull { action: place.name.to_owned(), flags, store: place.store.cloned() }))
    }

    fn verify_interval_ms(&self) -> u64 {
        250
    }

    fn target(&self) -> String {
        let keys: Vec<&str> = self.flags.keys().map(String::as_str).collect();
        let noun = if keys.len() == 1 { "flag" } else { "flags" };
        format!("{noun} {} as flagd pulls them from here", keys.join(", "))
    }
}

impl FlagConfig {
    fn check(&self) -> Result<(), String> {
        for (key, name) in [("on", &self.on), ("off", &self.off)] {
            if !self.variants.contains_key(name) {
                return Err(format!("`{key}` names the variant `{name}`, which `variants` lacks"));
            }
        }
        let kinds: BTreeSet<&str> = self.variants.values().map(kind).collect();
        if kinds.len() > 1 || kinds.contains("none") {
            return Err("all variants must be of one type: boolean, text, number or table".into());
        }
        if self.targeting.as_ref().is_some_and(|rule| !rule.is_object()) {
            return Err("`targeting` must be a table (JSON logic)".to_owned());
        }
        Ok(())
    }

    fn served(&self, is_off: bool) -> Value {
        let variant = if is_off { &self.off } else { &self.on };
        let mut flag =
            json!({"state": "ENABLED", "variants": self.variants, "defaultVariant": variant});
        if let Some(targeting) = self.targeting.as_ref().filter(|_| !is_off) {
            flag["targeting"] = targeting.clone();
        }
        flag
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Object(_) => "table",
        Value::Null | Value::Array(_) => "none",
    }
}

/// Every set of flags that is pulled from us, by action.
pub fn sets(
    actions: &BTreeMap<String, ActionConfig>,
) -> impl Iterator<Item = (&str, &FlagdConfig)> {
    actions.iter().filter_map(|(name, config)| match config {
        ActionConfig::Flagd(endpoint) => Some((name.as_str(), &endpoint.own)),
        _ => None,
    })
}

/// A file for flagd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFile {
    /// Its bytes.
    pub body: String,
    /// Its strong ETag, with the quotes.
    pub etag: String,
}

/// The file with the flags of these sets; `off` names the actions that tripped.
pub fn flag_file<'a>(
    sets: impl Iterator<Item = (&'a str, &'a FlagdConfig)>,
    off: &BTreeSet<String>,
) -> FlagFile {
    let mut flags = Map::new();
    let mut turned_off = BTreeSet::new();
    for (action, set) in sets {
        let is_off = off.contains(action);
        for (key, flag) in &set.flags {
            // Of two sets with one flag, the one that is off wins.
            if is_off || !turned_off.contains(key) {
                flags.insert(key.clone(), flag.served(is_off));
            }
            if is_off {
                turned_off.insert(key);
            }
        }
    }
    let body = judge::record::canonical_json(&json!({"$schema": SCHEMA, "flags": flags}));
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(body.as_bytes()));
    FlagFile { body, etag: format!("\"{digest}\"") }
}

#[derive(Debug)]
struct Pull {
    action: String,
    flags: String,
    store: Option<Store>,
}

impl Pull {
    fn store(&self) -> Result<&Store, SendError> {
        self.store.as_ref().ok_or_else(|| misconfigured("pulled flags need the daemon's store"))
    }

    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let written = self.store()?.pull_off(&self.action, &envelope.id, envelope.sent_at).await;
        written.map(|()| None).map_err(misconfigured)
    }

    async fn read(&self) -> Result<String, SendError> {
        let sets = self.store()?.pulled().await.map_err(misconfigured)?;
        let Some(set) = sets.into_iter().find(|set| set.action == self.action) else {
            return Err(unread(200, "the flags are served as configured, not as off"));
        };
        match (set.seen_at, set.seen_by) {
            (Some(at), Some(by)) => Ok(format!("{by} has flags.json with them off since {at}")),
            _ => Err(unread(200, "no client has fetched the changed flags.json yet")),
        }
    }
}

impl Act for Pull {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, _: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read())
    }

    fn intent(&self) -> String {
        format!("GET /flagd/flags.json with {} off", self.flags)
    }
}
