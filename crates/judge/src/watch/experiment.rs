//! Alarms of one experiment that time raises: nobody decides, reviews, audits or can stop it.

use crate::decide::{Alarm, AlarmCause, AlarmKind};
use crate::lifecycle::{Life, guardrails_run, schedule};
use crate::spec::{OnTrip, Review};
use crate::time::{DAY_MS, Span, Timestamp, add, add_ms, ms_between};

use super::{Rules, Watched};

/// Everything of one experiment; none of one that is over, except the open default.
pub(super) fn alarms(one: &Watched, rules: &Rules, at: Timestamp) -> Vec<Alarm> {
    let mut found = purgatory(one, at);
    if guardrails_run(one.life.life) {
        found.extend(toothless(one, rules));
        found.extend(never_evaluated(one, rules, at));
        found.extend(overdue_review(one, rules, at));
        found.extend(overdue_audit(one, rules, at));
        found.extend(status_only(one, rules, at));
    }
    found
}

/// One review interval; a week where the file states none.
fn review_interval(one: &Watched) -> Span {
    one.experiment.review.as_ref().map_or(Span::days(7), |review| review.every)
}

fn days(from: Timestamp, to: Timestamp) -> f64 {
    ms_between(from, to) as f64 / DAY_MS as f64
}

/// The five smells, and what was left open. A draft is given one review interval.
fn purgatory(one: &Watched, at: Timestamp) -> Vec<Alarm> {
    let mut found: Vec<Alarm> = left_open(one, at).into_iter().collect();
    let allowed = match one.life.life {
        Life::Draft => Some(add_ms(one.first_seen_at, review_interval(one).ms)),
        Life::Scheduled | Life::Running | Life::AwaitingRevision | Life::Paused => None,
        Life::Graduated | Life::Stopped | Life::Archived => return found,
    };
    if allowed.is_some_and(|allowed| at <= allowed) {
        return found;
    }
    let smell = |cause, clears: &str| {
        let alarm = Alarm::new(AlarmKind::Purgatory, "", clears).because(cause);
        allowed.map_or(alarm.clone(), |allowed| alarm.since(allowed))
    };
    let experiment = &one.experiment;
    let is_blank = |text: &str| text.trim().is_empty();
    if is_blank(&experiment.owner.name) || is_blank(&experiment.owner.contact) {
        found.push(smell(AlarmCause::OwnerUnclear, "an owner with a name and a contact"));
    }
    if experiment.checkpoint.continue_when.atoms().is_empty() {
        found.push(smell(AlarmCause::NoCriterion, "a checkpoint rule"));
    }
    if experiment.aims.iter().all(|aim| is_blank(&aim.behaviour)) {
        found.push(smell(AlarmCause::NoBehaviour, "an aim that says what users will do"));
    }
    if experiment.if_it_works.as_deref().is_none_or(is_blank) {
        found.push(smell(AlarmCause::NoOpsPath, "`if_it_works`: who makes it the default"));
    }
    found.extend(past_cycle(one, at));
    found
}

/// "Past one cycle": past `by`, or one interval past the checkpoint without a final verdict.
fn past_cycle(one: &Watched, at: Timestamp) -> Option<Alarm> {
    if !matches!(one.life.life, Life::Running | Life::Paused | Life::AwaitingRevision) {
        return None;
    }
    let cycle = &one.life.cycle;
    let undecided = one.life.life != Life::AwaitingRevision;
    let late = schedule::extended_checkpoint(&one.experiment, cycle.checkpoint_at);
    let ends = [one.experiment.by(), undecided.then_some(late)];
    let since = ends.into_iter().flatten().filter(|end| *end < at).min()?;
    let alarm = Alarm::new(AlarmKind::Purgatory, "", "a final verdict")
        .because(AlarmCause::PastCycle)
        .since(since)
        .number("days_past", days(since, at))
        .number("cycle", f64::from(cycle.number));
    Some(alarm)
}

/// `awaiting_revision` and `default updated?` open longer than one review interval.
fn left_open(one: &Watched, at: Timestamp) -> Option<Alarm> {
    let (cause, clears) = match one.life.life {
        Life::AwaitingRevision => {
            (AlarmCause::AwaitingRevision, "a revision with another mechanism, or a stop")
        }
        Life::Graduated if !one.life.default_updated => {
            (AlarmCause::DefaultNotUpdated, "`default_updated`, said by somebody")
        }
        _ => return None,
    };
    let allowed = review_interval(one);
    let due = add_ms(one.life.since, allowed.ms);
    (at > due).then(|| {
        Alarm::new(AlarmKind::Purgatory, "", clears)
            .because(cause)
            .since(due)
            .number("days_open", days(one.life.since, at))
            .number("days_allowed", allowed.as_days())
    })
}

/// "Running with nobody in `can_stop` who can authenticate, or guardrails that stop but no
/// rollback action".
fn toothless(one: &Watched, rules: &Rules) -> Option<Alarm> {
    let experiment = &one.experiment;
    let able = experiment.can_stop.iter().filter(|name| rules.identities.contains(name)).count();
    let stopping = experiment.guardrails.iter().filter(|rail| rail.on_trip == OnTrip::Stop);
    let stopping = stopping.count();
    let no_action = stopping > 0 && experiment.rollback.action.is_none();
    let mut needs = Vec::new();
    if able == 0 {
        needs.push("somebody in can_stop who can authenticate");
    }
    if no_action {
        needs.push("a rollback action");
    }
    (!needs.is_empty()).then(|| {
        Alarm::new(AlarmKind::Toothless, "", &needs.join(" and "))
            .number("can_stop", experiment.can_stop.len() as f64)
            .number("can_authenticate", able as f64)
            .number("guardrails_that_stop", stopping as f64)
            .number("rollback_actions", f64::from(u8::from(experiment.rollback.action.is_some())))
    })
}

/// "A guardrail never evaluated is an alarm" (product.md 4.5): never looked at, or never with data.
fn never_evaluated(one: &Watched, rules: &Rules, at: Timestamp) -> Vec<Alarm> {
    let began = one.life.cycle.first_started_at.max(one.first_seen_at);
    let due = add_ms(began, rules.guardrail_grace.ms);
    if at <= due {
        return Vec::new();
    }
    let is_seen = |name: &str| {
        let mut known = one.guardrails.iter();
        known.any(|status| {
            status.name == name && status.evaluated_at.is_some() && !status.never_had_data()
        })
    };
    let unseen = one.experiment.guardrails.iter().filter(|rail| !is_seen(&rail.name));
    unseen
        .map(|rail| {
            Alarm::new(AlarmKind::GuardrailNeverEvaluated, &rail.name, "its first evaluation")
                .since(due)
                .number("days_running", days(began, at))
        })
        .collect()
}

/// The newest review date that lies behind its grace, with the one before it.
fn newest_review(one: &Watched, review: &Review, until: Timestamp) -> Option<[Timestamp; 2]> {
    let start = one.life.cycle.started_at;
    let every_ms = review.every.ms.max(1);
    let count = ms_between(start, until).div_euclid(every_ms);
    let zone = schedule::zone_of(&one.experiment);
    let date = |count: i64| add(start, Span { ms: every_ms * count }, &zone);
    (count >= 1).then(|| [date(count - 1), date(count)])
}

/// "Review missed": a day after its date nobody has written one down.
fn overdue_review(one: &Watched, rules: &Rules, at: Timestamp) -> Option<Alarm> {
    let review = one.experiment.review.as_ref().filter(|_| one.life.life != Life::Paused)?;
    let [before, due] = newest_review(one, review, add_ms(at, -rules.review_grace.ms))?;
    let kept = one.log.iter().any(|act| act.by_person && act.at > before);
    (!kept).then(|| {
        Alarm::new(AlarmKind::OverdueReview, "", "a review that is written down (`reviewed`)")
            .since(due)
            .number("days_overdue", days(due, at))
            .number("review_every_days", review.every.as_days())
    })
}

/// "A signal's definition not audited for a quarter": since it was first seen or last audited.
fn overdue_audit(one: &Watched, rules: &Rules, at: Timestamp) -> Option<Alarm> {
    let audits = one.log.iter().filter(|act| act.by_person && act.kind == "audited");
    let last = audits.map(|act| act.at).max().unwrap_or(one.first_seen_at);
    let due = add_ms(last, rules.audit_every.ms);
    (at > due).then(|| {
        Alarm::new(AlarmKind::OverdueAudit, "", "an audit that is written down (`audited`)")
            .since(due)
            .number("days_since_audit", days(last, at))
            .number("days_allowed", rules.audit_every.as_days())
            .number("signals", one.experiment.signals.len() as f64)
    })
}

/// "A review date passed with no recorded decision": a verdict waited for an answer at the review
/// and nobody has confirmed, overruled, objected, stopped or revised since.
fn status_only(one: &Watched, rules: &Rules, at: Timestamp) -> Option<Alarm> {
    let review = one.experiment.review.as_ref()?;
    let (_, _, said) = one.life.verdict?;
    let [_, date] = newest_review(one, review, add_ms(at, -rules.review_grace.ms))?;
    let answered = one.log.iter().any(|act| {
        let decides = act.by_person && !matches!(act.kind.as_str(), "reviewed" | "audited");
        act.at > said && (decides || act.kind == "revision")
    });
    (date > said && !answered).then(|| {
        Alarm::new(AlarmKind::StatusOnly, "", "a decision about the verdict, by a person")
            .number("days_since_verdict", days(said, at))
            .number("days_since_review", days(date, at))
    })
}
