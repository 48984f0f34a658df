//! The JSON layer: one line in, one line out.
//!
//! A line is an object with `method`, optionally `id` (a JSON scalar, handed back as it came), and
//! the fields of the method. Two passes over the text: the first finds `method` and `id` and skips
//! the rest, the second reads the fields straight into their struct; nothing is buffered between.
//! Out comes `{"id", "method", "answer", "notes"}` or `{"id", "line", "error": {cause, hint}}`.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Answered, Fault, METHODS, Request, answer, method};
use crate::spec::nearest;

/// Longest line that is read, in bytes.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// What every line may carry, whatever its method.
#[derive(Debug, Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Id<'a>>,
}

/// The caller's own name for a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Id<'a> {
    Bool(bool),
    Whole(i64),
    Large(u64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl<'de> Visitor<'de> for Scalar {
            type Value = Id<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a truth value as `id`")
            }

            fn visit_bool<E>(self, x: bool) -> Result<Id<'de>, E> {
                Ok(Id::Bool(x))
            }

            fn visit_i64<E>(self, x: i64) -> Result<Id<'de>, E> {
                Ok(Id::Whole(x))
            }

            fn visit_u64<E>(self, x: u64) -> Result<Id<'de>, E> {
                Ok(Id::Large(x))
            }

            fn visit_f64<E>(self, x: f64) -> Result<Id<'de>, E> {
                Ok(Id::Real(x))
            }

            fn visit_borrowed_str<E>(self, x: &'de str) -> Result<Id<'de>, E> {
                Ok(Id::Text(Cow::Borrowed(x)))
            }

            fn visit_str<E>(self, x: &str) -> Result<Id<'de>, E> {
                Ok(Id::Text(Cow::Owned(x.to_owned())))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// Reads the fields of a method out of an object that also holds `method` and `id`.
pub(super) fn fields<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    struct Whole<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(WithoutHead(map)))
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = reader.deserialize_map(Whole(std::marker::PhantomData))?;
    reader.end()?;
    Ok(found)
}

/// A map whose `method` and `id` have been read before.
struct WithoutHead<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutHead<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            let Some(key) = self.0.next_key::<Key<'de>>()? else {
                return Ok(None);
            };
            if matches!(key.0.as_ref(), "method" | "id") {
                self.0.next_value::<IgnoredAny>()?;
            } else {
                return seed.deserialize(CowStrDeserializer::new(key.0)).map(Some);
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

/// A key, borrowed where the text has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, x: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(x)))
            }

            fn visit_str<E: Error>(self, x: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(x.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn head(json: &[u8]) -> Result<Head<'_>, Fault> {
    serde_json::from_slice(json).map_err(|error| bad_json(&error))
}

fn bad_json(error: &serde_json::Error) -> Fault {
    let hint = if error.is_data() {
        "an object with `method`, an optional `id` (text or number), and the method's fields"
    } else {
        "one JSON object per line; NaN and Infinity are no JSON numbers"
    };
    Fault::new(error.to_string(), hint)
}

/// Reads one question: an object tagged by `method`.
pub fn read(json: &[u8]) -> Result<Request, Fault> {
    request(json, &head(json)?)
}

fn request(json: &[u8], head: &Head<'_>) -> Result<Request, Fault> {
    let Some(name) = &head.method else {
        return Err(Fault::new(
            "the object has no `method`",
            "`verdictd analyze --list` shows the methods",
        ));
    };
    let Some(method) = method(name) else {
        return Err(unknown_method(name));
    };
    (method.read)(json).map_err(|error| {
        let hint = format!("`verdictd analyze --list {name}` shows the fields");
        Fault::new(error.to_string(), hint)
    })
}

/// The fault of a name that no method has.
#[must_use]
pub fn unknown_method(name: &str) -> Fault {
    let near = nearest(name, METHODS.iter().map(|method| method.name));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`verdictd analyze --list` shows the methods".to_owned(),
    };
    Fault::new(format!("no method `{name}`"), hint)
}

#[derive(Serialize)]
struct Refused<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id<'a>>,
    line: usize,
    error: &'a Fault,
}

/// Answers one line: appends a JSON object (without line end) to `out`; whether it was answered.
///
/// `line` is the number an error names.
pub fn answer_line(json: &[u8], line: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let (id, outcome) = match head(json) {
        Err(fault) => (None, Err(fault)),
        Ok(head) => {
            let outcome = request(json, &head).and_then(|request| {
                let Answered { answer, notes } = answer(&request)?;
                Ok((request.method(), answer, notes))
            });
            (head.id, outcome)
        }
    };
    let id = id.as_ref();
    let written = match &outcome {
        Ok((method, answer, notes)) => tell(id, method, answer, notes, out),
        Err(error) => serde_json::to_writer(&mut *out, &Refused { id, line, error }),
    };
    if written.is_err() {
        // Writing plain structs to memory has no way to fail; a half line would be worse than this.
        out.truncate(start);
        out.extend_from_slice(br#"{"error":{"cause":"cannot be written","hint":"report this"}}"#);
    }
    written.is_ok() && outcome.is_ok()
}

/// Why a null is there when the method itself did not expect it.
const BEYOND: &str = "null: beyond the numbers that can be written";

/// One answered line, field by field: a null is never without a note.
fn tell(
    id: Option<&Id<'_>>,
    method: &str,
    answer: &super::Answer,
    notes: &[&str],
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    out.push(b'{');
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        serde_json::to_writer(&mut *out, id)?;
        out.push(b',');
    }
    out.extend_from_slice(b"\"method\":\"");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\",\"answer\":");
    let start = out.len();
    serde_json::to_writer(&mut *out, answer)?;
    let beyond = [BEYOND];
    let written = out.get(start..).unwrap_or_default();
    let notes = if notes.is_empty() && has_null(written) { &beyond } else { notes };
    if !notes.is_empty() {
        out.extend_from_slice(b",\"notes\":");
        serde_json::to_writer(&mut *out, notes)?;
    }
    out.push(b'}');
    Ok(())
}

fn has_null(json: &[u8]) -> bool {
    json.windows(5).any(|part| matches!(part, [b':' | b',' | b'[', b'n', b'u', b'l', b'l']))
}

/// Refuses a line that was not even read.
pub fn refuse_line(line: usize, error: &Fault, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, &Refused { id: None, line, error }).is_err() {
        out.extend_from_slice(b"{}");
    }
}

/// How many lines were asked and how many of them have no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that were not empty.
    pub asked: usize,
    /// Lines answered by an error.
    pub failed: usize,
}

/// Answers a whole body: JSON lines, one object (also over several lines), or an array.
///
/// An array is answered by an array, everything else by lines; each element has the bytes that the
/// same line alone has. Once `goes_on` says no, the rest is refused instead of computed.
pub fn answer_body(body: &[u8], out: &mut Vec<u8>, mut goes_on: impl FnMut() -> bool) -> Counts {
    let text = body.trim_ascii();
    let mut counts = Counts::default();
    let mut one = |json: &[u8], line: usize, out: &mut Vec<u8>| {
        counts.asked += 1;
        if goes_on() {
            counts.failed += usize::from(!answer_line(json, line, out));
        } else {
            counts.failed += 1;
            let hint = "ask fewer at a time, or use `verdictd analyze`, which has no limit";
            refuse_line(line, &Fault::new("the time for one body is over", hint), out);
        }
    };
    if text.starts_with(b"[") {
        // Raw slices of the elements, so that each goes the way of a line; what is cut wrongly in
        // a broken array is refused as broken JSON.
        out.push(b'[');
        let inner = text.get(1..).unwrap_or_default();
        let inner = inner.strip_suffix(b"]").unwrap_or(inner);
        for (index, element) in elements(inner).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            one(element, index + 1, out);
        }
        out.extend_from_slice(b"]\n");
        return counts;
    }
    if text.contains(&b'\n') && serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        one(text, 1, out);
        out.push(b'\n');
        return counts;
    }
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            one(line, index + 1, out);
            out.push(b'\n');
        }
    }
    counts
}

/// The elements of an array's inside, cut at commas outside of strings and brackets.
fn elements(inner: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let cut = move |byte: &u8| {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return false;
        }
        match *byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    };
    let is_empty = inner.trim_ascii().is_empty();
    inner.split(cut).take(if is_empty { 0 } else { usize::MAX })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.hint)
    }
}
