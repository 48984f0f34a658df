//! Fixed-horizon evidence: the tests behind `look: once` and, at a smaller error rate, `weekly`.
//!
//! Part of `analyse`. Each variant is one method; all of them answer the two questions a basis is
//! asked: the p of a null on one side, and the interval as its inversion. Where a method has a
//! test of "no change" of its own (pooled z, Fisher, minimum likelihood, the score of two rates),
//! the larger of that p and the interval's stands, so that p and interval never disagree on what
//! is shown. Formulas and sources: `stats/fixed`, statistics.md 1.2-1.5.

use super::basis::{Normal, Null, constant};
use crate::spec::Side;
use crate::stats::binomial;
use crate::stats::bootstrap::Replicates;
use crate::stats::fixed::poisson_rates::{self, Statistic};
use crate::stats::fixed::{Alternative, fisher, score, two_proportion};
use crate::stats::special::{ln_phi, poisson_cdf, poisson_sf, t_sf};
use crate::stats::two_arm::{Count, Proportion};
use crate::stats::{Sides, UNBOUNDED};

/// The data of one fixed-horizon method.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fixed {
    /// Pooled z and Newcombe.
    TwoProportion { t: Proportion, c: Proportion },
    /// Fisher with the score interval.
    Fisher { t: Proportion, c: Proportion },
    /// Miettinen-Nurminen.
    Score { t: Proportion, c: Proportion },
    /// Exact binomial and Clopper-Pearson.
    Binomial { s: f64, n: f64, p0: f64 },
    /// Score against a constant and Wilson.
    Wilson { s: f64, n: f64, p0: f64 },
    /// A t test: Welch, block means, Newey-West. Degrees of freedom by side, or of the whole.
    T { normal: Normal, df: Df },
    /// Two Poisson rates.
    Rates { t: Count, c: Count, phi: f64 },
    /// One Poisson rate, exact.
    Rate { count: Count, r0: f64 },
    /// Replicates of a bootstrap.
    Resampled(Box<Replicates>),
}

/// Degrees of freedom of a t test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Df {
    /// Of the contrast as a whole.
    Whole(f64),
    /// Of either side's variance, joined by Welch and Satterthwaite.
    Sides(f64, f64),
}

impl Df {
    fn of(self, parts: (f64, f64)) -> f64 {
        match self {
            Self::Whole(df) => df,
            Self::Sides(treatment, comparison) => {
                let total = parts.0 + parts.1;
                let (s, u) = (parts.0 / total, parts.1 / total);
                1.0 / (s * s / treatment + u * u / comparison)
            }
        }
    }

    fn grown(self, factor: f64, both: bool) -> Self {
        let more = |df: f64| ((df + 1.0) * factor - 1.0).max(1.0);
        match self {
            Self::Whole(df) => Self::Whole(more(df)),
            Self::Sides(t, c) => Self::Sides(more(t), if both { more(c) } else { c }),
        }
    }
}

/// The weight of the comparison and the shift of a null.
fn weights(null: Null) -> (f64, f64) {
    match null {
        Null::Change(change) => (1.0, change),
        Null::Relative(relative) => (1.0 + relative, 0.0),
    }
}

/// ln p of a z or t that leans towards the evidence.
fn ln_normal(z: f64, sides: Sides) -> f64 {
    doubled(ln_phi(-z.min(UNBOUNDED.sqrt())), sides)
}

fn ln_tail(p: f64, sides: Sides) -> f64 {
    doubled(libm::log(p.max(f64::MIN_POSITIVE)), sides)
}

fn doubled(ln_p: f64, sides: Sides) -> f64 {
    let twice = if sides == Sides::Two { core::f64::consts::LN_2 } else { 0.0 };
    (ln_p + twice).clamp(-UNBOUNDED, 0.0)
}

fn tail_of(side: Side) -> Alternative {
    match side {
        Side::AtLeast => Alternative::Greater,
        Side::AtMost => Alternative::Less,
    }
}

impl Fixed {
    pub(super) fn level(&self) -> f64 {
        match self {
            Self::TwoProportion { t, .. } | Self::Fisher { t, .. } | Self::Score { t, .. } => {
                t.mean()
            }
            Self::Binomial { s, n, .. } | Self::Wilson { s, n, .. } => {
                Proportion { x: *s, n: *n }.mean()
            }
            Self::T { normal, .. } => normal.treatment.0,
            Self::Rates { t, .. } => t.mean(),
            Self::Rate { count, .. } => count.mean(),
            Self::Resampled(replicates) => replicates.means.0,
        }
    }

    pub(super) fn comparison(&self) -> f64 {
        match self {
            Self::TwoProportion { c, .. } | Self::Fisher { c, .. } | Self::Score { c, .. } => {
                c.mean()
            }
            Self::Binomial { p0, .. } | Self::Wilson { p0, .. } => *p0,
            Self::T { normal, .. } => normal.comparison.0,
            Self::Rates { c, .. } => c.mean(),
            Self::Rate { r0, .. } => *r0,
            Self::Resampled(replicates) => replicates.means.1,
        }
    }

    /// ln p of "the truth lies on `side` of `null`" at one look; 0 when the estimate does not
    /// lean there.
    pub(super) fn ln_p(&self, null: Null, side: Side, sides: Sides) -> f64 {
        let (w, shift) = weights(null);
        let lean = (self.level() - w * self.comparison() - shift) * side.sign();
        if lean <= 0.0 || lean.is_nan() {
            return 0.0;
        }
        if w < 0.0 {
            // Nothing counted falls by more than all of it.
            return if side == Side::AtLeast { -UNBOUNDED } else { 0.0 };
        }
        match self {
            Self::TwoProportion { t, c } => {
                let z = match side {
                    Side::AtLeast => two_proportion::newcombe_z(t, c, w, shift),
                    Side::AtMost => two_proportion::newcombe_z_below(t, c, w, shift),
                };
                let pooled = || two_proportion::pooled_z(t, c).map(|z| ln_normal(z.abs(), sides));
                with_own(ln_normal(z, sides), null, pooled)
            }
            Self::Fisher { t, c } => {
                let own = || exact_two(t, c, side, sides);
                with_own(ln_score(t, c, null, side, sides), null, own)
            }
            Self::Score { t, c } => ln_score(t, c, null, side, sides),
            Self::Binomial { s, n, p0 } => ln_binomial((*s, *n), *p0, null, side, sides),
            Self::Wilson { s, n, p0 } => {
                let q = constant(*p0, null);
                if !(0.0..=1.0).contains(&q) {
                    return -UNBOUNDED;
                }
                let z = (s / n - q).abs() / (q * (1.0 - q) / n).sqrt();
                ln_normal(z, sides)
            }
            Self::T { normal, df } => ln_t(normal, *df, null, side, sides),
            Self::Rates { t, c, phi } => ln_rates(t, c, *phi, null, (side, sides)),
            Self::Rate { count, r0 } => ln_rate(count, constant(*r0, null), side, sides),
            Self::Resampled(replicates) => {
                let p = match side {
                    Side::AtLeast => replicates.p_above(w, shift),
                    Side::AtMost => replicates.p_below(w, shift),
                };
                ln_tail(p, sides)
            }
        }
    }

    /// The same design at another change and `factor` times the data; the replicates of a
    /// bootstrap narrow with the root of it.
    pub(super) fn placed(&self, change: f64, factor: f64) -> Self {
        let arms = |t: &Proportion, c: &Proportion| {
            let share = (c.mean() + change).clamp(0.0, 1.0);
            let n = t.n * factor;
            let c = Proportion { x: c.x * factor, n: c.n * factor };
            (Proportion { x: share * n, n }, c)
        };
        match self {
            Self::TwoProportion { t, c } | Self::Fisher { t, c } => {
                let (t, c) = arms(t, c);
                Self::TwoProportion { t, c }
            }
            Self::Score { t, c } => {
                let (t, c) = arms(t, c);
                Self::Score { t, c }
            }
            Self::Binomial { n, p0, .. } => {
                let n = n * factor;
                Self::Binomial { s: (p0 + change).clamp(0.0, 1.0) * n, n, p0: *p0 }
            }
            Self::Wilson { n, p0, .. } => {
                let n = n * factor;
                Self::Wilson { s: (p0 + change).clamp(0.0, 1.0) * n, n, p0: *p0 }
            }
            Self::T { normal, df } => Self::T {
                normal: normal.placed(change, factor),
                df: df.grown(factor, normal.both_grow),
            },
            Self::Rates { t, c, phi } => {
                let exposure = t.exposure * factor;
                let events = (c.mean() + change).max(0.0) * exposure;
                let c = Count { events: c.events * factor, exposure: c.exposure * factor };
                Self::Rates { t: Count { events, exposure }, c, phi: *phi }
            }
            Self::Rate { count, r0 } => {
                let exposure = count.exposure * factor;
                let events = (r0 + change).max(0.0) * exposure;
                Self::Rate { count: Count { events, exposure }, r0: *r0 }
            }
            Self::Resampled(replicates) => {
                let mut moved = replicates.clone();
                moved.means.0 = moved.means.1 + change;
                let narrow = 1.0 / factor.sqrt();
                for (t, c) in &mut moved.deviations {
                    (*t, *c) = (*t * narrow, *c * narrow);
                }
                Self::Resampled(moved)
            }
        }
    }
}

/// The larger p of the interval's test and the method's own test of "no change".
fn with_own(ln_p: f64, null: Null, own: impl Fn() -> Option<f64>) -> f64 {
    if null.amount() == 0.0 { own().map_or(ln_p, |own| own.max(ln_p)) } else { ln_p }
}

fn exact_two(t: &Proportion, c: &Proportion, side: Side, sides: Sides) -> Option<f64> {
    let alternative = if sides == Sides::Two { Alternative::TwoSided } else { tail_of(side) };
    fisher::exact_p(t, c, alternative).map(|p| ln_tail(p, Sides::One))
}

fn ln_score(t: &Proportion, c: &Proportion, null: Null, side: Side, sides: Sides) -> f64 {
    let z = match null {
        Null::Change(change) if change.abs() >= 1.0 => return -UNBOUNDED,
        Null::Change(change) => score::z_difference(t, c, change),
        Null::Relative(relative) => score::z_ratio(t, c, 1.0 + relative),
    };
    z.map_or(0.0, |z| ln_normal((z * side.sign()).max(0.0), sides))
}

fn ln_binomial((s, n): (f64, f64), p0: f64, null: Null, side: Side, sides: Sides) -> f64 {
    let q = constant(p0, null);
    if !(0.0..=1.0).contains(&q) {
        return -UNBOUNDED;
    }
    let tail = binomial::exact_p(s, n, q, tail_of(side)).map_or(0.0, |p| ln_tail(p, sides));
    let own = || {
        let p = binomial::two_sided_p(s, n, q).filter(|_| sides == Sides::Two)?;
        Some(ln_tail(p, Sides::One))
    };
    with_own(tail, null, own)
}

fn ln_t(normal: &Normal, df: Df, null: Null, side: Side, sides: Sides) -> f64 {
    let (w, _) = weights(null);
    let contrast = normal.contrast(null);
    let df = df.of((normal.treatment.1, w * w * normal.comparison.1));
    let t = contrast.estimate * side.sign() / contrast.se;
    if contrast.se <= 0.0 || !df.is_finite() || t.is_nan() {
        return 0.0;
    }
    ln_tail(t_sf(t.min(UNBOUNDED), df), sides)
}

/// Ratios by the score statistic, differences by Wald's; both errors widened by phi.
fn ln_rates(t: &Count, c: &Count, phi: f64, null: Null, (side, sides): (Side, Sides)) -> f64 {
    let wide = phi.max(1.0);
    let score = |psi: f64| {
        let scaled = Count { events: t.events, exposure: t.exposure * psi };
        let z = poisson_rates::z(&scaled, c, Statistic::Score)?;
        Some(ln_normal((z * side.sign()).max(0.0) / wide.sqrt(), sides))
    };
    match null {
        Null::Relative(relative) => score(1.0 + relative).unwrap_or(0.0),
        Null::Change(change) => {
            let variance = wide * (t.variance_of_mean() + c.variance_of_mean());
            let gap = (t.mean() - c.mean() - change) * side.sign();
            with_own(ln_normal(gap / variance.sqrt(), sides), null, || score(1.0))
        }
    }
}

fn ln_rate(count: &Count, rate: f64, side: Side, sides: Sides) -> f64 {
    if rate < 0.0 {
        return -UNBOUNDED;
    }
    let (events, mean) = (libm::round(count.events), rate * count.exposure);
    let p = match side {
        Side::AtLeast => poisson_sf(events, mean),
        Side::AtMost => poisson_cdf(events, mean),
    };
    ln_tail(p, sides)
}
