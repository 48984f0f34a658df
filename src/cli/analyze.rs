//! `verdictd analyze`: the statistics engine on summary numbers, without a daemon.
//!
//! Without a method: JSON lines on standard input, one result per line on standard output, in
//! order. With a method and `key=value` words: one question, a sentence and a table.

use std::io::{BufRead, BufReader, IsTerminal as _, Read as _, Write};

use clap::Args;
use judge::ask::envelope::{Counts, MAX_LINE, answer_line, read, refuse_line, unknown_method};
use judge::ask::{Answered, Fault, METHODS, Method, answer, catalogue, method, words};
use serde_json::Value;

use super::output::{Failure, complain, say, say_json, table, wrapped};

/// The statistics engine on summary numbers: JSON lines in, JSON lines out, or one question
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  verdictd analyze two_proportions control=1620/6000 treatment=1980/6000 target=+3pts
  verdictd analyze one_proportion observed=50/320 baseline=9% target=15%
  verdictd analyze sample_size effect=+3pts baseline=27%
  verdictd analyze --list welch
  verdictd analyze < questions.jsonl > answers.jsonl

A line is {\"method\": NAME, \"id\": anything, ...}; an answer carries the same id. A bad line is
answered by an error with its line number, and the rest goes on. Exit code 1: some line (or the
question) has no answer.")]
pub(super) struct AnalyzeArgs {
    /// Method of one question; without it questions are read from standard input
    method: Option<String>,
    /// The question's fields: 1620/6000, 27%, +3pts, +10%, 1,2,3 or JSON
    #[arg(value_name = "KEY=VALUE")]
    fields: Vec<String>,
    /// List the methods; with a method its input and output schema, source and assumptions
    #[arg(long)]
    list: bool,
    /// JSON instead of text, for one question or a list
    #[arg(long)]
    json: bool,
}

/// Lists, answers one question, or answers lines until the input ends.
pub(super) fn run(args: AnalyzeArgs) -> Result<u8, Failure> {
    let Some(name) = &args.method else {
        if args.list {
            list_all(args.json);
            return Ok(0);
        }
        return stream();
    };
    let Some(method) = method(name) else {
        return Err(Failure::usage(unknown_method(name).to_string()));
    };
    if args.list {
        say(&if args.json { format!("{}\n", method.entry()) } else { entry(method) });
        return Ok(0);
    }
    one(method, &args)
}

fn list_all(json: bool) {
    if json {
        say_json(&catalogue::all());
        return;
    }
    let rows: Vec<Vec<String>> =
        METHODS.iter().map(|m| vec![m.name.to_owned(), m.line.to_owned()]).collect();
    say(&table(&["METHOD", "ANSWERS"], &rows));
}

/// One method for people: what, from where, assuming what, and both schemas.
fn entry(method: &Method) -> String {
    let mut out = wrapped("", "", &format!("{}: {}.", method.name, method.line));
    out.push_str(&wrapped("source   ", "         ", method.citation));
    for text in method.assumes {
        out.push_str(&wrapped("assumes  ", "         ", text));
    }
    let call = format!("verdictd analyze {} {}", method.name, method.words);
    out.push_str(&wrapped("example  ", "         ", &call));
    for (title, schema) in [("input", method.input_schema()), ("output", method.output_schema())] {
        let text = format!("{title}\n{schema:#}\n");
        out.push_str(&text);
    }
    out
}

fn one(method: &Method, args: &AnalyzeArgs) -> Result<u8, Failure> {
    let refused = |fault: Fault| Failure::usage(format!("{}: {fault}", method.name));
    let object = words::object(method, &args.fields).map_err(refused)?;
    let line = object.to_string();
    if args.json {
        let mut out = Vec::new();
        let is_answered = answer_line(line.as_bytes(), 1, &mut out);
        out.push(b'\n');
        say(&String::from_utf8_lossy(&out));
        return Ok(u8::from(!is_answered));
    }
    let request = read(line.as_bytes()).map_err(refused)?;
    let found = answer(&request);
    match found {
        Ok(answered) => {
            say(&told(method, &request.sentence(&answered.answer), &answered)?);
            Ok(0)
        }
        Err(fault) => {
            complain(&format!("verdictd: {}: {fault}", method.name));
            Ok(1)
        }
    }
}

/// The sentence, the numbers, the notes, the assumptions.
pub(super) fn told(method: &Method, sentence: &str, answered: &Answered) -> anyhow::Result<String> {
    let mut out = wrapped("", "", sentence);
    out.push('\n');
    let mut rows = Vec::new();
    flatten("", &serde_json::to_value(&answered.answer)?, &mut rows);
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    for (name, cell) in &rows {
        out.push_str(&wrapped(&format!("{name:<width$}"), &" ".repeat(width), cell));
    }
    out.push('\n');
    for note in &answered.notes {
        out.push_str(&wrapped("note     ", "         ", note));
    }
    for text in method.assumes {
        let word = if answered.is_missed(text) { "NOT MET  " } else { "assumes  " };
        out.push_str(&wrapped(word, "         ", text));
    }
    Ok(out)
}

/// Nested fields as `a.b` rows; short lists of scalars stay on one line.
fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let is_plain = |item: &Value| !item.is_object() && !item.is_array();
    match value {
        Value::Object(fields) => {
            let (lower, upper) = (fields.get("lower"), fields.get("upper"));
            if let (2, Some(lower), Some(upper)) = (fields.len(), lower, upper) {
                let ends = format!("{} to {}", scalar(lower), scalar(upper));
                rows.push((path.to_owned(), ends));
                return;
            }
            for (key, item) in fields {
                let deeper = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&deeper, item, rows);
            }
        }
        Value::Array(items) if items.iter().all(is_plain) => {
            let items: Vec<String> = items.iter().map(scalar).collect();
            rows.push((path.to_owned(), items.join(" ")));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, rows);
            }
        }
        _ => rows.push((path.to_owned(), scalar(value))),
    }
}

/// One value for people; numbers at six significant digits (`--json` has twelve).
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let exact = number.as_f64().unwrap_or_default();
            let short = format!("{exact:.5e}");
            let rounded: f64 = short.parse().unwrap_or(exact);
            let is_readable = exact == 0.0 || (1.0e-4..1.0e12).contains(&exact.abs());
            if is_readable { rounded.to_string() } else { short }
        }
        other => other.to_string(),
    }
}

fn stream() -> Result<u8, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        complain("verdictd: reading questions, one JSON object per line; --help shows examples");
    }
    let mut input = BufReader::with_capacity(256 * 1024, input.lock());
    match answer_stream(&mut input, &mut std::io::stdout().lock()) {
        Ok(counts) => Ok(u8::from(counts.failed > 0)),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(Failure::usage(format!("lines: {error}"))),
    }
}

/// Answers lines until the input ends. Whatever is answered is written before the next read that
/// could wait, so that a program can ask line by line.
pub(super) fn answer_stream<R: std::io::Read>(
    input: &mut BufReader<R>,
    output: &mut impl Write,
) -> std::io::Result<Counts> {
    const WRITE_AT: usize = 64 * 1024;
    let (mut line, mut out) = (Vec::new(), Vec::with_capacity(2 * WRITE_AT));
    let mut counts = Counts::default();
    let mut number = 0;
    loop {
        let will_wait = !input.buffer().contains(&b'\n');
        if !out.is_empty() && (will_wait || out.len() >= WRITE_AT) {
            output.write_all(&out)?;
            output.flush()?;
            out.clear();
        }
        line.clear();
        let size = input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        if size == 0 {
            return Ok(counts);
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        counts.asked += 1;
        let is_answered = if size == MAX_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            let cause = format!("the line is longer than {MAX_LINE} bytes");
            let fault = Fault::new(cause, "ask with sums instead of raw values");
            refuse_line(number, &fault, &mut out);
            false
        } else {
            answer_line(&line, number, &mut out)
        };
        counts.failed += usize::from(!is_answered);
        out.push(b'\n');
    }
}
