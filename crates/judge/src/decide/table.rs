//! The verdict table of product.md 4.3, one function per row, first match wins.
//!
//! A row answers with a decision or passes. Only the root of the rule is collapsed, and only in
//! the rows that are reached at the checkpoint.

use crate::analyse::{SignalState, SignalView, Truth};
use crate::lifecycle::schedule;
use crate::spec::{OnTrip, Role};
use crate::time::Timestamp;

use super::collecting::collecting;
use super::facts::Facts;
use super::reasons::{blockers, met_atoms};
use super::three_valued::could_settle;
use super::{Cause, Decision, Reason, Verdict};

type Row = fn(&Facts<'_>) -> Option<Decision>;

/// In the order of the table.
const ROWS: [Row; 11] = [
    tripped,
    harmful,
    hold_untrusted,
    hold_missing,
    futile,
    waiting_for_maturity,
    collecting,
    go_on,
    extend,
    mechanism,
    cycles_used,
];

/// The first row that matches.
pub(super) fn decision(facts: &Facts<'_>) -> Decision {
    ROWS.iter().find_map(|row| row(facts)).unwrap_or_else(|| past_by(facts))
}

/// `stop: tripped`: "a guardrail with `on_trip: stop` tripped. At any time, at once".
fn tripped(facts: &Facts<'_>) -> Option<Decision> {
    let stops = facts.tripped().filter(|status| status.on_trip == OnTrip::Stop);
    let reasons: Vec<_> = stops
        .map(|status| Reason::GuardrailTripped {
            guardrail: status.name.clone(),
            value: status.value,
            limit: status.limit,
        })
        .collect();
    (!reasons.is_empty()).then(|| last(facts, Verdict::Stop, Cause::Tripped, reasons))
}

/// `stop: harmful`: "at any look: `stop_when` holds or an outcome is in `harm` beyond
/// `harm_margin`, from signals that are themselves trusted, with no SRM".
fn harmful(facts: &Facts<'_>) -> Option<Decision> {
    if facts.srm().is_some() {
        return None;
    }
    let analysis = facts.analysis;
    let trusted_atom = |index: usize| match analysis.stop_atoms.get(index) {
        Some(atom) if facts.is_trusted(&atom.signal) => atom.met,
        _ => Truth::Unknown,
    };
    let stop_rule = analysis.stop_rule.as_ref();
    let holds = stop_rule.is_some_and(|rule| rule.with(&trusted_atom) == Truth::True);
    let mut reasons = Vec::new();
    if holds {
        reasons.push(Reason::StopRuleHolds);
    }
    let checks = analysis.harm.iter();
    let harmed = checks.filter(|check| check.harmful && facts.is_trusted(&check.signal));
    reasons.extend(
        harmed.map(|check| Reason::SignalIs {
            signal: check.signal.clone(),
            state: SignalState::Harm,
        }),
    );
    (!reasons.is_empty()).then(|| last(facts, Verdict::Stop, Cause::Harmful, reasons))
}

/// `hold` (a): "SRM or an unacknowledged definition change on a signal that the rule or an
/// outcome uses". Arms that differed before exposure, or that share too many units, are no better
/// than a split that is off (statistics.md 1.9). Mixed units hide an effect, they make none: unlike
/// a split that is off, they do not keep harm from stopping.
fn hold_untrusted(facts: &Facts<'_>) -> Option<Decision> {
    let changed = facts.input.unacknowledged.iter().filter(|signal| facts.is_used(signal));
    let changed = changed.map(|signal| Reason::DefinitionChanged { signal: signal.clone() });
    let split = facts.srm().map(|p| Reason::SplitMismatch { p });
    let mixed = facts.mixed().map(|check| Reason::MultipleExposure {
        mixed: check.mixed,
        units: check.units,
        limit: check.limit,
        p: check.p_seq,
    });
    let unlike: Vec<_> = facts.unlike().collect();
    let cause = match (&split, &mixed, unlike.is_empty()) {
        (Some(_), _, _) => Cause::Srm,
        (None, Some(_), _) => Cause::MultipleExposure,
        (None, None, false) => Cause::Imbalance,
        (None, None, true) => Cause::DefinitionChanged,
    };
    let reasons: Vec<_> = split.into_iter().chain(mixed).chain(unlike).chain(changed).collect();
    (!reasons.is_empty()).then(|| same_checkpoint(facts, Verdict::Hold, cause, reasons))
}

/// `hold` (b): "at the checkpoint a `no_data` or `source_error` signal could change the verdict:
/// the root is unknown because of such an atom; or the root is true and an outcome is missing; or
/// the root is false, every known outcome is `flat`, and a proxy or outcome is missing".
fn hold_missing(facts: &Facts<'_>) -> Option<Decision> {
    if !facts.at_checkpoint {
        return None;
    }
    let unknown = facts.unknown_atoms();
    let (missing_atoms, mut signals): (Vec<usize>, Vec<String>) = unknown
        .filter(|(_, atom)| facts.is_missing(&atom.signal))
        .map(|(index, atom)| (index, atom.signal.clone()))
        .unzip();
    let root = facts.root();
    let known = |index: usize| facts.atom_met(index);
    let because_of_atom =
        root == Truth::Unknown && could_settle(&facts.analysis.rule, &missing_atoms, &known);
    if !because_of_atom {
        signals.clear();
    }
    let missing = |signal: &&SignalView| facts.is_missing(&signal.name);
    let flat = |signal: &SignalView| signal.state == SignalState::Flat;
    let names = |signal: &SignalView| signal.name.clone();
    let outcomes = facts.with_role(Role::Outcome);
    let known_flat = outcomes.filter(|signal| !missing(signal)).all(flat);
    // Collapsed: an inconclusive root counts as not met, so it can be futile too.
    if root == Truth::True || known_flat {
        signals.extend(facts.with_role(Role::Outcome).filter(missing).map(names));
    }
    if root != Truth::True && known_flat {
        signals.extend(facts.with_role(Role::Proxy).filter(missing).map(names));
    }
    let mut reasons: Vec<Reason> = Vec::new();
    for signal in signals {
        let reason = Reason::DataMissing { since: facts.missing_since(&signal), signal };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let hold = || same_checkpoint(facts, Verdict::Hold, Cause::DataMissing, reasons.clone());
    (!reasons.is_empty()).then(hold)
}

/// `stop: futile`: "all outcomes `flat` and every proxy `flat`, `harm` or `below`; at the
/// checkpoint, or at any look with `early_stop: futility`".
fn futile(facts: &Facts<'_>) -> Option<Decision> {
    if !facts.at_checkpoint && !facts.input.experiment.checkpoint.early_stop_futility {
        return None;
    }
    let outcomes: Vec<_> = facts.with_role(Role::Outcome).collect();
    let proxies: Vec<_> = facts.with_role(Role::Proxy).collect();
    let flat = outcomes.iter().all(|signal| signal.state == SignalState::Flat);
    let hopeless = |signal: &&SignalView| {
        matches!(signal.state, SignalState::Flat | SignalState::Harm | SignalState::Below)
    };
    if outcomes.is_empty() || !flat || !proxies.iter().all(hopeless) {
        return None;
    }
    let signals = outcomes.iter().chain(&proxies);
    let reasons = signals
        .map(|signal| Reason::SignalIs { signal: signal.name.clone(), state: signal.state })
        .collect();
    Some(last(facts, Verdict::Stop, Cause::Futile, reasons))
}

/// `collecting`, at the checkpoint: "an `immature` outcome moves the checkpoint to its maturity
/// once (`waiting_for_maturity`)". Until that instant every look gives the same answer.
fn waiting_for_maturity(facts: &Facts<'_>) -> Option<Decision> {
    let cycle = &facts.input.cycle;
    let still_waiting = cycle.waited && facts.input.at < cycle.checkpoint_at;
    if !facts.at_checkpoint || (cycle.waited && !still_waiting) {
        return None;
    }
    let outcomes = facts.with_role(Role::Outcome);
    let waits: Vec<_> = outcomes
        .filter_map(|signal| Some((signal.name.clone(), facts.immature_until(&signal.name)?)))
        .collect();
    let latest = waits.iter().map(|(_, until)| *until).max()?;
    let moved = if still_waiting { cycle.checkpoint_at } else { latest.max(facts.input.at) };
    let reasons = waits
        .into_iter()
        .map(|(signal, until)| Reason::WaitsForMaturity { signal, until })
        .collect();
    let cause = Cause::WaitingForMaturity;
    Some(moved_to(facts, Verdict::Collecting, cause, reasons, moved))
}

/// `continue`: "at the checkpoint: root true, every outcome observed and none `flat` or `harm`,
/// no guardrail tripped (alerts too), `min_duration` met, and either every outcome is `met` and
/// no further checkpoint is planned (`next: graduate`), or a further checkpoint is planned
/// (`next: keep_running`, with reason `outcome_unproven` if an outcome is not `met`)".
fn go_on(facts: &Facts<'_>) -> Option<Decision> {
    if !may_go_on(facts) || !facts.is_long_enough() {
        return None;
    }
    let unproven = unproven_outcomes(facts);
    // A guardrail that never saw anything is an alarm and no condition of `continue`; the verdict
    // says that it stands without it.
    let mut open: Vec<&str> = facts.unproven().map(|(status, _)| status.name.as_str()).collect();
    for status in facts.never_seen() {
        if !open.contains(&status.name.as_str()) {
            open.push(&status.name);
        }
    }
    let not_shown = |name: &str| Reason::NotShownSafe { guardrail: name.to_owned() };
    let tolerated = open.into_iter().map(not_shown);
    let mut reasons = met_atoms(facts);
    match facts.further_checkpoint() {
        Some(next) => {
            reasons.extend(unproven);
            reasons.extend(tolerated);
            Some(moved_to(facts, Verdict::Continue, Cause::KeepRunning, reasons, next))
        }
        None if unproven.is_empty() => {
            reasons.extend(tolerated);
            Some(last(facts, Verdict::Continue, Cause::Graduate, reasons))
        }
        None => None,
    }
}

/// `change: extend`: "at the checkpoint, once per cycle, `by` not passed: the root is unknown and
/// decidable; or the root is true and `continue` fails only on `min_duration` or because an
/// outcome is unproven and no checkpoint is left. Same revision, same sequential state, new date;
/// it may pass `by`".
fn extend(facts: &Facts<'_>) -> Option<Decision> {
    if facts.input.cycle.extended || facts.past_by().is_some() {
        return None;
    }
    let decidable = facts.root() == Truth::Unknown && {
        let hopeful = |index: usize| match facts.analysis.atoms.get(index) {
            Some(atom) if atom.met == Truth::Unknown && atom.decidable => Truth::True,
            _ => facts.atom_met(index),
        };
        facts.analysis.rule.with(&hopeful) == Truth::True
    };
    if !decidable && !may_go_on(facts) {
        return None;
    }
    let mut reasons = Vec::new();
    for (index, atom) in facts.unknown_atoms().filter(|(_, atom)| atom.decidable) {
        if let Some(units) = atom.units_missing() {
            reasons.push(Reason::NeedsMore { signal: atom.signal.clone(), units });
        }
        reasons.push(Reason::AtomUnknown { atom: index });
    }
    reasons.extend(blockers(facts).into_iter().filter(|reason| {
        matches!(reason, Reason::TooShort { .. } | Reason::OutcomeUnproven { .. })
    }));
    reasons.extend(met_atoms(facts));
    let next = schedule::extended_checkpoint(&facts.input.experiment, facts.input.at);
    Some(moved_to(facts, Verdict::Change, Cause::Extend, reasons, next))
}

/// `change: mechanism`: "at the checkpoint, every other case while cycles are left and `by` has
/// not passed (scheduled_at > by)".
fn mechanism(facts: &Facts<'_>) -> Option<Decision> {
    let open = cycles_left(facts) && facts.past_by().is_none();
    open.then(|| {
        let mut reasons = blockers(facts);
        reasons.extend(met_atoms(facts));
        last(facts, Verdict::Change, Cause::Mechanism, reasons)
    })
}

/// `stop: no_cycles_left`: "every remaining case: the first if the cycles are used".
fn cycles_used(facts: &Facts<'_>) -> Option<Decision> {
    (!cycles_left(facts)).then(|| {
        let cycles = facts.input.experiment.checkpoint.cycles;
        let reasons = std::iter::once(Reason::CyclesUsed { cycles }).chain(blockers(facts));
        last(facts, Verdict::Stop, Cause::NoCyclesLeft, reasons.collect())
    })
}

/// `stop: past_by`: "every remaining case: ... else the second: no pilot lives for ever".
fn past_by(facts: &Facts<'_>) -> Decision {
    let by = facts.past_by().map(|by| Reason::PastBy { by });
    let reasons = by.into_iter().chain(blockers(facts));
    last(facts, Verdict::Stop, Cause::PastBy, reasons.collect())
}

fn cycles_left(facts: &Facts<'_>) -> bool {
    facts.input.cycle.number < facts.input.experiment.checkpoint.cycles
}

/// Everything of `continue` except `min_duration` and what outcomes still have to prove.
fn may_go_on(facts: &Facts<'_>) -> bool {
    let fit = |signal: &SignalView| {
        facts.is_observed(signal) && !matches!(signal.state, SignalState::Flat | SignalState::Harm)
    };
    facts.root() == Truth::True
        && facts.with_role(Role::Outcome).all(fit)
        && facts.tripped().next().is_none()
        && facts.unproven().all(|(_, tolerated)| tolerated)
}

/// Outcomes that are not `met`.
fn unproven_outcomes(facts: &Facts<'_>) -> Vec<Reason> {
    let outcomes = facts.with_role(Role::Outcome);
    let open = outcomes.filter(|signal| signal.state != SignalState::Met);
    open.map(|signal| Reason::OutcomeUnproven { signal: signal.name.clone() }).collect()
}

/// A verdict that ends the cycle: nothing is planned after it.
fn last(facts: &Facts<'_>, verdict: Verdict, cause: Cause, reasons: Vec<Reason>) -> Decision {
    Decision {
        verdict,
        cause,
        reasons,
        at_checkpoint: facts.at_checkpoint,
        ends_cycle: true,
        next_look_at: None,
        next_checkpoint_at: None,
    }
}

/// A verdict after which the cycle goes on towards the checkpoint it already has. An open
/// checkpoint is asked again at the next look.
pub(super) fn same_checkpoint(
    facts: &Facts<'_>,
    verdict: Verdict,
    cause: Cause,
    reasons: Vec<Reason>,
) -> Decision {
    let cycle = &facts.input.cycle;
    let next_look = schedule::look_after(&facts.input.experiment, cycle, facts.input.at);
    Decision {
        verdict,
        cause,
        reasons,
        at_checkpoint: facts.at_checkpoint,
        ends_cycle: false,
        next_look_at: Some(next_look),
        next_checkpoint_at: Some(if facts.at_checkpoint { next_look } else { cycle.checkpoint_at }),
    }
}

/// A verdict after which the cycle goes on towards a new checkpoint.
fn moved_to(
    facts: &Facts<'_>,
    verdict: Verdict,
    cause: Cause,
    reasons: Vec<Reason>,
    checkpoint_at: Timestamp,
) -> Decision {
    let cycle = crate::record::Cycle { checkpoint_at, ..facts.input.cycle.clone() };
    let next_look = schedule::look_after(&facts.input.experiment, &cycle, facts.input.at);
    Decision {
        verdict,
        cause,
        reasons,
        at_checkpoint: facts.at_checkpoint,
        ends_cycle: false,
        next_look_at: Some(next_look),
        next_checkpoint_at: Some(checkpoint_at),
    }
}
