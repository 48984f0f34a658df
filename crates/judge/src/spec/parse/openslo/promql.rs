//! PromQL of an OpenSLO indicator as counts over one period.
//!
//! Our queries count over `[{{grain}}]`, one period of a look. Files written for other tools hold
//! a counter without a range, a fixed range (`rate(x[5m])`) or a template (`[{{.window}}]`):
//! `rate` and `increase` become `increase` over the period, which keeps every ratio; sums and
//! counts over time keep their function. Anything else is refused: no guess counts events.

/// Why an expression is no count over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: String,
}

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), hint: hint.into() })
}

/// One `[range]` and the function around it; byte offsets.
#[derive(Debug)]
struct Range {
    open: usize,
    close: usize,
    function: Option<(usize, usize)>,
}

/// An expression as a count over one period, and whether a fixed range was replaced.
pub(super) fn counted(expr: &str, counter: bool) -> Result<(String, bool), Refusal> {
    let ranges = ranges(expr)?;
    if ranges.is_empty() {
        return if counter {
            increase_of(expr).map(|text| (text, false))
        } else {
            Ok((expr.trim().to_owned(), false))
        };
    }
    let mut edits: Vec<(usize, usize, &str)> = Vec::new();
    let mut replaced = false;
    for range in &ranges {
        let inside = expr[range.open + 1..range.close].trim();
        let name = range.function.map_or("", |(from, to)| &expr[from..to]);
        if inside.contains(':') {
            let hint = "count with `sum(increase(metric[5m]))`, or ask a recording rule";
            return refuse(format!("`[{inside}]` is a subquery, not the events of a period"), hint);
        }
        match (name, range.function) {
            ("rate", Some((from, to))) => edits.push((from, to, "increase")),
            ("increase" | "sum_over_time" | "count_over_time", _) => {}
            _ => {
                let shown = if name.is_empty() { "a bare range" } else { name };
                let hint = "count with `sum(increase(metric[5m]))`";
                return refuse(format!("{shown} does not count the events of a period"), hint);
            }
        }
        replaced |= !is_template(inside);
        edits.push((range.open + 1, range.close, "{{grain}}"));
    }
    Ok((edited(expr, edits), replaced))
}

/// An expression read as a value: only templates become the period.
pub(super) fn value(expr: &str) -> Result<String, Refusal> {
    let ranges = ranges(expr)?;
    let templates = ranges.iter().filter(|range| is_template(&expr[range.open + 1..range.close]));
    let edits = templates.map(|range| (range.open + 1, range.close, "{{grain}}")).collect();
    Ok(edited(expr, edits))
}

fn edited(expr: &str, mut edits: Vec<(usize, usize, &str)>) -> String {
    edits.sort_unstable_by_key(|edit| std::cmp::Reverse(edit.0));
    let mut text = expr.to_owned();
    for (from, to, new) in edits {
        text.replace_range(from..to, new);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `{{.window}}`, `{{ window }}`, `$__rate_interval`, `{{grain}}`.
fn is_template(inside: &str) -> bool {
    let inside = inside.trim();
    inside.starts_with("{{") || inside.starts_with('$') || inside.starts_with("%{")
}

/// `x{...}` or `sum(x{...})` of a counter: the sum of the increases.
///
/// Summing first and increasing then would read the restart of one target as a reset of all.
fn increase_of(expr: &str) -> Result<String, Refusal> {
    let expr = expr.trim();
    let inner = expr.strip_prefix("sum").map(str::trim_start).and_then(|rest| {
        let inner = rest.strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.trim())
    });
    let selector = inner.unwrap_or(expr);
    if is_selector(selector) {
        return Ok(format!("sum(increase({selector}[{{{{grain}}}}]))"));
    }
    refuse(
        "a counter must be a metric or `sum(metric)`: the increase is taken of each series",
        "write `sum(increase(metric[5m]))`; the range becomes the period of a look",
    )
}

/// Names of the functions that an expression calls, in order.
pub(in crate::spec::parse) fn calls(expr: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut word: Option<(usize, usize)> = None;
    let mut scan = Scan::new(expr);
    while let Some((at, byte)) = scan.next_code() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            word = match word {
                Some((from, to)) if to == at => Some((from, at + 1)),
                _ => Some((at, at + 1)),
            };
        } else if byte == b'('
            && let Some((from, to)) = word
            && expr[to..at].trim().is_empty()
        {
            names.push(&expr[from..to]);
        }
    }
    names
}

/// `name`, `name{...}` or `{...}`.
fn is_selector(text: &str) -> bool {
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
    let rest = text[name.count()..].trim_start();
    if rest.is_empty() {
        return !text.is_empty();
    }
    let mut scan = Scan::new(rest);
    let mut depth = 0usize;
    while let Some((at, byte)) = scan.next_code() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return rest[at + 1..].trim().is_empty() && byte == b'}';
        }
    }
    false
}

/// Bytes outside of strings and comments.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    unclosed: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, unclosed: false }
    }

    fn next_code(&mut self) -> Option<(usize, u8)> {
        loop {
            let at = self.at;
            let byte = *self.bytes.get(at)?;
            self.at += 1;
            match byte {
                b'"' | b'\'' | b'`' => self.skip_string(byte),
                b'#' => {
                    let rest = &self.bytes[at..];
                    self.at = at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                _ => return Some((at, byte)),
            }
        }
    }

    fn skip_string(&mut self, quote: u8) {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            if *byte == b'\\' && quote != b'`' {
                self.at += 1;
            } else if *byte == quote {
                return;
            }
        }
        self.unclosed = true;
    }
}

/// Every `[...]` outside of selectors and strings, with the name before the innermost bracket.
fn ranges(expr: &str) -> Result<Vec<Range>, Refusal> {
    let hint = "test the expression in Prometheus first";
    let mut found = Vec::new();
    let mut calls: Vec<Option<(usize, usize)>> = Vec::new();
    let mut word: Option<(usize, usize)> = None;
    let mut open: Option<usize> = None;
    let mut scan = Scan::new(expr);
    while let Some((at, byte)) = scan.next_code() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            word = match word {
                Some((from, to)) if to == at => Some((from, at + 1)),
                _ => Some((at, at + 1)),
            };
            continue;
        }
        match byte {
            b'(' => calls.push(word.filter(|(_, to)| expr[*to..at].trim().is_empty())),
            b')' if calls.pop().is_none() => return refuse("a `)` closes nothing", hint),
            b'[' if open.is_none() => open = Some(at),
            b']' => match open.take() {
                Some(from) => {
                    let function = calls.last().copied().flatten();
                    found.push(Range { open: from, close: at, function });
                }
                None => return refuse("a `]` closes nothing", hint),
            },
            _ => {}
        }
    }
    if open.is_some() || !calls.is_empty() || scan.unclosed {
        return refuse("a bracket or quote of the expression is never closed", hint);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(expr: &str) -> String {
        counted(expr, true).unwrap().0
    }

    #[test]
    fn counters_get_their_increase_per_series() {
        assert_eq!(count("http_total"), "sum(increase(http_total[{{grain}}]))");
        assert_eq!(
            count("sum(http_total{code=~\"5..\", path=\"/a)}\"})"),
            "sum(increase(http_total{code=~\"5..\", path=\"/a)}\"}[{{grain}}]))"
        );
        assert!(counted("sum(a) + sum(b)", true).is_err());
        assert!(counted("sum(a) by (job)", true).is_err());
        assert!(counted("a{b=\"c\"} / 2", true).is_err());
    }

    #[test]
    fn ranges_become_the_period() {
        assert_eq!(
            counted("sum(rate(a{x=\"[5m]\"}[5m]))", true),
            Ok(("sum(increase(a{x=\"[5m]\"}[{{grain}}]))".to_owned(), true))
        );
        assert_eq!(
            counted("sum( rate(a[{{.window}}]) )\n  - sum(increase(b[$__rate_interval]))", false),
            Ok(("sum( increase(a[{{grain}}]) ) - sum(increase(b[{{grain}}]))".to_owned(), false))
        );
        let over_time = counted("sum(sum_over_time(logins[1h]))", false).unwrap().0;
        assert_eq!(over_time, "sum(sum_over_time(logins[{{grain}}]))");
        for bad in [
            "irate(a[5m])",
            "max_over_time(a[5m])",
            "a[5m]",
            "sum(increase(a[5m:1m]))",
            "sum(increase(a[5m])",
            "sum(increase(a{b=\"c[5m]))",
            "a]",
            "sum(a))",
        ] {
            assert!(counted(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn calls_are_names_before_a_bracket() {
        assert_eq!(
            calls("sum by (a) (increase (b{c=\"rate(x)\"}[5m])) # rate(y)"),
            ["by", "increase"]
        );
        assert_eq!(calls("up"), [] as [&str; 0]);
    }

    #[test]
    fn values_keep_their_own_ranges() {
        let text = "histogram_quantile(0.99, sum by (le) (rate(d_bucket[5m])))";
        assert_eq!(value(text).unwrap(), text);
        assert_eq!(value("avg(rate(a[{{ .window }}]))").unwrap(), "avg(rate(a[{{grain}}]))");
    }
}
