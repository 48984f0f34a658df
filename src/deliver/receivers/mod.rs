//! Every kind of receiver: one file each, one line in the list below.
//!
//! A kind says how a message looks ([`ReceiverKind::render`], once, at enqueue) and how it is
//! sent and judged ([`Receiver`]). Kinds that keep a conversation (a root message and its
//! thread, one ticket per cycle) name its key and keep what they need to find it again in the
//! envelope's [`Conversation`]; the store holds it in the transaction of the attempt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use judge::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bucket::Rate;
use super::endpoint::{Endpoint, Flow, Network};
use super::known::{Discreet, Known};
use super::{BoxFuture, BuildError, SendError};

mod api;
pub mod discord;
pub mod email;
pub mod github;
pub mod grafana;
mod hook;
pub mod jira;
pub mod mattermost;
pub mod pagerduty;
mod said;
pub(in crate::deliver) use said::plain_url;
pub mod slack;
pub mod slack_api;
pub mod teams;
pub mod template;
pub mod webhook;

/// What one kind of receiver brings.
pub trait ReceiverKind {
    /// What is stored and sent, made once from the generic message.
    fn render(&self, content: &Value) -> String;

    /// A smaller body for a receiver that said "too large": everything that [`Self::render`] puts
    /// beside the words (labels, flags, keys), with the headline and the links alone.
    fn shrink(&self, content: &Value) -> String;

    /// What is wrong with the settings, so far as they can be judged without sending; all at once.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// A receiver ready to send.
    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String>;

    /// The conversation a message belongs to; messages of one conversation are never sent at the
    /// same time. `None`: every message stands alone.
    fn conversation(&self, _content: &Value) -> Option<String> {
        None
    }

    /// How much the other side takes, as its documentation says, with a margin; empty = as much
    /// as there is.
    fn rates(&self) -> Vec<Rate> {
        Vec::new()
    }

    /// The keys of the kind's settings that together name the place and the credential a limit is
    /// counted by; empty = each receiver is counted alone.
    fn limited_by(&self) -> &'static [&'static str] {
        &["url"]
    }

    /// Read by people as it arrives: an old message is worth less than none.
    fn is_chat(&self) -> bool {
        false
    }
}

/// Where messages go.
pub trait Receiver: Send + Sync + std::fmt::Debug {
    /// Sends one message once; the caller holds the deadline over the whole of it.
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>>;

    /// How many parts of a body could not be rendered and say something plainer.
    fn render_errors(&self, _body: &str) -> u64 {
        0
    }
}

/// One message on its way.
#[derive(Debug)]
pub struct Envelope {
    /// `webhook-id`: constant over retries.
    pub id: String,
    /// The bytes to send, the same at every attempt.
    pub body: String,
    /// Wall clock of this attempt: what is signed.
    pub sent_at: Timestamp,
    /// One deadline over connecting, sending, headers and body.
    pub timeout: Duration,
    /// A person asked for this attempt.
    pub is_manual: bool,
    /// What earlier messages of the same conversation left behind.
    pub conversation: Conversation,
}

/// The memory of one conversation: ids that the other side gave.
///
/// What a receiver [keeps](Conversation::keep) is stored with the attempt, whatever the attempt
/// came to: a ticket that was made is known even if its comment failed.
#[derive(Debug, Default)]
pub struct Conversation {
    /// An earlier attempt may have begun the conversation without our knowing its id: look for
    /// it on the other side before beginning another one.
    pub is_uncertain: bool,
    known: Mutex<Option<Value>>,
    is_changed: Mutex<bool>,
}

impl Conversation {
    /// What the store knows.
    pub fn new(known: Option<Value>, is_uncertain: bool) -> Self {
        Self { is_uncertain, known: Mutex::new(known), is_changed: Mutex::default() }
    }

    /// What is known of it now.
    pub fn known(&self) -> Option<Value> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps this in place of what was known.
    pub fn keep(&self, known: Value) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        *self.is_changed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// What this attempt learnt, if it learnt something.
    pub fn learnt(&self) -> Option<Value> {
        let is_changed = *self.is_changed.lock().unwrap_or_else(PoisonError::into_inner);
        is_changed.then(|| self.known()).flatten()
    }
}

/// The receiver took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status.
    pub status: u16,
    /// What it answered, cut to 2 KiB.
    pub detail: String,
}

/// Writes the enum of kinds and finds the kind behind a configuration.
macro_rules! receiver_kinds {
    ($($(#[$doc:meta])* $variant:ident($kind:ty),)*) => {
        /// A receiver as configured: `[receivers.<name>.<kind>]`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        #[allow(clippy::large_enum_variant, reason = "a handful of them, read once at start")]
        pub enum ReceiverConfig {
            $($(#[$doc])* $variant(Endpoint<$kind>),)*
        }

        impl ReceiverConfig {
            fn parts(&self) -> (&Network, &dyn ReceiverKind) {
                match self {
                    $(Self::$variant(endpoint) => (&endpoint.network, &endpoint.own),)*
                }
            }

            /// How much it is sent, and for how long.
            pub fn flow(&self) -> &Flow {
                match self {
                    $(Self::$variant(endpoint) => &endpoint.shared,)*
                }
            }
        }
    };
}

receiver_kinds! {
    /// Signed JSON to any URL (Standard Webhooks).
    Webhook(webhook::WebhookConfig),
    /// A Slack incoming webhook.
    Slack(slack::SlackConfig),
    /// Slack with a bot token: a root message per cycle and its thread.
    SlackApi(slack_api::SlackApiConfig),
    /// A Microsoft Teams workflow.
    Teams(teams::TeamsConfig),
    /// A Discord webhook.
    Discord(discord::DiscordConfig),
    /// A Mattermost incoming webhook.
    Mattermost(mattermost::MattermostConfig),
    /// Issues on GitHub, one per cycle.
    #[serde(rename = "github")]
    GitHub(github::GitHubConfig),
    /// Issues in Jira Cloud, one per cycle.
    Jira(jira::JiraConfig),
    /// PagerDuty Events v2.
    #[serde(rename = "pagerduty")]
    PagerDuty(pagerduty::PagerDutyConfig),
    /// Annotations in Grafana: a region per cycle.
    Grafana(grafana::GrafanaConfig),
    /// E-mail by SMTP, one thread per cycle.
    Email(email::EmailConfig),
    /// Any JSON API, by templates or a shipped preset.
    Template(template::TemplateConfig),
}

impl ReceiverConfig {
    /// The body of a message for this kind of receiver, from its generic content.
    pub fn render(&self, content: &Value) -> String {
        self.parts().1.render(content)
    }

    /// The smallest body that still says what happened and where to read more.
    pub fn shrink(&self, content: &Value) -> String {
        self.parts().1.shrink(content)
    }

    /// What is wrong with it, all at once; the daemon does not start with faults.
    pub fn faults(&self) -> Vec<String> {
        self.parts().1.faults()
    }

    /// The conversation a message belongs to, if the kind keeps one.
    pub fn conversation(&self, content: &Value) -> Option<String> {
        self.parts().1.conversation(content)
    }

    /// Whether its messages are read by people as they arrive.
    pub fn is_chat(&self) -> bool {
        self.parts().1.is_chat()
    }

    /// The limits of the place it writes to, and a digest of the place and the credential's
    /// reference that they are counted by. Receivers with the same digest share one bucket.
    pub(super) fn limits(&self, name: &str) -> Result<(String, Vec<Rate>), BuildError> {
        let kind = self.parts().1;
        let rates = match &self.flow().rate {
            None => kind.rates(),
            Some(rate) => vec![
                Rate::per_second(rate.per_sec, rate.burst)
                    .map_err(|cause| BuildError { name: name.to_owned(), cause })?,
            ],
        };
        let table = serde_json::to_value(self).unwrap_or_default();
        let own = table.as_object().and_then(|table| table.iter().next());
        let mut parts = vec!["destination".to_owned()];
        match own {
            Some((kind_name, keys)) if !kind.limited_by().is_empty() => {
                parts.push(kind_name.clone());
                parts.extend(kind.limited_by().iter().map(|key| keys[*key].to_string()));
            }
            _ => parts.push(name.to_owned()),
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok((judge::ids::hash128(&parts), rates))
    }

    /// A digest of everything that is configured, secrets by reference: another one means that
    /// somebody changed the receiver.
    pub(super) fn digest(&self) -> String {
        let table = serde_json::to_value(self).unwrap_or_default();
        judge::ids::hash128(&["receiver", &judge::record::canonical_json(&table)])
    }

    /// Makes the receiver; secrets are read when they are used, so rotation needs no restart.
    pub fn build(&self, name: &str) -> Result<Arc<dyn Receiver>, BuildError> {
        let (network, kind) = self.parts();
        let inner = kind.receiver(network);
        let inner = inner.map_err(|cause| BuildError { name: name.to_owned(), cause })?;
        Ok(Arc::new(Discreet { known: Known::of(self), inner }))
    }
}
