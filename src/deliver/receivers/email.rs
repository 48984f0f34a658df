//! E-mail by SMTP: plain text and HTML of the same words, one thread per experiment and cycle.
//!
//! The `Message-ID` is made of the message's own id, so a mail that is handed in twice is known
//! again; the first of a cycle is kept and every later one refers to it. The HTML has no image,
//! script or style from elsewhere. Headers are written by a library from parsed addresses and
//! text without control characters, so no text of users can make a header. `Auto-Submitted` keeps
//! out-of-office programs from answering. What the server's codes mean stands in `smtp`.

use std::sync::Arc;
use std::time::SystemTime;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, message::MessageBuilder};
use maud::{DOCTYPE, html};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::said::{Said, Tone, conversation};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::clip::json_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::misconfigured;
use crate::deliver::smtp::{Parcel, Security, Server};
use crate::deliver::{BoxFuture, SendError};
use crate::http_client::tls_config;
use crate::secret::SecretRef;

/// Recipients of one receiver.
const MOST_TO: usize = 50;

/// `[receivers.<name>.email]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The mail server that takes our mail.
    pub host: String,
    /// Its port; without it 465, 587 or 25, as `tls` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `tls`, `starttls`, or `none` (with `allow_private` only).
    #[serde(default)]
    pub tls: Security,
    /// User to log in as; without it nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// `Name <address>` or an address.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
}

impl EmailConfig {
    fn login(&self) -> Result<Option<(String, SecretRef)>, String> {
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => Ok(Some((user.clone(), password.clone()))),
            (None, None) => Ok(None),
            _ => Err("username and password: write both or none".to_owned()),
        }
    }

    fn mailboxes(&self) -> Result<(Mailbox, Vec<Mailbox>), String> {
        let parsed = |key: &str, text: &str| {
            let read = text.parse::<Mailbox>();
            read.map_err(|error| format!("{key}: `{text}` is no mail address: {error}"))
        };
        if self.to.is_empty() || self.to.len() > MOST_TO {
            return Err(format!("to: write 1 to {MOST_TO} addresses"));
        }
        let to = self.to.iter().map(|one| parsed("to", one)).collect::<Result<_, _>>()?;
        Ok((parsed("from", &self.from)?, to))
    }
}

impl ReceiverKind for EmailConfig {
    fn limited_by(&self) -> &'static [&'static str] {
        &["host", "port", "username"]
    }

    fn render(&self, content: &Value) -> String {
        body(content).to_string()
    }

    fn shrink(&self, content: &Value) -> String {
        let said = Said::of(content).smallest();
        let subject = json_text(&said.headline, 300);
        json!({"subject": subject, "text": text(&said), "html": page(&said)}).to_string()
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        if network.proxy.is_some() {
            return Err("`proxy` is for HTTP; mail goes straight to its server".to_owned());
        }
        if self.tls == Security::None && !network.allow_private {
            let hint = "mail without TLS stays inside a network of your own";
            return Err(format!("tls: `none` needs `allow_private = true`; {hint}"));
        }
        let (from, to) = self.mailboxes()?;
        let tls = tls_config(network.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let port = self.port.unwrap_or(match self.tls {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        });
        let server = Server {
            host: self.host.clone(),
            port,
            security: self.tls,
            policy: network.policy(),
            tls: Arc::new(tls),
            login: self.login()?,
            hello: from.email.domain().to_owned(),
        };
        let addresses = to.iter().map(|one| one.email.clone()).collect();
        Ok(Arc::new(Email { server, from, to, addresses }))
    }

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(conversation(content))
    }
}

/// What is stored: everything the mail is made of.
pub(in crate::deliver) fn body(content: &Value) -> Value {
    let said = Said::of(content);
    json!({
        "subject": json_text(&said.headline, 300),
        "text": text(&said),
        "html": page(&said),
    })
}

/// The words alone, as lines.
fn text(said: &Said) -> String {
    let clip = |text: &str, max: usize| json_text(text, max);
    let mut parts = vec![clip(&said.headline, 300), clip(&said.reason, 2_500)];
    let facts = said.facts.iter().map(|fact| {
        let (name, text) = (clip(&fact.name, 200), clip(&fact.text, 400));
        format!("- {name}\n  {text}")
    });
    parts.push(facts.collect::<Vec<_>>().join("\n"));
    parts.push(said.next_lines(|line| clip(line, 400)).join("\n"));
    let links = said.links.iter().map(|(label, url)| format!("{label}: {url}"));
    parts.push(links.collect::<Vec<_>>().join("\n"));
    parts.push(clip(&said.foot, 400));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The same words as a page of its own: nothing is loaded from anywhere.
fn page(said: &Said) -> String {
    let clip = |text: &str, max: usize| json_text(text, max);
    let color = match said.tone {
        Tone::Good => "#2e7d32",
        Tone::Calm => "#546e7a",
        Tone::Warning => "#b26a00",
        Tone::Bad => "#c62828",
    };
    let head = format!("margin:0 0 12px;padding-left:10px;border-left:6px solid {color}");
    let cell = "padding:4px 12px 4px 0;vertical-align:top;border-bottom:1px solid #e0e0e0";
    let link = format!("color:{color};margin-right:16px");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (clip(&said.headline, 300)) } }
            body style="font-family:sans-serif;font-size:14px;color:#212121;max-width:640px" {
                h1 style=(format!("font-size:18px;{head}")) { (clip(&said.headline, 300)) }
                @if !said.reason.is_empty() { p { (clip(&said.reason, 2_500)) } }
                @if !said.facts.is_empty() {
                    table role="presentation" style="border-collapse:collapse;margin:0 0 12px" {
                        @for fact in &said.facts {
                            tr {
                                td style=(cell) { b { (clip(&fact.name, 200)) } }
                                td style=(cell) { (clip(&fact.text, 400)) }
                            }
                        }
                    }
                }
                @for line in said.next_lines(|line| clip(line, 400)) { p { (line) } }
                @if !said.links.is_empty() {
                    p { @for (label, url) in &said.links { a href=(url) style=(link) { (label) } } }
                }
                p style="font-size:12px;color:#757575" { (clip(&said.foot, 400)) }
            }
        }
    };
    page.into_string()
}

/// What is kept of a thread: the ids of its first and its newest mail.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Thread {
    root: String,
    last: String,
}

#[derive(Debug)]
struct Email {
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
    addresses: Vec<Address>,
}

impl Email {
    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let known: Option<Thread> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        let id = self.message_id(&envelope.id);
        let mail = self.mail(envelope, &id, known.as_ref())?;
        let bytes = mail.formatted();
        let parcel = Parcel { from: &self.from.email, to: &self.addresses, bytes: &bytes };
        let said = self.server.send(parcel, envelope.timeout).await?;
        let root = known.map_or_else(|| id.clone(), |thread| thread.root);
        let thread = Thread { root, last: id };
        envelope.conversation.keep(serde_json::to_value(thread).unwrap_or_default());
        Ok(Receipt { status: 250, detail: said })
    }

    /// The same for every attempt of a message.
    fn message_id(&self, id: &str) -> String {
        let is_safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let id: String = id.chars().filter(is_safe).collect();
        format!("<{id}@{}>", self.from.email.domain())
    }

    fn mail(
        &self,
        envelope: &Envelope,
        id: &str,
        thread: Option<&Thread>,
    ) -> Result<Message, SendError> {
        let body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let part = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let mut mail = Message::builder()
            .from(self.from.clone())
            .date(SystemTime::from(envelope.sent_at))
            .subject(part("subject"))
            .message_id(Some(id.to_owned()));
        mail = self.to.iter().fold(mail, |mail, one| mail.to(one.clone()));
        // A mail that is handed in again does not refer to itself.
        let mut earlier: Vec<_> = thread.into_iter().flat_map(|it| [&it.root, &it.last]).collect();
        earlier.retain(|one| *one != id);
        earlier.dedup();
        if let Some(last) = earlier.last().map(|last| (*last).clone()) {
            let all: Vec<_> = earlier.iter().map(|one| one.as_str()).collect();
            mail = mail.in_reply_to(last).references(all.join(" "));
        }
        mail = with(mail, HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated");
        let boundary = format!("verdictd-{}", judge::ids::hash128(&["email", id]));
        let parts = MultiPart::alternative().boundary(boundary);
        let parts = parts
            .singlepart(SinglePart::plain(part("text")))
            .singlepart(SinglePart::html(part("html")));
        mail.multipart(parts).map_err(misconfigured)
    }
}

fn with(mail: MessageBuilder, name: HeaderName, value: &str) -> MessageBuilder {
    mail.raw_header(HeaderValue::new(name, value.to_owned()))
}

impl Receiver for Email {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }
}
