//! Observations, states and points that no honest source would deliver.

use std::collections::BTreeMap;

use judge::observe::{Allocation, Blocks, Observation, Observed, Sample, Steps};
use judge::points::{ALL, Covariate, Extra, Point, Sums};
use judge::record::Carry;
use judge::spec::{Experiment, Form};
use judge::stats::overdispersion::Unevenness;
use judge::time::{DAY_MS, HOUR_MS, Timestamp, Window, add_ms};

use super::dice::Dice;

/// Draws numbers: ordinary ones, edges, and (unless `finite`) poison.
pub(crate) struct Hostile {
    dice: Dice,
    finite: bool,
}

impl Hostile {
    pub(crate) fn new(seed: u64, finite: bool) -> Self {
        Self { dice: Dice::new(seed), finite }
    }

    /// One of `most` many.
    pub(crate) fn pick(&mut self, most: usize) -> usize {
        ((self.dice.uniform() * most as f64) as usize).min(most - 1)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.pick(2) == 0
    }

    pub(crate) fn number(&mut self) -> f64 {
        let uniform = self.dice.uniform();
        match self.pick(if self.finite { 12 } else { 15 }) {
            0 => 0.0,
            1 => 1.0,
            2 => -uniform,
            3 => uniform,
            4 => 9_007_199_254_740_992.0,
            5 => f64::MIN_POSITIVE,
            6 => 1e300 * uniform,
            7 => -1e300 * uniform,
            8 => 1e-300 * uniform,
            9 => 1e12 * uniform,
            10 | 11 => (1e4 * uniform).floor(),
            12 => f64::NAN,
            13 => f64::INFINITY,
            _ => f64::NEG_INFINITY,
        }
    }

    fn maybe(&mut self) -> Option<f64> {
        self.coin().then(|| self.number())
    }

    /// Sums of that form, sensible or not.
    pub(crate) fn sums(&mut self, form: Form) -> Sums {
        if self.coin() {
            return self.sensible(form);
        }
        let [a, b, c, d, e, f] = [(); 6].map(|()| self.number());
        match form {
            Form::Mean if self.coin() => {
                let covariate = self.coin().then_some(Covariate { sum: d, sum_sq: e, cross: f });
                let extra = Extra { cubes: self.maybe(), covariate };
                Sums::Detailed { share: false, n: a, sum: b, sum_sq: c, extra }
            }
            Form::Proportion => Sums::Proportion { num: a, den: b },
            Form::Mean => Sums::Mean { n: a, sum: b, sum_sq: c },
            Form::Ratio => Sums::Ratio { n: a, num: b, den: c, num_sq: d, den_sq: e, cross: f },
            Form::Rate => Sums::Rate { events: a, exposure: b },
            Form::Value => Sums::Value { value: a },
        }
    }

    fn sensible(&mut self, form: Form) -> Sums {
        let n = (1e4 * self.dice.uniform()).floor() + 1.0;
        let share = self.dice.uniform();
        let num = (n * share).floor();
        match form {
            Form::Proportion => Sums::Proportion { num, den: n },
            Form::Mean => Sums::Mean { n, sum: 10.0 * n, sum_sq: (100.0 + 25.0 * share) * n },
            Form::Ratio => Sums::Ratio {
                n,
                num,
                den: 3.0 * n,
                num_sq: 2.0 * num,
                den_sq: 11.0 * n,
                cross: 3.5 * num,
            },
            Form::Rate => Sums::Rate { events: num, exposure: 0.5 * n },
            Form::Value => Sums::Value { value: 100.0 * share },
        }
    }

    fn blocks(&mut self) -> Blocks {
        let count = [0, 1, 2, 8, 16, 40, u32::MAX][self.pick(7)];
        Blocks {
            mean: self.number(),
            sd: self.number(),
            count,
            block_len: [0, 1, 24, u32::MAX][self.pick(4)],
            lag1: self.number(),
            refused: (self.pick(4) == 0).then(|| "refused".to_owned()),
        }
    }

    fn sample(&mut self, form: Form) -> Sample {
        let form = if self.pick(12) == 0 { Form::Rate } else { form };
        let sums = self.sums(form);
        Sample {
            sums: sums.plain(),
            cells: [0, 1, 7, 28, u32::MAX][self.pick(5)],
            phi: self.maybe(),
            blocks: (form == Form::Value && self.pick(6) > 0).then(|| self.blocks()),
            extra: sums.extra(),
        }
    }

    fn steps(&mut self) -> Vec<f64> {
        let len = [0, 1, 3, 40, 300][self.pick(5)];
        (0..len).map(|_| self.number()).collect()
    }

    fn observed(&mut self, form: Form, (start, at): (Timestamp, Timestamp)) -> Box<Observed> {
        let mut arms = BTreeMap::new();
        for arm in ["control", "treatment", ALL] {
            if self.pick(6) > 0 {
                arms.insert(arm.to_owned(), self.sample(form));
            }
        }
        let mut pair = || (self.number(), self.number());
        let epochs = [(pair(), pair()), (pair(), pair())];
        let epochs = epochs.map(|(control, treatment)| Allocation { control, treatment });
        Box::new(Observed {
            arms,
            baseline: self.coin().then(|| self.sample(form)),
            paired: (form == Form::Value && self.coin()).then(|| self.blocks()),
            steps: (form == Form::Value && self.coin())
                .then(|| Steps { treatment: self.steps(), comparison: self.steps() }),
            difference: self.coin().then(|| Unevenness { phi: self.number(), df: self.number() }),
            epochs: if self.pick(3) == 0 { epochs.to_vec() } else { Vec::new() },
            window: Window { start, end: at },
            data_as_of: at,
            waiting: self.number(),
            digest: String::new(),
        })
    }

    fn observation(&mut self, form: Form, times: (Timestamp, Timestamp)) -> Observation {
        match self.pick(10) {
            0 => Observation::NoData { since: None, why: "gone".to_owned() },
            1 => Observation::Immature { until: times.1, waiting: self.number() },
            2 => Observation::SourceError {
                class: "timeout".to_owned(),
                cause: "slow".to_owned(),
                since: times.0,
            },
            3 => {
                let observed = self.observed(form, times);
                Observation::Insufficient { more: self.number(), observed }
            }
            _ => Observation::Ok(self.observed(form, times)),
        }
    }

    /// One observation per signal; now and then one is missing altogether.
    pub(crate) fn observations(
        &mut self,
        experiment: &Experiment,
        at: Timestamp,
    ) -> BTreeMap<String, Observation> {
        let mut all = BTreeMap::new();
        for signal in &experiment.signals {
            if self.pick(20) > 0 {
                let seen = self.observation(signal.form, (experiment.start, at));
                all.insert(signal.name.clone(), seen);
            }
        }
        all
    }

    /// The state of earlier looks with some of its numbers replaced; a store reads finite ones.
    pub(crate) fn spoil(&mut self, carry: &mut Carry) {
        let poison = !std::mem::replace(&mut self.finite, true);
        for state in carry.values_mut() {
            for number in [&mut state.tau, &mut state.alpha, &mut state.ln_p] {
                if self.pick(3) == 0 {
                    *number = self.number();
                }
            }
            if self.pick(3) == 0 {
                (state.looks, state.earlier_epochs) = (u64::MAX, u32::MAX);
            }
        }
        self.finite = !poison;
    }

    /// Points of a guardrail's series, hours and days, in any order and some twice.
    pub(crate) fn points(&mut self, start: Timestamp, form: Form) -> Vec<Point> {
        let count = [0, 1, 3, 30][self.pick(4)];
        let mut all = Vec::new();
        for _ in 0..count {
            let start = add_ms(start, self.pick(80) as i64 * DAY_MS / 2 - DAY_MS);
            let length = [0, HOUR_MS, DAY_MS][self.pick(3)];
            let sums = self.sums(form);
            all.push(Point {
                arm: ["control", "treatment", ALL][self.pick(3)].to_owned(),
                start,
                end: add_ms(start, length),
                sums,
            });
        }
        all
    }
}
