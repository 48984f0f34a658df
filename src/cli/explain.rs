//! `verdictd explain EXP[@N] | ID`: a stored evaluation, clause by clause, from its frozen record.
//!
//! What was seen, by which method, which row of the verdict table that is, what would flip it,
//! and whether the frozen inputs give the same bytes again. A record of another engine is shown
//! as it is stored.

use clap::Args;
use judge::analyse::{AtomView, Evidence, RuleValue, Truth};
use judge::decide::{Change, Reproduction, flips, reproduce};
use judge::prose;
use judge::record::EvaluationRecord;
use serde_json::Value;

use super::SettingsArgs;
use super::output::{Failure, Style, say, wrapped};
use crate::cycle::say::word;
use crate::store::Store;

/// Show why an evaluation said what it said
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Experiment id, id@number of an evaluation, or the evaluation's id as messages print it
    what: String,
    /// The stored record as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Reads the store beside a running daemon and prints one evaluation.
pub(super) async fn run(args: ExplainArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = super::open_store(&settings)?;
    let json = stored(&store, &args.what).await?;
    if args.json {
        let document: Value = serde_json::from_str(&json).map_err(anyhow::Error::from)?;
        super::output::say_json(&document);
        return Ok(0);
    }
    let record = EvaluationRecord::from_json(&json).map_err(anyhow::Error::from)?;
    say(&text(&record, Style::of_stdout()));
    Ok(0)
}

/// The record of what was named.
async fn stored(store: &Store, what: &str) -> Result<String, Failure> {
    if let Some((_, json)) = store.evaluation_by_id(what).await? {
        return Ok(json);
    }
    let (id, number) = match what.split_once('@') {
        Some((id, number)) => {
            let refused = |_| Failure::usage(format!("{what}: write id@number"));
            (id, number.parse().map_err(refused)?)
        }
        None => (what, newest(store, what).await?),
    };
    let found = store.evaluation(id, number).await?;
    let (_, json) =
        found.ok_or_else(|| Failure::usage(format!("`{id}` has no evaluation {number}")))?;
    Ok(json)
}

async fn newest(store: &Store, id: &str) -> Result<u64, Failure> {
    let standing = store.standing(id).await?;
    standing.map(|(row, _)| row.number).ok_or_else(|| {
        Failure::usage(format!(
            "`{id}` has no evaluation yet; `verdictd eval {id} --dry-run` makes one by hand"
        ))
    })
}

/// The whole evaluation as text, at most 80 columns wide.
pub(super) fn text(record: &EvaluationRecord, style: Style) -> String {
    let input = &record.input;
    let mut out = wrapped("", "  ", &prose::headline(record));
    let rows = [
        ("  evaluation  ", format!("{} at {}", record.id, input.at)),
        ("  because     ", prose::because(record)),
        ("  next        ", prose::what_next(record)),
    ];
    for (name, text) in rows {
        out.push_str(&wrapped(name, "              ", &text));
    }
    if let Some(words) = prose::revision(record) {
        out.push_str(&wrapped("  revised     ", "              ", &words));
    }
    for finding in &record.findings {
        let words = prose::finding_sentence(finding, record);
        out.push_str(&wrapped("  finding     ", "              ", &words));
    }
    out.push_str("\nrule\n");
    rule_lines(record, &record.rule, 1, style, &mut out);
    if let Some(rule) = &record.stop_rule {
        out.push_str("\nstop_when\n");
        stop_lines(record, rule, style, &mut out);
    }
    signal_lines(record, style, &mut out);
    guardrail_lines(record, style, &mut out);
    branch_lines(record, &mut out);
    for alarm in &record.alarms {
        let (kind, severity) = (word(&alarm.kind), word(&alarm.severity));
        let text = format!("{kind} ({severity}). {}", prose::alarm_told(alarm));
        out.push_str(&wrapped("\nalarm  ", "       ", &text));
    }
    if !record.ledger.is_empty() {
        out.push_str("\nalpha ledger\n");
    }
    for line in &record.ledger {
        let sides = if line.sides == 1 { "one-sided" } else { "two-sided" };
        let text = format!("  {:<44} {} {sides}\n", line.purpose, line.alpha);
        out.push_str(&text);
    }
    out.push('\n');
    out.push_str(&wrapped("", "  ", &reproduced(record)));
    out.push('\n');
    out
}

/// `alpha 0.05 two-sided, tau 0.08, smallest p 0.0031, n control 6,000, treatment 6,000; by ...`
fn evidence_line(evidence: &Evidence) -> String {
    let sides = if evidence.sides == 1 { "one-sided" } else { "two-sided" };
    let sizes = evidence.n.iter().map(|(arm, n)| format!("{arm} {}", prose::count(*n)));
    let parts = [
        format!("alpha {} {sides}", evidence.alpha),
        format!("tau {}", short(evidence.tau)),
        format!("smallest p {}", short(evidence.p_seq)),
        format!("n {}", sizes.collect::<Vec<_>>().join(", ")),
    ];
    format!("{}; by {}", parts.join(", "), prose::method_line(evidence))
}

/// Three significant digits.
fn short(value: f64) -> String {
    if value != 0.0 && (value.abs() < 1e-3 || value.abs() >= 1e4) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn atom_evidence(atom: &AtomView, depth: usize, out: &mut String) {
    if let Some(evidence) = &atom.evidence {
        let indent = "  ".repeat(depth + 2);
        out.push_str(&wrapped(&indent, &indent, &evidence_line(evidence)));
    }
}

fn signal_lines(record: &EvaluationRecord, style: Style, out: &mut String) {
    if !record.signals.is_empty() {
        out.push_str("\nsignals\n");
    }
    for view in &record.signals {
        // Terminals without Unicode read words.
        let line = crate::deliver::signal_line(view).replace('↑', "up:").replace('↓', "down:");
        // Without numbers the line is the reason already.
        let why = view.why.as_ref().filter(|_| view.evidence.is_some());
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        let as_of = view.data_as_of.map_or_else(String::new, |at| format!(", data to {at}"));
        let text = format!("{} ({}): {line}{why}{as_of}", view.name, word(&view.role));
        out.push_str(&marked(1, &word(&view.state), &text, style));
        if let Some(evidence) = &view.evidence {
            out.push_str(&wrapped("      ", "      ", &evidence_line(evidence)));
        }
    }
}

/// Which row of the verdict table, its reasons, and what would have led to another.
fn branch_lines(record: &EvaluationRecord, out: &mut String) {
    let decision = &record.decision;
    let row = |verdict, cause| format!("{verdict}: {cause}");
    let own = row(word(&decision.verdict), word(&decision.cause));
    let place = if decision.at_checkpoint { "at the checkpoint" } else { "before the checkpoint" };
    out.push_str(&wrapped("\nbranch  ", "        ", &format!("{own}, {place}")));
    for reason in &decision.reasons {
        out.push_str(&wrapped("  ", "    ", &prose::reason_sentence(reason, record)));
    }
    if record.track != "look" || record.engine != judge::record::ENGINE {
        return;
    }
    let found = flips(record);
    out.push_str("\nwould be otherwise\n");
    if found.is_empty() {
        out.push_str("  no single atom, state or guardrail would change it\n");
    }
    for flip in &found {
        let there = row(word(&flip.verdict), word(&flip.cause));
        out.push_str(&wrapped("  ", "    ", &format!("{} -> {there}", change(&flip.change))));
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Atom { text, to } => format!("if {text} read {}", truth(*to)),
        Change::StopAtom { text, to } => format!("if stop_when's {text} read {}", truth(*to)),
        Change::Signal { name, to } => format!("if {name} were {}", word(to)),
        Change::Guardrail { name, to } => format!("if guardrail {name} were {}", word(to)),
        Change::Split { mismatch: true } => "if the split were off".to_owned(),
        Change::Split { mismatch: false } => "if the split were as planned".to_owned(),
    }
}

fn reproduced(record: &EvaluationRecord) -> String {
    match reproduce(record) {
        Reproduction::Same => format!(
            "Evaluated again from its frozen inputs: the same {} bytes (engine {}).",
            record.to_json().len(),
            record.engine
        ),
        Reproduction::Differs(paths) => format!(
            "Evaluated again from its frozen inputs: NOT the same, at {}. The stored record is \
             what was said.",
            paths.join(", ")
        ),
        Reproduction::OtherEngine(engine) => format!(
            "Written by engine {engine}; this is {}: shown as it is stored, not evaluated again.",
            judge::record::ENGINE
        ),
        Reproduction::Fault => "The judge failed at this look: nothing to repeat.".to_owned(),
    }
}

fn guardrail_lines(record: &EvaluationRecord, style: Style, out: &mut String) {
    if !record.guardrails.is_empty() {
        out.push_str("\nguardrails\n");
    }
    for status in &record.guardrails {
        let line = crate::deliver::guardrail_line(&record.input.experiment, status);
        let text = format!("{}: {line}", status.name);
        out.push_str(&marked(1, &word(&status.state), &text, style));
    }
}

/// A marked line of a tree; the mark keeps its width, with or without colour.
fn marked(depth: usize, mark: &str, text: &str, style: Style) -> String {
    let indent = "  ".repeat(depth);
    let first = format!("{indent}{mark}  ");
    let rest = " ".repeat(first.chars().count());
    wrapped(&first, &rest, text).replacen(mark, &style.verdict(mark), 1)
}

fn rule_lines(
    record: &EvaluationRecord,
    node: &RuleValue,
    depth: usize,
    style: Style,
    out: &mut String,
) {
    let atom = node.atom.and_then(|index| record.atoms.get(index));
    let text = atom.map_or_else(|| node.op.clone(), |atom| prose::atom_line(atom, record));
    out.push_str(&marked(depth, truth(node.value), &text, style));
    if let Some(atom) = atom {
        atom_evidence(atom, depth, out);
    }
    for child in &node.nodes {
        rule_lines(record, child, depth + 1, style, out);
    }
}

fn stop_lines(record: &EvaluationRecord, rule: &RuleValue, style: Style, out: &mut String) {
    out.push_str(&marked(1, truth(rule.value), &rule.text, style));
    for atom in &record.stop_atoms {
        out.push_str(&marked(2, truth(atom.met), &prose::atom_line(atom, record), style));
        atom_evidence(atom, 2, out);
    }
}

fn truth(value: Truth) -> &'static str {
    match value {
        Truth::True => "yes",
        Truth::False => "no",
        Truth::Unknown => "unknown",
    }
}
