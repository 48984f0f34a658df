//! The life of an experiment (product.md 4.4) as a pure state machine.
//!
//! `draft -> scheduled -> running -> (awaiting_revision -> running)* -> graduated | stopped |
//! archived`, `paused` at any time. Functions take the state and return the next one; the engine
//! stores it in the commit of the evaluation that caused it. Nothing here looks at data.

mod human;
pub mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::human::{HumanAction, HumanDecision, NotAllowed, acknowledge_split, human_decision};
use self::schedule::checkpoint_after;
pub use self::schedule::{next_look, zone_of};

use crate::decide::{Cause, Decision, Reason, Verdict};
use crate::record::Cycle;
use crate::spec::{Experiment, Mechanism, When};
use crate::time::Timestamp;

/// Where an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Fails its Definition of Done, or was first seen after its `by`.
    Draft,
    /// Runnable, before its start.
    Scheduled,
    /// Looked at.
    Running,
    /// A cycle ended with `change: mechanism`.
    AwaitingRevision,
    /// It worked.
    Graduated,
    /// It was stopped.
    Stopped,
    /// Put away.
    Archived,
    /// Looks rest, guardrails do not.
    Paused,
}

/// Whether guardrails run: "in `running`, `awaiting_revision` and `paused`".
pub fn guardrails_run(life: Life) -> bool {
    matches!(life, Life::Running | Life::AwaitingRevision | Life::Paused)
}

/// Whether looks run.
pub fn needs_looks(life: Life) -> bool {
    life == Life::Running
}

/// Everything that is stored about an experiment's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeState {
    /// Where it stands.
    pub life: Life,
    /// Since when.
    pub since: Timestamp,
    /// The life to go back to from `paused`, or from a trip when it is rearmed.
    pub resumes_to: Option<Life>,
    /// The cycle it is in, or was in last.
    pub cycle: Cycle,
    /// The revision in force.
    pub revision: String,
    /// The newest mechanism of the cycle: the next cycle needs another one.
    pub mechanism: Mechanism,
    /// The newest final verdict with its slot.
    pub verdict: Option<(Verdict, Cause, Timestamp)>,
    /// Stop guardrails that tripped, with when: latched until a human rearms.
    pub trips: BTreeMap<String, Timestamp>,
    /// How often a human rearmed; part of the guardrails' test epoch.
    pub guardrail_epoch: u32,
    /// When a human rearmed last: guardrails count from here, not from the cycle's start.
    #[serde(default)]
    pub rearmed_at: Option<Timestamp>,
    /// After `graduate`: whether somebody said that the default was updated.
    pub default_updated: bool,
}

/// The state of a file that is seen for the first time at `now`. `runnable` is what the
/// Definition of Done says. A file first seen after its `by` is a draft (engine.md 2).
pub fn first_seen(experiment: &Experiment, runnable: bool, now: Timestamp) -> LifeState {
    let too_late = experiment.by().is_some_and(|by| now > by);
    let life = if !runnable || too_late { Life::Draft } else { Life::Scheduled };
    let state = LifeState {
        life,
        since: now,
        resumes_to: None,
        cycle: first_cycle(experiment),
        revision: experiment.revision.clone(),
        mechanism: experiment.mechanism.clone(),
        verdict: None,
        trips: BTreeMap::new(),
        guardrail_epoch: 0,
        rearmed_at: None,
        default_updated: false,
    };
    at_time(&state, now)
}

/// `scheduled -> running` once the start has come.
pub fn at_time(state: &LifeState, now: Timestamp) -> LifeState {
    if state.life == Life::Scheduled && now >= state.cycle.started_at {
        return moved(state, Life::Running, state.cycle.started_at.max(state.since));
    }
    state.clone()
}

/// What an edited file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevisionEffect {
    /// Nothing but the file changed.
    SameCycle,
    /// A new cycle opened.
    NewCycle,
    /// It is `awaiting_revision` and the mechanism is the old one: no new cycle.
    SameMechanism,
    /// It is `awaiting_revision` and `start` is not after the verdict: no new cycle.
    StartsTooEarly,
    /// The run is over; a new idea is a new file.
    Over,
}

/// A revision arrives at `now`: "the next cycle begins only when, in `awaiting_revision`, a
/// revision arrives with a changed `mechanism` and a `start` after that verdict; other edits stay
/// in the cycle". A revision that is not runnable changes nothing but a draft's text.
pub fn revised(
    state: &LifeState,
    experiment: &Experiment,
    runnable: bool,
    now: Timestamp,
) -> (LifeState, RevisionEffect) {
    match state.life {
        Life::Draft | Life::Scheduled => {
            (first_seen(experiment, runnable, now), RevisionEffect::SameCycle)
        }
        Life::Graduated | Life::Stopped | Life::Archived => (state.clone(), RevisionEffect::Over),
        Life::AwaitingRevision if runnable => new_cycle(state, experiment, now),
        Life::AwaitingRevision | Life::Running | Life::Paused => {
            (edited(state, experiment), RevisionEffect::SameCycle)
        }
    }
}

fn new_cycle(
    state: &LifeState,
    experiment: &Experiment,
    now: Timestamp,
) -> (LifeState, RevisionEffect) {
    let verdict_at = state.verdict.map_or(state.since, |(_, _, at)| at);
    if experiment.mechanism == state.mechanism {
        return (edited(state, experiment), RevisionEffect::SameMechanism);
    }
    if experiment.start <= verdict_at {
        return (edited(state, experiment), RevisionEffect::StartsTooEarly);
    }
    let cycle = Cycle {
        number: state.cycle.number + 1,
        first_started_at: state.cycle.first_started_at,
        ..first_cycle(experiment)
    };
    let scheduled = LifeState {
        cycle,
        revision: experiment.revision.clone(),
        mechanism: experiment.mechanism.clone(),
        ..moved(state, Life::Scheduled, now)
    };
    (at_time(&scheduled, now), RevisionEffect::NewCycle)
}

/// An edit inside the cycle. The checkpoint follows the file unless it was moved by a verdict; a
/// cycle that ended keeps its mechanism and its dates.
fn edited(state: &LifeState, experiment: &Experiment) -> LifeState {
    let mut next = LifeState { revision: experiment.revision.clone(), ..state.clone() };
    let awaits = Some(Life::AwaitingRevision);
    if state.life == Life::AwaitingRevision || state.resumes_to == awaits {
        return next;
    }
    next.mechanism = experiment.mechanism.clone();
    let cycle = &mut next.cycle;
    if cycle.extended || cycle.waited || cycle.open {
        return next;
    }
    cycle.checkpoint_at = match experiment.checkpoint.when {
        When::At(at) => at,
        // A rhythm keeps what is behind it: the newest verdict of this cycle, else the start.
        When::Every(every) => {
            let verdict_at = state.verdict.map(|(_, _, at)| at);
            let after = verdict_at.unwrap_or(cycle.started_at).max(cycle.started_at);
            checkpoint_after(experiment, every, cycle.started_at, after)
        }
    };
    next
}

/// The cycle that a revision's own dates describe.
fn first_cycle(experiment: &Experiment) -> Cycle {
    let start = experiment.start;
    let checkpoint_at = match experiment.checkpoint.when {
        When::At(at) => at,
        When::Every(every) => checkpoint_after(experiment, every, start, start),
    };
    Cycle {
        number: 1,
        started_at: start,
        first_started_at: start,
        checkpoint_at,
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// The decision of a look or of a tripped guardrail, committed at `at`. A run that is over stays
/// so: "a tripped stop latches: no later look of that cycle replaces it".
pub fn apply_decision(state: &LifeState, decision: &Decision, at: Timestamp) -> LifeState {
    if !guardrails_run(state.life) {
        return state.clone();
    }
    let mut next = state.clone();
    let moved_to = decision.next_checkpoint_at.unwrap_or(state.cycle.checkpoint_at);
    match (decision.verdict, decision.cause) {
        (Verdict::Stop, _) => {
            next = moved(state, Life::Stopped, at);
            next.resumes_to = state.resumes_to.or(Some(state.life));
            next.trips.extend(tripped_names(decision).map(|name| (name, at)));
        }
        // Only a stop reaches an experiment that is not looked at now.
        _ if !needs_looks(state.life) => return next,
        (Verdict::Continue, Cause::Graduate) => next = moved(state, Life::Graduated, at),
        (Verdict::Change, Cause::Mechanism) => next = moved(state, Life::AwaitingRevision, at),
        (Verdict::Change, _) => {
            next.cycle.extended = true;
            next.cycle.open = false;
            next.cycle.checkpoint_at = moved_to;
        }
        (Verdict::Continue, _) => {
            next.cycle.open = false;
            next.cycle.checkpoint_at = moved_to;
        }
        (Verdict::Collecting, Cause::WaitingForMaturity) => {
            next.cycle.open = true;
            next.cycle.waited = true;
            next.cycle.checkpoint_at = moved_to;
        }
        (Verdict::Hold, _) => next.cycle.open |= decision.at_checkpoint,
        (Verdict::Collecting, _) => {}
    }
    if is_final(decision.verdict) {
        next.verdict = Some((decision.verdict, decision.cause, at));
    }
    next
}

/// As [`apply_decision`], for a look: a hold keeps its first look, so that its age is known. (A
/// guardrail's transition says nothing about a hold.)
pub fn apply_look(state: &LifeState, decision: &Decision, at: Timestamp) -> LifeState {
    let mut next = apply_decision(state, decision, at);
    let is_held = decision.verdict == Verdict::Hold;
    next.cycle.held_since = is_held.then(|| state.cycle.held_since.unwrap_or(at));
    next
}

/// Whether a verdict is one of the three that are sent as such.
pub fn is_final(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Continue | Verdict::Change | Verdict::Stop)
}

fn tripped_names(decision: &Decision) -> impl Iterator<Item = String> {
    decision.reasons.iter().filter_map(|reason| match reason {
        Reason::GuardrailTripped { guardrail, .. } => Some(guardrail.clone()),
        _ => None,
    })
}

/// The cycle as guardrails see it: after a rearm their counts and tests start anew.
pub fn guardrail_cycle(state: &LifeState) -> Cycle {
    let started_at = state.cycle.started_at;
    Cycle {
        started_at: state.rearmed_at.map_or(started_at, |at| at.max(started_at)),
        ..state.cycle.clone()
    }
}

fn moved(state: &LifeState, life: Life, at: Timestamp) -> LifeState {
    LifeState { life, since: at, resumes_to: None, ..state.clone() }
}
