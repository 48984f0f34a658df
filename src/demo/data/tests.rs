//! The counts of the contract, for many seeds.

use super::activation::{SIGNUP_DAYS, USERS_PER_ARM};
use super::cohorts::SUPPORT_DAYS;
use super::draw::{Cell, phi};
use super::hourly::daily_phi;
use super::*;
use judge::stats::info_time::{ln_p_from_log_e, log_e_one_sided};
use judge::stats::one_proportion::{log_e, prior};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

fn sum(cells: &[Cell]) -> Cell {
    cells.iter().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1))
}

/// Checks the total of daily cells and that they vary like independent units.
fn holds(what: &str, seed: u64, cells: &[Cell], total: Cell) {
    assert_eq!(sum(cells), total, "{what}, seed {seed}");
    let phi = phi(cells).unwrap();
    assert!(phi <= 1.2, "{what}, seed {seed}: phi {phi}");
}

fn arm_cells(story: &Activation, query: (&str, i64), start: i64, arm: usize) -> Vec<Cell> {
    let cells = story.within(query.0, query.1, LAST_DAY + 28);
    (start..start + SIGNUP_DAYS).map(|day| cells[&(day, arm)]).collect()
}

#[test]
fn activation_has_the_counts_of_the_contract() {
    for seed in SEEDS {
        let story = Activation::generate(seed, ACTIVATION_SECOND);
        for (start, wins) in [(0, [1_620, 1_620]), (ACTIVATION_SECOND, [1_620, 1_980])] {
            for arm in 0..2 {
                let proxy = arm_cells(&story, ("action_x", 24), start, arm);
                holds("proxy", seed, &proxy, ([2_400, 2_880][arm], USERS_PER_ARM));
                let outcome = arm_cells(&story, ("first_win", 336), start, arm);
                holds("outcome", seed, &outcome, (wins[arm], USERS_PER_ARM));
                let fast = arm_cells(&story, ("", 4), start, arm);
                assert!(phi(&fast).unwrap() <= 1.2, "fast start, seed {seed}");
            }
        }
        let mails: Vec<Cell> = story.mails(LAST_DAY).into_values().collect();
        assert_eq!(sum(&mails).0, 0, "a user got two mails in 7 days, seed {seed}");
        assert!(sum(&mails).1 > 2_000);
    }
}

#[test]
fn an_export_knows_only_what_was_known() {
    let story = Activation::generate(1, ACTIVATION_SECOND);
    let early = story.within("first_win", 336, 20);
    let late = story.within("first_win", 336, 60);
    assert_eq!(early.keys().map(|(day, _)| *day).max(), Some(19));
    assert!(early[&(15, 0)].0 < late[&(15, 0)].0, "a young cohort has grown");
    assert_eq!(early[&(5, 0)], late[&(5, 0)], "a matured one has not");
}

#[test]
fn recruiting_has_the_counts_of_the_contract() {
    for seed in SEEDS {
        let story = Recruiting::generate(seed);
        let cells = |num: &str| story.candidates.cells(num, "contacted", 0, 28);
        holds("personalised", seed, &cells("personalised"), (340, 400));
        holds("replied", seed, &cells("replied"), (120, 400));
        holds("qualified", seed, &cells("qualified"), (48, 400));
        let words = story.messages.cells("over_150_words", "messages_sent", 0, 70);
        assert_eq!(sum(&words), (12, 1_200), "seed {seed}");
        assert_eq!(sum(&story.messages.cells("over_4_touches", "candidates", 0, 70)).0, 0);
    }
}

#[test]
fn sales_has_the_counts_of_the_contract_and_stays_inconclusive_until_week_six() {
    for seed in SEEDS {
        let story = Sales::generate(seed);
        let cells = |num: &str, to: i64| story.calls.cells(num, "calls", 0, to);
        holds("weeks 1-4", seed, &cells("qualified", 28), (23, 160));
        holds("weeks 1-8", seed, &cells("qualified", 56), (50, 320));
        holds("checklist", seed, &cells("with_checklist", 28), (136, 160));
        holds("checklist", seed, &cells("with_checklist", 56), (272, 320));
        let mut seen = (0, 0);
        for cell in cells("qualified", 28) {
            seen = (seen.0 + cell.0, seen.1 + cell.1);
            let found = log_e(prior(0.09, 0.15), f64::from(seen.0), f64::from(seen.1), 0.09);
            assert!(found < 20.0_f64.ln(), "seed {seed}: {seen:?} already decides");
        }
        let found = log_e(prior(0.09, 0.15), 50.0, 320.0, 0.09);
        assert!(found >= 20.0_f64.ln(), "50 of 320 decides: {found}");
    }
}

#[test]
fn support_has_the_counts_of_the_contract() {
    for seed in SEEDS {
        let story = Support::generate(seed, SUPPORT_SECOND);
        let resolved =
            |from: i64, to: i64| story.resolution.cells("resolved_48h", "opened", from, to);
        holds("baseline", seed, &resolved(-28, 0), (660, 1_200));
        for start in [0, SUPPORT_SECOND] {
            let end = start + SUPPORT_DAYS;
            holds("resolved", seed, &resolved(start, end), (552, 1_000));
            let tagged = story.tickets.cells("tagged", "opened", start, end);
            holds("tagged", seed, &tagged, (740, 1_000));
        }
    }
}

fn hourly(metrics: &Metrics, num: &Counter, den: &str, labels: &[(&str, &str)]) -> Vec<Cell> {
    let den = metrics.counter(den, labels).unwrap();
    num.hours.iter().copied().zip(den.hours.iter().copied()).collect()
}

fn flagged_requests(metrics: &Metrics) -> Vec<Cell> {
    let labels = |code| [("arm", "flagged"), ("code", code)];
    let good = metrics.counter("http_requests_total", &labels("200")).unwrap();
    let bad = metrics.counter("http_requests_total", &labels("500")).unwrap();
    bad.hours.iter().zip(&good.hours).map(|(bad, good)| (*bad, bad + good)).collect()
}

/// First hour at which the exact e-process, and the overdispersed bound, show a breach.
fn crossings(cells: &[Cell]) -> (Option<usize>, Option<usize>) {
    let (mut exact, mut uneven, mut seen) = (None, None, (0, 0));
    for (hour, cell) in cells.iter().enumerate() {
        seen = (seen.0 + cell.0, seen.1 + cell.1);
        let (bad, total, q) = (f64::from(seen.0), f64::from(seen.1), 0.001);
        let share = bad / total;
        if share <= q {
            continue;
        }
        if log_e(prior(q, 2.0 * q), bad, total, q) >= 100.0_f64.ln() {
            exact = exact.or(Some(hour));
        }
        let phi = phi(&cells[..=hour]).unwrap_or(1.0).max(1.0);
        let smooth = (bad + 1.0) / (total + 2.0);
        let se = (phi * smooth * (1.0 - smooth) / total).sqrt();
        if ln_p_from_log_e(log_e_one_sided(share - q, se, q)) <= 0.01_f64.ln() {
            uneven = uneven.or(Some(hour));
        }
    }
    (exact, uneven)
}

#[test]
fn the_error_budget_holds_for_eight_days_and_breaks_on_the_ninth() {
    for seed in SEEDS {
        let cells = flagged_requests(&Metrics::generate(seed));
        assert_eq!(sum(&cells[..192]), (300, 384_000), "days 1-8, seed {seed}");
        assert_eq!(sum(&cells[192..216]), (840, 48_000), "day 9, seed {seed}");
        assert!(daily_phi(&cells[..192]).unwrap() <= 1.2, "seed {seed}");
        let (exact, uneven) = crossings(&cells);
        let (exact, uneven) = (exact.unwrap(), uneven.unwrap());
        assert!(exact < uneven, "the exact test is the quicker one, seed {seed}");
        assert!((192..216).contains(&exact), "exact crossing at hour {exact}, seed {seed}");
        assert!((192..216).contains(&uneven), "uneven crossing at hour {uneven}, seed {seed}");
    }
}

#[test]
fn the_platform_series_show_what_the_story_says() {
    for seed in SEEDS {
        let metrics = Metrics::generate(seed);
        let share = |name: &str, arm: &'static str| {
            let labels = [("arm", arm)];
            let num = metrics.counter(name, &labels).unwrap();
            let cells = hourly(&metrics, num, "checkouts_total", &labels);
            assert!(daily_phi(&cells).unwrap() <= 1.2, "{name} {arm}, seed {seed}");
            let (num, den) = sum(&cells);
            f64::from(num) / f64::from(den)
        };
        assert!((share("checkout_timeouts_total", "unflagged") - 0.018).abs() < 1e-9);
        assert!((share("checkout_timeouts_total", "flagged") - 0.006).abs() < 1e-9);
        assert!(share("checkouts_completed_total", "flagged") > 0.9);
        for arm in ["unflagged", "flagged"] {
            for pair in BUCKETS.windows(2) {
                let bucket = |le| {
                    let labels = [("arm", arm), ("le", le)];
                    metrics.counter("quote_duration_seconds_bucket", &labels).unwrap()
                };
                let (small, large) = (&bucket(pair[0]).hours, &bucket(pair[1]).hours);
                assert!(small.iter().zip(large).all(|(small, large)| small <= large));
            }
        }
    }
}

#[test]
fn support_surveys_stay_where_they_were() {
    for seed in SEEDS {
        let metrics = Metrics::generate(seed);
        let happy = metrics.counter("csat_satisfied_total", &[]).unwrap();
        let cells = hourly(&metrics, happy, "csat_answers_total", &[]);
        assert_eq!(sum(&cells[..28 * 24]), (413, 504), "seed {seed}");
        for stretch in [&cells[..28 * 24], &cells[28 * 24..70 * 24], &cells[70 * 24..]] {
            assert!(daily_phi(stretch).unwrap() <= 1.2, "seed {seed}");
        }
        let again = metrics.counter("tickets_reopened_total", &[]).unwrap();
        let (again, all) = sum(&hourly(&metrics, again, "tickets_resolved_total", &[]));
        assert!(f64::from(again) < 0.035 * f64::from(all), "seed {seed}");
    }
}

#[test]
fn the_resolution_export_is_missing_until_it_is_mended() {
    let stories = Stories::generate(1);
    let names = |day: i64| -> Vec<String> {
        let files = stories.files_at(day);
        files.into_keys().filter(|name| name.contains("resolution")).collect()
    };
    assert_eq!(names(RESOLUTION_DAY - 1).len(), 4, "only the baseline");
    assert_eq!(names(RESOLUTION_DAY).len(), 9);
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_one_others() {
    assert_eq!(data_files(3), data_files(3));
    assert_ne!(data_files(3), data_files(4));
}

#[test]
fn the_files_in_the_repository_are_those_of_seed_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    if std::env::var_os("VERDICTD_TEST_BLESS").is_some() {
        write_data(&folder, 1).unwrap();
    }
    for (name, text) in data_files(1) {
        let found = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(found == text, "{name} differs: run this test with VERDICTD_TEST_BLESS=1");
    }
}

#[test]
fn the_database_holds_every_user_and_event_once() {
    let story = Activation::generate(1, ACTIVATION_SECOND);
    let text = activation_sql(1);
    let rows = |table: &str| -> usize {
        let head = format!("insert into {table} values\n");
        let blocks = text.split(&head).skip(1);
        blocks.map(|block| block.split(';').next().unwrap().lines().count()).sum()
    };
    assert_eq!(rows("signups"), story.users.len());
    let events: usize = story.users.iter().map(|user| user.events.len()).sum();
    assert_eq!(rows("events"), events);
    assert!(story.users.iter().any(|user| user.events.is_empty()), "some did nothing");
}

#[test]
fn counters_are_exposed_cumulatively_in_order() {
    let text = openmetrics(1);
    assert!(text.ends_with("# EOF\n"));
    let series = "tickets_reopened_total ";
    let values = text.lines().filter_map(|line| line.strip_prefix(series));
    let samples: Vec<(f64, i64)> = values
        .map(|line| {
            let (value, at) = line.split_once(' ').unwrap();
            (value.parse().unwrap(), at.parse().unwrap())
        })
        .collect();
    assert!(samples.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 + 1_800 == w[1].1));
    assert_eq!(samples.first().unwrap().0, 0.0);
    let total = Metrics::generate(1)
        .counter("tickets_reopened_total", &[])
        .unwrap()
        .hours
        .iter()
        .sum::<u32>();
    assert_eq!(samples.last().unwrap().0, f64::from(total));
}
