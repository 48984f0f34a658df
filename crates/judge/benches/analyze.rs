//! What one analysis costs inside the library and through its JSON layer.
//!
//! `cargo bench -p judge --bench analyze -- FILE.jsonl` answers the file's lines on one core, five
//! times over, and prints nanoseconds per line of the fastest round for each part: reading JSON,
//! computing, and everything from line to line. `scripts/bench-analyze.sh` puts them beside other
//! engines. A second file takes the answers. Without a file it answers every method's example, so
//! that a change shows.

#![allow(clippy::unwrap_used, reason = "a broken input must end the run")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads its input and the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use judge::ask::envelope::{answer_line, read};
use judge::ask::{METHODS, Request, answer};

const ROUNDS: usize = 5;
/// Lines timed in one go: short enough that a busy machine seldom takes the core away meanwhile.
const PIECE: usize = 20;

/// Nanoseconds per item: of every piece the fastest of its rounds, summed.
fn fastest<T>(items: &[T], mut work: impl FnMut(&T)) -> f64 {
    let mut total = 0.0;
    for piece in items.chunks(PIECE) {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            piece.iter().for_each(&mut work);
            best = best.min(start.elapsed().as_nanos() as f64);
        }
        total += best;
    }
    total / items.len() as f64
}

fn measure(lines: &[&[u8]]) -> (f64, f64, f64) {
    let requests: Vec<Request> = lines.iter().map(|line| read(line).unwrap()).collect();
    let reading = fastest(lines, |line| {
        black_box(read(black_box(line)).unwrap());
    });
    let computing = fastest(&requests, |request| {
        black_box(answer(black_box(request)).unwrap());
    });
    let mut out = Vec::new();
    let whole = fastest(lines, |line| {
        out.clear();
        assert!(answer_line(black_box(line), 1, &mut out));
    });
    (reading, computing, whole)
}

fn main() {
    let mut files = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    if let Some(file) = files.next() {
        let text = std::fs::read(file).unwrap();
        let lines: Vec<&[u8]> =
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let (reading, computing, whole) = measure(&lines);
        if let Some(answers) = files.next() {
            let mut out = Vec::new();
            for line in &lines {
                assert!(answer_line(line, 1, &mut out));
                out.push(b'\n');
            }
            std::fs::write(answers, out).unwrap();
        }
        println!("{{\"read_ns\":{reading},\"compute_ns\":{computing},\"line_ns\":{whole}}}");
        return;
    }
    println!("{:24} {:>12} {:>12} {:>12}", "ns per line", "read", "compute", "line to line");
    for method in METHODS {
        let rest = method.example.strip_prefix('{').unwrap();
        let line = format!("{{\"method\":\"{}\",{rest}", method.name).replace('\n', " ");
        let lines = vec![line.as_bytes(); 100];
        let (reading, computing, whole) = measure(&lines);
        println!("{:24} {reading:12.0} {computing:12.0} {whole:12.0}", method.name);
    }
}
