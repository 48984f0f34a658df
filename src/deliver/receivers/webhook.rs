//! The generic receiver: signed JSON, as Standard Webhooks 1.0.0 describes it.
//!
//! Only a 2xx status is success. The body goes out byte for byte as it was stored; id and
//! signature are headers, the timestamp is the attempt's.

use std::sync::Arc;

use judge::time::Timestamp;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{exchange, misconfigured};
use crate::deliver::sign::{SigningKey, signature};
use crate::deliver::{BoxFuture, SendError, cloudevents, payload};
use crate::secret::SecretRef;

/// `[receivers.<name>.webhook]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where messages are posted. A URL that is itself a credential belongs into a file that
    /// only the daemon reads.
    pub url: String,
    /// Signing secret, `whsec_` and base64 of 24 to 64 bytes; without a key nothing is signed.
    #[serde(default)]
    pub secret: Option<SecretRef>,
    /// Ed25519 key, `whsk_` and base64 of its seed; signs beside the secret (`v1a`).
    #[serde(default)]
    pub private_key: Option<SecretRef>,
    /// The secret before the last rotation; signs beside the new one.
    #[serde(default)]
    pub previous_secret: Option<SecretRef>,
    /// The ed25519 key before the last rotation.
    #[serde(default)]
    pub previous_private_key: Option<SecretRef>,
    /// When the previous keys stop signing; without it they sign as long as they stand here.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub previous_until: Option<Timestamp>,
    /// Whether the attributes of CloudEvents 1.0 go along as `ce-` headers.
    #[serde(default)]
    pub cloudevents: bool,
}

impl WebhookConfig {
    /// The keys that sign at that instant, newest first.
    fn keys(&self, at: Timestamp) -> Vec<SecretRef> {
        let is_rotating = self.previous_until.is_none_or(|until| at < until);
        let previous = self.previous_secret.iter().chain(&self.previous_private_key);
        let newest = self.secret.iter().chain(&self.private_key);
        newest.chain(previous.filter(|_| is_rotating)).cloned().collect()
    }
}

impl ReceiverKind for WebhookConfig {
    fn render(&self, content: &serde_json::Value) -> String {
        judge::record::canonical_json(content)
    }

    fn shrink(&self, content: &serde_json::Value) -> String {
        payload::core(content)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(Webhook::new(self, network)?))
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["url", "secret"]
    }
}

/// A generic receiver ready to send.
#[derive(Debug)]
struct Webhook {
    client: Client,
    url: Url,
    config: WebhookConfig,
}

impl Webhook {
    fn new(config: &WebhookConfig, network: &Network) -> Result<Self, String> {
        let url = network.checked(&config.url).map_err(|it| it.to_string())?;
        let client = network.client()?;
        Ok(Self { client, url, config: config.clone() })
    }

    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(envelope.body.clone());
        if self.config.cloudevents {
            let content = serde_json::from_str(&envelope.body).unwrap_or_default();
            for (name, value) in cloudevents::headers(&envelope.id, &content) {
                request = request.header(name, value);
            }
        }
        let request = signed(request, &self.config.keys(envelope.sent_at), envelope)?;
        let answer = exchange(request, &self.url, envelope.timeout, envelope.sent_at).await?;
        match answer.failure() {
            None => Ok(Receipt { status: answer.status, detail: answer.detail() }),
            Some(error) => Err(error),
        }
    }
}

/// Adds id and timestamp, and the signature if there are keys; keys are read now.
pub(in crate::deliver) fn signed(
    request: reqwest::RequestBuilder,
    keys: &[SecretRef],
    envelope: &Envelope,
) -> Result<reqwest::RequestBuilder, SendError> {
    let timestamp = envelope.sent_at.as_second();
    let request = request
        .header("webhook-id", &envelope.id)
        .header("webhook-timestamp", timestamp.to_string());
    let request =
        if envelope.is_manual { request.header("verdictd-trigger", "manual") } else { request };
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
}
