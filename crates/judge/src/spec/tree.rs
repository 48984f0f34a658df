//! YAML text to a tree in which every key and value knows its place.
//!
//! Built on the parser's events, never on deserialised types, so that the walker can report all
//! faults with positions. Limits come first: 256 KiB, depth 32, 20,000 nodes. Anchors, aliases
//! and tags are refused, duplicate keys too. Nothing here knows what an experiment is.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::diagnostic::{Diagnostic, SourcePos};

/// Largest text, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting.
pub(super) const MAX_DEPTH: usize = 32;
/// Most nodes.
pub(super) const MAX_NODES: usize = 20_000;
/// A file with more faults than this is not read further.
const MAX_FAULTS: usize = 100;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) pos: SourcePos,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Nothing written, or `null`.
    Null,
    /// Text of any style; numbers and booleans are read from it later.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map in file order, without duplicates.
    Map(Vec<Entry>),
    /// Already reported; readers stay silent.
    Broken,
}

/// Text as decoded, and how it was written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    style: Style,
    start: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

/// Line (1-based) and column (0-based, in characters).
#[derive(Debug, Clone, Copy)]
struct Place {
    line: usize,
    col: usize,
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_pos: SourcePos,
    pub(super) value: Node,
}

impl Node {
    /// What it is, in words.
    pub(super) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Broken => "a broken value",
        }
    }
}

/// Reads one document. The tree is absent when the text could not be read to its end.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let (mut roots, found) = read_with(text, Builder::default());
    (roots.pop(), found)
}

/// Reads every document of a text; none when it could not be read to its end.
pub(super) fn read_all(text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    read_with(text, Builder { many: true, ..Builder::default() })
}

fn read_with<'a>(text: &'a str, builder: Builder<'a>) -> (Vec<Node>, Vec<Diagnostic>) {
    if let Some(refused) = refuse_text(text) {
        return (Vec::new(), vec![refused]);
    }
    let mut builder = Builder { lines: text.lines().collect(), ..builder };
    for next in Parser::new_from_str(text) {
        let step = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err(builder.syntax(*error.marker(), error.info())),
        };
        if let Err(fatal) = step {
            builder.found.push(fatal);
            return (Vec::new(), builder.found);
        }
        if builder.found.len() >= MAX_FAULTS {
            return (Vec::new(), builder.found);
        }
    }
    if builder.roots.is_empty() && builder.found.is_empty() && !builder.many {
        builder.found.push(empty_file());
    }
    (builder.roots, builder.found)
}

fn empty_file() -> Diagnostic {
    Diagnostic::new("E0106", SourcePos::FIRST, "the file is empty")
        .hint("start with `experiment: an-id`, or let `verdictd new` write the file")
}

fn refuse_text(text: &str) -> Option<Diagnostic> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than {MAX_BYTES}", text.len());
        return Some(
            Diagnostic::new("E0101", SourcePos::FIRST, message)
                .hint("keep data in the sources and long texts behind links"),
        );
    }
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    for (index, line) in text.lines().enumerate() {
        if let Some((col, c)) = line.chars().enumerate().find(|(_, c)| bad(*c)) {
            let pos = SourcePos {
                line: index as u32 + 1,
                column: col as u32 + 1,
                end_column: col as u32 + 2,
            };
            let message = format!("a control character (U+{:04X}) in the text", c as u32);
            return Some(
                Diagnostic::new("E0102", pos, message).hint("save the file as plain UTF-8 text"),
            );
        }
    }
    None
}

#[derive(Default)]
struct Builder<'a> {
    lines: Vec<&'a str>,
    stack: Vec<Frame>,
    roots: Vec<Node>,
    /// Whether the text may hold several documents.
    many: bool,
    found: Vec<Diagnostic>,
    nodes: usize,
    documents: usize,
}

struct Frame {
    pos: SourcePos,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: BTreeMap<String, u32>,
        key: Option<(Option<String>, SourcePos)>,
    },
}

impl Builder<'_> {
    /// Takes one event; an error is fatal.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let pos = self.pos(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 && !self.many {
                    return Err(Diagnostic::new("E0105", pos, "a second document begins here")
                        .cause("one file holds one experiment")
                        .hint("move it to a file of its own and remove the `---`"));
                }
            }
            Event::Alias(_) => {
                self.refuse(pos, "an alias (`*name`)");
                self.value(Node { kind: Kind::Broken, pos })?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(pos, anchor, tag.is_some());
                let start = Place { line: span.start.line(), col: span.start.col() };
                let node = Node { kind: scalar(text.into_owned(), style, start), pos };
                self.value(node)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(pos, anchor, tag.is_some());
                self.open(Frame { pos, kind: FrameKind::List(Vec::new()) })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(pos, anchor, tag.is_some());
                let kind = FrameKind::Map { entries: Vec::new(), seen: BTreeMap::new(), key: None };
                self.open(Frame { pos, kind })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn refuse_marks(&mut self, pos: SourcePos, anchor: usize, tag: bool) {
        if anchor > 0 {
            self.refuse(pos, "an anchor (`&name`)");
        }
        if tag {
            self.refuse(pos, "a tag (`!name`)");
        }
    }

    fn refuse(&mut self, pos: SourcePos, what: &str) {
        let hint = "write the value out; quote it if it begins with `*`, `&` or `!`";
        let files = if self.many { "OpenSLO" } else { "experiment" };
        let message = format!("{what} is not used in {files} files");
        self.found.push(Diagnostic::new("E0103", pos, message).hint(hint));
    }

    fn open(&mut self, frame: Frame) -> Result<(), Diagnostic> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Diagnostic::new("E0101", frame.pos, message)
                .hint("an experiment needs five levels; look for a missing bracket"));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(Frame { pos, kind }) = self.stack.pop() else {
            return Ok(());
        };
        let kind = match kind {
            FrameKind::List(items) => Kind::List(items),
            FrameKind::Map { entries, .. } => Kind::Map(entries),
        };
        self.value(Node { kind, pos })
    }

    /// Puts a finished node where it belongs: key, value, list item or root.
    fn value(&mut self, node: Node) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(Diagnostic::new("E0101", node.pos, message).hint("split the file"));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match &mut frame.kind {
            FrameKind::List(items) => items.push(node),
            FrameKind::Map { entries, seen, key } => match key.take() {
                Some((Some(key), key_pos)) => entries.push(Entry { key, key_pos, value: node }),
                Some((None, _)) => {}
                None => {
                    let pos = node.pos;
                    let name = take_key(node, seen, &mut self.found);
                    *key = Some((name, pos));
                }
            },
        }
        Ok(())
    }

    fn pos(&self, span: Span) -> SourcePos {
        let line = span.start.line().max(1);
        let column = span.start.col() + 1;
        let width = self.lines.get(line - 1).map_or(0, |text| text.trim_end().chars().count());
        let end = if span.end.line() == span.start.line() { span.end.col() + 1 } else { width + 1 };
        SourcePos {
            line: line as u32,
            column: column as u32,
            end_column: end.max(column + 1) as u32,
        }
    }

    fn syntax(&self, mark: Marker, info: &str) -> Diagnostic {
        let pos = self.pos(Span::empty(mark));
        let line = self.lines.get(mark.line().saturating_sub(1)).copied().unwrap_or("");
        let indent = line.len() - line.trim_start().len();
        let hint = if line.get(..indent).is_some_and(|space| space.contains('\t')) {
            "indent with spaces; YAML does not allow tabs there"
        } else if line.contains("{{") {
            "quote a text that begins with `{` or stands inside `{...}`"
        } else if info.contains("illegal placement") || info.contains("expected ','") {
            "look for a bracket or quote that is never closed, here or on the line above"
        } else if line.matches(": ").count() > 1 {
            "quote a text that holds `: `"
        } else {
            "look at the indentation, quotes and brackets of this line and the one above"
        };
        Diagnostic::new("E0102", pos, format!("not readable as YAML: {info}")).hint(hint)
    }
}

/// The key's name, or `None` (reported) when it cannot be one.
fn take_key(
    node: Node,
    seen: &mut BTreeMap<String, u32>,
    found: &mut Vec<Diagnostic>,
) -> Option<String> {
    let text = match node.kind {
        Kind::Scalar(scalar) => scalar.text,
        Kind::Broken => return None,
        _ => {
            let message = format!("a key must be a name, not {}", node.describe());
            let hint = "quote a value that begins with `{` or `[`";
            found.push(Diagnostic::new("E0203", node.pos, message).hint(hint));
            return None;
        }
    };
    if let Some(first) = seen.get(&text) {
        let message = format!("`{text}` is given twice");
        let cause = format!("it is already given on line {first}");
        let hint = "keep one of the two";
        found.push(Diagnostic::new("E0104", node.pos, message).cause(cause).hint(hint));
        return None;
    }
    seen.insert(text.clone(), node.pos.line);
    Some(text)
}

fn scalar(text: String, style: ScalarStyle, start: Place) -> Kind {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    if style == Style::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Kind::Null;
    }
    Kind::Scalar(Scalar { text, style, start })
}

impl Scalar {
    /// Whether it was written without quotes, so that YAML may read a number or a boolean.
    #[cfg(test)]
    pub(super) fn is_plain(&self) -> bool {
        self.style == Style::Plain
    }

    /// The place in the file of `len` characters of the decoded text from character `offset`.
    ///
    /// Quotes, escapes, line folds and block indentation are walked, so the caret stands under
    /// the character that was written.
    pub(super) fn locate(&self, file: &str, offset: usize, len: usize) -> SourcePos {
        let places = self.places(file);
        let end_of_text = places.last().map_or(self.start, |&(_, after)| after);
        let start = places.get(offset).map_or(end_of_text, |&(at, _)| at);
        let last = (offset + len.max(1)).min(places.len()).checked_sub(1);
        let end = last.and_then(|index| places.get(index)).map_or(start.col + 1, |&(_, after)| {
            if after.line == start.line { after.col } else { start.col + 1 }
        });
        SourcePos {
            line: start.line as u32,
            column: start.col as u32 + 1,
            end_column: end.max(start.col + 1) as u32 + 1,
        }
    }

    /// For every decoded character the place where it is written and the place after it.
    fn places(&self, file: &str) -> Vec<(Place, Place)> {
        let mut raw = RawText::new(file, self.start, self.style);
        self.text.chars().map(|c| raw.next_for(c)).collect()
    }
}

/// Walks the written form of a scalar in step with its decoded characters.
struct RawText {
    chars: Vec<(char, Place)>,
    at: usize,
    style: Style,
}

impl RawText {
    fn new(file: &str, start: Place, style: Style) -> Self {
        let mut chars = Vec::new();
        for (index, line) in file.lines().enumerate().skip(start.line.saturating_sub(1)) {
            let skip = if index + 1 == start.line { start.col } else { 0 };
            let number = index + 1;
            let place = |col| Place { line: number, col };
            chars.extend(line.chars().enumerate().skip(skip).map(|(col, c)| (c, place(col))));
            chars.push(('\n', place(line.chars().count())));
        }
        let mut raw = Self { chars, at: 0, style };
        match style {
            Style::Single | Style::Double => raw.at = 1,
            // A block begins with its header (`>-`) unless the mark already stands behind it.
            Style::Block if matches!(raw.peek(), Some('|' | '>')) => {
                while raw.peek().is_some_and(|c| c != '\n') {
                    raw.at += 1;
                }
            }
            Style::Plain | Style::Block => {}
        }
        raw
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).map(|&(c, _)| c)
    }

    fn place(&self, at: usize) -> Place {
        let last = self.chars.len().saturating_sub(1);
        self.chars.get(at.min(last)).map_or(Place { line: 1, col: 0 }, |&(_, place)| place)
    }

    fn next_for(&mut self, decoded: char) -> (Place, Place) {
        let white = |c: char| matches!(c, ' ' | '\t' | '\n');
        if !white(decoded) {
            while self.peek().is_some_and(white) {
                self.at += 1;
            }
        }
        let start = self.at;
        self.at += match (self.style, self.peek()) {
            (Style::Double, Some('\\')) => self.escape_len(),
            (Style::Single, Some('\'')) => 2,
            _ => 1,
        };
        (self.place(start), self.place(self.at))
    }

    /// Length of the escape at the current place: `\n`, `\x41`, `\u2212`, `\U0001F600`.
    fn escape_len(&self) -> usize {
        match self.chars.get(self.at + 1).map(|&(c, _)| c) {
            Some('x') => 4,
            Some('u') => 6,
            Some('U') => 10,
            _ => 2,
        }
    }
}
