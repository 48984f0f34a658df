//! The beat of the policy: what ends, what is due, what is still wrong.
//!
//! Reads what is in force before every turn, and after it tells once what a silence that is over
//! left unsaid, sends the digests of their slots and repeats what stays wrong. Every step writes
//! its messages in one transaction with the note that it was done; ids follow from what they are
//! about, so that a step that is run twice tells nothing twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use judge::analyse::GuardrailState;
use judge::lifecycle::{self, Life, LifeState};
use judge::notice::NoticeKind;
use judge::time::{Timestamp, add_ms};
use serde_json::Value;

use super::{policy as human, say};
use crate::app::Inner;
use crate::deliver::policy::{self, Digest, Facts, Fate, Matcher, People, Ruling, Standing, again};
use crate::deliver::policy::{digest, severity};
use crate::store::{ExperimentRow, LogEntry, OutboxRow, SilenceRow};

/// Owners and labels are read anew after so long: as often as files are.
const PEOPLE_MS: i64 = 5_000;
/// Repeats are looked for this often.
const REPEATS_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// What this process remembers between two beats, so that most ask the store nothing.
#[derive(Debug, Default)]
pub struct Beat {
    people_at_ms: AtomicI64,
    repeats_at_ms: AtomicI64,
    slots: Mutex<BTreeMap<String, Timestamp>>,
}

/// Puts the stored silences and the owners of the files in force.
pub async fn refresh(app: &Inner) -> anyhow::Result<()> {
    let now = app.clock.wall_now();
    let before = app.routes.standing.get();
    let silences = policy::silences(&app.store.silences(now).await?);
    let now_ms = now.as_millisecond();
    let is_old = (now_ms - app.beat.people_at_ms.load(Ordering::SeqCst)).abs() >= PEOPLE_MS;
    let people = if is_old || before.people.is_empty() {
        app.beat.people_at_ms.store(now_ms, Ordering::SeqCst);
        let all = app.portfolio.all().into_iter();
        all.map(|one| (one.experiment.id.clone(), People::of(&one.experiment))).collect()
    } else {
        before.people.clone()
    };
    let standing = Standing { silences, people };
    if *before != standing {
        app.routes.standing.put(standing);
    }
    Ok(())
}

/// Does what is due at the wall's instant; says how much it did.
pub async fn run_due(app: &Inner) -> anyhow::Result<usize> {
    let now = app.clock.wall_now();
    let done = settle(app, now).await? + digests(app, now).await? + repeats(app, now).await?;
    if done > 0 {
        app.worker.notify();
    }
    Ok(done)
}

/// Silences that are over: what is still wrong is told once.
async fn settle(app: &Inner, now: Timestamp) -> anyhow::Result<usize> {
    let over = app.store.unsettled_silences(now).await?;
    if over.is_empty() {
        return Ok(0);
    }
    refresh(app).await?;
    for silence in &over {
        let why = format!(
            "Told now because the silence of {} ended ({}).",
            silence.author, silence.reason
        );
        let mut rows = Vec::new();
        for row in left_unsaid(app, silence).await? {
            // Somebody has seen it: it is not told again while it stays as it is.
            if app.store.acknowledgement(&row.notice_id).await?.is_some() {
                continue;
            }
            let stands = row.kind.starts_with("experiment.verdict.") && !row.told.lasting;
            if stands || (row.told.lasting && is_still_on(app, &row).await?) {
                rows.extend(told_again(app, &row, &why, now));
            }
        }
        let entry = silence.ended_at.is_none().then(|| expired(app, silence, rows.len()));
        app.store.settle_silence(&silence.id, rows, entry).await?;
    }
    Ok(over.len())
}

/// What a silence held back and nobody heard since; a snooze is for one thing, which is told again
/// although nothing new was held back.
async fn left_unsaid(app: &Inner, silence: &SilenceRow) -> anyhow::Result<Vec<OutboxRow>> {
    let matcher: Matcher = serde_json::from_str(&silence.matcher_json).unwrap_or_default();
    Ok(match &matcher.topic {
        Some(topic) => app.store.lasting_of(topic, matcher.experiment.as_deref()).await?,
        None => app.store.unheard_of(&silence.id).await?,
    })
}

fn expired(app: &Inner, silence: &SilenceRow, told: usize) -> (String, LogEntry) {
    let matcher: Matcher = serde_json::from_str(&silence.matcher_json).unwrap_or_default();
    let text = format!(
        "the silence of {} ended ({}): {} messages were held back, {told} things are told now\n\
         because its time was over; it was made by {}: {}",
        matcher.words(),
        silence.id,
        silence.withheld,
        silence.author,
        silence.reason
    );
    let (partition, entry) = human::entry(&matcher, "silence.ended", "", "its time was over", text);
    (partition, LogEntry { at: app.clock.domain_now(), ..entry })
}

/// What was told long ago, is still wrong and nobody has acknowledged.
async fn repeats(app: &Inner, now: Timestamp) -> anyhow::Result<usize> {
    let hours = i64::try_from(app.settings.notify.repeat_after_hours).unwrap_or(0);
    let after_ms = hours * HOUR_MS;
    let looked_ms = app.beat.repeats_at_ms.load(Ordering::SeqCst);
    if after_ms == 0 || (now.as_millisecond() - looked_ms).abs() < REPEATS_MS {
        return Ok(0);
    }
    let mut rows = Vec::new();
    for row in app.store.lasting_rows(add_ms(now, -after_ms)).await? {
        let since = row.created_at.max(row.not_before);
        if again::is_due(since, after_ms, now) && is_still_on(app, &row).await? {
            rows.extend(told_again(app, &row, "Nobody has acknowledged it yet.", now));
        }
    }
    let count = rows.len();
    app.store.enqueue(rows).await?;
    app.beat.repeats_at_ms.store(now.as_millisecond(), Ordering::SeqCst);
    Ok(count)
}

/// The same message once more to the same receiver, if it is still one.
fn told_again(app: &Inner, row: &OutboxRow, why: &str, now: Timestamp) -> Option<OutboxRow> {
    let receiver = app.routes.receivers.get(&row.endpoint)?;
    let standing = app.routes.standing.get();
    let facts = again::facts_of(row, standing.people.get(&row.partition))?;
    let loaded = app.portfolio.get(&facts.experiment);
    // What belongs to no experiment stays with whom it was told.
    let notify = loaded
        .map_or_else(|| vec![row.endpoint.clone()], |loaded| loaded.experiment.notify.clone());
    let rulings = app.routes.rulings(&facts, &notify, now);
    let ruling: Ruling = rulings.into_iter().find(|one| one.receiver == row.endpoint)?;
    if ruling.fate == Fate::NotRouted {
        return None;
    }
    let links = |content: &mut Value| {
        app.routes.link(content, &facts, &row.notice_id, &row.partition, now);
    };
    let expire_ms = app.routes.expire_ms(&row.endpoint);
    Some(again::again(row, receiver, &ruling, why, expire_ms, now, &links))
}

/// Whether what a lasting message says is still so.
async fn is_still_on(app: &Inner, row: &OutboxRow) -> anyhow::Result<bool> {
    let (what, subject) = row.told.topic.split_once(':').unwrap_or((&row.told.topic, ""));
    match what {
        "source" => {
            let sources = app.store.sources().await?;
            return Ok(sources.iter().any(|it| it.name == subject && it.failing_since.is_some()));
        }
        "file" => {
            let broken = app.store.broken_files().await?;
            return Ok(broken.iter().any(|it| it.file == subject));
        }
        _ => {}
    }
    let keys: Vec<&str> = subject.split(", ").collect();
    if what == "alarm" {
        let open = app.store.open_alarms().await?;
        let is_there = |key: &str, whose: &str| {
            keys.contains(&key) && (whose == row.partition || row.partition == "portfolio")
        };
        if open.iter().any(|kept| is_there(&kept.key, &kept.experiment)) {
            return Ok(true);
        }
    }
    let Some(context) = app.store.context(&row.partition).await? else { return Ok(false) };
    let life: LifeState = serde_json::from_str(&context.life_json)?;
    if !lifecycle::guardrails_run(life.life) {
        return Ok(false);
    }
    let said = say::last_said(&context.last_said_json)?.unwrap_or_default();
    Ok(match what {
        "verdict" => said.hold.is_some(),
        "data" => said.stale.contains(subject),
        "alarm" => said.alarms.keys().any(|key| keys.contains(&key.as_str())),
        "guardrail" => context.guardrails.iter().any(|status| {
            let is_on = matches!(
                status.state,
                GuardrailState::Burning
                    | GuardrailState::NoData
                    | GuardrailState::SourceError
                    | GuardrailState::Tripped
            );
            status.name == subject && is_on
        }),
        _ => false,
    })
}

/// Digests whose hour has come: one per slot, whatever crashes in between.
async fn digests(app: &Inner, now: Timestamp) -> anyhow::Result<usize> {
    let mut done = 0;
    for (name, digest) in &app.routes.policy.digests {
        let Some(slot) = digest.hours.slot(now) else { continue };
        let known =
            app.beat.slots.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if known.is_some_and(|known| known >= slot) {
            continue;
        }
        let before = app.store.digest_slot(name).await?;
        if before.is_none_or(|before| before < slot) {
            done += usize::from(answer(app, name, digest, before, slot, now).await?);
        }
        let mut slots = app.beat.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.insert(name.clone(), slot);
    }
    Ok(done)
}

/// A digest that is new has nothing to say about the time before it existed.
async fn answer(
    app: &Inner,
    name: &str,
    digest: &Digest,
    before: Option<Timestamp>,
    slot: Timestamp,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let waiting = app.store.digest_rows(name).await?;
    let is_silent = before.is_none() || (waiting.is_empty() && !digest.empty);
    let receiver = app.routes.receivers.get(&digest.to).filter(|_| !is_silent);
    let Some(receiver) = receiver else {
        let answered = app.store.commit_digest(name, before, slot, None, Vec::new()).await?;
        return Ok(answered);
    };
    let contents = digest::Contents {
        name,
        slot,
        since: before,
        standings: standings(app, digest, digest::news(&waiting)).await?,
        external_url: &app.external_url,
    };
    let row =
        digest::row(&contents, &digest.to, receiver, now, app.routes.expire_ms(&digest.to), now);
    let said = waiting.into_iter().map(|row| row.id).collect();
    Ok(app.store.commit_digest(name, before, slot, Some(row), said).await?)
}

/// Every running experiment of the digest's reader, and whatever else there is news of.
async fn standings(
    app: &Inner,
    digest: &Digest,
    mut news: BTreeMap<String, Vec<String>>,
) -> anyhow::Result<Vec<digest::Standing>> {
    let mut found = Vec::new();
    for row in app.store.experiments().await? {
        let own = news.remove(&row.id);
        if own.is_some() || is_of(app, digest, &row) {
            found.push(standing_of(row, own.unwrap_or_default()));
        }
    }
    for (id, news) in news {
        found.push(digest::Standing { says: "news".to_owned(), id, news, ..Default::default() });
    }
    Ok(found)
}

fn standing_of(row: ExperimentRow, news: Vec<String>) -> digest::Standing {
    let says = match &row.last {
        Some(last) => last.headline.replacen(&format!(" - {}:", row.id), ":", 1),
        None => "no look yet".to_owned(),
    };
    digest::Standing {
        verdict: row.last.map(|last| last.verdict).unwrap_or_default(),
        tripped: row.worst_guardrail == Some(GuardrailState::Tripped),
        says,
        news,
        id: row.id,
    }
}

/// Whether news of a running experiment would go into the digest.
fn is_of(app: &Inner, digest: &Digest, row: &ExperimentRow) -> bool {
    let life: Option<LifeState> = serde_json::from_str(&row.life_json).ok();
    let runs =
        life.is_some_and(|it| lifecycle::guardrails_run(it.life) || it.life == Life::Scheduled);
    let Some(loaded) = app.portfolio.get(&row.id).filter(|_| runs) else { return false };
    let kind = NoticeKind::VerdictHold;
    let facts = Facts {
        kind,
        experiment: row.id.clone(),
        people: People::of(&loaded.experiment),
        verdict: Some("hold".to_owned()),
        cause: None,
        alarms: Vec::new(),
        severity: severity(kind, None, false),
        topic: "verdict".to_owned(),
    };
    let Matcher { experiment, owner, labels, .. } = digest.matcher.clone();
    let whose = Matcher { experiment, owner, labels, ..Matcher::default() };
    let rulings = app.routes.rulings(&facts, &loaded.experiment.notify, app.clock.wall_now());
    whose.means(&facts) && rulings.iter().any(|ruling| ruling.receiver == digest.to)
}
