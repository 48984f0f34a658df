//! From a stored row to the word a gate goes by.

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::decide::{Cause, Verdict};
use judge::lifecycle::{self, Life, LifeState};
use judge::spec::OnTrip;
use judge::time::{Timestamp, add_ms, ms_between};
use serde::{Deserialize, Serialize};

use crate::cycle::say::word;
use crate::store::{EvaluationRow, GateRow};

/// How the sentence of a look ends that saw no guardrail in trouble.
const FINE: &str = "; guardrails fine";
/// Longest reason, in characters.
const MAX_REASON: usize = 600;

/// The five verdicts, and two words for having none to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Go on.
    Continue,
    /// Another mechanism, or more time.
    Change,
    /// Turn it off.
    Stop,
    /// Something must be cleared up first.
    Hold,
    /// Too early.
    Collecting,
    /// There is a verdict, and it is too old or a guardrail cannot see.
    Stale,
    /// There is nothing to go by.
    Unknown,
}

impl Word {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Change => "change",
            Self::Stop => "stop",
            Self::Hold => "hold",
            Self::Collecting => "collecting",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is one of the three that decide.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::Continue | Self::Change | Self::Stop)
    }

    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Continue => Self::Continue,
            Verdict::Change => Self::Change,
            Verdict::Stop => Self::Stop,
            Verdict::Hold => Self::Hold,
            Verdict::Collecting => Self::Collecting,
        }
    }
}

/// Where an experiment stands for a gate, at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Experiment id, as it was asked for.
    pub experiment: String,
    /// The word.
    pub word: Word,
    /// Which row of the verdict table, or one of the gate's own causes.
    pub cause: String,
    /// One sentence.
    pub reason: String,
    /// Life; `unknown` without one.
    pub life: String,
    /// Whether the run is over: nothing will look at it again.
    pub is_final: bool,
    /// The instant of what is said; `None` when nothing was said yet.
    pub said_at: Option<Timestamp>,
    /// Number of the evaluation it rests on; 0 without one.
    pub evaluation: u64,
    /// Version of the experiment's state.
    pub sequence: i64,
    /// Seconds since `said_at`, or since the experiment was first seen.
    pub age_secs: i64,
}

/// Nothing is known under this id; `near` are names like it.
pub fn no_such(experiment: &str, near: &[String]) -> Standing {
    let hint = match near {
        [] => "/api/v1/experiments lists them".to_owned(),
        near => format!("did you mean {}?", near.join(", ")),
    };
    nothing(experiment, "no_experiment", format!("no experiment has this id; {hint}"))
}

/// The stored state cannot be read.
pub fn unreadable(experiment: &str) -> Standing {
    let reason = "the stored state cannot be read; the daemon's log has the cause".to_owned();
    nothing(experiment, "unreadable", reason)
}

fn nothing(experiment: &str, cause: &str, reason: String) -> Standing {
    let experiment: String = experiment.chars().take(100).collect();
    Standing {
        reason: sentence(Word::Unknown, &experiment, &reason),
        experiment,
        word: Word::Unknown,
        cause: cause.to_owned(),
        life: "unknown".to_owned(),
        is_final: false,
        said_at: None,
        evaluation: 0,
        sequence: 0,
        age_secs: 0,
    }
}

/// What is said before age and guardrails are looked at.
struct Said {
    word: Word,
    cause: String,
    reason: String,
    at: Option<Timestamp>,
    evaluation: u64,
}

/// Where the experiment stands at `now`. A slot that is due for longer than `late_after_ms` makes
/// it stale: somebody should have looked.
pub fn standing(row: &GateRow, now: Timestamp, late_after_ms: i64) -> Standing {
    let Ok(stored) = serde_json::from_str::<LifeState>(&row.life_json) else {
        return unreadable(&row.id);
    };
    let life = lifecycle::at_time(&stored, now);
    let is_final = matches!(life.life, Life::Graduated | Life::Stopped | Life::Archived);
    let mut said = of_life(row, &life);
    if !is_final {
        said = held_back(row, said, now, late_after_ms);
    }
    let since = said.at.unwrap_or(row.first_seen_at);
    Standing {
        experiment: row.id.clone(),
        word: said.word,
        cause: said.cause,
        reason: clipped(&said.reason),
        life: word(&life.life),
        is_final,
        said_at: said.at,
        evaluation: said.evaluation,
        sequence: row.changes,
        age_secs: ms_between(since, now).max(0) / 1_000,
    }
}

fn of_life(row: &GateRow, life: &LifeState) -> Said {
    let own = |what: Word, cause: &str, reason: &str, at: Option<Timestamp>| Said {
        word: what,
        cause: cause.to_owned(),
        reason: sentence(what, &row.id, reason),
        at,
        evaluation: row.last.as_ref().map_or(0, |last| last.number),
    };
    match life.life {
        Life::Draft => own(Word::Hold, "draft", "the file is a draft and is not looked at", None),
        Life::Scheduled => {
            let reason = format!("not started yet, it starts at {}", life.cycle.started_at);
            own(Word::Collecting, "scheduled", &reason, None)
        }
        Life::Running => running(row, life),
        Life::Paused => {
            let reason = by_person(row, life, "paused it");
            own(Word::Hold, "paused", &reason, Some(life.since))
        }
        Life::Archived => {
            let reason = by_person(row, life, "put it away");
            own(Word::Hold, "archived", &reason, Some(life.since))
        }
        Life::AwaitingRevision => ended(row, life, Verdict::Change),
        Life::Graduated => ended(row, life, Verdict::Continue),
        Life::Stopped => ended(row, life, Verdict::Stop),
    }
}

/// A running experiment stands on its newest look of this cycle, unless a person overruled it.
fn running(row: &GateRow, life: &LifeState) -> Said {
    let fresh = row.last.as_ref().filter(|last| last.scheduled_at >= life.cycle.started_at);
    let fresh = fresh.filter(|last| !ends_a_run(last) || last.scheduled_at > life.since);
    if let Some(last) = fresh
        && let Some(word) = read_word(&last.verdict)
    {
        return Said {
            word,
            cause: last.cause.clone(),
            reason: last.headline.clone(),
            at: Some(last.scheduled_at),
            evaluation: last.number,
        };
    }
    let cause = if row.last.is_some() { "look_pending" } else { "not_looked_at" };
    Said {
        word: Word::Collecting,
        cause: cause.to_owned(),
        reason: sentence(Word::Collecting, &row.id, "its first look of this run is to come"),
        at: None,
        evaluation: 0,
    }
}

/// Verdicts that ended the run; a run that goes on is not bound by them.
fn ends_a_run(last: &EvaluationRow) -> bool {
    last.verdict == "stop" || ["mechanism", "graduate"].contains(&last.cause.as_str())
}

fn read_word(verdict: &str) -> Option<Word> {
    let verdict: Option<Verdict> = serde_json::from_value(verdict.into()).ok();
    verdict.map(Word::of)
}

/// A run that a verdict or a person ended.
fn ended(row: &GateRow, life: &LifeState, verdict: Verdict) -> Said {
    let own = life.verdict.filter(|(own, ..)| *own == verdict);
    let is_judged = own.is_some_and(|(.., at)| at >= life.since) && !is_decreed(row, life);
    let last = row.last.as_ref().filter(|last| is_judged && last.verdict == word(&verdict));
    let cause = match own {
        Some((_, cause, _)) if is_judged => word(&cause),
        _ if verdict == Verdict::Stop && !life.trips.is_empty() => word(&Cause::Tripped),
        _ => "by_person".to_owned(),
    };
    let reason = match last {
        Some(last) => last.headline.clone(),
        None => sentence(Word::of(verdict), &row.id, &by_person(row, life, "decided so")),
    };
    Said {
        word: Word::of(verdict),
        cause,
        reason,
        at: Some(life.since),
        evaluation: row.last.as_ref().map_or(0, |last| last.number),
    }
}

/// Whether a person moved the experiment to where it stands.
fn is_decreed(row: &GateRow, life: &LifeState) -> bool {
    row.decree.as_ref().is_some_and(|decree| is_same_ms(decree.at, life.since))
}

/// Stored instants have milliseconds.
fn is_same_ms(one: Timestamp, other: Timestamp) -> bool {
    one.as_millisecond() == other.as_millisecond()
}

/// `growth-lead paused it at 2026-08-11T00:00:00Z: users wait`.
fn by_person(row: &GateRow, life: &LifeState, what: &str) -> String {
    match row.decree.as_ref().filter(|_| is_decreed(row, life)) {
        Some(decree) => format!("{} {what} at {}: {}", decree.who, decree.at, decree.because),
        None => format!("since {}", life.since),
    }
}

/// What keeps a gate from going by a verdict that was fine when it was given.
fn held_back(row: &GateRow, said: Said, now: Timestamp, late_after_ms: i64) -> Said {
    if let Some(due_at) = row.due_at
        && add_ms(due_at, late_after_ms) < now
    {
        let reason = format!("a look was due at {due_at} and was not made; {}", said.reason);
        return replaced(row, said, Word::Stale, "late", &reason);
    }
    // A guardrail is read more often than a look is made: the look's sentence does not know it.
    if let Some(rail) = row.guardrails.iter().find(|rail| is_tripped(rail)) {
        let before = said.reason.trim_end_matches(FINE);
        let reason = format!("guardrail {} is tripped; before that {before}", rail.name);
        let (what, cause) = match said.word {
            Word::Continue | Word::Collecting => (Word::Hold, "guardrail_tripped".to_owned()),
            other => (other, said.cause.clone()),
        };
        return replaced(row, said, what, &cause, &reason);
    }
    if said.word != Word::Continue {
        return said;
    }
    if let Some(rail) = row.guardrails.iter().find(|rail| is_blind(rail)) {
        let since = rail.since.map(|at| format!(" since {at}")).unwrap_or_default();
        let reason = format!("guardrail {} has no data{since}; {}", rail.name, said.reason);
        return replaced(row, said, Word::Stale, "guardrail_blind", &reason);
    }
    said
}

fn is_tripped(rail: &GuardrailStatus) -> bool {
    rail.state == GuardrailState::Tripped
        || (is_without_data(rail) && rail.frozen == Some(GuardrailState::Tripped))
}

/// One that would stop the run and cannot see.
fn is_blind(rail: &GuardrailStatus) -> bool {
    rail.on_trip == OnTrip::Stop && is_without_data(rail)
}

fn is_without_data(rail: &GuardrailStatus) -> bool {
    matches!(rail.state, GuardrailState::NoData | GuardrailState::SourceError)
}

fn replaced(row: &GateRow, said: Said, what: Word, cause: &str, reason: &str) -> Said {
    Said { word: what, cause: cause.to_owned(), reason: sentence(what, &row.id, reason), ..said }
}

/// As it stands for a caller that wants nothing older than `max_age_secs`. What a run that is over
/// said does not age: nothing will look again.
pub fn aged(standing: Standing, max_age_secs: Option<i64>) -> Standing {
    let Some(most) = max_age_secs.filter(|most| standing.age_secs > *most) else {
        return standing;
    };
    let is_ageless = standing.is_final || matches!(standing.word, Word::Unknown | Word::Stale);
    if is_ageless {
        return standing;
    }
    let age = standing.age_secs;
    let reason = format!("said {age} s ago, at most {most} s are wanted; {}", standing.reason);
    Standing {
        word: Word::Stale,
        cause: "too_old".to_owned(),
        reason: clipped(&sentence(Word::Stale, &standing.experiment, &reason)),
        ..standing
    }
}

/// `STALE - copy: said 700 s ago, ...`: the form of a record's headline.
fn sentence(word: Word, experiment: &str, reason: &str) -> String {
    clipped(&format!("{} - {experiment}: {reason}", word.as_str().to_uppercase()))
}

/// One line of bounded length, whatever a person wrote.
fn clipped(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut line: String = text.chars().take(MAX_REASON).map(plain).collect();
    if text.chars().count() > MAX_REASON {
        line.push_str("...");
    }
    line
}
