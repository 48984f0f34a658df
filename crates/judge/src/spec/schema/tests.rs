//! Schema and walker say the same: keys, words, and every good and bad file.
#![expect(clippy::disallowed_methods, reason = "tests read the shipped files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::json_schema;
use crate::spec::burn_table::TABLES;
use crate::spec::parse::keys;
use crate::spec::tree::{self, Kind, Node};
use crate::spec::{Context, parse};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_shipped_schema_is_current() {
    let path = root().join("config/experiments/experiment.schema.json");
    let current = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap();
    assert!(shipped == current, "UPDATE_GOLDEN=1 cargo test -p judge rewrites {path:?}");
}

/// The keys of one definition.
fn schema_keys(schema: &Value, definition: &str) -> BTreeSet<String> {
    let object = if definition.is_empty() { schema } else { &schema["$defs"][definition] };
    object["properties"].as_object().unwrap().keys().cloned().collect()
}

fn names(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn walker_and_schema_know_the_same_keys() {
    let schema = json_schema();
    let guardrail = [keys::KINDS, keys::GUARDRAIL].concat();
    let query = [keys::QUERY, keys::COLUMNS].concat();
    for (definition, known) in [
        ("", keys::TOP),
        ("Owner", keys::OWNER),
        ("Aim", keys::AIM),
        ("Mechanism", keys::MECHANISM),
        ("Plan", keys::PLAN),
        ("Signal", keys::SIGNAL),
        ("MultipleExposure", keys::MULTIPLE_EXPOSURE),
        ("Eligible", keys::ELIGIBLE),
        ("KnownBaseline", keys::BASELINE),
        ("Checkpoint", keys::CHECKPOINT),
        ("Guardrail", &guardrail),
        ("Slo", keys::SLO),
        ("BudgetPeriod", keys::BUDGET),
        ("BurnAlert", keys::BURN),
        ("OrBad", keys::OR_BAD),
        ("Threshold", keys::THRESHOLD),
        ("Drift", keys::DRIFT),
        ("Reference", keys::REFERENCE),
        ("NoWorseThan", keys::NO_WORSE_THAN),
        ("Limit", keys::LIMIT),
        ("ErrorBudget", keys::ERROR_BUDGET),
        ("Rollback", keys::ROLLBACK),
        ("Review", keys::REVIEW),
        ("Query", &query),
        ("Columns", keys::COLUMNS),
    ] {
        assert_eq!(schema_keys(&schema, definition), names(known), "{definition}");
    }
    let designs = schema["$defs"]["Compare"]["oneOf"].as_array().unwrap();
    let keys: BTreeSet<String> = designs.iter().flat_map(|one| schema_keys(one, "")).collect();
    assert_eq!(keys, names(keys::COMPARE));
}

/// The words of an enum, written as `enum` or as described constants.
fn schema_words(schema: &Value, definition: &str) -> BTreeSet<String> {
    let object = &schema["$defs"][definition];
    let mut words = BTreeSet::new();
    for choice in object["oneOf"].as_array().into_iter().flatten().chain([object]) {
        words.extend(choice["const"].as_str().map(str::to_owned));
        let listed = choice["enum"].as_array().into_iter().flatten();
        words.extend(listed.filter_map(|word| word.as_str().map(str::to_owned)));
    }
    words
}

fn words<T>(known: &[(&str, T)]) -> BTreeSet<String> {
    known.iter().map(|(word, _)| (*word).to_owned()).collect()
}

#[test]
fn walker_and_schema_know_the_same_words() {
    let schema = json_schema();
    for (definition, known) in [
        ("Role", words(keys::ROLES)),
        ("Form", words(keys::FORMS)),
        ("Want", words(keys::WANTS)),
        ("Evidence", words(keys::EVIDENCE)),
        ("EarlyStop", words(keys::EARLY_STOPS)),
        ("OnTrip", words(keys::ON_TRIPS)),
        ("OnMissing", words(keys::ON_MISSINGS)),
        ("Scope", words(keys::SCOPES)),
        ("BudgetWord", words(keys::BUDGETS)),
        ("Calendar", words(keys::CALENDAR)),
        ("BurnTable", words(TABLES)),
        ("BurnSeverity", words(keys::BURN_SEVERITIES)),
        ("Chart", words(keys::CHARTS)),
        ("Watch", words(keys::WANTS)),
        ("Require", words(keys::REQUIRES)),
        ("LimitOf", words(keys::LIMIT_OFS)),
    ] {
        assert_eq!(schema_words(&schema, definition), known, "{definition}");
    }
    let designs = schema["$defs"]["Compare"]["oneOf"].as_array().unwrap();
    let designs: BTreeSet<String> = designs
        .iter()
        .map(|one| one["properties"]["design"]["const"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(designs, words(keys::DESIGNS));
}

/// The tree as JSON, read by the YAML 1.2 core rules.
fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null | Kind::Broken => Value::Null,
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.value))).collect()
        }
        Kind::Scalar(scalar) => match (scalar.is_plain(), scalar.text.as_str()) {
            (true, "true") => json!(true),
            (true, "false") => json!(false),
            (true, text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => json!(number),
                _ => json!(text),
            },
            (false, text) => json!(text),
        },
    }
}

/// Whether a value has the shape that a schema asks for. Knows the words that the generator
/// writes, except patterns: those judge values, not shapes.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return schema != &json!(false);
    };
    let all = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let fitting = |key: &str| all(key).iter().filter(|one| fits(root, one, value)).count();
    object.iter().all(|(key, wanted)| match key.as_str() {
        "$ref" => {
            let name = wanted.as_str().unwrap().trim_start_matches("#/$defs/");
            fits(root, &root["$defs"][name], value)
        }
        "type" => has_type(wanted, value),
        "const" => wanted == value,
        "enum" => all("enum").contains(value),
        "anyOf" => fitting("anyOf") > 0,
        "oneOf" => fitting("oneOf") == 1,
        "allOf" => fitting("allOf") == all("allOf").len(),
        "not" => !fits(root, wanted, value),
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, wanted, item)))
        }
        "required" => value.as_object().is_none_or(|map| {
            all("required").iter().all(|name| map.contains_key(name.as_str().unwrap()))
        }),
        "maxProperties" => {
            value.as_object().is_none_or(|map| map.len() as u64 <= wanted.as_u64().unwrap())
        }
        "dependentRequired" => value.as_object().is_none_or(|map| {
            wanted.as_object().unwrap().iter().all(|(name, needs)| {
                let needs = needs.as_array().unwrap();
                !map.contains_key(name)
                    || needs.iter().all(|need| map.contains_key(need.as_str().unwrap()))
            })
        }),
        "properties" | "additionalProperties" => value.as_object().is_none_or(|map| {
            map.iter().all(|(name, value)| {
                let own = schema["properties"].get(name);
                let rest = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
                fits(root, own.unwrap_or(rest), value)
            })
        }),
        "$schema" | "$defs" | "title" | "description" | "pattern" | "propertyNames" | "format" => {
            true
        }
        other => panic!("the validator does not know `{other}`"),
    })
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know type `{other}`"),
    };
    wanted.as_array().map_or_else(|| is(wanted), |names| names.iter().any(is))
}

/// Faults of shape that the schema must see too.
const SHAPE_FAULTS: &[&str] =
    &["E0201", "E0202", "E0203", "E0204", "E0205", "E0308", "E0407", "D0109", "D0116"];

#[test]
fn walker_and_schema_agree_on_every_file() {
    let schema = json_schema();
    let mut judged = 0;
    for folder in ["config/experiments", "tests/cases/check"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let (Some(tree), faults) = tree::read(&text) else {
                continue;
            };
            if !faults.is_empty() {
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            let parsed = parse(name, &text, &files_beside(&path));
            let fits = fits(&schema, &schema, &to_json(&tree));
            let shape_fault = parsed.diagnostics.iter().find(|one| {
                // Irreversible without an earlier test is no fault of shape.
                SHAPE_FAULTS.contains(&one.code)
            });
            if let Some(fault) = shape_fault {
                assert!(!fits, "{name}: the schema does not see {fault:?}");
            }
            if !parsed.has_errors() {
                assert!(fits, "{name}: the schema refuses a good file");
            }
            judged += 1;
        }
    }
    assert!(judged > 60, "{judged} files");
}

fn files_beside(path: &Path) -> Context {
    let mut ctx = Context::default();
    let openslo = root().join("tests/cases/openslo");
    let folders = [path.parent().unwrap(), &openslo];
    for entry in folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let in_openslo = path.starts_with(&openslo);
        let wanted = if in_openslo { "yaml" } else { "sql" };
        if path.extension().is_some_and(|ending| ending == wanted) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            ctx.files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    ctx
}
