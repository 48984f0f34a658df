//! What a message says, taken apart for people's tools: the same parts for every receiver.
//!
//! A chat, a card and a page are made from the one generic message and never look at a record.
//! Text stays as it is here; each receiver escapes it in its own way and keeps to its own room.

use serde_json::Value;

/// The most signals and guardrails a message shows.
const MOST_FACTS: usize = 5;
/// Of these, broken guardrails at most.
const MOST_BROKEN: usize = 2;

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Good news, or an all-clear.
    Good,
    /// For information.
    Calm,
    /// Somebody should look.
    Warning,
    /// Something stopped or is broken.
    Bad,
}

/// One signal or guardrail as a named line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// `activation_14d (outcome): met`
    pub(super) name: String,
    /// Its numbers.
    pub(super) text: String,
}

/// The parts of a generic message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Event type.
    pub(super) kind: String,
    /// State word, name, one number against its rule.
    pub(super) headline: String,
    /// One sentence.
    pub(super) reason: String,
    /// What happens next.
    pub(super) next: Vec<String>,
    /// What is broken first, then outcomes, proxies and the rest.
    pub(super) facts: Vec<Fact>,
    /// Label and address, at most three.
    pub(super) links: Vec<(&'static str, String)>,
    /// Type, experiment, owner and instant, joined.
    pub(super) foot: String,
    /// How loud.
    pub(super) tone: Tone,
    /// When it became true, RFC 3339.
    pub(super) at: String,
}

impl Said {
    /// Takes a generic message apart; what is missing is empty.
    pub(super) fn of(content: &Value) -> Self {
        let data = &content["data"];
        let kind = text(&content["type"]);
        Self {
            headline: data["headline"].as_str().unwrap_or("verdictd").to_owned(),
            reason: text(&data["reason"]),
            next: data["next"].as_array().into_iter().flatten().map(text).collect(),
            facts: facts(data),
            links: links(data),
            foot: foot(content),
            tone: tone(&kind, data),
            at: text(&content["timestamp"]),
            kind,
        }
    }
}

/// One conversation per experiment and cycle; what has no experiment has one per subject.
pub(super) fn conversation(content: &Value) -> String {
    let data = &content["data"];
    match (data["experiment"]["id"].as_str(), data["window"]["from"].as_str()) {
        (Some(experiment), Some(cycle)) => format!("{experiment}/{cycle}"),
        (Some(experiment), None) => experiment.to_owned(),
        (None, _) => {
            let kind = text(&content["type"]);
            let family = kind.split('.').next().unwrap_or_default().to_owned();
            format!("{family}:{}", text(&data["subject"]))
        }
    }
}

/// The message ends its cycle: nothing follows but corrections.
pub(super) fn is_over(content: &Value) -> bool {
    let kind = content["type"].as_str().unwrap_or_default();
    kind.starts_with("experiment.verdict.") && content["data"]["final"] == true
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

fn facts(data: &Value) -> Vec<Fact> {
    let fact = |item: &Value, word: &str| {
        let part = |key: &str| text(&item[key]).replace('_', " ");
        Fact {
            name: format!("{} ({word}): {}", part("name"), part("state")),
            text: text(&item["text"]),
        }
    };
    let list = |key: &str| data[key].as_array().cloned().unwrap_or_default();
    let broken = list("guardrails").into_iter().filter(|it| it["state"] != "ok");
    let mut all: Vec<_> = broken.take(MOST_BROKEN).map(|it| fact(&it, "guardrail")).collect();
    let signals = list("signals");
    for role in ["outcome", "proxy", "leading", "guardrail"] {
        all.extend(signals.iter().filter(|it| it["role"] == role).map(|it| fact(it, role)));
    }
    all.truncate(MOST_FACTS);
    all
}

fn links(data: &Value) -> Vec<(&'static str, String)> {
    let labels = [
        ("experiment", "Open experiment"),
        ("log", "Decision log"),
        ("rollback_plan", "Rollback plan"),
    ];
    let known = labels.into_iter().map(|(key, label)| (label, text(&data["links"][key])));
    known.filter_map(|(label, url)| Some((label, plain_url(&url)?))).collect()
}

/// An address without anything that ends a Markdown link early or could call somebody.
fn plain_url(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?.to_string();
    Some(url.replace('(', "%28").replace(')', "%29").replace('@', "%40"))
}

fn foot(content: &Value) -> String {
    let experiment = &content["data"]["experiment"];
    let parts =
        [&content["type"], &experiment["name"], &experiment["owner"], &content["timestamp"]];
    let known: Vec<_> = parts.into_iter().map(text).filter(|part| !part.is_empty()).collect();
    known.join(" · ")
}

fn tone(kind: &str, data: &Value) -> Tone {
    match kind {
        "experiment.verdict.stop" | "guardrail.tripped" | "action.failed" | "engine.fault" => {
            Tone::Bad
        }
        "experiment.verdict.continue"
        | "guardrail.recovered"
        | "data.recovered"
        | "source.recovered"
        | "action.confirmed"
        | "alarm.cleared" => Tone::Good,
        "test" => Tone::Calm,
        "experiment.verdict.change" if data["cause"] == "extend" => Tone::Calm,
        _ => Tone::Warning,
    }
}
