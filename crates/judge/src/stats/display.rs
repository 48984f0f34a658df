//! Intervals of the relative lift, for display beside the verdict.
//!
//! Place in the line: never decides; decisions on relative thresholds use the linear contrast of
//! [`super::two_arm::relative`], which is exact. `c` is the critical value: a normal or t quantile
//! at one look, `half-width / SE` of the engine otherwise.
//!
//! Formulas (statistics 1.6), `R = m_t/m_c`, `v` variances of the means:
//! * log: `exp(ln R ± c sqrt(v_t/m_t^2 + v_c/m_c^2)) - 1`, both means positive
//! * Fieller (1954): `g = c^2 v_c/m_c^2`,
//!   `(R ± (c/|m_c|) sqrt(v_t + R^2 v_c - g v_t))/(1-g) - 1`; `g >= 1` is unbounded
//! * sequential Fieller: `{theta : |m_t - theta m_c| <= h2(SE(theta), tau)}`,
//!   `SE(theta)^2 = v_t + theta^2 v_c`, by bisection from `R`; valid at every look
//! * linear delta, `SE^2 = v_t/m_c^2 + v_c m_t^2/m_c^4`: only to reproduce others, not recommended.
//!
//! Assumptions: means nearly normal. Invariants: `None` where a form is undefined, with
//! [`Fieller::Unbounded`] as a value of its own; results finite.

use super::info_time::half_width_two_sided;
use super::{Contrast, Interval, bounded, is_alpha};

/// Relative lift `m_t/m_c - 1`; `None` for a control mean of 0.
#[must_use]
pub fn lift(m_t: f64, m_c: f64) -> Option<f64> {
    let ratio = m_t / m_c;
    ratio.is_finite().then_some(ratio - 1.0)
}

/// Standard error of `ln(m_t/m_c)`; `None` unless both means are positive.
#[must_use]
pub fn log_se((m_t, v_t): (f64, f64), (m_c, v_c): (f64, f64)) -> Option<f64> {
    if !(m_t > 0.0 && m_c > 0.0) {
        return None;
    }
    let se = (v_t / (m_t * m_t) + v_c / (m_c * m_c)).sqrt();
    se.is_finite().then_some(se)
}

/// Log-scale interval of the lift; arms are `(mean, variance of the mean)`.
#[must_use]
pub fn log_lift(treatment: (f64, f64), control: (f64, f64), c: f64) -> Option<Interval> {
    let half = c * log_se(treatment, control)?;
    let centre = libm::log(treatment.0 / control.0);
    let end = |x: f64| bounded(libm::expm1(x));
    half.is_finite().then(|| Interval { lo: end(centre - half), hi: end(centre + half) })
}

/// Welch degrees of freedom of the log ratio; `n` are units per arm.
#[must_use]
pub fn log_df(treatment: (f64, f64, f64), control: (f64, f64, f64)) -> Option<f64> {
    let part = |(m, v, n): (f64, f64, f64)| (v / (m * m), n - 1.0);
    let ((a, i), (b, j)) = (part(treatment), part(control));
    let (s, u) = (a / (a + b), b / (a + b));
    let df = 1.0 / (s * s / i + u * u / j);
    (df.is_finite() && df > 0.0).then_some(df)
}

/// Fieller's set for the lift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fieller {
    /// A finite interval.
    Bounded(Interval),
    /// The control mean is too close to 0 for its error.
    Unbounded,
}

/// `g = c^2 v_c / m_c^2`; infinite (as [`super::UNBOUNDED`]) for a control mean of 0.
#[must_use]
pub fn fieller_g(control: (f64, f64), c: f64) -> f64 {
    let g = c * c * control.1 / (control.0 * control.0);
    if g.is_nan() { super::UNBOUNDED } else { bounded(g) }
}

/// Fieller interval of the lift; arms are `(mean, variance of the mean)`.
#[must_use]
pub fn fieller(treatment: (f64, f64), control: (f64, f64), c: f64) -> Fieller {
    let ((m_t, v_t), (m_c, v_c)) = (treatment, control);
    let g = fieller_g(control, c);
    if g >= 1.0 {
        return Fieller::Unbounded;
    }
    let ratio = m_t / m_c;
    let root = (v_t + ratio * ratio * v_c - g * v_t).max(0.0).sqrt();
    let half = c / m_c.abs() * root;
    let end = |x: f64| bounded(x / (1.0 - g) - 1.0);
    Fieller::Bounded(Interval { lo: end(ratio - half), hi: end(ratio + half) })
}

/// Sequential Fieller set of the lift, valid at every look; arms are `(mean, variance of it)`.
///
/// `tau` is the mixing sd of the linear contrast. Unbounded when the control mean itself is not
/// distinguished from 0, since then arbitrarily large ratios are not excluded.
/// Of a set in several parts (the width grows with the square of a huge ratio) this is the part
/// around the estimate.
#[must_use]
pub fn sequential_lift(
    (m_t, v_t): (f64, f64),
    (m_c, v_c): (f64, f64),
    tau: f64,
    alpha: f64,
) -> Fieller {
    let ratio = m_t / m_c;
    let inside = |theta: f64| {
        let se = (v_t + theta * theta * v_c).sqrt();
        (m_t - theta * m_c).abs() <= half_width_two_sided(se, tau, alpha)
    };
    let usable = is_alpha(alpha) && tau > 0.0 && ratio.is_finite() && v_t >= 0.0 && v_c >= 0.0;
    if !usable || v_t + v_c <= 0.0 {
        return Fieller::Unbounded;
    }
    let end = |sign: f64| {
        let mut step = (1.0e-6 * ratio.abs()).max(1.0e-9);
        while inside(ratio + sign * step) {
            step *= 2.0;
            if step > 1.0e9 * (1.0 + ratio.abs()) {
                return None;
            }
        }
        let (mut near, mut far) = (0.0, step);
        for _ in 0..100 {
            let mid = 0.5 * (near + far);
            if inside(ratio + sign * mid) {
                near = mid;
            } else {
                far = mid;
            }
        }
        Some(bounded(ratio + sign * far - 1.0))
    };
    match (end(-1.0), end(1.0)) {
        (Some(lo), Some(hi)) => Fieller::Bounded(Interval { lo, hi }),
        _ => Fieller::Unbounded,
    }
}

/// Linear delta-method lift and its standard error (GrowthBook's form): `(m_t - m_c)/|m_c|`.
#[must_use]
pub fn linear_lift((m_t, v_t): (f64, f64), (m_c, v_c): (f64, f64)) -> Option<Contrast> {
    let square = m_c * m_c;
    let ratio = m_t / m_c;
    let variance = v_t / square + v_c * ratio * ratio / square;
    let estimate = (m_t - m_c) / m_c.abs();
    let usable = estimate.is_finite() && variance.is_finite();
    usable.then(|| Contrast::from_variance(estimate, variance))
}
