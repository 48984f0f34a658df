//! OpenSLO v1 files: text in, objectives and every diagnostic out.
//!
//! Beside the walk of experiment files and with the same toolbox: nothing stops at the first
//! fault, unknown keys are reported. A file may hold several documents (SLO, SLI, AlertPolicy,
//! AlertCondition, DataSource, Service); references lead to documents of the same file.
//! Format: the OpenSLO specification, v1 (github.com/OpenSLO/OpenSLO).

mod alerts;
mod indicator;
mod objective;
mod period;
pub(super) mod promql;

use std::collections::BTreeMap;

use super::Context;
use super::walk::{Fields, Walk};
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::nearest::suggestion;
use crate::spec::openslo::OpenSlo;
use crate::spec::tree::{self, Kind, Node};

/// The only version that is read.
const VERSION: &str = "openslo/v1";
/// Every kind of a document.
const KINDS: &[&str] = &[
    "SLO",
    "SLI",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
    "DataSource",
    "Service",
];
const DOCUMENT: &[&str] = &["apiVersion", "kind", "metadata", "spec"];

/// Whether a text is an OpenSLO file rather than an experiment file: `apiVersion` is a key of every
/// document there and of none here.
pub fn is_openslo(text: &str) -> bool {
    let is_json = text.trim_start().starts_with('{') && text.contains("\"apiVersion\"");
    is_json || text.lines().any(|line| line.starts_with("apiVersion:"))
}

/// Reads an OpenSLO file. Never fails and never panics.
pub fn openslo(text: &str) -> OpenSlo {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (roots, faults) = tree::read_all(text);
    let ctx = Context::default();
    let mut walk = Walk::new(text, &ctx);
    walk.found = faults;
    let documents = Documents::collect(&mut walk, &roots);
    let mut slos = Vec::new();
    for document in documents.of("SLO") {
        slos.extend(objective::slo(&mut walk, &documents, document));
    }
    documents.read_the_rest(&mut walk);
    if documents.of("SLO").next().is_none() && walk.found.is_empty() {
        let message = "the file holds no document of `kind: SLO`";
        let hint = "put the SLO and what it refers to into one file, separated by `---`";
        walk.report(Diagnostic::new("E0701", SourcePos::FIRST, message).hint(hint));
    }
    // A document that two others refer to is read twice.
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for one in walk.found {
        if !diagnostics.contains(&one) {
            diagnostics.push(one);
        }
    }
    diagnostics.sort_by_key(|one| (one.pos.line, one.pos.column, one.code));
    OpenSlo { slos, diagnostics }
}

/// One document whose head could be read.
#[derive(Debug, Clone)]
struct Document<'t> {
    kind: &'static str,
    name: String,
    pos: SourcePos,
    annotations: BTreeMap<String, (String, SourcePos)>,
    spec: Option<&'t Node>,
}

impl Document<'_> {
    /// `SLO checkout.spec`: how the walk names the place.
    fn path(&self) -> String {
        format!("{} {}.spec", self.kind, self.name)
    }
}

#[derive(Debug)]
struct Documents<'t> {
    all: Vec<Document<'t>>,
}

impl<'t> Documents<'t> {
    fn collect(walk: &mut Walk<'_>, roots: &'t [Node]) -> Self {
        let mut all: Vec<Document<'t>> = Vec::new();
        for root in roots {
            if matches!(root.kind, Kind::Null) {
                continue;
            }
            let Some(document) = head(walk, root, None) else {
                continue;
            };
            let twin = all.iter().any(|one| one.kind == document.kind && one.name == document.name);
            if twin {
                let message = format!("there are two {} `{}`", document.kind, document.name);
                let hint = "give one of them another name";
                walk.report(Diagnostic::new("E0104", document.pos, message).hint(hint));
            }
            all.push(document);
        }
        Self { all }
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = &Document<'t>> {
        self.all.iter().filter(move |one| one.kind == kind)
    }

    /// The document that a reference names.
    fn find(
        &self,
        walk: &mut Walk<'_>,
        kind: &'static str,
        name: &str,
        pos: SourcePos,
    ) -> Option<Document<'t>> {
        if let Some(found) = self.of(kind).find(|one| one.name == name) {
            return Some(found.clone());
        }
        let names: Vec<&str> = self.of(kind).map(|one| one.name.as_str()).collect();
        let message = format!("there is no {kind} `{name}` in this file");
        let hint = match names.as_slice() {
            [] => format!("add the {kind} as a document of this file, after `---`"),
            _ => suggestion(name, names.iter().copied()),
        };
        walk.fail("E0702", pos, message, hint)
    }

    /// Documents that no SLO refers to are read too, for their faults.
    fn read_the_rest(&self, walk: &mut Walk<'_>) {
        for document in self.of("SLI") {
            indicator::checked(walk, self, document);
        }
        for document in self.of("AlertPolicy") {
            alerts::policy(walk, self, document, &mut Vec::new());
        }
        for document in self.of("AlertCondition") {
            alerts::condition(walk, document);
        }
        for document in self.of("DataSource") {
            kind_of_source(walk, document);
        }
    }
}

/// `type` of a data source; its connection is the daemon's business.
fn kind_of_source(walk: &mut Walk<'_>, document: &Document<'_>) -> Option<String> {
    let allowed = ["description", "type", "connectionDetails"];
    let fields = spec_of(walk, document, &allowed)?;
    let node = walk.required(&fields, "type", "Prometheus")?;
    walk.text(node, &fields.at("type"))
}

/// The fields of a document's spec; a document without one is reported.
fn spec_of<'t>(
    walk: &mut Walk<'_>,
    document: &Document<'t>,
    allowed: &[&str],
) -> Option<Fields<'t>> {
    let Some(spec) = document.spec else {
        let message = format!("{} `{}` has no `spec`", document.kind, document.name);
        return walk.fail("E0202", document.pos, message, "add `spec:`");
    };
    walk.fields(spec, &document.path(), allowed)
}

/// Reads `apiVersion`, `kind`, `metadata` of a document or of one written in place, whose kind is
/// known from where it stands.
fn head<'t>(
    walk: &mut Walk<'_>,
    root: &'t Node,
    inline: Option<&'static str>,
) -> Option<Document<'t>> {
    let fields = walk.entries(root, "")?;
    let kind = match (fields.get("kind"), inline) {
        (None, Some(kind)) => kind,
        (node, _) => kind_of(walk, &fields, node)?,
    };
    if let Some(wanted) = inline.filter(|wanted| *wanted != kind) {
        let message = format!("a {kind} stands where a {wanted} belongs");
        return walk.fail("E0701", fields.key_pos("kind"), message, format!("`kind: {wanted}`"));
    }
    if inline.is_none() {
        version(walk, &fields);
    }
    for entry in fields.entries {
        if !DOCUMENT.contains(&entry.key.as_str()) {
            let message = format!("unknown key `{}` in a document of kind {kind}", entry.key);
            let hint = suggestion(&entry.key, DOCUMENT.iter().copied());
            walk.report(Diagnostic::new("E0201", entry.key_pos, message).hint(hint));
        }
    }
    let metadata = match (fields.get("metadata"), inline) {
        (Some(node), _) => walk.entries(node, &format!("{kind}.metadata"))?,
        (None, Some(_)) => Fields { path: String::new(), pos: fields.pos, entries: &[] },
        (None, None) => {
            let message = format!("this {kind} has no `metadata`");
            return walk.fail("E0202", fields.pos, message, "add `metadata: {name: a-name}`");
        }
    };
    report_metadata(walk, &metadata);
    let name = match (metadata.get("name"), inline) {
        (Some(node), _) => walk.text(node, &metadata.at("name"))?,
        (None, Some(_)) => "in place".to_owned(),
        (None, None) => {
            let message = format!("this {kind} has no name");
            return walk.fail("E0202", metadata.pos, message, "add `name: a-name`");
        }
    };
    let pos = metadata.get("name").map_or(root.pos, |node| node.pos);
    let annotations = annotations(walk, &metadata);
    Some(Document { kind, name, pos, annotations, spec: fields.get("spec") })
}

fn kind_of(walk: &mut Walk<'_>, fields: &Fields<'_>, node: Option<&Node>) -> Option<&'static str> {
    let Some(node) = node else {
        let message = "this document has no `kind`";
        let hint = "an OpenSLO document begins with `apiVersion: openslo/v1` and `kind: SLO`";
        return walk.fail("E0701", fields.pos, message, hint);
    };
    let written = walk.text(node, "kind")?;
    let found = KINDS.iter().copied().find(|kind| *kind == written);
    if found.is_none() {
        let message = format!("`{written}` is not a kind of OpenSLO");
        let hint = suggestion(&written, KINDS.iter().copied());
        return walk.fail("E0701", node.pos, message, hint);
    }
    found
}

fn version(walk: &mut Walk<'_>, fields: &Fields<'_>) {
    let written = walk.opt_text(fields, "apiVersion");
    if written.as_deref() != Some(VERSION) {
        let shown = written.unwrap_or_else(|| "nothing".to_owned());
        let message = format!("`apiVersion` is {shown}, not {VERSION}");
        let pos = fields.get("apiVersion").map_or(fields.pos, |node| node.pos);
        let hint = format!("write `apiVersion: {VERSION}`; other versions are not read");
        walk.report(Diagnostic::new("E0701", pos, message).hint(hint));
    }
}

/// Free labels are nobody's business here; a key that the format does not have is said.
fn report_metadata(walk: &mut Walk<'_>, metadata: &Fields<'_>) {
    let known = ["name", "displayName", "labels", "annotations"];
    for entry in metadata.entries {
        if !known.contains(&entry.key.as_str()) {
            let message = format!("`metadata.{}` is no part of OpenSLO and is not read", entry.key);
            let hint = suggestion(&entry.key, known.iter().copied());
            walk.report(Diagnostic::new("W0301", entry.key_pos, message).hint(hint));
        }
    }
}

fn annotations(
    walk: &mut Walk<'_>,
    metadata: &Fields<'_>,
) -> BTreeMap<String, (String, SourcePos)> {
    let mut found = BTreeMap::new();
    let Some(node) = metadata.get("annotations") else {
        return found;
    };
    let Some(fields) = walk.entries(node, &metadata.at("annotations")) else {
        return found;
    };
    for entry in fields.entries {
        if let Kind::Scalar(scalar) = &entry.value.kind {
            found.insert(entry.key.clone(), (scalar.text.trim().to_owned(), entry.value.pos));
        }
    }
    found
}

/// A part of the format that has no counterpart here.
fn unsupported<T>(
    walk: &mut Walk<'_>,
    pos: SourcePos,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Option<T> {
    walk.fail("E0704", pos, message, hint)
}

/// Something is read in another way than it may be meant: said once in the file and once in the
/// notes of the objective.
fn note(walk: &mut Walk<'_>, notes: &mut Vec<String>, pos: SourcePos, message: &str, hint: &str) {
    let diagnostic = Diagnostic::new("W0301", pos, message).hint(hint);
    if !walk.found.contains(&diagnostic) {
        walk.report(diagnostic);
    }
    if !notes.iter().any(|known| known == message) {
        notes.push(message.to_owned());
    }
}
