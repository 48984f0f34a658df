//! Error rates: exact expectations of e-values, simulated A/A replays, crossing probabilities.

use judge::stats::special::{binom_pmf, norm_pdf, norm_sf, poisson_pmf};
use judge::stats::two_arm::{Count, Proportion, difference};
use judge::stats::{Sides, group_sequential, info_time, one_proportion, poisson, power, rare, srm};

/// `pmf * e`; an outcome whose probability underflows contributes nothing.
fn weighted(pmf: f64, log_e: f64) -> f64 {
    if pmf > 0.0 { pmf * libm::exp(log_e) } else { 0.0 }
}

/// Under the tested value the mean of an e-value is exactly 1, at every sample size.
#[test]
fn e_values_of_one_proportion_have_mean_one_under_the_null() {
    for (p0, target, n) in [(0.27, 0.30, 60), (0.001, 0.002, 400), (0.9, 0.95, 25)] {
        let prior = one_proportion::prior(p0, target);
        let n = f64::from(n);
        let mean: f64 = (0..=n as u32)
            .map(f64::from)
            .map(|s| weighted(binom_pmf(s, n, p0), one_proportion::log_e(prior, s, n, p0)))
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "p0 {p0}: {mean}");
    }
}

#[test]
fn e_values_of_one_rate_have_mean_one_under_the_null() {
    for (rate, target, exposure) in [(2.0, 3.0, 5.0), (0.01, 0.02, 300.0), (0.5, 0.4, 40.0)] {
        let prior = poisson::prior(rate, target);
        let mean: f64 = (0..400_u32)
            .map(f64::from)
            .map(|events| {
                let count = Count { events, exposure };
                let log_e = poisson::log_e(prior, &count, rate);
                weighted(poisson_pmf(events, rate * exposure), log_e)
            })
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "rate {rate}: {mean}");
    }
}

/// One allocation cut in two is one epoch; a ramp keeps the mean of e at 1 under its null.
#[test]
fn allocation_epochs_are_one_process() {
    let events = |t: f64, n_t: f64, c: f64, n_c: f64| rare::Events {
        treatment: t,
        treatment_size: n_t,
        control: c,
        control_size: n_c,
    };
    let (first, second) = (events(3.0, 500.0, 7.0, 1500.0), events(4.0, 1000.0, 2.0, 3000.0));
    let whole = events(7.0, 1500.0, 9.0, 4500.0);
    for psi in [0.5, 1.0, 3.0] {
        let parts = rare::log_e_epochs(&[first, second], psi, 8.0);
        assert!((parts - rare::log_e_with(&whole, psi, 8.0)).abs() < 1e-9, "{psi}: {parts}");
        let (early, late) = (12_u32, 15_u32);
        let share = |ratio: f64| psi * ratio / (psi * ratio + 1.0);
        let mean: f64 = (0..=early)
            .flat_map(|t| (0..=late).map(move |u| (f64::from(t), f64::from(u))))
            .map(|(t, u)| {
                let (s, r) = (f64::from(early), f64::from(late));
                let chance = binom_pmf(t, s, share(1.0 / 9.0)) * binom_pmf(u, r, share(1.0));
                let ramp = [events(t, 100.0, s - t, 900.0), events(u, 500.0, r - u, 500.0)];
                weighted(chance, rare::log_e_epochs(&ramp, psi, 8.0))
            })
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "psi {psi}: {mean}");
    }
}

#[test]
fn e_values_of_two_rare_arms_and_of_the_split_have_mean_one_under_the_null() {
    for psi in [1.0, 1.5] {
        let (n_t, n_c, total) = (1000.0, 3000.0, 30.0);
        let q = psi * n_t / (psi * n_t + n_c);
        let mean: f64 = (0..=30_u32)
            .map(f64::from)
            .map(|t| {
                let events = rare::Events {
                    treatment: t,
                    treatment_size: n_t,
                    control: total - t,
                    control_size: n_c,
                };
                binom_pmf(t, total, q) * libm::exp(rare::log_e(&events, psi))
            })
            .sum();
        assert!((mean - 1.0).abs() < 1e-9, "psi {psi}: {mean}");
    }
    let mean: f64 = (0..=80_u32)
        .map(f64::from)
        .map(|x| {
            let log_bf = srm::log_bf(&[x, 80.0 - x], &[0.9, 0.1], srm::CONCENTRATION);
            binom_pmf(x, 80.0, 0.9) * libm::exp(log_bf)
        })
        .sum();
    assert!((mean - 1.0).abs() < 1e-9, "split: {mean}");
}

/// Share of A/A runs that are ever called different, allowed to exceed alpha by 2 standard errors.
fn assert_calibrated(name: &str, false_alarms: u32, runs: u32, alpha: f64) {
    let runs = f64::from(runs);
    let share = f64::from(false_alarms) / runs;
    let slack = 2.0 * (alpha * (1.0 - alpha) / runs).sqrt();
    println!("{name}: {false_alarms} of {runs} A/A runs called different");
    assert!(share <= alpha + slack, "{name}: {share} > {alpha} + {slack}");
}

#[test]
fn two_equal_arms_looked_at_100_times_rarely_differ() {
    let mut alarms = 0;
    for run in 0..600_u64 {
        let mut dice = super::Dice::new(run);
        let (mut t, mut c) = (Proportion { x: 0.0, n: 0.0 }, Proportion { x: 0.0, n: 0.0 });
        let mut ever = false;
        for _ in 0..100 {
            for arm in [&mut t, &mut c] {
                for _ in 0..50 {
                    arm.n += 1.0;
                    arm.x += f64::from(u8::from(dice.uniform() < 0.27));
                }
            }
            if t.has_ten_of_each() && c.has_ten_of_each() {
                let d = difference(&t, &c);
                let interval = info_time::interval_two_sided(d.estimate, d.se, 0.03, 0.05);
                ever |= !interval.contains(0.0);
            }
        }
        alarms += u32::from(ever);
    }
    assert_calibrated("two arms", alarms, 600, 0.05);
}

#[test]
fn a_true_baseline_looked_at_100_times_is_rarely_rejected() {
    let (mut share, mut rate) = (0, 0);
    let prior = one_proportion::prior(0.27, 0.30);
    let gamma = poisson::prior(0.27, 0.35);
    for run in 0..600_u64 {
        let mut dice = super::Dice::new(1000 + run);
        let (mut s, mut n) = (0.0, 0.0);
        let (mut ever_share, mut ever_rate) = (false, false);
        // Exponential waiting times make the Poisson count.
        let (mut clock, mut events) = (-libm::log(1.0 - dice.uniform()) / 0.27, 0.0);
        for _ in 0..100 {
            for _ in 0..40 {
                n += 1.0;
                s += f64::from(u8::from(dice.uniform() < 0.27));
            }
            while clock < n {
                events += 1.0;
                clock -= libm::log(1.0 - dice.uniform()) / 0.27;
            }
            ever_share |= !one_proportion::interval(prior, s, n, 0.05).contains(0.27);
            let count = Count { events, exposure: n };
            ever_rate |= !poisson::interval(gamma, &count, 0.05).contains(0.27);
        }
        share += u32::from(ever_share);
        rate += u32::from(ever_rate);
    }
    assert_calibrated("one proportion", share, 600, 0.05);
    assert_calibrated("one rate", rate, 600, 0.05);
}

/// P(cross at look 1) + P(cross first at look 2) by direct quadrature over the first look.
fn spent_at_two_looks(fractions: [f64; 2], z: [f64; 2]) -> f64 {
    let (b1, b2) = (z[0] * fractions[0].sqrt(), z[1] * fractions[1].sqrt());
    let (sd1, sd2) = (fractions[0].sqrt(), (fractions[1] - fractions[0]).sqrt());
    let steps = 200_000_u32;
    let low = -9.0 * sd1;
    let step = (b1 - low) / f64::from(steps);
    let second: f64 = (0..steps)
        .map(|i| {
            let u = low + step * (f64::from(i) + 0.5);
            norm_pdf(u / sd1) / sd1 * norm_sf((b2 - u) / sd2) * step
        })
        .sum();
    norm_sf(z[0]) + second
}

#[test]
fn group_sequential_bounds_spend_exactly_their_alpha() {
    for (fractions, phi) in [([0.01, 0.02], 3.0), ([0.5, 1.0], 2.0), ([0.25, 0.26], 1.0)] {
        let z = group_sequential::bounds(&fractions, 0.05, Sides::Two, phi);
        let spent = spent_at_two_looks(fractions, [z[0], z[1]]);
        let target = 0.025 * libm::pow(fractions[1], phi);
        assert!((spent / target - 1.0).abs() < 1e-6, "{fractions:?}: {spent} for {target}");
    }
}

#[test]
fn looks_without_new_information_repeat_the_bound() {
    let z = group_sequential::bounds(&[0.5, 0.500_001, 1.0, 1.3], 0.05, Sides::Two, 2.0);
    assert_eq!(z[0], z[1]);
    assert_eq!(z[2], z[3], "an overrun has no alpha left");
}

#[test]
fn the_detectable_effect_has_the_power_it_promises() {
    for (alpha, wanted) in [(0.05, 0.8), (0.01, 0.9)] {
        for sides in [Sides::One, Sides::Two] {
            let effect = power::fixed_mde(0.37, alpha, wanted, sides).unwrap();
            let reached = power::fixed_power(effect, 0.37, alpha, sides).unwrap();
            assert!((reached - wanted).abs() < 1e-12, "{reached}");
        }
    }
}
