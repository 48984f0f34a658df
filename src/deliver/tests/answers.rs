//! Every answer of every receiver, by table, and the traps of the network for each of them.

use std::path::Path;
use std::time::Duration;

use judge::notice::NoticeKind;
use serde_json::{Value, json};

use super::bodies::{message, of_kind};
use super::fake::{After, Fake, Reply, TlsFake};
use super::fake_smtp::certificates;
use super::tables::{outcome, rows};
use super::{envelope, secret};
use crate::deliver::receivers::template::preset_names;
use crate::deliver::{Conversation, Envelope, Receipt, Receiver, ReceiverConfig, SendError};

/// Every kind of receiver, from the registry itself, and every shipped preset in place of
/// `template`: a new one is covered by all that goes through this list.
pub(super) fn kinds() -> Vec<String> {
    let schema = schemars::schema_for!(ReceiverConfig);
    let variants = schema.get("oneOf").and_then(Value::as_array).unwrap();
    let name = |variant: &Value| variant["required"][0].as_str().unwrap().to_owned();
    let kinds = variants.iter().map(name).filter(|kind| kind != "template");
    kinds.chain(preset_names().into_iter().map(str::to_owned)).collect()
}

/// Those that speak HTTP; a mail server has a table and traps of its own (`mail`).
fn over_http() -> Vec<String> {
    kinds().into_iter().filter(|kind| kind != "email").collect()
}

/// A receiver of that kind at that address; what is secret holds the word `hidden`.
pub(super) fn config(kind: &str, url: &str, folder: &Path) -> ReceiverConfig {
    config_with(kind, url, folder, &json!({}))
}

/// As [`config`], with further keys.
pub(super) fn config_with(kind: &str, url: &str, folder: &Path, more: &Value) -> ReceiverConfig {
    let hidden = serde_json::to_value(secret(folder, "hidden", &format!("{url}/hidden"))).unwrap();
    let token = serde_json::to_value(secret(folder, "token", "hidden-token")).unwrap();
    let mut own = match kind {
        "webhook" => json!({"url": format!("{url}/hidden")}),
        "slack" | "teams" | "discord" | "mattermost" => json!({"url": hidden}),
        "slack_api" => {
            json!({"token": token, "channel": "C01", "url": url, "signing_secret": token})
        }
        "pagerduty" => json!({"routing_key": token, "url": url}),
        "github" => json!({"repository": "acme/shop", "token": token, "url": url,
            "labels": ["growth"]}),
        "jira" => json!({"url": url, "email": "a@b.example", "token": token, "project": "EXP",
            "labels": ["growth"]}),
        "grafana" => json!({"url": url, "token": token, "tags": ["growth"]}),
        "email" => json!({"host": "mail.example", "from": "a@b.example", "to": ["c@d.example"]}),
        "opsgenie" => json!({"preset": kind, "base_url": url, "token": token}),
        "linear" => {
            let vars = json!({"team_id": "T1"});
            json!({"preset": kind, "base_url": url, "token": token, "vars": vars})
        }
        "telegram" => json!({"preset": kind, "url": hidden, "vars": {"chat_id": "-100"}}),
        "google_chat" | "grafana_irm" => json!({"preset": kind, "url": hidden}),
        new => panic!("{new}: say here how it is configured, and write its table"),
    };
    own["allow_private"] = true.into();
    own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
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
    "transitions":[],"name":"spaces/A/messages/B","data":{"issueCreate":{"success":true}}}"#;

/// As [`WELL`], in the words of that kind.
fn good(kind: &str) -> Reply {
    Reply::status(well(kind), if kind == "slack" { "ok" } else { WELL })
}

/// One receiver of a kind and the server it speaks to.
struct Stage {
    kind: String,
    fake: Fake,
    config: ReceiverConfig,
    receiver: std::sync::Arc<dyn Receiver>,
}

impl Stage {
    async fn of(kind: &str, folder: &Path) -> Self {
        let fake = Fake::by_method(Vec::new()).await;
        let folder = folder.join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        let config = config(kind, &fake.url, &folder);
        let receiver = config.build(kind).unwrap();
        Self { kind: kind.to_owned(), fake, config, receiver }
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
            conversation: Conversation::new(is_known.then(|| known(&self.kind)), false),
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

/// The headers of a row, between ` ; `.
fn headers(cell: &str) -> String {
    if cell.is_empty() { "x-test: 1".to_owned() } else { cell.replace(" ; ", "\r\n") }
}

#[tokio::test]
async fn every_answer_leads_where_its_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for kind in over_http() {
        let stage = Stage::of(&kind, folder.path()).await;
        let rows = rows(&format!("{kind}.txt"), 5);
        for row in &rows {
            let call = row[0].trim_end_matches('+');
            let reply = Reply::with_header(row[1].parse().unwrap(), &headers(&row[2]), &row[3]);
            let result = stage.send(call, reply, row[0].ends_with('+'), 5_000).await;
            if outcome(&result) != row[4] {
                faults.push(format!("{kind}: {row:?}: {}: {result:?}", outcome(&result)));
            }
        }
        println!("answers of {kind}: {} rows", rows.len());
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A receiver that says "too large" gets the smallest form once, with everything that its sending
/// needs beside the words, whether its conversation is new or known.
#[tokio::test]
async fn what_was_too_large_is_sent_whole_in_its_smallest_form() {
    let folder = tempfile::tempdir().unwrap();
    let trip = message(&of_kind(NoticeKind::GuardrailTripped));
    let clear = message(&of_kind(NoticeKind::GuardrailRecovered));
    for kind in over_http() {
        let stage = Stage::of(&kind, folder.path()).await;
        for method in ["POST", "GET", "PATCH", "PUT"] {
            stage.fake.script(method, vec![good(&kind)]);
        }
        for (content, is_known) in [(&trip, false), (&trip, true), (&clear, true)] {
            let (whole, small) = (stage.config.render(content), stage.config.shrink(content));
            assert!(small.len() <= whole.len(), "{kind}: {} to {}", whole.len(), small.len());
            let mut firsts = Vec::new();
            for body in [&whole, &small] {
                let before = stage.fake.seen().len();
                let conversation = Conversation::new(is_known.then(|| known(&kind)), false);
                let envelope = Envelope { conversation, ..envelope(body) };
                let result = stage.receiver.send(&envelope).await;
                assert!(result.is_ok(), "{kind}: {result:?}");
                let sent = stage.fake.seen().remove(before);
                let sent: Value = serde_json::from_str(&sent.body).unwrap();
                firsts.push((keys_with_values(&sent), sent["labels"].clone()));
            }
            if kind != "webhook" {
                assert_eq!(firsts[0], firsts[1], "{kind}: known {is_known}");
            }
        }
    }
}

/// The keys of a body that hold something, and of what stands directly below them.
fn keys_with_values(body: &Value) -> Vec<String> {
    let below = |(key, value): (&String, &Value)| {
        let inner = value.as_object().into_iter().flatten();
        let inner = inner.filter(|(_, value)| !value.is_null());
        let inner: Vec<String> = inner.map(|(name, _)| format!("{key}.{name}")).collect();
        if value.is_null() { Vec::new() } else { [vec![key.clone()], inner].concat() }
    };
    let mut keys: Vec<String> = body.as_object().into_iter().flatten().flat_map(below).collect();
    // Facts are what a smaller message loses.
    keys.retain(|key| !key.starts_with("payload.custom") && key != "props" && key != "props.card");
    keys
}

/// The receiver's word stands in the body of its answer: a status alone is nothing.
fn needs_body(kind: &str) -> bool {
    let kinds =
        ["slack", "slack_api", "github", "jira", "grafana", "linear", "telegram", "google_chat"];
    kinds.contains(&kind)
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
        trap("head, a byte a time", Reply::slow_head(well), "retry timeout", "retry timeout"),
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
        for status in [503, 429] {
            let word = if status == 429 { limited(kind, word) } else { word };
            let reply = Reply::with_header(status, &format!("retry-after: {asked}"), "{}");
            traps.push(trap(&format!("{status} retry-after {asked}"), reply, word, word));
        }
    }
    traps
}

/// The same wish beside a 429; GitHub asks for a minute where nothing is said.
fn limited(kind: &str, word: &'static str) -> &'static str {
    match word {
        "retry server_error after 120" => "retry rate_limited after 120",
        "retry server_error after 59.75" => "retry rate_limited after 59.75",
        "retry server_error after 1.5" => "retry rate_limited after 1.5",
        "retry server_error after 86400" => "retry rate_limited after 86400",
        _ if kind == "github" => "retry rate_limited after 60",
        _ => "retry rate_limited",
    }
}

/// What it comes to where a lost answer waits for Jira's search index.
fn expected(kind: &str, word: &'static str) -> &'static str {
    let is_short =
        matches!(word, ERROR | "retry server_error after 59.75" | "retry server_error after 1.5");
    if kind == "jira" && is_short { "retry server_error after 60" } else { word }
}

const ERROR: &str = "retry server_error";

/// Sends into each trap; what did not come out as it should.
async fn caught(kind: &str, folder: &Path, traps: &[Trap]) -> Vec<String> {
    let mut faults = Vec::new();
    let stage = Stage::of(kind, folder).await;
    for (name, reply, if_body, if_not) in traps {
        let begun = tokio::time::Instant::now();
        let result = stage.send("POST", reply.clone(), false, 10_000).await;
        let word = expected(kind, if needs_body(kind) { if_body } else { if_not });
        let told = outcome(&result);
        let is_exact = word == ERROR || word.contains(" after ") || word == "retry rate_limited";
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
    let mut faults = Vec::new();
    for kind in over_http() {
        let traps = traps(&elsewhere.url, &kind);
        faults.extend(caught(&kind, folder.path(), &traps).await);
        println!("traps of {kind}: {} rows", traps.len());
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(elsewhere.seen().is_empty(), "no redirect was followed");
}

/// The clock is paused: it jumps to the deadline when nothing more comes.
#[tokio::test(start_paused = true)]
async fn nobody_keeps_a_receiver_beyond_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for kind in over_http() {
        let traps = slow_traps(&kind);
        faults.extend(caught(&kind, folder.path(), &traps).await);
        println!("slow traps of {kind}: {} rows", traps.len());
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The server's certificate is for `localhost`, and our authority vouches for it.
#[tokio::test]
async fn no_receiver_speaks_to_a_certificate_of_another_name_or_of_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates().join("ca.pem");
    for kind in over_http() {
        let words = if kind == "slack" { "ok" } else { WELL };
        let server = TlsFake::start(&reply_of(well(&kind), words)).await;
        for (host, ca, word) in [
            ("localhost", Some(&authority), "delivered"),
            ("127.0.0.1", Some(&authority), "retry network"),
            ("localhost", None, "retry network"),
        ] {
            let more = ca.map_or(json!({}), |ca| json!({"ca_file": ca}));
            let url = format!("https://{host}:{}", server.port);
            let config = config_with(&kind, &url, folder.path(), &more);
            let body = config.render(&message(&of_kind(NoticeKind::SourceDown)));
            let envelope = Envelope { timeout: Duration::from_secs(10), ..envelope(&body) };
            let result = config.build(&kind).unwrap().send(&envelope).await;
            assert!(outcome(&result).starts_with(word), "{kind} at {host}: {result:?}");
            if let Err(error) = result {
                assert!(!error.detail.contains("hidden"), "{kind}: {error}");
            }
        }
        assert_eq!(server.requests(), 1, "{kind}: only the right name was spoken to");
    }
}

fn reply_of(status: u16, words: &str) -> String {
    let length = words.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}")
}
