//! Signed requests at the door: verified once, before any handler, for every route that writes.
//!
//! A request with `webhook-signature` is judged by that signature alone: a token beside it does
//! not help. The caller it speaks for is put beside the request, where [`Caller`] finds it; any
//! other request is judged by its bearer token. A request that failed on our side is forgotten, so
//! that its sender may try again.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::auth::Identity;
use super::routes::DEADLINE;
use super::{HttpState, Problem, auth};
use crate::inbound::{self, Refused, ReplayCache, Verified, VerifyingKey};
use crate::settings::Settings;

/// Who asks to write: by signature or by token.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Identity);

impl FromRequestParts<HttpState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        if let Some(identity) = parts.extensions.get::<Identity>() {
            return Ok(Self(identity.clone()));
        }
        auth::identify(&state.settings, &parts.headers).map(Self)
    }
}

/// What the door works with.
#[derive(Debug, Clone)]
pub(super) struct Door {
    state: HttpState,
    taken: Arc<ReplayCache>,
}

impl Door {
    pub(super) fn new(state: HttpState) -> Self {
        let taken = Arc::new(ReplayCache::new(state.clock.wall_now()));
        Self { state, taken }
    }

    /// The caller behind a signature, seen for the first time.
    fn admit(&self, headers: &HeaderMap, body: &[u8]) -> Result<(Identity, Verified), Problem> {
        let wall_now = self.state.clock.wall_now();
        let (keys, identities) = known(&self.state.settings);
        if keys.is_empty() {
            let detail = "no token of the settings has a `signing_secret`: send a bearer token";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "signing_off", detail));
        }
        let admitted = inbound::standard(&keys, headers, body, wall_now).and_then(|(index, it)| {
            let identity = identities.get(index).cloned().ok_or(Refused::Signature)?;
            // Ids are the sender's: two senders may use the same.
            let replay_key = format!("{}/{}", identity.name, it.replay_key);
            let verified = Verified { replay_key, ..it };
            self.taken.admit(&verified, wall_now).map(|()| (identity, verified))
        });
        admitted.map_err(refusal)
    }
}

/// The keys of the settings and whom they speak for, in the same order.
fn known(settings: &Settings) -> (Vec<VerifyingKey>, Vec<Identity>) {
    let mut keys = Vec::new();
    let mut identities = Vec::new();
    for token in &settings.http.tokens {
        let Some(secret) = &token.signing_secret else {
            continue;
        };
        let Some(key) = secret.read().ok().and_then(|it| VerifyingKey::parse(&it).ok()) else {
            tracing::warn!(token = token.name, "a signing secret cannot be used and is ignored");
            continue;
        };
        keys.push(key);
        identities.push(auth::identity_of(settings, token));
    }
    (keys, identities)
}

/// A refused signature as the caller reads it.
pub(super) fn refusal(refused: Refused) -> Problem {
    let (status, code) = match refused {
        Refused::Header(_) => (StatusCode::UNAUTHORIZED, "signature_headers"),
        Refused::Clock | Refused::BeforeStart => (StatusCode::UNAUTHORIZED, "signature_time"),
        Refused::Signature | Refused::Key => (StatusCode::UNAUTHORIZED, "wrong_signature"),
        Refused::Replayed => (StatusCode::CONFLICT, "replayed"),
        Refused::Full => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    };
    Problem::new(status, code, refused.to_string())
}

/// Verifies a signed request before its route sees it.
pub(super) async fn verify(State(door): State<Door>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || !request.headers().contains_key("webhook-signature") {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let limit = door.state.settings.http.max_body_bytes.min(inbound::MAX_BODY_BYTES);
    // The routes have their deadlines behind this door.
    let read = tokio::time::timeout(DEADLINE, to_bytes(body, limit)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let detail = format!("a signed body may have at most {limit} bytes");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail).into_response();
        }
        Err(_) => {
            let detail = "the body did not come within the deadline";
            return Problem::new(StatusCode::REQUEST_TIMEOUT, "body", detail).into_response();
        }
    };
    let (identity, verified) = match door.admit(&parts.headers, &body) {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    parts.extensions.insert(identity);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status().is_server_error() {
        door.taken.forget(&verified);
    }
    response
}
