//! Who is asking: bearer tokens for everything that writes (signatures: `signed`).
//!
//! Tokens are compared by their SHA-256 in constant time, every configured one each time, so that
//! neither length nor position leaks. The identity is the token's name, never a field of the body.

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Problem;
use crate::settings::{Settings, TokenSettings};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The token's name.
    pub(super) name: String,
    /// Whether it may do everything.
    pub(super) is_admin: bool,
}

/// The token of `Authorization: Bearer ...`, if that header is there exactly once; the name of the
/// scheme has no case (RFC 9110, 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether two tokens are the same, in constant time and without telling their length.
pub(super) fn is_same(known: &str, given: &str) -> bool {
    let (known, given) = (Sha256::digest(known.as_bytes()), Sha256::digest(given.as_bytes()));
    bool::from(known.as_slice().ct_eq(given.as_slice()))
}

/// The identity behind a request that wants to write.
pub(super) fn identify(settings: &Settings, headers: &HeaderMap) -> Result<Identity, Problem> {
    if settings.http.tokens.is_empty() {
        let detail = "writing is off: no [[http.tokens]] in the settings";
        return Err(Problem::new(StatusCode::FORBIDDEN, "writing_off", detail));
    }
    let Some(given) = bearer(headers) else {
        let detail = "send `Authorization: Bearer <token>`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail));
    };
    let given = Sha256::digest(given.as_bytes());
    let mut found = None;
    for token in &settings.http.tokens {
        let Some(reference) = &token.token else {
            continue;
        };
        let Ok(secret) = reference.read() else {
            tracing::warn!(token = token.name, "a token cannot be read and is ignored");
            continue;
        };
        let known = Sha256::digest(secret.expose().as_bytes());
        if bool::from(known.as_slice().ct_eq(given.as_slice())) {
            found = Some(identity_of(settings, token));
        }
    }
    let refused =
        || Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", "this token is not known here");
    found.ok_or_else(refused)
}

/// Whom a token speaks for.
pub(super) fn identity_of(settings: &Settings, token: &TokenSettings) -> Identity {
    let is_admin = token.admin || settings.daemon.admins.contains(&token.name);
    Identity { name: token.name.clone(), is_admin }
}
