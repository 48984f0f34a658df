//! A hook: an address that is itself the credential, to which JSON is posted.
//!
//! Chats work like this. The address is read at each use, so rotation needs no restart; what an
//! answer means is each receiver's own business.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method};

use super::Envelope;
use crate::deliver::SendError;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, exchange};
use crate::secret::SecretRef;

/// A hook ready to be posted to.
#[derive(Debug)]
pub(super) struct Hook {
    client: Client,
    network: Network,
    url: SecretRef,
}

impl Hook {
    pub(super) fn new(network: &Network, url: &SecretRef) -> Result<Self, String> {
        Ok(Self { client: network.client()?, network: network.clone(), url: url.clone() })
    }

    /// Posts the body as it is stored; `query` is added to the address.
    pub(super) async fn post(
        &self,
        envelope: &Envelope,
        query: &[(&str, &str)],
    ) -> Result<Answer, SendError> {
        self.send(Method::POST, &[], query, envelope.body.clone(), envelope, envelope.timeout).await
    }

    /// One request below the address; `limit` is what is left of the deadline.
    pub(super) async fn send(
        &self,
        method: Method,
        below: &[&str],
        query: &[(&str, &str)],
        body: String,
        envelope: &Envelope,
        limit: Duration,
    ) -> Result<Answer, SendError> {
        let mut url = self.network.secret_url(&self.url)?;
        if !below.is_empty()
            && let Ok(mut segments) = url.path_segments_mut()
        {
            segments.pop_if_empty().extend(below);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .client
            .request(method, url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body);
        exchange(request, &url, limit, envelope.sent_at).await
    }
}
