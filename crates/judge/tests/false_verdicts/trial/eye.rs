//! What `observe` would answer at every look of a long series, without asking it every time.
//!
//! `observe` is asked wherever it may choose a block length; until the next such place the same
//! blocks go on. A look at which nothing can be judged yet (or ever: a refused baseline stays
//! refused) is `None`.
//! A test below holds this to `observe` itself.

use judge::observe::{Blocks, Observation, Observed};
use judge::points::{ALL, Point, Sums};
use judge::record::Cycle;
use judge::spec::{Experiment, LookPlan};
use judge::stats::blocks::{MIN_LATER_BLOCKS, MIN_REFERENCE_BLOCKS, Profile, START, block_means};
use judge::time::{DAY_MS, HOUR_MS, Timestamp, ms_between};

use super::designs::{Against, Design, Series, World};
use super::world::week_hour;
use crate::designs::midnight;
use crate::play::asked;
use crate::sight::Sight;

/// Everything a run looks with.
pub(crate) enum Eye {
    /// Running sums.
    Counts(Box<Sight>),
    /// Running blocks.
    Steps(Box<StepEye>),
}

impl Eye {
    pub(crate) fn new(design: &Design, points: &[Point]) -> Self {
        match design.world {
            World::Series(series) => Self::Steps(Box::new(StepEye::new(design, series, points))),
            _ => Self::Counts(Box::default()),
        }
    }

    /// What is seen at `at`; `known` are the points that had closed.
    pub(crate) fn see(
        &mut self,
        experiment: &Experiment,
        cycle: &Cycle,
        at: Timestamp,
        known: &[Point],
    ) -> Option<Observation> {
        let signal = experiment.signal("outcome").unwrap();
        match self {
            Self::Counts(sight) => Some(sight.observation(experiment, signal, cycle, at, known)),
            Self::Steps(eye) => {
                let ask = || asked(experiment, signal, cycle, at, known);
                // One planned look may want the steps themselves.
                let once = experiment.checkpoint.look == LookPlan::Once;
                if once && at >= cycle.checkpoint_at { Some(ask()) } else { eye.see(at, &ask) }
            }
        }
    }
}

/// A series step by step, with the blocks that were chosen.
pub(crate) struct StepEye {
    against: Against,
    series: Series,
    /// Values since the start by arm (treatment last), and their difference where there are two.
    judged: Vec<Vec<f64>>,
    /// Before and after: the same as the source says it, with its weekly profile.
    plain: Vec<f64>,
    /// Steps at which a length is chosen next.
    next: usize,
    chosen: Option<Chosen>,
}

struct Chosen {
    seen: Box<Observed>,
    /// How much wider than the plain standard deviation each population's is.
    widened: Vec<f64>,
    length: usize,
}

impl StepEye {
    fn new(design: &Design, series: Series, points: &[Point]) -> Self {
        let own = |arm: &'static str| points.iter().filter(move |point| point.arm == arm);
        let values = |arm: &'static str| {
            let later = own(arm).filter(|point| point.start >= midnight(0));
            later.map(|point| point.sums.to_array()[0]).collect::<Vec<f64>>()
        };
        let judged = match design.against {
            Against::Arms => {
                let (held, treated) = (values("control"), values("treatment"));
                let gaps = treated.iter().zip(&held).map(|(treated, held)| treated - held);
                let gaps = gaps.collect();
                vec![held, treated, gaps]
            }
            Against::Stated => vec![values(ALL)],
            Against::Window => vec![deseasoned(&own(ALL).collect::<Vec<_>>())],
        };
        let plain = if design.against == Against::Window { values(ALL) } else { Vec::new() };
        Self { against: design.against, series, judged, plain, next: 0, chosen: None }
    }

    fn see(&mut self, at: Timestamp, ask: &dyn Fn() -> Observation) -> Option<Observation> {
        let per_hour = self.series.per_hour;
        let steps = (ms_between(midnight(0), at) / (HOUR_MS / per_hour)) as usize;
        if steps >= self.next {
            let seen = ask();
            self.learn(&seen, steps);
            return Some(seen);
        }
        let chosen = self.chosen.as_ref()?;
        let mut seen = chosen.seen.clone();
        (seen.window.end, seen.data_as_of) = (at, at);
        for (arm, sample) in seen.arms.values_mut().enumerate() {
            let values = if self.plain.is_empty() { &self.judged[arm] } else { &self.plain };
            sample.sums = Sums::Value { value: values[steps - 1] };
            sample.cells = steps as u32;
        }
        let mut count = 0;
        for (index, blocks) in populations(&mut seen).into_iter().enumerate() {
            renew(blocks, &self.judged[index][..steps], chosen.length, chosen.widened[index]);
            count = blocks.count as usize;
        }
        let window = self.against == Against::Window;
        let needed = if window { MIN_LATER_BLOCKS } else { MIN_REFERENCE_BLOCKS };
        let more = needed.saturating_sub(count) as f64;
        Some(if more > 0.0 {
            Observation::Insufficient { more, observed: seen }
        } else {
            Observation::Ok(seen)
        })
    }

    /// Takes the length over once `observe` has one and two blocks show its width.
    fn learn(&mut self, seen: &Observation, steps: usize) {
        // The prefixes on which `observe` tries a length: 16, 32, ... times the first one.
        let daily = self.against == Against::Stated;
        let first = if daily { 24 * self.series.per_hour as usize } else { START };
        let mut rung = first * MIN_REFERENCE_BLOCKS;
        while rung <= steps {
            rung *= 2;
        }
        self.chosen = None;
        if self.against != Against::Window {
            self.next = rung;
        }
        let Some(observed) = seen.counted() else {
            return;
        };
        let mut seen = Box::new(observed.clone());
        let (mut widened, mut length) = (Vec::new(), 1);
        for (index, blocks) in populations(&mut seen).into_iter().enumerate() {
            if blocks.refused.is_some() {
                // A refused past stays as it is.
                if self.against == Against::Window {
                    self.next = usize::MAX;
                }
                return;
            }
            if blocks.count < 2 {
                return;
            }
            length = blocks.block_len as usize;
            let mut plain = blocks.clone();
            renew(&mut plain, &self.judged[index][..steps], length, 1.0);
            widened.push(blocks.sd / plain.sd);
        }
        if self.against == Against::Window {
            self.next = usize::MAX;
        }
        self.chosen = Some(Chosen { seen, widened, length });
    }
}

/// The judged populations in the order of `StepEye::judged`.
fn populations(seen: &mut Observed) -> Vec<&mut Blocks> {
    let arms = seen.arms.values_mut().filter_map(|sample| sample.blocks.as_mut());
    arms.chain(seen.paired.as_mut()).collect()
}

fn renew(blocks: &mut Blocks, values: &[f64], length: usize, widened: f64) {
    let means: Vec<f64> = block_means(values, length).into_iter().flatten().collect();
    let size = means.len() as f64;
    blocks.count = means.len() as u32;
    blocks.mean = means.iter().map(|mean| mean / size).sum();
    let squares: f64 = means.iter().map(|x| (x - blocks.mean) * (x - blocks.mean)).sum();
    blocks.sd = (squares / (size - 1.0)).sqrt() * widened;
}

/// The values after the start less the weekly profile of those before it.
fn deseasoned(points: &[&Point]) -> Vec<f64> {
    let split = points.partition_point(|point| point.start < midnight(0));
    let (before, after) = points.split_at(split);
    let values = |part: &[&Point]| -> Vec<f64> {
        part.iter().map(|point| point.sums.to_array()[0]).collect()
    };
    let slots = |part: &[&Point]| -> Vec<u16> {
        part.iter().map(|point| week_hour(ms_between(midnight(0), point.start))).collect()
    };
    assert!(before.len() as i64 * ms_between(before[0].start, before[0].end) >= 14 * DAY_MS);
    let profile = Profile::new(&values(before), &slots(before)).unwrap();
    profile.remove(&values(after), &slots(after))
}
