//! Guardrails as they are written; see `file`.
#![expect(dead_code, reason = "only the derived schema is used")]

use schemars::JsonSchema;

use super::file::{Duration, Percent, Quantity, Query, Text};

/// What must not degrade; exactly one kind.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["slo"]},
    {"required": ["threshold"]},
    {"required": ["no_worse_than"]},
    {"required": ["limit"]},
    {"required": ["error_budget"]},
]))]
#[schemars(extend("anyOf" = [
    {"required": ["threshold"]},
    {"required": ["slo"]},
    {"not": {"anyOf": [{"required": ["for"]}, {"required": ["keep_firing_for"]}]}},
]))]
pub(super) struct Guardrail {
    slo: Option<Slo>,
    threshold: Option<Threshold>,
    no_worse_than: Option<NoWorseThan>,
    limit: Option<Limit>,
    error_budget: Option<ErrorBudget>,
    on_trip: OnTrip,
    on_missing: Option<OnMissing>,
    /// How long data may be missing before `on_missing` (default 1h).
    missing_for: Option<Duration>,
    /// A breach must last this long (`threshold`, and `slo` with burn rates).
    r#for: Option<Duration>,
    /// A breach stays on this long after it ends (`threshold`, and `slo` with burn rates).
    keep_firing_for: Option<Duration>,
    /// Own rhythm.
    every: Option<Duration>,
}

/// What a trip does.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum OnTrip {
    /// Stops the experiment and fires the rollback action.
    Stop,
    /// Tells.
    Alert,
}

/// What missing data does.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum OnMissing {
    Alert,
    Trip,
    Ignore,
}

/// Bad and total events against an objective.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["openslo"]}, {"required": ["objective", "source"]}]))]
pub(super) struct Slo {
    /// Share of good events: `99.9%`; with `openslo` the name of an objective of the file.
    objective: Option<Text>,
    source: Option<Text>,
    /// An OpenSLO file beside this one: it says what is counted.
    openslo: Option<Text>,
    query: Option<Query>,
    /// The same columns of the control cohort: a breach there is said too.
    control: Option<Query>,
    scope: Option<Scope>,
    budget: Option<Budget>,
    /// How fast the budget may go: the name of a table, or alerts (rolling and calendar only).
    burn: Option<Burn>,
    /// Events a window needs before it says anything (default 10).
    min_events: Option<f64>,
    /// Share of the short window that must have been measured (default 90%).
    min_coverage: Option<Percent>,
    /// This many bad events are too many, whatever the traffic.
    or_bad: Option<OrBad>,
    /// Bad events.
    bad: Option<Text>,
    /// All events.
    total: Option<Text>,
}

/// What an SLO measures.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Scope {
    /// The treatment cohort (default).
    Cohort,
    /// The same, in its older spelling.
    Treatment,
    /// The whole service.
    Service,
}

/// Over which period the budget runs.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Budget {
    Word(BudgetWord),
    Period(BudgetPeriod),
}

/// A period without a length of its own.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum BudgetWord {
    /// From the cycle's start.
    Lifetime,
}

/// A period with its length.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["rolling"]}, {"required": ["calendar"]}]))]
pub(super) struct BudgetPeriod {
    /// The newest stretch of this length: `28d`.
    rolling: Option<Duration>,
    /// The calendar period around the look, in the file's zone.
    calendar: Option<Calendar>,
}

/// A calendar period.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Calendar {
    Week,
    Month,
    Quarter,
}

/// A table of the shipped data file, or alerts.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Burn {
    Table(BurnTable),
    Alerts(Vec<BurnAlert>),
}

/// Which table.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum BurnTable {
    /// The SRE Workbook's three alerts.
    Google,
    /// The workbook's with a faster ticket (default).
    Sloth,
    /// Fixed factors, windows in proportion to the period.
    Pyrra,
}

/// Fires when the burn rate is above the factor on both windows.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["factor"]}, {"required": ["budget"]}]))]
pub(super) struct BurnAlert {
    severity: BurnSeverity,
    /// The burn rate to exceed.
    factor: Option<f64>,
    /// Or: this share of the budget within the long window.
    budget: Option<Percent>,
    /// Enough is gone.
    long: Duration,
    /// It is still going.
    short: Duration,
    /// It must hold this long (default: the guardrail's `for`).
    r#for: Option<Duration>,
}

/// What a burn-rate alert does.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum BurnSeverity {
    /// The guardrail trips.
    Page,
    /// The guardrail burns: told, nothing is stopped.
    Ticket,
}

/// An absolute count of bad events.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OrBad {
    at_least: f64,
    within: Duration,
}

/// A value against a bound.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["at_most"]},
    {"required": ["at_least"]},
    {"required": ["drift"]},
]))]
pub(super) struct Threshold {
    source: Text,
    query: Option<Query>,
    value: Option<Text>,
    /// Upper bound: `250ms`.
    at_most: Option<Quantity>,
    /// Lower bound.
    at_least: Option<Quantity>,
    /// A control chart instead of a bound.
    drift: Option<Drift>,
}

/// A control chart that watches a series for a sudden shift; it alerts, it never stops.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Drift {
    method: Option<Chart>,
    watch: Watch,
    reference: Reference,
    /// Values of one block are averaged (default 1h).
    block: Option<Duration>,
    /// CUSUM: allowance in standard deviations (default 0.5).
    k: Option<Quantity>,
    /// CUSUM: alarm level in standard deviations (default 5).
    h: Option<Quantity>,
    /// EWMA: weight of the newest block (default 0.2).
    lambda: Option<Quantity>,
    /// EWMA: width of the limit in standard deviations (default 2.96).
    width: Option<Quantity>,
}

/// The direction that is bad.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Watch {
    /// A rise is bad.
    Up,
    /// A fall is bad.
    Down,
}

/// Which control chart.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Chart {
    /// Finds a lasting shift soonest (default).
    Cusum,
    /// Weighs the newest blocks most.
    Ewma,
}

/// What is usual: stated, or learnt from the first blocks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["blocks"]}, {"required": ["mean", "sd"]}]))]
pub(super) struct Reference {
    /// Mean: `250ms`.
    mean: Option<Quantity>,
    /// Standard deviation of block means: `20ms`.
    sd: Option<Quantity>,
    /// Learn both from this many blocks, at least 16.
    blocks: Option<Quantity>,
}

/// A signal that must not get worse.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NoWorseThan {
    /// How much worse is tolerated: `2pts`, `40ms` or, relative, `5%`.
    margin: Quantity,
    /// A signal of this file.
    signal: Text,
    require: Option<Require>,
}

/// What `continue` needs.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Require {
    /// `unproven` does not let continue pass.
    Proven,
}

/// A cap.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Limit {
    /// The bound: `1`, `10%`.
    at_most: Quantity,
    /// Unit the limit holds for (`user`); then the query delivers `units` and `over`.
    per: Option<Text>,
    /// Rolling window of the query, for messages.
    window: Option<Duration>,
    of: LimitOf,
    /// Share of units that may exceed (default 0%).
    allow: Option<Percent>,
    source: Text,
    query: Option<Query>,
    value: Option<Text>,
    units: Option<Text>,
    over: Option<Text>,
    hits: Option<Text>,
    n: Option<Text>,
}

/// What a limit is read from.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum LimitOf {
    /// A configured value: exact.
    Configured,
    /// A share measured from traffic: exact sequential test.
    Sampled,
}

/// The remaining error budget of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["openslo"]}, {"required": ["source"]}]))]
pub(super) struct ErrorBudget {
    source: Option<Text>,
    /// An OpenSLO file beside this one: its budget is counted from its own events.
    openslo: Option<Text>,
    /// With `openslo` the name of an objective of the file.
    objective: Option<Text>,
    query: Option<Query>,
    /// Remaining budget as a fraction.
    value: Option<Text>,
    /// The floor: `0%`.
    at_least: Percent,
}
