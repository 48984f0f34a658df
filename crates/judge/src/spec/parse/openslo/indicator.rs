//! SLIs: what is counted and where.
//!
//! `ratioMetric` is good or bad of total, or a stored ratio (`raw`); `thresholdMetric` is a value
//! that an objective compares. Only Prometheus queries are read: bad and total of another source
//! are one query there and two here.

use super::super::walk::{Fields, Walk, join};
use super::promql::{self, Refusal};
use super::{Document, Documents, head, kind_of_source, note, spec_of, unsupported};
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::tree::Node;

const SLI: &[&str] = &["description", "ratioMetric", "thresholdMetric"];
const RATIO: &[&str] = &["counter", "good", "bad", "total", "raw", "rawType"];
const METRIC: &[&str] = &["metricSource"];
const SOURCE: &[&str] = &["metricSourceRef", "type", "spec"];
/// Where Prometheus queries are written, by those who write them.
const QUERY_KEYS: &[&str] = &["query", "promql", "expr"];
/// Types whose query is PromQL.
const PROMETHEUS: &[&str] =
    &["prometheus", "prom", "thanos", "mimir", "cortex", "victoriametrics", "promql"];

/// An indicator and its source.
#[derive(Debug, Clone)]
pub(super) struct Indicator {
    pub(super) kind: IndicatorKind,
    pub(super) source_ref: Option<String>,
    pub(super) source_kind: Option<String>,
    pub(super) pos: SourcePos,
}

/// Expressions over one period.
#[derive(Debug, Clone)]
pub(super) enum IndicatorKind {
    /// Bad and total counts.
    Counts { bad: String, total: String },
    /// A ratio without counts; `success`: it is good of total.
    Ratio { ratio: String, success: bool },
    /// A value that an objective compares.
    Value { value: String },
}

/// One query.
#[derive(Debug, Clone)]
struct Metric {
    query: String,
    pos: SourcePos,
    source_ref: Option<String>,
    source_kind: Option<String>,
}

/// The indicator of an SLO: in place or by name.
pub(super) fn of_slo(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    spec: &Fields<'_>,
    notes: &mut Vec<String>,
) -> Option<Indicator> {
    match (spec.get("indicator"), spec.get("indicatorRef")) {
        (Some(_), Some(_)) => {
            let pos = spec.key_pos("indicatorRef");
            let message = "`indicator` and `indicatorRef` exclude each other";
            walk.fail("E0206", pos, message, "keep one of the two")
        }
        (None, None) => {
            let hint = "add `indicatorRef: name-of-an-sli` or `indicator: {spec: ...}`";
            walk.fail("E0205", spec.pos, "the SLO has no indicator", hint)
        }
        (None, Some(node)) => {
            let name = walk.text(node, &spec.at("indicatorRef"))?;
            let document = documents.find(walk, "SLI", &name, node.pos)?;
            read(walk, documents, &document, notes)
        }
        (Some(node), None) => {
            let document = head(walk, node, Some("SLI"))?;
            read(walk, documents, &document, notes)
        }
    }
}

/// Reads an SLI document for its faults alone.
pub(super) fn checked(walk: &mut Walk<'_>, documents: &Documents<'_>, document: &Document<'_>) {
    read(walk, documents, document, &mut Vec::new());
}

fn read(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    document: &Document<'_>,
    notes: &mut Vec<String>,
) -> Option<Indicator> {
    let spec = spec_of(walk, document, SLI)?;
    match (spec.get("ratioMetric"), spec.get("thresholdMetric")) {
        (Some(node), None) => ratio(walk, documents, node, &spec.at("ratioMetric"), notes),
        (None, Some(node)) => {
            let metric = metric(walk, documents, node, &spec.at("thresholdMetric"))?;
            let value = accept(walk, &metric, promql::value(&metric.query))?;
            Some(indicator(IndicatorKind::Value { value }, &metric))
        }
        (Some(_), Some(_)) => {
            let message = "`ratioMetric` and `thresholdMetric` exclude each other";
            walk.fail("E0206", spec.key_pos("thresholdMetric"), message, "keep one of the two")
        }
        (None, None) => {
            let hint = "add `ratioMetric: {counter: true, bad: ..., total: ...}`";
            walk.fail("E0205", spec.pos, "the indicator has no metric", hint)
        }
    }
}

fn indicator(kind: IndicatorKind, metric: &Metric) -> Indicator {
    Indicator {
        kind,
        source_ref: metric.source_ref.clone(),
        source_kind: metric.source_kind.clone(),
        pos: metric.pos,
    }
}

fn accept<T>(walk: &mut Walk<'_>, metric: &Metric, read: Result<T, Refusal>) -> Option<T> {
    match read {
        Ok(text) => Some(text),
        Err(Refusal { message, hint }) => unsupported(walk, metric.pos, message, hint),
    }
}

fn ratio(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    node: &Node,
    path: &str,
    notes: &mut Vec<String>,
) -> Option<Indicator> {
    let fields = walk.fields(node, path, RATIO)?;
    if let Some(raw) = fields.get("raw") {
        return raw_ratio(walk, documents, &fields, raw);
    }
    let counter = match fields.get("counter") {
        Some(node) => walk.yes_no(node, &join(path, "counter"))?,
        None => false,
    };
    let total = walk.required(&fields, "total", "{metricSource: ...}");
    let total = total.and_then(|node| metric(walk, documents, node, &join(path, "total")));
    let (part, is_good) = match (fields.get("good"), fields.get("bad")) {
        (Some(node), None) => (metric(walk, documents, node, &join(path, "good")), true),
        (None, Some(node)) => (metric(walk, documents, node, &join(path, "bad")), false),
        (Some(_), Some(_)) => {
            let message = "`good` and `bad` exclude each other";
            return walk.fail("E0206", fields.key_pos("bad"), message, "keep one of the two");
        }
        (None, None) => {
            let hint = "add `bad: {metricSource: ...}` or `good: ...`";
            return walk.fail("E0205", fields.pos, "the ratio counts neither good nor bad", hint);
        }
    };
    let (part, total) = (part?, total?);
    if (&part.source_ref, &part.source_kind) != (&total.source_ref, &total.source_kind) {
        let hint = "count both at one source: a look asks one";
        return unsupported(walk, part.pos, "the parts of the ratio come from two sources", hint);
    }
    let counted_part = counted(walk, &part, counter, notes);
    let counted_total = counted(walk, &total, counter, notes)?;
    let bad = match (counted_part?, is_good) {
        // Scrapes are not taken at one instant: a little more good than total is no fault.
        (good, true) => format!("clamp_min(({counted_total}) - ({good}), 0)"),
        (bad, false) => bad,
    };
    Some(indicator(IndicatorKind::Counts { bad, total: counted_total }, &total))
}

fn counted(
    walk: &mut Walk<'_>,
    metric: &Metric,
    counter: bool,
    notes: &mut Vec<String>,
) -> Option<String> {
    let (text, replaced) = accept(walk, metric, promql::counted(&metric.query, counter))?;
    if replaced {
        let message = "fixed ranges are replaced by the period of a look";
        note(walk, notes, metric.pos, message, "nothing to do: every event is counted once");
    }
    if !counter && !text.contains("{{grain}}") {
        let message = "the query has no range: its value at the end of each period is added up";
        let hint = "write `counter: true` for a counter, or count over `[{{.window}}]`";
        note(walk, notes, metric.pos, message, hint);
    }
    Some(text)
}

fn raw_ratio(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    fields: &Fields<'_>,
    node: &Node,
) -> Option<Indicator> {
    for key in ["good", "bad", "total"] {
        if fields.get(key).is_some() {
            let message = format!("`raw` and `{key}` exclude each other");
            let hint = "keep the counts: a stored ratio has none";
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
    let words = [("success", true), ("failure", false)];
    let kind = walk.required(fields, "rawType", "success");
    let success = kind.and_then(|node| walk.word(node, &fields.at("rawType"), &words));
    let metric = metric(walk, documents, node, &fields.at("raw"))?;
    let ratio = accept(walk, &metric, promql::value(&metric.query))?;
    Some(indicator(IndicatorKind::Ratio { ratio, success: success? }, &metric))
}

fn metric(
    walk: &mut Walk<'_>,
    documents: &Documents<'_>,
    node: &Node,
    path: &str,
) -> Option<Metric> {
    let fields = walk.fields(node, path, METRIC)?;
    let node = walk.required(&fields, "metricSource", "{type: Prometheus, spec: {query: ...}}")?;
    let source = walk.fields(node, &join(path, "metricSource"), SOURCE)?;
    let source_ref = walk.opt_text(&source, "metricSourceRef");
    let own = walk.opt_text(&source, "type");
    let described = source_ref.as_deref().and_then(|name| {
        let document = documents.of("DataSource").find(|one| one.name == name)?.clone();
        kind_of_source(walk, &document)
    });
    let source_kind = own.or(described).map(|kind| kind.to_lowercase());
    if let Some(kind) = source_kind.as_deref().filter(|kind| !PROMETHEUS.contains(kind)) {
        let pos = source.get("type").map_or(source.pos, |node| node.pos);
        let message = format!("queries of the type `{kind}` are not read");
        let hint = "only Prometheus; write the guardrail's own `source`, `query` and `objective`";
        return unsupported(walk, pos, message, hint);
    }
    let node = walk.required(&source, "spec", "{query: ...}")?;
    let spec = walk.entries(node, &source.at("spec"))?;
    let entry = spec.entries.iter().find(|entry| QUERY_KEYS.contains(&entry.key.as_str()));
    let Some(entry) = entry else {
        return walk.fail("E0202", spec.pos, "the metric has no `query`", "add `query: ...`");
    };
    let query = walk.text(&entry.value, &spec.at(&entry.key))?;
    let source_kind = source_kind.map(|_| "prometheus".to_owned());
    Some(Metric { query, pos: entry.value.pos, source_ref, source_kind })
}
