//! The watch through the whole daemon on a clock of its own: raised once with numbers and since,
//! kept over restarts, told once, cleared with an all-clear, shown by the API and the page.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use judge::lifecycle::{HumanAction, HumanDecision};
use judge::time::{DAY_MS, Timestamp, add_ms};
use serde_json::Value;
use tokio::net::TcpListener;
use verdictd::app::App;
use verdictd::clock::ManualClock;
use verdictd::cycle::human::{Decree, decide};
use verdictd::store::DeliveryFilter;

use super::fakes::daemon::{run, text as text_of};
use super::fakes::home::{Home, Idea, day_text};
use super::fakes::http::Site;
use super::fakes::receiver::Receiver;

/// Judged by the look itself, so that nothing needs a metrics server.
const CALM: &str = "  starts: {no_worse_than: {margin: 2pts, signal: started}, on_trip: alert}\n";

struct Stage {
    home: Home,
    receiver: Receiver,
    clock: Arc<ManualClock>,
}

impl Stage {
    async fn new() -> Self {
        let (home, receiver) = (Home::new(), Receiver::start().await);
        home.experiment(&Idea { guardrails: CALM, ..Idea::default() });
        let hook = format!(
            "[receivers.hook.webhook]\nurl = \"{}\"\nallow_private = true\n",
            receiver.url("/hook")
        );
        let path = home.settings("http://127.0.0.1:9", &hook);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[alarms]\nevery_secs = 0", "[alarms]\nevery_secs = 3600");
        std::fs::write(path, text).unwrap();
        let clock = Arc::new(ManualClock::new(start()));
        Self { home, receiver, clock }
    }

    /// A daemon on the store as it was left.
    async fn app(&self) -> App {
        let loaded = verdictd::settings::load(Some(&self.home.settings_path()), &[], &[]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        App::start_manual(loaded.settings, self.clock.clone(), Some(listener)).await.unwrap()
    }

    async fn at(&self, app: &App, days: f64) {
        self.clock.advance_to(add_ms(start(), (days * DAY_MS as f64) as i64));
        app.settle().await.unwrap();
    }

    /// Types and subjects of alarm messages, in the order in which they came.
    fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = self.receiver.received().into_iter().map(|one| one.json());
        let all = all.map(|json| (text(&json["type"]), text(&json["data"]["subject"])));
        all.filter(|(kind, _)| kind.starts_with("alarm.")).collect()
    }
}

/// 00:00 of the day on which the experiment starts.
fn start() -> Timestamp {
    format!("{}T00:00:00Z", day_text(-7)).parse().unwrap()
}

async fn on(app: &App) -> BTreeSet<String> {
    let all = app.store().alarms_on().await.unwrap();
    all.into_iter().map(|kept| kept.key).collect()
}

async fn say(app: &App, stage: &Stage, action: HumanAction) {
    use verdictd::clock::Clock as _;
    let (who, because) = ("growth-lead".to_owned(), "we looked at it together".to_owned());
    let decree = Decree {
        experiment: "copy",
        decision: HumanDecision { who, because, action },
        is_admin: false,
        evaluation_id: None,
        at: stage.clock.domain_now(),
    };
    decide(app.store(), decree).await.unwrap();
}

fn told(kind: &str, subject: &str) -> (String, String) {
    (kind.to_owned(), subject.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_of_an_experiment_come_once_and_go_with_an_all_clear() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    // Nobody has a token, so nobody in can_stop can stop it.
    stage.at(&app, 0.5).await;
    assert_eq!(on(&app).await, BTreeSet::from(["toothless".to_owned()]));
    assert_eq!(stage.told(), [told("alarm.raised", "toothless")]);
    // The review of day 7 has a day to be written down.
    stage.at(&app, 8.0 - 1.0 / 24.0).await;
    assert!(!on(&app).await.contains("overdue_review"));
    stage.at(&app, 8.0).await;
    assert!(on(&app).await.contains("overdue_review"));
    belongs_to_its_cycle(&app).await;
    let raised = stage.told();
    // Another process on the same store: the same slot, then the next; nothing is told again.
    app.shutdown().await.unwrap();
    let app = stage.app().await;
    stage.at(&app, 8.0).await;
    stage.at(&app, 8.0 + 1.0 / 24.0).await;
    assert_eq!(stage.told(), raised);
    let site = Site::new(&app.address().unwrap().to_string());
    let document = site.json("/api/v1/alarms").await;
    let alarms = document["alarms"].as_array().unwrap();
    let review = alarms.iter().find(|one| one["alarm"] == "overdue_review").unwrap();
    let due = add_ms(start(), 7 * DAY_MS);
    assert_eq!(review["since"], due.to_string());
    assert_eq!(review["raised_at"], add_ms(due, DAY_MS).to_string());
    let days = review["numbers"]["days_overdue"].as_f64().unwrap();
    assert!((days - 25.0 / 24.0).abs() < 1e-9, "{days}");
    assert_eq!(review["experiment"], "copy");
    assert!(review["clears_when"].as_str().unwrap().contains("reviewed"));
    for path in ["/alarms", "/x/copy"] {
        assert!(site.get(path).await.body.contains("overdue review"), "{path}");
    }
    assert!(site.get("/metrics").await.body.contains("verdictd_alarms{alarm=\"toothless\"} 1"));
    say(&app, &stage, HumanAction::Reviewed).await;
    stage.at(&app, 8.0 + 2.0 / 24.0).await;
    assert!(!on(&app).await.contains("overdue_review"));
    let cleared = stage.told();
    assert!(cleared.last().unwrap().0 == "alarm.cleared", "{cleared:?}");
    assert!(cleared.last().unwrap().1.contains("overdue_review"), "{cleared:?}");
    let document = site.json("/api/v1/alarms").await;
    assert_eq!(document["cleared"][0]["alarm"], "overdue_review");
    app.shutdown().await.unwrap();
}

/// An alarm has its place among the experiment's changes, and says whose it is.
async fn belongs_to_its_cycle(app: &App) {
    let version = app.store().context("copy").await.unwrap().unwrap().state_version;
    let rows = app.store().deliveries(DeliveryFilter::default()).await.unwrap();
    let alarms = rows.iter().filter(|one| one.row.kind == "alarm.raised");
    let mut sequences = Vec::new();
    for alarm in alarms {
        let content: Value = serde_json::from_str(&alarm.row.content).unwrap();
        let data = &content["data"];
        assert_eq!(data["sequence"], alarm.row.sequence);
        assert_eq!(data["experiment"]["name"], "Clearer copy");
        assert_eq!(data["window"]["from"], start().to_string());
        sequences.push(alarm.row.sequence);
    }
    assert_eq!(sequences.len(), 2);
    assert!(sequences.iter().all(|one| (1..=version).contains(one)), "{sequences:?}, {version}");
    assert_ne!(sequences[0], sequences[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_idle_months_are_thrash_until_somebody_stops() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    // 95 days on, two whole calendar months have passed in which it ran.
    for day in [1.0, 30.0, 60.0, 95.0] {
        stage.at(&app, day).await;
    }
    let keys = on(&app).await;
    for key in ["thrash.no_kills", "thrash.no_deviation", "overdue_review", "overdue_audit"] {
        assert!(keys.contains(key), "{key}: {keys:?}");
    }
    assert!(keys.contains("purgatory.past_cycle"), "{keys:?}");
    let all = app.store().open_alarms().await.unwrap();
    let kills = all.iter().find(|kept| kept.key == "thrash.no_kills").unwrap();
    assert_eq!((kills.experiment.as_str(), kills.alarm.numbers["cycles"]), ("", 2.0));
    let before = stage.told().len();
    say(&app, &stage, HumanAction::Stop).await;
    stage.at(&app, 95.0 + 1.0 / 24.0).await;
    let keys = on(&app).await;
    assert!(!keys.contains("thrash.no_kills") && keys.contains("thrash.no_deviation"), "{keys:?}");
    // Of a run that is over nothing is left; one message for it, one for the portfolio.
    assert_eq!(keys.len(), 1, "{keys:?}");
    let told = stage.told().split_off(before);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(kind, _)| kind == "alarm.cleared"), "{told:?}");
    assert_eq!(told.iter().filter(|(_, keys)| keys == "thrash.no_kills").count(), 1);
    app.shutdown().await.unwrap();
}

/// Eight tests in which the proxy moved and the outcome did not: `check` says so of a ninth file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_warns_of_a_proxy_that_did_not_predict_before() {
    let home = Home::new();
    let mut text = "day,arm,num,den\n".to_owned();
    for day in 0..14 {
        for arm in ["control", "treatment"] {
            writeln!(text, "{},{arm},270,1000", day_text(day - 7)).unwrap();
        }
    }
    home.put("data/finished.csv", text);
    let ids: Vec<String> = (1..=8).map(|number| format!("copy-{number}")).collect();
    for id in &ids {
        home.experiment(&Idea { id, guardrails: CALM, notify: "", ..Idea::default() });
    }
    let path = home.settings("http://127.0.0.1:9", "");
    let settings = verdictd::settings::load(Some(&path), &[], &[]).unwrap().settings;
    let clock = Arc::new(ManualClock::new(start()));
    let app = App::start_manual(settings, clock.clone(), None).await.unwrap();
    for day in 1..=7 {
        clock.advance_to(add_ms(start(), day * DAY_MS));
        app.settle().await.unwrap();
    }
    app.shutdown().await.unwrap();
    home.experiment(&Idea { id: "copy-9", guardrails: CALM, notify: "", ..Idea::default() });
    let file = home.experiments().join("copy-9.yaml");
    let config = path.display().to_string();
    let arguments = ["check", "--config", &config, &file.display().to_string()];
    let said = text_of(&run(&arguments, &[]).stdout);
    assert!(said.contains("warning[W0119]: proxy `started` did not predict"), "{said}");
    assert!(said.contains("of 8 that moved 0 were followed"), "{said}");
    assert!(said.contains("  started:"), "the line of the signal: {said}");
    let alone = text_of(&run(&["check", &file.display().to_string()], &[]).stdout);
    assert!(!alone.contains("W0119"), "without a store there is no history: {alone}");
}
