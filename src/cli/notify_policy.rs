//! `verdictd notify route` and `why`: who would hear something, and who did not and why.

use clap::Args;
use judge::notice::NoticeKind;
use judge::time::Timestamp;
use serde_json::json;

use super::output::{Failure, say, say_json, table, wrapped};
use super::silence::{failure, snooze};
use super::{SettingsArgs, open_store};
use crate::clock::{Clock as _, SystemClock};
use crate::cycle::policy::{self as human, Acknowledged, By, Seen};
use crate::deliver::policy::{
    self, Facts, Fate, Ground, KINDS, People, Ruling, Severity, Standing, severity,
};
use crate::portfolio::{Names, Portfolio};
use crate::settings::Settings;
use crate::store::{Delivery, DeliveryFilter, Store};

/// Say who would hear about an experiment
#[derive(Debug, Args)]
pub(super) struct RouteArgs {
    /// Experiment id
    experiment: String,
    /// Only this event type, such as guardrail.burning; default: one line for each
    #[arg(long)]
    kind: Option<String>,
    /// Cause of a verdict, such as tripped
    #[arg(long)]
    cause: Option<String>,
    /// An alarm, such as overdue_review, for alarm.raised and alarm.cleared
    #[arg(long)]
    alarm: Option<String>,
    /// As of this instant (RFC 3339); default: now
    #[arg(long)]
    at: Option<Timestamp>,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Say what became of what was said
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// Experiment id, or `source:NAME`, `file:NAME`, `portfolio`
    experiment: String,
    /// At most so many messages
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Record that a notice was seen
#[derive(Debug, Args)]
pub(super) struct AckArgs {
    /// Notice id, as messages and `notify why --json` name it
    notice: String,
    /// Who has seen it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// What is done about it; stays in the log
    #[arg(long)]
    because: String,
    /// Hold back everything about the same thing for so many hours instead
    #[arg(long, value_name = "HOURS")]
    snooze: Option<u64>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Whose an experiment is and whom its file names.
struct Whose {
    people: People,
    notify: Vec<String>,
}

/// Asks the same decision as the daemon, with the silences of its store.
pub(super) async fn route(args: RouteArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let policy = settings.policy().map_err(|faults| Failure::usage(faults.join("\n")))?;
    let whose = whose(&settings, &args.experiment)?;
    let now = args.at.unwrap_or_else(|| SystemClock.wall_now());
    let mut standing = Standing::default();
    if settings.store.path.exists() {
        standing.silences = policy::silences(&open_store(&settings)?.silences(now).await?);
    }
    let receivers = settings.receivers.keys().cloned().collect();
    let mut answers = Vec::new();
    for kind in kinds(args.kind.as_deref())? {
        let facts = facts(kind, &args, &whose.people);
        let ground = Ground {
            policy: &policy,
            standing: &standing,
            notify: if kind.is_about_delivery() { keepers(&settings) } else { &whose.notify },
            operators: &settings.daemon.operators,
            receivers: &receivers,
            now,
        };
        let rulings = policy::decide(&facts, ground);
        answers.push((kind, facts.severity, rulings));
    }
    if args.json {
        say_json(&json!({
            "schema": "verdictd/route/1",
            "experiment": args.experiment,
            "at": now.to_string(),
            "kinds": answers.iter().map(as_json).collect::<Vec<_>>(),
        }));
        return Ok(0);
    }
    let mut rows = Vec::new();
    for (kind, severity, rulings) in &answers {
        rows.extend(rulings.iter().map(|ruling| {
            vec![
                kind.as_str().to_owned(),
                severity.as_str().to_owned(),
                if ruling.receiver.is_empty() {
                    "(nobody)".to_owned()
                } else {
                    ruling.receiver.clone()
                },
                fate_words(&ruling.fate),
                ruling.reason.clone(),
            ]
        }));
    }
    say(&table(&["KIND", "SEVERITY", "RECEIVER", "WHEN", "WHY"], &rows));
    Ok(0)
}

fn as_json((kind, severity, rulings): &(NoticeKind, Severity, Vec<Ruling>)) -> serde_json::Value {
    let rulings: Vec<_> = rulings
        .iter()
        .map(|ruling| {
            json!({
                "receiver": (!ruling.receiver.is_empty()).then_some(&ruling.receiver),
                "fate": fate_words(&ruling.fate),
                "reason": ruling.reason,
            })
        })
        .collect();
    json!({"kind": kind.as_str(), "severity": severity.as_str(), "receivers": rulings})
}

fn fate_words(fate: &Fate) -> String {
    match fate {
        Fate::Send => "at once".to_owned(),
        Fate::Queue { until } => format!("waits until {until}"),
        Fate::Digest(name) => format!("in digest {name}"),
        Fate::Silenced(id) => format!("never: {id}"),
        Fate::NotRouted => "never".to_owned(),
    }
}

fn kinds(word: Option<&str>) -> Result<Vec<NoticeKind>, Failure> {
    let Some(word) = word else {
        return Ok(KINDS.into_iter().filter(|kind| *kind != NoticeKind::Test).collect());
    };
    let found = KINDS.into_iter().find(|kind| kind.as_str() == word);
    let known: Vec<_> = KINDS.iter().map(|kind| kind.as_str()).collect();
    found.map(|kind| vec![kind]).ok_or_else(|| {
        Failure::usage(format!("`{word}` is no event type; there are: {}", known.join(", ")))
    })
}

/// What the daemon would know of such a notice.
fn facts(kind: NoticeKind, args: &RouteArgs, people: &People) -> Facts {
    let verdict = kind.as_str().strip_prefix("experiment.verdict.").map(str::to_owned);
    let cause = args.cause.clone().filter(|_| verdict.is_some());
    let alarms = match kind {
        NoticeKind::ProxyWithoutOutcome => vec!["proxy_without_outcome".to_owned()],
        NoticeKind::SplitMismatch => vec!["srm".to_owned()],
        NoticeKind::SourceDown | NoticeKind::SourceRecovered => vec!["source_down".to_owned()],
        NoticeKind::DataStale | NoticeKind::DataRecovered => vec!["stale".to_owned()],
        NoticeKind::AlarmRaised | NoticeKind::AlarmCleared => args.alarm.iter().cloned().collect(),
        _ => Vec::new(),
    };
    // Sources, files and receivers belong to nobody.
    let is_of_nobody = kind.is_about_delivery()
        || matches!(
            kind,
            NoticeKind::SourceDown | NoticeKind::SourceRecovered | NoticeKind::FileBroken
        );
    let experiment = if is_of_nobody { String::new() } else { args.experiment.clone() };
    let people = if is_of_nobody { People::default() } else { people.clone() };
    Facts {
        kind,
        experiment,
        people,
        severity: severity(kind, cause.as_deref(), false),
        verdict,
        cause,
        alarms,
        topic: String::new(),
    }
}

/// Who hears how receivers do, as the worker addresses it: one that is in trouble is left out.
fn keepers(settings: &Settings) -> &[String] {
    let fallback = &settings.delivery.fallback;
    if fallback.is_empty() { &settings.daemon.operators } else { std::slice::from_ref(fallback) }
}

/// Of the file in the settings' folder.
fn whose(settings: &Settings, experiment: &str) -> Result<Whose, Failure> {
    let names = Names { timezone: settings.daemon.timezone.clone(), ..Names::default() };
    let portfolio = Portfolio::default();
    let folder = &settings.daemon.experiments;
    let scan = portfolio
        .scan(folder, &names)
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let mut loaded = scan.loaded.into_iter();
    let found = loaded.find(|loaded| loaded.experiment.id == experiment).ok_or_else(|| {
        Failure::usage(format!("no experiment `{experiment}` in {}", folder.display()))
    })?;
    let experiment = found.experiment;
    Ok(Whose { people: People::of(&experiment), notify: experiment.notify })
}

/// Acknowledges or snoozes; a second time says who was first.
pub(super) async fn ack(args: AckArgs) -> Result<u8, Failure> {
    let store = Store::open(&args.settings.settings()?.store.path)?;
    let (who, because) = (args.by.as_str(), args.because.as_str());
    let seen = Seen { notice: &args.notice, who, because, by: By::Terminal };
    if let Some(hours) = args.snooze {
        return snooze(&store, seen, hours).await;
    }
    let made = human::acknowledge(&store, &SystemClock, seen).await.map_err(failure)?;
    let (word, ack) = match made {
        Acknowledged::Fresh(ack) => ("acknowledged", ack),
        Acknowledged::Already(ack) => ("already acknowledged", ack),
    };
    say(&format!("{word} by {} at {}\n", ack.who, ack.at));
    Ok(0)
}

/// Every message about the experiment with its fate, newest first.
pub(super) async fn why(args: WhyArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = open_store(&settings)?;
    let filter = DeliveryFilter {
        partition: Some(args.experiment.clone()),
        limit: args.limit as usize,
        ..DeliveryFilter::default()
    };
    let rows = store.deliveries(filter).await?;
    if args.json {
        let rows: Vec<_> = rows.iter().map(crate::http::told_json).collect();
        say_json(&json!({"schema": "verdictd/told/1", "messages": rows}));
        return Ok(0);
    }
    if rows.is_empty() {
        say(&format!("nothing was ever said about `{}`\n", args.experiment));
    }
    for row in &rows {
        say(&said(row));
    }
    Ok(0)
}

fn said(row: &Delivery) -> String {
    let message = &row.row;
    let receiver = if message.endpoint.is_empty() { "(nobody)" } else { &message.endpoint };
    let mut text = format!(
        "{} {} {receiver}: {}\n",
        message.created_at,
        message.kind,
        row.state.as_str().replace('_', " ")
    );
    let mut line = |words: &str| text.push_str(&wrapped("  ", "    ", words));
    if !message.told.reason.is_empty() {
        line(&format!("because {}", message.told.reason));
    }
    if message.not_before > message.created_at {
        line(&format!("not before {}", message.not_before));
    }
    if let Some(note) = &row.note {
        line(note);
    }
    if let Some(by) = &row.superseded_by {
        line(&format!("said by {by}"));
    }
    line(&message.id);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_receivers_do_is_told_to_the_fallback_and_never_to_an_experiment() {
        let mut settings = Settings::defaults().unwrap();
        settings.daemon.operators = vec!["oncall".to_owned()];
        assert_eq!(keepers(&settings), ["oncall"]);
        settings.delivery.fallback = "mail".to_owned();
        assert_eq!(keepers(&settings), ["mail"]);
        let args = RouteArgs {
            experiment: "copy".to_owned(),
            kind: None,
            cause: None,
            alarm: None,
            at: None,
            json: false,
            settings: SettingsArgs::default(),
        };
        let people = People { owner: "Growth lead".to_owned(), ..People::default() };
        for (kind, whose) in [
            (NoticeKind::EndpointDegraded, ""),
            (NoticeKind::ClockSkewed, ""),
            (NoticeKind::SourceDown, ""),
            (NoticeKind::VerdictHold, "copy"),
            (NoticeKind::EngineFault, "copy"),
        ] {
            let facts = facts(kind, &args, &people);
            assert_eq!(facts.experiment, whose, "{kind:?}");
            assert_eq!(facts.people == people, !whose.is_empty(), "{kind:?}");
        }
    }
}
