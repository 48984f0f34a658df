//! Mail as it arrives: the real client before a mail server of somebody else (`aiosmtpd`), read by
//! Python's `email` package.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use verdictd::clock::{Clock as _, SystemClock};
use verdictd::deliver::{Conversation, Envelope, ReceiverConfig};

use super::fakes::daemon::{run, text};
use super::fakes::home::Home;
use super::fakes::process::tool;
use super::messages::{hostile_messages, settings};
use super::verifiers::{refused, verify};

/// A mail server of its own process; it ends when its standard input is closed.
struct MailServer {
    child: Child,
    port: u16,
    lines: JoinHandle<Vec<String>>,
}

impl MailServer {
    fn start() -> Self {
        let script =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/mail_server.py");
        let mut command = Command::new(tool("VERDICTD_TEST_PYTHON"));
        command.arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let lines = std::thread::spawn(move || output.lines().map_while(Result::ok).collect());
        Self { child, port, lines }
    }

    /// Every mail that came, once nobody sends any more.
    fn mails(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let lines = self.lines.join().unwrap();
        self.child.wait().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A mail with one place of its bytes changed.
fn altered(mail: &Value, from: &str, to: &str) -> Value {
    let mut mail = mail.clone();
    let bytes = STANDARD.decode(mail["mail_base64"].as_str().unwrap()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text}");
    mail["mail_base64"] = STANDARD.encode(text.replacen(from, to, 1)).into();
    mail
}

#[test]
fn every_sample_arrives_as_a_mail_without_a_defect_and_an_altered_one_is_refused() {
    let server = MailServer::start();
    let home = Home::new();
    let table = format!(
        "[receivers.it.email]\nhost = \"localhost\"\nport = {}\ntls = \"none\"\n\
         allow_private = true\nfrom = \"verdictd <verdictd@acme.example>\"\n\
         to = [\"Growth <growth@acme.example>\", \"ops@acme.example\"]\n",
        server.port
    );
    let output = run(&["notify", "test", "it", "--config", &settings(&home, &table)], &[]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let mut mails = server.mails();
    let count = mails.len();
    assert!(count >= 29, "{count} mails");
    let bad: Vec<Value> = mails
        .iter()
        .flat_map(|mail| {
            [
                altered(mail, "Subject:", "Bcc: x@evil.example\r\nSubject:"),
                altered(mail, "Message-ID: <msg_", "Message-ID: <other_"),
            ]
        })
        .collect();
    mails.extend(bad);
    let lines = verify("verify_mail.py", &mails);
    let (good, bad) = lines.split_at(count);
    assert!(refused(good).is_empty(), "{:?}", refused(good));
    assert_eq!(refused(bad).len(), 2 * count, "an altered mail passed");
    eprintln!("email: {count} accepted, {} altered refused", bad.len());
}

#[tokio::test]
async fn hostile_text_is_words_in_mail_and_makes_no_header() {
    let server = MailServer::start();
    let own = json!({"host": "localhost", "port": server.port, "tls": "none",
        "allow_private": true, "from": "verdictd <verdictd@acme.example>",
        "to": ["ops@acme.example"]});
    let config: ReceiverConfig = serde_json::from_value(json!({"email": own})).unwrap();
    let receiver = config.build("it").unwrap();
    let messages = tokio::task::spawn_blocking(hostile_messages).await.unwrap();
    for (number, message) in messages.iter().enumerate() {
        for (form, body) in [("a", config.render(message)), ("b", config.shrink(message))] {
            let envelope = Envelope {
                id: format!("msg_{number}{form}"),
                body,
                sent_at: SystemClock.wall_now(),
                timeout: Duration::from_secs(15),
                is_manual: false,
                conversation: Conversation::default(),
            };
            receiver.send(&envelope).await.unwrap();
        }
    }
    let mails = tokio::task::spawn_blocking(|| server.mails()).await.unwrap();
    assert_eq!(mails.len(), messages.len() * 2);
    let lines = verify("verify_mail.py", &mails);
    assert!(refused(&lines).is_empty(), "{:#?}", refused(&lines));
    eprintln!("email: {} hostile messages are words", mails.len());
}
