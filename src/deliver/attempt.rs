//! What a finished attempt leads to: pure, so that every branch can be tested exactly.
//!
//! Messages climb their ladder and die at its end. Actions are followed until the flag reads as
//! wanted; each of the two results (confirmed, unconfirmed in time) is told once, in the
//! transaction that records the attempt, and later repeats derive the same ids.

use std::time::Duration;

use judge::ids;
use judge::notice::{Notice, NoticeKind};
use judge::time::{Timestamp, add_ms, ms_between};
use serde_json::Value;

use super::actions::{Progress, Reached};
use super::enqueue::{Addressed, Routes, message_rows};
use super::payload::{Ending, action_result};
use super::retry::{Ladder, next_attempt_at};
use super::{ErrorClass, Receipt, SendError, Then};
use crate::store::{Attempt, DeliveryState, LogEntry, OutboxItem, OutboxRow, Outcome};

/// One attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) holder: &'a str,
    pub(super) item: &'a OutboxItem,
    pub(super) started_at: Timestamp,
    pub(super) finished_at: Timestamp,
    /// Until when the receiver's destination is paused.
    pub(super) paused_until: Option<Timestamp>,
}

impl Sent<'_> {
    fn attempt(
        self,
        status: Option<u16>,
        class: &str,
        detail: String,
        outcome: Outcome,
    ) -> Attempt {
        Attempt {
            id: self.item.row.id.clone(),
            holder: self.holder.to_owned(),
            attempt: self.item.attempt,
            started_at: self.started_at,
            finished_at: self.finished_at,
            status,
            class: class.to_owned(),
            detail,
            outcome,
            uses_rung: true,
            extra_outbox: Vec::new(),
            log: Vec::new(),
            learnt: None,
            endpoint: None,
        }
    }
}

/// The bounded label of an outcome.
pub(super) fn outcome_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Retry { .. } => "retry",
        Outcome::Dead => "dead",
        Outcome::Requested { .. } => "requested",
        Outcome::Accepted { .. } => "accepted",
        Outcome::Confirmed => "confirmed",
        Outcome::Unconfirmed { .. } => "unconfirmed",
    }
}

/// A message was sent, or not.
pub(super) fn after_send(
    sent: Sent<'_>,
    result: Result<Receipt, SendError>,
    ladder: &Ladder,
    jitter: f64,
) -> Attempt {
    let error = match result {
        Ok(receipt) => {
            let status = Some(receipt.status);
            return sent.attempt(status, "ok", receipt.detail, Outcome::Delivered);
        }
        Err(error) => error,
    };
    let is_paused = error.class == ErrorClass::RateLimited;
    let next = match error.then {
        // Sent again by hand is one attempt, unless it was never sent at all.
        Then::Retry { .. } if sent.item.manual => None,
        // "Too many" is no failure of the message: the pause decides, and its expiry ends it.
        Then::Retry { .. } if is_paused => Some(sent.paused_until.unwrap_or(sent.finished_at)),
        Then::Retry { after } => {
            let finished = sent.item.rung.saturating_add(1);
            next_attempt_at(ladder, finished, sent.finished_at, after, jitter)
        }
        Then::Permanent | Then::Shrink | Then::Disable => None,
    };
    let outcome = next.map_or(Outcome::Dead, |next_at| Outcome::Retry { next_at });
    let mut attempt = sent.attempt(error.status, error.class.as_str(), error.detail, outcome);
    attempt.uses_rung = !is_paused;
    attempt
}

/// How an action is followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActionPlan<'a> {
    pub(super) ladder: &'a Ladder,
    pub(super) escalate_after: Duration,
    /// How soon an accepted request is read back again.
    pub(super) interval_ms: u64,
    pub(super) jitter: f64,
    /// The instant that the result's messages carry.
    pub(super) domain_now: Timestamp,
}

/// An action was asked for and its flag read back, or not.
pub(super) fn after_action(
    sent: Sent<'_>,
    progress: Progress,
    plan: &ActionPlan<'_>,
    routes: &Routes,
) -> Attempt {
    let Progress { reached, status, class, detail, retry_after } = progress;
    let row = &sent.item.row;
    let seconds = ms_between(row.created_at, sent.finished_at) as f64 / 1_000.0;
    let due = ms_between(row.created_at, sent.finished_at) >= millis(plan.escalate_after);
    let (outcome, told) = match reached {
        Reached::Confirmed => (
            Outcome::Confirmed,
            Some((
                NoticeKind::ActionConfirmed,
                format!("Rollback confirmed in {seconds:.1} s: {detail}."),
            )),
        ),
        Reached::NotSent => {
            (Outcome::Dead, Some((NoticeKind::ActionFailed, format!("Not rolled back: {detail}."))))
        }
        // What cannot be read back is told at once and not followed: it stays accepted.
        Reached::Blind => {
            let words = format!("Rollback accepted, not confirmed: {detail}.");
            (Outcome::Delivered, Some((NoticeKind::ActionFailed, words)))
        }
        Reached::Accepted | Reached::Requested | Reached::Refused
            if due || reached == Reached::Refused =>
        {
            let first = sent.item.state != DeliveryState::Unconfirmed;
            let words = if reached == Reached::Refused {
                format!("Rollback refused after {seconds:.1} s: {detail}.")
            } else {
                format!("Rollback unconfirmed after {seconds:.0} s: {detail}.")
            };
            let next_at = on_ladder(sent, plan, retry_after);
            (Outcome::Unconfirmed { next_at }, first.then_some((NoticeKind::ActionFailed, words)))
        }
        Reached::Accepted => {
            let asked_ms = retry_after.map_or(0, millis);
            let wait_ms = i64::try_from(plan.interval_ms).unwrap_or(0).max(asked_ms);
            let again = add_ms(sent.finished_at, wait_ms);
            (Outcome::Accepted { next_at: in_time(sent, plan, again) }, None)
        }
        Reached::Requested | Reached::Refused => {
            let next = on_ladder(sent, plan, retry_after);
            (Outcome::Requested { next_at: in_time(sent, plan, next) }, None)
        }
    };
    let mut attempt = sent.attempt(status, class, detail, outcome);
    if let Some((kind, words)) = told {
        let told = Told { kind, words, reached };
        let (rows, entry) = tell(sent, &told, plan.domain_now, routes);
        attempt.extra_outbox = rows;
        attempt.log.push(entry);
    }
    attempt
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A service that asks for a pause gets it, up to the instant at which a human would be told: no
/// answer may hold a rollback back for longer.
fn on_ladder(sent: Sent<'_>, plan: &ActionPlan<'_>, asked: Option<Duration>) -> Timestamp {
    let asked = asked.map(|asked| asked.min(plan.escalate_after));
    let (attempt, at) = (sent.item.attempt, sent.finished_at);
    let next = next_attempt_at(plan.ladder, attempt, at, asked, plan.jitter);
    // A ladder that ends is taken as one that repeats the escalation time: an action never dies.
    next.unwrap_or_else(|| add_ms(sent.finished_at, millis(plan.escalate_after)))
}

/// No wait may jump over the instant at which a human must be told.
fn in_time(sent: Sent<'_>, plan: &ActionPlan<'_>, next: Timestamp) -> Timestamp {
    next.min(add_ms(sent.item.row.created_at, millis(plan.escalate_after)))
}

/// A result worth telling.
struct Told {
    kind: NoticeKind,
    words: String,
    reached: Reached,
}

/// The messages of a result and its entry in the decision log.
fn tell(sent: Sent<'_>, told: &Told, at: Timestamp, routes: &Routes) -> (Vec<OutboxRow>, LogEntry) {
    let row = &sent.item.row;
    let content: Value = serde_json::from_str(&row.content).unwrap_or_default();
    let evaluation = content["evaluation"].as_str().unwrap_or(&row.notice_id);
    let notice = Notice {
        id: ids::notice_id(evaluation, told.kind.as_str(), &row.endpoint),
        kind: told.kind,
        subject: row.endpoint.clone(),
        experiment: row.partition.clone(),
        at,
        previous: None,
        detail: Some(told.words.clone()),
    };
    let confirmed_at = (told.reached == Reached::Confirmed).then_some(sent.finished_at);
    let ending = Ending {
        state: match told.reached {
            Reached::Confirmed => "confirmed",
            Reached::Blind => "accepted",
            _ => "unconfirmed",
        },
        confirmed_at,
        next: told.next(),
    };
    let message = action_result(&content["trip"], &notice, &ending);
    let names = content["notify"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let notify: Vec<_> = names.map(str::to_owned).collect();
    let addressed = Addressed {
        notice: &notice,
        content: &message,
        partition: &row.partition,
        final_state: true,
        wall_now: sent.finished_at,
        sequence: row.sequence,
    };
    let entry = log_entry(&notice, told, &content, evaluation);
    (message_rows(addressed, &notify, routes), entry)
}

impl Told {
    /// What a person has to do, where the notice's own words would say too much.
    fn next(&self) -> Option<&'static str> {
        match self.reached {
            Reached::NotSent => {
                Some("A person must turn it off now: verdictd did not, and will not by itself.")
            }
            Reached::Blind => {
                Some("A person must look whether it is off: verdictd cannot, and does not wait.")
            }
            _ => None,
        }
    }
}

/// Three lines: what, because, next.
fn log_entry(notice: &Notice, told: &Told, content: &Value, evaluation: &str) -> LogEntry {
    let trip = content["trip"]["data"]["reason"].as_str().unwrap_or("a guardrail tripped");
    let words = &told.words;
    let next = match told.next() {
        Some(next) => next,
        None if notice.kind == NoticeKind::ActionConfirmed => {
            "the flag stays off until a person turns it on again"
        }
        None => "a person must check the flag now",
    };
    LogEntry {
        at: notice.at,
        kind: notice.kind.as_str().to_owned(),
        who: None,
        verdict: None,
        because: Some(words.clone()),
        text: format!("action {}: {words}\nbecause {trip}\nnext: {next}", notice.subject),
        evaluation_id: Some(evaluation.to_owned()),
    }
}
