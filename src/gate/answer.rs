//! From a standing to an answer: which door opens on which word, and the flat document.

use judge::time::Span;
use serde::{Deserialize, Serialize};

use super::{Standing, Word, aged};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// May a rollout begin, or take more traffic?
    Rollout,
    /// May it become the default?
    Promote,
    /// Must it be undone? Opens on `stop` alone.
    Rollback,
}

impl Door {
    /// As it is written in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
        }
    }
}

/// Words that open a door beside `continue`. `stop` and `unknown` never do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Word>);

impl Allowed {
    /// Reads `collecting,hold`; the refusal says what may stand there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let read = |word: &str| match word {
            "collecting" => Ok(Word::Collecting),
            "hold" => Ok(Word::Hold),
            "change" => Ok(Word::Change),
            "stale" => Ok(Word::Stale),
            "continue" => Ok(Word::Continue),
            _ => Err(format!("`{word}` cannot be allowed: use collecting, hold, change or stale")),
        };
        words.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a gate opens on this word.
    pub fn opens(&self, word: Word) -> bool {
        word == Word::Continue || self.0.contains(&word)
    }
}

/// What a door says.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether it opens (a rollback: whether it fires).
    pub is_open: bool,
    /// What it goes by.
    pub standing: Standing,
    /// One sentence: the door, the verdict, the reason.
    pub sentence: String,
}

/// What `door` says to a caller that wants nothing older than `max_age_secs`.
///
/// A rollback fires on `stop` only, and only for so long after it: a later rollout of a stopped
/// experiment is kept out by the other doors, not undone for ever.
pub fn answer(
    door: Door,
    standing: Standing,
    allowed: &Allowed,
    max_age_secs: Option<i64>,
) -> Answer {
    if door == Door::Rollback {
        return rollback(standing, max_age_secs);
    }
    let standing = aged(standing, max_age_secs);
    let is_open = allowed.opens(standing.word);
    let state = if is_open { "open" } else { "closed" };
    let sentence = format!("{} is {state}: {}", door.as_str(), standing.reason);
    Answer { is_open, standing, sentence }
}

fn rollback(standing: Standing, max_age_secs: Option<i64>) -> Answer {
    let is_stop = standing.word == Word::Stop;
    let is_fresh = max_age_secs.is_none_or(|most| standing.age_secs <= most);
    let is_open = is_stop && is_fresh;
    let sentence = match (is_open, is_stop, max_age_secs) {
        (true, ..) => format!("rollback fires: {}", standing.reason),
        (false, true, Some(most)) => format!(
            "rollback does not fire: the stop is {} s old and fires for {most} s; {}",
            standing.age_secs, standing.reason
        ),
        _ => format!("rollback does not fire: {}", standing.reason),
    };
    Answer { is_open, standing, sentence }
}

/// The flat document: no nulls, no nesting, the same keys each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlatVerdict {
    /// Experiment id.
    pub experiment: String,
    /// The word.
    pub verdict: Word,
    /// Its cause.
    pub cause: String,
    /// Whether the run is over.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// One sentence.
    pub reason: String,
    /// Life.
    pub life: String,
    /// The instant of what is said; empty when nothing was said yet.
    pub evaluated_at: String,
    /// Its age in seconds.
    pub age_secs: i64,
    /// Number of the evaluation; 0 without one.
    pub evaluation: u64,
    /// Version of the experiment's state.
    pub sequence: i64,
    /// Where a person reads on.
    pub url: String,
}

/// The document of a standing; `external_url` has no slash at its end.
pub fn flat(standing: &Standing, external_url: &str) -> FlatVerdict {
    let id = percent_encoding::utf8_percent_encode(
        &standing.experiment,
        percent_encoding::NON_ALPHANUMERIC,
    );
    let id = id.to_string().replace("%2D", "-");
    let url = match (standing.word, standing.evaluation) {
        (Word::Unknown, _) => format!("{external_url}/"),
        (_, 0) => format!("{external_url}/x/{id}"),
        (_, number) => format!("{external_url}/x/{id}/e/{number}"),
    };
    FlatVerdict {
        experiment: standing.experiment.clone(),
        verdict: standing.word,
        cause: standing.cause.clone(),
        is_final: standing.is_final,
        reason: standing.reason.clone(),
        life: standing.life.clone(),
        evaluated_at: standing.said_at.map(|at| at.to_string()).unwrap_or_default(),
        age_secs: standing.age_secs,
        evaluation: standing.evaluation,
        sequence: standing.sequence,
        url,
    }
}

/// Reads `55s`, `10m` or plain seconds; at most 10,000 days.
pub fn span_secs(text: &str) -> Option<i64> {
    let text = text.trim();
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let span = if is_plain { Span::parse(&format!("{text}s")) } else { Span::parse(text) };
    span.map(|span| span.ms / 1_000)
}
