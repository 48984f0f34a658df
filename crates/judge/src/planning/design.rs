//! How the standard error of a contrast falls with the units of a design.

use crate::spec::{Baseline, Compare, Experiment, Form, MethodName, Signal};

use super::{Question, Unknown};

/// The variance of the contrast at `n` units over all arms: `per_unit / n + fixed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// Variance that shrinks with the units, times the units.
    pub per_unit: f64,
    /// Variance of a baseline that was counted once and does not grow.
    pub fixed: f64,
    /// Share of the units of each judged arm, control first; empty without arms.
    pub split: Vec<(String, f64)>,
    /// The stated share that an exact test holds the units against.
    pub stated: Option<f64>,
}

impl Design {
    /// The design of a signal, from its level before and after (statistics.md 1.2, 1.4).
    pub(super) fn of(
        experiment: &Experiment,
        signal: &Signal,
        before: Option<f64>,
        after: Option<f64>,
        question: &Question,
    ) -> Result<Self, Unknown> {
        let (of_before, of_after) = match signal.form {
            Form::Proportion => {
                let (before, after) = before.zip(after).ok_or(Unknown::NoBaseline)?;
                let variance = |share: f64| {
                    let share = share.clamp(0.0, 1.0);
                    share * (1.0 - share)
                };
                (variance(before), variance(after))
            }
            Form::Mean | Form::Ratio => {
                let spread = question.spreads.get(&signal.name).ok_or(Unknown::NoSpread)?;
                (spread * spread, spread * spread)
            }
            Form::Rate => return Err(Unknown::Exposure),
            Form::Value => return Err(Unknown::Series),
        };
        let per_week = question.units_per_week.or(experiment.units_per_week);
        let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
        let window = |span: crate::time::Span| {
            per_week.map_or(0.0, |per_week| of_before / (per_week / 7.0 * span.as_days()).max(1.0))
        };
        let alone = |fixed: f64, stated: Option<f64>| Self {
            per_unit: of_after,
            fixed,
            split: Vec::new(),
            stated,
        };
        Ok(match compare {
            Compare::Arms { control, treatment, split, .. } => {
                let share = |arm: &str| split.get(arm).copied().unwrap_or(0.5);
                let per_unit = of_before / share(control) + of_after / share(treatment);
                let split = [control, treatment].map(|arm| (arm.clone(), share(arm))).to_vec();
                Self { per_unit, fixed: 0.0, split, stated: None }
            }
            Compare::BeforeAfter { window: span } => alone(window(*span), None),
            Compare::Baseline => match signal.from {
                Some(Baseline::Counted { n, .. }) if n > 0.0 => alone(of_before / n, None),
                Some(Baseline::Window(span)) => alone(window(span), None),
                _ => {
                    let normal = signal.method == Some(MethodName::InformationTime);
                    let exact = signal.form == Form::Proportion && !normal;
                    alone(0.0, before.filter(|_| exact))
                }
            },
        })
    }

    /// Standard error of the contrast at that many units over all arms.
    pub fn standard_error(&self, units: f64) -> f64 {
        (self.per_unit / units + self.fixed).sqrt()
    }
}
