//! The daemon's own metrics: no experiment label, every label bounded.
//!
//! Counters are registered without `_total`; the library appends it.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::AtomicU64;

use judge::decide::Verdict;
use judge::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{OutboxRowStat, SourceRow, locked};

type Labels = Vec<(String, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Seconds = Counter<f64, AtomicU64>;

/// Buckets of everything that should take milliseconds.
const FAST_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Buckets of a rollback: what is aimed at (0.25 s), what people wait for, what pages (60 s).
const ROLLBACK_SECONDS: [f64; 11] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Histograms of one family share their buckets.
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Handles of the daemon's family.
#[derive(Debug)]
pub struct DaemonMetrics {
    evaluations: Family<Labels, Counter>,
    slots_missed: Family<Labels, Counter>,
    scheduler_lag: FloatGauge,
    evaluation_duration: Histogram,
    source_requests: Family<Labels, Counter>,
    source_up: Family<Labels, Gauge>,
    source_last_success: Family<Labels, FloatGauge>,
    signal_age: FloatGauge,
    ages: RwLock<BTreeMap<String, f64>>,
    verdicts: Family<Labels, Counter>,
    tripwires: Family<Labels, Counter>,
    outbox_depth: Family<Labels, Gauge>,
    outbox_oldest_age: Family<Labels, FloatGauge>,
    deliveries: Family<Labels, Counter>,
    delivery_attempts: Family<Labels, Counter>,
    endpoint_state: Family<Labels, Gauge>,
    heartbeats: Family<Labels, Counter>,
    dead_letters: Family<Labels, Gauge>,
    rollback_confirmed: Histograms,
    reload_successful: Gauge,
    reload_success_at: FloatGauge,
    commit_duration: Histogram,
    clock_jump: Seconds,
    turns_failed: Counter,
    leader: Gauge,
    alarms: Family<Labels, Gauge>,
    gates: Family<Labels, Counter>,
}

fn rollback_histogram() -> Histogram {
    Histogram::new(ROLLBACK_SECONDS)
}

fn label(name: &str, value: &str) -> Labels {
    vec![(name.to_owned(), value.to_owned())]
}

fn pair(name: &str, value: &str, other: &str, second: &str) -> Labels {
    vec![(name.to_owned(), value.to_owned()), (other.to_owned(), second.to_owned())]
}

impl DaemonMetrics {
    /// Registers the whole family.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        metrics.register_work(registry);
        metrics.register_delivery(registry);
        let asked = "Answers of gates, by gate and whether it opened";
        registry.register("gate_answers", asked, metrics.gates.clone());
        let build = Family::<Labels, Gauge>::default();
        build.get_or_create(&label("version", env!("CARGO_PKG_VERSION"))).set(1);
        registry.register("build_info", "Version of this daemon", build);
        metrics.leader.set(1);
        metrics.reload_successful.set(1);
        metrics
    }

    /// Replaces how many alarms of each name are on; a name that was on before stays with 0.
    pub fn alarms(&self, counts: &BTreeMap<String, i64>) {
        for (name, count) in counts {
            self.alarms.get_or_create(&label("alarm", name)).set(*count);
        }
    }

    /// A gate answered.
    pub fn gate_asked(&self, gate: &str, is_open: bool) {
        let answer = if is_open { "open" } else { "closed" };
        self.gates.get_or_create(&pair("gate", gate, "answer", answer)).inc();
    }

    fn unregistered() -> Self {
        Self {
            evaluations: Family::default(),
            slots_missed: Family::default(),
            scheduler_lag: FloatGauge::default(),
            evaluation_duration: Histogram::new(FAST_SECONDS),
            source_requests: Family::default(),
            source_up: Family::default(),
            source_last_success: Family::default(),
            signal_age: FloatGauge::default(),
            ages: RwLock::default(),
            verdicts: Family::default(),
            tripwires: Family::default(),
            outbox_depth: Family::default(),
            outbox_oldest_age: Family::default(),
            deliveries: Family::default(),
            delivery_attempts: Family::default(),
            endpoint_state: Family::default(),
            heartbeats: Family::default(),
            dead_letters: Family::default(),
            rollback_confirmed: Histograms::new_with_constructor(rollback_histogram),
            reload_successful: Gauge::default(),
            reload_success_at: FloatGauge::default(),
            commit_duration: Histogram::new(FAST_SECONDS),
            clock_jump: Seconds::default(),
            turns_failed: Counter::default(),
            leader: Gauge::default(),
            alarms: Family::default(),
            gates: Family::default(),
        }
    }

    fn register_work(&self, registry: &mut Registry) {
        let r = registry;
        r.register("evaluations", "Evaluations by result", self.evaluations.clone());
        r.register("slots_missed", "Slots passed over, by reason", self.slots_missed.clone());
        r.register(
            "scheduler_lag_seconds",
            "How late the newest slot was taken up",
            self.scheduler_lag.clone(),
        );
        r.register(
            "evaluation_duration_seconds",
            "Time from claim to commit of an evaluation",
            self.evaluation_duration.clone(),
        );
        r.register("alarms", "Alarms that are on, by name", self.alarms.clone());
        r.register(
            "source_requests",
            "Questions to sources by outcome (ok or the error class)",
            self.source_requests.clone(),
        );
        r.register("source_up", "1 while the source answers", self.source_up.clone());
        r.register(
            "source_last_success_timestamp_seconds",
            "Newest good answer of the source",
            self.source_last_success.clone(),
        );
        r.register(
            "signal_age_seconds",
            "Age of the oldest data of any running experiment at its newest look",
            self.signal_age.clone(),
        );
        r.register("verdicts", "Looks by verdict", self.verdicts.clone());
        r.register("tripwires", "Guardrails that tripped, by kind", self.tripwires.clone());
        r.register(
            "clock_jump_seconds",
            "How far the clock jumped beyond what had passed",
            self.clock_jump.clone(),
        );
        r.register(
            "scheduler_turns_failed",
            "Turns of the scheduler that failed, such as on a full disk",
            self.turns_failed.clone(),
        );
        r.register("leader", "1 while this process evaluates", self.leader.clone());
    }

    fn register_delivery(&self, registry: &mut Registry) {
        let r = registry;
        r.register("outbox_depth", "Messages not sent yet", self.outbox_depth.clone());
        r.register(
            "outbox_oldest_age_seconds",
            "Age of the oldest message not sent yet",
            self.outbox_oldest_age.clone(),
        );
        r.register(
            "deliveries",
            "Messages by what became of them, and why (ok, the error class, expired, queue_full)",
            self.deliveries.clone(),
        );
        r.register(
            "heartbeats",
            "Pings of the dead-man's switch: sent, failed or held, and why",
            self.heartbeats.clone(),
        );
        r.register(
            "endpoint_state",
            "Whether the receiver is sent to: 0 ok, 1 degraded (probed only), 2 disabled",
            self.endpoint_state.clone(),
        );
        r.register(
            "delivery_attempts",
            "Attempts by class (delivered or the error class)",
            self.delivery_attempts.clone(),
        );
        r.register("dead_letters", "Messages that were given up", self.dead_letters.clone());
        r.register(
            "rollback_confirmed_seconds",
            "Time from a trip's order to the flag that reads as off, by action",
            self.rollback_confirmed.clone(),
        );
        r.register(
            "config_last_reload_successful",
            "1 if every experiment file was good at the last reload",
            self.reload_successful.clone(),
        );
        r.register(
            "config_last_reload_success_timestamp_seconds",
            "When every experiment file was good last",
            self.reload_success_at.clone(),
        );
        r.register(
            "store_commit_duration_seconds",
            "Time one commit took",
            self.commit_duration.clone(),
        );
    }

    pub(super) fn evaluation(&self, result: &str) {
        self.evaluations.get_or_create(&label("result", result)).inc();
    }

    pub(super) fn slots_missed(&self, reason: &str, count: u64) {
        self.slots_missed.get_or_create(&label("reason", reason)).inc_by(count);
    }

    pub(super) fn scheduler_lag(&self, seconds: f64) {
        self.scheduler_lag.set(seconds);
    }

    /// Time from claim to commit.
    pub fn evaluation_took(&self, seconds: f64) {
        self.evaluation_duration.observe(seconds);
    }

    /// Time one commit took.
    pub fn commit_took(&self, seconds: f64) {
        self.commit_duration.observe(seconds);
    }

    /// The clock moved by this much more (or less) than what had passed.
    pub fn clock_jumped(&self, seconds: f64) {
        self.clock_jump.inc_by(seconds.abs());
    }

    pub(super) fn turn_failed(&self) {
        self.turns_failed.inc();
    }

    pub(super) fn source_request(&self, source: &str, outcome: &str) {
        self.source_requests.get_or_create(&pair("source", source, "outcome", outcome)).inc();
    }

    pub(super) fn signal_age(&self, experiment: &str, seconds: f64) {
        locked(&self.ages).insert(experiment.to_owned(), seconds);
        self.oldest_age();
    }

    pub(super) fn forget_signal_age(&self, experiment: &str) {
        locked(&self.ages).remove(experiment);
        self.oldest_age();
    }

    fn oldest_age(&self) {
        let oldest = locked(&self.ages).values().copied().fold(0.0, f64::max);
        self.signal_age.set(oldest);
    }

    pub(super) fn verdict(&self, verdict: Verdict) {
        let name = serde_json::to_value(verdict).ok();
        let name = name.as_ref().and_then(|value| value.as_str()).unwrap_or("unknown");
        self.verdicts.get_or_create(&label("verdict", name)).inc();
    }

    pub(super) fn tripwire(&self, kind: &str) {
        self.tripwires.get_or_create(&label("kind", kind)).inc();
    }

    /// Deliveries ended: `delivered`, `dead`, `confirmed`, and why.
    pub fn delivery(&self, endpoint: &str, kind: &str, outcome: &str, reason: &str, count: u64) {
        let mut labels = pair("endpoint", endpoint, "kind", kind);
        labels.extend(pair("outcome", outcome, "reason", reason));
        self.deliveries.get_or_create(&labels).inc_by(count);
    }

    /// A ping of the dead-man's switch: `sent`, `failed` or `held`, and why.
    pub fn heartbeat(&self, outcome: &str, reason: &str) {
        self.heartbeats.get_or_create(&pair("outcome", outcome, "reason", reason)).inc();
    }

    /// Whether a receiver is sent to, as a number.
    pub fn endpoint_state(&self, endpoint: &str, code: i64) {
        self.endpoint_state.get_or_create(&label("endpoint", endpoint)).set(code);
    }

    /// One attempt ended: `delivered` or an error class.
    pub fn attempt(&self, endpoint: &str, class: &str) {
        self.delivery_attempts.get_or_create(&pair("endpoint", endpoint, "class", class)).inc();
    }

    /// A rollback was confirmed, so many seconds after it was ordered.
    pub fn rolled_back(&self, action: &str, seconds: f64) {
        self.rollback_confirmed.get_or_create(&label("action", action)).observe(seconds);
    }

    pub(super) fn reloaded(&self, is_good: bool, at: Timestamp) {
        self.reload_successful.set(i64::from(is_good));
        if is_good {
            self.reload_success_at.set(at.as_millisecond() as f64 / 1000.0);
        }
    }

    pub(super) fn refresh(&self, sources: &[SourceRow], outbox: &[OutboxRowStat]) {
        for source in sources {
            let labels = label("source", &source.name);
            self.source_up.get_or_create(&labels).set(i64::from(source.is_up));
            if let Some(at) = source.last_ok_at {
                let seconds = at.as_millisecond() as f64 / 1000.0;
                self.source_last_success.get_or_create(&labels).set(seconds);
            }
        }
        for stat in outbox {
            let labels = label("endpoint", &stat.endpoint);
            let pending = i64::try_from(stat.pending).unwrap_or(i64::MAX);
            let dead = i64::try_from(stat.dead).unwrap_or(i64::MAX);
            self.outbox_depth.get_or_create(&labels).set(pending);
            self.outbox_oldest_age.get_or_create(&labels).set(stat.oldest_age_seconds);
            self.dead_letters.get_or_create(&labels).set(dead);
        }
    }
}
