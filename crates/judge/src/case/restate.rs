//! Restated data in a case: what a source says anew, and the verdict that is looked at again.
//!
//! As in the daemon: one period after a verdict that was sent, and twice more, its slot is judged
//! on what the source says then; a difference is one `verdict.revised` and changes no life.

use super::drive::Player;
use super::timeline::name_of;
use crate::decide::{before_trip, restate_look, restate_trip};
use crate::guardrails::{BurnInput, GuardrailInput, judge};
use crate::lifecycle;
use crate::notice::{notices, said_after, verdict_text};
use crate::observe::{Observation, SeriesInput, observe};
use crate::plan::need_of_signal;
use crate::prose;
use crate::record::EvaluationRecord;
use crate::spec::Signal;
use crate::time::{Span, Timestamp, Window, add_ms};

/// The daemon's default `lookback_periods`.
const LOOKBACK: i64 = 3;

impl Player<'_> {
    /// A verdict was sent: it is watched until its lookback has passed.
    pub(super) fn watch(&mut self, record: &EvaluationRecord) {
        if lifecycle::is_final(record.decision.verdict) {
            self.watched = Some(record.clone());
        }
    }

    /// The next instant at which the watched verdict is looked at again.
    pub(super) fn next_watch(&self, now: Timestamp) -> Option<Timestamp> {
        let record = self.watched.as_ref()?;
        let period_ms = self.period(record).ms;
        (1..=LOOKBACK).map(|k| add_ms(record.input.at, k * period_ms)).find(|at| *at > now)
    }

    fn period(&self, record: &EvaluationRecord) -> Span {
        let experiment = &record.input.experiment;
        if let Some(name) = record.track.strip_prefix("guardrail:") {
            return self.case.world.grain(name);
        }
        let window = Window { start: experiment.start, end: experiment.start };
        let signals = experiment.signals.iter();
        let grains = signals.map(|signal| need_of_signal(experiment, signal, window).grain);
        grains.max().unwrap_or(Span::days(1))
    }

    /// Judges the watched verdict's slot on what the sources say at `now`.
    pub(super) fn restate(&mut self, now: Timestamp) {
        if self.next_watch(add_ms(now, -1)) != Some(now) {
            return;
        }
        let Some(old) = self.watched.clone() else { return };
        let revised = match old.track.strip_prefix("guardrail:") {
            Some(name) => self.trip_again(&old, name, now),
            None => self.look_again(&old, now),
        };
        let Some(record) = revised else { return };
        let decision = &record.decision;
        let words = verdict_text(decision.verdict, decision.cause);
        self.timeline.head(now, &format!("revised {}: {words}", record.input.at));
        self.timeline.line(&prose::revision(&record).unwrap_or_default());
        let told = notices(&record, Some(&self.said), self.state.life);
        self.timeline.notices(&told);
        self.timeline.line(&format!("life stays {}", name_of(&self.state.life)));
        self.said = said_after(&record, Some(&self.said), self.state.life);
        self.watched = Some(record);
    }

    fn look_again(&self, old: &EvaluationRecord, now: Timestamp) -> Option<EvaluationRecord> {
        let (experiment, cycle, at) = (&old.input.experiment, &old.input.cycle, old.input.at);
        let observed = |signal: &Signal| {
            let answer = self.case.world.signal(&signal.name, at, now);
            let before = old.input.observations.get(&signal.name);
            let was_good = matches!(before, Some(Observation::Ok(_)));
            let input = SeriesInput {
                points: &answer.points,
                failure: answer.failure,
                last_good: was_good.then_some(at),
                lateness: Span::ZERO,
            };
            (signal.name.clone(), observe(experiment, signal, cycle, at, &input))
        };
        let beside = experiment.beside();
        restate_look(
            old,
            experiment.signals.iter().map(observed).collect(),
            beside.iter().map(|one| observed(&one.signal)).collect(),
        )
    }

    fn trip_again(
        &self,
        old: &EvaluationRecord,
        name: &str,
        now: Timestamp,
    ) -> Option<EvaluationRecord> {
        let experiment = &old.input.experiment;
        let guardrail = experiment.guardrail(name)?;
        let tripped = old.guardrails.iter().find(|status| status.name == name)?;
        let answer = self.case.world.guardrail(name, old.input.at, now);
        let rearmed_at = self.state.rearmed_at.filter(|at| *at <= old.input.at);
        let outcome = judge(&GuardrailInput {
            experiment,
            guardrail,
            cycle: &old.input.cycle,
            at: old.input.at,
            every: self.every(guardrail),
            grain: self.case.world.grain(name),
            lateness: Span::ZERO,
            points: &answer.points,
            control: &answer.control,
            burn: BurnInput { rearmed_at, ..BurnInput::default() },
            failure: answer.failure,
            stored: Some(before_trip(tripped)),
            carry: &old.input.carry,
        });
        restate_trip(old, &outcome.status)
    }
}
