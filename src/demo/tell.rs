//! The story on the terminal, told from the messages that really arrived.
//!
//! Every line comes from a delivered message of the ticket system or from the stage; nothing is
//! told that was not delivered. At most 80 columns; colour only on a terminal without `NO_COLOR`.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write};

use jiff::tz::TimeZone;
use judge::time::Timestamp;
use serde_json::Value;

use super::data::calendar::{date_of, day_of};
use super::stage::Happening;
use super::{Reached, StoryOutcome};

/// Widest line.
const WIDTH: usize = 80;
/// Where the text of an entry begins: "Jun 09 16:00  TRIPPED   ".
const INDENT: usize = 24;

/// How a line is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Care,
    Quiet,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Care => "33",
            Self::Quiet => "36",
        }
    }
}

/// Writes the story.
pub struct Teller {
    out: Box<dyn Write + Send>,
    colour: bool,
    live: bool,
    week: Option<i64>,
    told: BTreeSet<String>,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("week", &self.week).finish_non_exhaustive()
    }
}

impl Teller {
    /// To the terminal, or to nobody when `quiet`.
    pub fn to_stdout(quiet: bool) -> Self {
        if quiet {
            return Self::to(Box::new(std::io::sink()), false, false);
        }
        let out = std::io::stdout();
        let is_terminal = out.is_terminal();
        let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::to(Box::new(out), is_terminal && wants_colour, is_terminal)
    }

    /// To any writer.
    pub fn to(out: Box<dyn Write + Send>, colour: bool, live: bool) -> Self {
        Self { out, colour, live, week: None, told: BTreeSet::new() }
    }

    /// What is about to be played.
    pub fn opening(&mut self, seed: u64, page: &str) -> std::io::Result<()> {
        self.plain(&format!("verdictd demo, seed {seed}: five experiments, 13 weeks, one clock"))?;
        self.plain(&format!("page: {page}"))?;
        self.plain("guardrails are looked at every hour of the story")
    }

    /// Where the clock stands; overwritten by the next line.
    pub fn progress(&mut self, at: Timestamp) -> std::io::Result<()> {
        if self.live {
            write!(self.out, "\r\x1b[K  {}", stamp(at))?;
        }
        self.out.flush()
    }

    /// What happened around the daemon.
    pub fn happening(&mut self, happening: &Happening) -> std::io::Result<()> {
        self.heading(happening.at)?;
        self.entry(happening.at, "stage", Tone::Quiet, &happening.text)
    }

    /// A delivered message of the ticket system (generic JSON). A notice is told once.
    pub fn message(&mut self, body: &str) -> std::io::Result<()> {
        let Ok(message) = serde_json::from_str::<Value>(body) else {
            return Ok(());
        };
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let kind = text("/type").unwrap_or_default();
        let Some((word, tone)) = word_of(kind) else {
            return Ok(());
        };
        let Some(at) = text("/timestamp").and_then(|at| at.parse::<Timestamp>().ok()) else {
            return Ok(());
        };
        if let Some(notice) = text("/data/notice")
            && !self.told.insert(notice.to_owned())
        {
            return Ok(());
        }
        self.heading(at)?;
        self.entry(at, word, tone, text("/data/headline").unwrap_or(kind))?;
        let because = text("/data/reason").filter(|reason| !reason.is_empty());
        because.map_or(Ok(()), |reason| self.wrapped(reason))
    }

    /// The table of the five stories and where the page is.
    pub fn summary(&mut self, stories: &[StoryOutcome], seconds: f64) -> std::io::Result<()> {
        self.clear()?;
        self.plain("")?;
        self.plain(&format!("{:<21} {:<49} {}", "story", "verdicts reached", "expected"))?;
        for story in stories {
            let is_right = story.is_as_expected();
            let reached = joined(&story.reached);
            let mark = if is_right { "yes" } else { "NO" };
            let painted = self.painted(mark, if is_right { Tone::Good } else { Tone::Bad });
            let mut lines = wrap(&reached, 49).into_iter();
            let first = lines.next().unwrap_or_default();
            let line = format!("{:<21} {first:<49} {painted}", story.experiment);
            self.plain(&line)?;
            for line in lines {
                self.plain(&format!("{:<21} {line}", ""))?;
            }
            if !is_right {
                self.plain(&format!("{:<21} wanted: {}", "", story.expected.join(", ")))?;
            }
        }
        self.plain(&format!("\nplayed in {seconds:.0} s"))
    }

    /// The last line.
    pub fn open(&mut self, page: &str) -> std::io::Result<()> {
        self.plain(&format!("the page is open at {page}; ctrl-c ends"))?;
        self.out.flush()
    }

    fn heading(&mut self, at: Timestamp) -> std::io::Result<()> {
        self.clear()?;
        let week = day_of(at).div_euclid(7);
        if self.week.replace(week) == Some(week) {
            return Ok(());
        }
        let title = format!("Week {}, from {}", week + 1, date_of(week * 7));
        let title = if self.colour { format!("\x1b[1m{title}\x1b[0m") } else { title };
        self.plain("")?;
        self.plain(&title)
    }

    fn entry(&mut self, at: Timestamp, word: &str, tone: Tone, text: &str) -> std::io::Result<()> {
        let mut lines = wrap(text, WIDTH - INDENT).into_iter();
        let word = self.painted(&format!("{word:<9}"), tone);
        let first = lines.next().unwrap_or_default();
        self.plain(&format!("{}  {word} {first}", stamp(at)))?;
        for line in lines {
            self.plain(&format!("{:INDENT$}{line}", ""))?;
        }
        Ok(())
    }

    fn wrapped(&mut self, text: &str) -> std::io::Result<()> {
        for line in wrap(text, WIDTH - INDENT) {
            self.plain(&format!("{:INDENT$}{line}", ""))?;
        }
        Ok(())
    }

    fn clear(&mut self) -> std::io::Result<()> {
        if self.live { write!(self.out, "\r\x1b[K") } else { Ok(()) }
    }

    fn plain(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn painted(&self, word: &str, tone: Tone) -> String {
        if self.colour { format!("\x1b[{}m{word}\x1b[0m", tone.code()) } else { word.to_owned() }
    }
}

/// What is told, and how; other messages are left to the page.
fn word_of(kind: &str) -> Option<(&'static str, Tone)> {
    Some(match kind {
        "experiment.verdict.continue" => ("CONTINUE", Tone::Good),
        "experiment.verdict.change" => ("CHANGE", Tone::Care),
        "experiment.verdict.stop" => ("STOP", Tone::Bad),
        "experiment.verdict.hold" => ("HOLD", Tone::Care),
        "experiment.verdict.revised" => ("REVISED", Tone::Care),
        "guardrail.tripped" => ("TRIPPED", Tone::Bad),
        "guardrail.burning" => ("BURNING", Tone::Care),
        "guardrail.recovered" => ("clear", Tone::Good),
        "proxy.without_outcome" => ("ALARM", Tone::Care),
        "split.mismatch" => ("ALARM", Tone::Bad),
        "source.down" => ("DOWN", Tone::Bad),
        "source.recovered" => ("clear", Tone::Good),
        "data.stale" => ("MISSING", Tone::Care),
        "data.recovered" => ("clear", Tone::Good),
        "action.confirmed" => ("ROLLBACK", Tone::Good),
        "action.failed" => ("ROLLBACK", Tone::Bad),
        "file.broken" => ("FILE", Tone::Bad),
        "engine.fault" => ("FAULT", Tone::Bad),
        _ => return None,
    })
}

fn joined(reached: &[Reached]) -> String {
    let words: Vec<String> = reached.iter().map(Reached::words).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn stamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%b %d %H:%M").to_string()
}

/// Words in lines of at most `width` characters; a longer word is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().filter(|letter| !letter.is_control()).collect();
        while !word.is_empty() {
            let piece: String = word.drain(..word.len().min(width)).collect();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(&piece);
                }
                _ => lines.push(piece),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn told(tell: impl Fn(&mut Teller)) -> String {
        let page = Page::default();
        tell(&mut Teller::to(Box::new(page.clone()), false, false));
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn message(kind: &str, notice: &str, reason: &str) -> String {
        let data = serde_json::json!({"notice": notice, "headline": "errors of the cohort",
            "reason": reason});
        let at = "2026-06-09T16:00:00Z";
        serde_json::json!({"type": kind, "timestamp": at, "data": data}).to_string()
    }

    #[test]
    fn a_notice_is_told_once_under_its_week_and_fits_the_page() {
        let long = "because ".repeat(60);
        let text = told(|teller| {
            teller.message(&message("guardrail.tripped", "a", &long)).unwrap();
            teller.message(&message("guardrail.tripped", "a", &long)).unwrap();
            teller.message(&message("action.confirmed", "b", "confirmed in 0.1 s")).unwrap();
            teller.message(&message("test", "c", "never told")).unwrap();
            teller.message("no json").unwrap();
        });
        assert_eq!(text.matches("TRIPPED").count(), 1, "{text}");
        assert_eq!(text.matches("Week 2, from 2026-06-08").count(), 1, "{text}");
        assert!(text.contains("Jun 09 16:00  ROLLBACK  errors of the cohort"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(!text.contains('\x1b') && !text.contains("never told"), "{text}");
    }

    #[test]
    fn the_summary_shows_what_was_reached_and_what_was_not() {
        let reached = |verdict: &str, cause: &str| Reached {
            verdict: verdict.to_owned(),
            cause: cause.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        let story = |experiment, expected, reached| StoryOutcome { experiment, expected, reached };
        let stories = [
            story("platform-quote-cache", &["stop: tripped"][..], vec![reached("stop", "tripped")]),
            story("sales-discovery", &["change: extend"][..], vec![]),
        ];
        let text = told(|teller| teller.summary(&stories, 90.0).unwrap());
        assert!(
            text.lines().any(|line| line.contains("tripped") && line.ends_with("yes")),
            "{text}"
        );
        assert!(text.contains("wanted: change: extend"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(wrap("ab cdefghij", 4), ["ab", "cdef", "ghij"]);
    }
}
