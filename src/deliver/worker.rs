//! The delivery task: leases rows, sends them, records every attempt.
//!
//! Wall time only. Every leased row is either finished or left to its lease; finishing writes
//! what follows (the next attempt, the messages of an action's result) in one transaction.
//! A slow endpoint holds only its own slots; shutting down finishes what is in flight.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use judge::time::{Timestamp, add_ms, ms_between};
use tokio::sync::{Notify, OwnedMutexGuard, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::actions::{Action, Asked, Progress, build_action, over_limit};
use super::attempt::{Sent, after_action, after_send};
use super::enqueue::Routes;
use super::exchange::misconfigured;
use super::metrics::{DeliveryMetrics, NoMetrics};
use super::retry::Ladder;
use super::{
    ActionConfig, BuildErrors, Conversation, Envelope, ErrorClass, Receipt, Receiver, SendError,
    Then,
};
use crate::clock::SharedClock;
use crate::settings::{DeliverySettings, Settings};
use crate::store::{
    Attempt, DeliveryState, Finished, Lane, OutboxItem, OutboxRow, Store, StoreError,
};

/// How soon the outbox is looked at again when nothing announces work.
const IDLE: Duration = Duration::from_secs(1);
/// A due row that cannot be leased now (another sender has it) must not make the task spin.
const BUSY: Duration = Duration::from_millis(100);

/// How messages are sent, from `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WorkerConfig {
    ladder: Ladder,
    action_ladder: Ladder,
    escalate_after: Duration,
    timeout: Duration,
    lease: Duration,
    /// Sends at the same time to one endpoint.
    concurrency: usize,
    /// Where a day begins, for the daily limit of actions.
    zone: jiff::tz::TimeZone,
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

/// Whose turn it is in each (endpoint, conversation).
type Turns = HashMap<(String, String), Weak<tokio::sync::Mutex<()>>>;

/// The delivery task; share it through an [`Arc`].
#[derive(Debug)]
pub struct Worker {
    store: Store,
    clock: SharedClock,
    config: WorkerConfig,
    routes: Routes,
    receivers: BTreeMap<String, Arc<dyn Receiver>>,
    actions: BTreeMap<String, (ActionConfig, Action)>,
    metrics: Arc<dyn DeliveryMetrics>,
    holder: String,
    slots: BTreeMap<String, Semaphore>,
    disabled: Mutex<HashMap<String, Timestamp>>,
    wake: Notify,
    leasing: tokio::sync::Mutex<()>,
    turns: Mutex<Turns>,
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
        for (name, config) in &settings.receivers {
            match config.build(name) {
                Ok(receiver) => drop(receivers.insert(name.clone(), receiver)),
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
        let slots = names.map(|name| (name, Semaphore::new(config.concurrency))).collect();
        Ok(Self {
            store,
            clock,
            config,
            routes,
            receivers,
            actions,
            metrics: Arc::new(NoMetrics),
            holder: holder.to_owned(),
            slots,
            disabled: Mutex::default(),
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
            let pause = match self.lease_and_spawn(now, &mut tasks).await {
                Ok(0) => self.pause(now).await,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::error!(%error, "outbox: cannot lease");
                    IDLE
                }
            };
            if pause.is_zero() {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = tasks.join_next() => report_panic(ended),
            }
        }
        while let Some(ended) = tasks.join_next().await {
            report_panic(ended);
        }
        Ok(())
    }

    /// Runs every attempt that is due at `now` to its end, the running task's included.
    ///
    /// Returns how many attempts this call made. Rows whose next attempt lies after `now` stay.
    pub async fn drain_due(self: &Arc<Self>, now: Timestamp) -> Result<usize, StoreError> {
        let mut made = 0;
        loop {
            let mut tasks = JoinSet::new();
            let leased = self.lease_and_spawn(now, &mut tasks).await?;
            while let Some(ended) = tasks.join_next().await {
                report_panic(ended);
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

    /// Leases what is due and starts sending it; returns how many rows.
    async fn lease_and_spawn(
        self: &Arc<Self>,
        now: Timestamp,
        tasks: &mut JoinSet<()>,
    ) -> Result<usize, StoreError> {
        // Under this lock a leased row is always counted before anybody can see "none left".
        let leasing = self.leasing.lock().await;
        let room = self.capacity().saturating_sub(*self.in_flight.borrow());
        if room == 0 {
            return Ok(0);
        }
        let until = add_ms(self.clock.wall_now(), millis(self.lease()));
        let items = self.store.lease_outbox(now, &self.holder, until, room).await?;
        let count = items.len();
        self.in_flight.send_modify(|in_flight| *in_flight += count);
        drop(leasing);
        for item in items {
            let guard = InFlight(self.clone());
            tasks.spawn(async move {
                guard.0.attend(item).await;
            });
        }
        Ok(count)
    }

    /// Rows in flight at most: a full share for every endpoint.
    fn capacity(&self) -> usize {
        self.config.concurrency * self.slots.len().max(1)
    }

    /// Long enough for a row to wait behind a full house of slow ones and be sent twice
    /// (a smaller body, a read-back) after that.
    fn lease(&self) -> Duration {
        let turns = u32::try_from(self.slots.len() + 1).unwrap_or(u32::MAX);
        self.config.lease.max(self.config.timeout.saturating_mul(2).saturating_mul(turns))
    }

    /// How long to wait when nothing could be leased.
    async fn pause(&self, now: Timestamp) -> Duration {
        match self.store.earliest_outbox().await {
            Ok(Some(at)) => {
                let wait = u64::try_from(ms_between(now, at)).unwrap_or(0);
                Duration::from_millis(wait).clamp(BUSY, IDLE)
            }
            Ok(None) => IDLE,
            Err(error) => {
                tracing::error!(%error, "outbox: cannot be read");
                IDLE
            }
        }
    }

    /// One attempt of one row, from sending to recording.
    async fn attend(&self, item: OutboxItem) {
        let slot = self.slots.get(&item.row.endpoint);
        // The semaphores are never closed; a row of an unknown endpoint needs no slot.
        let _permit = match slot {
            Some(slot) => slot.acquire().await.ok(),
            None => None,
        };
        let started_at = self.clock.wall_now();
        let attempt = match item.row.lane {
            Lane::Message => self.send(&item, started_at).await,
            Lane::Action => self.act(&item, started_at).await,
        };
        self.record(&item, attempt).await;
    }

    async fn send(&self, item: &OutboxItem, started_at: Timestamp) -> Attempt {
        let row = &item.row;
        let _turn = self.turn(row).await;
        let mut envelope = self.envelope(item, started_at);
        let result = match self.receivers.get(&row.endpoint) {
            None => Err(misconfigured(format!("no receiver is called {}", row.endpoint))),
            Some(_) if self.is_disabled(&row.endpoint) => Err(disabled()),
            Some(receiver) => self.send_or_shrink(receiver.as_ref(), item, &mut envelope).await,
        };
        if let Err(SendError { then: Then::Disable, detail, .. }) = &result {
            tracing::error!(endpoint = row.endpoint, detail, "receiver is gone: disabled");
            self.locked_disabled().insert(row.endpoint.clone(), started_at);
            self.metrics.disabled(&row.endpoint);
        }
        let finished_at = self.clock.wall_now();
        let sent = Sent { holder: &self.holder, item, started_at, finished_at };
        let mut attempt = after_send(sent, result, &self.config.ladder, rand::random());
        attempt.learnt = envelope.conversation.learnt().map(|known| known.to_string());
        attempt
    }

    /// Messages of one conversation are sent one at a time, so that each knows what the one
    /// before it learnt; the store's order does not cover those that jump the queue.
    async fn turn(&self, row: &OutboxRow) -> Option<OwnedMutexGuard<()>> {
        let key = (row.endpoint.clone(), row.conversation.clone()?);
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(&key).and_then(Weak::upgrade);
            let turn = known.unwrap_or_default();
            turns.insert(key, Arc::downgrade(&turn));
            turn
        };
        Some(turn.lock_owned().await)
    }

    /// What is known of the row's conversation; a store that cannot say so is an error of this
    /// attempt, since a second ticket is worse than a late one.
    async fn conversation(&self, item: &OutboxItem) -> Result<Conversation, SendError> {
        let Some(key) = &item.row.conversation else {
            return Ok(Conversation::default());
        };
        let (row, attempt) = (&item.row, item.attempt);
        let known = self.store.conversation(&row.endpoint, key, &row.id, attempt).await;
        let known = known.map_err(misconfigured)?;
        let json = known.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Ok(Conversation::new(json, known.was_tried))
    }

    async fn send_or_shrink(
        &self,
        receiver: &dyn Receiver,
        item: &OutboxItem,
        envelope: &mut Envelope,
    ) -> Result<Receipt, SendError> {
        envelope.conversation = self.conversation(item).await?;
        match receiver.send(envelope).await {
            Err(SendError { then: Then::Shrink, .. }) => {
                let content = serde_json::from_str(&item.row.content).unwrap_or_default();
                envelope.body = receiver.shrink(&content);
                receiver.send(envelope).await
            }
            other => other,
        }
    }

    fn envelope(&self, item: &OutboxItem, sent_at: Timestamp) -> Envelope {
        Envelope {
            id: item.row.id.clone(),
            body: item.row.body.clone(),
            sent_at,
            timeout: self.config.timeout,
            conversation: Conversation::default(),
        }
    }

    async fn act(&self, item: &OutboxItem, started_at: Timestamp) -> Attempt {
        let known = self.actions.get(&item.row.endpoint);
        let (progress, interval_ms) = if let Some((config, action)) = known {
            let envelope = self.envelope(item, started_at);
            let progress = match self.over_limit(config, item).await {
                Some(not_sent) => not_sent,
                None => action.attempt(&envelope, Asked::of(item.state)).await,
            };
            (progress, config.verify_interval_ms())
        } else {
            let cause = format!("no action is called {}", item.row.endpoint);
            (Progress::unknown(&misconfigured(cause)), 0)
        };
        let finished_at = self.clock.wall_now();
        let sent = Sent { holder: &self.holder, item, started_at, finished_at };
        let plan = super::attempt::ActionPlan {
            ladder: &self.config.action_ladder,
            escalate_after: self.config.escalate_after,
            interval_ms,
            jitter: rand::random(),
            domain_now: self.clock.domain_now(),
        };
        after_action(sent, progress, &plan, &self.routes)
    }

    /// A store that cannot count does not hold a rollback back.
    async fn over_limit(&self, config: &ActionConfig, item: &OutboxItem) -> Option<Progress> {
        if item.state != DeliveryState::Pending {
            return None;
        }
        let found = over_limit(&self.store, &self.config.zone, config, item).await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, action = item.row.endpoint, "the daily limit is not known");
            None
        })
    }

    async fn record(&self, item: &OutboxItem, attempt: Attempt) {
        let row = &item.row;
        let seconds = ms_between(attempt.started_at, attempt.finished_at) as f64 / 1_000.0;
        let outcome = super::attempt::outcome_label(attempt.outcome);
        self.metrics.attempt(&row.endpoint, &row.kind, outcome, &attempt.class, seconds);
        if attempt.class == "ok" {
            tracing::info!(endpoint = row.endpoint, id = row.id, kind = row.kind, outcome, "sent");
        } else {
            let (class, detail) = (&attempt.class, &attempt.detail);
            tracing::warn!(
                endpoint = row.endpoint,
                id = row.id,
                kind = row.kind,
                attempt = item.attempt,
                outcome,
                class,
                detail,
                "attempt failed"
            );
        }
        let follows = !attempt.extra_outbox.is_empty();
        match self.store.finish_attempt(attempt).await {
            Ok(Finished::Recorded) if follows => self.notify(),
            Ok(Finished::Recorded) => {}
            Ok(Finished::LeaseLost) => {
                tracing::warn!(endpoint = row.endpoint, id = row.id, "lease lost to another");
            }
            // The lease runs out and the row is tried again under the same id.
            Err(error) => tracing::error!(%error, id = row.id, "attempt not recorded"),
        }
    }

    fn is_disabled(&self, endpoint: &str) -> bool {
        self.locked_disabled().contains_key(endpoint)
    }

    fn locked_disabled(&self) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a disabled endpoint answers without being asked: the messages wait for a restart with
/// another configuration.
fn disabled() -> SendError {
    SendError {
        then: Then::Retry { after: Some(Duration::from_hours(1)) },
        class: ErrorClass::Disabled,
        status: None,
        detail: "the receiver said that it is gone (410); nothing is sent there until the daemon \
                 starts anew"
            .to_owned(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "delivery attempt ended abnormally; its lease will run out");
    }
}

/// Counts a row as in flight until it is dropped, whatever happens.
struct InFlight(Arc<Worker>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}
