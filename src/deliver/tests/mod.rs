//! Tests of the room, each against real sockets on loopback.

mod actions;
mod bodies;
mod chats;
mod command;
mod conversations;
mod fake;
mod receivers;
mod services;
mod worker;

use std::path::Path;
use std::time::Duration;

use judge::time::Timestamp;

use super::{Conversation, Envelope, Receiver, ReceiverConfig};
use crate::secret::SecretRef;

/// A fixed instant of the domain.
fn at() -> Timestamp {
    "2026-08-11T00:00:00Z".parse().unwrap()
}

/// A message with that body; half a second is ample on loopback and short for a test that fails.
fn envelope(body: &str) -> Envelope {
    Envelope {
        id: "msg_1".to_owned(),
        body: body.to_owned(),
        sent_at: "2026-11-22T10:00:00.25Z".parse().unwrap(),
        timeout: Duration::from_millis(500),
        conversation: Conversation::default(),
    }
}

/// A file with a secret in it.
fn secret(folder: &Path, name: &str, value: &str) -> SecretRef {
    let path = folder.join(name);
    std::fs::write(&path, format!("{value}\n")).unwrap();
    SecretRef::File(path)
}

fn receiver(config: serde_json::Value) -> std::sync::Arc<dyn Receiver> {
    let config: ReceiverConfig = serde_json::from_value(config).unwrap();
    config.build("test").unwrap()
}
