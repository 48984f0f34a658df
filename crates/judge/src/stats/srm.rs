//! Sample ratio mismatch: does the observed split fit the planned one?
//!
//! Place in the line: run on units (never events) of all arms at every look; alarm at p < 0.001.
//!
//! Formulas (statistics 1.9): sequential, Dirichlet-multinomial (Lindon & Malek 2022, arXiv
//! 2011.03567): `log BF = lnB(k th + x) - lnB(k th) - sum x_i ln th_i`, `k = 100`,
//! `p = min over looks exp(-log BF)`; after a change of shares a new epoch begins and log BFs add.
//! Fixed: Pearson chi-square with `arms of positive weight - 1` degrees of freedom.
//!
//! Assumptions: units are assigned independently with constant shares within an epoch. Arms of
//! weight 0 are left out of the test: they neither add a degree of freedom nor divide by zero
//! (units there are a configuration fault that the caller reports). Invariants: fewer than two
//! weighted arms or no units: no evidence; results finite; stable to counts of 2^53.

use super::beta_mixture::log_e_cells;
use super::special::chi_square_sf;
use super::{bounded, is_alpha};

/// Concentration of the mixture.
pub const CONCENTRATION: f64 = 100.0;
/// Alarm level.
pub const ALPHA: f64 = 0.001;
/// Fewest units before the split is judged.
pub const MIN_UNITS: f64 = 100.0;

/// Result of the fixed-horizon test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// Pearson's statistic.
    pub statistic: f64,
    /// Degrees of freedom: arms of positive weight less one.
    pub df: f64,
    /// Upper-tail p.
    pub p: f64,
}

/// `(count, normalised share)` of the arms with positive weight; `None` if no test is possible.
fn weighted(counts: &[f64], shares: &[f64]) -> Option<Vec<(f64, f64)>> {
    let mut cells: Vec<(f64, f64)> =
        counts.iter().copied().zip(shares.iter().copied()).filter(|&(_, th)| th > 0.0).collect();
    let weight: f64 = cells.iter().map(|&(_, th)| th).sum();
    let sane = cells.iter().all(|&(x, _)| x >= 0.0 && x.is_finite()) && weight.is_finite();
    for cell in &mut cells {
        cell.1 /= weight;
    }
    (cells.len() >= 2 && sane && counts.len() == shares.len()).then_some(cells)
}

/// Log Bayes factor of one epoch: `counts` against expected `shares` (any positive scale).
///
/// `k > 0` is the concentration, normally [`CONCENTRATION`]. 0 when no test is possible.
#[must_use]
pub fn log_bf(counts: &[f64], shares: &[f64], k: f64) -> f64 {
    let Some(cells) = weighted(counts, shares).filter(|_| k > 0.0 && k.is_finite()) else {
        return 0.0;
    };
    let prior: Vec<(f64, f64, f64)> = cells.iter().map(|&(x, th)| (x, k * th, th)).collect();
    bounded(log_e_cells(&prior))
}

/// Log Bayes factor summed over allocation epochs `(counts, shares)`.
#[must_use]
pub fn log_bf_epochs<'a>(epochs: impl IntoIterator<Item = (&'a [f64], &'a [f64])>) -> f64 {
    bounded(epochs.into_iter().map(|(x, th)| log_bf(x, th, CONCENTRATION)).sum())
}

/// Pearson chi-square of the split; `None` with fewer than two weighted arms or no units.
#[must_use]
pub fn chi_square(counts: &[f64], shares: &[f64]) -> Option<ChiSquare> {
    let cells = weighted(counts, shares)?;
    let total: f64 = cells.iter().map(|&(x, _)| x).sum();
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    let share = |&(x, th): &(f64, f64)| {
        let gap = x - total * th;
        if gap == 0.0 { 0.0 } else { gap * (gap / (total * th)) }
    };
    let statistic = bounded(cells.iter().map(share).sum());
    let df = cells.len() as f64 - 1.0;
    Some(ChiSquare { statistic, df, p: chi_square_sf(statistic, df) })
}

/// Whether a latched `ln p` is an alarm at `alpha`, given the units seen.
#[must_use]
pub fn is_mismatch(ln_p: f64, units: f64, alpha: f64) -> bool {
    is_alpha(alpha) && units >= MIN_UNITS && ln_p < libm::log(alpha)
}
