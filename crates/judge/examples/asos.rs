//! What is known about the ASOS Digital Experiments Dataset, computed with the engine's functions.
//!
//! `cargo run -p judge --example asos -- asos_digital_experiments.csv` reproduces Table 2 of Liu et
//! al. 2021 (arXiv 2111.10198: arms that mSPRT and the t-test find), the counts of repeated t-tests
//! and of GrowthBook's sequential intervals, and the arms whose split is not even; it exits with 1
//! when a figure differs. Without the file it says so and ends: the data is not in the repository.

#![expect(clippy::print_stdout, reason = "its output is the result")]
#![expect(clippy::disallowed_methods, reason = "reads the data file; the core does not")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use judge::stats::fixed::Alternative;
use judge::stats::fixed::welch::{Side, welch};
use judge::stats::{Sides, asymptotic, info_time, srm};

/// Variance of Cohen's d over the arms, by metric: the paper's mixing variance.
const EFFECT_VARIANCE: [f64; 4] = [
    1.301_572_657_324_043e-5,
    1.065_197_356_334_449_5e-5,
    6.478_802_824_829_137e-6,
    5.915_041_799_704_489e-6,
];
const ALPHA: f64 = 0.05;

/// Both, only mSPRT, neither, only the t-test at the end.
const TABLE_2: [[u32; 4]; 4] = [[19, 2, 71, 7], [20, 18, 49, 7], [16, 6, 63, 9], [16, 4, 63, 11]];
/// A t-test at every checkpoint, and at the end alone.
const PEEKING: [[u32; 2]; 4] = [[46, 26], [64, 27], [57, 25], [58, 27]];
/// GrowthBook's sequential interval tuned for 5,000 and for 500,000 users.
const GROWTHBOOK: [[u32; 2]; 4] = [[16, 20], [29, 36], [13, 20], [13, 20]];
/// Rows without the control's and without the treatment's variance, and arms whose split is not
/// 50:50 at p < 0.001.
const WITHOUT_VARIANCE: [u32; 2] = [778, 779];
const UNEVEN: u32 = 12;

/// One checkpoint of one series; `[control, treatment]`.
struct Checkpoint {
    n: [f64; 2],
    mean: [f64; 2],
    variance: [f64; 2],
}

/// Checkpoints by (metric, experiment, arm), in order of time.
type Data = BTreeMap<(usize, String), Vec<Checkpoint>>;

/// What the tests say about one series; `None` where no checkpoint can be tested.
#[derive(Default)]
struct Calls {
    msprt: bool,
    t_ever: bool,
    t_at_end: bool,
    growthbook: [bool; 2],
}

fn read(text: &str) -> Option<(Data, [u32; 2])> {
    let (mut data, mut without) = (Data::new(), [0; 2]);
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |index: usize| cells.get(index)?.parse::<f64>().ok();
        let metric = cells.get(2)?.parse::<usize>().ok()?.checked_sub(1)?;
        let arm = format!("{}/{}", cells.first()?, cells.get(1)?);
        let series = data.entry((metric, arm)).or_default();
        let variances = [number(8), number(9)];
        for (without, variance) in without.iter_mut().zip(variances) {
            *without += u32::from(variance.is_none());
        }
        let [Some(control), Some(treatment)] = variances else {
            continue;
        };
        series.push(Checkpoint {
            n: [number(4)?, number(5)?],
            mean: [number(6)?, number(7)?],
            variance: [control, treatment],
        });
    }
    Some((data, without))
}

fn calls(metric: usize, series: &[Checkpoint]) -> Option<Calls> {
    let mut calls = Calls::default();
    let mut tested = false;
    for one in series {
        let side = |arm: usize| Side {
            n: one.n[arm],
            mean: one.mean[arm],
            variance_of_mean: one.variance[arm] / one.n[arm],
        };
        let Some(test) = welch(side(1), side(0)) else {
            continue;
        };
        tested = true;
        let (d, se) = (test.contrast.estimate, test.contrast.se);
        calls.t_at_end = test.p(0.0, Alternative::TwoSided) < ALPHA;
        calls.t_ever |= calls.t_at_end;
        // The notebook's two-sample mSPRT: the harmonic mean of the counts, and a mixing variance
        // in units of the control's.
        let harmonic = 2.0 / (1.0 / one.n[0] + 1.0 / one.n[1]);
        let pooled_se = ((one.variance[0] + one.variance[1]) / harmonic).sqrt();
        let mixing_sd = (EFFECT_VARIANCE[metric] * one.variance[0]).sqrt();
        let log_e = info_time::log_e_two_sided(d, pooled_se, mixing_sd);
        calls.msprt |= info_time::ln_p_from_log_e(log_e) <= libm::log(ALPHA);
        for (called, tuning_n) in calls.growthbook.iter_mut().zip([5_000.0, 500_000.0]) {
            let n = one.n[0] + one.n[1];
            *called |= d.abs() > asymptotic::half_width(se, n, tuning_n, ALPHA, Sides::Two);
        }
    }
    tested.then_some(calls)
}

fn uneven(data: &Data) -> u32 {
    let first_metric = data.iter().filter(|((metric, _), _)| *metric == 0);
    let is_uneven = |series: &Vec<Checkpoint>| {
        let split = series.last().and_then(|last| srm::chi_square(&last.n, &[0.5, 0.5]));
        split.is_some_and(|split| split.p < 0.001)
    };
    first_metric.map(|(_, series)| u32::from(is_uneven(series))).sum()
}

fn compared<T: PartialEq + std::fmt::Debug>(what: &str, got: T, known: T) -> bool {
    let word = if got == known { "as known" } else { "DIFFERS" };
    println!("{what:<58} {got:?}  {word}");
    got == known
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| "asos_digital_experiments.csv".into());
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {path} is not there; name the data file (see config/examples/asos)");
        return ExitCode::SUCCESS;
    };
    let Some((data, without)) = read(&text) else {
        println!("{path} is not the ASOS data set: columns or numbers are other ones");
        return ExitCode::from(2);
    };
    let mut same = compared("rows without a variance, by arm", without, WITHOUT_VARIANCE);
    same &= compared("arms with an uneven split", uneven(&data), UNEVEN);
    for metric in 0..4 {
        let (mut table, mut peeking, mut growthbook) = ([0; 4], [0; 2], [0; 2]);
        for ((_, _), series) in data.iter().filter(|((which, _), _)| *which == metric) {
            let Some(calls) = calls(metric, series) else {
                continue;
            };
            let cell = match (calls.msprt, calls.t_at_end) {
                (true, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (false, true) => 3,
            };
            table[cell] += 1;
            peeking[0] += u32::from(calls.t_ever);
            peeking[1] += u32::from(calls.t_at_end);
            growthbook[0] += u32::from(calls.growthbook[0]);
            growthbook[1] += u32::from(calls.growthbook[1]);
        }
        let name = |what: &str| format!("metric {}: {what}", metric + 1);
        let known = TABLE_2[metric];
        same &= compared(&name("both, mSPRT, neither, t-test"), table, known);
        let known = PEEKING[metric];
        same &= compared(&name("t-test at every look, at the end"), peeking, known);
        let known = GROWTHBOOK[metric];
        same &= compared(&name("GrowthBook for 5,000 and 500,000"), growthbook, known);
    }
    ExitCode::from(u8::from(!same))
}
