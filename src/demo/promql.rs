//! The expressions of the story files, recognised by their text and answered from the counts.
//!
//! Not a query engine: white space is folded, each range becomes `[$]`, and what is left must be
//! one of [`KNOWN`]. The answers are what Prometheus gives on the same data at aligned instants:
//! `increase` over the range ending at the instant, `histogram_quantile` by linear interpolation.

use judge::time::{HOUR_MS, Span, Timestamp, ms_between};

use super::data::calendar::hour_start;
use super::data::{BUCKETS, Counter, Gauge, Metrics};

const ARMS: [&str; 2] = ["unflagged", "flagged"];

/// One series of an answer: the `arm` label, if any, and a value.
pub(super) type Answer = (Option<&'static str>, f64);

/// A recognised expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    rule: &'static Rule,
    range: Span,
}

/// What an expression asks for.
#[derive(Debug, PartialEq)]
enum Rule {
    /// `sum by (arm)` of the increase of a counter, less another part of it, divided.
    ByArm { name: &'static str, less_le: Option<&'static str>, per: f64 },
    /// `sum` of the increase over all series that match.
    Sum { name: &'static str, label: Option<(&'static str, &'static str)>, only_5xx: bool },
    /// The 95th percentile by arm in milliseconds.
    P95,
    /// `avg by (arm)` of a gauge over the range.
    GaugeByArm { name: &'static str },
    /// The newest value of a gauge.
    Gauge { name: &'static str },
}

const fn by_arm(name: &'static str) -> Rule {
    Rule::ByArm { name, less_le: None, per: 1.0 }
}

const fn sum(name: &'static str) -> Rule {
    Rule::Sum { name, label: None, only_5xx: false }
}

const fn requests(key: &'static str, value: &'static str, only_5xx: bool) -> Rule {
    Rule::Sum { name: "http_requests_total", label: Some((key, value)), only_5xx }
}

/// Every expression of the five files.
static KNOWN: [(&str, Rule); 21] = [
    (
        "sum by (arm) (increase(quote_duration_seconds_count[$])) - sum by (arm) \
         (increase(quote_duration_seconds_bucket{le=\"0.25\"}[$]))",
        Rule::ByArm { name: "quote_duration_seconds_count", less_le: Some("0.25"), per: 1.0 },
    ),
    (
        "sum by (arm) (increase(quote_duration_seconds_count[$]))",
        by_arm("quote_duration_seconds_count"),
    ),
    (
        "1000 * histogram_quantile(0.95, sum by (arm, le) \
         (rate(quote_duration_seconds_bucket[$])))",
        Rule::P95,
    ),
    ("avg by (arm) (avg_over_time(queue_depth[$]))", Rule::GaugeByArm { name: "queue_depth" }),
    (
        "avg by (arm) (avg_over_time(cache_hit_ratio[$]))",
        Rule::GaugeByArm { name: "cache_hit_ratio" },
    ),
    ("sum by (arm) (increase(checkout_timeouts_total[$]))", by_arm("checkout_timeouts_total")),
    ("sum by (arm) (increase(checkouts_total[$]))", by_arm("checkouts_total")),
    ("sum by (arm) (increase(checkouts_completed_total[$]))", by_arm("checkouts_completed_total")),
    ("sum by (arm) (increase(tickets_total[$]))", by_arm("tickets_total")),
    (
        "sum by (arm) (increase(sessions_total[$])) / 1000",
        Rule::ByArm { name: "sessions_total", less_le: None, per: 1_000.0 },
    ),
    (
        "sum(increase(http_requests_total{arm=\"flagged\",code=~\"5..\"}[$]))",
        requests("arm", "flagged", true),
    ),
    ("sum(increase(http_requests_total{arm=\"flagged\"}[$]))", requests("arm", "flagged", false)),
    (
        "sum(increase(http_requests_total{cohort=\"checklist\",code=~\"5..\"}[$]))",
        requests("cohort", "checklist", true),
    ),
    (
        "sum(increase(http_requests_total{cohort=\"checklist\"}[$]))",
        requests("cohort", "checklist", false),
    ),
    (
        "service_error_budget_remaining_ratio{service=\"quote\"}",
        Rule::Gauge { name: "service_error_budget_remaining_ratio" },
    ),
    (
        "feature_flag_rollout_ratio{flag=\"quote-cache\"}",
        Rule::Gauge { name: "feature_flag_rollout_ratio" },
    ),
    ("sum(increase(csat_satisfied_total[$]))", sum("csat_satisfied_total")),
    ("sum(increase(csat_answers_total[$]))", sum("csat_answers_total")),
    ("sum(increase(tickets_reopened_total[$]))", sum("tickets_reopened_total")),
    ("sum(increase(tickets_resolved_total[$]))", sum("tickets_resolved_total")),
    // The probe of a source.
    ("vector(1)", Rule::Gauge { name: "" }),
];

/// Recognises an expression, or says why not.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let (template, range) = normal(text)?;
    let found = KNOWN.iter().find(|(known, _)| *known == template);
    match found {
        Some((_, rule)) => Ok(Expression { rule, range: range.unwrap_or(Span::hours(1)) }),
        None => Err(format!("the demo's Prometheus knows the five stories only, not: {text}")),
    }
}

/// White space folded, ranges replaced by `[$]`; all ranges of one expression are equal.
fn normal(text: &str) -> Result<(String, Option<Span>), String> {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut template, mut range) = (String::new(), None);
    let mut parts = folded.split('[');
    template.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (inside, rest) = part.split_once(']').ok_or("parse error: unclosed [")?;
        let span = Span::parse(inside).ok_or_else(|| format!("bad duration {inside:?}"))?;
        if range.is_some_and(|range| range != span) || span.ms == 0 {
            return Err("ranges of one expression differ or are empty".to_owned());
        }
        range = Some(span);
        template.push_str("[$]");
        template.push_str(rest);
    }
    Ok((template, range))
}

impl Expression {
    /// The answer at an instant; empty where there is no data.
    pub(super) fn at(&self, metrics: &Metrics, at: Timestamp) -> Vec<Answer> {
        match self.rule {
            Rule::ByArm { name, less_le, per } => each_arm(|arm| {
                let labels = [("arm", arm)];
                let mut value = self.increase(metrics, name, &labels, at)?;
                if let Some(le) = less_le {
                    let name = "quote_duration_seconds_bucket";
                    value -= self.increase(metrics, name, &[("arm", arm), ("le", le)], at)?;
                }
                Some(value / per)
            }),
            Rule::Sum { name, label, only_5xx } => {
                let matches = |counter: &&Counter| {
                    counter.name == *name
                        && label.is_none_or(|label| counter.labels.contains(&label))
                        && (!only_5xx || counter.labels.contains(&("code", "500")))
                };
                let found = metrics.counters.iter().filter(matches);
                let parts: Vec<f64> =
                    found.filter_map(|counter| increase(counter, self.range, at)).collect();
                if parts.is_empty() { Vec::new() } else { vec![(None, parts.iter().sum())] }
            }
            Rule::P95 => each_arm(|arm| self.p95(metrics, arm, at)),
            Rule::GaugeByArm { name } => each_arm(|arm| {
                let is_it =
                    |gauge: &&Gauge| gauge.name == *name && gauge.labels.contains(&("arm", arm));
                average(metrics.gauges.iter().find(is_it)?, self.range, at)
            }),
            Rule::Gauge { name: "" } => vec![(None, 1.0)],
            Rule::Gauge { name } => {
                let gauge = metrics.gauges.iter().find(|gauge| gauge.name == *name);
                let value = gauge.and_then(|gauge| average(gauge, Span::hours(1), at));
                value.map(|value| (None, value)).into_iter().collect()
            }
        }
    }

    fn increase(
        &self,
        metrics: &Metrics,
        name: &str,
        labels: &[(&str, &str)],
        at: Timestamp,
    ) -> Option<f64> {
        increase(metrics.counter(name, labels)?, self.range, at)
    }

    /// `histogram_quantile(0.95, ...)` in milliseconds.
    fn p95(&self, metrics: &Metrics, arm: &'static str, at: Timestamp) -> Option<f64> {
        let name = "quote_duration_seconds_bucket";
        let count = |le| self.increase(metrics, name, &[("arm", arm), ("le", le)], at);
        let total = count("+Inf")?;
        let rank = 0.95 * total;
        let (mut below, mut lower) = (0.0, 0.0);
        for le in BUCKETS {
            let within = count(le)?;
            let Ok(upper) = le.parse::<f64>() else { break };
            if !upper.is_finite() {
                break;
            }
            if within >= rank && within > below {
                let share = (rank - below) / (within - below);
                return Some(1_000.0 * (lower + (upper - lower) * share));
            }
            (below, lower) = (within, upper);
        }
        // Beyond the last finite bound the answer is that bound, as in Prometheus.
        (total > 0.0).then_some(1_000.0 * lower)
    }
}

fn each_arm(value: impl Fn(&'static str) -> Option<f64>) -> Vec<Answer> {
    ARMS.into_iter().filter_map(|arm| value(arm).map(|value| (Some(arm), value))).collect()
}

/// Cumulative count at an instant, linear within an hour; `None` outside the data.
fn cumulative(counter: &Counter, at: Timestamp) -> Option<f64> {
    let since = ms_between(hour_start(counter.first_hour), at);
    let whole = usize::try_from(since.div_euclid(HOUR_MS)).ok()?;
    let sum: u64 = counter.hours.get(..whole)?.iter().copied().map(u64::from).sum();
    let part = since.rem_euclid(HOUR_MS) as f64 / HOUR_MS as f64;
    let next = counter.hours.get(whole).map_or(0.0, |hour| f64::from(*hour) * part);
    Some(sum as f64 + next)
}

fn increase(counter: &Counter, range: Span, at: Timestamp) -> Option<f64> {
    let from = judge::time::add_ms(at, -range.ms).max(hour_start(counter.first_hour));
    (from < at).then_some(())?;
    Some(cumulative(counter, at)? - cumulative(counter, from)?)
}

/// Mean of the hours that end in `(at - range, at]`.
fn average(gauge: &Gauge, range: Span, at: Timestamp) -> Option<f64> {
    let since = ms_between(hour_start(gauge.first_hour), at);
    let end = usize::try_from(since.div_euclid(HOUR_MS)).ok()?;
    let start = usize::try_from((since - range.ms).div_euclid(HOUR_MS).max(0)).ok()?;
    let values = gauge.hours.get(start..end).filter(|values| !values.is_empty())?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::data::calendar::midnight;

    fn ask(metrics: &Metrics, text: &str, day: i64) -> Vec<Answer> {
        parse(text).unwrap().at(metrics, midnight(day))
    }

    #[test]
    fn every_expression_of_the_story_files_is_known() {
        let fold = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let files = crate::demo::stage::EXPERIMENT_FILES;
        let yaml = files.iter().filter(|(name, _)| crate::demo::stage::is_experiment(name));
        let all = fold(&yaml.map(|(_, text)| *text).collect::<String>());
        let mut left = all.clone();
        // Longest first: some expressions contain others.
        let mut known: Vec<String> =
            KNOWN.iter().map(|(text, _)| text.replace("[$]", "[{{grain}}]")).collect();
        known.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for text in known.iter().filter(|text| *text != "vector(1)") {
            assert!(all.contains(text.as_str()), "no file asks {text}");
            left = left.replace(text.as_str(), "");
        }
        assert!(!left.contains("{{grain}}"), "a file asks something the demo does not know");
    }

    #[test]
    fn a_day_and_its_hours_agree_with_the_counts() {
        let metrics = Metrics::generate(1);
        let bad = "sum(increase(http_requests_total{arm=\"flagged\", code=~\"5..\"}[1d]))";
        assert!(parse(bad).is_err(), "only the files' own text is known");
        let bad = "sum(increase(http_requests_total{arm=\"flagged\",code=~\"5..\"}[9d]))";
        assert_eq!(ask(&metrics, bad, 9), [(None, 1_140.0)]);
        let all = "sum  (increase(x[1d]))";
        assert!(parse(all).is_err());
        let all = "sum(increase(http_requests_total{arm=\"flagged\"}[8d]))";
        assert_eq!(ask(&metrics, all, 8), [(None, 384_000.0)]);
        assert_eq!(ask(&metrics, all, 0), [], "nothing before the start");
    }

    #[test]
    fn the_cache_brings_p95_from_450_to_250_ms() {
        let metrics = Metrics::generate(1);
        let p95 = "1000 * histogram_quantile(0.95, sum by (arm, le) \
                   (rate(quote_duration_seconds_bucket[7d])))";
        let found = ask(&metrics, p95, 7);
        assert_eq!(found.iter().map(|(arm, _)| *arm).collect::<Vec<_>>(), ARMS.map(Some));
        assert!((found[0].1 - 450.0).abs() < 10.0, "{found:?}");
        assert!((found[1].1 - 250.0).abs() < 10.0, "{found:?}");
        assert!(found[1].1 < 0.75 * found[0].1);
    }

    #[test]
    fn gauges_are_averaged_over_the_range() {
        let metrics = Metrics::generate(1);
        let hits = ask(&metrics, "avg by (arm) (avg_over_time(cache_hit_ratio[1d]))", 3);
        assert_eq!(hits[0], (Some("unflagged"), 0.0));
        assert!((0.7..0.9).contains(&hits[1].1), "{hits:?}");
        let rollout = ask(&metrics, "feature_flag_rollout_ratio{flag=\"quote-cache\"}", 3);
        assert_eq!(rollout, [(None, 0.1)]);
    }
}
