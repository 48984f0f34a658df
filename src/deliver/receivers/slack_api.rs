//! Slack with a bot token: one root message per experiment and cycle, its transitions in the
//! thread.
//!
//! The first message of a cycle is the root. Every later one edits the root to the current state
//! and replies once in its thread; what is loud is shown in the channel as well. What was done is
//! kept step by step, so that an attempt which ended half-way does not repeat the reply. Success
//! is 200 *and* `ok: true`; the word in `error` says what a failure means.

pub mod buttons;

use std::sync::Arc;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::{Api, Calls, Credential};
use super::said::{Said, Tone, conversation};
use super::{Envelope, Receipt, Receiver, ReceiverKind, slack};
use crate::deliver::bucket::Rate;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, misconfigured, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Slack's words for a root that cannot be brought up to date.
const UNEDITABLE: [&str; 3] = ["message_not_found", "cant_update_message", "edit_window_closed"];

/// `[receivers.<name>.slack_api]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackApiConfig {
    /// A bot token (`xoxb-...`) with `chat:write`.
    pub token: SecretRef,
    /// Channel id (`C0...`), not its name: names change.
    pub channel: String,
    /// The app's signing secret: messages then carry buttons that work in the chat, and
    /// `POST /inbound/slack` takes what is pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretRef>,
    /// The API's address.
    #[serde(default = "api")]
    pub url: String,
}

fn api() -> String {
    "https://slack.com/api".to_owned()
}

impl ReceiverKind for SlackApiConfig {
    fn render(&self, content: &Value) -> String {
        stored(&slack::body(content), content, self.signing_secret.is_some())
    }

    fn shrink(&self, content: &Value) -> String {
        stored(&slack::small(content), content, self.signing_secret.is_some())
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        if self.channel.is_empty() || self.channel.starts_with('#') {
            return Err("channel: write the channel's id (C0...), not its name".to_owned());
        }
        let credential = Credential::Bearer(self.token.clone());
        Ok(Arc::new(SlackApi {
            api: Api::new(network, &self.url, credential, Vec::new())?,
            channel: self.channel.clone(),
        }))
    }

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(conversation(content))
    }

    fn rates(&self) -> Vec<Rate> {
        vec![Rate::new(1, 1_000, 1)]
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["url", "token", "channel"]
    }

    fn is_chat(&self) -> bool {
        true
    }
}

/// A message with what its sending needs to know beside it.
fn stored(body: &str, content: &Value, has_buttons: bool) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    body["broadcast"] = (Said::of(content).tone == Tone::Bad).into();
    if has_buttons {
        buttons::put(&mut body);
    }
    body.to_string()
}

/// What is kept of a conversation.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Thread {
    /// The root's instant, Slack's id of a message.
    ts: String,
    /// The channel's id as Slack answered it.
    channel: String,
    /// The newest message that was replied.
    replied: Option<String>,
}

#[derive(Debug)]
struct SlackApi {
    api: Api,
    channel: String,
}

impl SlackApi {
    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let calls = self.api.calls(envelope);
        let mut body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let is_loud = body["broadcast"] == true;
        if let Some(body) = body.as_object_mut() {
            body.remove("broadcast");
        }
        let known: Option<Thread> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        let Some(mut thread) = known else {
            return self.begin(&calls, envelope, body).await;
        };
        if thread.replied.as_deref() != Some(envelope.id.as_str()) {
            let mut reply = body.clone();
            reply["channel"] = thread.channel.as_str().into();
            reply["thread_ts"] = thread.ts.as_str().into();
            reply["reply_broadcast"] = is_loud.into();
            match said(&calls, "chat.postMessage", &reply).await {
                // Somebody deleted the thread: it is begun anew.
                Err(SendError { class: ErrorClass::NotAccepted, detail, .. })
                    if detail.contains("thread_not_found") =>
                {
                    return self.begin(&calls, envelope, body).await;
                }
                other => drop(other?),
            }
            thread.replied = Some(envelope.id.clone());
            envelope.conversation.keep(kept(&thread));
        }
        body["channel"] = thread.channel.as_str().into();
        body["ts"] = thread.ts.as_str().into();
        match said(&calls, "chat.update", &body).await {
            // The reply is there; a root that was deleted, or that may not be edited any more, is
            // not worth a second one.
            Err(SendError { class: ErrorClass::NotAccepted, detail, .. })
                if UNEDITABLE.iter().any(|word| detail.contains(word)) => {}
            other => drop(other?),
        }
        Ok(Receipt { status: 200, detail: format!("in the thread of {}", thread.ts) })
    }
}

impl SlackApi {
    /// Posts the root of a conversation.
    async fn begin(
        &self,
        calls: &Calls<'_>,
        envelope: &Envelope,
        mut body: Value,
    ) -> Result<Receipt, SendError> {
        body["channel"] = self.channel.as_str().into();
        let made = said(calls, "chat.postMessage", &body).await?;
        let part = |key: &str| made[key].as_str().filter(|part| !part.is_empty());
        let (Some(ts), Some(channel)) = (part("ts"), part("channel")) else {
            return Err(SendError {
                then: Then::Retry { after: None },
                class: ErrorClass::NotAccepted,
                status: Some(200),
                detail: "the answer names no message".to_owned(),
            });
        };
        let thread = Thread { ts: ts.to_owned(), channel: channel.to_owned(), replied: None };
        envelope.conversation.keep(kept(&thread));
        Ok(Receipt { status: 200, detail: format!("root {ts}") })
    }
}

fn kept(thread: &Thread) -> Value {
    serde_json::to_value(thread).unwrap_or_default()
}

async fn said(calls: &Calls<'_>, method: &str, body: &Value) -> Result<Value, SendError> {
    judged(calls.call(Method::POST, &[method], &[], Some(body)).await?)
}

/// `ok: true`, or what Slack's word means.
fn judged(answer: Answer) -> Result<Value, SendError> {
    if answer.status == 429 {
        let then = Then::Retry { after: answer.retry_after };
        return Err(said_by(&answer, then, ErrorClass::RateLimited));
    }
    if let Some(error) = answer.failure() {
        return Err(error);
    }
    let text = answer.body.as_ref().map_err(Clone::clone)?;
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    if value["ok"] == true {
        return Ok(value);
    }
    let again = Then::Retry { after: answer.retry_after };
    let (then, class) = match value["error"].as_str().unwrap_or_default() {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            (again, ErrorClass::RateLimited)
        }
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "" => (again, ErrorClass::ServerError),
        "msg_too_long" | "msg_blocks_too_long" => (Then::Shrink, ErrorClass::TooLarge),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive"
        | "missing_scope" | "restricted_action" | "no_permission" => {
            (Then::Permanent, ErrorClass::AuthError)
        }
        _ => (Then::Permanent, ErrorClass::NotAccepted),
    };
    Err(said_by(&answer, then, class))
}

impl Receiver for SlackApi {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }
}
