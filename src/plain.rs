//! Text from outside that acts on nothing: no escape sequences, no reordering, no lines of its own.
//!
//! A name in a form, a title in a file or a word of a receiver may hold characters that a terminal
//! obeys, that turn a line around, or that begin a line which looks like one of ours. Whoever
//! writes such text for people takes it through here: [`line()`] where it is one field of a line,
//! [`lines()`] where our own line breaks stand in it already, [`json`] where it is data.

/// Neither control characters nor marks that reorder what people read; a break is a space.
pub fn shown(c: char) -> Option<char> {
    match c {
        '\n' | '\t' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}' => None,
        // Tags: nobody sees them and machines do.
        '\u{e0000}'..='\u{e007f}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// One line of it.
pub fn line(text: &str) -> String {
    text.chars().filter_map(shown).collect()
}

/// All lines of it; line feeds and tabs stay.
pub fn lines(text: &str) -> String {
    let kept = |c: char| if matches!(c, '\n' | '\t') { Some(c) } else { shown(c) };
    text.chars().filter_map(kept).collect()
}

/// A JSON document that means the same and holds no such character: each becomes an escape.
/// Outside of its texts a document of one line has none.
pub fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        if shown(c) == Some(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.extend(["\\u", &format!("{unit:04x}")]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\u{1b}[31mb\u{9b}2Jc\r\nd\u{202e}e\u{2067}f\u{200f}\u{61c}g\u{7f}\u{8}h";

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        assert_eq!(line(HOSTILE), "a[31mb2Jc  defgh");
        assert_eq!(lines(HOSTILE), "a[31mb2Jc \ndefgh");
        assert_eq!(line("Zürich 漢字 🎉, 5 %"), "Zürich 漢字 🎉, 5 %");
        for code in 0..0x3000 {
            let Some(c) = char::from_u32(code) else { continue };
            let kept = line(&c.to_string());
            assert!(kept.chars().all(|c| !c.is_control()), "{code:x}");
        }
    }

    #[test]
    fn a_json_document_keeps_its_meaning() {
        let value = serde_json::json!({"who": HOSTILE, "ä": ["漢", 1.5]});
        let shown = json(&value.to_string());
        assert_eq!(line(&shown), shown);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
