//! Who hears what when, through the whole daemon on a clock of its own with a real receiver:
//! tripwires through everything, quiet hours, silences, digests, acknowledgements, repeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use judge::time::{DAY_MS, Timestamp, add_ms};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;
use verdictd::app::App;
use verdictd::clock::Clock;
use verdictd::cycle::policy::{By, NewSilence, add_silence, end_silence};
use verdictd::deliver::policy::Matcher;
use verdictd::store::{Delivery, DeliveryFilter, DeliveryState, LogFilter};

use super::fakes::daemon::{run, text};
use super::fakes::home::{Home, Idea, day_text};
use super::fakes::http::Site;
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::receiver::{Received, Receiver};

const HOUR_MS: i64 = 3_600_000;
const CALM: &str = "  starts: {no_worse_than: {margin: 2pts, signal: started}, on_trip: alert}\n";
const LATENCY: &str = "  latency: {threshold: {source: prom, value: p95_ms, at_most: 400}, \
     every: 1h, on_trip: alert}\n";
/// Every day around the clock, for everybody.
const ALWAYS_QUIET: &str = "[quiet_hours.always]\nzone = \"UTC\"\nfrom = \"00:00\"\n\
     to = \"00:00\"\nreceivers = [\"hook\", \"ops\"]\n";

/// Both times, moved by hand.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn domain_now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn wall_now(&self) -> Timestamp {
        self.domain_now()
    }
}

struct Stage {
    home: Home,
    hook: Receiver,
    ops: Receiver,
    metrics: Metrics,
    clock: Arc<Hands>,
}

/// 00:00 of the day on which the experiment starts.
fn start() -> Timestamp {
    format!("{}T00:00:00Z", day_text(-7)).parse().unwrap()
}

fn hours(hours: i64) -> Timestamp {
    add_ms(start(), hours * HOUR_MS)
}

impl Stage {
    async fn new(guardrails: &str, rest: &str) -> Self {
        let home = Home::new();
        home.experiment(&Idea { guardrails, ..Idea::default() });
        let (hook, ops) = (Receiver::start().await, Receiver::start().await);
        let metrics = Metrics::start(Mood::Calm).await;
        let stage = Self { home, hook, ops, metrics, clock: Arc::new(Hands(AtomicI64::new(0))) };
        stage.clock.0.store(start().as_millisecond(), Ordering::SeqCst);
        stage.configure(rest);
        stage
    }

    fn configure(&self, rest: &str) {
        let path = self.home.settings(
            &self.metrics.url(),
            &format!(
                "[receivers.hook.webhook]\nurl = \"{}\"\nallow_private = true\n\
                 [receivers.ops.webhook]\nurl = \"{}\"\nallow_private = true\n{rest}",
                self.hook.url("/hook"),
                self.ops.url("/ops")
            ),
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[alarms]\nevery_secs = 0", "[alarms]\nevery_secs = 3600");
        let text = text.replace("reload_every_secs", "operators = [\"ops\"]\nreload_every_secs");
        std::fs::write(path, text).unwrap();
    }

    /// A daemon on the store as it was left.
    async fn app(&self) -> App {
        let loaded = verdictd::settings::load(Some(&self.home.settings_path()), &[], &[]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        App::start_manual(loaded.settings, self.clock.clone(), Some(listener)).await.unwrap()
    }

    /// Hour by hour, as a daemon would live it.
    async fn to(&self, app: &App, at: Timestamp) {
        while self.clock.wall_now() < at {
            let next = add_ms(self.clock.wall_now(), HOUR_MS).min(at);
            self.clock.0.store(next.as_millisecond(), Ordering::SeqCst);
            app.settle().await.unwrap();
        }
        app.settle().await.unwrap();
    }

    async fn silence(&self, app: &App, matcher: Value, length_hours: i64) -> String {
        let new = NewSilence {
            matcher: serde_json::from_value::<Matcher>(matcher).unwrap(),
            ends_at: add_ms(self.clock.wall_now(), length_hours * HOUR_MS),
            who: "ana",
            reason: "the warehouse moves",
            by: By::Terminal,
            id: None,
        };
        add_silence(app.store(), &*self.clock, new).await.unwrap();
        app.store().all_silences().await.unwrap().remove(0).id
    }
}

/// Types in the order in which they came.
fn kinds(receiver: &Receiver) -> Vec<String> {
    let text = |one: Received| one.json()["type"].as_str().unwrap().to_owned();
    receiver.received().into_iter().map(text).collect()
}

fn of_kind(receiver: &Receiver, kind: &str) -> Vec<Value> {
    let all = receiver.received().into_iter().map(|one| one.json());
    all.filter(|json| json["type"] == kind).collect()
}

async fn rows(app: &App, state: DeliveryState) -> Vec<Delivery> {
    let filter = DeliveryFilter { state: Some(state), limit: 1_000, ..DeliveryFilter::default() };
    app.store().deliveries(filter).await.unwrap()
}

async fn log(app: &App, kind: &str) -> Vec<String> {
    let filter = LogFilter { limit: 1_000, ..LogFilter::default() };
    let rows = app.store().decisions(filter).await.unwrap().into_iter();
    rows.filter(|row| row.entry.kind == kind).map(|row| row.entry.text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tripwire_passes_quiet_hours_silences_and_routes_at_once() {
    let rest = format!(
        "{ALWAYS_QUIET}[digests.hook]\nto = \"hook\"\nat = \"09:00\"\n\
         [[routes]]\nname = \"away\"\nto = [\"ops\"]\nonly = true\n"
    );
    let stage = Stage::new(LATENCY, &rest).await;
    let app = stage.app().await;
    stage.to(&app, hours(2)).await;
    let id = stage.silence(&app, serde_json::json!({"experiment": "*"}), 24).await;
    stage.metrics.set(Mood::Slow);
    stage.to(&app, hours(4)).await;
    for receiver in [&stage.hook, &stage.ops] {
        let tripped = of_kind(receiver, "guardrail.tripped");
        assert_eq!(tripped.len(), 1, "{:?}", kinds(receiver));
        assert!(tripped[0]["data"]["links"]["ack"].is_string());
        assert!(tripped[0]["data"]["links"]["snooze"].is_null(), "a tripwire has no snooze");
    }
    // The all-clear is no tripwire: the same rules hold it back, and the row says which.
    stage.metrics.set(Mood::Calm);
    stage.to(&app, hours(6)).await;
    let silenced = rows(&app, DeliveryState::Silenced).await;
    let recovered = silenced.iter().find(|row| row.row.kind == "guardrail.recovered").unwrap();
    assert!(recovered.row.told.reason.contains(&id), "{:?}", recovered.row.told);
    assert_eq!(recovered.row.endpoint, "ops", "the route replaces `notify`");
    assert!(of_kind(&stage.ops, "guardrail.recovered").is_empty());
    assert_eq!(log(&app, "silence.created").await.len(), 1);
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_morning_arrives_then_whatever_restarts() {
    let nights = "[quiet_hours.nights]\nzone = \"UTC\"\nfrom = \"22:00\"\nto = \"08:00\"\n\
                  receivers = [\"hook\"]\n";
    let stage = Stage::new(CALM, nights).await;
    let app = stage.app().await;
    let checkpoint = add_ms(start(), 7 * DAY_MS);
    stage.to(&app, add_ms(checkpoint, HOUR_MS)).await;
    let waiting = rows(&app, DeliveryState::Pending).await;
    let verdict = waiting.iter().find(|row| row.row.kind.starts_with("experiment.verdict."));
    let verdict = verdict.expect("the checkpoint's verdict waits");
    assert_eq!(verdict.row.not_before, add_ms(checkpoint, 8 * HOUR_MS));
    assert!(verdict.row.told.reason.contains("quiet hours `nights`"), "{verdict:?}");
    assert!(verdict.row.expires_at > add_ms(verdict.row.not_before, DAY_MS), "it can be late");
    let kind = verdict.row.kind.clone();
    drop(app);
    let app = stage.app().await;
    stage.to(&app, add_ms(checkpoint, 7 * HOUR_MS)).await;
    assert!(of_kind(&stage.hook, &kind).is_empty());
    stage.to(&app, add_ms(checkpoint, 8 * HOUR_MS)).await;
    assert_eq!(of_kind(&stage.hook, &kind).len(), 1);
    assert!(rows(&app, DeliveryState::Pending).await.is_empty());
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_silence_ends_what_is_still_wrong_is_told_once() {
    let stage = Stage::new(CALM, "").await;
    let app = stage.app().await;
    // Nobody has a token: `toothless` is on from the first hour.
    let matcher = serde_json::json!({"alarm": ["toothless"]});
    app.settle().await.unwrap();
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 1, "told before it was silenced");
    app.shutdown().await.unwrap();
    let stage = Stage::new(CALM, "").await;
    let app = stage.app().await;
    let id = stage.silence(&app, matcher, 3).await;
    stage.to(&app, hours(2)).await;
    assert!(of_kind(&stage.hook, "alarm.raised").is_empty());
    let silenced = rows(&app, DeliveryState::Silenced).await;
    assert_eq!(silenced.len(), 1);
    assert_eq!(app.store().silence(&id).await.unwrap().unwrap().withheld, 1);
    // The daemon is away while the silence ends.
    app.shutdown().await.unwrap();
    let app = stage.app().await;
    stage.to(&app, hours(4)).await;
    let told = of_kind(&stage.hook, "alarm.raised");
    assert_eq!(told.len(), 1);
    let text = told[0].to_string();
    assert!(text.contains("STILL - ") && text.contains("the warehouse moves"), "{text}");
    stage.to(&app, hours(9)).await;
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 1, "once");
    let ended = log(&app, "silence.ended").await;
    assert!(ended.len() == 1 && ended[0].contains("1 things are told now"), "{ended:?}");
    let refused = end_silence(app.store(), &*stage.clock, &id, "ana", "enough").await.unwrap_err();
    assert!(refused.to_string().contains("is over since"), "{refused}");
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_is_sent_once_a_slot_and_not_without_news() {
    let digest = "[digests.daily]\nto = \"hook\"\nat = \"09:00\"\nzone = \"UTC\"\n";
    let stage = Stage::new(CALM, digest).await;
    let app = stage.app().await;
    stage.to(&app, hours(8)).await;
    assert_eq!(kinds(&stage.hook), Vec::<String>::new());
    assert_eq!(rows(&app, DeliveryState::Digest).await.len(), 1, "toothless waits for the digest");
    app.shutdown().await.unwrap();
    let app = stage.app().await;
    stage.to(&app, hours(9)).await;
    // Killed in the slot and started again: the slot has its answer.
    drop(app);
    let app = stage.app().await;
    stage.to(&app, hours(10)).await;
    let digests = of_kind(&stage.hook, "digest");
    assert_eq!(digests.len(), 1, "{:?}", kinds(&stage.hook));
    let data = &digests[0]["data"];
    assert!(data["headline"].as_str().unwrap().contains("1 experiment,"), "{data}");
    let line = data["next"][0].as_str().unwrap();
    assert!(line.starts_with("copy: ") && line.contains("New: ALARM"), "{line}");
    stage.to(&app, hours(34)).await;
    assert_eq!(of_kind(&stage.hook, "digest").len(), 1, "nothing new, nothing sent");
    let said = rows(&app, DeliveryState::Digest).await;
    assert!(said[0].superseded_by.is_some(), "the row says which digest said it");
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_wrong_is_repeated_until_somebody_has_seen_it() {
    let stage = Stage::new(CALM, "[notify]\nrepeat_after_hours = 6\n").await;
    let app = stage.app().await;
    stage.to(&app, hours(6)).await;
    let count = || of_kind(&stage.hook, "alarm.raised").len();
    assert_eq!(count(), 1);
    stage.to(&app, hours(7)).await;
    assert_eq!(count(), 2);
    stage.to(&app, hours(13)).await;
    assert_eq!(count(), 3);
    let site = Site::new(&app.address().unwrap().to_string());
    let newest = of_kind(&stage.hook, "alarm.raised").pop().unwrap();
    assert_eq!(newest["data"]["again"]["first_told_at"], hours(1).to_string());
    let link = newest["data"]["links"]["ack"].as_str().unwrap();
    let path = link.split_once("/n/").map(|(_, token)| format!("/n/{token}")).unwrap();
    // A preview or a mail scanner follows the link: nothing happens.
    let page = site.get(&path).await;
    assert!(page.status == 200 && page.body.contains("Your name"), "{page:?}");
    assert!(log(&app, "notice.acknowledged").await.is_empty());
    let token = path.trim_start_matches("/n/");
    let send = async |path: &str, form: String| {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        site.send(Method::POST, path, &kind, form.into_bytes()).await
    };
    let form = |name: &str| format!("token={token}&name={name}&because=we%20hire");
    assert_eq!(send(&path, "name=bob&because=x".to_owned()).await.status, 403);
    assert_eq!(send(&path, form("")).await.status, 422);
    let forged = path.replace("/n/ack.", "/n/snooze.");
    assert_eq!(send(&forged, form("eve")).await.status, 404);
    let done = send(&path, form("bob")).await;
    assert_eq!(done.status, 200, "{done:?}");
    let again = send(&path, form("eve")).await;
    assert!(again.status == 409 && again.body.contains("already acknowledged by bob"), "{again:?}");
    assert!(site.get(&path).await.body.contains("already acknowledged by bob"));
    let said = log(&app, "notice.acknowledged").await;
    assert!(said.len() == 1 && said[0].contains("the name was not checked"), "{said:?}");
    stage.to(&app, hours(30)).await;
    assert_eq!(count(), 3, "somebody has seen it");
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snooze_holds_its_own_thing_back_for_a_day() {
    let stage = Stage::new(CALM, "[notify]\nrepeat_after_hours = 6\n").await;
    let app = stage.app().await;
    stage.to(&app, hours(1)).await;
    let first = of_kind(&stage.hook, "alarm.raised").remove(0);
    let link = first["data"]["links"]["snooze"].as_str().unwrap();
    let token = link.split_once("/n/").unwrap().1;
    let site = Site::new(&app.address().unwrap().to_string());
    let form = format!("token={token}&name=bob&because=tomorrow");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let done = site.send(Method::POST, &format!("/n/{token}"), &kind, form.into_bytes()).await;
    assert_eq!(done.status, 200, "{done:?}");
    stage.to(&app, hours(24)).await;
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 1);
    let silences = site.json("/api/v1/silences").await;
    assert_eq!(silences["silences"][0]["authenticated"], false, "{silences}");
    assert_eq!(silences["silences"][0]["match"]["topic"], "alarm:toothless");
    stage.to(&app, hours(26)).await;
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 2, "still wrong a day later");
    let told = site.json("/api/v1/told?experiment=copy").await;
    let why = told["messages"].as_array().unwrap().iter();
    let held = why.filter(|one| one["state"] == "silenced").count();
    assert!(held >= 1, "{told}");
    let counted = "verdictd_withheld_total{endpoint=\"hook\",policy=\"silence\"} ";
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(site.get("/silences").await.body.contains("alarm:toothless"));
    app.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snooze_at_the_terminal_has_a_name_an_end_and_no_second() {
    let stage = Stage::new(CALM, "").await;
    let app = stage.app().await;
    stage.to(&app, hours(1)).await;
    let raised = of_kind(&stage.hook, "alarm.raised").remove(0);
    let notice = raised["data"]["notice"].as_str().unwrap();
    let config = stage.home.settings_path().display().to_string();
    let snooze = |notice: &str, span: &str, because: &str| {
        let own = ["silence", "snooze", notice, "--for", span, "--by", "ana", "--because", because];
        let all = [&own[..], &["--config", &config]].concat();
        let output = tokio::task::block_in_place(|| run(&all, &[]));
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    for (notice, span, because, words) in [
        (notice, "90m", "later", "write whole hours"),
        (notice, "721h", "later", "1 to 720 hours"),
        (notice, "4h", " ", "a because is required"),
        ("nothing", "4h", "later", "no message says"),
    ] {
        let (is_done, said) = snooze(notice, span, because);
        assert!(!is_done && said.contains(words), "{span} {because}: {said}");
    }
    let (is_done, said) = snooze(notice, "2d", "later");
    assert!(is_done && said.starts_with("snoozed by ana until "), "{said}");
    let (is_done, said) = snooze(notice, "4h", "later");
    assert!(is_done && said.starts_with("already snoozed by ana until "), "{said}");
    let made = log(&app, "silence.created").await;
    assert!(made.len() == 1 && made[0].contains("at the terminal"), "{made:?}");
    stage.to(&app, hours(24)).await;
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 1, "held back");
    app.shutdown().await.unwrap();
}

/// Follows one of the links of a message and sends its form.
async fn answer(site: &Site, message: &Value, which: &str, form: &str) -> u16 {
    let link = message["data"]["links"][which].as_str().unwrap();
    let token = link.split_once("/n/").unwrap().1;
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("token={token}&{form}");
    site.send(Method::POST, &format!("/n/{token}"), &kind, form.into_bytes()).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_not_told_when_its_snooze_ends() {
    let stage = Stage::new(CALM, "").await;
    let app = stage.app().await;
    stage.to(&app, hours(1)).await;
    let first = of_kind(&stage.hook, "alarm.raised").remove(0);
    let site = Site::new(&app.address().unwrap().to_string());
    // What a form brings is one line, and nothing in it acts on who reads it.
    let name = "name=eve%1b%5b31m%0d%0a2026-12-01T03%3a00%3a00Z%20copy%e2%80%ae";
    let form = format!("{name}&because=seen%0a%1b%5b2J");
    assert_eq!(answer(&site, &first, "ack", &form).await, 200);
    assert_eq!(answer(&site, &first, "snooze", "name=bob&because=tomorrow").await, 200);
    let said = log(&app, "notice.acknowledged").await;
    assert!(said[0].starts_with("eve[31m  2026-12-01T03:00:00Z copy ("), "{said:?}");
    assert!(said[0].contains("\nbecause seen [2J\n"), "{said:?}");
    stage.to(&app, hours(26)).await;
    assert_eq!(log(&app, "silence.ended").await.len(), 1);
    assert_eq!(of_kind(&stage.hook, "alarm.raised").len(), 1, "somebody has seen it");
    let tripwires = serde_json::json!({"kind": ["guardrail.tripped"]});
    let made = add_silence(
        app.store(),
        &*stage.clock,
        NewSilence {
            matcher: serde_json::from_value(tripwires).unwrap(),
            ends_at: hours(30),
            who: "bob",
            reason: "maintenance",
            by: By::Terminal,
            id: None,
        },
    );
    let refused = made.await.unwrap_err().to_string();
    assert!(refused.contains("could hold nothing back"), "{refused}");
    app.shutdown().await.unwrap();
}
