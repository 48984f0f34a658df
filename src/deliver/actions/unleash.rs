//! Unleash: a feature is switched off in one environment, and its environment is read back.
//!
//! `POST /api/admin/projects/{p}/features/{f}/environments/{e}/off`, then `GET` of the same
//! environment: `enabled` must read `false`. With change requests the endpoint answers 403, as it
//! does for a token without the permission; either needs a person, who is told at once.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::{Credential, JSON, Service, document, is_off, taken, with_hint};
use super::{Act, ActionKind, Place};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, ErrorClass, SendError};
use crate::secret::SecretRef;

/// `[actions.<name>.unleash]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnleashConfig {
    /// Address of Unleash, before `/api/admin`.
    pub url: String,
    /// Project id.
    #[serde(default = "default_project")]
    pub project: String,
    /// Feature name.
    pub feature: String,
    /// Environment name.
    pub environment: String,
    /// Personal access token or service account token that may update this environment.
    pub token: SecretRef,
}

fn default_project() -> String {
    "default".to_owned()
}

impl ActionKind for UnleashConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let token = Credential::Header("authorization", "", self.token.clone());
        let service = Service::new(place.network, &self.url, vec![token])?;
        Ok(Arc::new(Unleash { service, config: self.clone() }))
    }

    fn target(&self) -> String {
        let Self { project, feature, environment, .. } = self;
        format!("Unleash feature {feature} of project {project} in {environment}")
    }
}

#[derive(Debug)]
struct Unleash {
    service: Service,
    config: UnleashConfig,
}

impl Unleash {
    fn path(&self) -> [&str; 8] {
        let UnleashConfig { project, feature, environment, .. } = &self.config;
        ["api", "admin", "projects", project, "features", feature, "environments", environment]
    }

    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let path = [self.path().as_slice(), &["off"]].concat();
        let calls = self.service.calls(envelope);
        let answer = calls.send(Method::POST, &path, &[], JSON, &json!({})).await?;
        taken(&answer).map_err(|error| match error.class {
            ErrorClass::AuthError => with_hint(
                error,
                "the token may not do this, or the environment wants a change request",
            ),
            _ => error,
        })
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let answer = self.service.calls(envelope).get(&self.path(), &[]).await?;
        is_off(document(answer)?.get("enabled"), "enabled")
    }
}

impl Act for Unleash {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("POST off to {}: {}", self.service.place(), self.config.target())
    }
}
