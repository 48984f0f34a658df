//! A request to a flag service, confirmed by reading the flag back with a JSON pointer.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::verify::{Verify, VerifyConfig};
use super::{Act, ActionKind, Place};
use crate::deliver::egress::redacted;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{exchange, misconfigured};
use crate::deliver::receivers::Envelope;
use crate::deliver::receivers::webhook::signed;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

/// `[actions.<name>.webhook]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookActionConfig {
    /// What turns the flag off.
    pub url: String,
    /// `POST` (default), `PUT`, `PATCH` or `DELETE`.
    #[serde(default)]
    pub method: ActionMethod,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Further headers whose values are secrets.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, SecretRef>,
    /// The JSON to send, fixed; without it a description of the trip is sent.
    #[serde(default)]
    pub body: Option<Value>,
    /// Signing secret, as for receivers.
    #[serde(default)]
    pub secret: Option<SecretRef>,
    /// How the flag is read back; nothing counts as confirmed without it.
    pub verify: VerifyConfig,
}

/// Methods that can turn something off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionMethod {
    /// `POST`
    #[default]
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl ActionKind for WebhookActionConfig {
    fn render(&self, description: &Value) -> String {
        judge::record::canonical_json(self.body.as_ref().unwrap_or(description))
    }

    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        Ok(Arc::new(FlagRequest::new(self, place.network)?))
    }

    fn target(&self) -> String {
        let url = Url::parse(&self.url).ok();
        let place = url.as_ref().map_or_else(|| "its address".to_owned(), redacted);
        format!("the flag behind {place}")
    }

    fn verify_interval_ms(&self) -> u64 {
        self.verify.interval_ms
    }
}

/// A request and its read-back, ready to run.
#[derive(Debug)]
struct FlagRequest {
    client: Client,
    url: Url,
    verify: Verify,
    config: WebhookActionConfig,
}

impl FlagRequest {
    fn new(config: &WebhookActionConfig, network: &Network) -> Result<Self, String> {
        let checked = |text: &str| network.checked(text).map_err(|it| it.to_string());
        for name in config.headers.keys().chain(config.secret_headers.keys()) {
            HeaderName::try_from(name.as_str()).map_err(|_| format!("bad header name `{name}`"))?;
        }
        for (name, value) in &config.headers {
            HeaderValue::try_from(value.as_str())
                .map_err(|_| format!("bad value of header `{name}`"))?;
        }
        Ok(Self {
            client: network.client()?,
            url: checked(&config.url)?,
            verify: Verify::new(&config.verify, network)?,
            config: config.clone(),
        })
    }

    fn method(&self) -> Method {
        match self.config.method {
            ActionMethod::Post => Method::POST,
            ActionMethod::Put => Method::PUT,
            ActionMethod::Patch => Method::PATCH,
            ActionMethod::Delete => Method::DELETE,
        }
    }

    async fn post(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let mut request = self.client.request(self.method(), self.url.clone());
        if !self.config.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = self.with_headers(request)?.body(envelope.body.clone());
        let keys: Vec<_> = self.config.secret.iter().cloned().collect();
        let request = signed(request, &keys, envelope)?;
        let answer = exchange(request, &self.url, envelope.timeout, envelope.sent_at).await?;
        answer.failure().map_or(Ok(Some(answer.status)), Err)
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        let request = self.with_headers(self.verify.request(&self.client))?;
        self.verify.read(request, envelope).await
    }

    fn with_headers(&self, mut request: RequestBuilder) -> Result<RequestBuilder, SendError> {
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        for (name, secret) in &self.config.secret_headers {
            let secret = secret.read().map_err(misconfigured)?;
            let mut value = HeaderValue::try_from(secret.expose())
                .map_err(|_| misconfigured(format!("header {name}: not a header value")))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        Ok(request)
    }
}

impl Act for FlagRequest {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.post(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("{} to {}", self.method(), redacted(&self.url))
    }
}
