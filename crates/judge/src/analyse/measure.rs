//! One observed signal against its comparison, ready for every test a look asks of it.
//!
//! Part of `analyse`. [`Measure::of`] picks the method for design and form (the table of
//! product.md 3); the tests themselves are in `basis`. Invariants: a measure is made of matured
//! sums only and knows no alpha; whatever keeps it from being judged is a [`Gap`].

use std::collections::BTreeMap;

use super::basis::{Basis, Normal};
use super::{Evidence, MethodName, SignalState, UnknownWhy};
use crate::observe::{Blocks, Observation, Observed, Sample};
use crate::points::{ALL, Sums};
use crate::spec::{Baseline, Compare, Experiment, Side, Signal};
use crate::stats::overdispersion::EXACT_LIMIT;
use crate::stats::rare::Events;
use crate::stats::special::{norm_isf, t_isf};
use crate::stats::two_arm::{Count, Moments, Proportion, RatioSums};
use crate::stats::{Interval, Sides};

/// Why a signal cannot be judged now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gap {
    pub(super) why: UnknownWhy,
    pub(super) state: SignalState,
    pub(super) words: Option<String>,
}

impl Gap {
    fn invalid(words: String) -> Self {
        Self {
            why: UnknownWhy::Invalid,
            state: SignalState::Invalid,
            words: Some(words),
        }
    }

    /// What an observation other than `ok` means.
    fn of(observation: &Observation) -> Self {
        let gap = |why, state, words: String| Self {
            why,
            state,
            words: Some(words),
        };
        match observation {
            Observation::Insufficient { more, .. } => gap(
                UnknownWhy::Insufficient,
                SignalState::TooEarly,
                format!("{more} more needed"),
            ),
            Observation::NoData { why, .. } => {
                gap(UnknownWhy::NoData, SignalState::NoData, why.clone())
            }
            Observation::SourceError { class, cause, .. } => gap(
                UnknownWhy::SourceError,
                SignalState::NoData,
                format!("{class}: {cause}"),
            ),
            Observation::Immature { until, .. } => gap(
                UnknownWhy::Immature,
                SignalState::TooEarly,
                format!("nothing has matured before {until}"),
            ),
            Observation::Ok(_) => Self::invalid("unfit".to_owned()),
        }
    }
}

/// The judged-fit data of an observation, or why there are none.
pub(super) fn fit(observation: Option<&Observation>) -> Result<&Observed, Gap> {
    match observation {
        Some(Observation::Ok(observed)) => Ok(observed),
        Some(other) => Err(Gap::of(other)),
        None => Err(Gap {
            why: UnknownWhy::NoData,
            state: SignalState::NoData,
            words: Some("never observed".to_owned()),
        }),
    }
}

/// How a signal compares, with all that is shown beside a test.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) basis: Basis,
    method: MethodName,
    /// Units (or blocks) by arm.
    n: BTreeMap<String, f64>,
    /// Units that grow with time: of both arms, or of the treatment.
    pub(super) units: f64,
    phi: Option<f64>,
    uncontrolled: bool,
    exact_baseline: bool,
    /// What is estimated is the level itself, held against a wanted level.
    is_level: bool,
}

/// Which end or ends of an interval a purpose uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Both,
    Lower,
    Upper,
}

/// A finished test, for [`Measure::evidence`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Test {
    pub(super) bound: Bound,
    pub(super) relative: bool,
    pub(super) tau: f64,
    pub(super) alpha: f64,
    pub(super) ln_p: f64,
}

impl Measure {
    /// The change of a signal against its comparison; `Ok(None)` without a comparison.
    pub(super) fn of(
        experiment: &Experiment,
        signal: &Signal,
        observed: &Observed,
    ) -> Result<Option<Self>, Gap> {
        let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
        if let Compare::Arms {
            control, treatment, ..
        } = compare
        {
            let arm = |name: &str| observed.arms.get(name).ok_or_else(|| unobserved(name));
            let judged = Arms { control, treatment };
            return judged
                .measure(arm(control)?, arm(treatment)?, observed)
                .map(Some);
        }
        let sample = observed.arms.get(ALL).ok_or_else(|| unobserved(ALL))?;
        if let Some(baseline) = &observed.baseline {
            return measured(sample, baseline).map(Some);
        }
        match signal.from {
            Some(Baseline::Stated(level)) => stated(sample, level, true).map(Some),
            Some(Baseline::Counted { x, n, .. }) => counted(sample, x, n).map(Some),
            _ => Ok(None),
        }
    }

    /// The treatment's own level, held against `wanted`.
    pub(super) fn of_level(
        experiment: &Experiment,
        signal: &Signal,
        observed: &Observed,
        wanted: f64,
    ) -> Result<Self, Gap> {
        let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
        let name = match compare {
            Compare::Arms { treatment, .. } => treatment.as_str(),
            _ => ALL,
        };
        let sample = observed.arms.get(name).ok_or_else(|| unobserved(name))?;
        let mut measure = level_measure(sample, wanted)?;
        measure.n = BTreeMap::from([(name.to_owned(), size(sample))]);
        measure.uncontrolled = false;
        measure.exact_baseline = false;
        measure.is_level = true;
        Ok(measure)
    }

    /// The measure placed at another change and another amount of data (`factor` x the present).
    pub(super) fn placed(&self, change: f64, factor: f64) -> Self {
        Self {
            basis: self.basis.placed(change, factor),
            ..self.clone()
        }
    }

    /// The evidence record of a finished test.
    pub(super) fn evidence(&self, test: Test) -> Evidence {
        let change = self.basis.change();
        let interval = self
            .basis
            .interval(test.relative, test.bound, test.tau, test.alpha);
        let wanted = self.basis.comparison();
        let (estimate, interval) = match (self.is_level, test.relative) {
            (true, _) => (self.basis.level(), interval.shifted(wanted)),
            (false, true) => (self.basis.relative_change().unwrap_or(0.0), interval),
            (false, false) => (change, interval),
        };
        Evidence {
            method: self.method,
            estimate,
            interval,
            alpha: test.alpha,
            sides: if test.bound == Bound::Both { 2 } else { 1 },
            tau: test.tau,
            p_seq: libm::exp(test.ln_p),
            relative: test.relative,
            n: self.n.clone(),
            comparison: (!self.is_level).then_some(wanted),
            level: Some(self.basis.level()),
            phi: self.phi,
            uncontrolled: self.uncontrolled,
            exact_baseline: self.exact_baseline,
            assumptions: self.assumptions(),
        }
    }

    /// The evidence without a test: no tau, so the interval excludes nothing.
    pub(super) fn untested(&self) -> Evidence {
        let test = Test {
            bound: Bound::Both,
            relative: false,
            tau: 0.0,
            alpha: 1.0,
            ln_p: 0.0,
        };
        Evidence {
            interval: Interval::ALL,
            ..self.evidence(test)
        }
    }

    fn assumptions(&self) -> Vec<String> {
        let mut words = vec![match self.method {
            MethodName::InformationTime => "independent units; normal approximation",
            MethodName::RareEvents => "rare independent events; constant allocation",
            MethodName::OneProportion => "independent units with one probability",
            MethodName::OneRate => "independent events with one rate",
            MethodName::BlockMeans => "stationary apart from the change",
            MethodName::PairedBlocks => "shared load cancels in the differences",
            MethodName::Split => "units are assigned independently",
            MethodName::Exact => "the number is exact",
        }];
        if self.uncontrolled && self.exact_baseline {
            words.push("uncontrolled; baseline treated as exact");
        } else if self.uncontrolled {
            words.push("uncontrolled");
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Log of this look's p for "the truth lies on `side` of `null`".
    pub(super) fn ln_p(&self, null: super::basis::Null, side: Side, tau: f64, of: Sides) -> f64 {
        self.basis.ln_p(null, side, tau, of)
    }
}

fn unobserved(arm: &str) -> Gap {
    Gap {
        why: UnknownWhy::NoData,
        state: SignalState::NoData,
        words: Some(format!("no rows of arm `{arm}`")),
    }
}

fn size(sample: &Sample) -> f64 {
    sample
        .blocks
        .as_ref()
        .map_or(sample.sums.units(), |blocks| f64::from(blocks.count))
}

/// `(mean, variance of the mean)` of counted forms, widened by `phi`; `None` for a value.
fn moments(sample: &Sample, phi: f64) -> Option<(f64, f64)> {
    let (mean, variance) = match sample.sums {
        Sums::Proportion { num, den } => {
            let arm = Proportion { x: num, n: den };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Mean { n, sum, sum_sq } => {
            let arm = Moments { n, sum, sum_sq };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Ratio {
            n,
            num,
            den,
            num_sq,
            den_sq,
            cross,
        } => {
            let arm = RatioSums {
                n,
                num,
                den,
                num_sq,
                den_sq,
                cross,
            };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Rate { events, exposure } => {
            let arm = Count { events, exposure };
            (arm.mean(), arm.variance_of_mean())
        }
        Sums::Value { .. } => return None,
    };
    Some((mean, variance * phi.max(1.0)))
}

fn of_sample(sample: &Sample, phi: f64) -> Result<(f64, f64), Gap> {
    moments(sample, phi).ok_or_else(|| Gap::invalid("a series without blocks".to_owned()))
}

/// Usable blocks of a sample.
fn blocks_of(blocks: Option<&Blocks>) -> Result<&Blocks, Gap> {
    let blocks = blocks.ok_or_else(|| Gap::invalid("a series without blocks".to_owned()))?;
    match &blocks.refused {
        Some(why) => Err(Gap::invalid(why.clone())),
        None if blocks.count < 2 => Err(Gap::invalid("fewer than two blocks".to_owned())),
        None => Ok(blocks),
    }
}

/// `t / z`: the block sd is itself an estimate with `df` degrees of freedom.
fn inflation(df: f64) -> f64 {
    t_isf(0.025, df) / norm_isf(0.025)
}

/// The two judged arms by name.
#[derive(Debug, Clone, Copy)]
struct Arms<'a> {
    control: &'a str,
    treatment: &'a str,
}

impl Arms<'_> {
    fn measure(
        self,
        control: &Sample,
        treatment: &Sample,
        observed: &Observed,
    ) -> Result<Measure, Gap> {
        let (basis, method, phi) = match (treatment.sums, control.sums) {
            (Sums::Value { .. }, _) => {
                let basis = paired(control, treatment, observed)?;
                (basis, MethodName::PairedBlocks, None)
            }
            (Sums::Proportion { num, den }, Sums::Proportion { num: x, den: n }) => {
                let normal = self.normal(control, treatment, (1.0, 1.0))?;
                let (treated, held) = (Proportion { x: num, n: den }, Proportion { x, n });
                if treated.has_ten_of_each() && held.has_ten_of_each() {
                    (Basis::Normal(normal), MethodName::InformationTime, None)
                } else {
                    (rare(treated, held, normal), MethodName::RareEvents, None)
                }
            }
            (Sums::Rate { .. }, _) => {
                let phis = (control.phi.unwrap_or(1.0), treatment.phi.unwrap_or(1.0));
                let normal = self.normal(control, treatment, phis)?;
                let phi = phis.0.max(phis.1).max(1.0);
                (
                    Basis::Normal(normal),
                    MethodName::InformationTime,
                    Some(phi),
                )
            }
            _ => {
                let normal = self.normal(control, treatment, (1.0, 1.0))?;
                (Basis::Normal(normal), MethodName::InformationTime, None)
            }
        };
        let n = [
            (self.control, size(control)),
            (self.treatment, size(treatment)),
        ];
        let blocks = method == MethodName::PairedBlocks;
        Ok(Measure {
            basis,
            method,
            units: if blocks {
                size(treatment)
            } else {
                n[0].1 + n[1].1
            },
            n: n.into_iter()
                .map(|(arm, size)| (arm.to_owned(), size))
                .collect(),
            phi,
            uncontrolled: false,
            exact_baseline: false,
            is_level: false,
        })
    }

    fn normal(self, control: &Sample, treatment: &Sample, phis: (f64, f64)) -> Result<Normal, Gap> {
        Ok(Normal {
            treatment: of_sample(treatment, phis.1)?,
            comparison: of_sample(control, phis.0)?,
            covariance: 0.0,
            both_grow: true,
        })
    }
}

/// Below ten events (or ten non-events) in an arm: the rarer kind is what is counted.
fn rare(treatment: Proportion, control: Proportion, normal: Normal) -> Basis {
    let hits = treatment.x + control.x;
    let misses = treatment.n + control.n - hits;
    let mirrored = misses < hits;
    let count = |arm: Proportion| if mirrored { arm.n - arm.x } else { arm.x };
    let events = Events {
        treatment: count(treatment),
        treatment_size: treatment.n,
        control: count(control),
        control_size: control.n,
    };
    Basis::Rare {
        events,
        mirrored,
        normal,
    }
}

/// Block means of both arms on the same steps; their covariance follows from the differences.
fn paired(control: &Sample, treatment: &Sample, observed: &Observed) -> Result<Basis, Gap> {
    let differences = blocks_of(observed.paired.as_ref())?;
    let treated = blocks_of(treatment.blocks.as_ref())?;
    let held = blocks_of(control.blocks.as_ref())?;
    let size = f64::from(differences.count);
    let wide = inflation(size - 1.0);
    let of_mean = |variance: f64| wide * wide * variance / size;
    let (t, c, d) = (
        treated.sd * treated.sd,
        held.sd * held.sd,
        differences.sd * differences.sd,
    );
    Ok(Basis::Normal(Normal {
        treatment: (treated.mean, of_mean(t)),
        comparison: (held.mean, of_mean(c)),
        covariance: of_mean(0.5 * (t + c - d)),
        both_grow: true,
    }))
}

/// Everything against a baseline that was measured before the first start.
fn measured(sample: &Sample, baseline: &Sample) -> Result<Measure, Gap> {
    if let Sums::Value { .. } = sample.sums {
        let (later, before) = (
            blocks_of(sample.blocks.as_ref())?,
            blocks_of(baseline.blocks.as_ref())?,
        );
        let (k, kk) = (f64::from(before.count), f64::from(later.count));
        let df = k + kk - 2.0;
        let squares = (k - 1.0) * before.sd * before.sd + (kk - 1.0) * later.sd * later.sd;
        let wide = inflation(df);
        let variance = wide * wide * squares / df;
        let normal = Normal {
            treatment: (later.mean, variance / kk),
            comparison: (before.mean, variance / k),
            covariance: 0.0,
            both_grow: false,
        };
        return Ok(uncontrolled(
            sample,
            Basis::Normal(normal),
            MethodName::BlockMeans,
            false,
        ));
    }
    let phis = (sample.phi.unwrap_or(1.0), baseline.phi.unwrap_or(1.0));
    let normal = Normal {
        treatment: of_sample(sample, phis.0)?,
        comparison: of_sample(baseline, phis.1)?,
        covariance: 0.0,
        both_grow: false,
    };
    let mut measure = uncontrolled(
        sample,
        Basis::Normal(normal),
        MethodName::InformationTime,
        false,
    );
    measure.phi = Some(phis.0.max(phis.1).max(1.0)).filter(|phi| *phi > 1.0);
    Ok(measure)
}

/// Against `x` of `n` counted once: both errors for counts, else the level `x/n` as stated.
fn counted(sample: &Sample, x: f64, n: f64) -> Result<Measure, Gap> {
    let sums = match sample.sums {
        Sums::Proportion { .. } => Sums::Proportion { num: x, den: n },
        Sums::Rate { .. } => Sums::Rate {
            events: x,
            exposure: n,
        },
        _ => return stated(sample, x / n, true),
    };
    measured(
        sample,
        &Sample {
            sums,
            cells: 1,
            phi: None,
            blocks: None,
        },
    )
}

/// Against a constant: exact where the form has an exact test and its periods are even enough.
fn stated(sample: &Sample, level: f64, exact_baseline: bool) -> Result<Measure, Gap> {
    let uneven = sample.phi.filter(|phi| *phi > EXACT_LIMIT);
    let (basis, method) = match (sample.sums, uneven) {
        (Sums::Proportion { num, den }, None) => (
            Basis::OneProportion {
                s: num,
                n: den,
                p0: level,
            },
            MethodName::OneProportion,
        ),
        (Sums::Rate { events, exposure }, None) => {
            let count = Count { events, exposure };
            (Basis::OneRate { count, r0: level }, MethodName::OneRate)
        }
        (Sums::Value { .. }, _) => {
            let blocks = blocks_of(sample.blocks.as_ref())?;
            let size = f64::from(blocks.count);
            let wide = inflation(size - 1.0);
            let variance = wide * wide * blocks.sd * blocks.sd / size;
            let normal = Normal::against(level, (blocks.mean, variance));
            (Basis::Normal(normal), MethodName::BlockMeans)
        }
        _ => {
            let normal = Normal::against(level, of_sample(sample, uneven.unwrap_or(1.0))?);
            (Basis::Normal(normal), MethodName::InformationTime)
        }
    };
    let mut measure = uncontrolled(sample, basis, method, exact_baseline);
    measure.phi = uneven;
    Ok(measure)
}

/// A level: exact for proportions, the engine for the rest.
fn level_measure(sample: &Sample, wanted: f64) -> Result<Measure, Gap> {
    match sample.sums {
        Sums::Rate { .. } => {
            let normal = Normal::against(wanted, of_sample(sample, sample.phi.unwrap_or(1.0))?);
            let basis = Basis::Normal(normal);
            Ok(uncontrolled(
                sample,
                basis,
                MethodName::InformationTime,
                false,
            ))
        }
        _ => stated(sample, wanted, false),
    }
}

fn uncontrolled(sample: &Sample, basis: Basis, method: MethodName, exact: bool) -> Measure {
    Measure {
        basis,
        method,
        n: BTreeMap::from([(ALL.to_owned(), size(sample))]),
        units: size(sample),
        phi: None,
        uncontrolled: true,
        exact_baseline: exact,
        is_level: false,
    }
}
