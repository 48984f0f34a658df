//! What every receiver and every action can be told beside its own keys.
//!
//! The tables of the settings stay flat (`[receivers.x.slack] url = ..., allow_private = true`):
//! an [`Endpoint`] takes the shared keys out of the table and hands the rest to the kind, which
//! refuses what it does not know. So a kind is one file with its own keys only.

use std::path::PathBuf;

use reqwest::Client;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;

use super::SendError;
use super::egress::{EgressError, check_url};
use super::exchange::{client, misconfigured};
use crate::secret::SecretRef;

/// Keys that are shared between kinds.
pub trait SharedKeys: Default + DeserializeOwned + Serialize {
    /// Their names, as in the settings.
    const KEYS: &'static [&'static str];
}

/// How the endpoint is reached.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// PEM file with an authority to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether private and loopback addresses are meant.
    pub allow_private: bool,
}

impl SharedKeys for Network {
    const KEYS: &'static [&'static str] = &["ca_file", "allow_private"];
}

impl Network {
    /// A client that connects only where this endpoint may.
    pub(super) fn client(&self) -> Result<Client, String> {
        client(self.allow_private, self.ca_file.as_deref())
    }

    /// Parses a URL and checks what needs no resolution.
    pub(super) fn checked(&self, url: &str) -> Result<Url, EgressError> {
        check_url(url, self.allow_private)
    }

    /// Reads a URL that is itself a secret, at the moment of use.
    pub(super) fn secret_url(&self, secret: &SecretRef) -> Result<Url, SendError> {
        let text = secret.read().map_err(misconfigured)?;
        self.checked(text.expose().trim()).map_err(misconfigured)
    }
}

/// Whether an action may act; nothing is sent until somebody says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Arming {
    /// Nothing is sent until somebody says that the action is ready.
    pub armed: bool,
    /// Who said so; goes into the decision log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed_by: Option<String>,
    /// Why it is ready, for example the game day that proved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed_because: Option<String>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Trips in one day (of `daemon.timezone`) that may fire it; what is beyond pages a person.
    pub max_per_day: u32,
}

impl Default for Arming {
    fn default() -> Self {
        Self { armed: false, armed_by: None, armed_because: None, dry_run: false, max_per_day: 10 }
    }
}

impl SharedKeys for Arming {
    const KEYS: &'static [&'static str] =
        &["armed", "armed_by", "armed_because", "dry_run", "max_per_day"];
}

/// Actions have keys for arming, receivers have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoKeys {}

impl SharedKeys for NoKeys {
    const KEYS: &'static [&'static str] = &[];
}

/// The table of one endpoint: shared keys and those of its kind `K`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub struct Endpoint<K, S = NoKeys> {
    /// How it is reached.
    pub network: Network,
    /// Further shared keys.
    pub shared: S,
    /// The kind's own keys.
    pub own: K,
}

impl<'de, K: DeserializeOwned, S: SharedKeys> Deserialize<'de> for Endpoint<K, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let network = taken(&mut table).map_err(D::Error::custom)?;
        let shared = taken(&mut table).map_err(D::Error::custom)?;
        let own = serde_json::from_value(table.into()).map_err(D::Error::custom)?;
        Ok(Self { network, shared, own })
    }
}

/// Takes the keys of `T` out of a table.
fn taken<T: SharedKeys>(table: &mut Map<String, Value>) -> serde_json::Result<T> {
    let found = T::KEYS.iter().filter_map(|key| table.remove_entry(*key));
    serde_json::from_value(found.collect::<Map<_, _>>().into())
}

impl<K: Serialize, S: SharedKeys> Serialize for Endpoint<K, S> {
    fn serialize<R: Serializer>(&self, serializer: R) -> Result<R::Ok, R::Error> {
        use serde::ser::Error as _;
        let mut table = Map::new();
        let parts = [
            serde_json::to_value(&self.network),
            serde_json::to_value(&self.shared),
            serde_json::to_value(&self.own),
        ];
        for part in parts {
            if let Value::Object(keys) = part.map_err(R::Error::custom)? {
                table.extend(keys);
            }
        }
        table.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        url: String,
    }

    #[test]
    fn the_lists_of_shared_keys_are_the_fields() {
        fn fields<T: JsonSchema>() -> Vec<String> {
            let schema = schemars::schema_for!(T);
            let properties = schema.get("properties").and_then(Value::as_object).cloned();
            properties.unwrap_or_default().keys().cloned().collect()
        }
        fn listed<T: SharedKeys>() -> Vec<String> {
            let mut keys: Vec<String> = T::KEYS.iter().map(ToString::to_string).collect();
            keys.sort();
            keys
        }
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(listed::<Network>(), sorted(fields::<Network>()));
        assert_eq!(listed::<Arming>(), sorted(fields::<Arming>()));
    }

    #[test]
    fn a_flat_table_is_split_and_joined() {
        let table = json!({"url": "https://x", "allow_private": true, "armed": true});
        let endpoint: Endpoint<Own, Arming> = serde_json::from_value(table).unwrap();
        assert!(endpoint.network.allow_private && endpoint.shared.armed);
        assert_eq!(endpoint.own, Own { url: "https://x".to_owned() });
        let joined = serde_json::to_value(&endpoint).unwrap();
        let want = json!({"url": "https://x", "allow_private": true, "armed": true, "dry_run": false,
                "max_per_day": 10});
        assert_eq!(joined, want);
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand() {
        let receiver = json!({"url": "https://x", "armed": true});
        let refused = serde_json::from_value::<Endpoint<Own>>(receiver).unwrap_err();
        assert!(refused.to_string().contains("unknown field `armed`"), "{refused}");
        let wrong = json!({"url": "https://x", "allow_private": "yes"});
        assert!(serde_json::from_value::<Endpoint<Own>>(wrong).is_err());
    }
}
