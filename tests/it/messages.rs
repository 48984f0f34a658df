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
/// Kinds whose messages no library at hand can judge.
const UNJUDGED: &[&str] =
    &["discord", "email", "github", "grafana", "mattermost", "pagerduty", "template"];

/// How the messages of one kind are judged.
struct Judged {
    kind: &'static str,
    settings: &'static str,
    script: &'static str,
    /// What of the rendered body the script reads.
    part: fn(Value) -> Value,
    /// A change that the script must notice.
    alter: fn(&mut Value),
}

const JUDGED: [Judged; 4] = [
    Judged {
        kind: "slack",
        settings: "url = { env = \"URL\" }",
        script: "verify_slack.py",
        part: |body| body,
        alter: |message| message["blocks"][0]["surprise"] = true.into(),
    },
    Judged {
        kind: "slack_api",
        settings: "token = { env = \"TOKEN\" }\nchannel = \"C1\"\n\
                   signing_secret = { env = \"TOKEN\" }",
        script: "verify_slack.py",
        part: |body| body,
        alter: |message| message["blocks"][0]["text"]["text"] = "x".repeat(151).into(),
    },
    Judged {
        kind: "teams",
        settings: "url = { env = \"URL\" }",
        script: "verify_card.py",
        part: |body| body,
        alter: |message| message["attachments"][0]["content"]["body"][0]["color"] = "Red".into(),
    },
    Judged {
        kind: "jira",
        settings: "url = \"https://x.atlassian.net\"\nemail = \"a@b.example\"\n\
                   token = { env = \"TOKEN\" }\nproject = \"OPS\"",
        script: "verify_adf.py",
        part: |mut body| body["document"].take(),
        alter: |document| document["content"][0]["type"] = "para".into(),
    },
];

/// The kinds of receivers, as the settings spell them.
pub(crate) fn kinds_of_receivers() -> Vec<String> {
    let schema = schemars::schema_for!(ReceiverConfig);
    let variants = schema.get("oneOf").and_then(Value::as_array).unwrap();
    let name = |variant: &Value| variant["required"][0].as_str().unwrap().to_owned();
    variants.iter().map(name).collect()
}

/// A new kind of receiver must be put beside a verifier, or into the list of those without one.
#[test]
fn every_kind_of_receiver_has_a_verifier_or_is_known_to_have_none() {
    let mut known: Vec<_> = JUDGED.iter().map(|it| it.kind).chain(["webhook"]).collect();
    known.extend(UNJUDGED);
    known.sort_unstable();
    let mut kinds = kinds_of_receivers();
    kinds.sort();
    assert_eq!(kinds, known);
}

fn settings(home: &Home, receiver: &str) -> String {
    let file = home.settings("http://127.0.0.1:9", receiver);
    file.display().to_string()
}

/// The samples of one receiver, one for each kind of event.
fn rendered(judged: &Judged) -> Vec<Value> {
    let home = Home::new();
    let table = format!("[receivers.it.{}]\n{}\n", judged.kind, judged.settings);
    let output = run(&["notify", "render", "it", "--config", &settings(&home, &table)], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let part = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line["id"].as_str().unwrap().starts_with("msg_"), "{line}");
        (judged.part)(line["body"].take())
    };
    lines.lines().map(part).collect()
}

#[test]
fn every_rendered_sample_is_accepted_and_an_altered_one_is_not() {
    for judged in &JUDGED {
        let mut documents = rendered(judged);
        let count = documents.len();
        assert!(count >= 20, "{}: {count} samples", judged.kind);
        for index in 0..count {
            let mut altered = documents[index].clone();
            (judged.alter)(&mut altered);
            documents.push(altered);
        }
        let lines = verify(judged.script, &documents);
        let (good, bad) = lines.split_at(count);
        assert!(refused(good).is_empty(), "{}: {:?}", judged.kind, refused(good));
        assert_eq!(refused(bad).len(), count, "{}: an altered message passed", judged.kind);
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
