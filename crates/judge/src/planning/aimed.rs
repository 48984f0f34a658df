//! The chance of one atom, a function of units and true effect.
//!
//! Normal approximation, except for a share against a stated one, which is judged by an exact test
//! and therefore planned by it. Effects and thresholds are in good direction, in contrast units.

use crate::spec::{AtomKind, EvidenceMode};
use crate::stats::exact_power::ShareTest;
use crate::stats::info_time::{half_width_one_sided, half_width_two_sided};
use crate::stats::one_proportion::prior_tau;
use crate::stats::power::{N_LIMIT, smallest_n};
use crate::stats::special::norm_cdf;

use super::Design;

/// An atom with everything that its chance is a function of.
pub(super) struct Aimed {
    pub(super) kind: AtomKind,
    pub(super) evidence: EvidenceMode,
    /// 1 where more is wanted, -1 where less is.
    pub(super) sign: f64,
    pub(super) threshold: f64,
    pub(super) tau: f64,
    pub(super) alpha: f64,
    /// Standard errors to exceed at a planned look; `None`: the always-valid half-width.
    pub(super) critical: Option<f64>,
    pub(super) design: Design,
    pub(super) min_n: f64,
}

impl Aimed {
    /// Chance that the atom is true with that many units over all arms at a true effect.
    pub(super) fn chance(&self, units: f64, effect: f64) -> f64 {
        if self.kind == AtomKind::Level && units < self.min_n {
            return 0.0;
        }
        if let Some((test, from)) = self.exact() {
            return test.chance(units, (from + self.sign * effect).clamp(0.0, 1.0));
        }
        let se = self.design.standard_error(units);
        if !(se > 0.0 && se.is_finite()) {
            return 0.0;
        }
        let reaches = |bar: f64| norm_cdf((effect - bar) / se);
        let planned = self.critical.map(|critical| critical * se);
        let half = || planned.unwrap_or_else(|| half_width_two_sided(se, self.tau, self.alpha));
        match (self.kind, self.evidence) {
            (AtomKind::Tolerance, _) => {
                let always = || half_width_one_sided(se, self.tau, self.alpha);
                reaches(self.threshold + planned.unwrap_or_else(always))
            }
            (_, EvidenceMode::Proven) => reaches(self.threshold + half()),
            (AtomKind::Level, _) | (_, EvidenceMode::Point) => reaches(self.threshold),
            (AtomKind::Movement, EvidenceMode::Significant) => reaches(self.threshold.max(half())),
            (AtomKind::Movement, EvidenceMode::NotRefuted) => reaches(self.threshold - half()),
        }
    }

    /// The fewest units over all arms at which a true effect is found with that chance.
    pub(super) fn units(&self, effect: f64, power: f64) -> Option<f64> {
        let Some((test, from)) = self.exact() else {
            return smallest_n(N_LIMIT, |units| self.chance(units, effect) >= power);
        };
        let needed = test.units((from + self.sign * effect).clamp(0.0, 1.0), power)?;
        Some(if self.kind == AtomKind::Level { needed.max(self.min_n) } else { needed })
    }

    /// The exact test of a share against a stated one and that share; `None` where another judges.
    fn exact(&self) -> Option<(ShareTest, f64)> {
        let from = self.design.stated.filter(|_| self.critical.is_none())?;
        let (is_level, wanted) = (self.kind == AtomKind::Level, from + self.sign * self.threshold);
        let prior = prior_tau(if is_level { wanted } else { from }, self.tau);
        let (reach, excluded, standing) = match (self.kind, self.evidence) {
            (AtomKind::Tolerance, _) => (None, Some(wanted), None),
            (_, EvidenceMode::Proven) => (Some(wanted), Some(wanted), None),
            (AtomKind::Level, _) | (_, EvidenceMode::Point) => (Some(wanted), None, None),
            (AtomKind::Movement, EvidenceMode::Significant) => (Some(wanted), Some(from), None),
            (AtomKind::Movement, EvidenceMode::NotRefuted) => (None, None, Some(wanted)),
        };
        let up = self.sign > 0.0;
        let test = ShareTest { prior, alpha: self.alpha, up, reach, excluded, standing };
        Some((test, from))
    }

    /// The smallest true effect that is found with the wanted power, by bisection.
    pub(super) fn detectable(&self, units: f64, power: f64) -> Option<f64> {
        let (mut lo, mut hi) = (0.0_f64.min(self.threshold), self.threshold.abs().max(self.tau));
        while self.chance(units, hi) < power {
            hi *= 2.0;
            if hi > 1e12 {
                return None;
            }
        }
        for _ in 0..100 {
            let mid = 0.5 * (lo + hi);
            if self.chance(units, mid) < power {
                lo = mid;
            } else {
                hi = mid;
            }
        }
        Some(hi)
    }
}
