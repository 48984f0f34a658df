//! Block means: refusals, gaps, seasons, error rates under autocorrelation.

use judge::stats::blocks::{self, Period, Profile, Refusal};
use judge::stats::info_time;

fn ar1(dice: &mut super::Dice, phi: f64, n: usize) -> Vec<f64> {
    let mut level = dice.normal() / (1.0 - phi * phi).sqrt();
    (0..n)
        .map(|_| {
            level = phi * level + dice.normal();
            level
        })
        .collect()
}

/// By hand: four weeks of hours less 168 medians leave 504 of 672 degrees of freedom; 28 means with
/// a lag-1 of .1 have .1 + 1/28 = .136: more than .1, within chance (1/sqrt(28) = .189), at the
/// price of sqrt(1.136/.864).
#[test]
fn what_a_profile_and_dependence_cost() {
    let mut dice = super::Dice::new(5);
    let noise: Vec<f64> = (0..672).map(|_| dice.normal()).collect();
    let slots: Vec<u16> = (0..672_u16).map(|hour| hour % 168).collect();
    let profile = Profile::new(&noise, &slots).unwrap();
    assert!((profile.widening() - (672.0_f64 / 504.0).sqrt()).abs() < 1e-12);
    let plan = |lag1: f64| blocks::BlockPlan { length: 1, blocks: 28, lag1, memory: 1.0 };
    let rho: f64 = 0.1 + 1.0 / 28.0;
    assert!((plan(0.1).widening() - ((1.0 + rho) / (1.0 - rho)).sqrt()).abs() < 1e-12);
    assert_eq!(plan(0.05).widening(), 1.0);
    let day = Some(86_400.0);
    let mut judged = 0;
    for run in 0..200_u64 {
        let mut dice = super::Dice::new(run);
        let days: Vec<f64> = (0..28).map(|_| dice.normal()).collect();
        judged += u32::from(blocks::plan_before(&days, day).is_ok());
    }
    println!("28 independent days: {judged} of 200 have a length");
    assert!(judged > 150, "{judged}");
}

#[test]
fn a_step_is_found_and_white_noise_is_not_called_one() {
    let mut dice = super::Dice::new(3);
    let before = ar1(&mut dice, 0.0, 1440);
    let quiet = ar1(&mut dice, 0.0, 480);
    let risen: Vec<f64> = quiet.iter().map(|x| x + 0.5).collect();
    let look = |later: &[f64]| {
        let found = blocks::two_sample(&before, later, None).unwrap();
        let c = found.contrast;
        info_time::interval_two_sided(c.estimate, c.se, 0.5, 0.05)
    };
    assert!(look(&quiet).contains(0.0));
    assert!(look(&risen).lo > 0.0);
}

#[test]
fn under_autocorrelation_false_alarms_stay_below_alpha() {
    for phi in [0.0, 0.5] {
        let (mut alarms, mut runs) = (0_u32, 0_u32);
        for run in 0..200_u64 {
            let mut dice = super::Dice::new(run);
            let before = ar1(&mut dice, phi, 1440);
            let later = ar1(&mut dice, phi, 1440);
            let Ok(plan) = blocks::plan(&before, None) else {
                continue;
            };
            runs += 1;
            let mut ever = false;
            for look in (60..=1440).step_by(60) {
                if let Ok(found) = blocks::two_sample_with(&before, &later[..look], plan) {
                    let c = found.contrast;
                    let tau = 0.5 / (1.0 - phi * phi).sqrt();
                    let interval = info_time::interval_two_sided(c.estimate, c.se, tau, 0.05);
                    ever |= !interval.contains(0.0);
                }
            }
            alarms += u32::from(ever);
        }
        let slack = 2.0 * (0.05 * 0.95 / f64::from(runs)).sqrt();
        println!("phi {phi}: {alarms} of {runs}");
        assert!(runs > 150, "phi {phi}: only {runs} runs were not refused");
        assert!(f64::from(alarms) / f64::from(runs) <= 0.05 + slack, "phi {phi}: {alarms}");
    }
}

#[test]
fn strong_autocorrelation_on_a_short_baseline_is_refused() {
    let refused = (0..50_u64)
        .filter(|seed| blocks::plan(&ar1(&mut super::Dice::new(*seed), 0.99, 1440), None).is_err())
        .count();
    assert!(refused >= 40, "only {refused} of 50");
}

/// White noise over a slow wave: neighbouring steps hardly show it (a lag of .3 x .97 = .29), the
/// means of five, ten and twenty of them do, and what they show follows the length.
#[test]
fn a_slow_wave_under_noise_is_seen_in_the_blocks() {
    let mut dice = super::Dice::new(9);
    let wave = ar1(&mut dice, 0.97, 20_000);
    let noise: Vec<f64> = (0..20_000).map(|_| dice.normal()).collect();
    // The wave of unit kicks has a variance of 1/(1 - .97^2) = 16.9: .3 and .7 of the whole.
    let size = (0.3 * (1.0 - 0.97_f64 * 0.97)).sqrt();
    let both = wave.iter().zip(&noise).map(|(wave, noise)| size * wave + 0.7_f64.sqrt() * noise);
    let both: Vec<f64> = both.collect();
    let plan = blocks::plan(&both, None).unwrap();
    assert!(plan.length >= 80, "{plan:?}");
    // Truly (L/sum over L): the wave's long run .3 x 1.97/.03 = 19.7 and .7 over what 80 have.
    assert!((1.2..=1.5).contains(&plan.memory), "{plan:?}");
    let short = blocks::plan(&noise[..2_000], None).unwrap();
    assert_eq!(short.length, 5);
}

#[test]
fn refusals_say_why() {
    let flat = vec![5.0; 400];
    assert_eq!(blocks::two_sample(&flat, &flat, None), Err(Refusal::Constant));
    let short = blocks::plan(&flat[..79], None);
    assert_eq!(short, Err(Refusal::TooShort { blocks: 15, length: 5, lag1: 0.0 }));
    let later = blocks::two_sample(&flat, &flat[..39], None);
    assert_eq!(later, Err(Refusal::TooFewLater { blocks: 7, needed: 8, length: 5 }));
    let mut gaps = flat.clone();
    for i in (0..400).step_by(4) {
        gaps[i] = f64::NAN;
    }
    let missing = Refusal::Missing { period: Period::Reference, share: 0.25 };
    assert_eq!(blocks::plan(&gaps, None), Err(missing));
    assert_eq!(blocks::plan(&flat, Some(7000.0)), Err(Refusal::StepNotInDay));
    assert_eq!(blocks::missing_share(&[]), 1.0);
}

#[test]
fn gaps_leave_the_time_axis_alone() {
    let values: Vec<f64> = (0..10).map(f64::from).collect();
    let mut gaps = values.clone();
    gaps[1] = f64::NAN;
    for gap in &mut gaps[5..8] {
        *gap = f64::INFINITY;
    }
    assert_eq!(blocks::block_means(&values, 5), [Some(2.0), Some(7.0)]);
    assert_eq!(blocks::block_means(&gaps, 5), [Some(2.25), None], "2 of 5 points are too few");
    assert_eq!(blocks::block_means(&values[..9], 5), [Some(2.0)], "an incomplete block waits");
}

#[test]
fn with_a_season_blocks_are_whole_days() {
    let mut accepted = 0;
    for seed in 0..40 {
        let mut dice = super::Dice::new(seed);
        let wave = |i: i32| 10.0 * libm::sin(f64::from(i) * core::f64::consts::PI / 12.0);
        let hourly: Vec<f64> = (0..24 * 60).map(|i| wave(i) + dice.normal()).collect();
        if let Ok(plan) = blocks::plan(&hourly, Some(3600.0)) {
            assert_eq!(plan.length % 24, 0);
            accepted += 1;
        }
    }
    println!("{accepted} of 40 baselines of 60 days accepted with whole-day blocks");
    assert!(accepted > 10);
    let daily = blocks::plan(&[1.0; 60], Some(86_400.0)).unwrap();
    assert_eq!((daily.length, daily.blocks), (1, 60));
}

#[test]
fn a_weekly_profile_is_removed_and_the_level_kept() {
    let slots: Vec<u16> = (0..24 * 28).map(|i| (i % 168) as u16).collect();
    let shape = |slot: &u16| 100.0 + f64::from(*slot % 24);
    let values: Vec<f64> = slots.iter().map(shape).collect();
    let profile = Profile::new(&values, &slots).unwrap();
    let rest = profile.remove(&values, &slots);
    assert!(rest.iter().all(|x| (x - 111.5).abs() < 1e-12));
    let risen: Vec<f64> = values.iter().map(|x| x + 7.0).collect();
    assert!(profile.remove(&risen, &slots).iter().all(|x| (x - 118.5).abs() < 1e-12));
    assert!(Profile::new(&values[..168], &slots[..168]).is_none(), "one week is not a profile");
    assert!(profile.remove(&[1.0], &[400])[0].is_nan(), "a slot never seen is missing");
}

#[test]
fn paired_differences_need_more_blocks_without_a_reference() {
    let mut dice = super::Dice::new(5);
    let deltas = ar1(&mut dice, 0.0, 60);
    let reference = ar1(&mut dice, 0.0, 2000);
    let with = blocks::one_sample(&deltas[..55], Some(&reference), None).unwrap();
    assert_eq!((with.later_blocks, with.reference_blocks, with.df), (11, 0, 10.0));
    assert!((with.inflation - 2.228_138_851_964_939 / 1.959_963_984_540_054).abs() < 1e-9);
    let without = blocks::one_sample(&deltas, None, None);
    assert!(matches!(without, Err(Refusal::TooShort { blocks: 12, .. })), "{without:?}");
}
