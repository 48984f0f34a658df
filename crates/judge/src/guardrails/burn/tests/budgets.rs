//! Budgets where the alerts cannot help: periods too coarse for every page, and services that keep
//! their objective, which nothing may stop whatever the length of the budget.

use super::*;
use crate::nulls::Chance;
use crate::spec::default_alerts;

const DAY_MS: i64 = 24 * HOUR_MS;

/// A cohort in daily exports that keeps its objective for ten days.
fn daily() -> Bench {
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = DAY_MS;
    bench.silent(10 * DAY_MS, 0.0, 1.0e6);
    bench
}

/// A month of a million requests a day may have 30,000 bad ones. Half a percent a day is a burn
/// rate of 5, above the ticket's 1; after the sixth day 30,000 are spent exactly, which chance does
/// every second time, after the seventh 35,000 of 13/30 of the month are 36 standard errors beyond.
#[test]
fn a_spent_budget_trips_where_no_page_can_be_judged() {
    let mut bench = daily();
    for day in 1..=6 {
        assert_eq!(bench.tick(5_000.0, 1.0e6), Burning, "day {day}");
        assert!(bench.burn().pages_are_blind());
    }
    let trips = bench.burn().trips_at.unwrap();
    assert_eq!((trips.within, trips.bad), (Span::days(30), 30_000.0));
    // 1e-4 is 3.72 standard errors of 173 (30,000 expected) beyond what the budget allows.
    assert!(trips.needed > 30_640.0 && trips.needed < 30_650.0, "{}", trips.needed);
    assert_eq!(bench.tick(5_000.0, 1.0e6), Tripped);
    let status = bench.stored.as_ref().unwrap();
    assert_eq!((status.bad, status.total), (Some(35_000.0), Some(17.0e6)));
    let why = status.why.as_deref();
    assert_eq!(
        why,
        Some("the budget of the period is spent, and no alert that pages can be judged")
    );
    // A page that can see a day leaves the spent budget to burn.
    let mut rules = google();
    rules.alerts[1].long = Span::days(1);
    let mut bench = Bench::new(0.999, rules);
    bench.every_ms = DAY_MS;
    bench.silent(17 * DAY_MS, 0.003 * 1.0e6, 1.0e6);
    assert_eq!(bench.look().status.state, Burning);
    assert!(!bench.burn().pages_are_blind());
}

/// Whoever rearms knows that it is spent: it trips again when what came since is too much.
#[test]
fn after_a_rearm_a_spent_budget_trips_by_what_came_since() {
    let mut bench = daily();
    bench.silent(6 * DAY_MS, 5_000.0, 1.0e6);
    assert_eq!(bench.tick(5_000.0, 1.0e6), Tripped);
    bench.rearmed_at = Some(add_ms(ts(START), bench.now_ms));
    bench.stored = None;
    for day in 1..=6 {
        assert_ne!(bench.tick(5_000.0, 1.0e6), Tripped, "day {day}");
        let left = bench.stored.as_ref().unwrap().budget_left.unwrap();
        assert!(left < 0.0, "nothing was given back: {left}");
    }
    assert_eq!(bench.tick(5_000.0, 1.0e6), Tripped);
}

/// Bad ones of `n` events, from the chance of that index on: many trials by their normal shape,
/// few one by one.
fn bad(chance: Chance, index: u64, n: f64, share: f64) -> f64 {
    if n * share > 100.0 {
        let expected = n * share;
        return (expected + chance.normal(index) * expected.sqrt()).round().max(0.0);
    }
    let each = (0..n as u64).map(|event| chance.uniform((index << 20) + event));
    each.filter(|uniform| *uniform < share).count() as f64
}

/// Seed 7, three days at a five-minute rhythm after a start without history: exactly the budget,
/// and seven tenths of it, which a table scaled to one day once called a trip.
#[test]
fn nothing_trips_within_the_objective_whatever_the_period() {
    let mut accepted = 0;
    for hours in [1, 6, 24, 36, 50, 51, 72, 120, 168, 336, 671, 672, 673, 720, 1_000, 2_160] {
        let budget = BudgetPeriod::Rolling(Span::hours(hours));
        let found = default_alerts(budget).unwrap().alerts;
        if !found.iter().any(|rule| rule.severity == BurnSeverity::Page) {
            assert!(hours <= 50, "{hours} h has no page");
            continue;
        }
        accepted += 1;
        for (share, traffic) in [(1.0, 1.0e6), (1.0, 300.0), (0.7, 1.0e6), (0.7, 300.0)] {
            let mut bench = Bench::new(0.99, google());
            bench.every_ms = 5 * MINUTE_MS;
            bench.slo().budget = budget;
            bench.slo().burn.as_mut().unwrap().alerts.clone_from(&found);
            for step in 0..3 * 24 * 12 {
                let bad = bad(Chance::new(7, hours as u64), step, traffic, 0.01 * share);
                let state = bench.tick(bad, traffic);
                assert_ne!(state, Tripped, "{hours} h, {share} of the budget, seed 7");
            }
        }
    }
    assert_eq!(accepted, 11);
    // The same in daily periods over two months, where a spent budget trips.
    for share in [0.7, 1.0] {
        let mut bench = Bench::new(0.99, google());
        bench.every_ms = DAY_MS;
        for day in 0..60 {
            let bad = bad(Chance::new(7, 0), day, 1.0e6, 0.01 * share);
            assert_ne!(bench.tick(bad, 1.0e6), Tripped, "{share} of the budget by day, seed 7");
        }
    }
}
