//! Standard Webhooks 1.0.0 signatures over `id.timestamp.body`: `v1` is HMAC-SHA256 with a shared
//! secret, `v1a` is ed25519 with a private key whose public half the receiver knows.
//!
//! Keys are `whsec_` + base64 of 24 to 64 bytes, or `whsk_` + base64 of a 32-byte ed25519 seed
//! (the public key may follow it: 64 bytes). During a rotation old and new keys sign, the newest
//! first. A malformed key is an error that never shows the key. Every entry of the header has its
//! comma, and secrets made here have no base64 padding: some libraries stumble over either.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SecureRandom as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::Sha256;

use crate::secret::Secret;

const PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
pub(crate) const PUBLIC_PREFIX: &str = "whpk_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const SEED_BYTES: usize = 32;

/// A decoded signing key; its `Debug` shows nothing.
#[derive(Clone)]
pub(crate) enum SigningKey {
    /// `whsec_`: both sides know it.
    Shared(Vec<u8>),
    /// `whsk_`: only we know it.
    Private(Arc<Ed25519KeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Why a signing secret was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// The prefix is missing.
    #[error("signing secret: must start with `whsec_` (shared) or `whsk_` (ed25519)")]
    Prefix,
    /// What follows is no padded base64.
    #[error("signing secret: what follows its prefix is not base64")]
    Base64,
    /// Too short to be safe or too long for receivers.
    #[error("signing secret: has {0} bytes; 24 to 64 are wanted (try `verdictd notify keygen`)")]
    Length(usize),
    /// No seed, or a public key that is not the seed's.
    #[error(
        "signing key: `whsk_` wants the 32 bytes of an ed25519 seed, with or without its public \
         key (try `verdictd notify keygen --ed25519`)"
    )]
    Seed,
}

impl SigningKey {
    /// Reads `whsec_...` or `whsk_...`.
    pub(crate) fn parse(secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose().trim();
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Base64)?;
            return key_pair(&bytes).map(|pair| Self::Private(Arc::new(pair)));
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Base64)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(KeyError::Length(bytes.len()));
        }
        Ok(Self::Shared(bytes))
    }

    /// `whpk_...`, what a receiver verifies `v1a` with; `None` for a shared secret.
    #[cfg(test)]
    fn public(&self) -> Option<String> {
        match self {
            Self::Shared(_) => None,
            Self::Private(pair) => Some(public_key(pair)),
        }
    }

    /// `v1,<base64>` or `v1a,<base64>` of one message.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        match self {
            Self::Shared(key) => {
                format!("v1,{}", STANDARD.encode(hmac(key, &signed_text(id, timestamp, body))))
            }
            Self::Private(pair) => {
                let signature = pair.sign(&signed_text(id, timestamp, body));
                format!("v1a,{}", STANDARD.encode(signature.as_ref()))
            }
        }
    }
}

fn key_pair(bytes: &[u8]) -> Result<Ed25519KeyPair, KeyError> {
    let pair = match bytes.split_at_checked(SEED_BYTES) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
        Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => return Err(KeyError::Seed),
    };
    pair.map_err(|_| KeyError::Seed)
}

fn public_key(pair: &Ed25519KeyPair) -> String {
    format!("{PUBLIC_PREFIX}{}", STANDARD.encode(pair.public_key().as_ref()))
}

/// What is signed.
fn signed_text(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{id}.{timestamp}.").into_bytes();
    text.extend_from_slice(body);
    text
}

/// HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length; the error type cannot occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The value of `webhook-signature`: one entry per key, newest first, separated by spaces.
pub(crate) fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let entries: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    entries.join(" ")
}

/// The system has no random bytes to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator does not answer")]
pub(crate) struct NoRandom;

/// A fresh shared secret: 24 bytes, or 48 for those who want more.
pub(crate) fn new_secret(is_long: bool) -> Result<String, NoRandom> {
    let mut bytes = [0; 48];
    let bytes = if is_long { &mut bytes[..] } else { &mut bytes[..24] };
    ring::rand::SystemRandom::new().fill(bytes).map_err(|_| NoRandom)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

/// A fresh ed25519 key: `whsk_...` for us, `whpk_...` for receivers.
pub(crate) fn new_key_pair() -> Result<(String, String), NoRandom> {
    let mut seed = [0; SEED_BYTES];
    ring::rand::SystemRandom::new().fill(&mut seed).map_err(|_| NoRandom)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoRandom)?;
    Ok((format!("{PRIVATE_PREFIX}{}", STANDARD.encode(seed)), public_key(&pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private key of RFC 8032 section 7.1, test 1, as `whsk_`.
    const SEED: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

    fn key(text: &str) -> Result<SigningKey, KeyError> {
        SigningKey::parse(&Secret::new(text))
    }

    /// The example of the Standard Webhooks specification and of every library's test suite.
    #[test]
    fn signs_the_vector_of_the_specification() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// The public key is that of the RFC; the signature was made with Node's `crypto.sign(null,
    /// "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}", key)`.
    #[test]
    fn signs_the_ed25519_vector_of_node() {
        let key = key(SEED).unwrap();
        let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(key.public().unwrap(), public);
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            concat!(
                "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV",
                "9jSeGlHFG2NVAw=="
            )
        );
    }

    #[test]
    fn all_keys_sign_during_a_rotation_in_their_order() {
        let new = key(&format!("whsec_{}", STANDARD.encode([1; 24]))).unwrap();
        let pair = key(SEED).unwrap();
        let old = key(&format!("whsec_{}", STANDARD.encode([2; 64]))).unwrap();
        let keys = [new, pair, old];
        let together = signature(&keys, "a", 1, b"x");
        let alone: Vec<_> =
            keys.iter().map(|key| signature(std::slice::from_ref(key), "a", 1, b"x")).collect();
        assert_eq!(together, alone.join(" "));
        assert!(together.split(' ').all(|entry| entry.matches(',').count() == 1));
        let versions: Vec<_> = alone.iter().map(|it| it.split(',').next().unwrap()).collect();
        assert_eq!(versions, ["v1", "v1a", "v1"]);
        assert_ne!(alone[0], alone[2]);
    }

    #[test]
    fn bad_keys_are_refused_without_showing_them() {
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let stranger = [[1; 32], STANDARD.decode(public).unwrap().try_into().unwrap()].concat();
        let stranger = format!("whsk_{}", STANDARD.encode(stranger));
        let half = format!("whsk_{}", STANDARD.encode([1; 31]));
        for (text, error) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", KeyError::Prefix),
            ("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KeyError::Prefix),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", KeyError::Base64),
            ("whsec_%%%", KeyError::Base64),
            ("whsk_%%%", KeyError::Base64),
            (short.as_str(), KeyError::Length(23)),
            (long.as_str(), KeyError::Length(65)),
            (stranger.as_str(), KeyError::Seed),
            (half.as_str(), KeyError::Seed),
        ] {
            let refused = key(text).unwrap_err();
            assert_eq!(refused, error);
            assert!(!refused.to_string().contains(&text[6..]), "{refused}");
        }
        for text in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SEED] {
            assert_eq!(format!("{:?}", key(text).unwrap()), "SigningKey(***)");
        }
    }

    #[test]
    fn fresh_keys_can_be_used_and_need_no_padding() {
        for (is_long, characters) in [(false, 6 + 32), (true, 6 + 64)] {
            let secret = new_secret(is_long).unwrap();
            assert_eq!(secret.len(), characters, "{secret}");
            assert!(!secret.contains('='));
            assert!(key(&secret).is_ok());
            assert_ne!(secret, new_secret(is_long).unwrap());
        }
        let (private, public) = new_key_pair().unwrap();
        assert_eq!(key(&private).unwrap().public().unwrap(), public);
        assert_ne!(private, new_key_pair().unwrap().0);
    }

    /// The seed with its public key behind it is the form that some tools print.
    #[test]
    fn a_seed_may_bring_its_public_key() {
        let seed = STANDARD.decode(SEED.strip_prefix(PRIVATE_PREFIX).unwrap()).unwrap();
        let public = STANDARD.decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
        let both = format!("whsk_{}", STANDARD.encode([seed, public].concat()));
        assert_eq!(key(&both).unwrap().public(), key(SEED).unwrap().public());
    }
}
