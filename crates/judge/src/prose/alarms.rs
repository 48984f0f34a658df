//! What an alarm says: one plain sentence, and the same with its name, its since and its end.
//!
//! A function of the alarm alone, so that the page, the terminal, the API and a message of any age
//! say the same. Numbers that need the signal's unit stay in [`Alarm::numbers`].

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::numbers::{count, format_change, format_level};
use crate::decide::{Alarm, AlarmCause, AlarmKind, AlarmSeverity};
use crate::spec::Form;

/// The alarm in one line: its name, what is wrong, since when, what clears it.
pub fn alarm_line(alarm: &Alarm) -> String {
    let name = alarm.kind.as_str().replace('_', " ");
    let doubt = if alarm.severity == AlarmSeverity::Suspected { " (suspected)" } else { "" };
    let mut parts = vec![format!("{name}{doubt}: {}", alarm_sentence(alarm))];
    if let Some(since) = alarm.since {
        parts.push(format!("since {}", since.strftime("%Y-%m-%d %H:%M UTC")));
    }
    if !alarm.clears.is_empty() {
        parts.push(format!("clears with {}", alarm.clears));
    }
    parts.join("; ")
}

/// The alarm in two sentences, for a message.
pub fn alarm_told(alarm: &Alarm) -> String {
    let since = alarm.since.map(|since| since.strftime("%Y-%m-%d %H:%M UTC"));
    let since = since.map(|since| format!("on since {since}"));
    let clears = Some(&alarm.clears).filter(|clears| !clears.is_empty());
    let clears = clears.map(|clears| format!("it clears with {clears}"));
    let rest: Vec<String> = [since, clears].into_iter().flatten().collect();
    match rest.as_slice() {
        [] => alarm_said(alarm),
        rest => format!("{} {}.", alarm_said(alarm), capital(&rest.join("; "))),
    }
}

/// [`alarm_sentence`] with its capital and full stop; a name at the beginning keeps its letters.
pub fn alarm_said(alarm: &Alarm) -> String {
    let said = alarm_sentence(alarm);
    let is_name = said.split(' ').next().is_some_and(|word| alarm.subject.starts_with(word));
    if is_name { format!("{said}.") } else { format!("{}.", capital(&said)) }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What is wrong, in a sentence without its full stop. Total: an alarm of an older writer that
/// lacks a number says what it knows.
pub fn alarm_sentence(alarm: &Alarm) -> String {
    let subject = alarm.subject.as_str();
    let said = match alarm.kind {
        AlarmKind::ProxyWithoutOutcome => Some(without_outcome(alarm)),
        AlarmKind::ProxyDoesNotPredict => does_not_predict(alarm),
        AlarmKind::Theatre => theatre(alarm),
        AlarmKind::Srm => split(alarm),
        AlarmKind::MultipleExposure => exposed(alarm),
        AlarmKind::DefinitionChanged => Some(format!(
            "the definition of {subject} changed in mid-run and nobody has said that it still \
             means the same"
        )),
        AlarmKind::Stale => stale(alarm),
        AlarmKind::SourceDown => source_down(alarm),
        AlarmKind::Purgatory => purgatory(alarm),
        AlarmKind::NoKills => idle_cycles(alarm, "nothing was stopped"),
        AlarmKind::NoDeviation => idle_cycles(alarm, "nothing began that declares a deviation"),
        AlarmKind::StatusOnly => status_only(alarm),
        AlarmKind::Toothless => toothless(alarm),
        AlarmKind::GuardrailNeverEvaluated => days(alarm, "days_running")
            .map(|days| format!("guardrail {subject} has not been evaluated once in {days}")),
        AlarmKind::OverdueReview => overdue_review(alarm),
        AlarmKind::OverdueAudit => overdue_audit(alarm),
    };
    said.unwrap_or_else(|| bare(alarm))
}

/// Name, form and subject of an alarm that has no numbers for its sentence.
fn bare(alarm: &Alarm) -> String {
    let cause = alarm.cause.and_then(|cause| serde_json::to_value(cause).ok());
    let cause = cause.as_ref().and_then(Value::as_str).map(|cause| cause.replace('_', " "));
    let what = cause.unwrap_or_else(|| alarm.kind.as_str().replace(['_', '.'], " "));
    match alarm.subject.as_str() {
        "" => what,
        subject => format!("{subject}: {what}"),
    }
}

fn without_outcome(alarm: &Alarm) -> String {
    let progress = alarm.numbers.get("progress");
    let seen =
        progress.map(|progress| format!(", with {} of the planned data in", level(*progress)));
    let knowable = alarm.knowable_at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC"));
    let knowable = knowable.map(|at| format!("; knowable at {at}"));
    let rest = [seen, knowable].into_iter().flatten().collect::<String>();
    format!("{} moved and no outcome did{rest}", alarm.subject)
}

fn does_not_predict(alarm: &Alarm) -> Option<String> {
    let (proxy, outcome) = alarm.subject.split_once(" -> ")?;
    let of = |name: &str| alarm.numbers.get(name).copied();
    let hits = of("moved").zip(of("hits")).zip(range(alarm, "hit", level));
    let slope = of("slope").zip(range(alarm, "slope", number));
    match (hits, slope) {
        (Some(((moved, hits), ends)), _) => Some(format!(
            "{outcome} followed in {} of the {} finished tests in which {proxy} moved ({ends})",
            count(hits),
            count(moved)
        )),
        (None, Some((slope, ends))) => Some(format!(
            "over {} finished tests {outcome} does not follow {proxy}: slope {} ({ends})",
            count(of("experiments")?),
            number(slope)
        )),
        (None, None) => None,
    }
}

/// A change of `name` with its interval, in real directions.
fn moved(alarm: &Alarm, part: &str) -> Option<String> {
    let of = |name: &str| alarm.numbers.get(&format!("{part}_{name}")).copied();
    let [at, low, high] = [of("change")?, of("lower")?, of("upper")?];
    let is_mirrored = alarm.numbers.contains_key("mirrored");
    let [at, low, high] = if is_mirrored { [at, high, low].map(mirrored) } else { [at, low, high] };
    Some(format!("{} ({} to {})", change(at), change(low), change(high)))
}

/// The change whose reciprocal is `1 + x`: for signals that should fall, numbers are kept in the
/// direction that makes them better.
fn mirrored(x: f64) -> f64 {
    1.0 / (1.0 + x) - 1.0
}

fn theatre(alarm: &Alarm) -> Option<String> {
    let of = |name: &str| alarm.numbers.get(name).copied();
    let subject = &alarm.subject;
    if alarm.cause == Some(AlarmCause::CohortNarrowed) {
        let (now, before) = (level(of("coverage")?), level(of("coverage_before")?));
        let by = range(alarm, "coverage", change)?;
        return Some(format!(
            "{now} of the eligible units are counted in {subject}, {before} before ({}, {by}): who \
             is left out may be why it got better",
            change(of("coverage_change")?)
        ));
    }
    let numerator = format!("its numerator changed {}", moved(alarm, "numerator")?);
    let both = format!("{numerator}, its denominator {}", moved(alarm, "denominator")?);
    let better = format!("{subject} got better ({})", {
        let ratio = of("ratio_change")?;
        change(if of("mirrored").is_some() { mirrored(ratio) } else { ratio })
    });
    let why = match alarm.cause? {
        AlarmCause::DenominatorDriven => format!(
            "by its denominator, which made {} of that: {both}",
            level(of("denominator_share")?)
        ),
        AlarmCause::NumeratorUpDenominatorDown => {
            format!("from both ends, so its denominator hides what was lost: {both}")
        }
        AlarmCause::DenominatorFell => {
            format!("while its denominator went the wrong way by more than 5 %: {both}")
        }
        AlarmCause::EmptyWin => {
            let least = level(of("min_effect")?);
            format!("by less than what matters: {numerator}, which excludes {least}")
        }
        _ => return None,
    };
    Some(format!("{better} {why}"))
}

/// `the arms hold 6,000 (control) and 5,400 (checklist), not as planned (p = 1.0e-8)`.
fn split(alarm: &Alarm) -> Option<String> {
    let arm = |(name, n): (&String, &f64)| {
        Some(format!("{} ({})", count(*n), name.strip_prefix("units.")?))
    };
    let arms: Vec<String> = alarm.numbers.iter().filter_map(arm).collect();
    let p = alarm.numbers.get("p").map(|p| format!(" (p = {p:.1e})")).unwrap_or_default();
    let of = match alarm.subject.as_str() {
        "" => String::new(),
        signal => format!(" of {signal}"),
    };
    let arms = (arms.len() > 1).then(|| arms.join(" and "))?;
    Some(format!("the arms{of} hold {arms}, not as planned{p}"))
}

fn exposed(alarm: &Alarm) -> Option<String> {
    let of = |name: &str| alarm.numbers.get(name).copied();
    Some(format!(
        "{} of {} units saw more than one arm: {}, for sure more than {}; {} is tolerated",
        count(of("mixed")?),
        count(of("units")?),
        level(of("share")?),
        level(of("share_lower")?),
        level(of("limit")?)
    ))
}

fn stale(alarm: &Alarm) -> Option<String> {
    let (subject, age) = (alarm.subject.as_str(), lasting(alarm));
    let is_new = alarm.numbers.get("age_seconds") == Some(&0.0);
    match (&alarm.why, age.filter(|_| alarm.why.is_none() || !is_new)) {
        (Some(why), Some(age)) => {
            Some(format!("what came of {subject} could not be used for {age}: {why}"))
        }
        (Some(why), None) => Some(format!("what came of {subject} could not be used: {why}")),
        (None, age) => age.map(|age| format!("nothing new has come of {subject} for {age}")),
    }
}

fn source_down(alarm: &Alarm) -> Option<String> {
    let served = match alarm.numbers.get("served").copied() {
        Some(served) if served > 1.0 => {
            format!("; {} signals and guardrails wait for it", count(served))
        }
        _ => String::new(),
    };
    let said = match alarm.numbers.get("age_seconds") {
        // The look that found it: no time has passed yet.
        Some(0.0) => "does not answer".to_owned(),
        _ => format!("has not answered for {}", lasting(alarm)?),
    };
    Some(format!("source {} {said}{served}", alarm.subject))
}

fn purgatory(alarm: &Alarm) -> Option<String> {
    let open = days(alarm, "days_open").zip(days(alarm, "days_allowed"));
    let said = match alarm.cause? {
        AlarmCause::OwnerUnclear => "nobody is named as its owner with a contact".to_owned(),
        AlarmCause::NoCriterion => "no rule says when it goes on or ends".to_owned(),
        AlarmCause::NoBehaviour => "no aim says what users will do".to_owned(),
        AlarmCause::NoOpsPath => "nobody is named who makes it the default if it works".to_owned(),
        AlarmCause::PastCycle => {
            let past = days(alarm, "days_past")?;
            let cycle = count(*alarm.numbers.get("cycle")?);
            format!("cycle {cycle} ended {past} ago without a final verdict")
        }
        AlarmCause::AwaitingRevision => {
            let (open, allowed) = open?;
            format!("another mechanism has been awaited for {open}; {allowed} are allowed")
        }
        AlarmCause::DefaultNotUpdated => {
            let (open, allowed) = open?;
            format!(
                "it graduated {open} ago and nobody has said that the default is updated; \
                 {allowed} are allowed"
            )
        }
        _ => return None,
    };
    Some(said)
}

fn idle_cycles(alarm: &Alarm, what: &str) -> Option<String> {
    let of = |name: &str| alarm.numbers.get(name).copied();
    Some(format!(
        "{what} in two portfolio cycles ({}), in which {} and {} experiments ran",
        days(alarm, "days")?,
        count(of("ran_first")?),
        count(of("ran_second")?)
    ))
}

fn status_only(alarm: &Alarm) -> Option<String> {
    let (verdict, review) = (days(alarm, "days_since_verdict")?, days(alarm, "days_since_review")?);
    Some(format!(
        "its verdict has waited {verdict} for a person's decision, beyond the review of {review} \
         ago"
    ))
}

fn toothless(alarm: &Alarm) -> Option<String> {
    let of = |name: &str| alarm.numbers.get(name).copied();
    let (named, able) = (of("can_stop")?, of("can_authenticate")?);
    let stopping = of("guardrails_that_stop")?;
    let mut said = Vec::new();
    if able == 0.0 {
        said.push(match named {
            0.0 => "nobody is named in can_stop".to_owned(),
            1.0 => "the one name in can_stop cannot authenticate".to_owned(),
            named => format!("none of the {} names in can_stop can authenticate", count(named)),
        });
    }
    if of("rollback_actions") == Some(0.0) && stopping > 0.0 {
        let rails = if stopping == 1.0 { "a guardrail stops" } else { "guardrails stop" };
        said.push(format!("{rails} it without a rollback action"));
    }
    (!said.is_empty()).then(|| said.join(", and "))
}

fn overdue_review(alarm: &Alarm) -> Option<String> {
    let (overdue, every) = (days(alarm, "days_overdue")?, days(alarm, "review_every_days")?);
    Some(format!(
        "its review was due {overdue} ago and nobody has written one down; it is due every {every}"
    ))
}

fn overdue_audit(alarm: &Alarm) -> Option<String> {
    let (since, allowed) = (days(alarm, "days_since_audit")?, days(alarm, "days_allowed")?);
    let signals = *alarm.numbers.get("signals")?;
    let signals =
        if signals == 1.0 { "signal".to_owned() } else { format!("{} signals", count(signals)) };
    Some(format!(
        "nobody has audited the definitions of its {signals} for {since}; {allowed} are allowed"
    ))
}

/// `LOW to HIGH` of the numbers `NAME_lower` and `NAME_upper`.
fn range(alarm: &Alarm, name: &str, text: fn(f64) -> String) -> Option<String> {
    let of = |end: &str| alarm.numbers.get(&format!("{name}_{end}")).copied();
    Some(format!("{} to {}", text(of("lower")?), text(of("upper")?)))
}

fn change(share: f64) -> String {
    format_change(share, true, Form::Proportion, None)
}

fn level(share: f64) -> String {
    format_level(share, Form::Proportion, None)
}

fn number(value: f64) -> String {
    format_level(value, Form::Value, None)
}

/// `1 day`, `4.2 days`.
fn days(alarm: &Alarm, name: &str) -> Option<String> {
    alarm.numbers.get(name).map(|days| days_text(*days))
}

fn days_text(days: f64) -> String {
    let text = format!("{days:.1}");
    match text.trim_end_matches(".0") {
        "1" => "1 day".to_owned(),
        text => format!("{text} days"),
    }
}

/// The age of what is missing, in the unit that fits.
fn lasting(alarm: &Alarm) -> Option<String> {
    let seconds = *alarm.numbers.get("age_seconds")?;
    let text = match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => days_text(s / 86_400.0),
    };
    Some(text)
}
