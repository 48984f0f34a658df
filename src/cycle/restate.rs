//! Late and restated data under a verdict that was sent: the track `restated:<track>`.
//!
//! The commit of a final verdict starts this track; it ends one lookback (`lookback_periods` of
//! the verdict's own periods) later, so its work is bounded. Each of its slots asks the sources
//! again for what the verdict stood on and judges that slot anew (`judge::decide::restate_*`).
//! What differs is one commit: points, record, log entry and one `verdict.revised`. A life is not
//! touched. A slot that cannot ask anything changes nothing; a crash repeats it.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use judge::decide::{self, Verdict};
use judge::guardrails::{self, BurnInput, GuardrailInput};
use judge::lifecycle::{self, Life, LifeState};
use judge::notice;
use judge::prose;
use judge::record::EvaluationRecord;
use judge::time::{Span, Timestamp, add_ms};

use super::guardrail::Anew;
use super::look::new_evaluation;
use super::{MAX_STALE, commit_timed, gather, guardrail, life_at, say};
use crate::app::Inner;
use crate::store::{
    Claim, Commit, Committed, Context, CursorSpec, LogEntry, NewPoints, RESTATED_PREFIX,
};

/// The track that watches over a record's verdict; none for what is not sent as a verdict.
pub fn track_of(app: &Inner, record: &EvaluationRecord) -> Option<CursorSpec> {
    let periods = app.settings.scheduler.lookback_periods;
    let is_final = lifecycle::is_final(record.decision.verdict);
    (is_final && periods > 0).then(|| CursorSpec {
        track: format!("{RESTATED_PREFIX}{}", record.track),
        next_at: add_ms(record.input.at, period(app, record).ms),
    })
}

/// The longest period that the verdict stood on: the track's rhythm.
fn period(app: &Inner, record: &EvaluationRecord) -> Span {
    let experiment = &record.input.experiment;
    if let Some(rail) = tripped_rail(record) {
        let every = guardrail::rhythm(app, rail);
        return guardrail::grain_of(app, rail, every);
    }
    let whole = judge::time::Window { start: record.input.at, end: record.input.at };
    let grains = experiment.signals.iter();
    let grains = grains.map(|signal| gather::signal_need(app, experiment, signal, whole).grain);
    grains.max().unwrap_or(Span::days(1))
}

/// The guardrail whose own track wrote the record.
fn tripped_rail(record: &EvaluationRecord) -> Option<&judge::spec::Guardrail> {
    let name = record.track.strip_prefix("guardrail:")?;
    record.input.experiment.guardrail(name)
}

/// Runs one slot of the track `restated:<of>`.
pub(super) async fn run(
    app: &Arc<Inner>,
    claim: &Claim,
    context: Context,
    of: &str,
) -> anyhow::Result<()> {
    let life = life_at(&context, claim.next_at)?;
    let Some(old) = standing(app, &context, of).await?.filter(|_| life.life != Life::Archived)
    else {
        return end(app, claim, &context, &life).await;
    };
    let is_last = next_at(app, &old, claim.next_at).is_none();
    let seen = ask(app, &old, &life, is_last).await?;
    Restate { app, claim, old, seen }.commit(context).await
}

/// The verdict that was sent last, if this track watches it.
async fn standing(
    app: &Inner,
    context: &Context,
    of: &str,
) -> anyhow::Result<Option<EvaluationRecord>> {
    let Some(said) = say::last_said(&context.last_said_json)?.and_then(|said| said.verdict) else {
        return Ok(None);
    };
    let Some((_, json)) = app.store.evaluation_by_id(&said.evaluation).await? else {
        return Ok(None);
    };
    let record = EvaluationRecord::from_json(&json).context("the verdict that was sent")?;
    Ok((record.track == of).then_some(record))
}

async fn end(
    app: &Inner,
    claim: &Claim,
    context: &Context,
    life: &LifeState,
) -> anyhow::Result<()> {
    let mut commit = Commit::new(&claim.experiment, context.state_version, life.cycle.number);
    commit.claim = Some(claim.clone());
    app.store.commit(commit).await?;
    Ok(())
}

/// What the sources say now about the slot of the verdict.
struct Seen {
    points: Vec<NewPoints>,
    fetched_at: Option<Timestamp>,
    /// The slot anew, if it comes to another verdict.
    revised: Option<EvaluationRecord>,
}

/// A guardrail's periods are short and its slots near: only the last one asks for more than an
/// ordinary look would.
async fn ask(
    app: &Inner,
    old: &EvaluationRecord,
    life: &LifeState,
    is_last: bool,
) -> anyhow::Result<Seen> {
    if let Some(rail) = tripped_rail(old) {
        let anew = if is_last { Anew::Finding } else { Anew::Behind };
        return ask_guardrail(app, old, rail, life, anew).await;
    }
    let (experiment, cycle) = (&old.input.experiment, &old.input.cycle);
    let gathered = gather::gather(app, experiment, cycle, old.input.at, true).await?;
    Ok(Seen {
        points: gathered.points,
        fetched_at: gathered.fetched_at,
        revised: decide::restate_look(old, gathered.observations, gathered.beside),
    })
}

async fn ask_guardrail(
    app: &Inner,
    old: &EvaluationRecord,
    rail: &judge::spec::Guardrail,
    life: &LifeState,
    anew: Anew,
) -> anyhow::Result<Seen> {
    let every = guardrail::rhythm(app, rail);
    let experiment = &old.input.experiment;
    // The life of the trip's own instant: a rearm after it does not move its window.
    let began = life.rearmed_at.filter(|at| *at <= old.input.at);
    let then = LifeState { cycle: old.input.cycle.clone(), rearmed_at: began, ..life.clone() };
    let asked = guardrail::ask(app, experiment, &then, rail, old.input.at, every, anew).await?;
    let tripped = old.guardrails.iter().find(|status| status.name == rail.name);
    let (Some(tripped), Some(fetched)) = (tripped, &asked.cohort.fetched) else {
        return Ok(Seen { points: Vec::new(), fetched_at: None, revised: None });
    };
    let outcome = guardrails::judge(&GuardrailInput {
        experiment,
        guardrail: rail,
        cycle: &lifecycle::guardrail_cycle(&then),
        at: old.input.at,
        every,
        grain: guardrail::grain_of(app, rail, every),
        lateness: guardrail::lateness(app, rail),
        points: &asked.cohort.points,
        control: &asked.control.points,
        burn: BurnInput {
            rearmed_at: then.rearmed_at,
            cohort_since: Some(then.cycle.started_at),
            ..BurnInput::default()
        },
        failure: fetched.failure.clone(),
        stored: Some(decide::before_trip(tripped)),
        carry: &guardrail::carry_of(&old.input.carry, &then, &rail.name),
    });
    Ok(Seen {
        points: asked.new_points(old.input.at),
        fetched_at: Some(fetched.fetched_at),
        revised: decide::restate_trip(old, &outcome.status),
    })
}

/// One period on, until a lookback has passed since the verdict's slot.
fn next_at(app: &Inner, old: &EvaluationRecord, slot: Timestamp) -> Option<Timestamp> {
    let period = period(app, old);
    let periods = i64::from(app.settings.scheduler.lookback_periods);
    let last = add_ms(old.input.at, periods * period.ms);
    let now = app.clock.domain_now();
    let mut next = add_ms(slot, period.ms);
    // After downtime one look at the newest data does for all the slots that were missed.
    while add_ms(next, period.ms) <= now.min(last) {
        next = add_ms(next, period.ms);
    }
    (next <= last).then_some(next)
}

struct Restate<'a> {
    app: &'a Arc<Inner>,
    claim: &'a Claim,
    old: EvaluationRecord,
    seen: Seen,
}

impl Restate<'_> {
    async fn commit(self, mut context: Context) -> anyhow::Result<()> {
        for _ in 0..MAX_STALE {
            let life = life_at(&context, self.claim.next_at)?;
            // A newer verdict meanwhile: this one is history, its track starts anew.
            let is_newest = say::last_said(&context.last_said_json)?
                .and_then(|said| said.verdict)
                .is_some_and(|said| said.evaluation == self.old.id);
            let revised = self.seen.revised.as_ref().filter(|_| is_newest);
            let commit = self.commit_of(&context, &life, revised)?;
            match commit_timed(self.app, commit).await? {
                Committed::Fresh { restated, .. } => {
                    for points in &self.seen.points {
                        self.app.sums.forget(&points.series_id);
                    }
                    self.note(revised, restated.len());
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
        revised: Option<&EvaluationRecord>,
    ) -> anyhow::Result<Commit> {
        let (app, slot) = (self.app, self.claim.next_at);
        let experiment = &self.old.input.experiment;
        let version = context.state_version;
        let mut commit = Commit::new(&experiment.id, version, context.cycle.max(life.cycle.number));
        commit.claim = Some(self.claim.clone());
        commit.slot = Some(slot);
        commit.next_at = next_at(app, &self.old, slot);
        commit.points.clone_from(&self.seen.points);
        for points in &mut commit.points {
            points.fetched_at = slot;
        }
        if let Some(record) = revised {
            let last_said = say::last_said(&context.last_said_json)?;
            let notices = notice::notices(record, last_said.as_ref(), life.life);
            let said = notice::said_after(record, last_said.as_ref(), life.life);
            commit.last_said_json = Some(serde_json::to_string(&said)?);
            commit.evaluation = Some(new_evaluation(app, record, self.seen.fetched_at));
            commit.log = vec![log_of(record, slot)];
            commit.outbox = say::outbox(app, experiment, &notices, Some(record), version);
        }
        Ok(commit)
    }

    fn note(&self, revised: Option<&EvaluationRecord>, restated: usize) {
        self.app.metrics.evaluation("ok");
        if let Some(record) = revised {
            let words = prose::revision(record).unwrap_or_default();
            tracing::info!(
                experiment.id = self.claim.experiment,
                look.id = record.id,
                points = restated,
                "verdict revised: {words}"
            );
        }
    }
}

fn log_of(record: &EvaluationRecord, at: Timestamp) -> LogEntry {
    let verdict: &Verdict = &record.decision.verdict;
    let mut text = prose::log_entry(record).join("\n");
    if let Some(words) = prose::revision(record) {
        text.push('\n');
        text.push_str(&words);
    }
    LogEntry {
        at,
        kind: "revised".to_owned(),
        who: None,
        verdict: Some(format!("{}: {}", say::word(verdict), say::word(&record.decision.cause))),
        because: Some(prose::because(record)),
        text,
        evaluation_id: Some(record.id.clone()),
    }
}
