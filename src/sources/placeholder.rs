//! Placeholders in query texts: `{{start}} {{end}} {{start_date}} {{end_date}} {{experiments}}
//! {{grain}}`.
//!
//! They stand for typed values, never for text: each query language brings one encoder that
//! writes literals, and a placeholder inside a string, a comment or a name is a fault of the
//! query, because there it would be pasted.

use super::{FetchClass, FetchError};

/// What may stand in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// First instant of the window.
    Start,
    /// First instant after the window.
    End,
    /// Civil date of the first instant.
    StartDate,
    /// Civil date of the first instant after the window.
    EndDate,
    /// Experiment ids.
    Experiments,
    /// Length of one period.
    Grain,
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "end" => Self::End,
            "start_date" => Self::StartDate,
            "end_date" => Self::EndDate,
            "experiments" => Self::Experiments,
            "grain" => Self::Grain,
            _ => return None,
        })
    }
}

/// Recognises a stretch that is not code at the head of a text: its length and what it is.
pub(super) type Opaque = fn(&str) -> Option<(usize, &'static str)>;

/// Writes `text` with every placeholder replaced by its literal; `None` from `encode` means that
/// the language has no such literal.
pub(super) fn render(
    text: &str,
    opaque: Opaque,
    encode: impl Fn(Placeholder) -> Option<String>,
) -> Result<String, FetchError> {
    let fault = |message: String| Err(FetchError::new(FetchClass::UserError, message));
    let mut written = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((length, kind)) = opaque(rest) {
            let (stretch, after) = rest.split_at(length);
            if stretch.contains("{{") {
                return fault(format!("a placeholder inside {kind}: {}", head(stretch)));
            }
            written.push_str(stretch);
            rest = after;
            continue;
        }
        let Some(inside) = rest.strip_prefix("{{") else {
            written.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        let Some((name, after)) = inside.split_once("}}") else {
            return fault(format!("a placeholder without its end: {}", head(rest)));
        };
        let Some(literal) = Placeholder::named(name.trim()).and_then(&encode) else {
            return fault(format!("an unknown placeholder: {}", head(rest)));
        };
        let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
        if written.ends_with(joins) || after.starts_with(joins) {
            return fault(format!("a placeholder inside a name: {}", head(rest)));
        }
        written.push_str(&literal);
        rest = after;
    }
    Ok(written)
}

/// The beginning of a text, for messages.
fn head(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Option<(usize, &'static str)> {
        let inside = text.strip_prefix('"')?;
        Some((inside.find('"')? + 2, "a string"))
    }

    fn write(text: &str) -> Result<String, FetchError> {
        render(text, quoted, |hole| match hole {
            Placeholder::Grain => Some("1h".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn placeholders_become_literals_in_code_only() {
        assert_eq!(write("x[{{grain}}] + x[{{ grain }}] é").unwrap(), "x[1h] + x[1h] é");
        let faults = [
            ("a \"b{{grain}}\"", "inside a string"),
            ("x_{{grain}}", "inside a name"),
            ("{{grain}}s", "inside a name"),
            ("{{nothing}}", "unknown placeholder"),
            ("{{start}}", "unknown placeholder"),
            ("{{grain", "without its end"),
        ];
        for (text, part) in faults {
            let error = write(text).unwrap_err();
            assert_eq!(error.class, FetchClass::UserError);
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }
}
