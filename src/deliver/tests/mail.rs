//! E-mail: every step of the conversation, threads, TLS, and text that must stay text.

use std::time::Duration;

use judge::notice::NoticeKind;
use serde_json::{Value, json};

use super::bodies::{hostile_samples, message, of_kind};
use super::fake_smtp::{Answers, FakeSmtp, Tls, certificates};
use super::tables::{outcome, rows};
use super::{envelope, secret};
use crate::deliver::{
    Conversation, Envelope, ErrorClass, Receipt, ReceiverConfig, SendError, Then,
};

fn config(port: u16, more: Value) -> ReceiverConfig {
    let mut own = json!({
        "host": "localhost",
        "port": port,
        "tls": "none",
        "allow_private": true,
        "from": "verdictd <verdictd@acme.example>",
        "to": ["Growth <growth@acme.example>", "ops@acme.example"],
    });
    own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"email": own})).unwrap()
}

async fn send(
    config: &ReceiverConfig,
    id: &str,
    content: &Value,
    known: Option<Value>,
) -> (Result<Receipt, SendError>, Option<Value>) {
    send_within(config, id, content, known, 3_000).await
}

async fn send_within(
    config: &ReceiverConfig,
    id: &str,
    content: &Value,
    known: Option<Value>,
    limit_ms: u64,
) -> (Result<Receipt, SendError>, Option<Value>) {
    let envelope = Envelope {
        id: id.to_owned(),
        timeout: Duration::from_millis(limit_ms),
        conversation: Conversation::new(known, false),
        ..envelope(&config.render(content))
    };
    let result = config.build("mail").unwrap().send(&envelope).await;
    if let Err(error) = &result {
        assert!(!error.detail.contains("h1dden"), "{error}");
    }
    (result, envelope.conversation.known())
}

fn stop() -> Value {
    message(&of_kind(NoticeKind::VerdictStop))
}

/// Header lines of a mail, unfolded.
fn headers(mail: &str) -> Vec<String> {
    let head = mail.split("\r\n\r\n").next().unwrap();
    head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
}

fn header(mail: &str, name: &str) -> Option<String> {
    let begins = format!("{name}: ");
    headers(mail).into_iter().find_map(|line| line.strip_prefix(&begins).map(str::to_owned))
}

/// The mail of the newest conversation.
fn newest(fake: &FakeSmtp) -> String {
    let is_mail = |line: &&String| line.ends_with("\r\n.\r\n");
    fake.seen().iter().rev().find(is_mail).unwrap().clone()
}

#[tokio::test]
async fn each_answer_of_a_mail_server_leads_where_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let password = secret(folder.path(), "password", "h1dden");
    let rows = rows("smtp.txt", 3);
    let mut faults = Vec::new();
    for row in &rows {
        let step: &'static str = row[0].clone().leak();
        let fake = FakeSmtp::start(Tls::Never, Answers::from([(step, row[1].clone())])).await;
        let config = config(fake.port, json!({"username": "verdictd", "password": password}));
        // Only a deadline that must be met by waiting is short.
        let limit = if row[2] == "retry timeout" { 200 } else { 3_000 };
        let (result, known) = send_within(&config, "msg_1", &stop(), None, limit).await;
        assert_eq!(known.is_some(), result.is_ok(), "{row:?}");
        if outcome(&result) != row[2] {
            faults.push(format!("{row:?}: {result:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    println!("smtp: {} rows", rows.len());
}

#[tokio::test]
async fn a_mail_is_text_and_html_under_headers_that_hold_over_retries() {
    let fake = FakeSmtp::start(Tls::Never, Answers::new()).await;
    let config = config(fake.port, json!({}));
    let (result, _) = send(&config, "msg_1", &stop(), None).await;
    let receipt = result.unwrap();
    assert_eq!((receipt.status, receipt.detail.as_str()), (250, "2.0.0 queued as 7"));
    let first = newest(&fake);
    send(&config, "msg_1", &stop(), None).await.0.unwrap();
    assert_eq!(first, newest(&fake), "the same bytes");
    for (name, value) in [
        ("Message-ID", "<msg_1@acme.example>"),
        ("Auto-Submitted", "auto-generated"),
        ("Date", "Sun, 22 Nov 2026 10:00:00 +0000"),
        ("MIME-Version", "1.0"),
    ] {
        assert_eq!(header(&first, name).as_deref(), Some(value), "{name}");
    }
    assert!(header(&first, "Subject").unwrap().starts_with("STOP - sample-checklist"));
    assert_eq!(header(&first, "References"), None);
    assert!(first.contains("Content-Type: text/plain") && first.contains("text/html"));
    let seen = fake.seen();
    let wanted = ["EHLO acme.example", "MAIL FROM:<verdictd@acme.example>"];
    assert_eq!(seen[..2], wanted);
    assert_eq!(seen[2..4], ["RCPT TO:<growth@acme.example>", "RCPT TO:<ops@acme.example>"]);
}

#[tokio::test]
async fn a_cycle_is_one_thread() {
    let fake = FakeSmtp::start(Tls::Never, Answers::new()).await;
    let config = config(fake.port, json!({}));
    let mut known = None;
    for (id, refers_to) in [
        ("msg_1", None),
        ("msg_2", Some("<msg_1@acme.example>")),
        ("msg_3", Some("<msg_1@acme.example> <msg_2@acme.example>")),
        // Handed in again: it does not refer to itself.
        ("msg_3", Some("<msg_1@acme.example>")),
    ] {
        let (result, now) = send(&config, id, &stop(), known).await;
        result.unwrap();
        known = now;
        assert_eq!(header(&newest(&fake), "References").as_deref(), refers_to, "{id}");
    }
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_named_and_the_others_get_it() {
    let answers = Answers::from([("RCPT2", "550 5.1.1 no such user".to_owned())]);
    let fake = FakeSmtp::start(Tls::Never, answers).await;
    let (result, _) = send(&config(fake.port, json!({})), "msg_1", &stop(), None).await;
    let detail = result.unwrap().detail;
    assert!(detail.contains("not for ops@acme.example") && detail.contains("550"), "{detail}");
    let answers = Answers::from([
        ("RCPT", "550 5.1.1 nobody".to_owned()),
        ("RCPT2", "550 5.1.1 nobody".to_owned()),
    ]);
    let fake = FakeSmtp::start(Tls::Never, answers).await;
    let (result, _) = send(&config(fake.port, json!({})), "msg_1", &stop(), None).await;
    assert_eq!(outcome(&result), "permanent client_error");
    assert!(!fake.seen().iter().any(|line| line == "DATA"));
}

#[tokio::test]
async fn tls_is_checked_in_both_forms_and_never_given_up() {
    let ca = certificates().join("ca.pem");
    let tls = |word: &str| json!({"tls": word, "ca_file": ca});
    let at_once = FakeSmtp::start(Tls::AtOnce, Answers::new()).await;
    let after = FakeSmtp::start(Tls::AfterStarttls, Answers::new()).await;
    let plain = FakeSmtp::start(Tls::Never, Answers::new()).await;
    for (fake, more) in [(&at_once, tls("tls")), (&after, tls("starttls"))] {
        let (result, _) = send(&config(fake.port, more), "msg_1", &stop(), None).await;
        assert_eq!(outcome(&result), "delivered", "{result:?}");
    }
    let mut wrong_name = tls("tls");
    wrong_name["host"] = "127.0.0.1".into();
    let mut wrong_name_later = tls("starttls");
    wrong_name_later["host"] = "127.0.0.1".into();
    for (fake, more) in [
        (&at_once, wrong_name),
        (&after, wrong_name_later),
        (&at_once, json!({"tls": "tls"})),
        (&after, json!({"tls": "starttls"})),
        (&plain, tls("tls")),
    ] {
        let (result, _) = send(&config(fake.port, more), "msg_1", &stop(), None).await;
        let class = result.unwrap_err().class;
        assert!(matches!(class, ErrorClass::Network | ErrorClass::Timeout), "{class}");
    }
    let (result, _) = send(&config(plain.port, tls("starttls")), "msg_1", &stop(), None).await;
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotAccepted);
    assert!(error.detail.contains("offers no STARTTLS"), "{error}");
    assert!(!plain.seen().iter().any(|line| line.starts_with("MAIL")), "nothing went out");
}

/// What is said before the handshake must not count as an answer after it.
#[tokio::test]
async fn answers_that_were_put_in_before_the_handshake_break_it() {
    let injected = "220 go ahead\\n250 2.0.0 queued\\n250 queued\\n250 queued".to_owned();
    let fake = FakeSmtp::start(Tls::AfterStarttls, Answers::from([("STARTTLS", injected)])).await;
    let more = json!({"tls": "starttls", "ca_file": certificates().join("ca.pem")});
    let (result, _) = send(&config(fake.port, more), "msg_1", &stop(), None).await;
    assert_eq!(outcome(&result), "retry network");
}

#[tokio::test]
async fn the_guard_stands_before_the_connection() {
    let fake = FakeSmtp::start(Tls::AtOnce, Answers::new()).await;
    for host in ["localhost", "127.0.0.1", "::1"] {
        let more = json!({"tls": "tls", "allow_private": false, "host": host});
        let (result, _) = send(&config(fake.port, more), "msg_1", &stop(), None).await;
        let error = result.unwrap_err();
        let again = Then::Retry { after: None };
        assert_eq!((error.then, error.class), (again, ErrorClass::Blocked), "{error}");
    }
    assert!(fake.seen().is_empty());
}

#[test]
fn what_cannot_be_mail_is_refused_at_start() {
    for (wrong, words) in [
        (json!({"allow_private": false}), "allow_private"),
        (json!({"to": []}), "write 1 to 50"),
        (json!({"to": ["no address"]}), "to: `no address`"),
        (json!({"to": ["a@b.example\r\nBcc: x@y.example"]}), "is no mail address"),
        (json!({"from": "verdictd"}), "from: `verdictd`"),
        (json!({"username": "me"}), "write both"),
    ] {
        let refused = config(25, wrong).build("mail").unwrap_err().to_string();
        assert!(refused.starts_with("mail: ") && refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn no_text_of_users_makes_a_header_or_markup() {
    let fake = FakeSmtp::start(Tls::Never, Answers::new()).await;
    let config = config(fake.port, json!({}));
    for sample in hostile_samples(60) {
        let mut content = message(&sample);
        content["data"]["headline"] = "x\r\nBcc: victim@evil.example\n\n<script>".into();
        let body: Value = serde_json::from_str(&config.render(&content)).unwrap();
        let page = body["html"].as_str().unwrap();
        for markup in ["<script", "<img", "<!channel", "javascript:"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        send(&config, "msg_1", &content, None).await.0.unwrap();
        let mail = newest(&fake);
        let names: Vec<_> =
            headers(&mail).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        let wanted = "From Date Subject Message-ID To Auto-Submitted MIME-Version Content-Type";
        assert_eq!(names.join(" "), wanted);
        assert!(mail.len() < 60_000 && mail.is_ascii(), "{}", mail.len());
        assert!(mail.lines().all(|line| line.len() <= 998));
    }
}
