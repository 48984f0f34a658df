//! The tracks of an experiment: what is looked at in which life, and when each is first due.
//!
//! A track is `look` or `guardrail:<name>`. It has a cursor in the store while it runs. A track
//! that ends must come back when its life does: whoever finds one due before its cycle starts
//! puts it off to that start and never ends it, since nothing else would wake it.

use std::sync::atomic::Ordering;

use judge::lifecycle::{self, Life, LifeState};
use judge::spec::{Experiment, Guardrail};
use judge::time::{Span, Timestamp, add_ms, aligned_slot};

use super::{guardrail, life_at};
use crate::app::Inner;
use crate::store::CursorSpec;

/// The track of the looks.
const LOOK: &str = "look";

/// Every track that is looked at in this life or in the cycle to come, with its first slot.
pub fn of_life(
    app: &Inner,
    experiment: &Experiment,
    life: &LifeState,
    now: Timestamp,
) -> Vec<CursorSpec> {
    let is_coming = life.life == Life::Scheduled;
    let mut tracks = Vec::new();
    if is_coming || lifecycle::needs_looks(life.life) {
        let next_at = first_look(experiment, life, now);
        tracks.push(CursorSpec { track: LOOK.to_owned(), next_at });
    }
    if is_coming || lifecycle::guardrails_run(life.life) {
        let first = |rail| first_of_guardrail(app, experiment, life, rail, now);
        tracks.extend(asked(experiment).map(first));
    }
    tracks
}

/// When a track is due that was claimed before its cycle started; `None` when its life does not
/// look at it any more.
pub(super) fn put_off(
    app: &Inner,
    experiment: &Experiment,
    life: &LifeState,
    track: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    if life.life != Life::Scheduled {
        return None;
    }
    let mut coming = of_life(app, experiment, life, now).into_iter();
    coming.find(|cursor| cursor.track == track).map(|cursor| cursor.next_at)
}

/// Mends what a clock that ran ahead left in the store: without it a tripwire sleeps until the
/// clock arrives there again. Says so once per experiment.
pub async fn pull_back(app: &Inner) -> anyhow::Result<()> {
    let (now, wall_now) = (app.clock.domain_now(), app.clock.wall_now());
    for id in app.store.ahead_of(now).await? {
        let (loaded, context) = (app.portfolio.get(&id), app.store.context(&id).await?);
        // A file that is gone is not looked at; it is mended when it is back and the clock was.
        let (Some(loaded), Some(context)) = (loaded, context) else { continue };
        let life = life_at(&context, now)?;
        let cursors = of_life(app, &loaded.experiment, &life, now);
        let tracks = app.store.pull_back(&id, cursors, now).await?;
        tracing::warn!(experiment.id = id, tracks, "the clock went back: looked at again from now");
    }
    let waits = app.store.pull_back_waits(now, wall_now).await?;
    if waits > 0 {
        tracing::warn!(messages = waits, "the clock went back: messages wait from now");
        app.worker.notify();
    }
    app.watched_ms.fetch_min(now.as_millisecond(), Ordering::SeqCst);
    app.pruned_ms.fetch_min(now.as_millisecond(), Ordering::SeqCst);
    Ok(())
}

/// Tracks that a person's decision starts at `at`; those that have a cursor keep it. Guardrails
/// are due at once, or with the cycle to come.
pub(super) fn started(experiment: &Experiment, life: &LifeState, at: Timestamp) -> Vec<CursorSpec> {
    let is_coming = life.life == Life::Scheduled;
    let look = if is_coming {
        Some(first_look(experiment, life, at))
    } else {
        lifecycle::next_look(experiment, life, at)
    };
    let look = look.map(|next_at| CursorSpec { track: LOOK.to_owned(), next_at });
    let next_at = if is_coming { at.max(life.cycle.started_at) } else { at };
    let due = |rail| CursorSpec { track: track_of(rail), next_at };
    let runs = is_coming || lifecycle::guardrails_run(life.life);
    let guardrails = runs.then(|| asked(experiment).map(due));
    look.into_iter().chain(guardrails.into_iter().flatten()).collect()
}

/// Tracks that end with this life. What waits for its start has not ended.
pub(super) fn ended(experiment: &Experiment, life: &LifeState) -> Vec<String> {
    let mut tracks = Vec::new();
    if life.life == Life::Scheduled {
        return tracks;
    }
    if !lifecycle::needs_looks(life.life) {
        tracks.push(LOOK.to_owned());
    }
    if !lifecycle::guardrails_run(life.life) {
        tracks.extend(experiment.guardrails.iter().map(track_of));
    }
    tracks
}

/// Guardrails with a series of their own; the others are judged in the looks.
fn asked(experiment: &Experiment) -> impl Iterator<Item = &Guardrail> {
    experiment.guardrails.iter().filter(|rail| rail.kind.source().is_some())
}

fn track_of(rail: &Guardrail) -> String {
    format!("guardrail:{}", rail.name)
}

fn first_of_guardrail(
    app: &Inner,
    experiment: &Experiment,
    life: &LifeState,
    rail: &Guardrail,
    now: Timestamp,
) -> CursorSpec {
    let track = track_of(rail);
    let every = guardrail::rhythm(app, rail);
    let offset = guardrail::offset_ms(app, &experiment.id, &track, every);
    let started_at = life.cycle.started_at;
    let slot = aligned_slot(now.max(started_at), every, offset);
    let next_at = if slot < started_at { add_ms(slot, every.ms) } else { slot };
    CursorSpec { track, next_at }
}

/// The newest look that is due already, else the first one to come.
fn first_look(experiment: &Experiment, life: &LifeState, now: Timestamp) -> Timestamp {
    let next = |after| lifecycle::schedule::look_after(experiment, &life.cycle, after);
    let mut slot = next(life.cycle.started_at);
    let day = Span::days(1).ms;
    if slot < now && now.as_millisecond() - slot.as_millisecond() > 2 * day {
        // No need to walk through a long past day by day.
        slot = next(add_ms(now, -2 * day)).max(slot);
    }
    while slot < now {
        let following = next(slot);
        if following > now {
            break;
        }
        slot = following;
    }
    slot
}
