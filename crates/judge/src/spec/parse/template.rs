//! Query texts: placeholders and the shape of SQL.
//!
//! Placeholders are bound as typed values, never pasted, so one inside quotes, a comment or an
//! identifier cannot work and is a fault here. The scanner knows just enough of SQL for that.

use crate::spec::nearest::suggestion;

/// The only placeholders.
pub(in crate::spec) const PLACEHOLDERS: &[&str] =
    &["start", "end", "start_date", "end_date", "experiments", "grain"];

/// What is wrong in a query text; offset and length in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) message: String,
    pub(super) hint: String,
}

fn fault(
    code: &'static str,
    (offset, len): (usize, usize),
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Fault {
    Fault { code, offset, len, message: message.into(), hint: hint.into() }
}

/// Everything that is wrong with the placeholders of a PromQL expression.
pub(super) fn check_promql(text: &str) -> Vec<Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut faults = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (len, within) = match chars[at] {
            '#' => (comment_len(&chars[at..]), "a comment"),
            '"' | '\'' | '`' => (string_len(&chars[at..]), "quotes"),
            '{' if chars.get(at + 1) == Some(&'{') => {
                let len = placeholder_len(&chars, at);
                faults.extend(promql_fault(&chars, at, len));
                at += len;
                continue;
            }
            _ => (1, ""),
        };
        forbid(&chars, at, at + len, within, &mut faults);
        at += len;
    }
    faults
}

fn promql_fault(chars: &[char], at: usize, len: usize) -> Option<Fault> {
    if let Some(unknown) = unknown_placeholder(chars, at, len) {
        return Some(unknown);
    }
    let name: String = chars[at + 2..at + len - 2].iter().collect();
    if name.ends_with("_date") {
        let hint = "PromQL has no dates; write `{{start}}`, `{{end}}` or `{{grain}}`";
        let message = format!("PromQL cannot take `{{{{{name}}}}}`");
        return Some(fault("E0504", (at, len), message, hint));
    }
    let joins = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let before = at.checked_sub(1).and_then(|at| chars.get(at));
    (joins(before) || joins(chars.get(at + len)))
        .then(|| misplaced(chars, at, len, "an identifier"))
}

fn comment_len(chars: &[char]) -> usize {
    chars.iter().take_while(|c| **c != '\n').count()
}

/// Length of a PromQL string from its quote; backslashes escape except between backticks.
fn string_len(chars: &[char]) -> usize {
    let quote = chars[0];
    let mut at = 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' && quote != '`' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// A placeholder that stands where no value can be bound.
fn misplaced(chars: &[char], at: usize, len: usize, within: &str) -> Fault {
    let shown: String = chars[at..(at + len).min(chars.len())].iter().collect();
    let message = format!("placeholder `{shown}` inside {within}");
    let hint = "placeholders are bound as values: let it stand alone, without quotes";
    fault("E0505", (at, len), message, hint)
}

/// Reports every placeholder between two offsets.
fn forbid(chars: &[char], start: usize, end: usize, within: &str, faults: &mut Vec<Fault>) {
    let mut at = start;
    while at + 1 < end {
        if chars[at] == '{' && chars[at + 1] == '{' {
            let len = placeholder_len(&chars[..end], at);
            faults.push(misplaced(chars, at, len, within));
            at += len;
        } else {
            at += 1;
        }
    }
}

/// Length of `{{...}}` from its first brace; to the end of the text when it never closes.
fn placeholder_len(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let close = rest.windows(2).position(|pair| pair == ['}', '}']);
    close.map_or(rest.len(), |close| close + 2)
}

fn unknown_placeholder(chars: &[char], at: usize, len: usize) -> Option<Fault> {
    let written: String = chars[at..at + len].iter().collect();
    let name = written.trim_start_matches('{').trim_end_matches('}');
    if written.ends_with("}}") && PLACEHOLDERS.contains(&name) {
        return None;
    }
    let near = suggestion(name.trim(), PLACEHOLDERS.iter().copied());
    let hint = format!("placeholders are written `{{{{start}}}}`; {near}");
    let shown = super::values::shorten(&written);
    Some(fault("E0504", (at, len), format!("unknown placeholder `{shown}`"), hint))
}

/// Everything that is wrong in a SQL text.
pub(super) fn check_sql(text: &str) -> Vec<Fault> {
    let mut scan = SqlScan { chars: text.chars().collect(), at: 0, ..SqlScan::default() };
    scan.run();
    scan.faults
}

/// Line and column, both from 1, of a character offset.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before: String = text.chars().take(offset).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

#[derive(Default)]
struct SqlScan {
    chars: Vec<char>,
    at: usize,
    faults: Vec<Fault>,
    /// Where the closing `;` stands, once seen.
    ended: Option<usize>,
    first_word: Option<(usize, String)>,
    told_second: bool,
}

impl SqlScan {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn run(&mut self) {
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('-', '-') => self.skip_comment(),
                ('/', '*') => self.skip_block_comment(),
                ('\'', _) => self.skip_quoted('\'', "quotes"),
                ('"', _) => self.skip_quoted('"', "a quoted identifier"),
                ('$', _) if self.dollar_tag().is_some() => self.skip_dollar(),
                ('{', '{') => self.placeholder(),
                (';', _) => {
                    self.ended.get_or_insert(self.at);
                    self.at += 1;
                }
                (c, _) if c.is_alphanumeric() || c == '_' => self.word(),
                (c, _) => {
                    self.content(!c.is_whitespace());
                    self.at += 1;
                }
            }
        }
        self.judge_statement();
    }

    /// Anything but space after the `;` begins a second statement.
    fn content(&mut self, is_content: bool) {
        if is_content && self.ended.is_some() && !self.told_second {
            self.told_second = true;
            let message = "a second statement begins here";
            let hint = "a query is exactly one statement";
            self.faults.push(fault("E0506", (self.at, 1), message, hint));
        }
    }

    fn judge_statement(&mut self) {
        match &self.first_word {
            None => self.faults.push(fault(
                "E0506",
                (0, 1),
                "no statement",
                "write one `select` statement",
            )),
            Some((at, word)) => {
                let reads = ["select", "with", "values", "table"];
                if !reads.contains(&word.to_ascii_lowercase().as_str()) {
                    let message =
                        format!("a statement that begins with `{word}` does not only read");
                    let hint =
                        "queries run in a read-only transaction; begin with `select` or `with`";
                    let place = (*at, word.chars().count());
                    self.faults.push(fault("E0506", place, message, hint));
                }
            }
        }
    }

    fn word(&mut self) {
        self.content(true);
        let start = self.at;
        while self.peek(0).is_alphanumeric() || matches!(self.peek(0), '_' | '$') {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        // E'...' strings know backslash escapes.
        if self.peek(0) == '\'' && word.eq_ignore_ascii_case("e") {
            self.skip_quoted('\\', "quotes");
        }
        self.first_word.get_or_insert((start, word));
    }

    fn placeholder(&mut self) {
        self.content(true);
        let len = placeholder_len(&self.chars, self.at);
        let unknown = unknown_placeholder(&self.chars, self.at, len);
        let glued = |c: Option<&char>| {
            c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '{' | '}'))
        };
        let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at));
        let after = self.chars.get(self.at + len);
        let qualified = before == Some(&'.') || after == Some(&'.');
        if let Some(unknown) = unknown {
            self.faults.push(unknown);
        } else if glued(before) || glued(after) || qualified {
            let fault = misplaced(&self.chars, self.at, len, "an identifier");
            self.faults.push(fault);
        }
        self.at += len;
    }

    fn forbid(&mut self, start: usize, end: usize, within: &str) {
        forbid(&self.chars, start, end, within, &mut self.faults);
    }

    fn skip_comment(&mut self) {
        let start = self.at;
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.at += 1;
        }
        self.forbid(start, self.at, "a comment");
    }

    fn skip_block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', '/') => {
                    depth -= 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
            if depth == 0 {
                break;
            }
        }
        self.at = self.at.min(self.chars.len());
        if depth > 0 {
            self.unclosed(start, 2, "comment");
        }
        self.forbid(start, self.at, "a comment");
    }

    fn unclosed(&mut self, at: usize, len: usize, what: &str) {
        let message = format!("a {what} that never ends");
        self.faults.push(fault("E0506", (at, len), message, format!("close the {what}")));
    }

    /// Skips `'...'` or `"..."`; a doubled quote stays inside. `\` stands for an E'...' string.
    fn skip_quoted(&mut self, style: char, within: &str) {
        self.content(true);
        let start = self.at;
        let quote = if style == '"' { '"' } else { '\'' };
        self.at += 1;
        loop {
            match self.peek(0) {
                _ if self.at >= self.chars.len() => {
                    self.unclosed(start, 1, "quote");
                    break;
                }
                '\\' if style == '\\' => self.at += 2,
                c if c == quote && self.peek(1) == quote => self.at += 2,
                c if c == quote => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.chars.len());
        self.forbid(start, self.at, within);
    }

    /// Length of `$tag$` at the current place.
    fn dollar_tag(&self) -> Option<usize> {
        let rest = &self.chars[self.at + 1..];
        let name = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let starts_with_digit = rest.first().is_some_and(char::is_ascii_digit);
        (rest.get(name) == Some(&'$') && !starts_with_digit).then_some(name + 2)
    }

    fn skip_dollar(&mut self) {
        self.content(true);
        let Some(len) = self.dollar_tag() else {
            return;
        };
        let start = self.at;
        let tag: Vec<char> = self.chars[start..start + len].to_vec();
        let body = &self.chars[start + len..];
        let close = body.windows(len).position(|window| window == tag);
        if let Some(close) = close {
            self.at = start + len + close + len;
        } else {
            self.at = self.chars.len();
            self.unclosed(start, len, "quote");
        }
        self.forbid(start, self.at, "quotes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Vec<(&'static str, usize)> {
        check_sql(sql).into_iter().map(|fault| (fault.code, fault.offset)).collect()
    }

    #[test]
    fn one_reading_statement_passes() {
        for sql in [
            "select 1",
            "-- why; so\nselect ';' as a, \"b;c\" from t where at >= {{start}} /* ; */ ;\n-- end\n",
            "with x as (select $$;{$$) select cast({{end}} as date), e'\\';' from x",
            "select count(*) filter (where n in ({{experiments}}))",
        ] {
            assert_eq!(found(sql), [], "{sql}");
        }
    }

    #[test]
    fn placeholders_stand_alone_or_not_at_all() {
        assert_eq!(found("select '{{start}}'"), [("E0505", 8)]);
        assert_eq!(found("select \"{{start}}\""), [("E0505", 8)]);
        assert_eq!(found("select 1 -- {{end}}"), [("E0505", 12)]);
        assert_eq!(found("select 1 /* {{end}} */"), [("E0505", 12)]);
        assert_eq!(found("select t_{{end}}"), [("E0505", 9)]);
        assert_eq!(found("select s.{{end}}"), [("E0505", 9)]);
        assert_eq!(found("select $a${{end}}$a$"), [("E0505", 10)]);
        assert_eq!(found("select {{ends}}"), [("E0504", 7)]);
        assert_eq!(found("select {{ start }}"), [("E0504", 7)]);
        assert_eq!(found("select {{start"), [("E0504", 7)]);
    }

    #[test]
    fn promql_takes_placeholders_in_code_only() {
        let found = |text: &str| -> Vec<(&'static str, usize)> {
            check_promql(text).into_iter().map(|fault| (fault.code, fault.offset)).collect()
        };
        assert_eq!(found(r#"rate(x{a="}}",b=`\`}[{{grain}}] @ {{end}}) # why"#), []);
        assert_eq!(found(r#"x{a="{{grain}}"}"#), [("E0505", 5)]);
        assert_eq!(found(r#"x{a="\"{{grain}}"}"#), [("E0505", 7)]);
        assert_eq!(found("x # {{grain}}"), [("E0505", 4)]);
        assert_eq!(found("x_{{grain}}"), [("E0505", 2)]);
        assert_eq!(found("x[{{window}}]"), [("E0504", 2)]);
        assert_eq!(found("x @ {{start_date}}"), [("E0504", 4)]);
        assert_eq!(found("x[{{grain"), [("E0504", 2)]);
        assert_eq!(found("\"never closed \\"), []);
    }

    #[test]
    fn not_exactly_one_statement() {
        assert_eq!(found(""), [("E0506", 0)]);
        assert_eq!(found("-- nothing"), [("E0506", 0)]);
        assert_eq!(found("select 1; select 2; select 3"), [("E0506", 10)]);
        assert_eq!(found("delete from t"), [("E0506", 0)]);
        assert_eq!(found("select 'a"), [("E0506", 7)]);
        assert_eq!(found("select 1 /* a"), [("E0506", 9)]);
    }

    #[test]
    fn offsets_count_characters_and_lines() {
        assert_eq!(line_and_column("a\näö{{x}}", 4), (2, 3));
    }
}
