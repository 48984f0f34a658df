//! The verdict table of product.md 4.3: the sixth step of the line.
//!
//! First match wins, and every verdict carries its reasons as an enum with numbers; prose is
//! made at the edge. `decide` sees evidence and states, never observations' bytes or text.

mod alarm;
mod alarms;
mod collecting;
mod evaluate;
mod facts;
mod findings;
mod flips;
mod reasons;
mod restate;
mod table;
#[cfg(test)]
mod tests;
mod theatre;
mod three_valued;

use serde::{Deserialize, Serialize};

pub use self::alarm::{Alarm, AlarmCause, AlarmKind, AlarmSeverity};
pub use self::alarms::allocated;
pub use self::evaluate::{evaluate, evaluate_fault, evaluate_trip, evaluate_with};
pub(crate) use self::facts::is_tripped;
pub use self::flips::{Change, Flip, Reproduction, flips, reproduce};
pub use self::restate::{before_trip, restate_look, restate_trip};

use crate::analyse::Analysis;
use crate::record::LookInput;
use crate::time::Timestamp;

/// What one look comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The verdict with its reasons.
    pub decision: Decision,
    /// What is worth knowing without being an alarm.
    pub findings: Vec<Finding>,
    /// Alarms on at this look, one per kind and subject.
    pub alarms: Vec<Alarm>,
}

/// The verdict table over one look. Total: data problems are rows of the table, not errors.
pub fn decide(input: &LookInput, analysis: &Analysis) -> Outcome {
    let facts = facts::Facts::new(input, analysis);
    Outcome {
        decision: table::decision(&facts),
        findings: findings::findings(&facts),
        alarms: alarms::alarms(&facts),
    }
}

/// Whether the look is at a checkpoint: its instant has come, or an earlier look at it was
/// answered `hold` or `waiting_for_maturity` (product.md 4.1a).
pub fn is_at_checkpoint(input: &LookInput) -> bool {
    input.cycle.open || input.at >= input.cycle.checkpoint_at
}

/// What is said about an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on as planned, or graduate.
    Continue,
    /// Change something.
    Change,
    /// Stop.
    Stop,
    /// Cannot be judged now.
    Hold,
    /// Before the checkpoint.
    Collecting,
}

/// Which row of the verdict table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// `stop`: a guardrail with `on_trip: stop` tripped.
    Tripped,
    /// `stop`: `stop_when` holds or an outcome is in harm.
    Harmful,
    /// `stop`: nothing moves.
    Futile,
    /// `stop`: the cycles are used.
    NoCyclesLeft,
    /// `stop`: `by` has passed.
    PastBy,
    /// `change`: another mechanism.
    Mechanism,
    /// `change`: same revision, new date.
    Extend,
    /// `continue`: the default from now on.
    Graduate,
    /// `continue`: on to the next checkpoint.
    KeepRunning,
    /// `hold`: the split is off.
    Srm,
    /// `hold`: too many units saw more than one arm.
    MultipleExposure,
    /// `hold`: the arms differed before anybody was treated.
    Imbalance,
    /// `hold`: a definition changed and nobody acknowledged it.
    DefinitionChanged,
    /// `hold`: missing data could change the verdict.
    DataMissing,
    /// `hold`: the judge failed on this experiment.
    EngineFault,
    /// `collecting`: on the way.
    OnTrack,
    /// `collecting`: the needed sample cannot be reached by the checkpoint.
    CannotBeReached,
    /// `collecting`: the checkpoint was moved to an outcome's maturity.
    WaitingForMaturity,
}

/// One reason; prose is rendered at the edge from these numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// A guardrail tripped.
    GuardrailTripped {
        /// Guardrail name.
        guardrail: String,
        /// What was seen.
        value: Option<f64>,
        /// The bound.
        limit: Option<f64>,
    },
    /// The data of a trip were restated: the guardrail is inside its limit.
    GuardrailRestated {
        /// Guardrail name.
        guardrail: String,
        /// What the restated data say.
        value: Option<f64>,
        /// The bound.
        limit: Option<f64>,
    },
    /// An atom is met.
    AtomMet {
        /// Index into the record's atoms.
        atom: usize,
    },
    /// An atom is not met.
    AtomNotMet {
        /// Index into the record's atoms.
        atom: usize,
    },
    /// An atom is unknown.
    AtomUnknown {
        /// Index into the record's atoms.
        atom: usize,
    },
    /// `stop_when` holds.
    StopRuleHolds,
    /// An outcome (or other signal) is in that state.
    SignalIs {
        /// Signal name.
        signal: String,
        /// Its state, as in records.
        state: crate::analyse::SignalState,
    },
    /// Data of a signal are missing.
    DataMissing {
        /// Signal name.
        signal: String,
        /// Since when, if known.
        since: Option<Timestamp>,
    },
    /// The split differs from the plan.
    SplitMismatch {
        /// Always-valid p.
        p: f64,
    },
    /// Too many units saw more than one arm.
    MultipleExposure {
        /// Such units.
        mixed: f64,
        /// All units.
        units: f64,
        /// The tolerated share.
        limit: f64,
        /// Always-valid p of "no more than that".
        p: f64,
    },
    /// The arms differed in a signal's covariate before exposure.
    Imbalance {
        /// Signal name.
        signal: String,
        /// Always-valid p of "they were alike".
        p: f64,
    },
    /// A definition changed while running.
    DefinitionChanged {
        /// Signal name.
        signal: String,
    },
    /// About this many more units are needed.
    NeedsMore {
        /// Signal name.
        signal: String,
        /// Units over all arms.
        units: f64,
    },
    /// A guardrail is not shown to be safe.
    NotShownSafe {
        /// Guardrail name.
        guardrail: String,
    },
    /// A guardrail is on and keeps `continue` from passing.
    GuardrailOn {
        /// Guardrail name.
        guardrail: String,
    },
    /// `min_duration` is not met yet.
    TooShort {
        /// Days so far.
        days: f64,
        /// Days wanted.
        wanted_days: f64,
    },
    /// An outcome is not `met` yet.
    OutcomeUnproven {
        /// Signal name.
        signal: String,
    },
    /// The cycles are used.
    CyclesUsed {
        /// How many.
        cycles: u32,
    },
    /// `by` has passed.
    PastBy {
        /// When it was.
        by: Timestamp,
    },
    /// Progress towards the checkpoint.
    Progress {
        /// Share of the needed information, 0..1.
        share: f64,
        /// Days until the checkpoint.
        days_left: f64,
    },
    /// The checkpoint waits for maturity.
    WaitsForMaturity {
        /// Signal name.
        signal: String,
        /// Until when.
        until: Timestamp,
    },
    /// The judge failed.
    Fault {
        /// What it said.
        message: String,
    },
}

/// The decision of one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is said.
    pub verdict: Verdict,
    /// Which row of the table.
    pub cause: Cause,
    /// Most important first.
    pub reasons: Vec<Reason>,
    /// Whether this look was at a checkpoint.
    pub at_checkpoint: bool,
    /// Whether the verdict ends the cycle (`continue: graduate`, `change: mechanism`, `stop`).
    pub ends_cycle: bool,
    /// The next look, if there is one.
    pub next_look_at: Option<Timestamp>,
    /// The next checkpoint (moved by extend and wait), if there is one.
    pub next_checkpoint_at: Option<Timestamp>,
}

/// Worth knowing without being an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub enum Finding {
    /// Latched evidence whose current interval no longer excludes no change.
    Drifted {
        /// Signal name.
        signal: String,
        /// The atom as in the file.
        #[serde(default)]
        atom: Option<String>,
        /// The smallest p of its epoch, which latched.
        #[serde(default)]
        p_seq: Option<f64>,
    },
    /// This look opened a new test epoch: target, tau, alpha or look plan were edited.
    Retargeted {
        /// Signal name.
        signal: String,
        /// Epochs before this one.
        earlier: u32,
        /// Mixing parameter of the new epoch.
        #[serde(default)]
        tau: Option<f64>,
        /// Error rate of the new epoch.
        #[serde(default)]
        alpha: Option<f64>,
    },
    /// This look opened a new test epoch: query, arms, split or start were edited.
    DefinitionChanged {
        /// Signal name.
        signal: String,
        /// Epochs before this one.
        earlier: u32,
    },
    /// Not shown to be safe.
    NotShownSafe {
        /// Guardrail name.
        guardrail: String,
    },
    /// The baseline is treated as exact and there is no control.
    Uncontrolled {
        /// Signal name.
        signal: String,
    },
    /// No split is declared, so none is checked.
    SplitNotChecked,
    /// Units came to an arm whose declared share is zero.
    UnplannedUnits {
        /// The arm.
        arm: String,
        /// Units that were counted there.
        units: f64,
    },
    /// A signal that is real but too small.
    Short {
        /// Signal name.
        signal: String,
        /// The effect that would matter, in the unit of the signal's evidence.
        #[serde(default)]
        wanted: Option<f64>,
    },
    /// `evidence: not_refuted` or `point`: the estimate alone decides, printed as "no test".
    NoTest {
        /// Signal name.
        signal: String,
    },
}
