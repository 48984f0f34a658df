//! What only time and the whole portfolio can show: the alarms of product.md 4.6 that no look sees.
//!
//! A function of the instant, the experiments as stored, the log and the rules. The daemon runs it
//! at its own slots and keeps what is on ([`step()`]): raised once, since kept, cleared once.
//! Place in the line: beside it; it reads lives, logs and finished records and decides nothing.

mod experiment;
mod history;
mod portfolio;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::history::{
    Finished, KillRow, ProxyRow, discredited, finished, kill_list, kill_sentence, proxies,
    proxy_sentence,
};
pub use self::portfolio::portfolio_cycles;
pub use self::step::{Kept, Step, step};

use crate::analyse::GuardrailStatus;
use crate::decide::Alarm;
use crate::lifecycle::LifeState;
use crate::spec::Experiment;
use crate::time::{Span, Timestamp};

/// The experiment id under which alarms of the whole portfolio are kept.
pub const PORTFOLIO: &str = "";

/// One experiment as it is stored.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The revision in force.
    pub experiment: Experiment,
    /// Where it stands.
    pub life: LifeState,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// Stored guardrail states.
    pub guardrails: Vec<GuardrailStatus>,
    /// Its log entries, any order, at least those of the rules' reach.
    pub log: Vec<Act>,
}

/// One entry of the decision log, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When (domain time).
    pub at: Timestamp,
    /// `verdict`, `confirm`, `stop`, `reviewed`, `audited`, `revision`, ...
    pub kind: String,
    /// A person did it.
    pub by_person: bool,
    /// `stop: futile`, for verdicts.
    pub verdict: Option<String>,
}

/// How the portfolio is watched.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Names that can authenticate at this daemon.
    pub identities: Vec<String>,
    /// Starts of the portfolio cycles around now, ascending: the one before the last, the last,
    /// the present one.
    pub cycles: [Timestamp; 3],
    /// A definition must be audited this often.
    pub audit_every: Span,
    /// A review may be written down this long after its date.
    pub review_grace: Span,
    /// A guardrail must have been evaluated once after this long.
    pub guardrail_grace: Span,
}

/// An alarm with the experiment it belongs to ([`PORTFOLIO`] for all of them).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Experiment id.
    pub experiment: String,
    /// The alarm.
    pub alarm: Alarm,
}

/// Everything that is on at this instant, by experiment and key.
pub fn alarms(
    watched: &[Watched],
    history: &[ProxyRow],
    rules: &Rules,
    at: Timestamp,
) -> Vec<Found> {
    let mut found = BTreeMap::new();
    let mut put = |experiment: &str, alarm: Alarm| {
        let place = (experiment.to_owned(), alarm.key());
        found.insert(place, Found { experiment: experiment.to_owned(), alarm });
    };
    for one in watched {
        for alarm in experiment::alarms(one, rules, at) {
            put(&one.experiment.id, alarm);
        }
    }
    for alarm in portfolio::alarms(watched, rules, at) {
        put(PORTFOLIO, alarm);
    }
    for alarm in history.iter().filter_map(history::alarm) {
        put(PORTFOLIO, alarm);
    }
    found.into_values().collect()
}
