//! Datadog feature flags: disabled in one environment, and the flag is read back.
//!
//! `POST .../environments/{id}/disable` answers 202 when the change waits for an approval: that is
//! *not* off, whatever its first digit says. A second request would ask for a second approval, so
//! the flag is read first and nothing is asked while a suggestion is pending.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::service::{
    Calls, Credential, JSON, Service, document, needs_approval, taken, unread, with_hint,
};
use super::{Act, ActionKind, Place};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

const APPROVE: &str = "the change waits for an approval: approve it in Datadog";

/// `[actions.<name>.datadog]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatadogConfig {
    /// Address of the API of your site.
    #[serde(default = "cloud")]
    pub url: String,
    /// Id of the feature flag (a UUID).
    pub feature_flag: String,
    /// Id of the environment (a UUID).
    pub environment: String,
    /// API key.
    pub api_key: SecretRef,
    /// Application key with `feature_flag_config_write` and
    /// `feature_flag_environment_config_read`.
    pub app_key: SecretRef,
}

fn cloud() -> String {
    "https://api.datadoghq.com".to_owned()
}

impl ActionKind for DatadogConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let credentials = vec![
            Credential::Header("dd-api-key", "", self.api_key.clone()),
            Credential::Header("dd-application-key", "", self.app_key.clone()),
        ];
        let service = Service::new(place.network, &self.url, credentials)?;
        Ok(Arc::new(Datadog { service, config: self.clone() }))
    }

    fn target(&self) -> String {
        format!("Datadog feature flag {} in environment {}", self.feature_flag, self.environment)
    }
}

#[derive(Debug)]
struct Datadog {
    service: Service,
    config: DatadogConfig,
}

impl Datadog {
    /// The environment's part of the flag's document.
    async fn environment(&self, calls: &Calls<'_>) -> Result<Value, SendError> {
        let path = ["api", "v2", "feature-flags", &self.config.feature_flag];
        let mut found = document(calls.get(&path, &[]).await?)?;
        let environments = found["data"]["attributes"]["feature_flag_environments"].take();
        let mut environments = match environments {
            Value::Array(environments) => environments.into_iter(),
            _ => return Err(unread(200, "the flag's answer has no environments")),
        };
        let wanted = |it: &Value| it["environment_id"] == self.config.environment.as_str();
        environments.find(wanted).ok_or_else(|| {
            unread(200, &format!("the flag has no environment {}", self.config.environment))
        })
    }

    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let calls = self.service.calls(envelope);
        let now = self.environment(&calls).await?;
        if now["pending_suggestion_id"].is_string() && now["status"] != "DISABLED" {
            return Err(SendError {
                then: Then::Permanent,
                class: ErrorClass::NeedsApproval,
                status: None,
                detail: APPROVE.to_owned(),
            });
        }
        let DatadogConfig { feature_flag, environment, .. } = &self.config;
        let path =
            ["api", "v2", "feature-flags", feature_flag, "environments", environment, "disable"];
        let answer = calls.send(Method::POST, &path, &[], JSON, &json!({})).await?;
        if answer.status == 202 {
            return Err(needs_approval(&answer, APPROVE));
        }
        taken(&answer).map_err(|error| match error.class {
            ErrorClass::AuthError => {
                with_hint(error, "the keys lack feature_flag_config_write or its read permission")
            }
            _ => error,
        })
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let now = self.environment(&self.service.calls(envelope)).await?;
        match now["status"].as_str() {
            Some("DISABLED") => Ok("status reads DISABLED".to_owned()),
            Some(_) if now["pending_suggestion_id"].is_string() => Err(unread(200, APPROVE)),
            Some(other) => Err(unread(200, &format!("status reads {other}, wanted DISABLED"))),
            None => Err(unread(200, "the flag's answer has no status")),
        }
    }
}

impl Act for Datadog {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("POST disable to {}: {}", self.service.place(), self.config.target())
    }
}
