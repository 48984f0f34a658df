//! `verdictd eval`: one turn of the line by hand.
//!
//! Without `--dry-run` everything that is due is evaluated, recorded and told, exactly as the
//! daemon would (leases keep the two apart). With `--dry-run` or `--at` a copy of the store is
//! used and nothing is recorded or sent.

use std::sync::Arc;

use clap::Args;
use judge::decide::{Cause, Verdict};
use judge::record::EvaluationRecord;
use judge::time::Timestamp;
use serde_json::{Value, json};

use super::SettingsArgs;
use super::output::{Failure, Style, complain, say, say_json};
use crate::app::App;
use crate::clock::{Clock as _, ManualClock, SystemClock};
use crate::cycle;
use crate::settings::Settings;
use crate::store;

/// Evaluate experiments
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// Experiment id; default: all
    experiment: Option<String>,
    /// As of this instant (RFC 3339); implies --dry-run
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// Record and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Exit with the verdict's code: 0 continue, 10 change, 20 stop, 21 tripped, 30 hold, 75
    /// collecting
    #[arg(long)]
    exit_code: bool,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Evaluates and prints the records.
pub(super) async fn run(args: EvalArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    super::serve::start_log(&settings);
    let records = if args.dry_run || args.at.is_some() {
        dry(settings, args.experiment.as_deref(), args.at).await?
    } else {
        real(settings, args.experiment.as_deref()).await?
    };
    if records.is_empty() {
        complain("verdictd: nothing to evaluate; `verdictd status` lists the experiments");
    }
    if args.json {
        let documents: Vec<Value> = records
            .iter()
            .filter_map(|record| serde_json::from_str(&record.to_json()).ok())
            .collect();
        say_json(&json!({"schema": "verdictd/eval/1", "evaluations": documents}));
    } else {
        let style = Style::of_stdout();
        for record in &records {
            say(&super::explain::text(record, style));
        }
    }
    let worst = records.iter().map(exit_code).max().unwrap_or(75);
    Ok(if args.exit_code { worst } else { 0 })
}

/// Evaluates on a copy of the store at `at` (default: now); nothing is recorded.
async fn dry(
    mut settings: Settings,
    only: Option<&str>,
    at: Option<Timestamp>,
) -> Result<Vec<EvaluationRecord>, Failure> {
    let folder = tempfile::tempdir().map_err(anyhow::Error::from)?;
    let copy = folder.path().join("copy.db");
    if settings.store.path.exists() {
        store::copy_to(&settings.store.path, &copy)?;
    }
    settings.store.path = copy;
    let at = at.unwrap_or_else(|| SystemClock.domain_now());
    let app = App::start_manual(settings, Arc::new(ManualClock::new(at)), None).await?;
    crate::tasks::reload::reload(app.inner()).await?;
    let mut records = Vec::new();
    for id in chosen(&app, only)? {
        // Of all of them those are left out that cannot be judged; by its name one is told why.
        let loaded = app.inner().portfolio.get(&id);
        if only.is_none() && loaded.is_some_and(|loaded| loaded.experiment.unfinished) {
            continue;
        }
        records.push(cycle::dry_run(app.inner(), &id, at).await?);
    }
    app.shutdown().await?;
    Ok(records)
}

/// Runs what is due and reads back where each experiment stands.
async fn real(settings: Settings, only: Option<&str>) -> Result<Vec<EvaluationRecord>, Failure> {
    let app = App::start_manual(settings, Arc::new(SystemClock), None).await?;
    app.settle().await?;
    let mut records = Vec::new();
    for id in chosen(&app, only)? {
        let standing = app.store().standing(&id).await?;
        records.extend(standing.and_then(|(_, json)| EvaluationRecord::from_json(&json).ok()));
    }
    app.shutdown().await?;
    Ok(records)
}

fn chosen(app: &App, only: Option<&str>) -> Result<Vec<String>, Failure> {
    let all: Vec<String> =
        app.inner().portfolio.all().iter().map(|loaded| loaded.experiment.id.clone()).collect();
    match only {
        None => Ok(all),
        Some(id) if all.iter().any(|known| known == id) => Ok(vec![id.to_owned()]),
        Some(id) => {
            Err(Failure::usage(format!("no experiment `{id}`; there are: {}", all.join(", "))))
        }
    }
}

/// Exit codes of engine.md 7.
pub(super) fn exit_code(record: &EvaluationRecord) -> u8 {
    code_of(record.decision.verdict, record.decision.cause)
}

/// The code of a row of the verdict table.
pub(super) fn code_of(verdict: Verdict, cause: Cause) -> u8 {
    match (verdict, cause) {
        (Verdict::Continue, _) => 0,
        (Verdict::Change, _) => 10,
        (Verdict::Stop, Cause::Tripped) => 21,
        (Verdict::Stop, _) => 20,
        (Verdict::Hold, _) => 30,
        (Verdict::Collecting, _) => 75,
    }
}
