//! What an `slo` guardrail says: objective, budget period, burn-rate alerts, and whom it measures.
//!
//! Part of the model; built by `parse` only. Shares are fractions, factors are burn rates (an error
//! ratio over the budget), windows are spans. Invariants: `0 < objective < 1`; a lifetime budget
//! has no burn rules, every other has at least one alert; `short < long <= period`; every factor
//! times the budget is below 1, so that every alert can fire; a page has a factor above 1, so that
//! a service within its objective is never stopped.

use serde::{Deserialize, Serialize};

use super::model::Query;
use crate::time::Span;

/// `slo: {objective: 99.9%, bad: .., total: .., budget: {rolling: 28d}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Share of good events, e.g. 0.999.
    pub objective: f64,
    /// Source name.
    pub source: String,
    /// Columns `bad` and `total`.
    pub query: Query,
    /// The same of the control cohort, from the same source: a breach there is said too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Query>,
    /// Whether the treatment cohort or the whole service is measured.
    pub scope: SloScope,
    /// Over which period the budget runs.
    pub budget: BudgetPeriod,
    /// How a rolling or calendar budget is watched; `None` for a lifetime budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<BurnRules>,
    /// Length of a slice where slices of time are counted instead of events: the guardrail's
    /// rhythm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Span>,
}

impl Slo {
    /// The error budget `1 - objective` as the decimal that was meant: 99.9 % leaves 0.001 exactly,
    /// not 0.0010000000000000009.
    pub fn error_budget(&self) -> f64 {
        let budget = 1.0 - self.objective;
        format!("{budget:.12}").parse().unwrap_or(budget)
    }

    /// Length of one period of its counts: a look's own rhythm in PromQL, which is asked at
    /// instants (30 s unless `every` says otherwise); a day in an export or a warehouse.
    pub fn grain(&self, every: Option<Span>) -> Span {
        let is_promql = self.query.file.is_none() && self.query.sql.is_none();
        if is_promql { every.unwrap_or(Span::seconds(30)) } else { COUNTED_GRAIN }
    }

    /// Whether an alert that pages can see anything in periods of that length.
    pub fn pages_see(&self, grain: Span) -> bool {
        self.burn.as_ref().is_some_and(|rules| rules.pages_see(grain))
    }

    /// How far back any of its windows reaches; `None` for a lifetime budget.
    pub fn reach(&self) -> Option<Span> {
        self.burn.as_ref()?;
        let longest_period = match self.budget {
            BudgetPeriod::Lifetime => return None,
            BudgetPeriod::Rolling(span) => span,
            // The longest there is, with a clock change.
            BudgetPeriod::Calendar(CalendarUnit::Week) => Span::days(8),
            BudgetPeriod::Calendar(CalendarUnit::Month) => Span::days(32),
            BudgetPeriod::Calendar(CalendarUnit::Quarter) => Span::days(93),
        };
        self.alert_reach().max(Some(longest_period))
    }

    /// How far back the longest window of its alerts reaches: what a trip stands on.
    pub fn alert_reach(&self) -> Option<Span> {
        let rules = self.burn.as_ref()?;
        let windows = rules.alerts.iter().map(|alert| alert.long);
        windows.chain(rules.or_bad.map(|rule| rule.within)).max()
    }
}

/// Length of one period of counts that are not asked in PromQL.
pub const COUNTED_GRAIN: Span = Span::days(1);

/// A burn rate or factor to read, not to compute with: so many decimals, without trailing zeros.
pub fn rate_text(rate: f64, decimals: usize) -> String {
    let text = format!("{rate:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What an SLO measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SloScope {
    /// The treatment cohort.
    Treatment,
    /// The whole service, which has a history before the experiment.
    Service,
}

/// Over which period an error budget runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// From the cycle's start.
    Lifetime,
    /// The newest stretch of this length.
    Rolling(Span),
    /// The calendar period around the look, in the experiment's time zone.
    Calendar(CalendarUnit),
}

/// A calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From Monday.
    Week,
    /// From the 1st.
    Month,
    /// From the 1st of January, April, July or October.
    Quarter,
}

impl BudgetPeriod {
    /// The length that burn factors are computed with; `None` for a lifetime. A month counts 30
    /// days and a quarter 90, so that a factor does not depend on the month.
    pub fn nominal(self) -> Option<Span> {
        match self {
            Self::Lifetime => None,
            Self::Rolling(span) => Some(span),
            Self::Calendar(CalendarUnit::Week) => Some(Span::days(7)),
            Self::Calendar(CalendarUnit::Month) => Some(Span::days(30)),
            Self::Calendar(CalendarUnit::Quarter) => Some(Span::days(90)),
        }
    }
}

/// How a rolling or calendar budget is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnRules {
    /// The alerts, as in the file or the table it names.
    pub alerts: Vec<BurnRule>,
    /// Events a window needs before it says anything.
    pub min_events: f64,
    /// Share of the short window that must have been measured.
    pub min_coverage: f64,
    /// The absolute rule: this many bad events are too many, whatever the traffic.
    pub or_bad: Option<BadCount>,
}

impl BurnRules {
    /// Whether an alert that pages has windows at least as long as one period of the counts. Where
    /// none has, a spent budget trips in their place.
    pub fn pages_see(&self, grain: Span) -> bool {
        self.alerts.iter().any(|rule| rule.severity == BurnSeverity::Page && rule.long >= grain)
    }
}

/// Fires when the burn rate over both windows is above the factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnRule {
    /// What it does.
    pub severity: BurnSeverity,
    /// The burn rate that must be exceeded.
    pub factor: f64,
    /// Long window: enough of the budget is gone.
    pub long: Span,
    /// Short window: it is still going.
    pub short: Span,
    /// It must hold this long before it fires.
    pub hold_for: Span,
}

impl BurnRule {
    /// Whether its rate is one that breaks the objective; at a burn rate of 1 it is just kept.
    pub fn is_beyond_budget(&self) -> bool {
        // Shares of a period are no exact numbers: 5 % x 120 h / 6 h is 1.
        self.factor > 1.0 + 1e-9
    }
}

/// What a burn-rate alert does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnSeverity {
    /// The guardrail trips.
    Page,
    /// The guardrail burns: told, nothing is stopped.
    Ticket,
}

/// `or_bad: {at_least: 20, within: 6h}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BadCount {
    /// This many bad events trip.
    pub at_least: f64,
    /// Counted over the newest stretch of this length.
    pub within: Span,
}
