//! Pages and API: what people and gates read, and the few things they may write.
//!
//! Everything shown comes from stored records, never from a computation here. Reading is open on
//! the listen address (loopback by default), writing needs a token. Errors are problem+json; every
//! body has a limit, every request a deadline, and a panic in a handler is a 500 with an id.

mod alarms;
mod analyze;
mod auth;
mod decisions;
mod experiments;
mod flagd;
mod health;
mod operations;
mod pages;
mod problem;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::clock::SharedClock;
use crate::settings::Settings;
use crate::store::Store;
use crate::telemetry::Metrics;

pub use problem::Problem;

/// Longest time one answer may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Nothing is loaded from anywhere else, nothing is inline, nobody may frame us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
}

/// All routes.
pub fn router(state: HttpState) -> Router {
    let max_body_bytes = state.settings.http.max_body_bytes;
    let api = Router::new()
        .route("/experiments", get(experiments::list))
        .route("/experiments/{id}", get(experiments::one))
        .route("/experiments/{id}/verdict", get(experiments::verdict))
        .route("/experiments/{id}/evaluations", get(experiments::evaluations))
        .route("/experiments/{id}/evaluations/{number}", get(experiments::evaluation))
        .route("/decisions", get(decisions::list).post(decisions::record))
        .route("/analyze", post(analyze::answer))
        .route("/analyze/methods", get(analyze::methods))
        .route("/analyze/methods/{name}", get(analyze::method))
        .route("/alarms", get(alarms::list))
        .route("/proxies", get(alarms::proxies))
        .route("/kill-list", get(alarms::kill_list))
        .route("/sources", get(operations::sources))
        .route("/deliveries", get(operations::deliveries));
    let router = Router::new()
        .nest("/api/v1", api)
        .route("/", get(pages::portfolio))
        .route("/x/{id}", get(pages::experiment))
        .route("/x/{id}/e/{number}", get(pages::evaluation))
        .route("/log", get(pages::log))
        .route("/alarms", get(pages::alarms))
        .route("/assets/style.css", get(pages::style))
        .route("/flagd/flags.json", get(flagd::flags))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
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
        .layer(axum::middleware::from_fn(problem::with_request_id))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, DEADLINE))
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
}
