//! The examples of `deploy/`: they parse, their routes and keys exist, their conditions hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::fakes::rollouts::{Argo, Flagger, Phase, holds};
use super::world::{STANDINGS, World};

/// Where every example says the daemon is.
const HOST: &str = "http://verdictd.ops:8087";

fn text(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(name: &str) -> Value {
    judge::spec::plain_yaml(name, &text(name)).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn every_example_parses() {
    for name in [
        "flagger/canary.yaml",
        "argo-rollouts/analysis-template.yaml",
        "github/workflow.yaml",
        "gitlab/.gitlab-ci.yml",
        "keptn/analysis.yaml",
    ] {
        assert!(yaml(name).is_object(), "{name}");
        assert!(text(name).starts_with("# "), "{name} says what it is");
    }
    let stage: Value = serde_json::from_str(&text("spinnaker/webhook-stage.json")).unwrap();
    assert_eq!(stage["type"], "webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_of_the_example_goes_by_the_verdict() {
    let world = World::start().await;
    let canary = yaml("flagger/canary.yaml");
    let webhooks = canary["spec"]["analysis"]["webhooks"].as_array().unwrap().clone();
    let kinds: Vec<&str> = webhooks.iter().map(|hook| hook["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"]
    );
    for (id, expected) in [
        ("going", [true, true, true, false]),
        ("early", [true, true, false, false]),
        ("tripped", [false, false, false, true]),
        ("blind", [false, false, false, false]),
        ("nobody", [false, false, false, false]),
    ] {
        let mut seen = Vec::new();
        for hook in &webhooks {
            let timeout = hook["timeout"].as_str().unwrap().trim_end_matches('s');
            let retries = hook["retries"].as_str().unwrap().parse().unwrap();
            let flagger = Flagger::new(Duration::from_secs(timeout.parse().unwrap()), retries);
            let url = hook["url"].as_str().unwrap();
            let url = url.replace(HOST, &world.url(""));
            let mut metadata = hook["metadata"].clone();
            assert_eq!(metadata["experiment"], "checkout-copy");
            metadata["experiment"] = json!(id);
            let called = flagger.call(&url, metadata).await;
            assert_ne!(called.status, Some(404), "{url}");
            seen.push(called.passes());
        }
        assert_eq!(seen, expected, "{id}");
    }
    world.stop();
}

/// The three classes: continue is a success, stop a failure, everything else inconclusive.
fn class(word: &str) -> Phase {
    match word {
        "continue" => Phase::Successful,
        "stop" => Phase::Failed,
        _ => Phase::Inconclusive,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_analysis_of_the_example_puts_every_word_into_its_class() {
    let world = World::start().await;
    let template = yaml("argo-rollouts/analysis-template.yaml");
    let metric = &template["spec"]["metrics"][0];
    for standing in STANDINGS {
        let mut argo = Argo::new(metric, &BTreeMap::from([("experiment", standing.id)]));
        assert!(argo.url.starts_with(HOST), "{}", argo.url);
        // The verdicts of the test are as old as its checkpoints; nobody waits for news here.
        argo.url = argo.url.replace(HOST, &world.url("")).replace("wait=45s", "wait=0s");
        argo.url = argo.url.replace("max_age=36h", "max_age=60d");
        let (phase, result) = argo.measure().await;
        assert_eq!(phase, class(standing.word), "{standing:?} {result}");
        let flat = result.as_object().unwrap();
        assert!(flat.values().all(|value| !value.is_null()), "{result}");
        // The stricter condition of the example's comment.
        let over = "result.verdict == \"continue\" && result.final == true";
        assert!(text("argo-rollouts/analysis-template.yaml").contains(over));
        assert_eq!(holds(over, &result), Some(standing.id == "graduated"));
    }
    let timeout: u64 =
        metric["provider"]["web"]["timeoutSeconds"].as_str().unwrap().parse().unwrap();
    assert!(timeout > 45, "longer than the answer is kept back");
    world.stop();
}

/// Paths and queries that pipelines fetch, and the key that is read.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_examples_ask_routes_that_answer() {
    let world = World::start().await;
    let stage: Value = serde_json::from_str(&text("spinnaker/webhook-stage.json")).unwrap();
    let path = stage["url"].as_str().unwrap().strip_prefix(HOST).unwrap();
    let key = stage["statusJsonPath"].as_str().unwrap().strip_prefix("$.").unwrap();
    for (id, word) in [("going", "continue"), ("tripped", "stop"), ("early", "collecting")] {
        let document = world.site.json(&path.replace("checkout-copy", id)).await;
        assert_eq!(document[key], word, "{document}");
    }
    assert_eq!(
        (&stage["successStatuses"], &stage["terminalStatuses"]),
        (&json!("continue"), &json!("stop"))
    );

    let jobs = yaml("gitlab/.gitlab-ci.yml");
    let line = jobs["verdict-by-curl"]["script"][0].as_str().unwrap();
    let url = line.split('"').nth(1).unwrap();
    for (id, status) in [("going", 200), ("tripped", 403), ("early", 403)] {
        let path = url.strip_prefix(HOST).unwrap().replace("$EXPERIMENT", id);
        let answer = world.site.get(&path.replace("wait=50s", "wait=0s")).await;
        assert_eq!(answer.status, status, "{id} {answer:?}");
    }
    world.stop();
}

/// Every `verdictd` command of the pipeline examples.
pub(super) fn steps() -> Vec<String> {
    let workflow = yaml("github/workflow.yaml");
    let of_github = workflow["jobs"]["gate"]["steps"][0]["run"].as_str().unwrap().to_owned();
    let jobs = yaml("gitlab/.gitlab-ci.yml");
    let of_gitlab = jobs["verdict"]["script"][0].as_str().unwrap().to_owned();
    vec![of_github, of_gitlab]
}
