//! `verdictd notify test ENDPOINT`: a marked sample of every kind, and the receiver's own words.

use clap::Subcommand;

use super::output::{Failure, say};
use super::{SettingsArgs, notify_policy};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver;
use crate::store::Store;

/// Work with receivers
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send a dead or delivered message again, with the same id and bytes
    Resend {
        /// Id of the message (msg_...), as /api/v1/deliveries lists it
        id: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Record that a notice was seen: it is not told again while it stays as it is
    Ack(notify_policy::AckArgs),
    /// Say who would hear about an experiment, when and why
    Route(notify_policy::RouteArgs),
    /// Say what became of what was said about an experiment: who heard it, who did not, and why
    Why(notify_policy::WhyArgs),
    /// Send a marked sample of every kind and print what the receiver answers
    Test {
        /// Name of a receiver in the settings
        endpoint: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Exit code 0 when every sample was taken, 1 when one was not.
pub(super) async fn run(command: NotifyCommand) -> Result<u8, Failure> {
    match command {
        NotifyCommand::Resend { id, settings } => resend(&id, &settings).await,
        NotifyCommand::Ack(args) => notify_policy::ack(args).await,
        NotifyCommand::Route(args) => notify_policy::route(args).await,
        NotifyCommand::Why(args) => notify_policy::why(args).await,
        NotifyCommand::Test { endpoint, settings } => test(&endpoint, &settings).await,
    }
}

/// Puts the message back into the queue; the daemon sends it once, without the ladder.
async fn resend(id: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let store = Store::open(&settings.store.path)?;
    if !store.redeliver(id, SystemClock.wall_now()).await? {
        return Err(Failure::usage(format!("no message `{id}` that could be sent again")));
    }
    say(&format!("queued {id}; the daemon sends it once\n"));
    Ok(0)
}

async fn test(endpoint: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let Some(config) = settings.receivers.get(endpoint) else {
        let known: Vec<&str> = settings.receivers.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "no receiver `{endpoint}` in the settings; there are: {}",
            known.join(", ")
        )));
    };
    let url = settings.external_url();
    let answers = deliver::send_samples(endpoint, config, &url, SystemClock.wall_now())
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut refused = 0;
    for answer in &answers {
        let word = if answer.is_ok { "taken  " } else { "REFUSED" };
        refused += u8::from(!answer.is_ok);
        say(&format!("{word} {:<30} {}\n", answer.kind, answer.detail));
    }
    Ok(u8::from(refused > 0))
}
