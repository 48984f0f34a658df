//! One leased row, from its turn to its record.
//!
//! Whoever waited for a slot while its receiver was found failing or paused goes back unattempted
//! and loses nothing. Everything that follows from an attempt (the next one, what it changed about
//! the receiver, the messages that tell so) is one transaction.

use std::sync::{Arc, PoisonError};

use judge::notice::{Notice, NoticeKind};
use judge::time::{Timestamp, ms_between};
use tokio::sync::OwnedMutexGuard;

use super::actions::{Asked, Progress, Reached, over_limit};
use super::attempt::{ActionPlan, Sent, after_action, after_send, outcome_label};
use super::enqueue::message_rows_about;
use super::exchange::misconfigured;
use super::traffic::{Change, Ended};
use super::worker::Worker;
use super::{ActionConfig, Conversation, Envelope, Receipt, Receiver, SendError, Then, skew};
use crate::failpoint::{self, Point};
use crate::store::{Attempt, DeliveryState, Finished, Lane, OutboxItem, OutboxRow, Outcome};

impl Worker {
    /// One attempt of one row, from sending to recording; a probe may start where others wait.
    pub(super) async fn attend(&self, item: OutboxItem, is_probe: bool) {
        let endpoint = &item.row.endpoint;
        // The semaphores are never closed; a row of an unknown endpoint needs no slot.
        let _permit = match self.slots.get(endpoint) {
            Some(slots) => slots.of(item.row.urgent).acquire().await.ok(),
            None => None,
        };
        let _turn = self.turn(&item.row).await;
        let started_at = self.clock.wall_now();
        let is_exempt = is_probe || item.row.urgent;
        if !self.traffic.may_start(endpoint, is_exempt, started_at) {
            return self.give_back(&item).await;
        }
        let attempt = match item.row.lane {
            Lane::Message => self.send(&item, started_at).await,
            Lane::Action => self.act(&item, started_at).await,
        };
        self.record(&item, attempt).await;
    }

    async fn give_back(&self, item: &OutboxItem) {
        let rows = vec![(item.row.id.clone(), item.attempt)];
        if let Err(error) = self.store.release_rows(&self.holder, rows).await {
            tracing::error!(%error, id = item.row.id, "row not given back; its lease will run out");
        }
    }

    async fn send(&self, item: &OutboxItem, started_at: Timestamp) -> Attempt {
        let row = &item.row;
        let mut envelope = self.envelope(item, started_at);
        let (result, skew_ms) = match self.receivers.get(&row.endpoint) {
            None => {
                let cause = format!("no receiver is called {}", row.endpoint);
                (Err(misconfigured(cause)), None)
            }
            Some(receiver) => {
                if item.attempt == 1 {
                    let count = receiver.render_errors(&row.body);
                    if count > 0 {
                        self.metrics.render_errors(&row.endpoint, count);
                    }
                }
                let sending = self.send_or_shrink(receiver.as_ref(), item, &mut envelope);
                skew::listening(sending).await
            }
        };
        let finished_at = self.clock.wall_now();
        let jitter = rand::random();
        let seen = result.as_ref().map(|_| ());
        let ended = Ended { result: seen, skew_ms, at: finished_at, jitter };
        let change = self.traffic.ended(&row.endpoint, ended);
        let sent = Sent {
            holder: &self.holder,
            item,
            started_at,
            finished_at,
            paused_until: self.traffic.paused_until(&row.endpoint),
        };
        let mut attempt = after_send(sent, result, &self.config.ladder, jitter);
        if let Some(probe_at) = self.traffic.probe_at(&row.endpoint) {
            wait_for_probe(&mut attempt, probe_at);
        }
        attempt.learnt = envelope.conversation.learnt().map(|known| known.to_string());
        self.tell(change, row, &mut attempt);
        attempt
    }

    /// Adds what changed about the receiver; nothing is told about the telling itself.
    fn tell(&self, change: Change, row: &OutboxRow, attempt: &mut Attempt) {
        let now = attempt.finished_at;
        let Some(changed) = &change.row else { return };
        let is_about_delivery = row.partition.starts_with("endpoint:");
        for (kind, words) in &change.told {
            if matches!(kind, NoticeKind::EndpointRecovered | NoticeKind::ClockAgreed) {
                tracing::info!(endpoint = row.endpoint, kind = kind.as_str(), words, "receiver");
            } else {
                tracing::error!(endpoint = row.endpoint, kind = kind.as_str(), words, "receiver");
            }
            if !is_about_delivery {
                let version = changed.version.to_string();
                let notice = about_endpoint(*kind, &row.endpoint, words, &version, now);
                let rows = message_rows_about(&notice, &self.routes, now);
                attempt.extra_outbox.extend(rows);
            }
        }
        self.metrics.endpoint_state(&changed.endpoint, changed.state);
        attempt.endpoint = change.row;
    }

    /// Messages of one conversation are sent one at a time, so that each knows what the one
    /// before it learnt; the store's order does not cover those that jump the queue.
    async fn turn(&self, row: &OutboxRow) -> Option<OwnedMutexGuard<()>> {
        let key = (row.endpoint.clone(), row.conversation.clone()?);
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(&key).and_then(std::sync::Weak::upgrade);
            let turn = known.unwrap_or_default();
            turns.insert(key, Arc::downgrade(&turn));
            turn
        };
        Some(turn.lock_owned().await)
    }

    /// What is known of the row's conversation; a store that cannot say so is an error of this
    /// attempt, since a second ticket is worse than a late one.
    async fn conversation(&self, item: &OutboxItem) -> Result<Conversation, SendError> {
        let Some(key) = &item.row.conversation else {
            return Ok(Conversation::default());
        };
        let (row, attempt) = (&item.row, item.attempt);
        let known = self.store.conversation(&row.endpoint, key, &row.id, attempt).await;
        let known = known.map_err(misconfigured)?;
        let json = known.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Ok(Conversation::new(json, known.was_tried))
    }

    async fn send_or_shrink(
        &self,
        receiver: &dyn Receiver,
        item: &OutboxItem,
        envelope: &mut Envelope,
    ) -> Result<Receipt, SendError> {
        envelope.conversation = self.conversation(item).await?;
        match receiver.send(envelope).await {
            Err(SendError { then: Then::Shrink, .. }) => {
                let content = serde_json::from_str(&item.row.content).unwrap_or_default();
                let Some(config) = self.routes.receivers.get(&item.row.endpoint) else {
                    return Err(misconfigured("no settings of this receiver"));
                };
                envelope.body = config.shrink(&content);
                receiver.send(envelope).await
            }
            other => other,
        }
    }

    fn envelope(&self, item: &OutboxItem, sent_at: Timestamp) -> Envelope {
        Envelope {
            id: item.row.id.clone(),
            body: item.row.body.clone(),
            sent_at,
            timeout: self.config.timeout,
            is_manual: item.is_asked_for,
            conversation: Conversation::default(),
        }
    }

    async fn act(&self, item: &OutboxItem, started_at: Timestamp) -> Attempt {
        let known = self.actions.get(&item.row.endpoint);
        let (progress, interval_ms) = if let Some((config, action)) = known {
            let envelope = self.envelope(item, started_at);
            let progress = match self.over_limit(config, item).await {
                Some(not_sent) => not_sent,
                None => action.attempt(&envelope, Asked::of(item.state)).await,
            };
            (progress, config.verify_interval_ms())
        } else {
            let cause = format!("no action is called {}", item.row.endpoint);
            (Progress::unknown(&misconfigured(cause)), 0)
        };
        let finished_at = self.clock.wall_now();
        // Done again by hand, it says nothing about how fast the trip was answered.
        if progress.reached == Reached::Confirmed && !item.is_asked_for {
            let seconds = ms_between(item.row.created_at, finished_at) as f64 / 1_000.0;
            self.metrics.rolled_back(&item.row.endpoint, seconds);
        }
        let sent = Sent { holder: &self.holder, item, started_at, finished_at, paused_until: None };
        let plan = ActionPlan {
            ladder: &self.config.action_ladder,
            escalate_after: self.config.escalate_after,
            interval_ms,
            jitter: rand::random(),
            domain_now: self.clock.domain_now(),
        };
        after_action(sent, progress, &plan, &self.routes)
    }

    /// A store that cannot count does not hold a rollback back.
    async fn over_limit(&self, config: &ActionConfig, item: &OutboxItem) -> Option<Progress> {
        if item.state != DeliveryState::Pending {
            return None;
        }
        let found = over_limit(&self.store, &self.config.zone, config, item).await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, action = item.row.endpoint, "the daily limit is not known");
            None
        })
    }

    async fn record(&self, item: &OutboxItem, attempt: Attempt) {
        let row = &item.row;
        let seconds = ms_between(attempt.started_at, attempt.finished_at) as f64 / 1_000.0;
        let outcome = outcome_label(attempt.outcome);
        self.metrics.attempt(&row.endpoint, &row.kind, outcome, &attempt.class, seconds);
        if attempt.class == "ok" {
            tracing::info!(endpoint = row.endpoint, id = row.id, kind = row.kind, outcome, "sent");
        } else {
            let (class, detail) = (&attempt.class, &attempt.detail);
            tracing::warn!(
                endpoint = row.endpoint,
                id = row.id,
                kind = row.kind,
                attempt = item.attempt,
                trigger = if item.is_asked_for { "manual" } else { "schedule" },
                outcome,
                class,
                detail,
                "attempt failed"
            );
        }
        let follows = !attempt.extra_outbox.is_empty();
        failpoint::reached(Point::BeforeRecord);
        match self.store.finish_attempt(attempt).await {
            Ok(Finished::Recorded) => {
                failpoint::reached(Point::Recorded);
                if follows {
                    self.notify();
                }
            }
            Ok(Finished::LeaseLost) => {
                tracing::warn!(endpoint = row.endpoint, id = row.id, "lease lost to another");
            }
            // The lease runs out and the row is tried again under the same id.
            Err(error) => tracing::error!(%error, id = row.id, "attempt not recorded"),
        }
    }
}

/// While a receiver is degraded its messages lose no attempt: what failed is tried again with the
/// next probe, however far up its ladder it is.
fn wait_for_probe(attempt: &mut Attempt, probe_at: Timestamp) {
    if let Outcome::Retry { next_at } = &mut attempt.outcome
        && attempt.uses_rung
    {
        *next_at = (*next_at).min(probe_at);
        attempt.uses_rung = false;
    }
}

/// A notice about a receiver; `version` tells two of the same kind apart.
pub(super) fn about_endpoint(
    kind: NoticeKind,
    endpoint: &str,
    words: &str,
    version: &str,
    at: Timestamp,
) -> Notice {
    Notice {
        id: judge::ids::hash128(&["endpoint", kind.as_str(), endpoint, version]),
        kind,
        subject: endpoint.to_owned(),
        experiment: String::new(),
        at,
        previous: None,
        detail: Some(words.to_owned()),
    }
}
