//! Logs: a sentence that can be read alone, and fields that can be searched.
//!
//! One event is one line, whatever a name, a header or an answer from outside has in it: line
//! breaks and control characters are written as escapes, so that nobody else writes our log.

use std::borrow::Cow;
use std::io::Write;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging to standard error; a second call in one process changes nothing.
pub fn init(level: LevelFilter, is_json: bool) {
    // Libraries speak only when something is wrong.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("verdictd", level)
        .with_target("judge", level);
    let registry = tracing_subscriber::registry();
    let started = if is_json {
        let layer = fmt::layer().json().with_writer(std::io::stderr).with_filter(targets);
        registry.with(layer).try_init()
    } else {
        let writer = || OneLine(std::io::stderr());
        let layer = fmt::layer().with_ansi(false).with_writer(writer).with_filter(targets);
        registry.with(layer).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Writes each event, which comes in one piece, as one line.
#[derive(Debug)]
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The text with its inner breaks and control characters escaped; only its end is a break.
fn one_line(event: &str) -> Cow<'_, str> {
    let text = event.strip_suffix('\n').unwrap_or(event);
    // What separates lines elsewhere, and what turns a line around where it is read.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns(c);
    if !text.contains(is_odd) {
        return Cow::Borrowed(event);
    }
    let mut line = String::with_capacity(event.len() + 16);
    for c in text.chars() {
        if is_odd(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push_str(&event[text.len()..]);
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        for (event, line) in [
            ("INFO asked canary=shop.test\n", "INFO asked canary=shop.test\n"),
            ("a\nERROR b\r\x1b[31m\n", "a\\nERROR b\\r\\u{1b}[31m\n"),
            ("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c"),
            ("naïve → 漢字\n", "naïve → 漢字\n"),
            ("\n", "\n"),
            ("", ""),
        ] {
            assert_eq!(one_line(event), line, "{event:?}");
            let mut written = OneLine(Vec::new());
            assert_eq!(written.write(event.as_bytes()).unwrap(), event.len());
            assert_eq!(written.0, line.as_bytes());
        }
    }
}
