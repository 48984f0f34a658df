//! CSV records as they stand, each with its line number.
//!
//! UTF-8 only (a byte order mark is skipped), one header row, quotes as RFC 4180. Rows of the
//! wrong length are returned as they are: the caller refuses them with file and line.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord};

/// A file that is no CSV: bad encoding, broken quotes, failed reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RecordError {
    /// Where, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

/// One record.
#[derive(Debug, Default)]
pub struct Record {
    cells: StringRecord,
}

impl Record {
    /// Line of the file, counted from 1.
    pub fn line(&self) -> u64 {
        self.cells.position().map_or(0, csv::Position::line)
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no cell at all.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// One cell, white space around it dropped.
    pub fn cell(&self, index: usize) -> &str {
        self.cells.get(index).unwrap_or_default().trim()
    }

    /// Every cell in order, as it stood.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter()
    }
}

/// The records of one file.
#[derive(Debug)]
pub struct Records<R> {
    reader: csv::Reader<R>,
    headers: Vec<String>,
}

impl<R: Read> Records<R> {
    /// Reads the header row.
    ///
    /// # Errors
    /// A header that cannot be read.
    pub fn new(reader: R, delimiter: u8) -> Result<Self, RecordError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(true)
            .from_reader(reader);
        let headers = reader.headers().map_err(|error| wrong(&error))?;
        let names = headers.iter().map(|name| name.trim_start_matches('\u{feff}').trim());
        let headers = names.map(str::to_owned).collect();
        Ok(Self { reader, headers })
    }

    /// Header cells, white space around them dropped.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Reads the next record into `record`; `false` at the end.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        self.reader.read_record(&mut record.cells).map_err(|error| wrong(&error))
    }
}

fn wrong(error: &csv::Error) -> RecordError {
    let line = error.position().map_or(1, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8: export the file in UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => "not CSV".to_owned(),
    };
    RecordError { line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = Vec<(u64, Vec<String>)>;

    fn read(text: &[u8]) -> Result<(Vec<String>, Rows), RecordError> {
        let mut records = Records::new(text, b';')?;
        let headers = records.headers().to_vec();
        let mut record = Record::default();
        let mut rows = Vec::new();
        while records.read(&mut record)? {
            rows.push((record.line(), record.cells().map(str::to_owned).collect()));
        }
        Ok((headers, rows))
    }

    #[test]
    fn lines_are_counted_across_quoted_line_breaks() {
        let (headers, rows) = read(b"\xef\xbb\xbfa; b\n1;\"x\ny\"\n2;z\n").unwrap();
        assert_eq!(headers, ["a", "b"]);
        assert_eq!(rows[0], (2, vec!["1".to_owned(), "x\ny".to_owned()]));
        assert_eq!(rows[1].0, 4);
    }

    #[test]
    fn rows_of_another_length_come_through_and_bad_bytes_do_not() {
        assert_eq!(read(b"a;b\n1\n1;2;3\n").unwrap().1.len(), 2);
        let error = read(b"a;b\n1;2\n\xff;3\n").unwrap_err();
        assert_eq!(error.line, 3);
        assert!(error.message.contains("UTF-8"), "{error}");
    }
}
