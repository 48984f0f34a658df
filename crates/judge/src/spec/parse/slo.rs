//! `slo:` — an objective, over which period its budget runs, and how fast it may go.
//!
//! Alerts that could never fire are refused here, with the numbers that would do: a factor times
//! the budget is an error ratio, and no ratio is above 1.

use super::guardrails::asked;
use super::query::{self, Wanted};
use super::slo_sight;
use super::walk::{Fields, Walk, join};
use super::{MIN_EVERY, keys};
use crate::spec::burn_table::{self, DEFAULT_TABLE, TABLES};
use crate::spec::diagnostic::{Diagnostic, SourcePos};
use crate::spec::model::Query;
use crate::spec::slo::{BadCount, BudgetPeriod, BurnRule, BurnRules, Slo, SloScope};
use crate::spec::tree::{Kind, Node};
use crate::time::Span;

/// Most alerts of one SLO.
const MAX_ALERTS: usize = 12;
/// Events a window needs where the file says nothing.
const MIN_EVENTS: f64 = 10.0;
/// Measured share of the short window where the file says nothing.
const MIN_COVERAGE: f64 = 0.9;
/// The columns of an SLO.
const COLUMNS: &[&str] = &["bad", "total"];

/// `slo`; `guardrail` holds the keys beside it, whose `for` is the default of the alerts.
pub(super) fn slo(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    guardrail: &Fields<'_>,
) -> Option<Slo> {
    let fields = walk.fields(node, path, keys::SLO)?;
    let objective = walk.required(&fields, "objective", "99.9%");
    let objective = objective.and_then(|node| {
        let share = walk.share(node, &join(path, "objective"))?;
        if share <= 0.0 || share >= 1.0 {
            let message = "an objective of nothing or everything leaves no budget";
            return walk.fail("E0306", node.pos, message, "write for example `99.9%`");
        }
        Some(share)
    });
    let (source, query) = asked(walk, &fields, COLUMNS);
    let scope = walk.word_or(&fields, "scope", keys::SCOPES, SloScope::Treatment);
    let control = control(walk, &fields, scope);
    let budget = budget(walk, &fields);
    let hold_for = walk.span_or(guardrail, "for", Span::ZERO, Span::ZERO);
    let rules = match budget? {
        BudgetPeriod::Lifetime => {
            refuse_with_lifetime(walk, &fields);
            None
        }
        period => Some(burn_rules(walk, &fields, period, hold_for?, Vec::new())?),
    };
    let slo = Slo {
        objective: objective?,
        source: source?,
        query: query?,
        control: control?,
        scope: scope?,
        budget: budget?,
        burn: rules,
        slice: None,
    };
    refuse_infeasible(walk, &fields, &slo)?;
    Some(slo)
}

/// The control's query: an outer `None` is a fault, an inner one no control.
#[expect(clippy::option_option, reason = "a fault and an absence are two things")]
fn control(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    scope: Option<SloScope>,
) -> Option<Option<Query>> {
    let Some(node) = fields.get("control") else {
        return Some(None);
    };
    if scope == Some(SloScope::Service) {
        let message = "`control` does not fit `scope: service`";
        let hint = "a service holds both cohorts; remove `control` or write `scope: cohort`";
        return walk.fail("E0206", fields.key_pos("control"), message, hint);
    }
    let wanted = Wanted { columns: COLUMNS, optional: &[], arms: false };
    query::second_query(walk, node, &fields.at("control"), wanted, fields).map(Some)
}

pub(super) fn budget(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<BudgetPeriod> {
    let Some(node) = fields.get("budget") else {
        return Some(BudgetPeriod::Lifetime);
    };
    let path = fields.at("budget");
    if !matches!(node.kind, Kind::Map(_)) {
        return walk.word(node, &path, keys::BUDGETS);
    }
    let period = walk.fields(node, &path, keys::BUDGET)?;
    match (period.get("rolling"), period.get("calendar")) {
        (Some(node), None) => {
            walk.span(node, &period.at("rolling"), Span::hours(1)).map(BudgetPeriod::Rolling)
        }
        (None, Some(node)) => {
            let unit = walk.word(node, &period.at("calendar"), keys::CALENDAR)?;
            Some(BudgetPeriod::Calendar(unit))
        }
        _ => {
            let hint = "write `{rolling: 28d}` or `{calendar: month}`";
            walk.fail("E0205", period.pos, "a budget has exactly one period", hint)
        }
    }
}

/// Burn rates need a period that ends.
pub(super) fn refuse_with_lifetime(walk: &mut Walk<'_>, fields: &Fields<'_>) {
    for key in ["burn", "min_events", "min_coverage", "or_bad"] {
        if fields.get(key).is_some() {
            let message = format!("`{key}` does not fit a lifetime budget");
            let hint = "a lifetime is judged by an exact test; write `budget: {rolling: 28d}` \
                        for burn rates";
            walk.report(Diagnostic::new("E0206", fields.key_pos(key), message).hint(hint));
        }
    }
}

/// The burn rules of a budget; `known` are the alerts of an imported file, which stand where the
/// experiment file names none.
pub(super) fn burn_rules(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    budget: BudgetPeriod,
    hold_for: Span,
    known: Vec<BurnRule>,
) -> Option<BurnRules> {
    let period = budget.nominal()?;
    let alerts = alerts(walk, fields, period, hold_for, known);
    let min_events = match fields.get("min_events") {
        Some(node) => walk.number(node, &fields.at("min_events"), (1.0, 1e9)),
        None => Some(MIN_EVENTS),
    };
    let min_coverage = match fields.get("min_coverage") {
        Some(node) => walk.share(node, &fields.at("min_coverage")),
        None => Some(MIN_COVERAGE),
    };
    let or_bad = match fields.get("or_bad") {
        Some(node) => or_bad(walk, node, &fields.at("or_bad")).map(Some),
        None => Some(None),
    };
    Some(BurnRules {
        alerts: alerts?,
        min_events: min_events?,
        min_coverage: min_coverage?,
        or_bad: or_bad?,
    })
}

fn alerts(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    period: Span,
    hold_for: Span,
    known: Vec<BurnRule>,
) -> Option<Vec<BurnRule>> {
    let mut alerts = match fields.get("burn") {
        Some(Node { kind: Kind::List(rows), pos, .. }) => {
            if rows.is_empty() || rows.len() > MAX_ALERTS {
                let message = format!("{} burn-rate alerts", rows.len());
                let hint = format!("between 1 and {MAX_ALERTS}");
                return walk.fail("E0310", *pos, message, hint);
            }
            let path = fields.at("burn");
            let read: Vec<_> =
                rows.iter().map(|row| alert(walk, row, &path, period, hold_for)).collect();
            read.into_iter().collect::<Option<Vec<_>>>()?
        }
        Some(node) => {
            let name = walk.word(node, &fields.at("burn"), TABLES)?;
            slo_sight::of_table(walk, fields, burn_table::alerts(name, period)?, period)?
        }
        None if known.is_empty() => {
            slo_sight::of_table(walk, fields, burn_table::alerts(DEFAULT_TABLE, period)?, period)?
        }
        None => known,
    };
    for alert in &mut alerts {
        alert.hold_for = alert.hold_for.max(hold_for);
    }
    Some(alerts)
}

fn alert(
    walk: &mut Walk<'_>,
    node: &Node,
    path: &str,
    period: Span,
    hold_for: Span,
) -> Option<BurnRule> {
    let row = walk.fields(node, path, keys::BURN)?;
    let severity = walk.required(&row, "severity", "page");
    let severity =
        severity.and_then(|node| walk.word(node, &row.at("severity"), keys::BURN_SEVERITIES));
    let mut window = |key: &str, example: &str| {
        let node = walk.required(&row, key, example)?;
        walk.span(node, &row.at(key), MIN_EVERY)
    };
    let (long, short) = (window("long", "1h"), window("short", "5m"));
    let own_for = walk.span_or(&row, "for", Span::ZERO, hold_for);
    let (long, short) = (long?, short?);
    if short >= long || long > period {
        let message = format!("the windows {long} and {short} do not fit a period of {period}");
        let hint = "`short` below `long`, and `long` not above the period";
        return walk.fail("E0306", row.key_pos("long"), message, hint);
    }
    let factor = match (row.get("factor"), row.get("budget")) {
        (Some(node), None) => walk.number(node, &row.at("factor"), (0.0, 1e6))?,
        (None, Some(node)) => {
            burn_table::factor_of(walk.share(node, &row.at("budget"))?, period, long)
        }
        _ => {
            let hint = "write `factor: 14.4` or `budget: 2%`";
            return walk.fail("E0205", row.pos, "an alert has exactly one bound", hint);
        }
    };
    if factor <= 0.0 {
        let message = "an alert above nothing is always on";
        return walk.fail("E0306", row.pos, message, "write a factor above 0");
    }
    Some(BurnRule { severity: severity?, factor, long, short, hold_for: own_for? })
}

fn or_bad(walk: &mut Walk<'_>, node: &Node, path: &str) -> Option<BadCount> {
    let fields = walk.fields(node, path, keys::OR_BAD)?;
    let at_least = walk.required(&fields, "at_least", "20");
    let at_least =
        at_least.and_then(|node| walk.whole(node, &fields.at("at_least"), 1, 1_000_000_000));
    let within = walk.required(&fields, "within", "6h");
    let within = within.and_then(|node| walk.span(node, &fields.at("within"), MIN_EVERY));
    Some(BadCount { at_least: f64::from(at_least?), within: within? })
}

/// Refuses alerts whose error ratio would have to be above 1, and pages within the objective; says
/// what would do.
pub(super) fn refuse_infeasible(walk: &mut Walk<'_>, fields: &Fields<'_>, slo: &Slo) -> Option<()> {
    let rules = slo.burn.iter().flat_map(|rules| &rules.alerts);
    let never: Vec<&BurnRule> =
        rules.filter(|rule| rule.factor * slo.error_budget() >= 1.0).collect();
    let pos = burn_pos(fields);
    for rule in &never {
        let ratio = rule.factor * slo.error_budget() * 100.0;
        let (long, objective) = (rule.long, 100.0 - slo.error_budget() * 100.0);
        let message =
            format!("the {long} alert can never fire: it needs more than {ratio:.4} % errors");
        let below = 1.0 / slo.error_budget();
        let hint = format!(
            "at an objective of {objective} % a factor must be below {below:.4}: write `burn:` \
             with lower factors or longer windows, or `budget: lifetime`"
        );
        let found = Diagnostic::new("E0312", pos, message);
        let cause = format!("a burn rate above {:.4} on a budget of {:.4} %", rule.factor, {
            slo.error_budget() * 100.0
        });
        walk.report(found.cause(cause).hint(hint));
    }
    let is_fine = never.is_empty();
    slo_sight::refuse_within_objective(walk, pos, slo)?;
    is_fine.then_some(())
}

/// Where the alerts come from: `burn`, else the objective that their table does not fit.
fn burn_pos(fields: &Fields<'_>) -> SourcePos {
    let keys = ["burn", "objective", "openslo"];
    let named = keys.into_iter().find(|key| fields.get(key).is_some());
    named.map_or(fields.pos, |key| fields.key_pos(key))
}
