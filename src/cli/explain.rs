//! `verdictd explain EXP[@N]`: a stored evaluation, clause by clause, from its frozen record.

use clap::Args;
use judge::analyse::{RuleValue, Truth};
use judge::prose;
use judge::record::EvaluationRecord;
use serde_json::Value;

use super::SettingsArgs;
use super::output::{Failure, Style, say};
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
    let store = Store::open_read_only(&settings.store.path)?;
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
    let rows = store.evaluations(id, None, 1).await?;
    rows.first().map(|row| row.number).ok_or_else(|| {
        Failure::usage(format!(
            "`{id}` has no evaluation yet; `verdictd eval {id} --dry-run` makes one by hand"
        ))
    })
}

/// The whole evaluation as text.
pub(super) fn text(record: &EvaluationRecord, style: Style) -> String {
    let mut out = format!("{}\n", prose::headline(record));
    let input = &record.input;
    out.push_str(&format!("  evaluation {} at {}\n", record.id, input.at));
    out.push_str(&format!("  because    {}\n", prose::because(record)));
    out.push_str(&format!("  next       {}\n", prose::what_next(record)));
    out.push_str("\nrule\n");
    rule_lines(record, &record.rule, 1, style, &mut out);
    if let Some(rule) = &record.stop_rule {
        out.push_str("\nstop_when\n");
        stop_lines(record, rule, style, &mut out);
    }
    if !record.guardrails.is_empty() {
        out.push_str("\nguardrails\n");
        for status in &record.guardrails {
            let word = crate::cycle::say::word(&status.state);
            let line = crate::deliver::guardrail_line(&input.experiment, status);
            out.push_str(&format!("  {}  {line}\n", style.verdict(&word)));
        }
    }
    for alarm in &record.alarms {
        let kind = crate::cycle::say::word(&alarm.kind);
        let severity = crate::cycle::say::word(&alarm.severity);
        let clears = &alarm.clears;
        out.push_str(&format!(
            "\nalarm  {kind} ({severity}), clears when {clears}\n"
        ));
    }
    out.push_str("\nalpha ledger\n");
    for line in &record.ledger {
        let sides = if line.sides == 1 {
            "one-sided"
        } else {
            "two-sided"
        };
        out.push_str(&format!("  {:<44} {} {sides}\n", line.purpose, line.alpha));
    }
    out.push('\n');
    out
}

fn rule_lines(
    record: &EvaluationRecord,
    node: &RuleValue,
    depth: usize,
    style: Style,
    out: &mut String,
) {
    let indent = "  ".repeat(depth);
    let mark = style.verdict(truth(node.value));
    match node.atom.and_then(|index| record.atoms.get(index)) {
        Some(atom) => {
            out.push_str(&format!(
                "{indent}{mark}  {}\n",
                prose::atom_line(atom, record)
            ));
        }
        None => out.push_str(&format!("{indent}{mark}  {}\n", node.op)),
    }
    for child in &node.nodes {
        rule_lines(record, child, depth + 1, style, out);
    }
}

fn stop_lines(record: &EvaluationRecord, rule: &RuleValue, style: Style, out: &mut String) {
    out.push_str(&format!(
        "  {}  {}\n",
        style.verdict(truth(rule.value)),
        rule.text
    ));
    for atom in &record.stop_atoms {
        let mark = style.verdict(truth(atom.met));
        out.push_str(&format!("    {mark}  {}\n", prose::atom_line(atom, record)));
    }
}

fn truth(value: Truth) -> &'static str {
    match value {
        Truth::True => "yes",
        Truth::False => "no",
        Truth::Unknown => "unknown",
    }
}
