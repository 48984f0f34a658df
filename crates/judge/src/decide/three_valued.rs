//! Kleene logic over a rule's values: asking "what if these atoms were known?".
//!
//! The analyse step valued the rule with what is known. The verdict table also needs it with some
//! unknown atoms replaced (decidable ones true, missing ones either way, untrusted ones unknown).

use crate::analyse::{RuleValue, Truth};

/// The rule's value when every atom has the value that `atom` gives for its index.
///
/// Unknown operators and broken indices are unknown: a rule never holds by accident.
pub(super) fn value_with(rule: &RuleValue, atom: &dyn Fn(usize) -> Truth) -> Truth {
    let nodes = || rule.nodes.iter().map(|node| value_with(node, atom));
    match rule.op.as_str() {
        "atom" => rule.atom.map_or(Truth::Unknown, atom),
        "not" => nodes().next().map_or(Truth::Unknown, negated),
        "and" if !rule.nodes.is_empty() => nodes().fold(Truth::True, both),
        "or" if !rule.nodes.is_empty() => negated(nodes().map(negated).fold(Truth::True, both)),
        _ => Truth::Unknown,
    }
}

fn negated(value: Truth) -> Truth {
    match value {
        Truth::True => Truth::False,
        Truth::False => Truth::True,
        Truth::Unknown => Truth::Unknown,
    }
}

fn both(left: Truth, right: Truth) -> Truth {
    match (left, right) {
        (Truth::False, _) | (_, Truth::False) => Truth::False,
        (Truth::True, Truth::True) => Truth::True,
        _ => Truth::Unknown,
    }
}

/// The most atoms whose combinations are tried one by one; beyond it the answer is "yes".
const MOST_COMBINED: usize = 12;

/// Whether some values of the `open` atoms would make an unknown root known, the others staying
/// as they are.
pub(super) fn could_settle(
    rule: &RuleValue,
    open: &[usize],
    known: &dyn Fn(usize) -> Truth,
) -> bool {
    if open.len() > MOST_COMBINED {
        return true;
    }
    (0..1_u32 << open.len()).any(|combination| {
        let value = |atom: usize| match open.iter().position(|&index| index == atom) {
            Some(bit) if combination >> bit & 1 == 1 => Truth::True,
            Some(_) => Truth::False,
            None => known(atom),
        };
        !open.is_empty() && value_with(rule, &value) != Truth::Unknown
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Truth::{False, True, Unknown};

    fn atom(index: usize) -> RuleValue {
        RuleValue {
            text: String::new(),
            op: "atom".into(),
            atom: Some(index),
            value: Unknown,
            nodes: Vec::new(),
        }
    }

    fn join(op: &str, nodes: Vec<RuleValue>) -> RuleValue {
        RuleValue { text: String::new(), op: op.into(), atom: None, value: Unknown, nodes }
    }

    #[test]
    fn the_tables_are_kleenes() {
        let all = [True, False, Unknown];
        let and = [[True, False, Unknown], [False, False, False], [Unknown, False, Unknown]];
        let or = [[True, True, True], [True, False, Unknown], [True, Unknown, Unknown]];
        for (i, left) in all.into_iter().enumerate() {
            for (j, right) in all.into_iter().enumerate() {
                let value = |index: usize| [left, right][index];
                let pair = || vec![atom(0), atom(1)];
                assert_eq!(value_with(&join("and", pair()), &value), and[i][j]);
                assert_eq!(value_with(&join("or", pair()), &value), or[i][j]);
            }
            let not = value_with(&join("not", vec![atom(0)]), &|_| left);
            assert_eq!(not, [False, True, Unknown][i]);
        }
    }

    #[test]
    fn nothing_holds_by_accident() {
        for op in ["and", "or", "not", "xor", "atom"] {
            assert_eq!(value_with(&join(op, Vec::new()), &|_| True), Unknown, "{op}");
        }
    }

    #[test]
    fn a_missing_atom_matters_only_where_it_can_settle_the_root() {
        let unknown = |_: usize| Unknown;
        // `missing and inconclusive`: missing = false makes the root false.
        assert!(could_settle(&join("and", vec![atom(0), atom(1)]), &[0], &unknown));
        // `(missing and false) or inconclusive`: missing never matters.
        let rule = join("or", vec![join("and", vec![atom(0), atom(2)]), atom(1)]);
        let known = |index: usize| if index == 2 { False } else { Unknown };
        assert!(!could_settle(&rule, &[0], &known));
        // Exclusive or needs both missing atoms at once.
        let one = join("and", vec![atom(0), join("not", vec![atom(1)])]);
        let other = join("and", vec![join("not", vec![atom(0)]), atom(1)]);
        let xor = join("or", vec![one, other]);
        assert!(could_settle(&xor, &[0, 1], &unknown));
        assert!(!could_settle(&xor, &[0], &unknown));
        assert!(!could_settle(&xor, &[], &unknown));
    }
}
