//! Three-valued (Kleene) rules: the truth of a rule from the truth of its atoms.
//!
//! Part of `analyse`. Unknown stays unknown through the whole tree; only `decide` collapses the
//! root, at a checkpoint. It also asks "what if these atoms were known?" ([`RuleValue::with`]): by
//! the same tables, so that what is shown and what decides cannot part.

use std::ops::Not as _;

use super::{AtomView, RuleValue, Truth};
use crate::spec::Rule;

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl Truth {
    /// Kleene AND: false if either is, true only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Kleene OR: true if either is, false only if both are.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        !((!self).and(!other))
    }
}

impl RuleValue {
    /// The rule's value when every atom has the value that `atom` gives for its index.
    ///
    /// Unknown operators and broken indices are unknown: a rule never holds by accident.
    pub(crate) fn with(&self, atom: &dyn Fn(usize) -> Truth) -> Truth {
        match self.op.as_str() {
            "atom" => self.atom.map_or(Truth::Unknown, atom),
            op => joined(op, self.nodes.iter().map(|node| node.with(atom))),
        }
    }
}

/// What an operator makes of the values below it; unknown where it has none.
fn joined(op: &str, values: impl Iterator<Item = Truth>) -> Truth {
    let value = match op {
        "not" => values.map(Truth::not).next(),
        "and" => values.reduce(Truth::and),
        "or" => values.reduce(Truth::or),
        _ => None,
    };
    value.unwrap_or(Truth::Unknown)
}

/// Evaluates a rule; `atoms` are its atoms from left to right.
pub(crate) fn value(rule: &Rule, atoms: &[AtomView]) -> RuleValue {
    let mut next = 0;
    node(rule, atoms, &mut next)
}

fn node(rule: &Rule, atoms: &[AtomView], next: &mut usize) -> RuleValue {
    let (op, atom, nodes) = match rule {
        Rule::Atom(_) => {
            let index = *next;
            *next += 1;
            ("atom", Some(index), Vec::new())
        }
        Rule::Not(inner) => ("not", None, vec![node(inner, atoms, next)]),
        Rule::And(rules) => ("and", None, below(rules, atoms, next)),
        Rule::Or(rules) => ("or", None, below(rules, atoms, next)),
    };
    let value = match atom {
        Some(index) => atoms.get(index).map_or(Truth::Unknown, |atom| atom.met),
        None => joined(op, nodes.iter().map(|node| node.value)),
    };
    RuleValue { text: rule.to_string(), op: op.to_owned(), atom, value, nodes }
}

fn below(rules: &[Rule], atoms: &[AtomView], next: &mut usize) -> Vec<RuleValue> {
    rules.iter().map(|rule| node(rule, atoms, next)).collect()
}
