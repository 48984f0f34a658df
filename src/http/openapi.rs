//! `/api/v1/openapi.json`: the HTTP API as an OpenAPI 3.1 document, made from the table of routes.
//!
//! A [`Doc`] stands beside each handler in `routes`; [`document`] turns all of them into one
//! document with sorted keys, so that the committed copy under `docs/reference` can be compared.

pub(super) mod schemas;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::routes;

/// One operation: a method of a path and what is said about it.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// `get` or `post`.
    pub(super) method: &'static str,
    /// As in the router.
    pub(super) path: &'static str,
    /// Its description.
    pub(super) doc: Doc,
}

/// What is said about one operation.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    tag: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<(&'static str, &'static str)>,
    answers: Vec<(u16, Value)>,
    needs_token: bool,
}

/// A description under a tag; the summary is one sentence without a full stop.
pub(super) fn doc(tag: &'static str, summary: &'static str) -> Doc {
    Doc {
        tag,
        summary,
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        needs_token: false,
    }
}

/// A page for people.
pub(super) fn page(summary: &'static str) -> Doc {
    doc("Pages", summary).answers_kind("text/html", "The page")
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

impl Doc {
    fn query(mut self, name: &str, about: &str, schema: Value) -> Self {
        let parameter = json!({"name": name, "in": "query", "description": about,
            "required": false, "schema": schema});
        self.parameters.push(parameter);
        self
    }

    /// A query parameter that is text.
    pub(super) fn text_query(self, name: &str, about: &str) -> Self {
        self.query(name, about, json!({"type": "string"}))
    }

    /// A query parameter that is text of a form.
    pub(super) fn pattern_query(self, name: &str, about: &str, pattern: &str) -> Self {
        self.query(name, about, json!({"type": "string", "pattern": pattern}))
    }

    /// A query parameter that is a length of time.
    pub(super) fn span_query(self, name: &str, about: &str) -> Self {
        self.pattern_query(name, about, SPAN)
    }

    /// A query parameter that is any whole number of 64 bits.
    pub(super) fn integer_query(self, name: &str, about: &str) -> Self {
        self.query(name, about, json!({"type": "integer", "format": "int64"}))
    }

    /// A query parameter that is a whole number, zero or more.
    pub(super) fn count_query(self, name: &str, about: &str) -> Self {
        self.query(name, about, count())
    }

    /// How many rows a page has, at most `most`.
    pub(super) fn limit_query(self, most: usize) -> Self {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": most});
        self.query("limit", &format!("At most so many, 1 to {most}"), schema)
            .refuses(422, "The limit is outside its range, or another parameter cannot be used")
    }

    /// A query parameter that is `true` or `false`.
    pub(super) fn boolean_query(self, name: &str, about: &str) -> Self {
        self.query(name, about, json!({"type": "boolean"}))
    }

    /// A query parameter that is an instant.
    pub(super) fn instant_query(self, name: &str, about: &str) -> Self {
        self.query(name, about, json!({"type": "string", "format": "date-time"}))
    }

    /// A query parameter that is one of some words.
    pub(super) fn choice_query(self, name: &str, about: &str, words: &[&str]) -> Self {
        self.query(name, about, json!({"type": "string", "enum": words}))
    }

    /// A header that is read.
    pub(super) fn header(mut self, name: &str, about: &str) -> Self {
        let parameter = json!({"name": name, "in": "header", "description": about,
            "required": false, "schema": {"type": "string"}});
        self.parameters.push(parameter);
        self
    }

    /// The JSON body it takes, by the name of its schema.
    pub(super) fn takes(self, schema: &'static str) -> Self {
        self.takes_as("application/json", schema)
    }

    /// The fields of a form it takes, by the name of their schema.
    pub(super) fn takes_form(self, schema: &'static str) -> Self {
        self.takes_as("application/x-www-form-urlencoded", schema)
    }

    fn takes_as(mut self, kind: &'static str, schema: &'static str) -> Self {
        self.body = Some((kind, schema));
        self
    }

    /// It needs a token of `[[http.tokens]]`.
    pub(super) fn with_token(mut self) -> Self {
        self.needs_token = true;
        self.refuses(401, "The token is missing or not known").refuses(403, "It may not do this")
    }

    fn answer(mut self, status: u16, about: &str, content: Value) -> Self {
        let mut answer = json!({"description": about});
        if !content.is_null() {
            answer["content"] = content;
        }
        self.answers.push((status, answer));
        self
    }

    /// 200 with JSON of that schema.
    pub(super) fn answers(self, schema: &str) -> Self {
        self.answers_with(200, schema)
    }

    /// A status with JSON of that schema.
    pub(super) fn answers_with(self, status: u16, schema: &str) -> Self {
        let content = json!({"application/json": {"schema": reference(schema)}});
        self.answer(status, schema, content)
    }

    /// 200 with JSON of that schema, or JSON lines.
    pub(super) fn answers_lines(self, schema: &str) -> Self {
        self.answers_lines_with(200, schema)
    }

    /// A status with JSON of that schema, JSON lines, or a problem.
    pub(super) fn answers_lines_with(self, status: u16, schema: &str) -> Self {
        let mut content = json!({
            "application/json": {"schema": reference(schema)},
            "application/jsonl": {"schema": {"type": "string"}},
        });
        if status >= 400 {
            content["application/problem+json"] = json!({"schema": {}});
        }
        self.answer(status, schema, content)
    }

    /// 200 with plain text.
    pub(super) fn answers_text(self, about: &str) -> Self {
        self.answers_text_with(200, about)
    }

    /// A status with plain text.
    pub(super) fn answers_text_with(self, status: u16, about: &str) -> Self {
        self.answer(status, about, json!({"text/plain": {"schema": {"type": "string"}}}))
    }

    /// 200 with text of another kind.
    pub(super) fn answers_kind(self, kind: &str, about: &str) -> Self {
        self.answers_kinds(&[kind], about)
    }

    /// 200 in any of these kinds of text.
    pub(super) fn answers_kinds(self, kinds: &[&str], about: &str) -> Self {
        let text = |kind: &&str| ((*kind).to_owned(), json!({"schema": {"type": "string"}}));
        self.answer(200, about, Value::Object(kinds.iter().map(text).collect()))
    }

    /// A status without a body.
    pub(super) fn answers_empty(self, status: u16, about: &str) -> Self {
        self.answer(status, about, Value::Null)
    }

    /// A refusal as problem+json.
    pub(super) fn refuses(self, status: u16, about: &str) -> Self {
        self.answer(status, about, problem())
    }

    /// A refusal as a page, for whoever sent a form; as problem+json where no form was read.
    pub(super) fn refuses_page(self, status: u16, about: &str) -> Self {
        let mut content = problem();
        content["text/html"] = json!({"schema": {"type": "string"}});
        self.answer(status, about, content)
    }
}

/// `90`, `55s`, `10m`, `36h`, `7d`, `2w`, `250ms`; at most 10,000 days, as `gate::span_secs` reads.
const SPAN: &str =
    "^ *([0-9]{1,8}s?|[0-9]{1,11}ms|[0-9]{1,7}m|[0-9]{1,5}h|[0-9]{1,4}d|[0-9]{1,3}w) *$";

/// A whole number that is stored unsigned.
fn count() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u64::MAX})
}

fn problem() -> Value {
    json!({"application/problem+json": {"schema": reference("Problem")}})
}

impl Operation {
    fn as_json(&self) -> Value {
        let mut responses = Map::new();
        for (status, answer) in &self.doc.answers {
            responses.insert(status.to_string(), answer.clone());
        }
        if !self.is_doc_of_a_page() {
            let other = json!({"description": "Any other refusal", "content": problem()});
            responses.insert("default".to_owned(), other);
        }
        let mut parameters = path_parameters(self.path);
        parameters.extend(self.doc.parameters.iter().cloned());
        let mut operation = json!({
            "operationId": self.id(),
            "tags": [self.doc.tag],
            "summary": self.doc.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if let Some((kind, schema)) = self.doc.body {
            operation["requestBody"] = json!({
                "required": true,
                "content": {kind: {"schema": reference(schema)}},
            });
        }
        if self.doc.needs_token {
            operation["security"] = json!([{"token": []}]);
        }
        operation
    }

    fn is_doc_of_a_page(&self) -> bool {
        self.doc.tag == "Pages" && self.doc.answers.len() == 1
    }

    /// `get_api_v1_experiments_id`.
    fn id(&self) -> String {
        let letters = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let path: String = self.path.chars().map(letters).collect();
        let parts: Vec<&str> = path.split('_').filter(|part| !part.is_empty()).collect();
        format!("{}_{}", self.method, parts.join("_")).trim_end_matches('_').to_owned()
    }
}

/// `{number}` of the API is a whole number, every other part is text.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let is_number = name == "number" && path.starts_with("/api/");
        let schema = if is_number { count() } else { json!({"type": "string", "minLength": 1}) };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    };
    names.map(parameter).collect()
}

/// The whole document.
pub(super) fn document(operations: &[Operation]) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.as_json();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "verdictd",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Everything a daemon answers over HTTP. Reading is open on the listen \
                            address, writing needs a token. Every refusal is problem+json, but \
                            for gates, which answer in one plain sentence.",
        },
        "servers": [{"url": "/"}],
        "security": [],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer",
                "description": "A token of [[http.tokens]]; its name is who writes"}},
        },
    })
}

/// The document as it is served and committed.
pub(super) fn text() -> String {
    let document = document(routes::all().operations());
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{text}\n")
}

static TEXT: LazyLock<String> = LazyLock::new(text);

pub(super) async fn serve() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
