//! `replay --aa`: how often a file calls its own data a change when there is none.
//!
//! The points are fetched once through the daemon's own questions; each run makes a history in
//! which nothing happened (`judge::nulls`) and plays it in memory (`judge::rehearse`). Signals
//! that are compared with nothing stay as they are; guardrails that read sources of their own are
//! left out, their error is not the rule's.

use std::collections::BTreeMap;

use judge::analyse::ledger;
use judge::decide::{AlarmKind, Cause, Verdict};
use judge::lifecycle;
use judge::nulls::{self, Chance};
use judge::points::{ALL, Point, Sums};
use judge::rehearse::{Said, looks};
use judge::spec::{Baseline, Compare, Experiment, Role, Signal};
use judge::time::{Span, Timestamp, Window, add};

use super::Options;
use super::files::Files;
use super::play::Opened;
use crate::app::Inner;
use crate::cycle::{fetch, gather};
use crate::settings::Settings;

/// What the runs of one experiment came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// Experiment id.
    pub experiment: String,
    /// Runs that were played.
    pub runs: u32,
    /// Looks per run, on average.
    pub looks: f64,
    /// What can be said falsely, and how often it was.
    pub rows: Vec<Row>,
    /// Signals that have no "nothing happened" and stayed as they are.
    pub unchanged: Vec<String>,
    /// Signals whose periods differ by less than chance would make them: what is found is too low.
    pub too_even: Vec<String>,
}

/// Below this share of the spread by chance (27 degrees of freedom: one in ten thousand).
const TOO_EVEN: f64 = 1.0 / 3.0;

/// One false statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which.
    pub what: String,
    /// Runs in which it was ever said.
    pub count: u32,
    /// Their share.
    pub share: f64,
    /// Monte-Carlo standard error of the share.
    pub se: f64,
    /// What the alpha ledger allows, where it does.
    pub allowed: Option<f64>,
    /// Share of runs in which a test at |z| > 1.96 at every look would have said it.
    pub naive: Option<f64>,
}

/// One signal's history and how nothing happens in it.
struct History {
    points: Vec<Point>,
    lateness: Span,
    null: Null,
}

impl History {
    fn is_too_even(&self) -> bool {
        let Null::Arms { control, treatment } = &self.null else { return false };
        nulls::evenness(&self.points, control, treatment).is_some_and(|ratio| ratio < TOO_EVEN)
    }
}

enum Null {
    Arms { control: String, treatment: String },
    Level(f64),
    Unchanged,
}

/// Plays `runs` histories without an effect of every experiment's first revision.
pub async fn rehearse(
    files: Files,
    settings: Settings,
    options: &Options,
    runs: u32,
    seed: u64,
    progress: &mut (dyn FnMut(u32) + Send),
) -> anyhow::Result<Vec<Rehearsed>> {
    let first = files.revisions.values().filter_map(|revisions| revisions.first());
    let experiments: Vec<Experiment> = first.map(|one| one.experiment.clone()).collect();
    let opened = Opened::new(files, settings, options).await?;
    let mut done = Vec::new();
    for experiment in &experiments {
        let histories = histories(opened.run.app.inner(), experiment, options.to).await?;
        done.push(play(experiment, &histories, options.to, runs, seed, progress));
    }
    opened.run.app.shutdown().await?;
    Ok(done)
}

async fn histories(
    app: &Inner,
    experiment: &Experiment,
    until: Timestamp,
) -> anyhow::Result<BTreeMap<String, History>> {
    let mut all = BTreeMap::new();
    for signal in &experiment.signals {
        let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
        let before = match (&signal.from, compare) {
            (_, Compare::Arms { .. }) => None,
            (Some(Baseline::Window(span)), _) => Some(*span),
            (_, Compare::BeforeAfter { window }) => Some(*window),
            _ => None,
        };
        let start = experiment.start;
        let mut windows = vec![Window { start, end: until }];
        if let Some(span) = before {
            let zone = lifecycle::zone_of(experiment);
            windows
                .insert(0, Window { start: add(start, Span { ms: -span.ms }, &zone), end: start });
        }
        let mut points = Vec::new();
        for window in windows {
            let need = gather::signal_need(app, experiment, signal, window);
            let fetched = fetch::fetch(app, need, until).await;
            if let Some(failure) = fetched.failure {
                anyhow::bail!("`{}`: {}", signal.name, failure.cause);
            }
            points.extend(fetched.points);
        }
        let source = app.sources.get(&signal.source);
        let lateness = source.map_or(Span::ZERO, |source| source.lateness());
        let null = null_of(signal, compare, &points);
        all.insert(signal.name.clone(), History { points, lateness, null });
    }
    if all.values().all(|history: &History| history.points.is_empty()) {
        let (id, from) = (&experiment.id, experiment.start);
        anyhow::bail!("`{id}`: no data from {from} to {until} to make histories from");
    }
    Ok(all)
}

fn null_of(signal: &Signal, compare: &Compare, points: &[Point]) -> Null {
    match (compare, &signal.from) {
        (Compare::Arms { control, treatment, .. }, _) => {
            Null::Arms { control: control.clone(), treatment: treatment.clone() }
        }
        (_, Some(Baseline::Stated(level))) => Null::Level(*level),
        (_, Some(Baseline::Counted { x, n, .. })) => Null::Level(x / n),
        (Compare::Baseline, None) => Null::Unchanged,
        // Measured before and judged after: one level, pooled over both.
        _ => pooled(points).map_or(Null::Unchanged, Null::Level),
    }
}

fn pooled(points: &[Point]) -> Option<f64> {
    let own: Vec<&Point> = points.iter().filter(|point| point.arm == ALL).collect();
    if let Some(Sums::Value { .. }) = own.first().map(|point| point.sums) {
        let sum: f64 = own.iter().filter_map(|point| point.sums.level()).sum();
        return Some(sum / own.len() as f64);
    }
    let total = own.iter().map(|point| point.sums).reduce(|mut all, one| {
        all += one;
        all
    });
    total.and_then(Sums::level)
}

fn play(
    experiment: &Experiment,
    histories: &BTreeMap<String, History>,
    until: Timestamp,
    runs: u32,
    seed: u64,
    progress: &mut (dyn FnMut(u32) + Send),
) -> Rehearsed {
    let late = histories.iter().map(|(name, one)| (name.clone(), one.lateness)).collect();
    let mut said = Vec::new();
    for run in 0..runs {
        let chance = Chance::new(seed, u64::from(run));
        let points = histories.iter().map(|(name, one)| {
            let made = match &one.null {
                Null::Arms { control, treatment } => {
                    nulls::arms(&one.points, control, treatment, chance)
                }
                Null::Level(level) => nulls::at_level(&one.points, *level, chance),
                Null::Unchanged => one.points.clone(),
            };
            (name.clone(), made)
        });
        said.push(looks(experiment, &points.collect(), &late, until));
        progress(run + 1);
    }
    let unchanged = histories.iter().filter(|(_, one)| matches!(one.null, Null::Unchanged));
    let unchanged: Vec<String> = unchanged.map(|(name, _)| name.clone()).collect();
    let rows = rows(experiment, &said, &unchanged);
    let looks = said.iter().map(|one| f64::from(one.looks)).sum::<f64>() / f64::from(runs.max(1));
    let too_even = histories.iter().filter(|(_, one)| one.is_too_even());
    let too_even = too_even.map(|(name, _)| name.clone()).collect();
    Rehearsed { experiment: experiment.id.clone(), runs, looks, rows, unchanged, too_even }
}

fn rows(experiment: &Experiment, said: &[Said], unchanged: &[String]) -> Vec<Row> {
    let lines = ledger(experiment);
    let outcomes: Vec<&str> = experiment.outcomes().map(|signal| signal.name.as_str()).collect();
    let any = |one: &Said, pick: fn(&judge::rehearse::Called) -> bool| {
        outcomes.iter().any(|name| one.signals.get(*name).is_some_and(pick))
    };
    let harm = lines.iter().filter(|line| line.purpose.starts_with("harm "));
    let harm = harm.map(|line| line.alpha).sum();
    let gave = |one: &Said, row: (Verdict, Option<Cause>)| {
        one.verdicts
            .iter()
            .any(|(verdict, cause)| *verdict == row.0 && row.1.is_none_or(|it| it == *cause))
    };
    let mut rows = vec![
        row(
            "verdict continue",
            share(said, |one| gave(one, (Verdict::Continue, None))),
            Some(0.05),
            Some(share(said, |one| any(one, |called| called.naive_better))),
        ),
        row(
            "verdict stop: harmful",
            share(said, |one| gave(one, (Verdict::Stop, Some(Cause::Harmful)))),
            Some(harm),
            Some(share(said, |one| any(one, |called| called.naive_harm))),
        ),
        row(
            "alarm proxy_without_outcome",
            share(said, |one| one.alarms.contains(&AlarmKind::ProxyWithoutOutcome)),
            None,
            None,
        ),
    ];
    let compared = experiment.signals.iter().filter(|signal| !unchanged.contains(&signal.name));
    for signal in compared.filter(|signal| signal.role != Role::Guardrail) {
        let called = |one: &Said| one.signals.get(&signal.name).copied().unwrap_or_default();
        let two_sided = lines.iter().filter(|line| {
            let mut words = line.purpose.split(' ').skip(1);
            line.sides == 2 && words.next() == Some(signal.name.as_str())
        });
        rows.push(row(
            &format!("{}: a change", signal.name),
            share(said, |one| called(one).changed),
            two_sided.map(|line| line.alpha).reduce(f64::max),
            Some(share(said, |one| called(one).naive)),
        ));
        rows.push(row(
            &format!("{}: met", signal.name),
            share(said, |one| called(one).met),
            None,
            Some(share(said, |one| called(one).naive_better)),
        ));
    }
    rows
}

/// How many runs, and of how many.
fn share(said: &[Said], is: impl Fn(&Said) -> bool) -> (u32, u32) {
    (said.iter().filter(|one| is(one)).count() as u32, said.len() as u32)
}

fn row(
    what: &str,
    (count, runs): (u32, u32),
    allowed: Option<f64>,
    naive: Option<(u32, u32)>,
) -> Row {
    let of = f64::from(runs.max(1));
    let share = f64::from(count) / of;
    Row {
        what: what.to_owned(),
        count,
        share,
        se: (share * (1.0 - share) / of).sqrt(),
        allowed,
        naive: naive.map(|(count, _)| f64::from(count) / of),
    }
}
