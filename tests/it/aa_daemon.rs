//! Twenty runs in which nothing happens, through the whole daemon: files, CSV exports, scheduler,
//! store. Look by look the recorded verdict, cause and outcome state are those of the pure judge
//! on the same data, so the error rates measured there (docs/statistics.md) are the daemon's.

#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

#[path = "../../crates/judge/tests/false_verdicts/designs.rs"]
mod designs;
#[path = "../../crates/judge/tests/false_verdicts/dice.rs"]
mod dice;
#[path = "../../crates/judge/tests/false_verdicts/play.rs"]
mod play;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use judge::decide::Verdict;
use judge::points::{ALL, Point, Sums};
use judge::record::EvaluationRecord;
use judge::time::add_ms;
use verdictd::app::App;
use verdictd::clock::ManualClock;

use designs::{Design, Run, midnight};
use play::{Player, Said, asked};

/// Looks of every run, one a day.
const LOOKS: i64 = 30;
/// Three runs per design as they come, and one in which chance makes the judge stop early.
fn seeds(design: Design) -> [u64; 4] {
    let stopped = match design {
        Design::TwoArms => 36,
        Design::StatedBaseline => 719,
        Design::Mean => 223,
        Design::PairedSeries => 550,
        Design::RareEvents => 280,
    };
    [0, 1, 2, stopped]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_says_what_the_pure_judge_says() {
    let folder = folder();
    let runs: Vec<Run> = Design::ALL
        .into_iter()
        .flat_map(|design| seeds(design).map(|seed| Run::new(design, seed, LOOKS)))
        .collect();
    for run in &runs {
        put(run, folder.path());
    }
    let app = serve(folder.path()).await;
    let mut stops = 0;
    for run in &runs {
        let (said, recorded) = (pure(run), recorded(&app, run).await);
        assert_eq!(recorded, said, "{} {}", run.design.name(), run.experiment.id);
        let last = said.last().unwrap();
        if last.at < midnight(LOOKS) {
            assert_eq!(last.verdict, Verdict::Stop, "{last:?}");
            stops += 1;
        }
    }
    assert_eq!((runs.len(), stops), (20, 5), "a run of each design stops before its checkpoint");
    app.shutdown().await.unwrap();
}

/// In memory where the system has such a place: 1,500 durable commits are not what is tested.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What the pure judge says until it stops or has been at the checkpoint.
fn pure(run: &Run) -> Vec<Said> {
    let mut player = Player::new(run);
    let mut all = Vec::new();
    for day in 1..=run.looks {
        all.extend(player.day(day, &mut |experiment, name, cycle, at, points| {
            asked(experiment, experiment.signal(name).unwrap(), cycle, at, points)
        }));
        if all.iter().any(|said| said.verdict == Verdict::Stop) {
            break;
        }
    }
    all
}

/// Looks and trips that the daemon wrote, oldest first.
async fn recorded(app: &App, run: &Run) -> Vec<Said> {
    let id = &run.experiment.id;
    let rows = app.store().evaluations(id, None, 10_000).await.unwrap();
    let mut all = Vec::new();
    for row in rows.iter().rev() {
        let (_, json) = app.store().evaluation(id, row.number).await.unwrap().unwrap();
        let said = Said::of(&EvaluationRecord::from_json(&json).unwrap());
        if said.track == "look" || said.verdict == Verdict::Stop {
            all.push(said);
        }
    }
    all
}

/// The daemon from the evening before the start to the checkpoint.
async fn serve(folder: &Path) -> App {
    let settings = folder.join("verdictd.toml");
    std::fs::write(&settings, settings_text(folder)).unwrap();
    let loaded = verdictd::settings::load(Some(&settings), &[], &[]).unwrap();
    let mut at = add_ms(midnight(0), -1);
    let clock = Arc::new(ManualClock::new(at));
    let app = App::start_manual(loaded.settings, clock.clone(), None).await.unwrap();
    loop {
        app.settle().await.unwrap();
        let due = app.next_due().await.unwrap();
        match due.filter(|due| *due > at && *due <= midnight(LOOKS)) {
            Some(next) => at = next,
            None => return app,
        }
        clock.advance_to(at);
    }
}

fn settings_text(folder: &Path) -> String {
    let place = |name: &str| folder.join(name).display().to_string();
    format!(
        "[daemon]\nexperiments = '{}'\n[store]\npath = '{}'\n[scheduler]\njitter = false\n\
         [sources.exports.csv]\nfolder = '{}'\nstable_for_polls = 1\nsettled_after_secs = 0\n",
        place("experiments"),
        place("verdictd.db"),
        place("data")
    )
}

/// Writes the experiment file and one export per series.
fn put(run: &Run, folder: &Path) {
    let (experiments, data) = (folder.join("experiments"), folder.join("data"));
    for place in [&experiments, &data] {
        std::fs::create_dir_all(place).unwrap();
    }
    let id = &run.experiment.id;
    std::fs::write(experiments.join(format!("{id}.yaml")), &run.text).unwrap();
    for (name, points) in &run.series {
        let text = export(name, points);
        std::fs::write(data.join(format!("{id}_{name}.csv")), text).unwrap();
    }
}

/// One row per period and arm, with the columns the file names.
fn export(series: &str, points: &[Point]) -> String {
    let first = &points[0];
    let columns = match (series, first.sums) {
        ("errors", _) => "bad,total",
        (_, Sums::Mean { .. }) => "n,sum,sum_sq",
        (_, Sums::Value { .. }) => "value",
        _ => "num,den",
    };
    let width = columns.split(',').count();
    let has_arms = first.arm != ALL;
    let arm = if has_arms { "arm," } else { "" };
    let mut text = format!("time,{arm}{columns}\n");
    for point in points {
        let arm = if has_arms { format!("{},", point.arm) } else { String::new() };
        let sums = point.sums.to_array();
        let sums: Vec<String> = sums[..width].iter().map(f64::to_string).collect();
        writeln!(text, "{},{arm}{}", point.start, sums.join(",")).unwrap();
    }
    text
}
