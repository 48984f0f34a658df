//! What the rows of the verdict table ask about a look, each question answered in one place.

use crate::analyse::{
    Analysis, AtomView, ExposureCheck, GuardrailState, GuardrailStatus, SignalState,
};
use crate::analyse::{SignalView, Truth};
use crate::lifecycle::schedule;
use crate::observe::Observation;
use crate::record::LookInput;
use crate::spec::{Compare, GuardrailKind, OnTrip, Role};
use crate::time::{Timestamp, add};

use super::{Reason, is_at_checkpoint};

/// A look with its analysis; cheap questions only.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) input: &'a LookInput,
    pub(super) analysis: &'a Analysis,
    /// Whether this look is at a checkpoint.
    pub(super) at_checkpoint: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(input: &'a LookInput, analysis: &'a Analysis) -> Self {
        Self { input, analysis, at_checkpoint: is_at_checkpoint(input) }
    }

    /// The root of `continue_when` before it is collapsed.
    pub(super) fn root(&self) -> Truth {
        self.analysis.rule.with(&|index| self.atom_met(index))
    }

    pub(super) fn atom_met(&self, index: usize) -> Truth {
        self.analysis.atoms.get(index).map_or(Truth::Unknown, |atom| atom.met)
    }

    pub(super) fn with_role(&self, role: Role) -> impl Iterator<Item = &'a SignalView> {
        self.analysis.signals.iter().filter(move |signal| signal.role == role)
    }

    /// Nothing came or the source failed; a signal without an observation has none.
    pub(super) fn is_missing(&self, signal: &str) -> bool {
        matches!(
            self.input.observations.get(signal),
            None | Some(Observation::NoData { .. } | Observation::SourceError { .. })
        )
    }

    /// Since when a signal's data are missing, if that is known.
    pub(super) fn missing_since(&self, signal: &str) -> Option<Timestamp> {
        self.input.observations.get(signal)?.missing_since()
    }

    /// When the first unit of an immature signal will count.
    pub(super) fn immature_until(&self, signal: &str) -> Option<Timestamp> {
        match self.input.observations.get(signal)? {
            Observation::Immature { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Matured, fit data are there (few units are data too; they are then not `met`).
    pub(super) fn is_observed(&self, signal: &SignalView) -> bool {
        signal.state != SignalState::Invalid
            && matches!(
                self.input.observations.get(&signal.name),
                Some(Observation::Ok(_) | Observation::Insufficient { .. })
            )
    }

    /// Data of this signal may stop the experiment: they are there, fit, and mean what they did.
    pub(super) fn is_trusted(&self, signal: &str) -> bool {
        let unfit = |view: &SignalView| view.name == signal && view.state == SignalState::Invalid;
        matches!(self.input.observations.get(signal), Some(Observation::Ok(_)))
            && !self.input.unacknowledged.iter().any(|name| name == signal)
            && !self.analysis.signals.iter().any(unfit)
    }

    /// Signals that the rule names or that are outcomes.
    pub(super) fn is_used(&self, signal: &str) -> bool {
        let experiment = &self.input.experiment;
        experiment.checkpoint.continue_when.names(signal)
            || experiment.outcomes().any(|outcome| outcome.name == signal)
    }

    /// The split is off and a used signal compares arms; the p of the check.
    pub(super) fn srm(&self) -> Option<f64> {
        let split = self.analysis.split.as_ref().filter(|split| split.mismatch)?;
        self.compares_arms().then_some(split.p_seq)
    }

    /// Too many units saw more than one arm, and a used signal compares arms.
    pub(super) fn mixed(&self) -> Option<&'a ExposureCheck> {
        let check = self.analysis.exposure.as_ref().filter(|check| check.unhealthy)?;
        self.compares_arms().then_some(check)
    }

    fn compares_arms(&self) -> bool {
        let experiment = &self.input.experiment;
        experiment.signals.iter().any(|signal| {
            let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
            matches!(compare, Compare::Arms { .. }) && self.is_used(&signal.name)
        })
    }

    /// Used signals whose arms differed before exposure.
    pub(super) fn unlike(&self) -> impl Iterator<Item = Reason> {
        let used = self.analysis.signals.iter().filter(|signal| self.is_used(&signal.name));
        used.filter_map(|signal| {
            let p = signal.imbalance?;
            Some(Reason::Imbalance { signal: signal.name.clone(), p })
        })
    }

    /// `by` has passed (product.md 4.3: scheduled_at > by).
    pub(super) fn past_by(&self) -> Option<Timestamp> {
        self.input.experiment.by().filter(|by| self.input.at > *by)
    }

    /// `min_duration` since the start of the cycle, in calendar days of the file's zone.
    pub(super) fn is_long_enough(&self) -> bool {
        let experiment = &self.input.experiment;
        let zone = schedule::zone_of(experiment);
        let earliest = add(self.input.cycle.started_at, experiment.checkpoint.min_duration, &zone);
        self.input.at >= earliest
    }

    /// The next planned checkpoint after this look's.
    pub(super) fn further_checkpoint(&self) -> Option<Timestamp> {
        let LookInput { experiment, cycle, at, .. } = self.input;
        schedule::further_checkpoint(experiment, cycle, (*at).max(cycle.checkpoint_at))
    }

    /// Guardrails that keep `continue` from passing: tripped ones, alerts too.
    pub(super) fn tripped(&self) -> impl Iterator<Item = &'a GuardrailStatus> {
        self.analysis.guardrails.iter().filter(|status| is_tripped(status))
    }

    /// Guardrails that should stop and have never seen any data: nobody can say that they held.
    pub(super) fn never_seen(&self) -> impl Iterator<Item = &'a GuardrailStatus> {
        let stops = |status: &&GuardrailStatus| status.on_trip == OnTrip::Stop;
        self.analysis.guardrails.iter().filter(stops).filter(|status| status.never_had_data())
    }

    /// `no_worse_than` guardrails that are neither safe nor tripped, with whether that is
    /// tolerated (`require: proven` does not).
    pub(super) fn unproven(&self) -> impl Iterator<Item = (&'a GuardrailStatus, bool)> {
        let (experiment, analysis) = (&self.input.experiment, self.analysis);
        analysis.guardrails.iter().filter_map(|status| {
            let kind = &experiment.guardrail(&status.name)?.kind;
            let GuardrailKind::NoWorseThan(kind) = kind else {
                return None;
            };
            let open = status.state != GuardrailState::Ok && !is_tripped(status);
            open.then_some((status, !kind.require_proven))
        })
    }

    /// Atoms that are unknown now, with their indices.
    pub(super) fn unknown_atoms(&self) -> impl Iterator<Item = (usize, &'a AtomView)> {
        let atoms = self.analysis.atoms.iter().enumerate();
        atoms.filter(|(_, atom)| atom.met == Truth::Unknown)
    }
}

/// Tripped now, frozen as tripped while data are missing, or latched until a human rearms it.
pub(crate) fn is_tripped(status: &GuardrailStatus) -> bool {
    status.state == GuardrailState::Tripped
        || status.frozen == Some(GuardrailState::Tripped)
        || status.latched
}
