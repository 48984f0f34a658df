//! `drift:` of a threshold: a control chart on the series.

use super::keys;
use super::values::MAX_NUMBER;
use super::walk::{Fields, Walk, join};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::drift::{
    CUSUM_H, CUSUM_K, Drift, DriftChart, DriftReference, EWMA_L, EWMA_LAMBDA, MIN_BLOCKS,
};
use crate::spec::tree::Node;
use crate::time::Span;

/// Most blocks that are learnt from.
const MAX_BLOCKS: u32 = 10_000;
/// Largest constant of a chart, in standard deviations.
const MAX_SDS: f64 = 100.0;
/// Length of a block that names none.
const DEFAULT_BLOCK: Span = Span::hours(1);

/// Reads `drift`, and the unit that its reference is written in.
pub(super) fn drift(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
) -> Option<(Drift, Option<String>)> {
    let fields = walk.fields(node, path, keys::DRIFT)?;
    let is_ewma = walk.word_or(&fields, "method", keys::CHARTS, false);
    let watch = walk.required(&fields, "watch", "up");
    let watch = watch.and_then(|node| walk.word(node, &join(path, "watch"), keys::WANTS));
    let block = walk.span_or(&fields, "block", super::MIN_EVERY, DEFAULT_BLOCK);
    let reference = walk.required(&fields, "reference", "{mean: 250ms, sd: 20ms}");
    let reference = reference.and_then(|node| reference_of(walk, node, &join(path, "reference")));
    let chart = is_ewma.and_then(|is_ewma| chart(walk, &fields, is_ewma));
    let (reference, unit) = reference?;
    Some((Drift { chart: chart?, watch: watch?, reference, block: block? }, unit))
}

fn chart(walk: &mut Walk<'_>, fields: &Fields<'_>, is_ewma: bool) -> Option<DriftChart> {
    let (foreign, method) =
        if is_ewma { (["k", "h"], "ewma") } else { (["lambda", "width"], "cusum") };
    for key in foreign {
        if fields.get(key).is_some() {
            let message = format!("`{key}` has no meaning with `method: {method}`");
            let hint = if is_ewma { "use `lambda` and `width`" } else { "use `k` and `h`" };
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
    let mut constant = |key: &str, default: f64, bounds: (f64, f64)| match fields.get(key) {
        Some(node) => walk.number(node, &fields.at(key), bounds),
        None => Some(default),
    };
    Some(if is_ewma {
        let lambda = constant("lambda", EWMA_LAMBDA, (0.01, 1.0));
        let width = constant("width", EWMA_L, (0.1, MAX_SDS));
        DriftChart::Ewma { lambda: lambda?, width: width? }
    } else {
        let (k, h) =
            (constant("k", CUSUM_K, (0.0, MAX_SDS)), constant("h", CUSUM_H, (0.1, MAX_SDS)));
        DriftChart::Cusum { k: k?, h: h? }
    })
}

fn reference_of(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
) -> Option<(DriftReference, Option<String>)> {
    let fields = walk.fields(node, path, keys::REFERENCE)?;
    if let Some(node) = fields.get("blocks") {
        for key in ["mean", "sd"] {
            if fields.get(key).is_some() {
                let message = format!("`blocks` and `{key}` exclude each other");
                let hint = "state `mean` and `sd`, or learn them from `blocks`";
                walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
            }
        }
        let blocks = walk.whole(node, &join(path, "blocks"), MIN_BLOCKS, MAX_BLOCKS)?;
        return Some((DriftReference::Blocks(blocks), None));
    }
    let (Some(mean), Some(sd)) = (fields.get("mean"), fields.get("sd")) else {
        let hint = "add `mean: 250ms` and `sd: 20ms` (of block means), or `blocks: 50`";
        return walk.fail("E0205", fields.pos, "the reference is not complete", hint);
    };
    let (mean, mean_unit) = walk.bound(mean, &join(path, "mean"), "250ms")?;
    let (value, sd_unit) = walk.bound(sd, &join(path, "sd"), "20ms")?;
    if mean_unit != sd_unit {
        let shown = |unit: Option<String>| unit.unwrap_or_else(|| "no unit".to_owned());
        let (mean_unit, sd_unit) = (shown(mean_unit), shown(sd_unit));
        let message = format!("`mean` has {mean_unit} and `sd` has {sd_unit}");
        return walk.fail("E0302", sd.pos, message, "use one unit");
    }
    if value <= 0.0 || value > MAX_NUMBER {
        let message = "a series that does not vary has nothing to measure a shift with";
        return walk.fail("E0306", sd.pos, message, "write an `sd` above 0");
    }
    Some((DriftReference::Stated { mean, sd: value }, mean_unit))
}
