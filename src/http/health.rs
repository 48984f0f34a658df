//! Liveness, readiness and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use judge::time::ms_between;

use super::{HttpState, Problem};
use crate::telemetry::{OutboxRowStat, SourceRow};

/// The newer of the two text formats.
const OPENMETRICS: &str = "application/openmetrics-text";
/// Probes have a second; an answer that comes later says nothing to them.
const MAX_WAIT: Duration = Duration::from_millis(800);

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Files were read, the scheduler's newest turn worked, and the store's file is there and takes a
/// write.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<&'static str, Problem> {
    if !state.ready.load(Ordering::SeqCst) {
        let detail = "starting: the experiment files are being read";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail));
    }
    if let Some(trouble) = state.metrics.trouble() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "scheduler", trouble));
    }
    let busy = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", detail);
    let writable = tokio::time::timeout(MAX_WAIT, state.store.check_writable()).await;
    let writable = writable.map_err(|_| busy("the store takes no write: it is locked".into()))?;
    writable.map_err(|error| busy(error.to_string()))?;
    Ok("ready\n")
}

/// The exposition, with the gauges that mirror the store made fresh: OpenMetrics for who asks for
/// it, as Prometheus does, else the older text.
pub(super) async fn metrics(
    State(state): State<HttpState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sources = state.store.sources().await?;
    let sources: Vec<SourceRow> = sources
        .into_iter()
        .map(|health| SourceRow {
            is_up: health.failing_since.is_none(),
            last_ok_at: health.last_ok_at,
            name: health.name,
        })
        .collect();
    let now = state.clock.wall_now();
    // A receiver that was never written to has an empty queue, not an unknown one.
    let receivers = state.settings.receivers.keys();
    let mut outbox: BTreeMap<String, OutboxRowStat> =
        receivers.map(|name| (name.clone(), empty_queue(name))).collect();
    for stat in state.store.outbox_stats().await? {
        let age_ms = stat.oldest_at.map_or(0, |at| ms_between(at, now).max(0));
        let row = OutboxRowStat {
            oldest_age_seconds: age_ms as f64 / 1000.0,
            endpoint: stat.endpoint.clone(),
            pending: stat.pending,
            dead: stat.dead,
        };
        outbox.insert(stat.endpoint, row);
    }
    let outbox: Vec<OutboxRowStat> = outbox.into_values().collect();
    state.metrics.refresh(&sources, &outbox);
    let mut accepts =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (kind, text) = if accepts.any(|kinds| kinds.contains(OPENMETRICS)) {
        (format!("{OPENMETRICS}; version=1.0.0; charset=utf-8"), state.metrics.render())
    } else {
        ("text/plain; version=0.0.4; charset=utf-8".to_owned(), state.metrics.render_text())
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::VARY, "accept".to_owned())];
    Ok((headers, text).into_response())
}

fn empty_queue(endpoint: &str) -> OutboxRowStat {
    OutboxRowStat { endpoint: endpoint.to_owned(), pending: 0, oldest_age_seconds: 0.0, dead: 0 }
}
