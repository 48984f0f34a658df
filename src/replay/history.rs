//! History in place of a source: one fetch per series and window, every look a slice of it.
//!
//! The first question about a series asks the source once, up to the end of the replay; each
//! look then gets what its own question would have brought: periods inside its window that were
//! over at its instant, less what the source is late. What a source has corrected since cannot be
//! told apart from what it said then; an answer without times is the same at every look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use judge::contract::{Grid, instant, points};
use judge::plan::{Batch, Cell, Request, Row, Shape};
use judge::spec::Form;
use judge::time::{DAY_MS, Span, Timestamp, Window, add_ms};

use crate::sources::{BoxFuture, FetchClass, FetchError, Source};

/// A source that is asked once and answers as of any instant.
#[derive(Debug)]
pub struct History {
    inner: Arc<dyn Source>,
    /// Nothing after this is ever asked.
    until: Timestamp,
    kept: tokio::sync::Mutex<BTreeMap<Key, Vec<Kept>>>,
    told: Mutex<Told>,
}

/// Series, and the first instant where periods are counted from the window.
type Key = (String, Option<Timestamp>);

/// One answer, or why there is none.
#[derive(Debug)]
struct Kept {
    window: Window,
    answer: Result<Arc<Answer>, FetchError>,
}

#[derive(Debug)]
struct Answer {
    batch: Batch,
    /// Start of each row's period; `None` where the answer has no times.
    times: Option<Vec<Timestamp>>,
}

/// What a replay must say about its sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Questions that went to the source.
    pub asked: u64,
    /// Signals and guardrails whose answers carry no time: every look saw today's.
    pub timeless: BTreeSet<String>,
    /// What went wrong, once per message.
    pub failures: BTreeSet<String>,
}

impl History {
    /// History of a source up to `until`.
    pub fn new(inner: Arc<dyn Source>, until: Timestamp) -> Self {
        Self { inner, until, kept: tokio::sync::Mutex::default(), told: Mutex::default() }
    }

    /// What happened so far.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(&self, request: &Request) -> Result<Batch, FetchError> {
        let key = key_of(request);
        let mut kept = self.kept.lock().await;
        let answers = kept.entry(key).or_default();
        let window = request.need.window;
        let has = |kept: &&Kept| kept.window.holds(window.start, window.end);
        let answer = if let Some(known) = answers.iter().find(has) {
            known.answer.clone()
        } else {
            let fresh = self.ask(request).await;
            let answer = fresh.answer.clone();
            answers.push(fresh);
            answer
        };
        drop(kept);
        self.slice(request, &*answer?)
    }

    /// Asks the source itself, once for all later looks.
    async fn ask(&self, request: &Request) -> Kept {
        let mut wide = request.clone();
        // A window that ends with the look grows with it; a baseline's does not.
        if request.need.window.end >= request.at || is_of_now(request) {
            wide.need.window.end = self.until.max(request.need.window.end);
        }
        wide.at = self.until.max(request.at);
        let answer = self.inner.fetch(&wide).await.and_then(|batch| read(&wide, batch));
        // Rows that the contract refuses are found by the looks; here they are told once.
        let refusal = answer.as_ref().ok();
        let refusal = refusal.and_then(|answer| points(&wide, &answer.batch).err());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.asked += 1;
        if let Some(refusal) = refusal {
            let name = request.need.subject.name();
            told.failures.insert(format!("{name}: {}", contract(&refusal.to_string())));
        }
        match &answer {
            Ok(answer) if answer.times.is_none() && !answer.batch.rows.is_empty() => {
                told.timeless.insert(request.need.subject.name().to_owned());
            }
            Ok(_) => {}
            Err(error) => drop(told.failures.insert(error.to_string())),
        }
        Kept { window: wide.need.window, answer: answer.map(Arc::new) }
    }

    /// What the question of that instant would have brought.
    fn slice(&self, request: &Request, answer: &Answer) -> Result<Batch, FetchError> {
        let Some(times) = &answer.times else {
            return Ok(answer.batch.clone());
        };
        let need = &request.need;
        let grid = Grid::of(need).map_err(|refusal| contract(&refusal.to_string()))?;
        let known_to = add_ms(request.at, -self.inner.lateness().ms);
        let is_exact = answer.batch.complete_up_to.is_some() || is_of_now(request);
        let until = if is_exact { need.window.end.min(known_to) } else { need.window.end };
        let mut sliced = Batch {
            columns: answer.batch.columns.clone(),
            rows: Vec::new(),
            complete_up_to: answer.batch.complete_up_to.map(|complete| complete.min(until)),
            warnings: answer.batch.warnings.clone(),
        };
        let inside = Window { start: grid.window().start, end: until };
        let is_inside = |start: Timestamp| inside.holds(start, grid.end_of(start));
        let rows = answer.batch.rows.iter().zip(times);
        let chosen: Vec<Row> =
            rows.filter(|(_, start)| is_inside(**start)).map(|(row, _)| row.clone()).collect();
        sliced.rows = chosen;
        if sliced.rows.is_empty() && is_of_now(request) {
            sliced.rows = newest(request, answer, times, &grid, until);
            sliced.complete_up_to = None;
        }
        Ok(sliced)
    }
}

/// A number of now is the newest one that was known, told as the newest period.
fn newest(
    request: &Request,
    answer: &Answer,
    times: &[Timestamp],
    grid: &Grid,
    until: Timestamp,
) -> Vec<Row> {
    let reach = add_ms(until, -2 * request.need.grain.ms);
    let known = times.iter().copied().filter(|at| *at >= reach && grid.end_of(*at) <= until);
    let Some(newest) = known.max() else {
        return Vec::new();
    };
    let told_as = grid.newest_before(request.need.window.end);
    let time = answer.batch.columns.iter().position(|name| name.eq_ignore_ascii_case("time"));
    let rows = answer.batch.rows.iter().zip(times).filter(|(_, at)| **at == newest);
    rows.map(|(row, _)| {
        let mut row = row.clone();
        if let Some(cell) = time.and_then(|index| row.cells.get_mut(index)) {
            *cell = Cell::Time(told_as);
        }
        row
    })
    .collect()
}

/// A value in a window no longer than one period: what a guardrail asks about now.
fn is_of_now(request: &Request) -> bool {
    let need = &request.need;
    let length = need.window.end.as_millisecond() - need.window.start.as_millisecond();
    need.shape == Shape::Form(Form::Value) && length <= need.grain.ms
}

/// Periods of several days count from the window's first day, so each start is its own series.
fn key_of(request: &Request) -> Key {
    let need = &request.need;
    let several_days = need.grain.ms > DAY_MS && need.grain.ms % DAY_MS == 0;
    (need.series_id.clone(), several_days.then_some(need.window.start))
}

/// Types the time column once for all slices.
fn read(request: &Request, batch: Batch) -> Result<Answer, FetchError> {
    let column = batch.columns.iter().position(|name| name.trim().eq_ignore_ascii_case("time"));
    let Some(column) = column else {
        return Ok(Answer { batch, times: None });
    };
    let grid = Grid::of(&request.need).map_err(|refusal| contract(&refusal.to_string()))?;
    let mut times = Vec::with_capacity(batch.rows.len());
    for row in &batch.rows {
        let at = match row.cells.get(column) {
            Some(Cell::Time(at)) => Ok(*at),
            Some(Cell::Text(text)) => instant(text, grid.zone()),
            _ => Err("no time".to_owned()),
        };
        times.push(at.map_err(|why| contract(&format!("{}: {why}", row.place)))?);
    }
    Ok(Answer { batch, times: Some(times) })
}

fn contract(message: &str) -> FetchError {
    FetchError::new(FetchClass::Contract, message)
}

impl Source for History {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
        Box::pin(self.answer(request))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
        self.inner.probe()
    }

    fn rhythm(&self) -> Span {
        self.inner.rhythm()
    }

    fn grain(&self) -> Span {
        self.inner.grain()
    }

    fn lateness(&self) -> Span {
        self.inner.lateness()
    }
}
