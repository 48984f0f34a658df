//! Every alarm of the watch: raised a moment late, not a moment early, cleared by what it says.

use std::collections::BTreeSet;

use super::*;
use crate::analyse::GuardrailState;
use crate::decide::{AlarmKind, Cause, Verdict};
use crate::fixture::{experiment, guardrail, start, ts};
use crate::lifecycle::{self, Life};
use crate::spec::OnTrip;
use crate::time::add_ms;

const HOUR_MS: i64 = 3_600_000;

fn watched() -> Watched {
    let experiment = experiment();
    Watched {
        life: lifecycle::first_seen(&experiment, true, start()),
        experiment,
        first_seen_at: start(),
        guardrails: Vec::new(),
        log: Vec::new(),
    }
}

fn rules() -> Rules {
    Rules {
        identities: vec!["lead".to_owned()],
        cycles: [
            ts("2026-05-01T00:00:00Z"),
            ts("2026-06-01T00:00:00Z"),
            ts("2026-07-01T00:00:00Z"),
        ],
        audit_every: Span::days(91),
        review_grace: Span::days(1),
        guardrail_grace: Span::days(1),
    }
}

fn person(kind: &str, at: &str) -> Act {
    Act { at: ts(at), kind: kind.to_owned(), by_person: true, verdict: None }
}

fn keys(one: &Watched, at: &str) -> Vec<String> {
    keys_of(std::slice::from_ref(one), &rules(), at)
}

fn keys_of(all: &[Watched], rules: &Rules, at: &str) -> Vec<String> {
    alarms(all, &[], rules, ts(at)).iter().map(|found| found.alarm.key()).collect()
}

#[test]
fn a_healthy_experiment_raises_nothing() {
    assert_eq!(keys(&watched(), "2026-06-08T23:59:59Z"), Vec::<String>::new());
}

#[test]
fn a_review_is_overdue_a_day_after_its_date_until_it_is_written_down() {
    // Weekly from 1 June: 8, 15, ... ; each has a day to be written down.
    let mut one = watched();
    assert!(keys(&one, "2026-06-08T23:59:59Z").is_empty());
    assert_eq!(keys(&one, "2026-06-09T00:00:00Z"), ["overdue_review"]);
    let found = alarms(&[one.clone()], &[], &rules(), ts("2026-06-10T12:00:00Z"));
    assert_eq!(found[0].alarm.since, Some(ts("2026-06-08T00:00:00Z")));
    assert_eq!(found[0].alarm.numbers["days_overdue"], 2.5);
    one.log.push(person("reviewed", "2026-06-10T13:00:00Z"));
    assert!(keys(&one, "2026-06-15T12:00:00Z").is_empty());
    // That one is for the week of the 15th too: it was held after the 8th.
    assert!(keys(&one, "2026-06-16T00:00:00Z").is_empty());
    assert_eq!(keys(&one, "2026-06-23T00:00:00Z"), ["overdue_review"]);
    one.experiment.review = None;
    assert!(keys(&one, "2026-06-23T00:00:00Z").is_empty());
}

#[test]
fn a_verdict_that_nobody_answered_by_the_review_is_status_only() {
    let mut one = watched();
    one.life.verdict = Some((Verdict::Change, Cause::Extend, ts("2026-06-12T00:00:00Z")));
    one.log.push(person("reviewed", "2026-06-15T09:00:00Z"));
    assert!(keys(&one, "2026-06-15T23:59:59Z").is_empty());
    assert_eq!(keys(&one, "2026-06-16T00:00:00Z"), ["thrash.status_only"]);
    let answered = |act: Act| Watched { log: vec![one.log[0].clone(), act], ..one.clone() };
    for kind in ["confirm", "objects", "overrule_change"] {
        let said = answered(person(kind, "2026-06-16T10:00:00Z"));
        assert!(keys(&said, "2026-06-16T11:00:00Z").is_empty(), "{kind}");
    }
    let revised = answered(Act { by_person: false, ..person("revision", "2026-06-13T00:00:00Z") });
    assert!(keys(&revised, "2026-06-16T11:00:00Z").is_empty());
    let before = answered(person("confirm", "2026-06-11T00:00:00Z"));
    assert_eq!(keys(&before, "2026-06-16T00:00:00Z"), ["thrash.status_only"]);
}

#[test]
fn definitions_are_audited_every_quarter() {
    let mut one = watched();
    one.experiment.review = None;
    // 91 days after 1 June is 31 August; only the audit is looked at here.
    let audit = |one: &Watched, at: &str| keys(one, at).contains(&"overdue_audit".to_owned());
    assert!(!audit(&one, "2026-08-31T00:00:00Z"));
    assert!(audit(&one, "2026-08-31T00:00:01Z"));
    one.log.push(person("audited", "2026-09-01T00:00:00Z"));
    assert!(!audit(&one, "2026-12-01T00:00:00Z"));
    assert!(audit(&one, "2026-12-01T00:00:01Z"));
    one.log[0].by_person = false;
    assert!(audit(&one, "2026-09-02T00:00:00Z"));
}

#[test]
fn a_file_without_teeth_says_what_it_needs() {
    let with_trip = |on_trip| {
        let mut one = watched();
        one.experiment.guardrails.push(guardrail("errors", on_trip));
        one
    };
    let found = |one: &Watched, rules: &Rules| {
        let all = alarms(std::slice::from_ref(one), &[], rules, start());
        all.into_iter().find(|found| found.alarm.kind == AlarmKind::Toothless)
    };
    assert_eq!(found(&with_trip(OnTrip::Stop), &rules()), None);
    let strangers = Rules { identities: vec!["intern".to_owned()], ..rules() };
    let nobody = found(&watched(), &strangers).unwrap().alarm;
    assert_eq!(nobody.clears, "somebody in can_stop who can authenticate");
    assert_eq!((nobody.numbers["can_stop"], nobody.numbers["can_authenticate"]), (1.0, 0.0));
    let mut no_action = with_trip(OnTrip::Stop);
    no_action.experiment.rollback.action = None;
    assert_eq!(found(&no_action, &rules()).unwrap().alarm.clears, "a rollback action");
    let mut alert = with_trip(OnTrip::Alert);
    alert.experiment.rollback.action = None;
    assert_eq!(found(&alert, &rules()), None);
    // A stopped run needs no teeth.
    no_action.life.life = Life::Stopped;
    assert_eq!(found(&no_action, &rules()), None);
}

#[test]
fn a_guardrail_that_was_never_evaluated_is_an_alarm() {
    let mut one = watched();
    one.experiment.guardrails.push(guardrail("errors", OnTrip::Alert));
    assert!(keys(&one, "2026-06-02T00:00:00Z").is_empty());
    let key = ["guardrail_never_evaluated:errors"];
    assert_eq!(keys(&one, "2026-06-02T00:00:01Z"), key);
    let mut look = crate::fixture::Look::early();
    look = look.guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::Ok);
    let mut status = look.analysis.guardrails[0].clone();
    status.evaluated_at = None;
    one.guardrails = vec![status.clone()];
    assert_eq!(keys(&one, "2026-06-02T00:00:01Z"), key);
    status.evaluated_at = Some(ts("2026-06-02T00:00:00Z"));
    one.guardrails = vec![status.clone()];
    assert!(keys(&one, "2026-06-02T00:00:01Z").is_empty());
    // Slots at which nothing ever came are no evaluation; a gap after data is another alarm.
    status.state = GuardrailState::SourceError;
    one.guardrails = vec![status.clone()];
    assert_eq!(keys(&one, "2026-06-02T00:00:01Z"), key);
    status.frozen = Some(GuardrailState::Ok);
    one.guardrails = vec![status];
    assert!(keys(&one, "2026-06-02T00:00:01Z").is_empty());
}

#[test]
fn what_is_left_open_ages_into_purgatory() {
    // One review interval (7 days) after 13 July.
    let at = |life, now: &str| {
        let mut one = watched();
        one.life.life = life;
        one.life.since = ts("2026-07-13T00:00:00Z");
        one.log.push(person("confirm", now));
        keys(&one, now)
    };
    let cases = [
        (Life::AwaitingRevision, "purgatory.awaiting_revision"),
        (Life::Graduated, "purgatory.default_not_updated"),
    ];
    for (life, key) in cases {
        assert!(at(life, "2026-07-20T00:00:00Z").is_empty());
        assert_eq!(at(life, "2026-07-20T00:00:01Z"), [key]);
    }
    let mut told = watched();
    told.life.life = Life::Graduated;
    told.life.default_updated = true;
    assert!(keys(&told, "2026-12-01T00:00:00Z").is_empty());
}

#[test]
fn each_smell_of_purgatory_is_smelt() {
    let smell = |bend: fn(&mut Watched), key: &str| {
        let mut one = watched();
        bend(&mut one);
        assert_eq!(keys(&one, "2026-06-02T00:00:00Z"), [key]);
    };
    smell(|one| one.experiment.owner.contact.clear(), "purgatory.owner_unclear");
    smell(|one| one.experiment.owner.name = " ".into(), "purgatory.owner_unclear");
    smell(|one| one.experiment.aims[0].behaviour.clear(), "purgatory.no_behaviour");
    smell(|one| one.experiment.if_it_works = None, "purgatory.no_ops_path");
    let no_rule = |one: &mut Watched| {
        one.experiment.checkpoint.continue_when = crate::spec::Rule::And(Vec::new());
    };
    smell(no_rule, "purgatory.no_criterion");
    // A draft is given one review interval to get rid of it.
    let mut draft = watched();
    no_rule(&mut draft);
    draft.life.life = Life::Draft;
    assert!(keys(&draft, "2026-06-08T00:00:00Z").is_empty());
    assert_eq!(keys(&draft, "2026-06-08T00:00:01Z"), ["purgatory.no_criterion"]);
    draft.life.life = Life::Stopped;
    assert!(keys(&draft, "2026-06-09T00:00:00Z").is_empty());
}

#[test]
fn past_one_cycle_is_past_by_or_an_interval_past_the_checkpoint() {
    let past = |one: &Watched, at: &str| {
        let found = alarms(std::slice::from_ref(one), &[], &rules(), ts(at));
        let mut found = found.into_iter().map(|found| found.alarm);
        found.find(|alarm| alarm.key() == "purgatory.past_cycle")
    };
    let mut one = watched();
    // Checkpoint 13 July, one interval is 42 - 14 = 28 days: 10 August.
    assert_eq!(past(&one, "2026-08-10T00:00:00Z"), None);
    let alarm = past(&one, "2026-08-11T00:00:00Z").unwrap();
    assert_eq!(alarm.since, Some(ts("2026-08-10T00:00:00Z")));
    assert_eq!(alarm.numbers["days_past"], 1.0);
    one.experiment.aims[0].by = Some(ts("2026-07-20T00:00:00Z"));
    let early = past(&one, "2026-07-20T00:00:01Z").unwrap();
    assert_eq!(early.since, Some(ts("2026-07-20T00:00:00Z")));
    one.life.life = Life::AwaitingRevision;
    one.experiment.aims[0].by = None;
    assert_eq!(past(&one, "2026-12-01T00:00:00Z"), None);
}

#[test]
fn two_cycles_without_a_kill_or_a_deviation_are_thrash() {
    let thrash = |all: &[Watched], at: &str| {
        let mut keys = keys_of(all, &rules(), at);
        keys.retain(|key| key.starts_with("thrash.no_"));
        keys
    };
    let mut one = watched();
    let july = "2026-07-02T00:00:00Z";
    // It began in June: May was empty.
    assert!(thrash(&[one.clone()], july).is_empty());
    one.first_seen_at = ts("2026-05-20T00:00:00Z");
    one.life.cycle.first_started_at = ts("2026-05-20T00:00:00Z");
    one.life.cycle.started_at = ts("2026-05-20T00:00:00Z");
    assert_eq!(thrash(&[one.clone()], july), ["thrash.no_deviation", "thrash.no_kills"]);
    let found = alarms(&[one.clone()], &[], &rules(), ts(july));
    let kills = found.iter().find(|found| found.alarm.kind == AlarmKind::NoKills).unwrap();
    assert_eq!((kills.experiment.as_str(), kills.alarm.numbers["ran_second"]), (PORTFOLIO, 1.0));
    assert_eq!(kills.alarm.since, Some(ts("2026-07-01T00:00:00Z")));
    // A stop of this very month clears at once, a continue does not.
    let verdict = |said: &str| Act {
        verdict: Some(said.to_owned()),
        by_person: false,
        ..person("verdict", "2026-07-01T12:00:00Z")
    };
    one.log = vec![verdict("continue: keep_running")];
    assert_eq!(thrash(&[one.clone()], july).len(), 2);
    one.log = vec![verdict("stop: futile")];
    assert_eq!(thrash(&[one.clone()], july), ["thrash.no_deviation"]);
    one.log = vec![person("stop", "2026-05-01T00:00:00Z")];
    one.experiment.deviation = Some("a call instead of a mail".into());
    assert!(thrash(&[one.clone()], july).is_empty());
    one.log = vec![person("stop", "2026-04-30T23:59:59Z")];
    assert_eq!(thrash(&[one], july), ["thrash.no_kills"]);
}

#[test]
fn portfolio_cycles_are_calendar_months_or_so_many_days() {
    let at = ts("2026-03-31T22:30:00Z");
    let starts = |days, zone: &str| portfolio_cycles(at, days, zone).map(|at| at.to_string());
    let utc = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"];
    assert_eq!(starts(0, "UTC"), utc);
    // In Berlin it is April already, and summer.
    let berlin = ["2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"];
    assert_eq!(starts(0, "Europe/Berlin"), berlin);
    let weeks = portfolio_cycles(at, 7, "UTC");
    assert!(weeks[2] <= at && add_ms(weeks[2], 7 * 24 * HOUR_MS) > at);
    assert_eq!(add_ms(weeks[0], 14 * 24 * HOUR_MS), weeks[2]);
}

#[test]
fn raised_once_since_kept_cleared_once() {
    let one = watched();
    let at = ts("2026-06-10T00:00:00Z");
    let found = |at| alarms(std::slice::from_ref(&one), &[], &rules(), at);
    let first = step(&[], found(at), &BTreeSet::new(), at);
    assert_eq!((first.raised.len(), first.kept.len(), first.cleared.len()), (1, 0, 0));
    let later = add_ms(at, HOUR_MS);
    let second = step(&first.raised, found(later), &BTreeSet::new(), later);
    assert_eq!((second.raised.len(), second.kept.len(), second.cleared.len()), (0, 1, 0));
    let (was, is) = (&first.raised[0], &second.kept[0]);
    assert_eq!((was.raised_at, was.alarm.since), (is.raised_at, is.alarm.since));
    assert!(is.alarm.numbers["days_overdue"] > was.alarm.numbers["days_overdue"]);
    // What could not be read keeps what it had; what is gone is cleared.
    let unseen = BTreeSet::from([one.experiment.id.clone()]);
    assert_eq!(step(&second.kept, Vec::new(), &unseen, later).kept, second.kept);
    let over = step(&second.kept, Vec::new(), &BTreeSet::new(), later);
    assert_eq!(over.cleared[0].cleared_at, Some(later));
    let said = crate::prose::alarm_line(&is.alarm);
    assert_eq!(
        said,
        "overdue review: its review was due 2 days ago and nobody has written one down; it is due \
         every 7 days; since 2026-06-08 00:00 UTC; clears with a review that is written down \
         (`reviewed`)"
    );
}
