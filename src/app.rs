//! Builds everything, starts the tasks, stops them in order: wiring only, no rules.
//!
//! The daemon runs on the system clock with background tasks ([`App::start`]). The demo, replays
//! and tests run the same line by hand on a clock of their own ([`App::start_manual`] and
//! [`App::settle`]): same store, same sources, same workers, no task races.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use anyhow::Context as _;
use judge::time::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedClock;
use crate::cycle::beat::Beat;
use crate::cycle::health::Health;
use crate::cycle::sums::Sums;
use crate::deliver;
use crate::deliver::enqueue::Routes;
use crate::deliver::policy::links::{self, Linker};
use crate::deliver::policy::unreachable_routes;
use crate::http::{self, HttpState};
use crate::portfolio::{Names, Portfolio};
use crate::settings::Settings;
use crate::sources::{self, Source};
use crate::store::{Store, StoreOptions};
use crate::tasks;
use crate::telemetry::Metrics;

/// The daemon's name as a lease holder: one daemon works on an embedded store.
const DAEMON: &str = "daemon";

/// Sources by name.
pub type Sources = BTreeMap<String, Arc<dyn Source>>;

/// What every task works with.
#[derive(Debug)]
pub struct Inner {
    /// Settings in force.
    pub settings: Arc<Settings>,
    /// The store.
    pub store: Store,
    /// Both times.
    pub clock: SharedClock,
    /// Sources by name.
    pub sources: Sources,
    /// Experiments in force.
    pub portfolio: Portfolio,
    /// Names the parser checks against.
    pub names: Names,
    /// Health of sources.
    pub health: Health,
    /// Sums of burn-rate series between looks.
    pub sums: Sums,
    /// Self-metrics.
    pub metrics: Arc<Metrics>,
    /// Who hears what.
    pub routes: Routes,
    /// What the policy remembers between two beats.
    pub beat: Beat,
    /// Sends what the outbox holds.
    pub worker: Arc<deliver::Worker>,
    /// This process as a lease holder.
    pub holder: String,
    /// When this process began to schedule (domain time): older slots were missed because
    /// nothing ran.
    pub started_at: Timestamp,
    /// The newest slot of the watch that was answered, in ms, so that most turns ask nothing.
    pub watched_ms: AtomicI64,
    /// The newest slot at which nothing more was to be deleted, in milliseconds.
    pub pruned_ms: AtomicI64,
    /// Wakes the scheduler.
    pub wake: Arc<Notify>,
    /// Where pages listen; links start here.
    pub external_url: String,
}

/// A running daemon.
#[derive(Debug)]
pub struct App {
    inner: Arc<Inner>,
    tasks: TaskTracker,
    token: CancellationToken,
    address: Option<SocketAddr>,
    ready: Arc<AtomicBool>,
}

impl App {
    /// Starts the daemon: pages, scheduler, reload and delivery in the background.
    pub async fn start(
        settings: Settings,
        clock: SharedClock,
        listener: Option<TcpListener>,
    ) -> anyhow::Result<Self> {
        let parts = Parts::of(&settings)?;
        let app = Self::assemble(settings, clock, parts, listener, DAEMON.to_owned()).await?;
        // What a former process of this store still held is free at once, not after its lease.
        app.inner.store.release_holder(DAEMON).await?;
        tasks::arming::note(&app.inner).await?;
        tasks::reload::reload(&app.inner).await?;
        let spawn = |name: &'static str, future: tasks::BoxTask| {
            let token = app.token.clone();
            app.tasks.spawn(tasks::supervise(name, future, token));
        };
        spawn("reload", Box::pin(tasks::reload::run(app.inner.clone(), app.token.clone())));
        spawn("evaluate", Box::pin(tasks::evaluate::run(app.inner.clone(), app.token.clone())));
        spawn("deliver", Box::pin(tasks::deliver::run(app.inner.clone(), app.token.clone())));
        spawn("heartbeat", Box::pin(tasks::heartbeat::run(app.inner.clone(), app.token.clone())));
        app.ready.store(true, Ordering::SeqCst);
        Ok(app)
    }

    /// Starts store, sources and pages, but nothing that works by itself.
    pub async fn start_manual(
        settings: Settings,
        clock: SharedClock,
        listener: Option<TcpListener>,
    ) -> anyhow::Result<Self> {
        let parts = Parts::of(&settings)?;
        let holder = manual_holder(&clock);
        Self::assemble(settings, clock, parts, listener, holder).await
    }

    /// Starts the line by hand, without pages, over sources of the caller's (a replay puts
    /// history in their place) and a store that is thrown away: it does not wait for the disk.
    pub async fn start_over(
        settings: Settings,
        clock: SharedClock,
        sources: Sources,
    ) -> anyhow::Result<Self> {
        let holder = manual_holder(&clock);
        let options = StoreOptions { durable: false, ..store_options(&settings) };
        let store = Store::open_with(&settings.store.path, options).context("open the store")?;
        Self::assemble(settings, clock, Parts { store, sources }, None, holder).await
    }

    async fn assemble(
        settings: Settings,
        clock: SharedClock,
        parts: Parts,
        listener: Option<TcpListener>,
        holder: String,
    ) -> anyhow::Result<Self> {
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let inner = Arc::new(build(settings, clock, parts, address, holder).await?);
        let (tasks, token) = (TaskTracker::new(), CancellationToken::new());
        let ready = Arc::new(AtomicBool::new(listener.is_none()));
        if let Some(listener) = listener {
            let router = http::router(http_state(&inner, &ready, &token));
            let limits = http::Limits::of(inner.settings.http.max_connections);
            tasks.spawn(http::serve(listener, router, limits, token.clone()));
        }
        Ok(Self { inner, tasks, token, address, ready })
    }

    /// Reads the folder, does all work due at the clock's instant and all first attempts of the
    /// messages it made, until nothing is due any more.
    pub async fn settle(&self) -> anyhow::Result<()> {
        tasks::reload::reload(&self.inner).await?;
        self.ready.store(true, Ordering::SeqCst);
        loop {
            let done = tasks::evaluate::run_due(&self.inner).await?;
            let sent = self.inner.worker.drain_due(self.inner.clock.wall_now()).await?;
            if done == 0 && sent == 0 {
                return Ok(());
            }
        }
    }

    /// Does all work due at the clock's instant, until nothing is due; files are not read again
    /// and nothing is sent.
    pub async fn work(&self) -> anyhow::Result<()> {
        while tasks::evaluate::run_due(&self.inner).await? > 0 {}
        Ok(())
    }

    /// The next instant at which an experiment or guardrail is due.
    pub async fn next_due(&self) -> anyhow::Result<Option<Timestamp>> {
        Ok(self.inner.store.earliest_due().await?)
    }

    /// What the tasks work with.
    pub fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Where the pages listen.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends when a task failed and the daemon should not go on.
    pub async fn failed(&self) {
        self.token.cancelled().await;
    }

    /// Stops taking work, finishes what is in flight, closes the store.
    pub async fn shutdown(self) -> anyhow::Result<()> {
        self.token.cancel();
        self.inner.wake.notify_waiters();
        self.tasks.close();
        self.tasks.wait().await;
        self.inner.store.release_holder(&self.inner.holder).await?;
        Ok(())
    }
}

/// What an app stands on.
struct Parts {
    store: Store,
    sources: Sources,
}

impl Parts {
    /// The store and the sources that the settings name.
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        let store = Store::open_with(&settings.store.path, store_options(settings));
        let store = store.context("open the store")?;
        Ok(Self { store, sources: sources_of(settings)? })
    }
}

/// The bounds of the queues, as configured.
fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        queue_rows: settings.delivery.queue_rows,
        queue_bytes: settings.delivery.queue_bytes,
        ..StoreOptions::default()
    }
}

/// Who works by hand: its leases never outlive it for the daemon.
fn manual_holder(clock: &SharedClock) -> String {
    format!("manual-{}-{}", std::process::id(), clock.wall_now().as_millisecond())
}

/// Every configured source, within its limits; nothing is asked yet.
pub fn sources_of(settings: &Settings) -> anyhow::Result<Sources> {
    let mut sources = Sources::new();
    for (name, config) in &settings.sources {
        let source = sources::build(name, config).with_context(|| format!("source `{name}`"))?;
        sources.insert(name.clone(), source);
    }
    Ok(sources)
}

async fn build(
    settings: Settings,
    clock: SharedClock,
    parts: Parts,
    address: Option<SocketAddr>,
    holder: String,
) -> anyhow::Result<Inner> {
    let settings = Arc::new(settings);
    let Parts { store, sources } = parts;
    let metrics = Arc::new(Metrics::new(settings.metrics.max_experiments));
    let external_url = match address {
        Some(address) if settings.daemon.external_url.is_empty() => format!("http://{address}"),
        _ => settings.external_url(),
    };
    let mut routes = Routes::from_settings(&settings, external_url.clone());
    let key = links::key(settings.notify.link_secret.as_ref(), &store).await;
    let valid_hours = i64::try_from(settings.notify.link_valid_hours).unwrap_or(168);
    routes.linker =
        Some(Linker { key: key.context("the key of links")?, valid_ms: valid_hours * 3_600_000 });
    for warning in unreachable_routes(&routes.policy, &BTreeMap::new()) {
        tracing::warn!("{warning}");
    }
    for missing in settings.missing_secrets() {
        tracing::warn!("{missing}; what needs it fails until it is there");
    }
    let worker = deliver::Worker::build(&settings, store.clone(), clock.clone(), &holder)
        .context("receivers and actions")?
        .with_metrics(metrics.clone())
        .with_routes(routes.clone());
    let known = store.sources().await?;
    Ok(Inner {
        health: Health::new(known, settings.scheduler.source_down_after_secs),
        sums: Sums::default(),
        names: names(&settings),
        portfolio: Portfolio::default(),
        started_at: clock.domain_now(),
        watched_ms: AtomicI64::new(i64::MIN),
        pruned_ms: AtomicI64::new(i64::MIN),
        wake: Arc::new(Notify::new()),
        routes,
        beat: Beat::default(),
        worker: Arc::new(worker),
        settings,
        store,
        clock,
        sources,
        metrics,
        holder,
        external_url,
    })
}

fn names(settings: &Settings) -> Names {
    let dialects =
        settings.sources.iter().map(|(name, source)| (name.clone(), source.dialect().to_owned()));
    Names {
        timezone: settings.daemon.timezone.clone(),
        sources: Some(dialects.collect()),
        receivers: Some(settings.receivers.keys().cloned().collect()),
        actions: Some(settings.actions.keys().cloned().collect()),
    }
}

fn http_state(inner: &Arc<Inner>, ready: &Arc<AtomicBool>, token: &CancellationToken) -> HttpState {
    HttpState {
        external_url: inner.external_url.as_str().into(),
        waiting: Arc::new(Semaphore::new(inner.settings.gates.max_waiting)),
        stop: token.clone(),
        store: inner.store.clone(),
        settings: inner.settings.clone(),
        clock: inner.clock.clone(),
        metrics: inner.metrics.clone(),
        ready: ready.clone(),
    }
}
