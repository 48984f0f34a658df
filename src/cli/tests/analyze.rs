//! `analyze`: streams, one question, the reference page.

use std::io::{BufReader, Read};

use judge::ask::{METHODS, answer, catalogue, envelope, method, words};

use super::super::analyze::{answer_stream, told};
use crate::golden::assert_page;

const LINE: &str = r#"{"id":1,"method":"contrast","estimate":0.06,"se":0.0084,"tau":0.03}"#;

#[test]
fn lines_are_answered_in_order_and_a_bad_one_does_not_end_the_run() {
    let input = format!("{LINE}\n\nnonsense\n{LINE}");
    let mut out = Vec::new();
    let counts = answer_stream(&mut BufReader::new(input.as_bytes()), &mut out).unwrap();
    assert_eq!((counts.asked, counts.failed), (3, 1));
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], lines[2]);
    assert!(lines[1].contains(r#""line":3"#), "{}", lines[1]);
}

/// Gives one line at a time and insists that the line before was answered.
struct OneByOne<'a> {
    left: usize,
    answered: &'a std::cell::Cell<usize>,
    given: usize,
}

impl Read for OneByOne<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        assert_eq!(self.answered.get(), self.given, "a reader waits for an answer");
        if self.left == 0 {
            return Ok(0);
        }
        (self.left, self.given) = (self.left - 1, self.given + 1);
        let line = format!("{LINE}\n");
        buffer[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

struct Counted<'a>(&'a std::cell::Cell<usize>);

impl std::io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        self.0.set(self.0.get() + lines);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_program_that_asks_line_by_line_is_not_kept_waiting() {
    let answered = std::cell::Cell::new(0);
    let mut input = BufReader::new(OneByOne { left: 3, answered: &answered, given: 0 });
    let counts = answer_stream(&mut input, &mut Counted(&answered)).unwrap();
    assert_eq!((counts.asked, answered.get()), (3, 3));
}

#[test]
fn one_question_is_a_sentence_then_numbers_in_80_columns() {
    for asked in METHODS {
        let mut line: serde_json::Value = serde_json::from_str(asked.example).unwrap();
        line["method"] = serde_json::json!(asked.name);
        let request = envelope::read(line.to_string().as_bytes()).unwrap();
        let answered = answer(&request).unwrap();
        let text = told(asked, &request.sentence(&answered.answer), &answered).unwrap();
        assert!(!text.contains('\u{1b}') && text.is_ascii(), "{text}");
        let long = text.lines().filter(|line| line.chars().count() > 80).count();
        assert_eq!(long, 0, "{text}");
    }
    let asked = method("two_proportions").unwrap();
    let given = asked.words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let line = words::object(asked, &given).unwrap().to_string();
    let request = envelope::read(line.as_bytes()).unwrap();
    let answered = answer(&request).unwrap();
    let text = told(asked, &request.sentence(&answered.answer), &answered).unwrap();
    let first = text.split("\n\n").next().unwrap().replace('\n', " ");
    assert!(first.starts_with("Treatment 33.0 % against control 27.0 %: +6.0 pts"), "{first}");
    assert!(first.ends_with("against the +3.0 pts aimed at: met."), "{first}");
}

#[test]
fn the_page_of_the_methods_is_current() {
    assert_page("methods.md", &catalogue::page());
}
