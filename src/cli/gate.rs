//! `verdictd gate EXP`: a step of a pipeline that goes by the verdict.
//!
//! It asks a daemon (`--url`) or reads its store, once or until there is something to go by, says
//! one sentence, and ends with the verdict's exit code. What it shows is what the daemon's gates
//! show: both come from `crate::gate`.

mod ask;
mod summary;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::time::Instant;

use super::SettingsArgs;
use super::output::{Failure, UNREACHABLE, USAGE, complain, say, say_json};
use crate::gate::{Allowed, FlatVerdict, Word, span_secs};
use ask::Asker;

/// Longest single question that is kept back.
const POLL: Duration = Duration::from_secs(50);
/// Pause after a question without an answer.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest wait, in seconds: a week.
const MAX_WAIT_SECS: i64 = 604_800;

/// Go by the verdict of an experiment, in a pipeline
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Experiment id
    experiment: String,
    /// Ask this daemon, as http://host:8087, instead of the store of the settings
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "overrides"])]
    url: Option<String>,
    /// Environment variable that holds a token for the daemon
    #[arg(long, value_name = "NAME", requires = "url")]
    token_env: Option<String>,
    /// Extra certificate authority of the daemon (PEM)
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// Keep asking for so long, as 10m; also while the daemon cannot be reached
    #[arg(long, value_name = "SPAN")]
    wait: Option<String>,
    /// What ends the wait before its time
    #[arg(long, value_enum, default_value_t = Until::Allowed, requires = "wait")]
    until: Until,
    /// Words that pass beside continue: collecting, hold, change, stale
    #[arg(long, value_name = "WORDS", default_value = "")]
    allow: String,
    /// An older verdict is stale, as 36h
    #[arg(long, value_name = "SPAN")]
    max_age: Option<String>,
    /// Write a Markdown summary into this file; $GITHUB_STEP_SUMMARY is written to in any case
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// One JSON document instead of a sentence
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// When waiting has an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// A verdict that passes, or one that decides otherwise.
    Allowed,
    /// Continue, change or stop, whatever else is allowed.
    Decided,
}

/// Asks, tells, and gives the exit code.
pub(super) async fn run(args: GateArgs) -> Result<u8, Failure> {
    let allowed = Allowed::parse(&args.allow)
        .map_err(|why| Failure::usage(format!("--allow {}: {why}", args.allow)))?;
    let max_age_secs = span("--max-age", args.max_age.as_deref())?;
    let wait = span("--wait", args.wait.as_deref())?.unwrap_or(0);
    if wait > MAX_WAIT_SECS {
        return Err(Failure::usage("--wait: at most 7d".to_owned()));
    }
    let asker = Asker::of(&args, max_age_secs)?;
    let wait = Duration::from_secs(wait.unsigned_abs());
    let is_done = |flat: &FlatVerdict| match args.until {
        Until::Allowed => flat.verdict.is_decided() || allowed.opens(flat.verdict),
        Until::Decided => flat.verdict.is_decided(),
    };
    let flat = awaited(&asker, &args.experiment, wait, is_done).await?;
    let code = code(&flat, &allowed);
    tell(&args, &flat, code);
    write_summaries(&args, &asker, &flat, code).await;
    Ok(code)
}

fn span(flag: &str, text: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let refused = || Failure::usage(format!("{flag} {text}: write a length of time, as 10m"));
    span_secs(text).map(Some).ok_or_else(refused)
}

/// The verdict that ends the wait, or the last one there was; the failure if there was none.
async fn awaited(
    asker: &Asker,
    experiment: &str,
    wait: Duration,
    is_done: impl Fn(&FlatVerdict) -> bool,
) -> Result<FlatVerdict, Failure> {
    let until = Instant::now() + wait;
    let mut asked = asker.ask(experiment, Duration::ZERO, None).await;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let since = match &asked {
            Ok(flat) if flat.is_final || is_done(flat) => break,
            Ok(flat) => Some(flat.sequence),
            Err(_) => None,
        };
        if left.is_zero() {
            break;
        }
        if since.is_none() {
            tokio::time::sleep(PAUSE.min(left)).await;
        }
        let poll = if since.is_some() { POLL.min(left) } else { Duration::ZERO };
        asked = asker.ask(experiment, poll, since).await;
    }
    asked
}

/// The exit code of engine.md 7; what is allowed passes.
fn code(flat: &FlatVerdict, allowed: &Allowed) -> u8 {
    if allowed.opens(flat.verdict) {
        return 0;
    }
    match flat.verdict {
        Word::Continue => 0,
        Word::Change => 10,
        Word::Stop if flat.cause == "tripped" => 21,
        Word::Stop => 20,
        Word::Hold => 30,
        Word::Collecting => 75,
        Word::Stale => UNREACHABLE,
        Word::Unknown => USAGE,
    }
}

fn tell(args: &GateArgs, flat: &FlatVerdict, code: u8) {
    let is_by_leave = code == 0 && flat.verdict != Word::Continue;
    if args.json {
        let mut document = serde_json::to_value(flat).unwrap_or_default();
        document["schema"] = json!("verdictd/gate/1");
        document["passed"] = json!(code == 0);
        document["exit_code"] = json!(code);
        say_json(&document);
    } else if flat.verdict == Word::Unknown {
        complain(&format!("verdictd: {}", flat.reason));
    } else {
        let leave = if is_by_leave { " (allowed here)" } else { "" };
        say(&format!("{}{leave}\n", flat.reason));
    }
}

/// A summary that cannot be written is told and changes no verdict.
async fn write_summaries(args: &GateArgs, asker: &Asker, flat: &FlatVerdict, code: u8) {
    let of_github = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    if args.summary.is_none() && of_github.is_none() {
        return;
    }
    let record = asker.record(flat).await;
    let text = summary::markdown(flat, record.as_ref(), code == 0);
    let own = args.summary.clone().map(|path| std::fs::write(path, &text));
    let theirs = of_github.map(|path| append(path.into(), &text));
    for error in [own, theirs].into_iter().flatten().filter_map(Result::err) {
        complain(&format!("verdictd: the summary could not be written: {error}"));
    }
}

/// Other steps write into the same file.
fn append(path: PathBuf, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
