//! LaunchDarkly's API: a semantic patch turns targeting off, the flag's own document confirms.
//!
//! `PATCH /api/v2/flags/{project}/{flag}` with `turnFlagOff` in one environment, then `GET` of the
//! same flag: `environments.<environment>.on` must read `false`. `ignoreConflicts=true`, because a
//! scheduled change or an open approval must not stand in the way of a rollback. Where the
//! environment requires approvals the API answers 405: a person has to approve, and is told at
//! once.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::{Credential, Service, document, is_off, needs_approval, reason, taken};
use super::{Act, ActionKind, Place};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

const SEMANTIC_PATCH: &str = "application/json; domain-model=launchdarkly.semanticpatch";
const CLOUD: &str = "https://app.launchdarkly.com";

/// `[actions.<name>.launchdarkly]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchDarklyConfig {
    /// Address of LaunchDarkly; another one for the federal or EU instance.
    #[serde(default = "cloud")]
    pub url: String,
    /// Project key.
    pub project: String,
    /// Environment key.
    pub environment: String,
    /// Flag key.
    pub flag: String,
    /// API access token that may write this flag in this environment.
    pub token: SecretRef,
}

fn cloud() -> String {
    CLOUD.to_owned()
}

impl ActionKind for LaunchDarklyConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        Ok(Arc::new(LaunchDarkly { service: service(self, place)?, config: self.clone() }))
    }

    fn target(&self) -> String {
        let Self { project, environment, flag, .. } = self;
        format!("LaunchDarkly flag {flag} of project {project} in {environment}")
    }
}

/// The API, as this token sees it.
pub(super) fn service(config: &LaunchDarklyConfig, place: &Place<'_>) -> Result<Service, String> {
    let token = Credential::Header("authorization", "", config.token.clone());
    let service = Service::new(place.network, &config.url, vec![token])?;
    // A pinned version: the shape of a flag's document is what is read here.
    Ok(service.with_header("ld-api-version", "20240415"))
}

/// Reads the flag; shared with the trigger.
pub(super) async fn read(
    service: &Service,
    config: &LaunchDarklyConfig,
    envelope: &Envelope,
) -> Result<String, SendError> {
    let LaunchDarklyConfig { project, environment, flag, .. } = config;
    let path = ["api", "v2", "flags", project, flag];
    let answer = service.calls(envelope).get(&path, &[("env", environment)]).await?;
    let document = document(answer)?;
    let on = document["environments"].get(environment).and_then(|it| it.get("on"));
    is_off(on, &format!("environments.{environment}.on"))
}

#[derive(Debug)]
struct LaunchDarkly {
    service: Service,
    config: LaunchDarklyConfig,
}

impl LaunchDarkly {
    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let LaunchDarklyConfig { project, environment, flag, .. } = &self.config;
        let path = ["api", "v2", "flags", project, flag];
        let body = json!({
            "environmentKey": environment,
            "comment": reason(envelope),
            "instructions": [{"kind": "turnFlagOff"}],
        });
        let query = [("ignoreConflicts", "true")];
        let calls = self.service.calls(envelope);
        let answer = calls.send(Method::PATCH, &path, &query, SEMANTIC_PATCH, &body).await?;
        if answer.status == 405 {
            let hint = "the environment requires approvals: approve the change in LaunchDarkly, \
                        or let the token's role bypass them";
            return Err(needs_approval(&answer, hint));
        }
        taken(&answer)
    }
}

impl Act for LaunchDarkly {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(read(&self.service, &self.config, envelope))
    }

    fn intent(&self) -> String {
        format!("PATCH turnFlagOff to {}: {}", self.service.place(), self.config.target())
    }
}
