//! The secrets of one endpoint, taken out of whatever it says.
//!
//! Servers like to repeat what they were sent: the body with its routing key, a user and password
//! they decoded, a token without the path it stood in. `scrub` knows one request; this knows what
//! the settings call secret, whichever kind uses it and wherever it is put. So a new kind needs
//! nothing: every reference in its table is found, read when something was said, and looked for
//! as it is and as JSON, HTML, URLs and base64 write it. A text that was cut inside a secret loses
//! the half that is left.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::actions::Act;
use super::{BoxFuture, Envelope, Receipt, Receiver, SendError};
use crate::secret::SecretRef;

/// Shorter texts are words: taking them out would make an answer unreadable and hide nothing.
const MIN_SECRET: usize = 4;
/// Parts of a secret address that are shorter than this are words.
const MIN_PART: usize = 12;
/// The least that is left of a secret at the end of a cut text and still taken out.
const MIN_HALF: usize = 6;
const MARK: &str = "…";

/// The secrets of one endpoint, by reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known(Vec<SecretRef>);

impl Known {
    /// Every reference in a table of the settings.
    pub(super) fn of(table: &impl Serialize) -> Self {
        let mut found = Vec::new();
        walk(&serde_json::to_value(table).unwrap_or_default(), &mut found);
        Self(found)
    }

    /// The text without any of them.
    pub(super) fn clean(&self, text: String) -> String {
        if self.0.is_empty() || text.len() < MIN_SECRET {
            return text;
        }
        let mut forms: Vec<String> = Vec::new();
        // One that cannot be read was not sent.
        for secret in self.0.iter().filter_map(|reference| reference.read().ok()) {
            forms.extend(written(secret.expose().trim()));
        }
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        let text = forms.iter().fold(text, |text, form| text.replace(form.as_str(), MARK));
        without_half(text, &forms)
    }

    fn error(&self, error: SendError) -> SendError {
        SendError { detail: self.clean(error.detail), ..error }
    }
}

/// `{"env": "NAME"}` and `{"file": "PATH"}`, wherever they stand.
fn walk(value: &Value, found: &mut Vec<SecretRef>) {
    match value {
        Value::Object(table) => {
            if let Ok(reference) = serde_json::from_value::<SecretRef>(value.clone()) {
                found.push(reference);
                return;
            }
            table.values().for_each(|child| walk(child, found));
        }
        Value::Array(items) => items.iter().for_each(|child| walk(child, found)),
        _ => {}
    }
}

/// A secret as servers may write it.
fn written(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if let Ok(url) = Url::parse(secret) {
        let parts = url.path().split('/').chain(url.query().unwrap_or_default().split(['&', '=']));
        let long = parts.filter(|part| part.len() >= MIN_PART).map(str::to_owned);
        forms.extend(long);
        if let Some(password) = url.password() {
            forms.extend([password.to_owned(), format!("{}:{password}", url.username())]);
        }
    }
    let plain = forms.clone();
    for form in &plain {
        let json = Value::from(form.as_str()).to_string();
        forms.push(json.trim_matches('"').to_owned());
        let html = form.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        forms.push(html.replace('"', "&quot;").replace('\'', "&#39;"));
        forms.push(utf8_percent_encode(form, NON_ALPHANUMERIC).to_string());
        forms.push(url::form_urlencoded::byte_serialize(form.as_bytes()).collect());
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            forms.push(engine.encode(form));
        }
    }
    forms.retain(|form| form.len() >= MIN_SECRET);
    forms
}

/// Whoever cut the text may have cut a secret in two.
fn without_half(mut text: String, forms: &[String]) -> String {
    let half = |form: &String| {
        let lengths = (MIN_HALF..form.len()).rev();
        let mut halves = lengths.filter_map(|length| form.get(..length));
        halves.find(|half| !is_host(half) && text.ends_with(half)).map(str::len)
    };
    if let Some(length) = forms.iter().filter_map(half).max() {
        text.truncate(text.len() - length);
        text.push_str(MARK);
    }
    text
}

/// Scheme and host of an address, which are shown everywhere.
fn is_host(half: &str) -> bool {
    half.split_once("://").map_or(half.ends_with(':'), |(_, rest)| !rest.contains('/'))
}

/// A receiver that never repeats its own secrets.
#[derive(Debug)]
pub(super) struct Discreet<T: ?Sized> {
    pub(super) known: Known,
    pub(super) inner: Arc<T>,
}

impl Receiver for Discreet<dyn Receiver> {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            match self.inner.send(envelope).await {
                Ok(receipt) => Ok(Receipt { detail: self.known.clean(receipt.detail), ..receipt }),
                Err(error) => Err(self.known.error(error)),
            }
        })
    }

    fn render_errors(&self, body: &str) -> u64 {
        self.inner.render_errors(body)
    }
}

impl Act for Discreet<dyn Act> {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(
            async move { self.inner.ask(envelope).await.map_err(|error| self.known.error(error)) },
        )
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(async move {
            match self.inner.read_back(envelope).await {
                Ok(words) => Ok(self.known.clean(words)),
                Err(error) => Err(self.known.error(error)),
            }
        })
    }

    fn intent(&self) -> String {
        self.known.clean(self.inner.intent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known(folder: &std::path::Path, secrets: &[(&str, &str)]) -> Known {
        let mut table = json!({"url": "https://x.example", "deep": [{"keys": {}}]});
        for (name, value) in secrets {
            std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
            table["deep"][0]["keys"][*name] = json!({"file": folder.join(name)});
        }
        Known::of(&table)
    }

    #[test]
    fn a_secret_is_not_repeated_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let hook = "https://hooks.example.com/services/T0/abcdefghijklmn?sig=0123456789ab";
        let secrets = [
            ("token", "hunt er&\"2<"),
            ("telegram", "123:AAF0-bot"),
            ("hook", hook),
            ("pin", "ab"),
        ];
        let known = known(folder.path(), &secrets);
        for (said, kept) in [
            ("you sent hunt er&\"2<!", "you sent …!"),
            (r#"{"routing_key":"hunt er&\"2<"}"#, r#"{"routing_key":"…"}"#),
            ("<b>hunt er&amp;&quot;2&lt;</b>", "<b>…</b>"),
            ("key=hunt%20er%26%222%3C", "key=…"),
            ("key=hunt+er%26%222%3C&x=1", "key=…&x=1"),
            ("basic aHVudCBlciYiMjw= is wrong", "basic … is wrong"),
            ("no bot 123:AAF0-bot", "no bot …"),
            ("unknown service abcdefghijklmn", "unknown service …"),
            ("bad sig 0123456789ab", "bad sig …"),
            ("T0 is unknown, as is ab", "T0 is unknown, as is ab"),
            ("cut: 123:AAF", "cut: …"),
            ("cut: 123:A", "cut: 123:A"),
            ("cut: https://hooks.example.com/serv", "cut: …"),
            ("ask https://hooks.example.com", "ask https://hooks.example.com"),
            ("it spoke https:", "it spoke https:"),
            ("ok", "ok"),
        ] {
            assert_eq!(known.clean(said.to_owned()), kept, "{said}");
        }
    }

    #[test]
    fn a_secret_that_is_gone_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let known = known(folder.path(), &[("token", "hunter2")]);
        std::fs::remove_file(folder.path().join("token")).unwrap();
        assert_eq!(known.clean("hunter2 is nobody's".to_owned()), "hunter2 is nobody's");
        assert_eq!(Known::of(&json!({"file": 3, "env": "A"})), Known::default());
    }
}
