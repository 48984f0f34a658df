//! A hook: an address that is itself the credential, to which JSON is posted.
//!
//! Chats work like this. The address is read at each use, so rotation needs no restart; what an
//! answer means is each receiver's own business.

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;

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
        let mut url = self.network.secret_url(&self.url)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(envelope.body.clone());
        exchange(request, &url, envelope.timeout, envelope.sent_at).await
    }
}
