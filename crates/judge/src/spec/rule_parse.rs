//! The rule grammar of product.md 3.1, by hand, so that every fault has its exact place.
//!
//! ```text
//! rule = and {"or" and} ; and = not {"and" not} ; not = "not" not | "(" rule ")" | atom
//! atom = signal [">=" | "<="] quantity ; quantity = [sign] number ["%" | "pts" | unit]
//! ```
//!
//! Percent and points never mix, a signed number is always a change, and several faults are
//! reported at once: after a broken atom reading goes on at the next `and`, `or` or bracket.

mod units;

use super::model::{Form, Signal};
use super::nearest::suggestion;
use super::parse::values::number_len;
use super::rule::{Atom, Rule, Side};

/// Longest rule, in characters.
const MAX_CHARS: usize = 2_000;
/// Deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 16;
/// Most conditions.
const MAX_ATOMS: usize = 32;
/// Largest number in a rule.
const MAX_NUMBER: f64 = 1e12;

/// What the grammar must know of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its name.
    pub name: String,
    /// Its form; `None` when that is broken itself, then units are not judged.
    pub form: Option<Form>,
    /// Its unit.
    pub unit: Option<String>,
}

impl From<&Signal> for SignalInfo {
    fn from(signal: &Signal) -> Self {
        Self { name: signal.name.clone(), form: Some(signal.form), unit: signal.unit.clone() }
    }
}

/// One fault in a rule; offset and length in characters of the rule's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// First character.
    pub offset: usize,
    /// How many characters.
    pub len: usize,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Reads a rule over the given signals.
///
/// # Errors
/// All faults of the text, in order; never empty.
pub fn parse_rule(text: &str, signals: &[SignalInfo]) -> Result<Rule, Vec<RuleError>> {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = RuleParser { chars, at: 0, signals, errors: Vec::new(), atoms: 0 };
    if parser.chars.len() > MAX_CHARS {
        let message = format!("the rule has {} characters", parser.chars.len());
        let hint = format!("at most {MAX_CHARS}; a rule that cannot be said aloud is not kept");
        parser.error("E0606", (0, 1), message, hint);
        return Err(parser.errors);
    }
    let rule = parser.or_rule(0);
    parser.skip_space();
    if parser.at < parser.chars.len() && parser.errors.is_empty() {
        parser.unexpected("`and`, `or` or the end of the rule");
    }
    match rule {
        Some(rule) if parser.errors.is_empty() => Ok(rule),
        _ => Err(parser.errors),
    }
}

struct RuleParser<'a> {
    chars: Vec<char>,
    at: usize,
    signals: &'a [SignalInfo],
    errors: Vec<RuleError>,
    atoms: usize,
}

/// What was written after the signal's name.
struct Quantity {
    sign: Option<f64>,
    value: f64,
    unit: Written,
    /// First character and length of sign, number and unit together.
    place: (usize, usize),
    /// The same of the unit alone.
    unit_place: (usize, usize),
}

/// A fault that is already among the errors.
struct Reported;

/// A unit as written.
enum Written {
    Nothing,
    Percent,
    Points,
    Own,
    Other(String),
}

impl RuleParser<'_> {
    fn error(
        &mut self,
        code: &'static str,
        (offset, len): (usize, usize),
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.errors.push(RuleError {
            offset,
            len: len.max(1),
            code,
            message: message.into(),
            hint,
        });
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// The word at the current place, without taking it.
    fn word(&self) -> String {
        let rest = &self.chars[self.at.min(self.chars.len())..];
        rest.iter().take_while(|c| is_word(**c)).collect()
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let word = self.word();
        let found = word.eq_ignore_ascii_case(keyword);
        if found {
            self.at += word.chars().count();
        }
        found
    }

    fn or_rule(&mut self, depth: usize) -> Option<Rule> {
        self.chain(depth, "or", Self::and_rule, |rules| match rules {
            Rule::Or(inner) => Ok(inner),
            other => Err(other),
        })
        .map(|rules| one_or(rules, Rule::Or))
    }

    fn and_rule(&mut self, depth: usize) -> Option<Rule> {
        self.chain(depth, "and", Self::not_rule, |rules| match rules {
            Rule::And(inner) => Ok(inner),
            other => Err(other),
        })
        .map(|rules| one_or(rules, Rule::And))
    }

    /// `part {keyword part}`; a part of the same kind is flattened into the chain.
    fn chain(
        &mut self,
        depth: usize,
        keyword: &str,
        part: fn(&mut Self, usize) -> Option<Rule>,
        flatten: fn(Rule) -> Result<Vec<Rule>, Rule>,
    ) -> Option<Vec<Rule>> {
        let mut rules = Vec::new();
        let mut complete = true;
        loop {
            match part(self, depth).map(flatten) {
                Some(Ok(inner)) => rules.extend(inner),
                Some(Err(rule)) => rules.push(rule),
                None => complete = false,
            }
            if self.errors.iter().any(|error| error.code == "E0606") || !self.take_keyword(keyword)
            {
                return complete.then_some(rules);
            }
        }
    }

    fn not_rule(&mut self, depth: usize) -> Option<Rule> {
        if depth > MAX_DEPTH {
            let hint = format!("at most {MAX_DEPTH} levels of brackets and `not`");
            self.error("E0606", (self.at, 1), "the rule is nested too deep", hint);
            self.at = self.chars.len();
            return None;
        }
        if self.take_keyword("not") {
            return self.not_rule(depth + 1).map(|rule| Rule::Not(Box::new(rule)));
        }
        if self.peek(0) == Some('(') {
            let open = self.at;
            self.at += 1;
            let rule = self.or_rule(depth + 1);
            self.skip_space();
            if self.peek(0) == Some(')') {
                self.at += 1;
                return rule;
            }
            if rule.is_some() {
                self.error("E0601", (open, 1), "a bracket that is never closed", "add `)`");
            }
            return None;
        }
        self.atom()
    }

    fn unexpected(&mut self, wanted: &str) {
        let (at, found) = (self.at, self.peek(0));
        let message = match found {
            Some(c) => format!("unexpected `{c}`, wanted {wanted}"),
            None => format!("the rule ends where {wanted} is wanted"),
        };
        let hint = "write for example `activation >= +3pts and errors <= +5%`";
        self.error("E0601", (at, 1), message, hint);
    }

    /// Moves to the next `and`, `or` or closing bracket, so that later faults are found too.
    fn recover(&mut self) {
        while let Some(c) = self.peek(0) {
            if c == ')' {
                return;
            }
            if is_word(c) {
                let word = self.word();
                if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or") {
                    return;
                }
                self.at += word.chars().count();
            } else {
                self.at += 1;
            }
        }
    }

    fn atom(&mut self) -> Option<Rule> {
        let atom = self.read_atom();
        if atom.is_none() {
            self.recover();
        }
        self.atoms += 1;
        if self.atoms > MAX_ATOMS {
            let hint = format!("at most {MAX_ATOMS} conditions");
            self.error("E0606", (self.at.saturating_sub(1), 1), "the rule is too long", hint);
            return None;
        }
        atom.map(Rule::Atom)
    }

    fn read_atom(&mut self) -> Option<Atom> {
        self.skip_space();
        let start = self.at;
        let name = self.word();
        let keyword = ["and", "or", "not"].iter().any(|word| name.eq_ignore_ascii_case(word));
        if name.is_empty() || keyword || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.unexpected("the name of a signal");
            return None;
        }
        self.at += name.chars().count();
        let info = self.signals.iter().find(|signal| signal.name == name).cloned();
        if info.is_none() {
            let names = self.signals.iter().map(|signal| signal.name.as_str());
            let hint = suggestion(&name, names);
            let message = format!("unknown signal `{name}`");
            self.error("E0602", (start, name.chars().count()), message, hint);
        }
        let side = self.operator().ok()?;
        let quantity = self.quantity(info.as_ref())?;
        let info = info?;
        let (kind, side) = self.kind(&info, side, &quantity, start)?;
        let amount = self.amount(&info, kind, &quantity)?;
        let text = units::canonical(&info, kind, side, &quantity);
        Some(Atom { text, signal: name, kind, side, amount })
    }

    /// `>=`, `<=`, `≥`, `≤` or nothing; other comparisons are faults.
    fn operator(&mut self) -> Result<Option<Side>, Reported> {
        self.skip_space();
        let (side, len, right) = match (self.peek(0), self.peek(1)) {
            (Some('>'), Some('=')) => (Some(Side::AtLeast), 2, ""),
            (Some('<'), Some('=')) => (Some(Side::AtMost), 2, ""),
            (Some('\u{2265}'), _) => (Some(Side::AtLeast), 1, ""),
            (Some('\u{2264}'), _) => (Some(Side::AtMost), 1, ""),
            (Some('='), Some('>')) => (None, 2, ">="),
            (Some('='), Some('<')) => (None, 2, "<="),
            (Some('=' | '!'), Some('=')) => (None, 2, ">="),
            (Some('>'), _) => (None, 1, ">="),
            (Some('<'), _) => (None, 1, "<="),
            (Some('='), _) => (None, 1, ">="),
            _ => return Ok(None),
        };
        if side.is_none() {
            let written: String = self.chars[self.at..self.at + len].iter().collect();
            let message = format!("`{written}` is not an operator of rules");
            let hint = format!("write `{right}`; equal counts as reached");
            self.error("E0607", (self.at, len), message, hint);
            return Err(Reported);
        }
        self.at += len;
        Ok(side)
    }

    fn quantity(&mut self, info: Option<&SignalInfo>) -> Option<Quantity> {
        self.skip_space();
        let start = self.at;
        let sign = match self.peek(0) {
            Some('+') => Some(1.0),
            Some('-' | '\u{2212}') => Some(-1.0),
            _ => None,
        };
        if sign.is_some() {
            self.at += 1;
            self.skip_space();
        }
        let rest: String = self.chars[self.at..].iter().take(40).collect();
        let Some(len) = number_len(&rest) else {
            self.unexpected("an operator and a number");
            return None;
        };
        let value = rest.get(..len).and_then(|digits| digits.parse::<f64>().ok());
        let Some(value) = value.filter(|value| *value <= MAX_NUMBER) else {
            self.error("E0306", (self.at, len), "the number is out of bounds", "at most 1e12");
            return None;
        };
        self.at += len;
        let number_end = self.at;
        let unit = self.unit(info);
        let end = if matches!(unit, Written::Nothing) { number_end } else { self.at };
        self.at = end;
        let unit_len = match &unit {
            Written::Nothing => 0,
            Written::Percent => 1,
            Written::Points => 3,
            Written::Own => {
                info.and_then(|info| info.unit.as_ref()).map_or(0, |u| u.chars().count())
            }
            Written::Other(text) => text.chars().count(),
        };
        Some(Quantity {
            sign,
            value,
            unit,
            place: (start, end - start),
            unit_place: (end - unit_len, unit_len),
        })
    }

    /// The unit after a number: the signal's own if it stands there literally, else a word.
    fn unit(&mut self, info: Option<&SignalInfo>) -> Written {
        self.skip_space();
        let own = info.and_then(|info| info.unit.as_deref()).filter(|unit| *unit != "%");
        if let Some(own) = own {
            let len = own.chars().count();
            let literal = own.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c));
            if literal && !self.peek(len).is_some_and(is_word) {
                self.at += len;
                return Written::Own;
            }
        }
        if self.peek(0) == Some('%') {
            self.at += 1;
            return Written::Percent;
        }
        let word = self.word();
        let keyword = ["and", "or", "not"].iter().any(|known| word.eq_ignore_ascii_case(known));
        if word.is_empty() || keyword {
            return Written::Nothing;
        }
        self.at += word.chars().count();
        if word == "pts" { Written::Points } else { Written::Other(word) }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A chain of one is that one.
fn one_or(mut rules: Vec<Rule>, join: fn(Vec<Rule>) -> Rule) -> Rule {
    if rules.len() == 1 { rules.remove(0) } else { join(rules) }
}

#[cfg(test)]
mod tests;
