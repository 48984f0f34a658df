//! Exact test of an absolute difference of two shares, valid at every look.
//!
//! Place in the line: absolute thresholds and margins ("+0.1 pts", "no worse than 2 pts") where an
//! arm has fewer than ten events; [`super::rare`] judges "no change" and rate ratios there.
//!
//! Formula: `log e(d) = ln M_t + ln M_c - max { ln L(p_t, p_c) : p_t - p_c = d }` with `M` each
//! arm's likelihood under its own Beta mixture and the constrained maximum of Farrington & Manning
//! (1990). Under any pair of shares `d` apart the mixture ratio at the true pair is an e-process,
//! and the maximum is at least the true likelihood, so `e(d)` is never larger (Robbins 1970;
//! Wasserman, Ramdas & Balakrishnan 2020, universal inference). Nothing is assumed of the
//! allocation; the nuisance share costs power against the conditional test of a ratio.
//!
//! The interval `{d : log e(d) < ln(1/alpha)}` is one piece: the maximum is concave in `d`.
//!
//! Assumption: independent units with one share per arm. Invariants: an empty arm has no evidence
//! and the interval [-1, 1]; results finite.

use super::beta_mixture::log_e_beta;
use super::fixed::score::constrained;
use super::one_proportion::{Prior, prior_tau};
use super::two_arm::Proportion;
use super::{Interval, bounded, is_alpha};

/// The mixture of both arms: around the stated share `from` for effects of size `tau`, never
/// narrower at an edge than Jeffreys' Beta(1/2, 1/2), which serves where no share is stated.
#[must_use]
pub fn prior(from: Option<f64>, tau: f64) -> Prior {
    const LEAST: f64 = 0.5;
    let Some(from) = from else {
        return Prior { a: LEAST, b: LEAST };
    };
    let tuned = prior_tau(from, tau);
    Prior { a: tuned.a.max(LEAST), b: tuned.b.max(LEAST) }
}

fn usable(arm: &Proportion) -> bool {
    arm.n.is_finite() && arm.n > 0.0 && arm.x >= 0.0 && arm.x <= arm.n
}

/// Log e-value of "treatment's share less control's is `difference`"; 0 on unusable input.
#[must_use]
pub fn log_e(treatment: &Proportion, control: &Proportion, difference: f64, prior: Prior) -> f64 {
    let shapes = prior.a > 0.0 && prior.b > 0.0 && (prior.a + prior.b).is_finite();
    let known = usable(treatment) && usable(control) && shapes && difference.abs() < 1.0;
    if !known {
        return 0.0;
    }
    let p_c = constrained(treatment, control, difference);
    let p_t = (p_c + difference).clamp(0.0, 1.0);
    let of = |arm: &Proportion, p: f64| log_e_beta(prior.a, prior.b, arm.x, arm.n, p);
    bounded(of(treatment, p_t) + of(control, p_c))
}

/// The differences not rejected at `alpha`, within [-1, 1]; simultaneous over all looks.
#[must_use]
pub fn interval(
    treatment: &Proportion,
    control: &Proportion,
    alpha: f64,
    prior: Prior,
) -> Interval {
    if !usable(treatment) || !usable(control) || !is_alpha(alpha) {
        return Interval { lo: -1.0, hi: 1.0 };
    }
    let limit = -libm::log(alpha);
    let inside = |d: f64| log_e(treatment, control, d, prior) < limit;
    let seen = treatment.mean() - control.mean();
    Interval { lo: edge(seen, -1.0, inside), hi: edge(seen, 1.0, inside) }
}

/// Bisection from the estimate to the end of the range; returns the outer side.
fn edge(seen: f64, end: f64, is_inside: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (seen, end);
    for _ in 0..60 {
        let middle = 0.5 * (inside + outside);
        if middle == inside || middle == outside {
            break;
        }
        if is_inside(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM: Proportion = Proportion { x: 3.0, n: 400.0 };

    /// The closed form of the constrained maximum against a plain search over control's share.
    #[test]
    fn the_null_is_taken_at_its_best() {
        for (x, y, d) in
            [(0.0, 0.0, 0.01_f64), (3.0, 7.0, 0.02), (7.0, 3.0, -0.02), (0.0, 9.0, 0.1)]
        {
            let (t, c) = (Proportion { x, n: 300.0 }, Proportion { x: y, n: 500.0 });
            let prior = prior(Some(0.01), 0.01);
            let of = |arm: &Proportion, p: f64| log_e_beta(prior.a, prior.b, arm.x, arm.n, p);
            let (low, high) = ((-d).max(0.0), (1.0 - d).min(1.0));
            let least = (0..=20_000)
                .map(|i| low + (high - low) * f64::from(i) / 20_000.0)
                .map(|p| of(&t, p + d) + of(&c, p))
                .fold(f64::INFINITY, f64::min);
            let found = log_e(&t, &c, d, prior);
            assert!(found <= least + 1e-9 && least - found < 2e-2, "{found} {least} at {d}");
        }
    }

    /// Under any pair of shares `d` apart the mean of e is at most 1, exactly summed.
    #[test]
    fn the_mean_under_the_null_is_at_most_one() {
        use crate::stats::special::binom_pmf;
        for (p, d) in [(0.01, 0.02), (0.05, -0.03), (0.2, 0.1), (0.5, -0.3)] {
            let n = 40.0;
            let prior = prior(Some(0.05), 0.05);
            let counts = || (0..=40_u32).map(f64::from);
            let mean: f64 = counts()
                .flat_map(|x| counts().map(move |y| (x, y)))
                .map(|(x, y)| {
                    let (t, c) = (Proportion { x, n }, Proportion { x: y, n });
                    let chance = binom_pmf(x, n, p + d) * binom_pmf(y, n, p);
                    if chance > 0.0 { chance * libm::exp(log_e(&t, &c, d, prior)) } else { 0.0 }
                })
                .sum();
            assert!(mean <= 1.0 + 1e-9 && mean > 1e-3, "{mean}");
        }
    }

    #[test]
    fn the_interval_inverts_the_test_and_mirrors() {
        let other = Proportion { x: 9.0, n: 350.0 };
        let prior = prior(None, 0.0);
        let found = interval(&ARM, &other, 0.05, prior);
        assert!(found.lo < ARM.mean() - other.mean() && ARM.mean() - other.mean() < found.hi);
        for end in [found.lo, found.hi] {
            assert!((log_e(&ARM, &other, end, prior) - libm::log(20.0)).abs() < 1e-6);
        }
        let turned = interval(&other, &ARM, 0.05, prior);
        assert!((turned.lo + found.hi).abs() < 1e-9 && (turned.hi + found.lo).abs() < 1e-9);
        let empty = Proportion { x: 0.0, n: 0.0 };
        assert_eq!(interval(&ARM, &empty, 0.05, prior), Interval { lo: -1.0, hi: 1.0 });
    }
}
