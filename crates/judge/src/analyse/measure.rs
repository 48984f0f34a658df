//! One observed signal against its comparison, ready for every test a look asks of it.
//!
//! Part of `analyse`. [`Measure::of`] picks the method for design and form (the table of
//! product.md 3); the tests themselves are in `basis`. Invariants: a measure is made of matured
//! sums only and knows no alpha; whatever keeps it from being judged is a [`Gap`].

use std::collections::BTreeMap;

use super::basis::{Basis, Null};
use super::covariate;
use super::methods::{Arms, counted, level, measured, size, stated, unobserved};
use super::rare::Plan;
use super::{Adjusted, Evidence, MethodName, PlannedLook, SignalState, UnknownWhy, tau};
use crate::observe::{Observation, Observed};
use crate::points::ALL;
use crate::spec::{Baseline, Compare, Design, Experiment, LookPlan, Side, Signal, fitting};
use crate::stats::{Interval, Sides, bounded};

/// Why a signal cannot be judged now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gap {
    pub(super) why: UnknownWhy,
    pub(super) state: SignalState,
    pub(super) words: Option<String>,
}

impl Gap {
    pub(super) fn invalid(words: String) -> Self {
        Self { why: UnknownWhy::Invalid, state: SignalState::Invalid, words: Some(words) }
    }

    /// What an observation other than `ok` means.
    fn of(observation: &Observation) -> Self {
        let gap = |why, state, words: String| Self { why, state, words: Some(words) };
        match observation {
            Observation::Insufficient { more, .. } => {
                gap(UnknownWhy::Insufficient, SignalState::TooEarly, format!("{more} more needed"))
            }
            Observation::NoData { why, .. } => {
                gap(UnknownWhy::NoData, SignalState::NoData, why.clone())
            }
            Observation::SourceError { class, cause, .. } => {
                gap(UnknownWhy::SourceError, SignalState::NoData, format!("{class}: {cause}"))
            }
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

/// The method that a file asks for, where it is one of those valid at every look.
fn named(signal: &Signal, design: Design) -> Option<MethodName> {
    let fits = fitting(design, signal.form, LookPlan::Always);
    signal.method.filter(|method| fits.contains(method))
}

/// How a signal compares, with all that is shown beside a test.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) basis: Basis,
    pub(super) method: MethodName,
    /// Units (or blocks) by arm.
    pub(super) n: BTreeMap<String, f64>,
    /// Units that grow with time: of both arms, or of the treatment.
    pub(super) units: f64,
    pub(super) phi: Option<f64>,
    pub(super) adjusted: Option<Adjusted>,
    pub(super) uncontrolled: bool,
    pub(super) exact_baseline: bool,
    /// What is estimated is the level itself, held against a wanted level.
    pub(super) is_level: bool,
    /// The planned look that is judged, unless every look is.
    pub(super) planned: Option<PlannedLook>,
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
        if let Compare::Arms { control, treatment, split, .. } = compare {
            let arm = |name: &str| observed.arms.get(name).ok_or_else(|| unobserved(name));
            let planned = |arm: &str| split.get(arm).copied().unwrap_or(0.5);
            let (held, treated) = (planned(control), planned(treatment));
            let plan = Plan {
                share: treated / (held + treated),
                from: tau::stated_from(experiment, signal).filter(|p| *p > 0.0 && *p < 1.0),
                sign: signal.want.sign(),
            };
            let named = named(signal, Design::Arms);
            let covariates = covariate::count(experiment);
            let judged = Arms { control, treatment, named, plan, covariates };
            return judged.measure(arm(control)?, arm(treatment)?, observed).map(Some);
        }
        let sample = observed.arms.get(ALL).ok_or_else(|| unobserved(ALL))?;
        if let Some(baseline) = &observed.baseline {
            return measured(sample, baseline).map(Some);
        }
        match signal.from {
            Some(Baseline::Stated(level)) => {
                stated(sample, level, true, named(signal, Design::Stated)).map(Some)
            }
            Some(Baseline::Counted { x, n, .. }) => {
                counted(sample, (x, n), named(signal, Design::Stated)).map(Some)
            }
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
        let mut measure = level(sample, wanted, named(signal, Design::Stated))?;
        measure.n = BTreeMap::from([(name.to_owned(), size(sample))]);
        measure.uncontrolled = false;
        measure.exact_baseline = false;
        measure.is_level = true;
        Ok(measure)
    }

    /// The evidence record of a finished test: finite, whatever sums came.
    pub(super) fn evidence(&self, test: Test) -> Evidence {
        let change = self.basis.change();
        let interval = self.basis.interval(test.relative, test.bound, test.tau, test.alpha);
        let wanted = self.basis.comparison();
        let (estimate, interval) = match (self.is_level, test.relative) {
            (true, _) => (self.basis.level(), interval.shifted(wanted)),
            (false, true) => (self.basis.relative_change().unwrap_or(0.0), interval),
            (false, false) => (change, interval),
        };
        Evidence {
            method: self.method,
            estimate: bounded(estimate),
            interval: Interval::of(interval.lo, interval.hi),
            alpha: test.alpha,
            sides: if test.bound == Bound::Both { 2 } else { 1 },
            tau: test.tau,
            p_seq: libm::exp(test.ln_p.min(0.0)),
            relative: test.relative,
            n: self.n.clone(),
            comparison: (!self.is_level).then_some(bounded(wanted)),
            level: Some(bounded(self.basis.level())),
            phi: self.phi.map(bounded),
            adjusted: self.adjusted,
            uncontrolled: self.uncontrolled,
            exact_baseline: self.exact_baseline,
            assumptions: self.assumptions(),
            planned: self.planned,
        }
    }

    /// The evidence without a test: no tau, so the interval excludes nothing.
    pub(super) fn untested(&self) -> Evidence {
        let test = Test { bound: Bound::Both, relative: false, tau: 0.0, alpha: 1.0, ln_p: 0.0 };
        Evidence { interval: Interval::ALL, ..self.evidence(test) }
    }

    fn assumptions(&self) -> Vec<String> {
        let mut words = vec![self.method.about().assumes];
        if self.uncontrolled && self.exact_baseline {
            words.push("uncontrolled; baseline treated as exact");
        } else if self.uncontrolled {
            words.push("uncontrolled");
        }
        if self.planned.is_some_and(|look| look.overrun) {
            words.push("more came than was planned: no alpha is left for it, the last bound stays");
        }
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.extend(self.adjusted.map(|adjusted| {
            let percent = 100.0 * adjusted.reduction;
            format!("adjusted by a covariate from before exposure: {percent:.0} % less variance")
        }));
        words
    }

    /// Log of this look's p for "the truth lies on `side` of `null`".
    pub(super) fn ln_p(&self, null: Null, side: Side, tau: f64, of: Sides) -> f64 {
        self.basis.ln_p(null, side, tau, of)
    }
}
