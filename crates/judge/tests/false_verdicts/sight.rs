//! Observations of growing data without adding everything up again at every look.
//!
//! What `observe` would answer for clean daily data, made from running sums; a test below holds
//! the two to each other. Series ask `observe` itself wherever it chooses a block length, which
//! then stays until there are twice as many steps.

use std::collections::BTreeMap;

use judge::observe::{Blocks, Observation, Observed, Sample};
use judge::points::{Extra, Point, Sums};
use judge::record::Cycle;
use judge::spec::{Experiment, Signal};
use judge::stats::blocks::{MIN_REFERENCE_BLOCKS, START, block_means};
use judge::stats::overdispersion::{
    Unevenness, between_binomial, between_poisson, within_binomial, within_poisson,
};
use judge::time::{Timestamp, Window};

use super::play::asked;

/// One signal seen so far.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    counted: usize,
    arms: BTreeMap<String, Arm>,
    plan: Option<Plan>,
    /// Steps at which the length is chosen anew.
    next: usize,
}

/// How the blocks were cut when the length was last chosen.
#[derive(Debug, Clone, Copy)]
struct Plan {
    length: usize,
    lag1: f64,
    /// How much wider than the plain standard deviation theirs is.
    widened: f64,
}

#[derive(Debug, Default)]
struct Arm {
    sums: Option<Sums>,
    /// Numerator and denominator of every period, for the dispersion.
    cells: Vec<(f64, f64)>,
}

impl Sight {
    /// What is seen at `at` of a signal with these points, all of them closed and mature.
    pub(crate) fn observation(
        &mut self,
        experiment: &Experiment,
        signal: &Signal,
        cycle: &Cycle,
        at: Timestamp,
        points: &[Point],
    ) -> Observation {
        for point in &points[self.counted..] {
            self.add(point);
        }
        self.counted = points.len();
        let series = self.arms.values().any(|arm| matches!(arm.sums, Some(Sums::Value { .. })));
        let steps = self.arms.values().next().map_or(0, |arm| arm.cells.len());
        if series && (self.plan.is_none() || steps >= self.next) {
            let seen = asked(experiment, signal, cycle, at, points);
            self.plan = self.chosen(&seen);
            self.next = START * MIN_REFERENCE_BLOCKS;
            while self.next <= steps {
                self.next *= 2;
            }
            return seen;
        }
        let samples = self.arms.iter().map(|(name, arm)| (name.clone(), self.sample(arm)));
        let observed = Box::new(Observed {
            arms: samples.collect(),
            baseline: None,
            paired: self.plan.and_then(|plan| self.paired(plan)),
            steps: None,
            difference: self.difference(),
            epochs: Vec::new(),
            window: Window { start: cycle.started_at, end: at },
            data_as_of: at,
            waiting: 0.0,
            digest: String::new(),
        });
        let more = missing(&observed).ceil();
        if more > 0.0 {
            Observation::Insufficient { more, observed }
        } else {
            Observation::Ok(observed)
        }
    }

    fn add(&mut self, point: &Point) {
        let arm = self.arms.entry(point.arm.clone()).or_default();
        match &mut arm.sums {
            Some(sums) => *sums += point.sums,
            empty => *empty = Some(point.sums),
        }
        let [top, bottom, ..] = point.sums.to_array();
        arm.cells.push((top, bottom));
    }

    fn sample(&self, arm: &Arm) -> Sample {
        let sums = arm.sums.unwrap();
        Sample {
            sums,
            cells: arm.cells.len() as u32,
            phi: match sums {
                Sums::Proportion { .. } => within_binomial(&arm.cells),
                Sums::Rate { .. } => within_poisson(&arm.cells),
                _ => None,
            }
            .map(|uneven| uneven.phi),
            blocks: self.plan.map(|plan| blocks(&values(arm), plan)),
            extra: Extra::default(),
        }
    }

    fn difference(&self) -> Option<Unevenness> {
        let (control, treatment) = (self.arms.get("control")?, self.arms.get("treatment")?);
        let pairs = treatment.cells.iter().copied().zip(control.cells.iter().copied());
        let pairs: Vec<_> = pairs.collect();
        match treatment.sums? {
            Sums::Proportion { .. } => between_binomial(&pairs),
            Sums::Rate { .. } => between_poisson(&pairs),
            _ => None,
        }
    }

    /// The plan that was chosen, once the blocks may be judged.
    fn chosen(&self, seen: &Observation) -> Option<Plan> {
        let Observation::Ok(observed) = seen else {
            return None;
        };
        let paired = observed.paired.as_ref().filter(|blocks| blocks.refused.is_none())?;
        let (length, lag1) = (paired.block_len as usize, paired.lag1);
        let plain = self.paired(Plan { length, lag1, widened: 1.0 })?;
        Some(Plan { length, lag1, widened: paired.sd / plain.sd })
    }

    fn paired(&self, plan: Plan) -> Option<Blocks> {
        let (control, treatment) = (self.arms.get("control")?, self.arms.get("treatment")?);
        let pairs = treatment.cells.iter().zip(&control.cells);
        let differences: Vec<f64> = pairs.map(|(treated, held)| treated.0 - held.0).collect();
        Some(blocks(&differences, plan))
    }
}

fn values(arm: &Arm) -> Vec<f64> {
    arm.cells.iter().map(|cell| cell.0).collect()
}

fn blocks(values: &[f64], plan: Plan) -> Blocks {
    let Plan { length, lag1, widened } = plan;
    let means: Vec<f64> = block_means(values, length).into_iter().flatten().collect();
    let size = means.len() as f64;
    let mean: f64 = means.iter().map(|mean| mean / size).sum();
    let squares: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    Blocks {
        mean,
        sd: (squares / (size - 1.0)).sqrt() * widened,
        count: means.len() as u32,
        block_len: length as u32,
        lag1,
        refused: None,
    }
}

/// Units, or blocks, that a method still asks for.
fn missing(observed: &Observed) -> f64 {
    let short = |sample: &Sample| match sample.sums {
        Sums::Mean { n, .. } => 100.0 - n,
        Sums::Value { .. } => {
            let count = sample.blocks.as_ref().map_or(0, |blocks| blocks.count);
            MIN_REFERENCE_BLOCKS as f64 - f64::from(count)
        }
        _ => 0.0,
    };
    observed.arms.values().map(short).fold(0.0, f64::max)
}
