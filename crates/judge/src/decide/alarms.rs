//! Alarms of product.md 4.6 that one look can see, each with its numbers and what clears it.
//!
//! Since when an alarm is on is part of the look's input: what earlier looks of the stretch said.

use std::collections::BTreeMap;

use crate::analyse::{Allocated, GuardrailState, SignalState, SignalView};
use crate::observe::{Observation, is_of_source};
use crate::record::EvaluationRecord;
use crate::spec::Role;
use crate::time::{Timestamp, add_ms, ms_between};

use super::facts::Facts;
use super::theatre::theatre;
use super::{Alarm, AlarmKind, AlarmSeverity};

/// Below this share of the planned information a silent outcome is no alarm.
const HALF: f64 = 0.5;

/// Every alarm of the look, loudest subject matter first.
pub(super) fn alarms(facts: &Facts<'_>) -> Vec<Alarm> {
    let mut found = Vec::new();
    found.extend(srm(facts));
    found.extend(multiple_exposure(facts));
    found.extend(proxy_without_outcome(facts));
    found.extend(theatre(facts));
    found.extend(definition_changed(facts));
    found.extend(stale(facts));
    for alarm in &mut found {
        let known = facts.input.alarms_since.get(&alarm.key()).copied();
        alarm.since = known.or(alarm.since).or(Some(facts.input.at));
    }
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
        severity,
        numbers: movement_numbers(facts, proxy, &outcomes),
        knowable_at: knowable_at.flatten(),
        ..Alarm::new(
            AlarmKind::ProxyWithoutOutcome,
            &proxy.name,
            "an outcome that moves, or a new mechanism",
        )
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
    let clears = "an acknowledgement and a new allocation epoch";
    Some(Alarm {
        numbers: counts.chain([("p".to_owned(), split.p_seq)]).collect(),
        ..Alarm::new(AlarmKind::Srm, split.signal.as_deref().unwrap_or_default(), clears)
    })
}

/// What the checks of the allocation have counted at a look: an acknowledgement of what it saw
/// begins after it.
pub fn allocated(record: &EvaluationRecord) -> Allocated {
    let off = record.alarms.iter().filter(|alarm| alarm.kind == AlarmKind::Srm);
    let off: Vec<&str> = off.map(|alarm| alarm.subject.as_str()).collect();
    Allocated::of(&record.input, &off)
}

/// `multiple_exposure`: more units than tolerated saw more than one arm (statistics.md 1.9).
fn multiple_exposure(facts: &Facts<'_>) -> Option<Alarm> {
    let check = facts.analysis.exposure.as_ref().filter(|check| check.unhealthy)?;
    let clears = "an acknowledgement and a new allocation epoch, or another definition";
    let share = if check.units > 0.0 { check.mixed / check.units } else { 0.0 };
    let alarm = Alarm::new(AlarmKind::MultipleExposure, "", clears)
        .number("mixed", check.mixed)
        .number("units", check.units)
        .number("share", share)
        .number("share_lower", check.lower)
        .number("limit", check.limit)
        .number("p", check.p_seq);
    Some(alarm)
}

/// `definition_changed`: "query, source, filter, zone or lateness of a signal changed while
/// running; waits for an acknowledgement".
fn definition_changed(facts: &Facts<'_>) -> Vec<Alarm> {
    let changed = facts.input.unacknowledged.iter();
    let alarm = |signal| Alarm::new(AlarmKind::DefinitionChanged, signal, "an acknowledgement");
    changed.map(|signal| alarm(signal)).collect()
}

/// `stale`: data that did not come or could not be used, by signal and by guardrail;
/// `source_down`: one per source that does not answer, however many signals it serves.
fn stale(facts: &Facts<'_>) -> Vec<Alarm> {
    let mut sources = Down::default();
    let mut found = Vec::new();
    let signals = facts.analysis.signals.iter().filter(|signal| facts.is_missing(&signal.name));
    for signal in signals {
        let since = facts.missing_since(&signal.name);
        let failed = facts.input.observations.get(&signal.name);
        let source = facts.input.experiment.signal(&signal.name).map(|one| one.source.as_str());
        match (failed, source) {
            (Some(Observation::SourceError { class, .. }), Some(source)) if is_of_source(class) => {
                sources.serves(source, since);
            }
            (Some(Observation::SourceError { cause, .. }), _) => {
                found.push(refused(facts, signal.name.clone(), since, cause));
            }
            _ => found.push(stale_alarm(facts, signal.name.clone(), since)),
        }
    }
    for beside in facts.input.experiment.beside() {
        let Some(observation) = facts.input.beside.get(&beside.signal.name) else {
            continue;
        };
        let since = observation.missing_since();
        match observation {
            Observation::SourceError { class, .. } if is_of_source(class) => {
                sources.serves(&beside.signal.source, since);
            }
            Observation::SourceError { cause, .. } => {
                found.push(refused(facts, beside.signal.name, since, cause));
            }
            Observation::NoData { .. } => {
                found.push(stale_alarm(facts, beside.signal.name, since));
            }
            _ => {}
        }
    }
    for status in &facts.analysis.guardrails {
        let rail = facts.input.experiment.guardrail(&status.name);
        let source = rail.and_then(|rail| rail.kind.source()).map(|(source, _)| source);
        let failure = status.why.as_deref().and_then(|why| why.split_once(": "));
        let own = failure.filter(|(class, _)| !is_of_source(class));
        // One that is named after its signal is the same alarm.
        let is_new = found.iter().all(|alarm| alarm.subject != status.name);
        match (status.state, source, own) {
            (GuardrailState::SourceError, Some(source), None) => {
                sources.serves(source, status.since);
            }
            (GuardrailState::SourceError, Some(_), Some((_, cause))) if is_new => {
                found.push(refused(facts, status.name.clone(), status.since, cause));
            }
            (GuardrailState::NoData | GuardrailState::SourceError, ..) if is_new => {
                found.push(stale_alarm(facts, status.name.clone(), status.since));
            }
            _ => {}
        }
    }
    let down = sources.0.into_iter().map(|(source, (count, since))| {
        let alarm = Alarm::new(AlarmKind::SourceDown, &source, "an answer of the source");
        aged(facts, alarm, since).number("served", count)
    });
    found.extend(down);
    found
}

/// Sources that fail: how many readers each has, and since when.
#[derive(Debug, Default)]
struct Down(BTreeMap<String, (f64, Option<Timestamp>)>);

impl Down {
    fn serves(&mut self, source: &str, since: Option<Timestamp>) {
        let (count, first) = self.0.entry(source.to_owned()).or_insert((0.0, since));
        *count += 1.0;
        // The earliest that is known: none is no instant before all others.
        *first = [*first, since].into_iter().flatten().min();
    }
}

fn stale_alarm(facts: &Facts<'_>, subject: String, since: Option<Timestamp>) -> Alarm {
    aged(facts, Alarm::new(AlarmKind::Stale, &subject, "fresh data"), since)
}

/// The source answered, and what it said cannot be used: told with its reason.
fn refused(facts: &Facts<'_>, subject: String, since: Option<Timestamp>, cause: &str) -> Alarm {
    let alarm = Alarm::new(AlarmKind::Stale, &subject, "an answer that can be used");
    Alarm { why: Some(cause.to_owned()), ..aged(facts, alarm, since) }
}

fn aged(facts: &Facts<'_>, alarm: Alarm, since: Option<Timestamp>) -> Alarm {
    match since {
        Some(since) => {
            // A look that was slept through reads guardrails of later slots: as of its own slot,
            // what they miss is missing from here on.
            let since = since.min(facts.input.at);
            let age = ms_between(since, facts.input.at) as f64 / 1000.0;
            alarm.since(since).number("age_seconds", age)
        }
        None => alarm,
    }
}
