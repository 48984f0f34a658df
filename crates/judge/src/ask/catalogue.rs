//! The list of methods, its schemas made from the types.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{METHODS, Method};

/// The schema of an input or output, inline.
pub(super) fn schema_of<T: JsonSchema>() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

impl Method {
    /// JSON Schema of a line: the method's fields with `method` and `id`.
    #[must_use]
    pub fn input_schema(&self) -> Value {
        let mut schema = (self.input)().to_value();
        if let Some(fields) = schema["properties"].as_object_mut() {
            fields.insert("method".to_owned(), json!({"const": self.name}));
            let scalar = json!({
                "description": "Handed back as it came.",
                "type": ["string", "number", "boolean", "null"],
            });
            fields.insert("id".to_owned(), scalar);
        }
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let required = std::iter::once(json!("method")).chain(required).collect();
        schema["required"] = Value::Array(required);
        schema
    }

    /// JSON Schema of `answer`.
    #[must_use]
    pub fn output_schema(&self) -> Value {
        (self.output)().to_value()
    }

    /// Names of the fields of its input, without `method` and `id`.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let schema = (self.input)().to_value();
        let fields = schema["properties"].as_object();
        fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    }

    /// Everything a list says about it.
    #[must_use]
    pub fn entry(&self) -> Value {
        let mut example: Value = serde_json::from_str(self.example).unwrap_or_default();
        example["method"] = json!(self.name);
        json!({
            "method": self.name,
            "line": self.line,
            "citation": self.citation,
            "assumes": self.assumes,
            "example": example,
            "words": self.words,
            "input": self.input_schema(),
            "output": self.output_schema(),
        })
    }
}

/// The whole list.
#[must_use]
pub fn all() -> Value {
    json!({
        "schema": "verdictd/methods/1",
        "methods": METHODS.iter().map(Method::entry).collect::<Vec<_>>(),
    })
}

/// A reference page of all methods, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Methods of `verdictd analyze`\n\nMade from the types. `verdictd analyze --list METHOD` \
         prints the JSON schemas. Every line of\ninput is an object with `method`, an optional \
         `id`, and the fields below; every line of output has\n`answer` and, where there is \
         something to know, `notes`; or `error` with `cause` and `hint`.\nNumbers that do not \
         exist are null, and `notes` says why.\n\n",
    );
    for method in METHODS {
        let name = method.name;
        page.push_str(&format_row(&[&format!("[`{name}`](#{name})"), method.line]));
    }
    page = page.replacen("| [", "| method | answers |\n| --- | --- |\n| [", 1);
    for method in METHODS {
        section(method, &mut page);
    }
    page
}

fn section(method: &Method, page: &mut String) {
    let Method { name, line, citation, words, .. } = method;
    // Writing to a String has no way to fail.
    let _ok = write!(page, "\n## {name}\n\n{line}.\n\nSource: {citation}.\nAssumes: ");
    page.push_str(&method.assumes.join("; "));
    let _ok = write!(page, ".\n\n```sh\nverdictd analyze {name} {words}\n```\n\n");
    for (title, schema) in [("field", method.input_schema()), ("answer", method.output_schema())] {
        page.push_str(&format_row(&[title, "type", "meaning"]));
        page.push_str("| --- | --- | --- |\n");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, field) in schema["properties"].as_object().into_iter().flatten() {
            if title == "field" && matches!(key.as_str(), "method" | "id") {
                continue;
            }
            let is_optional = title == "field" && !required.contains(&json!(key));
            let kind = if is_optional { format!("{}, optional", kind(field)) } else { kind(field) };
            let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ");
            page.push_str(&format_row(&[&format!("`{key}`"), &kind, &meaning]));
        }
        page.push('\n');
    }
    while page.ends_with("\n\n") {
        page.pop();
    }
}

fn format_row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A type in a few words.
fn kind(schema: &Value) -> String {
    if let Some(value) = schema["enum"].as_array() {
        let words: Vec<String> = value.iter().map(|word| format!("`{word}`")).collect();
        return words.join(" ").replace('"', "");
    }
    for list in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[list].as_array() {
            let words: Vec<String> = branches
                .iter()
                .filter(|branch| branch["type"] != "null")
                .map(|branch| match branch["const"].as_str() {
                    Some(word) => format!("`{word}`"),
                    None => kind(branch),
                })
                .collect();
            return words.join(" ");
        }
    }
    let named = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    };
    match named.as_str() {
        "array" if schema["prefixItems"].is_array() => "pair".to_owned(),
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" => {
            let fields = schema["properties"].as_object();
            let keys: Vec<String> =
                fields.into_iter().flatten().map(|(key, _)| format!("`{key}`")).collect();
            format!("object: {}", keys.join(" "))
        }
        _ => named,
    }
}
