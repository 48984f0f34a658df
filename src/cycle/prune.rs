//! What nobody needs any more, and its deletion, a batch per idle turn: stored periods, and
//! messages that are closed for `store.keep_messages_days`.
//!
//! A series is needed from the earliest instant that any experiment still reads of it: the start of
//! its cycle, its baseline window, the reach of a budget. An experiment needs its series until it
//! is over, its verdict's restatements are over, and `store.keep_points_days` have passed since (a
//! person may rearm or overrule). What is needed by nobody goes by age alone. As long as one
//! experiment of the store cannot be read here, nothing is deleted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use judge::lifecycle::{self, LifeState};
use judge::plan;
use judge::spec::{Experiment, Signal};
use judge::time::{HOUR_MS, Span, Timestamp, Window, add_ms, aligned_slot};

use super::{gather, guardrail, windows};
use crate::app::Inner;
use crate::store::RESTATED_PREFIX;

/// Most periods or messages that one turn deletes.
const BATCH: usize = 2_000;
/// How often it is looked what can go.
const EVERY: Span = Span { ms: HOUR_MS };

/// Deletes one batch of what nobody needs; says how many rows went.
pub async fn run_due(app: &Inner) -> anyhow::Result<usize> {
    let now = app.clock.domain_now();
    let slot = aligned_slot(now, EVERY, 0);
    if slot.as_millisecond() <= app.pruned_ms.load(Ordering::SeqCst) {
        return Ok(0);
    }
    let mut gone = messages(app).await?;
    if gone == 0 {
        gone = periods(app, now).await?;
    }
    if gone == 0 {
        app.pruned_ms.fetch_max(slot.as_millisecond(), Ordering::SeqCst);
    }
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}

/// The instant that is so many days ago; `None` for 0, which is never.
fn ago(days: u32, now: Timestamp) -> Option<Timestamp> {
    (days > 0).then(|| add_ms(now, -Span::days(i64::from(days)).ms))
}

/// One batch of old messages.
async fn messages(app: &Inner) -> anyhow::Result<u64> {
    let Some(end) = ago(app.settings.store.keep_messages_days, app.clock.wall_now()) else {
        return Ok(0);
    };
    let gone = app.store.prune_messages(end, BATCH).await?;
    if gone > 0 {
        tracing::info!(rows = gone, "messages that were closed long ago were deleted");
    }
    Ok(gone)
}

/// One batch of one series.
async fn periods(app: &Inner, now: Timestamp) -> anyhow::Result<u64> {
    let Some(end) = ago(app.settings.store.keep_points_days, now) else {
        return Ok(0);
    };
    let old = app.store.series_before(end).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let Some(needed) = needed(app, now, end).await? else {
        return Ok(0);
    };
    for (series, oldest) in old {
        let until = needed.get(&series).map_or(end, |from| end.min(*from));
        if oldest <= until {
            let gone = app.store.prune_points(&series, until, BATCH).await?;
            app.sums.forget(&series);
            tracing::info!(series, rows = gone, "periods that nobody needs were deleted");
            return Ok(gone);
        }
    }
    Ok(0)
}

/// From when on each series is needed; `None` if that is not known of every experiment.
async fn needed(
    app: &Inner,
    now: Timestamp,
    end: Timestamp,
) -> anyhow::Result<Option<BTreeMap<String, Timestamp>>> {
    let mut needed = BTreeMap::new();
    for row in app.store.experiments().await? {
        let Some(loaded) = app.portfolio.get(&row.id) else {
            return Ok(None);
        };
        let Ok(life) = serde_json::from_str::<LifeState>(&row.life_json) else {
            return Ok(None);
        };
        let is_over = !lifecycle::needs_looks(life.life) && !lifecycle::guardrails_run(life.life);
        let tracks = app.store.tracks(&row.id).await?;
        let restates = tracks.iter().any(|track| track.starts_with(RESTATED_PREFIX));
        let is_waiting = matches!(life.life, lifecycle::Life::Draft | lifecycle::Life::Scheduled);
        if is_over && !is_waiting && !restates && life.since < end {
            continue;
        }
        for (series, from) in series_of(app, &loaded.experiment, &life, now) {
            needed
                .entry(series)
                .and_modify(|known: &mut Timestamp| *known = (*known).min(from))
                .or_insert(from);
        }
    }
    Ok(Some(needed))
}

/// Every series that an experiment reads, with the first instant it reads of it.
fn series_of(
    app: &Inner,
    experiment: &Experiment,
    life: &LifeState,
    now: Timestamp,
) -> Vec<(String, Timestamp)> {
    let cycle = &life.cycle;
    let window = Window { start: cycle.started_at, end: now };
    let from = |signal: &Signal| {
        let baseline = windows::of_baseline(experiment, signal, cycle);
        baseline.map_or(cycle.started_at, |baseline| baseline.start.min(cycle.started_at))
    };
    let mut found = Vec::new();
    for signal in &experiment.signals {
        let need = gather::signal_need(app, experiment, signal, window);
        found.push((need.series_id, from(signal)));
    }
    for beside in experiment.beside() {
        let need = gather::beside_need(app, experiment, &beside, window);
        found.push((need.series_id, from(&beside.signal)));
    }
    for rail in &experiment.guardrails {
        let every = guardrail::rhythm(app, rail);
        let grain = guardrail::grain_of(app, rail, every);
        let since = guardrail::reaches_to(life, rail, now, grain).min(cycle.started_at);
        let cohort = plan::need_of_guardrail(experiment, rail, grain, window);
        let control = plan::need_of_control(experiment, rail, grain, window);
        found.extend(cohort.into_iter().chain(control).map(|need| (need.series_id, since)));
    }
    found
}
