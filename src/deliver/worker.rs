//! The delivery task: leases rows, sends them, records every attempt.
//!
//! Wall time only. Every leased row is either finished or left to its lease; finishing writes
//! what follows (the next attempt, the messages of an action's result) in one transaction.
//! A slow endpoint holds only its own slots; shutting down finishes what is in flight.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use judge::time::{Timestamp, add_ms, ms_between};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::actions::{Action, build_action};
use super::enqueue::Routes;
use super::metrics::{DeliveryMetrics, NoMetrics};
use super::retry::Ladder;
use super::traffic::{AHEAD, Configured, Traffic};
use super::upkeep::Upkeep;
use super::{ActionConfig, BuildErrors, Receiver};
use crate::clock::SharedClock;
use crate::failpoint::{self, Point};
use crate::settings::{DeliverySettings, Settings};
use crate::store::{OutboxItem, Rooms, Store, StoreError};

/// How soon the outbox is looked at again when nothing announces work.
const IDLE: Duration = Duration::from_secs(1);
/// A due row that cannot be leased now (another sender has it) must not make the task spin.
const BUSY: Duration = Duration::from_millis(100);
/// What waits for a bucket is looked at again no sooner.
const SOON: Duration = Duration::from_millis(5);

/// How messages are sent, from `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkerConfig {
    pub(super) ladder: Ladder,
    pub(super) action_ladder: Ladder,
    pub(super) escalate_after: Duration,
    pub(super) timeout: Duration,
    lease: Duration,
    /// Sends at the same time to one endpoint.
    concurrency: usize,
    /// Where a day begins, for the daily limit of actions.
    pub(super) zone: jiff::tz::TimeZone,
}

impl From<&DeliverySettings> for WorkerConfig {
    fn from(settings: &DeliverySettings) -> Self {
        Self {
            zone: jiff::tz::TimeZone::UTC,
            ladder: Ladder::ending(settings.ladder_ms.clone()),
            action_ladder: Ladder::repeating(settings.action_ladder_ms.clone()),
            escalate_after: Duration::from_secs(settings.action_escalate_after_secs),
            timeout: Duration::from_millis(settings.timeout_ms),
            lease: Duration::from_secs(settings.lease_secs),
            concurrency: settings.concurrency.max(1),
        }
    }
}

/// Sends at the same time to one endpoint. What is urgent has slots of its own: it does not wait
/// behind what was leased ahead.
#[derive(Debug)]
pub(super) struct Slots {
    calm: Semaphore,
    urgent: Semaphore,
}

impl Slots {
    fn new(concurrency: usize) -> Self {
        Self { calm: Semaphore::new(concurrency), urgent: Semaphore::new(concurrency) }
    }

    pub(super) fn of(&self, urgent: bool) -> &Semaphore {
        if urgent { &self.urgent } else { &self.calm }
    }
}

/// Whose turn it is in each (endpoint, conversation).
pub(super) type Turns = HashMap<(String, String), Weak<tokio::sync::Mutex<()>>>;

/// The delivery task; share it through an [`Arc`].
#[derive(Debug)]
pub struct Worker {
    pub(super) store: Store,
    pub(super) clock: SharedClock,
    pub(super) config: WorkerConfig,
    pub(super) routes: Routes,
    pub(super) receivers: BTreeMap<String, Arc<dyn Receiver>>,
    pub(super) actions: BTreeMap<String, (ActionConfig, Action)>,
    pub(super) metrics: Arc<dyn DeliveryMetrics>,
    pub(super) holder: String,
    pub(super) slots: BTreeMap<String, Slots>,
    pub(super) traffic: Traffic,
    pub(super) upkeep: Mutex<Upkeep>,
    wake: Notify,
    leasing: tokio::sync::Mutex<()>,
    pub(super) turns: Mutex<Turns>,
    in_flight: watch::Sender<usize>,
}

impl Worker {
    /// Builds every receiver and action of the settings, or says what is wrong with all of them.
    pub fn build(
        settings: &Settings,
        store: Store,
        clock: SharedClock,
        holder: &str,
    ) -> Result<Self, BuildErrors> {
        let mut problems = Vec::new();
        let mut receivers = BTreeMap::new();
        let mut configured = Vec::new();
        for (name, config) in &settings.receivers {
            match config.build(name) {
                Ok(receiver) => drop(receivers.insert(name.clone(), receiver)),
                Err(problem) => problems.push(problem),
            }
            match config.limits(name) {
                Ok((destination, rates)) => configured.push(Configured {
                    name: name.clone(),
                    digest: config.digest(),
                    destination,
                    rates,
                }),
                Err(problem) => problems.push(problem),
            }
        }
        let mut actions = BTreeMap::new();
        for (name, config) in &settings.actions {
            match build_action(name, config, Some(&store)) {
                Ok(action) => drop(actions.insert(name.clone(), (config.clone(), action))),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(BuildErrors(problems));
        }
        let names = receivers.keys().chain(actions.keys()).cloned();
        let zone = jiff::tz::TimeZone::get(&settings.daemon.timezone);
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        let config = WorkerConfig { zone, ..WorkerConfig::from(&settings.delivery) };
        let routes = Routes::from_settings(settings, settings.external_url());
        let slots = names.map(|name| (name, Slots::new(config.concurrency))).collect();
        let now = clock.wall_now();
        Ok(Self {
            traffic: Traffic::new(configured, config.concurrency, now),
            upkeep: Mutex::new(Upkeep::new(now)),
            store,
            clock,
            config,
            routes,
            receivers,
            actions,
            metrics: Arc::new(NoMetrics),
            holder: holder.to_owned(),
            slots,
            wake: Notify::new(),
            leasing: tokio::sync::Mutex::new(()),
            turns: Mutex::default(),
            in_flight: watch::Sender::new(0),
        })
    }

    /// Counts there from now on.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<dyn DeliveryMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Tells how actions ended by these routes.
    #[must_use]
    pub fn with_routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// There may be new rows.
    pub fn notify(&self) {
        self.wake.notify_one();
    }

    /// Sends until told to stop, then finishes what is in flight.
    ///
    /// A store that cannot be read is reported and asked again; this ends only when told to.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) -> Result<(), StoreError> {
        let mut tasks = JoinSet::new();
        while !stop.is_cancelled() {
            let now = self.clock.wall_now();
            self.keep_up(now).await;
            while let Some(ended) = tasks.try_join_next() {
                self.is_low(ended);
            }
            let pause = match self.lease_and_spawn(now, &mut tasks).await {
                // Whoever is in flight wakes this up when it is done.
                Ok(Leased::Full) => IDLE,
                Ok(Leased::Rows { is_more: true, .. }) => continue,
                // As above; what else becomes due is looked for soon enough without asking when.
                Ok(Leased::Rows { .. }) if !tasks.is_empty() => BUSY,
                Ok(Leased::Rows { .. }) => self.pause(now).await,
                Err(error) => {
                    tracing::error!(%error, "outbox: cannot lease");
                    IDLE
                }
            };
            self.wait(pause, &stop, &mut tasks).await;
        }
        while let Some(ended) = tasks.join_next().await {
            self.is_low(ended);
        }
        Ok(())
    }

    /// Waits until there may be something to lease: a long queue is leased again when half of
    /// what was leased ahead is done, not row by row.
    async fn wait(&self, pause: Duration, stop: &CancellationToken, tasks: &mut JoinSet<String>) {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => return,
                () = &mut over => return,
                Some(ended) = tasks.join_next() => {
                    if self.is_low(ended) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the endpoint whose attempt ended has little left in flight.
    fn is_low(&self, ended: Result<String, tokio::task::JoinError>) -> bool {
        match ended {
            Ok(endpoint) => self.traffic.is_low(&endpoint),
            Err(error) => {
                tracing::error!(
                    %error,
                    "delivery attempt ended abnormally; its lease will run out"
                );
                true
            }
        }
    }

    /// Runs every attempt that is due at `now` to its end, the running task's included.
    ///
    /// Returns how many rows this call took up. Rows whose next attempt lies after `now` stay,
    /// and so do those whose receiver cannot be sent to yet.
    pub async fn drain_due(self: &Arc<Self>, now: Timestamp) -> Result<usize, StoreError> {
        let mut made = 0;
        self.keep_up(now).await;
        loop {
            let mut tasks = JoinSet::new();
            let leased = match self.lease_and_spawn(now, &mut tasks).await? {
                Leased::Full => 0,
                Leased::Rows { count, .. } => count,
            };
            while let Some(ended) = tasks.join_next().await {
                self.is_low(ended);
            }
            made += leased;
            let busy = *self.in_flight.borrow() > 0;
            if leased == 0 && !busy {
                return Ok(made);
            }
            let mut in_flight = self.in_flight.subscribe();
            // The sender lives in `self`: waiting cannot fail.
            drop(in_flight.wait_for(|count| *count == 0).await);
        }
    }

    /// Leases what is due and starts sending it.
    async fn lease_and_spawn(
        self: &Arc<Self>,
        now: Timestamp,
        tasks: &mut JoinSet<String>,
    ) -> Result<Leased, StoreError> {
        // Under this lock a leased row is always counted before anybody can see "none left".
        let leasing = self.leasing.lock().await;
        let rooms = self.traffic.rooms(now);
        if rooms.named.values().any(|room| room.rows == 0) && !self.has_room(&rooms) {
            self.looked(now);
            return Ok(Leased::Full);
        }
        let until = add_ms(self.clock.wall_now(), millis(self.lease()));
        let items = self.store.lease_outbox(now, &self.holder, until, rooms.clone()).await?;
        self.looked(now);
        if !items.is_empty() {
            failpoint::reached(Point::Claimed);
        }
        let count = items.len();
        let is_more = has_filled(&items, &rooms);
        let begun: Vec<(OutboxItem, bool)> = items
            .into_iter()
            .map(|item| {
                let is_probe = self.traffic.begun(&item.row.endpoint, now);
                (item, is_probe)
            })
            .collect();
        self.in_flight.send_modify(|in_flight| *in_flight += count);
        drop(leasing);
        for (item, is_probe) in begun {
            let guard = InFlight { worker: self.clone(), endpoint: item.row.endpoint.clone() };
            tasks.spawn(async move {
                guard.worker.attend(item, is_probe).await;
                guard.endpoint.clone()
            });
        }
        Ok(Leased::Rows { count, is_more })
    }

    /// Whether anything at all could be leased: every endpoint has its own room.
    fn has_room(&self, rooms: &Rooms) -> bool {
        self.slots.keys().any(|name| rooms.of(name).rows > 0)
    }

    /// Long enough for a row to wait for those leased before it, which are sent twice at most
    /// (a smaller body, a read-back), and to be sent itself.
    fn lease(&self) -> Duration {
        let turns = u32::try_from(2 * (AHEAD + 1)).unwrap_or(u32::MAX);
        self.config.lease.max(self.config.timeout.saturating_mul(turns))
    }

    /// How long to wait when nothing could be leased.
    async fn pause(&self, now: Timestamp) -> Duration {
        let waiting = match self.store.earliest_by_endpoint().await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(%error, "outbox: cannot be read");
                return IDLE;
            }
        };
        let wait = |(endpoint, due_at): (String, Timestamp)| {
            let ready_at = self.traffic.ready_at(&endpoint, now)?;
            let at = due_at.max(ready_at);
            let wait_ms = u64::try_from(ms_between(now, at)).unwrap_or(0);
            let least = if ready_at > now { SOON } else { BUSY };
            Some(Duration::from_millis(wait_ms).clamp(least, IDLE))
        };
        waiting.into_iter().filter_map(wait).min().unwrap_or(IDLE)
    }
}

/// What a look into the outbox brought.
enum Leased {
    /// There was no room for anything: nothing was asked.
    Full,
    /// So many rows; with `is_more` there may be others that are due.
    Rows { count: usize, is_more: bool },
}

/// Whether some endpoint gave as many rows as there was room for.
fn has_filled(items: &[OutboxItem], rooms: &Rooms) -> bool {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(&item.row.endpoint).or_default() += 1;
    }
    counts.into_iter().any(|(endpoint, count)| count >= rooms.of(endpoint).rows)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Counts a row as in flight until it is dropped, whatever happens.
struct InFlight {
    worker: Arc<Worker>,
    endpoint: String,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.worker.traffic.done(&self.endpoint);
        self.worker.in_flight.send_modify(|count| *count -= 1);
    }
}
