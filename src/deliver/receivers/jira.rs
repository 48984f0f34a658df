//! Jira Cloud v3: one issue per experiment and cycle, comments after it, moved to done at its end.
//!
//! Descriptions and comments are Atlassian Document Format, built here node by node, so that no
//! text of users is markup. The issue's key is kept; where an attempt may have opened it without
//! telling us, it is searched by a label of its own (the search index lags, so an attempt whose
//! outcome is unknown waits a minute first). The transition is picked by the *category* of its
//! target, which every workflow has, never by a name. Limits: summary 255, one line; labels
//! without spaces; description 32,767.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, Calls, Credential, read};
use super::said::{Said, Tone, conversation, fitted, is_over, topic};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::json_text;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, cut, misconfigured, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// How long the search index may lag behind an issue that was just made.
const INDEX_LAG: Duration = Duration::from_mins(1);

/// Below the limit of a description, which counts its characters.
const MAX_BYTES: usize = 30_000;

/// `[receivers.<name>.jira]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JiraConfig {
    /// `https://<site>.atlassian.net`
    pub url: String,
    /// The account the token belongs to.
    pub email: String,
    /// An API token of that account.
    pub token: SecretRef,
    /// Key of the project.
    pub project: String,
    /// Name of the issue type.
    #[serde(default = "task")]
    pub issue_type: String,
    /// Further labels; `verdictd` is always one.
    #[serde(default)]
    pub labels: Vec<String>,
}

fn task() -> String {
    "Task".to_owned()
}

impl ReceiverKind for JiraConfig {
    fn render(&self, content: &Value) -> String {
        self.stored(body(content))
    }

    fn shrink(&self, content: &Value) -> String {
        let mut small = body(content);
        small["document"] = adf(&Said::of(content).smallest());
        self.stored(small)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        if let Some(label) = self.labels.iter().find(|label| label.contains(char::is_whitespace)) {
            return Err(format!("labels: Jira takes no spaces in `{label}`"));
        }
        let credential = Credential::Basic { user: self.email.clone(), token: self.token.clone() };
        let headers = vec![("accept", "application/json")];
        Ok(Arc::new(Jira { api: Api::new(network, &self.url, credential, headers)? }))
    }

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(conversation(content))
    }

    fn rates(&self) -> Vec<Rate> {
        // 20 writes in 2 s and 100 in 30 s to one issue; a message is three of them at most.
        vec![Rate::new(60, 60_000, 3)]
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["url", "email"]
    }
}

impl JiraConfig {
    /// A body with what a new issue needs beside the words.
    fn stored(&self, mut body: Value) -> String {
        let mut labels = vec![Value::from("verdictd"), body["label"].clone()];
        labels.extend(self.labels.iter().map(|label| Value::from(label.as_str())));
        body["labels"] = labels.into();
        body["project"] = self.project.as_str().into();
        body["issue_type"] = self.issue_type.as_str().into();
        body.to_string()
    }
}

/// A paragraph of plain text; ADF refuses empty text.
fn paragraph(text: &str) -> Option<Value> {
    let text = json_text(text, 4_000);
    (!text.is_empty())
        .then(|| json!({"type": "paragraph", "content": [{"type": "text", "text": text}]}))
}

fn strong(text: &str) -> Value {
    let text = json_text(text, 300);
    let marks = json!([{"type": "strong"}]);
    json!({"type": "paragraph", "content": [{"type": "text", "text": text, "marks": marks}]})
}

fn linked(label: &str, url: &str) -> Value {
    let marks = json!([{"type": "link", "attrs": {"href": url}}]);
    json!({"type": "paragraph", "content": [{"type": "text", "text": label, "marks": marks}]})
}

/// The message as an ADF document.
pub(in crate::deliver) fn document(content: &Value) -> Value {
    fitted(content, adf, |document| document.to_string().len() <= MAX_BYTES)
}

fn adf(said: &Said) -> Value {
    let mut nodes = vec![strong(&said.headline)];
    nodes.extend(paragraph(&said.reason));
    let items: Vec<_> = said
        .facts
        .iter()
        .filter_map(|fact| paragraph(&format!("{} - {}", fact.name, fact.text)))
        .map(|node| json!({"type": "listItem", "content": [node]}))
        .collect();
    if !items.is_empty() {
        nodes.push(json!({"type": "bulletList", "content": items}));
    }
    nodes.extend(said.next_lines(str::to_owned).iter().filter_map(|line| paragraph(line)));
    nodes.extend(said.links.iter().map(|(label, url)| linked(label, url)));
    json!({"type": "doc", "version": 1, "content": nodes})
}

/// What is stored: everything an issue or a comment is made of.
pub(in crate::deliver) fn body(content: &Value) -> Value {
    let key = conversation(content);
    json!({
        "summary": json_text(&Said::of(content).headline, 250),
        "document": document(content),
        "label": format!("verdictd-{}", judge::ids::hash128(&["jira", &key])),
        "close": is_over(content),
        "topic": topic(content),
        "loud": Said::of(content).tone == Tone::Bad,
    })
}

#[derive(Debug)]
struct Jira {
    api: Api,
}

const ISSUE: [&str; 4] = ["rest", "api", "3", "issue"];

fn path<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ISSUE.iter().copied().chain(more.iter().copied()).collect()
}

/// The words by which a comment is known again.
fn signed(document: &Value, id: &str) -> Value {
    let mut document = document.clone();
    if let (Some(nodes), Some(mark)) = (document["content"].as_array_mut(), paragraph(id)) {
        nodes.push(mark);
    }
    document
}

impl Jira {
    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let calls = self.api.calls(envelope);
        let body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let known: Option<Issue> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        let issue = match known {
            Some(issue) => Some(issue),
            None if envelope.conversation.is_uncertain => find(&calls, &body).await?,
            None => None,
        };
        let commented = match issue {
            Some(issue) => {
                envelope.conversation.keep(kept(&issue));
                Some(comment(&calls, issue, &body, envelope).await)
            }
            None => None,
        };
        let issue = match commented {
            Some(Ok(issue)) => issue,
            // Somebody deleted the issue: another is opened.
            None | Some(Err(SendError { status: Some(404), .. })) => {
                let key = open(&calls, &body, envelope).await?;
                Issue { key, comment: None, topic: None }
            }
            Some(Err(error)) => return Err(error),
        };
        envelope.conversation.keep(kept(&issue));
        if body["close"] == true {
            close(&calls, &issue.key).await?;
        }
        Ok(Receipt { status: 200, detail: format!("issue {}", issue.key) })
    }
}

/// What is kept of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Issue {
    key: String,
    /// Our newest comment, and what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

fn kept(issue: &Issue) -> Value {
    serde_json::to_value(issue).unwrap_or_default()
}

async fn find(calls: &Calls<'_>, body: &Value) -> Result<Option<Issue>, SendError> {
    let label = body["label"].as_str().unwrap_or_default();
    let jql = format!("labels = \"{label}\" ORDER BY created ASC");
    let question = json!({"jql": jql, "fields": ["summary"], "maxResults": 1});
    let path = ["rest", "api", "3", "search", "jql"];
    let found = judged(calls.call(Method::POST, &path, &[], Some(&question)).await?)?;
    let key = found["issues"][0]["key"].as_str().map(str::to_owned);
    Ok(key.map(|key| Issue { key, comment: None, topic: None }))
}

/// Opens the issue. An answer that never came leaves its outcome unknown: the next attempt waits
/// for the index and looks first.
async fn open(calls: &Calls<'_>, body: &Value, envelope: &Envelope) -> Result<String, SendError> {
    let fields = json!({"fields": {
        "project": {"key": body["project"]},
        "issuetype": {"name": body["issue_type"]},
        "summary": body["summary"],
        "description": signed(&body["document"], &envelope.id),
        "labels": body["labels"],
    }});
    let answer = calls.call(Method::POST, &ISSUE, &[], Some(&fields)).await.map_err(not_before)?;
    let status = answer.status;
    let made = judged(answer).map_err(not_before)?;
    made["key"].as_str().map(str::to_owned).ok_or_else(|| SendError {
        then: Then::Retry { after: Some(INDEX_LAG) },
        class: ErrorClass::NotAccepted,
        status: Some(status),
        detail: "the answer names no issue".to_owned(),
    })
}

/// An answer that was lost, or a failure on Jira's side, may have left an issue behind: it is
/// looked for when the index must know it.
fn not_before(error: SendError) -> SendError {
    let is_refused =
        matches!(error.class, ErrorClass::RateLimited | ErrorClass::Blocked | ErrorClass::Config);
    match error.then {
        Then::Retry { after } if !is_refused => {
            SendError { then: Then::Retry { after: after.max(Some(INDEX_LAG)) }, ..error }
        }
        _ => error,
    }
}

/// Adds a comment, unless an earlier attempt did. What is not loud and about the same thing as our
/// newest comment changes that comment: something that flaps makes no noise.
async fn comment(
    calls: &Calls<'_>,
    issue: Issue,
    body: &Value,
    envelope: &Envelope,
) -> Result<Issue, SendError> {
    let key = issue.key.as_str();
    if envelope.conversation.is_uncertain {
        let query = [("fields", "description,comment")];
        let there = judged(calls.call(Method::GET, &path(&[key]), &query, None).await?)?;
        if there["fields"].to_string().contains(&envelope.id) {
            return Ok(issue);
        }
    }
    let topic = body["topic"].as_str().map(str::to_owned);
    let comment = json!({"body": signed(&body["document"], &envelope.id)});
    let is_same = body["loud"] != true && topic.is_some() && issue.topic == topic;
    if let Some(id) = issue.comment.as_deref().filter(|_| is_same) {
        let there = path(&[key, "comment", id]);
        let answer = calls.call(Method::PUT, &there, &[], Some(&comment)).await?;
        // A comment that somebody deleted is written anew.
        if answer.status != 404 {
            judged(answer)?;
            return Ok(issue);
        }
    }
    let answer = calls.call(Method::POST, &path(&[key, "comment"]), &[], Some(&comment)).await?;
    let made = judged(answer)?;
    let id = made["id"].as_str().map(str::to_owned);
    Ok(Issue { comment: id, topic, ..issue })
}

/// The JSON of a success; Jira says in words that a text is too long, and in a header which of
/// its limits was met. All of them pause the account's messages: there is one bucket.
fn judged(answer: Answer) -> Result<Value, SendError> {
    let text = answer.body.as_deref().unwrap_or_default();
    let is_long = ["CONTENT_LIMIT_EXCEEDED", "exceeds the allowed limit", "too long"];
    if answer.status == 400 && is_long.iter().any(|words| text.contains(words)) {
        return Err(said_by(&answer, Then::Shrink, ErrorClass::TooLarge));
    }
    if answer.status == 429 {
        let after = answer.retry_after.or_else(|| answer.wait_until("x-ratelimit-reset"));
        let error = said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited);
        let reason = answer.header("ratelimit-reason").map(|reason| json_text(reason, 100));
        let detail = reason.map_or(error.detail.clone(), |it| format!("{it}: {}", error.detail));
        return Err(SendError { detail: cut(&detail), ..error });
    }
    read(answer)
}

/// Moves the issue to a status of category *done*, if its workflow has such a transition now.
async fn close(calls: &Calls<'_>, key: &str) -> Result<(), SendError> {
    let there = path(&[key, "transitions"]);
    let known = judged(calls.call(Method::GET, &there, &[], None).await?)?;
    let transitions = known["transitions"].as_array().ok_or_else(|| SendError {
        then: Then::Retry { after: None },
        class: ErrorClass::NotAccepted,
        status: Some(200),
        detail: "the answer lists no transitions".to_owned(),
    })?;
    let done = transitions.iter().find(|one| one["to"]["statusCategory"]["key"] == "done");
    let Some(id) = done.and_then(|one| one["id"].as_str()) else {
        return Ok(());
    };
    let chosen = json!({"transition": {"id": id}});
    judged(calls.call(Method::POST, &there, &[], Some(&chosen)).await?)?;
    Ok(())
}

impl Receiver for Jira {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }
}
