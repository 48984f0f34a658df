//! The burn-rate tables of `burn_rates.yaml`: which windows and factors people already trust.
//!
//! Part of the model: a name and a period in, the alerts out. The data file cites its sources; a
//! test holds every row to the figures that those sources print. For a period that its source
//! does not print, a table has only the rows that make sense there: a factor above 1, since at a
//! burn rate of 1 the objective is kept, and windows that fit each other and the period.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::values::{Quantity, hundredth};
use super::plain_yaml;
use super::slo::{BudgetPeriod, BurnRule, BurnSeverity};
use crate::time::Span;

const DATA: &str = include_str!("burn_rates.yaml");

/// The table of budgets that name none.
pub(super) const DEFAULT_TABLE: &str = "sloth";
/// Names of the tables, in the order in which they are offered.
pub(super) const TABLES: &[(&str, &str)] =
    &[("google", "google"), ("sloth", "sloth"), ("pyrra", "pyrra")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "link")]
    _link: String,
    windows_of: Option<String>,
    #[serde(default)]
    printed_for: Vec<String>,
    #[serde(default)]
    week: Vec<Row>,
    alerts: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    severity: BurnSeverity,
    budget: Option<String>,
    factor: Option<String>,
    long: String,
    short: String,
    #[serde(rename = "for")]
    hold_for: Option<String>,
}

/// What a table has for a budget period.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableAlerts {
    /// Name of the table.
    pub table: &'static str,
    /// The alerts, in the order of the table.
    pub alerts: Vec<BurnRule>,
    /// Those that the period is too short for.
    pub left_out: Vec<BurnRule>,
}

/// The alerts of a budget that names none; `None` for a budget without a length of its own.
pub fn default_alerts(budget: BudgetPeriod) -> Option<TableAlerts> {
    alerts(DEFAULT_TABLE, budget.nominal()?)
}

/// The alerts of a table for a budget period; `None` for a name that does not exist.
pub(super) fn alerts(name: &'static str, period: Span) -> Option<TableAlerts> {
    let document = plain_yaml("burn_rates.yaml", DATA).ok()?;
    let tables: BTreeMap<String, Table> = serde_json::from_value(document).ok()?;
    let table = tables.get(name)?;
    let windows_of = match &table.windows_of {
        Some(text) => Some(Span::parse(text)?),
        None => None,
    };
    let is_week = period == Span::days(7) && !table.week.is_empty();
    let rows = if is_week { &table.week } else { &table.alerts };
    let is_printed = is_week || table.printed_for.iter().any(|it| Span::parse(it) == Some(period));
    let read: Option<Vec<_>> = rows.iter().map(|row| rule(row, period, windows_of)).collect();
    // Factors that do not follow the period mean the same in each.
    let any_factor = is_printed || windows_of.is_some();
    let (alerts, left_out) = read?.into_iter().partition(|rule| {
        rule.short < rule.long && rule.long <= period && (any_factor || rule.is_beyond_budget())
    });
    Some(TableAlerts { table: name, alerts, left_out })
}

/// The factor that lets `share` of the budget go within `long`: `share x period / long`.
pub(super) fn factor_of(share: f64, period: Span, long: Span) -> f64 {
    share * period.ms as f64 / long.ms as f64
}

fn rule(row: &Row, period: Span, windows_of: Option<Span>) -> Option<BurnRule> {
    let span = |text: &str| Some(scaled(Span::parse(text)?, period, windows_of));
    let long = span(&row.long)?;
    let factor = match (&row.budget, &row.factor) {
        (Some(share), None) => {
            let percent = Quantity::parse(share).filter(|share| share.unit() == "%")?;
            factor_of(hundredth(percent.value), period, long)
        }
        (None, Some(factor)) => Quantity::parse(factor)?.value,
        _ => return None,
    };
    let hold_for = row.hold_for.as_deref().map_or(Some(Span::ZERO), span)?;
    Some(BurnRule { severity: row.severity, factor, long, short: span(&row.short)?, hold_for })
}

/// A window in proportion to the period, rounded to the minute as its source rounds it, at least
/// one minute.
fn scaled(window: Span, period: Span, windows_of: Option<Span>) -> Span {
    const MINUTE_MS: i64 = 60_000;
    let Some(base) = windows_of else {
        return window;
    };
    let ms = window.ms as f64 * period.ms as f64 / base.ms as f64;
    let minutes = libm::round(ms / MINUTE_MS as f64) as i64;
    Span { ms: minutes.max(1) * MINUTE_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rules: &[BurnRule]) -> Vec<String> {
        let line = |rule: &BurnRule| {
            let (factor, for_) = (rule.factor, rule.hold_for);
            format!("{:?} {factor:.4} {}/{} for {for_}", rule.severity, rule.long, rule.short)
        };
        rules.iter().map(line).collect()
    }

    #[test]
    fn every_table_of_the_file_is_offered_and_reads() {
        let document = plain_yaml("burn_rates.yaml", DATA).unwrap();
        let mut named: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
        named.sort_unstable();
        let mut offered: Vec<_> = TABLES.iter().map(|(name, _)| *name).collect();
        offered.sort_unstable();
        assert_eq!(named, offered);
        for (name, _) in TABLES {
            let found = alerts(name, Span::days(28)).unwrap();
            assert_eq!((found.table, found.left_out), (*name, Vec::new()));
        }
        assert!(offered.contains(&DEFAULT_TABLE));
        assert_eq!(alerts("unheard", Span::days(28)), None);
    }

    #[test]
    fn factors_are_those_that_the_sources_print() {
        // The workbook's table 5-8 says 14.4, 6 and 1 for 30 days.
        let google = alerts("google", Span::days(30)).unwrap().alerts;
        assert_eq!(
            written(&google),
            [
                "Page 14.4000 1h/5m for 0d",
                "Page 6.0000 6h/30m for 0d",
                "Ticket 1.0000 3d/6h for 0d"
            ]
        );
        // The 28-day catalogue: 13.44, 5.6, 2.8, 0.9333.
        let sloth = alerts("sloth", Span::days(28)).unwrap().alerts;
        assert_eq!(
            written(&sloth),
            [
                "Page 13.4400 1h/5m for 0d",
                "Page 5.6000 6h/30m for 0d",
                "Ticket 2.8000 1d/2h for 0d",
                "Ticket 0.9333 3d/6h for 0d"
            ]
        );
        let pyrra = alerts("pyrra", Span::days(28)).unwrap().alerts;
        assert_eq!(
            written(&pyrra),
            [
                "Page 14.0000 1h/5m for 2m",
                "Page 7.0000 6h/30m for 15m",
                "Ticket 2.0000 1d/2h for 1h",
                "Ticket 1.0000 4d/6h for 3h"
            ]
        );
        // A quarter of the period is a quarter of the windows: 75 s round to 1 m, 450 s to 8 m.
        let pyrra = alerts("pyrra", Span::days(7)).unwrap().alerts;
        assert_eq!(
            written(&pyrra)[..2],
            ["Page 14.0000 15m/1m for 1m", "Page 7.0000 90m/8m for 4m"]
        );
    }

    #[test]
    fn seven_days_have_the_factors_that_their_source_prints() {
        // 8 %, 12.5 %, 20 % and 42 % of a week: 8 % x 168 h / 1 h = 13.44, and so on.
        let sloth = alerts("sloth", Span::days(7)).unwrap();
        assert_eq!(
            written(&sloth.alerts),
            [
                "Page 13.4400 1h/5m for 0d",
                "Page 3.5000 6h/30m for 0d",
                "Ticket 1.4000 1d/2h for 0d",
                "Ticket 0.9800 3d/6h for 0d"
            ]
        );
        assert_eq!(sloth.left_out, []);
    }

    #[test]
    fn a_period_that_nobody_prints_has_factors_above_one_and_windows_that_fit() {
        // Five days: 2 % x 120 h / 1 h = 2.4, 5 % x 120 h / 6 h = 1, 10 % x 5 / 3 = 0.1667.
        let google = alerts("google", Span::days(5)).unwrap();
        assert_eq!(written(&google.alerts), ["Page 2.4000 1h/5m for 0d"]);
        let left_out = ["Page 1.0000 6h/30m for 0d", "Ticket 0.1667 3d/6h for 0d"];
        assert_eq!(written(&google.left_out), left_out);
        // A day would page at 0.48 and 0.2 times the budget: nothing is left.
        assert_eq!(alerts("sloth", Span::days(1)).unwrap().alerts, []);
        // Longer periods keep every row.
        assert_eq!(alerts("sloth", Span::days(90)).unwrap().left_out, []);
        // Pyrra's windows of an hour round to minutes that are no pair any more.
        let pyrra = alerts("pyrra", Span::hours(1)).unwrap();
        assert!(pyrra.alerts.iter().all(|rule| rule.severity == BurnSeverity::Ticket));
        for name in ["google", "sloth", "pyrra"] {
            for hours in 1..=90 * 24 {
                let period = Span::hours(hours);
                for rule in alerts(name, period).unwrap().alerts {
                    assert!(rule.short < rule.long && rule.long <= period, "{name} {period}");
                    let is_page = rule.severity == BurnSeverity::Page;
                    assert!(!is_page || rule.factor > 1.0, "{name} {period} {rule:?}");
                }
            }
        }
    }
}
