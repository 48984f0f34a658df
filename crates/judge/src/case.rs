//! Cases: a story with its data, run through the real line, compared with a written timeline.
//!
//! A case is a folder with `case.yaml` (the story, where its expected answer comes from, the
//! series), an experiment file and `expected.txt`. This module is pure: texts in, timeline out.
//! The repository's own cases and `verdictd test` use the same functions, and the loop is the
//! daemon's: guardrails and looks at their slots, `evaluate`, the life, the notices.

mod detail;
mod drive;
mod file;
mod notation;
mod restate;
#[cfg(test)]
mod tests;
mod timeline;
mod watched;
mod world;

use std::collections::BTreeMap;

use crate::decide::Alarm;
use crate::record::EvaluationRecord;

/// The case file of a folder.
pub const CASE_FILE: &str = "case.yaml";
/// The timeline that a case must come to.
pub const EXPECTED_FILE: &str = "expected.txt";

/// What a case came to.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// Its story in one sentence.
    pub story: String,
    /// The timeline that was played.
    pub got: String,
    /// The timeline that was written; `None` without an `expected.txt`.
    pub expected: Option<String>,
    /// Every look and every stop of a guardrail, frozen as the daemon would store it.
    pub records: Vec<EvaluationRecord>,
    /// Alarms that the watch raised.
    pub watched: Vec<Alarm>,
}

impl CaseResult {
    /// Whether the story came out as written.
    pub fn passed(&self) -> bool {
        self.expected.as_deref().is_some_and(|expected| expected.trim_end() == self.got.trim_end())
    }

    /// Line by line what was expected and is missing (`-`) and what came instead (`+`).
    pub fn difference(&self) -> String {
        let expected = self.expected.as_deref().unwrap_or_default();
        timeline::difference(expected, &self.got)
    }
}

/// Plays the case whose files are given by name. An error says what is wrong with the files.
pub fn run(texts: &BTreeMap<String, String>) -> Result<CaseResult, String> {
    let case = file::read(texts)?;
    let played = drive::play(&case)?;
    let expected = texts.get(EXPECTED_FILE).cloned();
    Ok(CaseResult {
        got: played.timeline,
        expected,
        records: played.records,
        watched: played.watched,
        story: case.story,
    })
}
