//! `slo` with a rolling or calendar budget: multi-window, multi-burn-rate alerts.
//!
//! Burn rate = error ratio over the budget (monitoring section 2; The Site Reliability Workbook,
//! chapter 5). An alert is on when the burn rate is strictly above its factor over the long *and*
//! the short window, each window holds `min_events`, enough of the short one was measured, and an
//! exact one-sided binomial test of "at most the factor" gives p < 1e-4 on both. Time that was
//! not measured counts as time without errors, so that two minutes of errors are not three days
//! of them. A short window with too few events reaches further back, at most to the long one, so
//! that a quiet service cannot hide an outage. Pages trip, tickets burn. A tripwire: looking often
//! has no lifetime error guarantee here; the lifetime budget has (ADR 0014).
//!
//! Windows end with the newest data. What cannot be judged freezes: an alert neither goes on nor
//! off, and its clocks stand still. Where no page can be judged at all, because the source's
//! periods are longer than its windows, a spent budget trips in its place (ADR 0035).

mod found;

use std::borrow::Cow;

use super::hysteresis::{Clocks, shifted};
use super::period::period;
use super::seen::fresh;
use super::slots::{Slots, Sum};
use super::{GuardrailInput, Seen};
use crate::analyse::{BurnAlert, BurnFinding, BurnStatus, BurnWindow, GuardrailState, TripsAt};
use crate::lifecycle::zone_of;
use crate::points::Point;
use crate::record::round12;
use crate::spec::{BudgetPeriod, BurnRule, BurnRules, BurnSeverity, Slo, SloScope};
use crate::stats::binomial::exact_p;
use crate::stats::fixed::Alternative;
use crate::time::{Span, Timestamp, Window, add_ms, ms_between};

/// A burn rate above its factor must be this unlikely by chance, on both windows.
pub(crate) const P_BURN: f64 = 1.0e-4;

/// The windows of one look.
struct Windows<'a> {
    slots: &'a Slots,
    as_of: Timestamp,
    /// Nothing before this counts.
    floor: Timestamp,
    grain: Span,
    budget: f64,
    min_events: f64,
}

pub(super) fn look(input: &GuardrailInput<'_>, slo: &Slo, rules: &BurnRules) -> Seen {
    let slots = kept(input.burn.slots, input.points);
    let as_of = match fresh(input, slots.newest_end_by(input.at)) {
        Ok(as_of) => as_of,
        Err(missing) => return *missing,
    };
    let floor = floor(input, slo);
    let history = history(input, slo);
    let windows = Windows {
        slots: &slots,
        as_of,
        floor,
        grain: input.grain,
        budget: slo.error_budget(),
        min_events: rules.min_events,
    };
    let stored = input.stored.as_ref().and_then(|stored| stored.burn.as_ref());
    let alerts: Vec<BurnAlert> = rules
        .alerts
        .iter()
        .map(|rule| {
            let before = stored.and_then(|stored| same_alert(stored, rule));
            windows.alert(input, rule, rules.min_coverage, before)
        })
        .collect();
    let bad_within = rules.or_bad.map(|rule| windows.sum(rule.within).bad);
    let too_many = rules.or_bad.zip(bad_within).is_some_and(|(rule, bad)| bad >= rule.at_least);
    let zone = zone_of(input.experiment);
    let whole = period(slo.budget, as_of, input.cycle.started_at, &zone);
    let length_ms = ms_between(whole.start, whole.end);
    let sum = windows.since(history, whole);
    let spent = sum.bad_share(windows.budget) * sum.measured(length_ms);
    // What was spent before a rearm is known: it leaves nothing, and does not trip again.
    let is_blind = !rules.alerts.is_empty() && !rules.pages_see(input.grain);
    let blind = is_blind.then(|| windows.since(floor, whole));
    let mut status = BurnStatus {
        period: whole,
        measured: sum.measured(length_ms),
        burn: windows.burn_now(rules),
        exhausted_at: None,
        trips_at: windows.trips_at(rules, blind.map(|sum| (sum, Span { ms: length_ms }))),
        alerts,
        bad_within,
    };
    status.exhausted_at = exhausted_at(&status, 1.0 - spent, as_of, slo.budget);
    let found = found::finding(&status, sum, &windows);
    let found = found::or_spent(found, blind, length_ms, &windows);
    let mut seen = Seen { budget_left: Some(1.0 - spent), ..found };
    if too_many {
        let rule = rules.or_bad.map(|rule| (rule.at_least, rule.within));
        let (most, within) = rule.unwrap_or((0.0, Span::ZERO));
        seen.state = GuardrailState::Tripped;
        let bad = bad_within.unwrap_or_default();
        seen.why = Some(format!("{bad} bad events within {within}, {most} are too many"));
    }
    seen.control_also =
        seen.state == GuardrailState::Tripped && control_also(input, slo, rules, &status, floor);
    seen.burn = Some(status);
    seen
}

/// The sums that somebody keeps, else sums of the points.
fn kept<'a>(slots: Option<&'a Slots>, points: &[Point]) -> Cow<'a, Slots> {
    slots.map_or_else(|| Cow::Owned(Slots::of(points)), Cow::Borrowed)
}

/// Before this the budget was nobody's: a cohort has one since its cycle began, a service always
/// had one. A rearm gives nothing back.
fn history(input: &GuardrailInput<'_>, slo: &Slo) -> Timestamp {
    match slo.scope {
        SloScope::Treatment => input.burn.cohort_since.unwrap_or(input.cycle.started_at),
        SloScope::Service => Timestamp::MIN,
    }
}

/// Before this no alert looks: the cohort did not exist, or a human rearmed and knows of it.
fn floor(input: &GuardrailInput<'_>, slo: &Slo) -> Timestamp {
    match slo.scope {
        SloScope::Treatment => input.cycle.started_at,
        SloScope::Service => input.burn.rearmed_at.unwrap_or(Timestamp::MIN),
    }
}

fn same_alert<'a>(stored: &'a BurnStatus, rule: &BurnRule) -> Option<&'a BurnAlert> {
    stored.alerts.iter().find(|alert| {
        alert.severity == rule.severity
            && alert.long.span == rule.long
            && round12(alert.factor) == round12(rule.factor)
    })
}

impl Windows<'_> {
    fn between(&self, start: Timestamp, end: Timestamp) -> Sum {
        self.since(self.floor, Window { start, end })
    }

    fn since(&self, floor: Timestamp, window: Window) -> Sum {
        let Window { start, end } = window;
        self.slots.within(Window { start: start.max(floor), end: end.min(self.as_of) })
    }

    fn sum(&self, span: Span) -> Sum {
        self.between(add_ms(self.as_of, -span.ms), self.as_of)
    }

    fn window(&self, span: Span, factor: f64) -> BurnWindow {
        let sum = self.sum(span);
        let measured = sum.measured(span.ms);
        let burn = sum.bad_share(self.budget) * measured;
        let (bad, total) = (sum.bad, sum.total);
        if round12(burn) <= round12(factor) {
            return BurnWindow { span, measured, bad, total, burn, p: 1.0 };
        }
        // Unmeasured time is time without errors: the measured part must carry the whole factor.
        let bound = (factor * self.budget / measured).min(1.0);
        let p = exact_p(bad, total, bound, Alternative::Greater).unwrap_or(1.0);
        BurnWindow { span, measured, bad, total, burn, p }
    }

    /// The short window: as long as the file says, or as it takes to hold one whole period and
    /// `min_events`, but never longer than the long one.
    fn short(&self, rule: &BurnRule) -> Span {
        let earliest = add_ms(self.as_of, -rule.long.ms);
        let reached = self.slots.reaching(self.as_of, self.min_events, earliest.max(self.floor));
        let wide = Span { ms: ms_between(reached, self.as_of) };
        rule.short.max(self.grain).max(wide).min(rule.long)
    }

    fn alert(
        &self,
        input: &GuardrailInput<'_>,
        rule: &BurnRule,
        min_coverage: f64,
        before: Option<&BurnAlert>,
    ) -> BurnAlert {
        let long = self.window(rule.long, rule.factor);
        let short = self.window(self.short(rule), rule.factor);
        let above = |window: &BurnWindow| round12(window.burn) > round12(rule.factor);
        let finding = if rule.long < self.grain {
            BurnFinding::TooCoarse
        } else if long.total < self.min_events || short.total < self.min_events {
            BurnFinding::TooFewEvents
        } else if round12(short.measured) < round12(min_coverage) {
            BurnFinding::NotCovered
        } else if !(above(&long) && above(&short)) {
            BurnFinding::Calm
        } else if long.p < P_BURN && short.p < P_BURN {
            BurnFinding::Burning
        } else {
            BurnFinding::Unproven
        };
        let gap_ms = input.gap_ms();
        let clocks = before.map_or_else(Clocks::default, |alert| Clocks {
            firing: alert.firing,
            pending_since: alert.pending_since,
            clearing_since: alert.clearing_since,
        });
        let clocks = if finding.is_known() {
            let spans = (rule.hold_for, input.guardrail.keep_firing_for);
            // Coming on takes proof; going off takes a burn rate that is down again.
            let is_on = finding == BurnFinding::Burning
                || (clocks.firing && finding == BurnFinding::Unproven);
            clocks.step(is_on, spans, input.at, gap_ms - input.every.ms)
        } else {
            Clocks {
                pending_since: shifted(clocks.pending_since, gap_ms),
                clearing_since: shifted(clocks.clearing_since, gap_ms),
                ..clocks
            }
        };
        BurnAlert {
            severity: rule.severity,
            factor: rule.factor,
            long,
            short,
            finding,
            firing: clocks.firing,
            pending_since: clocks.pending_since,
            clearing_since: clocks.clearing_since,
        }
    }

    /// The burn rate of now: over the shortest long window that holds whole periods.
    fn burn_now(&self, rules: &BurnRules) -> f64 {
        let long = rules.alerts.iter().map(|rule| rule.long);
        let shortest = long.filter(|long| *long >= self.grain).min();
        let shortest = shortest.unwrap_or(self.grain.max(Span::hours(1)));
        self.window(shortest, 1.0).burn
    }

    /// What the fewest further bad events would set off: a page, the absolute rule, or the end of
    /// a budget whose pages see nothing (`blind`: its sums, and its length).
    fn trips_at(&self, rules: &BurnRules, blind: Option<(Sum, Span)>) -> Option<TripsAt> {
        let pages = rules
            .alerts
            .iter()
            .filter(|rule| rule.severity == BurnSeverity::Page && rule.long >= self.grain);
        let by_rate = pages.filter_map(|rule| {
            let sum = self.sum(rule.long);
            let bound = rule.factor * self.budget / sum.measured(rule.long.ms);
            let needed = fewest_bad(sum.total, bound)?;
            Some(TripsAt { bad: sum.bad, needed, within: rule.long })
        });
        let by_count = rules.or_bad.map(|rule| {
            let bad = self.sum(rule.within).bad;
            TripsAt { bad, needed: rule.at_least, within: rule.within }
        });
        let by_end = blind.and_then(|(sum, within)| {
            let needed = fewest_bad(sum.total, self.budget / sum.measured(within.ms))?;
            Some(TripsAt { bad: sum.bad, needed, within })
        });
        by_rate
            .chain(by_count)
            .chain(by_end)
            .min_by(|one, other| (one.needed - one.bad).total_cmp(&(other.needed - other.bad)))
    }
}

/// The smallest number of bad events of `total` that is above `bound` and not by chance.
fn fewest_bad(total: f64, bound: f64) -> Option<f64> {
    let total = libm::round(total);
    let is_shown =
        |bad: f64| exact_p(bad, total, bound, Alternative::Greater).is_some_and(|p| p < P_BURN);
    if !(bound < 1.0 && is_shown(total)) {
        return None;
    }
    // Six standard errors and a few events more are always enough; searched from there down.
    let expected = bound * total;
    let spread = libm::sqrt(expected * (1.0 - bound));
    let (mut few, mut enough) = (libm::floor(expected), libm::ceil(expected + 6.0 * spread + 30.0));
    enough = enough.min(total);
    while enough - few > 1.0 {
        let middle = libm::floor(0.5 * (few + enough));
        if is_shown(middle) {
            enough = middle;
        } else {
            few = middle;
        }
    }
    Some(enough)
}

impl Sum {
    /// The error ratio in units of the budget; nothing without events.
    fn bad_share(&self, budget: f64) -> f64 {
        if self.total > 0.0 { self.bad / self.total / budget } else { 0.0 }
    }

    /// The measured share of a length.
    fn measured(&self, whole_ms: i64) -> f64 {
        if whole_ms > 0 { (self.measured_ms as f64 / whole_ms as f64).min(1.0) } else { 0.0 }
    }
}

/// When the rest of the budget is gone at the present rate, if that is within the period.
pub(super) fn exhausted_at(
    status: &BurnStatus,
    left: f64,
    as_of: Timestamp,
    budget: BudgetPeriod,
) -> Option<Timestamp> {
    let length_ms = ms_between(status.period.start, status.period.end) as f64;
    if !(left > 0.0 && status.burn > 0.0) {
        return None;
    }
    let ms = left * length_ms / status.burn;
    // A rolling period gives back what it spends at burn rate 1; the others end.
    let until_ms = match budget {
        BudgetPeriod::Rolling(_) => length_ms,
        BudgetPeriod::Lifetime | BudgetPeriod::Calendar(_) => {
            ms_between(as_of, status.period.end) as f64
        }
    };
    (ms < until_ms).then(|| add_ms(as_of, ms as i64))
}

/// Whether the control burns as fast over the windows that tripped.
fn control_also(
    input: &GuardrailInput<'_>,
    slo: &Slo,
    rules: &BurnRules,
    status: &BurnStatus,
    floor: Timestamp,
) -> bool {
    let slots = kept(input.burn.control, input.control);
    let Some(as_of) = slots.newest_end_by(input.at) else {
        return false;
    };
    let (grain, budget) = (input.grain, slo.error_budget());
    let (slots, min_events) = (slots.as_ref(), rules.min_events);
    let control = Windows { slots, as_of, floor, grain, budget, min_events };
    let pages =
        status.alerts.iter().filter(|alert| alert.firing && alert.severity == BurnSeverity::Page);
    let burns = pages.map(|alert| (control.window(alert.long.span, alert.factor), alert.factor));
    let by_rate = |(window, factor): (BurnWindow, f64)| {
        round12(window.burn) > round12(factor) && window.p < P_BURN
    };
    let too_many = rules.or_bad.is_some_and(|rule| control.sum(rule.within).bad >= rule.at_least);
    burns.into_iter().any(by_rate) || too_many
}

#[cfg(test)]
mod tests;
