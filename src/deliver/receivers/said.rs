//! What a message says, taken apart for people's tools: the same parts for every receiver.
//!
//! A chat, a card and a page are made from the one generic message and never look at a record.
//! Text stays as it is here; each receiver escapes it in its own way and keeps to its own room.

use judge::time::Timestamp;
use serde_json::Value;

use crate::deliver::clip::json_text;
use crate::deliver::policy::digest::{DIGEST_KIND, is_urgent};
use crate::deliver::words::day;

/// Steps from the whole message to its headline and links.
pub(super) const STEPS: usize = 5;
/// The most signals and guardrails a message shows.
const MOST_FACTS: usize = 5;
/// More than any receiver shows of one text.
const MAX_TEXT: usize = 8_000;
/// The longest address; the shortest limit of all receivers is Discord's.
const MAX_URL: usize = 1_500;
/// Of these, broken guardrails at most.
const MOST_BROKEN: usize = 2;
/// What stands before a line of what happens next, and before one of a list.
const ARROW: &str = "→";
const BULLET: &str = "•";
/// Lines of a list at each step.
const MOST_LINES: [usize; STEPS] = [40, 20, 10, 5, 0];

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
    /// A broken guardrail or an outcome: what is dropped last.
    pub(super) is_primary: bool,
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
    /// What happens next; of a digest, its experiments.
    pub(super) next: Vec<String>,
    /// What stands before each of these lines.
    pub(super) mark: &'static str,
    /// What is broken first, then outcomes, proxies and the rest.
    pub(super) facts: Vec<Fact>,
    /// Label and address, at most six.
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
            headline: headline(data),
            reason: reason(data),
            next: next(data),
            mark: if kind == DIGEST_KIND { BULLET } else { ARROW },
            facts: facts(data),
            links: links(data, tone(&kind, data)),
            foot: foot(content),
            tone: tone(&kind, data),
            at: text(&content["timestamp"]),
            kind,
        }
    }

    /// What happens next, line by line with its mark; `clip` escapes and shortens a line.
    pub(super) fn next_lines(&self, clip: impl Fn(&str) -> String) -> Vec<String> {
        self.next.iter().map(|line| format!("{} {}", self.mark, clip(line))).collect()
    }

    /// Whether `next` is a list, which loses its last lines rather than the end of one.
    pub(super) fn is_list(&self) -> bool {
        self.mark == BULLET
    }

    /// What is left of it at a step: first go secondary signals, then all, then most of the words;
    /// the last is the headline and where to read more. A list loses its last lines at each step.
    pub(super) fn at_step(&self, step: usize) -> Self {
        let mut said = self.clone();
        let most = MOST_LINES.get(step).copied().unwrap_or(0);
        let is_list = said.is_list();
        if is_list && said.next.len() > most {
            said.next.truncate(most);
            said.next.push("and more".to_owned());
        }
        match step {
            0 => return said,
            1 => said.facts.retain(|fact| fact.is_primary),
            _ => said.facts.clear(),
        }
        if step >= 3 {
            said.reason = json_text(&said.reason, 300);
            said.next.truncate(if is_list { usize::MAX } else { 1 });
        }
        if step >= 4 {
            said.reason.clear();
            said.next.clear();
            said.links.truncate(2);
        }
        said
    }

    /// The headline and where to read more.
    pub(super) fn smallest(&self) -> Self {
        self.at_step(STEPS - 1)
    }
}

/// The fullest form that fits; the smallest if none does.
pub(super) fn fitted<T>(
    content: &Value,
    render: impl Fn(&Said) -> T,
    fits: impl Fn(&T) -> bool,
) -> T {
    let said = Said::of(content);
    for step in 0..STEPS - 1 {
        let form = render(&said.at_step(step));
        if fits(&form) {
            return form;
        }
    }
    render(&said.smallest())
}

/// The message says that something is over: what was opened for it can be closed.
pub(super) fn resolves(kind: &str) -> bool {
    matches!(
        kind,
        "guardrail.recovered"
            | "data.recovered"
            | "source.recovered"
            | "alarm.cleared"
            | "action.confirmed"
            | "endpoint.recovered"
            | "clock.agreed"
            | "experiment.verdict.continue"
    )
}

/// What one page is about: a guardrail's trip, the verdict that it made, the rollback that it
/// ordered and its all-clear are one incident; everything else is as in [`topic`].
pub(super) fn incident(content: &Value) -> String {
    let data = &content["data"];
    let kind = content["type"].as_str().unwrap_or_default();
    let follows = kind == "experiment.verdict.stop" || kind.starts_with("action.");
    match data["tripped"].as_str().filter(|_| follows) {
        Some(guardrail) => {
            let experiment = data["experiment"]["id"].as_str().unwrap_or_default();
            judge::ids::hash128(&["pagerduty", experiment, "guardrail", guardrail])
        }
        None => topic(content),
    }
}

/// What one message is about: a trip and its all-clear share it, a verdict has its own.
pub(super) fn topic(content: &Value) -> String {
    let data = &content["data"];
    let experiment = data["experiment"]["id"].as_str().unwrap_or_default();
    let subject = data["subject"].as_str().unwrap_or_default();
    let kind = content["type"].as_str().unwrap_or_default();
    let family = kind.split('.').next().unwrap_or_default();
    let alarm = alarm_key(kind, subject, data["evaluation"].is_string());
    let (family, subject) = match &alarm {
        Some(key) => ("alarm", key.as_str()),
        None => (family, subject),
    };
    judge::ids::hash128(&["pagerduty", experiment, family, subject])
}

/// The key by which an all-clear names the alarm that a message is about; an alarm of a look is
/// told by its signal alone, and by nothing where too many units saw more than one arm.
fn alarm_key(kind: &str, subject: &str, is_of_a_look: bool) -> Option<String> {
    match kind {
        "proxy.without_outcome" => Some("proxy_without_outcome".to_owned()),
        "split.mismatch" => Some("srm".to_owned()),
        "alarm.raised" if is_of_a_look && subject.is_empty() => {
            Some("multiple_exposure".to_owned())
        }
        "alarm.raised" if is_of_a_look => Some(format!("theatre:{subject}")),
        "alarm.raised" | "alarm.cleared" => Some(subject.to_owned()),
        _ => None,
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

/// Without control characters and marks that reorder what people read.
fn text(value: &Value) -> String {
    json_text(value.as_str().unwrap_or_default(), MAX_TEXT).trim().to_owned()
}

/// Never empty: chats refuse a message without a word.
fn headline(data: &Value) -> String {
    let headline = text(&data["headline"]);
    if headline.is_empty() { "verdictd".to_owned() } else { headline }
}

/// The reason; where it only repeats the first line of a change, what was believed as well, since
/// that is what did not hold.
fn reason(data: &Value) -> String {
    let reason = text(&data["reason"]);
    let mechanism = text(&data["mechanism"]);
    let is_repeated = headline(data).contains(reason.trim_end_matches('.'));
    if is_repeated && data["verdict"] == "change" && !mechanism.is_empty() {
        return format!("{reason} {mechanism}").trim().to_owned();
    }
    reason
}

/// Numbers that stay in one line with their unit: narrow columns break at every space.
fn unbroken(text: &str) -> String {
    let kept = text.replace(" %", "\u{a0}%").replace(" pts", "\u{a0}pts");
    kept.replace("n = ", "n\u{a0}=\u{a0}")
}

fn facts(data: &Value) -> Vec<Fact> {
    let fact = |item: &Value, word: &str| {
        // The name as everywhere else, the state in words.
        let state = text(&item["state"]).replace('_', " ");
        Fact {
            name: format!("{} ({word}): {state}", text(&item["name"])),
            text: unbroken(&text(&item["text"])),
            is_primary: matches!(word, "guardrail" | "outcome"),
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

/// What happens next; a rollback that is confirmed says when.
fn next(data: &Value) -> Vec<String> {
    let action = &data["action"];
    let at = action["confirmed_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let confirmed = at.map(|at| format!("Rollback confirmed at {}.", at.strftime("%H:%M:%S UTC")));
    let lines = data["next"].as_array().into_iter().flatten().map(text);
    let lines = lines.filter(|line| !line.is_empty());
    confirmed.into_iter().chain(lines).collect()
}

/// Where to go from here; a plan for going back has no place in good news.
fn links(data: &Value, tone: Tone) -> Vec<(&'static str, String)> {
    let labels = [
        ("portfolio", "Open portfolio"),
        ("experiment", "Open experiment"),
        ("evaluation", "This evaluation"),
        ("log", "Decision log"),
        ("ack", "Acknowledge"),
        ("snooze", "Snooze"),
        ("rollback_plan", "Rollback plan"),
    ];
    let labels =
        labels.into_iter().filter(|(key, _)| tone != Tone::Good || *key != "rollback_plan");
    let known = labels.map(|(key, label)| (label, text(&data["links"][key])));
    known.filter_map(|(label, url)| Some((label, plain_url(&url)?))).collect()
}

/// A web address without anything that ends a Markdown link early or could call somebody.
pub(in crate::deliver) fn plain_url(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut plain = String::new();
    for c in url.as_str().chars() {
        match c {
            '(' => plain.push_str("%28"),
            ')' => plain.push_str("%29"),
            '@' => plain.push_str("%40"),
            '<' | '>' | '"' | '\'' | '|' | '\\' | '`' | '[' | ']' | '*' | '~' => {
                // All of these are ASCII: two digits each.
                let byte = u32::from(c);
                plain.push('%');
                for half in [byte >> 4, byte & 15] {
                    plain.extend(char::from_digit(half, 16).map(|it| it.to_ascii_uppercase()));
                }
            }
            c => plain.push(c),
        }
    }
    (plain.len() <= MAX_URL).then_some(plain)
}

fn foot(content: &Value) -> String {
    let experiment = &content["data"]["experiment"];
    let at = text(&content["timestamp"]);
    let at = at.parse::<Timestamp>().map_or(at, day);
    let known = [&content["type"], &experiment["name"], &experiment["owner"]].map(text);
    let known: Vec<_> = known.into_iter().chain([at]).filter(|part| !part.is_empty()).collect();
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
        | "endpoint.recovered"
        | "clock.agreed"
        | "alarm.cleared" => Tone::Good,
        "test" => Tone::Calm,
        DIGEST_KIND if !needs_somebody(data) => Tone::Calm,
        "experiment.verdict.change" if data["cause"] == "extend" => Tone::Calm,
        _ => Tone::Warning,
    }
}

/// Whether a digest names an experiment that somebody has to look at.
fn needs_somebody(digest: &Value) -> bool {
    let mut experiments = digest["digest"]["experiments"].as_array().into_iter().flatten();
    experiments
        .any(|one| is_urgent(one["verdict"].as_str().unwrap_or_default(), one["tripped"] == true))
}
