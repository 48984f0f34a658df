//! `case.yaml` as types, and the experiment files it names.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CASE_FILE;
use super::watched::{self, RawWatch, WatchRules};
use super::world::{Outage, World};
use crate::lifecycle::{HumanAction, HumanDecision, zone_of};
use crate::spec::{Context, Experiment, Severity, lint, parse, plain_yaml, render};
use crate::time::{Span, Timestamp, start_of_day};

/// A case that can be played.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) story: String,
    /// Revisions by the instant at which they are first seen; never empty.
    pub(super) revisions: Vec<(Timestamp, Revision)>,
    pub(super) world: World,
    /// Signals with a changed definition; `None` is a split mismatch.
    pub(super) acknowledged: Vec<(Timestamp, Option<String>)>,
    pub(super) decisions: Vec<(Timestamp, HumanDecision)>,
    /// Looks that are printed whatever they say.
    pub(super) looks: Vec<Timestamp>,
    /// Reasons, guardrail states, findings and alarms are printed too.
    pub(super) detail: bool,
    pub(super) until: Timestamp,
    /// The portfolio is watched too.
    pub(super) watch: Option<WatchRules>,
    /// Rhythm of guardrails that state none.
    pub(super) guardrails_every: Span,
}

/// One experiment file.
#[derive(Debug)]
pub(super) struct Revision {
    pub(super) experiment: Experiment,
    /// Passes its Definition of Done.
    pub(super) runnable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    story: String,
    source_of_expectation: String,
    #[serde(default)]
    experiment: Option<String>,
    /// First seen; default the start of the first revision.
    #[serde(default)]
    seen: Option<String>,
    until: String,
    #[serde(default)]
    guardrails_every: Option<String>,
    #[serde(default)]
    series: BTreeMap<String, RawSeries>,
    #[serde(default)]
    guardrails: BTreeMap<String, RawSeries>,
    #[serde(default)]
    outages: Vec<RawOutage>,
    #[serde(default)]
    restated: Vec<RawRestated>,
    #[serde(default)]
    revisions: Vec<RawRevision>,
    #[serde(default)]
    acknowledge: Vec<RawAcknowledge>,
    #[serde(default)]
    decisions: Vec<RawDecision>,
    #[serde(default)]
    looks: Vec<String>,
    /// `true`: more lines under every look.
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    watch: Option<RawWatch>,
}

/// One series: a rhythm and, by arm, columns in the notation of [`super::notation`], or rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSeries {
    /// First period; default the experiment's start.
    #[serde(default)]
    pub(super) start: Option<String>,
    /// Length of one period; default the signal's grain.
    #[serde(default)]
    pub(super) every: Option<String>,
    /// Columns by arm (`all` without arms).
    #[serde(default)]
    pub(super) arms: BTreeMap<String, BTreeMap<String, String>>,
    /// Periods written out: `start`, `arm` and the columns.
    #[serde(default)]
    pub(super) rows: Vec<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutage {
    series: String,
    from: String,
    to: String,
    #[serde(default, rename = "as")]
    kind: Option<String>,
}

/// From `at` on a series says these numbers about these periods.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRestated {
    at: String,
    series: String,
    says: RawSeries,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRevision {
    at: String,
    experiment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAcknowledge {
    at: String,
    /// A changed definition.
    #[serde(default)]
    signal: Option<String>,
    /// `true`: a split mismatch.
    #[serde(default)]
    split: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDecision {
    at: String,
    who: String,
    because: String,
    action: HumanAction,
}

/// Reads all files of a case. The error is for people and names the file.
pub(super) fn read(texts: &BTreeMap<String, String>) -> Result<Case, String> {
    let text = texts.get(CASE_FILE).ok_or_else(|| format!("there is no {CASE_FILE}"))?;
    let value = plain_yaml(CASE_FILE, text)?;
    let raw: RawCase =
        serde_json::from_value(value).map_err(|error| format!("{CASE_FILE}: {error}"))?;
    for (key, words) in
        [("story", &raw.story), ("source_of_expectation", &raw.source_of_expectation)]
    {
        if words.trim().is_empty() {
            return Err(format!("{CASE_FILE}: `{key}` is empty"));
        }
    }
    let first_file = raw.experiment.as_deref().unwrap_or("experiment.yaml");
    let first = experiment(texts, first_file)?;
    let zone = zone_of(&first);
    let instant = |text: &str| instant(text, &zone);
    let seen = raw.seen.as_deref().map_or(Ok(first.start), instant)?;
    let until = instant(&raw.until)?;
    let mut revisions = vec![(seen, revision(first, seen))];
    for later in &raw.revisions {
        let at = instant(&later.at)?;
        // As in the daemon, a file is as old as its first revision.
        revisions.push((at, revision(experiment(texts, &later.experiment)?, seen)));
    }
    let mut world = World::default();
    for (name, series) in &raw.series {
        world.add_signal(name, series, &revisions, &instant)?;
    }
    for (name, series) in &raw.guardrails {
        world.add_guardrail(name, series, &revisions, &instant)?;
    }
    for outage in &raw.outages {
        let (from, to) = (instant(&outage.from)?, instant(&outage.to)?);
        let outage = Outage::new(&outage.series, from, to, outage.kind.as_deref())?;
        world.outages.push(outage);
    }
    for restated in &raw.restated {
        let what = (instant(&restated.at)?, restated.series.as_str());
        world.restate(what, &restated.says, &revisions, &instant)?;
    }
    let acknowledged = raw.acknowledge.iter();
    let acknowledged = acknowledged.map(|one| match (&one.signal, one.split.as_deref()) {
        (Some(signal), None) => Ok((instant(&one.at)?, Some(signal.clone()))),
        (None, Some("true")) => Ok((instant(&one.at)?, None)),
        _ => Err(format!("{CASE_FILE}: an acknowledgement names a `signal` or says `split: true`")),
    });
    let decisions = raw.decisions.iter().map(|one| {
        let decision = HumanDecision {
            who: one.who.clone(),
            because: one.because.clone(),
            action: one.action,
        };
        Ok((instant(&one.at)?, decision))
    });
    Ok(Case {
        revisions,
        watch: raw.watch.as_ref().map(watched::read).transpose()?,
        detail: flag("detail", raw.detail.as_deref())?,
        world,
        acknowledged: acknowledged.collect::<Result<_, String>>()?,
        decisions: decisions.collect::<Result<_, String>>()?,
        looks: raw.looks.iter().map(|text| instant(text)).collect::<Result<_, _>>()?,
        until,
        guardrails_every: span(raw.guardrails_every.as_deref(), Span::days(1))?,
        story: raw.story,
    })
}

/// A key that is `true` or `false`; not without it.
fn flag(key: &str, text: Option<&str>) -> Result<bool, String> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("{CASE_FILE}: `{key}` is true or false, not `{other}`")),
    }
}

/// A span as in experiment files, or the default.
pub(super) fn span(text: Option<&str>, default: Span) -> Result<Span, String> {
    let Some(text) = text else { return Ok(default) };
    let span = Span::parse(text).filter(|span| span.ms > 0);
    span.ok_or_else(|| format!("{CASE_FILE}: `{text}` is no length of time like 1h or 7d"))
}

/// `2026-06-01` (00:00 in the file's zone) or an RFC 3339 instant.
fn instant(text: &str, zone: &jiff::tz::TimeZone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let date = text
        .parse()
        .map_err(|_| format!("{CASE_FILE}: `{text}` is no date (2026-06-01) and no instant"))?;
    Ok(start_of_day(date, zone))
}

fn experiment(texts: &BTreeMap<String, String>, name: &str) -> Result<Experiment, String> {
    let text = texts.get(name).ok_or_else(|| format!("there is no {name}"))?;
    let context = Context { files: texts.clone(), ..Context::default() };
    let parsed = parse(name, text, &context);
    let found = parsed.experiment.or(parsed.draft);
    found.ok_or_else(|| render(name, text, &parsed.diagnostics))
}

fn revision(experiment: Experiment, seen: Timestamp) -> Revision {
    let findings = lint(&experiment, Some(seen));
    let is_done = findings.iter().all(|finding| finding.severity != Severity::Error);
    let runnable = is_done && !experiment.unfinished;
    Revision { experiment, runnable }
}
