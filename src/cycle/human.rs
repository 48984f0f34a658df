//! What people decide: the same rules for the API and the terminal, committed like a verdict.
//!
//! Name and because are required, both stay in the log; `judge::lifecycle` says what is allowed
//! and what it does. A trip that is rearmed starts its guardrails anew from that instant.

use judge::decide::{AlarmKind, allocated};
use judge::lifecycle::{self, HumanAction, HumanDecision, LifeState, NotAllowed};
use judge::record::EvaluationRecord;
use judge::spec::Experiment;
use judge::time::Timestamp;

use super::{say, tracks};
use crate::plain;
use crate::store::{Commit, Committed, Context, LogEntry, Store, StoreError};

/// Who decides, about what, when.
#[derive(Debug, Clone)]
pub struct Decree<'a> {
    /// Experiment id.
    pub experiment: &'a str,
    /// Name, because, action.
    pub decision: HumanDecision,
    /// What the identity's token says.
    pub is_admin: bool,
    /// The evaluation it is about; default: the newest.
    pub evaluation_id: Option<String>,
    /// Domain time.
    pub at: Timestamp,
}

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum DecreeError {
    /// No such experiment.
    #[error("no experiment `{0}`")]
    Unknown(String),
    /// The rules refuse it.
    #[error("{0}")]
    Refused(#[from] NotAllowed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored document cannot be read.
    #[error("stored state: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Records a decision; gives back the log entry. Name and because are one line each.
pub async fn decide(store: &Store, mut decree: Decree<'_>) -> Result<LogEntry, DecreeError> {
    decree.decision.who = plain::line(&decree.decision.who);
    decree.decision.because = plain::line(&decree.decision.because);
    let unknown = || DecreeError::Unknown(decree.experiment.to_owned());
    let revisions = store.revisions(decree.experiment).await?;
    loop {
        let context = store.context(decree.experiment).await?.ok_or_else(unknown)?;
        let in_force = revisions.iter().find(|revision| revision.revision == context.revision);
        let model = in_force.or(revisions.last()).ok_or_else(unknown)?;
        let experiment: Experiment = serde_json::from_str(&model.model_json)?;
        let before: LifeState = serde_json::from_str(&context.life_json)?;
        let after = lifecycle::human_decision(
            &before,
            &experiment,
            &decree.decision,
            decree.is_admin,
            decree.at,
        )?;
        let entry = entry_of(&decree, &before);
        let commit = commit_of(&decree, &context, &experiment, &after, entry.clone())?;
        match store.commit(commit).await? {
            Committed::StaleVersion => {}
            _ => return Ok(entry),
        }
    }
}

/// What a person may say, by its word: `Some(None)` is an acknowledgement, `None` no such word.
pub fn action_named(word: &str) -> Option<Option<HumanAction>> {
    Some(Some(match word {
        "confirm" => HumanAction::Confirm,
        "continue" | "overrule_continue" => HumanAction::OverruleContinue,
        "change" | "overrule_change" => HumanAction::OverruleChange,
        "stop" => HumanAction::Stop,
        "objects" => HumanAction::Objects,
        "rearm" => HumanAction::Rearm,
        "pause" => HumanAction::Pause,
        "resume" => HumanAction::Resume,
        "default_updated" => HumanAction::DefaultUpdated,
        "archive" => HumanAction::Archive,
        "reviewed" => HumanAction::Reviewed,
        "audited" => HumanAction::Audited,
        "acknowledge" => return Some(None),
        _ => return None,
    }))
}

/// How an acknowledgement of all changed definitions of one revision is stored.
pub fn acknowledged_revision(revision: &str) -> String {
    format!("revision:{revision}")
}

/// What an acknowledgement accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Signals whose changed definitions are accepted.
    pub signals: Vec<String>,
    /// A split mismatch: the split is checked anew from here.
    pub split: bool,
}

/// Accepts what holds an experiment: changed definitions and a split mismatch.
pub async fn acknowledge(
    store: &Store,
    experiment: &str,
    who: &str,
    because: &str,
    at: Timestamp,
) -> Result<Acknowledged, DecreeError> {
    let (who, because) = (plain::line(who), plain::line(because));
    let (who, because) = (who.as_str(), because.as_str());
    if who.trim().is_empty() {
        return Err(NotAllowed::NoName.into());
    }
    if because.trim().is_empty() {
        return Err(NotAllowed::NoBecause.into());
    }
    let split = acknowledge_split(store, experiment, who, because, at).await?;
    let unknown = || DecreeError::Unknown(experiment.to_owned());
    let context = store.context(experiment).await?.ok_or_else(unknown)?;
    // A guardrail's transition asks no signal: only a look knows what is unacknowledged.
    let newest = store
        .standing(experiment)
        .await?
        .map(|(_, json)| EvaluationRecord::from_json(&json))
        .transpose()?;
    let judged = newest.as_ref().map(|record| record.input.experiment.revision.clone());
    let mut changed = newest.map(|record| record.input.unacknowledged).unwrap_or_default();
    if changed.is_empty() && split {
        return Ok(Acknowledged { signals: changed, split });
    }
    if changed.is_empty() && judged.as_ref() == Some(&context.revision) {
        return Err(NotAllowed::NothingToAcknowledge.into());
    }
    if changed.is_empty() {
        // No look has seen the change yet: the whole revision in force is accepted.
        let revisions = store.revisions(experiment).await?;
        let in_force = revisions.iter().find(|revision| revision.revision == context.revision);
        let model: Experiment = serde_json::from_str(&in_force.ok_or_else(unknown)?.model_json)?;
        changed = model.signals.into_iter().map(|signal| signal.name).collect();
    }
    let id = acknowledged_revision(&context.revision);
    for signal in &changed {
        store.acknowledge(experiment, signal, &id, who, because, at).await?;
    }
    Ok(Acknowledged { signals: changed, split })
}

/// Starts a new allocation epoch if the newest look holds on the split; whether it did.
async fn acknowledge_split(
    store: &Store,
    experiment: &str,
    who: &str,
    because: &str,
    at: Timestamp,
) -> Result<bool, DecreeError> {
    let unknown = || DecreeError::Unknown(experiment.to_owned());
    loop {
        let context = store.context(experiment).await?.ok_or_else(unknown)?;
        let Some((_, json)) = store.standing(experiment).await? else { return Ok(false) };
        let newest = EvaluationRecord::from_json(&json)?;
        let life: LifeState = serde_json::from_str(&context.life_json)?;
        let since = life.cycle.allocation.as_ref().map(|allocation| allocation.since);
        let off = [AlarmKind::Srm, AlarmKind::MultipleExposure];
        let is_off = newest.alarms.iter().any(|alarm| off.contains(&alarm.kind));
        // A second word on the same look is no second epoch.
        if !is_off || since.is_some_and(|since| since >= newest.input.at) {
            return Ok(false);
        }
        let counted = allocated(&newest);
        let arms = counted.counts.iter().map(|(arm, units)| format!("{arm} {units}"));
        let mixed = counted.mixed.map(|(mixed, units)| format!("in both {mixed} of {units}"));
        let seen: Vec<_> = arms.chain(mixed).collect();
        let after = lifecycle::acknowledge_split(&life, counted, at);
        let epoch = after.cycle.allocation.as_ref().map_or(0, |allocation| allocation.epoch);
        let mut commit = Commit::new(experiment, context.state_version, after.cycle.number);
        commit.life_json = Some(serde_json::to_string(&after)?);
        commit.log = vec![LogEntry {
            at,
            kind: "acknowledged".to_owned(),
            who: Some(who.to_owned()),
            verdict: None,
            because: Some(because.to_owned()),
            text: format!(
                "{who} acknowledged how units were split ({}): allocation epoch {epoch} begins, \
                 the split is checked on later units\nbecause {because}",
                seen.join(", ")
            ),
            evaluation_id: Some(newest.id),
        }];
        if store.commit(commit).await? != Committed::StaleVersion {
            return Ok(true);
        }
    }
}

fn entry_of(decree: &Decree<'_>, before: &LifeState) -> LogEntry {
    let HumanDecision { who, because, action } = &decree.decision;
    let verdict = before
        .verdict
        .map(|(verdict, cause, _)| format!("{}: {}", say::word(&verdict), say::word(&cause)));
    let about = verdict.as_deref().unwrap_or("no verdict yet");
    LogEntry {
        at: decree.at,
        kind: say::word(action),
        who: Some(who.clone()),
        text: format!("{who}: {} (about {about})\nbecause {because}", say::word(action)),
        because: Some(because.clone()),
        verdict,
        evaluation_id: decree.evaluation_id.clone(),
    }
}

fn commit_of(
    decree: &Decree<'_>,
    context: &Context,
    experiment: &Experiment,
    after: &LifeState,
    entry: LogEntry,
) -> Result<Commit, serde_json::Error> {
    let mut commit = Commit::new(&experiment.id, context.state_version, after.cycle.number);
    commit.life_json = Some(serde_json::to_string(after)?);
    commit.log = vec![entry];
    commit.drop_tracks = tracks::ended(experiment, after);
    commit.more_cursors = tracks::started(experiment, after, decree.at);
    if decree.decision.action == HumanAction::Rearm {
        commit.guardrails = experiment.guardrails.iter().map(super::unseen).collect();
        // A request that is still open would turn the flag off under the run that goes on.
        commit.cancel_actions = Some(("rearmed".to_owned(), decree.at));
    }
    Ok(commit)
}
