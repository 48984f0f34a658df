//! GitHub issues: one issue per experiment and cycle, a comment for each message after the first.
//!
//! The issue's number is kept; where an attempt may have opened it without telling us, issues
//! with our label are searched for a hidden marker before another is opened, and a comment that
//! is already there is not written twice. The issue is closed when the cycle ends. A 403 can be
//! a rate limit (`retry-after`, or no requests remaining): that is tried again, others are not.
//! Limits: title 256, body 65,536 characters.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, Calls, Credential, read};
use super::said::{Said, conversation, fitted, is_over};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::clip::{json_text, markdown_text};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{Answer, misconfigured, said_by};
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Room for the markers below the limit of a body.
const MAX_CHARS: usize = 60_000;

/// `[receivers.<name>.github]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitHubConfig {
    /// `owner/name`
    pub repository: String,
    /// A token that may write issues there.
    pub token: SecretRef,
    /// Further labels of new issues; `verdictd` is always one.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The API's address, for GitHub Enterprise.
    #[serde(default = "api")]
    pub url: String,
}

fn api() -> String {
    "https://api.github.com".to_owned()
}

impl ReceiverKind for GitHubConfig {
    fn render(&self, content: &Value) -> String {
        self.stored(body(content))
    }

    fn shrink(&self, content: &Value) -> String {
        let mut small = body(content);
        small["text"] = markdown(&Said::of(content).smallest()).into();
        self.stored(small)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        let (owner, name) = self
            .repository
            .split_once('/')
            .filter(|(owner, name)| !owner.is_empty() && !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| format!("repository `{}`: write owner/name", self.repository))?;
        let headers =
            vec![("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];
        let credential = Credential::Bearer(self.token.clone());
        Ok(Arc::new(GitHub {
            api: Api::new(network, &self.url, credential, headers)?,
            owner: owner.to_owned(),
            name: name.to_owned(),
        }))
    }

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(conversation(content))
    }

    fn rates(&self) -> Vec<Rate> {
        // 80 writes in a minute and 500 in an hour, the burst included.
        vec![Rate::new(60, 60_000, 20), Rate::new(400, 3_600_000, 100)]
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["url", "token"]
    }
}

impl GitHubConfig {
    /// A body with the labels of new issues.
    fn stored(&self, mut body: Value) -> String {
        let ours = std::iter::once("verdictd".to_owned()).chain(self.labels.iter().cloned());
        body["labels"] = ours.collect::<Vec<_>>().into();
        body.to_string()
    }
}

/// Text that neither calls a person nor refers to another issue.
fn escaped(text: &str, max: usize) -> String {
    let text = markdown_text(text, max).replace("\\#", "#\u{200b}");
    // `GH-12` is a reference as well.
    ["GH-", "Gh-", "gH-", "gh-"]
        .iter()
        .fold(text, |text, mark| text.replace(mark, &format!("{mark}\u{200b}")))
}

/// What is stored: everything an issue or a comment is made of.
pub(in crate::deliver) fn body(content: &Value) -> Value {
    let text = fitted(content, markdown, |text| text.chars().count() <= MAX_CHARS);
    json!({
        // A title is shown as it is but for code spans.
        "title": json_text(&Said::of(content).headline, 250).replace('`', "'"),
        "text": text,
        "key": conversation(content),
        "close": is_over(content),
    })
}

fn markdown(said: &Said) -> String {
    let mut lines = vec![format!("**{}**", escaped(&said.headline, 300))];
    if !said.reason.is_empty() {
        lines.push(escaped(&said.reason, 4_000));
    }
    if !said.facts.is_empty() {
        let rows = said
            .facts
            .iter()
            .map(|fact| format!("| {} | {} |", escaped(&fact.name, 200), escaped(&fact.text, 400)));
        let table: Vec<_> = ["| signal | seen |".to_owned(), "|---|---|".to_owned()]
            .into_iter()
            .chain(rows)
            .collect();
        lines.push(table.join("\n"));
    }
    lines.extend(said.next_lines(|line| escaped(line, 400)));
    let links: Vec<_> = said.links.iter().map(|(label, url)| format!("[{label}]({url})")).collect();
    if !links.is_empty() {
        lines.push(links.join(" · "));
    }
    lines.join("\n\n")
}

#[derive(Debug)]
struct GitHub {
    api: Api,
    owner: String,
    name: String,
}

/// What is kept of a conversation.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
struct Issue {
    number: u64,
}

fn marker(kind: &str, key: &str) -> String {
    format!("<!-- verdictd:{kind}:{} -->", judge::ids::hash128(&["github", key]))
}

impl GitHub {
    fn path<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["repos", self.owner.as_str(), self.name.as_str()];
        path.extend_from_slice(more);
        path
    }

    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let calls = self.api.calls(envelope);
        let body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let known: Option<Issue> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        let issue = match known {
            Some(issue) => Some(issue),
            None if envelope.conversation.is_uncertain => self.find(&calls, &body).await?,
            None => None,
        };
        let commented = match issue {
            Some(issue) => self.comment(&calls, issue, &body, envelope).await.map(Some),
            None => Ok(None),
        };
        let (number, status) = match (issue, commented) {
            (Some(issue), Ok(Some(status))) => (issue.number, status),
            // Somebody deleted the issue: another is opened.
            (Some(_), Err(SendError { status: Some(404 | 410), .. })) | (_, Ok(_)) => {
                self.open(&calls, &body, envelope).await?
            }
            (_, Err(error)) => return Err(error),
        };
        envelope.conversation.keep(json!({"number": number}));
        if body["close"] == true {
            let closed = json!({"state": "closed", "state_reason": "completed"});
            let number = number.to_string();
            let path = self.path(&["issues", &number]);
            judged(calls.call(Method::PATCH, &path, &[], Some(&closed)).await?)?;
        }
        Ok(Receipt { status, detail: format!("issue #{number}") })
    }

    /// The issue of this conversation among the newest with our label.
    async fn find(&self, calls: &Calls<'_>, body: &Value) -> Result<Option<Issue>, SendError> {
        let path = self.path(&["issues"]);
        let query = [("labels", "verdictd"), ("state", "all"), ("per_page", "100")];
        let found = judged(calls.call(Method::GET, &path, &query, None).await?)?;
        let marker = marker("issue", body["key"].as_str().unwrap_or_default());
        let ours = found
            .as_array()
            .into_iter()
            .flatten()
            .find(|issue| issue["body"].as_str().is_some_and(|text| text.contains(&marker)));
        Ok(ours.and_then(|issue| issue["number"].as_u64()).map(|number| Issue { number }))
    }

    async fn open(
        &self,
        calls: &Calls<'_>,
        body: &Value,
        envelope: &Envelope,
    ) -> Result<(u64, u16), SendError> {
        let markers = [
            marker("issue", body["key"].as_str().unwrap_or_default()),
            marker("message", &envelope.id),
        ];
        let text =
            format!("{}\n\n{}", body["text"].as_str().unwrap_or_default(), markers.join("\n"));
        let issue = json!({"title": body["title"], "body": text, "labels": body["labels"]});
        let path = self.path(&["issues"]);
        let answer = calls.call(Method::POST, &path, &[], Some(&issue)).await?;
        let status = answer.status;
        let made = judged(answer)?;
        let number = made["number"].as_u64().ok_or_else(|| SendError {
            then: Then::Retry { after: None },
            class: ErrorClass::NotAccepted,
            status: Some(status),
            detail: "the answer names no issue".to_owned(),
        })?;
        Ok((number, status))
    }

    /// Adds a comment, unless an earlier attempt did.
    async fn comment(
        &self,
        calls: &Calls<'_>,
        issue: Issue,
        body: &Value,
        envelope: &Envelope,
    ) -> Result<u16, SendError> {
        let number = issue.number.to_string();
        let marker = marker("message", &envelope.id);
        if envelope.conversation.is_uncertain && self.is_said(calls, &number, &marker).await? {
            return Ok(200);
        }
        let text = format!("{}\n\n{marker}", body["text"].as_str().unwrap_or_default());
        let path = self.path(&["issues", &number, "comments"]);
        let answer = calls.call(Method::POST, &path, &[], Some(&json!({"body": text}))).await?;
        let status = answer.status;
        judged(answer).map(|_| status)
    }

    async fn is_said(
        &self,
        calls: &Calls<'_>,
        number: &str,
        marker: &str,
    ) -> Result<bool, SendError> {
        let has = |item: &Value| item["body"].as_str().is_some_and(|text| text.contains(marker));
        let issue = calls.call(Method::GET, &self.path(&["issues", number]), &[], None).await?;
        if has(&judged(issue)?) {
            return Ok(true);
        }
        let path = self.path(&["issues", number, "comments"]);
        let query = [("per_page", "100")];
        let comments = judged(calls.call(Method::GET, &path, &query, None).await?)?;
        Ok(comments.as_array().is_some_and(|all| all.iter().any(has)))
    }
}

impl Receiver for GitHub {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }
}

/// The JSON of a success; a 403 that is a rate limit is tried again.
fn judged(answer: Answer) -> Result<Value, SendError> {
    let text = answer.body.as_deref().unwrap_or_default();
    let is_spent = answer.header("x-ratelimit-remaining") == Some("0");
    let is_said = ["rate limit", "abuse detection"].iter().any(|words| text.contains(words));
    let is_limit = answer.status == 429
        || answer.status == 403 && (answer.retry_after.is_some() || is_spent || is_said);
    if is_limit {
        // GitHub's own order: the header, the end of the hour if it is used up, else a minute.
        let reset = is_spent.then(|| answer.wait_until("x-ratelimit-reset")).flatten();
        let reset = reset.filter(|wait| !wait.is_zero());
        let after = answer.retry_after.or(reset).or(Some(Duration::from_mins(1)));
        return Err(said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited));
    }
    if answer.status == 422 && text.contains("too long") {
        return Err(said_by(&answer, Then::Shrink, ErrorClass::TooLarge));
    }
    read(answer)
}
