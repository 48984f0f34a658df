//! Slack incoming webhooks: a message that is understood in its first line.
//!
//! Line one is state, name and one number against its rule; then because, at most five signals,
//! what happens next, buttons. Text of users stands only in `plain_text` objects and escaped, so
//! that it can make no mention, link or markup. Success is 200 *and* the word `ok`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hook::Hook;
use super::said::{Fact, Said, fitted};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::slack_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Slack refuses messages somewhat above this.
const MAX_CHARS: usize = 10_000;

/// A section takes 3,000.
const MAX_NEXT: usize = 2_800;

/// `[receivers.<name>.slack]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// The incoming webhook's URL: it is the credential, so it is a secret.
    pub url: SecretRef,
}

impl ReceiverKind for SlackConfig {
    fn render(&self, content: &Value) -> String {
        body(content)
    }

    fn shrink(&self, content: &Value) -> String {
        small(content)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        Ok(Arc::new(Slack(Hook::new(network, &self.url)?)))
    }

    fn rates(&self) -> Vec<Rate> {
        vec![Rate::new(1, 1_000, 1)]
    }

    fn is_chat(&self) -> bool {
        true
    }
}

/// The message as Slack takes it, from the generic one.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let render = |said: &Said| (message(said).to_string(), said.is_list() && is_cut(said));
    let fits = |(text, is_cut): &(String, bool)| !is_cut && text.chars().count() <= MAX_CHARS;
    fitted(content, render, fits).0
}

fn next_text(said: &Said) -> String {
    said.next_lines(str::to_owned).join("\n")
}

/// Whether the section of what happens next loses its end.
fn is_cut(said: &Said) -> bool {
    let whole = next_text(said);
    slack_text(&whole, MAX_NEXT, true) != slack_text(&whole, usize::MAX, true)
}

fn message(said: &Said) -> Value {
    let mut blocks = vec![json!({"type": "header", "text": plain(&said.headline, 150, false)})];
    if !said.reason.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&said.reason, 2_500, false)}));
    }
    let field = |fact: &Fact| plain(&format!("{}\n{}", fact.name, fact.text), 500, true);
    if !said.facts.is_empty() {
        let fields: Vec<_> = said.facts.iter().map(field).collect();
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if !said.next.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&next_text(said), MAX_NEXT, true)}));
    }
    let buttons: Vec<_> = said.links.iter().map(button).collect();
    if !buttons.is_empty() {
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    if !said.foot.is_empty() {
        blocks.push(json!({"type": "context", "elements": [plain(&said.foot, 300, false)]}));
    }
    json!({
        "text": slack_text(&said.headline, 300, false),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// Text that Slack shows as it is: no markup, no mention, no link, no emoji name.
fn plain(text: &str, max: usize, lines: bool) -> Value {
    json!({"type": "plain_text", "text": slack_text(text, max, lines), "emoji": false})
}

fn button((label, url): &(&'static str, String)) -> Value {
    let id = label.to_lowercase().replace(' ', "_");
    json!({
        "type": "button",
        "action_id": id,
        "text": {"type": "plain_text", "text": label, "emoji": false},
        "url": url,
    })
}

/// A Slack receiver ready to send.
#[derive(Debug)]
struct Slack(Hook);

impl Slack {
    async fn post(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        judged(self.0.post(envelope, &[]).await?)
    }
}

impl Receiver for Slack {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.post(envelope))
    }
}

/// The headline and links, for a message that was too large.
pub(super) fn small(content: &Value) -> String {
    message(&Said::of(content).smallest()).to_string()
}

/// What Slack's answer means: its words count as much as its status.
fn judged(answer: Answer) -> Result<Receipt, SendError> {
    if let (200, Err(error)) = (answer.status, &answer.body) {
        return Err(error.clone());
    }
    let word = answer.body.as_deref().unwrap_or_default().trim();
    if answer.status == 200 && word == "ok" {
        return Ok(Receipt { status: 200, detail: "ok".to_owned() });
    }
    if matches!(word, "msg_too_long" | "msg_blocks_too_long" | "text_too_long") {
        return Err(said_by(&answer, Then::Shrink, ErrorClass::TooLarge));
    }
    if answer.status == 429 {
        let after = answer.retry_after.or_else(|| answer.retry_after_in_json());
        return Err(said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited));
    }
    if let Some(error) = answer.failure() {
        return Err(error);
    }
    // Slack's refusals are single words; anything else is somebody in between.
    let is_word = word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let is_refusal = is_word && !matches!(word, "" | "ok") && word.len() <= 64;
    let then = if is_refusal { Then::Permanent } else { Then::Retry { after: None } };
    Err(said_by(&answer, then, ErrorClass::NotAccepted))
}
