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
#[schemars(extend("dependentRequired" = {"for": ["threshold"], "keep_firing_for": ["threshold"]}))]
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
    /// A breach must last this long (`threshold` only).
    r#for: Option<Duration>,
    /// A breach stays on this long after it ends (`threshold` only).
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
    scope: Option<Scope>,
    budget: Option<Budget>,
    /// Bad events.
    bad: Option<Text>,
    /// All events.
    total: Option<Text>,
}

/// What an SLO measures.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Scope {
    Treatment,
    Service,
}

/// Over which period the budget runs.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Budget {
    /// From the cycle's start.
    Lifetime,
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
pub(super) struct ErrorBudget {
    source: Text,
    query: Option<Query>,
    /// Remaining budget as a fraction.
    value: Option<Text>,
    /// The floor: `0%`.
    at_least: Percent,
}
