//! Counts beside the signals from real exports, through the whole daemon: units that saw both arms,
//! and units that a signal could have counted.

use std::fmt::Write as _;
use std::sync::Arc;

use judge::decide::{AlarmCause, AlarmKind, Cause, Reason};
use judge::record::EvaluationRecord;
use judge::time::{DAY_MS, Timestamp, add_ms};
use verdictd::app::App;
use verdictd::clock::ManualClock;

use super::fakes::home::{Home, Idea, day_text, experiment};

/// Judged by the look itself, so that nothing needs a metrics server.
const CALM: &str = "  starts: {no_worse_than: {margin: 2pts, signal: started}, on_trip: alert}\n";
const DAYS: i64 = 6;

fn midnight(days: i64) -> Timestamp {
    format!("{}T00:00:00Z", day_text(days)).parse().unwrap()
}

/// One row per arm and day, for the days of the run.
fn rows(head: &str, arms: &[(&str, &str)]) -> String {
    let mut text = format!("{head}\n");
    for day in (-7..-7 + DAYS).map(day_text) {
        for (arm, numbers) in arms {
            writeln!(text, "{day},{arm}{numbers}").unwrap();
        }
    }
    text
}

/// The records of a daily look for six days, oldest first, with a daemon started anew before each.
async fn play(home: &Home, text: String) -> Vec<EvaluationRecord> {
    home.put("experiments/copy.yaml", text);
    let path = home.settings("http://127.0.0.1:9", "");
    for day in 0..=DAYS {
        let settings = verdictd::settings::load(Some(&path), &[], &[]).unwrap().settings;
        let clock = Arc::new(ManualClock::new(add_ms(midnight(-7), day * DAY_MS)));
        let app = App::start_manual(settings, clock, None).await.unwrap();
        app.settle().await.unwrap();
        app.shutdown().await.unwrap();
    }
    let store = home.store();
    let mut records = Vec::new();
    for row in store.evaluations("copy", None, 100).await.unwrap().iter().rev() {
        let (_, json) = store.evaluation("copy", row.number).await.unwrap().unwrap();
        records.push(EvaluationRecord::from_json(&json).unwrap());
    }
    records
}

fn idea() -> String {
    experiment(&Idea { guardrails: CALM, notify: "", ..Idea::default() })
}

fn with(text: &str, after: &str, more: &str) -> String {
    let at = text.find(after).unwrap() + after.len();
    format!("{}{more}{}", &text[..at], &text[at..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_units_of_an_export_hold() {
    let home = Home::new();
    // 3 % of 2,000 users a day where 1 % is tolerated: 60 are 9 standard errors (4.4) above 20.
    home.put("data/exposed.csv", rows("day,in_both,users", &[("60", ",2000")]));
    let ask = "  multiple_exposure:\n    at_most: 1%\n    source: warehouse\n    \
               query: {file: exposed.csv, time: day, mixed: in_both, units: users}\n";
    let records = play(&home, with(&idea(), "treatment: treatment\n", ask)).await;
    let holds = records.iter().filter(|record| record.decision.cause == Cause::MultipleExposure);
    let counted: Vec<_> = holds
        .filter_map(|record| match record.decision.reasons.first()? {
            Reason::MultipleExposure { mixed, units, limit, p } => {
                assert!(*p < 0.001, "{p}");
                Some((*mixed, *units, *limit))
            }
            _ => None,
        })
        .collect();
    let expected: Vec<_> =
        (1..=DAYS).map(|day| (60.0 * day as f64, 2_000.0 * day as f64, 0.01)).collect();
    assert_eq!(counted, expected, "every look of the run, with what had come until then");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eligible_units_of_an_export_show_a_cohort_that_narrowed() {
    let home = Home::new();
    // Of 1,000 sign-ups a day and arm all are counted in the control and 600 in the treatment, of
    // which as many finish as in the control: nobody does more, the share is 45 % against 27 %.
    let finished = [("control", ",270,1000"), ("treatment", ",270,600")];
    home.put("data/finished.csv", rows("day,arm,num,den", &finished));
    let signups = [("control", ",1000"), ("treatment", ",1000")];
    home.put("data/signups.csv", rows("day,arm,signups", &signups));
    let query = "query: {file: finished.csv, time: day, arm: arm, num: num, den: den}\n";
    let ask = "    eligible:\n      source: warehouse\n      \
               query: {file: signups.csv, time: day, arm: arm, units: signups}\n";
    let records = play(&home, with(&idea(), query, ask)).await;
    let newest = records.last().unwrap();
    let alarm = newest.alarms.iter().find(|alarm| alarm.kind == AlarmKind::Theatre).unwrap();
    assert_eq!(
        (alarm.subject.as_str(), alarm.cause),
        ("finished", Some(AlarmCause::CohortNarrowed))
    );
    let number = |name: &str| alarm.numbers.get(name).copied().unwrap();
    assert!((number("coverage") - 0.6).abs() < 1e-9, "{alarm:?}");
    assert!((number("coverage_change") + 0.4).abs() < 1e-9, "{alarm:?}");
}
