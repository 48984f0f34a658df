//! Errors as problem+json (RFC 9457): a stable code for programs, one sentence for people, the
//! request id for the log; the internal chain stays in the log.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::cycle::policy::PolicyError;
use crate::store::StoreError;

/// An error as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Status.
    pub status: StatusCode,
    /// Stable code.
    pub code: &'static str,
    /// One sentence: what, and what to do.
    pub detail: String,
}

impl Problem {
    /// A problem of that status.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 422.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        let detail = "the request failed inside; the log has the reason under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownExperiment(id) => Self::not_found(format!("no experiment `{id}`")),
            StoreError::Busy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_busy", "the store is busy; retry")
            }
            other => Self::internal(&other),
        }
    }
}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Refused(words) => Self::invalid(words),
            PolicyError::Unknown(words) => Self::not_found(words),
            PolicyError::Over(words) => Self::new(StatusCode::CONFLICT, "over", words),
            PolicyError::Store(error) => error.into(),
        }
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let title = self.status.canonical_reason().unwrap_or("error");
        let body = Json(json!({
            "type": format!("about:blank#{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        }));
        let mut response = (self.status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Marks an answer that is no problem whatever its status: a gate says no in plain words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

/// 404 for paths that do not exist.
pub(super) async fn no_route() -> Problem {
    Problem::not_found("no such page; / lists the experiments")
}

/// 405 for methods a path does not have.
pub(super) async fn no_method() -> Problem {
    let detail = "this path does not take that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// A panic in a handler.
pub(super) fn from_panic(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
    Problem::internal(&text).into_response()
}

/// Longest id of a request that is taken from its sender.
const MAX_ID: usize = 128;

/// Takes the sender's id of a request only where it is one short word: it stands in our log.
pub(super) async fn with_plain_id(mut request: Request) -> Request {
    let is_word = |id: &HeaderValue| {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        (1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(is_letter)
    };
    let mut ids = request.headers().get_all("x-request-id").iter();
    let is_good = ids.next().is_none_or(is_word) && ids.next().is_none();
    if !is_good {
        request.headers_mut().remove("x-request-id");
    }
    request
}

/// The longest error body that is passed on.
const MAX_ERROR_BYTES: usize = 8 * 1024 * 1024;

/// Errors of the framework (bad JSON, too large, wrong type) become problems as well, and every
/// problem names its request.
pub(super) async fn with_request_id(request: Request, next: Next) -> Response<Body> {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or("unknown").to_owned();
    // What is logged on the way is found under the id that the caller reads.
    let span = tracing::error_span!("request", id);
    let response = next.run(request).instrument(span).await;
    if response.status().is_success() || response.status().is_redirection() {
        return response;
    }
    if response.extensions().get::<Plain>().is_some() {
        return response;
    }
    let lines = HeaderValue::from_static("application/jsonl");
    if response.headers().get(header::CONTENT_TYPE) == Some(&lines) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        // Whoever sent a form reads a page, also when it was refused.
        return response;
    }
    let (parts, body) = response.into_parts();
    // A framework's error text is one line; answers of our own are bounded by what was asked.
    let text = axum::body::to_bytes(body, MAX_ERROR_BYTES).await.unwrap_or_default();
    let read: Option<Value> = serde_json::from_slice(&text).ok();
    if read.as_ref().is_some_and(|document| !document.is_object()) {
        // A list of answers says for each what is wrong; the request is named in the header.
        return Response::from_parts(parts, Body::from(text));
    }
    let mut document = read.unwrap_or_else(|| {
        json!({
            "type": "about:blank",
            "title": parts.status.canonical_reason().unwrap_or("error"),
            "status": parts.status.as_u16(),
            "code": "request",
            "detail": String::from_utf8_lossy(&text),
        })
    });
    document["request_id"] = json!(id);
    let mut response = (parts.status, Json(document)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}
