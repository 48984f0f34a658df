//! Grafana annotations: one region per experiment and cycle, from its start to its verdict.
//!
//! The first message of a cycle makes the region; later ones move its end and say how it stands,
//! and what comes after the verdict is added as a line and moves nothing. A source that is away is
//! a region of its own, closed by its all-clear. The annotation's id is kept; where an attempt may
//! have made it without telling us, it is looked for by its tags and its first instant. Grafana
//! shows the text as HTML, so every text is escaped. Success is an answer that names an id, not a
//! status alone.

use std::sync::Arc;

use judge::time::Timestamp;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, Calls, Credential, read};
use super::said::{Said, Tone, conversation, is_over};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::clip::{html_text, json_text};
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::misconfigured;
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// Characters of a tag; Grafana's column takes 100.
const MAX_TAG: usize = 90;
/// Characters of a text with everything that was added to it.
const MAX_TEXT: usize = 6_000;

/// `[receivers.<name>.grafana]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrafanaConfig {
    /// `https://<grafana>`, with its path if it is served below one.
    pub url: String,
    /// Token of a service account that may write annotations.
    pub token: SecretRef,
    /// Dashboard to write on; without it annotations belong to the whole organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_uid: Option<String>,
    /// Panel of that dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel_id: Option<u64>,
    /// Further tags; `verdictd`, the experiment and the verdict always are.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl ReceiverKind for GrafanaConfig {
    fn render(&self, content: &Value) -> String {
        self.stored(body(content))
    }

    fn shrink(&self, content: &Value) -> String {
        let mut small = body(content);
        small["text"] = text(&Said::of(content).smallest()).into();
        self.stored(small)
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        if self.panel_id.is_some() && self.dashboard_uid.is_none() {
            return Err("panel_id: name its dashboard_uid as well".to_owned());
        }
        let credential = Credential::Bearer(self.token.clone());
        Ok(Arc::new(Grafana {
            api: Api::new(network, &self.url, credential, vec![("accept", "application/json")])?,
            dashboard_uid: self.dashboard_uid.clone(),
            panel_id: self.panel_id,
        }))
    }

    fn conversation(&self, content: &Value) -> Option<String> {
        Some(conversation(content))
    }
}

impl GrafanaConfig {
    /// A body with the tags of the settings.
    fn stored(&self, mut body: Value) -> String {
        if let Some(tags) = body["tags"].as_array_mut() {
            tags.extend(self.tags.iter().map(|tag| json_text(tag, MAX_TAG).into()));
        }
        body.to_string()
    }
}

/// What is stored: everything an annotation is made of.
pub(in crate::deliver) fn body(content: &Value) -> Value {
    let said = Said::of(content);
    let data = &content["data"];
    let at = ms(&content["timestamp"]);
    let start = ms(&data["window"]["from"]).filter(|start| Some(*start) <= at);
    let subject = data["experiment"]["id"].as_str().or(data["subject"].as_str());
    let word = data["verdict"].as_str().or(said.kind.rsplit('.').next());
    let tags = [Some("verdictd"), subject, word].into_iter().flatten();
    let tags: Vec<_> =
        tags.filter(|tag| !tag.is_empty()).map(|tag| json_text(tag, MAX_TAG)).collect();
    let is_cycle = start.is_some();
    json!({
        "time": start.or(at),
        "end": at,
        "tags": tags,
        "text": text(&said),
        "line": format!("<b>{}</b>", html_text(&said.headline, 300)),
        // A cycle ends by its verdict; what has no cycle ends by its all-clear.
        "over": if is_cycle { is_over(content) } else { said.tone == Tone::Good },
        "is_cycle": is_cycle,
    })
}

fn ms(instant: &Value) -> Option<i64> {
    let at: Timestamp = instant.as_str()?.parse().ok()?;
    Some(at.as_millisecond())
}

fn text(said: &Said) -> String {
    let mut lines = vec![format!("<b>{}</b>", html_text(&said.headline, 300))];
    lines.push(html_text(&said.reason, 1_500));
    lines.extend(said.next_lines(|line| html_text(line, 300)));
    let link = |(label, url): &(&str, String)| {
        format!("<a href=\"{}\">{label}</a>", html_text(url, 1_300))
    };
    lines.push(said.links.iter().take(2).map(link).collect::<Vec<_>>().join(" · "));
    lines.retain(|line| !line.is_empty());
    lines.join("<br>")
}

/// What is kept of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Region {
    id: u64,
    /// Its end does not move any more.
    is_over: bool,
    /// What it says.
    text: String,
}

#[derive(Debug)]
struct Grafana {
    api: Api,
    dashboard_uid: Option<String>,
    panel_id: Option<u64>,
}

const ANNOTATIONS: [&str; 2] = ["api", "annotations"];

impl Grafana {
    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let calls = self.api.calls(envelope);
        let body: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let known: Option<Region> =
            envelope.conversation.known().and_then(|it| serde_json::from_value(it).ok());
        let is_cycle = body["is_cycle"] == true;
        let region = match known {
            // A source that is away again is another region.
            Some(region) if region.is_over && !is_cycle => None,
            Some(region) => Some(region),
            None if envelope.conversation.is_uncertain => find(&calls, &body).await?,
            None => None,
        };
        let mut region = match region {
            Some(region) => match change(&calls, region, &body).await? {
                Some(changed) => changed,
                // Somebody deleted it.
                None => self.make(&calls, &body).await?,
            },
            None => self.make(&calls, &body).await?,
        };
        region.is_over |= body["over"] == true;
        let detail = format!("annotation {}", region.id);
        envelope.conversation.keep(serde_json::to_value(region).unwrap_or_default());
        Ok(Receipt { status: 200, detail })
    }

    async fn make(&self, calls: &Calls<'_>, body: &Value) -> Result<Region, SendError> {
        let mut annotation =
            json!({"time": body["time"], "tags": body["tags"], "text": body["text"]});
        if body["is_cycle"] == true {
            annotation["timeEnd"] = body["end"].clone();
        }
        if let Some(uid) = &self.dashboard_uid {
            annotation["dashboardUID"] = uid.as_str().into();
        }
        if let Some(panel) = self.panel_id {
            annotation["panelId"] = panel.into();
        }
        let answer = calls.call(Method::POST, &ANNOTATIONS, &[], Some(&annotation)).await?;
        let status = answer.status;
        let made = read(answer)?;
        let id = made["id"].as_u64().ok_or_else(|| SendError {
            then: Then::Retry { after: None },
            class: ErrorClass::NotAccepted,
            status: Some(status),
            detail: "the answer names no annotation".to_owned(),
        })?;
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        Ok(Region { id, is_over: false, text })
    }
}

/// The annotation an earlier attempt may have made: ours by its tags and its first instant.
async fn find(calls: &Calls<'_>, body: &Value) -> Result<Option<Region>, SendError> {
    let (from, to) = (body["time"].to_string(), body["end"].to_string());
    let mut query = vec![("from", from.as_str()), ("to", to.as_str()), ("limit", "100")];
    let tags: Vec<_> = body["tags"].as_array().into_iter().flatten().take(2).collect();
    query.extend(tags.iter().filter_map(|tag| Some(("tags", tag.as_str()?))));
    let found = calls.json(Method::GET, &ANNOTATIONS, &query, None).await?;
    let ours = found.as_array().into_iter().flatten().find(|one| one["time"] == body["time"]);
    Ok(ours.and_then(|one| {
        let text = one["text"].as_str().unwrap_or_default().to_owned();
        Some(Region { id: one["id"].as_u64()?, is_over: false, text })
    }))
}

/// Moves the end and says how it stands; `None` if the annotation is not there any more.
async fn change(
    calls: &Calls<'_>,
    mut region: Region,
    body: &Value,
) -> Result<Option<Region>, SendError> {
    let mut change = json!({"tags": body["tags"]});
    if region.is_over {
        let line = body["line"].as_str().unwrap_or_default();
        if !region.text.contains(line) && region.text.len() + line.len() <= MAX_TEXT {
            region.text = format!("{}<br>{line}", region.text);
        }
    } else {
        region.text = body["text"].as_str().unwrap_or_default().to_owned();
        change["timeEnd"] = body["end"].clone();
    }
    change["text"] = region.text.as_str().into();
    let id = region.id.to_string();
    let path = [ANNOTATIONS[0], ANNOTATIONS[1], id.as_str()];
    let answer = calls.call(Method::PATCH, &path, &[], Some(&change)).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    read(answer)?;
    Ok(Some(region))
}

impl Receiver for Grafana {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }
}
