//! ConfigCat: the whole value of a setting is replaced, so that no rule can still serve `true`.
//!
//! A patch of the default value leaves percentage and targeting rules in force: a flag that "is
//! off" would go on serving `true` to whoever they match. `PUT` replaces value and rules at once.
//! Read back, the default must be `false` and there must be no rule left. The rules that were there
//! stay in ConfigCat's own audit log; a person puts them back.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::service::{Credential, JSON, Service, document, is_off, reason, taken, unread};
use super::{Act, ActionKind, Place, version_of};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

/// `[actions.<name>.configcat]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigCatConfig {
    /// Address of the management API.
    #[serde(default = "cloud")]
    pub url: String,
    /// Key or id of the setting.
    pub setting: String,
    /// SDK key: it names config and environment.
    pub sdk_key: SecretRef,
    /// User name of the management API's basic authentication.
    pub user: SecretRef,
    /// Its password.
    pub password: SecretRef,
    /// 2 (default) for configs with the newer evaluation, 1 for the older ones.
    #[serde(default = "newest")]
    pub version: u8,
}

fn cloud() -> String {
    "https://api.configcat.com".to_owned()
}

fn newest() -> u8 {
    2
}

impl ActionKind for ConfigCatConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let credentials = vec![
            Credential::Basic(self.user.clone(), self.password.clone()),
            Credential::Header("x-configcat-sdkkey", "", self.sdk_key.clone()),
        ];
        let version = version_of(self.version)?;
        let service = Service::new(place.network, &self.url, credentials)?;
        Ok(Arc::new(ConfigCat { service, version, config: self.clone() }))
    }

    fn target(&self) -> String {
        format!("ConfigCat setting {} of the environment of its SDK key", self.setting)
    }
}

#[derive(Debug)]
struct ConfigCat {
    service: Service,
    version: &'static str,
    config: ConfigCatConfig,
}

impl ConfigCat {
    fn path(&self) -> [&str; 4] {
        [self.version, "settings", &self.config.setting, "value"]
    }

    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let body = match self.config.version {
            1 => json!({"value": false, "rolloutRules": [], "rolloutPercentageItems": []}),
            _ => json!({"defaultValue": {"boolValue": false}, "targetingRules": []}),
        };
        let reason = reason(envelope);
        let query = [("reason", reason.as_str())];
        let calls = self.service.calls(envelope);
        // A 204 says that nothing had to change; the reading decides.
        taken(&calls.send(Method::PUT, &self.path(), &query, JSON, &body).await?)
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let found = document(self.service.calls(envelope).get(&self.path(), &[]).await?)?;
        let (value, name, rules) = match self.config.version {
            1 => (found.get("value"), "value", ["rolloutRules", "rolloutPercentageItems"]),
            _ => (
                found["defaultValue"].get("boolValue"),
                "defaultValue.boolValue",
                ["targetingRules", "targetingRules"],
            ),
        };
        let words = is_off(value, name)?;
        for key in rules {
            match found.get(key) {
                Some(Value::Array(left)) if left.is_empty() => {}
                Some(Value::Array(left)) => {
                    let words = format!("{} of {key} may still serve true", left.len());
                    return Err(unread(200, &words));
                }
                _ => return Err(unread(200, &format!("the setting's answer has no {key}"))),
            }
        }
        Ok(format!("{words}, no rules"))
    }
}

impl Act for ConfigCat {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("PUT the whole value to {}: {}", self.service.place(), self.config.target())
    }
}
