//! Counts of two arms: clusters of units that do the same, shared shocks, a change that turns, rare
//! events.

use judge::stats::info_time::{interval_two_sided, lower_one_sided};
use judge::stats::overdispersion::{Cell, EXACT_LIMIT, Unevenness, between_binomial, phi_binomial};
use judge::stats::rare::{Events, log_e_with};
use judge::stats::special::{norm_isf, t_isf};
use judge::stats::two_arm::{Proportion, difference};

use crate::dice::Dice;
use crate::{allowed, percent, runs};

/// 200 units a day and arm at 27 %, 60 daily looks, tau of three points.
const UNITS: u32 = 200;
const SHARE: f64 = 0.27;
pub(crate) const DAYS: usize = 60;
pub(crate) const TAU: f64 = 0.03;

/// How many units of an arm do the same, and the sd of what both arms share on a day.
struct World {
    name: &'static str,
    treatment: u32,
    control: u32,
    shock: f64,
    effect: f64,
}

const WORLDS: [World; 6] = [
    World { name: "independent units", treatment: 1, control: 1, shock: 0.0, effect: 0.0 },
    World {
        name: "a shared shock of 5 points",
        treatment: 1,
        control: 1,
        shock: 0.05,
        effect: 0.0,
    },
    World { name: "clusters of 2", treatment: 2, control: 2, shock: 0.0, effect: 0.0 },
    World { name: "clusters of 4", treatment: 4, control: 4, shock: 0.0, effect: 0.0 },
    World { name: "one arm, clusters of 4", treatment: 4, control: 1, shock: 0.0, effect: 0.0 },
    World { name: "independent, +4 points", treatment: 1, control: 1, shock: 0.0, effect: 0.04 },
];

/// What is done about it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Care {
    None,
    /// Only from the seventh period on, as before ADR 0027.
    FromSeven,
    /// With the prior, from the first period on, widened by the t of 1.96 (ADR 0027).
    Inside,
    /// As now: widened by the t out at the bound (ADR 0034).
    AtBound,
}

const CARES: [Care; 4] = [Care::None, Care::FromSeven, Care::Inside, Care::AtBound];

fn arm(dice: &mut Dice, share: f64, cluster: u32) -> Cell {
    (f64::from(cluster) * dice.hits(UNITS / cluster, share.clamp(0.0, 1.0)), f64::from(UNITS))
}

/// The plain dispersion of the difference, the prior taken off again.
fn without_prior(found: Unevenness) -> Unevenness {
    let df = found.df - 6.0;
    Unevenness { phi: (found.phi * found.df - 12.0) / df, df }
}

/// The factor as it was before ADR 0034.
fn factor_inside(uneven: Unevenness) -> f64 {
    let wide = t_isf(0.025, uneven.df.max(1.0)) / norm_isf(0.025);
    uneven.phi * wide * wide
}

pub(crate) fn factor(care: Care, found: Option<Unevenness>, cells: usize) -> f64 {
    let used = match care {
        Care::None => None,
        Care::FromSeven => found.filter(|_| cells >= 7).map(without_prior),
        Care::Inside | Care::AtBound => found,
    };
    let uneven = used.filter(Unevenness::is_uneven);
    let at_bound = care == Care::AtBound;
    uneven.map_or(1.0, |it| if at_bound { it.factor() } else { factor_inside(it) })
}

/// The first days on which the interval excludes "no change", by [`CARES`].
fn first_calls(world: &World, seed: u64) -> [Option<usize>; 4] {
    let mut dice = Dice::new(seed);
    let mut cells = Vec::new();
    let mut sums = [0.0; 2];
    let mut calls = [None; 4];
    for day in 1..=DAYS {
        let shock = world.shock * dice.normal();
        let treated = arm(&mut dice, SHARE + world.effect + shock, world.treatment);
        let held = arm(&mut dice, SHARE + shock, world.control);
        cells.push((treated, held));
        sums = [sums[0] + treated.0, sums[1] + held.0];
        let n = f64::from(UNITS) * day as f64;
        let of = |x: f64| Proportion { x, n };
        let plain = difference(&of(sums[0]), &of(sums[1]));
        let found = between_binomial(&cells);
        for (call, care) in calls.iter_mut().zip(CARES) {
            let se = plain.se * factor(care, found, cells.len()).sqrt();
            let excludes = !interval_two_sided(plain.estimate, se, TAU, 0.05).contains(0.0);
            *call = call.or(excludes.then_some(day));
        }
    }
    calls
}

/// Called in the first six days, in all, the median day of those calls; and the second of these.
pub(crate) fn summed(mut days: Vec<usize>, runs: u64) -> (String, f64) {
    days.sort_unstable();
    let early = percent(days.iter().filter(|day| **day <= 6).count() as u32, runs);
    let ever = percent(days.len() as u32, runs);
    let median = days.get(days.len() / 2).copied().unwrap_or(0);
    (format!("{early:.1} %, {ever:.1} %, {median}"), ever)
}

#[test]
fn clustered_counts_are_rarely_called() {
    // Of the first hundred seeds ten happen to be called with clusters of four, of 400 twenty.
    let runs = runs(2_000).max(400);
    println!("called in the first six days and in sixty, median day (runs: {runs})");
    for world in &WORLDS {
        let mut cells = Vec::new();
        let calls: Vec<_> = (0..runs).map(|seed| first_calls(world, seed)).collect();
        for (place, care) in CARES.into_iter().enumerate() {
            let days = calls.iter().filter_map(|call| call[place]).collect();
            let (text, ever) = summed(days, runs);
            cells.push(text);
            if care == Care::AtBound && world.effect == 0.0 {
                assert!(ever <= allowed(runs), "{}: {ever}", world.name);
            }
            if care == Care::None && world.treatment == 4 && world.control == 4 {
                assert!(ever > 30.0, "the data would prove nothing: {ever}");
            }
            assert!(world.effect == 0.0 || ever > 95.0, "{ever}");
        }
        println!("| {} | {} |", world.name, cells.join(" | "));
    }
}

/// A change of +6 points that turns to -8 points on day 15: the day on which harm is seen, with
/// the dispersion of all days around one mean, or of sevens with the prior.
fn harm_seen(of_the_cycle: bool, seed: u64) -> Option<usize> {
    let mut dice = Dice::new(seed);
    let (mut cells, mut sums) = (Vec::new(), [0.0; 2]);
    (1..=DAYS).find(|day| {
        let effect = if *day < 15 { 0.06 } else { -0.08 };
        let (treated, held) = (arm(&mut dice, SHARE + effect, 1), arm(&mut dice, SHARE, 1));
        cells.push((treated, held));
        sums = [sums[0] + treated.0, sums[1] + held.0];
        let n = f64::from(UNITS) * *day as f64;
        let plain = difference(&Proportion { x: sums[0], n }, &Proportion { x: sums[1], n });
        let whole: Vec<Cell> = cells.iter().map(|(treated, _)| *treated).collect();
        let phi = phi_binomial(&whole).filter(|phi| of_the_cycle && *phi > EXACT_LIMIT);
        let sevens = factor(Care::AtBound, between_binomial(&cells), cells.len());
        let wide = if of_the_cycle { phi.unwrap_or(1.0) } else { sevens };
        lower_one_sided(-plain.estimate, plain.se * wide.sqrt(), TAU, 0.05) > 0.0
    })
}

#[test]
fn a_change_that_turns_is_no_unevenness() {
    let runs = runs(2_000);
    let median = |of_the_cycle: bool| {
        let day = |seed| harm_seen(of_the_cycle, seed).unwrap_or(DAYS + 1);
        let mut days: Vec<usize> = (0..runs).map(day).collect();
        days.sort_unstable();
        days[days.len() / 2]
    };
    let (cycle, sevens) = (median(true), median(false));
    println!("harm after +6 turned to -8 points on day 15: day {cycle} by the cycle, {sevens} now");
    assert!(sevens < cycle, "{sevens} {cycle}");
}

/// Events a day of control and treatment at equal arms; 200 daily looks.
fn rare_call(rates: (f64, f64), k: f64, seed: u64) -> Option<usize> {
    let mut dice = Dice::new(seed);
    let (mut control, mut treatment) = (0.0, 0.0);
    (1..=200).find(|day| {
        control += dice.poisson(rates.0);
        treatment += dice.poisson(rates.1);
        let size = 100.0 * f64::from(*day as u32);
        let events = Events { treatment, treatment_size: size, control, control_size: size };
        log_e_with(&events, 1.0, k) >= libm::log(20.0)
    })
}

#[test]
fn rare_events_are_found_by_a_mixture_of_their_size() {
    let runs = runs(2_000);
    println!("called in 200 days, median day, by k = 100, 8, 2 (runs: {runs})");
    for rates in [(0.25, 0.25), (1.0, 1.0), (0.25, 0.05), (0.25, 0.125), (0.25, 0.75)] {
        let mut cells = Vec::new();
        let mut found = Vec::new();
        for k in [100.0, 8.0, 2.0] {
            let mut days: Vec<usize> =
                (0..runs).filter_map(|seed| rare_call(rates, k, seed)).collect();
            days.sort_unstable();
            let ever = percent(days.len() as u32, runs);
            let median = days.get(days.len() / 2).copied().unwrap_or(0);
            cells.push(format!("{ever:.1} %, {median}"));
            found.push(ever);
            assert!(rates.0 != rates.1 || ever <= allowed(runs), "{rates:?}, k = {k}: {ever}");
        }
        assert!(rates.0 == rates.1 || found[2] >= found[0], "{rates:?}: {found:?}");
        println!("| {rates:?} | {} |", cells.join(" | "));
    }
    // At equal arms: the fewest events against none that are called.
    let least = |k: f64| {
        (1..100_u32).find(|events| {
            let events = Events {
                treatment: f64::from(*events),
                treatment_size: 100.0,
                control: 0.0,
                control_size: 100.0,
            };
            log_e_with(&events, 1.0, k) >= libm::log(20.0)
        })
    };
    assert_eq!([100.0, 8.0, 2.0].map(least), [Some(29), Some(11), Some(8)]);
}
