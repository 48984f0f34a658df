//! CSV exports in a folder: files in, one row per (period, arm) out.
//!
//! First step of the line from world to batch. Snapshot semantics: a file is a full statement
//! about its keys (time, arm) and the newest file wins per key, so a restated export simply
//! replaces what it restates. A file that is still being written is a transient failure, no
//! file at all is an empty answer (no data). `tables` reads records and adds them up in polars;
//! everything blocking runs on the blocking pool.

mod config;
mod files;
mod read;
#[cfg(test)]
mod tests;
mod typed;

use std::cell::Cell;
use std::sync::Arc;

use jiff::tz::TimeZone;
use judge::contract::{Grid, Refusal};
use judge::plan::{self, Batch, Request, Row, Shape};
use judge::spec::Form;
use judge::time::{Span, Timestamp};
use tables::{Ledger, Total};

pub use self::config::CsvConfig;

use self::files::{Finished, Watch};
use self::read::{Seen, Wanted, add_file, faulty};
use self::typed::Times;
use super::{BoxFuture, FetchClass, FetchError, Source};
use crate::clock::{SharedClock, SystemClock};

/// A folder of CSV files.
#[derive(Debug)]
pub struct CsvSource {
    folder: Arc<Folder>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Folder {
    config: CsvConfig,
    watch: Watch,
}

impl CsvSource {
    /// Checks the configuration; nothing is read yet.
    pub fn new(config: &CsvConfig) -> Result<Self, String> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// The same with a clock of the caller's: its wall time tells how old a file is.
    pub fn with_clock(config: &CsvConfig, clock: SharedClock) -> Result<Self, String> {
        if let Some(fault) = config.fault() {
            return Err(fault);
        }
        let folder = Folder { config: config.clone(), watch: Watch::default() };
        Ok(Self { folder: Arc::new(folder), clock })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let folder = Arc::clone(&self.folder);
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|error| {
            Err(FetchError::new(FetchClass::Transient, format!("reading files: {error}")))
        })
    }
}

impl Source for CsvSource {
    fn kind(&self) -> &'static str {
        "csv"
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
        let question = request.clone();
        let wall_now = self.clock.wall_now();
        Box::pin(self.blocking(move |folder| folder.answer(&question, wall_now)))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
        Box::pin(self.blocking(|folder| {
            let path = &folder.config.folder;
            std::fs::read_dir(path).map(|_| ()).map_err(|error| {
                FetchError::new(FetchClass::Transient, format!("{}: {error}", path.display()))
            })
        }))
    }

    fn rhythm(&self) -> Span {
        Span::seconds(i64::from(self.folder.config.rhythm_secs))
    }

    fn grain(&self) -> Span {
        Span::days(1)
    }

    fn lateness(&self) -> Span {
        Span::seconds(i64::from(self.folder.config.lateness_secs))
    }
}

fn refused(refusal: &Refusal) -> FetchError {
    FetchError::new(FetchClass::Contract, refusal.to_string())
}

impl Folder {
    fn answer(&self, request: &Request, wall_now: Timestamp) -> Result<Batch, FetchError> {
        check_columns(request)?;
        let patterns = files::patterns(&self.config, &request.need.query)?;
        let files = files::read(&self.config, &self.watch, &patterns, wall_now)?;
        if files.is_empty() {
            tracing::info!(
                folder = %self.config.folder.display(),
                pattern = patterns.join(", "),
                "no file answers the query yet"
            );
            return Ok(Batch::default());
        }
        self.reduce(request, &files).map_err(|refusal| refused(&refusal))
    }

    /// Files to rows: typed, newest file first, added up per period and arm.
    fn reduce(&self, request: &Request, files: &[Finished]) -> Result<Batch, Refusal> {
        let need = &request.need;
        let grid = Grid::of(need)?;
        let clock_zone = match &self.config.timezone {
            Some(name) => TimeZone::get(name).map_err(|_| {
                Refusal::new("source", "unknown timezone", "write an IANA name in the source")
            })?,
            None => grid.zone().clone(),
        };
        let times = Times {
            format: self.config.date_format.as_deref(),
            clock_zone,
            period_zone: grid.zone().clone(),
        };
        let wanted = Wanted { config: &self.config, request, times };
        let mut ledger = Ledger::new(need.shape.columns().len());
        let mut seen: Option<Seen> = None;
        let mut read = 0;
        for file in files {
            let now = add_file(&wanted, file, &mut ledger)?;
            read += 1;
            match seen {
                Some(before) if before != now => {
                    let why = "the files of one query differ in having a time or arm column";
                    return Err(Refusal::new(&file.name, why, "export all in the same form"));
                }
                _ => seen = Some(now),
            }
            if !now.time {
                // A snapshot without times says everything: older ones are history.
                break;
            }
        }
        let seen = seen.unwrap_or_default();
        let ends = Cell::new((0_u32, 0_u32));
        let period = |at_ms| match (seen.time, need.query.cumulative) {
            (false, _) => Some(0),
            (true, false) => period_of(&grid, at_ms),
            (true, true) => period_before(&grid, at_ms, &ends),
        };
        let totals = ledger.finish(period).map_err(|error| faulty(&files[0].name, &error))?;
        if let (0, 1..) = ends.get() {
            let why = format!("no total stands at the end of a period of {}", need.grain);
            return Err(Refusal::new(&files[0].name, why, "set grain: to the export's rhythm"));
        }
        batch(request, &files[..read], seen, &totals)
    }
}

/// Start of the period of an instant, if it lies wholly inside the window.
fn period_of(grid: &Grid, at_ms: i64) -> Option<i64> {
    let at = Timestamp::from_millisecond(at_ms).ok()?;
    let start = grid.start_of(at);
    let inside = grid.window().holds(start, grid.end_of(start));
    inside.then(|| start.as_millisecond())
}

/// Start of the period that a total as of `at_ms` ends, if it ends one; counts hits and misses.
fn period_before(grid: &Grid, at_ms: i64, ends: &Cell<(u32, u32)>) -> Option<i64> {
    let at = Timestamp::from_millisecond(at_ms).ok()?;
    let start = grid.start_of(Timestamp::from_millisecond(at_ms - 1).ok()?);
    let (hits, misses) = ends.get();
    if grid.end_of(start) != at {
        ends.set((hits, misses + 1));
        return None;
    }
    ends.set((hits + 1, misses));
    grid.window().holds(start, at).then(|| start.as_millisecond())
}

fn batch(
    request: &Request,
    files: &[Finished],
    seen: Seen,
    totals: &[Total],
) -> Result<Batch, Refusal> {
    let shape = request.need.shape;
    let mut columns = Vec::new();
    columns.extend(seen.time.then(|| "time".to_owned()));
    columns.extend(seen.arm.then(|| "arm".to_owned()));
    columns.extend(shape.columns().iter().map(|column| (*column).to_owned()));
    let mut rows = Vec::with_capacity(totals.len());
    for total in totals {
        let file = files.get(total.file as usize).map_or("file", |file| file.name.as_str());
        let place = format!("{file}:{}", total.line);
        if shape == Shape::Form(Form::Value) && total.rows > 1 {
            let why = format!("{} rows for one period; a value cannot be added up", total.rows);
            return Err(Refusal::new(&place, why, "export one row per period, or filter: only"));
        }
        let mut cells = Vec::with_capacity(columns.len());
        if seen.time {
            let start = Timestamp::from_millisecond(total.period_ms).map(plan::Cell::Time);
            cells.push(start.unwrap_or(plan::Cell::Missing));
        }
        cells.extend(seen.arm.then(|| match total.arm.as_str() {
            "" => plan::Cell::Missing,
            arm => plan::Cell::Text(arm.to_owned()),
        }));
        // As text: the contract holds decimals to what they say, it rounds only floats.
        cells.extend(total.values.iter().map(|value| plan::Cell::Text(value.to_string())));
        rows.push(Row { cells, place });
    }
    Ok(Batch { columns, rows, complete_up_to: None, warnings: Vec::new() })
}

/// The query may map the shape's columns, `time` and `arm`, nothing else.
fn check_columns(request: &Request) -> Result<(), FetchError> {
    let wanted = request.need.shape.columns();
    let summary = wanted.contains(&"sum_sq");
    let known = |name: &str| {
        let is_summary = summary && matches!(name, "mean" | "variance");
        is_summary || wanted.contains(&name) || matches!(name, "time" | "arm")
    };
    match request.need.query.columns.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let all = wanted.join(", ");
            let message = format!("query column {name} is not one of time, arm, {all}");
            Err(FetchError::new(FetchClass::UserError, message))
        }
    }
}
