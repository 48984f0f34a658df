//! Maturity, missing data, gaps and blocks, each with the reason in the test's name.

use proptest::prelude::*;

use super::*;
use crate::analyse::fixtures::*;
use crate::points::{ALL, Extra};
use crate::spec::{Amount, Experiment};
use crate::spec::{Baseline, Compare, Form, Role, Rule, Side, Want};
use crate::time::add_ms;

fn rule() -> Rule {
    moves("y", Side::AtLeast, Amount::Absolute(0.03))
}

fn single(form: Form) -> Experiment {
    let mut outcome = signal("y", Role::Outcome, form, Want::Up);
    outcome.from = Some(Baseline::Stated(0.27));
    experiment(Compare::Baseline, vec![outcome], rule())
}

fn daily(arm: &str, from: i64, to: i64, num: f64, den: f64) -> Vec<Point> {
    (from..to).map(|day| point(arm, 24 * day, 24, Sums::Proportion { num, den })).collect()
}

fn look(experiment: &Experiment, points: &[Point], at: Timestamp) -> Observation {
    let input =
        SeriesInput { points, failure: None, last_good: Some(day(-1)), lateness: Span::ZERO };
    observe(experiment, &experiment.signals[0], &cycle(experiment), at, &input)
}

fn ok(observation: Observation) -> Observed {
    match observation {
        Observation::Ok(observed) => *observed,
        other => panic!("not ok: {other:?}"),
    }
}

#[test]
fn only_closed_and_matured_periods_count_and_the_rest_waits() {
    let mut experiment = single(Form::Proportion);
    experiment.signals[0].matures_after = Span::days(14);
    let points = daily(ALL, -3, 21, 3.0, 10.0);
    let observed = ok(look(&experiment, &points, day(20)));
    // Day d closes at d + 1 and matures 14 days later: days 0 to 5 by day 20, 6 to 19 wait.
    assert_eq!(observed.arms[ALL].sums, Sums::Proportion { num: 18.0, den: 60.0 });
    assert_eq!(observed.arms[ALL].cells, 6);
    assert_eq!(observed.waiting, 140.0, "days 6 to 19");
    assert_eq!(observed.data_as_of, day(6));
}

#[test]
fn immature_says_until_when() {
    let mut experiment = single(Form::Proportion);
    experiment.signals[0].matures_after = Span::days(14);
    let seen = look(&experiment, &daily(ALL, 0, 5, 3.0, 10.0), day(5));
    assert_eq!(seen, Observation::Immature { until: day(15), waiting: 50.0 });
    let nothing_yet = look(&experiment, &[], day(1));
    assert_eq!(nothing_yet, Observation::Immature { until: day(15), waiting: 0.0 });
}

#[test]
fn empty_and_stale_are_no_data_with_the_last_good_instant() {
    let experiment = single(Form::Proportion);
    let Observation::NoData { since, .. } = look(&experiment, &[], day(10)) else { panic!() };
    assert_eq!(since, Some(day(-1)));
    // Three grains are allowed: day 7 is the end of the newest row.
    let points = daily(ALL, 0, 7, 3.0, 10.0);
    assert!(matches!(look(&experiment, &points, day(10)), Observation::Ok(_)));
    let Observation::NoData { since, why } = look(&experiment, &points, day(11)) else { panic!() };
    assert_eq!((since, why.starts_with("stale")), (Some(day(7)), true));
}

#[test]
fn a_cohort_that_is_only_maturing_is_not_stale() {
    let mut experiment = single(Form::Proportion);
    let mut outcome = signal("late", Role::Outcome, Form::Proportion, Want::Up);
    outcome.matures_after = Span::days(14);
    experiment.signals[0].role = Role::Proxy;
    experiment.signals.push(outcome);
    // Recruiting ends on day 28 as planned; at the checkpoint on day 42 that is complete.
    assert!(matches!(
        look(&experiment, &daily(ALL, 0, 28, 3.0, 10.0), day(42)),
        Observation::Ok(_)
    ));
    assert!(matches!(
        look(&experiment, &daily(ALL, 0, 20, 3.0, 10.0), day(42)),
        Observation::NoData { .. }
    ));
}

#[test]
fn a_failed_source_is_a_source_error_whatever_is_stored() {
    let experiment = single(Form::Proportion);
    let points = daily(ALL, 0, 7, 3.0, 10.0);
    let failure = SourceFailure {
        class: "timeout".to_owned(),
        cause: "no answer in 30 s".to_owned(),
        since: day(6),
    };
    let input = SeriesInput {
        points: &points,
        failure: Some(failure),
        last_good: None,
        lateness: Span::ZERO,
    };
    let seen = observe(&experiment, &experiment.signals[0], &cycle(&experiment), day(7), &input);
    assert!(matches!(seen, Observation::SourceError { since, .. } if since == day(6)));
}

#[test]
fn a_missing_arm_is_named() {
    let mut experiment = single(Form::Proportion);
    experiment.compare = arms();
    let points = daily("control", 0, 10, 3.0, 10.0);
    let Observation::NoData { why, .. } = look(&experiment, &points, day(10)) else { panic!() };
    assert!(why.contains("`treatment`"), "{why}");
    let both = [points, daily("treatment", 0, 10, 4.0, 10.0), daily("third", 0, 10, 1.0, 10.0)];
    let observed = ok(look(&experiment, &both.concat(), day(10)));
    assert_eq!(observed.arms.len(), 3, "further arms count for the split");
    assert_eq!(observed.arms["treatment"].sums, Sums::Proportion { num: 40.0, den: 100.0 });
}

#[test]
fn the_measured_baseline_is_fixed_before_the_first_start() {
    let mut experiment = single(Form::Proportion);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    let points = daily(ALL, -40, 45, 11.0, 20.0);
    let observed = ok(look(&experiment, &points, day(10)));
    let all = |days: f64| Sums::Proportion { num: 11.0 * days, den: 20.0 * days };
    assert_eq!(observed.baseline.as_ref().unwrap().sums, all(28.0));
    // A later cycle keeps the first one's baseline.
    let mut second = cycle(&experiment);
    second.started_at = day(30);
    second.checkpoint_at = day(72);
    let input =
        SeriesInput { points: &points, failure: None, last_good: None, lateness: Span::ZERO };
    let seen = observe(&experiment, &experiment.signals[0], &second, day(40), &input);
    let observed = ok(seen);
    assert_eq!(observed.baseline.unwrap().sums, all(28.0));
    assert_eq!(observed.arms[ALL].sums, all(10.0));
    let Observation::NoData { why, .. } = look(&experiment, &points[40..], day(10)) else {
        panic!()
    };
    assert!(why.contains("baseline"));
}

#[test]
fn declared_and_required_sizes_make_insufficient() {
    let mut experiment = single(Form::Proportion);
    experiment.signals[0].min_n = Some(150);
    let points = daily(ALL, 0, 10, 3.0, 10.0);
    let Observation::Insufficient { more, .. } = look(&experiment, &points, day(10)) else {
        panic!()
    };
    assert_eq!(more, 50.0);
    // Means need 100 units in each population.
    let experiment = single(Form::Mean);
    let mean = Sums::Mean { n: 6.0, sum: 12.0, sum_sq: 40.0 };
    let points: Vec<Point> = (0..10).map(|day| point(ALL, 24 * day, 24, mean)).collect();
    let Observation::Insufficient { more, .. } = look(&experiment, &points, day(10)) else {
        panic!()
    };
    assert_eq!(more, 40.0);
    // A measured baseline needs ten events on both sides: 5 of 50 so far, 50 more.
    let mut experiment = single(Form::Proportion);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    let points = [daily(ALL, -28, 0, 5.0, 10.0), daily(ALL, 0, 5, 1.0, 10.0)].concat();
    let Observation::Insufficient { more, .. } = look(&experiment, &points, day(5)) else {
        panic!()
    };
    assert_eq!(more, 50.0);
}

#[test]
fn phi_is_computed_within_sevens_and_has_a_prior() {
    let experiment = single(Form::Proportion);
    // Six days without any spread: five degrees of freedom of 0, six of the prior's 2.
    let even = ok(look(&experiment, &daily(ALL, 0, 6, 3.0, 10.0), day(6)));
    assert_eq!(even.arms[ALL].phi, Some(12.0 / 11.0));
    let first = ok(look(&experiment, &daily(ALL, 0, 1, 3.0, 10.0), day(1)));
    assert_eq!(first.arms[ALL].phi, None);
    let alternating: Vec<Point> = (0..8)
        .map(|day| {
            point(ALL, 24 * day, 24, Sums::Proportion { num: (day % 2 * 100) as f64, den: 100.0 })
        })
        .collect();
    let wild = ok(look(&experiment, &alternating, day(8)));
    // The first seven around their own 3/7: 100 (3 (4/7)^2 + 4 (3/7)^2) over 6 x 3/7 x 4/7, with
    // the prior's six of 2; the eighth has no neighbour in its group yet.
    assert!((wild.arms[ALL].phi.unwrap() - (6.0 * 350.0 / 3.0 + 12.0) / 12.0).abs() < 1e-9);
}

/// A repeatable wobble without autocorrelation to speak of.
fn noise(step: i64) -> f64 {
    let mixed = (step as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 40) as f64 / f64::from(1_u32 << 24)) - 0.5
}

fn hourly(arm: &str, hours: std::ops::Range<i64>, level: f64, salt: i64) -> Vec<Point> {
    let value = |hour: i64| Sums::Value { value: level + 20.0 * noise(7 * hour + salt) };
    hours.map(|hour| point(arm, hour, 1, value(hour))).collect()
}

fn paired() -> Experiment {
    let mut experiment = single(Form::Value);
    experiment.compare = arms();
    experiment.signals[0].grain = Some(Span::hours(1));
    experiment
}

#[test]
fn paired_arms_become_blocks_on_common_steps() {
    let experiment = paired();
    let both = |hours: i64| {
        [hourly("control", 0..hours, 450.0, 1), hourly("treatment", 0..hours, 260.0, 2)].concat()
    };
    let observed = ok(look(&experiment, &both(480), day(20)));
    let pair = observed.paired.unwrap();
    assert!(pair.refused.is_none() && pair.count >= 16, "{pair:?}");
    let (held, treated) = (&observed.arms["control"].blocks, &observed.arms["treatment"].blocks);
    let (held, treated) = (held.as_ref().unwrap(), treated.as_ref().unwrap());
    assert!((pair.mean - (treated.mean - held.mean)).abs() < 1e-9);
    assert!((pair.mean + 190.0).abs() < 2.0);
    assert_eq!((held.block_len, treated.block_len), (pair.block_len, pair.block_len));
    // A later look keeps the length that was chosen on the same prefix.
    let later = ok(look(&experiment, &both(720), day(30)));
    assert_eq!(later.paired.unwrap().block_len, pair.block_len);
    // 60 steps are 12 blocks of five; 16 are needed.
    let early = look(&experiment, &both(60), add_ms(day(2), Span::hours(12).ms));
    assert!(matches!(early, Observation::Insufficient { more, .. } if more == 4.0), "{early:?}");
}

#[test]
fn the_grain_is_read_off_the_points_where_the_file_names_none() {
    let mut experiment = paired();
    let points =
        [hourly("control", 0..480, 450.0, 1), hourly("treatment", 0..480, 260.0, 2)].concat();
    let named = look(&experiment, &points, day(20));
    experiment.signals[0].grain = None;
    assert_eq!(named, look(&experiment, &points, day(20)));
}

#[test]
fn a_fifth_of_the_steps_missing_is_no_data() {
    let experiment = paired();
    let keep = |every: i64| -> Vec<Point> {
        let points =
            [hourly("control", 0..480, 450.0, 1), hourly("treatment", 0..480, 260.0, 2)].concat();
        let hour = |point: &Point| crate::time::ms_between(ts(START), point.start) / 3_600_000;
        points
            .into_iter()
            .filter(|point| hour(point) % every != 0 || point.arm == "control")
            .collect()
    };
    assert!(matches!(look(&experiment, &keep(6), day(20)), Observation::Ok(_)));
    let Observation::NoData { why, .. } = look(&experiment, &keep(4), day(20)) else { panic!() };
    assert!(why.contains("25 %"), "{why}");
}

#[test]
fn before_and_after_of_a_series_share_one_block_length() {
    let mut experiment = single(Form::Value);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    experiment.signals[0].grain = Some(Span::hours(1));
    let points = hourly(ALL, -672..672, 450.0, 3);
    let observed = ok(look(&experiment, &points, day(28)));
    let before = observed.baseline.unwrap().blocks.unwrap();
    let after = observed.arms[ALL].blocks.clone().unwrap();
    assert!(before.refused.is_none(), "{before:?}");
    assert_eq!(before.block_len, after.block_len);
    assert!(before.count >= 16 && after.count >= 8);
}

/// 28 days of a daily number that dips at weekends: its weekdays are known, so it is judged. With
/// whole-day blocks and no profile its lag-1 of .29 refused it; what is left has -.11.
#[test]
fn four_weeks_of_a_daily_number_are_enough() {
    let mut experiment = single(Form::Value);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    experiment.signals[0].grain = Some(Span::days(1));
    let value = |day: i64| {
        let weekend = if day.rem_euclid(7) >= 5 { 30.0 } else { 0.0 };
        Sums::Value { value: 450.0 + 10.0 * noise(day) - weekend }
    };
    let points: Vec<Point> = (-28..14).map(|day| point(ALL, 24 * day, 24, value(day))).collect();
    let observed = ok(look(&experiment, &points, day(14)));
    let before = observed.baseline.unwrap().blocks.unwrap();
    let after = observed.arms[ALL].blocks.clone().unwrap();
    assert_eq!((&before.refused, before.count, before.block_len), (&None, 28, 1));
    assert_eq!((after.count, after.block_len), (14, 1));
    assert!(before.sd < 5.0 && after.sd < 5.0, "the weekend is gone: {before:?} {after:?}");
}

#[test]
fn a_refusal_without_a_control_recommends_one() {
    let mut experiment = single(Form::Value);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    experiment.signals[0].grain = Some(Span::days(1));
    let rising = |day: i64| Sums::Value { value: day as f64 };
    let points: Vec<Point> = (-28..14).map(|day| point(ALL, 24 * day, 24, rising(day))).collect();
    let observed = ok(look(&experiment, &points, day(14)));
    let why = observed.arms[ALL].blocks.clone().unwrap().refused.unwrap();
    assert!(why.contains("autocorrelation") && why.contains("`design: arms`"), "{why}");
}

/// 2 % of the units are worth 50, the rest nothing: skew 6.857, so 16,693 units an arm.
#[test]
fn a_skewed_mean_says_how_many_it_needs() {
    let mut experiment = single(Form::Mean);
    experiment.compare = arms();
    let extra = Extra { cubes: Some(125_000.0), covariate: None };
    let sums = Sums::Detailed { share: false, n: 50.0, sum: 50.0, sum_sq: 2500.0, extra };
    let points: Vec<Point> = (0..28)
        .flat_map(|day| ["control", "treatment"].map(|arm| point(arm, 24 * day, 24, sums)))
        .collect();
    let Observation::Insufficient { more, observed } = look(&experiment, &points, day(28)) else {
        panic!()
    };
    assert_eq!(more, 15_293.0);
    assert_eq!(observed.arms["control"].extra.cubes, Some(28.0 * 125_000.0));
    assert!(matches!(observed.arms["control"].sums, Sums::Mean { .. }));
}

#[test]
fn an_arm_that_gets_nobody_is_no_data() {
    let mut experiment = single(Form::Proportion);
    experiment.compare = arms();
    let points = [daily("control", 0, 10, 3.0, 10.0), daily("treatment", 0, 10, 0.0, 0.0)].concat();
    let Observation::NoData { why, .. } = look(&experiment, &points, day(10)) else { panic!() };
    assert!(why.contains("`treatment`") && why.contains("100"), "{why}");
}

#[test]
fn one_planned_look_keeps_the_steps_that_its_method_needs() {
    use crate::spec::{LookPlan, MethodName};
    let mut experiment = single(Form::Value);
    experiment.signals[0].from = Some(Baseline::Window(Span::days(28)));
    experiment.signals[0].grain = Some(Span::hours(1));
    let points = hourly(ALL, -672..672, 450.0, 3);
    let steps = |experiment: &Experiment| ok(look(experiment, &points, day(28))).steps;
    assert_eq!(steps(&experiment), None, "every look is judged by blocks");
    experiment.checkpoint.look = LookPlan::Once;
    let kept = steps(&experiment).expect("Newey-West is the automatic choice");
    assert_eq!((kept.treatment.len(), kept.comparison.len()), (672, 672));
    experiment.signals[0].method = Some(MethodName::BlockT);
    assert_eq!(steps(&experiment), None);
}

fn value_or_count(form: Form, step: i64, value: f64) -> Sums {
    match form {
        Form::Value => Sums::Value { value },
        _ => Sums::Proportion { num: (step % 7) as f64, den: 10.0 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_and_repetition_of_points_do_not_matter(
        seed in any::<u64>(),
        value_form in any::<bool>(),
    ) {
        let form = if value_form { Form::Value } else { Form::Proportion };
        let mut experiment = single(form);
        experiment.compare = arms();
        let points: Vec<Point> = (0..20)
            .flat_map(|day| {
                let sums = value_or_count(form, day, noise(day));
                [point("control", 24 * day, 24, sums), point("treatment", 24 * day, 24, sums)]
            })
            .collect();
        let mut shuffled = points.clone();
        shuffled.extend_from_slice(&points[..7]);
        shuffled.sort_by_key(|point| {
            let key = point.start.as_millisecond() as u64 ^ seed ^ point.arm.len() as u64;
            key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        let straight = look(&experiment, &points, day(20));
        prop_assert_eq!(straight, look(&experiment, &shuffled, day(20)));
    }

    #[test]
    fn bad_numbers_never_leave(value in prop::num::f64::ANY, n in prop::num::f64::ANY) {
        let experiment = single(Form::Proportion);
        let mut points = daily(ALL, 0, 10, 3.0, 10.0);
        points.push(point(ALL, 240, 24, Sums::Proportion { num: value, den: n }));
        if let Observation::Ok(observed) = look(&experiment, &points[..], day(10)) {
            prop_assert_eq!(observed.arms[ALL].sums, Sums::Proportion { num: 30.0, den: 100.0 });
        }
    }
}

#[test]
fn the_digest_names_exactly_the_used_points() {
    let experiment = single(Form::Proportion);
    let points = daily(ALL, 0, 10, 3.0, 10.0);
    let digest = |points: &[Point]| ok(look(&experiment, points, day(10))).digest;
    let with_future = [points.clone(), daily(ALL, 12, 13, 9.0, 9.0)].concat();
    assert_eq!(digest(&points), digest(&with_future));
    let mut restated = points.clone();
    restated[3].sums = Sums::Proportion { num: 4.0, den: 10.0 };
    assert_ne!(digest(&points), digest(&restated));
}
