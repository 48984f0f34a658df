//! Series of experiments: the newest look's numbers, bounded by construction.
//!
//! At most `max_experiments` experiments have series, and each at most [`MAX_SERIES`]: the
//! important ones first (verdict, guardrails, outcomes, proxies, leading), the rest is counted in
//! `series_dropped`. A look replaces all series of its experiment, so nothing goes stale.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use judge::analyse::{GuardrailState, GuardrailStatus, SignalState, SignalView};
use judge::decide::Verdict;
use judge::record::EvaluationRecord;
use judge::spec::Role;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::locked;

/// Most series of one experiment.
pub const MAX_SERIES: usize = 50;
/// Widest number that is a bound; beyond it an interval's end is open and has no series.
const OPEN_END: f64 = 1.0e300;

type Labels = Vec<(&'static str, String)>;

/// One series of one experiment.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: &'static str,
    labels: Labels,
    value: f64,
}

/// What is known of one experiment.
#[derive(Debug, Clone, Default)]
struct State {
    head: Vec<Series>,
    guardrails: BTreeMap<String, GuardrailStatus>,
    signals: Vec<Series>,
}

type States = Arc<RwLock<BTreeMap<String, State>>>;

/// The states behind the collector.
#[derive(Debug)]
pub(super) struct Experiments {
    states: States,
    max_experiments: usize,
}

/// Help text of every family, in exposition order.
const FAMILIES: &[(&str, &str)] = &[
    ("info", "The experiment's owner"),
    ("verdict", "Verdict in force: 1 collecting, 2 continue, 3 hold, 4 change, 5 stop"),
    ("verdict_timestamp_seconds", "Slot of the newest look"),
    ("data_as_of_timestamp_seconds", "End of the newest data every signal has"),
    ("checkpoint_timestamp_seconds", "When the checkpoint is due"),
    (
        "guardrail_state",
        "0 ok, 1 insufficient, 2 unproven, 3 burning, 4 no data, 5 source error, 6 tripped",
    ),
    ("guardrail_value", "What the guardrail saw"),
    ("guardrail_limit", "The bound it is held against"),
    ("guardrail_budget_left_ratio", "Share of the error budget that is left"),
    (
        "signal_state",
        "0 not judged, 1 inconclusive, 2 flat, 3 moving, 4 short, 5 met, 6 below, 7 harm",
    ),
    ("signal_change", "Estimated change against the comparison, in the signal's unit"),
    ("signal_low", "Lower end of the always-valid interval of the change"),
    ("signal_high", "Upper end of the always-valid interval of the change"),
    ("signal_baseline", "Level of the comparison"),
    ("signal_value", "Level of the treatment"),
    ("signal_target", "Level the aim wants"),
    ("series_dropped", "Series left out because the experiment has too many"),
];

impl Experiments {
    pub(super) fn new(max_experiments: usize) -> Self {
        Self { states: States::default(), max_experiments }
    }

    pub(super) fn collector(&self) -> ExperimentCollector {
        ExperimentCollector { states: self.states.clone() }
    }

    pub(super) fn observe_record(&self, record: &EvaluationRecord) {
        let mut states = locked(&self.states);
        let id = &record.input.experiment.id;
        if !states.contains_key(id) && states.len() >= self.max_experiments {
            return;
        }
        let state = states.entry(id.clone()).or_default();
        state.head = head(record);
        state.signals = signals(record);
        for status in &record.guardrails {
            state.guardrails.insert(status.name.clone(), status.clone());
        }
    }

    pub(super) fn observe_guardrail(&self, experiment: &str, status: &GuardrailStatus) {
        let mut states = locked(&self.states);
        if !states.contains_key(experiment) && states.len() >= self.max_experiments {
            return;
        }
        let state = states.entry(experiment.to_owned()).or_default();
        state.guardrails.insert(status.name.clone(), status.clone());
    }

    pub(super) fn forget(&self, experiment: &str) {
        locked(&self.states).remove(experiment);
    }
}

/// The number of a verdict on the dashboards.
pub fn verdict_code(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Collecting => 1.0,
        Verdict::Continue => 2.0,
        Verdict::Hold => 3.0,
        Verdict::Change => 4.0,
        Verdict::Stop => 5.0,
    }
}

fn head(record: &EvaluationRecord) -> Vec<Series> {
    let experiment = &record.input.experiment;
    let at = record.input.at;
    let plain = |name, value| Series { name, labels: Vec::new(), value };
    let mut head = vec![
        Series { name: "info", labels: vec![("owner", experiment.owner.name.clone())], value: 1.0 },
        plain("verdict", verdict_code(record.decision.verdict)),
        plain("verdict_timestamp_seconds", at.as_millisecond() as f64 / 1000.0),
    ];
    if let Some(data_as_of) = record.data_as_of() {
        let seconds = data_as_of.as_millisecond() as f64 / 1000.0;
        head.push(plain("data_as_of_timestamp_seconds", seconds));
    }
    if let Some(checkpoint_at) = record.decision.next_checkpoint_at {
        let seconds = checkpoint_at.as_millisecond() as f64 / 1000.0;
        head.push(plain("checkpoint_timestamp_seconds", seconds));
    }
    head
}

fn signals(record: &EvaluationRecord) -> Vec<Series> {
    let mut ordered: Vec<&SignalView> = record.signals.iter().collect();
    ordered.sort_by_key(|signal| match signal.role {
        Role::Outcome => 0,
        Role::Proxy => 1,
        Role::Leading => 2,
        Role::Guardrail => 3,
    });
    ordered.into_iter().flat_map(signal_series).collect()
}

fn signal_series(signal: &SignalView) -> Vec<Series> {
    let role = serde_json::to_value(signal.role).unwrap_or_default();
    let role = role.as_str().unwrap_or_default().to_owned();
    let labels: Labels = vec![("signal", signal.name.clone()), ("role", role)];
    let series = |name, value| Series { name, labels: labels.clone(), value };
    let mut all = vec![series("signal_state", state_code(signal.state))];
    let numbers = signal.evidence.as_ref().map(|evidence| {
        [
            ("signal_change", Some(evidence.estimate)),
            ("signal_low", Some(evidence.interval.lo)),
            ("signal_high", Some(evidence.interval.hi)),
            ("signal_baseline", evidence.comparison),
            ("signal_value", evidence.level),
        ]
    });
    let numbers = numbers.into_iter().flatten().chain([("signal_target", signal.target)]);
    all.extend(numbers.filter_map(|(name, value)| {
        let value = value.filter(|value| value.is_finite() && value.abs() < OPEN_END)?;
        Some(series(name, value))
    }));
    all
}

fn guardrail_series(status: &GuardrailStatus) -> Vec<Series> {
    let labels: Labels = vec![("guardrail", status.name.clone())];
    let series = |name, value| Series { name, labels: labels.clone(), value };
    let mut all = vec![series("guardrail_state", guardrail_code(status.state))];
    let numbers = [
        ("guardrail_value", status.value),
        ("guardrail_limit", status.limit),
        ("guardrail_budget_left_ratio", status.budget_left),
    ];
    all.extend(numbers.into_iter().filter_map(|(name, value)| Some(series(name, value?))));
    all
}

fn state_code(state: SignalState) -> f64 {
    match state {
        SignalState::TooEarly | SignalState::NoData | SignalState::Invalid | SignalState::Shown => {
            0.0
        }
        SignalState::Inconclusive => 1.0,
        SignalState::Flat => 2.0,
        SignalState::Moving => 3.0,
        SignalState::Short => 4.0,
        SignalState::Met => 5.0,
        SignalState::Below => 6.0,
        SignalState::Harm => 7.0,
    }
}

fn guardrail_code(state: GuardrailState) -> f64 {
    match state {
        GuardrailState::Ok => 0.0,
        GuardrailState::Insufficient => 1.0,
        GuardrailState::Unproven => 2.0,
        GuardrailState::Burning => 3.0,
        GuardrailState::NoData => 4.0,
        GuardrailState::SourceError => 5.0,
        GuardrailState::Tripped => 6.0,
    }
}

/// Writes the states out on each scrape.
#[derive(Debug)]
pub(super) struct ExperimentCollector {
    states: States,
}

impl Collector for ExperimentCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let by_family = {
            let states = self.states.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            grouped(&states)
        };
        for (name, help) in FAMILIES {
            let Some(rows) = by_family.get(name) else {
                continue;
            };
            let full = format!("experiment_{name}");
            let mut family = encoder.encode_descriptor(&full, help, None, MetricType::Gauge)?;
            for (labels, value) in rows {
                let metric = ConstGauge::new(*value);
                metric.encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

type Rows = BTreeMap<&'static str, Vec<(Vec<(String, String)>, f64)>>;

fn grouped(states: &BTreeMap<String, State>) -> Rows {
    let mut rows = Rows::new();
    for (id, state) in states {
        let guardrails = state.guardrails.values().flat_map(guardrail_series);
        let all: Vec<Series> =
            state.head.iter().cloned().chain(guardrails).chain(state.signals.clone()).collect();
        // One place is kept for the count of what was left out.
        let dropped = all.len().saturating_sub(MAX_SERIES - 1);
        let own = ("experiment".to_owned(), id.clone());
        for series in all.into_iter().take(MAX_SERIES - 1) {
            let labels = series.labels.into_iter().map(|(name, value)| (name.to_owned(), value));
            let labels = std::iter::once(own.clone()).chain(labels).collect();
            rows.entry(series.name).or_default().push((labels, series.value));
        }
        rows.entry("series_dropped").or_default().push((vec![own], dropped as f64));
    }
    rows
}
