//! The generic message: one JSON shape for every notice, at most 20 kB by construction.
//!
//! Everything else is made from it: other receivers render this JSON, a refused-as-too-large
//! message is cut down from it, and the result of an action repeats the trip's facts from it.
//! Text from outside is clipped to a share of the whole, lists are bounded, and when a message is
//! still too large it loses, in this order: secondary signals and labels, long lists, the story,
//! everything but the headline and the links. Keys are sorted and numbers rounded (canonical).

use judge::analyse::{GuardrailStatus, RuleValue, SignalView};
use judge::decide::{Cause, Verdict};
use judge::notice::{Notice, NoticeKind};
use judge::prose;
use judge::record::{EvaluationRecord, canonical_json};
use judge::spec::{Experiment, Role};
use judge::stats::UNBOUNDED;
use judge::time::{DAY_MS, Timestamp, add, ms_between};
use serde_json::{Map, Value, json};

use super::actions::ActionConfig;
use super::blast::blast;
use super::clip::json_text;
use super::numbers::{guardrail_line, signal_line, units};
use super::words::words;

/// Version of the shape.
pub const SCHEMA: &str = "verdictd/notice/1";
/// What receivers of Standard Webhooks expect a message to stay under.
pub const MAX_BYTES: usize = 20_000;

/// Where links lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// Address of this daemon as people reach it, without a trailing slash; empty = no links.
    pub external_url: String,
}

impl Links {
    fn to(&self, path: &str) -> Option<String> {
        (!self.external_url.is_empty()).then(|| format!("{}{path}", self.external_url))
    }

    /// The experiment's page.
    fn experiment(&self, id: &str) -> Option<String> {
        self.to(&format!("/x/{id}"))
    }
}

/// What a message may hold at one step of degradation.
#[derive(Debug, Clone, Copy)]
struct Budget {
    signals: usize,
    guardrails: usize,
    secondary: bool,
    labels: bool,
    story: bool,
    text: usize,
}

/// From everything to headline and links.
const STEPS: [Budget; 4] = [
    Budget { signals: 40, guardrails: 40, secondary: true, labels: true, story: true, text: 2_000 },
    Budget {
        signals: 20,
        guardrails: 20,
        secondary: false,
        labels: false,
        story: true,
        text: 1_000,
    },
    Budget { signals: 5, guardrails: 5, secondary: false, labels: false, story: true, text: 400 },
    Budget { signals: 0, guardrails: 0, secondary: false, labels: false, story: false, text: 400 },
];

/// The message of a notice.
///
/// `record` is the evaluation it is about, absent for notices about sources and files;
/// `sequence` is the experiment's state version, so that receivers notice late arrivals.
pub fn generic(
    notice: &Notice,
    record: Option<&EvaluationRecord>,
    links: &Links,
    sequence: i64,
) -> Value {
    let mut message = Value::Null;
    for budget in STEPS {
        message = at_budget(notice, record, links, sequence, budget);
        if canonical_json(&message).len() <= MAX_BYTES {
            break;
        }
    }
    message
}

fn at_budget(
    notice: &Notice,
    record: Option<&EvaluationRecord>,
    links: &Links,
    sequence: i64,
    budget: Budget,
) -> Value {
    let said = words(notice, record);
    let mut data = Map::new();
    data.insert("schema".into(), SCHEMA.into());
    data.insert("sequence".into(), sequence.into());
    data.insert("notice".into(), clip(&notice.id, 100).into());
    data.insert("headline".into(), clip(&said.headline, 300).into());
    data.insert("reason".into(), clip(&said.reason, budget.text).into());
    data.insert("next".into(), clip_all(&said.next, 5, budget.text / 2));
    if !notice.subject.is_empty() {
        data.insert("subject".into(), clip(&notice.subject, 200).into());
    }
    if let Some(previous) = &notice.previous {
        data.insert("previous".into(), clip(previous, 200).into());
    }
    match record {
        Some(record) => about(&mut data, notice, record, links, budget),
        None if notice.experiment.is_empty() => {}
        None => {
            let id = clip(&notice.experiment, 200);
            data.insert("links".into(), link_map(&[("experiment", links.experiment(&id))]));
            data.insert("experiment".into(), json!({"id": id}));
        }
    }
    json!({"type": notice.kind.as_str(), "timestamp": notice.at.to_string(), "data": data})
}

/// Everything the record knows.
fn about(
    data: &mut Map<String, Value>,
    notice: &Notice,
    record: &EvaluationRecord,
    links: &Links,
    budget: Budget,
) {
    let experiment = &record.input.experiment;
    let started_at = record.input.cycle.started_at;
    let decision = &record.decision;
    data.insert("evaluation".into(), clip(&record.id, 100).into());
    data.insert("experiment".into(), experiment_block(experiment, started_at, links, notice.at));
    data.insert("verdict".into(), wire(decision.verdict));
    data.insert("cause".into(), wire(decision.cause));
    if let Some(name) = tripped(record) {
        data.insert("tripped".into(), clip(name, 200).into());
    }
    data.insert("final".into(), decision.ends_cycle.into());
    data.insert(
        "window".into(),
        json!({
            "from": started_at.to_string(),
            "to": record.input.at.to_string(),
        }),
    );
    data.insert("signals".into(), signals(record, budget));
    data.insert("guardrails".into(), guardrails(record, budget));
    if !record.findings.is_empty() {
        let said = record.findings.iter();
        let said: Vec<_> = said.map(|one| prose::finding_sentence(one, record)).collect();
        data.insert("findings".into(), clip_all(&said, 8, budget.text / 2));
    }
    if let Some(revised) = &record.revised {
        data.insert("revises".into(), clip(record.revises.as_deref().unwrap_or(""), 100).into());
        data.insert("restated".into(), wire(&revised.changes));
    }
    data.insert(
        "links".into(),
        link_map(&[
            ("experiment", links.experiment(&experiment.id)),
            ("evaluation", links.to(&format!("/x/{}/e/{}", experiment.id, record.id))),
            ("log", links.to(&format!("/log?experiment={}", experiment.id))),
            ("rollback_plan", experiment.rollback.plan.clone().filter(|plan| is_web_link(plan))),
        ]),
    );
    if let Some(action) = requested_action(notice, record) {
        data.insert("action".into(), action);
        say_next(data, blast(record).sentence());
    }
    if budget.labels {
        data.insert("labels".into(), labels(experiment));
    }
    if budget.story {
        story(data, record, budget);
    }
}

/// The experiment and the cycle of a notice that no evaluation stands behind.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The revision in force.
    pub experiment: &'a Experiment,
    /// When its cycle began, or begins.
    pub started_at: Timestamp,
}

/// Adds whose notice it is and in which cycle.
pub(super) fn set_in(message: &mut Value, notice: &Notice, setting: Setting<'_>, links: &Links) {
    let Setting { experiment, started_at } = setting;
    let to = notice.at.max(started_at);
    let Some(data) = message["data"].as_object_mut() else { return };
    data.insert("experiment".into(), experiment_block(experiment, started_at, links, notice.at));
    data.insert("window".into(), json!({"from": started_at.to_string(), "to": to.to_string()}));
    data.insert("labels".into(), labels(experiment));
    data.insert(
        "links".into(),
        link_map(&[
            ("experiment", links.experiment(&experiment.id)),
            ("log", links.to(&format!("/log?experiment={}", experiment.id))),
        ]),
    );
}

fn labels(experiment: &Experiment) -> Value {
    let labels = experiment.labels.iter().take(16);
    let labels: Map<_, _> =
        labels.map(|(key, value)| (clip(key, 64), Value::from(clip(value, 64)))).collect();
    labels.into()
}

/// Why the experiment exists and what was asked of it.
fn story(data: &mut Map<String, Value>, record: &EvaluationRecord, budget: Budget) {
    let experiment = &record.input.experiment;
    if let Some(aim) = experiment.aims.first() {
        data.insert("aim".into(), clip(&aim.behaviour, budget.text / 2).into());
    }
    let mechanism = &experiment.mechanism;
    let mechanism = format!(
        "We believe {} will move {} because {}.",
        mechanism.we_believe, mechanism.will_move, mechanism.because
    );
    data.insert("mechanism".into(), clip(&mechanism, budget.text / 2).into());
    let rule = filled_in(&record.rule, record);
    data.insert("checkpoint".into(), clip(&rule, budget.text).into());
}

fn clip(text: &str, max: usize) -> String {
    json_text(text, max)
}

fn clip_all(lines: &[String], most: usize, max: usize) -> Value {
    lines.iter().take(most).map(|line| Value::from(clip(line, max))).collect()
}

/// The word of an enum in records and messages.
fn wire(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn is_web_link(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    web && text.len() <= 1_000 && url::Url::parse(text).is_ok()
}

fn link_map(links: &[(&str, Option<String>)]) -> Value {
    let known = links.iter().filter_map(|(name, link)| {
        link.as_ref().map(|link| ((*name).to_owned(), Value::from(clip(link, 1_200))))
    });
    known.collect::<Map<_, _>>().into()
}

fn experiment_block(
    experiment: &Experiment,
    started_at: Timestamp,
    links: &Links,
    at: Timestamp,
) -> Value {
    json!({
        "id": clip(&experiment.id, 200),
        "name": clip(&experiment.title, 300),
        "owner": clip(&experiment.owner.name, 200),
        "contact": clip(&experiment.owner.contact, 200),
        "url": links.experiment(&experiment.id).map(|url| clip(&url, 1_200)),
        "review_date": review_date(experiment, started_at, at),
    })
}

/// The first review after `at`: every so often from the cycle's start, in the file's zone.
fn review_date(experiment: &Experiment, start: Timestamp, at: Timestamp) -> Option<String> {
    let every = experiment.review.as_ref()?.every;
    let zone = jiff::tz::TimeZone::get(&experiment.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let passed = ms_between(start, at).max(0) / every.ms.max(DAY_MS);
    let span = judge::time::Span { ms: every.ms.max(DAY_MS) * (passed + 1) };
    Some(judge::time::date_of(add(start, span, &zone), &zone).to_string())
}

fn signals(record: &EvaluationRecord, budget: Budget) -> Value {
    let shown =
        |view: &&SignalView| budget.secondary || matches!(view.role, Role::Proxy | Role::Outcome);
    let shown = record.signals.iter().filter(shown).take(budget.signals);
    shown.map(|view| signal(record, view)).collect()
}

fn signal(record: &EvaluationRecord, view: &SignalView) -> Value {
    let evidence = view.evidence.as_ref();
    let stated = record.input.experiment.signal(&view.name).and_then(|signal| signal.from);
    let baseline = evidence.and_then(|it| it.comparison).or_else(|| stated?.level());
    let end = |x: f64| (x.abs() < UNBOUNDED).then_some(x);
    json!({
        "name": clip(&view.name, 100),
        "role": wire(view.role),
        "state": wire(view.state),
        "want": wire(view.want),
        "unit": view.unit.as_deref().map(|unit| clip(unit, 50)),
        "baseline": baseline,
        "value": evidence.and_then(|it| it.level),
        "target": view.target,
        "delta": evidence.map(|it| it.estimate),
        "relative": evidence.map(|it| it.relative),
        "interval": evidence.map(|it| [end(it.interval.lo), end(it.interval.hi)]),
        "n": evidence.map(units),
        "as_of": view.data_as_of.map(|at| at.to_string()),
        "text": clip(&signal_line(view), 200),
    })
}

fn guardrails(record: &EvaluationRecord, budget: Budget) -> Value {
    let mut all: Vec<&GuardrailStatus> = record.guardrails.iter().collect();
    // What is on comes first, so that it is never what a small message loses.
    all.sort_by_key(|status| status.state == judge::analyse::GuardrailState::Ok);
    let block = |status: &&GuardrailStatus| {
        json!({
            "name": clip(&status.name, 100),
            "kind": clip(&status.kind, 50),
            "state": wire(status.state),
            "on_trip": wire(status.on_trip),
            "value": status.value,
            "limit": status.limit,
            "budget_left": status.budget_left,
            "text": clip(&guardrail_line(&record.input.experiment, status), 200),
        })
    };
    all.iter().take(budget.guardrails).map(block).collect()
}

/// The guardrail that stopped the run: its trip, the verdict and the rollback are one incident.
fn tripped(record: &EvaluationRecord) -> Option<&str> {
    let is_over = record.decision.cause == Cause::Tripped;
    let mut latched = record.guardrails.iter().filter(|status| status.latched);
    latched.find(|_| is_over).map(|status| status.name.as_str())
}

/// A trip that stops asks for the rollback.
fn requested_action(notice: &Notice, record: &EvaluationRecord) -> Option<Value> {
    let decision = &record.decision;
    let tripped = decision.verdict == Verdict::Stop && decision.cause == Cause::Tripped;
    let tells = matches!(notice.kind, NoticeKind::VerdictStop | NoticeKind::GuardrailTripped);
    let name = record.input.experiment.rollback.action.as_deref().filter(|_| tripped && tells)?;
    Some(json!({
        "kind": "rollback",
        "name": clip(name, 200),
        "state": "requested",
        "confirmed_at": Value::Null,
        "blast": blast(record).json(),
    }))
}

/// One more line of what happens next.
fn say_next(data: &mut Map<String, Value>, line: Option<String>) {
    if let (Some(Value::Array(lines)), Some(line)) = (data.get_mut("next"), line) {
        lines.push(clip(&line, 300).into());
    }
}

/// What an action turns off, and what keeps it from doing so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// In words for people.
    pub what: String,
    /// The state of an action that sends nothing: `not_armed` or `dry_run`.
    pub held: Option<&'static str>,
}

impl Target {
    /// As configured.
    pub fn of(config: &ActionConfig) -> Self {
        let arming = config.arming();
        let held = match (arming.armed, arming.dry_run) {
            (false, _) => Some("not_armed"),
            (true, true) => Some("dry_run"),
            (true, false) => None,
        };
        Self { what: config.target(), held }
    }
}

/// Says what a requested action turns off, in a message that asks for one; of an action that
/// sends nothing it promises nothing, and says first that a person must act.
pub(super) fn name_target(message: &mut Value, target: &Target) {
    let Some(data) = message["data"].as_object_mut() else {
        return;
    };
    let Some(Value::Object(action)) = data.get_mut("action") else {
        return;
    };
    let what = &target.what;
    action.insert("target".into(), clip(what, 300).into());
    let Some(held) = target.held else {
        return say_next(data, Some(format!("It turns off {what}.")));
    };
    action.insert("state".into(), held.into());
    let name = action["name"].as_str().unwrap_or_default();
    let why = if held == "dry_run" { "is a dry run" } else { "is not armed" };
    let first = format!("Action {name} {why}: nothing is sent. A person must turn off {what} now.");
    if let Some(Value::Array(lines)) = data.get_mut("next") {
        lines.retain(|line| !line.as_str().is_some_and(is_promise));
        lines.insert(0, clip(&first, 600).into());
    }
}

/// A line that says that a rollback is on its way.
fn is_promise(line: &str) -> bool {
    line.starts_with("Rollback action ") || line.starts_with("The rollback action ")
}

/// The rule with what was seen behind every atom.
fn filled_in(rule: &RuleValue, record: &EvaluationRecord) -> String {
    let children = || {
        rule.nodes.iter().map(|node| {
            let text = filled_in(node, record);
            if node.op == "or" && rule.op == "and" { format!("({text})") } else { text }
        })
    };
    match rule.op.as_str() {
        "atom" => rule
            .atom
            .and_then(|index| record.atoms.get(index))
            .map_or_else(|| rule.text.clone(), |atom| prose::atom_line(atom, record)),
        "not" => format!("not ({})", children().collect::<Vec<_>>().join(" ")),
        op => children().collect::<Vec<_>>().join(&format!(" {op} ")),
    }
}

/// How an action ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// `confirmed`, `accepted` or `unconfirmed`.
    pub(super) state: &'static str,
    pub(super) confirmed_at: Option<Timestamp>,
    /// What happens next, where the notice's own words do not fit.
    pub(super) next: Option<&'static str>,
}

/// The message of an action's result: the trip's facts with another headline.
pub(super) fn action_result(trip: &Value, notice: &Notice, ending: &Ending) -> Value {
    let said = words(notice, None);
    let mut message = trip.clone();
    message["type"] = notice.kind.as_str().into();
    message["timestamp"] = notice.at.to_string().into();
    let next = ending.next.map_or(said.next, |next| vec![next.to_owned()]);
    let data = &mut message["data"];
    data["notice"] = clip(&notice.id, 100).into();
    data["subject"] = clip(&notice.subject, 200).into();
    data["headline"] = clip(&said.headline, 300).into();
    data["reason"] = clip(&said.reason, 1_000).into();
    data["next"] = clip_all(&next, 5, 300);
    data["action"]["kind"] = "rollback".into();
    data["action"]["name"] = clip(&notice.subject, 200).into();
    data["action"]["state"] = ending.state.into();
    data["action"]["confirmed_at"] = ending.confirmed_at.map(|at| at.to_string()).into();
    fitting(message)
}

/// Drops lists and story if a message became too large by what was put in.
pub(super) fn fitting(mut message: Value) -> Value {
    for key in ["labels", "mechanism", "aim", "checkpoint", "signals", "guardrails"] {
        if canonical_json(&message).len() <= MAX_BYTES {
            break;
        }
        if let Some(data) = message["data"].as_object_mut() {
            data.remove(key);
        }
    }
    message
}

/// The smallest useful message: what a receiver gets that finds the whole too large.
pub(super) fn core(content: &Value) -> String {
    let data = &content["data"];
    let kept = ["schema", "sequence", "notice", "verdict", "cause", "final", "headline", "links"];
    let mut small: Map<String, Value> =
        kept.iter().filter_map(|key| Some(((*key).to_owned(), data.get(*key)?.clone()))).collect();
    if let Some(id) = data["experiment"].get("id") {
        small.insert("experiment".into(), json!({"id": id}));
    }
    small.insert("truncated".into(), true.into());
    let (kind, at) = (&content["type"], &content["timestamp"]);
    canonical_json(&json!({"type": kind, "timestamp": at, "data": small}))
}
