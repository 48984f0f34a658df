//! The dead-man's switch: something outside is told that we are alive, and pages when it is not.
//!
//! Silence is the message, so a ping must mean what it says: no slot is late and the outbox is
//! looked at. Whether that is so is decided here, purely; `tasks::heartbeat` asks and pings. A
//! ping is no delivery: it has no row, no retry and no attempt log.

use std::time::Duration;

use judge::time::{Timestamp, ms_between};
use reqwest::{Client, Method};

use super::SendError;
use super::endpoint::Network;
use super::exchange::exchange;
use crate::secret::SecretRef;
use crate::settings::{HeartbeatMethod, HeartbeatSettings};

/// One ping takes no longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a ping is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// A slot is due for longer than is allowed.
    SlotLate,
    /// The outbox was not looked at for longer than is allowed.
    OutboxIdle,
    /// The store cannot be asked.
    Store,
}

impl Silence {
    /// The label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlotLate => "slot_late",
            Self::OutboxIdle => "outbox_idle",
            Self::Store => "store",
        }
    }
}

/// What a ping would vouch for.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// The earliest slot that was not answered yet (domain time).
    pub earliest_slot: Option<Timestamp>,
    /// When the outbox was looked at last (wall time).
    pub looked_at: Option<Timestamp>,
}

/// Whether all is well, or why not. `allowance` is how late things may be.
pub fn silence(
    pulse: Pulse,
    domain_now: Timestamp,
    wall_now: Timestamp,
    allowance: Duration,
) -> Option<Silence> {
    let allowed_ms = i64::try_from(allowance.as_millis()).unwrap_or(i64::MAX);
    if pulse.earliest_slot.is_some_and(|slot| ms_between(slot, domain_now) > allowed_ms) {
        return Some(Silence::SlotLate);
    }
    let is_fresh = |at: Timestamp| ms_between(at, wall_now) <= allowed_ms;
    (!pulse.looked_at.is_some_and(is_fresh)).then_some(Silence::OutboxIdle)
}

/// Who is told.
#[derive(Debug)]
pub struct Heart {
    client: Client,
    network: Network,
    url: SecretRef,
    method: Method,
}

impl Heart {
    /// As configured; `None` without an address.
    pub fn build(settings: &HeartbeatSettings) -> Result<Option<Self>, String> {
        let Some(url) = settings.url.clone() else { return Ok(None) };
        let network = Network { allow_private: settings.allow_private, ..Network::default() };
        let method = match settings.method {
            HeartbeatMethod::Get => Method::GET,
            HeartbeatMethod::Post => Method::POST,
        };
        Ok(Some(Self { client: network.client()?, network, url, method }))
    }

    /// One ping; anything but a 2xx answer is an error, without the address in it.
    pub async fn ping(&self, now: Timestamp) -> Result<(), SendError> {
        let url = self.network.secret_url(&self.url)?;
        let request = self.client.request(self.method.clone(), url.clone());
        let answer = exchange(request, &url, TIMEOUT, now).await?;
        answer.failure().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_vouches_for_slots_and_outbox() {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let minute = Duration::from_mins(1);
        for (slot, looked, expected) in [
            (None, Some(0), None),
            (Some(500), Some(0), None),
            (Some(-60), Some(-60), None),
            (Some(-61), Some(0), Some(Silence::SlotLate)),
            (Some(9), Some(-61), Some(Silence::OutboxIdle)),
            (None, None, Some(Silence::OutboxIdle)),
        ] {
            let pulse = Pulse { earliest_slot: slot.map(at), looked_at: looked.map(at) };
            let held = silence(pulse, at(0), at(0), minute);
            assert_eq!(held, expected, "{slot:?} {looked:?}");
        }
    }
}
