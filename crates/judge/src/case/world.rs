//! What the sources of a case hold, and what they answer at an instant.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::CASE_FILE;
use super::file::{RawSeries, Revision, span};
use super::notation::values;
use crate::guardrails::Slots;
use crate::lifecycle::zone_of;
use crate::observe::SourceFailure;
use crate::plan::{Need, Shape, need_of_beside, need_of_guardrail, need_of_signal};
use crate::points::{ALL, Covariate, Extra, Point, Sums};
use crate::spec::{COVARIATE, CUBES};
use crate::time::{Span, Timestamp, Window, add};

/// The arm of a guardrail's series that holds the control cohort.
const CONTROL: &str = "control";

/// Points by series name (signals and guardrails apart), and outages.
#[derive(Debug, Default)]
pub(super) struct World {
    signals: BTreeMap<String, Vec<Point>>,
    guardrails: BTreeMap<String, Guarded>,
    pub(super) outages: Vec<Outage>,
    restated: Vec<Restated>,
}

/// From an instant on a series says other numbers about some of its periods.
#[derive(Debug)]
struct Restated {
    from: Timestamp,
    series: String,
    points: Vec<Point>,
}

/// The series of one guardrail: the cohort's and the control's, as points and summed up.
#[derive(Debug)]
struct Guarded {
    grain: Span,
    points: Vec<Point>,
    control: Vec<Point>,
    slots: Slots,
    control_slots: Slots,
}

/// A stretch in which a series does not answer as it should.
#[derive(Debug)]
pub(super) struct Outage {
    series: String,
    from: Timestamp,
    to: Timestamp,
    kind: OutageKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutageKind {
    /// The source fails.
    SourceError,
    /// The source answers, and the answer is refused.
    Refused,
    /// Nothing newer than `from` comes.
    NoData,
    /// Nothing comes at all.
    Empty,
}

impl Outage {
    pub(super) fn new(
        series: &str,
        from: Timestamp,
        to: Timestamp,
        kind: Option<&str>,
    ) -> Result<Self, String> {
        let kind = match kind {
            None | Some("source_error") => OutageKind::SourceError,
            Some("refused") => OutageKind::Refused,
            Some("no_data") => OutageKind::NoData,
            Some("empty") => OutageKind::Empty,
            Some(other) => {
                let known = "source_error, refused, no_data or empty";
                return Err(format!("{CASE_FILE}: an outage is {known}, not `{other}`"));
            }
        };
        Ok(Self { series: series.to_owned(), from, to, kind })
    }

    fn is_on(&self, series: &str, at: Timestamp) -> bool {
        self.series == series && self.from <= at && at < self.to
    }
}

/// What a series answers at an instant.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) points: Vec<Point>,
    pub(super) failure: Option<SourceFailure>,
}

/// What a guardrail's series answers.
#[derive(Debug, Default)]
pub(super) struct GuardrailAnswer {
    pub(super) points: Vec<Point>,
    pub(super) control: Vec<Point>,
    pub(super) failure: Option<SourceFailure>,
}

type Instant<'a> = &'a dyn Fn(&str) -> Result<Timestamp, String>;

impl World {
    pub(super) fn add_signal(
        &mut self,
        name: &str,
        series: &RawSeries,
        revisions: &[(Timestamp, Revision)],
        instant: Instant<'_>,
    ) -> Result<(), String> {
        let mut files = revisions.iter().map(|(_, revision)| &revision.experiment);
        let found = files.find_map(|file| {
            let window = Window { start: file.start, end: file.start };
            let beside = || file.beside().into_iter().find(|one| one.signal.name == name);
            let need = match file.signal(name) {
                Some(signal) => need_of_signal(file, signal, window),
                None => need_of_beside(file, &beside()?, window),
            };
            Some((file, need))
        });
        let Some((file, need)) = found else {
            return Err(format!("{CASE_FILE}: no experiment file has a signal `{name}`"));
        };
        let every = span(series.every.as_deref(), need.grain)?;
        let points = points(series, &need, every, file, instant)?;
        self.signals.insert(name.to_owned(), points);
        Ok(())
    }

    pub(super) fn add_guardrail(
        &mut self,
        name: &str,
        series: &RawSeries,
        revisions: &[(Timestamp, Revision)],
        instant: Instant<'_>,
    ) -> Result<(), String> {
        let every = span(series.every.as_deref(), Span::days(1))?;
        let mut files = revisions.iter().map(|(_, revision)| &revision.experiment);
        let need = files.find_map(|file| {
            let window = Window { start: file.start, end: file.start };
            let guardrail = file.guardrail(name)?;
            Some((file, need_of_guardrail(file, guardrail, every, window)?))
        });
        let Some((file, need)) = need else {
            return Err(format!("{CASE_FILE}: no guardrail `{name}` with a series of its own"));
        };
        let points = points(series, &need, every, file, instant)?;
        let (control, points): (Vec<_>, Vec<_>) =
            points.into_iter().partition(|point| point.arm == CONTROL);
        let as_all = |point: Point| Point { arm: ALL.to_owned(), ..point };
        let control: Vec<_> = control.into_iter().map(as_all).collect();
        let (slots, control_slots) = (Slots::of(&points), Slots::of(&control));
        let guarded = Guarded { grain: every, points, control, slots, control_slots };
        self.guardrails.insert(name.to_owned(), guarded);
        Ok(())
    }

    /// The series of a signal or guardrail is restated from an instant on.
    pub(super) fn restate(
        &mut self,
        (from, name): (Timestamp, &str),
        series: &RawSeries,
        revisions: &[(Timestamp, Revision)],
        instant: Instant<'_>,
    ) -> Result<(), String> {
        let mut other = Self::default();
        if self.signals.contains_key(name) {
            other.add_signal(name, series, revisions, instant)?;
        } else {
            other.add_guardrail(name, series, revisions, instant)?;
        }
        let points = other.signals.remove(name);
        let points = points.or_else(|| Some(other.guardrails.remove(name)?.points));
        let (series, points) = (name.to_owned(), points.unwrap_or_default());
        self.restated.push(Restated { from, series, points });
        Ok(())
    }

    /// What the series of a signal says at `now` when it is asked as of `at`.
    pub(super) fn signal(&self, name: &str, at: Timestamp, now: Timestamp) -> Answer {
        self.answer(name, self.signals.get(name).map_or(&[], Vec::as_slice), (at, now))
    }

    /// The same of a guardrail.
    pub(super) fn guardrail(&self, name: &str, at: Timestamp, now: Timestamp) -> GuardrailAnswer {
        let guarded = self.guardrails.get(name);
        let points = guarded.map_or(&[][..], |guarded| &guarded.points);
        let control = guarded.map_or(&[][..], |guarded| &guarded.control);
        let Answer { points, failure } = self.answer(name, points, (at, now));
        let control = control.iter().filter(|point| point.end <= at).cloned().collect();
        GuardrailAnswer { points, control, failure }
    }

    /// The same summed up at `now`, for burn-rate windows, which look no further themselves.
    pub(super) fn slots(&self, name: &str, now: Timestamp) -> (Cow<'_, Slots>, Cow<'_, Slots>) {
        let silent =
            |outage: &Outage| outage.is_on(name, now) && outage.kind != OutageKind::SourceError;
        let restated = |one: &Restated| one.series == name && one.from <= now;
        let differs = self.outages.iter().any(silent) || self.restated.iter().any(restated);
        match self.guardrails.get(name) {
            Some(guarded) if differs => {
                let said = self.answer(name, &guarded.points, (now, now)).points;
                (Cow::Owned(Slots::of(&said)), Cow::Borrowed(&guarded.control_slots))
            }
            Some(guarded) => (Cow::Borrowed(&guarded.slots), Cow::Borrowed(&guarded.control_slots)),
            None => (Cow::default(), Cow::default()),
        }
    }

    /// The length of a guardrail's periods.
    pub(super) fn grain(&self, name: &str) -> Span {
        self.guardrails.get(name).map_or(Span::days(1), |guarded| guarded.grain)
    }

    /// Why a series does not answer at `now`, if it does not.
    pub(super) fn failure(&self, name: &str, now: Timestamp) -> Option<SourceFailure> {
        self.answer(name, &[], (now, now)).failure
    }

    fn answer(&self, name: &str, points: &[Point], (at, now): (Timestamp, Timestamp)) -> Answer {
        let outage = self.outages.iter().find(|outage| outage.is_on(name, now));
        let newest = match outage.map(|outage| (outage.kind, outage.from)) {
            Some((OutageKind::NoData, from)) => from,
            Some((OutageKind::Empty, _)) => Timestamp::MIN,
            Some((OutageKind::SourceError | OutageKind::Refused, _)) | None => at,
        };
        let failed = outage.and_then(|outage| match outage.kind {
            OutageKind::SourceError => Some(("timeout", "no answer", outage.from)),
            OutageKind::Refused => {
                Some(("contract_error", "row 1: 130 of 100; correct it", outage.from))
            }
            OutageKind::NoData | OutageKind::Empty => None,
        });
        let key = |point: &Point| (point.start, point.end, point.arm.clone());
        let mut said: BTreeMap<_, _> = points.iter().map(|point| (key(point), point)).collect();
        for restated in self.restated.iter().filter(|one| one.series == name && one.from <= now) {
            said.extend(restated.points.iter().map(|point| (key(point), point)));
        }
        Answer {
            points: said.into_values().filter(|point| point.end <= newest).cloned().collect(),
            failure: failed.map(|(class, cause, since)| SourceFailure {
                class: class.to_owned(),
                cause: cause.to_owned(),
                since,
            }),
        }
    }
}

fn points(
    series: &RawSeries,
    need: &Need,
    every: Span,
    file: &crate::spec::Experiment,
    instant: Instant<'_>,
) -> Result<Vec<Point>, String> {
    let zone = zone_of(file);
    let start = series.start.as_deref().map_or(Ok(file.start), instant)?;
    let mut found = Vec::new();
    for (arm, columns) in &series.arms {
        let mut by_column = Vec::new();
        for column in need.shape.columns() {
            let text = columns.get(*column).ok_or_else(|| missing(need, arm, column))?;
            by_column.push(values(text).map_err(|error| format!("{CASE_FILE}: {error}"))?);
        }
        let longest = by_column.iter().map(Vec::len).max().unwrap_or(0);
        let mut period_start = start;
        for index in 0..longest {
            let end = add(period_start, every, &zone);
            let cells: Option<Vec<f64>> =
                by_column.iter().map(|column| column.get(index).copied().flatten()).collect();
            if let Some(cells) = cells {
                let sums = sums(need.shape, &cells);
                found.push(Point { arm: arm.clone(), start: period_start, end, sums });
            }
            period_start = end;
        }
    }
    for row in &series.rows {
        let arm = row.get("arm").map_or(ALL, String::as_str);
        let start = row.get("start").ok_or_else(|| missing(need, arm, "start"))?;
        let start = instant(start)?;
        let mut cells = Vec::new();
        for column in need.shape.columns() {
            let text = row.get(*column).ok_or_else(|| missing(need, arm, column))?;
            let cell = text.parse::<f64>().ok().filter(|cell| cell.is_finite());
            cells.push(cell.ok_or_else(|| format!("{CASE_FILE}: `{text}` is no number"))?);
        }
        let end = add(start, every, &zone);
        found.push(Point { arm: arm.to_owned(), start, end, sums: sums(need.shape, &cells) });
    }
    Ok(found)
}

fn missing(need: &Need, arm: &str, column: &str) -> String {
    format!("{CASE_FILE}: series `{}`, arm `{arm}`: no `{column}`", need.subject.name())
}

/// Columns in contract order to sums: a series of two counts is stored as a proportion.
fn sums(shape: Shape, cells: &[f64]) -> Sums {
    let cell = |index: usize| cells.get(index).copied().unwrap_or(0.0);
    let [a, b, c, d, e, f] = [cell(0), cell(1), cell(2), cell(3), cell(4), cell(5)];
    match shape {
        Shape::Detailed { share, cubes, covariate } => {
            let at = |column: &str| {
                let place = shape.columns().iter().position(|known| *known == column);
                place.map_or(0.0, cell)
            };
            let [x, xx, xy] = COVARIATE.map(at);
            let extra = Extra {
                cubes: cubes.then(|| at(CUBES)),
                covariate: covariate.then_some(Covariate { sum: x, sum_sq: xx, cross: xy }),
            };
            let (n, sum, sum_sq) = if share { (b, a, a) } else { (a, b, c) };
            Sums::Detailed { share, n, sum, sum_sq, extra }
        }
        Shape::BadTotal | Shape::UnitsOver | Shape::HitsOf | Shape::Mixed => {
            Sums::Proportion { num: a, den: b }
        }
        Shape::Eligible => Sums::Proportion { num: a, den: a },
        Shape::Form(form) => match form {
            crate::spec::Form::Proportion => Sums::Proportion { num: a, den: b },
            crate::spec::Form::Mean => Sums::Mean { n: a, sum: b, sum_sq: c },
            crate::spec::Form::Ratio => {
                Sums::Ratio { n: a, num: b, den: c, num_sq: d, den_sq: e, cross: f }
            }
            crate::spec::Form::Rate => Sums::Rate { events: a, exposure: b },
            crate::spec::Form::Value => Sums::Value { value: a },
        },
    }
}
