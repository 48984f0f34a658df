//! Links that acknowledge or snooze: signed, for one notice, for a while.
//!
//! Whoever holds the link may use it once. Following it shows a page and changes nothing, since
//! previews and mail scanners follow links too; the form on that page does it. The signature is
//! HMAC-SHA256 over what to do, the notice, its experiment and the end of validity.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use judge::time::{Timestamp, add_ms};
use serde_json::Value;
use sha2::Sha256;

use super::Facts;
use crate::secret::{SecretError, SecretRef};
use crate::store::{Store, StoreError};

/// Where the pages behind the links are.
pub const PATH: &str = "/n/";
/// The name of the key in the store.
pub const KEY_NAME: &str = "links";
/// Longest token that is read.
const MAX_TOKEN: usize = 300;

/// The key; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey(Vec<u8>);

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(***)")
    }
}

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Somebody has seen it: it is not told again.
    Acknowledge,
    /// Not now.
    Snooze,
}

impl Act {
    /// The word in the link.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "ack",
            Self::Snooze => "snooze",
        }
    }
}

/// A link as it came, not believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What to do.
    pub act: Act,
    /// With which notice.
    pub notice: String,
    /// Until when the link works, in seconds.
    expires_secs: i64,
    mac: Vec<u8>,
}

/// Why a link does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Cut off, changed, or of another daemon.
    #[error("this link is not one of ours, or it was changed on its way")]
    Forged,
    /// Too old.
    #[error("this link has expired; use `verdictd notify ack`, the API or a newer message")]
    Expired,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The setting `notify.link_secret` cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key of the settings, else the store's own, which is made once.
pub async fn key(secret: Option<&SecretRef>, store: &Store) -> Result<LinkKey, KeyError> {
    if let Some(secret) = secret {
        return Ok(LinkKey::new(secret.read()?.expose()));
    }
    let fresh = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    Ok(LinkKey::new(&store.key(KEY_NAME, &fresh).await?))
}

impl LinkKey {
    /// Of any text with enough in it.
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// HMAC takes a key of any length: `None` cannot occur, and would make no link that works.
    fn mac(
        &self,
        act: Act,
        notice: &str,
        partition: &str,
        expires_secs: i64,
    ) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in ["verdictd-link-1", act.as_str(), notice, partition] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&expires_secs.to_be_bytes());
        Some(mac)
    }

    /// The last part of a link.
    pub fn token(&self, act: Act, notice: &str, partition: &str, expires_at: Timestamp) -> String {
        let expires_secs = expires_at.as_second();
        let mac = self.mac(act, notice, partition, expires_secs);
        let mac = mac.map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        let mac = mac.unwrap_or_default();
        format!("{}.{notice}.{expires_secs}.{mac}", act.as_str())
    }

    /// Believes a token or says why not; `partition` is where its notice really belongs.
    pub fn check(&self, token: &Token, partition: &str, now: Timestamp) -> Result<(), LinkError> {
        let mac = self.mac(token.act, &token.notice, partition, token.expires_secs);
        let mac = mac.ok_or(LinkError::Forged)?;
        mac.verify_slice(&token.mac).map_err(|_| LinkError::Forged)?;
        if now.as_second() >= token.expires_secs { Err(LinkError::Expired) } else { Ok(()) }
    }
}

impl Token {
    /// Reads the last part of a link.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let parts: Vec<&str> = text.split('.').collect();
        let [act, notice, expires, mac] = parts.as_slice() else { return Err(LinkError::Forged) };
        let act = match *act {
            "ack" => Act::Acknowledge,
            "snooze" => Act::Snooze,
            _ => return Err(LinkError::Forged),
        };
        let expires_secs = expires.parse().map_err(|_| LinkError::Forged)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| LinkError::Forged)?;
        if text.len() > MAX_TOKEN {
            return Err(LinkError::Forged);
        }
        Ok(Self { act, notice: (*notice).to_owned(), expires_secs, mac })
    }
}

/// How messages get their links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// The key.
    pub key: LinkKey,
    /// How long a link works.
    pub valid_ms: i64,
}

impl Linker {
    /// Puts `links.ack` and, where it can be snoozed, `links.snooze` into a message.
    pub fn add(
        &self,
        message: &mut Value,
        facts: &Facts,
        notice: &str,
        partition: &str,
        external_url: &str,
        now: Timestamp,
    ) {
        if external_url.is_empty() || !(facts.is_lasting() || facts.is_tripwire()) {
            return;
        }
        let expires_at = add_ms(now, self.valid_ms);
        let link = |act| {
            format!("{external_url}{PATH}{}", self.key.token(act, notice, partition, expires_at))
        };
        let links = &mut message["data"]["links"];
        if links.is_null() {
            *links = Value::Object(serde_json::Map::new());
        }
        links["ack"] = link(Act::Acknowledge).into();
        if facts.is_lasting() {
            links["snooze"] = link(Act::Snooze).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_for_one_thing_of_one_notice_of_one_experiment_for_a_while() {
        let key = LinkKey::new("a key of some length, made at the first start");
        let now: Timestamp = "2026-11-25T15:00:00Z".parse().unwrap();
        let text = key.token(Act::Acknowledge, "0123abcd", "copy", add_ms(now, 1_000));
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.act, token.notice.as_str()), (Act::Acknowledge, "0123abcd"));
        assert_eq!(key.check(&token, "copy", now), Ok(()));
        assert_eq!(key.check(&token, "other", now), Err(LinkError::Forged));
        assert_eq!(key.check(&token, "copy", add_ms(now, 1_000)), Err(LinkError::Expired));
        assert_eq!(LinkKey::new("b").check(&token, "copy", now), Err(LinkError::Forged));
        for (from, to) in [("ack.", "snooze."), ("0123", "0124"), ("abcd.", "abcd.9")] {
            let forged = Token::parse(&text.replacen(from, to, 1)).unwrap();
            assert_eq!(key.check(&forged, "copy", now), Err(LinkError::Forged), "{to}");
        }
        // Cut anywhere, it is never believed.
        for end in 0..text.len() {
            let cut = Token::parse(&text[..end]);
            assert!(cut.is_err() || key.check(&cut.unwrap(), "copy", now).is_err(), "{end}");
        }
        assert_eq!(format!("{key:?}"), "LinkKey(***)");
    }
}
