//! Reading a flag back with a JSON pointer: for requests and commands of the operator's own.

use reqwest::{Client, RequestBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::service::{document, unread};
use crate::deliver::SendError;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{DOCUMENT_CAP, exchange_up_to};
use crate::deliver::receivers::Envelope;

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

/// A read-back, ready to run.
#[derive(Debug)]
pub(super) struct Verify {
    url: Url,
    config: VerifyConfig,
}

impl Verify {
    pub(super) fn new(config: &VerifyConfig, network: &Network) -> Result<Self, String> {
        let pointer = &config.pointer;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("verify.pointer `{pointer}` must start with `/`"));
        }
        let url = network.checked(&config.url).map_err(|it| it.to_string())?;
        Ok(Self { url, config: config.clone() })
    }

    /// The request without its credentials.
    pub(super) fn request(&self, client: &Client) -> RequestBuilder {
        client.get(self.url.clone())
    }

    /// Reads once.
    pub(super) async fn read(
        &self,
        request: RequestBuilder,
        envelope: &Envelope,
    ) -> Result<String, SendError> {
        let (timeout, now) = (envelope.timeout, envelope.sent_at);
        let answer = exchange_up_to(DOCUMENT_CAP, request, &self.url, timeout, now).await?;
        let status = answer.status;
        let json = document(answer)?;
        let VerifyConfig { pointer, equals, .. } = &self.config;
        match json.pointer(pointer) {
            Some(value) if value == equals => Ok(format!("{pointer} reads {equals}")),
            Some(value) => {
                Err(unread(status, &format!("{pointer} reads {value}, wanted {equals}")))
            }
            None => Err(unread(status, &format!("the flag's answer has no {pointer}"))),
        }
    }
}
