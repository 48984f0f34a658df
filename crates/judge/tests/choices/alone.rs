//! Counts of one population against a stated share: clusters of units that do the same.

use judge::stats::info_time::interval_two_sided;
use judge::stats::one_proportion::{log_e, prior_tau};
use judge::stats::overdispersion::{Unevenness, within_binomial};
use judge::stats::two_arm::Proportion;

use crate::counts::{Care, DAYS, TAU, factor, summed};
use crate::dice::Dice;
use crate::{allowed, runs};

/// What is stated and counted.
struct Level {
    /// A day.
    units: u32,
    share: f64,
    tau: f64,
}

const LEVELS: [Level; 2] = [
    Level { units: 200, share: 0.27, tau: TAU },
    Level { units: 1_000, share: 0.001, tau: 0.0004 },
];

/// The first day on which a stated share is excluded, of 60.
fn first_call_alone(
    level: &Level,
    cluster: u32,
    effect: f64,
    care: Care,
    seed: u64,
) -> Option<usize> {
    let mut dice = Dice::new(seed);
    let (mut cells, mut events) = (Vec::new(), 0.0);
    (1..=DAYS).find(|day| {
        let hits = f64::from(cluster) * dice.hits(level.units / cluster, level.share + effect);
        cells.push((hits, f64::from(level.units)));
        events += hits;
        let size = f64::from(level.units) * *day as f64;
        let found = within_binomial(&cells);
        let known =
            if care == Care::FromSeven { found } else { found.or(Some(Unevenness::UNKNOWN)) };
        let wide = factor(care, known, cells.len());
        if care == Care::FromSeven && wide > 1.0 {
            // The engine on widened errors: what ADR 0012 did.
            let se = (Proportion { x: events, n: size }.variance_of_mean() * wide).sqrt();
            let change = events / size - level.share;
            return !interval_two_sided(change, se, level.tau, 0.05).contains(0.0);
        }
        let prior = prior_tau(level.share, level.tau);
        log_e(prior, events / wide, size / wide, level.share) >= libm::log(20.0)
    })
}

#[test]
fn clustered_counts_of_one_population_are_rarely_called() {
    let runs = runs(2_000);
    println!("one population: first six days, sixty, median day (runs: {runs})");
    for level in &LEVELS {
        for (cluster, effect) in
            [(1, 0.0), (2, 0.0), (4, 0.0), (8, 0.0), (1, 4.0 / 3.0 * level.tau)]
        {
            let mut cells = Vec::new();
            for care in [Care::None, Care::FromSeven, Care::AtBound] {
                let one = |seed| first_call_alone(level, cluster, effect, care, seed);
                let (text, ever) = summed((0..runs).filter_map(one).collect(), runs);
                cells.push(text);
                if care == Care::AtBound && effect == 0.0 {
                    assert!(ever <= allowed(runs), "{} in {cluster}: {ever}", level.share);
                }
                if care == Care::None && cluster == 4 {
                    assert!(ever > 30.0, "the data would prove nothing: {ever}");
                }
            }
            println!(
                "| {}, clusters of {cluster}, {effect:+.4} | {} |",
                level.share,
                cells.join(" | ")
            );
        }
    }
}
