//! Diagnostics of experiment files: stable code, place, message, cause and fix.
//!
//! Everything `check` prints and `/check` shows comes from here. Positions are 1-based and count
//! characters, so that carets fit under any text. Rendering is plain text without colour.

use serde::Serialize;

/// Longest piece of a source line that is shown under a diagnostic, in characters.
const SHOWN_CHARS: usize = 96;
/// Most diagnostics of one file that are shown; a file made of mistakes has tens of thousands.
const SHOWN_DIAGNOSTICS: usize = 60;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot run as it is: broken (`E`) or a draft (`D`).
    Error,
    /// It runs; somebody should know.
    Warning,
}

/// A place in the file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SourcePos {
    /// Line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// First column after, on the same line.
    pub end_column: u32,
}

impl SourcePos {
    /// The first character of the file: where a finding without a better place goes.
    pub const FIRST: Self = Self { line: 1, column: 1, end_column: 2 };
}

/// One thing that is wrong or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code: `E....` broken, `D....` draft, `W....` warning; see [`codes`].
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub pos: SourcePos,
    /// What is wrong, one line.
    pub message: String,
    /// Why it is wrong, if the message does not say so.
    pub cause: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A new diagnostic; the severity follows from the code's letter.
    pub fn new(code: &'static str, pos: SourcePos, message: impl Into<String>) -> Self {
        let severity = severity_of(code);
        Self { code, severity, pos, message: message.into(), cause: None, hint: None }
    }

    /// Adds why.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the fix.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `W` codes are warnings, all others errors.
pub(super) fn severity_of(code: &str) -> Severity {
    if code.starts_with('W') { Severity::Warning } else { Severity::Error }
}

/// Every code with its meaning in one line, in order.
const CODES: &[(&str, &str)] = &[
    ("D0101", "no aim"),
    ("D0102", "an aim without a behaviour sentence"),
    ("D0103", "an aim without `from`, `to` or `by`"),
    ("D0104", "no mechanism, or one without a reason"),
    ("D0105", "no proxy signal"),
    ("D0106", "no outcome signal"),
    ("D0107", "nothing to compare a signal with"),
    ("D0108", "a counted signal without `matures_after`"),
    ("D0109", "no checkpoint date or rule"),
    ("D0110", "no guardrail"),
    ("D0111", "no rollback plan"),
    ("D0112", "no owner"),
    ("D0113", "nobody may say stop"),
    ("D0114", "no review rhythm"),
    ("D0115", "nothing said about what happens if it works"),
    ("D0116", "`reversible` not stated, or `no` without an earlier test"),
    ("D0117", "first seen after its `by`"),
    ("D0118", "no effect size to tune a test with"),
    ("D0119", "a method that does not fit its signal"),
    ("D0120", "weekly looks without a plan of units"),
    ("E0101", "the file is larger or deeper than the limits"),
    ("E0102", "not readable as YAML"),
    ("E0103", "anchors, aliases and tags are not used here"),
    ("E0104", "a key given twice"),
    ("E0105", "more than one document in the file"),
    ("E0106", "the file holds no experiment"),
    ("E0201", "an unknown key"),
    ("E0202", "a missing key"),
    ("E0203", "another kind of value is needed"),
    ("E0204", "not one of the allowed words"),
    ("E0205", "exactly one of several keys is needed"),
    ("E0206", "keys that exclude each other"),
    ("E0301", "not a number"),
    ("E0302", "a unit is missing or wrong"),
    ("E0303", "not a duration"),
    ("E0304", "not a date"),
    ("E0305", "not an identifier"),
    ("E0306", "a number out of bounds"),
    ("E0307", "an unknown time zone"),
    ("E0308", "neither yes nor no"),
    ("E0309", "text that is empty or too long"),
    ("E0310", "too many entries"),
    ("E0311", "a blank of a template that was not filled in"),
    ("E0312", "a burn-rate alert that can never fire"),
    ("E0313", "a burn-rate guardrail that should stop and can never trip"),
    ("E0314", "burn-rate alerts that would stop a service within its objective"),
    ("E0401", "an unknown signal"),
    ("E0402", "an unknown source"),
    ("E0403", "an unknown receiver"),
    ("E0404", "an unknown action"),
    ("E0405", "the signal and its aim disagree about `from`"),
    ("E0406", "a split that does not add up or misses an arm"),
    ("E0407", "more than one treatment"),
    ("E0408", "dates in the wrong order"),
    ("E0409", "a signal has two aims"),
    ("E0410", "two files claim one experiment id"),
    ("E0411", "eligible units without a coverage to compare theirs with"),
    ("E0501", "a query without a column that it needs"),
    ("E0502", "a query column that does not belong there"),
    ("E0503", "a query file that is not there"),
    ("E0504", "an unknown placeholder"),
    ("E0505", "a placeholder where none can be bound"),
    ("E0506", "not exactly one reading SQL statement"),
    ("E0507", "a query that does not fit its source"),
    ("E0508", "a limit on extrapolated counts"),
    ("E0601", "the rule cannot be read"),
    ("E0602", "the rule names an unknown signal"),
    ("E0603", "a condition with neither operator nor sign"),
    ("E0604", "a number without its unit"),
    ("E0605", "a unit that is not the signal's own"),
    ("E0606", "the rule is too long or too deep"),
    ("E0607", "an operator that rules do not have"),
    ("E0701", "not a document of OpenSLO v1"),
    ("E0702", "an OpenSLO reference that leads nowhere"),
    ("E0703", "an OpenSLO objective or alert that cannot be kept"),
    ("E0704", "a part of OpenSLO that is not read here"),
    ("E0705", "an OpenSLO file with faults"),
    ("W0101", "names were not checked against a configuration"),
    ("W0102", "the mechanism reads like a task"),
    ("W0103", "the rule does not name an outcome"),
    ("W0104", "a threshold that cannot be reached"),
    ("W0105", "too few units for the dates"),
    ("W0106", "`by` is too near for the cycles"),
    ("W0107", "uncontrolled; baseline treated as exact"),
    ("W0108", "a value in the rule that could be counts"),
    ("W0109", "a condition against the direction that is wanted"),
    ("W0110", "a guardrail stops but no action turns it off"),
    ("W0111", "nobody is told"),
    ("W0112", "the checkpoint comes before a unit has matured"),
    ("W0113", "the checkpoint comes before `min_duration`"),
    ("W0114", "a guardrail signal that no guardrail uses"),
    ("W0115", "a query that ignores its window"),
    ("W0116", "the mechanism moves a signal without an aim"),
    ("W0118", "a look plan that does not fit the dates"),
    ("W0119", "a proxy that did not predict its outcome in finished tests"),
    ("W0120", "a title that no table, chat or subject line has room for"),
    ("W0121", "a `stop_when` that holds from the start or stops the aim"),
    ("W0122", "a threshold beyond the aim"),
    ("W0123", "a level that holds already at `from`"),
    ("W0124", "a rule whose answer does not depend on the data"),
    ("W0125", "a `min_effect` above the threshold of the rule"),
    ("W0126", "a margin that guards nothing"),
    ("W0127", "a count of bad events over more than its budget's period"),
    ("W0201", "a burn-rate guardrail of which no alert that pages can be judged"),
    ("W0202", "a budget that is too short for some alerts of its table"),
    ("W0301", "a part of an OpenSLO file is read in another way"),
];

/// Every code with its meaning in one line, in order.
pub fn codes() -> &'static [(&'static str, &'static str)] {
    CODES
}

/// The diagnostics as plain text: code, place, source line, caret, cause, hint and a count line.
///
/// `text` is the file's text; `file_name` is printed as given. Nothing found renders as `""`. At
/// most 60 are shown, the count line counts all.
pub fn render(file_name: &str, text: &str, found: &[Diagnostic]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for diagnostic in found.iter().take(SHOWN_DIAGNOSTICS) {
        render_one(&mut out, file_name, &lines, diagnostic);
        out.push('\n');
    }
    if let Some(more @ 1..) = found.len().checked_sub(SHOWN_DIAGNOSTICS) {
        out.extend(["and ", &more.to_string(), " more like these\n\n"]);
    }
    if !found.is_empty() {
        out.push_str(&count_line(found));
        out.push('\n');
    }
    out
}

fn render_one(out: &mut String, file_name: &str, lines: &[&str], found: &Diagnostic) {
    let word = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let SourcePos { line, column, end_column } = found.pos;
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let index = (line as usize).saturating_sub(1);
    let (shown, offset) = excerpt(lines.get(index).copied().unwrap_or(""), column as usize);
    let room = shown.chars().count().saturating_sub(offset).max(1);
    let carets = (end_column.saturating_sub(column) as usize).clamp(1, room);
    let mut put = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    put(format!("{word}[{}]: {}", found.code, found.message));
    put(format!("{gutter}--> {file_name}:{line}:{column}"));
    // A file that is no map at all may be anything, a key or a list of passwords: that it is none
    // is said without its text.
    let is_foreign = found.code == "E0203" && found.message.starts_with("`the file` ");
    if !is_foreign {
        put(format!("{gutter} |"));
        put(format!("{number} | {shown}"));
        put(format!("{gutter} | {}{}", " ".repeat(offset), "^".repeat(carets)));
    }
    if let Some(cause) = &found.cause {
        put(format!("{gutter} = cause: {cause}"));
    }
    if let Some(hint) = &found.hint {
        put(format!("{gutter} = hint: {hint}"));
    }
}

/// The piece of a line around a column, and how many characters of it come before the column.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before = column.saturating_sub(1).min(chars.len());
    if chars.len() <= SHOWN_CHARS {
        return (chars.iter().collect(), before);
    }
    let start = before.saturating_sub(SHOWN_CHARS / 2);
    let end = (start + SHOWN_CHARS).min(chars.len());
    let mut shown = String::new();
    let mut offset = before - start;
    if start > 0 {
        shown.push_str("...");
        offset += 3;
    }
    shown.extend(&chars[start..end]);
    if end < chars.len() {
        shown.push_str("...");
    }
    (shown, offset)
}

fn count_line(found: &[Diagnostic]) -> String {
    let errors = found.iter().filter(|one| one.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    let count = |n: usize, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{n} {word}s")),
    };
    let parts: Vec<String> =
        [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(codes().windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn carets_stand_under_the_characters() {
        let pos = SourcePos { line: 2, column: 4, end_column: 7 };
        let found = [Diagnostic::new("E0201", pos, "no").hint("yes")];
        let shown = render("a.yaml", "x\n  äöü: 1\n", &found);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], " --> a.yaml:2:4");
        assert_eq!(lines[3], "2 |   äöü: 1");
        assert_eq!(lines[4], "  |    ^^^");
        assert_eq!(lines[5], "  = hint: yes");
        assert_eq!(lines.last(), Some(&"1 error"));
    }

    #[test]
    fn a_flood_of_diagnostics_is_shown_in_part_and_counted_whole() {
        let pos = SourcePos { line: 1, column: 1, end_column: 2 };
        let found = vec![Diagnostic::new("E0201", pos, "no"); 1_000];
        let shown = render("a.yaml", "x\n", &found);
        assert_eq!(shown.matches("error[E0201]").count(), SHOWN_DIAGNOSTICS);
        assert!(shown.contains("and 940 more like these"), "{shown}");
        assert!(shown.ends_with("1000 errors\n"), "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}BAD{}", "a".repeat(300), "b".repeat(300));
        let pos = SourcePos { line: 1, column: 301, end_column: 304 };
        let shown = render("a.yaml", &text, &[Diagnostic::new("W0101", pos, "x")]);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines[4].find('^').unwrap();
        assert_eq!(&lines[3][at..at + 3], "BAD");
        assert!(lines[3].len() < 120);
    }
}
