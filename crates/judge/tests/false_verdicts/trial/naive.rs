//! What a team without a sequential test does at every look: |z| > 1.96 on what it sees.
//!
//! Counts by [`judge::rehearse::naive_z`]; series as if every step were independent (Welch).

use judge::observe::Observation;
use judge::points::Point;
use judge::rehearse::naive_z;
use judge::spec::Experiment;

use super::designs::{Against, Design, World};
use crate::designs::midnight;

/// Fewest steps of a series that anybody would test.
const LEAST: f64 = 28.0;

/// Running sums of a series.
#[derive(Default)]
struct Sums {
    n: f64,
    sum: f64,
    sum_sq: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.n += 1.0;
        self.sum += value;
        self.sum_sq += value * value;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n
    }

    fn error(&self) -> f64 {
        (self.sum_sq / self.n - self.mean() * self.mean()) / self.n
    }
}

/// The ordinary test along one run.
pub(crate) struct Naive<'a> {
    design: &'a Design,
    from: f64,
    before: Sums,
    after: Sums,
    counted: usize,
    /// Whether it ever called a change.
    pub(crate) called: bool,
}

impl<'a> Naive<'a> {
    pub(crate) fn new(design: &'a Design, from: f64) -> Self {
        let (before, after) = (Sums::default(), Sums::default());
        Self { design, from, before, after, counted: 0, called: false }
    }

    /// One look.
    pub(crate) fn look(
        &mut self,
        experiment: &Experiment,
        known: &[Point],
        seen: Option<&Observation>,
    ) {
        let z = match self.design.world {
            World::Series(_) => self.steps(known),
            _ => seen.and_then(Observation::counted).and_then(|observed| {
                naive_z(experiment, experiment.signal("outcome").unwrap(), observed)
            }),
        };
        self.called |= z.is_some_and(|z| z.abs() > 1.96);
    }

    fn steps(&mut self, known: &[Point]) -> Option<f64> {
        let arms = self.design.against == Against::Arms;
        let value = |point: &Point| point.sums.to_array()[0];
        for pair in known[self.counted..].chunks(if arms { 2 } else { 1 }) {
            let level = if arms { value(&pair[1]) - value(&pair[0]) } else { value(&pair[0]) };
            if pair[0].start < midnight(0) { &mut self.before } else { &mut self.after }.add(level);
        }
        self.counted = known.len();
        let (compared, error) = match self.design.against {
            Against::Arms => (0.0, 0.0),
            Against::Stated => (self.from, 0.0),
            Against::Window => (self.before.mean(), self.before.error()),
        };
        let enough = self.after.n >= LEAST;
        enough.then(|| (self.after.mean() - compared) / (self.after.error() + error).sqrt())
    }
}
