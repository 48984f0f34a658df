//! The typed walk: from the spanned tree to an [`Experiment`], reporting every fault at once.
//!
//! Second half of the first step of the line. The walk is the only place that builds the types of
//! `model`; they never derive a deserialiser. An experiment comes out only when nothing in the
//! file is an error, and each fault names its line, its cause and its fix.

mod about;
mod beside;
mod checkpoint;
mod compare;
mod drift;
mod guardrails;
pub(super) mod keys;
pub(super) mod openslo;
mod query;
mod signals;
mod slo;
mod slo_import;
mod slo_sight;
pub(super) mod template;
pub(super) mod values;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use self::walk::{Fields, Walk};
use super::diagnostic::{Diagnostic, Severity, SourcePos};
use super::model::{Compare, EvidenceMode, Experiment};
use super::nearest::list;
use super::tree::{self, Kind, Node};
use crate::ids::hash128;
use crate::time::{Span, Timestamp};

/// What the walk knows beside the file's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// IANA zone of files that name none; empty or unknown means UTC.
    pub default_timezone: String,
    /// Kind (`prometheus`, `csv`, `postgres`, ...) by source name; `None` when nobody can tell.
    pub sources: Option<BTreeMap<String, String>>,
    /// Names of receivers; `None` when nobody can tell.
    pub receivers: Option<BTreeSet<String>>,
    /// Names of actions; `None` when nobody can tell.
    pub actions: Option<BTreeSet<String>>,
    /// Texts of the query files beside the experiment file, by relative name.
    pub files: BTreeMap<String, String>,
}

/// What came out of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Present when no diagnostic is an error.
    pub experiment: Option<Experiment>,
    /// What the file says so far, when all that keeps it from being an experiment is missing
    /// (codes `D....`): the daemon keeps it as a draft.
    pub draft: Option<Experiment>,
    /// Everything that is wrong, by position.
    pub diagnostics: Vec<Diagnostic>,
    /// Where each key stands, by dotted path (`signals.csat.query`, `aim.0.from`).
    pub places: BTreeMap<String, SourcePos>,
}

impl Parsed {
    /// Whether any diagnostic is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|one| one.severity == Severity::Error)
    }

    /// Whether nothing is wrong but what is still missing.
    fn only_lacks(&self) -> bool {
        let mut errors = self.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        errors.all(|one| one.code.starts_with('D'))
    }

    /// The place of a path, else of the nearest section around it, else of the file's start.
    pub fn place(&self, path: &str) -> SourcePos {
        let mut rest = path;
        loop {
            if let Some(pos) = self.places.get(rest) {
                return *pos;
            }
            let Some((section, _)) = rest.rsplit_once('.') else {
                let first = self.places.get("experiment");
                return first.copied().unwrap_or(SourcePos::FIRST);
            };
            rest = section;
        }
    }
}

/// Reads an experiment file.
///
/// `name` is the file's name without its folder; it appears in no value, only in hints. Never
/// fails and never panics: whatever the text, the result says what is wrong with it.
pub fn parse(name: &str, text: &str, ctx: &Context) -> Parsed {
    read_file(name, text, ctx).0
}

/// The file and, even when it is broken, a sketch of what it says, for the lint alone.
pub(super) fn read_file(name: &str, text: &str, ctx: &Context) -> (Parsed, Option<Experiment>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (root, faults) = tree::read(text);
    let mut walk = Walk::new(text, ctx);
    walk.found = faults;
    if let Some(root) = &root {
        report_blanks(root, &mut walk.found);
    }
    let sketch = root.and_then(|root| {
        let fields = walk.fields(&root, "", keys::TOP)?;
        Some(walk_experiment(&mut walk, &fields, name))
    });
    report_unchecked(&mut walk);
    let revision = revision(text, &walk.files_read);
    let sketch = sketch.map(|sketch| Experiment { revision, ..sketch });
    let Walk { found: mut diagnostics, places, .. } = walk;
    diagnostics.sort_by_key(|one| (one.pos.line, one.pos.column, one.code));
    diagnostics.dedup();
    let mut parsed = Parsed { experiment: None, draft: None, diagnostics, places };
    if !parsed.has_errors() {
        parsed.experiment.clone_from(&sketch);
    } else if parsed.only_lacks() {
        parsed.draft = sketch.clone().map(|sketch| Experiment { unfinished: true, ..sketch });
    }
    (parsed, sketch)
}

/// Points at every `<blank>` that a template left, whatever kind of value belongs there.
fn report_blanks(node: &Node, found: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let text = scalar.text.trim();
            if text.len() > 2 && text.starts_with('<') && text.ends_with('>') {
                let message = format!("`{text}` is a blank of the template");
                let blank = Diagnostic::new("E0311", node.pos, message);
                found.push(blank.hint("write your own value instead"));
            }
        }
        Kind::List(items) => items.iter().for_each(|item| report_blanks(item, found)),
        Kind::Map(entries) => {
            for entry in entries {
                report_blanks(&entry.value, found);
            }
        }
        Kind::Null | Kind::Broken => {}
    }
}

/// Walks all sections, whatever fails in one of them.
///
/// Whatever could not be read was reported as an error and is filled with a neutral value here,
/// so the result is an experiment only when nothing was reported.
fn walk_experiment(walk: &mut Walk<'_>, top: &Fields<'_>, name: &str) -> Experiment {
    let timezone = timezone(walk, top);
    let id = about::id(walk, top, name);
    let title = walk.required(top, "title", "What is tried").and_then(|n| walk.text(n, "title"));
    let people = about::people(walk, top);
    let compare = compare::compare(walk, top.get("compare"), "compare");
    let signals = signals::signals(walk, top, compare.as_ref());
    let scales = signals::scales(top);
    let aims = about::aims(walk, top, &scales);
    signals::check_aims(walk, &signals, &aims);
    let mechanism = about::mechanism(walk, top, &scales);
    let start = walk.required(top, "start", "2026-06-01");
    let start = start.and_then(|node| walk.day_start(node, "start"));
    let checkpoint = checkpoint::checkpoint(walk, top, &scales);
    let units_per_week = units_per_week(walk, top);
    let evidence = walk.word_or(top, "evidence", keys::EVIDENCE, EvidenceMode::Significant);
    let guardrails = guardrails::guardrails(walk, top, &scales);
    let (rollback, review) = about::safety(walk, top);
    let reversible = about::reversible(walk, top);
    if let (Some(checkpoint), Some(start)) = (&checkpoint, start) {
        let by = aims.iter().filter_map(|aim| aim.by).max();
        checkpoint::check_dates(walk, top, checkpoint, start, by);
    }
    Experiment {
        id: id.unwrap_or_default(),
        title: title.unwrap_or_default(),
        labels: people.labels,
        owner: people.owner,
        can_stop: people.can_stop,
        notify: people.notify,
        deviation: walk.opt_text(top, "deviation"),
        spike_of: walk.opt_text(top, "spike_of"),
        why_now: walk.opt_text(top, "why_now"),
        if_it_works: walk.opt_text(top, "if_it_works"),
        reversible: reversible.unwrap_or(true),
        aims,
        mechanism,
        timezone,
        compare: compare.unwrap_or(Compare::Baseline),
        start: start.unwrap_or_default(),
        units_per_week,
        signals,
        checkpoint: checkpoint.unwrap_or_else(checkpoint::unreadable),
        evidence: evidence.unwrap_or(EvidenceMode::Significant),
        guardrails,
        rollback,
        review,
        revision: String::new(),
        unfinished: false,
    }
}

fn timezone(walk: &mut Walk<'_>, top: &Fields<'_>) -> String {
    let mut name = walk.ctx.default_timezone.clone();
    if TimeZone::get(&name).is_err() {
        "UTC".clone_into(&mut name);
    }
    let Some(written) = walk.opt_text(top, "timezone") else {
        return name;
    };
    if let Ok(zone) = TimeZone::get(&written) {
        walk.zone = zone;
        return written;
    }
    let pos = top.get("timezone").map_or(top.pos, |node| node.pos);
    let message = format!("unknown time zone `{written}`");
    let hint = "write an IANA name, for example `UTC` or `Europe/Berlin`";
    walk.report(Diagnostic::new("E0307", pos, message).hint(hint));
    name
}

fn units_per_week(walk: &mut Walk<'_>, top: &Fields<'_>) -> Option<f64> {
    let plan = walk.fields(top.get("plan")?, "plan", keys::PLAN)?;
    let node = plan.get("units_per_week")?;
    walk.number(node, "plan.units_per_week", (1.0, values::MAX_NUMBER))
}

/// One warning for all names that only a configuration could check.
fn report_unchecked(walk: &mut Walk<'_>) {
    let unchecked = std::mem::take(&mut walk.unchecked);
    let Some((pos, _)) = unchecked.iter().min_by_key(|(pos, _)| *pos) else {
        return;
    };
    let names: Vec<&str> = unchecked.iter().map(|(_, name)| name.as_str()).collect();
    let message = format!("unchecked: {}", list(&names).replace(['`'], ""));
    let hint = "run `verdictd check --config FILE` to check names against the configuration";
    walk.report(Diagnostic::new("W0101", *pos, message).hint(hint));
}

/// The hash of the canonical text: line ends and trailing spaces do not make a revision, and
/// neither does the order in which query files were read.
fn revision(text: &str, files: &BTreeMap<String, String>) -> String {
    let canonical = |text: &str| {
        let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines.join("\n")
    };
    let mut parts = vec!["revision".to_owned(), canonical(text)];
    for (name, text) in files {
        parts.push(name.clone());
        parts.push(canonical(text));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    hash128(&parts)
}

/// The shortest rhythm anything in a file may have.
const MIN_EVERY: Span = Span::seconds(1);

/// The date of an end-of-day instant, for messages: the day before midnight.
fn last_day(at: Timestamp, zone: &TimeZone) -> String {
    crate::time::date_of(crate::time::add_ms(at, -1), zone).to_string()
}
