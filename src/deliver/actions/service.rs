//! The HTTP side of a flag service: one address, its credentials, bounded calls, JSON answers.
//!
//! Paths are built from segments that are escaped here, so no name in a configuration can reach
//! another resource. The calls of one half of a rollback (read, change) share the envelope's
//! deadline. Credentials are read at each use. What an answer means is the kind's own business;
//! what all services share is here: a conflict is tried again, a document that does not fit or
//! does not parse is no reading.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, DOCUMENT_CAP, cut, exchange_up_to, misconfigured, said_by};
use crate::deliver::receivers::Envelope;
use crate::deliver::{ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// The content type of plain JSON.
pub(super) const JSON: &str = "application/json";

/// How a request says who we are.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// A header with a secret behind a prefix (`Bearer `, or nothing).
    Header(&'static str, &'static str, SecretRef),
    /// `Authorization: Basic`, user and password.
    Basic(SecretRef, SecretRef),
}

impl Credential {
    fn header(&self) -> Result<(&'static str, HeaderValue), SendError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let read = |secret: &SecretRef| {
            secret.read().map(|it| it.expose().trim().to_owned()).map_err(misconfigured)
        };
        let (name, text) = match self {
            Self::Header(name, prefix, secret) => (*name, format!("{prefix}{}", read(secret)?)),
            Self::Basic(user, password) => {
                let pair = format!("{}:{}", read(user)?, read(password)?);
                ("authorization", format!("Basic {}", STANDARD.encode(pair)))
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            misconfigured(format!("header {name}: the secret is not a header value"))
        })?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// A flag service below one address.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    base: Url,
    credentials: Vec<Credential>,
    /// Further fixed headers.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The calls of one half of a rollback, under one deadline.
#[derive(Debug)]
pub(super) struct Calls<'a> {
    service: &'a Service,
    envelope: &'a Envelope,
    deadline: Instant,
}

impl Service {
    pub(super) fn new(
        network: &Network,
        base: &str,
        credentials: Vec<Credential>,
    ) -> Result<Self, String> {
        let base = network.checked(base).map_err(|it| it.to_string())?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err("the address must end with its path".to_owned());
        }
        Ok(Self { client: network.client()?, base, credentials, headers: Vec::new() })
    }

    /// Sends one more fixed header with every call.
    pub(super) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        let pair = (HeaderName::from_static(name), HeaderValue::from_static(value));
        self.headers.push(pair);
        self
    }

    /// Begins one half of a rollback.
    pub(super) fn calls<'a>(&'a self, envelope: &'a Envelope) -> Calls<'a> {
        Calls { service: self, envelope, deadline: Instant::now() + envelope.timeout }
    }

    /// Where calls go, for people: scheme, host and port.
    pub(super) fn place(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // A checked URL has a host, so it has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl Calls<'_> {
    /// Reads a resource.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, SendError> {
        let url = self.service.url(path, query);
        let request = self.service.client.get(url.clone());
        self.exchange(request, &url).await
    }

    /// Sends JSON under a content type.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        content_type: &str,
        body: &Value,
    ) -> Result<Answer, SendError> {
        let url = self.service.url(path, query);
        let request = self.service.client.request(method, url.clone());
        let request = request.header(CONTENT_TYPE, content_type).body(body.to_string());
        self.exchange(request, &url).await
    }

    async fn exchange(&self, mut request: RequestBuilder, url: &Url) -> Result<Answer, SendError> {
        for credential in &self.service.credentials {
            let (name, value) = credential.header()?;
            request = request.header(name, value);
        }
        for (name, value) in &self.service.headers {
            request = request.header(name, value);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        exchange_up_to(DOCUMENT_CAP, request, url, left, self.envelope.sent_at).await
    }
}

/// What a failed answer means to every flag service; `None` is a success status.
///
/// A conflict is somebody else's change at the same moment: it is tried again.
pub(super) fn failure(answer: &Answer) -> Option<SendError> {
    if answer.status == 409 {
        return Some(said_by(answer, Then::Retry { after: None }, ErrorClass::ClientError));
    }
    answer.failure()
}

/// A request that was taken: its status, or what the failure means.
pub(super) fn taken(answer: &Answer) -> Result<Option<u16>, SendError> {
    failure(answer).map_or(Ok(Some(answer.status)), Err)
}

/// The JSON of a good reading.
pub(super) fn document(answer: Answer) -> Result<Value, SendError> {
    if let Some(error) = failure(&answer) {
        return Err(error);
    }
    let status = answer.status;
    let text = answer.body?;
    if text.len() >= DOCUMENT_CAP {
        return Err(unread(status, "the flag's document is longer than 1 MiB"));
    }
    serde_json::from_str(&text)
        .map_err(|error| unread(status, &format!("the flag does not read as JSON: {error}")))
}

/// The flag was read, or should have been, and is not known to be off.
pub(super) fn unread(status: u16, detail: &str) -> SendError {
    SendError {
        then: Then::Retry { after: None },
        class: ErrorClass::Unconfirmed,
        status: Some(status),
        detail: cut(detail),
    }
}

/// The flag's own word for on and off, read from its document.
pub(super) fn is_off(value: Option<&Value>, what: &str) -> Result<String, SendError> {
    match value {
        Some(Value::Bool(false)) => Ok(format!("{what} reads false")),
        Some(other) => Err(unread(200, &format!("{what} reads {other}, wanted false"))),
        None => Err(unread(200, &format!("the flag's answer has no {what}"))),
    }
}

/// The service wants a person to approve the change first.
pub(super) fn needs_approval(answer: &Answer, hint: &str) -> SendError {
    with_hint(said_by(answer, Then::Permanent, ErrorClass::NeedsApproval), hint)
}

/// An error with what to do about it in front, so that a long answer cannot push it out.
pub(super) fn with_hint(error: SendError, hint: &str) -> SendError {
    SendError { detail: cut(&format!("{hint} ({})", error.detail)), ..error }
}

/// Why the flag is turned off, for the service's own audit log: one line, without markup.
pub(super) fn reason(envelope: &Envelope) -> String {
    let said: Value = serde_json::from_str(&envelope.body).unwrap_or_default();
    let part = |key: &str| said[key].as_str().unwrap_or("unknown");
    let text = format!(
        "verdictd: guardrail {} of experiment {} tripped (evaluation {})",
        part("guardrail"),
        part("experiment"),
        part("evaluation"),
    );
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}
