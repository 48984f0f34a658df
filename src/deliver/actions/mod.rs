//! Every kind of rollback action: one file each, one line in the list below.
//!
//! An action asks for the flag to be turned off, then reads it back: a 2xx answer means
//! *accepted*, never *off*; only the flag's own word confirms. Asking is idempotent, so an
//! attempt repeated after a crash does no harm; nothing here ever turns a flag back on. One
//! attempt asks (unless an earlier one was accepted) and reads back once; the worker repeats it
//! on the ladder until it is confirmed. What waiting cannot mend (a refusal, an approval, a flag
//! that cannot be read) is told at once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::{Arming, Endpoint, Network};
use super::receivers::Envelope;
use super::{BoxFuture, ErrorClass, SendError, Then};
use crate::store::{DeliveryState, Store};

pub mod argo_rollouts;
mod attempt;
pub mod command;
pub mod configcat;
pub mod datadog;
mod findings;
pub mod flagd;
pub mod flipt;
pub mod growthbook;
pub mod launchdarkly;
pub mod launchdarkly_trigger;
mod limit;
mod probe;
mod service;
pub mod unleash;
pub mod verify;
pub mod webhook;

pub(super) use attempt::{Action, Progress, Reached, build_action};
pub use findings::{Finding, findings};
pub(super) use limit::over_limit;
pub use limit::used_today;
pub use probe::{Probe, fire, probe};

/// Where an action is built: its name, its network, and the store for what is pulled from us.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its name in the settings.
    pub name: &'a str,
    /// How it is reached.
    pub network: &'a Network,
    /// The daemon's store; absent where an action is only looked at.
    pub store: Option<&'a Store>,
}

/// What one kind of action brings.
pub trait ActionKind {
    /// What is stored of the trip, made once; the bytes of the request where the kind sends them.
    fn render(&self, description: &Value) -> String {
        judge::record::canonical_json(description)
    }

    /// An action ready to run.
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String>;

    /// How soon an accepted request is read back again, in milliseconds.
    fn verify_interval_ms(&self) -> u64 {
        1_000
    }

    /// What it turns off, in words for people, without secrets.
    fn target(&self) -> String;

    /// Whether the flag can be read back; an action that cannot is never confirmed.
    fn reads_back(&self) -> bool {
        true
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
    /// A rollout of Argo Rollouts, aborted.
    ArgoRollouts(argo_rollouts::ArgoRolloutsConfig),
    /// A program on this machine.
    Command(command::CommandConfig),
    /// A setting of ConfigCat.
    Configcat(configcat::ConfigCatConfig),
    /// A feature flag of Datadog.
    Datadog(datadog::DatadogConfig),
    /// Flags that flagd pulls from us.
    Flagd(flagd::FlagdConfig),
    /// A flag of Flipt.
    Flipt(flipt::FliptConfig),
    /// A feature of GrowthBook.
    Growthbook(growthbook::GrowthBookConfig),
    /// A flag of LaunchDarkly, by its API.
    Launchdarkly(launchdarkly::LaunchDarklyConfig),
    /// A flag of LaunchDarkly, by a trigger URL.
    LaunchdarklyTrigger(launchdarkly_trigger::LaunchDarklyTriggerConfig),
    /// A feature of Unleash.
    Unleash(unleash::UnleashConfig),
    /// A request to a flag service, confirmed by reading the flag back.
    Webhook(webhook::WebhookActionConfig),
}

impl ActionConfig {
    /// What is stored of the trip; the bytes of the request where the kind sends them.
    pub fn render(&self, description: &Value) -> String {
        self.parts().2.render(description)
    }

    /// Whether and how it may act.
    pub fn arming(&self) -> &Arming {
        self.parts().1
    }

    /// What it turns off, in words for people, without secrets.
    pub fn target(&self) -> String {
        self.parts().2.target()
    }

    /// Whether the flag can be read back.
    pub fn reads_back(&self) -> bool {
        self.parts().2.reads_back()
    }

    /// The kind's name in the settings.
    pub fn kind(&self) -> String {
        let table = serde_json::to_value(self).unwrap_or_default();
        let name = table.as_object().and_then(|table| table.keys().next().cloned());
        name.unwrap_or_default()
    }

    /// How soon an accepted request is read back again, in milliseconds.
    pub(super) fn verify_interval_ms(&self) -> u64 {
        self.parts().2.verify_interval_ms()
    }
}

/// The path prefix of an API version that a kind speaks.
fn version_of(version: u8) -> Result<&'static str, String> {
    match version {
        1 => Ok("v1"),
        2 => Ok("v2"),
        other => Err(format!("version = {other} is not spoken here; write 1 or 2")),
    }
}

/// The flag cannot be read back at all: waiting would be pretending.
fn no_read_back(why: &str) -> SendError {
    SendError {
        then: Then::Permanent,
        class: ErrorClass::NoReadBack,
        status: None,
        detail: format!("the flag cannot be read back: {why}"),
    }
}

/// How far earlier attempts got, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Not taken yet.
    No,
    /// Taken: only the reading is missing.
    Taken,
    /// Told as unconfirmed: read first, then ask again.
    Again,
}

impl Asked {
    /// By the state of the action's row.
    pub(super) fn of(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Accepted => Self::Taken,
            DeliveryState::Unconfirmed => Self::Again,
            _ => Self::No,
        }
    }
}
