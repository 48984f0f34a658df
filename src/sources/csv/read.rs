//! One file: header mapped, every cell typed, totals rows used as a checksum.
//!
//! A refusal names file, line, column, the cell and what to write. Rows of the same key are parts
//! of it and are added up later; a line that repeats another one in every cell is the same line
//! exported twice and counts once (single units need a column that tells them apart).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};

use judge::contract::Refusal;
use judge::plan::Request;
use judge::spec::Form;
use tables::{Chunk, Ledger, LedgerError, Record, Records};

use super::config::CsvConfig;
use super::files::Finished;
use super::typed::{Times, number};

/// Rows typed before they are added up.
const CHUNK_ROWS: usize = 65_536;

/// Time cells whose meaning is remembered: an export repeats them from row to row.
const KNOWN_TIMES: usize = 10_000;

/// What a query asks of every file.
pub(super) struct Wanted<'a> {
    pub(super) config: &'a CsvConfig,
    pub(super) request: &'a Request,
    pub(super) times: Times<'a>,
}

/// Where the wanted columns stand in one file.
struct Header {
    time: Option<(usize, String)>,
    arm: Option<usize>,
    /// One group of value columns; one per arm in a wide export.
    groups: Vec<Group>,
    /// Position and wanted cell of `only`.
    only: Vec<(usize, String)>,
    width: usize,
}

/// The value columns of one arm, or of the arm that a row names.
struct Group {
    /// The arm of a wide export's columns.
    arm: Option<String>,
    /// Contract name, header text, position.
    values: Vec<(&'static str, String, usize)>,
}

/// Which contract columns beside the values the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) time: bool,
    pub(super) arm: bool,
}

/// A file being read.
struct Reading<'a> {
    wanted: &'a Wanted<'a>,
    name: &'a str,
    header: Header,
    chunk: Chunk,
    /// Sums by arm, against which totals rows are checked.
    sums: BTreeMap<String, Vec<f64>>,
    lines: HashSet<u128>,
    times: HashMap<String, i64>,
    repeated: Option<u64>,
    most_units: f64,
    totals: Vec<TotalsRow>,
}

struct TotalsRow {
    line: u64,
    /// The arm it is of; `None` for all.
    arm: Option<String>,
    values: Vec<Option<f64>>,
}

/// Adds one file to the ledger.
pub(super) fn add_file(
    wanted: &Wanted<'_>,
    file: &Finished,
    ledger: &mut Ledger,
) -> Result<Seen, Refusal> {
    let delimiter = u8::try_from(wanted.config.delimiter).unwrap_or(b',');
    let broken = |error: &tables::RecordError| {
        let place = format!("{}:{}", file.name, error.line);
        Refusal::new(&place, error.message.clone(), "export the file again")
    };
    let mut records =
        Records::new(file.bytes.as_slice(), delimiter).map_err(|error| broken(&error))?;
    let header = header(wanted, &file.name, records.headers())?;
    let is_wide = header.groups.iter().any(|group| group.arm.is_some());
    let seen = Seen { time: header.time.is_some(), arm: is_wide || header.arm.is_some() };
    let width = wanted.request.need.shape.columns().len();
    let mut reading = Reading {
        wanted,
        name: &file.name,
        header,
        chunk: Chunk::new(width),
        sums: BTreeMap::new(),
        lines: HashSet::new(),
        times: HashMap::new(),
        repeated: None,
        most_units: 0.0,
        totals: Vec::new(),
    };
    let mut record = Record::default();
    while records.read(&mut record).map_err(|error| broken(&error))? {
        reading.add(&record)?;
        if reading.chunk.len() >= CHUNK_ROWS {
            flush(&mut reading, width, ledger)?;
        }
    }
    flush(&mut reading, width, ledger)?;
    reading.check_repeats()?;
    reading.check_totals()?;
    ledger.end_file().map_err(|error| faulty(&file.name, &error))?;
    Ok(seen)
}

fn flush(reading: &mut Reading<'_>, width: usize, ledger: &mut Ledger) -> Result<(), Refusal> {
    let chunk = std::mem::replace(&mut reading.chunk, Chunk::new(width));
    ledger.add(&chunk).map_err(|error| faulty(reading.name, &error))
}

/// A failed ledger as a refusal.
pub(super) fn faulty(name: &str, error: &LedgerError) -> Refusal {
    Refusal::new(name, error.to_string(), "aggregate the export to one row per period and arm")
}

fn header(wanted: &Wanted<'_>, name: &str, headers: &[String]) -> Result<Header, Refusal> {
    let place = format!("{name}:1");
    let need = &wanted.request.need;
    let find = |text: &str| position(&place, headers, text);
    let mapped = |column: &'static str| -> Result<(String, Option<usize>), Refusal> {
        let text = need.query.columns.get(column).map_or(column, String::as_str);
        Ok((text.to_owned(), find(text)?))
    };
    let missing = |column: &str, text: &str| {
        let why = format!("no column {text:?} (there are {})", headers.join(", "));
        let fix = format!("map it in the query's columns: {{{column}: <header>}}");
        Refusal::new(&place, why, fix)
    };
    let arms: Vec<Option<&String>> = if need.query.columns.values().any(|it| is_wide(it)) {
        need.arms.iter().map(Some).collect()
    } else {
        vec![None]
    };
    let mut groups = Vec::new();
    for name in arms {
        let mut values = Vec::new();
        for column in value_columns(need) {
            let text = need.query.columns.get(*column).map_or(*column, String::as_str);
            let text = name.map_or(text.to_owned(), |arm| text.replace(ARM_IN_HEADER, arm));
            let index = find(&text)?.ok_or_else(|| missing(column, &text))?;
            values.push((*column, text, index));
        }
        groups.push(Group { arm: name.cloned(), values });
    }
    let is_wide = groups.iter().any(|group| group.arm.is_some());
    let (time_text, time) = mapped("time")?;
    let (arm_text, arm) = mapped("arm")?;
    if time.is_none() && need.query.columns.contains_key("time") {
        return Err(missing("time", &time_text));
    }
    if !is_wide
        && arm.is_none()
        && (!need.arms.is_empty() || need.query.columns.contains_key("arm"))
    {
        return Err(missing("arm", &arm_text));
    }
    let mut only = Vec::new();
    for (text, value) in &need.query.only {
        let index = find(text)?.ok_or_else(|| missing("only", text))?;
        only.push((index, value.trim().to_owned()));
    }
    let time = time.map(|index| (index, time_text));
    Ok(Header { time, arm, groups, only, width: headers.len() })
}

/// Stands for the arm's name in the headers of a wide export.
const ARM_IN_HEADER: &str = "{arm}";

fn is_wide(header: &str) -> bool {
    header.contains(ARM_IN_HEADER)
}

/// The columns to read: the shape's, or a mean's summary in place of its sums.
fn value_columns(need: &judge::plan::Need) -> &'static [&'static str] {
    if need.query.columns.contains_key("mean") {
        &["n", "mean", "variance"]
    } else {
        need.shape.columns()
    }
}

/// Units, mean and variance over the units as sums.
fn sums_of_summary([n, mean, variance]: [f64; 3]) -> Vec<f64> {
    vec![n, n * mean, n * (variance + mean * mean)]
}

/// The header of that text: exactly, else in any case if only one is.
fn position(place: &str, headers: &[String], text: &str) -> Result<Option<usize>, Refusal> {
    let among = |same: &dyn Fn(&String) -> bool| -> Vec<usize> {
        (0..headers.len()).filter(|index| same(&headers[*index])).collect()
    };
    let mut found = among(&|header| header == text);
    if found.is_empty() {
        found = among(&|header| header.to_lowercase() == text.to_lowercase());
    }
    if found.len() > 1 {
        let why = format!("{} columns are named {text:?}", found.len());
        return Err(Refusal::new(place, why, "rename or remove the others in the export"));
    }
    Ok(found.first().copied())
}

/// Whether a label stands for a sum over rows.
fn is_total_label(text: &str) -> bool {
    let labels = ["total", "totals", "grand total", "gesamt", "gesamtsumme", "summe", "sum"];
    labels.contains(&text.to_lowercase().trim_end_matches(':').trim())
}

/// The arm of a label such as `control Total`; `None` when it names all.
fn total_arm(text: &str) -> Option<String> {
    let (arm, label) = text.rsplit_once(' ')?;
    is_total_label(label).then(|| arm.trim().to_owned()).filter(|_| !is_total_label(text))
}

impl Reading<'_> {
    fn place(&self, line: u64) -> String {
        format!("{}:{line}", self.name)
    }

    fn add(&mut self, record: &Record) -> Result<(), Refusal> {
        if record.len() != self.header.width {
            let why = format!("{} cells where the header has {}", record.len(), self.header.width);
            let fix = "quote cells that hold the delimiter, or export the row again";
            return Err(Refusal::new(&self.place(record.line()), why, fix));
        }
        if record.cells().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        if self.is_totals(record) {
            return self.keep_totals(record);
        }
        if !self.is_kept(record) {
            return Ok(());
        }
        if !self.lines.insert(fingerprint(record)) {
            self.repeated.get_or_insert(record.line());
            return Ok(());
        }
        self.add_row(record)
    }

    /// Whether `only` keeps the row.
    fn is_kept(&self, record: &Record) -> bool {
        self.header.only.iter().all(|(index, value)| record.cell(*index) == value)
    }

    fn is_totals(&self, record: &Record) -> bool {
        let time = self.header.time.as_ref().map(|(index, _)| record.cell(*index));
        let arm = self.header.arm.map_or("", |index| record.cell(index));
        let by_time = time.is_some_and(|time| time.is_empty() || is_total_label(time));
        by_time || is_total_label(arm) || total_arm(arm).is_some()
    }

    /// The time cell, typed; 0 without a time column.
    fn time_ms(&mut self, record: &Record) -> Result<i64, Refusal> {
        let Some((index, header)) = &self.header.time else {
            return Ok(0);
        };
        let text = record.cell(*index);
        if let Some(known) = self.times.get(text) {
            return Ok(*known);
        }
        let at = self.wanted.times.read(text).map_err(|fault| {
            Refusal::new(&self.place(record.line()), fault.why, fault.fix).at(header, text)
        })?;
        if self.times.len() < KNOWN_TIMES {
            self.times.insert(text.to_owned(), at.as_millisecond());
        }
        Ok(at.as_millisecond())
    }

    fn add_row(&mut self, record: &Record) -> Result<(), Refusal> {
        let time_ms = self.time_ms(record)?;
        let mut groups = Vec::with_capacity(self.header.groups.len());
        for group in &self.header.groups {
            let cells = self.values(group, record)?;
            if self.wanted.request.need.query.cumulative && cells.iter().any(Option::is_none) {
                // The next total contains what this one does not say.
                return Ok(());
            }
            groups.push(cells);
        }
        for (index, cells) in groups.into_iter().enumerate() {
            self.add_group(record, time_ms, index, cells)?;
        }
        Ok(())
    }

    fn add_group(
        &mut self,
        record: &Record,
        time_ms: i64,
        index: usize,
        cells: Vec<Option<f64>>,
    ) -> Result<(), Refusal> {
        if cells.iter().all(Option::is_none) {
            // The row says nothing: a gap, and an older file may still know the key.
            return Ok(());
        }
        let group = &self.header.groups[index];
        let mut values = Vec::with_capacity(cells.len());
        for (value, (_, header, _)) in cells.into_iter().zip(&group.values) {
            let fix = "write 0 where you counted nothing, or leave the row out";
            values.push(value.ok_or_else(|| {
                let place = self.place(record.line());
                Refusal::new(&place, "nothing beside numbers in the same row", fix).at(header, "")
            })?);
        }
        let is_summary = group.values.iter().any(|(name, ..)| *name == "mean");
        if let (true, &[n, mean, variance]) = (is_summary, values.as_slice()) {
            values = sums_of_summary([n, mean, variance]);
        }
        let named = self.header.arm.map_or("", |index| record.cell(index));
        let arm = group.arm.as_deref().unwrap_or(named).to_owned();
        let sums = self.sums.entry(arm.clone()).or_insert_with(|| vec![0.0; values.len()]);
        for (sum, value) in sums.iter_mut().zip(&values) {
            *sum += value;
        }
        let shape = self.wanted.request.need.shape;
        for (column, value) in shape.columns().iter().zip(&values) {
            if shape.units_column() == Some(*column) {
                self.most_units = self.most_units.max(*value);
            }
        }
        self.chunk.time_ms.push(time_ms);
        self.chunk.arm.push(arm);
        self.chunk.line.push(record.line());
        for (column, value) in self.chunk.values.iter_mut().zip(values) {
            column.push(value);
        }
        Ok(())
    }

    /// The value cells, typed.
    fn values(&self, group: &Group, record: &Record) -> Result<Vec<Option<f64>>, Refusal> {
        let shape = self.wanted.request.need.shape;
        let takes_gaps = shape == judge::plan::Shape::Form(Form::Value);
        let mut values = Vec::with_capacity(group.values.len());
        for (column, header, index) in &group.values {
            let text = record.cell(*index);
            let value = number(self.wanted.config, text, shape.is_count(column), takes_gaps);
            values.push(value.map_err(|fault| {
                Refusal::new(&self.place(record.line()), fault.why, fault.fix).at(header, text)
            })?);
        }
        Ok(values)
    }

    fn keep_totals(&mut self, record: &Record) -> Result<(), Refusal> {
        let arm = self.header.arm.map_or("", |index| record.cell(index));
        let arm = match arm {
            "" => None,
            label if is_total_label(label) => None,
            label => Some(total_arm(label).unwrap_or_else(|| label.to_owned())),
        };
        // A total over all rows says nothing about the kept ones.
        let query = &self.wanted.request.need.query;
        // Sums are a checksum; the sum of running totals or of means is nothing.
        let adds_up = !query.cumulative && !query.columns.contains_key("mean");
        for group in self.header.groups.iter().filter(|_| adds_up) {
            if self.is_kept(record) {
                let values = self.values(group, record)?;
                let arm = group.arm.clone().or_else(|| arm.clone());
                self.totals.push(TotalsRow { line: record.line(), arm, values });
            }
        }
        Ok(())
    }

    fn check_repeats(&self) -> Result<(), Refusal> {
        match self.repeated {
            Some(line) if self.most_units > 0.0 && self.most_units <= 1.0 => {
                let why = "a row of a single unit that repeats another one in every cell";
                let fix = "add a column that tells units apart (an id), or aggregate the export";
                Err(Refusal::new(&self.place(line), why, fix))
            }
            _ => Ok(()),
        }
    }

    /// Every totals row must be the sum of its rows; a number alone cannot be added up.
    fn check_totals(&self) -> Result<(), Refusal> {
        if self.wanted.request.need.shape == judge::plan::Shape::Form(Form::Value) {
            return Ok(());
        }
        for total in &self.totals {
            for (index, stated) in total.values.iter().enumerate() {
                let of_arm = |arm: &String| total.arm.as_ref().is_none_or(|of| of == arm);
                let sums = self.sums.iter().filter(|(arm, _)| of_arm(arm));
                let sum: f64 = sums.map(|(_, sums)| sums[index]).sum();
                let Some(stated) = stated else {
                    continue;
                };
                if (stated - sum).abs() > 1e-6 * stated.abs().max(sum.abs()).max(1e-9) {
                    let why = format!("the totals row does not fit: its rows add up to {sum}");
                    let fix = "export again: rows are missing, twice, or have lost their time";
                    let header = &self.header.groups[0].values[index].1;
                    return Err(Refusal::new(&self.place(total.line), why, fix)
                        .at(header, stated.to_string()));
                }
            }
        }
        Ok(())
    }
}

/// 128 bits that stand for a line: two differently started 64-bit hashes, within this process.
fn fingerprint(record: &Record) -> u128 {
    let hash = |start: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        start.hash(&mut hasher);
        record.cells().for_each(|cell| cell.hash(&mut hasher));
        u128::from(hasher.finish())
    };
    hash(0) << 64 | hash(1)
}
