//! How long a control chart keeps still when nothing happens, and how soon it sees a shift.
//!
//! The table of docs/statistics.md: run lengths in blocks of independent normal block means, for a
//! stated reference and for one learnt from 20, 50 or 100 blocks. Always 60 runs per row; with
//! `RUN_SLOW_TESTS=1` the 4,000 runs of the table. Seeded, so that every run repeats exactly.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "one variable picks the size; the table is printed"
)]

#[expect(dead_code, reason = "shared with the A/A runs, which throw more kinds of dice")]
#[path = "false_verdicts/dice.rs"]
mod dice;

use dice::Dice;
use judge::spec::{CUSUM_H, CUSUM_K, EWMA_L, EWMA_LAMBDA};
use judge::stats::tripwire::{Cusum, Ewma, standardise};

/// No run is longer.
const MOST: u32 = 50_000;

/// Blocks until the first alarm after `shift` sds; the reference is learnt from `learnt` blocks
/// before it, or known when that is 0.
fn run_length(is_ewma: bool, learnt: u32, shift: f64, dice: &mut Dice) -> u32 {
    let (mut mean, mut sd) = (0.0, 1.0);
    if learnt > 0 {
        let blocks: Vec<f64> = (0..learnt).map(|_| dice.normal()).collect();
        let n = f64::from(learnt);
        mean = blocks.iter().sum::<f64>() / n;
        sd = (blocks.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt();
    }
    let (mut cusum, mut ewma) = (Cusum::default(), Ewma::new(0.0));
    for block in 1..MOST {
        let z = standardise(dice.normal() + shift, mean, sd).unwrap_or(0.0);
        cusum = cusum.step(z, CUSUM_K);
        ewma = ewma.step(z, EWMA_LAMBDA);
        let limit = ewma.limit(1.0, EWMA_LAMBDA, EWMA_L);
        if if is_ewma { ewma.mean > limit } else { cusum.alarms(CUSUM_H) } {
            return block;
        }
    }
    MOST
}

/// Mean and median of `runs` runs.
fn lengths(is_ewma: bool, learnt: u32, shift: f64, runs: usize) -> (f64, u32) {
    let mut dice = Dice::new(15);
    let mut all: Vec<u32> =
        (0..runs).map(|_| run_length(is_ewma, learnt, shift, &mut dice)).collect();
    all.sort_unstable();
    let sum: f64 = all.iter().map(|length| f64::from(*length)).sum();
    (sum / runs as f64, all[runs / 2])
}

#[test]
fn run_lengths_of_both_charts() {
    let slow = std::env::var("RUN_SLOW_TESTS").is_ok_and(|value| value == "1");
    let runs = if slow { 4_000 } else { 60 };
    println!("chart  learnt  mean  median  1 sd  2 sd  ({runs} runs)");
    for is_ewma in [false, true] {
        let mut medians = Vec::new();
        for learnt in [20, 50, 100, 0] {
            let (calm, median) = lengths(is_ewma, learnt, 0.0, runs);
            let one = lengths(is_ewma, learnt, 1.0, runs).1;
            let two = lengths(is_ewma, learnt, 2.0, runs).1;
            let name = if is_ewma { "ewma" } else { "cusum" };
            println!("{name:<6} {learnt:>6} {calm:>5.0} {median:>7} {one:>5} {two:>5}");
            assert!(two < one && one < median, "{name} {learnt}: {two} {one} {median}");
            medians.push(median);
        }
        // The longer it learns, the later the first false alarm; known is best.
        assert!(medians[0] < medians[3], "{medians:?}");
    }
}
