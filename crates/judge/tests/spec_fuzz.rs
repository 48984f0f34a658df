//! No text, however broken, makes the reader of experiment files panic.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read files and fail by panic"
)]

use std::fs;
use std::path::Path;

use judge::spec::{Context, Experiment, check, render};
use proptest::prelude::*;

fn story(index: usize) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/experiments");
    let names = [
        "activation-action-x",
        "recruiting-touches",
        "sales-discovery",
        "platform-quote-cache",
        "support-root-cause",
    ];
    fs::read_to_string(folder.join(names[index]).with_extension("yaml")).unwrap()
}

/// Checks a text and holds what must be true of every result.
fn examine(text: &str) {
    let parsed = check("fuzz.yaml", text, &Context::default(), None);
    let shown = render("fuzz.yaml", text, &parsed.diagnostics);
    assert_eq!(shown.is_empty(), parsed.diagnostics.is_empty());
    for one in &parsed.diagnostics {
        assert!(one.pos.line >= 1 && one.pos.column >= 1, "{one:?}");
        assert!(one.pos.end_column > one.pos.column, "{one:?}");
    }
    let Some(experiment) = parsed.experiment else {
        assert!(parsed.diagnostics.iter().any(|one| !one.code.starts_with('W')), "{shown}");
        return;
    };
    // Nothing was dropped on the way: every written signal and guardrail is there.
    let written = |section: &str| {
        let depth = |path: &&String| path.starts_with(section) && path.matches('.').count() == 1;
        parsed.places.keys().filter(depth).count()
    };
    assert_eq!(experiment.signals.len(), written("signals."));
    assert_eq!(experiment.guardrails.len(), written("guardrails."));
    let stored = serde_json::to_string(&experiment).unwrap();
    let again: Experiment = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, experiment);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        examine(&text);
    }

    #[test]
    fn text_that_looks_like_yaml(
        text in "([a-z_]{1,8}|[ \n]{1,4}|[-:{}\\[\\],'\"#&*!|>%@?]|[0-9]){0,80}",
    ) {
        examine(&text);
    }

    #[test]
    fn a_story_with_a_piece_cut_or_replaced(
        index in 0_usize..5,
        at in any::<prop::sample::Index>(),
        len in 0_usize..40,
        instead in "[ -~\n\u{2212}\u{2265}äß]{0,12}",
    ) {
        let chars: Vec<char> = story(index).chars().collect();
        let at = at.index(chars.len());
        let end = (at + len).min(chars.len());
        let mut text: String = chars[..at].iter().collect();
        text.push_str(&instead);
        text.extend(&chars[end..]);
        examine(&text);
    }

    #[test]
    fn a_story_with_a_line_moved_or_lost(
        index in 0_usize..5,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        lost in any::<bool>(),
    ) {
        let text = story(index);
        let mut lines: Vec<&str> = text.lines().collect();
        let line = lines.remove(from.index(lines.len()));
        if !lost {
            lines.insert(to.index(lines.len()), line);
        }
        examine(&lines.join("\n"));
    }
}
