//! What the alerts of an `slo` can see: within its period, beyond its objective, in its source.
//!
//! A burn rate of 1 keeps the objective, so a page at 1 or less would stop a service that is well
//! (E0314); a table leaves out what a short period makes of its rows (W0202). Alerts whose windows
//! are shorter than the periods of their source see nothing (W0201); then a spent budget trips,
//! and where even the budget's period is too short for that, nothing ever would (E0313).

use super::walk::{Fields, Walk};
use crate::spec::burn_table::TableAlerts;
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::model::OnTrip;
use crate::spec::slo::{BurnRule, BurnSeverity, Slo, rate_text};
use crate::time::Span;

/// What to write where no table will do.
const BY_HAND: &str = "write `burn:` with alerts of your own, such as `{severity: page, factor: \
                       6, long: 1h, short: 5m}`, or a longer period, or `budget: lifetime`";

/// The alerts of a table, and what the period is too short for.
pub(super) fn of_table(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    found: TableAlerts,
    period: Span,
) -> Option<Vec<BurnRule>> {
    let TableAlerts { table, alerts, left_out } = found;
    let pos = match fields.get("burn") {
        Some(_) => fields.key_pos("burn"),
        None => fields.get("budget").map_or(fields.pos, |_| fields.key_pos("budget")),
    };
    let written = |rule: &BurnRule| format!("{} over {}", rate_text(rule.factor, 4), rule.long);
    let cause: Vec<String> = left_out.iter().map(written).collect();
    let cause = format!(
        "it would alert above a burn rate of {}; at 1 the objective is kept",
        cause.join(", ")
    );
    if !alerts.iter().any(|rule| rule.severity == BurnSeverity::Page) {
        let message = format!("a budget of {period} is too short for the table `{table}`");
        walk.report(Diagnostic::new("E0314", pos, message).cause(cause).hint(BY_HAND));
        return None;
    }
    if !left_out.is_empty() {
        let message =
            format!("a budget of {period} is too short for some alerts of the table `{table}`");
        let hint = "they are left out; write `burn:` with alerts of your own to choose others";
        walk.report(Diagnostic::new("W0202", pos, message).cause(cause).hint(hint));
    }
    Some(alerts)
}

/// Refuses pages that a service within its objective would set off.
pub(super) fn refuse_within_objective(
    walk: &mut Walk<'_>,
    pos: SourcePos,
    slo: &Slo,
) -> Option<()> {
    let rules = slo.burn.iter().flat_map(|rules| &rules.alerts);
    let within: Vec<&BurnRule> = rules
        .filter(|rule| rule.severity == BurnSeverity::Page && !rule.is_beyond_budget())
        .collect();
    for rule in &within {
        let (long, factor) = (rule.long, rate_text(rule.factor, 4));
        let message = format!("the {long} page would stop a service that keeps its objective");
        let cause = format!("it pages above a burn rate of {factor}; at 1 the objective is kept");
        let hint = "write a factor above 1, or make it a ticket: `severity: ticket`";
        walk.report(Diagnostic::new("E0314", pos, message).cause(cause).hint(hint));
    }
    within.is_empty().then_some(())
}

/// Says where no alert that pages can see anything in the periods of its source.
pub(super) fn coarse(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    slo: &Slo,
    every: Option<Span>,
    on_trip: OnTrip,
) {
    let grain = slo.grain(every);
    let (Some(rules), Some(period)) = (&slo.burn, slo.budget.nominal()) else {
        return;
    };
    if rules.pages_see(grain) {
        return;
    }
    let pos = fields.key_pos("slo");
    let counts = rules.or_bad.is_some_and(|rule| rule.within >= grain);
    let has_pages = rules.alerts.iter().any(|rule| rule.severity == BurnSeverity::Page);
    let cause = if has_pages {
        format!("source `{}` counts in periods of {grain}, longer than their windows", slo.source)
    } else {
        "none of its alerts is a page".to_owned()
    };
    if period < grain && !counts && on_trip == OnTrip::Stop {
        let message = "this guardrail can never trip, and it should stop";
        let hint = format!("count in shorter periods, or write a budget longer than {grain}");
        walk.report(Diagnostic::new("E0313", pos, message).cause(cause).hint(hint));
        return;
    }
    let message = "no alert of this guardrail that pages can ever be judged";
    let hint = if period < grain {
        "count in shorter periods: as it is, it says nothing about the budget".to_owned()
    } else {
        let then = if has_pages {
            "write longer windows into `burn:`, `budget: lifetime`, or count in shorter periods"
        } else {
            "make one of its alerts a page, or write `budget: lifetime`"
        };
        format!("it trips only when the whole budget of {period} is spent; {then}")
    };
    walk.report(Diagnostic::new("W0201", pos, message).cause(cause).hint(hint));
}
