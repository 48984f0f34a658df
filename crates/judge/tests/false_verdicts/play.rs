//! A run looked at day by day through the judge's own entry points, as the daemon does it:
//! the guardrail with its own slots first, then the look; what each says is fed to the next.

use judge::analyse::{GuardrailStatus, SignalState};
use judge::decide::{Cause, Verdict, evaluate, evaluate_trip};
use judge::guardrails::{BurnInput, GuardrailInput, judge};
use judge::observe::{Observation, SeriesInput, observe};
use judge::points::Point;
use judge::record::{Carry, Cycle, EvaluationRecord, LookInput};
use judge::spec::{Experiment, Signal};
use judge::time::{Span, Timestamp};

use super::designs::{Run, midnight};

/// Gives the observation of one signal at one instant.
pub(crate) type Eye<'a> =
    dyn FnMut(&Experiment, &str, &Cycle, Timestamp, &[Point]) -> Observation + 'a;

/// What was said at one instant on one track. A guardrail's record says nothing of the outcome:
/// it is no look at the signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) at: Timestamp,
    pub(crate) track: String,
    pub(crate) verdict: Verdict,
    pub(crate) cause: Cause,
    pub(crate) outcome: SignalState,
}

impl Said {
    /// What a record says.
    pub(crate) fn of(record: &EvaluationRecord) -> Self {
        let mut views = record.signals.iter();
        let outcome = views.find(|view| record.track == "look" && view.name == "outcome");
        Self {
            at: record.input.at,
            track: record.track.clone(),
            verdict: record.decision.verdict,
            cause: record.decision.cause,
            outcome: outcome.map_or(SignalState::Shown, |view| view.state),
        }
    }
}

/// The one cycle of a run.
pub(crate) fn cycle_of(run: &Run) -> Cycle {
    let start = run.experiment.start;
    Cycle {
        number: 1,
        started_at: start,
        first_started_at: start,
        checkpoint_at: midnight(run.looks),
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    }
}

/// The judge's memory between two looks of one run.
pub(crate) struct Player<'a> {
    run: &'a Run,
    /// Given to every look and taken back from its record.
    experiment: Option<Experiment>,
    cycle: Cycle,
    carry: Carry,
    statuses: Vec<GuardrailStatus>,
}

impl<'a> Player<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self {
            run,
            experiment: Some(run.experiment.clone()),
            cycle: cycle_of(run),
            carry: Carry::new(),
            statuses: Vec::new(),
        }
    }

    /// Guardrail slot and look of one midnight; one entry per record the daemon would write.
    pub(crate) fn day(&mut self, day: i64, eye: &mut Eye<'_>) -> Vec<Said> {
        let at = midnight(day);
        let mut said: Vec<Said> = self.error_budget(at, eye).into_iter().collect();
        if said.iter().any(|said| said.verdict == Verdict::Stop) {
            return said;
        }
        let input = self.input(at, eye);
        said.push(self.take(evaluate(input, 0, None)));
        said
    }

    fn input(&mut self, at: Timestamp, eye: &mut Eye<'_>) -> LookInput {
        let experiment = self.experiment.take().unwrap();
        let signals = experiment.signals.iter();
        let seen = signals.map(|signal| {
            let points = until(self.run.points(&signal.name), at);
            let seen = eye(&experiment, &signal.name, &self.cycle, at, points);
            (signal.name.clone(), seen)
        });
        LookInput {
            observations: seen.collect(),
            at,
            cycle: self.cycle.clone(),
            guardrails: std::mem::take(&mut self.statuses),
            carry: std::mem::take(&mut self.carry),
            unacknowledged: Vec::new(),
            alarms_since: std::collections::BTreeMap::new(),
            beside: std::collections::BTreeMap::new(),
            experiment,
        }
    }

    fn take(&mut self, record: EvaluationRecord) -> Said {
        let said = Said::of(&record);
        self.experiment = Some(record.input.experiment);
        self.statuses = record.guardrails;
        self.carry = record.carry;
        said
    }

    /// The slot of the error budget; a record only where it changes to or from a trip.
    fn error_budget(&mut self, at: Timestamp, eye: &mut Eye<'_>) -> Option<Said> {
        let experiment = self.experiment.as_ref().unwrap();
        let guardrail = experiment.guardrail("errors").unwrap();
        let place = self.statuses.iter().position(|status| status.name == "errors");
        let outcome = judge(&GuardrailInput {
            experiment,
            guardrail,
            cycle: &self.cycle,
            at,
            every: Span::days(1),
            grain: Span::days(1),
            lateness: Span::ZERO,
            points: until(self.run.points("errors"), at),
            control: &[],
            burn: BurnInput::default(),
            failure: None,
            stored: place.map(|place| self.statuses[place].clone()),
            carry: &self.carry,
        });
        self.carry = outcome.carry;
        let tripped = outcome.status.state == judge::analyse::GuardrailState::Tripped;
        match place {
            Some(place) => self.statuses[place] = outcome.status,
            None => self.statuses.insert(0, outcome.status),
        }
        if !(tripped && outcome.transition.is_some()) {
            return None;
        }
        let input = self.input(at, eye);
        Some(self.take(evaluate_trip(input, "errors")))
    }
}

/// The real observation.
pub(crate) fn asked(
    experiment: &Experiment,
    signal: &Signal,
    cycle: &Cycle,
    at: Timestamp,
    points: &[Point],
) -> Observation {
    let input = SeriesInput { points, failure: None, last_good: None, lateness: Span::ZERO };
    observe(experiment, signal, cycle, at, &input)
}

/// The points that had closed at `at`.
pub(crate) fn until(points: &[Point], at: Timestamp) -> &[Point] {
    &points[..points.partition_point(|point| point.end <= at)]
}
