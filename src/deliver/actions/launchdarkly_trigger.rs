//! A LaunchDarkly flag trigger: one secret URL that turns one flag off.
//!
//! The URL is the credential, so it is a secret, read at each use. A trigger's answer says only
//! that it was fired. With `read` (project, environment, flag and a token that may read) the flag
//! confirms; without it nothing can, and that is told at once instead of after a minute of
//! waiting for what cannot come.

use std::sync::Arc;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::launchdarkly::{self, LaunchDarklyConfig};
use super::service::{JSON, Service, reason, taken};
use super::{Act, ActionKind, Place, no_read_back};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::exchange;
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

/// `[actions.<name>.launchdarkly_trigger]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchDarklyTriggerConfig {
    /// The trigger's URL.
    pub url: SecretRef,
    /// How the flag is read back; without it nothing confirms and a person is told at once.
    #[serde(default)]
    pub read: Option<LaunchDarklyConfig>,
}

impl ActionKind for LaunchDarklyTriggerConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let service = |config| launchdarkly::service(config, place);
        Ok(Arc::new(Trigger {
            client: place.network.client()?,
            network: place.network.clone(),
            reader: self.read.as_ref().map(service).transpose()?,
            config: self.clone(),
        }))
    }

    fn target(&self) -> String {
        self.read.as_ref().map_or_else(
            || "the flag behind a LaunchDarkly trigger".to_owned(),
            |read| format!("{} by its trigger", read.target()),
        )
    }

    fn reads_back(&self) -> bool {
        self.read.is_some()
    }
}

#[derive(Debug)]
struct Trigger {
    client: Client,
    network: Network,
    reader: Option<Service>,
    config: LaunchDarklyTriggerConfig,
}

impl Trigger {
    async fn fire(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let url = self.network.secret_url(&self.config.url)?;
        let body = json!({"eventName": reason(envelope)}).to_string();
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, JSON).body(body);
        taken(&exchange(request, &url, envelope.timeout, envelope.sent_at).await?)
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        match (&self.reader, &self.config.read) {
            (Some(service), Some(config)) => launchdarkly::read(service, config, envelope).await,
            _ => Err(no_read_back("a trigger's answer does not say whether the flag is off")),
        }
    }
}

impl Act for Trigger {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.fire(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("POST to the trigger in {}: {}", self.config.url, self.config.target())
    }
}
