//! One daemon with an experiment for every word a gate can say.

use reqwest::Method;
use serde_json::json;

use super::super::fakes::daemon::Daemon;
use super::super::fakes::home::{Home, Idea, day_text, experiment};
use super::super::fakes::http::Site;
use super::super::fakes::metrics::{Metrics, Mood};
use super::super::fakes::process::wait_for;

/// An experiment and what gates make of it.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) id: &'static str,
    pub(super) word: &'static str,
    pub(super) cause: &'static str,
    pub(super) is_final: bool,
    /// Whether rollout and promotion open.
    pub(super) opens: bool,
    /// Whether a rollback fires.
    pub(super) fires: bool,
    /// Its exit code in a pipeline.
    pub(super) code: i32,
}

const fn shut(id: &'static str, word: &'static str, cause: &'static str, code: i32) -> Standing {
    Standing { id, word, cause, is_final: false, opens: false, fires: false, code }
}

/// Every word, and every life.
pub(super) const STANDINGS: &[Standing] = &[
    Standing { opens: true, ..shut("going", "continue", "keep_running", 0) },
    Standing { opens: true, is_final: true, ..shut("graduated", "continue", "graduate", 0) },
    shut("changed", "change", "mechanism", 10),
    Standing { is_final: true, fires: true, ..shut("ended", "stop", "no_cycles_left", 20) },
    Standing { is_final: true, fires: true, ..shut("tripped", "stop", "tripped", 21) },
    Standing { is_final: true, fires: true, ..shut("by-hand", "stop", "by_person", 20) },
    shut("held", "hold", "data_missing", 30),
    shut("paused", "hold", "paused", 30),
    Standing { is_final: true, ..shut("archived", "hold", "archived", 30) },
    shut("draft", "hold", "draft", 30),
    shut("early", "collecting", "on_track", 75),
    shut("later", "collecting", "scheduled", 75),
    shut("blind", "stale", "guardrail_blind", 69),
    shut("nobody", "unknown", "no_experiment", 2),
];

pub(super) const SECRETS: [(&str, &str); 2] = [("LEAD_TOKEN", "lead"), ("GATE", "gate-secret")];

/// The daemon, its home, and what it asks.
pub(super) struct World {
    pub(super) daemon: Daemon,
    pub(super) site: Site,
    pub(super) home: Home,
    address: String,
    _metrics: [Metrics; 2],
}

/// Never trips.
const CALM: &str = "  calm: {threshold: {source: prom, value: p95_ms, at_most: 4000}, every: 1h, \
                    on_trip: alert}\n";
/// Trips at its first look.
const TRIPS: &str = "  latency: {threshold: {source: prom, value: p95_ms, at_most: 400}, \
                     every: 1s, on_trip: stop}\n";
/// Its source fails.
const BLIND: &str = "  latency: {threshold: {source: dead, value: p95_ms, at_most: 400}, \
                     every: 1s, on_trip: stop}\n";

fn write(home: &Home, id: &str, guardrails: &str, changes: &[(&str, &str)]) {
    let mut text = experiment(&Idea { id, guardrails, ..Idea::default() });
    text = text.replace("notify: [hook]", "notify: []");
    for (from, to) in changes {
        assert!(text.contains(from), "{id}: no {from} in {text}");
        text = text.replace(from, to);
    }
    home.put(&format!("experiments/{id}.yaml"), text);
}

fn experiments(home: &Home) {
    let (today, later, start) = (day_text(-1), day_text(10), day_text(-7));
    let at = format!("at: {today}");
    let unmet = ("started >= +10%", "started >= +90%");
    write(home, "going", CALM, &[]);
    write(home, "graduated", CALM, &[("every: 7d\n  cycles: 2", &at)]);
    write(home, "changed", CALM, &[unmet]);
    write(home, "ended", CALM, &[unmet, ("every: 7d\n  cycles: 2", "every: 7d\n  cycles: 1")]);
    write(home, "tripped", TRIPS, &[]);
    write(home, "by-hand", CALM, &[("every: 7d\n  cycles", "every: 30d\n  cycles")]);
    write(home, "held", CALM, &[("file: finished.csv", "file: missing.csv")]);
    write(home, "paused", CALM, &[]);
    write(home, "archived", CALM, &[]);
    write(home, "draft", CALM, &[("if_it_works: growth makes it the default\n", "")]);
    write(home, "early", CALM, &[("every: 7d\n  cycles", "every: 30d\n  cycles")]);
    write(home, "later", CALM, &[(&format!("start: {start}"), &format!("start: {later}"))]);
    write(home, "blind", BLIND, &[]);
}

impl World {
    /// With everything settled.
    pub(super) async fn start() -> Self {
        Self::build("", None).await
    }

    /// On a port that stays the same.
    pub(super) async fn start_on(port: u16) -> Self {
        Self::build("", Some(port)).await
    }

    /// With more settings.
    pub(super) async fn with(rest: &str) -> Self {
        Self::build(rest, None).await
    }

    async fn build(rest: &str, port: Option<u16>) -> Self {
        let home = Home::new();
        let metrics = [Metrics::start(Mood::Slow).await, Metrics::start(Mood::Failing).await];
        let more = format!(
            "[[http.tokens]]\nname = \"growth-lead\"\ntoken = {{env = \"LEAD_TOKEN\"}}\n\
             [sources.dead.prometheus]\nurl = \"{}\"\nquery_delay_secs = 0\n\
             timeout_secs = 2\n{rest}",
            metrics[1].url()
        );
        let settings = home.settings(&metrics[0].url(), &more);
        if let Some(port) = port {
            let text = std::fs::read_to_string(&settings).unwrap();
            let text = text.replace("127.0.0.1:0\"", &format!("127.0.0.1:{port}\""));
            std::fs::write(&settings, text).unwrap();
        }
        experiments(&home);
        let mut daemon = Daemon::start(&settings, &SECRETS, home.path().join("daemon.log"));
        let address = tokio::task::block_in_place(|| daemon.address());
        let site = Site::new(&address);
        let world = Self { daemon, site, home, address, _metrics: metrics };
        world.settle().await;
        world
    }

    /// People decide where people decide, and every experiment stands where it should.
    async fn settle(&self) {
        for (id, action) in [("by-hand", "stop"), ("paused", "pause"), ("archived", "archive")] {
            self.wait_for_look(id).await;
            self.decide(id, action).await;
        }
        for standing in STANDINGS {
            let path = format!("/api/v1/experiments/{}/verdict", standing.id);
            let mut newest = String::new();
            let stands = wait_for(standing.id, || async {
                let flat = self.site.json(&path).await;
                (flat["verdict"] == standing.word && flat["cause"] == standing.cause).then_some(())
            });
            let patience = std::time::Duration::from_mins(1);
            if tokio::time::timeout(patience, stands).await.is_err() {
                newest.push_str(&self.site.get(&path).await.body);
                panic!("{standing:?} stands at {newest}\n{}", self.daemon.log());
            }
        }
    }

    async fn wait_for_look(&self, id: &str) {
        let path = format!("/api/v1/experiments/{id}");
        wait_for("a first look", || async {
            let answer = self.site.get(&path).await;
            (answer.status == 200 && answer.json()["last"]["track"] == "look").then_some(())
        })
        .await;
    }

    /// As the growth lead.
    pub(super) async fn decide(&self, id: &str, action: &str) {
        let body = json!({"experiment": id, "decision": action, "because": "the test says so"});
        let headers = [("content-type", "application/json"), ("authorization", "Bearer lead")];
        let body = body.to_string().into_bytes();
        let answer = self.site.send(Method::POST, "/api/v1/decisions", &headers, body).await;
        assert_eq!(answer.status, 201, "{id} {action}: {answer:?}");
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Nothing panicked.
    pub(super) fn stop(mut self) {
        tokio::task::block_in_place(|| self.daemon.stop());
        assert!(!self.daemon.log().contains("panicked"), "{}", self.daemon.log());
    }
}
