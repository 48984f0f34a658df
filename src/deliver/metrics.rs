//! What delivery counts, and who counts it.
//!
//! A trait, so that the worker knows no registry: the daemon counts in its own, tests in none.

use crate::store::EndpointState;
use crate::telemetry::Metrics;

/// What the telemetry room counts.
pub trait DeliveryMetrics: Send + Sync + std::fmt::Debug {
    /// One finished attempt; `outcome` and `class` are bounded labels.
    fn attempt(&self, endpoint: &str, kind: &str, outcome: &str, class: &str, seconds: f64);
    /// Messages that died without an attempt saying so: `expired` or `queue_full`.
    fn dropped(&self, endpoint: &str, kind: &str, note: &str, count: u64);
    /// Messages that the policy held back: by `silence`, `digest`, `quiet_hours` or `not_routed`.
    fn withheld(&self, endpoint: &str, policy: &str, count: u64);
    /// Parts of a message that its template could not render, so that plain text was sent there.
    fn render_errors(&self, endpoint: &str, count: u64);
    /// Whether a receiver is sent to.
    fn endpoint_state(&self, endpoint: &str, state: EndpointState);
    /// A rollback was read back as off, so many seconds after it was ordered.
    fn rolled_back(&self, action: &str, seconds: f64);
}

impl DeliveryMetrics for Metrics {
    fn attempt(&self, endpoint: &str, kind: &str, outcome: &str, class: &str, _seconds: f64) {
        self.daemon.attempt(endpoint, if class == "ok" { "delivered" } else { class });
        if matches!(outcome, "delivered" | "dead" | "confirmed") {
            self.daemon.delivery(endpoint, kind, outcome, class, 1);
        }
    }

    fn dropped(&self, endpoint: &str, kind: &str, note: &str, count: u64) {
        self.daemon.delivery(endpoint, kind, "dead", note, count);
    }

    fn withheld(&self, endpoint: &str, policy: &str, count: u64) {
        self.daemon.withheld(endpoint, policy, count);
    }

    fn render_errors(&self, endpoint: &str, count: u64) {
        self.daemon.render_errors(endpoint, count);
    }

    fn endpoint_state(&self, endpoint: &str, state: EndpointState) {
        self.daemon.endpoint_state(endpoint, state.code());
    }

    fn rolled_back(&self, action: &str, seconds: f64) {
        self.daemon.rolled_back(action, seconds);
    }
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl DeliveryMetrics for NoMetrics {
    fn attempt(&self, _: &str, _: &str, _: &str, _: &str, _: f64) {}
    fn dropped(&self, _: &str, _: &str, _: &str, _: u64) {}
    fn withheld(&self, _: &str, _: &str, _: u64) {}
    fn render_errors(&self, _: &str, _: u64) {}
    fn endpoint_state(&self, _: &str, _: EndpointState) {}
    fn rolled_back(&self, _: &str, _: f64) {}
}
