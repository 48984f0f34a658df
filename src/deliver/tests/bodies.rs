//! What is said: goldens of whole messages, and hostile text that must change nothing but words.

use judge::notice::NoticeKind;
use judge::record::canonical_json;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::answers::{config, kinds};
use super::at;
use crate::deliver::payload::{Links, MAX_BYTES, Target, core, generic, name_target};
use crate::deliver::policy::KINDS;
use crate::deliver::receivers::slack;
use crate::deliver::sample::sample_messages;
use crate::deliver::{Sample, sample_notices};

fn links() -> Links {
    Links { external_url: "https://verdictd.example.com".to_owned() }
}

pub(super) fn message(sample: &Sample) -> Value {
    generic(&sample.notice, sample.record.as_ref(), &links(), 42)
}

/// Every type of message that there is, the digest as well.
pub(super) fn every_message() -> Vec<Value> {
    sample_messages(at(), &links(), 42)
}

pub(super) fn of_kind(kind: NoticeKind) -> Sample {
    sample_notices(at()).into_iter().find(|sample| sample.notice.kind == kind).unwrap()
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

/// To accept a new golden, run with `VERDICTD_TEST_BLESS=1` and read the diff.
fn golden(name: &str, text: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deliver/tests/golden");
    let path = folder.join(name);
    if std::env::var_os("VERDICTD_TEST_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{}", path.display());
}

#[test]
fn whole_messages_read_as_agreed() {
    for (kind, name) in [
        (NoticeKind::VerdictContinue, "continue"),
        (NoticeKind::GuardrailTripped, "tripped"),
        (NoticeKind::SourceDown, "source_down"),
    ] {
        let content = message(&of_kind(kind));
        golden(&format!("{name}.json"), &pretty(&content));
        let body: Value = serde_json::from_str(&slack::body(&content)).unwrap();
        golden(&format!("{name}.slack.json"), &pretty(&body));
    }
}

#[test]
fn every_kind_says_something_of_its_own() {
    let samples = sample_notices(at());
    let mut headlines = std::collections::BTreeSet::new();
    let mut kinds = std::collections::BTreeSet::new();
    for sample in &samples {
        let content = message(sample);
        assert_eq!(content["type"], sample.notice.kind.as_str());
        let headline = content["data"]["headline"].as_str().unwrap();
        assert!(headline.len() > 8 && !headline.contains('\n'), "{headline}");
        assert!(!content["data"]["reason"].as_str().unwrap().is_empty(), "{content}");
        headlines.insert(headline.to_owned());
        kinds.insert(sample.notice.kind.as_str());
        check_slack(&slack::body(&content));
    }
    let all: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds, all, "every kind has a sample");
    assert_eq!(headlines.len(), samples.len(), "{headlines:#?}");
}

/// Words that a person reads, wherever they stand in a body.
fn words_of(value: &Value, found: &mut String) {
    match value {
        Value::String(text) => {
            found.push_str(text);
            found.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| words_of(item, found)),
        Value::Object(map) => map.values().for_each(|item| words_of(item, found)),
        _ => {}
    }
}

/// Every type of message in every receiver, whole and in its smallest form; both lists come from
/// their registries, so that a new one is covered by itself.
#[test]
fn every_receiver_renders_every_type_of_message() {
    let folder = tempfile::tempdir().unwrap();
    let messages = every_message();
    let types: Vec<_> = messages.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types.len(), KINDS.len() + 1, "every kind and the digest");
    assert!(types.contains(&"digest"));
    for kind in kinds() {
        let config = config(&kind, "https://receiver.example", folder.path());
        assert_eq!(config.faults(), Vec::<String>::new(), "{kind}");
        for content in &messages {
            let (kind, about) = (kind.as_str(), &content["type"]);
            let whole: Value = serde_json::from_str(&config.render(content)).unwrap();
            let small: Value = serde_json::from_str(&config.shrink(content)).unwrap();
            let headline = content["data"]["headline"].as_str().unwrap();
            // The state word comes through whatever the escapes are.
            let state = headline.split(" - ").next().unwrap();
            for body in [&whole, &small] {
                let mut words = String::new();
                words_of(body, &mut words);
                assert!(words.contains(state), "{kind}: {about}: {body}");
                assert!(!words.contains("{{") && !words.contains("undefined"), "{kind}: {about}");
            }
            assert_ne!(whole["faults"], 1, "{kind}: {about}");
        }
        println!("{kind}: {} types of messages", messages.len());
    }
}

/// A long digest loses whole lines and says so; what is left are the worst.
#[test]
fn a_long_digest_loses_its_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let messages = every_message();
    let mut digest = messages.iter().find(|it| it["type"] == "digest").unwrap().clone();
    let line = |number: usize| format!("experiment-{number:02}: {}", "it goes on. ".repeat(40));
    digest["data"]["next"] = (0..40).map(line).collect();
    for kind in ["slack", "discord", "telegram", "opsgenie"] {
        let body = config(kind, "https://receiver.example", folder.path()).render(&digest);
        let shown = (0..40).filter(|number| body.contains(&format!("experiment-{number:02}")));
        let shown: Vec<usize> = shown.collect();
        assert!((1..=20).contains(&shown.len()), "{kind}: {shown:?}");
        assert_eq!(shown, (0..shown.len()).collect::<Vec<_>>(), "{kind}");
        assert!(body.contains("and more"), "{kind}: {body}");
    }
}

/// A digest is its experiments: each of them is named, and the worst stands first.
#[test]
fn a_digest_names_its_experiments_in_every_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let messages = every_message();
    let digest = messages.iter().find(|it| it["type"] == "digest").unwrap();
    for kind in kinds().iter().filter(|kind| *kind != "grafana_irm") {
        let body = config(kind, "https://receiver.example", folder.path()).render(digest);
        let at = |name: &str| body.find(name).unwrap_or_else(|| panic!("{kind}: {name}: {body}"));
        assert!(at("sample-checklist") < at("copy-test"), "{kind}: {body}");
        assert!(at("copy-test") < at("new-mail"), "{kind}: {body}");
        assert!(body.contains("https://verdictd.example.com/"), "{kind}: the portfolio");
        assert!(!body.contains("→ sample-checklist"), "{kind}: it is a list");
    }
}

#[test]
fn the_same_notice_is_the_same_bytes() {
    let sample = of_kind(NoticeKind::VerdictContinue);
    assert_eq!(canonical_json(&message(&sample)), canonical_json(&message(&sample)));
    assert_eq!(slack::body(&message(&sample)), slack::body(&message(&sample)));
}

#[test]
fn a_trip_that_stops_asks_for_the_rollback_by_name() {
    let content = message(&of_kind(NoticeKind::GuardrailTripped));
    assert_eq!(content["data"]["action"]["name"], "turn-off-checklist");
    assert_eq!(content["data"]["action"]["state"], "requested");
    let content = message(&of_kind(NoticeKind::VerdictContinue));
    assert!(content["data"].get("action").is_none());
}

#[test]
fn without_an_address_there_are_no_links_to_nowhere() {
    let sample = of_kind(NoticeKind::VerdictContinue);
    let content = generic(&sample.notice, sample.record.as_ref(), &Links::default(), 1);
    let links = content["data"]["links"].as_object().unwrap();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["rollback_plan"]);
    assert!(content["data"]["experiment"]["url"].is_null());
}

/// Text that has broken other people's messages.
const HOSTILE: &[&str] = &[
    "<!channel>",
    "<!here|x>",
    "<@U123>",
    "<https://evil.example|click>",
    "*bold* _it_ ~s~ `c`",
    "&amp;&lt;",
    "\"}],\"blocks\":[",
    "\\",
    "\u{0}\u{7}\u{1b}[31m",
    "\r\n\t",
    "\u{202e}evil\u{2066}",
    "@everyone",
    "🎉漢字é",
    "{{start}}",
    ":siren:",
    "]]>",
    "\u{2028}",
    "a",
    " ",
];

fn hostile(random: &mut SmallRng, most: usize) -> String {
    let pieces = random.random_range(0..=most);
    (0..pieces).map(|_| *HOSTILE.choose(random).unwrap()).collect()
}

/// Puts hostile text wherever a person or a source can put text.
fn poison(sample: &mut Sample, random: &mut SmallRng, most: usize) {
    sample.notice.detail = Some(hostile(random, most));
    sample.notice.subject = hostile(random, most);
    sample.notice.previous = Some(hostile(random, most));
    let Some(record) = &mut sample.record else {
        return;
    };
    let experiment = &mut record.input.experiment;
    for text in [
        &mut experiment.title,
        &mut experiment.owner.name,
        &mut experiment.owner.contact,
        &mut experiment.mechanism.we_believe,
        &mut experiment.mechanism.because,
        &mut experiment.aims[0].behaviour,
    ] {
        *text = hostile(random, most);
    }
    experiment.rollback.plan = Some(format!("https://x.example/{}", hostile(random, most)));
    experiment.rollback.action = Some(hostile(random, most));
    let label = |_| (hostile(random, most), hostile(random, most));
    experiment.labels = (0..40).map(label).collect();
    let (view, rail) = (record.signals[0].clone(), record.guardrails[0].clone());
    for _ in 0..random.random_range(0..80) {
        let mut more = view.clone();
        more.name = hostile(random, most);
        more.unit = Some(hostile(random, most));
        more.why = Some(hostile(random, most));
        if random.random_bool(0.5) {
            more.evidence = None;
        }
        record.signals.push(more);
        let mut more = rail.clone();
        more.name = hostile(random, most);
        more.why = Some(hostile(random, most));
        more.value = random.random_bool(0.5).then_some(f64::NAN);
        record.guardrails.push(more);
    }
    for atom in &mut record.atoms {
        atom.text = hostile(random, most);
    }
}

/// Every sample with hostile text in all its places, `most` pieces long.
pub(super) fn hostile_samples(most: usize) -> Vec<Sample> {
    let mut random = SmallRng::seed_from_u64(11);
    let mut samples = sample_notices(at());
    for sample in &mut samples {
        poison(sample, &mut random, most);
    }
    samples
}

/// Strings Slack would show, and where they stand.
pub(super) fn check_slack(body: &str) {
    assert!(body.chars().count() <= 10_000, "{}", body.len());
    let json: Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["mrkdwn"], false);
    let fallback = json["text"].as_str().unwrap();
    assert!(!fallback.contains(['<', '>']) && !fallback.is_empty(), "{fallback}");
    let blocks = json["blocks"].as_array().unwrap();
    assert!((1..=7).contains(&blocks.len()));
    for block in blocks {
        let limit = if block["type"] == "header" { 150 } else { 3_000 };
        if let Some(text) = block.get("text") {
            check_text(text, limit);
        }
        let fields = block["fields"].as_array().cloned().unwrap_or_default();
        assert!(fields.len() <= 10);
        for field in &fields {
            check_text(field, 2_000);
        }
        for element in block["elements"].as_array().cloned().unwrap_or_default() {
            if element["type"] == "button" {
                check_text(&element["text"], 75);
                let url = element["url"].as_str().unwrap();
                assert!(url.starts_with("http") && url.len() <= 3_000, "{url}");
            } else {
                check_text(&element, 2_000);
            }
        }
    }
}

fn check_text(text: &Value, limit: usize) {
    assert_eq!(text["type"], "plain_text");
    let words = text["text"].as_str().unwrap();
    assert!(!words.is_empty() && words.encode_utf16().count() <= limit, "{words}");
    assert!(!words.contains(['<', '>']), "{words}");
    for rest in words.split('&').skip(1) {
        let entity = ["amp;", "lt;", "gt;"].iter().any(|entity| rest.starts_with(entity));
        assert!(entity, "a cut or bare entity in {words}");
    }
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!words.contains(hidden), "{words:?}");
}

#[test]
fn hostile_text_breaks_neither_json_nor_size_nor_mentions() {
    let mut random = SmallRng::seed_from_u64(7);
    for round in 0..6 {
        // Short and very long texts alike.
        let most = if round % 2 == 0 { 6 } else { 3_000 };
        for mut sample in sample_notices(at()) {
            poison(&mut sample, &mut random, most);
            let content = message(&sample);
            let bytes = canonical_json(&content);
            assert!(bytes.len() <= MAX_BYTES, "{} bytes: {}", bytes.len(), content["type"]);
            let read: Value = serde_json::from_str(&bytes).unwrap();
            assert_eq!(read["type"], sample.notice.kind.as_str());
            assert_eq!(read["data"]["schema"], "verdictd/notice/1");
            assert_eq!(read["data"]["sequence"], 42);
            check_slack(&slack::body(&read));
            let small: Value = serde_json::from_str(&core(&read)).unwrap();
            assert_eq!(
                (&small["type"], &small["data"]["truncated"]),
                (&read["type"], &true.into())
            );
            assert!(small.to_string().len() < 6_000);
        }
    }
}

#[test]
fn what_is_too_large_loses_the_least_important_first() {
    let mut sample = of_kind(NoticeKind::VerdictContinue);
    sample.notice.detail = Some("a long detail ".repeat(200));
    let record = sample.record.as_mut().unwrap();
    record.input.experiment.mechanism.because = "a long reason ".repeat(200);
    let (mut view, rail) = (record.signals[0].clone(), record.guardrails[0].clone());
    view.role = judge::spec::Role::Leading;
    record.signals.extend(vec![view; 38]);
    record.guardrails.extend(vec![rail; 38]);
    let content = message(&sample);
    let data = &content["data"];
    assert!(data.get("labels").is_none());
    assert!(data.get("checkpoint").is_some(), "the story stays");
    let roles: Vec<_> = data["signals"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["proxy", "outcome"]);
}

/// Whoever reads that the rollback is on its way does not turn the flag off.
#[test]
fn an_action_that_sends_nothing_is_promised_nowhere() {
    for (held, why) in [("not_armed", "is not armed"), ("dry_run", "is a dry run")] {
        for kind in [NoticeKind::GuardrailTripped, NoticeKind::VerdictStop] {
            let mut content = message(&of_kind(kind));
            let promised = content["data"]["next"].to_string();
            assert!(promised.contains("ollback action turn-off-checklist"), "{promised}");
            let target = Target { what: "the flag short".to_owned(), held: Some(held) };
            name_target(&mut content, &target);
            let data = &content["data"];
            assert_eq!(data["action"]["state"], held);
            let next = data["next"].as_array().unwrap();
            let first = next[0].as_str().unwrap();
            assert!(
                first.contains(why) && first.contains("turn off the flag short now"),
                "{first}"
            );
            let rest = serde_json::to_string(&next[1..]).unwrap();
            assert!(!rest.contains("turn-off-checklist"), "{kind:?}: {rest}");
        }
    }
}
