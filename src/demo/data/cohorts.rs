//! The three stories that live in weekly CSV exports: recruiting, sales and support.
//!
//! A cohort is one day's units. What happens to them becomes known days later, so an export
//! restates earlier days until they have matured; counts here are per day of becoming known.

use super::calendar::{day_weight, is_weekday};
use super::draw::{even_hits, hits, is_calm_against, is_even, is_silent, spread, stays_below};
use super::draw::{until, zip};
use super::rng::Rng;

/// One kind of export: cohorts by day with named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohorts {
    /// File name up to the date.
    pub prefix: &'static str,
    /// Column names beside `date`.
    pub columns: &'static [&'static str],
    /// Days with units, oldest first.
    pub days: Vec<CohortDay>,
}

/// One day's cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortDay {
    /// Day number.
    pub day: i64,
    /// Per column: how many became known 0, 1, 2, ... days after the day's end.
    pub known: Vec<Vec<u32>>,
}

impl CohortDay {
    /// What an export at 00:00 of `day` says about a column.
    pub fn seen(&self, column: usize, day: i64) -> u32 {
        let lags = usize::try_from(day - self.day).unwrap_or(0);
        self.known.get(column).map_or(0, |known| known.iter().take(lags).sum())
    }

    /// What it says once everything is known.
    pub fn total(&self, column: usize) -> u32 {
        self.known.get(column).map_or(0, |known| known.iter().sum())
    }
}

impl Cohorts {
    /// Final `(num, den)` cells of two columns over `[from, to)`.
    pub fn cells(&self, num: &str, den: &str, from: i64, to: i64) -> Vec<(u32, u32)> {
        let index = |name: &str| self.columns.iter().position(|column| *column == name);
        let (Some(num), Some(den)) = (index(num), index(den)) else {
            return Vec::new();
        };
        let days = self.days.iter().filter(|day| (from..to).contains(&day.day));
        days.map(|day| (day.total(num), day.total(den))).collect()
    }

    fn new(
        prefix: &'static str,
        columns: &'static [&'static str],
        days: &[i64],
        known: Vec<Vec<Vec<u32>>>,
    ) -> Self {
        let day = |(index, day): (usize, &i64)| CohortDay {
            day: *day,
            known: known.iter().map(|column| column[index].clone()).collect(),
        };
        Self { prefix, columns, days: days.iter().enumerate().map(day).collect() }
    }
}

/// Counts that are known when the day ends.
fn at_once(counts: &[u32]) -> Vec<Vec<u32>> {
    counts.iter().map(|count| vec![*count]).collect()
}

/// Counts that become known over up to `longest` days, most of them early.
fn later(rng: &mut Rng, counts: &[u32], longest: usize) -> Vec<Vec<u32>> {
    let mut lag = |count: &u32| {
        let mut known = vec![0; longest + 1];
        for _ in 0..*count {
            let place = rng.unit();
            known[((place * place) * (longest as f64 + 1.0)) as usize] += 1;
        }
        known
    };
    counts.iter().map(&mut lag).collect()
}

fn weekdays(weeks: i64) -> Vec<i64> {
    (0..weeks * 7).filter(|day| is_weekday(*day)).collect()
}

/// Recruiting: candidates by the day of the first message, and messages by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recruiting {
    /// `contacted`, `personalised`, `replied`, `qualified`.
    pub candidates: Cohorts,
    /// `candidates`, `messages_sent` and the limits' columns.
    pub messages: Cohorts,
}

impl Recruiting {
    /// 400 candidates of weeks 1 to 4: 340 personalised, 120 replies, 48 qualified screens.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "recruiting");
        let days = weekdays(4);
        let weeks = (0..4).flat_map(|_| spread(&mut rng, 100, &[1.2, 1.1, 1.0, 1.0, 0.8]));
        let contacted: Vec<u32> = weeks.collect();
        let personalised = even_hits(&mut rng, 340, &contacted);
        let replied = even_hits(&mut rng, 120, &contacted);
        let qualified = until(
            &mut rng,
            |rng| hits(rng, 48, &replied),
            |cells| {
                let cells = zip(cells, &contacted);
                is_even(&cells) && rises(&cells, 0.06)
            },
        );
        let columns = &["contacted", "personalised", "replied", "qualified"];
        let known = vec![
            at_once(&contacted),
            at_once(&personalised),
            later(&mut rng, &replied, 14),
            later(&mut rng, &qualified, 21),
        ];
        let candidates = Cohorts::new("candidates", columns, &days, known);
        Self { candidates, messages: messages(&mut rng) }
    }
}

/// Whether an early look cannot take the path for a fall below the baseline.
fn rises(cells: &[(u32, u32)], p0: f64) -> bool {
    let mut sum = (0, 0);
    cells.iter().all(|cell| {
        sum = (sum.0 + cell.0, sum.1 + cell.1);
        f64::from(sum.0) >= p0 * f64::from(sum.1) || sum.1 < 60
    })
}

/// 1,200 messages over six weeks: touches go on for 14 days after the last first message.
fn messages(rng: &mut Rng) -> Cohorts {
    let days = weekdays(6);
    let weight = |day: &i64| match day / 7 {
        0 => 0.5,
        1..=3 => 1.0,
        _ => 0.45,
    };
    let sent = spread(rng, 1_200, &days.iter().map(weight).collect::<Vec<_>>());
    let long =
        until(rng, |rng| hits(rng, 12, &sent), |cells| stays_below(&zip(cells, &sent), 0.02));
    let none = vec![0; sent.len()];
    let columns: &[&str] =
        &["candidates", "messages_sent", "do_not_contact_hits", "over_4_touches", "over_150_words"];
    let known = [&sent, &sent, &none, &none, &long].map(|counts| at_once(counts)).to_vec();
    Cohorts::new("messages", columns, &days, known)
}

/// Sales: first calls by day, and follow-ups by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sales {
    /// `calls`, `with_checklist`, `fit_confirmed`, `demos_up_to_10_min`, `qualified`.
    pub calls: Cohorts,
    /// `leads` and the limits' columns.
    pub follow_ups: Cohorts,
}

impl Sales {
    /// 160 calls of weeks 1 to 4 with 23 qualified; 320 of weeks 1 to 8 with 50.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "sales");
        let days = weekdays(8);
        let weeks = (0..8).flat_map(|_| spread(&mut rng, 40, &[0.9, 1.1, 1.1, 1.0, 0.9]));
        let calls: Vec<u32> = weeks.collect();
        let (early, late) = calls.split_at(20);
        let mut halves = |first: u32, second: u32, units: &[u32]| {
            let (one, two) = units.split_at(20);
            let draw = |rng: &mut Rng| [hits(rng, first, one), hits(rng, second, two)].concat();
            until(&mut rng, draw, |cells| {
                let cells = zip(cells, units);
                is_even(&cells) && is_even(&cells[..20])
            })
        };
        let checklist = halves(136, 136, &calls);
        let fit = halves(96, 96, &calls);
        let short = halves(77, 77, &fit);
        let draw = |rng: &mut Rng| [hits(rng, 23, early), hits(rng, 27, late)].concat();
        let qualified = until(&mut rng, draw, |cells| {
            let cells = zip(cells, &calls);
            // 23 of 160 must stay inconclusive at every look of the first six weeks.
            is_even(&cells) && is_even(&cells[..20]) && is_silent(&cells[..20], 0.09, 0.15, 0.05)
        });
        let columns: &[&str] =
            &["calls", "with_checklist", "fit_confirmed", "demos_up_to_10_min", "qualified"];
        let known = vec![
            at_once(&calls),
            at_once(&checklist),
            at_once(&fit),
            at_once(&short),
            later(&mut rng, &qualified, 14),
        ];
        let calls = Cohorts::new("calls", columns, &days, known);
        Self { calls, follow_ups: follow_ups(&mut rng) }
    }
}

fn follow_ups(rng: &mut Rng) -> Cohorts {
    let days = weekdays(9);
    let leads = spread(rng, 405, &vec![1.0; days.len()]);
    let over =
        until(rng, |rng| hits(rng, 4, &leads), |cells| stays_below(&zip(cells, &leads), 0.02));
    let none = vec![0; leads.len()];
    let columns: &[&str] = &["leads", "over_2_without_problem", "do_not_pitch_hits"];
    let known = [&leads, &over, &none].map(|counts| at_once(counts)).to_vec();
    Cohorts::new("follow_ups", columns, &days, known)
}

/// Support: tickets by the day they were opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// `opened`, `tagged`.
    pub tickets: Cohorts,
    /// `opened`, `resolved_48h`; the four weeks before the start are the measured baseline.
    pub resolution: Cohorts,
}

/// Days with tickets in one cycle: the last ones have matured 48 h at the checkpoint.
pub(super) const SUPPORT_DAYS: i64 = 33;

impl Support {
    /// Baseline 660 of 1,200; each cycle 1,000 tickets, 740 tagged, 552 resolved in 48 hours.
    pub fn generate(seed: u64, second_start: i64) -> Self {
        let mut rng = Rng::new(seed, "support");
        let before: Vec<i64> = (-28..0).collect();
        let opened_before = spread_by_day(&mut rng, 1_200, &before);
        let resolved_before = even_hits(&mut rng, 660, &opened_before);
        let (mut days, mut opened) = (Vec::new(), Vec::new());
        let (mut tagged, mut resolved) = (Vec::new(), Vec::new());
        for start in [0, second_start] {
            let cycle: Vec<i64> = (start..start + SUPPORT_DAYS).collect();
            let units = spread_by_day(&mut rng, 1_000, &cycle);
            tagged.extend(even_hits(&mut rng, 740, &units));
            resolved.extend(until(
                &mut rng,
                |rng| hits(rng, 552, &units),
                |cells| {
                    let cells = zip(cells, &units);
                    is_even(&cells) && is_calm_against(&cells, (660, 1_200))
                },
            ));
            opened.extend(units);
            days.extend(cycle);
        }
        let known = vec![at_once(&opened), at_once(&tagged)];
        let tickets = Cohorts::new("tickets", &["opened", "tagged"], &days, known);
        let opened = [opened_before, opened].concat();
        // The baseline was exported once all of it had matured.
        let resolved = [at_once(&resolved_before), later(&mut rng, &resolved, 2)].concat();
        let known = vec![at_once(&opened), resolved];
        let days = [before, days].concat();
        let resolution = Cohorts::new("resolution", &["opened", "resolved_48h"], &days, known);
        Self { tickets, resolution }
    }
}

fn spread_by_day(rng: &mut Rng, total: u32, days: &[i64]) -> Vec<u32> {
    spread(rng, total, &days.iter().map(|day| day_weight(*day)).collect::<Vec<_>>())
}
