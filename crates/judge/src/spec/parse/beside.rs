//! Counts beside the signals: `compare: {multiple_exposure: ..}` and `eligible:` of a signal.

use super::keys;
use super::query::{self, Wanted};
use super::walk::{Fields, Walk};
use crate::spec::beside::{Eligible, MIXED_AT_MOST, MultipleExposure};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::model::{Baseline, Compare, Form};
use crate::spec::tree::Node;

/// How many units saw more than one arm; `None` is a fault that was told.
pub(super) fn multiple_exposure(
    walk: &mut Walk<'_>,
    compare: &Fields<'_>,
    node: &Node,
) -> Option<Box<MultipleExposure>> {
    let path = compare.at("multiple_exposure");
    if compare.path != "compare" {
        let message = "`multiple_exposure` belongs to the experiment's own `compare`";
        let hint = "units are assigned once: move it there";
        return walk.fail("E0206", compare.key_pos("multiple_exposure"), message, hint);
    }
    let fields = walk.fields(node, &path, keys::MULTIPLE_EXPOSURE)?;
    let at_most = match fields.get("at_most") {
        Some(node) => walk.share(node, &fields.at("at_most"))?,
        None => MIXED_AT_MOST,
    };
    if !(0.0..1.0).contains(&at_most) {
        let message = "no run has that many mixed units";
        let hint = "write a share below 100%, for example `1%`";
        return walk.fail("E0306", fields.key_pos("at_most"), message, hint);
    }
    let wanted = Wanted { columns: &["mixed", "units"], optional: &[], arms: false };
    let (source, query) = query::source_and_query(walk, &fields, wanted);
    Some(Box::new(MultipleExposure { source: source?, query: query?, at_most }))
}

/// How many units a signal could have counted; `None` is a fault that was told.
pub(super) fn eligible(
    walk: &mut Walk<'_>,
    signal: &Fields<'_>,
    node: &Node,
    form: Option<Form>,
    compare: Option<&Compare>,
    from: Option<Baseline>,
) -> Option<Box<Eligible>> {
    let pos = signal.key_pos("eligible");
    if matches!(form, Some(Form::Rate | Form::Value)) {
        let message = "only units can be eligible: a rate or value counts none";
        let hint = "use `eligible` with a proportion, mean or ratio";
        return walk.fail("E0206", pos, message, hint);
    }
    let fields = walk.fields(node, &signal.at("eligible"), keys::ELIGIBLE)?;
    let arms = matches!(compare, Some(Compare::Arms { .. }));
    let measured = matches!(compare, Some(Compare::BeforeAfter { .. }))
        || matches!(from, Some(Baseline::Window(_)));
    let coverage = match fields.get("coverage") {
        Some(node) => Some(walk.share(node, &fields.at("coverage"))?),
        None => None,
    };
    let wanted = Wanted { columns: &["units"], optional: &[], arms };
    let (source, query) = query::source_and_query(walk, &fields, wanted);
    let key_pos = fields.key_pos("coverage");
    if coverage.is_some() && (arms || measured) {
        let message = "`coverage` is measured here, not stated";
        let hint = "remove it: the control, or the time before the start, says it";
        walk.report(Diagnostic::new("E0206", key_pos, message).hint(hint));
        return None;
    }
    if coverage.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        let message = "`coverage` is no share of the eligible units";
        return walk.fail("E0306", key_pos, message, "write it like `80%`");
    }
    if compare.is_some() && coverage.is_none() && !arms && !measured {
        let message = "nothing says how many of the eligible units were counted before";
        let hint = "add `coverage: 80%`, or measure the baseline: `from: {window: 28d}`";
        return walk.fail("E0411", pos, message, hint);
    }
    Some(Box::new(Eligible { source: source?, query: query?, coverage }))
}
