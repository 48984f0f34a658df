//! The watch: alarms that only time and the whole portfolio show, at slots of their own.
//!
//! Read everything once, ask `judge::watch`, lay it over what is on, and write the slot with its
//! messages in one transaction that answers each slot once. A slot that was slept through is not
//! made up for: what is true now is told, with the since that the facts give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use judge::ids;
use judge::lifecycle::{self, LifeState};
use judge::notice::{Notice, NoticeKind};
use judge::prose;
use judge::record::EvaluationRecord;
use judge::time::{Span, Timestamp, add_ms, aligned_slot};
use judge::watch::{self, Act, Finished, Kept, PORTFOLIO, ProxyRow, Rules, Step, Watched};
use serde_json::json;

use super::{MAX_STALE, say};
use crate::app::Inner;
use crate::deliver::enqueue;
use crate::deliver::payload::Setting;
use crate::store::{LogFilter, LogRow, OutboxRow, Store, WatchCommit, Watching};

/// The log is read at least this far back, beside what the rules need.
const REACH_DAYS: i64 = 100;
/// Most log entries that one slot reads.
const MOST_ENTRIES: usize = 200_000;

/// Answers the newest slot that is due; says how many it answered.
pub async fn run_due(app: &Inner) -> anyhow::Result<usize> {
    let every_secs = app.settings.alarms.every_secs;
    if every_secs == 0 {
        return Ok(0);
    }
    let every = Span::seconds(i64::try_from(every_secs).unwrap_or(3_600));
    let slot = aligned_slot(app.clock.domain_now(), every, 0);
    if slot.as_millisecond() <= app.watched_ms.load(Ordering::SeqCst) {
        return Ok(0);
    }
    let before = app.store.watch().await?.map(|watch| watch.last_slot);
    let is_new = before.is_none_or(|before| before < slot);
    let answered = is_new && answer(app, slot, before).await?;
    app.watched_ms.fetch_max(slot.as_millisecond(), Ordering::SeqCst);
    Ok(usize::from(answered))
}

/// Everything one slot reads.
struct Seen {
    watched: Vec<Watched>,
    /// Versions of the experiments as they were read.
    versions: BTreeMap<String, i64>,
    unseen: BTreeSet<String>,
    /// Newest looks of running experiments.
    running: Vec<EvaluationRecord>,
    /// Alarms of looks that are on, by name.
    of_looks: BTreeMap<String, i64>,
}

/// Reads and writes again while experiments move on in between.
async fn answer(app: &Inner, slot: Timestamp, before: Option<Timestamp>) -> anyhow::Result<bool> {
    for _ in 0..MAX_STALE {
        match answer_once(app, slot, before).await? {
            Watching::StaleVersion => {}
            done => return Ok(done == Watching::Fresh),
        }
    }
    bail!("the experiments changed {MAX_STALE} times while they were watched")
}

async fn answer_once(
    app: &Inner,
    slot: Timestamp,
    before: Option<Timestamp>,
) -> anyhow::Result<Watching> {
    let rules = rules(app, slot);
    let seen = read(app, &rules, slot).await?;
    let proxies = proxies(&app.store).await?;
    let found = watch::alarms(&seen.watched, &proxies, &rules, slot);
    let open = app.store.open_alarms().await?;
    let step = watch::step(&open, found, &seen.unseen, slot);
    let kills = watch::kill_list(&seen.running.iter().collect::<Vec<_>>());
    let report = json!({
        "schema": "verdictd/watch/1",
        "kill_list": kills,
        "kill_sentence": watch::kill_sentence(&kills),
        "proxies": proxies,
    });
    let outbox = outbox(app, &seen, &step, slot);
    let mut counts = seen.of_looks;
    count(&mut counts, &open, 0);
    count(&mut counts, &step.raised, 1);
    count(&mut counts, &step.kept, 1);
    let told = |id: &String| outbox.iter().any(|row| row.partition == *id);
    let versions = seen.versions.into_iter().filter(|(id, _)| told(id)).collect();
    let commit = WatchCommit {
        slot,
        expected: before,
        outbox,
        versions,
        step,
        report_json: judge::record::canonical_json(&report),
    };
    let answered = app.store.commit_watch(commit).await?;
    app.metrics.daemon.alarms(&counts);
    app.worker.notify();
    Ok(answered)
}

fn count(counts: &mut BTreeMap<String, i64>, alarms: &[Kept], by: i64) {
    for kept in alarms {
        *counts.entry(kept.alarm.kind.as_str().to_owned()).or_default() += by;
    }
}

fn rules(app: &Inner, at: Timestamp) -> Rules {
    let settings = &app.settings.alarms;
    let hours = |hours: u32| Span::hours(i64::from(hours));
    Rules {
        identities: app.settings.http.tokens.iter().map(|token| token.name.clone()).collect(),
        cycles: watch::portfolio_cycles(
            at,
            settings.portfolio_cycle_days,
            &app.settings.daemon.timezone,
        ),
        audit_every: Span::days(i64::from(settings.audit_every_days)),
        review_grace: hours(settings.review_grace_hours),
        guardrail_grace: hours(settings.guardrail_grace_hours),
    }
}

async fn read(app: &Inner, rules: &Rules, at: Timestamp) -> anyhow::Result<Seen> {
    let mut seen = Seen {
        watched: Vec::new(),
        versions: BTreeMap::new(),
        unseen: BTreeSet::new(),
        running: Vec::new(),
        of_looks: BTreeMap::new(),
    };
    for row in app.store.experiments().await? {
        if let Err(error) = read_one(app, &row.id, at, &mut seen).await {
            // One unreadable experiment keeps what it had and must not keep the others out.
            tracing::error!(experiment.id = row.id, error = format!("{error:#}"), "not watched");
            seen.unseen.insert(row.id);
        }
    }
    let verdicts = seen.watched.iter().filter_map(|one| Some(one.life.verdict?.2));
    let reach = add_ms(at, -Span::days(REACH_DAYS).ms).min(add_ms(at, -rules.audit_every.ms));
    let since = verdicts.fold(reach.min(rules.cycles[0]), Timestamp::min);
    let filter = LogFilter { since: Some(since), limit: MOST_ENTRIES, ..LogFilter::default() };
    for LogRow { experiment, entry, .. } in app.store.decisions(filter).await? {
        if let Some(one) = seen.watched.iter_mut().find(|one| one.experiment.id == experiment) {
            one.log.push(Act {
                at: entry.at,
                by_person: entry.who.is_some() && !is_about_messages(&entry.kind),
                kind: entry.kind,
                verdict: entry.verdict,
            });
        }
    }
    Ok(seen)
}

/// Silencing or having seen a message decides nothing about its experiment.
fn is_about_messages(kind: &str) -> bool {
    kind.starts_with("silence.") || kind.starts_with("notice.")
}

async fn read_one(app: &Inner, id: &str, at: Timestamp, seen: &mut Seen) -> anyhow::Result<()> {
    let loaded = app.portfolio.get(id).context("its file was never read here")?;
    let context = app.store.context(id).await?.context("no stored state")?;
    seen.versions.insert(id.to_owned(), context.state_version);
    let life: LifeState = serde_json::from_str(&context.life_json)?;
    let life = lifecycle::at_time(&life, at);
    if lifecycle::guardrails_run(life.life) {
        if let Some((_, json)) = app.store.standing(id).await? {
            seen.running.push(EvaluationRecord::from_json(&json)?);
        }
        let said = say::last_said(&context.last_said_json)?.unwrap_or_default();
        for key in said.alarms.keys() {
            let name = key.split(':').next().unwrap_or_default();
            *seen.of_looks.entry(name.to_owned()).or_default() += 1;
        }
    }
    seen.watched.push(Watched {
        experiment: loaded.experiment.clone(),
        life,
        first_seen_at: context.first_seen_at,
        guardrails: context.guardrails,
        log: Vec::new(),
    });
    Ok(())
}

/// What the finished tests of a store say about each pair of proxy and outcome.
pub async fn proxies(store: &Store) -> anyhow::Result<Vec<ProxyRow>> {
    Ok(watch::proxies(&history(store).await?))
}

/// What the newest slot of the watch said about them; nothing before the first.
pub async fn reported(store: &Store) -> anyhow::Result<Vec<ProxyRow>> {
    let Some(watch) = store.watch().await? else {
        return Ok(Vec::new());
    };
    let report: serde_json::Value = serde_json::from_str(&watch.report_json)?;
    Ok(serde_json::from_value(report["proxies"].clone()).unwrap_or_default())
}

/// Pairs of every finished cycle; of a restated verdict the newest record counts.
async fn history(store: &Store) -> anyhow::Result<Vec<Finished>> {
    let mut newest = BTreeMap::new();
    for json in store.finished_records().await? {
        // A record of another engine that does not read any more is no history.
        let Ok(record) = EvaluationRecord::from_json(&json) else { continue };
        let cycle = (record.input.experiment.id.clone(), record.input.cycle.number);
        newest.insert(cycle, watch::finished(&record));
    }
    Ok(newest.into_values().flatten().collect())
}

/// One message per experiment (and one for the portfolio) for all that came, one for all that went.
fn outbox(app: &Inner, seen: &Seen, step: &Step, slot: Timestamp) -> Vec<OutboxRow> {
    let mut rows = Vec::new();
    let now = app.clock.wall_now();
    for (kind, alarms) in
        [(NoticeKind::AlarmRaised, &step.raised), (NoticeKind::AlarmCleared, &step.cleared)]
    {
        let mut by_experiment: BTreeMap<&str, Vec<&Kept>> = BTreeMap::new();
        for kept in alarms {
            by_experiment.entry(&kept.experiment).or_default().push(kept);
        }
        for (experiment, alarms) in by_experiment {
            let notice = notice(kind, experiment, &alarms, slot);
            let notify = receivers(app, experiment);
            // The portfolio has no changes to count: its messages have their instant.
            let version = seen.versions.get(experiment);
            let sequence = version.map_or_else(|| now.as_millisecond(), |version| version + 1);
            let setting = seen.setting(experiment);
            rows.extend(enqueue::rows_in(&notice, setting, &notify, &app.routes, now, sequence));
        }
    }
    rows
}

impl Seen {
    /// Where an alarm of an experiment belongs; `None` for the portfolio's own.
    fn setting(&self, experiment: &str) -> Option<Setting<'_>> {
        let watched = self.watched.iter().find(|one| one.experiment.id == experiment)?;
        let started_at = watched.life.cycle.started_at;
        Some(Setting { experiment: &watched.experiment, started_at })
    }
}

fn notice(kind: NoticeKind, experiment: &str, alarms: &[&Kept], slot: Timestamp) -> Notice {
    let keys: Vec<&str> = alarms.iter().map(|kept| kept.key.as_str()).collect();
    let said = alarms.iter().map(|kept| match kind {
        NoticeKind::AlarmCleared => match kept.alarm.since {
            Some(since) => format!("{} was on since {since}.", kept.key),
            None => format!("{} was on.", kept.key),
        },
        _ => prose::alarm_told(&kept.alarm),
    });
    let slot_ms = slot.as_millisecond().to_string();
    Notice {
        id: ids::hash128(&["watch", &slot_ms, kind.as_str(), experiment]),
        kind,
        subject: keys.join(", "),
        experiment: experiment.to_owned(),
        at: slot,
        previous: None,
        detail: Some(said.collect::<Vec<_>>().join(" ")),
    }
}

/// Of the portfolio: the operators, else everybody; of an experiment: its own receivers.
fn receivers(app: &Inner, experiment: &str) -> Vec<String> {
    if experiment != PORTFOLIO {
        let loaded = app.portfolio.get(experiment);
        return loaded.map(|loaded| loaded.experiment.notify.clone()).unwrap_or_default();
    }
    if !app.routes.operators.is_empty() {
        return app.routes.operators.clone();
    }
    let all = app.portfolio.all();
    let names: BTreeSet<String> =
        all.iter().flat_map(|loaded| loaded.experiment.notify.clone()).collect();
    names.into_iter().collect()
}
