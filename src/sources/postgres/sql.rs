//! SQL texts: placeholders as typed literals, exactly one statement.
//!
//! The simple query protocol cannot bind, so this one encoder writes literals. Inside strings,
//! quoted names and comments nothing is replaced and nothing counts as the end of a statement.

use jiff::tz::TimeZone;
use judge::contract::Grid;
use judge::plan::Need;
use judge::time::{Timestamp, date_of};

use crate::sources::placeholder::{Placeholder, render};
use crate::sources::{FetchClass, FetchError};

/// The statement of a need, ready to send.
pub(super) fn statement(need: &Need, grid: &Grid) -> Result<String, FetchError> {
    let wrong = |message: &str| FetchError::new(FetchClass::UserError, message);
    let text = need.query.sql.as_deref().ok_or_else(|| {
        wrong("a PostgreSQL source needs SQL: `file:` of an .sql beside the experiment, or `sql:`")
    })?;
    if !need.query.only.is_empty() {
        return Err(wrong("`only` is for CSV: filter in the SQL"));
    }
    let text = single(text)?;
    let (window, zone) = (grid.window(), grid.zone());
    render(text, opaque, |hole| {
        Some(match hole {
            Placeholder::Start => instant(window.start),
            Placeholder::End => instant(window.end),
            Placeholder::StartDate => date(window.start, zone),
            Placeholder::EndDate => date(window.end, zone),
            Placeholder::Experiments => texts(&[need.experiment.as_str()]),
            Placeholder::Grain => format!("interval '{} milliseconds'", need.grain.ms),
        })
    })
}

fn instant(at: Timestamp) -> String {
    format!("timestamptz '{at}'")
}

fn date(at: Timestamp, zone: &TimeZone) -> String {
    format!("date '{}'", date_of(at, zone))
}

/// An array of texts: `experiment = any({{experiments}})`.
fn texts(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("array[{}]::text[]", quoted.join(", "))
}

/// A text literal that means the same whatever `standard_conforming_strings` is.
fn text(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// The only statement of a text, without its final semicolon.
fn single(text: &str) -> Result<&str, FetchError> {
    let mut rest = text;
    let mut end = None;
    let mut has_code = false;
    while let Some(next) = rest.chars().next() {
        let at = text.len() - rest.len();
        let (length, is_code) = match opaque(rest) {
            Some((length, kind)) => (length, kind != COMMENT),
            None => (next.len_utf8(), next != ';' && !next.is_whitespace()),
        };
        if is_code && end.is_some() {
            let message = "more than one SQL statement: write exactly one";
            return Err(FetchError::new(FetchClass::UserError, message));
        }
        has_code |= is_code;
        if next == ';' {
            end.get_or_insert(at);
        }
        rest = &rest[length..];
    }
    if !has_code {
        return Err(FetchError::new(FetchClass::UserError, "the SQL is empty"));
    }
    Ok(&text[..end.unwrap_or(text.len())])
}

const COMMENT: &str = "a comment";

/// Words, strings, quoted names and comments of PostgreSQL's SQL.
///
/// Words are taken whole, so that `date'2026-08-01'` does not look like an `e'...'` string and
/// `a$b$` not like a dollar quote.
fn opaque(text: &str) -> Option<(usize, &'static str)> {
    let first = text.chars().next()?;
    match first {
        '-' if text.starts_with("--") => {
            Some((text.find(['\n', '\r']).unwrap_or(text.len()), COMMENT))
        }
        '/' if text.starts_with("/*") => Some((block_comment(text), COMMENT)),
        '\'' => Some((quoted(text, '\'', 1, false), "a string")),
        '"' => Some((quoted(text, '"', 1, false), "a quoted name")),
        '$' => dollar(text).map(|length| (length, "a string")),
        _ if is_word(first) => {
            let length = text.find(|letter| !is_word(letter)).unwrap_or(text.len());
            if text[..length].eq_ignore_ascii_case("e") && text[length..].starts_with('\'') {
                return Some((quoted(text, '\'', 2, true), "a string"));
            }
            Some((length, "a word"))
        }
        _ => None,
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$') || !letter.is_ascii()
}

/// Length of a quoted stretch whose inside starts at `from`; a doubled quote stays inside.
fn quoted(text: &str, quote: char, from: usize, escapes: bool) -> usize {
    let mut letters = text[from..].char_indices().peekable();
    while let Some((index, letter)) = letters.next() {
        if escapes && letter == '\\' {
            letters.next();
        } else if letter == quote {
            if letters.peek().is_some_and(|(_, next)| *next == quote) {
                letters.next();
            } else {
                return from + index + quote.len_utf8();
            }
        }
    }
    text.len()
}

/// Length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut index = 0;
    while index < text.len() {
        let rest = &text.as_bytes()[index..];
        if rest.starts_with(b"/*") {
            depth += 1;
            index += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return index;
            }
        } else {
            index += 1;
        }
    }
    text.len()
}

/// Length of a dollar-quoted string: `$$...$$` or `$tag$...$tag$`.
fn dollar(text: &str) -> Option<usize> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    let inner = &tag[1..end - 1];
    let named = inner.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        && !inner.starts_with(|letter: char| letter.is_ascii_digit());
    named.then(|| text[end..].find(tag).map_or(text.len(), |close| end + close + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::test_support::request;

    fn write(sql: &str) -> Result<String, FetchError> {
        let mut need = request().need;
        need.query.sql = Some(sql.to_owned());
        need.timezone = "America/New_York".to_owned();
        statement(&need, &Grid::of(&need).unwrap())
    }

    #[test]
    fn placeholders_become_typed_literals() {
        let sql = "select d from t where at >= {{start}} and at < {{end}} and d >= {{start_date}} \
                   and d < {{end_date}} and e = any({{experiments}}) -- note\n;\n";
        assert_eq!(
            write(sql).unwrap(),
            "select d from t where at >= timestamptz '2026-08-01T00:00:00Z' and at < timestamptz \
             '2026-08-08T00:00:00Z' and d >= date '2026-07-31' and d < date '2026-08-07' and e = \
             any(array['exp']::text[]) -- note\n"
        );
    }

    #[test]
    fn texts_are_escaped_in_every_setting() {
        assert_eq!(text("plain"), "'plain'");
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("a\\'; drop table t; --"), "E'a\\\\''; drop table t; --'");
        assert_eq!(texts(&["a", "b'c"]), "array['a', 'b''c']::text[]");
    }

    #[test]
    fn placeholders_that_would_be_pasted_are_refused() {
        for sql in [
            "select '{{start}}'",
            "select \"{{start}}\"",
            "select 1 -- {{start}}",
            "select 1 /* {{start}} */",
            "select $$ {{start}} $$",
            "select E'a\\'{{start}}'",
            "select t_{{start}}",
            "select {{nothing}}",
        ] {
            assert_eq!(write(sql).unwrap_err().class, FetchClass::UserError, "{sql}");
        }
    }

    #[test]
    fn exactly_one_statement_is_sent() {
        for sql in [
            "select 1",
            "select 1;",
            "select ';' ; -- end\n",
            "select 'it''s; fine'",
            "select $q$;$q$ || $$ ; $$",
            "select \"a;b\" from t /* ; /* nested ; */ */;;",
            "select E'\\';'",
            "select date'2026-08-01'",
            "select a$b$ from t",
        ] {
            write(sql).unwrap();
        }
        for sql in [
            "select 1; drop table t",
            "select 1; 'x'",
            "commit; set default_transaction_read_only = off; delete from t",
            "",
            " -- nothing\n",
            ";",
            "select '\\'; delete from t; --'",
            "select date'\\'; delete from t; --'",
            "select 1 -- note\r; delete from t",
            "select a$b$; delete from t; $b$",
        ] {
            assert_eq!(write(sql).unwrap_err().class, FetchClass::UserError, "{sql}");
        }
    }

    #[test]
    fn other_kinds_of_query_are_refused() {
        let mut need = request().need;
        let grid = Grid::of(&need).unwrap();
        assert!(statement(&need, &grid).is_err());
        need.query.sql = Some("select 1".to_owned());
        need.query.only = crate::sources::test_support::columns(&[("a", "b")]);
        assert!(statement(&need, &grid).is_err());
    }
}
