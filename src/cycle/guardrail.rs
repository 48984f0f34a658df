//! One guardrail look: independent of checkpoints, every few seconds, a record only on change.
//!
//! Looks without a transition update cursor, points and state only (engine.md 4). A trip of a
//! stop guardrail writes its evaluation, ends the run and puts the rollback action into the
//! outbox, all in one commit; the action is sent before any message.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::decide;
use judge::guardrails::{self, BurnInput, GuardrailInput, GuardrailOutcome, Slots};
use judge::ids;
use judge::lifecycle::{self, LifeState};
use judge::notice::{self, Notice, NoticeKind};
use judge::observe::Observation;
use judge::plan::{self, Need, Shape};
use judge::points::Point;
use judge::prose;
use judge::record::{Carry, EvaluationRecord, LookInput};
use judge::spec::{Experiment, Form, Guardrail, Slo, SloScope};
use judge::time::{Span, Timestamp, Window, add_ms, aligned_slot};

use super::fetch::{self, Fetched};
use super::health;
use super::look::new_evaluation;
use super::windows::{self, Known};
use super::{
    MAX_STALE, commit_timed, guardrails_in_order, life_at, missed_reason, restate, say, slots,
    sums, tracks,
};
use crate::app::Inner;
use crate::portfolio::Loaded;
use crate::store::{Claim, Commit, Committed, Context, LogEntry, NewPoints};

/// Runs the newest due look of one guardrail.
pub async fn run(
    app: &Arc<Inner>,
    claim: &Claim,
    loaded: &Loaded,
    context: Context,
    name: &str,
) -> anyhow::Result<()> {
    let now = app.clock.domain_now();
    let life = life_at(&context, claim.next_at)?;
    let guardrail = loaded.experiment.guardrail(name);
    let Some(guardrail) = guardrail.filter(|_| lifecycle::guardrails_run(life.life)) else {
        let mut commit = Commit::new(&claim.experiment, context.state_version, life.cycle.number);
        commit.claim = Some(claim.clone());
        commit.next_at = tracks::put_off(app, &loaded.experiment, &life, &claim.track, now);
        app.store.commit(commit).await?;
        return Ok(());
    };
    let every = rhythm(app, guardrail);
    let offset = offset_ms(app, &claim.experiment, &claim.track, every);
    let reason = missed_reason(app, claim.next_at);
    let due = slots::guardrail(&claim.track, claim.next_at, now, every, offset, reason);
    let seen =
        ask(app, &loaded.experiment, &life, guardrail, due.slot, every, Anew::Newest).await?;
    let lateness = lateness(app, guardrail);
    let grain = grain_of(app, guardrail, every);
    let look = GuardrailLook { app, claim, loaded, guardrail, due, seen, every, grain, lateness };
    look.judge_and_commit(context).await
}

/// How often a guardrail is looked at.
pub fn rhythm(app: &Inner, guardrail: &Guardrail) -> Span {
    let source = guardrail.kind.source();
    let source = source.and_then(|(source, _)| app.sources.get(source));
    let own = source.map_or(Span::seconds(30), |source| source.rhythm());
    // A slower rhythm may be set; asking a source more often than it changes is waste.
    let set = i64::try_from(app.settings.scheduler.guardrail_every_secs).unwrap_or(30);
    guardrail.every.unwrap_or_else(|| own.max(Span::seconds(set)))
}

/// How late a guardrail's source may be by its own declaration.
pub(super) fn lateness(app: &Inner, guardrail: &Guardrail) -> Span {
    let source = guardrail.kind.source().and_then(|(source, _)| app.sources.get(source));
    source.map_or(Span::ZERO, |source| source.lateness())
}

/// The stable offset of a guardrail's slots.
pub fn offset_ms(app: &Inner, experiment: &str, track: &str, every: Span) -> i64 {
    if app.settings.scheduler.jitter { slots::jitter_ms(experiment, track, every) } else { 0 }
}

/// What a guardrail look saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cohort: Series,
    pub(super) control: Series,
}

/// One series: as points, or summed up where burn rates are judged.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) points: Vec<Point>,
    slots: Option<Slots>,
    /// How far back the sums reach.
    since: Timestamp,
    pub(super) fetched: Option<Fetched>,
}

/// Which periods are asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    /// New ones and a little behind them: an ordinary look.
    Newest,
    /// Those before an old slot, as an ordinary look at it would have.
    Behind,
    /// All that the finding of an old slot stands on: a lifetime, or the windows of the alerts.
    /// The rest of a budget only says how much of it is left.
    Finding,
}

/// Asks for the periods that can have changed.
pub(super) async fn ask(
    app: &Inner,
    experiment: &Experiment,
    life: &LifeState,
    guardrail: &Guardrail,
    at: Timestamp,
    every: Span,
    anew: Anew,
) -> anyhow::Result<Seen> {
    let grain = grain_of(app, guardrail, every);
    let whole = Window { start: reaches_to(life, guardrail, at, grain), end: at };
    // A look at an old slot again reads the points themselves: kept sums belong to the newest.
    let slo = guardrail.kind.slo();
    let sums_up = slo.is_some_and(|slo| slo.burn.is_some()) && anew == Anew::Newest;
    let alerts = slo.and_then(Slo::alert_reach);
    let since = alerts.filter(|_| anew == Anew::Finding).map(|reach| add_ms(at, -reach.ms));
    let how = How { at, sums_up, anew, since: since.unwrap_or(whole.start).max(whole.start) };
    let cohort = plan::need_of_guardrail(experiment, guardrail, grain, whole);
    let control = plan::need_of_control(experiment, guardrail, grain, whole);
    let (cohort, control) = tokio::join!(series(app, cohort, how), series(app, control, how));
    Ok(Seen { cohort: cohort?, control: control? })
}

impl Seen {
    /// What was fetched, to be stored.
    pub(super) fn new_points(&self, fetched_at: Timestamp) -> Vec<NewPoints> {
        let fetched = [&self.cohort, &self.control].map(|series| series.fetched.as_ref());
        let fetched = fetched.into_iter().flatten().filter(|fetched| !fetched.points.is_empty());
        let new_points = fetched.map(|fetched| NewPoints {
            series_id: fetched.need.series_id.clone(),
            points: fetched.points.clone(),
            fetched_at,
        });
        new_points.collect()
    }
}

/// The first instant that the judgement reads: the cycle's start (or a rearm), a window's reach, or
/// for a service its history before the start.
pub(super) fn reaches_to(
    life: &LifeState,
    guardrail: &Guardrail,
    at: Timestamp,
    grain: Span,
) -> Timestamp {
    let reach = guardrail.kind.slo().and_then(|slo| Some((slo.reach()?, slo.scope)));
    let Some((reach, scope)) = reach else {
        return lifecycle::guardrail_cycle(life).started_at;
    };
    let reached = aligned_slot(add_ms(at, -reach.ms), grain, 0);
    // A rearm starts the alerts anew; what is spent of a budget stays spent.
    match scope {
        SloScope::Treatment => reached.max(life.cycle.started_at),
        SloScope::Service => reached,
    }
}

/// How a series is asked.
#[derive(Debug, Clone, Copy)]
struct How {
    at: Timestamp,
    sums_up: bool,
    anew: Anew,
    /// Nothing before this is asked.
    since: Timestamp,
}

async fn series(app: &Inner, need: Option<Need>, how: How) -> anyhow::Result<Series> {
    let Some(need) = need else {
        return Ok(Series::default());
    };
    let How { at, sums_up, anew, since } = how;
    let whole = need.window;
    let is_count = need.shape != Shape::Form(Form::Value);
    let newest_end = app.store.newest_point_end(&need.series_id).await?;
    let known_to = match anew {
        // A period that ends after the look is of a clock that ran ahead.
        Anew::Newest => newest_end.map(|end| end.min(at)),
        Anew::Behind => Some(at),
        Anew::Finding => None,
    };
    let known = Known {
        newest_end: known_to.filter(|end| *end > whole.start && !restates(app, &need.source)),
        grain: need.grain,
        lookback: app.settings.scheduler.lookback_periods,
    };
    let Some(window) = windows::of_guardrail(since, at, is_count, known) else {
        return Ok(Series::default());
    };
    let fetched = fetch::fetch(app, Need { window, ..need.clone() }, at).await;
    let (mut points, mut slots) = (Vec::new(), None);
    if sums_up {
        let fresh = &fetched.points;
        slots = Some(sums::of(app, &need.series_id, whole, newest_end, fresh).await?);
    } else {
        let stored =
            if is_count { app.store.points(&need.series_id, whole).await? } else { Vec::new() };
        points = fetch::overlay(stored, &fetched.points);
    }
    Ok(Series { points, slots, since: whole.start, fetched: Some(fetched) })
}

/// Exports state their whole span anew each time they are read: none of it is skipped.
pub fn restates(app: &Inner, source: &str) -> bool {
    app.sources.get(source).is_some_and(|source| source.kind() == "csv")
}

/// Counts are stored in periods of the look's rhythm; sources with a coarser grain keep theirs.
pub(super) fn grain_of(app: &Inner, guardrail: &Guardrail, every: Span) -> Span {
    let source = guardrail.kind.source().and_then(|(source, _)| app.sources.get(source));
    match source {
        Some(source) if source.kind() != "prometheus" => source.grain(),
        _ => every,
    }
}

struct GuardrailLook<'a> {
    app: &'a Arc<Inner>,
    claim: &'a Claim,
    loaded: &'a Loaded,
    guardrail: &'a Guardrail,
    due: slots::Due,
    seen: Seen,
    every: Span,
    grain: Span,
    lateness: Span,
}

impl GuardrailLook<'_> {
    async fn judge_and_commit(self, mut context: Context) -> anyhow::Result<()> {
        for _ in 0..MAX_STALE {
            let life = life_at(&context, self.due.slot)?;
            let before = stored_status(&context, &self.guardrail.name);
            let outcome = self.judge(&context, &life, before.as_ref());
            let record = match outcome.transition {
                Some(_) => Some(self.record(&context, &life, &outcome)?),
                None => None,
            };
            let commit = self.commit_of(&context, &life, &outcome, before, record.as_ref())?;
            match commit_timed(self.app, commit).await? {
                Committed::Fresh { .. } => {
                    self.note(&outcome, record.as_ref());
                    self.keep_sums();
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

    /// What is stored now needs no second reading.
    fn keep_sums(self) {
        for series in [self.seen.cohort, self.seen.control] {
            if let (Some(slots), Some(fetched)) = (series.slots, series.fetched) {
                self.app.sums.keep(&fetched.need.series_id, series.since, slots);
            }
        }
    }

    fn judge(
        &self,
        context: &Context,
        life: &LifeState,
        before: Option<&GuardrailStatus>,
    ) -> GuardrailOutcome {
        let Seen { cohort, control } = &self.seen;
        let failure = cohort.fetched.as_ref().and_then(|fetched| fetched.failure.clone());
        guardrails::judge(&GuardrailInput {
            experiment: &self.loaded.experiment,
            guardrail: self.guardrail,
            cycle: &lifecycle::guardrail_cycle(life),
            at: self.due.slot,
            every: self.every,
            grain: self.grain,
            lateness: self.lateness,
            points: &cohort.points,
            control: &control.points,
            burn: BurnInput {
                slots: cohort.slots.as_ref(),
                control: control.slots.as_ref(),
                rearmed_at: life.rearmed_at,
                cohort_since: Some(life.cycle.started_at),
            },
            failure,
            stored: before.cloned(),
            carry: &self.carry(context, life),
        })
    }

    fn carry(&self, context: &Context, life: &LifeState) -> Carry {
        carry_of(&context.carry, life, &self.guardrail.name)
    }

    /// The evaluation of a transition stands on the newest look's frozen observations: a
    /// guardrail look is no look at the signals.
    fn record(
        &self,
        context: &Context,
        life: &LifeState,
        outcome: &GuardrailOutcome,
    ) -> anyhow::Result<EvaluationRecord> {
        let newest = context.newest_record.as_deref().map(EvaluationRecord::from_json).transpose();
        let newest = newest.context("the newest stored evaluation")?;
        let (observed, beside) = newest
            .map(|record| (record.input.observations, record.input.beside))
            .unwrap_or_default();
        let unseen = |name: &str| Observation::NoData {
            since: None,
            why: format!("no look has read `{name}` yet"),
        };
        let observations = self.loaded.experiment.signals.iter().map(|signal| {
            let seen = observed.get(&signal.name).cloned();
            (signal.name.clone(), seen.unwrap_or_else(|| unseen(&signal.name)))
        });
        let mut statuses = guardrails_in_order(self.loaded, context);
        for status in &mut statuses {
            if status.name == outcome.status.name {
                *status = outcome.status.clone();
            }
        }
        let input = LookInput {
            experiment: self.loaded.experiment.clone(),
            at: self.due.slot,
            cycle: life.cycle.clone(),
            observations: observations.collect(),
            beside,
            guardrails: statuses,
            carry: context.carry.clone(),
            unacknowledged: Vec::new(),
            alarms_since: say::alarms_since(&context.last_said_json),
        };
        Ok(decide::evaluate_trip(input, &self.guardrail.name))
    }

    fn commit_of(
        &self,
        context: &Context,
        life: &LifeState,
        outcome: &GuardrailOutcome,
        before: Option<GuardrailStatus>,
        record: Option<&EvaluationRecord>,
    ) -> anyhow::Result<Commit> {
        let (app, slot) = (self.app, self.due.slot);
        let experiment = &self.loaded.experiment;
        let mut commit = Commit::new(&experiment.id, context.state_version, life.cycle.number);
        commit.claim = Some(self.claim.clone());
        commit.slot = Some(slot);
        commit.next_at = Some(self.due.next_at);
        commit.missed = self.due.missed.iter().cloned().collect();
        commit.carry = Some(outcome.carry.clone());
        commit.guardrails = vec![outcome.status.clone()];
        commit.points = self.seen.new_points(slot);
        let version = context.state_version;
        let mut notices = self.notices(before.as_ref(), &outcome.status, record);
        if let Some(record) = record {
            let last_said = say::last_said(&context.last_said_json)?;
            notices.extend(notice::notices(record, last_said.as_ref(), life.life));
            let said = notice::said_after(record, last_said.as_ref(), life.life);
            commit.last_said_json = Some(serde_json::to_string(&said)?);
        }
        commit.outbox = say::outbox(app, experiment, &notices, record, version);
        let Some(record) = record else {
            return Ok(commit);
        };
        let next_life = lifecycle::apply_decision(life, &record.decision, slot);
        if !lifecycle::guardrails_run(next_life.life) {
            commit.next_at = None;
        }
        commit.evaluation = Some(new_evaluation(app, record, None));
        commit.life_json = Some(serde_json::to_string(&next_life)?);
        commit.drop_tracks = tracks::ended(experiment, &next_life);
        commit.more_cursors = restate::track_of(app, record).into_iter().collect();
        commit.log = vec![log_of(record, &outcome.status)];
        let action = say::action(app, record, slot, version);
        commit.outbox.extend(action);
        Ok(commit)
    }

    /// What this look says. Data that stay missing are told without a transition; a source that
    /// is down is told once for all its readers, not once per guardrail.
    fn notices(
        &self,
        before: Option<&GuardrailStatus>,
        after: &GuardrailStatus,
        record: Option<&EvaluationRecord>,
    ) -> Vec<Notice> {
        let slot = self.due.slot;
        let experiment = &self.loaded.experiment;
        let derived = ids::evaluation_id(&experiment.id, &self.claim.track, slot, 0);
        let id = record.map_or(derived.as_str(), |record| record.id.as_str());
        let mut notices = notice::guardrail_notices(experiment, before, after, slot, id);
        let was_grouped = before.is_some_and(health::is_source_failure);
        notices.retain(|notice| match notice.kind {
            NoticeKind::GuardrailNoData => !health::is_source_failure(after),
            NoticeKind::GuardrailRecovered => !was_grouped,
            _ => true,
        });
        notices
    }

    fn note(&self, outcome: &GuardrailOutcome, record: Option<&EvaluationRecord>) {
        let metrics = &self.app.metrics;
        let result = match outcome.status.state {
            GuardrailState::NoData => "no_data",
            GuardrailState::SourceError => "error",
            _ => "ok",
        };
        metrics.evaluation(result);
        metrics.observe_guardrail(&self.loaded.experiment.id, &outcome.status);
        if let Some(missed) = &self.due.missed {
            metrics.slots_missed(&missed.reason, missed.count);
        }
        if record.is_some() {
            tracing::info!(
                experiment.id = self.claim.experiment,
                guardrail = outcome.status.name,
                state = say::word(&outcome.status.state),
                "guardrail changed its state"
            );
        }
        if record.is_some() && outcome.status.state == GuardrailState::Tripped {
            metrics.tripwire(&outcome.status.kind);
        }
    }
}

/// Sequential state; a test that opened before a rearm is forgotten by its guardrail.
pub(super) fn carry_of(carry: &Carry, life: &LifeState, guardrail: &str) -> Carry {
    let mut carry = carry.clone();
    if let Some(rearmed_at) = life.rearmed_at {
        let mark = format!("guardrail|{guardrail}");
        carry.retain(|id, test| *id != mark || test.opened_at >= rearmed_at);
    }
    carry
}

fn stored_status(context: &Context, name: &str) -> Option<GuardrailStatus> {
    context.guardrails.iter().find(|status| status.name == name).cloned()
}

fn log_of(record: &EvaluationRecord, status: &GuardrailStatus) -> LogEntry {
    LogEntry {
        at: record.input.at,
        kind: "guardrail".to_owned(),
        who: None,
        verdict: Some(say::word(&status.state)),
        because: Some(prose::because(record)),
        text: prose::log_entry(record).join("\n"),
        evaluation_id: Some(record.id.clone()),
    }
}
