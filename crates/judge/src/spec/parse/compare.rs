//! `compare:` of the experiment or of one signal: arms, a baseline, or before and after.

use std::collections::BTreeMap;

use super::beside;
use super::keys::{self, Design};
use super::walk::{Fields, Walk, join};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::model::Compare;
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

/// The comparison; without `compare:` at the top nothing can be compared, which is said.
pub(super) fn compare(walk: &mut Walk<'_>, node: Option<&Node>, path: &str) -> Option<Compare> {
    let Some(node) = node else {
        let pos = walk.places.get("experiment").copied();
        let pos = pos.unwrap_or(crate::spec::diagnostic::SourcePos::FIRST);
        let hint = "add `compare: {design: arms, control: control, treatment: ...}` or \
                    `compare: {design: baseline}`";
        return walk.fail("E0202", pos, "the experiment has no `compare`", hint);
    };
    let fields = walk.fields(node, path, keys::COMPARE)?;
    let design = walk.required(&fields, "design", "arms");
    let design = design.and_then(|node| walk.word(node, &join(path, "design"), keys::DESIGNS))?;
    refuse_foreign_keys(walk, &fields, design);
    match design {
        Design::Arms => arms(walk, &fields),
        Design::Baseline => Some(Compare::Baseline),
        Design::BeforeAfter => {
            let default = Span::days(28);
            let window = walk.span_or(&fields, "window", Span::days(1), default)?;
            Some(Compare::BeforeAfter { window })
        }
    }
}

/// Keys of another design would be read by nobody.
fn refuse_foreign_keys(walk: &mut Walk<'_>, fields: &Fields<'_>, design: Design) {
    let allowed: &[&str] = match design {
        Design::Arms => &["design", "control", "treatment", "split", "multiple_exposure"],
        Design::Baseline => &["design"],
        Design::BeforeAfter => &["design", "window"],
    };
    for entry in fields.entries {
        let key = entry.key.as_str();
        if keys::COMPARE.contains(&key) && !allowed.contains(&key) {
            let name = keys::DESIGNS.iter().find(|(_, known)| *known == design);
            let name = name.map_or("", |(name, _)| name);
            let message = format!("`{key}` does not belong to `design: {name}`");
            let hint = format!("remove `{key}` or change the design");
            walk.report(Diagnostic::new("E0206", entry.key_pos, message).hint(hint));
        }
    }
}

fn arms(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Compare> {
    let control = arm(walk, fields, "control");
    let treatment = arm(walk, fields, "treatment");
    let split = match fields.get("split") {
        Some(node) => split(walk, node, &fields.at("split")),
        None => Some(BTreeMap::new()),
    };
    let multiple_exposure = match fields.get("multiple_exposure") {
        Some(node) => Some(beside::multiple_exposure(walk, fields, node)?),
        None => None,
    };
    let (control, treatment, split) = (control?, treatment?, split?);
    if control == treatment {
        let pos = fields.key_pos("treatment");
        let message = format!("control and treatment are both `{control}`");
        return walk.fail("E0206", pos, message, "name two different arms");
    }
    for name in [&control, &treatment] {
        if !split.is_empty() && !split.contains_key(name) {
            let message = format!("the split has no share for `{name}`");
            let hint = format!("add `{name}: 50%`");
            walk.report(Diagnostic::new("E0406", fields.key_pos("split"), message).hint(hint));
        } else if split.get(name).is_some_and(|share| *share <= 0.0) {
            // A further arm may rest at 0 %; one that is compared may not.
            let message = format!("arm `{name}` gets nobody");
            let hint = "give both compared arms a share";
            walk.report(Diagnostic::new("E0406", fields.key_pos("split"), message).hint(hint));
        }
    }
    Some(Compare::Arms { control, treatment, split, multiple_exposure })
}

fn arm(walk: &mut Walk<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = walk.required(fields, key, key)?;
    if let Kind::List(_) = node.kind {
        let message = format!("`{key}` is a list of arms");
        let diagnostic = Diagnostic::new("E0407", node.pos, message)
            .cause("exactly one treatment arm is judged against one control")
            .hint("one file per arm; further arms may stand in `split:`");
        walk.report(diagnostic);
        return None;
    }
    walk.text(node, &fields.at(key))
}

fn split(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<BTreeMap<String, f64>> {
    let fields = walk.entries(node, path)?;
    let mut shares = BTreeMap::new();
    for entry in fields.entries {
        let share = walk.share(&entry.value, &fields.at(&entry.key))?;
        shares.insert(entry.key.clone(), share);
    }
    let sum: f64 = shares.values().sum();
    if (sum - 1.0).abs() > 1e-9 {
        let percent = (sum * 1e8).round() / 1e6;
        let message = format!("the split adds up to {percent} %");
        let hint = "the shares of all arms must add up to 100%";
        return walk.fail("E0406", fields.pos, message, hint);
    }
    if let Some((name, _)) = shares.iter().find(|(_, share)| **share < 0.0) {
        let message = format!("arm `{name}` has a negative share");
        return walk.fail("E0406", fields.pos, message, "give it 0% or more");
    }
    Some(shares)
}
