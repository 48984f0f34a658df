//! Fetch and contract: one need in, points or a failure out (steps three and four of the line).
//!
//! A failure is a value: the caller observes it as `source_error` and goes on with the other
//! signals. Whether the *source* is down (one grouped notice) is `health`'s business.

use judge::contract;
use judge::observe::SourceFailure;
use judge::plan::{self, Need};
use judge::points::Point;
use judge::time::Timestamp;

use crate::app::Inner;
use crate::sources::{FetchClass, FetchError};

/// What one need brought.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The need it answers.
    pub need: Need,
    /// Whole periods; empty on failure.
    pub points: Vec<Point>,
    /// Why there is nothing, if the source or its answer was at fault.
    pub failure: Option<SourceFailure>,
    /// When the answer came (wall time).
    pub fetched_at: Timestamp,
}

/// Asks one need as of `at` (the slot).
pub async fn fetch(app: &Inner, need: Need, at: Timestamp) -> Fetched {
    let mut requests = plan::batch(vec![need], at);
    let Some(request) = requests.pop() else { unreachable!("one need is one request") };
    let outcome = match app.sources.get(&request.need.source) {
        None => Err(FetchError {
            class: FetchClass::UserError,
            message: format!("no source named `{}` is configured", request.need.source),
            retry_after_ms: None,
        }),
        Some(source) => source.fetch(&request).await.and_then(|batch| {
            contract::points(&request, &batch).map_err(|refusal| FetchError {
                class: FetchClass::Contract,
                message: refusal.to_string(),
                retry_after_ms: None,
            })
        }),
    };
    let fetched_at = app.clock.wall_now();
    let source = request.need.source.clone();
    let class = outcome.as_ref().err().map(|error| error.class.as_str());
    app.metrics.source_request(&source, class);
    let failure = app.health.note(&source, &request.need.series_id, at, outcome.as_ref().err());
    Fetched { need: request.need, points: outcome.unwrap_or_default(), failure, fetched_at }
}

/// Stored points with freshly fetched ones laid over them, key by key.
pub fn overlay(stored: Vec<Point>, fresh: &[Point]) -> Vec<Point> {
    let key = |point: &Point| (point.start, point.end, point.arm.clone());
    let mut merged: std::collections::BTreeMap<_, Point> =
        stored.into_iter().map(|point| (key(&point), point)).collect();
    merged.extend(fresh.iter().map(|point| (key(point), point.clone())));
    merged.into_values().collect()
}
