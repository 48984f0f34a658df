//! What a human may decide about an experiment, and what it does to its life.
//!
//! "A human can confirm or overrule any verdict: name and because required, both stay in the log;
//! `stop` is accepted from `can_stop` identities and admins, anyone else may record `objects`."

use serde::{Deserialize, Serialize};

use super::{Life, LifeState, guardrails_run, moved};
use crate::analyse::Allocated;
use crate::decide::{Cause, Verdict};
use crate::lifecycle::schedule::extended_checkpoint;
use crate::record::Allocation;
use crate::spec::Experiment;
use crate::time::Timestamp;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HumanAction {
    /// The newest verdict is right.
    Confirm,
    /// The newest verdict is wrong: go on in the same cycle for one more interval.
    OverruleContinue,
    /// The newest verdict is wrong: find another mechanism.
    OverruleChange,
    /// Stop now.
    Stop,
    /// "I would stop it": recorded, changes nothing.
    Objects,
    /// Let tripped guardrails start again in a new epoch.
    Rearm,
    /// Rest the looks.
    Pause,
    /// Go back to where it was before the pause.
    Resume,
    /// What graduated is the default now.
    DefaultUpdated,
    /// Put away.
    Archive,
    /// The review was held; go on as planned.
    Reviewed,
    /// The definitions of its signals were audited.
    Audited,
}

/// A human decision as it is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanDecision {
    /// The authenticated identity.
    pub who: String,
    /// Why.
    pub because: String,
    /// What.
    pub action: HumanAction,
}

/// Why a human decision is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NotAllowed {
    /// The name is empty.
    #[error("a decision needs a name")]
    NoName,
    /// The because is empty.
    #[error("a decision needs a because")]
    NoBecause,
    /// Not in `can_stop` and no admin.
    #[error("not in can_stop: record `objects` instead")]
    MayNotStop,
    /// There is no verdict yet.
    #[error("there is no verdict to confirm or overrule")]
    NoVerdict,
    /// Nothing tripped.
    #[error("no guardrail is tripped: nothing to rearm")]
    NothingTripped,
    /// Nothing is held by a changed definition, a split mismatch or mixed units.
    #[error("nothing to acknowledge: no definition changed and the arms are as planned")]
    NothingToAcknowledge,
    /// A trip ends the run; rearm first.
    #[error("a guardrail tripped: rearm it before going on")]
    Tripped,
    /// The life does not allow it.
    #[error("not possible in this life of the experiment")]
    WrongLife,
}

/// The state after a human decision at `at`; `is_admin` is what the caller's token says.
pub fn human_decision(
    state: &LifeState,
    experiment: &Experiment,
    decision: &HumanDecision,
    is_admin: bool,
    at: Timestamp,
) -> Result<LifeState, NotAllowed> {
    if decision.who.trim().is_empty() {
        return Err(NotAllowed::NoName);
    }
    if decision.because.trim().is_empty() {
        return Err(NotAllowed::NoBecause);
    }
    match decision.action {
        HumanAction::Objects | HumanAction::Reviewed | HumanAction::Audited => Ok(state.clone()),
        HumanAction::Confirm => match state.verdict {
            Some(_) => Ok(state.clone()),
            None => Err(NotAllowed::NoVerdict),
        },
        HumanAction::Stop => {
            let may = is_admin || experiment.can_stop.contains(&decision.who);
            if may { stop(state, at) } else { Err(NotAllowed::MayNotStop) }
        }
        HumanAction::OverruleContinue => go_on(state, experiment, at),
        HumanAction::OverruleChange => change(state, at),
        HumanAction::Rearm => rearm(state, at),
        HumanAction::Pause => pause(state, at),
        HumanAction::Resume => resume(state, at),
        HumanAction::DefaultUpdated if state.life == Life::Graduated => {
            Ok(LifeState { default_updated: true, ..state.clone() })
        }
        // Putting a running one away ends it: that is a stop by another name.
        HumanAction::Archive
            if guardrails_run(state.life)
                && !is_admin
                && !experiment.can_stop.contains(&decision.who) =>
        {
            Err(NotAllowed::MayNotStop)
        }
        HumanAction::Archive if state.life != Life::Archived => {
            Ok(moved(state, Life::Archived, at))
        }
        HumanAction::DefaultUpdated | HumanAction::Archive => Err(NotAllowed::WrongLife),
    }
}

/// A split mismatch, or units in more than one arm, are acknowledged at `at`: "clears by
/// acknowledgement and a new allocation epoch". `counted` are the units that were counted so far;
/// both checks begin anew after them.
pub fn acknowledge_split(state: &LifeState, counted: Allocated, at: Timestamp) -> LifeState {
    let mut next = state.clone();
    let epoch = state.cycle.allocation.as_ref().map_or(0, |allocation| allocation.epoch) + 1;
    let Allocated { counts, others, mixed } = counted;
    next.cycle.allocation = Some(Allocation { epoch, since: at, counts, others, mixed });
    next
}

fn stop(state: &LifeState, at: Timestamp) -> Result<LifeState, NotAllowed> {
    match state.life {
        Life::Stopped | Life::Archived => Err(NotAllowed::WrongLife),
        _ => Ok(moved(state, Life::Stopped, at)),
    }
}

/// The cycle goes on with a checkpoint one interval from now.
fn go_on(
    state: &LifeState,
    experiment: &Experiment,
    at: Timestamp,
) -> Result<LifeState, NotAllowed> {
    if state.verdict.is_none() {
        return Err(NotAllowed::NoVerdict);
    }
    if !state.trips.is_empty() {
        return Err(NotAllowed::Tripped);
    }
    if !matches!(state.life, Life::AwaitingRevision | Life::Stopped | Life::Graduated) {
        return Err(NotAllowed::WrongLife);
    }
    let mut next = moved(state, Life::Running, at);
    next.cycle.checkpoint_at = extended_checkpoint(experiment, at);
    next.cycle.open = false;
    Ok(next)
}

fn change(state: &LifeState, at: Timestamp) -> Result<LifeState, NotAllowed> {
    if state.verdict.is_none() {
        return Err(NotAllowed::NoVerdict);
    }
    if !state.trips.is_empty() {
        return Err(NotAllowed::Tripped);
    }
    if !matches!(state.life, Life::Running | Life::Stopped | Life::Graduated) {
        return Err(NotAllowed::WrongLife);
    }
    let mut next = moved(state, Life::AwaitingRevision, at);
    next.verdict = Some((Verdict::Change, Cause::Mechanism, at));
    Ok(next)
}

/// "Only a human may `rearm` (name, because), which starts a new epoch; the flag is never
/// re-enabled by us."
fn rearm(state: &LifeState, at: Timestamp) -> Result<LifeState, NotAllowed> {
    if state.trips.is_empty() || state.life == Life::Archived {
        return Err(NotAllowed::NothingTripped);
    }
    let before = state.resumes_to.unwrap_or(Life::Running);
    let mut next = moved(state, before, at);
    next.trips.clear();
    next.guardrail_epoch += 1;
    next.rearmed_at = Some(at);
    Ok(next)
}

fn pause(state: &LifeState, at: Timestamp) -> Result<LifeState, NotAllowed> {
    let can_rest = guardrails_run(state.life) || state.life == Life::Scheduled;
    if !can_rest || state.life == Life::Paused {
        return Err(NotAllowed::WrongLife);
    }
    Ok(LifeState { resumes_to: Some(state.life), ..moved(state, Life::Paused, at) })
}

fn resume(state: &LifeState, at: Timestamp) -> Result<LifeState, NotAllowed> {
    match (state.life, state.resumes_to) {
        (Life::Paused, Some(before)) => Ok(moved(state, before, at)),
        _ => Err(NotAllowed::WrongLife),
    }
}
