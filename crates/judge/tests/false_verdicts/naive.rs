//! What a team without a sequential test does: look every day, call it at |z| > 1.96.

use judge::points::Sums;

use super::designs::{Design, Run, midnight};

/// Whether the ordinary test, repeated every day, ever calls the run different.
pub(crate) fn calls(run: &Run) -> bool {
    let points = run.points("outcome");
    let mut arms = [Totals::default(), Totals::default()];
    let mut next = 0;
    (1..=run.looks).any(|day| {
        while let Some(point) = points.get(next).filter(|point| point.end <= midnight(day)) {
            arms[usize::from(point.arm == "treatment")].add(point.sums);
            next += 1;
        }
        z(run.design, &arms).is_some_and(|z| z.abs() > 1.96)
    })
}

/// Units, sum and sum of squares of one arm; for series the steps one by one.
#[derive(Default)]
struct Totals {
    n: f64,
    sum: f64,
    sum_sq: f64,
    steps: Vec<f64>,
}

impl Totals {
    fn add(&mut self, sums: Sums) {
        match sums {
            Sums::Proportion { num, den } => {
                self.n += den;
                self.sum += num;
            }
            Sums::Mean { n, sum, sum_sq } => {
                self.n += n;
                self.sum += sum;
                self.sum_sq += sum_sq;
            }
            Sums::Value { value } => self.steps.push(value),
            Sums::Ratio { .. } | Sums::Rate { .. } | Sums::Detailed { .. } => {}
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.n
    }

    /// Squared standard error of the mean.
    fn error(&self) -> f64 {
        (self.sum_sq / self.n - self.mean() * self.mean()) / self.n
    }
}

fn z(design: Design, [held, treated]: &[Totals; 2]) -> Option<f64> {
    let (gap, variance) = match design {
        Design::TwoArms | Design::RareEvents => {
            let pooled = (held.sum + treated.sum) / (held.n + treated.n);
            let parts = 1.0 / held.n + 1.0 / treated.n;
            (treated.mean() - held.mean(), pooled * (1.0 - pooled) * parts)
        }
        Design::StatedBaseline => (held.mean() - 0.27, 0.27 * 0.73 / held.n),
        Design::Mean => (treated.mean() - held.mean(), treated.error() + held.error()),
        Design::PairedSeries => {
            let pairs = treated.steps.iter().zip(&held.steps);
            let mut all = Totals::default();
            for (treated, held) in pairs {
                let gap = treated - held;
                all.add(Sums::Mean { n: 1.0, sum: gap, sum_sq: gap * gap });
            }
            // A week of steps before anybody computes a standard deviation.
            if all.n < 28.0 {
                return None;
            }
            (all.mean(), all.error())
        }
    };
    (variance > 0.0).then(|| gap / variance.sqrt())
}
