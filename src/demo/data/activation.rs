//! The activation story, user by user: signups, events, mails and survey answers.
//!
//! The demo reads daily counts of these users as CSV, the tests load the users themselves into
//! PostgreSQL; both must give the same numbers, so the counts are computed from the users with
//! the meaning of the SQL files. Mess on purpose: another segment, doubled events, late events,
//! users without any.

use std::collections::{BTreeMap, BTreeSet};

use judge::time::{DAY_MS, HOUR_MS};

use super::calendar::{day_weight, midnight};
use super::draw::{Cell, even_hits, hits, is_calm, is_even, spread, until, zip};
use super::rng::Rng;

/// Arms, control first.
pub(super) const ARMS: [&str; 2] = ["control", "checklist"];
/// Days of signups in one cycle.
pub(super) const SIGNUP_DAYS: i64 = 28;
/// Matured users per arm and cycle.
pub(super) const USERS_PER_ARM: u32 = 6_000;

const MINUTE_MS: i64 = HOUR_MS / 60;
const SURVEYED: u32 = 900;

/// What happened to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Key, in order of signup.
    pub id: u32,
    /// Signup, in Unix milliseconds.
    pub at: i64,
    /// Index into `ARMS`.
    pub arm: usize,
    /// `S`, or another one that no query may count.
    pub segment: &'static str,
    /// `(at, name)`, doubles included.
    pub events: Vec<(i64, &'static str)>,
    /// Mails sent to the user.
    pub mails: Vec<i64>,
    /// Survey answers: when, and whether satisfied.
    pub answers: Vec<(i64, bool)>,
}

/// All users of both cycles, ordered by signup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Everybody.
    pub users: Vec<User>,
}

/// Exact totals of one cycle, control then treatment.
struct Totals {
    start: i64,
    action_x: [u32; 2],
    fast: [u32; 2],
    wins: [u32; 2],
    satisfied: [u32; 2],
}

impl Activation {
    /// Both cycles: the proxy moves in both, the outcome only in the second.
    pub fn generate(seed: u64, second_start: i64) -> Self {
        let mut rng = Rng::new(seed, "activation");
        let action_x = [2_400, 2_880];
        let cycles = [
            Totals {
                start: 0,
                action_x,
                fast: [3_300, 3_420],
                wins: [1_620, 1_620],
                satisfied: [720, 729],
            },
            Totals {
                start: second_start,
                action_x,
                fast: [3_300, 3_510],
                wins: [1_620, 1_980],
                satisfied: [722, 736],
            },
        ];
        let mut users = Vec::new();
        for totals in &cycles {
            users.extend(cycle(&mut rng, totals));
            users.extend(elsewhere(&mut rng, totals.start));
        }
        users.sort_by_key(|user| user.at);
        for (index, user) in users.iter_mut().enumerate() {
            user.id = index as u32 + 1;
        }
        Self { users }
    }

    /// Daily `(num, den)` per arm of "did `name` within `hours` of signing up", as known at
    /// 00:00 of `today`; `name` empty means any event.
    pub fn within(&self, name: &str, hours: i64, today: i64) -> BTreeMap<(i64, usize), Cell> {
        let now = midnight(today).as_millisecond();
        let mut cells = BTreeMap::new();
        for user in self.segment().filter(|user| user.at < now) {
            let end = (user.at + hours * HOUR_MS).min(now);
            let did = user.events.iter().any(|(at, event)| {
                (name.is_empty() || *event == name) && (user.at..end).contains(at)
            });
            let cell: &mut Cell = cells.entry((day_of_ms(user.at), user.arm)).or_default();
            *cell = (cell.0 + u32::from(did), cell.1 + 1);
        }
        cells
    }

    /// Daily satisfied answers per arm, by the day of the answer.
    pub fn csat(&self, today: i64) -> BTreeMap<(i64, usize), Cell> {
        let now = midnight(today).as_millisecond();
        let mut cells = BTreeMap::new();
        for user in self.segment() {
            for (at, satisfied) in user.answers.iter().filter(|(at, _)| *at < now) {
                let cell: &mut Cell = cells.entry((day_of_ms(*at), user.arm)).or_default();
                *cell = (cell.0 + u32::from(*satisfied), cell.1 + 1);
            }
        }
        cells
    }

    /// Daily treated users with mail, and those of them with another one within 7 days.
    pub fn mails(&self, today: i64) -> BTreeMap<i64, Cell> {
        let now = midnight(today).as_millisecond();
        let mut days: BTreeMap<i64, (BTreeSet<u32>, BTreeSet<u32>)> = BTreeMap::new();
        for user in self.segment().filter(|user| user.arm == 1) {
            for at in user.mails.iter().filter(|at| **at < now) {
                let (over, units) = days.entry(day_of_ms(*at)).or_default();
                units.insert(user.id);
                let week = at - 7 * DAY_MS..=*at;
                if user.mails.iter().filter(|other| week.contains(other)).count() > 1 {
                    over.insert(user.id);
                }
            }
        }
        let count = |set: BTreeSet<u32>| set.len() as u32;
        days.into_iter().map(|(day, (over, units))| (day, (count(over), count(units)))).collect()
    }

    fn segment(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.segment == "S")
    }
}

fn day_of_ms(at: i64) -> i64 {
    (at - midnight(0).as_millisecond()).div_euclid(DAY_MS)
}

/// 12,000 users of Segment S over 28 days, with exact totals per arm.
fn cycle(rng: &mut Rng, totals: &Totals) -> Vec<User> {
    let days: Vec<f64> = (0..SIGNUP_DAYS).map(day_weight).collect();
    let draw = |rng: &mut Rng| [(); 2].map(|()| spread(rng, USERS_PER_ARM, &days));
    let sizes = until(rng, draw, is_fair_split);
    let action_x = per_arm(rng, &sizes, totals.action_x, |_| true);
    let fast = per_arm(rng, &sizes, totals.fast, |_| true);
    let is_flat = totals.wins[0] == totals.wins[1];
    let wins = per_arm(rng, &sizes, totals.wins, |[control, treatment]| {
        !is_flat || is_calm(treatment, control)
    });
    let mut users = Vec::new();
    for arm in 0..2 {
        for (day, size) in sizes[arm].iter().enumerate() {
            let flag = |count: u32| (0..*size).map(|index| index < count).collect::<Vec<bool>>();
            let mut flags = [action_x[arm][day], fast[arm][day], wins[arm][day]].map(flag);
            for flag in &mut flags {
                rng.shuffle(flag);
            }
            let [action_x, fast, wins] = flags;
            for ((action_x, fast), wins) in action_x.into_iter().zip(fast).zip(wins) {
                let does = [action_x, fast, wins];
                users.push(user(rng, totals.start + day as i64, arm, does));
            }
        }
    }
    survey(rng, &mut users, totals.satisfied);
    users
}

/// No prefix of the days looks like a broken split.
fn is_fair_split(sizes: &[Vec<u32>; 2]) -> bool {
    let mut sums = [0.0, 0.0];
    sizes[0].iter().zip(&sizes[1]).all(|(control, treatment)| {
        sums = [sums[0] + f64::from(*control), sums[1] + f64::from(*treatment)];
        (sums[1] - sums[0]).abs() < 2.5 * (sums[0] + sums[1]).sqrt()
    })
}

/// Exact totals over the days of both arms, varying like independent users.
fn per_arm(
    rng: &mut Rng,
    sizes: &[Vec<u32>; 2],
    totals: [u32; 2],
    accept: impl Fn([&[Cell]; 2]) -> bool,
) -> [Vec<u32>; 2] {
    let draw = |rng: &mut Rng| [0, 1].map(|arm| even_hits(rng, totals[arm], &sizes[arm]));
    until(rng, draw, |[control, treatment]| {
        accept([&zip(control, &sizes[0]), &zip(treatment, &sizes[1])])
    })
}

/// One user of the segment; `does` = action X in 24 h, anything in 4 h, first win in 14 days.
fn user(rng: &mut Rng, day: i64, arm: usize, does: [bool; 3]) -> User {
    let [action_x, fast, wins] = does;
    let at = signup_at(rng, day);
    let mut user = User {
        id: 0,
        at,
        arm,
        segment: "S",
        events: Vec::new(),
        mails: Vec::new(),
        answers: vec![],
    };
    let mut between = |from: i64, to: i64| at + from + rng.below((to - from) as u64) as i64;
    let quiet = 4 * HOUR_MS + MINUTE_MS;
    if fast {
        user.events.push((between(MINUTE_MS, 4 * HOUR_MS), "page_view"));
    }
    let earliest = if fast { 10 * MINUTE_MS } else { quiet };
    if action_x {
        user.events.push((between(earliest, 24 * HOUR_MS), "action_x"));
    }
    if wins {
        let half = between(quiet, 5 * DAY_MS);
        let whole = between(quiet, 14 * DAY_MS);
        user.events.push((half.min(whole), "first_win"));
    }
    if !action_x && rng.chance(0.08) {
        // Too late to count.
        user.events.push((at + 25 * HOUR_MS + rng.below(3 * DAY_MS as u64) as i64, "action_x"));
    }
    if !wins && rng.chance(0.04) {
        user.events.push((at + 14 * DAY_MS + rng.below(5 * DAY_MS as u64) as i64, "first_win"));
    }
    if !fast && rng.chance(0.4) {
        user.events.push((at + quiet + rng.below(2 * DAY_MS as u64) as i64, "page_view"));
    }
    if rng.chance(0.05) {
        // The tracker sends some events twice.
        user.events.extend(user.events.first().copied());
    }
    user.events.sort_unstable();
    if arm == 1 && !action_x && rng.chance(0.6) {
        nudge(rng, &mut user);
    }
    user
}

/// Mail to a user who stalled, and to some another one after the cap's seven days.
fn nudge(rng: &mut Rng, user: &mut User) {
    let first = user.at + 26 * HOUR_MS + rng.below(6 * HOUR_MS as u64) as i64;
    user.mails.push(first);
    if rng.chance(0.2) {
        user.mails.push(first + 8 * DAY_MS + rng.below(DAY_MS as u64) as i64);
    }
}

fn signup_at(rng: &mut Rng, day: i64) -> i64 {
    // Two draws, the later one kept, three times in four: people sign up in the daytime.
    let place = rng.below(DAY_MS as u64 - 1_000) as i64;
    let other = rng.below(DAY_MS as u64 - 1_000) as i64;
    let chosen = if rng.chance(0.75) { place.max(other) } else { place.min(other) };
    midnight(day).as_millisecond() + chosen
}

/// 900 answers per arm, half a day to nine days after signing up.
fn survey(rng: &mut Rng, users: &mut [User], satisfied: [u32; 2]) {
    let draw = |rng: &mut Rng| {
        let mut answers = Vec::new();
        for (arm, happy) in satisfied.iter().enumerate() {
            let mut asked: Vec<usize> =
                (0..users.len()).filter(|index| users[*index].arm == arm).collect();
            rng.shuffle(&mut asked);
            asked.truncate(SURVEYED as usize);
            let marks = hits(rng, *happy, &vec![1; asked.len()]);
            for (index, mark) in asked.into_iter().zip(marks) {
                let wait = 12 * HOUR_MS + rng.below(8 * DAY_MS as u64) as i64;
                answers.push((index, users[index].at + wait, mark == 1));
            }
        }
        answers
    };
    let accept = |answers: &Vec<(usize, i64, bool)>| {
        let mut days: BTreeMap<i64, [Cell; 2]> = BTreeMap::new();
        for (index, at, happy) in answers {
            let cell = &mut days.entry(day_of_ms(*at)).or_default()[users[*index].arm];
            *cell = (cell.0 + u32::from(*happy), cell.1 + 1);
        }
        let cells = |arm: usize| days.values().map(|day| day[arm]).collect::<Vec<_>>();
        let (control, treatment) = (cells(0), cells(1));
        is_even(&control) && is_even(&treatment) && is_calm(&treatment, &control)
    };
    for (index, at, happy) in until(rng, draw, accept) {
        users[index].answers.push((at, happy));
    }
}

/// Users of another segment, with habits that would spoil the counts if they slipped in.
fn elsewhere(rng: &mut Rng, start: i64) -> Vec<User> {
    let mut other = |index: u32| {
        let day = start + rng.below(SIGNUP_DAYS as u64) as i64;
        let does = [rng.chance(0.9), rng.chance(0.9), rng.chance(0.8)];
        let mut user = user(rng, day, (index % 2) as usize, does);
        user.segment = "M";
        user.mails.extend([user.at + HOUR_MS, user.at + DAY_MS]);
        user.answers.push((user.at + DAY_MS, false));
        user
    };
    (0..1_000).map(&mut other).collect()
}
