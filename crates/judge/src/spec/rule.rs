//! The checkpoint rule after parsing (product.md 3.1); the grammar is in `rule_parse`.

use serde::{Deserialize, Serialize};

/// A tree of atoms joined by AND, OR and NOT, with three-valued (Kleene) meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// One condition.
    Atom(Atom),
    /// Negation.
    Not(Box<Rule>),
    /// All must hold.
    And(Vec<Rule>),
    /// One must hold.
    Or(Vec<Rule>),
}

/// One condition on one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Atom {
    /// The condition as written, canonical spacing: `activation_14d >= +3pts`.
    pub text: String,
    /// Signal name.
    pub signal: String,
    /// What is asked of it.
    pub kind: AtomKind,
    /// `>=` is [`Side::AtLeast`]; a bare signed number takes the sign's direction.
    pub side: Side,
    /// The number, signed, as a fraction where percent or points were written.
    pub amount: Amount,
}

/// What an atom asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtomKind {
    /// A change of at least this much in the direction of the sign.
    Movement,
    /// Operator and sign disagree: not worse than.
    Tolerance,
    /// The treatment's own level.
    Level,
}

/// The side of the bound that counts as met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// `>=`.
    AtLeast,
    /// `<=`.
    AtMost,
}

impl Side {
    /// +1 for at least, -1 for at most.
    pub fn sign(self) -> f64 {
        match self {
            Self::AtLeast => 1.0,
            Self::AtMost => -1.0,
        }
    }
}

/// A quantity with its reading; percent and points never mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// `+10%`: relative change, as a fraction (0.10).
    Relative(f64),
    /// `+3pts` (0.03) or `-40ms` (-40): change in contrast units.
    Absolute(f64),
    /// `80%` (0.8) or `250ms` (250): a level.
    Level(f64),
}

impl Rule {
    /// Every atom, left to right.
    pub fn atoms(&self) -> Vec<&Atom> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a Atom>) {
        match self {
            Self::Atom(atom) => found.push(atom),
            Self::Not(inner) => inner.collect(found),
            Self::And(rules) | Self::Or(rules) => {
                for rule in rules {
                    rule.collect(found);
                }
            }
        }
    }

    /// Whether the rule names that signal.
    pub fn names(&self, signal: &str) -> bool {
        self.atoms().iter().any(|atom| atom.signal == signal)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = |f: &mut std::fmt::Formatter<'_>, rules: &[Self], word: &str| {
            for (index, rule) in rules.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match rule {
                    Self::Or(_) if word == "and" => write!(f, "({rule})")?,
                    _ => write!(f, "{rule}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Atom(atom) => f.write_str(&atom.text),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::And(rules) => join(f, rules, "and"),
            Self::Or(rules) => join(f, rules, "or"),
        }
    }
}
