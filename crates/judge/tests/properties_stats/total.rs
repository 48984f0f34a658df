//! No NaN and no infinity leaves the engine, whatever goes in.

use judge::stats::fixed::{Alternative, mann_whitney, poisson_rates, score, two_proportion, welch};
use judge::stats::two_arm::{Arm, Count, Moments, Proportion, RatioSums};
use judge::stats::{
    Contrast, Interval, Sides, asymptotic, binomial, blocks, cuped, display, group_sequential,
    info_time, its, multiple, noninferiority, one_proportion, overdispersion, poisson, power, rare,
    srm, tripwire, two_arm,
};
use proptest::prelude::*;

/// Ordinary sizes, edges and poison, all in one.
fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e3..1e3_f64,
        0.0..1.0_f64,
        (0_u32..200).prop_map(f64::from),
        Just(0.0),
        Just(1.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MIN_POSITIVE),
        Just(9_007_199_254_740_992.0),
    ]
}

/// No seed files: a failure prints its smallest input, which then becomes a case of its own.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn ends(x: Interval) -> [f64; 2] {
    [x.lo, x.hi]
}

fn parts(x: Contrast) -> [f64; 2] {
    [x.estimate, x.se]
}

fn finite(numbers: &[f64]) -> Result<(), TestCaseError> {
    prop_assert!(numbers.iter().all(|x| x.is_finite()), "not finite: {numbers:?}");
    Ok(())
}

fn some(numbers: &[Option<f64>]) -> Result<(), TestCaseError> {
    let there: Vec<f64> = numbers.iter().flatten().copied().collect();
    finite(&there)
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn the_engine_is_total(d in wild(), se in wild(), tau in wild(), alpha in wild(), n in wild()) {
        finite(&[
            info_time::half_width_two_sided(se, tau, alpha),
            info_time::half_width_one_sided(se, tau, alpha),
            info_time::half_width_one_sided_closed(se, tau, alpha),
            info_time::log_e_two_sided(d, se, tau),
            info_time::log_e_one_sided(d, se, tau),
            info_time::ln_p_from_log_e(d),
            info_time::default_tau_factor(alpha),
            info_time::lower_one_sided(d, se, tau, alpha),
            info_time::upper_one_sided(d, se, tau, alpha),
            asymptotic::half_width(se, n, d, alpha, Sides::One),
            asymptotic::half_width(se, n, d, alpha, Sides::Two),
        ])?;
        finite(&ends(info_time::interval_two_sided(d, se, tau, alpha)))?;
        let contrast = Contrast::from_variance(d, se);
        finite(&parts(contrast.widened(n).minus(tau).mirrored()))?;
        let better = noninferiority::Better::Lower;
        finite(&[
            noninferiority::log_e(contrast, tau, better),
            noninferiority::bad_side_bound(contrast, tau, better, alpha),
        ])?;
    }

    #[test]
    fn exact_tests_are_total(
        (a, b, s, n) in (wild(), wild(), wild(), wild()),
        q in wild(), alpha in wild(), target in wild(),
    ) {
        let priors = [one_proportion::Prior { a, b }, one_proportion::prior(q, target)];
        for prior in priors {
            finite(&[one_proportion::log_e(prior, s, n, q)])?;
            let found = one_proportion::interval(prior, s, n, alpha);
            finite(&ends(found))?;
            prop_assert!(found.lo >= 0.0 && found.hi <= 1.0 && found.lo <= found.hi);
        }
        let count = Count { events: s, exposure: n };
        for prior in [poisson::Prior { shape: a, rate: b }, poisson::prior(q, target)] {
            finite(&[poisson::log_e(prior, &count, q)])?;
            finite(&ends(poisson::interval(prior, &count, alpha)))?;
        }
        let events = rare::Events { treatment: a, treatment_size: b, control: s, control_size: n };
        finite(&[rare::log_e(&events, q), rare::ln_p(&events, q)])?;
        finite(&ends(rare::interval(&events, alpha)))?;
        finite(&[srm::log_bf(&[a, b, s], &[n, q, target], 100.0)])?;
        if let Some(test) = srm::chi_square(&[a, b, s], &[n, q, target]) {
            finite(&[test.statistic, test.df, test.p])?;
        }
    }

    #[test]
    fn arms_and_contrasts_are_total(v in prop::array::uniform6(wild()), r in wild()) {
        let [n, a, b, c, d, e] = v;
        let ratio = RatioSums { n, num: a, den: b, num_sq: c, den_sq: d, cross: e };
        let arms: [&dyn Arm; 4] = [
            &Proportion { x: a, n }, &Moments { n, sum: a, sum_sq: b }, &ratio,
            &Count { events: a, exposure: n },
        ];
        for arm in arms {
            finite(&[arm.mean(), arm.variance_of_mean()])?;
            prop_assert!(arm.variance_of_mean() >= 0.0);
        }
        finite(&parts(two_arm::relative(&ratio, &Proportion { x: c, n: d }, r)))?;
        finite(&parts(two_arm::against_constant(&ratio, r)))?;
        let count = Count { events: d, exposure: e };
        finite(&parts(two_arm::rates(&count, &Count { events: a, exposure: n }, r)))?;
        let sums = cuped::Sums { n, y: a, x: b, yy: c, xx: d, xy: e };
        finite(&parts(cuped::contrast(&sums, &sums, r)))?;
        let cells = [(a, n), (b, c), (d, e), (n, a), (c, b), (e, d), (a, b), (r, n)];
        some(&[overdispersion::phi_binomial(&cells), overdispersion::phi_poisson(&cells)])?;
    }

    #[test]
    fn fixed_tests_are_total(v in prop::array::uniform4(wild()), w in wild(), alpha in wild()) {
        let [a, n, b, m] = v;
        let (t, c) = (Proportion { x: a, n }, Proportion { x: b, n: m });
        some(&[
            two_proportion::pooled_z(&t, &c),
            two_proportion::z(&t, &c, w, two_proportion::Variance::AgrestiCaffo),
            score::z_difference(&t, &c, w),
            score::z_ratio(&t, &c, w),
            binomial::z_null_variance(a, n, w),
        ])?;
        let count = (Count { events: a, exposure: n }, Count { events: b, exposure: m });
        for statistic in [poisson_rates::Statistic::Score, poisson_rates::Statistic::SquareRoot] {
            some(&[poisson_rates::z(&count.0, &count.1, statistic)])?;
        }
        let intervals = [
            two_proportion::newcombe(&t, &c, alpha),
            two_proportion::ratio_log(&t, &c, alpha, true),
            binomial::wilson(a, n, alpha, Alternative::TwoSided),
            binomial::agresti_coull(a, n, alpha),
            poisson_rates::ratio_score(&count.0, &count.1, alpha),
            poisson_rates::rate_score(&count.0, alpha),
            display::log_lift((a, b), (n, m), w),
        ];
        for found in intervals.into_iter().flatten() {
            finite(&ends(found))?;
        }
        let sets = [
            display::fieller((a, b), (n, m), w),
            display::sequential_lift((a, b), (n, m), w, alpha),
        ];
        for set in sets {
            if let display::Fieller::Bounded(found) = set {
                finite(&ends(found))?;
            }
        }
        let side = |x: f64, v: f64| welch::Side { mean: x, variance_of_mean: v, n: m };
        if let Some(test) = welch::welch(side(a, n), side(b, w)) {
            finite(&[test.df, test.t(w), test.p(w, Alternative::Less)])?;
            finite(&ends(test.interval(alpha, Alternative::TwoSided)))?;
        }
    }

    #[test]
    fn plans_are_total(v in prop::array::uniform4(wild()), alpha in wild(), share in wild()) {
        let [a, b, c, d] = v;
        some(&[
            power::two_arm_n_control(a, (b, c), d, alpha, share, Sides::Two),
            power::proportions_n_control((a, b), c, alpha, share, Sides::One),
            power::one_proportion_n(a, b, alpha, share, Sides::Two),
            power::fixed_power(a, b, alpha, Sides::Two),
            power::fixed_mde(a, alpha, share, Sides::Two),
            power::sequential_need(alpha, share, Sides::One),
            power::sequential_mde(a, b, c, alpha, share, Sides::Two),
            power::needed_n(a, b, c, d, alpha),
            power::needed_n_one_proportion(one_proportion::prior(a, b), c, d, alpha),
            power::needed_exposure(poisson::prior(a, b), c, d, alpha),
            power::days_left(a, b, &[c, d, share]),
            power::pooled_z_power((a, b), (c, d), alpha, Sides::Two),
        ])?;
        finite(&[power::pass_probability(a, b, c, d, alpha)])?;
    }

    #[test]
    fn series_are_total(values in prop::collection::vec(wild(), 0..400), cut in 0_usize..400) {
        let (before, after) = values.split_at(cut.min(values.len()));
        let found = [
            blocks::two_sample(before, after, None),
            blocks::one_sample(after, Some(before), None),
        ];
        for found in found.into_iter().flatten() {
            let c = found.contrast;
            finite(&[c.estimate, c.se, found.block_sd, found.inflation, found.df, found.lag1])?;
            finite(&parts(found.relative(0.1)))?;
        }
        let step = its::fit(before, after, its::Model::Full)
            .and_then(|fit| fit.hac_test(its::default_lags(values.len())));
        if let Some(test) = step {
            finite(&[test.se, test.t, test.p, test.df])?;
        }
        if let Some(test) = mann_whitney::mann_whitney(after, before) {
            some(&[test.asymptotic_p(Alternative::TwoSided, true)])?;
        }
        let mut ewma = tripwire::Ewma::new(0.0);
        let mut cusum = tripwire::Cusum::default();
        for x in &values {
            ewma = ewma.step(*x, 0.2);
            cusum = cusum.step(*x, 0.5);
        }
        finite(&[ewma.mean, ewma.limit(1.0, 0.2, 2.96), cusum.sum])?;
        finite(&multiple::holm(&values))?;
        finite(&multiple::hommel(&values[..values.len().min(20)]))?;
        finite(&[multiple::log_mean_e(&values)])?;
    }
}

proptest! {
    #![proptest_config(config(25))]

    #[test]
    fn group_sequential_bounds_are_total(
        times in prop::collection::vec(wild(), 0..6), alpha in wild(),
    ) {
        finite(&group_sequential::bounds(&times, alpha, Sides::Two, 2.0))?;
    }
}
