//! What the delivery task does beside sending: it looks at what other processes changed about
//! receivers, and says that messages went unsent.
//!
//! A burst of expired or pushed-out messages is one notice per receiver and hour, with counts;
//! every one of them is counted in the metrics.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use judge::notice::NoticeKind;
use judge::time::{Timestamp, add_ms, ms_between};

use super::attend::about_endpoint;
use super::enqueue::message_rows_about;
use super::worker::Worker;
use crate::store::{Dropped, StoreError};

/// How often receivers are read from the store.
const READ_EVERY_MS: i64 = 1_000;
/// How often unsent messages are looked for.
const LOOK_EVERY_MS: i64 = 10_000;
/// What died later than this before the look is left to the next one: it may not be written yet.
const LAG_MS: i64 = 2_000;
/// How often they are told, per receiver.
const TELL_EVERY_MS: i64 = 3_600_000;

/// When what was done last.
#[derive(Debug)]
pub(super) struct Upkeep {
    read_at: Option<Timestamp>,
    dropped_until: Timestamp,
    /// Messages of before it were counted by an earlier process.
    began_at: Timestamp,
    held_position: i64,
    looked_at: Option<Timestamp>,
    untold: BTreeMap<String, Unsent>,
}

/// Messages of one receiver that nobody was told of yet.
#[derive(Debug, Default, Clone, Copy)]
struct Unsent {
    expired: u64,
    pushed_out: u64,
}

impl Upkeep {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            read_at: None,
            dropped_until: now,
            began_at: now,
            held_position: 0,
            looked_at: None,
            untold: BTreeMap::new(),
        }
    }
}

impl Worker {
    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outbox was looked at.
    pub(super) fn looked(&self, now: Timestamp) {
        self.upkeep().looked_at = Some(now);
    }

    /// When the outbox was looked at last (wall time); `None` = never.
    pub fn looked_at(&self) -> Option<Timestamp> {
        self.upkeep().looked_at
    }

    /// Reads what changed about receivers and tells what went unsent, each in its rhythm.
    pub(super) async fn keep_up(&self, now: Timestamp) {
        if let Err(error) = self.read_endpoints(now).await {
            tracing::error!(%error, "receivers: cannot be read");
        }
        if let Err(error) = self.tell_unsent(now).await {
            tracing::error!(%error, "unsent messages: cannot be read or told");
        }
    }

    async fn read_endpoints(&self, now: Timestamp) -> Result<(), StoreError> {
        {
            let mut upkeep = self.upkeep();
            // A clock that was set back makes it due as well.
            let is_fresh = |at: Timestamp| (0..READ_EVERY_MS).contains(&ms_between(at, now));
            if upkeep.read_at.is_some_and(is_fresh) {
                return Ok(());
            }
            upkeep.read_at = Some(now);
        }
        let known = self.store.endpoints().await?;
        for row in self.traffic.adopt(known, now) {
            let (endpoint, state) = (&row.endpoint, row.state.as_str());
            tracing::info!(endpoint, state, "the receiver's configuration changed");
            self.store.put_endpoint(row).await?;
        }
        for (name, state) in self.traffic.states() {
            self.metrics.endpoint_state(&name, state);
        }
        Ok(())
    }

    async fn tell_unsent(&self, now: Timestamp) -> Result<(), StoreError> {
        let until = add_ms(now, -LAG_MS);
        let since = {
            let mut upkeep = self.upkeep();
            // A clock that was set back makes it due as well.
            if (0..LOOK_EVERY_MS).contains(&ms_between(upkeep.dropped_until, now)) {
                return Ok(());
            }
            std::mem::replace(&mut upkeep.dropped_until, until)
        };
        for dropped in self.store.dropped(since, until).await? {
            self.count_unsent(&dropped);
        }
        self.count_held().await?;
        let untold = self.upkeep().untold.clone();
        for (endpoint, unsent) in untold {
            let Some(row) = self.traffic.dropped(&endpoint, TELL_EVERY_MS, now) else { continue };
            let words = format!(
                "{} expired, {} pushed out of a full queue.",
                unsent.expired, unsent.pushed_out
            );
            let version = row.version.to_string();
            let kind = NoticeKind::DeliveryDropped;
            let notice = about_endpoint(kind, &endpoint, &words, &version, now);
            tracing::error!(endpoint, words, "messages went unsent");
            self.store.enqueue(message_rows_about(&notice, &self.routes, now)).await?;
            self.store.put_endpoint(row).await?;
            self.upkeep().untold.remove(&endpoint);
        }
        Ok(())
    }

    /// Counts what the policy held back since the last look.
    async fn count_held(&self) -> Result<(), StoreError> {
        let (behind, began_at) = {
            let upkeep = self.upkeep();
            (upkeep.held_position, upkeep.began_at)
        };
        for held in self.store.held(behind, began_at).await? {
            self.metrics.withheld(&held.endpoint, held.policy, held.count);
            let mut upkeep = self.upkeep();
            upkeep.held_position = upkeep.held_position.max(held.newest);
        }
        Ok(())
    }

    fn count_unsent(&self, dropped: &Dropped) {
        let Dropped { endpoint, kind, note, count } = dropped;
        self.metrics.dropped(endpoint, kind, note, *count);
        // Nothing is told about the telling itself.
        if kind.starts_with("endpoint.") || kind.starts_with("delivery.") {
            return;
        }
        let mut upkeep = self.upkeep();
        let unsent = upkeep.untold.entry(endpoint.clone()).or_default();
        if note == "expired" {
            unsent.expired += count;
        } else {
            unsent.pushed_out += count;
        }
    }
}
