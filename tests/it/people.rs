//! What people say to a daemon at awkward moments: before the first look, at the end, after a
//! split mismatch. On a clock of its own, through the same calls as the terminal and the API.

use std::sync::Arc;

use judge::decide::{Cause, Verdict};
use judge::lifecycle::{HumanAction, HumanDecision, Life, LifeState};
use judge::record::EvaluationRecord;
use judge::time::{Timestamp, add_ms};
use verdictd::app::App;
use verdictd::clock::ManualClock;
use verdictd::cycle::human::{Decree, acknowledge, decide};
use verdictd::store::{LogFilter, Store};

use super::fakes::home::{Home, Idea, day_text};
use super::fakes::metrics::{Metrics, Mood};

const HOUR_MS: i64 = 3_600_000;
const STOP_ON_LATENCY: &str = "  latency: {threshold: {source: prom, value: p95_ms, \
     at_most: 400}, every: 1h, on_trip: stop}\n";

fn midnight(days: i64) -> Timestamp {
    format!("{}T00:00:00Z", day_text(days)).parse().unwrap()
}

struct Desk {
    home: Home,
    metrics: Metrics,
    clock: Arc<ManualClock>,
    app: App,
}

impl Desk {
    async fn open(guardrails: &str, bend: impl Fn(String) -> String) -> Self {
        let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
        let idea = Idea { guardrails, notify: "", ..Idea::default() };
        let text = bend(super::fakes::home::experiment(&idea));
        home.put("experiments/copy.yaml", text);
        let path = home.settings(&metrics.url(), "");
        let loaded = verdictd::settings::load(Some(&path), &[], &[]).unwrap();
        let clock = Arc::new(ManualClock::new(add_ms(midnight(-7), -HOUR_MS)));
        let app = App::start_manual(loaded.settings, clock.clone(), None).await.unwrap();
        Self { home, metrics, clock, app }
    }

    fn store(&self) -> &Store {
        self.app.store()
    }

    async fn play(&self, to: Timestamp) {
        loop {
            self.app.settle().await.unwrap();
            let due = self.app.next_due().await.unwrap();
            match due.filter(|due| *due <= to) {
                Some(due) => self.clock.advance_to(due),
                None => break,
            }
        }
        self.clock.advance_to(to);
        self.app.settle().await.unwrap();
    }

    async fn life(&self) -> LifeState {
        let context = self.store().context("copy").await.unwrap().unwrap();
        serde_json::from_str(&context.life_json).unwrap()
    }

    async fn newest_look(&self) -> EvaluationRecord {
        let rows = self.store().evaluations("copy", None, 100).await.unwrap();
        let row = rows.into_iter().find(|row| row.track == "look").unwrap();
        let (_, json) = self.store().evaluation("copy", row.number).await.unwrap().unwrap();
        EvaluationRecord::from_json(&json).unwrap()
    }

    async fn says(&self, who: &str, action: HumanAction, at: Timestamp) -> Result<(), String> {
        let decision =
            HumanDecision { who: who.to_owned(), because: "we looked".to_owned(), action };
        let decree =
            Decree { experiment: "copy", decision, is_admin: false, evaluation_id: None, at };
        decide(self.store(), decree).await.map(drop).map_err(|error| error.to_string())
    }

    async fn log(&self, kind: &str) -> Vec<String> {
        let filter = LogFilter { limit: 1_000, ..LogFilter::default() };
        let rows = self.store().decisions(filter).await.unwrap();
        let rows = rows.into_iter().filter(|row| row.entry.kind == kind);
        rows.map(|row| row.entry.text).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_may_be_acknowledged_before_any_look_has_seen_it() {
    let desk = Desk::open(
        "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, \
         every: 1h, on_trip: alert}\n",
        |text| text,
    )
    .await;
    desk.play(add_ms(midnight(-4), HOUR_MS)).await;
    assert_eq!(desk.newest_look().await.decision.verdict, Verdict::Collecting);
    // The export moves to another file while running; it is acknowledged before the next look.
    let text = std::fs::read_to_string(desk.home.experiments().join("copy.yaml")).unwrap();
    let finished = std::fs::read(desk.home.data().join("finished.csv")).unwrap();
    desk.home.put("data/completed.csv", finished);
    desk.home
        .put("experiments/copy.yaml", text.replace("file: finished.csv", "file: completed.csv"));
    desk.app.settle().await.unwrap();
    let at = add_ms(midnight(-4), 2 * HOUR_MS);
    let nobody = acknowledge(desk.store(), "copy", " ", "why", at).await.unwrap_err();
    assert_eq!(nobody.to_string(), "a decision needs a name");
    let seen = acknowledge(desk.store(), "copy", "ana", "the same table", at).await.unwrap();
    assert!(seen.signals.contains(&"finished".to_owned()) && !seen.split, "{seen:?}");
    desk.play(add_ms(midnight(-3), 1)).await;
    let look = desk.newest_look().await;
    assert_eq!((look.decision.verdict, look.input.unacknowledged.len()), (Verdict::Collecting, 0));
    assert!(desk.log("acknowledged").await.iter().any(|text| text.contains("the same table")));
    let idle = acknowledge(desk.store(), "copy", "ana", "again", at).await.unwrap_err();
    assert!(idle.to_string().starts_with("nothing to acknowledge"), "{idle}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archive_ends_all_work_and_is_a_stop_by_another_name() {
    let desk = Desk::open(STOP_ON_LATENCY, |text| text).await;
    desk.play(add_ms(midnight(-4), HOUR_MS)).await;
    let at = add_ms(midnight(-4), 2 * HOUR_MS);
    let refused = desk.says("stranger", HumanAction::Archive, at).await.unwrap_err();
    assert_eq!(refused, "not in can_stop: record `objects` instead");
    assert!(desk.says("stranger", HumanAction::Objects, at).await.is_ok());
    assert_eq!(desk.life().await.life, Life::Running);
    desk.says("growth-lead", HumanAction::Archive, at).await.unwrap();
    assert_eq!(desk.life().await.life, Life::Archived);
    assert_eq!(desk.app.next_due().await.unwrap(), None, "nothing is asked for it any more");
    let again = desk.says("growth-lead", HumanAction::Archive, at).await.unwrap_err();
    assert_eq!(again, "not possible in this life of the experiment");
    assert_eq!((desk.log("archive").await.len(), desk.log("objects").await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rearmed_stop_is_not_shown_as_what_stands() {
    let desk = Desk::open(STOP_ON_LATENCY, |text| text).await;
    desk.play(add_ms(midnight(-5), HOUR_MS)).await;
    desk.metrics.set(Mood::Slow);
    desk.play(add_ms(midnight(-5), 3 * HOUR_MS)).await;
    let shown = async || desk.store().experiments().await.unwrap().remove(0).last;
    assert_eq!(shown().await.unwrap().verdict, "stop");
    desk.metrics.set(Mood::Calm);
    let at = add_ms(midnight(-5), 12 * HOUR_MS);
    desk.clock.advance_to(at);
    desk.says("oncall", HumanAction::Rearm, at).await.unwrap();
    assert!(shown().await.is_none(), "the old stop says nothing about the run that goes on");
    desk.play(add_ms(midnight(-4), 1)).await;
    assert_eq!(shown().await.unwrap().verdict, "collecting");
    assert_eq!(desk.life().await.life, Life::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_split_is_checked_anew_on_later_units() {
    let quiet = "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, every: 1h, \
         on_trip: alert}\n";
    // Both exports have 1,000 units a day and arm; the file plans two thirds and one third.
    let bend = |text: String| {
        text.replace(
            "  treatment: treatment\n",
            "  treatment: treatment\n  split: {control: 67%, treatment: 33%}\n",
        )
    };
    let desk = Desk::open(quiet, bend).await;
    desk.play(add_ms(midnight(-4), HOUR_MS)).await;
    let held = desk.newest_look().await;
    assert_eq!((held.decision.verdict, held.decision.cause), (Verdict::Hold, Cause::Srm));
    let at = add_ms(midnight(-4), 2 * HOUR_MS);
    desk.clock.advance_to(at);
    let first = acknowledge(desk.store(), "copy", "ana", "the router was wrong", at).await.unwrap();
    assert_eq!((first.split, first.signals.len()), (true, 0));
    let allocation = desk.life().await.cycle.allocation.unwrap();
    assert_eq!((allocation.epoch, allocation.counts["control"]), (1, 2_000.0));
    let log = desk.log("acknowledged").await;
    assert!(log[0].contains("control 2000, treatment 2000"), "{log:?}");
    // It is still off, on later units alone: a second mismatch, which needs a word of its own.
    desk.play(add_ms(midnight(-3), 1)).await;
    let again = desk.newest_look().await;
    assert_eq!(again.decision.cause, Cause::Srm);
    assert_eq!(again.input.cycle.allocation.as_ref().map(|one| one.epoch), Some(1));
}
