//! `verdictd actions`: what a trip can turn off, who armed it, and whether it would work.
//!
//! `test` only reads the flag. `--really-off` turns it off, for game days: it wants the name typed
//! again and leaves an entry in the decision log. Nothing here turns a flag on; `release` lets
//! flags that are pulled from us be served as configured again, because there we are the service.

use std::io::BufRead as _;
use std::time::Duration;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::SettingsArgs;
use super::output::{Failure, complain, say, say_json};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::ActionConfig;
use crate::deliver::actions::{fire, probe, used_today};
use crate::settings::Settings;
use crate::store::{LogEntry, Store};

/// How long a game day waits for the flag to read as off.
const PATIENCE: Duration = Duration::from_mins(1);

/// Work with rollback actions
#[derive(Debug, Subcommand)]
pub(super) enum ActionsCommand {
    /// List the actions: kind, armed by whom, uses of today, what each turns off
    List {
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Read the flag back and say what a trip would send; nothing is changed
    Test {
        /// Name of an action in the settings
        name: String,
        /// Turn the flag off for real and follow it, as a trip would (a game day)
        #[arg(long)]
        really_off: bool,
        /// Who does it; goes into the decision log with --really-off
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Serve the flags of a flagd action as configured again, after a trip
    Release {
        /// Name of an action in the settings
        name: String,
        /// Who decides it
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why; stays in the log
        #[arg(long)]
        because: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Exit code 0 when it did what was asked; `test`: 0 off (or turned off), 1 not off.
pub(super) async fn run(command: ActionsCommand) -> Result<u8, Failure> {
    match command {
        ActionsCommand::List { json, settings } => list(&settings.settings()?, json).await,
        ActionsCommand::Test { name, really_off: false, settings, .. } => {
            test(&name, &settings.settings()?).await
        }
        ActionsCommand::Test { name, by, settings, .. } => {
            really_off(&name, by, &settings.settings()?).await
        }
        ActionsCommand::Release { name, by, because, settings } => {
            release(&name, by, because, &settings.settings()?).await
        }
    }
}

/// The store for reading, if there is one yet.
fn reading(settings: &Settings) -> Result<Option<Store>, Failure> {
    if !settings.store.path.exists() {
        return Ok(None);
    }
    super::open_store(settings).map(Some)
}

async fn list(settings: &Settings, as_json: bool) -> Result<u8, Failure> {
    let store = reading(settings)?;
    let mut rows = Vec::new();
    for (name, config) in &settings.actions {
        rows.push(row(name, config, settings, store.as_ref()).await?);
    }
    if as_json {
        say_json(&json!({"schema": "verdictd/actions/1", "actions": rows}));
        return Ok(0);
    }
    if rows.is_empty() {
        say("no actions in the settings; docs/guide/rollback.md shows each kind\n");
    }
    for row in &rows {
        say(&text(row));
    }
    Ok(0)
}

async fn row(
    name: &str,
    config: &ActionConfig,
    settings: &Settings,
    store: Option<&Store>,
) -> Result<Value, Failure> {
    let arming = config.arming();
    let zone = TimeZone::get(&settings.daemon.timezone).unwrap_or(TimeZone::UTC);
    let (today, newest) = match store {
        Some(store) => used_today(store, &zone, name, config, SystemClock.domain_now()).await?,
        None => (0, None),
    };
    Ok(json!({
        "name": name,
        "kind": config.kind(),
        "target": config.target(),
        "armed": arming.armed,
        "armed_by": arming.armed_by,
        "armed_because": arming.armed_because,
        "dry_run": arming.dry_run,
        "reads_back": config.reads_back(),
        "max_per_day": arming.max_per_day,
        "used_today": today,
        "last_used_at": newest.map(|one| one.created_at.to_string()),
    }))
}

fn text(row: &Value) -> String {
    let word = |key: &str| row[key].as_str().unwrap_or("").to_owned();
    let armed = match (row["armed"] == true, row["dry_run"] == true, row["armed_by"].as_str()) {
        (false, ..) => "not armed".to_owned(),
        (true, true, _) => "dry run".to_owned(),
        (true, false, Some(by)) => format!("armed by {by}"),
        (true, false, None) => "armed (by whom is not said)".to_owned(),
    };
    let last = row["last_used_at"]
        .as_str()
        .map_or("never used".to_owned(), |at| format!("last used {at}"));
    let mut lines = format!(
        "{}\n  {}, {armed}, {} of {} today, {last}\n  turns off {}\n",
        word("name"),
        word("kind"),
        row["used_today"],
        row["max_per_day"],
        word("target"),
    );
    if let Some(because) = row["armed_because"].as_str() {
        lines = format!("{lines}  armed because {because}\n");
    }
    if row["reads_back"] == false {
        lines.push_str("  cannot be read back: it is never confirmed and pages a person\n");
    }
    lines
}

fn find<'a>(settings: &'a Settings, name: &str) -> Result<&'a ActionConfig, Failure> {
    settings.actions.get(name).ok_or_else(|| {
        let known: Vec<&str> = settings.actions.keys().map(String::as_str).collect();
        let known = known.join(", ");
        Failure::usage(format!("no action `{name}` in the settings; there are: {known}"))
    })
}

async fn test(name: &str, settings: &Settings) -> Result<u8, Failure> {
    let config = find(settings, name)?;
    let store = reading(settings)?;
    let timeout = Duration::from_millis(settings.delivery.timeout_ms);
    let found = probe(name, config, store.as_ref(), timeout, SystemClock.wall_now())
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    say(&format!("turns off  {}\n", config.target()));
    let is_off = match &found.reads {
        Ok(words) => {
            say(&format!("reads      off: {words}\n"));
            true
        }
        Err(words) => {
            say(&format!("reads      not off: {words}\n"));
            false
        }
    };
    say(&format!("would send {}\n", found.would_send));
    say("nothing was sent\n");
    Ok(u8::from(!is_off))
}

async fn really_off(name: &str, by: Option<String>, settings: &Settings) -> Result<u8, Failure> {
    let config = find(settings, name)?;
    let by = by.ok_or_else(|| Failure::usage("--really-off needs --by NAME"))?;
    complain(&format!("this turns off {}, for everybody and until a person", config.target()));
    complain(&format!("turns it on again; type {name} to do it:"));
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(anyhow::Error::from)?;
    if typed.trim() != name {
        return Err(Failure::usage("that is not the name of the action; nothing was sent"));
    }
    let store = Store::open(&settings.store.path)?;
    let mut steps = Vec::new();
    let note = |line: String| {
        say(&format!("{line}\n"));
        steps.push(line);
    };
    let now = SystemClock.wall_now();
    let is_off = fire(name, config, Some(&store), PATIENCE, now, note)
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    let did = if is_off { "turned off" } else { "tried to turn off" };
    let end = steps.last().cloned().unwrap_or_default();
    store
        .log_operation(LogEntry {
            at: SystemClock.domain_now(),
            kind: "action.tested".to_owned(),
            who: Some(by.clone()),
            verdict: None,
            because: Some("a test by hand".to_owned()),
            text: format!(
                "{by}: {did} {} by action {name}\nbecause a test by hand\nnext: {end}",
                config.target()
            ),
            evaluation_id: None,
        })
        .await?;
    Ok(u8::from(!is_off))
}

async fn release(
    name: &str,
    by: String,
    because: String,
    settings: &Settings,
) -> Result<u8, Failure> {
    if !matches!(find(settings, name)?, ActionConfig::Flagd(_)) {
        return Err(Failure::usage(format!(
            "`{name}` is not pulled from here: turn its flag on where it lives"
        )));
    }
    let store = Store::open(&settings.store.path)?;
    let entry = LogEntry {
        at: SystemClock.domain_now(),
        kind: "action.released".to_owned(),
        who: Some(by.clone()),
        verdict: None,
        because: Some(because.clone()),
        text: format!(
            "{by}: flags of action {name} are served as configured again\nbecause {because}\n\
             next: clients have them at their next fetch"
        ),
        evaluation_id: None,
    };
    if !store.release_pulled(name, entry).await? {
        return Err(Failure::usage(format!("the flags of `{name}` are not off")));
    }
    say(&format!("released: {name} is served as configured again\n"));
    Ok(0)
}
