//! `/api/v1/analyze`: the statistics engine over HTTP, with the bytes of `verdictd analyze`.
//!
//! A body is one object, an array, or JSON lines. It reads and stores nothing, so it needs no
//! token. A question without an answer is part of the answer (`error`), with status 200 as long as
//! one was answered; when none was, it is 422. The body limit is `http.max_body_bytes`; the work
//! is done off the async threads, a bounded number of bodies at a time.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use judge::ask::{catalogue, envelope};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::Problem;

/// Longest time for one body; what is not answered by then is refused.
const TIME: Duration = Duration::from_secs(10);
/// Bodies that are answered at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

pub(super) async fn answer(body: Bytes) -> Result<Response, Problem> {
    let busy = |_| {
        let detail = "the engine stops; ask again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail)
    };
    let permit = AT_ONCE.acquire().await.map_err(busy)?;
    let is_lines = !body.trim_ascii().starts_with(b"[");
    let work = tokio::task::spawn_blocking(move || {
        let mut out = Vec::with_capacity(2 * body.len());
        let start = Instant::now();
        let counts = envelope::answer_body(&body, &mut out, || start.elapsed() < TIME);
        drop(permit);
        (counts, out)
    });
    let (counts, out) = work.await.map_err(|error| Problem::internal(&error))?;
    if counts.asked == 0 && is_lines {
        let detail = "the body holds no question: one object, an array, or JSON lines";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty", detail));
    }
    let status = if counts.asked > 0 && counts.failed == counts.asked {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let is_many = is_lines && counts.asked > 1;
    let kind = if is_many { "application/jsonl" } else { "application/json" };
    Ok((status, [(header::CONTENT_TYPE, kind)], out).into_response())
}

pub(super) async fn methods() -> Json<Value> {
    Json(catalogue::all())
}

pub(super) async fn method(Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    match judge::ask::method(&name) {
        Some(method) => Ok(Json(method.entry())),
        None => Err(Problem::not_found(envelope::unknown_method(&name).to_string())),
    }
}
