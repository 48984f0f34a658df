//! What a gate says: one experiment's stored state and an instant to one word with its reason.
//!
//! The API's flat verdict, the gates of Flagger and others and `verdictd gate` all go through
//! `standing`, so that a rollout hears the same everywhere. Nothing is estimated here: the
//! newest verdict is taken as it was recorded, and four things can keep a gate from going by it:
//! the life of the experiment, the word of a person, a guardrail that trips or cannot see now,
//! and age. A gate that does not know never says `continue`, and never `stop`.

mod answer;
mod standing;
#[cfg(test)]
mod tests;

pub use answer::{Allowed, Answer, Door, FlatVerdict, answer, flat, span_secs};
pub use standing::{Standing, Word, aged, no_such, standing, unreadable};
