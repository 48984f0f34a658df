//! Histories without an effect keep what they must and lose what they must.

use super::*;
use crate::time::{DAY_MS, add_ms};

fn day(index: i64) -> (Timestamp, Timestamp) {
    let start = add_ms(Timestamp::UNIX_EPOCH, index * DAY_MS);
    (start, add_ms(start, DAY_MS))
}

fn point(arm: &str, index: i64, sums: Sums) -> Point {
    let (start, end) = day(index);
    Point { arm: arm.to_owned(), start, end, sums }
}

/// Forty days on which the treatment does twice as well.
fn two_arms(treated: f64) -> Vec<Point> {
    let days = (0..40).flat_map(|index| {
        let (wave, other) = ((index % 7) as f64, (index % 5) as f64);
        [("c", 100.0, 20.0 + wave), ("t", treated, treated * 0.4 + other)]
            .map(|(arm, den, num)| point(arm, index, Sums::Proportion { num: num.round(), den }))
    });
    days.collect()
}

fn total(points: &[Point], arm: &str) -> [f64; 6] {
    let own = points.iter().filter(|point| point.arm == arm);
    own.fold([0.0; 6], |mut all, point| {
        for (sum, more) in all.iter_mut().zip(point.sums.to_array()) {
            *sum += more;
        }
        all
    })
}

/// z of the difference over the whole history.
fn z(points: &[Point]) -> f64 {
    let ([held, of_held, ..], [treated, of_treated, ..]) = (total(points, "c"), total(points, "t"));
    let pooled = (held + treated) / (of_held + of_treated);
    let se = (pooled * (1.0 - pooled) * (1.0 / of_held + 1.0 / of_treated)).sqrt();
    (treated / of_treated - held / of_held) / se
}

/// The share of histories in which a test at 5 % finds a difference, over histories of 28 days
/// with `den` units an arm and day, drawn at 40 % and at `treated`.
fn false_finds(den: [f64; 2], treated: f64, make: fn(&[Point], Chance) -> Vec<Point>) -> f64 {
    let mut found = 0.0;
    let runs = 2_000;
    for run in 0..runs {
        let draw = Chance::new(77, run);
        let real: Vec<Point> = (0..28)
            .flat_map(|day| {
                [("c", den[0], 0.4), ("t", den[1], treated)].map(|(arm, den, share)| {
                    let key = day * 2 + u64::from(arm == "t");
                    let num = hits(den, share, 1.0, key, draw);
                    point(arm, day as i64, Sums::Proportion { num, den })
                })
            })
            .collect();
        found += f64::from(u32::from(z(&make(&real, Chance::new(78, run))).abs() > 1.96));
    }
    found / runs as f64
}

/// An effect that is left in comes out as spread: what it was before the arms were centred.
fn as_it_was(points: &[Point], chance: Chance) -> Vec<Point> {
    let turned = |point: &Point| chance.coin(point.start.as_millisecond().unsigned_abs());
    let other = |point: &Point| if point.arm == "c" { "t" } else { "c" };
    let swap = |point: &Point| {
        let arm = if turned(point) { other(point) } else { &point.arm };
        Point { arm: arm.to_owned(), ..point.clone() }
    };
    points.iter().map(swap).collect()
}

#[test]
fn a_real_effect_is_no_spread_of_nothing() {
    let made = |points: &[Point], chance: Chance| arms(points, "c", "t", chance);
    // Standard error of a share of 5 % over 2,000: 0.5 points.
    for (sizes, treated) in
        [([200.0, 200.0], 0.4), ([200.0, 200.0], 0.52), ([200.0, 60.0], 0.4), ([200.0, 60.0], 0.52)]
    {
        let share = false_finds(sizes, treated, made);
        assert!((0.03..=0.06).contains(&share), "{sizes:?} {treated}: {share}");
    }
    let before = false_finds([200.0, 200.0], 0.52, as_it_was);
    assert!(before > 0.2, "the effect in: {before}");
}

#[test]
fn numbers_that_are_too_even_are_known() {
    let of = |spread: bool| {
        let days = (0..28).flat_map(|day| {
            [("c", 0.4), ("t", 0.5)].map(|(arm, share)| {
                let key = day * 2 + u64::from(arm == "t");
                let num = if spread {
                    hits(140.0, share, 1.0, key, Chance::new(5, 1))
                } else {
                    140.0 * share
                };
                point(arm, day as i64, Sums::Proportion { num, den: 140.0 })
            })
        });
        days.collect::<Vec<_>>()
    };
    // 28 days: the ratio is chi-square of 27 over 27, 0.4 to 2 but for one in a thousand.
    let drawn = evenness(&of(true), "c", "t").unwrap();
    assert!((0.4..2.0).contains(&drawn), "{drawn}");
    assert!(evenness(&of(false), "c", "t").unwrap() < 1e-9, "every day is the same");
    assert_eq!(evenness(&of(true)[..20], "c", "t"), None, "ten days say little");
}

#[test]
fn arms_change_places_and_what_was_counted_stays() {
    let before = two_arms(100.0);
    let real = centred(&before, ["c", "t"]);
    let sum = |points: &[Point]| total(points, "c")[0] + total(points, "t")[0];
    assert!((sum(&real) - sum(&before)).abs() <= 1.0, "nobody is lost");
    assert!((total(&real, "c")[0] - total(&real, "t")[0]).abs() <= 1.0, "no effect is left");
    let (mut swapped, mut kept) = (0, 0);
    for run in 0..20 {
        let made = arms(&before, "c", "t", Chance::new(1, run));
        assert_eq!(made.len(), real.len());
        for (pair, before) in made.chunks(2).zip(real.chunks(2)) {
            let same = pair[0].sums == before[0].sums && pair[1].sums == before[1].sums;
            let turned = pair[0].sums == before[1].sums && pair[1].sums == before[0].sums;
            assert!(same || turned);
            kept += u32::from(same && !turned);
            swapped += u32::from(turned && !same);
        }
    }
    // Some periods are the same in both arms; of the others half, give or take 4 standard
    // deviations.
    let coins = f64::from(swapped + kept);
    let off = f64::from(swapped) - 0.5 * coins;
    assert!(coins > 500.0 && off.abs() < 2.0 * coins.sqrt(), "{swapped} of {coins}");
}

#[test]
fn arms_of_unequal_size_keep_their_size_and_lose_the_effect_on_average() {
    let real = two_arms(30.0);
    let lifts = (0..200).map(|run| {
        let made = arms(&real, "c", "t", Chance::new(3, run));
        let ([held, of_held, ..], [treated, of_treated, ..]) =
            (total(&made, "c"), total(&made, "t"));
        assert_eq!((of_held, of_treated), (4_000.0, 1_200.0));
        treated / of_treated - held / of_held
    });
    let mean = lifts.sum::<f64>() / 200.0;
    assert!(mean.abs() < 0.02, "{mean}: the real difference is 0.2 and more");
}

#[test]
fn moments_stay_moments() {
    let mean = |n: f64, sum: f64| Sums::Mean { n, sum, sum_sq: sum * sum / n + n };
    for sums in mirrored(mean(10.0, 20.0), mean(50.0, 400.0)) {
        let Sums::Mean { n, sum, sum_sq } = sums else { panic!("{sums:?}") };
        assert!((n * sum_sq - sum * sum - n * n).abs() < 1e-6 * n * sum_sq, "{sums:?}");
    }
    let Sums::Mean { n, sum, sum_sq } = lifted(mean(10.0, 20.0), -3.0) else { panic!() };
    assert!((n * sum_sq - sum * sum - n * n).abs() < 1e-9, "the variance is 1 as before");
}

/// Two units y = 1, 2 with x = 3, 5, moved by 2 to y = 3, 4.
#[test]
fn cubes_and_products_move_with_their_units() {
    let of = |y: [f64; 2]| {
        let power = |k: i32| y[0].powi(k) + y[1].powi(k);
        let x = Covariate { sum: 8.0, sum_sq: 34.0, cross: 3.0 * y[0] + 5.0 * y[1] };
        let extra = Extra { cubes: Some(power(3)), covariate: Some(x) };
        Sums::Detailed { share: false, n: 2.0, sum: power(1), sum_sq: power(2), extra }
    };
    assert_eq!(lifted(of([1.0, 2.0]), 2.0), of([3.0, 4.0]));
    let [held, treated] = mirrored(of([1.0, 2.0]), of([3.0, 4.0]));
    assert_eq!((held, treated), (of([3.0, 4.0]), of([1.0, 2.0])));
}

#[test]
fn counts_at_a_level_have_its_mean_and_the_binomials_spread() {
    // (units, share): counted up, counted down, and by the normal law.
    for (den, share) in [(40.0, 0.1), (40.0, 0.9), (1_000.0, 0.27)] {
        let numbers: Vec<f64> =
            (0..4_000).map(|key| hits(den, share, 1.0, key, Chance::new(5, 0))).collect();
        let mean = numbers.iter().sum::<f64>() / 4_000.0;
        let spread = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 4_000.0;
        let variance = den * share * (1.0 - share);
        // 4 standard errors of a mean and of a variance over 4,000 numbers.
        assert!((mean - den * share).abs() < 4.0 * (variance / 4_000.0).sqrt(), "{mean}");
        assert!((spread / variance - 1.0).abs() < 4.0 * (2.0_f64 / 4_000.0).sqrt(), "{spread}");
    }
}

#[test]
fn a_run_is_the_same_alone_and_among_others() {
    let real = two_arms(100.0);
    let made = |run| arms(&real, "c", "t", Chance::new(9, run));
    assert_eq!(made(4), made(4));
    assert_ne!(made(4), made(5));
    assert_ne!(made(4), arms(&real, "c", "t", Chance::new(8, 4)));
    assert_eq!(at_level(&[], 0.5, Chance::new(1, 1)), Vec::new());
}
