//! Guardrails: what must not degrade, judged on its own rhythm.
//!
//! Beside the line: guardrails run on every one of their own slots, whatever the checkpoint does;
//! [`judge`] is a pure function of the points, the stored state and the sequential state. One file
//! per kind; `no_worse_than` is judged inside a look, from its signal's observation, by
//! [`no_worse_than::judge`].
//!
//! Invariants: missing data freezes a state, it never clears or trips one by itself (`on_missing`
//! does, after `missing_for`); a tripped `on_trip: stop` latches until a human rearms it; missed
//! and failed slots neither advance nor reset `for` and `keep_firing_for`.

mod burn;
mod drift;
mod error_budget;
mod hysteresis;
mod lifetime;
mod limit;
pub mod no_worse_than;
mod period;
mod seen;
mod slo;
mod slots;
mod threshold;

use crate::analyse::{GuardrailState, GuardrailStatus};
use crate::observe::SourceFailure;
use crate::points::Point;
use crate::record::{Carry, Cycle};
use crate::spec::{Experiment, Guardrail, GuardrailKind};
use crate::time::{Span, Timestamp, ms_between};

pub use hysteresis::{settle, unseen};
pub use seen::Seen;
pub use slots::{Slots, Sum};

/// What one guardrail look is a function of.
#[derive(Debug, Clone)]
pub struct GuardrailInput<'a> {
    /// The revision.
    pub experiment: &'a Experiment,
    /// Which of its guardrails.
    pub guardrail: &'a Guardrail,
    /// The cycle: lifetime budgets run from its start.
    pub cycle: &'a Cycle,
    /// The slot.
    pub at: Timestamp,
    /// Distance of two slots of this guardrail.
    pub every: Span,
    /// Length of one period of its series.
    pub grain: Span,
    /// How late the source may be by its own declaration.
    pub lateness: Span,
    /// Lifetime points of the series, any order.
    pub points: &'a [Point],
    /// The same of the control cohort (`slo` only); empty when it is not known.
    pub control: &'a [Point],
    /// What burn-rate windows read beside the points; the default will do.
    pub burn: BurnInput<'a>,
    /// The source's failure, if the last fetch failed.
    pub failure: Option<SourceFailure>,
    /// The stored state; `None` before the first look.
    pub stored: Option<GuardrailStatus>,
    /// Sequential state of earlier looks.
    pub carry: &'a Carry,
}

/// What the burn-rate windows of an `slo` read beside the points.
#[derive(Debug, Clone, Copy, Default)]
pub struct BurnInput<'a> {
    /// The series as prefix sums that somebody keeps; `None`: they are made of `points`.
    pub slots: Option<&'a Slots>,
    /// The same of the control cohort.
    pub control: Option<&'a Slots>,
    /// When a human last rearmed the tripwires: alerts start over there, budgets do not.
    pub rearmed_at: Option<Timestamp>,
    /// When the cycle began, whatever was rearmed since; `None`: at the start of the lifetime.
    pub cohort_since: Option<Timestamp>,
}

impl GuardrailInput<'_> {
    /// Time since the look before, in milliseconds.
    fn gap_ms(&self) -> i64 {
        let last = self.stored.as_ref().and_then(|stored| stored.evaluated_at);
        last.map_or(0, |last| ms_between(last, self.at))
    }
}

/// What a guardrail look comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardrailOutcome {
    /// The new state, to be stored.
    pub status: GuardrailStatus,
    /// Set when the state changed, was never known, or latched: worth an evaluation record.
    pub transition: Option<Transition>,
    /// Data are missing for longer than `missing_for` and `on_missing` is `alert`.
    pub missing_alert: bool,
    /// Sequential state after this look.
    pub carry: Carry,
}

/// A change of state, or the same state that now stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before; `None` at the first look.
    pub from: Option<GuardrailState>,
    /// The state now.
    pub to: GuardrailState,
}

/// Judges one guardrail at one slot. Total: bad data are states.
pub fn judge(input: &GuardrailInput<'_>) -> GuardrailOutcome {
    let mut carry = input.carry.clone();
    let seen = match &input.failure {
        Some(failure) => Seen::source_error(failure),
        None => match &input.guardrail.kind {
            GuardrailKind::Slo(slo) => slo::look(input, slo, &mut carry),
            GuardrailKind::Threshold(threshold) => threshold::look(input, threshold),
            GuardrailKind::Limit(limit) => limit::look(input, limit, &mut carry),
            GuardrailKind::ErrorBudget(budget) => error_budget::look(input, budget),
            // Judged in the look itself; a slot of its own has nothing to see.
            GuardrailKind::NoWorseThan(_) => Seen::no_data(None, "judged with its signal"),
        },
    };
    let before = input.stored.as_ref().map(|stored| stored.state);
    let was_latched = input.stored.as_ref().is_some_and(|stored| stored.latched);
    let (status, missing_alert) =
        settle(input.guardrail, input.stored.as_ref(), seen, input.at, input.every);
    // An alert that is on and becomes a stop is a trip, though its state stays.
    let changed = before != Some(status.state) || (status.latched && !was_latched);
    let transition = changed.then_some(Transition { from: before, to: status.state });
    GuardrailOutcome { status, transition, missing_alert, carry }
}

#[cfg(test)]
mod tests;
