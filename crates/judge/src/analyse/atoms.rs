//! Atoms of a rule: movement, tolerance and level (product.md 4.2).
//!
//! Part of `analyse`. Only an `ok` observation makes an atom true or false. `significant` and
//! `proven` latch their interval condition; estimate and *false* are read from this look.

use std::rc::Rc;

use super::basis::opposite;
use super::basis::{Basis, Null, reaches};
use super::look::{Look, Purpose, Question};
use super::measure::{Bound, Gap, Measure};
use super::outlook::{Growth, Outlook};
use super::tau;
use super::{AtomView, Evidence, Truth, UnknownWhy};
use crate::decide::Finding;
use crate::spec::{Amount, Atom, AtomKind, EvidenceMode, Form, Rule, Side, Signal};
use crate::stats::{Degenerate, Sides};

/// Units of a level before its estimate counts, unless `min_n` says otherwise.
const LEVEL_UNITS: f64 = 30.0;
/// The same for blocks of a series.
const LEVEL_BLOCKS: f64 = 8.0;

/// Which rule an atom stands in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// `continue_when`, with the alpha of the atom.
    Continue(f64),
    /// `stop_when`, at the harm share.
    Stop,
}

/// Every atom of `continue_when`, left to right.
pub(super) fn of_continue(look: &mut Look<'_>) -> Vec<AtomView> {
    let rule = &look.input.experiment.checkpoint.continue_when;
    let shares = look.shares.atoms.clone();
    let atoms = rule.atoms().into_iter().zip(shares);
    atoms.map(|(atom, alpha)| judge(look, atom, Place::Continue(alpha))).collect()
}

/// Every atom of `stop_when`, left to right.
pub(super) fn of_stop(look: &mut Look<'_>, rule: &Rule) -> Vec<AtomView> {
    rule.atoms().into_iter().map(|atom| judge(look, atom, Place::Stop)).collect()
}

/// The threshold of a movement or tolerance atom.
pub(super) fn threshold_of(atom: &Atom) -> Null {
    match atom.amount {
        Amount::Relative(relative) => Null::Relative(relative),
        Amount::Absolute(change) | Amount::Level(change) => Null::Change(change),
    }
}

/// What an atom comes to, before it is a view.
#[derive(Debug)]
struct Judged {
    evidence: Evidence,
    met: Truth,
    why: Option<UnknownWhy>,
    latched: bool,
    drifted: bool,
    outlook: Outlook,
}

fn judge(look: &mut Look<'_>, atom: &Atom, place: Place) -> AtomView {
    let judged = match look.experiment().signal(&atom.signal) {
        Some(signal) => match atom.kind {
            AtomKind::Movement => movement(look, signal, atom, place),
            AtomKind::Tolerance => tolerance(look, signal, atom, place),
            AtomKind::Level => level(look, signal, atom, place),
        },
        None => {
            Err(Gap { why: UnknownWhy::Invalid, state: super::SignalState::Invalid, words: None })
        }
    };
    let mode = look.experiment().evidence;
    let untested = matches!(mode, EvidenceMode::Point | EvidenceMode::NotRefuted);
    let mut view = AtomView {
        text: atom.text.clone(),
        signal: atom.signal.clone(),
        kind: atom.kind,
        wanted: threshold_of(atom).amount(),
        evidence: None,
        met: Truth::Unknown,
        why: None,
        latched: false,
        drifted: false,
        needs_more: None,
        decidable: false,
        no_test: untested && atom.kind == AtomKind::Movement && place != Place::Stop,
    };
    match judged {
        Err(gap) => {
            view.why = Some(gap.why);
            let outlook = match (gap.why, place) {
                (UnknownWhy::NotNow, Place::Continue(alpha)) => upcoming(look, atom, alpha),
                _ => Outlook::of_insufficient(look, atom),
            };
            view.needs_more = outlook.needs_more;
            view.decidable = outlook.decidable;
        }
        Ok(found) => {
            if found.drifted {
                look.findings.push(Finding::Drifted {
                    signal: atom.signal.clone(),
                    atom: Some(atom.text.clone()),
                    p_seq: Some(found.evidence.p_seq),
                });
            }
            view.evidence = Some(found.evidence);
            view.met = found.met;
            view.why = found.why;
            view.latched = found.latched;
            view.drifted = found.drifted;
            view.needs_more = found.outlook.needs_more;
            view.decidable = found.outlook.decidable;
        }
    }
    view
}

fn inconclusive(met: Truth) -> Option<UnknownWhy> {
    (met == Truth::Unknown).then_some(UnknownWhy::Inconclusive)
}

/// A measure that can be tested, and its tau; planned looks judge `continue_when` only and need
/// no tau.
fn tested(
    look: &Look<'_>,
    signal: &Signal,
    tau: Option<f64>,
    turn: Option<(f64, Sides)>,
) -> Result<(Rc<Measure>, f64), Gap> {
    let measure = match turn {
        Some(turn) => look.turn(signal, turn)?,
        None => look.measure(signal)?,
    };
    let tau = tau.or(measure.planned.map(|_| 0.0));
    let gap = |why, words: &str| Gap {
        why,
        state: super::SignalState::Invalid,
        words: Some(words.to_owned()),
    };
    match (measure.basis.degenerate(), tau) {
        (Some(Degenerate::Constant), _) => Err(gap(UnknownWhy::Inconclusive, "constant")),
        (Some(Degenerate::ZeroVariance), _) => Err(gap(UnknownWhy::Invalid, "zero variance")),
        (None, None) => Err(gap(UnknownWhy::Invalid, "no aim, threshold or plan gives a tau")),
        (None, Some(tau)) => Ok((measure, tau)),
    }
}

fn movement(
    look: &mut Look<'_>,
    signal: &Signal,
    atom: &Atom,
    place: Place,
) -> Result<Judged, Gap> {
    let threshold = threshold_of(atom);
    let tau = tau::of_signal(look.experiment(), signal, Some(threshold));
    let turn = match place {
        Place::Continue(alpha) => Some((alpha, Sides::Two)),
        Place::Stop => None,
    };
    let (measure, tau) = tested(look, signal, tau, turn)?;
    match place {
        Place::Continue(alpha) => Ok(continue_movement(look, signal, atom, &measure, (tau, alpha))),
        Place::Stop => Ok(stop_movement(look, signal, atom, &measure, tau)),
    }
}

fn continue_movement(
    look: &mut Look<'_>,
    signal: &Signal,
    atom: &Atom,
    measure: &Measure,
    (tau, alpha): (f64, f64),
) -> Judged {
    let (threshold, side) = (threshold_of(atom), atom.side);
    let mode = look.experiment().evidence;
    let null = if mode == EvidenceMode::Proven { threshold } else { Null::NONE };
    let sides = Sides::Two;
    let asked = Question { purpose: Purpose::Atom, null, side, tau, alpha, sides };
    let answer = look.ask(signal, measure, asked);
    let limit = libm::log(answer.alpha);
    let refuted = |basis: &Basis| basis.ln_p(threshold, opposite(side), answer.tau, sides) <= limit;
    let wrong = refuted(&measure.basis);
    let reached = measure.basis.reaches(threshold, side);
    let latching = matches!(mode, EvidenceMode::Significant | EvidenceMode::Proven);
    let (met, why) = match mode {
        EvidenceMode::Significant | EvidenceMode::Proven => {
            let met = if reached && answer.ever() {
                Truth::True
            } else if wrong {
                Truth::False
            } else {
                Truth::Unknown
            };
            (met, inconclusive(met))
        }
        _ if !look.at_checkpoint => (Truth::Unknown, Some(UnknownWhy::NotNow)),
        EvidenceMode::NotRefuted => (truth(!wrong), None),
        EvidenceMode::Point => (truth(reached), None),
    };
    let would_hold = |placed: &Basis| match mode {
        EvidenceMode::Significant | EvidenceMode::Proven => {
            placed.reaches(threshold, side) && placed.ln_p(null, side, answer.tau, sides) <= limit
        }
        EvidenceMode::NotRefuted => !refuted(placed),
        EvidenceMode::Point => placed.reaches(threshold, side),
    };
    let change = aimed_change(look, signal, measure, threshold, side);
    let growth = Growth::of(look, signal, measure);
    // A single planned look has nothing earlier: what it showed is what it shows.
    let latching = latching && !Look::is_spent(measure);
    Judged {
        evidence: Look::evidence(measure, &answer, Bound::Both, threshold.is_relative()),
        met,
        why,
        latched: latching && answer.earlier,
        drifted: latching && answer.earlier && !answer.now,
        outlook: growth.outlook(measure, change, met, would_hold).unless_spent(measure),
    }
}

/// What the end of the plan would say of an atom that is not judged yet.
fn upcoming(look: &Look<'_>, atom: &Atom, alpha: f64) -> Outlook {
    let (threshold, side) = (threshold_of(atom), atom.side);
    let proven = look.experiment().evidence == EvidenceMode::Proven;
    let (null, sides) = match atom.kind {
        AtomKind::Tolerance => (threshold, Sides::One),
        AtomKind::Movement if proven => (threshold, Sides::Two),
        AtomKind::Movement => (Null::NONE, Sides::Two),
        // A level asks for units and an estimate, which wait for nothing but the look.
        AtomKind::Level => return Outlook::default(),
    };
    let Some(signal) = look.experiment().signal(&atom.signal) else {
        return Outlook::default();
    };
    let Ok(measure) = look.ahead(signal, (alpha, sides)) else {
        return Outlook::default();
    };
    let change = match atom.kind {
        AtomKind::Tolerance => measure.basis.change(),
        _ => aimed_change(look, signal, &measure, threshold, side),
    };
    let limit = libm::log(alpha);
    let growth = Growth::of(look, signal, &measure);
    growth.outlook(&measure, change, Truth::Unknown, |placed| {
        let reached = atom.kind == AtomKind::Tolerance || placed.reaches(threshold, side);
        reached && placed.ln_p(null, side, 0.0, sides) <= limit
    })
}

/// The aim's effect where it points to the atom's side, else the threshold, as a change.
fn aimed_change(
    look: &Look<'_>,
    signal: &Signal,
    measure: &Measure,
    threshold: Null,
    side: Side,
) -> f64 {
    let aimed = tau::aim_effect(look.experiment(), signal);
    aimed.filter(|effect| effect * side.sign() > 0.0).unwrap_or(match threshold {
        Null::Change(change) => change,
        Null::Relative(relative) => relative * measure.basis.comparison(),
    })
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}

/// `stop_when`: estimate at the threshold and the one-sided interval wholly beyond no change.
fn stop_movement(
    look: &mut Look<'_>,
    signal: &Signal,
    atom: &Atom,
    measure: &Measure,
    tau: f64,
) -> Judged {
    let (threshold, side, sides) = (threshold_of(atom), atom.side, Sides::One);
    let alpha = look.shares.harm;
    let asked = Question { purpose: Purpose::Stop, null: Null::NONE, side, tau, alpha, sides };
    let answer = look.ask(signal, measure, asked);
    let beyond = measure.ln_p(threshold, opposite(side), answer.tau, sides);
    let met = if answer.now && measure.basis.reaches(threshold, side) {
        Truth::True
    } else if beyond <= libm::log(answer.alpha) {
        Truth::False
    } else {
        Truth::Unknown
    };
    let relative = threshold.is_relative();
    one_sided(Look::evidence(measure, &answer, bound_for(side), relative), met)
}

fn one_sided(evidence: Evidence, met: Truth) -> Judged {
    let why = inconclusive(met);
    let outlook = Outlook::default();
    Judged { evidence, met, why, latched: false, drifted: false, outlook }
}

/// The end of the interval that evidence for a side rests on.
pub(super) fn bound_for(side: Side) -> Bound {
    match side {
        Side::AtLeast => Bound::Lower,
        Side::AtMost => Bound::Upper,
    }
}

/// Not worse than: the bad-side bound inside the tolerance.
fn tolerance(
    look: &mut Look<'_>,
    signal: &Signal,
    atom: &Atom,
    place: Place,
) -> Result<Judged, Gap> {
    let (threshold, side, sides) = (threshold_of(atom), atom.side, Sides::One);
    let experiment = look.experiment();
    let from = tau::stated_from(experiment, signal);
    let tau = tau::in_contrast_units(threshold, from)
        .or_else(|| tau::of_signal(experiment, signal, None));
    let (purpose, alpha, turn) = match place {
        Place::Continue(alpha) => (Purpose::Atom, alpha, Some((alpha, sides))),
        Place::Stop => (Purpose::Stop, look.shares.harm, None),
    };
    let (measure, tau) = tested(look, signal, tau, turn)?;
    let asked = Question { purpose, null: threshold, side, tau, alpha, sides };
    let answer = look.ask(signal, &measure, asked);
    let limit = libm::log(answer.alpha);
    let beyond = measure.ln_p(threshold, opposite(side), answer.tau, sides) <= limit;
    let met = match (answer.now, beyond) {
        (true, _) => Truth::True,
        (false, true) => Truth::False,
        (false, false) => Truth::Unknown,
    };
    let relative = threshold.is_relative();
    let mut found = one_sided(Look::evidence(&measure, &answer, bound_for(side), relative), met);
    let holds = |placed: &Basis| placed.ln_p(threshold, side, answer.tau, sides) <= limit;
    let growth = Growth::of(look, signal, &measure);
    let outlook = growth.outlook(&measure, measure.basis.change(), met, holds);
    found.outlook = outlook.unless_spent(&measure);
    Ok(found)
}

/// The level of the treatment against a wanted level.
fn level(look: &mut Look<'_>, signal: &Signal, atom: &Atom, place: Place) -> Result<Judged, Gap> {
    let experiment = look.experiment();
    let wanted = threshold_of(atom).amount();
    let measure = match place {
        Place::Continue(alpha) => look.turn_level(signal, wanted, (alpha, Sides::Two))?,
        Place::Stop => Measure::of_level(experiment, signal, look.observed(signal)?, wanted)?,
    };
    let side = atom.side;
    let reached = reaches(measure.basis.level(), wanted, side);
    let enough = measure.units >= least_units(signal);
    let tau = tau::of_level(experiment, signal, wanted).or(measure.planned.map(|_| 0.0));
    let Some(tau) = tau else {
        // Without a tau there is no interval; the estimate alone may still reach the level.
        let holds = reached && enough && place != Place::Stop;
        let met = if holds { Truth::True } else { Truth::Unknown };
        return Ok(one_sided(measure.untested(), met));
    };
    let (purpose, alpha, sides) = match place {
        Place::Continue(alpha) => (Purpose::Level, alpha, Sides::Two),
        Place::Stop => (Purpose::Stop, look.shares.harm, Sides::One),
    };
    let asked = Question { purpose, null: Null::NONE, side, tau, alpha, sides };
    let answer = look.ask(signal, &measure, asked);
    let limit = libm::log(answer.alpha);
    let below = measure.ln_p(Null::NONE, opposite(side), answer.tau, sides) <= limit;
    let wants_interval = place == Place::Stop || experiment.evidence == EvidenceMode::Proven;
    let latch = answer.now || (answer.earlier && place != Place::Stop);
    let met = if reached && enough && (latch || !wants_interval) {
        Truth::True
    } else if below {
        Truth::False
    } else {
        Truth::Unknown
    };
    let bound = if place == Place::Stop { bound_for(side) } else { Bound::Both };
    let mut found = one_sided(Look::evidence(&measure, &answer, bound, false), met);
    if met == Truth::Unknown && !enough {
        found.why = Some(UnknownWhy::Insufficient);
    }
    let least = least_units(signal);
    let holds = |placed: &Basis, units: f64| {
        let proven = placed.ln_p(Null::NONE, side, answer.tau, sides) <= limit;
        reached && units >= least && (proven || !wants_interval)
    };
    let growth = Growth::of(look, signal, &measure);
    let outlook = growth.outlook_at(&measure, measure.basis.change(), met, holds);
    found.outlook = outlook.unless_spent(&measure);
    Ok(found)
}

fn least_units(signal: &Signal) -> f64 {
    let usual = if signal.form == Form::Value { LEVEL_BLOCKS } else { LEVEL_UNITS };
    signal.min_n.map_or(usual, |min_n| min_n as f64)
}
