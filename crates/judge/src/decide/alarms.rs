//! Alarms of product.md 4.6 that one look can see, each with its numbers and what clears it.
//!
//! Since when an alarm is on is not known to one look: the store keeps it in
//! [`crate::notice::LastSaid`].

use std::collections::BTreeMap;

use crate::analyse::{GuardrailState, SignalState, SignalView};
use crate::observe::Observation;
use crate::spec::{Experiment, OnTrip, Role};
use crate::time::{Timestamp, add_ms, ms_between};

use super::facts::Facts;
use super::{Alarm, AlarmKind, AlarmSeverity};

/// Below this share of the planned information a silent outcome is no alarm.
const HALF: f64 = 0.5;

/// Every alarm of the look, loudest subject matter first.
pub(super) fn alarms(facts: &Facts<'_>) -> Vec<Alarm> {
    let mut found = Vec::new();
    found.extend(srm(facts));
    found.extend(proxy_without_outcome(facts));
    found.extend(definition_changed(facts));
    found.extend(stale(facts));
    found.extend(past_cycle(facts));
    found
}

/// `proxy_without_outcome`: "a proxy moved (`met`, `moving`, `short`, or its level `met`) and all
/// outcomes, matured, are `flat` (*confirmed*); or none moved although at least half of the
/// planned information is in (*suspected*). Earlier: no alarm".
fn proxy_without_outcome(facts: &Facts<'_>) -> Option<Alarm> {
    let proxy = facts.with_role(Role::Proxy).find(|signal| has_moved(signal.state))?;
    let outcomes: Vec<_> = facts.with_role(Role::Outcome).collect();
    let all = |wanted: fn(SignalState) -> bool| {
        !outcomes.is_empty() && outcomes.iter().all(|signal| wanted(signal.state))
    };
    // Flat or worse: either way the interval excludes every meaningful effect (1.11: U < m0).
    let excluded = |state| matches!(state, SignalState::Flat | SignalState::Harm);
    let severity = if all(excluded) {
        AlarmSeverity::Confirmed
    } else if all(is_judged_unmoved) && facts.analysis.progress.is_some_and(|p| p >= HALF) {
        AlarmSeverity::Suspected
    } else {
        return None;
    };
    let knowable_at = (severity == AlarmSeverity::Suspected).then(|| knowable_at(facts, &outcomes));
    Some(Alarm {
        kind: AlarmKind::ProxyWithoutOutcome,
        severity,
        subject: proxy.name.clone(),
        numbers: movement_numbers(facts, proxy, &outcomes),
        clears: "an outcome that moves, or a new mechanism".to_owned(),
        knowable_at: knowable_at.flatten(),
    })
}

fn has_moved(state: SignalState) -> bool {
    matches!(state, SignalState::Met | SignalState::Moving | SignalState::Short)
}

fn is_judged_unmoved(state: SignalState) -> bool {
    matches!(state, SignalState::Flat | SignalState::Inconclusive | SignalState::Harm)
}

fn movement_numbers(
    facts: &Facts<'_>,
    proxy: &SignalView,
    outcomes: &[&SignalView],
) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    if let Some(evidence) = &proxy.evidence {
        numbers.insert("proxy_change".to_owned(), evidence.estimate);
    }
    if let Some(level) = proxy.evidence.as_ref().and_then(|evidence| evidence.level) {
        numbers.insert("proxy_level".to_owned(), level);
    }
    for outcome in outcomes {
        let mut put = |what: &str, value: f64| {
            numbers.insert(format!("{}.{what}", outcome.name), value);
        };
        if let Some(evidence) = &outcome.evidence {
            put("change", evidence.estimate);
            put("lower", evidence.interval.lo);
            put("upper", evidence.interval.hi);
        }
        let signal = facts.input.experiment.signal(&outcome.name);
        let least = signal.and_then(|signal| signal.min_effect).or(outcome.threshold);
        if let Some(least) = least {
            put("min_effect", least);
        }
    }
    if let Some(progress) = facts.analysis.progress {
        numbers.insert("progress".to_owned(), progress);
    }
    numbers
}

/// When the planned information will be in at the rate so far, over the slowest outcome; the
/// checkpoint once it is all in.
fn knowable_at(facts: &Facts<'_>, outcomes: &[&SignalView]) -> Option<Timestamp> {
    let progress = facts.analysis.progress?;
    let checkpoint = facts.input.cycle.checkpoint_at;
    if progress >= 1.0 {
        return Some(checkpoint.max(facts.input.at));
    }
    let instants = outcomes.iter().filter_map(|outcome| {
        let matures_after = facts.input.experiment.signal(&outcome.name)?.matures_after;
        let observation = facts.input.observations.get(&outcome.name)?;
        let Observation::Ok(observed) = observation else {
            return None;
        };
        let counted = ms_between(observed.window.start, observed.data_as_of) as f64;
        let ahead = counted / progress * (1.0 - progress) + matures_after.ms as f64;
        Some(add_ms(observed.data_as_of, ahead as i64))
    });
    instants.max().or(Some(checkpoint))
}

/// `srm`: "observed split differs from the planned one. Clears by acknowledgement and a new
/// allocation epoch".
fn srm(facts: &Facts<'_>) -> Option<Alarm> {
    let split = facts.analysis.split.as_ref().filter(|split| split.mismatch)?;
    let counts = split.counts.iter().map(|(arm, count)| (format!("units.{arm}"), *count));
    let numbers = counts.chain([("p".to_owned(), split.p_seq)]).collect();
    Some(Alarm {
        kind: AlarmKind::Srm,
        severity: AlarmSeverity::Confirmed,
        subject: String::new(),
        numbers,
        clears: "an acknowledgement and a new allocation epoch".to_owned(),
        knowable_at: None,
    })
}

/// `definition_changed`: "query, source, filter, zone or lateness of a signal changed while
/// running; waits for an acknowledgement".
fn definition_changed(facts: &Facts<'_>) -> Vec<Alarm> {
    let changed = facts.input.unacknowledged.iter();
    changed
        .map(|signal| Alarm {
            kind: AlarmKind::DefinitionChanged,
            severity: AlarmSeverity::Confirmed,
            subject: signal.clone(),
            numbers: BTreeMap::new(),
            clears: "an acknowledgement".to_owned(),
            knowable_at: None,
        })
        .collect()
}

/// `stale`: data that could not be had at this look, by signal and by guardrail.
fn stale(facts: &Facts<'_>) -> Vec<Alarm> {
    let signals = facts.analysis.signals.iter().filter(|signal| facts.is_missing(&signal.name));
    let signals = signals.map(|signal| (signal.name.clone(), facts.missing_since(&signal.name)));
    let missing = [GuardrailState::NoData, GuardrailState::SourceError];
    let guardrails = facts.analysis.guardrails.iter();
    let guardrails = guardrails
        .filter(|status| missing.contains(&status.state))
        .map(|status| (status.name.clone(), status.since));
    signals.chain(guardrails).map(|(name, since)| stale_alarm(facts, name, since)).collect()
}

fn stale_alarm(facts: &Facts<'_>, subject: String, since: Option<Timestamp>) -> Alarm {
    let age = since.map(|since| ms_between(since, facts.input.at) as f64 / 1000.0);
    Alarm {
        kind: AlarmKind::Stale,
        severity: AlarmSeverity::Confirmed,
        subject,
        numbers: age.map(|age| ("age_seconds".to_owned(), age)).into_iter().collect(),
        clears: "fresh data".to_owned(),
        knowable_at: None,
    }
}

/// `purgatory`, the smell that a look can see: "past one cycle", that is past `by`.
fn past_cycle(facts: &Facts<'_>) -> Option<Alarm> {
    let by = facts.past_by()?;
    let days = ms_between(by, facts.input.at) as f64 / crate::time::DAY_MS as f64;
    Some(Alarm {
        kind: AlarmKind::Purgatory,
        severity: AlarmSeverity::Suspected,
        subject: String::new(),
        numbers: BTreeMap::from([("days_past_by".to_owned(), days)]),
        clears: "a final verdict".to_owned(),
        knowable_at: None,
    })
}

/// `toothless`, a check when a file is loaded: "running with nobody in `can_stop` who can
/// authenticate, or guardrails that stop but no rollback action". `identities` are the names that
/// can authenticate at this daemon.
pub fn toothless(experiment: &Experiment, identities: &[String]) -> Option<Alarm> {
    let nobody = !experiment.can_stop.iter().any(|name| identities.contains(name));
    let stopping =
        experiment.guardrails.iter().filter(|guardrail| guardrail.on_trip == OnTrip::Stop);
    let stopping = stopping.count();
    let no_action = stopping > 0 && experiment.rollback.action.is_none();
    let mut needs = Vec::new();
    if nobody {
        needs.push("somebody in can_stop who can authenticate");
    }
    if no_action {
        needs.push("a rollback action");
    }
    (!needs.is_empty()).then(|| Alarm {
        kind: AlarmKind::Toothless,
        severity: AlarmSeverity::Confirmed,
        subject: String::new(),
        numbers: BTreeMap::from([
            ("can_stop".to_owned(), experiment.can_stop.len() as f64),
            ("guardrails_that_stop".to_owned(), stopping as f64),
        ]),
        clears: needs.join(" and "),
        knowable_at: None,
    })
}
