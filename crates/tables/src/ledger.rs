//! Typed rows of many files, reduced to one row per (period, arm).
//!
//! A file is a full statement about its keys (time as written, arm): files are added newest
//! first, and a key that a newer file has stated is not read from an older one. Rows of one key
//! within one file are parts of it (segments) and are added up. Every chunk is reduced at once,
//! so memory is bounded by the number of keys, not by the size of the files.
//!
//! Sums run in row order, so the same files give the same bytes on any machine.

use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, PolarsError, Series};

/// Columns beside the values.
const TIME: &str = "time";
const ARM: &str = "arm";
const ROWS: &str = "rows";
const FILE: &str = "file";
const LINE: &str = "line";
const PERIOD: &str = "period";

/// Most distinct keys over all files.
const MAX_KEYS: usize = 1_000_000;

/// Why rows could not be added up.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Too many distinct (time, arm) keys.
    #[error("more than {MAX_KEYS} different times and arms")]
    TooManyKeys,
    /// A null where a number must be; a fault of this crate.
    #[error("frames: a null in row {0}")]
    Hole(usize),
    /// The frames refused; a fault of this crate.
    #[error("frames: {0}")]
    Frames(#[from] PolarsError),
}

/// Typed rows of one file, column by column.
#[derive(Debug, Default, Clone)]
pub struct Chunk {
    /// Instants in milliseconds.
    pub time_ms: Vec<i64>,
    /// Arm names; empty without arms.
    pub arm: Vec<String>,
    /// Line numbers.
    pub line: Vec<u64>,
    /// One vector per value column.
    pub values: Vec<Vec<f64>>,
}

impl Chunk {
    /// No rows of that many value columns.
    pub fn new(width: usize) -> Self {
        Self { values: vec![Vec::new(); width], ..Self::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time_ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time_ms.is_empty()
    }
}

/// One (period, arm) after everything was added up.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    /// Start of the period in milliseconds.
    pub period_ms: i64,
    /// Arm name.
    pub arm: String,
    /// Sums in value column order.
    pub values: Vec<f64>,
    /// How many rows were added up.
    pub rows: u64,
    /// Index of the file of the first of them.
    pub file: u32,
    /// Its line there.
    pub line: u64,
}

/// Rows of files, newest file first.
#[derive(Debug)]
pub struct Ledger {
    values: Vec<String>,
    /// One row per key of the files that are closed; newer files stand first.
    total: Option<DataFrame>,
    /// One row per key of the file being read.
    open: Option<DataFrame>,
    file: u32,
}

impl Ledger {
    /// Nothing yet, for rows of `width` values.
    pub fn new(width: usize) -> Self {
        let values = (0..width).map(|index| format!("v{index}")).collect();
        Self { values, total: None, open: None, file: 0 }
    }

    /// Adds rows of the file being read.
    ///
    /// # Errors
    /// Too many keys.
    pub fn add(&mut self, chunk: &Chunk) -> Result<(), LedgerError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let frame = self.frame(chunk)?;
        let frame = stack(self.open.take(), frame)?;
        let reduced = self.add_up(&frame, &[TIME, ARM])?;
        if reduced.height() > MAX_KEYS {
            return Err(LedgerError::TooManyKeys);
        }
        self.open = Some(reduced);
        Ok(())
    }

    /// Closes the file being read; the next rows are of an older one.
    ///
    /// # Errors
    /// Too many keys.
    pub fn end_file(&mut self) -> Result<(), LedgerError> {
        self.file += 1;
        let Some(older) = self.open.take() else {
            return Ok(());
        };
        let all = stack(self.total.take(), older)?;
        let names = self.names();
        let newest = first(&all, &[TIME, ARM], &names)?;
        if newest.height() > MAX_KEYS {
            return Err(LedgerError::TooManyKeys);
        }
        self.total = Some(newest);
        Ok(())
    }

    /// One row per period and arm, ordered by both. `period_of` gives the start of the period
    /// that holds an instant; `None` leaves the row out.
    ///
    /// # Errors
    /// Only faults of the frames.
    pub fn finish(
        mut self,
        period_of: impl Fn(i64) -> Option<i64>,
    ) -> Result<Vec<Total>, LedgerError> {
        self.end_file()?;
        let Some(mut frame) = self.total.take() else {
            return Ok(Vec::new());
        };
        let times = frame.column(TIME)?.i64()?;
        let periods: Vec<Option<i64>> =
            times.iter().map(|time| time.and_then(&period_of)).collect();
        let inside = periods.iter().map(Option::is_some).collect::<Vec<_>>();
        frame.with_column(Series::new(PERIOD.into(), periods).into_column())?;
        let mask = Series::new("inside".into(), inside);
        let frame = frame.filter(mask.bool()?)?;
        // Oldest first, so that the place of a total is its first row in time.
        let frame = frame.sort([PERIOD, ARM, TIME], polars::prelude::SortMultipleOptions::new())?;
        let total = self.add_up(&frame, &[PERIOD, ARM])?;
        self.totals(&total)
    }

    fn names(&self) -> Vec<&str> {
        let values = self.values.iter().map(String::as_str);
        values.chain([ROWS, FILE, LINE]).collect()
    }

    fn frame(&self, chunk: &Chunk) -> Result<DataFrame, LedgerError> {
        let height = chunk.len();
        let arm: Vec<&str> = chunk.arm.iter().map(String::as_str).collect();
        let mut columns: Vec<Column> = vec![
            Series::new(TIME.into(), &chunk.time_ms).into_column(),
            Series::new(ARM.into(), arm).into_column(),
        ];
        for (name, values) in self.values.iter().zip(&chunk.values) {
            columns.push(Series::new(name.as_str().into(), values).into_column());
        }
        columns.push(Series::new(ROWS.into(), vec![1_u64; height]).into_column());
        columns.push(Series::new(FILE.into(), vec![self.file; height]).into_column());
        columns.push(Series::new(LINE.into(), &chunk.line).into_column());
        Ok(DataFrame::new(height, columns)?)
    }

    /// Sums values and row counts per key; file and line are those of the first row.
    #[expect(deprecated, reason = "the eager sum; the lazy engine is not part of the build")]
    fn add_up(&self, frame: &DataFrame, keys: &[&str]) -> Result<DataFrame, LedgerError> {
        let sums: Vec<&str> = self.values.iter().map(String::as_str).chain([ROWS]).collect();
        let mut reduced = frame.group_by_stable(keys)?.select(sums.iter().copied()).sum()?;
        for name in &sums {
            reduced.rename(&format!("{name}_sum"), (*name).into())?;
        }
        let places = first(frame, keys, &[FILE, LINE])?;
        for name in [FILE, LINE] {
            reduced.with_column(places.column(name)?.clone())?;
        }
        Ok(reduced)
    }

    fn totals(&self, frame: &DataFrame) -> Result<Vec<Total>, LedgerError> {
        let periods = frame.column(PERIOD)?.i64()?;
        let arms = frame.column(ARM)?.str()?;
        let rows = frame.column(ROWS)?.u64()?;
        let files = frame.column(FILE)?.u32()?;
        let lines = frame.column(LINE)?.u64()?;
        let mut values = Vec::new();
        for name in &self.values {
            values.push(frame.column(name)?.f64()?);
        }
        let total = |index: usize| -> Option<Total> {
            let sums = values.iter().map(|column| column.get(index));
            Some(Total {
                period_ms: periods.get(index)?,
                arm: arms.get(index)?.to_owned(),
                values: sums.collect::<Option<Vec<f64>>>()?,
                rows: rows.get(index)?,
                file: files.get(index)?,
                line: lines.get(index)?,
            })
        };
        (0..frame.height()).map(|row| total(row).ok_or(LedgerError::Hole(row))).collect()
    }
}

fn stack(top: Option<DataFrame>, bottom: DataFrame) -> Result<DataFrame, LedgerError> {
    Ok(match top {
        Some(top) => top.vstack(&bottom)?,
        None => bottom,
    })
}

/// The first row per key, with the named columns.
#[expect(deprecated, reason = "the eager first; the lazy engine is not part of the build")]
fn first(frame: &DataFrame, keys: &[&str], names: &[&str]) -> Result<DataFrame, LedgerError> {
    let mut reduced = frame.group_by_stable(keys)?.select(names.iter().copied()).first()?;
    for name in names {
        reduced.rename(&format!("{name}_first"), (*name).into())?;
    }
    Ok(reduced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(rows: &[(i64, &str, u64, f64)]) -> Chunk {
        let mut chunk = Chunk::new(1);
        for (time_ms, arm, line, value) in rows {
            chunk.time_ms.push(*time_ms);
            chunk.arm.push((*arm).to_owned());
            chunk.line.push(*line);
            chunk.values[0].push(*value);
        }
        chunk
    }

    /// Periods of ten, and nothing beyond the third.
    fn day(time_ms: i64) -> Option<i64> {
        (time_ms < 40).then_some(time_ms.div_euclid(10) * 10)
    }

    #[test]
    fn rows_of_one_key_are_parts_and_periods_add_up() {
        let mut ledger = Ledger::new(1);
        ledger.add(&chunk(&[(3, "a", 2, 1.0), (3, "a", 3, 2.0), (1, "a", 4, 4.0)])).unwrap();
        ledger.add(&chunk(&[(3, "a", 5, 8.0), (12, "b", 6, 16.0)])).unwrap();
        let totals = ledger.finish(day).unwrap();
        let shape: Vec<_> = totals
            .iter()
            .map(|t| (t.period_ms, t.arm.as_str(), t.values[0], t.rows, t.line))
            .collect();
        assert_eq!(shape, [(0, "a", 15.0, 4, 4), (10, "b", 16.0, 1, 6)]);
    }

    #[test]
    fn the_newest_file_wins_per_key_and_the_rest_stays() {
        let mut ledger = Ledger::new(1);
        ledger.add(&chunk(&[(10, "a", 2, 5.0)])).unwrap();
        ledger.end_file().unwrap();
        ledger.add(&chunk(&[(0, "a", 2, 1.0), (10, "a", 3, 99.0), (10, "b", 4, 7.0)])).unwrap();
        ledger.end_file().unwrap();
        let totals = ledger.finish(day).unwrap();
        let shape: Vec<_> =
            totals.iter().map(|t| (t.period_ms, t.arm.as_str(), t.values[0], t.file)).collect();
        assert_eq!(shape, [(0, "a", 1.0, 1), (10, "a", 5.0, 0), (10, "b", 7.0, 1)]);
    }

    #[test]
    fn rows_outside_are_left_out_and_nothing_is_nothing() {
        let mut ledger = Ledger::new(1);
        ledger.add(&Chunk::new(1)).unwrap();
        ledger.end_file().unwrap();
        ledger.add(&chunk(&[(3, "", 2, 1.0), (30, "", 3, 1.0)])).unwrap();
        let totals = ledger.finish(|time| day(time).filter(|start| *start < 10)).unwrap();
        assert_eq!(totals.len(), 1);
        assert!(Ledger::new(1).finish(day).unwrap().is_empty());
    }

    #[test]
    fn many_chunks_give_the_same_bytes_as_one() {
        let rows: Vec<(i64, &str, u64, f64)> =
            (0..5_000).map(|i| (i % 40, "a", i as u64, 0.1 * i as f64)).collect();
        let mut one = Ledger::new(1);
        one.add(&chunk(&rows)).unwrap();
        let mut many = Ledger::new(1);
        for part in rows.chunks(7) {
            many.add(&chunk(part)).unwrap();
        }
        assert_eq!(one.finish(day).unwrap(), many.finish(day).unwrap());
    }
}
