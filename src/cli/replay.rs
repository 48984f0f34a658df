//! `verdictd replay`: experiment files over history, as a timeline of what would have been said.
//!
//! Sources come from the settings (`--config`, or `--set sources.NAME.csv.folder=DIR`); the
//! daemon's store is not opened and nothing is sent. Data to standard output, everything about the
//! run itself to standard error, progress only on a terminal.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use judge::analyse::GuardrailStatus;
use judge::contract;
use judge::decide::{Cause, Verdict};
use judge::lifecycle::LifeState;
use judge::record::canonical_json;
use judge::stats::Interval;
use judge::time::{Span, Timestamp, add_ms};
use serde_json::{Value, json};

use super::SettingsArgs;
use super::output::{Failure, Progress, Style, UNREACHABLE, complain, say, table, wrapped};
use crate::clock::{Clock as _, SystemClock};
use crate::cycle::say::word;
use crate::replay::{self, Entry, Files, Finding, Kind, Movement, Options, Rehearsed, Replayed};
use crate::settings::LogLevel;

/// Play experiment files over history
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Experiment files, or folders of them. A further file of the same experiment is its next
    /// revision: it is put into place when the cycle before waits for one
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// When the files are first seen (date or RFC 3339); default: the earliest start
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Look at nothing after this; default: now, or when every experiment is over
    #[arg(long, value_name = "INSTANT")]
    to: Option<String>,
    /// How often guardrails without an `every` of their own are looked at, at the fastest
    #[arg(long, default_value = "1h", value_name = "SPAN")]
    every: String,
    /// Every look, not only those that changed the verdict
    #[arg(long)]
    all: bool,
    /// Also the messages and actions that would have been sent
    #[arg(long)]
    messages: bool,
    /// JSON lines instead of text
    #[arg(long)]
    json: bool,
    /// Instead: play so many histories in which nothing happened, made from this data, and show how
    /// often the file says something false
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["all", "messages", "exit_code"],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    aa: Option<u32>,
    /// Chance of --aa: the same seed, the same runs
    #[arg(long, default_value_t = 1, requires = "aa")]
    seed: u64,
    /// Exit with the code of the worst last verdict: 0 continue, 10 change, 20 stop, 21 tripped,
    /// 30 hold, 75 collecting
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Plays and prints; exit code 69 when a source could not be read, or an answer was refused.
pub(super) async fn run(args: ReplayArgs) -> Result<u8, Failure> {
    let mut settings = args.settings.settings()?;
    // The timeline says what happens; the log only what goes wrong.
    if !matches!(settings.log.level, LogLevel::Debug | LogLevel::Trace) {
        settings.log.level = LogLevel::Warn;
    }
    super::serve::start_log(&settings);
    let files = Files::read(&args.files, &settings).map_err(anyhow::Error::from)?;
    let options = options(&args)?;
    let progress = Progress::of_stderr();
    if let Some(runs) = args.aa {
        let mut show = |run: u32| progress.show(&format!("run {run} of {runs}"));
        let done = replay::rehearse(files, settings, &options, runs, args.seed, &mut show).await?;
        progress.clear();
        for one in &done {
            say(&if args.json { json_aa(one, args.seed) } else { text_aa(one, args.seed) });
        }
        return Ok(0);
    }
    let mut show = |at: Timestamp| progress.show(&at.to_string());
    let played = replay::replay(files, settings, &options, &mut show).await?;
    progress.clear();
    let shown = played.entries.iter().filter(|entry| is_shown(&args, entry));
    for entry in shown {
        say(&if args.json { json_line(entry) } else { text(entry, Style::of_stdout()) });
    }
    for (id, life) in &played.standings {
        let last = last_said(&played, id, life);
        say(&if args.json { json_end(id, life, last) } else { end(id, life, last) });
    }
    about_the_run(&played, options.every);
    let failed = played.told.values().any(|told| !told.failures.is_empty());
    Ok(match failed {
        true => UNREACHABLE,
        false if args.exit_code => worst(&played),
        false => 0,
    })
}

fn options(args: &ReplayArgs) -> Result<Options, Failure> {
    let every = Span::parse(&args.every).filter(|every| every.ms >= 1_000).ok_or_else(|| {
        Failure::usage(format!("--every {}: write a span of at least 1s, as 1h", args.every))
    })?;
    Ok(Options {
        from: args.from.as_deref().map(|text| instant("--from", text, false)).transpose()?,
        to: match &args.to {
            Some(text) => instant("--to", text, true)?,
            None => SystemClock.wall_now(),
        },
        stop_when_over: args.to.is_none(),
        every,
    })
}

/// A date or an instant; a date that ends something is the end of that day, as in files.
fn instant(flag: &str, text: &str, is_end: bool) -> Result<Timestamp, Failure> {
    let at = contract::instant(text, &TimeZone::UTC).map_err(|why| {
        let fix = "write 2026-08-01 (UTC) or 2026-08-01T00:00:00Z";
        Failure::usage(format!("{flag} {text}: {why}; {fix}"))
    })?;
    let is_date = text.trim().len() == 10;
    Ok(if is_end && is_date { add_ms(at, judge::time::DAY_MS) } else { at })
}

fn is_shown(args: &ReplayArgs, entry: &Entry) -> bool {
    match &entry.kind {
        Kind::Guardrail(..) => true,
        Kind::Look(finding, _) => args.all || finding.is_change || is_final(finding),
        Kind::Message { .. } => args.messages,
    }
}

fn is_final(finding: &Finding) -> bool {
    matches!(finding.verdict.as_str(), "continue" | "change" | "stop")
}

fn text(entry: &Entry, style: Style) -> String {
    let at = entry.at.strftime("%Y-%m-%d %H:%M");
    let lead = " ".repeat(18);
    match &entry.kind {
        Kind::Guardrail(status, finding) => {
            let state = style.verdict(&word(&status.state));
            let line = format!("{at}  guardrail {} {state}", status.name);
            let verdict = match finding.verdict.as_str() {
                "stop" => wrapped(&lead, &lead, &finding.headline),
                _ => wrapped(&lead, &lead, &seen(status)),
            };
            format!("{line} ({})\n{verdict}", entry.experiment)
        }
        Kind::Look(finding, movements) => {
            let verdict = style.verdict(&format!("{}: {}", finding.verdict, finding.cause));
            let line = format!("{at}  {verdict} ({})\n", entry.experiment);
            let why = wrapped(&lead, &lead, &finding.headline);
            let states = movements.iter().map(|one| format!("{} {}", one.signal, word(&one.state)));
            let states = wrapped(&lead, &lead, &states.collect::<Vec<_>>().join(", "));
            format!("{line}{why}{states}")
        }
        Kind::Message { event, endpoint, is_action, headline } => {
            let would = if *is_action { "would call" } else { "would send" };
            let text = format!("{would} {event} to {endpoint}: {headline}");
            wrapped(&format!("{at}  "), &lead, &text)
        }
    }
}

/// What a guardrail saw.
fn seen(status: &GuardrailStatus) -> String {
    match (status.bad, status.total, status.value, &status.why) {
        (Some(bad), Some(total), ..) => format!("{bad} of {total}"),
        (.., Some(why)) => why.clone(),
        (_, _, Some(value), None) => value.to_string(),
        _ => "nothing seen".to_owned(),
    }
}

/// What stands at the end: verdict and cause as in records, and when. A hold is no verdict that a
/// life keeps, but it is what the newest look said.
type Said = (String, String, Timestamp);

fn last_said(played: &Replayed, id: &str, life: &LifeState) -> Option<Said> {
    if let Some((verdict, cause, at)) = life.verdict {
        return Some((word(&verdict), word(&cause), at));
    }
    let mut looks = played.entries.iter().rev().filter(|entry| entry.experiment == id);
    let newest = looks.find_map(|entry| match &entry.kind {
        Kind::Look(finding, _) => Some((finding, entry.at)),
        _ => None,
    });
    let (finding, at) = newest.filter(|(finding, _)| finding.verdict == word(&Verdict::Hold))?;
    Some((finding.verdict.clone(), finding.cause.clone(), at))
}

/// The highest code of all experiments.
fn worst(played: &Replayed) -> u8 {
    let hold = super::eval::code_of(Verdict::Hold, Cause::DataMissing);
    let of = |(id, life): (&String, &LifeState)| match last_said(played, id, life) {
        Some((verdict, ..)) if verdict == word(&Verdict::Hold) => hold,
        _ => code(life),
    };
    played.standings.iter().map(of).max().unwrap_or(75)
}

fn end(id: &str, life: &LifeState, last: Option<Said>) -> String {
    let verdict = last.map_or_else(
        || "no verdict".to_owned(),
        |(verdict, cause, at)| {
            let day = at.strftime("%Y-%m-%d %H:%M");
            format!("{verdict}: {cause} of {day}")
        },
    );
    let lead = " ".repeat(18);
    wrapped("end               ", &lead, &format!("{id}: {}, {verdict}", word(&life.life)))
}

fn json_line(entry: &Entry) -> String {
    let (at, experiment) = (entry.at.to_string(), &entry.experiment);
    let value = match &entry.kind {
        Kind::Guardrail(status, finding) => json!({
            "type": "guardrail", "at": at, "experiment": experiment, "guardrail": status.name,
            "state": status.state, "value": status.value, "limit": status.limit,
            "bad": status.bad, "total": status.total, "verdict": finding.verdict,
            "cause": finding.cause, "headline": finding.headline,
        }),
        Kind::Look(finding, movements) => json!({
            "type": "look", "at": at, "experiment": experiment, "verdict": finding.verdict,
            "cause": finding.cause, "headline": finding.headline, "because": finding.because,
            "cycle": finding.cycle, "changed": finding.is_change,
            "at_checkpoint": finding.at_checkpoint, "alarms": finding.alarms,
            "signals": movements.iter().map(movement).collect::<Vec<_>>(),
        }),
        Kind::Message { event, endpoint, is_action, headline } => json!({
            "type": if *is_action { "action" } else { "message" }, "at": at,
            "experiment": experiment, "event": event, "endpoint": endpoint, "headline": headline,
        }),
    };
    format!("{}\n", canonical_json(&value))
}

fn movement(one: &Movement) -> Value {
    let ends = |interval: Interval| {
        let end = |open: bool, value: f64| if open { Value::Null } else { json!(value) };
        json!([
            end(interval.lo_unbounded(), interval.lo),
            end(interval.hi_unbounded(), interval.hi)
        ])
    };
    json!({
        "signal": one.signal, "state": one.state, "estimate": one.estimate,
        "interval": one.interval.map(ends), "p_seq": one.p_seq, "n": one.n,
    })
}

fn json_end(id: &str, life: &LifeState, last: Option<Said>) -> String {
    let verdict = last.map(
        |(verdict, cause, at)| json!({"verdict": verdict, "cause": cause, "at": at.to_string()}),
    );
    let value = json!({
        "type": "end", "experiment": id, "life": life.life, "cycle": life.cycle.number,
        "last": verdict,
    });
    format!("{}\n", canonical_json(&value))
}

/// The share that is seen in none of so many runs with a chance of 5 %.
fn unseen(runs: u32) -> f64 {
    1.0 - 0.05_f64.powf(1.0 / f64::from(runs.max(1)))
}

fn text_aa(done: &Rehearsed, seed: u64) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let maybe = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    let rows: Vec<Vec<String>> = done
        .rows
        .iter()
        .map(|row| {
            let share = match row.se {
                // None, or all, of few runs: what it may be all the same, at 95 %.
                0.0 if row.share == 0.0 => format!("0.0 % (up to {})", percent(unseen(done.runs))),
                0.0 => {
                    format!("{} (from {})", percent(row.share), percent(1.0 - unseen(done.runs)))
                }
                se => format!("{} +- {}", percent(row.share), percent(se)),
            };
            vec![row.what.clone(), share, maybe(row.allowed), maybe(row.naive)]
        })
        .collect();
    let head = format!(
        "{}: {} runs without an effect, seed {seed}, {:.1} looks each\n",
        done.experiment, done.runs, done.looks
    );
    let unchanged = match done.unchanged.as_slice() {
        [] => String::new(),
        names => wrapped(
            "",
            "",
            &format!(
                "left as they are, since they are compared with nothing: {}",
                names.join(", ")
            ),
        ),
    };
    let too_even = match done.too_even.as_slice() {
        [] => String::new(),
        names => wrapped(
            "",
            "",
            &format!(
                "too low for real users: the periods of {} differ by less than chance alone would \
                 make them (invented or smoothed numbers?)",
                names.join(", ")
            ),
        ),
    };
    let left_out = "guardrails with sources of their own are left out\n\
                    made from this data: the effect is taken off as one difference; what it did \n\
                    more in some periods than in others stays as spread\n";
    let columns = ["SAID AT ANY LOOK", "SHARE OF RUNS", "ALLOWED", "NAIVE |z| > 1.96"];
    format!("{head}{}{unchanged}{too_even}{left_out}", table(&columns, &rows))
}

fn json_aa(done: &Rehearsed, seed: u64) -> String {
    let rows = done.rows.iter().map(|row| {
        json!({
            "what": row.what, "count": row.count, "share": row.share, "se": row.se,
            "allowed": row.allowed, "naive": row.naive,
        })
    });
    let value = json!({
        "type": "aa", "experiment": done.experiment, "runs": done.runs, "seed": seed,
        "looks": done.looks, "rows": rows.collect::<Vec<_>>(), "unchanged": done.unchanged,
        "too_even": done.too_even,
    });
    format!("{}\n", canonical_json(&value))
}

/// What the reader must know about this run, on standard error.
fn about_the_run(played: &Replayed, every: Span) {
    let asked: u64 = played.told.values().map(|told| told.asked).sum();
    let (from, to) = (played.from, played.reached);
    complain(&format!(
        "replayed {from} to {to}; guardrails at most every {every}; {asked} questions to sources; \
         nothing sent"
    ));
    complain(
        "note: data is seen as it stands now. What was corrected or came late since cannot be \
         told from what stood there then",
    );
    for (source, told) in &played.told {
        for name in &told.timeless {
            complain(&format!(
                "note: `{name}` ({source}) carries no times: every look saw today's"
            ));
        }
        for failure in &told.failures {
            complain(&format!("verdictd: source `{source}`: {failure}"));
        }
    }
}

/// Exit code of the last verdict.
fn code(life: &LifeState) -> u8 {
    match life.verdict {
        Some((verdict, cause, _)) => super::eval::code_of(verdict, cause),
        None => super::eval::code_of(Verdict::Collecting, Cause::OnTrack),
    }
}
