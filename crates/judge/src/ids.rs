//! Derived identifiers: the same fact has the same id for ever, on every replica.
//!
//! engine.md section 1: `evaluation_id = hash128(slot, restatement_no)`, `notice_id =
//! hash128(evaluation_id, kind, subject)`, `webhook-id = "msg_" + hash128(notice_id, endpoint)`.
//! A crash and a replay therefore produce the same id, and a receiver can drop the duplicate.

use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// First 128 bits of SHA-256 over the length-prefixed parts, as 32 hex digits.
///
/// Length prefixes keep `("ab", "c")` and `("a", "bc")` apart.
pub fn hash128(parts: &[&str]) -> String {
    let mut hasher = Parts::default();
    for part in parts {
        hasher.add(&[part]);
    }
    hasher.hash128()
}

/// The parts of an id, one by one: [`hash128`] without a text for each of them.
#[derive(Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    /// One part, of these pieces put together.
    pub(crate) fn add(&mut self, pieces: &[&str]) {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.0.update((len as u64).to_be_bytes());
        for piece in pieces {
            self.0.update(piece.as_bytes());
        }
    }

    /// The id, as [`hash128`] gives it for the same parts.
    pub(crate) fn hash128(self) -> String {
        let mut hex = String::with_capacity(32);
        for byte in self.0.finalize().iter().take(16) {
            for digit in [byte >> 4, byte & 15] {
                hex.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
            }
        }
        hex
    }
}

/// The id of the evaluation of one slot: (experiment, track, scheduled_at) and how often restated.
pub fn evaluation_id(experiment: &str, track: &str, at: Timestamp, restatement_no: u32) -> String {
    let at_ms = at.as_millisecond().to_string();
    hash128(&["evaluation", experiment, track, &at_ms, &restatement_no.to_string()])
}

/// The id of something there is to say about an evaluation.
pub fn notice_id(evaluation_id: &str, kind: &str, subject: &str) -> String {
    hash128(&["notice", evaluation_id, kind, subject])
}

/// The `webhook-id` of one notice at one endpoint; constant over retries.
pub fn message_id(notice_id: &str, endpoint: &str) -> String {
    format!("msg_{}", hash128(&["message", notice_id, endpoint]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash128(&["ab", "c"]), hash128(&["a", "bc"]));
        assert_eq!(hash128(&["x"]), "028f0df5b8596fbcd10c9720b7a4784f");
        let mut parts = Parts::default();
        parts.add(&["col ", "a", "=b"]);
        parts.add(&[]);
        assert_eq!(parts.hash128(), hash128(&["col a=b", ""]));
    }

    #[test]
    fn ids_are_stable_for_ever() {
        let at = "2026-08-11T00:00:00Z".parse().unwrap();
        assert_eq!(evaluation_id("a", "look", at, 0), evaluation_id("a", "look", at, 0));
        assert_ne!(evaluation_id("a", "look", at, 0), evaluation_id("a", "look", at, 1));
        assert!(message_id("n", "chat").starts_with("msg_"));
    }
}
