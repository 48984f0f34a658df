//! The rollback action: ask for the flag to be turned off, then read it back.
//!
//! A 2xx answer means *accepted*, never *off*: only the flag's own word confirms. Asking is
//! idempotent, so an attempt repeated after a crash does no harm; nothing here ever turns a flag
//! back on. One attempt asks (unless an earlier one was accepted) and reads back once; the
//! worker repeats it on the ladder until it is confirmed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::egress::{check_url, redacted};
use super::exchange::{client, cut, exchange, misconfigured};
use super::webhook::signed;
use super::{BuildError, Envelope, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// A rollback action as configured: `[actions.<name>.<kind>]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionConfig {
    /// A request to a flag service, confirmed by reading the flag back.
    Webhook(WebhookActionConfig),
}

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
    /// Nothing is sent until somebody says that the action is ready.
    #[serde(default)]
    pub armed: bool,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// PEM file with an authority to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether private and loopback addresses are meant.
    #[serde(default)]
    pub allow_private: bool,
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

/// How a flag is read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyConfig {
    /// Where the flag is read with `GET`.
    pub url: String,
    /// JSON pointer (RFC 6901) to the value, for example `/enabled`.
    pub pointer: String,
    /// What it reads when the rollback is done.
    pub equals: Value,
    /// How soon after an accepted request it is read again, in milliseconds.
    #[serde(default = "default_interval_ms")]
    pub interval_ms: u64,
}

fn default_interval_ms() -> u64 {
    1_000
}

impl ActionConfig {
    /// The bytes of the request.
    pub fn render(&self, description: &Value) -> String {
        let Self::Webhook(config) = self;
        judge::record::canonical_json(config.body.as_ref().unwrap_or(description))
    }

    /// How soon an accepted request is read back again, in milliseconds.
    pub(super) fn verify_interval_ms(&self) -> u64 {
        let Self::Webhook(config) = self;
        config.verify.interval_ms
    }
}

/// How far one attempt got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The flag reads as wanted.
    Confirmed,
    /// The request was taken; the flag does not read as wanted yet.
    Accepted,
    /// The request was not taken.
    Requested,
    /// Nothing was sent, and nothing will be.
    NotSent,
}

/// What one attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) reached: Reached,
    pub(super) status: Option<u16>,
    /// `ok`, or an error class.
    pub(super) class: &'static str,
    pub(super) detail: String,
}

/// A rollback action ready to run.
#[derive(Debug)]
pub(super) struct Action {
    client: Client,
    url: Url,
    verify_url: Url,
    config: WebhookActionConfig,
}

/// Makes an action, or says what is wrong with its configuration.
pub(super) fn build_action(name: &str, config: &ActionConfig) -> Result<Action, BuildError> {
    let ActionConfig::Webhook(config) = config;
    Action::new(config).map_err(|cause| BuildError { name: name.to_owned(), cause })
}

impl Action {
    fn new(config: &WebhookActionConfig) -> Result<Self, String> {
        let checked =
            |text: &str| check_url(text, config.allow_private).map_err(|it| it.to_string());
        let pointer = &config.verify.pointer;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("verify.pointer `{pointer}` must start with `/`"));
        }
        for name in config.headers.keys().chain(config.secret_headers.keys()) {
            HeaderName::try_from(name.as_str()).map_err(|_| format!("bad header name `{name}`"))?;
        }
        for (name, value) in &config.headers {
            HeaderValue::try_from(value.as_str())
                .map_err(|_| format!("bad value of header `{name}`"))?;
        }
        Ok(Self {
            client: client(config.allow_private, config.ca_file.as_deref())?,
            url: checked(&config.url)?,
            verify_url: checked(&config.verify.url)?,
            config: config.clone(),
        })
    }

    /// Asks, unless `accepted` says that an earlier attempt was taken, and reads back once.
    pub(super) async fn attempt(&self, envelope: &Envelope, accepted: bool) -> Progress {
        if let Some(why) = self.not_sent() {
            return Progress {
                reached: Reached::NotSent,
                status: None,
                class: ErrorClass::NotArmed.as_str(),
                detail: why,
            };
        }
        let mut status = None;
        if !accepted {
            match self.ask(envelope).await {
                Ok(answered) => status = Some(answered),
                Err(error) => return Progress::failed(Reached::Requested, None, &error),
            }
        }
        match self.read_back(envelope).await {
            Ok(detail) => Progress { reached: Reached::Confirmed, status, class: "ok", detail },
            Err(error) => Progress::failed(Reached::Accepted, status, &error),
        }
    }

    fn not_sent(&self) -> Option<String> {
        if !self.config.armed {
            return Some("the action is not armed (`armed = true`): nothing was sent".to_owned());
        }
        let (method, url) = (self.method(), redacted(&self.url));
        self.config
            .dry_run
            .then(|| format!("dry run: would send {method} to {url}; nothing was sent"))
    }

    fn method(&self) -> Method {
        match self.config.method {
            ActionMethod::Post => Method::POST,
            ActionMethod::Put => Method::PUT,
            ActionMethod::Patch => Method::PATCH,
            ActionMethod::Delete => Method::DELETE,
        }
    }

    async fn ask(&self, envelope: &Envelope) -> Result<u16, SendError> {
        let mut request = self.client.request(self.method(), self.url.clone());
        if !self.config.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = self.with_headers(request)?.body(envelope.body.clone());
        let keys: Vec<_> = self.config.secret.iter().cloned().collect();
        let request = signed(request, &keys, envelope)?;
        let answer = exchange(request, &self.url, envelope.timeout, envelope.sent_at).await?;
        answer.failure().map_or(Ok(answer.status), Err)
    }

    async fn read_back(&self, envelope: &Envelope) -> Result<String, SendError> {
        let request = self.with_headers(self.client.get(self.verify_url.clone()))?;
        let answer =
            exchange(request, &self.verify_url, envelope.timeout, envelope.sent_at).await?;
        if let Some(error) = answer.failure() {
            return Err(error);
        }
        let status = answer.status;
        let unread = |detail: String| SendError {
            then: Then::Retry { after: None },
            class: ErrorClass::Unconfirmed,
            status: Some(status),
            detail: cut(&detail),
        };
        let text = answer.body?;
        let verify = &self.config.verify;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| unread(format!("the flag does not read as JSON: {error}")))?;
        match json.pointer(&verify.pointer) {
            Some(value) if *value == verify.equals => {
                Ok(format!("{} reads {}", verify.pointer, verify.equals))
            }
            Some(value) => {
                Err(unread(format!("{} reads {value}, wanted {}", verify.pointer, verify.equals)))
            }
            None => Err(unread(format!("the flag's answer has no {}", verify.pointer))),
        }
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

impl Progress {
    /// Nothing could be done at all.
    pub(super) fn unknown(error: &SendError) -> Self {
        Self::failed(Reached::Requested, None, error)
    }

    fn failed(reached: Reached, status: Option<u16>, error: &SendError) -> Self {
        Self {
            reached,
            status: error.status.or(status),
            class: error.class.as_str(),
            detail: error.detail.clone(),
        }
    }
}
