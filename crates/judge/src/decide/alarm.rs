//! An alarm of product.md 4.6: which, why, its numbers, since when, and what clears it.
//!
//! Looks raise the alarms that a look can see, `watch` those that only time or the portfolio can
//! show; both use this one type. `since` is the first instant of the stretch in which it is on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Alarm names of product.md 4.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A proxy moved and no outcome did.
    ProxyWithoutOutcome,
    /// Over finished experiments the proxy predicts nothing.
    ProxyDoesNotPredict,
    /// The ratio rose for the wrong reason.
    Theatre,
    /// The split differs from the plan.
    Srm,
    /// Too many units saw more than one arm.
    MultipleExposure,
    /// A definition changed while running.
    DefinitionChanged,
    /// Data are older than allowed.
    Stale,
    /// A source is down.
    SourceDown,
    /// Nobody decides or finishes.
    Purgatory,
    /// Two portfolio cycles without one stop.
    #[serde(rename = "thrash.no_kills")]
    NoKills,
    /// Two portfolio cycles without one declared deviation.
    #[serde(rename = "thrash.no_deviation")]
    NoDeviation,
    /// A review date passed and nobody decided about what was waiting.
    #[serde(rename = "thrash.status_only")]
    StatusOnly,
    /// Nobody can stop it, or a stop does nothing.
    Toothless,
    /// A guardrail that was never evaluated.
    GuardrailNeverEvaluated,
    /// A review was missed.
    OverdueReview,
    /// Definitions that nobody audited for a quarter.
    OverdueAudit,
}

impl AlarmKind {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProxyWithoutOutcome => "proxy_without_outcome",
            Self::ProxyDoesNotPredict => "proxy_does_not_predict",
            Self::Theatre => "theatre",
            Self::Srm => "srm",
            Self::MultipleExposure => "multiple_exposure",
            Self::DefinitionChanged => "definition_changed",
            Self::Stale => "stale",
            Self::SourceDown => "source_down",
            Self::Purgatory => "purgatory",
            Self::NoKills => "thrash.no_kills",
            Self::NoDeviation => "thrash.no_deviation",
            Self::StatusOnly => "thrash.status_only",
            Self::Toothless => "toothless",
            Self::GuardrailNeverEvaluated => "guardrail_never_evaluated",
            Self::OverdueReview => "overdue_review",
            Self::OverdueAudit => "overdue_audit",
        }
    }
}

/// Which form of an alarm it is, where a kind has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmCause {
    /// `theatre`: half of the ratio's change or more is its denominator's.
    DenominatorDriven,
    /// `theatre`: numerator up while the denominator fell by more than 5 %.
    NumeratorUpDenominatorDown,
    /// `theatre`: the ratio rose and its numerator did not.
    EmptyWin,
    /// `theatre`: the denominator fell by more than the implicit 5 %.
    DenominatorFell,
    /// `theatre`: a smaller part of the eligible units is counted.
    CohortNarrowed,
    /// `purgatory`: the owner has no name or no contact.
    OwnerUnclear,
    /// `purgatory`: no rule says when it is continued, so nothing can graduate or kill it.
    NoCriterion,
    /// `purgatory`: no aim names what users should do.
    NoBehaviour,
    /// `purgatory`: past its `by`, or one interval past its checkpoint without a verdict.
    PastCycle,
    /// `purgatory`: nobody is named who makes it the default.
    NoOpsPath,
    /// `purgatory`: a new mechanism is awaited.
    AwaitingRevision,
    /// `purgatory`: it graduated and nobody said that the default is updated.
    DefaultNotUpdated,
}

/// How loud an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmSeverity {
    /// Lower: suspected.
    Suspected,
    /// Confirmed.
    Confirmed,
}

/// An alarm with its numbers, since when, and what clears it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which.
    pub kind: AlarmKind,
    /// Which form of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<AlarmCause>,
    /// How sure.
    pub severity: AlarmSeverity,
    /// Signal, guardrail, source or pair of signals it is about.
    pub subject: String,
    /// First instant of the stretch in which it is on; unknown in records of older writers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Named numbers (`proxy_change`, `outcome_upper`, `min_effect`, ...).
    pub numbers: BTreeMap<String, f64>,
    /// Why, in words, where no number says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What clears it, in words.
    pub clears: String,
    /// When it will be knowable, for suspected ones.
    pub knowable_at: Option<Timestamp>,
}

impl Alarm {
    /// A confirmed alarm without numbers.
    pub fn new(kind: AlarmKind, subject: &str, clears: &str) -> Self {
        Self {
            kind,
            cause: None,
            severity: AlarmSeverity::Confirmed,
            subject: subject.to_owned(),
            since: None,
            numbers: BTreeMap::new(),
            why: None,
            clears: clears.to_owned(),
            knowable_at: None,
        }
    }

    /// Which form it has.
    #[must_use]
    pub fn because(mut self, cause: AlarmCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// On since then.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// One more number.
    #[must_use]
    pub fn number(mut self, name: &str, value: f64) -> Self {
        self.numbers.insert(name.to_owned(), value);
        self
    }

    /// What makes it the same alarm from look to look: kind and subject, for `purgatory` its smell
    /// too. Of `proxy_without_outcome` an experiment has one, whichever proxy is named.
    pub fn key(&self) -> String {
        let mut key = self.kind.as_str().to_owned();
        if let Some(cause) = self.cause.filter(|_| self.kind == AlarmKind::Purgatory) {
            let cause = serde_json::to_value(cause).unwrap_or_default();
            key.push('.');
            key.push_str(cause.as_str().unwrap_or_default());
        }
        if self.kind != AlarmKind::ProxyWithoutOutcome && !self.subject.is_empty() {
            key.push(':');
            key.push_str(&self.subject);
        }
        key
    }
}
