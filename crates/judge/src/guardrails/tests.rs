//! Each kind with its numbers, and the machine that freezes, holds and latches.

use super::*;
use crate::analyse::GuardrailState::{
    Burning, Insufficient, NoData, Ok, SourceError, Tripped, Unproven,
};
use crate::analyse::fixtures::*;
use crate::points::{ALL, Sums};
use crate::spec::{
    BudgetPeriod, Compare, Drift, DriftChart, DriftReference, ErrorBudget, Form, Limit, LimitOf,
    OnMissing, OnTrip, Query, Role, Slo, SloScope, Threshold, Want,
};
use crate::time::add_ms;

fn hour(hours: i64) -> Timestamp {
    add_ms(ts(START), Span::hours(hours).ms)
}

fn counts(hours: std::ops::Range<i64>, num: f64, den: f64) -> Vec<Point> {
    hours.map(|hour| point(ALL, hour, 1, Sums::Proportion { num, den })).collect()
}

fn values(values: &[f64]) -> Vec<Point> {
    let points = values.iter().zip(0..);
    points.map(|(value, hour)| point(ALL, hour, 1, Sums::Value { value: *value })).collect()
}

/// One guardrail that is looked at every hour.
struct Bench {
    experiment: Experiment,
    stored: Option<GuardrailStatus>,
    carry: Carry,
    control: Vec<Point>,
}

impl Bench {
    fn new(kind: GuardrailKind, on_trip: OnTrip) -> Self {
        let outcome = signal("y", Role::Outcome, Form::Proportion, Want::Up);
        let mut experiment = experiment(Compare::Baseline, vec![outcome], at_level("y", 0.5));
        experiment.guardrails = vec![guardrail("g", kind, on_trip)];
        Self { experiment, stored: None, carry: Carry::new(), control: Vec::new() }
    }

    fn guardrail(&mut self) -> &mut Guardrail {
        &mut self.experiment.guardrails[0]
    }

    fn look(&mut self, at: Timestamp, points: &[Point]) -> GuardrailOutcome {
        self.look_or_fail(at, points, None)
    }

    fn fail(&mut self, at: Timestamp) -> GuardrailOutcome {
        let failure =
            SourceFailure { class: "timeout".to_owned(), cause: "no answer".to_owned(), since: at };
        self.look_or_fail(at, &[], Some(failure))
    }

    fn look_or_fail(
        &mut self,
        at: Timestamp,
        points: &[Point],
        failure: Option<SourceFailure>,
    ) -> GuardrailOutcome {
        let cycle = cycle(&self.experiment);
        let outcome = judge(&GuardrailInput {
            experiment: &self.experiment,
            guardrail: &self.experiment.guardrails[0],
            cycle: &cycle,
            at,
            every: Span::hours(1),
            grain: Span::hours(1),
            lateness: Span::ZERO,
            points,
            control: &self.control,
            burn: BurnInput::default(),
            failure,
            stored: self.stored.clone(),
            carry: &self.carry,
        });
        self.stored = Some(outcome.status.clone());
        self.carry = outcome.carry.clone();
        outcome
    }

    fn state(&mut self, at: Timestamp, points: &[Point]) -> GuardrailState {
        self.look(at, points).status.state
    }
}

fn query() -> (String, Query) {
    ("prom".to_owned(), Query::default())
}

fn slo() -> GuardrailKind {
    let (source, query) = query();
    let (scope, budget) = (SloScope::Treatment, BudgetPeriod::Lifetime);
    let (control, burn, slice) = (None, None, None);
    let objective = 0.999;
    GuardrailKind::Slo(Slo { objective, source, query, control, scope, budget, burn, slice })
}

fn at_most(bound: f64) -> GuardrailKind {
    let (source, query) = query();
    let (at_most, at_least) = (Some(bound), None);
    let (drift, unit) = (None, None);
    GuardrailKind::Threshold(Threshold { source, query, at_most, at_least, drift, unit })
}

fn limit(at_most: f64, per: Option<&str>, of: LimitOf, allow: f64) -> GuardrailKind {
    let (source, query) = query();
    let per = per.map(str::to_owned);
    let (window, unit) = (None, None);
    GuardrailKind::Limit(Limit { at_most, per, window, of, allow, source, query, unit })
}

#[test]
fn slo_is_ok_burns_and_trips_on_the_lifetime_budget() {
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    // 5 bad of 10,000 at a budget of 0.1 %: half of the ratio; in 10 of the pilot's 1,008 hours
    // half of 10/1,008 of its budget.
    let first = bench.look(hour(10), &counts(0..10, 0.5, 1000.0));
    assert_eq!(first.status.state, Ok);
    assert_eq!((first.status.value, first.status.limit), (Some(0.0005), Some(0.001)));
    let left = 1.0 - 0.5 * 10.0 / 1_008.0;
    assert!((first.status.budget_left.unwrap() - left).abs() < 1e-9);
    let budget = first.status.burn.unwrap();
    assert_eq!((budget.exhausted_at, budget.alerts.len()), (None, 0));
    assert_eq!((budget.period.end, budget.burn), (hour(1_008), 0.5));
    assert_eq!(first.transition, Some(Transition { from: None, to: Ok }));
    // 12 of 10,000 burns, which is no proof: 2 above an expectation of 10.
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    let burning = bench.look(hour(10), &counts(0..10, 1.2, 1000.0));
    assert_eq!((burning.status.state, burning.status.latched), (Burning, false));
    // At that rate the pilot's budget lasts (1 - 1.2 x 10/1,008) x 1,008 h / 1.2 = 830 h more.
    let budget = burning.status.burn.unwrap();
    assert_eq!(budget.exhausted_at, Some(hour(840)));
    // ln e of 24 in 10,000 passes ln 100, of 23 it does not (math.lgamma).
    assert_eq!(budget.trips_at.map(|trips| (trips.bad.round(), trips.needed)), Some((12.0, 24.0)));
    // 60 of 20,000 against 20 expected is: tripped and latched, whatever comes later.
    let tripped = bench.look(hour(20), &counts(0..20, 3.0, 1000.0));
    assert_eq!((tripped.status.state, tripped.status.latched), (Tripped, true));
    assert_eq!(tripped.transition, Some(Transition { from: Some(Burning), to: Tripped }));
    let after = bench.look(hour(21), &counts(0..21, 0.0, 1000.0));
    assert_eq!((after.status.state, after.transition), (Tripped, None));
}

#[test]
fn a_control_that_breaches_too_is_said() {
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    bench.control = counts(0..20, 3.0, 1000.0);
    assert!(bench.look(hour(20), &counts(0..20, 3.0, 1000.0)).status.control_also);
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    bench.control = counts(0..20, 1.0, 1000.0);
    assert!(!bench.look(hour(20), &counts(0..20, 3.0, 1000.0)).status.control_also);
}

#[test]
fn uneven_periods_need_more_than_even_ones() {
    // 40 of 20,000 against 20 expected: enough when spread evenly. Swinging between 0 and 4 an
    // hour each step is 0.004^2 / (0.002 x 2/1000) = 4, so phi = 4/0.455 = 8.8, SE = 0.00094 and
    // z = 1.06: not enough.
    let mut bench = Bench::new(slo(), OnTrip::Alert);
    assert_eq!(bench.state(hour(20), &counts(0..20, 2.0, 1000.0)), Tripped);
    let mut swinging = counts(0..20, 0.0, 1000.0);
    for point in swinging.iter_mut().step_by(2) {
        point.sums = Sums::Proportion { num: 4.0, den: 1000.0 };
    }
    let mut bench = Bench::new(slo(), OnTrip::Alert);
    assert_eq!(bench.state(hour(20), &swinging), Burning);
}

#[test]
fn an_incident_does_not_excuse_itself_as_unevenness() {
    // Fifteen quiet hours, then half of all requests fail: the first bad hour trips.
    let mut points = counts(0..16, 0.0, 1000.0);
    points[15].sums = Sums::Proportion { num: 500.0, den: 1000.0 };
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    assert_eq!(bench.state(hour(15), &points[..15]), Ok);
    assert_eq!(bench.state(hour(16), &points), Tripped);
}

#[test]
fn no_requests_are_insufficient_and_silence_is_no_data() {
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    assert_eq!(bench.state(hour(1), &[]), Insufficient);
    assert_eq!(bench.state(hour(3), &counts(0..3, 0.0, 0.0)), Insufficient);
    assert_eq!(bench.state(hour(9), &counts(0..3, 0.0, 10.0)), NoData);
}

#[test]
fn missing_data_freezes_and_the_all_clear_comes_with_data() {
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    assert_eq!(bench.state(hour(1), &values(&[300.0])), Tripped);
    let lost = bench.fail(hour(2));
    assert_eq!((lost.status.state, lost.status.frozen), (SourceError, Some(Tripped)));
    assert_eq!(lost.status.value, Some(300.0), "the last numbers stay");
    assert!(!lost.missing_alert);
    // `missing_for` is one hour; the alert is about the gap, the state stays frozen.
    let still = bench.fail(hour(3));
    assert!(still.missing_alert && still.transition.is_none());
    assert_eq!((still.status.frozen, still.status.since), (Some(Tripped), Some(hour(2))));
    let back = bench.look(hour(4), &values(&[300.0, 300.0, 300.0, 200.0]));
    assert_eq!((back.status.state, back.status.frozen), (Ok, None));
    assert_eq!(back.transition, Some(Transition { from: Some(SourceError), to: Ok }));
}

#[test]
fn on_missing_trip_trips_after_missing_for_and_ignore_says_nothing() {
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().on_missing = OnMissing::Trip;
    assert_eq!(bench.state(hour(1), &values(&[200.0])), Ok);
    assert_eq!(bench.fail(hour(2)).status.state, SourceError);
    assert_eq!(bench.fail(hour(3)).status.state, Tripped);
    let again = bench.fail(hour(4));
    assert_eq!((again.status.state, again.transition), (Tripped, None));
    assert_eq!(bench.state(hour(5), &values(&[200.0; 5])), Ok);
    let mut bench = Bench::new(at_most(250.0), OnTrip::Stop);
    bench.guardrail().on_missing = OnMissing::Trip;
    bench.fail(hour(2));
    assert!(bench.fail(hour(3)).status.latched, "a stop by missing data latches too");
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().on_missing = OnMissing::Ignore;
    bench.fail(hour(2));
    let later = bench.fail(hour(9));
    assert_eq!((later.status.state, later.missing_alert), (SourceError, false));
}

#[test]
fn for_counts_seen_time_only() {
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().hold_for = Span::hours(2);
    let high = [300.0; 12];
    assert_eq!(bench.state(hour(1), &values(&high[..1])), Ok);
    assert_eq!(bench.stored.as_ref().unwrap().pending_since, Some(hour(1)));
    assert_eq!(bench.state(hour(2), &values(&high[..2])), Ok);
    // A failed slot and three missed ones: one hour was seen so far, and one more now.
    bench.fail(hour(3));
    assert_eq!(bench.state(hour(7), &values(&high[..7])), Tripped);
    // One value inside ends a pending breach at once.
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().hold_for = Span::hours(2);
    bench.state(hour(1), &values(&[300.0]));
    bench.state(hour(2), &values(&[300.0, 200.0]));
    assert_eq!(bench.stored.as_ref().unwrap().pending_since, None);
    assert_eq!(bench.state(hour(3), &values(&[300.0, 200.0, 300.0])), Ok);
}

#[test]
fn missed_slots_do_not_advance_for() {
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().hold_for = Span::hours(2);
    bench.state(hour(1), &values(&[300.0]));
    // Nobody looked for five hours: only the last one counts.
    assert_eq!(bench.state(hour(6), &values(&[300.0; 6])), Ok);
    assert_eq!(bench.state(hour(7), &values(&[300.0; 7])), Tripped);
}

#[test]
fn keep_firing_for_holds_after_the_breach_ends() {
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    bench.guardrail().keep_firing_for = Span::hours(2);
    let series = [300.0, 200.0, 200.0, 200.0, 200.0];
    let states: Vec<_> =
        (1..=5).map(|look| bench.state(hour(look), &values(&series[..look as usize]))).collect();
    assert_eq!(states, [Tripped, Tripped, Tripped, Ok, Ok]);
}

#[test]
fn a_bound_is_inside_at_twelve_digits() {
    let mut bench = Bench::new(at_most(0.3), OnTrip::Alert);
    assert_eq!(bench.state(hour(1), &values(&[0.1 + 0.2])), Ok);
    assert_eq!(bench.state(hour(2), &values(&[0.3, 0.300_000_01])), Tripped);
}

#[test]
fn a_value_belongs_to_the_end_of_its_period() {
    // The first slot after the start reads a period that began before it.
    let mut bench = Bench::new(at_most(250.0), OnTrip::Alert);
    let start = hour(-1);
    let end = add_ms(hour(0), 1000);
    let sums = Sums::Value { value: 300.0 };
    let first = Point { arm: ALL.to_owned(), start, end, sums };
    assert_eq!(bench.state(end, &[first]), Tripped);
}

#[test]
fn configured_limits_are_exact() {
    let configured = LimitOf::Configured;
    let mut rollout = Bench::new(limit(0.10, None, configured, 0.0), OnTrip::Alert);
    assert_eq!(rollout.state(hour(1), &values(&[0.10])), Ok);
    // A spike between two looks is not lost; the next look without one clears it.
    assert_eq!(rollout.state(hour(3), &values(&[0.10, 0.50, 0.10])), Tripped);
    assert_eq!(rollout.state(hour(4), &values(&[0.10, 0.50, 0.10, 0.10])), Ok);
    // At most 4 touches per candidate: one over is too many without `allow`.
    let mut touches = Bench::new(limit(4.0, Some("candidate"), configured, 0.0), OnTrip::Stop);
    assert_eq!(touches.state(hour(2), &counts(0..2, 0.0, 50.0)), Ok);
    let tripped = touches.look(hour(3), &counts(0..3, 1.0, 50.0));
    assert_eq!((tripped.status.bad, tripped.status.total), (Some(3.0), Some(150.0)));
    assert!(tripped.status.latched);
    // With 2 % allowed, 2 of 100 is inside and 3 of 150 + 1 is not.
    let mut words = Bench::new(limit(150.0, Some("message"), configured, 0.02), OnTrip::Alert);
    assert_eq!(words.state(hour(2), &counts(0..2, 1.0, 50.0)), Ok);
    let mut more = counts(0..3, 1.0, 50.0);
    more[2].sums = Sums::Proportion { num: 2.0, den: 50.0 };
    assert_eq!(words.state(hour(3), &more), Tripped);
}

#[test]
fn a_sampled_limit_is_a_test() {
    let sampled = || Bench::new(limit(0.05, None, LimitOf::Sampled, 0.0), OnTrip::Alert);
    // 5 of 100: nothing is shown. 20 of 2,000: 1 % is shown to be below 5 %. 250: 12.5 % above.
    assert_eq!(sampled().state(hour(5), &counts(0..5, 1.0, 20.0)), Unproven);
    assert_eq!(sampled().state(hour(5), &counts(0..5, 4.0, 400.0)), Ok);
    assert_eq!(sampled().state(hour(5), &counts(0..5, 50.0, 400.0)), Tripped);
}

#[test]
fn an_error_budget_trips_below_its_floor() {
    let (source, query) = query();
    let kind = GuardrailKind::ErrorBudget(ErrorBudget { source, query, at_least: 0.0, slo: None });
    let mut bench = Bench::new(kind, OnTrip::Stop);
    let first = bench.look(hour(1), &values(&[0.0]));
    assert_eq!((first.status.state, first.status.budget_left), (Ok, Some(0.0)));
    assert_eq!(bench.state(hour(2), &values(&[0.0, -0.01])), Tripped);
}

#[test]
fn a_look_at_the_same_slot_changes_nothing() {
    let points = counts(0..20, 1.2, 1000.0);
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    let first = bench.look(hour(20), &points);
    let again = bench.look(hour(20), &points);
    assert_eq!(first.status, again.status);
    assert_eq!(again.transition, None);
}

#[test]
fn an_unseen_guardrail_was_never_evaluated() {
    let mut bench = Bench::new(slo(), OnTrip::Stop);
    let status = unseen(bench.guardrail());
    assert_eq!((status.state, status.evaluated_at), (NoData, None));
    // Its first look is a transition even when it starts out missing.
    bench.stored = Some(status);
    assert!(bench.look(hour(10), &counts(0..10, 0.0, 1000.0)).transition.is_some());
}

/// A CUSUM of hourly blocks around 250 with sd 20: z of 290 is 2, of 250 is 0.
fn cusum() -> GuardrailKind {
    let (source, query) = query();
    let chart = DriftChart::Cusum { k: 0.5, h: 5.0 };
    let reference = DriftReference::Stated { mean: 250.0, sd: 20.0 };
    let drift = Drift { chart, watch: Want::Up, reference, block: Span::hours(1) };
    let (at_most, at_least, unit) = (None, None, Some("ms".to_owned()));
    GuardrailKind::Threshold(Threshold {
        source,
        query,
        at_most,
        at_least,
        drift: Some(drift),
        unit,
    })
}

#[test]
fn a_drift_adds_up_over_looks_and_forgets_nothing() {
    let mut bench = Bench::new(cusum(), OnTrip::Alert);
    // Each block of 290 adds 2 - 0.5: 1.5, 3.0, 4.5, 6.0. The fourth is above 5.
    let high = values(&[290.0; 5]);
    for (hours, sum) in [(1, 1.5), (2, 3.0), (3, 4.5)] {
        let seen = bench.look(hour(hours), &high[hours as usize - 1..hours as usize]).status;
        assert_eq!((seen.state, seen.value, seen.limit), (Ok, Some(sum), Some(5.0)));
    }
    // A failed slot, an empty one and the same slot twice change nothing.
    assert_eq!(bench.fail(hour(4)).status.drift.unwrap().statistic, 4.5);
    let again = bench.look(hour(4), &high[..3]);
    assert_eq!(again.status.drift.unwrap().statistic, 4.5);
    // The stored status is all there is: as after a restart.
    let text = serde_json::to_string(&bench.stored).unwrap();
    bench.stored = serde_json::from_str(&text).unwrap();
    let tripped = bench.look(hour(5), &high[3..]).status;
    // Two blocks came together: 6.0 and 7.5.
    assert_eq!((tripped.state, tripped.value), (Tripped, Some(7.5)));
    assert!(tripped.why.unwrap().contains("newest block 290.0000 ms, usually 250.0000 ms"));
}

#[test]
fn a_drift_starts_anew_with_another_definition() {
    let mut bench = Bench::new(cusum(), OnTrip::Alert);
    bench.look(hour(1), &values(&[290.0]));
    if let GuardrailKind::Threshold(threshold) = &mut bench.guardrail().kind
        && let Some(drift) = &mut threshold.drift
    {
        drift.watch = Want::Down;
    }
    // Downwards the same value is 2 sd on the good side: the sum stays at 0.
    let seen = bench.look(hour(2), &values(&[290.0, 290.0])).status;
    assert_eq!((seen.state, seen.value), (Ok, Some(0.0)));
}

#[test]
fn a_drift_learns_before_it_judges() {
    let mut bench = Bench::new(cusum(), OnTrip::Alert);
    if let GuardrailKind::Threshold(threshold) = &mut bench.guardrail().kind
        && let Some(drift) = &mut threshold.drift
    {
        drift.reference = DriftReference::Blocks(16);
    }
    // Eight times 240 and 260: mean 250, sd sqrt(16 x 100 / 15) = 10.328.
    let mut series: Vec<f64> = (0..16).map(|n| if n % 2 == 0 { 240.0 } else { 260.0 }).collect();
    let learning = bench.look(hour(10), &values(&series[..10])).status;
    assert_eq!(learning.state, Insufficient);
    assert_eq!(learning.why.as_deref(), Some("learning what is usual: 10 of 16 blocks"));
    // 250 + 4 x 10.328 = 291.31: z = 4, the sum 3.5.
    series.push(291.311_822_359_545_8);
    let judged = bench.look(hour(17), &values(&series)).status;
    assert_eq!(judged.state, Ok);
    assert!((judged.value.unwrap() - 3.5).abs() < 1e-9, "{judged:?}");
}
