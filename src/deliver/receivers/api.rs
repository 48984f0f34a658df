//! A JSON API with a token: what tickets, boards and chats with memory have in common.
//!
//! One call is one bounded exchange; a delivery of several calls shares the envelope's deadline
//! between them, so that it cannot outlive its lease.

use std::time::Duration;

use judge::time::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::Envelope;
use crate::deliver::SendError;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, exchange, misconfigured};
use crate::secret::SecretRef;

/// How a request says who we are; read at each use.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// `Authorization: Bearer <token>`
    Bearer(SecretRef),
    /// `Authorization: Basic base64(<user>:<token>)`
    Basic {
        /// Not secret.
        user: String,
        /// The password or API token.
        token: SecretRef,
    },
}

impl Credential {
    fn header(&self) -> Result<HeaderValue, SendError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let text = match self {
            Self::Bearer(token) => {
                format!("Bearer {}", token.read().map_err(misconfigured)?.expose().trim())
            }
            Self::Basic { user, token } => {
                let token = token.read().map_err(misconfigured)?;
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", token.expose().trim())))
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| misconfigured("the token is not a header value"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// An API below one address.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    credential: Credential,
    /// Further fixed headers.
    headers: Vec<(&'static str, &'static str)>,
}

/// The calls of one delivery, under one deadline.
#[derive(Debug)]
pub(super) struct Calls<'a> {
    api: &'a Api,
    sent_at: Timestamp,
    deadline: Instant,
}

impl Api {
    pub(super) fn new(
        network: &Network,
        base: &str,
        credential: Credential,
        headers: Vec<(&'static str, &'static str)>,
    ) -> Result<Self, String> {
        let base = network.checked(base).map_err(|it| it.to_string())?;
        if base.cannot_be_a_base() {
            return Err("the address must have a host".to_owned());
        }
        Ok(Self { client: network.client()?, base, credential, headers })
    }

    /// Begins a delivery.
    pub(super) fn calls<'a>(&'a self, envelope: &'a Envelope) -> Calls<'a> {
        self.calls_within(envelope.timeout, envelope.sent_at)
    }

    /// Begins calls that belong to no message; `sent_at` is the wall clock.
    pub(super) fn calls_within(&self, timeout: Duration, sent_at: Timestamp) -> Calls<'_> {
        Calls { api: self, sent_at, deadline: Instant::now() + timeout }
    }
}

impl Calls<'_> {
    /// One call; `path` are the segments below the base address, escaped here.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        let mut url = self.api.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .api
            .client
            .request(method, url.clone())
            .header(AUTHORIZATION, self.api.credential.header()?);
        for (name, value) in &self.api.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .body(body.to_string());
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        exchange(request, &url, left.max(Duration::from_millis(1)), self.sent_at).await
    }

    /// A call that must succeed: its JSON.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, SendError> {
        read(self.call(method, path, query, body).await?)
    }
}

/// The JSON of a success, or what the failure means by its status.
pub(super) fn read(answer: Answer) -> Result<Value, SendError> {
    if let Some(error) = answer.failure() {
        return Err(error);
    }
    let text = answer.body?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
