//! Burn rates against figures that were measured on a real Prometheus with the same rules
//! (monitoring section 2): when each alert comes, when it goes, and when none may come.

mod budgets;

use super::*;
use crate::analyse::GuardrailState::{Burning, Insufficient, Ok, Tripped};
use crate::analyse::GuardrailStatus;
use crate::analyse::fixtures::*;
use crate::guardrails::{BurnInput, GuardrailOutcome, judge};
use crate::points::{ALL, Sums};
use crate::record::Carry;
use crate::spec::{
    BadCount, BudgetPeriod, CalendarUnit, Compare, Experiment, Form, GuardrailKind, OnTrip, Query,
    Role, Want,
};

const SLOT_MS: i64 = 30_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Requests of one slot: enough that no test of chance delays an alert by a slot.
const MANY: f64 = 1.0e8;

/// The workbook's table for 30 days: 14.4, 6 and 1.
fn google() -> BurnRules {
    let rule = |severity, factor, long, short| {
        let (long, short) = (Span::parse(long).unwrap(), Span::parse(short).unwrap());
        BurnRule { severity, factor, long, short, hold_for: Span::ZERO }
    };
    BurnRules {
        alerts: vec![
            rule(BurnSeverity::Page, 14.4, "1h", "5m"),
            rule(BurnSeverity::Page, 6.0, "6h", "30m"),
            rule(BurnSeverity::Ticket, 1.0, "3d", "6h"),
        ],
        min_events: 10.0,
        min_coverage: 0.9,
        or_bad: None,
    }
}

struct Bench {
    experiment: Experiment,
    stored: Option<GuardrailStatus>,
    slots: Slots,
    control: Slots,
    /// End of the newest slot, from the start.
    now_ms: i64,
    every_ms: i64,
    rearmed_at: Option<Timestamp>,
}

impl Bench {
    fn new(objective: f64, rules: BurnRules) -> Self {
        let outcome = signal("y", Role::Outcome, Form::Proportion, Want::Up);
        let mut experiment = experiment(Compare::Baseline, vec![outcome], at_level("y", 0.5));
        let slo = Slo {
            objective,
            source: "prom".to_owned(),
            query: Query::default(),
            control: None,
            scope: SloScope::Treatment,
            budget: BudgetPeriod::Rolling(Span::days(30)),
            burn: Some(rules),
            slice: None,
        };
        experiment.guardrails = vec![guardrail("g", GuardrailKind::Slo(slo), OnTrip::Alert)];
        Self {
            experiment,
            stored: None,
            slots: Slots::default(),
            control: Slots::default(),
            now_ms: 0,
            every_ms: SLOT_MS,
            rearmed_at: None,
        }
    }

    /// A service without errors for three days.
    fn calm(rules: BurnRules) -> Self {
        let mut bench = Self::new(0.999, rules);
        bench.silent(3 * 24 * HOUR_MS, 0.0, MANY);
        bench
    }

    fn slo(&mut self) -> &mut Slo {
        match &mut self.experiment.guardrails[0].kind {
            GuardrailKind::Slo(slo) => slo,
            _ => unreachable!("the bench has an slo"),
        }
    }

    fn point(&self, bad: f64, total: f64) -> Point {
        let (start, end) = (self.now_ms - self.every_ms, self.now_ms);
        let at = |ms| add_ms(ts(START), ms);
        let sums = Sums::Proportion { num: bad, den: total };
        Point { arm: ALL.to_owned(), start: at(start), end: at(end), sums }
    }

    /// Time goes on without a look.
    fn silent(&mut self, ms: i64, bad: f64, total: f64) {
        for _ in 0..ms / self.every_ms {
            self.now_ms += self.every_ms;
            self.slots.lay(&[self.point(bad, total)]);
        }
    }

    fn look(&mut self) -> GuardrailOutcome {
        let mut cycle = cycle(&self.experiment);
        let cohort_since = Some(cycle.started_at);
        cycle.started_at = self.rearmed_at.unwrap_or(cycle.started_at);
        let every = Span { ms: self.every_ms };
        let outcome = judge(&GuardrailInput {
            experiment: &self.experiment,
            guardrail: &self.experiment.guardrails[0],
            cycle: &cycle,
            at: add_ms(ts(START), self.now_ms),
            every,
            grain: every,
            lateness: Span::ZERO,
            points: &[],
            control: &[],
            burn: BurnInput {
                slots: Some(&self.slots),
                control: Some(&self.control),
                rearmed_at: self.rearmed_at,
                cohort_since,
            },
            failure: None,
            stored: self.stored.clone(),
            carry: &Carry::new(),
        });
        self.stored = Some(outcome.status.clone());
        outcome
    }

    /// One slot and the look after it.
    fn tick(&mut self, bad: f64, total: f64) -> GuardrailState {
        self.silent(self.every_ms, bad, total);
        self.look().status.state
    }

    /// Milliseconds until the state is first seen, within `most_ms`.
    fn until(
        &mut self,
        state: GuardrailState,
        most_ms: i64,
        (bad, total): (f64, f64),
    ) -> Option<i64> {
        let start = self.now_ms;
        while self.now_ms - start < most_ms {
            if self.tick(bad, total) == state {
                return Some(self.now_ms - start);
            }
        }
        None
    }

    fn burn(&self) -> &BurnStatus {
        self.stored.as_ref().unwrap().burn.as_ref().unwrap()
    }
}

/// Ten minutes of outage spend 10/(30 x 1,440 x 0.1 %) = 23 % of a month. A rearm says that
/// somebody knows: the alerts begin anew. It gives nothing back, to no service and no cohort.
#[test]
fn a_rearm_starts_the_alerts_anew_and_refills_no_budget() {
    for scope in [SloScope::Service, SloScope::Treatment] {
        let mut bench = Bench::calm(google());
        bench.slo().scope = scope;
        assert_eq!(bench.until(Tripped, HOUR_MS, (MANY, MANY)), Some(2 * SLOT_MS));
        bench.silent(9 * MINUTE_MS, MANY, MANY);
        bench.look();
        let left = bench.stored.as_ref().unwrap().budget_left.unwrap();
        assert!((0.76..0.78).contains(&left), "{left}");
        // As the daemon does it: no stored status, and the instant of the rearm.
        bench.rearmed_at = Some(add_ms(ts(START), bench.now_ms));
        bench.stored = None;
        let state = bench.tick(0.0, MANY);
        let after = bench.stored.as_ref().unwrap();
        assert!((after.budget_left.unwrap() - left).abs() < 0.001, "{scope:?} {after:?}");
        assert_ne!(state, Tripped, "{scope:?}: nothing new happened");
        assert!(bench.burn().alerts.iter().all(|alert| !alert.firing));
        assert!(bench.until(Tripped, HOUR_MS, (MANY, MANY)).is_some(), "it is armed");
    }
}

#[test]
fn two_percent_page_after_43_and_a_half_minutes() {
    // Theory 14.4 x 0.001 x 60 min / 0.02 = 43.2 min; measured at a 30 s rhythm: 43.5.
    let mut bench = Bench::calm(google());
    let after = bench.until(Tripped, HOUR_MS, (0.02 * MANY, MANY));
    assert_eq!(after, Some(43 * MINUTE_MS + SLOT_MS));
    let why = bench.stored.as_ref().unwrap().why.clone().unwrap();
    assert!(why.starts_with("burns 14.5 times its budget over 1h and 20 times over 5m"), "{why}");
}

#[test]
fn one_percent_never_pages_in_three_hours_and_pages_after_three_and_a_half() {
    // Measured: nothing in 3 h; 5 h page at 3 h 36 min, which is 6 x 0.001 x 6 h / 0.01 exactly,
    // and above it one slot later.
    let mut bench = Bench::calm(google());
    assert_eq!(bench.until(Tripped, 3 * HOUR_MS, (0.01 * MANY, MANY)), None);
    let rest = bench.until(Tripped, 2 * HOUR_MS, (0.01 * MANY, MANY));
    assert_eq!(rest, Some(36 * MINUTE_MS + SLOT_MS));
}

#[test]
fn four_tenths_of_a_percent_ticket_after_eighteen_hours() {
    // 1 x 0.001 x 72 h / 0.004 = 18.0 h, and above it one slot later; nothing is stopped.
    let mut bench = Bench::calm(google());
    let after = bench.until(Burning, 20 * HOUR_MS, (0.004 * MANY, MANY));
    assert_eq!(after, Some(18 * HOUR_MS + SLOT_MS));
    assert!(!bench.stored.as_ref().unwrap().latched);
    assert_eq!(bench.until(Tripped, HOUR_MS, (0.004 * MANY, MANY)), None);
}

#[test]
fn a_total_outage_pages_at_the_second_look_and_clears_with_the_short_window() {
    // One slot is 1/120 of the long window: 0.83 % against 1.44 %; two are 1.67 %. After ten
    // minutes the 5-minute window is clean 5 min later, the 30-minute one keeps the slow page on
    // (10 of 360 min are 2.8 % against 0.6 %) until its own 30 min are over.
    let mut bench = Bench::calm(google());
    assert_eq!(bench.until(Tripped, HOUR_MS, (MANY, MANY)), Some(2 * SLOT_MS));
    bench.until(Ok, 9 * MINUTE_MS, (MANY, MANY));
    let fast = |bench: &Bench| bench.burn().alerts[0].firing;
    assert!(fast(&bench));
    bench.until(Ok, 5 * MINUTE_MS - SLOT_MS, (0.0, MANY));
    assert!(fast(&bench), "a slot of errors is still 10 % of five minutes");
    bench.tick(0.0, MANY);
    assert!(!fast(&bench));
    assert!(bench.burn().alerts[1].firing);
}

#[test]
fn short_blips_need_for_and_keep_firing_for() {
    // A total minute every half hour: without `for` the fast page flaps; with 6 min it never
    // comes, because a blip of two slots stays in five minutes for 5 min 30 s.
    let play = |hold: i64, keep: i64| {
        let mut rules = google();
        rules.alerts.truncate(1);
        rules.alerts[0].hold_for = Span { ms: hold * MINUTE_MS };
        let mut bench = Bench::calm(rules);
        bench.experiment.guardrails[0].keep_firing_for = Span { ms: keep * MINUTE_MS };
        let mut changes = 0;
        let mut before = Ok;
        for minute in 0..180 {
            for _ in 0..2 {
                let bad = if minute % 30 == 0 { MANY } else { 0.0 };
                let state = bench.tick(bad, MANY);
                changes += i32::from(state != before);
                before = state;
            }
        }
        changes
    };
    assert_eq!(play(0, 0), 12, "on and off six times");
    assert_eq!(play(6, 0), 0);
    assert_eq!(play(0, 30), 1, "on, and kept on");
}

#[test]
fn one_error_of_a_quiet_service_sets_nothing_off() {
    // Ten requests an hour and one failure: 10 % of the hour is a burn rate of 100. All four
    // alerts of a plain rule fire; by chance alone 1 of 10 at 1.44 % has p = 0.135.
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = 6 * MINUTE_MS;
    bench.silent(3 * 24 * HOUR_MS, 0.0, 1.0);
    assert_eq!(bench.tick(1.0, 1.0), Ok);
    let fast = &bench.burn().alerts[0];
    assert!((fast.long.burn - 100.0).abs() < 1e-9);
    assert!((fast.long.p - 0.135_03).abs() < 1e-4, "{}", fast.long.p);
    assert_eq!(fast.finding, BurnFinding::Unproven);
    assert_eq!(bench.until(Tripped, 7 * HOUR_MS, (0.0, 1.0)), None);
}

#[test]
fn an_outage_of_a_quiet_service_is_not_hidden_by_its_few_requests() {
    // Three requests an hour, all failing: no 5-minute window ever holds ten. The short windows
    // reach back instead, the six-hour page holds 10 of 18 after 200 minutes and 0.6 % is refuted
    // (ten of ten failures: p = 6e-23).
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = 20 * MINUTE_MS;
    bench.silent(3 * 24 * HOUR_MS, 0.0, 1.0);
    let after = bench.until(Tripped, 24 * HOUR_MS, (1.0, 1.0)).unwrap();
    assert!(after <= 200 * MINUTE_MS, "{} min", after / MINUTE_MS);
    assert!(bench.burn().alerts[1].firing && !bench.burn().alerts[0].firing);
    // One request a day is too few for every window: said, not passed as fine.
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = 24 * HOUR_MS;
    bench.silent(3 * 24 * HOUR_MS, 0.0, 1.0);
    assert_eq!(bench.tick(1.0, 1.0), Insufficient);
    // An absolute count needs no rate.
    bench.slo().burn.as_mut().unwrap().or_bad =
        Some(BadCount { at_least: 3.0, within: Span::days(3) });
    assert_eq!(bench.tick(1.0, 1.0), Insufficient);
    assert_eq!(bench.tick(1.0, 1.0), Tripped);
}

#[test]
fn two_minutes_are_not_three_days() {
    // A plain rate over three days of a series two minutes old fires at once. Unmeasured time
    // counts as good: 50 % errors of two minutes are 0.02 % of three days.
    let mut rules = google();
    rules.alerts.remove(0);
    rules.alerts.remove(0);
    let mut bench = Bench::new(0.999, rules);
    assert_eq!(bench.until(Burning, 2 * MINUTE_MS, (0.5 * MANY, MANY)), None);
    let ticket = &bench.burn().alerts[0];
    assert_eq!(ticket.finding, BurnFinding::NotCovered);
    let measured = 2.0 / (72.0 * 60.0);
    assert!((ticket.long.measured - measured).abs() < 1e-12);
    assert!((ticket.long.burn - 500.0 * measured).abs() < 1e-9);
    // But a rollout that breaks everything is paged as soon as its five minutes are measured.
    let mut bench = Bench::new(0.999, google());
    let after = bench.until(Tripped, HOUR_MS, (MANY, MANY));
    assert_eq!(after, Some(4 * MINUTE_MS + SLOT_MS), "90 % of five minutes");
}

#[test]
fn missing_data_freezes_an_alert_and_its_clocks() {
    let mut rules = google();
    rules.alerts.truncate(1);
    rules.alerts[0].hold_for = Span { ms: 2 * MINUTE_MS };
    let mut bench = Bench::calm(rules);
    bench.silent(44 * MINUTE_MS, 0.02 * MANY, MANY);
    assert_eq!(bench.look().status.state, Ok);
    let since = bench.burn().alerts[0].pending_since;
    assert!(since.is_some());
    // Ten minutes without data: the clock moves along, so that nothing has passed.
    bench.now_ms += 10 * MINUTE_MS;
    assert_eq!(bench.look().status.state, GuardrailState::NoData);
    let moved = bench.burn().alerts[0].pending_since.unwrap();
    assert_eq!(ms_between(since.unwrap(), moved), 10 * MINUTE_MS);
    // The state is JSON and nothing else: what a restart reads is what was there.
    let json = serde_json::to_string(&bench.stored).unwrap();
    bench.stored = serde_json::from_str(&json).unwrap();
    bench.silent(5 * MINUTE_MS, 0.5 * MANY, MANY);
    assert_eq!(bench.look().status.state, Ok, "one rhythm was seen, two minutes are wanted");
    let ticks = bench.until(Tripped, 5 * MINUTE_MS, (0.5 * MANY, MANY));
    assert_eq!(ticks, Some(2 * MINUTE_MS - SLOT_MS));
}

#[test]
fn a_budget_says_what_is_left_and_until_when() {
    // 1 % for six hours is 10 x 6/720 = 8.33 % of a 30-day budget; at burn rate 10 (the last
    // hour) the rest lasts 0.9167 x 72 h = 66 h. Of 1.2e10 requests an hour 1.44 % are 1.728e8.
    let mut rules = google();
    rules.alerts.truncate(1);
    let mut bench = Bench::calm(rules);
    bench.silent(6 * HOUR_MS, 0.01 * MANY, MANY);
    let status = bench.look().status;
    let measured = (78.0 / 720.0_f64, bench.burn().measured);
    assert!((measured.0 - measured.1).abs() < 1e-12);
    assert!((status.budget_left.unwrap() - (1.0 - 6.0 * 10.0 / 720.0)).abs() < 1e-9);
    assert!((bench.burn().burn - 10.0).abs() < 1e-9);
    let left_ms = ms_between(add_ms(ts(START), bench.now_ms), bench.burn().exhausted_at.unwrap());
    assert!((left_ms - 66 * HOUR_MS).abs() < 10, "{left_ms}");
    let trips = bench.burn().trips_at.unwrap();
    assert_eq!((trips.within, trips.bad), (Span::hours(1), 0.01 * MANY * 120.0));
    let excess = trips.needed - 0.0144 * MANY * 120.0;
    // 3.72 standard errors of 13,000 above the bound: p < 1e-4 and not one event more.
    assert!(excess > 48_000.0 && excess < 49_000.0, "{excess}");
}

#[test]
fn few_events_trip_at_an_exact_count() {
    // 100 requests at 1.44 %: P(X >= 8) = 1.1e-4 and P(X >= 9) = 1.7e-5.
    assert_eq!(fewest_bad(100.0, 0.0144), Some(9.0));
    assert_eq!(fewest_bad(2.0, 0.0144), None, "two of two are 2.1e-4");
    assert_eq!(fewest_bad(3.0, 0.0144), Some(3.0));
    assert_eq!(fewest_bad(1000.0, 1.44), None);
}

#[test]
fn a_spent_budget_burns() {
    let mut rules = google();
    // Only a page that cannot come at this rate.
    rules.alerts.truncate(1);
    let mut bench = Bench::new(0.999, rules);
    bench.every_ms = HOUR_MS;
    bench.silent(29 * 24 * HOUR_MS, 0.0012 * MANY, MANY);
    let status = bench.look().status;
    assert_eq!(status.state, Burning);
    assert!((status.budget_left.unwrap() - (1.0 - 1.2 * 29.0 / 30.0)).abs() < 1e-9);
    assert_eq!(status.why.as_deref(), Some("the budget of the period is spent"));
    assert_eq!(bench.burn().exhausted_at, None);
}

#[test]
fn a_budget_is_not_spent_after_its_period() {
    // Ten of thirty days are gone with a tenth of the budget; at a burn rate of 2 the rest of 0.9
    // would last 13.5 days, at 1.2 it would last 22.5, two and a half more than the period has.
    let month = Window { start: ts(START), end: add_ms(ts(START), 720 * HOUR_MS) };
    let spent = |burn: f64, hours: i64, budget: BudgetPeriod| {
        let (measured, alerts) = (1.0, Vec::new());
        let (exhausted_at, trips_at, bad_within) = (None, None, None);
        let period = month;
        let status =
            BurnStatus { period, measured, burn, exhausted_at, trips_at, alerts, bad_within };
        let as_of = add_ms(month.start, hours * HOUR_MS);
        let at = super::exhausted_at(&status, 0.9, as_of, budget)?;
        Some(ms_between(as_of, at) / HOUR_MS)
    };
    let calendar = BudgetPeriod::Calendar(CalendarUnit::Month);
    let rolling = BudgetPeriod::Rolling(Span::days(30));
    for budget in [calendar, BudgetPeriod::Lifetime] {
        assert_eq!(spent(2.0, 240, budget), Some(324));
        assert_eq!(spent(1.2, 240, budget), None);
        assert_eq!(spent(2.0, 720, budget), None, "nothing is left of the period");
    }
    assert_eq!(spent(1.2, 720, rolling), Some(540), "it ends with the data, and goes on");
    assert_eq!(spent(0.9, 720, rolling), None, "it gets back as much as it spends");
}

#[test]
fn a_calendar_budget_begins_anew() {
    // The month turns, and so does the budget.
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = HOUR_MS;
    bench.slo().budget = BudgetPeriod::Calendar(CalendarUnit::Month);
    let first =
        period(bench.slo().budget, add_ms(ts(START), HOUR_MS), ts(START), &jiff::tz::TimeZone::UTC);
    let hours = ms_between(ts(START), first.end) / HOUR_MS;
    bench.silent((hours - 1) * HOUR_MS, 0.0005 * MANY, MANY);
    assert_eq!(bench.tick(0.0005 * MANY, MANY), Ok);
    let spent = 1.0 - bench.stored.as_ref().unwrap().budget_left.unwrap();
    let of_month = hours as f64 * HOUR_MS as f64 / ms_between(first.start, first.end) as f64;
    assert!((spent - 0.5 * of_month).abs() < 1e-9, "{spent}");
    assert_eq!(bench.tick(0.0, MANY), Ok);
    assert_eq!(bench.stored.as_ref().unwrap().budget_left, Some(1.0));
    assert_eq!(bench.burn().period.start, first.end);
}

#[test]
fn a_control_that_burns_too_is_said_and_a_calm_one_is_not() {
    let mut bench = Bench::calm(google());
    bench.control = bench.slots.clone();
    let mut calm = Bench::calm(google());
    calm.control = calm.slots.clone();
    for _ in 0..120 {
        bench.silent(SLOT_MS, 0.02 * MANY, MANY);
        bench.control.lay(&[bench.point(0.03 * MANY, MANY)]);
        calm.silent(SLOT_MS, 0.02 * MANY, MANY);
        calm.control.lay(&[calm.point(0.001 * MANY, MANY)]);
    }
    let (both, one) = (bench.look().status, calm.look().status);
    assert_eq!((both.state, both.control_also), (Tripped, true));
    assert_eq!((one.state, one.control_also), (Tripped, false));
}

#[test]
fn a_service_has_a_history_and_a_cohort_has_not() {
    // The hour before the start was an outage of the service.
    let history = |scope| {
        let mut bench = Bench::new(0.999, google());
        bench.slo().scope = scope;
        bench.now_ms = -HOUR_MS;
        bench.silent(HOUR_MS, MANY, MANY);
        bench.silent(10 * SLOT_MS, 0.5 * MANY, MANY);
        bench.look();
        bench.burn().alerts[0].long.total
    };
    assert_eq!(history(SloScope::Service), 120.0 * MANY);
    assert_eq!(history(SloScope::Treatment), 10.0 * MANY);
}

#[test]
fn coarse_periods_leave_short_windows_out() {
    // Daily exports: an hour cannot be seen, three days can, and their short window is a day.
    let mut bench = Bench::new(0.999, google());
    bench.every_ms = 24 * HOUR_MS;
    bench.silent(5 * 24 * HOUR_MS, 0.0, 1.0e6);
    assert_eq!(bench.tick(5_000.0, 1.0e6), Burning);
    let alerts = &bench.burn().alerts;
    let findings: Vec<_> = alerts.iter().map(|alert| alert.finding).collect();
    let coarse = BurnFinding::TooCoarse;
    assert_eq!(findings, [coarse, coarse, BurnFinding::Burning]);
    assert_eq!(alerts[2].short.span, Span::days(1));
}
