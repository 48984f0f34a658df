//! Units, order, rhythm and repetition change nothing that they should not change.

use std::collections::{BTreeMap, BTreeSet};

use judge::analyse::{AtomView, Evidence, Truth};
use judge::decide::evaluate;
use judge::observe::{Observation, SeriesInput, observe};
use judge::points::{ALL, Point, Sums};
use judge::record::{Carry, EvaluationRecord, round12};
use judge::spec::Experiment;
use judge::time::{HOUR_MS, Span, Timestamp, add_ms};

use super::dice::Dice;
use super::files::{DESIGNS, cycle, day, experiment, look};

/// Days of every path.
const DAYS: i64 = 60;

/// Everything the sources of a run say, from 28 days before the start; the treatment is better
/// (shares and amounts more, waits less), amounts and levels in units of `unit`.
fn world(experiment: &Experiment, design: usize, seed: u64, unit: f64) -> Series {
    let mut dice = Dice::new(seed);
    let arms: &[&str] = if design == 0 { &["control", "treatment"] } else { &[ALL] };
    let before = if design == 2 { -28 } else { 0 };
    let lift = 0.06 * dice.uniform();
    let mut all = Series::new();
    for hour in 24 * before..24 * DAYS {
        for arm in arms {
            let better = if *arm != "control" && hour >= 0 { lift } else { 0.0 };
            let mut put = |name: &str, hours: i64, sums: Sums| {
                let start = add_ms(experiment.start, hour * HOUR_MS);
                let end = add_ms(start, hours * HOUR_MS);
                let point = Point { arm: (*arm).to_owned(), start, end, sums };
                all.entry(name.to_owned()).or_default().push(point);
            };
            put(
                "level",
                1,
                Sums::Value { value: unit * (100.0 - 100.0 * better + 10.0 * dice.normal()) },
            );
            if hour.rem_euclid(6) != 0 {
                continue;
            }
            put("share", 6, Sums::Proportion { num: dice.hits(25, 0.27 + better), den: 25.0 });
            let (mut sum, mut sum_sq, mut cross) = (0.0, 0.0, 0.0);
            for _ in 0..25 {
                let amount = dice.exponential(10.0 * (1.0 + better));
                sum += amount;
                sum_sq += amount * amount;
                cross += amount;
            }
            put("amount", 6, Sums::Mean { n: 25.0, sum: unit * sum, sum_sq: unit * unit * sum_sq });
            put(
                "ratio",
                6,
                Sums::Ratio {
                    n: 25.0,
                    num: sum / 25.0,
                    den: 75.0,
                    num_sq: sum_sq / 625.0,
                    den_sq: 250.0,
                    cross: cross * 3.0 / 25.0,
                },
            );
            put("rate", 6, Sums::Rate { events: dice.poisson(12.0), exposure: 6.0 });
        }
    }
    all
}

type Series = BTreeMap<String, Vec<Point>>;

/// What the points that had closed at `at` come to.
fn seen(experiment: &Experiment, series: &Series, at: Timestamp) -> BTreeMap<String, Observation> {
    let one = |name: &String, points: &Vec<Point>| {
        let known: Vec<Point> = points.iter().filter(|point| point.end <= at).cloned().collect();
        let input =
            SeriesInput { points: &known, failure: None, last_good: None, lateness: Span::ZERO };
        let signal = experiment.signal(name).unwrap();
        (name.clone(), observe(experiment, signal, &cycle(experiment), at, &input))
    };
    series.iter().map(|(name, points)| one(name, points)).collect()
}

/// Looks every so many hours, the state handed on.
fn walk(experiment: &Experiment, series: &Series, every: i64) -> Vec<EvaluationRecord> {
    let mut carry = Carry::new();
    let mut records = Vec::new();
    for turn in 1..=24 * DAYS / every {
        let at = add_ms(experiment.start, turn * every * HOUR_MS);
        let input = look(experiment, at, seen(experiment, series, at), std::mem::take(&mut carry));
        let record = evaluate(input, 0, None);
        carry = record.carry.clone();
        records.push(record);
    }
    records
}

fn atoms(record: &EvaluationRecord) -> impl Iterator<Item = &AtomView> {
    record.atoms.iter().chain(&record.stop_atoms)
}

/// To nine digits: a p is the exponential of what was remembered to twelve.
fn rounded(p: f64) -> f64 {
    (p * 1e9).round() / 1e9
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1e-9)
}

/// Same instant, same interval whatever the rhythm; a finer one finds no less; p never rises.
#[test]
fn a_rhythm_changes_only_when_something_is_found() {
    let (mut latched, mut common) = (0, 0);
    for design in 0..DESIGNS.len() {
        let experiment = experiment(design, "", "significant", 1);
        for seed in 0..2 {
            let series = world(&experiment, design, seed, 1.0);
            let (fine, coarse) =
                (walk(&experiment, &series, 24), walk(&experiment, &series, 24 * 5));
            for (turn, rare) in coarse.iter().enumerate() {
                let often = &fine[5 * turn + 4];
                assert_eq!(often.input.at, rare.input.at);
                let (mut one, mut two) = (often.signals.clone(), rare.signals.clone());
                for view in one.iter_mut().chain(&mut two) {
                    view.evidence.iter_mut().for_each(|evidence| evidence.p_seq = 0.0);
                }
                assert_eq!(one, two, "design {design} seed {seed} {}", rare.input.at);
                for (often, rare) in atoms(often).zip(atoms(rare)) {
                    common += 1;
                    let p =
                        |view: &AtomView| view.evidence.as_ref().map(|found| rounded(found.p_seq));
                    assert!(p(often) <= p(rare), "{often:?}\n{rare:?}");
                    latched += u32::from(rare.met == Truth::True);
                    assert!(rare.met != Truth::True || often.met == Truth::True, "{often:?}");
                }
            }
            for pair in fine.windows(2) {
                for (id, before) in &pair[0].carry {
                    let now = &pair[1].carry[id];
                    // A look remembers twelve digits of the one before it.
                    let fell = round12(now.ln_p) <= round12(before.ln_p);
                    assert!(now.epoch == before.epoch && fell, "{id}: {before:?} {now:?}");
                }
            }
        }
    }
    assert!(common > 300 && latched > 10, "{latched} of {common}: nothing was found");
}

/// The same data again: the same evidence, states and verdict, and no fresh alpha.
#[test]
fn a_second_look_at_the_same_changes_nothing() {
    for (design, rhythm) in [(0, ""), (1, ""), (2, ""), (0, ", look: weekly x4")] {
        let experiment = experiment(design, rhythm, "significant", 1);
        let series = world(&experiment, design, 5, 1.0);
        let at = day(&experiment, 30);
        let once =
            evaluate(look(&experiment, at, seen(&experiment, &series, at), Carry::new()), 0, None);
        let again = look(&experiment, at, once.input.observations.clone(), once.carry.clone());
        let again = evaluate(again, 0, None);
        for (one, two) in once.signals.iter().zip(&again.signals) {
            assert_eq!(one.state, two.state, "{}", one.name);
            if let (Some(one), Some(two)) = (&one.evidence, &two.evidence) {
                assert_scaled(one, two, 1.0);
            }
        }
        assert_eq!(again.rule, once.rule);
        assert_eq!(again.decision, once.decision);
        let memory = |record: &EvaluationRecord| {
            let states = record.carry.iter();
            states
                .map(|(id, state)| (id.clone(), round12(state.ln_p).to_bits()))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(memory(&again), memory(&once));
    }
}

/// Points in any order and some of them twice.
#[test]
fn the_order_of_points_does_not_matter() {
    for design in 0..DESIGNS.len() {
        let experiment = experiment(design, "", "significant", 1);
        let series = world(&experiment, design, 8, 1.0);
        let at = day(&experiment, 40);
        let straight = seen(&experiment, &series, at);
        let mut mixed = series;
        for points in mixed.values_mut() {
            points.extend_from_within(3..9);
            let mut dice = Dice::new(points.len() as u64);
            for last in (1..points.len()).rev() {
                points.swap(last, (dice.uniform() * (last + 1) as f64) as usize);
            }
        }
        assert_eq!(seen(&experiment, &mixed, at), straight);
    }
}

/// A thousand times the unit: estimates a thousand times as large, the same evidence.
#[test]
fn the_unit_does_not_matter() {
    let mut compared = 0;
    for design in 0..DESIGNS.len() {
        let (plain, milli) =
            (experiment(design, "", "significant", 1), experiment(design, "", "significant", 1000));
        let here = walk(&plain, &world(&plain, design, 3, 1.0), 24 * 10);
        let there = walk(&milli, &world(&milli, design, 3, 1000.0), 24 * 10);
        for (here, there) in here.iter().zip(&there) {
            assert_eq!(here.decision.verdict, there.decision.verdict);
            for (one, two) in here.signals.iter().zip(&there.signals) {
                assert_eq!(one.state, two.state, "{}", one.name);
                let scaled = matches!(one.name.as_str(), "amount" | "level");
                let unit = if scaled { 1000.0 } else { 1.0 };
                if let (Some(one), Some(two)) = (&one.evidence, &two.evidence) {
                    assert_scaled(one, two, if one.relative { 1.0 } else { unit });
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 60, "{compared}");
}

fn assert_scaled(one: &Evidence, two: &Evidence, unit: f64) {
    let [mut there, here] = [two, one].map(|evidence| {
        [evidence.estimate, evidence.interval.lo, evidence.interval.hi, evidence.tau]
    });
    for number in &mut there {
        *number /= unit;
    }
    for (here, there) in here.into_iter().zip(there) {
        assert!(close(here, there), "{one:?}\n{two:?}");
    }
    assert!((one.p_seq - two.p_seq).abs() <= 1e-7, "{} {}", one.p_seq, two.p_seq);
}
