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
            assert!(answers.contains_key(&status) || answers.contains_key("default"), "{path}");
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {filled}");
            assert!(!answer.body.contains("no such page; /"), "{method} {filled}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Site::empty().get("/api/v1/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), document());
}
