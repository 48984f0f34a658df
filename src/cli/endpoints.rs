//! `verdictd endpoints`: how receivers do, and giving one another chance.

use clap::{Args, Subcommand};
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, say, say_json, table};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::view::{self, EndpointView};
use crate::store::{Redeliver, Store};

/// Show receivers: state, queue, oldest message
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct EndpointsArgs {
    #[command(subcommand)]
    command: Option<EndpointsCommand>,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum EndpointsCommand {
    /// Send to a degraded or disabled receiver again; its next message is a
    /// probe, what is queued follows
    Enable {
        /// Name of the receiver in the settings
        name: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Exit code 0, or 2 for a receiver that there is not or that is well.
pub(super) async fn run(args: EndpointsArgs) -> Result<u8, Failure> {
    match args.command {
        Some(EndpointsCommand::Enable { name, settings }) => enable(&name, &settings).await,
        None => list(&args.settings, args.json).await,
    }
}

async fn list(settings: &SettingsArgs, as_json: bool) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let store = super::open_store(&settings)?;
    let (known, stats) = (store.endpoints().await?, store.outbox_stats().await?);
    let views = view::endpoints(settings.receivers.keys(), &known, &stats, SystemClock.wall_now());
    if as_json {
        let shown: Vec<_> = views.iter().map(EndpointView::as_json).collect();
        say_json(&json!({"schema": "verdictd/endpoints/1", "endpoints": shown}));
        return Ok(0);
    }
    let head = ["receiver", "state", "since", "queue", "oldest", "dead", "cause"];
    let rows: Vec<Vec<String>> = views.iter().map(line).collect();
    say(&table(&head, &rows));
    Ok(0)
}

fn line(it: &EndpointView) -> Vec<String> {
    let none = || "-".to_owned();
    let paused = it.paused_until.map(|until| format!("paused until {until}"));
    let cause: Option<String> = it.cause.clone().or(paused);
    let cause = cause.map(|text| text.chars().filter(|c| !c.is_control()).take(80).collect());
    vec![
        it.name.clone(),
        it.state.to_owned(),
        it.since_at.map_or_else(none, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        it.pending.to_string(),
        it.oldest_seconds.map_or_else(none, |seconds| format!("{seconds:.0} s")),
        it.dead.to_string(),
        cause.unwrap_or_else(none),
    ]
}

async fn enable(name: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    if !settings.receivers.contains_key(name) {
        return Err(Failure::usage(format!("no receiver `{name}` in the settings")));
    }
    let store = Store::open(&settings.store.path)?;
    if !store.enable_endpoint(name, SystemClock.wall_now()).await? {
        return Err(Failure::usage(format!("`{name}` is neither degraded, disabled nor paused")));
    }
    say(&format!("enabled {name}; the daemon probes it with the next message\n"));
    let which = Redeliver { endpoint: Some(name.to_owned()), ..Redeliver::default() };
    let dead = store.redeliverable(&which).await?.len();
    if dead > 0 {
        say(&format!(
            "{dead} messages to it were given up; `verdictd deliveries resend --endpoint {name}` \
             sends them again\n"
        ));
    }
    Ok(0)
}
