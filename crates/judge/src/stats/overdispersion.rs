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

/// Dispersion of `(successes, units)` cells from neighbour to neighbour, for guardrails.
///
/// Median over consecutive cells of `(p_i - p_{i-1})^2 / (p (1-p) (1/n_i + 1/n_{i-1}))` with the
/// pair's own pooled `p`, over 0.4549, the median of chi-square with one degree of freedom. A
/// level that shifts touches one difference only, so an incident does not excuse itself as
/// unevenness, which Pearson's sum around one lifetime mean would let it do. After von Neumann et
/// al. (1941), with the median for the mean.
#[must_use]
pub fn phi_of_steps(cells: &[(f64, f64)]) -> Option<f64> {
    const CHI_SQUARE_MEDIAN: f64 = 0.454_936_423_119_572_8;
    let cells: Vec<(f64, f64)> = used(cells).collect();
    if cells.len() < MIN_CELLS {
        return None;
    }
    let mut steps: Vec<f64> = cells
        .iter()
        .zip(cells.iter().skip(1))
        .filter_map(|(&(x, n), &(y, m))| {
            let p = (x + y) / (n + m);
            let var = p * (1.0 - p) * (1.0 / n + 1.0 / m);
            let gap = y / m - x / n;
            (var > 0.0).then(|| gap * gap / var)
        })
        .collect();
    if steps.len() + 1 < MIN_CELLS {
        return None;
    }
    steps.sort_by(f64::total_cmp);
    let middle = steps.len() / 2;
    let median = if steps.len() % 2 == 1 {
        steps[middle]
    } else {
        f64::midpoint(steps[middle - 1], steps[middle])
    };
    let phi = median / CHI_SQUARE_MEDIAN;
    phi.is_finite().then_some(phi)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_not_unevenness() {
        let mut cells = vec![(100.0, 100_000.0); 19];
        cells.extend(vec![(50_000.0, 100_000.0); 14]);
        assert!(phi_binomial(&cells).unwrap() > 1_000.0);
        assert!(phi_of_steps(&cells).unwrap() < EXACT_LIMIT);
    }

    #[test]
    fn cells_that_swing_from_one_to_the_next_are_uneven() {
        let cells: Vec<_> =
            (0..40).map(|i| (if i % 2 == 0 { 50.0 } else { 150.0 }, 100_000.0)).collect();
        assert!(phi_of_steps(&cells).unwrap() > 10.0);
        assert_eq!(phi_of_steps(&cells[..6]), None);
        assert_eq!(phi_of_steps(&[(0.0, 100.0); 20]), None);
    }
}
