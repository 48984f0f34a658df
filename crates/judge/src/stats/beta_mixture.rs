//! The log e-value kernel of counts in cells: Dirichlet (two cells: Beta) mixture against fixed
//! shares.
//!
//! Place in the line: [`super::one_proportion`], [`super::rare`] and [`super::srm`] are this one
//! function with different priors.
//!
//! Formula (statistics 1.3, 1.4, 1.9; Lindon & Malek 2022, arXiv 2011.03567): for counts `x`,
//! prior weights `w` and shares `th`,
//! `log e = lnB(w + x) - lnB(w) - sum x_i ln th_i`, `lnB(a) = sum lnG(a_i) - lnG(sum a)`.
//! Computed as `F(w + x) - F(w)` with
//! `F(a) = sum dev(a_i, N th_i) - (sum ln a_i - ln N)/2 + (K-1) ln(2 pi)/2 + sum err(a_i) - err(N)`
//! (`dev` Loader's deviance, `err` the Stirling error), which is the same number without the
//! cancellation of terms of size `N`; absolute error stays near 1e-9 at counts of 2^53.
//!
//! Assumption: units are exchangeable draws with constant shares. Invariant: `log e = 0` without
//! data.

use super::special::{HALF_LN_TWO_PI, deviance, stirling_error};

/// `F` above for parallel slices of weights and shares (all weights and shares > 0).
fn reduced(weights: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let total: f64 = weights.clone().map(|(w, _)| w).sum();
    let mut sum = 0.5 * libm::log(total) - stirling_error(total) - HALF_LN_TWO_PI;
    for (w, share) in weights {
        sum += deviance(w, total * share) - 0.5 * libm::log(w) + HALF_LN_TWO_PI;
        sum += stirling_error(w);
    }
    sum
}

/// `log e` of counts over `cells = (count, prior weight, share)`; shares sum to 1, all positive.
pub(crate) fn log_e_cells(cells: &[(f64, f64, f64)]) -> f64 {
    let after = reduced(cells.iter().map(|&(x, w, th)| (w + x, th)));
    let before = reduced(cells.iter().map(|&(_, w, th)| (w, th)));
    after - before
}

/// `log e` of `s` successes in `n` against probability `q` under a Beta(`a`, `b`) mixture.
///
/// `0 <= s <= n`, `a, b > 0`. At `q` of 0 or 1 the limit: infinite when the data exclude it.
pub(crate) fn log_e_beta(a: f64, b: f64, s: f64, n: f64, q: f64) -> f64 {
    let rest = n - s;
    if (q <= 0.0 && s > 0.0) || (q >= 1.0 && rest > 0.0) {
        return f64::INFINITY;
    }
    if q <= 0.0 || q >= 1.0 {
        // The data fit the edge exactly: likelihood 1 under it, under the mixture
        // B(a+s, b+n-s)/B(a, b).
        return super::special::ln_beta(a + s, b + rest) - super::special::ln_beta(a, b);
    }
    log_e_cells(&[(s, a, q), (rest, b, 1.0 - q)])
}
