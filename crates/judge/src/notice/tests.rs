//! What is said, and what is not said twice.

use super::*;
use crate::analyse::{GuardrailState, GuardrailStatus, SignalState, Truth};
use crate::decide::evaluate_with;
use crate::fixture::{Look, experiment, guardrail, no_worse_than, status, ts};
use crate::lifecycle::Life;
use crate::observe::Observation;
use crate::record::EvaluationRecord;
use crate::spec::{OnMissing, OnTrip};

fn record(look: Look) -> EvaluationRecord {
    evaluate_with(look.input, look.analysis, 0, None)
}

/// Says the looks one after the other; the kinds and details of each.
fn told(looks: Vec<Look>) -> Vec<Vec<String>> {
    let mut said: Option<LastSaid> = None;
    let mut all = Vec::new();
    for look in looks {
        let record = record(look);
        all.push(words(&notices(&record, said.as_ref(), Life::Running)));
        said = Some(said_after(&record, said.as_ref(), Life::Running));
    }
    all
}

fn words(notices: &[Notice]) -> Vec<String> {
    let word = |notice: &Notice| {
        let detail = notice.detail.clone().unwrap_or_default();
        format!("{} {} {detail}", notice.kind.as_str(), notice.subject).trim_end().to_owned()
    };
    notices.iter().map(word).collect()
}

#[test]
fn final_verdicts_are_told_once_per_evaluation() {
    let failing = Look::passing()
        .at("2026-07-14T00:00:00Z")
        .atom(1, Truth::False)
        .state("o", SignalState::Inconclusive);
    let extend = Look::passing()
        .at("2026-07-15T00:00:00Z")
        .decidable(1, 9.0)
        .state("o", SignalState::Inconclusive);
    let stop = Look::early().harmed("o").state("p", SignalState::Inconclusive);
    assert_eq!(
        told(vec![Look::passing(), failing, extend, stop, Look::early()]),
        [
            vec!["experiment.verdict.continue"],
            vec!["experiment.verdict.change"],
            vec!["experiment.verdict.change"],
            vec!["experiment.verdict.stop"],
            vec![],
        ]
        .map(|kinds| kinds.into_iter().map(str::to_owned).collect::<Vec<_>>())
    );
    // The same slot again (after a crash) is the same evaluation: nothing more.
    assert_eq!(told(vec![Look::passing(), Look::passing()])[1], [""; 0]);
    let one = record(Look::passing());
    let notice = &notices(&one, None, Life::Running)[0];
    assert_eq!(notice.id, crate::ids::notice_id(&one.id, "experiment.verdict.continue", ""));
    assert_eq!(notice.previous, None);
}

#[test]
fn the_previous_verdict_is_named() {
    let first = record(Look::passing());
    let said = said_after(&first, None, Life::Running);
    let second = record(Look::passing().at("2026-07-14T00:00:00Z").atom(1, Truth::False));
    let notice = &notices(&second, Some(&said), Life::Running)[0];
    assert_eq!(notice.previous.as_deref(), Some("continue: graduate"));
}

#[test]
fn a_run_that_is_over_says_nothing_new() {
    for life in [Life::Stopped, Life::Graduated, Life::Archived, Life::Draft, Life::Scheduled] {
        assert_eq!(notices(&record(Look::passing()), None, life), [], "{life:?}");
    }
    assert_eq!(notices(&record(Look::passing()), None, Life::Paused).len(), 1);
}

#[test]
fn a_restated_verdict_is_revised_by_name_and_only_when_it_differs() {
    let first = record(Look::passing());
    let said = said_after(&first, None, Life::Running);
    let again = |look: Look, revises: &str| {
        let revised = evaluate_with(look.input, look.analysis, 1, Some(revises.to_owned()));
        words(&notices(&revised, Some(&said), Life::Graduated))
    };
    let failing = || Look::passing().atom(1, Truth::False);
    let revised = "experiment.verdict.revised  change: mechanism";
    assert_eq!(again(failing(), &first.id), [revised]);
    assert_eq!(again(Look::passing(), &first.id), [""; 0]);
    assert_eq!(again(failing(), "an older one"), [""; 0]);
}

#[test]
fn a_hold_is_told_at_the_checkpoint_at_once_and_before_it_after_a_day() {
    let held = |at: &str| Look::early().split(true).at(at);
    let missing = |at: &str| Look::passing().missing("o").at(at);
    let verdicts = |looks| {
        let is_hold = |word: &String| word == "experiment.verdict.hold";
        let all = told(looks);
        all.iter().map(|words| words.iter().any(is_hold)).collect::<Vec<_>>()
    };
    let days = [
        held("2026-06-20T00:00:00Z"),
        held("2026-06-20T23:59:59Z"),
        held("2026-06-21T00:00:00Z"),
        held("2026-06-22T00:00:00Z"),
    ];
    assert_eq!(verdicts(days.to_vec()), [false, false, true, false]);
    let checkpoint = [
        missing("2026-07-13T00:00:00Z"),
        missing("2026-07-14T00:00:00Z"),
        missing("2026-07-15T00:00:00Z"),
    ];
    assert_eq!(verdicts(checkpoint.to_vec()), [true, false, false]);
    // Another cause, or a look in between that was not held, starts anew.
    let between = [
        held("2026-06-20T00:00:00Z"),
        Look::early().at("2026-06-21T00:00:00Z"),
        held("2026-06-22T00:00:00Z"),
        held("2026-06-23T00:00:00Z"),
    ];
    assert_eq!(verdicts(between.to_vec()), [false, false, false, true]);
    let said = said_after(&record(held("2026-06-20T00:00:00Z")), None, Life::Running);
    assert_eq!(said.hold.unwrap().since, ts("2026-06-20T00:00:00Z"));
}

#[test]
fn proxy_without_outcome_is_told_when_new_or_louder() {
    let state = |state, share| {
        Look::early().state("o", state).with(move |_, analysis| analysis.progress = Some(share))
    };
    let suspected = || state(SignalState::Inconclusive, 0.6);
    let confirmed = || state(SignalState::Flat, 0.9);
    let quiet = || state(SignalState::Moving, 0.9);
    let all = told(vec![
        suspected(),
        suspected(),
        confirmed(),
        suspected(),
        confirmed(),
        quiet(),
        suspected(),
    ]);
    let said: Vec<_> = all.iter().map(|words| words.first().map(String::as_str)).collect();
    let (s, c) = ("proxy.without_outcome p suspected", "proxy.without_outcome p confirmed");
    let over = "alarm.cleared proxy_without_outcome";
    assert_eq!(said, [Some(s), None, Some(c), None, None, Some(over), Some(s)]);
}

#[test]
fn missing_data_freeze_an_alarm() {
    let flat = || Look::early().state("o", SignalState::Flat);
    let all = told(vec![flat(), flat().missing("o"), flat(), flat().missing("p"), flat()]);
    let alarms = |words: &Vec<String>| words.iter().any(|word| word.starts_with("proxy"));
    let alarmed: Vec<_> = all.iter().map(alarms).collect();
    assert_eq!(alarmed, [true, false, false, false, false]);
    // Nothing was on: nothing is frozen on.
    let fresh = record(flat().missing("o"));
    let said = said_after(&fresh, None, Life::Running);
    assert!(!said.alarms.contains_key("proxy_without_outcome"));
}

#[test]
fn an_alarm_keeps_its_since_while_it_is_on() {
    let flat = |at: &str| Look::early().state("o", SignalState::Flat).at(at);
    let first = said_after(&record(flat("2026-06-20T00:00:00Z")), None, Life::Running);
    let second = record(flat("2026-06-21T00:00:00Z"));
    let second = said_after(&second, Some(&first), Life::Running);
    let since = second.alarms["proxy_without_outcome"].since;
    assert_eq!(since, ts("2026-06-20T00:00:00Z"));
    let off = said_after(&record(Look::early()), Some(&second), Life::Running);
    assert!(off.alarms.is_empty());
}

#[test]
fn a_split_mismatch_is_told_once() {
    let off = |at: &str| Look::early().split(true).at(at);
    let all = told(vec![off("2026-06-20T00:00:00Z"), off("2026-06-20T06:00:00Z")]);
    assert_eq!(all, [vec!["split.mismatch  confirmed".to_owned()], vec![]]);
}

#[test]
fn missing_data_are_told_once_with_an_all_clear() {
    let error = |look: Look| {
        look.with(|input, _| {
            let since = ts("2026-06-20T00:00:00Z");
            let failed = Observation::SourceError {
                class: "timeout".into(),
                cause: "no answer".into(),
                since,
            };
            input.observations.insert("p".into(), failed);
        })
    };
    let all = told(vec![
        Look::early().missing("p"),
        Look::early().missing("p"),
        // A source that is down is told by whoever asked it; it is no all-clear.
        error(Look::early()),
        Look::early(),
        Look::early(),
    ]);
    assert_eq!(
        all,
        [
            vec!["data.stale p no rows".to_owned()],
            vec![],
            vec![],
            vec!["data.recovered p".to_owned()],
            vec![],
        ]
    );
    assert_eq!(told(vec![error(Look::early())]), [vec![""; 0]]);
}

#[test]
fn a_look_tells_the_guardrails_that_it_judged_itself() {
    let look = Look::early().guardrail(no_worse_than("csat", false), GuardrailState::Tripped);
    assert_eq!(told(vec![look.clone()]), [vec!["guardrail.tripped csat".to_owned()]]);
    let stored = look.clone().with(|input, analysis| {
        input.guardrails = analysis.guardrails.clone();
    });
    assert_eq!(told(vec![stored]), [vec![""; 0]]);
    // Others speak on their own track.
    let own = Look::early().guardrail(guardrail("errors", OnTrip::Alert), GuardrailState::Tripped);
    assert_eq!(told(vec![own]), [vec![""; 0]]);
}

fn transition(
    before: Option<GuardrailStatus>,
    after: GuardrailStatus,
    at: &str,
    on_missing: OnMissing,
) -> Vec<String> {
    let mut file = experiment();
    file.guardrails.push(guardrail("errors", OnTrip::Alert));
    file.guardrails[0].on_missing = on_missing;
    words(&guardrail_notices(&file, before.as_ref(), &after, ts(at), "e"))
}

#[test]
fn a_guardrail_tells_trips_and_recoveries() {
    use GuardrailState::{Burning, Insufficient, NoData, Ok, Tripped, Unproven};
    let of = |state| status("errors", OnTrip::Alert, state);
    let at = |before: Option<GuardrailStatus>, after| {
        transition(before, after, "2026-06-01T00:30:00Z", OnMissing::Alert)
    };
    let tripped = ["guardrail.tripped errors"];
    assert_eq!(at(None, of(Tripped)), tripped);
    assert_eq!(at(Some(of(Ok)), of(Tripped)), tripped);
    assert_eq!(at(Some(of(Tripped)), of(Tripped)), [""; 0]);
    assert_eq!(at(None, of(Ok)), [""; 0]);
    for state in [Ok, Unproven, Burning, Insufficient] {
        let recovered = ["guardrail.recovered errors"];
        assert_eq!(at(Some(of(Tripped)), of(state)), recovered, "{state:?}");
    }
    // Missing data and latches clear nothing.
    let frozen = GuardrailStatus { frozen: Some(Tripped), ..of(NoData) };
    assert_eq!(at(Some(of(Tripped)), frozen.clone()), [""; 0]);
    assert_eq!(at(Some(of(Tripped)), of(NoData)), [""; 0]);
    assert_eq!(at(Some(frozen), of(Ok)), ["guardrail.recovered errors"]);
    let latched = GuardrailStatus { latched: true, ..of(Ok) };
    assert_eq!(at(Some(of(Tripped)), latched), [""; 0]);
}

#[test]
fn a_silent_guardrail_is_told_after_missing_for_with_an_all_clear() {
    // Missing since 1 June 00:00 (the fixture's `since`), one hour is allowed.
    let missing = |looked_at: &str| GuardrailStatus {
        evaluated_at: Some(ts(looked_at)),
        ..status("errors", OnTrip::Alert, GuardrailState::NoData)
    };
    let ok = || status("errors", OnTrip::Alert, GuardrailState::Ok);
    let (early, late) = ("2026-06-01T00:59:59Z", "2026-06-01T01:00:00Z");
    let told = ["guardrail.no_data errors"];
    assert_eq!(transition(Some(ok()), missing(early), early, OnMissing::Alert), [""; 0]);
    assert_eq!(transition(Some(missing(early)), missing(late), late, OnMissing::Alert), told);
    assert_eq!(transition(Some(missing(early)), missing(late), late, OnMissing::Trip), told);
    assert_eq!(transition(Some(missing(early)), missing(late), late, OnMissing::Ignore), [""; 0]);
    let later = "2026-06-01T02:00:00Z";
    let again = transition(Some(missing(late)), missing(later), later, OnMissing::Alert);
    assert_eq!(again, [""; 0]);
    let back = transition(Some(missing(late)), ok(), later, OnMissing::Alert);
    assert_eq!(back, ["guardrail.recovered errors data are back"]);
    assert_eq!(transition(Some(missing(early)), ok(), late, OnMissing::Alert), [""; 0]);
}
