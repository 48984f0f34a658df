//! `verdictd plan`: everything that follows from an experiment file before it runs.
//!
//! Dates, looks, checkpoints, what is asked of which source, which error rate is spent on what,
//! how many units that takes. Nothing is fetched and nothing is stored.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use judge::analyse::ledger;
use judge::planning::{Question, power_plan};
use judge::spec::{Experiment, LookPlan, When};
use judge::time::{Timestamp, add, add_ms};
use serde_json::{Value, json};

use super::SettingsArgs;
use super::check::read_experiment;
use super::output::{Failure, say, say_json, wrapped};
use super::power;
use crate::cycle::say::word;

/// Print dates, queries, error rates and sizes that follow from a file
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Experiment files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Exit code 0, or 2 when a file cannot be read.
pub(super) fn run(args: PlanArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let names = args.settings.config.as_ref().map(|_| &settings);
    let mut documents = Vec::new();
    for path in &args.files {
        let experiment = read_experiment(path, names)?;
        if args.json {
            documents.push(document(&experiment));
        } else {
            say(&text(&experiment));
        }
    }
    if args.json {
        say_json(&json!({"schema": "verdictd/plan/1", "files": documents}));
    }
    Ok(0)
}

/// One date of the calendar.
struct Date {
    what: String,
    at: Timestamp,
}

/// The dates of the first cycle, and where the others end.
fn calendar(experiment: &Experiment, zone: &TimeZone) -> Vec<Date> {
    let date = |what: &str, at| Date { what: what.to_owned(), at };
    let checkpoint = &experiment.checkpoint;
    let first = match checkpoint.when {
        When::At(at) => at,
        When::Every(every) => add(experiment.start, every, zone),
    };
    let mut dates = vec![date("start", experiment.start)];
    dates.push(date("first look", add(experiment.start, checkpoint.look_every, zone)));
    for signal in &experiment.signals {
        if signal.matures_after.ms > 0 {
            let what = format!("first unit of {} counts", signal.name);
            dates.push(date(&what, add_ms(experiment.start, signal.matures_after.ms)));
        }
    }
    let slowest = experiment.longest_outcome_maturity();
    if slowest.ms > 0 {
        let last = add_ms(first, -slowest.ms);
        dates.push(date("last unit that counts at the checkpoint", last));
    }
    let earliest = add(experiment.start, checkpoint.min_duration, zone);
    dates.push(date("earliest continue", earliest));
    dates.push(date("checkpoint", first));
    if let Some(by) = experiment.by() {
        dates.push(date("by", by));
    }
    dates.sort_by_key(|date| date.at);
    dates
}

fn zone_of(experiment: &Experiment) -> TimeZone {
    TimeZone::get(&experiment.timezone).unwrap_or(TimeZone::UTC)
}

fn document(experiment: &Experiment) -> Value {
    let zone = zone_of(experiment);
    let dates: Vec<_> = calendar(experiment, &zone)
        .into_iter()
        .map(|date| json!({"what": date.what, "at": date.at.to_string()}))
        .collect();
    json!({
        "experiment": experiment.id,
        "rule": experiment.checkpoint.continue_when.to_string(),
        "stop_when": experiment.checkpoint.stop_when.as_ref().map(ToString::to_string),
        "evidence": experiment.evidence,
        "calendar": dates,
        "cycles": experiment.checkpoint.cycles,
        "signals": experiment.signals,
        "guardrails": experiment.guardrails,
        "ledger": ledger(experiment),
        "power": power_plan(experiment, &Question::default()),
    })
}

fn text(experiment: &Experiment) -> String {
    let zone = zone_of(experiment);
    let checkpoint = &experiment.checkpoint;
    let mut out = format!("{} - {}\n", experiment.id, experiment.title);
    let mut line = |name: &str, words: &str| {
        let first = format!("  {name:<12}");
        out.push_str(&wrapped(&first, "              ", words));
    };
    line("continue", &checkpoint.continue_when.to_string());
    if let Some(rule) = &checkpoint.stop_when {
        line("stop", &rule.to_string());
    }
    let look = match checkpoint.look {
        LookPlan::Weekly(looks) => format!("weekly x{looks}"),
        other => word(&other),
    };
    line("evidence", &format!("{}, look {look}", word(&experiment.evidence)));
    let rhythm = format!("every {}, at most {} cycles", checkpoint.look_every, checkpoint.cycles);
    line("looks", &rhythm);
    let zone_name = &experiment.timezone;
    out = format!("{out}\ncalendar ({zone_name})\n");
    for Date { what, at } in calendar(experiment, &zone) {
        let at = at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M");
        out = format!("{out}  {at}  {what}\n");
    }
    out.push_str("\nsignals\n");
    for signal in &experiment.signals {
        let role = word(&signal.role);
        let words = format!(
            "{role}, {} wanted {}, from source {}, matures after {}",
            word(&signal.form),
            word(&signal.want),
            signal.source,
            signal.matures_after
        );
        out.push_str(&wrapped(&format!("  {}: ", signal.name), "    ", &words));
    }
    out.push_str(&guardrails(experiment));
    out.push_str("\nalpha ledger\n");
    for spent in ledger(experiment) {
        let words = format!("{} ({})", spent.alpha, spent.rule);
        out.push_str(&wrapped(&format!("  {:<40} ", spent.purpose), "    ", &words));
    }
    out.push_str("\npower\n");
    let plan = power_plan(experiment, &Question::default());
    let text = power::text(experiment, &plan);
    let (_, rows) = text.split_once('\n').unwrap_or_default();
    format!("{out}{rows}\n")
}

fn guardrails(experiment: &Experiment) -> String {
    let mut out = String::new();
    if !experiment.guardrails.is_empty() {
        out.push_str("\nguardrails\n");
    }
    for guardrail in &experiment.guardrails {
        let source = guardrail.kind.source().map_or_else(
            || "reads a signal of this file".to_owned(),
            |(source, _)| format!("from source {source}"),
        );
        let every = guardrail
            .every
            .map_or_else(|| "at the source's rhythm".to_owned(), |every| format!("every {every}"));
        let words = format!(
            "{}, on trip {}, {source}, {every}",
            guardrail.kind.keyword(),
            word(&guardrail.on_trip)
        );
        out.push_str(&wrapped(&format!("  {}: ", guardrail.name), "    ", &words));
    }
    out
}
