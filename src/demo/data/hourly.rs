//! What Prometheus counts, hour by hour: the quote cache, the guardrails, the support surveys.
//!
//! Totals per stretch of days are exact. The flagged arm keeps its error budget on days 1 to 8
//! and breaks it on day 9: [`ERRORS`] holds the counts and the arithmetic of the crossing.

use super::calendar::{day_weight, hour_weight};
use super::draw::{hits, is_calm_against, is_even, is_silent, spread, until, zip};
use super::rng::Rng;

/// Labels of a series.
pub type Labels = Vec<(&'static str, &'static str)>;

/// A counter as its increase per hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Metric name.
    pub name: &'static str,
    /// Labels.
    pub labels: Labels,
    /// Hour of the first increase, counted from day 0.
    pub first_hour: i64,
    /// Increase in each hour.
    pub hours: Vec<u32>,
}

/// A gauge as its value during each hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// Metric name.
    pub name: &'static str,
    /// Labels.
    pub labels: Labels,
    /// First hour, counted from day 0.
    pub first_hour: i64,
    /// Value in each hour.
    pub hours: Vec<f64>,
}

/// Everything the built-in Prometheus knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Counters, histogram buckets among them.
    pub counters: Vec<Counter>,
    /// Gauges.
    pub gauges: Vec<Gauge>,
}

/// Days the platform story has data for; it is stopped on the ninth.
pub(super) const PLATFORM_DAYS: i64 = 14;
/// Arms of the platform story, control first.
pub(super) const PLATFORM_ARMS: [&str; 2] = ["unflagged", "flagged"];

/// `(days, requests, errors)` of the flagged arm. Objective 99.9 %, so q = 0.001.
///
/// Exact e-process of statistics.md 1.4 with p0 = q, tau0 = q: k = q(1-q)/q^2 - 1 = 998,
/// a = 0.998, b = 997.002; the breach is log e >= ln(1/0.01) = 4.605 with errors/requests > q.
/// * Days 1 to 8: 300 of 384,000 = 0.078 %, inside the budget of 384: no breach at any hour.
/// * Day 9 has 840 of 48,000 = 1.75 %. After about 10,000 of its requests 475 of 394,000 = 0.121 %
///   have failed (q expects 394, so +81): the exact log e passes 4.605 near 09:00.
/// * Errors that come in one burst vary more than independent requests (phi > 1.5), so the judge
///   uses SE sqrt(phi). m hours of a burst give at most sqrt(m) standard errors, and the boundary
///   at alpha 0.01 lies near 3.4: it is passed near 16:00 of day 9.
///
/// Both crossings are asserted for many seeds in `tests.rs`.
pub(super) const ERRORS: [(i64, u32, u32); 3] =
    [(8, 384_000, 300), (1, 48_000, 840), (5, 240_000, 120)];

/// Days with support surveys and with web requests: to the end of the last cycle.
const SUPPORT_TO: i64 = 80;
const WEB_DAYS: i64 = 93;

impl Metrics {
    /// All series of a seed.
    pub fn generate(seed: u64) -> Self {
        let mut counters = web(&mut Rng::new(seed, "web"));
        counters.extend(surveys(&mut Rng::new(seed, "surveys")));
        let mut rng = Rng::new(seed, "platform");
        counters.extend(flagged_errors(&mut rng));
        for arm in 0..2 {
            counters.extend(checkouts(&mut rng, arm));
            counters.extend(quotes(&mut rng, arm));
        }
        Self { counters, gauges: gauges(&mut rng) }
    }

    /// The first counter with that name and those labels.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Counter> {
        self.counters.iter().find(|counter| {
            counter.name == name && labels.iter().all(|label| counter.labels.contains(label))
        })
    }
}

fn weights(from: i64, days: i64) -> Vec<f64> {
    let hours = from * 24..(from + days) * 24;
    hours.map(|hour| day_weight(hour.div_euclid(24)) * hour_weight(hour)).collect()
}

fn counter(name: &'static str, labels: Labels, first_day: i64, hours: Vec<u32>) -> Counter {
    Counter { name, labels, first_hour: first_day * 24, hours }
}

/// Requests with their 5xx part, as two series by code.
fn requests(
    key: (&'static str, &'static str),
    first_day: i64,
    all: &[u32],
    bad: Vec<u32>,
) -> Vec<Counter> {
    let good = all.iter().zip(&bad).map(|(all, bad)| all - bad).collect();
    let series =
        |code, hours| counter("http_requests_total", vec![key, ("code", code)], first_day, hours);
    vec![series("200", good), series("500", bad)]
}

/// The web application's requests per cohort of the activation story.
fn web(rng: &mut Rng) -> Vec<Counter> {
    let shape = weights(0, WEB_DAYS);
    let mut series = Vec::new();
    for (cohort, bad) in [("checklist", 744), ("control", 790)] {
        let all = spread(rng, 1_860_000, &shape);
        let bad = steady_hits(rng, bad, &all);
        series.extend(requests(("cohort", cohort), 0, &all, bad));
    }
    series
}

/// Requests of both platform arms; the flagged one keeps to [`ERRORS`].
fn flagged_errors(rng: &mut Rng) -> Vec<Counter> {
    let (mut all, mut bad, mut day) = (Vec::new(), Vec::new(), 0);
    for (days, requests, errors) in ERRORS {
        let hours = spread(rng, requests, &weights(day, days));
        bad.extend(steady_hits(rng, errors, &hours));
        all.extend(hours);
        day += days;
    }
    let mut series = requests(("arm", "flagged"), 0, &all, bad);
    let all = spread(rng, 6_048_000, &weights(0, PLATFORM_DAYS));
    let bad = steady_hits(rng, 3_628, &all);
    series.extend(requests(("arm", "unflagged"), 0, &all, bad));
    series
}

/// Checkouts and what became of them, sessions and tickets of one arm.
fn checkouts(rng: &mut Rng, arm: usize) -> Vec<Counter> {
    let shape = weights(0, PLATFORM_DAYS);
    let label = || vec![("arm", PLATFORM_ARMS[arm])];
    let total = [126_000, 14_000][arm];
    let all = spread(rng, total, &shape);
    let timeouts = steady_hits(rng, [2_268, 84][arm], &all);
    let completed = steady_hits(rng, [113_400, 12_880][arm], &all);
    let sessions = spread(rng, total * 3, &shape);
    let tickets = steady_hits(rng, [4_536, 378][arm], &sessions);
    vec![
        counter("checkouts_total", label(), 0, all),
        counter("checkout_timeouts_total", label(), 0, timeouts),
        counter("checkouts_completed_total", label(), 0, completed),
        counter("sessions_total", label(), 0, sessions),
        counter("tickets_total", label(), 0, tickets),
    ]
}

/// Bounds of the latency histogram in seconds.
pub const BUCKETS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// The latency histogram of one arm: p95 about 450 ms without and 250 ms with the cache.
fn quotes(rng: &mut Rng, arm: usize) -> Vec<Counter> {
    let total = [756_000_u32, 84_000][arm];
    let all = spread(rng, total, &weights(0, PLATFORM_DAYS));
    // Share of requests slower than each finite bound.
    let slower = [[0.70, 0.20, 0.0125, 0.004, 0.0005], [0.45, 0.045, 0.010, 0.002, 0.0003]][arm];
    let mut slow = all.clone();
    let mut series = Vec::new();
    for (bound, share) in BUCKETS.iter().zip(slower) {
        slow = steady_hits(rng, (f64::from(total) * share).round() as u32, &slow);
        let within = all.iter().zip(&slow).map(|(all, slow)| all - slow).collect();
        let labels = vec![("arm", PLATFORM_ARMS[arm]), ("le", *bound)];
        series.push(counter("quote_duration_seconds_bucket", labels, 0, within));
    }
    let labels = vec![("arm", PLATFORM_ARMS[arm]), ("le", "+Inf")];
    series.push(counter("quote_duration_seconds_bucket", labels, 0, all.clone()));
    let labels = vec![("arm", PLATFORM_ARMS[arm])];
    series.push(counter("quote_duration_seconds_count", labels, 0, all));
    series
}

/// Survey answers and tickets of the help desk: the baseline weeks, then both cycles.
fn surveys(rng: &mut Rng) -> Vec<Counter> {
    let (mut answers, mut satisfied) = (Vec::new(), Vec::new());
    let (mut resolved, mut reopened) = (Vec::new(), Vec::new());
    let stretches: [(i64, i64, [u32; 4]); 3] = [
        (-28, 0, [504, 413, 1_120, 34]),
        (0, 42, [756, 620, 1_176, 35]),
        (42, SUPPORT_TO, [684, 561, 1_064, 32]),
    ];
    for (from, to, [asked, happy, done, again]) in stretches {
        let shape = weights(from, to - from);
        let units = spread(rng, asked, &shape);
        let is_first = from < 0;
        satisfied.extend(until(
            rng,
            |rng| hits(rng, happy, &units),
            |cells| {
                let cells = zip(cells, &units);
                let days = by_day(&cells);
                let is_calm = is_first || is_calm_against(&days, (413, 504));
                is_even(&cells) && is_even(&days) && is_calm
            },
        ));
        answers.extend(units);
        let units = spread(rng, done, &shape);
        reopened.extend(until(
            rng,
            |rng| hits(rng, again, &units),
            |cells| is_even(&zip(cells, &units)) && is_silent(&zip(cells, &units), 0.05, 0.1, 0.01),
        ));
        resolved.extend(units);
    }
    vec![
        counter("csat_answers_total", Vec::new(), -28, answers),
        counter("csat_satisfied_total", Vec::new(), -28, satisfied),
        counter("tickets_resolved_total", Vec::new(), -28, resolved),
        counter("tickets_reopened_total", Vec::new(), -28, reopened),
    ]
}

/// Numerators whose hours and days vary like independent units.
fn steady_hits(rng: &mut Rng, total: u32, units: &[u32]) -> Vec<u32> {
    until(
        rng,
        |rng| hits(rng, total, units),
        |cells| {
            let cells = zip(cells, units);
            is_even(&cells) && is_even(&by_day(&cells))
        },
    )
}

/// Hourly cells added up by day.
pub(super) fn by_day(cells: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let day = |hours: &[(u32, u32)]| {
        hours.iter().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1))
    };
    cells.chunks(24).map(day).collect()
}

/// Daily overdispersion of hourly cells.
#[cfg(test)]
pub(super) fn daily_phi(cells: &[(u32, u32)]) -> Option<f64> {
    super::draw::phi(&by_day(cells))
}

fn gauges(rng: &mut Rng) -> Vec<Gauge> {
    let hours = PLATFORM_DAYS * 24;
    let gauge =
        |name, labels, values: Vec<f64>| Gauge { name, labels, first_hour: 0, hours: values };
    let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let mut series = Vec::new();
    for (arm, name) in PLATFORM_ARMS.iter().enumerate() {
        let (depth, ratio) = [(14.0, 0.0), (6.0, 0.78)][arm];
        let mut around = |mean: f64, spread: f64| -> Vec<f64> {
            let value = |hour| hour_weight(hour) * 0.1 + 0.9;
            (0..hours).map(|h| rounded((mean * value(h) + spread * rng.bell()).max(0.0))).collect()
        };
        series.push(gauge("queue_depth", vec![("arm", *name)], around(depth, depth * 0.06)));
        let hit = around(ratio, ratio * 0.03);
        let hit = hit.into_iter().map(|value| value.min(1.0)).collect();
        series.push(gauge("cache_hit_ratio", vec![("arm", *name)], hit));
    }
    let left = |hour: i64| rounded(0.92 - 0.5 * hour as f64 / hours as f64);
    let budget = (0..hours).map(left).collect();
    series.push(gauge("service_error_budget_remaining_ratio", vec![("service", "quote")], budget));
    let rollout = vec![0.1; usize::try_from(hours).unwrap_or(0)];
    series.push(gauge("feature_flag_rollout_ratio", vec![("flag", "quote-cache")], rollout));
    series
}
