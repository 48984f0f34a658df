//! Which points one look may use: the arms, windows and maturity of one signal.
//!
//! Part of `observe`. Invariants: points are kept in one canonical order and without duplicates,
//! so neither their order nor a repeated row changes an observation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::allocation::epochs;
use super::{
    Allocation, Observation, Observed, Sample, SeriesInput, allowance_ms, canonical, series,
};
use crate::ids::hash128;
use crate::points::{ALL, Point, Sums};
use crate::record::Cycle;
use crate::spec::{Baseline, Compare, Experiment, Form, Signal};
use crate::stats::overdispersion::{
    Unevenness, between_binomial, between_poisson, within_binomial, within_poisson,
};
use crate::stats::srm;
use crate::time::{Span, Timestamp, Window, add, add_ms, ms_between};

/// One usable period of one arm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) arm: &'a str,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// The sums of the form.
    pub(super) sums: Sums,
    /// As they were received.
    received: Sums,
}

impl<'a> Cell<'a> {
    fn of(point: &'a Point) -> Self {
        Self {
            arm: &point.arm,
            start: point.start,
            end: point.end,
            sums: point.sums.plain(),
            received: point.sums,
        }
    }
}

/// Everything that says which points count.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) signal: &'a Signal,
    pub(super) compare: &'a Compare,
    pub(super) at: Timestamp,
    pub(super) zone: TimeZone,
    pub(super) grain: Span,
    /// `[cycle start, at)`.
    pub(super) window: Window,
    /// The measured baseline's window, before the first cycle's start.
    pub(super) baseline: Option<Window>,
    /// Judged arms, control first; [`ALL`] without arms.
    pub(super) arms: Vec<&'a str>,
    cells: Vec<Cell<'a>>,
    /// Data should reach this instant, less the allowance.
    expected_to: Timestamp,
    allowance_ms: i64,
    last_good: Option<Timestamp>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        experiment: &'a Experiment,
        signal: &'a Signal,
        cycle: &Cycle,
        at: Timestamp,
        input: &SeriesInput<'a>,
    ) -> Self {
        let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
        let zone = TimeZone::get(&experiment.timezone).unwrap_or(TimeZone::UTC);
        let cells: Vec<Cell<'a>> = canonical(input.points).into_iter().map(Cell::of).collect();
        let grain =
            signal.grain.filter(|grain| grain.ms > 0).unwrap_or_else(|| usual_grain(&cells));
        let arms = match compare {
            Compare::Arms { control, treatment, .. } => vec![control.as_str(), treatment.as_str()],
            Compare::Baseline | Compare::BeforeAfter { .. } => vec![ALL],
        };
        let baseline = baseline_span(signal, compare).map(|span| Window {
            start: add(cycle.first_started_at, Span { ms: -span.ms }, &zone),
            end: cycle.first_started_at,
        });
        let countable_to = add_ms(at, -signal.matures_after.ms);
        let accrual_end = add_ms(cycle.checkpoint_at, -experiment.longest_outcome_maturity().ms);
        let expected_to = match signal.form {
            Form::Value => countable_to,
            _ => countable_to.min(accrual_end),
        };
        Self {
            experiment,
            signal,
            compare,
            at,
            grain,
            window: Window { start: cycle.started_at, end: at },
            baseline,
            arms,
            cells,
            expected_to,
            allowance_ms: allowance_ms(grain, input.lateness),
            last_good: input.last_good,
            zone,
        }
    }

    /// Whether a period has closed and its units have matured at this look.
    fn matured(&self, cell: &Cell<'_>) -> bool {
        cell.end <= self.at && add(cell.end, self.signal.matures_after, &self.zone) <= self.at
    }

    /// Periods of the cycle, matured or not.
    fn received(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(|cell| cell.start >= self.window.start && cell.start < self.at)
    }

    /// Counted periods of the cycle, in time order.
    pub(super) fn counted(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.received().filter(|cell| self.matured(cell))
    }

    /// Counted periods of the baseline window, in time order.
    pub(super) fn before(&self) -> impl Iterator<Item = &Cell<'a>> {
        let window = self.baseline;
        self.cells.iter().filter(move |cell| {
            window.is_some_and(|window| window.holds(cell.start, cell.end)) && self.matured(cell)
        })
    }

    /// Every stored period before the first start, for choosing block lengths.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(|cell| cell.end <= self.window.start)
    }

    fn waiting(&self) -> f64 {
        let unmatured = self.received().filter(|cell| !self.matured(cell));
        unmatured.map(|cell| cell.sums.units()).sum()
    }

    /// Whether there is anything to add up: not empty, no arm missing, not stale, not immature.
    pub(super) fn check(&self) -> Result<(), Observation> {
        if self.received().next().is_none() {
            return Err(self.nothing_received());
        }
        for &arm in &self.arms {
            self.check_arm(arm)?;
        }
        let counted: BTreeSet<&str> = self.counted().map(|cell| cell.arm).collect();
        if !self.arms.iter().all(|arm| counted.contains(arm)) {
            return Err(self.immature());
        }
        if self.baseline.is_some() && !self.before().any(|cell| cell.arm == ALL) {
            return Err(self.no_data(None, "no rows in the baseline window before the start"));
        }
        Ok(())
    }

    fn check_arm(&self, arm: &str) -> Result<(), Observation> {
        let newest = self.received().filter(|cell| cell.arm == arm).map(|cell| cell.end).max();
        let Some(newest) = newest else {
            return Err(if self.too_soon() {
                self.immature()
            } else {
                self.no_data(None, &format!("no rows of arm `{arm}`"))
            });
        };
        if ms_between(newest, self.expected_to) > self.allowance_ms {
            let days = ms_between(newest, self.at) as f64 / crate::time::DAY_MS as f64;
            let why = format!("stale: the newest rows of `{arm}` are {days:.1} days old");
            return Err(self.no_data(Some(newest), &why));
        }
        Ok(())
    }

    /// The first instant at which a unit can have matured.
    fn first_maturity(&self) -> Timestamp {
        add(add(self.window.start, self.grain, &self.zone), self.signal.matures_after, &self.zone)
    }

    fn too_soon(&self) -> bool {
        ms_between(self.first_maturity(), self.at) <= self.allowance_ms
    }

    fn nothing_received(&self) -> Observation {
        if self.too_soon() {
            return Observation::Immature { until: self.first_maturity(), waiting: 0.0 };
        }
        self.no_data(None, "no rows since the start")
    }

    fn no_data(&self, since: Option<Timestamp>, why: &str) -> Observation {
        Observation::NoData { since: since.or(self.last_good), why: why.to_owned() }
    }

    fn immature(&self) -> Observation {
        let ripe = |cell: &Cell<'_>| add(cell.end, self.signal.matures_after, &self.zone);
        let next = self.received().filter(|cell| !self.matured(cell)).map(ripe).min();
        let until = next.unwrap_or_else(|| self.first_maturity());
        Observation::Immature { until, waiting: self.waiting() }
    }

    /// Adds the counted periods up; with how many complete blocks a series still lacks.
    pub(super) fn reduce(&self) -> Result<(Observed, f64), Observation> {
        let mut arms = BTreeMap::new();
        let names: BTreeSet<&str> = self.counted().map(|cell| cell.arm).collect();
        for name in names {
            let cells: Vec<_> = self.counted().filter(|cell| cell.arm == name).collect();
            if let Some(sample) = total(&cells) {
                arms.insert(name.to_owned(), sample);
            }
        }
        self.refuse_empty_arm(&arms)?;
        let before: Vec<_> = self.before().filter(|cell| cell.arm == ALL).collect();
        let newest = self.counted().map(|cell| cell.end).max();
        let mut observed = Observed {
            arms,
            baseline: total(&before),
            paired: None,
            steps: None,
            difference: self.difference(),
            epochs: self.epochs(),
            window: self.window,
            data_as_of: newest.unwrap_or(self.window.start),
            waiting: self.waiting(),
            digest: self.digest(),
        };
        let missing = match self.signal.form {
            Form::Value => series::add_blocks(self, &mut observed)?,
            _ => 0.0,
        };
        Ok((observed, missing))
    }

    /// An arm without one unit while the others have a hundred is no zero: nobody is sent there.
    fn refuse_empty_arm(&self, arms: &BTreeMap<String, Sample>) -> Result<(), Observation> {
        let total: f64 = arms.values().map(|sample| sample.sums.units()).sum();
        let empty = |arm: &&&str| arms.get(**arm).is_some_and(|arm| arm.sums.units() <= 0.0);
        match self.arms.iter().find(empty) {
            Some(arm) if self.arms.len() > 1 && total >= srm::MIN_UNITS => {
                let why = format!("arm `{arm}` got nobody of {total} units");
                Err(self.no_data(None, &why))
            }
            _ => Ok(()),
        }
    }

    /// Periods that both judged arms have: `(treatment, control)` counts and sizes.
    fn both(&self) -> Vec<((f64, f64), (f64, f64))> {
        let [control, treatment] = self.arms[..] else {
            return Vec::new();
        };
        let of = |arm: &'a str| self.counted().filter(move |cell| cell.arm == arm);
        let held: BTreeMap<Timestamp, &Cell<'_>> =
            of(control).map(|cell| (cell.start, cell)).collect();
        of(treatment).filter_map(|cell| Some((pair(cell), pair(held.get(&cell.start)?)))).collect()
    }

    /// How uneven the difference of the two judged arms is from period to period.
    fn difference(&self) -> Option<Unevenness> {
        match self.signal.form {
            Form::Proportion => between_binomial(&self.both()),
            Form::Rate => between_poisson(&self.both()),
            Form::Mean | Form::Ratio | Form::Value => None,
        }
    }

    /// Epochs of allocation of a share; none where a period misses an arm.
    fn epochs(&self) -> Vec<Allocation> {
        let both = self.both();
        let whole = 2 * both.len() == self.counted().filter(|cell| self.is_judged(cell)).count();
        if self.signal.form != Form::Proportion || !whole {
            return Vec::new();
        }
        let period = |&(treatment, control): &_| Allocation { control, treatment };
        epochs(&both.iter().map(period).collect::<Vec<_>>())
    }

    fn is_judged(&self, cell: &Cell<'_>) -> bool {
        self.arms.contains(&cell.arm)
    }

    fn digest(&self) -> String {
        let line = |cell: &Cell<'_>| {
            let columns = cell.received.to_array();
            let used = if cell.received == cell.sums { 6 } else { columns.len() };
            let bits = columns[..used].iter().map(|sum| format!("{:016x}", sum.to_bits()));
            let sums = bits.collect::<Vec<_>>().join(",");
            let (start, end) = (cell.start.as_millisecond(), cell.end.as_millisecond());
            format!("{}|{start}|{end}|{}|{sums}", cell.arm, cell.received.form_name())
        };
        let lines: Vec<String> = self.before().chain(self.counted()).map(line).collect();
        hash128(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The most frequent period length: the source's own grain where the file names none.
fn usual_grain(cells: &[Cell<'_>]) -> Span {
    let mut lengths: BTreeMap<i64, u32> = BTreeMap::new();
    for cell in cells {
        *lengths.entry(ms_between(cell.start, cell.end)).or_default() += 1;
    }
    let usual = lengths.into_iter().max_by_key(|&(ms, count)| (count, -ms));
    usual.map_or(Span::days(1), |(ms, _)| Span { ms })
}

/// `from: {window}` or `before_after`; concurrent arms need no measured baseline.
fn baseline_span(signal: &Signal, compare: &Compare) -> Option<Span> {
    match (compare, signal.from) {
        (Compare::Arms { .. }, _) => None,
        (_, Some(Baseline::Window(span))) => Some(span),
        (Compare::BeforeAfter { window }, _) => Some(*window),
        _ => None,
    }
}

/// The sums of one arm with the dispersion of its periods.
fn total(cells: &[&Cell<'_>]) -> Option<Sample> {
    let (first, rest) = cells.split_first()?;
    let mut received = first.received;
    for cell in rest {
        received += cell.received;
    }
    let sums = received.plain();
    let pairs: Vec<(f64, f64)> = cells.iter().map(|cell| pair(cell)).collect();
    let uneven = match sums {
        Sums::Proportion { .. } => within_binomial(&pairs),
        Sums::Rate { .. } => within_poisson(&pairs),
        _ => None,
    };
    let phi = uneven.map(|uneven| uneven.phi);
    let extra = received.extra();
    Some(Sample { sums, cells: cells.len() as u32, phi, blocks: None, extra })
}

/// Count and size of one period of a proportion or rate.
fn pair(cell: &Cell<'_>) -> (f64, f64) {
    let [top, bottom, ..] = cell.sums.to_array();
    (top, bottom)
}
