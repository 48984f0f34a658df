//! The walk's toolbox: fields of a map, typed readers, and where everything stands.
//!
//! Every reader reports what it cannot read and returns `None`; nobody stops at the first fault.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::Context;
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::nearest::{list, suggestion};
use crate::spec::tree::{Entry, Kind, Node, Scalar};

/// Longest text of one value, in characters.
const MAX_TEXT: usize = 4_000;

/// What the walk carries along.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) file: &'a str,
    pub(super) ctx: &'a Context,
    pub(super) found: Vec<Diagnostic>,
    pub(super) places: BTreeMap<String, SourcePos>,
    pub(super) zone: TimeZone,
    /// Contents of the query files that the experiment reads, by name.
    pub(super) files_read: BTreeMap<String, String>,
    /// Names that nobody could check, with the first place of each.
    pub(super) unchecked: Vec<(SourcePos, String)>,
}

/// The entries of one map.
#[derive(Debug, Clone)]
pub(super) struct Fields<'t> {
    pub(super) path: String,
    pub(super) pos: SourcePos,
    pub(super) entries: &'t [Entry],
}

impl<'t> Fields<'t> {
    /// The value of a key, if it was written.
    pub(super) fn get(&self, key: &str) -> Option<&'t Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The place of a key, else of the map.
    pub(super) fn key_pos(&self, key: &str) -> SourcePos {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or(self.pos, |entry| entry.key_pos)
    }

    /// The dotted path of a key.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }
}

/// `a.b`, or `b` at the top.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a str, ctx: &'a Context) -> Self {
        Self {
            file,
            ctx,
            found: Vec::new(),
            places: BTreeMap::new(),
            zone: TimeZone::get(&ctx.default_timezone).unwrap_or(TimeZone::UTC),
            files_read: BTreeMap::new(),
            unchecked: Vec::new(),
        }
    }

    /// Records one fault.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Records a fault with a fix and returns `None`, for readers.
    pub(super) fn fail<T>(
        &mut self,
        code: &'static str,
        pos: SourcePos,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.report(Diagnostic::new(code, pos, message).hint(hint));
        None
    }

    /// The fields of a map whose keys must all be allowed.
    pub(super) fn fields<'t>(
        &mut self,
        node: &'t Node,
        path: &str,
        allowed: &[&str],
    ) -> Option<Fields<'t>> {
        let fields = self.entries(node, path)?;
        for entry in fields.entries {
            if !allowed.contains(&entry.key.as_str()) {
                let place = if path.is_empty() {
                    String::new()
                } else {
                    format!(" in `{}`", readable(path))
                };
                let message = format!("unknown key `{}`{place}", entry.key);
                let hint = suggestion(&entry.key, allowed.iter().copied());
                self.report(Diagnostic::new("E0201", entry.key_pos, message).hint(hint));
            }
        }
        Some(fields)
    }

    /// Whether a key was already reported as unknown.
    pub(super) fn is_unknown_key(&self, entry: &Entry) -> bool {
        self.found.iter().any(|one| one.code == "E0201" && one.pos == entry.key_pos)
    }

    /// The entries of a map with free keys.
    pub(super) fn entries<'t>(&mut self, node: &'t Node, path: &str) -> Option<Fields<'t>> {
        let Kind::Map(entries) = &node.kind else {
            return self.wrong_kind(node, path, "a map (`key: value` lines)");
        };
        for entry in entries {
            self.places.insert(join(path, &entry.key), entry.key_pos);
        }
        let pos = self.places.get(path).copied().unwrap_or(node.pos);
        Some(Fields { path: path.to_owned(), pos, entries })
    }

    /// Reports a value of another kind than is needed.
    pub(super) fn wrong_kind<T>(&mut self, node: &Node, path: &str, wanted: &str) -> Option<T> {
        if matches!(node.kind, Kind::Broken) {
            return None;
        }
        let name = if path.is_empty() { "the file" } else { &readable(path) };
        let pos = match node.kind {
            Kind::Null => self.places.get(path).copied().unwrap_or(node.pos),
            _ => node.pos,
        };
        let message = format!("`{name}` needs {wanted}, found {}", node.describe());
        self.report(Diagnostic::new("E0203", pos, message).hint(format!("write {wanted}")));
        None
    }

    /// The value of a key that must be there.
    pub(super) fn required<'t>(
        &mut self,
        fields: &Fields<'t>,
        key: &str,
        example: &str,
    ) -> Option<&'t Node> {
        let found = fields.get(key);
        if found.is_none() {
            let place = if fields.path.is_empty() {
                "the experiment".to_owned()
            } else {
                format!("`{}`", readable(&fields.path))
            };
            let message = format!("{place} has no `{key}`");
            return self.fail("E0202", fields.pos, message, format!("add `{key}: {example}`"));
        }
        found
    }

    /// One value as written, whatever its style.
    pub(super) fn scalar<'t>(
        &mut self,
        node: &'t Node,
        path: &str,
        wanted: &str,
    ) -> Option<&'t Scalar> {
        match &node.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => self.wrong_kind(node, path, wanted),
        }
    }

    /// Non-empty text.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        let scalar = self.scalar(node, path, "a text")?;
        let text = scalar.text.trim();
        if text.is_empty() {
            let message = format!("`{}` is empty", readable(path));
            return self.fail("E0309", node.pos, message, "write a text or remove the key");
        }
        let length = text.chars().count();
        if length > MAX_TEXT {
            let message = format!("`{}` has {length} characters", readable(path));
            return self.fail("E0309", node.pos, message, format!("at most {MAX_TEXT}; link it"));
        }
        Some(text.to_owned())
    }

    /// Text under a key, if the key is there.
    pub(super) fn opt_text(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        let node = fields.get(key)?;
        self.text(node, &fields.at(key))
    }

    /// A list of texts without doubles.
    pub(super) fn texts(&mut self, node: &Node, path: &str) -> Option<Vec<(String, SourcePos)>> {
        let Kind::List(items) = &node.kind else {
            return self.wrong_kind(node, path, "a list (`[a, b]`)");
        };
        let mut texts: Vec<(String, SourcePos)> = Vec::new();
        for item in items {
            if let Some(text) = self.text(item, path)
                && texts.iter().all(|(known, _)| *known != text)
            {
                texts.push((text, item.pos));
            }
        }
        Some(texts)
    }

    /// `yes`, `no`, `true` or `false`.
    pub(super) fn yes_no(&mut self, node: &Node, path: &str) -> Option<bool> {
        let scalar = self.scalar(node, path, "`yes` or `no`")?;
        match scalar.text.trim().to_ascii_lowercase().as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            other => {
                let message = format!("`{}` is neither yes nor no: `{other}`", readable(path));
                self.fail("E0308", node.pos, message, "write `yes` or `no`")
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        path: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let wanted = format!("one of {}", list(&names));
        let text = self.scalar(node, path, &wanted)?.text.trim().to_owned();
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let message = format!("`{}` cannot be `{text}`", readable(path));
        let allowed = format!("allowed: {}", list(&names));
        let near = crate::spec::nearest::nearest(&text, names.iter().copied());
        let hint = near.map_or(allowed.clone(), |near| {
            if names.len() == 1 { allowed.clone() } else { format!("write `{near}`; {allowed}") }
        });
        self.fail("E0204", node.pos, message, hint)
    }

    /// A word under a key, else the default.
    pub(super) fn word_or<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Option<T> {
        match fields.get(key) {
            Some(node) => self.word(node, &fields.at(key), words),
            None => Some(default),
        }
    }

    /// An identifier of lower-case letters, digits and underscores; it must begin with a letter.
    pub(super) fn identifier(&mut self, entry: &Entry, what: &str) -> bool {
        let name = entry.key.as_str();
        let good = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !matches!(name, "and" | "or" | "not");
        if !good {
            let message = format!("`{name}` is not a name for a {what}");
            let hint = "begin with a lower-case letter; then letters, digits and `_`, at most 64";
            self.report(Diagnostic::new("E0305", entry.key_pos, message).hint(hint));
        }
        good
    }

    /// A name that the daemon's configuration defines, if somebody can tell.
    pub(super) fn known_name(
        &mut self,
        code: &'static str,
        what: &str,
        name: &str,
        pos: SourcePos,
        known: Option<&BTreeSet<String>>,
    ) {
        let Some(known) = known else {
            let label = format!("{what} `{name}`");
            if self.unchecked.iter().all(|(_, seen)| *seen != label) {
                self.unchecked.push((pos, label));
            }
            return;
        };
        if !known.contains(name) {
            let message = format!("unknown {what} `{name}`");
            let hint = suggestion(name, known.iter().map(String::as_str));
            let cause = format!("{what}s are defined in the daemon's configuration");
            self.report(Diagnostic::new(code, pos, message).cause(cause).hint(hint));
        }
    }
}

/// A path as the reader of the file would say it: `aim.0.from` is `aim.from`.
pub(super) fn readable(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('.').filter(|part| !part.bytes().all(|b| b.is_ascii_digit())).collect();
    parts.join(".")
}
