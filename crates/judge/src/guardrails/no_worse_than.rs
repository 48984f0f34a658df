//! `no_worse_than`: a signal that must not get worse than a margin.
//!
//! Judged inside a look from the signal's evidence. All numbers are in the good direction:
//! positive is better. `ok`: the bad-side bound lies inside the margin; `tripped`: the estimate is
//! at or beyond the margin and the interval excludes no change on the bad side; else `unproven`
//! (product.md 4.5).

use super::Seen;
use crate::analyse::GuardrailState;
use crate::record::round12;
use crate::stats::Interval;

/// What the tests say, in the good direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginEvidence {
    /// Change of the signal; positive is better.
    pub estimate: f64,
    /// How much worse is tolerated, in the same unit, positive.
    pub margin: f64,
    /// Lower bound for `ok`, upper bound for `tripped`.
    pub interval: Interval,
    /// "Worse than the margin" is excluded.
    pub inside: bool,
    /// "No worse than before" is excluded.
    pub worse: bool,
    /// Units of the treatment.
    pub units: f64,
}

/// The raw finding; stored state and latch are applied by [`super::settle`].
pub fn judge(evidence: &MarginEvidence) -> Seen {
    let beyond = round12(evidence.estimate) <= round12(-evidence.margin);
    let state = if beyond && evidence.worse {
        GuardrailState::Tripped
    } else if evidence.inside {
        GuardrailState::Ok
    } else {
        GuardrailState::Unproven
    };
    Seen {
        value: Some(evidence.estimate),
        limit: Some(-evidence.margin),
        interval: Some(evidence.interval),
        total: Some(evidence.units),
        ..Seen::state(state)
    }
}
