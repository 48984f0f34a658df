//! From observations to evidence, states, atoms and the alpha ledger: the fifth step of the line.
//!
//! Product.md 4.2 in code. Each purpose (atom, level, harm, stop, guardrail, split) is its own
//! test with its own share of alpha, its own tau frozen in the carry, and its own interval.
//! Nothing here knows about verdicts.

mod alpha;
mod atoms;
mod basis;
mod burn;
pub(crate) mod carry;
mod compiled;
mod covariate;
mod drift;
mod exposure;
mod fixed;
mod fixed_methods;
mod look;
mod margins;
mod measure;
mod methods;
mod normal;
mod outlook;
mod planned;
mod rare;
mod rule;
mod split;
mod states;
mod tau;

use std::collections::BTreeMap;

pub use alpha::ledger;
pub(crate) use alpha::of_atoms as atom_alphas;
pub use burn::*;
pub use drift::*;
pub use exposure::{Allocated, ExposureCheck};
pub(crate) use rule::value as rule_value;
pub(crate) use tau::{aim_effect, of_atom as planned_tau, planned_units};

use serde::{Deserialize, Serialize};

use crate::observe::{Observation, Observed};
use crate::record::LookInput;
use crate::spec::{AtomKind, Form, LookPlan, OnTrip, Role, Signal, Want};

pub use crate::spec::MethodName;
use crate::stats::Interval;
use crate::time::{Timestamp, ms_between};

use look::Look;

/// What was estimated for one purpose, with its always-valid interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The method, chosen from design, form and look plan.
    pub method: MethodName,
    /// The contrast's estimate: treatment minus comparison (fraction for proportions), or
    /// `m_t - (1 + r) m_c` shown back as relative change where the threshold is relative.
    pub estimate: f64,
    /// Always-valid interval in the same unit; the open end of a one-sided bound is
    /// [`crate::stats::UNBOUNDED`].
    pub interval: Interval,
    /// Error rate of this interval.
    pub alpha: f64,
    /// 1 or 2.
    pub sides: u8,
    /// Mixing parameter in use.
    pub tau: f64,
    /// Smallest always-valid p so far.
    pub p_seq: f64,
    /// Whether estimate and interval are relative changes (shown in %) or absolute ones.
    pub relative: bool,
    /// Units (or blocks) by arm.
    pub n: BTreeMap<String, f64>,
    /// Level of the comparison (control or baseline).
    pub comparison: Option<f64>,
    /// Level of the treatment.
    pub level: Option<f64>,
    /// Overdispersion used, if any.
    pub phi: Option<f64>,
    /// The adjustment by a covariate, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<Adjusted>,
    /// No concurrent control: "uncontrolled; baseline treated as exact" where `exact_baseline`.
    pub uncontrolled: bool,
    /// The baseline was stated without counts.
    pub exact_baseline: bool,
    /// What must hold for this to be valid, in words.
    pub assumptions: Vec<String>,
    /// The planned look that was judged (`look: once` and `weekly`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlannedLook>,
}

/// A look that was planned: which one, on what share of the information, against which bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlannedLook {
    /// `once` or `weekly`.
    pub plan: LookPlan,
    /// The look whose data are judged; later looks repeat its result.
    pub judged_at: Timestamp,
    /// Looks so far, this one included.
    pub looks: u32,
    /// Share of the planned information, at most 1.
    pub fraction: f64,
    /// The bound on |z| at this look; the t or exact test is held against its error rate.
    pub bound: f64,
    /// The error rate of this look alone.
    pub alpha: f64,
    /// More came than was planned: no alpha is left for it, the last bound stays.
    pub overrun: bool,
}

/// How a covariate from before exposure sharpened a comparison (statistics.md 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// Slope of the number on the covariate, pooled over the arms.
    pub theta: f64,
    /// Share of the variance that it took away, 0 to 1.
    pub reduction: f64,
}

/// The state of a signal (product.md 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// Worse than no change.
    Harm,
    /// Better, and the estimate reaches the threshold.
    Met,
    /// Better, but provably too small.
    Short,
    /// Better.
    Moving,
    /// The interval excludes every meaningful effect.
    Flat,
    /// Not known yet.
    Inconclusive,
    /// A level provably not reached.
    Below,
    /// Immature or too few units.
    TooEarly,
    /// Nothing came, or the source failed.
    NoData,
    /// Constant, refused or otherwise unfit.
    Invalid,
    /// A signal that is only shown (no tau, or used by guardrails only).
    Shown,
}

/// One signal as every surface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalView {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Form.
    pub form: Form,
    /// Good direction.
    pub want: Want,
    /// Unit, if it has one.
    pub unit: Option<String>,
    /// State.
    pub state: SignalState,
    /// Why there is no state, in words (`no_data`, `invalid`, ...).
    pub why: Option<String>,
    /// Movement evidence at the signal's own alpha. Without a comparison, or where the rule asks
    /// for a level only, estimate and interval are the level's own and `comparison` is empty.
    pub evidence: Option<Evidence>,
    /// Target of the aim on this signal, if there is one.
    pub target: Option<f64>,
    /// The threshold `m` that `met` was judged against, in the unit of `evidence` (a relative
    /// change where that is relative).
    pub threshold: Option<f64>,
    /// End of the newest counted period.
    pub data_as_of: Option<Timestamp>,
    /// Units not matured yet.
    pub waiting: f64,
    /// The arms differed in the covariate before exposure: the p of "they were alike".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<f64>,
}

/// Three-valued logic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Not known.
    Unknown,
}

/// Why an atom is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownWhy {
    /// The data are there and do not tell.
    Inconclusive,
    /// Too few units.
    Insufficient,
    /// No data.
    NoData,
    /// The source failed.
    SourceError,
    /// Nothing has matured.
    Immature,
    /// Judged only at a checkpoint.
    NotNow,
    /// Unfit data.
    Invalid,
}

/// One atom with what was wanted and seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtomView {
    /// As in the file.
    pub text: String,
    /// Signal name.
    pub signal: String,
    /// Movement, tolerance or level.
    pub kind: AtomKind,
    /// The threshold, in the unit of the evidence (relative change, points, level).
    pub wanted: f64,
    /// Its evidence at the atom's own alpha; for a level the interval is on the level.
    pub evidence: Option<Evidence>,
    /// Whether it holds.
    pub met: Truth,
    /// Why not known.
    pub why: Option<UnknownWhy>,
    /// The interval condition was met at an earlier look of this epoch and is latched.
    pub latched: bool,
    /// Latched, but the current interval no longer excludes.
    pub drifted: bool,
    /// How many more units would make it true at the present estimate or the aim's effect.
    pub needs_more: Option<f64>,
    /// Placed at the aim's effect, with one more interval of units at the present rate, it would
    /// be true (product.md 4.3, *Decidable*).
    pub decidable: bool,
    /// Marked "no test" (`evidence: point` or `not_refuted`).
    pub no_test: bool,
}

impl AtomView {
    /// How many units are missing; `None` where there are enough to show the aim's effect and
    /// more of them are no reason for anything.
    pub fn units_missing(&self) -> Option<f64> {
        self.needs_more.filter(|units| *units >= 0.5)
    }
}

/// A rule's value, node by node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleValue {
    /// The rule as text.
    pub text: String,
    /// `atom` (index into the atoms), `not`, `and`, `or`.
    pub op: String,
    /// Index of the atom.
    pub atom: Option<usize>,
    /// Its value.
    pub value: Truth,
    /// Children.
    pub nodes: Vec<RuleValue>,
}

/// State of a guardrail, all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailState {
    /// Inside.
    Ok,
    /// Spending its budget too fast (slo).
    Burning,
    /// Neither shown safe nor broken.
    Unproven,
    /// Broken.
    Tripped,
    /// Too few events to say.
    Insufficient,
    /// Nothing came.
    NoData,
    /// The source failed.
    SourceError,
}

/// One guardrail with its numbers; also the hysteresis state the store keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardrailStatus {
    /// Name.
    pub name: String,
    /// `slo`, `threshold`, `no_worse_than`, `limit`, `error_budget`.
    pub kind: String,
    /// What a trip does.
    pub on_trip: OnTrip,
    /// State now.
    pub state: GuardrailState,
    /// The state before data went missing, if it did: missing data freezes, never clears.
    pub frozen: Option<GuardrailState>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// The newest look.
    pub evaluated_at: Option<Timestamp>,
    /// What was seen: error ratio, value, worst share, change.
    pub value: Option<f64>,
    /// The bound it is held against, same unit.
    pub limit: Option<f64>,
    /// Bounds on the value, where a test was made.
    pub interval: Option<Interval>,
    /// Bad events or units over.
    pub bad: Option<f64>,
    /// All events or units.
    pub total: Option<f64>,
    /// Share of the budget that is left (slo, error_budget).
    pub budget_left: Option<f64>,
    /// Why, in words, where the numbers do not say it.
    pub why: Option<String>,
    /// A breach pending its `for` since.
    pub pending_since: Option<Timestamp>,
    /// A breach ended but kept on since (`keep_firing_for`).
    pub clearing_since: Option<Timestamp>,
    /// The control breaches too.
    pub control_also: bool,
    /// The tripwire fired and is latched until a human rearms it.
    pub latched: bool,
    /// The error budget and its burn-rate alerts (slo with a rolling or calendar budget).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<BurnStatus>,
    /// The accumulators of a control chart (threshold with a drift).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
}

impl GuardrailStatus {
    /// Whether nothing has ever come of its source: what is away since the start has nothing frozen
    /// behind it.
    pub fn never_had_data(&self) -> bool {
        let is_away = |state| matches!(state, GuardrailState::NoData | GuardrailState::SourceError);
        is_away(self.state) && self.frozen.is_none_or(is_away)
    }
}

/// One line of the alpha ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphaLine {
    /// What it is spent on: `atom activation >= +3pts`, `harm activation_14d`, `split`, ...
    pub purpose: String,
    /// How much.
    pub alpha: f64,
    /// 1 or 2.
    pub sides: u8,
    /// The rule of product.md 4.2 it follows, in words.
    pub rule: String,
}

/// The split check of an arms design with declared shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitCheck {
    /// The signal whose units these are, unless it is the leading one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Units by arm.
    pub counts: BTreeMap<String, f64>,
    /// Smallest always-valid p so far.
    pub p_seq: f64,
    /// Alarm at p < 0.001 (less where several other signals are checked).
    pub mismatch: bool,
}

/// Whether a signal is in harm beyond its margin, by the harm share of alpha.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HarmCheck {
    /// Signal name.
    pub signal: String,
    /// The evidence at the harm alpha (bisected one-sided).
    pub evidence: Evidence,
    /// Estimate and interval both beyond.
    pub harmful: bool,
}

/// Everything `decide` looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Every signal, in file order.
    pub signals: Vec<SignalView>,
    /// Atoms of `continue_when`.
    pub atoms: Vec<AtomView>,
    /// `continue_when`.
    pub rule: RuleValue,
    /// Atoms of `stop_when`.
    pub stop_atoms: Vec<AtomView>,
    /// `stop_when`.
    pub stop_rule: Option<RuleValue>,
    /// Guardrails: stored states, with `no_worse_than` judged now.
    pub guardrails: Vec<GuardrailStatus>,
    /// Harm of each outcome.
    pub harm: Vec<HarmCheck>,
    /// Split check, if shares are declared.
    pub split: Option<SplitCheck>,
    /// Check of units in more than one arm, if the file asks for it.
    pub exposure: Option<ExposureCheck>,
    /// Alpha ledger.
    pub ledger: Vec<AlphaLine>,
    /// Latched-but-decayed and retargeted tests.
    pub findings: Vec<crate::decide::Finding>,
    /// Sequential state after this look.
    pub carry: crate::record::Carry,
    /// Share of the planned information of the slowest outcome, 0..1.
    pub progress: Option<f64>,
}

/// Everything `decide` looks at, from one frozen input. Total: no data problem is an error.
///
/// `at_checkpoint` opens the evidence modes that are judged only there.
pub fn analyse(input: &LookInput, at_checkpoint: bool) -> Analysis {
    let mut look = Look::new(input, at_checkpoint);
    let checkpoint = &input.experiment.checkpoint;
    let atoms = atoms::of_continue(&mut look);
    let stop_atoms = match &checkpoint.stop_when {
        Some(rule) => atoms::of_stop(&mut look, rule),
        None => Vec::new(),
    };
    let signals = states::of_signals(&mut look, &atoms);
    let harm = states::harm(&mut look);
    let guardrails = margins::guardrails(&mut look);
    let split = split::check(input, &look.compiled, &mut look.carry);
    let exposure = exposure::check(input, &mut look.carry);
    Analysis {
        rule: rule::value(&checkpoint.continue_when, &atoms),
        stop_rule: checkpoint.stop_when.as_ref().map(|rule| rule::value(rule, &stop_atoms)),
        signals,
        atoms,
        stop_atoms,
        guardrails,
        harm,
        split,
        exposure,
        ledger: look.compiled.ledger.clone(),
        progress: progress(input),
        findings: look.findings,
        carry: look.carry,
    }
}

/// `(level, variance of the level)` of one sample, overdispersion in; `None` where nothing says.
pub(crate) fn moments_of(sample: &crate::observe::Sample) -> Option<(f64, f64)> {
    methods::spread(sample)
}

/// Share of the planned units (else of the planned time) of the slowest outcome, 0 to 1.
fn progress(input: &LookInput) -> Option<f64> {
    let experiment = &input.experiment;
    let share = |signal: &Signal| {
        let observed = input.observations.get(&signal.name).and_then(Observation::counted);
        let share = observed.map_or(0.0, |observed| share_of_plan(input, signal, observed));
        share.clamp(0.0, 1.0)
    };
    experiment.outcomes().map(share).reduce(f64::min)
}

fn share_of_plan(input: &LookInput, signal: &Signal, observed: &Observed) -> f64 {
    let by_units = !matches!(signal.form, Form::Value | Form::Rate);
    match planned_units(&input.experiment, signal) {
        Some(planned) if by_units => {
            observed.arms.values().map(|arm| arm.sums.units()).sum::<f64>() / planned
        }
        _ => {
            let whole = ms_between(input.cycle.started_at, input.cycle.checkpoint_at);
            let gone = ms_between(input.cycle.started_at, observed.data_as_of);
            gone as f64 / (whole - signal.matures_after.ms).max(1) as f64
        }
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
