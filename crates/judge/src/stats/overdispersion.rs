//! How much more counts vary from cell to cell (day, scrape) than independent units would.
//!
//! Place in the line: `phi > 1.5` takes a signal off the exact tests and onto the engine with
//! `SE sqrt(phi)`; rates carry `phi` always.
//!
//! Formula (statistics 1.4): Pearson dispersion `phi = sum (x_i - E_i)^2 / Var_i / (cells - 1)`,
//! binomial `E = n p`, `Var = n p (1-p)` with the pooled `p`; Poisson `E = Var = e r` with the
//! pooled rate `r`. Source: McCullagh & Nelder (1989), section 4.5.
//!
//! Assumption: one underlying rate over the cells. Invariant: `None` below seven usable cells or
//! without variance (rate 0 or 1); otherwise finite and `>= 0`.

/// Fewest cells from which a dispersion is computed.
pub const MIN_CELLS: usize = 7;
/// Above this the exact tests are left.
pub const EXACT_LIMIT: f64 = 1.5;

/// Dispersion of `(successes, units)` cells; cells without units are skipped.
#[must_use]
pub fn phi_binomial(cells: &[(f64, f64)]) -> Option<f64> {
    let (hits, size) = totals(cells)?;
    let p = hits / size;
    dispersion(cells, |n| n * p, |n| n * p * (1.0 - p))
}

/// Dispersion of `(events, exposure)` cells; cells without exposure are skipped.
#[must_use]
pub fn phi_poisson(cells: &[(f64, f64)]) -> Option<f64> {
    let (events, exposure) = totals(cells)?;
    let rate = events / exposure;
    dispersion(cells, |e| e * rate, |e| e * rate)
}

fn used(cells: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    cells.iter().copied().filter(|&(x, n)| x.is_finite() && n.is_finite() && n > 0.0)
}

fn totals(cells: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = used(cells).count();
    let sum = used(cells).fold((0.0, 0.0), |acc, (x, n)| (acc.0 + x, acc.1 + n));
    (count >= MIN_CELLS && sum.1.is_finite()).then_some(sum)
}

fn dispersion(
    cells: &[(f64, f64)],
    expected: impl Fn(f64) -> f64,
    variance: impl Fn(f64) -> f64,
) -> Option<f64> {
    let mut sum = 0.0;
    let mut count = 0.0;
    for (x, n) in used(cells) {
        let (gap, var) = (x - expected(n), variance(n));
        if var <= 0.0 {
            return None;
        }
        sum += gap * gap / var;
        count += 1.0;
    }
    let phi: f64 = sum / (count - 1.0);
    phi.is_finite().then_some(phi)
}
