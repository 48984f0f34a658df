//! GrowthBook: a feature is toggled off in one environment, and the feature is read back.
//!
//! `POST /v2/features/{id}/toggle`, then `GET /v2/features/{id}`:
//! `feature.environments.<environment>.enabled` must read `false`. Where approvals apply and the
//! organisation does not let its API bypass them, the answer is 403: a person has to act, and is
//! told at once. `version = 1` is for servers without the v2 routes.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::{Credential, JSON, Service, document, is_off, reason, taken, with_hint};
use super::{Act, ActionKind, Place, version_of};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, ErrorClass, SendError};
use crate::secret::SecretRef;

/// `[actions.<name>.growthbook]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowthBookConfig {
    /// Address of the API, before `/v2`.
    #[serde(default = "cloud")]
    pub url: String,
    /// Feature id.
    pub feature: String,
    /// Environment id.
    pub environment: String,
    /// Secret key or personal access token that may publish in this environment.
    pub token: SecretRef,
    /// 2 (default), or 1 for servers without the v2 routes.
    #[serde(default = "newest")]
    pub version: u8,
}

fn cloud() -> String {
    "https://api.growthbook.io/api".to_owned()
}

fn newest() -> u8 {
    2
}

impl ActionKind for GrowthBookConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let token = Credential::Header("authorization", "Bearer ", self.token.clone());
        let service = Service::new(place.network, &self.url, vec![token])?;
        let version = version_of(self.version)?;
        Ok(Arc::new(GrowthBook { service, version, config: self.clone() }))
    }

    fn target(&self) -> String {
        format!("GrowthBook feature {} in {}", self.feature, self.environment)
    }
}

#[derive(Debug)]
struct GrowthBook {
    service: Service,
    version: &'static str,
    config: GrowthBookConfig,
}

impl GrowthBook {
    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let GrowthBookConfig { feature, environment, .. } = &self.config;
        let path = [self.version, "features", feature, "toggle"];
        let body = json!({"reason": reason(envelope), "environments": {environment: false}});
        let calls = self.service.calls(envelope);
        let answer = calls.send(Method::POST, &path, &[], JSON, &body).await?;
        taken(&answer).map_err(|error| match error.class {
            ErrorClass::AuthError => with_hint(
                error,
                "the key may not publish there, or approvals apply and the API does not bypass \
                 them",
            ),
            _ => error,
        })
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let GrowthBookConfig { feature, environment, .. } = &self.config;
        let path = [self.version, "features", feature];
        let document = document(self.service.calls(envelope).get(&path, &[]).await?)?;
        let enabled = document["feature"]["environments"].get(environment);
        let enabled = enabled.and_then(|it| it.get("enabled"));
        is_off(enabled, &format!("environments.{environment}.enabled"))
    }
}

impl Act for GrowthBook {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("POST toggle to {}: {}", self.service.place(), self.config.target())
    }
}
