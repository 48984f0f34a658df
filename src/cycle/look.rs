//! One look: gather, evaluate, record, and everything there is to say, in one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use judge::decide::{self, Finding};
use judge::lifecycle::{self, LifeState};
use judge::notice::{self, Notice, NoticeKind};
use judge::prose;
use judge::record::{EvaluationRecord, LookInput};
use judge::time::Timestamp;

use super::gather::{self, Gathered};
use super::{
    MAX_STALE, commit_timed, guardrails_in_order, human, life_at, missed_reason, restate, say,
    slots, tracks,
};
use crate::app::Inner;
use crate::portfolio::Loaded;
use crate::store::{Claim, Commit, Committed, Context, LogEntry, NewEvaluation};

/// Runs the newest due look of a claim.
pub(super) async fn run(
    app: &Arc<Inner>,
    claim: &Claim,
    loaded: &Loaded,
    context: Context,
) -> anyhow::Result<()> {
    let now = app.clock.domain_now();
    let life = life_at(&context, claim.next_at)?;
    if !lifecycle::needs_looks(life.life) {
        return rest(app, claim, loaded, &context, &life).await;
    }
    let experiment = &loaded.experiment;
    let reason = missed_reason(app, claim.next_at);
    let due = slots::look(experiment, &life, claim.next_at, now, reason);
    let probe = input_of(loaded, &context, &life, due.slot, Gathered::empty());
    let at_checkpoint = decide::is_at_checkpoint(&probe);
    let gathered = gather::gather(app, experiment, &life.cycle, due.slot, at_checkpoint).await?;
    let look = Look { app, claim, loaded, due, gathered };
    look.decide_and_commit(context).await
}

/// A track without looks: its cursor ends (awaiting a revision, paused, over) or waits for the
/// start of its cycle.
async fn rest(
    app: &Inner,
    claim: &Claim,
    loaded: &Loaded,
    context: &Context,
    life: &LifeState,
) -> anyhow::Result<()> {
    let mut commit = Commit::new(&claim.experiment, context.state_version, life.cycle.number);
    commit.claim = Some(claim.clone());
    let now = app.clock.domain_now();
    commit.next_at = tracks::put_off(app, &loaded.experiment, life, &claim.track, now);
    app.store.commit(commit).await?;
    Ok(())
}

struct Look<'a> {
    app: &'a Arc<Inner>,
    claim: &'a Claim,
    loaded: &'a Loaded,
    due: slots::Due,
    gathered: Gathered,
}

impl Look<'_> {
    /// Decides on the frozen observations until the commit's state version holds.
    async fn decide_and_commit(self, mut context: Context) -> anyhow::Result<()> {
        for _ in 0..MAX_STALE {
            let life = life_at(&context, self.due.slot)?;
            if !lifecycle::needs_looks(life.life) {
                return rest(self.app, self.claim, self.loaded, &context, &life).await;
            }
            let gathered = self.gathered.clone();
            let input = input_of(self.loaded, &context, &life, self.due.slot, gathered);
            let record = evaluate_guarded(input);
            let commit = self.commit_of(&context, &life, &record)?;
            match commit_timed(self.app, commit).await? {
                Committed::Fresh { .. } => {
                    self.note(&record);
                    return Ok(());
                }
                Committed::Already | Committed::Fenced => return Ok(()),
                Committed::StaleVersion => {
                    let fresh = self.app.store.context(&self.claim.experiment).await?;
                    context = fresh.context("the experiment is gone")?;
                }
            }
        }
        bail!("the state of `{}` keeps moving", self.claim.experiment)
    }

    fn commit_of(
        &self,
        context: &Context,
        life: &LifeState,
        record: &EvaluationRecord,
    ) -> anyhow::Result<Commit> {
        let app = self.app;
        let slot = self.due.slot;
        let experiment = &self.loaded.experiment;
        let last_said = say::last_said(&context.last_said_json)?;
        let next_life = lifecycle::apply_look(life, &record.decision, slot);
        let notices = notice::notices(record, last_said.as_ref(), life.life);
        let said = notice::said_after(record, last_said.as_ref(), life.life);
        let mut commit = Commit::new(&experiment.id, context.state_version, life.cycle.number);
        commit.claim = Some(self.claim.clone());
        commit.slot = Some(slot);
        commit.next_at = lifecycle::next_look(experiment, &next_life, slot);
        commit.missed = self.due.missed.iter().cloned().collect();
        commit.points.clone_from(&self.gathered.points);
        commit.evaluation = Some(new_evaluation(app, record, self.gathered.fetched_at));
        commit.carry = Some(record.carry.clone());
        commit.guardrails.clone_from(&record.guardrails);
        commit.life_json = Some(serde_json::to_string(&next_life)?);
        commit.last_said_json = Some(serde_json::to_string(&said)?);
        commit.series = accepted_series(context, &self.gathered, &record.input.unacknowledged);
        commit.log = log_of(record, &notices);
        commit.drop_tracks = tracks::ended(experiment, &next_life);
        commit.more_cursors = restate::track_of(app, record).into_iter().collect();
        commit.outbox = say::outbox(app, experiment, &notices, Some(record), context.state_version);
        commit.outbox.extend(say::action(app, record, slot, context.state_version));
        Ok(commit)
    }

    fn note(&self, record: &EvaluationRecord) {
        let metrics = &self.app.metrics;
        metrics.evaluation("ok");
        metrics.observe_record(record, &self.app.clock.domain_now());
        if let Some(missed) = &self.due.missed {
            metrics.slots_missed(&missed.reason, missed.count);
        }
        if lifecycle::is_final(record.decision.verdict) {
            tracing::info!(
                experiment.id = record.input.experiment.id,
                look.id = record.id,
                "{}",
                prose::headline(record)
            );
        }
    }
}

/// Evaluates without committing anything: `eval --dry-run` and `eval --at`.
pub async fn dry_run(
    app: &Arc<Inner>,
    experiment: &str,
    at: Timestamp,
) -> anyhow::Result<EvaluationRecord> {
    let loaded = app.portfolio.get(experiment).with_context(|| {
        format!("no experiment `{experiment}` among the files; `verdictd status` lists them")
    })?;
    if loaded.experiment.unfinished {
        bail!(
            "`{experiment}` is a draft that cannot be judged; `verdictd check` says what it lacks"
        );
    }
    let context = app.store.context(experiment).await?.context("no stored state")?;
    let life = life_at(&context, at)?;
    let probe = input_of(&loaded, &context, &life, at, Gathered::empty());
    let at_checkpoint = decide::is_at_checkpoint(&probe);
    let gathered = gather::gather(app, &loaded.experiment, &life.cycle, at, at_checkpoint).await?;
    Ok(evaluate_guarded(input_of(&loaded, &context, &life, at, gathered)))
}

fn input_of(
    loaded: &Loaded,
    context: &Context,
    life: &LifeState,
    at: Timestamp,
    gathered: Gathered,
) -> LookInput {
    let changed = gathered.series.iter().filter(|(name, series_id)| {
        let in_force = context.series.get(*name);
        let by_revision = human::acknowledged_revision(&loaded.experiment.revision);
        in_force.is_some_and(|id| id != *series_id)
            && !context.acknowledged.contains(series_id)
            && !context.acknowledged.contains(&by_revision)
    });
    // Another cycle starts with an empty sequential state.
    let carry = if context.cycle == life.cycle.number {
        context.carry.clone()
    } else {
        judge::record::Carry::default()
    };
    LookInput {
        experiment: loaded.experiment.clone(),
        at,
        cycle: life.cycle.clone(),
        unacknowledged: changed.map(|(name, _)| name.clone()).collect(),
        alarms_since: say::alarms_since(&context.last_said_json),
        observations: gathered.observations,
        beside: gathered.beside,
        guardrails: guardrails_in_order(loaded, context),
        carry,
    }
}

/// The judge is total; should it panic all the same, the slot is a `hold: engine_fault` after one
/// retry and the other experiments go on (engine.md 8).
fn evaluate_guarded(input: LookInput) -> EvaluationRecord {
    for _ in 0..2 {
        let attempt = input.clone();
        if let Ok(record) = catch_unwind(AssertUnwindSafe(|| decide::evaluate(attempt, 0, None))) {
            return record;
        }
    }
    tracing::error!(experiment.id = input.experiment.id, "the judge panicked twice");
    decide::evaluate_fault(input, "the judge failed on this experiment; its log has the place")
}

/// The stored row of a record.
pub(super) fn new_evaluation(
    app: &Inner,
    record: &EvaluationRecord,
    fetched_at: Option<Timestamp>,
) -> NewEvaluation {
    NewEvaluation {
        id: record.id.clone(),
        track: record.track.clone(),
        scheduled_at: record.input.at,
        data_as_of: record.data_as_of(),
        fetched_at,
        recorded_at: app.clock.wall_now(),
        restatement_no: record.restatement_no,
        revises: record.revises.clone(),
        verdict: say::word(&record.decision.verdict),
        cause: say::word(&record.decision.cause),
        headline: prose::headline(record),
        json: record.to_json(),
    }
}

/// Definitions that are in force after this look: changed ones wait for an acknowledgement.
fn accepted_series(
    context: &Context,
    gathered: &Gathered,
    unacknowledged: &[String],
) -> std::collections::BTreeMap<String, String> {
    let accepted = gathered.series.iter().filter(|(name, series_id)| {
        !unacknowledged.contains(name) && context.series.get(*name) != Some(*series_id)
    });
    accepted.map(|(name, series_id)| (name.clone(), series_id.clone())).collect()
}

/// Verdicts that decide something are log entries, and a hold when it is told; a collecting look
/// or one more day of the same hold is only a record.
fn log_of(record: &EvaluationRecord, notices: &[Notice]) -> Vec<LogEntry> {
    let decision = &record.decision;
    let is_told = notices.iter().any(|notice| notice.kind == NoticeKind::VerdictHold);
    let mut log: Vec<LogEntry> = epochs(record).collect();
    if !lifecycle::is_final(decision.verdict) && !is_told {
        return log;
    }
    log.push(LogEntry {
        at: record.input.at,
        kind: "verdict".to_owned(),
        who: None,
        verdict: Some(format!("{}: {}", say::word(&decision.verdict), say::word(&decision.cause))),
        because: Some(prose::because(record)),
        text: prose::log_entry(record).join("\n"),
        evaluation_id: Some(record.id.clone()),
    });
    log
}

/// Test epochs that this look opened: an edit of target, alpha, look plan or definition is on
/// record for ever (engine.md 1).
fn epochs(record: &EvaluationRecord) -> impl Iterator<Item = LogEntry> {
    let opened = record.findings.iter().filter_map(|finding| match finding {
        Finding::Retargeted { .. } => Some(("retargeted", finding)),
        Finding::DefinitionChanged { .. } => Some(("definition_changed", finding)),
        _ => None,
    });
    opened.map(|(kind, finding)| LogEntry {
        at: record.input.at,
        kind: kind.to_owned(),
        who: None,
        verdict: None,
        because: None,
        text: prose::finding_sentence(finding, record),
        evaluation_id: Some(record.id.clone()),
    })
}
