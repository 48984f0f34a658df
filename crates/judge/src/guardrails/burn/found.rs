//! What one look at a burning budget comes to: its state, its numbers and the reason in words.
//!
//! Part of `burn`, which measures the windows and moves the clocks.

use super::{P_BURN, Sum, Windows};
use crate::analyse::{BurnAlert, BurnFinding, BurnStatus, GuardrailState};
use crate::guardrails::Seen;
use crate::spec::{BurnSeverity, rate_text};
use crate::stats::binomial::exact_p;
use crate::stats::fixed::Alternative;

/// State and numbers: of the alert that is on, else of the whole period.
pub(super) fn finding(status: &BurnStatus, sum: Sum, windows: &Windows<'_>) -> Seen {
    let on = |severity: BurnSeverity| {
        status.alerts.iter().find(|alert| alert.firing && alert.severity == severity)
    };
    let alert = on(BurnSeverity::Page).or_else(|| on(BurnSeverity::Ticket));
    if let Some(alert) = alert {
        let state = match alert.severity {
            BurnSeverity::Page => GuardrailState::Tripped,
            BurnSeverity::Ticket => GuardrailState::Burning,
        };
        let value = if alert.long.total > 0.0 { alert.long.bad / alert.long.total } else { 0.0 };
        return Seen {
            bad: Some(alert.long.bad),
            total: Some(alert.long.total),
            why: Some(why(alert)),
            ..Seen::value(state, value, alert.factor * windows.budget)
        };
    }
    let spent = is_spent(sum, status.measured, windows.budget);
    let known = status.alerts.iter().any(|alert| alert.finding.is_known());
    if !known && !spent {
        let words = status.alerts.first().map_or("no alert", |alert| blind(alert.finding));
        return Seen::insufficient(words);
    }
    let state = if spent { GuardrailState::Burning } else { GuardrailState::Ok };
    let share = if sum.total > 0.0 { sum.bad / sum.total } else { 0.0 };
    Seen {
        bad: Some(sum.bad),
        total: Some(sum.total),
        why: spent.then(|| "the budget of the period is spent".to_owned()),
        ..Seen::value(state, share, windows.budget)
    }
}

/// The same where no page can be judged (`blind`: what the period holds since the alerts began): a
/// budget that is spent beyond chance trips, because nothing else will.
pub(super) fn or_spent(
    seen: Seen,
    blind: Option<Sum>,
    length_ms: i64,
    windows: &Windows<'_>,
) -> Seen {
    let Some(sum) = blind else {
        return seen;
    };
    if !is_spent(sum, sum.measured(length_ms), windows.budget) {
        return seen;
    }
    let why = "the budget of the period is spent, and no alert that pages can be judged";
    Seen {
        bad: Some(sum.bad),
        total: Some(sum.total),
        why: Some(why.to_owned()),
        ..Seen::value(GuardrailState::Tripped, sum.bad / sum.total, windows.budget)
    }
}

/// Whether nothing is left of the budget, beyond what chance does to a quiet service.
fn is_spent(sum: Sum, measured: f64, budget: f64) -> bool {
    let bound = (budget / measured.max(f64::MIN_POSITIVE)).min(1.0);
    let p = exact_p(sum.bad, sum.total, bound, Alternative::Greater);
    sum.bad_share(budget) * measured >= 1.0 && p.is_some_and(|p| p < P_BURN)
}

fn why(alert: &BurnAlert) -> String {
    let (long, short) = (&alert.long, &alert.short);
    format!(
        "burns {} times its budget over {} and {} times over {}, more than {} ({})",
        rate_text(long.burn, 2),
        long.span,
        rate_text(short.burn, 2),
        short.span,
        rate_text(alert.factor, 2),
        chance(long.p.max(short.p))
    )
}

/// Below this a tail is no more than "never": its digits say nothing.
const LEAST_P: f64 = 1.0e-99;

fn chance(p: f64) -> String {
    if p < LEAST_P { format!("p < {LEAST_P:.0e}") } else { format!("p {p:.0e}") }
}

/// Why an alert cannot say anything.
fn blind(finding: BurnFinding) -> &'static str {
    match finding {
        BurnFinding::TooFewEvents => "too few events in every window",
        BurnFinding::NotCovered => "too little of the short window was measured",
        _ => "the source's periods are longer than every window",
    }
}
