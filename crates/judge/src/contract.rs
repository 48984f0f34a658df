//! The contract step: rows of any source become points of exactly one value form, or a refusal.
//!
//! Third pure step of the line (sources.md 3.1). One strict place decides what is a number, a
//! time, an arm, missing or refused; a refusal names row, column, value and what to write.
//! Nothing is ever half stored: one bad row refuses the whole batch.
//!
//! Rules in one glance:
//! * columns are exactly the shape's, plus `time` and `arm`; names match in any case;
//! * a row covers `[time, time + grain)`, and `time` must be the start of such a period;
//! * a period that is not over yet (window, `complete_up_to`) is not yet a point;
//! * a row of nothing but nulls (or, for `value`, NaN) is a gap; a null among counts is refused;
//! * counts are whole numbers up to 2^53. Text must be whole as written; floats (PromQL's
//!   `increase` extrapolates) are rounded to the nearest whole event.

mod cell;
mod cumulative;
mod grid;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use cell::{decimal, instant};
pub use grid::Grid;

use crate::plan::{Batch, Cell, Request, Row, Shape};
use crate::points::{ALL, Point, Sums};
use crate::spec::Form;
use crate::time::Timestamp;

/// Most rows of one batch unless the window itself has more periods.
pub const MAX_ROWS: usize = 10_000;

/// Most rows of one batch in any case.
const MAX_ROWS_EVER: usize = 500_000;

/// Why a batch was refused: where, what stood there, why it cannot be used and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// `file:line`, `series {..}`, `row N` or `answer`.
    pub place: String,
    /// Contract column, if one is to blame.
    pub column: Option<String>,
    /// The cell as it stood.
    pub value: Option<String>,
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

impl Refusal {
    /// A refusal of a whole row or answer.
    pub fn new(place: &str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        let (why, fix) = (why.into(), fix.into());
        Self { place: place.to_owned(), column: None, value: None, why, fix }
    }

    /// Names the column and the cell.
    #[must_use]
    pub fn at(mut self, column: &str, value: impl Into<String>) -> Self {
        self.column = Some(column.to_owned());
        self.value = Some(value.into());
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(value) = &self.value {
            write!(f, ", {value:?}")?;
        }
        write!(f, ": {}; {}", self.why, self.fix)
    }
}

/// Where the contract's columns stand in a batch.
struct Layout {
    time: Option<usize>,
    arm: Option<usize>,
    values: Vec<(&'static str, usize)>,
}

/// What one row says; `None` for a gap.
struct Reading {
    arm: String,
    start: Timestamp,
    end: Timestamp,
    sums: Option<Sums>,
}

/// Sums, end and place by period and arm.
type Kept<'a> = BTreeMap<(Timestamp, String), (Option<Sums>, Timestamp, &'a str)>;

/// Turns an answer into points, ordered by period and arm.
///
/// An empty answer is `Ok(vec![])`: no data is decided later, it is not an error.
///
/// # Errors
/// A [`Refusal`] for anything the contract does not allow; then nothing of the batch is used.
pub fn points(request: &Request, batch: &Batch) -> Result<Vec<Point>, Refusal> {
    if let Some(warning) = batch.warnings.first() {
        let why = format!("partial answer: {warning}");
        return Err(Refusal::new("answer", why, "it is asked again; a warning is not success"));
    }
    if batch.rows.is_empty() {
        return Ok(Vec::new());
    }
    let grid = Grid::of(&request.need)?;
    let layout = layout(request, batch)?;
    check_size(request, batch, &grid)?;
    check_one_series(request, batch, &layout)?;
    let mut kept = Kept::new();
    for row in &batch.rows {
        let reading = read_row(request, batch, &grid, &layout, row)?;
        let key = (reading.start, reading.arm.clone());
        if let Some((sums, _, place)) = kept.get(&key) {
            if *sums != reading.sums {
                return Err(contradiction(&reading, place, row));
            }
            continue;
        }
        kept.insert(key, (reading.sums, reading.end, &row.place));
    }
    let complete = batch
        .complete_up_to
        .map_or(request.need.window.end, |complete| complete.min(request.need.window.end));
    let kept = if request.need.query.cumulative { cumulative::steps(kept)? } else { kept };
    let points = kept.into_iter().filter_map(|((start, arm), (sums, end, _))| {
        let sums = sums.filter(|_| end <= complete)?;
        Some(Point { arm, start, end, sums })
    });
    Ok(points.collect())
}

fn contradiction(reading: &Reading, first: &str, row: &Row) -> Refusal {
    let why = format!(
        "the period from {} of arm {:?} is stated twice with different numbers (also at {first})",
        reading.start, reading.arm
    );
    Refusal::new(&row.place, why, "return one row per period and arm: group by both and sum")
}

/// Finds the contract's columns; every column must be one of them.
fn layout(request: &Request, batch: &Batch) -> Result<Layout, Refusal> {
    let need = &request.need;
    let wanted = need.shape.columns();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, name) in batch.columns.iter().enumerate() {
        let lower = name.trim().to_lowercase();
        let known = wanted.iter().copied().chain(["time", "arm"]).find(|known| *known == lower);
        let Some(known) = known else {
            let fix = format!("return exactly: {}", expected(request));
            return Err(Refusal::new("answer", "a column that the contract does not know", fix)
                .at(name, name));
        };
        if found.insert(known, index).is_some() {
            let why = format!("two columns are named {known}");
            return Err(Refusal::new("answer", why, "keep one of them"));
        }
    }
    let missing = |column: &str| {
        let why = format!("the column {column} is missing");
        Refusal::new("answer", why, format!("return exactly: {}", expected(request)))
    };
    let mut values = Vec::new();
    for column in wanted {
        values.push((*column, *found.get(column).ok_or_else(|| missing(column))?));
    }
    let layout =
        Layout { time: found.get("time").copied(), arm: found.get("arm").copied(), values };
    let snapshot = matches!(need.shape, Shape::Form(Form::Value) | Shape::UnitsOver);
    if layout.time.is_none() && !snapshot {
        return Err(missing("time"));
    }
    if layout.arm.is_none() && !need.arms.is_empty() {
        return Err(missing("arm"));
    }
    Ok(layout)
}

/// The column list for messages.
fn expected(request: &Request) -> String {
    let arm = if request.need.arms.is_empty() { &[][..] } else { &["arm"][..] };
    let all = ["time"].iter().chain(arm).chain(request.need.shape.columns());
    all.copied().collect::<Vec<_>>().join(", ")
}

fn check_size(request: &Request, batch: &Batch, grid: &Grid) -> Result<(), Refusal> {
    let arms = request.need.arms.len().max(1);
    let asked = grid.count(request.need.window).saturating_mul(arms);
    let cap = asked.clamp(MAX_ROWS, MAX_ROWS_EVER);
    if batch.rows.len() > cap {
        let why = format!("{} rows where at most {cap} are taken", batch.rows.len());
        return Err(Refusal::new("answer", why, "aggregate to one row per period and arm"));
    }
    Ok(())
}

/// Without arms there is one series; an `arm` column with several values is several.
fn check_one_series(request: &Request, batch: &Batch, layout: &Layout) -> Result<(), Refusal> {
    let (true, Some(arm)) = (request.need.arms.is_empty(), layout.arm) else {
        return Ok(());
    };
    let mut names: Vec<String> =
        batch.rows.iter().filter_map(|row| row.cells.get(arm)).map(cell::shown).collect();
    names.sort();
    names.dedup();
    if names.len() > 1 {
        let why = format!("several series where one is needed: arm is {}", names.join(", "));
        return Err(Refusal::new("answer", why, "filter the query to one, or compare arms"));
    }
    Ok(())
}

fn read_row(
    request: &Request,
    batch: &Batch,
    grid: &Grid,
    layout: &Layout,
    row: &Row,
) -> Result<Reading, Refusal> {
    if row.cells.len() != batch.columns.len() {
        let why = format!("{} cells for {} columns", row.cells.len(), batch.columns.len());
        return Err(Refusal::new(&row.place, why, "return as many cells as columns"));
    }
    let arm = read_arm(request, layout, row)?;
    let start = match layout.time {
        Some(index) => read_time(request, grid, &row.place, &row.cells[index])?,
        None => grid.newest_before(request.need.window.end),
    };
    let cells: Vec<(&'static str, &Cell)> =
        layout.values.iter().map(|(name, index)| (*name, &row.cells[*index])).collect();
    let sums = shape::sums(request.need.shape, &row.place, &cells)?;
    Ok(Reading { arm, start, end: grid.end_of(start), sums })
}

fn read_arm(request: &Request, layout: &Layout, row: &Row) -> Result<String, Refusal> {
    let need = &request.need;
    let (false, Some(index)) = (need.arms.is_empty(), layout.arm) else {
        return Ok(ALL.to_owned());
    };
    let known = need.arms.join(", ");
    match &row.cells[index] {
        Cell::Text(text) if need.arms.contains(text) => Ok(text.clone()),
        Cell::Missing => {
            let fix = format!("name one of {known}, or leave units without an arm out");
            Err(Refusal::new(&row.place, "a row without an arm", fix).at("arm", ""))
        }
        other => {
            let fix = format!(
                "the experiment compares {known}, letter by letter: write the name like that, or \
                 leave the row out"
            );
            Err(Refusal::new(&row.place, "an arm the experiment does not name", fix)
                .at("arm", cell::shown(other)))
        }
    }
}

fn read_time(
    request: &Request,
    grid: &Grid,
    place: &str,
    found: &Cell,
) -> Result<Timestamp, Refusal> {
    let refuse =
        |why: String, fix: &str| Err(Refusal::new(place, why, fix).at("time", cell::shown(found)));
    let at = match found {
        Cell::Time(at) => *at,
        Cell::Text(text) => match instant(text, grid.zone()) {
            Ok(at) => at,
            Err(why) => return refuse(why, "write 2026-08-01 or 2026-08-01T00:00:00Z"),
        },
        _ => {
            return refuse("no time".to_owned(), "every row needs the start of its period");
        }
    };
    let window = grid.window();
    if at < window.start || at >= window.end {
        let why = format!("outside the asked window {} to {}", window.start, window.end);
        return refuse(why, "the query ignores {{start}} or {{end}}: use them in its condition");
    }
    if grid.start_of(at) != at {
        let zone = &request.need.timezone;
        let why = format!("not the start of a period of {} in {zone}", request.need.grain);
        return refuse(why, "truncate the time to the period, in that time zone");
    }
    Ok(at)
}
