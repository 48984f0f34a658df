//! One look at one experiment: the tests it opens and what they leave behind.
//!
//! Part of `analyse`. [`Look`] owns the carry of this look; atoms, states, harm and margins ask it
//! for tests. Invariants: every test has an id that names its hypothesis (signal, arms, null,
//! side, purpose) and its own epoch; a test is opened at most once per look.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::alpha::Shares;
use super::basis::{Basis, Null};
use super::carry::{Epoch, Opened, close, open};
use super::compiled::{Compiled, Named};
use super::fixed_methods::refit;
use super::measure::{Bound, Gap, Measure, Test, fit};
use super::planned::{self, Planned, Turn};
use super::{Evidence, UnknownWhy};
use crate::decide::Finding;
use crate::ids::hash128;
use crate::observe::Observed;
use crate::plan::series_of_signal;
use crate::record::{Carry, LookInput};
use crate::spec::{Compare, Experiment, LookPlan, SPENDING, Side, Signal};
use crate::stats::Sides;

/// What a test is for; part of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Atom,
    Level,
    Signal,
    Harm,
    Stop,
    Safe,
    Worse,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Atom => "atom",
            Self::Level => "level",
            Self::Signal => "signal",
            Self::Harm => "harm",
            Self::Stop => "stop",
            Self::Safe => "guardrail_ok",
            Self::Worse => "guardrail_trip",
        }
    }
}

/// The question a test asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) purpose: Purpose,
    pub(super) null: Null,
    /// The side of the null that the evidence is for.
    pub(super) side: Side,
    pub(super) tau: f64,
    pub(super) alpha: f64,
    pub(super) sides: Sides,
}

/// A test after this look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) tau: f64,
    pub(super) alpha: f64,
    pub(super) ln_p: f64,
    /// Excluded by this look's interval.
    pub(super) now: bool,
    /// Excluded by an earlier look of this epoch.
    pub(super) earlier: bool,
}

impl Answer {
    pub(super) fn ever(&self) -> bool {
        self.now || self.earlier
    }
}

#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) input: &'a LookInput,
    pub(super) at_checkpoint: bool,
    pub(super) shares: Shares,
    pub(super) compiled: Rc<Compiled>,
    pub(super) carry: Carry,
    pub(super) findings: Vec<Finding>,
    pub(super) planned: Planned,
    told: BTreeSet<String>,
    measures: RefCell<BTreeMap<String, Result<Rc<Measure>, Gap>>>,
}

impl<'a> Look<'a> {
    pub(super) fn new(input: &'a LookInput, at_checkpoint: bool) -> Self {
        let mut carry = input.carry.clone();
        let compiled = Compiled::of(&input.experiment);
        Self {
            input,
            at_checkpoint,
            shares: compiled.shares.clone(),
            compiled,
            planned: Planned::new(input, &mut carry, at_checkpoint),
            carry,
            findings: Vec::new(),
            told: BTreeSet::new(),
            measures: RefCell::default(),
        }
    }

    pub(super) fn experiment(&self) -> &'a Experiment {
        &self.input.experiment
    }

    /// Judged-fit data of a signal.
    pub(super) fn observed(&self, signal: &Signal) -> Result<&'a Observed, Gap> {
        fit(self.input.observations.get(&signal.name))
    }

    /// The change of a signal; a [`Gap`] also when there is nothing to compare with.
    pub(super) fn measure(&self, signal: &Signal) -> Result<Rc<Measure>, Gap> {
        if let Some(known) = self.measures.borrow().get(signal.name.as_str()) {
            return known.clone();
        }
        let observed = self.observed(signal);
        let found = observed.and_then(|observed| self.measure_of(signal, observed)).map(Rc::new);
        self.measures.borrow_mut().insert(signal.name.clone(), found.clone());
        found
    }

    fn measure_of(&self, signal: &Signal, observed: &Observed) -> Result<Measure, Gap> {
        let measure = Measure::of(self.experiment(), signal, observed)?;
        measure.ok_or_else(|| Gap {
            why: UnknownWhy::Invalid,
            state: super::SignalState::Shown,
            words: Some("no comparison: neither arms nor `from`".to_owned()),
        })
    }

    /// The change of a signal as the look plan lets a test at `alpha` judge it now.
    pub(super) fn turn(
        &self,
        signal: &Signal,
        (alpha, sides): (f64, Sides),
    ) -> Result<Rc<Measure>, Gap> {
        match planned::turn(self, signal, alpha, sides)? {
            None => self.measure(signal),
            Some(turn) => {
                let shell = self.measure_of(signal, &turn.observed)?;
                refit(shell, self.experiment(), signal, turn, None).map(Rc::new)
            }
        }
    }

    /// The level of the treatment against a wanted level, as the look plan lets it be judged now.
    pub(super) fn turn_level(
        &self,
        signal: &Signal,
        wanted: f64,
        (alpha, sides): (f64, Sides),
    ) -> Result<Measure, Gap> {
        let experiment = self.experiment();
        match planned::turn(self, signal, alpha, sides)? {
            None => Measure::of_level(experiment, signal, self.observed(signal)?, wanted),
            Some(turn) => {
                let shell = Measure::of_level(experiment, signal, &turn.observed, wanted)?;
                refit(shell, experiment, signal, turn, Some(wanted))
            }
        }
    }

    /// What the present data would be judged by at the end of the plan: for outlooks only.
    pub(super) fn ahead(
        &self,
        signal: &Signal,
        (alpha, sides): (f64, Sides),
    ) -> Result<Measure, Gap> {
        let observed = self.observed(signal)?;
        let (look, share) = planned::ahead(self, alpha, sides);
        let shell = self.measure_of(signal, observed)?;
        let turn = Turn { observed: observed.clone(), look, share };
        refit(shell, self.experiment(), signal, turn, None)
    }

    /// A single planned look is used up: more data cannot settle what it left open.
    pub(super) fn is_spent(measure: &Measure) -> bool {
        let once = |look: super::PlannedLook| look.plan == LookPlan::Once && look.looks > 0;
        matches!(measure.basis, Basis::Planned { .. }) && measure.planned.is_some_and(once)
    }

    /// Asks one question, remembers its p and says what holds.
    pub(super) fn ask(&mut self, signal: &Signal, measure: &Measure, asked: Question) -> Answer {
        self.ask_for("", signal, measure, asked)
    }

    /// As [`Self::ask`], for one of several askers (guardrails) with a test each: with one id for
    /// all, two margins on one signal would open each other's epoch anew at every look.
    pub(super) fn ask_for(
        &mut self,
        asker: &str,
        signal: &Signal,
        measure: &Measure,
        asked: Question,
    ) -> Answer {
        let named = self.compiled.test(asker, signal, &asked);
        let opened = self.open(&named, signal, &asked);
        let ln_p_now = measure.ln_p(asked.null, asked.side, opened.tau, asked.sides);
        let ln_p = close(&mut self.carry, &named.id, ln_p_now);
        let limit = libm::log(opened.alpha);
        Answer {
            tau: opened.tau,
            alpha: opened.alpha,
            ln_p,
            now: ln_p_now <= limit,
            earlier: opened.ln_p_before <= limit,
        }
    }

    fn open(&mut self, named: &Named, signal: &Signal, asked: &Question) -> Opened {
        let (id, epoch) = (&named.id, &named.epoch);
        let opened = open(&mut self.carry, id, epoch, (asked.tau, asked.alpha), self.input.at);
        let name = || signal.name.clone();
        let retargeted = opened.retargeted.map(|earlier| {
            let (tau, alpha) = (Some(opened.tau), Some(opened.alpha));
            Finding::Retargeted { signal: name(), earlier, tau, alpha }
        });
        let redefined = opened.redefined;
        let redefined =
            redefined.map(|earlier| Finding::DefinitionChanged { signal: name(), earlier });
        if let Some(finding) = retargeted.or(redefined)
            && self.told.insert(name())
        {
            self.findings.push(finding);
        }
        opened
    }

    /// Evidence of an answered question.
    pub(super) fn evidence(
        measure: &Measure,
        answer: &Answer,
        bound: Bound,
        relative: bool,
    ) -> Evidence {
        measure.evidence(Test {
            bound,
            relative,
            tau: answer.tau,
            alpha: answer.alpha,
            ln_p: answer.ln_p,
        })
    }
}

fn arms_text(experiment: &Experiment, signal: &Signal) -> String {
    match signal.compare.as_ref().unwrap_or(&experiment.compare) {
        Compare::Arms { control, treatment, .. } => format!("{treatment}:{control}"),
        Compare::Baseline => "baseline".to_owned(),
        Compare::BeforeAfter { window } => format!("before {window}"),
    }
}

fn null_text(null: Null) -> String {
    match null {
        // Most questions are about no change at all.
        Null::Change(0.0) => "0.00000000000e0".to_owned(),
        Null::Change(change) => format!("{:.11e}", change + 0.0),
        Null::Relative(relative) => format!("{:.11e} of comparison", relative + 0.0),
    }
}

/// `purpose|signal|arms|null|side`.
pub(super) fn test_id(experiment: &Experiment, signal: &Signal, asked: &Question) -> String {
    let side = match asked.side {
        Side::AtLeast => "above",
        Side::AtMost => "below",
    };
    let null = null_text(asked.null);
    let arms = arms_text(experiment, signal);
    format!("{}|{}|{arms}|{null}|{side}", asked.purpose.word(), signal.name)
}

/// What all tests on a signal stand on alike.
#[derive(Debug)]
pub(super) struct Grounds {
    /// Hash of [`definition`].
    pub(super) definition: String,
    pub(super) aim: String,
}

impl Grounds {
    pub(super) fn of(experiment: &Experiment, signal: &Signal) -> Self {
        let aim = experiment.aim_on(&signal.name).map(|aim| (aim.from, aim.to));
        Self {
            definition: hash128(&[&definition(experiment, signal)]),
            aim: format!("{aim:?} {:?}", signal.from),
        }
    }
}

fn definition(experiment: &Experiment, signal: &Signal) -> String {
    let series = series_of_signal(experiment, signal);
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    format!("{series} {compare:?} {} {:?} {}", experiment.start, signal.form, signal.matures_after)
}

/// What the planned looks of a signal stand on: an edited target opens a new test, but no new
/// look at data.
pub(super) fn planned_epoch(experiment: &Experiment, signal: &Signal) -> String {
    let checkpoint = &experiment.checkpoint;
    let plan = format!("{:?} {}", checkpoint.look, checkpoint.spending);
    Epoch::new(&[&definition(experiment, signal)], &[&plan]).text().to_owned()
}

/// What makes a test another one by its target: aim, tau, alpha, sides, plan, method.
pub(super) fn target(
    experiment: &Experiment,
    signal: &Signal,
    asked: &Question,
    aim: &str,
) -> String {
    let checkpoint = &experiment.checkpoint;
    let mut target = format!(
        "{aim} {:.11e} {:.11e} {:?} {:?}",
        asked.tau, asked.alpha, asked.sides, checkpoint.look
    );
    // These parts follow only where they are written, so that older epochs stay what they were.
    if checkpoint.spending != SPENDING {
        target.push_str(" spending ");
        target.push_str(&checkpoint.spending.to_string());
    }
    if let Some(method) = signal.method {
        target.push_str(" method ");
        target.push_str(method.name());
    }
    target
}
