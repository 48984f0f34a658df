//! Reasons as sentences and as the short form of the headline.

use super::atoms::{seen_text, short_atom};
use super::day_text;
use super::numbers::{Written, count, format_change, interval_text};
use crate::analyse::{AtomView, SignalState, SignalView, UnknownWhy};
use crate::decide::{AlarmKind, Reason};
use crate::observe::Observation;
use crate::record::EvaluationRecord;
use crate::spec::{Compare, Experiment, Form};
use crate::time::Timestamp;

/// The reason as one sentence with a full stop.
pub fn reason_sentence(reason: &Reason, record: &EvaluationRecord) -> String {
    sentence(&short_reason(reason, record), &record.input.experiment)
}

/// Words with a capital and a full stop; what is named in the file keeps its letters.
pub(super) fn sentence(words: &str, experiment: &Experiment) -> String {
    let mut sentence = words.to_owned();
    let first_word = words.split([' ', ',', ':']).next().unwrap_or_default();
    let is_name = first_word == experiment.id
        || experiment.signal(first_word).is_some()
        || experiment.guardrails.iter().any(|guardrail| guardrail.name == first_word)
        || first_word.bytes().any(|byte| byte == b'_' || byte.is_ascii_digit());
    if !is_name && let Some(first) = sentence.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    sentence.push('.');
    sentence
}

/// The reason without capital and full stop.
pub(super) fn short_reason(reason: &Reason, record: &EvaluationRecord) -> String {
    let atom = |index: usize, words: &str| match record.atoms.get(index) {
        Some(atom) => format!("{}{words}", short_atom(atom, record)),
        None => "an atom of the rule".to_owned(),
    };
    match reason {
        Reason::GuardrailTripped { guardrail, value, limit } => {
            tripped(guardrail, *value, *limit, &record.input.experiment)
        }
        Reason::GuardrailRestated { guardrail, value, limit } => {
            restated(guardrail, *value, *limit, &record.input.experiment)
        }
        Reason::AtomMet { atom: index } => atom(*index, ": met"),
        Reason::AtomNotMet { atom: index } => atom(*index, ""),
        Reason::AtomUnknown { atom: index } => {
            let why = record.atoms.get(*index).and_then(|atom| atom.why);
            atom(*index, unknown_words(why))
        }
        Reason::StopRuleHolds => match &record.stop_rule {
            Some(rule) => format!("the stop rule holds: {}", stop_text(rule.text.clone(), record)),
            None => "the stop rule holds".to_owned(),
        },
        Reason::SignalIs { signal, state } => signal_is(signal, *state, record),
        Reason::DataMissing { signal, since } => missing(signal, *since, record),
        Reason::SplitMismatch { p } => split_off(*p, record),
        Reason::MultipleExposure { mixed, units, limit, p } => {
            let written = Written::Level { form: Form::Proportion, unit: None };
            let (seen, limit) = written.pair(mixed / units, *limit);
            let (mixed, units) = (count(*mixed), count(*units));
            format!(
                "{mixed} of {units} units saw more than one arm ({seen}, tolerated {limit}, p = \
                 {p:.1e})"
            )
        }
        Reason::Imbalance { signal, p } => {
            format!("the arms differed in the covariate of {signal} before exposure (p = {p:.1e})")
        }
        Reason::DefinitionChanged { signal } => {
            format!("the definition of {signal} changed and nobody acknowledged it")
        }
        Reason::NeedsMore { signal, units } => {
            format!("{signal} needs about {} more units at the effect asked for", count(*units))
        }
        Reason::NotShownSafe { guardrail } => {
            format!("guardrail {guardrail} is not shown to be safe")
        }
        Reason::GuardrailOn { guardrail } => format!("guardrail {guardrail} is tripped"),
        Reason::TooShort { days, wanted_days } => {
            format!("it ran {days:.1} days of at least {wanted_days:.1}")
        }
        Reason::OutcomeUnproven { signal } => format!("outcome {signal} is not proven yet"),
        Reason::CyclesUsed { cycles } => format!("all {cycles} cycles are used"),
        Reason::PastBy { by } => {
            format!("the date of the aim, {}, has passed", day_text(record, *by))
        }
        Reason::Progress { share, days_left } => format!(
            "{:.0} % of the needed sample is in, {days_left:.1} days left",
            (share * 100.0).floor()
        ),
        Reason::WaitsForMaturity { signal, until } => {
            let day = day_text(record, *until);
            format!("nothing of {signal} has matured before {day}")
        }
        Reason::Fault { message } => format!("the judge failed: {message}"),
    }
}

/// Most letters of a failure's cause beside a verdict; the rest stands with the signal.
const CAUSE_LETTERS: usize = 120;

/// `o has no data since 2026-06-30`; where the source failed or its rows were refused, that.
fn missing(signal: &str, since: Option<Timestamp>, record: &EvaluationRecord) -> String {
    let since = since.map(|since| format!(" since {}", day_text(record, since)));
    let since = since.unwrap_or_default();
    match record.input.observations.get(signal) {
        Some(Observation::SourceError { class, cause, .. }) => {
            let short: String = cause.chars().take(CAUSE_LETTERS).collect();
            let more = if short.len() < cause.len() { "..." } else { "" };
            format!("{signal} cannot be read{since} ({class}: {short}{more})")
        }
        _ => format!("{signal} has no data{since}"),
    }
}

/// Of which signal, where it is not the leading one, the alarm knows.
fn split_off(p: f64, record: &EvaluationRecord) -> String {
    let mut off = record.alarms.iter().filter(|alarm| alarm.kind == AlarmKind::Srm);
    let of = off.find_map(|alarm| Some(&alarm.subject).filter(|name| !name.is_empty()));
    let of = of.map(|name| format!(" of {name}")).unwrap_or_default();
    format!("units{of} are not split over the arms as planned (p = {p:.1e})")
}

/// The stop rule with the numbers of its atoms.
fn stop_text(text: String, record: &EvaluationRecord) -> String {
    let seen: Vec<_> = record.stop_atoms.iter().map(|atom| stop_atom(atom, record)).collect();
    if seen.is_empty() { text } else { format!("{text} ({})", seen.join(", ")) }
}

fn stop_atom(atom: &AtomView, record: &EvaluationRecord) -> String {
    match seen_text(atom, record) {
        Some(seen) => format!("{} {seen}", atom.signal),
        None => format!("{} not seen", atom.signal),
    }
}

fn tripped(name: &str, value: Option<f64>, limit: Option<f64>, experiment: &Experiment) -> String {
    match (value, limit) {
        (Some(value), Some(limit)) => {
            let (value, limit) = Written::of_guardrail(experiment, name).pair(value, limit);
            format!("guardrail {name} tripped at {value}, limit {limit}")
        }
        _ => format!("guardrail {name} tripped"),
    }
}

/// The trip's restated data are inside the limit.
fn restated(name: &str, value: Option<f64>, limit: Option<f64>, experiment: &Experiment) -> String {
    match (value, limit) {
        (Some(value), Some(limit)) => {
            let (value, limit) = Written::of_guardrail(experiment, name).pair(value, limit);
            format!("on restated data guardrail {name} is at {value}, limit {limit}")
        }
        _ => format!("on restated data guardrail {name} has not tripped"),
    }
}

/// `activation_14d is flat: 0.0 pts (-1.8 pts to +1.8 pts)`.
fn signal_is(name: &str, state: SignalState, record: &EvaluationRecord) -> String {
    let experiment = &record.input.experiment;
    let signal = experiment.signal(name);
    let compare = signal.and_then(|signal| signal.compare.as_ref());
    let in_arms = matches!(compare.unwrap_or(&experiment.compare), Compare::Arms { .. });
    let words = match state {
        SignalState::Harm if in_arms => "is worse than the control",
        state => state_words(state),
    };
    let view = record.signals.iter().find(|signal| signal.name == name);
    if state == SignalState::Invalid {
        let why = view.and_then(|view| view.why.as_deref()).map(|why| format!(": {why}"));
        return format!("{name} {words}{}", why.unwrap_or_default());
    }
    match view.and_then(|view| Some((view, view.evidence.as_ref()?))) {
        Some((view, evidence)) => {
            let change = |value: f64| change_of(view, value, evidence.relative);
            let interval = interval_text(&evidence.interval, &change);
            format!("{name} {words}: {} ({interval})", change(evidence.estimate))
        }
        None => format!("{name} {words}"),
    }
}

fn change_of(view: &SignalView, value: f64, relative: bool) -> String {
    format_change(value, relative, view.form, view.unit.as_deref())
}

/// Why an atom is not known, as words that follow its numbers.
fn unknown_words(why: Option<UnknownWhy>) -> &'static str {
    match why {
        Some(UnknownWhy::Invalid) => ": cannot be judged",
        Some(UnknownWhy::NoData | UnknownWhy::SourceError) => ": no data",
        Some(UnknownWhy::Insufficient) => ": too few units",
        Some(UnknownWhy::Immature) => ": not matured",
        Some(UnknownWhy::NotNow) => ": judged at the checkpoint only",
        Some(UnknownWhy::Inconclusive) | None => ": inconclusive",
    }
}

/// A state in words that follow a signal's name.
pub(crate) fn state_words(state: SignalState) -> &'static str {
    match state {
        SignalState::Harm => "is worse than before",
        SignalState::Met => "reached its target",
        SignalState::Short => "moved, but too little to matter",
        SignalState::Moving => "moves",
        SignalState::Flat => "is flat",
        SignalState::Inconclusive => "is inconclusive",
        SignalState::Below => "is below its level",
        SignalState::TooEarly => "has nothing matured",
        SignalState::NoData => "has no data",
        SignalState::Invalid => "cannot be judged",
        SignalState::Shown => "is only shown",
    }
}
