//! What an answer means to a template receiver, by rules that stand beside the template.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Receipt;
use crate::deliver::exchange::{Answer, said_by};
use crate::deliver::retry::RETRY_AFTER_CAP;
use crate::deliver::{ErrorClass, SendError, Then};

/// Rules of success; without any, a 2xx status is one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Success {
    /// Statuses of a success; empty = 200 to 299.
    pub statuses: Vec<u16>,
    /// The whole answer, without space around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// JSON pointers and what must stand there.
    pub equals: BTreeMap<String, Value>,
    /// JSON pointers where nothing may stand.
    pub absent: Vec<String>,
    /// JSON pointers where something must stand.
    pub present: Vec<String>,
    /// Answers, whatever their status, after which the message is tried again.
    pub retry: Vec<Rule>,
    /// Answers, whatever their status, that say the message was taken before.
    pub taken: Vec<Rule>,
    /// Answers, whatever their status, that say the message is too large: it is sent once more in
    /// its smallest form.
    pub too_large: Vec<Rule>,
    /// JSON pointer to the seconds that the receiver asks to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
}

/// One kind of answer: everything that is written must be so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// JSON pointer; without it the whole answer as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// What the text there contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

impl Rule {
    fn holds(&self, status: u16, text: &str, json: &Value) -> bool {
        let found = match &self.pointer {
            Some(pointer) => json.pointer(pointer).cloned(),
            None => Some(text.trim().into()),
        };
        let found = found.unwrap_or_default();
        self.status.is_none_or(|wanted| wanted == status)
            && self.equals.as_ref().is_none_or(|wanted| *wanted == found)
            && self.contains.as_ref().is_none_or(|wanted| {
                found.as_str().is_some_and(|text| text.contains(wanted.as_str()))
            })
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Success {
    /// What is wrong with the rules themselves.
    pub(super) fn faults(&self) -> Vec<String> {
        let rules = self.retry.iter().chain(&self.taken).chain(&self.too_large);
        let pointers = self.equals.keys().chain(&self.absent).chain(&self.present);
        let pointers = pointers.chain(&self.retry_after);
        let pointers = pointers.chain(rules.clone().filter_map(|rule| rule.pointer.as_ref()));
        let mut faults: Vec<_> = pointers
            .filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/'))
            .map(|pointer| format!("success: `{pointer}` is no JSON pointer; write `/key/0/key`"))
            .collect();
        if rules.clone().any(Rule::is_empty) {
            faults.push("success: a rule without status, equals or contains fits all".to_owned());
        }
        faults
    }

    fn needs_body(&self) -> bool {
        let pointers = [self.absent.is_empty(), self.present.is_empty(), self.equals.is_empty()];
        self.body.is_some() || pointers.contains(&false)
    }

    /// Taken, or what to do next.
    pub(super) fn judged(&self, answer: Answer) -> Result<Receipt, SendError> {
        let text = answer.body.as_deref().unwrap_or_default().to_owned();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let holds = |rule: &Rule| rule.holds(answer.status, &text, &json);
        let after = answer.retry_after.or_else(|| self.wait(&json));
        if self.retry.iter().any(holds) {
            return Err(said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited));
        }
        if self.taken.iter().any(holds) {
            let detail = format!("taken before: {}", answer.detail());
            return Ok(Receipt { status: answer.status, detail });
        }
        if self.too_large.iter().any(holds) {
            return Err(said_by(&answer, Then::Shrink, ErrorClass::TooLarge));
        }
        if answer.status == 429 {
            return Err(said_by(&answer, Then::Retry { after }, ErrorClass::RateLimited));
        }
        let is_listed = self.statuses.contains(&answer.status);
        if let Some(error) = answer.failure().filter(|_| !is_listed) {
            return Err(error);
        }
        if !is_listed && !self.statuses.is_empty() {
            return Err(said_by(&answer, Then::Retry { after: None }, ErrorClass::NotAccepted));
        }
        if self.needs_body() {
            if let Err(error) = &answer.body {
                return Err(error.clone());
            }
            self.says_so(&answer, &text, &json)?;
        }
        Ok(Receipt { status: answer.status, detail: answer.detail() })
    }

    fn says_so(&self, answer: &Answer, text: &str, json: &Value) -> Result<(), SendError> {
        let is_body = self.body.as_ref().is_none_or(|wanted| wanted.trim() == text.trim());
        let is_there = |(pointer, wanted): (&String, &Value)| json.pointer(pointer) == Some(wanted);
        let is_absent = |pointer: &String| json.pointer(pointer).is_none_or(Value::is_null);
        let is_success = is_body
            && self.equals.iter().all(is_there)
            && self.absent.iter().all(is_absent)
            && !self.present.iter().any(is_absent);
        if is_success {
            return Ok(());
        }
        // What is no JSON where JSON was promised comes from somebody in between.
        let is_foreign = json.is_null() && self.body.is_none();
        let then = if is_foreign { Then::Retry { after: None } } else { Then::Permanent };
        Err(said_by(answer, then, ErrorClass::NotAccepted))
    }

    fn wait(&self, json: &Value) -> Option<Duration> {
        let pointer = self.retry_after.as_deref().unwrap_or("/retry_after");
        let seconds = json.pointer(pointer)?.as_f64()?;
        let usable = seconds.is_finite() && seconds >= 0.0;
        usable.then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_CAP.as_secs_f64())))
    }
}
