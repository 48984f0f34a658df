//! Plain series: whole-day blocks, the weekly profile, the memory of the steps.

use judge::stats::blocks::{BlockPlan, Profile, block_means, plan, plan_before};
use judge::stats::info_time::interval_two_sided;
use judge::stats::special::{norm_isf, t_isf};

use crate::dice::Dice;
use crate::{allowed, percent, runs};

const WEEK: usize = 168;
/// Four weeks of hours on either side.
const SIDE: usize = 4 * WEEK;

/// AR(1) of unit variance, an hour a step.
fn wave(dice: &mut Dice, phi: f64, steps: usize) -> Vec<f64> {
    let kick = (1.0 - phi * phi).sqrt();
    let mut now = dice.normal();
    let mut next = || {
        now = phi * now + kick * dice.normal();
        now
    };
    (0..steps).map(|_| next()).collect()
}

/// A wave of two sds a day, and weekends one sd lower.
fn season(hour: usize) -> f64 {
    let of_day = (hour % 24) as f64 / 24.0;
    let weekend = if hour % WEEK >= 5 * 24 { -1.0 } else { 0.0 };
    2.0 * libm::sin(2.0 * core::f64::consts::PI * of_day) + weekend
}

/// Mean, sd and number of the block means.
fn blocks(values: &[f64], length: usize) -> (f64, f64, f64) {
    let means: Vec<f64> = block_means(values, length).into_iter().flatten().collect();
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let squares: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (count - 1.0)).sqrt(), count)
}

fn excludes(change: f64, variance: f64, df: f64, tau: f64) -> bool {
    let wide = t_isf(0.025, df) / norm_isf(0.025);
    !interval_two_sided(change, variance.sqrt() * wide, tau, 0.05).contains(0.0)
}

/// How before and after is judged.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Whole days, nothing taken off.
    Days,
    /// The weekly profile taken off both sides.
    Profile,
    /// As well, and the memory of the steps not looked at (before ADR 0027).
    Forgetful,
}

/// Whether any of 28 daily looks calls it; `None` when refused.
fn before_after(phi: f64, seasonal: bool, step: f64, how: How, seed: u64) -> Option<bool> {
    let mut dice = Dice::new(seed);
    let values: Vec<f64> = wave(&mut dice, phi, 2 * SIDE)
        .into_iter()
        .enumerate()
        .map(|(hour, x)| {
            let change = if hour >= SIDE { step } else { 0.0 };
            x + change + if seasonal { season(hour) } else { 0.0 }
        })
        .collect();
    let (before, after) = values.split_at(SIDE);
    let (mut before, mut after) = (before.to_vec(), after.to_vec());
    let mut smoothed = 1.0;
    if how != How::Days {
        let slots: Vec<u16> = (0..SIDE).map(|hour| (hour % WEEK) as u16).collect();
        let profile = Profile::new(&before, &slots)?;
        before = profile.remove(&before, &slots);
        after = profile.remove(&after, &slots);
        smoothed = profile.widening();
    }
    let day = (how == How::Days).then_some(3_600.0);
    let chosen = plan_before(&before, day).ok()?;
    let chosen = if how == How::Forgetful { BlockPlan { memory: 1.0, ..chosen } } else { chosen };
    let (m0, s0, k) = blocks(&before, chosen.length);
    let called = (1..=28).any(|day| {
        let (m1, s1, kk) = blocks(&after[..24 * day], chosen.length);
        if kk < 8.0 {
            return false;
        }
        let (s0, df) = (s0 * smoothed, k + kk - 2.0);
        let pooled = ((k - 1.0) * s0 * s0 + (kk - 1.0) * s1 * s1) / df;
        let variance = pooled * chosen.widening() * chosen.widening() * (1.0 / k + 1.0 / kk);
        excludes(m1 - m0, variance, df, 0.3)
    });
    Some(called)
}

#[test]
fn series_before_and_after_are_rarely_called() {
    let runs = runs(1_000);
    println!("refused, called of all, found at half an sd (runs: {runs})");
    for (phi, seasonal) in [(0.0, false), (0.0, true), (0.5, false), (0.5, true), (0.9, true)] {
        let mut cells = Vec::new();
        for how in [How::Days, How::Forgetful, How::Profile] {
            let (mut refused, mut called, mut found) = (0, 0, 0);
            for seed in 0..runs {
                match before_after(phi, seasonal, 0.0, how, seed) {
                    None => refused += 1,
                    Some(is_called) => called += u32::from(is_called),
                }
                let with_step = before_after(phi, seasonal, 0.5, how, seed + runs);
                found += u32::from(with_step == Some(true));
            }
            let [refused, called, found] = [refused, called, found].map(|n| percent(n, runs));
            cells.push(format!("{refused:.1} %, {called:.1} %, {found:.1} %"));
            assert!(how == How::Forgetful || called <= allowed(runs), "{phi} {seasonal}: {called}");
        }
        println!("| phi {phi}, season {seasonal} | {} |", cells.join(" | "));
    }
}

/// Differences of two arms, 120 daily looks: refused, or whether any look calls it.
fn paired(phi: f64, level: f64, forgetful: bool, seed: u64) -> Option<bool> {
    let mut dice = Dice::new(seed);
    let values: Vec<f64> = wave(&mut dice, phi, 120 * 24).into_iter().map(|x| x + level).collect();
    let mut chosen: Option<BlockPlan> = None;
    let mut called = false;
    for day in 1..=120 {
        let now = &values[..24 * day];
        let mut prefix = 80;
        while chosen.is_none() && prefix <= now.len() {
            chosen =
                if forgetful { by_means(&now[..prefix]) } else { plan(&now[..prefix], None).ok() };
            prefix *= 2;
        }
        let Some(plan) = chosen else { continue };
        let (mean, sd, k) = blocks(now, plan.length);
        if k >= 16.0 {
            let sd = sd * plan.widening();
            called |= excludes(mean, sd * sd / k, k - 1.0, 0.5);
        }
    }
    chosen.map(|_| called)
}

/// The length as it was chosen before ADR 0027: by the lag of the block means alone.
fn by_means(values: &[f64]) -> Option<BlockPlan> {
    let mut length = 5;
    loop {
        let means: Vec<f64> = block_means(values, length).into_iter().flatten().collect();
        let k = means.len() as f64;
        if k < 16.0 {
            return None;
        }
        let mean = means.iter().sum::<f64>() / k;
        let squares: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
        let lagged = means.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean));
        let lag1 = lagged.sum::<f64>() / squares;
        if lag1.abs() + 1.0 / k <= 0.1 {
            return Some(BlockPlan { length, blocks: means.len(), lag1, memory: 1.0 });
        }
        length *= 2;
    }
}

#[test]
fn paired_series_do_not_slip_through_a_lucky_past() {
    let runs = runs(1_000);
    println!(
        "judged, called of the judged, found at half an sd: by means alone | now ({runs} runs)"
    );
    for phi in [0.0, 0.5, 0.9, 0.97, 0.99] {
        let mut cells = Vec::new();
        for forgetful in [true, false] {
            let (mut judged, mut called, mut found) = (0, 0, 0);
            for seed in 0..runs {
                let seen = paired(phi, 0.0, forgetful, seed);
                judged += u32::from(seen.is_some());
                called += u32::from(seen == Some(true));
                found += u32::from(paired(phi, 0.5, forgetful, seed + runs) == Some(true));
            }
            let share = 100.0 * f64::from(called) / f64::from(judged.max(1));
            cells.push(format!(
                "{:.1} %, {share:.1} %, {:.1} %",
                percent(judged, runs),
                percent(found, runs)
            ));
            // Of the judged ones, whose own error counts; a handful of them proves nothing.
            let enough = judged >= 20;
            assert!(forgetful || !enough || share <= allowed(u64::from(judged)), "{phi}: {share}");
        }
        println!("| phi {phi} | {} |", cells.join(" | "));
    }
}
