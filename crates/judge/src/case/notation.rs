//! Series in the notation of rule tests: `0+10x14`, `_`, `stale`, and `2400/28`.
//!
//! `a+bxn` is a, a+b, ... (n + 1 values), `a-bxn` falls, `axn` repeats a (n + 1 values), `_` is a
//! gap, `_xn` n gaps, `stale` a gap too. Ours: `total/n` is n whole numbers that are as even as
//! they can be and sum to the total exactly.

/// No series of a case is longer.
const LONGEST: usize = 100_000;

/// The values of a series, `None` for gaps.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut found = Vec::new();
    for term in text.split_whitespace() {
        let more = one(term).ok_or_else(|| {
            format!("`{term}` is no series: write 5, 5x3, 0+10x14, 2400/28, _, _x3 or stale")
        })?;
        found.extend(more);
        if found.len() > LONGEST {
            return Err(format!("a series has at most {LONGEST} values"));
        }
    }
    Ok(found)
}

fn one(term: &str) -> Option<Vec<Option<f64>>> {
    if term == "_" || term == "stale" {
        return Some(vec![None]);
    }
    if let Some(count) = term.strip_prefix("_x") {
        return Some(vec![None; length(count)?]);
    }
    if let Some((total, count)) = term.split_once('/') {
        return spread(number(total)?, length(count)?);
    }
    let Some((step, count)) = term.split_once('x') else {
        return Some(vec![Some(number(term)?)]);
    };
    let count = length(count)?;
    // The sign of the first number is no operator.
    let operator = step.get(1..)?.find(['+', '-']).map(|index| index + 1);
    let (first, change) = match operator {
        Some(index) => {
            let (first, change) = step.split_at(index);
            (number(first)?, number(change)?)
        }
        None => (number(step)?, 0.0),
    };
    Some((0..=count).map(|index| Some(first + change * index as f64)).collect())
}

fn number(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

fn length(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= LONGEST)
}

fn spread(total: f64, count: usize) -> Option<Vec<Option<f64>>> {
    if count == 0 || total < 0.0 || total.fract() != 0.0 {
        return None;
    }
    let upto = |index: usize| (total * index as f64 / count as f64).floor();
    Some((0..count).map(|index| Some(upto(index + 1) - upto(index))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<f64> {
        values(text).unwrap().into_iter().map(|value| value.unwrap_or(-1.0)).collect()
    }

    #[test]
    fn terms_mean_what_rule_tests_mean() {
        assert_eq!(plain("0+10x3"), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(plain("5-2x2"), [5.0, 3.0, 1.0]);
        assert_eq!(plain("-5+1x1"), [-5.0, -4.0]);
        assert_eq!(plain("7x2 _ 1.5 stale _x2"), [7.0, 7.0, 7.0, -1.0, 1.5, -1.0, -1.0, -1.0]);
        assert_eq!(plain("5"), [5.0]);
        assert_eq!(plain(""), [0.0; 0]);
    }

    #[test]
    fn a_total_is_spread_evenly_and_exactly() {
        assert_eq!(plain("10/4"), [2.0, 3.0, 2.0, 3.0]);
        assert_eq!(plain("1620/28").iter().sum::<f64>(), 1_620.0);
        assert_eq!(plain("0/3"), [0.0; 3]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for bad in ["x", "x3", "5x", "5y3", "1/0", "1.5/2", "-1/2", "inf", "5x999999999", "+"] {
            let refused = values(bad).unwrap_err();
            assert!(refused.contains(bad), "{bad}: {refused}");
        }
    }
}
