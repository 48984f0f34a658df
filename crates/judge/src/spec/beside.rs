//! Counts that stand beside the signals: who saw more than one arm, and who could have been there.
//!
//! Nothing is judged by them alone, so they are no signals of the file. They are asked, stored and
//! matured like signals all the same: [`Experiment::beside`] gives each the shape of one.

use serde::{Deserialize, Serialize};

use super::model::{Compare, Experiment, Form, Query, Role, Signal, Want};
use crate::time::Span;

/// The name of the count of units in more than one arm; no signal can have it.
pub const MULTIPLE_EXPOSURE: &str = "compare.multiple_exposure";

/// Share of units in more than one arm that is too much (statistics 1.9; GrowthBook).
pub const MIXED_AT_MOST: f64 = 0.01;

/// `compare: {multiple_exposure: {source: .., query: .., at_most: 1%}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultipleExposure {
    /// Source name.
    pub source: String,
    /// Columns `mixed` (units seen in more than one arm) of `units`, counted at their first
    /// exposure.
    pub query: Query,
    /// The share that is tolerated (default [`MIXED_AT_MOST`]).
    pub at_most: f64,
}

/// `eligible: {source: .., query: ..}` of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eligible {
    /// Source name.
    pub source: String,
    /// Column `units`: those that the signal could have counted, by period (and arm).
    pub query: Query,
    /// Share of them that was counted before the change, where the baseline is stated.
    pub coverage: Option<f64>,
}

/// Which count it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BesideKind {
    /// `mixed` of `units`.
    MultipleExposure,
    /// `units` that could have been counted.
    Eligible,
}

/// A count beside the signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// Which.
    pub kind: BesideKind,
    /// The count as if it were a signal.
    pub signal: Signal,
}

/// The name of a signal's eligible units.
pub fn eligible_of(signal: &str) -> String {
    format!("signals.{signal}.eligible")
}

impl Experiment {
    /// How many units may be seen in more than one arm, if the file asks.
    pub fn multiple_exposure(&self) -> Option<&MultipleExposure> {
        match &self.compare {
            Compare::Arms { multiple_exposure, .. } => multiple_exposure.as_deref(),
            Compare::Baseline | Compare::BeforeAfter { .. } => None,
        }
    }

    /// Every count beside the signals.
    pub fn beside(&self) -> Vec<Beside> {
        let mixed = self.multiple_exposure().map(|asked| Beside {
            kind: BesideKind::MultipleExposure,
            signal: Signal {
                compare: Some(Compare::Baseline),
                ..count(MULTIPLE_EXPOSURE.to_owned(), &asked.source, &asked.query)
            },
        });
        let eligible = self.signals.iter().filter_map(|signal| {
            let asked = signal.eligible.as_deref()?;
            Some(Beside {
                kind: BesideKind::Eligible,
                // The same periods in the same windows as the signal's own units.
                signal: Signal {
                    from: signal.from,
                    matures_after: signal.matures_after,
                    grain: signal.grain,
                    compare: signal.compare.clone(),
                    ..count(eligible_of(&signal.name), &asked.source, &asked.query)
                },
            })
        });
        mixed.into_iter().chain(eligible).collect()
    }
}

fn count(name: String, source: &str, query: &Query) -> Signal {
    Signal {
        name,
        role: Role::Guardrail,
        form: Form::Proportion,
        want: Want::Down,
        unit: None,
        from: None,
        min_effect: None,
        harm_margin: 0.0,
        min_n: None,
        matures_after: Span::ZERO,
        grain: None,
        compare: None,
        method: None,
        source: source.to_owned(),
        query: query.clone(),
        eligible: None,
    }
}
