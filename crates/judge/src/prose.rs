//! From record to words: the edge where numbers and enums become sentences.
//!
//! Plain functions over a frozen record, no decisions of their own. The page, the terminal, the
//! message and the log use the same ones, so a number reads the same everywhere. ASCII minus,
//! points and percent never mixed, a decimal point, thousands in groups.

mod alarms;
mod atoms;
#[cfg(test)]
mod every;
mod findings;
mod methods;
mod numbers;
mod reasons;
mod revision;
#[cfg(test)]
mod tests;

pub use self::alarms::{alarm_line, alarm_said, alarm_sentence, alarm_told};
pub use self::atoms::{AtomCells, atom_cells, atom_line, atom_numbers, what_would_flip};
pub use self::findings::finding_sentence;
pub use self::methods::method_line;
pub use self::numbers::{Written, count, format_change, format_level};
pub use self::reasons::reason_sentence;
pub use self::revision::revision;

use crate::analyse::{GuardrailState, SignalState, SignalView, Truth};
use crate::decide::{Cause, Reason, Verdict, is_tripped};
use crate::lifecycle::schedule;
use crate::record::EvaluationRecord;
use crate::spec::Role;
use crate::time::{DAY_MS, Timestamp, add_ms, date_of, ms_between};

/// The most reasons that `because` names.
const MOST_REASONS: usize = 3;

/// One plain sentence: state word, name, the number against its rule, the guardrails.
///
/// `STOP - checkout-copy: activation +0.4 pts, needed +3.0 pts; guardrails fine`.
pub fn headline(record: &EvaluationRecord) -> String {
    let decision = &record.decision;
    let word = verdict_word(decision.verdict);
    let main = leading_reason(record).map_or_else(
        || cause_words(decision.cause).to_owned(),
        |reason| reasons::short_reason(reason, record),
    );
    let mut line = format!("{word} - {}: {main}", record.input.experiment.id);
    // "Change" alone would be read as a call to build something else.
    if decision.cause == Cause::Extend
        && let Some(until) = decision.next_checkpoint_at
    {
        line.push_str("; goes on unchanged until ");
        line.push_str(&day_text(record, until));
    }
    if decision.cause != Cause::Tripped
        && let Some(guardrails) = guardrail_words(record)
    {
        line.push_str("; ");
        line.push_str(&guardrails);
    }
    line
}

/// The first reason; of several atoms that met the same fate, the one on an outcome.
fn leading_reason(record: &EvaluationRecord) -> Option<&Reason> {
    let all = &record.decision.reasons;
    let first = all.first()?;
    let on_outcome = |index: usize| {
        let atom = record.atoms.get(index)?;
        let signal = record.input.experiment.signal(&atom.signal)?;
        Some(signal.role == Role::Outcome)
    };
    let alike = |reason: &&Reason| match (first, reason) {
        (Reason::AtomMet { .. }, Reason::AtomMet { atom })
        | (Reason::AtomNotMet { .. }, Reason::AtomNotMet { atom })
        | (Reason::AtomUnknown { .. }, Reason::AtomUnknown { atom }) => {
            on_outcome(*atom) == Some(true)
        }
        _ => false,
    };
    all.iter().find(alike).or(Some(first))
}

/// The verdict in capitals.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Continue => "CONTINUE",
        Verdict::Change => "CHANGE",
        Verdict::Stop => "STOP",
        Verdict::Hold => "HOLD",
        Verdict::Collecting => "COLLECTING",
    }
}

/// What the row of the verdict table means.
pub fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Tripped => "a guardrail tripped",
        Cause::Harmful => "it harms users",
        Cause::Futile => "nothing moves",
        Cause::NoCyclesLeft => "the cycles are used",
        Cause::PastBy => "the date of the aim has passed",
        Cause::Mechanism => "find another mechanism",
        Cause::Extend => "more units are needed",
        Cause::Graduate => "make it the default",
        Cause::KeepRunning => "on to the next checkpoint",
        Cause::Srm => "the split differs from the plan",
        Cause::MultipleExposure => "too many units saw more than one arm",
        Cause::Imbalance => "the arms differed before exposure",
        Cause::DefinitionChanged => "a definition changed",
        Cause::DataMissing => "missing data could change the verdict",
        Cause::EngineFault => "the judge failed",
        Cause::OnTrack => "on track",
        Cause::CannotBeReached => "the needed sample cannot be reached any more",
        Cause::WaitingForMaturity => "waiting for the outcome to mature",
    }
}

/// A look's headline as it is true now: guardrails are read more often than looks are made.
pub fn headline_now(headline: &str, worst: Option<GuardrailState>) -> String {
    if worst != Some(GuardrailState::Tripped) || headline.contains("tripped") {
        return headline.to_owned();
    }
    let rest = headline.trim_end_matches("; guardrails fine");
    format!("{rest}; a guardrail is tripped")
}

fn guardrail_words(record: &EvaluationRecord) -> Option<String> {
    let all = &record.guardrails;
    if all.is_empty() {
        return None;
    }
    let notable: Vec<String> = all
        .iter()
        .filter_map(|status| {
            let words = match status.state {
                _ if is_tripped(status) => "tripped",
                _ if status.evaluated_at.is_none() => "is not looked at yet",
                GuardrailState::Unproven => "not shown to be safe",
                GuardrailState::Burning => "spends its budget too fast",
                GuardrailState::NoData | GuardrailState::SourceError => "has no data",
                GuardrailState::Insufficient if status.total.is_none() => {
                    "has nothing to judge yet"
                }
                GuardrailState::Insufficient => "has too few events",
                GuardrailState::Ok | GuardrailState::Tripped => return None,
            };
            Some(format!("{} {words}", status.name))
        })
        .collect();
    Some(if notable.is_empty() { "guardrails fine".to_owned() } else { notable.join(", ") })
}

/// Why, in at most three sentences' worth of reasons.
pub fn because(record: &EvaluationRecord) -> String {
    let reasons = record.decision.reasons.iter().take(MOST_REASONS);
    let mut sentences: Vec<_> = reasons.map(|reason| reason_sentence(reason, record)).collect();
    // "On track" is about units: estimates may still turn, and until then this stands.
    if record.decision.cause == Cause::OnTrack && record.rule.value == Truth::False {
        sentences.push("As it stands, the rule does not hold.".to_owned());
    }
    if sentences.is_empty() {
        let words = cause_words(record.decision.cause);
        return reasons::sentence(words, &record.input.experiment);
    }
    sentences.join(" ")
}

/// What happens next, and what is expected of whom.
pub fn what_next(record: &EvaluationRecord) -> String {
    if let Some(next) = revision::revision_next(record) {
        return next.to_owned();
    }
    let next = next_of_cause(record);
    match held_since(record) {
        Some(since) => {
            let days = ms_between(since, record.input.at) / DAY_MS;
            let age = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            format!("{next} Held for {age}, since the look of {since}.")
        }
        None => next,
    }
}

/// The first look of a hold that is at least a day old.
fn held_since(record: &EvaluationRecord) -> Option<Timestamp> {
    let since = record.input.cycle.held_since?;
    let is_held = record.decision.verdict == Verdict::Hold;
    (is_held && ms_between(since, record.input.at) >= DAY_MS).then_some(since)
}

fn next_of_cause(record: &EvaluationRecord) -> String {
    let decision = &record.decision;
    let experiment = &record.input.experiment;
    let next_checkpoint = decision.next_checkpoint_at.map(|at| day_text(record, at));
    let next_checkpoint = next_checkpoint.as_deref().unwrap_or("not planned");
    match decision.cause {
        Cause::Tripped => match &experiment.rollback.action {
            Some(action) => format!(
                "The rollback action {action} is ordered and its result will be told; only a \
                 human may rearm the guardrail."
            ),
            None => {
                "There is no rollback action: roll back by hand, following the plan.".to_owned()
            }
        },
        Cause::Harmful | Cause::Futile | Cause::NoCyclesLeft | Cause::PastBy => {
            "The run is over: roll back, and write down what was learnt.".to_owned()
        }
        Cause::Mechanism => match unjudged(record) {
            Some(signal) => format!(
                "Put right why {signal} cannot be judged, and revise the file with a later start; \
                 or stop."
            ),
            None => "Revise the file with another mechanism and a later start, or stop.".to_owned(),
        },
        Cause::Extend => format!("It goes on unchanged; decided again on {next_checkpoint}."),
        Cause::Graduate => match &experiment.if_it_works {
            Some(who) => format!("Make it the default: {who}."),
            None => "Make it the default, and say so when it is done.".to_owned(),
        },
        Cause::KeepRunning => format!("It goes on; the next checkpoint is {next_checkpoint}."),
        Cause::Srm => {
            "Find out why the arms differ, acknowledge it and start a new allocation.".to_owned()
        }
        Cause::MultipleExposure => {
            "Find out why units change their arm, acknowledge it and start a new allocation."
                .to_owned()
        }
        Cause::Imbalance => "Find out how units came into their arms, and start again; or leave \
             the covariate out and acknowledge it."
            .to_owned(),
        Cause::DefinitionChanged => {
            "Acknowledge the new definition or put the old one back.".to_owned()
        }
        Cause::DataMissing => "It is decided at the first look with the missing data.".to_owned(),
        Cause::EngineFault => "It is tried again at the next look.".to_owned(),
        Cause::OnTrack | Cause::CannotBeReached => {
            format!("It is decided on {next_checkpoint}.")
        }
        Cause::WaitingForMaturity => {
            format!("The checkpoint waits until {next_checkpoint}.")
        }
    }
}

/// The signal of the rule, or the outcome, that could not be judged at all.
fn unjudged(record: &EvaluationRecord) -> Option<&str> {
    let rule = &record.input.experiment.checkpoint.continue_when;
    let mut invalid = record.signals.iter().filter(|view| view.state == SignalState::Invalid);
    let used = |view: &&SignalView| view.role == Role::Outcome || rule.names(&view.name);
    invalid.find(used).map(|view| view.name.as_str())
}

/// The decision log's three lines: aim; mechanism; signals against the checkpoint, and the
/// decision.
pub fn log_entry(record: &EvaluationRecord) -> [String; 3] {
    let experiment = &record.input.experiment;
    let aims: Vec<_> = experiment
        .aims
        .iter()
        .map(|aim| {
            let signal = experiment.signal(&aim.signal);
            let level = |value: Option<f64>| match (value, signal) {
                (Some(value), Some(signal)) => {
                    format_level(value, signal.form, signal.unit.as_deref())
                }
                _ => "?".to_owned(),
            };
            let by = aim.by.map(|by| format!(" by {}", day_text(record, by)));
            let (from, to) = (level(aim.from), level(aim.to));
            let by = by.unwrap_or_default();
            format!("{} ({} {from} -> {to}{by})", aim.behaviour, aim.signal)
        })
        .collect();
    let mechanism = &experiment.mechanism;
    let (believe, move_what, because) =
        (&mechanism.we_believe, &mechanism.will_move, &mechanism.because);
    let atoms: Vec<_> = record.atoms.iter().map(|atom| atoms::short_atom(atom, record)).collect();
    let decision = &record.decision;
    let word = verdict_word(decision.verdict);
    let cause = cause_words(decision.cause);
    [
        format!("Aim: {}", aims.join("; ")),
        format!("Mechanism: we believe {believe} will move {move_what} because {because}"),
        format!("Checkpoint: {} -> {word}, {cause}", atoms.join("; ")),
    ]
}

/// An instant as the day it belongs to in the file's zone: an instant at 00:00 is the end of the
/// day before.
fn day_text(record: &EvaluationRecord, at: Timestamp) -> String {
    let zone = schedule::zone_of(&record.input.experiment);
    date_of(add_ms(at, -1), &zone).to_string()
}

/// `met`, `not met`, `not known`.
fn met_words(met: Truth) -> &'static str {
    match met {
        Truth::True => "met",
        Truth::False => "not met",
        Truth::Unknown => "not known",
    }
}
