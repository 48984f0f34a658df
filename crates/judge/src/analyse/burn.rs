//! An error budget as one look found it: what is left, how fast it goes, which alerts are on.
//!
//! Part of the stored guardrail status, so that the clocks of every alert survive a restart.
//! Burn rates are error ratios over the budget; unmeasured time counts as time without errors.

use serde::{Deserialize, Serialize};

use crate::spec::BurnSeverity;
use crate::time::{Span, Timestamp, Window};

/// One budget with its alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnStatus {
    /// The period the budget runs over: a rolling one ends at the newest data, a lifetime at the
    /// checkpoint.
    pub period: Window,
    /// Share of the period that was measured.
    pub measured: f64,
    /// Burn rate now, over the shortest long window; of a lifetime over its newest day.
    pub burn: f64,
    /// When nothing is left if it goes on like this; `None` when it will not come to that within
    /// the period.
    pub exhausted_at: Option<Timestamp>,
    /// What would trip it: the nearest page; of a lifetime so many bad events among all so far.
    pub trips_at: Option<TripsAt>,
    /// Every alert, in the order of the file or table; a lifetime has none.
    pub alerts: Vec<BurnAlert>,
    /// The absolute rule `or_bad`: bad events within its window, at the newest look.
    pub bad_within: Option<f64>,
}

impl BurnStatus {
    /// Whether it has alerts that page and none of them can ever be judged: the source's periods
    /// are longer than their windows, and a spent budget trips in their place.
    pub fn pages_are_blind(&self) -> bool {
        let mut pages = self.alerts.iter().filter(|alert| alert.severity == BurnSeverity::Page);
        let first = pages.next();
        first.is_some_and(|alert| alert.finding == BurnFinding::TooCoarse)
            && pages.all(|alert| alert.finding == BurnFinding::TooCoarse)
    }
}

/// How many bad events would trip, at the present traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TripsAt {
    /// Bad events within the window now.
    pub bad: f64,
    /// As many would trip.
    pub needed: f64,
    /// The window.
    pub within: Span,
}

/// One alert and its clocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BurnAlert {
    /// Page (trips) or ticket (burns).
    pub severity: BurnSeverity,
    /// The burn rate to exceed on both windows.
    pub factor: f64,
    /// Long window.
    pub long: BurnWindow,
    /// Short window.
    pub short: BurnWindow,
    /// What this look's data say, before any clock.
    pub finding: BurnFinding,
    /// On, after `for` and `keep_firing_for`.
    pub firing: bool,
    /// Pending its `for` since.
    pub pending_since: Option<Timestamp>,
    /// Ended but kept on since.
    pub clearing_since: Option<Timestamp>,
}

/// One window of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BurnWindow {
    /// Its length; a short window that held too few events reaches further back than the file says.
    pub span: Span,
    /// Share of it that was measured.
    pub measured: f64,
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub total: f64,
    /// Burn rate.
    pub burn: f64,
    /// Exact one-sided p of "the burn rate is at most the factor"; 1 without events.
    pub p: f64,
}

/// What the data of one look say about one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnFinding {
    /// Above the factor on both windows, and not by chance.
    Burning,
    /// Above the factor on both windows, but as few events could do that by chance.
    Unproven,
    /// At or below the factor on one of them.
    Calm,
    /// Too few events to say.
    TooFewEvents,
    /// Too little of the short window was measured.
    NotCovered,
    /// The source's periods are longer than the long window.
    TooCoarse,
}

impl BurnFinding {
    /// Whether the look could say anything: else the alert's state and clocks are frozen.
    pub fn is_known(self) -> bool {
        matches!(self, Self::Burning | Self::Unproven | Self::Calm)
    }
}
