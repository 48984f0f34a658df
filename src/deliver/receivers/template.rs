//! The template receiver: any JSON API, by a tree of templates, rules of success and a preset.
//!
//! What is written into the tree is rendered when the message is enqueued (`leaves`); it is held
//! against a sample of every kind of message when the settings are loaded. Success is what the
//! rules say, never the status alone. A message that a template cannot render is sent with plain
//! text in that place, and the attempt says so.

mod presets;
mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use self::presets::Plan;
#[cfg(test)]
pub(in crate::deliver) use self::presets::names as preset_names;
pub use self::rules::{Rule, Success};
use super::said::{STEPS, Said, Tone, conversation, incident, resolves};
use super::{Envelope, Receipt, Receiver, ReceiverKind};
use crate::deliver::bucket::Rate;
use crate::deliver::endpoint::Network;
use crate::deliver::exchange::{exchange, misconfigured};
use crate::deliver::leaves::{Escape, Fault, Rendered, render};
use crate::deliver::payload::Links;
use crate::deliver::sample::sample_messages;
use crate::deliver::{BoxFuture, SendError};
use crate::secret::SecretRef;

/// `[receivers.<name>.template]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateConfig {
    /// Name of a shipped preset: `google_chat`, `grafana_irm`, `linear`, `opsgenie`, `telegram`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Where messages are sent, if the address is a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretRef>,
    /// Where messages are sent, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// `POST` (default), `PUT` or `PATCH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<TemplateMethod>,
    /// A template of what is added to the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Further headers whose values are secrets.
    pub secret_headers: BTreeMap<String, SecretRef>,
    /// The token that a preset asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// The tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A JSON file with the tree, read when the settings are loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_file: Option<PathBuf>,
    /// What is sent in place of `path` and `body` when something is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Resolve>,
    /// How values are escaped: `none` (default), `slack`, `md`, `html`, `adf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<Escape>,
    /// Values for `{{ vars.x }}`.
    pub vars: BTreeMap<String, String>,
    /// The largest body; secondary facts go first where it would be larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// What is a success, and what is tried again; without it a 2xx status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<Success>,
    /// The plan made of all this, once.
    #[serde(skip)]
    #[schemars(skip)]
    plan: OnceLock<Result<Plan, Vec<String>>>,
}

/// What is sent when something is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// A template of what is added to the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The tree.
    pub body: Value,
}

/// HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TemplateMethod {
    Post,
    Put,
    Patch,
}

impl From<TemplateMethod> for Method {
    fn from(method: TemplateMethod) -> Self {
        match method {
            TemplateMethod::Post => Self::POST,
            TemplateMethod::Put => Self::PUT,
            TemplateMethod::Patch => Self::PATCH,
        }
    }
}

impl TemplateConfig {
    fn plan(&self) -> &Result<Plan, Vec<String>> {
        self.plan.get_or_init(|| presets::plan(self))
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = header_name(name)?;
            let value = HeaderValue::try_from(value).map_err(|error| format!("{name}: {error}"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("headers: `{name}` is no header name"))
}

impl ReceiverKind for TemplateConfig {
    fn rates(&self) -> Vec<Rate> {
        let rates = self.plan().as_ref().map(|plan| plan.rates.as_slice()).unwrap_or_default();
        rates.iter().map(|rate| Rate::new(rate.count, rate.per_ms, rate.burst)).collect()
    }

    fn limited_by(&self) -> &'static [&'static str] {
        &["preset", "url", "base_url", "token", "vars"]
    }

    fn is_chat(&self) -> bool {
        matches!(self.preset.as_deref(), Some("google_chat" | "telegram"))
    }

    fn render(&self, content: &Value) -> String {
        let Ok(plan) = self.plan() else { return "{}".to_owned() };
        fitted(plan, content).to_string()
    }

    fn shrink(&self, content: &Value) -> String {
        let Ok(plan) = self.plan() else { return "{}".to_owned() };
        at_step(plan, content, STEPS - 1).0.to_string()
    }

    fn receiver(&self, network: &Network) -> Result<Arc<dyn Receiver>, String> {
        let plan = self.plan().as_ref().map_err(|faults| faults.join("; "))?.clone();
        let base = match (&self.url, &plan.base_url) {
            (Some(_), _) => None,
            (None, Some(base)) => {
                Some(network.checked(base).map_err(|error| format!("base_url: {error}"))?)
            }
            (None, None) => return Err("url: write where messages are sent".to_owned()),
        };
        let secret_headers = self.secret_headers.iter();
        let secret_headers = secret_headers
            .map(|(name, secret)| Ok((header_name(name)?, String::new(), secret.clone())));
        let mut secret_headers = secret_headers.collect::<Result<Vec<_>, String>>()?;
        if let (Some(place), Some(token)) = (&plan.token, &self.token) {
            let name = header_name(&place.header)?;
            secret_headers.push((name, place.prefix.clone(), token.clone()));
        }
        Ok(Arc::new(Template {
            client: network.client()?,
            network: network.clone(),
            url: self.url.clone(),
            base,
            headers: self.headers()?,
            secret_headers,
            plan,
        }))
    }

    fn faults(&self) -> Vec<String> {
        match self.plan() {
            Err(faults) => faults.clone(),
            Ok(plan) => tried(plan),
        }
    }
}

/// What templates see of a message, at a step of degradation.
fn context(plan: &Plan, content: &Value, step: usize) -> Value {
    let said = Said::of(content).at_step(step);
    let tone = match said.tone {
        Tone::Good => "good",
        Tone::Calm => "calm",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    };
    let data = &content["data"];
    let facts: Vec<_> =
        said.facts.iter().map(|fact| json!({"name": fact.name, "text": fact.text})).collect();
    let links: Vec<_> =
        said.links.iter().map(|(label, url)| json!({"label": label, "url": url})).collect();
    json!({
        "type": said.kind,
        "timestamp": said.at,
        "data": data,
        "said": {
            "headline": said.headline, "reason": said.reason, "next": said.next, "facts": facts,
            "links": links, "foot": said.foot, "mark": said.mark,
            "subject": data["subject"].as_str().unwrap_or_default(),
        },
        "tone": tone,
        "resolves": resolves(&said.kind),
        "incident": incident(content),
        "key": judge::ids::hash128(&["template", &conversation(content)]),
        "uuid": uuid(data["notice"].as_str().unwrap_or_default(), plan),
        "vars": plan.vars,
    })
}

/// An id in the form of a UUID, the same for the same message and place.
fn uuid(notice: &str, plan: &Plan) -> String {
    let vars = serde_json::to_string(&plan.vars).unwrap_or_default();
    let hex = judge::ids::hash128(&["uuid", notice, &vars]);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let (a, b, c, d, e) = (part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    format!("{a}-{b}-4{c}-8{d}-{e}")
}

/// The stored body: path, tree, and how many leaves say something else than they should.
fn at_step(plan: &Plan, content: &Value, step: usize) -> (Value, Vec<Fault>) {
    let context = context(plan, content, step);
    let headline = Said::of(content).headline;
    let is_over = context["resolves"] == true;
    let resolve = plan.resolve.as_ref().filter(|_| is_over);
    let path =
        resolve.map_or(plan.path.as_deref(), |it| it.path.as_deref().or(plan.path.as_deref()));
    let tree = resolve.map_or(&plan.body, |it| &it.body);
    let Rendered { tree, mut faults } = render("body", tree, &context, plan.escape, &headline);
    let path = Value::from(path.unwrap_or_default());
    let path = render("path", &path, &context, Escape::None, "");
    faults.extend(path.faults);
    (json!({"path": path.tree, "body": tree, "faults": faults.len()}), faults)
}

/// The fullest form that fits.
fn fitted(plan: &Plan, content: &Value) -> Value {
    let mut form = Value::Null;
    for step in 0..STEPS {
        form = at_step(plan, content, step).0;
        if fits(plan, &form["body"]) {
            break;
        }
    }
    form
}

fn fits(plan: &Plan, body: &Value) -> bool {
    let is_within = |(pointer, max): (&String, &usize)| {
        let text = body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        text.encode_utf16().count() <= *max
    };
    body.to_string().len() <= plan.max_bytes && plan.max_chars.iter().all(is_within)
}

/// Every fault of a plan against a sample of every kind, each once, with the kinds it comes with.
fn tried(plan: &Plan) -> Vec<String> {
    let at = judge::time::Timestamp::UNIX_EPOCH;
    let links = Links { external_url: "https://verdictd.example.com".to_owned() };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for content in sample_messages(at, &links, 1) {
        let kind = content["type"].as_str().unwrap_or_default();
        for fault in at_step(plan, &content, 0).1 {
            found.entry(fault.to_string()).or_default().push(kind.to_owned());
        }
    }
    let told = |(fault, kinds): (String, Vec<String>)| match kinds.as_slice() {
        [one] => format!("{fault} (in `{one}`)"),
        [one, rest @ ..] => format!("{fault} (in `{one}` and {} more kinds)", rest.len()),
        [] => fault,
    };
    found.into_iter().map(told).collect()
}

/// How many parts of a stored body could not be rendered.
fn faults(stored: &Value) -> u64 {
    stored["faults"].as_u64().unwrap_or(0)
}

#[derive(Debug)]
struct Template {
    client: Client,
    network: Network,
    url: Option<SecretRef>,
    base: Option<Url>,
    headers: HeaderMap,
    /// Name, what stands before the secret, the secret.
    secret_headers: Vec<(HeaderName, String, SecretRef)>,
    plan: Plan,
}

impl Template {
    /// Address, path and query; a path never leads to another host.
    fn address(&self, path: &str) -> Result<Url, SendError> {
        let base = match (&self.url, &self.base) {
            (Some(secret), _) => self.network.secret_url(secret)?,
            (None, Some(base)) => base.clone(),
            (None, None) => return Err(misconfigured("no address")),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = base;
        if !path.is_empty() {
            let whole = format!("{}/{}", url.path().trim_end_matches('/'), path.trim_matches('/'));
            url.set_path(&whole);
        }
        let more = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let fixed = self.plan.query.iter().map(|(key, value)| (key.clone(), value.clone()));
        let more: Vec<_> = more.chain(fixed).collect();
        if !more.is_empty() {
            url.query_pairs_mut().extend_pairs(more);
        }
        Ok(url)
    }

    async fn deliver(&self, envelope: &Envelope) -> Result<Receipt, SendError> {
        let stored: Value = serde_json::from_str(&envelope.body).map_err(misconfigured)?;
        let url = self.address(stored["path"].as_str().unwrap_or_default())?;
        let mut request = self
            .client
            .request(self.plan.method.clone(), url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("webhook-id", &envelope.id)
            .headers(self.headers.clone());
        for (name, prefix, secret) in &self.secret_headers {
            let secret = secret.read().map_err(misconfigured)?;
            let mut value = HeaderValue::try_from(format!("{prefix}{}", secret.expose().trim()))
                .map_err(|_| misconfigured(format!("{name}: the secret is no header value")))?;
            value.set_sensitive(true);
            request = request.header(name.clone(), value);
        }
        let request = request.body(stored["body"].to_string());
        let answer = exchange(request, &url, envelope.timeout, envelope.sent_at).await?;
        let mut receipt = self.plan.success.judged(answer)?;
        let faults = faults(&stored);
        if faults > 0 {
            receipt.detail =
                format!("{faults} parts could not be rendered; {}", receipt.detail.trim());
        }
        Ok(receipt)
    }
}

impl Receiver for Template {
    fn send<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(self.deliver(envelope))
    }

    fn render_errors(&self, body: &str) -> u64 {
        serde_json::from_str(body).map_or(0, |stored| faults(&stored))
    }
}
