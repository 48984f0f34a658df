//! YAML without meaning: the same bounded reader, for files that are no experiments.
//!
//! Every scalar stays text; the reader of the value says what it should have been.

use serde_json::Value;

use super::diagnostic::render;
use super::tree::{self, Kind, Node};

/// The document as a JSON value of maps, lists, texts and nulls; the diagnostics as text when it
/// could not be read.
pub fn plain_yaml(name: &str, text: &str) -> Result<Value, String> {
    let (root, found) = tree::read(text);
    match root {
        Some(root) if found.is_empty() => Ok(value(root)),
        _ => Err(render(name, text, &found)),
    }
}

fn value(node: Node) -> Value {
    match node.kind {
        Kind::Null | Kind::Broken => Value::Null,
        Kind::Scalar(scalar) => Value::String(scalar.text),
        Kind::List(items) => Value::Array(items.into_iter().map(value).collect()),
        Kind::Map(entries) => {
            let entries = entries.into_iter().map(|entry| (entry.key, value(entry.value)));
            Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_text_and_faults_are_told() {
        let read = plain_yaml("case.yaml", "a: 1\nb: [x, 2026-06-01]\nc:\n").unwrap();
        assert_eq!(read, serde_json::json!({"a": "1", "b": ["x", "2026-06-01"], "c": null}));
        let fault = plain_yaml("case.yaml", "a: 1\na: 2\n").unwrap_err();
        assert!(fault.contains("case.yaml"), "{fault}");
    }
}
