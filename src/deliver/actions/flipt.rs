//! Flipt: the flag is read whole, `enabled` is set to false, and the whole is written back.
//!
//! `PUT` replaces, so everything but `enabled` must come back as it was read. Version 2 writes with
//! the revision that was read: a change in between is a conflict and the next attempt reads anew.
//! Version 1 has no revision and takes fewer fields than it shows.

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::service::{Calls, Credential, JSON, Service, document, is_off, taken, unread};
use super::{Act, ActionKind, Place, version_of};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

/// The type of a flag among Flipt's resources.
const FLAG: &str = "flipt.core.Flag";

/// `[actions.<name>.flipt]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FliptConfig {
    /// Address of Flipt, before `/api`.
    pub url: String,
    /// Environment key (version 2 only).
    #[serde(default = "default_key")]
    pub environment: String,
    /// Namespace key.
    #[serde(default = "default_key")]
    pub namespace: String,
    /// Flag key.
    pub flag: String,
    /// Token that may write flags; an open server needs none.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// 2 (default) or 1.
    #[serde(default = "newest")]
    pub version: u8,
}

fn default_key() -> String {
    "default".to_owned()
}

fn newest() -> u8 {
    2
}

impl ActionKind for FliptConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        let token =
            |token: &SecretRef| Credential::Header("authorization", "Bearer ", token.clone());
        let credentials = self.token.iter().map(token).collect();
        version_of(self.version)?;
        let service = Service::new(place.network, &self.url, credentials)?;
        Ok(Arc::new(Flipt { service, config: self.clone() }))
    }

    fn target(&self) -> String {
        let Self { environment, namespace, flag, .. } = self;
        if self.version == 1 {
            return format!("Flipt flag {flag} of namespace {namespace}");
        }
        format!("Flipt flag {flag} of namespace {namespace} in {environment}")
    }
}

#[derive(Debug)]
struct Flipt {
    service: Service,
    config: FliptConfig,
}

impl Flipt {
    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let calls = self.service.calls(envelope);
        if self.config.version == 1 { self.put_v1(&calls).await } else { self.put_v2(&calls).await }
    }

    fn path_v1(&self) -> [&str; 6] {
        ["api", "v1", "namespaces", &self.config.namespace, "flags", &self.config.flag]
    }

    fn resources(&self) -> [&str; 7] {
        let FliptConfig { environment, namespace, .. } = &self.config;
        ["api", "v2", "environments", environment, "namespaces", namespace, "resources"]
    }

    async fn get_v2(&self, calls: &Calls<'_>) -> Result<Value, SendError> {
        let path = [self.resources().as_slice(), &[FLAG, &self.config.flag]].concat();
        document(calls.get(&path, &[]).await?)
    }

    async fn put_v2(&self, calls: &Calls<'_>) -> Result<Option<u16>, SendError> {
        let mut found = self.get_v2(calls).await?;
        let revision = found["revision"].take();
        let payload = found["resource"]["payload"].take();
        let (Value::Object(mut payload), Value::String(revision)) = (payload, revision) else {
            return Err(unread(200, "the flag's answer has no payload with a revision"));
        };
        payload.insert("enabled".into(), false.into());
        let body = json!({"key": self.config.flag, "payload": payload, "revision": revision});
        let path = self.resources();
        taken(&calls.send(Method::PUT, &path, &[], JSON, &body).await?)
    }

    async fn put_v1(&self, calls: &Calls<'_>) -> Result<Option<u16>, SendError> {
        let path = self.path_v1();
        let found = document(calls.get(&path, &[]).await?)?;
        let body = update_v1(&found)
            .ok_or_else(|| unread(200, "the flag's answer is not an object with a key"))?;
        taken(&calls.send(Method::PUT, &path, &[], JSON, &body).await?)
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let calls = self.service.calls(envelope);
        if self.config.version == 1 {
            let found = document(calls.get(&self.path_v1(), &[]).await?)?;
            return is_off(found.get("enabled"), "enabled");
        }
        let found = self.get_v2(&calls).await?;
        is_off(found["resource"]["payload"].get("enabled"), "payload.enabled")
    }
}

/// The update of version 1: what it takes of what it shows, switched off.
fn update_v1(found: &Value) -> Option<Value> {
    found.get("key")?;
    let kept = ["name", "description", "metadata"];
    let kept = kept.into_iter().filter_map(|key| Some((key.to_owned(), found.get(key)?.clone())));
    let mut body: Map<String, Value> = kept.collect();
    // It shows the whole default variant and takes its id; without it the default would be lost.
    if let Some(id) = found["defaultVariant"].get("id") {
        body.insert("defaultVariantId".into(), id.clone());
    }
    body.insert("enabled".into(), false.into());
    Some(body.into())
}

impl Act for Flipt {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("GET and PUT to {}: {}", self.service.place(), self.config.target())
    }
}
