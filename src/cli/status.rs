//! `verdictd status`: the portfolio worst first, beside a running daemon.

use std::collections::BTreeMap;

use clap::Args;
use judge::analyse::GuardrailStatus;
use judge::lifecycle::LifeState;
use judge::prose::alarm_line;
use judge::record::round12;
use judge::watch::{Kept, ProxyRow, proxy_sentence};
use serde::Deserialize;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, Style, say, say_json, table, wrapped};
use crate::deliver::budget_line;
use crate::store::{BrokenFile, ExperimentRow, Store};

/// List experiments
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Which proxies predicted their outcome in finished tests, instead of experiments
    #[arg(long)]
    proxies: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Reads the store and prints the table.
pub(super) async fn run(args: StatusArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = super::open_store(&settings)?;
    if args.proxies {
        return proxies(&store, args.json).await;
    }
    let alarms = store.alarms_on().await?;
    let mut rows = store.experiments().await?;
    rows.sort_by_key(|row| (urgency(row), row.id.clone()));
    let broken = store.broken_files().await?;
    let budgets = budgets(&store, &rows).await?;
    if args.json {
        let experiments: Vec<_> =
            rows.iter().map(|row| as_json(row, budgets.get(&row.id))).collect();
        let files: Vec<_> = broken
            .iter()
            .map(|file| json!({"file": file.file, "diagnostics": file.diagnostics_text}))
            .collect();
        say_json(&json!({
            "schema": "verdictd/status/1",
            "experiments": experiments,
            "broken_files": files,
            "alarms": alarms,
        }));
        return Ok(0);
    }
    if rows.is_empty() && broken.is_empty() {
        say("no experiments yet; `verdictd new --template product my-test` writes a first one\n");
        return Ok(0);
    }
    say(&text(&rows, &budgets, &broken, Style::of_stdout()));
    say(&alarm_lines(&alarms));
    Ok(0)
}

/// Stored guardrails that have an error budget, by experiment.
type Budgets = BTreeMap<String, Vec<GuardrailStatus>>;

async fn budgets(store: &Store, rows: &[ExperimentRow]) -> Result<Budgets, Failure> {
    let mut found = Budgets::new();
    for row in rows {
        let context = store.context(&row.id).await?;
        let all = context.map(|context| context.guardrails).unwrap_or_default();
        let own: Vec<_> = all.into_iter().filter(|one| budget_line(one).is_some()).collect();
        if !own.is_empty() {
            found.insert(row.id.clone(), own);
        }
    }
    Ok(found)
}

/// One line for each alarm that is on.
fn alarm_lines(alarms: &[Kept]) -> String {
    let line = |kept: &Kept| {
        let whose = if kept.experiment.is_empty() { "portfolio" } else { &kept.experiment };
        wrapped("", "    ", &format!("alarm {whose}: {}", alarm_line(&kept.alarm)))
    };
    alarms.iter().map(line).collect()
}

/// What the newest slot of the watch says about proxies.
async fn proxies(store: &Store, as_json: bool) -> Result<u8, Failure> {
    let watch = store.watch().await?;
    let report: Report = match &watch {
        Some(watch) => serde_json::from_str(&watch.report_json)
            .map_err(|error| Failure::usage(format!("the stored report: {error}")))?,
        None => Report::default(),
    };
    if as_json {
        say_json(&json!({"schema": "verdictd/proxies/1", "proxies": report.proxies}));
        return Ok(0);
    }
    if report.proxies.is_empty() {
        say("not enough history: no finished test has both a proxy and an outcome yet\n");
    }
    for row in &report.proxies {
        say(&wrapped("", "    ", &proxy_sentence(row)));
    }
    Ok(0)
}

/// The part of the watch's report that is shown here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    proxies: Vec<ProxyRow>,
}

/// A line of facts and the reason below it for each, so that nothing is cut at 80 columns.
pub(super) fn text(
    rows: &[ExperimentRow],
    budgets: &Budgets,
    broken: &[BrokenFile],
    style: Style,
) -> String {
    let verdict = |row: &ExperimentRow| {
        let last = row.last.as_ref();
        last.map_or_else(|| "-".to_owned(), |last| format!("{}: {}", last.verdict, last.cause))
    };
    let facts: Vec<Vec<String>> =
        rows.iter().map(|row| vec![row.id.clone(), life(row), verdict(row)]).collect();
    let facts = table(&["EXPERIMENT", "LIFE", "VERDICT"], &facts);
    let mut lines = facts.lines();
    let mut out = String::new();
    if !rows.is_empty() {
        out.push_str(lines.next().unwrap_or_default());
        out.push('\n');
    }
    for (row, line) in rows.iter().zip(lines) {
        let word = verdict(row);
        let start = line.strip_suffix(word.as_str()).unwrap_or_default();
        out.push_str(start);
        out.push_str(&style.verdict(&word));
        out.push('\n');
        let own = format!(" - {}: ", row.id);
        let headline = row.headline().unwrap_or_else(|| "not looked at yet".to_owned());
        let split = headline.split_once(own.as_str());
        let reason = split.map_or(headline.as_str(), |(_, reason)| reason);
        out.push_str(&wrapped("    ", "    ", reason));
        for status in budgets.get(&row.id).into_iter().flatten() {
            let line = budget_line(status).unwrap_or_default();
            out.push_str(&wrapped("    ", "        ", &format!("{}: {line}", status.name)));
        }
    }
    for file in broken {
        let first = file.diagnostics_text.lines().next().unwrap_or_default();
        out.push_str(&wrapped("", "    ", &format!("broken file {}: {first}", file.file)));
    }
    out
}

fn life(row: &ExperimentRow) -> String {
    let state: Result<LifeState, _> = serde_json::from_str(&row.life_json);
    state.map_or_else(|_| "unreadable".to_owned(), |state| crate::cycle::say::word(&state.life))
}

fn as_json(row: &ExperimentRow, budgets: Option<&Vec<GuardrailStatus>>) -> serde_json::Value {
    let budget = |status: &GuardrailStatus| {
        let burn = status.burn.as_ref();
        json!({
            "guardrail": status.name,
            "state": status.state,
            "budget_left": status.budget_left.map(round12),
            "burn": burn.map(|burn| round12(burn.burn)),
            "exhausted_at": burn.and_then(|burn| burn.exhausted_at).map(|at| at.to_string()),
            "period_ends_at": burn.map(|burn| burn.period.end.to_string()),
            "trips_at": burn.and_then(|burn| burn.trips_at),
            "evaluated_at": status.evaluated_at.map(|at| at.to_string()),
        })
    };
    let budgets: Vec<_> = budgets.into_iter().flatten().map(budget).collect();
    json!({
        "id": row.id,
        "title": row.title,
        "budgets": budgets,
        "life": life(row),
        "revision": row.revision,
        "verdict": row.last.as_ref().map(|last| last.verdict.clone()),
        "cause": row.last.as_ref().map(|last| last.cause.clone()),
        "reason": row.headline(),
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
