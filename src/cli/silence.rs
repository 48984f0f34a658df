//! `verdictd silence add|list|end`: holds messages back for a while, with a name and a reason.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use judge::time::{Span, Timestamp, add_ms};
use serde_json::json;

use super::output::{Failure, say, say_json, table};
use super::{SettingsArgs, open_store};
use crate::clock::{Clock as _, SystemClock};
use crate::cycle::policy::{self, By, NewSilence, PolicyError, Seen, Silenced};
use crate::deliver::policy::{Matcher, Severity};
use crate::store::{SilenceRow, Store};

/// Hold messages back for a while; never a tripwire
#[derive(Debug, Subcommand)]
pub(super) enum SilenceCommand {
    /// Silence what matches everything that is named here
    Add(Box<AddArgs>),
    /// Hold back what is said about the thing of one notice; once for each notice
    Snooze {
        /// Notice id, as messages and `notify why --json` name it
        notice: String,
        /// How long, in whole hours, such as 4h or 2d; default: notify.snooze_hours
        #[arg(long = "for", value_name = "SPAN")]
        span: Option<String>,
        /// Who snoozes
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why; stays in the log
        #[arg(long)]
        because: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// List silences, newest first
    List {
        /// Those that are over as well
        #[arg(long)]
        all: bool,
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// End a silence now; what is still wrong is told once
    End {
        /// Its id (sil_...)
        id: String,
        /// Who ends it
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why; stays in the log
        #[arg(long)]
        because: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Silence what matches everything that is named here
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Experiment id, as a pattern
    #[arg(long, value_name = "PATTERN")]
    experiment: Option<String>,
    /// Owner's name or contact, as a pattern
    #[arg(long, value_name = "PATTERN")]
    owner: Option<String>,
    /// Label, as --label team=growth; may be repeated
    #[arg(long, value_name = "NAME=PATTERN")]
    label: Vec<String>,
    /// Verdict; may be repeated
    #[arg(long)]
    verdict: Vec<String>,
    /// Cause of a verdict; may be repeated
    #[arg(long)]
    cause: Vec<String>,
    /// Event type, as a pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    kind: Vec<String>,
    /// Alarm, as a pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    alarm: Vec<String>,
    /// low, normal, high; may be repeated
    #[arg(long)]
    severity: Vec<String>,
    /// How long, such as 4h or 2d; at most 30d
    #[arg(long = "for", value_name = "SPAN", required_unless_present = "until")]
    span: Option<String>,
    /// Until when (RFC 3339)
    #[arg(long, conflicts_with = "span")]
    until: Option<Timestamp>,
    /// Who silences
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; stays in the log
    #[arg(long)]
    because: String,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Whoever may write the store file is trusted with the name; the API asks for a token instead.
pub(super) async fn run(command: SilenceCommand) -> Result<u8, Failure> {
    match command {
        SilenceCommand::Add(args) => add(*args).await,
        SilenceCommand::Snooze { notice, span, by, because, settings } => {
            let settings = settings.settings()?;
            let hours = match span.as_deref() {
                Some(text) => whole_hours(text)?,
                None => settings.notify.snooze_hours,
            };
            let store = Store::open(&settings.store.path)?;
            let (who, because) = (by.as_str(), because.as_str());
            let seen = Seen { notice: &notice, who, because, by: By::Terminal };
            snooze(&store, seen, hours).await
        }
        SilenceCommand::List { all, json, settings } => list(all, json, &settings).await,
        SilenceCommand::End { id, by, because, settings } => {
            let store = Store::open(&settings.settings()?.store.path)?;
            let ended = policy::end_silence(&store, &SystemClock, &id, &by, &because);
            let row = ended.await.map_err(failure)?;
            let withheld = row.withheld;
            say(&format!("ended {id}; it held back {withheld} messages\n"));
            Ok(0)
        }
    }
}

/// Snoozes and says until when; a second time says who was first.
pub(super) async fn snooze(store: &Store, seen: Seen<'_>, hours: u64) -> Result<u8, Failure> {
    let made = policy::snooze(store, &SystemClock, seen, hours).await.map_err(failure)?;
    let (word, row) = match made {
        Silenced::Fresh(row) => ("snoozed", row),
        Silenced::Already(row) => ("already snoozed", row),
    };
    say(&format!("{word} by {} until {} ({})\n", row.author, row.over_at(), row.id));
    Ok(0)
}

fn whole_hours(text: &str) -> Result<u64, Failure> {
    let hour_ms = Span::hours(1).ms;
    let span = Span::parse(text).filter(|span| span.ms > 0 && span.ms % hour_ms == 0);
    let hours = span.and_then(|span| u64::try_from(span.ms / hour_ms).ok());
    hours.ok_or_else(|| Failure::usage(format!("--for {text}: write whole hours, as 4h or 2d")))
}

pub(super) fn failure(error: PolicyError) -> Failure {
    match error {
        PolicyError::Store(error) => error.into(),
        other => Failure::usage(other.to_string()),
    }
}

async fn add(args: AddArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let matcher = matcher(&args)?;
    let ends_at = match (&args.span, args.until) {
        (Some(text), _) => {
            let span = Span::parse(text)
                .ok_or_else(|| Failure::usage(format!("--for {text}: write 4h or 2d")))?;
            add_ms(SystemClock.wall_now(), span.ms)
        }
        (None, until) => until.unwrap_or_else(|| SystemClock.wall_now()),
    };
    let store = Store::open(&settings.store.path)?;
    let words = matcher.words();
    let (who, reason) = (args.by.as_str(), args.because.as_str());
    let new = NewSilence { matcher, ends_at, who, reason, by: By::Terminal, id: None };
    let made = policy::add_silence(&store, &SystemClock, new).await.map_err(failure)?;
    let (Silenced::Fresh(row) | Silenced::Already(row)) = made;
    say(&format!("{} silences {words} until {}; never a tripwire\n", row.id, row.ends_at));
    Ok(0)
}

fn matcher(args: &AddArgs) -> Result<Matcher, Failure> {
    let mut labels = BTreeMap::new();
    for pair in &args.label {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--label {pair}: write NAME=PATTERN")));
        };
        labels.insert(name.to_owned(), value.to_owned());
    }
    let severity = |word: &String| {
        serde_json::from_value::<Severity>(word.clone().into())
            .map_err(|_| Failure::usage(format!("--severity {word}: low, normal, high or page")))
    };
    Ok(Matcher {
        experiment: args.experiment.clone(),
        owner: args.owner.clone(),
        labels,
        verdict: args.verdict.clone(),
        cause: args.cause.clone(),
        kind: args.kind.clone(),
        alarm: args.alarm.clone(),
        severity: args.severity.iter().map(severity).collect::<Result<_, _>>()?,
        topic: None,
    })
}

async fn list(all: bool, as_json: bool, settings: &SettingsArgs) -> Result<u8, Failure> {
    let store = open_store(&settings.settings()?)?;
    let now = SystemClock.wall_now();
    let rows = store.all_silences().await?;
    let rows: Vec<_> = rows.into_iter().filter(|row| all || now < row.over_at()).collect();
    if as_json {
        let rows: Vec<_> = rows.iter().map(|row| crate::http::silence_json(row, now)).collect();
        say_json(&json!({"schema": "verdictd/silences/1", "silences": rows}));
        return Ok(0);
    }
    if rows.is_empty() {
        say("nothing is silenced\n");
        return Ok(0);
    }
    let cells: Vec<_> = rows.iter().map(|row| cells(row, now)).collect();
    say(&table(&["ID", "UNTIL", "HELD", "BY", "WHAT", "BECAUSE"], &cells));
    Ok(0)
}

fn cells(row: &SilenceRow, now: Timestamp) -> Vec<String> {
    let matcher: Matcher = serde_json::from_str(&row.matcher_json).unwrap_or_default();
    let over = if now < row.over_at() { "" } else { " (over)" };
    vec![
        row.id.clone(),
        format!("{}{over}", row.over_at().strftime("%Y-%m-%d %H:%M UTC")),
        row.withheld.to_string(),
        row.author.clone(),
        matcher.words(),
        row.reason.clone(),
    ]
}
