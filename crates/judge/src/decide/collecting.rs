//! `collecting`: how far the sample is, and whether it can be reached by the checkpoint.

use crate::analyse::{AtomView, Truth};
use crate::observe::{Observation, Observed};
use crate::spec::Signal;
use crate::time::{DAY_MS, ms_between};

use super::facts::Facts;
use super::table::same_checkpoint;
use super::{Cause, Decision, Reason, Verdict};

/// `collecting`: "before the checkpoint: shows % of the needed sample, days left, 'on track' /
/// 'cannot be reached any more'".
pub(super) fn collecting(facts: &Facts<'_>) -> Option<Decision> {
    if facts.at_checkpoint {
        return None;
    }
    let days_left = ms_between(facts.input.at, facts.input.cycle.checkpoint_at) as f64;
    let mut reasons =
        vec![Reason::Progress { share: share(facts), days_left: days_left / DAY_MS as f64 }];
    let reachable = rule_is_reachable(facts);
    if !reachable {
        for (_, atom) in facts.unknown_atoms().filter(|(_, atom)| !is_reachable(facts, atom)) {
            let units = atom.needs_more.unwrap_or_default();
            reasons.push(Reason::NeedsMore { signal: atom.signal.clone(), units });
        }
    }
    let cause = if reachable { Cause::OnTrack } else { Cause::CannotBeReached };
    Some(same_checkpoint(facts, Verdict::Collecting, cause, reasons))
}

/// Share of the needed sample, 0..1: the planned information of the slowest outcome; without a
/// plan the slowest unknown atom's n of (n + what it needs); without that, time.
fn share(facts: &Facts<'_>) -> f64 {
    if let Some(progress) = facts.analysis.progress {
        return progress.clamp(0.0, 1.0);
    }
    let of_atom = |atom: &AtomView| {
        let n: f64 = atom.evidence.as_ref()?.n.values().sum();
        Some(n / (n + atom.needs_more?.max(1.0)))
    };
    let atoms = facts.unknown_atoms().filter_map(|(_, atom)| of_atom(atom));
    let slowest = atoms.fold(f64::INFINITY, f64::min);
    if slowest.is_finite() {
        return slowest.clamp(0.0, 1.0);
    }
    let cycle = &facts.input.cycle;
    let whole = ms_between(cycle.started_at, cycle.checkpoint_at).max(1);
    let so_far = ms_between(cycle.started_at, facts.input.at);
    (so_far as f64 / whole as f64).clamp(0.0, 1.0)
}

/// Whether the rule would hold if every unknown atom that can still get its units came true. A
/// rule that is false for other reasons is not called unreachable: its estimates may still turn.
fn rule_is_reachable(facts: &Facts<'_>) -> bool {
    let with = |reached: &dyn Fn(&AtomView) -> bool| {
        let atom = |index: usize| match facts.analysis.atoms.get(index) {
            Some(atom) if atom.met == Truth::Unknown && reached(atom) => Truth::True,
            Some(atom) if atom.met == Truth::Unknown => Truth::False,
            _ => facts.atom_met(index),
        };
        facts.analysis.rule.with(&atom) == Truth::True
    };
    with(&|atom| is_reachable(facts, atom)) || !with(&|_| true)
}

/// Whether the units that this atom needs can come and mature before the checkpoint at the rate
/// so far. Without a need or a rate it cannot be called unreachable.
fn is_reachable(facts: &Facts<'_>, atom: &AtomView) -> bool {
    let Some(needs) = atom.needs_more else {
        return true;
    };
    let Some(Observation::Ok(observed) | Observation::Insufficient { observed, .. }) =
        facts.input.observations.get(&atom.signal)
    else {
        return true;
    };
    let Some(signal) = facts.input.experiment.signal(&atom.signal) else {
        return true;
    };
    units_to_come(facts, signal, observed).is_none_or(|units| needs <= units)
}

/// Units that will have matured by the checkpoint beyond those counted now.
fn units_to_come(facts: &Facts<'_>, signal: &Signal, observed: &Observed) -> Option<f64> {
    let counted = ms_between(observed.window.start, observed.data_as_of);
    let units: f64 = observed.arms.values().map(|sample| sample.sums.units()).sum();
    if counted <= 0 || units <= 0.0 {
        return None;
    }
    let ahead = ms_between(observed.data_as_of, facts.input.cycle.checkpoint_at);
    let countable = (ahead - signal.matures_after.ms).max(0);
    Some(units / counted as f64 * countable as f64)
}
