//! The data of the five stories, made from a seed.
//!
//! Totals at each checkpoint are the contract's (product.md 2) for every seed; the seed moves
//! times and mess only. Everything is a pure function of the seed and of the day it is looked at.

mod activation;
pub mod calendar;
mod cohorts;
mod draw;
mod files;
mod hourly;
mod openmetrics;
mod rng;
mod sql;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use activation::{Activation, User};
pub use cohorts::{CohortDay, Cohorts, Recruiting, Sales, Support};
pub use files::Files;
pub use hourly::{BUCKETS, Counter, Gauge, Labels, Metrics};

use files::writeln_to;

/// Start of the second activation cycle: 2026-07-20, a week after the first verdict.
pub const ACTIVATION_SECOND: i64 = 49;
/// The day on which the missing resolution export arrives: 2026-07-08.
pub const RESOLUTION_DAY: i64 = 37;
/// Start of the second support cycle: 2026-07-13.
pub const SUPPORT_SECOND: i64 = 42;
/// The day after the last checkpoint of any story: 2026-08-31.
pub const LAST_DAY: i64 = 91;

/// SQL file, event (empty for any) and window in hours of the signals by signup day.
const ANSWERS: [(&str, &str, i64); 3] =
    [("action_x", "action_x", 24), ("fast_start", "", 4), ("activation", "first_win", 14 * 24)];

/// All five stories of one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stories {
    /// Users of the activation story.
    pub activation: Activation,
    /// Candidates and messages.
    pub recruiting: Recruiting,
    /// Calls and follow-ups.
    pub sales: Sales,
    /// Tickets and resolutions.
    pub support: Support,
    /// What Prometheus has counted.
    pub metrics: Metrics,
}

impl Stories {
    /// The stories of a seed.
    pub fn generate(seed: u64) -> Self {
        Self {
            activation: Activation::generate(seed, ACTIVATION_SECOND),
            recruiting: Recruiting::generate(seed),
            sales: Sales::generate(seed),
            support: Support::generate(seed, SUPPORT_SECOND),
            metrics: Metrics::generate(seed),
        }
    }

    /// The CSV files at 00:00 of a day: only what was known then.
    pub fn files_at(&self, day: i64) -> Files {
        files::at(self, day)
    }
}

/// The activation story as SQL text for a PostgreSQL database.
pub fn activation_sql(seed: u64) -> String {
    sql::text(&Activation::generate(seed, ACTIVATION_SECOND))
}

/// The metrics of a seed for `promtool tsdb create-blocks-from openmetrics`.
pub fn openmetrics(seed: u64) -> String {
    openmetrics::text(&Metrics::generate(seed))
}

/// The final state of all files of a seed, as they are checked in under `tests/data`.
pub fn data_files(seed: u64) -> Files {
    let stories = Stories::generate(seed);
    // Weeks after the last checkpoint, so that every cohort has matured.
    let mut files = stories.files_at(LAST_DAY + 28);
    for (name, series) in [("platform", "arm"), ("activation", "cohort"), ("support", "")] {
        files.insert(format!("{name}/prometheus.csv"), hourly_table(&stories.metrics, series));
    }
    files
}

/// Writes them.
pub fn write_data(folder: &Path, seed: u64) -> anyhow::Result<()> {
    for (name, text) in data_files(seed) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// Counters as a table, one row per hour, of the series that carry a label (or none at all).
fn hourly_table(metrics: &Metrics, label: &str) -> String {
    let mut text = "# increase of each counter in the hour that begins at `hour`\n".to_owned();
    if label == "arm" {
        text.push_str(BREACH);
    }
    let belongs = |counter: &&Counter| match label {
        "" => counter.labels.is_empty(),
        _ => counter.labels.iter().any(|(key, _)| *key == label),
    };
    let counters: Vec<&Counter> = metrics.counters.iter().filter(belongs).collect();
    let title = |counter: &&Counter| {
        let labels = counter.labels.iter().map(|(_, value)| format!(" {value}"));
        format!("{}{}", counter.name, labels.collect::<String>())
    };
    let titles: Vec<String> = counters.iter().map(title).collect();
    writeln_to(&mut text, format_args!("hour,{}", titles.join(",")));
    let Some(first) = counters.first() else {
        return text;
    };
    for index in 0..first.hours.len() {
        let at = calendar::hour_start(first.first_hour + index as i64);
        let cells: Vec<String> =
            counters.iter().map(|counter| counter.hours[index].to_string()).collect();
        writeln_to(&mut text, format_args!("{at},{}", cells.join(",")));
    }
    text
}

/// The counts of the error budget, stated where they are used.
const BREACH: &str = "\
# flagged requests / errors: days 1-8 384,000 / 300 (0.078 %, budget 384), day 9 48,000 / 840
# (1.75 %), days 10-14 240,000 / 120. Objective 99.9 %: q = 0.001. Exact e-process at 0.01 with
# p0 = q and tau0 = q: k = 998, Beta(0.998, 997.002); breach when log e >= 4.605 and the share is
# above q. Days 1-8 never breach; on day 9 about 475 of 394,000 do (q expects 394), near 09:00.
# With the overdispersion of the burst (SE sqrt(phi), phi > 1.5) the breach comes near 16:00.
";
