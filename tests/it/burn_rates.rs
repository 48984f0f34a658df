//! The clocks of burn-rate alerts survive restarts: a daemon that is started anew before every
//! look says what one says that never stops.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use judge::analyse::GuardrailState;
use judge::record::EvaluationRecord;
use judge::time::{DAY_MS, Timestamp, add_ms};
use verdictd::app::App;
use verdictd::clock::ManualClock;

const DAYS: i64 = 20;

const EXPERIMENT: &str = "experiment: burning
title: A budget that is spent for four days
owner: {name: Nobody, contact: \"#nobody\"}
can_stop: [tester]
aim: {signal: outcome, behaviour: users do it, from: 27%, to: 35%, by: 2027-06-30}
mechanism: {we_believe: another page, will_move: outcome, because: it is clearer}
reversible: yes
if_it_works: the team keeps it
compare: {design: baseline}
start: 2027-01-04
plan: {units_per_week: 1400}
signals:
  step:
    {role: proxy, form: proportion, want: up, from: 40%, matures_after: 0d, source: exports,
      query: {file: none.csv, time: time, num: num, den: den}}
  outcome:
    {role: outcome, form: proportion, want: up, from: 27%, matures_after: 0d, source: exports,
      query: {file: none.csv, time: time, num: num, den: den}}
checkpoint: {at: 2027-02-28, continue_when: step >= +10% and outcome >= +3pts}
guardrails:
  errors:
    slo:
      objective: 99.9%
      source: exports
      query: {file: errors.csv, time: time, bad: bad, total: total}
      budget: {rolling: 28d}
      burn: [{severity: page, factor: 2, long: 3d, short: 1d, for: 2d}]
    on_trip: alert
    keep_firing_for: 2d
    every: 1d
rollback: {plan: https://wiki.example.com/undo}
review: {every: 7d, minutes: 15}
";

fn midnight(day: i64) -> Timestamp {
    add_ms("2027-01-04T00:00:00Z".parse().unwrap(), day * DAY_MS)
}

fn put(folder: &Path) {
    for place in ["experiments", "data"] {
        std::fs::create_dir_all(folder.join(place)).unwrap();
    }
    std::fs::write(folder.join("experiments/burning.yaml"), EXPERIMENT).unwrap();
    let mut text = "time,bad,total\n".to_owned();
    for day in 0..DAYS {
        let bad = if (9..13).contains(&day) { 100 } else { 0 };
        writeln!(text, "{},{bad},10000", midnight(day)).unwrap();
    }
    std::fs::write(folder.join("data/errors.csv"), text).unwrap();
    let place = |name: &str| folder.join(name).display().to_string();
    let settings = format!(
        "[daemon]\nexperiments = '{}'\n[store]\npath = '{}'\n[scheduler]\njitter = false\n\
         [sources.exports.csv]\nfolder = '{}'\nstable_for_polls = 1\nsettled_after_secs = 0\n",
        place("experiments"),
        place("verdictd.db"),
        place("data")
    );
    std::fs::write(folder.join("verdictd.toml"), settings).unwrap();
}

/// Twenty days; every transition of the guardrail with its day.
async fn play(restarts: bool) -> Vec<(i64, GuardrailState)> {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path());
    let file = folder.path().join("verdictd.toml");
    let start = async |at| {
        let settings = verdictd::settings::load(Some(&file), &[], &[]).unwrap().settings;
        let clock = Arc::new(ManualClock::new(at));
        (App::start_manual(settings, clock.clone(), None).await.unwrap(), clock)
    };
    let (mut app, mut clock) = start(add_ms(midnight(0), -1)).await;
    for day in 0..=DAYS {
        clock.advance_to(midnight(day));
        app.settle().await.unwrap();
        if restarts {
            app.shutdown().await.unwrap();
            (app, clock) = start(midnight(day)).await;
        }
    }
    let rows = app.store().evaluations("burning", None, 10_000).await.unwrap();
    let mut seen = Vec::new();
    for row in rows.iter().rev() {
        let (_, json) = app.store().evaluation("burning", row.number).await.unwrap().unwrap();
        let record = EvaluationRecord::from_json(&json).unwrap();
        if record.track == "guardrail:errors" {
            let day = (record.input.at.as_millisecond() - midnight(0).as_millisecond()) / DAY_MS;
            seen.push((day, record.guardrails[0].state));
        }
    }
    app.shutdown().await.unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_and_keep_firing_for_survive_a_restart_before_every_look() {
    // Days 9 to 12 have 1 % errors: 0.33 % of three days and 1 % of one are above 2 x 0.1 % from
    // the look of day 10 on. `for: 2d` ends on day 12; the last bad day leaves the short window on
    // day 14, and `keep_firing_for: 2d` ends on day 16. Then it burns: 400 bad are more than
    // the 280 that 28 days of 10,000 may have, and beyond chance (standard error 17).
    use GuardrailState::{Burning, Tripped};
    let straight = play(false).await;
    let changes: Vec<_> = straight.iter().copied().filter(|(day, _)| *day > 5).collect();
    assert_eq!(changes, [(12, Tripped), (16, Burning)], "{straight:?}");
    assert_eq!(play(true).await, straight);
}
