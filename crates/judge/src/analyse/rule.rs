//! Three-valued (Kleene) rules: the truth of a rule from the truth of its atoms.
//!
//! Part of `analyse`. Unknown stays unknown through the whole tree; only `decide` collapses the
//! root, at a checkpoint.

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

/// Evaluates a rule; `atoms` are its atoms from left to right.
pub(crate) fn value(rule: &Rule, atoms: &[AtomView]) -> RuleValue {
    let mut next = 0;
    node(rule, atoms, &mut next)
}

fn node(rule: &Rule, atoms: &[AtomView], next: &mut usize) -> RuleValue {
    let (op, atom, value, nodes) = match rule {
        Rule::Atom(_) => {
            let index = *next;
            *next += 1;
            let value = atoms.get(index).map_or(Truth::Unknown, |atom| atom.met);
            ("atom", Some(index), value, Vec::new())
        }
        Rule::Not(inner) => {
            let inner = node(inner, atoms, next);
            ("not", None, !inner.value, vec![inner])
        }
        Rule::And(rules) => {
            let nodes: Vec<_> = rules.iter().map(|rule| node(rule, atoms, next)).collect();
            let value = nodes.iter().map(|node| node.value).fold(Truth::True, Truth::and);
            ("and", None, value, nodes)
        }
        Rule::Or(rules) => {
            let nodes: Vec<_> = rules.iter().map(|rule| node(rule, atoms, next)).collect();
            let value = nodes.iter().map(|node| node.value).fold(Truth::False, Truth::or);
            ("or", None, value, nodes)
        }
    };
    RuleValue { text: rule.to_string(), op: op.to_owned(), atom, value, nodes }
}
