//! Which notices a route, a silence or a digest means.
//!
//! Every key that is set must hold; a list holds when one of its words does. `*` stands for any
//! text and `?` for one character. Routes mean a message when *one* of its alarms is meant,
//! silences only when *all* are: a silence never hides what it does not name.

use std::collections::BTreeMap;

use judge::notice::NoticeKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{ALARMS, CAUSES, Facts, KINDS, People, Severity, alarm_name, severity};

/// The keys; an empty one means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    /// Experiment id, as a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Owner's name or contact, as a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels, each as a pattern; all must hold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `continue`, `change`, `stop`, `hold`; of verdicts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// Causes of verdicts, such as `harmful`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cause: Vec<String>,
    /// Event types, as patterns, such as `guardrail.*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// Alarms, as patterns, such as `thrash.*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarm: Vec<String>,
    /// How loud.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Severity>,
    /// Exactly this thing of the experiment; how a snooze names what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl Matcher {
    /// Whether it means everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For routes and digests: one alarm of a message is enough.
    pub fn means(&self, facts: &Facts) -> bool {
        let any = |alarm: &String| facts.alarms.iter().any(|key| is_alarm(alarm, key));
        self.holds(facts) && (self.alarm.is_empty() || self.alarm.iter().any(any))
    }

    /// For silences: every alarm of a message must be meant.
    pub fn covers(&self, facts: &Facts) -> bool {
        let meant = |key: &String| self.alarm.iter().any(|alarm| is_alarm(alarm, key));
        let alarms = facts.alarms.iter();
        let covered = !facts.alarms.is_empty() && alarms.into_iter().all(meant);
        self.holds(facts) && (self.alarm.is_empty() || covered)
    }

    /// All keys but the alarms.
    fn holds(&self, facts: &Facts) -> bool {
        let people = &facts.people;
        let one_of = |words: &[String], word: Option<&String>| {
            words.is_empty() || word.is_some_and(|word| words.contains(word))
        };
        let label = |(key, pattern): (&String, &String)| {
            people.labels.get(key).is_some_and(|value| glob(pattern, value))
        };
        let owner = |pattern: &String| {
            !facts.experiment.is_empty()
                && (glob(pattern, &people.owner) || glob(pattern, &people.contact))
        };
        let id =
            |pattern: &String| !facts.experiment.is_empty() && glob(pattern, &facts.experiment);
        self.experiment.as_ref().is_none_or(id)
            && self.owner.as_ref().is_none_or(owner)
            && self.labels.iter().all(label)
            && one_of(&self.verdict, facts.verdict.as_ref())
            && one_of(&self.cause, facts.cause.as_ref())
            && (self.kind.is_empty()
                || self.kind.iter().any(|kind| glob(kind, facts.kind.as_str())))
            && (self.severity.is_empty() || self.severity.contains(&facts.severity))
            && self.topic.as_ref().is_none_or(|topic| *topic == facts.topic)
    }

    /// Whether a silence of it could hold anything back: tripwires are told whatever is silenced,
    /// so one that means nothing else does nothing.
    pub fn can_hold(&self) -> bool {
        let kinds = KINDS.into_iter().filter(|kind| *kind != NoticeKind::Test);
        let mut facts = kinds.flat_map(said_of).flat_map(|(kind, verdict, cause)| {
            // An alarm may be suspected only, which is quieter.
            [false, true].map(|suspected| Facts {
                kind,
                experiment: String::new(),
                people: People::default(),
                severity: severity(kind, cause.as_deref(), suspected),
                verdict: verdict.map(str::to_owned),
                cause: cause.clone(),
                alarms: Vec::new(),
                topic: String::new(),
            })
        });
        // Whose it is and what it is about is not known yet: only what a kind can be is asked.
        let kind_of = Self {
            verdict: self.verdict.clone(),
            cause: self.cause.clone(),
            kind: self.kind.clone(),
            severity: self.severity.clone(),
            ..Self::default()
        };
        facts.any(|facts| !facts.is_tripwire() && kind_of.holds(&facts))
    }

    /// Words that mean nothing at all, one sentence each: a typing mistake must not be a route
    /// that never matches.
    pub fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |key: &str, words: &[String], known: &[String]| {
            // Verdicts and causes are compared as they are: a pattern there would never match.
            let is_exact = matches!(key, "verdict" | "cause");
            let is_meant = |word: &str, one: &str| {
                if is_exact { word == one } else { glob(word, one) }
            };
            for word in words {
                if !known.iter().any(|one| is_meant(word, one)) {
                    let known = known.join(", ");
                    found.push(format!("`{key}` has `{word}`, which is none of: {known}"));
                }
            }
        };
        let verdicts = ["continue", "change", "stop", "hold"].map(str::to_owned);
        check("verdict", &self.verdict, &verdicts);
        check("cause", &self.cause, &causes());
        check("kind", &self.kind, &KINDS.map(|kind| kind.as_str().to_owned()));
        // A kind of purgatory is its own word after the point.
        let known = self.alarm.iter().filter(|key| !key.starts_with("purgatory."));
        let known: Vec<_> = known.map(|key| alarm_name(key).to_owned()).collect();
        let alarms = ALARMS.map(|alarm| alarm.as_str().to_owned());
        check("alarm", &known, &alarms);
        found
    }

    /// The matcher in words.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        let mut one = |key: &str, value: Option<&String>| {
            words.extend(value.map(|value| format!("{key} {value}")));
        };
        one("experiment", self.experiment.as_ref());
        one("owner", self.owner.as_ref());
        one("topic", self.topic.as_ref());
        words.extend(self.labels.iter().map(|(key, value)| format!("label {key}={value}")));
        let severities: Vec<_> = self.severity.iter().map(|one| one.as_str().to_owned()).collect();
        for (key, list) in [
            ("verdict", &self.verdict),
            ("cause", &self.cause),
            ("kind", &self.kind),
            ("alarm", &self.alarm),
            ("severity", &severities),
        ] {
            if !list.is_empty() {
                words.push(format!("{key} {}", list.join(" or ")));
            }
        }
        if words.is_empty() { "everything".to_owned() } else { words.join(", ") }
    }
}

/// The words of all causes.
pub fn causes() -> Vec<String> {
    CAUSES.iter().map(|(cause, _)| cause_word(*cause)).collect()
}

/// Everything that a kind says: with each cause of its verdict, and without any. A revision says
/// any verdict anew.
fn said_of(kind: NoticeKind) -> Vec<(NoticeKind, Option<&'static str>, Option<String>)> {
    let own = kind.as_str().strip_prefix("experiment.verdict.");
    let is_own = |verdict: &str| own == Some(verdict) || kind == NoticeKind::VerdictRevised;
    let causes = CAUSES.into_iter().filter(|(_, verdict)| is_own(verdict));
    let causes = causes.map(|(cause, verdict)| (kind, Some(verdict), Some(cause_word(cause))));
    causes.chain([(kind, own, None)]).collect()
}

/// The wire word of a cause.
pub(super) fn cause_word(cause: judge::decide::Cause) -> String {
    let word = serde_json::to_value(cause).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn is_alarm(pattern: &str, key: &str) -> bool {
    glob(pattern, key) || glob(pattern, alarm_name(key))
}

/// `*` is any text, `?` one character; linear in the text for any pattern.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                p += 1;
                t += 1;
            }
            _ => match last_star {
                // The star takes one character more.
                Some((star, taken)) => {
                    last_star = Some((star, taken + 1));
                    p = star + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|letter| *letter == '*'))
}
