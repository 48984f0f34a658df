//! An action tried by hand: reading the flag only, or turning it off for a game day.

use std::time::Duration;

use judge::time::Timestamp;
use serde_json::json;

use super::{ActionConfig, build_action};
use crate::deliver::receivers::{Conversation, Envelope};
use crate::deliver::{BuildError, ErrorClass};
use crate::store::Store;

/// What a dry test finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What the flag reads: words that say that it is off, or what it reads instead.
    pub reads: Result<String, String>,
    /// What a trip would send.
    pub would_send: String,
}

/// Reads the flag once, as a rollback would; nothing is asked for.
pub async fn probe(
    name: &str,
    config: &ActionConfig,
    store: Option<&Store>,
    timeout: Duration,
    wall_now: Timestamp,
) -> Result<Probe, BuildError> {
    let action = build_action(name, config, store)?;
    let envelope = envelope(name, config, timeout, wall_now);
    let reads = action.act.read_back(&envelope).await;
    Ok(Probe { reads: reads.map_err(|error| error.to_string()), would_send: action.act.intent() })
}

/// Turns the flag off for real and follows it: one line for each step through `say`.
///
/// Whether it is armed does not matter here: a person asked by name. Returns whether the flag was
/// read back as off within `patience`.
pub async fn fire(
    name: &str,
    config: &ActionConfig,
    store: Option<&Store>,
    patience: Duration,
    wall_now: Timestamp,
    mut say: impl FnMut(String),
) -> Result<bool, BuildError> {
    let action = build_action(name, config, store)?;
    let envelope = envelope(name, config, patience, wall_now);
    let began = tokio::time::Instant::now();
    let seconds = || format!("{:.3} s", began.elapsed().as_secs_f64());
    say(format!("requested  {}", action.act.intent()));
    match action.act.ask(&envelope).await {
        Ok(status) => {
            let status = status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            say(format!("accepted   after {}{status}", seconds()));
        }
        Err(error) => {
            say(format!("refused    after {}: {error}", seconds()));
            return Ok(false);
        }
    }
    loop {
        match action.act.read_back(&envelope).await {
            Ok(words) => {
                say(format!("confirmed  after {}: {words}", seconds()));
                return Ok(true);
            }
            Err(error) => {
                let is_over = began.elapsed() >= patience;
                if is_over || error.class == ErrorClass::NoReadBack {
                    say(format!("unconfirmed after {}: {error}", seconds()));
                    return Ok(false);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(config.verify_interval_ms().max(10))).await;
    }
}

fn envelope(name: &str, config: &ActionConfig, timeout: Duration, wall_now: Timestamp) -> Envelope {
    let by_hand = json!({
        "action": name,
        "evaluation": "none",
        "experiment": "none",
        "guardrail": "none (a test by hand)",
        "requested": "off",
    });
    Envelope {
        id: format!("msg_test-{}", wall_now.as_millisecond()),
        body: config.render(&by_hand),
        sent_at: wall_now,
        timeout,
        conversation: Conversation::default(),
    }
}
