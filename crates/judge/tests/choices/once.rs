//! One look at a series before and after: Newey-West errors with the t of all steps, and as
//! verdicts use them (`its::parts`).

use judge::stats::its::{self, Model};
use judge::stats::special::t_sf;

use crate::dice::Dice;
use crate::series::wave;
use crate::{allowed, percent, runs};

/// Steps before and after: four weeks and six of half-hours, of hours, a month of hours in six
/// weeks, days.
const SIDES: [(usize, usize); 4] = [(1_344, 2_016), (672, 1_008), (96, 144), (28, 42)];

/// Whether one look calls a change: with the plain t, and as verdicts do.
fn calls(phi: f64, (before, after): (usize, usize), step: f64, seed: u64) -> (bool, bool) {
    let mut dice = Dice::new(seed);
    let mut values = wave(&mut dice, phi, before + after);
    values[before..].iter_mut().for_each(|value| *value += step);
    let (before, after) = values.split_at(before);
    let lags = its::default_lags(values.len());
    let plain = its::fit(before, after, Model::Level).and_then(|fit| fit.hac_test(lags));
    let ours = its::parts(before, after).is_some_and(|parts| {
        let change = parts.after.0 - parts.before.0;
        let variance = parts.after.1 + parts.before.1 - 2.0 * parts.covariance;
        2.0 * t_sf(change.abs() / variance.sqrt(), parts.df) <= 0.05
    });
    (plain.is_some_and(|test| test.p <= 0.05), ours)
}

#[test]
fn one_look_at_a_series_errs_as_promised() {
    let runs = runs(2_000);
    println!("called, found at half an sd: plain t | now ({runs} runs)");
    for sides in SIDES {
        for phi in [0.0, 0.5, 0.8, 0.9] {
            let (mut plain, mut ours) = ([0; 2], [0; 2]);
            for (place, step) in [0.0, 0.5].into_iter().enumerate() {
                for seed in 0..runs {
                    let (one, other) = calls(phi, sides, step, seed + place as u64 * runs);
                    plain[place] += u32::from(one);
                    ours[place] += u32::from(other);
                }
            }
            let of = |counts: [u32; 2]| counts.map(|count| percent(count, runs));
            let (plain, ours) = (of(plain), of(ours));
            println!(
                "| {sides:?}, AR(1) {phi} | {:.1} %, {:.1} % | {:.1} %, {:.1} % |",
                plain[0], plain[1], ours[0], ours[1]
            );
            // A hundred and fewer steps that depend that strongly on their past tell too little.
            let tells = sides.0 > 100 || phi <= 0.5;
            assert!(!tells || ours[0] <= allowed(runs), "{sides:?} {phi}: {}", ours[0]);
        }
    }
}
