//! A flag server with the two flags of the stories: what a rollback action turns off.
//!
//! A flag is read with `GET /flags/{name}` and turned off with `POST /flags/{name}/off` and the
//! action's token. It is never turned on again by anybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use judge::time::Timestamp;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::clock::SharedClock;

/// Header that carries the token.
pub const TOKEN_HEADER: &str = "x-flag-token";

/// One request that reached the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Domain time.
    pub at: Timestamp,
    /// Flag name.
    pub flag: String,
    /// `read` or `off`.
    pub what: &'static str,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// The flags and who asked for what; clones share them.
#[derive(Debug, Clone)]
pub struct Flags {
    state: Arc<Mutex<Board>>,
    token: Arc<str>,
    clock: SharedClock,
}

#[derive(Debug, Default)]
struct Board {
    enabled: BTreeMap<String, bool>,
    calls: Vec<Call>,
}

impl Flags {
    /// Flags by these names, all on.
    pub fn new(names: &[&str], token: &str, clock: SharedClock) -> Self {
        let enabled = names.iter().map(|name| ((*name).to_owned(), true)).collect();
        let state = Arc::new(Mutex::new(Board { enabled, calls: Vec::new() }));
        Self { state, token: token.into(), clock }
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/flags/{name}", get(read))
            .route("/flags/{name}/off", post(turn_off))
            .with_state(self.clone())
    }

    /// Whether a flag is on; `None` for a name that does not exist.
    pub fn is_on(&self, name: &str) -> Option<bool> {
        self.locked(|state| state.enabled.get(name).copied())
    }

    /// Everything that was asked, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.locked(|state| state.calls.clone())
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Board) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call(&self, flag: &str, what: &'static str, accepted: bool) {
        let call = Call { at: self.clock.domain_now(), flag: flag.to_owned(), what, accepted };
        self.locked(|state| state.calls.push(call));
    }

    fn may_write(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(TOKEN_HEADER).map(axum::http::HeaderValue::as_bytes);
        given.is_some_and(|given| given.ct_eq(self.token.as_bytes()).into())
    }
}

async fn read(State(flags): State<Flags>, Path(name): Path<String>) -> Response {
    let found = flags.is_on(&name);
    flags.call(&name, "read", found.is_some());
    answer(&name, found)
}

async fn turn_off(
    State(flags): State<Flags>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let may_write = flags.may_write(&headers);
    flags.call(&name, "off", may_write && flags.is_on(&name).is_some());
    if !may_write {
        let body = Json(json!({"error": format!("header {TOKEN_HEADER} is missing or wrong")}));
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    let found = flags.locked(|state| {
        let enabled = state.enabled.get_mut(&name)?;
        *enabled = false;
        Some(false)
    });
    answer(&name, found)
}

fn answer(name: &str, enabled: Option<bool>) -> Response {
    if let Some(enabled) = enabled {
        return Json(json!({"name": name, "enabled": enabled})).into_response();
    }
    let body = Json(json!({"error": format!("no flag named {name}")}));
    (StatusCode::NOT_FOUND, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use axum::body::Body;
    use axum::http::Request;
    use tower::util::ServiceExt as _;

    async fn send(flags: &Flags, request: Request<Body>) -> (StatusCode, serde_json::Value) {
        let response = flags.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn only_the_token_turns_a_flag_off_and_it_reads_back() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let flags = Flags::new(&["quote-cache"], "secret", clock);
        let off = || Request::post("/flags/quote-cache/off");
        for request in [off(), off().header(TOKEN_HEADER, "guess")] {
            let (status, _) = send(&flags, request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(flags.is_on("quote-cache"), Some(true));
        let request = off().header(TOKEN_HEADER, "secret").body(Body::empty()).unwrap();
        assert_eq!(send(&flags, request).await.0, StatusCode::OK);
        let request = Request::get("/flags/quote-cache").body(Body::empty()).unwrap();
        let expected = json!({"name": "quote-cache", "enabled": false});
        assert_eq!(send(&flags, request).await, (StatusCode::OK, expected));
        let accepted: Vec<bool> = flags.calls().iter().map(|call| call.accepted).collect();
        assert_eq!(accepted, [false, false, true, true]);
        let request = Request::get("/flags/other").body(Body::empty()).unwrap();
        assert_eq!(send(&flags, request).await.0, StatusCode::NOT_FOUND);
    }
}
