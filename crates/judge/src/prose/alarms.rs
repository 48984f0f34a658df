//! What an alarm says: one plain sentence, and the same with its name, its since and its end.
//!
//! A function of the alarm alone, so that the page, the terminal, the API and a message of any age
//! say the same. Numbers that need the signal's unit stay in [`Alarm::numbers`].

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ts;

    /// Every kind and form with the numbers that raise it, and its words.
    fn told() -> Vec<(Alarm, &'static str)> {
        use {AlarmCause as Cause, AlarmKind as Kind};
        let of = |kind, subject: &str, numbers: &[(&str, f64)]| {
            numbers.iter().fold(Alarm::new(kind, subject, "it"), |a, (n, x)| a.number(n, *x))
        };
        let smell =
            |cause, numbers: &[(&str, f64)]| of(Kind::Purgatory, "", numbers).because(cause);
        let parts = [
            ("ratio_change", 0.2),
            ("numerator_change", 0.0),
            ("numerator_lower", -0.2),
            ("numerator_upper", 0.25),
            ("denominator_change", -0.1),
            ("denominator_lower", -0.2),
            ("denominator_upper", -0.04),
            ("denominator_share", 0.5),
            ("min_effect", 0.1),
        ];
        let ratio = |cause| of(Kind::Theatre, "cost", &parts).because(cause);
        let cycles = [("days", 61.5), ("ran_first", 3.0), ("ran_second", 4.0)];
        let open = [("days_open", 12.0), ("days_allowed", 7.0)];
        vec![
            (
                of(Kind::ProxyWithoutOutcome, "start", &[("progress", 0.55)]),
                "start moved and no outcome did, with 55.0 % of the planned data in",
            ),
            (
                of(
                    Kind::ProxyDoesNotPredict,
                    "start -> stay",
                    &[
                        ("experiments", 6.0),
                        ("moved", 5.0),
                        ("hits", 1.0),
                        ("hit_lower", 0.036),
                        ("hit_upper", 0.62),
                    ],
                ),
                "stay followed in 1 of the 5 finished tests in which start moved (3.6 % to 62.0 %)",
            ),
            (
                of(
                    Kind::ProxyDoesNotPredict,
                    "start -> stay",
                    &[
                        ("experiments", 12.0),
                        ("slope", 0.02),
                        ("slope_lower", -0.3),
                        ("slope_upper", 0.34),
                    ],
                ),
                "over 12 finished tests stay does not follow start: slope 0.020 (-0.3 to 0.3)",
            ),
            (
                ratio(Cause::DenominatorDriven),
                "cost got better (+20.0 %) by its denominator, which made 50.0 % of that: its \
                 numerator changed 0.0 % (-20.0 % to +25.0 %), its denominator -10.0 % (-20.0 % to \
                 -4.0 %)",
            ),
            (
                // A cost that should fall: kept in the good direction, told as it is.
                ratio(Cause::DenominatorFell).number("mirrored", 1.0),
                "cost got better (-16.7 %) while its denominator went the wrong way by more than \
                 5 %: its numerator changed 0.0 % (-20.0 % to +25.0 %), its denominator +11.1 % \
                 (+4.2 % to +25.0 %)",
            ),
            (
                ratio(Cause::NumeratorUpDenominatorDown),
                "cost got better (+20.0 %) from both ends, so its denominator hides what was lost: \
                 its numerator changed 0.0 % (-20.0 % to +25.0 %), its denominator -10.0 % (-20.0 % \
                 to -4.0 %)",
            ),
            (
                ratio(Cause::EmptyWin),
                "cost got better (+20.0 %) by less than what matters: its numerator changed 0.0 % \
                 (-20.0 % to +25.0 %), which excludes 10.0 %",
            ),
            (
                of(
                    Kind::Theatre,
                    "cost",
                    &[
                        ("coverage", 0.6),
                        ("coverage_before", 0.8),
                        ("coverage_change", -0.25),
                        ("coverage_lower", -0.3),
                        ("coverage_upper", -0.2),
                    ],
                )
                .because(Cause::CohortNarrowed),
                "60.0 % of the eligible units are counted in cost, 80.0 % before (-25.0 %, -30.0 % \
                 to -20.0 %): who is left out may be why it got better",
            ),
            (
                of(Kind::Srm, "", &[("units.a", 6_000.0), ("units.b", 5_400.0), ("p", 2.1e-8)]),
                "the arms hold 6,000 (a) and 5,400 (b), not as planned (p = 2.1e-8)",
            ),
            (
                of(
                    Kind::MultipleExposure,
                    "",
                    &[
                        ("mixed", 26.0),
                        ("units", 856.0),
                        ("share", 26.0 / 856.0),
                        ("share_lower", 0.016),
                        ("limit", 0.01),
                    ],
                ),
                "26 of 856 units saw more than one arm: 3.0 %, for sure more than 1.6 %; 1.0 % is \
                 tolerated",
            ),
            (
                of(Kind::DefinitionChanged, "stay", &[]),
                "the definition of stay changed in mid-run and nobody has said that it still means \
                 the same",
            ),
            (
                Alarm {
                    why: Some("act_a.csv:6: 130 of 100".to_owned()),
                    ..of(Kind::Stale, "stay", &[("age_seconds", 90.0)])
                },
                "what came of stay could not be used for 90 s: act_a.csv:6: 130 of 100",
            ),
            (of(Kind::SourceDown, "csv", &[("age_seconds", 0.0)]), "source csv does not answer"),
            (
                of(Kind::Stale, "stay", &[("age_seconds", 90.0)]),
                "nothing new has come of stay for 90 s",
            ),
            (
                of(Kind::Stale, "stay", &[("age_seconds", 5_400.0)]),
                "nothing new has come of stay for 90 min",
            ),
            (
                of(Kind::SourceDown, "prom", &[("age_seconds", 10_800.0), ("served", 4.0)]),
                "source prom has not answered for 3 h; 4 signals and guardrails wait for it",
            ),
            (
                of(Kind::SourceDown, "prom", &[("age_seconds", 259_200.0), ("served", 1.0)]),
                "source prom has not answered for 3 days",
            ),
            (smell(Cause::OwnerUnclear, &[]), "nobody is named as its owner with a contact"),
            (smell(Cause::NoCriterion, &[]), "no rule says when it goes on or ends"),
            (smell(Cause::NoBehaviour, &[]), "no aim says what users will do"),
            (smell(Cause::NoOpsPath, &[]), "nobody is named who makes it the default if it works"),
            (
                smell(Cause::PastCycle, &[("days_past", 1.04), ("cycle", 2.0)]),
                "cycle 2 ended 1 day ago without a final verdict",
            ),
            (
                smell(Cause::AwaitingRevision, &open),
                "another mechanism has been awaited for 12 days; 7 days are allowed",
            ),
            (
                smell(Cause::DefaultNotUpdated, &open),
                "it graduated 12 days ago and nobody has said that the default is updated; 7 days \
                 are allowed",
            ),
            (
                of(Kind::NoKills, "", &cycles),
                "nothing was stopped in two portfolio cycles (61.5 days), in which 3 and 4 \
                 experiments ran",
            ),
            (
                of(Kind::NoDeviation, "", &cycles),
                "nothing began that declares a deviation in two portfolio cycles (61.5 days), in \
                 which 3 and 4 experiments ran",
            ),
            (
                of(
                    Kind::StatusOnly,
                    "",
                    &[("days_since_verdict", 9.0), ("days_since_review", 2.1)],
                ),
                "its verdict has waited 9 days for a person's decision, beyond the review of 2.1 \
                 days ago",
            ),
            (
                of(
                    Kind::Toothless,
                    "",
                    &[
                        ("can_stop", 2.0),
                        ("can_authenticate", 0.0),
                        ("guardrails_that_stop", 1.0),
                        ("rollback_actions", 0.0),
                    ],
                ),
                "none of the 2 names in can_stop can authenticate, and a guardrail stops it without a \
                 rollback action",
            ),
            (
                of(Kind::GuardrailNeverEvaluated, "errors", &[("days_running", 1.5)]),
                "guardrail errors has not been evaluated once in 1.5 days",
            ),
            (
                of(Kind::OverdueReview, "", &[("days_overdue", 4.2), ("review_every_days", 7.0)]),
                "its review was due 4.2 days ago and nobody has written one down; it is due every \
                 7 days",
            ),
            (
                of(
                    Kind::OverdueAudit,
                    "",
                    &[("days_since_audit", 95.0), ("days_allowed", 91.0), ("signals", 3.0)],
                ),
                "nobody has audited the definitions of its 3 signals for 95 days; 91 days are \
                 allowed",
            ),
        ]
    }

    #[test]
    fn every_alarm_is_a_sentence() {
        for (alarm, words) in told() {
            assert_eq!(alarm_sentence(&alarm), words);
        }
    }

    #[test]
    fn one_without_its_numbers_says_what_it_knows() {
        for (mut alarm, words) in told() {
            alarm.numbers.clear();
            let said = alarm_sentence(&alarm);
            assert!(!said.is_empty() && !said.contains("NaN"), "{words}: {said}");
        }
        let old = Alarm::new(AlarmKind::Theatre, "cost", "").because(AlarmCause::EmptyWin);
        assert_eq!(alarm_line(&old), "theatre: cost: empty win");
    }

    #[test]
    fn since_and_end_stand_beside_it() {
        let at = ts("2026-06-07T00:00:00Z");
        let mut alarm = Alarm::new(AlarmKind::OverdueReview, "", "a review").since(at);
        alarm = alarm.number("days_overdue", 1.0).number("review_every_days", 7.0);
        assert_eq!(
            alarm_told(&alarm),
            "Its review was due 1 day ago and nobody has written one down; it is due every 7 days. \
             On since 2026-06-07 00:00 UTC; it clears with a review."
        );
        let moved = Alarm {
            severity: AlarmSeverity::Suspected,
            knowable_at: Some(at),
            ..Alarm::new(AlarmKind::ProxyWithoutOutcome, "start", "")
        };
        assert_eq!(
            alarm_line(&moved),
            "proxy without outcome (suspected): start moved and no outcome did; knowable at \
             2026-06-07 00:00 UTC"
        );
        assert_eq!(
            alarm_said(&moved),
            "start moved and no outcome did; knowable at 2026-06-07 \
             00:00 UTC."
        );
    }
}
