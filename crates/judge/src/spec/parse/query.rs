//! `source:` and `query:` — what is asked where, in the terms of the source's kind.
//!
//! Prometheus gets one expression per contract column, CSV and SQL get column names. A query must
//! deliver the columns of its form; what it could not deliver is a diagnostic, not a failed fetch.

use std::collections::BTreeMap;

use super::keys;
use super::template::{self, Fault};
use super::walk::{Fields, Walk, join, readable};
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::model::{COVARIATE, Query};
use crate::spec::nearest::{list, suggestion};
use crate::spec::tree::{Entry, Kind, Node, Scalar};

/// What a query must deliver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Contract columns of the form or guardrail.
    pub(super) columns: &'static [&'static str],
    /// Columns that it may deliver beyond.
    pub(super) optional: &'static [&'static str],
    /// Whether units are told apart by arm.
    pub(super) arms: bool,
}

/// The language of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    PromQl,
    Csv,
    Sql,
}

impl Language {
    fn of_kind(kind: &str) -> Option<Self> {
        match kind {
            "prometheus" | "prom" | "promql" => Some(Self::PromQl),
            "csv" => Some(Self::Csv),
            "postgres" | "postgresql" | "sql" | "warehouse" | "clickhouse" | "bigquery"
            | "snowflake" | "databricks" | "trino" => Some(Self::Sql),
            _ => None,
        }
    }

    /// What a query looks like when nobody knows the source.
    fn guess(query: &Query) -> Self {
        match &query.file {
            Some(file) if is_sql(file) => Self::Sql,
            Some(_) => Self::Csv,
            None if query.sql.is_some() => Self::Sql,
            None => Self::PromQl,
        }
    }
}

pub(super) fn is_sql(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("sql"))
}

/// Reads `source` and `query` (or the columns written directly beside it).
pub(super) fn source_and_query(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    wanted: Wanted,
) -> (Option<String>, Option<Query>) {
    let source = source(walk, fields);
    let direct: Vec<&Entry> = fields
        .entries
        .iter()
        .filter(|entry| keys::COLUMNS.contains(&entry.key.as_str()))
        .filter(|entry| !walk.is_unknown_key(entry))
        .collect();
    let query = match (fields.get("query"), direct.first()) {
        (Some(_), Some(column)) => {
            let message = format!("`query` and `{}` exclude each other", column.key);
            walk.fail("E0206", column.key_pos, message, "move the column into `query`")
        }
        (Some(node), None) => query_node(walk, node, &fields.at("query"), wanted, &source),
        (None, Some(_)) => {
            let mut query = Query::default();
            for entry in direct {
                add_column(walk, &mut query, entry, &fields.path, wanted);
            }
            finish(walk, query, fields, wanted, &source)
        }
        (None, None) => {
            let column = wanted.columns.first().copied().unwrap_or("value");
            let example = format!("{{{column}: ...}}");
            walk.required(fields, "query", &example).and(None)
        }
    };
    (source.map(|(name, _)| name), query)
}

/// A second query to the source of `fields`, whose faults were told with the first.
pub(super) fn second_query(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    wanted: Wanted,
    fields: &Fields<'_>,
) -> Option<Query> {
    let before = walk.found.len();
    let source = fields.get("source").and_then(|node| walk.text(node, &fields.at("source")));
    walk.found.truncate(before);
    let kind_of = |name: &String| walk.ctx.sources.as_ref().and_then(|known| known.get(name));
    let source = source.map(|name| (name.clone(), kind_of(&name).cloned()));
    query_node(walk, node, path, wanted, &source)
}

/// A source's name and its kind as far as it is known.
type Source = Option<(String, Option<String>)>;

fn source(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Source {
    let node = walk.required(fields, "source", "warehouse")?;
    let name = walk.text(node, &fields.at("source"))?;
    let kind = walk.ctx.sources.as_ref().and_then(|known| known.get(&name)).cloned();
    let names = walk.ctx.sources.as_ref().map(|known| known.keys().cloned().collect());
    walk.known_name("E0402", "source", &name, node.pos, names.as_ref());
    Some((name, kind))
}

fn query_node(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    wanted: Wanted,
    source: &Source,
) -> Option<Query> {
    let allowed: Vec<&str> = keys::QUERY.iter().chain(keys::COLUMNS).copied().collect();
    let fields = walk.fields(node, path, &allowed)?;
    let mut query = Query {
        file: walk.opt_text(&fields, "file"),
        sql: walk.opt_text(&fields, "sql"),
        ..Query::default()
    };
    if query.file.is_some() && query.sql.is_some() {
        let hint = "keep the text in one place";
        let message = "`file` and `sql` exclude each other";
        return walk.fail("E0206", fields.key_pos("sql"), message, hint);
    }
    if let Some(columns) = fields.get("columns") {
        let columns = walk.fields(columns, &join(path, "columns"), keys::COLUMNS);
        for entry in columns.iter().flat_map(|columns| columns.entries) {
            add_column(walk, &mut query, entry, &join(path, "columns"), wanted);
        }
    }
    for entry in fields.entries {
        if keys::COLUMNS.contains(&entry.key.as_str()) {
            add_column(walk, &mut query, entry, path, wanted);
        }
    }
    if let Some(only) = fields.get("only") {
        query.only = only_rows(walk, only, &join(path, "only")).unwrap_or_default();
    }
    if let Some(node) = fields.get("cumulative") {
        query.cumulative = walk.yes_no(node, &join(path, "cumulative")).unwrap_or_default();
    }
    finish(walk, query, &fields, wanted, source)
}

fn only_rows(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<BTreeMap<String, String>> {
    let fields = walk.entries(node, path)?;
    let mut only = BTreeMap::new();
    for entry in fields.entries {
        let value = walk.text(&entry.value, &fields.at(&entry.key))?;
        only.insert(entry.key.clone(), value);
    }
    Some(only)
}

fn add_column(walk: &mut Walk<'_>, query: &mut Query, entry: &Entry, path: &str, wanted: Wanted) {
    let name = entry.key.as_str();
    let summary = matches!(name, "mean" | "variance") && wanted.columns.contains(&"sum_sq");
    let always = matches!(name, "time" | "arm") || summary;
    let known = wanted.columns.contains(&name) || wanted.optional.contains(&name);
    if keys::COLUMNS.contains(&name) && !always && !known {
        let message = format!("column `{name}` does not belong here");
        let hint = if COVARIATE.contains(&name) {
            "a covariate belongs to a proportion or mean with `design: arms`".to_owned()
        } else {
            format!("this query delivers {}", list(wanted.columns))
        };
        walk.report(Diagnostic::new("E0502", entry.key_pos, message).hint(hint));
        return;
    }
    let Some(text) = walk.text(&entry.value, &join(path, name)) else {
        return;
    };
    if query.columns.insert(name.to_owned(), text).is_some() {
        let message = format!("column `{name}` is given twice");
        let hint = "keep it in `columns:` or beside it";
        walk.report(Diagnostic::new("E0206", entry.key_pos, message).hint(hint));
    }
}

/// The checks that need the whole query.
fn finish(
    walk: &mut Walk<'_>,
    mut query: Query,
    fields: &Fields<'_>,
    wanted: Wanted,
    source: &Source,
) -> Option<Query> {
    let kind = source.as_ref().and_then(|(_, kind)| kind.as_deref());
    let known = kind.and_then(Language::of_kind);
    let language = known.unwrap_or_else(|| Language::guess(&query));
    let before = walk.found.len();
    if COVARIATE.iter().any(|column| query.columns.contains_key(*column)) {
        require_columns(walk, &query, fields, &COVARIATE);
    }
    match language {
        Language::PromQl => check_promql(walk, &query, fields, wanted),
        Language::Csv => check_csv(walk, &query, fields, wanted),
        Language::Sql => check_sql(walk, &mut query, fields),
    }
    (walk.found[before..].iter().all(|one| one.code.starts_with('W'))).then_some(query)
}

/// Reports contract columns that nothing delivers.
fn require_columns(walk: &mut Walk<'_>, query: &Query, fields: &Fields<'_>, wanted: &[&str]) {
    let is_missing = |name: &&str| !query.columns.contains_key(*name);
    let missing: Vec<&str> = wanted.iter().copied().filter(is_missing).collect();
    let Some(first) = missing.first() else {
        return;
    };
    let message = format!("`{}` has no column for {}", readable(&fields.path), list(&missing));
    let hint = format!("add `{first}: ...`");
    walk.report(Diagnostic::new("E0501", fields.pos, message).hint(hint));
}

fn check_promql(walk: &mut Walk<'_>, query: &Query, fields: &Fields<'_>, wanted: Wanted) {
    let foreign = ["file", "sql", "only", "time", "cumulative", "mean", "variance"];
    let is_foreign = |entry: &&Entry| foreign.contains(&entry.key.as_str());
    for entry in fields.entries.iter().filter(is_foreign) {
        let message = format!("`{}` does not fit a Prometheus source", entry.key);
        let columns = list(wanted.columns);
        let hint = format!("write one PromQL expression for each of {columns}");
        walk.report(Diagnostic::new("E0507", entry.key_pos, message).hint(hint));
    }
    require_columns(walk, query, fields, wanted.columns);
    for (name, text) in &query.columns {
        for fault in template::check_promql(text) {
            let pos = match fields.get(name).map(|node| &node.kind) {
                Some(Kind::Scalar(scalar)) => locate(walk, scalar, &fault),
                _ => walk.places.get(&fields.at("columns")).copied().unwrap_or(fields.pos),
            };
            report_fault(walk, pos, name, &fault);
        }
    }
}

/// The place of a fault in a text that was trimmed when it was read.
fn locate(walk: &Walk<'_>, scalar: &Scalar, fault: &Fault) -> SourcePos {
    let lead = scalar.text.chars().take_while(|c| c.is_whitespace()).count();
    scalar.locate(walk.file, lead + fault.offset, fault.len)
}

fn report_fault(walk: &mut Walk<'_>, pos: SourcePos, whose: &str, fault: &Fault) {
    let message = format!("`{whose}`: {}", fault.message);
    walk.report(Diagnostic::new(fault.code, pos, message).hint(fault.hint.clone()));
}

fn check_csv(walk: &mut Walk<'_>, query: &Query, fields: &Fields<'_>, wanted: Wanted) {
    if query.sql.is_some() {
        let hint = "name the CSV file or pattern with `file:`";
        let message = "`sql` does not fit a CSV source";
        walk.report(Diagnostic::new("E0507", fields.key_pos("sql"), message).hint(hint));
    }
    match &query.file {
        None => {
            let message = format!("`{}` names no CSV file", readable(&fields.path));
            let hint = "add `file: export_*.csv`";
            walk.report(Diagnostic::new("E0501", fields.pos, message).hint(hint));
        }
        Some(file) => {
            if is_sql(file) {
                let hint = "name a CSV file, or ask a warehouse";
                let message = format!("`{file}` does not fit a CSV source");
                walk.report(Diagnostic::new("E0507", fields.key_pos("file"), message).hint(hint));
            }
            check_relative(walk, file, fields.key_pos("file"));
        }
    }
    let mut columns = vec!["time"];
    // A header with `{arm}` stands for one column per arm.
    let is_wide = query.columns.values().any(|text| text.contains("{arm}"));
    if wanted.arms && !is_wide {
        columns.push("arm");
    }
    let is_summary = ["mean", "variance"].iter().any(|name| query.columns.contains_key(*name));
    columns.extend(if is_summary { &["n", "mean", "variance"] } else { wanted.columns });
    let beyond = wanted.optional.iter().find(|name| query.columns.contains_key(**name));
    if let (true, Some(column)) = (is_summary, beyond) {
        let hint = "export `n, sum, sum_sq` beside it";
        let message = format!("`mean, variance` and `{column}` exclude each other");
        walk.report(Diagnostic::new("E0206", fields.pos, message).hint(hint));
    }
    require_columns(walk, query, fields, &columns);
    if query.cumulative && wanted.columns == ["value"] {
        let hint = "leave `cumulative` out: a value is not added up";
        let message = "a number without counts has no totals";
        walk.report(Diagnostic::new("E0507", fields.key_pos("cumulative"), message).hint(hint));
    }
    for (name, text) in &query.columns {
        if text.contains("{{") {
            let hint = "a CSV column is named as its header says";
            let message = format!("`{name}`: a column name takes no placeholder");
            walk.report(Diagnostic::new("E0505", fields.key_pos(name), message).hint(hint));
        }
    }
}

/// Files lie beside the experiment file or in the source's folder, never above.
pub(super) fn check_relative(walk: &mut Walk<'_>, file: &str, pos: SourcePos) {
    let above = file.split(['/', '\\']).any(|part| part == "..");
    if above || file.starts_with(['/', '\\', '~']) || file.contains(':') {
        let message = format!("`{file}` leaves its folder");
        let hint = "write a name relative to the folder, without `..`";
        walk.report(Diagnostic::new("E0503", pos, message).hint(hint));
    }
}

fn check_sql(walk: &mut Walk<'_>, query: &mut Query, fields: &Fields<'_>) {
    if !query.only.is_empty() {
        let hint = "write the condition into the SQL";
        let message = "`only` does not fit a warehouse";
        walk.report(Diagnostic::new("E0507", fields.key_pos("only"), message).hint(hint));
    }
    for key in ["cumulative", "mean", "variance"] {
        if fields.get(key).is_some() {
            let hint = "return one row per period and arm, as sums";
            let message = format!("`{key}` does not fit a warehouse");
            walk.report(Diagnostic::new("E0507", fields.key_pos(key), message).hint(hint));
        }
    }
    if let Some(file) = query.file.clone() {
        let pos = fields.get("file").map_or(fields.pos, |node| node.pos);
        query.sql = sql_of_file(walk, &file, pos);
        return;
    }
    let (Some(sql), Some(node)) = (&query.sql, fields.get("sql")) else {
        let message = format!("`{}` holds no SQL", readable(&fields.path));
        let hint = "add `file: name.sql` or `sql: select ...`";
        walk.report(Diagnostic::new("E0501", fields.pos, message).hint(hint));
        return;
    };
    let faults = template::check_sql(sql);
    if faults.is_empty() {
        warn_unbounded(walk, sql, node.pos);
    }
    if let Kind::Scalar(scalar) = &node.kind {
        for fault in faults {
            let pos = locate(walk, scalar, &fault);
            report_fault(walk, pos, "sql", &fault);
        }
    }
}

fn sql_of_file(walk: &mut Walk<'_>, file: &str, pos: SourcePos) -> Option<String> {
    let before = walk.found.len();
    check_relative(walk, file, pos);
    if walk.found.len() > before {
        return None;
    }
    let Some(text) = walk.ctx.files.get(file) else {
        let message = format!("query file `{file}` is not there");
        let near = suggestion(file, walk.ctx.files.keys().map(String::as_str));
        let hint = format!("put it beside the experiment file; {near}");
        return walk.fail("E0503", pos, message, hint);
    };
    walk.files_read.insert(file.to_owned(), text.clone());
    let faults = template::check_sql(text);
    if faults.is_empty() {
        warn_unbounded(walk, text, pos);
    }
    for fault in faults {
        let (line, column) = template::line_and_column(text, fault.offset);
        let diagnostic = Diagnostic::new(fault.code, pos, format!("`{file}`: {}", fault.message))
            .cause(format!("{file}:{line}:{column}"))
            .hint(fault.hint);
        walk.report(diagnostic);
    }
    Some(text.clone())
}

/// Data outside the window would be fetched, and refused, at every look.
fn warn_unbounded(walk: &mut Walk<'_>, sql: &str, pos: SourcePos) {
    let bounded = |name: &str| sql.contains(name);
    let start = bounded("{{start}}") || bounded("{{start_date}}");
    let end = bounded("{{end}}") || bounded("{{end_date}}");
    if !(start && end) {
        let hint = "filter by `{{start}}` and `{{end}}`";
        let message = "the query ignores its window";
        walk.report(Diagnostic::new("W0115", pos, message).hint(hint));
    }
}
