//! The burn-rate alerts of a guardrail as Prometheus rules: for those who want the same page there.
//!
//! One recorded ratio and one recorded count per window, one alert per line of the table: above
//! the factor on both windows, with `min_events` in both. What rules cannot say is left out and
//! said in the file: the exact test that holds a few errors of a quiet service back, time that was
//! not measured (here a short history is extrapolated), and a short window that reaches further
//! back when it holds too few events. Where traffic is dense and measured, both fire at the same
//! time; a test holds our instants against `promtool test rules`.

use std::collections::BTreeSet;

use judge::spec::BurnSeverity;
use judge::time::Span;

use super::Shown;

/// The placeholder that stands for the window.
const GRAIN: &str = "{{grain}}";

const HEAD: &str = "\
# The alerts that verdictd judges, as rules of Prometheus. Not in them: the exact test that holds
# a few errors of a quiet service back, time that was not measured, short windows that reach
# further back, the latch of a trip, and the rollback.
groups:
";

/// A rule file with every objective that has alerts.
pub(super) fn text(file: &str, shown: &[Shown]) -> Result<String, String> {
    let with: Vec<&Shown> =
        shown.iter().filter(|one| !one.alerts.is_empty() || one.or_bad.is_some()).collect();
    if with.is_empty() {
        return Err(format!(
            "{file} has no burn-rate alerts; a lifetime budget is a test, no rule"
        ));
    }
    let mut out = HEAD.to_owned();
    for one in with {
        out.push_str(&group(one)?);
    }
    Ok(out)
}

fn group(one: &Shown) -> Result<String, String> {
    for (column, query) in [("bad", &one.bad), ("total", &one.total)] {
        if !query.contains(GRAIN) {
            let name = &one.name;
            return Err(format!("`{column}` of {name} has no `[{GRAIN}]`: no rule can widen it"));
        }
    }
    let mut out = format!("  - name: {}\n    rules:\n", quoted(&format!("verdictd {}", one.name)));
    let windows: BTreeSet<Span> =
        one.alerts.iter().flat_map(|(rule, _)| [rule.long, rule.short]).collect();
    for window in &windows {
        let over = |query: &str| query.replace(GRAIN, &window.to_string());
        let (bad, total) = (over(&one.bad), over(&one.total));
        record(&mut out, one, *window, "verdictd:bad_ratio", &format!("({bad}) / ({total})"));
        record(&mut out, one, *window, "verdictd:events", &format!("({total})"));
    }
    for (rule, _) in &one.alerts {
        let seen = |metric: &str, window: Span| selector(one, metric, window);
        let above = one.fires_above(rule);
        let parts = [rule.long, rule.short].map(|window| {
            let (ratio, events) =
                (seen("verdictd:bad_ratio", window), seen("verdictd:events", window));
            format!("{ratio} > {above} and on() {events} >= {}", one.min_events)
        });
        let severity = match rule.severity {
            BurnSeverity::Page => "page",
            BurnSeverity::Ticket => "ticket",
        };
        let summary = format!(
            "{} burns more than {} times its budget over {} and {}",
            one.name, rule.factor, rule.long, rule.short
        );
        let expr = parts.join(" and on() ");
        alert(&mut out, one, (&expr, rule.hold_for), (severity, &rule.long.to_string(), &summary));
    }
    if let Some(rule) = one.or_bad {
        let bad = one.bad.replace(GRAIN, &rule.within.to_string());
        let expr = format!("({bad}) >= {}", rule.at_least);
        let summary =
            format!("{} has {} bad events within {}", one.name, rule.at_least, rule.within);
        alert(&mut out, one, (&expr, Span::ZERO), ("page", &rule.within.to_string(), &summary));
    }
    Ok(out)
}

fn record(out: &mut String, one: &Shown, window: Span, metric: &str, expr: &str) {
    let (expr, slo) = (quoted(expr), quoted(&one.name));
    let rule = format!(
        "      - record: {metric}\n        expr: {expr}\n        labels: {{slo: {slo}, window: \
         \"{window}\"}}\n"
    );
    out.push_str(&rule);
}

fn selector(one: &Shown, metric: &str, window: Span) -> String {
    format!("{metric}{{slo={},window=\"{window}\"}}", quoted(&one.name))
}

fn alert(
    out: &mut String,
    one: &Shown,
    (expr, hold_for): (&str, Span),
    (severity, window, summary): (&str, &str, &str),
) {
    let mut clocks = String::new();
    for (key, span) in [("for", hold_for), ("keep_firing_for", one.keep_firing_for)] {
        if span > Span::ZERO {
            clocks = format!("{clocks}        {key}: {span}\n");
        }
    }
    let (expr, slo, summary) = (quoted(expr), quoted(&one.name), quoted(summary));
    let rule = format!(
        "      - alert: VerdictdBurnRate\n        expr: {expr}\n{clocks}        labels: {{slo: \
         {slo}, severity: {severity}, window: \"{window}\"}}\n        annotations: {{summary: \
         {summary}}}\n"
    );
    out.push_str(&rule);
}

/// Quoted for YAML, which reads JSON strings; PromQL reads the same escapes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
