//! Text from outside, made safe to put into a message: no control characters, bounded length.
//!
//! Lengths are counted as the format that carries the text counts them, so that no input can
//! grow beyond its share after escaping.

use crate::plain::shown;

const ELLIPSIS: char = '…';

/// What a character costs inside a JSON string.
fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if (c as u32) < 0x20 => 6,
        c => c.len_utf8(),
    }
}

/// At most `max` bytes as a JSON string; what was cut ends in an ellipsis.
pub(super) fn json_text(text: &str, max: usize) -> String {
    clipped(text.chars().filter_map(shown).map(String::from), max, |piece| {
        piece.chars().map(json_cost).sum()
    })
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
/// no emphasis, link, quote or heading, and no `@` that could call anybody (a zero-width space
/// follows it).
pub(super) fn markdown_text(text: &str, max: usize) -> String {
    let pieces = text.chars().filter_map(shown).map(|c| match c {
        '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '!' => {
            format!("\\{c}")
        }
        '@' => "@\u{200b}".to_owned(),
        c => c.to_string(),
    });
    // What would open a list is a bullet only at the beginning of a line, and there is one line.
    let text = clipped(pieces, max, |piece| piece.encode_utf16().count());
    match text.strip_prefix(['-', '+']) {
        Some(rest) if rest.starts_with(' ') => format!("\u{2013}{rest}"),
        _ => text,
    }
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
    fn slack_text_never_cuts_an_entity() {
        assert_eq!(slack_text("a < b & c", 100, false), "a &lt; b &amp; c");
        assert_eq!(slack_text("<!channel> @here", 12, false), "&lt;!channe…");
        assert_eq!(slack_text("<<<", 7, false), "&lt;…");
        assert_eq!(slack_text("a\nb", 9, true), "a\nb");
        assert_eq!(slack_text("a\nb", 9, false), "a b");
        assert_eq!(slack_text("🎉🎉🎉", 5, false).encode_utf16().count(), 5);
    }
}
