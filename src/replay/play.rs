//! The loop: put files into a temporary folder, jump from due instant to due instant, read back.
//!
//! Invariants: the daemon's store is never opened (the store lies in a folder of its own and goes
//! with it), the delivery worker is never run, and the wall clock decides nothing that is shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use judge::lifecycle::{Life, LifeState};
use judge::time::{DAY_MS, Timestamp};
use serde_json::json;

use super::Options;
use super::files::{Files, Revision};
use super::history::{History, Told};
use super::timeline::{self, Entry};
use crate::app::{self, App, Sources};
use crate::clock::ManualClock;
use crate::deliver::{ActionConfig, ReceiverConfig};
use crate::settings::Settings;
use crate::sources::SourceConfig;
use crate::tasks::reload;

/// Stands for receivers and actions without a configuration; it is never called.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// Everything that was said, oldest first.
    pub entries: Vec<Entry>,
    /// Where each experiment ended, by id.
    pub standings: BTreeMap<String, LifeState>,
    /// What each source was asked.
    pub told: BTreeMap<String, Told>,
    /// First instant.
    pub from: Timestamp,
    /// Last instant at which anything was due.
    pub reached: Timestamp,
}

/// Plays the files over history. `progress` hears every instant.
pub async fn replay(
    files: Files,
    settings: Settings,
    options: &Options,
    progress: &mut (dyn FnMut(Timestamp) + Send),
) -> anyhow::Result<Replayed> {
    let opened = Opened::new(files, settings, options).await?;
    let Opened { mut run, histories, from, _folder } = opened;
    run.play(options, progress).await?;
    let standings = run.standings().await?;
    let entries = timeline::read(run.app.store(), standings.keys()).await?;
    let told = histories.iter().map(|(name, history)| (name.clone(), history.told()));
    let told = told.collect();
    run.app.shutdown().await?;
    Ok(Replayed { entries, standings, told, from, reached: run.at })
}

/// A line over history that has not begun.
pub(super) struct Opened {
    pub(super) run: Run,
    pub(super) histories: BTreeMap<String, Arc<History>>,
    from: Timestamp,
    _folder: tempfile::TempDir,
}

impl Opened {
    pub(super) async fn new(
        files: Files,
        settings: Settings,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let earliest = files.all().map(|experiment| experiment.start).min();
        let from = options.from.or(earliest).context("no experiment file was named")?;
        anyhow::ensure!(
            from < options.to || !options.stop_when_over || options.from.is_some(),
            "nothing to play yet: the earliest start is {from}, and without --to a replay ends now \
             ({}); to play dates that lie ahead over data that has them, write --to with a date \
             after the checkpoint, as --to {}",
            options.to,
            checkpoint_day(&files)
        );
        anyhow::ensure!(
            from < options.to,
            "nothing to play: --from {from} is not before --to {}",
            options.to
        );
        let folder = tempfile::tempdir()?;
        let settings = own(settings, &files, folder.path(), options)?;
        let mut histories = BTreeMap::new();
        let mut sources = Sources::new();
        for (name, source) in app::sources_of(&settings)? {
            let history = Arc::new(History::new(source, options.to));
            histories.insert(name.clone(), Arc::clone(&history));
            sources.insert(name, history);
        }
        let clock = Arc::new(ManualClock::new(from));
        let desk = Desk::set(files, &settings.daemon.experiments)?;
        let app = App::start_over(settings, clock.clone(), sources).await?;
        let run = Run { app, clock, desk, at: from };
        Ok(Self { run, histories, from, _folder: folder })
    }
}

/// The last day on which a file plans to be judged: its checkpoint, else its `by`, else its start.
fn checkpoint_day(files: &Files) -> String {
    let day = |experiment: &judge::spec::Experiment| match experiment.checkpoint.when {
        judge::spec::When::At(at) => at,
        judge::spec::When::Every(_) => experiment.by().unwrap_or(experiment.start),
    };
    let last = files.all().map(day).max();
    // Dates end at 00:00 of the next day, and --to DAY is the end of that day.
    last.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// The daemon's settings with a place of their own.
fn own(
    mut settings: Settings,
    files: &Files,
    folder: &Path,
    options: &Options,
) -> anyhow::Result<Settings> {
    let nobody = json!({"webhook": {"url": NOWHERE, "allow_private": true}});
    let receiver: ReceiverConfig = serde_json::from_value(nobody)?;
    let verify = json!({"url": NOWHERE, "pointer": "/", "equals": null});
    let nothing = json!({"webhook": {"url": NOWHERE, "allow_private": true, "verify": verify}});
    let action: ActionConfig = serde_json::from_value(nothing)?;
    settings.store.path = folder.join("replay.db");
    settings.daemon.experiments = folder.join("experiments");
    settings.scheduler.jitter = false;
    // Nobody reviews, audits or decides in a replay: alarms about that would say nothing.
    settings.alarms.every_secs = 0;
    let every = u64::try_from(options.every.ms / 1_000).unwrap_or(0);
    settings.scheduler.guardrail_every_secs = every;
    for source in settings.sources.values_mut() {
        // History stands still: a file need not be seen twice.
        if let SourceConfig::Csv(csv) = source {
            csv.stable_for_polls = 1;
            csv.settled_after_secs = 0;
        }
    }
    for name in files.receivers() {
        settings.receivers.entry(name).or_insert(receiver.clone());
    }
    for name in files.actions() {
        settings.actions.entry(name).or_insert(action.clone());
    }
    Ok(settings)
}

/// The folder of experiment files and the revisions that wait for their turn.
struct Desk {
    folder: std::path::PathBuf,
    waiting: BTreeMap<String, std::vec::IntoIter<Revision>>,
}

impl Desk {
    fn set(files: Files, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for (name, text) in &files.queries {
            std::fs::write(folder.join(name), text)?;
        }
        let mut desk = Self { folder: folder.to_owned(), waiting: BTreeMap::new() };
        for (id, revisions) in files.revisions {
            let mut revisions = revisions.into_iter();
            if let Some(first) = revisions.next() {
                desk.put(&id, &first)?;
            }
            if revisions.len() > 0 {
                desk.waiting.insert(id, revisions);
            }
        }
        Ok(desk)
    }

    fn put(&self, id: &str, revision: &Revision) -> anyhow::Result<()> {
        std::fs::write(self.folder.join(format!("{id}.yaml")), &revision.text)?;
        Ok(())
    }

    /// Puts the next revision of an experiment into place; `false` when there is none.
    fn revise(&mut self, id: &str) -> anyhow::Result<bool> {
        let Some(next) = self.waiting.get_mut(id).and_then(Iterator::next) else {
            return Ok(false);
        };
        self.put(id, &next)?;
        Ok(true)
    }

    fn has_more(&self, id: &str) -> bool {
        self.waiting.get(id).is_some_and(|waiting| waiting.len() > 0)
    }
}

pub(super) struct Run {
    pub(super) app: App,
    clock: Arc<ManualClock>,
    desk: Desk,
    at: Timestamp,
}

impl Run {
    async fn play(
        &mut self,
        options: &Options,
        progress: &mut (dyn FnMut(Timestamp) + Send),
    ) -> anyhow::Result<()> {
        self.read_files().await?;
        loop {
            self.app.work().await?;
            if !self.desk.waiting.is_empty() && self.revise().await? {
                continue;
            }
            if self.at.as_millisecond() % DAY_MS == 0 && self.is_over(options).await? {
                return Ok(());
            }
            let due = self.app.next_due().await?;
            if let Some(stuck) = due.filter(|due| *due <= self.at) {
                anyhow::bail!("an evaluation due at {stuck} failed; the log above says why");
            }
            let Some(next) = due.filter(|due| *due <= options.to) else {
                return Ok(());
            };
            self.at = next;
            self.clock.advance_to(next);
            progress(next);
        }
    }

    async fn read_files(&self) -> anyhow::Result<()> {
        reload::reload(self.app.inner()).await?;
        let broken = self.app.store().broken_files().await?;
        match broken.first() {
            Some(broken) => anyhow::bail!("{}", broken.diagnostics_text),
            None => Ok(()),
        }
    }

    /// Lets the next revision follow where a cycle has ended and waits for one.
    async fn revise(&mut self) -> anyhow::Result<bool> {
        let mut any = false;
        for (id, life) in self.standings().await? {
            if life.life == Life::AwaitingRevision {
                any |= self.desk.revise(&id)?;
            }
        }
        if any {
            self.read_files().await?;
        }
        Ok(any)
    }

    /// Whether nothing but guardrails can happen any more: then only an explicit end is awaited.
    async fn is_over(&self, options: &Options) -> anyhow::Result<bool> {
        if !options.stop_when_over {
            return Ok(false);
        }
        let over = |(id, life): (&String, &LifeState)| match life.life {
            Life::AwaitingRevision => !self.desk.has_more(id),
            life => matches!(life, Life::Graduated | Life::Stopped | Life::Archived | Life::Draft),
        };
        Ok(self.standings().await?.iter().all(over))
    }

    async fn standings(&self) -> anyhow::Result<BTreeMap<String, LifeState>> {
        let mut lives = BTreeMap::new();
        for row in self.app.store().experiments().await? {
            let life = serde_json::from_str(&row.life_json)
                .with_context(|| format!("the stored life of {}", row.id))?;
            lives.insert(row.id, life);
        }
        Ok(lives)
    }
}
