//! Findings as sentences: what is worth knowing beside the verdict, with its numbers.

use super::numbers::{count, format_change, interval_text};
use super::reasons::sentence;
use crate::analyse::SignalView;
use crate::decide::Finding;
use crate::record::EvaluationRecord;

/// The finding as one sentence with a full stop.
pub fn finding_sentence(finding: &Finding, record: &EvaluationRecord) -> String {
    sentence(&words(finding, record), &record.input.experiment)
}

fn words(finding: &Finding, record: &EvaluationRecord) -> String {
    match finding {
        Finding::Drifted { signal, atom, p_seq } => {
            let atom = atom.as_deref().unwrap_or(signal);
            let p = p_seq.map(|p| format!(" (p = {p:.1e})")).unwrap_or_default();
            let now = seen(signal, record).map(|seen| format!(": {seen}")).unwrap_or_default();
            format!(
                "drifted: {atom} was proven at an earlier look{p}, and today's interval does not \
                 exclude no change{now}"
            )
        }
        Finding::Retargeted { signal, earlier, tau, alpha } => {
            let tau = tau.map(|tau| format!(", tau {tau:.3}")).unwrap_or_default();
            let alpha = alpha.map(|alpha| format!(", alpha {alpha}")).unwrap_or_default();
            format!(
                "retargeted: the test of {signal} began anew at this look, {} before \
                 it{tau}{alpha}",
                epochs(*earlier)
            )
        }
        Finding::DefinitionChanged { signal, earlier } => format!(
            "definition changed: the test of {signal} began anew at this look, {} before it",
            epochs(*earlier)
        ),
        Finding::NotShownSafe { guardrail } => {
            format!("not shown to be safe: guardrail {guardrail}")
        }
        Finding::Uncontrolled { signal } => {
            format!("uncontrolled; baseline treated as exact: {signal}")
        }
        Finding::SplitNotChecked => "no split is declared, so none is checked".to_owned(),
        Finding::UnplannedUnits { arm, units } => {
            format!("{} units came to arm {arm}, whose share is zero", count(*units))
        }
        Finding::Short { signal, wanted } => {
            let view = view_of(signal, record);
            let wanted = wanted.zip(view).map(|(wanted, view)| {
                let relative = view.evidence.as_ref().is_some_and(|evidence| evidence.relative);
                let wanted = format_change(wanted, relative, view.form, view.unit.as_deref());
                format!(", {wanted} would matter")
            });
            let now = seen(signal, record).map(|seen| format!(": {seen}")).unwrap_or_default();
            format!("short: {signal} moved, and too little{now}{}", wanted.unwrap_or_default())
        }
        Finding::NoTest { signal } => format!("no test: the estimate of {signal} alone decides"),
    }
}

fn epochs(count: u32) -> String {
    if count == 1 { "1 epoch".to_owned() } else { format!("{count} epochs") }
}

fn view_of<'a>(signal: &str, record: &'a EvaluationRecord) -> Option<&'a SignalView> {
    record.signals.iter().find(|view| view.name == signal)
}

/// `+3.1 pts (-0.6 pts to +6.8 pts)`.
fn seen(signal: &str, record: &EvaluationRecord) -> Option<String> {
    let view = view_of(signal, record)?;
    let evidence = view.evidence.as_ref()?;
    let change =
        |value: f64| format_change(value, evidence.relative, view.form, view.unit.as_deref());
    let interval = interval_text(&evidence.interval, &change);
    Some(format!("{} ({interval})", change(evidence.estimate)))
}
