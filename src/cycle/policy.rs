//! What people say about messages: silence, acknowledge, snooze. The same rules for the API, the
//! pages, the links and the terminal; name and reason are required and stay in the decision log.

use judge::ids;
use judge::time::{Timestamp, add_ms};

use crate::clock::Clock;
use crate::deliver::policy::Matcher;
use crate::plain;
use crate::store::{AckRow, Entry, LogEntry, OutboxRow, SilenceRow, Store, StoreError};

/// Longest silence.
pub const MOST_DAYS: i64 = 30;
const HOUR_MS: i64 = 3_600_000;
/// Longest name and longest reason, in characters.
const MAX_NAME: usize = 200;
const MAX_REASON: usize = 2_000;
/// Log entries of silences that name no single experiment.
const EVERYTHING: &str = "portfolio";

/// How a name came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By a token of the settings.
    Token,
    /// From whoever may write the store's file.
    Terminal,
    /// By a button in Slack: Slack signs who pressed it.
    Slack,
    /// From the form behind a signed link: the link is proven, the name is not.
    Link,
}

impl By {
    fn is_authenticated(self) -> bool {
        self != Self::Link
    }

    fn words(self) -> &'static str {
        match self {
            Self::Token => "",
            Self::Terminal => " (at the terminal)",
            Self::Slack => " (by a button in Slack)",
            Self::Link => " (by the link of a message; the name was not checked)",
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The rules refuse it.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// It is over already.
    #[error("{0}")]
    Over(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn refused(words: impl Into<String>) -> PolicyError {
    PolicyError::Refused(words.into())
}

/// Somebody has seen a notice.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Notice id.
    pub notice: &'a str,
    /// Who.
    pub who: &'a str,
    /// What is done about it.
    pub because: &'a str,
    /// How the name came to us.
    pub by: By,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// Written.
    Fresh(AckRow),
    /// Somebody was faster.
    Already(AckRow),
}

/// Records that a notice was seen: repeats of it stop. Nothing else changes.
pub async fn acknowledge(
    store: &Store,
    clock: &dyn Clock,
    seen: Seen<'_>,
) -> Result<Acknowledged, PolicyError> {
    let (who, because) = signed(seen.who, seen.because)?;
    let row = notice(store, seen.notice).await?;
    let ack = AckRow {
        notice_id: seen.notice.to_owned(),
        partition: row.partition.clone(),
        topic: row.told.topic.clone(),
        who,
        authenticated: seen.by.is_authenticated(),
        because,
        at: clock.wall_now(),
    };
    let entry = LogEntry {
        at: clock.domain_now(),
        kind: "notice.acknowledged".to_owned(),
        who: Some(ack.who.clone()),
        verdict: None,
        because: Some(ack.because.clone()),
        text: format!(
            "{}{} has seen {} ({}): it is not told again until it is over\nbecause {}\nby message \
             {}",
            ack.who,
            seen.by.words(),
            row.kind,
            row.told.topic,
            ack.because,
            row.id
        ),
        evaluation_id: None,
    };
    Ok(match store.acknowledge_notice(ack.clone(), entry).await? {
        None => Acknowledged::Fresh(ack),
        Some(before) => Acknowledged::Already(before),
    })
}

/// What came of a snooze or a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silenced {
    /// Made.
    Fresh(SilenceRow),
    /// It was there already.
    Already(SilenceRow),
}

/// Holds back what is said about the same thing for a while; once per notice.
pub async fn snooze(
    store: &Store,
    clock: &dyn Clock,
    seen: Seen<'_>,
    hours: u64,
) -> Result<Silenced, PolicyError> {
    let most = MOST_DAYS.unsigned_abs() * 24;
    if !(1..=most).contains(&hours) {
        return Err(refused(format!("a snooze may last 1 to {most} hours")));
    }
    let row = notice(store, seen.notice).await?;
    if !row.told.lasting {
        return Err(refused("this message says nothing that lasts: there is nothing to snooze"));
    }
    let content: serde_json::Value = serde_json::from_str(&row.content).unwrap_or_default();
    let experiment = content["data"]["experiment"]["id"].as_str().map(str::to_owned);
    let matcher = Matcher { experiment, topic: Some(row.told.topic.clone()), ..Matcher::default() };
    let new = NewSilence {
        matcher,
        ends_at: add_ms(clock.wall_now(), i64::try_from(hours).unwrap_or(24) * HOUR_MS),
        who: seen.who,
        reason: seen.because,
        by: seen.by,
        id: Some(snooze_id(seen.notice)),
    };
    add_silence(store, clock, new).await
}

/// A silence to be made.
#[derive(Debug, Clone)]
pub struct NewSilence<'a> {
    /// What it means; must not be everything.
    pub matcher: Matcher,
    /// When it ends, at most 30 days from now (wall time).
    pub ends_at: Timestamp,
    /// Who makes it.
    pub who: &'a str,
    /// Why.
    pub reason: &'a str,
    /// How the name came to us.
    pub by: By,
    /// Its id where it can be made only once.
    pub id: Option<String>,
}

/// Makes a silence, with its entry in the decision log.
pub async fn add_silence(
    store: &Store,
    clock: &dyn Clock,
    new: NewSilence<'_>,
) -> Result<Silenced, PolicyError> {
    let (who, reason) = signed(new.who, new.reason)?;
    let now = clock.wall_now();
    if new.matcher.is_empty() {
        return Err(refused("a silence must name something: an experiment, a label, a kind, ..."));
    }
    let faults = new.matcher.faults();
    if !faults.is_empty() {
        return Err(refused(faults.join("; ")));
    }
    if !new.matcher.can_hold() {
        return Err(refused(
            "this silence could hold nothing back: it names tripwires only, and they are always \
             told",
        ));
    }
    if new.ends_at <= now {
        return Err(refused("a silence must end in the future"));
    }
    if new.ends_at > add_ms(now, MOST_DAYS * 24 * HOUR_MS) {
        return Err(refused(format!("a silence may last {MOST_DAYS} days at most")));
    }
    let matcher_json = serde_json::to_string(&new.matcher).unwrap_or_default();
    let id = new.id.clone().unwrap_or_else(|| {
        let now_ms = now.as_millisecond().to_string();
        format!("sil_{}", short(&["silence", new.who, &matcher_json, new.reason, &now_ms]))
    });
    let silence = SilenceRow {
        id,
        matcher_json,
        author: who,
        authenticated: new.by.is_authenticated(),
        reason,
        created_at: now,
        ends_at: new.ends_at,
        ended_at: None,
        ended_by: None,
        withheld: 0,
    };
    let text = format!(
        "{}{} silences {} until {} ({}); tripwires are told all the same\nbecause {}",
        silence.author,
        new.by.words(),
        new.matcher.words(),
        silence.ends_at,
        silence.id,
        silence.reason
    );
    let entry = entry(&new.matcher, "silence.created", &silence.author, &silence.reason, text);
    let entry = (entry.0, LogEntry { at: clock.domain_now(), ..entry.1 });
    Ok(match store.add_silence(silence.clone(), entry).await? {
        None => Silenced::Fresh(silence),
        Some(before) => Silenced::Already(before),
    })
}

/// Ends a silence before its time.
pub async fn end_silence(
    store: &Store,
    clock: &dyn Clock,
    id: &str,
    who: &str,
    because: &str,
) -> Result<SilenceRow, PolicyError> {
    let (who, because) = signed(who, because)?;
    let unknown = || PolicyError::Unknown(format!("no silence `{id}`"));
    let silence = store.silence(id).await?.ok_or_else(unknown)?;
    let matcher: Matcher = serde_json::from_str(&silence.matcher_json).unwrap_or_default();
    let text = format!(
        "{who} ends the silence of {} ({id}); it held back {} messages\nbecause {because}",
        matcher.words(),
        silence.withheld
    );
    let entry = entry(&matcher, "silence.ended", &who, &because, text);
    let entry = (entry.0, LogEntry { at: clock.domain_now(), ..entry.1 });
    if !store.end_silence(id, &who, clock.wall_now(), entry).await? {
        let words = format!("silence `{id}` is over since {}", silence.over_at());
        return Err(PolicyError::Over(words));
    }
    store.silence(id).await?.ok_or_else(unknown)
}

/// The log entry of a silence: with its experiment where it names one.
pub(super) fn entry(
    matcher: &Matcher,
    kind: &str,
    who: &str,
    because: &str,
    text: String,
) -> Entry {
    let exact = matcher.experiment.as_ref().filter(|id| !id.contains(['*', '?']));
    let entry = LogEntry {
        at: Timestamp::UNIX_EPOCH,
        kind: kind.to_owned(),
        who: (!who.is_empty()).then(|| who.to_owned()),
        verdict: None,
        because: Some(because.to_owned()),
        text,
        evaluation_id: None,
    };
    (exact.cloned().unwrap_or_else(|| EVERYTHING.to_owned()), entry)
}

/// A name and a reason, neither blank nor a book, each on one line: they stand in the log, on
/// pages and in messages, and whoever holds a link can write them.
fn signed(who: &str, because: &str) -> Result<(String, String), PolicyError> {
    let read = |what: &str, text: &str, most: usize| {
        let text = plain::line(text).trim().to_owned();
        if text.is_empty() {
            return Err(refused(format!("a {what} is required")));
        }
        if text.chars().count() > most {
            return Err(refused(format!("the {what} may have at most {most} characters")));
        }
        Ok(text)
    };
    Ok((read("name", who, MAX_NAME)?, read("because", because, MAX_REASON)?))
}

async fn notice(store: &Store, id: &str) -> Result<OutboxRow, PolicyError> {
    let row = store.notice_row(id).await?;
    row.ok_or_else(|| PolicyError::Unknown(format!("no message says notice `{id}`")))
}

/// The id of the snooze of a notice: there is one.
pub fn snooze_id(notice: &str) -> String {
    format!("sil_{}", short(&["snooze", notice]))
}

fn short(parts: &[&str]) -> String {
    ids::hash128(parts).chars().take(16).collect()
}
