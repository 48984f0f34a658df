//! What an experiment file says, after parsing: types that cannot be half wrong.
//!
//! [`Experiment`] is what the whole line works on. Dates are already instants (in the file's
//! zone), percentages are fractions, points are fractions too (`3pts` = 0.03), durations are
//! spans. The walker in `parse` is the only place that builds these from text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::beside::{Eligible, MultipleExposure};
use super::drift::Drift;
use super::method::MethodName;
use super::rule::Rule;
use super::slo::Slo;
use crate::time::{Span, Timestamp};

/// One experiment: one file, one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// `[a-z0-9-]`, stable for ever.
    pub id: String,
    /// Shown wherever the experiment is named.
    pub title: String,
    /// Travel to every notice and row; at most 16.
    pub labels: BTreeMap<String, String>,
    /// Who is asked and told.
    pub owner: Owner,
    /// Identities that may say stop.
    pub can_stop: Vec<String>,
    /// What users should do differently; the first is the headline.
    pub aims: Vec<Aim>,
    /// Why it should work.
    pub mechanism: Mechanism,
    /// What is new compared with the usual way; feeds the novelty quota.
    pub deviation: Option<String>,
    /// Whether it can be undone; `no` needs `spike_of`.
    pub reversible: bool,
    /// The earlier test that makes an irreversible one acceptable.
    pub spike_of: Option<String>,
    /// Why now.
    pub why_now: Option<String>,
    /// Who makes it the default if it works.
    pub if_it_works: Option<String>,
    /// IANA zone of every date in the file.
    pub timezone: String,
    /// How treated units are compared.
    pub compare: Compare,
    /// 00:00 of the start date.
    pub start: Timestamp,
    /// Expected units per week over all arms.
    pub units_per_week: Option<f64>,
    /// In file order.
    pub signals: Vec<Signal>,
    /// When and by which rule it is decided.
    pub checkpoint: Checkpoint,
    /// How much evidence a movement atom of `continue_when` needs.
    pub evidence: EvidenceMode,
    /// In file order.
    pub guardrails: Vec<Guardrail>,
    /// The way back.
    pub rollback: Rollback,
    /// The human review.
    pub review: Option<Review>,
    /// Names of receivers in the daemon's configuration.
    pub notify: Vec<String>,
    /// Hash of the canonical text: which revision this is.
    pub revision: String,
    /// Its file has no checkpoint rule or date, or does not say when a unit counts: what stands
    /// here instead is a blank, and it can only be a draft.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unfinished: bool,
}

impl Experiment {
    /// The signal of that name.
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.signals.iter().find(|signal| signal.name == name)
    }

    /// Signals with `role: outcome`, in file order.
    pub fn outcomes(&self) -> impl Iterator<Item = &Signal> {
        self.signals.iter().filter(|signal| signal.role == Role::Outcome)
    }

    /// Signals with `role: proxy`, in file order.
    pub fn proxies(&self) -> impl Iterator<Item = &Signal> {
        self.signals.iter().filter(|signal| signal.role == Role::Proxy)
    }

    /// The guardrail of that name.
    pub fn guardrail(&self, name: &str) -> Option<&Guardrail> {
        self.guardrails.iter().find(|guardrail| guardrail.name == name)
    }

    /// The aim on that signal.
    pub fn aim_on(&self, signal: &str) -> Option<&Aim> {
        self.aims.iter().find(|aim| aim.signal == signal)
    }

    /// The last day by which an aim should be reached (end of day).
    pub fn by(&self) -> Option<Timestamp> {
        self.aims.iter().filter_map(|aim| aim.by).max()
    }

    /// The longest time an outcome's unit needs until it counts.
    pub fn longest_outcome_maturity(&self) -> Span {
        self.outcomes().map(|signal| signal.matures_after).max().unwrap_or(Span::ZERO)
    }
}

/// Who is asked and told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// A name or role.
    pub name: String,
    /// A channel, address or handle.
    pub contact: String,
}

/// One user behaviour to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// The signal it is read from.
    pub signal: String,
    /// A sentence about users.
    pub behaviour: String,
    /// Where it stands (fraction for proportions, else the signal's unit).
    pub from: Option<f64>,
    /// Where it should go.
    pub to: Option<f64>,
    /// End of the last day.
    pub by: Option<Timestamp>,
}

/// Why the change should move the signal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mechanism {
    /// What is done.
    pub we_believe: String,
    /// The signal it should move.
    pub will_move: String,
    /// The reason, to be learnt from when it does not.
    pub because: String,
}

/// How treated units are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "design")]
pub enum Compare {
    /// Two concurrent arms.
    Arms {
        /// Arm label of the unchanged population.
        control: String,
        /// Arm label of the judged population.
        treatment: String,
        /// Planned shares by arm; absent means no split check.
        split: BTreeMap<String, f64>,
        /// How many units were seen in more than one arm, where somebody can count them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multiple_exposure: Option<Box<MultipleExposure>>,
    },
    /// Against the signal's stated or measured `from`.
    Baseline,
    /// Against the 28 days (or another window) before the first cycle's start.
    BeforeAfter {
        /// How long before the start.
        window: Span,
    },
}

/// What a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Should move first.
    Proxy,
    /// Explains; never decides unless the rule names it.
    Leading,
    /// Must move.
    Outcome,
    /// Used by guardrails only; has no outcome state.
    Guardrail,
}

/// Which sufficient statistics a signal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `num` of `den` units.
    Proportion,
    /// `n`, `sum`, `sum_sq`.
    Mean,
    /// `n`, `num`, `den`, `num_sq`, `den_sq`, `cross`.
    Ratio,
    /// `events`, `exposure`.
    Rate,
    /// A number without counts.
    Value,
}

/// The direction that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Higher is better.
    Up,
    /// Lower is better.
    Down,
}

impl Want {
    /// +1 for up, -1 for down: multiply a change with it and positive means good.
    pub fn sign(self) -> f64 {
        match self {
            Self::Up => 1.0,
            Self::Down => -1.0,
        }
    }
}

/// A measured quantity and its role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Which sums it has.
    pub form: Form,
    /// Which direction is good.
    pub want: Want,
    /// Unit of a value, mean, ratio or rate (`ms`, `s`, `per 1k sessions`, ...).
    pub unit: Option<String>,
    /// The baseline.
    pub from: Option<Baseline>,
    /// The smallest effect that matters, in contrast units.
    pub min_effect: Option<f64>,
    /// Harm beyond this stops, in contrast units (default 0).
    pub harm_margin: f64,
    /// Units needed before a level counts (default 30 units, 8 blocks for series).
    pub min_n: Option<u64>,
    /// How long a unit needs until it may be counted.
    pub matures_after: Span,
    /// Length of one stored period (default 1d; 1h for Prometheus).
    pub grain: Option<Span>,
    /// Own comparison, else the experiment's.
    pub compare: Option<Compare>,
    /// The method that was asked for; else it follows from design, form and look plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodName>,
    /// Name of a source in the daemon's configuration.
    pub source: String,
    /// What is asked there.
    pub query: Query,
    /// How many units could have been counted, where somebody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible: Option<Box<Eligible>>,
}

/// Where a signal stands before the change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// `27%`: a stated level, treated as exact and said so.
    Stated(f64),
    /// `{x: 540, n: 2000, as_of: D}`: counted once.
    Counted {
        /// Units that did.
        x: f64,
        /// Units in all.
        n: f64,
        /// End of the last counted day.
        as_of: Option<Timestamp>,
    },
    /// `{window: 28d}`: measured before the first cycle's start, fixed in later cycles.
    Window(Span),
}

impl Baseline {
    /// The stated or counted level, if it is known without a query.
    pub fn level(&self) -> Option<f64> {
        match *self {
            Self::Stated(level) => Some(level),
            Self::Counted { x, n, .. } => (n > 0.0).then(|| x / n),
            Self::Window(_) => None,
        }
    }
}

/// The optional column of a mean: the sum of the number's cubes.
pub const CUBES: &str = "sum_cu";
/// The optional columns of a proportion or mean: sums of a covariate from before exposure, of its
/// squares, and of its products with the number.
pub const COVARIATE: [&str; 3] = ["cov_sum", "cov_sq", "cov_cross"];

/// What is asked of a source. Which keys are allowed depends on the kind of source; `check` with
/// the daemon's configuration and the source itself say so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// SQL file beside the experiment file, or a CSV file (pattern) in the source's folder.
    pub file: Option<String>,
    /// The text: inline `sql:`, or what `file:` of an `.sql` held when it was read.
    pub sql: Option<String>,
    /// PromQL, or CSV and SQL column names, by contract column: `num`, `den`, `value`, `n`,
    /// `sum`, `sum_sq`, `events`, `exposure`, `units`, `over`, `hits`, `bad`, `total`, `time`,
    /// `arm`, ...
    pub columns: BTreeMap<String, String>,
    /// CSV: keep only rows where the column has this value.
    pub only: BTreeMap<String, String>,
    /// CSV: rows state totals since the start as of their time, not one period each.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cumulative: bool,
}

/// When and by which rule the experiment is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// One date (end of that day) or a rhythm.
    pub when: When,
    /// Upper bound on cycles.
    pub cycles: u32,
    /// The rule.
    pub continue_when: Rule,
    /// Stop at any look when this holds.
    pub stop_when: Option<Rule>,
    /// How often the experiment is looked at (default 1d).
    pub look_every: Span,
    /// Which sequential method.
    pub look: LookPlan,
    /// Power of the spending function of `look: weekly`: 1, 2 or 3.
    #[serde(default = "default_spending", skip_serializing_if = "is_default_spending")]
    pub spending: u32,
    /// Futility may stop before the checkpoint.
    pub early_stop_futility: bool,
    /// A continue verdict needs at least this long (default 7d).
    pub min_duration: Span,
    /// A hold is told after this long (default 24h).
    pub hold_notify_after: Span,
}

/// `alpha t^2`: between Pocock (1) and O'Brien-Fleming (3).
pub const SPENDING: u32 = 2;

fn default_spending() -> u32 {
    SPENDING
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_default_spending(power: &u32) -> bool {
    *power == SPENDING
}

/// One date or a rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// `at: D`: the end of that day.
    At(Timestamp),
    /// `every: 7d`, counted from the start.
    Every(Span),
}

/// Which sequential method judges movement atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookPlan {
    /// Valid at every look (information-time confidence sequence).
    Always,
    /// Fixed horizon at the checkpoint.
    Once,
    /// Group sequential with this many weekly looks.
    Weekly(u32),
}

/// How much evidence a movement atom needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceMode {
    /// The estimate reaches the threshold and the interval excludes no change on that side.
    Significant,
    /// The whole interval is beyond the threshold.
    Proven,
    /// The interval still reaches the threshold.
    NotRefuted,
    /// The estimate reaches it; "no test" is printed everywhere.
    Point,
}

/// A metric or limit that must not degrade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Exactly one kind.
    pub kind: GuardrailKind,
    /// What a trip does.
    pub on_trip: OnTrip,
    /// What missing data does after `missing_for`.
    pub on_missing: OnMissing,
    /// How long data may be missing first.
    pub missing_for: Span,
    /// A breach must last this long (`threshold` only).
    pub hold_for: Span,
    /// A breach stays on this long after it ends (`threshold` only).
    pub keep_firing_for: Span,
    /// Own rhythm; default 30 s for Prometheus, the source's rhythm else.
    pub every: Option<Span>,
}

/// What a trip does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTrip {
    /// Ends the run and fires the rollback action.
    Stop,
    /// Tells the owner.
    Alert,
}

/// What missing guardrail data does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Tell the owner (default).
    Alert,
    /// Count it as a trip.
    Trip,
    /// Say nothing.
    Ignore,
}

/// The five kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailKind {
    /// Bad and total counts against an objective.
    Slo(Slo),
    /// A value against a bound.
    Threshold(Threshold),
    /// A signal of this file that must not get worse than a margin.
    NoWorseThan(NoWorseThan),
    /// A configured or sampled limit.
    Limit(Limit),
    /// Remaining budget of a service's SLO against a floor.
    ErrorBudget(ErrorBudget),
}

impl GuardrailKind {
    /// The keyword in the file.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Slo(_) => "slo",
            Self::Threshold(_) => "threshold",
            Self::NoWorseThan(_) => "no_worse_than",
            Self::Limit(_) => "limit",
            Self::ErrorBudget(_) => "error_budget",
        }
    }

    /// The objective whose bad and total events are counted, if it has one.
    pub fn slo(&self) -> Option<&Slo> {
        match self {
            Self::Slo(slo) => Some(slo),
            Self::ErrorBudget(budget) => budget.slo.as_deref(),
            Self::Threshold(_) | Self::NoWorseThan(_) | Self::Limit(_) => None,
        }
    }

    /// Where it is asked, unless it reads a signal of the file.
    pub fn source(&self) -> Option<(&str, &Query)> {
        match self {
            Self::Slo(kind) => Some((&kind.source, &kind.query)),
            Self::Threshold(kind) => Some((&kind.source, &kind.query)),
            Self::Limit(kind) => Some((&kind.source, &kind.query)),
            Self::ErrorBudget(kind) => Some((&kind.source, &kind.query)),
            Self::NoWorseThan(_) => None,
        }
    }
}

/// `threshold: {value: .., at_most: 250ms}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Source name.
    pub source: String,
    /// Column `value`.
    pub query: Query,
    /// Upper bound, if any.
    pub at_most: Option<f64>,
    /// Lower bound, if any.
    pub at_least: Option<f64>,
    /// A control chart instead of a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Unit, for messages.
    pub unit: Option<String>,
}

/// `no_worse_than: {margin: 2pts, signal: csat}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoWorseThan {
    /// A signal of this file.
    pub signal: String,
    /// How much worse is tolerated (> 0), absolute or relative to the baseline.
    pub margin: Margin,
    /// `require: proven`: `unproven` does not let continue pass.
    pub require_proven: bool,
}

/// A tolerated worsening.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// In contrast units (points as fraction, or the signal's unit).
    Absolute(f64),
    /// As a share of the baseline.
    Relative(f64),
}

/// `limit: {at_most: 1, per: user, window: 7d, of: configured}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The bound (a fraction when written in percent).
    pub at_most: f64,
    /// Unit the limit holds for (`user`, `candidate`); absent for a single number.
    pub per: Option<String>,
    /// Rolling window of the query, for messages.
    pub window: Option<Span>,
    /// Exact numbers or a sampled share.
    pub of: LimitOf,
    /// Share of units that may exceed (default 0).
    pub allow: f64,
    /// Source name.
    pub source: String,
    /// Columns `value`; `units`, `over` with `per`; `hits`, `n` when sampled.
    pub query: Query,
    /// Unit, for messages.
    pub unit: Option<String>,
}

/// What a limit is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// A configured value: exact.
    Configured,
    /// A share measured from traffic: exact sequential test.
    Sampled,
}

/// `error_budget: {value: .., at_least: 0%}` or `{openslo: file.yaml, at_least: 0%}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBudget {
    /// Source name.
    pub source: String,
    /// Column `value`: remaining budget as a fraction; of an imported objective `bad`, `total`.
    pub query: Query,
    /// The floor.
    pub at_least: f64,
    /// The imported objective whose budget is counted here; it has no alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Box<Slo>>,
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollback {
    /// Where the steps are written down.
    pub plan: Option<String>,
    /// Name of an action in the daemon's configuration.
    pub action: Option<String>,
}

/// The human review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Rhythm.
    pub every: Span,
    /// Length of the meeting.
    pub minutes: Option<u32>,
    /// What is looked at by hand.
    pub sample: Option<String>,
}
