//! Sequential state: what a test remembers from look to look.
//!
//! Part of `analyse`, also used by guardrails. A test is named by its hypothesis and keyed by its
//! epoch, the hash of only what changes the statistics (engine.md 1). Invariants: within an epoch
//! tau and alpha are the stored ones and `ln_p` never rises; any other edit carries state over.

use crate::ids::hash128;
use crate::record::{Carry, TestState};
use crate::time::Timestamp;

/// What the statistics of a test stand on, in two parts, so that a change can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// Hash of definition, arms, split, start, whose change is a changed definition; a dot; hash of
    /// target, tau, alpha, look plan, whose change is a retargeted test.
    text: String,
}

impl Epoch {
    pub(crate) fn new(definition: &[&str], target: &[&str]) -> Self {
        Self::of_hashed(&hash128(definition), target)
    }

    /// The same where the definition's [`hash128`] is there already: one signal answers several
    /// questions.
    pub(crate) fn of_hashed(definition: &str, target: &[&str]) -> Self {
        Self { text: format!("{definition}.{}", hash128(target)) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn definition(&self) -> Option<&str> {
        self.text.split('.').next()
    }
}

/// A test that was opened for this look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    pub(crate) tau: f64,
    pub(crate) alpha: f64,
    /// Log of the smallest p of the looks before this one.
    pub(crate) ln_p_before: f64,
    /// Epochs before this one, when this look opened a new one by another target.
    pub(crate) retargeted: Option<u32>,
    /// Epochs before this one, when this look opened a new one by another definition.
    pub(crate) redefined: Option<u32>,
}

/// Opens a test: the stored epoch if it is still the same, else a new one.
pub(crate) fn open(
    carry: &mut Carry,
    id: &str,
    epoch: &Epoch,
    (tau, alpha): (f64, f64),
    at: Timestamp,
) -> Opened {
    let stored = carry.get(id);
    if let Some(state) = stored.filter(|state| state.epoch == epoch.text) {
        let (tau, alpha, ln_p_before) = (state.tau, state.alpha, state.ln_p);
        return Opened { tau, alpha, ln_p_before, retargeted: None, redefined: None };
    }
    let same_definition = |old: &str| old.split('.').next() == epoch.definition();
    let earlier = stored.map_or(0, |state| state.earlier_epochs.saturating_add(1));
    let same = stored.map(|state| same_definition(&state.epoch));
    let retargeted = (same == Some(true)).then_some(earlier);
    let redefined = (same == Some(false)).then_some(earlier);
    let fresh = TestState {
        epoch: epoch.text.clone(),
        tau,
        alpha,
        ln_p: 0.0,
        looks: 0,
        opened_at: at,
        earlier_epochs: earlier,
        planned: None,
    };
    carry.insert(id.to_owned(), fresh);
    Opened { tau, alpha, ln_p_before: 0.0, retargeted, redefined }
}

/// Adds this look's p to a test and returns the smallest so far, as a log.
pub(crate) fn close(carry: &mut Carry, id: &str, ln_p: f64) -> f64 {
    let Some(state) = carry.get_mut(id) else {
        return ln_p.min(0.0);
    };
    if ln_p < state.ln_p {
        state.ln_p = ln_p;
    }
    state.looks = state.looks.saturating_add(1);
    state.ln_p
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn p_only_falls_and_an_edit_of_the_target_starts_anew() {
        let mut carry = Carry::new();
        let at = ts("2026-07-01T00:00:00Z");
        let epoch = Epoch::new(&["query"], &["0.35"]);
        open(&mut carry, "t", &epoch, (0.08, 0.05), at);
        assert_eq!(close(&mut carry, "t", -2.0), -2.0);
        let second = open(&mut carry, "t", &epoch, (0.5, 0.5), at);
        assert_eq!((second.tau, second.alpha, second.ln_p_before), (0.08, 0.05, -2.0));
        assert_eq!(close(&mut carry, "t", -1.0), -2.0);
        let other = Epoch::new(&["query"], &["0.40"]);
        let third = open(&mut carry, "t", &other, (0.13, 0.05), at);
        assert_eq!((third.retargeted, third.ln_p_before, third.tau), (Some(1), 0.0, 0.13));
        let defined = Epoch::new(&["other query"], &["0.40"]);
        let fourth = open(&mut carry, "t", &defined, (0.13, 0.05), at);
        assert_eq!((fourth.retargeted, fourth.ln_p_before), (None, 0.0));
        assert_eq!((third.redefined, fourth.redefined), (None, Some(2)));
        assert_eq!(carry["t"].earlier_epochs, 2);
    }
}
