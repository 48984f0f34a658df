//! CUPED: variance reduction by a covariate measured before the change.
//!
//! Place in the line: offered when a source delivers the sums with the covariate; the result goes
//! to the engine like any mean.
//!
//! Formula (statistics 1.2; Deng, Xu, Kohavi & Walker 2013): `theta = Cov(X,Y)/Var(X)` pooled over
//! the arms, `Y' = Y - theta (X - Xbar)`, `s'^2 = s_Y^2 + theta^2 s_X^2 - 2 theta s_XY`; the
//! difference is `dY - theta dX`. Relative thresholds use the linear contrast with the adjusted
//! means around the pooled covariate mean.
//! Assumption: the covariate is fixed before exposure. Invariants: a covariate without variance
//! changes nothing (theta 0); arms with fewer than two units have an unbounded variance.

use super::two_arm::linear;
use super::{Contrast, UNBOUNDED, bounded};

/// Sums of outcome `y` and covariate `x` over the units of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums {
    /// Units.
    pub n: f64,
    /// Sum of outcomes.
    pub y: f64,
    /// Sum of covariates.
    pub x: f64,
    /// Sum of squared outcomes.
    pub yy: f64,
    /// Sum of squared covariates.
    pub xx: f64,
    /// Sum of products.
    pub xy: f64,
}

impl Sums {
    fn centred(&self) -> (f64, f64, f64) {
        let square = |products: f64, a: f64, b: f64| products - a * (b / self.n);
        let yy = square(self.yy, self.y, self.y).max(0.0);
        (yy, square(self.xx, self.x, self.x).max(0.0), square(self.xy, self.x, self.y))
    }
}

/// The pooled regression slope; 0 when the covariate does not vary.
#[must_use]
pub fn theta(treatment: &Sums, control: &Sums) -> f64 {
    let ((_, xx_t, xy_t), (_, xx_c, xy_c)) = (treatment.centred(), control.centred());
    let spread = xx_t + xx_c;
    if spread > 1.0e-13 * (treatment.xx + control.xx) {
        bounded((xy_t + xy_c) / spread)
    } else {
        0.0
    }
}

/// `(adjusted mean, variance of it)` of an arm around the pooled covariate mean.
#[must_use]
pub fn adjusted(arm: &Sums, theta: f64, pooled_x: f64) -> (f64, f64) {
    let (yy, xx, xy) = arm.centred();
    let mean = arm.y / arm.n - theta * (arm.x / arm.n - pooled_x);
    let squares = (yy + theta * theta * xx - 2.0 * theta * xy).max(0.0);
    let variance = squares / (arm.n - 1.0) / arm.n;
    if arm.n > 1.0 && variance.is_finite() { (bounded(mean), variance) } else { (0.0, UNBOUNDED) }
}

/// `m'_t - (1+r) m'_c` with the adjusted variances; `r = 0` is the plain difference.
#[must_use]
pub fn contrast(treatment: &Sums, control: &Sums, r: f64) -> Contrast {
    let slope = theta(treatment, control);
    let pooled = (treatment.x + control.x) / (treatment.n + control.n);
    linear(adjusted(treatment, slope, pooled), adjusted(control, slope, pooled), 1.0 + r)
}
