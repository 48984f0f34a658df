//! The watch of a case: the alarms of product.md 4.6 that only time and the portfolio can show.
//!
//! A case with a `watch` is a portfolio of one: at every slot (00:00 UTC, a day apart) the same
//! [`watch::alarms`] and [`watch::step`] run that the daemon runs, with its default rules, and what
//! came and what went is a line. `finished` are cycles of earlier experiments, for the alarm about
//! proxies; cycles of the case itself count with them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::CASE_FILE;
use super::timeline::name_of;
use crate::analyse::GuardrailStatus;
use crate::decide::Alarm;
use crate::lifecycle::{HumanDecision, LifeState, is_final};
use crate::notice::verdict_text;
use crate::prose::alarm_told;
use crate::record::EvaluationRecord;
use crate::spec::Experiment;
use crate::stats::proxy_validity::Pair;
use crate::time::{Span, Timestamp, add_ms, aligned_slot};
use crate::watch::{self, Act, Finished, Kept, Rules, Watched};

/// Rhythm of the watch in a case.
const EVERY: Span = Span::days(1);
/// `alarms.audit_every_days` and both graces, as the daemon has them by default.
const AUDIT_EVERY: Span = Span::days(91);
const GRACE: Span = Span::hours(24);

/// `watch` in `case.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWatch {
    /// Names that can authenticate at the daemon.
    #[serde(default)]
    identities: Vec<String>,
    /// Finished cycles of earlier experiments.
    #[serde(default)]
    finished: Vec<RawFinished>,
}

/// One pair of a finished cycle; effects in units of the wanted change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFinished {
    proxy: String,
    outcome: String,
    /// `EFFECT SE` of the proxy, then of the outcome.
    effects: String,
    /// How many cycles came to this.
    #[serde(default)]
    times: Option<String>,
    /// `moved`, `followed` (moved, and the outcome followed) or `still`.
    was: String,
}

/// What the watch reads beside the experiment.
#[derive(Debug)]
pub(super) struct WatchRules {
    identities: Vec<String>,
    finished: Vec<Finished>,
}

/// Reads it; the error is for people.
pub(super) fn read(raw: &RawWatch) -> Result<WatchRules, String> {
    let mut finished = Vec::new();
    for one in &raw.finished {
        let times = one.times.as_deref().unwrap_or("1");
        let times: usize = times
            .parse()
            .map_err(|_| format!("{CASE_FILE}: `times: {times}` is no whole number"))?;
        let pair = pair(one)?;
        for _ in 0..times.min(1_000) {
            finished.push(Finished {
                proxy: one.proxy.clone(),
                outcome: one.outcome.clone(),
                experiment: format!("earlier-{}#1", finished.len() + 1),
                pair,
            });
        }
    }
    Ok(WatchRules { identities: raw.identities.clone(), finished })
}

fn pair(one: &RawFinished) -> Result<Pair, String> {
    let wrong = || {
        format!(
            "{CASE_FILE}: `effects: {}` is not four numbers: effect and standard error of proxy \
             and outcome",
            one.effects
        )
    };
    let numbers: Result<Vec<f64>, _> = one.effects.split_whitespace().map(str::parse).collect();
    let numbers: [f64; 4] = numbers.ok().and_then(|all| all.try_into().ok()).ok_or_else(wrong)?;
    let [proxy, proxy_se, outcome, outcome_se] = numbers;
    let (moved, hit) = match one.was.as_str() {
        "moved" => (true, false),
        "followed" => (true, true),
        "still" => (false, false),
        other => {
            return Err(format!(
                "{CASE_FILE}: `was: {other}` is not one of moved, followed, still"
            ));
        }
    };
    Ok(Pair { proxy, proxy_se, outcome, outcome_se, moved, hit })
}

/// The watch while a case is played.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    rules: &'a WatchRules,
    /// What people and the judge did so far.
    log: Vec<Act>,
    finished: Vec<Finished>,
    open: Vec<Kept>,
    /// Everything that was ever raised.
    pub(super) raised: Vec<Alarm>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(rules: &'a WatchRules) -> Self {
        let finished = rules.finished.clone();
        Self { rules, log: Vec::new(), finished, open: Vec::new(), raised: Vec::new() }
    }

    /// The first slot after `now`.
    pub(super) fn next(now: Timestamp) -> Timestamp {
        add_ms(aligned_slot(now, EVERY, 0), EVERY.ms)
    }

    /// Whether `now` is a slot.
    pub(super) fn is_due(now: Timestamp) -> bool {
        aligned_slot(now, EVERY, 0) == now
    }

    /// A person decided.
    pub(super) fn decided(&mut self, decision: &HumanDecision, at: Timestamp) {
        self.act(at, &name_of(&decision.action), true, None);
    }

    /// A person did something else: `acknowledged`, `revision`.
    pub(super) fn act(&mut self, at: Timestamp, kind: &str, by_person: bool, said: Option<String>) {
        self.log.push(Act { at, kind: kind.to_owned(), by_person, verdict: said });
    }

    /// The judge decided.
    pub(super) fn judged(&mut self, record: &EvaluationRecord) {
        let decision = &record.decision;
        if is_final(decision.verdict) {
            let said = verdict_text(decision.verdict, decision.cause);
            self.act(record.input.at, "verdict", false, Some(said));
        }
        self.finished.extend(watch::finished(record));
    }

    /// One slot: the lines about what came and what went.
    pub(super) fn slot(
        &mut self,
        experiment: &Experiment,
        life: &LifeState,
        first_seen_at: Timestamp,
        guardrails: Vec<GuardrailStatus>,
        at: Timestamp,
    ) -> Vec<String> {
        let rules = Rules {
            identities: self.rules.identities.clone(),
            cycles: watch::portfolio_cycles(at, 0, &experiment.timezone),
            audit_every: AUDIT_EVERY,
            review_grace: GRACE,
            guardrail_grace: GRACE,
        };
        let one = Watched {
            experiment: experiment.clone(),
            life: life.clone(),
            first_seen_at,
            guardrails,
            log: self.log.clone(),
        };
        let proxies = watch::proxies(&self.finished);
        let found = watch::alarms(&[one], &proxies, &rules, at);
        let step = watch::step(&self.open, found, &BTreeSet::new(), at);
        let came = step
            .raised
            .iter()
            .map(|kept| format!("says alarm.raised {}: {}", kept.key, alarm_told(&kept.alarm)));
        let went = step.cleared.iter().map(|kept| format!("says alarm.cleared {}", kept.key));
        let lines = came.chain(went).collect();
        self.raised.extend(step.raised.iter().map(|kept| kept.alarm.clone()));
        self.open = step.raised.into_iter().chain(step.kept).collect();
        lines
    }
}
