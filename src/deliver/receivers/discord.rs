//! Discord webhooks: one embed, no mention ever.
//!
//! `allowed_mentions.parse` is empty in every message, so no text can ping anybody; Markdown in
//! user text is escaped. With `wait=true` Discord answers 200 and the message; without it 204.
//! What is over (and everything else that is not loud) edits the message about the same thing and
//! says so once in a line. A 429 says in its body how long to wait, in fractions of a second.
//! Limits (Discord's developer documentation): title 256, description 4,096, field name 256, field
//! value 1,024, footer 2,048, 6,000 characters in all.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::hook::Hook;
use super::said::{Said, Tone, fitted, topic};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::{markdown_text, quiet_text};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, misconfigured, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Characters of a description and of a whole embed, below Discord's limits.
const MAX_DESCRIPTION: usize = 4_000;
const MAX_EMBED: usize = 5_800;
/// Discord's code for a message that is not there.
const UNKNOWN_MESSAGE: &str = "10008";
/// No request is begun with less than this.
const LEAST: Duration = Duration::from_millis(1);

/// `[receivers.<name>.discord]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The webhook's URL: it is the credential, so it is a secret.
    pub url: SecretRef,
}

impl ReceiverKind for DiscordConfig {
    fn render(&self, content: &Value) -> String {
        stored(&body(content), content)
    }

    fn shrink(&self, content: &Value) -> String {
        stored(&message(&Said::of(content).smallest()).to_string(), content)
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

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(topic(content))
    }
}

/// A message with what its sending needs to know beside it.
fn stored(body: &str, content: &Value) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    let said = Said::of(content);
    body["reply"] = markdown_text(&said.headline, 300).into();
    body["loud"] = (said.tone == Tone::Bad).into();
    body.to_string()
}

/// The message as Discord takes it.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let fits = |message: &Value| {
        let embed = &message["embeds"][0];
        let chars = |text: &Value| text.as_str().unwrap_or_default().encode_utf16().count();
        let fields = embed["fields"].as_array().into_iter().flatten();
        let fields: usize =
            fields.map(|field| chars(&field["name"]) + chars(&field["value"])).sum();
        let description = chars(&embed["description"]);
        let whole = chars(&embed["title"]) + description + fields + chars(&embed["footer"]["text"]);
        description <= MAX_DESCRIPTION && whole <= MAX_EMBED
    };
    fitted(content, message, fits).to_string()
}

fn message(said: &Said) -> Value {
    let clip = |text: &str, max: usize| markdown_text(text, max);
    let fields: Vec<_> = said
        .facts
        .iter()
        .filter(|fact| !fact.text.is_empty())
        .map(|fact| json!({"name": clip(&fact.name, 200), "value": clip(&fact.text, 400)}))
        .collect();
    let next = said.next_lines(|line| clip(line, 300));
    let links: Vec<_> = said.links.iter().map(|(label, url)| format!("[{label}]({url})")).collect();
    let parts = [clip(&said.reason, 1_500), next.join("\n"), links.join(" · ")];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut embed = json!({
        "title": clip(&said.headline, 250),
        "color": color(said.tone),
        "fields": fields,
        // A footer is no Markdown: an escape would be shown.
        "footer": {"text": quiet_text(&said.foot, 300)},
    });
    if !parts.is_empty() {
        embed["description"] = parts.join("\n").into();
    }
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
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

/// What is kept of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Root {
    /// The message that shows the current state.
    id: String,
    /// The newest message that was replied.
    replied: Option<String>,
}

impl Discord {
    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let mut body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let mut part = |key: &str| body.as_object_mut().and_then(|it| it.remove(key));
        let (reply, is_loud) =
            (part("reply").unwrap_or_default(), part("loud") == Some(true.into()));
        let known: Option<Root> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        match known {
            // What is loud must be seen: it is a message of its own, and the new root.
            Some(root) if !is_loud => self.change(envelope, root, &body, &reply).await,
            _ => self.begin(envelope, &body).await,
        }
    }

    async fn begin(&self, envelope: &Envelope, body: &Value) -> Result<Receipt, SendError> {
        let (post, text) = (Method::POST, body.to_string());
        let wait = [("wait", "true")];
        let answer = self.0.send(post, &[], &wait, text, envelope, envelope.timeout).await?;
        let made = answer.body.clone().unwrap_or_default();
        let receipt = judged(answer)?;
        let made: Value = serde_json::from_str(&made).unwrap_or_default();
        if let Some(id) = made["id"].as_str() {
            envelope.conversation.keep(json!({"id": id, "replied": null}));
        }
        Ok(receipt)
    }

    /// Says it once in a line and edits the root to the current state.
    async fn change(
        &self,
        envelope: &Envelope,
        mut root: Root,
        body: &Value,
        reply: &Value,
    ) -> Result<Receipt, SendError> {
        let deadline = Instant::now() + envelope.timeout;
        let left = || deadline.saturating_duration_since(Instant::now()).max(LEAST);
        if root.replied.as_deref() != Some(envelope.id.as_str()) {
            let text = json!({"content": reply, "allowed_mentions": {"parse": []}}).to_string();
            let wait = [("wait", "true")];
            judged(self.0.send(Method::POST, &[], &wait, text, envelope, left()).await?)?;
            root.replied = Some(envelope.id.clone());
            envelope.conversation.keep(serde_json::to_value(&root).unwrap_or_default());
        }
        let below = ["messages", root.id.as_str()];
        let text = body.to_string();
        let answer = self.0.send(Method::PATCH, &below, &[], text, envelope, left()).await?;
        // The line is there; a root that somebody deleted is not worth a second one.
        let is_deleted = answer.status == 404
            && answer.body.as_deref().is_ok_and(|text| text.contains(UNKNOWN_MESSAGE));
        if !is_deleted {
            judged(answer)?;
        }
        Ok(Receipt { status: 200, detail: format!("edited message {}", root.id) })
    }
}

impl Receiver for Discord {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
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
            None if answer.is_page() => {
                Err(said_by(&answer, Then::Retry { after: None }, ErrorClass::NotAccepted))
            }
            None => Ok(Receipt { status: answer.status, detail: answer.detail() }),
        },
    }
}
