//! Could more of the same data settle an atom? (product.md 4.3, *Decidable*)
//!
//! Part of `analyse`. The estimate is placed at the aim's effect (level and tolerance atoms keep
//! theirs) and n at the present rate after one more interval; the atom's own interval is asked.

use super::look::Look;
use super::measure::Measure;
use super::{Truth, tau};
use crate::spec::Signal;
use crate::stats::power::{N_LIMIT, smallest_n};
use crate::time::ms_between;

/// What more data would do to one atom.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Outlook {
    /// Units still missing, over all arms.
    pub(super) needs_more: Option<f64>,
    /// One more interval at the present rate would settle it as true.
    pub(super) decidable: bool,
}

/// Units now and after one more interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    now: f64,
    next: f64,
}

impl Growth {
    pub(super) fn of(look: &Look<'_>, signal: &Signal, measure: &Measure) -> Self {
        let now = measure.units;
        let counted_to = look.observed(signal).map(|observed| observed.data_as_of);
        let started_at = look.input.cycle.started_at;
        let accrued_ms = counted_to.map_or(0, |to| ms_between(started_at, to)).max(1) as f64;
        let next = now * (1.0 + tau::interval_ms(look.experiment()) / accrued_ms);
        Self { now, next }
    }

    /// The outlook of an atom that would hold by its measure alone.
    pub(super) fn outlook(
        self,
        measure: &Measure,
        change: f64,
        met: Truth,
        holds: impl Fn(&Measure) -> bool,
    ) -> Outlook {
        self.outlook_at(measure, change, met, |placed, _| holds(placed))
    }

    /// The outlook of an atom that also looks at the number of units.
    pub(super) fn outlook_at(
        self,
        measure: &Measure,
        change: f64,
        met: Truth,
        holds: impl Fn(&Measure, f64) -> bool,
    ) -> Outlook {
        if met == Truth::True {
            return Outlook {
                needs_more: None,
                decidable: true,
            };
        }
        if met == Truth::False || self.now <= 0.0 {
            return Outlook::default();
        }
        let reached = |units: f64| holds(&measure.placed(change, units / self.now), units);
        let needed = smallest_n(N_LIMIT, reached);
        let needs_more = needed.map(|needed| (needed - self.now).max(0.0));
        Outlook {
            needs_more,
            decidable: needed.is_some_and(|needed| needed <= self.next),
        }
    }
}
