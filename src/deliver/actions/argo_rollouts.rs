//! Argo Rollouts: the running rollout is aborted, and its controller's answer is read back.
//!
//! A merge patch of `status.abort` on the status subresource, and on 404 without it (what the
//! project's own command line does). Our own `abort: true` proves nothing: the controller's
//! `abortedAt` does. A rollout that is fully promoted has nothing to abort, and that is said
//! instead of waited for. `spec.template` still holds the new version: un-aborting or the next
//! sync starts it again.
//!
//! Inside a cluster the API server has a private address, so this kind may call one; token and
//! authority come from the pod's service account unless others are named.

use std::path::Path;
use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::{Credential, Service, document, taken, unread, with_hint};
use super::{Act, ActionKind, Place};
use crate::deliver::endpoint::Network;
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, ErrorClass, SendError};
use crate::secret::SecretRef;

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// `[actions.<name>.argo_rollouts]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgoRolloutsConfig {
    /// Address of the Kubernetes API.
    #[serde(default = "in_cluster")]
    pub url: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// Token that may get and patch `rollouts` and `rollouts/status`; default: the pod's own.
    #[serde(default = "own_token")]
    pub token: SecretRef,
}

fn in_cluster() -> String {
    IN_CLUSTER.to_owned()
}

fn own_token() -> SecretRef {
    SecretRef::File(Path::new(ACCOUNT).join("token"))
}

impl ActionKind for ArgoRolloutsConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let own_ca = Path::new(ACCOUNT).join("ca.crt");
        let mut network: Network = place.network.clone();
        network.allow_private = true;
        if network.ca_file.is_none() && self.url == IN_CLUSTER && own_ca.exists() {
            network.ca_file = Some(own_ca);
        }
        let token = Credential::Header("authorization", "Bearer ", self.token.clone());
        let service = Service::new(&network, &self.url, vec![token])?;
        Ok(Arc::new(ArgoRollouts { service, config: self.clone() }))
    }

    fn target(&self) -> String {
        format!("rollout {} in namespace {}", self.rollout, self.namespace)
    }
}

#[derive(Debug)]
struct ArgoRollouts {
    service: Service,
    config: ArgoRolloutsConfig,
}

impl ArgoRollouts {
    fn path(&self) -> [&str; 7] {
        let ArgoRolloutsConfig { namespace, rollout, .. } = &self.config;
        ["apis", "argoproj.io", "v1alpha1", "namespaces", namespace, "rollouts", rollout]
    }

    async fn abort(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let calls = self.service.calls(envelope);
        let body = json!({"status": {"abort": true}});
        let status = [self.path().as_slice(), &["status"]].concat();
        let mut answer = calls.send(Method::PATCH, &status, &[], MERGE_PATCH, &body).await?;
        if answer.status == 404 {
            answer = calls.send(Method::PATCH, &self.path(), &[], MERGE_PATCH, &body).await?;
        }
        taken(&answer).map_err(|error| match error.class {
            ErrorClass::AuthError => {
                with_hint(error, "the token may not patch rollouts and rollouts/status")
            }
            _ => error,
        })
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let found = document(self.service.calls(envelope).get(&self.path(), &[]).await?)?;
        let status = &found["status"];
        let phase = status["phase"].as_str().unwrap_or("unknown");
        let is_aborted = status["abort"] == true;
        if is_aborted && status["abortedAt"].is_string() {
            return Ok(format!("aborted by the controller, phase {phase}"));
        }
        let hash = |key: &str| status[key].as_str().filter(|hash| !hash.is_empty());
        let (stable, current) = (hash("stableRS"), hash("currentPodHash"));
        Err(unread(
            200,
            &if stable.is_some() && stable == current {
                format!("the rollout is fully promoted ({phase}): there is nothing to abort")
            } else if is_aborted {
                format!("abort is set, the controller has not acted yet (phase {phase})")
            } else {
                format!("abort is not set (phase {phase})")
            },
        ))
    }
}

impl Act for ArgoRollouts {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.abort(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("PATCH status.abort to {}: {}", self.service.place(), self.config.target())
    }
}
