//! `slo` with a lifetime budget: bad and total counts against an objective. Budgets of other
//! periods are judged in `burn`.
//!
//! Exact e-process of one proportion with `q = 1 - objective` at 0.01, tau = q (statistics.md
//! 1.4); periods that vary more from one to the next than independent requests would (phi > 1.5
//! over >= 7 cells, [`phi_of_steps`]) leave it for the information-time bound with `SE sqrt(phi)`.
//! Burn is `(bad/total)/q`; what is left of the pilot's budget is in `lifetime`. A breach once
//! shown stays shown while the ratio is above the budget.

use super::burn;
use super::seen::{closed, lifetime, pairs};
use super::{GuardrailInput, Seen, lifetime};
use crate::analyse::GuardrailState;
use crate::analyse::carry::{Epoch, close, open};
use crate::plan::need_of_guardrail;
use crate::record::Carry;
use crate::spec::Slo;
use crate::stats::one_proportion::{Prior, interval, log_e, prior_tau};
use crate::stats::overdispersion::{EXACT_LIMIT, phi_of_steps};
use crate::stats::two_arm::{Proportion, against_constant};
use crate::stats::{Contrast, Interval, info_time};
use crate::time::Window;

/// Error rate of `slo` and sampled `limit` (product.md 4.2).
pub(crate) const ALPHA: f64 = 0.01;

pub(super) fn look(input: &GuardrailInput<'_>, slo: &Slo, carry: &mut Carry) -> Seen {
    if let Some(rules) = &slo.burn {
        return burn::look(input, slo, rules);
    }
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let budget = slo.error_budget();
    let Some(test) = ShareTest::of(&pairs(&points), budget) else {
        return Seen::insufficient("no request was counted yet");
    };
    let burn = test.share() / budget;
    let state = if test.breached(input, carry) {
        GuardrailState::Tripped
    } else if burn > 1.0 {
        GuardrailState::Burning
    } else {
        GuardrailState::Ok
    };
    let (status, left) = lifetime::budget(input, &points, &test, budget);
    let control = ShareTest::of(&pairs(&closed(input, input.control)), budget);
    let control_also =
        state == GuardrailState::Tripped && control.is_some_and(|control| control.excludes());
    Seen {
        interval: Some(test.interval(ALPHA)),
        bad: Some(test.bad),
        total: Some(test.total),
        budget_left: Some(left),
        control_also,
        burn: Some(status),
        ..Seen::value(state, test.share(), budget)
    }
}

/// One share against its limit `q`, over a lifetime.
#[derive(Debug)]
pub(super) struct ShareTest {
    pub(super) bad: f64,
    pub(super) total: f64,
    q: f64,
    prior: Prior,
    /// The engine's contrast `share - q`, where the periods are too uneven for the exact test.
    uneven: Option<Contrast>,
}

impl ShareTest {
    /// `None` before anything was counted.
    pub(super) fn of(cells: &[(f64, f64)], q: f64) -> Option<Self> {
        let (bad, total) =
            cells.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        if total <= 0.0 {
            return None;
        }
        let phi = phi_of_steps(cells).filter(|phi| *phi > EXACT_LIMIT);
        let uneven =
            phi.map(|phi| against_constant(&Proportion { x: bad, n: total }, q).widened(phi));
        Some(Self { bad, total, q, prior: prior_tau(q, q), uneven })
    }

    pub(super) fn share(&self) -> f64 {
        self.bad / self.total
    }

    /// Log of this look's p of "the share is at most `q`"; no evidence at or below it.
    fn ln_p(&self) -> f64 {
        if self.share() <= self.q {
            return 0.0;
        }
        let log_e = match self.uneven {
            Some(contrast) => info_time::log_e_one_sided(contrast.estimate, contrast.se, self.q),
            None => log_e(self.prior, self.bad, self.total, self.q),
        };
        info_time::ln_p_from_log_e(log_e)
    }

    /// Whether this look alone shows a share above `q`.
    fn excludes(&self) -> bool {
        self.ln_p() <= libm::log(ALPHA)
    }

    /// Whether a share above `q` is shown, now or earlier, and the share still lies above.
    pub(super) fn breached(&self, input: &GuardrailInput<'_>, carry: &mut Carry) -> bool {
        let start = input.cycle.started_at;
        let window = Window { start, end: input.at };
        let need = need_of_guardrail(input.experiment, input.guardrail, input.grain, window);
        let series = need.map(|need| need.series_id).unwrap_or_default();
        let (start, q) = (start.to_string(), format!("{:.11e}", self.q));
        let epoch = Epoch::new(&[&series, &start], &[&q]);
        let id = format!("guardrail|{}", input.guardrail.name);
        open(carry, &id, &epoch, (self.q, ALPHA), input.at);
        let ln_p = close(carry, &id, self.ln_p());
        ln_p <= libm::log(ALPHA) && self.share() > self.q
    }

    /// The smallest number of bad events that would be a breach at the present total, by this
    /// look's data alone; `None` where that is not known from counts.
    pub(super) fn fewest_breaching(&self, alpha: f64) -> Option<f64> {
        let total = libm::round(self.total);
        let breaches = |bad: f64| {
            let shown = log_e(self.prior, bad, total, self.q) >= -libm::log(alpha);
            bad / total > self.q && shown
        };
        if self.uneven.is_some() || !breaches(total) {
            return None;
        }
        let (mut few, mut enough) = (libm::floor(self.q * total), total);
        while enough - few > 1.0 {
            let middle = libm::floor(0.5 * (few + enough));
            // Beyond 2^53 neighbouring counts are more than one apart: nothing lies between.
            if middle <= few || middle >= enough {
                break;
            }
            if breaches(middle) {
                enough = middle;
            } else {
                few = middle;
            }
        }
        Some(enough)
    }

    /// The shares not rejected at `alpha` on either side.
    pub(super) fn interval(&self, alpha: f64) -> Interval {
        match self.uneven {
            Some(contrast) => {
                let share = contrast.estimate + self.q;
                let half = info_time::half_width_one_sided(contrast.se, self.q, alpha);
                let wide = Interval::around(share, half);
                Interval { lo: wide.lo.max(0.0), hi: wide.hi.min(1.0) }
            }
            None => interval(self.prior, self.bad, self.total, alpha),
        }
    }
}
