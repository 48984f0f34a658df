//! How much more counts vary from cell to cell (day, scrape) than independent units would.
//!
//! Place in the line: above `phi` 1.5 the exact tests count `S/f` of `n/f` and the engine on two
//! arms widens its variance by `f` ([`Unevenness::factor`]); measured baselines and rates carry
//! `max(1, phi)` below that too.
//!
//! Formulas (statistics 1.4; McCullagh & Nelder 1989, section 4.5):
//! * [`phi_binomial`], [`phi_poisson`]: Pearson dispersion around one rate,
//!   `phi = sum (x_i - E_i)^2 / Var_i / (cells - 1)`, for checks of data that should not move
//! * [`within_binomial`], [`within_poisson`]: the same inside groups of seven neighbouring cells,
//!   `phi = sum_g sum_i a_i (y_i - m_g)^2 / sum_g (k_g - 1) v_g` with `y_i = x_i/n_i`, `a_i = n_i`,
//!   `v = p_g(1-p_g)` (Poisson: the rate). A level that moves inside the cycle is no unevenness
//! * [`between_binomial`], [`between_poisson`]: of the *difference* of two concurrent arms,
//!   `y_i = x_ti/n_ti - x_ci/n_ci`, `a_i = 1/(1/n_ti + 1/n_ci)`, `v_i` from the two arms' pooled
//!   rate of that cell: what both arms share on a day cancels (ADR 0012)
//! * both: few cells cannot tell clusters from chance, so what they show is averaged with a prior
//!   of 2 that counts for six degrees of freedom, from the first cell on (ADR 0027, 0034)
//! * [`phi_of_steps`]: for guardrails (ADR 0010).
//!
//! Assumption: cells are independent. Invariant: `None` without variance (rate 0 or 1), for checks
//! and guardrails also below seven usable cells; otherwise finite and `>= 0`.

use serde::{Deserialize, Serialize};

use super::special::{norm_sf, t_isf};
use super::two_arm::Proportion;

/// Fewest cells from which a dispersion is computed.
pub const MIN_CELLS: usize = 7;
/// Above this the exact tests are left.
pub const EXACT_LIMIT: f64 = 1.5;
/// Neighbouring cells with one mean of their own: the days of a week.
const GROUP: usize = 7;
/// What counts are taken to be before their cells tell (ADR 0027): a dispersion, and how many
/// degrees of freedom it counts for.
const PRIOR: Unevenness = Unevenness { phi: 2.0, df: 6.0 };
/// Where the always-valid bounds lie, in standard errors: the two-sided one at 0.05 comes as near
/// as 3.04, its first looks and smaller alphas lie further out. What an estimated dispersion does
/// to a bound is what it does out there, not at 1.96 (ADR 0034).
const BOUND: f64 = 3.5;

/// `(count, units or exposure)` of one cell.
pub type Cell = (f64, f64);

/// A dispersion and the degrees of freedom it was estimated with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unevenness {
    /// 1 for independent units.
    pub phi: f64,
    /// Cells less group means, and the prior's.
    pub df: f64,
}

impl Unevenness {
    /// Nothing known but the prior: no two cells yet, or none that vary.
    pub const UNKNOWN: Self = PRIOR;

    /// A dispersion within groups of seven with its prior, over that many cells.
    #[must_use]
    pub fn over(phi: f64, cells: usize) -> Self {
        Self { phi, df: (cells - cells.div_ceil(GROUP)) as f64 + PRIOR.df }
    }

    fn with_prior((phi, df): (f64, f64)) -> Self {
        let both = df + PRIOR.df;
        Self { phi: (phi * df + PRIOR.phi * PRIOR.df) / both, df: both }
    }

    /// Whether counts are too uneven for independent units.
    #[must_use]
    pub fn is_uneven(&self) -> bool {
        self.phi > EXACT_LIMIT
    }

    /// The factor on the variance: `max(1, phi)`, and above [`EXACT_LIMIT`] times `(t/3.5)^2`,
    /// `t` the quantile of Student's law with `df` degrees of freedom that is exceeded as rarely as
    /// 3.5 by a normal: phi is itself an estimate from few cells.
    #[must_use]
    pub fn factor(&self) -> f64 {
        if !self.is_uneven() {
            return self.phi.max(1.0);
        }
        let wide = t_isf(norm_sf(BOUND), self.df.max(1.0)) / BOUND;
        self.phi * wide * wide
    }
}

/// Degrees of freedom of a dispersion that many cells have told.
const MANY: f64 = 60.0;

impl Unevenness {
    /// The factor that is to be expected once many cells have told, from what they have told so
    /// far: the prior of 2 guards a decision against what few cells hide, and is no forecast. Here
    /// they are averaged with independence instead. Never more than [`Self::factor`].
    #[must_use]
    pub fn to_come(&self) -> f64 {
        let cells = (self.df - PRIOR.df).max(0.0);
        let seen = (self.phi * self.df - PRIOR.phi * PRIOR.df).max(0.0);
        let phi = (seen + PRIOR.df) / (cells + PRIOR.df);
        Self { phi, df: MANY }.factor().min(self.factor())
    }
}

/// One cell's weight, its value, and the variance that the weight times the value has.
struct Weighed {
    weight: f64,
    value: f64,
    variance: f64,
}

/// Dispersion of `(successes, units)` cells within groups of seven.
#[must_use]
pub fn within_binomial(cells: &[Cell]) -> Option<Unevenness> {
    within(cells, |hits, size| Proportion { x: hits, n: size }.variance_of_unit())
}

/// Dispersion of `(events, exposure)` cells within groups of seven.
#[must_use]
pub fn within_poisson(cells: &[Cell]) -> Option<Unevenness> {
    within(cells, |events, exposure| events / exposure)
}

fn within(cells: &[Cell], variance: impl Fn(f64, f64) -> f64) -> Option<Unevenness> {
    let cells: Vec<Cell> = used(cells).collect();
    let mut weighed = Vec::with_capacity(cells.len());
    for group in cells.chunks(GROUP) {
        let (hits, size) = group.iter().fold((0.0, 0.0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
        let variance = variance(hits, size);
        let of = |&(x, n): &Cell| Weighed { weight: n, value: x / n, variance };
        weighed.extend(group.iter().map(of));
    }
    grouped(&weighed).map(Unevenness::with_prior)
}

/// Dispersion of the difference of two arms over cells of `(treatment, control)`, each
/// `(successes, units)`; cells that miss an arm are skipped.
#[must_use]
pub fn between_binomial(cells: &[(Cell, Cell)]) -> Option<Unevenness> {
    // n/(n-1): the variance inside one cell is estimated around that cell's own rate.
    between(cells, |x, n| Proportion { x, n }.variance_of_unit() * n / (n - 1.0))
}

/// [`between_binomial`] for `(events, exposure)`.
#[must_use]
pub fn between_poisson(cells: &[(Cell, Cell)]) -> Option<Unevenness> {
    between(cells, |events, exposure| events / exposure)
}

fn between(cells: &[(Cell, Cell)], variance: impl Fn(f64, f64) -> f64) -> Option<Unevenness> {
    let both = cells.iter().filter(|(t, c)| is_used(t) && is_used(c));
    let weighed: Vec<Weighed> = both
        .map(|&((x, n), (y, m))| Weighed {
            weight: 1.0 / (1.0 / n + 1.0 / m),
            value: x / n - y / m,
            variance: variance(x + y, n + m),
        })
        .collect();
    let seen = match weighed.as_slice() {
        [one] if one.variance > 0.0 => (0.0, 0.0),
        cells => grouped(cells)?,
    };
    Some(Unevenness::with_prior(seen))
}

/// Dispersion and degrees of freedom within groups of neighbours.
fn grouped(cells: &[Weighed]) -> Option<(f64, f64)> {
    let (mut spread, mut expected) = (0.0, 0.0);
    for group in cells.chunks(GROUP).filter(|group| group.len() > 1) {
        let weight: f64 = group.iter().map(|cell| cell.weight).sum();
        let mean = group.iter().map(|cell| cell.value * (cell.weight / weight)).sum::<f64>();
        let square = |cell: &Weighed| cell.weight * (cell.value - mean) * (cell.value - mean);
        spread += group.iter().map(square).sum::<f64>();
        let size = group.len() as f64;
        expected += group.iter().map(|cell| cell.variance).sum::<f64>() * (size - 1.0) / size;
    }
    let phi = spread / expected;
    let df = (cells.len() - cells.len().div_ceil(GROUP)) as f64;
    (expected > 0.0 && phi.is_finite()).then_some((phi, df))
}

/// Dispersion of `(successes, units)` cells; cells without units are skipped.
#[must_use]
pub fn phi_binomial(cells: &[(f64, f64)]) -> Option<f64> {
    let (hits, size) = totals(cells)?;
    let all = Proportion { x: hits, n: size };
    dispersion(cells, |n| n * all.mean(), |n| n * all.variance_of_unit())
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
            let pair = Proportion { x: x + y, n: n + m };
            let var = pair.variance_of_unit() * (1.0 / n + 1.0 / m);
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
    cells.iter().copied().filter(is_used)
}

fn is_used(&(x, n): &Cell) -> bool {
    x.is_finite() && n.is_finite() && n > 0.0
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
    fn a_level_that_moves_is_not_unevenness_and_a_shared_day_cancels() {
        // Two weeks at 10 %, two at 20 %, nothing else: Pearson sees one uneven rate.
        let moved: Vec<Cell> =
            (0..28).map(|day| (if day < 14 { 100.0 } else { 200.0 }, 1000.0)).collect();
        assert!(phi_binomial(&moved).unwrap() > 10.0);
        // 24 degrees of freedom without any spread, and six of the prior's 2.
        assert_eq!(within_binomial(&moved).unwrap(), Unevenness { phi: 0.4, df: 30.0 });
        // Both arms swing together from day to day; each alone is uneven, the difference is not.
        let day = |i: usize| (if i.is_multiple_of(2) { 100.0 } else { 200.0 }, 1000.0);
        let arm: Vec<Cell> = (0..14).map(day).collect();
        assert!(within_binomial(&arm).unwrap().phi > 10.0);
        let both: Vec<(Cell, Cell)> = (0..14).map(|i| (day(i), day(i))).collect();
        // 12 degrees of freedom without any spread, and six of the prior's 2.
        assert_eq!(between_binomial(&both).unwrap(), Unevenness { phi: 12.0 / 18.0, df: 18.0 });
        let apart: Vec<(Cell, Cell)> = (0..14).map(|i| (day(i), day(i + 1))).collect();
        assert!(between_binomial(&apart).unwrap().phi > 10.0);
        assert!(between_poisson(&apart).unwrap().phi > 10.0);
    }

    /// By hand: four cells +1/-1 of 100 against a pooled 50 %, two groups.
    #[test]
    fn the_weights_are_those_of_a_difference() {
        let cells: Vec<(Cell, Cell)> = (0..7)
            .map(|i| ((if i % 2 == 0 { 52.0 } else { 48.0 }, 100.0), (50.0, 100.0)))
            .collect();
        // a = 50; y = +-.02, mean .02/7; sum a (y - m)^2 = 50 (7 x .0004 - 7 (.02/7)^2).
        let spread = 50.0 * (7.0 * 4e-4 - 7.0 * (0.02 / 7.0_f64).powi(2));
        let own = |i: i32| if i % 2 == 0 { 0.51 } else { 0.49 };
        let expected: f64 = (0..7).map(|i| own(i) * (1.0 - own(i)) * 200.0 / 199.0).sum();
        let found = between_binomial(&cells).unwrap();
        let alone = spread / (expected * 6.0 / 7.0);
        assert!((found.phi - (6.0 * alone + 12.0) / 12.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.df, 12.0);
        // One cell says nothing, none has nobody.
        assert_eq!(between_binomial(&cells[..1]), Some(PRIOR));
        assert_eq!(between_binomial(&[]), None);
    }

    /// `t.isf(norm.sf(3.5), df)` by scipy: 6.879470 at 6 and 3.516657 at 699 degrees of freedom.
    #[test]
    fn few_cells_widen_more() {
        let first = Unevenness::UNKNOWN.factor();
        assert_eq!(Unevenness::over(2.0, 1), Unevenness::UNKNOWN);
        assert!((first - 2.0 * (6.879_470 / 3.5_f64).powi(2)).abs() < 1e-5, "{first}");
        let many = Unevenness::over(2.0, 700).factor();
        assert!((2.0..2.06).contains(&many), "{many}");
        assert_eq!(Unevenness::over(1.2, 7).factor(), 1.2);
        assert_eq!(Unevenness::over(0.3, 7).factor(), 1.0);
    }

    #[test]
    fn one_population_has_the_prior_before_its_periods_tell() {
        // Two equal days say little: one degree of freedom without spread, six of the prior's 2.
        let even = within_binomial(&[(54.0, 200.0), (54.0, 200.0)]).unwrap();
        assert_eq!(even, Unevenness { phi: 12.0 / 7.0, df: 7.0 });
        assert_eq!(Unevenness::over(even.phi, 2), even);
        // One day, or days on which nothing happened, say nothing.
        assert_eq!(within_binomial(&[(54.0, 200.0)]), None);
        assert_eq!(within_poisson(&[(0.0, 10.0); 9]), None);
    }

    #[test]
    fn cells_that_swing_from_one_to_the_next_are_uneven() {
        let cells: Vec<_> =
            (0..40).map(|i| (if i % 2 == 0 { 50.0 } else { 150.0 }, 100_000.0)).collect();
        assert!(phi_of_steps(&cells).unwrap() > 10.0);
        assert_eq!(phi_of_steps(&cells[..6]), None);
        assert_eq!(phi_of_steps(&[(0.0, 100.0); 20]), None);
    }
    #[test]
    fn what_is_to_come_is_foretold_by_what_was_seen_and_not_by_the_prior() {
        // Two equal days are widened seven times now; nothing foretells that of a month.
        let even = within_binomial(&[(54.0, 200.0), (54.0, 200.0)]).unwrap();
        assert!(even.factor() > 5.0 && even.to_come() == 1.0, "{even:?}");
        // Clusters that 24 degrees of freedom have shown stay, with less doubt about their size.
        let shown = Unevenness::over(4.0, 28);
        let (now, then) = (shown.factor(), shown.to_come());
        assert!((3.8..now).contains(&then), "{now} {then}");
        assert_eq!(Unevenness::UNKNOWN.to_come(), 1.0);
    }
}
