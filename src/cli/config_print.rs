//! `verdictd config print`: what is in force as TOML, where it came from, and no secret.

use clap::Subcommand;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, say, say_json};

/// Work with settings
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting with its value and its origin
    Print {
        #[command(flatten)]
        settings: SettingsArgs,
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Loading is the check: a wrong file, variable or flag is an error here as it is at start.
pub(super) fn run(command: ConfigCommand) -> Result<u8, Failure> {
    let ConfigCommand::Print { settings, json } = command;
    let loaded = settings.load()?;
    if json {
        let origins: Vec<_> = loaded
            .shown()
            .into_iter()
            .map(|(key, value, origin)| {
                // What is text in TOML is text here; everything else is as TOML writes it.
                let text = serde_json::from_str::<String>(&value).unwrap_or(value);
                json!({"key": key, "value": text, "origin": origin})
            })
            .collect();
        say_json(&json!({"schema": "verdictd/config/1", "settings": origins}));
    } else {
        say(&loaded.print());
    }
    Ok(0)
}
