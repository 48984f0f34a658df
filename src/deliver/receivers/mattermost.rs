//! Mattermost incoming webhooks: one attachment in the Slack-like form, CommonMark escaped.
//!
//! Success is 200 and no page of somebody in between. Mattermost turns `@channel`, `@here`, `@all`
//! and `@name` into mentions and has no switch against that in hooks, so an `@` in user text is
//! followed by a zero-width space.
//! Limit: 16,383 characters a post (Mattermost's server configuration).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hook::Hook;
use super::said::{Said, Tone, fitted};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::{markdown_text, quiet_text};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::said_by;
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Below the limit of a post, which counts what is shown and not the JSON around it.
const MAX_CHARS: usize = 16_000;

/// `[receivers.<name>.mattermost]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MattermostConfig {
    /// The hook's URL: it is the credential, so it is a secret.
    pub url: SecretRef,
}

impl ReceiverKind for MattermostConfig {
    fn render(&self, content: &Value) -> String {
        body(content)
    }

    fn shrink(&self, content: &Value) -> String {
        post(&Said::of(content).smallest()).to_string()
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(Mattermost(Hook::new(network, &self.url)?)))
    }

    fn rates(&self) -> Vec<Rate> {
        // A server that limits (it is a setting) takes 10 a second and 100 at once.
        vec![Rate::new(5, 1_000, 10)]
    }

    fn is_chat(&self) -> bool {
        true
    }
}

/// The message as Mattermost takes it.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let render = |said: &Said| post(said).to_string();
    fitted(content, render, |text| text.chars().count() <= MAX_CHARS)
}

fn post(said: &Said) -> Value {
    let clip = |text: &str, max: usize| markdown_text(text, max);
    // Titles, fallback and footer are no Markdown: an escape would be shown.
    let fields: Vec<_> = said
        .facts
        .iter()
        .map(|fact| {
            let (name, value) = (quiet_text(&fact.name, 200), clip(&fact.text, 400));
            json!({"short": false, "title": name, "value": value})
        })
        .collect();
    let next = said.next_lines(|line| clip(line, 300));
    let links = said.links.iter().map(|(label, url)| format!("[{label}]({url})"));
    let links = links.collect::<Vec<_>>().join(" · ");
    let text: Vec<_> = std::iter::once(clip(&said.reason, 2_000))
        .chain(next)
        .chain(std::iter::once(links))
        .filter(|part| !part.is_empty())
        .collect();
    let attachment = json!({
        "fallback": quiet_text(&said.headline, 300),
        "color": color(said.tone),
        "title": clip(&said.headline, 300),
        "text": text.join("\n\n"),
        "fields": fields,
        "footer": quiet_text(&said.foot, 290),
    });
    let mut post = json!({"attachments": [attachment]});
    // What stands in the post's side pane: the words again, for reading at leisure.
    if !said.reason.is_empty() {
        post["props"] = json!({"card": text.join("\n\n")});
    }
    if said.tone == Tone::Bad {
        post["priority"] = json!({"priority": "urgent", "requested_ack": true});
    }
    post
}

fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "#2e7d32",
        Tone::Calm => "#546e7a",
        Tone::Warning => "#b26a00",
        Tone::Bad => "#c62828",
    }
}

#[derive(Debug)]
struct Mattermost(Hook);

impl Mattermost {
    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let answer = self.0.post(envelope, &[]).await?;
        let text = answer.body.as_deref().unwrap_or_default();
        if answer.status == 400 && text.contains("text.length") {
            return Err(said_by(&answer, Then::Shrink, ErrorClass::TooLarge));
        }
        match answer.failure() {
            Some(error) => Err(error),
            None if answer.is_page() => {
                Err(said_by(&answer, Then::Retry { after: None }, ErrorClass::NotAccepted))
            }
            None => Ok(Receipt { status: answer.status, detail: answer.detail() }),
        }
    }
}

impl Receiver for Mattermost {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }
}
