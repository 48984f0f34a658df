//! `verdictd explain EXP[@N]`: a stored evaluation, clause by clause, from its frozen record.

use clap::Args;
use judge::analyse::{RuleValue, SignalState, Truth};
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
    /// Experiment id, or id@number of an evaluation
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
    let (id, number) = match args.what.split_once('@') {
        Some((id, number)) => {
            let number: u64 = number
                .parse()
                .map_err(|_| Failure::usage(format!("{}: write id@number", args.what)))?;
            (id, Some(number))
        }
        None => (args.what.as_str(), None),
    };
    let number = match number {
        Some(number) => number,
        None => newest(&store, id).await?,
    };
    let found = store.evaluation(id, number).await?;
    let Some((_, json)) = found else {
        return Err(Failure::usage(format!("`{id}` has no evaluation {number}")));
    };
    if args.json {
        let document: Value = serde_json::from_str(&json).map_err(anyhow::Error::from)?;
        super::output::say_json(&document);
        return Ok(0);
    }
    let record = EvaluationRecord::from_json(&json).map_err(anyhow::Error::from)?;
    say(&text(&record, Style::of_stdout()));
    Ok(0)
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
    let silent = record.signals.iter().filter(|signal| signal.state == SignalState::NoData);
    for signal in silent {
        let why = signal.why.as_deref().unwrap_or("its source gave nothing");
        out.push_str(&wrapped(
            "  no data     ",
            "              ",
            &format!("{}: {why}", signal.name),
        ));
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
    guardrail_lines(record, style, &mut out);
    for alarm in &record.alarms {
        let (kind, severity) = (word(&alarm.kind), word(&alarm.severity));
        let since = alarm.since.map(|at| format!(", since {at}")).unwrap_or_default();
        let text = format!("{kind} ({severity}){since}, clears with {}", alarm.clears);
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
    out
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
    if let Some(evidence) = atom.and_then(|atom| atom.evidence.as_ref()) {
        let first = format!("{}by  ", "  ".repeat(depth + 1));
        let rest = " ".repeat(first.len());
        out.push_str(&wrapped(&first, &rest, &prose::method_line(evidence)));
    }
    for child in &node.nodes {
        rule_lines(record, child, depth + 1, style, out);
    }
}

fn stop_lines(record: &EvaluationRecord, rule: &RuleValue, style: Style, out: &mut String) {
    out.push_str(&marked(1, truth(rule.value), &rule.text, style));
    for atom in &record.stop_atoms {
        out.push_str(&marked(2, truth(atom.met), &prose::atom_line(atom, record), style));
    }
}

fn truth(value: Truth) -> &'static str {
    match value {
        Truth::True => "yes",
        Truth::False => "no",
        Truth::Unknown => "unknown",
    }
}
