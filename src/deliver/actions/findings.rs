//! What is odd about the configured actions: said by `verdictd check` and at the daemon's start.

use std::collections::BTreeMap;

use super::ActionConfig;
use super::flagd::sets;

/// One oddity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The action's name.
    pub action: String,
    /// What is odd and what to write.
    pub words: String,
    /// Whether a check should fail for it; the others are only said.
    pub is_fault: bool,
}

/// Every oddity, in order of name.
pub fn findings(actions: &BTreeMap<String, ActionConfig>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |action: &str, is_fault: bool, words: String| {
        found.push(Finding { action: action.to_owned(), words, is_fault });
    };
    for (name, config) in actions {
        let arming = config.arming();
        if !config.reads_back() {
            let words = "nothing can read the flag back: a rollback stays `accepted`, is never \
                         confirmed, and pages a person each time; configure a read-back";
            say(name, true, words.to_owned());
        }
        if arming.armed && arming.armed_by.is_none() {
            let words = "it is armed, and `armed_by` does not say by whom";
            say(name, false, words.to_owned());
        }
    }
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, set) in sets(actions) {
        for flag in set.flags.keys() {
            if let Some(other) = owners.insert(flag, name) {
                let words = format!(
                    "flag `{flag}` is also served by action `{other}`: if either is off, it is off"
                );
                say(name, true, words);
            }
        }
    }
    found
}
