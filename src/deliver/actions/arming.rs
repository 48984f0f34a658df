//! Who armed what: the changes since the daemon last looked, as entries of the decision log.

use std::collections::BTreeMap;

use judge::time::Timestamp;

use super::ActionConfig;
use crate::store::LogEntry;

/// The word for an action that sends nothing.
const NOT_ARMED: &str = "not armed";

/// One change of an action's arming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmingChange {
    /// The action.
    pub action: String,
    /// What it is now; compared with what it was.
    pub word: String,
    /// What the decision log says.
    pub entry: LogEntry,
}

/// What changed between what was `known` (words by action) and what is configured.
///
/// An action that was never seen and is not armed is no news. An armed action that left the
/// settings is.
pub fn arming_changes(
    known: &BTreeMap<String, String>,
    actions: &BTreeMap<String, ActionConfig>,
    at: Timestamp,
) -> Vec<ArmingChange> {
    let mut changes = Vec::new();
    for (name, config) in actions {
        let word = word_of(config);
        let before = known.get(name).map_or(NOT_ARMED, String::as_str);
        if word != before {
            let arming = config.arming();
            let who = arming.armed_by.clone();
            let because = arming.armed_because.as_deref();
            changes.push(change(name, &word, who, because, Some(&config.target()), at));
        }
    }
    for (name, before) in known {
        if !actions.contains_key(name) && before != NOT_ARMED {
            let because = Some("it is not in the settings any more");
            changes.push(change(name, NOT_ARMED, None, because, None, at));
        }
    }
    changes
}

fn word_of(config: &ActionConfig) -> String {
    let arming = config.arming();
    match (arming.armed, arming.dry_run) {
        (false, _) => NOT_ARMED.to_owned(),
        (true, true) => "armed for dry runs only".to_owned(),
        (true, false) => {
            let by = arming.armed_by.as_deref().unwrap_or("somebody who is not named");
            format!("armed by {by}")
        }
    }
}

fn change(
    action: &str,
    word: &str,
    who: Option<String>,
    because: Option<&str>,
    target: Option<&str>,
    at: Timestamp,
) -> ArmingChange {
    let kind = if word == NOT_ARMED { "action.disarmed" } else { "action.armed" };
    let reason = because.unwrap_or("no reason is given (`armed_because`)");
    let next = match (target, word == NOT_ARMED) {
        (Some(target), false) => format!("a trip that names it turns off {target}"),
        _ => "a trip that names it sends nothing and pages a person".to_owned(),
    };
    let entry = LogEntry {
        at,
        kind: kind.to_owned(),
        who,
        verdict: None,
        because: because.map(str::to_owned),
        text: format!("action {action}: {word}\nbecause {reason}\nnext: {next}"),
        evaluation_id: None,
    };
    ArmingChange { action: action.to_owned(), word: word.to_owned(), entry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn actions(more: serde_json::Value) -> BTreeMap<String, ActionConfig> {
        let mut table = json!({"flags": {"checkout": {}}});
        table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = serde_json::from_value(json!({"flagd": table})).unwrap();
        [("off".to_owned(), config)].into()
    }

    fn told(known: &[(&str, &str)], more: serde_json::Value) -> Vec<(String, String)> {
        let known = known.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned()));
        let at = "2026-08-11T00:00:00Z".parse().unwrap();
        let changes = arming_changes(&known.collect(), &actions(more), at);
        changes.into_iter().map(|it| (it.entry.kind, it.entry.text)).collect()
    }

    #[test]
    fn only_changes_are_told_with_who_and_why() {
        assert!(told(&[], json!({})).is_empty(), "never armed is no news");
        let armed = json!({"armed": true, "armed_by": "ana", "armed_because": "game day 4"});
        let [(kind, text)] = &told(&[], armed.clone())[..] else { panic!() };
        assert_eq!(kind, "action.armed");
        assert_eq!(
            text,
            "action off: armed by ana\nbecause game day 4\nnext: a trip that names it turns off \
             flag checkout as flagd pulls them from here"
        );
        assert!(told(&[("off", "armed by ana")], armed).is_empty(), "the same is no news");
        let [(kind, text)] = &told(&[("off", "armed by ana")], json!({}))[..] else { panic!() };
        assert_eq!(kind, "action.disarmed");
        assert!(text.contains("sends nothing and pages a person"), "{text}");
        let dry = told(&[("off", "armed by ana")], json!({"armed": true, "dry_run": true}));
        assert!(dry[0].1.starts_with("action off: armed for dry runs only"), "{dry:?}");
        let gone = told(&[("old", "armed by ana")], json!({}));
        assert!(gone[0].1.contains("not in the settings any more"), "{gone:?}");
        assert!(told(&[("old", "not armed")], json!({})).is_empty());
    }
}
