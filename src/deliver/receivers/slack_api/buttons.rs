//! Buttons of Slack messages that work in the chat: made here, read back here, answered here.
//!
//! A button carries the token of the link it takes the place of, so what is pressed is believed by
//! the same signature, for the same while, once. Slack signs what it sends us (`crate::inbound`);
//! this file only reads it. Links among the buttons are sent to us as well when they are followed:
//! they say nothing.

use std::time::Duration;

use judge::time::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::{Api, Credential};
use super::{SlackApiConfig, judged};
use crate::deliver::clip::{json_text, slack_text};
use crate::deliver::endpoint::{Endpoint, Flow};
use crate::deliver::{ReceiverConfig, SendError};
use crate::secret::SecretRef;

/// What our buttons are called; the ids of links never begin so.
const OURS: &str = "verdictd_";
/// How long telling the chat what came of a button may take.
const TELL_WITHIN: Duration = Duration::from_secs(10);
/// Longest id of Slack's.
const MAX_ID: usize = 32;

/// Lets the links that acknowledge and snooze work where they stand.
pub(super) fn put(body: &mut Value) {
    // By name and never by index: an index would write a null where there is nothing.
    let blocks = body.get_mut("blocks").and_then(Value::as_array_mut).into_iter().flatten();
    let elements = blocks.filter_map(|block| block.get_mut("elements")?.as_array_mut()).flatten();
    for element in elements {
        let id = match element["action_id"].as_str() {
            Some(id @ ("acknowledge" | "snooze")) => format!("{OURS}{id}"),
            _ => continue,
        };
        let token = element["url"].as_str().and_then(|url| url.rsplit('/').next());
        let Some(token) = token.filter(|token| !token.is_empty()).map(str::to_owned) else {
            continue;
        };
        if let Some(element) = element.as_object_mut() {
            element.remove("url");
            element.insert("action_id".to_owned(), id.into());
            element.insert("value".to_owned(), token.into());
        }
    }
}

/// A button of ours that somebody pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// The token of the link it stands for.
    pub token: String,
    /// Slack's id of who pressed it, and how they call themselves there.
    pub who: String,
    user: String,
    channel: String,
    /// The root of the thread that the message stands in.
    thread: String,
}

/// Slack's document, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: Option<User>,
    channel: Option<Id>,
    message: Option<Message>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    ts: String,
    thread_ts: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    value: Option<String>,
}

impl Press {
    /// Reads what Slack sent; `None` where it is nothing of ours: a link that was followed, a
    /// modal, another app's button.
    ///
    /// # Errors
    ///
    /// One sentence if it is no such document.
    pub fn read(payload: &str) -> Result<Option<Self>, &'static str> {
        let payload: Payload = serde_json::from_str(payload)
            .map_err(|_| "the field `payload` is not the JSON of an interaction")?;
        if payload.kind != "block_actions" {
            return Ok(None);
        }
        let mut actions = payload.actions.into_iter();
        let Some(token) =
            actions.find(|it| it.action_id.starts_with(OURS)).and_then(|action| action.value)
        else {
            return Ok(None);
        };
        let user = payload.user.ok_or("`user` is missing: nobody pressed it")?;
        if !is_id(&user.id) {
            return Err("`user.id` is no id of Slack");
        }
        let name = if user.username.is_empty() { &user.name } else { &user.username };
        let name = json_text(name, 80);
        let who = format!("slack {} ({})", user.id, if name.is_empty() { "?" } else { &name });
        let message = payload.message.unwrap_or(Message { ts: String::new(), thread_ts: None });
        Ok(Some(Self {
            token,
            who,
            user: user.id,
            channel: payload.channel.map(|it| it.id).filter(|id| is_id(id)).unwrap_or_default(),
            thread: message.thread_ts.unwrap_or(message.ts),
        }))
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// An app whose buttons come back to us.
#[derive(Debug)]
pub struct App {
    /// The receiver's name in the settings.
    pub receiver: String,
    /// What its requests are signed with.
    pub signing_secret: SecretRef,
    api: Api,
}

impl App {
    /// The receivers with a signing secret; what cannot be used says so where receivers are built.
    pub fn all<'a>(receivers: impl Iterator<Item = (&'a String, &'a ReceiverConfig)>) -> Vec<Self> {
        let app = |(name, config): (&String, &ReceiverConfig)| match config {
            ReceiverConfig::SlackApi(endpoint) => Self::of(name, endpoint),
            _ => None,
        };
        receivers.filter_map(app).collect()
    }

    fn of(name: &str, endpoint: &Endpoint<SlackApiConfig, Flow>) -> Option<Self> {
        let Endpoint { network, own, .. } = endpoint;
        let signing_secret = own.signing_secret.clone()?;
        let credential = Credential::Bearer(own.token.clone());
        let api = Api::new(network, &own.url, credential, Vec::new()).ok()?;
        Some(Self { receiver: name.to_owned(), signing_secret, api })
    }

    /// Tells the chat what came of a button: everybody in its thread, or whoever pressed it.
    ///
    /// # Errors
    ///
    /// As any message: Slack's word, or why it could not be asked.
    pub async fn tell(
        &self,
        press: &Press,
        words: &str,
        is_for_all: bool,
        now: Timestamp,
    ) -> Result<(), SendError> {
        if press.channel.is_empty() {
            return Ok(());
        }
        let mut body = json!({
            "channel": press.channel,
            "text": slack_text(words, 1_000, false),
            "mrkdwn": false,
        });
        let method = if is_for_all && !press.thread.is_empty() {
            body["thread_ts"] = press.thread.as_str().into();
            "chat.postMessage"
        } else {
            body["user"] = press.user.as_str().into();
            "chat.postEphemeral"
        };
        let calls = self.api.calls_within(TELL_WITHIN, now);
        judged(calls.call(Method::POST, &[method], &[], Some(&body)).await?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(action: &Value) -> Result<Option<Press>, &'static str> {
        let payload = json!({
            "type": "block_actions", "user": {"id": "U01", "username": "ana"},
            "channel": {"id": "C01"}, "message": {"ts": "1.2", "thread_ts": "1.1"},
            "actions": [action],
        });
        Press::read(&payload.to_string())
    }

    #[test]
    fn links_become_buttons_and_other_links_stay() {
        let mut body = json!({"blocks": [{"type": "header"}, {"type": "actions", "elements": [
            {"type": "button", "action_id": "open_experiment", "url": "https://d/x/copy"},
            {"type": "button", "action_id": "acknowledge", "url": "https://d/n/ack.1.2.mac"},
            {"type": "button", "action_id": "snooze", "url": "https://d/n/snooze.1.2.mac"},
        ]}]});
        put(&mut body);
        assert_eq!(body["blocks"][0], json!({"type": "header"}), "other blocks stay as they are");
        let elements = &body["blocks"][1]["elements"];
        assert_eq!(elements[0]["url"], "https://d/x/copy");
        for (at, id, token) in
            [(1, "verdictd_acknowledge", "ack.1.2.mac"), (2, "verdictd_snooze", "snooze.1.2.mac")]
        {
            let button = &elements[at];
            assert_eq!((&button["action_id"], &button["value"]), (&json!(id), &json!(token)));
            assert!(button.get("url").is_none(), "{button}");
        }
    }

    #[test]
    fn a_button_of_ours_is_read_and_nothing_else() {
        let ours = json!({"action_id": "verdictd_snooze", "value": "snooze.1.2.mac"});
        let press = pressed(&ours).unwrap().unwrap();
        assert_eq!(
            (press.token.as_str(), press.who.as_str()),
            ("snooze.1.2.mac", "slack U01 (ana)")
        );
        assert_eq!(press.thread, "1.1", "the root, not the reply");
        for other in [
            json!({"action_id": "open_experiment", "value": "snooze.1.2.mac"}),
            json!({"action_id": "verdictd_snooze"}),
            json!({}),
        ] {
            assert_eq!(pressed(&other), Ok(None), "{other}");
        }
        for (payload, words) in [
            ("", "not the JSON"),
            ("[]", "not the JSON"),
            (
                r#"{"type": "block_actions",
                    "actions": [{"action_id": "verdictd_x", "value": "v"}]}"#,
                "`user` is missing",
            ),
            (
                r#"{"type": "block_actions", "user": {"id": "<!channel>"},
                 "actions": [{"action_id": "verdictd_x", "value": "v"}]}"#,
                "no id of Slack",
            ),
        ] {
            let refused = Press::read(payload).unwrap_err();
            assert!(refused.contains(words), "{payload}: {refused}");
        }
        assert_eq!(Press::read(r#"{"type": "view_closed"}"#), Ok(None));
    }
}
