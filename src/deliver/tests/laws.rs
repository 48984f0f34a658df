//! Laws that hold for any text in any place of a message, in every receiver and every preset.
//!
//! Each case takes a sample of one kind and replaces every text of its generic message, type and
//! instants aside, by one from a strategy that knows every plane of Unicode, the markup of all
//! receivers, and texts of 100 kB. This is more than any experiment can put there, since the
//! generic message is bounded itself.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answers::{config, kinds};
use super::bodies::{check_slack, every_message};
use crate::deliver::ReceiverConfig;

/// What has broken somebody's messages.
const MARKUP: [&str; 28] = [
    "<!channel>",
    "<!here|x>",
    "<@U123>",
    "<users/all>",
    "@everyone",
    "@here",
    "@channel",
    "@all",
    "@octocat",
    "#12",
    "acme/shop#7",
    "<https://evil.example|click>",
    "[x](https://evil.example)",
    "](https://evil.example)",
    "![x](https://evil.example/i.png)",
    "<script>alert(1)</script>",
    "<a href='https://evil.example'>",
    "</b></p>",
    "<!-- verdictd:issue:x -->",
    "-->",
    "\r\nBcc: a@evil.example\r\n\r\n",
    "{{ data }}{% raw %}",
    "\"}],\"blocks\":[",
    "\\\u{0}\u{1b}[31m",
    "\u{202e}\u{2066}\u{200f}",
    "&amp;&lt;&#64;",
    "*_~`|> - # + 1. ",
    "\u{fffe}\u{e000}\u{10fffd}\u{1f600}",
];

/// A character of each plane of Unicode alike.
fn of_any_plane() -> impl Strategy<Value = char> {
    (0_u32..17, 0_u32..0x1_0000)
        .prop_filter_map("a surrogate", |(plane, at)| char::from_u32(plane << 16 | at))
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(&MARKUP[..]).prop_map(str::to_owned),
        2 => any::<String>(),
        2 => proptest::collection::vec(any::<char>(), 0..20)
            .prop_map(|chars| chars.into_iter().collect()),
        2 => proptest::collection::vec(of_any_plane(), 0..20)
            .prop_map(|chars| chars.into_iter().collect()),
        1 => "https?://[a-z]{1,9}(\\.[a-z]{2,5}){1,2}/[ -~]{0,30}",
    ];
    let whole = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    // One in eight is as long as 100 kB.
    (whole, prop_oneof![7 => Just(1_usize), 1 => 2..5_000_usize]).prop_map(|(text, times)| {
        let most = 100_000 / text.len().max(1);
        text.repeat(times.min(most).max(1))
    })
}

static SAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let with_links = |mut content: Value| {
        content["data"]["links"]["ack"] = "https://verdictd.example.com/n/ack".into();
        content["data"]["links"]["snooze"] = "https://verdictd.example.com/n/snooze".into();
        content
    };
    every_message().into_iter().map(with_links).collect()
});

static RECEIVERS: LazyLock<Vec<(String, ReceiverConfig)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let of = |kind: String| {
        let config = config(&kind, "https://receiver.example", folder.path());
        (kind, config)
    };
    kinds().into_iter().map(of).collect()
});

/// Every text of a message, type and instants aside, replaced in turn.
fn poisoned(value: &mut Value, texts: &[String], next: &mut usize) {
    match value {
        Value::String(text) => {
            text.clone_from(&texts[*next % texts.len()]);
            *next += 1;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| poisoned(item, texts, next)),
        Value::Object(map) => {
            let kept = ["role", "verdict", "from", "to", "schema"];
            let entries = map.iter_mut().filter(|(key, _)| !kept.contains(&key.as_str()));
            entries.for_each(|(_, item)| poisoned(item, texts, next));
        }
        _ => {}
    }
}

/// Every text of a body with the key it stands under.
fn texts(key: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(key, item, found)),
        Value::Object(map) => map.iter().for_each(|(key, item)| texts(key, item, found)),
        _ => {}
    }
}

fn budget(kind: &str) -> usize {
    match kind {
        "slack" | "slack_api" | "teams" => 48_000,
        "discord" => 40_000,
        "mattermost" => 66_000,
        "webhook" => usize::MAX,
        "pagerduty" => 512_000,
        _ => 130_000,
    }
}

/// Where text is read as markup that could call somebody.
fn reads_markup(kind: &str) -> bool {
    let plain = ["webhook", "slack", "slack_api", "jira", "pagerduty", "opsgenie", "email"];
    !plain.contains(&kind) && kind != "grafana"
}

fn reads_markdown(kind: &str) -> bool {
    matches!(kind, "teams" | "discord" | "mattermost" | "github" | "linear" | "grafana_irm")
}

/// Parts that these chats show as they are.
fn is_plain_part(kind: &str, key: &str) -> bool {
    match kind {
        "discord" => key == "text",
        "mattermost" => matches!(key, "fallback" | "footer"),
        _ => false,
    }
}

/// A text without the addresses of its links.
fn without_targets(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| {
        let end = part.find(')').unwrap_or(part.len());
        kept + &part[end..]
    })
}

/// A page without the addresses of its links.
fn without_addresses(page: &str) -> String {
    let mut parts = page.split("href=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once('"').map_or("", |(_, rest)| rest))
}

/// What a program makes a link of, though nobody wrote one.
fn is_address(text: &str) -> bool {
    let text = text.to_lowercase();
    ["://", "www.", "mailto:"].iter().any(|mark| text.contains(mark))
}

/// Marks that reorder, hide or control what people read.
fn is_hidden(c: char) -> bool {
    let reorders = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{feff}', '\u{2028}', '\u{2029}'];
    let within = |from: char, to: char| (from..=to).contains(&c);
    c.is_control() && c != '\n'
        || reorders.contains(&c)
        || within('\u{202a}', '\u{202e}')
        || within('\u{2066}', '\u{2069}')
        || within('\u{e0000}', '\u{e007f}')
}

fn is_call(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '@' && chars.peek().is_some_and(|next| next.is_alphanumeric()) {
            return true;
        }
    }
    false
}

/// `#12` as GitHub reads it.
fn is_reference(text: &str) -> bool {
    text.match_indices('#')
        .any(|(at, _)| text[at + 1..].chars().next().is_some_and(|next| next.is_ascii_digit()))
}

fn check(kind: &str, body: &str) -> Result<(), TestCaseError> {
    let json: Value = serde_json::from_str(body)
        .map_err(|error| TestCaseError::fail(format!("{kind}: {error}")))?;
    prop_assert!(body.len() <= budget(kind), "{kind}: {} bytes", body.len());
    let mut found = Vec::new();
    // The generic message is data, bounded and cleaned where it is made.
    if kind != "webhook" {
        texts("", &json, &mut found);
        // Made into a marker by its digest, and never sent.
        found.retain(|(key, _)| key != "key");
    }
    for (key, text) in &found {
        prop_assert!(!text.contains(is_hidden), "{kind}: {key}: {text:?}");
        if matches!(key.as_str(), "url" | "href" | "client_url" | "link_to_upstream_details") {
            let url = url::Url::parse(text);
            prop_assert!(url.is_ok_and(|url| url.scheme().starts_with("http")), "{kind}: {text}");
        }
        if kind.starts_with("slack") && key != "url" {
            prop_assert!(!text.contains(['<', '>']), "{kind}: {text}");
        }
        if matches!(kind, "slack" | "slack_api" | "jira") && key == "text" {
            prop_assert!(!text.is_empty(), "{kind}: an empty text is refused");
        }
        // Titles that the other side shows as they are.
        if matches!(key.as_str(), "title" | "subtitle") {
            continue;
        }
        if reads_markup(kind) {
            prop_assert!(!is_call(text), "{kind}: {key}: {text}");
        }
        if kind == "github" && key == "text" {
            prop_assert!(!is_reference(&without_targets(text)), "{kind}: {text}");
            prop_assert!(!text.contains("<!--") && !text.contains("![x]"), "{kind}: {text}");
        }
        let has_links = reads_markdown(kind) && !is_plain_part(kind, key);
        for target in text.split("](").skip(1).filter(|_| has_links) {
            let end = target.find(')').unwrap_or(target.len());
            let is_url = url::Url::parse(&target[..end]).is_ok();
            prop_assert!(is_url, "{kind}: {key}: {target}");
        }
        let is_plain =
            matches!(key.as_str(), "url" | "query" | "$schema" | "link_to_upstream_details");
        let is_read = reads_markdown(kind) && !is_plain && !is_plain_part(kind, key);
        prop_assert!(!(is_read && is_address(&without_targets(text))), "{kind}: {key}: {text}");
        let is_linked = matches!(kind, "google_chat" | "telegram") && key == "text";
        prop_assert!(!(is_linked && is_address(&without_addresses(text))), "{kind}: {text}");
        let is_page = matches!(kind, "grafana" | "google_chat" | "telegram");
        let is_html = key == "html" || is_page && matches!(key.as_str(), "text" | "line");
        for markup in ["<script", "<img", "<a href='", "<!--"] {
            prop_assert!(!(is_html && text.contains(markup)), "{kind}: {text}");
        }
    }
    if kind == "slack" {
        check_slack(body);
    }
    if kind == "discord" {
        prop_assert_eq!(&json["allowed_mentions"], &json!({"parse": []}));
    }
    Ok(())
}

/// Limits that the other sides count in characters.
fn check_lengths(kind: &str, body: &Value) -> Result<(), TestCaseError> {
    let count = |text: &Value| text.as_str().unwrap_or_default().encode_utf16().count();
    let within = |text: &Value, most: usize| count(text) <= most;
    let holds = match kind {
        "telegram" => within(&body["body"]["text"], 4_096),
        "opsgenie" => within(&body["body"]["message"], 130) || !body["body"]["note"].is_null(),
        "google_chat" => body["body"].to_string().len() <= 32_000,
        "linear" => within(&body["body"]["variables"]["input"]["title"], 256),
        "jira" => within(&body["summary"], 255) && body["document"].to_string().len() <= 32_767,
        "github" => within(&body["title"], 256) && within(&body["text"], 65_000),
        "pagerduty" => within(&body["payload"]["summary"], 1_024),
        "mattermost" => body.to_string().chars().count() <= 16_383,
        "slack" | "slack_api" => body.to_string().chars().count() <= 10_100,
        "teams" => body.to_string().len() <= 20_000,
        "discord" => {
            let embed = &body["embeds"][0];
            let fields = embed["fields"].as_array().into_iter().flatten();
            let fields: usize = fields.map(|it| count(&it["name"]) + count(&it["value"])).sum();
            let rest = [&embed["title"], &embed["description"], &embed["footer"]["text"]];
            fields + rest.into_iter().map(count).sum::<usize>() <= 6_000
        }
        _ => true,
    };
    prop_assert!(holds, "{kind}: too long: {body}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_text_breaks_a_message_outgrows_it_calls_anybody_or_mends_a_link(
        texts in proptest::collection::vec(text(), 1..12),
        which in any::<prop::sample::Index>(),
    ) {
        let mut content = which.get(&SAMPLES).clone();
        poisoned(&mut content["data"], &texts, &mut 0);
        for (kind, config) in RECEIVERS.iter() {
            for body in [config.render(&content), config.shrink(&content)] {
                check(kind, &body)?;
                check_lengths(kind, &serde_json::from_str(&body).unwrap())?;
            }
            config.conversation(&content);
        }
    }
}
