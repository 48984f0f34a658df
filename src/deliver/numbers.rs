//! Numbers as people read them in messages: the record's numbers in the judge's own prose.
//!
//! Only whole lines are put together here; how a number is written is `judge::prose`. The exact
//! numbers stand beside the words in the payload.

use judge::analyse::{BurnStatus, Evidence, GuardrailStatus, SignalView};
use judge::prose::{Written, count, format_change, format_level};
use judge::spec::{Experiment, Form};
use judge::stats::UNBOUNDED;

/// A number without a unit.
pub(super) fn plain(x: f64) -> String {
    format_level(x, Form::Value, None)
}

/// Units behind an evidence, over all arms.
pub(super) fn units(evidence: &Evidence) -> f64 {
    evidence.n.values().sum()
}

/// A signal's change and its range: `+6.0 pts (+2.1 pts to +9.9 pts)`; nothing without evidence.
pub(super) fn change_words(view: &SignalView) -> Option<String> {
    let evidence = view.evidence.as_ref()?;
    let unit = view.unit.as_deref();
    // Without a comparison the evidence is on the level itself.
    let change = |x: f64| match evidence.comparison {
        Some(_) => format_change(x, evidence.relative, view.form, unit),
        None => format_level(x, view.form, unit),
    };
    let end = |x: f64, open: &str| {
        if x.abs() >= UNBOUNDED { open.to_owned() } else { change(x) }
    };
    let range = &evidence.interval;
    let (lo, hi) = (end(range.lo, "no lower bound"), end(range.hi, "no upper bound"));
    Some(format!("{} ({lo} to {hi})", change(evidence.estimate)))
}

/// One signal in one line: `↑ 27.0 % -> 33.0 %, +6.0 pts (+2.1 pts to +9.9 pts), n = 12,000`.
pub fn signal_line(view: &SignalView) -> String {
    let Some(evidence) = &view.evidence else {
        return view.why.clone().unwrap_or_else(|| "no data yet".to_owned());
    };
    let arrow = match evidence.estimate {
        x if x > 0.0 => "↑",
        x if x < 0.0 => "↓",
        _ => "→",
    };
    let unit = view.unit.as_deref();
    let level = |x: f64| format_level(x, view.form, unit);
    let mut text = arrow.to_owned();
    if let (Some(from), Some(to)) = (evidence.comparison, evidence.level) {
        text = format!("{text} {} -> {},", level(from), level(to));
    }
    let change = change_words(view).unwrap_or_default();
    format!("{text} {change}, n = {}", count(units(evidence)))
}

/// One guardrail in one line: `0.21 % against 0.1 % (1,240 of 600,000)`.
pub fn guardrail_line(experiment: &Experiment, status: &GuardrailStatus) -> String {
    let scale = Written::of_guardrail(experiment, &status.name);
    let mut text = match (status.value, status.limit) {
        (Some(value), Some(limit)) => {
            let (value, limit) = scale.pair(value, limit);
            format!("{value} against {limit}")
        }
        (Some(value), None) => scale.text(value),
        (None, _) => status.why.clone().unwrap_or_else(|| "no value".to_owned()),
    };
    if let (Some(bad), Some(total)) = (status.bad, status.total) {
        text = format!("{text} ({} of {})", count(bad), count(total));
    }
    if let (Some(why), Some(_), Some(_)) = (&status.why, status.value, &status.burn) {
        text = format!("{why}: {text}");
    }
    if let Some(burn) = &status.burn {
        text.push_str(&budget_words(burn, status.budget_left));
    }
    if status.control_also {
        text.push_str("; the control breaches too");
    }
    text
}

/// One error budget in one line: `63 % of the budget left, burn rate 0.8`; `None` without one.
pub fn budget_line(status: &GuardrailStatus) -> Option<String> {
    let words = match (&status.burn, status.budget_left) {
        (Some(burn), left) => budget_words(burn, left),
        (None, Some(left)) => {
            format!("; {} of the budget left", format_level(left, Form::Proportion, None))
        }
        (None, None) => return None,
    };
    Some(words.trim_start_matches([';', ',', ' ']).to_owned())
}

/// What is left of a budget, how fast it goes, until when, and what would trip.
fn budget_words(burn: &BurnStatus, left: Option<f64>) -> String {
    let mut text = String::new();
    if let Some(left) = left {
        text = format!("; {} of the budget left", format_level(left, Form::Proportion, None));
    }
    text = format!("{text}, burn rate {}", plain(burn.burn));
    if let Some(at) = burn.exhausted_at {
        text = format!("{text}, spent by {}", at.strftime("%Y-%m-%d %H:%M UTC"));
    }
    if let Some(trips) = burn.trips_at.filter(|trips| trips.needed > trips.bad) {
        let (needed, bad) = (count(trips.needed), count(trips.bad));
        text = format!("{text}, would trip at {needed} bad in {} (now {bad})", trips.within);
    }
    if burn.pages_are_blind() {
        text.push_str("; no alert that pages can be judged: the source counts in longer periods");
    }
    text
}
