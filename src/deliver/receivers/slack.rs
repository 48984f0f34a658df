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
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::slack_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Slack refuses messages somewhat above this.
const MAX_CHARS: usize = 10_000;
const MAX_SIGNALS: usize = 5;

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

/// Room for each part at one step of degradation, in characters after escaping.
#[derive(Debug, Clone, Copy)]
struct Room {
    reason: usize,
    next: usize,
    field: usize,
}

const STEPS: [Room; 3] = [
    Room { reason: 2_500, next: 1_200, field: 500 },
    Room { reason: 1_000, next: 500, field: 200 },
    Room { reason: 300, next: 150, field: 0 },
];

/// The message as Slack takes it, from the generic one.
pub(in crate::deliver) fn body(content: &Value) -> String {
    let mut text = String::new();
    for room in STEPS {
        text = message(content, room).to_string();
        if text.chars().count() <= MAX_CHARS {
            break;
        }
    }
    text
}

fn message(content: &Value, room: Room) -> Value {
    let data = &content["data"];
    let headline = data["headline"].as_str().unwrap_or("verdictd");
    let mut blocks = vec![json!({"type": "header", "text": plain(headline, 150, false)})];
    if let Some(reason) = data["reason"].as_str().filter(|reason| !reason.trim().is_empty()) {
        blocks.push(json!({"type": "section", "text": plain(reason, room.reason, false)}));
    }
    let fields = signal_fields(data, room.field);
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let next = next_lines(data);
    if !next.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&next, room.next, true)}));
    }
    let buttons = buttons(data);
    if !buttons.is_empty() {
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    blocks.push(json!({"type": "context", "elements": [plain(&context(content), 300, false)]}));
    json!({
        "text": slack_text(headline, 300, false),
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

/// The signals that matter most, each with its numbers; what is broken comes first.
fn signal_fields(data: &Value, room: usize) -> Vec<Value> {
    if room == 0 {
        return Vec::new();
    }
    let field = |item: &Value, word: &str| {
        let part = |key: &str| item[key].as_str().unwrap_or_default().replace('_', " ");
        let (name, state) = (part("name"), part("state"));
        let text = item["text"].as_str().unwrap_or_default();
        plain(&format!("{name} ({word}): {state}\n{text}"), room, true)
    };
    let list = |key: &str| data[key].as_array().cloned().unwrap_or_default();
    let broken = list("guardrails").into_iter().filter(|it| it["state"] != "ok");
    let mut shown: Vec<_> = broken.take(2).map(|it| field(&it, "guardrail")).collect();
    let signals = list("signals");
    for role in ["outcome", "proxy", "leading", "guardrail"] {
        let of_role = signals.iter().filter(|it| it["role"] == role);
        shown.extend(of_role.map(|it| field(it, role)));
    }
    shown.truncate(MAX_SIGNALS);
    shown
}

fn next_lines(data: &Value) -> String {
    let lines = data["next"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.map(|line| format!("→ {line}")).collect::<Vec<_>>().join("\n")
}

fn buttons(data: &Value) -> Vec<Value> {
    let labels = [
        ("experiment", "Open experiment"),
        ("log", "Decision log"),
        ("rollback_plan", "Rollback plan"),
    ];
    let button = |(key, label): (&str, &str)| {
        let url = data["links"][key].as_str()?;
        Some(json!({
            "type": "button",
            "action_id": format!("open_{key}"),
            "text": {"type": "plain_text", "text": label, "emoji": false},
            "url": url,
        }))
    };
    labels.into_iter().filter_map(button).collect()
}

/// The small line at the foot: what, whose, when.
fn context(content: &Value) -> String {
    let data = &content["data"];
    let parts = [
        content["type"].as_str(),
        data["experiment"]["name"].as_str(),
        data["experiment"]["owner"].as_str(),
        content["timestamp"].as_str(),
    ];
    let known: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    known.join(" · ")
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

    fn shrink(&self, content: &Value) -> String {
        small(content)
    }
}

/// The headline alone, for a message that was too large.
pub(super) fn small(content: &Value) -> String {
    let headline = content["data"]["headline"].as_str().unwrap_or("verdictd");
    let text = slack_text(headline, 300, false);
    let blocks = [json!({"type": "header", "text": plain(headline, 150, false)})];
    json!({"text": text, "mrkdwn": false, "blocks": blocks}).to_string()
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
    let refused = word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let then =
        if refused && !word.is_empty() { Then::Permanent } else { Then::Retry { after: None } };
    Err(said_by(&answer, then, ErrorClass::NotAccepted))
}
