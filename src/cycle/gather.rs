//! Plan, fetch and observe for one look: from signals to frozen observations.
//!
//! All needs of a look are asked side by side (each source limits itself); what came is laid
//! over what is stored, reduced by the pure `observe`, and handed on together with the points
//! that the commit will store. No transaction is open while sources are asked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use judge::observe::{self, Observation, SeriesInput, SourceFailure};
use judge::plan::{self, Need};
use judge::points::Point;
use judge::record::Cycle;
use judge::spec::{Beside, Experiment, Signal};
use judge::time::{Span, Timestamp, Window};

use super::fetch::{self, Fetched};
use super::windows::{self, Known};
use crate::app::Inner;
use crate::store::{NewPoints, StoreError};

/// What a look starts from.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// One per signal.
    pub observations: BTreeMap<String, Observation>,
    /// One per count beside the signals.
    pub beside: BTreeMap<String, Observation>,
    /// To be stored with the evaluation.
    pub points: Vec<NewPoints>,
    /// Definition of each signal as the file says it now.
    pub series: BTreeMap<String, String>,
    /// Newest answer (wall time).
    pub fetched_at: Option<Timestamp>,
    /// How long the sources took to answer, in seconds.
    pub seconds: f64,
}

impl Gathered {
    /// Nothing asked yet.
    pub fn empty() -> Self {
        Self {
            observations: BTreeMap::new(),
            beside: BTreeMap::new(),
            points: Vec::new(),
            series: BTreeMap::new(),
            fetched_at: None,
            seconds: 0.0,
        }
    }
}

/// Asks everything one look needs and reduces it.
pub async fn gather(
    app: &Inner,
    experiment: &Experiment,
    cycle: &Cycle,
    at: Timestamp,
    at_checkpoint: bool,
) -> Result<Gathered, StoreError> {
    let began = std::time::Instant::now();
    let window = Window { start: cycle.started_at, end: at };
    let beside = experiment.beside();
    let signals = experiment.signals.iter();
    let of_signals = signals.map(|one| (one, signal_need(app, experiment, one, window)));
    let of_beside =
        beside.iter().map(|one| (&one.signal, beside_need(app, experiment, one, window)));
    let needs: Vec<_> = of_signals.chain(of_beside).collect();
    let asked = needs
        .iter()
        .map(|(signal, need)| series(app, experiment, cycle, signal, need, at, at_checkpoint));
    let mut gathered = Gathered::empty();
    for ((signal, _), series) in needs.iter().zip(join_all(asked).await) {
        let series = series?;
        let input = SeriesInput {
            points: &series.points,
            failure: series.failure,
            last_good: series.last_good,
            lateness: series.lateness,
        };
        let observation = observe::observe(experiment, signal, cycle, at, &input);
        if experiment.signal(&signal.name).is_some() {
            gathered.observations.insert(signal.name.clone(), observation);
            gathered.series.insert(signal.name.clone(), series.id.clone());
        } else {
            gathered.beside.insert(signal.name.clone(), observation);
        }
        gathered.fetched_at = gathered.fetched_at.max(series.fetched_at);
        if !series.fresh.is_empty() {
            gathered.points.push(NewPoints {
                series_id: series.id,
                points: series.fresh,
                fetched_at: at,
            });
        }
    }
    gathered.seconds = began.elapsed().as_secs_f64();
    Ok(gathered)
}

/// One signal's series: stored and fresh points, or why there are none.
#[derive(Debug)]
struct Series {
    id: String,
    points: Vec<Point>,
    fresh: Vec<Point>,
    failure: Option<SourceFailure>,
    last_good: Option<Timestamp>,
    lateness: Span,
    fetched_at: Option<Timestamp>,
}

async fn series(
    app: &Inner,
    experiment: &Experiment,
    cycle: &Cycle,
    signal: &Signal,
    need: &Need,
    at: Timestamp,
    at_checkpoint: bool,
) -> Result<Series, StoreError> {
    let newest_end = app.store.newest_point_end(&need.series_id).await?;
    let known = Known {
        newest_end: newest_end.filter(|end| {
            *end > cycle.started_at && !super::guardrail::restates(app, &need.source)
        }),
        grain: need.grain,
        lookback: app.settings.scheduler.lookback_periods,
    };
    let mut asked = Vec::new();
    if let Some(window) = windows::of_look(signal, cycle, at, at_checkpoint, known) {
        asked.push(fetch::fetch(app, Need { window, ..need.clone() }, at).await);
    }
    let baseline = windows::of_baseline(experiment, signal, cycle);
    if let Some(window) = baseline
        && (windows::asks_baseline(signal, cycle, window, at, at_checkpoint)
            || app.store.points(&need.series_id, window).await?.is_empty())
    {
        let need = Need { window, arms: Vec::new(), ..need.clone() };
        asked.push(fetch::fetch(app, need, at).await);
    }
    let start = baseline.map_or(cycle.started_at, |window| window.start.min(cycle.started_at));
    let stored = app.store.points(&need.series_id, Window { start, end: at }).await?;
    let lateness = app.sources.get(&need.source).map_or(Span::ZERO, |source| source.lateness());
    Ok(joined(need.series_id.clone(), stored, asked, newest_end, lateness))
}

fn joined(
    id: String,
    stored: Vec<Point>,
    asked: Vec<Fetched>,
    last_good: Option<Timestamp>,
    lateness: Span,
) -> Series {
    let failure = asked.iter().find_map(|fetched| fetched.failure.clone());
    let fetched_at = asked.iter().map(|fetched| fetched.fetched_at).max();
    let fresh: Vec<Point> = asked.into_iter().flat_map(|fetched| fetched.points).collect();
    let points = fetch::overlay(stored, &fresh);
    Series { id, points, fresh, failure, last_good, lateness, fetched_at }
}

/// The need of a signal with the source's own grain where the file names none.
pub fn signal_need(app: &Inner, experiment: &Experiment, signal: &Signal, window: Window) -> Need {
    plan::need_of_signal(experiment, &grained(app, signal), window)
}

/// The need of a count beside the signals, the same way.
pub fn beside_need(app: &Inner, experiment: &Experiment, beside: &Beside, window: Window) -> Need {
    let beside = Beside { signal: grained(app, &beside.signal), ..beside.clone() };
    plan::need_of_beside(experiment, &beside, window)
}

fn grained(app: &Inner, signal: &Signal) -> Signal {
    let grain = app.sources.get(&signal.source).map_or(Span::days(1), |source| source.grain());
    Signal { grain: Some(signal.grain.unwrap_or(grain)), ..signal.clone() }
}
