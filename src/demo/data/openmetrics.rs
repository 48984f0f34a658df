//! The hourly counts as OpenMetrics text, to be backfilled into a real Prometheus.
//!
//! `promtool tsdb create-blocks-from openmetrics` reads it. Counters are cumulative at a step of
//! half an hour with half of the hour's count in between, so that `increase()` over whole hours
//! gives the integers again (rounded), whether a window includes its left end or not.

use super::calendar::hour_start;
use super::files::writeln_to;
use super::hourly::{Labels, Metrics};

const HALF_HOUR_SECONDS: i64 = 1_800;

/// The exposition of all series, with its final `# EOF`.
pub(super) fn text(metrics: &Metrics) -> String {
    let mut text = String::new();
    let mut names: Vec<&str> = Vec::new();
    names.extend(metrics.counters.iter().map(|counter| counter.name));
    names.extend(metrics.gauges.iter().map(|gauge| gauge.name));
    names.sort_unstable();
    names.dedup();
    for name in names {
        family(&mut text, name, metrics);
    }
    text.push_str("# EOF\n");
    text
}

/// Samples of one family stand together, as the format wants.
fn family(text: &mut String, name: &str, metrics: &Metrics) {
    let is_gauge = metrics.gauges.iter().any(|gauge| gauge.name == name);
    // Histogram parts are written as plain series: the tool keeps any name under `unknown`.
    let (family, kind) = match name.strip_suffix("_total") {
        Some(family) => (family, "counter"),
        None if is_gauge => (name, "gauge"),
        None => (name, "unknown"),
    };
    writeln_to(text, format_args!("# TYPE {family} {kind}"));
    for counter in metrics.counters.iter().filter(|counter| counter.name == name) {
        let series = series(name, &counter.labels);
        let start = hour_start(counter.first_hour).as_second();
        let mut sum = 0_u64;
        writeln_to(text, format_args!("{series} 0 {start}"));
        for (index, hour) in (0_i64..).zip(&counter.hours) {
            let at = start + index * 2 * HALF_HOUR_SECONDS;
            let half = (2 * sum + u64::from(*hour)) as f64 / 2.0;
            sum += u64::from(*hour);
            writeln_to(text, format_args!("{series} {half} {}", at + HALF_HOUR_SECONDS));
            writeln_to(text, format_args!("{series} {sum} {}", at + 2 * HALF_HOUR_SECONDS));
        }
    }
    for gauge in metrics.gauges.iter().filter(|gauge| gauge.name == name) {
        let series = series(name, &gauge.labels);
        let start = hour_start(gauge.first_hour).as_second();
        for (index, value) in (1_i64..).zip(&gauge.hours) {
            let at = start + index * 2 * HALF_HOUR_SECONDS;
            writeln_to(text, format_args!("{series} {value} {}", at - HALF_HOUR_SECONDS));
            writeln_to(text, format_args!("{series} {value} {at}"));
        }
    }
}

fn series(name: &str, labels: &Labels) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let pairs: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    format!("{name}{{{}}}", pairs.join(","))
}
