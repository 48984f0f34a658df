//! Six planned weekly looks at two shares: what they call, find and cover (statistics 1.2).

use judge::stats::fixed::two_proportion::{newcombe, newcombe_z, newcombe_z_below, pooled_z};
use judge::stats::group_sequential::bounds;
use judge::stats::special::norm_sf;
use judge::stats::two_arm::Proportion;
use judge::stats::{Interval, Sides};

use crate::dice::Dice;
use crate::{allowed, percent, runs};

/// 100 units a day and arm at 27 %, six weeks.
const UNITS: u32 = 100;
const SHARE: f64 = 0.27;
const LOOKS: usize = 6;

#[derive(Default)]
struct Course {
    /// The planned look that called first.
    called: Option<usize>,
    /// The ordinary test called on some day.
    naive: bool,
    /// The interval of every planned look held the truth.
    held: bool,
}

/// The larger p of both tests stands, as in `analyse`: the smaller z.
fn z_of(treatment: &Proportion, control: &Proportion) -> f64 {
    let pooled = pooled_z(treatment, control).unwrap_or(0.0).abs();
    let above = newcombe_z(treatment, control, 1.0, 0.0);
    pooled.min(above.max(newcombe_z_below(treatment, control, 1.0, 0.0)))
}

fn course(bounds: &[f64], effect: f64, seed: u64) -> Course {
    let mut dice = Dice::new(seed);
    let mut hits = [0.0; 2];
    let mut course = Course { held: true, ..Course::default() };
    for day in 1..=7 * LOOKS {
        hits[0] += dice.hits(UNITS, SHARE);
        hits[1] += dice.hits(UNITS, SHARE + effect);
        let of = |x: f64| Proportion { x, n: f64::from(UNITS) * day as f64 };
        let (control, treatment) = (of(hits[0]), of(hits[1]));
        course.naive |= pooled_z(&treatment, &control).is_some_and(|z| z.abs() > 1.96);
        if day % 7 != 0 {
            continue;
        }
        let bound = bounds[day / 7 - 1];
        if course.called.is_none() && z_of(&treatment, &control) >= bound {
            course.called = Some(day / 7);
        }
        let interval =
            newcombe(&treatment, &control, 2.0 * norm_sf(bound)).unwrap_or(Interval::ALL);
        course.held &= interval.contains(effect);
    }
    course
}

#[test]
fn six_weekly_looks_spend_five_percent() {
    let fractions: Vec<f64> = (1..=LOOKS).map(|look| look as f64 / LOOKS as f64).collect();
    let bounds = bounds(&fractions, 0.05, Sides::Two, 2.0);
    let runs = runs(10_000);
    println!("called, ordinary test every day, held at every look, median week ({runs} runs)");
    for effect in [0.0, 0.03] {
        let courses: Vec<Course> =
            (0..runs).map(|seed| course(&bounds, effect, seed + 1)).collect();
        let count = |of: fn(&Course) -> bool| {
            percent(courses.iter().filter(|course| of(course)).count() as u32, runs)
        };
        let called = count(|course| course.called.is_some());
        let (naive, held) = (count(|course| course.naive), count(|course| course.held));
        let mut weeks: Vec<usize> = courses.iter().filter_map(|course| course.called).collect();
        weeks.sort_unstable();
        let median = weeks.get(weeks.len() / 2).copied().unwrap_or(0);
        println!("| {effect} | {called:.1} % | {naive:.1} % | {held:.1} % | {median} |");
        assert!(held >= 100.0 - allowed(runs), "{held}");
        assert!(effect > 0.0 || called <= allowed(runs), "{called}");
        assert!(effect > 0.0 || naive > 15.0, "the data would prove nothing: {naive}");
        assert!(effect == 0.0 || called > 60.0, "{called}");
    }
}
