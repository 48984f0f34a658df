//! `verdictd status`: the portfolio as one table, worst first, beside a running daemon.

use clap::Args;
use judge::lifecycle::LifeState;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, Style, say, say_json, table};
use crate::store::{ExperimentRow, Store};

/// List experiments
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Reads the store and prints the table.
pub(super) async fn run(args: StatusArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = Store::open_read_only(&settings.store.path)?;
    let mut rows = store.experiments().await?;
    rows.sort_by_key(|row| (urgency(row), row.id.clone()));
    let broken = store.broken_files().await?;
    if args.json {
        let experiments: Vec<_> = rows.iter().map(as_json).collect();
        let files: Vec<_> = broken
            .iter()
            .map(|file| json!({"file": file.file, "diagnostics": file.diagnostics_text}))
            .collect();
        say_json(&json!({
            "schema": "verdictd/status/1",
            "experiments": experiments,
            "broken_files": files,
        }));
        return Ok(0);
    }
    if rows.is_empty() && broken.is_empty() {
        say("no experiments yet; `verdictd new --template product my-test` writes a first one\n");
        return Ok(0);
    }
    let style = Style::of_stdout();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, style)).collect();
    say(&table(&["EXPERIMENT", "LIFE", "VERDICT", "REASON"], &cells));
    for file in broken {
        let first = file
            .diagnostics_text
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        say(&format!("broken file {}: {first}\n", file.file));
    }
    Ok(0)
}

fn cells(row: &ExperimentRow, style: Style) -> Vec<String> {
    let (verdict, reason) = match &row.last {
        Some(last) => (
            format!("{}: {}", last.verdict, last.cause),
            last.headline.clone(),
        ),
        None => ("-".to_owned(), "not looked at yet".to_owned()),
    };
    vec![row.id.clone(), life(row), style.verdict(&verdict), reason]
}

fn life(row: &ExperimentRow) -> String {
    let state: Result<LifeState, _> = serde_json::from_str(&row.life_json);
    state.map_or_else(
        |_| "unreadable".to_owned(),
        |state| crate::cycle::say::word(&state.life),
    )
}

fn as_json(row: &ExperimentRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "title": row.title,
        "life": life(row),
        "revision": row.revision,
        "verdict": row.last.as_ref().map(|last| last.verdict.clone()),
        "cause": row.last.as_ref().map(|last| last.cause.clone()),
        "reason": row.last.as_ref().map(|last| last.headline.clone()),
        "evaluation": row.last.as_ref().map(|last| last.number),
        "evaluated_at": row.last.as_ref().map(|last| last.scheduled_at.to_string()),
        "data_as_of": row.last.as_ref().and_then(|last| last.data_as_of).map(|at| at.to_string()),
    })
}

/// Worst first: stop, hold, change, collecting, continue, never looked at.
fn urgency(row: &ExperimentRow) -> u8 {
    match row.last.as_ref().map(|last| last.verdict.as_str()) {
        Some("stop") => 0,
        Some("hold") => 1,
        Some("change") => 2,
        Some("collecting") => 3,
        Some("continue") => 4,
        _ => 5,
    }
}
