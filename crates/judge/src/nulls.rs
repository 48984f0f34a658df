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
    let variance = |(num, den): (f64, f64)| num / den * (1.0 - num / den) / den;
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
mod tests {
    use super::*;
    use crate::time::{DAY_MS, add_ms};

    fn day(index: i64) -> (Timestamp, Timestamp) {
        let start = add_ms(Timestamp::UNIX_EPOCH, index * DAY_MS);
        (start, add_ms(start, DAY_MS))
    }

    fn point(arm: &str, index: i64, sums: Sums) -> Point {
        let (start, end) = day(index);
        Point { arm: arm.to_owned(), start, end, sums }
    }

    /// Forty days on which the treatment does twice as well.
    fn two_arms(treated: f64) -> Vec<Point> {
        let days = (0..40).flat_map(|index| {
            let (wave, other) = ((index % 7) as f64, (index % 5) as f64);
            [("c", 100.0, 20.0 + wave), ("t", treated, treated * 0.4 + other)].map(
                |(arm, den, num)| point(arm, index, Sums::Proportion { num: num.round(), den }),
            )
        });
        days.collect()
    }

    fn total(points: &[Point], arm: &str) -> [f64; 6] {
        let own = points.iter().filter(|point| point.arm == arm);
        own.fold([0.0; 6], |mut all, point| {
            for (sum, more) in all.iter_mut().zip(point.sums.to_array()) {
                *sum += more;
            }
            all
        })
    }

    /// z of the difference over the whole history.
    fn z(points: &[Point]) -> f64 {
        let ([held, of_held, ..], [treated, of_treated, ..]) =
            (total(points, "c"), total(points, "t"));
        let pooled = (held + treated) / (of_held + of_treated);
        let se = (pooled * (1.0 - pooled) * (1.0 / of_held + 1.0 / of_treated)).sqrt();
        (treated / of_treated - held / of_held) / se
    }

    /// The share of histories in which a test at 5 % finds a difference, over histories of 28 days
    /// with `den` units an arm and day, drawn at 40 % and at `treated`.
    fn false_finds(den: [f64; 2], treated: f64, make: fn(&[Point], Chance) -> Vec<Point>) -> f64 {
        let mut found = 0.0;
        let runs = 2_000;
        for run in 0..runs {
            let draw = Chance::new(77, run);
            let real: Vec<Point> = (0..28)
                .flat_map(|day| {
                    [("c", den[0], 0.4), ("t", den[1], treated)].map(|(arm, den, share)| {
                        let key = day * 2 + u64::from(arm == "t");
                        let num = hits(den, share, 1.0, key, draw);
                        point(arm, day as i64, Sums::Proportion { num, den })
                    })
                })
                .collect();
            found += f64::from(u32::from(z(&make(&real, Chance::new(78, run))).abs() > 1.96));
        }
        found / runs as f64
    }

    /// An effect that is left in comes out as spread: what it was before the arms were centred.
    fn as_it_was(points: &[Point], chance: Chance) -> Vec<Point> {
        let turned = |point: &Point| chance.coin(point.start.as_millisecond().unsigned_abs());
        let other = |point: &Point| if point.arm == "c" { "t" } else { "c" };
        let swap = |point: &Point| {
            let arm = if turned(point) { other(point) } else { &point.arm };
            Point { arm: arm.to_owned(), ..point.clone() }
        };
        points.iter().map(swap).collect()
    }

    #[test]
    fn a_real_effect_is_no_spread_of_nothing() {
        let made = |points: &[Point], chance: Chance| arms(points, "c", "t", chance);
        // Standard error of a share of 5 % over 2,000: 0.5 points.
        for (sizes, treated) in [
            ([200.0, 200.0], 0.4),
            ([200.0, 200.0], 0.52),
            ([200.0, 60.0], 0.4),
            ([200.0, 60.0], 0.52),
        ] {
            let share = false_finds(sizes, treated, made);
            assert!((0.03..=0.06).contains(&share), "{sizes:?} {treated}: {share}");
        }
        let before = false_finds([200.0, 200.0], 0.52, as_it_was);
        assert!(before > 0.2, "the effect in: {before}");
    }

    #[test]
    fn numbers_that_are_too_even_are_known() {
        let of = |spread: bool| {
            let days = (0..28).flat_map(|day| {
                [("c", 0.4), ("t", 0.5)].map(|(arm, share)| {
                    let key = day * 2 + u64::from(arm == "t");
                    let num = if spread {
                        hits(140.0, share, 1.0, key, Chance::new(5, 1))
                    } else {
                        140.0 * share
                    };
                    point(arm, day as i64, Sums::Proportion { num, den: 140.0 })
                })
            });
            days.collect::<Vec<_>>()
        };
        // 28 days: the ratio is chi-square of 27 over 27, 0.4 to 2 but for one in a thousand.
        let drawn = evenness(&of(true), "c", "t").unwrap();
        assert!((0.4..2.0).contains(&drawn), "{drawn}");
        assert!(evenness(&of(false), "c", "t").unwrap() < 1e-9, "every day is the same");
        assert_eq!(evenness(&of(true)[..20], "c", "t"), None, "ten days say little");
    }

    #[test]
    fn arms_change_places_and_what_was_counted_stays() {
        let before = two_arms(100.0);
        let real = centred(&before, ["c", "t"]);
        let sum = |points: &[Point]| total(points, "c")[0] + total(points, "t")[0];
        assert!((sum(&real) - sum(&before)).abs() <= 1.0, "nobody is lost");
        assert!((total(&real, "c")[0] - total(&real, "t")[0]).abs() <= 1.0, "no effect is left");
        let (mut swapped, mut kept) = (0, 0);
        for run in 0..20 {
            let made = arms(&before, "c", "t", Chance::new(1, run));
            assert_eq!(made.len(), real.len());
            for (pair, before) in made.chunks(2).zip(real.chunks(2)) {
                let same = pair[0].sums == before[0].sums && pair[1].sums == before[1].sums;
                let turned = pair[0].sums == before[1].sums && pair[1].sums == before[0].sums;
                assert!(same || turned);
                kept += u32::from(same && !turned);
                swapped += u32::from(turned && !same);
            }
        }
        // Some periods are the same in both arms; of the others half, give or take 4 standard
        // deviations.
        let coins = f64::from(swapped + kept);
        let off = f64::from(swapped) - 0.5 * coins;
        assert!(coins > 500.0 && off.abs() < 2.0 * coins.sqrt(), "{swapped} of {coins}");
    }

    #[test]
    fn arms_of_unequal_size_keep_their_size_and_lose_the_effect_on_average() {
        let real = two_arms(30.0);
        let lifts = (0..200).map(|run| {
            let made = arms(&real, "c", "t", Chance::new(3, run));
            let ([held, of_held, ..], [treated, of_treated, ..]) =
                (total(&made, "c"), total(&made, "t"));
            assert_eq!((of_held, of_treated), (4_000.0, 1_200.0));
            treated / of_treated - held / of_held
        });
        let mean = lifts.sum::<f64>() / 200.0;
        assert!(mean.abs() < 0.02, "{mean}: the real difference is 0.2 and more");
    }

    #[test]
    fn moments_stay_moments() {
        let mean = |n: f64, sum: f64| Sums::Mean { n, sum, sum_sq: sum * sum / n + n };
        for sums in mirrored(mean(10.0, 20.0), mean(50.0, 400.0)) {
            let Sums::Mean { n, sum, sum_sq } = sums else { panic!("{sums:?}") };
            assert!((n * sum_sq - sum * sum - n * n).abs() < 1e-6 * n * sum_sq, "{sums:?}");
        }
        let Sums::Mean { n, sum, sum_sq } = lifted(mean(10.0, 20.0), -3.0) else { panic!() };
        assert!((n * sum_sq - sum * sum - n * n).abs() < 1e-9, "the variance is 1 as before");
    }

    /// Two units y = 1, 2 with x = 3, 5, moved by 2 to y = 3, 4.
    #[test]
    fn cubes_and_products_move_with_their_units() {
        let of = |y: [f64; 2]| {
            let power = |k: i32| y[0].powi(k) + y[1].powi(k);
            let x = Covariate { sum: 8.0, sum_sq: 34.0, cross: 3.0 * y[0] + 5.0 * y[1] };
            let extra = Extra { cubes: Some(power(3)), covariate: Some(x) };
            Sums::Detailed { share: false, n: 2.0, sum: power(1), sum_sq: power(2), extra }
        };
        assert_eq!(lifted(of([1.0, 2.0]), 2.0), of([3.0, 4.0]));
        let [held, treated] = mirrored(of([1.0, 2.0]), of([3.0, 4.0]));
        assert_eq!((held, treated), (of([3.0, 4.0]), of([1.0, 2.0])));
    }

    #[test]
    fn counts_at_a_level_have_its_mean_and_the_binomials_spread() {
        // (units, share): counted up, counted down, and by the normal law.
        for (den, share) in [(40.0, 0.1), (40.0, 0.9), (1_000.0, 0.27)] {
            let numbers: Vec<f64> =
                (0..4_000).map(|key| hits(den, share, 1.0, key, Chance::new(5, 0))).collect();
            let mean = numbers.iter().sum::<f64>() / 4_000.0;
            let spread = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 4_000.0;
            let variance = den * share * (1.0 - share);
            // 4 standard errors of a mean and of a variance over 4,000 numbers.
            assert!((mean - den * share).abs() < 4.0 * (variance / 4_000.0).sqrt(), "{mean}");
            assert!((spread / variance - 1.0).abs() < 4.0 * (2.0_f64 / 4_000.0).sqrt(), "{spread}");
        }
    }

    #[test]
    fn a_run_is_the_same_alone_and_among_others() {
        let real = two_arms(100.0);
        let made = |run| arms(&real, "c", "t", Chance::new(9, run));
        assert_eq!(made(4), made(4));
        assert_ne!(made(4), made(5));
        assert_ne!(made(4), arms(&real, "c", "t", Chance::new(8, 4)));
        assert_eq!(at_level(&[], 0.5, Chance::new(1, 1)), Vec::new());
    }
}
