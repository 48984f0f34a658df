//! Counts of two arms: clusters of units that do the same, shared shocks, rare events.

use judge::stats::info_time::interval_two_sided;
use judge::stats::overdispersion::{Cell, Unevenness, between_binomial};
use judge::stats::rare::{Events, log_e_with};
use judge::stats::two_arm::{Proportion, difference};

use crate::dice::Dice;
use crate::{allowed, percent, runs};

/// 200 units a day and arm at 27 %, 60 daily looks, tau of three points.
const UNITS: u32 = 200;
const SHARE: f64 = 0.27;
const DAYS: usize = 60;
const TAU: f64 = 0.03;

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
enum Care {
    None,
    /// Only from the seventh period on, as before ADR 0027.
    FromSeven,
    /// With the prior, from the first period on.
    Prior,
}

fn arm(dice: &mut Dice, share: f64, cluster: u32) -> Cell {
    (f64::from(cluster) * dice.hits(UNITS / cluster, share.clamp(0.0, 1.0)), f64::from(UNITS))
}

/// The plain dispersion of the difference, the prior taken off again.
fn without_prior(found: Unevenness) -> Unevenness {
    let df = found.df - 6.0;
    Unevenness { phi: (found.phi * found.df - 12.0) / df, df }
}

fn factor(care: Care, cells: &[(Cell, Cell)]) -> f64 {
    let found = between_binomial(cells);
    let used = match care {
        Care::None => None,
        Care::FromSeven => found.filter(|_| cells.len() >= 7).map(without_prior),
        Care::Prior => found,
    };
    used.filter(Unevenness::is_uneven).map_or(1.0, |uneven| uneven.factor())
}

/// The first day on which the interval excludes "no change".
fn first_call(world: &World, care: Care, seed: u64) -> Option<usize> {
    let mut dice = Dice::new(seed);
    let mut cells = Vec::new();
    let mut sums = [0.0; 2];
    for day in 1..=DAYS {
        let shock = world.shock * dice.normal();
        let treated = arm(&mut dice, SHARE + world.effect + shock, world.treatment);
        let held = arm(&mut dice, SHARE + shock, world.control);
        cells.push((treated, held));
        sums = [sums[0] + treated.0, sums[1] + held.0];
        let n = f64::from(UNITS) * day as f64;
        let of = |x: f64| Proportion { x, n };
        let plain = difference(&of(sums[0]), &of(sums[1]));
        let se = plain.se * factor(care, &cells).sqrt();
        if !interval_two_sided(plain.estimate, se, TAU, 0.05).contains(0.0) {
            return Some(day);
        }
    }
    None
}

#[test]
fn clustered_counts_are_rarely_called() {
    let runs = runs(2_000);
    println!("called in the first six days and in sixty, median day (runs: {runs})");
    for world in &WORLDS {
        let mut cells = Vec::new();
        for care in [Care::None, Care::FromSeven, Care::Prior] {
            let mut days: Vec<usize> =
                (0..runs).filter_map(|seed| first_call(world, care, seed)).collect();
            days.sort_unstable();
            let early = percent(days.iter().filter(|day| **day <= 6).count() as u32, runs);
            let ever = percent(days.len() as u32, runs);
            let median = days.get(days.len() / 2).copied().unwrap_or(0);
            cells.push(format!("{early:.1} %, {ever:.1} %, {median}"));
            if care == Care::Prior && world.effect == 0.0 {
                // Clusters are hidden from a week of days now and then: six points, not five.
                assert!(early <= allowed(runs), "{}: {early}", world.name);
                assert!(ever <= 1.0 + allowed(runs), "{}: {ever}", world.name);
            }
            if care == Care::None && world.treatment == 4 && world.control == 4 {
                assert!(ever > 30.0, "the data would prove nothing: {ever}");
            }
            assert!(world.effect == 0.0 || ever > 95.0, "{ever}");
        }
        println!("| {} | {} |", world.name, cells.join(" | "));
    }
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
