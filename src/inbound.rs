//! Requests to us that are signed: Standard Webhooks and Slack, verified the same way.
//!
//! Pure but for the replay cache: headers, body, key and clock are arguments. Signatures are
//! compared in constant time, headers count only when they come exactly once, and a signature that
//! is good says nothing about whether the request was seen before: whoever acts on one asks
//! [`ReplayCache::admit`] with the [`Verified::replay_key`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use judge::time::Timestamp;
use ring::signature::{ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq as _;

use crate::deliver::sign::{self, SigningKey, hmac};
use crate::secret::Secret;

/// How far the sender's clock may be from ours.
pub const TOLERANCE: Duration = Duration::from_mins(5);
/// How long a request is remembered: a signature is good for twice the tolerance.
pub const REMEMBERED: Duration = Duration::from_mins(10);
/// Largest signed body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Most requests that are remembered at the same time; one more is refused until one is forgotten.
const MAX_REMEMBERED: usize = 10_000;
/// Most entries of a signature header that are looked at.
const MAX_ENTRIES: usize = 16;
/// Longest id.
const MAX_ID_BYTES: usize = 256;

/// A request whose signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What makes this request one of its kind, for the replay cache.
    pub replay_key: String,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// Why a signed request is not taken; the words never hold a key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing, there more than once, or not of its form.
    #[error("header `{0}` must be there exactly once and be well formed")]
    Header(&'static str),
    /// Signed too long ago or too far ahead.
    #[error("signed at another time than now (5 minutes either way): sign again, check the clock")]
    Clock,
    /// No known key made this signature over this body.
    #[error("the signature is not that of this id, time and body with a key known here")]
    Signature,
    /// The key of the settings cannot be used.
    #[error("the signing secret of the settings cannot be used")]
    Key,
    /// Seen before.
    #[error("this request was taken before")]
    Replayed,
    /// Signed before we began to remember what we took.
    #[error("signed before this daemon started: sign again")]
    BeforeStart,
    /// The cache is full.
    #[error("too many signed requests at the same time: send it again later")]
    Full,
}

/// A key that inbound requests are verified with; its `Debug` shows nothing.
#[derive(Clone)]
pub enum VerifyingKey {
    /// `whsec_`: HMAC-SHA256, `v1`.
    Shared(Vec<u8>),
    /// `whpk_`: ed25519, `v1a`.
    Public(Vec<u8>),
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyingKey(***)")
    }
}

impl VerifyingKey {
    /// Reads `whsec_...` or `whpk_...`.
    pub fn parse(secret: &Secret) -> Result<Self, Refused> {
        if let Some(encoded) = secret.expose().trim().strip_prefix(sign::PUBLIC_PREFIX) {
            let bytes = STANDARD.decode(encoded).map_err(|_| Refused::Key)?;
            return if bytes.len() == 32 { Ok(Self::Public(bytes)) } else { Err(Refused::Key) };
        }
        match SigningKey::parse(secret) {
            Ok(SigningKey::Shared(bytes)) => Ok(Self::Shared(bytes)),
            // Who verifies holds no private key.
            Ok(SigningKey::Private(_)) | Err(_) => Err(Refused::Key),
        }
    }

    /// Whether one entry of the header is this key's signature of the text.
    fn has_signed(&self, entry: &str, text: &[u8]) -> bool {
        let Some((version, encoded)) = entry.split_once(',') else {
            return false;
        };
        let Ok(given) = STANDARD.decode(encoded) else {
            return false;
        };
        match self {
            Self::Shared(key) => version == "v1" && is_same(&hmac(key, text), &given),
            Self::Public(key) => {
                version == "v1a"
                    && UnparsedPublicKey::new(&ED25519, key).verify(text, &given).is_ok()
            }
        }
    }
}

/// Whether two digests are the same, in a time that does not depend on where they differ.
fn is_same(known: &[u8], given: &[u8]) -> bool {
    bool::from(known.ct_eq(given))
}

/// Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature` over the raw body.
/// The index of the key that signed; every key is tried, whichever fits.
pub fn standard(
    keys: &[VerifyingKey],
    headers: &HeaderMap,
    body: &[u8],
    wall_now: Timestamp,
) -> Result<(usize, Verified), Refused> {
    let id = single(headers, "webhook-id")?;
    // A dot would let an id and a timestamp change places in the signed text.
    let is_id = id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_graphic() && b != b'.');
    if id.is_empty() || !is_id {
        return Err(Refused::Header("webhook-id"));
    }
    let signed_at = instant(headers, "webhook-timestamp", wall_now)?;
    let entries = single(headers, "webhook-signature")?;
    let mut text = format!("{id}.{}.", signed_at.as_second()).into_bytes();
    text.extend_from_slice(body);
    let mut found = None;
    for (index, key) in keys.iter().enumerate() {
        for entry in entries.split(' ').take(MAX_ENTRIES) {
            if key.has_signed(entry, &text) {
                found = found.or(Some(index));
            }
        }
    }
    let index = found.ok_or(Refused::Signature)?;
    Ok((index, Verified { replay_key: format!("id:{id}"), signed_at }))
}

/// Slack: `X-Slack-Signature: v0=<hex>` over `v0:timestamp:body`.
pub fn slack(
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    wall_now: Timestamp,
) -> Result<Verified, Refused> {
    const NAME: &str = "x-slack-signature";
    let given = single(headers, NAME)?.strip_prefix("v0=").ok_or(Refused::Header(NAME))?;
    let signed_at = instant(headers, "x-slack-request-timestamp", wall_now)?;
    let mut text = format!("v0:{}:", signed_at.as_second()).into_bytes();
    text.extend_from_slice(body);
    let known = hmac(secret.expose().as_bytes(), &text);
    let known = known.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    if !is_same(known.as_bytes(), given.as_bytes()) {
        return Err(Refused::Signature);
    }
    Ok(Verified { replay_key: format!("slack:{known}"), signed_at })
}

/// A header that is there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(text)), None) => Ok(text),
        _ => Err(Refused::Header(name)),
    }
}

/// A header with unix seconds that are near enough to now.
fn instant(
    headers: &HeaderMap,
    name: &'static str,
    wall_now: Timestamp,
) -> Result<Timestamp, Refused> {
    let text = single(headers, name)?;
    // Only the canonical spelling: what is signed is the number, written anew.
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let second: i64 = match text.parse() {
        Ok(second) if is_canonical => second,
        _ => return Err(Refused::Header(name)),
    };
    let at = Timestamp::from_second(second).map_err(|_| Refused::Header(name))?;
    let away = second.abs_diff(wall_now.as_second());
    if away <= TOLERANCE.as_secs() { Ok(at) } else { Err(Refused::Clock) }
}

/// The requests that were taken within the last [`REMEMBERED`].
///
/// It is empty after a start, so requests signed before the start are not taken: the sender signs
/// again at its next attempt. Bounded: when full, new requests are refused, never old ones
/// forgotten early.
#[derive(Debug)]
pub struct ReplayCache {
    started_at: Timestamp,
    seen: Mutex<HashMap<String, Timestamp>>,
}

impl ReplayCache {
    /// An empty one.
    pub fn new(started_at: Timestamp) -> Self {
        Self { started_at, seen: Mutex::default() }
    }

    /// Remembers a request; an error if it must not be acted upon.
    pub fn admit(&self, verified: &Verified, wall_now: Timestamp) -> Result<(), Refused> {
        if verified.signed_at.as_second() < self.started_at.as_second() {
            return Err(Refused::BeforeStart);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED || seen.contains_key(&verified.replay_key) {
            let horizon = wall_now.as_second() - REMEMBERED.as_secs() as i64;
            seen.retain(|_, at| at.as_second() >= horizon);
        }
        if seen.contains_key(&verified.replay_key) {
            return Err(Refused::Replayed);
        }
        if seen.len() >= MAX_REMEMBERED {
            return Err(Refused::Full);
        }
        seen.insert(verified.replay_key.clone(), wall_now);
        Ok(())
    }

    /// Forgets a request that failed on our side, so that its sender may try again.
    pub fn forget(&self, verified: &Verified) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(&verified.replay_key);
    }
}

#[cfg(test)]
mod tests;
