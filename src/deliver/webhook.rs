//! The generic receiver: signed JSON, as Standard Webhooks 1.0.0 describes it.
//!
//! Only a 2xx status is success. The body goes out byte for byte as it was stored; id and
//! signature are headers, the timestamp is the attempt's.

use std::path::PathBuf;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::egress::check_url;
use super::exchange::{client, exchange, misconfigured};
use super::sign::{SigningKey, signature};
use super::{BoxFuture, Envelope, Receipt, Receiver, SendError, payload};
use crate::secret::SecretRef;

/// `[receivers.<name>.webhook]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where messages are posted. A URL that is itself a credential belongs into a file that
    /// only the daemon reads.
    pub url: String,
    /// Signing secret, `whsec_` and base64 of 24 to 64 bytes; without it nothing is signed.
    #[serde(default)]
    pub secret: Option<SecretRef>,
    /// The secret before the last rotation; signs beside the new one.
    #[serde(default)]
    pub previous_secret: Option<SecretRef>,
    /// PEM file with an authority to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether private and loopback addresses are meant.
    #[serde(default)]
    pub allow_private: bool,
}

/// A generic receiver ready to send.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    url: Url,
    keys: Vec<SecretRef>,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, String> {
        let url = check_url(&config.url, config.allow_private).map_err(|it| it.to_string())?;
        let client = client(config.allow_private, config.ca_file.as_deref())?;
        let keys = config.secret.iter().chain(&config.previous_secret).cloned().collect();
        Ok(Self { client, url, keys })
    }

    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(envelope.body.clone());
        let request = signed(request, &self.keys, envelope)?;
        let answer = exchange(request, &self.url, envelope.timeout, envelope.sent_at).await?;
        match answer.failure() {
            None => Ok(Receipt { status: answer.status, detail: answer.detail() }),
            Some(error) => Err(error),
        }
    }
}

/// Adds id and timestamp, and the signature if there are keys; keys are read now.
pub(super) fn signed(
    request: reqwest::RequestBuilder,
    keys: &[SecretRef],
    envelope: &Envelope,
) -> Result<reqwest::RequestBuilder, SendError> {
    let timestamp = envelope.sent_at.as_second();
    let request = request
        .header("webhook-id", &envelope.id)
        .header("webhook-timestamp", timestamp.to_string());
    if keys.is_empty() {
        return Ok(request);
    }
    let mut parsed = Vec::new();
    for key in keys {
        let secret = key.read().map_err(misconfigured)?;
        parsed.push(SigningKey::parse(&secret).map_err(misconfigured)?);
    }
    let value = signature(&parsed, &envelope.id, timestamp, envelope.body.as_bytes());
    Ok(request.header("webhook-signature", value))
}

impl Receiver for Webhook {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }

    fn shrink(&self, content: &serde_json::Value) -> String {
        payload::core(content)
    }
}
