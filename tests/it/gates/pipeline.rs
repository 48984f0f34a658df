//! `verdictd gate` as a step of a pipeline: exit codes, waiting, summaries.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use super::super::fakes::daemon::{command, run, text};
use super::super::fakes::process::{free_port, wait_for};
use super::examples::steps;
use super::world::{STANDINGS, World};

fn gate(world: &World, arguments: &[&str]) -> Output {
    let url = world.url("");
    let mut all = vec!["gate"];
    all.extend(arguments);
    all.extend(["--url", url.as_str()]);
    tokio::task::block_in_place(|| run(&all, &[]))
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_are_the_same_from_the_daemon_and_from_the_store() {
    let world = World::start().await;
    let settings = world.home.settings_path();
    let settings = settings.to_str().unwrap();
    let secrets = [("LEAD_TOKEN", "lead")];
    for standing in STANDINGS {
        let asked = gate(&world, &[standing.id]);
        assert_eq!(asked.status.code(), Some(standing.code), "{standing:?} {asked:?}");
        let read = tokio::task::block_in_place(|| {
            run(&["gate", standing.id, "--config", settings, "--json"], &secrets)
        });
        assert_eq!(read.status.code(), Some(standing.code), "{standing:?} {read:?}");
        let document: Value = serde_json::from_str(&text(&read.stdout)).unwrap();
        assert_eq!(document["verdict"], standing.word);
        assert_eq!(document["exit_code"], standing.code);
        let said = text(if standing.code == 2 { &asked.stderr } else { &asked.stdout });
        assert_eq!(said.lines().count(), 1, "one sentence: {said}");
        assert!(said.contains(standing.id), "{said}");
    }
    let leave = gate(&world, &["early", "--allow", "collecting,hold"]);
    assert_eq!(leave.status.code(), Some(0), "{leave:?}");
    assert!(text(&leave.stdout).contains("(allowed here)"));
    let old = gate(&world, &["going", "--max-age", "1s"]);
    assert_eq!(old.status.code(), Some(69), "{old:?}");
    world.stop();
}

#[test]
fn wrong_calls_and_lost_daemons_have_codes_of_their_own() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (arguments, code) in [
        (vec!["gate", "x", "--url", &nobody], 69),
        (vec!["gate", "x", "--url", &nobody, "--wait", "1s"], 69),
        (vec!["gate", "x", "--url", "nowhere"], 2),
        (vec!["gate", "x", "--url", "ftp://a"], 2),
        (vec!["gate", "x", "--url", &nobody, "--allow", "stop"], 2),
        (vec!["gate", "x", "--url", &nobody, "--wait", "soon"], 2),
        (vec!["gate", "x", "--url", &nobody, "--wait", "8d"], 2),
        (vec!["gate", "x", "--url", &nobody, "--token-env", "NOT_SET"], 2),
        (vec!["gate", "x", "--until", "decided"], 2),
        (vec!["gate", "x", "--set", "store.path=/nowhere/at.db"], 69),
        (vec!["gate"], 2),
    ] {
        let ended = run(&arguments, &[]);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?} {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_until_somebody_decides() {
    let world = World::start().await;
    let (url, settings) = (world.url(""), world.home.settings_path());
    let places = [["--url", url.as_str()], ["--config", settings.to_str().unwrap()]];
    for (id, place) in ["early", "held"].into_iter().zip(places) {
        let mut waiting = command();
        waiting.args(["gate", id, "--wait", "5m", "--until", "decided", "--allow"]);
        waiting.args(["collecting,hold"]).args(place).env("LEAD_TOKEN", "lead");
        let waiting = waiting.stdout(std::process::Stdio::piped()).spawn().unwrap();
        world.decide(id, "stop").await;
        let patience = Duration::from_mins(1);
        let ended = tokio::task::spawn_blocking(move || waiting.wait_with_output().unwrap());
        let ended = tokio::time::timeout(patience, ended).await.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(20), "{id} {ended:?}");
        assert!(text(&ended.stdout).contains("growth-lead decided so"), "{ended:?}");
    }
    let quick = gate(&world, &["changed", "--wait", "5m"]);
    assert_eq!(quick.status.code(), Some(10), "a decision is not waited out");
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn summaries_are_written_where_they_are_wanted() {
    let world = World::start().await;
    let own = world.home.path().join("own.md");
    let theirs = world.home.path().join("step.md");
    std::fs::write(&theirs, "# Earlier\n").unwrap();
    let url = world.url("");
    let arguments = ["gate", "going", "--url", &url, "--summary", own.to_str().unwrap()];
    let variables = [("GITHUB_STEP_SUMMARY", theirs.to_str().unwrap())];
    let ended = tokio::task::block_in_place(|| run(&arguments, &variables));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let summary = std::fs::read_to_string(own).unwrap();
    assert!(
        summary.starts_with("### ✅ verdictd: continue (keep&#95;running) - going"),
        "{summary}"
    );
    assert!(summary.contains("| started &gt;= +10% |"), "{summary}");
    assert!(summary.contains("| guardrail | state |"), "{summary}");
    let step = std::fs::read_to_string(theirs).unwrap();
    assert_eq!(step, format!("# Earlier\n{summary}"), "appended");
    let link = summary.split("[Read on](").nth(1).unwrap().split(')').next().unwrap();
    let path = link.strip_prefix(&url).unwrap();
    wait_for("the page behind the link", || async {
        (world.site.get(path).await.status == 200).then_some(())
    })
    .await;
    let mut place = world.home.path().join("none");
    place.push("summary.md");
    let lost = gate(&world, &["going", "--summary", place.to_str().unwrap()]);
    assert_eq!(lost.status.code(), Some(0), "a summary changes no verdict");
    assert!(text(&lost.stderr).contains("could not be written"), "{lost:?}");
    world.stop();
}

/// The commands of the pipeline examples are commands of this program.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_the_examples_run() {
    let world = World::start().await;
    for step in steps() {
        for (id, code) in [("going", 0), ("tripped", 21), ("changed", 10)] {
            let step = step.replace("$EXPERIMENT", id);
            let step = step.replace("http://verdictd.ops:8087", &world.url(""));
            let words: Vec<String> =
                step.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect();
            assert_eq!(words[0], "verdictd");
            let mut arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            // As old as the test's checkpoints.
            for argument in &mut arguments {
                *argument = if *argument == "36h" { "60d" } else { *argument };
            }
            let mut command = command();
            command.args(&arguments).env("GATE_TOKEN", "x").current_dir(world.home.path());
            let ended = tokio::task::block_in_place(|| command.output().unwrap());
            assert_eq!(ended.status.code(), Some(code), "{step} {ended:?}");
        }
    }
    world.stop();
}
