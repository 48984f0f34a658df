//! Requests for the tests of the sources.

use std::collections::BTreeMap;

use judge::plan::{Need, Request, Shape, Subject};
use judge::spec::{Form, Query};
use judge::time::{Span, Timestamp, Window};

/// An instant of a text.
pub(crate) fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A week of days of a proportion, no arms, nothing asked yet.
pub(crate) fn request() -> Request {
    let need = Need {
        experiment: "exp".into(),
        subject: Subject::Signal("s".into()),
        series_id: "id".into(),
        source: "src".into(),
        query: Query::default(),
        shape: Shape::Form(Form::Proportion),
        window: Window { start: ts("2026-08-01T00:00:00Z"), end: ts("2026-08-08T00:00:00Z") },
        grain: Span::days(1),
        arms: Vec::new(),
        timezone: "UTC".into(),
    };
    Request { need, at: ts("2026-08-08T00:01:00Z") }
}

/// Query columns of pairs.
pub(crate) fn columns(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}
