//! Every kind and form of an alarm, with the numbers that raise it, and its words.

use super::*;
use crate::decide::AlarmCause as Cause;
use crate::decide::AlarmKind as Kind;
use crate::fixture::ts;

fn of(kind: Kind, subject: &str, numbers: &[(&str, f64)]) -> Alarm {
    let alarm = Alarm::new(kind, subject, "it");
    numbers.iter().fold(alarm, |alarm, (name, x)| alarm.number(name, *x))
}

fn smell(cause: Cause, numbers: &[(&str, f64)]) -> Alarm {
    of(Kind::Purgatory, "", numbers).because(cause)
}

fn ratio(cause: Cause) -> Alarm {
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
    of(Kind::Theatre, "cost", &parts).because(cause)
}

/// An alarm and its words.
type Told = Vec<(Alarm, &'static str)>;

fn told() -> Told {
    [of_proxies(), of_ratios(), of_checks(), of_purgatory(), of_portfolio()].concat()
}

fn of_proxies() -> Told {
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
    ]
}

fn of_ratios() -> Told {
    vec![
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
    ]
}

fn of_checks() -> Told {
    vec![
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
    ]
}

fn of_purgatory() -> Told {
    let open = [("days_open", 12.0), ("days_allowed", 7.0)];
    vec![
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
    ]
}

fn of_portfolio() -> Told {
    let cycles = [("days", 61.5), ("ran_first", 3.0), ("ran_second", 4.0)];
    vec![
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
            of(Kind::StatusOnly, "", &[("days_since_verdict", 9.0), ("days_since_review", 2.1)]),
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
