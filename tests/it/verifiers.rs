//! What the stories sent, verified by other people's code: every webhook by `standardwebhooks`,
//! every chat message by `slack_sdk` and `slackblocks` (PyPI), with the bytes and headers as they
//! arrived.

use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use verdictd::demo::settings::SIGNING_SECRET;

use crate::fakes::played::{Played, both};
use crate::fakes::process::tool;

/// One line of a verifier's answer for each document.
pub(crate) fn verify(script: &str, documents: &[Value]) -> Vec<String> {
    let mut command = Command::new(tool("VERDICTD_TEST_PYTHON"));
    command.arg("-B").arg(scripts("py").join(script)).arg("--batch");
    answers(command, documents)
}

/// As [`verify`], by a script for Node.
pub(crate) fn verify_with_node(script: &str, documents: &[Value]) -> Vec<String> {
    let mut command = Command::new(tool("VERDICTD_TEST_NODE"));
    command.arg(scripts("js").join(script));
    answers(command, documents)
}

fn scripts(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder)
}

fn answers(mut command: Command, documents: &[Value]) -> Vec<String> {
    let mut input = tempfile::tempfile().unwrap();
    for document in documents {
        writeln!(input, "{document}").unwrap();
    }
    input.rewind().unwrap();
    let output = command.stdin(Stdio::from(input)).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), documents.len(), "{command:?}: {error}");
    let is_clean = lines.iter().all(|line| line == "ok");
    assert_eq!(output.status.success(), is_clean, "{command:?}: {error}");
    lines
}

pub(crate) fn refused(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| *line != "ok").collect()
}

/// Every webhook of a play as the verifier wants it.
fn webhooks(played: &Played) -> Vec<Value> {
    let messages = played.received("tickets").into_iter().map(|message| {
        json!({
            "secret": SIGNING_SECRET,
            "headers": message.headers,
            "body_base64": STANDARD.encode(&message.body),
        })
    });
    messages.collect()
}

/// The library refuses timestamps older than five minutes, so this must come right after a play.
#[test]
fn every_webhook_of_the_stories_verifies_with_standardwebhooks() {
    for played in both() {
        let documents = webhooks(played);
        assert!(documents.len() >= 15, "{} webhooks", documents.len());
        let lines = verify("verify_webhook.py", &documents);
        let seconds = played.outcome.seconds;
        assert!(refused(&lines).is_empty(), "played in {seconds} s: {:?}", refused(&lines));
        let changed: Vec<Value> = documents
            .into_iter()
            .map(|mut document| {
                let body = document["body_base64"].as_str().unwrap();
                let mut body = STANDARD.decode(body).unwrap();
                body.push(b' ');
                document["body_base64"] = STANDARD.encode(body).into();
                document
            })
            .collect();
        let lines = verify("verify_webhook.py", &changed);
        assert!(lines.iter().all(|line| line != "ok"), "a changed body passed");
    }
}

#[test]
fn every_chat_message_of_the_stories_is_understood_whole_by_slack_sdk() {
    for played in both() {
        let chats = played.outcome.received.iter().filter(|one| one.receiver != "tickets");
        let documents: Vec<Value> =
            chats.map(|one| serde_json::from_str(&one.body).unwrap()).collect();
        assert!(documents.len() >= 15, "{} messages", documents.len());
        let lines = verify("verify_slack.py", &documents);
        assert!(refused(&lines).is_empty(), "{:?}", refused(&lines));
        let mut spoilt = documents[0].clone();
        spoilt["blocks"][0]["surprise"] = true.into();
        let lines = verify("verify_slack.py", &[spoilt]);
        assert_eq!(refused(&lines).len(), 1);
    }
}
