//! Whether atoms that nobody could see could settle the root of a rule.
//!
//! The logic itself is `analyse::rule`; here atoms take every combination of values.

use crate::analyse::{RuleValue, Truth};

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
        !open.is_empty() && rule.with(&value) != Truth::Unknown
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
                assert_eq!(join("and", pair()).with(&value), and[i][j]);
                assert_eq!(join("or", pair()).with(&value), or[i][j]);
            }
            let not = join("not", vec![atom(0)]).with(&|_| left);
            assert_eq!(not, [False, True, Unknown][i]);
        }
    }

    #[test]
    fn nothing_holds_by_accident() {
        for op in ["and", "or", "not", "xor", "atom"] {
            assert_eq!(join(op, Vec::new()).with(&|_| True), Unknown, "{op}");
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
