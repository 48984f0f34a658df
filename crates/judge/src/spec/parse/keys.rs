//! Every key and word that an experiment file may hold, by section.
//!
//! The walker refuses what is not here, and a test holds the JSON Schema to the same lists.

use crate::spec::model::{EvidenceMode, Form, LimitOf, OnMissing, OnTrip, Role, Want};
use crate::spec::slo::{BudgetPeriod, BurnSeverity, CalendarUnit, SloScope};

/// Top level.
pub(in crate::spec) const TOP: &[&str] = &[
    "experiment",
    "title",
    "labels",
    "owner",
    "can_stop",
    "aim",
    "mechanism",
    "deviation",
    "reversible",
    "spike_of",
    "why_now",
    "if_it_works",
    "timezone",
    "compare",
    "start",
    "plan",
    "signals",
    "checkpoint",
    "evidence",
    "guardrails",
    "rollback",
    "review",
    "notify",
];
/// `owner`.
pub(in crate::spec) const OWNER: &[&str] = &["name", "contact"];
/// `aim`.
pub(in crate::spec) const AIM: &[&str] = &["signal", "behaviour", "from", "to", "by"];
/// `mechanism`.
pub(in crate::spec) const MECHANISM: &[&str] = &["we_believe", "will_move", "because"];
/// `compare`.
pub(in crate::spec) const COMPARE: &[&str] =
    &["design", "control", "treatment", "split", "multiple_exposure", "window"];
/// `compare.multiple_exposure`.
pub(in crate::spec) const MULTIPLE_EXPOSURE: &[&str] =
    &["source", "query", "at_most", "mixed", "units"];
/// `plan`.
pub(in crate::spec) const PLAN: &[&str] = &["units_per_week"];
/// One signal.
pub(in crate::spec) const SIGNAL: &[&str] = &[
    "role",
    "form",
    "want",
    "unit",
    "from",
    "min_effect",
    "harm_margin",
    "min_n",
    "matures_after",
    "grain",
    "compare",
    "method",
    "source",
    "query",
    "eligible",
];
/// `eligible` of a signal.
pub(in crate::spec) const ELIGIBLE: &[&str] = &["source", "query", "units", "coverage"];
/// A counted or measured `from`.
pub(in crate::spec) const BASELINE: &[&str] = &["x", "n", "as_of", "window"];
/// `checkpoint`.
pub(in crate::spec) const CHECKPOINT: &[&str] = &[
    "at",
    "every",
    "cycles",
    "continue_when",
    "stop_when",
    "look_every",
    "look",
    "spending",
    "early_stop",
    "min_duration",
    "hold_notify_after",
];
/// The kinds of guardrails.
pub(in crate::spec) const KINDS: &[&str] =
    &["slo", "threshold", "no_worse_than", "limit", "error_budget"];
/// One guardrail, beside its kind.
pub(in crate::spec) const GUARDRAIL: &[&str] =
    &["on_trip", "on_missing", "missing_for", "for", "keep_firing_for", "every"];
/// `slo`.
pub(in crate::spec) const SLO: &[&str] = &[
    "objective",
    "source",
    "query",
    "control",
    "scope",
    "budget",
    "burn",
    "min_events",
    "min_coverage",
    "or_bad",
    "bad",
    "total",
    "openslo",
];
/// `slo.budget` as a map.
pub(in crate::spec) const BUDGET: &[&str] = &["rolling", "calendar"];
/// One row of `slo.burn`.
pub(in crate::spec) const BURN: &[&str] = &["severity", "factor", "budget", "long", "short", "for"];
/// `slo.or_bad`.
pub(in crate::spec) const OR_BAD: &[&str] = &["at_least", "within"];
/// `threshold`.
pub(in crate::spec) const THRESHOLD: &[&str] =
    &["source", "query", "value", "at_most", "at_least", "drift"];
/// `threshold.drift`.
pub(in crate::spec) const DRIFT: &[&str] =
    &["method", "watch", "reference", "block", "k", "h", "lambda", "width"];
/// `threshold.drift.reference`.
pub(in crate::spec) const REFERENCE: &[&str] = &["mean", "sd", "blocks"];
/// `no_worse_than`.
pub(in crate::spec) const NO_WORSE_THAN: &[&str] = &["margin", "signal", "require"];
/// `limit`.
pub(in crate::spec) const LIMIT: &[&str] = &[
    "at_most", "per", "window", "of", "allow", "source", "query", "value", "units", "over", "hits",
    "n",
];
/// `error_budget`.
pub(in crate::spec) const ERROR_BUDGET: &[&str] =
    &["source", "query", "value", "at_least", "openslo", "objective"];
/// `rollback`.
pub(in crate::spec) const ROLLBACK: &[&str] = &["plan", "action"];
/// `review`.
pub(in crate::spec) const REVIEW: &[&str] = &["every", "minutes", "sample"];
/// A query's own keys.
pub(in crate::spec) const QUERY: &[&str] = &["file", "sql", "columns", "only", "cumulative"];
/// Contract columns, each allowed directly in a query.
pub(in crate::spec) const COLUMNS: &[&str] = &[
    "num",
    "den",
    "value",
    "n",
    "sum",
    "sum_sq",
    "num_sq",
    "den_sq",
    "cross",
    "events",
    "exposure",
    "units",
    "over",
    "hits",
    "bad",
    "total",
    "time",
    "arm",
    "sum_cu",
    "cov_sum",
    "cov_sq",
    "cov_cross",
    "mean",
    "variance",
    "mixed",
];

/// `role`.
pub(in crate::spec) const ROLES: &[(&str, Role)] = &[
    ("proxy", Role::Proxy),
    ("leading", Role::Leading),
    ("outcome", Role::Outcome),
    ("guardrail", Role::Guardrail),
];
/// `form`.
pub(in crate::spec) const FORMS: &[(&str, Form)] = &[
    ("proportion", Form::Proportion),
    ("mean", Form::Mean),
    ("ratio", Form::Ratio),
    ("rate", Form::Rate),
    ("value", Form::Value),
];
/// `want`.
pub(in crate::spec) const WANTS: &[(&str, Want)] = &[("up", Want::Up), ("down", Want::Down)];
/// `evidence`.
pub(in crate::spec) const EVIDENCE: &[(&str, EvidenceMode)] = &[
    ("significant", EvidenceMode::Significant),
    ("proven", EvidenceMode::Proven),
    ("not_refuted", EvidenceMode::NotRefuted),
    ("point", EvidenceMode::Point),
];
/// `compare.design`.
pub(in crate::spec) const DESIGNS: &[(&str, Design)] = &[
    ("arms", Design::Arms),
    ("baseline", Design::Baseline),
    ("before_after", Design::BeforeAfter),
];
/// `early_stop`.
pub(in crate::spec) const EARLY_STOPS: &[(&str, bool)] = &[("futility", true), ("never", false)];
/// `on_trip`.
pub(in crate::spec) const ON_TRIPS: &[(&str, OnTrip)] =
    &[("stop", OnTrip::Stop), ("alert", OnTrip::Alert)];
/// `on_missing`.
pub(in crate::spec) const ON_MISSINGS: &[(&str, OnMissing)] =
    &[("alert", OnMissing::Alert), ("trip", OnMissing::Trip), ("ignore", OnMissing::Ignore)];
/// `slo.scope`.
pub(in crate::spec) const SCOPES: &[(&str, SloScope)] = &[
    ("cohort", SloScope::Treatment),
    ("treatment", SloScope::Treatment),
    ("service", SloScope::Service),
];
/// `slo.budget` as a word.
pub(in crate::spec) const BUDGETS: &[(&str, BudgetPeriod)] =
    &[("lifetime", BudgetPeriod::Lifetime)];
/// `slo.budget.calendar`.
pub(in crate::spec) const CALENDAR: &[(&str, CalendarUnit)] = &[
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
    ("quarter", CalendarUnit::Quarter),
];
/// `slo.burn[].severity`.
pub(in crate::spec) const BURN_SEVERITIES: &[(&str, BurnSeverity)] =
    &[("page", BurnSeverity::Page), ("ticket", BurnSeverity::Ticket)];
/// `threshold.drift.method`; true for an EWMA.
pub(in crate::spec) const CHARTS: &[(&str, bool)] = &[("cusum", false), ("ewma", true)];
/// `no_worse_than.require`.
pub(in crate::spec) const REQUIRES: &[(&str, bool)] = &[("proven", true)];
/// `limit.of`.
pub(in crate::spec) const LIMIT_OFS: &[(&str, LimitOf)] =
    &[("configured", LimitOf::Configured), ("sampled", LimitOf::Sampled)];

/// The comparison before its arms are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spec) enum Design {
    /// Two concurrent arms.
    Arms,
    /// Against `from`.
    Baseline,
    /// Against the time before the start.
    BeforeAfter,
}

/// The columns that a form may have beyond those; a covariate needs concurrent arms.
pub(in crate::spec) fn optional_columns(form: Form, arms: bool) -> &'static [&'static str] {
    match (form, arms) {
        (Form::Proportion, true) => &["cov_sum", "cov_sq", "cov_cross"],
        (Form::Mean, true) => &["sum_cu", "cov_sum", "cov_sq", "cov_cross"],
        (Form::Mean, false) => &["sum_cu"],
        _ => &[],
    }
}

/// The columns that a form cannot do without.
pub(in crate::spec) fn form_columns(form: Form) -> &'static [&'static str] {
    match form {
        Form::Proportion => &["num", "den"],
        Form::Mean => &["n", "sum", "sum_sq"],
        Form::Ratio => &["n", "num", "den", "num_sq", "den_sq", "cross"],
        Form::Rate => &["events", "exposure"],
        Form::Value => &["value"],
    }
}
