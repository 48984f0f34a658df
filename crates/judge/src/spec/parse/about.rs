//! Who, what and why: identity, people, aims, mechanism, way back and review.
//!
//! What is missing here makes a draft, which `lint` says; this walk says what is broken.

use std::collections::BTreeMap;

use super::keys;
use super::signals::Scales;
use super::walk::{Fields, Walk, join, readable};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::model::{Aim, Mechanism, Owner, Review, Rollback};
use crate::spec::nearest::suggestion;
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

/// Most labels, and most bytes of a label's name or value.
const MAX_LABELS: usize = 16;
const MAX_LABEL_BYTES: usize = 64;

/// Owner, labels and the people around.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) owner: Owner,
    pub(super) can_stop: Vec<String>,
    pub(super) notify: Vec<String>,
}

/// The experiment's id: `[a-z0-9-]`, at most 64.
pub(super) fn id(walk: &mut Walk<'_>, top: &Fields<'_>, name: &str) -> Option<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let example = if is_id(stem) { stem } else { "activation-action-x" };
    let node = walk.required(top, "experiment", example)?;
    let id = walk.text(node, "experiment")?;
    if !is_id(&id) {
        let message = format!("`{}` is not an id", super::values::shorten(&id));
        let hint = "lower-case letters, digits and `-`, at most 64, no `-` at the ends";
        return walk.fail("E0305", node.pos, message, hint);
    }
    Some(id)
}

fn is_id(id: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&id.len())
        && id.chars().all(good)
        && !id.starts_with('-')
        && !id.ends_with('-')
}

pub(super) fn people(walk: &mut Walk<'_>, top: &Fields<'_>) -> People {
    let owner = top.get("owner").and_then(|node| owner(walk, node)).unwrap_or_default();
    let labels = top.get("labels").and_then(|node| labels(walk, node)).unwrap_or_default();
    let can_stop = top.get("can_stop").and_then(|node| walk.texts(node, "can_stop"));
    let notify = top.get("notify").and_then(|node| walk.texts(node, "notify"));
    let notify = notify.unwrap_or_default();
    let receivers = walk.ctx.receivers.as_ref();
    for (name, pos) in &notify {
        walk.known_name("E0403", "receiver", name, *pos, receivers);
    }
    let names = |texts: Vec<(String, _)>| texts.into_iter().map(|(name, _)| name).collect();
    People { labels, owner, can_stop: names(can_stop.unwrap_or_default()), notify: names(notify) }
}

fn owner(walk: &mut Walk<'_>, node: &Node) -> Option<Owner> {
    let fields = walk.fields(node, "owner", keys::OWNER)?;
    let name = walk.opt_text(&fields, "name").unwrap_or_default();
    let contact = walk.opt_text(&fields, "contact").unwrap_or_default();
    Some(Owner { name, contact })
}

fn labels(walk: &mut Walk<'_>, node: &Node) -> Option<BTreeMap<String, String>> {
    let fields = walk.entries(node, "labels")?;
    if fields.entries.len() > MAX_LABELS {
        let message = format!("{} labels", fields.entries.len());
        return walk.fail("E0310", fields.pos, message, format!("at most {MAX_LABELS}"));
    }
    let mut labels = BTreeMap::new();
    for entry in fields.entries {
        let Some(value) = walk.text(&entry.value, &fields.at(&entry.key)) else {
            continue;
        };
        if entry.key.len() > MAX_LABEL_BYTES || value.len() > MAX_LABEL_BYTES {
            let message = format!("label `{}` is too long", super::values::shorten(&entry.key));
            let hint = format!("at most {MAX_LABEL_BYTES} bytes for name and value each");
            walk.report(Diagnostic::new("E0309", entry.key_pos, message).hint(hint));
        }
        labels.insert(entry.key.clone(), value);
    }
    Some(labels)
}

/// `aim:` as a map or a list of maps.
pub(super) fn aims(walk: &mut Walk<'_>, top: &Fields<'_>, scales: &Scales) -> Vec<Aim> {
    let Some(node) = top.get("aim") else {
        return Vec::new();
    };
    let nodes: Vec<&Node> = match &node.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut aims: Vec<Aim> = Vec::new();
    for (index, node) in nodes.into_iter().enumerate() {
        let path = format!("aim.{index}");
        walk.places.insert(path.clone(), node.pos);
        let Some(aim) = aim(walk, node, &path, scales) else {
            continue;
        };
        if aims.iter().any(|known| known.signal == aim.signal) {
            let message = format!("`{}` has two aims", aim.signal);
            let hint = "keep one, or give each its own signal";
            walk.report(Diagnostic::new("E0409", node.pos, message).hint(hint));
        }
        aims.push(aim);
    }
    aims
}

fn aim(walk: &mut Walk<'_>, node: &Node, path: &str, scales: &Scales) -> Option<Aim> {
    let fields = walk.fields(node, path, keys::AIM)?;
    let by = fields.get("by").and_then(|node| walk.day_end(node, &join(path, "by")));
    let behaviour = walk.opt_text(&fields, "behaviour").unwrap_or_default();
    let example = scales.keys().next().map_or("a_signal", String::as_str);
    let signal_node = walk.required(&fields, "signal", example)?;
    let signal = signal_name(walk, signal_node, &join(path, "signal"), scales)?;
    let scale = scales.get(&signal).and_then(Option::as_ref)?;
    let from = fields.get("from").and_then(|n| walk.level(n, &join(path, "from"), scale));
    let to = fields.get("to").and_then(|n| walk.level(n, &join(path, "to"), scale));
    if let (Some(from), Some(to)) = (from, to)
        && from == to
    {
        let message = "the aim goes nowhere: `from` equals `to`";
        let hint = "say where the behaviour should go";
        walk.report(Diagnostic::new("E0306", fields.key_pos("to"), message).hint(hint));
    }
    Some(Aim { signal, behaviour, from, to, by })
}

/// The name of a signal of this file.
pub(super) fn signal_name(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    scales: &Scales,
) -> Option<String> {
    let name = walk.text(node, path)?;
    if !scales.contains_key(&name) {
        let message = format!("`{}` names an unknown signal `{name}`", readable(path));
        let hint = suggestion(&name, scales.keys().map(String::as_str));
        return walk.fail("E0401", node.pos, message, hint);
    }
    Some(name)
}

pub(super) fn mechanism(walk: &mut Walk<'_>, top: &Fields<'_>, scales: &Scales) -> Mechanism {
    let node = top.get("mechanism");
    let Some(fields) = node.and_then(|node| walk.fields(node, "mechanism", keys::MECHANISM)) else {
        return Mechanism::default();
    };
    let will_move = fields
        .get("will_move")
        .and_then(|node| signal_name(walk, node, "mechanism.will_move", scales));
    Mechanism {
        we_believe: walk.opt_text(&fields, "we_believe").unwrap_or_default(),
        will_move: will_move.unwrap_or_default(),
        because: walk.opt_text(&fields, "because").unwrap_or_default(),
    }
}

pub(super) fn reversible(walk: &mut Walk<'_>, top: &Fields<'_>) -> Option<bool> {
    if let Some(node) = top.get("reversible") {
        return walk.yes_no(node, "reversible");
    }
    let message = "`reversible` is not stated";
    let hint = "add `reversible: yes`, or `no` with `spike_of:` naming the earlier test";
    walk.fail("D0116", top.key_pos("experiment"), message, hint)
}

pub(super) fn safety(walk: &mut Walk<'_>, top: &Fields<'_>) -> (Rollback, Option<Review>) {
    let rollback = top.get("rollback").and_then(|node| rollback(walk, node)).unwrap_or_default();
    let review = top.get("review").and_then(|node| review(walk, node));
    (rollback, review)
}

fn rollback(walk: &mut Walk<'_>, node: &Node) -> Option<Rollback> {
    let fields = walk.fields(node, "rollback", keys::ROLLBACK)?;
    let plan = walk.opt_text(&fields, "plan");
    let action = walk.opt_text(&fields, "action");
    if let (Some(action), Some(node)) = (&action, fields.get("action")) {
        let actions = walk.ctx.actions.as_ref();
        walk.known_name("E0404", "action", action, node.pos, actions);
    }
    Some(Rollback { plan, action })
}

fn review(walk: &mut Walk<'_>, node: &Node) -> Option<Review> {
    let fields = walk.fields(node, "review", keys::REVIEW)?;
    let minutes = fields.get("minutes").and_then(|n| walk.whole(n, "review.minutes", 1, 480));
    let sample = walk.opt_text(&fields, "sample");
    let every = walk.required(&fields, "every", "7d")?;
    let every = walk.span(every, "review.every", Span::days(1))?;
    Some(Review { every, minutes, sample })
}
