//! The four bases of evidence and the questions every one of them answers.
//!
//! Part of `analyse`. A basis is a treatment against a comparison; a [`Null`] is a change to be
//! excluded. Truth values come from [`Basis::ln_p`]; the shown interval is its inversion, so both
//! always agree. Formulas: statistics.md 1.1-1.6; a relative null is the linear contrast
//! `m_t - (1+r) m_c`, its interval the sequential Fieller set, by bisection from the estimate.

use super::fixed::Fixed;
use super::measure::Bound;
pub(super) use super::normal::Normal;
use super::rare::Rare;
use crate::record::round12;
use crate::spec::Side;
use crate::stats::two_arm::Count;
use crate::stats::{Degenerate, Interval, Sides, UNBOUNDED};
use crate::stats::{info_time, one_proportion, poisson};

/// A change that a test may exclude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Null {
    /// Treatment minus comparison.
    Change(f64),
    /// As a share of the comparison.
    Relative(f64),
}

impl Null {
    /// No change at all.
    pub(crate) const NONE: Self = Self::Change(0.0);

    /// The number in its own unit.
    pub(crate) fn amount(self) -> f64 {
        match self {
            Self::Change(amount) | Self::Relative(amount) => amount,
        }
    }

    pub(crate) fn is_relative(self) -> bool {
        matches!(self, Self::Relative(_))
    }
}

/// What the evidence rests on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Basis {
    /// The information-time engine on two means (1.1, 1.2, 1.5).
    Normal(Normal),
    /// One proportion against a constant, exact (1.4).
    OneProportion { s: f64, n: f64, p0: f64 },
    /// One rate against a constant, exact.
    OneRate { count: Count, r0: f64 },
    /// Rare events in two arms, exact (1.3).
    Rare(Rare),
    /// A planned look: one fixed-horizon test at this look's share of alpha.
    Planned { test: Fixed, share: Share },
}

/// What a planned look may spend, as a share of the test's alpha.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    /// At this look.
    pub(super) now: f64,
    /// At the look that ends the plan, for "needs about N more".
    pub(super) last: f64,
}

impl Basis {
    pub(super) fn level(&self) -> f64 {
        match self {
            Self::Normal(normal) | Self::Rare(Rare { normal, .. }) => normal.treatment.0,
            Self::OneProportion { s, n, .. } => s / n,
            Self::OneRate { count, .. } => count.mean(),
            Self::Planned { test, .. } => test.level(),
        }
    }

    pub(super) fn comparison(&self) -> f64 {
        match self {
            Self::Normal(normal) | Self::Rare(Rare { normal, .. }) => normal.comparison.0,
            Self::OneProportion { p0, .. } => *p0,
            Self::OneRate { r0, .. } => *r0,
            Self::Planned { test, .. } => test.comparison(),
        }
    }

    /// Treatment minus comparison.
    pub(super) fn change(&self) -> f64 {
        self.level() - self.comparison()
    }

    /// As a share of the comparison; `None` unless the comparison is positive.
    pub(super) fn relative_change(&self) -> Option<f64> {
        let comparison = self.comparison();
        let change = self.level() / comparison - 1.0;
        (comparison > 0.0 && change.is_finite()).then_some(change)
    }

    /// Whether there is variance to test with.
    pub(super) fn degenerate(&self) -> Option<Degenerate> {
        match self {
            Self::Normal(normal) | Self::Planned { test: Fixed::T { normal, .. }, .. } => {
                normal.degenerate()
            }
            _ => None,
        }
    }

    /// Whether the estimate reaches the threshold, both at 12 significant digits; equal counts.
    pub(super) fn reaches(&self, null: Null, side: Side) -> bool {
        let seen = match null {
            Null::Change(_) => Some(self.change()),
            Null::Relative(_) => self.relative_change(),
        };
        seen.is_some_and(|seen| reaches(seen, null.amount(), side))
    }

    /// Log of this look's always-valid p for "the truth lies on `side` of `null`"; 0 when the
    /// estimate does not even lean there (two-sided and exact tests).
    pub(super) fn ln_p(&self, null: Null, side: Side, tau: f64, sides: Sides) -> f64 {
        if null.is_relative() && self.comparison() <= 0.0 {
            return 0.0;
        }
        let log_e = match self {
            Self::Normal(normal) => return normal.ln_p(null, side, tau, sides),
            Self::Planned { test, share } => {
                // Held against the whole alpha: what this look may not spend is added to p.
                let ln_p = test.ln_p(null, side, sides) - libm::log(share.now);
                return ln_p.clamp(-UNBOUNDED, 0.0);
            }
            Self::OneProportion { s, n, p0 } => {
                let q = constant(*p0, null);
                if (s / n - q) * side.sign() <= 0.0 {
                    return 0.0;
                }
                if !(0.0..=1.0).contains(&q) {
                    return -UNBOUNDED;
                }
                one_proportion::log_e(one_proportion::prior_tau(*p0, tau), *s, *n, q)
            }
            Self::OneRate { count, r0 } => {
                let rate = constant(*r0, null);
                if (count.mean() - rate) * side.sign() <= 0.0 {
                    return 0.0;
                }
                if rate < 0.0 {
                    return -UNBOUNDED;
                }
                poisson::log_e(poisson::prior_tau(*r0, tau), count, rate)
            }
            Self::Rare(rare) => return rare.ln_p(null, side, tau, sides),
        };
        info_time::ln_p_from_log_e(log_e)
    }

    /// The changes not excluded, absolute or relative.
    pub(super) fn interval(&self, relative: bool, bound: Bound, tau: f64, alpha: f64) -> Interval {
        let whole = match (self, relative) {
            (Self::Normal(normal), false) => return normal.interval(bound, tau, alpha),
            (Self::OneProportion { s, n, p0 }, false) => {
                let prior = one_proportion::prior_tau(*p0, tau);
                one_proportion::interval(prior, *s, *n, alpha).shifted(-p0)
            }
            (Self::OneRate { count, r0 }, false) => {
                let prior = poisson::prior_tau(*r0, tau);
                poisson::interval(prior, count, alpha).shifted(-r0)
            }
            (Self::Rare(rare), false) => rare.interval(tau, alpha),
            (Self::Planned { .. }, false) => {
                let size = self.level().abs().max(self.comparison().abs());
                let scale = if size > 0.0 { size } else { 1.0 };
                return self.searched(Null::Change, (self.change(), scale), bound, (tau, alpha));
            }
            (_, true) => return self.relative_interval(bound, tau, alpha),
        };
        one_ended(whole, bound)
    }

    /// The relative changes not excluded, by bisection outwards from the estimate.
    fn relative_interval(&self, bound: Bound, tau: f64, alpha: f64) -> Interval {
        if let Some(whole) = self.exact_relative(tau, alpha) {
            return one_ended(whole, bound);
        }
        let Some(centre) = self.relative_change() else {
            return Interval::ALL;
        };
        if let Self::Normal(normal) = self {
            return normal.relative_interval(centre, bound, tau, alpha);
        }
        self.searched(Null::Relative, (centre, 1.0), bound, (tau, alpha))
    }

    /// The nulls not excluded, by bisection outwards from the estimate.
    fn searched(
        &self,
        null: impl Fn(f64) -> Null,
        (centre, scale): (f64, f64),
        bound: Bound,
        (tau, alpha): (f64, f64),
    ) -> Interval {
        let limit = libm::log(alpha);
        let sides = if bound == Bound::Both { Sides::Two } else { Sides::One };
        let excluded = |at: f64, side: Side| self.ln_p(null(at), side, tau, sides) <= limit;
        let lo = match bound {
            Bound::Upper => -UNBOUNDED,
            _ => edge(centre, -scale, |at| excluded(at, Side::AtLeast)),
        };
        let hi = match bound {
            Bound::Lower => UNBOUNDED,
            _ => edge(centre, scale, |at| excluded(at, Side::AtMost)),
        };
        Interval { lo, hi }
    }

    /// The exact tests' relative interval, without a search.
    fn exact_relative(&self, tau: f64, alpha: f64) -> Option<Interval> {
        let share = |end: f64, of: f64| {
            if end >= UNBOUNDED { end } else { end / of - 1.0 }
        };
        let (interval, of) = match self {
            Self::OneProportion { s, n, p0 } if *p0 > 0.0 => {
                let prior = one_proportion::prior_tau(*p0, tau);
                (one_proportion::interval(prior, *s, *n, alpha), *p0)
            }
            Self::OneRate { count, r0 } if *r0 > 0.0 => {
                let prior = poisson::prior_tau(*r0, tau);
                (poisson::interval(prior, count, alpha), *r0)
            }
            Self::Rare(rare) => return rare.relative_interval(tau, alpha),
            _ => return None,
        };
        Some(Interval { lo: share(interval.lo, of), hi: share(interval.hi, of) })
    }

    /// The same with `share` of its variance, where that is widened by its periods.
    pub(super) fn eased(&self, share: f64) -> Self {
        match *self {
            Self::Normal(ref normal) => Self::Normal(normal.widened(share)),
            Self::OneProportion { s, n, p0 } => {
                Self::OneProportion { s: s / share, n: n / share, p0 }
            }
            Self::OneRate { count, r0 } => {
                let Count { events, exposure } = count;
                let count = Count { events: events / share, exposure: exposure / share };
                Self::OneRate { count, r0 }
            }
            ref other => other.clone(),
        }
    }

    /// The same design at another change and `factor` times the data.
    pub(super) fn placed(&self, change: f64, factor: f64) -> Self {
        match *self {
            Self::Normal(ref normal) => Self::Normal(normal.placed(change, factor)),
            Self::OneProportion { n, p0, .. } => {
                let n = n * factor;
                Self::OneProportion { s: (p0 + change).clamp(0.0, 1.0) * n, n, p0 }
            }
            Self::OneRate { count, r0 } => {
                let exposure = count.exposure * factor;
                let events = (r0 + change).max(0.0) * exposure;
                Self::OneRate { count: Count { events, exposure }, r0 }
            }
            Self::Rare(ref rare) => Self::Rare(rare.placed(change, factor)),
            Self::Planned { ref test, share } => Self::Planned {
                test: test.placed(change, factor),
                share: Share { now: share.last, last: share.last },
            },
        }
    }
}

/// `seen` on the wanted side of `wanted`, both at 12 significant digits; equal counts.
pub(super) fn reaches(seen: f64, wanted: f64, side: Side) -> bool {
    let (seen, wanted) = (round12(seen), round12(wanted));
    match side {
        Side::AtLeast => seen >= wanted,
        Side::AtMost => seen <= wanted,
    }
}

/// The other direction.
pub(super) fn opposite(side: Side) -> Side {
    match side {
        Side::AtLeast => Side::AtMost,
        Side::AtMost => Side::AtLeast,
    }
}

/// The level that a null means for a constant comparison.
pub(super) fn constant(level: f64, null: Null) -> f64 {
    match null {
        Null::Change(change) => level + change,
        Null::Relative(relative) => level * (1.0 + relative),
    }
}

fn one_ended(interval: Interval, bound: Bound) -> Interval {
    match bound {
        Bound::Both => interval,
        Bound::Lower => Interval { hi: UNBOUNDED, ..interval },
        Bound::Upper => Interval { lo: -UNBOUNDED, ..interval },
    }
}

/// The first excluded point from `centre` in the direction of `toward`, or no bound within a
/// millionfold of its size.
fn edge(centre: f64, toward: f64, excluded: impl Fn(f64) -> bool) -> f64 {
    match bracket(centre, toward, &excluded) {
        Some(ends) => halved(ends, excluded),
        None => toward.signum() * UNBOUNDED,
    }
}

/// Steps of false position, at most.
const FALSE_POSITIONS: u32 = 12;
/// The depth at which they end.
const CLOSE: f64 = 1.0e-13;
/// What encloses the point after them, as a share of its distance.
const HAIR: f64 = 1.0e-13;

/// As [`edge`] for a smooth question: `depth` falls with the distance, excluded is 0 and below.
///
/// The same point with half of the questions: false position comes close to it, a hair on
/// either side of that encloses it, and halving goes on from there.
pub(super) fn smooth_edge(centre: f64, toward: f64, depth: impl Fn(f64) -> f64) -> f64 {
    let excluded = |at: f64| depth(at) <= 0.0;
    let Some((mut inside, mut outside)) = bracket(centre, toward, excluded) else {
        return toward.signum() * UNBOUNDED;
    };
    let (mut above, mut below) = (depth(inside), depth(outside));
    let mut was_excluded = None;
    for _ in 0..FALSE_POSITIONS {
        let guess = inside + (outside - inside) * (above / (above - below));
        let found = depth(guess);
        let is_excluded = found <= 0.0;
        // Illinois: an end that stays twice is believed half as much.
        let belief = if was_excluded == Some(is_excluded) { 0.5 } else { 1.0 };
        if is_excluded {
            (outside, below, above) = (guess, found, belief * above);
        } else {
            (inside, above, below) = (guess, found, belief * below);
        }
        was_excluded = Some(is_excluded);
        if found.abs() < CLOSE {
            break;
        }
    }
    let hair = HAIR * (outside - centre).abs() * toward.signum();
    for probe in [outside - hair, inside + hair] {
        let is_between = (probe - inside) * (outside - probe) > 0.0;
        if is_between && excluded(probe) {
            outside = probe;
        } else if is_between {
            inside = probe;
        }
    }
    halved((inside, outside), excluded)
}

/// The last point from `centre` that is not excluded and the first that is, in doubling steps.
fn bracket(centre: f64, toward: f64, excluded: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
    let mut step = 0.01;
    let mut inside = centre;
    let mut outside = centre + toward * step;
    while !excluded(outside) {
        if step > 1.0e6 {
            return None;
        }
        inside = outside;
        step *= 2.0;
        outside = centre + toward * step;
    }
    Some((inside, outside))
}

/// The excluded end of a bracket, halved to neighbouring numbers.
fn halved((mut inside, mut outside): (f64, f64), excluded: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (inside + outside);
        if middle == inside || middle == outside {
            break;
        }
        if excluded(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_smooth_edge_is_the_edge_with_fewer_questions() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 11) as f64 / 9.007_199_254_740_992e15
        };
        let (mut plain, mut smooth, mut apart) = (0, 0, 0);
        for _ in 0..2_000 {
            let comparison = libm::exp(8.0 * random() - 4.0);
            let spread = |x: f64| (comparison * libm::exp(-6.0 * x)).powi(2);
            let normal = Normal {
                treatment: (comparison * (0.5 + random()), spread(random())),
                comparison: (comparison, spread(random())),
                covariance: 0.0,
                both_grow: true,
            };
            let tau = comparison * libm::exp(-5.0 * random());
            let (limit, centre) = (libm::log(0.05), normal.treatment.0 / comparison - 1.0);
            for (toward, side) in [(-1.0, Side::AtLeast), (1.0, Side::AtMost)] {
                let asked = Cell::new(0);
                let depth = |at: f64| {
                    asked.set(asked.get() + 1);
                    normal.ln_p(Null::Relative(at), side, tau, Sides::Two) - limit
                };
                let want = edge(centre, toward, |at| depth(at) <= 0.0);
                plain += asked.replace(0);
                let got = smooth_edge(centre, toward, depth);
                smooth += asked.get();
                assert!((got - want).abs() <= 1.0e-13 * want.abs().max(1.0), "{got} {want}");
                apart += u32::from(round12(got) != round12(want));
            }
        }
        assert!(3 * smooth < 2 * plain, "{smooth} of {plain}");
        assert_eq!(apart, 0, "in the twelfth digit");
    }
}
