//! Symmetry, invariance, monotonicity, duality.

use judge::stats::fixed::score;
use judge::stats::fixed::two_proportion::{Variance, pooled_z, wald};
use judge::stats::overdispersion::within_binomial;
use judge::stats::two_arm::{self, Count, Moments, Proportion};
use judge::stats::{Sides, blocks, info_time, one_proportion, poisson, rare, srm};
use proptest::prelude::*;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn sane() -> impl Strategy<Value = (f64, f64, f64)> {
    (-5.0..5.0_f64, 1e-3..10.0_f64, 1e-3..10.0_f64)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_mirrors((d, se, tau) in sane(), alpha in 1e-4..0.5_f64) {
        let log_e = info_time::log_e_two_sided(d, se, tau);
        prop_assert_eq!(log_e, info_time::log_e_two_sided(-d, se, tau));
        let there = info_time::interval_two_sided(d, se, tau, alpha);
        let back = info_time::interval_two_sided(-d, se, tau, alpha).mirrored();
        prop_assert_eq!(there, back);
        let low = info_time::lower_one_sided(d, se, tau, alpha);
        prop_assert_eq!(low, -info_time::upper_one_sided(-d, se, tau, alpha));
    }

    #[test]
    fn the_unit_of_measurement_does_not_matter((d, se, tau) in sane(), power in -40_i32..40) {
        let unit = libm::exp2(f64::from(power));
        let (a, b) = (info_time::log_e_one_sided(d, se, tau),
            info_time::log_e_one_sided(d * unit, se * unit, tau * unit));
        prop_assert!(close(a, b));
        let h = info_time::half_width_two_sided(se, tau, 0.05);
        prop_assert!(close(h * unit, info_time::half_width_two_sided(se * unit, tau * unit, 0.05)));
    }

    #[test]
    fn an_interval_excludes_what_its_test_rejects((d, se, tau) in sane(), alpha in 1e-4..0.5_f64) {
        let interval = info_time::interval_two_sided(d, se, tau, alpha);
        let ln_p = info_time::ln_p_from_log_e(info_time::log_e_two_sided(d, se, tau));
        let edge = (ln_p - libm::log(alpha)).abs() < 1e-9;
        prop_assert!(edge || interval.contains(0.0) == (ln_p > libm::log(alpha)));
        let low = info_time::lower_one_sided(d, se, tau, alpha);
        let ln_p = info_time::ln_p_from_log_e(info_time::log_e_one_sided(d, se, tau));
        let edge = (ln_p - libm::log(alpha)).abs() < 1e-9;
        prop_assert!(edge || (low > 0.0) == (ln_p < libm::log(alpha)));
    }

    #[test]
    fn one_sided_widths_are_ordered((_, se, tau) in sane(), alpha in 1e-4..0.4_f64) {
        let exact = info_time::half_width_one_sided(se, tau, alpha);
        let closed = info_time::half_width_one_sided_closed(se, tau, alpha);
        prop_assert!(exact <= closed * (1.0 + 1e-12));
        prop_assert!(exact < info_time::half_width_two_sided(se, tau, alpha));
        prop_assert!(exact < info_time::half_width_one_sided(se, tau, 0.5 * alpha));
        prop_assert!(exact < info_time::half_width_one_sided(se * 1.01, tau, alpha));
    }

    #[test]
    fn evidence_rises_with_the_effect((d, se, tau) in sane(), more in 1e-3..1.0_f64) {
        let base = info_time::log_e_one_sided(d, se, tau);
        prop_assert!(info_time::log_e_one_sided(d + more, se, tau) > base);
    }

    #[test]
    fn successes_and_failures_are_interchangeable(
        s in 0_u32..300, extra in 1_u32..300, p0 in 0.01..0.99_f64, tau in 0.01..0.4_f64,
    ) {
        let (s, n) = (f64::from(s), f64::from(s + extra));
        let prior = one_proportion::prior_tau(p0, tau);
        let flipped = one_proportion::Prior { a: prior.b, b: prior.a };
        let there = one_proportion::interval(prior, s, n, 0.05);
        let back = one_proportion::interval(flipped, n - s, n, 0.05);
        prop_assert!(close(there.lo, 1.0 - back.hi) && close(there.hi, 1.0 - back.lo));
        prop_assert!(there.lo <= s / n && s / n <= there.hi);
        for end in [there.lo, there.hi] {
            if end > 0.0 && end < 1.0 {
                let log_e = one_proportion::log_e(prior, s, n, end);
                // Near 1 two neighbouring floats are further apart than the bisection resolves.
                let spacing = 2.0 * f64::EPSILON * (n - s) / (1.0 - end);
                prop_assert!((log_e - libm::log(20.0)).abs() < 1e-6 + spacing);
            }
        }
    }

    #[test]
    fn arms_can_be_swapped(t in 0_u32..40, c in 0_u32..40, n in 50_u32..5000, m in 50_u32..5000) {
        let (t, c, n, m) = (f64::from(t), f64::from(c), f64::from(n), f64::from(m));
        let events = rare::Events { treatment: t, treatment_size: n, control: c, control_size: m };
        let swapped = rare::Events { treatment: c, treatment_size: m, control: t, control_size: n };
        prop_assert!(close(rare::log_e(&events, 1.0), rare::log_e(&swapped, 1.0)));
        prop_assert!(close(rare::log_e(&events, 2.0), rare::log_e(&swapped, 0.5)));
        let (there, back) = (rare::interval(&events, 0.05), rare::interval(&swapped, 0.05));
        if there.lo > 0.0 && !there.hi_unbounded() {
            prop_assert!(close(there.lo * back.hi, 1.0) && close(there.hi * back.lo, 1.0));
        }
        if t + c > 0.0 && there.lo > 0.0 {
            prop_assert!((rare::log_e(&events, there.lo) - libm::log(20.0)).abs() < 1e-6);
        }
        let (p, q) = (Proportion { x: t, n }, Proportion { x: c, n: m });
        prop_assert_eq!(two_arm::difference(&p, &q).mirrored(), two_arm::difference(&q, &p));
    }

    /// Whatever the size, a share of `x` in `n` has the errors of a share of `n - x`.
    #[test]
    fn hits_and_misses_have_the_same_error(
        few in prop::array::uniform2(0_u32..50), size in 7_u32..53, value in 0.0..0.5_f64,
    ) {
        let n = libm::exp2(f64::from(size));
        let [t, c] = few.map(|x| Proportion { x: f64::from(x), n });
        prop_assert_eq!(t.variance_of_mean(), t.misses().variance_of_mean());
        let mirrored = two_arm::difference(&t.misses(), &c.misses()).mirrored();
        prop_assert_eq!(two_arm::difference(&t, &c).se, mirrored.se);
        let back = |z: Option<f64>| z.map(|z| -z);
        let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
            // The estimate itself is a difference of shares near 1: it has their last digits.
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs() + 1e-15 * n.sqrt(),
            (a, b) => a == b,
        };
        let (t1, c1) = (t.misses(), c.misses());
        prop_assert!(same(pooled_z(&t, &c), back(pooled_z(&t1, &c1))));
        let score = score::z_difference(&t, &c, value);
        prop_assert_eq!(score, back(score::z_difference(&t1, &c1, -value)));
        let width = |t: &Proportion, c: &Proportion| {
            let both = wald(t, c, 0.05, Variance::AgrestiCaffo).unwrap();
            both.hi - both.lo
        };
        let (here, there) = (width(&t, &c), width(&t1, &c1));
        prop_assert!((here - there).abs() <= 1e-9 * here + 1e-15, "{} {}", here, there);
        let wide = |cells: [&Proportion; 2]| {
            within_binomial(&cells.map(|cell| (cell.x, cell.n))).map(|found| found.factor())
        };
        let (here, there) = (wide([&t, &c]), wide([&t1, &c1]));
        prop_assert!(same(here, there) || n > 1e9, "{:?} {:?}", here, there);
    }

    #[test]
    fn the_unit_of_exposure_does_not_matter(
        s in 0_u32..500, e in 1.0..1e4_f64, r in 1e-3..1e3_f64, scale in 1e-3..1e3_f64,
    ) {
        let count = Count { events: f64::from(s), exposure: e };
        let scaled = Count { events: f64::from(s), exposure: e * scale };
        let other_rate = r / scale;
        let prior = poisson::prior(r, 1.5 * r);
        let other = poisson::prior(other_rate, 1.5 * other_rate);
        let there = poisson::log_e(prior, &count, r);
        prop_assert!(close(there, poisson::log_e(other, &scaled, other_rate)));
        let a = poisson::interval(prior, &count, 0.05);
        let b = poisson::interval(other, &scaled, 0.05);
        prop_assert!(close(a.lo, b.lo * scale) && close(a.hi, b.hi * scale));
        prop_assert!(a.lo <= count.mean() && count.mean() <= a.hi);
    }

    #[test]
    fn the_order_and_scale_of_arms_do_not_matter_to_the_split(
        x in prop::array::uniform3(0_u32..5000), w in prop::array::uniform3(0.1..1.0_f64),
    ) {
        let x = x.map(f64::from);
        let base = srm::log_bf(&x, &w, 100.0);
        let turned = srm::log_bf(&[x[2], x[0], x[1]], &[7.0 * w[2], 7.0 * w[0], 7.0 * w[1]], 100.0);
        prop_assert!(close(base, turned));
        let with_idle_arm = srm::log_bf(&[x[0], x[1], x[2], 0.0], &[w[0], w[1], w[2], 0.0], 100.0);
        prop_assert_eq!(base, with_idle_arm);
    }

    #[test]
    fn a_relative_threshold_is_met_exactly_when_the_ratio_exceeds_it(
        m_t in 1.0..100.0_f64, m_c in 1.0..100.0_f64, r in -0.5..0.5_f64,
    ) {
        let arm = |mean: f64| Moments::from_mean_sd(mean, 3.0, 500.0);
        let contrast = two_arm::relative(&arm(m_t), &arm(m_c), r);
        let ratio = m_t / m_c - 1.0;
        prop_assert!((ratio - r).abs() < 1e-9 || (contrast.estimate > 0.0) == (ratio > r));
    }

    #[test]
    fn blocks_follow_shift_and_unit(seed in 0_u64..500, shift in -100.0..100.0_f64) {
        let mut dice = super::Dice::new(seed);
        let before: Vec<f64> = (0..600).map(|_| dice.normal()).collect();
        let after: Vec<f64> = (0..200).map(|_| dice.normal()).collect();
        let moved = |x: &[f64]| x.iter().map(|v| 4.0 * v + shift).collect::<Vec<f64>>();
        let base = blocks::two_sample(&before, &after, None);
        let other = blocks::two_sample(&moved(&before), &moved(&after), None);
        match (base, other) {
            (Ok(a), Ok(b)) => {
                prop_assert!(close(4.0 * a.contrast.estimate, b.contrast.estimate));
                prop_assert!(close(4.0 * a.contrast.se, b.contrast.se));
                prop_assert_eq!(a.length, b.length);
            }
            (a, b) => prop_assert_eq!(a.is_err(), b.is_err()),
        }
    }
}

/// By hand: two arms that all succeeded have `p~(1-p~) = (n+1)/(n+2)^2`, so `SE = sqrt(2 (n+1)/n)
/// / (n+2)`; at 2^53 that is `sqrt(2)/2^53 = 1.57e-16`, where `1 - p~` would have said 2.2e-16.
#[test]
fn a_share_of_everything_keeps_its_error_at_any_size() {
    for size in [1.0e3, 1.0e12, 1.0e15, 9_007_199_254_740_992.0] {
        let all = Proportion { x: size, n: size };
        let expected = (2.0 * (size + 1.0) / size).sqrt() / (size + 2.0);
        let se = two_arm::difference(&all, &all).se;
        assert!((se / expected - 1.0).abs() < 1e-12, "{size}: {se} for {expected}");
    }
}

#[test]
fn the_latched_p_never_rises_and_agrees_with_any_coarser_schedule() {
    let mut dice = super::Dice::new(7);
    for _ in 0..50 {
        let (mut sum, mut latched, mut daily) = (0.0, 0.0_f64, 0.0_f64);
        for n in 1..=1000_u32 {
            sum += 0.1 + dice.normal();
            let size = f64::from(n);
            let se = 1.0 / size.sqrt();
            let log_e = info_time::log_e_two_sided(sum / size, se, 0.1);
            let next = latched.min(info_time::ln_p_from_log_e(log_e));
            assert!(next <= latched);
            latched = next;
            if n % 100 == 0 {
                daily = daily.min(info_time::ln_p_from_log_e(log_e));
            }
            assert!(latched <= daily, "a finer schedule can only find more");
        }
    }
}

#[test]
fn equal_sides_of_the_asymptotic_sequence_are_the_engine() {
    let tau = judge::stats::asymptotic::tau(0.1, 400.0, 5000.0, 0.05, Sides::Two);
    let direct = info_time::half_width_two_sided(0.1, tau, 0.05);
    let through = judge::stats::asymptotic::half_width(0.1, 400.0, 5000.0, 0.05, Sides::Two);
    assert_eq!(direct, through);
}
