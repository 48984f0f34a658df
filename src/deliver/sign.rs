//! Standard Webhooks 1.0.0 signatures: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Keys are `whsec_` + base64 of 24 to 64 bytes. During a rotation both keys sign, the newest
//! first. A malformed key is an error that never shows the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;

const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A decoded signing key; its `Debug` shows nothing.
#[derive(Clone)]
pub(super) struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Why a signing secret was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    /// The prefix is missing.
    #[error("signing secret: must start with `whsec_`")]
    Prefix,
    /// What follows is no padded base64.
    #[error("signing secret: what follows `whsec_` is not base64")]
    Base64,
    /// Too short to be safe or too long for receivers.
    #[error("signing secret: has {0} bytes; 24 to 64 are wanted (try `openssl rand -base64 24`)")]
    Length(usize),
}

impl SigningKey {
    /// Reads `whsec_...`.
    pub(super) fn parse(secret: &Secret) -> Result<Self, KeyError> {
        let encoded = secret.expose().trim().strip_prefix(PREFIX).ok_or(KeyError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Base64)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(KeyError::Length(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// `v1,<base64>` of one message.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length; the error type cannot occur.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The value of `webhook-signature`: one entry per key, newest first, separated by spaces.
pub(super) fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let entries: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    entries.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn both_keys_sign_during_a_rotation() {
        let new = key(&format!("whsec_{}", STANDARD.encode([1; 24]))).unwrap();
        let old = key(&format!("whsec_{}", STANDARD.encode([2; 64]))).unwrap();
        let both = signature(&[new.clone(), old.clone()], "a", 1, b"x");
        let alone = [signature(&[new], "a", 1, b"x"), signature(&[old], "a", 1, b"x")];
        assert_eq!(both, alone.join(" "));
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn bad_keys_are_refused_without_showing_them() {
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        for (text, error) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", KeyError::Prefix),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", KeyError::Base64),
            ("whsec_%%%", KeyError::Base64),
            (short.as_str(), KeyError::Length(23)),
            (long.as_str(), KeyError::Length(65)),
        ] {
            let refused = key(text).unwrap_err();
            assert_eq!(refused, error);
            assert!(!refused.to_string().contains(&text[6..]), "{refused}");
        }
        assert_eq!(
            format!("{:?}", key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()),
            "SigningKey(***)"
        );
    }
}
