//! Could more of the same data settle an atom? (product.md 4.3, *Decidable*)
//!
//! Part of `analyse`. The estimate is placed at the aim's effect (level and tolerance atoms keep
//! theirs) and n at the present rate after one more interval; the atom's own interval is asked.

use super::basis::Basis;
use super::look::Look;
use super::measure::Measure;
use super::{Truth, tau};
use crate::observe::Observation;
use crate::points::ALL;
use crate::spec::{Atom, Signal};
use crate::stats::power::{N_LIMIT, smallest_n};
use crate::time::{Timestamp, ms_between};

/// What more data would do to one atom.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Outlook {
    /// Units still missing, over all arms.
    pub(super) needs_more: Option<f64>,
    /// One more interval at the present rate would settle it as true.
    pub(super) decidable: bool,
}

impl Outlook {
    /// After a single planned look no further data can settle anything.
    pub(super) fn unless_spent(self, measure: &Measure) -> Self {
        if Look::is_spent(measure) { Self { decidable: false, ..self } } else { self }
    }

    /// An `insufficient` observation says itself how many units it lacks; they count as decidable
    /// when one more interval at the present rate brings them.
    pub(super) fn of_insufficient(look: &Look<'_>, atom: &Atom) -> Self {
        let Some(Observation::Insufficient { more, observed }) =
            look.input.observations.get(&atom.signal)
        else {
            return Self::default();
        };
        let units = observed.arms.values().map(|arm| match &arm.blocks {
            Some(blocks) => f64::from(blocks.count),
            None => arm.sums.units(),
        });
        let slowest = units.fold(f64::INFINITY, f64::min);
        let grown = slowest * intervals_per_accrual(look, observed.data_as_of);
        Self { needs_more: Some(*more), decidable: grown >= *more }
    }
}

/// One more interval, as a multiple of the time accrued so far.
fn intervals_per_accrual(look: &Look<'_>, counted_to: Timestamp) -> f64 {
    let accrued_ms = ms_between(look.input.cycle.started_at, counted_to).max(1) as f64;
    tau::interval_ms(look.experiment()) / accrued_ms
}

/// Few periods widen an interval because they cannot show yet how even they are; what is to come is
/// foretold by what they showed.
fn ease(look: &Look<'_>, signal: &Signal, measure: &Measure) -> f64 {
    let observed = measure.phi.and_then(|_| look.observed(signal).ok());
    let uneven = observed.and_then(|observed| match observed.arms.get(ALL) {
        Some(sample) => sample.unevenness(),
        None => observed.difference,
    });
    uneven.map_or(1.0, |uneven| uneven.to_come() / uneven.factor())
}

/// Units now and after one more interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    now: f64,
    next: f64,
    /// What the variance will be, relative to now, once many periods have told how even they are.
    ease: f64,
}

impl Growth {
    pub(super) fn of(look: &Look<'_>, signal: &Signal, measure: &Measure) -> Self {
        let now = measure.units;
        let counted_to = look.observed(signal).map(|observed| observed.data_as_of);
        let more = counted_to.map_or(0.0, |to| intervals_per_accrual(look, to));
        let next = now * (1.0 + more);
        Self { now, next, ease: ease(look, signal, measure) }
    }

    /// The outlook of an atom that would hold by its measure alone.
    pub(super) fn outlook(
        self,
        measure: &Measure,
        change: f64,
        met: Truth,
        holds: impl Fn(&Basis) -> bool,
    ) -> Outlook {
        self.outlook_at(measure, change, met, |placed, _| holds(placed))
    }

    /// The outlook of an atom that also looks at the number of units.
    pub(super) fn outlook_at(
        self,
        measure: &Measure,
        change: f64,
        met: Truth,
        holds: impl Fn(&Basis, f64) -> bool,
    ) -> Outlook {
        if met == Truth::True {
            return Outlook { needs_more: None, decidable: true };
        }
        if met == Truth::False || self.now <= 0.0 {
            return Outlook::default();
        }
        let basis = measure.basis.eased(self.ease);
        let reached = |units: f64| holds(&basis.placed(change, units / self.now), units);
        let needed = smallest_n(N_LIMIT, reached);
        let needs_more = needed.map(|needed| (needed - self.now).max(0.0));
        Outlook { needs_more, decidable: needed.is_some_and(|needed| needed <= self.next) }
    }
}
