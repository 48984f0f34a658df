//! The timeline's text: instant, verdict, numbers, states, notices, life.

use super::detail;
use crate::analyse::SignalView;
use crate::decide::Finding;
use crate::guardrails::GuardrailOutcome;
use crate::lifecycle::LifeState;
use crate::notice::{Notice, verdict_text};
use crate::prose::{atom_numbers, finding_sentence};
use crate::record::EvaluationRecord;
use crate::spec::Role;
use crate::time::Timestamp;

/// Lines under one instant.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    text: String,
    /// Reasons, guardrail states, findings and alarms are written too.
    detail: bool,
}

impl Timeline {
    pub(super) fn new(detail: bool) -> Self {
        Self { text: String::new(), detail }
    }

    pub(super) fn look(&mut self, record: &EvaluationRecord) {
        let decision = &record.decision;
        let number = record.input.cycle.number;
        let verdict = verdict_text(decision.verdict, decision.cause);
        self.head(record.input.at, &format!("{verdict} (cycle {number})"));
        for atom in &record.atoms {
            self.line(&atom_numbers(atom, record));
        }
        let judged = |signal: &&SignalView| matches!(signal.role, Role::Proxy | Role::Outcome);
        let states = record.signals.iter().filter(judged);
        let states: Vec<_> =
            states.map(|signal| format!("{} {}", signal.name, name_of(&signal.state))).collect();
        self.line(&format!("states: {}", states.join(", ")));
        for finding in &record.findings {
            if let Finding::Drifted { .. }
            | Finding::Retargeted { .. }
            | Finding::DefinitionChanged { .. } = finding
            {
                self.line(&finding_sentence(finding, record));
            }
        }
        if let Some(next) = decision.next_checkpoint_at.filter(|_| decision.at_checkpoint) {
            self.line(&format!("next checkpoint: {next}"));
        }
        if self.detail {
            for line in detail::of(record) {
                self.line(&line);
            }
        }
    }

    pub(super) fn guardrail(&mut self, at: Timestamp, outcome: &GuardrailOutcome) {
        let status = &outcome.status;
        let state = name_of(&status.state);
        let numbers = match (status.bad, status.total) {
            (Some(bad), Some(total)) => format!(", {bad} of {total}"),
            _ => status.value.map(|value| format!(", {value}")).unwrap_or_default(),
        };
        let also = if status.control_also { ", the control too" } else { "" };
        self.head(at, &format!("guardrail {}: {state}{numbers}{also}", status.name));
    }

    /// The verdict of a guardrail's own track.
    pub(super) fn verdict(&mut self, record: &EvaluationRecord) {
        let decision = &record.decision;
        self.line(&format!("verdict {}", verdict_text(decision.verdict, decision.cause)));
        if self.detail {
            self.line(&detail::reasons(record));
        }
    }

    pub(super) fn notices(&mut self, notices: &[Notice]) {
        for notice in notices {
            let parts = [notice.subject.as_str(), notice.detail.as_deref().unwrap_or_default()];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let kind = notice.kind.as_str();
            self.line(&format!("says {kind} {}", parts.join(": ")));
        }
    }

    /// The new life, where it changed.
    pub(super) fn life(&mut self, before: &LifeState, after: &LifeState) {
        if before.life != after.life {
            self.line(&format!("life: {}", name_of(&after.life)));
        }
    }

    pub(super) fn head(&mut self, at: Timestamp, words: &str) {
        self.text.push_str(&at.to_string());
        self.text.push_str("  ");
        self.text.push_str(words);
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, words: &str) {
        self.text.push_str("  ");
        self.text.push_str(words.trim_end());
        self.text.push('\n');
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

/// The wire name of an enum.
pub(super) fn name_of(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// A plain line difference: the common lines at both ends are left out.
pub(super) fn difference(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<_>, Vec<_>) =
        (expected.trim_end().lines().collect(), got.trim_end().lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let head = same(&mut expected.iter().zip(&got));
    let (expected, got) = (&expected[head..], &got[head..]);
    let tail = same(&mut expected.iter().rev().zip(got.iter().rev()));
    let minus = expected[..expected.len() - tail].iter().map(|line| format!("- {line}\n"));
    let plus = got[..got.len() - tail].iter().map(|line| format!("+ {line}\n"));
    minus.chain(plus).collect()
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc"), "- b\n+ x\n");
        assert_eq!(difference("a\nb\n", "a\nb\n"), "");
        assert_eq!(difference("", "a\n"), "+ a\n");
        assert_eq!(difference("a\na\n", "a\n"), "- a\n");
    }
}
