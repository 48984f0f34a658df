//! Keeps the experiments in force equal to the folder: polled by content, and at once on SIGHUP.
//!
//! Reload is per experiment. A broken file keeps its experiment's last good revision and is told
//! once per content; what a good revision means for a running experiment is `judge::lifecycle`'s
//! decision, committed like everything else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use judge::lifecycle::{self, Life, LifeState, RevisionEffect};
use judge::spec;
use judge::time::{Timestamp, Window};
use judge::watch;
use tokio_util::sync::CancellationToken;

use crate::app::Inner;
use crate::cycle::{self, gather, say, tracks};
use crate::portfolio::{Broken, Loaded, Scan};
use crate::store::{BrokenFile, Commit, Committed, Context, LogEntry, NewExperiment, Revision};

/// Runs until the daemon stops.
pub async fn run(app: Arc<Inner>, token: CancellationToken) -> anyhow::Result<()> {
    let every = Duration::from_secs(app.settings.daemon.reload_every_secs.max(1));
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            _ = hangup.recv() => tracing::info!("reload asked for by SIGHUP"),
            () = tokio::time::sleep(every) => {}
        }
        if let Err(error) = reload(&app).await {
            tracing::error!(
                error = format!("{error:#}"),
                "reload failed; the last good files stay"
            );
            app.metrics.reloaded(false, app.clock.wall_now());
        }
    }
}

/// Reads the folder once and registers what is new.
pub async fn reload(app: &Arc<Inner>) -> anyhow::Result<()> {
    if app.portfolio.all().is_empty() {
        restore(app).await?;
    }
    let scan = {
        let app = app.clone();
        let read = move || app.portfolio.scan(&app.settings.daemon.experiments, &app.names);
        tokio::task::spawn_blocking(read).await?
    };
    let folder = &app.settings.daemon.experiments;
    let Scan { loaded, broken, gone } =
        scan.with_context(|| format!("read the folder {}", folder.display()))?;
    for file in gone {
        tracing::warn!(
            file,
            "experiment file is gone; its last good revision stays until `archive` is decided"
        );
    }
    let has_news = !loaded.is_empty();
    for file in broken {
        report_broken(app, file).await?;
    }
    let mut failed = None;
    let proxies = if has_news { cycle::watch::reported(&app.store).await? } else { Vec::new() };
    for loaded in loaded {
        let id = loaded.experiment.id.clone();
        for (_, sentence) in watch::discredited(&loaded.experiment, &proxies) {
            tracing::warn!(experiment.id = id, code = "W0119", "{sentence}");
        }
        let registered = register(app, &loaded).await;
        if let Err(error) = registered.with_context(|| format!("register `{id}`")) {
            // One experiment must not keep the others out; this one is tried again.
            app.portfolio.forget(&loaded.file);
            failed = Some(error);
        }
    }
    clear_mended(app).await?;
    let is_good = failed.is_none() && app.store.broken_files().await?.is_empty();
    app.metrics.reloaded(is_good, app.clock.wall_now());
    if has_news {
        app.wake.notify_waiters();
    }
    failed.map_or(Ok(()), Err)
}

/// Puts every experiment's stored revision in force; its file is read after it.
async fn restore(app: &Arc<Inner>) -> anyhow::Result<()> {
    for row in app.store.experiments().await? {
        let revisions = app.store.revisions(&row.id).await?;
        let in_force = revisions.into_iter().find(|stored| stored.revision == row.revision);
        let Some(stored) = in_force else {
            continue;
        };
        // A model of another version that does not read any more waits for its file.
        let Ok(experiment) = serde_json::from_str(&stored.model_json) else {
            tracing::warn!(experiment.id = row.id, "its stored revision cannot be read");
            continue;
        };
        app.portfolio.restore(Loaded {
            file: stored.file,
            text: stored.text,
            experiment,
            diagnostics: Vec::new(),
        });
    }
    Ok(())
}

/// Files that are good or gone now, also those that were mended while nothing ran.
async fn clear_mended(app: &Arc<Inner>) -> anyhow::Result<()> {
    for known in app.store.broken_files().await? {
        if !app.portfolio.is_broken(&known.file) {
            app.store.clear_broken(&known.file).await?;
        }
    }
    Ok(())
}

async fn report_broken(app: &Arc<Inner>, broken: Broken) -> anyhow::Result<()> {
    tracing::warn!(file = broken.file, "experiment file refused; its last good revision stays");
    let known = app.store.broken_files().await?;
    let is_told = known.iter().any(|k| k.file == broken.file && k.revision_hash == broken.hash);
    if !is_told {
        // Before the note: after a crash in between it is told again, under the same id.
        say::tell_broken(app, &broken).await?;
    }
    app.store
        .put_broken(BrokenFile {
            file: broken.file.clone(),
            revision_hash: broken.hash.clone(),
            diagnostics_text: broken.message.clone(),
            seen_at: app.clock.wall_now(),
        })
        .await?;
    Ok(())
}

/// Stores a good revision and what it changes: life, cursors, title, labels.
async fn register(app: &Arc<Inner>, loaded: &Loaded) -> anyhow::Result<()> {
    let experiment = &loaded.experiment;
    app.store
        .save_revision(Revision {
            experiment: experiment.id.clone(),
            revision: experiment.revision.clone(),
            file: loaded.file.clone(),
            text: loaded.text.clone(),
            model_json: serde_json::to_string(experiment)?,
            seen_at: app.clock.wall_now(),
        })
        .await?;
    let now = app.clock.domain_now();
    let life = match app.store.context(&experiment.id).await? {
        None => lifecycle::first_seen(experiment, is_runnable(loaded, now), now),
        Some(context) => revise(app, loaded, context, now).await?,
    };
    if life.life == Life::Draft {
        tracing::warn!(experiment.id = experiment.id, "kept as a draft; `verdictd check` says why");
    }
    app.store
        .ensure_experiment(NewExperiment {
            id: experiment.id.clone(),
            first_seen_at: now,
            life_json: serde_json::to_string(&life)?,
            revision: experiment.revision.clone(),
            title: experiment.title.clone(),
            labels_json: serde_json::to_string(&experiment.labels)?,
            cursors: tracks::of_life(app, experiment, &life, now),
        })
        .await?;
    Ok(())
}

/// The Definition of Done holds.
fn is_runnable(loaded: &Loaded, first_seen: Timestamp) -> bool {
    let findings = spec::lint(&loaded.experiment, Some(first_seen));
    let is_done = findings.iter().all(|finding| finding.severity != spec::Severity::Error);
    is_done && !loaded.experiment.unfinished
}

/// Lets a new revision act on the stored life; the same revision changes nothing.
async fn revise(
    app: &Arc<Inner>,
    loaded: &Loaded,
    mut context: Context,
    now: Timestamp,
) -> anyhow::Result<LifeState> {
    loop {
        let before: LifeState = serde_json::from_str(&context.life_json)?;
        if context.revision == loaded.experiment.revision && before.life != Life::Draft {
            return Ok(before);
        }
        let runnable = is_runnable(loaded, context.first_seen_at);
        let (life, effect) = lifecycle::revised(&before, &loaded.experiment, runnable, now);
        let commit = revision_commit(app, loaded, &context, &life, effect, now)?;
        match app.store.commit(commit).await? {
            Committed::StaleVersion => {
                let fresh = app.store.context(&loaded.experiment.id).await?;
                context = fresh.context("the experiment is gone")?;
            }
            _ => return Ok(life),
        }
    }
}

fn revision_commit(
    app: &Inner,
    loaded: &Loaded,
    context: &Context,
    life: &LifeState,
    effect: RevisionEffect,
    now: Timestamp,
) -> anyhow::Result<Commit> {
    let experiment = &loaded.experiment;
    let mut commit = Commit::new(&experiment.id, context.state_version, life.cycle.number);
    commit.life_json = Some(serde_json::to_string(life)?);
    if effect == RevisionEffect::NewCycle {
        // A new cycle is a new test: its definitions are in force without an acknowledgement.
        let whole = Window { start: experiment.start, end: experiment.start };
        commit.series = experiment
            .signals
            .iter()
            .map(|signal| {
                let need = gather::signal_need(app, experiment, signal, whole);
                (signal.name.clone(), need.series_id)
            })
            .collect();
    }
    commit.log = vec![LogEntry {
        at: now,
        kind: "revision".to_owned(),
        who: None,
        verdict: None,
        because: Some(experiment.mechanism.because.clone()),
        text: format!(
            "revision {} of {}: {}",
            experiment.revision,
            loaded.file,
            effect_text(effect)
        ),
        evaluation_id: None,
    }];
    Ok(commit)
}

fn effect_text(effect: RevisionEffect) -> &'static str {
    match effect {
        RevisionEffect::SameCycle => "stays in the cycle",
        RevisionEffect::NewCycle => "opens a new cycle",
        RevisionEffect::SameMechanism => {
            "no new cycle: it needs another mechanism than the one that was tried"
        }
        RevisionEffect::StartsTooEarly => "no new cycle: `start` must be after the last verdict",
        RevisionEffect::Over => "the run is over; a new idea is a new file",
    }
}
