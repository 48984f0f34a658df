//! Blast radius: whom a rollback takes something away from, as far as the record knows.
//!
//! Counted, never extrapolated beyond its own days: the treatment's units of the signal that
//! counts most, the planned share, and the events behind the guardrail that tripped. What is not
//! known is left out.

use std::fmt::Write as _;

use judge::analyse::{GuardrailStatus, SignalView};
use judge::points::ALL;
use judge::record::EvaluationRecord;
use judge::spec::{Compare, Form};
use judge::time::{DAY_MS, ms_between};
use serde_json::{Value, json};

use super::numbers::plain;

/// What a rollback reaches.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blast {
    /// Planned share of the traffic in the treatment, 0 to 1.
    pub share: Option<f64>,
    /// Units counted in the treatment in this cycle.
    pub units: Option<f64>,
    /// Days that they were counted over.
    pub days: f64,
    /// Events behind the guardrail that tripped, and its name.
    pub events: Option<(f64, String)>,
}

/// Reads it off a record.
pub fn blast(record: &EvaluationRecord) -> Blast {
    let (arm, share) = match &record.input.experiment.compare {
        Compare::Arms { treatment, split, .. } => {
            let sum: f64 = split.values().sum();
            let share = split.get(treatment).map(|part| part / sum);
            (treatment.as_str(), share.filter(|share| share.is_finite()))
        }
        Compare::Baseline | Compare::BeforeAfter { .. } => (ALL, None),
    };
    let counts_units = |view: &&SignalView| view.form != Form::Value;
    let units = record
        .signals
        .iter()
        .filter(counts_units)
        .filter_map(|view| view.evidence.as_ref()?.n.get(arm).copied());
    let tripped = record.guardrails.iter().find(|status| status.latched);
    let events = |status: &GuardrailStatus| Some((status.total?, status.name.clone()));
    let passed_ms = ms_between(record.input.cycle.started_at, record.input.at).max(0);
    Blast {
        share,
        units: units.fold(None, |most, n| Some(most.map_or(n, |most: f64| most.max(n)))),
        days: passed_ms as f64 / DAY_MS as f64,
        events: tripped.and_then(events),
    }
}

impl Blast {
    /// As a block of the generic message.
    pub(super) fn json(&self) -> Value {
        json!({
            "share": self.share,
            "units": self.units,
            "days": self.days,
            "events": self.events.as_ref().map(|(events, _)| *events),
        })
    }

    /// One sentence; nothing where nothing is known.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(share) = self.share {
            // One digit at most: a plan is no measurement.
            let percent = (share * 1_000.0).round() / 10.0;
            parts.push(format!("{percent} % of the traffic by plan"));
        }
        if let Some(units) = self.units {
            let mut text = format!("{} units so far", plain(units));
            if self.days >= 1.0 {
                write!(text, " (about {} a day)", plain((units / self.days).round())).ok()?;
            }
            parts.push(text);
        }
        if let Some((events, name)) = &self.events {
            parts.push(format!("{} events behind {name}", plain(*events)));
        }
        (!parts.is_empty()).then(|| format!("Blast radius: {}.", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::sample_notices;

    #[test]
    fn a_trip_says_whom_it_reaches() {
        let samples = sample_notices("2026-08-11T00:00:00Z".parse().unwrap());
        let trip = samples.into_iter().find(|it| it.notice.kind.as_str() == "guardrail.tripped");
        let mut record = trip.unwrap().record.unwrap();
        let Compare::Arms { treatment, control, split } = &mut record.input.experiment.compare
        else {
            panic!("the sample has arms");
        };
        *split = [(treatment.clone(), 1.0), (control.clone(), 3.0)].into();
        let found = blast(&record);
        assert_eq!(found.share, Some(0.25));
        assert_eq!(
            found.sentence().unwrap(),
            "Blast radius: 25 % of the traffic by plan, 6,000 units so far (about 146 a day), \
             600,000 events behind errors."
        );
        assert_eq!(Blast::default().sentence(), None, "nothing known, nothing said");
    }
}
