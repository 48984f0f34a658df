//! `no_worse_than` inside a look, and the stored states of the other guardrails.
//!
//! Part of `analyse`. Two one-sided tests with tau = margin: "worse than the margin" at 0.05 for
//! `ok`, "no worse than before" at the trip's share for `tripped` (product.md 4.2, 4.5). A margin
//! in percent is a share of the baseline, which is a constant: the stated `from`, else the
//! measured one; with concurrent arms and no `from` it is the linear contrast.

use super::alpha::SIGNAL;
use super::atoms::bound_for;
use super::basis::{Null, opposite};
use super::look::{Answer, Look, Purpose, Question};
use super::measure::{Gap, Measure};
use super::states::good_side;
use super::{GuardrailStatus, UnknownWhy, tau};
use crate::guardrails::no_worse_than::{self, MarginEvidence};
use crate::guardrails::{Seen, settle, unseen};
use crate::observe::Observation;
use crate::spec::{Guardrail, GuardrailKind, Margin, NoWorseThan, Signal};
use crate::stats::{Interval, Sides, bounded};

/// Every guardrail in file order: stored, or judged now.
pub(super) fn guardrails(look: &mut Look<'_>) -> Vec<GuardrailStatus> {
    let experiment = look.experiment();
    experiment.guardrails.iter().map(|guardrail| status(look, guardrail)).collect()
}

fn status(look: &mut Look<'_>, guardrail: &Guardrail) -> GuardrailStatus {
    let stored = look.input.guardrails.iter().find(|status| status.name == guardrail.name);
    let GuardrailKind::NoWorseThan(kind) = &guardrail.kind else {
        return stored.cloned().unwrap_or_else(|| unseen(guardrail));
    };
    let seen = match look.experiment().signal(&kind.signal) {
        Some(signal) => see(look, guardrail, kind, signal),
        None => Seen::no_data(None, "no such signal"),
    };
    let every = look.experiment().checkpoint.look_every;
    settle(guardrail, stored, seen, look.input.at, every).0
}

fn see(look: &mut Look<'_>, guardrail: &Guardrail, kind: &NoWorseThan, signal: &Signal) -> Seen {
    match evidence(look, guardrail, kind, signal) {
        Ok(evidence) => no_worse_than::judge(&evidence),
        Err(gap) => {
            let since = match look.input.observations.get(&signal.name) {
                Some(Observation::NoData { since, .. }) => *since,
                Some(Observation::SourceError { since, .. }) => Some(*since),
                _ => None,
            };
            absent(&gap, since)
        }
    }
}

/// A gap as a guardrail state.
fn absent(gap: &Gap, since: Option<crate::time::Timestamp>) -> Seen {
    let words = gap.words.clone().unwrap_or_default();
    match gap.why {
        UnknownWhy::NoData => Seen::no_data(since, &words),
        UnknownWhy::SourceError => {
            let state = super::GuardrailState::SourceError;
            Seen { why: Some(words), ..Seen::state(state) }
        }
        _ => Seen::insufficient(&words),
    }
}

fn evidence(
    look: &mut Look<'_>,
    guardrail: &Guardrail,
    kind: &NoWorseThan,
    signal: &Signal,
) -> Result<MarginEvidence, Gap> {
    let measure = look.measure(signal)?;
    let sign = signal.want.sign();
    let (null, tau) = margin_of(look, kind, signal, &measure)?;
    let (good, sides) = (good_side(signal), Sides::One);
    let bad = opposite(good);
    let safe = Question { purpose: Purpose::Safe, null, side: good, tau, alpha: SIGNAL, sides };
    let trip = look.shares.trip(guardrail.on_trip);
    let none = Null::NONE;
    let worse =
        Question { purpose: Purpose::Worse, null: none, side: bad, tau, alpha: trip, sides };
    let name = &guardrail.name;
    let safe = look.ask_for(name, signal, &measure, safe);
    let worse = look.ask_for(name, signal, &measure, worse);
    let relative = null.is_relative();
    let inner = |answer: &Answer, side| {
        let found = measure.basis.interval(relative, bound_for(side), answer.tau, answer.alpha);
        let interval = Interval::of(found.lo, found.hi);
        if sign > 0.0 { interval } else { interval.mirrored() }
    };
    let interval = Interval { lo: inner(&safe, good).lo, hi: inner(&worse, bad).hi };
    let change = match null {
        Null::Relative(_) => measure.basis.relative_change().unwrap_or(0.0),
        Null::Change(_) => measure.basis.change(),
    };
    Ok(MarginEvidence {
        estimate: bounded(change * sign),
        margin: null.amount().abs(),
        interval,
        inside: safe.now,
        worse: worse.now,
        units: measure.units,
    })
}

/// "Worse by exactly the margin" and its size in contrast units, the tau of both tests.
fn margin_of(
    look: &Look<'_>,
    kind: &NoWorseThan,
    signal: &Signal,
    measure: &Measure,
) -> Result<(Null, f64), Gap> {
    let (experiment, sign) = (look.experiment(), signal.want.sign());
    let fixed = look.observed(signal).is_ok_and(|observed| observed.baseline.is_some());
    let base = tau::stated_from(experiment, signal).or(fixed.then(|| measure.basis.comparison()));
    let (null, tau) = match (kind.margin, base) {
        (Margin::Absolute(margin), _) => (Null::Change(-margin.abs() * sign), Some(margin.abs())),
        (Margin::Relative(share), Some(base)) => {
            let margin = (share * base).abs();
            (Null::Change(-margin * sign), Some(margin))
        }
        (Margin::Relative(share), None) => {
            (Null::Relative(-share.abs() * sign), tau::of_signal(experiment, signal, None))
        }
    };
    let tau = tau.filter(|tau| *tau > 0.0).ok_or_else(|| Gap {
        why: UnknownWhy::Invalid,
        state: super::SignalState::Invalid,
        words: Some("no plan or baseline gives a tau".to_owned()),
    })?;
    Ok((null, tau))
}
