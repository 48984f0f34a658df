//! Writing for people and for pipes: quiet on a closed pipe, no control bytes but our own colours,
//! errors that name the next step.
//!
//! Everything the command line says goes through [`say`], [`say_json`] and [`complain`]: what came
//! from outside cannot act on the terminal that shows it.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::plain;

/// Exit code of a usage error or a tool failure.
pub(super) const USAGE: u8 = 2;
/// Exit code when a store or daemon cannot be reached.
pub(super) const UNREACHABLE: u8 = 69;

/// What begins a sequence that a terminal obeys.
const ESCAPE: char = '\u{1b}';
/// The colours in use: good, doubtful, bad, quiet.
const COLOURS: [&str; 4] = ["32", "33", "31", "2"];
const COLOUR_ENDS: &str = "\u{1b}[0m";

/// Longest line of prose, in characters.
const COLUMNS: usize = 80;

/// Why a command ended without its result.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The call was wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: USAGE }
    }

    /// What was asked for is not there.
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: UNREACHABLE }
    }

    /// Prints the message and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        complain(&format!("verdictd: {}", self.message));
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::usage(format!("{error:#}"))
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Self::unreachable(format!("store: {error}"))
    }
}

/// Writes data to standard output; a closed pipe ends the process quietly.
pub(super) fn say(text: &str) {
    let text = printable(text);
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        quiet_end();
    }
}

/// The text without what a terminal obeys, but for a word in a colour of [`Style`].
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ESCAPE) {
        let (before, from) = rest.split_at(at);
        out.push_str(&plain::lines(before));
        let own = coloured_word(from).unwrap_or_default();
        out.push_str(own);
        // What is no word of ours loses its escape only: the rest is text.
        rest = from.get(own.len().max(ESCAPE.len_utf8())..).unwrap_or_default();
    }
    out.push_str(&plain::lines(rest));
    out
}

/// A word in colour at the beginning of the text, as [`Style`] writes it: it begins and ends its
/// colour, and there is nothing in it but small letters.
fn coloured_word(text: &str) -> Option<&str> {
    let codes = COLOURS.iter().map(|code| format!("{ESCAPE}[{code}m"));
    let word = codes.into_iter().find_map(|code| text.strip_prefix(code.as_str()))?;
    let length = word.find(ESCAPE)?;
    let is_plain = |c: char| c.is_ascii_lowercase() || matches!(c, ' ' | ':' | '_');
    let is_ours =
        word.get(..length)?.chars().all(is_plain) && word.get(length..)?.starts_with(COLOUR_ENDS);
    let end = text.len() - word.len() + length + COLOUR_ENDS.len();
    text.get(..end).filter(|_| is_ours)
}

/// Writes one line to standard error; nobody to read it is no fault.
pub(super) fn complain(text: &str) {
    let text = printable(text);
    let mut out = std::io::stderr().lock();
    if writeln!(out, "{text}").is_err() {
        quiet_end();
    }
}

/// Where a long run stands: one line of standard error, on a terminal only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    live: bool,
}

impl Progress {
    /// For standard error.
    pub(super) fn of_stderr() -> Self {
        Self { live: std::io::stderr().is_terminal() }
    }

    /// Replaces what is shown.
    pub(super) fn show(self, text: &str) {
        if self.live {
            let mut out = std::io::stderr().lock();
            let text = plain::line(text);
            if write!(out, "\r\u{1b}[K{text}").and_then(|()| out.flush()).is_err() {
                quiet_end();
            }
        }
    }

    /// Leaves an empty line.
    pub(super) fn clear(self) {
        self.show("");
    }
}

/// Prints a JSON document on one line; its texts are the stored ones, escaped.
pub(super) fn say_json(value: &serde_json::Value) {
    say(&format!("{}\n", plain::json(&value.to_string())));
}

#[expect(clippy::exit, reason = "the reader is gone: nothing is left to be done or said")]
fn quiet_end() -> ! {
    std::process::exit(0)
}

/// Colours of states, on terminals only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    /// For standard output: a terminal, and neither NO_COLOR nor TERM=dumb.
    pub(super) fn of_stdout() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = std::io::stdout().is_terminal();
        let wanted = (is_terminal && !is_dumb) || is_set("CLICOLOR_FORCE");
        Self { colour: wanted && !is_set("NO_COLOR") }
    }

    /// Without colour, whatever the terminal.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colour: false }
    }

    /// The word in the colour of its meaning.
    pub(super) fn verdict(self, word: &str) -> String {
        let [good, doubtful, bad, quiet] = COLOURS;
        let code = match word.split([':', ' ']).next().unwrap_or_default() {
            "continue" | "ok" | "yes" => good,
            "change" | "unproven" | "burning" | "unknown" => doubtful,
            "stop" | "tripped" | "no" => bad,
            _ => quiet,
        };
        if self.colour { format!("{ESCAPE}[{code}m{word}{COLOUR_ENDS}") } else { word.to_owned() }
    }
}

/// Text broken at spaces so that no line is longer than 80 columns; `first` starts the first line,
/// `rest` the others. A word that is longer than a line stays whole.
pub(super) fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut has_word = false;
    // A number is never parted from its per cent sign.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        if has_word && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            rest.clone_into(&mut line);
            has_word = false;
        }
        if has_word {
            line.push(' ');
        }
        line.push_str(word);
        has_word = true;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out.replace('\u{a0}', " ")
}

/// Rows of equal columns, aligned by the widest cell, two spaces between; the last is not padded.
/// A cell is one line, whatever is written in it.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let one_line = |cell: &String| cell.split(['\n', '\r', '\t']).collect::<Vec<_>>().join(" ");
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(one_line).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let last = cells.len().saturating_sub(1);
        let mut line = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            line.push_str(cell);
            if index < last {
                let pad = width.saturating_sub(cell.chars().count()) + 2;
                line.push_str(&" ".repeat(pad));
            }
        }
        line.push('\n');
        line
    };
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(line(&head)).chain(rows.iter().map(|row| line(row))).collect()
}
