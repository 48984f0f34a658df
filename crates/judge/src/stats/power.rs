//! Planning: sample sizes, detectable effects, days to a decision.
//!
//! Place in the line: `plan`, `power`, the progress shown while collecting, and "needs about N
//! more" of a verdict. Never an "observed power".
//!
//! Formulas (statistics 1.10), `delta` the effect, `z_a`, `z_b` normal quantiles:
//! * fixed, two arms: `n_c = (z_a + z_b)^2 (var_c + var_t/ratio) / delta^2`
//! * fixed, one share: `n = ((z_a sqrt(p0 q0) + z_b sqrt(p1 q1)) / (p1 - p0))^2`
//! * sequential with `tau = delta`: the `x = delta/SE` that solves `x - z_b = h(x)`, `h` the
//!   half-width of the engine at SE 1 (3.90 for 80 %, 4.36 for 90 % at two-sided 0.05; 3.65 and
//!   4.11 one-sided with the closed form); `n_seq = n_fixed (x / (z_a + z_b))^2`
//! * needed n now: the smallest `n` whose half-width at `SE sqrt(n_now/n)` is below the effect.
//!
//! Assumptions: the standard error falls as `1/sqrt(n)`; normal approximation. The numbers are
//! upper bounds: stopping is earlier when the true effect exceeds `delta`. Invariant: `None`
//! instead of a number whenever no finite size exists.

use super::info_time::{half_width_one_sided_closed, half_width_two_sided};
use super::special::{binom_sf, norm_cdf, norm_isf, t_isf};
use super::{Sides, is_alpha, one_proportion, poisson, two_arm::Count};

/// `z_a`: the critical value of a fixed test.
fn critical(alpha: f64, sides: Sides) -> f64 {
    match sides {
        Sides::One => norm_isf(alpha),
        Sides::Two => norm_isf(0.5 * alpha),
    }
}

/// `z_a + z_b`; `None` unless both probabilities lie in (0, 1).
fn fixed_need(alpha: f64, power: f64, sides: Sides) -> Option<f64> {
    (is_alpha(alpha) && is_alpha(power)).then(|| critical(alpha, sides) + norm_isf(1.0 - power))
}

fn positive(n: f64) -> Option<f64> {
    (n.is_finite() && n > 0.0).then_some(n)
}

/// Units of the control arm for a fixed test of `delta`; variances per unit, `ratio` = n_t/n_c.
#[must_use]
pub fn two_arm_n_control(
    delta: f64,
    (var_c, var_t): (f64, f64),
    ratio: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let need = fixed_need(alpha, power, sides)? / delta;
    positive(need * need * (var_c + var_t / ratio))
}

/// Units of the control arm for a fixed test of two shares, each variance at its own rate.
#[must_use]
pub fn proportions_n_control(
    (p_c, p_t): (f64, f64),
    ratio: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let variances = (p_c * (1.0 - p_c), p_t * (1.0 - p_t));
    two_arm_n_control(p_t - p_c, variances, ratio, alpha, power, sides)
}

/// Units for a fixed one-sample test of a share against the stated `p0` at alternative `p1`.
#[must_use]
pub fn one_proportion_n(p0: f64, p1: f64, alpha: f64, power: f64, sides: Sides) -> Option<f64> {
    fixed_need(alpha, power, sides)?;
    let (z_a, z_b) = (critical(alpha, sides), norm_isf(1.0 - power));
    let top = z_a * (p0 * (1.0 - p0)).sqrt() + z_b * (p1 * (1.0 - p1)).sqrt();
    let root = top / (p1 - p0);
    positive(root * root)
}

/// Power of a fixed z test of `delta` with standard error `se` (both tails when two-sided).
#[must_use]
pub fn fixed_power(delta: f64, se: f64, alpha: f64, sides: Sides) -> Option<f64> {
    if !is_alpha(alpha) || se <= 0.0 || !se.is_finite() || !delta.is_finite() {
        return None;
    }
    let (shift, z) = (delta / se, critical(alpha, sides));
    Some(match sides {
        Sides::One => norm_cdf(shift - z),
        Sides::Two => norm_cdf(shift - z) + norm_cdf(-shift - z),
    })
}

/// The smallest effect a fixed test with standard error `se` finds with the given power.
///
/// Both tails of a two-sided test count, so this is exact where `z_a + z_b` is an upper bound.
#[must_use]
pub fn fixed_mde(se: f64, alpha: f64, power: f64, sides: Sides) -> Option<f64> {
    let (mut lo, mut hi) = (0.0, fixed_need(alpha, power, sides)?);
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if fixed_power(mid, 1.0, alpha, sides).is_some_and(|reached| reached < power) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    positive(hi * se)
}

/// Power of the pooled two-proportion z test with `(n_c, n_t)` units at rates `(p_c, p_t)`.
#[must_use]
pub fn pooled_z_power(
    (p_c, p_t): (f64, f64),
    (n_c, n_t): (f64, f64),
    alpha: f64,
    sides: Sides,
) -> Option<f64> {
    let pooled = (p_c * n_c + p_t * n_t) / (n_c + n_t);
    let null = (pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_t)).sqrt();
    let se = (p_c * (1.0 - p_c) / n_c + p_t * (1.0 - p_t) / n_t).sqrt();
    let (shift, z) = ((p_t - p_c) / se, critical(alpha, sides) * null / se);
    if !is_alpha(alpha) || !(shift + z).is_finite() {
        return None;
    }
    let lower = if sides == Sides::Two { norm_cdf(-shift - z) } else { 0.0 };
    Some(norm_cdf(shift - z) + lower)
}

/// `delta/SE` at which the engine with `tau = delta` rejects with the given power.
#[must_use]
pub fn sequential_need(alpha: f64, power: f64, sides: Sides) -> Option<f64> {
    fixed_need(alpha, power, sides)?;
    let z_b = norm_isf(1.0 - power);
    let short = |x: f64| {
        let half = match sides {
            Sides::One => half_width_one_sided_closed(1.0, x, alpha),
            Sides::Two => half_width_two_sided(1.0, x, alpha),
        };
        x - z_b < half
    };
    let (mut lo, mut hi) = (1.0e-3, 1.0e3);
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if short(mid) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    Some(hi)
}

/// How many times the fixed sample the sequential test needs (1.94 at 0.05 two-sided, 80 %).
#[must_use]
pub fn sequential_factor(alpha: f64, power: f64, sides: Sides) -> Option<f64> {
    let ratio = sequential_need(alpha, power, sides)? / fixed_need(alpha, power, sides)?;
    Some(ratio * ratio)
}

/// Units per control arm for the sequential test of `delta` (`tau = delta`).
#[must_use]
pub fn sequential_two_arm_n_control(
    delta: f64,
    (var_c, var_t): (f64, f64),
    ratio: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let need = sequential_need(alpha, power, sides)? / delta;
    positive(need * need * (var_c + var_t / ratio))
}

/// The effect detectable at a date: `need * SE * sqrt(n_now / n_date)`.
#[must_use]
pub fn sequential_mde(
    se_now: f64,
    n_now: f64,
    n_date: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let need = sequential_need(alpha, power, sides)?;
    positive(need * se_now * (n_now / n_date).sqrt())
}

/// Units at which the sequential test of `delta` has the given power, from today's precision.
#[must_use]
pub fn sequential_needed_n(
    delta: f64,
    se_now: f64,
    n_now: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let ratio = se_now * sequential_need(alpha, power, sides)? / delta;
    positive(n_now * ratio * ratio)
}

/// Probability that a movement atom is true at the look with standard error `se`:
/// the estimate reaches `threshold` and the two-sided interval excludes 0, at true `effect`.
#[must_use]
pub fn pass_probability(effect: f64, threshold: f64, se: f64, tau: f64, alpha: f64) -> f64 {
    if !(se > 0.0 && se.is_finite() && effect.is_finite() && threshold.is_finite()) {
        return 0.0;
    }
    norm_cdf((effect - threshold.max(half_width_two_sided(se, tau, alpha))) / se)
}

/// Smallest number of units at which `reached(n)` holds, `reached` being monotone in `n`.
///
/// `None` when not even `limit` units suffice.
#[must_use]
pub fn smallest_n(limit: f64, reached: impl Fn(f64) -> bool) -> Option<f64> {
    let mut hi = 1.0;
    while !reached(hi) {
        if hi >= limit {
            return None;
        }
        hi = (hi * 2.0).min(limit);
    }
    let mut lo = libm::floor(hi / 2.0);
    while hi - lo > 1.0 {
        let mid = libm::floor(0.5 * (lo + hi));
        if reached(mid) {
            hi = mid;
        } else {
            lo = mid;
        }
    }
    Some(hi)
}

/// Largest sample any plan speaks of; beyond it the answer is "cannot be reached".
pub const N_LIMIT: f64 = 1.0e12;

/// Units at which the engine's interval would exclude 0 with the estimate held at `effect`.
#[must_use]
pub fn needed_n(effect: f64, se_now: f64, n_now: f64, tau: f64, alpha: f64) -> Option<f64> {
    let usable = se_now > 0.0 && n_now > 0.0 && effect != 0.0 && effect.is_finite();
    if !usable {
        return None;
    }
    smallest_n(N_LIMIT, |n| {
        half_width_two_sided(se_now * (n_now / n).sqrt(), tau, alpha) < effect.abs()
    })
}

/// Units at which the exact interval of [`one_proportion`] would exclude `q` with the observed
/// share held at `share`.
#[must_use]
pub fn needed_n_one_proportion(
    prior: one_proportion::Prior,
    share: f64,
    q: f64,
    alpha: f64,
) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) || share == q || !is_alpha(alpha) {
        return None;
    }
    let limit = -libm::log(alpha);
    smallest_n(N_LIMIT, |n| one_proportion::log_e(prior, share * n, n, q) >= limit)
}

/// Exposure (whole units) at which the exact interval of [`poisson`] would exclude `rate0` with
/// the observed rate held at `rate`.
#[must_use]
pub fn needed_exposure(prior: poisson::Prior, rate: f64, rate0: f64, alpha: f64) -> Option<f64> {
    if rate < 0.0 || rate == rate0 || !is_alpha(alpha) {
        return None;
    }
    let limit = -libm::log(alpha);
    smallest_n(N_LIMIT, |exposure| {
        poisson::log_e(prior, &Count { events: rate * exposure, exposure }, rate0) >= limit
    })
}

/// Whole days until `n_needed`, at the median of the last complete days' new units.
///
/// `Some(0.0)` when already there, `None` without a positive rate.
#[must_use]
pub fn days_left(n_now: f64, n_needed: f64, last_days: &[f64]) -> Option<f64> {
    if !(n_now.is_finite() && n_needed.is_finite()) {
        return None;
    }
    if n_needed <= n_now {
        return Some(0.0);
    }
    let mut days: Vec<f64> = last_days.iter().copied().filter(|x| x.is_finite()).collect();
    days.sort_by(f64::total_cmp);
    let middle = days.len() / 2;
    let upper = *days.get(middle)?;
    let rate = if days.len() % 2 == 1 { upper } else { 0.5 * (days[middle - 1] + upper) };
    positive(rate).and_then(|per_day| positive(libm::ceil((n_needed - n_now) / per_day)))
}

/// Power of the fixed two-sample t test with `n_c` and `n_c * ratio` units, equal sd: the
/// noncentral t evaluated by integrating the normal power over the chi distribution of the sd.
#[must_use]
pub fn t_test_power(delta_sd: f64, n_c: f64, ratio: f64, alpha: f64, sides: Sides) -> Option<f64> {
    let df = n_c * (1.0 + ratio) - 2.0;
    let usable = is_alpha(alpha) && df > 0.0 && df.is_finite() && delta_sd.is_finite();
    if !usable {
        return None;
    }
    let shift = delta_sd * (n_c * ratio / (1.0 + ratio)).sqrt();
    let tail = if sides == Sides::Two { 0.5 * alpha } else { alpha };
    let t = t_isf(tail, df);
    let reject = |scale: f64| {
        let upper = norm_cdf(shift - t * scale);
        if sides == Sides::Two { upper + norm_cdf(-shift - t * scale) } else { upper }
    };
    Some(chi_average(df, reject))
}

/// `E[f(sqrt(X/df))]` for `X` chi-square with `df` degrees of freedom, by Simpson's rule in the
/// log of the scale, where the density is smooth and nearly normal with sd `1/sqrt(2 df)`.
fn chi_average(df: f64, f: impl Fn(f64) -> f64) -> f64 {
    const POINTS: i32 = 400;
    let spread = 1.0 / (2.0 * df).sqrt();
    let (low, high) = (-14.0 * spread - 6.0 * spread * spread, 9.0 * spread);
    let step = (high - low) / f64::from(POINTS);
    let (mut mass, mut sum) = (0.0, 0.0);
    for i in 0..=POINTS {
        let u = low + step * f64::from(i);
        // density of u = ln(scale): proportional to exp(df (u - (e^{2u} - 1)/2))
        let ln = df * (u - 0.5 * libm::expm1(2.0 * u));
        let weight = if i == 0 || i == POINTS {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        };
        let density = weight * libm::exp(ln);
        mass += density;
        sum += density * f(libm::exp(u));
    }
    sum / mass
}

/// Units of the control arm for a fixed two-sample t test (real number, bisected on the power).
#[must_use]
pub fn t_test_n_control(
    delta_sd: f64,
    ratio: f64,
    alpha: f64,
    power: f64,
    sides: Sides,
) -> Option<f64> {
    let start = two_arm_n_control(delta_sd, (1.0, 1.0), ratio, alpha, power, sides)?;
    let reaches = |n: f64| t_test_power(delta_sd, n, ratio, alpha, sides).unwrap_or(0.0) >= power;
    let (mut lo, mut hi) = (2.0_f64.min(start), start + 10.0);
    while !reaches(hi) {
        hi *= 2.0;
        if hi > N_LIMIT {
            return None;
        }
    }
    for _ in 0..100 {
        let mid = 0.5 * (lo + hi);
        if reaches(mid) {
            hi = mid;
        } else {
            lo = mid;
        }
    }
    Some(hi)
}

/// Cohen's h, the difference of two shares on the arc-sine scale.
#[must_use]
pub fn cohen_h(p_c: f64, p_t: f64) -> f64 {
    2.0 * (libm::asin(p_t.clamp(0.0, 1.0).sqrt()) - libm::asin(p_c.clamp(0.0, 1.0).sqrt()))
}

/// The exact one-sided binomial test of a stated share at a given size of sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExactPower {
    /// Fewest successes that reject.
    pub critical: f64,
    /// True error rate of the test, at most alpha.
    pub size: f64,
    /// Probability to reject at the alternative.
    pub power: f64,
}

/// Power of the exact one-sided test of `p0` against `p1 > p0` with `n` units.
#[must_use]
pub fn exact_one_proportion_power(n: f64, p0: f64, p1: f64, alpha: f64) -> Option<ExactPower> {
    let rates = p0 > 0.0 && p0 < p1 && p1 < 1.0;
    let usable = (1.0..=N_LIMIT).contains(&n) && rates && is_alpha(alpha);
    if !usable {
        return None;
    }
    let n = libm::floor(n);
    let critical = smallest_n(n + 1.0, |k| binom_sf(k, n, p0) <= alpha)?;
    Some(ExactPower { critical, size: binom_sf(critical, n, p0), power: binom_sf(critical, n, p1) })
}
