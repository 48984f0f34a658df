//! PagerDuty Events API v2: one incident per experiment and subject, opened and closed by us.
//!
//! `dedup_key` is the same for everything about one subject, so a trip opens one incident and
//! its all-clear closes it, however often either is sent. What is neither loud nor an all-clear
//! becomes an event of severity `info`. Success is 202. Limits (PagerDuty's documentation):
//! summary 1,024, dedup_key 255 characters, 512 kB an event.

use std::sync::Arc;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::said::{Said, Tone, incident, resolves};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::json_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, exchange, misconfigured, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
/// Stands in the stored body; the key itself is put in when the message is sent.
const KEY: &str = "routing_key";

/// `[receivers.<name>.pagerduty]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyConfig {
    /// The integration's routing key.
    pub routing_key: SecretRef,
    /// Where events are posted, for the EU region or a proxy.
    #[serde(default = "events")]
    pub url: String,
}

fn events() -> String {
    EVENTS.to_owned()
}

impl ReceiverKind for PagerDutyConfig {
    fn render(&self, content: &Value) -> String {
        body(content)
    }

    fn shrink(&self, content: &Value) -> String {
        let mut event: Value = serde_json::from_str(&body(content)).unwrap_or_default();
        event["payload"]["custom_details"] = json!({});
        event.to_string()
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(PagerDuty {
            client: network.client()?,
            url: network.checked(&self.url).map_err(|it| it.to_string())?,
            routing_key: self.routing_key.clone(),
        }))
    }

    fn rates(&self) -> Vec<Rate> {
        // 120 events in a minute for one integration, the burst included.
        vec![Rate::new(80, 60_000, 20)]
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["url", "routing_key"]
    }
}

/// What an event does to its incident.
fn action(kind: &str) -> &'static str {
    match kind {
        kind if resolves(kind) => "resolve",
        kind if kind.ends_with(".acknowledged") => "acknowledge",
        _ => "trigger",
    }
}

/// The event without its routing key.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let said = Said::of(content);
    let severity = match said.tone {
        Tone::Bad => "critical",
        Tone::Warning => "warning",
        Tone::Good | Tone::Calm => "info",
    };
    let clip = |text: &str, max: usize| json_text(text, max);
    let data = &content["data"];
    let facts = said.facts.iter().map(|fact| (clip(&fact.name, 200), clip(&fact.text, 400).into()));
    let mut details: serde_json::Map<String, Value> = facts.collect();
    details.insert("because".to_owned(), clip(&said.reason, 2_000).into());
    details.insert("next".to_owned(), said.next.iter().map(|line| clip(line, 300)).collect());
    let links: Vec<_> =
        said.links.iter().map(|(label, url)| json!({"href": url, "text": label})).collect();
    let source = data["experiment"]["id"].as_str().filter(|id| !id.is_empty());
    let mut event = json!({
        "event_action": action(&said.kind),
        "dedup_key": incident(content),
        "payload": {
            "summary": clip(&said.headline, 1_000),
            "source": clip(source.unwrap_or("verdictd"), 200),
            "severity": severity,
            "timestamp": said.at,
            "group": "verdictd",
            "class": said.kind,
            "custom_details": details,
        },
        "client": "verdictd",
        "links": links,
    });
    // What is not there is left out: nothing says that a null is taken.
    if let Some(subject) = data["subject"].as_str().filter(|subject| !subject.is_empty()) {
        event["payload"]["component"] = clip(subject, 200).into();
    }
    if let Some((_, url)) = said.links.first() {
        event["client_url"] = url.as_str().into();
    }
    event.to_string()
}

#[derive(Debug)]
struct PagerDuty {
    client: Client,
    url: Url,
    routing_key: SecretRef,
}

impl PagerDuty {
    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let mut event: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let key = self.routing_key.read().map_err(misconfigured)?;
        event[KEY] = key.expose().trim().into();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(event.to_string());
        judged(exchange(request, &self.url, envelope.timeout, envelope.sent_at).await?)
    }
}

impl Receiver for PagerDuty {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }
}

/// Only 202 is success; 400 will never be taken.
fn judged(answer: Answer) -> Result<Receipt, SendError> {
    match (answer.failure(), answer.status) {
        (Some(error), _) => Err(error),
        (None, 202) => Ok(Receipt { status: 202, detail: answer.detail() }),
        (None, _) => Err(said_by(&answer, Then::Retry { after: None }, ErrorClass::NotAccepted)),
    }
}
