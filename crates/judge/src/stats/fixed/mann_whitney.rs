//! Mann-Whitney U on raw samples.
//!
//! Place in the line: an alternative for raw samples at one look, and for thinned series points as
//! canary tools do. It tests P(treatment > control), not means: label it so.
//!
//! Formulas: `U = sum over pairs of [t > c] + [t = c]/2`; normal approximation with tie-corrected
//! variance `n m/12 (N + 1 - sum(t^3 - t)/(N(N-1)))` and optional continuity correction; exact null
//! distribution by the counting recursion (Mann & Whitney 1947) when there are no ties.
//! Hodges & Lehmann (1963): the shift is the median of all pairwise differences.
//! Assumptions: independent samples. Invariants: `None` for empty samples or when every value is
//! tied (0/0); NaN in a sample is refused.

use super::{Alternative, z_p};

/// Largest number of pairs for the exact distribution; beyond it the normal one is accurate.
const MAX_PAIRS: f64 = 2500.0;

/// U of the treatment with what its tests need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// U of the treatment.
    pub u: f64,
    /// Treatment size.
    pub n: f64,
    /// Control size.
    pub m: f64,
    /// Tie term `sum(t^3 - t)`.
    ties: f64,
}

/// Ranks both samples; `None` when one is empty or holds NaN.
#[must_use]
pub fn mann_whitney(treatment: &[f64], control: &[f64]) -> Option<MannWhitney> {
    let mut all: Vec<(f64, bool)> = treatment.iter().map(|x| (*x, true)).collect();
    all.extend(control.iter().map(|x| (*x, false)));
    if treatment.is_empty() || control.is_empty() || all.iter().any(|(x, _)| x.is_nan()) {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut done) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let own = group.iter().filter(|(_, is_treatment)| *is_treatment).count() as f64;
        rank_sum += own * (done + 0.5 * (size + 1.0));
        ties += size * size * size - size;
        done += size;
    }
    let (n, m) = (treatment.len() as f64, control.len() as f64);
    Some(MannWhitney { u: rank_sum - 0.5 * n * (n + 1.0), n, m, ties })
}

impl MannWhitney {
    /// P(treatment > control) + P(tie)/2, estimated.
    #[must_use]
    pub fn superiority(&self) -> f64 {
        self.u / (self.n * self.m)
    }

    /// Asymptotic p; with the continuity correction all-tied samples answer 1, without it `None`.
    #[must_use]
    pub fn asymptotic_p(&self, alternative: Alternative, correct: bool) -> Option<f64> {
        let total = self.n + self.m;
        let tied = self.ties / (total * (total - 1.0));
        let sd = (self.n * self.m / 12.0 * (total + 1.0 - tied)).sqrt();
        let centre = 0.5 * self.n * self.m;
        let shift = if correct { 0.5 } else { 0.0 };
        let gap = match alternative {
            Alternative::TwoSided => (self.u - centre).abs(),
            Alternative::Greater => self.u - centre,
            Alternative::Less => centre - self.u,
        } - shift;
        if sd.is_nan() || sd <= 0.0 {
            return correct.then_some(1.0);
        }
        let upper = z_p(gap / sd, Alternative::Greater);
        let p = if alternative == Alternative::TwoSided { 2.0 * upper } else { upper };
        Some(p.min(1.0))
    }

    /// Exact p for samples without ties and `n m <= 2500`; `None` otherwise.
    #[must_use]
    pub fn exact_p(&self, alternative: Alternative) -> Option<f64> {
        if self.ties > 0.0 || self.n * self.m > MAX_PAIRS {
            return None;
        }
        let shares = null_distribution(self.n as usize, self.m as usize);
        let (u, other) = (self.u, self.n * self.m - self.u);
        let at_least = |x: f64| shares.iter().skip(x.max(0.0) as usize).sum::<f64>();
        let p = match alternative {
            Alternative::TwoSided => 2.0 * at_least(u.max(other)),
            Alternative::Greater => at_least(u),
            Alternative::Less => at_least(other),
        };
        Some(p.min(1.0))
    }
}

/// Null probabilities of U = 0, 1, ..., n m, by which sample holds the largest value:
/// `P(u; n, m) = n/(n+m) P(u-m; n-1, m) + m/(n+m) P(u; n, m-1)`. Only positive terms are added.
fn null_distribution(n: usize, m: usize) -> Vec<f64> {
    // Row of distributions for the current n, over 0 to m control values.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let total = (i + j) as f64;
            let mut shares = vec![0.0; i * j + 1];
            for (u, p) in row[j].iter().enumerate() {
                shares[u + j] += p * i as f64 / total;
            }
            for (u, p) in next[j - 1].iter().enumerate() {
                shares[u] += p * j as f64 / total;
            }
            next.push(shares);
        }
        row = next;
    }
    row.swap_remove(m)
}

/// Hodges-Lehmann shift treatment - control; `None` for empty samples or NaN.
#[must_use]
pub fn hodges_lehmann(treatment: &[f64], control: &[f64]) -> Option<f64> {
    let mut gaps: Vec<f64> =
        treatment.iter().flat_map(|t| control.iter().map(move |c| t - c)).collect();
    if gaps.is_empty() || gaps.iter().any(|x| x.is_nan()) {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let middle = gaps.len() / 2;
    let upper = gaps[middle];
    Some(if gaps.len() % 2 == 1 { upper } else { 0.5 * (gaps[middle - 1] + upper) })
}
