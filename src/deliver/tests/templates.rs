//! The template receiver: presets as they are sent, faults as they are told, settings that load.

use judge::notice::NoticeKind;
use serde_json::{Value, json};

use super::bodies::{message, of_kind};
use super::fake::{Fake, Reply};
use super::{envelope, secret};
use crate::deliver::ReceiverConfig;
use crate::deliver::receivers::template::preset_names;

fn config(own: Value) -> ReceiverConfig {
    serde_json::from_value(json!({"template": own})).unwrap()
}

fn rendered(config: &ReceiverConfig, kind: NoticeKind) -> Value {
    serde_json::from_str(&config.render(&message(&of_kind(kind)))).unwrap()
}

/// A preset with everything it asks for.
fn preset(name: &str) -> ReceiverConfig {
    let vars = json!({"team_id": "T1", "chat_id": "-100"});
    let some = json!({"env": "X"});
    let mut own = json!({"preset": name, "vars": vars});
    if matches!(name, "opsgenie" | "linear") {
        own["token"] = some;
    } else {
        own["url"] = some;
    }
    config(own)
}

#[test]
fn every_preset_renders_every_kind_of_message_without_a_fault() {
    for name in preset_names() {
        assert_eq!(preset(name).faults(), Vec::<String>::new(), "{name}");
        let body = rendered(&preset(name), NoticeKind::GuardrailTripped);
        assert_eq!(body["faults"], 0);
        let text = body["body"].to_string();
        assert!(text.contains("TRIPPED - sample-checklist: errors 0.2"), "{name}: {text}");
        assert!(!text.contains("{{") && !text.contains("undefined"), "{name}: {text}");
    }
}

#[test]
fn presets_group_and_resolve_by_the_other_sides_own_key() {
    let both = |name| {
        let preset = preset(name);
        let of = |kind| rendered(&preset, kind);
        (of(NoticeKind::GuardrailTripped), of(NoticeKind::GuardrailRecovered))
    };
    let (trip, clear) = both("opsgenie");
    assert_eq!((&trip["path"], &trip["body"]["priority"]), (&json!("/v2/alerts"), &json!("P1")));
    let alias = trip["body"]["alias"].as_str().unwrap();
    let close = format!("/v2/alerts/{alias}/close?identifierType=alias");
    assert_eq!(clear["path"], close.as_str());
    let (trip, clear) = both("grafana_irm");
    assert_eq!(trip["body"]["alert_uid"], clear["body"]["alert_uid"]);
    assert_eq!(
        (&trip["body"]["state"], &clear["body"]["state"]),
        (&json!("alerting"), &json!("ok"))
    );
    let (trip, clear) = both("google_chat");
    assert_eq!(trip["body"]["thread"], clear["body"]["thread"]);
    let (trip, clear) = both("linear");
    let id = |body: &Value| body["body"]["variables"]["input"]["id"].as_str().unwrap().to_owned();
    assert_ne!(id(&trip), id(&clear), "an issue per message");
    assert_eq!(id(&trip), id(&both("linear").0), "the same for the same message");
    assert_eq!((id(&trip).len(), &id(&trip)[14..15]), (36, "4"), "{}", id(&trip));
}

#[tokio::test]
async fn a_preset_is_sent_to_its_place_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let taken = || Reply::status(202, "{}");
    let name = Reply::status(200, r#"{"name": "spaces/A/messages/B"}"#);
    let fake = Fake::start(vec![taken(), taken(), name]).await;
    let token = serde_json::to_value(secret(folder.path(), "token", "k3y")).unwrap();
    let own = json!({
        "preset": "opsgenie", "base_url": format!("{}/jsm/", fake.url), "token": token,
        "allow_private": true, "headers": {"x-team": "growth"},
    });
    let opsgenie = config(own);
    for kind in [NoticeKind::GuardrailTripped, NoticeKind::GuardrailRecovered] {
        let body = opsgenie.render(&message(&of_kind(kind)));
        opsgenie.build("x").unwrap().send(&envelope(&body)).await.unwrap();
    }
    let seen = fake.seen();
    assert_eq!(seen[0].path, "/jsm/v2/alerts");
    assert!(seen[1].path.ends_with("/close?identifierType=alias"), "{}", seen[1].path);
    assert_eq!(seen[0].headers["authorization"], "GenieKey k3y");
    assert_eq!(
        (&seen[0].headers["x-team"], &seen[0].headers["webhook-id"]),
        (&"growth".to_owned(), &"msg_1".to_owned())
    );
    let url = secret(folder.path(), "url", &format!("{}/v1/spaces/A?key=k&token=t", fake.url));
    let chat = config(json!({"preset": "google_chat", "url": url, "allow_private": true}));
    let body = chat.render(&message(&of_kind(NoticeKind::VerdictStop)));
    chat.build("x").unwrap().send(&envelope(&body)).await.unwrap();
    let asked =
        "/v1/spaces/A?key=k&token=t&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD";
    assert_eq!(fake.seen()[2].path, asked);
}

#[test]
fn all_faults_are_told_at_once_with_leaf_line_cause_and_hint() {
    let faults = config(json!({
        "base_url": "https://x.example",
        "body": {
            "fine": "{{ said.headline }}",
            "deep": [{"wrong": "{{ said.headlin }}"}],
            "syntax": "one\n{% if %}",
            "sometimes": "{{ data.action.name }}",
        },
    }))
    .faults();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    let told = |leaf: &str| faults.iter().find(|it| it.starts_with(leaf)).unwrap();
    assert!(told("body.deep[0].wrong, line 1: undefined").contains("| default("));
    assert!(told("body.syntax, line 2: syntax error").contains("more kinds"));
    assert!(told("body.sometimes, line 1:").contains("`experiment.verdict.continue`"));
}

#[test]
fn a_part_that_cannot_be_rendered_says_the_headline_and_is_counted() {
    let own = json!({
        "base_url": "https://x.example",
        "body": {"a": "{{ data.nothing }}", "b": "{{ said.headline }}", "c": "{{ data.final }}"},
    });
    let config = config(own);
    let body = rendered(&config, NoticeKind::VerdictStop);
    assert_eq!(body["faults"], 1);
    assert_eq!(config.build("x").unwrap().render_errors(&body.to_string()), 1);
    assert_eq!((&body["body"]["a"], &body["body"]["c"]), (&body["body"]["b"], &json!(true)));
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_write() {
    let secret = json!({"env": "X"});
    let tree = json!({"a": "b"});
    for (own, words) in [
        (
            json!({"preset": "nope"}),
            "there are google_chat, grafana_irm, linear, opsgenie, telegram",
        ),
        (
            json!({"preset": "linear", "token": secret}),
            "vars.team_id: the preset `linear` needs it",
        ),
        (json!({"preset": "google_chat"}), "url: the preset `google_chat` needs it"),
        (json!({"preset": "google_chat", "url": secret, "body": tree}), "write one of them"),
        (json!({"base_url": "https://x", "url": secret, "body": tree}), "url and base_url"),
        (json!({"body": tree}), "url: write where messages are sent"),
        (json!({"base_url": "https://x"}), "body: write a tree"),
        (
            json!({"base_url": "https://x", "body_file": "/no/file.json"}),
            "cannot read /no/file.json",
        ),
        (
            json!({"base_url": "https://x", "body": tree, "success": {"absent": ["errors"]}}),
            "pointer",
        ),
        (json!({"base_url": "https://x", "body": tree, "success": {"retry": [{}]}}), "fits all"),
        (json!({"base_url": "https://x", "body": tree, "token": secret}), "secret_headers"),
    ] {
        let config = config(own.clone());
        let faults = config.faults().join("\n");
        assert!(faults.contains(words), "{own}: {faults}");
        assert!(config.build("x").is_err(), "{own}");
    }
}

/// As a user writes it: in TOML, with keys whose case matters, and a file.
#[test]
fn a_tree_in_the_settings_keeps_its_keys_and_a_broken_one_is_refused_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("verdictd.toml");
    let tree = folder.path().join("tree.json");
    std::fs::write(&tree, r#"{"Text": "{{ said.reason }}"}"#).unwrap();
    let text = format!(
        "[receivers.a.template]\nbase_url = \"https://x.example\"\nescape = \"md\"\n\
         headers = {{ \"X-Team\" = \"growth\" }}\n\
         body = {{ cardsV2 = [ {{ cardId = \"{{{{ key }}}}\", n = 3 }} ] }}\n\
         [receivers.a.template.success]\nequals = {{ \"/Ok\" = true }}\n\
         [receivers.b.template]\nbase_url = \"https://x.example\"\nbody_file = {tree:?}\n"
    );
    std::fs::write(&file, &text).unwrap();
    let settings = crate::settings::load(Some(&file), &[], &[]).unwrap().settings;
    let body = rendered(&settings.receivers["a"], NoticeKind::VerdictStop);
    assert_eq!(body["body"]["cardsV2"][0]["n"], 3, "{body}");
    assert_eq!(body["body"]["cardsV2"][0]["cardId"].as_str().map(str::len), Some(32), "{body}");
    let body = rendered(&settings.receivers["b"], NoticeKind::VerdictStop);
    assert!(body["body"]["Text"].as_str().is_some_and(|text| text.len() > 20), "{body}");
    std::fs::write(&tree, r#"{"Text": "{{ said.reson }}"}"#).unwrap();
    let refused = crate::settings::load(Some(&file), &[], &[]).unwrap_err().to_string();
    assert!(refused.contains("receivers.b: body.Text, line 1: undefined"), "{refused}");
}

/// Every table of the guide, as it stands there, is loaded and renders every kind of message.
#[test]
fn every_example_of_the_guide_works() {
    let guide = include_str!("../../../docs/guide/receivers.md");
    let blocks = guide.split("```toml\n").skip(1).map(|it| it.split("```").next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("verdictd.toml");
    let mut names = std::collections::BTreeSet::new();
    for block in blocks {
        // Operators are named at the top and explained further down.
        let block = block.replace("operators = [\"oncall\"]", "operators = []");
        std::fs::write(&file, &block).unwrap();
        let settings = crate::settings::load(Some(&file), &[], &[]).unwrap().settings;
        for (name, receiver) in &settings.receivers {
            assert_eq!(receiver.faults(), Vec::<String>::new(), "{name}");
            receiver.build(name).unwrap();
            for message in super::bodies::every_message() {
                let body: Value = serde_json::from_str(&receiver.render(&message)).unwrap();
                assert_ne!(body, json!({}), "{name}: {}", message["type"]);
            }
            names.insert(name.clone());
        }
    }
    let kinds = super::answers::kinds().len();
    assert!(names.len() > kinds, "{kinds} kinds and a tree of one's own: {names:?}");
}
