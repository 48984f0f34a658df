//! A JSON tree whose string leaves are templates: rendered leaf by leaf, so the result is JSON
//! whatever is in the leaves.
//!
//! A leaf that is one expression (`{{ x }}`) becomes the value of `x`; any other leaf becomes a
//! string. Names that do not exist are errors, a leaf has [`FUEL`] instructions and the whole
//! [`MAX_BYTES`]. Rendering is total: a leaf that fails says a plain text instead and is counted.
//! Values are escaped as the receiver's markup needs it; what a filter has escaped is left alone.

use std::io;

use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::clip::{html_text, json_text, markdown_text, slack_text, without_links};
use super::receivers::plain_url;

/// Instructions that one leaf may take.
const FUEL: u64 = 50_000;
/// The largest tree, rendered.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The most leaves.
const MAX_LEAVES: usize = 1_000;
/// What an escaped value may take where its leaf does not say otherwise.
const MAX_VALUE: usize = 4_000;
const ZERO_WIDTH: char = '\u{200b}';

/// Whose markup a value must not be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// Nobody's: values stand as they are, without control characters.
    #[default]
    None,
    /// Slack's mrkdwn.
    Slack,
    /// Markdown.
    Md,
    /// HTML.
    Html,
    /// Text nodes of Atlassian's document format: plain and never empty.
    Adf,
}

impl Escape {
    fn apply(self, text: &str, max: usize) -> String {
        match self {
            Self::None => json_text(text, max),
            // No escape exists for emphasis: a zero-width space keeps it from beginning.
            Self::Slack => {
                let text = loosened(&slack_text(text, max, false), &['*', '_', '~', '`', '@']);
                without_links(&text)
            }
            Self::Md => markdown_text(text, max),
            Self::Html => without_links(&loosened(&html_text(text, max), &['@'])),
            Self::Adf => match json_text(text, max) {
                text if text.trim().is_empty() => "\u{2013}".to_owned(),
                text => text,
            },
        }
    }
}

/// A zero-width space behind each of these.
fn loosened(text: &str, marks: &[char]) -> String {
    let mut loose = String::with_capacity(text.len());
    for c in text.chars() {
        loose.push(c);
        if marks.contains(&c) {
            loose.push(ZERO_WIDTH);
        }
    }
    loose
}

/// What is wrong with one leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{leaf}, line {line}: {cause}; {hint}")]
pub(super) struct Fault {
    /// `body.blocks[0].text`
    pub(super) leaf: String,
    /// Line within the leaf.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) cause: String,
    /// What to write.
    pub(super) hint: &'static str,
}

/// A tree, rendered, and what went wrong on the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    pub(super) tree: Json,
    pub(super) faults: Vec<Fault>,
}

/// Renders `tree` under that name; `instead` is what a leaf says that cannot be rendered.
pub(super) fn render(
    name: &str,
    tree: &Json,
    context: &Json,
    escape: Escape,
    instead: &str,
) -> Rendered {
    let mut walk = Walk {
        environment: environment(escape),
        context: Value::from(Serde(context)),
        escape,
        instead: escape.apply(instead, 300),
        left: MAX_BYTES,
        leaves: 0,
        faults: Vec::new(),
    };
    let tree = walk.node(name, tree);
    Rendered { tree, faults: walk.faults }
}

fn environment<'t>(escape: Escape) -> Environment<'t> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(move |out, _, value| {
        if value.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        let text = text_of(value);
        let shown = if value.is_safe() { text } else { escape.apply(&text, MAX_VALUE) };
        out.write_str(&shown).map_err(Error::from)
    });
    for (name, escape) in [
        ("plain", Escape::None),
        ("slack", Escape::Slack),
        ("md", Escape::Md),
        ("html", Escape::Html),
        ("adf", Escape::Adf),
    ] {
        environment.add_filter(name, move |value: &Value, max: Option<usize>| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            let max = max.unwrap_or(MAX_VALUE).min(MAX_BYTES);
            Ok(Value::from_safe_string(escape.apply(&text_of(value), max)))
        });
    }
    environment.add_filter("url", |value: &Value| {
        let url = plain_url(&text_of(value));
        url.map(Value::from_safe_string).ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, "not a web address of at most 1,500 characters")
        })
    });
    environment
}

/// A value in a text: nothing is nothing.
fn text_of(value: &Value) -> String {
    if value.is_none() { String::new() } else { value.to_string() }
}

struct Walk<'t> {
    environment: Environment<'t>,
    context: Value,
    escape: Escape,
    instead: String,
    left: usize,
    leaves: usize,
    faults: Vec<Fault>,
}

impl<'t> Walk<'t> {
    fn node(&mut self, path: &str, node: &'t Json) -> Json {
        match node {
            Json::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.node(&format!("{path}[{index}]"), item)).collect()
            }
            Json::Object(map) => {
                let entries = map.iter();
                let entry = |(key, item): (&String, &'t Json)| {
                    (key.clone(), self.node(&format!("{path}.{key}"), item))
                };
                Json::Object(entries.map(entry).collect())
            }
            Json::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
                self.counted_leaf(path, text)
            }
            other => other.clone(),
        }
    }

    fn counted_leaf(&mut self, path: &str, text: &'t str) -> Json {
        self.leaves += 1;
        let rendered = if self.leaves > MAX_LEAVES {
            Err(Error::new(ErrorKind::InvalidOperation, "more than 1,000 leaves"))
        } else {
            self.leaf(text)
        };
        match rendered {
            Ok(value) => value,
            Err(error) => {
                self.faults.push(fault(path, &error));
                self.instead.as_str().into()
            }
        }
    }

    fn leaf(&mut self, text: &'t str) -> Result<Json, Error> {
        let rendered = if let Some(inner) = expression(text) {
            let compiled = self.environment.compile_expression(inner)?;
            let value = compiled.eval(self.context.clone())?;
            placed(&value, self.escape)?
        } else {
            let mut kept = Kept { bytes: Vec::new(), room: self.left };
            let template = self.environment.template_from_str(text)?;
            drop(template.render_captured_to(self.context.clone(), &mut kept)?);
            String::from_utf8_lossy(&kept.bytes).into_owned().into()
        };
        let size = rendered.to_string().len();
        self.left = self.left.checked_sub(size).ok_or_else(too_long)?;
        Ok(rendered)
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "the whole is larger than 64 KiB")
}

/// The expression of a leaf that is nothing but one.
fn expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    let marks = ["{{", "}}", "{%", "{#"];
    (!marks.iter().any(|mark| inner.contains(mark))).then(|| inner.trim())
}

/// A value as JSON, its strings escaped wherever they stand in it.
fn placed(value: &Value, escape: Escape) -> Result<Json, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(text) = value.as_str() {
        let text = if value.is_safe() { text.to_owned() } else { escape.apply(text, MAX_VALUE) };
        return Ok(text.into());
    }
    if value.kind() == ValueKind::Invalid {
        return Err(Error::from(ErrorKind::BadSerialization));
    }
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(escaped(json, escape))
}

fn escaped(json: Json, escape: Escape) -> Json {
    match json {
        Json::String(text) => escape.apply(&text, MAX_VALUE).into(),
        Json::Array(items) => items.into_iter().map(|item| escaped(item, escape)).collect(),
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(key, item)| (key, escaped(item, escape))).collect())
        }
        other => other,
    }
}

/// A writer that ends where there is no room.
struct Kept {
    bytes: Vec<u8>,
    room: usize,
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::Error::other("the whole is larger than 64 KiB"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fault(leaf: &str, error: &Error) -> Fault {
    let kind = error.kind();
    let cause = match error.detail() {
        _ if kind == ErrorKind::WriteFailure => "the whole is larger than 64 KiB".to_owned(),
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    let hint = match kind {
        ErrorKind::UndefinedError => {
            "write a name that messages have, or `| default(\"\")` where it may be missing"
        }
        ErrorKind::SyntaxError => {
            "templates are written `{{ name }}` and `{% if x %}..{% endif %}`"
        }
        ErrorKind::UnknownFilter => "the escapes are plain, slack, md, html, adf and url",
        ErrorKind::OutOfFuel => "a leaf has 50,000 instructions; shorten its loops",
        _ => "write it shorter or simpler",
    };
    Fault { leaf: leaf.to_owned(), line: error.line().unwrap_or(1), cause, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(tree: Json, escape: Escape) -> Json {
        let context = json!({
            "n": 3, "yes": true, "none": null, "text": "<a> *b* @here", "list": ["_x_", 2],
            "link": "https://x.example/a(b)?c=[d]",
        });
        let rendered = render("body", &tree, &context, escape, "instead");
        assert_eq!(rendered.faults, [], "{tree}");
        rendered.tree
    }

    #[test]
    fn a_lone_expression_keeps_its_type_and_everything_else_is_text() {
        let tree = json!({
            "number": "{{ n }}", "bool": "{{ yes }}", "null": "{{ none }}", "list": "{{ list }}",
            "text": "n={{ n }}", "two": "{{ n }}{{ n }}", "kept": 5, "plain": "no template",
            "trimmed": "{{- n -}}", "object": "{{ {'a': n} }}",
        });
        let want = json!({
            "number": 3, "bool": true, "null": null, "list": ["_x_", 2],
            "text": "n=3", "two": "33", "kept": 5, "plain": "no template",
            "trimmed": 3, "object": {"a": 3},
        });
        assert_eq!(one(tree, Escape::None), want);
    }

    #[test]
    fn values_are_escaped_once_and_the_template_itself_never() {
        let cases = [
            (Escape::Md, "**{{ text }}**", "**\\<a\\> \\*b\\* @\u{200b}here**"),
            (Escape::Html, "<b>{{ text }}</b>", "<b>&lt;a&gt; *b* @\u{200b}here</b>"),
            (Escape::Slack, "{{ text }}!", "&lt;a&gt; *\u{200b}b*\u{200b} @\u{200b}here!"),
            (Escape::None, "{{ text }}!", "<a> *b* @here!"),
            (Escape::Md, "{{ text | md(6) }}!", "\\<a\\>…!"),
            (Escape::Md, "{{ text | plain }}!", "<a> *b* @here!"),
            (Escape::Md, "[x]({{ link | url }})", "[x](https://x.example/a%28b%29?c=%5Bd%5D)"),
            (Escape::Adf, "{{ none | adf }}", "\u{2013}"),
        ];
        for (escape, leaf, want) in cases {
            assert_eq!(one(json!(leaf), escape), json!(want), "{leaf}");
        }
        assert_eq!(one(json!("{{ list }}"), Escape::Md), json!(["\\_x\\_", 2]), "in lists too");
    }

    #[test]
    fn every_fault_is_told_at_once_and_leaves_json_behind() {
        let tree = json!({
            "a": "{{ missing }}",
            "b": ["ok {{ text", "line\n{{ n | nofilter }}"],
            "c": "{% for x in range(9000) %}{% for y in range(9000) %}{{ y }}\
                  {% endfor %}{% endfor %}",
            "d": "{{ 'x' }}{% include 'etc' %}",
            "e": "{{ 'javascript:x' | url }}",
            "f": "{{ missing.deeper | default('') }}",
            "g": "fine {{ 1 }}",
        });
        let rendered = render("body", &tree, &json!({"n": 1, "text": ""}), Escape::None, "plain");
        let leaves: Vec<_> = rendered.faults.iter().map(|it| it.leaf.as_str()).collect();
        assert_eq!(
            leaves,
            ["body.a", "body.b[0]", "body.b[1]", "body.c", "body.d", "body.e", "body.f"]
        );
        assert_eq!(rendered.faults[2].line, 2, "{}", rendered.faults[2]);
        assert!(rendered.faults[0].to_string().starts_with("body.a, line 1: undefined value"));
        assert_eq!((&rendered.tree["a"], &rendered.tree["g"]), (&json!("plain"), &json!("fine 1")));
    }

    #[test]
    fn the_whole_is_bounded() {
        let leaf = "{% for x in range(9000) %}0123456789{% endfor %}";
        let tree = json!([leaf, "{{ n }}"]);
        let rendered = render("body", &tree, &json!({"n": 1}), Escape::None, "plain");
        assert_eq!(rendered.tree, json!(["plain", 1]));
        assert!(rendered.faults[0].cause.contains("64 KiB"), "{}", rendered.faults[0]);
        let many: Vec<_> = (0..1_002).map(|_| json!("{{ n }}")).collect();
        let rendered = render("body", &json!(many), &json!({"n": 1}), Escape::None, "plain");
        assert_eq!(rendered.faults.len(), 2);
    }
}
