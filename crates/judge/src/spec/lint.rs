//! Does the experiment make sense: the Definition of Done and what is worth a second look.
//!
//! `D` findings keep the experiment a draft, `W` findings do not. Findings name a place in the
//! file by its dotted path; [`Finding::located`] turns it into a position.

mod done;
mod look;
mod power;
mod rules;
mod thought;

use serde::Serialize;

use super::diagnostic::{Diagnostic, Severity, severity_of};
use super::model::{
    Baseline, Compare, Experiment, Form, GuardrailKind, OnTrip, Role, Signal, When,
};
use super::parse::{Context, Parsed, read_file};
use super::rule::AtomKind;
use crate::time::{DAY_MS, Timestamp, ms_between};

/// Something the lint has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// `D` codes are errors: the experiment stays a draft.
    pub severity: Severity,
    /// Dotted path of the section it is about; empty for the whole file.
    pub place: String,
    /// What was found.
    pub message: String,
    /// Why it matters.
    pub cause: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    fn new(code: &'static str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: severity_of(code),
            place: place.into(),
            message: message.into(),
            cause: None,
            hint: None,
        }
    }

    fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The top-level key it is about.
    fn section(&self) -> &str {
        self.place.split('.').next().unwrap_or_default()
    }

    /// The same as a diagnostic with a position.
    pub fn located(self, parsed: &Parsed) -> Diagnostic {
        Diagnostic {
            code: self.code,
            severity: self.severity,
            pos: parsed.place(&self.place),
            message: self.message,
            cause: self.cause,
            hint: self.hint,
        }
    }
}

/// All findings about an experiment, drafts first.
///
/// `first_seen` is the instant at which this revision was first read, if anybody knows.
pub fn lint(experiment: &Experiment, first_seen: Option<Timestamp>) -> Vec<Finding> {
    let mut found = done::definition_of_done(experiment, first_seen);
    title(experiment, &mut found);
    mechanism(experiment, &mut found);
    rules::rules(experiment, &mut found);
    thought::thought(experiment, &mut found);
    power::power(experiment, &mut found);
    dates(experiment, &mut found);
    look::look(experiment, &mut found);
    comparisons(experiment, &mut found);
    safety(experiment, &mut found);
    found
}

/// Reads and lints a file in one: every diagnostic, by position.
///
/// The experiment is there whenever the file can be read; it is runnable only when no
/// diagnostic is an error ([`Parsed::has_errors`]). Of a broken file the sections that are
/// missing altogether are told too, so that nobody has to fix and ask again.
pub fn check(name: &str, text: &str, ctx: &Context, first_seen: Option<Timestamp>) -> Parsed {
    let (mut parsed, sketch) = read_file(name, text, ctx);
    let findings = match (&parsed.experiment, &sketch) {
        (Some(experiment), _) => lint(experiment, first_seen),
        (None, Some(sketch)) => {
            let mut missing = done::definition_of_done(sketch, None);
            missing.retain(|finding| !parsed.places.contains_key(finding.section()));
            missing
        }
        (None, None) => Vec::new(),
    };
    let located: Vec<Diagnostic> =
        findings.into_iter().map(|finding| finding.located(&parsed)).collect();
    parsed.diagnostics.extend(located);
    parsed.diagnostics.sort_by_key(|one| (one.pos.line, one.pos.column, one.code));
    parsed
}

/// The comparison that holds for a signal.
fn compare_of<'a>(experiment: &'a Experiment, signal: &'a Signal) -> &'a Compare {
    signal.compare.as_ref().unwrap_or(&experiment.compare)
}

/// Whether a change of this signal is judged: it is an outcome, moves in a rule or is guarded.
fn change_is_judged(experiment: &Experiment, signal: &Signal) -> bool {
    let checkpoint = &experiment.checkpoint;
    let moves = checkpoint
        .continue_when
        .atoms()
        .into_iter()
        .chain(checkpoint.stop_when.iter().flat_map(|rule| rule.atoms()))
        .any(|atom| atom.signal == signal.name && atom.kind != AtomKind::Level);
    signal.role == Role::Outcome || moves || is_guarded(experiment, &signal.name)
}

/// Whether a `no_worse_than` guardrail watches the signal.
fn is_guarded(experiment: &Experiment, signal: &str) -> bool {
    experiment.guardrails.iter().any(|guardrail| match &guardrail.kind {
        GuardrailKind::NoWorseThan(kind) => kind.signal == signal,
        _ => false,
    })
}

fn signal_place(signal: &Signal) -> String {
    format!("signals.{}", signal.name)
}

/// The days from the start to the first checkpoint.
fn days_to_checkpoint(experiment: &Experiment) -> f64 {
    match experiment.checkpoint.when {
        When::At(at) => ms_between(experiment.start, at) as f64 / DAY_MS as f64,
        When::Every(every) => every.as_days(),
    }
}

/// Longest title that fits where titles stand, in characters.
const TITLE_CHARS: usize = 120;

fn title(experiment: &Experiment, found: &mut Vec<Finding>) {
    let length = experiment.title.chars().count();
    if length > TITLE_CHARS {
        let message = format!("the title has {length} characters, of at most {TITLE_CHARS}");
        let hint = "say in a few words what is tried; the mechanism has room for the rest";
        found.push(Finding::new("W0120", "title", message).hint(hint));
    }
}

/// Verbs that begin a to-do item rather than a belief about users.
const TASK_VERBS: &[&str] = &[
    "add",
    "build",
    "complete",
    "create",
    "deliver",
    "deploy",
    "develop",
    "do",
    "finish",
    "hire",
    "implement",
    "introduce",
    "launch",
    "migrate",
    "move",
    "refactor",
    "release",
    "ship",
    "write",
];
/// Reasons that are about us and not about users.
const TASK_REASONS: &[&str] = &[
    "we need to",
    "we have to",
    "we want to",
    "we must",
    "roadmap",
    "okr",
    "management wants",
    "it is planned",
    "was requested",
    "asked for it",
];

fn mechanism(experiment: &Experiment, found: &mut Vec<Finding>) {
    let mechanism = &experiment.mechanism;
    let believe = mechanism.we_believe.to_lowercase();
    let because = mechanism.because.to_lowercase();
    let hint = "say what users will do differently and why: \"X removes Y, so users Z\"";
    let verb = believe.split_whitespace().next().unwrap_or_default();
    if TASK_VERBS.contains(&verb) {
        let message = format!("the mechanism reads like a task: it begins with `{verb}`");
        found.push(Finding::new("W0102", "mechanism.we_believe", message).hint(hint));
    }
    if let Some(reason) = TASK_REASONS.iter().find(|reason| because.contains(*reason)) {
        let message = format!("the reason is about us, not about users: `{reason}`");
        found.push(Finding::new("W0102", "mechanism.because", message).hint(hint));
    }
    let will_move = &mechanism.will_move;
    if !will_move.is_empty()
        && !experiment.aims.is_empty()
        && experiment.aim_on(will_move).is_none()
    {
        let message = format!("the mechanism moves `{will_move}`, which no aim names");
        let hint = "let the mechanism move what the aim is about";
        found.push(Finding::new("W0116", "mechanism.will_move", message).hint(hint));
    }
}

fn dates(experiment: &Experiment, found: &mut Vec<Finding>) {
    let checkpoint = &experiment.checkpoint;
    let days = days_to_checkpoint(experiment);
    if let (When::At(at), Some(by)) = (checkpoint.when, experiment.by()) {
        let cycle_ms = ms_between(experiment.start, at);
        let needed_ms = cycle_ms.saturating_mul(i64::from(checkpoint.cycles));
        let room_ms = ms_between(experiment.start, by);
        if cycle_ms > 0 && needed_ms > room_ms {
            let cycles = checkpoint.cycles;
            let message = format!("`by` is too near for {cycles} cycles of {days} days");
            let hint = format!("move `by`, or set `cycles: {}`", (room_ms / cycle_ms).max(1));
            found.push(Finding::new("W0106", "aim.0.by", message).hint(hint));
        }
    }
    if days < checkpoint.min_duration.as_days() && matches!(checkpoint.when, When::At(_)) {
        let message = format!(
            "the checkpoint comes before `min_duration` ({} d)",
            checkpoint.min_duration.as_days()
        );
        let hint = "move `at`, or say `min_duration:` if a shorter test is meant";
        found.push(Finding::new("W0113", "checkpoint.at", message).hint(hint));
    }
    for signal in experiment.outcomes() {
        let matures = signal.matures_after.as_days();
        if matches!(checkpoint.when, When::At(_)) && matures >= days {
            let message = format!(
                "no unit of `{}` has matured at the checkpoint: {matures} days of {days}",
                signal.name
            );
            let hint = "move `at` behind the first matured weeks";
            found.push(Finding::new("W0112", "checkpoint.at", message).hint(hint));
        }
    }
}

fn comparisons(experiment: &Experiment, found: &mut Vec<Finding>) {
    for signal in &experiment.signals {
        let stated = matches!(signal.from, Some(Baseline::Stated(_)));
        let baseline = matches!(compare_of(experiment, signal), Compare::Baseline);
        if stated && baseline && change_is_judged(experiment, signal) {
            let place = format!("{}.from", signal_place(signal));
            let message = format!("`{}`: uncontrolled; baseline treated as exact", signal.name);
            let hint = if signal.form == Form::Proportion {
                "give counts, `from: {x: 540, n: 2000, as_of: ...}`, or measure it with \
                 `from: {window: 28d}`"
            } else {
                "measure it with `from: {window: 28d}`"
            };
            found.push(Finding::new("W0107", place, message).hint(hint));
        }
        if signal.role == Role::Guardrail && !is_guarded(experiment, &signal.name) {
            let message = format!("no guardrail uses `{}`", signal.name);
            let hint = format!(
                "add `no_worse_than: {{margin: 2pts, signal: {}}}`, or change its role",
                signal.name
            );
            found.push(Finding::new("W0114", signal_place(signal), message).hint(hint));
        }
    }
}

fn safety(experiment: &Experiment, found: &mut Vec<Finding>) {
    let stops = experiment.guardrails.iter().find(|guardrail| guardrail.on_trip == OnTrip::Stop);
    if let (Some(guardrail), None) = (stops, &experiment.rollback.action) {
        let message = format!("guardrail `{}` stops, but no action turns it off", guardrail.name);
        let hint = "add `rollback: {action: ...}`: a stop that nobody carries out is toothless";
        found.push(Finding::new("W0110", "rollback", message).hint(hint));
    }
    if experiment.notify.is_empty() {
        let hint = "add `notify: [team-chat]`";
        found.push(Finding::new("W0111", "notify", "nobody is told of a verdict").hint(hint));
    }
}
