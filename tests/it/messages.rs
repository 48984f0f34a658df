//! Every sample of every kind of receiver that somebody else's code can judge, judged by it: as the
//! real binary renders it, or as it came over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use verdictd::deliver::ReceiverConfig;

use super::fakes::daemon::{run, text};
use super::fakes::home::Home;
use super::fakes::receiver::{Received, Receiver};
use super::verifiers::{refused, verify, verify_with_node};

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// RFC 8032, section 7.1, test 1, and the public key of test 2.
const PRIVATE: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const FOREIGN: &str = "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
/// How the messages of one kind are judged.
struct Judged {
    /// Kind, or preset of the kind `template`.
    name: &'static str,
    settings: fn() -> Value,
    script: &'static str,
    /// What of the stored body the script reads.
    part: fn(Value) -> Value,
    /// A change that the script must notice.
    alter: fn(&mut Value),
}

impl Judged {
    /// Its kind, as the settings spell it.
    fn kind(&self) -> &'static str {
        if PRESETS.contains(&self.name) { "template" } else { self.name }
    }

    fn config(&self) -> ReceiverConfig {
        serde_json::from_value(json!({self.kind(): (self.settings)()})).unwrap()
    }

    fn verdicts(&self, documents: &[Value]) -> Vec<String> {
        if std::path::Path::new(self.script).extension().is_some_and(|it| it == "mjs") {
            verify_with_node(self.script, documents)
        } else {
            verify(self.script, documents)
        }
    }
}

const PRESETS: [&str; 5] = ["google_chat", "grafana_irm", "linear", "opsgenie", "telegram"];

fn secret_url() -> Value {
    json!({"url": {"env": "URL"}})
}

fn whole(body: Value) -> Value {
    body
}

/// A stored body of a preset under its name; altered, it says that of another.
fn of_preset(preset: &str, mut body: Value) -> Value {
    json!({"preset": preset, "path": body["path"].take(), "body": body["body"].take()})
}

/// Mail is judged where it arrives (`mails`), the webhook below.
const JUDGED: [Judged; 14] = [
    Judged {
        name: "slack",
        settings: secret_url,
        script: "verify_slack.py",
        part: whole,
        alter: |message| message["blocks"][0]["surprise"] = true.into(),
    },
    Judged {
        name: "slack_api",
        settings: || {
            let token = json!({"env": "TOKEN"});
            json!({"token": token, "channel": "C1", "signing_secret": token})
        },
        script: "verify_slack.py",
        part: whole,
        alter: |message| message["blocks"][0]["text"]["text"] = "x".repeat(151).into(),
    },
    Judged {
        name: "teams",
        settings: secret_url,
        script: "verify_card.py",
        part: whole,
        alter: |message| message["attachments"][0]["content"]["body"][0]["color"] = "Red".into(),
    },
    Judged {
        name: "discord",
        settings: secret_url,
        script: "verify_discord.mjs",
        part: whole,
        alter: |message| message["embeds"][0]["title"] = "@everyone".into(),
    },
    Judged {
        name: "mattermost",
        settings: secret_url,
        script: "verify_mattermost.py",
        part: whole,
        alter: |message| message["attachments"][0]["text"] = "@channel".into(),
    },
    Judged {
        name: "github",
        settings: || json!({"repository": "acme/shop", "token": {"env": "TOKEN"}}),
        script: "verify_github.py",
        part: whole,
        alter: |issue| issue["text"] = "see #12 and https://evil.example".into(),
    },
    Judged {
        name: "jira",
        settings: || {
            json!({"url": "https://x.atlassian.net", "email": "a@b.example",
                "token": {"env": "TOKEN"}, "project": "OPS"})
        },
        script: "verify_adf.py",
        part: |mut body| body["document"].take(),
        alter: |document| document["content"][0]["type"] = "para".into(),
    },
    Judged {
        name: "pagerduty",
        settings: || json!({"routing_key": {"env": "KEY"}}),
        script: "verify_pagerduty.py",
        part: whole,
        alter: |event| event["payload"]["severity"] = "loud".into(),
    },
    Judged {
        name: "grafana",
        settings: || json!({"url": "https://g.example", "token": {"env": "TOKEN"}}),
        script: "verify_grafana.py",
        part: whole,
        alter: |annotation| annotation["text"] = "<img src=x>".into(),
    },
    Judged {
        name: "google_chat",
        settings: || json!({"preset": "google_chat", "url": {"env": "URL"}}),
        script: "verify_template.py",
        part: |body| of_preset("google_chat", body),
        alter: |it| it["body"]["cardsV2"][0]["card"]["header"]["titel"] = "x".into(),
    },
    Judged {
        name: "grafana_irm",
        settings: || json!({"preset": "grafana_irm", "url": {"env": "URL"}}),
        script: "verify_template.py",
        part: |body| of_preset("grafana_irm", body),
        alter: |it| it["body"]["state"] = "firing".into(),
    },
    Judged {
        name: "linear",
        settings: || {
            let vars = json!({"team_id": "T"});
            json!({"preset": "linear", "token": {"env": "TOKEN"}, "vars": vars})
        },
        script: "verify_template.py",
        part: |body| of_preset("linear", body),
        alter: |it| it["body"]["query"] = "mutation {".into(),
    },
    Judged {
        name: "opsgenie",
        settings: || json!({"preset": "opsgenie", "token": {"env": "TOKEN"}}),
        script: "verify_template.py",
        part: |body| of_preset("opsgenie", body),
        alter: |it| it["body"]["surprise"] = true.into(),
    },
    Judged {
        name: "telegram",
        settings: || {
            let vars = json!({"chat_id": "-1"});
            json!({"preset": "telegram", "url": {"env": "URL"}, "vars": vars})
        },
        script: "verify_template.py",
        part: |body| of_preset("telegram", body),
        alter: |it| it["body"]["text"] = "<i>x</i>".into(),
    },
];

/// The kinds of receivers, as the settings spell them.
pub(crate) fn kinds_of_receivers() -> Vec<String> {
    let schema = schemars::schema_for!(ReceiverConfig);
    let variants = schema.get("oneOf").and_then(Value::as_array).unwrap();
    let name = |variant: &Value| variant["required"][0].as_str().unwrap().to_owned();
    variants.iter().map(name).collect()
}

/// A new kind of receiver must be put beside a verifier, a new preset as well.
#[test]
fn every_kind_of_receiver_and_every_preset_has_a_verifier() {
    let mut known: Vec<_> = JUDGED.iter().map(Judged::kind).chain(["webhook", "email"]).collect();
    known.sort_unstable();
    known.dedup();
    let mut kinds = kinds_of_receivers();
    kinds.sort();
    assert_eq!(kinds, known);
    let config: ReceiverConfig =
        serde_json::from_value(json!({"template": {"preset": "?"}})).unwrap();
    let faults = config.faults().join("");
    let shipped: Vec<_> = faults.split("there are ").nth(1).unwrap().split(", ").collect();
    assert_eq!(shipped, PRESETS, "{faults}");
}

pub(crate) fn settings(home: &Home, receiver: &str) -> String {
    let file = home.settings("http://127.0.0.1:9", receiver);
    file.display().to_string()
}

/// A value as TOML writes it in one line.
fn as_toml(value: &Value) -> String {
    let Some(table) = value.as_object() else { return value.to_string() };
    let entries = table.iter().map(|(key, value)| format!("{key} = {}", as_toml(value)));
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// The samples of one receiver as the real binary renders them, one for each kind of event.
fn rendered(kind: &str, own: &Value) -> Vec<Value> {
    let home = Home::new();
    let table = format!("[receivers.it]\n{kind} = {}\n", as_toml(own));
    let output = run(&["notify", "render", "it", "--config", &settings(&home, &table)], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let body = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line["id"].as_str().unwrap().starts_with("msg_"), "{line}");
        line["body"].take()
    };
    text(&output.stdout).lines().map(body).collect()
}

#[test]
fn every_rendered_sample_is_accepted_and_an_altered_one_is_not() {
    for judged in &JUDGED {
        let bodies = rendered(judged.kind(), &(judged.settings)());
        let mut documents: Vec<Value> = bodies.into_iter().map(judged.part).collect();
        let count = documents.len();
        assert!(count >= 29, "{}: {count} samples", judged.name);
        for index in 0..count {
            let mut altered = documents[index].clone();
            (judged.alter)(&mut altered);
            documents.push(altered);
        }
        let lines = judged.verdicts(&documents);
        let (good, bad) = lines.split_at(count);
        assert!(refused(good).is_empty(), "{}: {:?}", judged.name, refused(good));
        assert_eq!(refused(bad).len(), count, "{}: an altered message passed", judged.name);
        eprintln!("{} ({}): {count} accepted, {count} altered refused", judged.name, judged.script);
    }
}

/// What has broken somebody's messages, or called somebody.
pub(crate) const HOSTILE: [&str; 30] = [
    "<!channel>",
    "<@U123456> <#C123|x>",
    "<@123456789012345678> <@&123456789012345678>",
    "@everyone @here @channel @all",
    "@octocat, @team/name",
    "see #12, acme/shop#7, GH-12",
    "&#64;everyone &commat;here &#x23;12",
    "https://evil.example/x?y=1",
    "www.evil.example mailto:a@evil.example",
    "<https://evil.example|click>",
    "[click](https://evil.example)",
    "](https://evil.example)",
    "![x](https://evil.example/i.png)",
    "<script>alert(1)</script>",
    "<a href='https://evil.example'>click</a>",
    "<a href=\"tg://user?id=1\">click</a>",
    "</b></p></a>",
    "<!-- verdictd:issue:x -->",
    "\r\nBcc: victim@evil.example\r\n\r\n.\r\n",
    "{{ data }}{% raw %}",
    "\"}],\"blocks\":[",
    "\\ \u{0}\u{7}\u{1b}[31m",
    "\u{202e}evil\u{2066}\u{200f}\u{61c}",
    "# heading",
    "- item",
    "1. item",
    "```\ncode\n```",
    "    indented ||spoiler|| ~~gone~~ *it* **bold** `code`",
    "\u{fffe}\u{e000}\u{10fffd}\u{1f600}\u{e0041}\u{2028}",
    "[~accountid:1] {color:red}x{color} h1. x",
];

/// Every text of a message replaced by a hostile one, each place by another; one in seven is long.
fn poisoned(value: &mut Value, next: &mut usize) {
    let kept = ["type", "timestamp", "role", "verdict", "from", "to", "schema", "confirmed_at"];
    match value {
        Value::String(text) => {
            let times = if next.is_multiple_of(7) { 3_000 } else { 1 };
            let (one, two) =
                (HOSTILE[*next % HOSTILE.len()], HOSTILE[(*next * 7 + 3) % HOSTILE.len()]);
            *text = format!("{one} {two} ").repeat(times);
            *next += 1;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| poisoned(item, next)),
        Value::Object(map) => {
            let entries = map.iter_mut().filter(|(key, _)| !kept.contains(&key.as_str()));
            entries.for_each(|(_, item)| poisoned(item, next));
        }
        _ => {}
    }
}

/// A message of every type with hostile text in all of its places; its links are kept.
pub(crate) fn hostile_messages() -> Vec<Value> {
    let mut next = 0;
    let mut messages = rendered("webhook", &json!({"url": "https://x.example/hook"}));
    for message in &mut messages {
        let links = message["data"]["links"].clone();
        poisoned(message, &mut next);
        if !links.is_null() {
            message["data"]["links"] = links;
        }
    }
    assert!(next > HOSTILE.len() * 7, "{next} places");
    messages
}

/// The parsers of the other side, or of somebody who knows it, find words and our links: no
/// mention, no element, no link of a stranger, and nothing that is too long.
#[test]
fn hostile_text_in_every_place_is_words_to_every_parser() {
    let messages = hostile_messages();
    for judged in &JUDGED {
        let config = judged.config();
        let bodies = messages.iter().flat_map(|it| [config.render(it), config.shrink(it)]);
        let parsed = bodies.map(|body| (judged.part)(serde_json::from_str(&body).unwrap()));
        let documents: Vec<Value> = parsed.collect();
        let lines = judged.verdicts(&documents);
        assert!(refused(&lines).is_empty(), "{}: {:#?}", judged.name, refused(&lines));
        eprintln!("{}: {} hostile messages are words", judged.name, documents.len());
    }
}

/// What a webhook with every key and CloudEvents receives of `notify test`.
async fn sent() -> Vec<Received> {
    let receiver = Receiver::start().await;
    let home = Home::new();
    for (name, key) in [("new", NEW), ("old", OLD), ("pair", PRIVATE)] {
        home.put(name, key);
    }
    let folder = home.path().display();
    let table = format!(
        "[receivers.it.webhook]\nurl = \"{}\"\nallow_private = true\ncloudevents = true\n\
         secret = {{ file = \"{folder}/new\" }}\nprivate_key = {{ file = \"{folder}/pair\" }}\n\
         previous_secret = {{ file = \"{folder}/old\" }}\n\
         previous_until = \"2999-01-01T00:00:00Z\"\n",
        receiver.url("/hook")
    );
    let arguments = ["notify", "test", "it", "--config", &settings(&home, &table)];
    let output = tokio::task::block_in_place(|| run(&arguments, &[]));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    receiver.received()
}

fn document(message: &Received, secret: Option<&str>, public: Option<&str>) -> Value {
    let body = STANDARD.encode(&message.body);
    let mut document = json!({"headers": message.headers, "body_base64": body});
    if let Some(secret) = secret {
        document["secret"] = secret.into();
    }
    if let Some(public) = public {
        document["public_key"] = public.into();
    }
    document
}

fn with_another_body(mut document: Value) -> Value {
    document["body_base64"] = STANDARD.encode("{\"verdict\":\"continue\"}").into();
    document
}

/// Rows of a question: the documents and whether each must pass.
fn judge(said: Vec<String>, expected: &[bool], who: &str) {
    let passed: Vec<bool> = said.iter().map(|line| line == "ok").collect();
    assert_eq!(passed, expected, "{who}: {:?}", refused(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signature_and_header_is_read_by_other_peoples_code() {
    let messages = sent().await;
    assert!(messages.len() >= 20, "{} messages", messages.len());
    for message in &messages {
        let versions: Vec<_> = message.headers["webhook-signature"]
            .split(' ')
            .map(|entry| entry.split_once(',').unwrap().0)
            .collect();
        assert_eq!(versions, ["v1", "v1a", "v1"]);
    }
    let each = |make: &dyn Fn(&Received) -> Vec<Value>| -> Vec<Value> {
        messages.iter().flat_map(make).collect()
    };
    let expect = |row: &[bool]| row.repeat(messages.len());

    let python = each(&|message| {
        let new = document(message, Some(NEW), None);
        let old = document(message, Some(OLD), None);
        let foreign = document(message, Some(&NEW.replace('M', "N")), None);
        vec![new.clone(), old, foreign, with_another_body(new)]
    });
    let said = verify("verify_webhook.py", &python);
    judge(said, &expect(&[true, true, false, false]), "standardwebhooks (PyPI)");

    let node = each(&|message| {
        let both = document(message, Some(NEW), Some(PUBLIC));
        let pair = document(message, None, Some(PUBLIC));
        let foreign = document(message, None, Some(FOREIGN));
        let old = document(message, Some(OLD), None);
        vec![both.clone(), pair.clone(), old, foreign, with_another_body(pair)]
    });
    let said = verify_with_node("verify_webhook.mjs", &node);
    judge(said, &expect(&[true, true, true, false, false]), "standardwebhooks (npm), node:crypto");

    let events = each(&|message| {
        let good = document(message, None, None);
        let mut other = good.clone();
        other["headers"]["ce-id"] = "msg_other".into();
        vec![good, other]
    });
    judge(verify("verify_cloudevents.py", &events), &expect(&[true, false]), "cloudevents");
}
