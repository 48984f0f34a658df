//! Tuning of the engine by a sample size instead of an effect (asymptotic confidence sequences).
//!
//! Place in the line: reproduces GrowthBook's sequential intervals, for migration and for tests;
//! our own default is `tau = |target effect|`.
//!
//! Formula (Waudby-Smith et al., arXiv 2103.06476v7, eqs 9, 134, 155, 161):
//! `rho^2 = (-2 ln a + ln(1 - 2 ln a))/N*`, `a = alpha` two-sided, `2 alpha` one-sided. With
//! `SE^2 = s^2/n` and `r = n rho^2` the half-widths are those of [`super::info_time`], that is
//! `tau = SE rho sqrt(n)`.
//! Assumption: `N*` is fixed before data. Invariant: 0 for unusable input.

use super::{Sides, info_time, is_alpha};

/// `rho` for the sample size `tuning_n` at which the interval is to be narrowest.
#[must_use]
pub fn rho(alpha: f64, tuning_n: f64, sides: Sides) -> f64 {
    let a = if sides == Sides::One { 2.0 * alpha } else { alpha };
    let usable = is_alpha(a) && tuning_n > 0.0 && tuning_n.is_finite();
    if !usable {
        return 0.0;
    }
    info_time::default_tau_factor(a) / tuning_n.sqrt()
}

/// The mixing sd that makes the engine this sequence at total sample `n`.
#[must_use]
pub fn tau(se: f64, n: f64, tuning_n: f64, alpha: f64, sides: Sides) -> f64 {
    super::bounded(se * rho(alpha, tuning_n, sides) * n.max(0.0).sqrt())
}

/// Half-width at total sample `n` (both arms) with standard error `se`; one-sided in closed form.
#[must_use]
pub fn half_width(se: f64, n: f64, tuning_n: f64, alpha: f64, sides: Sides) -> f64 {
    let tau = tau(se, n, tuning_n, alpha, sides);
    match sides {
        Sides::One => info_time::half_width_one_sided_closed(se, tau, alpha),
        Sides::Two => info_time::half_width_two_sided(se, tau, alpha),
    }
}
