//! `verdictd deliveries`: what was sent, with every attempt, and sending it again.
//!
//! Beside a running daemon: reading opens the store read-only; sending again puts rows back into
//! the queue, where the daemon finds them within a second.

use clap::{Args, Subcommand};
use judge::time::Timestamp;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, say, say_json, table};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::view;
use crate::store::{
    AttemptRow, Delivery, DeliveryFilter, DeliveryState, MOST_REDELIVERED, Redeliver, Store,
};

/// Show deliveries, newest first
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DeliveriesArgs {
    #[command(subcommand)]
    command: Option<DeliveriesCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only to this receiver or action
    #[arg(long)]
    endpoint: Option<String>,
    /// Only of this experiment
    #[arg(long)]
    experiment: Option<String>,
    /// Only in this state: pending, delivered, dead, superseded, requested,
    /// accepted, unconfirmed, confirmed
    #[arg(long, value_parser = state)]
    state: Option<DeliveryState>,
    /// Only of this event type, for example guardrail.tripped
    #[arg(long)]
    kind: Option<String>,
    /// Only made at or after this instant, for example 2026-08-11T00:00:00Z
    #[arg(long)]
    since: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// Show one delivery with every attempt and what came back
    Show {
        /// Id of the message (msg_...)
        id: String,
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Send again what was given up, under the same ids and with the same bytes
    Resend(ResendArgs),
}

#[derive(Debug, Args)]
struct ResendArgs {
    /// Id of one message (msg_...), in whatever state it is
    #[arg(conflicts_with_all = ["since", "experiment", "endpoint"])]
    id: Option<String>,
    /// Dead messages that were made at or after this instant
    #[arg(long)]
    since: Option<Timestamp>,
    /// Dead messages of this experiment
    #[arg(long)]
    experiment: Option<String>,
    /// Dead messages to this receiver
    #[arg(long)]
    endpoint: Option<String>,
    /// Say which, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Climb the ladder again, instead of one attempt
    #[arg(long)]
    ladder: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

fn state(word: &str) -> Result<DeliveryState, String> {
    DeliveryState::parse(word).ok_or_else(|| format!("`{word}` is not a state of a delivery"))
}

/// Exit code 0, or 2 when there is nothing that could be shown or sent.
pub(super) async fn run(args: DeliveriesArgs) -> Result<u8, Failure> {
    match args.command {
        None => list(args.list).await,
        Some(DeliveriesCommand::Show { id, json, settings }) => show(id, json, &settings).await,
        Some(DeliveriesCommand::Resend(args)) => resend(args).await,
    }
}

async fn list(args: ListArgs) -> Result<u8, Failure> {
    let store = super::open_store(&args.settings.settings()?)?;
    let filter = DeliveryFilter {
        id: None,
        endpoint: args.endpoint,
        partition: args.experiment,
        state: args.state,
        kind: args.kind,
        since: args.since,
        before: None,
        limit: args.limit as usize,
    };
    let rows = store.deliveries(filter).await?;
    if args.json {
        let shown: Vec<_> = rows.iter().map(view::delivery).collect();
        say_json(&json!({"schema": "verdictd/deliveries/1", "deliveries": shown}));
        return Ok(0);
    }
    if rows.is_empty() {
        say("no such deliveries\n");
        return Ok(0);
    }
    let head = ["id", "made", "endpoint", "experiment", "kind", "state", "tries", "last"];
    let rows: Vec<Vec<String>> = rows.iter().map(line).collect();
    say(&table(&head, &rows));
    Ok(0)
}

fn line(it: &Delivery) -> Vec<String> {
    let last = it.attempts.last().map(short);
    vec![
        it.row.id.clone(),
        it.row.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        it.row.endpoint.clone(),
        it.row.partition.clone(),
        it.row.kind.clone(),
        it.state.as_str().to_owned(),
        it.attempts.len().to_string(),
        it.note.clone().or(last).unwrap_or_else(|| "-".to_owned()),
    ]
}

/// `503 server_error`, or what there is of it.
fn short(it: &AttemptRow) -> String {
    let status = it.status.map(|status| format!("{status} ")).unwrap_or_default();
    let word = if it.finished_at.is_some() { "no class" } else { "unfinished" };
    format!("{status}{}", it.class.as_deref().unwrap_or(word))
}

async fn show(id: String, as_json: bool, settings: &SettingsArgs) -> Result<u8, Failure> {
    let store = super::open_store(&settings.settings()?)?;
    let filter = DeliveryFilter { id: Some(id.clone()), ..DeliveryFilter::default() };
    let rows = store.deliveries(filter).await?;
    let Some(row) = rows.first() else {
        return Err(Failure::usage(format!("no delivery `{id}`")));
    };
    if as_json {
        say_json(&view::delivery(row));
    } else {
        say(&text(row));
    }
    Ok(0)
}

/// The delivery and its attempts, one paragraph each.
fn text(it: &Delivery) -> String {
    let mut out = format!(
        "{}\n  {} to {} ({}), sequence {}\n  {}, made {}, expires {}\n",
        it.row.id,
        it.row.kind,
        it.row.endpoint,
        it.row.partition,
        it.row.sequence,
        it.state.as_str(),
        it.row.created_at,
        it.row.expires_at,
    );
    let more = [
        ("next attempt", (!it.state.is_closed()).then(|| it.next_at.to_string())),
        ("note:", it.note.clone()),
        ("superseded by", it.superseded_by.clone()),
        ("older verdicts it stands for:", (it.collapsed > 0).then(|| it.collapsed.to_string())),
    ];
    for (label, value) in more {
        out.extend(value.map(|value| format!("  {label} {value}\n")));
    }
    for attempt in &it.attempts {
        out.push_str(&attempt_text(attempt));
    }
    out
}

fn attempt_text(it: &AttemptRow) -> String {
    let took = view::seconds(it).map_or("not finished".to_owned(), |s| format!("{s:.3} s"));
    let trigger = view::trigger(it);
    let mut out =
        format!("attempt {} ({trigger}) at {}, {took}: {}\n", it.attempt, it.started_at, short(it));
    for line in view::answer(it).unwrap_or_default().lines() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        out.extend(["    ", &line, "\n"]);
    }
    out
}

async fn resend(args: ResendArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let now = SystemClock.wall_now();
    if let Some(id) = &args.id {
        if args.dry_run {
            return show(id.clone(), false, &args.settings).await;
        }
        let store = Store::open(&settings.store.path)?;
        if !store.redeliver_one(id, args.ladder, now).await? {
            return Err(Failure::usage(format!("no message `{id}` that could be sent again")));
        }
        say(&format!("queued {id}; the daemon sends it{}\n", how(args.ladder)));
        return Ok(0);
    }
    if args.since.is_none() && args.experiment.is_none() && args.endpoint.is_none() {
        let hint = "say which: an id, --since, --experiment or --endpoint";
        return Err(Failure::usage(hint));
    }
    let which =
        Redeliver { since: args.since, partition: args.experiment, endpoint: args.endpoint };
    let store = super::open_store(&settings)?;
    let ids = store.redeliverable(&which).await?;
    if ids.len() == MOST_REDELIVERED {
        say(&format!("the oldest {MOST_REDELIVERED}; run it again for the rest\n"));
    }
    if args.dry_run {
        for id in &ids {
            say(&format!("{id}\n"));
        }
        say(&format!("{} messages would be sent again\n", ids.len()));
        return Ok(0);
    }
    drop(store);
    let store = Store::open(&settings.store.path)?;
    let queued = store.redeliver_all(ids, args.ladder, now).await?;
    say(&format!("queued {queued} messages; the daemon sends each{}\n", how(args.ladder)));
    Ok(0)
}

fn how(ladder: bool) -> &'static str {
    if ladder { " and climbs the ladder again" } else { " once" }
}
