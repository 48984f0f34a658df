//! The older text format (0.0.4), for everything that does not ask for OpenMetrics.
//!
//! There the `# HELP` and `# TYPE` of a counter name its series, with `_total`; OpenMetrics names
//! the family, without. A reader of one that is given the other sees counters without help.

use std::collections::BTreeSet;

/// An OpenMetrics exposition as the older text.
pub(super) fn text(openmetrics: &str) -> String {
    let lines = openmetrics.lines().filter(|line| *line != "# EOF");
    let counters: BTreeSet<&str> = lines
        .clone()
        .filter_map(|line| {
            let (family, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            (kind == "counter").then_some(family)
        })
        .collect();
    let mut out = String::with_capacity(openmetrics.len() + 1024);
    for line in lines {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(family), Some(rest)) if counters.contains(family) => {
                out.extend(["# ", what, " ", family, "_total ", rest]);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_counter_is_named_as_its_series_and_the_rest_stays() {
        let openmetrics = "# HELP a Asked, so far.\n# TYPE a counter\na_total{x=\"# b\"} 1\n\
                           # HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";
        let older = "# HELP a_total Asked, so far.\n# TYPE a_total counter\na_total{x=\"# b\"} 1\n\
                     # HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(text(openmetrics), older);
    }
}
