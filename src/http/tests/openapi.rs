//! The document and the router hold each other: nothing undocumented, nothing invented.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;

use super::super::{openapi, routes};
use super::Site;
use crate::golden::assert_page;

fn document() -> Value {
    openapi::document(routes::all().operations())
}

#[test]
fn the_committed_document_is_current() {
    assert_page("openapi.json", &openapi::text());
}

/// Every `$ref` of a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.insert(target.trim_start_matches("#/components/schemas/").to_owned());
            }
            map.values().for_each(|child| references(child, found));
        }
        Value::Array(items) => items.iter().for_each(|child| references(child, found)),
        _ => {}
    }
}

#[test]
fn every_schema_is_there_and_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(used, known, "references and schemas");
}

#[test]
fn operations_have_names_of_their_own() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} of {method} {path} is taken");
            let summary = operation["summary"].as_str().unwrap();
            assert!(!summary.is_empty() && !summary.ends_with('.'), "{path}: {summary}");
        }
    }
}

/// Other files register nothing: a route without a description cannot come in.
#[test]
fn routes_are_registered_in_one_file() {
    fn walk(folder: &std::path::Path, faults: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, faults);
            } else if !path.ends_with("routes.rs") && path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mark = concat!(".rou", "te(");
                if text.contains(mark) || text.contains(concat!(".ne", "st(")) {
                    faults.push(path.display().to_string());
                }
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    walk(&root.join("src/http"), &mut faults);
    assert!(faults.is_empty(), "register these in http/routes.rs: {faults:?}");
}

/// Each documented operation is answered by its handler, each other method is refused.
#[tokio::test]
async fn the_router_answers_what_the_document_says_and_nothing_else() {
    let site = Site::sample().await;
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{id}", super::ID)
            .replace("{experiment}", super::ID)
            .replace("{number}", "1")
            .replace("{name}", "none");
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let request =
                Request::builder().method(&method).uri(&filled).body(Body::empty()).unwrap();
            let answer = site.send(request).await;
            let key = method.as_str().to_lowercase();
            let Some(operation) = methods.get(key.as_str()) else {
                let refused = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND];
                assert!(refused.contains(&answer.status), "{method} {filled}: {}", answer.status);
                continue;
            };
            let status = answer.status.as_u16().to_string();
            let answers = operation["responses"].as_object().unwrap();
            let answered = answers.get(&status).or_else(|| answers.get("default"));
            let answered = answered.unwrap_or_else(|| panic!("{method} {path}: {status}"));
            if let Some(kinds) = answered["content"].as_object() {
                let kind = answer.header("content-type").split(';').next().unwrap();
                assert!(kinds.contains_key(kind), "{method} {path} {status}: {kind}");
            }
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {filled}");
            assert!(!answer.body.contains("no such page; /"), "{method} {filled}");
        }
    }
}

/// Every query parameter of every GET, with the operation it belongs to.
fn query_parameters(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, methods): (&String, &Value)| {
        let parameters = methods["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let mine = parameters.into_iter().filter(|one| one["in"] == "query");
        let path = path.replace("{id}", super::ID).replace("{experiment}", super::ID);
        mine.map(move |one| (path.clone(), one)).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

/// Values that a parameter takes by the document, and values that it refuses.
fn tried(name: &str, schema: &Value) -> (Vec<String>, Vec<String>) {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let kind = schema["type"].as_str().unwrap();
    match (kind, name) {
        ("integer", "limit") => {
            let most = schema["maximum"].as_u64().unwrap();
            assert_eq!(schema["minimum"], 1);
            (vec!["1".to_owned(), most.to_string()], vec!["0".to_owned(), (most + 1).to_string()])
        }
        ("integer", _) if schema["minimum"] == 0 => {
            let most = schema["maximum"].as_u64().unwrap();
            (vec!["0".to_owned(), most.to_string()], words(&["-1", "18446744073709551616"]))
        }
        ("integer", _) => {
            (vec![i64::MIN.to_string(), i64::MAX.to_string()], words(&["9223372036854775808", "x"]))
        }
        ("boolean", _) => (words(&["true", "false"]), words(&["yes", "1"])),
        ("string", "wait") => {
            (words(&["0", "0s", "0m", "%200ms"]), words(&["61s", "2m", "soon", "-1", ""]))
        }
        ("string", "max_age") => (
            words(&["90", "55s", "10m", "36h", "7d", "250ms", "99999999", "999w", "9999d"]),
            words(&["", "-5", "%2B5", "1.5h", "10%20m", "1y", "10001d"]),
        ),
        ("string", "allow") => (
            words(&["", "hold", "hold,%20stale", ",", "continue,,change"]),
            words(&["stop", "unknown", "hold%20stale"]),
        ),
        ("string", _) if schema["enum"].is_array() => {
            let known = schema["enum"].as_array().unwrap().iter();
            (known.map(|word| word.as_str().unwrap().to_owned()).collect(), words(&["another"]))
        }
        ("string", _) if schema["format"] == "date-time" => {
            (words(&["2026-08-11T00:00:00Z"]), words(&["yesterday"]))
        }
        ("string", _) => (words(&["anything"]), Vec::new()),
        _ => panic!("{name}: a {kind} is not tried here"),
    }
}

/// Bounds, words and forms of the document are those of the code: what it allows is taken, what
/// is just beyond is refused, and a parameter it does not name is none.
#[tokio::test]
async fn parameters_are_taken_and_refused_where_the_document_says() {
    let site = Site::sample().await;
    let parameters = query_parameters(&document());
    let (mut taken, mut refused) = (0, 0);
    for (path, parameter) in &parameters {
        let name = parameter["name"].as_str().unwrap();
        let (good, bad) = tried(name, &parameter["schema"]);
        for value in good {
            let answer = site.get(&format!("{path}?{name}={value}")).await;
            assert!(answer.status.is_success(), "{path} {name}={value}: {}", answer.body);
            taken += 1;
        }
        for value in bad {
            let answer = site.get(&format!("{path}?{name}={value}")).await;
            assert!(answer.status.is_client_error(), "{path} {name}={value}: {}", answer.body);
            refused += 1;
        }
        // The page for people forgives.
        if path != "/log" {
            let answer = site.get(&format!("{path}?no_such_parameter=1")).await;
            assert!(answer.status.is_client_error(), "{path}: {}", answer.body);
        }
    }
    assert!(taken > 60 && refused > 40, "{taken} {refused}");
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Site::empty().get("/api/v1/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), document());
}
