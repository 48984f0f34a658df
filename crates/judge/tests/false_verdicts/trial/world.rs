//! The data of one run: what the exports of its days would say.

use judge::points::{ALL, Point, Sums};
use judge::time::{DAY_MS, HOUR_MS, add_ms};

use super::designs::{Against, Design, Series, World};
use crate::designs::midnight;
use crate::dice::Dice;

/// Days of a measured baseline.
const BEFORE: i64 = 28;

/// Level of the comparison and level of what is judged.
pub(crate) type Levels = (f64, f64);

/// All points of a run, in time order.
pub(crate) fn points(design: &Design, days: i64, levels: Levels, dice: &mut Dice) -> Vec<Point> {
    let arms: &[&str] =
        if design.against == Against::Arms { &["control", "treatment"] } else { &[ALL] };
    if let World::Series(series) = design.world {
        let before = if design.against == Against::Window { BEFORE } else { 0 };
        return steps(series, arms, (-before, days), levels, dice);
    }
    let mut points = Vec::new();
    for day in 0..days {
        for (index, arm) in arms.iter().enumerate() {
            let held = index + 1 < arms.len();
            let sums = sums(design.world, if held { levels.0 } else { levels.1 }, dice);
            let (start, end) = (midnight(day), midnight(day + 1));
            points.push(Point { arm: (*arm).to_owned(), start, end, sums });
        }
    }
    points
}

fn sums(world: World, level: f64, dice: &mut Dice) -> Sums {
    match world {
        World::Share(units) => {
            Sums::Proportion { num: dice.hits(units, level), den: f64::from(units) }
        }
        World::Amount(units, sigma) => amounts(units, sigma, level, dice),
        World::Tries(units) => tries(units, level, dice),
        World::Events(exposure) => Sums::Rate { events: dice.poisson(level * exposure), exposure },
        World::Series(_) => Sums::Value { value: level },
    }
}

fn amounts(units: u32, sigma: f64, mean: f64, dice: &mut Dice) -> Sums {
    let (mut sum, mut sum_sq) = (0.0, 0.0);
    for _ in 0..units {
        let amount = if sigma > 0.0 {
            mean * libm::exp(sigma * dice.normal() - 0.5 * sigma * sigma)
        } else {
            dice.exponential(mean)
        };
        sum += amount;
        sum_sq += amount * amount;
    }
    Sums::Mean { n: f64::from(units), sum, sum_sq }
}

/// One try and Poisson(2) more, each hit at the unit's own rate, uniform around the level.
fn tries(units: u32, level: f64, dice: &mut Dice) -> Sums {
    let (mut num, mut den, mut num_sq, mut den_sq, mut cross) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for _ in 0..units {
        let rate = level * (1.0 + 4.0 / 3.0 * (dice.uniform() - 0.5));
        let tried = 1.0 + dice.poisson(2.0);
        let hits = dice.hits(tried as u32, rate);
        num += hits;
        den += tried;
        num_sq += hits * hits;
        den_sq += tried * tried;
        cross += hits * tried;
    }
    Sums::Ratio { n: f64::from(units), num, den, num_sq, den_sq, cross }
}

/// Every AR(1) process begins in its stationary law.
struct Wave {
    phi: f64,
    sd: f64,
    now: f64,
}

impl Wave {
    fn new(phi: f64, sd: f64, dice: &mut Dice) -> Self {
        Self { phi, sd, now: sd * dice.normal() }
    }

    fn next(&mut self, dice: &mut Dice) -> f64 {
        let kick = self.sd * (1.0 - self.phi * self.phi).sqrt();
        self.now = self.phi * self.now + kick * dice.normal();
        self.now
    }
}

fn steps(
    series: Series,
    arms: &[&str],
    (from, to): (i64, i64),
    levels: Levels,
    dice: &mut Dice,
) -> Vec<Point> {
    let length = HOUR_MS / series.per_hour;
    let both = arms.len() > 1;
    let own = if both { 7.0 } else { 10.0 };
    let mut shared = Wave::new(0.9, 10.0, dice);
    let mut waves: Vec<Wave> = arms.iter().map(|_| Wave::new(series.phi, own, dice)).collect();
    let mut points = Vec::new();
    for step in from * 24 * series.per_hour..to * 24 * series.per_hour {
        let start = add_ms(midnight(0), step * length);
        let end = add_ms(start, length);
        let load = if both { shared.next(dice) } else { 0.0 };
        let load = load + if series.cycles { season(step * length) } else { 0.0 };
        for (index, arm) in arms.iter().enumerate() {
            let changed = step >= 0 && index + 1 == arms.len();
            let level = if changed { levels.1 } else { levels.0 };
            let value = level + load + waves[index].next(dice);
            points.push(Point { arm: (*arm).to_owned(), start, end, sums: Sums::Value { value } });
        }
    }
    points
}

/// Hour of the week of an instant so many ms after the start, a Thursday.
pub(crate) fn week_hour(ms: i64) -> u16 {
    (3 * 24 + ms.div_euclid(HOUR_MS)).rem_euclid(168) as u16
}

/// Nothing on average over a week.
fn season(ms: i64) -> f64 {
    let of_day = ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    let days = if week_hour(ms) >= 5 * 24 { -5.0 } else { 2.0 };
    20.0 * libm::sin(2.0 * core::f64::consts::PI * of_day) + 15.0 / 7.0 * days
}
