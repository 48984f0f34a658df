//! Splitting exact totals over cells, and what makes a split acceptable.
//!
//! Totals are given, only their place is random: the seed moves times and mess, never a count.
//! A split is drawn again until its cells vary like independent units (phi <= 1.2) and no early
//! look would see an effect that is not there.

use judge::stats::one_proportion::{log_e, prior};
use judge::stats::overdispersion::phi_binomial;

use super::rng::Rng;

/// Most that daily counts may vary beyond independent units.
pub(super) const MAX_PHI: f64 = 1.2;
/// A path beyond this many standard errors could be read as an effect by an early look.
const CALM_Z: f64 = 2.2;
/// Draws before the last one is taken as it is; the tests hold the first seeds to the rule.
const MAX_DRAWS: u32 = 20_000;
/// Up to here every unit is drawn by itself; above, cells are drawn about their expectation.
const UNIT_BY_UNIT: u32 = 20_000;

/// `(num, den)` of one cell.
pub(super) type Cell = (u32, u32);

/// Draws until the result is acceptable.
pub(super) fn until<T>(
    rng: &mut Rng,
    mut draw: impl FnMut(&mut Rng) -> T,
    accept: impl Fn(&T) -> bool,
) -> T {
    let mut drawn = draw(rng);
    for _ in 0..MAX_DRAWS {
        if accept(&drawn) {
            break;
        }
        drawn = draw(rng);
    }
    drawn
}

/// Splits `total` over cells in proportion to their weights.
pub(super) fn spread(rng: &mut Rng, total: u32, weights: &[f64]) -> Vec<u32> {
    let mut cells = vec![0_u32; weights.len()];
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let whole = sums.last().copied().unwrap_or(0.0);
    if whole <= 0.0 {
        return cells;
    }
    let mut left = i64::from(total);
    if total > UNIT_BY_UNIT {
        for (cell, weight) in cells.iter_mut().zip(weights) {
            *cell = about(rng, f64::from(total) * weight / whole);
            left -= i64::from(*cell);
        }
    }
    while left != 0 {
        let place = rng.unit() * whole;
        let index = sums.partition_point(|sum| *sum <= place).min(cells.len() - 1);
        if left > 0 {
            cells[index] += 1;
            left -= 1;
        } else if cells[index] > 0 {
            cells[index] -= 1;
            left += 1;
        }
    }
    cells
}

/// Marks exactly `total` of the units in the cells, every unit equally likely.
pub(super) fn hits(rng: &mut Rng, total: u32, units: &[u32]) -> Vec<u32> {
    let mut cells = vec![0_u32; units.len()];
    let all: u64 = units.iter().copied().map(u64::from).sum();
    let mut left = i64::from(total).min(all as i64);
    if total > UNIT_BY_UNIT {
        let share = f64::from(total) / all as f64;
        for (cell, unit) in cells.iter_mut().zip(units) {
            let expected = f64::from(*unit) * share;
            *cell = around(rng, expected, expected * (1.0 - share)).min(*unit);
            left -= i64::from(*cell);
        }
    }
    while left > 0 {
        let index = cell_of(rng.below(all), units);
        // A unit that is already marked cannot be marked again.
        if rng.below(u64::from(units[index])) >= u64::from(cells[index]) {
            cells[index] += 1;
            left -= 1;
        }
    }
    while left < 0 {
        let index = cell_of(rng.below(all), units);
        if cells[index] > 0 {
            cells[index] -= 1;
            left += 1;
        }
    }
    cells
}

fn cell_of(mut unit: u64, units: &[u32]) -> usize {
    for (index, size) in units.iter().enumerate() {
        if unit < u64::from(*size) {
            return index;
        }
        unit -= u64::from(*size);
    }
    units.len().saturating_sub(1)
}

fn about(rng: &mut Rng, expected: f64) -> u32 {
    around(rng, expected, expected)
}

fn around(rng: &mut Rng, expected: f64, variance: f64) -> u32 {
    (expected + 0.95 * variance.sqrt() * rng.bell()).round().max(0.0) as u32
}

/// Numerators for given denominators whose cells vary like independent units.
pub(super) fn even_hits(rng: &mut Rng, total: u32, units: &[u32]) -> Vec<u32> {
    until(rng, |rng| hits(rng, total, units), |cells| is_even(&zip(cells, units)))
}

/// Numerators beside their denominators.
pub(super) fn zip(nums: &[u32], dens: &[u32]) -> Vec<Cell> {
    nums.iter().copied().zip(dens.iter().copied()).collect()
}

/// Whether cells vary no more than [`MAX_PHI`].
pub(super) fn is_even(cells: &[Cell]) -> bool {
    phi(cells).is_none_or(|phi| phi <= MAX_PHI)
}

/// Overdispersion of the cells; none below seven of them.
pub(super) fn phi(cells: &[Cell]) -> Option<f64> {
    let cells: Vec<(f64, f64)> =
        cells.iter().map(|(num, den)| (f64::from(*num), f64::from(*den))).collect();
    phi_binomial(&cells)
}

/// Whether no prefix of two paired lists of cells differs beyond chance, for either side.
pub(super) fn is_calm(treatment: &[Cell], control: &[Cell]) -> bool {
    let (mut t, mut c) = ((0, 0), (0, 0));
    treatment.iter().zip(control).all(|(more_t, more_c)| {
        t = (t.0 + more_t.0, t.1 + more_t.1);
        c = (c.0 + more_c.0, c.1 + more_c.1);
        z(t, c).abs() < CALM_Z
    })
}

/// Whether no prefix differs from a measured baseline beyond chance.
pub(super) fn is_calm_against(cells: &[Cell], baseline: Cell) -> bool {
    let mut sum = (0, 0);
    cells.iter().all(|cell| {
        sum = (sum.0 + cell.0, sum.1 + cell.1);
        z(sum, baseline).abs() < CALM_Z
    })
}

/// Whether the exact test against a stated baseline stays silent on every prefix.
pub(super) fn is_silent(cells: &[Cell], p0: f64, target: f64, alpha: f64) -> bool {
    let mut sum = (0, 0);
    cells.iter().all(|cell| {
        sum = (sum.0 + cell.0, sum.1 + cell.1);
        let evidence = log_e(prior(p0, target), f64::from(sum.0), f64::from(sum.1), p0);
        evidence < -alpha.ln()
    })
}

/// Whether the cumulative share never exceeds an allowance at any look.
pub(super) fn stays_below(cells: &[Cell], share: f64) -> bool {
    let mut sum = (0, 0);
    cells.iter().all(|cell| {
        sum = (sum.0 + cell.0, sum.1 + cell.1);
        f64::from(sum.0) <= share * f64::from(sum.1)
    })
}

/// Difference in standard errors, smoothed by one success and one failure each.
fn z(a: Cell, b: Cell) -> f64 {
    let share = |cell: Cell| f64::from(cell.0) / f64::from(cell.1.max(1));
    let variance = |cell: Cell| {
        let p = (f64::from(cell.0) + 1.0) / (f64::from(cell.1) + 2.0);
        p * (1.0 - p) / f64::from(cell.1.max(1))
    };
    (share(a) - share(b)) / (variance(a) + variance(b)).sqrt()
}
