//! CUPED: variance reduction by a covariate measured before the change.
//!
//! Place in the line: offered when a source delivers the sums with the covariate; the result goes
//! to the engine like any mean.
//!
//! Formula (statistics 1.2; Deng, Xu, Kohavi & Walker 2013): `theta = Cov(X,Y)/Var(X)` pooled over
//! the arms, `Y' = Y - theta (X - Xbar)`, `s'^2 = s_Y^2 + theta^2 s_X^2 - 2 theta s_XY`; the
//! difference is `dY - theta dX`. Relative thresholds use the linear contrast with the adjusted
//! means around the pooled covariate mean.
//! Imbalance ([`ln_p_imbalance`]): a covariate fixed before exposure cannot differ between randomly
//! assigned arms; its standardised difference is judged at every look by the engine of 1.1 with a
//! mixing sd of a tenth of the covariate's.
//! Assumption: the covariate is fixed before exposure. Invariants: a covariate without variance
//! changes nothing (theta 0); arms with fewer than two units have an unbounded variance.

use super::info_time::{ln_p_from_log_e, log_e_two_sided};
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

/// Share of the difference's variance that the covariate takes away, 0 to 1.
#[must_use]
pub fn reduction(treatment: &Sums, control: &Sums) -> f64 {
    let slope = theta(treatment, control);
    let pooled = (treatment.x + control.x) / (treatment.n + control.n);
    let variance =
        |slope: f64| adjusted(treatment, slope, pooled).1 + adjusted(control, slope, pooled).1;
    let (before, after) = (variance(0.0), variance(slope));
    let share = 1.0 - after / before;
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

/// Alpha of the imbalance check, shared by all covariates of an experiment (statistics 1.9).
pub const IMBALANCE_ALPHA: f64 = 0.001;

/// Log of this look's always-valid p for "the covariate is alike in both arms"; 0 without spread.
#[must_use]
pub fn ln_p_imbalance(treatment: &Sums, control: &Sums) -> f64 {
    /// Mixing sd in standard deviations of the covariate.
    const TAU: f64 = 0.1;
    let ((_, xx_t, _), (_, xx_c, _)) = (treatment.centred(), control.centred());
    let spread = xx_t + xx_c;
    let units = treatment.n + control.n;
    let known = treatment.n > 1.0 && control.n > 1.0 && units.is_finite();
    if !known || spread <= 1.0e-13 * (treatment.xx + control.xx) {
        return 0.0;
    }
    let sd = libm::sqrt(spread / (units - 2.0));
    let gap = (treatment.x / treatment.n - control.x / control.n) / sd;
    let error = libm::sqrt(1.0 / treatment.n + 1.0 / control.n);
    ln_p_from_log_e(log_e_two_sided(gap.abs(), error, TAU))
}

/// `m'_t - (1+r) m'_c` with the adjusted variances; `r = 0` is the plain difference.
#[must_use]
pub fn contrast(treatment: &Sums, control: &Sums, r: f64) -> Contrast {
    let slope = theta(treatment, control);
    let pooled = (treatment.x + control.x) / (treatment.n + control.n);
    linear(adjusted(treatment, slope, pooled), adjusted(control, slope, pooled), 1.0 + r)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` units whose covariate is 0 or 1 by turns, shifted by `x`; the outcome is twice that.
    fn arm(n: f64, x: f64) -> Sums {
        let (zeros, ones) = (n / 2.0, n / 2.0);
        let at = |v: f64| (v + x, 2.0 * (v + x) + 1.0);
        let ((x0, y0), (x1, y1)) = (at(0.0), at(1.0));
        let sum = |f: &dyn Fn(f64, f64) -> f64| zeros * f(x0, y0) + ones * f(x1, y1);
        Sums {
            n,
            y: sum(&|_, y| y),
            x: sum(&|x, _| x),
            yy: sum(&|_, y| y * y),
            xx: sum(&|x, _| x * x),
            xy: sum(&|x, y| x * y),
        }
    }

    #[test]
    fn a_covariate_that_explains_everything_takes_all_variance_away() {
        let (treatment, control) = (arm(1000.0, 0.0), arm(1000.0, 0.0));
        assert!((theta(&treatment, &control) - 2.0).abs() < 1e-9);
        assert!((reduction(&treatment, &control) - 1.0).abs() < 1e-9);
        let useless = |sums: Sums| Sums { xy: sums.x * sums.y / sums.n, ..sums };
        assert!(reduction(&useless(treatment), &useless(control)).abs() < 1e-9);
    }

    /// By hand: 1,000 each, sd 1/2, gap .2 = .4 sd, SE sqrt(.002) sd, z = 8.94, r = .01/.002 = 5:
    /// log e = -ln(6)/2 + 40 x 5/6 = 32.4.
    #[test]
    fn arms_that_differed_before_are_noticed_and_equal_ones_are_not() {
        let ln_p = ln_p_imbalance(&arm(1000.0, 0.2), &arm(1000.0, 0.0));
        assert!((ln_p + 32.4).abs() < 0.2, "{ln_p}");
        assert_eq!(ln_p_imbalance(&arm(1000.0, 0.0), &arm(1000.0, 0.0)), 0.0);
        let flat = Sums { x: 0.0, xx: 0.0, xy: 0.0, ..arm(100.0, 0.0) };
        assert_eq!(ln_p_imbalance(&flat, &flat), 0.0);
    }
}
