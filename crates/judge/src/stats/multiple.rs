//! Several tests at once.
//!
//! Place in the line: OR rules and deterioration guardrails (Bonferroni, Holm at one look),
//! portfolio lists (BH on p, e-BH on e-values). AND rules need no correction (statistics 1.8).
//!
//! Formulas: Bonferroni; Holm (1979) step-down; Hochberg (1988) step-up; Hommel
//! (1988) closed Simes; Benjamini & Hochberg
//! (1995); Benjamini & Yekutieli (2001); e-BH (Wang & Ramdas 2022): sort e descending, reject the
//! largest `k` with `e_(k) >= K/(alpha k)`, valid under any dependence.
//! Invariants: adjusted p in [0, 1] and in the order of the input; NaN counts as p = 1, e = 0.

/// The order of indices by ascending p; NaN last.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| clean(p[*a]).total_cmp(&clean(p[*b])).then(a.cmp(b)));
    order
}

fn clean(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

/// Step-down: running maximum of `factor(rank) * p` from the smallest p.
fn step_down(p: &[f64], factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut highest = 0.0_f64;
    for (rank, index) in ascending(p).into_iter().enumerate() {
        highest = highest.max(clean(p[index]) * factor(rank));
        adjusted[index] = highest.min(1.0);
    }
    adjusted
}

/// Step-up: running minimum of `factor(rank) * p` from the largest p.
fn step_up(p: &[f64], factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut lowest = 1.0_f64;
    for (rank, index) in ascending(p).into_iter().enumerate().rev() {
        lowest = lowest.min(clean(p[index]) * factor(rank));
        adjusted[index] = lowest;
    }
    adjusted
}

/// Bonferroni-adjusted p: `m p`.
#[must_use]
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    p.iter().map(|x| (clean(*x) * p.len() as f64).min(1.0)).collect()
}

/// Holm-adjusted p.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    step_down(p, |rank| (p.len() - rank) as f64)
}

/// Hochberg-adjusted p (independent or positively dependent tests).
#[must_use]
pub fn hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, |rank| (p.len() - rank) as f64)
}

/// Hommel-adjusted p (1988; the closed Simes test, by Wright's 1992 recursion).
#[must_use]
pub fn hommel(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let sorted: Vec<f64> = order.iter().map(|i| clean(p[*i])).collect();
    let n = sorted.len();
    let mut adjusted = sorted.clone();
    for m in (2..=n).rev() {
        // Simes level of the m largest, then the bound it puts on everyone.
        let simes = (1..=m)
            .map(|i| m as f64 * sorted[n - m + i - 1] / i as f64)
            .fold(f64::INFINITY, f64::min);
        for (i, value) in adjusted.iter_mut().enumerate() {
            let own = if i >= n - m { simes } else { simes.min(m as f64 * sorted[i]) };
            *value = value.max(own);
        }
    }
    let mut result = vec![1.0; n];
    for (rank, index) in order.into_iter().enumerate() {
        result[index] = adjusted[rank].min(1.0);
    }
    result
}

/// Benjamini-Hochberg adjusted p (false discovery rate).
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, |rank| p.len() as f64 / (rank + 1) as f64)
}

/// Benjamini-Yekutieli adjusted p (false discovery rate under any dependence).
#[must_use]
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    let harmonic: f64 = (1..=p.len()).map(|i| 1.0 / i as f64).sum();
    step_up(p, |rank| harmonic * p.len() as f64 / (rank + 1) as f64)
}

/// e-BH on log e-values: which hypotheses are rejected at false discovery rate `alpha`.
#[must_use]
pub fn e_benjamini_hochberg(log_e: &[f64], alpha: f64) -> Vec<bool> {
    let value = |i: usize| {
        if log_e[i].is_nan() { f64::NEG_INFINITY } else { log_e[i] }
    };
    let mut order: Vec<usize> = (0..log_e.len()).collect();
    order.sort_by(|a, b| value(*b).total_cmp(&value(*a)).then(a.cmp(b)));
    let total = log_e.len() as f64;
    let passes = |rank: usize| value(order[rank]) >= libm::log(total / (alpha * (rank + 1) as f64));
    let last = (0..order.len()).rev().find(|rank| passes(*rank));
    let mut rejected = vec![false; log_e.len()];
    for index in last.map_or(&[][..], |rank| &order[..=rank]) {
        rejected[*index] = super::is_alpha(alpha);
    }
    rejected
}

/// Log of the mean of e-values: an e-value for the intersection, under any dependence.
#[must_use]
pub fn log_mean_e(log_e: &[f64]) -> f64 {
    let top = log_e.iter().copied().filter(|x| !x.is_nan()).fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() {
        return 0.0;
    }
    let sum: f64 = log_e.iter().filter(|x| !x.is_nan()).map(|x| libm::exp(x - top)).sum();
    super::bounded(top + libm::log(sum / log_e.len() as f64))
}
