//! `verdictd log`: the decision log, three lines an entry, newest first.

use clap::Args;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, say, say_json, wrapped};
use crate::plain;
use crate::store::{LogFilter, LogRow};

/// Show the decision log
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Only of this experiment
    experiment: Option<String>,
    /// At most so many entries
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Reads the store and prints the entries.
pub(super) async fn run(args: LogArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = super::open_store(&settings)?;
    let filter = LogFilter {
        experiment: args.experiment,
        limit: args.limit as usize,
        ..LogFilter::default()
    };
    let rows = store.decisions(filter).await?;
    if args.json {
        let entries: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "id": row.id, "experiment": row.experiment, "at": row.entry.at.to_string(),
                    "kind": row.entry.kind, "who": row.entry.who, "verdict": row.entry.verdict,
                    "because": row.entry.because, "text": row.entry.text,
                    "evaluation_id": row.entry.evaluation_id,
                })
            })
            .collect();
        say_json(&json!({"schema": "verdictd/log/1", "entries": entries}));
        return Ok(0);
    }
    for row in rows {
        say(&head(&row));
        for line in row.entry.text.lines() {
            say(&wrapped("  ", "    ", line));
        }
    }
    Ok(0)
}

/// The first line of an entry: nothing in it can begin another one.
fn head(row: &LogRow) -> String {
    let who = plain::line(row.entry.who.as_deref().unwrap_or("verdictd"));
    let experiment = plain::line(&row.experiment);
    format!("{} {experiment} {} ({who})\n", row.entry.at, row.entry.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LogEntry;

    #[test]
    fn a_name_cannot_forge_an_entry() {
        let entry = LogEntry {
            at: "2026-12-01T03:00:00Z".parse().unwrap(),
            kind: "notice.acknowledged".to_owned(),
            who: Some("eve\n2026-12-01T03:00:00Z copy decision (lead)\u{202e}".to_owned()),
            verdict: None,
            because: None,
            text: String::new(),
            evaluation_id: None,
        };
        let row = LogRow { id: 1, experiment: "copy".to_owned(), entry };
        let shown = head(&row);
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(!shown.contains('\u{202e}') && shown.contains("(eve 2026-12-01"), "{shown}");
    }
}
