//! Every answer of every receiver, by table, and the traps of the network for each of them.

use std::path::Path;
use std::time::Duration;

use judge::notice::NoticeKind;
use serde_json::{Value, json};

use super::bodies::{message, of_kind};
use super::fake::{After, Fake, Reply};
use super::tables::{outcome, rows};
use super::{envelope, secret};
use crate::deliver::receivers::template::preset_names;
use crate::deliver::{Conversation, Envelope, Receipt, Receiver, ReceiverConfig, SendError};

/// Every kind that speaks HTTP, and every shipped preset.
pub(super) fn kinds() -> Vec<&'static str> {
    let kinds = [
        "webhook",
        "slack",
        "slack_api",
        "teams",
        "discord",
        "mattermost",
        "github",
        "jira",
        "pagerduty",
        "grafana",
    ];
    kinds.into_iter().chain(preset_names()).collect()
}

/// A receiver of that kind at that address; what is secret holds the word `hidden`.
pub(super) fn config(kind: &str, url: &str, folder: &Path) -> ReceiverConfig {
    let hidden = serde_json::to_value(secret(folder, "hidden", &format!("{url}/hidden"))).unwrap();
    let token = serde_json::to_value(secret(folder, "token", "hidden-token")).unwrap();
    let own = match kind {
        "webhook" => json!({"url": format!("{url}/hidden")}),
        "slack" | "teams" | "discord" | "mattermost" => json!({"url": hidden}),
        "slack_api" => {
            json!({"token": token, "channel": "C01", "url": url, "signing_secret": token})
        }
        "pagerduty" => json!({"routing_key": token, "url": url}),
        "github" => json!({"repository": "acme/shop", "token": token, "url": url}),
        "jira" => json!({"url": url, "email": "a@b.example", "token": token, "project": "EXP"}),
        "grafana" => json!({"url": url, "token": token}),
        "opsgenie" => json!({"preset": kind, "base_url": url, "token": token}),
        "linear" => {
            let vars = json!({"team_id": "T1"});
            json!({"preset": kind, "base_url": url, "token": token, "vars": vars})
        }
        "telegram" => json!({"preset": kind, "url": hidden, "vars": {"chat_id": "-100"}}),
        preset => json!({"preset": preset, "url": hidden}),
    };
    let mut own = own;
    own["allow_private"] = true.into();
    let name = if preset_names().contains(&kind) { "template" } else { kind };
    serde_json::from_value(json!({name: own})).unwrap()
}

/// What each kind that keeps a conversation has kept.
fn known(kind: &str) -> Value {
    match kind {
        "slack_api" => json!({"ts": "1.1", "channel": "C01", "replied": null}),
        "github" => json!({"number": 7}),
        "jira" => json!({"key": "EXP-7"}),
        "grafana" => json!({"id": 9, "is_over": false, "text": ""}),
        _ => json!({"id": "123", "replied": null}),
    }
}

/// What every kind takes for a success of whatever it asked.
const WELL: &str = r#"{"ok":true,"ts":"1.1","channel":"C01","number":7,"key":"EXP-7","id":9,
    "transitions":[]}"#;

/// One receiver of a kind and the server it speaks to.
struct Stage {
    kind: &'static str,
    fake: Fake,
    config: ReceiverConfig,
    receiver: std::sync::Arc<dyn Receiver>,
}

impl Stage {
    async fn of(kind: &'static str, folder: &Path) -> Self {
        let fake = Fake::by_method(Vec::new()).await;
        let folder = folder.join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        let config = config(kind, &fake.url, &folder);
        let receiver = config.build(kind).unwrap();
        Self { kind, fake, config, receiver }
    }

    /// Sends one message; `reply` is the first answer to `call`, all others are well.
    async fn send(
        &self,
        call: &str,
        reply: Reply,
        is_known: bool,
        limit_ms: u64,
    ) -> Result<Receipt, SendError> {
        for method in ["POST", "GET", "PATCH", "PUT"] {
            let mut script = vec![Reply::status(200, WELL)];
            if method == call {
                script.insert(0, reply.clone());
            }
            self.fake.script(method, script);
        }
        // Discord edits what is not loud.
        let is_edit = is_known && self.kind == "discord";
        let said = if is_edit { NoticeKind::GuardrailRecovered } else { NoticeKind::VerdictStop };
        let body = self.config.render(&message(&of_kind(said)));
        let envelope = Envelope {
            conversation: Conversation::new(is_known.then(|| known(self.kind)), false),
            timeout: Duration::from_millis(limit_ms),
            ..envelope(&body)
        };
        let result = self.receiver.send(&envelope).await;
        if let Err(error) = &result {
            assert!(!error.detail.contains("hidden"), "{}: {error}", self.kind);
        }
        result
    }
}

#[tokio::test]
async fn every_answer_leads_where_its_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let (mut count, mut faults) = (0, Vec::new());
    for kind in kinds() {
        let stage = Stage::of(kind, folder.path()).await;
        for row in rows(&format!("{kind}.txt"), 5) {
            let call = row[0].trim_end_matches('+');
            let header = if row[2].is_empty() { "x-test: 1" } else { row[2].as_str() };
            let reply = Reply::with_header(row[1].parse().unwrap(), header, &row[3]);
            let result = stage.send(call, reply, row[0].ends_with('+'), 5_000).await;
            count += 1;
            if outcome(&result) != row[4] {
                faults.push(format!("{kind}: {row:?}: {}: {result:?}", outcome(&result)));
            }
        }
    }
    println!("answers: {count} rows, {} receivers", kinds().len());
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The receiver's word stands in the body of its answer: a status alone is nothing.
fn needs_body(kind: &str) -> bool {
    matches!(kind, "slack" | "slack_api" | "github" | "jira" | "grafana" | "linear" | "telegram")
}

/// Name, answer, and how the outcome begins for those that need a body and for the others.
type Trap = (String, Reply, &'static str, &'static str);

fn trap(name: &str, reply: Reply, if_body: &'static str, if_not: &'static str) -> Trap {
    (name.to_owned(), reply, if_body, if_not)
}

/// What a kind takes for a success by its status.
fn well(kind: &str) -> u16 {
    if kind == "pagerduty" { 202 } else { 200 }
}

/// What keeps a receiver waiting until its deadline.
fn slow_traps(kind: &str) -> Vec<Trap> {
    let well = well(kind);
    vec![
        trap("silence", Reply::silent(After::Hang), "retry timeout", "retry timeout"),
        trap("slow body", Reply::broken(well, After::Hang), "retry timeout", "delivered"),
        trap("a byte a time", Reply::broken(well, After::Drip), "retry timeout", "delivered"),
        trap("500, a byte a time", Reply::broken(500, After::Drip), ERROR, ERROR),
    ]
}

fn traps(elsewhere: &str, kind: &str) -> Vec<Trap> {
    let well = well(kind);
    let location = format!("location: {elsewhere}/stolen");
    let mut traps = vec![
        trap("no HTTP", Reply::silent(After::Drip), "retry", "retry"),
        trap("closed", Reply::silent(After::Close), "retry network", "retry network"),
        trap("reset", Reply::silent(After::Reset), "retry network", "retry network"),
        trap("reset in body", Reply::broken(well, After::Reset), "retry network", "delivered"),
        trap("endless", Reply::broken(well, After::Endless), "retry", "delivered"),
        trap("500, reset", Reply::broken(500, After::Reset), ERROR, ERROR),
        trap("500, endless", Reply::broken(500, After::Endless), ERROR, ERROR),
    ];
    for status in [301, 302, 307, 308] {
        let reply = Reply::with_header(status, &location, WELL);
        let word = "permanent redirect";
        traps.push(trap(&status.to_string(), reply, word, word));
    }
    for (asked, word) in [
        ("120", "retry server_error after 120"),
        ("Sun, 22 Nov 2026 10:01:00 GMT", "retry server_error after 59.75"),
        ("1.5", "retry server_error after 1.5"),
        ("-5", ERROR),
        ("1e300", "retry server_error after 86400"),
        ("inf", ERROR),
        ("NaN", ERROR),
        ("soon", ERROR),
    ] {
        let reply = Reply::with_header(503, &format!("retry-after: {asked}"), "{}");
        traps.push(trap(&format!("retry-after {asked}"), reply, word, word));
    }
    traps
}

const ERROR: &str = "retry server_error";

/// Sends into each trap; what did not come out as it should.
async fn caught(kind: &'static str, folder: &Path, traps: &[Trap]) -> Vec<String> {
    let mut faults = Vec::new();
    let stage = Stage::of(kind, folder).await;
    for (name, reply, if_body, if_not) in traps {
        let begun = tokio::time::Instant::now();
        let result = stage.send("POST", reply.clone(), false, 10_000).await;
        let word = if needs_body(kind) { *if_body } else { *if_not };
        let told = outcome(&result);
        let is_exact = word == ERROR || word.contains(" after ");
        if (is_exact && told != word) || !told.starts_with(word) {
            faults.push(format!("{kind}: {name}: {told}, not {word}: {result:?}"));
        }
        let detail = result.map_or_else(|error| error.detail, |receipt| receipt.detail);
        assert!(detail.len() <= 2_100, "{kind}: {name}: {}", detail.len());
        assert!(begun.elapsed() < Duration::from_secs(11), "{kind}: {name}");
    }
    faults
}

#[tokio::test]
async fn no_network_can_trap_any_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Fake::start(vec![Reply::status(200, WELL)]).await;
    let (mut count, mut faults) = (0, Vec::new());
    for kind in kinds() {
        let traps = traps(&elsewhere.url, kind);
        count += traps.len();
        faults.extend(caught(kind, folder.path(), &traps).await);
    }
    println!("traps: {count} rows, {} receivers", kinds().len());
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(elsewhere.seen().is_empty(), "no redirect was followed");
}

/// The clock is paused: it jumps to the deadline when nothing more comes.
#[tokio::test(start_paused = true)]
async fn nobody_keeps_a_receiver_beyond_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let (mut count, mut faults) = (0, Vec::new());
    for kind in kinds() {
        let traps = slow_traps(kind);
        count += traps.len();
        faults.extend(caught(kind, folder.path(), &traps).await);
    }
    println!("slow traps: {count} rows, {} receivers", kinds().len());
    assert!(faults.is_empty(), "{faults:#?}");
}
