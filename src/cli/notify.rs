//! `verdictd notify test ENDPOINT`: a marked sample of every kind, and the receiver's own words.

use clap::Subcommand;

use super::SettingsArgs;
use super::output::{Failure, say};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver;

/// Work with receivers
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
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
    let NotifyCommand::Test { endpoint, settings } = command;
    let settings = settings.settings()?;
    let Some(config) = settings.receivers.get(&endpoint) else {
        let known: Vec<&str> = settings.receivers.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "no receiver `{endpoint}` in the settings; there are: {}",
            known.join(", ")
        )));
    };
    let url = settings.external_url();
    let answers = deliver::send_samples(&endpoint, config, &url, SystemClock.wall_now())
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
