//! The loop over a case's time: what the daemon does, without a clock, a store or a wire.
//!
//! Events of one instant come in the order: revision, acknowledgement, human decision, restated
//! data, guardrails, look. A guardrail's trip is therefore known to the look of the same instant.

use std::collections::BTreeMap;

use super::CASE_FILE;
use super::file::{Case, Revision};
use super::timeline::{Timeline, name_of};
use super::watched::Watcher;
use super::world::GuardrailAnswer;
use crate::analyse::GuardrailStatus;
use crate::decide::{Alarm, Cause, Finding, Verdict, allocated, evaluate, evaluate_trip};
use crate::guardrails::{BurnInput, GuardrailInput, judge};
use crate::ids::evaluation_id;
use crate::lifecycle::{self, LifeState, RevisionEffect};
use crate::notice::{LastSaid, guardrail_notices, notices, said_after};
use crate::observe::{Observation, SeriesInput, observe};
use crate::plan::need_of_signal;
use crate::record::{Carry, EvaluationRecord, LookInput};
use crate::spec::{Experiment, Guardrail, GuardrailKind, OnTrip, Signal};
use crate::time::{Span, Timestamp, Window, add_ms, ms_between};

/// No case needs more instants.
const MOST_STEPS: usize = 200_000;

/// What a case came to.
pub(super) struct Played {
    pub(super) timeline: String,
    pub(super) records: Vec<EvaluationRecord>,
    /// Alarms that the watch raised.
    pub(super) watched: Vec<Alarm>,
}

/// Plays a case to its end.
pub(super) fn play(case: &Case) -> Result<Played, String> {
    let Some((seen, first)) = case.revisions.first() else {
        return Err(format!("{CASE_FILE}: there is no experiment"));
    };
    let mut player = Player::new(case, first, *seen);
    let mut now = *seen;
    for _ in 0..MOST_STEPS {
        player.instant(now);
        match player.next(now) {
            Some(next) if next <= case.until => now = next,
            _ => return Ok(player.played()),
        }
    }
    Err(format!("{CASE_FILE}: more than {MOST_STEPS} instants until the end"))
}

pub(super) struct Player<'a> {
    pub(super) case: &'a Case,
    experiment: &'a Experiment,
    pub(super) state: LifeState,
    carry: Carry,
    statuses: BTreeMap<String, GuardrailStatus>,
    pub(super) said: LastSaid,
    /// The verdict that was sent last: restated data may revise it.
    pub(super) watched: Option<EvaluationRecord>,
    /// What the newest look saw.
    newest: Option<EvaluationRecord>,
    unacknowledged: Vec<String>,
    last_good: BTreeMap<String, Timestamp>,
    /// The newest look's row of the verdict table: the same again is not shown.
    shown: Option<(Verdict, Cause)>,
    pub(super) timeline: Timeline,
    records: Vec<EvaluationRecord>,
    /// Where the case has a portfolio that is watched.
    watcher: Option<Watcher<'a>>,
    first_seen_at: Timestamp,
}

/// A look that opened a test epoch is shown whatever else it says.
fn is_epoch(finding: &Finding) -> bool {
    matches!(finding, Finding::Retargeted { .. } | Finding::DefinitionChanged { .. })
}

impl<'a> Player<'a> {
    fn new(case: &'a Case, first: &'a Revision, seen: Timestamp) -> Self {
        let experiment = &first.experiment;
        let state = lifecycle::first_seen(experiment, first.runnable, seen);
        let mut timeline = Timeline::new(case.detail);
        timeline.head(seen, &format!("life: {}", name_of(&state.life)));
        Self {
            case,
            experiment,
            state,
            carry: Carry::new(),
            statuses: BTreeMap::new(),
            said: LastSaid::default(),
            watched: None,
            newest: None,
            unacknowledged: Vec::new(),
            last_good: BTreeMap::new(),
            shown: None,
            timeline,
            records: Vec::new(),
            watcher: case.watch.as_ref().map(Watcher::new),
            first_seen_at: seen,
        }
    }

    fn played(self) -> Played {
        Played {
            timeline: self.timeline.text(),
            records: self.records,
            watched: self.watcher.map(|watcher| watcher.raised).unwrap_or_default(),
        }
    }

    /// The next instant at which anything is due.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let case = self.case;
        let files = case.revisions.iter().map(|(at, _)| *at);
        let people = case.decisions.iter().map(|(at, _)| *at);
        let people = people.chain(case.acknowledged.iter().map(|(at, _)| *at));
        let planned = files.chain(people).chain([self.state.cycle.started_at]);
        let look = lifecycle::next_look(self.experiment, &self.state, now);
        let runs = lifecycle::guardrails_run(self.state.life);
        let guardrails = self.experiment.guardrails.iter().filter(|_| runs);
        let slots = guardrails.map(|guardrail| self.slot_after(guardrail, now));
        let again = self.next_watch(now);
        let watched = self.watcher.as_ref().map(|_| Watcher::next(now));
        let planned = planned.filter(|at| *at > now);
        planned.chain(look).chain(slots).chain(again).chain(watched).min()
    }

    pub(super) fn every(&self, guardrail: &Guardrail) -> Span {
        guardrail.every.unwrap_or(self.case.guardrails_every)
    }

    fn slot_after(&self, guardrail: &Guardrail, now: Timestamp) -> Timestamp {
        let start = self.state.cycle.first_started_at;
        let every_ms = self.every(guardrail).ms.max(1);
        let slots = ms_between(start, now).div_euclid(every_ms) + 1;
        add_ms(start, slots.max(1) * every_ms)
    }

    fn instant(&mut self, now: Timestamp) {
        let case = self.case;
        for (_, revision) in case.revisions.iter().skip(1).filter(|(at, _)| *at == now) {
            self.revise(revision, now);
        }
        for (_, signal) in case.acknowledged.iter().filter(|(at, _)| *at == now) {
            self.act(now, "acknowledged", true);
            if let Some(signal) = signal {
                self.unacknowledged.retain(|name| name != signal);
                self.timeline.head(now, &format!("acknowledged: {signal}"));
            } else {
                let counted = self.newest.as_ref().map(allocated).unwrap_or_default();
                self.state = lifecycle::acknowledge_split(&self.state, counted, now);
                self.timeline.head(now, "acknowledged: the split");
            }
        }
        for (_, decision) in case.decisions.iter().filter(|(at, _)| *at == now) {
            let action = name_of(&decision.action);
            self.timeline
                .head(now, &format!("{} says {action}: {}", decision.who, decision.because));
            let next =
                lifecycle::human_decision(&self.state, self.experiment, decision, false, now);
            match next {
                Ok(next) => {
                    if next.guardrail_epoch != self.state.guardrail_epoch {
                        self.statuses.clear();
                    }
                    self.become_state(next);
                    if let Some(watcher) = &mut self.watcher {
                        watcher.decided(decision, now);
                    }
                }
                Err(refused) => self.timeline.line(&format!("refused: {refused}")),
            }
        }
        let begun = lifecycle::at_time(&self.state, now);
        if begun.life != self.state.life {
            self.timeline.head(now, &format!("life: {}", name_of(&begun.life)));
            self.state = begun;
        }
        self.restate(now);
        let look_due = self.is_look(now);
        self.guardrails(now);
        if look_due && lifecycle::needs_looks(self.state.life) {
            self.look(now);
        }
        self.watch_slot(now);
    }

    /// Last of an instant: what its looks have decided is known.
    fn watch_slot(&mut self, now: Timestamp) {
        let order = self.experiment.guardrails.iter();
        let stored = order.filter_map(|rail| self.statuses.get(&rail.name).cloned()).collect();
        let Some(watcher) = self.watcher.as_mut().filter(|_| Watcher::is_due(now)) else { return };
        let seen = self.first_seen_at;
        let lines = watcher.slot(self.experiment, &self.state, seen, stored, now);
        if !lines.is_empty() {
            self.timeline.head(now, "watched");
        }
        for line in &lines {
            self.timeline.line(line);
        }
    }

    fn act(&mut self, now: Timestamp, kind: &str, by_person: bool) {
        if let Some(watcher) = &mut self.watcher {
            watcher.act(now, kind, by_person, None);
        }
    }

    /// Whether `now` is a slot of the look's rhythm: the next after the instant before it.
    fn is_look(&self, now: Timestamp) -> bool {
        let before = add_ms(now, -1);
        lifecycle::next_look(self.experiment, &self.state, before) == Some(now)
    }

    fn become_state(&mut self, next: LifeState) {
        self.timeline.life(&self.state, &next);
        self.state = next;
    }

    fn revise(&mut self, revision: &'a Revision, now: Timestamp) {
        let (next, effect) =
            lifecycle::revised(&self.state, &revision.experiment, revision.runnable, now);
        self.timeline.head(now, &format!("revision: {}", name_of(&effect)));
        match effect {
            RevisionEffect::NewCycle => {
                self.carry.clear();
                self.last_good.clear();
                self.unacknowledged.clear();
            }
            RevisionEffect::Over => return,
            _ => self.note_changed_definitions(&revision.experiment),
        }
        self.act(now, "revision", false);
        self.experiment = &revision.experiment;
        self.become_state(next);
    }

    fn note_changed_definitions(&mut self, newer: &Experiment) {
        let window = Window { start: newer.start, end: newer.start };
        for signal in &newer.signals {
            let Some(old) = self.experiment.signal(&signal.name) else {
                continue;
            };
            let (old, new) = (
                need_of_signal(self.experiment, old, window),
                need_of_signal(newer, signal, window),
            );
            if old.series_id != new.series_id && !self.unacknowledged.contains(&signal.name) {
                self.unacknowledged.push(signal.name.clone());
            }
        }
    }

    fn guardrails(&mut self, now: Timestamp) {
        let experiment = self.experiment;
        for guardrail in &experiment.guardrails {
            let due = self.slot_after(guardrail, add_ms(now, -1)) == now;
            let own = !matches!(guardrail.kind, GuardrailKind::NoWorseThan(_));
            if due && own && lifecycle::guardrails_run(self.state.life) {
                self.guardrail(guardrail, now);
            }
        }
    }

    fn guardrail(&mut self, guardrail: &Guardrail, now: Timestamp) {
        let (world, name) = (&self.case.world, guardrail.name.as_str());
        let burns = guardrail.kind.slo().is_some_and(|slo| slo.burn.is_some());
        // Burn rates read sums only; the points behind them may be tens of thousands.
        let answer = if burns {
            GuardrailAnswer { failure: world.failure(name, now), ..GuardrailAnswer::default() }
        } else {
            world.guardrail(name, now, now)
        };
        let (slots, control_slots) = world.slots(name, now);
        let before = self.statuses.get(&guardrail.name).cloned();
        let outcome = judge(&GuardrailInput {
            experiment: self.experiment,
            guardrail,
            cycle: &lifecycle::guardrail_cycle(&self.state),
            at: now,
            every: self.every(guardrail),
            grain: world.grain(name),
            lateness: Span::ZERO,
            points: &answer.points,
            control: &answer.control,
            burn: BurnInput {
                slots: burns.then_some(&*slots),
                control: burns.then_some(&*control_slots),
                rearmed_at: self.state.rearmed_at,
                cohort_since: Some(self.state.cycle.started_at),
            },
            failure: answer.failure,
            stored: before.clone(),
            carry: &self.carry,
        });
        self.carry.clone_from(&outcome.carry);
        self.statuses.insert(guardrail.name.clone(), outcome.status.clone());
        let track = format!("guardrail:{}", guardrail.name);
        let id = evaluation_id(&self.experiment.id, &track, now, 0);
        let told = guardrail_notices(self.experiment, before.as_ref(), &outcome.status, now, &id);
        let shown = self.case.detail || outcome.status.latched;
        if told.is_empty() && !(shown && outcome.transition.is_some()) {
            return;
        }
        self.timeline.guardrail(now, &outcome);
        self.timeline.notices(&told);
        if guardrail.on_trip == OnTrip::Stop {
            let record = evaluate_trip(self.look_input(now), &guardrail.name);
            if record.decision.verdict == Verdict::Stop {
                self.timeline.verdict(&record);
                self.commit(&record);
            }
        }
    }

    fn look(&mut self, now: Timestamp) {
        let record = evaluate(self.look_input(now), 0, None);
        for (name, observation) in &record.input.observations {
            if matches!(observation, Observation::Ok(_)) {
                self.last_good.insert(name.clone(), now);
            }
        }
        self.carry.clone_from(&record.carry);
        self.newest = Some(record.clone());
        for status in &record.guardrails {
            self.statuses.insert(status.name.clone(), status.clone());
        }
        let told = notices(&record, Some(&self.said), self.state.life);
        let wanted = self.case.looks.contains(&now);
        let row = (record.decision.verdict, record.decision.cause);
        let plain = [Cause::OnTrack, Cause::CannotBeReached].contains(&row.1);
        let reopened = record.findings.iter().any(is_epoch);
        let new = (self.shown != Some(row) && !plain) || reopened;
        if wanted || new || !told.is_empty() {
            self.timeline.look(&record);
        }
        self.shown = Some(row);
        self.commit(&record);
    }

    /// What was said and what the decision does, as one step.
    fn commit(&mut self, record: &EvaluationRecord) {
        let told = notices(record, Some(&self.said), self.state.life);
        self.timeline.notices(&told);
        self.said = said_after(record, Some(&self.said), self.state.life);
        self.watch(record);
        if let Some(watcher) = &mut self.watcher {
            watcher.judged(record);
        }
        let apply = match record.track.as_str() {
            "look" => lifecycle::apply_look,
            _ => lifecycle::apply_decision,
        };
        let next = apply(&self.state, &record.decision, record.input.at);
        self.become_state(next);
        self.records.push(record.clone());
    }

    fn look_input(&self, now: Timestamp) -> LookInput {
        let beside: Vec<_> = self.experiment.beside().into_iter().map(|one| one.signal).collect();
        let seen = |signal: &Signal| {
            let answer = self.case.world.signal(&signal.name, now, now);
            let input = SeriesInput {
                points: &answer.points,
                failure: answer.failure,
                last_good: self.last_good.get(&signal.name).copied(),
                lateness: Span::ZERO,
            };
            let cycle = &self.state.cycle;
            (signal.name.clone(), observe(self.experiment, signal, cycle, now, &input))
        };
        let order = self.experiment.guardrails.iter();
        let stored = order.filter_map(|guardrail| self.statuses.get(&guardrail.name).cloned());
        LookInput {
            experiment: self.experiment.clone(),
            at: now,
            cycle: self.state.cycle.clone(),
            observations: self.experiment.signals.iter().map(seen).collect(),
            beside: beside.iter().map(seen).collect(),
            guardrails: stored.collect(),
            carry: self.carry.clone(),
            unacknowledged: self.unacknowledged.clone(),
            alarms_since: self.said.alarms_since(),
        }
    }
}
