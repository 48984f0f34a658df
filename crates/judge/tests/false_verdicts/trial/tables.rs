//! The two tables of docs/statistics.md, and what must hold in them.

use std::collections::BTreeMap;

use super::{Course, Trial};
use crate::{HARM_ALPHA, SIGNAL_ALPHA, at_most};

fn count(courses: &[Course], what: impl Fn(&Course) -> bool) -> f64 {
    courses.iter().map(|course| if what(course) { 1.0 } else { 0.0 }).sum()
}

fn percent(part: f64, all: f64) -> String {
    if all > 0.0 { format!("{:.1} %", 100.0 * part / all) } else { "none".to_owned() }
}

/// One row of each table.
pub(crate) fn print(trial: &Trial) {
    let (none, runs) = (&trial.nothing, trial.nothing.len() as f64);
    let judged = count(none, |course| course.judged);
    let of_all = |what: &dyn Fn(&Course) -> bool| percent(count(none, what), runs);
    println!(
        "| {} | {} x {} | {} | {} | {} | {} | {} | {} | {} |",
        trial.design.name,
        runs,
        trial.looks,
        of_all(&|course| !course.judged),
        of_all(&|course| course.decided),
        percent(count(none, |course| course.decided), judged),
        of_all(&|course| course.changed),
        of_all(&|course| course.harmful),
        of_all(&|course| course.passed),
        of_all(&|course| course.naive),
    );
    let (effect, runs) = (&trial.effect, trial.effect.len() as f64);
    if effect.is_empty() {
        return;
    }
    println!(
        "|power| {} | {} | {} | {} | {} | {} | {} |",
        trial.design.name,
        trial.chance.map_or_else(|| "no answer".to_owned(), |chance| percent(chance, 1.0)),
        percent(count(effect, |course| course.found), runs),
        percent(count(effect, |course| course.met.is_some()), runs),
        median(effect).map_or_else(|| "more than half never".to_owned(), |days| format!("{days}")),
        covered(none),
        covered(effect),
    );
}

/// Median days until `met`, counting runs that never were.
fn median(courses: &[Course]) -> Option<f64> {
    let mut days: Vec<f64> =
        courses.iter().map(|course| course.met.unwrap_or(f64::INFINITY)).collect();
    days.sort_by(f64::total_cmp);
    days.get(days.len() / 2).copied().filter(|days| days.is_finite())
}

/// Runs whose interval held the truth at every look, by method.
fn covered(courses: &[Course]) -> String {
    let mut methods: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (method, holds) in courses.iter().flat_map(|course| &course.covered) {
        let (held, all) = methods.entry(*method).or_default();
        *held += f64::from(u8::from(*holds));
        *all += 1.0;
    }
    let words = methods
        .iter()
        .map(|(method, (held, all))| format!("{} of {all} `{method}`", percent(*held, *all)));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none judged".to_owned() } else { words.join(", ") }
}

/// Whether some interval of the run missed the truth at some look.
fn missed(course: &Course) -> bool {
    course.covered.values().any(|holds| !holds)
}

/// Every share within its alpha and two Monte-Carlo standard errors, and the planned power.
pub(crate) fn assert_bounds(trial: &Trial) {
    let name = |what: &str| format!("{}, {what}", trial.design.name);
    let (none, runs) = (&trial.nothing, trial.nothing.len() as f64);
    at_most(&name("met or harm"), count(none, |one| one.decided), runs, SIGNAL_ALPHA);
    at_most(&name("called changed"), count(none, |one| one.changed), runs, SIGNAL_ALPHA);
    at_most(&name("stop: harmful"), count(none, |one| one.harmful), runs, HARM_ALPHA);
    at_most(&name("interval missed no change"), count(none, missed), runs, SIGNAL_ALPHA);
    let (effect, runs) = (&trial.effect, trial.effect.len() as f64);
    if effect.is_empty() {
        return;
    }
    at_most(&name("interval missed the effect"), count(effect, missed), runs, SIGNAL_ALPHA);
    if let Some(chance) = trial.chance {
        let found = count(effect, |one| one.found) / runs;
        let least = chance - 3.0 * (chance * (1.0 - chance) / runs).sqrt() - 0.02;
        assert!(found >= least, "{}: found in {found}, planned {chance}", trial.design.name);
    }
}

/// The ordinary test errs in a fifth of the runs, or the data would prove nothing.
pub(crate) fn assert_ordinary_test_errs(trials: &[Trial]) {
    let runs: f64 = trials.iter().map(|trial| trial.nothing.len() as f64).sum();
    let naive: f64 = trials.iter().map(|trial| count(&trial.nothing, |one| one.naive)).sum();
    assert!(naive > 0.2 * runs, "the ordinary test erred in {naive} of {runs} runs only");
}

/// Equal, numbers to nine digits.
pub(crate) fn assert_near(ours: &serde_json::Value, asked: &serde_json::Value, place: &str) {
    use serde_json::Value;
    match (ours, asked) {
        (Value::Object(one), Value::Object(two)) => {
            assert!(one.keys().eq(two.keys()), "{place}: {one:?} {two:?}");
            for (key, one) in one {
                assert_near(one, &two[key], &format!("{place}.{key}"));
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (one, two) in one.iter().zip(two) {
                assert_near(one, two, place);
            }
        }
        (Value::Number(one), Value::Number(two)) => {
            let (one, two) = (one.as_f64().unwrap(), two.as_f64().unwrap());
            let size = one.abs().max(two.abs()).max(1.0);
            assert!((one - two).abs() <= 1e-9 * size, "{place}: {one} {two}");
        }
        (one, two) => assert_eq!(one, two, "{place}"),
    }
}
