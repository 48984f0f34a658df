//! Discord webhooks: one embed, no mention ever.
//!
//! `allowed_mentions.parse` is empty in every message, so no text can ping anybody; Markdown in
//! user text is escaped. With `wait=true` Discord answers 200 and the message; without it 204.
//! A 429 says in its body how long to wait, in fractions of a second. Limits (Discord's
//! developer documentation): title 256, description 4,096, field name 256, field value 1,024,
//! footer 2,048, 6,000 characters in all.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hook::Hook;
use super::said::{Said, Tone};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::markdown_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// `[receivers.<name>.discord]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The webhook's URL: it is the credential, so it is a secret.
    pub url: SecretRef,
}

impl ReceiverKind for DiscordConfig {
    fn render(&self, content: &Value) -> String {
        body(content)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(Discord(Hook::new(network, &self.url)?)))
    }

    fn rates(&self) -> Vec<Rate> {
        // 5 per 2 s: what is sent at once and what follows within 2 s stay below it.
        vec![Rate::new(3, 2_000, 2)]
    }

    fn is_chat(&self) -> bool {
        true
    }
}

/// The message as Discord takes it.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let said = Said::of(content);
    let clip = |text: &str, max: usize| markdown_text(text, max);
    let fields: Vec<_> = said
        .facts
        .iter()
        .filter(|fact| !fact.text.is_empty())
        .map(|fact| json!({"name": clip(&fact.name, 200), "value": clip(&fact.text, 400)}))
        .collect();
    let next: Vec<_> = said.next.iter().map(|line| format!("→ {}", clip(line, 300))).collect();
    let links: Vec<_> = said.links.iter().map(|(label, url)| format!("[{label}]({url})")).collect();
    let parts = [clip(&said.reason, 1_500), next.join("\n"), links.join(" · ")];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut embed = json!({
        "title": clip(&said.headline, 250),
        "description": parts.join("\n"),
        "color": color(said.tone),
        "fields": fields,
        "footer": {"text": clip(&said.foot, 300)},
    });
    if embed["description"].as_str().unwrap_or_default().chars().count() > 4_000 {
        embed["description"] = clip(&said.reason, 1_500).into();
    }
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}}).to_string()
}

fn color(tone: Tone) -> u32 {
    match tone {
        Tone::Good => 0x002e_7d32,
        Tone::Calm => 0x0054_6e7a,
        Tone::Warning => 0x00b2_6a00,
        Tone::Bad => 0x00c6_2828,
    }
}

#[derive(Debug)]
struct Discord(Hook);

impl Discord {
    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        judged(self.0.post(envelope, &[("wait", "true")]).await?)
    }
}

impl Receiver for Discord {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }

    fn shrink(&self, content: &Value) -> String {
        let headline = markdown_text(&Said::of(content).headline, 250);
        json!({"content": headline, "allowed_mentions": {"parse": []}}).to_string()
    }
}

/// 2xx is success; a webhook that is gone (404, code 10015) disables; 429 waits as its body says.
fn judged(answer: Answer) -> Result<Receipt, SendError> {
    match answer.status {
        404 => Err(said_by(&answer, Then::Disable, ErrorClass::Gone)),
        429 => {
            let after = answer.retry_after_in_json().or(answer.retry_after);
            Err(said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited))
        }
        _ => match answer.failure() {
            Some(error) => Err(error),
            None => Ok(Receipt { status: answer.status, detail: answer.detail() }),
        },
    }
}
