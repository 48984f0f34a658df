//! A file that only lacks something is a draft (product.md 4.7); a finished one that loses it is
//! refused and its last good revision stays in force.

use std::sync::Arc;

use judge::lifecycle::{Life, LifeState};
use verdictd::app::App;
use verdictd::clock::{Clock as _, ManualClock, SystemClock};

use super::fakes::home::{Home, Idea, experiment};
use super::fakes::metrics::{Metrics, Mood};

/// Starts the daemon over the folder as it is: the life, the rule in force, files refused.
async fn started(home: &Home) -> (Life, String, usize) {
    let settings = verdictd::settings::load(Some(&home.settings_path()), &[], &[]).unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.domain_now()));
    let app = App::start_manual(settings.settings, clock, None).await.unwrap();
    app.settle().await.unwrap();
    let rows = app.store().experiments().await.unwrap();
    let life: LifeState = serde_json::from_str(&rows[0].life_json).unwrap();
    let loaded = app.inner().portfolio.get("copy").unwrap();
    let rule = loaded.experiment.checkpoint.continue_when.to_string();
    let broken = app.store().broken_files().await.unwrap().len();
    app.shutdown().await.unwrap();
    (life.life, rule, broken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_lacks_its_rule_is_a_draft_and_never_takes_one_away() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    home.settings(&metrics.url(), "");
    let whole = experiment(&Idea { guardrails: super::late::CALM, notify: "", ..Idea::default() });
    let line = whole.lines().find(|line| line.contains("continue_when")).unwrap();
    let lacking = whole.replace(&format!("{line}\n"), "");
    let immature = lacking.replace("    matures_after: 1d\n", "");
    home.put("experiments/copy.yaml", &lacking);
    assert_eq!(started(&home).await, (Life::Draft, String::new(), 0));
    assert_eq!(started(&home).await, (Life::Draft, String::new(), 0), "read again at a restart");
    home.put("experiments/copy.yaml", &immature);
    assert_eq!(started(&home).await, (Life::Draft, String::new(), 0), "another draft of it");
    home.put("experiments/copy.yaml", &whole);
    let (life, rule, broken) = started(&home).await;
    assert_eq!(broken, 0);
    assert_ne!(life, Life::Draft);
    assert!(!rule.is_empty());
    home.put("experiments/copy.yaml", &lacking);
    assert_eq!(started(&home).await, (life, rule, 1), "what it promised is not forgotten");
}
