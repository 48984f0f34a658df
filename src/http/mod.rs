//! Pages and API: what people and gates read, and the few things they may write.
//!
//! Everything shown comes from stored records, never from a computation here. Reading is open on
//! the listen address (loopback by default), writing needs a token. Errors are problem+json; every
//! body has a limit, every request a deadline, and a panic in a handler is a 500 with an id.

mod alarms;
mod analyze;
mod auth;
mod decisions;
mod deliveries;
mod experiments;
mod flagd;
mod gates;
mod health;
mod links;
mod openapi;
mod operations;
mod pages;
mod problem;
mod routes;
mod serve;
mod signed;
mod silences;
mod slack;
#[cfg(test)]
mod tests;
mod told;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::clock::SharedClock;
use crate::settings::Settings;
use crate::store::Store;
use crate::telemetry::Metrics;

pub use problem::Problem;
pub use serve::{Limits, serve};
use signed::Door;
pub use silences::silence_json;
pub use told::told_json;

/// Nothing is loaded from anywhere else, nothing is inline, nobody may frame us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// No page of another site may hold a window of ours, or load what we answer as a part of its own.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What handlers work with.
#[derive(Debug, Clone)]
pub struct HttpState {
    /// The store.
    pub store: Store,
    /// Settings in force.
    pub settings: Arc<Settings>,
    /// Both times.
    pub clock: SharedClock,
    /// Self-metrics.
    pub metrics: Arc<Metrics>,
    /// Whether the daemon has read its files and begun to work.
    pub ready: Arc<AtomicBool>,
    /// Where links begin, without a slash at the end.
    pub external_url: Arc<str>,
    /// Long polls that may still begin.
    pub waiting: Arc<Semaphore>,
    /// Cancelled when the daemon stops: nobody waits any longer.
    pub stop: CancellationToken,
}

/// All routes.
pub fn router(state: HttpState) -> Router {
    let max_body_bytes = state.settings.http.max_body_bytes;
    let desk = Arc::new(slack::Desk::new(&state));
    let router = routes::all()
        .into_router()
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(axum::Extension(desk))
        .layer(axum::middleware::from_fn_with_state(Door::new(state.clone()), signed::verify))
        .with_state(state);
    guarded(router, max_body_bytes)
}

/// Limits, ids and headers around every route.
fn guarded(router: Router, max_body_bytes: usize) -> Router {
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    router
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(axum::middleware::from_fn(problem::with_request_id))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(axum::middleware::map_request(problem::with_plain_id))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(fixed(OPENER_POLICY, "same-origin"))
        .layer(fixed(RESOURCE_POLICY, "same-origin"))
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
}
