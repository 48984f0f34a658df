//! What an OpenSLO v1 file comes to: one [`ImportedSlo`] per SLO and objective.
//!
//! The reader is `parse::openslo`. Everything is already in our terms: bad and total as PromQL
//! over one period, the objective as a fraction, burn-rate windows in pairs. What was read in
//! another way than it is written stands in `notes`.

use serde::Serialize;

use super::diagnostic::Diagnostic;
use super::slo::{BudgetPeriod, BurnRule};
use crate::time::Span;

/// A whole OpenSLO file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OpenSlo {
    /// In file order; an SLO with several objectives comes to several.
    pub slos: Vec<ImportedSlo>,
    /// Everything that is wrong or read differently, by position.
    pub diagnostics: Vec<Diagnostic>,
}

/// One objective of one SLO.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportedSlo {
    /// `metadata.name` of the SLO.
    pub name: String,
    /// `displayName` of the objective, if it has one.
    pub objective_name: Option<String>,
    /// The service it belongs to.
    pub service: Option<String>,
    /// Share of good events (or slices), in (0, 1).
    pub objective: f64,
    /// What an event is.
    pub method: SloMethod,
    /// Over which period the budget runs; the experiment's lifetime when the file names none.
    pub budget: BudgetPeriod,
    /// IANA zone of a calendar period.
    pub timezone: Option<String>,
    /// Bad events of one period, as PromQL.
    pub bad: String,
    /// All events of one period, as PromQL.
    pub total: String,
    /// `metricSourceRef` of the indicator.
    pub source_ref: Option<String>,
    /// Kind of the source, lower case (`prometheus`).
    pub source_kind: Option<String>,
    /// Burn-rate alerts of its alert policies.
    pub alerts: Vec<ImportedAlert>,
    /// What was read in another way than it may be meant.
    pub notes: Vec<String>,
}

impl ImportedSlo {
    /// `checkout-availability`, or `checkout-availability/fast` where objectives have names.
    pub fn label(&self) -> String {
        match &self.objective_name {
            Some(objective) => format!("{}/{objective}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether a reader may mean this one by that name.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.objective_name.as_deref() == Some(name) || self.label() == name
    }
}

/// What the objective counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SloMethod {
    /// Events.
    Occurrences,
    /// Slices of time, each good or bad as a whole.
    Timeslices {
        /// Length of one slice.
        slice: Span,
    },
}

/// One burn-rate alert of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportedAlert {
    /// In our terms.
    #[serde(flatten)]
    pub rule: BurnRule,
    /// The severity as written.
    pub written: Option<String>,
    /// The alert policy.
    pub policy: String,
}
