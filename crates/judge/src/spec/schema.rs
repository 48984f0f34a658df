//! The JSON Schema of experiment files, for editors: they complete keys and check shapes.
//!
//! Generated from the file-shaped types in `file`, shipped as
//! `config/experiments/experiment.schema.json`. The walker in `parse` stays the judge; a test
//! holds both to the same keys and words and to agreement on every good and bad file.

mod file;
mod guardrail;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema, draft 2020-12.
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema: Schema = generator.into_root_schema_for::<file::ExperimentFile>();
    let mut schema = schema.to_value();
    without_null(&mut schema);
    schema
}

/// Takes `null` out of every alternative: a key without a value is a fault in these files.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            drop_null_type(object);
            drop_null_alternative(object);
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
        }
        _ => {}
    }
}

fn drop_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
}

/// `anyOf: [X, null]` becomes X, keeping the description beside it.
fn drop_null_alternative(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests;
