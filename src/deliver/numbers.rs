//! Numbers as people read them in messages: the record's numbers, never new ones.
//!
//! Percentages and points for proportions, the signal's own unit for the rest, three significant
//! digits. The exact numbers stand beside the words in the payload.

use judge::analyse::{Evidence, GuardrailStatus, SignalView};
use judge::spec::{Experiment, Form, GuardrailKind, LimitOf};
use judge::stats::UNBOUNDED;

/// `x` with three significant digits and thousands separators.
pub(super) fn plain(x: f64) -> String {
    if !x.is_finite() {
        return "?".to_owned();
    }
    let magnitude = if x == 0.0 {
        0
    } else {
        x.abs().log10().floor() as i32
    };
    if magnitude < -6 {
        return format!("{x:.2e}");
    }
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0);
    let text = format!("{x:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let whole = grouped(whole);
    if fraction.is_empty() {
        whole
    } else {
        format!("{whole}.{fraction}")
    }
}

fn grouped(whole: &str) -> String {
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A level of a signal.
pub(super) fn level(view: &SignalView, x: f64) -> String {
    match (view.form, view.unit.as_deref()) {
        (Form::Proportion, _) => format!("{} %", plain(100.0 * x)),
        (_, Some(unit)) => format!("{} {unit}", plain(x)),
        (_, None) => plain(x),
    }
}

/// A signed change of a signal.
fn change(view: &SignalView, x: f64, relative: bool) -> String {
    let sign = if x > 0.0 { "+" } else { "" };
    match (relative, view.form, view.unit.as_deref()) {
        (true, _, _) => format!("{sign}{} %", plain(100.0 * x)),
        (false, Form::Proportion, _) => format!("{sign}{} pts", plain(100.0 * x)),
        (false, _, Some(unit)) => format!("{sign}{} {unit}", plain(x)),
        (false, _, None) => format!("{sign}{}", plain(x)),
    }
}

/// Units behind an evidence, over all arms.
pub(super) fn units(evidence: &Evidence) -> f64 {
    evidence.n.values().sum()
}

/// One signal in one line: `↑ 27 % -> 33 %, +6 pts (+2.1 pts to +9.9 pts), n 12,000`.
pub(super) fn signal_line(view: &SignalView) -> String {
    let Some(evidence) = &view.evidence else {
        return view.why.clone().unwrap_or_else(|| "no data yet".to_owned());
    };
    let arrow = match evidence.estimate {
        x if x > 0.0 => "↑",
        x if x < 0.0 => "↓",
        _ => "→",
    };
    let mut text = arrow.to_owned();
    if let (Some(from), Some(to)) = (evidence.comparison, evidence.level) {
        text = format!("{text} {} -> {},", level(view, from), level(view, to));
    }
    let end = |x: f64, open: &str| {
        if x.abs() >= UNBOUNDED {
            open.to_owned()
        } else {
            change(view, x, evidence.relative)
        }
    };
    let range = &evidence.interval;
    format!(
        "{text} {} ({} to {}), n {}",
        change(view, evidence.estimate, evidence.relative),
        end(range.lo, "no lower bound"),
        end(range.hi, "no upper bound"),
        plain_count(units(evidence)),
    )
}

/// A count, whole.
pub(super) fn plain_count(x: f64) -> String {
    if x.is_finite() {
        grouped(&format!("{x:.0}"))
    } else {
        "?".to_owned()
    }
}

/// A number of a guardrail, in the unit that its kind has.
pub(super) fn guardrail_number(experiment: &Experiment, name: &str, x: f64) -> String {
    let percent = || format!("{} %", plain(100.0 * x));
    let with = |unit: Option<&str>| match unit {
        Some(unit) => format!("{} {unit}", plain(x)),
        None => plain(x),
    };
    let Some(guardrail) = experiment.guardrail(name) else {
        return plain(x);
    };
    match &guardrail.kind {
        GuardrailKind::Slo(_) | GuardrailKind::ErrorBudget(_) => percent(),
        GuardrailKind::Limit(limit) if limit.of == LimitOf::Sampled => percent(),
        GuardrailKind::Limit(limit) => with(limit.unit.as_deref()),
        GuardrailKind::Threshold(threshold) => with(threshold.unit.as_deref()),
        GuardrailKind::NoWorseThan(kind) => match experiment.signal(&kind.signal) {
            Some(signal) if signal.form == Form::Proportion => {
                format!("{} pts", plain(100.0 * x))
            }
            Some(signal) => with(signal.unit.as_deref()),
            None => plain(x),
        },
    }
}

/// One guardrail in one line: `0.21 % against 0.1 % (1,240 of 600,000)`.
pub(super) fn guardrail_line(experiment: &Experiment, status: &GuardrailStatus) -> String {
    let number = |x: f64| guardrail_number(experiment, &status.name, x);
    let mut text = match (status.value, status.limit) {
        (Some(value), Some(limit)) => format!("{} against {}", number(value), number(limit)),
        (Some(value), None) => number(value),
        (None, _) => status.why.clone().unwrap_or_else(|| "no value".to_owned()),
    };
    if let (Some(bad), Some(total)) = (status.bad, status.total) {
        text = format!("{text} ({} of {})", plain_count(bad), plain_count(total));
    }
    if status.control_also {
        text.push_str("; the control breaches too");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough_to_read() {
        for (x, text) in [
            (0.0, "0"),
            (27.0, "27"),
            (0.123_456, "0.123"),
            (-3.999_9, "-4"),
            (1_234_567.0, "1,234,567"),
            (999.96, "1,000"),
            (0.000_25, "0.00025"),
            (-12_345.6, "-12,346"),
            (1e-9, "1.00e-9"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(plain(x), text, "{x}");
        }
        assert_eq!(plain_count(6_000.0), "6,000");
    }
}
