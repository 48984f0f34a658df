//! The summary of a pipeline step, in Markdown: the verdict, each clause, each guardrail.
//!
//! Numbers are those of the record, written by the same prose as everywhere. Text of users is
//! escaped, so that no title can break the table or bring markup in.

use judge::prose;
use judge::record::EvaluationRecord;

use crate::cycle::say::word;
use crate::gate::FlatVerdict;

/// The whole summary; without a record only the verdict.
pub(super) fn markdown(
    flat: &FlatVerdict,
    record: Option<&EvaluationRecord>,
    passed: bool,
) -> String {
    let (mark, state) = if passed { ("✅", "passed") } else { ("⛔", "not passed") };
    let mut out = format!(
        "### {mark} verdictd: {} ({}) - {}\n\n{}\n\n",
        flat.verdict.as_str(),
        escaped(&flat.cause),
        escaped(&flat.experiment),
        escaped(&flat.reason),
    );
    if let Some(record) = record {
        clauses(record, &mut out);
        guardrails(record, &mut out);
    }
    let at = if flat.evaluated_at.is_empty() { "not looked at yet" } else { &flat.evaluated_at };
    let line = format!(
        "Gate {state}. Life: {}. Said at: {at}. [Read on]({})\n\n",
        escaped(&flat.life),
        flat.url.replace([' ', '(', ')', '<', '>'], ""),
    );
    out.push_str(&line);
    out
}

fn clauses(record: &EvaluationRecord, out: &mut String) {
    if record.atoms.is_empty() {
        return;
    }
    let rule = format!("Rule: `{}`\n\n", record.rule.text.replace(['`', '\n'], " "));
    out.push_str(&rule);
    row(&["clause", "wanted", "seen", "interval", "n", "met", "what would flip it"], out);
    row(&["---"; 7], out);
    for atom in &record.atoms {
        let cells = prose::atom_cells(atom, record);
        let flip = prose::what_would_flip(atom, record);
        row(
            &[
                &cells.clause,
                &cells.wanted,
                &cells.seen,
                &cells.interval,
                &cells.n,
                cells.met,
                &flip,
            ],
            out,
        );
    }
    out.push('\n');
}

fn guardrails(record: &EvaluationRecord, out: &mut String) {
    if record.guardrails.is_empty() {
        return;
    }
    row(&["guardrail", "state", "on trip", "what was seen"], out);
    row(&["---"; 4], out);
    for status in &record.guardrails {
        let line = crate::deliver::guardrail_line(&record.input.experiment, status);
        row(&[&status.name, &word(&status.state), &word(&status.on_trip), &line], out);
    }
    out.push('\n');
}

fn row(cells: &[&str], out: &mut String) {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
    let line = format!("| {} |\n", cells.join(" | "));
    out.push_str(&line);
}

/// One line of text that Markdown and HTML leave as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '`' | '[' | ']' | '\\' | '~' => {
                out.push('\\');
                out.push(letter);
            }
            '_' => out.push_str("&#95;"),
            '@' => out.push_str("&#64;"),
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
