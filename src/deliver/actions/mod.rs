//! Every kind of rollback action: one file each, one line in the list below.
//!
//! An action asks for the flag to be turned off, then reads it back: a 2xx answer means
//! *accepted*, never *off*; only the flag's own word confirms. Asking is idempotent, so an
//! attempt repeated after a crash does no harm; nothing here ever turns a flag back on. One
//! attempt asks (unless an earlier one was accepted) and reads back once; the worker repeats it
//! on the ladder until it is confirmed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::{Arming, Endpoint, Network};
use super::receivers::Envelope;
use super::{BoxFuture, BuildError, ErrorClass, SendError};

pub mod webhook;

/// What one kind of action brings.
pub trait ActionKind {
    /// The bytes of the request, made once from the description of the trip.
    fn render(&self, description: &Value) -> String;

    /// An action ready to run.
    fn act(&self, network: &Network) -> Result<Arc<dyn Act>, String>;

    /// How soon an accepted request is read back again, in milliseconds.
    fn verify_interval_ms(&self) -> u64 {
        1_000
    }
}

/// The two halves of a rollback.
pub trait Act: Send + Sync + std::fmt::Debug {
    /// Asks for the rollback once; the status of the answer, if it has one.
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>>;

    /// Reads the flag back once: words that say that it is off, or why that is not known.
    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>>;

    /// What asking would do, for a dry run, without secrets: `POST to https://x/…`.
    fn intent(&self) -> String;
}

/// Writes the enum of kinds and finds the kind behind a configuration.
macro_rules! action_kinds {
    ($($(#[$doc:meta])* $variant:ident($kind:ty),)*) => {
        /// A rollback action as configured: `[actions.<name>.<kind>]`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub enum ActionConfig {
            $($(#[$doc])* $variant(Endpoint<$kind, Arming>),)*
        }

        impl ActionConfig {
            fn parts(&self) -> (&Network, &Arming, &dyn ActionKind) {
                match self {
                    $(Self::$variant(it) => (&it.network, &it.shared, &it.own),)*
                }
            }
        }
    };
}

action_kinds! {
    /// A request to a flag service, confirmed by reading the flag back.
    Webhook(webhook::WebhookActionConfig),
}

impl ActionConfig {
    /// The bytes of the request.
    pub fn render(&self, description: &Value) -> String {
        self.parts().2.render(description)
    }

    /// Whether and how it may act.
    pub fn arming(&self) -> &Arming {
        self.parts().1
    }

    /// How soon an accepted request is read back again, in milliseconds.
    pub(super) fn verify_interval_ms(&self) -> u64 {
        self.parts().2.verify_interval_ms()
    }
}

/// How far one attempt got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The flag reads as wanted.
    Confirmed,
    /// The request was taken; the flag does not read as wanted yet.
    Accepted,
    /// The request was not taken.
    Requested,
    /// Nothing was sent, and nothing will be.
    NotSent,
}

/// What one attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) reached: Reached,
    pub(super) status: Option<u16>,
    /// `ok`, or an error class.
    pub(super) class: &'static str,
    pub(super) detail: String,
}

/// A rollback action ready to run.
#[derive(Debug)]
pub(super) struct Action {
    arming: Arming,
    act: Arc<dyn Act>,
}

/// Makes an action, or says what is wrong with its configuration.
pub(super) fn build_action(name: &str, config: &ActionConfig) -> Result<Action, BuildError> {
    let (network, arming, kind) = config.parts();
    let act = kind.act(network).map_err(|cause| BuildError { name: name.to_owned(), cause })?;
    Ok(Action { arming: arming.clone(), act })
}

impl Action {
    /// Asks, unless `accepted` says that an earlier attempt was taken, and reads back once.
    pub(super) async fn attempt(&self, envelope: &Envelope, accepted: bool) -> Progress {
        if let Some(why) = self.not_sent() {
            return Progress {
                reached: Reached::NotSent,
                status: None,
                class: ErrorClass::NotArmed.as_str(),
                detail: why,
            };
        }
        let mut status = None;
        if !accepted {
            match self.act.ask(envelope).await {
                Ok(answered) => status = answered,
                Err(error) => return Progress::failed(Reached::Requested, None, &error),
            }
        }
        match self.act.read_back(envelope).await {
            Ok(detail) => Progress { reached: Reached::Confirmed, status, class: "ok", detail },
            Err(error) => Progress::failed(Reached::Accepted, status, &error),
        }
    }

    fn not_sent(&self) -> Option<String> {
        if !self.arming.armed {
            return Some("the action is not armed (`armed = true`): nothing was sent".to_owned());
        }
        let intent = || format!("dry run: would send {}; nothing was sent", self.act.intent());
        self.arming.dry_run.then(intent)
    }
}

impl Progress {
    /// Nothing could be done at all.
    pub(super) fn unknown(error: &SendError) -> Self {
        Self::failed(Reached::Requested, None, error)
    }

    fn failed(reached: Reached, status: Option<u16>, error: &SendError) -> Self {
        Self {
            reached,
            status: error.status.or(status),
            class: error.class.as_str(),
            detail: error.detail.clone(),
        }
    }
}
