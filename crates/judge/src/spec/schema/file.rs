//! The experiment file as it is written: types that exist for their JSON Schema alone.
//!
//! Nothing is ever read into them, so that the walker can report every fault at its place. The
//! comments on the fields are what editors show.
#![expect(dead_code, reason = "only the derived schema is used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::guardrail::Guardrail;
use crate::spec::MethodName;

/// An identifier of signals and guardrails.
const NAME: &str = "^[a-z][a-z0-9_]{0,63}$";

/// One experiment of verdictd.
#[derive(JsonSchema)]
#[schemars(title = "verdictd experiment", deny_unknown_fields)]
pub(super) struct ExperimentFile {
    /// Id, stable for ever.
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"))]
    experiment: String,
    /// Shown wherever the experiment is named.
    title: String,
    /// For routing, access and portfolio filters; at most 16.
    #[schemars(extend("maxProperties" = 16))]
    labels: Option<BTreeMap<String, Text>>,
    owner: Option<Owner>,
    /// Identities that may say stop.
    can_stop: Option<Vec<Text>>,
    aim: Option<Aims>,
    mechanism: Option<Mechanism>,
    /// What is new compared with the usual way; feeds the novelty quota.
    deviation: Option<Text>,
    /// Whether it can be undone; `no` needs `spike_of`.
    reversible: YesNo,
    /// The earlier test that makes an irreversible one acceptable.
    spike_of: Option<Text>,
    /// Why now.
    why_now: Option<Text>,
    /// Who makes it the default, and where.
    if_it_works: Option<Text>,
    /// IANA zone of every date in the file.
    timezone: Option<Text>,
    compare: Compare,
    /// First day; it begins at 00:00.
    start: Day,
    plan: Option<Plan>,
    /// What is measured, by name.
    #[schemars(extend("propertyNames" = {"pattern": NAME}))]
    signals: Option<BTreeMap<String, Signal>>,
    checkpoint: Checkpoint,
    /// How much evidence a change in `continue_when` needs.
    evidence: Option<Evidence>,
    /// What must not degrade, by name.
    #[schemars(extend("propertyNames" = {"pattern": NAME}))]
    guardrails: Option<BTreeMap<String, Guardrail>>,
    rollback: Option<Rollback>,
    review: Option<Review>,
    /// Names of receivers in the daemon's configuration.
    notify: Option<Vec<Text>>,
}

/// A text; YAML may read it as a number or a boolean.
#[derive(JsonSchema)]
#[schemars(extend("type" = ["string", "number", "boolean"]))]
#[schemars(transparent)]
pub(super) struct Text(String);

/// A date, year-month-day.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Day(#[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))] String);

/// A duration: `30s`, `5m`, `4h`, `14d`, `6w`.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Duration(#[schemars(regex(pattern = r"^\d+(ms|s|m|h|d|w)$"))] String);

/// A percentage: `27%`.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Percent(#[schemars(regex(pattern = r"^[+-]?\d+(\.\d+)?\s*%$"))] String);

/// A number, with its unit if it has one: `27%`, `3pts`, `450ms`, `12`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Quantity {
    /// Without unit.
    Bare(f64),
    /// With unit.
    WithUnit(#[schemars(regex(pattern = r"^[+\-\u2212]?\d+(\.\d+)?\s*(%|[^\s\d].*)?$"))] String),
}

/// `yes` or `no`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum YesNo {
    /// As a boolean.
    Boolean(bool),
    /// As YAML 1.2 reads it.
    Word(YesNoWord),
}

/// The words for a boolean.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum YesNoWord {
    Yes,
    No,
    True,
    False,
}

/// Who is asked and told.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Owner {
    /// A name or role.
    name: Option<Text>,
    /// A channel, address or handle.
    contact: Option<Text>,
}

/// One aim or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Aims {
    One(Aim),
    Several(Vec<Aim>),
}

/// Which user behaviour, from what to what, by when.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Aim {
    /// The signal it is read from.
    signal: Text,
    /// A sentence about users.
    behaviour: Option<Text>,
    /// Where it stands.
    from: Option<Quantity>,
    /// Where it should go.
    to: Option<Quantity>,
    /// Last day.
    by: Option<Day>,
}

/// We believe X will move Y because Z.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Mechanism {
    /// What is done.
    we_believe: Option<Text>,
    /// The signal it should move.
    will_move: Option<Text>,
    /// Why users will behave differently.
    because: Option<Text>,
}

/// How treated units are compared.
#[derive(JsonSchema)]
#[schemars(tag = "design", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Compare {
    /// Two concurrent arms.
    Arms {
        /// Label of the unchanged arm.
        control: Text,
        /// Label of the judged arm; exactly one.
        treatment: Text,
        /// Planned shares by arm; they add up to 100%.
        split: Option<BTreeMap<String, Percent>>,
        /// How many units were seen in more than one arm; too many hold the verdict.
        multiple_exposure: Option<Box<MultipleExposure>>,
    },
    /// Against the signal's `from`.
    Baseline {},
    /// Against the time before the start.
    BeforeAfter {
        /// How long before the start (default 28d).
        window: Option<Duration>,
    },
}

/// What is expected.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Plan {
    /// Units per week over all arms.
    units_per_week: Option<Quantity>,
}

/// A measured quantity and its role.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Signal {
    role: Role,
    form: Form,
    want: Want,
    /// Unit of a value, mean, ratio or rate (`ms`, `per 1k sessions`).
    unit: Option<Text>,
    from: Option<Baseline>,
    /// The smallest change that matters (`2pts`, `40ms`).
    min_effect: Option<Quantity>,
    /// Harm beyond this stops (default 0).
    harm_margin: Option<Quantity>,
    /// Units needed before a level counts.
    min_n: Option<Quantity>,
    /// How long a unit needs until it may be counted; every counted signal says it.
    matures_after: Option<Duration>,
    /// Length of one stored period.
    grain: Option<Duration>,
    /// Own comparison, else the experiment's.
    compare: Option<Compare>,
    /// The method of its tests; the default follows from design, form and `look`.
    #[schemars(extend("enum" = method_names()))]
    method: Option<String>,
    /// Name of a source in the daemon's configuration.
    source: Text,
    query: Query,
    /// How many units could have been counted: a cohort that narrows is told as `theatre`.
    eligible: Option<Eligible>,
}

/// How many units were seen in more than one arm.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MultipleExposure {
    /// Share that is tolerated (default 1%).
    at_most: Option<Percent>,
    /// Name of a source in the daemon's configuration.
    source: Text,
    query: Option<Query>,
    /// Units that were seen in more than one arm, at the time of their first exposure.
    mixed: Option<Text>,
    /// All units.
    units: Option<Text>,
}

/// How many units a signal could have counted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Eligible {
    /// Share of the eligible units that was counted before, where the baseline is stated.
    coverage: Option<Percent>,
    /// Name of a source in the daemon's configuration.
    source: Text,
    query: Option<Query>,
    /// Eligible units by period (and arm).
    units: Option<Text>,
}

fn method_names() -> Vec<&'static str> {
    MethodName::SIGNAL.iter().map(|method| method.name()).collect()
}

/// What a signal is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Role {
    /// Should move first.
    Proxy,
    /// Explains; never decides unless the rule names it.
    Leading,
    /// Must move.
    Outcome,
    /// Used by guardrails only.
    Guardrail,
}

/// What is counted.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Form {
    /// `num` of `den` units.
    Proportion,
    /// `n`, `sum`, `sum_sq` of a number per unit.
    Mean,
    /// Six sums of two numbers per unit.
    Ratio,
    /// `events` per `exposure`.
    Rate,
    /// A number without counts.
    Value,
}

/// The direction that is good.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Want {
    Up,
    Down,
}

/// Where a signal stands before the change.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Baseline {
    /// Stated: treated as exact.
    Stated(Quantity),
    /// Counted or measured.
    Known(KnownBaseline),
}

/// Counts (`x`, `n`, `as_of`) or a window before the start.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["x", "n"]}, {"required": ["window"]}]))]
pub(super) struct KnownBaseline {
    /// Units that did.
    x: Option<Quantity>,
    /// Units in all.
    n: Option<Quantity>,
    /// Last counted day.
    as_of: Option<Day>,
    /// Measured over this long before the first cycle's start.
    window: Option<Duration>,
}

/// What is asked of a source: a file, SQL, or one expression or column name per contract column.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("not" = {"required": ["file", "sql"]}))]
pub(super) struct Query {
    /// SQL file beside the experiment file, or a CSV file (pattern) in the source's folder.
    file: Option<Text>,
    /// One `select` statement.
    sql: Option<Text>,
    /// PromQL, or CSV and SQL column names, by contract column.
    columns: Option<Columns>,
    /// CSV: keep only rows where the column has this value.
    only: Option<BTreeMap<String, Text>>,
    /// CSV: rows state totals since the start as of their time, not one period each.
    cumulative: Option<YesNo>,
    #[schemars(flatten)]
    direct: Columns,
}

/// PromQL expressions, or column names of a CSV file or a SQL result.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Columns {
    /// Units that did.
    num: Option<Text>,
    /// Units in all.
    den: Option<Text>,
    /// A number without counts.
    value: Option<Text>,
    /// Units.
    n: Option<Text>,
    /// Sum of the number.
    sum: Option<Text>,
    /// Sum of its square.
    sum_sq: Option<Text>,
    /// Sum of its cube: a mean then waits for the units that its skew asks for.
    sum_cu: Option<Text>,
    /// Sum of a covariate from before exposure, over the same units.
    cov_sum: Option<Text>,
    /// Sum of the covariate's square.
    cov_sq: Option<Text>,
    /// Sum of the covariate times the number.
    cov_cross: Option<Text>,
    /// CSV, beside `n` and `variance`: instead of `sum` and `sum_sq`.
    mean: Option<Text>,
    /// CSV: variance of the number over the units (divided by their count).
    variance: Option<Text>,
    /// Sum of squared numerators.
    num_sq: Option<Text>,
    /// Sum of squared denominators.
    den_sq: Option<Text>,
    /// Sum of products.
    cross: Option<Text>,
    /// Events.
    events: Option<Text>,
    /// Exposure in the signal's unit.
    exposure: Option<Text>,
    /// Units: those a limit holds for, or all that were seen or eligible.
    units: Option<Text>,
    /// Units seen in more than one arm.
    mixed: Option<Text>,
    /// Units beyond the limit.
    over: Option<Text>,
    /// Sampled hits.
    hits: Option<Text>,
    /// Bad events.
    bad: Option<Text>,
    /// All events.
    total: Option<Text>,
    /// Start of the period (CSV, SQL).
    time: Option<Text>,
    /// Arm of the row (CSV, SQL).
    arm: Option<Text>,
}

/// When and by which rule it is decided.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["at"]}, {"required": ["every"]}]))]
pub(super) struct Checkpoint {
    /// The checkpoint is at the end of this day.
    at: Option<Day>,
    /// A checkpoint every so often, counted from the start.
    every: Option<Duration>,
    /// Upper bound on cycles (default 2).
    cycles: Option<Quantity>,
    /// `proxy >= +10% and outcome >= +3pts`
    continue_when: Text,
    /// Stops at any look: `outcome <= -1pts`
    stop_when: Option<Text>,
    /// How often the experiment is looked at (default 1d).
    look_every: Option<Duration>,
    /// `always` (default), `once` or `weekly x4`.
    #[schemars(regex(pattern = "^(always|once|weekly x[0-9]+)$"))]
    look: Option<String>,
    /// How weekly looks spend their error: `1` (Pocock), `2` (default), `3` (O'Brien-Fleming).
    spending: Option<Quantity>,
    early_stop: Option<EarlyStop>,
    /// A continue verdict needs at least this long (default 7d).
    min_duration: Option<Duration>,
    /// A hold is told after this long (default 24h).
    hold_notify_after: Option<Duration>,
}

/// Whether futility may stop before the checkpoint.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum EarlyStop {
    Futility,
    Never,
}

/// How much evidence a change needs.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Evidence {
    /// Reaches the threshold, and no change is excluded.
    Significant,
    /// The whole interval is beyond the threshold.
    Proven,
    /// The interval still reaches the threshold.
    NotRefuted,
    /// The estimate alone: no test.
    Point,
}

/// The way back.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rollback {
    /// Where the steps are written down.
    plan: Option<Text>,
    /// Name of an action in the daemon's configuration.
    action: Option<Text>,
}

/// The human review.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Review {
    /// Rhythm: `7d`.
    every: Duration,
    /// Length of the meeting.
    minutes: Option<Quantity>,
    /// What is looked at by hand.
    sample: Option<Text>,
}
