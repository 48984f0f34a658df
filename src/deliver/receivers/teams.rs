//! Microsoft Teams through a Workflow ("when a webhook request is received"): an Adaptive Card.
//!
//! A 202 says that the flow was started, not that the card was shown: nothing more can be known
//! from outside, and the attempt's words say so. Old connectors answer 200 with a text that may
//! be a failure; that text is read. Text blocks take a subset of Markdown, so user text is
//! escaped. Teams refuses messages near 28 kB after adding its own properties: 20,000 bytes here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hook::Hook;
use super::said::{Said, Tone, fitted};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::markdown_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

const MAX_BYTES: usize = 20_000;

/// `[receivers.<name>.teams]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamsConfig {
    /// The flow's URL: it is the credential, so it is a secret.
    pub url: SecretRef,
}

impl ReceiverKind for TeamsConfig {
    fn render(&self, content: &Value) -> String {
        body(content)
    }

    fn shrink(&self, content: &Value) -> String {
        card(&Said::of(content).smallest()).to_string()
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(Teams(Hook::new(network, &self.url)?)))
    }

    fn rates(&self) -> Vec<Rate> {
        // Connectors throttle above four in a second; of workflows nothing is documented.
        vec![Rate::new(1, 1_000, 2)]
    }

    fn is_chat(&self) -> bool {
        true
    }
}

/// The message as a Workflow takes it.
pub(in crate::deliver) fn body(content: &Value) -> String {
    fitted(content, |said| card(said).to_string(), |text| text.len() <= MAX_BYTES)
}

fn card(said: &Said) -> Value {
    let block = |text: String, more: Value| {
        let mut block = json!({"type": "TextBlock", "text": text, "wrap": true});
        if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
            block.extend(more);
        }
        block
    };
    let clip = |text: &str, max: usize| markdown_text(text, max);
    let mut body = vec![block(
        clip(&said.headline, 300),
        json!({"size": "Medium", "weight": "Bolder", "color": color(said.tone)}),
    )];
    if !said.reason.is_empty() {
        body.push(block(clip(&said.reason, 2_000), json!({})));
    }
    if !said.facts.is_empty() {
        let facts = said
            .facts
            .iter()
            .map(|fact| json!({"title": clip(&fact.name, 200), "value": clip(&fact.text, 400)}));
        body.push(json!({"type": "FactSet", "facts": facts.collect::<Vec<_>>()}));
    }
    let next = said.next_lines(|line| clip(line, 300));
    body.extend(next.into_iter().map(|line| block(line, json!({}))));
    body.push(block(clip(&said.foot, 300), json!({"size": "Small", "isSubtle": true})));
    let actions: Vec<_> = said
        .links
        .iter()
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        .collect();
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "msteams": {"width": "full"},
        "body": body,
    });
    if !actions.is_empty() {
        content["actions"] = actions.into();
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": content,
        }],
    })
}

fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "Good",
        Tone::Calm => "Default",
        Tone::Warning => "Warning",
        Tone::Bad => "Attention",
    }
}

#[derive(Debug)]
struct Teams(Hook);

impl Teams {
    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        judged(self.0.post(envelope, &[]).await?)
    }
}

impl Receiver for Teams {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }
}

/// What Teams' answer means: a connector's 200 can carry a failure in its text.
fn judged(answer: Answer) -> Result<Receipt, SendError> {
    if let Some(error) = answer.failure() {
        return Err(error);
    }
    let text = answer.body.as_deref().unwrap_or_default();
    if answer.is_page() {
        return Err(said_by(&answer, Then::Retry { after: None }, ErrorClass::NotAccepted));
    }
    let is_refusal = ["is required", "Bad payload received", "Webhook Bad Request"]
        .iter()
        .any(|words| text.contains(words));
    let is_failure =
        ["Webhook message delivery failed", "HTTP error"].iter().any(|words| text.contains(words));
    if is_failure || is_refusal {
        let error = |code: &str| text.contains(&format!("HTTP error {code}"));
        let (then, class) = if error("429") {
            (Then::Retry { after: answer.retry_after }, ErrorClass::RateLimited)
        } else if error("413") {
            (Then::Shrink, ErrorClass::TooLarge)
        } else if error("4") || is_refusal {
            (Then::Permanent, ErrorClass::NotAccepted)
        } else {
            (Then::Retry { after: None }, ErrorClass::NotAccepted)
        };
        return Err(said_by(&answer, then, class));
    }
    let detail = match answer.status {
        202 => {
            "delivered_unconfirmed: taken by the flow; whether the card was shown cannot be known"
                .to_owned()
        }
        _ => answer.detail(),
    };
    Ok(Receipt { status: answer.status, detail })
}
