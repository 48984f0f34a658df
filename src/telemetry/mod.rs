//! What the daemon says about itself: logs and metrics.
//!
//! Two families of metrics (engine.md 7): `verdictd_*` for the daemon, without experiment labels,
//! and `verdictd_experiment_*`, bounded in experiments and in series per experiment.

mod daemon;
mod experiments;
mod log;
mod older;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use judge::analyse::GuardrailStatus;
use judge::record::EvaluationRecord;
use judge::time::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub use daemon::DaemonMetrics;
pub use experiments::{MAX_SERIES, verdict_code};
pub use log::init as init_log;

use experiments::Experiments;

/// All metrics of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The daemon's own family.
    pub daemon: DaemonMetrics,
    experiments: Experiments,
    /// Why the scheduler's newest turn failed.
    trouble: Mutex<Option<String>>,
}

/// One source's health as a gauge row.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// Name.
    pub name: String,
    /// Whether it answers.
    pub is_up: bool,
    /// Newest good answer, if there was one.
    pub last_ok_at: Option<Timestamp>,
}

/// One endpoint's queue as a gauge row.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRowStat {
    /// Endpoint.
    pub endpoint: String,
    /// Open rows.
    pub pending: u64,
    /// Age of the oldest open row, in seconds.
    pub oldest_age_seconds: f64,
    /// Rows that were given up.
    pub dead: u64,
}

impl Metrics {
    /// An empty registry; at most `max_experiments` experiments get series of their own.
    pub fn new(max_experiments: usize) -> Self {
        let mut registry = Registry::with_prefix("verdictd");
        let daemon = DaemonMetrics::register(&mut registry);
        let experiments = Experiments::new(max_experiments);
        registry.register_collector(Box::new(experiments.collector()));
        Self { registry, daemon, experiments, trouble: Mutex::default() }
    }

    /// The exposition in the text format 0.0.4, which everything reads.
    pub fn render_text(&self) -> String {
        older::text(&self.render())
    }

    /// The exposition as OpenMetrics.
    pub fn render(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("the metrics could not be encoded");
        }
        out
    }

    /// Notes how a turn of the scheduler ended; a failure stands until a turn works again.
    pub fn turn_ended(&self, trouble: Option<String>) {
        if trouble.is_some() {
            self.daemon.turn_failed();
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why nothing is judged at present.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a look: every series of that experiment is replaced.
    pub fn observe_record(&self, record: &EvaluationRecord, now: &Timestamp) {
        self.daemon.verdict(record.decision.verdict);
        let age_ms = record.data_as_of().map(|at| now.as_millisecond() - at.as_millisecond());
        if let Some(age_ms) = age_ms {
            self.daemon.signal_age(&record.input.experiment.id, age_ms as f64 / 1000.0);
        }
        self.experiments.observe_record(record);
    }

    /// Notes one guardrail's newest state.
    pub fn observe_guardrail(&self, experiment: &str, status: &GuardrailStatus) {
        self.experiments.observe_guardrail(experiment, status);
    }

    /// Forgets an experiment that is not judged any more.
    pub fn forget(&self, experiment: &str) {
        self.experiments.forget(experiment);
        self.daemon.forget_signal_age(experiment);
    }

    /// One evaluation ended: `ok`, `no_data`, `error`, `late` or `skipped`.
    pub fn evaluation(&self, result: &str) {
        self.daemon.evaluation(result);
    }

    /// Slots that were passed over.
    pub fn slots_missed(&self, reason: &str, count: u64) {
        self.daemon.slots_missed(reason, count);
    }

    /// How late a slot was taken up.
    pub fn scheduler_lag(&self, seconds: f64) {
        self.daemon.scheduler_lag(seconds);
    }

    /// One question to a source; `class` is the failure's.
    pub fn source_request(&self, source: &str, class: Option<&'static str>) {
        self.daemon.source_request(source, class.unwrap_or("ok"));
    }

    /// A guardrail tripped.
    pub fn tripwire(&self, kind: &str) {
        self.daemon.tripwire(kind);
    }

    /// A reload ended.
    pub fn reloaded(&self, is_good: bool, at: Timestamp) {
        self.daemon.reloaded(is_good, at);
    }

    /// Replaces the gauges that mirror the store, before a scrape is answered.
    pub fn refresh(&self, sources: &[SourceRow], outbox: &[OutboxRowStat]) {
        self.daemon.refresh(sources, outbox);
    }
}

/// A map behind a lock that a panic elsewhere does not poison for good.
fn locked<T>(
    lock: &RwLock<BTreeMap<String, T>>,
) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, T>> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
