//! How many units the mean of a skewed number needs before a normal approximation holds.
//!
//! Place in the line: form `mean` with a sum of cubes; fewer units are `too_early`.
//!
//! Formula (statistics 1.1; Kohavi, Deng, Longbotham & Xu 2014, "Seven rules of thumb"):
//! `n >= 355 skew^2`, never more than 100,000, with `skew = m3 / s^3` of the units seen so far.
//! Assumption: the skew seen is the skew there is; a tail that has not shown up is not seen.
//! Invariant: `None` without variance or below three units; otherwise within [0, 100,000].

/// Most units that are asked for: beyond, a cap in the query is the answer.
pub const MOST: f64 = 1.0e5;
const PER_SQUARED_SKEW: f64 = 355.0;
/// Sums are kept at twelve digits: what is left of nearly equal terms below this share is rounding.
const ROUNDING: f64 = 4.0e-12;

/// Skewness of `n` units with these sums of powers.
#[must_use]
pub fn skewness(n: f64, sum: f64, squares: f64, cubes: f64) -> Option<f64> {
    let mean = sum / n;
    let second = squares / n - mean * mean;
    let terms = [cubes / n, -3.0 * mean * (squares / n), 2.0 * mean * mean * mean];
    let rounding = ROUNDING * terms.iter().map(|term| term.abs()).sum::<f64>();
    let third = terms.iter().sum::<f64>();
    let third = if third.abs() <= rounding { 0.0 } else { third };
    let known = n >= 3.0 && second > ROUNDING * (squares / n);
    let skew = third / (second * second.sqrt());
    (known && skew.is_finite()).then_some(skew)
}

/// Fewest units per population.
#[must_use]
pub fn least_units(n: f64, sum: f64, squares: f64, cubes: f64) -> Option<f64> {
    let skew = skewness(n, sum, squares, cubes)?;
    Some(libm::ceil(PER_SQUARED_SKEW * skew * skew).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0, 0, 0, 4: mean 1, s^2 = 3, m3 = (27 - 3)/4 = 6, skew 6/3^1.5 = 1.1547; 355 x 4/3 = 473.3.
    #[test]
    fn by_hand() {
        let skew = skewness(4.0, 4.0, 16.0, 64.0).unwrap();
        assert!((skew - 2.0 / 3.0_f64.sqrt()).abs() < 1e-12, "{skew}");
        assert_eq!(least_units(4.0, 4.0, 16.0, 64.0), Some(474.0));
    }

    /// A million each, a hundred more or less: no skew, whatever the twelfth digit of the cubes is.
    #[test]
    fn digits_that_are_not_kept_are_no_skew() {
        for slip in [-5e-13, 0.0, 5e-13] {
            let cubes = 1_000.0 * (1e18 + 3.0 * 1e6 * 1e4) * (1.0 + slip);
            let least = least_units(1_000.0, 1e9, 1_000.0 * (1e12 + 1e4), cubes);
            assert_eq!(least, Some(0.0), "{slip}");
        }
    }

    #[test]
    fn shape_not_place_or_unit_matters_and_a_cap_holds() {
        let values = [1.0, 2.0, 2.0, 9.0, 3.0_f64];
        let of = |scale: f64, shift: f64| {
            let moved = values.map(|value| scale * value + shift);
            let power = |k: i32| moved.iter().map(|value| value.powi(k)).sum::<f64>();
            skewness(5.0, power(1), power(2), power(3)).unwrap()
        };
        assert!((of(1.0, 0.0) - of(100.0, 7.0)).abs() < 1e-9);
        assert!((of(1.0, 0.0) + of(-1.0, 0.0)).abs() < 1e-12);
        // One unit of a million pays 1e6: skew 1,000.
        assert_eq!(least_units(1.0e6, 1.0e6, 1.0e12, 1.0e18), Some(MOST));
        assert_eq!(skewness(10.0, 10.0, 10.0, 10.0), None, "constant");
    }
}
