//! Histories in which nothing happened, made from a history in which something may have.
//!
//! For `replay --aa`: how often does *this* file call *this* data a change when there is none? The
//! makers keep the data's own periods, sizes, time pattern and spread, and take away only what
//! tells the two sides of a comparison apart. First of all the effect itself: each arm is centred
//! on the level of both. An effect that were left in would change its sign with every period and
//! come out as spread that the data do not have. Pure: all chance comes from (seed, run, index)
//! through a counter-based generator, so a run is the same alone and among thousands.
//!
//! | design | maker |
//! |---|---|
//! | arms, all forms | the arms of a stretch of periods change places with probability 1/2 |
//! | arms of unequal size | what an arm lies above the stretch's pooled level changes its sign |
//! | stated baseline, counts | binomial or Poisson counts at the baseline, with the data's phi |
//! | stated or measured baseline, else | deviations from the baseline, circularly shifted |
//!
//! A sign change is exact for differences that are symmetric and independent between stretches; a
//! stretch is one period for counts and a block (Politis and White) for plain series. A circular
//! shift keeps the dependence between neighbours (one seam apart).

use std::collections::BTreeMap;

use crate::points::{Covariate, Extra, Point, Sums};
use crate::stats::autocorrelation::politis_white;
use crate::stats::overdispersion::{phi_binomial, phi_poisson};
use crate::time::Timestamp;

/// Chance as a function: splitmix64 over (seed, run, index).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    key: u64,
}

impl Chance {
    /// The chance of one run.
    pub fn new(seed: u64, run: u64) -> Self {
        Self { key: mixed(mixed(seed).wrapping_add(run.wrapping_mul(0xd134_2543_de82_ef95))) }
    }

    /// Uniform in (0, 1), the same for the same index.
    pub fn uniform(self, index: u64) -> f64 {
        let bits = mixed(self.key ^ mixed(index));
        ((bits >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    /// Standard normal (Box and Muller), the same for the same index.
    pub fn normal(self, index: u64) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform(index))).sqrt();
        let angle = self.uniform(index ^ 0x5851_f42d_4c95_7f2d);
        radius * libm::cos(2.0 * core::f64::consts::PI * angle)
    }

    /// True with probability 1/2.
    fn coin(self, index: u64) -> bool {
        self.uniform(index) < 0.5
    }
}

fn mixed(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Arms whose sizes differ by less than this share of the larger may change places.
const ALIKE: f64 = 0.05;

/// A history of two arms in which they do not differ. Periods are taken by their start, so that
/// the signals of one experiment change places together and stay as related as they are.
pub fn arms(points: &[Point], control: &str, treatment: &str, chance: Chance) -> Vec<Point> {
    let points = &centred(points, [control, treatment]);
    let mut cells: BTreeMap<Timestamp, [Option<&Point>; 2]> = BTreeMap::new();
    for point in points {
        let pair = cells.entry(point.start).or_default();
        if point.arm == control {
            pair[0] = Some(point);
        } else if point.arm == treatment {
            pair[1] = Some(point);
        }
    }
    let stretch = stretch(&cells);
    let units = |arm: &str| -> f64 {
        points.iter().filter(|point| point.arm == arm).map(|point| point.sums.units()).sum()
    };
    let (held, treated) = (units(control), units(treatment));
    let alike = (held - treated).abs() <= ALIKE * held.max(treated);
    // Mirrored shares are new counts, of which no covariate is known.
    let is_share = |sums| matches!(sums, Sums::Detailed { share: true, .. });
    let made_of = |point: &Point| match point.sums {
        sums if !alike && is_share(sums) => sums.plain(),
        sums => sums,
    };
    let mut made = Vec::with_capacity(points.len());
    let mut first = None;
    for (index, (start, pair)) in cells.into_iter().enumerate() {
        if index % stretch == 0 {
            first = Some(start);
        }
        let key = first.map_or(0, Timestamp::as_millisecond).unsigned_abs();
        let turns = chance.coin(key);
        let sums = match pair {
            [Some(held), Some(treated)] if turns && alike => [treated.sums, held.sums],
            [Some(held), Some(treated)] if turns => mirrored(made_of(held), made_of(treated)),
            // A period of one arm alone compares nothing.
            _ => [pair[0].map(made_of), pair[1].map(made_of)]
                .map(|sums| sums.unwrap_or(Sums::Value { value: f64::NAN })),
        };
        for (point, sums) in pair.into_iter().zip(sums) {
            made.extend(point.map(|point| Point { sums, ..point.clone() }));
        }
    }
    made
}

/// Both arms moved to the level that they have together: their difference over the whole history
/// is gone, what their periods differ by from one to the next stays. (With m periods the spread of
/// what is left is that of the data times 1 - 1/m.)
fn centred(points: &[Point], arms: [&str; 2]) -> Vec<Point> {
    let of_arm = |arm: &str| {
        let own: Vec<&Point> = points.iter().filter(|point| point.arm == arm).collect();
        level_of(&own)
    };
    let both: Vec<&Point> =
        points.iter().filter(|point| arms.contains(&point.arm.as_str())).collect();
    let goal = match of_arm(arms[0]).zip(of_arm(arms[1])) {
        // Values have no sizes to be weighed by.
        Some((held, treated)) if is_plain(&both) => Some(f64::midpoint(held, treated)),
        Some(_) => level_of(&both),
        None => None,
    };
    let by = arms.map(|arm| goal.zip(of_arm(arm)).map_or(0.0, |(goal, own)| goal - own));
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by_key(|point| point.start);
    // Whole events are moved; what rounding leaves over goes to the next period of the arm.
    let mut rest = [0.0; 2];
    let moved = order.into_iter().map(|point| {
        let place = arms.iter().position(|arm| *arm == point.arm);
        let sums = place.map_or(point.sums, |at| shifted(point.sums, by[at], &mut rest[at]));
        Point { sums, ..point.clone() }
    });
    moved.collect()
}

/// Fewer periods say little about their spread.
const FEW_PERIODS: usize = 20;

/// What the shares of two arms differ by from period to period, over what chance alone would make
/// them differ (1: as chance does). `None` for other forms and for fewer than twenty periods.
///
/// Numbers that somebody invented or smoothed lie far below 1, and then no history that is made of
/// them has the chance that real users would bring.
pub fn evenness(points: &[Point], control: &str, treatment: &str) -> Option<f64> {
    let mut periods: BTreeMap<Timestamp, [Option<(f64, f64)>; 2]> = BTreeMap::new();
    for point in points {
        let place = [control, treatment].iter().position(|arm| *arm == point.arm);
        let share = match point.sums.plain() {
            Sums::Proportion { num, den } if den > 0.0 => Some((num, den)),
            _ => None,
        };
        if let Some(place) = place {
            periods.entry(point.start).or_default()[place] = share;
        }
    }
    let pairs: Vec<[(f64, f64); 2]> =
        periods.into_values().filter_map(|[held, treated]| Some([held?, treated?])).collect();
    if pairs.len() < FEW_PERIODS {
        return None;
    }
    let gap = |[held, treated]: &[(f64, f64); 2]| treated.0 / treated.1 - held.0 / held.1;
    let mean = pairs.iter().map(gap).sum::<f64>() / pairs.len() as f64;
    let seen: f64 = pairs.iter().map(|pair| (gap(pair) - mean) * (gap(pair) - mean)).sum();
    let variance = |(num, den): (f64, f64)| num / den * ((den - num) / den) / den;
    let by_chance: f64 =
        pairs.iter().map(|[held, treated]| variance(*held) + variance(*treated)).sum::<f64>();
    let free = 1.0 - 1.0 / pairs.len() as f64;
    (by_chance > 0.0).then(|| seen / (by_chance * free))
}

fn is_plain(points: &[&Point]) -> bool {
    points.iter().any(|point| matches!(point.sums, Sums::Value { .. }))
}

/// The level of several periods together; of values their mean.
fn level_of(points: &[&Point]) -> Option<f64> {
    if is_plain(points) {
        let levels = points.iter().filter_map(|point| point.sums.level());
        return Some(levels.sum::<f64>() / points.len() as f64);
    }
    let total = points.iter().map(|point| point.sums).reduce(|mut all, one| {
        all += one;
        all
    });
    total.and_then(Sums::level)
}

/// A period at a level that lies `by` higher; counts stay whole.
fn shifted(sums: Sums, by: f64, rest: &mut f64) -> Sums {
    let mut whole = |count: f64, size: f64, most: f64| {
        let wanted = count + size * by + *rest;
        let made = wanted.round().clamp(0.0, most);
        *rest = wanted - made;
        made
    };
    match sums {
        Sums::Proportion { num, den } => Sums::Proportion { num: whole(num, den, den), den },
        Sums::Rate { events, exposure } => {
            Sums::Rate { events: whole(events, exposure, f64::INFINITY), exposure }
        }
        Sums::Detailed { share: true, n, sum, extra, .. } if n > 0.0 => {
            let made = whole(sum, n, n);
            // Whoever is added or taken away has the covariate of everybody.
            let crossed =
                |x: Covariate| Covariate { cross: x.cross + (made - sum) * x.sum / n, ..x };
            let extra = Extra { covariate: extra.covariate.map(crossed), ..extra };
            Sums::Detailed { share: true, n, sum: made, sum_sq: made, extra }
        }
        other => lifted(other, by),
    }
}

/// Periods that change places together: one for counts, a block for plain series.
fn stretch(cells: &BTreeMap<Timestamp, [Option<&Point>; 2]>) -> usize {
    let value = |point: Option<&Point>| match point?.sums {
        Sums::Value { value } => Some(value),
        _ => None,
    };
    let pairs = cells.values().map(|[held, treated]| Some(value(*treated)? - value(*held)?));
    let differences: Vec<f64> = pairs.flatten().collect();
    let length = politis_white(&differences).map_or(1.0, |length| length.circular.ceil());
    (length as usize).clamp(1, (differences.len() / 16).max(1))
}

/// Both arms with the difference of their levels turned round about the pooled level.
fn mirrored(held: Sums, treated: Sums) -> [Sums; 2] {
    let mut pooled = held;
    pooled += treated;
    let turned = |sums: Sums| match (sums, pooled) {
        (Sums::Proportion { num, den }, Sums::Proportion { num: all, den: of }) if of > 0.0 => {
            let num = (2.0 * den * all / of - num).round().clamp(0.0, den);
            Sums::Proportion { num, den }
        }
        (Sums::Rate { events, exposure }, Sums::Rate { events: all, exposure: of }) if of > 0.0 => {
            let events = (2.0 * exposure * all / of - events).round().max(0.0);
            Sums::Rate { events, exposure }
        }
        (Sums::Mean { n, sum, sum_sq }, Sums::Mean { n: of, sum: all, .. })
            if of > 0.0 && n > 0.0 =>
        {
            let turned = 2.0 * n * all / of - sum;
            Sums::Mean { n, sum: turned, sum_sq: sum_sq + (turned * turned - sum * sum) / n }
        }
        (Sums::Detailed { share: false, n, sum, .. }, Sums::Detailed { n: of, sum: all, .. })
            if of > 0.0 && n > 0.0 =>
        {
            lifted(sums, 2.0 * (all / of - sum / n))
        }
        (
            Sums::Ratio { n, num, den, num_sq, den_sq, cross },
            Sums::Ratio { num: all, den: of, .. },
        ) if of > 0.0 && n > 0.0 => {
            // Every unit's numerator moves by the same amount.
            let shift = (2.0 * den * all / of - 2.0 * num) / n;
            Sums::Ratio {
                n,
                num: num + n * shift,
                den,
                num_sq: num_sq + 2.0 * shift * num + n * shift * shift,
                den_sq,
                cross: cross + shift * den,
            }
        }
        _ => sums,
    };
    match (held, treated) {
        (Sums::Value { .. }, Sums::Value { .. }) => [treated, held],
        _ => [turned(held), turned(treated)],
    }
}

/// A history that stands at a level all the time. Counts are drawn at it with the data's own
/// overdispersion; other forms keep their deviations, moved to the level and shifted in a circle.
pub fn at_level(points: &[Point], level: f64, chance: Chance) -> Vec<Point> {
    let cells: Vec<(f64, f64)> = points
        .iter()
        .map(|point| {
            let [top, bottom, ..] = point.sums.to_array();
            (top, bottom)
        })
        .collect();
    let own = points.iter().map(|point| point.sums).reduce(|mut all, one| {
        all += one;
        all
    });
    let phi = match own {
        Some(Sums::Proportion { .. }) => phi_binomial(&cells),
        Some(Sums::Rate { .. }) => phi_poisson(&cells),
        _ => None,
    };
    let phi = phi.unwrap_or(1.0).max(1.0);
    let own_level = match own {
        Some(Sums::Value { .. }) => {
            Some(cells.iter().map(|cell| cell.0).sum::<f64>() / cells.len() as f64)
        }
        own => own.and_then(Sums::level),
    };
    let moved = level - own_level.unwrap_or(level);
    let by = (chance.uniform(0) * points.len() as f64) as usize;
    let made = points.iter().enumerate().map(|(index, point)| {
        let shifted = points[(index + by) % points.len()].sums;
        let key = point.start.as_millisecond().unsigned_abs();
        let sums = match point.sums {
            Sums::Proportion { den, .. } => {
                let num = hits(den, level, phi, key, chance);
                Sums::Proportion { num, den }
            }
            Sums::Rate { exposure, .. } => {
                let mean = exposure * level;
                Sums::Rate { events: count(mean, mean * phi, key, chance), exposure }
            }
            _ => lifted(shifted, moved),
        };
        Point { sums, ..point.clone() }
    });
    made.collect()
}

/// Every unit's number (or the value) moved by `by`.
fn lifted(sums: Sums, by: f64) -> Sums {
    match sums {
        Sums::Mean { n, sum, sum_sq } => {
            Sums::Mean { n, sum: sum + n * by, sum_sq: sum_sq + 2.0 * by * sum + n * by * by }
        }
        Sums::Detailed { share: false, n, sum, sum_sq, extra } => {
            let cubed = |cubes| cubes + 3.0 * by * sum_sq + 3.0 * by * by * sum + n * by * by * by;
            let crossed = |x: Covariate| Covariate { cross: x.cross + by * x.sum, ..x };
            Sums::Detailed {
                share: false,
                n,
                sum: sum + n * by,
                sum_sq: sum_sq + 2.0 * by * sum + n * by * by,
                extra: Extra {
                    cubes: extra.cubes.map(cubed),
                    covariate: extra.covariate.map(crossed),
                },
            }
        }
        Sums::Value { value } => Sums::Value { value: value + by },
        Sums::Ratio { n, num, den, num_sq, den_sq, cross } => Sums::Ratio {
            n,
            num: num + by * den,
            den,
            num_sq: num_sq + 2.0 * by * cross + by * by * den_sq,
            den_sq,
            cross: cross + by * den_sq,
        },
        other => other,
    }
}

/// How many of `den` do it: binomial by counting up, or rounded normal with dispersion `phi` where
/// at least [`LARGE`] do and do not.
fn hits(den: f64, share: f64, phi: f64, key: u64, chance: Chance) -> f64 {
    if share > 0.5 {
        return den - hits(den, 1.0 - share, phi, key, chance);
    }
    let mean = den * share;
    if mean > LARGE {
        let spread = (mean * (1.0 - share) * phi).sqrt();
        return (mean + spread * chance.normal(key)).round().clamp(0.0, den);
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let wanted = chance.uniform(key);
    let (mut count, mut term) = (0.0, libm::exp(den * libm::log1p(-share)));
    let mut below = term;
    while below < wanted && count < den {
        term *= (den - count) / (count + 1.0) * share / (1.0 - share);
        count += 1.0;
        below += term;
    }
    count
}

/// From here the normal law is near enough.
const LARGE: f64 = 30.0;

/// A count of that mean and variance: rounded normal for large means, else Poisson by counting up.
fn count(mean: f64, variance: f64, key: u64, chance: Chance) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    if mean > LARGE {
        return (mean + variance.max(0.0).sqrt() * chance.normal(key)).round().max(0.0);
    }
    let wanted = chance.uniform(key);
    let (mut count, mut term) = (0.0, libm::exp(-mean));
    let mut below = term;
    while below < wanted && count < 1_000.0 {
        count += 1.0;
        term *= mean / count;
        below += term;
    }
    count
}

#[cfg(test)]
mod tests;
