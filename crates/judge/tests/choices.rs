//! The simulations behind ADR 0012, 0013, 0027 and 0034 (clustered counts, rare events, plain
//! series, one look at a series), and six weekly looks.
//!
//! Shares of runs in which nothing happens and some look says that something did, with and without
//! what is done about it. Always 100 runs per row (400 of clusters), held to bounds; with
//! `RUN_SLOW_TESTS=1` the 2,000 (series: 1,000) runs of the tables in the ADRs. Run `n` of a row
//! throws the dice seeded with `n`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "one variable picks the size; the tables are printed"
)]

#[expect(dead_code, reason = "shared with the A/A runs, which throw more kinds of dice")]
#[path = "false_verdicts/dice.rs"]
mod dice;

#[path = "choices/alone.rs"]
mod alone;
#[path = "choices/counts.rs"]
mod counts;
#[path = "choices/once.rs"]
mod once;
#[path = "choices/series.rs"]
mod series;
#[path = "choices/weekly.rs"]
mod weekly;

/// `(full, quick)` by the variable.
fn runs(full: u64) -> u64 {
    let slow = std::env::var("RUN_SLOW_TESTS").is_ok_and(|value| value == "1");
    if slow { full } else { 100 }
}

fn percent(count: u32, runs: u64) -> f64 {
    100.0 * f64::from(count) / runs as f64
}

/// 5 % and two standard errors of so many runs.
fn allowed(runs: u64) -> f64 {
    5.0 + 200.0 * (0.05 * 0.95 / runs as f64).sqrt()
}
