//! The state of every signal, and harm (product.md 4.2).
//!
//! Part of `analyse`. States use the current two-sided interval at the signal's own alpha, in its
//! good direction: `harm` U < 0, `met` L > 0 and estimate >= m, `short` L > 0 and U < m0,
//! `moving` L > 0, `flat` U < m0, else `inconclusive`. A signal that the rule asks for a level
//! only is `met`, `below` or `inconclusive` by that level.

use super::alpha::SIGNAL;
use super::atoms::{bound_for, threshold_of};
use super::basis::{Null, opposite, reaches};
use super::covariate;
use super::look::{Look, Purpose, Question};
use super::measure::{Bound, Gap, Measure};
use super::{AtomView, Evidence, HarmCheck, SignalState, SignalView, Truth, UnknownWhy, tau};
use crate::spec::{Atom, AtomKind, Experiment, Role, Side, Signal};
use crate::stats::{Degenerate, Sides};

/// Every signal, in file order; `atoms` are the judged atoms of `continue_when`.
pub(super) fn of_signals(look: &mut Look<'_>, atoms: &[AtomView]) -> Vec<SignalView> {
    let experiment = look.experiment();
    experiment.signals.iter().map(|signal| view(look, signal, atoms)).collect()
}

/// The side that is good.
pub(super) fn good_side(signal: &Signal) -> Side {
    if signal.want.sign() > 0.0 { Side::AtLeast } else { Side::AtMost }
}

/// A signal's own atoms of one kind in the rule, with their place.
fn atoms_on<'a>(
    experiment: &'a Experiment,
    signal: &'a Signal,
    kind: AtomKind,
) -> impl Iterator<Item = (usize, &'a Atom)> {
    let all = experiment.checkpoint.continue_when.atoms().into_iter().enumerate();
    all.filter(move |(_, atom)| atom.signal == signal.name && atom.kind == kind)
}

/// The thresholds of a signal: m of `met` and m0 of `flat` and `short`.
#[derive(Debug, Clone, Copy)]
struct Thresholds {
    met: Option<Null>,
    meaningful: Option<Null>,
}

fn thresholds(experiment: &Experiment, signal: &Signal) -> Thresholds {
    let good = good_side(signal);
    let in_rule = atoms_on(experiment, signal, AtomKind::Movement)
        .find(|(_, atom)| atom.side == good)
        .map(|(_, atom)| threshold_of(atom));
    let aimed = tau::aim_effect(experiment, signal).map(|effect| effect.abs() * good.sign());
    let met = in_rule.or(aimed.map(Null::Change));
    let least = signal.min_effect.map(|effect| Null::Change(effect.abs() * good.sign()));
    Thresholds { met, meaningful: least.or(met) }
}

fn view(look: &mut Look<'_>, signal: &Signal, atoms: &[AtomView]) -> SignalView {
    let experiment = look.experiment();
    let observed = look.observed(signal).ok();
    let mut view = SignalView {
        name: signal.name.clone(),
        role: signal.role,
        form: signal.form,
        want: signal.want,
        unit: signal.unit.clone(),
        state: SignalState::Shown,
        why: None,
        evidence: None,
        target: experiment.aim_on(&signal.name).and_then(|aim| aim.to),
        threshold: None,
        data_as_of: observed.map(|observed| observed.data_as_of),
        waiting: waiting(look, signal),
        imbalance: observed.and_then(|found| covariate::imbalance(experiment, signal, found)),
    };
    if let Err(gap) = look.observed(signal) {
        view.state = gap.state;
        view.why = gap.words;
        return view;
    }
    let by_level = atoms_on(experiment, signal, AtomKind::Level).map(|(index, _)| index).next();
    let moves = atoms_on(experiment, signal, AtomKind::Movement).next().is_some();
    // An outcome that can be compared keeps its change: `flat` and `harm` are about users.
    let compared = signal.role == Role::Outcome && look.measure(signal).is_ok();
    if let (Some(index), false) = (by_level, moves || compared) {
        by_level_atom(experiment, signal, &atoms[index], index, &mut view);
        return view;
    }
    by_change(look, signal, &mut view);
    view
}

fn waiting(look: &Look<'_>, signal: &Signal) -> f64 {
    use crate::observe::Observation;
    match look.input.observations.get(&signal.name) {
        Some(Observation::Ok(observed) | Observation::Insufficient { observed, .. }) => {
            observed.waiting
        }
        Some(Observation::Immature { waiting, .. }) => *waiting,
        _ => 0.0,
    }
}

/// A level's state: estimate there with enough units, interval wholly short of it, or neither.
fn by_level_atom(
    experiment: &Experiment,
    signal: &Signal,
    atom: &AtomView,
    index: usize,
    view: &mut SignalView,
) {
    view.evidence.clone_from(&atom.evidence);
    let side = experiment.checkpoint.continue_when.atoms()[index].side;
    let level = atom.evidence.as_ref().and_then(|evidence| evidence.level);
    let below = atom.evidence.as_ref().is_some_and(|evidence| match side {
        Side::AtLeast => evidence.interval.hi < atom.wanted,
        Side::AtMost => evidence.interval.lo > atom.wanted,
    });
    let reached = level.is_some_and(|level| reaches(level, atom.wanted, side));
    view.threshold = Some(atom.wanted);
    view.state = match atom.why {
        Some(UnknownWhy::Insufficient | UnknownWhy::NotNow) => SignalState::TooEarly,
        Some(UnknownWhy::Invalid) => SignalState::Invalid,
        _ if below => SignalState::Below,
        _ if reached && atom.met == Truth::True => SignalState::Met,
        _ => SignalState::Inconclusive,
    };
    if signal.role == Role::Guardrail {
        view.state = SignalState::Shown;
    }
}

fn by_change(look: &mut Look<'_>, signal: &Signal, view: &mut SignalView) {
    let experiment = look.experiment();
    let Thresholds { met, meaningful } = thresholds(experiment, signal);
    view.threshold = met.map(Null::amount);
    let alpha = atoms_on(experiment, signal, AtomKind::Movement)
        .next()
        .map_or(SIGNAL, |(index, _)| look.shares.atoms[index]);
    let measure = match look.turn(signal, (alpha, Sides::Two)) {
        Ok(measure) => measure,
        Err(gap) if gap.why == UnknownWhy::NotNow => return waits(look, signal, gap, view),
        Err(gap) => return unmeasured(look, signal, gap, view),
    };
    let relative = met.is_some_and(Null::is_relative);
    let tau = tau::of_signal(experiment, signal, met).or(measure.planned.map(|_| 0.0));
    let Some(tau) = tau else {
        view.evidence = Some(measure.untested());
        view.why = Some("no aim, threshold or plan gives a tau".to_owned());
        return;
    };
    let good = good_side(signal);
    let sides = Sides::Two;
    let purpose = Purpose::Signal;
    let asked = Question { purpose, null: Null::NONE, side: good, tau, alpha, sides };
    let answer = look.ask(signal, &measure, asked);
    let evidence = Look::evidence(&measure, &answer, Bound::Both, relative);
    view.state = state(signal, &measure, (met, meaningful), (answer.tau, answer.alpha));
    if measure.basis.degenerate() == Some(Degenerate::Constant) {
        view.why = Some("constant".to_owned());
    } else if view.state == SignalState::Invalid {
        view.why = Some("zero variance".to_owned());
    }
    if signal.role == Role::Guardrail {
        view.state = SignalState::Shown;
    }
    view.evidence = Some(evidence);
}

/// Not judged before its planned look: estimate and level are shown, without a test.
fn waits(look: &Look<'_>, signal: &Signal, gap: Gap, view: &mut SignalView) {
    view.state = if signal.role == Role::Guardrail { SignalState::Shown } else { gap.state };
    view.why = gap.words;
    view.evidence = look.measure(signal).ok().map(|measure| measure.untested());
}

/// No comparison: the level alone is shown (evidence without `comparison`).
fn unmeasured(look: &Look<'_>, signal: &Signal, gap: Gap, view: &mut SignalView) {
    view.state = gap.state;
    view.why = gap.words;
    if gap.state == SignalState::Shown
        && let Ok(observed) = look.observed(signal)
        && let Ok(level) = Measure::of_level(look.experiment(), signal, observed, 0.5)
    {
        view.evidence = Some(level.untested());
    }
}

fn state(
    signal: &Signal,
    measure: &Measure,
    (met, meaningful): (Option<Null>, Option<Null>),
    (tau, alpha): (f64, f64),
) -> SignalState {
    match measure.basis.degenerate() {
        Some(Degenerate::Constant) => return SignalState::Inconclusive,
        Some(Degenerate::ZeroVariance) => return SignalState::Invalid,
        None => {}
    }
    let (good, bad) = (good_side(signal), opposite(good_side(signal)));
    let limit = libm::log(alpha);
    let shown = |null: Null, side: Side| measure.ln_p(null, side, tau, Sides::Two) <= limit;
    let too_small = meaningful.is_some_and(|least| shown(least, bad));
    let better = shown(Null::NONE, good);
    let reached = met.is_none_or(|met| measure.basis.reaches(met, good));
    if shown(Null::NONE, bad) {
        SignalState::Harm
    } else if better && reached {
        SignalState::Met
    } else if better && too_small {
        SignalState::Short
    } else if better {
        SignalState::Moving
    } else if too_small {
        SignalState::Flat
    } else {
        SignalState::Inconclusive
    }
}

/// Harm of each outcome at its share of alpha, beyond its `harm_margin`.
pub(super) fn harm(look: &mut Look<'_>) -> Vec<HarmCheck> {
    let experiment = look.experiment();
    experiment.outcomes().filter_map(|signal| harm_of(look, signal)).collect()
}

fn harm_of(look: &mut Look<'_>, signal: &Signal) -> Option<HarmCheck> {
    let measure = look.measure(signal).ok()?;
    let Thresholds { met, .. } = thresholds(look.experiment(), signal);
    let tau = tau::of_signal(look.experiment(), signal, met)?;
    if measure.basis.degenerate().is_some() {
        return None;
    }
    let bad = opposite(good_side(signal));
    let (alpha, sides) = (look.shares.harm, Sides::One);
    let purpose = Purpose::Harm;
    let asked = Question { purpose, null: Null::NONE, side: bad, tau, alpha, sides };
    let answer = look.ask(signal, &measure, asked);
    let margin = Null::Change(signal.harm_margin.abs() * bad.sign());
    let evidence: Evidence = Look::evidence(&measure, &answer, bound_for(bad), false);
    let harmful = answer.now && measure.basis.reaches(margin, bad);
    Some(HarmCheck { signal: signal.name.clone(), evidence, harmful })
}
