//! Gates by table: every life, verdict, age and word of a person.

use judge::analyse::GuardrailStatus;
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};

use super::{Allowed, Answer, Door, Word, aged, answer, flat, no_such, span_secs, standing};
use crate::store::{Decreed, EvaluationRow, GateRow};

/// The cycle's start.
const START: &str = "2026-08-01T00:00:00Z";
/// A look.
const LOOK: &str = "2026-08-11T00:00:00Z";
/// An hour after it.
const NOW: &str = "2026-08-11T01:00:00Z";
const LATE_AFTER_MS: i64 = 900_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn life(life: &str, since: &str) -> Value {
    json!({
        "life": life, "since": since, "resumes_to": null, "revision": "r",
        "cycle": {"number": 1, "started_at": START, "first_started_at": START,
            "checkpoint_at": LOOK, "extended": false, "waited": false, "open": false},
        "mechanism": {"we_believe": "a", "will_move": "b", "because": "c"},
        "verdict": null, "trips": {}, "guardrail_epoch": 0, "default_updated": false,
    })
}

fn row(life: &Value, last: Option<(&str, &str)>) -> GateRow {
    GateRow {
        id: "copy".to_owned(),
        life_json: life.to_string(),
        changes: 7,
        first_seen_at: at(START),
        last: last.map(|(verdict, cause)| EvaluationRow {
            number: 3,
            id: "e3".to_owned(),
            experiment: "copy".to_owned(),
            track: "look".to_owned(),
            scheduled_at: at(LOOK),
            recorded_at: at(LOOK),
            data_as_of: None,
            verdict: verdict.to_owned(),
            cause: cause.to_owned(),
            headline: format!("{} - copy: said at the look", verdict.to_uppercase()),
            revises: None,
        }),
        guardrails: Vec::new(),
        due_at: None,
        decree: None,
    }
}

fn decree(kind: &str, since: &str) -> Decreed {
    let because = "users\nwait".to_owned();
    Decreed { kind: kind.to_owned(), who: "lead".to_owned(), because, at: at(since) }
}

fn rail(state: &str, on_trip: &str) -> GuardrailStatus {
    serde_json::from_value(json!({
        "name": "errors", "kind": "threshold", "on_trip": on_trip, "state": state,
        "frozen": null, "since": LOOK, "evaluated_at": LOOK, "value": null, "limit": null,
        "interval": null, "bad": null, "total": null, "budget_left": null, "why": null,
        "pending_since": null, "clearing_since": null, "control_also": false, "latched": false,
    }))
    .unwrap()
}

/// The word and the cause.
fn said(row: &GateRow) -> (Word, String) {
    let standing = standing(row, at(NOW), LATE_AFTER_MS);
    assert!(!standing.reason.contains('\n'), "one line: {}", standing.reason);
    let word = standing.word.as_str().to_uppercase();
    assert!(standing.reason.starts_with(&format!("{word} - copy: ")), "{}", standing.reason);
    (standing.word, standing.cause)
}

#[test]
fn a_running_experiment_stands_on_its_newest_look() {
    let running = life("running", START);
    for (verdict, cause, word) in [
        ("continue", "keep_running", Word::Continue),
        ("change", "extend", Word::Change),
        ("hold", "srm", Word::Hold),
        ("collecting", "on_track", Word::Collecting),
    ] {
        let expected = (word, cause.to_owned());
        assert_eq!(said(&row(&running, Some((verdict, cause)))), expected);
    }
    let none = said(&row(&running, None));
    assert_eq!(none, (Word::Collecting, "not_looked_at".to_owned()));
    // A run that a person took up again is not bound by the verdict that ended it.
    let again = life("running", NOW);
    for (verdict, cause) in [("stop", "futile"), ("change", "mechanism"), ("continue", "graduate")]
    {
        let word = said(&row(&again, Some((verdict, cause))));
        assert_eq!(word, (Word::Collecting, "look_pending".to_owned()), "{verdict}: {cause}");
    }
    // The verdict of the cycle before says nothing about this one.
    let mut next = life("running", NOW);
    next["cycle"]["started_at"] = json!(NOW);
    let word = said(&row(&next, Some(("continue", "keep_running"))));
    assert_eq!(word, (Word::Collecting, "look_pending".to_owned()));
}

#[test]
fn every_other_life_has_its_answer() {
    let last = Some(("continue", "keep_running"));
    let mut scheduled = life("scheduled", START);
    scheduled["cycle"]["started_at"] = json!("2026-08-20T00:00:00Z");
    for (life, expected, is_final) in [
        (life("draft", START), (Word::Hold, "draft"), false),
        (scheduled, (Word::Collecting, "scheduled"), false),
        (life("paused", NOW), (Word::Hold, "paused"), false),
        (life("awaiting_revision", NOW), (Word::Change, "by_person"), false),
        (life("graduated", NOW), (Word::Continue, "by_person"), true),
        (life("stopped", NOW), (Word::Stop, "by_person"), true),
        (life("archived", NOW), (Word::Hold, "archived"), true),
    ] {
        let row = row(&life, last);
        assert_eq!(said(&row), (expected.0, expected.1.to_owned()), "{life}");
        assert_eq!(standing(&row, at(NOW), LATE_AFTER_MS).is_final, is_final, "{life}");
    }
}

#[test]
fn a_verdict_that_ended_the_run_keeps_its_cause_and_its_words() {
    for (name, verdict, cause) in [
        ("graduated", "continue", "graduate"),
        ("awaiting_revision", "change", "mechanism"),
        ("stopped", "stop", "futile"),
        ("stopped", "stop", "tripped"),
    ] {
        let mut ended = life(name, LOOK);
        ended["verdict"] = json!([verdict, cause, LOOK]);
        let row = row(&ended, Some((verdict, cause)));
        assert_eq!(said(&row).1, cause);
        let standing = standing(&row, at(NOW), LATE_AFTER_MS);
        assert!(standing.reason.ends_with("said at the look"), "{}", standing.reason);
        assert_eq!((standing.evaluation, standing.age_secs), (3, 3_600));
    }
    // A trip whose record was restated since stays one.
    let mut tripped = life("stopped", LOOK);
    tripped["verdict"] = json!(["stop", "tripped", LOOK]);
    tripped["trips"] = json!({"errors": LOOK});
    let restated = row(&tripped, Some(("collecting", "on_track")));
    assert_eq!(said(&restated), (Word::Stop, "tripped".to_owned()));
}

#[test]
fn a_person_is_named_with_the_because() {
    let mut stopped = row(&life("stopped", NOW), Some(("collecting", "on_track")));
    stopped.decree = Some(decree("stop", NOW));
    let standing = standing(&stopped, at(NOW), LATE_AFTER_MS);
    assert_eq!((standing.word, standing.cause.as_str()), (Word::Stop, "by_person"));
    let said = format!("STOP - copy: lead decided so at {NOW}: users wait");
    assert_eq!(standing.reason, said);
}

#[test]
fn what_happens_since_the_verdict_holds_it_back() {
    let running = life("running", START);
    let with = |rail: GuardrailStatus, verdict: (&str, &str)| GateRow {
        guardrails: vec![rail],
        ..row(&running, Some(verdict))
    };
    let go = ("continue", "keep_running");
    let blind = (Word::Stale, "guardrail_blind".to_owned());
    let on = (Word::Hold, "guardrail_tripped".to_owned());
    assert_eq!(said(&with(rail("tripped", "alert"), go)), on);
    let early = ("collecting", "on_track");
    assert_eq!(said(&with(rail("tripped", "alert"), early)), on, "nor may it be passed early");
    assert_eq!(said(&with(rail("no_data", "stop"), early)).0, Word::Collecting);
    let mut fine = with(rail("tripped", "alert"), early);
    fine.last.as_mut().unwrap().headline = "COLLECTING - copy: early; guardrails fine".to_owned();
    let reason = standing(&fine, at(NOW), LATE_AFTER_MS).reason;
    assert_eq!(
        reason,
        "HOLD - copy: guardrail errors is tripped; before that COLLECTING - copy: early"
    );
    let change = ("change", "extend");
    let changed = said(&with(rail("tripped", "alert"), change));
    assert_eq!(changed, (Word::Change, "extend".to_owned()));
    assert_eq!(said(&with(rail("no_data", "stop"), go)), blind);
    assert_eq!(said(&with(rail("source_error", "stop"), go)), blind);
    assert_eq!(said(&with(rail("no_data", "alert"), go)).0, Word::Continue);
    let mut frozen = rail("no_data", "alert");
    frozen.frozen = rail("tripped", "alert").state.into();
    assert_eq!(said(&with(frozen, go)), on, "missing data never clears a trip");
    for state in ["ok", "burning", "unproven", "insufficient"] {
        assert_eq!(said(&with(rail(state, "stop"), go)).0, Word::Continue, "{state}");
    }
    let hold = ("hold", "srm");
    assert_eq!(said(&with(rail("no_data", "stop"), hold)).1, "srm", "its own cause stays");
    let mut late = row(&running, Some(go));
    late.due_at = Some(add_ms(at(NOW), -LATE_AFTER_MS));
    assert_eq!(said(&late).0, Word::Continue, "not yet");
    late.due_at = Some(add_ms(at(NOW), -LATE_AFTER_MS - 1));
    assert_eq!(said(&late), (Word::Stale, "late".to_owned()));
}

fn ask(door: Door, row: &GateRow, allow: &str, max_age_secs: Option<i64>) -> Answer {
    let allowed = Allowed::parse(allow).unwrap();
    answer(door, standing(row, at(NOW), LATE_AFTER_MS), &allowed, max_age_secs)
}

#[test]
fn doors_open_on_continue_and_on_what_is_allowed() {
    let running = life("running", START);
    for door in [Door::Rollout, Door::Promote] {
        for (verdict, cause, allow, is_open) in [
            ("continue", "keep_running", "", true),
            ("collecting", "on_track", "", false),
            ("collecting", "on_track", "collecting", true),
            ("hold", "srm", "collecting", false),
            ("hold", "srm", " collecting, hold ", true),
            ("change", "extend", "collecting,hold", false),
        ] {
            let answer = ask(door, &row(&running, Some((verdict, cause))), allow, None);
            assert_eq!(answer.is_open, is_open, "{door:?} {verdict} {allow}: {answer:?}");
            let state = if is_open { "open" } else { "closed" };
            let start = format!("{} is {state}: ", door.as_str());
            assert!(answer.sentence.starts_with(&start), "{}", answer.sentence);
        }
    }
    for refused in ["stop", "unknown", "collecting,stop", "yes"] {
        assert!(Allowed::parse(refused).is_err(), "{refused}");
    }
    let unknown = no_such("copi", &["copy".to_owned()]);
    assert!(unknown.reason.contains("did you mean copy?"), "{}", unknown.reason);
    let all = Allowed::parse("collecting,hold,change,stale").unwrap();
    for door in [Door::Rollout, Door::Promote, Door::Rollback] {
        assert!(!answer(door, unknown.clone(), &all, None).is_open, "{door:?}");
    }
}

#[test]
fn a_verdict_too_old_shuts_the_doors_unless_the_run_is_over() {
    let running = row(&life("running", START), Some(("continue", "keep_running")));
    assert!(ask(Door::Promote, &running, "", Some(3_600)).is_open);
    let old = ask(Door::Promote, &running, "", Some(3_599));
    assert!(!old.is_open && old.standing.word == Word::Stale, "{old:?}");
    assert_eq!(old.standing.cause, "too_old");
    let graduated = row(&life("graduated", LOOK), Some(("continue", "graduate")));
    assert!(ask(Door::Promote, &graduated, "", Some(1)).is_open, "nothing will look again");
    let twice = aged(old.standing.clone(), Some(1));
    assert_eq!(twice.reason, old.standing.reason);
}

#[test]
fn a_rollback_fires_on_a_fresh_stop_alone() {
    let stopped = row(&life("stopped", LOOK), Some(("stop", "futile")));
    assert!(ask(Door::Rollback, &stopped, "", Some(3_600)).is_open);
    let old = ask(Door::Rollback, &stopped, "", Some(3_599));
    assert!(!old.is_open && old.sentence.contains("does not fire"), "{old:?}");
    assert_eq!(old.standing.word, Word::Stop, "it is still a stop");
    let lives =
        ["draft", "scheduled", "running", "paused", "awaiting_revision", "graduated", "archived"];
    for name in lives {
        for verdict in ["continue", "change", "hold", "collecting"] {
            let row = row(&life(name, START), Some((verdict, "mechanism")));
            let answer = ask(Door::Rollback, &row, "", None);
            assert!(!answer.is_open, "{name} {verdict}: {answer:?}");
        }
    }
    let mut broken = stopped.clone();
    broken.life_json = "{".to_owned();
    assert!(!ask(Door::Rollback, &broken, "", None).is_open);
}

#[test]
fn the_flat_document_has_no_nulls_and_one_set_of_keys() {
    let rows = [
        row(&life("running", START), Some(("continue", "keep_running"))),
        row(&life("running", START), None),
        row(&life("draft", START), None),
    ];
    let mut all: Vec<_> = rows.iter().map(|row| standing(row, at(NOW), LATE_AFTER_MS)).collect();
    all.push(no_such("../\u{7}etc", &[]));
    let mut keys: Option<Vec<String>> = None;
    for standing in all {
        let document = serde_json::to_value(flat(&standing, "http://d")).unwrap();
        let fields = document.as_object().unwrap();
        let is_flat = |value: &Value| !value.is_null() && !value.is_object() && !value.is_array();
        assert!(fields.values().all(is_flat), "{document}");
        let own: Vec<String> = fields.keys().cloned().collect();
        assert_eq!(keys.get_or_insert_with(|| own.clone()), &own);
        assert!(document["url"].as_str().unwrap().starts_with("http://d/"), "{document}");
    }
}

#[test]
fn lengths_of_time_are_read_in_both_forms() {
    for (text, secs) in [("55s", 55), ("10m", 600), ("600", 600), ("2h", 7_200), ("0", 0)] {
        assert_eq!(span_secs(text), Some(secs), "{text}");
    }
    for text in ["", "-5", "ten", "10 m", "1e9", "99999999999999999999"] {
        assert_eq!(span_secs(text), None, "{text}");
    }
}
