//! What is on and what is over, from slot to slot: raised once, since kept, cleared once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Found;
use crate::decide::Alarm;
use crate::time::Timestamp;

/// An alarm that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Experiment id.
    pub experiment: String,
    /// [`Alarm::key`].
    pub key: String,
    /// The slot that raised it.
    pub raised_at: Timestamp,
    /// The slot that cleared it.
    pub cleared_at: Option<Timestamp>,
    /// With the numbers of the newest slot; `since` is always known.
    pub alarm: Alarm,
}

/// What one slot changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// New since the last slot: to be told.
    pub raised: Vec<Kept>,
    /// Still on, with new numbers and the old since.
    pub kept: Vec<Kept>,
    /// Gone: to be told as all-clear.
    pub cleared: Vec<Kept>,
}

/// Lays what was found over what was on. Experiments that could not be read at this slot
/// (`unseen`) keep what they had: what nobody could look at is not clear.
pub fn step(open: &[Kept], found: Vec<Found>, unseen: &BTreeSet<String>, at: Timestamp) -> Step {
    let mut before: BTreeMap<(String, String), &Kept> =
        open.iter().map(|one| ((one.experiment.clone(), one.key.clone()), one)).collect();
    let mut step = Step::default();
    for Found { experiment, mut alarm } in found {
        let key = alarm.key();
        let old = before.remove(&(experiment.clone(), key.clone()));
        let since = old.and_then(|old| old.alarm.since).or(alarm.since).unwrap_or(at);
        alarm.since = Some(since);
        let raised_at = old.map_or(at, |old| old.raised_at);
        let kept = Kept { experiment, key, raised_at, cleared_at: None, alarm };
        if old.is_some() { step.kept.push(kept) } else { step.raised.push(kept) }
    }
    for old in before.into_values() {
        if unseen.contains(&old.experiment) {
            step.kept.push(old.clone());
        } else {
            step.cleared.push(Kept { cleared_at: Some(at), ..old.clone() });
        }
    }
    step
}
