//! Text from outside, made safe to put into a message: no control characters, bounded length.
//!
//! Lengths are counted as the format that carries the text counts them, so that no input can
//! grow beyond its share after escaping.

use crate::plain::shown;

const ELLIPSIS: char = '…';
const ZERO_WIDTH: char = '\u{200b}';

/// What a character costs inside a JSON string.
fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if (c as u32) < 0x20 => 6,
        c => c.len_utf8(),
    }
}

/// A zero-width space into every address, so that no program makes a link of it: the links of a
/// message are its own. Nothing else changes, and a person still reads the address.
pub(super) fn without_links(text: &str) -> String {
    let mut plain = text.replace("://", ":\u{200b}//");
    for mark in ["www.", "mailto:", "xmpp:"] {
        let mut from = 0;
        while let Some(at) = find_ignoring_case(&plain, mark, from) {
            plain.insert(at + mark.len() - 1, ZERO_WIDTH);
            from = at + mark.len();
        }
    }
    plain
}

/// Where an ASCII word stands, in whatever case.
fn find_ignoring_case(text: &str, word: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    let is_it = |window: &[u8]| window.eq_ignore_ascii_case(word.as_bytes());
    bytes.windows(word.len()).position(is_it).map(|at| from + at)
}

/// At most `max` bytes as a JSON string; what was cut ends in an ellipsis.
pub(super) fn json_text(text: &str, max: usize) -> String {
    clipped(text.chars().filter_map(shown).map(String::from), max, |piece| {
        piece.chars().map(json_cost).sum()
    })
}

/// As [`json_text`], where no markup is read but a name behind an `@` could be called: a zero-width
/// space stands between the two.
pub(super) fn quiet_text(text: &str, max: usize) -> String {
    json_text(&json_text(text, max).replace('@', "@\u{200b}"), max)
}

/// Escaped for Slack (`&`, `<`, `>`), at most `max` characters (UTF-16 units) after escaping.
/// Line breaks stay where `lines` says so.
pub(super) fn slack_text(text: &str, max: usize, lines: bool) -> String {
    let keep = |c: char| {
        if lines && c == '\n' { Some(c) } else { shown(c) }
    };
    let pieces = text.chars().filter_map(keep).map(|c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    });
    clipped(pieces, max, |piece| piece.encode_utf16().count())
}

/// Escaped for HTML (text and quoted attributes), at most `max` characters (UTF-16 units) after
/// escaping.
pub(super) fn html_text(text: &str, max: usize) -> String {
    let pieces = text.chars().filter_map(shown).map(|c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        c => c.to_string(),
    });
    clipped(pieces, max, |piece| piece.encode_utf16().count())
}

/// Escaped for Markdown as chats read it, at most `max` characters (UTF-16 units) after escaping:
/// no emphasis, link, quote or heading, no entity that is another character when it is shown, and
/// no `@` that could call anybody (a zero-width space follows it).
pub(super) fn markdown_text(text: &str, max: usize) -> String {
    let text: String = text.chars().filter_map(shown).collect();
    let text = without_links(text.trim_start());
    let piece = |(at, c): (usize, char)| match c {
        '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '!' => {
            format!("\\{c}")
        }
        '&' if is_entity(&text[at..]) => "\\&".to_owned(),
        '.' if is_list_mark(&text, at) => "\\.".to_owned(),
        // What would open a list or a line is one only at the beginning, and there is one line.
        '-' | '+' | '=' if at == 0 => format!("\\{c}"),
        '@' => "@\u{200b}".to_owned(),
        c => c.to_string(),
    };
    clipped(text.char_indices().map(piece), max, |piece| piece.encode_utf16().count())
}

/// The dot of `1. ` at the beginning.
fn is_list_mark(text: &str, at: usize) -> bool {
    let is_number = at > 0 && text[..at].bytes().all(|it| it.is_ascii_digit());
    is_number && text[at + 1..].chars().next().is_none_or(char::is_whitespace)
}

/// `&lt;`, `&#64;`, `&#x40;`: what comes out as another character.
fn is_entity(text: &str) -> bool {
    let name = text.get(1..).unwrap_or_default();
    let end = name.bytes().take(40).position(|it| !it.is_ascii_alphanumeric() && it != b'#');
    end.is_some_and(|end| end > 0 && name.as_bytes().get(end) == Some(&b';'))
}

/// Keeps whole pieces while they fit; an entity is never cut in two.
fn clipped(
    pieces: impl Iterator<Item = String>,
    max: usize,
    cost: impl Fn(&str) -> usize,
) -> String {
    let mark = ELLIPSIS.to_string();
    let room = max.saturating_sub(cost(&mark));
    let (mut kept, mut used, mut fitting) = (String::new(), 0, 0);
    for piece in pieces {
        used += cost(&piece);
        if used > max {
            kept.truncate(fitting);
            kept.push(ELLIPSIS);
            return kept;
        }
        kept.push_str(&piece);
        if used <= room {
            fitting = kept.len();
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_fits_after_escaping() {
        assert_eq!(json_text("short", 5), "short");
        assert_eq!(json_text("longer than that", 8), "longe…");
        let hostile = "\"\\\u{0}\u{1b}é漢🎉\u{202e}x\n".repeat(50);
        for max in [3, 4, 10, 100, 400] {
            let kept = json_text(&hostile, max);
            let bytes = serde_json::to_string(&kept).unwrap().len() - 2;
            assert!(bytes <= max, "{bytes} > {max}");
            assert!(!kept.contains('\u{202e}') && !kept.contains('\n'));
        }
    }

    #[test]
    fn html_text_is_text_wherever_it_stands() {
        assert_eq!(html_text("<a href='x\">&", 100), "&lt;a href=&#39;x&quot;&gt;&amp;");
        assert_eq!(html_text("<<<", 7), "&lt;…");
    }

    #[test]
    fn markdown_text_is_its_own_words() {
        for (text, plain) in [
            ("&#64;here &amp;lt; R&D; A & B", "\\&\\#64;here \\&amp;lt; R\\&D; A & B"),
            ("1. one", "1\\. one"),
            ("7.", "7\\."),
            ("1.5 of 2. ", "1.5 of 2. "),
            ("---", "\\---"),
            ("- a", "\\- a"),
            ("===", "\\==="),
            ("    code", "code"),
            ("https://evil.example", "https:\u{200b}//evil.example"),
            ("WWW.evil.example", "WWW\u{200b}.evil.example"),
            ("a&&b&", "a&&b&"),
            ("\u{2028}x\u{61c}\u{e0041}y", "xy"),
        ] {
            assert_eq!(markdown_text(text, 100), plain, "{text}");
        }
        assert_eq!(markdown_text("&amp;&amp;", 8), "\\&amp;…");
    }

    #[test]
    fn slack_text_never_cuts_an_entity() {
        assert_eq!(slack_text("a < b & c", 100, false), "a &lt; b &amp; c");
        assert_eq!(slack_text("<!channel> @here", 12, false), "&lt;!channe…");
        assert_eq!(slack_text("<<<", 7, false), "&lt;…");
        assert_eq!(slack_text("a\nb", 9, true), "a\nb");
        assert_eq!(slack_text("a\nb", 9, false), "a b");
        assert_eq!(slack_text("🎉🎉🎉", 5, false).encode_utf16().count(), 5);
    }
}
